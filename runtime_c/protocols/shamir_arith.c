/* shamir: products and roundings. See shamir.h. */

#include "shamir.h"

/* ---- rounding: a king learns the value, hidden by what t dealers know, and deals the rest of it
 * again; carries among the low bits of t or t + 1 numbers are added on bits ---- */

typedef struct {
    shamir_exchange x;
    shamir_part part;
    unsigned m, nearest, summed; /* summed: carries of more than one number matter */
    field *z, *opened, *high, *value, *highs[SHAMIR_T], *masks[SHAMIR_T];
    shamir_block *dealt, *mine;
    shamir_adder adder;
    shamir_convert convert;
    unsigned converting;
} round_state;

/* Numbers whose low bits are added, and bits that count their carries. */
static unsigned low_numbers(unsigned t, unsigned nearest) {
    return t + nearest;
}

static unsigned carry_bits(unsigned numbers) {
    unsigned bits = 0;
    while (1u << bits < numbers) /* at most numbers - 1 carries */
        bits++;
    return bits;
}

static unsigned round_rounds(unsigned t, unsigned m, unsigned nearest) {
    const unsigned numbers = low_numbers(t, nearest);
    if (numbers == 1)
        return 2;
    return 3 + 2 * shamir_adder_levels(SHAMIR_SUM, numbers, m + carry_bits(numbers)) +
           2 * shamir_convert_levels(t + 1);
}

static int round_alloc(seq_task *t, round_state *s) {
    const shamir_state *sh = shamir_of(t);
    const size_t n = s->part.count * sizeof(field) + 64;
    const size_t plane = s->part.words * sizeof(shamir_block);
    s->z = task_scratch(t, n);
    s->opened = task_scratch(t, n);
    s->high = task_scratch(t, n);
    s->value = task_scratch(t, n);
    for (unsigned j = 0; j < sh->t; j++) {
        s->highs[j] = task_scratch(t, n);
        s->masks[j] = task_scratch(t, n);
        if (!s->highs[j] || !s->masks[j])
            return -1;
    }
    if (!s->z || !s->opened || !s->high || !s->value)
        return -1;
    if (!s->summed)
        return 0;
    s->mine = task_scratch(t, s->m * plane + 64);
    s->dealt = task_scratch(t, (sh->t + 1) * s->m * plane + 64);
    for (unsigned j = 0; j < s->adder.numbers; j++)
        if (!(s->adder.number[j] = task_scratch(t, s->adder.width * plane + 64)))
            return -1;
    return s->mine && s->dealt ? shamir_adder_alloc(t, &s->adder) : -1;
}

/* What I deal as a dealer of part q: r of 124 bits, and r = 2^m h + u or (nearest) 2^m h - u. */
static void draw_masks(seq_task *t, round_state *s, unsigned q) {
    const size_t at = s->part.at[q], n = s->part.elements[q];
    const field low = ((field)1 << s->m) - 1;
    field *u = s->opened; /* not needed yet */
    prg_words(&s->x.own, 0, 2 * at, (uint64_t *)u, 2 * n);
    for (size_t i = 0; i < n; i++) {
        const field r = u[i] >> (128 - SHAMIR_MASK_BITS);
        u[i] = r & low;
        s->high[at + i] = (r >> s->m) + s->nearest;
        s->value[at + i] = s->nearest ? (s->high[at + i] << s->m) - u[i] : r;
    }
    if (s->summed)
        shamir_spread(t->env, s->mine + s->part.word[q] * s->m, s->part.blocks[q], s->m, u, n);
}

static shamir_item numbers_item(unsigned kind, unsigned who, size_t count) {
    return (shamir_item){.kind = kind, .type = SHAMIR_NUMBER, .who = who, .count = count};
}

/* Low bits that `who` deals for part q as the j-th of the numbers to be added. */
static void deal_low(round_state *s, unsigned who, unsigned q, unsigned j,
                     const shamir_block *value) {
    shamir_add(&s->x,
               (shamir_item){.kind = SHAMIR_DEAL,
                             .type = SHAMIR_BITS,
                             .who = who,
                             .count = s->m * s->part.blocks[q],
                             .value = value,
                             .out = s->dealt + (j * s->part.words + s->part.word[q]) * s->m});
}

