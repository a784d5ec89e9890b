/* rep3: products, truncation, and words from bits. Protocols, equations and privacy arguments are
 * in docs/protocols/rep3.md. */

#include "bilinear.h"
#include "rep3.h"

/* ---- truncation: of elementwise products, additive and replicated sharings ---- */

typedef struct {
    rep3_keys keys;
    rep3_source source;
    seq_reg d;
    size_t n; /* elements of the whole vector */
    unsigned m, nearest;
    rep3_part part;
    rep3_adder ad; /* nearest: the borrow of the lowest m bits */
    uint8_t *rho[3];
} trunc_state;

static size_t residue_bytes(unsigned m) {
    return (m + 7) / 8;
}

/* Bytes of words and residues for the third in which the receiver or sender has the role. */
static size_t trunc_bytes(const trunc_state *s, unsigned me, unsigned role, int words,
                          size_t word) {
    const size_t count = s->part.count[rep3_third(me, role)];
    return count * (residue_bytes(s->m) + (words ? word : 0));
}

static rep3_trunc_job trunc_job(const seq_task *t, unsigned role) {
    const trunc_state *s = t->state;
    const unsigned r = rep3_third(t->env->me, role);
    return (rep3_trunc_job){
        .env = t->env,
        .keys = &s->keys,
        .role = role,
        .m = s->m,
        .nearest = s->nearest,
        .first = 64 * s->part.first[r],
        .count = s->part.count[r],
        .source = s->source,
        .d = s->d,
        .rho = s->rho[role],
        .low = s->nearest ? s->ad.in[role] : NULL,
        .stride = s->part.blocks[r],
    };
}

/* P2 and P3 send their masked parts of z and their residues to P1. */
static int trunc_deal(seq_task *t) {
    trunc_state *s = t->state;
    const rep3_word *w = rep3_words(t->env);
    const unsigned me = t->env->me;
    for (unsigned role = REP3_P2; role <= REP3_P3; role++) {
        rep3_trunc_job job = trunc_job(t, role);
        const int words = role == REP3_P2 || s->source.kind != REP3_REPLICATED;
        const size_t bytes = trunc_bytes(s, me, role, words, w->word);
        if (!bytes)
            continue;
        uint8_t *message = task_send(t, role == REP3_P2 ? rep3_prev(me) : rep3_next(me), bytes);
        job.rho = s->rho[role] = task_scratch(t, job.count);
        if (!message || !job.rho)
            return TASK_ERROR;
        job.send_word = words ? message : NULL;
        job.send_residue = words ? message + job.count * w->word : message;
        par_for(t->env->pool, job.count, REP3_PIECE, w->trunc_deal, &job);
    }
    task_expect(t, rep3_next(me), trunc_bytes(s, me, REP3_P1, 1, w->word));
    task_expect(t, rep3_prev(me),
                trunc_bytes(s, me, REP3_P1, s->source.kind != REP3_REPLICATED, w->word));
    return TASK_WAIT;
}

/* P1 learns d = z + offset + r and answers; for nearest rounding the monomials of d's low bits go
 * along, before the words so that these stay aligned. */
static int trunc_open(seq_task *t) {
    trunc_state *s = t->state;
    const rep3_word *w = rep3_words(t->env);
    const unsigned me = t->env->me, third = rep3_third(me, REP3_P1);
    rep3_trunc_job job = trunc_job(t, REP3_P1);
    if (job.count) {
        const size_t dealt = s->nearest ? rep3_adder_deal_bytes(&s->ad, third) : 0;
        const size_t bytes = trunc_bytes(s, me, REP3_P1, 1, w->word);
        uint8_t *to2 = task_send(t, rep3_next(me), dealt + bytes);
        uint8_t *to3 = task_send(t, rep3_prev(me), trunc_bytes(s, me, REP3_P1, 0, w->word));
        if (!to2 || !to3)
            return TASK_ERROR;
        job.send_word = to2 + dealt;
        job.send_residue = job.send_word + job.count * w->word;
        job.send_residue3 = to3;
        job.word2 = task_received(t, rep3_next(me));
        job.residue2 = job.word2 + job.count * w->word;
        job.residue3 = task_received(t, rep3_prev(me));
        if (s->source.kind != REP3_REPLICATED) {
            job.word3 = job.residue3;
            job.residue3 += job.count * w->word;
        }
        par_for(t->env->pool, job.count, REP3_PIECE, w->trunc_open, &job);
        if (s->nearest)
            rep3_adder_deal(t, &s->ad, to2);
    }
    const size_t dealt = s->nearest ? rep3_adder_deal_bytes(&s->ad, rep3_third(me, REP3_P2)) : 0;
    task_expect(t, rep3_prev(me), dealt + trunc_bytes(s, me, REP3_P2, 1, w->word));
    task_expect(t, rep3_next(me), trunc_bytes(s, me, REP3_P3, 0, w->word));
    return TASK_WAIT;
}

