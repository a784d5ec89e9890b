/* spdz2k: products and truncation. See spdz2k.h. */

#include "spdz2k.h"

#include "bilinear.h"

enum { MASKING, ADDING, LAST }; /* what is waited for */

typedef struct {
    dealer_deal x;
    masked_part part;
    masked_rounding
        r; /* summands: shares in a.c[0], their MACs in a.c[2], what is known in a.c[3] */
    unsigned phase;
    spdz2k_shares z, mask; /* what is opened; fresh, or of what wraps */
    spdz2k_shares top, high;
    spdz2k_word *known; /* what is added to what was opened */
    spdz2k_opening o;
    spdz2k_adder adder;
} round_state;

/* Elements of a component of a register. */
static spdz2k_word *at(const seq_task *t, const round_state *s, const seq_reg *r, unsigned k) {
    return masked_at(t->env, r->c[k], s->part.first);
}

static int
masks(const round_state *s) { /* whether the mask of what is opened is needed by itself */
    return !s->r.m || s->r.source == MASKED_REGISTER;
}

/* Bytes of the dealer's message. */
static size_t round_bytes(const round_state *s) {
    const size_t numbers = (s->r.source != MASKED_REGISTER) + (s->r.m ? 2u : 0) + s->r.nearest;
    const size_t fresh = (size_t)masks(s) + (s->r.m > 0);
    return s->part.count * (numbers * SPDZ2K_NUMBER_BYTES + fresh * SPDZ2K_MASK_BYTES) +
           (s->r.nearest ? spdz2k_adder_bytes(&s->adder) : 0);
}

/* ---- the dealer ---- */

/* The top bit of R = -M mod 2^64 and -R / 2^m; the mask of the result. */
static void deal_rounding(round_state *s, const spdz2k_word *mask, spdz2k_word *result) {
    const size_t n = s->part.count, first = s->part.first;
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = 0 - (uint64_t)mask[i];
        s->top.value[i] = r >> (SPDZ2K_BITS - 1);
        s->high.value[i] = 0 - (spdz2k_word)(r >> s->r.m);
    }
    spdz2k_give(&s->x, SPDZ2K_TOP, first, s->top.value, n);
    spdz2k_give(&s->x, SPDZ2K_HIGH, first, s->high.value, n);
    spdz2k_mask(&s->x, -1, SPDZ2K_WRAP, first, s->mask, n);
    for (size_t i = 0; i < n; i++)
        result[i] = s->r.nearest ? s->mask.value[i]
                                 : s->high.value[i] + (s->mask.value[i] << (SPDZ2K_BITS - s->r.m));
}

/* The part of A = R mod 2^m in the carry that rounding to nearest takes away. */
static void deal_carry(const seq_task *t, round_state *s, const spdz2k_word *mask) {
    const size_t n = s->part.count, words = s->part.words;
    for (size_t i = 0; i < n; i++)
        s->top.value[i] = 0 - (uint64_t)mask[i];
    t->env->bits->slice(s->adder.in, words, s->top.value, 128, n, 0, s->r.m);
    spdz2k_adder_deal(&s->x, &s->adder);
    const uint64_t *carry = s->adder.mask.value + spdz2k_adder_result(&s->adder, 0) * words;
    t->env->bits->unslice(s->top.value, 128, carry, words, n, 0, 1);
    spdz2k_give(&s->x, SPDZ2K_BIT, s->part.first, s->top.value, n);
}

static int round_deal(seq_task *t, round_state *s) {
    const seq_env *env = t->env;
    const size_t n = s->part.count, first = s->part.first;
    spdz2k_word *product = s->z.value;
    masked_mask(&s->x.keys, MASKED_WORD, SPDZ2K_MASK, first, s->mask.value, n);
    if (s->r.source == MASKED_PRODUCT)
        env->ring->mul(product, at(t, s, &s->r.a, 1), at(t, s, &s->r.b, 1), n);
    else if (s->r.source == MASKED_SUMMANDS)
        memcpy(product, at(t, s, &s->r.a, 0), n * sizeof *product);
    if (s->r.source != MASKED_REGISTER) {
        env->ring->sub(product, product, s->mask.value, n);
        spdz2k_give(&s->x, SPDZ2K_NUMBER, first, product, n);
    }
    if (masks(s))
        spdz2k_mask(&s->x, -1, SPDZ2K_MASK, first, s->mask, n);
    if (s->r.m) {
        memcpy(product, s->mask.value, n * sizeof *product);
        deal_rounding(s, product, at(t, s, &s->r.d, 1));
        if (s->r.nearest)
            deal_carry(t, s, product);
    } else {
        memcpy(at(t, s, &s->r.d, 1), s->mask.value, n * sizeof *product);
    }
    return TASK_DONE;
}

