/* rep3 in the rings 2^64 and 2^128 on random and edge values, with the engine of engine.h:
 * results, and that the rounds declared are those of the longest chain of messages. Prints one line
 * a failure; with an argument `costs`, prints every call's rounds and bytes instead (for the cost
 * rules' test). In SEQ_TEST builds also that every mask is drawn by two parties, once each: no two
 * calls, chunks, thirds, planes, purposes or levels share an address. */

#include "../protocols/rep3.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

extern const seq_protocol protocol_rep3;

typedef unsigned __int128 word;
typedef __int128 sword;

static unsigned failures;
static int costs;
static unsigned BITS;
static engine E;
static uint64_t rng = 88172645463325252u;

static uint64_t rnd(void) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    return rng ^= rng << 17;
}

static word mask(word x) {
    return BITS == 64 ? (uint64_t)x : x;
}
static sword sign(word x) {
    return BITS == 64 ? (sword)(int64_t)x : (sword)x;
}

static void fail(const char *what, size_t n, size_t i, word got, word expected);

#ifdef SEQ_TEST
/* ---- masks ---- */

typedef struct {
    uint64_t key[2], first;
    uint32_t purpose, drawn;
} drawn_mask;

static drawn_mask *masks; /* a hash table; an entry that was never drawn is free */
static const size_t mask_places = (size_t)1 << 23;
static size_t mask_count;

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static uint64_t draw(void *arg, const prg_key *key, uint32_t purpose, uint64_t index) {
    (void)arg;
    drawn_mask m = {.first = index, .purpose = purpose};
    memcpy(m.key, key->round_keys, 16);
    const uint64_t value =
        mix(mix(mix(m.key[0]) ^ m.key[1]) ^ mix(index) ^ (uint64_t)purpose << 32);
    size_t at = value % mask_places;
    while (masks[at].drawn && (memcmp(masks[at].key, m.key, 16) != 0 || masks[at].first != index ||
                               masks[at].purpose != purpose))
        at = (at + 1) % mask_places;
    if (!masks[at].drawn && ++mask_count > mask_places * 3 / 4) {
        fprintf(stderr, "too many masks for the table\n");
        exit(2);
    }
    m.drawn = masks[at].drawn + 1;
    masks[at] = m;
    return value;
}

/* But for orders, which rows of the same name are to share. */
static void check_masks(void) {
    if (!mask_count)
        fail("no masks", 0, 0, 0, 1);
    for (size_t i = 0; i < mask_places; i++)
        if (masks[i].drawn && masks[i].drawn != 2 && masks[i].purpose != REP3_SHUFFLE_ORDER)
            fail("times that a mask is drawn", masks[i].purpose, masks[i].first, masks[i].drawn, 2);
}
#endif

/* ---- values and their sharings ---- */

typedef struct {
    size_t n;
    void *c[3]; /* components */
    word *x;
} vec;

static void put(void *a, size_t i, word x) {
    if (BITS == 64)
        ((uint64_t *)a)[i] = (uint64_t)x;
    else
        ((word *)a)[i] = x;
}

static word get(const void *a, size_t i) {
    return BITS == 64 ? ((const uint64_t *)a)[i] : ((const word *)a)[i];
}

static word rnd_word(void) {
    return mask((word)rnd() << 64 | rnd());
}

static void *words(size_t n) {
    return calloc(n + 1, 16);
}

/* magnitude: bits of random values; edge values come first. */
static vec new_vec(size_t n, unsigned magnitude) {
    vec v = {n, {words(n), words(n), words(n)}, words(n)};
    const word top = (word)1 << (magnitude - 1);
    const word edge[] = {0,          1,
                         (word)-1,   top - 1,
                         -(top - 1), top / 2,
                         -top / 2,   2,
                         (word)-2,   (word)1 << (magnitude / 2),
                         65536,      (word)-65536,
                         32768,      (word)-32768,
                         32767};
    for (size_t i = 0; i < n; i++) {
        word x =
            i < sizeof edge / sizeof *edge ? edge[i] : ((word)rnd() << 64 | rnd()) & (2 * top - 1);
        x = (word)((sword)(x << (128 - magnitude)) >> (128 - magnitude));
        v.x[i] = mask(x);
        const word a = rnd_word(), b = rnd_word();
        put(v.c[0], i, a);
        put(v.c[1], i, b);
        put(v.c[2], i, x - a - b);
    }
    return v;
}

