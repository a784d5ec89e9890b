/* Products of ring64_avx512.c that read their operands where they lie, without packing: narrow
 * matrices, and convolutions of stride 1 without padding whose output rows fill vectors. The
 * blocked GEMM takes all others. */

#define STEPS 4096    /* offsets kept on the stack */
#define WEIGHTS 32768 /* words of a filter kept on the stack */
#define DR 5          /* rows of either side of a tile of inner products */
#define BLOCK 96      /* vectors of such a tile's inner dimension that stay in L1 */

static TARGET __attribute__((noinline)) void direct_tile(size_t kc, const uint64_t *a, size_t lda,
                                                         const panel *p, const ptrdiff_t *step,
                                                         size_t ldc, size_t mr, int add) {
    int masked = 0;
    for (size_t v = 0; v < p->count; v++)
        masked |= p->mask[v] != 0xFF;
    if (masked)
        any_tile(kc, a, lda, p, step, ldc, mr, add, 1);
    else
        any_tile(kc, a, lda, p, step, ldc, mr, add, 0);
}

/* ---- inner products of rows ---- */

/* Vectors of an inner dimension: where they lie in rows of a and of b. */
typedef struct {
    size_t count;
    ptrdiff_t a[STEPS], b[STEPS];
    __mmask8 tail; /* the lanes of the last of them that count; all do in the others */
} steps;

/* The sums of the lanes of v[0], .., v[7]. */
INLINE __m512i lane_sums(const __m512i v[8]) {
    __m512i s[4], t[2];
    UNROLL for (int i = 0; i < 4; i++) s[i] =
        _mm512_add_epi64(_mm512_unpacklo_epi64(v[2 * i], v[2 * i + 1]),
                         _mm512_unpackhi_epi64(v[2 * i], v[2 * i + 1]));
    UNROLL for (int i = 0; i < 2; i++) t[i] =
        _mm512_add_epi64(_mm512_shuffle_i64x2(s[2 * i], s[2 * i + 1], 0x88),
                         _mm512_shuffle_i64x2(s[2 * i], s[2 * i + 1], 0xDD));
    return _mm512_add_epi64(_mm512_shuffle_i64x2(t[0], t[1], 0x88),
                            _mm512_shuffle_i64x2(t[0], t[1], 0xDD));
}

/* One more step, over the lanes of mask if masked. */
INLINE void dot_step(__m512i acc[32], const steps *s, size_t k, const uint64_t *const a[DR],
                     const uint64_t *const b[DR], const int mr, const int nr, const int masked) {
    __mmask8 mask = masked ? s->tail : 0xFF;
    __m512i bv[DR];
    UNROLL for (int j = 0; j < nr; j++) bv[j] = _mm512_maskz_loadu_epi64(mask, b[j] + s->b[k]);
    UNROLL for (int r = 0; r < mr; r++) {
        __m512i av = _mm512_maskz_loadu_epi64(mask, a[r] + s->a[k]);
        UNROLL for (int j = 0; j < nr; j++) acc[r * nr + j] = mul_add(acc[r * nr + j], av, bv[j]);
    }
}

/* d[r ldd + j] (+)= the inner product of rows a[r] and b[j], over the steps from first to last, for
 * r < mr, j < nr, both constants. */
INLINE void dot(const steps *s, size_t first, size_t last, const uint64_t *const a[DR],
                const uint64_t *const b[DR], uint64_t *d, size_t ldd, int add, const int mr,
                const int nr) {
    size_t whole = last - (last == s->count && s->tail != 0xFF);
    __m512i acc[32];
    uint64_t sums[32];
    _Pragma("GCC unroll 32") for (int i = 0; i < 32; i++) acc[i] = _mm512_setzero_si512();
    for (size_t k = first; k < whole; k++)
        dot_step(acc, s, k, a, b, mr, nr, 0);
    if (whole < last)
        dot_step(acc, s, whole, a, b, mr, nr, 1);
    UNROLL for (int i = 0; i < mr * nr; i += 8) _mm512_storeu_si512(sums + i, lane_sums(acc + i));
    UNROLL for (int r = 0; r < mr; r++) UNROLL for (int j = 0; j < nr; j++) {
        uint64_t *to = d + (size_t)r * ldd + j;
        *to = sums[r * nr + j] + (add ? *to : 0);
    }
}

