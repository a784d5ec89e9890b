/* That a receiver chose alike in all trees: the check of [Roy2022], over GF(2^64).
 *
 * Who sends another word of choices for one tree than for the others makes rows Q_j = V_j + c_j
 * Delta with choices c^(tau) that differ by tree. Both sides add up their rows by weights that the
 * sender draws once it has the messages. Where a tree's weighted choices are not what the receiver
 * says, its columns fit only if the receiver knows those bits of Delta; two trees that differ have
 * the same weighted choices with 2^-64. */

#include <string.h>

#include "ot.h"

/* x ^= a, where bit `at` of b is set. */
static uint64_t where(uint64_t b, unsigned at, uint64_t a) {
    return a & ((uint64_t)0 - (b >> at & 1));
}

static void add_row(ot_check *x, uint64_t weight, unsigned chosen, const uint64_t row[2]) {
    x->choice ^= where(chosen, 0, weight);
    for (unsigned b = 0; b < 64; b++)
        x->column[b] ^= where(row[0], b, weight);
    for (unsigned b = 0; b < 64; b++)
        x->column[64 + b] ^= where(row[1], b, weight);
}

void ot_check_add(ot_check *x, const prg_key *weights, uint64_t first, const uint64_t *choice,
                  const uint64_t *row, size_t words) {
    uint64_t weight[64];
    for (size_t i = 0; i < words; i++) {
        prg_words(weights, 0, first + 64 * i, weight, 64);
        for (unsigned j = 0; j < 64; j++)
            add_row(x, weight[j], choice ? choice[i] >> j & 1 : 0, row + 128 * i + 2 * j);
    }
}

void ot_check_mask(ot_check *x, const uint64_t *choice, const uint64_t *row) {
    for (unsigned j = 0; j < 64; j++)
        add_row(x, (uint64_t)1 << j, choice ? *choice >> j & 1 : 0, row + 2 * j);
}

int ot_check_fits(const ot_check *mine, const ot_seeds *seeds, const ot_check *theirs) {
    uint64_t wrong = 0;
    for (unsigned b = 0; b < OT_BITS; b++)
        wrong |= mine->column[b] ^ theirs->column[b] ^
                 where(seeds->delta[b / 64], b % 64, theirs->choice);
    return wrong == 0;
}
