/* Tests of the channels; tests/vm/test_net.py builds this with -DSEQ_TEST and runs its commands:
 *
 *   storm KIND CERTS ROUNDS       three parties in threads: many sizes, takes out of order,
 * counters speed KIND CERTS MEGABYTES    three parties in threads: megabytes a second and direction
 *   pause                         a full mailbox pauses its reader without a deadlock
 *   flood                         a peer that sends what nobody takes is given up
 *   ahead                         a peer that runs ahead is held up while others are waited for
 *   stop KIND CERTS               the stop flag while connecting and while waiting
 *   headers SEED COUNT            random and mutated headers through the frame parser
 *   babble SEED COUNT             random and mutated bytes through a whole receiver
 *   party ME KIND CERTS ROUNDS TIMEOUT CONNECT_TIMEOUT PORT...   one party in its own process;
 *                                 0 rounds: until something fails
 *
 * KIND: memory, tcp or tls. CERTS: a folder made by vm/certs.py, or "-". Exit status 0: passed. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../net/frame.h"
#include "../net/stream.h"
#include "../net/sync.h"

#define PARTIES 3u
#define BURST 14u /* frames a round and peer: one of each size */

static const size_t sizes[BURST] = {0,    1,     7,     24,    63,    64,     65,
                                    1000, 16384, 65535, 65536, 65560, 300001, 1u << 20};

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);          \
            exit(2);                                                                               \
        }                                                                                          \
    } while (0)

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 31) * 0x7FB5D329728EA185u;
    x = (x ^ x >> 27) * 0x81DADEF4BC2DD44Du;
    return x ^ x >> 33;
}

static void fill(uint8_t *data, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        data[i] = (uint8_t)mix(seed + i / 8) + (uint8_t)i;
    }
}

static int matches(const uint8_t *data, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        if (data[i] != (uint8_t)((uint8_t)mix(seed + i / 8) + (uint8_t)i)) {
            return 0;
        }
    }
    return 1;
}

/* ---- options ---- */

typedef struct {
    char ca[300], cert[300], key[300];
} file_names;

static net_kind kind_of(const char *name) {
    CHECK(strcmp(name, "memory") == 0 || strcmp(name, "tcp") == 0 || strcmp(name, "tls") == 0);
    return name[0] == 'm' ? NET_MEMORY : name[1] == 'c' ? NET_TCP : NET_TLS;
}

static net_options make_options(unsigned me, net_kind kind, const char *certs, file_names *files) {
    net_options o = {.kind = kind,
                     .me = me,
                     .parties = PARTIES,
                     .listen_fd = -1,
                     .timeout_s = 10,
                     .connect_timeout_s = 20,
                     .max_frame = 64 << 20,
                     .max_mailbox = 256 << 20};
    (void)snprintf(files->ca, sizeof files->ca, "%s/ca.pem", certs);
    (void)snprintf(files->cert, sizeof files->cert, "%s/party-%u.pem", certs, me);
    (void)snprintf(files->key, sizeof files->key, "%s/party-%u.key", certs, me);
    o.ca_file = files->ca;
    o.cert_file = files->cert;
    o.key_file = files->key;
    for (unsigned p = 0; p < PARTIES; p++) {
        (void)snprintf(o.address[p].host, sizeof o.address[p].host, "127.0.0.1");
        o.address[p].port = 1; /* replaced when it matters */
    }
    return o;
}

/* A listening socket on a free port. */
static int listener(uint16_t *port) {
    net_address any = {.host = "127.0.0.1", .port = 0};
    seq_error err = {0};
    int fd = tcp_listen(&any, 0, &err);
    CHECK(fd >= 0);
    *port = tcp_port(fd);
    return fd;
}

/* ---- three parties in threads ---- */

typedef struct {
    net_options options;
    file_names files;
    unsigned rounds;
    size_t megabytes;
    uint8_t exporter[PARTIES][32];
    double seconds;
    char channel[64];
} party;

