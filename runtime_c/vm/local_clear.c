/* Handlers of clear instructions, output of clear values, and printing. Everything here is public,
 * so time may depend on it. */
#include "local.h"

#include <stdlib.h>
#include <string.h>

static seq_status cset(seq_vm *vm, const seq_instr *in) {
    size_t word = vm->program->word;
    memcpy(REG_C(CSET, d), (const uint8_t *)vm->program->pool + SIZE(CSET, pool) * word,
           SIZE(CSET, n) * word);
    return SEQ_OK;
}

static seq_status cfill(seq_vm *vm, const seq_instr *in) {
    vm->env.ring->fill(REG_C(CFILL, d), ARG(CFILL, imm), SIZE(CFILL, n));
    return SEQ_OK;
}

/* cadd, csub and cmul have their operands at the same positions. */
static void elementwise(seq_vm *vm, const seq_instr *in, vm_binary fn) {
    local_binary(vm, fn, REG_C(CADD, d), REG_C(CADD, a), REG_C(CADD, b), SIZE(CADD, n),
                 vm->program->word);
}

static seq_status cadd(seq_vm *vm, const seq_instr *in) {
    elementwise(vm, in, vm->env.ring->add);
    return SEQ_OK;
}

static seq_status csub(seq_vm *vm, const seq_instr *in) {
    elementwise(vm, in, vm->env.ring->sub);
    return SEQ_OK;
}

static seq_status cmul(seq_vm *vm, const seq_instr *in) {
    elementwise(vm, in, vm->env.ring->mul);
    return SEQ_OK;
}

/* Quotient rounded down and remainder with the divisor's sign; the one quotient that does not fit
 * wraps. */
static __int128 floor_divide(__int128 a, __int128 b, __int128 *remainder) {
    if (b == -1) {
        *remainder = 0;
        return (__int128)(-(unsigned __int128)a);
    }
    __int128 q = a / b, r = a % b;
    if (r != 0 && (r < 0) != (b < 0)) {
        q -= 1;
        r += b;
    }
    *remainder = r;
    return q;
}

static seq_status divide(seq_vm *vm, const seq_instr *in, int want_remainder) {
    void *d = REG_C(CDIV, d), *a = REG_C(CDIV, a), *b = REG_C(CDIV, b);
    for (size_t i = 0; i < SIZE(CDIV, n); i++) {
        __int128 divisor = local_word(vm, b, i), r;
        if (divisor == 0) {
            return vm_error(vm, vm->pc, SEQ_ERR_AUTHOR, -1, "division by zero (element %zu)", i);
        }
        __int128 q = floor_divide(local_word(vm, a, i), divisor, &r);
        local_set_word(vm, d, i, want_remainder ? r : q);
    }
    return SEQ_OK;
}

static seq_status cdiv(seq_vm *vm, const seq_instr *in) {
    return divide(vm, in, 0);
}

static seq_status cmod(seq_vm *vm, const seq_instr *in) {
    return divide(vm, in, 1);
}

static seq_status cshr(seq_vm *vm, const seq_instr *in) {
    vm->env.ring->shr_nearest(REG_C(CSHR, d), REG_C(CSHR, a), (unsigned)ARG(CSHR, m),
                              SIZE(CSHR, n));
    return SEQ_OK;
}

static seq_status cltz(seq_vm *vm, const seq_instr *in) {
    void *d = REG_C(CLTZ, d), *a = REG_C(CLTZ, a);
    for (size_t i = 0; i < SIZE(CLTZ, n); i++) {
        local_set_word(vm, d, i, local_word(vm, a, i) < 0);
    }
    return SEQ_OK;
}

static seq_status ceqz(seq_vm *vm, const seq_instr *in) {
    void *d = REG_C(CEQZ, d), *a = REG_C(CEQZ, a);
    for (size_t i = 0; i < SIZE(CEQZ, n); i++) {
        local_set_word(vm, d, i, local_word(vm, a, i) == 0);
    }
    return SEQ_OK;
}

