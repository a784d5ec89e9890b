#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "stream.h"
#include "sync.h"
#include "tls.h"

/* Connecting: party i listens on address[i]; every other party j dials it for the direction j -> i
 * and sends a preamble (magic, version, number of parties, from, to), which i answers (magic,
 * version, verdict). One thread polls all connections at once, so that the order in which parties
 * come up does not matter. Whoever knocks without being a party is turned away and remembered,
 * nothing more; what the dialled party answers is believed, and a mistake that time cannot heal
 * ends the attempt. */

#define VERSION 1u
#define PREAMBLE 24
#define ANSWER 16
static const char preamble_magic[8] = "SEQ-HELO", answer_magic[8] = "SEQ-WELC";

enum { ACCEPTED = 0, OTHER_VERSION = 1, OTHER_COUNT = 2, NOT_ME = 3, OTHER_NAME = 4, NO_TLS = 5 };

#define KNOCKS 32         /* unidentified connections kept at a time */
#define KNOCK_SECONDS 5.0 /* how long one may take to say who it is */
#define RETRY_SECONDS 0.1
#define SLICE_SECONDS 0.1 /* how often the stop flag is looked at */

typedef enum { IDLE, DIALLING, SENDING, RECEIVING, READY } link_state;

typedef struct {
    link_state state;
    int fd; /* while DIALLING; then the stream owns it */
    net_stream *stream;
    double when; /* IDLE: next attempt; an unidentified connection: when it is given up */
    unsigned attempts;
    size_t done;
    uint8_t bytes[PREAMBLE];
    char note[256]; /* the last thing that went wrong, or where it comes from */
} net_link;

typedef struct {
    const net_options *options;
    tls_context *tls;
    int listen_fd;
    net_link out[NET_MAX_PARTIES], in[NET_MAX_PARTIES], knocks[KNOCKS];
    unsigned refused;  /* connections turned away */
    char refusal[400]; /* the last of them */
    seq_error *err;
} joiner;

static void link_reset(net_link *l) {
    if (l->stream != NULL) {
        l->stream->ops->close(l->stream);
    } else if (l->state == DIALLING) {
        (void)close(l->fd);
    }
    l->stream = NULL;
    l->state = IDLE;
    l->done = 0;
    l->when = now_s() + RETRY_SECONDS;
}

static net_stream *make_stream(joiner *j, int fd, int server) {
    net_stream *s = j->tls != NULL ? tls_stream(j->tls, fd, server) : tcp_stream(fd);
    if (s == NULL) {
        (void)close(fd);
        seq_fail(j->err, SEQ_ERR_MEMORY, -1, "out of memory");
    }
    return s;
}

static void put_u32(uint8_t *at, uint32_t value) {
    value = htole32(value);
    memcpy(at, &value, 4);
}

static uint32_t get_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return le32toh(value);
}

/* Why a stream ended, for people. */
static const char *ending(ssize_t code, const net_stream *s) {
    return code == STREAM_END ? "it closed the connection" : s->error;
}

/* Move bytes until `n` are done: 1 done, STREAM_AGAIN, or why not. */
static ssize_t exchange(net_link *l, int writes, size_t n) {
    while (l->done < n) {
        net_stream *s = l->stream;
        ssize_t moved = writes ? s->ops->write(s, l->bytes + l->done, n - l->done)
                               : s->ops->read(s, l->bytes + l->done, n - l->done);
        if (moved <= 0) {
            return moved;
        }
        l->done += (size_t)moved;
    }
    return 1;
}

/* ---- dialling ---- */

static void dial(joiner *j, unsigned peer) {
    net_link *l = &j->out[peer];
    l->fd = tcp_dial(&j->options->address[peer], l->attempts++, l->note, sizeof l->note);
    l->state = l->fd >= 0 ? DIALLING : IDLE;
    l->when = now_s() + RETRY_SECONDS;
}

