/* semi2k, more than two parties: comparisons, bit decomposition and rounding by `and` and `b2a` of
 * planes. See semi2k.h.
 *
 * The bits of a part of the mask are shared by its party's holding them as its part of masks, with
 * nothing public; those of the masked value are public. Carry-save additions leave two numbers of
 * all these, a prefix tree adds them. */

#include "semi2k.h"

enum { UNITS = 1024, CALLS = 32, DECOMPOSE = CALLS - 2, TO_WORDS = CALLS - 1, FIRST = 0x8000 };

/* Planes of masked bits. */
typedef struct {
    uint64_t *c[2];
} number;

/* Sub-machines of different tasks have different numbers, also those of sub-machines. */
static int call_sub(seq_task *t, seq_call *sub, unsigned which) {
    const unsigned own = t->call.sub;
    const unsigned unit = own >= FIRST ? (own - FIRST) / CALLS : (own ? own - 1 : 0) + t->chunk;
    if (unit >= UNITS)
        return task_fail(t, SEQ_ERR_PROGRAM, -1,
                         "semi2k among more than two parties compares and rounds at most %u "
                         "elements at once",
                         UNITS * MASKED_CHUNK * 64);
    task_call(t, sub, (uint16_t)(FIRST + unit * CALLS + which));
    return TASK_WAIT;
}

static int number_alloc(seq_task *t, number *x, size_t words) {
    for (unsigned k = 0; k < 2; k++)
        if (!(x->c[k] = task_scratch(t, words * 8 + 64)))
            return -1;
    return 0;
}

/* ---- comparisons ---- */

enum { SAVING, GENERATING, TREE };

typedef struct {
    size_t n, stride, words; /* elements; words between planes, and used of each */
    unsigned kind, bits, phase, operand, level, calls, pairs;
    uint16_t up[2 * REP3_MAX_BITS], down[2 * REP3_MAX_BITS]; /* a level's nodes; + BITS: p */
    number s, c, x, a, b, z; /* two numbers, an operand; an AND's operands and result */
} sum_state;

static uint64_t *plane(const sum_state *s, const number *x, unsigned k, size_t i) {
    return x->c[k] + i * s->stride;
}

/* d = x ^ y; plane i of d is that of both. */
static void add_planes(const seq_task *t, const sum_state *s, number *d, const number *x,
                       const number *y, unsigned planes) {
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < planes; i++)
            t->env->bits->xor_(plane(s, d, k, i), plane(s, x, k, i), plane(s, y, k, i), s->words);
}

static void copy_plane(const sum_state *s, number *d, size_t to, const number *x, size_t from) {
    for (unsigned k = 0; k < 2; k++)
        memcpy(plane(s, d, k, to), plane(s, x, k, from), s->words * 8);
}

/* Party `owner`'s part of the mask (party 0's less one for a test of zero), as it holds it itself,
 * or, behind all parties, the masked value. */
static int load_operand(seq_task *t, sum_state *s, unsigned owner, number *d) {
    const seq_reg *a = &t->call.reg[SEQ_ARG_LTZ_a];
    const size_t bytes = s->bits * s->stride * 8, first = 64 * t->begin;
    const int public = owner == t->env->parties;
    memset(d->c[0], 0, bytes);
    memset(d->c[1], 0, bytes);
    if (!public && owner != t->env->me)
        return 0;
    void *x = task_scratch(t, s->n * t->env->ring->word + 64);
    if (!x)
        return -1;
    memcpy(x, masked_at(t->env, a->c[public ? 0 : 1], first), s->n * t->env->ring->word);
    if (s->kind == REP3_ZERO_TEST && owner == 0)
        t->env->ring->addi(x, x, -1, s->n);
    t->env->bits->slice(d->c[public ? 0 : 1], s->stride, x, 64, s->n, 0, s->bits);
    return 0;
}

static int call_and(seq_task *t, sum_state *s, unsigned planes) {
    seq_call sub = {.op = SEQ_OP_AND};
    sub.arg[SEQ_ARG_AND_n] = (int64_t)s->n;
    sub.arg[SEQ_ARG_AND_p] = planes;
    for (unsigned k = 0; k < 2; k++) {
        sub.reg[SEQ_ARG_AND_a].c[k] = s->a.c[k];
        sub.reg[SEQ_ARG_AND_b].c[k] = s->b.c[k];
        sub.reg[SEQ_ARG_AND_d].c[k] = s->z.c[k];
    }
    return call_sub(t, &sub, s->calls++);
}

