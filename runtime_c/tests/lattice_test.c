/* Multiplies two tensors by lattice encryption: lattice_test SHAPE... SEED < image, kernel > d,
 * with what it measured on stderr: bytes of request and reply, the largest noise before it is
 * flooded in units of q / 2^128, what a bad request gets, the plan, and seconds of each step.
 * SHAPE: p q r h w kh kw oh ow sy sx. WIRE=FILE in the environment: request and reply go there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lattice/lattice.h"

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static lattice_view whole(size_t channels, size_t rows, size_t columns) {
    return (lattice_view){.outer = (ptrdiff_t)(channels * rows * columns),
                          .channel = (ptrdiff_t)(rows * columns),
                          .row = (ptrdiff_t)columns,
                          .column = 1,
                          .dilation = {1, 1},
                          .size = {rows, columns}};
}

static int product_of(lattice_product *x, char **argv) {
    size_t v[11];
    for (unsigned i = 0; i < 11; i++)
        v[i] = (size_t)strtoull(argv[i], NULL, 10);
    x->shape = (lattice_shape){v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10]};
    x->image = whole(v[2], v[3], v[4]);
    x->kernel = whole(v[2], v[5], v[6]);
    const size_t stride[4] = {v[1] * v[7] * v[8], v[7] * v[8], v[8], 1};
    memcpy(x->stride, stride, sizeof stride);
    return lattice_make_plan(&x->shape, &x->plan);
}

static uint64_t *words(size_t n) {
    return calloc(n ? n : 1, 8);
}

static int write_wire(const lattice_product *x, const uint8_t *request, const uint8_t *reply) {
    const char *path = getenv("WIRE");
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (!f)
        return path ? -1 : 0;
    const size_t sent = fwrite(request, 1, x->plan.request, f) + fwrite(reply, 1, x->plan.reply, f);
    return fclose(f) || sent != x->plan.request + x->plan.reply ? -1 : 0;
}

int main(int argc, char **argv) {
    static lattice_key key;
    lattice_product x = {0};
    prg_key theirs, mine, shared;
    if (argc != 13 || !product_of(&x, argv + 1))
        return 2;
    const lattice_shape *s = &x.shape;
    const size_t images = s->p * s->r * s->h * s->w, kernels = s->q * s->r * s->kh * s->kw;
    const size_t n = s->p * s->q * s->oh * s->ow;
    uint64_t *image = words(images), *kernel = words(kernels), *d[2] = {words(n), words(n)};
    uint8_t *request = malloc(x.plan.request), *reply = malloc(x.plan.reply);
    if (!image || !kernel || !d[0] || !d[1] || !request || !reply ||
        fread(image, 8, images, stdin) != images || fread(kernel, 8, kernels, stdin) != kernels)
        return 2;
    uint8_t seed[16] = {(uint8_t)strtoul(argv[12], NULL, 10)};
    prg_init(&theirs, seed);
    seed[15] = 1;
    prg_init(&mine, seed);
    seed[15] = 2;
    prg_init(&shared, seed);
    lattice_make_key(&key, &theirs, 77);
    lattice_spy = getenv("SPY") ? &key : NULL;
    const double t0 = now();
    const uint64_t *enc = x.plan.image ? image : kernel, *other = x.plan.image ? kernel : image;
    int bad = lattice_request(&x, &key, &shared, &theirs, 1, enc, request, NULL);
    const double t1 = now();
    bad |= lattice_reply(&x, request, &shared, 1, &mine, 5, other, d[0], reply, NULL);
    const double t2 = now();
    bad |= lattice_finish(&x, &key, reply, d[1], NULL);
    const double t3 = now();
    bad |= write_wire(&x, request, reply);
    for (size_t i = 0; i < n; i++)
        d[0][i] += d[1][i];
    (void)fwrite(d[0], 8, n, stdout);
    memset(request, 0xFF, 64); /* no residues */
    const int refused = lattice_reply(&x, request, &shared, 1, &mine, 5, other, d[0], reply, NULL);
    (void)fprintf(stderr, "%zu %zu %.0f %d %zu %zu %zu %d %.4f %.4f %.4f\n", x.plan.request,
                  x.plan.reply, lattice_noise, refused, x.plan.p, x.plan.q, x.plan.r, x.plan.image,
                  t1 - t0, t2 - t1, t3 - t2);
    free(image);
    free(kernel);
    free(d[0]);
    free(d[1]);
    free(request);
    free(reply);
    return bad ? 1 : 0;
}
