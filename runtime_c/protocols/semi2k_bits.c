/* semi2k: AND; comparisons and bit decomposition of two parties. See semi2k.h. */

#include "semi2k.h"

/* ---- ltz, eqz, a2b: the sum of D + M_s and M_r, on bits ---- */

typedef struct {
    masked_keys keys;
    semi2k_transfer transfer;
    semi2k_adder adder;
    size_t plane; /* words in a plane of the result */
} compare_state;

static int compare_store(const seq_task *t, const compare_state *s) {
    const unsigned planes = s->adder.plan.kind == REP3_SUM ? s->adder.plan.bits : 1;
    const seq_reg *d = &t->call.reg[SEQ_ARG_LTZ_d];
    for (unsigned i = 0; i < planes; i++) {
        const size_t at = i * s->plane + t->begin, bytes = s->adder.words * 8;
        memcpy((uint64_t *)d->c[0] + at, semi2k_adder_value(&s->adder, i), bytes);
        memcpy((uint64_t *)d->c[1] + at, semi2k_adder_mask(&s->adder, i), bytes);
    }
    return TASK_DONE;
}

/* The summands' planes: D + M_me where I send, M_me where I receive, less one where all propagates
 * mean zero. */
static int compare_load(seq_task *t, compare_state *s, masked_part part) {
    const ring_ops *ring = t->env->ring;
    const semi2k_halves *half = &s->adder.half;
    const seq_reg *a = &t->call.reg[SEQ_ARG_LTZ_a];
    uint8_t *x = task_scratch(t, part.count * ring->word + 64);
    if (!x)
        return -1;
    uint8_t *out = x + 64 * half->send_at * ring->word, *in = x + 64 * half->take_at * ring->word;
    const size_t sends = semi2k_elements(part.count, half->send_at, half->send);
    const size_t takes = semi2k_elements(part.count, half->take_at, half->take);
    memcpy(x, masked_at(t->env, a->c[1], part.first), part.count * ring->word);
    if (sends)
        ring->add(out, out, masked_at(t->env, a->c[0], part.first + 64 * half->send_at), sends);
    if (takes && t->call.op == SEQ_OP_EQZ)
        ring->addi(in, in, -1, takes);
    t->env->bits->slice(s->adder.in, part.words, x, 8 * (unsigned)ring->word, part.count, 0,
                        s->adder.plan.bits);
    return 0;
}

static int compare_begin(seq_task *t, compare_state *s) {
    const size_t n = (size_t)t->call.arg[SEQ_ARG_LTZ_n];
    const masked_part part = masked_elements(t, n);
    semi2k_adder *a = &s->adder;
    rep3_plan_make(&a->plan, masked_addition(t->call.op), (unsigned)t->call.arg[SEQ_ARG_LTZ_bits]);
    a->first = t->begin;
    a->words = part.words;
    a->keys = &s->keys;
    a->transfer = &s->transfer;
    s->plane = bits_plane_words(n);
    masked_keys_of(&s->keys, t);
    s->transfer.peer = 1 - t->env->me;
    return semi2k_adder_begin(t, a) || compare_load(t, s, part) ? -1 : 0;
}

static int compare_choose(seq_task *t, compare_state *s) {
    semi2k_adder *a = &s->adder;
    uint8_t *out;
    task_prepares(t);
    if (semi2k_transfer_begin(&s->transfer, t, s->transfer.peer) ||
        semi2k_swap(t, s->transfer.peer, semi2k_adder_choice_bytes(a, 1),
                    semi2k_adder_choice_bytes(a, 0), &out))
        return TASK_ERROR;
    semi2k_adder_choose(t, a, out);
    return TASK_WAIT;
}

static int compare_answer(seq_task *t, compare_state *s) {
    const size_t bytes = semi2k_adder_answer_bytes(&s->adder);
    uint8_t *out;
    task_prepares(t);
    if (semi2k_swap(t, s->transfer.peer, bytes, bytes, &out))
        return TASK_ERROR;
    semi2k_adder_answer(t, &s->adder, task_received(t, s->transfer.peer), out);
    return TASK_WAIT;
}