static seq_status cmuli(seq_vm *vm, const seq_instr *in) {
    vm->env.ring->muli(REG_C(CMULI, d), REG_C(CMULI, a), ARG(CMULI, imm), SIZE(CMULI, n));
    return SEQ_OK;
}

static seq_status caddi(seq_vm *vm, const seq_instr *in) {
    vm->env.ring->addi(REG_C(CADDI, d), REG_C(CADDI, a), ARG(CADDI, imm), SIZE(CADDI, n));
    return SEQ_OK;
}

static seq_status ccopy(seq_vm *vm, const seq_instr *in) {
    ring_walk walk;
    program_walk(vm->program, in, SEQ_ARG_CCOPY_shape, SEQ_ARG_CCOPY_dstr, SEQ_ARG_CCOPY_sstr,
                 &walk);
    vm->env.ring->copy(REG_C(CCOPY, d), REG_C(CCOPY, a), &walk);
    return SEQ_OK;
}

static seq_status cacc(seq_vm *vm, const seq_instr *in) {
    ring_walk walk;
    program_walk(vm->program, in, SEQ_ARG_CACC_shape, SEQ_ARG_CACC_dstr, SEQ_ARG_CACC_sstr, &walk);
    vm->env.ring->acc(REG_C(CACC, d), REG_C(CACC, a), &walk);
    return SEQ_OK;
}

static seq_status cgather(seq_vm *vm, const seq_instr *in) {
    seq_status status =
        local_check_rows(vm, REG_C(CGATHER, idx), SIZE(CGATHER, rows), SIZE(CGATHER, src));
    if (status == SEQ_OK) {
        local_gather(vm, FILE_C, 0, in->arg);
    }
    return status;
}

static seq_status cmatmul(seq_vm *vm, const seq_instr *in) {
    ring_gemm g = {.m = SIZE(CMATMUL, M),
                   .k = SIZE(CMATMUL, K),
                   .n = SIZE(CMATMUL, N),
                   .ta = (int)ARG(CMATMUL, ta),
                   .tb = (int)ARG(CMATMUL, tb)};
    vm->env.ring->gemm(REG_C(CMATMUL, d), &(ring_term){REG_C(CMATMUL, a), REG_C(CMATMUL, b)}, 1, &g,
                       0, vm->env.pool);
    return SEQ_OK;
}

/* ---- public randomness: docs/bytecode.md ---- */

#define WORDS_AT_ONCE 256

/* The key of this use of a stream: derived from the stream and how often it was used before. */
static seq_status stream_key(seq_vm *vm, int64_t stream, prg_key *key) {
    size_t i = 0;
    while (i < vm->stream_count && vm->streams[i].stream != stream) {
        i++;
    }
    if (i == vm->stream_count) {
        vm_stream *more = realloc(vm->streams, (i + 1) * sizeof *more);
        if (more == NULL) {
            return vm_error(vm, vm->pc, SEQ_ERR_MEMORY, -1, "no memory for a random stream");
        }
        vm->streams = more;
        vm->streams[vm->stream_count++] = (vm_stream){.stream = stream};
    }
    if (vm->streams[i].count == UINT32_MAX) {
        return vm_error(vm, vm->pc, SEQ_ERR_AUTHOR, -1, "a random stream is used up");
    }
    prg_derive(key, &vm->public_key, (uint64_t)stream, vm->streams[i].count++);
    return SEQ_OK;
}

static uint64_t scale(uint64_t word, uint64_t n) {
    return (uint64_t)((unsigned __int128)word * n >> 64);
}

