/* shamir-mal: the check of multiplications. All records come to one inner product over p and one
 * over the field of 2^64 elements, with random weights; each is halved again and again, as in
 * docs/protocols/shamir-mal.md. See shamir_mal.h. */

#include "shamir_mal.h"

#include <stdlib.h>

enum { NUMBERS, BITS, SIDES };

/* An inner product <x, y> = z of shares: z of degree t. */
typedef struct {
    unsigned type, levels; /* halvings */
    size_t n;              /* a power of two; 0: nothing to prove */
    uint8_t *x, *y;
    field z, opened[3];
    _Alignas(16) uint8_t part[2 * sizeof(field)], random[2 * sizeof(field)]; /* of two elements */
} side;

struct smal_check {
    shamir_exchange x;
    side side[SIDES];
    shamir_product product[SIDES];
    prg_key weights, *keys;
    uint64_t coin[2], share[2];
    unsigned stage, level, levels, built;
    _Alignas(16) uint8_t final[SIDES][3 * sizeof(field)];
};

enum { COIN, MULTIPLY, RETURN, FINISH, DONE };

size_t smal_check_bytes(void) {
    return sizeof(struct smal_check);
}

/* ---- the log ---- */

size_t smal_length(unsigned op, const int64_t *arg) {
    const ring_conv v = shamir_conv_of(arg);
    switch (op) {
    case SEQ_OP_MATMUL:
        return (size_t)arg[SEQ_ARG_MATMUL_K];
    case SEQ_OP_CONV2D:
        return v.cin * v.kh * v.kw;
    case SEQ_OP_CONV2D_DX:
        return v.cout * v.kh * v.kw;
    default:
        return v.batch * v.oh * v.ow;
    }
}

int smal_log_empty(const shamir_log *log) {
    return log->length[SHAMIR_NUMBER] == 0 && log->length[SHAMIR_BITS] == 0;
}

void smal_log_clear(shamir_log *log) {
    for (shamir_record *r = log->records, *next; r; r = next) {
        next = r->next;
        prg_wipe(r->x, (r->nx + r->ny + r->n) * shamir_size(r->type));
        free(r->x);
        free(r);
    }
    memset(log, 0, sizeof *log);
}

static int compare_records(const void *a, const void *b) {
    const shamir_record *const *x = a, *const *y = b;
    for (unsigned i = 0; i < 3; i++)
        if ((*x)->order[i] != (*y)->order[i])
            return (*x)->order[i] < (*y)->order[i] ? -1 : 1;
    return 0;
}

/* ---- arithmetic of both fields ---- */

static field add(unsigned type, field a, field b) {
    return type == SHAMIR_NUMBER ? field_add(a, b) : a ^ b;
}

static field sub(unsigned type, field a, field b) {
    return type == SHAMIR_NUMBER ? field_sub(a, b) : a ^ b;
}

static field get(unsigned type, const void *from, size_t i) {
    field d = 0;
    const size_t size = shamir_size(type);
    memcpy(&d, (const uint8_t *)from + i * size, size);
    return d;
}

static void put(unsigned type, void *to, size_t i, field d) {
    const size_t size = shamir_size(type);
    memcpy((uint8_t *)to + i * size, &d, size);
}

SHAMIR_KERNEL static field inner_numbers(const field *x, const field *y, size_t n) {
    field_sum sum = {0};
    for (size_t i = 0; i < n; i++)
        field_sum_add(&sum, x[i], y[i]);
    return field_sum_value(&sum);
}

/* <x0, y0> and <x1 - x0, y1 - y0>, where x = (x0, x1) and y = (y0, y1). */
SHAMIR_KERNEL static void halve_numbers(field *g, const field *x, const field *y, size_t half) {
    field_sum top = {0};
    for (size_t i = 0; i < half; i++)
        field_sum_add(&top, field_sub(x[half + i], x[i]), field_sub(y[half + i], y[i]));
    g[0] = inner_numbers(x, y, half);
    g[1] = field_sum_value(&top);
}

static void halve(const side *d, void *g, size_t half) {
    if (d->type == SHAMIR_NUMBER)
        halve_numbers(g, (const field *)d->x, (const field *)d->y, half);
    else
        gf_halves(64, g, (const uint64_t *)d->x, (const uint64_t *)d->y, half);
}

