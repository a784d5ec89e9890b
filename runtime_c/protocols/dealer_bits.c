/* dealer: comparisons, bit decomposition, AND. See dealer.h. */

#include "dealer.h"

/* ---- ltz, eqz, a2b: the sum of the mask and the masked value, on bits ---- */

typedef struct {
    dealer_deal x;
    dealer_adder adder;
    size_t plane; /* words in a plane of the result */
} compare_state;

static int compare_store(const seq_task *t, const compare_state *s) {
    const unsigned planes = s->adder.plan.kind == REP3_SUM ? s->adder.plan.bits : 1;
    const seq_reg *d = &t->call.reg[SEQ_ARG_LTZ_d];
    for (unsigned i = 0; i < planes; i++) {
        const size_t at = i * s->plane + t->begin, bytes = s->adder.words * 8;
        if (!masked_dealer(t))
            memcpy((uint64_t *)d->c[0] + at, dealer_adder_value(&s->adder, i), bytes);
        memcpy((uint64_t *)d->c[1] + at, dealer_adder_mask(&s->adder, i), bytes);
    }
    return TASK_DONE;
}

/* A is the mask, B the masked value. */
static int compare_begin(seq_task *t, compare_state *s) {
    const size_t n = (size_t)t->call.arg[SEQ_ARG_LTZ_n];
    rep3_plan_make(&s->adder.plan, masked_addition(t->call.op),
                   (unsigned)t->call.arg[SEQ_ARG_LTZ_bits]);
    s->adder.first = t->begin;
    s->adder.words = t->end - t->begin;
    s->plane = bits_plane_words(n);
    if (dealer_adder_alloc(t, &s->adder) ||
        masked_addend(t, s->adder.in, s->adder.words, s->adder.plan.bits) ||
        dealer_begin(&s->x, t, dealer_adder_bytes(&s->adder)))
        return TASK_ERROR;
    if (!masked_dealer(t))
        return TASK_WAIT;
    dealer_adder_deal(&s->x, &s->adder);
    return compare_store(t, s);
}

static int compare_step(seq_task *t) {
    compare_state *s = t->state;
    if (t->step_no == 0)
        return compare_begin(t, s);
    if (t->step_no == 1 && dealer_take(&s->x))
        return TASK_ERROR;
    const int status = dealer_adder_step(&s->x, &s->adder);
    return status == TASK_DONE ? compare_store(t, s) : status;
}

void dealer_start_compare(seq_vm *vm, const seq_call *call) {
    const unsigned openings =
        dealer_adder_openings(masked_addition(call->op), (unsigned)call->arg[SEQ_ARG_LTZ_bits]);
    masked_start(vm, call, (size_t)call->arg[SEQ_ARG_LTZ_n], openings * masked_rounds(vm),
                 compare_step, sizeof(compare_state));
}

/* ---- and ---- */

typedef struct {
    dealer_deal x;
    size_t planes, plane, words, blocks; /* blocks: of the whole vector, for addressing */
    masked_opening opening;
} and_state;

static uint64_t *plane_at(const seq_task *t, const and_state *s, unsigned arg, unsigned component,
                          size_t p) {
    return (uint64_t *)t->call.reg[arg].c[component] + p * s->plane + t->begin;
}

static int and_deal(seq_task *t, and_state *s) {
    uint64_t *part = s->opening.value;
    for (size_t p = 0; p < s->planes; p++) {
        const size_t address = p * s->blocks + t->begin;
        uint64_t *d = plane_at(t, s, SEQ_ARG_AND_d, 1, p);
        masked_mask(&s->x.keys, MASKED_BITS, DEALER_AND_MASK, address, d, s->words);
        memcpy(part, d, s->words * 8);
        t->env->bits->xorand(part, plane_at(t, s, SEQ_ARG_AND_a, 1, p),
                             plane_at(t, s, SEQ_ARG_AND_b, 1, p), s->words);
        dealer_give(&s->x, MASKED_BITS, DEALER_AND, address, part, s->words);
    }
    return TASK_DONE;
}

static int and_open(seq_task *t, and_state *s) {
    for (size_t p = 0; p < s->planes; p++) {
        uint64_t *part = (uint64_t *)s->opening.value + p * s->words;
        dealer_get(&s->x, MASKED_BITS, DEALER_AND, p * s->blocks + t->begin, part, s->words);
        masked_gate(t, part, plane_at(t, s, SEQ_ARG_AND_a, 0, p),
                    plane_at(t, s, SEQ_ARG_AND_a, 1, p), plane_at(t, s, SEQ_ARG_AND_b, 0, p),
                    plane_at(t, s, SEQ_ARG_AND_b, 1, p), s->words);
    }
    return masked_open(t, &s->opening);
}

static int and_step(seq_task *t) {
    and_state *s = t->state;
    const size_t n = (size_t)t->call.arg[SEQ_ARG_AND_n];
    if (t->step_no == 0) {
        s->planes = (size_t)t->call.arg[SEQ_ARG_AND_p];
        s->plane = bits_plane_words(n);
        s->words = t->end - t->begin;
        s->blocks = (n + 63) / 64;
        const size_t bytes = s->planes * s->words * 8;
        s->opening = (masked_opening){.kind = MASKED_BITS,
                                      .to = MASKED_ONLINE,
                                      .n = s->planes * s->words,
                                      .value = task_scratch(t, bytes)};
        if (!s->opening.value || dealer_begin(&s->x, t, bytes))
            return TASK_ERROR;
        return masked_dealer(t) ? and_deal(t, s) : TASK_WAIT;
    }
    if (t->step_no == 1)
        return dealer_take(&s->x) ? TASK_ERROR : and_open(t, s);
    const int status = masked_open(t, &s->opening);
    for (size_t p = 0; status == TASK_DONE && p < s->planes; p++) {
        memcpy(plane_at(t, s, SEQ_ARG_AND_d, 0, p), (uint64_t *)s->opening.value + p * s->words,
               s->words * 8);
        masked_mask(&s->x.keys, MASKED_BITS, DEALER_AND_MASK, p * s->blocks + t->begin,
                    plane_at(t, s, SEQ_ARG_AND_d, 1, p), s->words);
    }
    return status;
}

void dealer_start_and(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_AND_p] ? (size_t)call->arg[SEQ_ARG_AND_n] : 0;
    masked_start(vm, call, n, masked_rounds(vm), and_step, sizeof(and_state));
}
