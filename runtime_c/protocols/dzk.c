/* Distributed proofs: the rounds of a check. */

#include "dzk.h"

#include <stdlib.h>

/* ---- a check ---- */

typedef dzk_proof proof;

/* Purposes of streams; who knows them: for prover i, V = i - 1 and W = i + 1. */
enum {
    COIN,         /* of every pair, revealed to the third party */
    SHARE,        /* P and V: V's shares of what P sends; + round */
    MASK_V = 256, /* P and V */
    MASK_W,       /* P and W */
    CHALLENGE,    /* V and W */
};

static int cheating(seq_task *t, int party, const char *what) {
    return task_fail(t, SEQ_ERR_CHEAT, party, "cheating detected: %s", what);
}

/* Whether two messages differ, which everybody may know; where they do is not looked for. */
static int differ(const uint8_t *a, const void *b, size_t bytes) {
    uint8_t any = 0;
    for (size_t i = 0; i < bytes; i++)
        any |= a[i] ^ ((const uint8_t *)b)[i];
    task_known(&any, sizeof any);
    return any != 0;
}

static uint64_t *elements(seq_task *t, const proof *p, size_t n) {
    uint64_t *x = task_scratch(t, n * p->f.words * 8 + 64);
    if (x)
        memset(x, 0, n * p->f.words * 8);
    return x;
}

static unsigned log_of(size_t n) {
    unsigned l = 0;
    while ((size_t)1 << (l + 1) <= n)
        l++;
    return l;
}

static size_t points(unsigned kappa) {
    size_t n = 1;
    while (kappa-- > 0)
        n *= 3;
    return n;
}

/* Elements of the first round's message: all coefficients but the constant one. */
static size_t first_size(const proof *p) {
    return p->length ? points(p->kappa) - 1 : 0;
}

static int by_order(const void *a, const void *b) {
    const uint64_t *x = (*(const dzk_segment *const *)a)->order;
    const uint64_t *y = (*(const dzk_segment *const *)b)->order;
    return x[0] != y[0] ? (x[0] < y[0] ? -1 : 1) : x[1] != y[1] ? (x[1] < y[1] ? -1 : 1) : 0;
}

/* Segments of one role in the order that all parties have, and how far they have been read. */
typedef struct {
    dzk_segment **sorted;
    size_t count, next, used; /* segments; the first one that is not used up, its words used */
} reader;

static int reader_init(seq_task *t, reader *r, const dzk_log *log, unsigned ring, unsigned role) {
    *r = (reader){0};
    for (dzk_segment *s = log->segments[ring][role]; s; s = s->next)
        r->count++;
    if (!(r->sorted = task_scratch(t, r->count * sizeof *r->sorted + 8)))
        return -1;
    size_t i = 0;
    for (dzk_segment *s = log->segments[ring][role]; s; s = s->next)
        r->sorted[i++] = s;
    qsort(r->sorted, r->count, sizeof *r->sorted, by_order);
    return 0;
}

/* A tile that no segment has in one piece: copies, then zeros. */
static int copy_tile(reader *r, dzk_log *log, const uint64_t *tile[4], unsigned arrays,
                     size_t words) {
    uint64_t *d[4];
    for (unsigned k = 0; k < arrays; k++)
        if (!(tile[k] = d[k] = dzk_log_words(log, words)))
            return -1;
    for (size_t at = 0, n; at < words; at += n) {
        const dzk_segment *s = r->next < r->count ? r->sorted[r->next] : NULL;
        const size_t left = s ? s->n - r->used : words - at;
        n = left < words - at ? left : words - at;
        for (unsigned k = 0; k < arrays; k++) {
            if (s && s->x[k])
                memcpy(d[k] + at, s->x[k] + r->used, n * 8);
            else
                memset(d[k] + at, 0, n * 8);
        }
        r->used += n;
        if (s && r->used == s->n)
            r->next++, r->used = 0;
    }
    return 0;
}

/* The arrays of one role, tile by tile: where they are in the log, if they can be read there. */
static int find_tiles(seq_task *t, proof *p, dzk_log *log, unsigned ring, unsigned role) {
    const size_t words = p->rows * DZK_LANES, tiles = p->row / DZK_LANES;
    const unsigned arrays = role == DZK_P ? 4 : 3;
    const uint64_t **tile[4], *one[4];
    reader r;
    if (reader_init(t, &r, log, ring, role) < 0)
        return -1;
    for (unsigned k = 0; k < arrays; k++)
        if (!(p->x[role][k] = tile[k] = task_scratch(t, tiles * sizeof **tile + 8)))
            return -1;
    for (size_t i = 0; i < tiles; i++) {
        const dzk_segment *s = r.next < r.count ? r.sorted[r.next] : NULL;
        if (s && s->n - r.used >= words) {
            for (unsigned k = 0; k < arrays; k++)
                one[k] = s->x[k] ? s->x[k] + r.used : dzk_zeros;
            r.used += words;
            if (r.used == s->n)
                r.next++, r.used = 0;
        } else if (copy_tile(&r, log, one, arrays, words) < 0) {
            return task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for a proof");
        }
        for (unsigned k = 0; k < arrays; k++)
            tile[k][i] = one[k];
    }
    return 0;
}