static int compare_tables(seq_task *t, compare_state *s) {
    semi2k_adder *a = &s->adder;
    uint8_t *out;
    semi2k_adder_prepared(t, a, task_received(t, s->transfer.peer));
    if (semi2k_swap(t, s->transfer.peer, semi2k_adder_table_bytes(a, 1),
                    semi2k_adder_table_bytes(a, 0), &out))
        return TASK_ERROR;
    semi2k_adder_tables(t, a, out);
    return TASK_WAIT;
}

static int compare_forms(seq_task *t, compare_state *s) {
    semi2k_adder *a = &s->adder;
    uint8_t *out;
    if (semi2k_swap(t, s->transfer.peer, semi2k_adder_form_bytes(a, 1),
                    semi2k_adder_form_bytes(a, 0), &out))
        return TASK_ERROR;
    semi2k_adder_forms(t, a, task_received(t, s->transfer.peer), out);
    return TASK_WAIT;
}

static int compare_step(seq_task *t) {
    compare_state *s = t->state;
    if (t->step_no == 0) {
        if (compare_begin(t, s))
            return TASK_ERROR;
        t->step_no = task_prepared(t) ? 2 : 0;
    }
    switch (t->step_no) {
    case 0:
        return compare_choose(t, s);
    case 1:
        return compare_answer(t, s);
    case 2:
        return compare_tables(t, s);
    case 3:
        return compare_forms(t, s);
    default:
        break;
    }
    const int status = semi2k_adder_step(t, &s->adder, task_received(t, s->transfer.peer));
    return status == TASK_DONE ? compare_store(t, s) : status;
}

void semi2k_start_compare(seq_vm *vm, const seq_call *call) {
    const unsigned bits = (unsigned)call->arg[SEQ_ARG_LTZ_bits];
    if (vm_env(vm)->parties > 2)
        semi2k_many_compare(vm, call);
    else
        masked_start(vm, call, (size_t)call->arg[SEQ_ARG_LTZ_n],
                     vm_rounds(vm, 2, 2) +
                         semi2k_adder_levels(masked_addition(call->op), bits) * masked_rounds(vm),
                     compare_step, sizeof(compare_state));
}

/* ---- and ---- */

typedef struct {
    masked_keys keys;
    semi2k_transfer transfer[MASKED_PARTIES]; /* with each other party */
    size_t planes, plane, words, blocks;      /* blocks: of the whole vector, for addressing */
    uint64_t *pad[MASKED_PARTIES];            /* mine */
    uint64_t *pads;                           /* both that I send */
    uint64_t *a, *b;        /* my masks: transfers are of all planes of the task together */
    masked_opening opening; /* of my part of the masks' product at first */
} and_state;

static uint64_t *plane_at(const seq_task *t, const and_state *s, unsigned arg, unsigned component,
                          size_t p) {
    return (uint64_t *)t->call.reg[arg].c[component] + p * s->plane + t->begin;
}

static uint64_t *product_at(const and_state *s, size_t p) {
    return (uint64_t *)s->opening.value + p * s->words;
}

static size_t address(const seq_task *t, const and_state *s, size_t p) {
    return p * s->blocks + t->begin;
}

static size_t all_words(const and_state *s) {
    return s->planes * s->words;
}

/* I choose by a's mask. */
static int and_choose_with(seq_task *t, and_state *s, unsigned peer) {
    semi2k_transfer *x = &s->transfer[peer];
    const size_t n = all_words(s);
    uint8_t *out;
    s->pad[peer] = task_scratch(t, n * 8);
    if (!s->pad[peer] || semi2k_transfer_begin(x, t, peer))
        return -1;
    const size_t bytes = ot_choice_bytes(x->receive.seeds, n);
    if (semi2k_swap(t, peer, bytes, bytes, &out))
        return -1;
    ot_receive_block(&x->receive, 1, 1, SEMI2K_BOTH, t->begin * s->planes, s->a, n, n, out,
                     s->pad[peer]);
    return 0;
}

