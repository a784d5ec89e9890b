/* The extension of Z_2^64 of degree 48 with AVX-512. */

#include "dzk_gr.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "../cpu.h"

#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")))
#define INLINE static inline __attribute__((always_inline)) TARGET
#define UNROLL _Pragma("GCC unroll 12")

enum { PARTS = GR_DEGREE / 8 }; /* vectors in an element */

int gr_fast(unsigned degree) {
    return degree == GR_DEGREE && cpu_chosen() == CPU_AVX512;
}

/* hi : lo moved up by s lanes, the upper half of it. */
#define UP(hi, lo, s) ((s) ? _mm512_alignr_epi64(hi, lo, (8 - (s)) % 8) : (hi))

/* t -= h (x^5 + x^3 + x^2 + 1) for polynomials of 48 coefficients h, to 56 coefficients t. */
#define FOLD_PART(k, hi, lo)                                                                       \
    t[k] =                                                                                         \
        _mm512_sub_epi64(t[k], _mm512_add_epi64(_mm512_add_epi64(hi, UP(hi, lo, 2)),               \
                                                _mm512_add_epi64(UP(hi, lo, 3), UP(hi, lo, 5))))

/* v = t mod x^48 + x^5 + x^3 + x^2 + 1; t has 96 coefficients. */
INLINE void fold(__m512i v[PARTS], __m512i t[2 * PARTS]) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i *h = t + PARTS;
    __m512i over = zero; /* minus the part that is over again: h's last coefficients, moved up */
    over = _mm512_add_epi64(_mm512_alignr_epi64(zero, h[PARTS - 1], 6),
                            _mm512_add_epi64(_mm512_alignr_epi64(zero, h[PARTS - 1], 5),
                                             _mm512_alignr_epi64(zero, h[PARTS - 1], 3)));
    UNROLL for (int k = 0; k < PARTS; k++) {
        const __m512i lo = k ? h[k - 1] : zero;
        FOLD_PART(k, h[k], lo);
    }
    over = _mm512_sub_epi64(zero, over);
    FOLD_PART(0, over, zero);
    FOLD_PART(1, zero, over);
    UNROLL for (int k = 0; k < PARTS; k++) v[k] = t[k];
}

/* Adds v x^s x^(8 q) for those q whose bit is set in the point: by a mask, or by a branch, which is
 * foreseen if the next elements are multiplied by the same point. */
#define ADD_SHIFTED(s)                                                                             \
    UNROLL for (int q = 0; q < PARTS; q++) {                                                       \
        const unsigned bit = point >> (8 * q + (s)) & 1;                                           \
        if (same && !bit)                                                                          \
            continue;                                                                              \
        UNROLL for (int k = 0; k < PARTS + ((s) > 0); k++) if (k + q < 2 * PARTS) {                \
            const __m512i hi = k < PARTS ? v[k] : zero, lo = k ? v[k - 1] : zero;                  \
            const __mmask8 take = same ? 0xFF : (__mmask8)(0 - bit);                               \
            t[k + q] = _mm512_mask_add_epi64(t[k + q], take, t[k + q], UP(hi, lo, s));             \
        }                                                                                          \
    }

INLINE void times_point(__m512i v[PARTS], uint64_t point, const int same) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i t[2 * PARTS];
    UNROLL for (int k = 0; k < 2 * PARTS; k++) t[k] = zero;
    ADD_SHIFTED(0)
    ADD_SHIFTED(1)
    ADD_SHIFTED(2)
    ADD_SHIFTED(3)
    ADD_SHIFTED(4)
    ADD_SHIFTED(5)
    ADD_SHIFTED(6)
    ADD_SHIFTED(7)
    fold(v, t);
}

TARGET void gr_bind(uint64_t *p, size_t half, uint64_t r) {
    for (size_t m = 0; m < half; m++) {
        uint64_t *lo = p + m * GR_DEGREE, *hi = p + (half + m) * GR_DEGREE;
        __m512i v[PARTS];
        UNROLL for (int k = 0; k < PARTS; k++) v[k] =
            _mm512_sub_epi64(_mm512_loadu_si512(hi + 8 * k), _mm512_loadu_si512(lo + 8 * k));
        times_point(v, r, 1);
        UNROLL for (int k = 0; k < PARTS; k++)
            _mm512_storeu_si512(lo + 8 * k, _mm512_add_epi64(_mm512_loadu_si512(lo + 8 * k), v[k]));
    }
}

TARGET void gr_weigh(uint64_t *p, const uint64_t *weight, size_t n) {
    for (size_t m = 0; m < n; m++, p += GR_DEGREE) {
        __m512i v[PARTS];
        UNROLL for (int k = 0; k < PARTS; k++) v[k] = _mm512_loadu_si512(p + 8 * k);
        times_point(v, weight[m], 0);
        UNROLL for (int k = 0; k < PARTS; k++) _mm512_storeu_si512(p + 8 * k, v[k]);
    }
}