static ring_conv conv_of(const dzk_matrix *m) {
    const int64_t *a = m->arg + SEQ_ARG_CONV2D_B;
    return (ring_conv){(size_t)a[0],  (size_t)a[1],  (size_t)a[2], (size_t)a[3], (size_t)a[4],
                       (size_t)a[5],  (size_t)a[6],  (size_t)a[7], (size_t)a[8], (size_t)a[9],
                       (size_t)a[10], (size_t)a[11], (size_t)a[12]};
}

/* Sizes of Z = X Y as a bilinear map of rows (weights u), inner index and columns (weights v). */
typedef struct {
    size_t rows, inner, cols;
} shape;

static shape shape_of(const dzk_matrix *m) {
    const ring_conv c = conv_of(m);
    switch (m->op) {
    case SEQ_OP_MATMUL:
    case SEQ_OP_MATMUL_ADD:
        return (shape){(size_t)m->arg[SEQ_ARG_MATMUL_M], (size_t)m->arg[SEQ_ARG_MATMUL_K],
                       (size_t)m->arg[SEQ_ARG_MATMUL_N]};
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_ADD: /* positions of the output; channel and kernel; output channels */
        return (shape){c.batch * c.oh * c.ow, c.cin * c.kh * c.kw, c.cout};
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DX_ADD: /* positions of the input; output channel and kernel; channels */
        return (shape){c.batch * c.h * c.w, c.cout * c.kh * c.kw, c.cin};
    case SEQ_OP_SHUFFLE:
        return (shape){(size_t)m->arg[SEQ_ARG_SHUFFLE_n], (size_t)m->arg[SEQ_ARG_SHUFFLE_n],
                       (size_t)m->arg[SEQ_ARG_SHUFFLE_len]};
    default: /* output channels; positions of the output; channel and kernel */
        return (shape){c.cout, c.batch * c.oh * c.ow, c.cin * c.kh * c.kw};
    }
}

/* ---- sizes ---- */

static int take_log(seq_task *t, dzk_run *run, dzk_log *log) {
    size_t inner = 0;
    for (dzk_matrix *m = log->matrices; m; m = m->next)
        inner += 2 * shape_of(m).inner;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++) {
        proof *p = &run->ring[ring];
        dzk_field_init(&p->f, t->env, ring, log->degree[ring]);
        size_t n = 0;
        for (unsigned role = 0; role < 3; role++)
            n = log->words[ring][role] > n ? log->words[ring][role] : n;
        const unsigned log2 = n ? log_of(n) : 0, spare = ring == DZK_WORDS ? 4 : 3;
        p->kappa = log2 > spare ? log2 - spare : 0;
        if (p->kappa > DZK_MAX_KAPPA)
            p->kappa = DZK_MAX_KAPPA;
        p->rows = (size_t)1 << p->kappa;
        const size_t tile = p->rows * DZK_LANES, rest = n % tile, each = ring == DZK_WORDS ? 1 : 64;
        p->row = (n + tile - 1) / tile * DZK_LANES;
        p->count = (n / tile * DZK_LANES + (rest < DZK_LANES ? rest : DZK_LANES)) * each;
        const size_t length = 2 * p->count + (ring == DZK_WORDS ? inner : 0);
        p->length = p->left = length;
        p->log2 = length > 1 ? log_of(length - 1) + 1 : 0;
        if (p->log2 > run->log2)
            run->log2 = p->log2;
        for (unsigned role = 0; n && role < 3; role++)
            if (find_tiles(t, p, log, ring, role) < 0)
                return TASK_ERROR;
        for (unsigned k = 0; p->length && k < 4; k++)
            if (!(p->vector[k] = task_scratch(t, (p->length + DZK_LANES * each) * p->f.words * 8)))
                return TASK_ERROR;
        for (unsigned k = 0; k < 2; k++) {
            p->claim[k] = elements(t, p, 1);
            p->message[k] = elements(t, p, points(p->kappa) + 2);
            if (!p->claim[k] || !p->message[k])
                return TASK_ERROR;
        }
        p->weights = p->row * each / (ring == DZK_WORDS ? 1 : p->f.degree);
        p->weight = task_scratch(t, p->weights * 8 + 64);
        p->tau = elements(t, p, DZK_MAX_KAPPA);
        p->seal = elements(t, p, 2);
        if (!p->weight || !p->tau || !p->seal)
            return TASK_ERROR;
    }
    run->matrices = log->matrices;
    run->rounds = 2 + run->log2;
    if (run->log2 > DZK_MAX_LENGTH)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "too much to be proven at once");
    return 0;
}

/* ---- weights, claims ---- */

static void coin_words(dzk_run *run, uint64_t *out, size_t n) {
    prg_words(&run->coin, 0, run->drawn, out, n);
    run->drawn += n;
}

/* Linear weights (1 - tau_j, tau_j) over the rows, as elements. */
static uint64_t *row_weights(seq_task *t, const proof *p, const uint64_t *tau) {
    uint64_t *d = elements(t, p, p->rows), *parts = elements(t, p, 2 * DZK_MAX_KAPPA);
    if (!d || !parts)
        return NULL;
    for (unsigned j = 0; j < p->kappa; j++) {
        uint64_t *u = parts + 2 * j * p->f.words, *v = u + p->f.words;
        dzk_set(&p->f, u, 1);
        memcpy(v, tau + j * p->f.words, p->f.words * 8);
        dzk_subtract(&p->f, u, v);
    }
    dzk_tensor(&p->f, d, p->kappa, 2, parts);
    return d;
}

