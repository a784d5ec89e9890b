/* What one instruction of rep3 costs without a network: the engine of the tests runs all three
 * parties in this thread, in lockstep.
 *
 *   local OP N SIZE REPS THREADS    OP: comparison (SIZE bits), truncation and product (by SIZE
 *                                   bits), and (SIZE planes), select
 *
 * Prints the nanoseconds of each repetition, of all parties together: of this thread's processor
 * time, and as they passed. */
#include "../../runtime_c/par.h"
#include "../../runtime_c/protocols/rep3.h"
#include "../../runtime_c/tests/engine.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const seq_protocol protocol_rep3;

static uint64_t words_made = 0x9E3779B97F4A7C15u;

static void *filled(size_t bytes) {
    uint64_t *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    for (size_t i = 0; p != NULL && i < bytes / 8; i++) {
        words_made ^= words_made << 13;
        words_made ^= words_made >> 7;
        p[i] = words_made ^= words_made << 17;
    }
    return p;
}

/* Operand i: party p holds components p and p + 1. A result has arrays of its own everywhere. */
static int operand(seq_reg reg[3][SEQ_MAX_OPERANDS], unsigned i, size_t bytes, int result) {
    void *component[3];
    for (unsigned c = 0; c < 3; c++)
        component[c] = filled(bytes);
    for (unsigned p = 0; p < 3; p++)
        for (unsigned c = 0; c < 2; c++) {
            reg[p][i].c[c] = result ? filled(bytes) : component[(p + c) % 3];
            if (reg[p][i].c[c] == NULL)
                return -1;
        }
    return 0;
}

/* The code of the instruction, its operands set; 0 if there is none or no memory. */
static uint16_t prepare(const char *op, size_t n, int64_t size, int64_t *arg,
                        seq_reg reg[3][SEQ_MAX_OPERANDS]) {
    const size_t words = n * 8, bits = bits_plane_words(n) * 8;
    if (strcmp(op, "comparison") == 0) {
        arg[SEQ_ARG_LTZ_n] = (int64_t)n;
        arg[SEQ_ARG_LTZ_bits] = size;
        const int bad =
            operand(reg, SEQ_ARG_LTZ_d, bits, 1) | operand(reg, SEQ_ARG_LTZ_a, words, 0);
        return bad ? 0 : SEQ_OP_LTZ;
    }
    if (strcmp(op, "truncation") == 0) {
        arg[SEQ_ARG_TRUNC_n] = (int64_t)n;
        arg[SEQ_ARG_TRUNC_m] = size;
        const int bad =
            operand(reg, SEQ_ARG_TRUNC_d, words, 1) | operand(reg, SEQ_ARG_TRUNC_a, words, 0);
        return bad ? 0 : SEQ_OP_TRUNC;
    }
    if (strcmp(op, "product") == 0) {
        arg[SEQ_ARG_MUL_n] = (int64_t)n;
        arg[SEQ_ARG_MUL_m] = size;
        const int bad = operand(reg, SEQ_ARG_MUL_d, words, 1) |
                        operand(reg, SEQ_ARG_MUL_a, words, 0) |
                        operand(reg, SEQ_ARG_MUL_b, words, 0);
        return bad ? 0 : SEQ_OP_MUL;
    }
    if (strcmp(op, "and") == 0) {
        const size_t planes = bits * (size_t)size;
        arg[SEQ_ARG_AND_p] = size;
        arg[SEQ_ARG_AND_n] = (int64_t)n;
        const int bad = operand(reg, SEQ_ARG_AND_d, planes, 1) |
                        operand(reg, SEQ_ARG_AND_a, planes, 0) |
                        operand(reg, SEQ_ARG_AND_b, planes, 0);
        return bad ? 0 : SEQ_OP_AND;
    }
    if (strcmp(op, "select") == 0) {
        arg[SEQ_ARG_SELECT_n] = (int64_t)n;
        const int bad = operand(reg, SEQ_ARG_SELECT_d, words, 1) |
                        operand(reg, SEQ_ARG_SELECT_b, bits, 0) |
                        operand(reg, SEQ_ARG_SELECT_a, words, 0);
        return bad ? 0 : SEQ_OP_SELECT;
    }
    return 0;
}

static long long now(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
    static engine e;
    int64_t arg[SEQ_MAX_OPERANDS] = {0};
    seq_reg reg[3][SEQ_MAX_OPERANDS];
    memset(reg, 0, sizeof reg);
    const size_t n = argc == 6 ? strtoull(argv[2], NULL, 10) : 0;
    /* Memory goes round, as it does in the runtime, instead of back to the system. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    const uint16_t op = n == 0 ? 0 : prepare(argv[1], n, strtoll(argv[3], NULL, 10), arg, reg);
    if (op == 0 || engine_init(&e, &protocol_rep3, 3, 64, ring_select(64), bits_select()) != 0) {
        (void)fprintf(stderr, "local OP N SIZE REPS THREADS\n");
        return 2;
    }
    seq_pool *pool = par_create((unsigned)strtoul(argv[5], NULL, 10));
    engine_threads(&e, pool);
    for (long reps = strtol(argv[4], NULL, 10); reps >= 0; reps--) { /* one to warm up */
        const long long cpu = now(CLOCK_THREAD_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
        if (engine_call(&e, op, arg, reg) != 0)
            return 1;
        (void)printf("%lld %lld\n", now(CLOCK_THREAD_CPUTIME_ID) - cpu,
                     now(CLOCK_MONOTONIC) - wall);
    }
    par_destroy(pool);
    engine_free(&e);
    return 0;
}
