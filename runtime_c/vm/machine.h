#ifndef SEQ_MACHINE_H
#define SEQ_MACHINE_H
/* What the VM offers to protocols: calls (an interactive instruction with its operands resolved)
 * and tasks (one chunk of the round machine that carries it out).
 *
 * An interactive instruction's `start` handler declares its number of rounds and creates one or
 * more tasks. A task's `step` function runs once at creation and then each time all frames it
 * expects (and all child calls it made) are there. It queues what it sends, declares what it
 * expects next, and returns; the VM keeps many tasks in flight and serves whichever is ready.
 * Nothing here blocks.
 *
 *     static int my_step(seq_task *t) {
 *         my_state *s = t->state;
 *         switch (t->step_no) {
 *         case 0:
 *             fill(task_send(t, next_party, bytes), ...);
 *             task_expect(t, previous_party, bytes);
 *             return TASK_WAIT;
 *         case 1:
 *             use(task_received(t, previous_party), ...);
 *             return TASK_DONE;
 *         }
 *     }
 *
 * Wire determinism: a frame's tag is (call instance and sub-machine, chunk, step), randomness is
 * addressed by (instance, sub, purpose, element); chunk boundaries come from public sizes only. */

#include <stddef.h>
#include <stdint.h>

#include "../bits/bits.h"
#include "../error.h"
#include "../net/net.h"
#include "../par.h"
#include "../prg/prg.h"
#include "../ring/ring.h"

#define SEQ_MAX_COMPONENTS 66 /* share components a protocol may keep of each element */
#define SEQ_NEAR_COMPONENTS 4 /* of which registers point to so many */
#define SEQ_MAX_OPERANDS 20

typedef struct seq_vm seq_vm;
typedef struct seq_task seq_task;

/* A register operand: for s and b files one pointer a component; for c files c[0] only. */
typedef struct {
    void *c[SEQ_NEAR_COMPONENTS];
    size_t apart; /* bytes from one component to the next, where there are more */
} seq_reg;

static inline void *seq_component(const seq_reg *r, unsigned k) {
    const unsigned last = SEQ_NEAR_COMPONENTS - 1;
    return k <= last ? r->c[k] : (uint8_t *)r->c[last] + (k - last) * r->apart;
}

typedef struct seq_call {
    uint16_t op;       /* SEQ_OP_... of isa.h */
    uint64_t instance; /* 48-bit number of the dynamic instruction */
    uint16_t sub;      /* 0 for the instruction itself; sub-machines number from 1 */
    int64_t
        arg[SEQ_MAX_OPERANDS]; /* operands as in the bytecode, by SEQ_ARG_<op>_<name> of isa.h */
    seq_reg reg[SEQ_MAX_OPERANDS]; /* register operands resolved, same index */
    seq_task *parent;              /* the task that waits for this call, or NULL */
    struct vm_call *own;           /* the VM's bookkeeping */
} seq_call;

/* What a run does of a protocol that prepares: all; only what depends on masks alone, whose results
 * are kept (vm/material.h); or all else, with what was kept. */
enum { SEQ_ALL, SEQ_PREPARE, SEQ_ONLINE };

/* What a handler knows about the run. Constant during the run. */
typedef struct {
    unsigned me, parties;
    unsigned ring_bits, k, f, stat;
    int ahead;   /* the last party deals, before the run: nobody sends to it */
    int phase;   /* of a protocol that prepares, SEQ_ALL .. */
    int checked; /* emulate: report what leaves its range */
    const ring_ops *ring;
    const bits_ops *bits;
    seq_pool *pool;
    void *protocol; /* the protocol's own state, made by its setup() */
} seq_env;

const seq_env *vm_env(const seq_vm *vm);
/* bits->slice of the signed numbers that n words of x are. */
void vm_slice(const seq_env *env, uint64_t *planes, size_t stride, const void *x, size_t n,
              unsigned lo, unsigned p);

/* Rounds this call takes: its length in the longest chain of dependent messages. Once per call. */
void call_rounds(seq_vm *vm, const seq_call *call, unsigned rounds);

/* Of so many rounds those that this run has. */
unsigned vm_rounds(const seq_vm *vm, unsigned preparing, unsigned online);

enum { TASK_WAIT = 0, TASK_DONE = 1, TASK_ERROR = -1 };
typedef int (*task_step)(seq_task *);

struct seq_task {
    seq_vm *vm;
    const seq_env *env;
    seq_call call;     /* a copy: lives as long as the task */
    uint32_t chunk;    /* number of this chunk within the call */
    uint32_t step_no;  /* 0 at creation, +1 at each further run */
    size_t begin, end; /* the elements it works on, for the protocol's own use */
    void *state;       /* state_bytes zeroed bytes that live as long as the task */
};

