/* shamir: the protocol's constants, tables and keys, public values, and how calls are cut into
 * tasks. See shamir.h. */

#include "shamir.h"
#include "bilinear.h"

#include <stdlib.h>

/* ---- tables of public coefficients: both fields, elements as words ---- */

static unsigned bits_mul(unsigned a, unsigned b) {
    unsigned c = 0;
    for (unsigned k = 0; k < 4; k++)
        c ^= (b >> k & 1) * (a << k);
    for (unsigned k = 6; k >= 4; k--)
        c ^= (c >> k & 1) * (0x13u << (k - 4));
    return c;
}

field shamir_mul(unsigned type, field a, field b) {
    if (type == SHAMIR_NUMBER)
        return field_mul(a, b);
    if (type == SHAMIR_BITS)
        return bits_mul((unsigned)a, (unsigned)b);
    return gf_mul(64, (uint64_t)a, (uint64_t)b);
}

/* The number i < 16 in the field, or the element of GF(16) whose bits are i. */
field shamir_point(unsigned type, unsigned i) {
    field sum = 0, power = 1;
    if (type != SHAMIR_EXT)
        return i;
    for (; i; i >>= 1, power = shamir_mul(type, power, SHAMIR_ROOT))
        sum ^= i & 1 ? power : 0;
    return sum;
}

static field sub(unsigned type, field a, field b) {
    return type == SHAMIR_NUMBER ? field_sub(a, b) : a ^ b;
}

/* a^(p - 2), a^14 or a^(2^64 - 2). */
static field inverse(unsigned type, field a) {
    field result = 1, exponent = type == SHAMIR_NUMBER ? FIELD_P - 2
                                 : type == SHAMIR_BITS ? 14
                                                       : UINT64_MAX - 1;
    for (; exponent; exponent >>= 1, a = shamir_mul(type, a, a))
        if (exponent & 1)
            result = shamir_mul(type, result, a);
    return result;
}

/* f(at) = sum of c[i] f(points[i]) for polynomials of degree m - 1. */
void shamir_lagrange(unsigned type, field *c, const field *points, unsigned m, field at) {
    for (unsigned i = 0; i < m; i++) {
        field above = 1, below = 1;
        for (unsigned j = 0; j < m; j++)
            if (j != i) {
                above = shamir_mul(type, above, sub(type, at, points[j]));
                below = shamir_mul(type, below, sub(type, points[i], points[j]));
            }
        c[i] = shamir_mul(type, above, inverse(type, below));
    }
}

unsigned shamir_set(unsigned parties, unsigned i) {
    const unsigned t = (parties - 1) / 2, core = 2 * t + 1;
    for (unsigned set = 0; set < 1u << core; set++)
        if ((unsigned)__builtin_popcount(set) == t + 1 && i-- == 0)
            return set;
    return 0;
}

static void fill_sets(shamir_state *s) {
    for (unsigned set; (set = shamir_set(s->n, s->sets)) != 0;)
        s->set[s->sets++] = (uint16_t)set;
}

