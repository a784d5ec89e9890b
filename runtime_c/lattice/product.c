/* Products: plans, packing, requests, replies. See lattice.h. */
#include "cipher.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- plans ---- */

static size_t parts(size_t n, size_t size) {
    return (n + size - 1) / size;
}

static size_t bits_to_bytes(size_t bits) {
    return (bits + 7) / 8;
}

/* Bytes of what is returned for `images` times `kernels` of a polynomial. */
static size_t cell_bytes(const lattice_shape *s, size_t images, size_t kernels) {
    return LATTICE_SLOPE_BYTES +
           bits_to_bytes(images * kernels * s->oh * s->ow * LATTICE_VALUE_BITS);
}

/* Bytes of a row of cells: all kernels. */
static size_t row_bytes(const lattice_shape *s, const lattice_plan *b, size_t images) {
    const size_t columns = parts(s->q, b->q), last = s->q - (columns - 1) * b->q;
    return (columns - 1) * cell_bytes(s, images, b->q) + cell_bytes(s, images, last);
}

static void count(const lattice_shape *s, lattice_plan *b) {
    const size_t rows = parts(s->p, b->p), last = s->p - (rows - 1) * b->p;
    b->ciphertexts = 1 + parts(s->r, b->r) * (b->image ? rows : parts(s->q, b->q));
    b->request = b->ciphertexts * LATTICE_FRESH_BYTES;
    b->reply = (rows - 1) * row_bytes(s, b, b->p) + row_bytes(s, b, last);
}

/* The next smaller size that makes more parts of n; 0 at the end. */
static size_t smaller(size_t n, size_t size) {
    if (size == 1)
        return 0;
    const size_t more = parts(n, size) + 1, next = parts(n, more);
    return next < size ? next : size - 1;
}

int lattice_make_plan(const lattice_shape *s, lattice_plan *best) {
    *best = (lattice_plan){0};
    if (s->h > LATTICE_N || s->w > LATTICE_N / s->h)
        return 0;
    const size_t room = LATTICE_N / (s->h * s->w);
    for (size_t p = s->p < room ? s->p : room; p; p = smaller(s->p, p))
        for (size_t q = s->q < room / p ? s->q : room / p; q; q = smaller(s->q, q))
            for (int image = 0; image < 2; image++) {
                const size_t r = room / (p * q) < s->r ? room / (p * q) : s->r;
                lattice_plan b = {.p = p, .q = q, .r = r, .image = image};
                count(s, &b);
                if (parts(s->r, r) < LATTICE_TERMS &&
                    (!best->p || b.request + b.reply < best->request + best->reply))
                    *best = b;
            }
    return best->p != 0;
}

/* ---- elements and coefficients ---- */

/* Where rows and columns of images or kernels lie in memory; strides may be negative: zeros are
 * NONE. */
#define NONE PTRDIFF_MIN

typedef struct {
    const lattice_product *x;
    const lattice_view *view;
    int image;
    ptrdiff_t *row, *column;
    size_t rows, columns, outer; /* of an image or a kernel; how many there are */
    size_t size;                 /* of them in a polynomial */
} packing;

static int packing_make(packing *k, const lattice_product *x, int image) {
    const lattice_shape *s = &x->shape;
    *k = (packing){.x = x, .view = image ? &x->image : &x->kernel, .image = image};
    k->rows = image ? s->h : s->kh;
    k->columns = image ? s->w : s->kw;
    k->outer = image ? s->p : s->q;
    k->size = image ? x->plan.p : x->plan.q;
    k->row = malloc((k->rows + k->columns) * sizeof *k->row);
    if (!k->row)
        return -1;
    k->column = k->row + k->rows;
    for (size_t i = 0; i < k->rows + k->columns; i++) {
        const unsigned axis = i >= k->rows;
        const size_t y = axis ? i - k->rows : i;
        const ptrdiff_t z = (ptrdiff_t)y - k->view->pad[axis];
        const ptrdiff_t dilation = (ptrdiff_t)k->view->dilation[axis];
        const int zero = z < 0 || z % dilation || z / dilation >= (ptrdiff_t)k->view->size[axis];
        k->row[i] = zero ? NONE : z / dilation * (axis ? k->view->column : k->view->row);
    }
    return 0;
}

