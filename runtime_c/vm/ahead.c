/* Whether what a program makes before it runs is known then.
 *
 * Who prepares follows the program without any opened value. That is possible unless one decides
 * which instructions run, which rows are taken, in which order rows are shuffled, or what shares
 * are multiplied by. Opened values may be added to shares, computed with, printed and output.
 *
 * A byte for each clear register says whether it depends on an opened value. The program is gone
 * through in order; where several ways meet, bytes are joined, and kept: as long as a loop finds
 * more of them set where it begins again, all is gone through once more. */
#include "vm.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const seq_program *p;
    size_t size;
    uint8_t *now;   /* by clear register; */
    uint8_t **meet; /* by instruction: the same where other ways lead to it, or NULL */
    int reached;    /* from the instruction before */
    int again;      /* a way back has led to more than was known there */
    int memory;     /* ran out */
} walk;

/* From here the program may go on at instruction `to`. */
static void lead(walk *w, uint64_t from, uint64_t to) {
    if (w->meet[to] == NULL && (w->meet[to] = calloc(w->size, 1)) == NULL) {
        w->memory = 1;
        return;
    }
    uint8_t *there = w->meet[to], more = 0;
    for (size_t i = 0; i < w->size; i++) {
        more |= w->now[i] & ~there[i];
        there[i] |= w->now[i];
    }
    w->again |= more && to <= from;
}

/* Whether (size, stride) of dimensions touch all addresses between the first and the last. */
static int dense(const int64_t *shape, const int64_t *strides) {
    int64_t covered = 1;
    unsigned left = 0;
    for (int64_t i = 1; i <= shape[0]; i++) {
        left |= (unsigned)(shape[i] > 1) << i;
    }
    while (left != 0) {
        int64_t i = 1;
        while (i <= shape[0] && !((left >> i & 1) && llabs(strides[i]) == covered)) {
            i++;
        }
        if (i > shape[0]) {
            return 0;
        }
        covered *= shape[i];
        left &= ~(1u << i);
    }
    return 1;
}

/* The clear registers that operand i covers, [*begin, *end); whether it covers all of them. */
static int covers(const walk *w, const seq_instr *in, unsigned i, size_t *begin, size_t *end) {
    const isa_operand *o = &in->op->operands[i];
    int64_t low = in->arg[i], high = low + 1;
    if (o->extent == ISA_EXTENT_PRODUCT) {
        int64_t n = 1;
        for (unsigned j = 0; j < o->count; j++) {
            n *= in->arg[o->by[j]];
        }
        *begin = (size_t)low;
        *end = (size_t)(low + n);
        return 1;
    }
    const int64_t *shape = w->p->words + in->arg[o->by[0]];
    const int64_t *strides = w->p->words + in->arg[o->by[1]];
    for (int64_t j = 1; j <= shape[0]; j++) {
        if (shape[j] == 0) {
            *begin = *end = 0;
            return 1;
        }
        const int64_t reach = (shape[j] - 1) * strides[j];
        *(reach < 0 ? &low : &high) += reach;
    }
    *begin = (size_t)low;
    *end = (size_t)high;
    return dense(shape, strides);
}

/* Whether it may not depend on an opened value what is read as operand i. */
static int decides(const seq_instr *in, unsigned i) {
    switch (in->op->code) {
    case SEQ_OP_CDIV: /* what cannot be divided by or chosen ends a run */
        return i == SEQ_ARG_CDIV_b;
    case SEQ_OP_CMOD:
        return i == SEQ_ARG_CMOD_b;
    case SEQ_OP_CGATHER:
        return i == SEQ_ARG_CGATHER_idx;
    case SEQ_OP_SADDC: /* what shares are masked by stays */
    case SEQ_OP_SSET:
    case SEQ_OP_BSET:
    case SEQ_OP_COUTPUT:
    case SEQ_OP_PVAL:
        return 0;
    default:
        return in->op->code < SEQ_OP_CSET || in->op->code >= SEQ_OP_SADD;
    }
}

/* The effect of an instruction on registers; 0 if it reads what it may not. */
static int step(walk *w, const seq_instr *in) {
    uint8_t opened = in->op->code == SEQ_OP_OPEN || in->op->code == SEQ_OP_OPENB;
    size_t begin, end;
    for (unsigned i = 0; i < in->op->operand_count; i++) {
        const isa_operand *o = &in->op->operands[i];
        if (o->kind == ISA_C && o->reads) {
            (void)covers(w, in, i, &begin, &end);
            const int hit = end > begin && memchr(w->now + begin, 1, end - begin) != NULL;
            if (hit && decides(in, i)) {
                return 0;
            }
            opened |= (uint8_t)hit;
        }
    }
    for (unsigned i = 0; i < in->op->operand_count; i++) {
        const isa_operand *o = &in->op->operands[i];
        if (o->kind == ISA_C && o->writes) {
            const int whole = covers(w, in, i, &begin, &end) && !o->reads;
            if (whole || opened) {
                memset(w->now + begin, opened, end - begin);
            }
        }
    }
    return 1;
}

/* Where the program may go on from instruction i but to the next one. */
static void branch(walk *w, uint64_t i) {
    const seq_instr *in = &w->p->instr[i];
    switch (in->op->code) {
    case SEQ_OP_LOOP:
        if (in->arg[SEQ_ARG_LOOP_trips] == 0) {
            lead(w, i, in->target + 1);
        }
        break;
    case SEQ_OP_ENDLOOP:
    case SEQ_OP_BREAKZ:
    case SEQ_OP_IF:
        lead(w, i, in->target + 1);
        break;
    case SEQ_OP_ELSE:
        lead(w, i, in->target + 1);
        w->reached = 0;
        break;
    default:
        break;
    }
}

/* Go through the program once: the first instruction that reads what it may not, or their number.
 */
static uint64_t pass(walk *w) {
    memset(w->now, 0, w->size);
    w->reached = 1;
    for (uint64_t i = 0; i < w->p->instrs && !w->memory; i++) {
        const uint8_t *there = w->meet[i];
        if (!w->reached && there != NULL) {
            memcpy(w->now, there, w->size);
            w->reached = 1;
        } else if (there != NULL) {
            for (size_t r = 0; r < w->size; r++) {
                w->now[r] |= there[r];
            }
        }
        if (w->reached && !step(w, &w->p->instr[i])) {
            return i;
        }
        if (w->reached) {
            branch(w, i);
        }
    }
    return w->p->instrs;
}

seq_status ahead_check(const seq_program *p, seq_error *err) {
    walk w = {.p = p, .size = p->size[FILE_C] + 1};
    w.now = malloc(w.size);
    w.meet = calloc(p->instrs + 1, sizeof *w.meet);
    w.memory = w.now == NULL || w.meet == NULL;
    uint64_t found = p->instrs;
    do {
        w.again = 0;
        found = w.memory ? found : pass(&w);
    } while (w.again && !w.memory && found == p->instrs);
    for (uint64_t i = 0; w.meet != NULL && i < p->instrs; i++) {
        free(w.meet[i]);
    }
    free(w.meet);
    free(w.now);
    if (w.memory) {
        return seq_fail(err, SEQ_ERR_MEMORY, -1, "no memory to look through the program");
    }
    return found == p->instrs
               ? SEQ_OK
               : seq_fail(err, SEQ_ERR_CONFIG, -1,
                          "%.200s:%u: what is made before a run depends on an opened value here "
                          "(%s); run it without --preprocessing",
                          p->line[found].file, p->line[found].line, p->instr[found].op->name);
}
