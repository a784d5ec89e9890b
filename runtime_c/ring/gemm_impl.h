/* Matrix products and convolutions over one ring and instruction set, as one blocked GEMM with
 * pluggable packing [GotoGeijn2008]. Before including it, define
 *   WORD            the word; TARGET the function attribute of the instruction set;
 *   INLINE          static, always inlined, for TARGET;
 *   MR, NR          rows and columns of a register tile;
 *   KC, MC          inner length and rows of a packed block: A's MC x KC words belong into L2, B's
 *                   KC x NR into L1;
 *   PARTIAL         words of the result that a thread may keep when the inner dimension is split;
 * and the functions
 *   kernel(kc, a, b, c, ldc, mr, nr, add): c[r ldc + j] (+)= sum over k < kc of a[k MR + r] b[k NR
 *   + j] for r < mr <= MR, j < nr <= NR; rows of a from mr on and columns of b from nr on are
 *   readable but undefined;
 *   transpose(d, ldd, s, lds, rows, cols): d[c ldd + r] = s[r lds + c] for r < rows, c < cols;
 *   copy_words(d, s, n) and add_words(d, s, n): d[i] = or += s[i] for i < n, inlined, for short n.
 *
 * ADD(a, b) is the sum of two words, + unless defined before.
 *
 * Packed blocks live on the stack of the thread (under 1 MiB) and are wiped: they hold shares. */

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "../par.h"
#include "../prg/prg.h"
#include "ring.h"

#define RING static TARGET void
#ifndef ADD
#define ADD(a, b) ((a) + (b))
#endif
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define SPLIT_WORK 500000 /* multiply-adds below which waking other threads does not pay */

/* Consecutive outputs of a convolution in one output row: those of columns at .. at + length - 1 of
 * a tile. Filter tap t reads x[base + t.offset + i * sw] for output i; inside: all taps do, for all
 * of them, and none reads padding. */
typedef struct {
    size_t at, length, image, oh, ow;
    ptrdiff_t base;
    int inside;
} run;

typedef struct {
    WORD a[MC * KC] __attribute__((aligned(64)));
    WORD b[KC * NR] __attribute__((aligned(64)));
    WORD tile[MR * NR] __attribute__((aligned(64)));
    WORD lines[NR * KC] __attribute__((aligned(64)));
    run runs[NR]; /* of the panel in b */
    size_t run_count;
} scratch;

/* D = the sum of A B over the terms: one product, of inner length count k, whose inner indices are
 * those of all terms one after another. A and B below are those of one term, from its operand. */
typedef struct job job;
struct job {
    size_t m, k, n;
    WORD *d;
    const ring_term *terms;
    size_t count;
    int flip;           /* A is made from b of a term, B from a */
    const WORD *packed; /* A, where all tasks use one packed before */
    int ta, tb;
    const ring_conv *c;
    int accumulate;
    /* d[i MR + r] = A[i0 + r][k0 + i] for r < rows <= MR, i < kc */
    void (*pack_a)(const job *, const WORD *a, WORD *d, size_t i0, size_t rows, size_t k0,
                   size_t kc);
    /* d[i NR + j] = B[k0 + i][j0 + j] for i < kc, j < cols <= NR; d lies in s->b */
    void (*pack_b)(const job *, const WORD *b, scratch *s, WORD *d, size_t k0, size_t kc, size_t j0,
                   size_t cols);
    /* Ask for part `part` of `of` of what pack_b is about to read; NULL: it does well without. */
    void (*fetch_b)(const job *, const WORD *b, size_t k0, size_t kc, size_t j0, size_t cols,
                    size_t part, size_t of);
    /* D[i0 + r][j0 + j] (+)= sum over kc of a[i MR + r] s->b[i NR + j] for r < mr, j < nr */
    void (*tile)(const job *, scratch *s, const WORD *a, size_t kc, size_t i0, size_t mr, size_t j0,
                 size_t nr, int add);
    pthread_mutex_t *lock; /* guards d when the inner dimension is split */
};

/* Size of the next block: what is left, cut into equal blocks of at most limit. */
static size_t block_size(size_t left, size_t limit) {
    size_t blocks = (left + limit - 1) / limit;
    return (left + blocks - 1) / blocks;
}

