/* The field of bits of distributed proofs. */

#include "dzk_gf.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../cpu.h"
#include "rep3.h"

/* All are irreducible mod 2. */
static const uint8_t taps_64[] = {4, 3, 1, 0}, taps_48[] = {5, 3, 2, 0}, taps_8[] = {4, 3, 1, 0},
                     taps_4[] = {1, 0, 0, 0};

const uint8_t *dzk_taps(unsigned degree, unsigned *count) {
    *count = degree == 4 ? 2 : 4;
    return degree == 64 ? taps_64 : degree == 48 ? taps_48 : degree == 8 ? taps_8 : taps_4;
}

/* ---- one product ---- */

/* A product of two polynomials of degree < `degree` to its remainder. */
static uint64_t reduce(uint64_t lo, uint64_t hi, unsigned degree) {
    if (degree == 64) {
        const uint64_t over = hi >> 60 ^ hi >> 61 ^ hi >> 63;
        hi ^= over;
        return lo ^ hi ^ hi << 1 ^ hi << 3 ^ hi << 4;
    }
    unsigned count;
    const uint8_t *tap = dzk_taps(degree, &count);
    for (unsigned i = 2 * degree - 2; i >= degree; i--)
        for (unsigned k = 0; k < count; k++)
            lo ^= (lo >> i & 1) << (i - degree + tap[k]);
    return lo & ((1ULL << degree) - 1);
}

static void clmul_plain(uint64_t d[2], uint64_t a, uint64_t b) {
    d[0] = d[1] = 0;
    for (unsigned i = 0; i < 64; i++) {
        const uint64_t take = 0 - (b >> i & 1);
        d[0] ^= a << i & take;
        d[1] ^= (i ? a >> (64 - i) : 0) & take;
    }
}

#if defined(__x86_64__)
__attribute__((target("pclmul"))) static void clmul_fast(uint64_t d[2], uint64_t a, uint64_t b) {
    const __m128i z =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a), _mm_cvtsi64_si128((long long)b), 0);
    _mm_storeu_si128((__m128i *)d, z);
}

static void clmul(uint64_t d[2], uint64_t a, uint64_t b) {
    if (cpu_chosen() >= CPU_AVX2 && __builtin_cpu_supports("pclmul"))
        clmul_fast(d, a, b);
    else
        clmul_plain(d, a, b);
}
#else
static void clmul(uint64_t d[2], uint64_t a, uint64_t b) {
    clmul_plain(d, a, b);
}
#endif

uint64_t gf_mul(unsigned degree, uint64_t a, uint64_t b) {
    uint64_t z[2];
    clmul(z, a, b);
    return reduce(z[0], z[1], degree);
}

/* ---- with carry-less multiplication and AVX-512, GF(2^64) only ---- */

#if defined(__x86_64__)
#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512vbmi,gfni,vpclmulqdq,"         \
                          "prefer-vector-width=512")))
#define INLINE static inline __attribute__((always_inline)) TARGET

static int fast(unsigned degree) {
    return degree == 64 && cpu_chosen() == CPU_AVX512;
}

INLINE __m512i reduce8(__m512i lo, __m512i hi) {
    const __m512i over = _mm512_ternarylogic_epi64(
        _mm512_srli_epi64(hi, 60), _mm512_srli_epi64(hi, 61), _mm512_srli_epi64(hi, 63), 0x96);
    hi = _mm512_xor_si512(hi, over);
    lo = _mm512_ternarylogic_epi64(lo, hi, _mm512_slli_epi64(hi, 1), 0x96);
    return _mm512_ternarylogic_epi64(lo, _mm512_slli_epi64(hi, 3), _mm512_slli_epi64(hi, 4), 0x96);
}

INLINE __m512i mul8(__m512i a, __m512i b) {
    const __m512i even = _mm512_clmulepi64_epi128(a, b, 0x00);
    const __m512i odd = _mm512_clmulepi64_epi128(a, b, 0x11);
    return reduce8(_mm512_unpacklo_epi64(even, odd), _mm512_unpackhi_epi64(even, odd));
}

/* acc += a b, not reduced: four sums of 128 bits. */
INLINE __m512i mul_add8(__m512i acc, __m512i a, __m512i b) {
    return _mm512_ternarylogic_epi64(acc, _mm512_clmulepi64_epi128(a, b, 0x00),
                                     _mm512_clmulepi64_epi128(a, b, 0x11), 0x96);
}

INLINE uint64_t sum_of(__m512i acc) {
    uint64_t z[8];
    _mm512_storeu_si512(z, acc);
    return reduce(z[0] ^ z[2] ^ z[4] ^ z[6], z[1] ^ z[3] ^ z[5] ^ z[7], 64);
}

INLINE __mmask8 lanes(size_t n) {
    return n >= 8 ? 0xFF : (__mmask8)((1u << n) - 1);
}

