#ifndef SEQ_PROTOCOL_H
#define SEQ_PROTOCOL_H
/* A protocol: constants, limits and batched functions, found by name in one table (protocols.c).
 * Adding one: one file that defines a `const seq_protocol`, one line in protocols.c, one cost
 * module in compiler/cost/, one page in docs/protocols; the conformance suite does the rest.
 */

#include "../vm/isa.h"
#include "../vm/machine.h"

/* Start the round machine of an interactive instruction. Errors go to the VM through the tasks. */
typedef void (*proto_start)(seq_vm *vm, const seq_call *call);

/* Keys of a run, 32 bytes each. The first 16 are for the protocol's masks and fresh at every start;
 * the second 16 are for randomness that the program asks for (randbit) and the same after a resume.
 * They come from contributions of all who know a key, committed to before any is opened; all
 * parties compare what they were sent, so that a cheater can neither choose a key nor make honest
 * parties hold different ones unnoticed. */
#define SEQ_GROUPS 126 /* the most sets of parties with a key of their own */

typedef struct {
    const uint8_t (*pair)[32];  /* [p]: known to me and party p alone; [me]: to me */
    const uint8_t (*group)[32]; /* [i]: known to the members of the protocol's i-th group */
    const uint8_t *common;      /* known to all */
} seq_keys;

typedef struct {
    const char *name;      /* "rep3" */
    const char *title;     /* "replicated secret sharing" */
    const char *adversary; /* "semi-honest", "malicious with abort", "none (insecure)" */
    unsigned parties_min, parties_max;
    unsigned threshold_num,
        threshold_den;               /* corruptions tolerated: < parties * num / den; 0/1: none */
    const char *corrupt;             /* the same in words, where that does not say it; or NULL */
    unsigned ring64, ring128, field; /* domains it works in */
    unsigned wide;                   /* 2^64, in words of 128 bits */
    /* Words kept of each shared element, and of 64 bits; <= SEQ_MAX_COMPONENTS. */
    unsigned components, bit_components;
    uint64_t frame; /* bytes of a message, where registers do not bound them */
    int insecure;   /* must be asked for by name with an explicit flag; every run prints so */
    int deals;      /* the last party only deals: it can do so before a run (vm/material.h) */
    int prepares;   /* the parties themselves can do a part before a run: task_prepares */
    /* Malicious protocols that check late: no opening (open, openb, output, outputb) starts before
     * every call in front of it has finished, openings too. So its start handler can check all that
     * happened so far before it sends anything that depends on a secret; SEQ_ERR_CHEAT in a task
     * then ends the run before anything else is revealed. What is computed after the last opening
     * is revealed to nobody, and not checked. */
    int verified;

    /* Refuse, before a run, what cannot be run (precision, statistical parameter): *err says why.
     */
    seq_status (*check)(unsigned ring_bits, unsigned k, unsigned f, unsigned stat, seq_error *err);
    /* Sets of parties that have a key of their own: the i-th, party p its bit p; 0 past the last.
     * NULL: none. */
    unsigned (*group)(unsigned parties, unsigned i);
    seq_status (*setup)(const seq_env *env, const seq_keys *keys, void **state, seq_error *err);
    void (*teardown)(void *state); /* wipes it */
    /* What parties tell each other after setup, before the first instruction, or NULL: bytes of a
     * message of exchange 0, 1, ... (0: that was all), the same for all. Then meet takes what came
     * in the exchange before (from party p at p * bytes; NULL at first), and writes what goes out;
     * a last time, with mine NULL, it only takes. */
    size_t (*meeting)(const seq_env *env, unsigned exchange);
    seq_status (*meet)(const seq_env *env, unsigned exchange, const uint8_t *theirs, uint8_t *mine,
                       seq_error *err);

    /* d = a + b where b is public (saddc); a == NULL: d = b (sset). n elements. d may be a. */
    void (*add_public)(const seq_env *env, const seq_reg *d, const seq_reg *a, const void *b,
                       size_t n);
    /* The same for bits, over whole words: b is the public plane. a == NULL: d = b. */
    void (*xor_public)(const seq_env *env, const seq_reg *d, const seq_reg *a, const uint64_t *b,
                       size_t words);

    /* Add a fresh sharing of zero (bits: XOR) to n words of d, in place: words first .. of number
     * `range` of an instruction instance. Local. NULL: sharings have no randomness. */
    void (*rerandomise)(const seq_env *env, int bits, const seq_reg *d, uint64_t instance,
                        uint32_t range, uint64_t first, size_t n);
    /* verified only, or NULL: check all that happened so far, as one more call; before a checkpoint
     * is written, whose shares are opened under other keys and other sums. */
    proto_start verify;
    /* verified only, or NULL: whether so much waits to be checked that `verify` has to run before
     * the next call. */
    int (*overdue)(const seq_env *env);

    /* Components that party `me` stores of an input of `owner` of which only rows are read: those
     * for which vm_keep_seed is not called. */
    unsigned (*input_stored)(unsigned me, unsigned owner);
    /* About the most memory that the tasks of a call take, with the messages they exchange (op and
     * arg are set, nothing else is). */
    uint64_t (*scratch)(const seq_env *env, const seq_call *call);

    /* By opcode - SEQ_OP_FIRST_INTERACTIVE; NULL: not offered, and a program that needs it is
     * refused before a run. Additive and XOR operations by public factors act on each component
     * alike.
     */
    proto_start start[SEQ_INTERACTIVE_COUNT];
} seq_protocol;

const seq_protocol *protocol_find(const char *name); /* NULL if unknown */
const seq_protocol *protocol_at(size_t i);           /* NULL past the end */

#endif
