/* shamir: inputs, openings, outputs and random bits. */

#include "shamir.h"

/* ---- input: its owner deals it ---- */

static int input_step(seq_task *t) {
    shamir_exchange *x = t->state;
    const int64_t in = t->call.arg[SEQ_ARG_INPUT_in];
    const unsigned owner = vm_input_party(t->vm, in);
    shamir_part part;
    shamir_partition(&part, t, (size_t)t->call.arg[SEQ_ARG_INPUT_n]);
    if (t->step_no) {
        shamir_take(x);
        return TASK_DONE;
    }
    const field *words = owner == t->env->me ? vm_input_words(t->vm, in) : NULL;
    if (owner == t->env->me && !words)
        return task_fail(t, SEQ_ERR_CONFIG, -1, "input %lld was not given", (long long)in);
    if (words)
        vm_cheat(t->env, "input", (void *)(uintptr_t)(words + part.first),
                 part.count * sizeof *words);
    shamir_keys(x, t);
    shamir_add(x, (shamir_item){.kind = SHAMIR_DEAL,
                                .type = SHAMIR_NUMBER,
                                .who = owner,
                                .count = part.count,
                                .value = words ? words + part.first : NULL,
                                .out = (field *)t->call.reg[SEQ_ARG_INPUT_d].c[0] + part.first});
    if (shamir_deal(x))
        return TASK_ERROR;
    if (words)
        vm_input_read(t->vm, in, part.first, part.first + part.count);
    return TASK_WAIT;
}

void shamir_start_input(seq_vm *vm, const seq_call *call) {
    shamir_start(vm, call, (size_t)call->arg[SEQ_ARG_INPUT_n], 1, input_step,
                 sizeof(shamir_exchange));
}

/* ---- openings: a receiver learns from t or t + 1 parties the shares that it lacks ---- */

static int receives(int to, unsigned party) {
    return to < 0 || (unsigned)to == party;
}

/* Send `bytes` to each receiver that needs my share: 0, or -1. message[q] is for party q. */
static int send_to_receivers(seq_task *t, int to, size_t bytes, uint8_t **message) {
    const shamir_state *s = shamir_of(t);
    const unsigned me = t->env->me;
    for (unsigned q = 0; q < s->n; q++) {
        message[q] = NULL;
        for (unsigned j = 0; receives(to, q) && j <= s->t; j++) {
            const unsigned source = shamir_source(s, q, j);
            if (source == q)
                continue;
            if (source == me && !(message[q] = task_send(t, q, bytes)))
                return -1;
            if (q == me)
                task_expect(t, source, bytes);
        }
    }
    return 0;
}

static int open_words(seq_task *t, void *d, const field *a, size_t n, int to) {
    const shamir_state *s = shamir_of(t);
    const unsigned me = t->env->me;
    shamir_part part;
    shamir_partition(&part, t, n);
    const size_t bytes = part.count * sizeof(field);
    if (t->step_no == 0) {
        uint8_t *message[SHAMIR_PARTIES];
        if (send_to_receivers(t, to, bytes, message))
            return TASK_ERROR;
        for (unsigned q = 0; q < s->n; q++)
            if (message[q])
                memcpy(message[q], a + part.first, bytes);
        return receives(to, me) ? TASK_WAIT : TASK_DONE;
    }
    const void *in[SHAMIR_T + 1];
    for (unsigned j = 0; j <= s->t; j++) {
        const unsigned source = shamir_source(s, me, j);
        in[j] = source == me ? (const void *)(a + part.first) : task_received(t, source);
    }
    shamir_combine(SHAMIR_NUMBER, (field *)d + part.first, s->table[SHAMIR_NUMBER].open[me], in,
                   s->t + 1, part.count);
    return TASK_DONE;
}

/* What party `from` adds to the bits that `to` learns: bit 0 of a multiple of its share. Bits past
 * the last element, where registers hold anything, stay here. */