#define DOT_COLUMNS(mr)                                                                            \
    case mr:                                                                                       \
        if (nr == 5)                                                                               \
            dot(s, first, last, a, b, d, ldd, add, mr, 5);                                         \
        else if (nr == 4)                                                                          \
            dot(s, first, last, a, b, d, ldd, add, mr, 4);                                         \
        else                                                                                       \
            for (size_t j = 0; j < nr; j++)                                                        \
                dot(s, first, last, a, b + j, d + j, ldd, add, mr, 1);                             \
        break

RING any_dot(const steps *s, size_t first, size_t last, const uint64_t *const a[DR],
             const uint64_t *const b[DR], uint64_t *d, size_t ldd, size_t mr, size_t nr, int add) {
    switch (mr) {
        DOT_COLUMNS(1);
        DOT_COLUMNS(2);
        DOT_COLUMNS(3);
        DOT_COLUMNS(4);
        DOT_COLUMNS(5);
    }
}

/* ---- matrices ---- */

/* op(a) and op(b) both have their inner dimension contiguous, and one of them has few rows. */
static int suits_dot(const ring_gemm *g) {
    return !g->ta && g->tb && g->k >= 64 && g->k <= 8 * STEPS && MIN(g->m, g->n) <= 32;
}

static void row_pointers(const uint64_t *p[DR], const uint64_t *a, size_t lda, size_t rows) {
    for (size_t r = 0; r < DR; r++)
        p[r] = a + (r < rows ? r : 0) * lda;
}

RING dot_rows(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    const uint64_t *a[DR], *b[DR];
    steps s;
    s.count = (g->k + 7) / 8;
    s.tail = (__mmask8)(0xFF >> (8 * s.count - g->k));
    for (size_t i = 0; i < s.count; i++)
        s.a[i] = s.b[i] = (ptrdiff_t)(8 * i);
    for (size_t k = 0, kc; k < s.count; k += kc) {
        kc = block_size(s.count - k, BLOCK);
        for (size_t i = begin, mr; i < end; i += mr) {
            mr = block_size(end - i, DR);
            row_pointers(a, g->a + i * g->k, g->k, mr);
            for (size_t j = 0, nr; j < g->n; j += nr) {
                nr = block_size(g->n - j, DR);
                row_pointers(b, g->b + j * g->k, g->k, nr);
                any_dot(&s, k, k + kc, a, b, g->d + i * g->n + j, g->n, mr, nr,
                        g->accumulate || k > 0);
            }
        }
    }
}

/* Few rows of op(a): rows of b are used too seldom to be worth packing. */
static int suits_rows(const ring_gemm *g) {
    return !g->tb && g->m <= 2 * MR && g->k > 0;
}

RING few_rows(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    uint64_t a[2 * MR * KC];
    ptrdiff_t step[KC];
    for (size_t k = 0; k < MIN(g->k, (size_t)KC); k++)
        step[k] = (ptrdiff_t)(k * g->n);
    for (size_t k = 0, kc; k < g->k; k += kc) {
        kc = block_size(g->k - k, KC);
        g->pack_a(g, a, 0, g->m, k, kc);
        for (size_t j = begin; j < end; j += NR) {
            panel p = make_panel(g->b + k * g->n + j, g->d + j, MIN(end - j, (size_t)NR));
            for (size_t r = 0; r < g->m; r += MR) {
                panel at = p;
                for (size_t v = 0; v < NR / 8; v++)
                    at.c[v] += r * g->n;
                direct_tile(kc, a + r * KC, KC, &at, step, g->n, MIN(g->m - r, (size_t)MR),
                            g->accumulate || k > 0);
            }
        }
    }
    prg_wipe(a, sizeof a);
}

RING split(seq_pool *pool, size_t n, size_t grain, par_fn fn, job *g) {
    if (par_threads(pool) == 1 || g->m * g->n * g->k < SPLIT_WORK)
        fn(g, 0, n);
    else
        par_for(pool, n, share_of(n, par_threads(pool), grain), fn, g);
}

