/* Transforms with the 52-bit products of AVX-512 IFMA. See ntt.h. */
#ifdef __x86_64__

#include "ntt.h"

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512ifma")))
#define LOW52 (((uint64_t)1 << 52) - 1)

typedef struct {
    __m512i p, twice, low;
} constants;

TARGET static inline constants constants_of(const lattice_prime *m) {
    return (constants){_mm512_set1_epi64((long long)m->p), _mm512_set1_epi64((long long)m->p * 2),
                       _mm512_set1_epi64((long long)LOW52)};
}

TARGET static inline __m512i below(__m512i x, __m512i p) {
    return _mm512_min_epu64(x, _mm512_sub_epi64(x, p));
}

/* x w mod p below 2 p, for x < 2^52. */
TARGET static inline __m512i times(__m512i x, __m512i w, __m512i over, constants c) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i quotient = _mm512_madd52hi_epu64(zero, x, over);
    const __m512i product = _mm512_madd52lo_epu64(zero, x, w);
    const __m512i less = _mm512_madd52lo_epu64(zero, quotient, c.p);
    return _mm512_and_si512(_mm512_sub_epi64(product, less), c.low);
}

TARGET static inline void cooley_tukey(__m512i *x, __m512i *y, __m512i w, __m512i over,
                                       constants c) {
    const __m512i u = below(*x, c.twice), v = times(*y, w, over, c);
    *x = _mm512_add_epi64(u, v);
    *y = _mm512_add_epi64(_mm512_sub_epi64(u, v), c.twice);
}

TARGET static inline void gentleman_sande(__m512i *x, __m512i *y, __m512i w, __m512i over,
                                          constants c) {
    const __m512i u = *x, v = *y;
    *x = below(_mm512_add_epi64(u, v), c.twice);
    *y = times(_mm512_add_epi64(_mm512_sub_epi64(u, v), c.twice), w, over, c);
}

/* Where the lanes of two butterflies' halves lie in 16 elements, for groups of 2 t. */
typedef struct {
    __m512i x, y, factor, back[2];
} lanes;

TARGET static lanes lanes_of(size_t t) {
    uint64_t x[8], y[8], factor[8], back[16];
    for (size_t i = 0; i < 8; i++) {
        factor[i] = i / t;
        x[i] = i / t * 2 * t + i % t;
        y[i] = x[i] + t;
        back[x[i]] = i;
        back[y[i]] = 8 + i;
    }
    return (lanes){_mm512_loadu_si512(x),
                   _mm512_loadu_si512(y),
                   _mm512_loadu_si512(factor),
                   {_mm512_loadu_si512(back), _mm512_loadu_si512(back + 8)}};
}

/* The levels whose halves are shorter than a vector. */
TARGET static void short_level(uint64_t *a, const uint64_t *w, const uint64_t *w_over, size_t t,
                               int inverse, constants c) {
    const lanes l = lanes_of(t);
    for (size_t i = 0, g = LATTICE_N / 2 / t; i < LATTICE_N; i += 16, g += 8 / t) {
        const __mmask8 few = (__mmask8)((1u << 8 / t) - 1);
        const __m512i first = _mm512_loadu_si512(a + i), second = _mm512_loadu_si512(a + i + 8);
        const __m512i f = _mm512_permutexvar_epi64(l.factor, _mm512_maskz_loadu_epi64(few, w + g));
        const __m512i over =
            _mm512_permutexvar_epi64(l.factor, _mm512_maskz_loadu_epi64(few, w_over + g));
        __m512i x = _mm512_permutex2var_epi64(first, l.x, second);
        __m512i y = _mm512_permutex2var_epi64(first, l.y, second);
        if (inverse)
            gentleman_sande(&x, &y, f, over, c);
        else
            cooley_tukey(&x, &y, f, over, c);
        _mm512_storeu_si512(a + i, _mm512_permutex2var_epi64(x, l.back[0], y));
        _mm512_storeu_si512(a + i + 8, _mm512_permutex2var_epi64(x, l.back[1], y));
    }
}

