/* emulate: one process, no secrecy, exactly the fixed-point semantics of the instruction table.
 * What a program computes here is what every protocol must compute, but for the coins of
 * probabilistic rounding.
 *
 * Each start handler does all the work: no tasks, no rounds. With env->checked it reports what
 * leaves its range, as the author's error: values of more than k bits after a rounding, products of
 * more than ring_bits - 1 bits (their sums are estimated in double precision, good to 2^-40 of the
 * largest term), and inputs of comparisons outside of the bits that the comparison looks at. */
#include "protocol.h"

#include "../ring/field.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    prg_key key, program; /* coins; random bits of the program */
} emulate_state;

enum { PURPOSE_COIN, PURPOSE_BIT, PURPOSE_ORDER };
enum { ORDERS = 0x10000 }; /* instead of a sub-machine: keys of orders, by their names */
enum { PIECE = 512 };

static seq_status emulate_check(unsigned ring_bits, unsigned k, unsigned f, unsigned stat,
                                seq_error *err) {
    (void)ring_bits, (void)k, (void)f, (void)stat, (void)err;
    return SEQ_OK;
}

static seq_status emulate_setup(const seq_env *env, const seq_keys *keys, void **state,
                                seq_error *err) {
    (void)env;
    emulate_state *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory for the protocol");
    }
    prg_init(&s->key, keys->common);
    prg_init(&s->program, keys->common + 16);
    *state = s;
    return SEQ_OK;
}

static void emulate_teardown(void *state) {
    prg_wipe(state, sizeof(emulate_state));
    free(state);
}

static void add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                       size_t n) {
    if (a == NULL) {
        memcpy(d->c[0], b, n * env->ring->word);
    } else {
        env->ring->add(d->c[0], a->c[0], b, n);
    }
}

static void xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                       size_t words) {
    if (a == NULL) {
        memcpy(d->c[0], b, words * 8);
    } else {
        env->bits->xor_(d->c[0], a->c[0], b, words);
    }
}

#define ARG(op, name) (call->arg[SEQ_ARG_##op##_##name])
#define SIZE(op, name) ((size_t)ARG(op, name))
#define REG(op, name) (call->reg[SEQ_ARG_##op##_##name].c[0])

static __int128 word_at(const seq_env *env, const void *words, size_t i) {
    if (env->ring->bits == RING_FIELD) {
        return field_to_signed(((const field *)words)[i]);
    }
    return env->ring->word == 8 ? ((const int64_t *)words)[i] : ((const __int128 *)words)[i];
}

static unsigned word_bits(const seq_env *env) {
    return 8 * (unsigned)env->ring->word;
}

static prg_key call_key(seq_vm *vm, const seq_call *call) {
    const emulate_state *s = vm_env(vm)->protocol;
    prg_key key;
    prg_derive(&key, &s->key, call->instance, call->sub);
    return key;
}

/* ---- ranges (checked runs only) ---- */

/* Each |x| < 2^bits. */
static seq_status check_range(seq_vm *vm, const seq_call *call, const void *x, size_t n,
                              unsigned bits, const char *what, const char *advice) {
    const seq_env *env = vm_env(vm);
    __int128 limit = (__int128)1 << bits;
    for (size_t i = 0; env->checked && i < n; i++) {
        __int128 v = word_at(env, x, i);
        if (v >= limit || v <= -limit) {
            return vm_fail(vm, call, SEQ_ERR_AUTHOR, -1,
                           "%s leaves its range: element %zu is %.6g (|x| < 2^%u is needed)%s",
                           what, i, (double)v, bits, advice);
        }
    }
    return SEQ_OK;
}

static const char *const advice = "; scale the values down or compile with a larger k";

/* A double for each word; to be freed. NULL with the error set. */
static double *to_doubles(seq_vm *vm, const seq_call *call, const void *x, size_t n) {
    double *d = malloc((n + 1) * sizeof *d);
    if (d == NULL) {
        (void)vm_fail(vm, call, SEQ_ERR_MEMORY, -1, "no memory to check ranges");
    }
    for (size_t i = 0; d != NULL && i < n; i++) {
        d[i] = (double)word_at(vm_env(vm), x, i);
    }
    return d;
}