static int round_begin(seq_task *t) {
    round_state *s = t->state;
    const shamir_state *sh = shamir_of(t);
    const unsigned me = t->env->me, core = sh->core;
    const field half = s->nearest ? (field)1 << (s->m - 1) : 0;
    const field offset = ((field)1 << t->env->ring_bits) + half;
    const field *a = (const field *)t->call.reg[SEQ_ARG_TRUNC_a].c[0] + s->part.first;
    if (round_alloc(t, s))
        return TASK_ERROR;
    shamir_keys(&s->x, t);
    for (size_t i = 0; i < s->part.count; i++)
        s->z[i] = field_add(a[i], offset);
    for (unsigned q = 0; q < core; q++) {
        const size_t at = s->part.at[q], n = s->part.elements[q];
        for (unsigned j = 0; j < sh->t; j++) {
            const unsigned dealer = (q + j + 1) % core;
            shamir_item mask = numbers_item(SHAMIR_MASK, dealer, n);
            shamir_item high = numbers_item(SHAMIR_DEAL, dealer, n);
            if (dealer == me)
                draw_masks(t, s, q);
            mask.value = s->value + at;
            mask.out2 = s->masks[j] + at;
            high.value = s->high + at;
            high.out = s->highs[j] + at;
            shamir_add(&s->x, mask);
            shamir_add(&s->x, high);
            if (s->summed)
                deal_low(s, dealer, q, j, s->mine + s->part.word[q] * s->m);
        }
        shamir_item king = numbers_item(SHAMIR_KING, q, n);
        king.value = s->z + at;
        king.out = s->opened;
        shamir_add(&s->x, king);
    }
    if (shamir_deal(&s->x))
        return TASK_ERROR;
    for (unsigned j = 0; me < core && j < sh->t; j++)
        t->env->ring->add(s->z, s->z, s->masks[j], s->part.count);
    shamir_send(&s->x);
    return TASK_WAIT;
}

/* Kings deal the high bits of what they learnt, and (nearest) the low ones. */
static int round_return(seq_task *t) {
    round_state *s = t->state;
    const unsigned core = shamir_of(t)->core, me = t->env->me;
    shamir_take(&s->x);
    if (me < core) {
        const size_t n = s->part.elements[me];
        if (s->nearest)
            shamir_spread(t->env, s->mine, s->part.blocks[me], s->m, s->opened, n);
        t->env->ring->shr(s->opened, s->opened, s->m, n);
    }
    for (unsigned q = 0; q < core; q++) {
        shamir_item high = numbers_item(SHAMIR_DEAL, q, s->part.elements[q]);
        high.value = s->opened;
        high.out = s->z + s->part.at[q];
        shamir_add(&s->x, high);
        if (s->nearest)
            deal_low(s, q, q, shamir_of(t)->t, s->mine);
    }
    return shamir_deal(&s->x) ? TASK_ERROR : TASK_WAIT;
}

/* The result but for the carries of low bits. */
static void round_high(seq_task *t) {
    round_state *s = t->state;
    const field offset = (field)1 << (t->env->ring_bits - s->m);
    shamir_take(&s->x);
    for (unsigned j = 0; j < shamir_of(t)->t; j++)
        t->env->ring->sub(s->z, s->z, s->highs[j], s->part.count);
    for (size_t i = 0; i < s->part.count; i++)
        s->z[i] = field_sub(s->z[i], offset);
}

/* The numbers whose low bits are added: planes of the whole task, with zeros above. */
static void begin_sum(seq_task *t) {
    round_state *s = t->state;
    const size_t words = s->part.words;
    for (unsigned j = 0; j < s->adder.numbers; j++) {
        shamir_block *d = s->adder.number[j];
        memset(d, 0, s->adder.width * words * sizeof *d);
        for (unsigned q = 0; q < shamir_of(t)->core; q++)
            for (unsigned i = 0; i < s->m; i++)
                memcpy(d + i * words + s->part.word[q],
                       s->dealt + (j * words + s->part.word[q]) * s->m + i * s->part.blocks[q],
                       s->part.blocks[q] * sizeof *d);
    }
}

