#define _GNU_SOURCE
#include "net.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "frame.h"
#include "stream.h"
#include "sync.h"

/* Threads: for each peer one that writes its outgoing connection and one that reads its incoming
 * one. A single lock guards queues, mailboxes and state; it is held for bookkeeping only, never for
 * I/O.
 *
 * A full mailbox pauses its reader, but only while the VM does not wait for that peer: a VM that
 * found a frame missing and sleeps in net_wait may wait for one that is still unread behind the
 * others, so then that peer's reader goes on, frame by frame. A peer that gets FLOOD times the
 * limit ahead of a VM that waits for it is at fault; one that runs ahead of others is held up. */

#define STAGE_BYTES ((size_t)64 << 10)  /* small frames are gathered in runs of this size */
#define DIRECT_BYTES ((size_t)64 << 10) /* frames up to this size the caller may write itself */
#define REMAINDER UINT32_MAX /* kind of a queue entry: the end of a frame begun by the caller */
#define BOX_LISTS 1024u
#define BOX_OVERHEAD 256u /* what a frame in a mailbox costs besides its payload, at most */
#define FLOOD 4u
#define HEARTBEAT_SECONDS 1.0
#define SLICE_SECONDS 0.1  /* how often a sleeping VM looks at the stop flag */
#define LINGER_SECONDS 1.0 /* how long an abort may take to be sent */
#define GRACE_SECONDS 0.5  /* how long a reader may take to learn why a write failed */

typedef struct {
    net *net;
    unsigned index;
    net_stream *in, *out;
    pthread_t sender, receiver;
    int threads; /* how many of the two run */

    pthread_cond_t queued; /* the sender waits here for frames */
    net_buffer *queue, **queue_end;
    int writing;     /* somebody writes to `out`: nobody else may */
    int sender_done; /* it wrote its last frame, or cannot write */

    net_buffer *box[BOX_LISTS];
    size_t box_bytes;
    int wanted;          /* a frame of it was missing since the last sleep */
    int goodbye, failed; /* how the incoming direction ended */
    int waits;           /* its last frame was a heartbeat that said: I wait */
    int midway;          /* part of a frame is here */

    uint64_t sent, received, wire_sent;
    uint8_t exporter[32];
} net_peer;

struct net {
    net_options options;
    net_pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t arrived; /* a frame, a goodbye, a failure, a sender's end */
    pthread_cond_t room;    /* a paused reader may go on */
    net_peer peers[NET_MAX_PARTIES];
    uint64_t arrivals, seen;
    double arrived_at;                           /* when the last frame but heartbeats came */
    uint64_t queued;                             /* bytes of data frames not yet written */
    uint8_t direct[FRAME_HEADER + DIRECT_BYTES]; /* the caller's */
    int starving;                                /* the VM sleeps in net_wait */
    int closing;  /* no reader pauses any more, failures do not matter */
    int aborting; /* senders drop data frames */
    seq_error failure;
    char channel[64];
#ifdef SEQ_TEST
    net_tamper tamper;
    void *tamper_arg;
#endif
};

/* ---- failures ---- */

static void fail(net_peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(net_peer *p, const char *fmt, ...) {
    net *n = p->net;
    char text[sizeof n->failure.message];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&n->lock);
    p->failed = 1;
    seq_fail(&n->failure, SEQ_ERR_PEER, (int)p->index, "party %u %s", p->index, text);
    pthread_cond_broadcast(&n->arrived);
    pthread_mutex_unlock(&n->lock);
}

#define CLOSED                                                                                     \
    "closed the connection before the run was over: it failed, was stopped or lost the network"

/* ---- sending ---- */

typedef struct {
    net_stream *stream;
    size_t used;
    uint8_t bytes[STAGE_BYTES];
} stage;