/* ---- the others ---- */

static int round_begin(seq_task *t, round_state *s) {
    s->r = masked_rounding_of(&t->call);
    s->part = masked_elements(t, s->r.n);
    const size_t n = s->part.count;
    if (s->r.m > SPDZ2K_BITS - 2)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "spdz2k truncates by 1 to %u bits, not %u",
                         SPDZ2K_BITS - 2, s->r.m);
    s->known = task_scratch(t, n * sizeof *s->known + 64);
    rep3_plan_make(&s->adder.plan, REP3_CARRY, s->r.m ? s->r.m : 1);
    s->adder.first = t->begin;
    s->adder.words = s->part.words;
    if ((s->r.nearest && spdz2k_adder_alloc(t, &s->adder)) || !s->known ||
        spdz2k_alloc(t, &s->z, n) || spdz2k_alloc(t, &s->mask, n) ||
        (s->r.m && (spdz2k_alloc(t, &s->top, n) || spdz2k_alloc(t, &s->high, n))) ||
        dealer_begin(&s->x, t, round_bytes(s)))
        return TASK_ERROR;
    return masked_dealer(t) ? round_deal(t, s) : TASK_WAIT;
}

static int open_shares(seq_task *t, round_state *s, unsigned phase, unsigned bits) {
    s->phase = phase;
    s->o = (spdz2k_opening){.bits = bits, .to = MASKED_ONLINE, .n = s->part.count, .z = s->z};
    return spdz2k_open(t, &s->o);
}

/* D_a M_b + M_a D_b, for shares and MACs, beside kappa; D_a D_b is known. */
static void multiply(const seq_task *t, const round_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    const spdz2k_word *a = at(t, s, &s->r.a, 0), *b = at(t, s, &s->r.b, 0);
    ring->muladd(s->z.value, a, at(t, s, &s->r.b, 1), n);
    ring->muladd(s->z.value, at(t, s, &s->r.a, 1), b, n);
    ring->muladd(s->z.mac, a, at(t, s, &s->r.b, 2), n);
    ring->muladd(s->z.mac, at(t, s, &s->r.a, 2), b, n);
    ring->mul(s->known, a, b, n);
    if (!s->r.e.c[0])
        return;
    ring->add(s->z.value, s->z.value, at(t, s, &s->r.e, 1), n);
    ring->add(s->z.mac, s->z.mac, at(t, s, &s->r.e, 2), n);
    ring->add(s->known, s->known, at(t, s, &s->r.e, 0), n);
}

/* The shares that are opened under a fresh mask. */
static int open_masked(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count, first = s->part.first;
    if (s->r.source != MASKED_REGISTER)
        spdz2k_get(&s->x, SPDZ2K_NUMBER, first, s->z, n);
    if (masks(s))
        spdz2k_mask(&s->x, -1, SPDZ2K_MASK, first, s->mask, n);
    if (s->r.source == MASKED_PRODUCT) {
        multiply(t, s);
    } else if (s->r.source == MASKED_SUMMANDS) {
        ring->add(s->z.value, s->z.value, at(t, s, &s->r.a, 0), n);
        ring->add(s->z.mac, s->z.mac, at(t, s, &s->r.a, 2), n);
        memcpy(s->known, at(t, s, &s->r.a, 3), n * sizeof *s->known);
    } else {
        ring->sub(s->z.value, at(t, s, &s->r.a, 1), s->mask.value, n);
        ring->sub(s->z.mac, at(t, s, &s->r.a, 2), s->mask.mac, n);
        memcpy(s->known, at(t, s, &s->r.a, 0), n * sizeof *s->known);
    }
    if (!s->r.m) {
        memcpy(at(t, s, &s->r.d, 1), s->mask.value, n * sizeof *s->z.value);
        memcpy(at(t, s, &s->r.d, 2), s->mask.mac, n * sizeof *s->z.value);
    }
    return open_shares(t, s, MASKING, SPDZ2K_BITS);
}

