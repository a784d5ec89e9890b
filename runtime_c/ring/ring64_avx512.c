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
#define UNROLL _Pragma("GCC unroll 8")
#define INLINE static inline __attribute__((always_inline)) TARGET

/* acc += x y. One statement: the compiler would move sums away from their products, which costs the
 * multipliers a quarter of their time, and load operands once for each product. */
INLINE __m512i mul_add(__m512i acc, __m512i x, __m512i y) {
    __m512i product;
    __asm__("vpmullq %2, %3, %1\n\tvpaddq %1, %0, %0" : "+v"(acc), "=&v"(product) : "v"(x), "v"(y));
    return acc;
}

/* Up to three vectors of columns: where they are read, where their sums go, which lanes count. */
typedef struct {
    const uint64_t *b[NR / 8];
    uint64_t *c[NR / 8];
    __mmask8 mask[NR / 8];
    size_t count;
} panel;

/* c[v][r ldc] (+)= sum over k < kc of a[r lda + k] b[v][step[k]] for r < mr, v < nv, both
 * constants: everything in registers. No step: rows of a packed block. */
INLINE void tile(size_t kc, const uint64_t *a, size_t lda, const panel *p, const ptrdiff_t *step,
                 size_t ldc, int add, const int masked, const int mr, const int nv) {
    __m512i acc[MR][NR / 8], bv[NR / 8];
    UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++) acc[r][v] =
        _mm512_setzero_si512();
    for (size_t k = 0; k < kc; k++) {
        ptrdiff_t at = step ? step[k] : (ptrdiff_t)(k * NR);
        UNROLL for (int v = 0; v < nv; v++) bv[v] =
            _mm512_maskz_loadu_epi64(masked ? p->mask[v] : 0xFF, p->b[v] + at);
        UNROLL for (int r = 0; r < mr; r++) {
            __m512i av = _mm512_set1_epi64((long long)a[(size_t)r * lda + k]);
            UNROLL for (int v = 0; v < nv; v++) acc[r][v] = mul_add(acc[r][v], av, bv[v]);
        }
    }
    __mmask8 old = add ? 0xFF : 0;
    UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++) {
        uint64_t *d = p->c[v] + (size_t)r * ldc;
        __m512i sum = _mm512_maskz_loadu_epi64(p->mask[v] & old, d);
        _mm512_mask_storeu_epi64(d, p->mask[v], _mm512_add_epi64(sum, acc[r][v]));
    }
}

#define TILE_ROWS(mr)                                                                              \
    case mr:                                                                                       \
        if (p->count == 3)                                                                         \
            tile(kc, a, lda, p, step, ldc, add, masked, mr, 3);                                    \
        else if (p->count == 2)                                                                    \
            tile(kc, a, lda, p, step, ldc, add, masked, mr, 2);                                    \
        else                                                                                       \
            tile(kc, a, lda, p, step, ldc, add, masked, mr, 1);                                    \
        break

INLINE void any_tile(size_t kc, const uint64_t *a, size_t lda, const panel *p,
                     const ptrdiff_t *step, size_t ldc, size_t mr, int add, const int masked) {
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

/* nr <= NR neighbouring columns. */
INLINE panel make_panel(const uint64_t *b, uint64_t *c, size_t nr) {
    panel p = {.count = (nr + 7) / 8};
    for (size_t v = 0; v < NR / 8; v++) {
        p.b[v] = b + 8 * v;
        p.c[v] = c + 8 * v;
        p.mask[v] = v + 1 < p.count ? 0xFF : (__mmask8)(0xFF >> (8 * p.count - nr));
    }
    return p;
}

static TARGET void kernel(size_t kc, const uint64_t *a, const uint64_t *b, uint64_t *c, size_t ldc,
                          size_t mr, size_t nr, int add) {
    panel p = make_panel(b, c, nr);
    any_tile(kc, a, KC, &p, NULL, ldc, mr, add, 0);
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

#include "direct_avx512.h"

#include "ring_impl.h"

#else
typedef int ring64_avx512_unused; /* ISO C wants a declaration in every file */
#endif
