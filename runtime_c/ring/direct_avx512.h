/* Products of ring64_avx512.c that read their operands where they lie, without packing: narrow
 * matrices, and convolutions of stride 1 without padding whose output rows fill vectors. The
 * blocked GEMM takes all others. */

#define STEPS 4096    /* addresses kept on the stack */
#define WEIGHTS 65536 /* words of a filter kept on the stack */
#define DR 5          /* rows of either side of a tile of inner products */
#define BLOCK 64      /* vectors of such a tile's inner dimension that stay in L1 */

static TARGET __attribute__((noinline)) void direct_tile(size_t kc, const uint64_t *a,
                                                         const uint64_t *const *rows,
                                                         const panel *p, size_t ldc, size_t mr,
                                                         int add) {
    int masked = 0;
    for (size_t v = 0; v < p->count; v++)
        masked |= p->mask[v] != 0xFF;
    if (masked)
        any_tile(kc, a, NULL, rows, p, ldc, mr, add, 1);
    else
        any_tile(kc, a, NULL, rows, p, ldc, mr, add, 0);
}

/* Ask for part `part` of `of` of n words that are needed soon, into L2: images of a batch lie
 * beyond it. A part goes with each tile, as a CPU waits for few lines at a time. */
static TARGET void fetch(const uint64_t *a, size_t n, size_t part, size_t of) {
    for (size_t i = n * part / of; i < n * (part + 1) / of; i += 8)
        _mm_prefetch((const char *)(a + i), _MM_HINT_T1);
}