/* Weights over coefficients: (1, x, x^power) in each variable. */
static uint64_t *coefficient_weights(seq_task *t, const proof *p, const uint64_t *x, int square) {
    uint64_t *d = elements(t, p, points(p->kappa)), *parts = elements(t, p, 3 * DZK_MAX_KAPPA);
    if (!d || !parts)
        return NULL;
    for (unsigned j = 0; j < p->kappa; j++) {
        uint64_t *u = parts + 3 * j * p->f.words;
        const uint64_t *v = x + j * p->f.words;
        dzk_set(&p->f, u, 1);
        memcpy(u + p->f.words, v, p->f.words * 8);
        memcpy(u + 2 * p->f.words, v, p->f.words * 8);
        if (square)
            dzk_mul(&p->f, u + 2 * p->f.words, v, v);
    }
    dzk_tensor(&p->f, d, p->kappa, 3, parts);
    return d;
}

/* V's and W's shares of the sum of weighted right sides, by rows. */
static int claims(seq_task *t, proof *p) {
    uint64_t *beta = row_weights(t, p, p->tau), *g = elements(t, p, p->rows);
    if (!beta || !g)
        return TASK_ERROR;
    for (unsigned side = 0; side < 2; side++) {
        dzk_weighted_rows(&p->f, g, p->x[side ? DZK_W : DZK_V][2], p->rows, p->row, p->weight);
        dzk_inner(&p->f, p->claim[side], g, beta, p->rows);
    }
    return 0;
}

/* Weights from the coin; the prover's coefficients in the place of a message to W, which the
 * caller masks. */
static int first_round(seq_task *t, dzk_run *run, proof *p) {
    coin_words(run, p->weight, p->weights);
    if (p->f.ring == DZK_BITS && p->f.degree < 64)
        for (size_t i = 0; i < p->weights; i++)
            p->weight[i] &= (1ULL << p->f.degree) - 1;
    uint64_t random[DZK_MAX_KAPPA];
    coin_words(run, random, DZK_MAX_KAPPA);
    for (unsigned j = 0; j < p->kappa; j++)
        dzk_point(&p->f, p->tau + j * p->f.words, random[j]);
    if (!p->count)
        return 0;
    return claims(t, p);
}

/* ---- matrix products: X and Y are multiplied by random vectors ---- */

static void gemm(const proof *p, uint64_t *d, const uint64_t *a, const uint64_t *b, size_t m,
                 size_t k, size_t n, int ta, int tb) {
    p->f.base->gemm(d, &(ring_term){a, b}, 1, &(ring_gemm){m, k, n, ta, tb}, 0, p->f.pool);
}

/* d = a transposed, of rows x cols words. */
static void transpose(uint64_t *restrict d, const uint64_t *restrict a, size_t rows, size_t cols) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            d[j * rows + i] = a[i * cols + j];
}

/* [outer, e, inner] to and from [outer, inner, e] where e is the words of an element. */
static void interleave(uint64_t *d, const uint64_t *a, size_t outer, size_t e, size_t inner) {
    for (size_t o = 0; o < outer; o++)
        transpose(d + o * e * inner, a + o * e * inner, e, inner);
}

/* What the random vectors u (rows) and v (columns) make of X, Y and a Z: vectors of elements over
 * the inner index; for Z one element. w: room for all that is made on the way. */
typedef struct {
    const proof *p;
    const dzk_matrix *m;
    shape s;
    uint64_t *u, *v;         /* elements */
    uint64_t *planes, *made; /* u or v with the element's words as a channel; a result alike */
} contraction;

static void contract_x(const contraction *k, uint64_t *d, const uint64_t *x) {
    const size_t e = k->p->f.words;
    ring_conv c = conv_of(k->m);
    const ring_ops *ring = k->p->f.base;
    switch (k->m->op) {
    case SEQ_OP_MATMUL:
    case SEQ_OP_MATMUL_ADD: /* X^T u */
        gemm(k->p, d, x, k->u, k->s.inner, k->s.rows, e, !k->m->arg[SEQ_ARG_MATMUL_ta], 0);
        return;
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_ADD: /* sum over positions: the gradient for weights with u as gradient */
        interleave(k->planes, k->u, c.batch, c.oh * c.ow, e);
        c.cout = e;
        ring->conv_dw(k->made, &(ring_term){k->planes, x}, 1, &c, 0, k->p->f.pool);
        transpose(d, k->made, e, k->s.inner);
        return;
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DX_ADD: /* u in the place of the input */
        interleave(k->planes, k->u, c.batch, c.h * c.w, e);
        c.cin = e;
        ring->conv_dw(k->made, &(ring_term){x, k->planes}, 1, &c, 0, k->p->f.pool);
        interleave(d, k->made, c.cout, e, c.kh * c.kw);
        return;
    default: /* gradient [B, O, P] over output channels */
        for (size_t b = 0; b < c.batch; b++)
            gemm(k->p, d + b * c.oh * c.ow * e, x + b * c.cout * c.oh * c.ow, k->u, c.oh * c.ow,
                 c.cout, e, 1, 0);
    }
}

