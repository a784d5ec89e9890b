/* shamir-mal: the protocol's constants and keys, and openings. See shamir_mal.h. */

#include "shamir_mal.h"

#include <stdlib.h>

static seq_status smal_check_program(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                                     seq_error *err) {
    (void)stat; /* masks are uniform: what is opened tells nothing */
    if (k + f >= ring_bits || ring_bits > SMAL_RING_BITS)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "shamir-mal needs k + f < ring bits <= %u; the program has k = %u, f = %u "
                        "and %u ring bits",
                        SMAL_RING_BITS, k, f, ring_bits);
    return SEQ_OK;
}

/* Keys of my sets, and my share of 1 for each: f(0) = 1 and f = 0 outside of the set. */
static void setup_sets(smal_state *s, const seq_env *env, const seq_keys *keys) {
    const shamir_state *base = &s->base;
    while (1u << s->wraps <= base->sets)
        s->wraps++;
    for (unsigned set = 0; set < base->sets; set++) {
        const unsigned members = base->set[set];
        if (!(members >> env->me & 1))
            continue;
        prg_init(&s->set[set], keys->group[set]);
        prg_init(&s->program[set], keys->group[set] + 16);
        for (unsigned type = 0; type < SHAMIR_TYPES; type++) {
            field points[SHAMIR_T + 1] = {0}, coefficient[SHAMIR_T + 1];
            unsigned m = 1;
            for (unsigned q = 0; q < base->core; q++)
                if (!(members >> q & 1))
                    points[m++] = shamir_point(type, q + 1);
            shamir_lagrange(type, coefficient, points, m, shamir_point(type, env->me + 1));
            s->share[type][set] = coefficient[0];
        }
    }
}

static seq_status smal_setup(const seq_env *env, const seq_keys *keys, void **state,
                             seq_error *err) {
    void *base;
    smal_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of shamir-mal");
    if (shamir_setup(env, keys, &base, err) != SEQ_OK) {
        free(s);
        return err->status;
    }
    memcpy(&s->base, base, sizeof s->base);
    prg_wipe(base, sizeof s->base);
    free(base);
    s->base.log = &s->log;
    shamir_fill_table(&s->base, SHAMIR_EXT, &s->base.table[SHAMIR_EXT]);
    setup_sets(s, env, keys);
    *state = s;
    return SEQ_OK;
}

static void smal_teardown(void *state) {
    smal_state *s = state;
    if (!s)
        return;
    smal_log_clear(&s->log);
    smal_log_clear(&s->checked);
    prg_wipe(s, sizeof *s);
    free(s);
}

prg_key *smal_keys(seq_task *t) {
    const smal_state *s = smal_of(t);
    prg_key *keys = task_scratch(t, s->base.sets * sizeof *keys);
    for (unsigned set = 0; keys && set < s->base.sets; set++)
        if (smal_member(t, set))
            prg_derive(&keys[set], &s->set[set], t->call.instance, t->call.sub | t->chunk << 16);
    return keys;
}

void smal_random(const seq_task *t, const prg_key *keys, unsigned type, uint32_t purpose, void *d,
                 size_t n) {
    const smal_state *s = smal_of(t);
    const size_t size = shamir_size(type);
    field drawn[SHAMIR_PIECE];
    memset(d, 0, n * size);
    for (unsigned set = 0; set < s->base.sets; set++) {
        const field coefficient[2] = {1, s->share[type][set]};
        if (!smal_member(t, set))
            continue;
        for (size_t at = 0; at < n; at += SHAMIR_PIECE) {
            const size_t count = n - at < SHAMIR_PIECE ? n - at : SHAMIR_PIECE;
            const void *in[2] = {(uint8_t *)d + at * size, drawn};
            prg_words(&keys[set], purpose, at * size / 8, (uint64_t *)drawn, count * size / 8);
            for (size_t i = 0; type == SHAMIR_NUMBER && i < count; i++)
                drawn[i] = field_from_word(drawn[i] & FIELD_P);
            shamir_combine(type, (uint8_t *)d + at * size, coefficient, in, 2, count);
        }
    }
    prg_wipe(drawn, sizeof drawn);
}

_Static_assert(SEQ_ARG_LTZ_n == (int)SEQ_ARG_EQZ_n && SEQ_ARG_LTZ_n == (int)SEQ_ARG_A2B_n,
               "operands of instructions with the same needs");