void shamir_fill_table(const shamir_state *s, unsigned type, shamir_table *table) {
    const unsigned t = s->t;
    for (unsigned d = 0; d < s->n; d++) {
        field deal[SHAMIR_T + 1] = {0}, random[SHAMIR_T + 1], open[SHAMIR_T + 1];
        for (unsigned j = 0; j <= t; j++) {
            random[j] = shamir_point(type, shamir_after(s, d, j + 1) + 1);
            open[j] = shamir_point(type, shamir_source(s, d, j) + 1);
            deal[j] = j ? shamir_point(type, shamir_after(s, d, j) + 1) : 0;
        }
        for (unsigned q = 0; q < s->core; q++)
            shamir_lagrange(type, table->deal[d][q], deal, t + 1, shamir_point(type, q + 1));
        for (unsigned q = 0; d < s->core && q <= s->core; q++)
            shamir_lagrange(type, table->random[d][q], random, t + 1,
                            shamir_point(type, q < s->core ? q + 1 : 0));
        shamir_lagrange(type, table->open[d], open, t + 1, 0);
    }
    field core[SHAMIR_CORE], others[SHAMIR_CORE];
    for (unsigned d = 0; d < s->core; d++) {
        unsigned m = 0;
        core[d] = shamir_point(type, d + 1);
        others[m++] = 0;
        for (unsigned q = 0; q < s->core; q++)
            if (q != d)
                others[m++] = shamir_point(type, q + 1);
        shamir_lagrange(type, table->deal2[d], others, m, core[d]);
        table->power[d][0] = 1;
        for (unsigned k = 1; k <= s->core; k++)
            table->power[d][k] = shamir_mul(type, table->power[d][k - 1], core[d]);
    }
    shamir_lagrange(type, table->king, core, s->core, 0);
    shamir_lagrange(type, table->first, core, t + 1, 0);
    for (unsigned i = 0; i < t; i++) {
        shamir_lagrange(type, table->check[i], core, t + 1, core[t + 1 + i]);
        table->check[i][t + 1] = sub(type, 0, 1);
    }
}

/* ---- the protocol's functions ---- */

static seq_status shamir_check(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                               seq_error *err) {
    if (k + f >= ring_bits)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "shamir hides values of k + f < %u bits; the program has k = %u and f = %u",
                        ring_bits, k, f);
    if (ring_bits - 1 + stat > SHAMIR_MASK_BITS)
        return seq_fail(err, SEQ_ERR_PROGRAM, -1,
                        "shamir hides %u bits by masks of %u, and each opening needs %u bits more "
                        "(k = %u, f = %u)",
                        ring_bits - 1, SHAMIR_MASK_BITS, stat, k, f);
    return SEQ_OK;
}

/* A key that nobody else knows: of t + 1 others, one is honest. */
static void own_key(const shamir_state *s, unsigned me, const seq_keys *keys, size_t half,
                    prg_key *out) {
    uint64_t sum[2] = {0};
    for (unsigned j = 1; j <= s->t + 1; j++) {
        prg_key pair, child;
        uint64_t words[2];
        prg_init(&pair, keys->pair[(me + j) % s->n] + half);
        prg_derive(&child, &pair, me, UINT32_MAX);
        prg_words(&child, 0, 0, words, 2);
        sum[0] ^= words[0];
        sum[1] ^= words[1];
        prg_wipe(&pair, sizeof pair);
        prg_wipe(&child, sizeof child);
    }
    prg_init(out, (const uint8_t *)sum);
    prg_wipe(sum, sizeof sum);
}

seq_status shamir_setup(const seq_env *env, const seq_keys *keys, void **state, seq_error *err) {
    shamir_state *s = calloc(1, sizeof *s);
    if (!s)
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the keys of shamir");
    s->n = env->parties;
    s->t = (s->n - 1) / 2;
    s->core = 2 * s->t + 1;
    for (unsigned type = 0; type <= SHAMIR_BITS; type++)
        shamir_fill_table(s, type, &s->table[type]);
    fill_sets(s);
    for (unsigned q = 0; q < s->n; q++)
        if (q != env->me)
            prg_init(&s->pair[q], keys->pair[q]);
    own_key(s, env->me, keys, 0, &s->own);
    own_key(s, env->me, keys, 16, &s->program);
    prg_init(&s->common, keys->common);
    *state = s;
    return SEQ_OK;
}

static void shamir_teardown(void *state) {
    if (state)
        prg_wipe(state, sizeof(shamir_state));
    free(state);
}

void shamir_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                       size_t n) {
    if (a)
        env->ring->add(d->c[0], a->c[0], b, n);
    else
        memcpy(d->c[0], b, n * env->ring->word);
}

