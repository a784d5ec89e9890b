/* semi2k: products element by element, of masks by oblivious transfer [Gilboa1999]. See semi2k.h.
 *
 * x y = sum of 2^k (x y_k) over the bits y_k of y: one party has x and sends, for each bit, a
 * correlated transfer of 64 - k bits, the other chooses by y_k. Each party does both, with its mask
 * of a as x and its mask of b as y. */

#include "semi2k.h"

enum { BITS = 64 };

typedef struct {
    masked_part part;
    semi2k_transfer transfer[MASKED_PARTIES]; /* with each other party */
    uint64_t *choice;                         /* planes of my mask of b */
    uint64_t *pad[MASKED_PARTIES];            /* of my choices, bit after bit */
    uint64_t *z, *t1;                         /* my summand */
    uint64_t *both;                           /* pads of 16 bytes, two for each element */
} mul_state;

_Static_assert((int)SEQ_ARG_MUL_ADD_d == (int)SEQ_ARG_MUL_d &&
                   (int)SEQ_ARG_MUL_ADD_mode == (int)SEQ_ARG_MUL_mode,
               "operands of products and sums");

static unsigned width(unsigned k) { /* bytes of a correction */
    return (BITS - k + 7) / 8;
}

static size_t corrections(size_t n) {
    size_t bytes = 0;
    for (unsigned k = 0; k < BITS; k++)
        bytes += n * width(k);
    return bytes;
}

static const uint64_t *at(const seq_task *t, const mul_state *s, unsigned arg, unsigned component) {
    return masked_at(t->env, t->call.reg[arg].c[component], s->part.first);
}

/* Add what I can compute alone: D_a D_b (party 0), D_a M_b + M_a D_b and the product of my masks.
 */
static void own_summand(const seq_task *t, mul_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    const uint64_t *value = at(t, s, SEQ_ARG_MUL_a, 0), *mask = at(t, s, SEQ_ARG_MUL_a, 1);
    ring->add(s->t1, at(t, s, SEQ_ARG_MUL_b, 0), at(t, s, SEQ_ARG_MUL_b, 1), n);
    ring->muladd(s->z, mask, s->t1, n);
    ring->muladd(s->z, value, t->env->me == 0 ? s->t1 : at(t, s, SEQ_ARG_MUL_b, 1), n);
    for (unsigned k = t->env->me == 0 ? 0 : 1; t->call.op == SEQ_OP_MUL_ADD && k < 2; k++)
        ring->add(s->z, s->z, at(t, s, SEQ_ARG_MUL_ADD_e, k), n);
}

/* My choices go out. */
static int choose_with(seq_task *t, mul_state *s, unsigned peer) {
    const size_t n = s->part.words * 64, words = s->part.words;
    semi2k_transfer *x = &s->transfer[peer];
    uint8_t *out;
    s->pad[peer] = task_scratch(t, BITS * n * 8);
    if (!s->pad[peer] || semi2k_transfer_begin(x, t, peer))
        return -1;
    const size_t bytes = ot_choice_bytes(x->receive.seeds, words);
    if (semi2k_swap(t, peer, BITS * bytes, BITS * bytes, &out))
        return -1;
    for (unsigned k = 0; k < BITS; k++) {
        ot_receive_pads(&x->receive, SEMI2K_FACTOR + k, t->begin, s->choice + k * words, words,
                        out + k * bytes, s->both);
        for (size_t i = 0; i < n; i++)
            s->pad[peer][k * n + i] = s->both[2 * i];
    }
    return 0;
}

static int mul_alloc(seq_task *t, mul_state *s) {
    const size_t n = s->part.words * 64, words = s->part.words;
    s->choice = task_scratch(t, BITS * words * 8);
    s->z = task_scratch(t, n * 8);
    s->t1 = task_scratch(t, n * 8);
    s->both = task_scratch(t, 4 * n * 8);
    if (!s->choice || !s->z || !s->t1 || !s->both)
        return -1;
    memset(s->z, 0, n * 8);
    return 0;
}

