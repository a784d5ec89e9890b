/* rep3 in a ring of SMALL_BITS bits under scripted randomness: the same step functions and the same
 * word-wise template, with 64 elements a call, each of which has inputs and randomness of its own.
 *
 * For every operation and every role, the parts a party knows itself (its input components, and the
 * randomness it shares with the others) are sampled; all values of what it does not know (the third
 * component of the inputs, and the randomness that the other two share) are enumerated. Checked are
 * the result of every execution, that both holders of a component agree, and that the multiset of
 * the messages a party receives, over the others' randomness, is the same for every value of the
 * inputs it does not know. Multisets are compared by the sum of a 64-bit hash of their members.
 * Usage: rep3_small SAMPLES. Prints one line an operation. */

#include "../protocols/rep3.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

extern const seq_protocol protocol_rep3;

#ifndef SMALL_BITS
#define SMALL_BITS 4
#endif
#define RING ((1u << SMALL_BITS) - 1)
enum { LANES = 64, MAX_STREAMS = 64, MAX_HONEST = 24 };

/* ---- the ring ---- */

static int small_words; /* whether the stream being asked for is of ring elements, not of bits */

static void small_masks(const prg_key *key, uint32_t purpose, size_t first, uint8_t *out,
                        size_t n) {
    small_words = 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t w;
        prg_words(key, purpose, first + i, &w, 1);
        out[i] = (uint8_t)(w & RING);
    }
    small_words = 0;
}

#define WORD uint8_t
#define BITS SMALL_BITS
#define FN(name) small_##name
#define MASKS(key, purpose, first, out, n) small_masks(key, purpose, first, out, n)
#include "../protocols/rep3_word.h"

const rep3_word *rep3_words(const seq_env *env) {
    (void)env;
    return &small_table;
}

static void small_xor(uint64_t *d, const uint64_t *a, const uint64_t *b, size_t words) {
    for (size_t i = 0; i < words; i++)
        d[i] = a[i] ^ b[i];
}

static void small_bits_slice(uint64_t *planes, size_t stride, const void *x, unsigned width,
                             size_t n, unsigned lo, unsigned p) {
    const uint8_t *words = x;
    (void)width;
    for (unsigned i = 0; i < p; i++) {
        memset(planes + i * stride, 0, (n + 63) / 64 * 8);
        for (size_t j = 0; j < n; j++)
            planes[i * stride + j / 64] |= (uint64_t)(words[j] >> (lo + i) & 1) << j % 64;
    }
}

static const bits_ops small_ops = {.name = "small", .xor_ = small_xor, .slice = small_bits_slice};
static const ring_ops small_ring = {.name = "small", .bits = SMALL_BITS, .word = 1};

/* ---- executions ---- */

/* Pairs of roles: 0: P1 and P2, 1: P2 and P3, 2: P3 and P1. With 64 elements only the last third is
 * not empty, where P1 is party 2; so pair i is that of parties i + 2 and i + 3 mod 3. */
typedef struct {
    unsigned pair, width; /* bits of a value: SMALL_BITS or 1 */
    uint32_t purpose;
    unsigned shift; /* where its bits are in the index of the honest randomness */
} stream;

typedef struct {
    const char *name;
    uint16_t op;
    int64_t arg[SEQ_MAX_OPERANDS];
    unsigned inputs, at[3], bit[3]; /* operands, and whether they are bits */
    uint16_t before; /* an instruction run before on the first two inputs; op gets the others */
    unsigned kept;   /* the operand through which the two are connected */
    unsigned twice;  /* an operand that is the first input again */
    unsigned result, planes; /* its operand; planes of bits, or 0: words */
    unsigned leading_planes; /* nearest rounding: monomials before P1's answer to P2 */
    unsigned bit_steps;      /* and the steps after it that send bits only */
    int all_bits;            /* all messages are bits */
    /* Whether `got` is right for inputs x, y and the mask r (of truncation). */
    int (*check)(unsigned got, unsigned x, unsigned y, unsigned r);
} operation;

