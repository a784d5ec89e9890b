/* shamir: shuffle, the rows of a matrix in an order that no t parties know, after
 * [LaurWillemsonZhang2011]: for each set of t + 1 parties of the core a hop, in which they apply an
 * order that only they know. Their shares are a sum, whose terms they reorder and deal again.
 *
 * Addresses depend on orders, which all who address by them know; never on shares. A task is a
 * range of columns with all rows. */

#include "rep3.h"
#include "shamir.h"

#define SHUFFLE_CHUNK ((size_t)1 << 18) /* elements in one task, where a column has fewer */

static unsigned leader(unsigned set) {
    return (unsigned)__builtin_ctz(set);
}

static int member(unsigned set, unsigned party) {
    return set >> party & 1;
}

/* ---- hops ---- */

static size_t elements(const shamir_hop *h) {
    return h->rows * h->width;
}

int shamir_hop_alloc(seq_task *t, shamir_hop *h) {
    const size_t bytes = elements(h) * sizeof(field) + 64;
    h->order = task_scratch(t, h->rows * sizeof *h->order);
    h->mine = task_scratch(t, bytes);
    for (unsigned j = 0; j <= shamir_of(t)->t; j++)
        if (!(h->dealt[j] = task_scratch(t, bytes)))
            return -1;
    return h->order && h->mine ? 0 : -1;
}

/* What I add to the value of each element, in the set's order; place: mine among its members. */
static void reorder(const seq_task *t, shamir_hop *h, unsigned set, unsigned place,
                    const prg_key *key, const field *from) {
    field point[SHAMIR_T + 1], coefficient[SHAMIR_T + 1];
    unsigned m = 0;
    for (unsigned q = 0; q < SHAMIR_CORE; q++)
        if (member(set, q))
            point[m++] = q + 1;
    shamir_lagrange(SHAMIR_NUMBER, coefficient, point, m, 0);
    rep3_draw_order(key, h->order, h->rows);
    task_known(h->order, h->rows * sizeof *h->order);
    for (size_t i = 0; i < h->rows; i++) {
        const void *in = from + h->order[i] * h->width;
        shamir_combine(SHAMIR_NUMBER, h->mine + i * h->width, coefficient + place, &in, 1,
                       h->width);
    }
    vm_cheat(t->env, "hop", h->mine, elements(h) * sizeof *h->mine);
}

int shamir_hop_begin(shamir_exchange *x, shamir_hop *h, unsigned set, const prg_key *key,
                     const field *from) {
    unsigned j = 0;
    for (unsigned q = 0; q < SHAMIR_CORE; q++) {
        if (!member(set, q))
            continue;
        if (q == x->t->env->me)
            reorder(x->t, h, set, j, key, from);
        shamir_add(x, (shamir_item){.kind = SHAMIR_DEAL,
                                    .type = SHAMIR_NUMBER,
                                    .who = q,
                                    .count = elements(h),
                                    .value = h->mine,
                                    .out = h->dealt[j++]});
    }
    return shamir_deal(x) ? TASK_ERROR : TASK_WAIT;
}

void shamir_hop_end(shamir_exchange *x, shamir_hop *h, field *to) {
    (void)shamir_take(x);
    memcpy(to, h->dealt[0], elements(h) * sizeof *to);
    for (unsigned j = 1; j <= shamir_of(x->t)->t; j++)
        x->t->env->ring->add(to, to, h->dealt[j], elements(h));
}

void shamir_hop_copy(const seq_task *t, const shamir_hop *h, field *rows, const seq_reg *matrix,
                     int put) {
    const size_t row = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_len];
    const size_t bytes = (t->end - t->begin) * sizeof *rows;
    for (size_t i = 0; i < h->rows; i++) {
        field *place = (field *)matrix->c[0] + i * row + t->begin, *line = rows + i * h->width;
        memcpy(put ? place : line, put ? line : place, bytes);
    }
}

/* ---- the shuffle ---- */

typedef struct {
    shamir_exchange x;
    shamir_hop hop;
    unsigned hops;
    field *now;
    uint8_t seed[SHAMIR_SETS][16]; /* of orders */
} shuffle_state;

/* The first party of each set tells the others what the order is drawn from, which depends on the
 * name of the order alone. */