/* x0 + at (x1 - x0). */
SHAMIR_KERNEL static void bind_numbers(field *x, size_t half, field at) {
    for (size_t i = 0; i < half; i++)
        x[i] = field_add(x[i], field_mul(field_sub(x[half + i], x[i]), at));
}

static void bind(unsigned type, void *x, size_t half, field at) {
    if (type == SHAMIR_NUMBER)
        bind_numbers(x, half, at);
    else
        gf_bind(64, x, half, (uint64_t)at);
}

/* ---- from records to inner products ---- */

/* Which bits of a random element count, so that 2^-s is the chance to guess it: all; with a lowered
 * statistical parameter s, in test builds, the lowest s. */
static field random_bits(const seq_task *t) {
#ifdef SEQ_TEST
    if (t->env->stat < 40)
        return ((field)1 << t->env->stat) - 1;
#endif
    (void)t;
    return ~(field)0;
}

/* n random elements of p from word 2 first on; first moves on. */
static void draw_weights(const seq_task *t, const smal_check *s, field *d, size_t *first,
                         size_t n) {
    const field bits = random_bits(t) & FIELD_P;
    prg_words(&s->weights, NUMBERS, 2 * *first, (uint64_t *)d, 2 * n);
    for (size_t i = 0; i < n; i++)
        d[i] = field_from_word(d[i] & bits);
    *first += n;
}

/* d = v times the n x m matrices at `from`, one after another, `count` of them. */
static void weigh_rows(const seq_task *t, field *d, const field *v, const field *from, size_t n,
                       size_t m, size_t count) {
    for (size_t i = 0; i < count; i++)
        t->env->ring->gemm(d + i * m, &(ring_term){v, from + i * n * m}, 1,
                           &(ring_gemm){.m = 1, .k = n, .n = m}, 0, t->env->pool);
}

/* A matrix product or convolution as an inner product: its result's elements are weighed by a
 * product of two random vectors. rows, columns: elements of each, in `count` blocks of the result.
 */
static int reduce_map(seq_task *t, smal_check *s, const shamir_record *r, field *x, field *y,
                      field *z, size_t *first) {
    const int64_t *a = r->arg;
    const ring_ops *ring = t->env->ring;
    const ring_conv v = shamir_conv_of(a);
    const int matmul = r->op == SEQ_OP_MATMUL;
    const size_t M = (size_t)a[SEQ_ARG_MATMUL_M], K = (size_t)a[SEQ_ARG_MATMUL_K],
                 N = (size_t)a[SEQ_ARG_MATMUL_N];
    const int ta = (int)a[SEQ_ARG_MATMUL_ta], tb = (int)a[SEQ_ARG_MATMUL_tb];
    const size_t rows = matmul ? M : r->op == SEQ_OP_CONV2D_DX ? v.cin : v.cout;
    const size_t count = matmul || r->op == SEQ_OP_CONV2D_DW ? 1 : v.batch;
    const size_t columns = r->n / rows / count;
    field *u = task_scratch(t, rows * sizeof *u + 64);
    field *w = task_scratch(t, count * columns * sizeof *w + 64);
    field *sum = task_scratch(t, count * columns * sizeof *w + 64);
    ring_conv one = v;
    if (!u || !w || !sum)
        return -1;
    draw_weights(t, s, u, first, rows);
    draw_weights(t, s, w, first, count * columns);
    weigh_rows(t, sum, u, (const field *)r->z, rows, columns, count);
    *z = field_add(*z, inner_numbers(sum, w, count * columns));
    switch (r->op) {
    case SEQ_OP_MATMUL:
        ring->gemm(x, &(ring_term){u, r->x}, 1, &(ring_gemm){.m = 1, .k = M, .n = K, .tb = ta}, 0,
                   t->env->pool);
        ring->gemm(y, &(ring_term){r->y, w}, 1, &(ring_gemm){.m = K, .k = N, .n = 1, .ta = tb}, 0,
                   t->env->pool);
        break;
    case SEQ_OP_CONV2D:
        one.cout = 1;
        ring->conv_dw(x, &(ring_term){w, r->x}, 1, &one, 0, t->env->pool);
        weigh_rows(t, y, u, (const field *)r->y, v.cout, v.cin * v.kh * v.kw, 1);
        break;
    case SEQ_OP_CONV2D_DX:
        one.cin = 1;
        ring->conv_dw(x, &(ring_term){r->x, w}, 1, &one, 0, t->env->pool);
        weigh_rows(t, y, u, (const field *)r->y, v.cin, v.kh * v.kw, v.cout);
        break;
    default:
        one.cout = 1;
        weigh_rows(t, x, u, (const field *)r->x, v.cout, v.oh * v.ow, v.batch);
        ring->conv(y, &(ring_term){r->y, w}, 1, &one, 0, t->env->pool);
    }
    return 0;
}

