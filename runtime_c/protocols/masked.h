#ifndef SEQ_MASKED_H
#define SEQ_MASKED_H
/* Masked values, the representation of the protocols dealer and semi2k: n computing parties, all
 * but one of which may be corrupt, and, in dealer, a dealer, the last party of the run (party n).
 *
 * x = D + M where all computing parties know D (the masked value, c[0]) and M = M_0 + ... + M_{n-1}
 * is the mask: computing party i holds M_i, the dealer M itself (c[1]); the dealer's c[0] means
 * nothing. Bits alike with XOR. Local operations act on both components. An additive sharing of x
 * is D + M_0 at party 0, and M_i at the others: "summands".
 *
 * Fresh masks need no message: each party draws its part from its own stream. No function here
 * branches on or addresses by secrets. */

#include "protocol.h"

#include <string.h>

#define MASKED_PARTIES 10 /* that compute, at most */
#define MASKED_PIECE 512  /* elements worked on at a time */
#define MASKED_MAX_ELEMENTS ((size_t)1 << 28)
#define MASKED_CHUNK 512 /* blocks of 64 elements in a task */

/* What is shared or opened: ring words; words of which only the low bytes matter and travel; 64
 * bits. In memory residues are ring words. */
enum { MASKED_WORD, MASKED_RESIDUE, MASKED_BITS };

/* Purposes of streams that masked*.c draws; a protocol's own are below. Those of bits count blocks.
 */
enum { MASKED_ZERO = 0x1000000, MASKED_COIN, MASKED_INPUT, MASKED_RANDOM, MASKED_MAC_ZERO };

typedef struct {
    unsigned n;                       /* computing parties; party n, if there is one, deals */
    prg_key pair[MASKED_PARTIES + 1]; /* with each other party */
    /* Of parts of masks, by party: mine only; the dealer: all. `program`: the same after a resume,
     * for what the program asks for. */
    prg_key mask[MASKED_PARTIES], program[MASKED_PARTIES];
    prg_key common; /* known to all */
    prg_key online; /* known to all but the dealer, for what the program asks for */
    /* Components behind the mask, its MACs' shares, on which local operations act alike. */
    unsigned macs, bit_macs;
} masked_state;

/* env->protocol begins with it. */
static inline const masked_state *masked_of(const seq_task *t) {
    return t->env->protocol;
}
static inline int masked_dealer(const seq_task *t) { /* am I the dealer? */
    return t->env->me == masked_of(t)->n;
}

/* ---- the protocol's table ---- */

void masked_teardown(void *state);
void masked_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                       size_t n);
void masked_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                       size_t words);
void masked_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                        uint32_t range, uint64_t first, size_t n);
unsigned masked_input_stored(unsigned me, unsigned owner);

/* ---- kinds of elements ---- */

/* d = a + b, d = a - b; for bits both are XOR. d may be a. */
void masked_add(const seq_env *env, unsigned kind, void *d, const void *a, const void *b, size_t n);
void masked_sub(const seq_env *env, unsigned kind, void *d, const void *a, const void *b, size_t n);
/* Bytes of an element in memory. */
static inline size_t masked_size(const seq_env *env, unsigned kind) {
    return kind == MASKED_BITS ? 8 : env->ring->word;
}
/* Elements to and from messages: of a residue the low `residue` bytes. */
unsigned masked_wire(const seq_env *env, unsigned kind, unsigned residue); /* bytes of one */
void masked_to_wire(const seq_env *env, unsigned kind, unsigned residue, uint8_t *out,
                    const void *x, size_t n);
void masked_from_wire(const seq_env *env, unsigned kind, unsigned residue, void *x,
                      const uint8_t *in, size_t n);

/* d = a * 2^s, d += 2^s, d -= 2^s of words; 0 <= s < ring bits. */
void masked_shl(const seq_env *env, void *d, const void *a, unsigned s, size_t n);
void masked_add_power(const seq_env *env, void *d, unsigned s, size_t n);
void masked_sub_power(const seq_env *env, void *d, unsigned s, size_t n);

/* ---- masks ---- */

/* Elements first .. of stream `purpose` under a key. */
void masked_stream(const seq_env *env, const prg_key *key, unsigned kind, uint32_t purpose,
                   size_t first, void *out, size_t n);

/* A task's keys of masks. */
typedef struct {
    seq_task *t;
    prg_key part[MASKED_PARTIES]; /* by party: mine only; the dealer: all */
} masked_keys;

void masked_keys_of(masked_keys *x, seq_task *t);
/* Elements first .. of a mask: a computing party its own part, the dealer their sum. */
void masked_mask(const masked_keys *x, unsigned kind, uint32_t purpose, size_t first, void *out,
                 size_t n);
/* d = d + or - the parts of computing parties 0 .. parties - 1 (the dealer). */
typedef void (*masked_combination)(const seq_env *env, unsigned kind, void *d, const void *a,
                                   const void *b, size_t n);
void masked_combine(const masked_keys *x, unsigned kind, uint32_t purpose, size_t first, void *d,
                    size_t n, unsigned parties, masked_combination f);
