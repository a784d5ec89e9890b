/* See sealed.h. */
#define _GNU_SOURCE
#include "sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../prg/prg.h"

enum { VERSION = 2, SALT = 32, CHECK = 16, TAG = 16, MAX_HEADER = 1024, MAX_PATH = 4096 };
#define LAST ((uint32_t)1 << 31)

typedef struct {
    char magic[8];
    uint32_t version, header_bytes;
    uint8_t salt[SALT], check[CHECK];
} preamble;

struct sealed {
    char path[MAX_PATH], temporary[MAX_PATH + 8];
    int fd, writing;
    seq_error error;
    EVP_CIPHER_CTX *cipher;
    uint64_t index, size; /* of the next piece; of the file */
    uint64_t first;       /* reading: where the first piece begins */
    int last;             /* reading: the piece in `plain` is the last one */
    size_t used, held;    /* bytes of `plain` taken (reading), and filled */
    uint8_t *plain, *coded;
};

static seq_status fail(sealed *s, const char *what) {
    return seq_fail(&s->error, SEQ_ERR_CONFIG, -1, "%.300s: %s", s->path, what);
}

/* errno says why. */
static seq_status fail_system(sealed *s, const char *what) {
    char reason[120];
    const char *text = strerror_r(errno, reason, sizeof reason);
    return seq_fail(&s->error, SEQ_ERR_CONFIG, -1, "%.300s: %s: %s", s->path, what, text);
}

static int mac(const uint8_t key[SEALED_KEY], const void *data, size_t n, uint8_t out[32]) {
    unsigned length = 0;
    return HMAC(EVP_sha256(), key, SEALED_KEY, data, n, out, &length) != NULL && length == 32;
}

/* ---- plain reading and writing ---- */

static void put(sealed *s, const uint8_t *bytes, size_t n) {
    while (n > 0 && s->error.status == SEQ_OK) {
        ssize_t done = write(s->fd, bytes, n);
        if (done < 0 && errno != EINTR) {
            (void)fail_system(s, "cannot be written");
        } else if (done > 0) {
            bytes += done;
            n -= (size_t)done;
            s->size += (uint64_t)done;
        }
    }
}

static void get(sealed *s, uint8_t *bytes, size_t n) {
    while (n > 0 && s->error.status == SEQ_OK) {
        ssize_t done = read(s->fd, bytes, n);
        if (done < 0 && errno != EINTR) {
            (void)fail_system(s, "cannot be read");
        } else if (done == 0) {
            (void)fail(s, "is damaged: it ends too early");
        } else if (done > 0) {
            bytes += done;
            n -= (size_t)done;
            s->size += (uint64_t)done;
        }
    }
}

/* ---- pieces ---- */

/* The file's key goes into the cipher; on error s->error. */
static void set_key(sealed *s, const uint8_t key[SEALED_KEY], const preamble *p,
                    const void *header) {
    uint8_t all[sizeof *p + MAX_HEADER], own[32];
    memcpy(all, p, sizeof *p);
    memcpy(all + sizeof *p, header, p->header_bytes);
    int ok = mac(key, all, sizeof *p + p->header_bytes, own) &&
             EVP_CipherInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, own, NULL, s->writing);
    prg_wipe(own, sizeof own);
    if (!ok) {
        (void)seq_fail(&s->error, SEQ_ERR_OURS, -1, "AES-256-GCM is not available");
    }
}

/* Encrypt or decrypt the piece with this header word; whether it worked. */
static int code_piece(sealed *s, uint32_t word, uint8_t *out, const uint8_t *in, uint8_t tag[TAG]) {
    uint8_t nonce[12] = {0};
    int n = 0, bytes = (int)(word & ~LAST);
    memcpy(nonce, &s->index, sizeof s->index);
    s->index++;
    int ok = EVP_CipherInit_ex(s->cipher, NULL, NULL, NULL, nonce, s->writing) &&
             (s->writing || EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_GCM_SET_TAG, TAG, tag)) &&
             EVP_CipherUpdate(s->cipher, NULL, &n, (const uint8_t *)&word, sizeof word) &&
             EVP_CipherUpdate(s->cipher, out, &n, in, bytes) &&
             EVP_CipherFinal_ex(s->cipher, out + n, &n);
    return ok && (!s->writing || EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_GCM_GET_TAG, TAG, tag));
}