SHAMIR_KERNEL static void multiples(field *d, const field *x, field weight, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = field_mul(x[i], weight);
}

/* Rows before and behind each hop, as random combinations of their columns: the sum of random
 * multiples of the differences of their squares is 0. */
static int reduce_shuffle(seq_task *t, smal_check *s, const shamir_record *r, field *x, field *y,
                          size_t *first) {
    const size_t rows = (size_t)r->arg[SEQ_ARG_SHUFFLE_n];
    const size_t width = (size_t)r->arg[SEQ_ARG_SHUFFLE_len], hops = r->nx / (rows * width) - 1;
    field *column = task_scratch(t, width * sizeof *column + 64);
    field hop[SHAMIR_SETS], last = 0;
    if (!column)
        return -1;
    draw_weights(t, s, column, first, width - 1);
    column[width - 1] = 1; /* what is random hides the others */
    draw_weights(t, s, hop, first, hops);
    for (size_t k = 0; k <= hops; k++) {
        const field next = k < hops ? hop[k] : 0;
        t->env->ring->gemm(y + k * rows,
                           &(ring_term){(const field *)r->x + k * rows * width, column}, 1,
                           &(ring_gemm){.m = rows, .k = width, .n = 1}, 0, t->env->pool);
        multiples(x + k * rows, y + k * rows, field_sub(next, last), rows);
        last = next;
    }
    return 0;
}

static int reduce_numbers(seq_task *t, smal_check *s, const shamir_record *r, size_t *at,
                          size_t *first) {
    side *d = &s->side[NUMBERS];
    field *x = (field *)d->x + *at, *y = (field *)d->y + *at;
    if (r->op == SEQ_OP_SHUFFLE) {
        *at += r->nx / (size_t)r->arg[SEQ_ARG_SHUFFLE_len];
        return reduce_shuffle(t, s, r, x, y, first);
    }
    if (r->op) {
        *at += smal_length(r->op, r->arg);
        return reduce_map(t, s, r, x, y, &d->z, first);
    }
    draw_weights(t, s, x, first, r->n);
    d->z = field_add(d->z, inner_numbers(x, (const field *)r->z, r->n));
    t->env->ring->mul(x, x, r->x, r->n);
    memcpy(y, r->y, r->n * sizeof *y);
    *at += r->n;
    return 0;
}

/* Elements of GF(16) in the larger field: power[k] is what bit k stands for. */
SHAMIR_KERNEL static void widen(uint64_t *restrict d, const shamir_block *restrict from,
                                size_t blocks, const uint64_t power[4]) {
    for (size_t i = 0; i < blocks; i++) {
        const shamir_block at = from[i];
        for (unsigned b = 0; b < 64; b++)
            d[64 * i + b] = (power[0] & -(at.w[0] >> b & 1)) ^ (power[1] & -(at.w[1] >> b & 1)) ^
                            (power[2] & -(at.w[2] >> b & 1)) ^ (power[3] & -(at.w[3] >> b & 1));
    }
}

static void reduce_bits(const seq_task *t, const smal_check *s, side *d, const shamir_record *r,
                        size_t *at) {
    const uint64_t bits = (uint64_t)random_bits(t);
    uint64_t weight[64 * 16], z[64 * 16], power[4] = {1, SHAMIR_ROOT};
    for (unsigned k = 2; k < 4; k++)
        power[k] = (uint64_t)shamir_mul(SHAMIR_EXT, power[k - 1], SHAMIR_ROOT);
    for (size_t i = 0; i < r->n; i += 16) {
        const size_t blocks = r->n - i < 16 ? r->n - i : 16, n = 64 * blocks;
        uint64_t *x = (uint64_t *)d->x + *at, *y = (uint64_t *)d->y + *at;
        prg_words(&s->weights, BITS, *at, weight, n);
        widen(x, (const shamir_block *)r->x + i, blocks, power);
        widen(y, (const shamir_block *)r->y + i, blocks, power);
        widen(z, (const shamir_block *)r->z + i, blocks, power);
        for (size_t k = 0; k < n; k++)
            weight[k] &= bits;
        gf_products(64, x, weight, n);
        d->z ^= gf_inner(64, weight, z, n);
        *at += n;
    }
    prg_wipe(z, sizeof z);
}