static void dialled(joiner *j, unsigned peer) {
    net_link *l = &j->out[peer];
    int up = tcp_dialled(l->fd, l->note, sizeof l->note);
    if (up == 0) {
        return;
    }
    if (up < 0) {
        link_reset(l);
        return;
    }
    l->stream = make_stream(j, l->fd, 0);
    l->state = l->stream != NULL ? SENDING : IDLE;
    l->done = 0;
    memcpy(l->bytes, preamble_magic, 8);
    put_u32(l->bytes + 8, VERSION);
    put_u32(l->bytes + 12, j->options->parties);
    put_u32(l->bytes + 16, j->options->me);
    put_u32(l->bytes + 20, peer);
}

/* The answer of the party we dialled is complete. */
static void judge_answer(joiner *j, unsigned peer) {
    net_link *l = &j->out[peer];
    const net_address *address = &j->options->address[peer];
    char name[64];
    if (memcmp(l->bytes, answer_magic, 8) != 0) {
        (void)snprintf(l->note, sizeof l->note, "what listens there is not a party");
        link_reset(l);
        return;
    }
    if (j->tls != NULL && tls_peer(l->stream, name, sizeof name) != (int)peer) {
        seq_fail(j->err, SEQ_ERR_CONFIG, (int)peer,
                 "%s:%u, the address of party %u, shows the certificate of `%s`: addresses or "
                 "certificates are swapped",
                 address->host, address->port, peer, name);
        return;
    }
    switch (get_u32(l->bytes + 12)) {
    case ACCEPTED:
        l->state = READY;
        break;
    case OTHER_VERSION:
        seq_fail(j->err, SEQ_ERR_PEER, (int)peer,
                 "party %u speaks version %u of the wire protocol, this one %u: install the same "
                 "release everywhere",
                 peer, get_u32(l->bytes + 8), VERSION);
        break;
    case OTHER_COUNT:
        seq_fail(j->err, SEQ_ERR_PEER, (int)peer,
                 "party %u expects another number of parties than %u", peer, j->options->parties);
        break;
    case NOT_ME:
        seq_fail(j->err, SEQ_ERR_CONFIG, (int)peer,
                 "another party listens at %s:%u, the address given for party %u: compare the "
                 "addresses in the configurations",
                 address->host, address->port, peer);
        break;
    case OTHER_NAME:
        seq_fail(j->err, SEQ_ERR_CONFIG, (int)peer,
                 "party %u refused us: our certificate does not name party-%u", peer,
                 j->options->me);
        break;
    default:
        seq_fail(j->err, SEQ_ERR_PEER, (int)peer, "party %u refused us for an unknown reason",
                 peer);
    }
}

static void advance_out(joiner *j, unsigned peer) {
    net_link *l = &j->out[peer];
    if (l->state == IDLE && now_s() >= l->when) {
        dial(j, peer);
    }
    if (l->state == DIALLING) {
        dialled(j, peer);
    }
    ssize_t code = 1;
    if (l->state == SENDING && (code = exchange(l, 1, PREAMBLE)) == 1) {
        l->state = RECEIVING;
        l->done = 0;
    }
    if (l->state == RECEIVING && (code = exchange(l, 0, ANSWER)) == 1) {
        judge_answer(j, peer);
    }
    if (code < 0) {
        (void)snprintf(l->note, sizeof l->note, "%s", ending(code, l->stream));
        int alert = j->tls == NULL && l->done >= 2 && l->bytes[0] == 0x15 && l->bytes[1] == 0x03;
        if (l->stream->final) {
            seq_fail(j->err, SEQ_ERR_CONFIG, (int)peer, "party %u: %s", peer, l->note);
        } else if (l->state == RECEIVING && alert) {
            seq_fail(j->err, SEQ_ERR_CONFIG, (int)peer,
                     "party %u: it speaks TLS, this party does not: use TLS everywhere or nowhere",
                     peer);
        }
        link_reset(l);
    }
}

/* ---- being dialled ---- */