static int and_begin(seq_task *t, and_state *s) {
    const size_t n = (size_t)t->call.arg[SEQ_ARG_AND_n];
    s->planes = (size_t)t->call.arg[SEQ_ARG_AND_p];
    s->plane = bits_plane_words(n);
    s->words = t->end - t->begin;
    s->blocks = (n + 63) / 64;
    masked_keys_of(&s->keys, t);
    const size_t bytes = all_words(s) * 8;
    s->a = task_scratch(t, bytes);
    s->b = task_scratch(t, bytes);
    s->pads = task_scratch(t, 2 * bytes);
    s->opening = (masked_opening){.kind = MASKED_BITS,
                                  .to = MASKED_ONLINE,
                                  .n = all_words(s),
                                  .value = task_scratch(t, bytes)};
    if (!s->a || !s->b || !s->pads || !s->opening.value)
        return -1;
    for (size_t p = 0; p < s->planes; p++) {
        memcpy(s->a + p * s->words, plane_at(t, s, SEQ_ARG_AND_a, 1, p), s->words * 8);
        memcpy(s->b + p * s->words, plane_at(t, s, SEQ_ARG_AND_b, 1, p), s->words * 8);
    }
    return 0;
}

static int and_choose(seq_task *t, and_state *s) {
    task_prepares(t);
    for (unsigned j = 0; j < t->env->parties; j++)
        if (j != t->env->me && and_choose_with(t, s, j))
            return TASK_ERROR;
    return TASK_WAIT;
}

/* I send b's mask. */
static int and_answer_to(seq_task *t, and_state *s, unsigned peer) {
    const bits_ops *bits = t->env->bits;
    const size_t n = all_words(s);
    uint64_t *product = s->opening.value;
    uint8_t *frame;
    if (semi2k_swap(t, peer, n * 8, n * 8, &frame))
        return -1;
    uint64_t *out = (uint64_t *)frame;
    ot_send_block(&s->transfer[peer].send, 1, 1, SEMI2K_BOTH, t->begin * s->planes,
                  task_received(t, peer), n, s->pads);
    bits->xor_(out, s->pads, s->pads + n, n);
    bits->xor_(out, out, s->b, n);
    bits->xor_(product, product, s->pads, n);
    return 0;
}

static int and_answer(seq_task *t, and_state *s) {
    task_prepares(t);
    t->env->bits->and_(s->opening.value, s->a, s->b, all_words(s));
    for (unsigned j = 0; j < t->env->parties; j++)
        if (j != t->env->me && and_answer_to(t, s, j))
            return TASK_ERROR;
    return TASK_WAIT;
}

static int and_open(seq_task *t, and_state *s) {
    const bits_ops *bits = t->env->bits;
    const size_t n = all_words(s);
    uint64_t *product = s->opening.value;
    for (unsigned j = 0; !task_prepared(t) && j < t->env->parties; j++) {
        if (j == t->env->me)
            continue;
        bits->xor_(product, product, s->pad[j], n);
        bits->xorand(product, s->a, (const uint64_t *)task_received(t, j), n);
    }
    task_keep(t, product, n * 8);
    for (size_t p = 0; p < s->planes; p++) {
        uint64_t *part = product_at(s, p);
        masked_mask(&s->keys, MASKED_BITS, SEMI2K_AND, address(t, s, p), s->pads, s->words);
        bits->xor_(part, part, s->pads, s->words);
        masked_gate(t, part, plane_at(t, s, SEQ_ARG_AND_a, 0, p), s->a + p * s->words,
                    plane_at(t, s, SEQ_ARG_AND_b, 0, p), s->b + p * s->words, s->words);
    }
    return masked_open(t, &s->opening);
}

static int and_step(seq_task *t) {
    and_state *s = t->state;
    if (t->step_no == 0) {
        if (and_begin(t, s))
            return TASK_ERROR;
        t->step_no = task_prepared(t) ? 2 : 0;
    }
    if (t->step_no == 0)
        return and_choose(t, s);
    if (t->step_no == 1)
        return and_answer(t, s);
    if (t->step_no == 2)
        return and_open(t, s);
    const int status = masked_open(t, &s->opening);
    for (size_t p = 0; status == TASK_DONE && p < s->planes; p++) {
        memcpy(plane_at(t, s, SEQ_ARG_AND_d, 0, p), product_at(s, p), s->words * 8);
        masked_mask(&s->keys, MASKED_BITS, SEMI2K_AND, address(t, s, p),
                    plane_at(t, s, SEQ_ARG_AND_d, 1, p), s->words);
    }
    return status;
}

void semi2k_start_and(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_AND_p] ? (size_t)call->arg[SEQ_ARG_AND_n] : 0;
    masked_start(vm, call, n, vm_rounds(vm, 2, 0) + masked_rounds(vm), and_step, sizeof(and_state));
}