void shamir_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                       size_t words) {
    for (unsigned k = 0; k < 4; k++) {
        if (k == 0 && a)
            env->bits->xor_(d->c[0], a->c[0], b, words);
        else if (k == 0)
            memcpy(d->c[0], b, words * 8);
        else if (!a)
            memset(d->c[k], 0, words * 8);
        else if (d->c[k] != a->c[k])
            memcpy(d->c[k], a->c[k], words * 8);
    }
}

/* Add polynomials without constant term that all know: files of different checkpoints do not fit
 * together. */
void shamir_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                        uint32_t range, uint64_t first, size_t n) {
    const shamir_state *s = env->protocol;
    const unsigned type = bits ? SHAMIR_BITS : SHAMIR_NUMBER;
    const size_t words = shamir_size(type) / 8;
    shamir_block piece[2][SHAMIR_PIECE];
    field coefficient[2] = {1, 1};
    const void *in[2] = {piece[0], piece[1]};
    prg_key key;
    prg_derive(&key, &s->common, instance, range);
    for (size_t at = 0; at < n; at += SHAMIR_PIECE) {
        const size_t count = n - at < SHAMIR_PIECE ? n - at : SHAMIR_PIECE;
        if (!bits)
            memcpy(piece[0], (field *)d->c[0] + at, count * sizeof(field));
        for (size_t i = 0; bits && i < count; i++)
            for (unsigned k = 0; k < 4; k++)
                piece[0][i].w[k] = ((uint64_t *)d->c[k])[at + i];
        for (unsigned k = 1; k <= s->t; k++) {
            coefficient[1] = 1;
            for (unsigned j = 0; j < k; j++)
                coefficient[1] = shamir_mul(type, coefficient[1], env->me + 1);
            prg_words(&key, k, (first + at) * words, piece[1][0].w, count * words);
            shamir_combine(type, piece[0], coefficient, in, 2, count);
        }
        if (!bits)
            memcpy((field *)d->c[0] + at, piece[0], count * sizeof(field));
        for (size_t i = 0; bits && i < count; i++)
            for (unsigned k = 0; k < 4; k++)
                ((uint64_t *)d->c[k])[at + i] = piece[0][i].w[k];
    }
    prg_wipe(piece, sizeof piece);
}

unsigned shamir_input_stored(unsigned me, unsigned owner) {
    (void)me, (void)owner;
    return 1;
}

/* Bytes an element, from the scratch that tasks ask for. */
static uint64_t shamir_scratch(const seq_env *env, const seq_call *c) {
    const int64_t *a = c->arg;
    const double parties = env->parties;
    if (bilinear_is(c->op))
        return (uint64_t)((64 + 32 * parties) * (double)shamir_map_of(c).n);
    switch (c->op) {
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
    case SEQ_OP_A2B:
        return (uint64_t)((64 + 32 * parties + 8 * (double)a[SEQ_ARG_LTZ_bits]) *
                          (double)a[SEQ_ARG_LTZ_n]);
    case SEQ_OP_B2A:
        return (uint64_t)((64 + 32 * parties) * (double)a[SEQ_ARG_B2A_p] *
                          (double)a[SEQ_ARG_B2A_n]);
    case SEQ_OP_MUL:
    case SEQ_OP_MUL_ADD:
        return (uint64_t)((64 + 32 * parties) * (double)a[SEQ_ARG_MUL_n]);
    case SEQ_OP_TRUNC:
        return (uint64_t)((64 + 32 * parties) * (double)a[SEQ_ARG_TRUNC_n]);
    case SEQ_OP_SELECT:
        return (uint64_t)((64 + 32 * parties) * (double)a[SEQ_ARG_SELECT_n]);
    default:
        return 1 << 20;
    }
}

/* ---- tasks ---- */

