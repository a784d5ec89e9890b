/* shamir-mal: masked openings, roundings and products. See shamir_mal.h. */

#include "bilinear.h"
#include "shamir_mal.h"

/* ---- masked openings ---- */

int smal_masked_alloc(seq_task *t, smal_masked *s) {
    const unsigned sets = shamir_of(t)->sets;
    const size_t numbers = s->part.count * sizeof(field) + 64;
    const size_t planes = s->adder.width * s->part.words * sizeof(shamir_block) + 64;
    s->adder.numbers = sets + 1;
    s->adder.words = s->part.words;
    s->hidden = task_scratch(t, numbers);
    s->opened = task_scratch(t, numbers);
    s->high = task_scratch(t, numbers);
    for (unsigned i = 0; i <= sets; i++)
        if (!(s->adder.number[i] = task_scratch(t, planes)))
            return -1;
    return s->hidden && s->opened && s->high ? shamir_adder_alloc(t, &s->adder) : -1;
}

/* My shares of the low bits of what a set knows. */
static void share_low(const seq_task *t, smal_masked *s, unsigned set, const field *value) {
    const unsigned mine = (unsigned)smal_of(t)->share[SHAMIR_BITS][set];
    shamir_block *d = s->adder.number[set];
    shamir_spread(t->env, d, s->part.words, s->low, value, s->part.count);
    for (size_t i = 0; i < s->low * s->part.words; i++) {
        const uint64_t bits = d[i].w[0];
        for (unsigned k = 0; k < 4; k++)
            d[i].w[k] = mine >> k & 1 ? bits : 0;
    }
}

int smal_masked_send(seq_task *t, shamir_exchange *x, smal_masked *s) {
    const smal_state *state = smal_of(t);
    const size_t n = s->part.count;
    const prg_key *keys = smal_keys(t);
    field *r = s->opened; /* not needed yet */
    if (!keys)
        return TASK_ERROR;
    memset(s->high, 0, n * sizeof *s->high);
    for (unsigned set = 0; set < state->base.sets; set++) {
        field coefficient[2] = {1, state->share[SHAMIR_NUMBER][set]};
        const void *hidden[2] = {s->hidden, r}, *high[2] = {s->high, r};
        memset(s->adder.number[set], 0,
               s->adder.width * s->part.words * sizeof *s->adder.number[set]);
        if (!smal_member(t, set))
            continue;
        prg_words(&keys[set], SMAL_MASK, 0, (uint64_t *)r, 2 * n);
        for (size_t i = 0; i < n; i++)
            r[i] &= FIELD_P;
        share_low(t, s, set, r);
        shamir_combine(SHAMIR_NUMBER, s->hidden, coefficient, hidden, 2, n);
        for (size_t i = 0; i < n; i++)
            r[i] >>= s->low;
        shamir_combine(SHAMIR_NUMBER, s->high, coefficient, high, 2, n);
    }
    shamir_add(x, (shamir_item){.kind = SHAMIR_OPEN,
                                .type = SHAMIR_NUMBER,
                                .count = n,
                                .value = s->hidden,
                                .out = s->opened});
    if (shamir_deal(x))
        return TASK_ERROR;
    shamir_send(x);
    return TASK_WAIT;
}

int smal_masked_take(seq_task *t, shamir_exchange *x, smal_masked *s, unsigned public) {
    const size_t n = s->part.count;
    shamir_block *d = s->adder.number[shamir_of(t)->sets];
    if (shamir_take(x))
        return TASK_ERROR;
    for (size_t i = 0; i < n; i++)
        s->hidden[i] = ~s->opened[i];
    memset(d, 0, s->adder.width * s->part.words * sizeof *d);
    shamir_spread(t->env, d, s->part.words, public, s->hidden, n);
    return shamir_adder_step(x, &s->adder, 1);
}

/* ---- rounding ---- */

typedef struct {
    shamir_exchange x;
    smal_masked masked;
    smal_convert convert;
    unsigned m, nearest, converting;
} round_state;

static unsigned round_rounds(const smal_state *s, unsigned m) {
    return 1 + 2 * shamir_adder_levels(SHAMIR_SUM, s->base.sets + 1, m + 2 * s->wraps) +
           smal_convert_rounds(s->base.sets);
}

