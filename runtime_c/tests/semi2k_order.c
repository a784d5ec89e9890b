/* Orders of rows in layers, and shares of rows in such an order, without a network: `semi2k_order
 * ROWS LENGTH`. Prints the largest depth of its trees; fails if something is wrong. */
#include <stdio.h>
#include <stdlib.h>

#include "../protocols/semi2k.h"

static prg_key key;

static void *room(size_t bytes) {
    void *p = calloc(1, bytes + 1);
    if (!p)
        exit(2);
    return p;
}

static void check(int ok, const char *what) {
    if (!ok) {
        (void)fprintf(stderr, "semi2k_order: %s\n", what);
        exit(1);
    }
}

/* The right sides' sums, as transfers give them; what was not chosen is made unusable. */
static uint64_t *choose(const semi2k_network *x, unsigned layer, const uint32_t *order,
                        uint64_t *sums) {
    const semi2k_layer *l = &x->layer[layer];
    uint64_t *pads = room(l->depth * x->rows * 16), *plane = room(x->words * 8);
    prg_words(&key, 9, 0, pads, l->depth * x->rows * 2);
    for (unsigned v = 0; v < l->depth; v++) {
        semi2k_order_choices(x, layer, order, v, plane);
        for (size_t i = 0; i < x->rows; i++) {
            const size_t side = plane[i / 64] >> i % 64 & 1;
            uint64_t *sum = sums + 4 * (v * x->rows + i);
            for (unsigned h = 0; h < 2; h++) {
                sum[2 * side + h] ^= pads[2 * (v * x->rows + i) + h];
                sum[2 * !side + h] = 77;
            }
        }
    }
    free(plane);
    return pads;
}

/* One layer: what one holds and another gets add up to the rows in the layer's order. */
static void translate(const semi2k_network *x, unsigned layer, const uint32_t *order, size_t len) {
    const semi2k_layer *l = &x->layer[layer];
    const size_t size = x->rows * len;
    uint64_t *roots = room(x->rows * 16), *sums = room(l->depth * x->rows * 32);
    uint64_t *rows = room(size * 8), *held = room(size * 8), *sent = room(size * 8);
    uint64_t *out = room(size * 8);
    prg_words(&key, 1, 0, roots, 2 * x->rows);
    prg_words(&key, 2, 0, rows, size);
    memcpy(held, rows, size * 8);
    for (size_t b = 0; b < l->blocks; b++)
        semi2k_hold_block(l, b, &key, roots, x->rows, sums, len, held, sent);
    uint64_t *pads = choose(x, layer, order, sums);
    for (size_t b = 0; b < l->blocks; b++) {
        semi2k_take_block(l, b, &key, order, x->rows, sums, pads, 2 * x->rows, len, sent, out);
        for (size_t i = 0; i < l->size; i++) {
            const size_t from = (b * l->apart + order[b * l->size + i] * l->step) * len;
            const size_t to = (b * l->apart + i * l->step) * len;
            for (size_t w = 0; w < len; w++)
                check(out[to + w] + sent[from + w] + held[to + w] == rows[from + w], "a row");
        }
    }
    uint64_t *const all[] = {roots, sums, rows, held, sent, out, pads};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const size_t n = (size_t)strtoull(argv[1], NULL, 10), len = (size_t)strtoull(argv[2], NULL, 10);
    semi2k_network x;
    uint32_t *layer[3];
    unsigned depth = 0;
    prg_init(&key, (const uint8_t[16]){5});
    semi2k_network_of(&x, n);
    check(x.rows >= n && x.rows < n + x.layer[0].size, "too many rows");
    uint32_t *order = room(x.rows * 4), *drawn = room(x.rows * 4), *scratch = room(x.rows * 20);
    for (unsigned l = 0; l < 3; l++)
        layer[l] = room(x.rows * 4);
    for (size_t p = 0; p < n; p++) { /* Fisher-Yates, from inside out */
        uint64_t word;
        prg_words(&key, 3, p, &word, 1);
        order[p] = order[word % (p + 1)];
        order[word % (p + 1)] = (uint32_t)p;
    }
    memcpy(drawn, order, n * 4);
    semi2k_route(&x, order, n, scratch, layer);
    for (size_t p = 0; p < n; p++) {
        size_t at = p;
        for (unsigned l = x.layers; l-- > 0;) {
            const semi2k_layer *y = &x.layer[l];
            const size_t b = y->step == 1 ? at / y->apart : at % y->step;
            const size_t i = y->step == 1 ? at % y->apart : at / y->step;
            check(layer[l][b * y->size + i] < y->size, "an order within a block");
            at = b * y->apart + layer[l][b * y->size + i] * y->step;
        }
        check(at == drawn[p], "the order of layers");
    }
    for (unsigned l = 0; l < x.layers; l++) {
        depth = x.layer[l].depth > depth ? x.layer[l].depth : depth;
        translate(&x, l, layer[l], len);
        free(layer[l]);
    }
    for (unsigned l = x.layers; l < 3; l++)
        free(layer[l]);
    free(order);
    free(drawn);
    free(scratch);
    printf("%u\n", depth);
    return 0;
}