/* Of a block of inner indices of the sum: those of one term, from its index k on; `at` of the block
 * come before them. */
typedef struct {
    const ring_term *term;
    size_t at, k, length;
} piece;

static piece first_piece(const job *g, size_t k0, size_t kc) {
    const size_t k = k0 % g->k;
    piece p = {&g->terms[k0 / g->k], 0, k, MIN(kc, g->k - k)};
    return p;
}

static void next_piece(const job *g, piece *p, size_t kc) {
    p->at += p->length;
    p->term++;
    p->k = 0;
    p->length = MIN(kc - p->at, g->k);
}

/* Rows i to i + mc of A, in strips of h rows, for the kc inner indices from p on. */
RING pack_rows(const job *g, WORD *a, size_t i, size_t mc, size_t h, piece p, size_t kc) {
    for (; p.at < kc; next_piece(g, &p, kc)) {
        WORD *d = a + p.at * MR;
        for (size_t r = 0; r < mc; r += h, d += MR * KC)
            g->pack_a(g, g->flip ? p.term->b : p.term->a, d, i + r, MIN(mc - r, h), p.k, p.length);
    }
}

RING pack_columns(const job *g, scratch *s, piece p, size_t kc, size_t j, size_t nr) {
    for (; p.at < kc; next_piece(g, &p, kc))
        g->pack_b(g, g->flip ? p.term->a : p.term->b, s, s->b + p.at * NR, p.k, p.length, j, nr);
}

RING fetch_columns(const job *g, piece p, size_t kc, size_t j, size_t nr, size_t part, size_t of) {
    for (; p.at < kc; next_piece(g, &p, kc))
        g->fetch_b(g, g->flip ? p.term->a : p.term->b, p.k, p.length, j, nr, part, of);
}

/* The product restricted to rows [i0, i1), columns [j0, j1) and inner indices [k0, k1). */
RING block_product(const job *g, size_t i0, size_t i1, size_t j0, size_t j1, size_t k0, size_t k1) {
    scratch s;
    size_t used = 0;
    for (size_t i = i0, mc; i < i1; i += mc) {
        mc = block_size(i1 - i, MC);
        size_t h = block_size(mc, MR), strips = (mc + h - 1) / h;
        used = used > strips ? used : strips;
        for (size_t k = k0, kc; k < k1; k += kc) {
            kc = block_size(k1 - k, KC);
            const piece first = first_piece(g, k, kc);
            pack_rows(g, s.a, i, mc, h, first, kc);
            for (size_t j = j0, nr; j < j1; j += nr) {
                nr = MIN(j1 - j, (size_t)NR);
                pack_columns(g, &s, first, kc, j, nr);
                size_t next = j + nr < j1 && g->fetch_b ? MIN(j1 - j - nr, (size_t)NR) : 0;
                for (size_t r = 0; r < strips; r++) {
                    if (next)
                        fetch_columns(g, first, kc, j + nr, next, r, strips);
                    g->tile(g, &s, s.a + r * MR * KC, kc, i + r * h, MIN(mc - r * h, h), j, nr,
                            g->accumulate || k > k0);
                }
            }
        }
    }
    prg_wipe(s.a, used * MR * KC * sizeof(WORD));
    prg_wipe(s.b, offsetof(scratch, runs) - offsetof(scratch, b));
}

RING columns_task(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    block_product(g, 0, g->m, begin, end, 0, g->count * g->k);
}

RING rows_task(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    block_product(g, begin, end, 0, g->n, 0, g->count * g->k);
}

/* Inner indices [begin, end) into a partial result of its own, which is then added to d. */
RING inner_task(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    WORD partial[PARTIAL];
    size_t n = g->m * g->n;
    job part = *g;
    part.d = partial;
    part.accumulate = 0;
    block_product(&part, 0, g->m, 0, g->n, begin, end);
    pthread_mutex_lock(g->lock);
    for (size_t i = 0; i < n; i++)
        g->d[i] = ADD(g->d[i], partial[i]);
    pthread_mutex_unlock(g->lock);
    prg_wipe(partial, n * sizeof(WORD));
}

