/* Register files and scratch. Everything that may hold a secret is wiped when the run ends. */
#define _GNU_SOURCE
#include "vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Scratch blocks come in four sizes per power of two and are kept for the next task that needs one:
 * a fresh block costs page faults, which would dominate many machines. So many bytes are kept idle:
 * what shuffles a data set would be most of a training's memory, for one use in an epoch. */
#ifndef MEMORY_IDLE
#define MEMORY_IDLE ((size_t)1 << 29)
#endif

struct vm_block {
    vm_block *next;
    unsigned class; /* capacity is class_bytes(class) */
    uint8_t pad[64 - sizeof(vm_block *) - sizeof(unsigned)];
};
_Static_assert(sizeof(vm_block) == 64, "blocks keep their data aligned");

static size_t class_bytes(unsigned class) {
    return (size_t)(4 + class % 4) << (class / 4 + 6);
}

static unsigned class_of(size_t bytes) {
    unsigned class = 0;
    while (class_bytes(class) < bytes) {
        class++;
    }
    return class;
}

int memory_is_mine(const seq_vm *vm, uint64_t party) {
    return vm->env.parties == 1 || party == vm->env.me;
}

static void account(seq_vm *vm) {
    uint64_t now = vm->file_total - vm->absent + vm->pool_bytes;
    vm->peak = now > vm->peak ? now : vm->peak;
}

void *memory_take(seq_vm *vm, size_t bytes) {
    if (bytes > (size_t)1 << 46) {
        (void)vm_error(vm, vm->pc, SEQ_ERR_MEMORY, -1, "%zu bytes of memory asked for", bytes);
        return NULL;
    }
    unsigned class = class_of(bytes);
    for (unsigned i = class; i < class + 4; i++) {
        vm_block *b = vm->free_blocks[i];
        if (b != NULL) {
            vm->free_blocks[i] = b->next;
            vm->idle_bytes -= sizeof *b + class_bytes(i);
            return b + 1;
        }
    }
    vm_block *b = aligned_alloc(64, sizeof *b + class_bytes(class));
    if (b == NULL) {
        (void)vm_error(vm, vm->pc, SEQ_ERR_MEMORY, -1, "no memory for %zu bytes", bytes);
        return NULL;
    }
    b->class = class;
    vm->pool_bytes += sizeof *b + class_bytes(class);
    account(vm);
    return b + 1;
}

/* Whether anything is not zero, in a time that tells no more. Registers hold shares, of which no
 * secret makes a whole page zero: the answer says where a program has written. */
static int written(const uint8_t *m, size_t n) {
    uint64_t any = 0, word;
    for (; n >= sizeof word; n -= sizeof word, m += sizeof word) {
        memcpy(&word, m, sizeof word);
        any |= word;
    }
    while (n > 0) {
        any |= m[--n];
    }
    VM_PUBLIC(&any, sizeof any);
    return any != 0;
}

/* Overwrite what is not zero. Pages that were never written are only read, which takes no memory:
 * they are one page of the kernel's. (Asking which pages are resident would name these too, and
 * miss swapped ones.) */
static void wipe_written(uint8_t *m, size_t bytes) {
    enum { PIECE = 4096 };
    for (size_t at = 0; at < bytes; at += PIECE) {
        size_t n = bytes - at < PIECE ? bytes - at : PIECE;
        if (written(m + at, n)) {
            prg_wipe(m + at, n);
        }
    }
}

/* Return the whole pages of [p, p + bytes): they read as zero from then on. 0 if the kernel cannot.
 */
static int drop_pages(uint8_t *p, size_t bytes) {
#ifdef MADV_DONTNEED_LOCKED
    const int advice = MADV_DONTNEED_LOCKED;
#else
    const int advice = MADV_DONTNEED;
#endif
    return madvise(p, bytes, advice) == 0;
}

/* Split [p, p + bytes) into what is before its first and after its last whole page. */
static size_t whole_pages(const uint8_t *p, size_t bytes, size_t *head) {
    *head = -(uintptr_t)p % 4096;
    return bytes < *head ? 0 : (bytes - *head) / 4096 * 4096;
}

void vm_zero(void *p, size_t bytes) {
    uint8_t *at = p;
    size_t head, whole = whole_pages(at, bytes, &head);
    if (whole > 0) {
        wipe_written(at + head, whole);
    }
    if (whole == 0 || !drop_pages(at + head, whole)) {
        memset(at, 0, bytes);
        return;
    }
    memset(at, 0, head);
    memset(at + head + whole, 0, bytes - head - whole);
}