/* Bytes an element, about, from the scratch that tasks ask for. */
static uint64_t smal_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    const smal_state *s = env->protocol;
    const double sets = s ? s->base.sets : SHAMIR_SETS;
    const double number = 160 + 64 * sets, plane = 4 + sets / 2;
    switch (c->op) {
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
    case SEQ_OP_A2B:
        return (uint64_t)((160 + plane * (double)a[SEQ_ARG_LTZ_bits]) * (double)a[SEQ_ARG_LTZ_n]);
    case SEQ_OP_B2A:
        return (uint64_t)(number * (double)a[SEQ_ARG_B2A_p] * (double)a[SEQ_ARG_B2A_n]);
    case SEQ_OP_AND:
    case SEQ_OP_OPENB:
    case SEQ_OP_OUTPUTB:
    case SEQ_OP_RANDBIT:
    case SEQ_OP_INPUT:
    case SEQ_OP_OPEN:
    case SEQ_OP_OUTPUT:
        return 1 << 20;
    case SEQ_OP_TRUNC:
        return (uint64_t)(4 * number * (double)a[SEQ_ARG_TRUNC_n]);
    case SEQ_OP_SELECT:
        return (uint64_t)(2 * number * (double)a[SEQ_ARG_SELECT_n]);
    case SEQ_OP_SELECT_KEEP:
        return (uint64_t)(2 * number * (double)a[SEQ_ARG_SELECT_KEEP_n]);
    case SEQ_OP_SHUFFLE:
        return (uint64_t)(16 * (sets + 6) * (double)a[SEQ_ARG_SHUFFLE_n] *
                          (double)(a[SEQ_ARG_SHUFFLE_len] + 1));
    default:
        return (uint64_t)(4 * number * (double)shamir_map_of(c).n);
    }
}

void smal_account(seq_vm *vm, const seq_call *call) {
    smal_state *s = vm_env(vm)->protocol;
    const int64_t *a = call->arg;
    if (call->parent)
        return;
    switch (call->op) {
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
    case SEQ_OP_A2B:
        s->due += (uint64_t)(a[SEQ_ARG_LTZ_n] * a[SEQ_ARG_LTZ_bits]);
        return;
    case SEQ_OP_B2A:
        s->due += (uint64_t)(a[SEQ_ARG_B2A_n] * a[SEQ_ARG_B2A_p]);
        return;
    case SEQ_OP_AND:
        s->due += (uint64_t)(a[SEQ_ARG_AND_n] * a[SEQ_ARG_AND_p]);
        return;
    case SEQ_OP_TRUNC:
        s->due += (uint64_t)(a[SEQ_ARG_TRUNC_n] * (1 + a[SEQ_ARG_TRUNC_m]));
        return;
    case SEQ_OP_SELECT:
        s->due += (uint64_t)a[SEQ_ARG_SELECT_n];
        return;
    case SEQ_OP_SELECT_KEEP:
        s->due += (uint64_t)a[SEQ_ARG_SELECT_KEEP_n];
        return;
    case SEQ_OP_SHUFFLE:
        s->due += (uint64_t)(a[SEQ_ARG_SHUFFLE_n] * a[SEQ_ARG_SHUFFLE_len]) * (s->base.sets + 1);
        return;
    default: {
        const shamir_map p = shamir_map_of(call);
        s->due += p.n * (uint64_t)(1 + p.m);
    }
    }
}

static int smal_overdue(const seq_env *env) {
    return ((const smal_state *)env->protocol)->due > SMAL_LIMIT;
}

/* ---- verification, and openings after it ---- */

#define VERIFY_CHUNK 0xFFFFu /* of the task that verifies */

