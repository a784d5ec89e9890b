/* rep4: products, truncation, and words from bits. Protocols, equations and the arguments for them
 * are in docs/protocols/rep4.md. */

#include "rep4.h"

/* ---- words from bits: select, b2a, and the borrow of nearest rounding ---- */

/* Bit planes, operand and result of a conversion; registers at element 0 of the vector. */
typedef struct {
    const uint64_t *bit[4][3]; /* by quarter and component: words of the task's range, plane 0 */
    size_t planes, plane;      /* how many; words between them */
    const seq_reg *x, *d;      /* x: NULL or what is selected */
    const seq_reg *kept;       /* register of shares of u and v, or NULL: scratch */
    size_t n;                  /* elements between planes of the result */
    int fresh, subtract;       /* fresh: u and v are dealt now */
    uint8_t *uv[3], *h[3];     /* scratch: local planes of words */
    rep4_messages x1, x2;
} bit_work;

static size_t local_words(const rep4_part *part, const bit_work *b) {
    return 64 * part->words * b->planes;
}

static int bit_alloc(seq_task *t, const rep4_part *part, bit_work *b) {
    const size_t bytes = local_words(part, b) * rep4_words(t->env)->word + 1;
    for (unsigned c = 0; c < 3; c++) {
        if (!b->kept && !(b->uv[c] = task_scratch(t, bytes)))
            return -1;
        if (b->x && !(b->h[c] = task_scratch(t, bytes)))
            return -1;
    }
    return 0;
}

static uint8_t *component(const seq_reg *r, unsigned c, size_t at) {
    return r ? (uint8_t *)r->c[c] + at : NULL;
}

/* Pointers of plane p in messages whose planes have `bytes` each. */
static void shift_messages(uint8_t *out[4], uint8_t *const *from, size_t at) {
    for (unsigned i = 0; i < 4; i++)
        out[i] = from[i] ? from[i] + at : NULL;
}

/* One loop over quarters and planes; out and in: sets of messages, or NULL. */
static void bit_run(seq_task *t, const rep4_keys *keys, const rep4_part *part, const bit_work *b,
                    rep4_messages *out, rep4_messages *in, par_fn fn) {
    const size_t word = rep4_words(t->env)->word;
    for (unsigned q = 0; q < 4; q++)
        for (size_t p = 0; part->count[q] && p < b->planes; p++) {
            const size_t first = 64 * part->first[q], at = (p * b->n + first) * word;
            const size_t local = 64 * (part->off[q] * b->planes + p * part->blocks[q]) * word;
            uint8_t *to[4] = {NULL}, *from[4] = {NULL};
            rep4_bit_job job = {.env = t->env,
                                .keys = keys,
                                .role = rep4_role(t->env->me, q),
                                .address = p * ((b->n + 63) / 64 * 64) + first,
                                .count = part->count[q],
                                .fresh = b->fresh,
                                .subtract = b->subtract,
                                .out = to,
                                .in = (const uint8_t *const *)from};
            if (out)
                shift_messages(to, out->out[q], p * part->count[q] * word);
            if (in)
                shift_messages(from, (uint8_t *const *)in->in[q], p * part->count[q] * word);
            for (unsigned c = 0; c < 3; c++) {
                job.bit[c] = b->bit[q][c] + p * b->plane;
                job.x[c] = component(b->x, c, at);
                job.d[c] = component(b->d, c, at);
                job.kept[c] = b->kept ? component(b->kept, c, at) : b->uv[c] + local;
                job.h[c] = b->x ? b->h[c] + local : NULL;
            }
            par_for(t->env->pool, job.count, REP4_PIECE, fn, &job);
        }
}

