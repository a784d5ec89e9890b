/* Z_2^64 with AVX-512: vpmullq and an 8 x 24 register tile. */
#ifdef __x86_64__
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#define WORD uint64_t
#define SWORD int64_t
#define BITS 64
#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,bmi2,prefer-vector-width=512")))
#define TABLE ring64_avx512
#define NAME "avx512"
#define MR 8
#define NR 24
#define KC 128
#define MC 256
#define PARTIAL 32768
#define INLINE static inline __attribute__((always_inline)) TARGET

/* The kernel of gemm_impl.h for mr rows and nv vectors, both constants: everything in registers. */
INLINE void tile(size_t kc, const uint64_t *a, const uint64_t *b, uint64_t *c, size_t ldc,
                 size_t nr, int add, const int mr, const int nv) {
    __m512i acc[MR][3], bv[3];
    for (int r = 0; r < mr; r++)
        for (int v = 0; v < nv; v++)
            acc[r][v] = _mm512_setzero_si512();
    for (size_t k = 0; k < kc; k++) {
        for (int v = 0; v < nv; v++)
            bv[v] = _mm512_load_si512(b + k * NR + 8 * v);
        for (int r = 0; r < mr; r++) {
            __m512i av = _mm512_set1_epi64((long long)a[r * KC + k]);
            for (int v = 0; v < nv; v++)
                acc[r][v] = _mm512_add_epi64(acc[r][v], _mm512_mullo_epi64(av, bv[v]));
        }
    }
    __mmask8 last = (__mmask8)(0xFF >> (8 * nv - (int)nr));
    for (int r = 0; r < mr; r++)
        for (int v = 0; v < nv; v++) {
            uint64_t *d = c + r * ldc + 8 * v;
            __mmask8 mask = v == nv - 1 ? last : 0xFF;
            if (add)
                acc[r][v] = _mm512_add_epi64(acc[r][v], _mm512_maskz_loadu_epi64(mask, d));
            _mm512_mask_storeu_epi64(d, mask, acc[r][v]);
        }
}

#define TILE_ROWS(mr)                                                                              \
    case mr:                                                                                       \
        if (nr > 16)                                                                               \
            tile(kc, a, b, c, ldc, nr, add, mr, 3);                                                \
        else if (nr > 8)                                                                           \
            tile(kc, a, b, c, ldc, nr, add, mr, 2);                                                \
        else                                                                                       \
            tile(kc, a, b, c, ldc, nr, add, mr, 1);                                                \
        break

static TARGET void kernel(size_t kc, const uint64_t *a, const uint64_t *b, uint64_t *c, size_t ldc,
                          size_t mr, size_t nr, int add) {
    switch (mr) {
        TILE_ROWS(1);
        TILE_ROWS(2);
        TILE_ROWS(3);
        TILE_ROWS(4);
        TILE_ROWS(5);
        TILE_ROWS(6);
        TILE_ROWS(7);
        TILE_ROWS(8);
    }
}

/* d[c ldd + r] = s[r lds + c] for r, c < 8. */
INLINE void transpose8(uint64_t *d, size_t ldd, const uint64_t *s, size_t lds) {
    __m512i t[8], v[8];
    for (int i = 0; i < 8; i += 2) {
        __m512i even = _mm512_loadu_si512(s + (size_t)i * lds);
        __m512i odd = _mm512_loadu_si512(s + ((size_t)i + 1) * lds);
        t[i] = _mm512_unpacklo_epi64(even, odd);
        t[i + 1] = _mm512_unpackhi_epi64(even, odd);
    }
    for (int half = 0; half < 8; half += 4)
        for (int i = half; i < half + 2; i++) {
            v[i] = _mm512_shuffle_i64x2(t[i], t[i + 2], 0x88);
            v[i + 2] = _mm512_shuffle_i64x2(t[i], t[i + 2], 0xDD);
        }
    for (int i = 0; i < 4; i++) {
        size_t row = (size_t)i * ldd;
        _mm512_storeu_si512(d + row, _mm512_shuffle_i64x2(v[i], v[i + 4], 0x88));
        _mm512_storeu_si512(d + row + 4 * ldd, _mm512_shuffle_i64x2(v[i], v[i + 4], 0xDD));
    }
}

static TARGET void transpose(uint64_t *d, size_t ldd, const uint64_t *s, size_t lds, size_t rows,
                             size_t cols) {
    for (size_t r = 0; r < rows; r += 8)
        for (size_t c = 0; c < cols; c += 8)
            if (r + 8 <= rows && c + 8 <= cols)
                transpose8(d + c * ldd + r, ldd, s + r * lds + c, lds);
            else
                for (size_t i = r; i < rows && i < r + 8; i++)
                    for (size_t j = c; j < cols && j < c + 8; j++)
                        d[j * ldd + i] = s[i * lds + j];
}

INLINE void copy_words(uint64_t *d, const uint64_t *s, size_t n) {
    for (; n >= 8; n -= 8, d += 8, s += 8)
        _mm512_storeu_si512(d, _mm512_loadu_si512(s));
    __mmask8 mask = (__mmask8)((1u << n) - 1);
    _mm512_mask_storeu_epi64(d, mask, _mm512_maskz_loadu_epi64(mask, s));
}

INLINE void add_words(uint64_t *d, const uint64_t *s, size_t n) {
    for (; n >= 8; n -= 8, d += 8, s += 8)
        _mm512_storeu_si512(d, _mm512_add_epi64(_mm512_loadu_si512(d), _mm512_loadu_si512(s)));
    __mmask8 mask = (__mmask8)((1u << n) - 1);
    __m512i sum =
        _mm512_add_epi64(_mm512_maskz_loadu_epi64(mask, d), _mm512_maskz_loadu_epi64(mask, s));
    _mm512_mask_storeu_epi64(d, mask, sum);
}

#include "gemm_impl.h"

#include "ring_impl.h"

#else
typedef int ring64_avx512_unused; /* ISO C wants a declaration in every file */
#endif