static void contract_y(const contraction *k, uint64_t *d, const uint64_t *y) {
    const size_t e = k->p->f.words;
    ring_conv c = conv_of(k->m);
    const ring_ops *ring = k->p->f.base;
    switch (k->m->op) {
    case SEQ_OP_MATMUL:
    case SEQ_OP_MATMUL_ADD:
        gemm(k->p, d, y, k->v, k->s.inner, k->s.cols, e, (int)k->m->arg[SEQ_ARG_MATMUL_tb], 0);
        return;
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_ADD: /* [O, inner] over output channels */
        gemm(k->p, d, y, k->v, k->s.inner, c.cout, e, 1, 0);
        return;
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DX_ADD: /* [O, C, K] over C */
        for (size_t o = 0; o < c.cout; o++)
            gemm(k->p, d + o * c.kh * c.kw * e, y + o * c.cin * c.kh * c.kw, k->v, c.kh * c.kw,
                 c.cin, e, 1, 0);
        return;
    default: /* the input, with v as weights to e output channels */
        transpose(k->planes, k->v, k->s.cols, e);
        c.cout = e;
        ring->conv(k->made, &(ring_term){y, k->planes}, 1, &c, 0, k->p->f.pool);
        interleave(d, k->made, c.batch, e, c.oh * c.ow);
    }
}

/* One element: sum of u_row v_col z. */
static void contract_z(const contraction *k, uint64_t *d, const uint64_t *z) {
    const size_t e = k->p->f.words;
    const ring_conv c = conv_of(k->m);
    switch (k->m->op) {
    case SEQ_OP_MATMUL:
    case SEQ_OP_MATMUL_ADD:
        gemm(k->p, k->made, z, k->u, k->s.cols, k->s.rows, e, 1, 0);
        break;
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_ADD:
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DX_ADD: { /* [B, cols, positions] */
        const size_t positions = k->s.rows / c.batch;
        for (size_t b = 0; b < c.batch; b++)
            k->p->f.base->gemm(
                k->made, &(ring_term){z + b * k->s.cols * positions, k->u + b * positions * e}, 1,
                &(ring_gemm){k->s.cols, positions, e, 0, 0}, b > 0, k->p->f.pool);
        break;
    }
    default:
        gemm(k->p, k->made, z, k->u, k->s.cols, k->s.rows, e, 1, 0);
    }
    dzk_inner(&k->p->f, d, k->made, k->v, k->s.cols);
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* d[order[row]] = u[row]. */
static void place(const contraction *k, uint64_t *d, const uint32_t *order) {
    const size_t e = k->p->f.words;
    for (size_t i = 0; i < k->s.rows; i++)
        memcpy(d + order[i] * e, k->u + i * e, e * 8);
}

/* Rows times the weights of columns. */
static void weigh_rows(const contraction *k, uint64_t *d, const uint64_t *x) {
    gemm(k->p, d, x, k->v, k->s.rows, k->s.cols, k->p->f.words, 0, 0);
}

/* A shuffle's two statements of each prover: what V knows moved by P1 and W, and what W knows moved
 * by P2 and V. Rows of the second one have weights of their own, or errors in both could cancel. */
static void add_shuffle(const contraction *first, const contraction *second, proof *p, size_t at,
                        uint64_t *z) {
    const size_t e = p->f.words, n = first->s.rows * e, size = first->s.rows * first->s.cols;
    const dzk_matrix *m = first->m;
    weigh_rows(first, p->vector[0] + at * e, m->x[0]);
    place(first, p->vector[1] + at * e, m->moved[0]);
    place(second, p->vector[0] + at * e + n, m->moved[1]);
    weigh_rows(second, p->vector[1] + at * e + n, m->x[1]);
    weigh_rows(first, p->vector[2] + at * e, m->y[0]);
    place(second, p->vector[2] + at * e + n, m->moved[0]);
    place(first, p->vector[3] + at * e, m->moved[1]);
    weigh_rows(second, p->vector[3] + at * e + n, m->y[1]);
    for (unsigned side = 0; side < 2; side++)
        for (unsigned i = 0; i < 2; i++) {
            weigh_rows(first, first->made, m->c[side] + i * size);
            dzk_inner(&p->f, z, first->made, i ? second->u : first->u, first->s.rows);
            dzk_accumulate(&p->f, p->claim[side], z);
        }
}

/* Random points as weights, from the coin; `random`: room for n words. */
static void draw_weights(dzk_run *run, const proof *p, uint64_t *d, size_t n, uint64_t *random) {
    coin_words(run, random, n);
    for (size_t i = 0; i < n; i++)
        dzk_point(&p->f, d + i * p->f.words, random[i]);
}

/* Words that add_matrix needs for a statement. */
static size_t room_of(const proof *p, const dzk_matrix *m) {
    const shape s = shape_of(m);
    const size_t weights = s.rows + s.cols + (m->op == SEQ_OP_SHUFFLE ? s.rows : 0);
    const size_t most = max_size(max_size(s.rows, s.cols), s.inner);
    return (weights + 2 * most + 1) * p->f.words + max_size(s.rows, s.cols);
}

/* Adds a matrix statement to the vectors from element `at` on, and to the claims. */
static void add_matrix(dzk_run *run, proof *p, const dzk_matrix *m, size_t at, uint64_t *room) {
    const size_t e = p->f.words;
    contraction k = {.p = p, .m = m, .s = shape_of(m), .u = room};
    const size_t most = max_size(max_size(k.s.rows, k.s.cols), k.s.inner);
    k.v = k.u + k.s.rows * e;
    k.planes = k.v + k.s.cols * e;
    k.made = k.planes + most * e;
    uint64_t *z = k.made + most * e, *random = z + e;
    draw_weights(run, p, k.u, k.s.rows, random);
    draw_weights(run, p, k.v, k.s.cols, random);
    if (m->op == SEQ_OP_SHUFFLE) {
        contraction second = k;
        second.u = random + max_size(k.s.rows, k.s.cols);
        draw_weights(run, p, second.u, k.s.rows, random);
        add_shuffle(&k, &second, p, at, z);
        return;
    }
    const size_t n = k.s.inner * e;
    uint64_t *p_p = p->vector[0] + at * e, *p_q = p->vector[1] + at * e;
    uint64_t *v_p = p->vector[2] + at * e, *w_q = p->vector[3] + at * e;
    contract_x(&k, p_p, m->x[0]); /* X_i and Y_i are V's, */
    contract_y(&k, p_p + n, m->y[0]);
    contract_y(&k, p_q, m->y[1]); /* Y_{i+1} and X_{i+1} are W's */
    contract_x(&k, p_q + n, m->x[1]);
    memcpy(v_p, p_q + n, n * 8); /* mine as V: components 1; as W: components 0 */
    memcpy(v_p + n, p_q, n * 8);
    memcpy(w_q, p_p + n, n * 8);
    memcpy(w_q + n, p_p, n * 8);
    for (unsigned side = 0; side < 2; side++) {
        contract_z(&k, z, m->c[side]);
        dzk_accumulate(&p->f, p->claim[side], z);
    }
    dzk_inner(&p->f, z, p_q, p_q + n, k.s.inner); /* V takes its own product X_i Y_i away */
    dzk_subtract(&p->f, p->claim[0], z);
}

static int matrix_order(const void *a, const void *b) {
    const uint64_t *x = (*(const dzk_matrix *const *)a)->order;
    const uint64_t *y = (*(const dzk_matrix *const *)b)->order;
    return x[0] != y[0] ? (x[0] < y[0] ? -1 : 1) : x[1] < y[1] ? -1 : 1;
}

static int add_matrices(seq_task *t, dzk_run *run) {
    proof *p = &run->ring[DZK_WORDS];
    size_t count = 0, at = 2 * p->count;
    for (dzk_matrix *m = run->matrices; m; m = m->next)
        count++;
    size_t words = 0;
    dzk_matrix **sorted = task_scratch(t, count * sizeof *sorted + 8);
    if (!sorted)
        return TASK_ERROR;
    count = 0;
    for (dzk_matrix *m = run->matrices; m; m = m->next) {
        words = max_size(words, room_of(p, m));
        sorted[count++] = m;
    }
    uint64_t *room = task_scratch(t, words * 8);
    if (!room)
        return TASK_ERROR;
    qsort(sorted, count, sizeof *sorted, matrix_order);
    for (size_t i = 0; i < count; i++) {
        add_matrix(run, p, sorted[i], at, room);
        at += 2 * shape_of(sorted[i]).inner;
    }
    return 0;
}

/* ---- rounds ---- */

/* Elements that a ring sends in round i. Vectors of all rings are bound together at the end: a
 * shorter one begins later. Round 0 binds the rows, the last one opens. */
static size_t round_size(const dzk_run *run, const proof *p, unsigned i) {
    if (!p->length)
        return 0;
    if (i == 0)
        return first_size(p);
    if (i + 1 == run->rounds)
        return 2;
    return run->log2 - (i - 1) <= p->log2 ? 2 : 0;
}

static unsigned round_challenges(const dzk_run *run, const proof *p, unsigned i) {
    return i == 0 ? (p->length ? p->kappa : 0) : round_size(run, p, i) ? 1 : 0;
}

static size_t round_bytes(const dzk_run *run, unsigned i) {
    size_t bytes = 0;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++)
        bytes += round_size(run, &run->ring[ring], i) * run->ring[ring].f.words * 8;
    return bytes;
}