static int bit_deal(seq_task *t, const rep4_keys *keys, const rep4_part *part, bit_work *b) {
    const rep4_word *w = rep4_words(t->env);
    if (bit_alloc(t, part, b) < 0)
        return TASK_ERROR;
    b->x1.count = 0;
    if (b->fresh) {
        (void)rep4_message(&b->x1, 0, 1, 3, w->word * b->planes, 0);
        (void)rep4_message(&b->x1, 2, 3, 0, w->word * b->planes, 0);
    }
    if (b->x) {
        (void)rep4_message(&b->x1, 1, 0, 3, w->word * b->planes, 0);
        (void)rep4_message(&b->x1, 3, 2, 0, w->word * b->planes, 0);
    }
    if (rep4_post(t, part, &b->x1) < 0)
        return TASK_ERROR;
    bit_run(t, keys, part, b, &b->x1, NULL, w->bit_deal);
    rep4_vouch(t, part, keys, &b->x1, REP4_ALL);
    return TASK_WAIT;
}

static int bit_cross(seq_task *t, const rep4_keys *keys, const rep4_part *part, bit_work *b) {
    const rep4_word *w = rep4_words(t->env);
    rep4_collect(t, part, keys, &b->x1);
    b->x2.count = 0;
    rep4_term_messages(&b->x2, 4, w->word * b->planes, 0);
    if (rep4_post(t, part, &b->x2) < 0)
        return TASK_ERROR;
    bit_run(t, keys, part, b, &b->x2, &b->x1, w->bit_cross);
    rep4_vouch(t, part, keys, &b->x2, REP4_ALL);
    return TASK_WAIT;
}

static int bit_finish(seq_task *t, const rep4_keys *keys, const rep4_part *part, bit_work *b) {
    rep4_collect(t, part, keys, &b->x2);
    bit_run(t, keys, part, b, NULL, &b->x2, rep4_words(t->env)->bit_finish);
    return TASK_DONE;
}

typedef struct {
    rep4_keys keys;
    rep4_part part;
    bit_work work;
} bit_state;

static int bit_step(seq_task *t, const seq_reg *bits, bit_work work) {
    bit_state *s = t->state;
    if (t->step_no == 0) {
        rep4_derive(&s->keys, t);
        rep4_partition(&s->part, t);
        s->work = work;
        s->work.n = t->end;
        s->work.plane = bits_plane_words(t->end);
        for (unsigned q = 0; q < 4; q++)
            for (unsigned c = 0; c < 3; c++)
                s->work.bit[q][c] = (const uint64_t *)bits->c[c] + s->part.first[q];
        return bit_deal(t, &s->keys, &s->part, &s->work);
    }
    return t->step_no == 1 ? bit_cross(t, &s->keys, &s->part, &s->work)
                           : bit_finish(t, &s->keys, &s->part, &s->work);
}

static int select_step(seq_task *t) {
    const seq_reg *reg = t->call.reg;
    return bit_step(
        t, &reg[SEQ_ARG_SELECT_b],
        (bit_work){
            .planes = 1, .x = &reg[SEQ_ARG_SELECT_a], .d = &reg[SEQ_ARG_SELECT_d], .fresh = 1});
}

void rep4_start_select(seq_vm *vm, const seq_call *call) {
    rep4_start_quarters(vm, call, (size_t)call->arg[SEQ_ARG_SELECT_n], 2, select_step,
                        sizeof(bit_state));
}

static int select_kept_step(seq_task *t) {
    const seq_reg *reg = t->call.reg;
    return bit_step(t, &reg[SEQ_ARG_SELECT_KEPT_b],
                    (bit_work){.planes = 1,
                               .x = &reg[SEQ_ARG_SELECT_KEPT_a],
                               .d = &reg[SEQ_ARG_SELECT_KEPT_d],
                               .kept = &reg[SEQ_ARG_SELECT_KEPT_k],
                               .fresh = t->call.op == SEQ_OP_SELECT_KEEP});
}

void rep4_start_select_kept(seq_vm *vm, const seq_call *call) {
    rep4_start_quarters(vm, call, (size_t)call->arg[SEQ_ARG_SELECT_KEPT_n], 2, select_kept_step,
                        sizeof(bit_state));
}