static void in_threads(party *parties, net_kind kind, const char *certs, void *(*body)(void *)) {
    net_hub *hub = kind == NET_MEMORY ? net_hub_create(PARTIES) : NULL;
    uint16_t ports[PARTIES] = {0};
    pthread_t threads[PARTIES];
    for (unsigned p = 0; p < PARTIES; p++) {
        parties[p].options = make_options(p, kind, certs, &parties[p].files);
        parties[p].options.hub = hub;
        parties[p].options.listen_fd = kind == NET_MEMORY ? -1 : listener(&ports[p]);
    }
    for (unsigned p = 0; p < PARTIES; p++) {
        for (unsigned q = 0; q < PARTIES; q++) {
            parties[p].options.address[q].port = ports[q];
        }
        CHECK(pthread_create(&threads[p], NULL, body, &parties[p]) == 0);
    }
    for (unsigned p = 0; p < PARTIES; p++) {
        pthread_join(threads[p], NULL);
    }
    net_hub_destroy(hub);
}

static void must(int ok, const seq_error *err) {
    if (!ok) {
        (void)fprintf(stderr, "unexpected: %s\n", err->message);
        exit(2);
    }
}

static uint64_t content(unsigned from, unsigned to, net_tag tag) {
    return mix(tag.instance * 64 + tag.step * 7 + from * 3 + to);
}

/* Wait for a frame; 0 and *err on failure. */
static int take(net *n, unsigned peer, net_tag tag, size_t bytes, uint8_t **payload,
                seq_error *err) {
    for (;;) {
        int got = net_take(n, peer, tag, bytes, payload, err);
        if (got != 0) {
            return got > 0;
        }
        if (net_wait(n, 1.0, err) != SEQ_OK) {
            return 0;
        }
    }
}

/* One round: send a burst to every peer, take theirs in another order, check contents. */
static int echo_round(net *n, unsigned me, unsigned round, seq_error *err) {
    for (unsigned p = 0; p < PARTIES; p++) {
        for (unsigned i = 0; i < BURST && p != me; i++) {
            net_tag tag = {(uint64_t)round << 16, i};
            uint8_t *payload = net_alloc(n, sizes[i]);
            CHECK(payload != NULL && (uintptr_t)payload % 64 == 0);
            fill(payload, sizes[i], content(me, p, tag));
            net_send(n, p, tag, payload, sizes[i]);
        }
    }
    for (unsigned k = 0; k < BURST; k++) {
        unsigned i = (k * 5 + round) % BURST;
        for (unsigned p = 0; p < PARTIES; p++) {
            net_tag tag = {(uint64_t)round << 16, i};
            uint8_t *payload = NULL;
            if (p == me) {
                continue;
            }
            if (!take(n, p, tag, sizes[i], &payload, err)) {
                return 0;
            }
            CHECK(matches(payload, sizes[i], content(p, me, tag)));
            net_free(payload);
        }
    }
    return 1;
}

static void *storm_body(void *arg) {
    party *self = arg;
    seq_error err = {0};
    net *n = net_open(&self->options, &err);
    must(n != NULL, &err);
    for (unsigned round = 0; round < self->rounds; round++) {
        must(echo_round(n, self->options.me, round, &err), &err);
    }
    uint64_t bytes = 0;
    for (unsigned i = 0; i < BURST; i++) {
        bytes += sizes[i];
    }
    for (unsigned p = 0; p < PARTIES; p++) {
        if (p != self->options.me) {
            uint64_t sent, received, wire;
            net_counts(n, p, &sent, &received, &wire);
            CHECK(sent == bytes * self->rounds && received == sent);
            uint64_t framing = wire - sent - (uint64_t)FRAME_HEADER * BURST * self->rounds;
            CHECK(framing % FRAME_HEADER == 0 && framing < 100 * FRAME_HEADER); /* heartbeats */
            net_exporter(n, p, self->exporter[p]);
        }
    }
    (void)snprintf(self->channel, sizeof self->channel, "%s", net_channel(n));
    net_close(n);
    return NULL;
}

