#ifndef SEQ_SEMI2K_H
#define SEQ_SEMI2K_H
/* Inside of semi2k: two parties, one of which may be corrupt, semi-honest (what has no transfers
 * in it serves more). The protocols, their equations and why they reveal nothing are in
 * docs/protocols/semi2k.md. Sharing, openings and masks are those of masked.h, without a dealer:
 * what it would deal the parties make pairwise, products of masks by lattice encryption, all about
 * bits by oblivious transfer. Messages of what is made so depend on masks only, never on masked
 * values. */

#include "../lattice/lattice.h"
#include "../ot/ot.h"
#include "masked.h"
#include "rep3.h" /* its plan of an addition on bits */

#define SEMI2K_DEPTH 7 /* of the trees of oblivious transfers: 19 bits a transfer */

/* Streams by purpose: of masks' parts and my own randomness; requests' public halves are of the
 * common stream of the same number. */
enum {
    SEMI2K_MASK,              /* masks of results */
    SEMI2K_SECRET,            /* of the run: the secret key of encryptions */
    SEMI2K_TOP,               /* masks of top bits, of a rounding */
    SEMI2K_WIDE,              /* masks of what is rounded after it was opened masked */
    SEMI2K_AND,               /* masks of `and` */
    SEMI2K_REQUEST = 0x100,   /* + party that encrypts */
    SEMI2K_REPLY = 0x200,     /* + 4 * party that asked; four streams */
    SEMI2K_ROOT = 0x300,      /* + 4 * hop + layer: roots of a shuffle's trees */
    SEMI2K_TRANSFER = 0x1000, /* and above: oblivious transfer and what uses it */
    SEMI2K_FORM = 0x20000,    /* masks of an addition's forms, */
    SEMI2K_GATE = 0x80000     /* + 1024 level + gate: and of its gates */
};
/* Streams of transfers, by purpose. */
enum {
    SEMI2K_WRAP,             /* masks of top bits, of a rounding */
    SEMI2K_BIT,              /* masks of bits, to be numbers */
    SEMI2K_BOTH,             /* masks of bits, for `and` */
    SEMI2K_LEAF = 0x10000,   /* + 4 block + bit: bits of B */
    SEMI2K_GROUP = 0x20000,  /* + number: masks of gates' operands */
    SEMI2K_FACTOR = 0x40000, /* + bit: of masks, for products */
    SEMI2K_SEED = 0x80000    /* + 32 layer + level: of a shuffle's order */
};

#define SEMI2K_FRAME ((uint64_t)1 << 30) /* bytes of a message, at most */

typedef struct {
    masked_state masked; /* first: masked.h */
    lattice_key key;
    ot_pair *ot[MASKED_PARTIES]; /* with each other party */
} semi2k_state;

static inline const semi2k_state *semi2k_of(const seq_task *t) {
    return t->env->protocol;
}

/* ---- summands to results (semi2k.c) ---- */

/* n elements from `first` of the result: my summands of them in `value`, which the opening changes.
 * All parties' fresh masks are taken away and the sum is opened: into c[0] and c[1] of d. */
typedef struct {
    masked_opening opening;
    masked_keys keys;
    seq_reg d;
    size_t first;
} semi2k_result;

/* value -= my mask, first send. TASK_WAIT, or TASK_ERROR. */
int semi2k_result_begin(semi2k_result *r, seq_task *t, const seq_reg *d, size_t first, void *value,
                        size_t n);
/* The steps behind it: TASK_WAIT until TASK_DONE. */
int semi2k_result_step(semi2k_result *r, seq_task *t);
/* out = my summands of elements first .. of a shared register: D + M_0 at party 0, else M_i. */
void semi2k_summands(const seq_task *t, const seq_reg *a, size_t first, void *out, size_t n);

/* ---- oblivious transfer (semi2k_ot.c) ---- */

size_t semi2k_meeting(const seq_env *env, unsigned exchange);
seq_status semi2k_meet(const seq_env *env, unsigned exchange, const uint8_t *theirs, uint8_t *mine,
                       seq_error *err);

/* A task's transfers with another party, in both directions. */
typedef struct {
    ot_stream send, receive;
    unsigned peer;
} semi2k_transfer;

