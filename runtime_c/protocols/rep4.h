#ifndef SEQ_REP4_H
#define SEQ_REP4_H
/* Inside of rep4: four parties, replicated sharing, one malicious corruption, abort. The protocols,
 * their equations and why they are private and sound are in docs/protocols/rep4.md; names here are
 * the same.
 *
 * x = x_0 + x_1 + x_2 + x_3; party i holds all but x_i: c[k] = x_{i+1+k mod 4}; bits alike with
 * XOR. Where parties have different roles, roles rotate over quarters of the vector: a quarter is a
 * range of blocks of 64 elements, and in quarter q party p plays role p - q mod 4. Within a quarter
 * shares are numbered by roles, too: role r lacks share r.
 *
 * Every message is known to two parties, its sender and its verifier, before its receiver gets it:
 * sender and verifier compute it, the receiver gets the sender's, and receiver and verifier each
 * add a keyed hash of it to a sum. Before anything is opened, all learn whether all sums agree.
 *
 * No function here branches on or addresses by secrets. */

#include <string.h>

#include "bilinear.h"
#include "rep3.h" /* its plan of an addition on bits */

#define REP4_PIECE 512 /* elements worked on at a time: masks stay in L1 cache */
#define REP4_MAX_ELEMENTS ((size_t)1 << 28)
#ifndef REP4_CHUNK
#define REP4_CHUNK 384 /* blocks of 64 elements of each quarter in one task */
#endif

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define REP4_KERNEL                                                                                \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define REP4_KERNEL __attribute__((optimize("O3")))
#endif

/* Purposes of masks. K_j is the stream known to all but role j; F23 to roles 2 and 3 alone.
 * Addressed by element (words) or block of 64 elements (bits), counted over the whole call. */
enum {
    REP4_R,  /* F23: what hides z in a truncation */
    REP4_M2, /* K_0, K_1: parts of it */
    REP4_M3,
    REP4_T,     /* K_1, K_2: masks of the two shares of the quotient */
    REP4_RHO,   /* K_1: mask of r's top bit */
    REP4_ALPHA, /* K_2, K_3: masks of c's top bit */
    REP4_U2,    /* K_0, K_1: masks of products with alpha_2 and alpha_3 */
    REP4_U3,
    REP4_DEAL,   /* K_3, K_0: mask of a dealt bit */
    REP4_DEAL_X, /* K_3, K_0: mask of a dealt word */
    REP4_INPUT,
    REP4_RANDOM,
    REP4_CHECK,             /* K_j: hides from j what the others tell it of their views */
    REP4_CROSS = 0x100,     /* K_y: mask of the cross term of shares x and y: + 4 x + y */
    REP4_SHUFFLE = 0x1000,  /* K_h: mask of share a in hop h: + 4 h + a */
    REP4_PLANE_A = 0x10000, /* K_3: mask of dealt plane i of A: + i */
    REP4_PLANE_B = 0x20000, /* K_0: of B */
    REP4_FORM = 0x100000,   /* K_y: mask of form i's cross term: + 16 i + 4 x + y */
    REP4_TREE = 0x1000000,  /* K_y: of gate i of level l: + 2^17 l + 16 i + 4 x + y */
    REP4_HASH = 0x80000000  /* verifier's and receiver's: keys of message i of step s: + 64 s + i */
};

/* Keys of one call. without[k] is known to all but the party k + 1 places further; pair[k] is
 * shared with that party alone. */
typedef struct {
    prg_key without[3], pair[3];
} rep4_keys;

void rep4_derive(rep4_keys *keys, const seq_task *t);

static inline unsigned rep4_role(unsigned me, unsigned quarter) {
    return (me + 4 - quarter) % 4;
}
static inline unsigned rep4_party(unsigned role, unsigned quarter) {
    return (role + quarter) % 4;
}
/* Where a role holds share j, or 3: nowhere. */
static inline unsigned rep4_at(unsigned role, unsigned j) {
    return (j + 3 - role) % 4;
}

/* The blocks of one task: a range in each quarter. Local planes hold them side by side. */
typedef struct {
    size_t first[4];  /* first block, counted over the whole vector */
    size_t blocks[4]; /* how many */
    size_t count[4];  /* elements in them */
    size_t off[4];    /* words before them in a local plane */
    size_t words;     /* in a local plane */
} rep4_part;

void rep4_partition(rep4_part *part, const seq_task *t);
void rep4_start_quarters(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds,
                         task_step step, size_t state_bytes);

/* ---- messages (rep4_message.c) ---- */

#define REP4_MAX_MESSAGES 16

