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
 * Where two parties are corrupt (five parties) there is too much to enumerate, but all that they
 * see is affine in the symbols, over the field of 7 elements or over bits: views for one input are
 * one of them plus a linear space. So the symbols are set one by one to find that space, inputs and
 * symbols at random to see that there is nothing else, and for all inputs views must differ by
 * something in it: then they have the same distribution, exactly.
 *
 * Rings: Z_2^SMALL_BITS. Sums and products of words are the same modulo 2^SMALL_BITS, so inputs and
 * symbols are small and messages are looked at modulo 2^SMALL_BITS; bits are SMALL_BITS lanes of a
 * word. Truncation looks at high bits: there what is truncated and what masks it are multiples of
 * 2^60 or 2^61, rings of 16 or 8 elements, cut by 61 or 62 bits; what is made of the quotient is
 * looked at modulo 2 or 4, as its masks are. Shamir's sharings:
 * the field of small_field.h for numbers, and GF(16) as it is for bits.
 * The keyed sums of checks are no symbols, since nothing here sends them. */

#include "../protocols/mal.h"
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

enum { PARTIES = 5, LANES = 64, WORDS = 64, MAX_SYMBOLS = 1024, MAX_VIEW = 1024, PRIME = 7 };

typedef struct {
    const char *name;
    uint16_t op;
    int64_t arg[SEQ_MAX_OPERANDS];
    unsigned lanes; /* configurations at a time, where all is bits of GF(16); or 0: one */
    unsigned inputs, at[2];
    int bit[2];                                /* whether the input is a bit */
    unsigned kept, result, planes;             /* planes of bits, or 0: a word */
    unsigned (*check)(unsigned x, unsigned y); /* the right result */
    int opened;        /* the result is opened, too: to all (1), or to an honest party (2) */
    unsigned cut, low; /* truncation: bits, and elements that masks of quotients are drawn from */
    unsigned high;     /* what is truncated are multiples of 2^high: the first input, and masks */
} operation;

static engine E;
static const seq_protocol *protocol;
static unsigned parties, corrupted; /* bits of the corrupt parties */
static const operation *OP;

static int shamirs(void) {
    return (int)protocol->field;
}

static unsigned threshold(void) {
    return (parties - 1) / 2;
}

/* Elements of a word's domain. */
static unsigned base_of_words(void) {
    return shamirs() ? PRIME : 1u << SMALL_BITS;
}

/* Multiples of 2^high. */
static unsigned high_base(void) {
    return 1u << (64 - OP->high);
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
    unsigned value;  /* where symbols are set one by one */
} symbol;

static symbol symbols[MAX_SYMBOLS];
static unsigned symbol_count;
static int recording, one_by_one;
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
        symbols[symbol_count++] = (symbol){k->id, word, purpose, k->owners, base, 0, 0};
    }
    if (one_by_one && !(k->owners & corrupted))
        return symbols[i].value;
    uint64_t all = 0;
    for (unsigned lane = 0; lane < lanes(); lane++) {
        const uint64_t sample = mix(own_seed ^ mix(k->id ^ mix(purpose ^ mix(word)))) % base;
        const uint64_t weight = symbols[i].weight ? symbols[i].weight : UINT64_MAX;
        all |= (k->owners & corrupted ? sample : (config + lane) / weight % base) << lane;
    }
    return all;
}

/* A word of a truncation: masks of what is truncated, of carries below, of quotients. */
static uint64_t truncation_word(const small_key *k, uint32_t purpose, uint64_t word) {
    const int mal = protocol == &protocol_rep3_mal;
    if (purpose <= (mal ? (uint32_t)MAL_ZERO + 3 : (uint32_t)REP4_M3))
        return symbol_at(k, purpose, word, high_base()) << OP->high;
    if (mal && purpose >= MAL_CARRY) /* carries out of zeros are zero */
        return purpose <= MAL_CARRY + OP->high ? 0 : symbol_at(k, purpose, word, 2);
    return symbol_at(k, purpose, word, OP->low);
}