static int build(seq_task *t, smal_check *s) {
    shamir_log *log = &smal_of(t)->checked;
    size_t count = 0, at[SIDES] = {0}, first = 0;
    for (shamir_record *r = log->records; r; r = r->next)
        count++;
    shamir_record **sorted = task_scratch(t, count * sizeof(void *) + 64);
    if (!sorted)
        return -1;
    count = 0;
    for (shamir_record *r = log->records; r; r = r->next)
        sorted[count++] = r;
    qsort(sorted, count, sizeof *sorted, compare_records);
    for (unsigned k = 0; k < SIDES; k++) {
        side *d = &s->side[k];
        const size_t bytes = d->n * shamir_size(d->type);
        d->x = task_scratch(t, bytes + 64);
        d->y = task_scratch(t, bytes + 64);
        if (!d->x || !d->y)
            return -1;
        memset(d->x, 0, bytes);
        memset(d->y, 0, bytes);
    }
    for (size_t i = 0; i < count; i++) {
        if (sorted[i]->type == SHAMIR_BITS)
            reduce_bits(t, s, &s->side[BITS], sorted[i], &at[BITS]);
        else if (reduce_numbers(t, s, sorted[i], &at[NUMBERS], &first))
            return -1;
    }
    smal_log_clear(log);
    return 0;
}

/* ---- rounds ---- */

/* The levels are the same for all; who is not of the core has nothing to halve. */
static void size_sides(smal_check *s, const shamir_log *log, int takes_part) {
    const size_t length[SIDES] = {log->length[SHAMIR_NUMBER], 64 * log->length[SHAMIR_BITS]};
    for (unsigned k = 0; k < SIDES; k++) {
        side *d = &s->side[k];
        d->type = k == NUMBERS ? SHAMIR_NUMBER : SHAMIR_EXT;
        while (length[k] && ((size_t)1 << d->levels) < length[k])
            d->levels++;
        d->n = length[k] && takes_part ? (size_t)1 << d->levels : 0;
        if (length[k] && s->levels < d->levels + 1)
            s->levels = d->levels + 1;
    }
}

/* Whether side k still halves at this level: its last one joins a random product. */
static int halves(const smal_check *s, unsigned k) {
    return s->side[k].n && s->level <= s->side[k].levels;
}

/* Shares of two random elements, one after the other of a step. */
static void draw_random(const seq_task *t, const smal_check *s, unsigned type, void *d) {
    smal_random(t, s->keys, type, SMAL_CHECK + 4 * t->step_no + type, d, 2);
}

/* All of the core say that they have what comes before the coin. */
static int send_ready(seq_task *t) {
    const shamir_state *s = shamir_of(t);
    const unsigned me = t->env->me;
    for (unsigned q = 0; me < s->core && q < s->core; q++)
        if (q != me) {
            uint8_t *out = task_send(t, q, 8);
            if (!out)
                return TASK_ERROR;
            memset(out, 0, 8);
            task_expect(t, q, 8);
        }
    return TASK_WAIT;
}

static int open_coin(seq_task *t, smal_check *s) {
    draw_random(t, s, SHAMIR_EXT, s->share);
    shamir_add(&s->x, (shamir_item){.kind = SHAMIR_OPEN,
                                    .type = SHAMIR_EXT,
                                    .count = 2,
                                    .value = s->share,
                                    .out = s->coin});
    if (shamir_deal(&s->x))
        return TASK_ERROR;
    shamir_send(&s->x);
    return TASK_WAIT;
}

/* The products of the lower halves and of the differences, and in the last level of a random pair
 * and of what is left. */
static int multiply(seq_task *t, smal_check *s) {
    unsigned count = 0;
    for (unsigned k = 0; k < SIDES; k++) {
        side *d = &s->side[k];
        const size_t size = shamir_size(d->type), half = d->n / 2;
        if (!halves(s, k))
            continue;
        if (s->level == d->levels) { /* n = 1 */
            draw_random(t, s, d->type, d->random);
            memcpy(d->x + size, d->x, size);
            memcpy(d->y + size, d->y, size);
            memcpy(d->x, d->random, size);
            memcpy(d->y, d->random + size, size);
        }
        halve(d, d->part, half ? half : 1);
        shamir_product *p = &s->product[count++];
        memset(p, 0, sizeof *p);
        if (shamir_product_alloc(t, p, d->type, 2))
            return TASK_ERROR;
        p->n = 2;
        p->z = d->part;
    }
    s->stage = RETURN;
    return shamir_multiply_all(&s->x, s->product, count) ? TASK_ERROR : TASK_WAIT;
}