static engine E;
static const operation *OP;
static int before; /* OP->before is running: its streams are apart from those of OP->op */
static stream streams[MAX_STREAMS];
static unsigned stream_count;
static int recording;
static prg_key keys[3]; /* of the call about to be made, by pair of roles */
static unsigned corrupt, honest_bits;
static uint64_t base;     /* index of the configuration of element 0 */
static uint64_t own_seed; /* of what the corrupt party knows */
static uint64_t total;    /* configurations */

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static uint64_t config_of(unsigned lane) {
    return (base + lane) % total;
}

static stream *find_stream(unsigned pair, uint32_t purpose) {
    purpose += before ? 1u << 24 : 0;
    for (unsigned i = 0; i < stream_count; i++)
        if (streams[i].pair == pair && streams[i].purpose == purpose)
            return streams + i;
    if (!recording || stream_count == MAX_STREAMS) {
        fprintf(stderr, "%s: an unexpected stream\n", OP->name);
        exit(2);
    }
    streams[stream_count] = (stream){pair, small_words ? SMALL_BITS : 1, purpose, 0};
    return streams + stream_count++;
}

/* The pair that the corrupt role is not in: (role + 1, role + 2). */
static unsigned honest_pair(void) {
    return (corrupt + 1) % 3;
}

static unsigned stream_value(const stream *s, unsigned lane) {
    const unsigned mask = (1u << s->width) - 1;
    if (s->pair == honest_pair())
        return (unsigned)(config_of(lane) >> s->shift) & mask;
    return (unsigned)mix(own_seed ^ mix(s->pair * 0x100000001u + s->purpose)) & mask;
}

static uint64_t script(void *arg, const prg_key *key, uint32_t purpose, uint64_t word) {
    (void)arg;
    unsigned pair = 0;
    while (pair < 3 && memcmp(key, keys + pair, sizeof *key) != 0)
        pair++;
    if (pair == 3) {
        fprintf(stderr, "%s: an unknown key\n", OP->name);
        exit(2);
    }
    const stream *s = find_stream(pair, purpose);
    if (s->width > 1)
        return stream_value(s, (unsigned)word);
    uint64_t bits = 0;
    for (unsigned lane = 0; lane < LANES; lane++)
        bits |= (uint64_t)stream_value(s, lane) << lane;
    return bits;
}

static unsigned input_width(unsigned i) {
    return OP->bit[i] ? 1 : SMALL_BITS;
}

/* Component c (0: x1, 1: x2, 2: x3) of input i for an element. */
static unsigned component(unsigned i, unsigned c, unsigned lane) {
    const unsigned mask = (1u << input_width(i)) - 1;
    if (c != (corrupt + 2) % 3)
        return (unsigned)mix(own_seed + 977 * i + 31 * c + 5) & mask;
    unsigned shift = honest_bits;
    for (unsigned k = 0; k < i; k++)
        shift += input_width(k);
    return (unsigned)(config_of(lane) >> shift) & mask;
}

enum { RESULT = 3, KEPT = 4 };                   /* slots; the first are inputs */
static uint64_t buffer[3][5][2][16 * LANES / 8]; /* party, slot, component */

static unsigned party_of(unsigned role) {
    return (role + 2) % 3;
}

static void views(uint64_t hash[LANES]);

