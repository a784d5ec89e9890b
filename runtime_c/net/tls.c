#define _GNU_SOURCE
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD ((size_t)16384)        /* most plaintext in a TLS record */
#define OUT_BYTES ((size_t)128 << 10) /* encrypted bytes gathered before a system call */
#define OUT_ROOM (RECORD + 512)       /* a record with its header, tag and what may precede it */
#ifndef TLS_REKEY_RECORDS
#define TLS_REKEY_RECORDS ((uint64_t)1 << 22) /* AES-GCM allows 2^24.5 (RFC 8446, section 5.5) */
#endif

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *method;
    char ca_file[256];
    unsigned users; /* the creator and the streams */
};

typedef struct {
    net_stream base;
    tls_context *context;
    SSL *ssl;
    uint64_t records;          /* written under the current key */
    size_t held;               /* plaintext encrypted but not yet reported as written */
    size_t out_begin, out_end; /* encrypted bytes not yet sent */
    int saved_errno, at_end;   /* of the last system call; recv said end */
    char verify[200];          /* why the other side's certificate was refused */
    uint8_t out[OUT_BYTES];
} tls_state;

/* ---- sockets beneath OpenSSL: gathers writes, never raises SIGPIPE ---- */

/* Send what is gathered: 1 all gone, 0 not yet, -1 broken. */
static int drain(tls_state *t) {
    while (t->out_begin < t->out_end) {
        ssize_t put =
            send(t->base.fd, t->out + t->out_begin, t->out_end - t->out_begin, MSG_NOSIGNAL);
        if (put < 0) {
            t->saved_errno = errno;
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        t->out_begin += (size_t)put;
    }
    t->out_begin = t->out_end = 0;
    return 1;
}

static int bio_write(BIO *bio, const char *data, int n) {
    tls_state *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->out_end + (size_t)n > OUT_BYTES) {
        int sent = drain(t);
        if (sent < 0) {
            return -1;
        }
        if (t->out_end + (size_t)n > OUT_BYTES) {
            BIO_set_retry_write(bio);
            return -1;
        }
    }
    memcpy(t->out + t->out_end, data, (size_t)n);
    t->out_end += (size_t)n;
    return n;
}

static int bio_read(BIO *bio, char *data, int n) {
    tls_state *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got = recv(t->base.fd, data, (size_t)n, 0);
    if (got < 0) {
        t->saved_errno = errno;
        if (errno == EAGAIN || errno == EINTR) {
            BIO_set_retry_read(bio);
        }
    } else if (got == 0) {
        t->at_end = 1;
    }
    return (int)got;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)number;
    (void)pointer;
    tls_state *t = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH: /* drained by the stream's own functions */
        return 1;
    case BIO_CTRL_EOF:
        return t->at_end;
    default:
        return 0;
    }
}

/* ---- certificates ---- */

/* The index in "party-<index>", or -1. */
static int party_index(const char *name) {
    for (int i = 0; i < NET_MAX_PARTIES; i++) {
        char expected[24];
        (void)snprintf(expected, sizeof expected, "party-%d", i);
        if (strcmp(name, expected) == 0) {
            return i;
        }
    }
    return -1;
}

/* The certificate's common name, if it has exactly one, else "". */
static void common_name(const X509 *cert, char *name, size_t size) {
    char text[64] = "";
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0 && X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0) {
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        int length = ASN1_STRING_length(value);
        const unsigned char *bytes = ASN1_STRING_get0_data(value);
        for (int i = 0; i < length && i < (int)sizeof text - 1; i++) {
            text[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
        }
    }
    (void)snprintf(name, size, "%s", text);
}

static void date_text(const ASN1_TIME *time, char out[24]) {
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(out, 24, "%Y-%m-%d %H:%M UTC", &tm) == 0) {
        (void)snprintf(out, 24, "an unreadable date");
    }
}

/* What a failed verification means and what helps. */
static void explain(int code, int depth, const X509 *cert, const char *ca_file, char *out,
                    size_t size) {
    char name[64] = "", date[24];
    if (cert != NULL) {
        common_name(cert, name, sizeof name);
    }
    const char *whose = depth > 0 ? "the authority's certificate" : "certificate";
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        date_text(X509_get0_notAfter(cert), date);
        (void)snprintf(out, size, "%s (%s) expired on %s: make new ones with `sequester keys`",
                       whose, name, date);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        date_text(X509_get0_notBefore(cert), date);
        (void)snprintf(out, size, "%s (%s) is valid only from %s: check the clocks", whose, name,
                       date);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        (void)snprintf(out, size,
                       "%s (%s) is not signed by the authority in %.80s: all parties need "
                       "certificates of one authority",
                       whose, name, ca_file);
        break;
    default:
        (void)snprintf(out, size, "%s (%s) was refused: %s", whose, name,
                       X509_verify_cert_error_string(code));
    }
}

static int verify_callback(int valid, X509_STORE_CTX *store) {
    if (!valid) {
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        tls_state *t = SSL_get_app_data(ssl);
        explain(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store),
                X509_STORE_CTX_get_current_cert(store), t->context->ca_file, t->verify,
                sizeof t->verify);
    }
    return valid;
}

