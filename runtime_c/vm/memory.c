/* Register files and scratch. Everything that may hold a secret is wiped when the run ends. */
#define _GNU_SOURCE
#include "vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Scratch blocks come in four sizes per power of two and are kept for the next task that needs one:
 * a fresh block costs page faults, which would dominate many machines. */
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

static void account(seq_vm *vm) {
    uint64_t now = vm->file_total + vm->pool_bytes + vm->frame_bytes;
    vm->peak = now > vm->peak ? now : vm->peak;
}

void memory_frames(seq_vm *vm, int64_t bytes) {
    vm->frame_bytes += (uint64_t)bytes;
    account(vm);
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

/* Overwrite the pages that were ever touched: the others hold nothing, and would only be made. */
static void wipe_resident(uint8_t *m, size_t bytes) {
    enum { PIECE = 1 << 21 };
    unsigned char resident[PIECE / 4096] = {0};
    for (size_t at = 0; at < bytes; at += PIECE) {
        size_t n = bytes - at < PIECE ? bytes - at : PIECE;
        int known = mincore(m + at, n, resident) == 0;
        size_t pages = (n + 4095) / 4096;
        if (!known || memchr(resident, 1, pages) != NULL) {
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
        wipe_resident(at + head, whole);
    }
    if (whole == 0 || !drop_pages(at + head, whole)) {
        memset(at, 0, bytes);
        return;
    }
    memset(at, 0, head);
    memset(at + head + whole, 0, bytes - head - whole);
}

void memory_drop(seq_vm *vm, void *p, size_t bytes) {
    size_t head, whole = whole_pages(p, bytes, &head);
    prg_wipe(p, bytes);
    if (whole > 0 && drop_pages((uint8_t *)p + head, whole)) {
        vm->pool_bytes -= whole;
    }
}

void memory_give(seq_vm *vm, void *p) {
    if (p == NULL) {
        return;
    }
    vm_block *b = (vm_block *)p - 1;
    b->next = vm->free_blocks[b->class];
    vm->free_blocks[b->class] = b;
}

static seq_status too_large(seq_vm *vm, double need) {
    return seq_fail(&vm->error, SEQ_ERR_MEMORY, -1,
                    "the program's registers need %.1f GB; this machine does not have them",
                    need / 1e9);
}

seq_status memory_create(seq_vm *vm) {
    const seq_program *p = vm->program;
    double need = 0, have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    for (unsigned file = 0; file < FILE_COUNT; file++) {
        unsigned components = file == FILE_C ? 1 : vm->protocol->components;
        need += (double)p->size[file] * (file == FILE_B ? 8.0 : (double)p->word) * components;
    }
    if (need > have) {
        return too_large(vm, need);
    }
    for (unsigned file = 0; file < FILE_COUNT; file++) {
        unsigned components = file == FILE_C ? 1 : vm->protocol->components;
        size_t bytes = (size_t)p->size[file] * (file == FILE_B ? 8 : p->word) + 64;
        vm->file_bytes[file] = bytes;
        for (unsigned c = 0; c < components; c++) {
            void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (m == MAP_FAILED) {
                return too_large(vm, need);
            }
            (void)madvise(m, bytes, MADV_DONTDUMP);
            (void)madvise(m, bytes, MADV_HUGEPAGE);
            (void)mlock2(m, bytes, MLOCK_ONFAULT); /* never swapped out, where that is allowed */
            vm->file[file][c] = m;
            vm->file_total += bytes;
        }
    }
    account(vm);
    return SEQ_OK;
}

void memory_wipe_registers(seq_vm *vm) {
    for (unsigned file = 0; file < FILE_COUNT; file++) {
        for (unsigned c = 0; c < SEQ_MAX_COMPONENTS; c++) {
            if (vm->file[file][c] != NULL) {
                wipe_resident(vm->file[file][c], vm->file_bytes[file]);
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
            uint8_t *at = (uint8_t *)(b + 1);
            size_t head, whole = whole_pages(at, class_bytes(i), &head);
            if (whole > 0) {
                prg_wipe(at, head);
                wipe_resident(at + head, whole);
                at += head + whole;
            }
            prg_wipe(at, class_bytes(i) - (size_t)(at - (uint8_t *)(b + 1)));
            free(b);
        }
    }
}