static int storm(const char *kind, const char *certs, unsigned rounds) {
    static party parties[PARTIES];
    uint8_t zero[32] = {0};
    for (unsigned p = 0; p < PARTIES; p++) {
        parties[p].rounds = rounds;
    }
    in_threads(parties, kind_of(kind), certs, storm_body);
    for (unsigned p = 0; p < PARTIES; p++) {
        unsigned q = (p + 1) % PARTIES, r = (p + 2) % PARTIES;
        CHECK(memcmp(parties[p].exporter[q], parties[q].exporter[p], 32) == 0);
        CHECK((memcmp(parties[p].exporter[q], zero, 32) == 0) == (kind_of(kind) != NET_TLS));
        CHECK(kind_of(kind) != NET_TLS ||
              memcmp(parties[p].exporter[q], parties[p].exporter[r], 32) != 0);
    }
    (void)printf("%s\n", parties[0].channel);
    return 0;
}

/* Heartbeats come from the sender's thread while party 1 does something else for long. */
static void *busy_body(void *arg) {
    party *self = arg;
    seq_error err = {0};
    self->options.timeout_s = 0.4;
    net *n = net_open(&self->options, &err);
    must(n != NULL, &err);
    must(echo_round(n, self->options.me, 0, &err), &err);
    (void)usleep(self->options.me == 1 ? 1500000 : 0);
    must(echo_round(n, self->options.me, 1, &err), &err);
    net_close(n);
    return NULL;
}

static int busy(void) {
    static party parties[PARTIES];
    in_threads(parties, NET_TCP, "-", busy_body);
    return 0;
}

static void *speed_body(void *arg) {
    enum { FRAME = 1 << 18, AHEAD = 4 }; /* what is in flight stays in cache */
    party *self = arg;
    seq_error err = {0};
    net *n = net_open(&self->options, &err);
    must(n != NULL, &err);
    double start = now_s();
    for (unsigned i = 0; i < self->megabytes << 2; i++) {
        for (unsigned p = 0; p < PARTIES; p++) {
            if (p != self->options.me) {
                uint8_t *payload = net_alloc(n, FRAME);
                CHECK(payload != NULL);
                payload[0] = (uint8_t)i;
                net_send(n, p, (net_tag){i, 0}, payload, FRAME);
            }
        }
        for (unsigned p = 0; p < PARTIES && i >= AHEAD; p++) {
            uint8_t *payload = NULL;
            if (p != self->options.me) {
                must(take(n, p, (net_tag){i - AHEAD, 0}, FRAME, &payload, &err), &err);
                CHECK(payload[0] == (uint8_t)(i - AHEAD));
                net_free(payload);
            }
        }
    }
    self->seconds = now_s() - start;
    net_close(n);
    return NULL;
}

static int speed(const char *kind, const char *certs, size_t megabytes) {
    static party parties[PARTIES];
    for (unsigned p = 0; p < PARTIES; p++) {
        parties[p].megabytes = megabytes;
    }
    in_threads(parties, kind_of(kind), certs, speed_body);
    double mb = (double)megabytes * 1.048576;
    (void)printf("%s: %.0f MB/s in each of 6 directions\n", kind, mb / parties[0].seconds);
    return 0;
}

/* ---- mailboxes ---- */

typedef struct {
    net_options options;
    unsigned frames;
    size_t bytes;
} sender_args;

static void *send_many(void *arg) {
    sender_args *a = arg;
    seq_error err = {0};
    net *n = net_open(&a->options, &err);
    must(n != NULL, &err);
    for (unsigned i = 0; i < a->frames; i++) {
        uint8_t *payload = net_alloc(n, a->bytes);
        CHECK(payload != NULL);
        fill(payload, a->bytes, i);
        net_send(n, 0, (net_tag){i, 0}, payload, a->bytes);
    }
    uint8_t *last = NULL;
    if (take(n, 0, (net_tag){0, 1}, 0, &last, &err)) {
        net_free(last);
        net_close(n);
    } else {
        net_abort(n, err.message);
    }
    return NULL;
}

/* Party 1 sends `frames` of 64 KiB into a mailbox of 1 MiB; party 0 sleeps, then takes the last
 * first. */