static int round_begin(seq_task *t) {
    round_state *s = t->state;
    smal_masked *k = &s->masked;
    const unsigned j = smal_of(t)->wraps;
    const field *a = t->call.reg[SEQ_ARG_TRUNC_a].c[0];
    s->m = (unsigned)t->call.arg[SEQ_ARG_TRUNC_m];
    s->nearest = t->call.arg[SEQ_ARG_TRUNC_mode] != 0;
    shamir_partition(&k->part, t, (size_t)t->call.arg[SEQ_ARG_TRUNC_n]);
    k->low = s->m + j;
    k->adder.width = k->low + j;
    k->adder.low = j;
    k->adder.first = k->low;
    s->convert.join.part = k->part;
    s->convert.join.planes = 2 * j;
    if (smal_masked_alloc(t, k) || smal_convert_alloc(t, &s->convert))
        return TASK_ERROR;
    shamir_keys(&s->x, t);
    const field offset =
        ((field)1 << (t->env->ring_bits - 2)) + (s->nearest ? (field)1 << (s->m - 1) : 0);
    for (size_t i = 0; i < k->part.count; i++)
        k->hidden[i] = field_shift(field_add(a[k->part.first + i], offset), j);
    return smal_masked_send(t, &s->x, k);
}

/* What is above the low bits, but for wraps and carries. */
static void round_high(seq_task *t) {
    round_state *s = t->state;
    smal_masked *k = &s->masked;
    const field offset = (field)1 << (t->env->ring_bits - 2 - s->m);
    for (size_t i = 0; i < k->part.count; i++)
        k->high[i] = field_sub(k->opened[i] >> k->low, field_add(k->high[i], offset));
}

/* The complement of the sum's lowest bits counts how often p was subtracted, its highest bits are
 * carries. */
static int round_convert(seq_task *t) {
    round_state *s = t->state;
    const unsigned j = smal_of(t)->wraps;
    const size_t words = s->masked.part.words;
    shamir_block *d = s->convert.bits;
    for (unsigned i = 0; i < j; i++) {
        memcpy(d + i * words, shamir_adder_plane(&s->masked.adder, i), words * sizeof *d);
        memcpy(d + (j + i) * words, shamir_adder_plane(&s->masked.adder, s->masked.low + i),
               words * sizeof *d);
    }
    s->converting = 1;
    return smal_convert_step(t, &s->x, &s->convert, 1);
}

static int round_store(seq_task *t) {
    round_state *s = t->state;
    const smal_masked *k = &s->masked;
    const unsigned j = smal_of(t)->wraps;
    const field *bit = s->convert.join.known[0];
    field *d = (field *)t->call.reg[SEQ_ARG_TRUNC_d].c[0] + k->part.first;
    const size_t n = k->part.count;
    for (size_t e = 0; e < n; e++) {
        field sum = k->high[e];
        for (unsigned i = 0; i < j; i++) {
            const field wrap = field_sub(1, bit[i * n + e]), carry = bit[(j + i) * n + e];
            sum = field_add(sum, field_shift(wrap, 127 - k->low + i));
            sum = field_sub(sum, field_shift(carry, i));
        }
        d[e] = sum;
    }
    return TASK_DONE;
}

static int round_step(seq_task *t) {
    round_state *s = t->state;
    int status;
    if (t->step_no == 0)
        return round_begin(t);
    if (t->step_no == 1) {
        status =
            smal_masked_take(t, &s->x, &s->masked, s->nearest ? s->masked.low : smal_of(t)->wraps);
        if (status != TASK_ERROR)
            round_high(t);
        return status;
    }
    if (s->converting) {
        status = smal_convert_step(t, &s->x, &s->convert, 0);
        return status == TASK_DONE ? round_store(t) : status;
    }
    status = shamir_adder_step(&s->x, &s->masked.adder, 0);
    return status == TASK_DONE ? round_convert(t) : status;
}

/* trunc; as a sub-machine with m = 0 of shares of degree 2 t: shamir's multiplication. */
void smal_start_trunc(seq_vm *vm, const seq_call *call) {
    smal_account(vm, call);
    const unsigned m = (unsigned)call->arg[SEQ_ARG_TRUNC_m];
    if (!m) {
        shamir_start_trunc(vm, call);
        return;
    }
    shamir_start(vm, call, (size_t)call->arg[SEQ_ARG_TRUNC_n],
                 round_rounds(vm_env(vm)->protocol, m), round_step, sizeof(round_state));
}