/* One call on 64 elements with configurations base, base + 1, ... */
static void execute_call(uint16_t op) {
    seq_reg reg[3][SEQ_MAX_OPERANDS];
    memset(reg, 0, sizeof reg);
    for (unsigned role = 0; role < 3; role++)
        for (unsigned c = 0; c < 2; c++) {
            const unsigned p = party_of(role);
            for (unsigned i = 0; i < OP->inputs; i++) {
                if (before && i == 2)
                    continue;
                uint64_t *d = buffer[p][i][c];
                memset(d, 0, sizeof buffer[p][i][c]);
                for (unsigned lane = 0; lane < LANES; lane++) {
                    const unsigned v = component(i, (role + c) % 3, lane);
                    if (OP->bit[i])
                        d[0] |= (uint64_t)v << lane;
                    else
                        ((uint8_t *)d)[lane] = (uint8_t)v;
                }
                reg[p][OP->at[i]].c[c] = d;
            }
            if (OP->twice)
                reg[p][OP->twice].c[c] = buffer[p][0][c];
            if (OP->kept)
                reg[p][OP->kept].c[c] = buffer[p][KEPT][c];
            reg[p][OP->result].c[c] = buffer[p][RESULT][c];
        }
    for (unsigned i = 0; i < 3; i++)
        prg_derive(keys + i, &E.pair[party_of(i)], E.instance + 1, 0);
    if (engine_call(&E, op, OP->arg, reg) != 0) {
        fprintf(stderr, "%s: a party failed\n", OP->name);
        exit(2);
    }
}

/* The operation; hash: what the corrupt party received about each element. */
static void execute(uint64_t hash[LANES]) {
    for (unsigned lane = 0; lane < LANES; lane++)
        hash[lane] = 1;
    if (OP->before) {
        before = 1;
        execute_call(OP->before);
        views(hash);
        before = 0;
    }
    execute_call(OP->op);
    views(hash);
}

/* ---- results ---- */

static unsigned result_part(unsigned p, unsigned c, unsigned lane) {
    const uint64_t *d = buffer[p][RESULT][c];
    if (!OP->planes)
        return ((const uint8_t *)d)[lane] & RING;
    unsigned x = 0;
    for (unsigned i = 0; i < OP->planes; i++)
        x |= (unsigned)(d[i * bits_plane_words(LANES)] >> lane & 1) << i;
    return x;
}

static unsigned combine(int bits, unsigned a, unsigned b, unsigned c) {
    return bits ? a ^ b ^ c : (a + b + c) & RING;
}

static unsigned input_value(unsigned i, unsigned lane) {
    return combine((int)OP->bit[i], component(i, 0, lane), component(i, 1, lane),
                   component(i, 2, lane));
}

/* r = s2 + s3, if the operation has it. */
static unsigned mask_r(unsigned lane) {
    unsigned r = 0;
    for (unsigned i = 0; i < stream_count; i++)
        if (streams[i].pair == 1 && streams[i].purpose <= REP3_S3)
            r += stream_value(streams + i, lane);
    return r & RING;
}

static unsigned check_results(void) {
    unsigned wrong = 0;
    for (unsigned lane = 0; lane < LANES; lane++) {
        unsigned own[3];
        for (unsigned p = 0; p < 3; p++) {
            own[p] = result_part(p, 0, lane);
            wrong += own[p] != result_part((p + 2) % 3, 1, lane);
        }
        const unsigned got = combine(OP->planes > 0, own[0], own[1], own[2]);
        const unsigned x = input_value(0, lane);
        const unsigned y = OP->inputs > 1 ? input_value(OP->inputs - 1, lane) : 0;
        wrong += !OP->check(got, x, y, mask_r(lane));
    }
    return wrong;
}

/* ---- views ---- */

/* Planes at the front of a message; the rest is a byte an element. */
static size_t planes_in(const message *m) {
    if (OP->all_bits || (m->step >= 2 && m->step < 2 + OP->bit_steps))
        return m->bytes / 8;
    return m->step == 1 && m->to == party_of(REP3_P2) && OP->bit_steps ? OP->leading_planes : 0;
}

/* Mix what the corrupt party receives about each element into a hash an element. */
static void views(uint64_t hash[LANES]) {
    for (const message *m = E.first; m; m = m->next) {
        if (m->to != party_of(corrupt))
            continue;
        const size_t planes = planes_in(m);
        for (unsigned lane = 0; lane < LANES; lane++) {
            uint64_t h = mix(hash[lane] ^ (m->step * 3 + m->from));
            for (size_t p = 0; p < planes; p++)
                h = mix(h * 2 + (((const uint64_t *)m->data)[p] >> lane & 1));
            for (size_t b = 8 * planes + lane; b < m->bytes; b += LANES)
                h = mix(h * 256 + m->data[b]);
            hash[lane] = h;
        }
    }
}