static int b2a_step(seq_task *t) {
    const seq_reg *reg = t->call.reg;
    return bit_step(t, &reg[SEQ_ARG_B2A_a],
                    (bit_work){.planes = (size_t)t->call.arg[SEQ_ARG_B2A_p],
                               .d = &reg[SEQ_ARG_B2A_d],
                               .fresh = 1});
}

void rep4_start_b2a(seq_vm *vm, const seq_call *call) {
    const size_t p = (size_t)call->arg[SEQ_ARG_B2A_p];
    const size_t n = p ? (size_t)call->arg[SEQ_ARG_B2A_n] : 0;
    if (p && n > REP4_MAX_ELEMENTS / p)
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep4 converts at most %zu bits at once",
                      REP4_MAX_ELEMENTS);
    else
        rep4_start_quarters(vm, call, n, 2, b2a_step, sizeof(bit_state));
}

/* ---- truncation, and products without it (m = 0) ---- */

typedef struct {
    rep4_keys keys;
    rep4_source source;
    seq_reg d;
    unsigned m, nearest;
    rep4_part part;
    rep4_messages x1, x2;
    uint8_t *rho[4];
    /* nearest: the borrow of the lowest m bits */
    rep4_adder ad;
    unsigned dealt; /* first of the adder's messages in x2 */
    bit_work borrow;
} trunc_state;

/* One loop over quarters. roles: bit r: role r takes part. */
static void word_run(seq_task *t, rep4_messages *out, rep4_messages *in, unsigned roles,
                     par_fn fn) {
    trunc_state *s = t->state;
    for (unsigned q = 0; q < 4; q++) {
        const unsigned role = rep4_role(t->env->me, q);
        rep4_word_job job = {.env = t->env,
                             .keys = &s->keys,
                             .role = role,
                             .m = s->m,
                             .nearest = s->nearest,
                             .first = 64 * s->part.first[q],
                             .count = s->part.count[q],
                             .source = s->source,
                             .d = s->d,
                             .out = out ? out->out[q] : NULL,
                             .in = in ? in->in[q] : NULL,
                             .late = s->x1.out[q],
                             .rho = s->rho[q],
                             .low = s->nearest ? s->ad.in[q] : NULL,
                             .stride = s->part.blocks[q]};
        if (job.count && roles >> role & 1)
            par_for(t->env->pool, job.count, REP4_PIECE, fn, &job);
    }
}

static int trunc_deal(seq_task *t) {
    trunc_state *s = t->state;
    const rep4_word *w = rep4_words(t->env);
    const size_t residue = (s->m + 7) / 8, word = w->word;
    const unsigned terms = s->source.kind == REP4_REPLICATED ? 0 : 4;
    static const uint8_t route[12][3] = {
        {2, 3, 0}, {3, 2, 1}, {2, 3, 1}, {3, 2, 1},  /* z0 z1 q rho0 */
        {3, 1, 0}, {3, 0, 1}, {2, 1, 0}, {2, 0, 1},  /* p20 p21 p30 p31 */
        {1, 2, 0}, {1, 3, 0}, {0, 3, 1}, {0, 2, 1}}; /* z03 z02 z12 z13 */
    s->x1.count = 0;
    for (unsigned i = 0; i < 8 + terms; i++)
        (void)rep4_message(&s->x1, route[i][0], route[i][1], route[i][2],
                           i >= REP4_RHO0 && i <= REP4_P31 ? residue : word, 0);
    for (unsigned q = 0; q < 4; q++)
        if (!(s->rho[q] = task_scratch(t, 2 * residue * s->part.count[q] + 1)))
            return TASK_ERROR;
    if (rep4_post(t, &s->part, &s->x1) < 0)
        return TASK_ERROR;
    word_run(t, &s->x1, NULL, 0xF, w->trunc_deal);
    rep4_vouch(t, &s->part, &s->keys, &s->x1, ~REP4_LATE);
    return TASK_WAIT;
}

