/* semi2k: the protocol's constants and keys, and how summands become results. See semi2k.h. */

#include "semi2k.h"
#include "bilinear.h"

#include <stdlib.h>

static seq_status semi2k_check(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                               seq_error *err) {
    (void)stat;
    if (ring_bits != 64)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1, "semi2k works in the ring of 64 bits, not %u",
                        ring_bits);
    if (k + f > ring_bits - 1 || f >= k)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "semi2k needs f < k and k + f <= %u in the ring 2^%u; the program has k = "
                        "%u and f = %u",
                        ring_bits - 1, ring_bits, k, f);
    return SEQ_OK;
}

static seq_status semi2k_setup(const seq_env *env, const seq_keys *keys, void **state,
                               seq_error *err) {
    semi2k_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of semi2k");
    masked_state *m = &s->masked;
    m->n = env->parties;
    for (unsigned j = 0; j < m->n; j++)
        if (j != env->me)
            prg_init(&m->pair[j], keys->pair[j]);
    prg_init(&m->mask[env->me], keys->pair[env->me]);
    prg_init(&m->program[env->me], keys->pair[env->me] + 16);
    prg_init(&m->common, keys->common);
    prg_init(&m->online, keys->common + 16);
    lattice_make_key(&s->key, &m->mask[env->me], SEMI2K_SECRET);
    *state = s;
    for (unsigned j = 0; j < m->n; j++)
        if (j != env->me &&
            !(s->ot[j] = ot_pair_new(SEMI2K_DEPTH, &m->mask[env->me], NULL, env->me, j)))
            return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the transfers of semi2k");
    return SEQ_OK;
}

static void semi2k_teardown(void *state) {
    semi2k_state *s = state;
    for (unsigned j = 0; s && j < MASKED_PARTIES; j++)
        ot_pair_free(s->ot[j]);
    if (s)
        prg_wipe(s, sizeof *s);
    free(s);
}

/* Bytes, from the scratch that tasks ask for and their messages. */
static uint64_t semi2k_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    const double word = (double)env->ring->word, parties = env->parties;
    if (bilinear_is(c->op))
        return semi2k_product_scratch(env, c);
    switch (c->op) {
    case SEQ_OP_MUL:
    case SEQ_OP_MUL_ADD: /* messages, pads of 64 bits and choices */
        return (uint64_t)(2500 * (double)a[SEQ_ARG_MUL_n]);
    case SEQ_OP_TRUNC:
        return (uint64_t)((double)a[SEQ_ARG_TRUNC_n] *
                          (parties > 2 ? 64 * (60 + 24 * parties)
                                       : 150 + 12 * (double)a[SEQ_ARG_TRUNC_m]));
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
    case SEQ_OP_A2B:
        return (uint64_t)(12 * (parties - 1) * (double)a[SEQ_ARG_LTZ_bits] *
                          (double)a[SEQ_ARG_LTZ_n]);
    case SEQ_OP_SELECT:
        return (uint64_t)((100 + 24 * parties) * (double)a[SEQ_ARG_SELECT_n]);
    case SEQ_OP_SELECT_KEEP:
    case SEQ_OP_SELECT_KEPT:
        return (uint64_t)((100 + 24 * parties) * (double)a[SEQ_ARG_SELECT_KEPT_n]);
    case SEQ_OP_B2A:
        return (uint64_t)((60 + 24 * parties) * (double)a[SEQ_ARG_B2A_p] *
                          (double)a[SEQ_ARG_B2A_n]);
    case SEQ_OP_SHUFFLE:
        return semi2k_shuffle_scratch(env, c);
    case SEQ_OP_OPEN:
        return (uint64_t)((1 + parties) * word * (double)a[SEQ_ARG_OPEN_n]);
    default:
        return 1 << 20;
    }
}

/* ---- summands and results ---- */

void semi2k_summands(const seq_task *t, const seq_reg *a, size_t first, void *out, size_t n) {
    const seq_env *env = t->env;
    memcpy(out, masked_at(env, a->c[1], first), n * env->ring->word);
    if (env->me == 0)
        env->ring->add(out, out, masked_at(env, a->c[0], first), n);
}

int semi2k_result_begin(semi2k_result *r, seq_task *t, const seq_reg *d, size_t first, void *value,
                        size_t n) {
    void *mask = masked_at(t->env, d->c[1], first);
    r->d = *d;
    r->first = first;
    masked_keys_of(&r->keys, t);
    masked_mask(&r->keys, MASKED_WORD, SEMI2K_MASK, first, mask, n);
    prg_wipe(&r->keys, sizeof r->keys);
    t->env->ring->sub(value, value, mask, n);
    r->opening = (masked_opening){.kind = MASKED_WORD, .to = MASKED_ONLINE, .n = n, .value = value};
    return masked_open(t, &r->opening);
}

int semi2k_result_step(semi2k_result *r, seq_task *t) {
    const int status = masked_open(t, &r->opening);
    if (status == TASK_DONE)
        memcpy(masked_at(t->env, r->d.c[0], r->first), r->opening.value,
               r->opening.n * t->env->ring->word);
    return status;
}

#define START(op) [SEQ_OP_##op - SEQ_OP_FIRST_INTERACTIVE]

const seq_protocol protocol_semi2k = {
    .name = "semi2k",
    .title = "masked values, products by lattice encryption, bits by oblivious transfer",
    .adversary = "semi-honest",
    .parties_min = 2,
    .parties_max = MASKED_PARTIES,
    .threshold_num = 1,
    .threshold_den = 1,
    .ring64 = 1,
    .frame = SEMI2K_FRAME,
    .prepares = 1,
    .components = 2,
    .bit_components = 2,
    .check = semi2k_check,
    .setup = semi2k_setup,
    .teardown = semi2k_teardown,
    .meeting = semi2k_meeting,
    .meet = semi2k_meet,
    .input_stored = masked_input_stored,
    .scratch = semi2k_scratch,
    .add_public = masked_add_public,
    .xor_public = masked_xor_public,
    .rerandomise = masked_rerandomise,
    .start =
        {
            START(MUL) = semi2k_start_mul,
            START(MUL_ADD) = semi2k_start_mul,
            START(MATMUL) = semi2k_start_bilinear,
            START(MATMUL_ADD) = semi2k_start_bilinear,
            START(CONV2D) = semi2k_start_bilinear,
            START(CONV2D_ADD) = semi2k_start_bilinear,
            START(CONV2D_DX) = semi2k_start_bilinear,
            START(CONV2D_DX_ADD) = semi2k_start_bilinear,
            START(CONV2D_DW) = semi2k_start_bilinear,
            START(CONV2D_DW_ADD) = semi2k_start_bilinear,
            START(TRUNC) = semi2k_start_trunc,
            START(LTZ) = semi2k_start_compare,
            START(EQZ) = semi2k_start_compare,
            START(A2B) = semi2k_start_compare,
            START(SELECT) = semi2k_start_choice,
            START(SELECT_KEEP) = semi2k_start_choice,
            START(SELECT_KEPT) = semi2k_start_choice,
            START(B2A) = semi2k_start_choice,
            START(AND) = semi2k_start_and,
            START(OPEN) = masked_start_open,
            START(OPENB) = masked_start_open,
            START(SHUFFLE) = semi2k_start_shuffle,
            START(RANDBIT) = masked_start_randbit,
            START(INPUT) = masked_start_input,
            START(OUTPUT) = masked_start_open,
            START(OUTPUTB) = masked_start_open,
        },
};
