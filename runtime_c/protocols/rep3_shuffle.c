/* rep3: shuffle, the rows of a matrix in an order that no party knows [LaurWillemsonZhang2011].
 *
 * Three hops: in hop h party h is P1, h+1 is P2 and h+2 is P3. P1 and P2 apply an order that P3
 * does not know, and make new components: y_h = A, a mask of P1 and P3; y_{h+2} = B, a mask of P2
 * and P3; y_{h+1} = order(x) - A - B, for which P1 sends order(x_h + x_{h+1}) - A to P2, and P2
 * sends order(x_{h+2}) - B to P1. P3 sends and gets nothing. What P1 and P2 get is hidden by the
 * mask that they lack, and each party lacks the order of one hop.
 *
 * Addresses depend on orders, which both parties that address by them know; never on shares.
 *
 * All elements of a row move alike, so a task is a range of columns with all rows. Masks are
 * addressed by element: those of a task follow one another. */

#include "rep3.h"

#define SHUFFLE_CHUNK ((size_t)1 << 18) /* elements in one task, where a column has fewer */

typedef struct {
    rep3_keys keys, orders;
    uint32_t *order;                /* of this hop */
    size_t rows, row, width, first; /* elements of a row; of them here, and from which on */
    seq_reg source;
    uint8_t *message;
    const uint8_t *received;
    unsigned hop;
} shuffle_state;

typedef void (*copy_run)(uint8_t *matrix, uint8_t *line, size_t bytes);

static void take(uint8_t *matrix, uint8_t *line, size_t bytes) {
    memcpy(line, matrix, bytes);
}

static void put(uint8_t *matrix, uint8_t *line, size_t bytes) {
    memcpy(matrix, line, bytes);
}

/* Between elements e .. e+n of this task, lying one after another in `line`, and their places in a
 * matrix: row i of the task is row order[i], or i without an order. */
static void copy_elements(const shuffle_state *s, size_t word, void *matrix, const uint32_t *order,
                          void *line, size_t e, size_t n, copy_run copy) {
    for (size_t i = 0, run; i < n; i += run) {
        const size_t row = (e + i) / s->width, column = (e + i) % s->width;
        const size_t place = (order ? order[row] : row) * s->row + s->first + column;
        run = s->width - column < n - i ? s->width - column : n - i;
        copy((uint8_t *)matrix + place * word, (uint8_t *)line + i * word, run * word);
    }
}

static size_t piece(size_t at, size_t end) {
    return end - at < REP3_PIECE ? end - at : REP3_PIECE;
}

/* P1 and P2: message = my part of x in the new order. */
static void gather(void *arg, size_t begin, size_t end) {
    const seq_task *t = arg;
    const shuffle_state *s = t->state;
    const ring_ops *ring = t->env->ring;
    const size_t word = ring->word;
    const int p1 = rep3_role(t->env->me, s->hop) == REP3_P1;
    _Alignas(64) uint8_t other[REP3_PIECE * 16];
    for (size_t e = begin, n; e < end; e += n) {
        n = piece(e, end);
        uint8_t *out = s->message + e * word;
        copy_elements(s, word, s->source.c[1], s->order, out, e, n, take);
        if (!p1)
            continue;
        copy_elements(s, word, s->source.c[0], s->order, other, e, n, take);
        ring->add(out, out, other, n);
    }
    prg_wipe(other, sizeof other);
}

/* The masks of elements e .. e+n that this party has with P3, or as P3 with `other`. */
static void masks(const seq_task *t, const prg_key *key, uint32_t purpose, size_t e, size_t n,
                  void *out) {
    const shuffle_state *s = t->state;
    const size_t halves = t->env->ring->word / 8;
    prg_words(key, purpose, (s->first * s->rows + e) * halves, out, n * halves);
}

/* P1 and P2, when all was gathered: message -= mask; both into the result. */
static void mask(void *arg, size_t begin, size_t end) {
    const seq_task *t = arg;
    const shuffle_state *s = t->state;
    const ring_ops *ring = t->env->ring;
    const size_t word = ring->word;
    const seq_reg d = t->call.reg[SEQ_ARG_SHUFFLE_d];
    const int p1 = rep3_role(t->env->me, s->hop) == REP3_P1;
    _Alignas(64) uint8_t m[REP3_PIECE * 16];
    for (size_t e = begin, n; e < end; e += n) {
        n = piece(e, end);
        uint8_t *out = s->message + e * word;
        if (p1)
            masks(t, &s->keys.prev, REP3_SHUFFLE_A, e, n, m);
        else
            masks(t, &s->keys.next, REP3_SHUFFLE_B, e, n, m);
        ring->sub(out, out, m, n);
        vm_cheat(t->env, "hop", out, n * word);
        copy_elements(s, word, d.c[p1 ? 0 : 1], NULL, m, e, n, put);
        copy_elements(s, word, d.c[p1 ? 1 : 0], NULL, out, e, n, put);
    }
    prg_wipe(m, sizeof m);
}

