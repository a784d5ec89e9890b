/* rep3-mal: shuffle. The messages are those of rep3_shuffle.c: in hop h party h is P1, h+1 P2, h+2
 * P3; P1 sends P2 order(x_h + x_{h+1}) - A, P2 sends P1 order(x_{h+2}) - B, and both masks are
 * P3's. Each is an identity in which one side is what one verifier knows, moved as the other one
 * knows: order(x_h) = message + A - order(x_{h+1})   P1 proves; P3 is V, P2 is W; order(x_{h+2}) =
 * message + B                P2 proves; P1 is V, P3 is W. Over the three hops every party proves
 * one of each. */

#include "mal.h"

#include <stdlib.h>

typedef struct {
    rep3_keys keys, orders;
    size_t rows, row, size;
    uint64_t *x[2]; /* what is shuffled in this hop */
    uint32_t *order;
    dzk_matrix *statement;
    unsigned hop;
} shuffle_state;

/* d = the rows of x in this hop's order. */
static void move(const shuffle_state *s, uint64_t *d, const uint64_t *x) {
    for (size_t i = 0; i < s->rows; i++)
        memcpy(d + i * s->row, x + s->order[i] * s->row, s->row * 8);
}

static void subtract(uint64_t *d, const uint64_t *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] -= a[i];
}

static void add(uint64_t *d, const uint64_t *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] += a[i];
}

static uint32_t purpose(const shuffle_state *s, int b) {
    return (b ? REP3_SHUFFLE_B : REP3_SHUFFLE_A) + 64 * (1 + s->hop);
}

/* P1 and P2: the order, the message, and the components but for what comes. */
static int move_hop(seq_task *t, unsigned role) {
    shuffle_state *s = t->state;
    const unsigned me = t->env->me, p2 = role == REP3_P2;
    const unsigned peer = p2 ? rep3_prev(me) : rep3_next(me);
    const size_t bytes = s->size * 8;
    dzk_matrix *m = s->statement;
    s->order = m->moved[p2];
    rep3_draw_order(p2 ? &s->orders.prev : &s->orders.next, s->order, s->rows);
    uint64_t *send = (uint64_t *)task_send(t, peer, bytes), *y = mal_words(t, 2 * s->size);
    if (!send || !y)
        return TASK_ERROR;
    uint64_t *mask = y + (p2 ? s->size : 0), *common = y + (p2 ? 0 : s->size);
    prg_words(p2 ? &s->keys.next : &s->keys.prev, purpose(s, (int)p2), 0, mask, s->size);
    move(s, send, s->x[p2]);
    memcpy(m->x[p2], s->x[p2], bytes); /* what I prove to have moved */
    move(s, common, s->x[!p2]);
    if (p2) { /* W of P1's statement; -order(x_{h+1}) */
        memset(m->c[1], 0, bytes);
        subtract(m->c[1], common, s->size);
    } else {
        add(send, common, s->size);
    }
    subtract(send, mask, s->size);
    vm_cheat(t->env, "hop", send, bytes);
    memcpy(common, send, bytes);
    s->x[0] = y;
    s->x[1] = y + s->size;
    task_expect(t, peer, bytes);
    return TASK_WAIT;
}

/* P3: both components are masks; as V and W it knows what was moved. */
static int mask_hop(seq_task *t) {
    shuffle_state *s = t->state;
    dzk_matrix *m = s->statement;
    const size_t bytes = s->size * 8;
    uint64_t *y = mal_words(t, 2 * s->size);
    if (!y)
        return TASK_ERROR;
    memcpy(m->y[0], s->x[1], bytes);
    memcpy(m->y[1], s->x[0], bytes);
    prg_words(&s->keys.prev, purpose(s, 1), 0, y, s->size);
    prg_words(&s->keys.next, purpose(s, 0), 0, y + s->size, s->size);
    memcpy(m->c[0], y + s->size, bytes); /* V of P1's: A */
    memcpy(m->c[1] + s->size, y, bytes); /* W of P2's: B */
    s->x[0] = y;
    s->x[1] = y + s->size;
    return TASK_WAIT;
}

/* What came is added to the component that P1 and P2 share. */
static void take_hop(seq_task *t, unsigned role) {
    shuffle_state *s = t->state;
    dzk_matrix *m = s->statement;
    if (role == REP3_P3)
        return;
    const int p2 = role == REP3_P2;
    const unsigned me = t->env->me;
    const uint64_t *got = (const uint64_t *)task_received(t, p2 ? rep3_prev(me) : rep3_next(me));
    add(s->x[!p2], got, s->size);
    if (p2)
        add(m->c[1], got, s->size);
    else /* V of P2's statement */
        memcpy(m->c[0] + s->size, got, s->size * 8);
}

static int shuffle_begin(seq_task *t) {
    shuffle_state *s = t->state;
    uint64_t name;
    rep3_derive(&s->keys, t);
    memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
    rep3_derive_order(&s->orders, t, name);
    s->rows = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
    s->row = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_len];
    s->size = s->rows * s->row;
    for (unsigned c = 0; c < 2; c++)
        s->x[c] = t->call.reg[SEQ_ARG_SHUFFLE_a].c[c];
    dzk_matrix *m = dzk_add_matrix(t, &mal_of(t)->log, s->size, s->size, 2 * s->size);
    s->statement = m;
    for (unsigned c = 0; m && c < 2; c++)
        if (!(m->moved[c] = dzk_log_words(&mal_of(t)->log, (s->rows + 1) / 2)))
            return task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for an order");
    return m ? 0 : TASK_ERROR;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    if (t->step_no == 0) {
        if (shuffle_begin(t) < 0)
            return TASK_ERROR;
    } else {
        take_hop(t, rep3_role(t->env->me, s->hop));
        s->hop++;
    }
    if (s->hop == 3) {
        for (unsigned c = 0; c < 2; c++)
            memcpy(t->call.reg[SEQ_ARG_SHUFFLE_d].c[c], s->x[c], s->size * 8);
        return TASK_DONE;
    }
    const unsigned role = rep3_role(t->env->me, s->hop);
    return role == REP3_P3 ? mask_hop(t) : move_hop(t, role);
}

void mal_start_shuffle(seq_vm *vm, const seq_call *call) {
    const size_t rows = (size_t)call->arg[SEQ_ARG_SHUFFLE_n];
    const size_t columns = (size_t)call->arg[SEQ_ARG_SHUFFLE_len];
    if (rows && columns > REP3_MAX_ELEMENTS / rows) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep3-mal shuffles at most %zu elements",
                      REP3_MAX_ELEMENTS);
        return;
    }
    const size_t size = rows * columns;
    call_rounds(vm, call, size ? 3 : 0);
    mal_account(vm, call);
    if (size)
        task_create(vm, call, 0, 0, rows, shuffle_step, sizeof(shuffle_state));
}
