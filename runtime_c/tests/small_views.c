/* What a corrupt party sees of sharings, products and openings, over all that it does not know, in
 * a domain of a few elements: `small_views PROTOCOL PARTIES SAMPLES EXECUTIONS`.
 *
 * One element goes through the protocol's real step functions. Its randomness is made of symbols:
 * every stream position is an element of a small domain. Of each corrupt party, its own shares and
 * the symbols of keys that it has are sampled; all values of what it does not have are enumerated,
 * for each value of the honest parties' inputs (or for every n-th, so that one sample takes about
 * so many executions). Checked are the result of every execution, and that
 * the multiset of the messages it receives is the same for all inputs, or, if it receives the
 * output, for all inputs with the same output. Multisets are compared by the sum of a 64-bit hash
 * of their members.
 *
 * Rings: Z_2^SMALL_BITS. Sums and products of words are the same modulo 2^SMALL_BITS, so inputs and
 * symbols are small and messages are looked at modulo 2^SMALL_BITS; bits are SMALL_BITS lanes of a
 * word. What looks at high bits (truncation) is not covered: see rep3_small.c. Shamir's sharings:
 * the field of small_field.h for numbers, and GF(16) as it is for bits.
 * The keyed sums of checks are no symbols, since nothing here sends them. */

#include "../protocols/rep4.h"
#include "../protocols/shamir.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef SMALL_BITS
#define SMALL_BITS 2
#endif

extern const seq_protocol protocol_rep3, protocol_rep3_mal, protocol_rep4, protocol_shamir,
    protocol_shamir_mal;
static const seq_protocol *const protocols[] = {&protocol_rep3, &protocol_rep3_mal, &protocol_rep4,
                                                &protocol_shamir, &protocol_shamir_mal};

enum { PARTIES = 4, LANES = 64, WORDS = 64, MAX_SYMBOLS = 256, PRIME = 7 };

typedef struct {
    const char *name;
    uint16_t op;
    int64_t arg[SEQ_MAX_OPERANDS];
    unsigned lanes; /* configurations at a time, where all is bits of GF(16); or 0: one */
    unsigned inputs, at[2];
    int bit[2];                                /* whether the input is a bit */
    unsigned kept, result, planes;             /* planes of bits, or 0: a word */
    unsigned (*check)(unsigned x, unsigned y); /* the right result */
    int opened; /* the result is opened, too: to all (1), or to the party before the corrupt one */
} operation;

static engine E;
static const seq_protocol *protocol;
static unsigned parties;
static const operation *OP;

static int shamirs(void) {
    return (int)protocol->field;
}

/* Elements of a word's domain. */
static unsigned base_of_words(void) {
    return shamirs() ? PRIME : 1u << SMALL_BITS;
}

/* Elements that the protocol is given: a configuration each. */
static unsigned lanes(void) {
    return OP->lanes ? OP->lanes : 1;
}

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

/* ---- randomness: in place of prg/ ---- */

typedef struct {
    uint64_t id;
    uint32_t owners; /* who has the key */
} small_key;

typedef struct {
    uint64_t id, word;
    uint32_t purpose, owners;
    unsigned base;
    uint64_t weight; /* in the number of a configuration */
} symbol;

static symbol symbols[MAX_SYMBOLS];
static unsigned symbol_count, corrupt;
static int recording;
static uint64_t own_seed, config; /* of what is known; of what is not */

void prg_init(prg_key *key, const uint8_t seed[16]) {
    small_key k = {0, seed[0]};
    for (unsigned i = 0; i < 16; i++)
        k.id = mix(k.id ^ seed[i]);
    if (k.owners == 0) { /* made of several keys: known to nobody else */
        k.owners = 1u << E.running;
        k.id = mix(k.id ^ (E.running + 1));
    }
    memset(key, 0, sizeof *key);
    memcpy(key, &k, sizeof k);
}

void prg_derive(prg_key *child, const prg_key *parent, uint64_t instance, uint32_t sub) {
    small_key k;
    memcpy(&k, parent, sizeof k);
    k.id = mix(mix(k.id ^ instance) ^ sub);
    memset(child, 0, sizeof *child);
    memcpy(child, &k, sizeof k);
}

