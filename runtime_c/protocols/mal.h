#ifndef SEQ_MAL_H
#define SEQ_MAL_H
/* Inside of rep3-mal: three parties, replicated sharing, one malicious party, abort. Every message
 * is a function of values that V and W know between them, and leaves statements in a log (dzk.h)
 * that are proven before anything is opened. Equations and proofs: docs/protocols/rep3-mal.md.
 *
 * A task works on a range of blocks of 64 elements within one third of the vector; in third r party
 * r plays P1, r + 1 P2, r + 2 P3. "Dealt" values are known to P1, which shares them additively
 * (bits: by XOR) between P3 (the part v, from F13) and P2 (the part w, sent): components 1 and 2 of
 * a replicated sharing whose component 3 is zero. */

#include "dzk.h"

#ifndef MAL_CHUNK
#define MAL_CHUNK 512 /* blocks in a task */
#endif
#define MAL_LOG_BYTES ((uint64_t)96 << 20) /* the log is verified when it is larger */

typedef struct {
    rep3_state base;      /* first: rep3's functions find their keys here */
    dzk_log log, checked; /* checked: what there was when the check before an opening began */
    uint64_t
        due; /* about the bytes of the log when all calls so far have ended: the same everywhere */
} mal_state;

static inline mal_state *mal_of(const seq_task *t) {
    return t->env->protocol;
}

/* Purposes of masks; see REP3_S2. */
enum {
    MAL_ZERO,      /* every pair: sharings of zero of a product; + number of the product */
    MAL_THIRD = 4, /* F23: masks of P2's and of P3's part of a mal_third: + number, + 2 more */
    MAL_DEAL = 8,  /* F13: P3's part of a dealt word; + number */
    MAL_INPUT = REP3_INPUT,
    MAL_TAG = 32,        /* a pair: weights of the tag of an opening */
    MAL_CARRY = 0x10000, /* F13: P3's part of carry i */
    MAL_GATE = 0x40000   /* every pair: zero sharing of gate i of level l: + 1024 l + i */
};
_Static_assert((int)MAL_INPUT < 32 && (int)MAL_INPUT >= 12, "purposes are distinct");

/* What a task works on. */
typedef struct {
    rep3_keys keys;
    unsigned role;
    size_t n;            /* elements of the whole vector */
    size_t first, count; /* elements of the task */
    size_t words;        /* of a plane of them */
} mal_part;

void mal_partition(mal_part *part, const seq_task *t);
/* Tasks over n elements; rounds are declared once. */
void mal_start(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
               size_t state_bytes);
/* Counts the statements that a call will add, by its operands alone. */
void mal_account(seq_vm *vm, const seq_call *call);
uint64_t *mal_words(seq_task *t, size_t n); /* scratch, zeroed; NULL: an error is set */
/* Whether the role knows the part v (side 0) or w (side 1) of what is dealt. */
static inline int mal_knows(const mal_part *part, unsigned side) {
    return part->role != (side ? (unsigned)REP3_P3 : (unsigned)REP3_P2);
}
/* What the role knows of a dealt value, as components: P1 (v, w), P2 (w, third), P3 (third, v). */
void mal_components(const mal_part *part, uint64_t *const dealt[2], const uint64_t *third,
                    const uint64_t *c[2]);

/* ---- products of words: one message to the previous party ---- */

typedef struct {
    unsigned number;             /* of the product among those of the task */
    size_t n, address;           /* words; the first one's address in the streams */
    const uint64_t *x[2], *y[2]; /* components */
    const uint64_t *e[2];        /* added; NULL: nothing */
    uint64_t *z[2];              /* result */
    uint64_t *pending;           /* V's right sides, to which the message that comes is added */
} mal_product;

/* z[0], and the message at `send`; x and y may be overwritten then. */
int mal_product_send(seq_task *t, const mal_part *part, mal_product *p, uint8_t *send);
void mal_product_take(mal_product *p, const uint8_t *received); /* z[1] */