/* c = x + 2^62 + R; what wraps, 2^(64-m) ((1 - msb c) w - u), is opened. */
static int open_wrap(seq_task *t, round_state *s) {
    const size_t n = s->part.count, first = s->part.first;
    const unsigned shift = SPDZ2K_BITS - s->r.m;
    spdz2k_get(&s->x, SPDZ2K_TOP, first, s->top, n);
    spdz2k_get(&s->x, SPDZ2K_HIGH, first, s->high, n);
    spdz2k_mask(&s->x, -1, SPDZ2K_WRAP, first, s->mask, n);
    spdz2k_word *mask = at(t, s, &s->r.d, 1), *mac = at(t, s, &s->r.d, 2);
    for (size_t i = 0; i < n; i++) {
        const uint64_t c = (uint64_t)s->known[i] + ((uint64_t)1 << (SPDZ2K_BITS - 2));
        const uint64_t keep = 1 - (c >> (SPDZ2K_BITS - 1));
        s->known[i] = (spdz2k_word)(c >> s->r.m) - ((spdz2k_word)1 << (SPDZ2K_BITS - 2 - s->r.m));
        s->z.value[i] = (keep * s->top.value[i] - s->mask.value[i]) << shift;
        s->z.mac[i] = (keep * s->top.mac[i] - s->mask.mac[i]) << shift;
        mask[i] = s->high.value[i] + (s->mask.value[i] << shift);
        mac[i] = s->high.mac[i] + (s->mask.mac[i] << shift);
    }
    return open_shares(t, s, LAST, s->r.m);
}

/* Nearest: whether c + 2^(m-1) mod 2^m is less than R mod 2^m, the carry of R and its complement.
 */
static int add_carry(seq_task *t, round_state *s) {
    const size_t n = s->part.count, first = s->part.first;
    spdz2k_get(&s->x, SPDZ2K_TOP, first, s->top, n);
    spdz2k_get(&s->x, SPDZ2K_HIGH, first, s->high, n);
    spdz2k_mask(&s->x, -1, SPDZ2K_WRAP, first, s->mask, n);
    for (size_t i = 0; i < n; i++) {
        s->known[i] = (uint64_t)s->known[i] + ((uint64_t)1 << (SPDZ2K_BITS - 2));
        s->z.value[i] = ~(s->known[i] + ((spdz2k_word)1 << (s->r.m - 1)));
    }
    t->env->bits->slice(s->adder.in, s->part.words, s->z.value, 128, n, 0, s->r.m);
    s->phase = ADDING;
    return spdz2k_adder_step(&s->x, &s->adder);
}

/* The rounded value less the carry v ^ mu, v known, under a fresh mask. */
static int open_nearest(seq_task *t, round_state *s) {
    const size_t n = s->part.count, words = s->part.words;
    const unsigned shift = SPDZ2K_BITS - s->r.m;
    spdz2k_word *carry = task_scratch(t, n * sizeof *carry + 64);
    if (!carry)
        return TASK_ERROR;
    const uint64_t *plane = s->adder.value + spdz2k_adder_result(&s->adder, 0) * words;
    t->env->bits->unslice(carry, 128, plane, words, n, 0, 1);
    spdz2k_get(&s->x, SPDZ2K_BIT, s->part.first, s->z, n);
    for (size_t i = 0; i < n; i++) {
        const uint64_t c = (uint64_t)s->known[i];
        const spdz2k_word keep = 1 - (c >> (SPDZ2K_BITS - 1)), sign = 2 * carry[i] - 1;
        s->z.value[i] = sign * s->z.value[i] + s->high.value[i] +
                        ((keep * s->top.value[i]) << shift) - s->mask.value[i];
        s->z.mac[i] = sign * s->z.mac[i] + s->high.mac[i] + ((keep * s->top.mac[i]) << shift) -
                      s->mask.mac[i];
        s->known[i] = (spdz2k_word)(c >> s->r.m) + (c >> (s->r.m - 1) & 1) - carry[i] -
                      ((spdz2k_word)1 << (SPDZ2K_BITS - 2 - s->r.m));
    }
    memcpy(at(t, s, &s->r.d, 1), s->mask.value, n * sizeof *s->known);
    memcpy(at(t, s, &s->r.d, 2), s->mask.mac, n * sizeof *s->known);
    return open_shares(t, s, LAST, SPDZ2K_BITS);
}