/* The messages of one step, in all quarters: by roles, with their size. */
typedef struct {
    struct {
        uint8_t sender, verifier, receiver;
        size_t each, planes; /* bytes an element; planes of a bit an element */
    } message[REP4_MAX_MESSAGES];
    unsigned count;
    uint32_t step;                           /* in which they were sent */
    uint8_t *out[4][REP4_MAX_MESSAGES];      /* by quarter: to be filled by senders and verifiers */
    const uint8_t *in[4][REP4_MAX_MESSAGES]; /* at receivers, after rep4_collect */
} rep4_messages;

/* Add a message; its number. */
unsigned rep4_message(rep4_messages *x, unsigned sender, unsigned verifier, unsigned receiver,
                      size_t each, size_t planes);
/* Allocate what senders and verifiers fill and expect what receivers get; 0, or -1 with an error
 * set. The messages must be filled before the step returns. */
int rep4_post(seq_task *t, const rep4_part *part, rep4_messages *x);
/* Add hashes of what I verify: messages of the set `which` (bit i: message i). They must be filled.
 */
void rep4_vouch(seq_task *t, const rep4_part *part, const rep4_keys *keys, const rep4_messages *x,
                uint32_t which);
/* In the step after: find what came, and add its hashes. */
void rep4_collect(seq_task *t, const rep4_part *part, const rep4_keys *keys, rep4_messages *x);
#define REP4_ALL 0xFFFFFFFFu

typedef unsigned __int128 rep4_digest;
/* Sum of 64-bit word i times key i, for the keys of 128 bits at `first` of a stream, mod 2^128: two
 * different messages of one length have the same sum with probability at most 2^-65. */
rep4_digest rep4_hash(const prg_key *key, uint32_t purpose, uint64_t first, const uint8_t *message,
                      size_t bytes);

/* The sums so far, of messages from the party of the second index: what I verified towards the
 * party of the first index, and what I received and the party of the first index verified. */
typedef struct {
    prg_key without[3], pair[3];
    prg_key program[3]; /* as without, of what the program asks for and a resumed run repeats */
    prg_key common;     /* known to all */
    rep4_digest verified[4][4], received[4][4];
} rep4_state;

/* ---- word-wise work (rep4_word.h), once per ring; loops for par_for over [begin, end) of one
 * quarter ---- */

enum { REP4_PRODUCT, REP4_BILINEAR, REP4_REPLICATED };

/* z: a*b elementwise; or a bilinear map of which a.c[k] = a_k b_k is there for each component, and
 * b.c[k + l - 1] = (a_k + a_l)(b_k + b_l); or the sharing a. Plus the sharing e unless e.c[0] is
 * NULL. Pointers to element 0 of the vector. */
typedef struct {
    int kind;
    seq_reg a, b, e;
} rep4_source;

/* Truncation by m bits, or (m = 0) none, of the elements of one quarter. */
typedef struct {
    const seq_env *env;
    const rep4_keys *keys;
    unsigned role, m, nearest;
    size_t first, count;
    rep4_source source;
    seq_reg d;                /* element 0 of the vector */
    uint8_t *const *out;      /* messages of this step */
    const uint8_t *const *in; /* messages of the step before */
    uint8_t *const *late;     /* role 1, second step: what it verifies of the first step */
    uint8_t *rho;             /* roles 2, 3: residues of rho_0, then of rho_1 */
    uint64_t *low;            /* nearest: m planes; roles 0, 1: not d, 2, 3: r */
    size_t stride;            /* words between these planes */
} rep4_word_job;

/* Words from bits: d = b, d -= b, or d = b ? x : 0. Components by share. */
typedef struct {
    const seq_env *env;
    const rep4_keys *keys;
    unsigned role;
    size_t address, count;   /* of the first element in the streams */
    const uint64_t *bit[3];  /* from the first element on */
    const uint8_t *x[3];     /* the same; x[0] == NULL: no select */
    uint8_t *d[3], *kept[3]; /* the same; kept: shares of u (2, 3) and v (0, 1) */
    uint8_t *h[3];           /* select: shares of u (x_2 + x_3) and v (x_0 + x_1), made here */
    int fresh;               /* u and v are dealt now, and put into kept */
    int subtract;
    uint8_t *const *out;
    const uint8_t *const *in;
} rep4_bit_job;

typedef struct {
    size_t word; /* bytes */
    par_fn trunc_deal, trunc_open, trunc_finish;
    par_fn cross, cross_finish;
    par_fn bit_deal, bit_cross, bit_finish;
    /* p planes (stride words apart) of x + y (y NULL: x), or x + y - 1 if minus_one. */
    void (*slice)(const bits_ops *bits, uint64_t *planes, size_t stride, unsigned p, const void *x,
                  const void *y, int minus_one, size_t n);
    /* Words first.. of a stream. */
    void (*mask)(const prg_key *key, uint32_t purpose, uint64_t first, void *out, size_t n);
} rep4_word;

const rep4_word *rep4_words(const seq_env *env);

