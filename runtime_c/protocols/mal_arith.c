/* rep3-mal: products, truncation, words from bits, selection. */

#include "bilinear.h"
#include "mal.h"

#include <stdlib.h>

enum { PRODUCT_FIRST }; /* numbers of the products of a task */
enum { THIRD_WRAP, THIRD_BIT };
enum { DEAL_TOP, DEAL_CARRIES, DEAL_HALF, DEAL_BIT };

REP3_KERNEL static void add_words(uint64_t *restrict d, const uint64_t *restrict a, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] += a[i];
}

/* d += factor * a. */
REP3_KERNEL static void add_scaled(uint64_t *restrict d, const uint64_t *restrict a,
                                   uint64_t factor, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] += factor * a[i];
}

REP3_KERNEL static void shifted(uint64_t *restrict d, const uint64_t *restrict a, unsigned m,
                                size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = a[i] >> m;
}

/* A message to the previous party, and one expected from the next. */
static uint8_t *ring_message(seq_task *t, size_t bytes) {
    task_expect(t, rep3_next(t->env->me), bytes);
    return task_send(t, rep3_prev(t->env->me), bytes);
}

/* ---- bits to words: a bit b = b1 ^ b2 ^ b3 is u + t - 2 u t for u = b1 ^ b2, dealt, and t = b3
 * ----
 */

typedef struct {
    size_t n;           /* words: planes * count */
    size_t address;     /* of their masks: no other task's */
    uint64_t *bit[2];   /* my components of the bits, as words */
    uint64_t *dealt[2]; /* u */
    mal_third product;  /* u t */
} bit_work;

/* From planes `stride` words apart, count bits each. */
static int bit_begin(seq_task *t, const mal_part *part, bit_work *b, const uint64_t *const c[2],
                     size_t planes, size_t stride) {
    b->n = planes * part->count;
    b->address = planes * part->first;
    for (unsigned k = 0; k < 2; k++) {
        b->bit[k] = mal_words(t, b->n);
        b->dealt[k] = mal_words(t, b->n);
        if (!b->bit[k] || !b->dealt[k])
            return TASK_ERROR;
        for (size_t p = 0; p < planes; p++)
            mal_expand(b->bit[k] + p * part->count, c[k] + p * stride, part->count);
    }
    return 0;
}

/* P1's message to P2 and P3's part, or P2's part from what came. */
static int bit_deal(seq_task *t, const mal_part *part, bit_work *b, uint8_t *message) {
    const int p1 = part->role == REP3_P1;
    mal_deal d = {.number = DEAL_BIT,
                  .terms = 1,
                  .n = b->n,
                  .address = b->address,
                  .scale = {1},
                  .bit_v = {b->bit[p1 ? 0 : 1]},
                  .bit_w = {b->bit[p1 ? 1 : 0]},
                  .dealt = {b->dealt[0], b->dealt[1]}};
    return mal_deal_words(t, part, &d, message);
}

static int bit_send_deal(seq_task *t, const mal_part *part, bit_work *b) {
    const size_t bytes = b->n * 8;
    uint8_t *send = NULL;
    if (part->role == REP3_P2)
        task_expect(t, rep3_prev(t->env->me), bytes);
    else if (part->role == REP3_P1 && !(send = task_send(t, rep3_next(t->env->me), bytes)))
        return TASK_ERROR;
    if (part->role != REP3_P2 && bit_deal(t, part, b, send) < 0)
        return TASK_ERROR;
    return TASK_WAIT;
}

static int bit_send_product(seq_task *t, const mal_part *part, bit_work *b) {
    uint8_t *dealt = (uint8_t *)(uintptr_t)task_received(t, rep3_prev(t->env->me));
    if (part->role == REP3_P2 && bit_deal(t, part, b, dealt) < 0)
        return TASK_ERROR;
    b->product = (mal_third){.number = THIRD_BIT,
                             .n = b->n,
                             .address = b->address,
                             .dealt = {b->dealt[0], b->dealt[1]},
                             .third = b->bit[part->role == REP3_P2 ? 1 : 0]};
    return mal_third_send(t, part, &b->product);
}

/* Component c of the words of bits: u or v, minus twice the product. */
static void bit_result(const mal_part *part, const bit_work *b, unsigned c, uint64_t *d) {
    const uint64_t *u[2];
    mal_components(part, b->dealt, b->bit[part->role == REP3_P2 ? 1 : 0], u);
    memcpy(d, u[c], b->n * 8);
    add_scaled(d, b->product.z[c], (uint64_t)-2, b->n);
}

