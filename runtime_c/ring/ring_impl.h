/* Body of every ring*_*.c and field_*.c: the elementwise functions, the walks and the table. Before
 * including it, define WORD, SWORD     the unsigned and signed word, BITS its width; TARGET the
 * function attribute of the instruction set; TABLE, NAME     the table to define and its name;
 *   PRODUCT(name)   what computes gemm, conv, conv_dx, conv_dw, if not gemm_impl.h alone;
 * and include gemm_impl.h. The plain loops below are vectorised by the compiler for TARGET. */

#include "walk.h"

/* Arithmetic of the words: the ring's, unless all of these are defined before. An arithmetic shift
 * is a logical one of the value moved by 2^(BITS - 1), which vectorises everywhere. */
#ifndef IMM
#define SIGN ((WORD)1 << (BITS - 1))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define IMM(imm) ((WORD)(SWORD)(imm))
#define SHR_NEAREST(a, m) ((((a) + (((WORD)1 << ((m) - 1)) + SIGN)) >> (m)) - (SIGN >> (m)))
#define SAR(a, m) ((((a) + SIGN) >> (m)) - (SIGN >> (m)))
#define TO_SIGNED(a) (a)
#define FROM_SIGNED(a) (a)
#endif

/* d may be a or b, but overlaps neither partially: no dependence from one element to another. */
#define EACH(expression)                                                                           \
    do {                                                                                           \
        _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++) d[i] = (expression);                   \
    } while (0)
#define OPERANDS                                                                                   \
    WORD *d = dv;                                                                                  \
    const WORD *a = av
#define RING static TARGET void

RING ring_add(void *dv, const void *av, const void *bv, size_t n) {
    OPERANDS, *b = bv;
    EACH(ADD(a[i], b[i]));
}

RING ring_sub(void *dv, const void *av, const void *bv, size_t n) {
    OPERANDS, *b = bv;
    EACH(SUB(a[i], b[i]));
}

RING ring_mul(void *dv, const void *av, const void *bv, size_t n) {
    OPERANDS, *b = bv;
    EACH(MUL(a[i], b[i]));
}

RING ring_muladd(void *dv, const void *av, const void *bv, size_t n) {
    OPERANDS, *b = bv;
    EACH(ADD(d[i], MUL(a[i], b[i])));
}

RING ring_muli(void *dv, const void *av, int64_t imm, size_t n) {
    OPERANDS;
    WORD w = IMM(imm);
    EACH(MUL(a[i], w));
}

RING ring_addi(void *dv, const void *av, int64_t imm, size_t n) {
    OPERANDS;
    WORD w = IMM(imm);
    EACH(ADD(a[i], w));
}

RING ring_fill(void *dv, int64_t imm, size_t n) {
    WORD *d = dv, w = IMM(imm);
    EACH(w);
}

RING ring_shr_nearest(void *dv, const void *av, unsigned m, size_t n) {
    OPERANDS;
    EACH(SHR_NEAREST(a[i], m));
}

RING ring_sar(void *dv, const void *av, unsigned m, size_t n) {
    OPERANDS;
    EACH(SAR(a[i], m));
}

RING ring_shr(void *dv, const void *av, unsigned m, size_t n) {
    OPERANDS;
    EACH(a[i] >> m);
}

RING ring_to_signed(void *dv, const void *av, size_t n) {
    OPERANDS;
    EACH(TO_SIGNED(a[i]));
}

RING ring_from_signed(void *dv, const void *av, size_t n) {
    OPERANDS;
    EACH(FROM_SIGNED(a[i]));
}

RING copy_line(WORD *d, ptrdiff_t dstr, const WORD *a, ptrdiff_t sstr, size_t n) {
    if (dstr == 1 && sstr == 1) {
        memcpy(d, a, n * sizeof *d);
    } else if (dstr == 1 && sstr == 0) {
        WORD w = *a;
        EACH(w);
    } else if (dstr == 1 && sstr == 2) {
        EACH(a[2 * i]);
    } else {
        for (size_t i = 0; i < n; i++, d += dstr, a += sstr)
            *d = *a;
    }
}

RING acc_line(WORD *d, ptrdiff_t dstr, const WORD *a, ptrdiff_t sstr, size_t n) {
    if (dstr == 1 && sstr == 1) {
        EACH(ADD(d[i], a[i]));
    } else if (dstr == 1 && sstr == 0) {
        WORD w = *a;
        EACH(ADD(d[i], w));
    } else if (dstr == 0 && sstr == 1) {
        WORD sum = 0;
        for (size_t i = 0; i < n; i++)
            sum = ADD(sum, a[i]);
        *d = ADD(*d, sum);
    } else {
        for (size_t i = 0; i < n; i++, d += dstr, a += sstr)
            *d = ADD(*d, *a);
    }
}

RING ring_copy(void *d, const void *a, const ring_walk *walk) {
    ring_walk w;
    size_t index[RING_MAX_RANK] = {0}, in;
    ptrdiff_t dat = 0, sat = 0;
    if (!walk_plan(&w, walk))
        return;
    in = w.rank - 1;
    do
        copy_line((WORD *)d + dat, w.dstr[in], (const WORD *)a + sat, w.sstr[in], w.shape[in]);
    while (walk_next(&w, index, &dat, &sat));
}

RING ring_acc(void *d, const void *a, const ring_walk *walk) {
    ring_walk w;
    size_t index[RING_MAX_RANK] = {0}, in;
    ptrdiff_t dat = 0, sat = 0;
    if (!walk_plan(&w, walk))
        return;
    in = w.rank - 1;
    do
        acc_line((WORD *)d + dat, w.dstr[in], (const WORD *)a + sat, w.sstr[in], w.shape[in]);
    while (walk_next(&w, index, &dat, &sat));
}

#ifndef PRODUCT
#define PRODUCT(name) blocked_##name
#endif

const ring_ops TABLE = {
    .name = NAME,
    .bits = BITS,
    .word = sizeof(WORD),
    .add = ring_add,
    .sub = ring_sub,
    .mul = ring_mul,
    .muladd = ring_muladd,
    .muli = ring_muli,
    .addi = ring_addi,
    .fill = ring_fill,
    .shr_nearest = ring_shr_nearest,
    .sar = ring_sar,
    .shr = ring_shr,
    .to_signed = ring_to_signed,
    .from_signed = ring_from_signed,
    .copy = ring_copy,
    .acc = ring_acc,
    .gemm = PRODUCT(gemm),
    .conv = PRODUCT(conv),
    .conv_dx = PRODUCT(conv_dx),
    .conv_dw = PRODUCT(conv_dw),
};
