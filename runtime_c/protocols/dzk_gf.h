#ifndef SEQ_DZK_GF_H
#define SEQ_DZK_GF_H
/* The field of bits of distributed proofs: GF(2^64), one word an element; smaller ones, of `degree`
 * bits, are for tests. Constant time in all values. The kernels are those of cpu_chosen(). */

#include <stddef.h>
#include <stdint.h>

/* x^degree = minus the sum of x^tap, the same in the extension of Z_2^64. */
const uint8_t *dzk_taps(unsigned degree, unsigned *count);

uint64_t gf_mul(unsigned degree, uint64_t a, uint64_t b);
/* p[i] *= q[i]. */
void gf_products(unsigned degree, uint64_t *p, const uint64_t *q, size_t n);
/* Sum of p[i] q[i]. */
uint64_t gf_inner(unsigned degree, const uint64_t *p, const uint64_t *q, size_t n);
/* g[0] and g[1] are the sums of p[i] q[i] and of (p[half + i] - p[i]) (q[half + i] - q[i]). */
void gf_halves(unsigned degree, uint64_t g[2], const uint64_t *p, const uint64_t *q, size_t half);
/* p[i] += r (p[half + i] - p[i]). */
void gf_bind(unsigned degree, uint64_t *p, size_t half, uint64_t r);

/* Bits in words. Degree divides 64; bits are weighed by groups of as many: bit i of a group with
 * the point t by t x^i, so that the weighted sum of a group is t times the element that its bits
 * are. t: 64 / degree points for each word. */
uint64_t gf_weighted(unsigned degree, const uint64_t *x, size_t words, const uint64_t *t);
/* p[64 w + i] *= the weight of bit i of word w. */
void gf_weigh(unsigned degree, uint64_t *p, size_t words, const uint64_t *t);
/* d[64 w + i] = sum over l < rows of lambda[l] times bit i of x[l words + w]. */
void gf_compress(uint64_t *d, const uint64_t *x, size_t rows, size_t words, const uint64_t *lambda);

#endif
