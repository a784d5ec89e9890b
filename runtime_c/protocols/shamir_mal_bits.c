/* shamir-mal: comparison, bit decomposition, gates, bits as numbers, selection, random bits. */

#include "shamir_mal.h"

void smal_load(const seq_task *t, shamir_block *d, const seq_reg *a, size_t planes, size_t n) {
    const size_t words = t->end - t->begin, over = 64 * t->end > n ? n % 64 : 0;
    for (size_t p = 0; p < planes; p++) {
        shamir_load(d + p * words, a, p * bits_plane_words(n) + t->begin, words);
        for (unsigned k = 0; over && k < 4; k++)
            d[(p + 1) * words - 1].w[k] &= ((uint64_t)1 << over) - 1;
    }
}

/* ---- comparisons ---- */

typedef struct {
    shamir_exchange x;
    smal_masked masked;
    unsigned summed, returned, left; /* left: planes of a product of bits, eqz */
    shamir_block *ones, *other;
    shamir_product product;
} compare_state;

static int compare_begin(seq_task *t) {
    compare_state *s = t->state;
    smal_masked *k = &s->masked;
    const unsigned j = smal_of(t)->wraps, bits = (unsigned)t->call.arg[SEQ_ARG_LTZ_bits];
    const field *a = t->call.reg[SEQ_ARG_LTZ_a].c[0];
    shamir_partition(&k->part, t, (size_t)t->call.arg[SEQ_ARG_LTZ_n]);
    k->low = k->adder.width = bits + j;
    k->adder.first = t->call.op == SEQ_OP_LTZ ? k->low - 1 : j;
    if (smal_masked_alloc(t, k))
        return TASK_ERROR;
    shamir_keys(&s->x, t);
    for (size_t i = 0; i < k->part.count; i++)
        k->hidden[i] =
            field_shift(field_add(a[k->part.first + i], (field)1 << t->env->ring_bits), j);
    return smal_masked_send(t, &s->x, k);
}

/* The sum's planes are the complement of the value's. */
static void compare_store(seq_task *t, shamir_block *planes, unsigned count, int complement) {
    const compare_state *s = t->state;
    const size_t words = s->masked.part.words;
    for (size_t i = 0; complement && i < count * words; i++)
        planes[i].w[0] = ~planes[i].w[0];
    for (unsigned i = 0; i < count; i++)
        shamir_store(&t->call.reg[SEQ_ARG_LTZ_d],
                     i * bits_plane_words((size_t)t->call.arg[SEQ_ARG_LTZ_n]) + t->begin,
                     planes + i * words, words);
}

