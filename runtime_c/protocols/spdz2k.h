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
#define SPDZ2K_LIMIT (1ull << 20) /* values that wait; then they are checked */
#define SPDZ2K_CHECK_ROUNDS 5

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
    SPDZ2K_MACS = 0x800000 /* + purpose: parts of MACs */
};

/* Shares of numbers mod 2^128 and of their MACs. */
typedef struct {
    spdz2k_word *value, *mac;
} spdz2k_shares;

/* What was opened, or told by somebody (mac NULL), and waits to be checked. */
typedef struct spdz2k_record {
    struct spdz2k_record *next;
    uint64_t order[2]; /* where it was opened: the same at all parties */
    size_t n;
    spdz2k_word *mac;       /* shares */
    uint64_t *value, *high; /* mod 2^64; what my share has above, and carries that I count */
} spdz2k_record;

typedef struct {
    masked_state masked;          /* first: masked.h */
    spdz2k_word alpha;            /* my part; the dealer: the sum */
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

/* ---- the log, and checks (spdz2k_check.c) ---- */

/* Room for n values; mac and high only if `opened`. NULL if memory ran out (an error is set). */
spdz2k_record *spdz2k_record_new(seq_task *t, size_t n, int opened);
void spdz2k_record_add(spdz2k_record **log, spdz2k_record *r);
void spdz2k_clear(spdz2k_record **log); /* wipes it */
/* A call will open so many values: counted alike everywhere. */
void spdz2k_account(seq_vm *vm, const seq_call *call, size_t values);

/* What is in the log is what the next check is of. */
void spdz2k_take_log(spdz2k_state *s);
/* The check, as a sub-machine, of what is in `checked`. */
void spdz2k_start_check(seq_vm *vm, const seq_call *call);
/* By itself: of everything so far. */
void spdz2k_start_verify(seq_vm *vm, const seq_call *call);

/* ---- starts ---- */

void spdz2k_start_input(seq_vm *vm, const seq_call *call);
void spdz2k_start_open(seq_vm *vm, const seq_call *call); /* and output */
void spdz2k_start_mul(seq_vm *vm, const seq_call *call);
void spdz2k_start_bilinear(seq_vm *vm, const seq_call *call);
/* trunc; as a sub-machine also: a.c[1] NULL: c[0] and c[2] are my shares of what is opened, c[3]
 * (words) what is public of it; the dealer: c[0] the masks'. m = 0: only masked anew. */
void spdz2k_start_trunc(seq_vm *vm, const seq_call *call);

#endif
