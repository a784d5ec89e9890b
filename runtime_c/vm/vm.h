#ifndef SEQ_VM_H
#define SEQ_VM_H
/* The inside of the virtual machine: one party's run of one program. Only files of this folder
 * include it; protocols see machine.h. One thread runs everything here; other threads only call
 * what sequester.h allows, under `lock`. */

#include <pthread.h>
#include <time.h>

#include "../protocols/protocol.h"
#include "machine.h"
#include "program.h"

/* Builds for scripts/ctime.sh: memcheck takes secrets for undefined memory and so reports every
 * branch and address that depends on one. Secret are inputs, keys and whatever arrives; a frame on
 * its way and what an opening has revealed are public. */
#ifdef SEQ_CTIME
#include <valgrind/memcheck.h>
#define VM_SECRET(p, n) ((void)VALGRIND_MAKE_MEM_UNDEFINED((p), (n)))
#define VM_PUBLIC(p, n) ((void)VALGRIND_MAKE_MEM_DEFINED((p), (n)))
#else
#define VM_SECRET(p, n) ((void)(p), (void)(n))
#define VM_PUBLIC(p, n) ((void)(p), (void)(n))
#endif

#define VM_PARTIES NET_MAX_PARTIES

/* The keys of seq_keys. */
typedef struct {
    uint8_t pair[VM_PARTIES][32], group[SEQ_GROUPS][32], common[32];
} vm_keys;

#include "checkpoint.h"
#include "material.h"

typedef struct vm_task vm_task;
typedef struct vm_line vm_line;

/* One start of an interactive instruction or sub-machine. */
typedef struct vm_call {
    seq_call call;
    uint64_t instr;  /* the static instruction it belongs to */
    uint64_t clock;  /* the round clock at its start */
    unsigned rounds; /* declared */
    unsigned tasks;  /* not yet done */
    int starting;    /* inside its start handler */
} vm_call;

typedef struct {
    int64_t stream;
    uint32_t count;
} vm_stream;

typedef struct {
    uint64_t pc, iteration, trips;
} vm_loop;

/* One component of the registers S[begin..end) is a stream, or zero, and is not stored. */
typedef struct {
    int64_t begin, end;
    unsigned component;
    int zero;
    uint32_t purpose;
    prg_key key;
} vm_seed;

#ifdef SEQ_TEST
/* Called with what vm_cheat gets, and with registers before each interactive instruction. */
typedef void (*vm_cheating)(void *arg, unsigned me, const char *kind, void *words, size_t bytes);
#endif

#define VM_SEEDS (SEQ_NEAR_COMPONENTS * PROGRAM_MAX_TABLES)
#define VM_CLASSES 200
typedef struct vm_block vm_block;

struct seq_vm {
    const seq_program *program;
    const seq_protocol *protocol;
    seq_env env;
    net *net;
    seq_error error;
    volatile int stop;

    /* registers */
    uint8_t *file[FILE_COUNT][SEQ_MAX_COMPONENTS];
    size_t file_bytes[FILE_COUNT]; /* of one component */

    /* memory.c */
    vm_block *free_blocks[VM_CLASSES];
    uint64_t file_total, pool_bytes, idle_bytes, peak; /* idle: in free_blocks */
    uint64_t absent; /* of file_total: what inputs have not filled yet, or never will */
    uint64_t frames; /* peak of the channels' buffers */

    vm_seed seed[VM_SEEDS];
    size_t seeds;

    /* machine.c */
    vm_call **handle;
    vm_task *waiting, *waiting_last;
    vm_task *later, **later_at; /* not begun, and where the next one put off goes */
    uint64_t scratch;           /* bytes that begun tasks without calls hold */
    uint64_t instance, clock;
    double patience;               /* seconds for which all parties may wait at the same time */
    uint64_t awaiting, awaited_ns; /* since when a message is awaited, and time spent so before */

    /* interp.c */
    uint64_t pc;
    vm_loop loop[PROGRAM_MAX_DEPTH];
    unsigned depth;
    prg_key public_key;
    vm_stream *streams;
    size_t stream_count;

    vm_checkpoint checkpoint;
    vm_material material;
    uint64_t resumed_ns; /* of the run, before this start */

    /* inputs and outputs */
    void **input, **output;
    uint64_t *given; /* elements of each input so far */
    uint8_t *reads;  /* how often an input may be read: 0, 1, or 2 for more */

    /* results; under lock while running */
    pthread_mutex_t lock;
    seq_counter *counter;
    seq_progress progress;
    uint64_t sent[VM_PARTIES], received[VM_PARTIES];
    uint64_t began, ended; /* phase 2, nanoseconds */
    uint64_t setup_ns;

    /* print.c; the queue under lock */
    vm_text line; /* being printed */
    vm_line *lines, *lines_last;

#ifdef SEQ_TEST
    uint8_t fixed_seed[16]; /* in place of the system's randomness if fixed */
    int fixed;
    uint64_t trace; /* sum of hashes of all frames sent: independent of their order */
    net_tamper tamper;
    vm_cheating cheat;
    void *tamper_arg; /* of both */
#endif
};