/* The product of a dealt word and one that P2 and P3 know: both send P1 their part of it. */
typedef struct {
    unsigned number;    /* below 2: of these among those of the task */
    size_t n, address;  /* as above */
    uint64_t *dealt[2]; /* v and w, where known */
    uint64_t *third;    /* P2, P3 */
    uint64_t *z[2];     /* result */
    dzk_segment *v, *w; /* P1: statements of P2's and of P3's message */
} mal_third;

int mal_third_send(seq_task *t, const mal_part *part, mal_third *p); /* TASK_WAIT */
void mal_third_take(seq_task *t, const mal_part *part, mal_third *p);

/* ---- words dealt by P1 ---- */

/* sum over k < terms of scale[k] (bit_v[k] ^ bit_w[k]), where P1 and P3 know bit_v, P1 and P2
 * bit_w, words that are 0 or 1. */
typedef struct {
    unsigned number, terms; /* terms <= 2 */
    size_t n, address;
    uint64_t scale[2];
    const uint64_t *bit_v[2], *bit_w[2];
    uint64_t *dealt[2]; /* v (P1 and P3), w (P1 and P2) */
} mal_deal;

/* message: P1: what P2 is sent; P2: what came; n words. */
int mal_deal_words(seq_task *t, const mal_part *part, const mal_deal *d, uint8_t *message);
/* Words 0 or 1 from the bits of a plane. */
void mal_expand(uint64_t *d, const uint64_t *plane, size_t n);

/* ---- bits (mal_bits.c) ---- */

/* The bits of A = X1 + X2, where P1 and P3 know X1, P1 and P2 know X2: every bit is dealt by its
 * carry. Planes are part.words long. */
typedef struct {
    unsigned bits, carries; /* carries into bits 1 .. carries are dealt: bits - 1, or bits */
    uint64_t *bit[2];       /* A's bits: v and w; NULL where not known */
    uint64_t *carry[2];     /* the carry into bit i is plane i, i <= carries; plane 0 is zero */
} mal_sum;

/* Of the sides that the role knows; the others stay NULL. */
int mal_sum_alloc(seq_task *t, const mal_part *part, mal_sum *s);
size_t mal_sum_bytes(const mal_part *part, const mal_sum *s);
/* x: X1 and X2 as words, part.count of them. message as in mal_deal_words. */
int mal_sum_deal(seq_task *t, const mal_part *part, mal_sum *s, uint64_t *const x[2],
                 uint64_t *message);

/* Gates on planes of two components. */
typedef struct {
    size_t words;
    unsigned levels;
    uint64_t *form[2];
    uint64_t *pending;
} mal_gates;

/* The gates of a level to the previous party; those of the level before are taken in first. */
int mal_gates_send(seq_task *t, const mal_part *part, mal_gates *g, const rep3_gate *gates,
                   unsigned count, unsigned level);
void mal_gates_take(seq_task *t, mal_gates *g, const rep3_gate *gates, unsigned count);

/* Adds dealt bits and bits known to P2 and P3: generates and propagates (planes i and nodes + i),
 * combined by a prefix tree. Level 0 makes the generates; then ceil(log2 nodes) levels. */
unsigned mal_adder_gates(unsigned nodes, int every_carry, unsigned level, rep3_gate *gates);
unsigned mal_adder_levels(unsigned nodes);

/* ---- words from bits (mal_arith.c) ---- */

/* Bytes that products, truncations and openings take while they run. */
uint64_t mal_product_scratch(const seq_call *call);
void mal_start_mul(seq_vm *vm, const seq_call *call);
void mal_start_bilinear(seq_vm *vm, const seq_call *call);
void mal_start_trunc(seq_vm *vm, const seq_call *call);
void mal_start_select(seq_vm *vm, const seq_call *call);
void mal_start_b2a(seq_vm *vm, const seq_call *call);
void mal_start_ltz(seq_vm *vm, const seq_call *call);
void mal_start_eqz(seq_vm *vm, const seq_call *call);
void mal_start_a2b(seq_vm *vm, const seq_call *call);
void mal_start_and(seq_vm *vm, const seq_call *call);
void mal_start_shuffle(seq_vm *vm, const seq_call *call);
void mal_start_open(seq_vm *vm, const seq_call *call);

#endif
