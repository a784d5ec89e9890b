#ifndef SEQ_REP3_H
#define SEQ_REP3_H
/* Inside of rep3: three parties, replicated sharing, semi-honest, honest majority. The protocols,
 * their equations and why they reveal nothing are in docs/protocols/rep3.md; names here are the
 * same.
 *
 * x = x_0 + x_1 + x_2; party i holds c[0] = x_i and c[1] = x_{i+1 mod 3}; bits alike with XOR.
 * Where parties have different roles, roles rotate over thirds of the vector: a third is a range of
 * blocks of 64 elements, and in third r party r plays P1, r+1 P2, r+2 P3, so that P1 holds the
 * components (x1, x2), P2 (x2, x3) and P3 (x3, x1). Thus `next` of P1 is P2, of P2 P3, of P3 P1.
 *
 * No function here branches on or addresses by secrets. */

#include <string.h>

#include "protocol.h"

#define REP3_PIECE 512 /* elements worked on at a time: masks stay in L1 cache */
/* Elements (times planes, for b2a) in one call: far below the 2^32 blocks that one key may serve.
 */
#define REP3_MAX_ELEMENTS ((size_t)1 << 28)
#ifndef REP3_CHUNK
#define REP3_CHUNK 512 /* blocks of 64 elements of each third in one task */
#endif
#ifndef REP3_BLOCK
#define REP3_BLOCK 4 /* bits whose monomials are dealt together in an addition */
#endif

/* Loops over words, compiled for several CPUs; REP3_PLAIN: only for the compiler's own (for tests).
 */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(REP3_PLAIN)
#define REP3_KERNEL                                                                                \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define REP3_KERNEL __attribute__((optimize("O3")))
#endif

enum { REP3_P1 = 0, REP3_P2 = 1, REP3_P3 = 2 };

/* Purposes: which mask a stream of a pair of parties is. Streams are addressed by element (ring
 * masks) or by block of 64 elements (bit masks), counted over the whole call. */
enum {
    REP3_S2, /* F23: masks of P2's and P3's parts of z; r is their sum */
    REP3_S3,
    REP3_U1, /* F23: u1, u2 mod 2^m */
    REP3_U2,
    REP3_T,          /* F13: t */
    REP3_A,          /* F13: a mod 2^m */
    REP3_B,          /* F12: b mod 2^m */
    REP3_ZERO,       /* every pair: a sharing of zero */
    REP3_DEALT_BIT,  /* F13: P3's part of u */
    REP3_DEALT_WORD, /* F13: P3's part of h */
    REP3_BACK2,      /* F23: masks of what P2 and P3 return to P1 */
    REP3_BACK3,
    REP3_INPUT,
    REP3_RANDOM,
    REP3_SHUFFLE_A, /* see rep3_shuffle.c */
    REP3_SHUFFLE_B,
    REP3_SHUFFLE_ORDER,
    REP3_MONOMIAL = 0x10000, /* F13: P3's part of monomial i: purpose + i */
    REP3_FORM2 = 0x20000,    /* F23: mask of P2's part of form i */
    REP3_FORM3 = 0x30000,
    REP3_TREE = 0x40000 /* every pair: zero sharing of gate i of level l: purpose + 1024 l + i */
};

/* Keys of one call: shared with the next party and with the previous one. */
typedef struct {
    prg_key next, prev;
} rep3_keys;

typedef struct {
    prg_key next, prev; /* shared with the next and the previous party */
    rep3_keys program;  /* the same for randomness that the program asks for */
    prg_key common;     /* known to all */
} rep3_state;

/* What other protocols on the same sharing do alike: see protocol.h. */
seq_status rep3_setup(const seq_env *env, const seq_keys *keys, void **state, seq_error *err);
unsigned rep3_input_stored(unsigned me, unsigned owner);
void rep3_add_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                     size_t n);
void rep3_xor_public(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                     size_t words);
void rep3_rerandomise(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                      uint32_t range, uint64_t first, size_t n);

