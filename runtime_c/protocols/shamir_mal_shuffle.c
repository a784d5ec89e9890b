/* shamir-mal: shuffle. The hops are those of shamir_shuffle.c, in orders that come from the sets'
 * keys. A column of random numbers that nobody knows goes with the rows; the rows before each hop
 * and behind the last one are remembered, and the check compares the sums of squares of their
 * combinations (docs/protocols/shamir-mal.md). */

#include "shamir_mal.h"

#define SHUFFLE_CHUNK ((size_t)1 << 22) /* elements in one task, where a column has fewer */

typedef struct {
    shamir_exchange x;
    shamir_hop hop;
    uint64_t name; /* of the order */
    field *rows;   /* before each hop, one copy after another, and at the end */
} shuffle_state;

static field *before_hop(const shuffle_state *s, unsigned hop) {
    return s->rows + hop * s->hop.rows * s->hop.width;
}

/* What is shuffled, with the random column: 0, or -1. */
static int shuffle_begin(seq_task *t) {
    shuffle_state *s = t->state;
    shamir_hop *h = &s->hop;
    const size_t copies = shamir_of(t)->sets + 1;
    memcpy(&s->name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof s->name);
    shamir_record *r = shamir_record_new(t, SHAMIR_NUMBER, copies * h->rows * h->width, 0, 0);
    const prg_key *keys = smal_keys(t);
    field *tags = task_scratch(t, h->rows * sizeof *tags + 64);
    if (!r || !keys || !tags || shamir_hop_alloc(t, h))
        return -1;
    r->op = SEQ_OP_SHUFFLE;
    r->arg[SEQ_ARG_SHUFFLE_n] = (int64_t)h->rows;
    r->arg[SEQ_ARG_SHUFFLE_len] = (int64_t)h->width;
    s->rows = (field *)r->x;
    shamir_keys(&s->x, t);
    smal_random(t, keys, SHAMIR_NUMBER, SMAL_TAGS, tags, h->rows);
    shamir_hop_copy(t, h, s->rows, &t->call.reg[SEQ_ARG_SHUFFLE_a], 0);
    for (size_t i = 0; i < h->rows; i++)
        s->rows[(i + 1) * h->width - 1] = tags[i];
    return 0;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    smal_state *state = smal_of(t);
    const unsigned hop = t->step_no, sets = state->base.sets;
    prg_key key;
    if (hop == 0) {
        s->hop.rows = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
        s->hop.width = t->end - t->begin + 1;
        state->log.length[SHAMIR_NUMBER] += (sets + 1) * s->hop.rows;
        if (t->env->me >= state->base.core)
            return TASK_DONE;
        if (shuffle_begin(t))
            return TASK_ERROR;
    } else {
        shamir_hop_end(&s->x, &s->hop, before_hop(s, hop));
    }
    if (hop == sets) {
        shamir_hop_copy(t, &s->hop, before_hop(s, hop), &t->call.reg[SEQ_ARG_SHUFFLE_d], 1);
        return TASK_DONE;
    }
    prg_derive(&key, &state->program[hop], s->name, SHAMIR_ORDERS);
    const int status =
        shamir_hop_begin(&s->x, &s->hop, state->base.set[hop], &key, before_hop(s, hop));
    prg_wipe(&key, sizeof key);
    return status;
}

void smal_start_shuffle(seq_vm *vm, const seq_call *call) {
    const smal_state *s = vm_env(vm)->protocol;
    smal_account(vm, call);
    shamir_shuffle_tasks(vm, call, SHUFFLE_CHUNK, s->base.sets, shuffle_step,
                         sizeof(shuffle_state));
}
