#ifndef SEQ_NET_H
#define SEQ_NET_H
/* Frames between parties over memory, TCP or TLS 1.3.
 *
 * Every ordered pair of parties has its own simplex connection (its own TLS session), one thread
 * that writes it and one that reads it; so sending never blocks on receiving, and neither blocks
 * the VM. Outgoing frames queue without bound (the VM's memory accounts for them); incoming frames
 * are kept in a mailbox keyed by tag until the VM takes them.
 *
 * On the wire a frame is 24 bytes of header (u64 instance, u32 step, u32 kind, u64 payload bytes;
 * little endian) and the payload. Kinds: 0 data, 1 heartbeat (step 1: its sender waits), 2 goodbye
 * (orderly end), 3 abort (payload: one line of UTF-8). Lengths are checked against limits before
 * anything is allocated. docs/network.md describes connections, limits and what happens when
 * something fails.
 *
 * A net is used by one thread (the VM's); its own threads are hidden. Only the stop flag may be set
 * from elsewhere. */

#include <stddef.h>
#include <stdint.h>

#include "../error.h"

#define NET_MAX_PARTIES 10

typedef struct {
    uint64_t instance; /* dynamic instruction (48 bits) << 16 | sub-machine (16 bits) */
    uint32_t step;     /* chunk << 8 | step within the machine */
} net_tag;

typedef struct {
    char host[256];
    uint16_t port;
} net_address;

typedef enum { NET_MEMORY = 0, NET_TCP = 1, NET_TLS = 2 } net_kind;

typedef struct net_hub net_hub; /* memory channels of all parties in one process */
net_hub *net_hub_create(unsigned parties);
void net_hub_destroy(net_hub *hub); /* after all nets using it are closed */

typedef struct {
    net_kind kind;
    unsigned me, parties;
    net_address address[NET_MAX_PARTIES]; /* TCP and TLS: where each party listens */
    int listen_fd; /* an inherited listening socket (net_open closes it), or -1: bind address[me] */
    net_hub *hub;  /* memory only */
    const char *ca_file, *cert_file, *key_file; /* TLS only */
    double timeout_s;                           /* silence after which a peer is given up (10) */
    double connect_timeout_s;                   /* how long to wait for peers to come up (60) */
    uint64_t max_frame;                         /* largest payload accepted, bytes */
    uint64_t max_mailbox;     /* bytes untaken from one peer at which its reader pauses (below) */
    const volatile int *stop; /* set from outside to give up; may be NULL */
} net_options;

typedef struct net net;

/* A full mailbox pauses its reader, but while the caller sleeps in net_wait readers of peers go on
 * of which net_take found no frame since the sleep before: what it needs may be behind others. A
 * peer whose untaken frames then exceed four times max_mailbox has failed. All limits and times
 * must be positive.
 *
 * Connect to every peer in both directions; on TLS both sides show a certificate of ca_file whose
 * subject common name is `party-<index>`, checked against the expected index. Returns NULL with
 * *err. */
net *net_open(const net_options *options, seq_error *err);
/* Orderly end: flush, say goodbye, wait (bounded by timeout) for the peers' goodbyes, close. NULL
 * is ignored, here and in net_abort. */
void net_close(net *n);
/* Tell all peers why (one line, nothing secret), flush for at most one second, close. */
void net_abort(net *n, const char *reason);

/* 64-byte aligned memory for a payload; NULL if memory ran out. Not zeroed. Large buffers are
 * reused, and wiped in the end. net_free is allowed after net_close and net_abort, too. NULL is
 * ignored. */
uint8_t *net_alloc(net *n, size_t bytes);
void net_free(uint8_t *payload);
/* Queue a frame; takes ownership of payload, allocated by net_alloc of the same net. Never blocks.
 * Bytes 0 is allowed, with payload NULL or not. */
void net_send(net *n, unsigned peer, net_tag tag, uint8_t *payload, size_t bytes);

/* The frame with this tag from peer if it is there: 1 and *payload (to be given to net_free), else
 * 0. A length other than `bytes`, or a peer that said goodbye without sending the frame, is
 * SEQ_ERR_PEER in *err and returns -1. */
int net_take(net *n, unsigned peer, net_tag tag, size_t bytes, uint8_t **payload, seq_error *err);
/* Sleep until a frame arrived since the last call, a peer failed, the stop flag is set, or seconds
 * have passed. Returns SEQ_OK or the failure (closed, silent, aborted: names the party). */
seq_status net_wait(net *n, double seconds, seq_error *err);

/* Whether nothing is queued or half here, and every peer said goodbye, or last that it waits and
 * has nothing queued or half there. If that lasts, nobody will ever send. */
int net_stalled(net *n);

/* Bytes exported from the TLS sessions between me and peer (both directions mixed in the same order
 * at both ends), or zeros without TLS: 32 bytes for key agreement. */
void net_exporter(const net *n, unsigned peer, uint8_t out[32]);
/* Bytes so far: payload of data frames queued for peer, payload taken from peer, and all that was
 * queued for peer with headers, heartbeats and goodbyes (before TLS): for reports. */
void net_counts(const net *n, unsigned peer, uint64_t *sent, uint64_t *received,
                uint64_t *wire_sent);
/* Bytes of data frames queued and not yet written, of all peers. When they become few again
 * (QUEUE_FEW of them), a sleeping net_wait returns. */
#define NET_QUEUE_FEW ((uint64_t)32 << 20)
uint64_t net_queued(const net *n);
/* The most bytes that payload buffers have taken so far, those kept for reuse included. */
uint64_t net_memory(const net *n);
/* "memory", "TCP (not encrypted)" or "TLSv1.3 TLS_AES_128_GCM_SHA256": for reports. Lives as long
 * as n. */
const char *net_channel(const net *n);

#ifdef SEQ_TEST
/* Test builds: called on every outgoing data frame before it is queued; may change the payload in
 * place, send others (which come here, too), or return 0 to drop it. */
typedef int (*net_tamper)(void *arg, net *n, unsigned from, unsigned to, net_tag tag,
                          uint8_t *payload, size_t bytes);
void net_set_tamper(net *n, net_tamper fn, void *arg);
#endif

#endif