/* One image or kernel of a channel, into coefficients from `at`: a kernel's backwards. */
static void pack_plane(const packing *k, const uint64_t *from, uint64_t *at) {
    const size_t width = k->x->shape.w;
    for (size_t y = 0; y < k->rows; y++)
        for (size_t x = 0; x < k->columns; x++) {
            const size_t i = k->image ? y : k->rows - 1 - y, j = k->image ? x : k->columns - 1 - x;
            if (k->row[y] != NONE && k->column[x] != NONE)
                at[i * width + j] = from[k->row[y] + k->column[x]];
        }
}

/* Block `outer` of images or kernels, block `inner` of channels, as coefficients. */
static void pack(const packing *k, size_t outer, size_t inner, const uint64_t *operand,
                 uint64_t *poly) {
    const lattice_shape *s = &k->x->shape;
    const lattice_plan *b = &k->x->plan;
    const size_t plane = s->h * s->w, block = b->r * plane * (k->image ? b->q : 1);
    memset(poly, 0, LATTICE_N * sizeof *poly);
    for (size_t o = outer * k->size; o < k->outer && o < (outer + 1) * k->size; o++)
        for (size_t r = inner * b->r; r < s->r && r < (inner + 1) * b->r; r++) {
            const size_t channel = k->image ? r - inner * b->r : b->r - 1 - (r - inner * b->r);
            pack_plane(k,
                       operand + k->view->base + (ptrdiff_t)o * k->view->outer +
                           (ptrdiff_t)r * k->view->channel,
                       poly + (o - outer * k->size) * block + channel * plane);
        }
}

/* The results in cell (row, column): where they are among coefficients and in d. */
typedef struct {
    size_t images, kernels, first_image, first_kernel;
} cell;

static cell cell_of(const lattice_product *x, size_t row, size_t column) {
    const lattice_shape *s = &x->shape;
    const lattice_plan *b = &x->plan;
    cell c = {.first_image = row * b->p, .first_kernel = column * b->q};
    c.images = s->p - c.first_image < b->p ? s->p - c.first_image : b->p;
    c.kernels = s->q - c.first_kernel < b->q ? s->q - c.first_kernel : b->q;
    return c;
}

static size_t cell_size(const lattice_product *x, const cell *c) {
    return c->images * c->kernels * x->shape.oh * x->shape.ow;
}

/* The i-th result of a cell. */
static void result_at(const lattice_product *x, const cell *c, size_t i, size_t *coefficient,
                      size_t *element) {
    const lattice_shape *s = &x->shape;
    const lattice_plan *b = &x->plan;
    const size_t column = i % s->ow, row = i / s->ow % s->oh, both = i / s->ow / s->oh;
    const size_t kernel = both % c->kernels, image = both / c->kernels, plane = s->h * s->w;
    *coefficient = (image * b->q + kernel) * b->r * plane + (b->r - 1) * plane +
                   (row * s->sy + s->kh - 1) * s->w + column * s->sx + s->kw - 1;
    *element = (c->first_image + image) * x->stride[0] + (c->first_kernel + kernel) * x->stride[1] +
               row * x->stride[2] + column * x->stride[3];
}

static uint8_t *cell_in(const lattice_product *x, const uint8_t *reply, size_t row, size_t column,
                        const cell *c) {
    const lattice_shape *s = &x->shape;
    return (uint8_t *)(uintptr_t)reply + row * row_bytes(s, &x->plan, x->plan.p) +
           column * cell_bytes(s, c->images, x->plan.q);
}

