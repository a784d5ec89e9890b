/* The rings of distributed proofs: the Galois ring of degree 48 over Z_2^64, whose elements are
 * vectors of words so that everything is a matrix product over Z_2^64, and the field of 2^64
 * elements over bits. */

#include "dzk.h"

#include <stdlib.h>

#include "dzk_gf.h"
#include "dzk_gr.h"

void dzk_field_init(dzk_field *f, const seq_env *env, unsigned ring, unsigned degree) {
    *f = (dzk_field){.ring = ring,
                     .degree = degree,
                     .words = ring == DZK_WORDS ? degree : 1,
                     .base = env->ring,
                     .pool = env->pool};
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
    const uint8_t *tap = dzk_taps(f->degree, &count);
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
        *d = gf_mul(f->degree, *a, *b);
        return;
    }
    uint64_t t[2 * DZK_MAX_DEGREE] = {0};
    for (unsigned i = 0; i < f->degree; i++)
        add_scaled(t + i, a, b[i], f->degree);
    fold_high(f, d, t);
    prg_wipe(t, sizeof t);
}

enum { BLOCK = 64 }; /* elements that are worked on at a time, so that they stay near */

/* Sums of products of coefficients: all, or of halves of the elements: the lower ones, the upper
 * ones, their sums [KaratsubaOfman1962]. */
typedef union {
    uint64_t all[DZK_MAX_DEGREE * DZK_MAX_DEGREE], part[3][GR_HALF * GR_HALF];
} outer;

static void add_halves(uint64_t *d, const uint64_t *a, size_t n) {
    for (size_t m = 0; m < n; m++)
        for (size_t i = 0; i < GR_HALF; i++)
            d[m * GR_HALF + i] = a[m * GR_DEGREE + i] + a[m * GR_DEGREE + GR_HALF + i];
}

/* n <= BLOCK elements. */
static void add_outer(const dzk_field *f, outer *z, const uint64_t *a, const uint64_t *b,
                      size_t n) {
    if (!gr_fast(f->degree)) {
        f->base->gemm(z->all, &(ring_term){a, b}, 1, &(ring_gemm){f->degree, n, f->degree, 1, 0}, 1,
                      f->pool);
        return;
    }
    uint64_t sum[2][BLOCK * GR_HALF];
    add_halves(sum[0], a, n);
    add_halves(sum[1], b, n);
    for (size_t i = 0; i < GR_HALF; i += GR_ROWS) {
        const size_t at = i * GR_HALF, upper = GR_HALF + i;
        gr_tile(z->part[0] + at, GR_HALF, a + i, GR_DEGREE, 1, b, GR_DEGREE, n);
        gr_tile(z->part[1] + at, GR_HALF, a + upper, GR_DEGREE, 1, b + GR_HALF, GR_DEGREE, n);
        gr_tile(z->part[2] + at, GR_HALF, sum[0] + i, GR_HALF, 1, sum[1], GR_HALF, n);
    }
    prg_wipe(sum, sizeof sum);
}

static void gather(const dzk_field *f, uint64_t *d, outer *z) {
    const size_t e = f->degree;
    uint64_t t[2 * DZK_MAX_DEGREE] = {0};
    if (gr_fast(f->degree)) {
        for (size_t i = 0; i < GR_HALF; i++)
            for (size_t j = 0; j < GR_HALF; j++) {
                const size_t at = i * GR_HALF + j;
                const uint64_t lo = z->part[0][at], hi = z->part[1][at];
                t[i + j] += lo;
                t[i + j + GR_HALF] += z->part[2][at] - lo - hi;
                t[i + j + 2 * GR_HALF] += hi;
            }
    } else {
        for (size_t i = 0; i < e; i++)
            for (size_t j = 0; j < e; j++)
                t[i + j] += z->all[i * e + j];
    }
    fold_high(f, d, t);
    prg_wipe(z, sizeof *z);
    prg_wipe(t, sizeof t);
}

void dzk_inner(const dzk_field *f, uint64_t *d, const uint64_t *p, const uint64_t *q, size_t n) {
    if (f->ring == DZK_BITS) {
        *d = gf_inner(f->degree, p, q, n);
        return;
    }
    outer z;
    memset(&z, 0, sizeof z);
    for (size_t at = 0; at < n; at += BLOCK)
        add_outer(f, &z, p + at * f->words, q + at * f->words, n - at < BLOCK ? n - at : BLOCK);
    gather(f, d, &z);
}

void dzk_halves(const dzk_field *f, uint64_t *g, const uint64_t *p, const uint64_t *q,
                size_t half) {
    if (f->ring == DZK_BITS) {
        gf_halves(f->degree, g, p, q, half);
        return;
    }
    const size_t e = f->degree;
    outer z[2];
    uint64_t d[2][BLOCK * DZK_MAX_DEGREE];
    memset(z, 0, sizeof z);
    for (size_t at = 0, n; at < half; at += n) {
        n = half - at < BLOCK ? half - at : BLOCK;
        const uint64_t *a = p + at * e, *b = q + at * e;
        f->base->sub(d[0], a + half * e, a, n * e);
        f->base->sub(d[1], b + half * e, b, n * e);
        add_outer(f, &z[0], a, b, n);
        add_outer(f, &z[1], d[0], d[1], n);
    }
    gather(f, g, &z[0]);
    gather(f, g + e, &z[1]);
    prg_wipe(d, sizeof d);
}

