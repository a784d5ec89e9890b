/* rep4: operations whose results are bits. */

#include "rep4.h"

/* ---- ltz, eqz, a2b: additions of A = x_2 + x_3 (roles 0, 1) and B = x_0 + x_1 (roles 2, 3) ----
 */

typedef struct {
    rep4_keys keys;
    rep4_adder ad;
    rep4_messages x;
    seq_reg a, d; /* operand; result */
    size_t plane; /* words in a plane of the result */
} adder_state;

/* Items: quarters. B - 1 in place of B where all propagates mean zero. */
static void slice_quarters(void *arg, size_t begin, size_t end) {
    const seq_task *t = arg;
    const adder_state *s = t->state;
    const rep4_word *w = rep4_words(t->env);
    for (unsigned q = (unsigned)begin; q < end; q++) {
        const unsigned role = rep4_role(t->env->me, q), share = role < 2 ? 2 : 0;
        const size_t at = 64 * s->ad.part.first[q] * w->word;
        if (s->ad.part.count[q])
            w->slice(t->env->bits, s->ad.in[q], s->ad.part.blocks[q], s->ad.plan.bits,
                     (const uint8_t *)s->a.c[rep4_at(role, share)] + at,
                     (const uint8_t *)s->a.c[rep4_at(role, share + 1)] + at,
                     role >= 2 && s->ad.plan.kind == REP3_ZERO_TEST, s->ad.part.count[q]);
    }
}

static int adder_begin(seq_task *t) {
    adder_state *s = t->state;
    if (rep4_adder_alloc(t, &s->ad) < 0)
        return TASK_ERROR;
    par_for(t->env->pool, 4, 1, slice_quarters, t);
    s->x.count = 0;
    const unsigned first = rep4_adder_messages(&s->ad, &s->x);
    if (rep4_post(t, &s->ad.part, &s->x) < 0)
        return TASK_ERROR;
    rep4_adder_fill(t, &s->ad, &s->x, first);
    rep4_vouch(t, &s->ad.part, &s->keys, &s->x, REP4_ALL);
    return TASK_WAIT;
}

/* Result planes to the destination; a sign also has the top bits of A and B. */
static void adder_store(const seq_task *t) {
    const adder_state *s = t->state;
    const rep3_plan *plan = &s->ad.plan;
    const unsigned planes = plan->kind == REP3_SUM ? plan->bits : 1;
    for (unsigned i = 0; i < planes; i++)
        for (unsigned q = 0; q < 4; q++)
            for (unsigned c = 0; c < 3; c++) {
                const size_t words = s->ad.part.blocks[q], first = s->ad.part.first[q];
                uint64_t *d = (uint64_t *)s->d.c[c] + i * s->plane + first;
                memcpy(d, rep4_adder_result(&s->ad, i, c, q), words * 8);
                if (plan->kind == REP3_SIGN)
                    t->env->bits->xor_(d, d, rep4_adder_top(&s->ad, c, q), words);
            }
}

static int adder_step(seq_task *t) {
    adder_state *s = t->state;
    if (t->step_no == 0)
        return adder_begin(t);
    if (t->step_no == 1) {
        rep4_collect(t, &s->ad.part, &s->keys, &s->x);
        rep4_adder_take(t, &s->ad, &s->x, 0);
        return rep4_adder_forms(t, &s->ad, &s->x);
    }
    const int status = rep4_adder_level(t, &s->ad, &s->x, t->step_no - 2);
    if (status == TASK_DONE)
        adder_store(t);
    return status;
}

/* The three have their operands at the same places. */
_Static_assert((int)SEQ_ARG_LTZ_a == (int)SEQ_ARG_EQZ_a &&
                   (int)SEQ_ARG_LTZ_a == (int)SEQ_ARG_A2B_a &&
                   (int)SEQ_ARG_LTZ_d == (int)SEQ_ARG_EQZ_d &&
                   (int)SEQ_ARG_LTZ_d == (int)SEQ_ARG_A2B_d &&
                   (int)SEQ_ARG_LTZ_n == (int)SEQ_ARG_EQZ_n &&
                   (int)SEQ_ARG_LTZ_n == (int)SEQ_ARG_A2B_n &&
                   (int)SEQ_ARG_LTZ_bits == (int)SEQ_ARG_EQZ_bits &&
                   (int)SEQ_ARG_LTZ_bits == (int)SEQ_ARG_A2B_bits,
               "started alike");

static unsigned kind_of(const seq_call *call) {
    return call->op == SEQ_OP_LTZ ? REP3_SIGN : call->op == SEQ_OP_EQZ ? REP3_ZERO_TEST : REP3_SUM;
}

