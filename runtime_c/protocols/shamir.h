#ifndef SEQ_SHAMIR_H
#define SEQ_SHAMIR_H
/* Inside of shamir: n parties, fewer than half of them corrupt, semi-honest. The protocols, their
 * equations and why they reveal nothing are in docs/protocols/shamir.md; names here are the same.
 *
 * The first 2 t + 1 parties are the core, who compute; if n is even, the last party only gives
 * inputs and receives outputs, and what its registers hold means nothing.
 *
 * A number x of the field p = 2^127 - 1 is f(0) of a polynomial f of degree t; party i of the core
 * holds f(i + 1) in c[0]. A bit is f(0) in {0, 1} of one over GF(16), party i holds f(i + 1),
 * points being numbers of four bits, and c[k] is the plane of bit k of that: 64 bits are a block of
 * four words.
 *
 * No function here branches on or addresses by secrets. */

#include <string.h>

#include "../ring/field.h"
#include "dzk_gf.h"
#include "protocol.h"

#define SHAMIR_PARTIES 10
#define SHAMIR_T 4           /* the most corruptions */
#define SHAMIR_CORE 9        /* the largest core */
#define SHAMIR_SETS 126      /* sets of t + 1 parties of it */
#define SHAMIR_MASK_BITS 124 /* of a mask that one party deals */
#define SHAMIR_MAX_BITS 128  /* of a number taken apart, and bits that count its carries */
#define SHAMIR_PIECE 128     /* elements worked on at a time */
#define SHAMIR_MAX_ELEMENTS ((size_t)1 << 28)
#ifndef SHAMIR_CHUNK
#define SHAMIR_CHUNK 192 /* blocks of 64 elements in a task */
#endif
/* Keys of tasks are derived from 16 bits of their number. */
_Static_assert(SHAMIR_MAX_ELEMENTS / 64 / SHAMIR_CHUNK < 0xFFFF, "tasks have keys of their own");

/* Loops over elements, compiled for several CPUs. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(SHAMIR_PLAIN)
#define SHAMIR_KERNEL                                                                              \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define SHAMIR_KERNEL __attribute__((optimize("O3")))
#endif

/* 64 elements of GF(16): word k holds bit k of each. */
typedef struct {
    uint64_t w[4];
} shamir_block;

/* Numbers and blocks of bits: what is dealt is one or the other. Checks of bits also compute in the
 * field of 2^64 elements of dzk_gf.h, which contains GF(16): X is SHAMIR_ROOT there. */
enum { SHAMIR_NUMBER, SHAMIR_BITS, SHAMIR_EXT, SHAMIR_TYPES };
#define SHAMIR_ROOT 0xA181E7D66F5FF794ULL /* x^4 = x + 1 */

/* Public coefficients, fixed at setup: elements of p or of GF(16) as words. Known points of a
 * dealer d: its secret at 0, then parties d + 1, ... of the core, or (random dealings) without the
 * secret. A dealer outside of the core comes before party 0. */
typedef struct {
    field deal[SHAMIR_PARTIES][SHAMIR_CORE][SHAMIR_T + 1];    /* party q's share */
    field random[SHAMIR_CORE][SHAMIR_CORE + 1][SHAMIR_T + 1]; /* the same; last: secret */
    field deal2[SHAMIR_CORE][SHAMIR_CORE]; /* own share: degree 2 t, secret, then the core but d */
    field king[SHAMIR_CORE];               /* f(0) from the core's shares */
    field open[SHAMIR_PARTIES][SHAMIR_T + 1];  /* f(0) for party q, from shamir_source(q, 0 .. t) */
    field power[SHAMIR_CORE][SHAMIR_CORE + 1]; /* (q + 1)^k */
    field first[SHAMIR_T + 1];                 /* f(0) from parties 0, ..., t */
    field check[SHAMIR_T][SHAMIR_T + 2]; /* 0 from parties 0, ..., t and t + 1 + i: degree t */
} shamir_table;

/* A multiplication that is to be verified: z = x y for flat vectors, or the bilinear map `op` of x
 * and y. In order of `order`, which is the same everywhere. */
typedef struct shamir_record {
    struct shamir_record *next, *pending;
    uint64_t order[3]; /* (instance, sub), (chunk, step), first element */
    unsigned type, op; /* op: 0, flat, or that of a matrix product or convolution with arg */
    int64_t arg[SEQ_MAX_OPERANDS];
    size_t at, nx, ny, n; /* elements; at: of z in the product */
    uint8_t *x, *y, *z;
} shamir_record;

typedef struct {
    shamir_record *records;
    size_t length[SHAMIR_TYPES]; /* of the inner products that records come to */
} shamir_log;