static size_t share_of(size_t n, unsigned threads, size_t grain) {
    size_t units = (n + grain - 1) / grain;
    return (units + threads - 1) / threads * grain;
}

/* columns: a multiple of as many columns belongs to one thread; 0: rows, columns or the inner
 * dimension of the plain row-major result may be split. */
RING run_job(job *g, size_t columns, seq_pool *pool) {
    unsigned threads = par_threads(pool);
    size_t inner = g->count * g->k, work = g->m * g->n * inner;
    if (threads == 1 || work < SPLIT_WORK) {
        block_product(g, 0, g->m, 0, g->n, 0, inner);
        return;
    }
    size_t longest = g->m > g->n ? g->m : g->n;
    if (columns) {
        par_for(pool, g->n, share_of(g->n, threads, columns), columns_task, g);
    } else if (inner >= 4 * longest && g->m * g->n <= PARTIAL) {
        pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        g->lock = &lock;
        if (!g->accumulate)
            memset(g->d, 0, g->m * g->n * sizeof(WORD));
        par_for(pool, inner, share_of(inner, threads, KC), inner_task, g);
        pthread_mutex_destroy(&lock);
    } else if (g->n >= g->m) {
        par_for(pool, g->n, share_of(g->n, threads, NR), columns_task, g);
    } else {
        par_for(pool, g->m, share_of(g->m, threads, MR), rows_task, g);
    }
}

/* ---- matrices ---- */

RING copy_rows(WORD *d, size_t ldd, const WORD *s, size_t lds, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; r++)
        copy_words(d + r * ldd, s + r * lds, cols);
}

RING matrix_pack_a(const job *g, const WORD *a, WORD *d, size_t i0, size_t rows, size_t k0,
                   size_t kc) {
    if (g->ta)
        copy_rows(d, MR, a + k0 * g->m + i0, g->m, kc, rows);
    else
        transpose(d, MR, a + i0 * g->k + k0, g->k, rows, kc);
}

RING matrix_pack_b(const job *g, const WORD *b, scratch *s, WORD *d, size_t k0, size_t kc,
                   size_t j0, size_t cols) {
    (void)s;
    if (g->tb)
        transpose(d, NR, b + j0 * g->k + k0, g->k, cols, kc);
    else
        copy_rows(d, NR, b + k0 * g->n + j0, g->n, kc, cols);
}

/* Ask for rows [rows part / of, rows (part + 1) / of) of n words each, into L2: a panel's rows lie
 * too far apart for the CPU to see them coming. A part goes with each tile, as few lines can be
 * waited for at a time. */
RING fetch_rows(const WORD *s, size_t lds, size_t rows, size_t n, size_t part, size_t of) {
    for (size_t r = rows * part / of; r < rows * (part + 1) / of; r++) {
        for (size_t i = 0; i < n; i += 64 / sizeof(WORD))
            __builtin_prefetch(s + r * lds + i, 0, 2);
        __builtin_prefetch(s + r * lds + n - 1, 0, 2);
    }
}

RING matrix_fetch_b(const job *g, const WORD *b, size_t k0, size_t kc, size_t j0, size_t cols,
                    size_t part, size_t of) {
    if (g->tb)
        fetch_rows(b + j0 * g->k + k0, g->k, cols, kc, part, of);
    else
        fetch_rows(b + k0 * g->n + j0, g->n, kc, cols, part, of);
}

RING matrix_tile(const job *g, scratch *s, const WORD *a, size_t kc, size_t i0, size_t mr,
                 size_t j0, size_t nr, int add) {
    kernel(kc, a, s->b, g->d + i0 * g->n + j0, g->n, mr, nr, add);
}

RING blocked_gemm(void *d, const ring_term *terms, size_t count, const ring_gemm *g, int accumulate,
                  seq_pool *pool) {
    job j = {.m = g->m,
             .k = g->k,
             .n = g->n,
             .d = d,
             .terms = terms,
             .count = count,
             .ta = g->ta,
             .tb = g->tb,
             .accumulate = accumulate,
             .pack_a = matrix_pack_a,
             .pack_b = matrix_pack_b,
             .fetch_b = matrix_fetch_b,
             .tile = matrix_tile};
    if (g->m == 0 || g->n == 0)
        return;
    if (g->k == 0 && !accumulate)
        memset(d, 0, g->m * g->n * sizeof(WORD));
    if (g->k)
        run_job(&j, 0, pool);
}

