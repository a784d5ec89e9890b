#ifndef SEQ_DZK_GR_H
#define SEQ_DZK_GR_H
/* Kernels for the extension of Z_2^64 of degree 48 with AVX-512; elements are 48 words. Points are
 * elements with coefficients 0 and 1 (and public), given as words of 48 bits. */

#include <stddef.h>
#include <stdint.h>

#define GR_DEGREE 48
#define GR_HALF 24

/* Whether these kernels can be used for extensions of that degree here. */
int gr_fast(unsigned degree);
/* p[m] += r (p[half + m] - p[m]). */
void gr_bind(uint64_t *p, size_t half, uint64_t r);
/* p[m] *= the point weight[m]. */
void gr_weigh(uint64_t *p, const uint64_t *weight, size_t n);
/* z[r][c] += sum over m < n of a[m][r] b[m][c] for r < GR_ROWS, c < GR_HALF. Rows of z
 * are zs words apart, those of b bs; a[m][r] is a[m step + r across]. */
#define GR_ROWS 8
void gr_tile(uint64_t *z, size_t zs, const uint64_t *a, size_t step, size_t across,
             const uint64_t *b, size_t bs, size_t n);
/* z[r] += sum over m < n of x[r][m] times the point weight[m]: rows of x are `across` words apart,
 * those of z elements; n is a multiple of 4 and at most GR_MOST. */
#define GR_MOST 32
void gr_sums(uint64_t *z, const uint64_t *x, size_t across, size_t rows, const uint64_t *weight,
             size_t n);

#endif