/* Fisher and Yates: for i = n-1 down to 1, entry i changes places with a uniform entry j <= i. */
static seq_status cperm(seq_vm *vm, const seq_instr *in) {
    prg_key key;
    seq_status status = stream_key(vm, ARG(CPERM, stream), &key);
    if (status != SEQ_OK) {
        return status;
    }
    void *d = REG_C(CPERM, d);
    size_t n = SIZE(CPERM, n);
    uint64_t words[WORDS_AT_ONCE];
    for (size_t i = 0; i < n; i++) {
        local_set_word(vm, d, i, (__int128)i);
    }
    for (size_t used = 0; used + 1 < n; used++) {
        if (used % WORDS_AT_ONCE == 0) {
            prg_words(&key, 0, used, words, WORDS_AT_ONCE);
        }
        size_t i = n - 1 - used, j = scale(words[used % WORDS_AT_ONCE], i + 1);
        __int128 entry = local_word(vm, d, i);
        local_set_word(vm, d, i, local_word(vm, d, j));
        local_set_word(vm, d, j, entry);
    }
    return SEQ_OK;
}

static seq_status cuniform(seq_vm *vm, const seq_instr *in) {
    prg_key key;
    seq_status status = stream_key(vm, ARG(CUNIFORM, stream), &key);
    if (status != SEQ_OK) {
        return status;
    }
    void *d = REG_C(CUNIFORM, d);
    uint64_t range = (uint64_t)ARG(CUNIFORM, hi) - (uint64_t)ARG(CUNIFORM, lo);
    uint64_t words[WORDS_AT_ONCE];
    for (size_t i = 0; i < SIZE(CUNIFORM, n); i++) {
        if (i % WORDS_AT_ONCE == 0) {
            prg_words(&key, 0, i, words, WORDS_AT_ONCE);
        }
        __int128 v = (__int128)ARG(CUNIFORM, lo) + scale(words[i % WORDS_AT_ONCE], range);
        local_set_word(vm, d, i, v);
    }
    return SEQ_OK;
}

/* ---- output and printing ---- */

static seq_status coutput(seq_vm *vm, const seq_instr *in) {
    int party = vm_output_party(vm, ARG(COUTPUT, out));
    if (party >= 0 && (unsigned)party != vm->env.me) {
        return SEQ_OK;
    }
    void *out = vm_output_buffer(vm, ARG(COUTPUT, out), SIZE(COUTPUT, n));
    if (out == NULL) {
        return vm->error.status;
    }
    memcpy(out, REG_C(COUTPUT, a), SIZE(COUTPUT, n) * vm->program->word);
    return SEQ_OK;
}

static seq_status ptext(seq_vm *vm, const seq_instr *in) {
    return print_text(vm, vm->program->string[ARG(PTEXT, str)]);
}

static seq_status pval(seq_vm *vm, const seq_instr *in) {
    return print_values(vm, REG_C(PVAL, a), SIZE(PVAL, n), (unsigned)ARG(PVAL, f),
                        vm->program->string[ARG(PVAL, fmt)]);
}

const local_row local_clear[] = {
    {SEQ_OP_CSET, cset},       {SEQ_OP_CFILL, cfill},
    {SEQ_OP_CADD, cadd},       {SEQ_OP_CSUB, csub},
    {SEQ_OP_CMUL, cmul},       {SEQ_OP_CDIV, cdiv},
    {SEQ_OP_CMOD, cmod},       {SEQ_OP_CSHR, cshr},
    {SEQ_OP_CLTZ, cltz},       {SEQ_OP_CEQZ, ceqz},
    {SEQ_OP_CMULI, cmuli},     {SEQ_OP_CADDI, caddi},
    {SEQ_OP_CCOPY, ccopy},     {SEQ_OP_CACC, cacc},
    {SEQ_OP_CGATHER, cgather}, {SEQ_OP_CMATMUL, cmatmul},
    {SEQ_OP_CPERM, cperm},     {SEQ_OP_CUNIFORM, cuniform},
    {SEQ_OP_COUTPUT, coutput}, {SEQ_OP_PTEXT, ptext},
    {SEQ_OP_PVAL, pval},       {0, NULL},
};

_Static_assert(SEQ_ARG_CADD_n == (int)SEQ_ARG_CSUB_n && SEQ_ARG_CADD_n == (int)SEQ_ARG_CMUL_n &&
                   SEQ_ARG_CDIV_n == (int)SEQ_ARG_CMOD_n,
               "handled alike");
