/* The maps themselves, and their sizes. */
#include "bilinear.h"

/* Part `first` of d or a, where parts have `size` elements. */
#define PART(p, size) ((p) + first * (size) * t->env->ring->word)

/* Slices are rows, or everything if a is stored transposed. */
static void gemm(const seq_task *t, size_t first, size_t count, void *d, const void *a,
                 const void *b, int accumulate) {
    const int64_t *arg = t->call.arg;
    const int ta = (int)arg[SEQ_ARG_MATMUL_ta];
    const ring_gemm g = {ta ? (size_t)arg[SEQ_ARG_MATMUL_M] : count, (size_t)arg[SEQ_ARG_MATMUL_K],
                         (size_t)arg[SEQ_ARG_MATMUL_N], ta, (int)arg[SEQ_ARG_MATMUL_tb]};
    t->env->ring->gemm(PART((uint8_t *)d, g.n), PART((const uint8_t *)a, g.k), b, &g, accumulate,
                       t->env->pool);
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
static void conv(const seq_task *t, size_t first, size_t count, void *d, const void *a,
                 const void *b, int accumulate) {
    ring_conv c = conv_sizes(t->call.arg);
    c.batch = 1;
    uint8_t *out = PART((uint8_t *)d, output_size(&c));
    const uint8_t *x = PART((const uint8_t *)a, input_size(&c));
    c.batch = count;
    t->env->ring->conv(out, x, b, &c, accumulate, t->env->pool);
}

static void conv_dx(const seq_task *t, size_t first, size_t count, void *d, const void *a,
                    const void *b, int accumulate) {
    ring_conv c = conv_sizes(t->call.arg);
    c.batch = 1;
    uint8_t *out = PART((uint8_t *)d, input_size(&c));
    const uint8_t *g = PART((const uint8_t *)a, output_size(&c));
    c.batch = count;
    t->env->ring->conv_dx(out, g, b, &c, accumulate, t->env->pool);
}

static void conv_dw(const seq_task *t, size_t first, size_t count, void *d, const void *a,
                    const void *b, int accumulate) {
    const ring_conv c = conv_sizes(t->call.arg);
    (void)first, (void)count;
    t->env->ring->conv_dw(d, a, b, &c, accumulate, t->env->pool);
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