static int verify_step(seq_task *t) {
    const int opens = t->call.op != SEQ_OP_CHECKPOINT;
    int *verified = t->state;
    if (*verified)
        return TASK_DONE;
    const int status = smal_check_step(t, (smal_check *)(verified + 16));
    if (status != TASK_DONE || !opens)
        return status;
    *verified = 1;
    seq_call sub = t->call;
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

static void start_verify(seq_vm *vm, const seq_call *call) {
    ((smal_state *)vm_env(vm)->protocol)->due = 0;
    task_create(vm, call, VERIFY_CHUNK, 0, 0, verify_step, 64 + smal_check_bytes());
}

static void smal_verify(seq_vm *vm, const seq_call *call) {
    if (!smal_log_empty(&((smal_state *)vm_env(vm)->protocol)->log))
        start_verify(vm, call);
}

/* What a task opens: numbers or blocks of bits, to one party or all. */
typedef struct {
    shamir_part part;
    unsigned type;
    size_t planes, count;
    void *own, *value;
} open_state;

static int receives(int to, unsigned party) {
    return to < 0 || (unsigned)to == party;
}

static int open_send(seq_task *t, const open_state *s, int to) {
    const shamir_state *sh = shamir_of(t);
    const unsigned me = t->env->me;
    const size_t bytes = s->count * shamir_size(s->type);
    for (unsigned q = 0; q < sh->n; q++) {
        uint8_t *out;
        if (q != me && me < sh->core && receives(to, q)) {
            if (!(out = task_send(t, q, bytes)))
                return TASK_ERROR;
            memcpy(out, s->own, bytes);
        }
        if (q != me && q < sh->core && receives(to, me))
            task_expect(t, q, bytes);
    }
    return receives(to, me) ? TASK_WAIT : TASK_DONE;
}

static int open_take(seq_task *t, const open_state *s) {
    const shamir_state *sh = shamir_of(t);
    const void *in[SHAMIR_CORE];
    for (unsigned q = 0; q < sh->core; q++)
        in[q] = q == t->env->me ? s->own : task_received(t, q);
    return shamir_open(t, s->type, s->value, in, s->count);
}

static int open_begin(seq_task *t, size_t n, size_t planes, int to) {
    open_state *s = t->state;
    shamir_partition(&s->part, t, n);
    s->planes = planes;
    s->type = planes ? SHAMIR_BITS : SHAMIR_NUMBER;
    s->count = planes ? planes * s->part.words : s->part.count;
    s->own = task_scratch(t, s->count * shamir_size(s->type) + 64);
    s->value = task_scratch(t, s->count * shamir_size(s->type) + 64);
    if (!s->own || !s->value)
        return TASK_ERROR;
    const seq_reg *a = &t->call.reg[planes ? SEQ_ARG_OPENB_a : SEQ_ARG_OPEN_a];
    if (planes)
        smal_load(t, s->own, a, planes, n);
    else
        memcpy(s->own, (const field *)a->c[0] + s->part.first, s->count * sizeof(field));
    return open_send(t, s, to);
}

static int open_store(seq_task *t, void *d) {
    open_state *s = t->state;
    const size_t word = t->env->ring->word, words = s->part.words;
    uint8_t *to = (uint8_t *)d + s->part.first * word;
    if (open_take(t, s))
        return TASK_ERROR;
    if (!s->planes) {
        memcpy(to, s->value, s->count * word);
        return TASK_DONE;
    }
    uint64_t *planes = s->own; /* sent */
    const shamir_block *bits = s->value;
    for (size_t i = 0; i < s->count; i++)
        planes[i] = bits[i].w[0];
    t->env->bits->unslice(to, 8 * (unsigned)word, planes, words, s->part.count, 0,
                          (unsigned)s->planes);
    return TASK_DONE;
}

typedef struct {
    size_t n, planes;
    int to;
} opening;

static opening opening_of(seq_vm *vm, const seq_call *c) {
    const int64_t *a = c->arg;
    switch (c->op) {
    case SEQ_OP_OPEN:
        return (opening){(size_t)a[SEQ_ARG_OPEN_n], 0, -1};
    case SEQ_OP_OPENB:
        return (opening){(size_t)a[SEQ_ARG_OPENB_n], (size_t)a[SEQ_ARG_OPENB_p], -1};
    case SEQ_OP_OUTPUT:
        return (opening){(size_t)a[SEQ_ARG_OUTPUT_n], 0,
                         vm_output_party(vm, a[SEQ_ARG_OUTPUT_out])};
    default:
        return (opening){(size_t)a[SEQ_ARG_OUTPUTB_n], (size_t)a[SEQ_ARG_OUTPUTB_p],
                         vm_output_party(vm, a[SEQ_ARG_OUTPUTB_out])};
    }
}

_Static_assert(SEQ_ARG_OPEN_a == (int)SEQ_ARG_OUTPUT_a &&
                   SEQ_ARG_OPENB_a == (int)SEQ_ARG_OUTPUTB_a &&
                   SEQ_ARG_OPEN_d == (int)SEQ_ARG_OPENB_d &&
                   SEQ_ARG_OUTPUT_h == (int)SEQ_ARG_OUTPUTB_h,
               "handled alike");

static int open_step(seq_task *t) {
    const opening o = opening_of(t->vm, &t->call);
    const int output = t->call.op == SEQ_OP_OUTPUT || t->call.op == SEQ_OP_OUTPUTB;
    if (t->step_no)
        return open_store(t,
                          t->call.reg[output ? (int)SEQ_ARG_OUTPUT_h : (int)SEQ_ARG_OPEN_d].c[0]);
    return open_begin(t, o.n, o.planes, o.to);
}

/* Verifies what is in the log, and then opens, as a sub-machine. The receivers' buffer of an output
 * travels in the call's handle operand. */
static void smal_start_open(seq_vm *vm, const seq_call *call) {
    const smal_state *s = vm_env(vm)->protocol;
    const opening o = opening_of(vm, call);
    const int bits = call->op == SEQ_OP_OPENB || call->op == SEQ_OP_OUTPUTB;
    const size_t n = bits && !o.planes ? 0 : o.n;
    seq_call own = *call;
    const int output = call->op == SEQ_OP_OUTPUT || call->op == SEQ_OP_OUTPUTB;
    if (!call->parent && output && receives(o.to, vm_env(vm)->me))
        own.reg[SEQ_ARG_OUTPUT_h].c[0] = vm_output_buffer(vm, call->arg[SEQ_ARG_OUTPUT_out], o.n);
    if (!call->parent && !smal_log_empty(&s->log)) {
        call_rounds(vm, call, n != 0);
        start_verify(vm, &own);
        return;
    }
    shamir_start(vm, &own, n, 1, open_step, sizeof(open_state));
}

#define START(op) [SEQ_OP_##op - SEQ_OP_FIRST_INTERACTIVE]

const seq_protocol protocol_shamir_mal = {
    .name = "shamir-mal",
    .title = "Shamir's secret sharing with verified multiplications",
    .adversary = "malicious with abort",
    .parties_min = 3,
    .parties_max = SHAMIR_PARTIES,
    .threshold_num = 1,
    .threshold_den = 2,
    .field = 1,
    .components = 1,
    .bit_components = 4,
    .verified = 1,
    .check = smal_check_program,
    .group = shamir_set,
    .setup = smal_setup,
    .teardown = smal_teardown,
    .input_stored = shamir_input_stored,
    .scratch = smal_scratch,
    .add_public = shamir_add_public,
    .xor_public = shamir_xor_public,
    .rerandomise = shamir_rerandomise,
    .verify = smal_verify,
    .overdue = smal_overdue,
    .start =
        {
            START(MUL) = smal_start_mul,
            START(MUL_ADD) = smal_start_mul,
            START(MATMUL) = smal_start_mul,
            START(MATMUL_ADD) = smal_start_mul,
            START(CONV2D) = smal_start_mul,
            START(CONV2D_ADD) = smal_start_mul,
            START(CONV2D_DX) = smal_start_mul,
            START(CONV2D_DX_ADD) = smal_start_mul,
            START(CONV2D_DW) = smal_start_mul,
            START(CONV2D_DW_ADD) = smal_start_mul,
            START(TRUNC) = smal_start_trunc,
            START(LTZ) = smal_start_compare,
            START(EQZ) = smal_start_compare,
            START(SELECT) = smal_start_select,
            START(SELECT_KEEP) = smal_start_select,
            START(SELECT_KEPT) = smal_start_mul,
            START(B2A) = smal_start_b2a,
            START(A2B) = smal_start_compare,
            START(AND) = smal_start_and,
            START(OPEN) = smal_start_open,
            START(OPENB) = smal_start_open,
            START(SHUFFLE) = smal_start_shuffle,
            START(RANDBIT) = smal_start_randbit,
            START(INPUT) = shamir_start_input,
            START(OUTPUT) = smal_start_open,
            START(OUTPUTB) = smal_start_open,
        },
};