static int write_all(net_stream *s, const uint8_t *data, size_t n) {
    while (n > 0) {
        ssize_t put = s->ops->write(s, data, n);
        if (put < 0) {
            return -1;
        }
        if (put == STREAM_AGAIN) {
            s->ops->wait(s, 3600); /* the reader judges whether the peer lives */
            continue;
        }
        data += put;
        n -= (size_t)put;
    }
    return 0;
}

static int stage_flush(stage *w) {
    size_t n = w->used;
    w->used = 0;
    return n > 0 ? write_all(w->stream, w->bytes, n) : 0;
}

/* Small pieces are gathered; what fills the stage and more goes to the stream without a copy. */
static int stage_put(stage *w, const uint8_t *data, size_t n) {
    while (n > 0) {
        if (w->used == 0 && n >= STAGE_BYTES) {
            return write_all(w->stream, data, n);
        }
        size_t room = STAGE_BYTES - w->used, part = n < room ? n : room;
        memcpy(w->bytes + w->used, data, part);
        w->used += part;
        data += part;
        n -= part;
        if (w->used == STAGE_BYTES && stage_flush(w) != 0) {
            return -1;
        }
    }
    return 0;
}

static int stage_frame(stage *w, const net_buffer *frame) {
    if (frame->kind == REMAINDER) {
        return stage_put(w, frame->data, frame->bytes);
    }
    uint8_t header[FRAME_HEADER];
    frame_encode(header,
                 &(frame_header){.tag = frame->tag, .kind = frame->kind, .bytes = frame->bytes});
    return stage_put(w, header, sizeof header) != 0 || stage_put(w, frame->data, frame->bytes) != 0
               ? -1
               : 0;
}

/* Append to the peer's queue; lock held. The caller wakes the sender, if it can once it has given
 * the lock back. */
static void enqueue(net_peer *p, net_buffer *frame) {
    if (p->sender_done) {
        pool_give(frame);
        return;
    }
    frame->next = NULL;
    *p->queue_end = frame;
    p->queue_end = &frame->next;
    p->wire_sent += FRAME_HEADER + frame->bytes;
}

/* Whether the VM waits and nothing is on its way, here at least; lock held. */
static int idle(const net *n) {
    int quiet = n->starving && n->queued == 0 && now_s() - n->arrived_at > HEARTBEAT_SECONDS;
    for (unsigned i = 0; i < n->options.parties; i++) {
        quiet &= !n->peers[i].midway;
    }
    return quiet;
}

static void enqueue_control(net_peer *p, uint32_t kind, const char *text) {
    size_t bytes = strnlen(text, FRAME_REASON);
    net_buffer *frame = pool_take(p->net->pool, bytes);
    if (frame != NULL) {
        frame->kind = kind;
        frame->tag.step = kind == FRAME_HEARTBEAT && idle(p->net);
        memcpy(frame->data, text, bytes);
        enqueue(p, frame);
        pthread_cond_signal(&p->queued);
    }
}

/* Everything queued for the peer, at the latest a heartbeat; lock held. */
static net_buffer *next_batch(net_peer *p) {
    net *n = p->net;
    double quarter = n->options.timeout_s / 4;
    double pause = quarter < HEARTBEAT_SECONDS ? quarter : HEARTBEAT_SECONDS;
    double deadline = now_s() + pause;
    while (p->queue == NULL || p->writing) {
        if (!cond_wait_until(&p->queued, &n->lock, deadline) && p->queue == NULL) {
            enqueue_control(p, FRAME_HEARTBEAT, "");
            deadline = now_s() + pause;
        }
    }
    net_buffer *batch = p->queue;
    p->queue = NULL;
    p->queue_end = &p->queue;
    p->writing = 1;
    return batch;
}

static void free_frames(net_buffer *list) {
    while (list != NULL) {
        net_buffer *next = list->next;
        pool_give(list);
        list = next;
    }
}

/* A data frame leaves the queue. */
static void written(net *n, size_t bytes) {
    pthread_mutex_lock(&n->lock);
    int many = n->queued > NET_QUEUE_FEW;
    n->queued -= bytes;
    if (many && n->queued <= NET_QUEUE_FEW) {
        n->arrivals++;
        pthread_cond_broadcast(&n->arrived);
    }
    pthread_mutex_unlock(&n->lock);
}

