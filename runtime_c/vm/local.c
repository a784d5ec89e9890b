/* What the local handlers have in common, and their table. */
#include "local.h"
#include "../ring/field.h"

#include <string.h>

#define PARALLEL_FROM 32768 /* elements below which waking workers costs more than it gains */
#define PARALLEL_GRAIN 8192

/* fn over [0, n), each of which stands for `each` elements: by all threads if that is worth it. */
static void ranges(seq_vm *vm, size_t n, size_t each, par_fn fn, void *job) {
    if (n * each < PARALLEL_FROM) {
        fn(job, 0, n);
    } else {
        par_for(vm->env.pool, n, PARALLEL_GRAIN / each + 1, fn, job);
    }
}

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
    ranges(vm, n, 1, binary_range, &j);
}

typedef struct {
    const ring_ops *ring;
    uint8_t *d;
    const uint8_t *a;
    int64_t imm;
} immediate_job;

static void immediate_range(void *arg, size_t begin, size_t end) {
    const immediate_job *j = arg;
    size_t at = begin * j->ring->word;
    j->ring->muli(j->d + at, j->a + at, j->imm, end - begin);
}

void local_muli(seq_vm *vm, void *d, const void *a, int64_t imm, size_t n) {
    immediate_job j = {.ring = vm->env.ring, .d = d, .a = a, .imm = imm};
    ranges(vm, n, 1, immediate_range, &j);
}

typedef struct {
    local_walk_fn fn;
    uint8_t *d;
    const uint8_t *a;
    const ring_walk *walk;
    unsigned axis;
    ptrdiff_t word;
} walk_job;

static void walk_range(void *arg, size_t begin, size_t end) {
    const walk_job *j = arg;
    ring_walk part = *j->walk;
    ptrdiff_t at = (ptrdiff_t)begin * j->word;
    part.shape[j->axis] = end - begin;
    j->fn(j->d + at * part.dstr[j->axis], j->a + at * part.sstr[j->axis], &part);
}

/* Whether all indices along axes that move in the destination lead to places of their own: from the
 * shortest stride up, each one is longer than all that the shorter ones reach. */
static int apart(const ring_walk *walk) {
    size_t reach = 0, below = 0;
    for (;;) {
        size_t stride = SIZE_MAX, steps = 0;
        for (unsigned i = 0; i < walk->rank; i++) {
            size_t s = (size_t)(walk->dstr[i] < 0 ? -walk->dstr[i] : walk->dstr[i]);
            if (walk->shape[i] > 1 && s > below && s < stride) {
                stride = s;
                steps = walk->shape[i] - 1;
            } else if (walk->shape[i] > 1 && s > below && s == stride) {
                return 0;
            }
        }
        if (stride == SIZE_MAX) {
            return 1;
        }
        if (stride <= reach) {
            return 0;
        }
        reach += stride * steps;
        below = stride;
    }
}

/* By ranges of the longest axis that moves in the destination. */
void local_walk(seq_vm *vm, local_walk_fn fn, void *d, const void *a, const ring_walk *walk) {
    walk_job j = {.fn = fn, .d = d, .a = a, .walk = walk, .word = (ptrdiff_t)vm->program->word};
    size_t elements = 1, length = 0;
    for (unsigned i = 0; i < walk->rank; i++) {
        elements *= walk->shape[i];
        if (walk->dstr[i] != 0 && walk->shape[i] > length) {
            j.axis = i;
            length = walk->shape[i];
        }
    }
    if (length < 2 || elements < PARALLEL_FROM || !apart(walk)) {
        fn(d, a, walk);
    } else {
        ranges(vm, length, elements / length, walk_range, &j);
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
    ranges(vm, rows, j.length, gather_range, &j);
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