static int choose(seq_task *t, mul_state *s) {
    const size_t words = s->part.words;
    task_prepares(t);
    t->env->bits->slice(s->choice, words, at(t, s, SEQ_ARG_MUL_b, 1), 64, s->part.count, 0, BITS);
    for (unsigned j = 0; j < t->env->parties; j++)
        if (j != t->env->me && choose_with(t, s, j))
            return TASK_ERROR;
    return TASK_WAIT;
}

/* Another party's choices are there: my mask of a, under its pads. */
static int answer_to(seq_task *t, mul_state *s, unsigned peer) {
    const size_t n = s->part.words * 64, words = s->part.words, count = s->part.count;
    const semi2k_transfer *transfer = &s->transfer[peer];
    const size_t bytes = ot_choice_bytes(transfer->send.seeds, words);
    const uint8_t *in = task_received(t, peer);
    const uint64_t *x = at(t, s, SEQ_ARG_MUL_a, 1);
    uint64_t *one = s->both + 2 * n;
    uint8_t *out;
    if (semi2k_swap(t, peer, corrections(count), corrections(count), &out))
        return -1;
    for (unsigned k = 0; k < BITS; k++) {
        ot_send_pads(&transfer->send, SEMI2K_FACTOR + k, t->begin, in + k * bytes, words, s->both,
                     one);
        for (size_t i = 0; i < count; i++) {
            s->t1[i] = x[i] + s->both[2 * i] - one[2 * i];
            s->z[i] -= s->both[2 * i] << k;
        }
        masked_to_wire(t->env, MASKED_RESIDUE, width(k), out, s->t1, count);
        out += count * width(k);
    }
    return 0;
}

static int answer(seq_task *t, mul_state *s) {
    task_prepares(t);
    for (unsigned j = 0; j < t->env->parties; j++)
        if (j != t->env->me && answer_to(t, s, j))
            return TASK_ERROR;
    return TASK_WAIT;
}

static void take_from(seq_task *t, mul_state *s, unsigned peer) {
    const size_t n = s->part.words * 64, words = s->part.words, count = s->part.count;
    const uint8_t *in = task_received(t, peer);
    for (unsigned k = 0; k < BITS; k++) {
        masked_from_wire(t->env, MASKED_RESIDUE, width(k), s->t1, in, count);
        in += count * width(k);
        for (size_t i = 0; i < count; i++) {
            const uint64_t chosen = 0 - (s->choice[k * words + i / 64] >> i % 64 & 1);
            s->z[i] += (s->pad[peer][k * n + i] + (s->t1[i] & chosen)) << k;
        }
    }
}

/* The answers are there; what comes of them is rounded. */
static int take(seq_task *t, mul_state *s) {
    const size_t count = s->part.count;
    for (unsigned j = 0; !task_prepared(t) && j < t->env->parties; j++)
        if (j != t->env->me)
            take_from(t, s, j);
    task_keep(t, s->z, count * 8);
    own_summand(t, s);
    seq_reg d = {.apart = 0};
    for (unsigned k = 0; k < 2; k++)
        d.c[k] = masked_at(t->env, t->call.reg[SEQ_ARG_MUL_d].c[k], s->part.first);
    seq_call sub = masked_trunc_of(&t->call, SEQ_ARG_MUL_mode, count, s->z, &d);
    task_call(t, &sub, (uint16_t)(t->chunk + 1));
    return TASK_WAIT;
}

static int mul_step(seq_task *t) {
    mul_state *s = t->state;
    if (t->step_no == 0) {
        s->part = masked_elements(t, (size_t)t->call.arg[SEQ_ARG_MUL_n]);
        if (mul_alloc(t, s))
            return TASK_ERROR;
        t->step_no = task_prepared(t) ? 2 : 0;
    }
    switch (t->step_no) {
    case 0:
        return choose(t, s);
    case 1:
        return answer(t, s);
    case 2:
        return take(t, s);
    default:
        return TASK_DONE;
    }
}

void semi2k_start_mul(seq_vm *vm, const seq_call *call) {
    const int64_t *arg = call->arg;
    masked_start(vm, call, (size_t)arg[SEQ_ARG_MUL_n],
                 vm_rounds(vm, 2, 0) +
                     semi2k_round_rounds(vm, arg[SEQ_ARG_MUL_m], arg[SEQ_ARG_MUL_mode], 1),
                 mul_step, sizeof(mul_state));
}