/* ---- products ---- */

typedef struct {
    shamir_map map;
    shamir_record *record;
    field *z;
} product_state;

/* Copies of the factors of a product of this task's call. */
static int remember_factors(seq_task *t, product_state *s) {
    const seq_call *c = &t->call;
    const shamir_map *p = &s->map;
    const int kept = c->op == SEQ_OP_SELECT_KEPT, flat = kept || p->op == SEQ_OP_MUL;
    const void *x = c->reg[kept ? (int)SEQ_ARG_SELECT_KEPT_k : (int)SEQ_ARG_MUL_a].c[0];
    const void *y = c->reg[kept ? (int)SEQ_ARG_SELECT_KEPT_a : (int)SEQ_ARG_MUL_b].c[0];
    bilinear sizes = {.x_size = p->n, .y_size = p->n};
    smal_state *state = smal_of(t);
    if (!flat)
        bilinear_of(c, &sizes);
    state->log.length[SHAMIR_NUMBER] += flat ? p->n : smal_length(p->op, c->arg);
    if (t->env->me >= state->base.core)
        return 0;
    shamir_record *r = shamir_record_new(t, SHAMIR_NUMBER, sizes.x_size, sizes.y_size, p->n);
    if (!r)
        return -1;
    r->op = flat ? 0 : p->op;
    memcpy(r->arg, c->arg, sizeof r->arg);
    memcpy(r->x, x, sizes.x_size * sizeof(field));
    memcpy(r->y, y, sizes.y_size * sizeof(field));
    s->record = r;
    return 0;
}

static int product_begin(seq_task *t) {
    product_state *s = t->state;
    seq_call share = {.op = SEQ_OP_TRUNC};
    s->map = shamir_map_of(&t->call);
    s->z = task_scratch(t, s->map.n * sizeof(field) + 64);
    if (!s->z || remember_factors(t, s))
        return TASK_ERROR;
    shamir_map_apply(t, &s->map, s->z);
    share.reg[SEQ_ARG_TRUNC_d].c[0] = s->z;
    share.reg[SEQ_ARG_TRUNC_a].c[0] = s->z;
    share.arg[SEQ_ARG_TRUNC_n] = (int64_t)s->map.n;
    task_call(t, &share, 1);
    return TASK_WAIT;
}

static int product_step(seq_task *t) {
    product_state *s = t->state;
    const size_t n = s->map.n;
    if (t->step_no == 0)
        return product_begin(t);
    if (t->step_no == 2)
        return TASK_DONE;
    if (s->record && s->map.e.c[0])
        t->env->ring->sub(s->record->z, s->z, s->map.e.c[0], n);
    else if (s->record)
        memcpy(s->record->z, s->z, n * sizeof(field));
    if (!s->map.m) {
        memcpy(t->call.reg[SEQ_ARG_MUL_d].c[0], s->z, n * sizeof(field));
        return TASK_DONE;
    }
    seq_call round = {.op = SEQ_OP_TRUNC};
    round.reg[SEQ_ARG_TRUNC_d] = t->call.reg[SEQ_ARG_MUL_d];
    round.reg[SEQ_ARG_TRUNC_a].c[0] = s->z;
    round.arg[SEQ_ARG_TRUNC_n] = (int64_t)n;
    round.arg[SEQ_ARG_TRUNC_m] = s->map.m;
    round.arg[SEQ_ARG_TRUNC_mode] = s->map.nearest;
    task_call(t, &round, 2);
    return TASK_WAIT;
}

void smal_start_mul(seq_vm *vm, const seq_call *call) {
    smal_account(vm, call);
    const shamir_map p = shamir_map_of(call);
    const unsigned rounds = p.m ? round_rounds(vm_env(vm)->protocol, (unsigned)p.m) : 0;
    call_rounds(vm, call, p.n ? 2 + rounds : 0);
    if (p.n)
        task_create(vm, call, 0, 0, p.n, product_step, sizeof(product_state));
}
