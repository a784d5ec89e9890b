/* The rings of distributed proofs: the Galois ring of degree 48 over Z_2^64, whose elements are
 * vectors of words so that everything is a matrix product over Z_2^64, and the field of 2^64
 * elements over bits. */

#include "dzk.h"

#include <stdlib.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* x^degree = minus the sum of x^tap; irreducible mod 2. */
static const uint8_t taps_64[] = {4, 3, 1, 0}, taps_48[] = {5, 3, 2, 0}, taps_8[] = {4, 3, 1, 0},
                     taps_4[] = {1, 0, 0, 0};

static const uint8_t *taps(unsigned degree, unsigned *count) {
    *count = degree == 4 ? 2 : 4;
    return degree == 64 ? taps_64 : degree == 48 ? taps_48 : degree == 8 ? taps_8 : taps_4;
}

void dzk_field_init(dzk_field *f, const seq_env *env, unsigned ring, unsigned degree) {
    *f = (dzk_field){.ring = ring,
                     .degree = degree,
                     .words = ring == DZK_WORDS ? degree : 1,
                     .base = env->ring,
                     .pool = env->pool};
}

/* ---- the field of bits ---- */

#if defined(__x86_64__)
__attribute__((target("pclmul"))) static void clmul_fast(uint64_t d[2], uint64_t a, uint64_t b) {
    const __m128i z =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a), _mm_cvtsi64_si128((long long)b), 0);
    _mm_storeu_si128((__m128i *)d, z);
}

__attribute__((target("pclmul"))) static void inner_fast(uint64_t d[2], const uint64_t *p,
                                                         const uint64_t *q, size_t n) {
    __m128i sum = _mm_setzero_si128();
    for (size_t i = 0; i < n; i++)
        sum =
            _mm_xor_si128(sum, _mm_clmulepi64_si128(_mm_loadl_epi64((const __m128i *)(p + i)),
                                                    _mm_loadl_epi64((const __m128i *)(q + i)), 0));
    _mm_storeu_si128((__m128i *)d, sum);
}

static int has_clmul(void) {
    return __builtin_cpu_supports("pclmul");
}
#else
static int has_clmul(void) {
    return 0;
}
static void clmul_fast(uint64_t d[2], uint64_t a, uint64_t b) {
    (void)d, (void)a, (void)b;
}
static void inner_fast(uint64_t d[2], const uint64_t *p, const uint64_t *q, size_t n) {
    (void)d, (void)p, (void)q, (void)n;
}
#endif

static void clmul_plain(uint64_t d[2], uint64_t a, uint64_t b) {
    d[0] = d[1] = 0;
    for (unsigned i = 0; i < 64; i++) {
        const uint64_t take = 0 - (b >> i & 1);
        d[0] ^= a << i & take;
        d[1] ^= (i ? a >> (64 - i) : 0) & take;
    }
}

/* A product of two polynomials of degree < `degree` to its remainder. */
static uint64_t reduce(uint64_t lo, uint64_t hi, unsigned degree) {
    if (degree == 64) {
        const uint64_t over = hi >> 60 ^ hi >> 61 ^ hi >> 63;
        hi ^= over;
        return lo ^ hi ^ hi << 1 ^ hi << 3 ^ hi << 4;
    }
    unsigned count;
    const uint8_t *tap = taps(degree, &count);
    for (unsigned i = 2 * degree - 2; i >= degree; i--)
        for (unsigned k = 0; k < count; k++)
            lo ^= (lo >> i & 1) << (i - degree + tap[k]);
    return lo & ((1ULL << degree) - 1);
}

static uint64_t field_mul(unsigned degree, uint64_t a, uint64_t b) {
    uint64_t z[2];
    if (has_clmul())
        clmul_fast(z, a, b);
    else
        clmul_plain(z, a, b);
    return reduce(z[0], z[1], degree);
}

/* ---- elements ---- */

void dzk_set(const dzk_field *f, uint64_t *d, uint64_t word) {
    memset(d, 0, f->words * 8);
    d[0] = word;
}

void dzk_point(const dzk_field *f, uint64_t *d, uint64_t random) {
    if (f->ring == DZK_BITS) {
        *d = f->degree == 64 ? random : random & ((1ULL << f->degree) - 1);
        return;
    }
    for (unsigned i = 0; i < f->degree; i++)
        d[i] = random >> i & 1;
}

void dzk_accumulate(const dzk_field *f, uint64_t *d, const uint64_t *a) {
    for (size_t i = 0; i < f->words; i++)
        d[i] = f->ring == DZK_BITS ? d[i] ^ a[i] : d[i] + a[i];
}

