/* Masked values: kinds of elements, masks, openings. See masked.h. */

#include "masked.h"

/* ---- kinds of elements ---- */

void masked_add(const seq_env *env, unsigned kind, void *d, const void *a, const void *b,
                size_t n) {
    if (kind == MASKED_BITS)
        env->bits->xor_(d, a, b, n);
    else
        env->ring->add(d, a, b, n);
}

void masked_sub(const seq_env *env, unsigned kind, void *d, const void *a, const void *b,
                size_t n) {
    if (kind == MASKED_BITS)
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

static void pack(const seq_env *env, uint8_t *out, const void *x, size_t n, unsigned bytes) {
    if (bytes == env->ring->word)
        memcpy(out, x, n * bytes);
    else
        narrow(out, x, n, env->ring->word, bytes);
}

static void unpack(const seq_env *env, void *x, const uint8_t *in, size_t n, unsigned bytes) {
    const size_t word = env->ring->word;
    memset(x, 0, n * word);
    for (size_t i = 0; i < n; i++)
        memcpy((uint8_t *)x + i * word, in + i * bytes, bytes);
}

void masked_shl(const seq_env *env, void *d, const void *a, unsigned s, size_t n) {
    for (size_t i = 0; env->ring->word == 8 && i < n; i++)
        ((uint64_t *)d)[i] = ((const uint64_t *)a)[i] << s;
    for (size_t i = 0; env->ring->word == 16 && i < n; i++)
        ((unsigned __int128 *)d)[i] = ((const unsigned __int128 *)a)[i] << s;
}

void masked_add_power(const seq_env *env, void *d, unsigned s, size_t n) {
    for (size_t i = 0; env->ring->word == 8 && i < n; i++)
        ((uint64_t *)d)[i] += (uint64_t)1 << s;
    for (size_t i = 0; env->ring->word == 16 && i < n; i++)
        ((unsigned __int128 *)d)[i] += (unsigned __int128)1 << s;
}

void masked_sub_power(const seq_env *env, void *d, unsigned s, size_t n) {
    for (size_t i = 0; env->ring->word == 8 && i < n; i++)
        ((uint64_t *)d)[i] -= (uint64_t)1 << s;
    for (size_t i = 0; env->ring->word == 16 && i < n; i++)
        ((unsigned __int128 *)d)[i] -= (unsigned __int128)1 << s;
}

/* Bytes of an element in messages. */
unsigned masked_wire(const seq_env *env, unsigned kind, unsigned residue) {
    return kind == MASKED_RESIDUE ? residue : (unsigned)masked_size(env, kind);
}

void masked_to_wire(const seq_env *env, unsigned kind, unsigned residue, uint8_t *out,
                    const void *x, size_t n) {
    if (kind == MASKED_RESIDUE)
        pack(env, out, x, n, residue);
    else
        memcpy(out, x, n * masked_size(env, kind));
}

void masked_from_wire(const seq_env *env, unsigned kind, unsigned residue, void *x,
                      const uint8_t *in, size_t n) {
    if (kind == MASKED_RESIDUE)
        unpack(env, x, in, n, residue);
    else
        memcpy(x, in, n * masked_size(env, kind));
}

/* ---- masks ---- */

void masked_keys_of(masked_keys *x, seq_task *t) {
    const masked_state *s = masked_of(t);
    x->t = t;
    for (unsigned j = 0; j < s->n; j++)
        if (masked_dealer(t) || j == t->env->me)
            prg_derive(&x->part[j], &s->mask[j], t->call.instance, t->call.sub);
}

void masked_stream(const seq_env *env, const prg_key *key, unsigned kind, uint32_t purpose,
                   size_t first, void *out, size_t n) {
    const size_t halves = masked_size(env, kind) / 8;
    prg_words(key, purpose, first * halves, out, n * halves);
}

void masked_combine(const masked_keys *x, unsigned kind, uint32_t purpose, size_t first, void *d,
                    size_t n, unsigned parties, masked_combination f) {
    const seq_env *env = x->t->env;
    const size_t size = masked_size(env, kind);
    _Alignas(64) uint8_t piece[MASKED_PIECE * 16];
    for (size_t at = 0; at < n; at += MASKED_PIECE) {
        const size_t count = n - at < MASKED_PIECE ? n - at : MASKED_PIECE;
        uint8_t *part = (uint8_t *)d + at * size;
        for (unsigned j = 0; j < parties; j++) {
            masked_stream(env, &x->part[j], kind, purpose, first + at, piece, count);
            f(env, kind, part, part, piece, count);
        }
    }
    prg_wipe(piece, sizeof piece);
}

void masked_mask(const masked_keys *x, unsigned kind, uint32_t purpose, size_t first, void *out,
                 size_t n) {
    const seq_env *env = x->t->env;
    if (!masked_dealer(x->t)) {
        masked_stream(env, &x->part[env->me], kind, purpose, first, out, n);
        return;
    }
    memset(out, 0, n * masked_size(env, kind));
    masked_combine(x, kind, purpose, first, out, n, masked_of(x->t)->n, masked_add);
}

void masked_zero(const seq_task *t, unsigned kind, size_t first, void *out, size_t n) {
    const masked_state *s = masked_of(t);
    const seq_env *env = t->env;
    const size_t size = masked_size(env, kind);
    _Alignas(64) uint8_t piece[MASKED_PIECE * 16];
    memset(out, 0, n * size);
    for (unsigned j = 0; j < s->n; j++) {
        prg_key key;
        if (j == env->me)
            continue;
        prg_derive(&key, &s->pair[j], t->call.instance, t->call.sub);
        for (size_t at = 0; at < n; at += MASKED_PIECE) {
            const size_t count = n - at < MASKED_PIECE ? n - at : MASKED_PIECE;
            uint8_t *part = (uint8_t *)out + at * size;
            masked_stream(env, &key, kind, MASKED_ZERO, first + at, piece, count);
            (j > env->me ? masked_add : masked_sub)(env, kind, part, part, piece, count);
        }
        prg_wipe(&key, sizeof key);
    }
    prg_wipe(piece, sizeof piece);
}

/* ---- openings ---- */

enum { DIRECT = 3 }; /* computing parties of which everybody sends to everybody */

static int direct(unsigned parties, int to) {
    return parties <= DIRECT || to >= 0;
}

/* The dealer goes on only when it has what it is sent: what it deals next is later by that. */
unsigned masked_opening_rounds(const seq_env *env, int to) {
    const unsigned n = ((const masked_state *)env->protocol)->n;
    const int dealer = n < env->parties && !env->ahead && (to == MASKED_ALL || to == (int)n);
    return (direct(n, to) ? 1 : 2) + (unsigned)dealer;
}

static int receives(const seq_task *t, int to, unsigned party) {
    const int computes = party < masked_of(t)->n;
    const int here = computes || (party < t->env->parties && !t->env->ahead);
    return to == (int)party || (to == MASKED_ALL && here) || (to == MASKED_ONLINE && computes);
}

/* Elements of what is opened that come before part q. */
static size_t part_at(const seq_task *t, const masked_opening *o, unsigned q) {
    return direct(masked_of(t)->n, o->to) ? 0 : o->n * q / masked_of(t)->n;
}

static size_t part_size(const seq_task *t, const masked_opening *o, unsigned q) {
    return direct(masked_of(t)->n, o->to) ? o->n : part_at(t, o, q + 1) - part_at(t, o, q);
}

/* Send elements [at, at + n) to party q. */
static int send_part(seq_task *t, const masked_opening *o, unsigned q, size_t at, size_t n) {
    const size_t unit = masked_wire(t->env, o->kind, o->residue);
    uint8_t *frame = n ? task_send(t, q, n * unit) : NULL;
    if (n && !frame)
        return -1;
    if (n)
        masked_to_wire(t->env, o->kind, o->residue, frame,
                       (uint8_t *)o->value + at * masked_size(t->env, o->kind), n);
    return 0;
}

/* First step: summands go to the receivers, or to the kings of their parts. */
static int send_summands(seq_task *t, const masked_opening *o) {
    const unsigned me = t->env->me, n = masked_of(t)->n;
    const size_t unit = masked_wire(t->env, o->kind, o->residue);
    const int all = direct(masked_of(t)->n, o->to);
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
static void add_summands(seq_task *t, const masked_opening *o) {
    const seq_env *env = t->env;
    const size_t size = masked_size(env, o->kind), unit = masked_wire(env, o->kind, o->residue);
    const size_t at = part_at(t, o, env->me), n = part_size(t, o, env->me);
    uint8_t *sum = (uint8_t *)o->value + at * size;
    _Alignas(64) uint8_t piece[MASKED_PIECE * 16];
    if (masked_dealer(t))
        memset(sum, 0, n * size);
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
        const uint8_t *in = j == env->me ? NULL : task_received(t, j);
        for (size_t i = 0; in && i < n; i += MASKED_PIECE) {
            const size_t count = n - i < MASKED_PIECE ? n - i : MASKED_PIECE;
            masked_from_wire(env, o->kind, o->residue, piece, in + i * unit, count);
            masked_add(env, o->kind, sum + i * size, sum + i * size, piece, count);
        }
    }
    prg_wipe(piece, sizeof piece);
}

/* Second step with kings: sums go to all receivers. */
static int send_sums(seq_task *t, const masked_opening *o) {
    const unsigned me = t->env->me, n = masked_of(t)->n;
    const size_t unit = masked_wire(t->env, o->kind, o->residue);
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

static int take_sums(seq_task *t, const masked_opening *o) {
    const size_t size = masked_size(t->env, o->kind);
    for (unsigned q = 0; q < masked_of(t)->n; q++) {
        const uint8_t *in = q == t->env->me ? NULL : task_received(t, q);
        if (in)
            masked_from_wire(t->env, o->kind, o->residue,
                             (uint8_t *)o->value + part_at(t, o, q) * size, in, part_size(t, o, q));
    }
    return TASK_DONE;
}

int masked_open(seq_task *t, masked_opening *o) {
    const unsigned stage = o->stage++;
    if (stage == 0)
        return send_summands(t, o);
    if (!direct(masked_of(t)->n, o->to))
        return stage == 1 ? send_sums(t, o) : take_sums(t, o);
    if (receives(t, o->to, t->env->me))
        add_summands(t, o);
    return TASK_DONE;
}

void masked_counts(const seq_task *t, const masked_opening *o, size_t *begin, size_t *end) {
    const unsigned me = t->env->me, n = masked_of(t)->n;
    const int counts = direct(n, o->to) ? me == 0 : me < n;
    *begin = counts ? part_at(t, o, me) : 0;
    *end = counts ? *begin + part_size(t, o, me) : 0;
}