static int mailbox(unsigned frames, int expect_flood) {
    file_names files;
    net_hub *hub = net_hub_create(2);
    sender_args a = {
        .options = make_options(1, NET_MEMORY, "-", &files), .frames = frames, .bytes = 65536};
    a.options.parties = 2;
    a.options.hub = hub;
    net_options o = a.options;
    o.me = 0;
    o.max_mailbox = 1 << 20;
    seq_error err = {0};
    net *n = net_open(&o, &err);
    must(n != NULL, &err);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, send_many, &a) == 0);
    (void)usleep(300000);
    int ok = 1;
    for (unsigned i = frames; i-- > 0 && ok;) {
        uint8_t *payload = NULL;
        ok = take(n, 1, (net_tag){i, 0}, a.bytes, &payload, &err);
        CHECK(!ok || matches(payload, a.bytes, i));
        net_free(payload);
    }
    if (expect_flood) {
        CHECK(!ok && err.status == SEQ_ERR_PEER && err.party == 1);
        CHECK(strstr(err.message, "nobody asked for") != NULL);
        net_abort(n, err.message);
    } else {
        must(ok, &err);
        net_send(n, 1, (net_tag){0, 1}, NULL, 0);
        net_close(n);
    }
    pthread_join(thread, NULL);
    net_hub_destroy(hub);
    return 0;
}

/* Party 1 runs ahead of party 0, who waits for party 2: it is held up and not at fault. */
static void *send_one(void *arg) {
    sender_args *a = arg;
    (void)usleep(500000);
    return send_many(a);
}

static int ahead(void) {
    file_names files;
    net_hub *hub = net_hub_create(3);
    sender_args a[2] = {{.options = make_options(1, NET_MEMORY, "-", &files), .frames = 100},
                        {.options = make_options(2, NET_MEMORY, "-", &files), .frames = 1}};
    net_options o = make_options(0, NET_MEMORY, "-", &files);
    pthread_t thread[2];
    for (unsigned i = 0; i < 2; i++) {
        a[i].bytes = 65536;
        a[i].options.parties = 3;
        a[i].options.hub = hub;
        CHECK(pthread_create(&thread[i], NULL, i ? send_one : send_many, &a[i]) == 0);
    }
    o.parties = 3;
    o.hub = hub;
    o.max_mailbox = 1 << 20;
    seq_error err = {0};
    net *n = net_open(&o, &err);
    must(n != NULL, &err);
    for (unsigned p = 2; p > 0; p--) {
        for (unsigned i = 0; i < a[p - 1].frames; i++) {
            uint8_t *payload = NULL;
            must(take(n, p, (net_tag){i, 0}, 65536, &payload, &err), &err);
            CHECK(matches(payload, 65536, i));
            net_free(payload);
        }
        net_send(n, p, (net_tag){0, 1}, NULL, 0);
    }
    net_close(n);
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
    net_hub_destroy(hub);
    return 0;
}

/* Every party sends more small frames to the next one than connection and mailbox take in, so that
 * some are begun by the caller and ended by the sender. */
static void *fill_up_body(void *arg) {
    enum { FRAMES = 3000, BYTES = 10007 };
    party *self = arg;
    seq_error err = {0};
    unsigned me = self->options.me, next = (me + 1) % PARTIES, before = (me + 2) % PARTIES;
    self->options.max_mailbox = (uint64_t)8 << 20;
    net *n = net_open(&self->options, &err);
    must(n != NULL, &err);
    for (unsigned i = 0; i < FRAMES; i++) {
        uint8_t *payload = net_alloc(n, BYTES);
        CHECK(payload != NULL);
        fill(payload, BYTES, content(me, next, (net_tag){i, 0}));
        net_send(n, next, (net_tag){i, 0}, payload, BYTES);
    }
    (void)usleep(300000);
    for (unsigned i = FRAMES; i-- > 0;) {
        uint8_t *payload = NULL;
        must(take(n, before, (net_tag){i, 0}, BYTES, &payload, &err), &err);
        CHECK(matches(payload, BYTES, content(before, me, (net_tag){i, 0})));
        net_free(payload);
    }
    net_close(n);
    return NULL;
}

static int fill_up(const char *kind, const char *certs) {
    static party parties[PARTIES];
    in_threads(parties, kind_of(kind), certs, fill_up_body);
    return 0;
}

/* ---- stopping ---- */

static volatile int stop_flag;

