#ifndef SEQ_SPDZ2K_H
#define SEQ_SPDZ2K_H
/* Inside of spdz2k: masked values (masked.h) whose masks are shared mod 2^128 and have MACs
 * [Cramer2018]; all parties that compute but one may be malicious; abort. The protocols, their
 * equations and the error of the check are in docs/protocols/spdz2k.md; names here are the same.
 *
 * A register has three words of 128 bits: D, which all know and of which the low 64 bits count, my
 * share M_i of the mask, my share m_i of its MAC: the sum of the m_i is alpha times that of the
 * M_i, mod 2^128. Values are numbers mod 2^64.
 *
 * Every value that is opened waits in a log with what is needed to check it; checks come before
 * anything of the program is revealed. Shares are dealt (dealer.h) by a party that is trusted with
 * everything: for measurements and tests of the online phase. No function here branches on or
 * addresses by secrets. */

#include "dealer.h"

#define SPDZ2K_BITS 64            /* of numbers, and of alpha and a check's weights */
#define SPDZ2K_SOUND 57           /* checks miss an error with 2^-57.9 */
#define SPDZ2K_LIMIT (1ull << 20) /* values that wait; then they are checked */
#define SPDZ2K_CHECK_ROUNDS 5
/* Of a check by itself, which has the instance of the instruction before it: a number that none of
 * that one's sub-machines has. */
#define SPDZ2K_ALONE 4
#define SPDZ2K_WORD_VALUES 16 /* values whose room 64 bits take in the log */

typedef unsigned __int128 spdz2k_word;

/* Streams that a computing party has with the dealer, by purpose; and of it alone. */
enum {
    SPDZ2K_ALPHA,  /* of the run: its part of alpha */
    SPDZ2K_MASK,   /* masks of results */
    SPDZ2K_KNOWN,  /* masks that one party knows, */
    SPDZ2K_NUMBER, /* products of masks, less the result's mask */
    SPDZ2K_TOP,    /* parts of the top bit of R, */
    SPDZ2K_HIGH,   /* and of -R / 2^m */
    SPDZ2K_WRAP,   /* masks of what wraps */
    SPDZ2K_CHECK,  /* r of a check */
    SPDZ2K_SEED,   /* mine alone: my seed, and what hides commitments */
    SPDZ2K_SALT,
    SPDZ2K_AND,            /* products of mask bits, less the result's mask */
    SPDZ2K_BIT,            /* mask bits as numbers */
    SPDZ2K_CHOSEN,         /* products of mask bits and masks */
    SPDZ2K_STAGE = 0x1000, /* masks of values and of MACs in a shuffle, two a stage */
    SPDZ2K_MONOMIAL = 0x10000,
    SPDZ2K_FORM = 0x20000,      /* masks */
    SPDZ2K_GATE = 0x40000,      /* + 1024 level + gate: products of mask bits */
    SPDZ2K_GATE_MASK = 0x80000, /* the same: masks of results */
    SPDZ2K_MACS = 0x2000000     /* + purpose: parts of MACs; of bits k times it, of plane k - 1 */
};

/* Shares of numbers mod 2^128 and of their MACs. */
typedef struct {
    spdz2k_word *value, *mac;
} spdz2k_shares;

/* Shares of planes of bits, and of their MACs in GF(2^64), 64 planes for each. */
typedef struct {
    uint64_t *value, *mac;
} spdz2k_planes;

#define SPDZ2K_DEGREE 64

/* What was opened, or told by somebody (mac NULL), and waits to be checked: numbers, or words of
 * bits, whose MACs are in `bits`, 64 for each word. */
typedef struct spdz2k_record {
    struct spdz2k_record *next;
    uint64_t order[2]; /* where it was opened: the same at all parties */
    size_t n;
    uint64_t *bits;
    spdz2k_word *mac;       /* shares */
    uint64_t *value, *high; /* mod 2^64; what my share has above, and carries that I count */
} spdz2k_record;

