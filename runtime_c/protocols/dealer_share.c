/* dealer: kinds of elements, what is dealt, and openings. See dealer.h. */

#include "dealer.h"

/* ---- kinds of elements ---- */

void dealer_add(const seq_env *env, unsigned kind, void *d, const void *a, const void *b,
                size_t n) {
    if (kind == DEALER_BITS)
        env->bits->xor_(d, a, b, n);
    else
        env->ring->add(d, a, b, n);
}

void dealer_sub(const seq_env *env, unsigned kind, void *d, const void *a, const void *b,
                size_t n) {
    if (kind == DEALER_BITS)
        env->bits->xor_(d, a, b, n);
    else
        env->ring->sub(d, a, b, n);
}

/* Copies of a fixed size, which compilers make one instruction. */
static void narrow(uint8_t *out, const uint8_t *x, size_t n, size_t word, unsigned bytes) {
    switch (bytes) {
    case 1:
        for (size_t i = 0; i < n; i++)
            out[i] = x[i * word];
        return;
    case 2:
        for (size_t i = 0; i < n; i++)
            memcpy(out + 2 * i, x + i * word, 2);
        return;
    case 4:
        for (size_t i = 0; i < n; i++)
            memcpy(out + 4 * i, x + i * word, 4);
        return;
    default:
        for (size_t i = 0; i < n; i++)
            memcpy(out + bytes * i, x + i * word, bytes);
    }
}

void dealer_pack(const seq_env *env, uint8_t *out, const void *x, size_t n, unsigned bytes) {
    if (bytes == env->ring->word)
        memcpy(out, x, n * bytes);
    else
        narrow(out, x, n, env->ring->word, bytes);
}

void dealer_unpack(const seq_env *env, void *x, const uint8_t *in, size_t n, unsigned bytes) {
    const size_t word = env->ring->word;
    memset(x, 0, n * word);
    for (size_t i = 0; i < n; i++)
        memcpy((uint8_t *)x + i * word, in + i * bytes, bytes);
}

void dealer_shl(const seq_env *env, void *d, const void *a, unsigned s, size_t n) {
    for (size_t i = 0; env->ring->word == 8 && i < n; i++)
        ((uint64_t *)d)[i] = ((const uint64_t *)a)[i] << s;
    for (size_t i = 0; env->ring->word == 16 && i < n; i++)
        ((unsigned __int128 *)d)[i] = ((const unsigned __int128 *)a)[i] << s;
}

void dealer_add_power(const seq_env *env, void *d, unsigned s, size_t n) {
    for (size_t i = 0; env->ring->word == 8 && i < n; i++)
        ((uint64_t *)d)[i] += (uint64_t)1 << s;
    for (size_t i = 0; env->ring->word == 16 && i < n; i++)
        ((unsigned __int128 *)d)[i] += (unsigned __int128)1 << s;
}

void dealer_sub_power(const seq_env *env, void *d, unsigned s, size_t n) {
    for (size_t i = 0; env->ring->word == 8 && i < n; i++)
        ((uint64_t *)d)[i] -= (uint64_t)1 << s;
    for (size_t i = 0; env->ring->word == 16 && i < n; i++)
        ((unsigned __int128 *)d)[i] -= (unsigned __int128)1 << s;
}

/* ---- dealing ---- */

int dealer_begin(dealer_deal *x, seq_task *t, size_t bytes) {
    const dealer_state *s = dealer_of(t);
    x->t = t;
    x->bytes = bytes;
    for (unsigned j = 0; j < s->n; j++) {
        const unsigned peer = dealer_is(t) ? j : s->n;
        if (dealer_is(t) || j == t->env->me)
            prg_derive(&x->pair[j], &s->pair[peer], t->call.instance, t->call.sub);
    }
    if (dealer_is(t) && bytes && !(x->message = task_send(t, dealer_last(t), bytes)))
        return -1;
    if (t->env->me == dealer_last(t))
        task_expect(t, s->n, bytes);
    x->at = x->message;
    return 0;
}

int dealer_take(dealer_deal *x) {
    if (x->t->env->me != dealer_last(x->t) || !x->bytes)
        return 0;
    x->message = x->at = task_scratch(x->t, x->bytes);
    if (!x->message)
        return -1;
    memcpy(x->message, task_received(x->t, dealer_of(x->t)->n), x->bytes);
    return 0;
}

static void stream(const seq_env *env, const prg_key *key, unsigned kind, uint32_t purpose,
                   size_t first, void *out, size_t n) {
    const size_t halves = dealer_size(env, kind) / 8;
    prg_words(key, purpose, first * halves, out, n * halves);
}

typedef void (*combination)(const seq_env *env, unsigned kind, void *d, const void *a,
                            const void *b, size_t n);