/* Create a task and run its first step at once. Errors are kept by the VM and surface at the join.
 */
void task_create(seq_vm *vm, const seq_call *call, uint32_t chunk, size_t begin, size_t end,
                 task_step step, size_t state_bytes);
/* 64-byte aligned memory, not zeroed, that lives until the task ends; wiped when the run does. NULL
 * if memory ran out (an error is set: return TASK_ERROR). Counted into the reported peak. */
void *task_scratch(seq_task *t, size_t bytes);
/* A frame to peer, sent when the step returns; fill it all. At most one a peer and step. 64-byte
 * aligned, not zeroed; NULL if memory ran out (an error is set: return TASK_ERROR). */
uint8_t *task_send(seq_task *t, unsigned peer, size_t bytes);
/* The next step needs exactly this many bytes from peer. bytes = 0 expects nothing. */
void task_expect(seq_task *t, unsigned peer, size_t bytes);
/* What arrived for this step from peer; 8-byte aligned; freed after the step. */
const uint8_t *task_received(const seq_task *t, unsigned peer);
/* Start a sub-machine whose completion the next step waits for. `sub` is unique among all
 * sub-machines of the instruction, of its other chunks too (tags are made of it). Fill call->op,
 * arg, reg; the VM sets the rest from the parent. The registers it names must outlive it
 * (task_scratch does). */
void task_call(seq_task *t, seq_call *call, uint16_t sub);
/* This step prepares: what it sends, and what it expects for the next one, depends on masks alone.
 * All other messages are not sent while material is made, and what is expected then is zeros. */
void task_prepares(seq_task *t);
/* Whether it was all done before the run: a task leaves out its steps that prepare. */
int task_prepared(const seq_task *t);
/* What those steps came to: written to the material, read from it (then an error is kept by the VM,
 * and p is zero), or neither. The same calls, in the same order, whatever the phase. */
void task_keep(seq_task *t, void *p, size_t bytes);
/* Memory whose content this party knows and may address by, such as an order that it drew. Only
 * scripts/ctime.sh minds, for which everything that follows from a key is secret. */
void task_known(const void *p, size_t bytes);
/* For the first step of a task that is alone: the round clock advances by as many rounds at once,
 * which are counted for its instruction. */
void task_alone(seq_task *t, unsigned rounds);
/* Whether the run may be resumed if it ends now. A protocol says no before it sends what would help
 * a cheater in another start from the same checkpoints, and yes when it knows that it does not; a
 * process that is killed leaves what was said last. 0, or -1 (an error is set). */
int task_resumable(seq_task *t, int yes);
/* Fail with a message; returns TASK_ERROR. */
int task_fail(seq_task *t, seq_status status, int party, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for a `start` handler, outside of any task. SEQ_ERR_AUTHOR messages get the source line
 * of the instruction in front. */
seq_status vm_fail(seq_vm *vm, const seq_call *call, seq_status status, int party, const char *fmt,
                   ...) __attribute__((format(printf, 5, 6)));
/* Where the value of output `out` goes (the same array each time; elements must be those of the
 * output): for receivers only. NULL if memory ran out (an error is set). */
void *vm_output_buffer(seq_vm *vm, int64_t out, size_t elements);
/* The words of input `in`, which belongs to me; NULL if it is not mine. */
const void *vm_input_words(seq_vm *vm, int64_t in);
/* Words [begin, end) were read by this instruction: they are wiped if no other will read them. */
void vm_input_read(seq_vm *vm, int64_t in, size_t begin, size_t end);
/* For an `input` of which the program only reads rows: this component of the destination is the
 * stream `purpose` of key, element by element, or zero (key NULL), and need not be written. Its
 * elements are made again whenever they are read. 0: it is read in other ways, write it. */
int vm_keep_seed(seq_vm *vm, const seq_call *call, unsigned component, const prg_key *key,
                 uint32_t purpose);
/* Make registers zero, without memory for whole pages until they are written again. */
void vm_zero(void *p, size_t bytes);
unsigned vm_input_party(seq_vm *vm, int64_t in);
/* Receivers of output `out`: a party index, or -1 for all. */
int vm_output_party(seq_vm *vm, int64_t out);

#ifdef SEQ_TEST
/* Test builds: words that this party is about to send and to keep as its own share. A cheater's are
 * changed here, in both places, so that it goes on with what it sent (tests/tamper.h). */
void vm_cheat(const seq_env *env, const char *kind, void *words, size_t bytes);
#else
#define vm_cheat(env, kind, words, bytes) ((void)(env))
#endif

#endif
