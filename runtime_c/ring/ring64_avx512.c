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
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define INLINE static inline __attribute__((always_inline)) TARGET

/* acc += x y. One statement, its product in a register that is used for nothing else: the compiler
 * would move sums away from their products, which costs the multipliers a quarter of their time,
 * load operands once for each product, and copy sums from register to register. */
INLINE __m512i mul_add(__m512i acc, __m512i x, __m512i y) {
    __asm__ volatile("vpmullq %1, %2, %%zmm31\n\tvpaddq %%zmm31, %0, %0"
                     : "+v"(acc)
                     : "v"(x), "v"(y)
                     : "xmm31");
    return acc;
}

INLINE __m512i load(const uint64_t *s, __mmask8 mask) {
    return mask == 0xFF ? _mm512_loadu_si512(s) : _mm512_maskz_loadu_epi64(mask, s);
}

/* A masked store takes twice the time of a plain one when its line is not in L1, whatever the mask.
 */
INLINE void store(uint64_t *d, __mmask8 mask, __m512i x) {
    if (mask == 0xFF)
        _mm512_storeu_si512(d, x);
    else
        _mm512_mask_storeu_epi64(d, mask, x);
}

/* Up to three vectors of columns: where they are read in a row, where their sums go, which lanes
 * count. */
typedef struct {
    ptrdiff_t at[NR / 8];
    uint64_t *c[NR / 8];
    __mmask8 mask[NR / 8];
    size_t count;
} panel;

/* c[v][r ldc] (+)= sum over k < kc of a[k MR + r] row(k)[at[v]] for r < mr, v < nv, both constants:
 * everything in registers. row(k) is rows[k] or, without rows, that of the packed block b. */
INLINE void tile(size_t kc, const uint64_t *a, const uint64_t *b, const uint64_t *const *rows,
                 const panel *p, size_t ldc, int add, const int masked, const int mr,
                 const int nv) {
    __m512i acc[MR][NR / 8], bv[NR / 8];
    UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++) acc[r][v] =
        _mm512_setzero_si512();
    UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++)
        _mm_prefetch((const char *)(p->c[v] + (size_t)r * ldc), _MM_HINT_T0);
    for (size_t k = 0; k < kc; k++) {
        const uint64_t *row = rows ? rows[k] : b + k * NR;
        UNROLL for (int v = 0; v < nv; v++) bv[v] =
            _mm512_maskz_loadu_epi64(masked ? p->mask[v] : 0xFF, row + p->at[v]);
        UNROLL for (int r = 0; r < mr; r++) {
            __m512i av = _mm512_set1_epi64((long long)a[k * MR + (size_t)r]);
            UNROLL for (int v = 0; v < nv; v++) acc[r][v] = mul_add(acc[r][v], av, bv[v]);
        }
    }
    UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++) {
        uint64_t *d = p->c[v] + (size_t)r * ldc;
        __m512i old = add ? load(d, p->mask[v]) : _mm512_setzero_si512();
        store(d, p->mask[v], _mm512_add_epi64(old, acc[r][v]));
    }
}

#define TILE_ROWS(mr)                                                                              \
    case mr:                                                                                       \
        if (p->count == 3)                                                                         \
            tile(kc, a, b, rows, p, ldc, add, masked, mr, 3);                                      \
        else if (p->count == 2)                                                                    \
            tile(kc, a, b, rows, p, ldc, add, masked, mr, 2);                                      \
        else                                                                                       \
            tile(kc, a, b, rows, p, ldc, add, masked, mr, 1);                                      \
        break

INLINE void any_tile(size_t kc, const uint64_t *a, const uint64_t *b, const uint64_t *const *rows,
                     const panel *p, size_t ldc, size_t mr, int add, const int masked) {
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

/* nr <= NR neighbouring columns from number j of a row on. */
INLINE panel make_panel(size_t j, uint64_t *c, size_t nr) {
    panel p = {.count = (nr + 7) / 8};
    for (size_t v = 0; v < NR / 8; v++) {
        p.at[v] = (ptrdiff_t)(j + 8 * v);
        p.c[v] = c + 8 * v;
        p.mask[v] = v + 1 < p.count ? 0xFF : (__mmask8)(0xFF >> (8 * p.count - nr));
    }
    return p;
}

static TARGET void kernel(size_t kc, const uint64_t *a, const uint64_t *b, uint64_t *c, size_t ldc,
                          size_t mr, size_t nr, int add) {
    panel p = make_panel(0, c, nr);
    any_tile(kc, a, b, NULL, &p, ldc, mr, add, 0);
}

/* The first n <= 8 lanes. */
INLINE __mmask8 lanes(size_t n) {
    return (__mmask8)((1u << n) - 1);
}

/* d[c ldd + r] = s[r lds + c] for r < rows <= 8, c < cols <= 8. */
INLINE void transpose8(uint64_t *d, size_t ldd, const uint64_t *s, size_t lds, size_t rows,
                       size_t cols) {
    __m512i w[8], t[8], v[8];
    UNROLL for (size_t i = 0; i < 8; i++) w[i] =
        i < rows ? _mm512_maskz_loadu_epi64(lanes(cols), s + i * lds) : _mm512_setzero_si512();
    UNROLL for (int i = 0; i < 8; i += 2) {
        t[i] = _mm512_unpacklo_epi64(w[i], w[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi64(w[i], w[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i++) {
        int j = (i & 4) | (i & 1);
        v[i] = i & 2 ? _mm512_shuffle_i64x2(t[j], t[j + 2], 0xDD)
                     : _mm512_shuffle_i64x2(t[j], t[j + 2], 0x88);
    }
    UNROLL for (size_t i = 0; i < 8; i++) {
        __m512i line = i & 4 ? _mm512_shuffle_i64x2(v[i & 3], v[(i & 3) + 4], 0xDD)
                             : _mm512_shuffle_i64x2(v[i & 3], v[(i & 3) + 4], 0x88);
        if (i < cols)
            store(d + i * ldd, lanes(rows), line);
    }
}

static TARGET void transpose(uint64_t *d, size_t ldd, const uint64_t *s, size_t lds, size_t rows,
                             size_t cols) {
    for (size_t r = 0; r < rows; r += 8)
        for (size_t c = 0; c < cols; c += 8)
            if (r + 8 <= rows && c + 8 <= cols)
                transpose8(d + c * ldd + r, ldd, s + r * lds + c, lds, 8, 8);
            else
                transpose8(d + c * ldd + r, ldd, s + r * lds + c, lds, MIN(rows - r, (size_t)8),
                           MIN(cols - c, (size_t)8));
}

INLINE void copy_words(uint64_t *d, const uint64_t *s, size_t n) {
    for (; n >= 8; n -= 8, d += 8, s += 8)
        _mm512_storeu_si512(d, _mm512_loadu_si512(s));
    if (n)
        store(d, lanes(n), load(s, lanes(n)));
}

INLINE void add_words(uint64_t *d, const uint64_t *s, size_t n) {
    for (; n >= 8; n -= 8, d += 8, s += 8)
        _mm512_storeu_si512(d, _mm512_add_epi64(_mm512_loadu_si512(d), _mm512_loadu_si512(s)));
    if (n)
        store(d, lanes(n), _mm512_add_epi64(load(d, lanes(n)), load(s, lanes(n))));
}

#include "gemm_impl.h"

#include "direct_avx512.h"

#include "ring_impl.h"

#else
typedef int ring64_avx512_unused; /* ISO C wants a declaration in every file */
#endif
