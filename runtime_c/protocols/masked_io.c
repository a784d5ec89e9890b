/* Masked values: inputs, openings, outputs, random bits. See masked.h. */

#include "masked.h"

/* ---- input: its owner knows the mask, with the dealer, and tells the others the masked value ----
 */

/* The owner's mask, which is all there is of an input before it is known. */
static int input_prepared(seq_task *t, const masked_keys *x, const masked_part *part) {
    const prg_key *key = &x->part[t->env->me];
    void *mask = masked_at(t->env, t->call.reg[SEQ_ARG_INPUT_d].c[1], part->first);
    if (!vm_keep_seed(t->vm, &t->call, 1, key, MASKED_INPUT))
        masked_stream(t->env, key, MASKED_WORD, MASKED_INPUT, part->first, mask, part->count);
    return TASK_DONE;
}

/* The owner's masked value; its mask, unless it is kept as a seed. */
static int input_owner(seq_task *t, masked_keys *x, const masked_part *part) {
    const int64_t in = t->call.arg[SEQ_ARG_INPUT_in];
    const size_t bytes = part->count * t->env->ring->word;
    const seq_reg *d = &t->call.reg[SEQ_ARG_INPUT_d];
    const void *words = vm_input_words(t->vm, in);
    const unsigned me = t->env->me;
    if (t->env->phase == SEQ_PREPARE)
        return input_prepared(t, x, part);
    if (!words)
        return task_fail(t, SEQ_ERR_CONFIG, -1, "input %lld was not given", (long long)in);
    void *mask = task_scratch(t, bytes + 64), *value = masked_at(t->env, d->c[0], part->first);
    if (masked_dealer(t))
        value = task_scratch(t, bytes + 64);
    if (!mask || !value)
        return TASK_ERROR;
    masked_mask(x, MASKED_WORD, MASKED_INPUT, part->first, mask, part->count);
    t->env->ring->sub(value, masked_at(t->env, (void *)words, part->first), mask, part->count);
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
        uint8_t *frame = j == me ? NULL : task_send(t, j, bytes);
        if (j != me && !frame)
            return TASK_ERROR;
        if (frame)
            memcpy(frame, value, bytes);
    }
    vm_input_read(t->vm, in, part->first, part->first + part->count);
    if (masked_dealer(t) || !vm_keep_seed(t->vm, &t->call, 1, &x->part[me], MASKED_INPUT))
        memcpy(masked_at(t->env, d->c[1], part->first), mask, bytes);
    return TASK_DONE;
}

/* My part of the mask, if I am not the owner: the owner's whole one at the dealer, nothing at other
 * parties, or a part of the dealer's. */
static void input_mask(seq_task *t, const masked_keys *x, unsigned owner, const masked_part *part) {
    const seq_reg *d = &t->call.reg[SEQ_ARG_INPUT_d];
    const prg_key *key = NULL;
    void *mask = masked_at(t->env, d->c[1], part->first);
    if (masked_dealer(t))
        key = &x->part[owner];
    else if (owner == masked_of(t)->n)
        key = &x->part[t->env->me];
    if (vm_keep_seed(t->vm, &t->call, 1, key, MASKED_INPUT))
        return;
    const size_t halves = t->env->ring->word / 8;
    if (key)
        prg_words(key, MASKED_INPUT, part->first * halves, mask, part->count * halves);
    else
        vm_zero(mask, part->count * t->env->ring->word);
}