/* The product of `left` planes at `ones`: half of them times the other half. */
static int multiply_ones(seq_task *t) {
    compare_state *s = t->state;
    const size_t words = s->masked.part.words, half = s->left / 2;
    if (s->left == 1) {
        compare_store(t, s->ones, 1, 0);
        return TASK_DONE;
    }
    s->product.z = (uint8_t *)s->ones;
    s->product.n = half * words;
    memcpy(s->other, s->ones + (s->left - half) * words, half * words * sizeof *s->other);
    if (shamir_remember(t, &s->product, 0, s->ones, s->other, half * words))
        return TASK_ERROR;
    shamir_block_mul(s->ones, s->ones, s->other, half * words);
    return shamir_multiply(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
}

static int compare_summed(seq_task *t) {
    compare_state *s = t->state;
    const shamir_adder *a = &s->masked.adder;
    const unsigned planes = a->width - a->first;
    const size_t blocks = planes * s->masked.part.words;
    s->summed = 1;
    s->ones = task_scratch(t, blocks * sizeof *s->ones + 64);
    s->other = task_scratch(t, blocks * sizeof *s->ones + 64);
    if (!s->ones || !s->other)
        return TASK_ERROR;
    memcpy(s->ones, shamir_adder_plane(a, a->first), blocks * sizeof *s->ones);
    if (t->call.op != SEQ_OP_EQZ) {
        compare_store(t, s->ones, planes, 1);
        return TASK_DONE;
    }
    s->left = planes;
    if (shamir_product_alloc(t, &s->product, SHAMIR_BITS, blocks))
        return TASK_ERROR;
    return multiply_ones(t);
}

static int compare_step(seq_task *t) {
    compare_state *s = t->state;
    int status;
    if (t->step_no == 0)
        return compare_begin(t);
    if (s->summed) {
        s->returned = !s->returned;
        if (s->returned)
            return shamir_return(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
        shamir_finish(&s->x, &s->product);
        s->left -= s->left / 2;
        return multiply_ones(t);
    }
    if (t->step_no == 1)
        status = smal_masked_take(t, &s->x, &s->masked, s->masked.low);
    else
        status = shamir_adder_step(&s->x, &s->masked.adder, 0);
    return status == TASK_DONE ? compare_summed(t) : status;
}

void smal_start_compare(seq_vm *vm, const seq_call *call) {
    smal_account(vm, call);
    const smal_state *s = vm_env(vm)->protocol;
    const unsigned bits = (unsigned)call->arg[SEQ_ARG_LTZ_bits];
    unsigned levels = shamir_adder_levels(SHAMIR_SUM, s->base.sets + 1, bits + s->wraps);
    if (call->op == SEQ_OP_EQZ)
        levels += shamir_convert_levels(bits);
    shamir_start(vm, call, (size_t)call->arg[SEQ_ARG_LTZ_n], 1 + 2 * levels, compare_step,
                 sizeof(compare_state));
}

/* ---- and ---- */

typedef struct {
    shamir_exchange x;
    shamir_product product;
} and_state;

static int and_step(seq_task *t) {
    and_state *s = t->state;
    const size_t planes = (size_t)t->call.arg[SEQ_ARG_AND_p], words = t->end - t->begin;
    const size_t size = (size_t)t->call.arg[SEQ_ARG_AND_n], n = planes * words;
    if (t->step_no == 1)
        return shamir_return(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
    if (t->step_no == 2) {
        shamir_finish(&s->x, &s->product);
        for (size_t p = 0; p < planes; p++)
            shamir_store(&t->call.reg[SEQ_ARG_AND_d], p * bits_plane_words(size) + t->begin,
                         (shamir_block *)s->product.z + p * words, words);
        return TASK_DONE;
    }
    shamir_block *a = task_scratch(t, n * sizeof *a + 64);
    shamir_block *b = task_scratch(t, n * sizeof *b + 64);
    if (!a || !b || shamir_product_alloc(t, &s->product, SHAMIR_BITS, n))
        return TASK_ERROR;
    shamir_keys(&s->x, t);
    smal_load(t, a, &t->call.reg[SEQ_ARG_AND_a], planes, size);
    smal_load(t, b, &t->call.reg[SEQ_ARG_AND_b], planes, size);
    if (shamir_remember(t, &s->product, 0, a, b, n))
        return TASK_ERROR;
    shamir_block_mul(a, a, b, n);
    s->product.z = (uint8_t *)a;
    s->product.n = n;
    return shamir_multiply(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
}

void smal_start_and(seq_vm *vm, const seq_call *call) {
    smal_account(vm, call);
    const size_t n = call->arg[SEQ_ARG_AND_p] ? (size_t)call->arg[SEQ_ARG_AND_n] : 0;
    shamir_start(vm, call, n, 2, and_step, sizeof(and_state));
}

/* ---- bits as numbers: each set knows a bit; their XOR hides what is opened, and is a number by
 * multiplications ---- */

unsigned smal_convert_rounds(unsigned sets) {
    return 2 * shamir_convert_levels(sets);
}

int smal_convert_alloc(seq_task *t, smal_convert *c) {
    const size_t bytes = c->join.planes * c->join.part.words * sizeof(shamir_block) + 64;
    c->bits = task_scratch(t, bytes);
    c->opened = task_scratch(t, bytes);
    return c->bits && c->opened ? shamir_convert_alloc(t, &c->join, shamir_of(t)->sets) : -1;
}

/* What a set draws: elements of GF(16), whose lowest bits are its bits, as numbers times `share`.
 */
static void lowest_bits(field *d, const shamir_block *from, const shamir_part *part, size_t planes,
                        field share) {
    for (size_t p = 0; p < planes; p++)
        for (size_t i = 0; i < part->count; i++)
            d[p * part->count + i] =
                share & -(field)(from[p * part->words + i / 64].w[0] >> i % 64 & 1);
}

static int convert_begin(seq_task *t, shamir_exchange *x, smal_convert *c) {
    const smal_state *state = smal_of(t);
    const shamir_part *part = &c->join.part;
    const size_t blocks = c->join.planes * part->words, n = c->join.planes * part->count;
    const prg_key *keys = smal_keys(t);
    shamir_block *r = c->opened; /* not needed yet */
    if (!keys)
        return TASK_ERROR;
    for (unsigned set = 0; set < state->base.sets; set++) {
        const field coefficient[2] = {1, state->share[SHAMIR_BITS][set]};
        const void *in[2] = {c->bits, r};
        memset(c->join.known[set], 0, n * sizeof(field));
        if (!smal_member(t, set))
            continue;
        prg_words(&keys[set], SMAL_BITS, 0, r->w, 4 * blocks);
        lowest_bits(c->join.known[set], r, part, c->join.planes, state->share[SHAMIR_NUMBER][set]);
        shamir_combine(SHAMIR_BITS, c->bits, coefficient, in, 2, blocks);
    }
    shamir_add(x, (shamir_item){.kind = SHAMIR_OPEN,
                                .type = SHAMIR_BITS,
                                .count = blocks,
                                .value = c->bits,
                                .out = c->opened});
    return shamir_join(x, &c->join);
}

int smal_convert_step(seq_task *t, shamir_exchange *x, smal_convert *c, int begin) {
    const shamir_part *part = &c->join.part;
    if (begin)
        return convert_begin(t, x, c);
    const int status = shamir_join_step(x, &c->join);
    if (status != TASK_DONE)
        return status;
    for (size_t p = 0; p < c->join.planes; p++)
        for (size_t i = 0; i < part->count; i++) {
            field *d = c->join.known[0] + p * part->count + i;
            const uint64_t open = c->opened[p * part->words + i / 64].w[0] >> i % 64 & 1;
            const field flipped = field_sub(1, *d), mask = -(field)open;
            *d = (flipped & mask) | (*d & ~mask);
        }
    return TASK_DONE;
}

/* ---- b2a, select ---- */

typedef struct {
    shamir_exchange x;
    smal_convert convert;
    shamir_product product;
    unsigned converted, returned;
} convert_state;

static int bits_begin(seq_task *t, const seq_reg *b, size_t planes, size_t n) {
    convert_state *s = t->state;
    shamir_partition(&s->convert.join.part, t, n);
    s->convert.join.planes = planes;
    if (smal_convert_alloc(t, &s->convert))
        return TASK_ERROR;
    smal_load(t, s->convert.bits, b, planes, n);
    shamir_keys(&s->x, t);
    return smal_convert_step(t, &s->x, &s->convert, 1);
}

static int b2a_step(seq_task *t) {
    convert_state *s = t->state;
    const size_t planes = (size_t)t->call.arg[SEQ_ARG_B2A_p];
    const size_t n = (size_t)t->call.arg[SEQ_ARG_B2A_n];
    const shamir_part *part = &s->convert.join.part;
    if (t->step_no == 0)
        return bits_begin(t, &t->call.reg[SEQ_ARG_B2A_a], planes, n);
    const int status = smal_convert_step(t, &s->x, &s->convert, 0);
    for (size_t p = 0; status == TASK_DONE && p < planes; p++)
        memcpy((field *)t->call.reg[SEQ_ARG_B2A_d].c[0] + part->first + p * n,
               s->convert.join.known[0] + p * part->count, part->count * sizeof(field));
    return status;
}

void smal_start_b2a(seq_vm *vm, const seq_call *call) {
    smal_account(vm, call);
    const smal_state *s = vm_env(vm)->protocol;
    const size_t n = call->arg[SEQ_ARG_B2A_p] ? (size_t)call->arg[SEQ_ARG_B2A_n] : 0;
    shamir_start(vm, call, n, smal_convert_rounds(s->base.sets), b2a_step, sizeof(convert_state));
}

static int select_multiply(seq_task *t, const shamir_selection *it) {
    convert_state *s = t->state;
    const shamir_part *part = &s->convert.join.part;
    const field *a = (const field *)it->a->c[0] + part->first;
    field *bit = s->convert.join.known[0];
    s->converted = 1;
    if (it->kept)
        memcpy((field *)it->kept->c[0] + part->first, bit, part->count * sizeof *bit);
    if (shamir_product_alloc(t, &s->product, SHAMIR_NUMBER, part->count) ||
        shamir_remember(t, &s->product, 0, bit, a, part->count))
        return TASK_ERROR;
    t->env->ring->mul(bit, bit, a, part->count);
    s->product.z = (uint8_t *)bit;
    s->product.n = part->count;
    return shamir_multiply(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
}

static int select_step(seq_task *t) {
    convert_state *s = t->state;
    const shamir_selection it = shamir_selection_of(t);
    const shamir_part *part = &s->convert.join.part;
    if (t->step_no == 0)
        return bits_begin(t, it.b, 1, it.n);
    if (!s->converted) {
        const int status = smal_convert_step(t, &s->x, &s->convert, 0);
        return status == TASK_DONE ? select_multiply(t, &it) : status;
    }
    s->returned = !s->returned;
    if (s->returned)
        return shamir_return(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
    shamir_finish(&s->x, &s->product);
    memcpy((field *)it.d->c[0] + part->first, s->product.z, part->count * sizeof(field));
    return TASK_DONE;
}

void smal_start_select(seq_vm *vm, const seq_call *call) {
    smal_account(vm, call);
    const smal_state *s = vm_env(vm)->protocol;
    const size_t n = (size_t)(call->op == SEQ_OP_SELECT ? call->arg[SEQ_ARG_SELECT_n]
                                                        : call->arg[SEQ_ARG_SELECT_KEEP_n]);
    shamir_start(vm, call, n, 2 + smal_convert_rounds(s->base.sets), select_step,
                 sizeof(convert_state));
}

/* ---- random bits: the sum of bits that each set knows ---- */

static int randbit_step(seq_task *t) {
    const smal_state *s = smal_of(t);
    const size_t planes = (size_t)t->call.arg[SEQ_ARG_RANDBIT_p];
    const size_t plane = bits_plane_words((size_t)t->call.arg[SEQ_ARG_RANDBIT_n]);
    const size_t words = t->end - t->begin;
    shamir_block *d = task_scratch(t, words * sizeof *d + 64);
    uint64_t *bits = task_scratch(t, words * 8 + 64);
    if (!d || !bits)
        return TASK_ERROR;
    for (size_t p = 0; p < planes; p++) {
        memset(d, 0, words * sizeof *d);
        for (unsigned set = 0; set < s->base.sets; set++) {
            prg_key key;
            if (!smal_member(t, set))
                continue;
            prg_derive(&key, &s->program[set], t->call.instance, t->call.sub);
            prg_words(&key, (uint32_t)p, t->begin, bits, words);
            prg_wipe(&key, sizeof key);
            for (size_t i = 0; i < words; i++)
                for (unsigned k = 0; k < 4; k++)
                    d[i].w[k] ^= (unsigned)s->share[SHAMIR_BITS][set] >> k & 1 ? bits[i] : 0;
        }
        shamir_store(&t->call.reg[SEQ_ARG_RANDBIT_d], p * plane + t->begin, d, words);
    }
    return TASK_DONE;
}

void smal_start_randbit(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_RANDBIT_p] ? (size_t)call->arg[SEQ_ARG_RANDBIT_n] : 0;
    shamir_start(vm, call, n, 0, randbit_step, 0);
}
