/* Z_2^64 with AVX2, which has no 64-bit product: a b = lo(a) lo(b) + 2^32 (lo(a) hi(b) + hi(a)
 * lo(b)). The first product is vpmuludq, the other two are one vpmulld with b's halves swapped;
 * both are summed apart and put together once a tile. */
#ifdef __x86_64__
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#define WORD uint64_t
#define SWORD int64_t
#define BITS 64
#define TARGET __attribute__((target("avx2,bmi2")))
#define TABLE ring64_avx2
#define NAME "avx2"
#define MR 4
#define NR 24
#define KC 128
#define MC 256
#define PARTIAL 32768
#define INLINE static inline __attribute__((always_inline)) TARGET

/* mr x 4 words of the kernel of gemm_impl.h, mr constant, into t. */
INLINE void strip(size_t kc, const uint64_t *a, const uint64_t *b, uint64_t t[][4], const int mr) {
    __m256i low[MR], cross[MR];
    for (int r = 0; r < mr; r++)
        low[r] = cross[r] = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (size_t k = 0; k < kc; k++) {
        __m256i bv = _mm256_loadu_si256((const __m256i *)(b + k * NR));
        __m256i swapped = _mm256_shuffle_epi32(bv, 0xB1);
        for (int r = 0; r < mr; r++) {
            __m256i av = _mm256_set1_epi64x((long long)a[k * MR + (size_t)r]);
            low[r] = _mm256_add_epi64(low[r], _mm256_mul_epu32(av, bv));
            cross[r] = _mm256_add_epi32(cross[r], _mm256_mullo_epi32(av, swapped));
        }
    }
    for (int r = 0; r < mr; r++) {
        __m256i high = _mm256_add_epi32(
            _mm256_slli_epi64(cross[r], 32),
            _mm256_and_si256(cross[r], _mm256_set1_epi64x((long long)0xFFFFFFFF00000000)));
        _mm256_storeu_si256((__m256i *)t[r], _mm256_add_epi64(low[r], high));
    }
}

static TARGET void kernel(size_t kc, const uint64_t *a, const uint64_t *b, uint64_t *c, size_t ldc,
                          size_t mr, size_t nr, int add) {
    uint64_t t[MR][4];
    for (size_t j = 0; j < nr; j += 4) {
        switch (mr) {
        case 4:
            strip(kc, a, b + j, t, 4);
            break;
        case 3:
            strip(kc, a, b + j, t, 3);
            break;
        case 2:
            strip(kc, a, b + j, t, 2);
            break;
        default:
            strip(kc, a, b + j, t, 1);
        }
        size_t cols = nr - j < 4 ? nr - j : 4;
        for (size_t r = 0; r < mr; r++)
            for (size_t i = 0; i < cols; i++)
                c[r * ldc + j + i] = t[r][i] + (add ? c[r * ldc + j + i] : 0);
    }
}

#include "plain_pack.h"

#include "gemm_impl.h"

#include "ring_impl.h"

#else
typedef int ring64_avx2_unused; /* ISO C wants a declaration in every file */
#endif