static void *raise_flag(void *arg) {
    (void)arg;
    (void)usleep(300000);
    __atomic_store_n(&stop_flag, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Nobody else comes up: the flag ends net_open (sockets) or net_wait (memory). */
static int stop(const char *kind, const char *certs) {
    file_names files;
    net_options o = make_options(0, kind_of(kind), certs, &files);
    uint16_t unused;
    o.stop = &stop_flag;
    if (o.kind == NET_MEMORY) {
        o.hub = net_hub_create(PARTIES);
    } else {
        o.listen_fd = listener(&unused);
    }
    pthread_t thread;
    seq_error err = {0};
    CHECK(pthread_create(&thread, NULL, raise_flag, NULL) == 0);
    double start = now_s();
    net *n = net_open(&o, &err);
    if (n != NULL) {
        CHECK(net_wait(n, 5.0, &err) == SEQ_ERR_STOPPED);
        net_abort(n, "stopped");
    }
    pthread_join(thread, NULL);
    net_hub_destroy(o.hub);
    CHECK(err.status == SEQ_ERR_STOPPED && now_s() - start < 2.0);
    return 0;
}

/* ---- parser ---- */

static int headers(uint64_t seed, unsigned count) {
    unsigned accepted = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[FRAME_HEADER], again[FRAME_HEADER];
        uint64_t limit = mix(seed + i) % 1000000;
        char why[128];
        frame_header h = {.tag = {mix(i), (uint32_t)mix(i + 1)},
                          .kind = (uint32_t)mix(i + 2) % 5,
                          .bytes = mix(i + 3) % 2000000};
        frame_encode(bytes, &h);
        for (unsigned b = 0; b < FRAME_HEADER; b++) { /* every other one is all noise */
            bytes[b] ^= i % 2 ? (uint8_t)mix(seed * 31 + i * 64 + b) : 0;
        }
        if (frame_decode(bytes, limit, &h, why, sizeof why) != NULL) {
            CHECK(why[0] != '\0');
            continue;
        }
        accepted++;
        frame_encode(again, &h);
        CHECK(memcmp(bytes, again, FRAME_HEADER) == 0 && h.kind <= FRAME_ABORT);
        CHECK(h.bytes <= (h.kind == FRAME_DATA ? limit : FRAME_REASON));
    }
    CHECK(accepted > count / 100);
    return 0;
}

/* Party 1 is a bare stream that writes valid frames, then noise. */
static int babble(uint64_t seed, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        file_names files;
        net_hub *hub = net_hub_create(2);
        net_options o = make_options(0, NET_MEMORY, "-", &files);
        net_stream *in[2] = {0}, *out[2] = {0};
        seq_error err = {0};
        o.hub = hub;
        o.parties = 2;
        o.max_frame = 100000;
        net *n = net_open(&o, &err);
        must(n != NULL && memory_streams(hub, 1, 2, in, out, &err) == SEQ_OK, &err);
        uint8_t bytes[FRAME_HEADER * 8];
        for (unsigned f = 0; f < 8; f++) {
            frame_encode(bytes + f * FRAME_HEADER, &(frame_header){.tag = {f / 2, f % 2}});
        }
        uint64_t r = mix(seed * 1000003 + i);
        for (unsigned k = 0; k < 1 + r % 20; k++) {
            bytes[mix(r + k) % sizeof bytes] ^= (uint8_t)mix(r + k + 100);
        }
        (void)out[0]->ops->write(out[0], bytes, sizeof bytes - r % 7);
        out[0]->ops->close(out[0]);
        while (net_wait(n, 5.0, &err) == SEQ_OK) {
            uint8_t *payload = NULL;
            if (net_take(n, 1, (net_tag){r % 9, 0}, 0, &payload, NULL) > 0) {
                net_free(payload);
            }
            net_take(n, 1, (net_tag){77, 0}, 0, &payload, &err);
            if (err.status != SEQ_OK) {
                break; /* a mutation that spells goodbye */
            }
        }
        CHECK(err.status == SEQ_ERR_PEER && err.party == 1 && err.message[0] != '\0');
        net_abort(n, "noise");
        in[0]->ops->close(in[0]);
        net_hub_destroy(hub);
    }
    return 0;
}

/* ---- leaving ---- */

/* Party 1 is two bare streams that neither read nor say goodbye (but say something now and then).
 */