static vec empty_vec(size_t n) {
    vec v = {n, {words(n), words(n), words(n)}, words(n)};
    for (unsigned c = 0; c < 3; c++)
        memset(v.c[c], 0xA5, n * 16);
    return v;
}

static void free_vec(vec *v) {
    for (unsigned c = 0; c < 3; c++)
        free(v->c[c]);
    free(v->x);
}

/* A register's components at each party; results have their own arrays a party. */
typedef struct {
    vec own[2];
} result;

static void set(seq_reg reg[3][SEQ_MAX_OPERANDS], unsigned i, const vec *v) {
    for (unsigned p = 0; p < 3; p++) {
        reg[p][i].c[0] = v->c[p];
        reg[p][i].c[1] = v->c[(p + 1) % 3];
    }
}

static result set_result(seq_reg reg[3][SEQ_MAX_OPERANDS], unsigned i, size_t n) {
    result r = {{empty_vec(n), empty_vec(n)}};
    for (unsigned p = 0; p < 3; p++)
        for (unsigned c = 0; c < 2; c++)
            reg[p][i].c[c] = r.own[c].c[p];
    return r;
}

static void fail(const char *what, size_t n, size_t i, word got, word expected) {
    if (failures++ < 40)
        printf("FAILED %s ring %u n %zu element %zu: got %016llx%016llx expected %016llx%016llx\n",
               what, BITS, n, i, (unsigned long long)(got >> 64), (unsigned long long)got,
               (unsigned long long)(expected >> 64), (unsigned long long)expected);
}

/* The value of a result word; both holders must agree on each component. */
static word value(const result *r, size_t i, const char *what) {
    word x = 0;
    for (unsigned p = 0; p < 3; p++) {
        const word own = get(r->own[0].c[p], i), other = get(r->own[1].c[(p + 2) % 3], i);
        if (own != other)
            fail(what, r->own[0].n, i, own, other);
        x += own;
    }
    return mask(x);
}

static unsigned bit_value(const result *r, size_t plane, size_t i, const char *what) {
    unsigned x = 0;
    for (unsigned p = 0; p < 3; p++) {
        const uint64_t *own = r->own[0].c[p], *other = r->own[1].c[(p + 2) % 3];
        const size_t at = plane + i / 64;
        const unsigned a = own[at] >> i % 64 & 1, b = other[at] >> i % 64 & 1;
        if (a != b)
            fail(what, r->own[0].n, i, a, b);
        x ^= a;
    }
    return x;
}

static void free_result(result *r) {
    free_vec(&r->own[0]);
    free_vec(&r->own[1]);
}

/* ---- one call ---- */

#ifndef SEQ_TEST
static uint64_t hash_messages(void) {
    uint64_t h = 0;
    for (const message *m = E.first; m; m = m->next)
        for (size_t i = 0; i < m->bytes; i++)
            h = (h ^ m->data[i]) * 0x100000001B3;
    return h;
}
#endif

static void call(const char *what, uint16_t op, const int64_t *arg,
                 seq_reg reg[3][SEQ_MAX_OPERANDS], size_t n) {
#ifndef SEQ_TEST /* which counts masks: once, then, with nothing in memory that matters */
    E.fill = 0xFF;
    if (engine_call(&E, op, arg, reg) != 0)
        fail(what, n, 0, 0, 0);
    const uint64_t hash = hash_messages();
    E.instance--;
    E.fill = 0;
#endif
    if (engine_call(&E, op, arg, reg) != 0)
        fail(what, n, 0, 0, 0);
#ifndef SEQ_TEST
    if (hash_messages() != hash)
        fail("messages show what memory held before", n, op, 0, 0);
#endif
    /* With fewer than three blocks some thirds are empty and a chain may be shorter. */
    if (E.rounds < E.depth || (n > 128 && E.rounds != E.depth))
        fail("rounds", n, op, E.depth, E.rounds);
    if (costs) {
        printf("{\"name\":\"%s\",\"ring\":%u,\"rounds\":%u,\"args\":[", what, BITS, E.rounds);
        for (unsigned i = 0; i < SEQ_MAX_OPERANDS; i++)
            printf("%s%lld", i ? "," : "", (long long)arg[i]);
        printf("],\"party\":%d,\"owner\":%u,\"sent\":[", E.output_party, E.input_party);
        for (unsigned p = 0; p < 3; p++)
            printf("%s[%llu,%llu,%llu]", p ? "," : "", (unsigned long long)E.sent[p][0],
                   (unsigned long long)E.sent[p][1], (unsigned long long)E.sent[p][2]);
        printf("]}\n");
    }
}