static uint64_t symbol_at(const small_key *k, uint32_t purpose, uint64_t word, unsigned base) {
    unsigned i = 0;
    while (i < symbol_count && (symbols[i].id != k->id || symbols[i].purpose != purpose ||
                                symbols[i].word != word || symbols[i].base != base))
        i++;
    if (i == symbol_count) {
        if (!recording || i == MAX_SYMBOLS) {
            fprintf(stderr, "%s: unexpected randomness\n", OP->name);
            exit(2);
        }
        symbols[symbol_count++] = (symbol){k->id, word, purpose, k->owners, base, 0};
    }
    uint64_t all = 0;
    for (unsigned lane = 0; lane < lanes(); lane++) {
        const uint64_t sample = mix(own_seed ^ mix(k->id ^ mix(purpose ^ mix(word)))) % base;
        const uint64_t weight = symbols[i].weight ? symbols[i].weight : UINT64_MAX;
        all |= (k->owners >> corrupt & 1 ? sample : (config + lane) / weight % base) << lane;
    }
    return all;
}

/* Of Shamir's sharings a number is two words of a stream, and 64 bits are four. */
void prg_words(const prg_key *key, uint32_t purpose, uint64_t first, uint64_t *out, size_t n) {
    small_key k;
    memcpy(&k, key, sizeof k);
    const int number = shamirs() && n % 4 == 2;
    for (size_t i = 0; i < n; i++)
        if (!OP || (number && i % 2 == 1) || (purpose & REP4_HASH))
            out[i] = 0;
        else
            out[i] = symbol_at(&k, purpose, first + i, number || !shamirs() ? base_of_words() : 2);
}

int prg_system(void *out, size_t n) {
    (void)out, (void)n;
    return -1;
}

void prg_wipe(void *p, size_t n) {
    (void)p, (void)n;
}

/* ---- kernels for a few elements ---- */

#define BITS_LOOP(name, expression)                                                                \
    static void name(uint64_t *d, const uint64_t *a, const uint64_t *b, size_t words) {            \
        for (size_t i = 0; i < words; i++)                                                         \
            d[i] = expression;                                                                     \
    }
BITS_LOOP(small_xor, a[i] ^ b[i])
BITS_LOOP(small_and, a[i] & b[i])
BITS_LOOP(small_xorand, d[i] ^ (a[i] & b[i]))

static void small_slice(uint64_t *planes, size_t stride, const void *x, unsigned width, size_t n,
                        unsigned lo, unsigned p) {
    for (unsigned i = 0; i < p; i++)
        planes[i * stride] = 0;
    for (size_t j = 0; j < n; j++) /* n <= 64 */
        for (unsigned i = 0; i < p; i++)
            planes[i * stride] |= (((const uint64_t *)x)[j * width / 64] >> (lo + i) & 1) << j;
}

static const bits_ops small_bits = {.name = "small",
                                    .xor_ = small_xor,
                                    .and_ = small_and,
                                    .xorand = small_xorand,
                                    .slice = small_slice};

#define RING_LOOP(name, type, expression)                                                          \
    static void name(void *d, const void *a, const void *b, size_t n) {                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            const type x = ((const type *)a)[i], y = ((const type *)b)[i];                         \
            ((type *)d)[i] = expression;                                                           \
        }                                                                                          \
    }
RING_LOOP(word_add, uint64_t, x + y)
RING_LOOP(word_sub, uint64_t, x - y)
RING_LOOP(word_mul, uint64_t, x *y)
RING_LOOP(number_add, field, field_add(x, y))
RING_LOOP(number_sub, field, field_sub(x, y))
RING_LOOP(number_mul, field, field_mul(x, y))

static void number_muli(void *d, const void *a, int64_t imm, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((field *)d)[i] = field_mul(((const field *)a)[i], field_from_signed(imm));
}

static const ring_ops small_words = {
    .name = "small", .bits = 64, .word = 8, .add = word_add, .sub = word_sub, .mul = word_mul};
static const ring_ops small_numbers = {.name = "small",
                                       .bits = RING_FIELD,
                                       .word = 16,
                                       .add = number_add,
                                       .sub = number_sub,
                                       .mul = number_mul,
                                       .muli = number_muli};

