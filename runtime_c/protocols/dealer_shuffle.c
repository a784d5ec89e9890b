/* dealer: shuffles. See dealer.h. */

#include "dealer.h"

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
    masked_opening opening;
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
    uint8_t *d = masked_at(t->env, t->call.reg[SEQ_ARG_SHUFFLE_d].c[component], t->begin);
    for (size_t i = 0; i < s->rows; i++)
        memcpy(d + i * s->row * word, a + i * s->width * word, s->width * word);
}

/* The order of party j, or (j = n) the one that the dealer does not know. */
static const uint32_t *order_of(const seq_task *t, unsigned j) {
    const masked_state *d = masked_of(t);
    const shuffle_state *s = t->state;
    prg_key key;
    uint64_t name;
    memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
    prg_derive(&key, j == d->n ? &d->online : &d->program[j], name, REP3_ORDERS);
    rep3_draw_order(&key, s->order, s->rows);
    prg_wipe(&key, sizeof key);
    return s->order;
}

static void hop_mask(const shuffle_state *s, unsigned hop, uint8_t *out) {
    masked_mask(&s->x.keys, MASKED_WORD, DEALER_HOP + hop, s->at, out, s->rows * s->width);
}

/* Party j gets the mask before its hop, in its order, less the mask after it. */
static int shuffle_deal(seq_task *t, shuffle_state *s) {
    const size_t n = s->rows * s->width, bytes = n * t->env->ring->word;
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
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
    memcpy(s->dealt, task_received(t, masked_of(t)->n), bytes);
    const uint32_t *order = order_of(t, masked_of(t)->n);
    hop_mask(s, 0, s->value);
    take_rows(t, s->other, masked_at(t->env, a->c[1], t->begin), s->row, order);
    t->env->ring->sub(s->value, s->other, s->value, n);
    if (t->env->me == 0) {
        take_rows(t, s->other, masked_at(t->env, a->c[0], t->begin), s->row, order);
        t->env->ring->add(s->value, s->value, s->other, n);
    }
    s->opening =
        (masked_opening){.kind = MASKED_WORD, .to = MASKED_ONLINE, .n = n, .value = s->value};
    return masked_open(t, &s->opening);
}

/* The next party applies its order and tells the others. */
static int shuffle_hop(seq_task *t, shuffle_state *s) {
    const size_t n = s->rows * s->width, bytes = n * t->env->ring->word;
    if (s->hop == masked_of(t)->n) {
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
    if (rows && columns > MASKED_MAX_ELEMENTS / rows) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "dealer shuffles at most %zu elements in one instruction",
                      MASKED_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, rows && columns ? masked_rounds(vm) + n : 0);
    for (size_t at = 0, c = 0; rows && at < columns; at += width, c++)
        task_create(vm, call, (uint32_t)c, at, columns - at < width ? columns : at + width,
                    shuffle_step, sizeof(shuffle_state));
}