/* ---- truncation ---- */

typedef struct {
    mal_part part;
    unsigned m, nearest;
    seq_reg d;
    unsigned phase;    /* step of the truncation proper, after the sharing is fresh */
    uint64_t *z[2];    /* a fresh sharing of what is truncated; my components */
    mal_product first; /* that made it */
    uint64_t *x[2];    /* A = x[0] + x[1]: known to P1 and P3, P1 and P2 */
    mal_sum sum;
    uint64_t *top[2], *carries[2], *half[2]; /* dealt words */
    uint64_t
        *bit[4][2];    /* the bits that they are made of, as words: top, carry m, carry 64, half */
    uint64_t *wrap;    /* P2, P3: the top bit of r */
    mal_third product; /* wrap * top */
    mal_gates gates;   /* nearest: the borrow */
    bit_work borrow;
} trunc_state;

static size_t trunc_deal_words(const trunc_state *s) {
    return s->part.count * (2 + s->nearest) + 64 * s->part.words;
}

/* Room for what I know, not set. */
static int trunc_alloc(seq_task *t) {
    trunc_state *s = t->state;
    const size_t n = s->part.count;
    s->sum.bits = s->sum.carries = 64;
    if (!(s->wrap = task_scratch(t, n * 8 + 64)))
        return TASK_ERROR;
    for (unsigned side = 0; side < 2; side++) {
        uint64_t **all[] = {&s->x[side],      &s->top[side],    &s->carries[side],
                            &s->half[side],   &s->bit[0][side], &s->bit[1][side],
                            &s->bit[2][side], &s->bit[3][side]};
        for (size_t i = 0; mal_knows(&s->part, side) && i < sizeof all / sizeof all[0]; i++)
            if (!(*all[i] = task_scratch(t, n * 8 + 64)))
                return TASK_ERROR;
    }
    return mal_sum_alloc(t, &s->part, &s->sum);
}

/* What I know of A = z1 + 2^62 + z2, and the top bit of r = -z3. */
static void trunc_load(trunc_state *s) {
    const size_t n = s->part.count;
    const unsigned role = s->part.role;
    const uint64_t *z1 = s->z[role == REP3_P1 ? 0 : 1], *z2 = s->z[role == REP3_P1 ? 1 : 0];
    const uint64_t *z3 = s->z[role == REP3_P2 ? 1 : 0];
    for (size_t i = 0; i < n && role != REP3_P2; i++)
        s->x[0][i] = z1[i] + ((uint64_t)1 << 62);
    if (role != REP3_P3)
        memcpy(s->x[1], z2, n * 8);
    for (size_t i = 0; i < n && role != REP3_P1; i++)
        s->wrap[i] = (0 - z3[i]) >> 63;
}

/* Dealing of A's bits and of the words made of them; message as in mal_deal_words. */
static int trunc_deal_all(seq_task *t, uint64_t *message) {
    trunc_state *s = t->state;
    const mal_part *part = &s->part;
    const size_t n = part->count, planes = 64 * part->words;
    uint64_t *x[2] = {part->role == REP3_P2 ? NULL : s->x[0],
                      part->role == REP3_P3 ? NULL : s->x[1]};
    if (mal_sum_deal(t, part, &s->sum, x, message) < 0)
        return TASK_ERROR;
    for (unsigned side = 0; side < 2; side++) {
        if (!mal_knows(part, side))
            continue;
        const uint64_t *plane[4] = {
            s->sum.bit[side] + 63 * part->words, s->sum.carry[side] + s->m * part->words,
            s->sum.carry[side] + 64 * part->words, s->sum.bit[side] + (s->m - 1) * part->words};
        for (unsigned k = 0; k < 4; k++)
            mal_expand(s->bit[k][side], plane[k], n);
    }
    mal_deal d = {.number = DEAL_TOP, .terms = 1, .n = n, .address = part->first};
    d.scale[0] = 1;
    d.bit_v[0] = s->bit[0][0], d.bit_w[0] = s->bit[0][1];
    d.dealt[0] = s->top[0], d.dealt[1] = s->top[1];
    if (mal_deal_words(t, part, &d, (uint8_t *)(message ? message + planes : NULL)) < 0)
        return TASK_ERROR;
    d.number = DEAL_CARRIES;
    d.terms = 2;
    d.scale[1] = 0 - ((uint64_t)1 << (64 - s->m));
    for (unsigned k = 0; k < 2; k++)
        d.bit_v[k] = s->bit[1 + k][0], d.bit_w[k] = s->bit[1 + k][1];
    d.dealt[0] = s->carries[0], d.dealt[1] = s->carries[1];
    if (mal_deal_words(t, part, &d, (uint8_t *)(message ? message + planes + n : NULL)) < 0)
        return TASK_ERROR;
    if (!s->nearest)
        return 0;
    d.number = DEAL_HALF;
    d.terms = 1;
    d.bit_v[0] = s->bit[3][0], d.bit_w[0] = s->bit[3][1];
    d.dealt[0] = s->half[0], d.dealt[1] = s->half[1];
    return mal_deal_words(t, part, &d, (uint8_t *)(message ? message + planes + 2 * n : NULL));
}

