/* shamir: sums of numbers that are shared bit by bit. Three numbers become two without carries
 * moving further than one place; the last two are added with a prefix tree. */

#include "shamir.h"

static unsigned log2_up(size_t n) {
    unsigned l = 0;
    while (((size_t)1 << l) < n)
        l++;
    return l;
}

/* Levels that make `numbers` numbers two. */
static unsigned reductions(unsigned numbers) {
    unsigned levels = 0;
    for (; numbers > 2; numbers -= numbers / 3)
        levels++;
    return levels;
}

unsigned shamir_adder_levels(unsigned kind, unsigned numbers, unsigned width) {
    if (width == 1)
        return 0;
    return reductions(numbers) + 1 + log2_up(kind == SHAMIR_ZERO ? width : width - 1);
}

/* ---- gates of the tree: forms 0 .. width - 1 are carries generated up to a place, form width + i
 * says whether a carry is passed on through a range that ends at place i ---- */

/* Sklansky's prefix tree over the places below `width` - 1, without gates that no carry into a
 * place >= first needs. */
static unsigned tree_gates(const shamir_adder *a, unsigned level, shamir_gate *gates) {
    const unsigned n = a->width - 1;
    uint8_t generate[SHAMIR_MAX_BITS] = {0}, pass[SHAMIR_MAX_BITS] = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++)
        generate[i] = i + 1 >= a->first || i + 1 < a->low;
    for (unsigned l = log2_up(n); l-- > level;) {
        count = 0;
        for (unsigned i = 0; i < n; i++) {
            const unsigned j = (i >> l << l) - 1;
            if (!(i >> l & 1))
                continue;
            if (pass[i])
                gates[count++] = (shamir_gate){(uint16_t)(a->width + i), (uint16_t)(a->width + i),
                                               (uint16_t)(a->width + j), 0};
            if (generate[i])
                gates[count++] =
                    (shamir_gate){(uint16_t)i, (uint16_t)(a->width + i), (uint16_t)j, 1};
            pass[j] |= pass[i];
            pass[i] |= generate[i];
            generate[j] |= generate[i];
        }
    }
    return count;
}

/* Products of neighbours, until one is left. */
static unsigned zero_gates(const shamir_adder *a, unsigned level, shamir_gate *gates) {
    unsigned n = a->width, count = 0;
    for (unsigned l = 0; l < level; l++)
        n = (n + 1) / 2;
    const unsigned step = 1u << level;
    for (unsigned i = 0; 2 * i + 1 < n; i++)
        gates[count++] = (shamir_gate){(uint16_t)(2 * i * step), (uint16_t)(2 * i * step),
                                       (uint16_t)((2 * i + 1) * step), 0};
    return count;
}

int shamir_adder_alloc(seq_task *t, shamir_adder *a) {
    const size_t plane = a->words * sizeof(shamir_block);
    a->most = (a->numbers > 5 ? a->numbers / 3 : 1) * a->width * a->words;
    a->levels = shamir_adder_levels(a->kind, a->numbers, a->width);
    a->reductions = reductions(a->numbers);
    a->form = task_scratch(t, 3 * a->width * plane + 64);
    a->gates = task_scratch(t, 2 * a->most * sizeof(shamir_block) + 64);
    return a->form && a->gates ? shamir_product_alloc(t, &a->product, SHAMIR_BITS, a->most) : -1;
}

/* ---- steps ---- */

static void xor_blocks(shamir_block *d, const shamir_block *a, const shamir_block *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 4; k++)
            d[i].w[k] = a[i].w[k] ^ b[i].w[k];
}

/* Multiply the n blocks at gates by the n after a->most of them. */
static int multiply(shamir_exchange *x, shamir_adder *a, size_t n) {
    a->product.n = n;
    a->product.z = (uint8_t *)a->gates;
    if (shamir_remember(x->t, &a->product, 0, a->gates, a->gates + a->most, n))
        return TASK_ERROR;
    shamir_block_mul(a->gates, a->gates, a->gates + a->most, n);
    return shamir_multiply(x, &a->product) ? TASK_ERROR : TASK_WAIT;
}

/* (a ^ c)(b ^ c), which with c makes the carry of a + b + c, in all places but the last. */
static int reduce(shamir_exchange *x, shamir_adder *a) {
    const size_t n = (a->width - 1) * a->words;
    shamir_block *right = a->gates + a->most;
    unsigned g = 0;
    for (; 3 * g + 2 < a->numbers; g++) {
        const shamir_block *c = a->number[3 * g + 2];
        xor_blocks(a->gates + g * n, a->number[3 * g], c, n);
        xor_blocks(right + g * n, a->number[3 * g + 1], c, n);
    }
    return multiply(x, a, g * n);
}

