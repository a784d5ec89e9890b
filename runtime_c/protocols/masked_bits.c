/* Masked values: what selections, conversions of bits and additions on bits have in common. See
 * masked.h. */

#include "masked.h"
#include "rep3.h" /* kinds of additions */

_Static_assert(SEQ_ARG_LTZ_a == (int)SEQ_ARG_EQZ_a && SEQ_ARG_LTZ_a == (int)SEQ_ARG_A2B_a &&
                   SEQ_ARG_LTZ_d == (int)SEQ_ARG_EQZ_d && SEQ_ARG_LTZ_d == (int)SEQ_ARG_A2B_d &&
                   SEQ_ARG_LTZ_n == (int)SEQ_ARG_EQZ_n && SEQ_ARG_LTZ_n == (int)SEQ_ARG_A2B_n &&
                   SEQ_ARG_LTZ_bits == (int)SEQ_ARG_EQZ_bits &&
                   SEQ_ARG_LTZ_bits == (int)SEQ_ARG_A2B_bits,
               "handled alike");

unsigned masked_addition(unsigned op) {
    return op == SEQ_OP_LTZ ? REP3_SIGN : op == SEQ_OP_EQZ ? REP3_ZERO_TEST : REP3_SUM;
}

int masked_addend(seq_task *t, uint64_t *planes, size_t words, unsigned bits) {
    const ring_ops *ring = t->env->ring;
    const masked_part part = masked_elements(t, (size_t)t->call.arg[SEQ_ARG_LTZ_n]);
    const void *x =
        masked_at(t->env, t->call.reg[SEQ_ARG_LTZ_a].c[masked_dealer(t) ? 1 : 0], part.first);
    if (!masked_dealer(t) && t->call.op == SEQ_OP_EQZ) {
        void *less = task_scratch(t, part.count * ring->word + 64);
        if (!less)
            return -1;
        ring->addi(less, x, -1, part.count);
        x = less;
    }
    t->env->bits->slice(planes, words, x, 8 * (unsigned)ring->word, part.count, 0, bits);
    return 0;
}

/* ---- (d + (1 - 2d) m)(D + M) for a bit d ^ m ---- */

/* select_keep and select_kept have their operands at the same places. */
_Static_assert((int)SEQ_ARG_SELECT_KEEP_k == (int)SEQ_ARG_SELECT_KEPT_k &&
                   (int)SEQ_ARG_SELECT_KEEP_n == (int)SEQ_ARG_SELECT_KEPT_n,
               "operands of select_keep and select_kept");

void masked_choice_of(const seq_call *call, masked_choice *c) {
    const seq_reg *reg = call->reg;
    memset(c, 0, sizeof *c);
    c->planes = 1;
    switch (call->op) {
    case SEQ_OP_B2A:
        c->b = reg[SEQ_ARG_B2A_a];
        c->d = reg[SEQ_ARG_B2A_d];
        c->planes = (size_t)call->arg[SEQ_ARG_B2A_p];
        c->n = (size_t)call->arg[SEQ_ARG_B2A_n];
        return;
    case SEQ_OP_SELECT:
        c->b = reg[SEQ_ARG_SELECT_b];
        c->a = reg[SEQ_ARG_SELECT_a];
        c->d = reg[SEQ_ARG_SELECT_d];
        c->n = (size_t)call->arg[SEQ_ARG_SELECT_n];
        return;
    default:
        c->b = reg[SEQ_ARG_SELECT_KEPT_b];
        c->a = reg[SEQ_ARG_SELECT_KEPT_a];
        c->d = reg[SEQ_ARG_SELECT_KEPT_d];
        c->k = reg[SEQ_ARG_SELECT_KEPT_k];
        c->n = (size_t)call->arg[SEQ_ARG_SELECT_KEPT_n];
        c->kept = call->op == SEQ_OP_SELECT_KEPT;
    }
}

void masked_start_choice(seq_vm *vm, const seq_call *call, unsigned rounds, task_step step,
                         size_t state_bytes) {
    masked_choice c;
    masked_choice_of(call, &c);
    if (c.planes && c.n > MASKED_MAX_ELEMENTS / c.planes)
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "an instruction converts at most %zu bits at once", MASKED_MAX_ELEMENTS);
    else
        masked_start(vm, call, c.planes ? c.n : 0, rounds, step, state_bytes);
}

const uint64_t *masked_choice_plane(const masked_choice *c, unsigned component, size_t plane,
                                    size_t block) {
    return (const uint64_t *)c->b.c[component] + plane * bits_plane_words(c->n) + block;
}

void masked_choice_keep(const seq_env *env, const masked_choice *c, masked_part part,
                        const void *bit) {
    const size_t bytes = part.count * env->ring->word;
    memset(masked_at(env, c->k.c[0], part.first), 0, bytes);
    memcpy(masked_at(env, c->k.c[1], part.first), bit, bytes);
}

void masked_choice_summand(const masked_keys *keys, const masked_choice *c, masked_part part,
                           size_t p, const void *bit, void *sum, void *t1, void *t2) {
    const seq_env *env = keys->t->env;
    const ring_ops *ring = env->ring;
    const size_t n = part.count, first = p * c->n + part.first;
    const int select = c->a.c[0] != NULL;
    if (select)
        ring->muladd(sum, bit, masked_at(env, c->a.c[0], part.first), n);
    else
        memcpy(sum, bit, n * ring->word);
    env->bits->unslice(t1, 8 * (unsigned)ring->word, masked_choice_plane(c, 0, p, part.first / 64),
                       part.words, n, 0, 1);
    ring->muli(t2, t1, -2, n);
    ring->addi(t2, t2, 1, n);
    ring->mul(sum, sum, t2, n);
    if (select)
        ring->muladd(sum, t1, masked_at(env, c->a.c[1], part.first), n);
    if (select && env->me == 0)
        ring->muladd(sum, t1, masked_at(env, c->a.c[0], part.first), n);
    else if (env->me == 0)
        ring->add(sum, sum, t1, n);
    void *mask = masked_at(env, c->d.c[1], first);
    masked_mask(keys, MASKED_WORD, c->mask, first, mask, n);
    ring->sub(sum, sum, mask, n);
}

void masked_choice_store(const seq_env *env, const masked_choice *c, masked_part part, void *sum) {
    for (size_t p = 0; p < c->planes; p++)
        memcpy(masked_at(env, c->d.c[0], p * c->n + part.first),
               masked_at(env, sum, p * part.count), part.count * env->ring->word);
}
