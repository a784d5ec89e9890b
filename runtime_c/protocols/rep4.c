/* rep4: the protocol's constants, keys, and how calls are cut into tasks. See rep4.h. */

#include "rep4.h"

#include <stdlib.h>

static seq_status rep4_check(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                             seq_error *err) {
    if (ring_bits != 64 && ring_bits != 128)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1, "rep4 works in rings of 64 and 128 bits, not %u",
                        ring_bits);
    if (k + f > ring_bits - 1 || f >= k)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "rep4 needs f < k and k + f <= %u in the ring 2^%u; the program has k = %u "
                        "and f = %u",
                        ring_bits - 1, ring_bits, k, f);
    if (stat > 64)
        return seq_fail(
            err, SEQ_ERR_PROGRAM, -1,
            "rep4 misses cheating with a probability of up to 2^-64; the program asks for "
            "a statistical parameter of %u, above 64",
            stat);
    return SEQ_OK;
}

/* All but party i. */
static unsigned rep4_group(unsigned parties, unsigned i) {
    return i < parties ? 0xF & ~(1u << i) : 0;
}

static seq_status rep4_setup(const seq_env *env, const seq_keys *keys, void **state,
                             seq_error *err) {
    rep4_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of rep4");
    for (unsigned k = 0; k < 3; k++) {
        const unsigned p = (env->me + 1 + k) % 4;
        prg_init(&s->without[k], keys->group[p]);
        prg_init(&s->pair[k], keys->pair[p]);
        prg_init(&s->program[k], keys->group[p] + 16);
    }
    prg_init(&s->common, keys->common);
    *state = s;
    return SEQ_OK;
}

static void rep4_teardown(void *state) {
    if (state)
        prg_wipe(state, sizeof(rep4_state));
    free(state);
}

/* A public value is share x_0 of its sharing, which party 0 lacks. */
static void rep4_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                            size_t n) {
    const size_t bytes = n * env->ring->word;
    for (unsigned i = 0; i < 3; i++) {
        const int first = (env->me + 1 + i) % 4 == 0;
        if (!a && first)
            memcpy(d->c[i], b, bytes);
        else if (!a)
            memset(d->c[i], 0, bytes);
        else if (first)
            env->ring->add(d->c[i], a->c[i], b, n);
        else if (d->c[i] != a->c[i])
            memcpy(d->c[i], a->c[i], bytes);
    }
}

static void rep4_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a,
                            const uint64_t *b, size_t words) {
    for (unsigned i = 0; i < 3; i++) {
        const int first = (env->me + 1 + i) % 4 == 0;
        if (!a && first)
            memcpy(d->c[i], b, words * 8);
        else if (!a)
            memset(d->c[i], 0, words * 8);
        else if (first)
            env->bits->xor_(d->c[i], a->c[i], b, words);
        else if (d->c[i] != a->c[i])
            memcpy(d->c[i], a->c[i], words * 8);
    }
}

/* Shares 0, 1, 2 of a sharing of zero that all parties know, and minus their sum: it is the files
 * of different checkpoints that do not fit together. */
static void rep4_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                             uint32_t range, uint64_t first, size_t n) {
    const rep4_state *s = env->protocol;
    const size_t word = bits ? 8 : env->ring->word, halves = word / 8;
    _Alignas(64) uint64_t z[2 * REP4_PIECE];
    prg_key key;
    prg_derive(&key, &s->common, instance, range);
    for (size_t at = 0; at < n; at += REP4_PIECE) {
        const size_t count = n - at < REP4_PIECE ? n - at : REP4_PIECE;
        for (unsigned i = 0; i < 3; i++) {
            prg_words(&key, i, (first + at) * halves, z, count * halves);
            for (unsigned c = 0; c < 3; c++) {
                const unsigned share = (env->me + 1 + c) % 4;
                uint8_t *part = (uint8_t *)d->c[c] + at * word;
                if (bits && (share == 3 || share == i))
                    env->bits->xor_((uint64_t *)part, (uint64_t *)part, z, count);
                else if (share == 3)
                    env->ring->sub(part, part, z, count);
                else if (share == i)
                    env->ring->add(part, part, z, count);
            }
        }
    }
    prg_wipe(&key, sizeof key);
    prg_wipe(z, sizeof z);
}

/* What the owner sends to the two next parties: the other shares are zero or come from seeds. */
static unsigned rep4_input_stored(unsigned me, unsigned owner) {
    return (me + 4 - owner) % 4 != 3;
}