static unsigned all_challenges(const dzk_run *run, unsigned i) {
    return round_challenges(run, &run->ring[0], i) + round_challenges(run, &run->ring[1], i);
}

/* The prover's elements of round i. A vector of odd length gets a zero, of all roles. */
static int prove(dzk_run *run, proof *p, unsigned i, uint64_t *d) {
    const size_t e = p->f.words;
    if (i == 0) {
        uint64_t *g = d - e; /* the caller leaves room for the constant coefficient */
        if (dzk_evaluate(&p->f, g, p->x[DZK_P], p->kappa, p->row, p->weight) < 0)
            return -1;
        dzk_coefficients(&p->f, g, p->kappa);
    } else if (i + 1 < run->rounds) {
        for (unsigned k = 0; p->left % 2 && k < 4; k++)
            memset(p->vector[k] + p->left * e, 0, e * 8);
        p->left += p->left % 2;
        dzk_halves(&p->f, d, p->vector[0], p->vector[1], p->left / 2);
    } else {
        uint64_t masks[2 * DZK_MAX_DEGREE], z[DZK_MAX_DEGREE];
        prg_words(&run->prev, MASK_V, p->f.ring * 64, masks, e);
        prg_words(&run->next, MASK_W, p->f.ring * 64, masks + e, e);
        for (unsigned k = 0; p->f.ring == DZK_BITS && p->f.degree < 64 && k < 2; k++)
            masks[k] &= (1ULL << p->f.degree) - 1;
        dzk_mul(&p->f, d, p->vector[0], masks + e);
        dzk_mul(&p->f, z, p->vector[1], masks);
        dzk_accumulate(&p->f, d, z);
        dzk_mul(&p->f, d + e, masks, masks + e);
    }
    return 0;
}

