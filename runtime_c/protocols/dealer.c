/* dealer: the protocol's constants and keys. See dealer.h. */

#include "dealer.h"

#include "bilinear.h"

#include <stdlib.h>

static seq_status dealer_check(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                               seq_error *err) {
    (void)stat; /* nothing here is statistical */
    if (ring_bits != 64 && ring_bits != 128)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "dealer works in rings of 64 and 128 bits, not %u", ring_bits);
    if (k + f > ring_bits - 1 || f >= k)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "dealer needs f < k and k + f <= %u in the ring 2^%u; the program has k = "
                        "%u and f = %u",
                        ring_bits - 1, ring_bits, k, f);
    return SEQ_OK;
}

/* Those who compute. */
unsigned dealer_group(unsigned parties, unsigned i) {
    return i == 0 ? (1u << (parties - 1)) - 1 : 0;
}

void dealer_keys(masked_state *s, const seq_env *env, const seq_keys *keys) {
    s->n = env->parties - 1;
    for (unsigned j = 0; j <= s->n; j++)
        if (j != env->me)
            prg_init(&s->pair[j], keys->pair[j]);
    for (unsigned j = 0; j < s->n; j++)
        if (env->me == s->n || j == env->me) {
            const uint8_t *key = keys->pair[env->me == s->n ? j : s->n];
            prg_init(&s->mask[j], key);
            prg_init(&s->program[j], key + 16);
        }
    prg_init(&s->common, keys->common);
    if (env->me != s->n)
        prg_init(&s->online, keys->group[0] + 16);
}

static seq_status dealer_setup(const seq_env *env, const seq_keys *keys, void **state,
                               seq_error *err) {
    masked_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of dealer");
    dealer_keys(s, env, keys);
    *state = s;
    return SEQ_OK;
}

/* Bytes, from the scratch that tasks ask for and their messages. */
static uint64_t dealer_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    const double word = (double)env->ring->word, online = env->parties - 1;
    bilinear b;
    if (bilinear_is(c->op)) {
        bilinear_of(c, &b);
        return (uint64_t)(word * ((8 + online) * (double)b.size + (double)bilinear_sum_size(&b)));
    }
    switch (c->op) {
    case SEQ_OP_MUL:
    case SEQ_OP_MUL_ADD:
        return (uint64_t)((7 + online) * word * (double)a[SEQ_ARG_MUL_n]);
    case SEQ_OP_TRUNC:
        return (uint64_t)((7 + online) * word * (double)a[SEQ_ARG_TRUNC_n]);
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
    case SEQ_OP_A2B:
        return (uint64_t)(((5 + online) / 4 * (double)a[SEQ_ARG_LTZ_bits]) *
                          (double)a[SEQ_ARG_LTZ_n]);
    case SEQ_OP_SELECT:
    case SEQ_OP_SELECT_KEEP:
    case SEQ_OP_SELECT_KEPT:
        return (uint64_t)((5 + online) * word * (double)a[SEQ_ARG_SELECT_n]);
    case SEQ_OP_B2A:
        return (uint64_t)((4 + online) * word * (double)a[SEQ_ARG_B2A_p] *
                          (double)a[SEQ_ARG_B2A_n]);
    case SEQ_OP_OPEN:
        return (uint64_t)((1 + online) * word * (double)a[SEQ_ARG_OPEN_n]);
    case SEQ_OP_SHUFFLE:
        return (uint64_t)((5 + online) * word * (double)a[SEQ_ARG_SHUFFLE_n] *
                          (double)a[SEQ_ARG_SHUFFLE_len]);
    default:
        return 1 << 20;
    }
}

#define START(op) [SEQ_OP_##op - SEQ_OP_FIRST_INTERACTIVE]

const seq_protocol protocol_dealer = {
    .name = "dealer",
    .title = "masked values and a dealer, the last party, who sees no data",
    .adversary = "semi-honest",
    .parties_min = 3,
    .parties_max = DEALER_PARTIES + 1,
    .threshold_num = 1,
    .threshold_den = 1,
    .corrupt = "all but one, or the dealer",
    .ring64 = 1,
    .ring128 = 1,
    .components = 2,
    .bit_components = 2,
    .deals = 1,
    .check = dealer_check,
    .group = dealer_group,
    .setup = dealer_setup,
    .teardown = masked_teardown,
    .input_stored = masked_input_stored,
    .scratch = dealer_scratch,
    .add_public = masked_add_public,
    .xor_public = masked_xor_public,
    .rerandomise = masked_rerandomise,
    .start =
        {
            START(MUL) = dealer_start_round,
            START(MUL_ADD) = dealer_start_round,
            START(MATMUL) = dealer_start_bilinear,
            START(MATMUL_ADD) = dealer_start_bilinear,
            START(CONV2D) = dealer_start_bilinear,
            START(CONV2D_ADD) = dealer_start_bilinear,
            START(CONV2D_DX) = dealer_start_bilinear,
            START(CONV2D_DX_ADD) = dealer_start_bilinear,
            START(CONV2D_DW) = dealer_start_bilinear,
            START(CONV2D_DW_ADD) = dealer_start_bilinear,
            START(TRUNC) = dealer_start_round,
            START(LTZ) = dealer_start_compare,
            START(EQZ) = dealer_start_compare,
            START(A2B) = dealer_start_compare,
            START(SELECT) = dealer_start_choice,
            START(SELECT_KEEP) = dealer_start_choice,
            START(SELECT_KEPT) = dealer_start_choice,
            START(B2A) = dealer_start_choice,
            START(AND) = dealer_start_and,
            START(OPEN) = masked_start_open,
            START(OPENB) = masked_start_open,
            START(RANDBIT) = masked_start_randbit,
            START(INPUT) = masked_start_input,
            START(OUTPUT) = masked_start_open,
            START(OUTPUTB) = masked_start_open,
            START(SHUFFLE) = dealer_start_shuffle,
        },
};