static int trunc_deal(seq_task *t) {
    trunc_state *s = t->state;
    if (trunc_alloc(t) < 0)
        return TASK_ERROR;
    trunc_load(s);
    const size_t bytes = 8 * trunc_deal_words(s);
    uint64_t *send = NULL;
    if (s->part.role == REP3_P2)
        task_expect(t, rep3_prev(t->env->me), bytes);
    else if (s->part.role == REP3_P1 &&
             !(send = (uint64_t *)task_send(t, rep3_next(t->env->me), bytes)))
        return TASK_ERROR;
    if (s->part.role != REP3_P2 && trunc_deal_all(t, send) < 0)
        return TASK_ERROR;
    return TASK_WAIT;
}

static int trunc_product(seq_task *t) {
    trunc_state *s = t->state;
    uint64_t *dealt = (uint64_t *)(uintptr_t)task_received(t, rep3_prev(t->env->me));
    if (s->part.role == REP3_P2 && trunc_deal_all(t, dealt) < 0)
        return TASK_ERROR;
    s->product = (mal_third){.number = THIRD_WRAP,
                             .n = s->part.count,
                             .address = s->part.first,
                             .dealt = {s->top[0], s->top[1]},
                             .third = s->wrap};
    return mal_third_send(t, &s->part, &s->product);
}

/* The result: floor(A / 2^m) - floor(r / 2^m) + 2^(64-m) wrap (1 - top) - 2^(62-m). */
static void trunc_result(seq_task *t) {
    trunc_state *s = t->state;
    const size_t n = s->part.count;
    const unsigned m = s->m;
    const uint64_t unit = (uint64_t)1 << (64 - m);
    mal_third_take(t, &s->part, &s->product);
    uint64_t *part[2] = {s->top[0], s->top[1]}; /* no longer needed */
    for (unsigned side = 0; side < 2; side++) {
        if (!mal_knows(&s->part, side))
            continue;
        shifted(part[side], s->x[side], m, n);
        add_words(part[side], s->carries[side], n);
        if (s->nearest)
            add_words(part[side], s->half[side], n);
    }
    const uint64_t *z3 = s->z[s->part.role == REP3_P2 ? 1 : 0];
    for (size_t i = 0; i < n && s->part.role != REP3_P1; i++)
        s->wrap[i] = s->wrap[i] * unit - ((0 - z3[i]) >> m) - ((uint64_t)1 << (62 - m));
    const uint64_t *c[2];
    mal_components(&s->part, part, s->wrap, c);
    for (unsigned k = 0; k < 2; k++) {
        uint64_t *d = (uint64_t *)s->d.c[k] + s->part.first;
        memcpy(d, c[k], n * 8);
        add_scaled(d, s->product.z[k], 0 - unit, n);
    }
}