static void write_piece(sealed *s, int last) {
    uint32_t word = (uint32_t)s->held | (last ? LAST : 0);
    uint8_t tag[TAG];
    if (s->error.status == SEQ_OK && !code_piece(s, word, s->coded, s->plain, tag)) {
        (void)seq_fail(&s->error, SEQ_ERR_OURS, -1, "AES-256-GCM failed");
    }
    put(s, (const uint8_t *)&word, sizeof word);
    put(s, s->coded, s->held);
    put(s, tag, TAG);
    s->held = 0;
}

static void read_piece(sealed *s) {
    uint32_t word = 0;
    uint8_t tag[TAG];
    s->used = s->held = 0;
    get(s, (uint8_t *)&word, sizeof word);
    if ((word & ~LAST) > SEALED_PIECE) {
        (void)fail(s, "is damaged: a piece of impossible size");
    }
    if (s->error.status == SEQ_OK) {
        get(s, s->coded, word & ~LAST);
        get(s, tag, TAG);
    }
    if (s->error.status == SEQ_OK && !code_piece(s, word, s->plain, s->coded, tag)) {
        (void)fail(s, "is damaged or was changed: its authentication fails");
    }
    if (s->error.status == SEQ_OK) {
        s->held = word & ~LAST;
        s->last = (word & LAST) != 0;
    }
}

void sealed_write(sealed *s, const void *bytes, size_t n) {
    const uint8_t *from = bytes;
    while (n > 0 && s->error.status == SEQ_OK) {
        size_t part = SEALED_PIECE - s->held < n ? SEALED_PIECE - s->held : n;
        memcpy(s->plain + s->held, from, part);
        s->held += part;
        from += part;
        n -= part;
        if (s->held == SEALED_PIECE) {
            write_piece(s, 0);
        }
    }
}

void sealed_read(sealed *s, void *bytes, size_t n) {
    uint8_t *to = bytes;
    while (n > 0 && s->error.status == SEQ_OK) {
        if (s->used == s->held) {
            if (s->last) {
                (void)fail(s, "does not fit the program: it is too short");
                break;
            }
            read_piece(s);
            continue;
        }
        size_t part = s->held - s->used < n ? s->held - s->used : n;
        memcpy(to, s->plain + s->used, part);
        s->used += part;
        to += part;
        n -= part;
    }
    memset(to, 0, n);
}

/* ---- opening and closing ---- */

static void destroy(sealed *s) {
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    if (s->plain != NULL) {
        prg_wipe(s->plain, SEALED_PIECE);
    }
    free(s->plain);
    free(s->coded);
    EVP_CIPHER_CTX_free(s->cipher); /* wipes the key */
    free(s);
}

static sealed *make(const char *path, int writing, size_t header_bytes, seq_error *err) {
    sealed *s = calloc(1, sizeof *s);
    if (s == NULL || header_bytes > MAX_HEADER || strlen(path) >= MAX_PATH) {
        (void)seq_fail(err, s == NULL ? SEQ_ERR_MEMORY : SEQ_ERR_CONFIG, -1,
                       "%.300s: cannot be opened", path);
        free(s);
        return NULL;
    }
    (void)snprintf(s->path, sizeof s->path, "%s", path);
    (void)snprintf(s->temporary, sizeof s->temporary, "%s.new", path);
    s->writing = writing;
    s->fd = writing
                ? open(s->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)
                : open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (s->fd < 0) {
        (void)fail_system(s, writing ? "cannot be made" : "cannot be opened");
    }
    s->plain = malloc(SEALED_PIECE);
    s->coded = malloc(SEALED_PIECE);
    s->cipher = EVP_CIPHER_CTX_new();
    if (s->plain == NULL || s->coded == NULL || s->cipher == NULL) {
        (void)seq_fail(&s->error, SEQ_ERR_MEMORY, -1, "no memory for a sealed file");
    }
    return s;
}

/* The sealed file if all went well, else NULL and the reason. */
static sealed *opened(sealed *s, seq_error *err) {
    if (s->error.status == SEQ_OK) {
        return s;
    }
    (void)seq_fail(err, s->error.status, -1, "%s", s->error.message);
    if (s->writing) {
        (void)unlink(s->temporary);
    }
    destroy(s);
    return NULL;
}