/* ---- context ---- */

static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "unknown error";
}

/* Would the other parties accept our own certificate? */
static seq_status check_own(tls_context *context, const net_options *o, seq_error *err) {
    X509 *cert = SSL_CTX_get0_certificate(context->ssl);
    char name[64];
    common_name(cert, name, sizeof name);
    if (party_index(name) != (int)o->me) {
        return seq_fail(err, SEQ_ERR_CONFIG, (int)o->me,
                        "%s names `%s`, but this is party %u: give it the certificate of party-%u",
                        o->cert_file, name, o->me, o->me);
    }
    const int purposes[] = {X509_PURPOSE_SSL_CLIENT, X509_PURPOSE_SSL_SERVER};
    for (int i = 0; i < 2; i++) {
        X509_STORE_CTX *store = X509_STORE_CTX_new();
        if (store == NULL ||
            !X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(context->ssl), cert, NULL)) {
            X509_STORE_CTX_free(store);
            return seq_fail(err, SEQ_ERR_MEMORY, -1, "out of memory");
        }
        X509_STORE_CTX_set_purpose(store, purposes[i]);
        char why[200] = "";
        if (X509_verify_cert(store) != 1) {
            explain(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store),
                    X509_STORE_CTX_get_current_cert(store), context->ca_file, why, sizeof why);
        }
        X509_STORE_CTX_free(store);
        if (why[0] != '\0') {
            return seq_fail(err, SEQ_ERR_CONFIG, (int)o->me, "%s: %s", o->cert_file, why);
        }
    }
    return SEQ_OK;
}

static seq_status load_files(tls_context *context, const net_options *o, seq_error *err) {
    if (o->ca_file == NULL || o->cert_file == NULL || o->key_file == NULL) {
        return seq_fail(err, SEQ_ERR_CONFIG, (int)o->me,
                        "TLS needs the files of the authority, the certificate and the key: make "
                        "them with `sequester keys`");
    }
    (void)snprintf(context->ca_file, sizeof context->ca_file, "%s", o->ca_file);
    ERR_clear_error();
    if (SSL_CTX_load_verify_locations(context->ssl, o->ca_file, NULL) != 1) {
        return seq_fail(err, SEQ_ERR_CONFIG, (int)o->me,
                        "cannot read the authority's certificate from %s: %s", o->ca_file,
                        openssl_reason());
    }
    if (SSL_CTX_use_certificate_file(context->ssl, o->cert_file, SSL_FILETYPE_PEM) != 1) {
        return seq_fail(err, SEQ_ERR_CONFIG, (int)o->me,
                        "cannot read the certificate of party %u from %s: %s", o->me, o->cert_file,
                        openssl_reason());
    }
    if (SSL_CTX_use_PrivateKey_file(context->ssl, o->key_file, SSL_FILETYPE_PEM) != 1) {
        int mismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
                       ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
        return seq_fail(err, SEQ_ERR_CONFIG, (int)o->me,
                        mismatch ? "the private key in %s does not belong to %s (%s)"
                                 : "cannot read the private key %s of %s: %s",
                        o->key_file, o->cert_file, openssl_reason());
    }
    return check_own(context, o, err);
}

/* What we offer, best first; both are equally strong. OpenSSL knows AES-GCM for wide vectors since
 * 3.1; before, its ChaCha20 in AVX-512 is a third faster. */
static const char *cipher_suites(void) {
#ifdef __x86_64__
    if (OpenSSL_version_num() < 0x30100000L && __builtin_cpu_supports("avx512f")) {
        return "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    }
#endif
    return "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
}

static seq_status configure(tls_context *context, seq_error *err) {
    context->ssl = SSL_CTX_new(TLS_method());
    context->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sequester socket");
    if (context->ssl == NULL || context->method == NULL) {
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "cannot start OpenSSL: %s", openssl_reason());
    }
    BIO_meth_set_write(context->method, bio_write);
    BIO_meth_set_read(context->method, bio_read);
    BIO_meth_set_ctrl(context->method, bio_ctrl);
    SSL_CTX *ssl = context->ssl;
    if (!SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) ||
        !SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(ssl, cipher_suites()) || !SSL_CTX_set_num_tickets(ssl, 0)) {
        return seq_fail(err, SEQ_ERR_CONFIG, -1, "this OpenSSL cannot do TLS 1.3: %s",
                        openssl_reason());
    }
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify_callback);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_default_read_buffer_len(ssl, OUT_BYTES);
    return SEQ_OK;
}

tls_context *tls_create(const net_options *options, seq_error *err) {
    tls_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        seq_fail(err, SEQ_ERR_MEMORY, -1, "out of memory");
        return NULL;
    }
    context->users = 1;
    if (configure(context, err) != SEQ_OK || load_files(context, options, err) != SEQ_OK) {
        ERR_clear_error();
        tls_release(context);
        return NULL;
    }
    return context;
}

void tls_release(tls_context *context) {
    if (context != NULL && --context->users == 0) {
        SSL_CTX_free(context->ssl);
        BIO_meth_free(context->method);
        free(context);
    }
}

