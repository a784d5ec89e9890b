/* Handlers of local instructions on bit shares. */
#include "local.h"

#include <string.h>

static size_t all_words(int64_t planes, int64_t n) {
    return (size_t)planes * bits_plane_words((size_t)n);
}

static seq_status bxor(seq_vm *vm, const seq_instr *in) {
    size_t words = all_words(ARG(BXOR, p), ARG(BXOR, n));
    for (unsigned i = 0; i < vm->protocol->bit_components; i++) {
        vm->env.bits->xor_(REG_B(BXOR, d, i), REG_B(BXOR, a, i), REG_B(BXOR, b, i), words);
    }
    return SEQ_OK;
}

/* d = a ^ bit, or bit if there is no a, over whole words. */
static void xor_bit(seq_vm *vm, seq_reg d, const seq_reg *a, int bit, size_t words) {
    enum { PIECE = 512 };
    uint64_t constant[PIECE];
    memset(constant, bit ? 0xFF : 0, sizeof constant);
    for (size_t at = 0; at < words; at += PIECE) {
        size_t count = words - at < PIECE ? words - at : PIECE;
        seq_reg to = local_advance(&d, at * 8);
        if (a == NULL) {
            vm->protocol->xor_public(&vm->env, &to, NULL, constant, count);
        } else {
            seq_reg from = local_advance(a, at * 8);
            vm->protocol->xor_public(&vm->env, &to, &from, constant, count);
        }
    }
}

static seq_status bnot(seq_vm *vm, const seq_instr *in) {
    seq_reg a = local_reg(vm, FILE_B, ARG(BNOT, a));
    xor_bit(vm, local_reg(vm, FILE_B, ARG(BNOT, d)), &a, 1, all_words(ARG(BNOT, p), ARG(BNOT, n)));
    return SEQ_OK;
}

static seq_status bfill(seq_vm *vm, const seq_instr *in) {
    xor_bit(vm, local_reg(vm, FILE_B, ARG(BFILL, d)), NULL, (int)ARG(BFILL, bit),
            all_words(ARG(BFILL, p), ARG(BFILL, n)));
    return SEQ_OK;
}

/* Planes 0..p-1 of clear words; to be given back with memory_give. */
static uint64_t *clear_planes(seq_vm *vm, const void *x, size_t n, unsigned p) {
    size_t stride = bits_plane_words(n);
    uint64_t *planes = memory_take(vm, p * stride * 8 + 8);
    if (planes != NULL) {
        vm_slice(&vm->env, planes, stride, x, n, 0, p);
    }
    return planes;
}

static seq_status bset(seq_vm *vm, const seq_instr *in) {
    seq_reg d = local_reg(vm, FILE_B, ARG(BSET, d));
    uint64_t *planes = clear_planes(vm, REG_C(BSET, a), SIZE(BSET, n), (unsigned)ARG(BSET, p));
    if (planes == NULL) {
        return vm->error.status;
    }
    vm->protocol->xor_public(&vm->env, &d, NULL, planes, all_words(ARG(BSET, p), ARG(BSET, n)));
    memory_give(vm, planes);
    return SEQ_OK;
}

static seq_status bandc(seq_vm *vm, const seq_instr *in) {
    uint64_t *planes = clear_planes(vm, REG_C(BANDC, b), SIZE(BANDC, n), (unsigned)ARG(BANDC, p));
    if (planes == NULL) {
        return vm->error.status;
    }
    for (unsigned i = 0; i < vm->protocol->bit_components; i++) {
        vm->env.bits->and_(REG_B(BANDC, d, i), REG_B(BANDC, a, i), planes,
                           all_words(ARG(BANDC, p), ARG(BANDC, n)));
    }
    memory_give(vm, planes);
    return SEQ_OK;
}

static seq_status bcopy_(seq_vm *vm, const seq_instr *in) {
    ring_walk w;
    program_walk(vm->program, in, SEQ_ARG_BCOPY_shape, SEQ_ARG_BCOPY_dstr, SEQ_ARG_BCOPY_sstr, &w);
    size_t dn = SIZE(BCOPY, dn), an = SIZE(BCOPY, an);
    for (unsigned i = 0; i < vm->protocol->bit_components; i++) {
        for (size_t p = 0; p < SIZE(BCOPY, p); p++) {
            bits_copy(REG_B(BCOPY, d, i) + p * bits_plane_words(dn), dn, SIZE(BCOPY, doff),
                      REG_B(BCOPY, a, i) + p * bits_plane_words(an), an, SIZE(BCOPY, aoff), w.rank,
                      w.shape, w.dstr, w.sstr);
        }
    }
    return SEQ_OK;
}

static seq_status bmove(seq_vm *vm, const seq_instr *in) {
    for (unsigned i = 0; i < vm->protocol->bit_components; i++) {
        memmove(REG_B(BMOVE, d, i), REG_B(BMOVE, a, i),
                all_words(ARG(BMOVE, p), ARG(BMOVE, n)) * 8);
    }
    return SEQ_OK;
}

const local_row local_bit[] = {
    {SEQ_OP_BXOR, bxor},    {SEQ_OP_BNOT, bnot},   {SEQ_OP_BFILL, bfill}, {SEQ_OP_BSET, bset},
    {SEQ_OP_BCOPY, bcopy_}, {SEQ_OP_BMOVE, bmove}, {SEQ_OP_BANDC, bandc}, {0, NULL},
};
