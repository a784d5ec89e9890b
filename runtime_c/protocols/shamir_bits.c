/* shamir: comparison, bit decomposition, gates, bits as numbers, selection. */

#include "shamir.h"

void shamir_spread(const seq_env *env, shamir_block *d, size_t words, unsigned width,
                   const field *value, size_t n) {
    enum { AT_ONCE = 8 * SHAMIR_PIECE };
    uint64_t plane[AT_ONCE / 64];
    memset(d, 0, width * words * sizeof *d);
    for (size_t at = 0; at < n; at += AT_ONCE) {
        const size_t count = n - at < AT_ONCE ? n - at : AT_ONCE;
        for (unsigned i = 0; i < width; i++) {
            env->bits->slice(plane, 0, value + at, 128, count, i, 1);
            for (size_t w = 0; w < (count + 63) / 64; w++)
                d[i * words + at / 64 + w].w[0] = plane[w];
        }
    }
    prg_wipe(plane, sizeof plane);
}

void shamir_load(shamir_block *d, const seq_reg *a, size_t word, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 4; k++)
            d[i].w[k] = ((const uint64_t *)a->c[k])[word + i];
}

void shamir_store(const seq_reg *d, size_t word, const shamir_block *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 4; k++)
            ((uint64_t *)d->c[k])[word + i] = from[i].w[k];
}

/* ---- comparisons: one party of each part learns the value, hidden by what t others know; the bits
 * of the value are those of the sum of t + 1 numbers that one party each knows ---- */

typedef struct {
    shamir_exchange x;
    shamir_part part;
    shamir_adder adder;
    field *hidden, *opened, *masks[SHAMIR_T], *mask;
    shamir_block *dealt, *mine;
} compare_state;

/* Blocks of `width` planes of part q, wherever they lie in an array of all parts. */
static size_t dealt_at(const compare_state *s, unsigned q) {
    return s->part.word[q] * s->adder.width;
}

static int compare_alloc(seq_task *t, compare_state *s) {
    const shamir_state *sh = shamir_of(t);
    const size_t n = s->part.count * sizeof(field) + 64;
    const size_t blocks = s->part.words * s->adder.width;
    s->hidden = task_scratch(t, n);
    s->opened = task_scratch(t, n);
    s->mask = task_scratch(t, n);
    s->mine = task_scratch(t, blocks * sizeof(shamir_block) + 64);
    s->dealt = task_scratch(t, (sh->t + 1) * blocks * sizeof(shamir_block) + 64);
    for (unsigned j = 0; j < sh->t; j++)
        if (!(s->masks[j] = task_scratch(t, n)))
            return -1;
    for (unsigned j = 0; j <= sh->t; j++)
        if (!(s->adder.number[j] = task_scratch(t, blocks * sizeof(shamir_block) + 64)))
            return -1;
    return s->hidden && s->opened && s->mask && s->mine && s->dealt
               ? shamir_adder_alloc(t, &s->adder)
               : -1;
}

/* The dealers of part q are q + 1, ..., q + t in the core: what I deal as one of them. r = 2^width
 * h - v with v uniform and 1 <= h <= 2^(124 - width). */
static void draw_masks(seq_task *t, compare_state *s, unsigned q) {
    const size_t at = s->part.at[q], n = s->part.elements[q];
    const unsigned width = s->adder.width;
    field *v = s->opened; /* not needed yet */
    prg_words(&s->x.own, 0, 2 * at, (uint64_t *)v, 2 * n);
    for (size_t i = 0; i < n; i++) {
        const field w = v[i] >> (128 - SHAMIR_MASK_BITS);
        v[i] = w & (((field)1 << width) - 1);
        s->mask[at + i] = (((w >> width) + 1) << width) - v[i];
    }
    shamir_spread(t->env, s->mine + dealt_at(s, q), s->part.blocks[q], width, v, n);
}