/* The word that names a point. */
static uint64_t name_of(const dzk_field *f, const uint64_t *point) {
    uint64_t word = 0;
    for (unsigned i = 0; i < f->degree; i++)
        word |= point[i] << i;
    return word;
}

void dzk_bind(const dzk_field *f, uint64_t *p, size_t half, const uint64_t *r) {
    if (f->ring == DZK_BITS) {
        gf_bind(f->degree, p, half, *r);
        return;
    }
    if (gr_fast(f->degree)) {
        gr_bind(p, half, name_of(f, r));
        return;
    }
    const size_t e = f->degree; /* rows of the matrix: r x^i */
    uint64_t z[DZK_MAX_DEGREE * DZK_MAX_DEGREE], x[DZK_MAX_DEGREE] = {0, 1};
    uint64_t d[BLOCK * DZK_MAX_DEGREE];
    memcpy(z, r, e * 8);
    for (size_t i = 1; i < e; i++)
        dzk_mul(f, z + i * e, z + (i - 1) * e, x);
    for (size_t at = 0, n; at < half; at += n) {
        n = half - at < BLOCK ? half - at : BLOCK;
        uint64_t *a = p + at * e;
        f->base->sub(d, a + half * e, a, n * e);
        f->base->gemm(a, &(ring_term){d, z}, 1, &(ring_gemm){n, e, e, 0, 0}, 1, f->pool);
    }
    prg_wipe(d, sizeof d);
}

/* ---- many base elements ---- */

enum { LANES = DZK_LANES, PIECE = 4 * LANES }; /* columns that are evaluated at a time */

#define INLINE static inline __attribute__((always_inline))

const uint64_t dzk_zeros[DZK_LANES << DZK_MAX_KAPPA];

void dzk_compress(const dzk_field *f, uint64_t *d, dzk_tiles tiles, size_t rows, size_t words,
                  const uint64_t *lambda) {
    const size_t e = f->words, each = f->ring == DZK_BITS ? 64 : e;
    for (size_t at = 0; at < words; at += LANES) {
        const uint64_t *x = tiles[at / LANES];
        if (x == dzk_zeros) {
            memset(d + at * each, 0, LANES * each * 8);
        } else if (f->ring == DZK_BITS) {
            gf_compress(d + 64 * at, x, rows, LANES, lambda);
        } else if (gr_fast(f->degree)) {
            memset(d + at * e, 0, LANES * e * 8);
            for (size_t c = 0; c < e; c += GR_HALF)
                gr_tile(d + at * e + c, e, x, LANES, 1, lambda + c, e, rows);
        } else {
            f->base->gemm(d + at * e, &(ring_term){x, lambda}, 1,
                          &(ring_gemm){LANES, rows, e, 1, 0}, 0, f->pool);
        }
    }
}