static int linger(void) {
    for (int aborts = 0; aborts < 2; aborts++) {
        file_names files;
        net_hub *hub = net_hub_create(2);
        net_options o = make_options(0, NET_MEMORY, "-", &files);
        net_stream *in[2] = {0}, *out[2] = {0};
        seq_error err = {0};
        uint8_t heartbeat[FRAME_HEADER];
        o.hub = hub;
        o.parties = 2;
        o.timeout_s = 0.7;
        net *n = net_open(&o, &err);
        must(n != NULL && memory_streams(hub, 1, 2, in, out, &err) == SEQ_OK, &err);
        for (unsigned i = 0; i < 20; i++) { /* more than the pipe holds */
            uint8_t *payload = net_alloc(n, 100000);
            CHECK(payload != NULL);
            fill(payload, 100000, i);
            net_send(n, 1, (net_tag){i, 0}, payload, 100000);
        }
        frame_encode(heartbeat, &(frame_header){.kind = FRAME_HEARTBEAT});
        CHECK(out[0]->ops->write(out[0], heartbeat, sizeof heartbeat) == FRAME_HEADER);
        double start = now_s();
        if (aborts) {
            net_abort(n, "had enough");
        } else {
            net_close(n);
        }
        CHECK(now_s() - start < 1.5);
        in[0]->ops->close(in[0]);
        out[0]->ops->close(out[0]);
        net_hub_destroy(hub);
    }
    return 0;
}

/* ---- tampering, options ---- */

typedef struct {
    unsigned seen;
    uint64_t instances[3];
} tampered;

static int drop_second_change_others(void *arg, net *n, unsigned from, unsigned to, net_tag tag,
                                     uint8_t *payload, size_t bytes) {
    tampered *t = arg;
    (void)n;
    CHECK(from == 0 && to == 1 && bytes == 100 && t->seen < 3);
    t->instances[t->seen++] = tag.instance;
    payload[99] ^= 1;
    return tag.instance != 2;
}

static int tamper(void) {
    file_names files;
    net_hub *hub = net_hub_create(2);
    net_options o = make_options(0, NET_MEMORY, "-", &files);
    seq_error err = {0};
    tampered t = {0};
    net *ends[2];
    o.hub = hub;
    o.parties = 2;
    for (o.me = 0; o.me < 2; o.me++) {
        ends[o.me] = net_open(&o, &err);
        must(ends[o.me] != NULL, &err);
    }
    net_set_tamper(ends[0], drop_second_change_others, &t);
    for (unsigned i = 1; i <= 3; i++) {
        uint8_t *payload = net_alloc(ends[0], 100);
        CHECK(payload != NULL);
        fill(payload, 100, i);
        net_send(ends[0], 1, (net_tag){i, 0}, payload, 100);
    }
    CHECK(t.seen == 3 && t.instances[0] == 1 && t.instances[1] == 2 && t.instances[2] == 3);
    for (unsigned i = 1; i <= 3; i += 2) {
        uint8_t *payload = NULL;
        must(take(ends[1], 0, (net_tag){i, 0}, 100, &payload, &err), &err);
        payload[99] ^= 1;
        CHECK(matches(payload, 100, i));
        net_free(payload);
    }
    uint8_t *none = NULL;
    CHECK(net_take(ends[1], 0, (net_tag){2, 0}, 100, &none, &err) == 0 && none == NULL);
    net_abort(ends[0], "done");
    CHECK(net_wait(ends[1], 5.0, &err) == SEQ_ERR_PEER && strstr(err.message, "done") != NULL);
    net_abort(ends[1], NULL);
    net_hub_destroy(hub);
    return 0;
}

static void refused(const net_options *o, seq_status status) {
    seq_error err = {0};
    CHECK(net_open(o, &err) == NULL && err.status == status && err.message[0] != '\0');
    CHECK(net_open(o, NULL) == NULL);
}