/* ---- keys and requests ---- */

static void *scratch(size_t words) {
    return aligned_alloc(64, (words * 8 + 63) / 64 * 64);
}

static void discard(void *p, size_t words) {
    if (p)
        prg_wipe(p, words * 8);
    free(p);
}

void lattice_make_key(lattice_key *key, const prg_key *seed, uint32_t purpose) {
    const lattice_prime *m = lattice_primes();
    int64_t small[LATTICE_N];
    lattice_ternary(small, seed, purpose, 0);
    for (unsigned k = 0; k < LATTICE_PRIMES; k++) {
        for (size_t i = 0; i < LATTICE_N; i++)
            key->s[k][i] = lattice_signed(small[i], &m[k]);
        lattice_kernels()->forward(key->s[k], &m[k]);
    }
    prg_wipe(small, sizeof small);
}

typedef struct {
    const lattice_product *x;
    const packing *packing;
    const lattice_key *key;
    const prg_key *shared, *own;
    uint32_t purpose;
    const uint64_t *operand;
    uint8_t *out;
    atomic_int failed;
} request_job;

/* b = -a s + e + encoded plaintext, mod prime k; words: scratch of 4 N. */
static void encrypt(const request_job *j, size_t index, unsigned k, const uint64_t *plain,
                    const int64_t *noise, uint64_t *words) {
    const lattice_prime *m = &lattice_primes()[k];
    const uint64_t q_low = lattice_q_low();
    uint64_t *a = words + 2 * LATTICE_N, *b = words + 3 * LATTICE_N;
    const uint64_t *factor = j->key->s[k];
    lattice_uniform(a, m, j->shared, j->purpose, LATTICE_PRIMES * index + k, words);
    for (size_t i = 0; i < LATTICE_N; i++)
        b[i] = lattice_plus(lattice_encode(plain[i], q_low, m), lattice_signed(noise[i], m), m->p);
    lattice_kernels()->forward(b, m);
    lattice_kernels()->dot(a, (const uint64_t *const *)&a, &factor, 1, m);
    lattice_writer w = {.at = j->out + index * LATTICE_FRESH_BYTES + k * LATTICE_POLY_BYTES,
                        .width = LATTICE_RESIDUE_BITS};
    for (size_t i = 0; i < LATTICE_N; i++)
        lattice_write(&w, lattice_below(b[i] + m->p - a[i], m->p));
    lattice_write_end(&w);
}

/* Ciphertext 0 is zero's, the others those of blocks (outer, inner). */
static void encrypt_some(void *arg, size_t begin, size_t end) {
    request_job *j = arg;
    const size_t inner = parts(j->x->shape.r, j->x->plan.r), words = 6 * LATTICE_N;
    uint64_t *plain = scratch(words);
    int64_t *noise = (int64_t *)plain + LATTICE_N;
    if (!plain) {
        atomic_store(&j->failed, 1);
        return;
    }
    for (size_t c = begin; c < end; c++) {
        memset(plain, 0, LATTICE_N * sizeof *plain);
        if (c)
            pack(j->packing, (c - 1) / inner, (c - 1) % inner, j->operand, plain);
        lattice_binomial(noise, j->own, j->purpose, c);
        for (unsigned k = 0; k < LATTICE_PRIMES; k++)
            encrypt(j, c, k, plain, noise, plain + 2 * LATTICE_N);
    }
    discard(plain, words);
}

int lattice_request(const lattice_product *x, const lattice_key *key, const prg_key *shared,
                    const prg_key *own, uint32_t purpose, const uint64_t *operand, uint8_t *out,
                    seq_pool *pool) {
    packing packed;
    if (packing_make(&packed, x, x->plan.image))
        return -1;
    request_job job = {.x = x,
                       .packing = &packed,
                       .key = key,
                       .shared = shared,
                       .own = own,
                       .purpose = purpose,
                       .operand = operand,
                       .out = out};
    par_for(pool, x->plan.ciphertexts, 1, encrypt_some, &job);
    free(packed.row);
    return atomic_load(&job.failed) ? -1 : 0;
}