/* 0, or -1 if memory ran out. */
int semi2k_transfer_begin(semi2k_transfer *x, seq_task *t, unsigned peer);
/* Send a frame to a party, unless it is empty, and expect one. *out: what to fill; 0, or -1 if
 * memory ran out. */
int semi2k_swap(seq_task *t, unsigned peer, size_t bytes, size_t expected, uint8_t **out);

/* Where one party has to be the sender, party 0 is for the first half of a task's blocks, party 1
 * for the rest: both halves as blocks from the task's first. */
typedef struct {
    size_t send_at, send, take_at, take;
} semi2k_halves;

semi2k_halves semi2k_halves_of(const seq_task *t, size_t words);
/* How many of `count` elements are in blocks [at, at + blocks). */
size_t semi2k_elements(size_t count, size_t at, size_t blocks);

/* Words times bits c_i, mod 2^64, by pads of n transfers, of which lanes 0 and 1 serve two words: y
 * = x under both pads, and the sender's part; with y, and c_i as words, the receiver's part. y may
 * be x. */
void semi2k_send_lane(const uint64_t *pad0, const uint64_t *pad1, unsigned lane, const uint64_t *x,
                      uint64_t *y, uint64_t *part, size_t n);
void semi2k_take_lane(const uint64_t *pad, unsigned lane, const uint64_t *choice, const uint64_t *y,
                      uint64_t *part, size_t n);

/* ---- addition on bits of two parties (semi2k_adder.c): of A, known to the sender, and B, the
 * receiver's ---- */

typedef struct semi2k_group semi2k_group;

typedef struct {
    rep3_plan plan;
    size_t first, words; /* blocks */
    semi2k_halves half;
    masked_keys *keys;
    semi2k_transfer *transfer;
    uint64_t *in;    /* planes of A in the half that I send, of B in the other; `words` each */
    uint64_t *value; /* forms */
    uint64_t *mask;  /* my part of the forms' masks in the end */
    uint64_t *choice, *other,
        *product;    /* of gates: my parts of operands' masks, of their product */
    uint64_t *pad;   /* that I received, of forms and then of gates */
    uint64_t *sent;  /* both pads of gates */
    uint64_t *table; /* pads of all that I send for forms */
    semi2k_group *group;
    unsigned groups, gates, started, level, done; /* done: gates of levels before */
    masked_opening opening;
} semi2k_adder;

/* plan, first, words, keys and transfer are set. Masks are known then. 0, or -1 if memory ran out.
 */
int semi2k_adder_begin(seq_task *t, semi2k_adder *a);
/* Bytes of the messages below: mine, or the other party's. */
size_t semi2k_adder_choice_bytes(const semi2k_adder *a, int mine);
size_t semi2k_adder_answer_bytes(const semi2k_adder *a);
size_t semi2k_adder_table_bytes(const semi2k_adder *a, int mine);
size_t semi2k_adder_form_bytes(const semi2k_adder *a, int mine);
/* Preparation: two messages, the second taking in the other party's first. The first needs `in`
 * where I receive. */
void semi2k_adder_choose(seq_task *t, semi2k_adder *a, uint8_t *out);
void semi2k_adder_answer(seq_task *t, semi2k_adder *a, const uint8_t *in, uint8_t *out);
/* The end of it: `in` is the other's second (not looked at if that was before the run). */
void semi2k_adder_prepared(seq_task *t, semi2k_adder *a, const uint8_t *in);
/* Two messages more, the second taking in the other party's first. They need all of `in`. */
void semi2k_adder_tables(seq_task *t, semi2k_adder *a, uint8_t *out);
void semi2k_adder_forms(seq_task *t, semi2k_adder *a, const uint8_t *in, uint8_t *out);
/* After them, once a step: TASK_WAIT until TASK_DONE; `in` is the last message, read at first. */
int semi2k_adder_step(seq_task *t, semi2k_adder *a, const uint8_t *in);
/* Levels of openings after all messages. */
unsigned semi2k_adder_levels(unsigned kind, unsigned bits);
/* Plane i of the result. */
const uint64_t *semi2k_adder_value(const semi2k_adder *a, unsigned i);
const uint64_t *semi2k_adder_mask(const semi2k_adder *a, unsigned i);