#define BEGIN                                                                                      \
    int64_t arg[SEQ_MAX_OPERANDS] = {0};                                                           \
    seq_reg reg[3][SEQ_MAX_OPERANDS];                                                              \
    memset(reg, 0, sizeof reg)

static void check_rounding(const char *what, const result *d, size_t i, word z, unsigned m,
                           unsigned mode) {
    const word got = value(d, i, what);
    const sword s = sign(z);
    const sword nearest = m ? (s >> m) + (s >> (m - 1) & 1) : s;
    if (mode || m == 0) {
        if (sign(got) != nearest)
            fail(what, d->own[0].n, i, got, mask((word)nearest));
    } else if (sign(got) != s >> m && sign(got) != (s >> m) + 1) {
        fail(what, d->own[0].n, i, got, mask((word)(s >> m)));
    }
}

static void test_mul(size_t n, unsigned m, unsigned mode, int sum) {
    BEGIN;
    const unsigned size = m ? BITS / 2 - 2 : BITS / 2;
    vec a = new_vec(n, size), b = new_vec(n, size), e = new_vec(n, BITS - 3);
    set(reg, SEQ_ARG_MUL_a, &a);
    set(reg, SEQ_ARG_MUL_b, &b);
    set(reg, SEQ_ARG_MUL_ADD_e, &e); /* no operand of mul: it must not look at it */
    result d = set_result(reg, SEQ_ARG_MUL_d, n);
    arg[SEQ_ARG_MUL_n] = (int64_t)n;
    arg[SEQ_ARG_MUL_m] = m;
    arg[SEQ_ARG_MUL_mode] = mode;
    call(sum ? "mul_add" : "mul", sum ? SEQ_OP_MUL_ADD : SEQ_OP_MUL, arg, reg, n);
    for (size_t i = 0; i < n; i++) {
        const word z = a.x[i] * b.x[i] + (sum ? e.x[i] : 0);
        check_rounding(sum ? "mul_add" : "mul", &d, i, mask(z), m, mode);
    }
    free_vec(&a);
    free_vec(&b);
    free_vec(&e);
    free_result(&d);
}

static void test_trunc(size_t n, unsigned m, unsigned mode) {
    BEGIN;
    vec a = new_vec(n, BITS - 1);
    set(reg, SEQ_ARG_TRUNC_a, &a);
    result d = set_result(reg, SEQ_ARG_TRUNC_d, n);
    arg[SEQ_ARG_TRUNC_n] = (int64_t)n;
    arg[SEQ_ARG_TRUNC_m] = m;
    arg[SEQ_ARG_TRUNC_mode] = mode;
    call("trunc", SEQ_OP_TRUNC, arg, reg, n);
    for (size_t i = 0; i < n; i++)
        check_rounding("trunc", &d, i, a.x[i], m, mode);
    free_vec(&a);
    free_result(&d);
}

static void test_matmul(size_t M, size_t K, size_t N, unsigned m, unsigned mode, int ta, int tb) {
    BEGIN;
    vec a = new_vec(M * K, 20), b = new_vec(K * N, 20);
    set(reg, SEQ_ARG_MATMUL_a, &a);
    set(reg, SEQ_ARG_MATMUL_b, &b);
    result d = set_result(reg, SEQ_ARG_MATMUL_d, M * N);
    const int64_t sizes[] = {(int64_t)M, (int64_t)K, (int64_t)N, ta, tb, m, mode};
    memcpy(arg + SEQ_ARG_MATMUL_M, sizes, sizeof sizes);
    call("matmul", SEQ_OP_MATMUL, arg, reg, M * N);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            word z = 0;
            for (size_t k = 0; k < K; k++)
                z += a.x[ta ? k * M + i : i * K + k] * b.x[tb ? j * K + k : k * N + j];
            check_rounding("matmul", &d, i * N + j, mask(z), m, mode);
        }
    free_vec(&a);
    free_vec(&b);
    free_result(&d);
}