RING any_gemm(void *d, const void *a, const void *b, const ring_gemm *g, int accumulate,
              seq_pool *pool) {
    job j = {.m = g->m,
             .k = g->k,
             .n = g->n,
             .d = d,
             .a = a,
             .b = b,
             .ta = g->ta,
             .accumulate = accumulate,
             .pack_a = matrix_pack_a};
    if (suits_dot(g))
        split(pool, g->m, DR, dot_rows, &j);
    else if (suits_rows(g))
        split(pool, g->n, NR, few_rows, &j);
    else
        blocked_gemm(d, a, b, g, accumulate, pool);
}

/* ---- convolutions: vectors of outputs of one output row ---- */

static size_t row_vectors(const ring_conv *c) {
    return (c->ow + 7) / 8;
}

static int suits_direct(const ring_conv *c) {
    return c->sw == 1 && c->ph == 0 && c->pw == 0 && 4 * c->ow >= 3 * 8 * row_vectors(c) &&
           filter_size(c) > 0 && c->cout > 0;
}

/* Vectors v, v + 1, v + 2 of an image, as far as there are any: read at offsets of one array and
 * added at those of another. Outputs lie at out, what their first tap reads at in. */
typedef struct {
    ptrdiff_t in, out;
    __mmask8 mask;
} vector;

static vector vector_at(const ring_conv *c, size_t v) {
    size_t y = v / row_vectors(c), x = 8 * (v % row_vectors(c));
    size_t n = MIN(c->ow - x, (size_t)8);
    vector at = {(ptrdiff_t)(y * c->sh * c->w + x), (ptrdiff_t)(y * c->ow + x),
                 (__mmask8)(0xFF >> (8 - n))};
    return at;
}

/* Tasks are panels of up to NR outputs. */
static size_t image_panels(const ring_conv *c) {
    return (c->oh * row_vectors(c) + NR / 8 - 1) / (NR / 8);
}

/* The panel of vectors i NR / 8 .. of an image; dx: they are read as outputs and added as inputs.
 */
static panel conv_panel(const ring_conv *c, size_t i, const uint64_t *b, uint64_t *d, int dx) {
    size_t first = i * (NR / 8), total = c->oh * row_vectors(c);
    panel p = {.count = MIN(total - first, (size_t)NR / 8)};
    for (size_t v = 0; v < p.count; v++) {
        vector at = vector_at(c, first + v);
        p.b[v] = b + (dx ? at.out : at.in);
        p.c[v] = d + (dx ? at.in : at.out);
        p.mask[v] = at.mask;
    }
    return p;
}

static void move_sums(panel *p, ptrdiff_t by) {
    for (size_t v = 0; v < p->count; v++)
        p->c[v] += by;
}

RING forward_panels(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    const ring_conv *c = g->c;
    ptrdiff_t step[STEPS];
    size_t outputs = output_size(c);
    tap t = tap_at(c, 0);
    for (size_t k = 0; k < g->k; k++, tap_next(c, &t))
        step[k] = t.offset;
    for (size_t u = begin; u < end; u++) {
        size_t image = u / image_panels(c);
        panel p = conv_panel(c, u % image_panels(c), g->b + image * image_size(c),
                             g->d + image * c->cout * outputs, 0);
        for (size_t r = 0, mr; r < c->cout; r += mr) {
            mr = block_size(c->cout - r, MR);
            direct_tile(g->k, g->a + r * g->k, g->k, &p, step, outputs, mr, g->accumulate);
            move_sums(&p, (ptrdiff_t)(mr * outputs));
        }
    }
}

RING any_conv(void *d, const void *x, const void *w, const ring_conv *c, int accumulate,
              seq_pool *pool) {
    job j = {.m = c->cout,
             .k = filter_size(c),
             .n = c->batch * output_size(c),
             .d = d,
             .a = w,
             .b = x,
             .c = c,
             .accumulate = accumulate};
    if (suits_direct(c) && j.k >= 64 && j.k <= STEPS) /* fewer: writing results takes longest */
        split(pool, c->batch * image_panels(c), 1, forward_panels, &j);
    else
        blocked_conv(d, x, w, c, accumulate, pool);
}

/* Gradient for x, by images. The filter is packed once, as rows (tap, channel), so that a tile of
 * neighbouring channels of one tap never adds to a word twice. */