void rep4_derive(rep4_keys *keys, const seq_task *t) {
    const rep4_state *s = t->env->protocol;
    for (unsigned k = 0; k < 3; k++) {
        prg_derive(&keys->without[k], &s->without[k], t->call.instance, t->call.sub);
        prg_derive(&keys->pair[k], &s->pair[k], t->call.instance, t->call.sub);
    }
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

void rep4_partition(rep4_part *part, const seq_task *t) {
    const size_t n = t->end, blocks = (n + 63) / 64;
    part->words = 0;
    for (unsigned q = 0; q < 4; q++) {
        const size_t end = blocks * (q + 1) / 4;
        const size_t lo = min_size(blocks * q / 4 + t->begin, end);
        const size_t hi = min_size(lo + REP4_CHUNK, end);
        part->first[q] = lo;
        part->blocks[q] = hi - lo;
        part->count[q] = min_size(64 * hi, n) - min_size(64 * lo, n);
        part->off[q] = part->words;
        part->words += hi - lo;
    }
}

void rep4_start_quarters(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds,
                         task_step step, size_t state_bytes) {
    if (n > REP4_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "rep4 works on at most %zu elements in one instruction, not %zu",
                      REP4_MAX_ELEMENTS, n);
        return;
    }
    if (!call->parent)
        call_rounds(vm, call, n ? rounds : 0);
    const size_t quarter = ((n + 63) / 64 + 3) / 4; /* blocks of the largest quarter */
    for (size_t c = 0; c * REP4_CHUNK < quarter; c++)
        task_create(vm, call, (uint32_t)c, c * REP4_CHUNK, n, step, state_bytes);
}

#define START(OP, name) [SEQ_OP_##OP - SEQ_OP_FIRST_INTERACTIVE] = rep4_start_##name

/* Bytes an element estimated, not measured, for the ring 2^64; words double in 2^128. */
static uint64_t rep4_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    const double wide = env->ring_bits / 64.0;
    bilinear b;
    switch (c->op) {
    case SEQ_OP_MUL:
    case SEQ_OP_MUL_ADD:
        return (uint64_t)(60 * wide * (double)a[SEQ_ARG_MUL_n]);
    case SEQ_OP_TRUNC:
        return (uint64_t)(40 * wide * (double)a[SEQ_ARG_TRUNC_n]);
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
    case SEQ_OP_A2B:
        return (uint64_t)(4.0 * (double)a[SEQ_ARG_LTZ_bits] * (double)a[SEQ_ARG_LTZ_n]);
    case SEQ_OP_AND:
        return (uint64_t)(1.0 * (double)a[SEQ_ARG_AND_p] * (double)a[SEQ_ARG_AND_n]);
    case SEQ_OP_SELECT:
        return (uint64_t)(60 * wide * (double)a[SEQ_ARG_SELECT_n]);
    case SEQ_OP_SELECT_KEEP:
    case SEQ_OP_SELECT_KEPT:
        return (uint64_t)(50 * wide * (double)a[SEQ_ARG_SELECT_KEEP_n]);
    case SEQ_OP_B2A:
        return (uint64_t)(40 * wide * (double)a[SEQ_ARG_B2A_p] * (double)a[SEQ_ARG_B2A_n]);
    case SEQ_OP_OPEN:
        return (uint64_t)(24 * wide * (double)a[SEQ_ARG_OPEN_n]);
    case SEQ_OP_SHUFFLE:
        return (uint64_t)(80 * wide * (double)a[SEQ_ARG_SHUFFLE_n] *
                          (double)a[SEQ_ARG_SHUFFLE_len]);
    case SEQ_OP_OPENB:
    case SEQ_OP_RANDBIT:
    case SEQ_OP_INPUT:
    case SEQ_OP_OUTPUT:
    case SEQ_OP_OUTPUTB:
        return 0; /* small beside their registers */
    default:
        bilinear_of(c, &b);
        return (uint64_t)(8 * wide * (14 * (double)b.size + 3 * (double)(b.x_size + b.y_size)));
    }
}

const seq_protocol protocol_rep4 = {
    .name = "rep4",
    .title = "replicated secret sharing among four",
    .adversary = "malicious with abort",
    .parties_min = 4,
    .parties_max = 4,
    .threshold_num = 1,
    .threshold_den = 2,
    .ring64 = 1,
    .ring128 = 1,
    .components = 3,
    .bit_components = 3,
    .insecure = 0,
    .verified = 1,
    .check = rep4_check,
    .group = rep4_group,
    .setup = rep4_setup,
    .teardown = rep4_teardown,
    .verify = rep4_start_verify,
    .input_stored = rep4_input_stored,
    .scratch = rep4_scratch,
    .add_public = rep4_add_public,
    .xor_public = rep4_xor_public,
    .rerandomise = rep4_rerandomise,
    .start =
        {
            START(MUL, mul),
            START(MUL_ADD, mul),
            START(MATMUL, bilinear),
            START(MATMUL_ADD, bilinear),
            START(CONV2D, bilinear),
            START(CONV2D_ADD, bilinear),
            START(CONV2D_DX, bilinear),
            START(CONV2D_DX_ADD, bilinear),
            START(CONV2D_DW, bilinear),
            START(CONV2D_DW_ADD, bilinear),
            START(TRUNC, trunc),
            START(LTZ, adder),
            START(EQZ, adder),
            START(SELECT, select),
            START(SELECT_KEEP, select_kept),
            START(SELECT_KEPT, select_kept),
            START(B2A, b2a),
            START(A2B, adder),
            START(AND, and),
            START(OPEN, open),
            START(OPENB, open),
            START(RANDBIT, randbit),
            START(INPUT, input),
            START(OUTPUT, open),
            START(OUTPUTB, open),
            START(SHUFFLE, shuffle),
        },
};