static void test_compare(size_t n, unsigned bits, uint16_t op) {
    BEGIN;
    const char *what = op == SEQ_OP_LTZ ? "ltz" : op == SEQ_OP_EQZ ? "eqz" : "a2b";
    vec a = new_vec(n, bits > 2 ? bits : 2);
    const unsigned planes = op == SEQ_OP_A2B ? bits : 1;
    const size_t stride = bits_plane_words(n);
    set(reg, SEQ_ARG_LTZ_a, &a);
    result d = set_result(reg, SEQ_ARG_LTZ_d, planes * stride);
    arg[SEQ_ARG_LTZ_n] = (int64_t)n;
    arg[SEQ_ARG_LTZ_bits] = bits;
    call(what, op, arg, reg, n);
    for (unsigned p = 0; p < planes; p++)
        for (size_t i = 0; i < n; i++) {
            unsigned expected = (unsigned)(a.x[i] >> p & 1);
            if (op == SEQ_OP_LTZ)
                expected = (unsigned)(a.x[i] >> (bits - 1) & 1);
            if (op == SEQ_OP_EQZ)
                expected = (word)(a.x[i] << (128 - bits)) == 0;
            const unsigned got = bit_value(&d, p * stride, i, what);
            if (got != expected)
                fail(what, n, i * 1000 + bits, got, expected);
        }
    free_vec(&a);
    free_result(&d);
}

/* Random planes: each party's arrays as in a register file. */
static vec new_bits(size_t n, size_t planes) {
    const size_t all = planes * bits_plane_words(n);
    vec v = {n, {words(all), words(all), words(all)}, words(all)};
    uint64_t *x = (uint64_t *)v.x;
    for (size_t i = 0; i < all; i++) {
        uint64_t *c[3] = {v.c[0], v.c[1], v.c[2]};
        x[i] = rnd();
        c[0][i] = rnd();
        c[1][i] = rnd();
        c[2][i] = x[i] ^ c[0][i] ^ c[1][i];
    }
    return v;
}

static unsigned clear_bit(const vec *v, size_t plane, size_t i) {
    return ((const uint64_t *)v->x)[plane * bits_plane_words(v->n) + i / 64] >> i % 64 & 1;
}

static void test_and(size_t n, size_t planes) {
    BEGIN;
    vec a = new_bits(n, planes), b = new_bits(n, planes);
    set(reg, SEQ_ARG_AND_a, &a);
    set(reg, SEQ_ARG_AND_b, &b);
    result d = set_result(reg, SEQ_ARG_AND_d, planes * bits_plane_words(n));
    arg[SEQ_ARG_AND_p] = (int64_t)planes;
    arg[SEQ_ARG_AND_n] = (int64_t)n;
    call("and", SEQ_OP_AND, arg, reg, n);
    for (size_t p = 0; p < planes; p++)
        for (size_t i = 0; i < n; i++) {
            const unsigned expected = clear_bit(&a, p, i) & clear_bit(&b, p, i);
            const unsigned got = bit_value(&d, p * bits_plane_words(n), i, "and");
            if (got != expected)
                fail("and", n, i, got, expected);
        }
    free_vec(&a);
    free_vec(&b);
    free_result(&d);
}

static void test_select(size_t n) {
    BEGIN;
    vec a = new_vec(n, BITS), b = new_bits(n, 1);
    set(reg, SEQ_ARG_SELECT_a, &a);
    set(reg, SEQ_ARG_SELECT_b, &b);
    result d = set_result(reg, SEQ_ARG_SELECT_d, n);
    arg[SEQ_ARG_SELECT_n] = (int64_t)n;
    call("select", SEQ_OP_SELECT, arg, reg, n);
    for (size_t i = 0; i < n; i++) {
        const word expected = clear_bit(&b, 0, i) ? a.x[i] : 0, got = value(&d, i, "select");
        if (got != expected)
            fail("select", n, i, got, expected);
    }
    free_vec(&a);
    free_vec(&b);
    free_result(&d);
}