void rep3_derive(rep3_keys *keys, const seq_task *t);
/* Keys of randomness that the program asks for and that a resumed run repeats. */
void rep3_derive_program(rep3_keys *keys, const seq_task *t);
/* The same for the order of a shuffle: equal names, equal keys. */
enum { REP3_ORDERS = 0x10000 }; /* beyond all numbers of sub-machines */
void rep3_derive_order(rep3_keys *keys, const seq_task *t, uint64_t name);

/* order = a permutation of 0 .. n-1 from the stream of a key, as cperm makes it: Fisher-Yates from
 * the last place down, one word a swap, uniform but for n / 2^64. */
void rep3_draw_order(const prg_key *key, uint32_t *order, size_t n);

/* The blocks of one task: a range in each third. Local planes hold the three ranges side by side.
 */
typedef struct {
    size_t first[3];  /* first block, counted over the whole vector */
    size_t blocks[3]; /* how many */
    size_t count[3];  /* elements in them */
    size_t off[3];    /* words before them in a local plane */
    size_t words;     /* in a local plane */
} rep3_part;

void rep3_partition(rep3_part *part, const seq_task *t);

/* Which third party `me` plays `role` in, and the role it has in third r. */
static inline unsigned rep3_third(unsigned me, unsigned role) {
    return (me + 3 - role) % 3;
}
static inline unsigned rep3_role(unsigned me, unsigned third) {
    return (me + 3 - third) % 3;
}
static inline unsigned rep3_next(unsigned me) {
    return (me + 1) % 3;
}
static inline unsigned rep3_prev(unsigned me) {
    return (me + 2) % 3;
}

/* Tasks over thirds of n elements (begin: first block within each third, end: n), and over ranges
 * [begin, end) of blocks of 64 elements where all parties do the same. Rounds are declared once.
 * More than REP3_MAX_ELEMENTS are refused. */
void rep3_start_thirds(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                       size_t state_bytes);
void rep3_start_flat(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
                     size_t state_bytes);

/* Tasks over ranges of at most `chunk` of [0, end), for a call on n elements. */
void rep3_start_ranges(seq_vm *vm, const seq_call *call, size_t n, size_t end, size_t chunk,
                       unsigned rounds, task_step step, size_t state_bytes);

/* task_send and task_expect, except that nothing is sent or expected when there are no bytes. */
uint8_t *rep3_send(seq_task *t, unsigned peer, size_t bytes);

/* ---- word-wise work (rep3_word.h), once per ring; all are loops for par_for over [begin, end)
 * ---- */

enum { REP3_PRODUCT, REP3_ADDITIVE, REP3_REPLICATED };

/* What is truncated: a*b elementwise, an additive sharing a.c[0], or a replicated sharing a; plus,
 * for a*b, the replicated sharing e unless e.c[0] is NULL. */
typedef struct {
    int kind;
    seq_reg a, b, e; /* element 0 of the vector */
} rep3_source;

/* Truncation by m bits of `count` elements from `first` on, in the third in which I have this role.
 */
typedef struct {
    const seq_env *env;
    const rep3_keys *keys;
    unsigned role, m, nearest;
    size_t first, count;
    rep3_source source;
    seq_reg d;     /* element 0 of the vector */
    uint8_t *rho;  /* P2, P3: the top bit of r, a byte an element, from element `first` on */
    uint64_t *low; /* nearest: m planes of blocks words; P1: not d, P2 and P3: r */
    size_t stride; /* words between these planes */
    uint8_t *send_word, *send_residue;  /* what goes out; NULL: nothing */
    uint8_t *send_residue3;             /* P1: the copy for P3 */
    const uint8_t *word2, *word3;       /* what came from P2, P3; P2: from P1 in word2 */
    const uint8_t *residue2, *residue3; /* the same; P2 and P3: from P1 in residue2 */
} rep3_trunc_job;

/* Whether P2 and P3 keep their parts of u, or have them already. */
enum { REP3_FRESH, REP3_KEEP, REP3_KEPT };

