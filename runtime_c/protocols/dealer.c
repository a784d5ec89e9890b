/* dealer: the protocol's constants and keys, public values, and how calls are cut into tasks. See
 * dealer.h. */

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
static unsigned dealer_group(unsigned parties, unsigned i) {
    return i == 0 ? (1u << (parties - 1)) - 1 : 0;
}

static seq_status dealer_setup(const seq_env *env, const seq_keys *keys, void **state,
                               seq_error *err) {
    dealer_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of dealer");
    s->n = env->parties - 1;
    for (unsigned j = 0; j <= s->n; j++)
        if (j != env->me) {
            prg_init(&s->pair[j], keys->pair[j]);
            prg_init(&s->program[j], keys->pair[j] + 16);
        }
    prg_init(&s->common, keys->common);
    if (env->me != s->n)
        prg_init(&s->online, keys->group[0] + 16);
    *state = s;
    return SEQ_OK;
}

static void dealer_teardown(void *state) {
    if (state)
        prg_wipe(state, sizeof(dealer_state));
    free(state);
}

/* Public values are added to the masked value: all know it, and the mask stays. */
static void dealer_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                              size_t n) {
    const size_t bytes = n * env->ring->word;
    if (!a) {
        memcpy(d->c[0], b, bytes);
        memset(d->c[1], 0, bytes);
        return;
    }
    env->ring->add(d->c[0], a->c[0], b, n);
    if (d->c[1] != a->c[1])
        memcpy(d->c[1], a->c[1], bytes);
}

static void dealer_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a,
                              const uint64_t *b, size_t words) {
    if (!a) {
        memcpy(d->c[0], b, words * 8);
        memset(d->c[1], 0, words * 8);
        return;
    }
    env->bits->xor_(d->c[0], a->c[0], b, words);
    if (d->c[1] != a->c[1])
        memcpy(d->c[1], a->c[1], words * 8);
}

/* The computing parties' parts of the mask change, their sum does not. */
static void dealer_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                               uint32_t range, uint64_t first, size_t n) {
    const dealer_state *s = env->protocol;
    const unsigned kind = bits ? DEALER_BITS : DEALER_WORD;
    const size_t size = dealer_size(env, kind), halves = size / 8;
    _Alignas(64) uint64_t z[2 * DEALER_PIECE];
    for (unsigned j = 0; env->me < s->n && j < s->n; j++) {
        prg_key key;
        if (j == env->me)
            continue;
        prg_derive(&key, &s->pair[j], instance, range);
        for (size_t at = 0; at < n; at += DEALER_PIECE) {
            const size_t count = n - at < DEALER_PIECE ? n - at : DEALER_PIECE;
            uint8_t *part = (uint8_t *)d->c[1] + at * size;
            prg_words(&key, DEALER_ZERO, (first + at) * halves, z, count * halves);
            (j > env->me ? dealer_add : dealer_sub)(env, kind, part, part, z, count);
        }
        prg_wipe(&key, sizeof key);
    }
    prg_wipe(z, sizeof z);
}

/* The masked value, or (the owner, if it is the dealer) the mask. */
static unsigned dealer_input_stored(unsigned me, unsigned owner) {
    (void)me, (void)owner;
    return 1;
}

/* Bytes, from the scratch that tasks ask for and their messages. */
static uint64_t dealer_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    const double word = (double)env->ring->word, online = env->parties - 1;
    bilinear b;
    if (bilinear_is(c->op)) {
        bilinear_of(c, &b);
        return (uint64_t)(word * ((8 + online) * (double)b.size + (double)b.y_size));
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

/* ---- tasks ---- */

dealer_part dealer_elements(const seq_task *t, size_t n) {
    const size_t end = 64 * t->end < n ? 64 * t->end : n;
    return (dealer_part){64 * t->begin, end - 64 * t->begin, t->end - t->begin};
}

void dealer_start(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                  size_t state_bytes) {
    const size_t blocks = (n + 63) / 64;
    if (n > DEALER_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "dealer works on at most %zu elements in one instruction, not %zu",
                      DEALER_MAX_ELEMENTS, n);
        return;
    }
    if (!call->parent)
        call_rounds(vm, call, n ? rounds : 0);
    for (size_t at = 0; at < blocks; at += DEALER_CHUNK)
        task_create(vm, call, (uint32_t)(at / DEALER_CHUNK), at,
                    blocks - at < DEALER_CHUNK ? blocks : at + DEALER_CHUNK, step, state_bytes);
}

unsigned dealer_rounds(const seq_vm *vm) {
    return dealer_opening_rounds(vm_env(vm), DEALER_ONLINE);
}

void *dealer_at(const seq_env *env, void *reg, size_t first) {
    return (uint8_t *)reg + first * env->ring->word;
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
    .teardown = dealer_teardown,
    .input_stored = dealer_input_stored,
    .scratch = dealer_scratch,
    .add_public = dealer_add_public,
    .xor_public = dealer_xor_public,
    .rerandomise = dealer_rerandomise,
    .start =
        {
            START(MUL) = dealer_start_mul,
            START(MUL_ADD) = dealer_start_mul,
            START(MATMUL) = dealer_start_bilinear,
            START(MATMUL_ADD) = dealer_start_bilinear,
            START(CONV2D) = dealer_start_bilinear,
            START(CONV2D_ADD) = dealer_start_bilinear,
            START(CONV2D_DX) = dealer_start_bilinear,
            START(CONV2D_DX_ADD) = dealer_start_bilinear,
            START(CONV2D_DW) = dealer_start_bilinear,
            START(CONV2D_DW_ADD) = dealer_start_bilinear,
            START(TRUNC) = dealer_start_trunc,
            START(LTZ) = dealer_start_compare,
            START(EQZ) = dealer_start_compare,
            START(A2B) = dealer_start_compare,
            START(SELECT) = dealer_start_select,
            START(SELECT_KEEP) = dealer_start_select,
            START(SELECT_KEPT) = dealer_start_select,
            START(B2A) = dealer_start_b2a,
            START(AND) = dealer_start_and,
            START(OPEN) = dealer_start_open,
            START(OPENB) = dealer_start_open,
            START(RANDBIT) = dealer_start_randbit,
            START(INPUT) = dealer_start_input,
            START(OUTPUT) = dealer_start_open,
            START(OUTPUTB) = dealer_start_open,
            START(SHUFFLE) = dealer_start_shuffle,
        },
};
