/* spdz2k: products and truncation. See spdz2k.h. */

#include "spdz2k.h"

#include "bilinear.h"

enum { MASKED, SUMMANDS, PRODUCT }; /* what is opened: a register, shares, a product */

typedef struct {
    dealer_deal x;
    masked_part part;
    unsigned m, source;
    seq_reg a, b, e, d;    /* operands; e.c[0] NULL: nothing is added */
    spdz2k_shares z, mask; /* what is opened; fresh, or of what wraps */
    spdz2k_shares top, high;
    spdz2k_word *known; /* what is added to what was opened */
    spdz2k_opening o;
} round_state;

/* Elements of a component of a register. */
static spdz2k_word *at(const seq_task *t, const round_state *s, const seq_reg *r, unsigned k) {
    return masked_at(t->env, r->c[k], s->part.first);
}

static int
masks(const round_state *s) { /* whether the mask of what is opened is needed by itself */
    return !s->m || s->source == MASKED;
}

/* Bytes of the dealer's message for an element. */
static size_t round_bytes(const round_state *s) {
    return (s->source == MASKED ? 0 : SPDZ2K_NUMBER_BYTES) + (masks(s) ? SPDZ2K_MASK_BYTES : 0) +
           (s->m ? 2 * SPDZ2K_NUMBER_BYTES + SPDZ2K_MASK_BYTES : 0);
}

/* ---- the dealer ---- */

/* The top bit of R = -M mod 2^64 and -R / 2^m; the mask of the result. */
static void deal_rounding(round_state *s, const spdz2k_word *mask, spdz2k_word *result) {
    const size_t n = s->part.count, first = s->part.first;
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = 0 - (uint64_t)mask[i];
        s->top.value[i] = r >> (SPDZ2K_BITS - 1);
        s->high.value[i] = 0 - (spdz2k_word)(r >> s->m);
    }
    spdz2k_give(&s->x, SPDZ2K_TOP, first, s->top.value, n);
    spdz2k_give(&s->x, SPDZ2K_HIGH, first, s->high.value, n);
    spdz2k_mask(&s->x, -1, SPDZ2K_WRAP, first, s->mask, n);
    for (size_t i = 0; i < n; i++)
        result[i] = s->high.value[i] + (s->mask.value[i] << (SPDZ2K_BITS - s->m));
}

static int round_deal(seq_task *t, round_state *s) {
    const seq_env *env = t->env;
    const size_t n = s->part.count, first = s->part.first;
    spdz2k_word *product = s->z.value;
    masked_mask(&s->x.keys, MASKED_WORD, SPDZ2K_MASK, first, s->mask.value, n);
    if (s->source == PRODUCT)
        env->ring->mul(product, at(t, s, &s->a, 1), at(t, s, &s->b, 1), n);
    else if (s->source == SUMMANDS)
        memcpy(product, at(t, s, &s->a, 0), n * sizeof *product);
    if (s->source != MASKED) {
        env->ring->sub(product, product, s->mask.value, n);
        spdz2k_give(&s->x, SPDZ2K_NUMBER, first, product, n);
    }
    if (masks(s))
        spdz2k_mask(&s->x, -1, SPDZ2K_MASK, first, s->mask, n);
    if (s->m) {
        memcpy(product, s->mask.value, n * sizeof *product);
        deal_rounding(s, product, at(t, s, &s->d, 1));
    } else {
        memcpy(at(t, s, &s->d, 1), s->mask.value, n * sizeof *product);
    }
    return TASK_DONE;
}

/* ---- the others ---- */

static int round_begin(seq_task *t, round_state *s, size_t n) {
    s->part = masked_elements(t, n);
    n = s->part.count;
    if (s->m > SPDZ2K_BITS - 2)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "spdz2k truncates by 1 to %u bits, not %u",
                         SPDZ2K_BITS - 2, s->m);
    s->known = task_scratch(t, n * sizeof *s->known + 64);
    if (!s->known || spdz2k_alloc(t, &s->z, n) || spdz2k_alloc(t, &s->mask, n) ||
        (s->m && (spdz2k_alloc(t, &s->top, n) || spdz2k_alloc(t, &s->high, n))) ||
        dealer_begin(&s->x, t, n * round_bytes(s)))
        return TASK_ERROR;
    return masked_dealer(t) ? round_deal(t, s) : TASK_WAIT;
}