int vm_keep_seed(seq_vm *vm, const seq_call *call, unsigned component, const prg_key *key,
                 uint32_t purpose) {
    const seq_instr *in = &vm->program->instr[call->own->instr];
    if (!in->rows_only) {
        return 0;
    }
    int64_t begin = in->arg[SEQ_ARG_INPUT_d];
    vm_seed *s = vm->seed;
    while (s < vm->seed + vm->seeds && (s->begin != begin || s->component != component)) {
        s++;
    }
    vm->seeds += s == vm->seed + vm->seeds;
    *s = (vm_seed){.begin = begin,
                   .end = begin + in->arg[SEQ_ARG_INPUT_n],
                   .component = component,
                   .zero = key == NULL,
                   .purpose = purpose};
    if (key != NULL) {
        s->key = *key;
    }
    return 1;
}

void memory_read(const seq_vm *vm, unsigned file, unsigned component, int64_t address, size_t n,
                 void *out) {
    size_t word = file == FILE_B ? 8 : vm->program->word;
    for (const vm_seed *s = vm->seed; file == FILE_S && s < vm->seed + vm->seeds; s++) {
        if (s->component == component && s->begin <= address && address < s->end && s->zero) {
            memset(out, 0, n * word);
            return;
        }
        if (s->component == component && s->begin <= address && address < s->end) {
            uint64_t first = (uint64_t)(address - s->begin) * (word / 8);
            prg_words(&s->key, s->purpose, first, out, n * (word / 8));
            return;
        }
    }
    memcpy(out, vm_register(vm, file, component, address), n * word);
}

void memory_drop(seq_vm *vm, void *p, size_t bytes) {
    size_t head, whole = whole_pages(p, bytes, &head);
    prg_wipe(p, bytes);
    if (whole > 0 && drop_pages((uint8_t *)p + head, whole)) {
        vm->pool_bytes -= whole;
    }
}

static void release(vm_block *b) {
    uint8_t *at = (uint8_t *)(b + 1);
    const size_t bytes = class_bytes(b->class);
    size_t head, whole = whole_pages(at, bytes, &head);
    if (whole > 0) {
        prg_wipe(at, head);
        wipe_written(at + head, whole);
        at += head + whole;
    }
    prg_wipe(at, bytes - (size_t)(at - (uint8_t *)(b + 1)));
    free(b);
}

void memory_give(seq_vm *vm, void *p) {
    if (p == NULL) {
        return;
    }
    vm_block *b = (vm_block *)p - 1;
    const size_t bytes = sizeof *b + class_bytes(b->class);
    if (vm->idle_bytes + bytes > MEMORY_IDLE) {
        vm->pool_bytes -= bytes;
        release(b);
        return;
    }
    vm->idle_bytes += bytes;
    b->next = vm->free_blocks[b->class];
    vm->free_blocks[b->class] = b;
}

static seq_status too_large(seq_vm *vm, double need) {
    return seq_fail(&vm->error, SEQ_ERR_MEMORY, -1,
                    "the program's registers need %.1f GB; this machine does not have them",
                    need / 1e9);
}

/* Bytes of the elements of an input, in one component. */
static uint64_t input_bytes(const seq_vm *vm, const seq_instr *in) {
    return (uint64_t)in->arg[SEQ_ARG_INPUT_n] * vm->program->word;
}

/* The same in all components that I store. */
static uint64_t stored_bytes(const seq_vm *vm, const seq_instr *in) {
    unsigned owner = (unsigned)vm->program->input[in->arg[SEQ_ARG_INPUT_in]].party;
    return input_bytes(vm, in) * vm->protocol->input_stored(vm->env.me, owner);
}

void memory_filled(seq_vm *vm, const seq_instr *in) {
    vm->absent -= in->rows_only ? stored_bytes(vm, in) : 0;
    account(vm);
}

/* The most that machines in flight side by side need, with the messages they send. */
static uint64_t scratch_bytes(const seq_vm *vm, uint64_t *of) {
    const seq_program *p = vm->program;
    uint64_t now = 0, most = 0;
    for (uint64_t i = 0; i < p->instrs; i++) {
        const seq_instr *in = &p->instr[i];
        if (in->op->interactive) {
            seq_call call = {.op = (uint16_t)in->op->code};
            memcpy(call.arg, in->arg, in->op->operand_count * sizeof *in->arg);
            of[in->arg[0]] = vm->protocol->scratch(&vm->env, &call);
            now += of[in->arg[0]];
            most = now > most ? now : most;
        } else if (in->op->code == SEQ_OP_JOIN) {
            now -= of[in->arg[SEQ_ARG_JOIN_h]];
        }
    }
    return most;
}

