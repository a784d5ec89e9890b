#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512vbmi,gfni,bmi2,"               \
                          "prefer-vector-width=512")))
#define TABLE bits_avx512
#define NAME "avx512"

#define INLINE static inline __attribute__((always_inline)) TARGET

/* Byte 8i + j of the result is byte 8j + i, or 8(7 - j) + i for index reversed. */
#define TRANSPOSED 0x3830282018100800
#define REVERSED 0x0008101820283038
INLINE __m512i transpose_bytes(__m512i v, long long first) {
    const __m512i lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i each = _mm512_mullo_epi64(lane, _mm512_set1_epi64(0x0101010101010101));
    return _mm512_permutexvar_epi8(_mm512_or_si512(_mm512_set1_epi64(first), each), v);
}

/* Every 64-bit lane is an 8 x 8 bit matrix with its last row first: transpose it. (The affine map
 * takes the lane as matrix, last row first, and applies it to the unit vectors.) */
INLINE __m512i transpose_bits(__m512i v) {
    const __m512i units = _mm512_set1_epi64((long long)0x8040201008040201);
    return _mm512_gf2p8affine_epi64_epi8(units, v, 0);
}

/* Word j of vector i <-> word i of vector j. */
INLINE void transpose_words(__m512i v[8]) {
    __m512i t[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm512_unpacklo_epi64(v[2 * i], v[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi64(v[2 * i], v[2 * i + 1]);
    }
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 2; i++) {
            const __m512i *a = t + 4 * half + i;
            v[4 * half + i] = _mm512_shuffle_i64x2(a[0], a[2], 0x88);
            v[4 * half + i + 2] = _mm512_shuffle_i64x2(a[0], a[2], 0xDD);
        }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i64x2(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i64x2(v[i], v[i + 4], 0xDD);
    }
    memcpy(v, t, sizeof t);
}

/* Bits within 8 x 8 blocks, then blocks across vectors, then bytes within the planes' words. */
INLINE void transpose(uint64_t a[64]) {
    __m512i v[8];
    for (int i = 0; i < 8; i++)
        v[i] = transpose_bits(transpose_bytes(_mm512_loadu_si512(a + 8 * i), REVERSED));
    transpose_words(v);
    for (int i = 0; i < 8; i++)
        _mm512_storeu_si512(a + 8 * i, transpose_bytes(v[i], TRANSPOSED));
}

#include "bits_impl.h"

#else
typedef int bits_avx512_unused; /* ISO C wants a declaration in every file */
#endif