static int open_shares(seq_task *t, round_state *s, unsigned bits) {
    s->o = (spdz2k_opening){.bits = bits, .to = MASKED_ONLINE, .n = s->part.count, .z = s->z};
    return spdz2k_open(t, &s->o);
}

/* D_a M_b + M_a D_b, for shares and MACs, beside kappa; D_a D_b is known. */
static void multiply(const seq_task *t, const round_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    const spdz2k_word *a = at(t, s, &s->a, 0), *b = at(t, s, &s->b, 0);
    ring->muladd(s->z.value, a, at(t, s, &s->b, 1), n);
    ring->muladd(s->z.value, at(t, s, &s->a, 1), b, n);
    ring->muladd(s->z.mac, a, at(t, s, &s->b, 2), n);
    ring->muladd(s->z.mac, at(t, s, &s->a, 2), b, n);
    ring->mul(s->known, a, b, n);
    if (!s->e.c[0])
        return;
    ring->add(s->z.value, s->z.value, at(t, s, &s->e, 1), n);
    ring->add(s->z.mac, s->z.mac, at(t, s, &s->e, 2), n);
    ring->add(s->known, s->known, at(t, s, &s->e, 0), n);
}

/* The shares that are opened under a fresh mask. */
static int open_masked(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count, first = s->part.first;
    if (s->source != MASKED)
        spdz2k_get(&s->x, SPDZ2K_NUMBER, first, s->z, n);
    if (masks(s))
        spdz2k_mask(&s->x, -1, SPDZ2K_MASK, first, s->mask, n);
    if (s->source == PRODUCT) {
        multiply(t, s);
    } else if (s->source == SUMMANDS) {
        ring->add(s->z.value, s->z.value, at(t, s, &s->a, 0), n);
        ring->add(s->z.mac, s->z.mac, at(t, s, &s->a, 2), n);
        memcpy(s->known, at(t, s, &s->a, 3), n * sizeof *s->known);
    } else {
        ring->sub(s->z.value, at(t, s, &s->a, 1), s->mask.value, n);
        ring->sub(s->z.mac, at(t, s, &s->a, 2), s->mask.mac, n);
        memcpy(s->known, at(t, s, &s->a, 0), n * sizeof *s->known);
    }
    if (!s->m) {
        memcpy(at(t, s, &s->d, 1), s->mask.value, n * sizeof *s->z.value);
        memcpy(at(t, s, &s->d, 2), s->mask.mac, n * sizeof *s->z.value);
    }
    return open_shares(t, s, SPDZ2K_BITS);
}

/* c = x + 2^62 + R; what wraps, 2^(64-m) ((1 - msb c) w - u), is opened. */
static int open_wrap(seq_task *t, round_state *s) {
    const size_t n = s->part.count, first = s->part.first;
    const unsigned shift = SPDZ2K_BITS - s->m;
    spdz2k_get(&s->x, SPDZ2K_TOP, first, s->top, n);
    spdz2k_get(&s->x, SPDZ2K_HIGH, first, s->high, n);
    spdz2k_mask(&s->x, -1, SPDZ2K_WRAP, first, s->mask, n);
    spdz2k_word *mask = at(t, s, &s->d, 1), *mac = at(t, s, &s->d, 2);
    for (size_t i = 0; i < n; i++) {
        const uint64_t c = (uint64_t)s->known[i] + ((uint64_t)1 << (SPDZ2K_BITS - 2));
        const uint64_t keep = 1 - (c >> (SPDZ2K_BITS - 1));
        s->known[i] = (spdz2k_word)(c >> s->m) - ((spdz2k_word)1 << (SPDZ2K_BITS - 2 - s->m));
        s->z.value[i] = (keep * s->top.value[i] - s->mask.value[i]) << shift;
        s->z.mac[i] = (keep * s->top.mac[i] - s->mask.mac[i]) << shift;
        mask[i] = s->high.value[i] + (s->mask.value[i] << shift);
        mac[i] = s->high.mac[i] + (s->mask.mac[i] << shift);
    }
    return open_shares(t, s, s->m);
}