/* Write a batch; 1 after its last frame, -1 if the connection broke, else 0. Frees it. */
static int send_batch(net_peer *p, stage *w, net_buffer *batch) {
    net *n = p->net;
    int state = 0;
    while (batch != NULL && state == 0) {
        net_buffer *frame = batch;
        batch = frame->next;
        pthread_mutex_lock(&n->lock);
        int skip = n->aborting && frame->kind == FRAME_DATA;
        pthread_mutex_unlock(&n->lock);
        if (!skip && stage_frame(w, frame) != 0) {
            state = -1;
        } else if (frame->kind == FRAME_GOODBYE || frame->kind == FRAME_ABORT) {
            state = 1;
        }
        if (frame->kind == FRAME_DATA) {
            written(n, frame->bytes);
        }
        pool_give(frame);
    }
    free_frames(batch);
    return state >= 0 && stage_flush(w) != 0 ? -1 : state;
}

/* A write failed. The reader of the same peer is better at saying why: give it a moment. */
static void sender_failed(net_peer *p) {
    net *n = p->net;
    double deadline = now_s() + GRACE_SECONDS;
    pthread_mutex_lock(&n->lock);
    while (!p->goodbye && !p->failed && !n->closing) {
        if (!cond_wait_until(&n->arrived, &n->lock, deadline)) {
            break;
        }
    }
    int silent = p->goodbye || p->failed || n->closing;
    pthread_mutex_unlock(&n->lock);
    if (!silent) {
        fail(p, CLOSED);
    }
}