static TARGET uint64_t inner_512(const uint64_t *p, const uint64_t *q, size_t n) {
    __m512i acc = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 8)
        acc = mul_add8(acc, _mm512_maskz_loadu_epi64(lanes(n - i), p + i),
                       _mm512_maskz_loadu_epi64(lanes(n - i), q + i));
    return sum_of(acc);
}

static TARGET void halves_512(uint64_t g[2], const uint64_t *p, const uint64_t *q, size_t half) {
    __m512i acc[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (size_t i = 0; i < half; i += 8) {
        const __mmask8 m = lanes(half - i);
        const __m512i a = _mm512_maskz_loadu_epi64(m, p + i);
        const __m512i b = _mm512_maskz_loadu_epi64(m, q + i);
        acc[0] = mul_add8(acc[0], a, b);
        acc[1] = mul_add8(acc[1], _mm512_xor_si512(a, _mm512_maskz_loadu_epi64(m, p + half + i)),
                          _mm512_xor_si512(b, _mm512_maskz_loadu_epi64(m, q + half + i)));
    }
    g[0] = sum_of(acc[0]);
    g[1] = sum_of(acc[1]);
}

static TARGET void products_512(uint64_t *p, const uint64_t *q, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        const __mmask8 m = lanes(n - i);
        const __m512i z =
            mul8(_mm512_maskz_loadu_epi64(m, p + i), _mm512_maskz_loadu_epi64(m, q + i));
        _mm512_mask_storeu_epi64(p + i, m, z);
    }
}

static TARGET void bind_512(uint64_t *p, size_t half, uint64_t r) {
    const __m512i rv = _mm512_set1_epi64((long long)r);
    for (size_t i = 0; i < half; i += 8) {
        const __mmask8 m = lanes(half - i);
        const __m512i a = _mm512_maskz_loadu_epi64(m, p + i);
        const __m512i d = _mm512_xor_si512(a, _mm512_maskz_loadu_epi64(m, p + half + i));
        _mm512_mask_storeu_epi64(p + i, m, _mm512_xor_si512(a, mul8(d, rv)));
    }
}

static TARGET void weigh_512(uint64_t *p, size_t words, const uint64_t *t) {
    const __m512i up = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i down = _mm512_sub_epi64(_mm512_set1_epi64(64), up); /* a shift by 64 gives 0 */
    for (size_t w = 0; w < words; w++) {
        const __m512i point = _mm512_set1_epi64((long long)t[w]);
        __m512i weight =
            reduce8(_mm512_sllv_epi64(point, up), _mm512_srlv_epi64(point, down)); /* t x^0..7 */
        for (size_t i = 64 * w; i < 64 * w + 64; i += 8) {
            _mm512_storeu_si512(p + i, mul8(_mm512_loadu_si512(p + i), weight));
            weight = reduce8(_mm512_slli_epi64(weight, 8), _mm512_srli_epi64(weight, 56));
        }
    }
}

/* The affine map of bytes, out byte b bit j = matrix byte 7 - j times byte b, transposes 8 x 8 bits
 * when bytes are unit vectors. */
#define UNITS 0x8040201008040201
#define UNITS_BACK 0x0102040810204080

/* Byte j of word i of the result is byte i of word j (of word 7 - j if back). */
INLINE __m512i transpose_bytes(__m512i v, int back) {
    const __m512i lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i each = _mm512_mullo_epi64(lane, _mm512_set1_epi64(0x0101010101010101));
    const long long first = back ? 0x0008101820283038 : 0x3830282018100800;
    return _mm512_permutexvar_epi8(_mm512_or_si512(_mm512_set1_epi64(first), each), v);
}

INLINE __m512i transpose_bits(__m512i v, unsigned long long units) {
    return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((long long)units), v, 0);
}

/* One word of each of 64 rows, which are the rows of a 64 x 64 matrix of bits: its transpose times
 * that of the lambdas, in blocks of 8 x 8. columns[L]: byte k has bit k of lambdas 8L .. 8L + 7. */
INLINE void compress_word(uint64_t *d, const uint64_t *x, size_t stride, const __m512i columns[8]) {
    uint64_t block[64];
    for (unsigned l = 0; l < 8; l++) {
        const uint64_t *row = x + 8 * l * stride;
        const __m512i v = _mm512_set_epi64((long long)row[7 * stride], (long long)row[6 * stride],
                                           (long long)row[5 * stride], (long long)row[4 * stride],
                                           (long long)row[3 * stride], (long long)row[2 * stride],
                                           (long long)row[stride], (long long)row[0]);
        _mm512_storeu_si512(block + 8 * l, transpose_bits(transpose_bytes(v, 1), UNITS_BACK));
    }
    const __m512i swap = _mm512_set_epi64(
        0x38393A3B3C3D3E3F, 0x3031323334353637, 0x28292A2B2C2D2E2F, 0x2021222324252627,
        0x18191A1B1C1D1E1F, 0x1011121314151617, 0x08090A0B0C0D0E0F, 0x0001020304050607);
    for (unsigned i = 0; i < 8; i++) {
        __m512i sum = _mm512_setzero_si512();
        for (unsigned l = 0; l < 8; l++)
            sum = _mm512_xor_si512(
                sum, _mm512_gf2p8affine_epi64_epi8(
                         columns[l], _mm512_set1_epi64((long long)block[8 * l + i]), 0));
        sum = transpose_bits(_mm512_permutexvar_epi8(swap, sum), UNITS);
        _mm512_storeu_si512(d + 8 * i, transpose_bytes(sum, 0));
    }
}