/* ---- sharings ---- */

enum { RESULT = 2, KEPT, OUT, SLOTS };
static uint64_t buffer[PARTIES][SLOTS][SEQ_MAX_COMPONENTS][WORDS] __attribute__((aligned(64)));

static unsigned input_base(unsigned i) {
    return OP->bit[i] ? 2 : base_of_words();
}

static uint64_t randomness; /* configurations of it: inputs are what is above in a configuration */

static unsigned input_digit(unsigned i) {
    uint64_t rest = config / randomness;
    for (unsigned k = 0; k < i; k++)
        rest /= input_base(k);
    return (unsigned)(rest % input_base(i));
}

static unsigned known(unsigned i, unsigned part, unsigned base) {
    return (unsigned)(mix(own_seed ^ mix(1000 + 10 * i + part)) % base);
}

/* Which component of a replicated sharing party p has in c[k], and which it lacks. */
static unsigned component(unsigned p, unsigned k) {
    return parties == 3 ? (p + k) % 3 : (p + 1 + k) % 4;
}
static unsigned lacking(unsigned p) {
    return parties == 3 ? (p + 2) % 3 : p;
}

static unsigned part_of(unsigned i, unsigned j) {
    return j == lacking(corrupt) ? input_digit(i) : known(i, j, input_base(i));
}

/* Party q's share of input i: the corrupt party's is sampled, the secret is what is enumerated. */
static field shamir_share_of(unsigned i, unsigned q) {
    const unsigned type = OP->bit[i] ? SHAMIR_BITS : SHAMIR_NUMBER;
    const field points[2] = {0, corrupt + 1};
    field c[2];
    shamir_lagrange(type, c, points, 2, q + 1);
    const field x = shamir_mul(type, c[0], input_digit(i));
    const field y = shamir_mul(type, c[1], known(i, 0, type == SHAMIR_BITS ? 16 : PRIME));
    return type == SHAMIR_BITS ? x ^ y : field_add(x, y);
}

static void set_input(unsigned i, unsigned q) {
    uint64_t (*d)[WORDS] = buffer[q][i];
    memset(d, 0, sizeof buffer[q][i]);
    if (!shamirs()) {
        for (unsigned k = 0; k < parties - 1; k++)
            d[k][0] = part_of(i, component(q, k));
    } else {
        const field share = shamir_share_of(i, q);
        for (unsigned k = 0; k < 4 && OP->bit[i]; k++)
            d[k][0] = 0 - (uint64_t)(share >> k & 1); /* of every lane */
        if (!OP->bit[i])
            memcpy(d[0], &share, sizeof share);
    }
}

static unsigned combine(int bits, unsigned a, unsigned b) {
    return bits ? a ^ b : (a + b) % base_of_words();
}

static unsigned input_value(unsigned i) {
    if (shamirs() || OP->op == SEQ_OP_INPUT)
        return input_digit(i);
    unsigned sum = 0;
    for (unsigned j = 0; j < parties; j++)
        sum = combine(OP->bit[i], sum, part_of(i, j));
    return OP->bit[i] ? sum & 1 : sum;
}

static unsigned word_at(unsigned q, unsigned k, unsigned plane) {
    return (unsigned)buffer[q][RESULT][k][plane * bits_plane_words(1)] & (base_of_words() - 1);
}

/* A plane of the result, or the word; -1 if shares do not fit together. */
static int replicated_value(unsigned plane) {
    unsigned part[PARTIES], sum = 0;
    for (unsigned q = 0; q < parties; q++)
        part[component(q, 0)] = word_at(q, 0, plane);
    for (unsigned q = 0; q < parties; q++)
        for (unsigned k = 1; k < parties - 1; k++)
            if (part[component(q, k)] != word_at(q, k, plane))
                return -1;
    for (unsigned j = 0; j < parties; j++)
        sum = combine(OP->planes > 0, sum, part[j]);
    return (int)(OP->planes ? sum & 1 : sum);
}