static void summand(const seq_task *t, uint64_t *out, const seq_reg *a, size_t word, size_t words,
                    size_t count, unsigned from, unsigned to) {
    const shamir_state *s = shamir_of(t);
    const unsigned j = to < s->core ? (from + s->core - to) % s->core : from;
    const field *c = &s->table[SHAMIR_BITS].open[to][j];
    for (size_t i = 0; i < words; i++) {
        shamir_block block;
        const void *in = &block;
        for (unsigned k = 0; k < 4; k++)
            block.w[k] = ((const uint64_t *)a->c[k])[word + i];
        shamir_combine(SHAMIR_BITS, &block, c, &in, 1, 1);
        out[i] = block.w[0];
    }
    if (count % 64)
        out[words - 1] &= ((uint64_t)1 << count % 64) - 1;
}

static int open_bits(seq_task *t, void *d, const seq_reg *a, size_t planes, size_t n, int to) {
    const shamir_state *s = shamir_of(t);
    const unsigned me = t->env->me;
    const size_t plane = bits_plane_words(n), word = t->env->ring->word;
    shamir_part part;
    shamir_partition(&part, t, n);
    if (t->step_no == 0) {
        uint8_t *message[SHAMIR_PARTIES];
        if (send_to_receivers(t, to, planes * part.words * 8, message))
            return TASK_ERROR;
        for (unsigned q = 0; q < s->n; q++)
            for (size_t p = 0; message[q] && p < planes; p++)
                summand(t, (uint64_t *)message[q] + p * part.words, a, p * plane + t->begin,
                        part.words, part.count, me, q);
        return receives(to, me) ? TASK_WAIT : TASK_DONE;
    }
    uint64_t *open = task_scratch(t, planes * part.words * 8 + 8);
    if (!open)
        return TASK_ERROR;
    memset(open, 0, planes * part.words * 8);
    for (size_t p = 0; me < s->core && p < planes; p++)
        summand(t, open + p * part.words, a, p * plane + t->begin, part.words, part.count, me, me);
    for (unsigned j = 0; j <= s->t; j++) {
        const unsigned source = shamir_source(s, me, j);
        if (source != me)
            t->env->bits->xor_(open, open, (const uint64_t *)task_received(t, source),
                               planes * part.words);
    }
    t->env->bits->unslice((uint8_t *)d + part.first * word, 8 * (unsigned)word, open, part.words,
                          part.count, 0, (unsigned)planes);
    return TASK_DONE;
}

static int open_step(seq_task *t) {
    return open_words(t, t->call.reg[SEQ_ARG_OPEN_d].c[0], t->call.reg[SEQ_ARG_OPEN_a].c[0],
                      (size_t)t->call.arg[SEQ_ARG_OPEN_n], -1);
}

void shamir_start_open(seq_vm *vm, const seq_call *call) {
    shamir_start(vm, call, (size_t)call->arg[SEQ_ARG_OPEN_n], 1, open_step, 0);
}

static int openb_step(seq_task *t) {
    return open_bits(t, t->call.reg[SEQ_ARG_OPENB_d].c[0], &t->call.reg[SEQ_ARG_OPENB_a],
                     (size_t)t->call.arg[SEQ_ARG_OPENB_p], (size_t)t->call.arg[SEQ_ARG_OPENB_n],
                     -1);
}

void shamir_start_openb(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_OPENB_p] ? (size_t)call->arg[SEQ_ARG_OPENB_n] : 0;
    shamir_start(vm, call, n, 1, openb_step, 0);
}

/* Outputs: the receivers' buffer is asked for once and travels in the call's handle operand. */
static int output_step(seq_task *t) {
    return open_words(t, t->call.reg[SEQ_ARG_OUTPUT_h].c[0], t->call.reg[SEQ_ARG_OUTPUT_a].c[0],
                      (size_t)t->call.arg[SEQ_ARG_OUTPUT_n],
                      vm_output_party(t->vm, t->call.arg[SEQ_ARG_OUTPUT_out]));
}