static void *sender_main(void *arg) {
    net_peer *p = arg;
    net *n = p->net;
    stage *w = malloc(sizeof *w);
    int state = w == NULL ? -1 : 0;
    if (w != NULL) {
        w->stream = p->out;
        w->used = 0;
    }
    while (state == 0) {
        pthread_mutex_lock(&n->lock);
        net_buffer *batch = next_batch(p);
        pthread_mutex_unlock(&n->lock);
        state = send_batch(p, w, batch);
        pthread_mutex_lock(&n->lock);
        p->writing = 0;
        pthread_mutex_unlock(&n->lock);
    }
    if (w != NULL) {
        explicit_bzero(w, sizeof *w);
        free(w);
    }
    if (state < 0) {
        sender_failed(p);
    }
    pthread_mutex_lock(&n->lock);
    p->sender_done = 1;
    free_frames(p->queue);
    p->queue = NULL;
    p->queue_end = &p->queue;
    pthread_cond_broadcast(&n->arrived);
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

/* ---- receiving ---- */

typedef struct {
    size_t begin, end;
    uint8_t bytes[STAGE_BYTES];
} inbox;

enum { READ_SILENT = -3 };

/* Some bytes (> 0), STREAM_END, STREAM_FAILED, or READ_SILENT. */
static ssize_t read_some(net_peer *p, uint8_t *out, size_t n) {
    double deadline = now_s() + p->net->options.timeout_s;
    for (;;) {
        ssize_t got = p->in->ops->read(p->in, out, n);
        if (got != STREAM_AGAIN) {
            return got;
        }
        double left = deadline - now_s();
        if (left <= 0) {
            return READ_SILENT;
        }
        p->in->ops->wait(p->in, left);
    }
}

/* Exactly n bytes: small pieces through the inbox, large ones straight to their place. On failure
 * the peer's failure is recorded. */
static int read_exact(net_peer *p, inbox *r, uint8_t *out, size_t n) {
    ssize_t got = 1;
    while (n > 0) {
        size_t ready = r->end - r->begin;
        if (ready > 0) {
            size_t part = n < ready ? n : ready;
            memcpy(out, r->bytes + r->begin, part);
            r->begin += part;
            out += part;
            n -= part;
        } else if (n >= STAGE_BYTES) {
            if ((got = read_some(p, out, n)) < 0) {
                break;
            }
            out += got;
            n -= (size_t)got;
        } else {
            if ((got = read_some(p, r->bytes, STAGE_BYTES)) < 0) {
                break;
            }
            r->begin = 0;
            r->end = (size_t)got;
        }
    }
    if (got == READ_SILENT) {
        fail(p, "sent nothing for %g s: it hangs, is overloaded, or the network broke",
             p->net->options.timeout_s);
    } else if (got == STREAM_END) {
        fail(p, CLOSED);
    } else if (got == STREAM_FAILED) {
        fail(p, "cannot be read from: %s", p->in->error);
    }
    return got < 0 ? -1 : 0;
}

static net_buffer **box_find(net_peer *p, net_tag tag) {
    uint64_t mixed = (tag.instance ^ (uint64_t)tag.step << 40) * 0x9E3779B97F4A7C15u;
    net_buffer **at = &p->box[mixed >> 32 & (BOX_LISTS - 1)];
    while (*at != NULL && ((*at)->tag.instance != tag.instance || (*at)->tag.step != tag.step)) {
        at = &(*at)->next;
    }
    return at;
}

static size_t box_cost(const net_buffer *frame) {
    return frame->bytes + BOX_OVERHEAD;
}

/* Put a frame into the mailbox; 0, or -1 if the peer misbehaves (recorded). */
static int deliver(net_peer *p, net_buffer *frame) {
    net *n = p->net;
    net_tag tag = frame->tag;
    pthread_mutex_lock(&n->lock);
    net_buffer **at = box_find(p, tag);
    p->midway = 0;
    n->arrived_at = now_s();
    int twice = *at != NULL;
    size_t held = p->box_bytes;
    int flood = held / FLOOD > n->options.max_mailbox;
    if (!twice && !flood) {
        frame->next = NULL;
        *at = frame;
        p->box_bytes += box_cost(frame);
        n->arrivals++;
    }
    int awaited = n->starving;
    pthread_mutex_unlock(&n->lock);
    if (awaited) { /* the VM finds the lock free */
        pthread_cond_broadcast(&n->arrived);
    }
    if (twice) {
        fail(p, "sent the frame of instruction %llu (machine %u, chunk %u, step %u) twice",
             (unsigned long long)(tag.instance >> 16), (unsigned)(tag.instance & 0xffff),
             tag.step >> 8, tag.step & 0xff);
    } else if (flood) {
        fail(p, "sent %llu bytes that nobody asked for", (unsigned long long)held);
    }
    if (twice || flood) {
        pool_give(frame);
        return -1;
    }
    return 0;
}

static void pause_while_full(net_peer *p) {
    net *n = p->net;
    pthread_mutex_lock(&n->lock);
    while (p->box_bytes > n->options.max_mailbox && !(n->starving && p->wanted) && !n->closing) {
        pthread_cond_wait(&n->room, &n->lock);
    }
    pthread_mutex_unlock(&n->lock);
}

/* Read one frame and act on it: 0 to go on, 1 at the peer's orderly end, -1 on failure (recorded).
 */
static int receive_frame(net_peer *p, inbox *r) {
    net *n = p->net;
    uint8_t bytes[FRAME_HEADER];
    frame_header header;
    char why[128];
    if (read_exact(p, r, bytes, sizeof bytes) != 0) {
        return -1;
    }
    if (frame_decode(bytes, n->options.max_frame, &header, why, sizeof why) != NULL) {
        fail(p, "sent a malformed frame: %s", why);
        return -1;
    }
    int heartbeat = header.kind == FRAME_HEARTBEAT;
    pthread_mutex_lock(&n->lock);
    p->waits = heartbeat && header.tag.step == 1;
    p->midway = !heartbeat;
    pthread_mutex_unlock(&n->lock);
    if (heartbeat) {
        return 0;
    }
    if (header.kind == FRAME_GOODBYE) {
        pthread_mutex_lock(&n->lock);
        p->goodbye = 1;
        p->midway = 0;
        n->arrivals++;
        pthread_cond_broadcast(&n->arrived);
        pthread_mutex_unlock(&n->lock);
        return 1;
    }
    net_buffer *frame = pool_take(n->pool, header.bytes);
    if (frame == NULL) {
        fail(p, "sent a frame of %llu bytes, and there is no memory for it",
             (unsigned long long)header.bytes);
        return -1;
    }
    frame->tag = header.tag;
    if (read_exact(p, r, frame->data, header.bytes) != 0) {
        pool_give(frame);
        return -1;
    }
    if (header.kind == FRAME_ABORT) {
        char reason[FRAME_REASON + 1];
        frame_printable(reason, sizeof reason, frame->data, frame->bytes);
        pool_give(frame);
        fail(p, "gave up: %s", reason);
        return -1;
    }
    return deliver(p, frame);
}

static void *receiver_main(void *arg) {
    net_peer *p = arg;
    inbox *r = malloc(sizeof *r);
    if (r == NULL) {
        fail(p, "cannot be read from: out of memory");
        return NULL;
    }
    r->begin = r->end = 0;
    do {
        pause_while_full(p);
    } while (receive_frame(p, r) == 0);
    explicit_bzero(r, sizeof *r);
    free(r);
    return NULL;
}

/* ---- opening and closing ---- */

static seq_status check_options(net_options *o, seq_error *err) {
    if (o->parties < 1 || o->parties > NET_MAX_PARTIES || o->me >= o->parties) {
        return seq_fail(err, SEQ_ERR_CONFIG, -1, "party %u of %u: there may be 1 to %d parties",
                        o->me, o->parties, NET_MAX_PARTIES);
    }
    if (!(o->timeout_s > 0) || !(o->connect_timeout_s > 0) || o->max_frame == 0 ||
        o->max_mailbox == 0) {
        return seq_fail(err, SEQ_ERR_CONFIG, -1, "time limits and size limits must be positive");
    }
    return SEQ_OK;
}

/* Threads take no signals: those belong to the program around us. */
static seq_status start_threads(net *n, seq_error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int ok = 1;
    for (unsigned i = 0; i < n->options.parties && ok; i++) {
        net_peer *p = &n->peers[i];
        if (i != n->options.me) {
            ok = pthread_create(&p->sender, NULL, sender_main, p) == 0 && ++p->threads == 1 &&
                 pthread_create(&p->receiver, NULL, receiver_main, p) == 0 && ++p->threads == 2;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok ? SEQ_OK : seq_fail(err, SEQ_ERR_MEMORY, -1, "cannot start threads");
}

static net *net_new(const net_options *options) {
    net *n = calloc(1, sizeof *n);
    if (n == NULL || (n->pool = pool_create()) == NULL) {
        free(n);
        return NULL;
    }
    n->options = *options;
    pthread_mutex_init(&n->lock, NULL);
    cond_init(&n->arrived);
    cond_init(&n->room);
    for (unsigned i = 0; i < NET_MAX_PARTIES; i++) {
        net_peer *p = &n->peers[i];
        p->net = n;
        p->index = i;
        p->queue_end = &p->queue;
        cond_init(&p->queued);
    }
    return n;
}

/* Wake and join all threads, close all connections, free everything. */
static void net_destroy(net *n) {
    pthread_mutex_lock(&n->lock);
    n->closing = 1;
    n->aborting = 1;
    for (unsigned i = 0; i < n->options.parties; i++) {
        enqueue_control(&n->peers[i], FRAME_GOODBYE, ""); /* ends a sender that waits for work */
    }
    pthread_cond_broadcast(&n->room);
    pthread_cond_broadcast(&n->arrived);
    pthread_mutex_unlock(&n->lock);
    for (unsigned i = 0; i < n->options.parties; i++) {
        net_stream *ends[] = {n->peers[i].in, n->peers[i].out};
        for (int e = 0; e < 2; e++) {
            if (ends[e] != NULL) {
                ends[e]->ops->interrupt(ends[e]);
            }
        }
    }
    for (unsigned i = 0; i < NET_MAX_PARTIES; i++) {
        net_peer *p = &n->peers[i];
        if (p->threads > 0) {
            pthread_join(p->sender, NULL);
        }
        if (p->threads > 1) {
            pthread_join(p->receiver, NULL);
        }
        if (p->in != NULL) {
            p->in->ops->close(p->in);
        }
        if (p->out != NULL) {
            p->out->ops->close(p->out);
        }
        free_frames(p->queue);
        for (unsigned list = 0; list < BOX_LISTS; list++) {
            free_frames(p->box[list]);
        }
        pthread_cond_destroy(&p->queued);
    }
    pthread_cond_destroy(&n->arrived);
    pthread_cond_destroy(&n->room);
    pthread_mutex_destroy(&n->lock);
    pool_close(n->pool);
    explicit_bzero(n, sizeof *n);
    free(n);
}

net *net_open(const net_options *options, seq_error *err) {
    seq_error local = {0};
    net_options checked = *options;
    net *n = NULL;
    if (check_options(&checked, &local) == SEQ_OK && (n = net_new(&checked)) == NULL) {
        seq_fail(&local, SEQ_ERR_MEMORY, -1, "out of memory");
    }
    if (n != NULL) {
        net_stream *in[NET_MAX_PARTIES] = {0}, *out[NET_MAX_PARTIES] = {0};
        uint8_t exporter[NET_MAX_PARTIES][32] = {{0}};
        if (checked.kind == NET_MEMORY) {
            (void)snprintf(n->channel, sizeof n->channel, "memory");
            memory_streams(checked.hub, checked.me, checked.parties, in, out, &local);
        } else {
            connect_all(&checked, in, out, exporter, n->channel, sizeof n->channel, &local);
        }
        for (unsigned i = 0; i < checked.parties; i++) {
            n->peers[i].in = in[i];
            n->peers[i].out = out[i];
            memcpy(n->peers[i].exporter, exporter[i], 32);
        }
        explicit_bzero(exporter, sizeof exporter);
    }
    if (local.status == SEQ_OK) {
        start_threads(n, &local);
    }
    if (local.status != SEQ_OK) {
        if (n != NULL) {
            net_destroy(n);
        }
        if (err != NULL && err->status == SEQ_OK) {
            *err = local;
        }
        return NULL;
    }
    return n;
}

/* Sleep until every sender is done and, if asked, every peer said goodbye or failed; lock held. */
static void wait_for_ends(net *n, int goodbyes, double seconds) {
    double deadline = now_s() + seconds;
    for (;;) {
        int all = 1;
        for (unsigned i = 0; i < n->options.parties; i++) {
            const net_peer *p = &n->peers[i];
            all &= i == n->options.me ||
                   ((p->sender_done || p->failed) && (!goodbyes || p->goodbye || p->failed));
        }
        double now = now_s();
        if (all || now >= deadline || (goodbyes && stop_raised(n->options.stop))) {
            return;
        }
        double slice = now + SLICE_SECONDS;
        (void)cond_wait_until(&n->arrived, &n->lock, slice < deadline ? slice : deadline);
    }
}

void net_close(net *n) {
    if (n == NULL) {
        return;
    }
    pthread_mutex_lock(&n->lock);
    n->closing = 1;
    for (unsigned i = 0; i < n->options.parties; i++) {
        if (i != n->options.me) {
            enqueue_control(&n->peers[i], FRAME_GOODBYE, "");
        }
    }
    pthread_cond_broadcast(&n->room);
    wait_for_ends(n, 1, n->options.timeout_s);
    pthread_mutex_unlock(&n->lock);
    net_destroy(n);
}

void net_abort(net *n, const char *reason) {
    if (n == NULL) {
        return;
    }
    pthread_mutex_lock(&n->lock);
    n->closing = 1;
    n->aborting = 1;
    for (unsigned i = 0; i < n->options.parties; i++) {
        if (i != n->options.me) {
            enqueue_control(&n->peers[i], FRAME_ABORT, reason != NULL ? reason : "");
        }
    }
    pthread_cond_broadcast(&n->room);
    wait_for_ends(n, 0, LINGER_SECONDS);
    pthread_mutex_unlock(&n->lock);
    net_destroy(n);
}

/* ---- frames ---- */

uint8_t *net_alloc(net *n, size_t bytes) {
    net_buffer *buffer = pool_take(n->pool, bytes);
    return buffer != NULL ? buffer->data : NULL;
}

void net_free(uint8_t *payload) {
    if (payload != NULL) {
        pool_give(buffer_of(payload));
    }
}

/* Write a small frame without waking the sender, as far as that goes without waiting: what is left
 * the sender writes before anything else. p->writing is mine. */
static void write_direct(net_peer *p, net_buffer *frame) {
    net *n = p->net;
    size_t total = FRAME_HEADER + frame->bytes, done = 0;
    frame_encode(n->direct,
                 &(frame_header){.tag = frame->tag, .kind = frame->kind, .bytes = frame->bytes});
    memcpy(n->direct + FRAME_HEADER, frame->data, frame->bytes);
    for (ssize_t put = 1; done < total && put > 0; done += put > 0 ? (size_t)put : 0) {
        put = p->out->ops->write(p->out, n->direct + done, total - done);
    }
    pool_give(frame);
    net_buffer *rest = done < total ? pool_take(n->pool, total - done) : NULL;
    if (rest != NULL) {
        rest->kind = REMAINDER;
        memcpy(rest->data, n->direct + done, total - done);
    } else if (done < total) {
        fail(p, "cannot be sent to: out of memory");
    }
    pthread_mutex_lock(&n->lock);
    p->writing = 0;
    if (rest != NULL) {
        rest->next = p->queue;
        p->queue_end = p->queue == NULL ? &rest->next : p->queue_end;
        p->queue = rest;
    }
    if (p->queue != NULL) {
        pthread_cond_signal(&p->queued);
    }
    pthread_mutex_unlock(&n->lock);
}

void net_send(net *n, unsigned peer, net_tag tag, uint8_t *payload, size_t bytes) {
    net_peer *p = &n->peers[peer];
    net_buffer *frame = payload != NULL ? buffer_of(payload) : pool_take(n->pool, 0);
#ifdef SEQ_TEST
    if (frame != NULL && n->tamper != NULL &&
        !n->tamper(n->tamper_arg, n, n->options.me, peer, tag, frame->data, bytes)) {
        pool_give(frame);
        return;
    }
#endif
    if (frame == NULL) {
        fail(p, "cannot be sent to: out of memory");
        return;
    }
    frame->tag = tag;
    frame->kind = FRAME_DATA;
    frame->bytes = bytes;
    pthread_mutex_lock(&n->lock);
    p->sent += bytes;
    int direct = bytes <= DIRECT_BYTES && p->queue == NULL && !p->writing && !p->sender_done;
    if (direct) {
        p->writing = 1;
        p->wire_sent += FRAME_HEADER + bytes;
    } else {
        n->queued += p->sender_done ? 0 : bytes;
        enqueue(p, frame);
    }
    pthread_mutex_unlock(&n->lock);
    if (direct) {
        write_direct(p, frame);
    } else {
        pthread_cond_signal(&p->queued);
    }
}

int net_take(net *n, unsigned peer, net_tag tag, size_t bytes, uint8_t **payload, seq_error *err) {
    net_peer *p = &n->peers[peer];
    pthread_mutex_lock(&n->lock);
    net_buffer **at = box_find(p, tag), *frame = *at;
    int ended = p->goodbye;
    p->wanted |= frame == NULL;
    if (frame != NULL) {
        *at = frame->next;
        p->box_bytes -= box_cost(frame);
        p->received += frame->bytes;
        if (p->box_bytes <= n->options.max_mailbox) {
            pthread_cond_broadcast(&n->room);
        }
    }
    pthread_mutex_unlock(&n->lock);
    if (frame != NULL && frame->bytes == bytes) {
        *payload = frame->data;
        return 1;
    }
    if (frame == NULL && !ended) {
        return 0;
    }
    char what[160];
    (void)snprintf(what, sizeof what, "instruction %llu (machine %u, chunk %u, step %u)",
                   (unsigned long long)(tag.instance >> 16), (unsigned)(tag.instance & 0xffff),
                   tag.step >> 8, tag.step & 0xff);
    if (frame == NULL) {
        seq_fail(err, SEQ_ERR_PEER, (int)peer, "party %u ended its run before sending %s", peer,
                 what);
        return -1;
    }
    seq_fail(err, SEQ_ERR_PEER, (int)peer, "party %u sent %zu bytes for %s, expected %zu", peer,
             frame->bytes, what, bytes);
    pool_give(frame);
    return -1;
}

seq_status net_wait(net *n, double seconds, seq_error *err) {
    double deadline = now_s() + seconds;
    seq_status status = SEQ_OK;
    pthread_mutex_lock(&n->lock);
    for (;;) {
        double now = now_s();
        if (n->failure.status != SEQ_OK) {
            status = n->failure.status;
            if (err != NULL && err->status == SEQ_OK) {
                *err = n->failure;
            }
            break;
        }
        if (stop_raised(n->options.stop)) {
            status = seq_fail(err, SEQ_ERR_STOPPED, -1, "stopped");
            break;
        }
        if (n->arrivals != n->seen || now >= deadline) {
            n->seen = n->arrivals;
            break;
        }
        n->starving = 1;
        pthread_cond_broadcast(&n->room);
        double slice = now + SLICE_SECONDS;
        (void)cond_wait_until(&n->arrived, &n->lock, slice < deadline ? slice : deadline);
        n->starving = 0;
    }
    for (unsigned i = 0; i < n->options.parties; i++) {
        n->peers[i].wanted = 0;
    }
    pthread_mutex_unlock(&n->lock);
    return status;
}

int net_stalled(net *n) {
    pthread_mutex_lock(&n->lock);
    n->starving = 1; /* the caller is only here to go on waiting */
    int all = idle(n);
    n->starving = 0;
    for (unsigned i = 0; i < n->options.parties; i++) {
        all &= i == n->options.me || n->peers[i].waits || n->peers[i].goodbye;
    }
    pthread_mutex_unlock(&n->lock);
    return all;
}

void net_exporter(const net *n, unsigned peer, uint8_t out[32]) {
    memcpy(out, n->peers[peer].exporter, 32);
}

void net_counts(const net *n, unsigned peer, uint64_t *sent, uint64_t *received,
                uint64_t *wire_sent) {
    pthread_mutex_t *lock = (pthread_mutex_t *)&n->lock;
    pthread_mutex_lock(lock);
    *sent = n->peers[peer].sent;
    *received = n->peers[peer].received;
    *wire_sent = n->peers[peer].wire_sent;
    pthread_mutex_unlock(lock);
}

uint64_t net_queued(const net *n) {
    pthread_mutex_t *lock = (pthread_mutex_t *)&n->lock;
    pthread_mutex_lock(lock);
    uint64_t queued = n->queued;
    pthread_mutex_unlock(lock);
    return queued;
}

uint64_t net_memory(const net *n) {
    return pool_peak(n->pool);
}

const char *net_channel(const net *n) {
    return n->channel;
}

#ifdef SEQ_TEST
void net_set_tamper(net *n, net_tamper fn, void *arg) {
    n->tamper = fn;
    n->tamper_arg = arg;
}
#endif
