/* semi2k: products of masks, by lattice encryption between each pair of parties. See semi2k.h. */

#include "semi2k.h"

#include "bilinear.h"

/* ---- what a call multiplies, as a correlation of images by kernels ---- */

typedef struct {
    lattice_product map;
    unsigned image, kernel; /* operands */
} factors;

static void matmul_factors(const int64_t *arg, factors *f) {
    const ptrdiff_t m = arg[SEQ_ARG_MATMUL_M], k = arg[SEQ_ARG_MATMUL_K], n = arg[SEQ_ARG_MATMUL_N];
    const int ta = arg[SEQ_ARG_MATMUL_ta] != 0, tb = arg[SEQ_ARG_MATMUL_tb] != 0;
    const lattice_view one = {.dilation = {1, 1}, .size = {1, 1}};
    lattice_product *x = &f->map;
    f->image = SEQ_ARG_MATMUL_a;
    f->kernel = SEQ_ARG_MATMUL_b;
    x->shape = (lattice_shape){(size_t)m, (size_t)n, (size_t)k, 1, 1, 1, 1, 1, 1, 1, 1};
    x->image = x->kernel = one;
    x->image.outer = ta ? 1 : k;
    x->image.channel = ta ? m : 1;
    x->kernel.outer = tb ? k : 1;
    x->kernel.channel = tb ? 1 : n;
    x->stride[0] = (size_t)n;
    x->stride[1] = 1;
}

/* Sizes of a convolution; those of its gradients are at the same places (bilinear.c). */
typedef struct {
    ptrdiff_t b, c, h, w, o, kh, kw, oh, ow, sh, sw, ph, pw;
} sizes;

static lattice_view planes(ptrdiff_t outer, ptrdiff_t channel, ptrdiff_t rows, ptrdiff_t columns) {
    return (lattice_view){.outer = outer * rows * columns,
                          .channel = channel * rows * columns,
                          .row = columns,
                          .column = 1,
                          .dilation = {1, 1},
                          .size = {(size_t)rows, (size_t)columns}};
}

static void dilate(lattice_view *v, ptrdiff_t sh, ptrdiff_t sw) {
    v->dilation[0] = (size_t)sh;
    v->dilation[1] = (size_t)sw;
}

static void pad(lattice_view *v, ptrdiff_t ph, ptrdiff_t pw) {
    v->pad[0] = ph;
    v->pad[1] = pw;
}

/* Images are x, padded, kernels w. */
static void conv_factors(const sizes *s, factors *f) {
    lattice_product *x = &f->map;
    f->image = SEQ_ARG_CONV2D_x;
    f->kernel = SEQ_ARG_CONV2D_w;
    x->shape = (lattice_shape){(size_t)s->b,
                               (size_t)s->o,
                               (size_t)s->c,
                               (size_t)((s->oh - 1) * s->sh + s->kh),
                               (size_t)((s->ow - 1) * s->sw + s->kw),
                               (size_t)s->kh,
                               (size_t)s->kw,
                               (size_t)s->oh,
                               (size_t)s->ow,
                               (size_t)s->sh,
                               (size_t)s->sw};
    x->image = planes(s->c, 1, s->h, s->w);
    pad(&x->image, s->ph, s->pw);
    x->kernel = planes(s->c, 1, s->kh, s->kw);
    const lattice_view d = planes(s->o, 1, s->oh, s->ow);
    const size_t stride[4] = {(size_t)d.outer, (size_t)d.channel, (size_t)s->ow, 1};
    memcpy(x->stride, stride, sizeof stride);
}

/* Images are g, whose elements lie a step apart, kernels w backwards. */
static void dx_factors(const sizes *s, factors *f) {
    lattice_product *x = &f->map;
    f->image = SEQ_ARG_CONV2D_DX_g;
    f->kernel = SEQ_ARG_CONV2D_DX_w;
    x->shape = (lattice_shape){(size_t)s->b,
                               (size_t)s->c,
                               (size_t)s->o,
                               (size_t)(s->h + s->kh - 1),
                               (size_t)(s->w + s->kw - 1),
                               (size_t)s->kh,
                               (size_t)s->kw,
                               (size_t)s->h,
                               (size_t)s->w,
                               1,
                               1};
    x->image = planes(s->o, 1, s->oh, s->ow);
    pad(&x->image, s->kh - 1 - s->ph, s->kw - 1 - s->pw);
    dilate(&x->image, s->sh, s->sw);
    x->kernel = planes(1, s->c, s->kh, s->kw);
    x->kernel.base = s->kh * s->kw - 1;
    x->kernel.row = -s->kw;
    x->kernel.column = -1;
    const lattice_view d = planes(s->c, 1, s->h, s->w);
    const size_t stride[4] = {(size_t)d.outer, (size_t)d.channel, (size_t)s->w, 1};
    memcpy(x->stride, stride, sizeof stride);
}

/* Images are x by channels, kernels g by channels, a step apart; channels are those of the batch.
 */