/* Planes of the borrow [(A + 2^(m-1)) mod 2^m < r mod 2^m]: the carry of r and the complement. */
static int borrow_begin(seq_task *t) {
    trunc_state *s = t->state;
    const size_t n = s->part.words, all = s->m * n;
    const unsigned role = s->part.role;
    s->gates.words = n;
    for (unsigned k = 0; k < 2; k++)
        if (!(s->gates.form[k] = mal_words(t, 4 * all)))
            return TASK_ERROR;
    const uint64_t *c[2];
    mal_components(&s->part, s->sum.bit, NULL, c);
    for (unsigned k = 0; k < 2; k++) {
        uint64_t *d = s->gates.form[k] + 2 * all;
        if (c[k])
            memcpy(d, c[k], all * 8);
        /* component 1 (P1's first, P3's second) takes the complement of all bits but the top one */
        for (size_t i = 0; i < all - n && ((role == REP3_P1 && k == 0) || (role == REP3_P3 && k));
             i++)
            d[i] = ~d[i];
    }
    if (role != REP3_P1) {
        const unsigned k = role == REP3_P2 ? 1 : 0;
        for (size_t i = 0; i < s->part.count; i++)
            s->wrap[i] = 0 - s->z[k][i];
        t->env->bits->slice(s->gates.form[k] + 3 * all, n, s->wrap, 64, s->part.count, 0, s->m);
    }
    for (unsigned k = 0; k < 2; k++)
        t->env->bits->xor_(s->gates.form[k] + all, s->gates.form[k] + 2 * all,
                           s->gates.form[k] + 3 * all, all);
    return 0;
}

/* The steps after the result without its borrow: gates, then the carry's word is taken away. */
static int borrow_step(seq_task *t, unsigned step) {
    trunc_state *s = t->state;
    rep3_gate gates[4 * REP3_MAX_BITS];
    const unsigned levels = mal_adder_levels(s->m);
    if (step == 0 && borrow_begin(t) < 0)
        return TASK_ERROR;
    if (step && step <= levels + 1)
        mal_gates_take(t, &s->gates, gates, mal_adder_gates(s->m, 0, step - 1, gates));
    if (step <= levels)
        return mal_gates_send(t, &s->part, &s->gates, gates, mal_adder_gates(s->m, 0, step, gates),
                              step);
    if (step == levels + 1) {
        const uint64_t *carry[2];
        for (unsigned k = 0; k < 2; k++)
            carry[k] = s->gates.form[k] + (s->m - 1) * s->part.words;
        if (bit_begin(t, &s->part, &s->borrow, carry, 1, 0) < 0)
            return TASK_ERROR;
        return bit_send_deal(t, &s->part, &s->borrow);
    }
    if (step == levels + 2)
        return bit_send_product(t, &s->part, &s->borrow);
    mal_third_take(t, &s->part, &s->borrow.product);
    uint64_t *carry = mal_words(t, s->part.count);
    for (unsigned k = 0; carry && k < 2; k++) {
        bit_result(&s->part, &s->borrow, k, carry);
        add_scaled((uint64_t *)s->d.c[k] + s->part.first, carry, (uint64_t)-1, s->part.count);
    }
    if (!carry)
        return TASK_ERROR;
    return TASK_DONE;
}

/* From a fresh sharing s->z on. */
static int trunc_run(seq_task *t) {
    trunc_state *s = t->state;
    const unsigned phase = s->phase++;
    if (phase == 0)
        return trunc_deal(t);
    if (phase == 1)
        return trunc_product(t);
    if (phase == 2) {
        trunc_result(t);
        if (!s->nearest)
            return TASK_DONE;
    }
    return borrow_step(t, phase - 2);
}

static unsigned trunc_rounds(int64_t m, int64_t mode) {
    return mode ? 2 + 1 + mal_adder_levels((unsigned)m) + 2 : 2;
}

/* ---- mul, trunc ---- */

/* A fresh sharing of x y + e (x NULL: of e), then rounded by m bits if m > 0. */
static int round_step(seq_task *t, const seq_reg *x, const seq_reg *y, const seq_reg *e,
                      const seq_reg *d, int64_t m, int64_t mode) {
    trunc_state *s = t->state;
    if (t->step_no > 1)
        return trunc_run(t);
    if (t->step_no == 1) {
        mal_product_take(&s->first, task_received(t, rep3_next(t->env->me)));
        return m ? trunc_run(t) : TASK_DONE;
    }
    mal_partition(&s->part, t);
    if (m < 0 || m > 62)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "rep3-mal truncates by 1 to 62 bits, not %lld",
                         (long long)m);
    s->m = (unsigned)m;
    s->nearest = (unsigned)mode;
    s->d = *d;
    const size_t first = s->part.first, n = s->part.count;
    mal_product *p = &s->first;
    *p = (mal_product){.number = PRODUCT_FIRST, .n = n, .address = first};
    uint64_t *zero = x ? NULL : mal_words(t, n);
    for (unsigned c = 0; c < 2; c++) {
        p->x[c] = x ? (const uint64_t *)x->c[c] + first : zero;
        p->y[c] = x ? (const uint64_t *)y->c[c] + first : zero;
        p->e[c] = e ? (const uint64_t *)e->c[c] + first : NULL;
        p->z[c] = s->z[c] = m ? mal_words(t, n) : (uint64_t *)d->c[c] + first;
        if (!p->z[c] || !p->x[c])
            return TASK_ERROR;
    }
    uint8_t *send = ring_message(t, n * 8);
    return send && mal_product_send(t, &s->part, p, send) == 0 ? TASK_WAIT : TASK_ERROR;
}

