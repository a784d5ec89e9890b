/* spdz2k: what is dealt. See spdz2k.h. */

#include "spdz2k.h"

int spdz2k_alloc(seq_task *t, spdz2k_shares *d, size_t n) {
    d->value = task_scratch(t, n * sizeof(spdz2k_word) + 64);
    d->mac = task_scratch(t, n * sizeof(spdz2k_word) + 64);
    return d->value && d->mac ? 0 : -1;
}

/* The MACs of `count` numbers, a piece of them. */
static void give_macs(dealer_deal *x, uint32_t purpose, size_t first, const spdz2k_word *value,
                      size_t count) {
    const spdz2k_word alpha = spdz2k_of(x->keys.t)->alpha;
    spdz2k_word mac[MASKED_PIECE];
    for (size_t i = 0; i < count; i++)
        mac[i] = alpha * value[i];
    dealer_give(x, MASKED_WORD, purpose + SPDZ2K_MACS, first, mac, count);
    prg_wipe(mac, sizeof mac);
}

static size_t piece(size_t at, size_t n) {
    return n - at < MASKED_PIECE ? n - at : MASKED_PIECE;
}

void spdz2k_give(dealer_deal *x, uint32_t purpose, size_t first, const spdz2k_word *value,
                 size_t n) {
    for (size_t at = 0; at < n; at += MASKED_PIECE) {
        dealer_give(x, MASKED_WORD, purpose, first + at, value + at, piece(at, n));
        give_macs(x, purpose, first + at, value + at, piece(at, n));
    }
}

void spdz2k_get(dealer_deal *x, uint32_t purpose, size_t first, spdz2k_shares d, size_t n) {
    for (size_t at = 0; at < n; at += MASKED_PIECE) {
        dealer_get(x, MASKED_WORD, purpose, first + at, d.value + at, piece(at, n));
        dealer_get(x, MASKED_WORD, purpose + SPDZ2K_MACS, first + at, d.mac + at, piece(at, n));
    }
}

void spdz2k_mask(dealer_deal *x, int owner, uint32_t purpose, size_t first, spdz2k_shares d,
                 size_t n) {
    const seq_task *t = x->keys.t;
    const unsigned drawn = masked_dealer(t) ? (unsigned)owner : t->env->me;
    if (owner < 0 || owner == (int)masked_of(t)->n)
        masked_mask(&x->keys, MASKED_WORD, purpose, first, d.value, n);
    else if (masked_dealer(t) || owner == (int)t->env->me)
        masked_stream(t->env, &x->keys.part[drawn], MASKED_WORD, purpose, first, d.value, n);
    else
        memset(d.value, 0, n * sizeof *d.value);
    for (size_t at = 0; at < n; at += MASKED_PIECE) {
        if (masked_dealer(t))
            give_macs(x, purpose, first + at, d.value + at, piece(at, n));
        else
            dealer_get(x, MASKED_WORD, purpose + SPDZ2K_MACS, first + at, d.mac + at, piece(at, n));
    }
}
