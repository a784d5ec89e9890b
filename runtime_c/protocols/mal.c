/* rep3-mal: the protocol's constants and limits, and openings. See mal.h. */

#include "mal.h"

#include <stdlib.h>

static seq_status mal_check(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                            seq_error *err) {
    if (ring_bits != 64)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1, "rep3-mal works in the ring of 64 bits, not %u",
                        ring_bits);
    if (k + f > ring_bits - 1 || f >= k)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "rep3-mal needs f < k and k + f <= %u; the program has k = %u and f = %u",
                        ring_bits - 1, k, f);
    if (stat > 40)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "rep3-mal's checks fail with probability 2^-40; the program asks for 2^-%u",
                        stat);
    return SEQ_OK;
}

static seq_status mal_setup(const seq_env *env, const seq_keys *keys, void **state,
                            seq_error *err) {
    void *base;
    mal_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of rep3-mal");
    if (rep3_setup(env, keys, &base, err) != SEQ_OK) {
        free(s);
        return err->status;
    }
    memcpy(&s->base, base, sizeof s->base);
    prg_wipe(base, sizeof s->base);
    free(base);
#ifdef SEQ_TEST
    const unsigned stat = env->stat;
#else
    const unsigned stat = 40;
#endif
    dzk_log_init(&s->log, stat);
    dzk_log_init(&s->checked, stat);
    *state = s;
    return SEQ_OK;
}

static void mal_teardown(void *state) {
    mal_state *s = state;
    if (!s)
        return;
    dzk_log_free(&s->log);
    dzk_log_free(&s->checked);
    prg_wipe(s, sizeof *s);
    free(s);
}

_Static_assert((int)SEQ_ARG_LTZ_n == (int)SEQ_ARG_A2B_n &&
                   (int)SEQ_ARG_LTZ_bits == (int)SEQ_ARG_A2B_bits &&
                   (int)SEQ_ARG_SELECT_KEEP_n == (int)SEQ_ARG_SELECT_KEPT_n,
               "operands of instructions with the same needs");

/* Bytes an element, counted from what tasks allocate; all tasks of a call may be there at once. */
static uint64_t mal_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    (void)env;
    switch (c->op) {
    case SEQ_OP_LTZ:
    case SEQ_OP_A2B:
        return (uint64_t)(a[SEQ_ARG_LTZ_n] * a[SEQ_ARG_LTZ_bits]) * 5 / 2;
    case SEQ_OP_EQZ:
        return (uint64_t)(a[SEQ_ARG_EQZ_n] * a[SEQ_ARG_EQZ_bits]) * 3 / 2;
    case SEQ_OP_AND:
        return (uint64_t)(a[SEQ_ARG_AND_n] * a[SEQ_ARG_AND_p]);
    case SEQ_OP_B2A:
        return (uint64_t)(a[SEQ_ARG_B2A_n] * a[SEQ_ARG_B2A_p]) * 96;
    case SEQ_OP_SELECT:
        return (uint64_t)a[SEQ_ARG_SELECT_n] * 128;
    case SEQ_OP_SELECT_KEEP:
    case SEQ_OP_SELECT_KEPT:
        return (uint64_t)a[SEQ_ARG_SELECT_KEEP_n] * 128;
    case SEQ_OP_SHUFFLE:
        return (uint64_t)(a[SEQ_ARG_SHUFFLE_n] * a[SEQ_ARG_SHUFFLE_len]) * 144;
    default:
        return mal_product_scratch(c);
    }
}

/* ---- verification, and openings after it ---- */

#define VERIFY_CHUNK 0xFFFFFFu /* of the task that verifies */

typedef struct {
    int verified;
    dzk_run run;
} verify_state;

/* Calls that begin beside this check are for the next one. */
static void set_apart(mal_state *m) {
    const dzk_log empty = m->checked;
    m->checked = m->log;
    m->log = empty;
    m->log.checks = m->checked.checks + 1;
}