sealed *sealed_create(const char *path, const uint8_t key[SEALED_KEY], const void *header,
                      size_t header_bytes, seq_error *err) {
    preamble p = {.magic = "SQTRSEAL", .version = VERSION, .header_bytes = (uint32_t)header_bytes};
    uint8_t check[32];
    sealed *s = make(path, 1, header_bytes, err);
    if (s == NULL) {
        return NULL;
    }
    if (prg_system(p.salt, SALT) != 0 || !mac(key, p.salt, SALT, check)) {
        (void)seq_fail(&s->error, SEQ_ERR_OURS, -1, "no random bytes or no SHA-256");
    }
    memcpy(p.check, check, CHECK);
    set_key(s, key, &p, header);
    put(s, (const uint8_t *)&p, sizeof p);
    put(s, header, header_bytes);
    return opened(s, err);
}

sealed *sealed_open(const char *path, const char *what, const uint8_t key[SEALED_KEY], void *header,
                    size_t header_bytes, seq_error *err) {
    preamble p = {.version = 0};
    uint8_t check[32];
    char other[60];
    sealed *s = make(path, 0, header_bytes, err);
    if (s == NULL) {
        return NULL;
    }
    get(s, (uint8_t *)&p, sizeof p);
    if (memcmp(p.magic, "SQTRSEAL", 8) != 0) {
        (void)snprintf(other, sizeof other, "is not %s", what);
        (void)fail(s, other);
    } else if (p.version != VERSION || p.header_bytes != header_bytes) {
        (void)fail(s, "is of another format; the release that wrote it can read it");
    } else if (!mac(key, p.salt, SALT, check) || CRYPTO_memcmp(check, p.check, CHECK) != 0) {
        (void)fail(s, "was written with another key, or is damaged");
    }
    get(s, header, header_bytes);
    s->first = s->size;
    if (s->error.status == SEQ_OK) {
        set_key(s, key, &p, header);
        read_piece(s); /* its tag vouches for the header */
    }
    return opened(s, err);
}

uint64_t sealed_size(const sealed *s) {
    return s->size;
}

/* A file's name is on disk when its folder is. */
static void sync_folder(sealed *s) {
    char folder[MAX_PATH];
    (void)snprintf(folder, sizeof folder, "%s", s->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        *slash = 0;
    }
    int fd = open(slash == NULL ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        (void)fail_system(s, "its folder cannot be written");
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void finish_writing(sealed *s) {
    write_piece(s, 1);
    if (s->error.status == SEQ_OK && fsync(s->fd) != 0) {
        (void)fail_system(s, "cannot be written");
    }
    if (s->error.status == SEQ_OK && rename(s->temporary, s->path) != 0) {
        (void)fail_system(s, "cannot be given its name");
    }
    if (s->error.status != SEQ_OK) {
        (void)unlink(s->temporary);
    } else {
        sync_folder(s);
    }
}

const seq_error *sealed_error(const sealed *s) {
    return &s->error;
}

void sealed_abandon(sealed *s) {
    if (s->writing) {
        (void)unlink(s->temporary);
    }
    destroy(s);
}

/* All of it was read, or there is an error. */
static void finish_reading(sealed *s) {
    uint8_t more;
    if (s->error.status == SEQ_OK && s->used == s->held && !s->last) {
        read_piece(s);
    }
    if (s->error.status == SEQ_OK && (s->used != s->held || !s->last)) {
        (void)fail(s, "does not fit the program: it is too long");
    } else if (s->error.status == SEQ_OK && read(s->fd, &more, 1) != 0) {
        (void)fail(s, "is damaged: something follows its end");
    }
}

seq_status sealed_rewind(sealed *s) {
    finish_reading(s);
    if (s->error.status == SEQ_OK && lseek(s->fd, (off_t)s->first, SEEK_SET) < 0) {
        (void)fail_system(s, "cannot be read again");
    }
    s->index = s->used = s->held = 0;
    s->last = 0;
    s->size = s->first;
    return s->error.status;
}

seq_status sealed_close(sealed *s, int rest, seq_error *err) {
    if (s->writing) {
        finish_writing(s);
    } else if (!rest) {
        finish_reading(s);
    }
    seq_status status = s->error.status;
    if (status != SEQ_OK) {
        (void)seq_fail(err, status, -1, "%s", s->error.message);
    }
    destroy(s);
    return status;
}
