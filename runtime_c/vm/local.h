#ifndef SEQ_LOCAL_H
#define SEQ_LOCAL_H
/* Handlers of the instructions that need no exchange, by register file. */
#include "vm.h"

typedef struct {
    uint32_t op;
    vm_local run;
} local_row;

extern const local_row local_clear[], local_share[], local_bit[]; /* each ends with run == NULL */

/* Shorthands inside a handler (vm, in): an operand, and a register operand of component 0. */
#define ARG(op, name) (in->arg[SEQ_ARG_##op##_##name])
#define SIZE(op, name) ((size_t)ARG(op, name))
#define REG_C(op, name) vm_register(vm, FILE_C, 0, ARG(op, name))
#define REG_S(op, name, i) vm_register(vm, FILE_S, (i), ARG(op, name))
#define REG_B(op, name, i) ((uint64_t *)vm_register(vm, FILE_B, (i), ARG(op, name)))

/* A register of all components, for the protocol's functions. */
static inline seq_reg local_reg(const seq_vm *vm, unsigned file, int64_t address) {
    seq_reg r = {0};
    r.apart = vm->file_bytes[file];
    for (unsigned i = 0; i < vm_components(vm, file) && i < SEQ_NEAR_COMPONENTS; i++) {
        r.c[i] = vm_register(vm, file, i, address);
    }
    return r;
}

static inline seq_reg local_advance(const seq_reg *r, size_t bytes) {
    seq_reg out = {.apart = r->apart};
    for (unsigned i = 0; i < SEQ_NEAR_COMPONENTS && r->c[i] != NULL; i++) {
        out.c[i] = (uint8_t *)r->c[i] + bytes;
    }
    return out;
}

#endif