void dzk_subtract(const dzk_field *f, uint64_t *d, const uint64_t *a) {
    for (size_t i = 0; i < f->words; i++)
        d[i] = f->ring == DZK_BITS ? d[i] ^ a[i] : d[i] - a[i];
}

/* t: 2 degree - 1 coefficients. */
static void fold_high(const dzk_field *f, uint64_t *d, uint64_t *t) {
    unsigned count;
    const uint8_t *tap = taps(f->degree, &count);
    for (unsigned i = 2 * f->degree - 2; i >= f->degree; i--)
        for (unsigned k = 0; k < count; k++)
            t[i - f->degree + tap[k]] -= t[i];
    memcpy(d, t, f->degree * 8);
}

REP3_KERNEL static void add_scaled(uint64_t *restrict t, const uint64_t *restrict a, uint64_t b,
                                   unsigned n) {
    for (unsigned i = 0; i < n; i++)
        t[i] += a[i] * b;
}

void dzk_mul(const dzk_field *f, uint64_t *d, const uint64_t *a, const uint64_t *b) {
    if (f->ring == DZK_BITS) {
        *d = field_mul(f->degree, *a, *b);
        return;
    }
    uint64_t t[2 * DZK_MAX_DEGREE] = {0};
    for (unsigned i = 0; i < f->degree; i++)
        add_scaled(t + i, a, b[i], f->degree);
    fold_high(f, d, t);
    prg_wipe(t, sizeof t);
}

void dzk_inner(const dzk_field *f, uint64_t *d, const uint64_t *p, const uint64_t *q, size_t n) {
    if (f->ring == DZK_BITS) {
        uint64_t z[2] = {0, 0};
        if (has_clmul()) {
            inner_fast(z, p, q, n);
        } else {
            for (size_t i = 0; i < n; i++) {
                uint64_t one[2];
                clmul_plain(one, p[i], q[i]);
                z[0] ^= one[0];
                z[1] ^= one[1];
            }
        }
        *d = reduce(z[0], z[1], f->degree);
        return;
    }
    const size_t e = f->degree;
    uint64_t z[DZK_MAX_DEGREE * DZK_MAX_DEGREE], t[2 * DZK_MAX_DEGREE] = {0};
    f->base->gemm(z, p, q, &(ring_gemm){e, n, e, 1, 0}, 0, f->pool);
    for (size_t i = 0; i < e; i++)
        for (size_t j = 0; j < e; j++)
            t[i + j] += z[i * e + j];
    fold_high(f, d, t);
    prg_wipe(z, sizeof z);
    prg_wipe(t, sizeof t);
}

void dzk_differences(const dzk_field *f, uint64_t *p, size_t half) {
    uint64_t *upper = p + half * f->words;
    if (f->ring == DZK_BITS)
        for (size_t i = 0; i < half; i++)
            upper[i] ^= p[i];
    else
        f->base->sub(upper, upper, p, half * f->words);
}

void dzk_bind(const dzk_field *f, uint64_t *p, size_t half, const uint64_t *r) {
    const uint64_t *upper = p + half * f->words;
    if (f->ring == DZK_BITS) {
        for (size_t i = 0; i < half; i++)
            p[i] ^= field_mul(f->degree, upper[i], *r);
        return;
    }
    const size_t e = f->degree; /* rows of the matrix: r x^i */
    uint64_t z[DZK_MAX_DEGREE * DZK_MAX_DEGREE], x[DZK_MAX_DEGREE] = {0, 1};
    memcpy(z, r, e * 8);
    for (size_t i = 1; i < e; i++)
        dzk_mul(f, z + i * e, z + (i - 1) * e, x);
    f->base->gemm(p, upper, z, &(ring_gemm){half, e, e, 0, 0}, 1, f->pool);
}

/* ---- many base elements ---- */

/* d ^= take ? v : 0, bit by bit of 64 elements: d[i] ^= v if bit i of x. */
REP3_KERNEL static void spread(uint64_t *restrict d, uint64_t x, uint64_t v) {
    for (unsigned i = 0; i < 64; i++)
        d[i] ^= (0 - (x >> i & 1)) & v;
}

/* The same with eight elements an instruction. */
#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void
compress_512(uint64_t *d, const uint64_t *x, size_t rows, size_t words, const uint64_t *lambda) {
    for (size_t w = 0; w < words; w++) {
        __m512i acc[8];
        for (unsigned k = 0; k < 8; k++)
            acc[k] = _mm512_setzero_si512();
        for (size_t l = 0; l < rows; l++) {
            const uint64_t bits = x[l * words + w];
            const __m512i v = _mm512_set1_epi64((long long)lambda[l]);
            for (unsigned k = 0; k < 8; k++)
                acc[k] = _mm512_mask_xor_epi64(acc[k], (__mmask8)(bits >> 8 * k), acc[k], v);
        }
        for (unsigned k = 0; k < 8; k++)
            _mm512_storeu_si512(d + 64 * w + 8 * k, acc[k]);
    }
}