/* The next tile of a panel. */
static void move_sums(panel *p, ptrdiff_t by) {
    for (size_t v = 0; v < p->count; v++)
        p->c[v] += by;
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
    uint64_t sums[32] __attribute__((aligned(64)));
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

static TARGET
    __attribute__((noinline)) void any_dot(const steps *s, size_t first, size_t last,
                                           const uint64_t *const a[DR], const uint64_t *const b[DR],
                                           uint64_t *d, size_t ldd, size_t mr, size_t nr, int add) {
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
    const uint64_t *x = g->terms->a, *y = g->terms->b, *a[DR], *b[DR];
    steps s;
    s.count = (g->k + 7) / 8;
    s.tail = (__mmask8)(0xFF >> (8 * s.count - g->k));
    for (size_t i = 0; i < s.count; i++)
        s.a[i] = s.b[i] = (ptrdiff_t)(8 * i);
    for (size_t k = 0, kc; k < s.count; k += kc) {
        kc = block_size(s.count - k, BLOCK);
        for (size_t i = begin, mr; i < end; i += mr) {
            mr = block_size(end - i, DR);
            row_pointers(a, x + i * g->k, g->k, mr);
            for (size_t j = 0, nr; j < g->n; j += nr) {
                nr = block_size(g->n - j, DR);
                row_pointers(b, y + j * g->k, g->k, nr);
                any_dot(&s, k, k + kc, a, b, g->d + i * g->n + j, g->n, mr, nr,
                        g->accumulate || k > 0);
            }
        }
    }
}

/* Few rows of op(a): rows of b are used too seldom to be worth packing. */
static int suits_rows(const ring_gemm *g) {
    return !g->tb && g->m > 0 && g->m <= 2 * MR && g->k > 0;
}

RING few_rows(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    uint64_t a[2 * MR * KC] __attribute__((aligned(64)));
    const uint64_t *rows[KC];
    size_t h = block_size(g->m, MR), inner = g->count * g->k;
    for (size_t k = 0, kc; k < inner; k += kc) {
        kc = block_size(inner - k, KC);
        pack_rows(g, a, 0, g->m, h, first_piece(g, k, kc), kc);
        for (size_t i = 0; i < kc; i++)
            rows[i] = (const uint64_t *)g->terms[(k + i) / g->k].b + (k + i) % g->k * g->n;
        for (size_t j = begin; j < end; j += NR) {
            panel p = make_panel(j, g->d + j, MIN(end - j, (size_t)NR));
            for (size_t r = 0; r < g->m; r += h) {
                direct_tile(kc, a + r / h * MR * KC, rows, &p, g->n, MIN(g->m - r, h),
                            g->accumulate || k > 0);
                move_sums(&p, (ptrdiff_t)(h * g->n));
            }
        }
    }
    prg_wipe(a, sizeof a);
}

RING split(seq_pool *pool, size_t n, size_t grain, par_fn fn, job *g) {
    if (par_threads(pool) == 1 || g->m * g->n * g->k * g->count < SPLIT_WORK)
        fn(g, 0, n);
    else
        par_for(pool, n, share_of(n, par_threads(pool), grain), fn, g);
}

/* Inner products: little is written, and two terms would not fit into L1. */
RING each_term(seq_pool *pool, size_t n, size_t grain, par_fn fn, const job *g) {
    for (size_t t = 0; t < g->count; t++) {
        job one = *g;
        one.terms = &g->terms[t];
        one.count = 1;
        one.accumulate = g->accumulate || t > 0;
        split(pool, n, grain, fn, &one);
    }
}

RING any_gemm(void *d, const ring_term *terms, size_t count, const ring_gemm *g, int accumulate,
              seq_pool *pool) {
    job j = {.m = g->m,
             .k = g->k,
             .n = g->n,
             .d = d,
             .terms = terms,
             .count = count,
             .ta = g->ta,
             .accumulate = accumulate,
             .pack_a = matrix_pack_a};
    if (suits_dot(g))
        each_term(pool, g->m, DR, dot_rows, &j);
    else if (suits_rows(g))
        split(pool, g->n, NR, few_rows, &j);
    else
        blocked_gemm(d, terms, count, g, accumulate, pool);
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

/* The panel of vectors i NR / 8 .. of an image that is read `from` words behind a row's begin and
 * added to d; dx: read as outputs and added as inputs. */
static panel conv_panel(const ring_conv *c, size_t i, size_t from, uint64_t *d, int dx) {
    size_t first = i * (NR / 8), total = c->oh * row_vectors(c);
    panel p = {.count = MIN(total - first, (size_t)NR / 8)};
    for (size_t v = 0; v < p.count; v++) {
        vector at = vector_at(c, first + v);
        p.at[v] = (ptrdiff_t)from + (dx ? at.out : at.in);
        p.c[v] = d + (dx ? at.in : at.out);
        p.mask[v] = at.mask;
    }
    return p;
}

/* What tap k of the filter reads, relative to the first. */
static void tap_offsets(const ring_conv *c, ptrdiff_t *offset) {
    tap t = tap_at(c, 0);
    for (size_t k = 0; k < filter_size(c); k++, tap_next(c, &t))
        offset[k] = t.offset;
}

/* Ask for the part of the next image, of `words` words `at` words behind, of every term. */
RING fetch_next(const job *g, size_t at, size_t words, size_t part, size_t of) {
    for (size_t t = 0; t < g->count; t++)
        fetch((const uint64_t *)g->terms[t].a + at, words, part, of);
}

RING forward_panels(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    const ring_conv *c = g->c;
    const uint64_t *rows[STEPS];
    ptrdiff_t offset[STEPS];
    size_t outputs = output_size(c), panels = image_panels(c), h = block_size(c->cout, MR);
    const size_t inner = g->count * g->k;
    tap_offsets(c, offset);
    for (size_t k = 0; k < inner; k++)
        rows[k] = (const uint64_t *)g->terms[k / g->k].a + offset[k % g->k];
    for (size_t u = begin; u < end; u++) {
        size_t image = u / panels;
        panel p =
            conv_panel(c, u % panels, image * image_size(c), g->d + image * c->cout * outputs, 0);
        const uint64_t *a = g->packed;
        if (u + panels < end) {
            fetch_next(g, (image + 1) * image_size(c), image_size(c), u % panels, panels);
            fetch(g->d + (image + 1) * c->cout * outputs, c->cout * outputs, u % panels, panels);
        }
        for (size_t r = 0; r < c->cout; r += h, a += MR * inner) {
            direct_tile(inner, a, rows, &p, outputs, MIN(c->cout - r, h), g->accumulate);
            move_sums(&p, (ptrdiff_t)(h * outputs));
        }
    }
}

RING any_conv(void *d, const ring_term *terms, size_t count, const ring_conv *c, int accumulate,
              seq_pool *pool) {
    uint64_t packed[WEIGHTS] __attribute__((aligned(64)));
    job j = {.m = c->cout,
             .k = filter_size(c),
             .n = c->batch * output_size(c),
             .d = d,
             .terms = terms,
             .count = count,
             .packed = packed,
             .c = c,
             .accumulate = accumulate};
    size_t h = c->cout ? block_size(c->cout, MR) : 1, inner = count * j.k;
    size_t words = (c->cout + h - 1) / h * MR * inner;
    if (!suits_direct(c) || inner < 48 || inner > STEPS || words > WEIGHTS) {
        blocked_conv(d, terms, count, c, accumulate, pool); /* short: results take longest */
        return;
    }
    for (size_t r = 0; r < c->cout; r += h)
        for (size_t t = 0; t < count; t++)
            matrix_pack_a(&j, terms[t].b, packed + (r / h * inner + t * j.k) * MR, r,
                          MIN(c->cout - r, h), 0, j.k);
    split(pool, c->batch * image_panels(c), 1, forward_panels, &j);
    prg_wipe(packed, words * sizeof *packed);
}

/* Gradient for x, by images. The filter is packed once, in strips of channels of one tap: a tile
 * never adds to a word twice. */
RING dx_images(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    const ring_conv *c = g->c;
    const uint64_t *rows[STEPS];
    size_t outputs = output_size(c), panels = image_panels(c), plane = c->h * c->w;
    const size_t h = block_size(c->cin, MR), inner = g->count * g->k, from = c->cout * outputs;
    for (size_t k = 0; k < inner; k++)
        rows[k] = (const uint64_t *)g->terms[k / g->k].a + k % g->k * outputs;
    for (size_t image = begin; image < end; image++) {
        uint64_t *d = g->d + image * image_size(c);
        if (!g->accumulate)
            memset(d, 0, image_size(c) * sizeof *d);
        for (size_t q = 0; q < panels; q++) {
            panel p = conv_panel(c, q, image * from, d, 1);
            const uint64_t *a = g->packed;
            for (size_t y = 0; y < c->kh; y++) {
                if (image + 1 < end) {
                    const size_t part = q * c->kh + y, of = panels * c->kh;
                    fetch_next(g, (image + 1) * from, from, part, of);
                    fetch(d + image_size(c), image_size(c), part, of);
                }
                for (size_t x = 0; x < c->kw; x++) {
                    panel at = p;
                    move_sums(&at, (ptrdiff_t)(y * c->w + x));
                    for (size_t r = 0; r < c->cin; r += h, a += MR * inner) {
                        direct_tile(inner, a, rows, &at, plane, MIN(c->cin - r, h), 1);
                        move_sums(&at, (ptrdiff_t)(h * plane));
                    }
                }
            }
        }
    }
}

RING any_conv_dx(void *d, const ring_term *terms, size_t count, const ring_conv *c, int accumulate,
                 seq_pool *pool) {
    uint64_t packed[WEIGHTS] __attribute__((aligned(64)));
    job j = {.m = filter_size(c),
             .k = c->cout,
             .n = c->batch * output_size(c),
             .d = d,
             .terms = terms,
             .count = count,
             .packed = packed,
             .c = c,
             .accumulate = accumulate};
    size_t h = c->cin ? block_size(c->cin, MR) : 1, inner = count * j.k;
    size_t words = c->kh * c->kw * ((c->cin + h - 1) / h) * MR * inner;
    if (!suits_direct(c) || c->cin < MR / 2 || inner > STEPS || words > WEIGHTS) {
        blocked_conv_dx(d, terms, count, c, accumulate, pool);
        return;
    }
    uint64_t *strip = packed;
    for (size_t tap = 0; tap < c->kh * c->kw; tap++)
        for (size_t r = 0; r < c->cin; r += h, strip += MR * inner)
            for (size_t t = 0; t < count; t++)
                dx_pack_a(&j, terms[t].b, strip + t * j.k * MR, tap * c->cin + r,
                          MIN(c->cin - r, h), 0, j.k);
    split(pool, c->batch, 1, dx_images, &j);
    prg_wipe(packed, words * sizeof *packed);
}

/* Gradient for w: inner products of outputs and of what a tap reads, over as many images as stay in
 * L1 for DR channels; tasks are output channels. */
RING dw_rows(void *arg, size_t begin, size_t end) {
    const job *g = arg;
    const ring_conv *c = g->c;
    size_t outputs = output_size(c), vectors = c->oh * row_vectors(c),
           images = BLOCK / vectors ? BLOCK / vectors : 1, parts = (g->n + DR - 1) / DR;
    const uint64_t *gradient = g->terms->a, *input = g->terms->b, *a[DR], *b[DR];
    ptrdiff_t offset[STEPS];
    steps s;
    tap_offsets(c, offset);
    s.count = images * vectors;
    s.tail = 0xFF;
    for (size_t i = 0; i < s.count; i++) {
        vector at = vector_at(c, i % vectors);
        s.a[i] = (ptrdiff_t)(i / vectors * c->cout * outputs) + at.out;
        s.b[i] = (ptrdiff_t)(i / vectors * image_size(c)) + at.in;
    }
    for (size_t image = 0, ic; image < c->batch; image += ic) {
        ic = block_size(c->batch - image, images);
        const uint64_t *x = input + image * image_size(c);
        for (size_t i = begin, mr; i < end; i += mr) {
            mr = block_size(end - i, DR);
            row_pointers(a, gradient + (image * c->cout + i) * outputs, outputs, mr);
            const size_t next = i + mr < end ? image : image + ic,
                         row = i + mr < end ? i + mr : begin;
            const size_t last = MIN(next + ic, c->batch),
                         words = MIN(end - row, (size_t)DR) * outputs;
            for (size_t j = 0, nr; j < g->n; j += nr) {
                nr = block_size(g->n - j, DR);
                for (size_t u = next; u < last; u++)
                    fetch(gradient + (u * c->cout + row) * outputs, words, j / DR, parts);
                for (size_t k = 0; k < DR; k++)
                    b[k] = x + offset[j + (k < nr ? k : 0)];
                any_dot(&s, 0, ic * vectors, a, b, g->d + i * g->n + j, g->n, mr, nr,
                        g->accumulate || image > 0);
            }
        }
    }
}

RING any_conv_dw(void *d, const ring_term *terms, size_t count, const ring_conv *c, int accumulate,
                 seq_pool *pool) {
    job j = {.m = c->cout,
             .k = c->batch * output_size(c),
             .n = filter_size(c),
             .d = d,
             .terms = terms,
             .count = count,
             .c = c,
             .accumulate = accumulate};
    if (suits_direct(c) && c->ow % 8 == 0 && c->batch && j.n <= STEPS &&
        c->oh * row_vectors(c) + BLOCK <= STEPS)
        each_term(pool, c->cout, DR, dw_rows, &j);
    else
        blocked_conv_dw(d, terms, count, c, accumulate, pool);
}

#define PRODUCT(name) any_##name