static void check_estimates(seq_vm *vm, const seq_call *call, const double *x, size_t n) {
    unsigned bits = vm_env(vm)->ring_bits - 2;
    for (size_t i = 0; i < n; i++) {
        if (fabs(x[i]) >= ldexp(1, (int)bits)) {
            (void)vm_fail(vm, call, SEQ_ERR_AUTHOR, -1,
                          "a product leaves its range: element %zu is about %.6g (|x| < 2^%u is "
                          "needed before rounding)%s",
                          i, x[i], bits, advice);
            return;
        }
    }
}

typedef void (*estimate)(const seq_call *call, double *d, const double *a, const double *b);

/* A sum (mul_add and so on) is a product with one operand more, in the same order of opcodes. */
_Static_assert(SEQ_OP_CONV2D_DW_ADD - SEQ_OP_MUL_ADD == SEQ_OP_CONV2D_DW - SEQ_OP_MUL &&
                   SEQ_OP_MATMUL_ADD - SEQ_OP_MUL_ADD == SEQ_OP_MATMUL - SEQ_OP_MUL &&
                   SEQ_OP_CONV2D_ADD - SEQ_OP_MUL_ADD == SEQ_OP_CONV2D - SEQ_OP_MUL,
               "sums are ordered like products");

static int is_sum(const seq_call *call) {
    return call->op >= SEQ_OP_MUL_ADD && call->op <= SEQ_OP_CONV2D_DW_ADD;
}

static unsigned product_op(const seq_call *call) {
    return is_sum(call) ? call->op - SEQ_OP_MUL_ADD + SEQ_OP_MUL : call->op;
}

/* What is added to a product, or NULL. */
static const void *added(const seq_call *call) {
    const unsigned at = product_op(call) == SEQ_OP_MUL      ? SEQ_ARG_MUL_ADD_e
                        : product_op(call) == SEQ_OP_MATMUL ? SEQ_ARG_MATMUL_ADD_e
                                                            : SEQ_ARG_CONV2D_ADD_e;
    return is_sum(call) ? call->reg[at].c[0] : NULL;
}

/* Estimate a product's result in doubles and compare it with the ring: na, nb, nd elements. */
static void check_product(seq_vm *vm, const seq_call *call, estimate fn, const void *a, size_t na,
                          const void *b, size_t nb, size_t nd) {
    if (!vm_env(vm)->checked) {
        return;
    }
    double *x = to_doubles(vm, call, a, na), *y = to_doubles(vm, call, b, nb);
    double *d = calloc(nd + 1, sizeof *d);
    if (x != NULL && y != NULL && d != NULL) {
        fn(call, d, x, y);
        for (size_t i = 0; added(call) != NULL && i < nd; i++) {
            d[i] += (double)word_at(vm_env(vm), added(call), i);
        }
        check_estimates(vm, call, d, nd);
    } else {
        (void)vm_fail(vm, call, SEQ_ERR_MEMORY, -1, "no memory to check ranges");
    }
    free(x);
    free(y);
    free(d);
}

static void estimate_mul(const seq_call *call, double *d, const double *a, const double *b) {
    for (size_t i = 0; i < SIZE(MUL, n); i++) {
        d[i] = a[i] * b[i];
    }
}

static void estimate_matmul(const seq_call *call, double *d, const double *a, const double *b) {
    size_t m = SIZE(MATMUL, M), k = SIZE(MATMUL, K), n = SIZE(MATMUL, N);
    int ta = ARG(MATMUL, ta) != 0, tb = ARG(MATMUL, tb) != 0;
    for (size_t i = 0; i < m; i++) {
        for (size_t l = 0; l < k; l++) {
            double v = ta ? a[l * m + i] : a[i * k + l];
            for (size_t j = 0; j < n; j++) {
                d[i * n + j] += v * (tb ? b[j * k + l] : b[l * n + j]);
            }
        }
    }
}

static ring_conv conv_of(const seq_call *call) {
    return (ring_conv){.batch = SIZE(CONV2D, B),
                       .cin = SIZE(CONV2D, C),
                       .h = SIZE(CONV2D, H),
                       .w = SIZE(CONV2D, W),
                       .cout = SIZE(CONV2D, O),
                       .kh = SIZE(CONV2D, KH),
                       .kw = SIZE(CONV2D, KW),
                       .oh = SIZE(CONV2D, OH),
                       .ow = SIZE(CONV2D, OW),
                       .sh = SIZE(CONV2D, SH),
                       .sw = SIZE(CONV2D, SW),
                       .ph = SIZE(CONV2D, PH),
                       .pw = SIZE(CONV2D, PW)};
}