/* ---- replies ---- */

typedef struct {
    const lattice_product *x;
    const packing *packing; /* of the operand that is not encrypted */
    const uint8_t *request;
    const prg_key *shared, *own;
    uint32_t request_purpose, purpose;
    const uint64_t *operand;
    uint64_t *public,
        *cipher; /* the request's polynomials: of prime k and ciphertext c at k C + c */
    uint64_t *d;
    uint8_t *out;
    atomic_int failed;
} reply_job;

static uint64_t *poly_of(const reply_job *j, uint64_t *all, unsigned k, size_t index) {
    return all + (k * j->x->plan.ciphertexts + index) * LATTICE_N;
}

static void unpack_some(void *arg, size_t begin, size_t end) {
    reply_job *j = arg;
    uint64_t *words = scratch((size_t)2 * LATTICE_N), bad = 0;
    for (size_t c = begin; words && c < end; c++)
        for (unsigned k = 0; k < LATTICE_PRIMES; k++) {
            const lattice_prime *m = &lattice_primes()[k];
            const uint8_t *from = j->request + c * LATTICE_FRESH_BYTES + k * LATTICE_POLY_BYTES;
            lattice_reader r = {
                .at = from, .end = from + LATTICE_POLY_BYTES, .width = LATTICE_RESIDUE_BITS};
            uint64_t *b = poly_of(j, j->cipher, k, c);
            for (size_t i = 0; i < LATTICE_N; i++) {
                b[i] = (uint64_t)lattice_read(&r);
                bad |= (m->p - 1 - b[i]) >> 63;
            }
            lattice_uniform(poly_of(j, j->public, k, c), m, j->shared, j->request_purpose,
                            LATTICE_PRIMES * c + k, words);
        }
    if (!words || bad)
        atomic_store(&j->failed, words ? -2 : -1);
    free(words);
}

/* Scratch of a range of a reply: my operand's polynomials mod one prime, both parts of the results,
 * and small numbers and words. */
typedef struct {
    uint64_t *plain, *sum[2], *factor, *words;
    const uint64_t **a, **b;
    size_t size;
} reply_scratch;

enum { REPLY_UNIT, REPLY_ERROR, REPLY_FLOOD, REPLY_HIDE }; /* streams */

/* My operand's block, mod prime k, transformed. */
static void plain_block(const reply_job *j, const reply_scratch *s, size_t outer, size_t inner,
                        unsigned k) {
    const lattice_prime *m = &lattice_primes()[k];
    uint64_t *poly = s->plain + inner * LATTICE_N;
    pack(j->packing, outer, inner, j->operand, poly);
    for (size_t i = 0; i < LATTICE_N; i++)
        poly[i] = lattice_signed((int64_t)poly[i], m);
    lattice_kernels()->forward(poly, m);
}

/* Sums of encrypted block e times block f of mine, and of zero's encryption times a random small
 * polynomial, mod prime k, in coefficients; and small noise. id: of the result. */
static void multiply(const reply_job *j, const reply_scratch *s, size_t e, size_t id, unsigned k) {
    const lattice_prime *m = &lattice_primes()[k];
    const lattice_ops *ops = lattice_kernels();
    const size_t inner = parts(j->x->shape.r, j->x->plan.r);
    int64_t *small = (int64_t *)s->words;
    lattice_ternary(small, j->own, j->purpose + REPLY_UNIT, id);
    for (size_t i = 0; i < LATTICE_N; i++)
        s->factor[i] = lattice_signed(small[i], m);
    ops->forward(s->factor, m);
    lattice_binomial(small, j->own, j->purpose + REPLY_ERROR, id);
    for (unsigned part = 0; part < 2; part++) {
        uint64_t *from = part ? j->public : j->cipher, *d = s->sum[part] + k * LATTICE_N;
        for (size_t r = 0; r < inner; r++) {
            s->a[r] = poly_of(j, from, k, 1 + e * inner + r);
            s->b[r] = s->plain + r * LATTICE_N;
        }
        s->a[inner] = poly_of(j, from, k, 0);
        s->b[inner] = s->factor;
        ops->dot(d, s->a, s->b, inner + 1, m);
        ops->backward(d, m);
        for (size_t i = 0; part && i < LATTICE_N; i++)
            d[i] = lattice_plus(d[i], lattice_signed(small[i], m), m->p);
    }
}