static int trunc_finish(seq_task *t) {
    trunc_state *s = t->state;
    const rep3_word *w = rep3_words(t->env);
    const unsigned me = t->env->me, third = rep3_third(me, REP3_P2);
    const uint8_t *from1 = task_received(t, rep3_prev(me));
    rep3_trunc_job p2 = trunc_job(t, REP3_P2), p3 = trunc_job(t, REP3_P3);
    if (p2.count) {
        p2.word2 = from1 + (s->nearest ? rep3_adder_deal_bytes(&s->ad, third) : 0);
        p2.residue2 = p2.word2 + p2.count * w->word;
        par_for(t->env->pool, p2.count, REP3_PIECE, w->trunc_finish, &p2);
    }
    if (p3.count) {
        p3.residue2 = task_received(t, rep3_next(me));
        par_for(t->env->pool, p3.count, REP3_PIECE, w->trunc_finish, &p3);
    }
    return s->nearest ? rep3_adder_forms(t, &s->ad, from1) : TASK_DONE;
}

/* ---- words from bits: select, b2a, and the borrow of nearest rounding ---- */

/* The bit planes, operand and result of a conversion; regs at element 0 of the vector. */
typedef struct {
    const uint64_t *bit[3][2]; /* by third and component: words of the task's range, plane 0 */
    size_t planes, plane;      /* how many; words between them */
    const seq_reg *x, *d;      /* x: NULL or what is selected */
    const seq_reg *kept;       /* P2's and P3's parts of u, in component 0; see keep */
    size_t n;                  /* elements between planes of the result */
    int keep, subtract;
} bit_work;

static rep3_bit_job bit_job(const seq_task *t, const rep3_keys *keys, const rep3_part *part,
                            const bit_work *b, unsigned role, size_t p) {
    const unsigned r = rep3_third(t->env->me, role);
    const size_t word = rep3_words(t->env)->word, first = 64 * part->first[r];
    const size_t at = (p * b->n + first) * word;
    return (rep3_bit_job){
        .env = t->env,
        .keys = keys,
        .role = role,
        .first = p * ((b->n + 63) / 64 * 64) + first,
        .count = part->count[r],
        .b0 = b->bit[r][0] + p * b->plane,
        .b1 = b->bit[r][1] + p * b->plane,
        .x0 = b->x ? (const uint8_t *)b->x->c[0] + at : NULL,
        .x1 = b->x ? (const uint8_t *)b->x->c[1] + at : NULL,
        .d0 = (uint8_t *)b->d->c[0] + at,
        .d1 = (uint8_t *)b->d->c[1] + at,
        .kept = b->kept ? (uint8_t *)b->kept->c[0] + at : NULL,
        .keep = b->keep,
        .subtract = b->subtract,
    };
}

/* Words that P1 deals for an element and plane: u, unless it is kept, and h. */
static size_t dealt_words(const bit_work *b) {
    return (size_t)(b->keep != REP3_KEPT) + (b->x != NULL);
}

/* P1 sends P2 its parts of u (and of h) for all planes. */
static int bit_deal(seq_task *t, const rep3_keys *keys, const rep3_part *part, const bit_work *b) {
    const rep3_word *w = rep3_words(t->env);
    const unsigned me = t->env->me;
    const size_t each = dealt_words(b) * w->word * b->planes;
    const size_t bytes = part->count[rep3_third(me, REP3_P1)] * each;
    uint8_t *message = rep3_send(t, rep3_next(me), bytes);
    if (bytes && !message)
        return TASK_ERROR;
    for (size_t p = 0; bytes && p < b->planes; p++) {
        rep3_bit_job job = bit_job(t, keys, part, b, REP3_P1, p);
        job.send_bit = message + p * job.count * w->word;
        job.send_word = message + (dealt_words(b) - 1) * job.count * w->word;
        par_for(t->env->pool, job.count, REP3_PIECE, w->bit_deal, &job);
    }
    task_expect(t, rep3_prev(me), part->count[rep3_third(me, REP3_P2)] * each);
    return TASK_WAIT;
}