RING dx_images(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    const ring_conv *c = g->c;
    ptrdiff_t step[STEPS];
    size_t outputs = output_size(c), plane = c->h * c->w;
    for (size_t k = 0; k < g->k; k++)
        step[k] = (ptrdiff_t)(k * outputs);
    for (size_t image = begin; image < end; image++) {
        uint64_t *d = g->d + image * image_size(c);
        if (!g->accumulate)
            memset(d, 0, image_size(c) * sizeof *d);
        for (size_t i = 0, mr; i < g->m; i += mr) {
            tap t = dx_tap(c, i);
            mr = MIN(block_size(c->cin, MR), c->cin - t.channel);
            for (size_t q = 0; q < image_panels(c); q++) {
                panel p = conv_panel(c, q, g->b + image * c->cout * outputs, d + t.offset, 1);
                direct_tile(g->k, g->a + i * g->k, g->k, &p, step, plane, mr, 1);
            }
        }
    }
}

RING any_conv_dx(void *d, const void *g, const void *w, const ring_conv *c, int accumulate,
                 seq_pool *pool) {
    uint64_t packed[WEIGHTS];
    job j = {.m = filter_size(c),
             .k = c->cout,
             .n = c->batch * output_size(c),
             .d = d,
             .a = w,
             .b = g,
             .c = c,
             .accumulate = accumulate};
    if (!suits_direct(c) || c->cin < MR / 2 || j.k > STEPS || j.m * j.k > WEIGHTS) {
        blocked_conv_dx(d, g, w, c, accumulate, pool);
        return;
    }
    for (size_t i = 0; i < j.m; i++) {
        size_t f = i % c->cin * c->kh * c->kw + i / c->cin;
        for (size_t k = 0; k < j.k; k++)
            packed[i * j.k + k] = j.a[k * j.m + f];
    }
    j.a = packed;
    split(pool, c->batch, 1, dx_images, &j);
    prg_wipe(packed, j.m * j.k * sizeof *packed);
}

/* Gradient for w: inner products of outputs and of what a tap reads, over as many images as stay in
 * L1 for DR channels; tasks are output channels. */
RING dw_rows(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    const ring_conv *c = g->c;
    size_t outputs = output_size(c), vectors = c->oh * row_vectors(c), images = BLOCK / vectors + 1;
    const uint64_t *a[DR], *b[DR];
    steps s;
    s.count = images * vectors;
    s.tail = 0xFF;
    for (size_t i = 0; i < s.count; i++) {
        vector at = vector_at(c, i % vectors);
        s.a[i] = (ptrdiff_t)(i / vectors * c->cout * outputs) + at.out;
        s.b[i] = (ptrdiff_t)(i / vectors * image_size(c)) + at.in;
    }
    for (size_t image = 0, ic; image < c->batch; image += ic) {
        ic = block_size(c->batch - image, images);
        const uint64_t *x = g->b + image * image_size(c);
        for (size_t i = begin, mr; i < end; i += mr) {
            mr = block_size(end - i, DR);
            row_pointers(a, g->a + (image * c->cout + i) * outputs, outputs, mr);
            for (size_t j = 0, nr; j < g->n; j += nr) {
                nr = block_size(g->n - j, DR);
                for (size_t k = 0; k < DR; k++)
                    b[k] = x + tap_at(c, j + (k < nr ? k : 0)).offset;
                any_dot(&s, 0, ic * vectors, a, b, g->d + i * g->n + j, g->n, mr, nr,
                        g->accumulate || image > 0);
            }
        }
    }
}

RING any_conv_dw(void *d, const void *g, const void *x, const ring_conv *c, int accumulate,
                 seq_pool *pool) {
    job j = {.m = c->cout,
             .k = c->batch * output_size(c),
             .n = filter_size(c),
             .d = d,
             .a = g,
             .b = x,
             .c = c,
             .accumulate = accumulate};
    if (suits_direct(c) && c->ow % 8 == 0 && c->batch && c->oh * row_vectors(c) + BLOCK <= STEPS)
        split(pool, c->cout, DR, dw_rows, &j);
    else
        blocked_conv_dw(d, g, x, c, accumulate, pool);
}

#define PRODUCT(name) any_##name