static void reduced(shamir_adder *a) {
    const size_t n = (a->width - 1) * a->words;
    unsigned kept = 0, g = 0;
    for (; 3 * g + 2 < a->numbers; g++) {
        shamir_block *p = a->number[3 * g], *q = a->number[3 * g + 1], *r = a->number[3 * g + 2];
        xor_blocks(p, p, q, n + a->words);
        xor_blocks(q + a->words, a->gates + g * n, r, n);
        memset(q, 0, a->words * sizeof *q);
        xor_blocks(p, p, r, n + a->words);
        a->number[kept++] = p;
        a->number[kept++] = q;
    }
    for (g *= 3; g < a->numbers; g++)
        a->number[kept++] = a->number[g];
    a->numbers = kept;
}

/* p = x ^ y in every place, and the products x y in all places but the last. */
static int generate(shamir_exchange *x, shamir_adder *a) {
    const size_t all = a->width * a->words, n = all - a->words;
    shamir_block *pass = a->form + all;
    xor_blocks(pass, a->number[0], a->number[1], all);
    memcpy(pass + all, pass, all * sizeof *pass);
    memcpy(a->gates, a->number[0], n * sizeof *pass);
    memcpy(a->gates + a->most, a->number[1], n * sizeof *pass);
    return multiply(x, a, n);
}

/* The sum is 0 iff every p equals p ^ g, that is x | y, of the place before. */
static void equal_places(shamir_adder *a) {
    const size_t all = a->width * a->words, n = all - a->words;
    shamir_block *e = a->form;
    xor_blocks(e + a->words, a->gates, a->form + all, n);
    memset(e, 0, a->words * sizeof *e);
    xor_blocks(e, e, a->form + all, all);
    for (size_t i = 0; i < all; i++)
        e[i].w[0] = ~e[i].w[0];
}

static void apply_gates(shamir_adder *a) {
    const size_t w = a->words;
    for (unsigned i = 0; i < a->gate_count; i++) {
        shamir_block *d = a->form + a->gate[i].dst * w;
        if (a->gate[i].add)
            xor_blocks(d, d, a->gates + i * w, w);
        else
            memcpy(d, a->gates + i * w, w * sizeof *d);
    }
}

static int tree(shamir_exchange *x, shamir_adder *a) {
    const size_t w = a->words;
    const unsigned level = a->level - a->reductions - 1;
    const unsigned count =
        a->kind == SHAMIR_ZERO ? zero_gates(a, level, a->gate) : tree_gates(a, level, a->gate);
    a->gate_count = count;
    for (unsigned i = 0; i < count; i++) {
        memcpy(a->gates + i * w, a->form + a->gate[i].x * w, w * sizeof *a->gates);
        memcpy(a->gates + a->most + i * w, a->form + a->gate[i].y * w, w * sizeof *a->gates);
    }
    return multiply(x, a, count * w);
}

const shamir_block *shamir_adder_plane(const shamir_adder *a, unsigned i) {
    return a->kind == SHAMIR_ZERO ? a->form : a->form + (2 * a->width + i) * a->words;
}

/* Numbers of one bit: no carries. */
static void narrow(shamir_adder *a) {
    shamir_block *sum = a->form + (a->kind == SHAMIR_ZERO ? 0 : 2 * a->words);
    memcpy(sum, a->number[0], a->words * sizeof *sum);
    for (unsigned i = 1; i < a->numbers; i++)
        xor_blocks(sum, sum, a->number[i], a->words);
    for (size_t i = 0; a->kind == SHAMIR_ZERO && i < a->words; i++)
        sum[i].w[0] = ~sum[i].w[0];
}

static int finished(shamir_adder *a) {
    const size_t w = a->words;
    if (a->width == 1)
        narrow(a);
    for (unsigned i = 1; a->kind == SHAMIR_SUM && i < a->width; i++) {
        if (i >= a->low && i < a->first)
            continue;
        shamir_block *d = a->form + (2 * a->width + i) * w;
        xor_blocks(d, d, a->form + (i - 1) * w, w);
    }
    return TASK_DONE;
}

/* Take in what a level has multiplied. */
static void complete(shamir_adder *a) {
    if (a->level < a->reductions)
        reduced(a);
    else if (a->level > a->reductions)
        apply_gates(a);
    else if (a->kind == SHAMIR_ZERO)
        equal_places(a);
    else
        memcpy(a->form, a->gates, (a->width - 1) * a->words * sizeof *a->form);
}

int shamir_adder_step(shamir_exchange *x, shamir_adder *a, int begin) {
    if (begin) {
        a->level = 0;
    } else if (!a->returned) {
        a->returned = 1;
        return shamir_return(x, &a->product) ? TASK_ERROR : TASK_WAIT;
    } else {
        shamir_finish(x, &a->product);
        complete(a);
        a->returned = 0;
        a->level++;
    }
    if (a->level == a->levels)
        return finished(a);
    if (a->level < a->reductions)
        return reduce(x, a);
    return a->level == a->reductions ? generate(x, a) : tree(x, a);
}
