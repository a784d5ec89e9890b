/* semi2k: orders as layers of small ones, and rows in a secret order from punctured trees. See
 * semi2k.h.
 *
 * A tree of seeds has a leaf for each row of a block. Its owner has all of it; the party that has
 * the order lacks, in the tree of row p of the result, the leaf of the row that it takes. */

#include "semi2k.h"

enum { BLOCKS = 256, LEAVES = 1 << SEMI2K_TREE_DEPTH, NONE = UINT32_MAX };

typedef uint64_t node[2];

/* ---- orders ---- */

static unsigned bits_of(size_t n) { /* 2^that >= n */
    unsigned bits = 0;
    while (((size_t)1 << bits) < n)
        bits++;
    return bits;
}

static semi2k_layer layer_of(size_t blocks, size_t size, size_t apart, size_t step) {
    const unsigned depth = bits_of(size);
    return (semi2k_layer){blocks, size, apart, step, depth ? depth : 1};
}

void semi2k_network_of(semi2k_network *x, size_t n) {
    *x = (semi2k_network){.rows = n, .layers = 1, .layer = {layer_of(1, n, n, 1)}};
    if (n > SEMI2K_BLOCK) {
        const size_t wide = (size_t)1 << (bits_of(n) + 1) / 2, high = (n + wide - 1) / wide;
        x->rows = wide * high;
        x->layers = 3;
        x->layer[0] = x->layer[2] = layer_of(high, wide, wide, 1);
        x->layer[1] = layer_of(wide, high, 1, wide);
    }
    x->words = (x->rows + 63) / 64;
}

/* Edges are rows, from the block they are taken from (side 0) to the block they go to. Of the edges
 * of a vertex that have one colour, each gets a mate. */
static void pair_up(const uint32_t *order, const semi2k_network *x, unsigned side,
                    const uint32_t *colour, uint32_t *last, uint32_t *mate) {
    const size_t wide = x->layer[0].size, high = x->layer[0].blocks;
    memset(last, 0xFF, x->rows * sizeof *last);
    for (size_t e = 0; e < x->rows; e++) {
        const size_t vertex = (side ? e : order[e]) / wide;
        uint32_t *waits = &last[colour[e] * high + vertex];
        if (*waits == NONE) {
            *waits = (uint32_t)e;
            continue;
        }
        mate[e] = *waits;
        mate[*waits] = (uint32_t)e;
        *waits = NONE;
    }
}

/* A colour below `wide` for each edge: no two of a vertex alike. Colours are cut in halves along
 * cycles of mates, whose edges alternate. */
static void paint(const uint32_t *order, const semi2k_network *x, uint32_t *colour,
                  uint32_t *scratch) {
    uint32_t *last = scratch, *from = last + x->rows, *to = from + x->rows, *half = to + x->rows;
    memset(colour, 0, x->rows * sizeof *colour);
    for (size_t left = x->layer[0].size; left > 1; left /= 2) {
        pair_up(order, x, 0, colour, last, from);
        pair_up(order, x, 1, colour, last, to);
        memset(half, 0xFF, x->rows * sizeof *half);
        for (size_t e = 0; e < x->rows; e++)
            for (size_t f = e; half[f] == NONE; f = to[from[f]]) {
                half[f] = 0;
                half[from[f]] = 1;
            }
        for (size_t e = 0; e < x->rows; e++)
            colour[e] = 2 * colour[e] + half[e];
    }
}

void semi2k_route(const semi2k_network *x, uint32_t *order, size_t n, uint32_t *scratch,
                  uint32_t *const layer[3]) {
    if (x->layers == 1) {
        memcpy(layer[0], order, n * sizeof *order);
        return;
    }
    const size_t wide = x->layer[0].size, high = x->layer[0].blocks;
    uint32_t *colour = scratch;
    for (size_t p = n; p < x->rows; p++)
        order[p] = (uint32_t)p;
    paint(order, x, colour, scratch + x->rows);
    for (size_t p = 0; p < x->rows; p++) {
        const size_t from = order[p] / wide, to = p / wide, c = colour[p];
        layer[0][from * wide + c] = (uint32_t)(order[p] % wide);
        layer[1][c * high + to] = (uint32_t)from;
        layer[2][p] = (uint32_t)c;
    }
}

void semi2k_order_choices(const semi2k_network *x, unsigned layer, const uint32_t *order,
                          unsigned level, uint64_t *plane) {
    const unsigned shift = x->layer[layer].depth - 1 - level;
    memset(plane, 0, x->words * 8);
    for (size_t i = 0; i < x->rows; i++)
        plane[i / 64] |= (uint64_t)(~order[i] >> shift & 1) << i % 64;
}

/* ---- trees ---- */

