/* Z_2^128 with AVX-512 IFMA: x = x0 + 2^52 x1 + 2^104 x2. vpmadd52 multiplies the low 52 bits of
 * its operands and adds the low or the high 52 bits of the product to a sum of 64 bits. Of the nine
 * products that are not multiples of 2^128 those of equal weight, 1, 2^52 or 2^104, are summed; the
 * sums are put together once a tile. */
#ifdef __x86_64__
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tables.h"

#define WORD unsigned __int128
#define SWORD __int128
#define BITS 128
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512ifma,bmi2")))
#define TABLE ring128_avx512
#define NAME "avx512"
#define MR 8
#define NR 8
#define KC 128 /* 2^52 weighs three products for each index: their sums stay below 2^64 */
#define MC 128
#define PARTIAL 16384
#define UNROLL _Pragma("GCC unroll 8")
#define INLINE static inline __attribute__((always_inline)) TARGET

/* Lower and upper halves of eight words, both in the order 0 4 1 5 2 6 3 7. */
typedef struct {
    __m512i low, high;
} halves;

/* The first n <= 8 of the words at s; the others are 0. */
INLINE halves load_halves(const WORD *s, size_t n) {
    const unsigned lanes = (1u << 2 * n) - 1;
    const __m512i first = _mm512_maskz_loadu_epi64((__mmask8)lanes, s);
    const __m512i second = _mm512_maskz_loadu_epi64((__mmask8)(lanes >> 8), s + 4);
    return (halves){_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second)};
}

INLINE void store_halves(WORD *d, halves x, size_t n) {
    const unsigned lanes = (1u << 2 * n) - 1;
    const __m512i first = _mm512_unpacklo_epi64(x.low, x.high);
    const __m512i second = _mm512_unpackhi_epi64(x.low, x.high);
    if (n == NR) { /* see ring64_avx512.c */
        _mm512_storeu_si512(d, first);
        _mm512_storeu_si512(d + 4, second);
        return;
    }
    _mm512_mask_storeu_epi64(d, (__mmask8)lanes, first);
    _mm512_mask_storeu_epi64(d + 4, (__mmask8)(lanes >> 8), second);
}

INLINE halves add_halves(halves x, halves y) {
    const __m512i low = _mm512_add_epi64(x.low, y.low), high = _mm512_add_epi64(x.high, y.high);
    const __mmask8 carry = _mm512_cmplt_epu64_mask(low, x.low);
    return (halves){low, _mm512_mask_add_epi64(high, carry, high, _mm512_set1_epi64(1))};
}

/* s[0] + 2^52 s[1] + 2^104 s[2]. */
INLINE halves sum_value(const __m512i s[3]) {
    const halves x = {s[0], _mm512_slli_epi64(s[2], 40)};
    const halves y = {_mm512_slli_epi64(s[1], 52), _mm512_srli_epi64(s[1], 12)};
    return add_halves(x, y);
}

/* The 64 bits of a word from that byte on, in all lanes. */
INLINE __m512i broadcast(const WORD *a, size_t byte) {
    long long x;
    memcpy(&x, (const uint8_t *)a + byte, sizeof x);
    return _mm512_set1_epi64(x);
}

/* The kernel of gemm_impl.h for mr rows, a constant. Bits past the 52 of a factor do not count, nor
 * do those past 24 of the uppermost one: their products are multiples of 2^128. */
INLINE void strip(size_t kc, const WORD *a, const WORD *b, WORD *c, size_t ldc, size_t nr, int add,
                  const int mr) {
    __m512i s[MR][3];
    UNROLL for (int r = 0; r < mr; r++) s[r][0] = s[r][1] = s[r][2] = _mm512_setzero_si512();
    for (size_t k = 0; k < kc; k++) {
        const halves h = load_halves(b + k * NR, NR);
        const __m512i b0 = h.low, b2 = _mm512_srli_epi64(h.high, 40);
        const __m512i b1 =
            _mm512_or_si512(_mm512_srli_epi64(h.low, 52), _mm512_slli_epi64(h.high, 12));
        UNROLL for (int r = 0; r < mr; r++) {
            const WORD *word = a + k * MR + r;
            const __m512i a0 = broadcast(word, 0);
            const __m512i a2 = _mm512_srli_epi64(broadcast(word, 8), 40);
            const __m512i a1 = _mm512_srli_epi64(broadcast(word, 6), 4);
            s[r][0] = _mm512_madd52lo_epu64(s[r][0], a0, b0);
            s[r][1] = _mm512_madd52hi_epu64(s[r][1], a0, b0);
            s[r][2] = _mm512_madd52hi_epu64(s[r][2], a0, b1);
            s[r][1] = _mm512_madd52lo_epu64(s[r][1], a0, b1);
            s[r][2] = _mm512_madd52lo_epu64(s[r][2], a0, b2);
            s[r][1] = _mm512_madd52lo_epu64(s[r][1], a1, b0);
            s[r][2] = _mm512_madd52hi_epu64(s[r][2], a1, b0);
            s[r][2] = _mm512_madd52lo_epu64(s[r][2], a1, b1);
            s[r][2] = _mm512_madd52lo_epu64(s[r][2], a2, b0);
        }
    }
    UNROLL for (int r = 0; r < mr; r++) {
        halves x = sum_value(s[r]);
        WORD *d = c + (size_t)r * ldc;
        store_halves(d, add ? add_halves(x, load_halves(d, nr)) : x, nr);
    }
}

#define STRIP(mr)                                                                                  \
    case mr:                                                                                       \
        strip(kc, a, b, c, ldc, nr, add, mr);                                                      \
        break

static TARGET void kernel(size_t kc, const WORD *a, const WORD *b, WORD *c, size_t ldc, size_t mr,
                          size_t nr, int add) {
    switch (mr) {
        STRIP(1);
        STRIP(2);
        STRIP(3);
        STRIP(4);
        STRIP(5);
        STRIP(6);
        STRIP(7);
        STRIP(8);
    }
}

#include "plain_pack.h"

#include "gemm_impl.h"

#include "ring_impl.h"

#else
typedef int ring128_avx512_unused; /* ISO C wants a declaration in every file */
#endif
