/* spdz2k: authenticated bits from transfers. See spdz2k_auth.h. */

#include "spdz2k_auth.h"

#include "dzk_gf.h"

enum { DEGREE = SPDZ2K_AUTH_DEGREE };

void spdz2k_auth_own(uint64_t *mac, uint64_t delta, const uint64_t *mine, size_t words) {
    for (unsigned k = 0; k < DEGREE; k++)
        for (size_t i = 0; i < words; i++)
            mac[k * words + i] = mine[i] & (0 - (delta >> k & 1));
}

void spdz2k_auth_add(const bits_ops *ops, uint64_t *mac, const uint64_t *row, size_t words,
                     uint64_t *scratch) {
    ops->slice(scratch, words, row, 128, 64 * words, 0, DEGREE);
    ops->xor_(mac, mac, scratch, DEGREE * words);
}

/* The MACs of `words` words of bits as elements. */
static void elements(const bits_ops *ops, uint64_t *out, const uint64_t *mac, size_t words) {
    ops->unslice(out, 64, mac, words, 64 * words, 0, DEGREE);
}

void spdz2k_auth_weigh(const bits_ops *ops, spdz2k_auth_sum *x, const prg_key *weights,
                       uint64_t first, const uint64_t *mine, const uint64_t *mac, size_t words,
                       uint64_t *scratch) {
    uint64_t weight[DEGREE];
    elements(ops, scratch, mac, words);
    for (size_t i = 0; i < words; i++) {
        prg_words(weights, 0, first + DEGREE * i, weight, DEGREE);
        x->mac ^= gf_inner(DEGREE, weight, scratch + DEGREE * i, DEGREE);
        for (unsigned j = 0; j < DEGREE; j++)
            x->value ^= weight[j] & (0 - (mine[i] >> j & 1));
    }
}

void spdz2k_auth_mask(const bits_ops *ops, spdz2k_auth_sum *x, const uint64_t *mine,
                      const uint64_t *mac) {
    uint64_t weight[DEGREE], element[DEGREE];
    elements(ops, element, mac, 1);
    for (unsigned j = 0; j < DEGREE; j++)
        weight[j] = (uint64_t)1 << j;
    x->mac ^= gf_inner(DEGREE, weight, element, DEGREE);
    x->value ^= *mine;
    prg_wipe(element, sizeof element);
}

uint64_t spdz2k_auth_sigma(const spdz2k_auth_sum *x, uint64_t delta, uint64_t opened) {
    return x->mac ^ gf_mul(DEGREE, delta, opened);
}