/* A word from bits: d = b, d -= b, or d = b ? x : 0, for `count` elements from `first` on. */
typedef struct {
    const seq_env *env;
    const rep3_keys *keys;
    unsigned role;
    size_t first, count;     /* addresses in the streams start at `first` */
    const uint64_t *b0, *b1; /* components of the bits, from element `first` on */
    const uint8_t *x0, *x1;  /* components of x from element `first` on; NULL: no select */
    uint8_t *d0, *d1;        /* components of the result from element `first` on */
    uint8_t *kept;           /* P2, P3: parts of u from element `first` on; REP3_FRESH: unused */
    int keep;
    int subtract;
    uint8_t *send_bit, *send_word;
    const uint8_t *recv_bit, *recv_word; /* P1: from P2 in recv_bit, from P3 in recv_word */
} rep3_bit_job;

/* Elementwise work on `count` elements from `first` on; what it means is said at the function. */
typedef struct {
    const seq_env *env;
    const rep3_keys *keys;
    size_t first, count;
    rep3_source source;
    seq_reg d;
    uint8_t *send;
    const uint8_t *recv;
} rep3_flat_job;

typedef struct {
    size_t word; /* bytes */
    unsigned bits;
    par_fn trunc_deal;     /* P2, P3: masks, first messages, first half of the results */
    par_fn trunc_open;     /* P1: d, second messages, results */
    par_fn trunc_finish;   /* P2, P3: results */
    par_fn bit_deal;       /* P1: shares u and h between P2 and P3 */
    par_fn bit_return;     /* P2, P3: results; messages to P1 */
    par_fn bit_finish;     /* P1: results */
    par_fn reshare;        /* send = d.c[0] = an additive sharing of the source, masked by zero */
    par_fn open;           /* d.c[0] = a.c[0] + a.c[1] + recv */
    par_fn input_owner;    /* d.c[0], unless NULL, = mask, send = d.c[1] = a.c[0] - mask */
    par_fn input_previous; /* d.c[1] = mask */
    /* p planes (stride words apart) of x, x + y, or x - 1 (if minus_one) for n elements. */
    void (*slice)(const bits_ops *bits, uint64_t *planes, size_t stride, unsigned p, const void *x,
                  const void *y, int minus_one, size_t n);
} rep3_word;

const rep3_word *rep3_words(const seq_env *env);

/* ---- addition of A (known to P1) and B (known to P2 and P3) on bits (rep3_plan.c, rep3_adder.c)
 * ---- */

#define REP3_FORM_WORDS (REP3_PIECE / 64 * 8) /* of a plane, worked on at a time */
enum { REP3_CARRY, REP3_SIGN, REP3_ZERO_TEST, REP3_SUM };
#define REP3_MAX_BITS 128

/* What is computed: fixed by kind and bits. */
typedef struct {
    unsigned kind, bits; /* bits: of A and B */
    unsigned added;      /* bits whose carries matter: bits, or bits - 1 for the sign */
    unsigned blocks;     /* of at most REP3_BLOCK bits */
    unsigned top;        /* the sign when blocks <= 1: A's top bit is dealt as one more monomial */
    unsigned monomials, forms;
    unsigned tree, levels; /* rounds of the prefix tree; with the last layer of a sum */
    uint16_t g[REP3_MAX_BITS], p[REP3_MAX_BITS]; /* form of a block's generate, propagate */
    uint16_t s[REP3_MAX_BITS];                   /* sum: form of bit i's part known in its block */
    uint16_t pp[REP3_MAX_BITS]; /* sum: form of the propagate of the bits of its block below i */
} rep3_plan;

/* bits >= 1; carry: 1 <= bits < REP3_MAX_BITS. Rounds: 2 + levels. */
void rep3_plan_make(rep3_plan *plan, unsigned kind, unsigned bits);

/* One AND gate: z = x & y; form dst = z, or dst ^= z if add. */
typedef struct {
    uint16_t dst, x, y;
    uint8_t add;
} rep3_gate;
#define REP3_MAX_GATES (2 * REP3_MAX_BITS)
/* The gates of a level, at most REP3_MAX_GATES; returns how many. */
unsigned rep3_plan_gates(const rep3_plan *plan, unsigned level, rep3_gate *gates);
/* Planes in the largest of its forms, the gates of a level, and the products of a block's bits. */
size_t rep3_plan_widest(const rep3_plan *plan);

