/* Body of every bits_*.c. Before including it, define
 *   TARGET          the function attribute of the instruction set;
 *   TABLE, NAME     the table to define and its name;
 *   transpose(a)    transposition of 64 words in place. */

#include <string.h>

#define BITS static TARGET void

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunknown-pragmas"

BITS bits_xor(uint64_t *d, const uint64_t *a, const uint64_t *b, size_t words) {
#pragma GCC ivdep
    for (size_t i = 0; i < words; i++)
        d[i] = a[i] ^ b[i];
}

BITS bits_and(uint64_t *d, const uint64_t *a, const uint64_t *b, size_t words) {
#pragma GCC ivdep
    for (size_t i = 0; i < words; i++)
        d[i] = a[i] & b[i];
}

BITS bits_not(uint64_t *d, const uint64_t *a, size_t words) {
#pragma GCC ivdep
    for (size_t i = 0; i < words; i++)
        d[i] = ~a[i];
}

BITS bits_xorand(uint64_t *d, const uint64_t *a, const uint64_t *b, size_t words) {
#pragma GCC ivdep
    for (size_t i = 0; i < words; i++)
        d[i] ^= a[i] & b[i];
}

#pragma GCC diagnostic pop

/* w[j] = bits lo .. lo + 63 of x[j], for j < count <= 64; zero from there on. */
BITS load_window(uint64_t w[64], const void *x, unsigned width, size_t count, unsigned lo) {
    if (width == 64) {
        const uint64_t *v = x;
        for (size_t j = 0; j < count; j++)
            w[j] = v[j] >> lo;
    } else {
        const unsigned __int128 *v = x;
        for (size_t j = 0; j < count; j++)
            w[j] = (uint64_t)(v[j] >> lo);
    }
    memset(w + count, 0, (64 - count) * sizeof *w);
}

/* Eight words of a plane, a cache line, are written together. */
#define GROUP 8

BITS bits_slice(uint64_t *planes, size_t stride, const void *x, unsigned width, size_t n,
                unsigned lo, unsigned p) {
    uint64_t w[GROUP][64] __attribute__((aligned(64)));
    for (size_t at = 0; at < n; at += 64 * GROUP) {
        size_t blocks = n - at < 64 * GROUP ? (n - at + 63) / 64 : GROUP;
        for (unsigned q = 0; q < p; q += 64) {
            for (size_t b = 0; b < blocks; b++) {
                size_t j = at + 64 * b;
                load_window(w[b], (const uint8_t *)x + j * (width / 8), width,
                            n - j < 64 ? n - j : 64, lo + q);
                transpose(w[b]);
            }
            for (unsigned i = q; i < p && i < q + 64; i++)
                for (size_t b = 0; b < blocks; b++)
                    planes[i * stride + at / 64 + b] = w[b][i - q];
        }
    }
}

/* w[j] = sum over i < 64, q + i < p of 2^i * bit j of plane q + i's word. */
BITS gather_window(uint64_t w[64], const uint64_t *word, size_t stride, unsigned q, unsigned p) {
    unsigned count = p - q < 64 ? p - q : 64;
    for (unsigned i = 0; i < count; i++)
        w[i] = word[(q + i) * stride];
    memset(w + count, 0, (64 - count) * sizeof *w);
    transpose(w);
}

BITS bits_unslice(void *x, unsigned width, const uint64_t *planes, size_t stride, size_t n,
                  unsigned lo, unsigned p) {
    uint64_t w[2][64] __attribute__((aligned(64)));
    memset(w, 0, sizeof w);
    for (size_t at = 0; at < n; at += 64) {
        size_t count = n - at < 64 ? n - at : 64;
        for (unsigned q = 0; q < p; q += 64)
            gather_window(w[q / 64], planes + at / 64, stride, q, p);
        if (width == 64) {
            uint64_t *v = (uint64_t *)x + at;
            for (size_t j = 0; j < count; j++)
                v[j] = w[0][j] << lo;
        } else {
            unsigned __int128 *v = (unsigned __int128 *)x + at;
            for (size_t j = 0; j < count; j++)
                v[j] = ((unsigned __int128)w[1][j] << 64 | w[0][j]) << lo;
        }
    }
}

const bits_ops TABLE = {NAME, bits_xor, bits_and, bits_not, bits_xorand, bits_slice, bits_unslice};
