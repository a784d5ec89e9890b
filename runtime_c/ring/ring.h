#ifndef SEQ_RING_H
#define SEQ_RING_H
/* Kernels over Z_2^64, Z_2^128 and the field of p = 2^127 - 1 elements on plain arrays of words
 * (uint64_t or unsigned __int128, little endian; field.h says how elements are words). One table of
 * functions for each width and instruction set, chosen at run time; results never depend on the
 * choice. No function branches on or indexes by array contents except the index arrays of
 * gather/scatter, which are public. All sizes in elements. Unless said otherwise d may be identical
 * to an input but must not overlap it partially. */

#include <stddef.h>
#include <stdint.h>

typedef struct seq_pool seq_pool; /* par.h */

typedef struct {
    const void *a, *b;
} ring_term; /* the operands of a product */

typedef struct {
    size_t m, k, n; /* d is m x n, op(a) is m x k, op(b) is k x n; row-major */
    int ta, tb;     /* stored transposed: a as k x m, b as n x k */
} ring_gemm;

typedef struct {
    size_t batch, cin, h, w, cout, kh, kw, oh, ow, sh, sw, ph, pw; /* NCHW, OIHW */
} ring_conv;

#define RING_FIELD 127 /* in place of a width: the field */

#define RING_MAX_RANK 8
typedef struct {
    size_t rank; /* <= RING_MAX_RANK; 0: one element */
    size_t shape[RING_MAX_RANK];
    ptrdiff_t dstr[RING_MAX_RANK], sstr[RING_MAX_RANK]; /* in elements */
} ring_walk;

typedef struct {
    const char *name; /* "portable", "avx2", "avx512" */
    unsigned bits;    /* 64, 128 or RING_FIELD */
    size_t word;      /* bytes in a word: 8 or 16 */

    void (*add)(void *d, const void *a, const void *b, size_t n);
    void (*sub)(void *d, const void *a, const void *b, size_t n);
    void (*mul)(void *d, const void *a, const void *b, size_t n);
    void (*muladd)(void *d, const void *a, const void *b, size_t n); /* d += a * b */
    /* Immediates are signed. */
    void (*muli)(void *d, const void *a, int64_t imm, size_t n);
    void (*addi)(void *d, const void *a, int64_t imm, size_t n);
    void (*fill)(void *d, int64_t imm, size_t n);
    /* d = (a + 2^(m-1)) >> m of signed numbers; a ring's sum wraps; 1 <= m < bits. */
    void (*shr_nearest)(void *d, const void *a, unsigned m, size_t n);
    /* d = a >> m: of signed numbers (sar) and of words (shr); 0 <= m < bits. */
    void (*sar)(void *d, const void *a, unsigned m, size_t n);
    void (*shr)(void *d, const void *a, unsigned m, size_t n);
    /* Signed numbers in two's complement, d, of the elements a, and the reverse, where any number
     * of the word's bits is taken modulo p. Copies in rings. */
    void (*to_signed)(void *d, const void *a, size_t n);
    void (*from_signed)(void *d, const void *a, size_t n);
    /* d[i.dstr] = a[i.sstr] and d[i.dstr] += a[i.sstr] for all i; strides may be 0 or negative;
     * acc sums where dstr has zeros. d and a do not overlap. */
    void (*copy)(void *d, const void *a, const ring_walk *walk);
    void (*acc)(void *d, const void *a, const ring_walk *walk);

    /* Sums of products, d (+)= op(a) op(b) over count >= 1 terms of the same sizes: everything is
     * added up before d is written. accumulate = 0 overwrites; otherwise the sum is added to d, for
     * sums whose terms are not all there at the same time. d overlaps no operand. Threaded over
     * pool (NULL: this thread only). Any size, including 0 (k = 0 gives zeros). */
    void (*gemm)(void *d, const ring_term *terms, size_t count, const ring_gemm *g, int accumulate,
                 seq_pool *pool);
    /* The same of convolutions, as implicit GEMMs (no im2col copy of the whole input). Operands a
     * and b of a term, for the forward one: d[B,O,OH,OW] (+)= conv2d(a = x[B,C,H,W],
     * b = w[O,C,KH,KW]); dx: d[B,C,H,W] (+)= gradient for x, a = g[B,O,OH,OW], b = w; dw:
     * d[O,C,KH,KW] (+)= gradient for w, a = g, b = x. */
    void (*conv)(void *d, const ring_term *terms, size_t count, const ring_conv *c, int accumulate,
                 seq_pool *pool);
    void (*conv_dx)(void *d, const ring_term *terms, size_t count, const ring_conv *c,
                    int accumulate, seq_pool *pool);
    void (*conv_dw)(void *d, const ring_term *terms, size_t count, const ring_conv *c,
                    int accumulate, seq_pool *pool);
} ring_ops;

/* The table for a width: the best the CPU has, or the one that SEQUESTER_KERNELS names (portable,
 * avx2, avx512); NULL if bits is unknown or the named one is not available on this CPU. */
const ring_ops *ring_select(unsigned bits);
/* The same by name: for tests that run them all. NULL if unknown or not available. */
const ring_ops *ring_by_name(unsigned bits, const char *name);

#endif