#ifdef SEQ_TEST
const lattice_key *lattice_spy;
double lattice_noise;

/* The noise of a result before it is flooded, in units of 2^-128 q. */
static void spy(const reply_scratch *s) {
    const lattice_prime *m = lattice_primes();
    static uint64_t clear[LATTICE_PRIMES][LATTICE_N]; /* one thread */
    for (unsigned k = 0; k < LATTICE_PRIMES; k++) {
        uint64_t *d = clear[k];
        const uint64_t *a = d, *key = lattice_spy->s[k];
        memcpy(d, s->sum[1] + k * LATTICE_N, sizeof clear[k]);
        lattice_kernels()->forward(d, &m[k]);
        lattice_kernels()->dot(d, &a, &key, 1, &m[k]);
        lattice_kernels()->backward(d, &m[k]);
        for (size_t i = 0; i < LATTICE_N; i++)
            d[i] = lattice_plus(d[i], s->sum[0][k * LATTICE_N + i], m[k].p);
    }
    for (size_t i = 0; i < LATTICE_N; i++) {
        const int64_t low = (int64_t)(uint64_t)lattice_fraction(clear, i, m);
        const double size = low < 0 ? -(double)low : (double)low;
        lattice_noise = size > lattice_noise ? size : lattice_noise;
    }
}
#endif

/* Round the result to what travels: all of the part that the key multiplies; of the other the
 * coefficients asked for, flooded and hidden. */
static void emit(const reply_job *j, const reply_scratch *s, size_t row, size_t column, size_t id) {
    const lattice_prime *m = lattice_primes();
    const cell c = cell_of(j->x, row, column);
    const size_t n = cell_size(j->x, &c);
    uint8_t *out = cell_in(j->x, j->out, row, column, &c);
    uint64_t *flood = s->words, *hide = s->words + LATTICE_N;
    lattice_writer w = {.at = out, .width = LATTICE_SLOPE_BITS};
    for (size_t i = 0; i < LATTICE_N; i++) {
        const unsigned drop = 128 - LATTICE_SLOPE_BITS;
        const lattice_wide x = lattice_fraction((lattice_poly)s->sum[1], i, m);
        lattice_write(&w, (x + ((lattice_wide)1 << (drop - 1))) >> drop);
    }
    lattice_write_end(&w);
    prg_words(j->own, j->purpose + REPLY_FLOOD, LATTICE_N * id, flood, n);
    prg_words(j->own, j->purpose + REPLY_HIDE, LATTICE_N * id, hide, n);
    w = (lattice_writer){.at = out + LATTICE_SLOPE_BYTES, .width = LATTICE_VALUE_BITS};
    for (size_t i = 0; i < n; i++) {
        const unsigned drop = 128 - LATTICE_VALUE_BITS;
        size_t at, element;
        result_at(j->x, &c, i, &at, &element);
        lattice_wide x = lattice_fraction((lattice_poly)s->sum[0], at, m);
        x += ((lattice_wide)hide[i] << 64) + (lattice_wide)((__int128)((int64_t)flood[i] >> 1));
        lattice_write(&w, (x + ((lattice_wide)1 << (drop - 1))) >> drop);
        j->d[element] -= hide[i];
    }
    lattice_write_end(&w);
}