static void dw_factors(const sizes *s, factors *f) {
    lattice_product *x = &f->map;
    const ptrdiff_t gh = (s->oh - 1) * s->sh + 1, gw = (s->ow - 1) * s->sw + 1;
    f->image = SEQ_ARG_CONV2D_DW_x;
    f->kernel = SEQ_ARG_CONV2D_DW_g;
    x->shape = (lattice_shape){(size_t)s->c,
                               (size_t)s->o,
                               (size_t)s->b,
                               (size_t)(gh + s->kh - 1),
                               (size_t)(gw + s->kw - 1),
                               (size_t)gh,
                               (size_t)gw,
                               (size_t)s->kh,
                               (size_t)s->kw,
                               1,
                               1};
    x->image = planes(1, s->c, s->h, s->w);
    pad(&x->image, s->ph, s->pw);
    x->kernel = planes(1, s->o, s->oh, s->ow);
    dilate(&x->kernel, s->sh, s->sw);
    const lattice_view d = planes(1, s->c, s->kh, s->kw);
    const size_t stride[4] = {(size_t)d.outer, (size_t)d.channel, (size_t)s->kw, 1};
    memcpy(x->stride, stride, sizeof stride);
}

static void factors_of(const seq_call *call, factors *f) {
    const int64_t *a = call->arg + SEQ_ARG_CONV2D_B;
    const sizes s = {a[0], a[1], a[2], a[3],  a[4],  a[5], a[6],
                     a[7], a[8], a[9], a[10], a[11], a[12]};
    memset(f, 0, sizeof *f);
    switch (call->op) {
    case SEQ_OP_MATMUL:
    case SEQ_OP_MATMUL_ADD:
        matmul_factors(call->arg, f);
        return;
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_ADD:
        conv_factors(&s, f);
        return;
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DX_ADD:
        dx_factors(&s, f);
        return;
    default:
        dw_factors(&s, f);
    }
}

/* ---- the machine ---- */

typedef struct {
    bilinear map;
    factors f;
    int empty;   /* sums of no terms */
    uint64_t *z; /* my summand of the product */
    masked_keys own;
    prg_key shared;
} product_state;

static int sums_nothing(const lattice_shape *s) {
    return !s->r || !s->kh || !s->kw;
}

/* Add what I can compute alone: D_x D_y (party 0), D_x M_y + M_x D_y and the product of my masks.
 */
static int own_summand(seq_task *t, product_state *p) {
    const bilinear *b = &p->map;
    const ring_ops *ring = t->env->ring;
    const seq_reg *x = &t->call.reg[b->x], *y = &t->call.reg[b->y];
    void *sum = task_scratch(t, b->y_size * ring->word + 64);
    void *own = task_scratch(t, b->size * ring->word + 64);
    if (!sum || !own)
        return -1;
    bilinear_add(t, sum, y->c[0], y->c[1], b->y_size);
    const ring_term terms[BILINEAR_TERMS] = {{x->c[0], t->env->me == 0 ? sum : y->c[1]},
                                             {x->c[1], sum}};
    b->f(t, 0, b->slices, own, terms, BILINEAR_TERMS);
    ring->add(p->z, p->z, own, b->size);
    const int sums = t->call.op >= SEQ_OP_MUL_ADD;
    for (unsigned k = t->env->me == 0 ? 0 : 1; sums && k < 2; k++)
        ring->add(p->z, p->z, t->call.reg[b->mode + 1].c[k], b->size);
    return 0;
}

/* The mask of the operand that is encrypted, or of the other one. */
static const uint64_t *mask_of(const seq_task *t, const product_state *p, int encrypted) {
    const int image = p->f.map.plan.image ? encrypted : !encrypted;
    return t->call.reg[image ? p->f.image : p->f.kernel].c[1];
}

static int lattice_status(seq_task *t, int status, unsigned peer) {
    if (status == -2)
        return task_fail(t, SEQ_ERR_PEER, (int)peer, "party %u sent what is no ciphertext", peer);
    if (status)
        return task_fail(t, SEQ_ERR_MEMORY, -1, "no memory to encrypt a product's masks");
    return 0;
}

/* My mask encrypted, the same to all. */
static int send_requests(seq_task *t, product_state *p) {
    const unsigned n = t->env->parties, me = t->env->me;
    const size_t bytes = p->f.map.plan.request;
    uint8_t *first = NULL;
    task_prepares(t);
    for (unsigned j = 0; j < n; j++) {
        uint8_t *frame = j == me ? NULL : task_send(t, j, bytes);
        if (j == me)
            continue;
        if (!frame)
            return TASK_ERROR;
        task_expect(t, j, bytes);
        if (first) {
            memcpy(frame, first, bytes);
            continue;
        }
        first = frame;
        if (lattice_status(t,
                           lattice_request(&p->f.map, &semi2k_of(t)->key, &p->shared,
                                           &p->own.part[me], SEMI2K_REQUEST + me, mask_of(t, p, 1),
                                           frame, t->env->pool),
                           me))
            return TASK_ERROR;
    }
    return TASK_WAIT;
}