/* V's shares of a round, from the stream of P and V. */
static void share_words(const dzk_run *run, const proof *p, const prg_key *key, unsigned i,
                        uint64_t *d) {
    const size_t n = round_size(run, p, i) * p->f.words;
    prg_words(key, SHARE + i, p->f.ring * (uint64_t)65536, d, n);
    for (size_t k = 0; p->f.ring == DZK_BITS && p->f.degree < 64 && k < n; k++)
        d[k] &= (1ULL << p->f.degree) - 1;
}

/* As P: prove to W, who gets what V does not know already. */
static int send_round(seq_task *t, dzk_run *run, unsigned i) {
    const size_t bytes = round_bytes(run, i);
    uint64_t *message = (uint64_t *)rep3_send(t, rep3_next(t->env->me), bytes);
    if (bytes && !message)
        return TASK_ERROR;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++) {
        proof *p = &run->ring[ring];
        const size_t n = round_size(run, p, i);
        if (!n)
            continue;
        uint64_t *d = elements(t, p, n + 1), *share = elements(t, p, n);
        if (!d || !share)
            return TASK_ERROR;
        if (prove(run, p, i, d + p->f.words) < 0)
            return task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for a proof");
        share_words(run, p, &run->prev, i, share);
        for (size_t k = 0; k < n; k++)
            dzk_subtract(&p->f, d + (k + 1) * p->f.words, share + k * p->f.words);
        memcpy(message, d + p->f.words, n * p->f.words * 8);
        message += n * p->f.words;
    }
    task_expect(t, rep3_prev(t->env->me), bytes);
    return TASK_WAIT;
}

/* A challenge is a unit of the extension, and not 1 either. */
static uint64_t challenge_word(const proof *p, uint64_t random) {
    const uint64_t mask = p->f.degree == 64 ? ~0ULL : (1ULL << p->f.degree) - 1;
    return (random & mask) > 1 ? random & mask : 2;
}

/* As W: keep what the prover sent and answer with the challenges that V knows as well. */
static int answer_round(seq_task *t, dzk_run *run, unsigned i) {
    const unsigned prev = rep3_prev(t->env->me), next = rep3_next(t->env->me);
    const uint64_t *message = (const uint64_t *)task_received(t, prev);
    const unsigned count = all_challenges(run, i);
    uint64_t *send = (uint64_t *)rep3_send(t, prev, count * 8);
    if (count && !send)
        return TASK_ERROR;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++) {
        proof *p = &run->ring[ring];
        const size_t n = round_size(run, p, i) * p->f.words;
        if (!n)
            continue;
        memcpy(p->message[1], message, n * 8);
        share_words(run, p, &run->next, i, p->message[0]);
        message += n;
    }
    prg_words(&run->next, CHALLENGE, run->known, send, count);
    task_expect(t, next, count * 8);
    return TASK_WAIT;
}

/* ---- what a round leaves ---- */

/* Claims after the first round: the constant coefficient follows from the old claim. */
static int absorb_first(seq_task *t, proof *p, const uint64_t *const r[3]) {
    const size_t e = p->f.words, n = first_size(p);
    uint64_t *old = coefficient_weights(t, p, p->tau, 0);
    uint64_t *z = elements(t, p, 1);
    if (!old || !z)
        return TASK_ERROR;
    for (unsigned side = 0; side < 2; side++) {
        uint64_t *fresh = coefficient_weights(t, p, r[side ? DZK_W : DZK_V], 1);
        if (!fresh)
            return TASK_ERROR;
        for (size_t k = 1; k <= n; k++) /* claim + sum of (new - old) g */
            dzk_subtract(&p->f, fresh + k * e, old + k * e);
        dzk_inner(&p->f, z, fresh + e, p->message[side], n);
        dzk_accumulate(&p->f, p->claim[side], z);
    }
    for (unsigned role = 0; role < 3; role++) {
        const uint64_t *lambda = row_weights(t, p, r[role]);
        if (!lambda)
            return TASK_ERROR;
        uint64_t *d[2] = {p->vector[role == DZK_P ? 0 : role + 1], p->vector[1]};
        const dzk_tiles *x = p->x[role];
        dzk_compress(&p->f, d[0], x[role == DZK_W ? 1 : 0], p->rows, p->row, lambda);
        dzk_compress(&p->f, d[0] + p->count * e, x[role == DZK_W ? 0 : 1], p->rows, p->row, lambda);
        if (role != DZK_W)
            dzk_weigh(&p->f, d[0], p->weight, p->count),
                dzk_weigh(&p->f, d[0] + p->count * e, p->weight, p->count);
        if (role == DZK_P) {
            dzk_compress(&p->f, d[1], x[3], p->rows, p->row, lambda);
            dzk_compress(&p->f, d[1] + p->count * e, x[2], p->rows, p->row, lambda);
        }
    }
    return 0;
}