/* select_keep, and two selections by what it kept. */
static void test_select_kept(size_t n) {
    BEGIN;
    vec b = new_bits(n, 1);
    result k = set_result(reg, SEQ_ARG_SELECT_KEPT_k, n);
    set(reg, SEQ_ARG_SELECT_KEPT_b, &b);
    arg[SEQ_ARG_SELECT_KEPT_n] = (int64_t)n;
    for (unsigned round = 0; round < 3; round++) {
        const char *what = round ? "select_kept" : "select_keep";
        vec a = new_vec(n, BITS);
        set(reg, SEQ_ARG_SELECT_KEPT_a, &a);
        result d = set_result(reg, SEQ_ARG_SELECT_KEPT_d, n);
        call(what, round ? SEQ_OP_SELECT_KEPT : SEQ_OP_SELECT_KEEP, arg, reg, n);
        for (size_t i = 0; i < n; i++) {
            const word expected = clear_bit(&b, 0, i) ? a.x[i] : 0, got = value(&d, i, what);
            if (got != expected)
                fail(what, n, i, got, expected);
        }
        free_vec(&a);
        free_result(&d);
    }
    free_vec(&b);
    free_result(&k);
}

static void test_b2a(size_t n, size_t planes) {
    BEGIN;
    vec a = new_bits(n, planes);
    set(reg, SEQ_ARG_B2A_a, &a);
    result d = set_result(reg, SEQ_ARG_B2A_d, planes * n);
    arg[SEQ_ARG_B2A_p] = (int64_t)planes;
    arg[SEQ_ARG_B2A_n] = (int64_t)n;
    call("b2a", SEQ_OP_B2A, arg, reg, n);
    for (size_t p = 0; p < planes; p++)
        for (size_t i = 0; i < n; i++) {
            const word got = value(&d, p * n + i, "b2a");
            if (got != clear_bit(&a, p, i))
                fail("b2a", n, i, got, clear_bit(&a, p, i));
        }
    free_vec(&a);
    free_result(&d);
}

/* Words of bits go out whole, but what lies past the last element is nobody's business. */
static void check_tails(size_t n, size_t planes) {
    for (const message *m = E.first; m; m = m->next) {
        const size_t words = m->bytes / 8 / planes, first = (size_t)m->chunk * 3 * REP3_CHUNK * 64;
        const size_t last = n - first - 64 * (words - 1); /* elements in the last word */
        for (size_t p = 0; p < planes && last < 64; p++) {
            uint64_t w;
            memcpy(&w, m->data + (p * words + words - 1) * 8, 8);
            if (w >> last)
                fail("bits past the last element sent", n, p, w >> last, 0);
        }
    }
}

static void test_open(size_t n, size_t planes, int to, uint16_t op) {
    BEGIN;
    const int bits = op == SEQ_OP_OPENB || op == SEQ_OP_OUTPUTB;
    const int output = op == SEQ_OP_OUTPUT || op == SEQ_OP_OUTPUTB;
    vec a = bits ? new_bits(n, planes) : new_vec(n, BITS);
    vec d = empty_vec(n);
    E.output_party = to;
    for (unsigned p = 0; p < 3; p++) {
        E.output[p] = d.c[p];
        reg[p][1].c[0] = d.c[p];
    }
    set(reg, 2, &a);
    if (bits)
        arg[3] = (int64_t)planes;
    arg[bits ? 4 : 3] = (int64_t)n;
    if (output) /* its operands are h, out, a, ...: the same places */
        for (unsigned p = 0; p < 3; p++)
            reg[p][1].c[0] = NULL;
    call(op == SEQ_OP_OPEN     ? "open"
         : op == SEQ_OP_OPENB  ? "openb"
         : op == SEQ_OP_OUTPUT ? "output"
                               : "outputb",
         op, arg, reg, n);
    for (unsigned p = 0; p < 3; p++)
        for (size_t i = 0; i < n && (to < 0 || to == (int)p); i++) {
            word expected = bits ? 0 : a.x[i];
            for (size_t l = 0; bits && l < planes; l++)
                expected |= (word)clear_bit(&a, l, i) << l;
            if (get(d.c[p], i) != expected)
                fail("open", n, i, get(d.c[p], i), expected);
        }
    if (bits)
        check_tails(n, planes);
    E.output_party = -1;
    free_vec(&a);
    free_vec(&d);
}

