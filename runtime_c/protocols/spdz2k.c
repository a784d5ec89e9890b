/* spdz2k: the protocol's constants and keys. See spdz2k.h. */

#include "spdz2k.h"

#include "bilinear.h"

#include <stdlib.h>

static seq_status spdz2k_check_program(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                                       seq_error *err) {
    if (ring_bits != SPDZ2K_BITS)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1, "spdz2k computes mod 2^64, not 2^%u", ring_bits);
    if (k + f > SPDZ2K_BITS - 1 || f >= k)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "spdz2k needs f < k and k + f <= %u; the program has k = %u and f = %u",
                        SPDZ2K_BITS - 1, k, f);
    if (stat > SPDZ2K_SOUND)
        return seq_fail(
            err, SEQ_ERR_PROGRAM, -1,
            "spdz2k misses cheating with a probability of up to 2^-57.9; the program asks for "
            "a statistical parameter of %u, above %u",
            stat, SPDZ2K_SOUND);
    return SEQ_OK;
}

/* The same after a resume: MACs in registers last. */
static void draw_alpha(spdz2k_state *s, const prg_key *key) {
    uint64_t drawn[2];
    prg_words(key, SPDZ2K_ALPHA, 0, drawn, 2);
    s->alpha += drawn[0];
    s->delta ^= drawn[1];
    prg_wipe(drawn, sizeof drawn);
}

static seq_status spdz2k_setup(const seq_env *env, const seq_keys *keys, void **state,
                               seq_error *err) {
    spdz2k_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of spdz2k");
    dealer_keys(&s->masked, env, keys);
    s->masked.macs = 1;
    s->masked.bit_macs = SPDZ2K_DEGREE;
    s->bits = SPDZ2K_BITS;
#ifdef SEQ_TEST
    if (env->stat < 40)
        s->bits = env->stat;
#endif
    prg_init(&s->own, keys->pair[env->me]);
    for (unsigned j = 0; j < s->masked.n; j++)
        if (env->me == s->masked.n || env->me == j)
            draw_alpha(s, &s->masked.program[j]);
    *state = s;
    return SEQ_OK;
}

static void spdz2k_teardown(void *state) {
    spdz2k_state *s = state;
    if (!s)
        return;
    spdz2k_clear(&s->log);
    spdz2k_clear(&s->checked);
    prg_wipe(s, sizeof *s);
    free(s);
}

static unsigned spdz2k_input_stored(unsigned me, unsigned owner) {
    (void)me, (void)owner;
    return 3;
}

static int spdz2k_overdue(const seq_env *env) {
    return ((const spdz2k_state *)env->protocol)->due > SPDZ2K_LIMIT;
}

/* Bytes, from the scratch that tasks ask for, their messages and the log. */
static uint64_t spdz2k_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    const double word = (double)env->ring->word, online = env->parties - 1;
    bilinear b;
    if (bilinear_is(c->op)) {
        bilinear_of(c, &b);
        return (uint64_t)(word * (24 + online) * (double)b.size);
    }
    switch (c->op) {
    case SEQ_OP_MUL:
    case SEQ_OP_MUL_ADD:
        return (uint64_t)((22 + online) * word * (double)a[SEQ_ARG_MUL_n]);
    case SEQ_OP_TRUNC:
        return (uint64_t)((22 + online) * word * (double)a[SEQ_ARG_TRUNC_n]);
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
    case SEQ_OP_A2B: /* about 9 planes a bit, each with 64 of MACs */
        return (uint64_t)(75 * (double)a[SEQ_ARG_LTZ_bits] * (double)a[SEQ_ARG_LTZ_n]);
    case SEQ_OP_AND:
        return (uint64_t)(30 * (double)a[SEQ_ARG_AND_p] * (double)a[SEQ_ARG_AND_n]);
    case SEQ_OP_SELECT:
        return (uint64_t)((14 + online) * word * (double)a[SEQ_ARG_SELECT_n]);
    case SEQ_OP_SELECT_KEEP:
    case SEQ_OP_SELECT_KEPT:
        return (uint64_t)((14 + online) * word * (double)a[SEQ_ARG_SELECT_KEPT_n]);
    case SEQ_OP_B2A:
        return (uint64_t)((14 + online) * word * (double)a[SEQ_ARG_B2A_p] *
                          (double)a[SEQ_ARG_B2A_n]);
    case SEQ_OP_OPEN:
        return (uint64_t)((6 + online) * word * (double)a[SEQ_ARG_OPEN_n]);
    case SEQ_OP_SHUFFLE:
        return (uint64_t)((12 + 8 * online) * word * (double)a[SEQ_ARG_SHUFFLE_n] *
                          (double)a[SEQ_ARG_SHUFFLE_len]);
    default:
        return 1 << 20;
    }
}

#define START(op) [SEQ_OP_##op - SEQ_OP_FIRST_INTERACTIVE]

/* With a dealer who is trusted with everything, in place of preprocessing. */
const seq_protocol protocol_spdz2k_dealt = {
    .name = "spdz2k-dealt",
    .title = "spdz2k's online phase, with material that a trusted dealer deals",
    .adversary = "none (insecure): the dealer learns everything",
    .parties_min = 3,
    .parties_max = DEALER_PARTIES + 1,
    .threshold_num = 1,
    .threshold_den = 1,
    .corrupt = "all but one, if the dealer is trusted",
    .wide = 1,
    .components = 3,
    .bit_components = 2 + SPDZ2K_DEGREE,
    .frame = (uint64_t)1 << 30,
    .insecure = 1,
    .deals = 1,
    .verified = 1,
    .check = spdz2k_check_program,
    .group = dealer_group,
    .setup = spdz2k_setup,
    .teardown = spdz2k_teardown,
    .input_stored = spdz2k_input_stored,
    .scratch = spdz2k_scratch,
    .add_public = masked_add_public,
    .xor_public = masked_xor_public,
    .rerandomise = masked_rerandomise,
    .verify = spdz2k_start_verify,
    .overdue = spdz2k_overdue,
    .start =
        {
            START(MUL) = spdz2k_start_round,
            START(MUL_ADD) = spdz2k_start_round,
            START(MATMUL) = spdz2k_start_bilinear,
            START(MATMUL_ADD) = spdz2k_start_bilinear,
            START(CONV2D) = spdz2k_start_bilinear,
            START(CONV2D_ADD) = spdz2k_start_bilinear,
            START(CONV2D_DX) = spdz2k_start_bilinear,
            START(CONV2D_DX_ADD) = spdz2k_start_bilinear,
            START(CONV2D_DW) = spdz2k_start_bilinear,
            START(CONV2D_DW_ADD) = spdz2k_start_bilinear,
            START(TRUNC) = spdz2k_start_round,
            START(LTZ) = spdz2k_start_compare,
            START(EQZ) = spdz2k_start_compare,
            START(A2B) = spdz2k_start_compare,
            START(SELECT) = spdz2k_start_choice,
            START(SELECT_KEEP) = spdz2k_start_choice,
            START(SELECT_KEPT) = spdz2k_start_choice,
            START(B2A) = spdz2k_start_choice,
            START(AND) = spdz2k_start_and,
            START(OPEN) = spdz2k_start_open,
            START(OPENB) = spdz2k_start_open,
            START(RANDBIT) = spdz2k_start_randbit,
            START(INPUT) = spdz2k_start_input,
            START(OUTPUT) = spdz2k_start_open,
            START(OUTPUTB) = spdz2k_start_open,
            START(SHUFFLE) = spdz2k_start_shuffle,
        },
};