static TARGET void compress_512(uint64_t *d, const uint64_t *x, size_t words,
                                const uint64_t *lambda) {
    __m512i columns[8];
    for (unsigned l = 0; l < 8; l++)
        columns[l] = transpose_bits(transpose_bytes(_mm512_loadu_si512(lambda + 8 * l), 1), UNITS);
    for (size_t w = 0; w < words; w++)
        compress_word(d + 64 * w, x + w, words, columns);
}
#else
static int fast(unsigned degree) {
    (void)degree;
    return 0;
}
static void products_512(uint64_t *p, const uint64_t *q, size_t n) {
    (void)p, (void)q, (void)n;
}
static uint64_t inner_512(const uint64_t *p, const uint64_t *q, size_t n) {
    (void)p, (void)q, (void)n;
    return 0;
}
static void halves_512(uint64_t g[2], const uint64_t *p, const uint64_t *q, size_t half) {
    (void)g, (void)p, (void)q, (void)half;
}
static void bind_512(uint64_t *p, size_t half, uint64_t r) {
    (void)p, (void)half, (void)r;
}
static void weigh_512(uint64_t *p, size_t words, const uint64_t *t) {
    (void)p, (void)words, (void)t;
}
static void compress_512(uint64_t *d, const uint64_t *x, size_t words, const uint64_t *lambda) {
    (void)d, (void)x, (void)words, (void)lambda;
}
#endif

/* ---- many elements ---- */

void gf_products(unsigned degree, uint64_t *p, const uint64_t *q, size_t n) {
    if (fast(degree)) {
        products_512(p, q, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        p[i] = gf_mul(degree, p[i], q[i]);
}

uint64_t gf_inner(unsigned degree, const uint64_t *p, const uint64_t *q, size_t n) {
    if (fast(degree))
        return inner_512(p, q, n);
    uint64_t z[2] = {0, 0}, one[2];
    for (size_t i = 0; i < n; i++) {
        clmul(one, p[i], q[i]);
        z[0] ^= one[0];
        z[1] ^= one[1];
    }
    return reduce(z[0], z[1], degree);
}

void gf_halves(unsigned degree, uint64_t g[2], const uint64_t *p, const uint64_t *q, size_t half) {
    if (fast(degree)) {
        halves_512(g, p, q, half);
        return;
    }
    g[0] = g[1] = 0;
    for (size_t i = 0; i < half; i++) {
        g[0] ^= gf_mul(degree, p[i], q[i]);
        g[1] ^= gf_mul(degree, p[i] ^ p[half + i], q[i] ^ q[half + i]);
    }
}

void gf_bind(unsigned degree, uint64_t *p, size_t half, uint64_t r) {
    if (fast(degree)) {
        bind_512(p, half, r);
        return;
    }
    for (size_t i = 0; i < half; i++)
        p[i] ^= gf_mul(degree, p[i] ^ p[half + i], r);
}

uint64_t gf_weighted(unsigned degree, const uint64_t *x, size_t words, const uint64_t *t) {
    if (degree == 64) /* a word is an element */
        return gf_inner(degree, x, t, words);
    const unsigned groups = 64 / degree;
    uint64_t sum = 0;
    for (size_t w = 0; w < words; w++)
        for (unsigned g = 0; g < groups; g++)
            sum ^= gf_mul(degree, x[w] >> g * degree & ((1ULL << degree) - 1), t[w * groups + g]);
    return sum;
}

void gf_weigh(unsigned degree, uint64_t *p, size_t words, const uint64_t *t) {
    if (fast(degree)) {
        weigh_512(p, words, t);
        return;
    }
    for (size_t i = 0; i < 64 * words; i += degree) {
        uint64_t weight = t[i / degree];
        for (size_t k = 0; k < degree; k++) {
            p[i + k] = gf_mul(degree, p[i + k], weight);
            weight = gf_mul(degree, weight, 2);
        }
    }
}

/* d[i] ^= v if bit i of x. */
REP3_KERNEL static void spread(uint64_t *restrict d, uint64_t x, uint64_t v) {
    for (unsigned i = 0; i < 64; i++)
        d[i] ^= (0 - (x >> i & 1)) & v;
}

void gf_compress(uint64_t *d, const uint64_t *x, size_t rows, size_t words,
                 const uint64_t *lambda) {
    if (fast(64) && rows == 64) {
        compress_512(d, x, words, lambda);
        return;
    }
    memset(d, 0, 64 * words * 8);
    for (size_t w = 0; w < words; w++)
        for (size_t l = 0; l < rows; l++)
            spread(d + 64 * w, x[l * words + w], lambda[l]);
}
