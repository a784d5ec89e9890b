/* rep3: inputs, openings and outputs. */

#include "rep3.h"

/* The elements of a flat task. */
typedef struct {
    size_t first, count;
} elements;

static elements task_elements(const seq_task *t, size_t n) {
    const size_t first = 64 * t->begin, end = 64 * t->end < n ? 64 * t->end : n;
    return (elements){first, end - first};
}

/* ---- input: x = mask + (x - mask) + 0; the previous party knows the mask, the next one the rest
 * ---- */

static int input_step(seq_task *t) {
    rep3_keys *keys = t->state;
    const unsigned me = t->env->me;
    const int64_t in = t->call.arg[SEQ_ARG_INPUT_in];
    const unsigned owner = vm_input_party(t->vm, in);
    const rep3_word *w = rep3_words(t->env);
    const seq_reg d = t->call.reg[SEQ_ARG_INPUT_d];
    const elements e = task_elements(t, (size_t)t->call.arg[SEQ_ARG_INPUT_n]);
    const size_t at = e.first * w->word, bytes = e.count * w->word;
    if (t->step_no) {
        memcpy((uint8_t *)d.c[0] + at, task_received(t, owner), bytes);
        return TASK_DONE;
    }
    rep3_derive(keys, t);
    rep3_flat_job job = {.env = t->env, .keys = keys, .first = e.first, .count = e.count, .d = d};
    const unsigned masked = me == owner ? 0 : 1; /* the component that is the mask */
    const prg_key *key = me == owner ? &keys->prev : &keys->next;
    if ((me == owner || rep3_next(me) == owner) &&
        vm_keep_seed(t->vm, &t->call, masked, key, REP3_INPUT))
        job.d.c[masked] = NULL;
    if (me == owner) {
        job.source.a.c[0] = (void *)vm_input_words(t->vm, in); /* only read */
        job.send = task_send(t, rep3_next(me), bytes);
        if (!job.source.a.c[0])
            return task_fail(t, SEQ_ERR_CONFIG, -1, "input %lld was not given", (long long)in);
        if (!job.send)
            return TASK_ERROR;
        par_for(t->env->pool, e.count, REP3_PIECE, w->input_owner, &job);
        vm_input_read(t->vm, in, e.first, e.first + e.count);
        return TASK_DONE;
    }
    if (rep3_next(me) == owner) {
        if (!vm_keep_seed(t->vm, &t->call, 0, NULL, 0))
            vm_zero((uint8_t *)d.c[0] + at, bytes);
        if (job.d.c[1])
            par_for(t->env->pool, e.count, REP3_PIECE, w->input_previous, &job);
        return TASK_DONE;
    }
    if (!vm_keep_seed(t->vm, &t->call, 1, NULL, 0))
        vm_zero((uint8_t *)d.c[1] + at, bytes);
    task_expect(t, owner, bytes);
    return TASK_WAIT;
}

void rep3_start_input(seq_vm *vm, const seq_call *call) {
    rep3_start_flat(vm, call, (size_t)call->arg[SEQ_ARG_INPUT_n], 1, input_step, sizeof(rep3_keys));
}

/* ---- openings: the party before a receiver sends it the component that it lacks ---- */

static int receives(int to, unsigned party) {
    return to < 0 || (unsigned)to == party;
}

/* One exchange of `bytes` at `mine`: 1 when what came is in *theirs, 0 to wait, -1 when done. */
static int exchange(seq_task *t, int to, size_t bytes, uint8_t **send) {
    const unsigned me = t->env->me;
    *send = NULL;
    if (receives(to, rep3_next(me)) && !(*send = task_send(t, rep3_next(me), bytes)))
        return TASK_ERROR;
    if (!receives(to, me))
        return TASK_DONE;
    task_expect(t, rep3_prev(me), bytes);
    return TASK_WAIT;
}