static int mul_step(seq_task *t) {
    const seq_reg *r = t->call.reg;
    return round_step(t, &r[SEQ_ARG_MUL_a], &r[SEQ_ARG_MUL_b],
                      t->call.op == SEQ_OP_MUL_ADD ? &r[SEQ_ARG_MUL_ADD_e] : NULL,
                      &r[SEQ_ARG_MUL_d], t->call.arg[SEQ_ARG_MUL_m], t->call.arg[SEQ_ARG_MUL_mode]);
}

static unsigned round_rounds(int64_t m, int64_t mode) {
    return 1 + (m ? trunc_rounds(m, mode) : 0);
}

void mal_start_mul(seq_vm *vm, const seq_call *call) {
    mal_start(vm, call, (size_t)call->arg[SEQ_ARG_MUL_n],
              round_rounds(call->arg[SEQ_ARG_MUL_m], call->arg[SEQ_ARG_MUL_mode]), mul_step,
              sizeof(trunc_state));
}

static int trunc_call_step(seq_task *t) {
    const seq_reg *r = t->call.reg;
    const int64_t *arg = t->call.arg;
    if (!t->call.parent)
        return round_step(t, NULL, NULL, &r[SEQ_ARG_TRUNC_a], &r[SEQ_ARG_TRUNC_d],
                          arg[SEQ_ARG_TRUNC_m], arg[SEQ_ARG_TRUNC_mode]);
    trunc_state *s = t->state;
    if (t->step_no == 0) { /* of a product that has just been shared */
        mal_partition(&s->part, t);
        s->m = (unsigned)arg[SEQ_ARG_TRUNC_m];
        s->nearest = (unsigned)arg[SEQ_ARG_TRUNC_mode];
        s->d = r[SEQ_ARG_TRUNC_d];
        for (unsigned c = 0; c < 2; c++)
            s->z[c] = (uint64_t *)r[SEQ_ARG_TRUNC_a].c[c] + s->part.first;
    }
    return trunc_run(t);
}

void mal_start_trunc(seq_vm *vm, const seq_call *call) {
    mal_start(vm, call, (size_t)call->arg[SEQ_ARG_TRUNC_n],
              round_rounds(call->arg[SEQ_ARG_TRUNC_m], call->arg[SEQ_ARG_TRUNC_mode]),
              trunc_call_step, sizeof(trunc_state));
}

/* ---- matrix products and convolutions ---- */

typedef struct {
    rep3_keys keys;
    bilinear b;
    uint64_t *z[2];
    dzk_matrix *statement;
} bilinear_state;

static int64_t shift_of(const seq_call *c, const bilinear *b) {
    return c->arg[b->mode - 1];
}

static int bilinear_send(seq_task *t) {
    bilinear_state *s = t->state;
    const bilinear *b = &s->b;
    const size_t n = b->size;
    const seq_reg *reg = t->call.reg;
    rep3_derive(&s->keys, t);
    uint64_t *sum = task_scratch(t, bilinear_sum_size(b) * 8 + 8);
    uint64_t *z = (uint64_t *)ring_message(t, n * 8);
    for (unsigned c = 0; c < 2; c++)
        s->z[c] = shift_of(&t->call, b) ? mal_words(t, n) : reg[b->d].c[c];
    dzk_matrix *m = dzk_add_matrix(t, &mal_of(t)->log, b->x_size, b->y_size, n);
    if (!sum || !z || !s->z[0] || !s->z[1] || !m)
        return TASK_ERROR;
    ring_term terms[BILINEAR_TERMS];
    bilinear_share_terms(t, b, sum, terms);
    b->f(t, 0, b->slices, z, terms, BILINEAR_TERMS);
    for (unsigned c = 0; c < 2; c++) {
        memcpy(m->x[c], reg[b->x].c[c], b->x_size * 8);
        memcpy(m->y[c], reg[b->y].c[c], b->y_size * 8);
        prg_words(c ? &s->keys.prev : &s->keys.next, MAL_ZERO, 0, m->c[c], n);
    }
    add_words(z, m->c[0], n);
    add_scaled(z, m->c[1], (uint64_t)-1, n);
    for (size_t i = 0; i < n; i++)
        m->c[1][i] = 0 - m->c[1][i];
    if (t->call.op >= SEQ_OP_MUL_ADD) { /* a sum, not a product */
        const seq_reg *e = &reg[b->mode + 1];
        add_words(z, e->c[0], n);
        add_scaled(m->c[0], e->c[1], (uint64_t)-1, n);
    }
    vm_cheat(t->env, "matrix", z, n * 8);
    memcpy(s->z[0], z, n * 8);
    s->statement = m;
    return TASK_WAIT;
}