__attribute__((target("avx512f"))) static uint64_t weighted_512(const uint64_t *x, size_t words,
                                                                const uint64_t *weight) {
    __m512i acc[8];
    for (unsigned k = 0; k < 8; k++)
        acc[k] = _mm512_setzero_si512();
    for (size_t w = 0; w < words; w++)
        for (unsigned k = 0; k < 8; k++)
            acc[k] = _mm512_mask_xor_epi64(acc[k], (__mmask8)(x[w] >> 8 * k), acc[k],
                                           _mm512_loadu_si512(weight + 64 * w + 8 * k));
    uint64_t lane[8], sum = 0;
    for (unsigned k = 1; k < 8; k++)
        acc[0] = _mm512_xor_si512(acc[0], acc[k]);
    _mm512_storeu_si512(lane, acc[0]);
    for (unsigned k = 0; k < 8; k++)
        sum ^= lane[k];
    return sum;
}

static int has_512(void) {
    return __builtin_cpu_supports("avx512f");
}
#else
static int has_512(void) {
    return 0;
}
static void compress_512(uint64_t *d, const uint64_t *x, size_t rows, size_t words,
                         const uint64_t *lambda) {
    (void)d, (void)x, (void)rows, (void)words, (void)lambda;
}
static uint64_t weighted_512(const uint64_t *x, size_t words, const uint64_t *weight) {
    (void)x, (void)words, (void)weight;
    return 0;
}
#endif

/* Sum of the weights of the bits that are set. */
static uint64_t weighted_bits(const uint64_t *x, size_t words, const uint64_t *weight) {
    if (has_512())
        return weighted_512(x, words, weight);
    uint64_t sum = 0;
    for (size_t w = 0; w < words; w++)
        for (unsigned i = 0; i < 64; i++)
            sum ^= (0 - (x[w] >> i & 1)) & weight[64 * w + i];
    return sum;
}

void dzk_compress(const dzk_field *f, uint64_t *d, const uint64_t *x, size_t rows, size_t words,
                  const uint64_t *lambda) {
    if (f->ring == DZK_WORDS) {
        f->base->gemm(d, x, lambda, &(ring_gemm){words, rows, f->words, 1, 0}, 0, f->pool);
        return;
    }
    if (has_512()) {
        compress_512(d, x, rows, words, lambda);
        return;
    }
    memset(d, 0, 64 * words * 8);
    for (size_t w = 0; w < words; w++)
        for (size_t l = 0; l < rows; l++)
            spread(d + 64 * w, x[l * words + w], lambda[l]);
}