typedef struct {
    unsigned n, t, core;
    shamir_log *log; /* of multiplications; NULL: nothing is verified */
    shamir_table table[SHAMIR_TYPES];
    unsigned sets;                     /* sets of t + 1 parties of the core, as masks of bits; */
    uint16_t set[SHAMIR_SETS];         /* t parties together miss at least one whole set */
    prg_key pair[SHAMIR_PARTIES], own; /* own: known to nobody else */
    prg_key program;                   /* own, for what the program asks for */
    prg_key common;
} shamir_state;

static inline const shamir_state *shamir_of(const seq_task *t) {
    return t->env->protocol;
}

/* The j-th party of the core after d, j > 0. */
static inline unsigned shamir_after(const shamir_state *s, unsigned d, unsigned j) {
    return d < s->core ? (d + j) % s->core : j - 1;
}

/* How many places `to`, of the core, comes after another party. */
static inline unsigned shamir_ahead(const shamir_state *s, unsigned from, unsigned to) {
    return from < s->core ? (to + s->core - from) % s->core : to + 1;
}

/* Whose share is the j-th of the t + 1 from which party q learns a value: its own first, if it has
 * one. */
static inline unsigned shamir_source(const shamir_state *s, unsigned q, unsigned j) {
    return q < s->core ? (q + j) % s->core : j;
}

/* Elementary steps; an exchange is a list of them, in the order in which messages lie in frames. */
enum {
    SHAMIR_DEAL,   /* `who` shares values, degree t */
    SHAMIR_MASK,   /* `who` shares values, degree 2 t, in the core; no messages */
    SHAMIR_RANDOM, /* `who` shares random values, degrees t and 2 t */
    SHAMIR_KING,   /* the core sends `who` its shares of degree 2 t */
    SHAMIR_OPEN    /* the core learns the value of shares of degree t, and that they are so */
};

typedef struct {
    unsigned kind, type, who;
    size_t count;      /* elements: numbers, or blocks */
    const void *value; /* DEAL, MASK: what `who` shares; KING, OPEN: my share; unused elsewhere */
    void *out;         /* DEAL, RANDOM: my share; KING, OPEN: what is learnt */
    void *out2;        /* MASK, RANDOM: my share of degree 2 t, in the core */
} shamir_item;

#define SHAMIR_ITEMS 160

typedef struct {
    seq_task *t;
    prg_key pair[SHAMIR_PARTIES], own;
    uint8_t *frame[SHAMIR_PARTIES]; /* what goes out in this step */
    shamir_item item[SHAMIR_ITEMS];
    unsigned items;
} shamir_exchange;

/* Keys of a task. */
void shamir_keys(shamir_exchange *x, seq_task *t);
void shamir_add(shamir_exchange *x, shamir_item item);
/* Make room for the messages and do what is dealt; 0, or -1 if memory ran out. */
int shamir_deal(shamir_exchange *x);
/* Send kings their shares; the step may end. */
void shamir_send(shamir_exchange *x);
/* In the next step: what was sent to me, into `out`. The list is empty afterwards. -1: an opened
 * sharing was not one, and the run has failed; 0 if nothing was opened. */
int shamir_take(shamir_exchange *x);

size_t shamir_size(unsigned type);
/* The value of the core's shares of degree t. -1: they are not of that degree, and the run has
 * failed; 0. What comes out is public to who calls this. */
int shamir_open(seq_task *t, unsigned type, void *out, const void *const *in, size_t count);
/* Coefficients c[i] of f(at) as a sum of c[i] f(points[i]), for degree m - 1. Party i's point is
 * shamir_point(type, i + 1); shamir_point(type, 0) = 0. */
void shamir_lagrange(unsigned type, field *c, const field *points, unsigned m, field at);
field shamir_point(unsigned type, unsigned i);
void shamir_fill_table(const shamir_state *s, unsigned type, shamir_table *table);
/* d = sum of coefficient[i] * in[i], m terms, n elements of 8-byte alignment; d may be an input. */
void shamir_combine(unsigned type, void *d, const field *coefficient, const void *const *in,
                    unsigned m, size_t n);
/* d = a b, elements of GF(16). */
void shamir_block_mul(shamir_block *d, const shamir_block *a, const shamir_block *b, size_t n);

/* Multiplications: z, shares of degree 2 t of n elements, become shares of degree t in z. Two
 * rounds: shamir_multiply in one step, _return in the next, _finish in the one after that. */
typedef struct {
    unsigned type;
    size_t n;
    uint8_t *z;
    uint8_t *dealt, *dealt2, *mask, *opened; /* scratch */
    shamir_record *pending;                  /* that lack their z */
} shamir_product;

