/* Masked values: public values, how calls are cut into tasks. See masked.h. */

#include "masked.h"

#include <stdlib.h>

void masked_teardown(void *state) {
    if (state)
        prg_wipe(state, sizeof(masked_state));
    free(state);
}

/* Public values are added to the masked value: all know it, and the mask and its MACs stay. */
static void keep_masks(const seq_reg *d, const seq_reg *a, unsigned macs, size_t bytes) {
    for (unsigned k = 1; k < 2 + macs; k++) {
        void *to = seq_component(d, k);
        const void *from = a ? seq_component(a, k) : NULL;
        if (!a)
            memset(to, 0, bytes);
        else if (to != from)
            memcpy(to, from, bytes);
    }
}

void masked_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                       size_t n) {
    const size_t bytes = n * env->ring->word;
    if (a)
        env->ring->add(d->c[0], a->c[0], b, n);
    else
        memcpy(d->c[0], b, bytes);
    keep_masks(d, a, ((const masked_state *)env->protocol)->macs, bytes);
}

void masked_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                       size_t words) {
    if (a)
        env->bits->xor_(d->c[0], a->c[0], b, words);
    else
        memcpy(d->c[0], b, words * 8);
    keep_masks(d, a, ((const masked_state *)env->protocol)->bit_macs, words * 8);
}

/* Add my part of a sharing of zero to n elements of a component. */
static void add_zero(const seq_env *env, unsigned kind, const prg_key *key, int sign,
                     uint32_t purpose, size_t first, void *d, size_t n) {
    const size_t size = masked_size(env, kind);
    _Alignas(64) uint8_t z[16 * MASKED_PIECE];
    for (size_t at = 0; at < n; at += MASKED_PIECE) {
        const size_t count = n - at < MASKED_PIECE ? n - at : MASKED_PIECE;
        uint8_t *part = (uint8_t *)d + at * size;
        masked_stream(env, key, kind, purpose, first + at, z, count);
        (sign > 0 ? masked_add : masked_sub)(env, kind, part, part, z, count);
    }
    prg_wipe(z, sizeof z);
}

/* The computing parties' parts of the mask, and of MACs, change, their sums do not. */
void masked_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                        uint32_t range, uint64_t first, size_t n) {
    const masked_state *s = env->protocol;
    const unsigned kind = bits ? MASKED_BITS : MASKED_WORD, macs = bits ? s->bit_macs : s->macs;
    for (unsigned j = 0; env->me < s->n && j < s->n; j++) {
        prg_key key;
        if (j == env->me)
            continue;
        prg_derive(&key, &s->pair[j], instance, range);
        add_zero(env, kind, &key, j > env->me ? 1 : -1, MASKED_ZERO, first, d->c[1], n);
        for (unsigned k = 0; k < macs; k++)
            add_zero(env, kind, &key, j > env->me ? 1 : -1, MASKED_MAC_ZERO + k, first,
                     seq_component(d, 2 + k), n);
        prg_wipe(&key, sizeof key);
    }
}

/* The masked value, or (the owner, if it is the dealer) the mask. */
unsigned masked_input_stored(unsigned me, unsigned owner) {
    (void)me, (void)owner;
    return 1;
}

/* ---- tasks ---- */

masked_part masked_elements(const seq_task *t, size_t n) {
    const size_t end = 64 * t->end < n ? 64 * t->end : n;
    return (masked_part){64 * t->begin, end - 64 * t->begin, t->end - t->begin};
}

void masked_start(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                  size_t state_bytes) {
    const size_t blocks = (n + 63) / 64;
    if (n > MASKED_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "an instruction works on at most %zu elements, not %zu", MASKED_MAX_ELEMENTS,
                      n);
        return;
    }
    if (!call->parent)
        call_rounds(vm, call, n ? rounds : 0);
    for (size_t at = 0; at < blocks; at += MASKED_CHUNK)
        task_create(vm, call, (uint32_t)(at / MASKED_CHUNK), at,
                    blocks - at < MASKED_CHUNK ? blocks : at + MASKED_CHUNK, step, state_bytes);
}

unsigned masked_rounds(const seq_vm *vm) {
    return vm_rounds(vm, 0, masked_opening_rounds(vm_env(vm), MASKED_ONLINE));
}

void *masked_at(const seq_env *env, void *reg, size_t first) {
    return (uint8_t *)reg + first * env->ring->word;
}

void masked_gate(const seq_task *t, uint64_t *d, const uint64_t *x, const uint64_t *x_mask,
                 const uint64_t *y, const uint64_t *y_mask, size_t words) {
    const bits_ops *bits = t->env->bits;
    bits->xorand(d, x, y_mask, words);
    bits->xorand(d, x_mask, y, words);
    if (t->env->me == 0)
        bits->xorand(d, x, y, words);
}

/* ---- products and rounding ---- */

/* Sums have one operand more than products, behind all others. */
_Static_assert((int)SEQ_ARG_MUL_ADD_d == (int)SEQ_ARG_MUL_d &&
                   (int)SEQ_ARG_MUL_ADD_mode == (int)SEQ_ARG_MUL_mode &&
                   (int)SEQ_ARG_MUL_m == SEQ_ARG_MUL_mode - 1,
               "operands of products and sums");

masked_rounding masked_rounding_of(const seq_call *call) {
    const seq_reg *reg = call->reg, none = {.apart = 0};
    const int64_t *arg = call->arg;
    const int trunc = call->op == SEQ_OP_TRUNC, sum = call->op == SEQ_OP_MUL_ADD;
    const int64_t m = arg[trunc ? (int)SEQ_ARG_TRUNC_m : (int)SEQ_ARG_MUL_m];
    const int64_t mode = arg[trunc ? (int)SEQ_ARG_TRUNC_mode : (int)SEQ_ARG_MUL_mode];
    if (trunc)
        return (masked_rounding){.source =
                                     reg[SEQ_ARG_TRUNC_a].c[1] ? MASKED_REGISTER : MASKED_SUMMANDS,
                                 .m = (unsigned)m,
                                 .nearest = m && mode,
                                 .n = (size_t)arg[SEQ_ARG_TRUNC_n],
                                 .a = reg[SEQ_ARG_TRUNC_a],
                                 .d = reg[SEQ_ARG_TRUNC_d]};
    return (masked_rounding){.source = MASKED_PRODUCT,
                             .m = (unsigned)m,
                             .nearest = m && mode,
                             .n = (size_t)arg[SEQ_ARG_MUL_n],
                             .a = reg[SEQ_ARG_MUL_a],
                             .b = reg[SEQ_ARG_MUL_b],
                             .e = sum ? reg[SEQ_ARG_MUL_ADD_e] : none,
                             .d = reg[SEQ_ARG_MUL_d]};
}

seq_call masked_trunc_of(const seq_call *call, unsigned mode, size_t n, void *z, const seq_reg *d) {
    seq_call sub = {.op = SEQ_OP_TRUNC};
    sub.arg[SEQ_ARG_TRUNC_n] = (int64_t)n;
    sub.arg[SEQ_ARG_TRUNC_m] = call->arg[mode - 1];
    sub.arg[SEQ_ARG_TRUNC_mode] = call->arg[mode];
    sub.reg[SEQ_ARG_TRUNC_a].c[0] = z;
    sub.reg[SEQ_ARG_TRUNC_d] = *d;
    return sub;
}