typedef struct {
    masked_state masked;          /* first: masked.h */
    spdz2k_word alpha;            /* my part; the dealer: the sum */
    uint64_t delta;               /* the same of Delta */
    prg_key own;                  /* known to me alone */
    unsigned bits;                /* s; test builds: lower with the statistical parameter */
    spdz2k_record *log, *checked; /* checked: what the check under way is of */
    uint64_t due; /* values that will be in the log when all calls so far have ended */
} spdz2k_state;

static inline spdz2k_state *spdz2k_of(const seq_task *t) {
    return t->env->protocol;
}

/* ---- what is dealt (spdz2k_deal.c): by pieces, values before MACs ---- */

#define SPDZ2K_NUMBER_BYTES 32 /* of the dealer's message: a number with its MAC */
#define SPDZ2K_MASK_BYTES 16   /* a mask's MAC */

/* The dealer shares n numbers; a computing party gets its shares. */
void spdz2k_give(dealer_deal *x, uint32_t purpose, size_t first, const spdz2k_word *value,
                 size_t n);
void spdz2k_get(dealer_deal *x, uint32_t purpose, size_t first, spdz2k_shares d, size_t n);
/* Fresh masks; to the dealer, the masks themselves in d.value. `owner`: who knows them, or -1. */
void spdz2k_mask(dealer_deal *x, int owner, uint32_t purpose, size_t first, spdz2k_shares d,
                 size_t n);
int spdz2k_alloc(seq_task *t, spdz2k_shares *d, size_t n); /* -1 if memory ran out */

/* The same for planes of bits, from block `first` of a stream on. Of the dealer's message for 64
 * bits: */
#define SPDZ2K_BITS_BYTES (8 * (1 + SPDZ2K_DEGREE))
#define SPDZ2K_BIT_MASK_BYTES (8 * SPDZ2K_DEGREE)
void spdz2k_give_bits(dealer_deal *x, uint32_t purpose, size_t first, const uint64_t *value,
                      size_t words);
void spdz2k_get_bits(dealer_deal *x, uint32_t purpose, size_t first, spdz2k_planes d, size_t words);
void spdz2k_mask_bits(dealer_deal *x, int owner, uint32_t purpose, size_t first, spdz2k_planes d,
                      size_t words);
int spdz2k_alloc_bits(seq_task *t, spdz2k_planes *d, size_t words);
/* Plane i of `words` words each. */
static inline spdz2k_planes spdz2k_plane(spdz2k_planes x, size_t i, size_t words) {
    return (spdz2k_planes){x.value + i * words, x.mac + i * SPDZ2K_DEGREE * words};
}

/* Shares and MACs of a plane (spdz2k_bits.c), from word `at` of a register on; d ^= x, d ^= known &
 * x, d ^= known. */
void spdz2k_load(const seq_reg *r, size_t at, spdz2k_planes d, size_t words);
void spdz2k_store(const seq_reg *r, size_t at, spdz2k_planes x, size_t words);
void spdz2k_xor(const seq_task *t, spdz2k_planes d, spdz2k_planes x, size_t words);
void spdz2k_xorand(const seq_task *t, spdz2k_planes d, const uint64_t *known, spdz2k_planes x,
                   size_t words);
void spdz2k_xor_known(const seq_task *t, spdz2k_planes d, const uint64_t *known, size_t words);

/* ---- openings (spdz2k_io.c) ---- */

/* The value of shares z, which is 2^(64 - bits) times a number of `bits` bits, at all that compute
 * (and, MASKED_ALL, the dealer): z.value becomes it, below 2^64; z is overwritten. `last`: to be
 * checked by the check that comes next. */
typedef struct {
    unsigned bits;
    int to, last;
    size_t n;
    spdz2k_shares z;
    masked_opening opening;
    uint64_t *high; /* what my share has above 64 bits */
} spdz2k_opening;

/* As masked_open. */
int spdz2k_open(seq_task *t, spdz2k_opening *o);

/* The same for planes of bits of `words` words each. */
typedef struct {
    int to, last;
    size_t planes, words;
    spdz2k_planes z;
    masked_opening opening;
    unsigned begun;
} spdz2k_bit_opening;

