#ifndef SEQ_TRANSPOSE_H
#define SEQ_TRANSPOSE_H
/* Transposition of a 64 x 64 bit matrix: bit j of word i <-> bit i of word j. Constant-time. */

#include <stdint.h>

/* Swap the off-diagonal j x j blocks of every 2j x 2j block. */
static inline __attribute__((always_inline)) void transpose_stage(uint64_t a[64], unsigned j,
                                                                  uint64_t low) {
    for (unsigned k = 0; k < 64; k += 2 * j)
        for (unsigned i = k; i < k + j; i++) {
            uint64_t t = ((a[i] >> j) ^ a[i + j]) & low;
            a[i] ^= t << j;
            a[i + j] ^= t;
        }
}

static inline __attribute__((always_inline)) void transpose64(uint64_t a[64]) {
    transpose_stage(a, 32, 0x00000000FFFFFFFF);
    transpose_stage(a, 16, 0x0000FFFF0000FFFF);
    transpose_stage(a, 8, 0x00FF00FF00FF00FF);
    transpose_stage(a, 4, 0x0F0F0F0F0F0F0F0F);
    transpose_stage(a, 2, 0x3333333333333333);
    transpose_stage(a, 1, 0x5555555555555555);
}

#endif