void dzk_weigh(const dzk_field *f, uint64_t *p, const uint64_t *weight, size_t n) {
    if (f->ring == DZK_BITS) {
        gf_weigh(f->degree, p, n / 64, weight);
        return;
    }
    if (gr_fast(f->degree)) {
        gr_weigh(p, weight, n);
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

enum { LOW = DZK_MAX_KAPPA / 2, LOW_ROWS = 1 << LOW, LOW_POINTS = 27 };
_Static_assert(DZK_MAX_POINTS == LOW_POINTS * LOW_POINTS, "half of the variables are low");

typedef uint64_t lane __attribute__((vector_size(8 * LANES)));

typedef struct {
    lane upper[4][LOW_POINTS * LOW_ROWS]; /* extended in the upper variables */
    lane x[4][LOW_POINTS], spare[LOW_POINTS];
    uint64_t f[DZK_MAX_POINTS * PIECE];
} evaluation;

/* Rows from {0, 1}^vars to {0, 1, inf}^vars, vars <= LOW. */
INLINE void extend(lane *x, lane *spare, unsigned vars, int bits) {
    lane *from = x, *to = spare;
    size_t s = 1;
    _Pragma("GCC unroll 3") for (unsigned j = 0; j < vars; j++, s *= 3) {
        for (size_t hi = 0; hi < (size_t)1 << (vars - j - 1); hi++)
            _Pragma("GCC unroll 9") for (size_t k = 0; k < s; k++) {
                const lane u = from[2 * hi * s + k], v = from[(2 * hi + 1) * s + k];
                to[3 * hi * s + k] = u;
                to[(3 * hi + 1) * s + k] = v;
                to[(3 * hi + 2) * s + k] = bits ? u ^ v : v - u;
            }
        lane *other = from;
        from = to;
        to = other;
    }
    for (size_t k = 0; from != x && k < s; k++)
        x[k] = from[k];
}

/* f = (a b' + a' b), or a b' if `one`, at all points of the columns of a tile. */
INLINE void evaluate(evaluation *e, uint64_t *f, const dzk_tiles x[4], size_t tile, unsigned kappa,
                     int bits, int one) {
    const unsigned low = kappa < LOW ? kappa : LOW, up = kappa - low;
    size_t low_points = 1, up_points = 1;
    for (unsigned j = 0; j < kappa; j++)
        *(j < low ? &low_points : &up_points) *= 3;
    for (unsigned k = 0; k < 4; k += one ? 3 : 1)
        for (size_t l = 0; l < (size_t)1 << low; l++) {
            for (size_t h = 0; h < (size_t)1 << up; h++)
                memcpy(&e->x[0][h], x[k][tile] + (h << low | l) * LANES, sizeof(lane));
            extend(e->x[0], e->spare, up, bits);
            for (size_t h = 0; h < up_points; h++)
                e->upper[k][h << low | l] = e->x[0][h];
        }
    for (size_t h = 0; h < up_points; h++) {
        for (unsigned k = 0; k < 4; k += one ? 3 : 1) {
            for (size_t l = 0; l < (size_t)1 << low; l++)
                e->x[k][l] = e->upper[k][h << low | l];
            extend(e->x[k], e->spare, low, bits);
        }
        for (size_t l = 0; l < low_points; l++) {
            const lane a = e->x[0][l], b = e->x[1][l], a2 = e->x[2][l], b2 = e->x[3][l];
            const lane sum = one ? a * b2 : bits ? (a & b2) ^ (a2 & b) : a * b2 + a2 * b;
            memcpy(f + (h * low_points + l) * PIECE, &sum, sizeof sum);
        }
    }
}

/* Sizes are constants where much is to be done. */
REP3_KERNEL static void evaluate_words(evaluation *e, uint64_t *f, const dzk_tiles x[4],
                                       size_t tile, unsigned kappa) {
    const int one = x[1][tile] == dzk_zeros && x[2][tile] == dzk_zeros;
    if (kappa == 2 * LOW && one)
        evaluate(e, f, x, tile, 2 * LOW, 0, 1);
    else if (kappa == 2 * LOW)
        evaluate(e, f, x, tile, 2 * LOW, 0, 0);
    else
        evaluate(e, f, x, tile, kappa, 0, 0);
}

REP3_KERNEL static void evaluate_bits(evaluation *e, uint64_t *f, const dzk_tiles x[4], size_t tile,
                                      unsigned kappa) {
    if (kappa == 2 * LOW)
        evaluate(e, f, x, tile, 2 * LOW, 1, 0);
    else
        evaluate(e, f, x, tile, kappa, 1, 0);
}

/* g[row] += sum over m < n of x[row][m] times the point weight[m]; rows of x are `across` words
 * apart, what is past n in them may be anything. */
static void add_weighted(const dzk_field *f, uint64_t *g, const uint64_t *x, size_t rows,
                         size_t across, const uint64_t *weight, size_t n) {
    uint64_t w[PIECE * DZK_MAX_DEGREE];
    if (gr_fast(f->degree)) {
        gr_sums(g, x, across, rows, weight, n);
        return;
    }
    memset(w, 0, across * f->words * 8);
    for (size_t i = 0; i < n; i++)
        dzk_point(f, w + i * f->words, weight[i]);
    f->base->gemm(g, &(ring_term){x, w}, 1, &(ring_gemm){rows, across, f->words, 0, 0}, 1, f->pool);
}

int dzk_evaluate(const dzk_field *f, uint64_t *g, const dzk_tiles x[4], unsigned kappa,
                 size_t words, const uint64_t *weight) {
    const int bits = f->ring == DZK_BITS;
    size_t points = 1;
    for (unsigned j = 0; j < kappa; j++)
        points *= 3;
    evaluation *e = aligned_alloc(64, (sizeof *e + 63) / 64 * 64);
    if (!e)
        return -1;
    memset(e, 0, sizeof *e);
    for (size_t at = 0, n; at < words; at += n) {
        n = words - at < PIECE ? words - at : PIECE;
        for (size_t i = 0; i < n; i += LANES)
            (bits ? evaluate_bits : evaluate_words)(e, e->f + i, x, (at + i) / LANES, kappa);
        if (bits) {
            for (size_t l = 0; l < points; l++)
                g[l] ^= gf_weighted(f->degree, e->f + l * PIECE, n, weight + 64 / f->degree * at);
        } else {
            add_weighted(f, g, e->f, points, PIECE, weight + at, n);
        }
    }
    prg_wipe(e, sizeof *e);
    free(e);
    return 0;
}

void dzk_weighted_rows(const dzk_field *f, uint64_t *g, dzk_tiles tiles, size_t rows, size_t words,
                       const uint64_t *weight) {
    memset(g, 0, rows * f->words * 8);
    for (size_t at = 0; at < words; at += LANES) {
        const uint64_t *c = tiles[at / LANES];
        if (f->ring == DZK_BITS) {
            for (size_t l = 0; l < rows; l++)
                g[l] ^= gf_weighted(f->degree, c + l * LANES, LANES, weight + 64 / f->degree * at);
        } else {
            add_weighted(f, g, c, rows, LANES, weight + at, LANES);
        }
    }
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