/* ---- convolutions: columns are (image, output row, output column) ---- */

static size_t image_size(const ring_conv *c) {
    return c->cin * c->h * c->w;
}
static size_t output_size(const ring_conv *c) {
    return c->oh * c->ow;
}
static size_t filter_size(const ring_conv *c) {
    return c->cin * c->kh * c->kw;
}

/* A filter tap and where it reads, relative to the first one. */
typedef struct {
    size_t channel, kh, kw;
    ptrdiff_t offset;
} tap;

static tap make_tap(const ring_conv *c, size_t channel, size_t kh, size_t kw) {
    tap t = {channel, kh, kw, (ptrdiff_t)((channel * c->h + kh) * c->w + kw)};
    return t;
}

/* Tap number f = (channel kh + y) kw + x, and the one after t. */
static tap tap_at(const ring_conv *c, size_t f) {
    return make_tap(c, f / (c->kh * c->kw), f / c->kw % c->kh, f % c->kw);
}

static void tap_next(const ring_conv *c, tap *t) {
    t->offset++;
    if (++t->kw < c->kw)
        return;
    if (t->kh + 1 < c->kh)
        *t = make_tap(c, t->channel, t->kh + 1, 0);
    else
        *t = make_tap(c, t->channel + 1, 0, 0);
}

static void run_place(const ring_conv *c, run *r, size_t left) {
    size_t y = r->oh * c->sh, x = r->ow * c->sw;
    r->length = MIN(left, c->ow - r->ow);
    r->base = ((ptrdiff_t)(r->image * c->cin * c->h + y) - (ptrdiff_t)c->ph) * (ptrdiff_t)c->w +
              (ptrdiff_t)x - (ptrdiff_t)c->pw;
    r->inside = y >= c->ph && y + c->kh <= c->h + c->ph && x >= c->pw &&
                x + (r->length - 1) * c->sw + c->kw <= c->w + c->pw;
}

/* The first run of the columns from j on, and the one that follows r among cols of them. */
static run run_at(const ring_conv *c, size_t j, size_t cols) {
    size_t p = j % output_size(c);
    run r = {0, 0, j / output_size(c), p / c->ow, p % c->ow, 0, 0};
    run_place(c, &r, cols);
    return r;
}

static void run_next(const ring_conv *c, run *r, size_t cols) {
    r->at += r->length;
    r->ow += r->length;
    if (r->ow == c->ow) {
        r->ow = 0;
        if (++r->oh == c->oh) {
            r->oh = 0;
            r->image++;
        }
    }
    if (r->at < cols)
        run_place(c, r, cols - r->at);
}

static void find_runs(const ring_conv *c, scratch *s, size_t j0, size_t cols) {
    run r = run_at(c, j0, cols);
    for (s->run_count = 0; r.at < cols; run_next(c, &r, cols))
        s->runs[s->run_count++] = r;
}

/* Outputs first <= i < last of a run read x through the tap; the others read padding. */
typedef struct {
    ptrdiff_t first, last;
} span;

static span find_span(const ring_conv *c, const run *r, const tap *t) {
    ptrdiff_t y = (ptrdiff_t)(r->oh * c->sh + t->kh) - (ptrdiff_t)c->ph;
    ptrdiff_t x = (ptrdiff_t)(r->ow * c->sw + t->kw) - (ptrdiff_t)c->pw;
    ptrdiff_t w = (ptrdiff_t)c->w, sw = (ptrdiff_t)c->sw, n = (ptrdiff_t)r->length;
    span s = {0, n};
    if (y < 0 || y >= (ptrdiff_t)c->h || x >= w)
        s.last = 0;
    else if (x + (n - 1) * sw >= w)
        s.last = sw == 1 ? w - x : (w - 1 - x) / sw + 1;
    if (x < 0)
        s.first = sw == 1 ? -x : (-x + sw - 1) / sw;
    s.first = MIN(s.first, s.last);
    return s;
}