static void turn_away(joiner *j, net_link *l, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void turn_away(joiner *j, net_link *l, const char *fmt, ...) {
    char reason[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    (void)snprintf(j->refusal, sizeof j->refusal, "%.80s: %s", l->note, reason);
    j->refused++;
    link_reset(l);
}

static void knock(joiner *j) {
    char from[64];
    for (int fd; (fd = tcp_accept(j->listen_fd, from, sizeof from)) >= 0;) {
        net_link *l = &j->knocks[0]; /* a free place, else the oldest one's */
        for (net_link *k = j->knocks; k < j->knocks + KNOCKS && l->state != IDLE; k++) {
            l = k->state == IDLE || k->when < l->when ? k : l;
        }
        if (l->state != IDLE) {
            turn_away(j, l, "gave up waiting for it among too many connections");
        }
        l->stream = make_stream(j, fd, 1);
        if (l->stream == NULL) {
            return;
        }
        l->state = RECEIVING;
        l->done = 0;
        l->when = now_s() + KNOCK_SECONDS;
        (void)snprintf(l->note, sizeof l->note, "%s", from);
    }
}

static void answer(net_link *l, uint32_t verdict) {
    memcpy(l->bytes, answer_magic, 8);
    put_u32(l->bytes + 8, VERSION);
    put_u32(l->bytes + 12, verdict);
    l->done = 0;
    (void)exchange(l, 1,
                   ANSWER); /* fits any socket's buffer; if not, the other side sees the end */
}

/* A complete preamble: take the connection or turn it away. */
static void judge_preamble(joiner *j, net_link *l) {
    const net_options *o = j->options;
    if (memcmp(l->bytes, preamble_magic, 8) != 0) {
        int tls = l->bytes[0] == 0x16 && l->bytes[1] == 0x03; /* a ClientHello */
        if (tls) {
            answer(l, NO_TLS); /* which no TLS can read: enough to see what is wrong */
        }
        turn_away(j, l,
                  tls ? "it speaks TLS, this party does not: use TLS everywhere or nowhere"
                      : "it does not speak this protocol");
        return;
    }
    uint32_t version = get_u32(l->bytes + 8), count = get_u32(l->bytes + 12);
    uint32_t from = get_u32(l->bytes + 16), to = get_u32(l->bytes + 20);
    char name[64] = "";
    if (version != VERSION) {
        answer(l, OTHER_VERSION);
        turn_away(j, l, "it speaks version %u of the wire protocol, this party %u", version,
                  VERSION);
    } else if (count != o->parties) {
        answer(l, OTHER_COUNT);
        turn_away(j, l, "it expects %u parties, not %u", count, o->parties);
    } else if (to != o->me || from >= o->parties || from == o->me) {
        answer(l, NOT_ME);
        turn_away(j, l, "party %u wants to reach party %u here, but this is party %u", from, to,
                  o->me);
    } else if (j->tls != NULL && tls_peer(l->stream, name, sizeof name) != (int)from) {
        answer(l, OTHER_NAME);
        turn_away(j, l, "it says it is party %u but shows the certificate of `%s`", from, name);
    } else {
        answer(l, ACCEPTED);
        net_link *place = &j->in[from];
        link_reset(place); /* a party dials again when its first connection broke */
        place->stream = l->stream;
        place->state = READY;
        l->stream = NULL;
        l->state = IDLE;
    }
}

static void advance_knock(joiner *j, net_link *l) {
    if (l->state != RECEIVING) {
        return;
    }
    ssize_t code = exchange(l, 0, PREAMBLE);
    if (code == 1) {
        judge_preamble(j, l);
    } else if (code < 0) {
        turn_away(j, l, "%s", ending(code, l->stream));
    } else if (now_s() > l->when) {
        turn_away(j, l, "it did not say who it is within %.0f s", KNOCK_SECONDS);
    }
}

/* ---- together ---- */

/* A connection that was ready ended while we wait for others. A party that sent something had
 * finished connecting and will not come back; one that did not may dial again. */
static void lost(joiner *j, unsigned peer, net_link *l, int incoming) {
    uint8_t bytes[FRAME_HEADER + FRAME_REASON];
    frame_header h;
    char why[128], reason[FRAME_REASON + 1];
    net_stream *s = l->stream;
    ssize_t got = incoming ? s->ops->read(s, bytes, sizeof bytes) : 0;
    if (got >= FRAME_HEADER && frame_decode(bytes, UINT64_MAX, &h, why, sizeof why) == NULL &&
        h.kind == FRAME_ABORT && (uint64_t)got == FRAME_HEADER + h.bytes) {
        frame_printable(reason, sizeof reason, bytes + FRAME_HEADER, h.bytes);
        seq_fail(j->err, SEQ_ERR_PEER, (int)peer, "party %u gave up: %s", peer, reason);
    } else if (got > 0) {
        seq_fail(j->err, SEQ_ERR_PEER, (int)peer,
                 "party %u closed the connection while others were still connecting", peer);
    }
    (void)snprintf(l->note, sizeof l->note, "it closed the connection again");
    link_reset(l);
}

static void watch(struct pollfd *set, nfds_t *count, int fd, short events) {
    set[(*count)++] = (struct pollfd){.fd = fd, .events = events};
}

/* Sleep until something can move or a slice has passed; notice connections that ended. */
static void wait_for_any(joiner *j) {
    struct pollfd set[1 + 2 * NET_MAX_PARTIES + KNOCKS];
    nfds_t count = 0;
    watch(set, &count, j->listen_fd, POLLIN);
    for (unsigned p = 0; p < j->options->parties; p++) {
        for (int incoming = 0; incoming < 2; incoming++) {
            net_link *l = incoming ? &j->in[p] : &j->out[p];
            int fd = l->stream != NULL ? l->stream->fd : l->state == DIALLING ? l->fd : -1;
            short events = l->state == READY      ? POLLRDHUP
                           : l->state == DIALLING ? POLLOUT
                           : l->stream != NULL    ? l->stream->events
                                                  : 0;
            watch(set, &count, fd, events);
        }
    }
    for (net_link *k = j->knocks; k < j->knocks + KNOCKS; k++) {
        watch(set, &count, k->stream != NULL ? k->stream->fd : -1,
              k->stream != NULL ? k->stream->events : 0);
    }
    (void)poll(set, count, (int)(SLICE_SECONDS * 1000));
    for (unsigned p = 0; p < j->options->parties; p++) {
        for (int incoming = 0; incoming < 2; incoming++) {
            net_link *l = incoming ? &j->in[p] : &j->out[p];
            if (l->state == READY && set[1 + 2 * p + (unsigned)incoming].revents != 0) {
                lost(j, p, l, incoming);
            }
        }
    }
}

static int all_ready(const joiner *j) {
    for (unsigned p = 0; p < j->options->parties; p++) {
        if (p != j->options->me && (j->in[p].state != READY || j->out[p].state != READY)) {
            return 0;
        }
    }
    return 1;
}

static void timed_out(joiner *j) {
    const net_options *o = j->options;
    for (unsigned p = 0; p < o->parties; p++) {
        const net_link *out = &j->out[p], *in = &j->in[p];
        if (p == o->me || (out->state == READY && in->state == READY)) {
            continue;
        }
        char problem[300], tail[460] = "";
        if (out->state != READY) {
            (void)snprintf(problem, sizeof problem, "could not be reached at %.100s:%u (%.120s)",
                           o->address[p].host, o->address[p].port,
                           out->note[0] != '\0' ? out->note : "no answer");
        } else {
            (void)snprintf(problem, sizeof problem, "did not connect to us");
        }
        if (j->refused > 0) {
            (void)snprintf(tail, sizeof tail, "; %u connections refused, the last from %s",
                           j->refused, j->refusal);
        }
        seq_fail(j->err, SEQ_ERR_PEER, (int)p, "party %u %s within %.0f s%s", p, problem,
                 o->connect_timeout_s, tail);
        return;
    }
}

static void join_all(joiner *j) {
    const net_options *o = j->options;
    double deadline = now_s() + o->connect_timeout_s;
    while (!all_ready(j) && j->err->status == SEQ_OK) {
        if (stop_raised(o->stop)) {
            seq_fail(j->err, SEQ_ERR_STOPPED, -1, "stopped while connecting");
        } else if (now_s() > deadline) {
            timed_out(j);
        } else {
            wait_for_any(j);
        }
        knock(j);
        for (unsigned p = 0; p < o->parties; p++) {
            if (p != o->me) {
                advance_out(j, p);
            }
        }
        for (unsigned k = 0; k < KNOCKS; k++) {
            advance_knock(j, &j->knocks[k]);
        }
    }
}

/* Tell those we had reached why we leave. */
static void tell_reason(joiner *j) {
    uint8_t frame[FRAME_HEADER + FRAME_REASON];
    size_t n = strnlen(j->err->message, FRAME_REASON);
    frame_encode(frame, &(frame_header){.kind = FRAME_ABORT, .bytes = n});
    memcpy(frame + FRAME_HEADER, j->err->message, n);
    for (unsigned p = 0; p < j->options->parties; p++) {
        if (j->out[p].state == READY) {
            net_stream *s = j->out[p].stream;
            (void)s->ops->write(s, frame, FRAME_HEADER + n);
        }
    }
}

/* Both sessions of a pair give material; it is mixed in the order of their directions. */
static seq_status export_keys(joiner *j, uint8_t (*exporter)[32]) {
    for (unsigned p = 0; p < j->options->parties; p++) {
        uint8_t material[64];
        int up = j->options->me < p; /* the session of the lower index goes first */
        if (p == j->options->me) {
            continue;
        }
        if (tls_export(j->out[p].stream, material + (up ? 0 : 32)) != 0 ||
            tls_export(j->in[p].stream, material + (up ? 32 : 0)) != 0 ||
            tls_hash(material, sizeof material, exporter[p]) != 0) {
            return seq_fail(j->err, SEQ_ERR_OURS, (int)p, "TLS exports no keying material");
        }
        explicit_bzero(material, sizeof material);
    }
    return SEQ_OK;
}

/* The connections are there: hand them over. */
static void hand_over(joiner *j, net_stream **in, net_stream **out, uint8_t (*exporter)[32],
                      char *channel, size_t size) {
    (void)snprintf(channel, size, "TCP (not encrypted)");
    if (j->tls != NULL) {
        if (export_keys(j, exporter) != SEQ_OK) {
            return;
        }
        for (unsigned p = 0; p < j->options->parties; p++) {
            if (p != j->options->me) {
                tls_describe(j->out[p].stream, channel, size);
            }
        }
    }
    for (unsigned p = 0; p < j->options->parties; p++) {
        in[p] = j->in[p].stream;
        out[p] = j->out[p].stream;
        j->in[p].stream = j->out[p].stream = NULL;
        j->in[p].state = j->out[p].state = IDLE;
    }
}

static void joiner_close(joiner *j) {
    for (unsigned p = 0; p < NET_MAX_PARTIES; p++) {
        link_reset(&j->in[p]);
        link_reset(&j->out[p]);
    }
    for (unsigned k = 0; k < KNOCKS; k++) {
        link_reset(&j->knocks[k]);
    }
    if (j->listen_fd >= 0) {
        (void)close(j->listen_fd);
    }
    tls_release(j->tls);
    free(j);
}

static int open_listener(const net_options *o, seq_error *err) {
    if (o->listen_fd < 0) {
        return tcp_listen(&o->address[o->me], o->me, err);
    }
    int flags = fcntl(o->listen_fd, F_GETFL);
    if (flags < 0 || fcntl(o->listen_fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        seq_fail(err, SEQ_ERR_CONFIG, (int)o->me,
                 "the inherited listening socket %d is unusable: %s", o->listen_fd,
                 strerror(errno));
    }
    return o->listen_fd;
}

seq_status connect_all(const net_options *options, net_stream **in, net_stream **out,
                       uint8_t (*exporter)[32], char *channel, size_t size, seq_error *err) {
    joiner *j = calloc(1, sizeof *j);
    if (j == NULL) {
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "out of memory");
    }
    j->options = options;
    j->err = err;
    j->listen_fd = open_listener(options, err);
    if (err->status == SEQ_OK && options->kind == NET_TLS) {
        j->tls = tls_create(options, err);
    }
    if (err->status == SEQ_OK) {
        join_all(j);
    }
    if (err->status == SEQ_OK) {
        hand_over(j, in, out, exporter, channel, size);
    } else {
        tell_reason(j);
    }
    joiner_close(j);
    return err->status;
}