static int bilinear_step(seq_task *t) {
    bilinear_state *s = t->state;
    if (t->step_no == 0) {
        bilinear_of(&t->call, &s->b);
        return bilinear_send(t);
    }
    if (t->step_no == 2)
        return TASK_DONE;
    const bilinear *b = &s->b;
    memcpy(s->z[1], task_received(t, rep3_next(t->env->me)), b->size * 8);
    add_words(s->statement->c[0], s->z[1], b->size);
    if (!shift_of(&t->call, b))
        return TASK_DONE;
    seq_call sub;
    memset(&sub, 0, sizeof sub);
    sub.op = SEQ_OP_TRUNC;
    sub.arg[SEQ_ARG_TRUNC_n] = (int64_t)b->size;
    sub.arg[SEQ_ARG_TRUNC_m] = shift_of(&t->call, b);
    sub.arg[SEQ_ARG_TRUNC_mode] = t->call.arg[b->mode];
    sub.reg[SEQ_ARG_TRUNC_d] = t->call.reg[b->d];
    for (unsigned c = 0; c < 2; c++)
        sub.reg[SEQ_ARG_TRUNC_a].c[c] = s->z[c];
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

void mal_start_bilinear(seq_vm *vm, const seq_call *call) {
    bilinear b;
    bilinear_of(call, &b);
    const int64_t m = shift_of(call, &b);
    if (m < 0 || m > 62) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep3-mal truncates by 1 to 62 bits, not %lld",
                      (long long)m);
        return;
    }
    call_rounds(vm, call, b.size ? round_rounds(m, call->arg[b.mode]) : 0);
    mal_account(vm, call);
    if (b.size)
        task_create(vm, call, 0, 0, b.size, bilinear_step, sizeof(bilinear_state));
}

/* ---- b2a, select ---- */

typedef struct {
    mal_part part;
    bit_work bits;
    uint64_t *word[2]; /* components of the bit as a word */
    mal_product product;
} bit_state;

static void plane_at(const mal_part *part, const seq_reg *b, const uint64_t *c[2]) {
    for (unsigned k = 0; k < 2; k++)
        c[k] = (const uint64_t *)b->c[k] + part->first / 64;
}

static int b2a_step(seq_task *t) {
    bit_state *s = t->state;
    const size_t planes = (size_t)t->call.arg[SEQ_ARG_B2A_p];
    const seq_reg *d = &t->call.reg[SEQ_ARG_B2A_d];
    if (t->step_no == 0) {
        const uint64_t *c[2];
        mal_partition(&s->part, t);
        plane_at(&s->part, &t->call.reg[SEQ_ARG_B2A_a], c);
        if (bit_begin(t, &s->part, &s->bits, c, planes, bits_plane_words(t->end)) < 0)
            return TASK_ERROR;
        return bit_send_deal(t, &s->part, &s->bits);
    }
    if (t->step_no == 1)
        return bit_send_product(t, &s->part, &s->bits);
    mal_third_take(t, &s->part, &s->bits.product);
    uint64_t *word = mal_words(t, s->bits.n);
    if (!word)
        return TASK_ERROR;
    for (unsigned k = 0; k < 2; k++) {
        bit_result(&s->part, &s->bits, k, word);
        for (size_t p = 0; p < planes; p++)
            memcpy((uint64_t *)d->c[k] + p * s->part.n + s->part.first, word + p * s->part.count,
                   s->part.count * 8);
    }
    return TASK_DONE;
}