/* What blocks and messages take in all: both are kept for reuse by sizes, and no two machines ask
 * for the same ones. Fitted to networks A to D and AlexNet (docs/vm.md). */
static uint64_t kept_bytes(uint64_t scratch) {
    return scratch + scratch / 2 + ((uint64_t)4 << 20);
}

uint64_t memory_foreseen(const seq_vm *vm) {
    const seq_program *p = vm->program;
    uint64_t before = vm->file_total, after = 0;
    for (uint64_t i = 0; i < p->instrs; i++) {
        const seq_instr *in = &p->instr[i];
        if (in->op->code == SEQ_OP_INPUT && in->rows_only) {
            before -= input_bytes(vm, in) * vm->protocol->components;
            after += stored_bytes(vm, in);
        }
    }
    after += before;
    for (uint64_t i = 0; i < p->inputs; i++) {
        uint64_t words = memory_is_mine(vm, p->input[i].party) ? p->input[i].elements * p->word : 0;
        before += words;
        after += vm->reads[i] == 1 ? 0 : words;
    }
    for (uint64_t i = 0; i < p->outputs; i++) {
        int mine =
            p->output[i].party == PROGRAM_ALL_PARTIES || memory_is_mine(vm, p->output[i].party);
        after += mine ? p->output[i].elements * p->word : 0;
    }
    uint64_t *of = calloc(p->handles + 1, sizeof *of);
    after += of == NULL ? 0 : kept_bytes(scratch_bytes(vm, of));
    free(of);
    return before > after ? before : after;
}

seq_status memory_create(seq_vm *vm) {
    const seq_program *p = vm->program;
    double need = 0, have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    for (unsigned file = 0; file < FILE_COUNT; file++) {
        unsigned components = vm_components(vm, file);
        need += (double)p->size[file] * (file == FILE_B ? 8.0 : (double)p->word) * components;
    }
    if (need > have) {
        return too_large(vm, need);
    }
    for (unsigned file = 0; file < FILE_COUNT; file++) {
        unsigned components = vm_components(vm, file);
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        size_t bytes = (size_t)p->size[file] * (file == FILE_B ? 8 : p->word) + 64;
        bytes = (bytes + page - 1) / page * page;
        const size_t all = bytes * components; /* components lie at equal distances */
        uint8_t *m = mmap(NULL, all, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (m == MAP_FAILED) {
            return too_large(vm, need);
        }
        (void)madvise(m, all, MADV_DONTDUMP);
        (void)madvise(m, all, MADV_HUGEPAGE);
        (void)mlock2(m, all, MLOCK_ONFAULT); /* never swapped out, where that is allowed */
        vm->file_bytes[file] = bytes;
        vm->file_total += all;
        for (unsigned c = 0; c < components; c++) {
            vm->file[file][c] = m + c * bytes;
        }
    }
    for (uint64_t i = 0; i < p->instrs; i++) {
        if (p->instr[i].op->code == SEQ_OP_INPUT && p->instr[i].rows_only) {
            vm->absent += input_bytes(vm, &p->instr[i]) * vm->protocol->components;
        }
    }
    account(vm);
    return SEQ_OK;
}

void memory_wipe_registers(seq_vm *vm) {
    prg_wipe(vm->seed, sizeof vm->seed);
    vm->seeds = 0;
    for (unsigned file = 0; file < FILE_COUNT; file++) {
        for (unsigned c = 0; c < SEQ_MAX_COMPONENTS; c++) {
            if (vm->file[file][c] != NULL) {
                wipe_written(vm->file[file][c], vm->file_bytes[file]);
                (void)munmap(vm->file[file][c], vm->file_bytes[file]);
                vm->file[file][c] = NULL;
            }
        }
    }
}

void memory_destroy(seq_vm *vm) {
    for (unsigned i = 0; i < VM_CLASSES; i++) {
        while (vm->free_blocks[i] != NULL) {
            vm_block *b = vm->free_blocks[i];
            vm->free_blocks[i] = b->next;
            release(b);
        }
    }
}