/* P2 and P3 send their masked parts of the result to P1. */
static int bit_return(seq_task *t, const rep3_keys *keys, const rep3_part *part,
                      const bit_work *b) {
    const rep3_word *w = rep3_words(t->env);
    const unsigned me = t->env->me;
    for (unsigned role = REP3_P2; role <= REP3_P3; role++) {
        const size_t count = part->count[rep3_third(me, role)];
        if (!count)
            continue;
        uint8_t *message = task_send(t, role == REP3_P2 ? rep3_prev(me) : rep3_next(me),
                                     count * w->word * b->planes);
        if (!message)
            return TASK_ERROR;
        const uint8_t *dealt = role == REP3_P2 ? task_received(t, rep3_prev(me)) : NULL;
        for (size_t p = 0; p < b->planes; p++) {
            rep3_bit_job job = bit_job(t, keys, part, b, role, p);
            job.send_word = message + p * count * w->word;
            if (dealt) {
                job.recv_bit = dealt + p * count * w->word;
                job.recv_word = dealt + (dealt_words(b) - 1) * count * w->word;
            }
            par_for(t->env->pool, count, REP3_PIECE, w->bit_return, &job);
        }
    }
    const size_t bytes = part->count[rep3_third(me, REP3_P1)] * w->word * b->planes;
    task_expect(t, rep3_next(me), bytes);
    task_expect(t, rep3_prev(me), bytes);
    return TASK_WAIT;
}

static int bit_finish(seq_task *t, const rep3_keys *keys, const rep3_part *part,
                      const bit_work *b) {
    const rep3_word *w = rep3_words(t->env);
    const unsigned me = t->env->me;
    for (size_t p = 0; p < b->planes; p++) {
        rep3_bit_job job = bit_job(t, keys, part, b, REP3_P1, p);
        if (!job.count)
            continue;
        job.recv_bit = task_received(t, rep3_next(me)) + p * job.count * w->word;
        job.recv_word = task_received(t, rep3_prev(me)) + p * job.count * w->word;
        par_for(t->env->pool, job.count, REP3_PIECE, w->bit_finish, &job);
    }
    return TASK_DONE;
}

/* ---- mul and trunc ---- */

static bit_work borrow_work(const trunc_state *s) {
    bit_work b = {.planes = 1, .d = &s->d, .n = s->n, .subtract = 1};
    for (unsigned r = 0; r < 3; r++)
        for (unsigned c = 0; c < 2; c++)
            b.bit[r][c] = rep3_adder_result(&s->ad, 0, c, r);
    return b;
}

/* The step machine: deal, open, finish; for nearest rounding the borrow, and its subtraction. */
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
        const int status = rep3_adder_level(t, &s->ad, level);
        if (status != TASK_DONE)
            return status;
    }
    const bit_work b = borrow_work(s);
    if (level == levels)
        return bit_deal(t, &s->keys, &s->part, &b);
    if (level == levels + 1)
        return bit_return(t, &s->keys, &s->part, &b);
    return bit_finish(t, &s->keys, &s->part, &b);
}

static int trunc_begin(seq_task *t, rep3_source source, seq_reg d, int64_t m, int64_t mode) {
    trunc_state *s = t->state;
    rep3_derive(&s->keys, t);
    rep3_partition(&s->part, t);
    s->source = source;
    s->d = d;
    s->n = t->end;
    s->m = (unsigned)m;
    s->nearest = (unsigned)mode;
    if (m < 1 || m > t->env->ring_bits - 2)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "rep3 truncates by 1 to %u bits, not %lld",
                         t->env->ring_bits - 2, (long long)m);
    if (s->nearest) {
        rep3_plan_make(&s->ad.plan, REP3_CARRY, s->m);
        s->ad.part = s->part;
        s->ad.keys = &s->keys;
        if (rep3_adder_alloc(t, &s->ad) < 0)
            return TASK_ERROR;
    }
    return trunc_step(t);
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

/* m = 0: every party masks its part by a sharing of zero and sends it to the previous one. */
typedef struct {
    rep3_keys keys;
    rep3_source source;
    seq_reg d;
    size_t n; /* elements of the whole vector */
} reshare_state;