/* Give the honest streams their places in the index; returns its bits without the inputs. */
static unsigned place_streams(void) {
    unsigned shift = 0;
    for (unsigned i = 0; i < stream_count; i++)
        if (streams[i].pair == honest_pair()) {
            streams[i].shift = shift;
            shift += streams[i].width;
        }
    return shift;
}

/* All configurations for one sample of what the corrupt role knows: number of wrong results, plus
 * one if a view's distribution depends on the others' inputs. */
static unsigned enumerate(unsigned honest_inputs) {
    static uint64_t sums[1 << MAX_HONEST];
    unsigned wrong = 0;
    memset(sums, 0, sizeof *sums << honest_inputs);
    for (base = 0; base < total; base += LANES) {
        uint64_t hash[LANES];
        execute(hash);
        wrong += check_results();
        for (unsigned lane = 0; lane < LANES; lane++)
            sums[config_of(lane) >> honest_bits] += mix(hash[lane]);
    }
    for (uint64_t i = 1; i < (uint64_t)1 << honest_inputs; i++)
        if (sums[i] != sums[0])
            return wrong + 1;
    return wrong;
}

static unsigned test(const operation *op, unsigned samples) {
    unsigned bad = 0, inputs = 0, honest[3] = {0};
    OP = op;
    stream_count = 0;
    recording = 1;
    total = 1;
    uint64_t hash[LANES];
    execute(hash);
    recording = 0;
    for (unsigned i = 0; i < op->inputs; i++)
        inputs += input_width(i);
    for (corrupt = 0; corrupt < 3; corrupt++) {
        honest[corrupt] = honest_bits = place_streams();
        total = (uint64_t)1 << (honest_bits + inputs);
        if (honest_bits + inputs > 28) {
            fprintf(stderr, "%s: too much to enumerate: %u bits\n", op->name, honest_bits + inputs);
            exit(2);
        }
        /* about the same work for every role, but at least two samples */
        const uint64_t budget = (uint64_t)samples << 16;
        const uint64_t runs = budget / total < 2      ? 2
                              : budget / total > 4096 ? 4096
                                                      : budget / total;
        for (uint64_t s = 0; s < runs && !bad; s++) {
            own_seed = mix(s + 1000 * corrupt + 1);
            bad = enumerate(inputs);
            if (bad)
                printf("FAILED %s: role P%u, sample %llu: %u wrong results or a telling view\n",
                       op->name, corrupt + 1, (unsigned long long)s, bad);
        }
    }
    printf("%s: ring 2^%d, blocks of %d: %u input bits and %u, %u, %u random bits hidden from each "
           "role\n",
           op->name, SMALL_BITS, REP3_BLOCK, inputs, honest[0], honest[1], honest[2]);
    return bad;
}

/* ---- operations ---- */

static unsigned M; /* bits truncated in the operation being tested */

static int in_range(int z) {
    return z > -(1 << (SMALL_BITS - 2)) && z < 1 << (SMALL_BITS - 2);
}
static int to_signed(unsigned x) {
    return x >> (SMALL_BITS - 1) ? (int)x - (1 << SMALL_BITS) : (int)x;
}

/* The ideal functionality: floor((z + rho) / 2^m) with the coin rho = r mod 2^m. */
static int is_coin(int z, unsigned got, unsigned r) {
    const int rho = (int)(r & ((1u << M) - 1));
    return !in_range(z) || to_signed(got) == (z + rho) >> M;
}

