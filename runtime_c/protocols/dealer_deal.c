/* dealer: what is dealt. See dealer.h. */

#include "dealer.h"

int dealer_begin(dealer_deal *x, seq_task *t, size_t bytes) {
    masked_keys_of(&x->keys, t);
    x->bytes = bytes;
    if (masked_dealer(t) && bytes && !(x->message = task_send(t, dealer_last(t), bytes)))
        return -1;
    if (t->env->me == dealer_last(t))
        task_expect(t, masked_of(t)->n, bytes);
    x->at = x->message;
    return 0;
}

int dealer_take(dealer_deal *x) {
    seq_task *t = x->keys.t;
    if (t->env->me != dealer_last(t) || !x->bytes)
        return 0;
    x->message = x->at = task_scratch(t, x->bytes);
    if (!x->message)
        return -1;
    memcpy(x->message, task_received(t, masked_of(t)->n), x->bytes);
    return 0;
}

void dealer_give(dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, const void *value,
                 size_t n) {
    const seq_env *env = x->keys.t->env;
    const size_t size = masked_size(env, kind);
    _Alignas(64) uint8_t piece[MASKED_PIECE * 16];
    for (size_t at = 0; at < n; at += MASKED_PIECE) {
        const size_t count = n - at < MASKED_PIECE ? n - at : MASKED_PIECE;
        memcpy(piece, (const uint8_t *)value + at * size, count * size);
        masked_combine(&x->keys, kind, purpose, first + at, piece, count, dealer_last(x->keys.t),
                       masked_sub);
        masked_to_wire(env, kind, x->residue, x->at, piece, count);
        x->at += count * masked_wire(env, kind, x->residue);
    }
    prg_wipe(piece, sizeof piece);
}

void dealer_get(dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, void *out,
                size_t n) {
    const seq_env *env = x->keys.t->env;
    if (env->me != dealer_last(x->keys.t)) {
        masked_stream(env, &x->keys.part[env->me], kind, purpose, first, out, n);
        return;
    }
    masked_from_wire(env, kind, x->residue, out, x->at, n);
    x->at += n * masked_wire(env, kind, x->residue);
}