/* g(r) from g0, g2 and the claim g(0) + g(1). */
static void absorb_level(proof *p, const uint64_t *const r[3]) {
    const size_t e = p->f.words, half = p->left / 2;
    for (unsigned side = 0; side < 2; side++) {
        const uint64_t *x = r[side ? DZK_W : DZK_V], *g0 = p->message[side], *g2 = g0 + e;
        uint64_t *g1 = p->claim[side], z[DZK_MAX_DEGREE];
        for (unsigned k = 0; k < 2; k++)
            dzk_subtract(&p->f, g1, g0);
        dzk_subtract(&p->f, g1, g2);
        dzk_mul(&p->f, z, g2, x); /* g0 + r (g1 + r g2) */
        dzk_accumulate(&p->f, g1, z);
        dzk_mul(&p->f, g1, g1, x);
        dzk_accumulate(&p->f, g1, g0);
    }
    for (unsigned k = 0; k < 4; k++)
        dzk_bind(&p->f, p->vector[k], half, r[k < 2 ? DZK_P : k == 2 ? DZK_V : DZK_W]);
    p->left = half;
}

/* The opened element a + r mask, and the claim's share at r: g0 + r (q1 + r q2). */
static void absorb_last(const dzk_run *run, proof *p, const uint64_t *const r[3]) {
    const size_t e = p->f.words;
    uint64_t z[DZK_MAX_DEGREE], mask[DZK_MAX_DEGREE];
    for (unsigned side = 0; side < 2; side++) {
        const uint64_t *x = r[side ? DZK_W : DZK_V], *q1 = p->message[side], *q2 = q1 + e;
        dzk_mul(&p->f, z, q2, x);
        dzk_accumulate(&p->f, z, q1);
        dzk_mul(&p->f, z, z, x);
        dzk_accumulate(&p->f, p->claim[side], z);
        prg_words(side ? &run->prev : &run->next, side ? MASK_W : MASK_V, p->f.ring * 64, mask, e);
        if (p->f.ring == DZK_BITS && p->f.degree < 64)
            mask[0] &= (1ULL << p->f.degree) - 1;
        dzk_mul(&p->f, mask, mask, x);
        dzk_accumulate(&p->f, p->vector[2 + side], mask);
    }
}

/* As P I have been told my challenges; those of the other two provers come from streams. */
static int absorb_round(seq_task *t, dzk_run *run, unsigned i) {
    const uint64_t *told = (const uint64_t *)task_received(t, rep3_next(t->env->me));
    const unsigned count = all_challenges(run, i);
    uint64_t as_v[DZK_MAX_ROUNDS], as_w[DZK_MAX_ROUNDS];
    prg_words(&run->prev, CHALLENGE, run->known, as_v, count);
    prg_words(&run->next, CHALLENGE, run->known, as_w, count);
    task_known(as_v, count * sizeof *as_v); /* public once the round is over */
    task_known(as_w, count * sizeof *as_w);
    if (count) {
        memcpy(run->mine + run->known, told, count * 8);
        memcpy(run->theirs + run->known, as_v, count * 8);
        task_known(run->mine + run->known, count * 8);
    }
    const uint64_t *words[3] = {run->mine + run->known, as_v, as_w};
    unsigned at = 0;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++) {
        proof *p = &run->ring[ring];
        const unsigned n = round_challenges(run, p, i);
        const uint64_t *r[3];
        for (unsigned role = 0; role < 3; role++) {
            uint64_t *x = elements(t, p, n + 1);
            if (!x)
                return TASK_ERROR;
            for (unsigned j = 0; j < n; j++)
                dzk_point(&p->f, x + j * p->f.words, challenge_word(p, words[role][at + j]));
            r[role] = x;
        }
        at += n;
        if (!p->length)
            continue;
        if (i == 0) {
            if (p->count && absorb_first(t, p, r) < 0)
                return TASK_ERROR;
        } else if (i + 1 == run->rounds) {
            absorb_last(run, p, r);
        } else if (n) {
            absorb_level(p, r);
        }
    }
    run->known += count;
    if (i)
        return 0;
    if (add_matrices(t, run) < 0)
        return TASK_ERROR;
    dzk_log_clear(run->log);
    return 0;
}

/* ---- the end ---- */

static size_t seal_words(const dzk_run *run) {
    size_t n = 0;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++)
        n += run->ring[ring].length ? 2 * run->ring[ring].f.words : 0;
    return n;
}

/* As P: the challenges that I was told, to V. */
static int send_told(seq_task *t, dzk_run *run) {
    const size_t bytes = run->known * 8;
    uint8_t *out = task_send(t, rep3_prev(t->env->me), bytes);
    if (!out)
        return TASK_ERROR;
    memcpy(out, run->mine, bytes);
    task_expect(t, rep3_next(t->env->me), bytes);
    return TASK_WAIT;
}

/* As V: if the prover was told what I know, the opened element and my share of the claim, to W. */
static int send_seals(seq_task *t, dzk_run *run) {
    if (differ(task_received(t, rep3_next(t->env->me)), run->theirs, run->known * 8))
        return cheating(t, -1, "a prover was told other challenges than the ones agreed on");
    uint64_t *out = (uint64_t *)task_send(t, rep3_prev(t->env->me), seal_words(run) * 8);
    if (!out)
        return TASK_ERROR;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++) {
        const proof *p = &run->ring[ring];
        if (!p->length)
            continue;
        memcpy(out, p->vector[2], p->f.words * 8);
        memcpy(out + p->f.words, p->claim[0], p->f.words * 8);
        out += 2 * p->f.words;
    }
    task_expect(t, rep3_next(t->env->me), seal_words(run) * 8);
    return TASK_WAIT;
}

