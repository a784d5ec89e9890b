#ifndef SEQ_TLS_H
#define SEQ_TLS_H
/* TLS 1.3 over a connected socket, both sides with certificates of one authority. No tickets,
 * resumption or early data; keys are updated long before the cipher's limits. The handshake runs
 * inside the first reads and writes. There is no close_notify: frames carry their own end
 * (goodbye). */

#include "stream.h"

typedef struct tls_context tls_context;

/* Load the files of `options` and check that the certificate is party-<me>'s, valid now, for client
 * and server use, signed by the authority, and that the key belongs to it. NULL with *err
 * otherwise. */
tls_context *tls_create(const net_options *options, seq_error *err);
/* Give up the creator's hold; the context goes with its last stream. Streams are made and closed,
 * and this is called, by one thread. */
void tls_release(tls_context *context);
/* A stream over fd, which it owns from then on; NULL if memory ran out. */
net_stream *tls_stream(tls_context *context, int fd, int server);

/* For streams of tls_stream whose handshake is done (bytes have been read):
 * the index that the other side's certificate names, or -1; name receives the whole name. */
int tls_peer(const net_stream *s, char *name, size_t size);
/* 32 bytes of keying material that only the two ends know; 0 on success. */
int tls_export(net_stream *s, uint8_t out[32]);
/* "TLSv1.3 TLS_AES_128_GCM_SHA256" */
void tls_describe(const net_stream *s, char *out, size_t size);
/* SHA-256; 0 on success. */
int tls_hash(const uint8_t *data, size_t n, uint8_t out[32]);

#endif