void mal_start_b2a(seq_vm *vm, const seq_call *call) {
    const size_t p = (size_t)call->arg[SEQ_ARG_B2A_p];
    const size_t n = p ? (size_t)call->arg[SEQ_ARG_B2A_n] : 0;
    if (p && n > REP3_MAX_ELEMENTS / p)
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep3-mal converts at most %zu bits at once",
                      REP3_MAX_ELEMENTS);
    else
        mal_start(vm, call, n, 2, b2a_step, sizeof(bit_state));
}

/* The product of the bit's word and x. */
static int select_product(seq_task *t, const seq_reg *x, const seq_reg *d) {
    bit_state *s = t->state;
    const size_t first = s->part.first, n = s->part.count;
    s->product = (mal_product){.number = PRODUCT_FIRST, .n = n, .address = first};
    for (unsigned k = 0; k < 2; k++) {
        s->product.x[k] = s->word[k];
        s->product.y[k] = (const uint64_t *)x->c[k] + first;
        s->product.z[k] = (uint64_t *)d->c[k] + first;
    }
    uint8_t *send = ring_message(t, n * 8);
    return send && mal_product_send(t, &s->part, &s->product, send) == 0 ? TASK_WAIT : TASK_ERROR;
}

/* select, and select_keep, which leaves the bit's word in k. */
static int select_step(seq_task *t) {
    bit_state *s = t->state;
    const int keep = t->call.op == SEQ_OP_SELECT_KEEP;
    const seq_reg *reg = t->call.reg, *b = &reg[keep ? SEQ_ARG_SELECT_KEEP_b : SEQ_ARG_SELECT_b];
    const seq_reg *x = &reg[keep ? SEQ_ARG_SELECT_KEEP_a : SEQ_ARG_SELECT_a];
    const seq_reg *d = &reg[keep ? SEQ_ARG_SELECT_KEEP_d : SEQ_ARG_SELECT_d];
    if (t->step_no == 0) {
        const uint64_t *c[2];
        mal_partition(&s->part, t);
        plane_at(&s->part, b, c);
        if (bit_begin(t, &s->part, &s->bits, c, 1, 0) < 0)
            return TASK_ERROR;
        return bit_send_deal(t, &s->part, &s->bits);
    }
    if (t->step_no == 1)
        return bit_send_product(t, &s->part, &s->bits);
    if (t->step_no == 3) {
        mal_product_take(&s->product, task_received(t, rep3_next(t->env->me)));
        return TASK_DONE;
    }
    mal_third_take(t, &s->part, &s->bits.product);
    for (unsigned k = 0; k < 2; k++) {
        s->word[k] = keep ? (uint64_t *)reg[SEQ_ARG_SELECT_KEEP_k].c[k] + s->part.first
                          : mal_words(t, s->part.count);
        if (!s->word[k])
            return TASK_ERROR;
        bit_result(&s->part, &s->bits, k, s->word[k]);
    }
    return select_product(t, x, d);
}

static int select_kept_step(seq_task *t) {
    bit_state *s = t->state;
    const seq_reg *reg = t->call.reg;
    if (t->step_no) {
        mal_product_take(&s->product, task_received(t, rep3_next(t->env->me)));
        return TASK_DONE;
    }
    mal_partition(&s->part, t);
    for (unsigned k = 0; k < 2; k++)
        s->word[k] = (uint64_t *)reg[SEQ_ARG_SELECT_KEPT_k].c[k] + s->part.first;
    return select_product(t, &reg[SEQ_ARG_SELECT_KEPT_a], &reg[SEQ_ARG_SELECT_KEPT_d]);
}

void mal_start_select(seq_vm *vm, const seq_call *call) {
    const int kept = call->op == SEQ_OP_SELECT_KEPT, keep = call->op == SEQ_OP_SELECT_KEEP;
    const int64_t n = call->arg[kept   ? SEQ_ARG_SELECT_KEPT_n
                                : keep ? SEQ_ARG_SELECT_KEEP_n
                                       : SEQ_ARG_SELECT_n];
    mal_start(vm, call, (size_t)n, kept ? 1 : 3, kept ? select_kept_step : select_step,
              sizeof(bit_state));
}

/* ---- what calls leave to be verified ---- */

/* Bytes of a statement's word in the log of a party, on average: of a product, of a product with
 * what P2 and P3 know, of a dealt word; of a truncation, and of what nearest rounding needs besides
 * its gates. */