/* Row (b, o, i, j) of the output against row (b, c, i.sh + u - ph, ..) of the input and (o, c, u)
 * of the weight: the innermost loop of all three convolutions. */
static void conv_row(const seq_call *call, double *y, double *x, double *w, const ring_conv *c,
                     ptrdiff_t left) {
    for (size_t v = 0; v < c->kw; v++) {
        ptrdiff_t col = left + (ptrdiff_t)v;
        if (col < 0 || col >= (ptrdiff_t)c->w) {
            continue;
        }
        if (product_op(call) == SEQ_OP_CONV2D) {
            *y += x[col] * w[v];
        } else if (product_op(call) == SEQ_OP_CONV2D_DX) {
            x[col] += *y * w[v];
        } else {
            w[v] += *y * x[col];
        }
    }
}

static void conv_output(const seq_call *call, const ring_conv *c, double *y, double *x, double *w) {
    for (size_t i = 0; i < c->oh * c->ow; i++) {
        ptrdiff_t top = (ptrdiff_t)(i / c->ow * c->sh) - (ptrdiff_t)c->ph;
        ptrdiff_t left = (ptrdiff_t)(i % c->ow * c->sw) - (ptrdiff_t)c->pw;
        for (size_t ch = 0; ch < c->cin; ch++) {
            for (size_t u = 0; u < c->kh; u++) {
                ptrdiff_t row = top + (ptrdiff_t)u;
                if (row >= 0 && row < (ptrdiff_t)c->h) {
                    conv_row(call, y + i, x + (ch * c->h + (size_t)row) * c->w,
                             w + (ch * c->kh + u) * c->kw, c, left);
                }
            }
        }
    }
}

static void estimate_conv(const seq_call *call, double *d, const double *a, const double *b) {
    ring_conv c = conv_of(call);
    double *first = (double *)(uintptr_t)a, *second = (double *)(uintptr_t)b;
    double *y = product_op(call) == SEQ_OP_CONV2D ? d : first;
    double *x = product_op(call) == SEQ_OP_CONV2D      ? first
                : product_op(call) == SEQ_OP_CONV2D_DX ? d
                                                       : second;
    double *w = product_op(call) == SEQ_OP_CONV2D_DW ? d : second;
    for (size_t i = 0; i < c.batch * c.cout; i++) {
        conv_output(call, &c, y + i * c.oh * c.ow, x + i / c.cout * c.cin * c.h * c.w,
                    w + i % c.cout * c.cin * c.kh * c.kw);
    }
}

/* ---- arithmetic ---- */

/* d = round(d / 2^m). Probabilistic: floor((d + coin) / 2^m), coin uniform in [0, 2^m). */
static void round_words(seq_vm *vm, const seq_call *call, void *d, size_t n, unsigned m,
                        int64_t nearest) {
    const seq_env *env = vm_env(vm);
    const ring_ops *ring = env->ring;
    if (m == 0) {
        return;
    }
    if (nearest) {
        ring->shr_nearest(d, d, m, n);
    } else {
        prg_key key = call_key(vm, call);
        size_t halves = ring->word / 8;
        _Alignas(64) uint64_t coin[2 * PIECE];
        for (size_t at = 0; at < n; at += PIECE) {
            size_t count = n - at < PIECE ? n - at : PIECE;
            uint8_t *part = (uint8_t *)d + at * ring->word;
            prg_words(&key, PURPOSE_COIN, at * halves, coin, count * halves);
            ring->shr(coin, coin, word_bits(env) - m, count);
            ring->add(part, part, coin, count);
            ring->sar(part, part, m, count);
        }
    }
    (void)check_range(vm, call, d, n, env->k - 1, "the result", advice);
}

/* d, a product, plus what is added to it, rounded. */
static void finish_product(seq_vm *vm, const seq_call *call, void *d, size_t n, int64_t m,
                           int64_t nearest) {
    if (added(call) != NULL) {
        vm_env(vm)->ring->add(d, d, added(call), n);
    }
    round_words(vm, call, d, n, (unsigned)m, nearest);
}

static void start_mul(seq_vm *vm, const seq_call *call) {
    size_t n = SIZE(MUL, n);
    check_product(vm, call, estimate_mul, REG(MUL, a), n, REG(MUL, b), n, n);
    vm_env(vm)->ring->mul(REG(MUL, d), REG(MUL, a), REG(MUL, b), n);
    finish_product(vm, call, REG(MUL, d), n, ARG(MUL, m), ARG(MUL, mode));
}