static int outputb_step(seq_task *t) {
    return open_bits(t, t->call.reg[SEQ_ARG_OUTPUTB_h].c[0], &t->call.reg[SEQ_ARG_OUTPUTB_a],
                     (size_t)t->call.arg[SEQ_ARG_OUTPUTB_p], (size_t)t->call.arg[SEQ_ARG_OUTPUTB_n],
                     vm_output_party(t->vm, t->call.arg[SEQ_ARG_OUTPUTB_out]));
}

static void start_output(seq_vm *vm, const seq_call *call, int64_t out, size_t n, task_step step) {
    seq_call own = *call;
    if (receives(vm_output_party(vm, out), vm_env(vm)->me))
        own.reg[0].c[0] = vm_output_buffer(vm, out, n);
    shamir_start(vm, &own, n, 1, step, 0);
}

void shamir_start_output(seq_vm *vm, const seq_call *call) {
    start_output(vm, call, call->arg[SEQ_ARG_OUTPUT_out], (size_t)call->arg[SEQ_ARG_OUTPUT_n],
                 output_step);
}

void shamir_start_outputb(seq_vm *vm, const seq_call *call) {
    start_output(vm, call, call->arg[SEQ_ARG_OUTPUTB_out], (size_t)call->arg[SEQ_ARG_OUTPUTB_n],
                 outputb_step);
}

/* ---- random bits: the sum of bits that t + 1 parties deal ---- */

typedef struct {
    shamir_exchange x;
    shamir_block *dealt;
} randbit_state;

static int randbit_step(seq_task *t) {
    const shamir_state *s = shamir_of(t);
    randbit_state *r = t->state;
    const size_t planes = (size_t)t->call.arg[SEQ_ARG_RANDBIT_p];
    const size_t n = (size_t)t->call.arg[SEQ_ARG_RANDBIT_n];
    const size_t words = t->end - t->begin, count = planes * words;
    if (t->step_no == 0) {
        shamir_block *mine = task_scratch(t, count * sizeof *mine + 64);
        r->dealt = task_scratch(t, (s->t + 1) * count * sizeof *mine + 64);
        if (!mine || !r->dealt)
            return TASK_ERROR;
        prg_key key;
        shamir_keys(&r->x, t);
        prg_derive(&key, &s->program, t->call.instance, t->call.sub);
        memset(mine, 0, count * sizeof *mine);
        for (size_t i = 0; i < count; i++)
            prg_words(&key, (uint32_t)(i / words), t->begin + i % words, mine[i].w, 1);
        for (unsigned d = 0; d <= s->t; d++)
            shamir_add(&r->x, (shamir_item){.kind = SHAMIR_DEAL,
                                            .type = SHAMIR_BITS,
                                            .who = d,
                                            .count = count,
                                            .value = mine,
                                            .out = r->dealt + d * count});
        return shamir_deal(&r->x) ? TASK_ERROR : TASK_WAIT;
    }
    const field ones[SHAMIR_T + 1] = {1, 1, 1, 1, 1};
    const void *in[SHAMIR_T + 1];
    shamir_take(&r->x);
    for (unsigned d = 0; d <= s->t; d++)
        in[d] = r->dealt + d * count;
    shamir_combine(SHAMIR_BITS, r->dealt, ones, in, s->t + 1, count);
    for (size_t p = 0; p < planes; p++)
        shamir_store(&t->call.reg[SEQ_ARG_RANDBIT_d], p * bits_plane_words(n) + t->begin,
                     r->dealt + p * words, words);
    return TASK_DONE;
}

void shamir_start_randbit(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_RANDBIT_p] ? (size_t)call->arg[SEQ_ARG_RANDBIT_n] : 0;
    shamir_start(vm, call, n, 1, randbit_step, sizeof(randbit_state));
}
