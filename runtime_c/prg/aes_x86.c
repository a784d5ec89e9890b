/* AES-128 with AES-NI (8 blocks at a time) and VAES on 512-bit registers (32). */
#ifdef __x86_64__

#include <immintrin.h>

#include "aes.h"

#define AESNI __attribute__((target("avx2,aes")))
#define VAES __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,vaes")))

static inline __attribute__((always_inline)) AESNI void
aesni_group(const __m128i rk[11], __m128i first, uint64_t *out, const int blocks) {
    __m128i s[8];
#pragma GCC unroll 8
    for (int i = 0; i < blocks; i++) {
        s[i] = _mm_add_epi64(first, _mm_set_epi64x(0, i));
        s[i] = _mm_xor_si128(s[i], rk[0]);
    }
#pragma GCC unroll 9
    for (int round = 1; round < 10; round++)
#pragma GCC unroll 8
        for (int i = 0; i < blocks; i++)
            s[i] = _mm_aesenc_si128(s[i], rk[round]);
#pragma GCC unroll 8
    for (int i = 0; i < blocks; i++)
        _mm_storeu_si128((__m128i *)(out + 2 * i), _mm_aesenclast_si128(s[i], rk[10]));
}

AESNI void aes_blocks_aesni(const uint8_t round_keys[176], uint64_t counter, uint64_t high,
                            uint64_t *out, size_t n) {
    __m128i rk[11];
    for (int i = 0; i < 11; i++)
        rk[i] = _mm_loadu_si128((const __m128i *)(round_keys + 16 * i));
    /* Counters may be secret: they stay in vectors, where no loop is counted by them. */
    const __m128i first = _mm_set_epi64x((long long)high, (long long)counter);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        aesni_group(rk, _mm_add_epi64(first, _mm_set_epi64x(0, (long long)i)), out + 2 * i, 8);
    for (; i < n; i++)
        aesni_group(rk, _mm_add_epi64(first, _mm_set_epi64x(0, (long long)i)), out + 2 * i, 1);
}

static inline __attribute__((always_inline)) AESNI void
aesni_permute_group(const __m128i rk[11], uint64_t *blocks, const int n) {
    __m128i s[8];
#pragma GCC unroll 8
    for (int i = 0; i < n; i++)
        s[i] = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(blocks + 2 * i)), rk[0]);
#pragma GCC unroll 9
    for (int round = 1; round < 10; round++)
#pragma GCC unroll 8
        for (int i = 0; i < n; i++)
            s[i] = _mm_aesenc_si128(s[i], rk[round]);
#pragma GCC unroll 8
    for (int i = 0; i < n; i++)
        _mm_storeu_si128((__m128i *)(blocks + 2 * i), _mm_aesenclast_si128(s[i], rk[10]));
}

AESNI void aes_permute_aesni(const uint8_t round_keys[176], uint64_t *blocks, size_t n) {
    __m128i rk[11];
    for (int i = 0; i < 11; i++)
        rk[i] = _mm_loadu_si128((const __m128i *)(round_keys + 16 * i));
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        aesni_permute_group(rk, blocks + 2 * i, 8);
    for (; i < n; i++)
        aesni_permute_group(rk, blocks + 2 * i, 1);
}

/* The next round key: each word is the sum of those up to it, and of the last word's S-box. */
static inline __attribute__((always_inline)) AESNI __m128i next_round_key(__m128i k, __m128i sub) {
    k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
    k = _mm_xor_si128(k, _mm_slli_si128(k, 8));
    return _mm_xor_si128(k, _mm_shuffle_epi32(sub, 0xFF));
}

