/* Changing what one party sends. See tamper.h. */
#include "tamper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES 8
#define HISTORY 64 /* frames of a pair that can be replayed */

enum action { FLIP, ADD, FILL, NOISE, DROP, TWICE, DELAY, REPLAY, SWAP, ACTIONS };
static const char *const names[ACTIONS] = {"flip",  "add",   "fill",   "noise", "drop",
                                           "twice", "delay", "replay", "swap"};

typedef struct {
    unsigned from, to, frame;
    enum action action;
    uint64_t a, b;
} rule;

typedef struct {
    uint8_t *data;
    size_t bytes;
} copy;

#define KINDS 16
#define KIND_BYTES 12

typedef struct {
    unsigned party, number;
    char kind[KIND_BYTES];
    uint64_t word, value;
} cheat;

/* Words that a party made, by kind; used by its own thread alone. */
typedef struct {
    char kind[KINDS][KIND_BYTES];
    unsigned count[KINDS];
} making;

/* Of one ordered pair; used by the sender's thread alone. */
typedef struct {
    unsigned count;
    copy history[HISTORY]; /* as they were made, not as they were sent */
    copy held;
    net_tag held_tag;
    uint64_t held_for; /* frames to go */
    int inside;        /* the hook sends itself */
} channel;

struct tamper {
    rule rules[RULES];
    unsigned count;
    channel channel[NET_MAX_PARTIES][NET_MAX_PARTIES];
    cheat cheats[RULES];
    unsigned cheat_count;
    making made[NET_MAX_PARTIES];
    unsigned view; /* 1 + the party of which all that it is sent is shown; 0: none */
};

tamper *tamper_new(void) {
    return calloc(1, sizeof(tamper));
}

void tamper_free(tamper *t) {
    for (unsigned i = 0; t != NULL && i < NET_MAX_PARTIES * NET_MAX_PARTIES; i++) {
        channel *c = &t->channel[i / NET_MAX_PARTIES][i % NET_MAX_PARTIES];
        free(c->held.data);
        for (unsigned k = 0; k < HISTORY; k++) {
            free(c->history[k].data);
        }
    }
    free(t);
}

static int frame_rule(tamper *t, const char *text) {
    rule *r = &t->rules[t->count];
    char name[16];
    unsigned long long a = 0, b = 0;
    int got = t->count == RULES ? 0
                                : sscanf(text, "%u:%u:%u:%15[a-z]:%llu:%llu", &r->from, &r->to,
                                         &r->frame, name, &a, &b);
    if (got < 4 || r->from >= NET_MAX_PARTIES || r->to >= NET_MAX_PARTIES) {
        return -1;
    }
    r->a = a;
    r->b = b;
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (strcmp(name, names[i]) == 0) {
            r->action = (enum action)i;
            t->count++;
            return 0;
        }
    }
    return -1;
}

static copy keep(const uint8_t *payload, size_t bytes) {
    copy c = {malloc(bytes + 1), bytes};
    if (c.data != NULL && bytes > 0) {
        memcpy(c.data, payload, bytes);
    }
    return c;
}

static void again(channel *c, net *n, unsigned to, net_tag tag, const uint8_t *payload,
                  size_t bytes) {
    uint8_t *out = net_alloc(n, bytes);
    if (out != NULL) {
        memcpy(out, payload, bytes);
        c->inside = 1;
        net_send(n, to, tag, out, bytes);
        c->inside = 0;
    }
}

static void overwrite(uint8_t *payload, size_t bytes, const copy *with) {
    if (with->data != NULL) {
        memcpy(payload, with->data, bytes < with->bytes ? bytes : with->bytes);
    }
}

static void add(uint8_t *payload, size_t bytes, uint64_t word, uint64_t value) {
    uint64_t w;
    if (bytes < 8) {
        payload[0] = (uint8_t)(payload[0] + value);
        return;
    }
    uint8_t *at = payload + word % (bytes / 8) * 8;
    memcpy(&w, at, 8);
    w += value;
    memcpy(at, &w, 8);
}

static void noise(uint8_t *payload, size_t bytes, uint64_t seed) {
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        payload[i] = (uint8_t)(seed >> 56);
    }
}