static int refuse(void) {
    file_names files;
    net_hub *hub = net_hub_create(2);
    net_options good = make_options(0, NET_MEMORY, "-", &files), o = good;
    CHECK(net_hub_create(NET_MAX_PARTIES + 1) == NULL);
    refused(&o, SEQ_ERR_OURS); /* no hub */
    o.hub = hub;
    refused(&o, SEQ_ERR_OURS); /* a hub of two */
    o = good;
    o.me = 3;
    refused(&o, SEQ_ERR_CONFIG);
    o = good;
    o.parties = NET_MAX_PARTIES + 1;
    refused(&o, SEQ_ERR_CONFIG);
    o.parties = 0;
    refused(&o, SEQ_ERR_CONFIG);
    o = good;
    o.timeout_s = 0;
    refused(&o, SEQ_ERR_CONFIG);
    o = good;
    o.max_frame = 0;
    refused(&o, SEQ_ERR_CONFIG);
    o = good;
    o.kind = NET_TCP;
    o.listen_fd = 999; /* not open */
    refused(&o, SEQ_ERR_CONFIG);
    o.listen_fd = -1;
    (void)snprintf(o.address[0].host, sizeof o.address[0].host, "no.such.host.invalid");
    refused(&o, SEQ_ERR_CONFIG);
    o.kind = NET_TLS;
    o.listen_fd = listener(&o.address[0].port);
    o.ca_file = NULL;
    seq_error err = {0};
    CHECK(net_open(&o, &err) == NULL && strstr(err.message, "sequester keys") != NULL);
    net_close(NULL);
    net_abort(NULL, "nothing");
    net_free(NULL);
    net_hub_destroy(hub);
    return 0;
}

/* ---- one party in its own process ---- */

static int report(const seq_error *err) {
    (void)printf("status %d party %d: %s\n", (int)err->status, err->party, err->message);
    return 1;
}

static int run_party(char **argv) {
    file_names files;
    unsigned me = (unsigned)atoi(argv[0]), rounds = (unsigned)atoi(argv[3]);
    net_options o = make_options(me, kind_of(argv[1]), argv[2], &files);
    o.timeout_s = atof(argv[4]);
    o.connect_timeout_s = atof(argv[5]);
    for (unsigned p = 0; p < PARTIES; p++) {
        o.address[p].port = (uint16_t)atoi(argv[6 + p]);
    }
    seq_error err = {0};
    net *n = net_open(&o, &err);
    if (n == NULL) {
        return report(&err);
    }
    (void)printf("open\n");
    (void)fflush(stdout);
    for (unsigned round = 0; rounds == 0 || round < rounds; round++) {
        if (!echo_round(n, me, round, &err)) {
            net_abort(n, err.message);
            return report(&err);
        }
    }
    net_close(n);
    return 0;
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    const char *command = argv[1];
    if (strcmp(command, "storm") == 0 && argc == 5) {
        return storm(argv[2], argv[3], (unsigned)atoi(argv[4]));
    }
    if (strcmp(command, "fill-up") == 0 && argc == 4) {
        return fill_up(argv[2], argv[3]);
    }
    if (strcmp(command, "busy") == 0) {
        return busy();
    }
    if (strcmp(command, "linger") == 0) {
        return linger();
    }
    if (strcmp(command, "tamper") == 0) {
        return tamper();
    }
    if (strcmp(command, "refuse") == 0) {
        return refuse();
    }
    if (strcmp(command, "speed") == 0 && argc == 5) {
        return speed(argv[2], argv[3], (size_t)atoi(argv[4]));
    }
    if (strcmp(command, "pause") == 0) {
        return mailbox(50, 0);
    }
    if (strcmp(command, "flood") == 0) {
        return mailbox(200, 1);
    }
    if (strcmp(command, "ahead") == 0) {
        return ahead();
    }
    if (strcmp(command, "stop") == 0 && argc == 4) {
        return stop(argv[2], argv[3]);
    }
    if (strcmp(command, "headers") == 0 && argc == 4) {
        return headers((uint64_t)atoi(argv[2]), (unsigned)atoi(argv[3]));
    }
    if (strcmp(command, "babble") == 0 && argc == 4) {
        return babble((uint64_t)atoi(argv[2]), (unsigned)atoi(argv[3]));
    }
    if (strcmp(command, "party") == 0 && argc == 8 + (int)PARTIES) {
        return run_party(argv + 2);
    }
    CHECK(!"a known command with its arguments");
}