/* P3: both components are masks. */
static void fill(void *arg, size_t begin, size_t end) {
    const seq_task *t = arg;
    const shuffle_state *s = t->state;
    const size_t word = t->env->ring->word;
    const seq_reg d = t->call.reg[SEQ_ARG_SHUFFLE_d];
    _Alignas(64) uint8_t m[REP3_PIECE * 16];
    for (size_t e = begin, n; e < end; e += n) {
        n = piece(e, end);
        masks(t, &s->keys.prev, REP3_SHUFFLE_B, e, n, m);
        copy_elements(s, word, d.c[0], NULL, m, e, n, put);
        masks(t, &s->keys.next, REP3_SHUFFLE_A, e, n, m);
        copy_elements(s, word, d.c[1], NULL, m, e, n, put);
    }
    prg_wipe(m, sizeof m);
}

/* P1 and P2: what came is added to the component that they share. */
static void add_received(void *arg, size_t begin, size_t end) {
    const seq_task *t = arg;
    const shuffle_state *s = t->state;
    const ring_ops *ring = t->env->ring;
    const size_t word = ring->word;
    void *d = t->call.reg[SEQ_ARG_SHUFFLE_d].c[rep3_role(t->env->me, s->hop) == REP3_P1];
    _Alignas(64) uint8_t sum[REP3_PIECE * 16];
    for (size_t e = begin, n; e < end; e += n) {
        n = piece(e, end);
        copy_elements(s, word, d, NULL, sum, e, n, take);
        ring->add(sum, sum, s->received + e * word, n);
        copy_elements(s, word, d, NULL, sum, e, n, put);
    }
    prg_wipe(sum, sizeof sum);
}

void rep3_draw_order(const prg_key *key, uint32_t *order, size_t n) {
    uint64_t words[REP3_PIECE];
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t used = 0; used + 1 < n; used++) {
        const size_t left = n - 1 - used, at = used % REP3_PIECE;
        if (at == 0) {
            const size_t count = left < REP3_PIECE ? left : REP3_PIECE;
            prg_words(key, REP3_SHUFFLE_ORDER, used, words, count);
            task_known(words, count * 8);
        }
        const size_t j = (size_t)((unsigned __int128)words[at] * (left + 1) >> 64);
        const uint32_t last = order[left];
        order[left] = order[j];
        order[j] = last;
    }
    prg_wipe(words, sizeof words);
}

/* The hop begins: whether something will come, or -1. */
static int begin_hop(seq_task *t) {
    shuffle_state *s = t->state;
    const unsigned me = t->env->me, role = rep3_role(me, s->hop);
    const size_t n = s->rows * s->width, bytes = n * t->env->ring->word;
    if (role == REP3_P3) {
        par_for(t->env->pool, n, REP3_PIECE, fill, t);
        return 0;
    }
    const unsigned peer = role == REP3_P1 ? rep3_next(me) : rep3_prev(me);
    rep3_draw_order(role == REP3_P1 ? &s->orders.next : &s->orders.prev, s->order, s->rows);
    s->message = task_send(t, peer, bytes);
    if (!s->message)
        return -1;
    par_for(t->env->pool, n, REP3_PIECE, gather, t);
    par_for(t->env->pool, n, REP3_PIECE, mask, t);
    task_expect(t, peer, bytes);
    return 1;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    if (t->step_no == 0) {
        rep3_derive(&s->keys, t);
        uint64_t name;
        memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
        rep3_derive_order(&s->orders, t, name);
        s->rows = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
        s->row = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_len];
        s->first = t->begin;
        s->width = t->end - t->begin;
        s->source = t->call.reg[SEQ_ARG_SHUFFLE_a];
        s->order = task_scratch(t, s->rows * sizeof *s->order);
        if (!s->order)
            return TASK_ERROR;
    } else {
        s->received = task_received(t, rep3_next(t->env->me));
        if (!s->received)
            s->received = task_received(t, rep3_prev(t->env->me));
        if (s->received)
            par_for(t->env->pool, s->rows * s->width, REP3_PIECE, add_received, t);
        s->hop++;
        s->source = t->call.reg[SEQ_ARG_SHUFFLE_d];
    }
    if (s->hop == 3)
        return TASK_DONE;
    return begin_hop(t) < 0 ? TASK_ERROR : TASK_WAIT;
}

void rep3_start_shuffle(seq_vm *vm, const seq_call *call) {
    const size_t rows = (size_t)call->arg[SEQ_ARG_SHUFFLE_n];
    const size_t columns = (size_t)call->arg[SEQ_ARG_SHUFFLE_len];
    const size_t width = rows && rows < SHUFFLE_CHUNK ? SHUFFLE_CHUNK / rows : 1;
    rep3_start_ranges(vm, call, rows * columns, rows ? columns : 0, width, 3, shuffle_step,
                      sizeof(shuffle_state));
}