static int reply_alloc(reply_scratch *s, size_t outer, size_t inner) {
    const size_t sums = outer * LATTICE_PRIMES * LATTICE_N;
    s->size = (inner + 3) * LATTICE_N + 2 * sums;
    s->plain = scratch(s->size);
    s->a = malloc(2 * (inner + 1) * sizeof *s->a);
    s->b = s->a + inner + 1;
    if (!s->plain || !s->a)
        return -1;
    s->factor = s->plain + inner * LATTICE_N;
    s->words = s->factor + LATTICE_N;
    s->sum[0] = s->words + (size_t)2 * LATTICE_N;
    s->sum[1] = s->sum[0] + sums;
    return 0;
}

/* Results of blocks [begin, end) of my operand with all encrypted blocks. */
static void reply_some(void *arg, size_t begin, size_t end) {
    reply_job *j = arg;
    const lattice_plan *b = &j->x->plan;
    const size_t rows = parts(j->x->shape.p, b->p), columns = parts(j->x->shape.q, b->q);
    const size_t inner = parts(j->x->shape.r, b->r), outer = b->image ? rows : columns;
    reply_scratch s = {0};
    const int failed = reply_alloc(&s, outer, inner);
    for (size_t f = begin; !failed && f < end; f++) {
        uint64_t *const sum[2] = {s.sum[0], s.sum[1]};
        for (unsigned k = 0; k < LATTICE_PRIMES; k++) {
            for (size_t r = 0; r < inner; r++)
                plain_block(j, &s, f, r, k);
            for (size_t e = 0; e < outer; e++) {
                s.sum[0] = sum[0] + e * LATTICE_PRIMES * LATTICE_N;
                s.sum[1] = sum[1] + e * LATTICE_PRIMES * LATTICE_N;
                multiply(j, &s, e, f * outer + e, k);
            }
        }
        for (size_t e = 0; e < outer; e++) {
            s.sum[0] = sum[0] + e * LATTICE_PRIMES * LATTICE_N;
            s.sum[1] = sum[1] + e * LATTICE_PRIMES * LATTICE_N;
#ifdef SEQ_TEST
            if (lattice_spy)
                spy(&s);
#endif
            emit(j, &s, b->image ? e : f, b->image ? f : e, f * outer + e);
        }
        s.sum[0] = sum[0];
        s.sum[1] = sum[1];
    }
    if (failed)
        atomic_store(&j->failed, -1);
    discard(s.plain, s.size);
    free(s.a);
}

int lattice_reply(const lattice_product *x, const uint8_t *request, const prg_key *shared,
                  uint32_t request_purpose, const prg_key *own, uint32_t purpose,
                  const uint64_t *operand, uint64_t *d, uint8_t *out, seq_pool *pool) {
    const lattice_plan *b = &x->plan;
    const size_t words = b->ciphertexts * LATTICE_PRIMES * LATTICE_N;
    packing packed;
    if (packing_make(&packed, x, !b->image))
        return -1;
    reply_job job = {.x = x,
                     .packing = &packed,
                     .request = request,
                     .shared = shared,
                     .own = own,
                     .request_purpose = request_purpose,
                     .purpose = purpose,
                     .operand = operand,
                     .public = scratch(words),
                     .cipher = scratch(words),
                     .d = d,
                     .out = out};
    if (!job.public || !job.cipher)
        atomic_store(&job.failed, -1);
    if (!atomic_load(&job.failed))
        par_for(pool, b->ciphertexts, 1, unpack_some, &job);
    if (!atomic_load(&job.failed))
        par_for(pool, b->image ? parts(x->shape.q, b->q) : parts(x->shape.p, b->p), 1, reply_some,
                &job);
    free(job.public);
    free(job.cipher);
    free(packed.row);
    return atomic_load(&job.failed);
}

/* ---- what a reply decrypts to ---- */

