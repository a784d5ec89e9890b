#ifndef SEQ_BITS_H
#define SEQ_BITS_H
/* Bit-sliced vectors. A plane of n bits is bits_plane_words(n) 64-bit words (padded to 512 bits);
 * bit j of a plane is bit j % 64 of word j / 64. A value of p planes has them one after another.
 * Padding bits are unspecified on input and may be anything on output unless said otherwise.
 * Kernels are chosen at run time as in ring.h (SEQUESTER_KERNELS) and are constant-time. */

#include <stddef.h>
#include <stdint.h>

static inline size_t bits_plane_words(size_t n) {
    return (n + 511) / 512 * 8;
}

typedef struct {
    const char *name;
    void (*xor_)(uint64_t *d, const uint64_t *a, const uint64_t *b, size_t words);
    void (*and_)(uint64_t *d, const uint64_t *a, const uint64_t *b, size_t words);
    void (*not_)(uint64_t *d, const uint64_t *a, size_t words);
    void (*xorand)(uint64_t *d, const uint64_t *a, const uint64_t *b,
                   size_t words); /* d ^= a & b */
    /* Plane i (stride words apart) = bit lo + i of x[0..n-1], for i < p. Only ceil(n/64) words of a
     * plane are written; bits past n in the last of them are 0. width: 64 or 128 bits a word of x.
     */
    void (*slice)(uint64_t *planes, size_t stride, const void *x, unsigned width, size_t n,
                  unsigned lo, unsigned p);
    /* The reverse: x[j] = sum over i < p of 2^(lo+i) * bit j of plane i (other bits 0). */
    void (*unslice)(void *x, unsigned width, const uint64_t *planes, size_t stride, size_t n,
                    unsigned lo, unsigned p);
} bits_ops;

const bits_ops *bits_select(void);
const bits_ops *bits_by_name(const char *name);

/* d (dn bits; cleared first) at doff + i.dstr = a (an bits) at aoff + i.sstr, for every i of shape.
 */
void bits_copy(uint64_t *d, size_t dn, size_t doff, const uint64_t *a, size_t an, size_t aoff,
               size_t rank, const size_t *shape, const ptrdiff_t *dstr, const ptrdiff_t *sstr);

#endif