TARGET static void forward(uint64_t *a, const lattice_prime *m) {
    const constants c = constants_of(m);
    size_t groups = 1, t = LATTICE_N / 2;
    for (; t >= 8; groups *= 2, t /= 2)
        for (size_t g = 0; g < groups; g++) {
            const __m512i w = _mm512_set1_epi64((long long)m->w[groups + g]);
            const __m512i over = _mm512_set1_epi64((long long)m->w_over[groups + g]);
            for (uint64_t *p = a + 2 * g * t, *end = p + t; p < end; p += 8) {
                __m512i x = _mm512_loadu_si512(p), y = _mm512_loadu_si512(p + t);
                cooley_tukey(&x, &y, w, over, c);
                _mm512_storeu_si512(p, x);
                _mm512_storeu_si512(p + t, y);
            }
        }
    for (; t; t /= 2)
        short_level(a, m->w, m->w_over, t, 0, c);
    for (size_t i = 0; i < LATTICE_N; i += 8)
        _mm512_storeu_si512(a + i, below(below(_mm512_loadu_si512(a + i), c.twice), c.p));
}

TARGET static void backward(uint64_t *a, const lattice_prime *m) {
    const constants c = constants_of(m);
    size_t groups = LATTICE_N / 2, t = 1;
    for (; t < 8; groups /= 2, t *= 2)
        short_level(a, m->inv, m->inv_over, t, 1, c);
    for (; groups; groups /= 2, t *= 2)
        for (size_t g = 0; g < groups; g++) {
            const __m512i w = _mm512_set1_epi64((long long)m->inv[groups + g]);
            const __m512i over = _mm512_set1_epi64((long long)m->inv_over[groups + g]);
            for (uint64_t *p = a + 2 * g * t, *end = p + t; p < end; p += 8) {
                __m512i x = _mm512_loadu_si512(p), y = _mm512_loadu_si512(p + t);
                gentleman_sande(&x, &y, w, over, c);
                _mm512_storeu_si512(p, x);
                _mm512_storeu_si512(p + t, y);
            }
        }
    const __m512i n = _mm512_set1_epi64((long long)m->n_inv);
    const __m512i over = _mm512_set1_epi64((long long)m->n_inv_over);
    for (size_t i = 0; i < LATTICE_N; i += 8)
        _mm512_storeu_si512(a + i, below(times(_mm512_loadu_si512(a + i), n, over, c), c.p));
}

/* x < 2^64 mod p: x less than its quotient by 2^50 times p, twice. */
TARGET static inline __m512i residue(__m512i x, constants c) {
    const __m512i quotient = _mm512_srli_epi64(x, 50);
    return below(_mm512_sub_epi64(x, _mm512_mullo_epi64(quotient, c.p)), c.p);
}

/* Low and high 52 bits of products are summed apart: fewer than 2^64 with 4096 terms. */
TARGET static void dot(uint64_t *d, const uint64_t *const *a, const uint64_t *const *b,
                       size_t terms, const lattice_prime *m) {
    const constants c = constants_of(m);
    const uint64_t shift = ((uint64_t)1 << 52) - 4 * m->p; /* 2^52 mod p */
    const __m512i f = _mm512_set1_epi64((long long)shift);
    const __m512i over =
        _mm512_set1_epi64((long long)(uint64_t)(((lattice_wide)shift << 52) / m->p));
    for (size_t i = 0; i < LATTICE_N; i += 8) {
        __m512i low = _mm512_setzero_si512(), high = low;
        for (size_t k = 0; k < terms; k++) {
            const __m512i x = _mm512_loadu_si512(a[k] + i), y = _mm512_loadu_si512(b[k] + i);
            low = _mm512_madd52lo_epu64(low, x, y);
            high = _mm512_madd52hi_epu64(high, x, y);
        }
        high = below(times(residue(high, c), f, over, c), c.p);
        low = residue(low, c);
        _mm512_storeu_si512(d + i, below(_mm512_add_epi64(low, high), c.p));
    }
}

const lattice_ops lattice_avx512 = {"avx512", forward, backward, dot};

#endif
