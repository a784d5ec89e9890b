#ifndef SEQ_CHECKPOINT_H
#define SEQ_CHECKPOINT_H
/* Saving a run and going on from there: docs/running.md says what is promised, docs/vm.md what is
 * in the files. A part of vm.h, which includes it.
 *
 * A party's folder holds `state-N` for the last two checkpoints N and, beside them, what stays the
 * same while a loop runs: `still-PC-START`. A start is one start of the processes; all parties know
 * it by the same 16 bytes. Shares of two starts never fit together, so files say which they are of.
 */

#include "../error.h"

#define CHECKPOINT_KEY 32
#define CHECKPOINT_START 16 /* bytes */

/* Bytes that grow; not terminated. */
typedef struct {
    char *at;
    size_t length, capacity;
} vm_text;

typedef struct {
    uint64_t pc, loop; /* of the instruction that wrote it, and its outermost loop */
    uint8_t start[CHECKPOINT_START];
} checkpoint_still;

typedef struct {
    const char *folder; /* NULL: nothing is saved */
    uint64_t every;     /* save each time that so many checkpoints were passed; 0: never */
    uint8_t key[CHECKPOINT_KEY];
    uint8_t run_id[16], public_seed[16];

    uint64_t passed;      /* checkpoint instructions so far; names the checkpoints */
    uint64_t saved;       /* the last one that was written or resumed from; 0: none */
    uint64_t kept;        /* the one before that is kept; 0: none */
    uint64_t unconfirmed; /* the last one that this start wrote; 0: none */
    uint8_t start[CHECKPOINT_START];
    checkpoint_still still, kept_still; /* what `saved` and `kept` build on; pc 0: none */

    /* what is the same after a resume */
    vm_keys keys;                    /* their second halves */
    vm_text printed;                 /* if anything is saved: lines so far, with their newlines */
    uint64_t resumed_lines;          /* of them, before the checkpoint that was resumed from */
    uint64_t resumed_from;           /* 0: not resumed */
    uint64_t wire[NET_MAX_PARTIES];  /* sent before this start */
    uint64_t saving_ns, saved_bytes; /* of this start */
} vm_checkpoint;

/* Before the program runs. Fresh: remember the keys' second halves. Resumed: agree with the
 * parties on a checkpoint that all have, load it, and put the run's own randomness into the keys'
 * second halves. Exchanges outside of the program: neither rounds nor payload. */
seq_status checkpoint_begin(seq_vm *vm, int resume, double timeout_s, vm_keys *keys);
/* The instruction. Local, except that a party waits until all have the checkpoint before this one:
 * thus there always is one that all have. Errors are in vm->error. */
void checkpoint_pass(seq_vm *vm);
/* Whether the run may be resumed: a mark in the folder says if not. */
seq_status checkpoint_resumable(seq_vm *vm, int yes);
/* The run ends because a party cheated: what is in the folder is not to be resumed. */
void checkpoint_spoil(const seq_vm *vm);

#endif