static int send_seeds(seq_task *t) {
    shuffle_state *s = t->state;
    const shamir_state *sh = shamir_of(t);
    const unsigned me = t->env->me;
    uint64_t name;
    prg_key key;
    memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
    prg_derive(&key, &sh->program, name, SHAMIR_ORDERS);
    for (unsigned h = 0; h < sh->sets; h++)
        if (leader(sh->set[h]) == me)
            prg_words(&key, h, 0, (uint64_t *)s->seed[h], 2);
    prg_wipe(&key, sizeof key);
    for (unsigned q = 0; q < sh->core; q++) {
        size_t out = 0, in = 0;
        for (unsigned h = 0; q != me && h < sh->sets; h++) {
            out += member(sh->set[h], q) && leader(sh->set[h]) == me ? 16 : 0;
            in += member(sh->set[h], me) && leader(sh->set[h]) == q ? 16 : 0;
        }
        uint8_t *to = out ? task_send(t, q, out) : NULL;
        if (out && !to)
            return TASK_ERROR;
        if (in)
            task_expect(t, q, in);
        for (unsigned h = 0; out && h < sh->sets; h++)
            if (leader(sh->set[h]) == me && member(sh->set[h], q)) {
                memcpy(to, s->seed[h], 16);
                to += 16;
            }
    }
    return TASK_WAIT;
}

static void take_seeds(seq_task *t) {
    shuffle_state *s = t->state;
    const shamir_state *sh = shamir_of(t);
    const uint8_t *from[SHAMIR_CORE] = {0};
    for (unsigned q = 0; q < sh->core; q++)
        from[q] = q == t->env->me ? NULL : task_received(t, q);
    for (unsigned h = 0; h < sh->sets; h++) {
        const unsigned first = leader(sh->set[h]);
        if (!member(sh->set[h], t->env->me) || first == t->env->me)
            continue;
        memcpy(s->seed[h], from[first], 16);
        from[first] += 16;
    }
}

static int next_hop(seq_task *t) {
    shuffle_state *s = t->state;
    prg_key key;
    prg_init(&key, s->seed[s->hops]);
    const int status = shamir_hop_begin(&s->x, &s->hop, shamir_of(t)->set[s->hops], &key, s->now);
    prg_wipe(&key, sizeof key);
    return status;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    if (t->step_no == 0) {
        s->hop.rows = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
        s->hop.width = t->end - t->begin;
        s->now = task_scratch(t, elements(&s->hop) * sizeof *s->now + 64);
        if (!s->now || shamir_hop_alloc(t, &s->hop))
            return TASK_ERROR;
        shamir_keys(&s->x, t);
        shamir_hop_copy(t, &s->hop, s->now, &t->call.reg[SEQ_ARG_SHUFFLE_a], 0);
        return send_seeds(t);
    }
    if (t->step_no == 1) {
        take_seeds(t);
        return next_hop(t);
    }
    shamir_hop_end(&s->x, &s->hop, s->now);
    if (++s->hops < shamir_of(t)->sets)
        return next_hop(t);
    shamir_hop_copy(t, &s->hop, s->now, &t->call.reg[SEQ_ARG_SHUFFLE_d], 1);
    prg_wipe(s->seed, sizeof s->seed);
    return TASK_DONE;
}

void shamir_shuffle_tasks(seq_vm *vm, const seq_call *call, size_t chunk, unsigned rounds,
                          task_step step, size_t state_bytes) {
    const size_t rows = (size_t)call->arg[SEQ_ARG_SHUFFLE_n];
    const size_t columns = rows ? (size_t)call->arg[SEQ_ARG_SHUFFLE_len] : 0;
    const size_t width = rows && rows < chunk ? chunk / rows : 1;
    if (rows * columns > SHAMIR_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_AUTHOR, -1, "%zu elements at once; %zu can be shuffled",
                      rows * columns, SHAMIR_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, columns ? rounds : 0);
    for (size_t c = 0; c * width < columns; c++)
        task_create(vm, call, (uint32_t)c, c * width,
                    (c + 1) * width < columns ? (c + 1) * width : columns, step, state_bytes);
}

void shamir_start_shuffle(seq_vm *vm, const seq_call *call) {
    const shamir_state *s = vm_env(vm)->protocol;
    shamir_shuffle_tasks(vm, call, SHUFFLE_CHUNK, 1 + s->sets, shuffle_step, sizeof(shuffle_state));
}
