/* A protocol of two or three parties that hides nothing: exercises the task engine, and misuses it
 * in the ways that a protocol under development might. Linked into the runner in place of the real
 * protocols (tests/vm/test_machine.py). Every share is the value itself, at every party.
 *
 * What `mul` does is chosen by its operand m. */
#include "../protocols/protocol.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNKS,     /* many chunks, a ring of messages in each, in two steps: d = a * b */
    SUBS,       /* two sub-machines in each of two tasks: d = a * b */
    NO_TASK,    /* all in start */
    SEND_TWICE, /* the rest are misuses or failures */
    SEND_SELF,
    SILENT,       /* TASK_ERROR without a message */
    ENDLESS,      /* never done */
    WRONG_LENGTH, /* party 1 sends less than the others expect */
    CHILD_FAILS,
    CHILD_FAILS_LATER,
    MANY_CHUNKS,
    FAIL_START,
    NEVER,
    KEYS,  /* compares keys of more than two parties: d = a * b */
    CHEAT, /* a check that fails in the second step */
};

enum { CHUNK = 4 };

typedef struct {
    uint8_t without[NET_MAX_PARTIES][32];
    unsigned running; /* machines begun and not done */
} toy_state;

static const uint64_t *word(const seq_task *t, unsigned operand) {
    return t->call.reg[operand].c[0];
}

static void product(const seq_task *t) {
    uint64_t *d = t->call.reg[SEQ_ARG_MUL_d].c[0];
    for (size_t i = t->begin; i < t->end; i++) {
        d[i] = word(t, SEQ_ARG_MUL_a)[i] * word(t, SEQ_ARG_MUL_b)[i];
    }
}

/* Two steps: what I send to the next party depends on what came in the step before. */
static int ring_step(seq_task *t) {
    unsigned n = t->env->parties, next = (t->env->me + 1) % n, prev = (t->env->me + n - 1) % n;
    uint64_t expected = t->call.instance << 32 | (uint64_t)t->chunk << 8;
    uint64_t *sum = t->state;
    if (t->step_no > 0) {
        uint64_t in;
        memcpy(&in, task_received(t, prev), 8);
        if (in != (expected | (t->step_no - 1))) {
            return task_fail(t, SEQ_ERR_OURS, (int)prev, "a frame went astray");
        }
        *sum += in;
    }
    if (t->step_no == 2) {
        product(t);
        ((toy_state *)t->env->protocol)->running--;
        return *sum == 2 * expected + 1 ? TASK_DONE
                                        : task_fail(t, SEQ_ERR_OURS, -1, "state was lost");
    }
    ((toy_state *)t->env->protocol)->running += t->step_no == 0;
    uint64_t out = expected | t->step_no;
    uint8_t *frame = task_send(t, next, 8);
    memset(task_scratch(t, 100), 0xAA, 100);
    memcpy(frame, &out, 8);
    task_expect(t, prev, 8);
    return TASK_WAIT;
}

static int parent_step(seq_task *t) {
    size_t middle = (t->begin + t->end) / 2;
    int64_t kind = t->call.arg[SEQ_ARG_MUL_m];
    if (t->step_no > 0) {
        return TASK_DONE;
    }
    for (unsigned half = 0; half < 2; half++) {
        seq_call c = t->call;
        size_t first = half == 0 ? t->begin : middle, last = half == 0 ? middle : t->end;
        for (unsigned i = SEQ_ARG_MUL_d; i <= SEQ_ARG_MUL_b; i++) {
            c.reg[i].c[0] = (uint64_t *)t->call.reg[i].c[0] + first;
        }
        c.arg[SEQ_ARG_MUL_n] = (int64_t)(last - first);
        c.arg[SEQ_ARG_MUL_m] = kind == CHILD_FAILS && half == 1         ? SILENT
                               : kind == CHILD_FAILS_LATER && half == 1 ? WRONG_LENGTH
                                                                        : CHUNKS;
        task_call(t, &c, (uint16_t)(1 + 2 * t->chunk + half));
    }
    return TASK_WAIT;
}

/* Every other party gets all keys that it must know, too. */
static int keys_step(seq_task *t) {
    static const uint8_t zero[32];
    const toy_state *s = t->env->protocol;
    unsigned n = t->env->parties, me = t->env->me;
    for (unsigned p = 0; p < n; p++) {
        uint8_t *out = NULL;
        if (p != me && t->step_no == 0) {
            out = task_send(t, p, 32 * (size_t)n);
            task_expect(t, p, 32 * (size_t)n);
        }
        for (unsigned absent = 0; absent < n && p != me; absent++) {
            int both = absent != p && absent != me;
            const uint8_t *key = both ? s->without[absent] : zero;
            if (out != NULL) {
                memcpy(out + 32 * (size_t)absent, key, 32);
            } else if (memcmp(task_received(t, p) + 32 * (size_t)absent, key, 32) != 0 ||
                       (both && memcmp(key, zero, 32) == 0) ||
                       memcmp(s->without[me], zero, 32) != 0) {
                return task_fail(t, SEQ_ERR_OURS, (int)p, "keys without party %u differ", absent);
            }
        }
    }
    if (t->step_no == 0) {
        return TASK_WAIT;
    }
    product(t);
    return TASK_DONE;
}

