/* rep3's shuffle over all of its randomness: `rep3_order SAMPLES`.
 *
 * Elements are multiples of 2^(64 - bits), a subgroup of the ring like Z_{2^bits}, so that the code
 * for 2^64 runs as it is; its masks and orders come from a script. For every corrupt party what it
 * knows itself is sampled (its input components, the masks and orders it shares with the others),
 * and all values of what it does not know are enumerated: the third component of the rows, the
 * masks and the order that the other two share. Checked are that both holders of a component agree,
 * that the result holds the rows in the order that the three hops make, that every order of the
 * result is equally frequent, and that what the party receives is, over the others' masks, the same
 * for every such order and for all rows it does not know. Prints one line a size and party. */

#include "../protocols/rep3.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

extern const seq_protocol protocol_rep3;

enum { MOST = 4 };

static engine E;
static unsigned rows, bits, corrupt;
static prg_key mask_key[3], order_key[3]; /* by pair of parties i and i + 1 */
static uint64_t hidden;                   /* index of the hidden pair's randomness */
static uint64_t own_seed;

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static unsigned hidden_pair(void) {
    return (corrupt + 1) % 3;
}

static unsigned order_count(void) {
    unsigned count = 1;
    for (unsigned i = 2; i <= rows; i++)
        count *= i;
    return count;
}

static uint64_t hidden_count(void) {
    return (uint64_t)order_count() << (2 * rows * bits);
}

static unsigned pair_of(const prg_key *keys, const prg_key *key) {
    unsigned pair = 0;
    while (pair < 3 && memcmp(key, keys + pair, sizeof *key) != 0)
        pair++;
    return pair;
}

/* Which of the i + 1 places swap `used` takes for a pair. */
static unsigned swap_of(unsigned pair, unsigned used) {
    const unsigned places = rows - used;
    uint64_t rest = hidden % order_count();
    if (pair != hidden_pair())
        return (unsigned)(mix(own_seed + 1000 + 16 * pair + used) % places);
    for (unsigned i = 0; i < used; i++)
        rest /= rows - i;
    return (unsigned)(rest % places);
}

static uint64_t script(void *arg, const prg_key *key, uint32_t purpose, uint64_t word) {
    (void)arg;
    unsigned pair = pair_of(order_key, key);
    if (purpose == REP3_SHUFFLE_ORDER && pair < 3 && word + 1 < rows) {
        const unsigned places = rows - (unsigned)word;
        /* the middle of the words that give this place */
        const uint64_t width = (uint64_t)(((unsigned __int128)1 << 64) / places);
        return width * swap_of(pair, (unsigned)word) + width / 2;
    }
    pair = pair_of(mask_key, key);
    if (pair == 3 || purpose < REP3_SHUFFLE_A || purpose > REP3_SHUFFLE_B || word >= rows) {
        fprintf(stderr, "an unknown stream: purpose %u, word %u\n", purpose, (unsigned)word);
        exit(2);
    }
    const unsigned place = (purpose == REP3_SHUFFLE_B ? rows : 0) + (unsigned)word;
    uint64_t value = mix(own_seed + 64 * pair + place);
    if (pair == hidden_pair())
        value = hidden / order_count() >> (place * bits);
    return value << (64 - bits);
}

static uint64_t components[3][MOST], made[3][2][MOST];

/* One execution; a hash of what the corrupt party got. 0 if it failed. */
static uint64_t execute(void) {
    int64_t arg[SEQ_MAX_OPERANDS] = {0};
    seq_reg reg[3][SEQ_MAX_OPERANDS];
    uint64_t name = 7;
    memset(reg, 0, sizeof reg);
    for (unsigned p = 0; p < 3; p++) {
        reg[p][SEQ_ARG_SHUFFLE_order].c[0] = &name;
        for (unsigned c = 0; c < 2; c++) {
            reg[p][SEQ_ARG_SHUFFLE_a].c[c] = components[(p + c) % 3];
            reg[p][SEQ_ARG_SHUFFLE_d].c[c] = made[p][c];
        }
        prg_derive(&mask_key[p], &E.pair[p], E.instance + 1, 0);
        prg_derive(&order_key[p], &E.program[p], name, REP3_ORDERS);
    }
    arg[SEQ_ARG_SHUFFLE_n] = rows;
    arg[SEQ_ARG_SHUFFLE_len] = 1;
    if (engine_call(&E, SEQ_OP_SHUFFLE, arg, reg) != 0)
        return 0;
    uint64_t hash = 1;
    for (const message *m = E.first; m; m = m->next) {
        if (m->to != corrupt)
            continue;
        hash = mix(hash ^ (m->step * 3 + m->from));
        for (size_t i = 0; i < m->bytes / 8; i++) {
            uint64_t w;
            memcpy(&w, m->data + 8 * i, 8);
            hash = mix(hash ^ w);
        }
    }
    return hash;
}