/* As W: the equation. Then all tell each other that their checks held. */
static int check_seals(seq_task *t, dzk_run *run) {
    const unsigned me = t->env->me;
    const uint64_t *in = (const uint64_t *)task_received(t, rep3_next(me));
    for (unsigned ring = 0; ring < DZK_RINGS; ring++) {
        proof *p = &run->ring[ring];
        if (!p->length)
            continue;
        uint64_t z[DZK_MAX_DEGREE], wrong = 0;
        dzk_mul(&p->f, z, in, p->vector[3]);
        dzk_subtract(&p->f, z, p->claim[1]);
        dzk_subtract(&p->f, z, in + p->f.words);
        for (size_t k = 0; k < p->f.words; k++)
            wrong |= z[k];
        task_known(&wrong, sizeof wrong);
        if (wrong)
            return cheating(t, -1, "a proof of correct messages does not hold");
        in += 2 * p->f.words;
    }
    for (unsigned k = 1; k < 3; k++) {
        const unsigned peer = (me + k) % 3;
        uint8_t *ok = task_send(t, peer, 8);
        if (!ok)
            return TASK_ERROR;
        memset(ok, 0, 8);
        task_expect(t, peer, 8);
    }
    return TASK_WAIT;
}

/* ---- steps ---- */

/* Links in the chain of messages of the whole check. */
static unsigned all_rounds(const dzk_run *run) {
    unsigned rounds = 5; /* barrier, coin, challenges, seals, agreement */
    for (unsigned i = 0; i < run->rounds; i++)
        rounds += round_bytes(run, i) ? 2 : 0;
    return rounds;
}

/* All messages of mine that are to be proven have been sent, and I have got all of the others'. */
static int barrier(seq_task *t, dzk_run *run, dzk_log *log, const prg_key *next,
                   const prg_key *prev) {
    run->log = log;
    const uint64_t number = log->checks++ | (uint64_t)1 << 63;
    prg_derive(&run->next, next, number, 0);
    prg_derive(&run->prev, prev, number, 0);
    if (take_log(t, run, log) < 0)
        return TASK_ERROR;
    task_alone(t, all_rounds(run));
    for (unsigned k = 1; k < 3; k++) {
        uint8_t *out = task_send(t, (t->env->me + k) % 3, 8);
        if (!out)
            return TASK_ERROR;
        memcpy(out, &number, 8);
        task_expect(t, (t->env->me + k) % 3, 8);
    }
    return TASK_WAIT;
}

/* Every pair tells its word to the third party: nobody knew the sum before. */
static int reveal_coin(seq_task *t, const dzk_run *run) {
    uint64_t *to_prev = (uint64_t *)task_send(t, rep3_prev(t->env->me), 16);
    uint64_t *to_next = (uint64_t *)task_send(t, rep3_next(t->env->me), 16);
    if (!to_prev || !to_next)
        return TASK_ERROR;
    prg_words(&run->next, COIN, 0, to_prev, 2);
    prg_words(&run->prev, COIN, 0, to_next, 2);
    task_expect(t, rep3_prev(t->env->me), 16);
    task_expect(t, rep3_next(t->env->me), 16);
    return TASK_WAIT;
}

static int take_coin(seq_task *t, dzk_run *run) {
    const uint8_t *a = task_received(t, rep3_prev(t->env->me));
    const uint8_t *b = task_received(t, rep3_next(t->env->me));
    if (differ(a, b, 16))
        return cheating(t, -1, "two parties tell different coins");
    uint64_t coin[2], other[2], third[2];
    memcpy(coin, a, 16);
    prg_words(&run->next, COIN, 0, other, 2);
    prg_words(&run->prev, COIN, 0, third, 2);
    for (unsigned k = 0; k < 2; k++)
        coin[k] ^= other[k] ^ third[k];
    task_known(coin, sizeof coin); /* all weights are public from here on */
    prg_init(&run->coin, (const uint8_t *)coin);
    for (unsigned ring = 0; ring < DZK_RINGS; ring++)
        if (run->ring[ring].length && first_round(t, run, &run->ring[ring]) < 0)
            return TASK_ERROR;
    return send_round(t, run, 0);
}

int dzk_step(seq_task *t, dzk_run *run, dzk_log *log, const prg_key *next, const prg_key *prev) {
    if (t->step_no == 0)
        return barrier(t, run, log, next, prev);
    if (t->step_no == 1)
        return reveal_coin(t, run);
    if (t->step_no == 2)
        return take_coin(t, run);
    const unsigned i = (t->step_no - 3) / 2;
    if (i < run->rounds) {
        if (t->step_no % 2 == 1)
            return answer_round(t, run, i);
        if (absorb_round(t, run, i) < 0)
            return TASK_ERROR;
        return i + 1 < run->rounds ? send_round(t, run, i + 1) : send_told(t, run);
    }
    if (t->step_no == 3 + 2 * run->rounds)
        return send_seals(t, run);
    if (t->step_no == 4 + 2 * run->rounds)
        return check_seals(t, run);
    prg_wipe(run, sizeof *run);
    return TASK_DONE;
}
