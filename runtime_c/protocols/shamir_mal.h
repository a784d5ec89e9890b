#ifndef SEQ_SHAMIR_MAL_H
#define SEQ_SHAMIR_MAL_H
/* Inside of shamir-mal: shamir's sharings and multiplications, fewer than half of the parties
 * malicious, abort. Every multiplication is remembered and verified before anything is opened that
 * is not hidden by a uniform mask; masks are numbers that each set of t + 1 parties knows, so that
 * nobody can lie about them. Equations and proofs: docs/protocols/shamir-mal.md.
 *
 * The core has 2 t + 1 parties, of which t + 1 are honest: what these hold is a sharing of degree t
 * of some value, whatever a dealer sent them. */

#include "shamir.h"

#define SMAL_LIMIT ((uint64_t)1 << 21) /* bits of elements; then the log is verified */
#define SMAL_RING_BITS 112 /* numbers of these bits, multiplied by 2^j, are less than p */

_Static_assert(SHAMIR_SETS <= SEQ_GROUPS, "sets have keys");

typedef struct {
    shamir_state base;       /* first: shamir's functions find their keys here */
    shamir_log log, checked; /* checked: what there was when the check under way began */
    prg_key set[SHAMIR_SETS], program[SHAMIR_SETS]; /* of the sets that I am in */
    field share[SHAMIR_TYPES][SHAMIR_SETS];         /* mine of 1, if a set knows it */
    uint64_t due;   /* about what is in the log when all calls so far have ended */
    unsigned wraps; /* j: there are less than 2^j sets */
} smal_state;

static inline smal_state *smal_of(const seq_task *t) {
    return t->env->protocol;
}

/* Purposes of streams of sets; those of checks count on from SMAL_CHECK. */
enum { SMAL_MASK, SMAL_BITS, SMAL_TAGS, SMAL_CHECK };

static inline int smal_member(const seq_task *t, unsigned set) {
    return smal_of(t)->base.set[set] >> t->env->me & 1;
}

/* Counts what a call will add to the log, by its operands alone: the same everywhere. */
void smal_account(seq_vm *vm, const seq_call *call);
/* Keys of a task, of the sets that I am in; NULL if memory ran out (an error is set). */
prg_key *smal_keys(seq_task *t);

/* Shares of n random elements that nobody knows, from stream `purpose` of these keys. */
void smal_random(const seq_task *t, const prg_key *keys, unsigned type, uint32_t purpose, void *d,
                 size_t n);

/* Openings of 2^j a, a < 2^126 / 2^j, hidden by the sum of a uniform number of 127 bits from each
 * set. What is opened is c; X = sum of the low bits of these numbers + ~c mod 2^low has the bits of
 * ~a above its j lowest ones. */
typedef struct {
    shamir_part part;
    unsigned low;                  /* bits of the numbers that go into the sum */
    field *hidden, *opened, *high; /* high: shares of the sum of what is above; NULL: not needed */
    shamir_adder adder;            /* kind, low, first, width are set by who uses it */
} smal_masked;

int smal_masked_alloc(seq_task *t, smal_masked *s);
/* Hides what is at `hidden` and sends it. */
int smal_masked_send(seq_task *t, shamir_exchange *x, smal_masked *s);
/* Takes it, adds ~c mod 2^public to the numbers and begins their sum. */
int smal_masked_take(seq_task *t, shamir_exchange *x, smal_masked *s, unsigned public);

/* Bits to numbers, by opening them hidden by random bits that are shared as both. `bits`: planes of
 * part.words; number: plane after plane of part.count elements. */
typedef struct {
    shamir_convert join; /* planes and part are set by who uses it; the result is known[0] */
    shamir_block *bits, *opened;
} smal_convert;

unsigned smal_convert_rounds(unsigned sets);
int smal_convert_alloc(seq_task *t, smal_convert *c);
/* As shamir_adder_step. */
int smal_convert_step(seq_task *t, shamir_exchange *x, smal_convert *c, int begin);

/* Blocks of `planes` planes, without what registers hold behind the last element. */
void smal_load(const seq_task *t, shamir_block *d, const seq_reg *a, size_t planes, size_t n);

/* The check of everything in the log (shamir_mal_check.c), in a task that is alone. */
typedef struct smal_check smal_check;
size_t smal_check_bytes(void);
int smal_check_step(seq_task *t, smal_check *s);
/* The elements of the vectors that a record of a bilinear map comes to. */
size_t smal_length(unsigned op, const int64_t *arg);
int smal_log_empty(const shamir_log *log);
void smal_log_clear(shamir_log *log); /* wipes it */

void smal_start_mul(seq_vm *vm, const seq_call *call);
void smal_start_trunc(seq_vm *vm, const seq_call *call);
void smal_start_compare(seq_vm *vm, const seq_call *call);
void smal_start_and(seq_vm *vm, const seq_call *call);
void smal_start_b2a(seq_vm *vm, const seq_call *call);
void smal_start_select(seq_vm *vm, const seq_call *call);
void smal_start_randbit(seq_vm *vm, const seq_call *call);
void smal_start_shuffle(seq_vm *vm, const seq_call *call);

#endif
