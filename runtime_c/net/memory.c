#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"
#include "sync.h"

/* A channel within a process: one ring of bytes for each ordered pair of parties. */

#define PIPE_BYTES ((size_t)256 << 10)

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t head, used; /* first unread byte, number of unread bytes */
    int reader_gone, writer_gone;
    uint8_t *ring;
} byte_pipe;

struct net_hub {
    unsigned parties;
    byte_pipe pipes[NET_MAX_PARTIES][NET_MAX_PARTIES]; /* [from][to] */
};

typedef struct {
    net_stream base;
    byte_pipe *pipe;
    int reads;
} memory_stream;

net_hub *net_hub_create(unsigned parties) {
    if (parties > NET_MAX_PARTIES) {
        return NULL;
    }
    net_hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL) {
        return NULL;
    }
    hub->parties = parties;
    int complete = 1;
    for (unsigned i = 0; i < parties; i++) {
        for (unsigned j = 0; j < parties; j++) {
            byte_pipe *p = &hub->pipes[i][j];
            pthread_mutex_init(&p->lock, NULL);
            cond_init(&p->changed);
            p->ring = i != j ? malloc(PIPE_BYTES) : NULL;
            complete &= i == j || p->ring != NULL;
        }
    }
    if (!complete) {
        net_hub_destroy(hub);
        return NULL;
    }
    return hub;
}

void net_hub_destroy(net_hub *hub) {
    if (hub == NULL) {
        return;
    }
    for (unsigned i = 0; i < hub->parties; i++) {
        for (unsigned j = 0; j < hub->parties; j++) {
            byte_pipe *p = &hub->pipes[i][j];
            pthread_mutex_destroy(&p->lock);
            pthread_cond_destroy(&p->changed);
            if (p->ring != NULL) {
                explicit_bzero(p->ring, PIPE_BYTES);
            }
            free(p->ring);
        }
    }
    free(hub);
}

static ssize_t memory_read(net_stream *s, void *buf, size_t n) {
    byte_pipe *p = ((memory_stream *)s)->pipe;
    pthread_mutex_lock(&p->lock);
    ssize_t got = (ssize_t)(n < p->used ? n : p->used);
    if (p->reader_gone || (got == 0 && p->writer_gone)) {
        got = STREAM_END;
    } else if (got > 0) {
        size_t tail = PIPE_BYTES - p->head, first = (size_t)got < tail ? (size_t)got : tail;
        memcpy(buf, p->ring + p->head, first);
        memcpy((uint8_t *)buf + first, p->ring, (size_t)got - first);
        p->head = (p->head + (size_t)got) % PIPE_BYTES;
        p->used -= (size_t)got;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return got;
}

static ssize_t memory_write(net_stream *s, const void *buf, size_t n) {
    byte_pipe *p = ((memory_stream *)s)->pipe;
    pthread_mutex_lock(&p->lock);
    size_t room = PIPE_BYTES - p->used;
    ssize_t put = (ssize_t)(n < room ? n : room);
    if (p->reader_gone || p->writer_gone) {
        put = STREAM_END;
    } else if (put > 0) {
        size_t at = (p->head + p->used) % PIPE_BYTES;
        size_t tail = PIPE_BYTES - at, first = (size_t)put < tail ? (size_t)put : tail;
        memcpy(p->ring + at, buf, first);
        memcpy(p->ring, (const uint8_t *)buf + first, (size_t)put - first);
        p->used += (size_t)put;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return put;
}

static void memory_wait(net_stream *s, double seconds) {
    memory_stream *m = (memory_stream *)s;
    byte_pipe *p = m->pipe;
    double deadline = now_s() + seconds;
    pthread_mutex_lock(&p->lock);
    while (p->used == (m->reads ? 0 : PIPE_BYTES) && !p->reader_gone && !p->writer_gone) {
        if (!cond_wait_until(&p->changed, &p->lock, deadline)) {
            break;
        }
    }
    pthread_mutex_unlock(&p->lock);
}

static void memory_interrupt(net_stream *s) {
    memory_stream *m = (memory_stream *)s;
    pthread_mutex_lock(&m->pipe->lock);
    *(m->reads ? &m->pipe->reader_gone : &m->pipe->writer_gone) = 1;
    pthread_cond_broadcast(&m->pipe->changed);
    pthread_mutex_unlock(&m->pipe->lock);
}

static void memory_close(net_stream *s) {
    memory_interrupt(s);
    free(s);
}

static const net_stream_ops memory_ops = {memory_read, memory_write, memory_wait, memory_interrupt,
                                          memory_close};

static net_stream *memory_stream_new(byte_pipe *pipe, int reads) {
    memory_stream *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->base.ops = &memory_ops;
    m->base.fd = -1;
    m->pipe = pipe;
    m->reads = reads;
    return &m->base;
}

seq_status memory_streams(net_hub *hub, unsigned me, unsigned parties, net_stream **in,
                          net_stream **out, seq_error *err) {
    if (hub == NULL || hub->parties != parties) {
        return seq_fail(err, SEQ_ERR_OURS, -1, "memory channel without a hub for %u parties",
                        parties);
    }
    for (unsigned p = 0; p < parties; p++) {
        if (p != me) {
            in[p] = memory_stream_new(&hub->pipes[p][me], 1);
            out[p] = memory_stream_new(&hub->pipes[me][p], 0);
            if (in[p] == NULL || out[p] == NULL) {
                return seq_fail(err, SEQ_ERR_MEMORY, -1, "out of memory");
            }
        }
    }
    return SEQ_OK;
}