static int send_replies(seq_task *t, product_state *p) {
    const unsigned n = t->env->parties, me = t->env->me;
    const size_t bytes = p->f.map.plan.reply;
    task_prepares(t);
    for (unsigned j = 0; j < n; j++) {
        uint8_t *frame = j == me ? NULL : task_send(t, j, bytes);
        if (j == me)
            continue;
        if (!frame)
            return TASK_ERROR;
        task_expect(t, j, bytes);
        task_known(task_received(t, j), p->f.map.plan.request); /* a ciphertext, to be checked */
        if (lattice_status(t,
                           lattice_reply(&p->f.map, task_received(t, j), &p->shared,
                                         SEMI2K_REQUEST + j, &p->own.part[me], SEMI2K_REPLY + 4 * j,
                                         mask_of(t, p, 0), p->z, frame, t->env->pool),
                           j))
            return TASK_ERROR;
    }
    return TASK_WAIT;
}

/* Summands of the products of masks are there: round all. */
static int round_product(seq_task *t, product_state *p) {
    const bilinear *b = &p->map;
    if (!p->empty)
        task_keep(t, p->z, b->size * t->env->ring->word);
    if (t->env->phase != SEQ_PREPARE && own_summand(t, p))
        return TASK_ERROR;
    seq_call sub = masked_trunc_of(&t->call, b->mode, b->size, p->z, &t->call.reg[b->d]);
    prg_wipe(&p->own, sizeof p->own);
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

static int take_replies(seq_task *t, product_state *p) {
    for (unsigned j = 0; !task_prepared(t) && j < t->env->parties; j++)
        if (j != t->env->me &&
            lattice_status(t,
                           lattice_finish(&p->f.map, &semi2k_of(t)->key, task_received(t, j), p->z,
                                          t->env->pool),
                           j))
            return TASK_ERROR;
    return round_product(t, p);
}

static int bilinear_begin(seq_task *t, product_state *p) {
    bilinear_of(&t->call, &p->map);
    factors_of(&t->call, &p->f);
    p->empty = sums_nothing(&p->f.map.shape);
    masked_keys_of(&p->own, t);
    prg_derive(&p->shared, &semi2k_of(t)->masked.common, t->call.instance, t->call.sub);
    const size_t bytes = p->map.size * t->env->ring->word;
    p->z = task_scratch(t, bytes + 64);
    if (!p->z)
        return -1;
    memset(p->z, 0, bytes);
    if (!p->empty)
        (void)lattice_make_plan(&p->f.map.shape, &p->f.map.plan);
    return 0;
}

static int bilinear_step(seq_task *t) {
    product_state *p = t->state;
    if (t->step_no == 0) {
        if (bilinear_begin(t, p))
            return TASK_ERROR;
        t->step_no = p->empty || task_prepared(t) ? 2 : 0;
    }
    switch (t->step_no) {
    case 0:
        return send_requests(t, p);
    case 1:
        return send_replies(t, p);
    case 2:
        return p->empty ? round_product(t, p) : take_replies(t, p);
    default:
        return TASK_DONE;
    }
}

void semi2k_start_bilinear(seq_vm *vm, const seq_call *call) {
    bilinear b;
    factors f;
    lattice_plan plan = {0};
    bilinear_of(call, &b);
    factors_of(call, &f);
    const int exchange = b.size && !sums_nothing(&f.map.shape);
    if (exchange && (!lattice_make_plan(&f.map.shape, &plan) || plan.request > SEMI2K_FRAME ||
                     plan.reply > SEMI2K_FRAME)) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "semi2k multiplies images of at most %d elements with their padding, by "
                      "messages of at most %llu bytes; this product is larger",
                      LATTICE_N, (unsigned long long)SEMI2K_FRAME);
        return;
    }
    call_rounds(vm, call,
                b.size ? vm_rounds(vm, exchange ? 2 : 0, 0) +
                             semi2k_round_rounds(vm, call->arg[b.mode - 1], call->arg[b.mode], 1)
                       : 0);
    if (b.size)
        task_create(vm, call, 0, 0, b.size, bilinear_step, sizeof(product_state));
}

uint64_t semi2k_product_scratch(const seq_env *env, const seq_call *call) {
    bilinear b;
    factors f;
    bilinear_of(call, &b);
    factors_of(call, &f);
    if (!b.size || sums_nothing(&f.map.shape) || !lattice_make_plan(&f.map.shape, &f.map.plan))
        return 1 << 20;
    const lattice_plan *p = &f.map.plan;
    const double others = env->parties - 1, blocks = (double)p->ciphertexts;
    const double request = (double)p->request, reply = (double)p->reply;
    return (uint64_t)(2 * others * (request + reply) +
                      blocks * (2 * LATTICE_PRIMES + 1) * LATTICE_N * 8 +
                      (double)env->ring->word * (4 * (double)b.size + (double)b.y_size));
}