static int shamir_value(unsigned plane, unsigned lane) {
    const unsigned type = OP->planes ? SHAMIR_BITS : SHAMIR_NUMBER;
    const field points[2] = {1, 2};
    field share[3] = {0}, at[2] = {0};
    for (unsigned q = 0; q < 3; q++) {
        if (!OP->planes)
            memcpy(&share[q], buffer[q][RESULT][0], sizeof share[q]);
        for (unsigned k = 0; k < 4 && OP->planes; k++)
            share[q] |= (field)(buffer[q][RESULT][k][plane * bits_plane_words(1)] >> lane & 1) << k;
    }
    for (unsigned i = 0; i < 2; i++) { /* of the secret, and of the third share */
        field c[2];
        shamir_lagrange(type, c, points, 2, i ? 3 : 0);
        c[0] = shamir_mul(type, c[0], share[0]);
        c[1] = shamir_mul(type, c[1], share[1]);
        at[i] = type == SHAMIR_BITS ? c[0] ^ c[1] : field_add(c[0], c[1]);
    }
    return at[1] == share[2] ? (int)at[0] : -1;
}

static int result_value(unsigned lane) {
    int value = 0;
    for (unsigned p = 0; p < (OP->planes ? OP->planes : 1); p++) {
        const int plane = shamirs() ? shamir_value(p, lane) : replicated_value(p);
        if (plane < 0)
            return -1;
        value |= plane << p;
    }
    return value;
}

/* ---- executions ---- */

static uint64_t view[LANES]; /* hashes of what the corrupt party received */

static void see(const message *m) {
    const uint64_t mask = OP->lanes ? 1 : shamirs() ? UINT64_MAX : base_of_words() - 1;
    for (unsigned lane = 0; lane < lanes(); lane++) {
        uint64_t hash = mix(view[lane] ^ (m->step * 8 + m->from));
        for (size_t i = 0; i < m->bytes; i += 8) {
            uint64_t w;
            memcpy(&w, m->data + i, 8);
            hash = mix(hash + (w >> lane & mask));
        }
        view[lane] = hash;
    }
}

static void call(uint16_t op, const int64_t *arg, seq_reg reg[][SEQ_MAX_OPERANDS]) {
    if (engine_call(&E, op, arg, reg) != 0) {
        fprintf(stderr, "%s: a party failed\n", OP->name);
        exit(2);
    }
    for (const message *m = E.first; m; m = m->next)
        if (m->to == corrupt)
            see(m);
}

static void set_slot(seq_reg reg[][SEQ_MAX_OPERANDS], unsigned at, unsigned slot) {
    for (unsigned q = 0; at && q < parties; q++)
        for (unsigned k = 0; k < SEQ_MAX_COMPONENTS; k++)
            reg[q][at].c[k] = buffer[q][slot][k];
}

static void execute(void) {
    seq_reg reg[PARTIES][SEQ_MAX_OPERANDS];
    field word;
    memset(view, 0, sizeof view);
    memset(reg, 0, sizeof reg);
    E.instance = 0;
    for (unsigned i = 0; i < OP->inputs; i++) {
        word = input_digit(i);
        E.input = &word;
        for (unsigned q = 0; q < parties && OP->op != SEQ_OP_INPUT; q++)
            set_input(i, q);
        set_slot(reg, OP->at[i], i);
    }
    set_slot(reg, OP->kept, KEPT);
    set_slot(reg, OP->result, RESULT);
    call(OP->op, OP->arg, reg);
    if (OP->opened) {
        const int64_t arg[SEQ_MAX_OPERANDS] = {[SEQ_ARG_OUTPUT_n] = 1};
        memset(reg, 0, sizeof reg);
        set_slot(reg, SEQ_ARG_OUTPUT_a, RESULT);
        for (unsigned q = 0; q < parties; q++)
            E.output[q] = buffer[q][OUT][0];
        E.output_party = OP->opened == 1 ? -1 : (int)((corrupt + parties - 1) % parties);
        call(SEQ_OP_OUTPUT, arg, reg);
    }
}

static void restart(void) {
    static int begun;
    const operation *op = OP;
    if (begun)
        engine_free(&E);
    begun = 1;
    OP = NULL; /* keys are made */
    const ring_ops *ring = shamirs() ? &small_numbers : &small_words;
    if (engine_init(&E, protocol, parties, 64, ring, &small_bits))
        exit(2);
    OP = op;
}

