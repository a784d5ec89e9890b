/* dealer: shuffles. See dealer.h. */

#include "dealer.h"

/* ---- shuffle: each computing party applies an order that it and the dealer know; before, all of
 * them apply one that the dealer does not know. All elements of a row move alike: a task is a range
 * of columns with all rows. ---- */

#define SHUFFLE_CHUNK ((size_t)1 << 17) /* elements in one task, where a column has fewer */

typedef struct {
    dealer_deal x;
    dealer_columns part;
    uint32_t *order;
    uint8_t *value, *other, *dealt; /* matrices of rows times width */
    unsigned hop;
    masked_opening opening;
} shuffle_state;

dealer_columns dealer_columns_of(const seq_task *t) {
    const size_t rows = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
    return (dealer_columns){rows, (size_t)t->call.arg[SEQ_ARG_SHUFFLE_len], t->end - t->begin,
                            t->begin * rows};
}

void dealer_take_rows(const seq_task *t, const dealer_columns *c, void *d, const void *a,
                      size_t row, const uint32_t *order) {
    const size_t word = t->env->ring->word;
    for (size_t i = 0; i < c->rows; i++)
        memcpy((uint8_t *)d + i * c->width * word,
               (const uint8_t *)a + (order ? order[i] : i) * row * word, c->width * word);
}

void dealer_put_rows(const seq_task *t, const dealer_columns *c, unsigned component,
                     const void *a) {
    const size_t word = t->env->ring->word;
    uint8_t *d = masked_at(t->env, t->call.reg[SEQ_ARG_SHUFFLE_d].c[component], t->begin);
    for (size_t i = 0; i < c->rows; i++)
        memcpy(d + i * c->row * word, (const uint8_t *)a + i * c->width * word, c->width * word);
}

void dealer_draw_order(const seq_task *t, const prg_key *program, uint32_t *order, size_t rows) {
    prg_key key;
    uint64_t name;
    memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
    prg_derive(&key, program, name, REP3_ORDERS);
    rep3_draw_order(&key, order, rows);
    prg_wipe(&key, sizeof key);
}

void dealer_start_columns(seq_vm *vm, const seq_call *call, unsigned rounds, task_step step,
                          size_t state_bytes) {
    const size_t rows = (size_t)call->arg[SEQ_ARG_SHUFFLE_n];
    const size_t columns = (size_t)call->arg[SEQ_ARG_SHUFFLE_len];
    const size_t width = rows && rows < SHUFFLE_CHUNK ? SHUFFLE_CHUNK / rows : 1;
    if (rows && columns > MASKED_MAX_ELEMENTS / rows) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "one instruction shuffles at most %zu elements", MASKED_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, rows && columns ? rounds : 0);
    for (size_t at = 0, c = 0; rows && at < columns; at += width, c++)
        task_create(vm, call, (uint32_t)c, at, columns - at < width ? columns : at + width, step,
                    state_bytes);
}

/* The order of party j, or (j = n) the one that the dealer does not know. */
static const uint32_t *order_of(const seq_task *t, unsigned j) {
    const masked_state *d = masked_of(t);
    const shuffle_state *s = t->state;
    dealer_draw_order(t, j == d->n ? &d->online : &d->program[j], s->order, s->part.rows);
    return s->order;
}

static void hop_mask(const shuffle_state *s, unsigned hop, uint8_t *out) {
    masked_mask(&s->x.keys, MASKED_WORD, DEALER_HOP + hop, s->part.at, out,
                s->part.rows * s->part.width);
}

/* Party j gets the mask before its hop, in its order, less the mask after it. */
static int shuffle_deal(seq_task *t, shuffle_state *s) {
    const size_t n = s->part.rows * s->part.width, bytes = n * t->env->ring->word;
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
        uint8_t *frame = task_send(t, j, bytes);
        if (!frame)
            return TASK_ERROR;
        hop_mask(s, j, s->value);
        dealer_take_rows(t, &s->part, s->other, s->value, s->part.width, order_of(t, j));
        hop_mask(s, j + 1, s->value);
        t->env->ring->sub(frame, s->other, s->value, n);
    }
    dealer_put_rows(t, &s->part, 1, s->value);
    return TASK_DONE;
}

/* Rows in the order that the dealer does not know, masked again. */
static int shuffle_begin(seq_task *t, shuffle_state *s) {
    const size_t n = s->part.rows * s->part.width, bytes = n * t->env->ring->word;
    const seq_reg *a = &t->call.reg[SEQ_ARG_SHUFFLE_a];
    memcpy(s->dealt, task_received(t, masked_of(t)->n), bytes);
    const uint32_t *order = order_of(t, masked_of(t)->n);
    hop_mask(s, 0, s->value);
    dealer_take_rows(t, &s->part, s->other, masked_at(t->env, a->c[1], t->begin), s->part.row,
                     order);
    t->env->ring->sub(s->value, s->other, s->value, n);
    if (t->env->me == 0) {
        dealer_take_rows(t, &s->part, s->other, masked_at(t->env, a->c[0], t->begin), s->part.row,
                         order);
        t->env->ring->add(s->value, s->value, s->other, n);
    }
    s->opening =
        (masked_opening){.kind = MASKED_WORD, .to = MASKED_ONLINE, .n = n, .value = s->value};
    return masked_open(t, &s->opening);
}

/* The next party applies its order and tells the others. */
static int shuffle_hop(seq_task *t, shuffle_state *s) {
    const size_t n = s->part.rows * s->part.width, bytes = n * t->env->ring->word;
    if (s->hop == masked_of(t)->n) {
        dealer_put_rows(t, &s->part, 0, s->value);
        hop_mask(s, s->hop, s->value);
        dealer_put_rows(t, &s->part, 1, s->value);
        return TASK_DONE;
    }
    if (s->hop != t->env->me) {
        task_expect(t, s->hop, bytes);
        return TASK_WAIT;
    }
    dealer_take_rows(t, &s->part, s->other, s->value, s->part.width, order_of(t, t->env->me));
    t->env->ring->add(s->value, s->other, s->dealt, n);
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
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
        s->part = dealer_columns_of(t);
        const size_t bytes = s->part.rows * s->part.width * word;
        s->order = task_scratch(t, s->part.rows * sizeof *s->order);
        s->value = task_scratch(t, bytes + 64);
        s->other = task_scratch(t, bytes + 64);
        s->dealt = task_scratch(t, bytes + 64);
        if (!s->order || !s->value || !s->other || !s->dealt || dealer_begin(&s->x, t, 0))
            return TASK_ERROR;
        if (masked_dealer(t))
            return shuffle_deal(t, s);
        task_expect(t, masked_of(t)->n, bytes);
        return TASK_WAIT;
    }
    if (t->step_no == 1)
        return shuffle_begin(t, s);
    if (!s->hop) {
        const int status = s->opening.n ? masked_open(t, &s->opening) : TASK_DONE;
        if (status != TASK_DONE)
            return status;
        s->opening.n = 0;
    }
    /* What came of the hop before this one. */
    const uint8_t *in = s->hop ? task_received(t, s->hop - 1) : NULL;
    if (in && s->hop - 1 != t->env->me)
        memcpy(s->value, in, s->part.rows * s->part.width * word);
    const int status = shuffle_hop(t, s);
    s->hop++;
    return status;
}

void dealer_start_shuffle(seq_vm *vm, const seq_call *call) {
    dealer_start_columns(vm, call, masked_rounds(vm) + vm_env(vm)->parties - 1, shuffle_step,
                         sizeof(shuffle_state));
}