static void start_matmul(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    ring_gemm g = {.m = SIZE(MATMUL, M),
                   .k = SIZE(MATMUL, K),
                   .n = SIZE(MATMUL, N),
                   .ta = (int)ARG(MATMUL, ta),
                   .tb = (int)ARG(MATMUL, tb)};
    check_product(vm, call, estimate_matmul, REG(MATMUL, a), g.m * g.k, REG(MATMUL, b), g.k * g.n,
                  g.m * g.n);
    env->ring->gemm(REG(MATMUL, d), &(ring_term){REG(MATMUL, a), REG(MATMUL, b)}, 1, &g, 0,
                    env->pool);
    finish_product(vm, call, REG(MATMUL, d), g.m * g.n, ARG(MATMUL, m), ARG(MATMUL, mode));
}

/* The three convolutions have their operands at the same positions: result, two factors, sizes. */
static void start_conv(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    ring_conv c = conv_of(call);
    size_t nx = c.batch * c.cin * c.h * c.w, nw = c.cout * c.cin * c.kh * c.kw;
    size_t ny = c.batch * c.cout * c.oh * c.ow;
    void *d = REG(CONV2D, d), *a = REG(CONV2D, x), *b = REG(CONV2D, w);
    size_t nd = ny;
    if (product_op(call) == SEQ_OP_CONV2D) {
        check_product(vm, call, estimate_conv, a, nx, b, nw, ny);
        env->ring->conv(d, &(ring_term){a, b}, 1, &c, 0, env->pool);
    } else if (product_op(call) == SEQ_OP_CONV2D_DX) {
        check_product(vm, call, estimate_conv, a, ny, b, nw, nx);
        env->ring->conv_dx(d, &(ring_term){a, b}, 1, &c, 0, env->pool);
        nd = nx;
    } else {
        check_product(vm, call, estimate_conv, a, ny, b, nx, nw);
        env->ring->conv_dw(d, &(ring_term){a, b}, 1, &c, 0, env->pool);
        nd = nw;
    }
    finish_product(vm, call, d, nd, ARG(CONV2D, m), ARG(CONV2D, mode));
}

static void start_trunc(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    size_t n = SIZE(TRUNC, n);
    if (check_range(vm, call, REG(TRUNC, a), n, env->ring_bits - 2, "the value to be rounded",
                    advice) == SEQ_OK) {
        memcpy(REG(TRUNC, d), REG(TRUNC, a), n * env->ring->word);
        round_words(vm, call, REG(TRUNC, d), n, (unsigned)ARG(TRUNC, m), ARG(TRUNC, mode));
    }
}

static void start_select(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    size_t n = SIZE(SELECT, n);
    env->bits->unslice(REG(SELECT, d), word_bits(env), REG(SELECT, b), bits_plane_words(n), n, 0,
                       1);
    env->ring->mul(REG(SELECT, d), REG(SELECT, d), REG(SELECT, a), n);
}

/* Kept of a bit is the bit, as a word. */
static void start_select_keep(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    size_t n = SIZE(SELECT_KEEP, n);
    env->bits->unslice(REG(SELECT_KEEP, k), word_bits(env), REG(SELECT_KEEP, b),
                       bits_plane_words(n), n, 0, 1);
    env->ring->mul(REG(SELECT_KEEP, d), REG(SELECT_KEEP, k), REG(SELECT_KEEP, a), n);
}

static void start_select_kept(seq_vm *vm, const seq_call *call) {
    vm_env(vm)->ring->mul(REG(SELECT_KEPT, d), REG(SELECT_KEPT, k), REG(SELECT_KEPT, a),
                          SIZE(SELECT_KEPT, n));
}

/* ---- bits ---- */

/* What a comparison looks at is the whole value, unless it says so by asking for more than k + 1
 * bits. */
static seq_status check_bits(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    unsigned bits = (unsigned)ARG(LTZ, bits);
    if (bits > env->k + 1) {
        return SEQ_OK;
    }
    return check_range(vm, call, REG(LTZ, a), SIZE(LTZ, n), bits - 1, "the compared value",
                       "; compare with more bits or scale the values down");
}

static void start_ltz(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    size_t n = SIZE(LTZ, n);
    if (check_bits(vm, call) == SEQ_OK) {
        vm_slice(env, REG(LTZ, d), bits_plane_words(n), REG(LTZ, a), n,
                 (unsigned)ARG(LTZ, bits) - 1, 1);
    }
}