/* Bits of block j, and the number of the product of its bits that `subset` has. */
static inline unsigned rep3_block_size(const rep3_plan *plan, unsigned j) {
    const unsigned rest = plan->added - j * REP3_BLOCK;
    return rest < REP3_BLOCK ? rest : REP3_BLOCK;
}
static inline unsigned rep3_monomial(unsigned block, unsigned subset) {
    return block * ((1u << REP3_BLOCK) - 1) + subset - 1;
}

/* My parts of the forms of block j, words i .. i + n of their planes, n <= REP3_FORM_WORDS, from my
 * parts of its monomials and all of B. Parts are added by XOR; exactly one side has `one` set. */
typedef struct rep3_forms rep3_forms;
struct rep3_forms {
    void (*load)(const rep3_forms *x, unsigned monomial, uint64_t *out, size_t i, size_t n);
    void (*emit)(const rep3_forms *x, unsigned form, const uint64_t *part, size_t i, size_t n);
    const uint64_t *b; /* planes of B, `stride` words apart */
    size_t stride;
    int one;
};
void rep3_plan_forms(const rep3_plan *plan, unsigned j, const rep3_forms *x, size_t i, size_t n);
/* The form that is plane i of the result in the end, but for B's own bits. */
unsigned rep3_plan_result(const rep3_plan *plan, unsigned i);

typedef struct {
    rep3_plan plan;
    rep3_part part;
    const rep3_keys *keys;
    const bits_ops *bits;
    uint64_t *in[3];   /* by role: my planes of A or B, blocks[third] words each */
    uint64_t *form[2]; /* components: plan.forms local planes */
} rep3_adder;

/* Allocate; plan, part and keys are set. 0, or -1 if memory ran out. */
int rep3_adder_alloc(seq_task *t, rep3_adder *ad);
/* P1's message to P2: bytes, and the message itself. */
size_t rep3_adder_deal_bytes(const rep3_adder *ad, unsigned third);
void rep3_adder_deal(seq_task *t, rep3_adder *ad, uint8_t *message);
/* P2 and P3 send their forms to P1; dealt: what P2 got from P1. */
int rep3_adder_forms(seq_task *t, rep3_adder *ad, const uint8_t *dealt);
/* Level l >= 0; l == plan.levels only takes in what came for the last level. */
int rep3_adder_level(seq_task *t, rep3_adder *ad, unsigned level);
/* The result's plane i: words of component c in third r. B's bits are not added yet (see finish).
 */
const uint64_t *rep3_adder_result(const rep3_adder *ad, unsigned i, unsigned component, unsigned r);

/* ---- starts (rep3_arith.c, rep3_bits.c, rep3_io.c) ---- */

void rep3_start_mul(seq_vm *vm, const seq_call *call);
void rep3_start_bilinear(seq_vm *vm, const seq_call *call); /* matmul, convolutions, their sums */
/* trunc; as a sub-machine also: a.c[1] == NULL: the operand is an additive sharing; m == 0. */
void rep3_start_trunc(seq_vm *vm, const seq_call *call);
void rep3_start_select(seq_vm *vm, const seq_call *call);
void rep3_start_select_kept(seq_vm *vm, const seq_call *call); /* and select_keep */
void rep3_start_b2a(seq_vm *vm, const seq_call *call);
void rep3_start_ltz(seq_vm *vm, const seq_call *call);
void rep3_start_eqz(seq_vm *vm, const seq_call *call);
void rep3_start_a2b(seq_vm *vm, const seq_call *call);
void rep3_start_and(seq_vm *vm, const seq_call *call);
void rep3_start_open(seq_vm *vm, const seq_call *call);
void rep3_start_openb(seq_vm *vm, const seq_call *call);
void rep3_start_randbit(seq_vm *vm, const seq_call *call);
void rep3_start_input(seq_vm *vm, const seq_call *call);
void rep3_start_output(seq_vm *vm, const seq_call *call);
void rep3_start_outputb(seq_vm *vm, const seq_call *call);
void rep3_start_shuffle(seq_vm *vm, const seq_call *call);

#endif