/* d = d + or - the streams of computing parties 0 .. parties - 1. */
static void combine(const dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, void *d,
                    size_t n, unsigned parties, combination f) {
    const seq_env *env = x->t->env;
    const size_t size = dealer_size(env, kind);
    _Alignas(64) uint8_t piece[DEALER_PIECE * 16];
    for (size_t at = 0; at < n; at += DEALER_PIECE) {
        const size_t count = n - at < DEALER_PIECE ? n - at : DEALER_PIECE;
        uint8_t *part = (uint8_t *)d + at * size;
        for (unsigned j = 0; j < parties; j++) {
            stream(env, &x->pair[j], kind, purpose, first + at, piece, count);
            f(env, kind, part, part, piece, count);
        }
    }
    prg_wipe(piece, sizeof piece);
}

void dealer_mask(const dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, void *out,
                 size_t n) {
    const seq_env *env = x->t->env;
    if (!dealer_is(x->t)) {
        stream(env, &x->pair[env->me], kind, purpose, first, out, n);
        return;
    }
    memset(out, 0, n * dealer_size(env, kind));
    combine(x, kind, purpose, first, out, n, dealer_of(x->t)->n, dealer_add);
}

/* Bytes of an element in messages. */
static unsigned wire(const seq_env *env, unsigned kind, unsigned residue) {
    return kind == DEALER_RESIDUE ? residue : (unsigned)dealer_size(env, kind);
}

static void to_wire(const seq_env *env, unsigned kind, unsigned residue, uint8_t *out,
                    const void *x, size_t n) {
    if (kind == DEALER_RESIDUE)
        dealer_pack(env, out, x, n, residue);
    else
        memcpy(out, x, n * dealer_size(env, kind));
}

static void from_wire(const seq_env *env, unsigned kind, unsigned residue, void *x,
                      const uint8_t *in, size_t n) {
    if (kind == DEALER_RESIDUE)
        dealer_unpack(env, x, in, n, residue);
    else
        memcpy(x, in, n * dealer_size(env, kind));
}

void dealer_give(dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, const void *value,
                 size_t n) {
    const seq_env *env = x->t->env;
    const size_t size = dealer_size(env, kind);
    _Alignas(64) uint8_t piece[DEALER_PIECE * 16];
    for (size_t at = 0; at < n; at += DEALER_PIECE) {
        const size_t count = n - at < DEALER_PIECE ? n - at : DEALER_PIECE;
        memcpy(piece, (const uint8_t *)value + at * size, count * size);
        combine(x, kind, purpose, first + at, piece, count, dealer_last(x->t), dealer_sub);
        to_wire(env, kind, x->residue, x->at, piece, count);
        x->at += count * wire(env, kind, x->residue);
    }
    prg_wipe(piece, sizeof piece);
}

void dealer_get(dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, void *out,
                size_t n) {
    const seq_env *env = x->t->env;
    if (env->me != dealer_last(x->t)) {
        stream(env, &x->pair[env->me], kind, purpose, first, out, n);
        return;
    }
    from_wire(env, kind, x->residue, out, x->at, n);
    x->at += n * wire(env, kind, x->residue);
}

void dealer_zero(const seq_task *t, unsigned kind, size_t first, void *out, size_t n) {
    const dealer_state *s = dealer_of(t);
    const seq_env *env = t->env;
    const size_t size = dealer_size(env, kind);
    _Alignas(64) uint8_t piece[DEALER_PIECE * 16];
    memset(out, 0, n * size);
    for (unsigned j = 0; j < s->n; j++) {
        prg_key key;
        if (j == env->me)
            continue;
        prg_derive(&key, &s->pair[j], t->call.instance, t->call.sub);
        for (size_t at = 0; at < n; at += DEALER_PIECE) {
            const size_t count = n - at < DEALER_PIECE ? n - at : DEALER_PIECE;
            uint8_t *part = (uint8_t *)out + at * size;
            stream(env, &key, kind, DEALER_ZERO, first + at, piece, count);
            (j > env->me ? dealer_add : dealer_sub)(env, kind, part, part, piece, count);
        }
        prg_wipe(&key, sizeof key);
    }
    prg_wipe(piece, sizeof piece);
}

/* ---- openings ---- */

enum { DIRECT = 4 }; /* parties of a run in which everybody sends to everybody */

static int direct(unsigned parties, int to) {
    return parties <= DIRECT || to >= 0;
}

/* The dealer goes on only when it has what it is sent: what it deals next is later by that. */
unsigned dealer_opening_rounds(const seq_env *env, int to) {
    const int dealer = !env->ahead && (to == DEALER_ALL || to == (int)env->parties - 1);
    return (direct(env->parties, to) ? 1 : 2) + (unsigned)dealer;
}