/* Of Shamir's sharings a number is two words of a stream, and 64 bits are four. */
void prg_words(const prg_key *key, uint32_t purpose, uint64_t first, uint64_t *out, size_t n) {
    small_key k;
    memcpy(&k, key, sizeof k);
    const int number = shamirs() && n % 4 == 2;
    for (size_t i = 0; i < n; i++)
        if (!OP || (number && i % 2 == 1) || (purpose & REP4_HASH))
            out[i] = 0;
        else if (OP->cut)
            out[i] = truncation_word(&k, purpose, first + i);
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
static uint64_t buffer[PARTIES][SLOTS][SEQ_NEAR_COMPONENTS][WORDS] __attribute__((aligned(64)));

static unsigned input_base(unsigned i) {
    return OP->bit[i] ? 2 : OP->cut ? high_base() : base_of_words();
}

static uint64_t randomness; /* configurations of it: inputs are what is above in a configuration */
static unsigned given[2];   /* inputs, where symbols are set one by one */

static unsigned input_digit(unsigned i) {
    if (one_by_one)
        return given[i];
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
    return j == lacking((unsigned)__builtin_ctz(corrupted)) ? input_digit(i)
                                                            : known(i, j, input_base(i));
}

/* Party q's share of input i: corrupt parties' are sampled, the secret is what is enumerated. */
static field shamir_share_of(unsigned i, unsigned q) {
    const unsigned type = OP->bit[i] ? SHAMIR_BITS : SHAMIR_NUMBER;
    field points[SHAMIR_T + 1] = {0}, c[SHAMIR_T + 1], share = 0;
    unsigned m = 1;
    for (unsigned p = 0; p < parties; p++)
        if (corrupted >> p & 1)
            points[m++] = p + 1;
    shamir_lagrange(type, c, points, m, q + 1);
    for (unsigned k = 0; k < m; k++) {
        const unsigned digit =
            k ? known(i, k - 1, type == SHAMIR_BITS ? 16 : PRIME) : input_digit(i);
        const field term = shamir_mul(type, c[k], digit);
        share = type == SHAMIR_BITS ? share ^ term : field_add(share, term);
    }
    return share;
}

static void set_input(unsigned i, unsigned q) {
    uint64_t (*d)[WORDS] = buffer[q][i];
    memset(d, 0, sizeof buffer[q][i]);
    if (!shamirs()) {
        for (unsigned k = 0; k < parties - 1; k++)
            d[k][0] = (uint64_t)part_of(i, component(q, k)) << (i ? 0 : OP->high);
    } else {
        const field share = shamir_share_of(i, q);
        for (unsigned k = 0; k < 4 && OP->bit[i]; k++)
            d[k][0] = 0 - (uint64_t)(share >> k & 1); /* of every lane */
        if (!OP->bit[i])
            memcpy(d[0], &share, sizeof share);
    }
}

static unsigned combine(int bits, unsigned a, unsigned b, unsigned base) {
    return bits ? a ^ b : (a + b) % base;
}

static unsigned input_value(unsigned i) {
    if (shamirs() || OP->op == SEQ_OP_INPUT)
        return input_digit(i);
    unsigned sum = 0;
    for (unsigned j = 0; j < parties; j++)
        sum = combine(OP->bit[i], sum, part_of(i, j), input_base(i));
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
        sum = combine(OP->planes > 0, sum, part[j], base_of_words());
    return (int)(OP->planes ? sum & 1 : sum);
}

/* Of a truncated number: whether all hold parts of one, and it is a neighbour of value / 2^cut, for
 * values in range: others have no right result. */
static int truncated(unsigned value) {
    const int64_t unit = 1 << (OP->cut - OP->high), base = high_base();
    const int64_t z = (int64_t)value - ((int64_t)value < base / 2 ? 0 : base);
    uint64_t part[PARTIES], sum = 0;
    for (unsigned q = 0; q < parties; q++)
        part[component(q, 0)] = buffer[q][RESULT][0][0];
    for (unsigned q = 0; q < parties; q++)
        for (unsigned k = 1; k < parties - 1; k++)
            if (part[component(q, k)] != buffer[q][RESULT][k][0])
                return 0;
    for (unsigned j = 0; j < parties; j++)
        sum += part[j];
    const int64_t above = (int64_t)sum * unit - z; /* by less than a unit */
    return z <= -base / 4 || z >= base / 4 || (above > -unit && above < unit);
}

static int shamir_value(unsigned plane, unsigned lane) {
    const unsigned type = OP->planes ? SHAMIR_BITS : SHAMIR_NUMBER, m = threshold() + 1;
    field points[SHAMIR_T + 1], share[PARTIES] = {0}, value = 0;
    for (unsigned k = 0; k < m; k++)
        points[k] = k + 1;
    for (unsigned q = 0; q < parties; q++) {
        if (!OP->planes)
            memcpy(&share[q], buffer[q][RESULT][0], sizeof share[q]);
        for (unsigned k = 0; k < 4 && OP->planes; k++)
            share[q] |= (field)(buffer[q][RESULT][k][plane * bits_plane_words(1)] >> lane & 1) << k;
    }
    for (unsigned q = parties; q >= m; q--) { /* other shares, and then the secret */
        field c[SHAMIR_T + 1], at = 0;
        shamir_lagrange(type, c, points, m, q == m ? 0 : q);
        for (unsigned k = 0; k < m; k++) {
            const field term = shamir_mul(type, c[k], share[k]);
            at = type == SHAMIR_BITS ? at ^ term : field_add(at, term);
        }
        if (q > m && at != share[q - 1])
            return -1;
        value = at;
    }
    return (int)value;
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
static uint8_t seen[MAX_VIEW];
static unsigned seen_count; /* elements of it, where symbols are set one by one */

static uint64_t look(uint64_t w) {
    if (OP->cut)
        return w << (64 - OP->high) == 0 ? w >> OP->high : w % OP->low;
    return w & (OP->lanes ? 1 : shamirs() ? UINT64_MAX : base_of_words() - 1);
}

/* Numbers are two words; of bits only the first element counts. */
static void see_elements(const message *m) {
    const size_t each = OP->planes ? 8 : 16;
    for (size_t i = 0; i < m->bytes; i += each) {
        if (seen_count == MAX_VIEW) {
            fprintf(stderr, "%s: too much to see\n", OP->name);
            exit(2);
        }
        seen[seen_count++] = m->data[i] & (OP->planes ? 1 : 7);
    }
}

static void see(const message *m) {
    if (one_by_one) {
        see_elements(m);
        return;
    }
    for (unsigned lane = 0; lane < lanes(); lane++) {
        uint64_t hash = mix(view[lane] ^ (m->step * 8 + m->from));
        for (size_t i = 0; i < m->bytes; i += 8) {
            uint64_t w;
            memcpy(&w, m->data + i, 8);
            hash = mix(hash + look(w >> lane));
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
        if (corrupted >> m->to & 1 && !(corrupted >> m->from & 1))
            see(m);
}

static void set_slot(seq_reg reg[][SEQ_MAX_OPERANDS], unsigned at, unsigned slot) {
    for (unsigned q = 0; at && q < parties; q++)
        for (unsigned k = 0; k < SEQ_NEAR_COMPONENTS; k++)
            reg[q][at].c[k] = buffer[q][slot][k];
}

static void execute(void) {
    seq_reg reg[PARTIES][SEQ_MAX_OPERANDS];
    field word;
    memset(view, 0, sizeof view);
    memset(reg, 0, sizeof reg);
    seen_count = 0;
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
        E.output_party = OP->opened == 1 ? -1 : __builtin_ctz(~corrupted);
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
    if (OP->op == SEQ_OP_INPUT && corrupted >> E.input_party & 1)
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
                if (OP->cut ? !truncated(OP->check(a, b))
                            : result_value(lane) != (int)OP->check(a, b))
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
        if (!(symbols[i].owners & corrupted)) {
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
    for (unsigned corrupt = 0; corrupt < parties; corrupt++) {
        corrupted = 1u << corrupt;
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

/* ---- two corrupt parties: linear algebra over the field of `prime` elements ---- */

static unsigned prime(void) {
    return OP->planes ? 2 : PRIME;
}

/* A basis of the space of views, each vector with a 1 at its pivot and zeros there in later ones.
 */
static uint8_t basis[MAX_SYMBOLS][MAX_VIEW];
static unsigned pivot[MAX_SYMBOLS], rank;

/* v minus what of it is in the space; whether nothing is left. `at`: the first that is left. */
static int reduce(uint8_t *v, unsigned *at) {
    for (unsigned i = 0; i < rank; i++) {
        const unsigned factor = prime() - v[pivot[i]];
        for (unsigned k = 0; k < seen_count; k++)
            v[k] = (uint8_t)((v[k] + factor * basis[i][k]) % prime());
    }
    for (*at = 0; *at < seen_count; (*at)++)
        if (v[*at])
            return 0;
    return 1;
}

static void add_to_basis(const uint8_t *v) {
    unsigned at, inverse = 1;
    memcpy(basis[rank], v, MAX_VIEW);
    if (reduce(basis[rank], &at))
        return;
    while (inverse * basis[rank][at] % prime() != 1)
        inverse++;
    for (unsigned k = 0; k < seen_count; k++)
        basis[rank][k] = (uint8_t)(basis[rank][k] * inverse % prime());
    pivot[rank++] = at;
}

/* The view, less another one. */
static void see_from(uint8_t *d, const uint8_t *from) {
    execute();
    for (unsigned k = 0; k < seen_count; k++)
        d[k] = (uint8_t)((seen[k] + prime() - (from ? from[k] : 0)) % prime());
}

static void set_symbols(uint64_t seed) {
    for (unsigned i = 0; i < symbol_count; i++)
        symbols[i].value = seed ? (unsigned)(mix(seed + i) % symbols[i].base) : 0;
}

/* What each symbol adds to the view, whatever the inputs. */
static uint8_t column[MAX_SYMBOLS][MAX_VIEW];

static void find_columns(const uint8_t *zero) {
    rank = 0;
    for (unsigned i = 0; i < symbol_count; i++) {
        symbols[i].value = 1;
        see_from(column[i], zero);
        symbols[i].value = 0;
        if (!(symbols[i].owners & corrupted))
            add_to_basis(column[i]);
    }
}

/* 0, or what is wrong, for these inputs: some random symbols, and the view without any. */
static const char *compare_views(const uint8_t *zero, uint64_t seed) {
    uint8_t here[MAX_VIEW], other[MAX_VIEW];
    unsigned at;
    set_symbols(0);
    see_from(here, NULL);
    set_symbols(seed);
    see_from(other, here);
    if (result_value(0) != (int)OP->check(given[0], given[1]))
        return "a wrong result";
    for (unsigned i = 0; i < symbol_count; i++)
        for (unsigned k = 0; k < seen_count && !(symbols[i].owners & corrupted); k++)
            other[k] =
                (uint8_t)((other[k] + (prime() - symbols[i].value) * column[i][k]) % prime());
    for (unsigned k = 0; k < seen_count; k++)
        if (other[k])
            return "a view that is not affine";
    for (unsigned k = 0; k < seen_count; k++)
        here[k] = (uint8_t)((here[k] + prime() - zero[k]) % prime());
    return reduce(here, &at) ? NULL : "a telling view";
}

/* All inputs against the first ones with the same class. */
static const char *affine(uint64_t inputs) {
    static uint8_t zero[PRIME][MAX_VIEW];
    int have[PRIME] = {0};
    for (uint64_t x = 0; x < inputs; x++) {
        given[0] = (unsigned)(x % input_base(0));
        given[1] = OP->inputs > 1 ? (unsigned)(x / input_base(0)) : 0;
        const unsigned class = known_of(OP->check(given[0], given[1]));
        if (!have[class]) {
            set_symbols(0);
            see_from(zero[class], NULL);
            have[class] = 1;
        }
        if (x == 0)
            find_columns(zero[class]);
        const char *wrong = compare_views(zero[class], own_seed + x + 1);
        if (wrong)
            return wrong;
    }
    return NULL;
}

static int test_sets(const operation *op, unsigned owner) {
    uint64_t inputs = 1;
    restart();
    OP = op;
    E.input_party = owner;
    one_by_one = 1;
    printf("%s:", op->name);
    for (unsigned i = 0; i < op->inputs; i++)
        inputs *= input_base(i);
    for (corrupted = 1; corrupted < 1u << parties; corrupted++) {
        if ((unsigned)__builtin_popcount(corrupted) != threshold())
            continue;
        symbol_count = 0;
        recording = 1;
        execute();
        recording = 0;
        for (unsigned s = 0; s < samples; s++) {
            own_seed = mix(s + 1000 * corrupted + 1);
            const char *wrong = affine(inputs);
            if (wrong) {
                printf("\nFAILED %s, owner %u: %s at parties %x\n", op->name, owner, wrong,
                       corrupted);
                return 1;
            }
        }
        printf(" %u", rank);
    }
    printf(" dimensions of the views of %u parties\n", threshold());
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
static unsigned check_trunc(unsigned x, unsigned y) {
    return OP->inputs == 2 ? x * y % high_base() : x;
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
#define MUL(what, elements, to)                                                                    \
    {.name = what,                                                                                 \
     .op = SEQ_OP_MUL,                                                                             \
     .inputs = 2,                                                                                  \
     .arg = {[SEQ_ARG_MUL_n] = elements},                                                          \
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

#define TRUNC(what, m_)                                                                            \
    {.name = what,                                                                                 \
     .op = SEQ_OP_TRUNC,                                                                           \
     .inputs = 1,                                                                                  \
     .arg = {[SEQ_ARG_TRUNC_n] = 1, [SEQ_ARG_TRUNC_m] = m_},                                       \
     .at = {SEQ_ARG_TRUNC_a},                                                                      \
     .result = SEQ_ARG_TRUNC_d,                                                                    \
     .check = check_trunc,                                                                         \
     .cut = m_,                                                                                    \
     .low = 4,                                                                                     \
     .high = 60}
#define MUL_TRUNC(what, m_)                                                                        \
    {.name = what,                                                                                 \
     .op = SEQ_OP_MUL,                                                                             \
     .inputs = 2,                                                                                  \
     .arg = {[SEQ_ARG_MUL_n] = 1, [SEQ_ARG_MUL_m] = m_},                                           \
     .at = {SEQ_ARG_MUL_a, SEQ_ARG_MUL_b},                                                         \
     .result = SEQ_ARG_MUL_d,                                                                      \
     .check = check_trunc,                                                                         \
     .cut = m_,                                                                                    \
     .low = 2,                                                                                     \
     .high = 61}

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

static const operation in_fields[] = {MUL("mul", 1, 0), AND(LANES, LANES)};
static const operation opened[] = {MUL("mul, opened to all", 1, 1),
                                   MUL("mul, opened to another", 1, 2)};
static const operation of_sets[] = {MUL("mul", PARTIES, 0), AND(1, 0)}; /* a king each */
static const operation truncations[] = {TRUNC("trunc by 1", 61), TRUNC("trunc by 2", 62),
                                        MUL_TRUNC("mul, trunc by 1", 62)};
static const operation in_rings[] = {
    MUL("mul", 1, 0),
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

static int (*tested)(const operation *op, unsigned owner) = test;

static int test_all(const operation *op, size_t count) {
    int bad = 0;
    for (size_t i = 0; i < count; i++)
        bad += tested(op + i, 0);
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
    corrupted = 1;
    restart();
    if (parties > 4)
        tested = test_sets;
    for (unsigned owner = 0; owner < parties; owner++)
        bad += tested(&input, owner);
    bad += parties > 4 ? TEST(of_sets) : shamirs() ? TEST(in_fields) : TEST(in_rings);
    if (!shamirs() && protocol->verified)
        bad += TEST(truncations);
    if (!protocol->verified)
        bad += TEST(opened);
    engine_free(&E);
    return bad != 0;
}
