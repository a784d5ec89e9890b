/* rep3: the protocol's constants, keys, and how calls are cut into tasks. See rep3.h. */

#include "rep3.h"

#include <stdlib.h>

static seq_status rep3_check(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                             seq_error *err) {
    (void)stat; /* nothing here is statistical */
    if (ring_bits != 64 && ring_bits != 128)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1, "rep3 works in rings of 64 and 128 bits, not %u",
                        ring_bits);
    if (k + f > ring_bits - 1 || f >= k)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "rep3 needs f < k and k + f <= %u in the ring 2^%u; the program has k = %u "
                        "and f = %u",
                        ring_bits - 1, ring_bits, k, f);
    return SEQ_OK;
}

seq_status rep3_setup(const seq_env *env, const seq_keys *keys, void **state, seq_error *err) {
    const uint8_t *next = keys->pair[rep3_next(env->me)], *prev = keys->pair[rep3_prev(env->me)];
    rep3_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of rep3");
    prg_init(&s->next, next);
    prg_init(&s->prev, prev);
    prg_init(&s->program.next, next + 16);
    prg_init(&s->program.prev, prev + 16);
    prg_init(&s->common, keys->common);
    *state = s;
    return SEQ_OK;
}

static void rep3_teardown(void *state) {
    if (state)
        prg_wipe(state, sizeof(rep3_state));
    free(state);
}

/* The owner stores what it sends to the next party, which stores it too: the rest is zero or comes
 * from a seed. */
unsigned rep3_input_stored(unsigned me, unsigned owner) {
    return me != rep3_prev(owner);
}

/* Elements of the result of a product. */
static double outputs(const seq_call *c) {
    const int64_t *a = c->arg;
    switch (c->op) {
    case SEQ_OP_MATMUL:
        return (double)a[SEQ_ARG_MATMUL_M] * (double)a[SEQ_ARG_MATMUL_N];
    case SEQ_OP_CONV2D:
        return (double)a[SEQ_ARG_CONV2D_B] * (double)a[SEQ_ARG_CONV2D_O] *
               (double)a[SEQ_ARG_CONV2D_OH] * (double)a[SEQ_ARG_CONV2D_OW];
    case SEQ_OP_CONV2D_DX:
        return (double)a[SEQ_ARG_CONV2D_B] * (double)a[SEQ_ARG_CONV2D_C] *
               (double)a[SEQ_ARG_CONV2D_H] * (double)a[SEQ_ARG_CONV2D_W];
    default:
        return (double)a[SEQ_ARG_CONV2D_O] * (double)a[SEQ_ARG_CONV2D_C] *
               (double)a[SEQ_ARG_CONV2D_KH] * (double)a[SEQ_ARG_CONV2D_KW];
    }
}

/* Bytes an element as measured with 2^20 elements in the ring 2^64; words double in 2^128. */
static uint64_t rep3_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    const double wide = env->ring_bits / 64.0;
    switch (c->op) {
    case SEQ_OP_MUL:
        return (uint64_t)((a[SEQ_ARG_MUL_m] ? 15 : 11.5) * wide * (double)a[SEQ_ARG_MUL_n]);
    case SEQ_OP_MATMUL:
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DW:
        return (uint64_t)(23 * wide * outputs(c));
    case SEQ_OP_TRUNC:
        return (uint64_t)((a[SEQ_ARG_TRUNC_mode] ? 21 : 11) * wide * (double)a[SEQ_ARG_TRUNC_n]);
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
        return (uint64_t)((6 + 0.42 * (double)a[SEQ_ARG_LTZ_bits]) * (double)a[SEQ_ARG_LTZ_n]);
    case SEQ_OP_A2B:
        return (uint64_t)(1.2 * (double)a[SEQ_ARG_A2B_bits] * (double)a[SEQ_ARG_A2B_n]);
    case SEQ_OP_AND:
        return (uint64_t)(0.28 * (double)a[SEQ_ARG_AND_p] * (double)a[SEQ_ARG_AND_n]);
    case SEQ_OP_SELECT:
        return (uint64_t)(14 * wide * (double)a[SEQ_ARG_SELECT_n]);
    case SEQ_OP_SELECT_KEEP:
    case SEQ_OP_SELECT_KEPT:
        return (uint64_t)(14 * wide * (double)a[SEQ_ARG_SELECT_KEEP_n]);
    case SEQ_OP_B2A:
        return (uint64_t)(11 * wide * (double)a[SEQ_ARG_B2A_p] * (double)a[SEQ_ARG_B2A_n]);
    case SEQ_OP_OPEN:
        return (uint64_t)(11 * wide * (double)a[SEQ_ARG_OPEN_n]);
    case SEQ_OP_SHUFFLE:
        return (uint64_t)(9 * wide * (double)a[SEQ_ARG_SHUFFLE_n] * (double)a[SEQ_ARG_SHUFFLE_len]);
    default: /* inputs, outputs and single bits: small beside their registers */
        return 0;
    }
}