/* Inputs that a corrupt party tells apart by what it is given: by the result, if it learns that. */
static unsigned known_of(unsigned got) {
    if (OP->op == SEQ_OP_INPUT && E.input_party == corrupt)
        return input_digit(0);
    return OP->opened == 1 ? got : 0;
}

enum { MAX_INPUTS = 1 << 12 };

/* Every `step`-th input with all randomness, for one sample: 0, or what is wrong. */
static const char *enumerate(uint64_t inputs, uint64_t step) {
    static uint64_t sums[MAX_INPUTS];
    static unsigned classes[MAX_INPUTS];
    unsigned done = 0;
    for (uint64_t x = 0; x < inputs; x += step) {
        sums[x] = 0;
        for (uint64_t r = 0; r < randomness; r += lanes()) {
            config = x * randomness + r;
            execute();
            const unsigned a = input_value(0), b = OP->inputs > 1 ? input_value(1) : 0;
            for (unsigned lane = 0; lane < lanes(); lane++) {
                if (result_value(lane) != (int)OP->check(a, b))
                    return "a wrong result";
                sums[x] += mix(view[lane]);
            }
            classes[x] = known_of(OP->check(a, b));
            if (++done % 4096 == 0)
                restart(); /* logs of what is to be verified grow */
        }
    }
    for (uint64_t x = 0; x < inputs; x += step)
        for (uint64_t y = 0; y < x; y += step)
            if (classes[x] == classes[y] && sums[x] != sums[y])
                return "a telling view";
    return NULL;
}

/* Gives what the corrupt party does not have its place; configurations of it. */
static uint64_t place_symbols(void) {
    uint64_t total = 1;
    for (unsigned i = 0; i < symbol_count; i++) {
        symbols[i].weight = 0;
        if (!(symbols[i].owners >> corrupt & 1)) {
            symbols[i].weight = total;
            total *= symbols[i].base;
        }
    }
    return total;
}

static unsigned samples;
static uint64_t most; /* executions for one sample */

static int test(const operation *op, unsigned owner) {
    uint64_t inputs = 1;
    OP = op;
    E.input_party = owner;
    printf("%s", op->name);
    for (unsigned i = 0; i < op->inputs; i++)
        inputs *= input_base(i);
    for (corrupt = 0; corrupt < parties; corrupt++) {
        symbol_count = 0;
        randomness = 1;
        config = 0;
        recording = 1;
        execute();
        recording = 0;
        randomness = place_symbols();
        printf("%s %llu", corrupt ? "," : ":", (unsigned long long)randomness);
        fflush(stdout);
        uint64_t step = (randomness * inputs + most - 1) / most;
        step = step < inputs / 4 ? step : inputs / 4 + (inputs < 4); /* four inputs at least */
        step += step % PRIME == 0;                                   /* both factors change */
        for (unsigned s = 0; s < samples; s++) {
            own_seed = mix(s + 1000 * corrupt + 1);
            const char *wrong = enumerate(inputs, step);
            if (wrong) {
                printf("\nFAILED %s, owner %u: %s at party %u\n", op->name, owner, wrong, corrupt);
                return 1;
            }
        }
    }
    printf(" hidden values of the randomness, each with %llu inputs\n", (unsigned long long)inputs);
    return 0;
}

/* ---- operations ---- */

static unsigned check_input(unsigned x, unsigned y) {
    (void)y;
    return x;
}
static unsigned check_mul(unsigned x, unsigned y) {
    return x * y % base_of_words();
}
static unsigned check_and(unsigned x, unsigned y) {
    return x & y;
}
static unsigned check_select(unsigned b, unsigned x) {
    return b ? x : 0;
}
static unsigned check_sign(unsigned x, unsigned y) {
    (void)y;
    return x >> (SMALL_BITS - 1);
}
static unsigned check_zero(unsigned x, unsigned y) {
    (void)y;
    return x == 0;
}