/* s, c, x to two numbers: s ^ c ^ x, and the majority, one place up. */
static void save_carries(seq_task *t, sum_state *s) {
    for (unsigned i = s->bits; i-- > 0;)
        for (unsigned k = 0; k < 2; k++) {
            uint64_t *sum = plane(s, &s->s, k, i), *carry = plane(s, &s->c, k, i);
            t->env->bits->xor_(sum, sum, carry, s->words);
            t->env->bits->xor_(sum, sum, plane(s, &s->x, k, i), s->words);
            if (i == 0)
                memset(carry, 0, s->words * 8);
            else
                t->env->bits->xor_(carry, plane(s, &s->z, k, i - 1), plane(s, &s->x, k, i - 1),
                                   s->words);
        }
}

/* The nodes of a level of the tree, as rep3_plan_gates without blocks. */
static void find_pairs(sum_state *s) {
    const unsigned level = s->level, zero = s->kind == REP3_ZERO_TEST;
    const unsigned nodes = zero ? s->bits : s->bits - 1;
    s->pairs = 0;
    for (unsigned j = 0; j < nodes; j++) {
        const unsigned k = (j >> level << level) - 1;
        const unsigned last = (j + 1) % (2u << level) == 0 || j + 1 == nodes;
        if (!(j >> level & 1) || (s->kind != REP3_SUM && !last))
            continue;
        for (unsigned p = zero; p < (zero || j >= 2u << level ? 2u : 1u); p++) {
            s->up[s->pairs] = (uint16_t)(j + p * REP3_MAX_BITS);
            s->down[s->pairs++] = (uint16_t)(k + p * REP3_MAX_BITS);
        }
    }
}

static unsigned tree_levels(unsigned kind, unsigned bits) {
    const unsigned nodes = kind == REP3_ZERO_TEST ? bits : bits - 1;
    unsigned levels = 0;
    while (1u << levels < nodes)
        levels++;
    return levels;
}

/* p is in x, g in c. */
static int call_tree(seq_task *t, sum_state *s) {
    find_pairs(s);
    for (unsigned i = 0; i < s->pairs; i++) {
        const unsigned down = s->down[i];
        copy_plane(s, &s->a, i, &s->x, s->up[i] % REP3_MAX_BITS);
        copy_plane(s, &s->b, i, down < REP3_MAX_BITS ? &s->c : &s->x, down % REP3_MAX_BITS);
    }
    return call_and(t, s, s->pairs);
}

static void take_tree(seq_task *t, sum_state *s) {
    for (unsigned i = 0; i < s->pairs; i++) {
        const unsigned up = s->up[i];
        for (unsigned k = 0; k < 2; k++) {
            uint64_t *g = plane(s, &s->c, k, up % REP3_MAX_BITS);
            if (up < REP3_MAX_BITS)
                t->env->bits->xor_(g, g, plane(s, &s->z, k, i), s->words);
        }
        if (up >= REP3_MAX_BITS)
            copy_plane(s, &s->x, up % REP3_MAX_BITS, &s->z, i);
    }
    s->level++;
}

/* The next AND there is, or TASK_DONE. */
static int sum_next(seq_task *t, sum_state *s) {
    const unsigned low = s->bits - 1; /* places whose carries matter */
    while (s->phase == SAVING && s->operand <= t->env->parties) {
        if (load_operand(t, s, s->operand, &s->x))
            return TASK_ERROR;
        if (low) {
            add_planes(t, s, &s->a, &s->s, &s->x, low);
            add_planes(t, s, &s->b, &s->c, &s->x, low);
            return call_and(t, s, low);
        }
        save_carries(t, s);
        s->operand++;
    }
    if (s->phase == SAVING) {
        s->phase = GENERATING;
        for (unsigned i = 0; i < low; i++) {
            copy_plane(s, &s->a, i, &s->s, i);
            copy_plane(s, &s->b, i, &s->c, i);
        }
        add_planes(t, s, &s->s, &s->s, &s->c, s->bits);
        for (unsigned i = 0; i < s->bits; i++)
            copy_plane(s, &s->x, i, &s->s, i);
        if (low && s->kind != REP3_ZERO_TEST)
            return call_and(t, s, low);
    }
    s->phase = TREE;
    return s->level < tree_levels(s->kind, s->bits) ? call_tree(t, s) : TASK_DONE;
}

static void sum_take(seq_task *t, sum_state *s) {
    if (s->phase == SAVING) {
        save_carries(t, s);
        s->operand++;
    } else if (s->phase == GENERATING) {
        for (unsigned i = 0; i + 1 < s->bits; i++)
            copy_plane(s, &s->c, i, &s->z, i);
    } else {
        take_tree(t, s);
    }
}

