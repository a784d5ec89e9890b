/* The maps themselves, and their sizes. */
#include "bilinear.h"

/* Part `first` of d, where parts have `size` elements, and of the first operands. */
static void *part_of(const seq_task *t, void *d, size_t first, size_t size) {
    return (uint8_t *)d + first * size * t->env->ring->word;
}

static const ring_term *parts_of(const seq_task *t, ring_term part[BILINEAR_TERMS],
                                 const ring_term *terms, size_t count, size_t first, size_t size) {
    for (size_t i = 0; i < count; i++) {
        part[i].a = (const uint8_t *)terms[i].a + first * size * t->env->ring->word;
        part[i].b = terms[i].b;
    }
    return part;
}

/* Slices are rows, or everything if a is stored transposed. */
static void gemm(const seq_task *t, size_t first, size_t count, void *d, const ring_term *terms,
                 size_t terms_count) {
    const int64_t *arg = t->call.arg;
    const int ta = (int)arg[SEQ_ARG_MATMUL_ta];
    const ring_gemm g = {ta ? (size_t)arg[SEQ_ARG_MATMUL_M] : count, (size_t)arg[SEQ_ARG_MATMUL_K],
                         (size_t)arg[SEQ_ARG_MATMUL_N], ta, (int)arg[SEQ_ARG_MATMUL_tb]};
    ring_term part[BILINEAR_TERMS];
    t->env->ring->gemm(part_of(t, d, first, g.n), parts_of(t, part, terms, terms_count, first, g.k),
                       terms_count, &g, 0, t->env->pool);
}

/* The three convolutions have their sizes at the same places. */
_Static_assert((int)SEQ_ARG_CONV2D_B == (int)SEQ_ARG_CONV2D_DX_B &&
                   (int)SEQ_ARG_CONV2D_B == (int)SEQ_ARG_CONV2D_DW_B &&
                   SEQ_ARG_CONV2D_PW == SEQ_ARG_CONV2D_B + 12,
               "operands of the convolutions");

static ring_conv conv_sizes(const int64_t *arg) {
    const int64_t *a = arg + SEQ_ARG_CONV2D_B;
    return (ring_conv){(size_t)a[0],  (size_t)a[1],  (size_t)a[2], (size_t)a[3], (size_t)a[4],
                       (size_t)a[5],  (size_t)a[6],  (size_t)a[7], (size_t)a[8], (size_t)a[9],
                       (size_t)a[10], (size_t)a[11], (size_t)a[12]};
}

static size_t input_size(const ring_conv *c) {
    return c->batch * c->cin * c->h * c->w;
}
static size_t weight_size(const ring_conv *c) {
    return c->cout * c->cin * c->kh * c->kw;
}
static size_t output_size(const ring_conv *c) {
    return c->batch * c->cout * c->oh * c->ow;
}

/* Slices of conv and conv_dx are images; conv_dw sums over them and has one slice. */
static void conv(const seq_task *t, size_t first, size_t count, void *d, const ring_term *terms,
                 size_t terms_count) {
    ring_conv c = conv_sizes(t->call.arg);
    ring_term part[BILINEAR_TERMS];
    c.batch = 1;
    void *out = part_of(t, d, first, output_size(&c));
    parts_of(t, part, terms, terms_count, first, input_size(&c));
    c.batch = count;
    t->env->ring->conv(out, part, terms_count, &c, 0, t->env->pool);
}

static void conv_dx(const seq_task *t, size_t first, size_t count, void *d, const ring_term *terms,
                    size_t terms_count) {
    ring_conv c = conv_sizes(t->call.arg);
    ring_term part[BILINEAR_TERMS];
    c.batch = 1;
    void *out = part_of(t, d, first, input_size(&c));
    parts_of(t, part, terms, terms_count, first, output_size(&c));
    c.batch = count;
    t->env->ring->conv_dx(out, part, terms_count, &c, 0, t->env->pool);
}

static void conv_dw(const seq_task *t, size_t first, size_t count, void *d, const ring_term *terms,
                    size_t terms_count) {
    const ring_conv c = conv_sizes(t->call.arg);
    (void)first, (void)count;
    t->env->ring->conv_dw(d, terms, terms_count, &c, 0, t->env->pool);
}

/* Sums have the operands of their products, and one more. */
#define SAME(op)                                                                                   \
    _Static_assert((int)SEQ_ARG_##op##_ADD_d == (int)SEQ_ARG_##op##_d &&                           \
                       (int)SEQ_ARG_##op##_ADD_mode == (int)SEQ_ARG_##op##_mode &&                 \
                       (int)SEQ_ARG_##op##_mode == (int)SEQ_ARG_##op##_m + 1 &&                    \
                       (int)SEQ_ARG_##op##_ADD_e == (int)SEQ_ARG_##op##_mode + 1,                  \
                   "operands of products and sums")
