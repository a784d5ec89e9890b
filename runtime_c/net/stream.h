#ifndef SEQ_STREAM_H
#define SEQ_STREAM_H
/* A connection between two parties as a stream of bytes: memory, TCP or TLS behind one table.
 *
 * read, write and wait are called by one thread at a time; interrupt may be called by any thread
 * until close. Nothing raises SIGPIPE. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../error.h"
#include "net.h"

typedef struct net_stream net_stream;

enum {
    STREAM_AGAIN = 0,   /* nothing can move now: wait, then try again */
    STREAM_END = -1,    /* the other side closed */
    STREAM_FAILED = -2, /* broken: error says why */
};

typedef struct {
    /* Move at most n > 0 bytes: the number moved (> 0) or one of the codes above. */
    ssize_t (*read)(net_stream *s, void *buf, size_t n);
    ssize_t (*write)(net_stream *s, const void *buf, size_t n);
    /* After STREAM_AGAIN: sleep until it is worth trying again, or `seconds` have passed. */
    void (*wait)(net_stream *s, double seconds);
    /* Wake a sleeping wait; reads and writes end with STREAM_END or STREAM_FAILED from then on.
     * What was written is still delivered. */
    void (*interrupt)(net_stream *s);
    /* Close and free. */
    void (*close)(net_stream *s);
} net_stream_ops;

struct net_stream {
    const net_stream_ops *ops;
    int fd;          /* the socket, or -1: memory */
    short events;    /* what poll should look for after STREAM_AGAIN */
    int final;       /* after STREAM_FAILED: trying again cannot help (certificates) */
    char error[200]; /* after STREAM_FAILED: what went wrong */
};

/* memory.c: me's ends of the pipes of a hub, towards (writing) and from (reading) every peer. */
seq_status memory_streams(net_hub *hub, unsigned me, unsigned parties, net_stream **in,
                          net_stream **out, seq_error *err);

/* tcp.c: a stream over a connected non-blocking socket, which it owns; NULL if memory ran out. */
net_stream *tcp_stream(int fd);
void socket_wait(net_stream *s, double seconds);
void socket_interrupt(net_stream *s);
/* A non-blocking listening socket on `address`, or -1 and *err. */
int tcp_listen(const net_address *address, unsigned me, seq_error *err);
/* The local port of a socket, or 0. */
uint16_t tcp_port(int fd);
/* Start to connect to `address` (the attempt-th of its resolved addresses): a socket, or -1 and
 * why. */
int tcp_dial(const net_address *address, unsigned attempt, char *why, size_t size);
/* 0 while connecting, 1 when connected, -1 and why when it failed. */
int tcp_dialled(int fd, char *why, size_t size);
/* The next connection that waits at a listening socket and its origin ("1.2.3.4:56"), or -1. */
int tcp_accept(int listen_fd, char *from, size_t size);

/* connect.c: a stream to and from every peer over sockets (entry `me` stays NULL), or a failure
 * with everything closed. On TLS also 32 bytes of keying material a peer, the same at both ends. */
seq_status connect_all(const net_options *options, net_stream **in, net_stream **out,
                       uint8_t (*exporter)[32], char *channel, size_t size, seq_error *err);

#endif
