#ifndef SEQ_DEALER_H
#define SEQ_DEALER_H
/* Inside of dealer: n computing parties, all but one of which may be corrupt, and a dealer, the
 * last party of the run, who is not corrupt together with them; semi-honest. The protocols, their
 * equations and why they reveal nothing are in docs/protocols/dealer.md; names here are the same.
 * Values are shared as masked.h says.
 *
 * A machine's first step is the dealer's: it sends what it deals, and is done. The others' work
 * begins with their second step. No function here branches on or addresses by secrets. */

#include "masked.h"
#include "rep3.h" /* its plan of an addition on bits */

#define DEALER_PARTIES 9 /* that compute, at most */

/* Streams that a computing party has with the dealer, by purpose; those of bits count blocks. */
enum {
    DEALER_PRODUCT, /* parts of a product of masks, less the result's mask */
    DEALER_MASK,    /* masks of results */
    DEALER_TOP,     /* parts of the top bit of r */
    DEALER_HIGH,    /* parts of r / 2^m */
    DEALER_WRAP,    /* masks mod 2^m */
    DEALER_BIT,     /* parts of a mask bit as a number */
    DEALER_CHOSEN,  /* parts of the product of a mask bit and a mask */
    DEALER_AND,     /* parts of products of mask bits, and masks of results, for `and` */
    DEALER_AND_MASK,
    DEALER_HOP = 0x1000, /* masks; the dealer makes those between two hops again for the second */
    DEALER_MONOMIAL = 0x10000,
    DEALER_FORM = 0x20000,     /* masks */
    DEALER_GATE = 0x40000,     /* + 1024 level + gate: parts of products of mask bits */
    DEALER_GATE_MASK = 0x80000 /* the same: masks of results */
};

/* Where the dealer's corrections go. */
static inline unsigned dealer_last(const seq_task *t) {
    return masked_of(t)->n - 1;
}

/* ---- dealing ---- */

/* Keys of a protocol in which the last party deals, and the group of those who compute. */
void dealer_keys(masked_state *s, const seq_env *env, const seq_keys *keys);
unsigned dealer_group(unsigned parties, unsigned i);

/* Keys of a task's masks, and the dealer's message, which goes to the last computing party: the
 * dealer writes it from `at` on, the last party reads it in the same order. */
typedef struct {
    masked_keys keys;
    uint8_t *message, *at;
    size_t bytes;
    unsigned residue; /* bytes of a residue */
} dealer_deal;

/* First step of all: `bytes` is the message's length. 0, or -1 if memory ran out. */
int dealer_begin(dealer_deal *x, seq_task *t, size_t bytes);
/* Second step, computing parties: take in the message. 0, or -1 if memory ran out. */
int dealer_take(dealer_deal *x);

/* The dealer shares n elements of `value`; a computing party gets its part of them. */
void dealer_give(dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, const void *value,
                 size_t n);
void dealer_get(dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, void *out, size_t n);

/* ---- addition on bits (dealer_adder.c): A is known to the dealer, B to the computing parties ----
 */

typedef struct {
    rep3_plan plan;
    size_t first, words;      /* blocks */
    uint64_t *in;             /* planes of A or B, `words` each */
    uint64_t *value, *mask;   /* of the forms; the dealer: mask only */
    const uint8_t *monomials; /* the last party: in the message */
    unsigned level, waiting;
    masked_opening opening;
} dealer_adder;

/* Bytes of the dealer's message for it; plan and words are set. */
size_t dealer_adder_bytes(const dealer_adder *a);
/* plan, first and words are set. 0, or -1 if memory ran out. */
int dealer_adder_alloc(seq_task *t, dealer_adder *a);
/* The dealer's part; `in` is set. */
void dealer_adder_deal(dealer_deal *x, dealer_adder *a);
/* TASK_WAIT until it is TASK_DONE, once a step, at the computing parties; `in` is set. */
int dealer_adder_step(dealer_deal *x, dealer_adder *a);
/* Openings one after another. */
unsigned dealer_adder_openings(unsigned kind, unsigned bits);
/* Plane i of the result. B's bits are added. */
const uint64_t *dealer_adder_value(const dealer_adder *a, unsigned i);
const uint64_t *dealer_adder_mask(const dealer_adder *a, unsigned i);

/* ---- shuffles (dealer_shuffle.c): tasks are ranges of columns, with all rows ---- */

/* Rows of `row` elements, of which `width` are the task's; the first of its masks. */
typedef struct {
    size_t rows, row, width, at;
} dealer_columns;

dealer_columns dealer_columns_of(const seq_task *t);
/* d, rows of `width` elements = the rows of a, which has `row` in each, in an order; NULL: as they
 * are. */
void dealer_take_rows(const seq_task *t, const dealer_columns *c, void *d, const void *a,
                      size_t row, const uint32_t *order);
/* The task's columns of a component of the result become a. */
void dealer_put_rows(const seq_task *t, const dealer_columns *c, unsigned component, const void *a);
/* The order that a key of the program gives this shuffle. */
void dealer_draw_order(const seq_task *t, const prg_key *program, uint32_t *order, size_t rows);
void dealer_start_columns(seq_vm *vm, const seq_call *call, unsigned rounds, task_step step,
                          size_t state_bytes);

/* ---- starts ---- */

void dealer_start_bilinear(seq_vm *vm, const seq_call *call);
/* trunc, mul, mul_add; trunc as a sub-machine also: a.c[1] == NULL: c[0] is my summand (the dealer:
 * the masks'). */
void dealer_start_round(seq_vm *vm, const seq_call *call);
void dealer_start_choice(seq_vm *vm, const seq_call *call);  /* select*, b2a */
void dealer_start_compare(seq_vm *vm, const seq_call *call); /* ltz, eqz, a2b */
void dealer_start_and(seq_vm *vm, const seq_call *call);
void dealer_start_shuffle(seq_vm *vm, const seq_call *call);

#endif