static int open_words(seq_task *t, void *d, const seq_reg *a, size_t n, int to) {
    const rep3_word *w = rep3_words(t->env);
    const elements e = task_elements(t, n);
    if (t->step_no == 0) {
        uint8_t *send;
        const int status = exchange(t, to, e.count * w->word, &send);
        if (send)
            memcpy(send, (const uint8_t *)a->c[0] + e.first * w->word, e.count * w->word);
        return status;
    }
    rep3_flat_job job = {.env = t->env,
                         .first = e.first,
                         .count = e.count,
                         .source.a = *a,
                         .d.c[0] = d,
                         .recv = task_received(t, rep3_prev(t->env->me))};
    par_for(t->env->pool, e.count, REP3_PIECE, w->open, &job);
    return TASK_DONE;
}

/* A task's words of a plane go out; bits past the last element are whatever the register held
 * before, and stay here. */
static void copy_plane(uint8_t *send, const uint64_t *plane, size_t words, size_t count) {
    memcpy(send, plane, words * 8);
    if (count % 64) {
        const uint64_t last = plane[words - 1] & (((uint64_t)1 << count % 64) - 1);
        memcpy(send + (words - 1) * 8, &last, 8);
    }
}

static int open_bits(seq_task *t, void *d, const seq_reg *a, size_t planes, size_t n, int to) {
    const rep3_word *w = rep3_words(t->env);
    const size_t words = t->end - t->begin, plane = bits_plane_words(n);
    const elements e = task_elements(t, n);
    const uint64_t *a0 = (const uint64_t *)a->c[0] + t->begin;
    const uint64_t *a1 = (const uint64_t *)a->c[1] + t->begin;
    if (t->step_no == 0) {
        uint8_t *send;
        const int status = exchange(t, to, planes * words * 8, &send);
        for (size_t p = 0; send && p < planes; p++)
            copy_plane(send + p * words * 8, a0 + p * plane, words, e.count);
        return status;
    }
    const uint64_t *other = (const uint64_t *)task_received(t, rep3_prev(t->env->me));
    uint64_t *open = task_scratch(t, planes * words * 8);
    if (!open)
        return TASK_ERROR;
    for (size_t p = 0; p < planes; p++) {
        t->env->bits->xor_(open + p * words, a0 + p * plane, a1 + p * plane, words);
        t->env->bits->xor_(open + p * words, open + p * words, other + p * words, words);
    }
    t->env->bits->unslice((uint8_t *)d + e.first * w->word, 8 * (unsigned)w->word, open, words,
                          e.count, 0, (unsigned)planes);
    return TASK_DONE;
}

static int open_step(seq_task *t) {
    return open_words(t, t->call.reg[SEQ_ARG_OPEN_d].c[0], &t->call.reg[SEQ_ARG_OPEN_a],
                      (size_t)t->call.arg[SEQ_ARG_OPEN_n], -1);
}

void rep3_start_open(seq_vm *vm, const seq_call *call) {
    rep3_start_flat(vm, call, (size_t)call->arg[SEQ_ARG_OPEN_n], 1, open_step, 0);
}

static int openb_step(seq_task *t) {
    return open_bits(t, t->call.reg[SEQ_ARG_OPENB_d].c[0], &t->call.reg[SEQ_ARG_OPENB_a],
                     (size_t)t->call.arg[SEQ_ARG_OPENB_p], (size_t)t->call.arg[SEQ_ARG_OPENB_n],
                     -1);
}

void rep3_start_openb(seq_vm *vm, const seq_call *call) {
    rep3_start_flat(vm, call, (size_t)call->arg[SEQ_ARG_OPENB_n], 1, openb_step, 0);
}

/* Outputs: the receivers' buffer is asked for once and travels in the call's handle operand. */
static int output_step(seq_task *t) {
    return open_words(t, t->call.reg[SEQ_ARG_OUTPUT_h].c[0], &t->call.reg[SEQ_ARG_OUTPUT_a],
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
    rep3_start_flat(vm, &own, n, 1, step, 0);
}

void rep3_start_output(seq_vm *vm, const seq_call *call) {
    start_output(vm, call, call->arg[SEQ_ARG_OUTPUT_out], (size_t)call->arg[SEQ_ARG_OUTPUT_n],
                 output_step);
}

void rep3_start_outputb(seq_vm *vm, const seq_call *call) {
    start_output(vm, call, call->arg[SEQ_ARG_OUTPUTB_out], (size_t)call->arg[SEQ_ARG_OUTPUTB_n],
                 outputb_step);
}
