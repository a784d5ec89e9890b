#ifndef SEQ_LATTICE_NTT_H
#define SEQ_LATTICE_NTT_H
/* Inside of the lattice room: residues mod the four primes, transforms, kernels.
 *
 * Polynomials mod X^N + 1 and one prime are N words below the prime. Transforms are negacyclic
 * [Harvey2014], their order is that of bits reversed; factors w come with
 * floor(w 2^52 / p), which both kernels use, the one for AVX-512 with its 52-bit products. */

#include <stddef.h>
#include <stdint.h>

#include "lattice.h"

typedef unsigned __int128 lattice_wide;

enum { LATTICE_LEVELS = 13 };

typedef struct {
    uint64_t p;
    uint64_t w[LATTICE_N], w_over[LATTICE_N];     /* powers of a 2N-th root, and times 2^52 / p */
    uint64_t inv[LATTICE_N], inv_over[LATTICE_N]; /* of its inverse */
    uint64_t n_inv, n_inv_over;                   /* 1 / N */
    uint64_t wide[3];                             /* 2^64, 2^128 and 1 / 2^64, mod p */
    uint64_t punctured;    /* p / q, the inverse of the other primes' product */
    uint64_t share[2];     /* 2^178 / p - 2^128 */
    uint64_t first_inv;    /* 1 / the first prime; of the others */
    uint64_t wide_over[3]; /* of wide */
    uint64_t punctured_over, first_over;
} lattice_prime;

typedef struct {
    const char *name;
    /* a, in place, both ways; residues below p on input and output. */
    void (*forward)(uint64_t *a, const lattice_prime *m);
    void (*backward)(uint64_t *a, const lattice_prime *m);
    /* d = sum of a[k] b[k] over k < terms <= LATTICE_TERMS, element by element, mod p. */
    void (*dot)(uint64_t *d, const uint64_t *const *a, const uint64_t *const *b, size_t terms,
                const lattice_prime *m);
} lattice_ops;

extern const lattice_ops lattice_portable;
#ifdef __x86_64__
extern const lattice_ops lattice_avx512;
#endif

/* The primes' tables, made at the first call, and the kernels for this CPU. */
const lattice_prime *lattice_primes(void);
const lattice_ops *lattice_kernels(void);

/* x w mod p, where over = floor(w 2^52 / p), for x < 2^52: below 2 p, or below p. */
static inline uint64_t lattice_times_lazy(uint64_t x, uint64_t w, uint64_t over, uint64_t p) {
    const uint64_t quotient = (uint64_t)((lattice_wide)x * over >> 52);
    return x * w - quotient * p;
}
static inline uint64_t lattice_below(uint64_t x, uint64_t p) { /* x < 2 p: x mod p */
    const uint64_t less = x - p;
    return less + (p & (0 - (less >> 63)));
}
static inline uint64_t lattice_times(uint64_t x, uint64_t w, uint64_t over, uint64_t p) {
    return lattice_below(lattice_times_lazy(x, w, over, p), p);
}
static inline uint64_t lattice_plus(uint64_t x, uint64_t y, uint64_t p) {
    return lattice_below(x + y, p);
}
/* Of any word: 2^50 - p < 2^21, so that x less its quotient by 2^50 times p is below 2 p. */
static inline uint64_t lattice_residue(uint64_t x, const lattice_prime *m) {
    return lattice_below(x - (x >> 50) * m->p, m->p);
}

#endif