/* Roles 0 and 1 learn c and answer; for nearest rounding monomials of both sides go along. */
static int trunc_open(seq_task *t) {
    trunc_state *s = t->state;
    const rep4_word *w = rep4_words(t->env);
    const size_t residue = (s->m + 7) / 8;
    rep4_collect(t, &s->part, &s->keys, &s->x1);
    s->x2.count = 0;
    (void)rep4_message(&s->x2, 0, 1, 2, residue, 0);
    (void)rep4_message(&s->x2, 1, 0, 3, residue, 0);
    (void)rep4_message(&s->x2, 1, 0, 2, w->word, 0);
    if (s->nearest)
        s->dealt = rep4_adder_messages(&s->ad, &s->x2);
    if (rep4_post(t, &s->part, &s->x2) < 0)
        return TASK_ERROR;
    word_run(t, &s->x2, &s->x1, 0x3, w->trunc_open);
    if (s->nearest)
        rep4_adder_fill(t, &s->ad, &s->x2, s->dealt);
    rep4_vouch(t, &s->part, &s->keys, &s->x1, REP4_LATE);
    rep4_vouch(t, &s->part, &s->keys, &s->x2, REP4_ALL);
    return TASK_WAIT;
}

static int trunc_finish(seq_task *t) {
    trunc_state *s = t->state;
    rep4_collect(t, &s->part, &s->keys, &s->x2);
    word_run(t, NULL, &s->x2, 0xC, rep4_words(t->env)->trunc_finish);
    if (!s->nearest)
        return TASK_DONE;
    rep4_adder_take(t, &s->ad, &s->x2, s->dealt);
    return rep4_adder_forms(t, &s->ad, &s->x1);
}

/* The coin's carry, as a word, is taken away. */
static void borrow_work(const seq_task *t) {
    trunc_state *s = t->state;
    s->borrow = (bit_work){.planes = 1, .d = &s->d, .n = t->end, .fresh = 1, .subtract = 1};
    for (unsigned q = 0; q < 4; q++)
        for (unsigned c = 0; c < 3; c++)
            s->borrow.bit[q][c] = rep4_adder_result(&s->ad, 0, c, q);
}

static int trunc_step(seq_task *t) {
    trunc_state *s = t->state;
    if (t->step_no == 0)
        return trunc_deal(t);
    if (t->step_no == 1)
        return trunc_open(t);
    if (t->step_no == 2)
        return trunc_finish(t);
    const unsigned level = t->step_no - 3, levels = s->ad.plan.levels;
    if (level <= levels) {
        const int status = rep4_adder_level(t, &s->ad, &s->x1, level);
        if (status != TASK_DONE)
            return status;
        borrow_work(t);
        return bit_deal(t, &s->keys, &s->part, &s->borrow);
    }
    return level == levels + 1 ? bit_cross(t, &s->keys, &s->part, &s->borrow)
                               : bit_finish(t, &s->keys, &s->part, &s->borrow);
}

/* m = 0: cross terms are shared again. */
static int cross_step(seq_task *t) {
    trunc_state *s = t->state;
    const rep4_word *w = rep4_words(t->env);
    if (t->step_no) {
        rep4_collect(t, &s->part, &s->keys, &s->x1);
        word_run(t, NULL, &s->x1, 0xF, w->cross_finish);
        return TASK_DONE;
    }
    s->x1.count = 0;
    rep4_term_messages(&s->x1, 6, w->word, 0);
    if (rep4_post(t, &s->part, &s->x1) < 0)
        return TASK_ERROR;
    word_run(t, &s->x1, NULL, 0xF, w->cross);
    rep4_vouch(t, &s->part, &s->keys, &s->x1, REP4_ALL);
    return TASK_WAIT;
}