/* d[i] = what the tap reads for output i of the run. */
INLINE void gather_run(const ring_conv *c, WORD *d, const WORD *x, const run *r, const tap *t) {
    ptrdiff_t from = r->base + t->offset, i = 0, n = (ptrdiff_t)r->length;
    if (r->inside && c->sw == 1) {
        copy_words(d, x + from, r->length);
        return;
    }
    span s = find_span(c, r, t);
    for (; i < s.first; i++)
        d[i] = 0;
    for (; i < s.last; i++)
        d[i] = x[from + i * (ptrdiff_t)c->sw];
    for (; i < n; i++)
        d[i] = 0;
}

/* The reverse: what the tap read for output i of the run += s[i]. */
INLINE void scatter_run(const ring_conv *c, WORD *x, const WORD *s, const run *r, const tap *t) {
    ptrdiff_t to = r->base + t->offset;
    if (r->inside && c->sw == 1) {
        add_words(x + to, s, r->length);
        return;
    }
    span p = find_span(c, r, t);
    for (ptrdiff_t i = p.first; i < p.last; i++)
        x[to + i * (ptrdiff_t)c->sw] = ADD(x[to + i * (ptrdiff_t)c->sw], s[i]);
}

/* Forward: D (O x columns) = w (O x CKK) times the columns of x (CKK x columns). */

RING conv_pack_b(const job *g, const WORD *x, scratch *s, WORD *d, size_t k0, size_t kc, size_t j0,
                 size_t cols) {
    const ring_conv *c = g->c;
    tap t = tap_at(c, k0);
    find_runs(c, s, j0, cols);
    for (size_t i = 0; i < kc; i++, tap_next(c, &t))
        for (size_t q = 0; q < s->run_count; q++)
            gather_run(c, d + i * NR + s->runs[q].at, x, &s->runs[q], &t);
}

/* The tile's columns lie one after another in an output image, unless it ends among them. */
RING conv_tile(const job *g, scratch *s, const WORD *a, size_t kc, size_t i0, size_t mr, size_t j0,
               size_t nr, int add) {
    const ring_conv *c = g->c;
    size_t p = output_size(c), at = j0 % p;
    WORD *d = g->d + (j0 / p * c->cout + i0) * p;
    if (at + nr <= p) {
        kernel(kc, a, s->b, d + at, p, mr, nr, add);
        return;
    }
    kernel(kc, a, s->b, s->tile, NR, mr, nr, 0);
    for (size_t j = 0; j < nr; j++) {
        for (size_t r = 0; r < mr; r++)
            d[r * p + at] = ADD(s->tile[r * NR + j], add ? d[r * p + at] : 0);
        if (++at == p) {
            at = 0;
            d += c->cout * p;
        }
    }
}

RING blocked_conv(void *d, const ring_term *terms, size_t count, const ring_conv *c, int accumulate,
                  seq_pool *pool) {
    size_t n = c->batch * output_size(c);
    job j = {.m = c->cout,
             .k = filter_size(c),
             .n = n,
             .d = d,
             .terms = terms,
             .count = count,
             .flip = 1,
             .c = c,
             .accumulate = accumulate,
             .pack_a = matrix_pack_a,
             .pack_b = conv_pack_b,
             .tile = conv_tile};
    if (j.m == 0 || j.n == 0)
        return;
    if (j.k == 0 && !accumulate)
        memset(d, 0, n * c->cout * sizeof(WORD));
    if (j.k)
        run_job(&j, NR, pool);
}

/* Gradient for x: the columns (CKK x columns) = w^T (CKK x O) times g (O x columns), each tile of
 * them added to where it came from. Rows are ordered with the channel fastest, so that neighbours
 * in a tile never touch the same words. */

static tap dx_tap(const ring_conv *c, size_t i) {
    size_t f = i / c->cin;
    return make_tap(c, i % c->cin, f / c->kw, f % c->kw);
}

