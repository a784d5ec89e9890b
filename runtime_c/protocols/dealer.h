#ifndef SEQ_DEALER_H
#define SEQ_DEALER_H
/* Inside of dealer: n computing parties, all but one of which may be corrupt, and a dealer, the
 * last party of the run, who is not corrupt together with them; semi-honest. The protocols, their
 * equations and why they reveal nothing are in docs/protocols.md; names here are the same.
 *
 * x = D + M where all computing parties know D (the masked value, c[0]) and M = M_0 + ... + M_{n-1}
 * is the mask: computing party i holds M_i, the dealer M itself (c[1]); the dealer's c[0] means
 * nothing. Bits alike with XOR. Local operations act on both components.
 *
 * A machine's first step is the dealer's: it sends what it deals, and is done. The others' work
 * begins with their second step. No function here branches on or addresses by secrets. */

#include "protocol.h"
#include "rep3.h" /* its plan of an addition on bits */

#define DEALER_PARTIES 9 /* that compute, at most */
#define DEALER_PIECE 512 /* elements worked on at a time */
#define DEALER_MAX_ELEMENTS ((size_t)1 << 28)
#define DEALER_CHUNK 512 /* blocks of 64 elements in a task */

/* What is shared or opened: ring words; words of which only the low bytes matter and travel; 64
 * bits. In memory residues are ring words. */
enum { DEALER_WORD, DEALER_RESIDUE, DEALER_BITS };

/* Streams that a computing party has with the dealer, by purpose; those of bits count blocks. */
enum {
    DEALER_PRODUCT, /* parts of a product of masks, less the result's mask */
    DEALER_MASK,    /* masks of results */
    DEALER_TOP,     /* parts of the top bit of r */
    DEALER_HIGH,    /* parts of r / 2^m */
    DEALER_WRAP,    /* masks mod 2^m */
    DEALER_BIT,     /* parts of a mask bit as a number */
    DEALER_CHOSEN,  /* parts of the product of a mask bit and a mask */
    DEALER_INPUT,
    DEALER_RANDOM,
    DEALER_AND,          /* parts of products of mask bits, and masks of results, for `and` */
    DEALER_AND_MASK,     /* bit */
    DEALER_HOP = 0x1000, /* masks; the dealer makes those between two hops again for the second */
    DEALER_MONOMIAL = 0x10000,
    DEALER_FORM = 0x20000,     /* masks */
    DEALER_GATE = 0x40000,     /* + 1024 level + gate: parts of products of mask bits */
    DEALER_GATE_MASK = 0x80000 /* the same: masks of results */
};
/* Streams of two computing parties, and of all. */
enum { DEALER_ZERO = 0x1000000, DEALER_COIN };

typedef struct {
    unsigned n;                          /* computing parties; the dealer is party n */
    prg_key pair[DEALER_PARTIES + 1];    /* with each other party */
    prg_key program[DEALER_PARTIES + 1]; /* the same, for what the program asks for */
    prg_key common;                      /* known to all */
    prg_key online; /* known to all but the dealer, for what the program asks for */
} dealer_state;

static inline const dealer_state *dealer_of(const seq_task *t) {
    return t->env->protocol;
}
static inline int dealer_is(const seq_task *t) {
    return t->env->me == dealer_of(t)->n;
}
/* Where the dealer's corrections go. */
static inline unsigned dealer_last(const seq_task *t) {
    return dealer_of(t)->n - 1;
}

/* ---- kinds of elements ---- */

/* d = a + b, d = a - b; for bits both are XOR. d may be a. */
void dealer_add(const seq_env *env, unsigned kind, void *d, const void *a, const void *b, size_t n);
void dealer_sub(const seq_env *env, unsigned kind, void *d, const void *a, const void *b, size_t n);
/* Bytes of an element in memory. */
static inline size_t dealer_size(const seq_env *env, unsigned kind) {
    return kind == DEALER_BITS ? 8 : env->ring->word;
}
/* The low `bytes` bytes of words, to and from messages. */
void dealer_pack(const seq_env *env, uint8_t *out, const void *x, size_t n, unsigned bytes);
void dealer_unpack(const seq_env *env, void *x, const uint8_t *in, size_t n, unsigned bytes);

/* d = a * 2^s, d += 2^s, d -= 2^s of words; 0 <= s < ring bits. */
void dealer_shl(const seq_env *env, void *d, const void *a, unsigned s, size_t n);
void dealer_add_power(const seq_env *env, void *d, unsigned s, size_t n);
void dealer_sub_power(const seq_env *env, void *d, unsigned s, size_t n);

