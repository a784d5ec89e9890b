/* Handlers of local instructions on arithmetic shares: linear, so each component is treated alike,
 * but for adding what is public, which the protocol does. */
#include "local.h"

#include <string.h>

static unsigned components(const seq_vm *vm) {
    return vm->protocol->components;
}

/* sadd and ssub. */
static seq_status elementwise(seq_vm *vm, const seq_instr *in, vm_binary fn) {
    for (unsigned i = 0; i < components(vm); i++) {
        local_binary(vm, fn, REG_S(SADD, d, i), REG_S(SADD, a, i), REG_S(SADD, b, i), SIZE(SADD, n),
                     vm->program->word);
    }
    return SEQ_OK;
}

static seq_status sadd(seq_vm *vm, const seq_instr *in) {
    return elementwise(vm, in, vm->env.ring->add);
}

static seq_status ssub(seq_vm *vm, const seq_instr *in) {
    return elementwise(vm, in, vm->env.ring->sub);
}

static seq_status saddc(seq_vm *vm, const seq_instr *in) {
    seq_reg d = local_reg(vm, FILE_S, ARG(SADDC, d)), a = local_reg(vm, FILE_S, ARG(SADDC, a));
    vm->protocol->add_public(&vm->env, &d, &a, REG_C(SADDC, b), SIZE(SADDC, n));
    return SEQ_OK;
}

static seq_status sset(seq_vm *vm, const seq_instr *in) {
    seq_reg d = local_reg(vm, FILE_S, ARG(SSET, d));
    vm->protocol->add_public(&vm->env, &d, NULL, REG_C(SSET, a), SIZE(SSET, n));
    return SEQ_OK;
}

/* d = a + imm, or imm if there is no a, in pieces of a constant vector. */
static void add_immediate(seq_vm *vm, seq_reg d, const seq_reg *a, int64_t imm, size_t n) {
    enum { PIECE = 512 };
    _Alignas(64) __int128 constant[PIECE];
    vm->env.ring->fill(constant, imm, n < PIECE ? n : PIECE);
    for (size_t at = 0; at < n; at += PIECE) {
        size_t bytes = at * vm->program->word, count = n - at < PIECE ? n - at : PIECE;
        seq_reg to = local_advance(&d, bytes);
        if (a == NULL) {
            vm->protocol->add_public(&vm->env, &to, NULL, constant, count);
        } else {
            seq_reg from = local_advance(a, bytes);
            vm->protocol->add_public(&vm->env, &to, &from, constant, count);
        }
    }
}

static seq_status saddi(seq_vm *vm, const seq_instr *in) {
    seq_reg a = local_reg(vm, FILE_S, ARG(SADDI, a));
    add_immediate(vm, local_reg(vm, FILE_S, ARG(SADDI, d)), &a, ARG(SADDI, imm), SIZE(SADDI, n));
    return SEQ_OK;
}

static seq_status sfill(seq_vm *vm, const seq_instr *in) {
    add_immediate(vm, local_reg(vm, FILE_S, ARG(SFILL, d)), NULL, ARG(SFILL, imm), SIZE(SFILL, n));
    return SEQ_OK;
}

static seq_status smulc(seq_vm *vm, const seq_instr *in) {
    for (unsigned i = 0; i < components(vm); i++) {
        local_binary(vm, vm->env.ring->mul, REG_S(SMULC, d, i), REG_S(SMULC, a, i), REG_C(SMULC, b),
                     SIZE(SMULC, n), vm->program->word);
    }
    return SEQ_OK;
}

static seq_status smuli(seq_vm *vm, const seq_instr *in) {
    for (unsigned i = 0; i < components(vm); i++) {
        local_muli(vm, REG_S(SMULI, d, i), REG_S(SMULI, a, i), ARG(SMULI, imm), SIZE(SMULI, n));
    }
    return SEQ_OK;
}

static seq_status scopy(seq_vm *vm, const seq_instr *in) {
    ring_walk walk;
    program_walk(vm->program, in, SEQ_ARG_SCOPY_shape, SEQ_ARG_SCOPY_dstr, SEQ_ARG_SCOPY_sstr,
                 &walk);
    for (unsigned i = 0; i < components(vm); i++) {
        local_walk(vm, vm->env.ring->copy, REG_S(SCOPY, d, i), REG_S(SCOPY, a, i), &walk);
    }
    return SEQ_OK;
}