/* A public value is component x_0 of its sharing: party 0's first, party 2's second. */
void rep3_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                     size_t n) {
    const size_t bytes = n * env->ring->word;
    for (unsigned i = 0; i < 2; i++) {
        const int mine = (env->me + i) % 3 == 0;
        if (!a && mine)
            memcpy(d->c[i], b, bytes);
        else if (!a)
            memset(d->c[i], 0, bytes);
        else if (mine)
            env->ring->add(d->c[i], a->c[i], b, n);
        else if (d->c[i] != a->c[i])
            memcpy(d->c[i], a->c[i], bytes);
    }
}

void rep3_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                     size_t words) {
    for (unsigned i = 0; i < 2; i++) {
        const int mine = (env->me + i) % 3 == 0;
        if (!a && mine)
            memcpy(d->c[i], b, words * 8);
        else if (!a)
            memset(d->c[i], 0, words * 8);
        else if (mine)
            env->bits->xor_(d->c[i], a->c[i], b, words);
        else if (d->c[i] != a->c[i])
            memcpy(d->c[i], a->c[i], words * 8);
    }
}

void rep3_derive(rep3_keys *keys, const seq_task *t) {
    const rep3_state *s = t->env->protocol;
    prg_derive(&keys->next, &s->next, t->call.instance, t->call.sub);
    prg_derive(&keys->prev, &s->prev, t->call.instance, t->call.sub);
}

void rep3_derive_program(rep3_keys *keys, const seq_task *t) {
    const rep3_state *s = t->env->protocol;
    prg_derive(&keys->next, &s->program.next, t->call.instance, t->call.sub);
    prg_derive(&keys->prev, &s->program.prev, t->call.instance, t->call.sub);
}

void rep3_derive_order(rep3_keys *keys, const seq_task *t, uint64_t name) {
    const rep3_state *s = t->env->protocol;
    prg_derive(&keys->next, &s->program.next, name, REP3_ORDERS);
    prg_derive(&keys->prev, &s->program.prev, name, REP3_ORDERS);
}

/* z_0 + z_1 + z_2 = 0, of which every party knows all: that a party holds two of three leaves no
 * other choice. It is the files of different checkpoints that do not fit together. */
void rep3_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                      uint32_t range, uint64_t first, size_t n) {
    const rep3_state *s = env->protocol;
    const size_t word = bits ? 8 : env->ring->word, halves = word / 8;
    _Alignas(64) uint64_t z[2][2 * REP3_PIECE];
    prg_key key;
    prg_derive(&key, &s->common, instance, range);
    for (size_t at = 0; at < n; at += REP3_PIECE) {
        const size_t count = n - at < REP3_PIECE ? n - at : REP3_PIECE;
        for (unsigned i = 0; i < 2; i++)
            prg_words(&key, i, (first + at) * halves, z[i], count * halves);
        for (unsigned c = 0; c < 2; c++) {
            const unsigned which = (env->me + c) % 3;
            uint8_t *part = (uint8_t *)d->c[c] + at * word;
            for (unsigned i = 0; i < 2; i++) {
                if (bits && (which == 2 || which == i))
                    env->bits->xor_((uint64_t *)part, (uint64_t *)part, z[i], count);
                else if (which == 2)
                    env->ring->sub(part, part, z[i], count);
                else if (which == i)
                    env->ring->add(part, part, z[i], count);
            }
        }
    }
    prg_wipe(&key, sizeof key);
    prg_wipe(z, sizeof z);
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

void rep3_partition(rep3_part *part, const seq_task *t) {
    const size_t n = t->end, blocks = (n + 63) / 64;
    part->words = 0;
    for (unsigned r = 0; r < 3; r++) {
        const size_t end = blocks * (r + 1) / 3;
        const size_t lo = min_size(blocks * r / 3 + t->begin, end);
        const size_t hi = min_size(lo + REP3_CHUNK, end);
        part->first[r] = lo;
        part->blocks[r] = hi - lo;
        part->count[r] = min_size(64 * hi, n) - min_size(64 * lo, n);
        part->off[r] = part->words;
        part->words += hi - lo;
    }
}

/* Whether the call may run. The instruction's own call declares the rounds of all its sub-machines.
 */
static int admit(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds) {
    if (n > REP3_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "rep3 works on at most %zu elements in one instruction, not %zu",
                      REP3_MAX_ELEMENTS, n);
        return 0;
    }
    if (!call->parent)
        call_rounds(vm, call, n ? rounds : 0);
    return 1;
}