/* Carry out a rule; 0: the frame is not sent now. */
static int apply(tamper *t, const rule *r, net *n, net_tag tag, uint8_t *payload, size_t bytes) {
    channel *c = &t->channel[r->from][r->to];
    if (bytes == 0 && r->action <= NOISE) {
        return 1;
    }
    switch (r->action) {
    case FLIP:
        payload[r->a / 8 % bytes] ^= (uint8_t)(1 << r->a % 8);
        return 1;
    case ADD:
        add(payload, bytes, r->a, r->b);
        return 1;
    case FILL:
        memset(payload, (int)r->a, bytes);
        return 1;
    case NOISE:
        noise(payload, bytes, r->a);
        return 1;
    case TWICE:
        again(c, n, r->to, tag, payload, bytes);
        return 1;
    case DELAY:
        free(c->held.data);
        c->held = keep(payload, bytes);
        c->held_tag = tag;
        c->held_for = r->a;
        return 0;
    case REPLAY:
        if (r->a > 0 && r->a < HISTORY && r->a < c->count) {
            overwrite(payload, bytes, &c->history[(c->count - 1 - (unsigned)r->a) % HISTORY]);
        }
        return 1;
    case SWAP:
        if (r->a < NET_MAX_PARTIES && t->channel[r->from][r->a].count > 0) {
            const channel *other = &t->channel[r->from][r->a];
            overwrite(payload, bytes, &other->history[(other->count - 1) % HISTORY]);
        }
        return 1;
    default:
        return 0;
    }
}

/* One line, in one call: parties have threads of their own. */
static void show(unsigned from, const uint8_t *payload, size_t bytes) {
    char *text = malloc(2 * bytes + 32);
    if (text == NULL) {
        return;
    }
    char *at = text + sprintf(text, "view %u: ", from);
    for (size_t i = 0; i < bytes; i++) {
        at += sprintf(at, "%02x", payload[i]);
    }
    (void)puts(text);
    free(text);
}

int tamper_frame(void *arg, net *n, unsigned from, unsigned to, net_tag tag, uint8_t *payload,
                 size_t bytes) {
    tamper *t = arg;
    channel *c = &t->channel[from][to];
    int sent = 1;
    if (c->inside) {
        return 1;
    }
    copy *place = &c->history[c->count % HISTORY];
    free(place->data);
    *place = keep(payload, bytes);
    unsigned frame = c->count++;
    for (unsigned i = 0; i < t->count; i++) {
        const rule *r = &t->rules[i];
        if (r->from == from && r->to == to && r->frame == frame) {
            sent &= apply(t, r, n, tag, payload, bytes);
        }
    }
    if (sent && to + 1 == t->view) {
        show(from, payload, bytes);
    }
    if (c->held.data != NULL && sent && c->held_for-- <= 1) {
        again(c, n, to, c->held_tag, c->held.data, c->held.bytes);
        free(c->held.data);
        c->held.data = NULL;
    }
    return sent;
}

unsigned tamper_count(const tamper *t, unsigned from, unsigned to) {
    return t->channel[from][to].count;
}

/* ---- what a cheater goes on with ---- */

static int cheat_rule(tamper *t, const char *text) {
    cheat *r = &t->cheats[t->cheat_count];
    unsigned long long word, value;
    if (t->cheat_count == RULES || sscanf(text, "%u:%11[a-z]:%u:%llu:%llu", &r->party, r->kind,
                                          &r->number, &word, &value) != 5) {
        return -1;
    }
    r->word = word;
    r->value = value;
    t->cheat_count++;
    return 0;
}

int tamper_option(tamper *t, const char *option, const char *text) {
    if (strcmp(option, "--view") == 0) {
        t->view = 1 + (unsigned)strtoul(text, NULL, 10);
        return 0;
    }
    return strcmp(option, "--cheat") == 0 ? cheat_rule(t, text) : frame_rule(t, text);
}

void tamper_words(void *arg, unsigned me, const char *kind, void *words, size_t bytes) {
    tamper *t = arg;
    making *m = &t->made[me];
    unsigned k = 0;
    while (k + 1 < KINDS && m->count[k] > 0 && strcmp(m->kind[k], kind) != 0) {
        k++;
    }
    (void)snprintf(m->kind[k], KIND_BYTES, "%s", kind);
    const unsigned number = m->count[k]++;
    for (unsigned i = 0; i < t->cheat_count; i++) {
        const cheat *r = &t->cheats[i];
        if (r->party == me && r->number == number && strcmp(r->kind, kind) == 0 && bytes >= 8) {
            add(words, bytes, r->word, r->value);
        }
    }
}

const char *tamper_made(const tamper *t, unsigned party, unsigned i, unsigned *count) {
    const making *m = &t->made[party];
    *count = i < KINDS ? m->count[i] : 0;
    return *count > 0 ? m->kind[i] : NULL;
}
