/* What the local handlers have in common, and their table. */
#include "local.h"
#include "../ring/field.h"

#include <string.h>

#define PARALLEL_FROM 32768 /* elements below which waking workers costs more than it gains */
#define PARALLEL_GRAIN 8192

typedef struct {
    vm_binary fn;
    uint8_t *d;
    const uint8_t *a, *b;
    size_t word;
} binary_job;

static void binary_range(void *arg, size_t begin, size_t end) {
    const binary_job *j = arg;
    size_t at = begin * j->word;
    j->fn(j->d + at, j->a + at, j->b + at, end - begin);
}

void local_binary(seq_vm *vm, vm_binary fn, void *d, const void *a, const void *b, size_t n,
                  size_t word) {
    binary_job j = {.fn = fn, .d = d, .a = a, .b = b, .word = word};
    if (n < PARALLEL_FROM) {
        binary_range(&j, 0, n);
    } else {
        par_for(vm->env.pool, n, PARALLEL_GRAIN, binary_range, &j);
    }
}

__int128 local_word(const seq_vm *vm, const void *words, size_t i) {
    if (vm->program->field) {
        return field_to_signed(((const field *)words)[i]);
    }
    return vm->program->word == 8 ? ((const int64_t *)words)[i] : ((const __int128 *)words)[i];
}

void local_set_word(const seq_vm *vm, void *words, size_t i, __int128 v) {
    if (vm->program->field) {
        ((field *)words)[i] = field_from_signed(v);
    } else if (vm->program->word == 8) {
        ((int64_t *)words)[i] = (int64_t)v;
    } else {
        ((__int128 *)words)[i] = v;
    }
}

seq_status local_check_rows(seq_vm *vm, const void *idx, size_t rows, uint64_t limit) {
    for (size_t i = 0; i < rows; i++) {
        __int128 v = local_word(vm, idx, i);
        if (v < 0 || v >= (__int128)limit) {
            int small = v > -((__int128)1 << 62) && v < ((__int128)1 << 62);
            return vm_error(vm, vm->pc, SEQ_ERR_AUTHOR, -1,
                            "index %s%lld (entry %zu) is out of range for %llu rows",
                            small ? "" : "beyond ", small ? (long long)v : 1LL << 62, i,
                            (unsigned long long)limit);
        }
    }
    return SEQ_OK;
}

typedef struct {
    const seq_vm *vm;
    unsigned file, component;
    int64_t from;
    size_t length;
    uint8_t *d;
    const void *idx;
} gather_job;

static void gather_range(void *arg, size_t begin, size_t end) {
    const gather_job *j = arg;
    for (size_t i = begin; i < end; i++) {
        int64_t row = (int64_t)local_word(j->vm, j->idx, i);
        memory_read(j->vm, j->file, j->component, j->from + row * (int64_t)j->length, j->length,
                    j->d + i * j->length * j->vm->program->word);
    }
}

void local_gather(seq_vm *vm, unsigned file, unsigned component, const int64_t *arg) {
    size_t rows = (size_t)arg[SEQ_ARG_SGATHER_rows];
    gather_job j = {.vm = vm,
                    .file = file,
                    .component = component,
                    .from = arg[SEQ_ARG_SGATHER_a],
                    .length = (size_t)arg[SEQ_ARG_SGATHER_len],
                    .d = vm_register(vm, file, component, arg[SEQ_ARG_SGATHER_d]),
                    .idx = vm_register(vm, FILE_C, 0, arg[SEQ_ARG_SGATHER_idx])};
    if (rows * j.length < PARALLEL_FROM) {
        gather_range(&j, 0, rows);
    } else {
        par_for(vm->env.pool, rows, PARALLEL_GRAIN / j.length + 1, gather_range, &j);
    }
}

static vm_local find(const local_row *rows, uint32_t op) {
    while (rows->run != NULL && rows->op != op) {
        rows++;
    }
    return rows->run;
}

vm_local local_handler(uint32_t op) {
    const local_row *const tables[] = {local_clear, local_share, local_bit};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        vm_local run = find(tables[i], op);
        if (run != NULL) {
            return run;
        }
    }
    return NULL;
}
