/* dealer: inputs, openings, outputs, shuffles. See dealer.h. */

#include "dealer.h"

/* ---- input: its owner knows the mask, with the dealer, and tells the others the masked value ----
 */

/* The owner's masked value; its mask, unless it is kept as a seed. */
static int input_owner(seq_task *t, dealer_deal *x, const dealer_part *part) {
    const int64_t in = t->call.arg[SEQ_ARG_INPUT_in];
    const size_t bytes = part->count * t->env->ring->word;
    const seq_reg *d = &t->call.reg[SEQ_ARG_INPUT_d];
    const void *words = vm_input_words(t->vm, in);
    const unsigned me = t->env->me;
    if (!words)
        return task_fail(t, SEQ_ERR_CONFIG, -1, "input %lld was not given", (long long)in);
    void *mask = task_scratch(t, bytes + 64), *value = dealer_at(t->env, d->c[0], part->first);
    if (dealer_is(t))
        value = task_scratch(t, bytes + 64);
    if (!mask || !value)
        return TASK_ERROR;
    dealer_mask(x, DEALER_WORD, DEALER_INPUT, part->first, mask, part->count);
    t->env->ring->sub(value, dealer_at(t->env, (void *)words, part->first), mask, part->count);
    for (unsigned j = 0; j < dealer_of(t)->n; j++) {
        uint8_t *frame = j == me ? NULL : task_send(t, j, bytes);
        if (j != me && !frame)
            return TASK_ERROR;
        if (frame)
            memcpy(frame, value, bytes);
    }
    vm_input_read(t->vm, in, part->first, part->first + part->count);
    if (dealer_is(t) || !vm_keep_seed(t->vm, &t->call, 1, &x->pair[me], DEALER_INPUT))
        memcpy(dealer_at(t->env, d->c[1], part->first), mask, bytes);
    return TASK_DONE;
}

/* My part of the mask, if I am not the owner: the owner's whole one at the dealer, nothing at other
 * parties, or a part of the dealer's. */
static void input_mask(seq_task *t, const dealer_deal *x, unsigned owner, const dealer_part *part) {
    const seq_reg *d = &t->call.reg[SEQ_ARG_INPUT_d];
    const prg_key *key = NULL;
    void *mask = dealer_at(t->env, d->c[1], part->first);
    if (dealer_is(t))
        key = &x->pair[owner];
    else if (owner == dealer_of(t)->n)
        key = &x->pair[t->env->me];
    if (vm_keep_seed(t->vm, &t->call, 1, key, DEALER_INPUT))
        return;
    const size_t halves = t->env->ring->word / 8;
    if (key)
        prg_words(key, DEALER_INPUT, part->first * halves, mask, part->count * halves);
    else
        vm_zero(mask, part->count * t->env->ring->word);
}

static int input_step(seq_task *t) {
    dealer_deal *x = t->state;
    const unsigned owner = vm_input_party(t->vm, t->call.arg[SEQ_ARG_INPUT_in]);
    const seq_reg *d = &t->call.reg[SEQ_ARG_INPUT_d];
    const dealer_part part = dealer_elements(t, (size_t)t->call.arg[SEQ_ARG_INPUT_n]);
    void *value = dealer_at(t->env, d->c[0], part.first);
    const size_t bytes = part.count * t->env->ring->word;
    if (t->step_no) {
        memcpy(value, task_received(t, owner), bytes);
        return TASK_DONE;
    }
    if (dealer_begin(x, t, 0))
        return TASK_ERROR;
    if (dealer_is(t) && !vm_keep_seed(t->vm, &t->call, 0, NULL, 0))
        vm_zero(value, bytes);
    if (owner == t->env->me)
        return input_owner(t, x, &part);
    input_mask(t, x, owner, &part);
    if (dealer_is(t))
        return TASK_DONE;
    task_expect(t, owner, bytes);
    return TASK_WAIT;
}

void dealer_start_input(seq_vm *vm, const seq_call *call) {
    dealer_start(vm, call, (size_t)call->arg[SEQ_ARG_INPUT_n], 1, input_step, sizeof(dealer_deal));
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
                          (size_t)c->arg[SEQ_ARG_OPEN_n], 0, DEALER_ALL};
    case SEQ_OP_OPENB:
        return (revealed){c->reg[SEQ_ARG_OPENB_a], c->reg[SEQ_ARG_OPENB_d].c[0],
                          (size_t)c->arg[SEQ_ARG_OPENB_n], (size_t)c->arg[SEQ_ARG_OPENB_p],
                          DEALER_ALL};
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

static void word_summands(seq_task *t, const revealed *r, const dealer_part *part, void *sum) {
    const ring_ops *ring = t->env->ring;
    dealer_zero(t, DEALER_WORD, part->first, sum, part->count);
    for (unsigned k = t->env->me == 0 ? 0 : 1; k < 2; k++)
        ring->add(sum, sum, dealer_at(t->env, r->a.c[k], part->first), part->count);
}