/* All steps but the first are of those who compute. */
static int round_step(seq_task *t) {
    round_state *s = t->state;
    const size_t n = s->part.count;
    if (t->step_no == 0)
        return round_begin(t, s);
    if (t->step_no == 1)
        return dealer_take(&s->x) ? TASK_ERROR : open_masked(t, s);
    const int status =
        s->phase == ADDING ? spdz2k_adder_step(&s->x, &s->adder) : spdz2k_open(t, &s->o);
    if (status != TASK_DONE)
        return status;
    if (s->phase == ADDING)
        return open_nearest(t, s);
    t->env->ring->add(s->known, s->known, s->z.value, n);
    if (s->r.m && s->phase == MASKING)
        return s->r.nearest ? add_carry(t, s) : open_wrap(t, s);
    memcpy(at(t, s, &s->r.d, 0), s->known, n * sizeof *s->known);
    return TASK_DONE;
}

static unsigned carry_bits(int64_t m) { /* too many are refused later */
    return (unsigned)(m < SPDZ2K_BITS ? m : SPDZ2K_BITS);
}

static unsigned round_rounds(const seq_vm *vm, int64_t m, int64_t nearest) {
    const unsigned carry = m && nearest ? dealer_adder_openings(REP3_CARRY, carry_bits(m)) : 0;
    return ((m ? 2 : 1) + carry) * masked_rounds(vm);
}

static void account_rounding(seq_vm *vm, const seq_call *call, size_t n, int64_t m,
                             int64_t nearest) {
    const size_t carry = m && nearest ? spdz2k_adder_values(REP3_CARRY, carry_bits(m)) : 0;
    spdz2k_account(vm, call, (m ? 2 : 1) * n + carry * ((n + 63) / 64));
}

void spdz2k_start_round(seq_vm *vm, const seq_call *call) {
    const masked_rounding r = masked_rounding_of(call);
    account_rounding(vm, call, r.n, r.m, r.nearest);
    masked_start(vm, call, r.n, round_rounds(vm, r.m, r.nearest), round_step, sizeof(round_state));
}

/* ---- matmul and convolutions: local products, then their opening as a sub-machine ---- */

static int bilinear_step(seq_task *t) {
    if (t->step_no)
        return TASK_DONE;
    bilinear b;
    bilinear_of(&t->call, &b);
    const seq_reg *x = &t->call.reg[b.x], *y = &t->call.reg[b.y];
    const size_t bytes = b.size * sizeof(spdz2k_word);
    const unsigned parts = masked_dealer(t) ? 1 : 3;
    spdz2k_word *z[3]; /* shares, MACs, what is known */
    for (unsigned k = 0; k < parts; k++)
        if (!(z[k] = task_scratch(t, bytes + 64)))
            return TASK_ERROR;
    if (masked_dealer(t)) {
        b.f(t, 0, b.slices, z[0], &(ring_term){x->c[1], y->c[1]}, 1);
    } else {
        const seq_reg *e = &t->call.reg[b.mode + 1];
        for (unsigned k = 1; k < 3; k++) {
            const ring_term terms[2] = {{x->c[0], y->c[k]}, {x->c[k], y->c[0]}};
            b.f(t, 0, b.slices, z[k - 1], terms, 2);
        }
        b.f(t, 0, b.slices, z[2], &(ring_term){x->c[0], y->c[0]}, 1);
        for (unsigned k = 0; t->call.op >= SEQ_OP_MUL_ADD && k < 3; k++)
            t->env->ring->add(z[(k + 2) % 3], z[(k + 2) % 3], e->c[k], b.size);
    }
    seq_call sub = masked_trunc_of(&t->call, b.mode, b.size, z[0], &t->call.reg[b.d]);
    for (unsigned k = 1; k < parts; k++)
        sub.reg[SEQ_ARG_TRUNC_a].c[k + 1] = z[k];
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

void spdz2k_start_bilinear(seq_vm *vm, const seq_call *call) {
    bilinear b;
    bilinear_of(call, &b);
    const int64_t m = call->arg[b.mode - 1];
    account_rounding(vm, call, b.size, m, call->arg[b.mode]);
    call_rounds(vm, call, b.size ? round_rounds(vm, m, call->arg[b.mode]) : 0);
    if (b.size)
        task_create(vm, call, 0, 0, b.size, bilinear_step, 0);
}