static int verify_step(seq_task *t) {
    verify_state *s = t->state;
    mal_state *m = mal_of(t);
    const int opens = t->call.op != SEQ_OP_CHECKPOINT; /* else nothing begins beside it */
    if (s->verified)
        return TASK_DONE;
    if (opens && t->step_no == 0)
        set_apart(m);
    const int status =
        dzk_step(t, &s->run, opens ? &m->checked : &m->log, &m->base.next, &m->base.prev);
    if (status != TASK_DONE || !opens)
        return status;
    s->verified = 1;
    seq_call sub = t->call;
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

static void mal_verify(seq_vm *vm, const seq_call *call) {
    mal_state *m = vm_env(vm)->protocol;
    m->due = 0;
    if (!dzk_empty(&m->log))
        task_create(vm, call, VERIFY_CHUNK, 0, 0, verify_step, sizeof(verify_state));
}

static int mal_overdue(const seq_env *env) {
    const mal_state *m = env->protocol;
    return m->due > MAL_LOG_BYTES;
}

/* What a task opens: words, or a plane's words of bits. */
typedef struct {
    rep3_keys keys;
    int to;
    size_t words;
    uint64_t *own[2]; /* components */
} open_state;

static int receives(int to, unsigned party) {
    return to < 0 || (unsigned)to == party;
}

/* A keyed sum of words: two different vectors have the same with probability 2^-64, over a key that
 * the one who sends the vector does not know. */
static int tag_of(seq_task *t, const open_state *s, const prg_key *key, const uint64_t *words,
                  uint64_t *tag) {
    dzk_field f;
    uint64_t *weight = task_scratch(t, s->words * 8 + 8);
    if (!weight)
        return TASK_ERROR;
    dzk_field_init(&f, t->env, DZK_BITS, 64);
    prg_words(key, MAL_TAG, (uint64_t)t->chunk << 32, weight, s->words);
#ifdef SEQ_TEST
    for (size_t i = 0; t->env->stat < 40 && i < s->words; i++)
        weight[i] &= ((uint64_t)1 << t->env->stat) - 1;
#endif
    dzk_inner(&f, tag, words, weight, s->words);
    return 0;
}

/* The party before a receiver sends it the component that it lacks, the one after it a tag. */
static int open_send(seq_task *t) {
    open_state *s = t->state;
    const unsigned me = t->env->me, next = rep3_next(me), prev = rep3_prev(me);
    if (receives(s->to, next)) {
        uint8_t *send = task_send(t, next, s->words * 8);
        if (!send)
            return TASK_ERROR;
        memcpy(send, s->own[0], s->words * 8);
    }
    if (receives(s->to, prev)) {
        uint64_t *send = (uint64_t *)task_send(t, prev, 8);
        if (!send || tag_of(t, s, &s->keys.prev, s->own[1], send) < 0)
            return TASK_ERROR;
    }
    if (!receives(s->to, me))
        return TASK_DONE;
    task_expect(t, prev, s->words * 8);
    task_expect(t, next, 8);
    return TASK_WAIT;
}

/* The opened words into own[0]. */
static int open_take(seq_task *t, int bits) {
    open_state *s = t->state;
    const unsigned me = t->env->me;
    const uint64_t *words = (const uint64_t *)task_received(t, rep3_prev(me));
    uint64_t tag, told;
    memcpy(&told, task_received(t, rep3_next(me)), 8);
    if (tag_of(t, s, &s->keys.next, words, &tag) < 0)
        return TASK_ERROR;
    int differ = tag != told;
    task_known(&differ, sizeof differ);
    if (differ)
        return task_fail(t, SEQ_ERR_CHEAT, -1,
                         "cheating detected: parties %u and %u open different shares",
                         rep3_prev(me), rep3_next(me));
    for (size_t i = 0; i < s->words; i++)
        s->own[0][i] =
            bits ? s->own[0][i] ^ s->own[1][i] ^ words[i] : s->own[0][i] + s->own[1][i] + words[i];
    return 0;
}

static int open_words(seq_task *t, uint64_t *d, const seq_reg *a, size_t n, int to) {
    open_state *s = t->state;
    const size_t first = 64 * t->begin, end = 64 * t->end < n ? 64 * t->end : n;
    if (t->step_no) {
        if (open_take(t, 0) < 0)
            return TASK_ERROR;
        memcpy(d + first, s->own[0], s->words * 8);
        return TASK_DONE;
    }
    rep3_derive(&s->keys, t);
    s->to = to;
    s->words = end - first;
    for (unsigned c = 0; c < 2; c++) {
        if (!(s->own[c] = mal_words(t, s->words)))
            return TASK_ERROR;
        memcpy(s->own[c], (const uint64_t *)a->c[c] + first, s->words * 8);
    }
    return open_send(t);
}

static int open_bits(seq_task *t, uint64_t *d, const seq_reg *a, size_t planes, size_t n, int to) {
    open_state *s = t->state;
    const size_t words = t->end - t->begin, plane = bits_plane_words(n);
    const size_t first = 64 * t->begin, count = (64 * t->end < n ? 64 * t->end : n) - first;
    if (t->step_no) {
        if (open_take(t, 1) < 0)
            return TASK_ERROR;
        t->env->bits->unslice(d + first, 64, s->own[0], words, count, 0, (unsigned)planes);
        return TASK_DONE;
    }
    rep3_derive(&s->keys, t);
    s->to = to;
    s->words = words * planes;
    for (unsigned c = 0; c < 2; c++) {
        if (!(s->own[c] = mal_words(t, s->words)))
            return TASK_ERROR;
        for (size_t p = 0; p < planes; p++) {
            uint64_t *own = s->own[c] + p * words;
            memcpy(own, (const uint64_t *)a->c[c] + p * plane + t->begin, words * 8);
            if (count % 64) /* what the register held before stays here */
                own[words - 1] &= ((uint64_t)1 << count % 64) - 1;
        }
    }
    return open_send(t);
}

static int open_step(seq_task *t) {
    const seq_reg *reg = t->call.reg;
    const int64_t *arg = t->call.arg;
    switch (t->call.op) {
    case SEQ_OP_OPEN:
        return open_words(t, reg[SEQ_ARG_OPEN_d].c[0], &reg[SEQ_ARG_OPEN_a],
                          (size_t)arg[SEQ_ARG_OPEN_n], -1);
    case SEQ_OP_OPENB:
        return open_bits(t, reg[SEQ_ARG_OPENB_d].c[0], &reg[SEQ_ARG_OPENB_a],
                         (size_t)arg[SEQ_ARG_OPENB_p], (size_t)arg[SEQ_ARG_OPENB_n], -1);
    case SEQ_OP_OUTPUT: /* the receivers' buffer travels in the call's handle operand */
        return open_words(t, reg[SEQ_ARG_OUTPUT_h].c[0], &reg[SEQ_ARG_OUTPUT_a],
                          (size_t)arg[SEQ_ARG_OUTPUT_n],
                          vm_output_party(t->vm, arg[SEQ_ARG_OUTPUT_out]));
    default:
        return open_bits(t, reg[SEQ_ARG_OUTPUTB_h].c[0], &reg[SEQ_ARG_OUTPUTB_a],
                         (size_t)arg[SEQ_ARG_OUTPUTB_p], (size_t)arg[SEQ_ARG_OUTPUTB_n],
                         vm_output_party(t->vm, arg[SEQ_ARG_OUTPUTB_out]));
    }
}

static size_t open_size(const seq_call *c) {
    return (size_t)c->arg[c->op == SEQ_OP_OPEN     ? SEQ_ARG_OPEN_n
                          : c->op == SEQ_OP_OPENB  ? SEQ_ARG_OPENB_n
                          : c->op == SEQ_OP_OUTPUT ? SEQ_ARG_OUTPUT_n
                                                   : SEQ_ARG_OUTPUTB_n];
}

/* Verifies what is in the log, and then opens, as a sub-machine. */
void mal_start_open(seq_vm *vm, const seq_call *call) {
    mal_state *m = vm_env(vm)->protocol;
    seq_call own = *call;
    const size_t n = open_size(call);
    if (!call->parent) {
        const int output = call->op == SEQ_OP_OUTPUT || call->op == SEQ_OP_OUTPUTB;
        const int64_t out = call->arg[SEQ_ARG_OUTPUT_out];
        if (output && receives(vm_output_party(vm, out), vm_env(vm)->me))
            own.reg[0].c[0] = vm_output_buffer(vm, out, n);
    }
    if (!call->parent && !dzk_empty(&m->log)) {
        m->due = 0;
        call_rounds(vm, call, 1);
        task_create(vm, &own, VERIFY_CHUNK, 0, 0, verify_step, sizeof(verify_state));
        return;
    }
    rep3_start_flat(vm, &own, n, 1, open_step, sizeof(open_state));
}

const seq_protocol protocol_rep3_mal = {
    .name = "rep3-mal",
    .title = "replicated secret sharing with distributed proofs",
    .adversary = "malicious with abort",
    .parties_min = 3,
    .parties_max = 3,
    .threshold_num = 1,
    .threshold_den = 2,
    .ring64 = 1,
    .ring128 = 0,
    .components = 2,
    .bit_components = 2,
    .verified = 1,
    .check = mal_check,
    .setup = mal_setup,
    .teardown = mal_teardown,
    .input_stored = rep3_input_stored,
    .scratch = mal_scratch,
    .add_public = rep3_add_public,
    .xor_public = rep3_xor_public,
    .rerandomise = rep3_rerandomise,
    .verify = mal_verify,
    .overdue = mal_overdue,
    .start =
        {
            [SEQ_OP_MUL - SEQ_OP_FIRST_INTERACTIVE] = mal_start_mul,
            [SEQ_OP_MUL_ADD - SEQ_OP_FIRST_INTERACTIVE] = mal_start_mul,
            [SEQ_OP_MATMUL - SEQ_OP_FIRST_INTERACTIVE] = mal_start_bilinear,
            [SEQ_OP_MATMUL_ADD - SEQ_OP_FIRST_INTERACTIVE] = mal_start_bilinear,
            [SEQ_OP_CONV2D - SEQ_OP_FIRST_INTERACTIVE] = mal_start_bilinear,
            [SEQ_OP_CONV2D_ADD - SEQ_OP_FIRST_INTERACTIVE] = mal_start_bilinear,
            [SEQ_OP_CONV2D_DX - SEQ_OP_FIRST_INTERACTIVE] = mal_start_bilinear,
            [SEQ_OP_CONV2D_DX_ADD - SEQ_OP_FIRST_INTERACTIVE] = mal_start_bilinear,
            [SEQ_OP_CONV2D_DW - SEQ_OP_FIRST_INTERACTIVE] = mal_start_bilinear,
            [SEQ_OP_CONV2D_DW_ADD - SEQ_OP_FIRST_INTERACTIVE] = mal_start_bilinear,
            [SEQ_OP_TRUNC - SEQ_OP_FIRST_INTERACTIVE] = mal_start_trunc,
            [SEQ_OP_LTZ - SEQ_OP_FIRST_INTERACTIVE] = mal_start_ltz,
            [SEQ_OP_EQZ - SEQ_OP_FIRST_INTERACTIVE] = mal_start_eqz,
            [SEQ_OP_SELECT - SEQ_OP_FIRST_INTERACTIVE] = mal_start_select,
            [SEQ_OP_SELECT_KEEP - SEQ_OP_FIRST_INTERACTIVE] = mal_start_select,
            [SEQ_OP_SELECT_KEPT - SEQ_OP_FIRST_INTERACTIVE] = mal_start_select,
            [SEQ_OP_SHUFFLE - SEQ_OP_FIRST_INTERACTIVE] = mal_start_shuffle,
            [SEQ_OP_B2A - SEQ_OP_FIRST_INTERACTIVE] = mal_start_b2a,
            [SEQ_OP_A2B - SEQ_OP_FIRST_INTERACTIVE] = mal_start_a2b,
            [SEQ_OP_AND - SEQ_OP_FIRST_INTERACTIVE] = mal_start_and,
            [SEQ_OP_OPEN - SEQ_OP_FIRST_INTERACTIVE] = mal_start_open,
            [SEQ_OP_OPENB - SEQ_OP_FIRST_INTERACTIVE] = mal_start_open,
            [SEQ_OP_RANDBIT - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_randbit,
            [SEQ_OP_INPUT - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_input,
            [SEQ_OP_OUTPUT - SEQ_OP_FIRST_INTERACTIVE] = mal_start_open,
            [SEQ_OP_OUTPUTB - SEQ_OP_FIRST_INTERACTIVE] = mal_start_open,
        },
};
