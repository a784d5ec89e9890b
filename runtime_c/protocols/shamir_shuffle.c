/* shamir: shuffle, the rows of a matrix in an order that no t parties know, after
 * [LaurWillemsonZhang2011]: for each set of t + 1 parties of the core a hop, in which they apply an
 * order that only they know. Their shares are a sum, whose terms they reorder and deal again.
 *
 * Addresses depend on orders, which all who address by them know; never on shares. A task is a
 * range of columns with all rows. */

#include "rep3.h"
#include "shamir.h"

#define SHUFFLE_CHUNK ((size_t)1 << 18) /* elements in one task, where a column has fewer */
#define ORDERS 0xFFFFFFFEu              /* names keys of orders */

typedef struct {
    shamir_exchange x;
    size_t rows, row, width, first; /* elements of a row; of them here, and from which on */
    unsigned hop;
    uint32_t *order;
    field *now, *mine, *dealt[SHAMIR_T + 1];
    uint8_t seed[SHAMIR_SETS][16]; /* of orders */
} shuffle_state;

static unsigned leader(unsigned set) {
    return (unsigned)__builtin_ctz(set);
}

static int member(unsigned set, unsigned party) {
    return set >> party & 1;
}

static size_t elements(const shuffle_state *s) {
    return s->rows * s->width;
}

/* Between the task's columns of a matrix and rows side by side. */
static void copy_rows(const shuffle_state *s, field *matrix, field *side, int put) {
    for (size_t i = 0; i < s->rows; i++) {
        field *place = matrix + i * s->row + s->first, *line = side + i * s->width;
        memcpy(put ? place : line, put ? line : place, s->width * sizeof *side);
    }
}

static int shuffle_alloc(seq_task *t) {
    shuffle_state *s = t->state;
    const size_t bytes = elements(s) * sizeof(field) + 64;
    s->order = task_scratch(t, s->rows * sizeof *s->order);
    s->now = task_scratch(t, bytes);
    s->mine = task_scratch(t, bytes);
    for (unsigned j = 0; j <= shamir_of(t)->t; j++)
        if (!(s->dealt[j] = task_scratch(t, bytes)))
            return -1;
    return s->order && s->now && s->mine ? 0 : -1;
}

/* The first party of each set tells the others what the order is drawn from, which depends on the
 * name of the order alone. */
static int send_seeds(seq_task *t) {
    shuffle_state *s = t->state;
    const shamir_state *sh = shamir_of(t);
    const unsigned me = t->env->me;
    uint64_t name;
    prg_key key;
    memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
    prg_derive(&key, &sh->program, name, ORDERS);
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
        for (unsigned h = 0; h < sh->sets; h++)
            if (leader(sh->set[h]) == me) {
                prg_words(&key, h, 0, (uint64_t *)s->seed[h], 2);
                if (out && member(sh->set[h], q)) {
                    memcpy(to, s->seed[h], 16);
                    to += 16;
                }
            }
    }
    prg_wipe(&key, sizeof key);
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

/* What I add to the value of each element, in the set's order. */
static void reorder(seq_task *t, unsigned set, unsigned place) {
    shuffle_state *s = t->state;
    field point[SHAMIR_T + 1], coefficient[SHAMIR_T + 1];
    prg_key key;
    unsigned m = 0;
    for (unsigned q = 0; q < SHAMIR_CORE; q++)
        if (member(set, q))
            point[m++] = q + 1;
    shamir_lagrange(SHAMIR_NUMBER, coefficient, point, m, 0);
    prg_init(&key, s->seed[s->hop]);
    rep3_draw_order(&key, s->order, s->rows);
    prg_wipe(&key, sizeof key);
    task_known(s->order, s->rows * sizeof *s->order);
    for (size_t i = 0; i < s->rows; i++) {
        const void *in = s->now + s->order[i] * s->width;
        shamir_combine(SHAMIR_NUMBER, s->mine + i * s->width, coefficient + place, &in, 1,
                       s->width);
    }
}

static int hop_begin(seq_task *t) {
    shuffle_state *s = t->state;
    const unsigned set = shamir_of(t)->set[s->hop], me = t->env->me;
    unsigned j = 0;
    for (unsigned q = 0; q < SHAMIR_CORE; q++) {
        if (!member(set, q))
            continue;
        if (q == me)
            reorder(t, set, j);
        shamir_add(&s->x, (shamir_item){.kind = SHAMIR_DEAL,
                                        .type = SHAMIR_NUMBER,
                                        .who = q,
                                        .count = elements(s),
                                        .value = s->mine,
                                        .out = s->dealt[j++]});
    }
    return shamir_deal(&s->x) ? TASK_ERROR : TASK_WAIT;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    const shamir_state *sh = shamir_of(t);
    if (t->step_no == 0) {
        s->rows = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
        s->row = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_len];
        s->first = t->begin;
        s->width = t->end - t->begin;
        if (shuffle_alloc(t))
            return TASK_ERROR;
        shamir_keys(&s->x, t);
        copy_rows(s, t->call.reg[SEQ_ARG_SHUFFLE_a].c[0], s->now, 0);
        return send_seeds(t);
    }
    if (t->step_no == 1) {
        take_seeds(t);
        return hop_begin(t);
    }
    shamir_take(&s->x);
    memcpy(s->now, s->dealt[0], elements(s) * sizeof(field));
    for (unsigned j = 1; j <= sh->t; j++)
        t->env->ring->add(s->now, s->now, s->dealt[j], elements(s));
    if (++s->hop < sh->sets)
        return hop_begin(t);
    copy_rows(s, t->call.reg[SEQ_ARG_SHUFFLE_d].c[0], s->now, 1);
    prg_wipe(s->seed, sizeof s->seed);
    return TASK_DONE;
}

void shamir_start_shuffle(seq_vm *vm, const seq_call *call) {
    const shamir_state *s = vm_env(vm)->protocol;
    const size_t rows = (size_t)call->arg[SEQ_ARG_SHUFFLE_n];
    const size_t columns = rows ? (size_t)call->arg[SEQ_ARG_SHUFFLE_len] : 0;
    const size_t width = rows && rows < SHUFFLE_CHUNK ? SHUFFLE_CHUNK / rows : 1;
    if (rows * columns > SHAMIR_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_AUTHOR, -1, "shamir shuffles at most %zu elements at once",
                      SHAMIR_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, columns ? 1 + s->sets : 0);
    for (size_t c = 0; c * width < columns; c++)
        task_create(vm, call, (uint32_t)c, c * width,
                    (c + 1) * width < columns ? (c + 1) * width : columns, shuffle_step,
                    sizeof(shuffle_state));
}