/* ---- dealing ---- */

/* Keys of a task: those with the dealer (the dealer: with each), and the dealer's message, which
 * goes to the last computing party: the dealer writes it from `at` on, the last party reads it in
 * the same order. */
typedef struct {
    seq_task *t;
    prg_key pair[DEALER_PARTIES];
    uint8_t *message, *at;
    size_t bytes;
    unsigned residue; /* bytes of a residue */
} dealer_deal;

/* First step of all: `bytes` is the message's length. 0, or -1 if memory ran out. */
int dealer_begin(dealer_deal *x, seq_task *t, size_t bytes);
/* Second step, computing parties: take in the message. 0, or -1 if memory ran out. */
int dealer_take(dealer_deal *x);

/* Words first .. of a mask: a computing party its own part, the dealer their sum. */
void dealer_mask(const dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, void *out,
                 size_t n);
/* The dealer shares n elements of `value`; a computing party gets its part of them. */
void dealer_give(dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, const void *value,
                 size_t n);
void dealer_get(dealer_deal *x, unsigned kind, uint32_t purpose, size_t first, void *out, size_t n);
/* Elements first .. of my part of a sharing of zero among the computing parties. */
void dealer_zero(const seq_task *t, unsigned kind, size_t first, void *out, size_t n);

/* ---- openings ---- */

/* Receivers: the computing parties, all parties (a dealer who dealt before the run is none), or
 * one.
 */
enum { DEALER_ONLINE = -2, DEALER_ALL = -1 };

/* The sum of what the computing parties have in `value`: n elements, then the sum of those at the
 * receivers. Up to three parties send to each other; more send parts to kings, who send sums. */
typedef struct {
    unsigned kind, residue; /* bytes of a residue */
    int to;
    size_t n;
    void *value;
    unsigned stage;
} dealer_opening;

unsigned dealer_opening_rounds(const seq_env *env, int to);
/* TASK_WAIT until it is TASK_DONE, once a step; stage is 0 at first. */
int dealer_open(seq_task *t, dealer_opening *o);

/* ---- tasks ---- */

/* The elements of a task over blocks [begin, end) of n elements. */
typedef struct {
    size_t first, count, words; /* words: blocks */
} dealer_part;

dealer_part dealer_elements(const seq_task *t, size_t n);
/* Tasks over the blocks of n elements; rounds are declared once. */
void dealer_start(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                  size_t state_bytes);
/* Rounds of one opening among the computing parties. */
unsigned dealer_rounds(const seq_vm *vm);
/* Element `first` of a register. */
void *dealer_at(const seq_env *env, void *reg, size_t first);

/* ---- addition on bits (dealer_adder.c): A is known to the dealer, B to the computing parties ----
 */

typedef struct {
    rep3_plan plan;
    size_t first, words;      /* blocks */
    uint64_t *in;             /* planes of A or B, `words` each */
    uint64_t *value, *mask;   /* of the forms; the dealer: mask only */
    const uint8_t *monomials; /* the last party: in the message */
    unsigned level, waiting;
    dealer_opening opening;
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
/* d ^= my part of x & y, given my part of the product of the masks in d. */
void dealer_gate(const seq_task *t, uint64_t *d, const uint64_t *x, const uint64_t *x_mask,
                 const uint64_t *y, const uint64_t *y_mask, size_t words);

/* ---- starts ---- */

void dealer_start_mul(seq_vm *vm, const seq_call *call);
void dealer_start_bilinear(seq_vm *vm, const seq_call *call);
/* trunc; as a sub-machine also: a.c[1] == NULL: c[0] is my summand (the dealer: the masks'). */
void dealer_start_trunc(seq_vm *vm, const seq_call *call);
void dealer_start_select(seq_vm *vm, const seq_call *call); /* and select_keep, select_kept */
void dealer_start_b2a(seq_vm *vm, const seq_call *call);
void dealer_start_compare(seq_vm *vm, const seq_call *call); /* ltz, eqz, a2b */
void dealer_start_and(seq_vm *vm, const seq_call *call);
void dealer_start_randbit(seq_vm *vm, const seq_call *call);
void dealer_start_input(seq_vm *vm, const seq_call *call);
void dealer_start_open(seq_vm *vm, const seq_call *call); /* and openb, output, outputb */
void dealer_start_shuffle(seq_vm *vm, const seq_call *call);

#endif
