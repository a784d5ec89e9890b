/* rep4: shuffle, the rows of a matrix in an order that no party knows, after
 * [LaurWillemsonZhang2011]: four hops, of which each party lacks one order.
 *
 * In hop h all parties but h apply an order of their common key. Party h plays role 0: share 0,
 * which it lacks, becomes order(x_0) + m_1 + m_2 + m_3 with masks of K_0, and share a order(x_a) -
 * m_a, which the two others that hold it send and verify.
 *
 * Addresses depend on orders, which all who address by them know; never on shares. A task is a
 * range of columns with all rows. */

#include "rep4.h"

#define SHUFFLE_CHUNK ((size_t)1 << 18) /* elements in one task, where a column has fewer */

typedef struct {
    rep4_keys keys;
    rep4_part part; /* all elements in the quarter of the hop */
    rep4_messages x;
    size_t rows, row, width, first; /* elements of a row; of them here, and from which on */
    unsigned hop;
    uint32_t *order;
    uint8_t *rest[3], *mask;
} shuffle_state;

/* Between the task's columns of a matrix, row order[i] (or i), and rows side by side. */
static void copy_rows(const seq_task *t, void *matrix, const uint32_t *order, uint8_t *side,
                      int put) {
    const shuffle_state *s = t->state;
    const size_t word = t->env->ring->word, bytes = s->width * word;
    for (size_t i = 0; i < s->rows; i++) {
        const size_t row = order ? order[i] : i;
        uint8_t *place = (uint8_t *)matrix + (row * s->row + s->first) * word;
        if (put)
            memcpy(place, side + i * bytes, bytes);
        else
            memcpy(side + i * bytes, place, bytes);
    }
}

static void draw_order(const seq_task *t, unsigned role) {
    shuffle_state *s = t->state;
    const rep4_state *state = t->env->protocol;
    uint64_t name;
    prg_key key;
    memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
    prg_derive(&key, &state->program[rep4_at(role, 0)], name, REP4_ORDERS);
    rep3_draw_order(&key, s->order, s->rows);
    prg_wipe(&key, sizeof key);
}

/* Roles 1, 2, 3: all shares in the new order, masked. */
static void apply_order(seq_task *t, unsigned role) {
    shuffle_state *s = t->state;
    const ring_ops *ring = t->env->ring;
    const seq_reg *reg = t->call.reg;
    const seq_reg source = reg[s->hop ? SEQ_ARG_SHUFFLE_d : SEQ_ARG_SHUFFLE_a];
    const size_t n = s->rows * s->width;
    const unsigned zero = rep4_at(role, 0);
    draw_order(t, role);
    for (unsigned c = 0; c < 3; c++)
        copy_rows(t, source.c[c], s->order, s->rest[c], 0);
    for (unsigned a = 1; a < 4; a++) {
        rep4_words(t->env)->mask(&s->keys.without[zero], REP4_SHUFFLE + 4 * s->hop + a,
                                 s->first * s->rows, s->mask, n);
        ring->add(s->rest[zero], s->rest[zero], s->mask, n);
        if (a == role)
            continue;
        uint8_t *share = s->rest[rep4_at(role, a)];
        ring->sub(share, share, s->mask, n);
        vm_cheat(t->env, "hop", share, n * ring->word);
        memcpy(s->x.out[s->hop][a - 1], share, n * ring->word);
    }
    for (unsigned c = 0; c < 3; c++)
        copy_rows(t, reg[SEQ_ARG_SHUFFLE_d].c[c], NULL, s->rest[c], 1);
}

static int hop_begin(seq_task *t) {
    shuffle_state *s = t->state;
    const size_t word = t->env->ring->word;
    const unsigned role = rep4_role(t->env->me, s->hop);
    memset(&s->part, 0, sizeof s->part);
    s->part.count[s->hop] = s->rows * s->width;
    s->x.count = 0;
    (void)rep4_message(&s->x, 2, 3, 0, word, 0);
    (void)rep4_message(&s->x, 3, 1, 0, word, 0);
    (void)rep4_message(&s->x, 1, 2, 0, word, 0);
    if (rep4_post(t, &s->part, &s->x) < 0)
        return TASK_ERROR;
    if (role)
        apply_order(t, role);
    rep4_vouch(t, &s->part, &s->keys, &s->x, REP4_ALL);
    return TASK_WAIT;
}

static int shuffle_begin(seq_task *t) {
    shuffle_state *s = t->state;
    rep4_derive(&s->keys, t);
    s->rows = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
    s->row = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_len];
    s->first = t->begin;
    s->width = t->end - t->begin;
    const size_t bytes = s->rows * s->width * t->env->ring->word;
    s->order = task_scratch(t, s->rows * sizeof *s->order);
    s->mask = task_scratch(t, bytes);
    for (unsigned c = 0; c < 3; c++)
        if (!(s->rest[c] = task_scratch(t, bytes)))
            return TASK_ERROR;
    return s->order && s->mask ? hop_begin(t) : TASK_ERROR;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    if (t->step_no == 0)
        return shuffle_begin(t);
    rep4_collect(t, &s->part, &s->keys, &s->x);
    if (rep4_role(t->env->me, s->hop) == 0)
        for (unsigned a = 1; a < 4; a++) {
            memcpy(s->mask, s->x.in[s->hop][a - 1], s->rows * s->width * t->env->ring->word);
            copy_rows(t, t->call.reg[SEQ_ARG_SHUFFLE_d].c[rep4_at(0, a)], NULL, s->mask, 1);
        }
    return ++s->hop == 4 ? TASK_DONE : hop_begin(t);
}

void rep4_start_shuffle(seq_vm *vm, const seq_call *call) {
    const size_t rows = (size_t)call->arg[SEQ_ARG_SHUFFLE_n];
    const size_t columns = rows ? (size_t)call->arg[SEQ_ARG_SHUFFLE_len] : 0;
    const size_t width = rows && rows < SHUFFLE_CHUNK ? SHUFFLE_CHUNK / rows : 1;
    if (rows * columns > REP4_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep4 shuffles at most %zu elements at once",
                      REP4_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, columns ? 4 : 0);
    for (size_t c = 0; c * width < columns; c++)
        task_create(vm, call, (uint32_t)c, c * width,
                    (c + 1) * width < columns ? (c + 1) * width : columns, shuffle_step,
                    sizeof(shuffle_state));
}