static int reshare_step(seq_task *t) {
    reshare_state *s = t->state;
    const rep3_word *w = rep3_words(t->env);
    const unsigned me = t->env->me;
    const size_t first = 64 * t->begin, end = 64 * t->end < s->n ? 64 * t->end : s->n;
    const size_t count = end - first, bytes = count * w->word;
    if (t->step_no) {
        memcpy((uint8_t *)s->d.c[1] + first * w->word, task_received(t, rep3_next(me)), bytes);
        return TASK_DONE;
    }
    rep3_flat_job job = {.env = t->env,
                         .keys = &s->keys,
                         .first = first,
                         .count = count,
                         .source = s->source,
                         .d = s->d,
                         .send = task_send(t, rep3_prev(me), bytes)};
    if (!job.send)
        return TASK_ERROR;
    par_for(t->env->pool, count, REP3_PIECE, w->reshare, &job);
    task_expect(t, rep3_next(me), bytes);
    return TASK_WAIT;
}

static int reshare_begin(seq_task *t, rep3_source source, seq_reg d, int64_t n) {
    reshare_state *s = t->state;
    rep3_derive(&s->keys, t);
    s->source = source;
    s->d = d;
    s->n = (size_t)n;
    return reshare_step(t);
}

/* The sums have one operand more than the products, behind all others: added to the product. */
_Static_assert((int)SEQ_ARG_MUL_ADD_d == (int)SEQ_ARG_MUL_d &&
                   (int)SEQ_ARG_MUL_ADD_e == (int)SEQ_ARG_MUL_mode + 1 &&
                   (int)SEQ_ARG_MUL_ADD_mode == (int)SEQ_ARG_MUL_mode,
               "operands of products and sums");

static rep3_source mul_source(const seq_call *call) {
    const seq_reg none = {0};
    const seq_reg added = call->op == SEQ_OP_MUL_ADD ? call->reg[SEQ_ARG_MUL_ADD_e] : none;
    return (rep3_source){REP3_PRODUCT, call->reg[SEQ_ARG_MUL_a], call->reg[SEQ_ARG_MUL_b], added};
}

static int mul_step(seq_task *t) {
    return t->step_no ? trunc_step(t)
                      : trunc_begin(t, mul_source(&t->call), t->call.reg[SEQ_ARG_MUL_d],
                                    t->call.arg[SEQ_ARG_MUL_m], t->call.arg[SEQ_ARG_MUL_mode]);
}

static int mul_reshare_step(seq_task *t) {
    return t->step_no ? reshare_step(t)
                      : reshare_begin(t, mul_source(&t->call), t->call.reg[SEQ_ARG_MUL_d],
                                      t->call.arg[SEQ_ARG_MUL_n]);
}

void rep3_start_mul(seq_vm *vm, const seq_call *call) {
    const int64_t m = call->arg[SEQ_ARG_MUL_m];
    const size_t n = (size_t)call->arg[SEQ_ARG_MUL_n];
    if (m)
        rep3_start_thirds(vm, call, n, round_rounds(m, call->arg[SEQ_ARG_MUL_mode]), mul_step,
                          sizeof(trunc_state));
    else
        rep3_start_flat(vm, call, n, round_rounds(0, 0), mul_reshare_step, sizeof(reshare_state));
}

static void make_panels(const seq_task *t, const size_t first[3], const size_t count[3]);

static rep3_source trunc_source(const seq_call *call) {
    const seq_reg a = call->reg[SEQ_ARG_TRUNC_a];
    return (rep3_source){a.c[1] ? REP3_REPLICATED : REP3_ADDITIVE, a, a, {.apart = 0}};
}

static int trunc_call_step(seq_task *t) {
    if (t->step_no)
        return trunc_step(t);
    const rep3_source source = trunc_source(&t->call);
    if (source.kind == REP3_ADDITIVE) {
        rep3_part part;
        rep3_partition(&part, t);
        const size_t first[3] = {64 * part.first[0], 64 * part.first[1], 64 * part.first[2]};
        make_panels(t, first, part.count);
    }
    return trunc_begin(t, source, t->call.reg[SEQ_ARG_TRUNC_d], t->call.arg[SEQ_ARG_TRUNC_m],
                       t->call.arg[SEQ_ARG_TRUNC_mode]);
}