/* ---- streams ---- */

/* Text for a failure that the other side announced by an alert about our certificate, or NULL. */
static const char *certificate_alert(int reason) {
    switch (reason) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "it says that our certificate has expired: renew it or check its clock";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "it does not know the authority of our certificate: all parties need the same one";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        return "it refused our certificate";
    default:
        return NULL;
    }
}

/* Turn OpenSSL's verdict on the last call into ours. */
static ssize_t result(tls_state *t, int rc) {
    net_stream *s = &t->base;
    int code = SSL_get_error(t->ssl, rc);
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
        int sent = drain(t);
        s->events = code == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        if (sent == 0) {
            s->events |= POLLOUT;
        }
        return sent < 0 ? STREAM_END : STREAM_AGAIN;
    }
    int reason = ERR_GET_REASON(ERR_peek_error());
    const char *about_us = certificate_alert(reason);
    (void)drain(t); /* our own alert, if any: the other side should learn why */
    if (t->verify[0] != '\0' || about_us != NULL) {
        s->final = 1;
        (void)snprintf(s->error, sizeof s->error, "%s", about_us != NULL ? about_us : t->verify);
    } else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
        s->final = 1;
        (void)snprintf(s->error, sizeof s->error,
                       "it does not speak TLS: use TLS everywhere or nowhere");
    } else if (t->at_end || code == SSL_ERROR_ZERO_RETURN || code == SSL_ERROR_SYSCALL) {
        return STREAM_END;
    } else {
        const char *text = ERR_reason_error_string(ERR_peek_error());
        (void)snprintf(s->error, sizeof s->error, "TLS failed: %s",
                       text != NULL ? text : "unknown error");
    }
    return STREAM_FAILED;
}

static ssize_t tls_read(net_stream *s, void *buf, size_t n) {
    tls_state *t = (tls_state *)s;
    ERR_clear_error();
    int got = SSL_read(t->ssl, buf, n < INT32_MAX ? (int)n : INT32_MAX);
    return got > 0 ? got : result(t, got);
}

/* Encrypt at most OUT_BYTES of records into t->out; 0 or a code. */
static ssize_t encrypt(tls_state *t, const uint8_t *data, size_t n) {
    while (t->held < n && OUT_BYTES - t->out_end >= OUT_ROOM) {
        if (t->records >= TLS_REKEY_RECORDS) {
            t->records = 0;
            (void)SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
        }
        ERR_clear_error();
        size_t left = n - t->held;
        int put = SSL_write(t->ssl, data + t->held, (int)(left < RECORD ? left : RECORD));
        if (put <= 0) {
            return result(t, put);
        }
        t->records++;
        t->held += (size_t)put;
    }
    return 0;
}

/* Bytes count as written when they reached the socket, so that nothing waits here unsent: after
 * STREAM_AGAIN the same bytes are to be offered again. */
static ssize_t tls_write(net_stream *s, const void *buf, size_t n) {
    tls_state *t = (tls_state *)s;
    if (t->held == 0) {
        ssize_t code = encrypt(t, buf, n);
        if (t->held == 0) {
            return code;
        }
    }
    int sent = drain(t);
    if (sent <= 0) {
        s->events = POLLOUT;
        return sent < 0 ? STREAM_END : STREAM_AGAIN;
    }
    ssize_t written = (ssize_t)t->held;
    t->held = 0;
    return written;
}

static void tls_close(net_stream *s) {
    tls_state *t = (tls_state *)s;
    SSL_free(t->ssl);
    (void)close(s->fd);
    tls_release(t->context);
    free(t);
}

static const net_stream_ops tls_ops = {tls_read, tls_write, socket_wait, socket_interrupt,
                                       tls_close};

net_stream *tls_stream(tls_context *context, int fd, int server) {
    tls_state *t = calloc(1, sizeof *t);
    SSL *ssl = SSL_new(context->ssl);
    BIO *bio = BIO_new(context->method);
    if (t == NULL || ssl == NULL || bio == NULL) {
        free(t);
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    t->base.ops = &tls_ops;
    t->base.fd = fd;
    t->context = context;
    context->users++;
    t->ssl = ssl;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, t);
    if (server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    return &t->base;
}

int tls_peer(const net_stream *s, char *name, size_t size) {
    const tls_state *t = (const tls_state *)s;
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    name[0] = '\0';
    if (cert == NULL || SSL_get_verify_result(t->ssl) != X509_V_OK) {
        return -1;
    }
    common_name(cert, name, size);
    return party_index(name);
}

int tls_export(net_stream *s, uint8_t out[32]) {
    static const char label[] = "EXPORTER-sequester-pair";
    tls_state *t = (tls_state *)s;
    return SSL_export_keying_material(t->ssl, out, 32, label, sizeof label - 1, NULL, 0, 0) == 1
               ? 0
               : -1;
}

void tls_describe(const net_stream *s, char *out, size_t size) {
    const tls_state *t = (const tls_state *)s;
    (void)snprintf(out, size, "%s %s", SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl));
}

int tls_hash(const uint8_t *data, size_t n, uint8_t out[32]) {
    return EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}