SAME(MATMUL);
SAME(CONV2D);
SAME(CONV2D_DX);
SAME(CONV2D_DW);

static void matmul_of(const int64_t *arg, bilinear *b) {
    const size_t m = (size_t)arg[SEQ_ARG_MATMUL_M], k = (size_t)arg[SEQ_ARG_MATMUL_K];
    const size_t n = (size_t)arg[SEQ_ARG_MATMUL_N];
    *b = (bilinear){gemm,
                    SEQ_ARG_MATMUL_a,
                    SEQ_ARG_MATMUL_b,
                    SEQ_ARG_MATMUL_d,
                    SEQ_ARG_MATMUL_mode,
                    m * k,
                    k * n,
                    m * n,
                    arg[SEQ_ARG_MATMUL_ta] ? 1 : m};
}

int bilinear_is(unsigned op) {
    switch (op) {
    case SEQ_OP_MATMUL:
    case SEQ_OP_MATMUL_ADD:
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_ADD:
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DX_ADD:
    case SEQ_OP_CONV2D_DW:
    case SEQ_OP_CONV2D_DW_ADD:
        return 1;
    default:
        return 0;
    }
}

void bilinear_of(const seq_call *call, bilinear *b) {
    const ring_conv c = conv_sizes(call->arg);
    switch (call->op) {
    case SEQ_OP_MATMUL:
    case SEQ_OP_MATMUL_ADD:
        matmul_of(call->arg, b);
        return;
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_ADD:
        *b = (bilinear){.f = conv,
                        .x = SEQ_ARG_CONV2D_x,
                        .y = SEQ_ARG_CONV2D_w,
                        .d = SEQ_ARG_CONV2D_d,
                        .mode = SEQ_ARG_CONV2D_mode,
                        .x_size = input_size(&c),
                        .y_size = weight_size(&c),
                        .size = output_size(&c),
                        .slices = c.batch};
        return;
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DX_ADD:
        *b = (bilinear){.f = conv_dx,
                        .x = SEQ_ARG_CONV2D_DX_g,
                        .y = SEQ_ARG_CONV2D_DX_w,
                        .d = SEQ_ARG_CONV2D_DX_d,
                        .mode = SEQ_ARG_CONV2D_DX_mode,
                        .x_size = output_size(&c),
                        .y_size = weight_size(&c),
                        .size = input_size(&c),
                        .slices = c.batch};
        return;
    default:
        *b = (bilinear){.f = conv_dw,
                        .x = SEQ_ARG_CONV2D_DW_g,
                        .y = SEQ_ARG_CONV2D_DW_x,
                        .d = SEQ_ARG_CONV2D_DW_d,
                        .mode = SEQ_ARG_CONV2D_DW_mode,
                        .x_size = output_size(&c),
                        .y_size = input_size(&c),
                        .size = weight_size(&c),
                        .slices = 1};
    }
}

size_t bilinear_sum_size(const bilinear *b) {
    return b->x_size < b->y_size ? b->x_size : b->y_size;
}

typedef struct {
    const ring_ops *ring;
    uint8_t *d;
    const uint8_t *a, *b;
} addition;

static void add_range(void *arg, size_t begin, size_t end) {
    const addition *x = arg;
    const size_t at = begin * x->ring->word;
    x->ring->add(x->d + at, x->a + at, x->b + at, end - begin);
}

enum { ADDED_AT_ONCE = 1 << 14 }; /* elements: less does not pay for waking a thread */

void bilinear_add(const seq_task *t, void *d, const void *a, const void *b, size_t n) {
    addition job = {t->env->ring, d, a, b};
    par_for(t->env->pool, n, ADDED_AT_ONCE, add_range, &job);
}

void bilinear_share_terms(const seq_task *t, const bilinear *b, void *sum,
                          ring_term terms[BILINEAR_TERMS]) {
    const seq_reg *x = &t->call.reg[b->x], *y = &t->call.reg[b->y];
    const int first = b->x_size < b->y_size;
    const seq_reg *added = first ? x : y;
    bilinear_add(t, sum, added->c[0], added->c[1], bilinear_sum_size(b));
    terms[0] = first ? (ring_term){sum, y->c[0]} : (ring_term){x->c[0], sum};
    terms[1] = first ? (ring_term){x->c[0], y->c[1]} : (ring_term){x->c[1], y->c[0]};
}