static int bad_step(seq_task *t) {
    unsigned n = t->env->parties, next = (t->env->me + 1) % n, prev = (t->env->me + n - 1) % n;
    switch (t->call.arg[SEQ_ARG_MUL_m]) {
    case SEND_TWICE:
        memset(task_send(t, next, 8), 0, 8);
        return task_send(t, next, 8) == NULL ? TASK_ERROR : TASK_DONE;
    case SEND_SELF:
        return task_send(t, t->env->me, 8) == NULL ? TASK_ERROR : TASK_DONE;
    case SILENT:
        return TASK_ERROR;
    case WRONG_LENGTH:
        if (t->step_no == 0) {
            size_t bytes = t->env->me == 1 ? 8 : 16;
            memset(task_send(t, next, bytes), 0, bytes);
            task_expect(t, prev, 16);
            return TASK_WAIT;
        }
        return TASK_DONE;
    case CHEAT:
        if (t->step_no > 0) {
            return task_fail(t, SEQ_ERR_CHEAT, (int)prev, "cheating detected: party %u", prev);
        }
        memset(task_send(t, next, 8), 0, 8);
        task_expect(t, prev, 8);
        return TASK_WAIT;
    case NEVER:
        task_expect(t, prev, 8);
        return TASK_WAIT;
    default:
        return TASK_WAIT;
    }
}

static void toy_mul(seq_vm *vm, const seq_call *call) {
    int64_t kind = call->arg[SEQ_ARG_MUL_m];
    size_t n = (size_t)call->arg[SEQ_ARG_MUL_n], chunk = 0;
    call_rounds(vm, call, 2);
    if (kind == NO_TASK) {
        vm_env(vm)->ring->mul(call->reg[SEQ_ARG_MUL_d].c[0], call->reg[SEQ_ARG_MUL_a].c[0],
                              call->reg[SEQ_ARG_MUL_b].c[0], n);
    } else if (kind == SUBS || kind == CHILD_FAILS || kind == CHILD_FAILS_LATER) {
        task_create(vm, call, 0, 0, n / 2, parent_step, 0);
        task_create(vm, call, 1, n / 2, n, parent_step, 0);
    } else if (kind == CHUNKS) {
        for (size_t at = 0; at < n; at += CHUNK, chunk++) {
            size_t end = at + CHUNK < n ? at + CHUNK : n;
            task_create(vm, call, (uint32_t)chunk, at, end, ring_step, sizeof(uint64_t));
        }
    } else if (kind == MANY_CHUNKS) {
        task_create(vm, call, (uint32_t)1 << 24, 0, n, ring_step, sizeof(uint64_t));
    } else if (kind == FAIL_START) {
        (void)vm_fail(vm, call, SEQ_ERR_AUTHOR, -1, "not with %zu elements", n);
    } else {
        task_create(vm, call, 0, 0, n, kind == KEYS ? keys_step : bad_step, 0);
    }
}

static void toy_output(seq_vm *vm, const seq_call *call) {
    size_t n = (size_t)call->arg[SEQ_ARG_OUTPUT_n];
    if (((toy_state *)vm_env(vm)->protocol)->running > 0) {
        (void)vm_fail(vm, call, SEQ_ERR_OURS, -1, "machines run beside an opening");
    }
    void *out = vm_output_buffer(vm, call->arg[SEQ_ARG_OUTPUT_out], n);
    if (out != NULL) {
        memcpy(out, call->reg[SEQ_ARG_OUTPUT_a].c[0], n * vm_env(vm)->ring->word);
    }
}

static void add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                       size_t n) {
    if (a == NULL) {
        memcpy(d->c[0], b, n * env->ring->word);
    } else {
        env->ring->add(d->c[0], a->c[0], b, n);
    }
}

static seq_status check(unsigned ring_bits, unsigned k, unsigned f, unsigned stat, seq_error *err) {
    (void)ring_bits, (void)k, (void)stat;
    return f <= 20 ? SEQ_OK : seq_fail(err, SEQ_ERR_CONFIG, -1, "toy: f = %u is above 20", f);
}

static unsigned all_but_one(unsigned parties, unsigned i) {
    return i < parties ? ((1u << parties) - 1) & ~(1u << i) : 0;
}

static seq_status setup(const seq_env *env, const seq_keys *keys, void **state, seq_error *err) {
    static const uint8_t zero[32];
    toy_state *s = *state = calloc(1, sizeof *s);
    if (s == NULL) {
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory");
    }
    memcpy(s->without, keys->group, sizeof *keys->group * env->parties);
    for (unsigned p = 0; p < env->parties; p++) {
        if (p != env->me && memcmp(keys->pair[p], zero, 32) == 0) {
            return seq_fail(err, SEQ_ERR_OURS, (int)p, "no seed with party %u", p);
        }
    }
    return memcmp(keys->common, zero, 32) != 0 ? SEQ_OK
                                               : seq_fail(err, SEQ_ERR_OURS, -1, "no seed");
}

static void teardown(void *state) {
    free(state);
}

static unsigned toy_input_stored(unsigned me, unsigned owner) {
    (void)me, (void)owner;
    return 1;
}

static uint64_t toy_scratch(const seq_env *env, const seq_call *call) {
    (void)env, (void)call;
    return 0;
}

static const seq_protocol toy = {
    .name = "toy",
    .title = "a test of the task engine",
    .adversary = "none (insecure)",
    .parties_min = 2,
    .parties_max = 3,
    .threshold_den = 1,
    .ring64 = 1,
    .components = 1,
    .bit_components = 1,
    .insecure = 1,
    .verified = 1,
    .check = check,
    .group = all_but_one,
    .setup = setup,
    .teardown = teardown,
    .input_stored = toy_input_stored,
    .scratch = toy_scratch,
    .add_public = add_public,
    .start = {[SEQ_OP_MUL - SEQ_OP_FIRST_INTERACTIVE] = toy_mul,
              [SEQ_OP_OUTPUT - SEQ_OP_FIRST_INTERACTIVE] = toy_output},
};

const seq_protocol *protocol_at(size_t i) {
    return i == 0 ? &toy : NULL;
}

const seq_protocol *protocol_find(const char *name) {
    return strcmp(name, "toy") == 0 ? &toy : NULL;
}