static int round_begin(seq_task *t, rep4_source source, seq_reg d, int64_t m, int64_t mode) {
    trunc_state *s = t->state;
    rep4_derive(&s->keys, t);
    rep4_partition(&s->part, t);
    s->source = source;
    s->d = d;
    s->m = (unsigned)m;
    s->nearest = m && mode;
    if (m < 0 || m > t->env->ring_bits - 2)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "rep4 truncates by 1 to %u bits, not %lld",
                         t->env->ring_bits - 2, (long long)m);
    if (s->nearest) {
        rep3_plan_make(&s->ad.plan, REP3_CARRY, s->m);
        s->ad.part = s->part;
        s->ad.keys = &s->keys;
        if (rep4_adder_alloc(t, &s->ad) < 0)
            return TASK_ERROR;
    }
    return m ? trunc_step(t) : cross_step(t);
}

static int round_step(seq_task *t) {
    const trunc_state *s = t->state;
    return s->m ? trunc_step(t) : cross_step(t);
}

static unsigned round_rounds(int64_t m, int64_t mode) {
    if (m == 0)
        return 1;
    if (mode == 0)
        return 2;
    rep3_plan plan;
    rep3_plan_make(&plan, REP3_CARRY, (unsigned)(m < REP3_MAX_BITS ? m : REP3_MAX_BITS - 1));
    return 2 + 1 + plan.levels + 2;
}

static int mul_step(seq_task *t) {
    if (t->step_no)
        return round_step(t);
    const seq_reg none = {0}, *reg = t->call.reg;
    const rep4_source source = {REP4_PRODUCT, reg[SEQ_ARG_MUL_a], reg[SEQ_ARG_MUL_b],
                                t->call.op == SEQ_OP_MUL_ADD ? reg[SEQ_ARG_MUL_ADD_e] : none};
    return round_begin(t, source, reg[SEQ_ARG_MUL_d], t->call.arg[SEQ_ARG_MUL_m],
                       t->call.arg[SEQ_ARG_MUL_mode]);
}

void rep4_start_mul(seq_vm *vm, const seq_call *call) {
    rep4_start_quarters(vm, call, (size_t)call->arg[SEQ_ARG_MUL_n],
                        round_rounds(call->arg[SEQ_ARG_MUL_m], call->arg[SEQ_ARG_MUL_mode]),
                        mul_step, sizeof(trunc_state));
}

/* ---- matmul and convolutions: local products, then their truncation as a sub-machine ---- */

/* Slices [first, first + count) of d = a * b for the bilinear map of the call. */
typedef struct {
    bilinear_map f;
    seq_reg x, y;
    void *sx[3], *sy[3]; /* sums of two components each: 01, 02, 12 */
    seq_reg z, sum;      /* products of components, and of their sums */
    seq_reg e;           /* what is added, or NULL */
    uint8_t *made;       /* by panel */
    size_t slice, size;  /* elements in a slice, in all */
} bilinear_state;

enum { PANELS = 12 };

/* The parent's products where a task of its truncation needs them. */
static void make_panels(const seq_task *t, const rep4_part *part) {
    const seq_task *parent = t->call.parent;
    const bilinear_state *s = parent->state;
    const int whole = s->size <= 4 * 64 * (size_t)REP4_CHUNK; /* one chunk: one product */
    const size_t slices = s->size / s->slice;
    const size_t panel = whole ? slices : (slices + PANELS - 1) / PANELS;
    for (unsigned q = 0; q < 4; q++) {
        const size_t first = 64 * part->first[q];
        const size_t end = (first + part->count[q] + s->slice - 1) / s->slice;
        for (size_t at = first / s->slice / panel; part->count[q] && at * panel < end; at++) {
            const size_t begin = at * panel, left = slices - begin;
            if (s->made[at])
                continue;
            s->made[at] = 1;
            for (unsigned k = 0; k < 3; k++) {
                const size_t count = left < panel ? left : panel;
                s->f(parent, begin, count, s->z.c[k], &(ring_term){s->x.c[k], s->y.c[k]}, 1);
                s->f(parent, begin, count, s->sum.c[k], &(ring_term){s->sx[k], s->sy[k]}, 1);
            }
        }
    }
}