/* The next level, in place: P(s + b) + s + b for both b, P a public permutation [Guo2020]. */
static void grow(const prg_key *key, node *x, size_t count, node *t) {
    for (size_t j = 0; j < count; j++)
        for (unsigned b = 0; b < 2; b++) {
            t[2 * j + b][0] = x[j][0] ^ b;
            t[2 * j + b][1] = x[j][1];
        }
    prg_permute(key, t[0], 2 * count);
    for (size_t j = count; j-- > 0;) {
        const node s = {x[j][0], x[j][1]};
        for (unsigned b = 0; b < 2; b++) {
            x[2 * j + b][0] = t[2 * j + b][0] ^ s[0] ^ b;
            x[2 * j + b][1] = t[2 * j + b][1] ^ s[1];
        }
    }
}

/* x += and y -= what the leaves but `hole` give, `len` words each: x and y move on by a number of
 * words with each leaf. Word 2 i of leaf s is the first half of P(s + 2 + i) + s + 2 + i. */
static void spread(const prg_key *key, const node *leaf, size_t leaves, size_t hole, size_t len,
                   uint64_t *x, size_t x_step, uint64_t *y, size_t y_step) {
    node out[BLOCKS];
    const size_t all = (len + 1) / 2, piece = all < BLOCKS ? all : BLOCKS;
    const size_t batch = piece ? BLOCKS / piece : 1;
    for (size_t at = 0, n; at < all; at += n) {
        n = all - at < piece ? all - at : piece;
        const size_t words = len - 2 * at < 2 * n ? len - 2 * at : 2 * n;
        for (size_t q = 0, count; q < leaves; q += count) {
            count = leaves - q < batch ? leaves - q : batch;
            for (size_t i = 0; i < count * n; i++) {
                out[i][0] = leaf[q + i / n][0] ^ (2 + at + i % n);
                out[i][1] = leaf[q + i / n][1];
            }
            prg_permute(key, out[0], count * n);
            for (size_t i = 0; i < count; i++) {
                if (q + i == hole)
                    continue;
                uint64_t *to = x + (q + i) * x_step + 2 * at, *off = y + (q + i) * y_step + 2 * at;
                for (size_t w = 0; w < words; w++) {
                    const uint64_t tweak = w & 1 ? 0 : 2 + at + w / 2;
                    const uint64_t v = out[i * n + w / 2][w & 1] ^ leaf[q + i][w & 1] ^ tweak;
                    to[w] += v;
                    off[w] -= v;
                }
            }
        }
    }
    prg_wipe(out, sizeof out);
}

void semi2k_hold_block(const semi2k_layer *l, size_t block, const prg_key *key,
                       const uint64_t *roots, size_t trees, uint64_t *sums, size_t len,
                       uint64_t *rows, uint64_t *message) {
    node x[LEAVES], t[LEAVES];
    const size_t base = block * l->apart * len, step = l->step * len;
    for (size_t i = 0; i < l->size; i++) {
        memcpy(message + base + i * step, rows + base + i * step, len * 8);
        memset(rows + base + i * step, 0, len * 8);
    }
    for (size_t i = 0; i < l->size; i++) {
        const size_t tree = block * l->size + i;
        memcpy(x[0], roots + 2 * tree, sizeof(node));
        for (unsigned level = 0; level < l->depth; level++) {
            uint64_t *sum = sums + 4 * (level * trees + tree);
            memset(sum, 0, 32);
            grow(key, x, (size_t)1 << level, t);
            for (size_t j = 0; j < (size_t)4 << level; j++)
                sum[j & 3] ^= x[j / 2][j & 1];
        }
        spread(key, x, l->size, NONE, len, rows + base + i * step, 0, message + base, step);
    }
    prg_wipe(x, sizeof x);
    prg_wipe(t, sizeof t);
}

void semi2k_take_block(const semi2k_layer *l, size_t block, const prg_key *key,
                       const uint32_t *order, size_t trees, const uint64_t *sums,
                       const uint64_t *pads, size_t pads_apart, size_t len, uint64_t *rows,
                       uint64_t *out) {
    node x[LEAVES], t[LEAVES];
    const size_t base = block * l->apart * len, step = l->step * len;
    for (size_t i = 0; i < l->size; i++) {
        const size_t tree = block * l->size + i, hole = order[tree];
        memset(x[0], 0, sizeof(node));
        for (unsigned level = 0; level < l->depth; level++) {
            const size_t other = (hole >> (l->depth - 1 - level)) ^ 1, side = other & 1;
            grow(key, x, (size_t)1 << level, t);
            memset(x[other], 0, sizeof(node));
            for (unsigned h = 0; h < 2; h++) {
                uint64_t sum = sums[4 * (level * trees + tree) + 2 * side + h];
                sum ^= pads[level * pads_apart + 2 * tree + h];
                for (size_t j = side; j < (size_t)2 << level; j += 2)
                    sum ^= x[j][h];
                x[other][h] = sum;
            }
        }
        spread(key, x, l->size, hole, len, rows + base, step, out + base + i * step, 0);
    }
    prg_wipe(x, sizeof x);
    prg_wipe(t, sizeof t);
}