static int round_store(seq_task *t) {
    round_state *s = t->state;
    memcpy((field *)t->call.reg[SEQ_ARG_TRUNC_d].c[0] + s->part.first, s->z,
           s->part.count * sizeof(field));
    return TASK_DONE;
}

/* Add (nearest) or subtract the number of carries, bit by bit. */
static int add_carries(seq_task *t) {
    round_state *s = t->state;
    const unsigned planes = (unsigned)s->convert.planes;
    for (unsigned q = 0; q < shamir_of(t)->core; q++)
        for (unsigned i = 0; i < planes; i++) {
            const size_t at = s->part.at[q], n = s->part.elements[q];
            field *bit = s->convert.known[0] + planes * at + i * n;
            t->env->ring->muli(bit, bit, (s->nearest ? 1 : -1) * (int64_t)(1u << i), n);
            t->env->ring->add(s->z + at, s->z + at, bit, n);
        }
    return round_store(t);
}

static int begin_convert(seq_task *t) {
    round_state *s = t->state;
    s->converting = 1;
    s->convert.part = s->part;
    s->convert.planes = s->adder.width - s->m;
    s->convert.bits = shamir_adder_plane(&s->adder, s->m);
    return shamir_convert_alloc(t, &s->convert, shamir_of(t)->t + 1)
               ? TASK_ERROR
               : shamir_convert_step(&s->x, &s->convert, 1);
}

/* Of shares of degree 2 t or less. */
static int round_step(seq_task *t) {
    round_state *s = t->state;
    int status;
    if (t->step_no == 0) {
        const unsigned degree = shamir_of(t)->t;
        shamir_partition(&s->part, t, (size_t)t->call.arg[SEQ_ARG_TRUNC_n]);
        s->m = (unsigned)t->call.arg[SEQ_ARG_TRUNC_m];
        s->nearest = t->call.arg[SEQ_ARG_TRUNC_mode] != 0;
        s->adder.numbers = low_numbers(degree, s->nearest);
        s->summed = s->adder.numbers > 1;
        s->adder.width = s->m + carry_bits(s->adder.numbers);
        s->adder.first = s->m;
        s->adder.words = s->part.words;
        return round_begin(t);
    }
    if (t->step_no == 1)
        return round_return(t);
    if (t->step_no == 2) {
        round_high(t);
        if (!s->summed)
            return round_store(t);
        begin_sum(t);
    }
    if (s->converting) {
        status = shamir_convert_step(&s->x, &s->convert, 0);
        return status == TASK_DONE ? add_carries(t) : status;
    }
    status = shamir_adder_step(&s->x, &s->adder, t->step_no == 2);
    return status == TASK_DONE ? begin_convert(t) : status;
}

/* ---- the same without rounding: a multiplication ---- */

typedef struct {
    shamir_exchange x;
    shamir_product product;
} reshare_state;