/* Messages of a truncation's first step, and of its second one. */
enum {
    REP4_Z0,   /* to 0: x_0 y_0 and cross term 01, masked so that all masks add up to r */
    REP4_Z1,   /* to 1: the same with 1 */
    REP4_Q,    /* to 1: share 0 of -(r >> m) */
    REP4_RHO0, /* to 1: rho_0 */
    REP4_P20,  /* to 0: share 2 of rho_0 alpha_2; role 1 can verify it once it has rho_0 */
    REP4_P21,  /* to 1: share 2 of rho_1 alpha_2 */
    REP4_P30,  /* to 0: share 3 of rho_0 alpha_3; as P20 */
    REP4_P31,  /* to 1: share 3 of rho_1 alpha_3 */
    REP4_Z03,  /* to 0: cross terms, masked; not for replicated sources */
    REP4_Z02,
    REP4_Z12,
    REP4_Z13
};
enum { REP4_DELTA2, REP4_DELTA3, REP4_C };
#define REP4_LATE (1u << REP4_P20 | 1u << REP4_P30)

/* The cross terms of shares x and y, in the order of their messages; the first four are those of
 * what roles 0, 1 and what roles 2, 3 know. A cross term is known to the two others; share y's
 * part is a mask from K_y, share x's part goes to role y. */
typedef struct {
    uint8_t x, y, sender, verifier;
} rep4_term;
extern const rep4_term rep4_terms[6];
void rep4_term_messages(rep4_messages *m, unsigned terms, size_t each, size_t planes);

/* ---- addition of A (roles 0, 1) and B (roles 2, 3) on bits (rep4_adder.c) ---- */

typedef struct {
    rep3_plan plan;
    rep4_part part;
    const rep4_keys *keys;
    unsigned dealt;       /* planes of A, and of B, that are dealt: monomials, then the top bit */
    uint64_t *in[4];      /* by quarter: my planes of A or B, blocks words each */
    uint64_t *mine[4][3]; /* by quarter and component: dealt planes, blocks words each; of A in
                             shares 2 and 3, of B in shares 0 and 1 */
    uint64_t *form[3];    /* by component: plan.forms local planes */
} rep4_adder;

/* plan, part and keys are set; 0, or -1 if memory ran out. */
int rep4_adder_alloc(seq_task *t, rep4_adder *ad);
/* Monomials: two messages of x, `fill` before they are sent, `take` from the set they came in. */
unsigned rep4_adder_messages(const rep4_adder *ad, rep4_messages *x);
void rep4_adder_fill(seq_task *t, rep4_adder *ad, const rep4_messages *x, unsigned first);
void rep4_adder_take(const seq_task *t, rep4_adder *ad, const rep4_messages *x, unsigned first);
/* Sharings of the forms, and then the levels of the tree; the last one, plan.levels, only takes in
 * what came: TASK_DONE. x is the set of messages in flight. */
int rep4_adder_forms(seq_task *t, rep4_adder *ad, rep4_messages *x);
int rep4_adder_level(seq_task *t, rep4_adder *ad, rep4_messages *x, unsigned level);
/* The result's plane i: words of component c in a quarter, without the top bits of a sign. */
uint64_t *rep4_adder_result(const rep4_adder *ad, unsigned i, unsigned component, unsigned quarter);
/* The dealt top bits of A and B, components alike. */
const uint64_t *rep4_adder_top(const rep4_adder *ad, unsigned component, unsigned quarter);

/* d (+)= x & y, replicated bits, in one quarter: my cross terms into messages and shares. Masks of
 * term (x, y) are words address.. of purpose + 4 x + y. */
typedef struct {
    const uint64_t *x[3], *y[3];
    uint64_t *d[3];
    const seq_env *env;
    unsigned role;
    const rep4_keys *keys;
    uint32_t purpose;
    uint64_t address;
    size_t words;
    uint8_t *const *out; /* of the first of the six messages */
    size_t at;           /* bytes into each */
} rep4_and_job;
void rep4_and_words(const rep4_and_job *job);
/* What came for my two terms is added: into shares d of words at `at` of messages in[0..5]. */
void rep4_add_terms(uint64_t *const d[3], unsigned role, const uint8_t *const *in, unsigned terms,
                    size_t at, size_t words);

/* ---- starts ---- */

/* Keys of orders of rows, by the name that the program gives them: known to all but party h. */
#define REP4_ORDERS 0x10000u

#define REP4_START(name) void rep4_start_##name(seq_vm *vm, const seq_call *call)
REP4_START(mul);
REP4_START(bilinear); /* matmul, convolutions, their sums */
REP4_START(trunc);
REP4_START(select);
REP4_START(select_kept);
REP4_START(b2a);
REP4_START(adder); /* ltz, eqz, a2b */
REP4_START(and);
REP4_START(open); /* and openb, output, outputb */
REP4_START(randbit);
REP4_START(input);
REP4_START(shuffle);
REP4_START(verify);

#endif