static void test_input(size_t n, unsigned owner) {
    BEGIN;
    vec a = new_vec(n, BITS);
    void *x = words(n);
    for (size_t i = 0; i < n; i++)
        put(x, i, a.x[i]);
    E.input = x;
    E.input_party = owner;
    result d = set_result(reg, SEQ_ARG_INPUT_d, n);
    arg[SEQ_ARG_INPUT_n] = (int64_t)n;
    call("input", SEQ_OP_INPUT, arg, reg, n);
    for (size_t i = 0; i < n; i++)
        if (value(&d, i, "input") != a.x[i])
            fail("input", n, i, value(&d, i, "input"), a.x[i]);
    E.input_party = 0;
    free(x);
    free_vec(&a);
    free_result(&d);
}

static void test_randbit(size_t n, size_t planes) {
    BEGIN;
    result d = set_result(reg, SEQ_ARG_RANDBIT_d, planes * bits_plane_words(n));
    arg[SEQ_ARG_RANDBIT_p] = (int64_t)planes;
    arg[SEQ_ARG_RANDBIT_n] = (int64_t)n;
    call("randbit", SEQ_OP_RANDBIT, arg, reg, n);
    size_t ones = 0;
    for (size_t p = 0; p < planes; p++)
        for (size_t i = 0; i < n; i++)
            ones += bit_value(&d, p * bits_plane_words(n), i, "randbit");
    if (n * planes > 10000 && (ones < n * planes * 45 / 100 || ones > n * planes * 55 / 100))
        fail("randbit", n, 0, ones, n * planes / 2);
    free_result(&d);
}

/* More elements than one key may mask: refused before anything is touched. */
static void test_too_many(void) {
    BEGIN;
    arg[SEQ_ARG_SELECT_n] = (int64_t)REP3_MAX_ELEMENTS + 1;
    if (engine_call(&E, SEQ_OP_SELECT, arg, reg) == 0 || E.first)
        fail("too many elements", REP3_MAX_ELEMENTS + 1, 0, 0, 0);
    arg[SEQ_ARG_B2A_p] = 3;
    arg[SEQ_ARG_B2A_n] = (int64_t)REP3_MAX_ELEMENTS / 2;
    if (engine_call(&E, SEQ_OP_B2A, arg, reg) == 0 || E.first)
        fail("too many bits", REP3_MAX_ELEMENTS / 2, 0, 0, 0);
}

/* The rows of v in the order of that name; row i of the result is row order[i] of v. */
static void shuffled(vec *v, size_t n, uint64_t name, size_t *order) {
    BEGIN;
    const size_t len = v->n / (n ? n : 1);
    set(reg, SEQ_ARG_SHUFFLE_a, v);
    result d = set_result(reg, SEQ_ARG_SHUFFLE_d, v->n);
    uint64_t words[2] = {name, 0};
    for (unsigned p = 0; p < 3; p++)
        reg[p][SEQ_ARG_SHUFFLE_order].c[0] = words;
    arg[SEQ_ARG_SHUFFLE_n] = (int64_t)n;
    arg[SEQ_ARG_SHUFFLE_len] = (int64_t)len;
    call("shuffle", SEQ_OP_SHUFFLE, arg, reg, 1000); /* no thirds: all rounds at any size */
    for (size_t i = 0; i < n; i++) {
        if (len == 1)
            order[i] = (size_t)value(&d, i, "shuffle");
        if (order[i] >= n)
            fail("a row that is none", n, i, order[i], n);
        for (size_t j = 0; order[i] < n && j < len; j++)
            if (value(&d, i * len + j, "shuffle") != v->x[order[i] * len + j])
                fail("shuffle", n, i, value(&d, i * len + j, "shuffle"), v->x[order[i] * len + j]);
    }
    free_result(&d);
}