void dzk_weigh(const dzk_field *f, uint64_t *p, const uint64_t *weight, size_t n) {
    if (f->ring == DZK_BITS) {
        for (size_t i = 0; i < n; i++) {
            uint64_t w;
            dzk_point(f, &w, weight[i]);
            p[i] = field_mul(f->degree, p[i], w);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) { /* weights are public */
        uint64_t t[2 * DZK_MAX_DEGREE] = {0}, *element = p + i * f->words;
        for (unsigned k = 0; k < f->degree; k++)
            if (weight[i] >> k & 1)
                add_scaled(t + k, element, 1, f->degree);
        fold_high(f, element, t);
    }
}

enum { PIECE = 32 }; /* elements of Z_2^64, or words of bits, that are evaluated at a time */

typedef struct {
    uint64_t x[4][DZK_MAX_POINTS * PIECE], spare[DZK_MAX_POINTS * PIECE];
    uint64_t w[PIECE * DZK_MAX_DEGREE];
} evaluation;

REP3_KERNEL static void extend_words(uint64_t *restrict d, const uint64_t *restrict u, size_t s) {
    for (size_t k = 0; k < s; k++) {
        d[k] = u[k];
        d[s + k] = u[s + k];
        d[2 * s + k] = u[s + k] - u[k];
    }
}

REP3_KERNEL static void extend_bits(uint64_t *restrict d, const uint64_t *restrict u, size_t s) {
    for (size_t k = 0; k < s; k++) {
        d[k] = u[k];
        d[s + k] = u[s + k];
        d[2 * s + k] = u[s + k] ^ u[k];
    }
}

/* Rows of a piece: from {0, 1}^kappa to {0, 1, inf}^kappa. n words each. */
static void extend_rows(uint64_t *x, uint64_t *spare, unsigned kappa, size_t n, int bits) {
    size_t s = n;
    uint64_t *from = x, *to = spare;
    for (unsigned j = 0; j < kappa; j++, s *= 3) {
        for (size_t hi = 0; hi < (size_t)1 << (kappa - j - 1); hi++)
            (bits ? extend_bits : extend_words)(to + 3 * hi * s, from + 2 * hi * s, s);
        uint64_t *other = from;
        from = to;
        to = other;
    }
    if (from != x)
        memcpy(x, from, s * 8);
}

REP3_KERNEL static void cross_words(uint64_t *restrict a, const uint64_t *restrict b,
                                    const uint64_t *restrict a2, const uint64_t *restrict b2,
                                    size_t n) {
    for (size_t i = 0; i < n; i++)
        a[i] = a[i] * b2[i] + a2[i] * b[i];
}

REP3_KERNEL static void cross_bits(uint64_t *restrict a, const uint64_t *restrict b,
                                   const uint64_t *restrict a2, const uint64_t *restrict b2,
                                   size_t n) {
    for (size_t i = 0; i < n; i++)
        a[i] = (a[i] & b2[i]) ^ (a2[i] & b[i]);
}

/* The weights of a piece as elements, one a row. */
static void spell_weights(const dzk_field *f, uint64_t *w, const uint64_t *weight, size_t n) {
    for (size_t i = 0; i < n; i++)
        dzk_point(f, w + i * f->words, weight[i]);
}

int dzk_evaluate(const dzk_field *f, uint64_t *g, uint64_t *const x[4], unsigned kappa,
                 size_t words, const uint64_t *weight) {
    const int bits = f->ring == DZK_BITS;
    const size_t rows = (size_t)1 << kappa;
    size_t points = 1;
    for (unsigned j = 0; j < kappa; j++)
        points *= 3;
    evaluation *e = malloc(sizeof *e);
    if (!e)
        return -1;
    for (size_t at = 0, n; at < words; at += n) {
        n = words - at < PIECE ? words - at : PIECE;
        for (unsigned k = 0; k < 4; k++) {
            for (size_t l = 0; l < rows; l++)
                memcpy(e->x[k] + l * n, x[k] + l * words + at, n * 8);
            extend_rows(e->x[k], e->spare, kappa, n, bits);
        }
        if (bits) {
            cross_bits(e->x[0], e->x[1], e->x[2], e->x[3], points * n);
            for (size_t l = 0; l < points; l++)
                g[l] ^= weighted_bits(e->x[0] + l * n, n, weight + 64 * at);
        } else {
            cross_words(e->x[0], e->x[1], e->x[2], e->x[3], points * n);
            spell_weights(f, e->w, weight + at, n);
            f->base->gemm(g, e->x[0], e->w, &(ring_gemm){points, n, f->words, 0, 0}, 1, f->pool);
        }
    }
    prg_wipe(e, sizeof *e);
    free(e);
    return 0;
}

void dzk_weighted_rows(const dzk_field *f, uint64_t *g, const uint64_t *c, size_t rows,
                       size_t words, const uint64_t *weight) {
    uint64_t w[PIECE * DZK_MAX_DEGREE], piece[PIECE << DZK_MAX_KAPPA];
    memset(g, 0, rows * f->words * 8);
    if (f->ring == DZK_BITS) {
        for (size_t l = 0; l < rows; l++)
            g[l] = weighted_bits(c + l * words, words, weight);
        return;
    }
    for (size_t at = 0, n; at < words; at += n) {
        n = words - at < PIECE ? words - at : PIECE;
        spell_weights(f, w, weight + at, n);
        for (size_t l = 0; l < rows; l++)
            memcpy(piece + l * n, c + l * words + at, n * 8);
        f->base->gemm(g, piece, w, &(ring_gemm){rows, n, f->words, 0, 0}, 1, f->pool);
    }
    prg_wipe(piece, sizeof piece);
}

void dzk_coefficients(const dzk_field *f, uint64_t *g, unsigned kappa) {
    size_t points = 1, stride = 1;
    for (unsigned j = 0; j < kappa; j++)
        points *= 3;
    for (unsigned j = 0; j < kappa; j++, stride *= 3)
        for (size_t e = 0; e < points; e++)
            if (e / stride % 3 == 1) {
                uint64_t *mid = g + e * f->words;
                dzk_subtract(f, mid, g + (e - stride) * f->words);
                dzk_subtract(f, mid, g + (e + stride) * f->words);
            }
}

void dzk_tensor(const dzk_field *f, uint64_t *d, unsigned kappa, unsigned base,
                const uint64_t *parts) {
    size_t size = 1;
    dzk_set(f, d, 1);
    for (unsigned j = 0; j < kappa; j++, size *= base)
        for (size_t i = size * base; i-- > 0;)
            dzk_mul(f, d + i * f->words, d + i % size * f->words,
                    parts + (j * base + i / size) * f->words);
}