void rep3_start_thirds(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                       size_t state_bytes) {
    if (!admit(vm, call, n, rounds))
        return;
    const size_t third = ((n + 63) / 64 + 2) / 3; /* blocks of the largest third */
    for (size_t c = 0; c * REP3_CHUNK < third; c++)
        task_create(vm, call, (uint32_t)c, c * REP3_CHUNK, n, step, state_bytes);
}

void rep3_start_ranges(seq_vm *vm, const seq_call *call, size_t n, size_t end, size_t chunk,
                       unsigned rounds, task_step step, size_t state_bytes) {
    if (!admit(vm, call, n, rounds))
        return;
    for (size_t c = 0; c * chunk < end; c++)
        task_create(vm, call, (uint32_t)c, c * chunk, min_size((c + 1) * chunk, end), step,
                    state_bytes);
}

void rep3_start_flat(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                     size_t state_bytes) {
    rep3_start_ranges(vm, call, n, (n + 63) / 64, 3 * (size_t)REP3_CHUNK, rounds, step,
                      state_bytes);
}

uint8_t *rep3_send(seq_task *t, unsigned peer, size_t bytes) {
    return bytes ? task_send(t, peer, bytes) : NULL;
}

const seq_protocol protocol_rep3 = {
    .name = "rep3",
    .title = "replicated secret sharing",
    .adversary = "semi-honest",
    .parties_min = 3,
    .parties_max = 3,
    .threshold_num = 1,
    .threshold_den = 2,
    .ring64 = 1,
    .ring128 = 1,
    .components = 2,
    .bit_components = 2,
    .insecure = 0,
    .check = rep3_check,
    .setup = rep3_setup,
    .teardown = rep3_teardown,
    .input_stored = rep3_input_stored,
    .scratch = rep3_scratch,
    .add_public = rep3_add_public,
    .xor_public = rep3_xor_public,
    .rerandomise = rep3_rerandomise,
    .start =
        {
            [SEQ_OP_MUL - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_mul,
            [SEQ_OP_MUL_ADD - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_mul,
            [SEQ_OP_MATMUL - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_bilinear,
            [SEQ_OP_MATMUL_ADD - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_bilinear,
            [SEQ_OP_CONV2D - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_bilinear,
            [SEQ_OP_CONV2D_ADD - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_bilinear,
            [SEQ_OP_CONV2D_DX - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_bilinear,
            [SEQ_OP_CONV2D_DX_ADD - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_bilinear,
            [SEQ_OP_CONV2D_DW - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_bilinear,
            [SEQ_OP_CONV2D_DW_ADD - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_bilinear,
            [SEQ_OP_TRUNC - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_trunc,
            [SEQ_OP_LTZ - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_ltz,
            [SEQ_OP_EQZ - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_eqz,
            [SEQ_OP_SELECT - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_select,
            [SEQ_OP_SELECT_KEEP - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_select_kept,
            [SEQ_OP_SELECT_KEPT - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_select_kept,
            [SEQ_OP_B2A - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_b2a,
            [SEQ_OP_A2B - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_a2b,
            [SEQ_OP_AND - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_and,
            [SEQ_OP_OPEN - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_open,
            [SEQ_OP_OPENB - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_openb,
            [SEQ_OP_RANDBIT - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_randbit,
            [SEQ_OP_INPUT - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_input,
            [SEQ_OP_OUTPUT - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_output,
            [SEQ_OP_OUTPUTB - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_outputb,
            [SEQ_OP_SHUFFLE - SEQ_OP_FIRST_INTERACTIVE] = rep3_start_shuffle,
        },
};