#define INPUT(what)                                                                                \
    {.name = what,                                                                                 \
     .op = SEQ_OP_INPUT,                                                                           \
     .inputs = 1,                                                                                  \
     .arg = {[SEQ_ARG_INPUT_n] = 1},                                                               \
     .result = SEQ_ARG_INPUT_d,                                                                    \
     .check = check_input}
#define MUL(what, to)                                                                              \
    {.name = what,                                                                                 \
     .op = SEQ_OP_MUL,                                                                             \
     .inputs = 2,                                                                                  \
     .arg = {[SEQ_ARG_MUL_n] = 1},                                                                 \
     .at = {SEQ_ARG_MUL_a, SEQ_ARG_MUL_b},                                                         \
     .result = SEQ_ARG_MUL_d,                                                                      \
     .check = check_mul,                                                                           \
     .opened = to}
#define BITS(OP, what, checked, planes_)                                                           \
    {.name = what,                                                                                 \
     .op = SEQ_OP_##OP,                                                                            \
     .inputs = 1,                                                                                  \
     .arg = {[SEQ_ARG_##OP##_n] = 1, [SEQ_ARG_##OP##_bits] = SMALL_BITS},                          \
     .at = {SEQ_ARG_##OP##_a},                                                                     \
     .result = SEQ_ARG_##OP##_d,                                                                   \
     .planes = planes_,                                                                            \
     .check = checked}

#define AND(elements, lanes_)                                                                      \
    {.name = "and",                                                                                \
     .op = SEQ_OP_AND,                                                                             \
     .lanes = lanes_,                                                                              \
     .inputs = 2,                                                                                  \
     .arg = {[SEQ_ARG_AND_p] = 1, [SEQ_ARG_AND_n] = elements},                                     \
     .at = {SEQ_ARG_AND_a, SEQ_ARG_AND_b},                                                         \
     .bit = {1, 1},                                                                                \
     .result = SEQ_ARG_AND_d,                                                                      \
     .planes = 1,                                                                                  \
     .check = check_and}

static const operation in_fields[] = {MUL("mul", 0), AND(LANES, LANES)};
static const operation opened[] = {MUL("mul, opened to all", 1), MUL("mul, opened to another", 2)};
static const operation in_rings[] = {
    MUL("mul", 0),
    AND(1, 0),
    BITS(LTZ, "ltz", check_sign, 1),
    BITS(EQZ, "eqz", check_zero, 1),
    BITS(A2B, "a2b", check_input, SMALL_BITS),
    {.name = "b2a",
     .op = SEQ_OP_B2A,
     .inputs = 1,
     .arg = {[SEQ_ARG_B2A_p] = 1, [SEQ_ARG_B2A_n] = 1},
     .at = {SEQ_ARG_B2A_a},
     .bit = {1},
     .result = SEQ_ARG_B2A_d,
     .check = check_input},
    {.name = "select",
     .op = SEQ_OP_SELECT,
     .inputs = 2,
     .arg = {[SEQ_ARG_SELECT_n] = 1},
     .at = {SEQ_ARG_SELECT_b, SEQ_ARG_SELECT_a},
     .bit = {1, 0},
     .result = SEQ_ARG_SELECT_d,
     .check = check_select},
};

static int test_all(const operation *op, size_t count) {
    int bad = 0;
    for (size_t i = 0; i < count; i++)
        bad += test(op + i, 0);
    return bad;
}
#define TEST(list) test_all(list, sizeof(list) / sizeof *(list))

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 5 && i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(protocols[i]->name, argv[1]) == 0)
            protocol = protocols[i];
    if (!protocol) {
        fprintf(stderr, "small_views PROTOCOL PARTIES SAMPLES EXECUTIONS\n");
        return 2;
    }
    parties = (unsigned)atoi(argv[2]);
    samples = (unsigned)atoi(argv[3]);
    most = strtoull(argv[4], NULL, 10);
    const operation input = INPUT("input");
    int bad = 0;
    restart();
    for (unsigned owner = 0; owner < parties; owner++)
        bad += test(&input, owner);
    bad += shamirs() ? TEST(in_fields) : TEST(in_rings);
    if (!protocol->verified)
        bad += TEST(opened);
    engine_free(&E);
    return bad != 0;
}