/* Whether the result is what it must be; its order as a number. */
static int check(unsigned *place) {
    unsigned order[MOST];
    for (unsigned i = 0; i < rows; i++)
        order[i] = i;
    for (unsigned hop = 0; hop < 3; hop++) { /* that of pair `hop`, of what the last one left */
        unsigned step[MOST], before[MOST];
        for (unsigned i = 0; i < rows; i++)
            step[i] = i;
        for (unsigned used = 0; used + 1 < rows; used++) {
            const unsigned last = rows - 1 - used, j = swap_of(hop, used), entry = step[last];
            step[last] = step[j];
            step[j] = entry;
        }
        memcpy(before, order, sizeof before);
        for (unsigned i = 0; i < rows; i++)
            order[i] = before[step[i]];
    }
    *place = 0;
    for (unsigned i = 0; i < rows; i++) {
        uint64_t x = 0, y = 0;
        for (unsigned p = 0; p < 3; p++) {
            x += components[p][order[i]];
            y += made[p][0][i];
            if (made[p][0][i] != made[(p + 2) % 3][1][i])
                return 0;
        }
        if (x != y)
            return 0;
        *place = *place * rows + order[i];
    }
    return 1;
}

/* All hidden randomness and all hidden rows for one sample; 0 if all is well. */
static int test_sample(uint64_t sample) {
    uint64_t views = 0;
    const unsigned inputs = 1u << (rows * bits);
    own_seed = mix(sample * 3 + corrupt + 1);
    for (unsigned input = 0; input < inputs; input++) {
        uint64_t sums[MOST * MOST * MOST * MOST] = {0};
        unsigned counts[MOST * MOST * MOST * MOST] = {0}, place;
        for (unsigned i = 0; i < rows; i++) {
            for (unsigned c = 0; c < 3; c++)
                components[c][i] = mix(own_seed + 5000 + 8 * c + i) << (64 - bits);
            components[(corrupt + 2) % 3][i] = (uint64_t)(input >> (i * bits)) << (64 - bits);
        }
        for (hidden = 0; hidden < hidden_count(); hidden++) {
            const uint64_t hash = execute();
            if (!hash || !check(&place))
                return printf("FAILED party %u: result\n", corrupt);
            counts[place]++;
            sums[place] += mix(hash);
        }
        for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
            if (!counts[i])
                continue;
            if (counts[i] != hidden_count() / order_count())
                return printf("FAILED party %u: orders are not equally frequent\n", corrupt);
            if (views && sums[i] != views)
                return printf("FAILED party %u: what it gets depends on rows or order\n", corrupt);
            views = sums[i];
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    const unsigned sizes[][2] = {{3, 1}, {2, 2}, {1, 2}};
    int bad = 0;
    if (argc != 2 || engine_init(&E, &protocol_rep3, 3, 64, ring_select(64), bits_select()) != 0)
        return 2;
    prg_set_script(script, NULL);
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        rows = sizes[s][0];
        bits = sizes[s][1];
        for (corrupt = 0; corrupt < 3; corrupt++) {
            int wrong = 0;
            for (int i = 0; i < atoi(argv[1]) && !wrong; i++)
                wrong = test_sample((uint64_t)i) != 0;
            if (!wrong)
                printf("party %u: %u rows of %u bits\n", corrupt, rows, bits);
            bad += wrong;
        }
    }
    engine_free(&E);
    return bad != 0;
}
