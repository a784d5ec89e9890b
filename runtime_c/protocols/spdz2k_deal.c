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

/* My part of masks that all, or (owner >= 0) one party knows; the dealer: the masks. */
static void draw_mask(const dealer_deal *x, unsigned kind, int owner, uint32_t purpose,
                      size_t first, void *d, size_t n) {
    const seq_task *t = x->keys.t;
    if (owner < 0 || owner == (int)masked_of(t)->n)
        masked_mask(&x->keys, kind, purpose, first, d, n);
    else if (masked_dealer(t) || owner == (int)t->env->me)
        masked_stream(t->env, &x->keys.part[owner], kind, purpose, first, d, n);
    else
        memset(d, 0, n * masked_size(t->env, kind));
}

void spdz2k_mask(dealer_deal *x, int owner, uint32_t purpose, size_t first, spdz2k_shares d,
                 size_t n) {
    const seq_task *t = x->keys.t;
    draw_mask(x, MASKED_WORD, owner, purpose, first, d.value, n);
    for (size_t at = 0; at < n; at += MASKED_PIECE) {
        if (masked_dealer(t))
            give_macs(x, purpose, first + at, d.value + at, piece(at, n));
        else
            dealer_get(x, MASKED_WORD, purpose + SPDZ2K_MACS, first + at, d.mac + at, piece(at, n));
    }
}

/* ---- planes of bits ---- */

int spdz2k_alloc_bits(seq_task *t, spdz2k_planes *d, size_t words) {
    d->value = task_scratch(t, words * 8 + 64);
    d->mac = task_scratch(t, words * 8 * SPDZ2K_DEGREE + 64);
    return d->value && d->mac ? 0 : -1;
}

static void give_bit_macs(dealer_deal *x, uint32_t purpose, size_t first, const uint64_t *value,
                          size_t words) {
    const uint64_t delta = spdz2k_of(x->keys.t)->delta;
    uint64_t mac[MASKED_PIECE];
    for (unsigned k = 0; k < SPDZ2K_DEGREE; k++)
        for (size_t at = 0; at < words; at += MASKED_PIECE) {
            const size_t n = piece(at, words);
            for (size_t i = 0; i < n; i++)
                mac[i] = value[at + i] & (0 - (delta >> k & 1));
            dealer_give(x, MASKED_BITS, purpose + SPDZ2K_MACS * (k + 1), first + at, mac, n);
        }
    prg_wipe(mac, sizeof mac);
}

static void get_bit_macs(dealer_deal *x, uint32_t purpose, size_t first, uint64_t *mac,
                         size_t words) {
    for (unsigned k = 0; k < SPDZ2K_DEGREE; k++)
        dealer_get(x, MASKED_BITS, purpose + SPDZ2K_MACS * (k + 1), first, mac + k * words, words);
}

void spdz2k_give_bits(dealer_deal *x, uint32_t purpose, size_t first, const uint64_t *value,
                      size_t words) {
    dealer_give(x, MASKED_BITS, purpose, first, value, words);
    give_bit_macs(x, purpose, first, value, words);
}

void spdz2k_get_bits(dealer_deal *x, uint32_t purpose, size_t first, spdz2k_planes d,
                     size_t words) {
    dealer_get(x, MASKED_BITS, purpose, first, d.value, words);
    get_bit_macs(x, purpose, first, d.mac, words);
}

void spdz2k_mask_bits(dealer_deal *x, int owner, uint32_t purpose, size_t first, spdz2k_planes d,
                      size_t words) {
    draw_mask(x, MASKED_BITS, owner, purpose, first, d.value, words);
    if (masked_dealer(x->keys.t))
        give_bit_macs(x, purpose, first, d.value, words);
    else
        get_bit_macs(x, purpose, first, d.mac, words);
}