static int adder_first_step(seq_task *t) {
    adder_state *s = t->state;
    if (t->step_no)
        return adder_step(t);
    rep4_derive(&s->keys, t);
    rep3_plan_make(&s->ad.plan, kind_of(&t->call), (unsigned)t->call.arg[SEQ_ARG_LTZ_bits]);
    rep4_partition(&s->ad.part, t);
    s->ad.keys = &s->keys;
    s->a = t->call.reg[SEQ_ARG_LTZ_a];
    s->d = t->call.reg[SEQ_ARG_LTZ_d];
    s->plane = bits_plane_words(t->end);
    return adder_step(t);
}

void rep4_start_adder(seq_vm *vm, const seq_call *call) {
    rep3_plan plan;
    rep3_plan_make(&plan, kind_of(call), (unsigned)call->arg[SEQ_ARG_LTZ_bits]);
    rep4_start_quarters(vm, call, (size_t)call->arg[SEQ_ARG_LTZ_n], 2 + plan.levels,
                        adder_first_step, sizeof(adder_state));
}

/* ---- and ---- */

typedef struct {
    rep4_keys keys;
    rep4_part part;
    rep4_messages x;
    size_t planes, plane, blocks; /* blocks: of the whole vector, for addressing */
} and_state;

/* One plane in one quarter: job of terms, or d only. */
static rep4_and_job and_job(const seq_task *t, unsigned q, size_t p) {
    const and_state *s = t->state;
    const size_t at = p * s->plane + s->part.first[q];
    rep4_and_job job = {.env = t->env,
                        .role = rep4_role(t->env->me, q),
                        .keys = &s->keys,
                        .purpose = REP4_CROSS,
                        .address = p * s->blocks + s->part.first[q],
                        .words = s->part.blocks[q],
                        .out = s->x.out[q],
                        .at = p * s->part.blocks[q] * 8};
    for (unsigned c = 0; c < 3; c++) {
        job.x[c] = (const uint64_t *)t->call.reg[SEQ_ARG_AND_a].c[c] + at;
        job.y[c] = (const uint64_t *)t->call.reg[SEQ_ARG_AND_b].c[c] + at;
        job.d[c] = (uint64_t *)t->call.reg[SEQ_ARG_AND_d].c[c] + at;
    }
    return job;
}

/* Items: planes and quarters. */
static void and_planes(void *arg, size_t begin, size_t end) {
    const seq_task *t = arg;
    for (size_t item = begin; item < end; item++) {
        const rep4_and_job job = and_job(t, (unsigned)(item % 4), item / 4);
        if (job.words)
            rep4_and_words(&job);
    }
}

static int and_step(seq_task *t) {
    and_state *s = t->state;
    if (t->step_no) {
        rep4_collect(t, &s->part, &s->keys, &s->x);
        for (size_t item = 0; item < 4 * s->planes; item++) {
            const unsigned q = (unsigned)(item % 4);
            const rep4_and_job job = and_job(t, q, item / 4);
            if (job.words)
                rep4_add_terms(job.d, job.role, s->x.in[q], 6, job.at, job.words);
        }
        return TASK_DONE;
    }
    rep4_derive(&s->keys, t);
    rep4_partition(&s->part, t);
    s->planes = (size_t)t->call.arg[SEQ_ARG_AND_p];
    s->plane = bits_plane_words(t->end);
    s->blocks = (t->end + 63) / 64;
    rep4_term_messages(&s->x, 6, 0, s->planes);
    if (rep4_post(t, &s->part, &s->x) < 0)
        return TASK_ERROR;
    par_for(t->env->pool, 4 * s->planes, 1, and_planes, t);
    rep4_vouch(t, &s->part, &s->keys, &s->x, REP4_ALL);
    return TASK_WAIT;
}

void rep4_start_and(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_AND_p] ? (size_t)call->arg[SEQ_ARG_AND_n] : 0;
    rep4_start_quarters(vm, call, n, 1, and_step, sizeof(and_state));
}

/* ---- random bits: share j is a stream that all but party j know ---- */

void rep4_start_randbit(seq_vm *vm, const seq_call *call) {
    const rep4_state *s = vm_env(vm)->protocol;
    const size_t n = (size_t)call->arg[SEQ_ARG_RANDBIT_n], blocks = (n + 63) / 64;
    for (unsigned c = 0; c < 3; c++) {
        prg_key key;
        prg_derive(&key, &s->program[c], call->instance, call->sub);
        for (size_t p = 0; p < (size_t)call->arg[SEQ_ARG_RANDBIT_p]; p++)
            prg_words(&key, REP4_RANDOM, p * blocks,
                      (uint64_t *)call->reg[SEQ_ARG_RANDBIT_d].c[c] + p * bits_plane_words(n),
                      blocks);
        prg_wipe(&key, sizeof key);
    }
}
