/* Transforms in plain C, and the primes' tables. See ntt.h. */
#include "ntt.h"

#include "../cpu.h"

#include <pthread.h>
#include <string.h>

static void forward(uint64_t *a, const lattice_prime *m) {
    const uint64_t p = m->p, twice = 2 * p;
    for (size_t groups = 1, t = LATTICE_N / 2; t; groups *= 2, t /= 2)
        for (size_t g = 0; g < groups; g++) {
            uint64_t *x = a + 2 * g * t, *y = x + t;
            const uint64_t w = m->w[groups + g], over = m->w_over[groups + g];
            for (size_t i = 0; i < t; i++) { /* below 4 p */
                const uint64_t u = lattice_below(x[i], twice);
                const uint64_t v = lattice_times_lazy(y[i], w, over, p);
                x[i] = u + v;
                y[i] = u - v + twice;
            }
        }
    for (size_t i = 0; i < LATTICE_N; i++)
        a[i] = lattice_below(lattice_below(a[i], twice), p);
}

static void backward(uint64_t *a, const lattice_prime *m) {
    const uint64_t p = m->p, twice = 2 * p;
    for (size_t groups = LATTICE_N / 2, t = 1; groups; groups /= 2, t *= 2)
        for (size_t g = 0; g < groups; g++) {
            uint64_t *x = a + 2 * g * t, *y = x + t;
            const uint64_t w = m->inv[groups + g], over = m->inv_over[groups + g];
            for (size_t i = 0; i < t; i++) { /* below 2 p */
                const uint64_t u = x[i], v = y[i];
                x[i] = lattice_below(u + v, twice);
                y[i] = lattice_times_lazy(u - v + twice, w, over, p);
            }
        }
    for (size_t i = 0; i < LATTICE_N; i++)
        a[i] = lattice_times(a[i], m->n_inv, m->n_inv_over, p);
}

/* Sums of products of 100 bits. */
static void dot(uint64_t *d, const uint64_t *const *a, const uint64_t *const *b, size_t terms,
                const lattice_prime *m) {
    for (size_t i = 0; i < LATTICE_N; i++) {
        lattice_wide sum = 0;
        for (size_t k = 0; k < terms; k++)
            sum += (lattice_wide)a[k][i] * b[k][i];
        const uint64_t high = lattice_times(lattice_residue((uint64_t)(sum >> 64), m), m->wide[0],
                                            m->wide_over[0], m->p);
        d[i] = lattice_plus(high, lattice_residue((uint64_t)sum, m), m->p);
    }
}

const lattice_ops lattice_portable = {"portable", forward, backward, dot};

/* ---- tables ---- */

/* The largest primes below 2^50 that are 1 mod 2N, and 2N-th roots of unity. */
static const uint64_t PRIME[LATTICE_PRIMES][2] = {{0x3ffffffffc001, 971709613313032},
                                                  {0x3fffffffcc001, 1096684567043902},
                                                  {0x3ffffffef4001, 340368873960073},
                                                  {0x3ffffffe94001, 684195787594020}};

static lattice_prime prime[LATTICE_PRIMES];
static pthread_once_t made = PTHREAD_ONCE_INIT;

static uint64_t times(uint64_t x, uint64_t y, uint64_t p) {
    return (uint64_t)((lattice_wide)x * y % p);
}

static uint64_t power(uint64_t x, uint64_t e, uint64_t p) {
    uint64_t r = 1;
    for (; e; e >>= 1, x = times(x, x, p))
        r = e & 1 ? times(r, x, p) : r;
    return r;
}

static uint64_t over(uint64_t w, uint64_t p) {
    return (uint64_t)(((lattice_wide)w << 52) / p);
}

/* root^i at place i with its bits reversed. */
static void powers(uint64_t *w, uint64_t *w_over, uint64_t root, uint64_t p) {
    uint64_t x = 1;
    for (size_t i = 0; i < LATTICE_N; i++, x = times(x, root, p)) {
        size_t place = 0;
        for (unsigned b = 0; b < LATTICE_LEVELS; b++)
            place |= (i >> b & 1) << (LATTICE_LEVELS - 1 - b);
        w[place] = x;
        w_over[place] = over(x, p);
    }
}

static void make_prime(unsigned i) {
    lattice_prime *m = &prime[i];
    const uint64_t p = m->p = PRIME[i][0], two = times((uint64_t)1 << 32, (uint64_t)1 << 32, p);
    powers(m->w, m->w_over, PRIME[i][1], p);
    powers(m->inv, m->inv_over, power(PRIME[i][1], p - 2, p), p);
    m->n_inv = power(LATTICE_N, p - 2, p);
    m->n_inv_over = over(m->n_inv, p);
    m->wide[0] = two;
    m->wide[1] = times(two, two, p);
    m->wide[2] = power(two, p - 2, p);
    for (unsigned k = 0; k < 3; k++)
        m->wide_over[k] = over(m->wide[k], p);
    uint64_t rest = 1;
    for (unsigned j = 0; j < LATTICE_PRIMES; j++)
        rest = j == i ? rest : times(rest, PRIME[j][0] % p, p);
    m->punctured = power(rest, p - 2, p);
    m->punctured_over = over(m->punctured, p);
    m->first_inv = i ? power(PRIME[0][0] % p, p - 2, p) : 0;
    m->first_over = over(m->first_inv, p);
    /* 2^178 = (2^50 - p) 2^128 + p 2^128; the quotient of the first by p, in two digits. */
    const lattice_wide gap = ((uint64_t)1 << 50) - p, digit = (gap << 64) / p;
    m->share[1] = (uint64_t)digit;
    m->share[0] = (uint64_t)((((gap << 64) % p) << 64) / p);
}

static void make_primes(void) {
    for (unsigned i = 0; i < LATTICE_PRIMES; i++)
        make_prime(i);
}

const lattice_prime *lattice_primes(void) {
    (void)pthread_once(&made, make_primes);
    return prime;
}

const lattice_ops *lattice_kernels(void) {
#ifdef __x86_64__
    if (cpu_chosen() == CPU_AVX512)
        return &lattice_avx512;
#endif
    return &lattice_portable;
}