static void start_eqz(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    unsigned up = 128 - (unsigned)ARG(EQZ, bits);
    uint64_t *d = REG(EQZ, d);
    size_t n = SIZE(EQZ, n);
    /* Fewer bits than a value has are asked for on purpose: the residue is meant. */
    if (ARG(EQZ, bits) >= env->k && check_bits(vm, call) != SEQ_OK) {
        return;
    }
    memset(d, 0, bits_plane_words(n) * 8);
    for (size_t i = 0; i < n; i++) {
        uint64_t zero = (unsigned __int128)word_at(env, REG(EQZ, a), i) << up == 0;
        d[i / 64] |= zero << i % 64;
    }
}

static void start_a2b(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    unsigned bits = (unsigned)ARG(A2B, bits);
    size_t n = SIZE(A2B, n);
    /* As for eqz: to take it apart. */
    if (bits < env->k || check_bits(vm, call) == SEQ_OK) {
        vm_slice(env, REG(A2B, d), bits_plane_words(n), REG(A2B, a), n, 0, bits);
    }
}

static void start_b2a(seq_vm *vm, const seq_call *call) {
    const seq_env *env = vm_env(vm);
    size_t n = SIZE(B2A, n), words = bits_plane_words(n);
    for (size_t i = 0; i < SIZE(B2A, p); i++) {
        env->bits->unslice((uint8_t *)REG(B2A, d) + i * n * env->ring->word, word_bits(env),
                           (const uint64_t *)REG(B2A, a) + i * words, words, n, 0, 1);
    }
}

static void start_and(seq_vm *vm, const seq_call *call) {
    vm_env(vm)->bits->and_(REG(AND, d), REG(AND, a), REG(AND, b),
                           SIZE(AND, p) * bits_plane_words(SIZE(AND, n)));
}

static void start_randbit(seq_vm *vm, const seq_call *call) {
    const emulate_state *s = vm_env(vm)->protocol;
    prg_key key;
    prg_derive(&key, &s->program, call->instance, call->sub);
    prg_words(&key, PURPOSE_BIT, 0, REG(RANDBIT, d),
              SIZE(RANDBIT, p) * bits_plane_words(SIZE(RANDBIT, n)));
}