static int compare_begin(seq_task *t, const seq_reg *a) {
    compare_state *s = t->state;
    const shamir_state *sh = shamir_of(t);
    const unsigned me = t->env->me, core = sh->core, width = s->adder.width;
    const field offset = (field)1 << t->env->ring_bits;
    if (compare_alloc(t, s))
        return TASK_ERROR;
    shamir_keys(&s->x, t);
    for (size_t i = 0; i < s->part.count; i++)
        s->hidden[i] = field_add(((const field *)a->c[0])[s->part.first + i], offset);
    for (unsigned q = 0; q < core; q++) {
        const size_t at = s->part.at[q], n = s->part.elements[q];
        for (unsigned j = 1; j <= sh->t; j++) {
            const unsigned dealer = (q + j) % core;
            if (dealer == me)
                draw_masks(t, s, q);
            shamir_add(&s->x, (shamir_item){.kind = SHAMIR_MASK,
                                            .type = SHAMIR_NUMBER,
                                            .who = dealer,
                                            .count = n,
                                            .value = s->mask + at,
                                            .out2 = s->masks[j - 1] + at});
            shamir_add(&s->x,
                       (shamir_item){.kind = SHAMIR_DEAL,
                                     .type = SHAMIR_BITS,
                                     .who = dealer,
                                     .count = width * s->part.blocks[q],
                                     .value = s->mine + dealt_at(s, q),
                                     .out = s->dealt + j * width * s->part.words + dealt_at(s, q)});
        }
        shamir_add(&s->x, (shamir_item){.kind = SHAMIR_KING,
                                        .type = SHAMIR_NUMBER,
                                        .who = q,
                                        .count = n,
                                        .value = s->hidden + at,
                                        .out = s->opened});
    }
    if (shamir_deal(&s->x))
        return TASK_ERROR;
    for (unsigned j = 0; me < core && j < sh->t; j++)
        t->env->ring->add(s->hidden, s->hidden, s->masks[j], s->part.count);
    shamir_send(&s->x);
    return TASK_WAIT;
}

/* Kings deal the low bits of what they learnt. */
static int compare_deal(seq_task *t) {
    compare_state *s = t->state;
    const unsigned core = shamir_of(t)->core, me = t->env->me;
    shamir_take(&s->x);
    if (me < core)
        shamir_spread(t->env, s->mine, s->part.blocks[me], s->adder.width, s->opened,
                      s->part.elements[me]);
    for (unsigned q = 0; q < core; q++)
        shamir_add(&s->x, (shamir_item){.kind = SHAMIR_DEAL,
                                        .type = SHAMIR_BITS,
                                        .who = q,
                                        .count = s->adder.width * s->part.blocks[q],
                                        .value = s->mine,
                                        .out = s->dealt + dealt_at(s, q)});
    return shamir_deal(&s->x) ? TASK_ERROR : TASK_WAIT;
}

/* From what was dealt for each part to planes of the whole task. */
static void gather_planes(const shamir_part *part, unsigned core, unsigned width, shamir_block *d,
                          const shamir_block *dealt) {
    for (unsigned q = 0; q < core; q++)
        for (unsigned i = 0; i < width; i++)
            memcpy(d + i * part->words + part->word[q],
                   dealt + part->word[q] * width + i * part->blocks[q],
                   part->blocks[q] * sizeof *d);
}

static void compare_store(seq_task *t, const seq_reg *d) {
    compare_state *s = t->state;
    const size_t n = (size_t)t->call.arg[SEQ_ARG_LTZ_n];
    const unsigned single = t->call.op != SEQ_OP_A2B;
    for (unsigned i = 0; i < (single ? 1 : s->adder.width); i++)
        shamir_store(d, i * bits_plane_words(n) + t->begin,
                     shamir_adder_plane(&s->adder, single ? s->adder.width - 1 : i), s->part.words);
}

static int compare_step(seq_task *t) {
    compare_state *s = t->state;
    const shamir_state *sh = shamir_of(t);
    if (t->step_no == 0) {
        shamir_partition(&s->part, t, (size_t)t->call.arg[SEQ_ARG_LTZ_n]);
        s->adder.kind = t->call.op == SEQ_OP_EQZ ? SHAMIR_ZERO : SHAMIR_SUM;
        s->adder.numbers = sh->t + 1;
        s->adder.width = (unsigned)t->call.arg[SEQ_ARG_LTZ_bits];
        s->adder.first = t->call.op == SEQ_OP_LTZ ? s->adder.width - 1 : 0;
        s->adder.words = s->part.words;
        return compare_begin(t, &t->call.reg[SEQ_ARG_LTZ_a]);
    }
    if (t->step_no == 1)
        return compare_deal(t);
    if (t->step_no == 2) {
        shamir_take(&s->x);
        for (unsigned j = 0; j <= sh->t; j++)
            gather_planes(&s->part, sh->core, s->adder.width, s->adder.number[j],
                          s->dealt + j * s->adder.width * s->part.words);
    }
    const int status = shamir_adder_step(&s->x, &s->adder, t->step_no == 2);
    if (status == TASK_DONE)
        compare_store(t, &t->call.reg[SEQ_ARG_LTZ_d]);
    return status;
}