/* Bits past the last element, where registers hold anything, stay here. */
static void bit_summands(seq_task *t, const revealed *r, const dealer_part *part, uint64_t *sum) {
    const size_t plane = bits_plane_words(r->n), blocks = (r->n + 63) / 64;
    for (size_t p = 0; p < r->planes; p++) {
        uint64_t *d = sum + p * part->words;
        dealer_zero(t, DEALER_BITS, p * blocks + t->begin, d, part->words);
        for (unsigned k = t->env->me == 0 ? 0 : 1; k < 2; k++)
            t->env->bits->xor_(d, d, (const uint64_t *)r->a.c[k] + p * plane + t->begin,
                               part->words);
        if (part->count % 64)
            d[part->words - 1] &= ((uint64_t)1 << part->count % 64) - 1;
    }
}

static int open_step(seq_task *t) {
    dealer_opening *o = t->state;
    const revealed r = revealed_by(t->vm, &t->call);
    const dealer_part part = dealer_elements(t, r.n);
    const size_t word = t->env->ring->word;
    if (t->step_no == 0) {
        o->kind = r.planes ? DEALER_BITS : DEALER_WORD;
        o->to = r.to;
        o->n = r.planes ? r.planes * part.words : part.count;
        o->value = task_scratch(t, o->n * dealer_size(t->env, o->kind) + 64);
        if (!o->value)
            return TASK_ERROR;
        if (!dealer_is(t) && r.planes)
            bit_summands(t, &r, &part, o->value);
        else if (!dealer_is(t))
            word_summands(t, &r, &part, o->value);
    }
    const int status = dealer_open(t, o);
    if (status != TASK_DONE || !r.out || (dealer_is(t) && t->env->ahead))
        return status;
    uint8_t *out = dealer_at(t->env, r.out, part.first);
    if (r.planes)
        t->env->bits->unslice(out, 8 * (unsigned)word, o->value, part.words, part.count, 0,
                              (unsigned)r.planes);
    else
        memcpy(out, o->value, part.count * word);
    return TASK_DONE;
}

void dealer_start_open(seq_vm *vm, const seq_call *call) {
    seq_call own = *call;
    revealed r = revealed_by(vm, call);
    const int output = call->op == SEQ_OP_OUTPUT || call->op == SEQ_OP_OUTPUTB;
    if (output && (r.to < 0 || r.to == (int)vm_env(vm)->me))
        own.reg[0].c[0] = vm_output_buffer(vm, call->arg[SEQ_ARG_OUTPUT_out], r.n);
    dealer_start(vm, &own, r.n, dealer_opening_rounds(vm_env(vm), r.to), open_step,
                 sizeof(dealer_opening));
}

_Static_assert((int)SEQ_ARG_OUTPUT_out == (int)SEQ_ARG_OUTPUTB_out && (int)SEQ_ARG_OUTPUT_h == 0 &&
                   (int)SEQ_ARG_OUTPUTB_h == 0,
               "handled alike");

/* ---- shuffle: each computing party applies an order that it and the dealer know; before, all of
 * them apply one that the dealer does not know. All elements of a row move alike: a task is a range
 * of columns with all rows. ---- */

#define SHUFFLE_CHUNK ((size_t)1 << 17) /* elements in one task, where a column has fewer */

typedef struct {
    dealer_deal x;
    size_t rows, row, width, at; /* elements of a row, and of it here; where masks begin */
    uint32_t *order;
    uint8_t *value, *other, *dealt; /* matrices of rows times width */
    unsigned hop;
    dealer_opening opening;
} shuffle_state;

/* d = rows of a in an order; NULL: as they are. a has rows of `row` elements. */
static void take_rows(const seq_task *t, uint8_t *d, const uint8_t *a, size_t row,
                      const uint32_t *order) {
    const shuffle_state *s = t->state;
    const size_t word = t->env->ring->word;
    for (size_t i = 0; i < s->rows; i++)
        memcpy(d + i * s->width * word, a + (order ? order[i] : i) * row * word, s->width * word);
}

static void put_rows(const seq_task *t, unsigned component, const uint8_t *a) {
    const shuffle_state *s = t->state;
    const size_t word = t->env->ring->word;
    uint8_t *d = dealer_at(t->env, t->call.reg[SEQ_ARG_SHUFFLE_d].c[component], t->begin);
    for (size_t i = 0; i < s->rows; i++)
        memcpy(d + i * s->row * word, a + i * s->width * word, s->width * word);
}

/* The order of party j, or (j = n) the one that the dealer does not know. */
static const uint32_t *order_of(const seq_task *t, unsigned j) {
    const dealer_state *d = dealer_of(t);
    const shuffle_state *s = t->state;
    prg_key key;
    uint64_t name;
    memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
    prg_derive(&key, j == d->n ? &d->online : &d->program[dealer_is(t) ? j : d->n], name,
               REP3_ORDERS);
    rep3_draw_order(&key, s->order, s->rows);
    prg_wipe(&key, sizeof key);
    return s->order;
}

static void hop_mask(const shuffle_state *s, unsigned hop, uint8_t *out) {
    dealer_mask(&s->x, DEALER_WORD, DEALER_HOP + hop, s->at, out, s->rows * s->width);
}