static int reshare_step(seq_task *t) {
    reshare_state *s = t->state;
    shamir_part part;
    shamir_partition(&part, t, (size_t)t->call.arg[SEQ_ARG_TRUNC_n]);
    if (t->step_no == 1)
        return shamir_return(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
    if (t->step_no == 2) {
        shamir_finish(&s->x, &s->product);
        memcpy((field *)t->call.reg[SEQ_ARG_TRUNC_d].c[0] + part.first, s->product.z,
               part.count * sizeof(field));
        return TASK_DONE;
    }
    s->product.z = task_scratch(t, part.count * sizeof(field) + 64);
    if (!s->product.z || shamir_product_alloc(t, &s->product, SHAMIR_NUMBER, part.count))
        return TASK_ERROR;
    memcpy(s->product.z, (const field *)t->call.reg[SEQ_ARG_TRUNC_a].c[0] + part.first,
           part.count * sizeof(field));
    s->product.n = part.count;
    shamir_keys(&s->x, t);
    return shamir_multiply(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
}

static unsigned finish_rounds(const seq_vm *vm, int64_t m, int64_t nearest) {
    return m ? round_rounds((vm_env(vm)->parties - 1) / 2, (unsigned)m, nearest != 0) : 2;
}

/* trunc; as a sub-machine also of shares of degree 2 t, and with m = 0. */
void shamir_start_trunc(seq_vm *vm, const seq_call *call) {
    const int64_t m = call->arg[SEQ_ARG_TRUNC_m], nearest = call->arg[SEQ_ARG_TRUNC_mode];
    shamir_start(vm, call, (size_t)call->arg[SEQ_ARG_TRUNC_n], finish_rounds(vm, m, nearest),
                 m ? round_step : reshare_step, m ? sizeof(round_state) : sizeof(reshare_state));
}

/* ---- products: local, then one number of degree 2 t for each output ---- */

_Static_assert(SEQ_OP_CONV2D_DW_ADD - SEQ_OP_MUL_ADD == SEQ_OP_CONV2D_DW - SEQ_OP_MUL,
               "sums are ordered like products");

ring_conv shamir_conv_of(const int64_t *a) {
    return (ring_conv){.batch = (size_t)a[SEQ_ARG_CONV2D_B],
                       .cin = (size_t)a[SEQ_ARG_CONV2D_C],
                       .h = (size_t)a[SEQ_ARG_CONV2D_H],
                       .w = (size_t)a[SEQ_ARG_CONV2D_W],
                       .cout = (size_t)a[SEQ_ARG_CONV2D_O],
                       .kh = (size_t)a[SEQ_ARG_CONV2D_KH],
                       .kw = (size_t)a[SEQ_ARG_CONV2D_KW],
                       .oh = (size_t)a[SEQ_ARG_CONV2D_OH],
                       .ow = (size_t)a[SEQ_ARG_CONV2D_OW],
                       .sh = (size_t)a[SEQ_ARG_CONV2D_SH],
                       .sw = (size_t)a[SEQ_ARG_CONV2D_SW],
                       .ph = (size_t)a[SEQ_ARG_CONV2D_PH],
                       .pw = (size_t)a[SEQ_ARG_CONV2D_PW]};
}

shamir_map shamir_map_of(const seq_call *c) {
    shamir_map p = {.op = c->op};
    const int sum = c->op >= SEQ_OP_MUL_ADD && c->op <= SEQ_OP_CONV2D_DW_ADD;
    if (sum)
        p.op = c->op - SEQ_OP_MUL_ADD + SEQ_OP_MUL;
    if (c->op == SEQ_OP_SELECT_KEPT) {
        p.n = (size_t)c->arg[SEQ_ARG_SELECT_KEPT_n];
    } else if (p.op == SEQ_OP_MUL) {
        p.n = (size_t)c->arg[SEQ_ARG_MUL_n];
        p.m = c->arg[SEQ_ARG_MUL_m];
        p.nearest = c->arg[SEQ_ARG_MUL_mode];
    } else if (p.op == SEQ_OP_MATMUL) {
        p.n = (size_t)(c->arg[SEQ_ARG_MATMUL_M] * c->arg[SEQ_ARG_MATMUL_N]);
        p.m = c->arg[SEQ_ARG_MATMUL_m];
        p.nearest = c->arg[SEQ_ARG_MATMUL_mode];
    } else {
        const ring_conv v = shamir_conv_of(c->arg);
        p.n = p.op == SEQ_OP_CONV2D      ? v.batch * v.cout * v.oh * v.ow
              : p.op == SEQ_OP_CONV2D_DX ? v.batch * v.cin * v.h * v.w
                                         : v.cout * v.cin * v.kh * v.kw;
        p.m = c->arg[SEQ_ARG_CONV2D_m];
        p.nearest = c->arg[SEQ_ARG_CONV2D_mode];
    }
    if (sum)
        p.e = c->reg[p.op == SEQ_OP_MUL      ? SEQ_ARG_MUL_ADD_e
                     : p.op == SEQ_OP_MATMUL ? SEQ_ARG_MATMUL_ADD_e
                                             : SEQ_ARG_CONV2D_ADD_e];
    return p;
}

void shamir_map_apply(const seq_task *t, const shamir_map *p, void *z) {
    const ring_ops *ring = t->env->ring;
    const seq_call *c = &t->call;
    const ring_conv v = shamir_conv_of(c->arg);
    const ring_term ab = {c->reg[SEQ_ARG_MUL_a].c[0], c->reg[SEQ_ARG_MUL_b].c[0]};
    if (c->op == SEQ_OP_SELECT_KEPT)
        ring->mul(z, c->reg[SEQ_ARG_SELECT_KEPT_k].c[0], c->reg[SEQ_ARG_SELECT_KEPT_a].c[0], p->n);
    else if (p->op == SEQ_OP_MUL)
        ring->mul(z, ab.a, ab.b, p->n);
    else if (p->op == SEQ_OP_MATMUL)
        ring->gemm(z, &ab, 1,
                   &(ring_gemm){.m = (size_t)c->arg[SEQ_ARG_MATMUL_M],
                                .k = (size_t)c->arg[SEQ_ARG_MATMUL_K],
                                .n = (size_t)c->arg[SEQ_ARG_MATMUL_N],
                                .ta = (int)c->arg[SEQ_ARG_MATMUL_ta],
                                .tb = (int)c->arg[SEQ_ARG_MATMUL_tb]},
                   0, t->env->pool);
    else if (p->op == SEQ_OP_CONV2D)
        ring->conv(z, &ab, 1, &v, 0, t->env->pool);
    else if (p->op == SEQ_OP_CONV2D_DX)
        ring->conv_dx(z, &ab, 1, &v, 0, t->env->pool);
    else
        ring->conv_dw(z, &ab, 1, &v, 0, t->env->pool);
    if (p->e.c[0])
        ring->add(z, z, p->e.c[0], p->n);
}

static int product_step(seq_task *t) {
    if (t->step_no)
        return TASK_DONE;
    const shamir_map p = shamir_map_of(&t->call);
    seq_call round = {.op = SEQ_OP_TRUNC};
    void *z = task_scratch(t, p.n * sizeof(field) + 64);
    if (!z)
        return TASK_ERROR;
    shamir_map_apply(t, &p, z);
    round.reg[SEQ_ARG_TRUNC_d] = t->call.reg[SEQ_ARG_MUL_d];
    round.reg[SEQ_ARG_TRUNC_a].c[0] = z;
    round.arg[SEQ_ARG_TRUNC_n] = (int64_t)p.n;
    round.arg[SEQ_ARG_TRUNC_m] = p.m;
    round.arg[SEQ_ARG_TRUNC_mode] = p.nearest;
    task_call(t, &round, 1);
    return TASK_WAIT;
}

void shamir_start_mul(seq_vm *vm, const seq_call *call) {
    const shamir_map p = shamir_map_of(call);
    call_rounds(vm, call, p.n ? finish_rounds(vm, p.m, p.nearest) : 0);
    if (p.n)
        task_create(vm, call, 0, 0, p.n, product_step, 0);
}

_Static_assert(SEQ_ARG_MUL_d == (int)SEQ_ARG_MATMUL_d && SEQ_ARG_MUL_a == (int)SEQ_ARG_MATMUL_a &&
                   SEQ_ARG_MUL_b == (int)SEQ_ARG_MATMUL_b &&
                   SEQ_ARG_MUL_d == (int)SEQ_ARG_CONV2D_d &&
                   SEQ_ARG_MUL_a == (int)SEQ_ARG_CONV2D_x &&
                   SEQ_ARG_MUL_b == (int)SEQ_ARG_CONV2D_w &&
                   SEQ_ARG_MUL_a == (int)SEQ_ARG_CONV2D_DX_g &&
                   SEQ_ARG_MUL_b == (int)SEQ_ARG_CONV2D_DW_x &&
                   SEQ_ARG_MUL_d == (int)SEQ_ARG_SELECT_KEPT_d,
               "handled alike");