static int trunc_reshare_step(seq_task *t) {
    if (t->step_no)
        return reshare_step(t);
    const rep3_source source = trunc_source(&t->call);
    const size_t n = (size_t)t->call.arg[SEQ_ARG_TRUNC_n];
    if (source.kind == REP3_ADDITIVE) {
        const size_t end = 64 * t->end < n ? 64 * t->end : n;
        make_panels(t, (size_t[3]){64 * t->begin}, (size_t[3]){end - 64 * t->begin});
    }
    return reshare_begin(t, source, t->call.reg[SEQ_ARG_TRUNC_d], (int64_t)n);
}

void rep3_start_trunc(seq_vm *vm, const seq_call *call) {
    const int64_t m = call->arg[SEQ_ARG_TRUNC_m];
    const size_t n = (size_t)call->arg[SEQ_ARG_TRUNC_n];
    if (m)
        rep3_start_thirds(vm, call, n, round_rounds(m, call->arg[SEQ_ARG_TRUNC_mode]),
                          trunc_call_step, sizeof(trunc_state));
    else
        rep3_start_flat(vm, call, n, round_rounds(0, 0), trunc_reshare_step, sizeof(reshare_state));
}

/* ---- matmul and convolutions: a local product, then its truncation as a sub-machine ---- */

/* z = x_i (y_i + y_{i+1}) + x_{i+1} y_i, plus component i of what is added, made in slices when
 * the truncation of a chunk asks for them: its message then travels while the next are made. */
typedef struct {
    bilinear_map f;
    ring_term terms[BILINEAR_TERMS];
    const uint8_t *e; /* what is added, or NULL */
    void *z;
    uint8_t *made;      /* by panel */
    size_t slice, size; /* elements in a slice, in all */
} bilinear_state;

static void make_slices(const seq_task *t, const bilinear_state *s, size_t first, size_t count) {
    const ring_ops *ring = t->env->ring;
    s->f(t, first, count, s->z, s->terms, BILINEAR_TERMS);
    if (s->e) {
        const size_t at = first * s->slice * ring->word;
        uint8_t *z = (uint8_t *)s->z + at;
        ring->add(z, z, s->e + at, count * s->slice);
    }
}

/* Panels that a product is made in, at most: fewer and longer ones are faster to multiply. */
enum { PANELS = 12 };

/* The parent's product where a task of its truncation needs it: three ranges of elements. */
static void make_panels(const seq_task *t, const size_t first[3], const size_t count[3]) {
    const bilinear_state *s = t->call.parent->state;
    const int whole = s->size <= 3 * 64 * (size_t)REP3_CHUNK; /* one chunk: one product */
    const size_t slices = s->size / s->slice;
    const size_t panel = whole ? slices : (slices + PANELS - 1) / PANELS;
    for (unsigned r = 0; r < 3; r++) {
        const size_t end = (first[r] + count[r] + s->slice - 1) / s->slice;
        for (size_t at = first[r] / s->slice / panel; count[r] && at * panel < end; at++) {
            const size_t begin = at * panel;
            if (s->made[at])
                continue;
            s->made[at] = 1;
            make_slices(t->call.parent, s, begin, slices - begin < panel ? slices - begin : panel);
        }
    }
}