enum {
    PRODUCT_BYTES = 48,
    THIRD_BYTES = 27,
    DEALT_BYTES = 16,
    TRUNC_BYTES = 97,
    NEAREST_BYTES = 59
};

static uint64_t rounding_bytes(int64_t m, int64_t mode) {
    return m == 0 ? 0 : TRUNC_BYTES + (mode ? NEAREST_BYTES + 2 * (uint64_t)m : 0);
}

void mal_account(seq_vm *vm, const seq_call *c) {
    mal_state *s = vm_env(vm)->protocol;
    const int64_t *a = c->arg;
    switch (c->op) {
    case SEQ_OP_MUL:
    case SEQ_OP_MUL_ADD:
        s->due += (uint64_t)a[SEQ_ARG_MUL_n] *
                  (PRODUCT_BYTES + rounding_bytes(a[SEQ_ARG_MUL_m], a[SEQ_ARG_MUL_mode]));
        return;
    case SEQ_OP_TRUNC:
        s->due += (uint64_t)a[SEQ_ARG_TRUNC_n] *
                  (PRODUCT_BYTES + rounding_bytes(a[SEQ_ARG_TRUNC_m], a[SEQ_ARG_TRUNC_mode]));
        return;
    case SEQ_OP_LTZ: /* sums, then an adder */
        s->due += (uint64_t)(a[SEQ_ARG_LTZ_n] * a[SEQ_ARG_LTZ_bits]) * 5 / 2;
        return;
    case SEQ_OP_A2B:
        s->due += (uint64_t)(a[SEQ_ARG_A2B_n] * a[SEQ_ARG_A2B_bits]) * 5;
        return;
    case SEQ_OP_EQZ:
        s->due += (uint64_t)(a[SEQ_ARG_EQZ_n] * a[SEQ_ARG_EQZ_bits]) * 5 / 4;
        return;
    case SEQ_OP_AND:
        s->due += (uint64_t)(a[SEQ_ARG_AND_n] * a[SEQ_ARG_AND_p]) * PRODUCT_BYTES / 64;
        return;
    case SEQ_OP_B2A:
        s->due += (uint64_t)(a[SEQ_ARG_B2A_n] * a[SEQ_ARG_B2A_p]) * (THIRD_BYTES + DEALT_BYTES);
        return;
    case SEQ_OP_SELECT:
        s->due += (uint64_t)a[SEQ_ARG_SELECT_n] * (PRODUCT_BYTES + THIRD_BYTES + DEALT_BYTES);
        return;
    case SEQ_OP_SELECT_KEEP:
        s->due += (uint64_t)a[SEQ_ARG_SELECT_KEEP_n] * (PRODUCT_BYTES + THIRD_BYTES + DEALT_BYTES);
        return;
    case SEQ_OP_SELECT_KEPT:
        s->due += (uint64_t)a[SEQ_ARG_SELECT_KEPT_n] * PRODUCT_BYTES;
        return;
    case SEQ_OP_SHUFFLE:
        s->due += (uint64_t)(a[SEQ_ARG_SHUFFLE_n] * a[SEQ_ARG_SHUFFLE_len]) * 64;
        return;
    default: {
        bilinear b;
        bilinear_of(c, &b);
        s->due += 16 * (b.x_size + b.y_size + b.size) +
                  b.size * rounding_bytes(shift_of(c, &b), c->arg[b.mode]);
    }
    }
}

uint64_t mal_product_scratch(const seq_call *c) {
    const int64_t *a = c->arg;
    enum { FRESH = 24, ROUNDED = 330 }; /* bytes an element */
    if (bilinear_is(c->op)) {
        bilinear b;
        bilinear_of(c, &b);
        return 8 * bilinear_sum_size(&b) + b.size * (FRESH + (shift_of(c, &b) ? ROUNDED : 0));
    }
    switch (c->op) {
    case SEQ_OP_MUL:
    case SEQ_OP_MUL_ADD:
        return (uint64_t)a[SEQ_ARG_MUL_n] * (FRESH + (a[SEQ_ARG_MUL_m] ? ROUNDED : 0));
    case SEQ_OP_TRUNC:
        return (uint64_t)a[SEQ_ARG_TRUNC_n] * (FRESH + ROUNDED);
    case SEQ_OP_OPEN:
        return (uint64_t)a[SEQ_ARG_OPEN_n] * 48;
    default: /* inputs, outputs and single bits: small beside their registers */
        return 0;
    }
}