/* Numbers tell the order, which moves rows of the same name alike. */
static void test_shuffle(size_t n, size_t len) {
    static uint64_t name = 1000;
    size_t *order = calloc(n + 1, sizeof *order), *other = calloc(n + 1, sizeof *order), same = 0;
    unsigned char *seen = calloc(n + 1, 1);
    vec numbers = new_vec(n, BITS), rows = new_vec(n * len, BITS);
    for (size_t i = 0; i < n; i++) {
        put(numbers.c[0], i, get(numbers.c[0], i) + i - numbers.x[i]);
        numbers.x[i] = i;
    }
    shuffled(&numbers, n, ++name, order);
    if (len > 1)
        shuffled(&rows, n, name, order);
    shuffled(&numbers, n, ++name, other);
    for (size_t i = 0; i < n; i++) {
        same += order[i] == other[i];
        if (order[i] < n && seen[order[i]]++)
            fail("a row twice", n, i, order[i], 0);
    }
    if (n > 20 && same > n / 2)
        fail("orders of two names are alike", n, 0, same, 0);
    free(order), free(other), free(seen);
    free_vec(&numbers);
    free_vec(&rows);
}

static void test_size(size_t n) {
    const unsigned ms[] = {1, 7, 8, 16, 17, 23, 32, 40, BITS - 3, BITS - 2};
    for (unsigned i = 0; i < sizeof ms / sizeof *ms; i++)
        for (unsigned mode = 0; mode < 2; mode++) {
            test_mul(n, ms[i], mode, 0);
            test_mul(n, ms[i], mode, 1);
            test_trunc(n, ms[i], mode);
        }
    test_mul(n, 0, 0, 0);
    test_mul(n, 0, 0, 1);
    const unsigned bits[] = {1,  2,  4,  5,  6,  8,  9,  10,       16,
                             17, 31, 32, 33, 47, 63, 64, BITS - 1, BITS};
    for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++) {
        test_compare(n, bits[i], SEQ_OP_LTZ);
        test_compare(n, bits[i], SEQ_OP_EQZ);
        test_compare(n, bits[i], SEQ_OP_A2B);
    }
    for (size_t planes = 1; planes <= 5; planes += 2) {
        test_and(n, planes);
        test_b2a(n, planes);
        test_randbit(n, planes);
        test_open(n, planes, -1, SEQ_OP_OPENB);
        test_open(n, planes, (int)planes / 2, SEQ_OP_OUTPUTB);
    }
    test_select(n);
    test_select_kept(n);
    test_open(n, 0, -1, SEQ_OP_OPEN);
    for (int to = -1; to < 3; to++)
        test_open(n, 0, to, SEQ_OP_OUTPUT);
    for (unsigned owner = 0; owner < 3; owner++)
        test_input(n, owner);
    for (size_t len = 1; len <= 9; len += 4)
        test_shuffle(n, len);
}

int main(int argc, char **argv) {
    costs = argc > 1 && strcmp(argv[1], "costs") == 0;
#ifdef SEQ_TEST
    masks = calloc(mask_places, sizeof *masks);
    if (!masks)
        return 2;
    prg_set_script(draw, NULL);
#endif
    const size_t sizes[] = {1, 2, 63, 64, 65, 127, 128, 129, 191, 193, 1000};
    for (BITS = 64; BITS <= 128; BITS += 64) {
        if (engine_init(&E, &protocol_rep3, 3, BITS, ring_select(BITS), bits_select()) != 0)
            return 2;
        E.output_party = -1;
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
            test_size(sizes[i]);
        for (unsigned m = 0; m <= 16; m += 8)
            for (int flags = 0; flags < 8; flags++)
                test_matmul(5, 7, 41, m, m ? flags >> 2 : 0, flags & 1, flags >> 1 & 1);
        const size_t large = 3 * 64 * REP3_CHUNK + 12345; /* two chunks, unequal */
        test_mul(large, 16, 0, 0);
        test_mul(large, 16, 0, 1);
        test_mul(large, 16, 1, 0);
        test_mul(large, 16, 1, 1);
        test_mul(large, 0, 0, 0);
        test_mul(large, 0, 0, 1);
        test_compare(large, 32, SEQ_OP_LTZ);
        test_select(large);
        test_select_kept(large);
        test_b2a(large, 2);
        test_and(large, 2);
        test_open(large, 3, -1, SEQ_OP_OPENB);
#ifndef SEQ_TEST /* each task draws the order */
        test_shuffle(2000, 300);
#endif
        test_too_many(); /* last: the parties have failed */
        engine_free(&E);
#ifdef SEQ_TEST
        check_masks();
        memset(masks, 0, mask_places * sizeof *masks);
        mask_count = 0;
#endif
    }
    if (!costs)
        printf(failures ? "%u failures\n" : "all well\n", failures);
    return failures != 0;
}