/* Elements first .. of my part of a sharing of zero among the computing parties. */
void masked_zero(const seq_task *t, unsigned kind, size_t first, void *out, size_t n);

/* ---- openings ---- */

/* Receivers: the computing parties, all parties (a dealer who dealt before the run is none), or
 * one. */
enum { MASKED_ONLINE = -2, MASKED_ALL = -1 };

/* The sum of what the computing parties have in `value`: n elements, then the sum of those at the
 * receivers. Up to three parties send to each other; more send parts to kings, who send sums. */
typedef struct {
    unsigned kind, residue; /* bytes of a residue */
    int to;
    size_t n;
    void *value;
    unsigned stage;
} masked_opening;

unsigned masked_opening_rounds(const seq_env *env, int to);
/* TASK_WAIT until it is TASK_DONE, once a step; stage is 0 at first. */
int masked_open(seq_task *t, masked_opening *o);
/* When it is done: the elements [begin, end) of which I have the sum with all its carries and am
 * the one who counts these. */
void masked_counts(const seq_task *t, const masked_opening *o, size_t *begin, size_t *end);

/* ---- tasks ---- */

/* The elements of a task over blocks [begin, end) of n elements. */
typedef struct {
    size_t first, count, words; /* words: blocks */
} masked_part;

masked_part masked_elements(const seq_task *t, size_t n);
/* Tasks over the blocks of n elements; rounds are declared once. */
void masked_start(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                  size_t state_bytes);
/* Rounds of one opening among the computing parties, if this run has openings. */
unsigned masked_rounds(const seq_vm *vm);
/* Element `first` of a register. */
void *masked_at(const seq_env *env, void *reg, size_t first);
/* d ^= my part of x & y, given my part of the product of the masks in d. */
void masked_gate(const seq_task *t, uint64_t *d, const uint64_t *x, const uint64_t *x_mask,
                 const uint64_t *y, const uint64_t *y_mask, size_t words);

/* ---- products and rounding, as calls ask for them (masked.c) ---- */

/* What is rounded: a register, summands that are masked first, a product of two registers. */
enum { MASKED_REGISTER, MASKED_SUMMANDS, MASKED_PRODUCT };

typedef struct {
    unsigned source, m, nearest; /* by m bits; 0: only masked anew */
    size_t n;
    seq_reg a, b, e, d; /* b: of a product; e.c[0] NULL: nothing is added */
} masked_rounding;

/* Of trunc, whose operand is one of summands where a.c[1] is NULL, mul or mul_add. */
masked_rounding masked_rounding_of(const seq_call *call);
/* The trunc of n summands z into d, m and mode being the call's operands `mode` - 1 and `mode`. */
seq_call masked_trunc_of(const seq_call *call, unsigned mode, size_t n, void *z, const seq_reg *d);

/* ---- bits (masked_bits.c) ---- */

/* The kind of addition on bits that ltz, eqz or a2b is (rep3.h); their operands are at the same
 * places. */
unsigned masked_addition(unsigned op);
/* Their operand on bits, at a dealer the mask, at others the masked value, of eqz (where all
 * propagates mean zero) less one. -1 if memory ran out. */
int masked_addend(seq_task *t, uint64_t *planes, size_t words, unsigned bits);

/* What select, select_keep, select_kept and b2a ask for: b x of bits b and words x, or (b2a) one,
 * plane by plane. */
typedef struct {
    seq_reg b, a, d, k; /* a.c[0] NULL: no x; k.c[0] NULL: nothing is kept */
    int kept;           /* k is read */
    size_t n, planes;   /* elements of the whole vector */
    uint32_t mask;      /* purpose of the results' masks: the protocol's to set */
} masked_choice;

void masked_choice_of(const seq_call *call, masked_choice *c);
/* masked_start for one of these instructions. */
void masked_start_choice(seq_vm *vm, const seq_call *call, unsigned rounds, task_step step,
                         size_t state_bytes);
/* A plane of the bits, from a block on. */
const uint64_t *masked_choice_plane(const masked_choice *c, unsigned component, size_t plane,
                                    size_t block);
/* What select_keep keeps: the part of the bits' masks, as numbers. */
void masked_choice_keep(const seq_env *env, const masked_choice *c, masked_part part,
                        const void *bit);
/* Plane p of a task's elements: with bit = my part of m, and (if there is an x) sum = my part of
 * m M, sum becomes my summand of (d + (1 - 2d) m)(D + M) less a fresh mask, which goes to d. t1 and
 * t2: as long. */
void masked_choice_summand(const masked_keys *keys, const masked_choice *c, masked_part part,
                           size_t p, const void *bit, void *sum, void *t1, void *t2);
/* The sums, plane after plane, when they were opened. */
void masked_choice_store(const seq_env *env, const masked_choice *c, masked_part part, void *sum);

/* ---- starts ---- */

void masked_start_randbit(seq_vm *vm, const seq_call *call);
void masked_start_input(seq_vm *vm, const seq_call *call);
void masked_start_open(seq_vm *vm, const seq_call *call); /* and openb, output, outputb */

#endif