RING dx_pack_a(const job *g, const WORD *w, WORD *d, size_t i0, size_t rows, size_t k0, size_t kc) {
    const ring_conv *c = g->c;
    for (size_t r = 0; r < rows; r++) {
        size_t i = i0 + r, f = i % c->cin * c->kh * c->kw + i / c->cin;
        for (size_t k = 0; k < kc; k++)
            d[k * MR + r] = w[(k0 + k) * g->m + f];
    }
}

RING dx_pack_b(const job *j, const WORD *g, scratch *s, WORD *d, size_t k0, size_t kc, size_t j0,
               size_t cols) {
    const ring_conv *c = j->c;
    size_t p = output_size(c);
    find_runs(c, s, j0, cols);
    for (size_t at = 0, length; at < cols; at += length) {
        size_t image = (j0 + at) / p, from = (j0 + at) % p;
        length = MIN(cols - at, p - from);
        copy_rows(d + at, NR, g + (image * c->cout + k0) * p + from, p, kc, length);
    }
}

RING dx_tile(const job *g, scratch *s, const WORD *a, size_t kc, size_t i0, size_t mr, size_t j0,
             size_t nr, int add) {
    const ring_conv *c = g->c;
    (void)j0;
    (void)add;
    kernel(kc, a, s->b, s->tile, NR, mr, nr, 0);
    for (size_t r = 0; r < mr; r++) {
        tap t = dx_tap(c, i0 + r);
        for (size_t q = 0; q < s->run_count; q++)
            scatter_run(c, g->d, s->tile + r * NR + s->runs[q].at, &s->runs[q], &t);
    }
}

RING blocked_conv_dx(void *d, const ring_term *terms, size_t count, const ring_conv *c,
                     int accumulate, seq_pool *pool) {
    job j = {.m = filter_size(c),
             .k = c->cout,
             .n = c->batch * output_size(c),
             .d = d,
             .terms = terms,
             .count = count,
             .flip = 1,
             .c = c,
             .pack_a = dx_pack_a,
             .pack_b = dx_pack_b,
             .tile = dx_tile};
    if (!accumulate)
        memset(d, 0, c->batch * image_size(c) * sizeof(WORD));
    if (j.m && j.k && j.n)
        run_job(&j, output_size(c), pool);
}

/* Gradient for w: D (O x CKK) = g (O x columns) times the columns of x, transposed (columns x CKK).
 */

RING dw_pack_a(const job *j, const WORD *g, WORD *d, size_t i0, size_t rows, size_t k0, size_t kc) {
    const ring_conv *c = j->c;
    size_t p = output_size(c);
    for (size_t at = 0, length; at < kc; at += length) {
        size_t image = (k0 + at) / p, from = (k0 + at) % p;
        length = MIN(kc - at, p - from);
        transpose(d + at * MR, MR, g + (image * c->cout + i0) * p + from, p, rows, length);
    }
}

RING dw_pack_b(const job *g, const WORD *x, scratch *s, WORD *d, size_t k0, size_t kc, size_t j0,
               size_t cols) {
    const ring_conv *c = g->c;
    for (run r = run_at(c, k0, kc); r.at < kc; run_next(c, &r, kc)) {
        tap t = tap_at(c, j0);
        for (size_t j = 0; j < cols; j++, tap_next(c, &t))
            gather_run(c, s->lines + j * KC + r.at, x, &r, &t);
    }
    transpose(d, NR, s->lines, KC, cols, kc);
}

RING blocked_conv_dw(void *d, const ring_term *terms, size_t count, const ring_conv *c,
                     int accumulate, seq_pool *pool) {
    job j = {.m = c->cout,
             .k = c->batch * output_size(c),
             .n = filter_size(c),
             .d = d,
             .terms = terms,
             .count = count,
             .c = c,
             .accumulate = accumulate,
             .pack_a = dw_pack_a,
             .pack_b = dw_pack_b,
             .tile = matrix_tile};
    if (j.m == 0 || j.n == 0)
        return;
    if (j.k == 0 && !accumulate)
        memset(d, 0, j.m * j.n * sizeof(WORD));
    if (j.k)
        run_job(&j, 0, pool);
}