static void start_compare(seq_vm *vm, const seq_call *call, unsigned kind) {
    const unsigned numbers = (vm_env(vm)->parties - 1) / 2 + 1;
    const unsigned levels =
        shamir_adder_levels(kind, numbers, (unsigned)call->arg[SEQ_ARG_LTZ_bits]);
    shamir_start(vm, call, (size_t)call->arg[SEQ_ARG_LTZ_n], 2 + 2 * levels, compare_step,
                 sizeof(compare_state));
}

void shamir_start_ltz(seq_vm *vm, const seq_call *call) {
    start_compare(vm, call, SHAMIR_SUM);
}

void shamir_start_a2b(seq_vm *vm, const seq_call *call) {
    start_compare(vm, call, SHAMIR_SUM);
}

void shamir_start_eqz(seq_vm *vm, const seq_call *call) {
    start_compare(vm, call, SHAMIR_ZERO);
}

/* ---- and ---- */

typedef struct {
    shamir_exchange x;
    shamir_product product;
} and_state;

static int and_step(seq_task *t) {
    and_state *s = t->state;
    const size_t planes = (size_t)t->call.arg[SEQ_ARG_AND_p], words = t->end - t->begin;
    const size_t plane = bits_plane_words((size_t)t->call.arg[SEQ_ARG_AND_n]), n = planes * words;
    if (t->step_no == 1)
        return shamir_return(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
    if (t->step_no == 2) {
        shamir_finish(&s->x, &s->product);
        for (size_t p = 0; p < planes; p++)
            shamir_store(&t->call.reg[SEQ_ARG_AND_d], p * plane + t->begin,
                         (shamir_block *)s->product.z + p * words, words);
        return TASK_DONE;
    }
    shamir_block *a = task_scratch(t, n * sizeof *a + 64);
    shamir_block *b = task_scratch(t, n * sizeof *b + 64);
    if (!a || !b || shamir_product_alloc(t, &s->product, SHAMIR_BITS, n))
        return TASK_ERROR;
    shamir_keys(&s->x, t);
    for (size_t p = 0; p < planes; p++) {
        shamir_load(a + p * words, &t->call.reg[SEQ_ARG_AND_a], p * plane + t->begin, words);
        shamir_load(b + p * words, &t->call.reg[SEQ_ARG_AND_b], p * plane + t->begin, words);
    }
    shamir_block_mul(a, a, b, n);
    s->product.z = (uint8_t *)a;
    s->product.n = n;
    return shamir_multiply(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
}

void shamir_start_and(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_AND_p] ? (size_t)call->arg[SEQ_ARG_AND_n] : 0;
    shamir_start(vm, call, n, 2, and_step, sizeof(and_state));
}

/* ---- bits as numbers: a bit is the sum of bits that t + 1 parties know each; they deal them as
 * numbers, which are joined by x + y - 2 x y ---- */

unsigned shamir_convert_levels(unsigned terms) {
    unsigned levels = 0;
    while (1u << levels < terms)
        levels++;
    return levels;
}

int shamir_convert_alloc(seq_task *t, shamir_convert *c, unsigned terms) {
    const size_t n = c->planes * c->part.count, pairs = terms / 2;
    c->terms = terms;
    c->mine = task_scratch(t, n * sizeof(field) + 64);
    c->products = task_scratch(t, pairs * n * sizeof(field) + 64);
    for (unsigned j = 0; j < terms; j++)
        if (!(c->known[j] = task_scratch(t, n * sizeof(field) + 64)))
            return -1;
    return c->mine && c->products ? shamir_product_alloc(t, &c->product, SHAMIR_NUMBER, pairs * n)
                                  : -1;
}

/* My summand of part q's bits, as numbers. */
static void own_summand(const seq_task *t, shamir_convert *c, unsigned q) {
    const shamir_state *s = shamir_of(t);
    const field *coefficient = &s->table[SHAMIR_BITS].open[q][(t->env->me + s->core - q) % s->core];
    const size_t n = c->part.elements[q];
    field *d = c->mine + c->planes * c->part.at[q];
    for (size_t p = 0; p < c->planes; p++)
        for (size_t w = 0; w < c->part.blocks[q]; w++) {
            shamir_block block;
            const void *in = c->bits + p * c->part.words + c->part.word[q] + w;
            shamir_combine(SHAMIR_BITS, &block, coefficient, &in, 1, 1);
            for (size_t i = 64 * w; i < n && i < 64 * w + 64; i++)
                d[p * n + i] = block.w[0] >> i % 64 & 1;
        }
}

static int convert_deal(shamir_exchange *x, shamir_convert *c) {
    const shamir_state *s = shamir_of(x->t);
    for (unsigned q = 0; q < s->core; q++)
        for (unsigned j = 0; j <= s->t; j++) {
            const unsigned dealer = (q + j) % s->core;
            if (dealer == x->t->env->me)
                own_summand(x->t, c, q);
            shamir_add(x, (shamir_item){.kind = SHAMIR_DEAL,
                                        .type = SHAMIR_NUMBER,
                                        .who = dealer,
                                        .count = c->planes * c->part.elements[q],
                                        .value = c->mine + c->planes * c->part.at[q],
                                        .out = c->known[j] + c->planes * c->part.at[q]});
        }
    c->dealt = c->returned = 0;
    return shamir_deal(x) ? TASK_ERROR : TASK_WAIT;
}

int shamir_join(shamir_exchange *x, shamir_convert *c) {
    const size_t n = c->planes * c->part.count;
    const ring_ops *ring = x->t->env->ring;
    if (c->terms == 1)
        return TASK_DONE;
    for (unsigned i = 0; 2 * i + 1 < c->terms; i++) {
        if (shamir_remember(x->t, &c->product, i * n, c->known[2 * i], c->known[2 * i + 1], n))
            return TASK_ERROR;
        ring->mul(c->products + i * n, c->known[2 * i], c->known[2 * i + 1], n);
    }
    c->product.z = (uint8_t *)c->products;
    c->product.n = c->terms / 2 * n;
    return shamir_multiply(x, &c->product) ? TASK_ERROR : TASK_WAIT;
}

static void pairs_joined(const seq_env *env, shamir_convert *c) {
    const size_t n = c->planes * c->part.count;
    unsigned kept = 0;
    for (unsigned i = 0; i < c->terms; i += 2) {
        field *d = c->known[i];
        if (i + 1 < c->terms) {
            const field *product = c->products + i / 2 * n;
            env->ring->add(d, d, c->known[i + 1], n);
            env->ring->sub(d, d, product, n);
            env->ring->sub(d, d, product, n);
        }
        field *freed = c->known[kept];
        c->known[kept++] = d;
        c->known[i] = freed;
    }
    c->terms = kept;
}

int shamir_join_step(shamir_exchange *x, shamir_convert *c) {
    c->returned = !c->returned;
    if (c->returned)
        return shamir_return(x, &c->product) ? TASK_ERROR : TASK_WAIT;
    shamir_finish(x, &c->product);
    pairs_joined(x->t->env, c);
    return shamir_join(x, c);
}

int shamir_convert_step(shamir_exchange *x, shamir_convert *c, int begin) {
    if (begin)
        return convert_deal(x, c);
    if (!c->dealt) {
        shamir_take(x);
        c->dealt = 1;
        return shamir_join(x, c);
    }
    return shamir_join_step(x, c);
}

/* ---- b2a, select ---- */

typedef struct {
    shamir_exchange x;
    shamir_convert convert;
    shamir_product product;
    unsigned converted, returned;
} convert_state;

static int convert_begin(seq_task *t, const seq_reg *b, size_t planes, size_t n) {
    convert_state *s = t->state;
    shamir_convert *c = &s->convert;
    shamir_partition(&c->part, t, n);
    c->planes = planes;
    shamir_block *bits = task_scratch(t, planes * c->part.words * sizeof *bits + 64);
    if (!bits || shamir_convert_alloc(t, c, shamir_of(t)->t + 1))
        return TASK_ERROR;
    for (size_t p = 0; p < planes; p++)
        shamir_load(bits + p * c->part.words, b, p * bits_plane_words(n) + t->begin, c->part.words);
    c->bits = bits;
    shamir_keys(&s->x, t);
    return shamir_convert_step(&s->x, c, 1);
}

static int b2a_step(seq_task *t) {
    convert_state *s = t->state;
    const size_t planes = (size_t)t->call.arg[SEQ_ARG_B2A_p];
    const size_t n = (size_t)t->call.arg[SEQ_ARG_B2A_n];
    const shamir_part *part = &s->convert.part;
    if (t->step_no == 0)
        return convert_begin(t, &t->call.reg[SEQ_ARG_B2A_a], planes, n);
    const int status = shamir_convert_step(&s->x, &s->convert, 0);
    field *d = (field *)t->call.reg[SEQ_ARG_B2A_d].c[0] + part->first;
    for (unsigned q = 0; status == TASK_DONE && q < shamir_of(t)->core; q++)
        for (size_t p = 0; p < planes; p++)
            memcpy(d + p * n + part->at[q],
                   s->convert.known[0] + planes * part->at[q] + p * part->elements[q],
                   part->elements[q] * sizeof *d);
    return status;
}

void shamir_start_b2a(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_B2A_p] ? (size_t)call->arg[SEQ_ARG_B2A_n] : 0;
    const unsigned t = (vm_env(vm)->parties - 1) / 2;
    shamir_start(vm, call, n, 1 + 2 * shamir_convert_levels(t + 1), b2a_step,
                 sizeof(convert_state));
}