/* Rows change places as those of cperm do. */
static void start_shuffle(seq_vm *vm, const seq_call *call) {
    const emulate_state *s = vm_env(vm)->protocol;
    size_t n = SIZE(SHUFFLE, n), row = SIZE(SHUFFLE, len) * vm_env(vm)->ring->word;
    uint64_t name, words[PIECE];
    size_t *order = malloc((n + 1) * sizeof *order);
    if (order == NULL) {
        (void)vm_fail(vm, call, SEQ_ERR_MEMORY, -1, "no memory for an order of %zu rows", n);
        return;
    }
    prg_key key;
    memcpy(&name, REG(SHUFFLE, order), sizeof name);
    prg_derive(&key, &s->program, name, ORDERS);
    for (size_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (size_t used = 0; used + 1 < n; used++) {
        if (used % PIECE == 0) {
            prg_words(&key, PURPOSE_ORDER, used, words, PIECE);
        }
        size_t last = n - 1 - used, entry = order[last];
        size_t j = (size_t)((unsigned __int128)words[used % PIECE] * (last + 1) >> 64);
        order[last] = order[j];
        order[j] = entry;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy((uint8_t *)REG(SHUFFLE, d) + i * row, (uint8_t *)REG(SHUFFLE, a) + order[i] * row,
               row);
    }
    free(order);
}

/* ---- openings, inputs, outputs ---- */

static void start_open(seq_vm *vm, const seq_call *call) {
    memcpy(REG(OPEN, d), REG(OPEN, a), SIZE(OPEN, n) * vm_env(vm)->ring->word);
}

static void unslice_all(seq_vm *vm, void *d, const void *planes, size_t n, unsigned p) {
    const seq_env *env = vm_env(vm);
    env->bits->unslice(d, word_bits(env), planes, bits_plane_words(n), n, 0, p);
}

static void start_openb(seq_vm *vm, const seq_call *call) {
    unslice_all(vm, REG(OPENB, d), REG(OPENB, a), SIZE(OPENB, n), (unsigned)ARG(OPENB, p));
}

static void start_input(seq_vm *vm, const seq_call *call) {
    memcpy(REG(INPUT, d), vm_input_words(vm, ARG(INPUT, in)),
           SIZE(INPUT, n) * vm_env(vm)->ring->word);
}

static void start_output(seq_vm *vm, const seq_call *call) {
    void *out = vm_output_buffer(vm, ARG(OUTPUT, out), SIZE(OUTPUT, n));
    if (out != NULL) {
        memcpy(out, REG(OUTPUT, a), SIZE(OUTPUT, n) * vm_env(vm)->ring->word);
    }
}

static void start_outputb(seq_vm *vm, const seq_call *call) {
    void *out = vm_output_buffer(vm, ARG(OUTPUTB, out), SIZE(OUTPUTB, n));
    if (out != NULL) {
        unslice_all(vm, out, REG(OUTPUTB, a), SIZE(OUTPUTB, n), (unsigned)ARG(OUTPUTB, p));
    }
}

#define START(op) [SEQ_OP_##op - SEQ_OP_FIRST_INTERACTIVE]

static unsigned emulate_input_stored(unsigned me, unsigned owner) {
    (void)me, (void)owner;
    return 1;
}

static uint64_t emulate_scratch(const seq_env *env, const seq_call *call) {
    (void)env, (void)call;
    return 0;
}

const seq_protocol protocol_emulate = {
    .name = "emulate",
    .title = "one process, no secrecy: the exact semantics",
    .adversary = "none (insecure)",
    .parties_min = 1,
    .parties_max = 1,
    .threshold_num = 0,
    .threshold_den = 1,
    .ring64 = 1,
    .ring128 = 1,
    .field = 1,
    .components = 1,
    .bit_components = 1,
    .insecure = 1,
    .check = emulate_check,
    .setup = emulate_setup,
    .teardown = emulate_teardown,
    .input_stored = emulate_input_stored,
    .scratch = emulate_scratch,
    .add_public = add_public,
    .xor_public = xor_public,
    .start =
        {
            START(MUL) = start_mul,
            START(MUL_ADD) = start_mul,
            START(MATMUL) = start_matmul,
            START(MATMUL_ADD) = start_matmul,
            START(CONV2D) = start_conv,
            START(CONV2D_ADD) = start_conv,
            START(CONV2D_DX) = start_conv,
            START(CONV2D_DX_ADD) = start_conv,
            START(CONV2D_DW) = start_conv,
            START(CONV2D_DW_ADD) = start_conv,
            START(TRUNC) = start_trunc,
            START(LTZ) = start_ltz,
            START(EQZ) = start_eqz,
            START(SELECT) = start_select,
            START(SELECT_KEEP) = start_select_keep,
            START(SELECT_KEPT) = start_select_kept,
            START(B2A) = start_b2a,
            START(A2B) = start_a2b,
            START(AND) = start_and,
            START(OPEN) = start_open,
            START(OPENB) = start_openb,
            START(RANDBIT) = start_randbit,
            START(INPUT) = start_input,
            START(OUTPUT) = start_output,
            START(OUTPUTB) = start_outputb,
            START(SHUFFLE) = start_shuffle,
        },
};

_Static_assert(SEQ_ARG_CONV2D_x == (int)SEQ_ARG_CONV2D_DX_g &&
                   SEQ_ARG_CONV2D_x == (int)SEQ_ARG_CONV2D_DW_g &&
                   SEQ_ARG_CONV2D_w == (int)SEQ_ARG_CONV2D_DW_x &&
                   SEQ_ARG_CONV2D_w == (int)SEQ_ARG_CONV2D_DX_w,
               "started alike");
_Static_assert(SEQ_ARG_CONV2D_ADD_e == (int)SEQ_ARG_CONV2D_DX_ADD_e &&
                   SEQ_ARG_CONV2D_ADD_e == (int)SEQ_ARG_CONV2D_DW_ADD_e &&
                   SEQ_ARG_CONV2D_ADD_x == (int)SEQ_ARG_CONV2D_x &&
                   SEQ_ARG_MATMUL_ADD_mode == (int)SEQ_ARG_MATMUL_mode &&
                   SEQ_ARG_MUL_ADD_mode == (int)SEQ_ARG_MUL_mode,
               "sums have their operands where products have them");
_Static_assert(SEQ_ARG_LTZ_a == (int)SEQ_ARG_EQZ_a && SEQ_ARG_LTZ_a == (int)SEQ_ARG_A2B_a &&
                   SEQ_ARG_LTZ_n == (int)SEQ_ARG_A2B_n && SEQ_ARG_LTZ_n == (int)SEQ_ARG_EQZ_n,
               "checked alike");