typedef struct {
    const lattice_product *x;
    const lattice_key *key;
    const uint8_t *reply;
    uint64_t *d;
    atomic_int failed;
} finish_job;

/* The part that the key multiplies, times the key, mod the first two primes. */
static void decrypt(const finish_job *j, const uint8_t *from, uint64_t *product) {
    const lattice_ops *ops = lattice_kernels();
    lattice_reader r = {.at = from, .end = from + LATTICE_SLOPE_BYTES, .width = LATTICE_SLOPE_BITS};
    const lattice_prime *m = lattice_primes();
    for (size_t i = 0; i < LATTICE_N; i++) {
        const lattice_wide x = lattice_read(&r);
        for (unsigned k = 0; k < 2; k++) {
            const uint64_t high =
                lattice_times((uint64_t)(x >> 64), m[k].wide[0], m[k].wide_over[0], m[k].p);
            product[k * LATTICE_N + i] =
                lattice_plus(high, lattice_residue((uint64_t)x, &m[k]), m[k].p);
        }
    }
    for (unsigned k = 0; k < 2; k++) {
        uint64_t *d = product + k * LATTICE_N;
        const uint64_t *a = d, *key = j->key->s[k];
        ops->forward(d, &m[k]);
        ops->dot(d, &a, &key, 1, &m[k]);
        ops->backward(d, &m[k]);
    }
}

/* The number between -P/2 and P/2 with these residues, P the product of the first two primes. */
static lattice_wide both(uint64_t x, uint64_t y, const lattice_prime *m) {
    const uint64_t gap = y + m[1].p - lattice_below(x, m[1].p);
    const uint64_t t = lattice_times(gap, m[1].first_inv, m[1].first_over, m[1].p);
    const lattice_wide z = x + (lattice_wide)t * m[0].p, all = (lattice_wide)m[0].p * m[1].p;
    const lattice_wide above = (lattice_wide)0 - ((all / 2 - z) >> 127);
    return z - (all & above);
}

static void finish_some(void *arg, size_t begin, size_t end) {
    finish_job *j = arg;
    const lattice_prime *m = lattice_primes();
    const size_t columns = parts(j->x->shape.q, j->x->plan.q);
    uint64_t *product = scratch((size_t)2 * LATTICE_N);
    if (!product)
        atomic_store(&j->failed, -1);
    for (size_t id = begin; product && id < end; id++) {
        const cell c = cell_of(j->x, id / columns, id % columns);
        const uint8_t *from = cell_in(j->x, j->reply, id / columns, id % columns, &c);
        const size_t n = cell_size(j->x, &c);
        decrypt(j, from, product);
        from += LATTICE_SLOPE_BYTES;
        lattice_reader r = {.at = from,
                            .end = from + bits_to_bytes(n * LATTICE_VALUE_BITS),
                            .width = LATTICE_VALUE_BITS};
        for (size_t i = 0; i < n; i++) {
            const unsigned unit = LATTICE_SLOPE_BITS - 64;
            size_t at, element;
            result_at(j->x, &c, i, &at, &element);
            const lattice_wide x = (lattice_read(&r) << (LATTICE_SLOPE_BITS - LATTICE_VALUE_BITS)) +
                                   both(product[at], product[LATTICE_N + at], m);
            j->d[element] += (uint64_t)((x + ((lattice_wide)1 << (unit - 1))) >> unit);
        }
    }
    discard(product, (size_t)2 * LATTICE_N);
}

int lattice_finish(const lattice_product *x, const lattice_key *key, const uint8_t *reply,
                   uint64_t *d, seq_pool *pool) {
    finish_job job = {.x = x, .key = key, .reply = reply, .d = d};
    par_for(pool, parts(x->shape.p, x->plan.p) * parts(x->shape.q, x->plan.q), 1, finish_some,
            &job);
    return atomic_load(&job.failed);
}