static int check_mul(unsigned got, unsigned x, unsigned y, unsigned r) {
    return is_coin(to_signed(x * y & RING), got, r);
}
static int check_mul_add(unsigned got, unsigned x, unsigned y, unsigned r) {
    return is_coin(to_signed((x * x + y) & RING), got, r);
}
static int check_trunc(unsigned got, unsigned x, unsigned y, unsigned r) {
    (void)y;
    return is_coin(to_signed(x), got, r);
}
static int check_nearest(unsigned got, unsigned x, unsigned y, unsigned r) {
    (void)y, (void)r;
    const int z = to_signed(x);
    return !in_range(z) || to_signed(got) == (z + (1 << (M - 1))) >> M;
}
static int check_product(unsigned got, unsigned x, unsigned y, unsigned r) {
    (void)r;
    return got == (x * y & RING);
}
static int check_sign(unsigned got, unsigned x, unsigned y, unsigned r) {
    (void)y, (void)r;
    return got == x >> (SMALL_BITS - 1);
}
static int check_zero(unsigned got, unsigned x, unsigned y, unsigned r) {
    (void)y, (void)r;
    return got == (x == 0);
}
static int check_same(unsigned got, unsigned x, unsigned y, unsigned r) {
    (void)y, (void)r;
    return got == x;
}
static int check_and(unsigned got, unsigned x, unsigned y, unsigned r) {
    (void)r;
    return got == (x & y);
}
static int check_select(unsigned got, unsigned b, unsigned x, unsigned r) {
    (void)r;
    return got == (b ? x : 0);
}

static unsigned test_rounding(unsigned samples) {
    unsigned bad = 0;
    for (M = 1; M <= SMALL_BITS / 2 && M <= SMALL_BITS - 2; M++) {
        rep3_plan plan;
        rep3_plan_make(&plan, REP3_CARRY, M);
        const operation mul = {.name = "mul and truncate",
                               .op = SEQ_OP_MUL,
                               .inputs = 2,
                               .arg = {[SEQ_ARG_MUL_n] = LANES, [SEQ_ARG_MUL_m] = M},
                               .at = {SEQ_ARG_MUL_a, SEQ_ARG_MUL_b},
                               .result = SEQ_ARG_MUL_d,
                               .check = check_mul};
        const operation trunc = {.name = "truncate",
                                 .op = SEQ_OP_TRUNC,
                                 .inputs = 1,
                                 .arg = {[SEQ_ARG_TRUNC_n] = LANES, [SEQ_ARG_TRUNC_m] = M},
                                 .at = {SEQ_ARG_TRUNC_a},
                                 .result = SEQ_ARG_TRUNC_d,
                                 .check = check_trunc};
        /* the factors are one input: there are too many values otherwise */
        const operation sum = {.name = "square, add and truncate",
                               .op = SEQ_OP_MUL_ADD,
                               .inputs = 2,
                               .arg = {[SEQ_ARG_MUL_ADD_n] = LANES, [SEQ_ARG_MUL_ADD_m] = M},
                               .at = {SEQ_ARG_MUL_ADD_a, SEQ_ARG_MUL_ADD_e},
                               .twice = SEQ_ARG_MUL_ADD_b,
                               .result = SEQ_ARG_MUL_ADD_d,
                               .check = check_mul_add};
        operation nearest = trunc;
        nearest.name = "truncate, nearest";
        nearest.arg[SEQ_ARG_TRUNC_mode] = 1;
        nearest.leading_planes = plan.monomials;
        nearest.bit_steps = 1 + plan.levels;
        nearest.check = check_nearest;
        bad += test(&mul, samples) + test(&sum, samples) + test(&trunc, samples);
        if (SMALL_BITS + 2 * plan.forms + 4 * SMALL_BITS <= 26)
            bad += test(&nearest, samples);
    }
    return bad;
}