TARGET void gr_tile(uint64_t *z, size_t zs, const uint64_t *a, size_t step, size_t across,
                    const uint64_t *b, size_t bs, size_t n) {
    enum { COLUMNS = GR_HALF / 8 };
    __m512i sum[GR_ROWS][COLUMNS];
    UNROLL for (size_t r = 0; r < GR_ROWS; r++) UNROLL for (size_t c = 0; c < COLUMNS; c++)
        sum[r][c] = _mm512_loadu_si512(z + r * zs + 8 * c);
    for (size_t m = 0; m < n; m++) {
        const uint64_t *x = a + m * step, *y = b + m * bs;
        const __m512i y0 = _mm512_loadu_si512(y), y1 = _mm512_loadu_si512(y + 8);
        const __m512i y2 = _mm512_loadu_si512(y + 16);
        UNROLL for (size_t r = 0; r < GR_ROWS; r++) {
            const __m512i xr = _mm512_set1_epi64((long long)x[r * across]);
            sum[r][0] = _mm512_add_epi64(sum[r][0], _mm512_mullo_epi64(xr, y0));
            sum[r][1] = _mm512_add_epi64(sum[r][1], _mm512_mullo_epi64(xr, y1));
            sum[r][2] = _mm512_add_epi64(sum[r][2], _mm512_mullo_epi64(xr, y2));
        }
    }
    UNROLL for (size_t r = 0; r < GR_ROWS; r++) UNROLL for (size_t c = 0; c < COLUMNS; c++)
        _mm512_storeu_si512(z + r * zs + 8 * c, sum[r][c]);
}

/* Coefficients 8 k .. 8 k + 7 of four points, as numbers of four bits. */
INLINE __m512i choices(const uint64_t *weight, unsigned k) {
    const __m512i at = _mm512_add_epi64(_mm512_set1_epi64((long long)(8 * k)),
                                        _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
    __m512i number = _mm512_setzero_si512();
    UNROLL for (unsigned m = 0; m < 4; m++) {
        const __m512i point = _mm512_srlv_epi64(_mm512_set1_epi64((long long)weight[m]), at);
        const __m512i bit = _mm512_and_si512(point, _mm512_set1_epi64(1));
        number = _mm512_or_si512(number, _mm512_slli_epi64(bit, m));
    }
    return number;
}

/* Four points at a time: a coefficient is the sum of those words whose point has that bit, one of
 * 16 sums [Arlazarov1970]. */
TARGET void gr_sums(uint64_t *z, const uint64_t *x, size_t across, size_t rows,
                    const uint64_t *weight, size_t n) {
    __m512i choice[GR_MOST / 4][PARTS];
    for (size_t g = 0; g < n / 4; g++)
        UNROLL for (unsigned k = 0; k < PARTS; k++) choice[g][k] = choices(weight + 4 * g, k);
    for (size_t r = 0; r < rows; r++, x += across, z += GR_DEGREE) {
        __m512i sum[PARTS];
        UNROLL for (int k = 0; k < PARTS; k++) sum[k] = _mm512_loadu_si512(z + 8 * k);
        for (size_t g = 0; g < n / 4; g++) {
            __m512i lo = _mm512_maskz_set1_epi64(0xAA, (long long)x[4 * g]), hi;
            lo = _mm512_mask_add_epi64(lo, 0xCC, lo, _mm512_set1_epi64((long long)x[4 * g + 1]));
            lo = _mm512_mask_add_epi64(lo, 0xF0, lo, _mm512_set1_epi64((long long)x[4 * g + 2]));
            hi = _mm512_add_epi64(lo, _mm512_set1_epi64((long long)x[4 * g + 3]));
            UNROLL for (int k = 0; k < PARTS; k++) sum[k] =
                _mm512_add_epi64(sum[k], _mm512_permutex2var_epi64(lo, choice[g][k], hi));
        }
        UNROLL for (int k = 0; k < PARTS; k++) _mm512_storeu_si512(z + 8 * k, sum[k]);
    }
}

#else
int gr_fast(unsigned degree) {
    (void)degree;
    return 0;
}
void gr_bind(uint64_t *p, size_t half, uint64_t r) {
    (void)p, (void)half, (void)r;
}
void gr_weigh(uint64_t *p, const uint64_t *weight, size_t n) {
    (void)p, (void)weight, (void)n;
}
void gr_tile(uint64_t *z, size_t zs, const uint64_t *a, size_t step, size_t across,
             const uint64_t *b, size_t bs, size_t n) {
    (void)z, (void)zs, (void)a, (void)step, (void)across, (void)b, (void)bs, (void)n;
}
void gr_sums(uint64_t *z, const uint64_t *x, size_t across, size_t rows, const uint64_t *weight,
             size_t n) {
    (void)z, (void)x, (void)across, (void)rows, (void)weight, (void)n;
}
#endif