static seq_status sacc(seq_vm *vm, const seq_instr *in) {
    ring_walk walk;
    program_walk(vm->program, in, SEQ_ARG_SACC_shape, SEQ_ARG_SACC_dstr, SEQ_ARG_SACC_sstr, &walk);
    for (unsigned i = 0; i < components(vm); i++) {
        local_walk(vm, vm->env.ring->acc, REG_S(SACC, d, i), REG_S(SACC, a, i), &walk);
    }
    return SEQ_OK;
}

static seq_status sgather(seq_vm *vm, const seq_instr *in) {
    seq_status status =
        local_check_rows(vm, REG_C(SGATHER, idx), SIZE(SGATHER, rows), SIZE(SGATHER, src));
    for (unsigned i = 0; status == SEQ_OK && i < components(vm); i++) {
        local_gather(vm, FILE_S, i, in->arg);
    }
    return status;
}

static seq_status sscatter(seq_vm *vm, const seq_instr *in) {
    const void *idx = REG_C(SSCATTER, idx);
    size_t rows = SIZE(SSCATTER, rows), len = SIZE(SSCATTER, len);
    size_t row_bytes = len * vm->program->word;
    seq_status status = local_check_rows(vm, idx, rows, SIZE(SSCATTER, dst));
    for (unsigned i = 0; status == SEQ_OK && i < components(vm); i++) {
        uint8_t *d = REG_S(SSCATTER, d, i);
        const uint8_t *a = REG_S(SSCATTER, a, i);
        for (size_t row = 0; row < rows; row++) {
            uint8_t *to = d + (size_t)local_word(vm, idx, row) * row_bytes;
            vm->env.ring->add(to, to, a + row * row_bytes, len);
        }
    }
    return status;
}

/* smatmulc and scmatmul: one factor is shared, the other clear. */
static seq_status matmul(seq_vm *vm, const seq_instr *in, int a_shared) {
    ring_gemm g = {.m = SIZE(SMATMULC, M),
                   .k = SIZE(SMATMULC, K),
                   .n = SIZE(SMATMULC, N),
                   .ta = (int)ARG(SMATMULC, ta),
                   .tb = (int)ARG(SMATMULC, tb)};
    for (unsigned i = 0; i < components(vm); i++) {
        const void *a = a_shared ? REG_S(SMATMULC, a, i) : REG_C(SMATMULC, a);
        const void *b = a_shared ? REG_C(SMATMULC, b) : REG_S(SMATMULC, b, i);
        vm->env.ring->gemm(REG_S(SMATMULC, d, i), &(ring_term){a, b}, 1, &g, 0, vm->env.pool);
    }
    return SEQ_OK;
}

static seq_status smatmulc(seq_vm *vm, const seq_instr *in) {
    return matmul(vm, in, 1);
}

static seq_status scmatmul(seq_vm *vm, const seq_instr *in) {
    return matmul(vm, in, 0);
}

const local_row local_share[] = {
    {SEQ_OP_SADD, sadd},         {SEQ_OP_SSUB, ssub},         {SEQ_OP_SADDC, saddc},
    {SEQ_OP_SMULC, smulc},       {SEQ_OP_SMULI, smuli},       {SEQ_OP_SADDI, saddi},
    {SEQ_OP_SSET, sset},         {SEQ_OP_SFILL, sfill},       {SEQ_OP_SCOPY, scopy},
    {SEQ_OP_SACC, sacc},         {SEQ_OP_SGATHER, sgather},   {SEQ_OP_SSCATTER, sscatter},
    {SEQ_OP_SMATMULC, smatmulc}, {SEQ_OP_SCMATMUL, scmatmul}, {0, NULL},
};

_Static_assert(SEQ_ARG_SGATHER_d == (int)SEQ_ARG_CGATHER_d &&
                   SEQ_ARG_SGATHER_a == (int)SEQ_ARG_CGATHER_a &&
                   SEQ_ARG_SGATHER_idx == (int)SEQ_ARG_CGATHER_idx &&
                   SEQ_ARG_SGATHER_rows == (int)SEQ_ARG_CGATHER_rows &&
                   SEQ_ARG_SGATHER_len == (int)SEQ_ARG_CGATHER_len,
               "handled alike");
_Static_assert(SEQ_ARG_SADD_n == (int)SEQ_ARG_SSUB_n &&
                   SEQ_ARG_SMATMULC_tb == (int)SEQ_ARG_SCMATMUL_tb,
               "handled alike");