/* ---- more than two parties (semi2k_many.c) ---- */

void semi2k_many_compare(seq_vm *vm, const seq_call *call); /* ltz, eqz, a2b */
/* One task's rounding by m > 0 bits: all of its steps, with state of semi2k_many_state bytes. */
int semi2k_many_round(seq_task *t);
size_t semi2k_many_state(void);
unsigned semi2k_many_rounds(const seq_vm *vm);
/* Of b2a and selections (semi2k_select.c). */
unsigned semi2k_bit_rounds(const seq_vm *vm);

/* ---- shuffles: orders in layers, and punctured trees (semi2k_trees.c) ---- */

#define SEMI2K_ROWS (1 << 20)
#define SEMI2K_BLOCK 512     /* rows that one block orders; more take three layers */
#define SEMI2K_TREE_DEPTH 10 /* at most, with SEMI2K_ROWS rows */

/* Rows are cut into blocks: row i of block b is row b * apart + i * step. */
typedef struct {
    size_t blocks, size, apart, step;
    unsigned depth; /* of a tree with a leaf for each row of a block */
} semi2k_layer;

typedef struct {
    size_t rows, words; /* with those that fill up blocks; blocks of 64 */
    unsigned layers;    /* 1 or 3 */
    semi2k_layer layer[3];
} semi2k_network;

void semi2k_network_of(semi2k_network *x, size_t n);
/* An order of n rows, row p of the result being row order[p], as layers of orders within blocks:
 * layer[l][b * size + i] is the row within block b that its row i takes. order has room for the
 * network's rows, and is filled up; scratch five times that. Takes addresses from the order. */
void semi2k_route(const semi2k_network *x, uint32_t *order, size_t n, uint32_t *scratch,
                  uint32_t *const layer[3]);
/* What to choose on a level of the trees of a layer: the sides that the holes are not on. */
void semi2k_order_choices(const semi2k_network *x, unsigned layer, const uint32_t *order,
                          unsigned level, uint64_t *plane);

/* A block of a layer at who holds rows of `len` words: message = rows - a and rows = b, where a and
 * b are sums over the block's trees of what leaf i and tree i give. sums: by level and tree (of
 * `trees` in all), four words: of all nodes that are left, and right. key: the public permutation.
 * No branch and no address depends on a secret. */
void semi2k_hold_block(const semi2k_layer *l, size_t block, const prg_key *key,
                       const uint64_t *roots, size_t trees, uint64_t *sums, size_t len,
                       uint64_t *rows, uint64_t *message);
/* At who orders, given the sums under pads (two words for each level and tree, `pads_apart` between
 * levels) of the sides chosen: rows += a and out -= b, but for what the holes would give, which
 * cancels in out + rows in the new order. Takes addresses from the order. */
void semi2k_take_block(const semi2k_layer *l, size_t block, const prg_key *key,
                       const uint32_t *order, size_t trees, const uint64_t *sums,
                       const uint64_t *pads, size_t pads_apart, size_t len, uint64_t *rows,
                       uint64_t *out);

/* ---- starts ---- */

void semi2k_start_choice(seq_vm *vm, const seq_call *call);  /* select*, b2a */
void semi2k_start_compare(seq_vm *vm, const seq_call *call); /* ltz, eqz, a2b */
void semi2k_start_and(seq_vm *vm, const seq_call *call);
void semi2k_start_shuffle(seq_vm *vm, const seq_call *call);
uint64_t semi2k_shuffle_scratch(const seq_env *env, const seq_call *call); /* bytes, about */

/* Products of masked values; their summands are rounded by a sub-machine. */
void semi2k_start_mul(seq_vm *vm, const seq_call *call);
void semi2k_start_bilinear(seq_vm *vm, const seq_call *call);
/* Bytes, about, that a call of it takes. */
uint64_t semi2k_product_scratch(const seq_env *env, const seq_call *call);
/* trunc; as a sub-machine also: a.c[1] == NULL: c[0] is my summand; m == 0: only masked anew. Its
 * rounds (of summands, or of a register) are added to those of the call that starts it. */
void semi2k_start_trunc(seq_vm *vm, const seq_call *call);
unsigned semi2k_round_rounds(const seq_vm *vm, int64_t m, int64_t nearest, int summands);

#endif