/* Party j gets the mask before its hop, in its order, less the mask after it. */
static int shuffle_deal(seq_task *t, shuffle_state *s) {
    const size_t n = s->rows * s->width, bytes = n * t->env->ring->word;
    for (unsigned j = 0; j < dealer_of(t)->n; j++) {
        uint8_t *frame = task_send(t, j, bytes);
        if (!frame)
            return TASK_ERROR;
        hop_mask(s, j, s->value);
        take_rows(t, s->other, s->value, s->width, order_of(t, j));
        hop_mask(s, j + 1, s->value);
        t->env->ring->sub(frame, s->other, s->value, n);
    }
    put_rows(t, 1, s->value);
    return TASK_DONE;
}

/* Rows in the order that the dealer does not know, masked again. */
static int shuffle_begin(seq_task *t, shuffle_state *s) {
    const size_t n = s->rows * s->width, bytes = n * t->env->ring->word;
    const seq_reg *a = &t->call.reg[SEQ_ARG_SHUFFLE_a];
    memcpy(s->dealt, task_received(t, dealer_of(t)->n), bytes);
    const uint32_t *order = order_of(t, dealer_of(t)->n);
    hop_mask(s, 0, s->value);
    take_rows(t, s->other, dealer_at(t->env, a->c[1], t->begin), s->row, order);
    t->env->ring->sub(s->value, s->other, s->value, n);
    if (t->env->me == 0) {
        take_rows(t, s->other, dealer_at(t->env, a->c[0], t->begin), s->row, order);
        t->env->ring->add(s->value, s->value, s->other, n);
    }
    s->opening =
        (dealer_opening){.kind = DEALER_WORD, .to = DEALER_ONLINE, .n = n, .value = s->value};
    return dealer_open(t, &s->opening);
}

/* The next party applies its order and tells the others. */
static int shuffle_hop(seq_task *t, shuffle_state *s) {
    const size_t n = s->rows * s->width, bytes = n * t->env->ring->word;
    if (s->hop == dealer_of(t)->n) {
        put_rows(t, 0, s->value);
        hop_mask(s, s->hop, s->value);
        put_rows(t, 1, s->value);
        return TASK_DONE;
    }
    if (s->hop != t->env->me) {
        task_expect(t, s->hop, bytes);
        return TASK_WAIT;
    }
    take_rows(t, s->other, s->value, s->width, order_of(t, t->env->me));
    t->env->ring->add(s->value, s->other, s->dealt, n);
    for (unsigned j = 0; j < dealer_of(t)->n; j++) {
        uint8_t *frame = j == t->env->me ? NULL : task_send(t, j, bytes);
        if (j != t->env->me && !frame)
            return TASK_ERROR;
        if (frame)
            memcpy(frame, s->value, bytes);
    }
    return TASK_WAIT;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    const size_t word = t->env->ring->word;
    if (t->step_no == 0) {
        s->rows = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
        s->row = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_len];
        s->width = t->end - t->begin;
        s->at = t->begin * s->rows;
        const size_t bytes = s->rows * s->width * word;
        s->order = task_scratch(t, s->rows * sizeof *s->order);
        s->value = task_scratch(t, bytes + 64);
        s->other = task_scratch(t, bytes + 64);
        s->dealt = task_scratch(t, bytes + 64);
        if (!s->order || !s->value || !s->other || !s->dealt || dealer_begin(&s->x, t, 0))
            return TASK_ERROR;
        if (dealer_is(t))
            return shuffle_deal(t, s);
        task_expect(t, dealer_of(t)->n, bytes);
        return TASK_WAIT;
    }
    if (t->step_no == 1)
        return shuffle_begin(t, s);
    if (!s->hop) {
        const int status = s->opening.n ? dealer_open(t, &s->opening) : TASK_DONE;
        if (status != TASK_DONE)
            return status;
        s->opening.n = 0;
    }
    /* What came of the hop before this one. */
    const uint8_t *in = s->hop ? task_received(t, s->hop - 1) : NULL;
    if (in && s->hop - 1 != t->env->me)
        memcpy(s->value, in, s->rows * s->width * word);
    const int status = shuffle_hop(t, s);
    s->hop++;
    return status;
}

void dealer_start_shuffle(seq_vm *vm, const seq_call *call) {
    const size_t rows = (size_t)call->arg[SEQ_ARG_SHUFFLE_n];
    const size_t columns = (size_t)call->arg[SEQ_ARG_SHUFFLE_len];
    const size_t width = rows && rows < SHUFFLE_CHUNK ? SHUFFLE_CHUNK / rows : 1;
    const unsigned n = vm_env(vm)->parties - 1;
    if (rows && columns > DEALER_MAX_ELEMENTS / rows) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "dealer shuffles at most %zu elements in one instruction",
                      DEALER_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, rows && columns ? dealer_rounds(vm) + n : 0);
    for (size_t at = 0, c = 0; rows && at < columns; at += width, c++)
        task_create(vm, call, (uint32_t)c, at, columns - at < width ? columns : at + width,
                    shuffle_step, sizeof(shuffle_state));
}