/* Sum bit i is p_i with the carry from below; zero is where all p are one. */
static int sum_store(seq_task *t, const sum_state *s) {
    const size_t d_stride = bits_plane_words((size_t)t->call.arg[SEQ_ARG_LTZ_n]);
    const seq_reg *d = &t->call.reg[SEQ_ARG_LTZ_d];
    const unsigned first = s->kind == REP3_SUM ? 0 : s->bits - 1;
    for (unsigned i = first; i < s->bits; i++)
        for (unsigned k = 0; k < 2; k++) {
            uint64_t *out = (uint64_t *)d->c[k] + (i - first) * d_stride + t->begin;
            const number *p = s->kind == REP3_ZERO_TEST ? &s->x : &s->s;
            memcpy(out, plane(s, p, k, i), s->words * 8);
            if (i && s->kind != REP3_ZERO_TEST)
                t->env->bits->xor_(out, out, plane(s, &s->c, k, i - 1), s->words);
        }
    return TASK_DONE;
}

static int sum_begin(seq_task *t, sum_state *s) {
    const masked_part part = masked_elements(t, (size_t)t->call.arg[SEQ_ARG_LTZ_n]);
    s->kind = masked_addition(t->call.op);
    s->bits = (unsigned)t->call.arg[SEQ_ARG_LTZ_bits];
    s->n = part.count;
    s->words = part.words;
    s->stride = bits_plane_words(s->n);
    const size_t words = s->bits * s->stride;
    if (number_alloc(t, &s->s, words) || number_alloc(t, &s->c, words) ||
        number_alloc(t, &s->x, words) || number_alloc(t, &s->a, 2 * words) ||
        number_alloc(t, &s->b, 2 * words) || number_alloc(t, &s->z, 2 * words) ||
        load_operand(t, s, 0, &s->s) || load_operand(t, s, 1, &s->c))
        return -1;
    s->operand = 2;
    return 0;
}

static int sum_step(seq_task *t) {
    sum_state *s = t->state;
    if (t->step_no == 0) {
        if (sum_begin(t, s))
            return TASK_ERROR;
    } else {
        sum_take(t, s);
    }
    const int status = sum_next(t, s);
    return status == TASK_DONE ? sum_store(t, s) : status;
}

static unsigned sum_rounds(const seq_vm *vm, unsigned kind, unsigned bits) {
    const unsigned savings = bits > 1 ? vm_env(vm)->parties - 1 : 0;
    const unsigned generating = bits > 1 && kind != REP3_ZERO_TEST;
    return (savings + generating + tree_levels(kind, bits)) *
           (vm_rounds(vm, 2, 0) + masked_rounds(vm));
}

void semi2k_many_compare(seq_vm *vm, const seq_call *call) {
    const unsigned bits = (unsigned)call->arg[SEQ_ARG_LTZ_bits];
    masked_start(vm, call, (size_t)call->arg[SEQ_ARG_LTZ_n],
                 sum_rounds(vm, masked_addition(call->op), bits), sum_step, sizeof(sum_state));
}

/* ---- rounding: the bits of x + rho from m on, rho a public coin (to nearest: 2^(m-1)) ---- */

typedef struct {
    masked_part part;
    unsigned m, step; /* step: behind the opening of summands */
    seq_reg x, planes, words;
    masked_opening opening; /* of summands, masked */
} many_state;

size_t semi2k_many_state(void) {
    return sizeof(many_state);
}

unsigned semi2k_many_rounds(const seq_vm *vm) {
    return sum_rounds(vm, REP3_SUM, vm_env(vm)->ring_bits) + semi2k_bit_rounds(vm);
}

static int reg_alloc(seq_task *t, seq_reg *r, size_t bytes) {
    for (unsigned k = 0; k < 2; k++)
        if (!(r->c[k] = task_scratch(t, bytes + 64)))
            return -1;
    return 0;
}

/* x, as a register of the task's elements: summands are first opened masked. TASK_DONE or
 * TASK_WAIT. */