static int input_step(seq_task *t) {
    masked_keys *x = t->state;
    const unsigned owner = vm_input_party(t->vm, t->call.arg[SEQ_ARG_INPUT_in]);
    const seq_reg *d = &t->call.reg[SEQ_ARG_INPUT_d];
    const masked_part part = masked_elements(t, (size_t)t->call.arg[SEQ_ARG_INPUT_n]);
    void *value = masked_at(t->env, d->c[0], part.first);
    const size_t bytes = part.count * t->env->ring->word;
    if (t->step_no) {
        memcpy(value, task_received(t, owner), bytes);
        return TASK_DONE;
    }
    masked_keys_of(x, t);
    if (masked_dealer(t) && !vm_keep_seed(t->vm, &t->call, 0, NULL, 0))
        vm_zero(value, bytes);
    if (owner == t->env->me)
        return input_owner(t, x, &part);
    input_mask(t, x, owner, &part);
    if (masked_dealer(t))
        return TASK_DONE;
    task_expect(t, owner, bytes);
    return TASK_WAIT;
}

void masked_start_input(seq_vm *vm, const seq_call *call) {
    masked_start(vm, call, (size_t)call->arg[SEQ_ARG_INPUT_n], vm_rounds(vm, 0, 1), input_step,
                 sizeof(masked_keys));
}

/* ---- openings: summands of the value, masked by a sharing of zero ---- */

/* An instruction that reveals something: planes 0: words. */
typedef struct {
    seq_reg a;
    void *out;
    size_t n, planes;
    int to;
} revealed;

static revealed revealed_by(const seq_vm *vm, const seq_call *c) {
    switch (c->op) {
    case SEQ_OP_OPEN:
        return (revealed){c->reg[SEQ_ARG_OPEN_a], c->reg[SEQ_ARG_OPEN_d].c[0],
                          (size_t)c->arg[SEQ_ARG_OPEN_n], 0, MASKED_ALL};
    case SEQ_OP_OPENB:
        return (revealed){c->reg[SEQ_ARG_OPENB_a], c->reg[SEQ_ARG_OPENB_d].c[0],
                          (size_t)c->arg[SEQ_ARG_OPENB_n], (size_t)c->arg[SEQ_ARG_OPENB_p],
                          MASKED_ALL};
    case SEQ_OP_OUTPUT: /* the receivers' buffer travels in the handle operand */
        return (revealed){c->reg[SEQ_ARG_OUTPUT_a], c->reg[SEQ_ARG_OUTPUT_h].c[0],
                          (size_t)c->arg[SEQ_ARG_OUTPUT_n], 0,
                          vm_output_party((seq_vm *)(uintptr_t)vm, c->arg[SEQ_ARG_OUTPUT_out])};
    default:
        return (revealed){c->reg[SEQ_ARG_OUTPUTB_a], c->reg[SEQ_ARG_OUTPUTB_h].c[0],
                          (size_t)c->arg[SEQ_ARG_OUTPUTB_n], (size_t)c->arg[SEQ_ARG_OUTPUTB_p],
                          vm_output_party((seq_vm *)(uintptr_t)vm, c->arg[SEQ_ARG_OUTPUTB_out])};
    }
}

static void word_summands(seq_task *t, const revealed *r, const masked_part *part, void *sum) {
    const ring_ops *ring = t->env->ring;
    masked_zero(t, MASKED_WORD, part->first, sum, part->count);
    for (unsigned k = t->env->me == 0 ? 0 : 1; k < 2; k++)
        ring->add(sum, sum, masked_at(t->env, r->a.c[k], part->first), part->count);
}

/* Bits past the last element, where registers hold anything, stay here. */
static void bit_summands(seq_task *t, const revealed *r, const masked_part *part, uint64_t *sum) {
    const size_t plane = bits_plane_words(r->n), blocks = (r->n + 63) / 64;
    for (size_t p = 0; p < r->planes; p++) {
        uint64_t *d = sum + p * part->words;
        masked_zero(t, MASKED_BITS, p * blocks + t->begin, d, part->words);
        for (unsigned k = t->env->me == 0 ? 0 : 1; k < 2; k++)
            t->env->bits->xor_(d, d, (const uint64_t *)r->a.c[k] + p * plane + t->begin,
                               part->words);
        if (part->count % 64)
            d[part->words - 1] &= ((uint64_t)1 << part->count % 64) - 1;
    }
}