static int bilinear_step(seq_task *t) {
    if (t->step_no)
        return TASK_DONE;
    bilinear b;
    bilinear_of(&t->call, &b);
    bilinear_state *s = t->state;
    const size_t word = t->env->ring->word;
    *s = (bilinear_state){.f = b.f, .slice = b.size / b.slices, .size = b.size};
    s->z = task_scratch(t, b.size * word);
    s->made = task_scratch(t, PANELS);
    void *sum = task_scratch(t, bilinear_sum_size(&b) * word);
    if (!s->z || !sum || !s->made)
        return TASK_ERROR;
    memset(s->made, 0, PANELS);
    bilinear_share_terms(t, &b, sum, s->terms);
    if (t->call.op >= SEQ_OP_MUL_ADD) /* a sum, not a product */
        s->e = t->call.reg[b.mode + 1].c[0];
    seq_call sub;
    memset(&sub, 0, sizeof sub);
    sub.op = SEQ_OP_TRUNC;
    sub.arg[SEQ_ARG_TRUNC_n] = (int64_t)b.size;
    sub.arg[SEQ_ARG_TRUNC_m] = t->call.arg[b.mode - 1];
    sub.arg[SEQ_ARG_TRUNC_mode] = t->call.arg[b.mode];
    sub.reg[SEQ_ARG_TRUNC_d] = t->call.reg[b.d];
    sub.reg[SEQ_ARG_TRUNC_a].c[0] = s->z;
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

void rep3_start_bilinear(seq_vm *vm, const seq_call *call) {
    bilinear b;
    bilinear_of(call, &b);
    call_rounds(vm, call, b.size ? round_rounds(call->arg[b.mode - 1], call->arg[b.mode]) : 0);
    if (b.size)
        task_create(vm, call, 0, 0, b.size, bilinear_step, sizeof(bilinear_state));
}

/* ---- select and b2a ---- */

typedef struct {
    rep3_keys keys;
    rep3_part part;
    bit_work work;
} bit_state;

/* keep, kept: see bit_work. */
static int bit_step(seq_task *t, const seq_reg *b, const seq_reg *x, const seq_reg *d,
                    size_t planes, int keep, const seq_reg *kept) {
    bit_state *s = t->state;
    if (t->step_no == 0) {
        rep3_derive(&s->keys, t);
        rep3_partition(&s->part, t);
        s->work =
            (bit_work){.planes = planes, .x = x, .d = d, .n = t->end, .keep = keep, .kept = kept};
        s->work.plane = bits_plane_words(t->end);
        for (unsigned r = 0; r < 3; r++)
            for (unsigned c = 0; c < 2; c++)
                s->work.bit[r][c] = (const uint64_t *)b->c[c] + s->part.first[r];
        return bit_deal(t, &s->keys, &s->part, &s->work);
    }
    return t->step_no == 1 ? bit_return(t, &s->keys, &s->part, &s->work)
                           : bit_finish(t, &s->keys, &s->part, &s->work);
}

static int select_step(seq_task *t) {
    const seq_reg *reg = t->call.reg;
    return bit_step(t, &reg[SEQ_ARG_SELECT_b], &reg[SEQ_ARG_SELECT_a], &reg[SEQ_ARG_SELECT_d], 1,
                    REP3_FRESH, NULL);
}

void rep3_start_select(seq_vm *vm, const seq_call *call) {
    rep3_start_thirds(vm, call, (size_t)call->arg[SEQ_ARG_SELECT_n], 2, select_step,
                      sizeof(bit_state));
}

/* Both have their operands at the same places. */
_Static_assert((int)SEQ_ARG_SELECT_KEEP_k == (int)SEQ_ARG_SELECT_KEPT_k &&
                   (int)SEQ_ARG_SELECT_KEEP_n == (int)SEQ_ARG_SELECT_KEPT_n,
               "operands of select_keep and select_kept");

static int select_kept_step(seq_task *t) {
    const seq_reg *reg = t->call.reg;
    return bit_step(
        t, &reg[SEQ_ARG_SELECT_KEPT_b], &reg[SEQ_ARG_SELECT_KEPT_a], &reg[SEQ_ARG_SELECT_KEPT_d], 1,
        t->call.op == SEQ_OP_SELECT_KEEP ? REP3_KEEP : REP3_KEPT, &reg[SEQ_ARG_SELECT_KEPT_k]);
}

void rep3_start_select_kept(seq_vm *vm, const seq_call *call) {
    rep3_start_thirds(vm, call, (size_t)call->arg[SEQ_ARG_SELECT_KEPT_n], 2, select_kept_step,
                      sizeof(bit_state));
}

static int b2a_step(seq_task *t) {
    const seq_reg *reg = t->call.reg;
    return bit_step(t, &reg[SEQ_ARG_B2A_a], NULL, &reg[SEQ_ARG_B2A_d],
                    (size_t)t->call.arg[SEQ_ARG_B2A_p], REP3_FRESH, NULL);
}

void rep3_start_b2a(seq_vm *vm, const seq_call *call) {
    const size_t p = (size_t)call->arg[SEQ_ARG_B2A_p];
    const size_t n = p ? (size_t)call->arg[SEQ_ARG_B2A_n] : 0;
    if (p && n > REP3_MAX_ELEMENTS / p)
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep3 converts at most %zu bits at once",
                      REP3_MAX_ELEMENTS);
    else
        rep3_start_thirds(vm, call, n, 2, b2a_step, sizeof(bit_state));
}