/* All steps but the first, at those who compute. */
static int round_step(seq_task *t) {
    round_state *s = t->state;
    const size_t n = s->part.count;
    if (t->step_no == 1)
        return dealer_take(&s->x) ? TASK_ERROR : open_masked(t, s);
    const int status = spdz2k_open(t, &s->o);
    if (status != TASK_DONE)
        return status;
    t->env->ring->add(s->known, s->known, s->z.value, n);
    if (s->m && s->o.bits == SPDZ2K_BITS)
        return open_wrap(t, s);
    memcpy(at(t, s, &s->d, 0), s->known, n * sizeof *s->known);
    return TASK_DONE;
}

static unsigned round_rounds(const seq_vm *vm, int64_t m) {
    return (m ? 2 : 1) * masked_rounds(vm);
}

/* How a call rounds; what cannot be done is refused. 0, or -1. */
static int refused(seq_vm *vm, const seq_call *call, int64_t m, int64_t nearest) {
    if (!m || !nearest)
        return 0;
    (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "spdz2k does not round to nearest yet");
    return 1;
}

static int trunc_step(seq_task *t) {
    round_state *s = t->state;
    if (t->step_no)
        return round_step(t);
    s->a = t->call.reg[SEQ_ARG_TRUNC_a];
    s->d = t->call.reg[SEQ_ARG_TRUNC_d];
    s->m = (unsigned)t->call.arg[SEQ_ARG_TRUNC_m];
    s->source = s->a.c[1] ? MASKED : SUMMANDS;
    return round_begin(t, s, (size_t)t->call.arg[SEQ_ARG_TRUNC_n]);
}

void spdz2k_start_trunc(seq_vm *vm, const seq_call *call) {
    const int64_t *arg = call->arg;
    const size_t n = (size_t)arg[SEQ_ARG_TRUNC_n];
    if (refused(vm, call, arg[SEQ_ARG_TRUNC_m], arg[SEQ_ARG_TRUNC_mode]))
        return;
    spdz2k_account(vm, call, 2 * n);
    masked_start(vm, call, n, round_rounds(vm, arg[SEQ_ARG_TRUNC_m]), trunc_step,
                 sizeof(round_state));
}

static int mul_step(seq_task *t) {
    round_state *s = t->state;
    if (t->step_no)
        return round_step(t);
    s->a = t->call.reg[SEQ_ARG_MUL_a];
    s->b = t->call.reg[SEQ_ARG_MUL_b];
    s->d = t->call.reg[SEQ_ARG_MUL_d];
    if (t->call.op == SEQ_OP_MUL_ADD)
        s->e = t->call.reg[SEQ_ARG_MUL_ADD_e];
    s->m = (unsigned)t->call.arg[SEQ_ARG_MUL_m];
    s->source = PRODUCT;
    return round_begin(t, s, (size_t)t->call.arg[SEQ_ARG_MUL_n]);
}

void spdz2k_start_mul(seq_vm *vm, const seq_call *call) {
    const int64_t *arg = call->arg;
    const size_t n = (size_t)arg[SEQ_ARG_MUL_n];
    if (refused(vm, call, arg[SEQ_ARG_MUL_m], arg[SEQ_ARG_MUL_mode]))
        return;
    spdz2k_account(vm, call, (arg[SEQ_ARG_MUL_m] ? 2 : 1) * n);
    masked_start(vm, call, n, round_rounds(vm, arg[SEQ_ARG_MUL_m]), mul_step, sizeof(round_state));
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
    seq_call sub = {.op = SEQ_OP_TRUNC};
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
        sub.reg[SEQ_ARG_TRUNC_a].c[2] = z[1];
        sub.reg[SEQ_ARG_TRUNC_a].c[3] = z[2];
    }
    sub.reg[SEQ_ARG_TRUNC_a].c[0] = z[0];
    sub.reg[SEQ_ARG_TRUNC_d] = t->call.reg[b.d];
    sub.arg[SEQ_ARG_TRUNC_n] = (int64_t)b.size;
    sub.arg[SEQ_ARG_TRUNC_m] = t->call.arg[b.mode - 1];
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

void spdz2k_start_bilinear(seq_vm *vm, const seq_call *call) {
    bilinear b;
    bilinear_of(call, &b);
    const int64_t m = call->arg[b.mode - 1];
    if (refused(vm, call, m, call->arg[b.mode]))
        return;
    spdz2k_account(vm, call, (m ? 2 : 1) * b.size);
    call_rounds(vm, call, b.size ? round_rounds(vm, m) : 0);
    if (b.size)
        task_create(vm, call, 0, 0, b.size, bilinear_step, 0);
}