static int product_step(seq_task *t) {
    if (t->step_no)
        return round_step(t);
    const bilinear_state *s = t->call.parent->state;
    rep4_part part;
    rep4_partition(&part, t);
    make_panels(t, &part);
    return round_begin(t, (rep4_source){REP4_BILINEAR, s->z, s->sum, s->e},
                       t->call.reg[SEQ_ARG_TRUNC_d], t->call.arg[SEQ_ARG_TRUNC_m],
                       t->call.arg[SEQ_ARG_TRUNC_mode]);
}

static int trunc_call_step(seq_task *t) {
    if (t->step_no)
        return round_step(t);
    const seq_reg none = {0}, *reg = t->call.reg;
    return round_begin(t, (rep4_source){REP4_REPLICATED, reg[SEQ_ARG_TRUNC_a], none, none},
                       reg[SEQ_ARG_TRUNC_d], t->call.arg[SEQ_ARG_TRUNC_m],
                       t->call.arg[SEQ_ARG_TRUNC_mode]);
}

void rep4_start_trunc(seq_vm *vm, const seq_call *call) {
    rep4_start_quarters(vm, call, (size_t)call->arg[SEQ_ARG_TRUNC_n],
                        round_rounds(call->arg[SEQ_ARG_TRUNC_m], call->arg[SEQ_ARG_TRUNC_mode]),
                        call->parent ? product_step : trunc_call_step, sizeof(trunc_state));
}

static int bilinear_alloc(seq_task *t, bilinear_state *s, size_t x_size, size_t y_size) {
    const ring_ops *ring = t->env->ring;
    static const uint8_t pair[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    s->made = task_scratch(t, PANELS);
    for (unsigned k = 0; k < 3; k++) {
        s->z.c[k] = task_scratch(t, s->size * ring->word);
        s->sum.c[k] = task_scratch(t, s->size * ring->word);
        s->sx[k] = task_scratch(t, x_size * ring->word);
        s->sy[k] = task_scratch(t, y_size * ring->word);
        if (!s->made || !s->z.c[k] || !s->sum.c[k] || !s->sx[k] || !s->sy[k])
            return -1;
        bilinear_add(t, s->sx[k], s->x.c[pair[k][0]], s->x.c[pair[k][1]], x_size);
        bilinear_add(t, s->sy[k], s->y.c[pair[k][0]], s->y.c[pair[k][1]], y_size);
    }
    memset(s->made, 0, PANELS);
    return 0;
}

static int bilinear_step(seq_task *t) {
    if (t->step_no)
        return TASK_DONE;
    bilinear_state *s = t->state;
    bilinear b;
    bilinear_of(&t->call, &b);
    *s = (bilinear_state){.f = b.f,
                          .x = t->call.reg[b.x],
                          .y = t->call.reg[b.y],
                          .slice = b.size / b.slices,
                          .size = b.size};
    if (t->call.op >= SEQ_OP_MUL_ADD) /* a sum, not a product */
        s->e = t->call.reg[b.mode + 1];
    if (bilinear_alloc(t, s, b.x_size, b.y_size) < 0)
        return TASK_ERROR;
    seq_call sub;
    memset(&sub, 0, sizeof sub);
    sub.op = SEQ_OP_TRUNC;
    sub.arg[SEQ_ARG_TRUNC_n] = (int64_t)b.size;
    sub.arg[SEQ_ARG_TRUNC_m] = t->call.arg[b.mode - 1];
    sub.arg[SEQ_ARG_TRUNC_mode] = t->call.arg[b.mode];
    sub.reg[SEQ_ARG_TRUNC_d] = t->call.reg[b.d];
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

void rep4_start_bilinear(seq_vm *vm, const seq_call *call) {
    bilinear b;
    bilinear_of(call, &b);
    call_rounds(vm, call, b.size ? round_rounds(call->arg[b.mode - 1], call->arg[b.mode]) : 0);
    if (b.size)
        task_create(vm, call, 0, 0, b.size, bilinear_step, sizeof(bilinear_state));
}