static int receives(const seq_task *t, int to, unsigned party) {
    const int computes = party < dealer_of(t)->n;
    return to == (int)party || (to == DEALER_ALL && (computes || !t->env->ahead)) ||
           (to == DEALER_ONLINE && computes);
}

/* Elements of what is opened that come before part q. */
static size_t part_at(const seq_task *t, const dealer_opening *o, unsigned q) {
    return direct(t->env->parties, o->to) ? 0 : o->n * q / dealer_of(t)->n;
}

static size_t part_size(const seq_task *t, const dealer_opening *o, unsigned q) {
    return direct(t->env->parties, o->to) ? o->n : part_at(t, o, q + 1) - part_at(t, o, q);
}

/* Send elements [at, at + n) to party q. */
static int send_part(seq_task *t, const dealer_opening *o, unsigned q, size_t at, size_t n) {
    const size_t unit = wire(t->env, o->kind, o->residue);
    uint8_t *frame = n ? task_send(t, q, n * unit) : NULL;
    if (n && !frame)
        return -1;
    if (n)
        to_wire(t->env, o->kind, o->residue, frame,
                (uint8_t *)o->value + at * dealer_size(t->env, o->kind), n);
    return 0;
}

/* First step: summands go to the receivers, or to the kings of their parts. */
static int send_summands(seq_task *t, const dealer_opening *o) {
    const unsigned me = t->env->me, n = dealer_of(t)->n;
    const size_t unit = wire(t->env, o->kind, o->residue);
    const int all = direct(t->env->parties, o->to);
    for (unsigned q = 0; q <= n; q++) {
        const int takes = all ? receives(t, o->to, q) : q < n;
        const size_t at = part_at(t, o, q), size = part_size(t, o, q);
        if (takes && me < n && q != me && send_part(t, o, q, at, size))
            return TASK_ERROR;
        for (unsigned j = 0; takes && q == me && j < n; j++)
            if (j != me)
                task_expect(t, j, size * unit);
    }
    return TASK_WAIT;
}

/* Add what the others sent of my part. The dealer has no summand. */
static void add_summands(seq_task *t, const dealer_opening *o) {
    const seq_env *env = t->env;
    const size_t size = dealer_size(env, o->kind), unit = wire(env, o->kind, o->residue);
    const size_t at = part_at(t, o, env->me), n = part_size(t, o, env->me);
    uint8_t *sum = (uint8_t *)o->value + at * size;
    _Alignas(64) uint8_t piece[DEALER_PIECE * 16];
    if (dealer_is(t))
        memset(sum, 0, n * size);
    for (unsigned j = 0; j < dealer_of(t)->n; j++) {
        const uint8_t *in = j == env->me ? NULL : task_received(t, j);
        for (size_t i = 0; in && i < n; i += DEALER_PIECE) {
            const size_t count = n - i < DEALER_PIECE ? n - i : DEALER_PIECE;
            from_wire(env, o->kind, o->residue, piece, in + i * unit, count);
            dealer_add(env, o->kind, sum + i * size, sum + i * size, piece, count);
        }
    }
    prg_wipe(piece, sizeof piece);
}

/* Second step with kings: sums go to all receivers. */
static int send_sums(seq_task *t, const dealer_opening *o) {
    const unsigned me = t->env->me, n = dealer_of(t)->n;
    const size_t unit = wire(t->env, o->kind, o->residue);
    if (me < n)
        add_summands(t, o);
    for (unsigned q = 0; q <= n; q++) {
        if (me < n && q != me && receives(t, o->to, q) &&
            send_part(t, o, q, part_at(t, o, me), part_size(t, o, me)))
            return TASK_ERROR;
        if (q < n && q != me && receives(t, o->to, me))
            task_expect(t, q, part_size(t, o, q) * unit);
    }
    return TASK_WAIT;
}

static int take_sums(seq_task *t, const dealer_opening *o) {
    const size_t size = dealer_size(t->env, o->kind);
    for (unsigned q = 0; q < dealer_of(t)->n; q++) {
        const uint8_t *in = q == t->env->me ? NULL : task_received(t, q);
        if (in)
            from_wire(t->env, o->kind, o->residue, (uint8_t *)o->value + part_at(t, o, q) * size,
                      in, part_size(t, o, q));
    }
    return TASK_DONE;
}

int dealer_open(seq_task *t, dealer_opening *o) {
    const unsigned stage = o->stage++;
    if (stage == 0)
        return send_summands(t, o);
    if (!direct(t->env->parties, o->to))
        return stage == 1 ? send_sums(t, o) : take_sums(t, o);
    if (receives(t, o->to, t->env->me))
        add_summands(t, o);
    return TASK_DONE;
}
