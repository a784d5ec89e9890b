/* Prints what the kernels of the distributed proofs make of pseudo-random arrays: the same
 * whichever instruction set is chosen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../protocols/dzk.h"

enum { WORDS = 48, MOST = 70 }; /* base words of a row, elements */

static uint64_t state = 88172645463325252u;

static void fill(uint64_t *d, size_t n) {
    for (size_t i = 0; i < n; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        d[i] = state ^= state << 17;
    }
}

static void show(const char *name, unsigned degree, size_t n, const uint64_t *d, size_t words) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < words; i++)
        hash = (hash ^ d[i]) * 0x100000001B3u;
    (void)printf("%s %u %zu %016llx\n", name, degree, n, (unsigned long long)hash);
}

/* Vectors of 2 n elements. */
static void vectors(const dzk_field *f, size_t n) {
    uint64_t p[2 * MOST * DZK_MAX_DEGREE], q[2 * MOST * DZK_MAX_DEGREE], g[2 * DZK_MAX_DEGREE];
    uint64_t point[DZK_MAX_DEGREE], random;
    fill(p, 2 * n * f->words);
    fill(q, 2 * n * f->words);
    fill(&random, 1);
    dzk_point(f, point, random);
    dzk_inner(f, g, p, q, 2 * n);
    show("inner", f->degree, n, g, f->words);
    dzk_halves(f, g, p, q, n);
    show("halves", f->degree, n, g, 2 * f->words);
    dzk_bind(f, p, n, point);
    show("bind", f->degree, n, p, n * f->words);
}

static int rows(const dzk_field *f, unsigned kappa) {
    const size_t count = WORDS * (f->ring == DZK_BITS ? 64 : 1), all = (size_t)WORDS << kappa;
    uint64_t weight[64 * WORDS], *x[4], *d = malloc(count * f->words * 8);
    uint64_t *g = calloc(DZK_MAX_POINTS * f->words, 8), lambda[64 * DZK_MAX_DEGREE];
    const uint64_t *tile[4][WORDS / DZK_LANES];
    const dzk_tiles tiles[4] = {tile[0], tile[1], tile[2], tile[3]};
    int failed = !d || !g;
    fill(weight, 64 * WORDS);
    fill(lambda, f->words << kappa);
    for (unsigned k = 0; k < 4; k++)
        if ((x[k] = aligned_alloc(64, all * 8))) {
            fill(x[k], all);
            for (size_t i = 0; i < WORDS / DZK_LANES; i++)
                tile[k][i] = x[k] + (i * DZK_LANES << kappa);
        } else {
            failed = 1;
        }
    if (!failed) {
        dzk_compress(f, d, tiles[0], (size_t)1 << kappa, WORDS, lambda);
        show("compress", f->degree, kappa, d, count * f->words);
        dzk_weigh(f, d, weight, count);
        show("weigh", f->degree, kappa, d, count * f->words);
        dzk_weighted_rows(f, g, tiles[1], (size_t)1 << kappa, WORDS, weight);
        show("weighted", f->degree, kappa, g, f->words << kappa);
        memset(g, 0, DZK_MAX_POINTS * f->words * 8);
        failed = dzk_evaluate(f, g, tiles, kappa, WORDS, weight);
        show("evaluate", f->degree, kappa, g, DZK_MAX_POINTS * f->words);
    }
    for (unsigned k = 0; k < 4; k++)
        free(x[k]);
    free(d);
    free(g);
    return failed;
}

int main(void) {
    const seq_env env = {.ring = ring_select(64)};
    int failed = 0;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++) {
        dzk_field f;
        dzk_field_init(&f, &env, ring, ring == DZK_WORDS ? 48 : 64);
        for (size_t n = 1; n <= MOST; n += n < 20 ? 1 : 25)
            vectors(&f, n);
        for (unsigned kappa = 0; kappa <= DZK_MAX_KAPPA; kappa += 2)
            failed |= rows(&f, kappa);
    }
    return failed;
}
