/* Masked values: public values, how calls are cut into tasks. See masked.h. */

#include "masked.h"

#include <stdlib.h>

void masked_teardown(void *state) {
    if (state)
        prg_wipe(state, sizeof(masked_state));
    free(state);
}

/* Public values are added to the masked value: all know it, and the mask stays. */
void masked_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                       size_t n) {
    const size_t bytes = n * env->ring->word;
    if (!a) {
        memcpy(d->c[0], b, bytes);
        memset(d->c[1], 0, bytes);
        return;
    }
    env->ring->add(d->c[0], a->c[0], b, n);
    if (d->c[1] != a->c[1])
        memcpy(d->c[1], a->c[1], bytes);
}

void masked_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                       size_t words) {
    if (!a) {
        memcpy(d->c[0], b, words * 8);
        memset(d->c[1], 0, words * 8);
        return;
    }
    env->bits->xor_(d->c[0], a->c[0], b, words);
    if (d->c[1] != a->c[1])
        memcpy(d->c[1], a->c[1], words * 8);
}

/* The computing parties' parts of the mask change, their sum does not. */
void masked_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                        uint32_t range, uint64_t first, size_t n) {
    const masked_state *s = env->protocol;
    const unsigned kind = bits ? MASKED_BITS : MASKED_WORD;
    const size_t size = masked_size(env, kind), halves = size / 8;
    _Alignas(64) uint64_t z[2 * MASKED_PIECE];
    for (unsigned j = 0; env->me < s->n && j < s->n; j++) {
        prg_key key;
        if (j == env->me)
            continue;
        prg_derive(&key, &s->pair[j], instance, range);
        for (size_t at = 0; at < n; at += MASKED_PIECE) {
            const size_t count = n - at < MASKED_PIECE ? n - at : MASKED_PIECE;
            uint8_t *part = (uint8_t *)d->c[1] + at * size;
            prg_words(&key, MASKED_ZERO, (first + at) * halves, z, count * halves);
            (j > env->me ? masked_add : masked_sub)(env, kind, part, part, z, count);
        }
        prg_wipe(&key, sizeof key);
    }
    prg_wipe(z, sizeof z);
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