static int load_given(seq_task *t, many_state *s) {
    const seq_reg *a = &t->call.reg[SEQ_ARG_TRUNC_a];
    const size_t n = s->part.count, bytes = n * t->env->ring->word;
    memcpy(s->x.c[0], masked_at(t->env, a->c[0], s->part.first), bytes);
    if (a->c[1]) {
        memcpy(s->x.c[1], masked_at(t->env, a->c[1], s->part.first), bytes);
        return TASK_DONE;
    }
    masked_keys keys;
    masked_keys_of(&keys, t);
    masked_mask(&keys, MASKED_WORD, SEMI2K_WIDE, s->part.first, s->x.c[1], n);
    prg_wipe(&keys, sizeof keys);
    t->env->ring->sub(s->x.c[0], s->x.c[0], s->x.c[1], n);
    s->opening =
        (masked_opening){.kind = MASKED_WORD, .to = MASKED_ONLINE, .n = n, .value = s->x.c[0]};
    return masked_open(t, &s->opening);
}

/* x += rho. */
static int add_coin(seq_task *t, many_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    if (t->call.arg[SEQ_ARG_TRUNC_mode]) {
        masked_add_power(t->env, s->x.c[0], s->m - 1, n);
        return 0;
    }
    void *coin = task_scratch(t, n * ring->word + 64);
    prg_key key;
    if (!coin)
        return -1;
    prg_derive(&key, &masked_of(t)->common, t->call.instance, t->call.sub);
    prg_words(&key, MASKED_COIN, s->part.first, coin, n);
    prg_wipe(&key, sizeof key);
    ring->shr(coin, coin, t->env->ring_bits - s->m, n);
    ring->add(s->x.c[0], s->x.c[0], coin, n);
    return 0;
}

static int round_begin(seq_task *t, many_state *s) {
    s->part = masked_elements(t, (size_t)t->call.arg[SEQ_ARG_TRUNC_n]);
    s->m = (unsigned)t->call.arg[SEQ_ARG_TRUNC_m];
    if (s->m > t->env->ring_bits - 2)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "semi2k truncates by 1 to %u bits, not %u",
                         t->env->ring_bits - 2, s->m);
    const size_t n = s->part.count, word = t->env->ring->word;
    if (reg_alloc(t, &s->x, n * word) ||
        reg_alloc(t, &s->planes, t->env->ring_bits * bits_plane_words(n) * 8) ||
        reg_alloc(t, &s->words, (t->env->ring_bits - s->m) * n * word))
        return TASK_ERROR;
    return load_given(t, s);
}

static int decompose(seq_task *t, many_state *s) {
    if (add_coin(t, s))
        return TASK_ERROR;
    seq_call sub = {.op = SEQ_OP_A2B};
    sub.arg[SEQ_ARG_A2B_n] = (int64_t)s->part.count;
    sub.arg[SEQ_ARG_A2B_bits] = t->env->ring_bits;
    sub.reg[SEQ_ARG_A2B_a] = s->x;
    sub.reg[SEQ_ARG_A2B_d] = s->planes;
    return call_sub(t, &sub, DECOMPOSE);
}

static int to_words(seq_task *t, many_state *s) {
    const size_t skipped = s->m * bits_plane_words(s->part.count);
    seq_call sub = {.op = SEQ_OP_B2A};
    sub.arg[SEQ_ARG_B2A_n] = (int64_t)s->part.count;
    sub.arg[SEQ_ARG_B2A_p] = t->env->ring_bits - s->m;
    for (unsigned k = 0; k < 2; k++)
        sub.reg[SEQ_ARG_B2A_a].c[k] = (uint64_t *)s->planes.c[k] + skipped;
    sub.reg[SEQ_ARG_B2A_d] = s->words;
    return call_sub(t, &sub, TO_WORDS);
}

/* The sum of 2^i times word i, the last, a sign, taken away. */
static int combine(seq_task *t, many_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    const unsigned last = t->env->ring_bits - s->m - 1;
    for (unsigned k = 0; k < 2; k++) {
        void *d = masked_at(t->env, t->call.reg[SEQ_ARG_TRUNC_d].c[k], s->part.first);
        memcpy(d, s->words.c[k], n * ring->word);
        for (unsigned i = 1; i <= last; i++) {
            void *word = masked_at(t->env, s->words.c[k], i * n);
            masked_shl(t->env, word, word, i, n);
            (i == last ? ring->sub : ring->add)(d, d, word, n);
        }
    }
    return TASK_DONE;
}

int semi2k_many_round(seq_task *t) {
    many_state *s = t->state;
    if (s->step == 0) {
        const int status = t->step_no == 0 ? round_begin(t, s) : masked_open(t, &s->opening);
        if (status != TASK_DONE)
            return status;
    }
    switch (s->step++) {
    case 0:
        return decompose(t, s);
    case 1:
        return to_words(t, s);
    default:
        return combine(t, s);
    }
}