shamir_selection shamir_selection_of(const seq_task *t) {
    const seq_call *c = &t->call;
    if (c->op == SEQ_OP_SELECT)
        return (shamir_selection){&c->reg[SEQ_ARG_SELECT_d], NULL, &c->reg[SEQ_ARG_SELECT_b],
                                  &c->reg[SEQ_ARG_SELECT_a], (size_t)c->arg[SEQ_ARG_SELECT_n]};
    return (shamir_selection){&c->reg[SEQ_ARG_SELECT_KEEP_d], &c->reg[SEQ_ARG_SELECT_KEEP_k],
                              &c->reg[SEQ_ARG_SELECT_KEEP_b], &c->reg[SEQ_ARG_SELECT_KEEP_a],
                              (size_t)c->arg[SEQ_ARG_SELECT_KEEP_n]};
}

static int select_step(seq_task *t) {
    convert_state *s = t->state;
    const shamir_selection it = shamir_selection_of(t);
    const shamir_part *part = &s->convert.part;
    if (t->step_no == 0)
        return convert_begin(t, it.b, 1, it.n);
    if (!s->converted) {
        const int status = shamir_convert_step(&s->x, &s->convert, 0);
        if (status != TASK_DONE)
            return status;
        field *bit = s->convert.known[0];
        s->converted = 1;
        if (it.kept)
            memcpy((field *)it.kept->c[0] + part->first, bit, part->count * sizeof *bit);
        t->env->ring->mul(bit, bit, (field *)it.a->c[0] + part->first, part->count);
        if (shamir_product_alloc(t, &s->product, SHAMIR_NUMBER, part->count))
            return TASK_ERROR;
        s->product.z = (uint8_t *)bit;
        s->product.n = part->count;
        return shamir_multiply(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
    }
    s->returned = !s->returned;
    if (s->returned)
        return shamir_return(&s->x, &s->product) ? TASK_ERROR : TASK_WAIT;
    shamir_finish(&s->x, &s->product);
    memcpy((field *)it.d->c[0] + part->first, s->product.z, part->count * sizeof(field));
    return TASK_DONE;
}

void shamir_start_select(seq_vm *vm, const seq_call *call) {
    const size_t n = (size_t)(call->op == SEQ_OP_SELECT ? call->arg[SEQ_ARG_SELECT_n]
                                                        : call->arg[SEQ_ARG_SELECT_KEEP_n]);
    const unsigned t = (vm_env(vm)->parties - 1) / 2;
    shamir_start(vm, call, n, 3 + 2 * shamir_convert_levels(t + 1), select_step,
                 sizeof(convert_state));
}