int spdz2k_open_bits(seq_task *t, spdz2k_bit_opening *o);
/* Tasks of openb and outputb: after the checks before them. */
void spdz2k_start_reveal_bits(seq_vm *vm, const seq_call *call);
int spdz2k_receiver(const seq_task *t); /* of an opening: one party, or -1 for all */

/* ---- the log, and checks (spdz2k_check.c) ---- */

/* Room for n values; mac and high only if `opened`. NULL if memory ran out (an error is set). */
spdz2k_record *spdz2k_record_new(seq_task *t, size_t n, int opened);
spdz2k_record *spdz2k_record_bits(seq_task *t, size_t words);
void spdz2k_record_add(spdz2k_record **log, spdz2k_record *r);
void spdz2k_clear(spdz2k_record **log); /* wipes it */
/* A call will open so many values: counted alike everywhere. */
void spdz2k_account(seq_vm *vm, const seq_call *call, size_t values);

/* What is in the log is what the next check is of; whether there is anything. When nothing is under
 * way, before the first task of what comes next: tasks may be put off, and calls after it count for
 * the check after that. */
int spdz2k_take_log(spdz2k_state *s);
/* The check, as a sub-machine, of what is in `checked`. */
void spdz2k_start_check(seq_vm *vm, const seq_call *call);
/* By itself: of everything so far. */
void spdz2k_start_verify(seq_vm *vm, const seq_call *call);

/* ---- addition on bits (spdz2k_adder.c): A is known to the dealer, B to all who compute ---- */

typedef struct {
    rep3_plan plan;
    size_t first, words;     /* blocks */
    uint64_t *in;            /* planes of A or B, `words` each */
    uint64_t *value, *known; /* of the forms; what is added to what was opened */
    spdz2k_planes mask;      /* of the forms */
    spdz2k_planes monomials; /* of A's bits */
    unsigned level, waiting;
    spdz2k_bit_opening o;
} spdz2k_adder;

/* Bytes of the dealer's message for it; plan and words are set. */
size_t spdz2k_adder_bytes(const spdz2k_adder *a);
/* Values that are opened, for 64 elements. */
size_t spdz2k_adder_values(unsigned kind, unsigned bits);
/* plan, first and words are set. 0, or -1 if memory ran out. */
int spdz2k_adder_alloc(seq_task *t, spdz2k_adder *a);
/* The dealer's part; `in` is set. */
void spdz2k_adder_deal(dealer_deal *x, spdz2k_adder *a);
/* TASK_WAIT until it is TASK_DONE, once a step, at those who compute; `in` is set. */
int spdz2k_adder_step(dealer_deal *x, spdz2k_adder *a);
/* Plane i of the result: its number among `value` and `mask`. B's bits are added. */
static inline unsigned spdz2k_adder_result(const spdz2k_adder *a, unsigned i) {
    return rep3_plan_result(&a->plan, i);
}

/* ---- starts ---- */

void spdz2k_start_input(seq_vm *vm, const seq_call *call);
void spdz2k_start_open(seq_vm *vm, const seq_call *call); /* openb, output, outputb */
void spdz2k_start_randbit(seq_vm *vm, const seq_call *call);
void spdz2k_start_and(seq_vm *vm, const seq_call *call);
void spdz2k_start_compare(seq_vm *vm, const seq_call *call); /* ltz, eqz, a2b */
void spdz2k_start_choice(seq_vm *vm, const seq_call *call);  /* select*, b2a */
void spdz2k_start_bilinear(seq_vm *vm, const seq_call *call);
void spdz2k_start_shuffle(seq_vm *vm, const seq_call *call);
/* trunc, mul, mul_add; trunc as a sub-machine also: a.c[1] NULL: c[0] and c[2] are my shares of
 * what is opened, c[3] (words) what is public of it; the dealer: c[0] the masks'. m = 0: only
 * masked anew. */
void spdz2k_start_round(seq_vm *vm, const seq_call *call);

#endif