/* ---- memory.c ---- */
seq_status memory_create(seq_vm *vm);
void memory_wipe_registers(seq_vm *vm); /* and unmap them */
void memory_destroy(seq_vm *vm);        /* wipes and frees all blocks given back */
/* 64-byte aligned, not zeroed; NULL with vm->error set. */
void *memory_take(seq_vm *vm, size_t bytes);
void memory_drop(seq_vm *vm, void *p, size_t bytes);  /* part of a block: wiped, never used again */
void memory_give(seq_vm *vm, void *p);                /* for reuse; NULL is ignored */
int memory_is_mine(const seq_vm *vm, uint64_t party); /* what belongs to that party is mine */
/* An input is over for the first time: what of it is stored counts from now on. */
void memory_filled(seq_vm *vm, const seq_instr *input);
/* Foreseen peak: registers, inputs and outputs, scratch and messages of what runs side by side. */
uint64_t memory_foreseen(const seq_vm *vm);
/* Elements (words of file b) from `address` on, stored or made again; all of them or none lie where
 * an input left a seed. */
void memory_read(const seq_vm *vm, unsigned file, unsigned component, int64_t address, size_t n,
                 void *out);

/* ---- machine.c ---- */
/* Start the interactive instruction at vm->pc under its handle; errors are in vm->error. */
void machine_start(seq_vm *vm, const seq_instr *in);
/* Let a verified protocol check all that happened so far. Errors are in vm->error. */
void machine_verify(seq_vm *vm);
/* Serve ready tasks until handle h is done. */
void machine_join(seq_vm *vm, uint64_t h);
void machine_destroy(seq_vm *vm);

/* ---- interp.c ---- */
seq_status interp_run(seq_vm *vm);
/* An error at the instruction instr: sets vm->error, with the source line in the message. */
seq_status vm_error(seq_vm *vm, uint64_t instr, seq_status status, int party, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
uint64_t vm_nanoseconds(void);

/* Words that this party keeps of each element of a file (file b: of 64 bits). */
static inline unsigned vm_components(const seq_vm *vm, unsigned file) {
    return file == FILE_C   ? 1
           : file == FILE_B ? vm->protocol->bit_components
                            : vm->protocol->components;
}

static inline void *vm_register(const seq_vm *vm, unsigned file, unsigned component,
                                int64_t address) {
    size_t word = file == FILE_B ? 8 : vm->program->word;
    return vm->file[file][component] + (size_t)address * word;
}

/* ---- local.c ---- */
typedef seq_status (*vm_local)(seq_vm *vm, const seq_instr *in);
vm_local local_handler(uint32_t op); /* NULL if there is none */
/* d = fn(a, b), element by element, over the pool. */
typedef void (*vm_binary)(void *d, const void *a, const void *b, size_t n);
void local_binary(seq_vm *vm, vm_binary fn, void *d, const void *a, const void *b, size_t n,
                  size_t word);
void local_muli(seq_vm *vm, void *d, const void *a, int64_t imm, size_t n);
/* ring->copy or ring->acc, over the pool where no two indices have the same destination. */
typedef void (*local_walk_fn)(void *d, const void *a, const ring_walk *walk);
void local_walk(seq_vm *vm, local_walk_fn fn, void *d, const void *a, const ring_walk *walk);
seq_status local_check_rows(seq_vm *vm, const void *idx, size_t rows, uint64_t limit);
/* cgather or sgather on one component; arg: its operands, indices checked. */
void local_gather(seq_vm *vm, unsigned file, unsigned component, const int64_t *arg);
__int128 local_word(const seq_vm *vm, const void *words, size_t i); /* signed */
void local_set_word(const seq_vm *vm, void *words, size_t i, __int128 v);

/* ---- print.c ---- */
seq_status print_text(seq_vm *vm, const char *text);
seq_status print_values(seq_vm *vm, const void *words, size_t n, unsigned f, const char *fmt);
void print_end(seq_vm *vm); /* finish a line that was begun */
/* Resumed: what was printed before the checkpoint is there to take again. */
seq_status print_again(seq_vm *vm);
int print_take(seq_vm *vm, char *buf, size_t capacity);
void print_destroy(seq_vm *vm);

/* ---- ahead.c ---- */
/* Whether nothing that is made before a run depends on an opened value; SEQ_ERR_CONFIG names the
 * line of the first instruction that makes it so. */
seq_status ahead_check(const seq_program *p, seq_error *err);

/* ---- handshake.c ---- */
typedef struct {
    const char *options;
    const uint8_t *run_id, *public_seed;
    uint64_t every; /* checkpoints */
    int resume;
    double timeout_s;
} handshake_terms;
/* An exchange under instance 0, outside of the program: mine and theirs are an array by party.
 * Steps 0-2 and 8-15 are this file's, 5 and 6 material.c's, the others checkpoint.c's. timeout_s 0:
 * as long as peers live. */
seq_status exchange_send(seq_vm *vm, uint32_t step, const void *mine, size_t bytes);
seq_status exchange_take(seq_vm *vm, uint32_t step, void *theirs, size_t bytes, double timeout_s);
/* Agree with all peers on everything. */
seq_status handshake(seq_vm *vm, const handshake_terms *terms, vm_keys *keys);
/* The protocol's own exchanges, after its setup. */
seq_status handshake_meet(seq_vm *vm, double timeout_s);

#ifdef SEQ_TEST
/* ---- api.c: test builds ---- */
/* Take all randomness of this party from a seed of 16 bytes (NULL: from the system, as always). */
void seq_run_fix(seq_run *run, const uint8_t *seed);
/* Pass all frames that this party sends through fn, and what it keeps of them through cheat. */
void seq_run_tamper(seq_run *run, net_tamper fn, vm_cheating cheat, void *arg);
/* The same number whatever the order of the frames: threads, kernels and timing may not change it.
 */
uint64_t seq_run_trace(const seq_run *run);
/* Whose step this thread runs, or NULL. */
extern _Thread_local const seq_task *machine_task;
#endif

#endif