static unsigned products(const smal_check *s) {
    return (unsigned)(halves(s, NUMBERS) + halves(s, BITS));
}

/* At the coin: the vectors' lines, and the parabola z(0), z(1), leading coefficient. */
static void fold(const seq_task *t, smal_check *s) {
    const field coin = ((field)s->coin[1] << 64 | s->coin[0]) & random_bits(t);
    for (unsigned k = 0; k < SIDES; k++) {
        side *d = &s->side[k];
        if (!halves(s, k))
            continue;
        const size_t lower = d->n > 1 ? d->n / 2 : 1;
        const field at = k == NUMBERS ? field_from_word(coin) : (uint64_t)coin;
        const field zero = get(d->type, d->part, 0), top = get(d->type, d->part, 1);
        const field one = s->level == d->levels ? d->z : sub(d->type, d->z, zero);
        const field slope = sub(d->type, sub(d->type, one, zero), top);
        field z = add(d->type, slope, shamir_mul(d->type, at, top));
        d->z = add(d->type, zero, shamir_mul(d->type, at, z));
        bind(d->type, d->x, lower, at);
        bind(d->type, d->y, lower, at);
        d->n = lower;
    }
    s->level++;
}

static int reveal(smal_check *s) {
    for (unsigned k = 0; k < SIDES; k++) {
        side *d = &s->side[k];
        if (!d->n)
            continue;
        put(d->type, s->final[k], 0, get(d->type, d->x, 0));
        put(d->type, s->final[k], 1, get(d->type, d->y, 0));
        put(d->type, s->final[k], 2, d->z);
        shamir_add(&s->x, (shamir_item){.kind = SHAMIR_OPEN,
                                        .type = d->type,
                                        .count = 3,
                                        .value = s->final[k],
                                        .out = d->opened});
    }
    s->stage = DONE;
    if (shamir_deal(&s->x))
        return TASK_ERROR;
    shamir_send(&s->x);
    return TASK_WAIT;
}

static int conclude(seq_task *t, smal_check *s) {
    if (shamir_take(&s->x))
        return TASK_ERROR;
    for (unsigned k = 0; k < SIDES && t->env->me < shamir_of(t)->core; k++) {
        const side *d = &s->side[k];
        const field x = get(d->type, d->opened, 0), y = get(d->type, d->opened, 1);
        if (d->n && shamir_mul(d->type, x, y) != get(d->type, d->opened, 2))
            return task_fail(t, SEQ_ERR_CHEAT, -1,
                             "cheating detected: a multiplication before this was wrong");
    }
    return TASK_DONE;
}

/* Rounds: ready, coin; each level: to the kings, back, ready, coin; the end. */
static int begin(seq_task *t, smal_check *s) {
    smal_state *state = smal_of(t);
    state->checked = state->log; /* the next instructions may begin before this ends */
    memset(&state->log, 0, sizeof state->log);
    size_sides(s, &state->checked, t->env->me < shamir_of(t)->core);
    task_alone(t, 3 + 4 * s->levels);
    shamir_keys(&s->x, t);
    if (!(s->keys = smal_keys(t)))
        return TASK_ERROR;
    s->stage = COIN;
    return send_ready(t);
}

int smal_check_step(seq_task *t, smal_check *s) {
    if (t->step_no == 0)
        return begin(t, s);
    switch (s->stage) {
    case COIN:
        s->stage = MULTIPLY;
        return open_coin(t, s);
    case MULTIPLY:
        if (shamir_take(&s->x))
            return TASK_ERROR;
        if (!s->built) {
            s->built = 1;
            prg_init(&s->weights, (const uint8_t *)s->coin);
            if (build(t, s))
                return TASK_ERROR;
        } else {
            fold(t, s);
        }
        return s->level < s->levels ? multiply(t, s) : reveal(s);
    case RETURN:
        s->stage = FINISH;
        return shamir_return_all(&s->x, s->product, products(s)) ? TASK_ERROR : TASK_WAIT;
    case FINISH:
        shamir_finish_all(&s->x, s->product, products(s));
        s->stage = COIN;
        return send_ready(t);
    default:
        return conclude(t, s);
    }
}