void shamir_partition(shamir_part *part, const seq_task *t, size_t n) {
    const unsigned core = shamir_of(t)->core;
    const size_t end = 64 * t->end < n ? 64 * t->end : n;
    part->first = 64 * t->begin;
    part->count = end - part->first;
    part->words = t->end - t->begin;
    for (unsigned q = 0; q < core; q++) {
        const size_t lo = part->words * q / core, hi = part->words * (q + 1) / core;
        const size_t to = 64 * hi < part->count ? 64 * hi : part->count;
        part->word[q] = lo;
        part->blocks[q] = hi - lo;
        part->at[q] = 64 * lo < part->count ? 64 * lo : part->count;
        part->elements[q] = to - part->at[q];
    }
}

void shamir_start(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                  size_t state_bytes) {
    const size_t blocks = (n + 63) / 64;
    if (n > SHAMIR_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_AUTHOR, -1,
                      "%zu elements at once; shamir computes on at most %zu", n,
                      SHAMIR_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, n ? rounds : 0);
    for (size_t at = 0; at < blocks; at += SHAMIR_CHUNK)
        task_create(vm, call, (uint32_t)(at / SHAMIR_CHUNK), at,
                    blocks - at < SHAMIR_CHUNK ? blocks : at + SHAMIR_CHUNK, step, state_bytes);
}

#define START(op) [SEQ_OP_##op - SEQ_OP_FIRST_INTERACTIVE]

const seq_protocol protocol_shamir = {
    .name = "shamir",
    .title = "Shamir's secret sharing, any number of parties",
    .adversary = "semi-honest",
    .parties_min = 3,
    .parties_max = SHAMIR_PARTIES,
    .threshold_num = 1,
    .threshold_den = 2,
    .field = 1,
    .components = 1,
    .bit_components = 4,
    .check = shamir_check,
    .setup = shamir_setup,
    .teardown = shamir_teardown,
    .input_stored = shamir_input_stored,
    .scratch = shamir_scratch,
    .add_public = shamir_add_public,
    .xor_public = shamir_xor_public,
    .rerandomise = shamir_rerandomise,
    .start =
        {
            START(MUL) = shamir_start_mul,
            START(MUL_ADD) = shamir_start_mul,
            START(MATMUL) = shamir_start_mul,
            START(MATMUL_ADD) = shamir_start_mul,
            START(CONV2D) = shamir_start_mul,
            START(CONV2D_ADD) = shamir_start_mul,
            START(CONV2D_DX) = shamir_start_mul,
            START(CONV2D_DX_ADD) = shamir_start_mul,
            START(CONV2D_DW) = shamir_start_mul,
            START(CONV2D_DW_ADD) = shamir_start_mul,
            START(TRUNC) = shamir_start_trunc,
            START(LTZ) = shamir_start_ltz,
            START(EQZ) = shamir_start_eqz,
            START(SELECT) = shamir_start_select,
            START(SELECT_KEEP) = shamir_start_select,
            START(SELECT_KEPT) = shamir_start_mul,
            START(B2A) = shamir_start_b2a,
            START(A2B) = shamir_start_a2b,
            START(AND) = shamir_start_and,
            START(OPEN) = shamir_start_open,
            START(OPENB) = shamir_start_openb,
            START(SHUFFLE) = shamir_start_shuffle,
            START(RANDBIT) = shamir_start_randbit,
            START(INPUT) = shamir_start_input,
            START(OUTPUT) = shamir_start_output,
            START(OUTPUTB) = shamir_start_outputb,
        },
};

_Static_assert(SEQ_ARG_LTZ_bits == (int)SEQ_ARG_EQZ_bits &&
                   SEQ_ARG_LTZ_bits == (int)SEQ_ARG_A2B_bits &&
                   SEQ_ARG_LTZ_n == (int)SEQ_ARG_EQZ_n && SEQ_ARG_LTZ_n == (int)SEQ_ARG_A2B_n &&
                   SEQ_ARG_LTZ_a == (int)SEQ_ARG_A2B_a && SEQ_ARG_LTZ_d == (int)SEQ_ARG_A2B_d,
               "handled alike");