/* For up to n elements. 0, or -1 if memory ran out. */
int shamir_product_alloc(seq_task *t, shamir_product *p, unsigned type, size_t n);

/* `count` of them at once. -1: an error is set. */
int shamir_multiply_all(shamir_exchange *x, shamir_product *p, unsigned count);
int shamir_return_all(shamir_exchange *x, shamir_product *p, unsigned count);
void shamir_finish_all(shamir_exchange *x, shamir_product *p, unsigned count);

static inline int shamir_multiply(shamir_exchange *x, shamir_product *p) {
    return shamir_multiply_all(x, p, 1);
}
static inline int shamir_return(shamir_exchange *x, shamir_product *p) {
    return shamir_return_all(x, p, 1);
}
static inline void shamir_finish(shamir_exchange *x, shamir_product *p) {
    shamir_finish_all(x, p, 1);
}

/* Of protocols that verify: copies of the factors of elements at .. at + n of what p multiplies
 * next, of which shamir_finish copies the result. 0, or -1 if memory ran out. */
int shamir_remember(seq_task *t, shamir_product *p, size_t at, const void *x, const void *y,
                    size_t n);
/* A record with room for its vectors; NULL if memory ran out (an error is set). */
shamir_record *shamir_record_new(seq_task *t, unsigned type, size_t nx, size_t ny, size_t n);

/* The elements of a task over blocks [begin, end), in one part for each king. */
typedef struct {
    size_t first, count, words;                    /* of the task: elements, words of a plane */
    size_t at[SHAMIR_CORE], elements[SHAMIR_CORE]; /* of a part, counted from `first` */
    size_t word[SHAMIR_CORE], blocks[SHAMIR_CORE];
} shamir_part;

void shamir_partition(shamir_part *part, const seq_task *t, size_t n);
/* Tasks over the blocks of n elements; rounds are declared once. */
void shamir_start(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                  size_t state_bytes);

/* ---- products (shamir_arith.c) ---- */

/* What products, matrix products, convolutions and their sums have in common. */
typedef struct {
    unsigned op; /* without the third operand */
    size_t n;    /* elements of the result */
    seq_reg e;   /* added before the rounding; c[0] NULL: nothing */
    int64_t m, nearest;
} shamir_map;

shamir_map shamir_map_of(const seq_call *c);
ring_conv shamir_conv_of(const int64_t *arg);
/* z: n elements, of shares of degree 2 t. */
void shamir_map_apply(const seq_task *t, const shamir_map *p, void *z);

/* ---- sums of bits (shamir_adder.c) ---- */

enum { SHAMIR_SUM, SHAMIR_ZERO };

typedef struct {
    uint16_t dst, x, y;
    uint8_t add; /* form dst ^= x & y, else dst = x & y */
} shamir_gate;

/* The sum of `numbers` numbers of `width` planes of `words` blocks each, mod 2^width: planes 0 ..
 * low - 1 and first .. width - 1 of it (SHAMIR_SUM), or whether it is 0 (SHAMIR_ZERO). */
typedef struct {
    unsigned kind, numbers, width, low, first;
    size_t words, most;                    /* most: gates at a time, times words */
    shamir_block *number[SHAMIR_SETS + 1]; /* planes one after another; overwritten */
    shamir_block *form, *gates;            /* scratch */
    shamir_product product;
    unsigned level, levels, reductions, returned, gate_count;
    shamir_gate gate[2 * SHAMIR_MAX_BITS];
} shamir_adder;

/* Multiplications one after another, of two rounds each. */
unsigned shamir_adder_levels(unsigned kind, unsigned numbers, unsigned width);
int shamir_adder_alloc(seq_task *t, shamir_adder *a);
/* One step: TASK_WAIT, TASK_DONE with the result (see shamir_adder_plane), or TASK_ERROR. `begin`
 * at the first, which sends only. */
int shamir_adder_step(shamir_exchange *x, shamir_adder *a, int begin);
/* Plane i of the sum, i < low or first <= i < width; SHAMIR_ZERO: the one plane of the result. */
const shamir_block *shamir_adder_plane(const shamir_adder *a, unsigned i);

/* ---- bits as numbers (shamir_bits.c) ---- */

/* Planes of shared bits become numbers 0 or 1, in 1 + 2 shamir_convert_levels rounds. Numbers lie
 * part by part: those of part q from planes * at[q] on, plane after plane. */
typedef struct {
    const shamir_block *bits; /* `planes` times part.words */
    size_t planes;
    shamir_part part;
    field *known[SHAMIR_SETS]; /* the result is known[0] */
    field *mine, *products;
    unsigned terms, dealt, returned;
    shamir_product product;
} shamir_convert;