static int open_step(seq_task *t) {
    masked_opening *o = t->state;
    const revealed r = revealed_by(t->vm, &t->call);
    const masked_part part = masked_elements(t, r.n);
    const size_t word = t->env->ring->word;
    if (t->step_no == 0) {
        o->kind = r.planes ? MASKED_BITS : MASKED_WORD;
        o->to = r.to;
        o->n = r.planes ? r.planes * part.words : part.count;
        o->value = task_scratch(t, o->n * masked_size(t->env, o->kind) + 64);
        if (!o->value)
            return TASK_ERROR;
        if (!masked_dealer(t) && r.planes)
            bit_summands(t, &r, &part, o->value);
        else if (!masked_dealer(t))
            word_summands(t, &r, &part, o->value);
    }
    const int status = masked_open(t, o);
    if (status != TASK_DONE || !r.out || (masked_dealer(t) && t->env->ahead))
        return status;
    uint8_t *out = masked_at(t->env, r.out, part.first);
    if (t->env->phase == SEQ_PREPARE) /* nothing is revealed then, of masks either */
        memset(o->value, 0, o->n * masked_size(t->env, o->kind));
    if (r.planes)
        t->env->bits->unslice(out, 8 * (unsigned)word, o->value, part.words, part.count, 0,
                              (unsigned)r.planes);
    else
        memcpy(out, o->value, part.count * word);
    return TASK_DONE;
}

void masked_start_open(seq_vm *vm, const seq_call *call) {
    seq_call own = *call;
    revealed r = revealed_by(vm, call);
    const int output = call->op == SEQ_OP_OUTPUT || call->op == SEQ_OP_OUTPUTB;
    if (output && (r.to < 0 || r.to == (int)vm_env(vm)->me))
        own.reg[0].c[0] = vm_output_buffer(vm, call->arg[SEQ_ARG_OUTPUT_out], r.n);
    masked_start(vm, &own, r.n, vm_rounds(vm, 0, masked_opening_rounds(vm_env(vm), r.to)),
                 open_step, sizeof(masked_opening));
}

_Static_assert((int)SEQ_ARG_OUTPUT_out == (int)SEQ_ARG_OUTPUTB_out && (int)SEQ_ARG_OUTPUT_h == 0 &&
                   (int)SEQ_ARG_OUTPUTB_h == 0,
               "handled alike");

/* ---- random bits: the masked value is random, and unknown to the dealer ---- */

static int randbit_step(seq_task *t) {
    const masked_state *s = masked_of(t);
    const seq_reg *d = &t->call.reg[SEQ_ARG_RANDBIT_d];
    const size_t n = (size_t)t->call.arg[SEQ_ARG_RANDBIT_n];
    const size_t blocks = (n + 63) / 64, plane = bits_plane_words(n), words = t->end - t->begin;
    masked_keys x = {.t = t};
    prg_key online;
    prg_derive(&online, &s->online, t->call.instance, t->call.sub);
    for (unsigned j = 0; j < s->n; j++)
        if (masked_dealer(t) || j == t->env->me)
            prg_derive(&x.part[j], &s->program[j], t->call.instance, t->call.sub);
    for (size_t p = 0; p < (size_t)t->call.arg[SEQ_ARG_RANDBIT_p]; p++) {
        const size_t at = p * plane + t->begin, address = p * blocks + t->begin;
        if (!masked_dealer(t))
            prg_words(&online, MASKED_RANDOM, address, (uint64_t *)d->c[0] + at, words);
        masked_mask(&x, MASKED_BITS, MASKED_RANDOM, address, (uint64_t *)d->c[1] + at, words);
    }
    prg_wipe(&x, sizeof x);
    prg_wipe(&online, sizeof online);
    return TASK_DONE;
}

void masked_start_randbit(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_RANDBIT_p] ? (size_t)call->arg[SEQ_ARG_RANDBIT_n] : 0;
    masked_start(vm, call, n, 0, randbit_step, 0);
}