int main(int argc, char **argv) {
    const unsigned samples = argc > 1 ? (unsigned)atoi(argv[1]) : 16;
    const operation others[] = {
        {.name = "mul",
         .op = SEQ_OP_MUL,
         .inputs = 2,
         .arg = {[SEQ_ARG_MUL_n] = LANES},
         .at = {SEQ_ARG_MUL_a, SEQ_ARG_MUL_b},
         .result = SEQ_ARG_MUL_d,
         .check = check_product},
        {.name = "ltz",
         .op = SEQ_OP_LTZ,
         .inputs = 1,
         .arg = {[SEQ_ARG_LTZ_n] = LANES, [SEQ_ARG_LTZ_bits] = SMALL_BITS},
         .at = {SEQ_ARG_LTZ_a},
         .result = SEQ_ARG_LTZ_d,
         .planes = 1,
         .all_bits = 1,
         .check = check_sign},
        {.name = "eqz",
         .op = SEQ_OP_EQZ,
         .inputs = 1,
         .arg = {[SEQ_ARG_EQZ_n] = LANES, [SEQ_ARG_EQZ_bits] = SMALL_BITS},
         .at = {SEQ_ARG_EQZ_a},
         .result = SEQ_ARG_EQZ_d,
         .planes = 1,
         .all_bits = 1,
         .check = check_zero},
        {.name = "a2b",
         .op = SEQ_OP_A2B,
         .inputs = 1,
         .arg = {[SEQ_ARG_A2B_n] = LANES, [SEQ_ARG_A2B_bits] = SMALL_BITS},
         .at = {SEQ_ARG_A2B_a},
         .result = SEQ_ARG_A2B_d,
         .planes = SMALL_BITS,
         .all_bits = 1,
         .check = check_same},
        {.name = "and",
         .op = SEQ_OP_AND,
         .inputs = 2,
         .arg = {[SEQ_ARG_AND_p] = 1, [SEQ_ARG_AND_n] = LANES},
         .at = {SEQ_ARG_AND_a, SEQ_ARG_AND_b},
         .bit = {1, 1},
         .result = SEQ_ARG_AND_d,
         .planes = 1,
         .all_bits = 1,
         .check = check_and},
        {.name = "select",
         .op = SEQ_OP_SELECT,
         .inputs = 2,
         .arg = {[SEQ_ARG_SELECT_n] = LANES},
         .at = {SEQ_ARG_SELECT_b, SEQ_ARG_SELECT_a},
         .bit = {1, 0},
         .result = SEQ_ARG_SELECT_d,
         .check = check_select},
        {.name = "select_keep",
         .op = SEQ_OP_SELECT_KEEP,
         .inputs = 2,
         .arg = {[SEQ_ARG_SELECT_KEEP_n] = LANES},
         .at = {SEQ_ARG_SELECT_KEEP_b, SEQ_ARG_SELECT_KEEP_a},
         .bit = {1, 0},
         .kept = SEQ_ARG_SELECT_KEEP_k,
         .result = SEQ_ARG_SELECT_KEEP_d,
         .check = check_select},
        {.name = "select_kept",
         .before = SEQ_OP_SELECT_KEEP,
         .op = SEQ_OP_SELECT_KEPT,
         .inputs = SMALL_BITS < 5 ? 3 : 2, /* or both select the same: there are too many values */
         .arg = {[SEQ_ARG_SELECT_KEPT_n] = LANES},
         .at = {SEQ_ARG_SELECT_KEPT_b, SEQ_ARG_SELECT_KEPT_a, SEQ_ARG_SELECT_KEPT_a},
         .bit = {1, 0, 0},
         .kept = SEQ_ARG_SELECT_KEPT_k,
         .result = SEQ_ARG_SELECT_KEPT_d,
         .check = check_select},
        {.name = "b2a",
         .op = SEQ_OP_B2A,
         .inputs = 1,
         .arg = {[SEQ_ARG_B2A_p] = 1, [SEQ_ARG_B2A_n] = LANES},
         .at = {SEQ_ARG_B2A_a},
         .bit = {1},
         .result = SEQ_ARG_B2A_d,
         .check = check_same},
    };
    if (engine_init(&E, &protocol_rep3, 3, SMALL_BITS, &small_ring, &small_ops) != 0)
        return 2;
    prg_set_script(script, NULL);
    unsigned bad = test_rounding(samples);
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        bad += test(others + i, samples);
    engine_free(&E);
    return bad != 0;
}