/* Multiplications one after another that join `terms` numbers. */
unsigned shamir_convert_levels(unsigned terms);
/* planes and part are set; terms: numbers that are joined. 0, or -1 if memory ran out. */
int shamir_convert_alloc(seq_task *t, shamir_convert *c, unsigned terms);
/* The XOR of known[0 .. terms - 1], bits as numbers, in known[0]: TASK_WAIT, and once more for each
 * step after that, or TASK_DONE. */
int shamir_join(shamir_exchange *x, shamir_convert *c);
int shamir_join_step(shamir_exchange *x, shamir_convert *c);
/* As shamir_adder_step. */
int shamir_convert_step(shamir_exchange *x, shamir_convert *c, int begin);

/* Of a task of select or select_keep: d = a times the numbers that the bits b are; kept: these
 * numbers, for other products, or NULL. */
typedef struct {
    const seq_reg *d, *kept, *b, *a;
    size_t n;
} shamir_selection;

shamir_selection shamir_selection_of(const seq_task *t);

/* What parties deal of numbers bit by bit: `width` planes of the `n` numbers at `value`, a plane
 * `words` blocks, least bits first. */
void shamir_spread(const seq_env *env, shamir_block *d, size_t words, unsigned width,
                   const field *value, size_t n);

/* ---- shuffles (shamir_shuffle.c) ---- */

#define SHAMIR_ORDERS 0xFFFFFFFEu /* names keys of orders */

/* One hop: a set of t + 1 parties applies an order that nobody else knows to `rows` rows of `width`
 * elements, which lie side by side. */
typedef struct {
    size_t rows, width;
    uint32_t *order;
    field *mine, *dealt[SHAMIR_T + 1];
} shamir_hop;

/* rows and width are set. 0, or -1 if memory ran out. */
int shamir_hop_alloc(seq_task *t, shamir_hop *h);
/* The members of `set` deal what is at `from` in the order that comes from `key`, which others need
 * not have. TASK_WAIT or TASK_ERROR. One round, (t + 1) t 16 bytes an element over all parties. */
int shamir_hop_begin(shamir_exchange *x, shamir_hop *h, unsigned set, const prg_key *key,
                     const field *from);
/* In the next step: the rows in their new order. */
void shamir_hop_end(shamir_exchange *x, shamir_hop *h, field *to);
/* The task's columns of a register become the first ones of `rows`; put: the other way. */
void shamir_hop_copy(const seq_task *t, const shamir_hop *h, field *rows, const seq_reg *matrix,
                     int put);
/* Tasks over ranges of columns, of `chunk` elements where a column has fewer. */
void shamir_shuffle_tasks(seq_vm *vm, const seq_call *call, size_t chunk, unsigned rounds,
                          task_step step, size_t state_bytes);

/* ---- the protocol's functions, for shamir-mal too ---- */

/* The i-th set of t + 1 parties of the core, as a mask of bits; 0 past the last. */
unsigned shamir_set(unsigned parties, unsigned i);
seq_status shamir_setup(const seq_env *env, const seq_keys *keys, void **state, seq_error *err);
void shamir_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                       size_t n);
void shamir_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                       size_t words);
void shamir_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                        uint32_t range, uint64_t first, size_t n);
unsigned shamir_input_stored(unsigned me, unsigned owner);
field shamir_mul(unsigned type, field a, field b); /* elements as words */
/* Blocks of planes to and from registers. */
void shamir_load(shamir_block *d, const seq_reg *a, size_t word, size_t n);
void shamir_store(const seq_reg *d, size_t word, const shamir_block *from, size_t n);

/* ---- starts ---- */

void shamir_start_mul(seq_vm *vm, const seq_call *call); /* all products, select_kept */
void shamir_start_trunc(seq_vm *vm, const seq_call *call);
void shamir_start_select(seq_vm *vm, const seq_call *call); /* and select_keep */
void shamir_start_b2a(seq_vm *vm, const seq_call *call);
void shamir_start_ltz(seq_vm *vm, const seq_call *call);
void shamir_start_eqz(seq_vm *vm, const seq_call *call);
void shamir_start_a2b(seq_vm *vm, const seq_call *call);
void shamir_start_and(seq_vm *vm, const seq_call *call);
void shamir_start_open(seq_vm *vm, const seq_call *call);
void shamir_start_openb(seq_vm *vm, const seq_call *call);
void shamir_start_shuffle(seq_vm *vm, const seq_call *call);
void shamir_start_randbit(seq_vm *vm, const seq_call *call);
void shamir_start_input(seq_vm *vm, const seq_call *call);
void shamir_start_output(seq_vm *vm, const seq_call *call);
void shamir_start_outputb(seq_vm *vm, const seq_call *call);

#endif