AESNI void aes_expand_aesni(uint8_t round_keys[176], const uint8_t key[16]) {
    __m128i k = _mm_loadu_si128((const __m128i *)key);
    _mm_storeu_si128((__m128i *)round_keys, k);
#define ROUND(i, constant)                                                                         \
    k = next_round_key(k, _mm_aeskeygenassist_si128(k, constant));                                 \
    _mm_storeu_si128((__m128i *)(round_keys + 16 * (i)), k)
    ROUND(1, 0x01);
    ROUND(2, 0x02);
    ROUND(3, 0x04);
    ROUND(4, 0x08);
    ROUND(5, 0x10);
    ROUND(6, 0x20);
    ROUND(7, 0x40);
    ROUND(8, 0x80);
    ROUND(9, 0x1B);
    ROUND(10, 0x36);
#undef ROUND
}

static inline __attribute__((always_inline)) VAES void vaes_group(const __m512i rk[11],
                                                                  uint64_t counter, uint64_t high,
                                                                  uint64_t *out, __mmask8 mask,
                                                                  const int vectors) {
    const __m512i step = _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0);
    __m512i s[8];
#pragma GCC unroll 8
    for (int i = 0; i < vectors; i++) {
        __m128i first = _mm_set_epi64x((long long)high, (long long)(counter + 4 * (uint64_t)i));
        s[i] = _mm512_add_epi64(_mm512_broadcast_i64x2(first), step);
        s[i] = _mm512_xor_si512(s[i], rk[0]);
    }
#pragma GCC unroll 9
    for (int round = 1; round < 10; round++)
#pragma GCC unroll 8
        for (int i = 0; i < vectors; i++)
            s[i] = _mm512_aesenc_epi128(s[i], rk[round]);
#pragma GCC unroll 8
    for (int i = 0; i < vectors; i++)
        _mm512_mask_storeu_epi64(out + 8 * i, mask, _mm512_aesenclast_epi128(s[i], rk[10]));
}

VAES void aes_blocks_vaes(const uint8_t round_keys[176], uint64_t counter, uint64_t high,
                          uint64_t *out, size_t n) {
    __m512i rk[11];
    for (int i = 0; i < 11; i++)
        rk[i] = _mm512_broadcast_i64x2(_mm_loadu_si128((const __m128i *)(round_keys + 16 * i)));
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        vaes_group(rk, counter + i, high, out + 2 * i, 0xFF, 8);
    for (; i + 4 <= n; i += 4)
        vaes_group(rk, counter + i, high, out + 2 * i, 0xFF, 1);
    if (i < n)
        vaes_group(rk, counter + i, high, out + 2 * i, (__mmask8)((1u << 2 * (n - i)) - 1), 1);
}

static inline __attribute__((always_inline)) VAES void
vaes_permute_group(const __m512i rk[11], uint64_t *blocks, __mmask8 mask, const int vectors) {
    __m512i s[8];
#pragma GCC unroll 8
    for (int i = 0; i < vectors; i++)
        s[i] = _mm512_xor_si512(_mm512_maskz_loadu_epi64(mask, blocks + 8 * i), rk[0]);
#pragma GCC unroll 9
    for (int round = 1; round < 10; round++)
#pragma GCC unroll 8
        for (int i = 0; i < vectors; i++)
            s[i] = _mm512_aesenc_epi128(s[i], rk[round]);
#pragma GCC unroll 8
    for (int i = 0; i < vectors; i++)
        _mm512_mask_storeu_epi64(blocks + 8 * i, mask, _mm512_aesenclast_epi128(s[i], rk[10]));
}

VAES void aes_permute_vaes(const uint8_t round_keys[176], uint64_t *blocks, size_t n) {
    __m512i rk[11];
    for (int i = 0; i < 11; i++)
        rk[i] = _mm512_broadcast_i64x2(_mm_loadu_si128((const __m128i *)(round_keys + 16 * i)));
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        vaes_permute_group(rk, blocks + 2 * i, 0xFF, 8);
    for (; i + 4 <= n; i += 4)
        vaes_permute_group(rk, blocks + 2 * i, 0xFF, 1);
    if (i < n)
        vaes_permute_group(rk, blocks + 2 * i, (__mmask8)((1u << 2 * (n - i)) - 1), 1);
}

#else
typedef int aes_x86_unused; /* ISO C wants a declaration in every file */
#endif
