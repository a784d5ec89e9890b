/* Decodes and checks CODE against the instruction table, so that the interpreter need not. */
#include "program.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

#define MAX_RANGES 4 /* register operands of one instruction */
#define NO_BREAK UINT64_MAX

typedef struct {
    uint8_t file, writes, operand;
    int64_t begin, end; /* what it touches: [begin, end), empty if begin == end */
} range;

typedef struct {
    uint64_t instr;
    unsigned count;
    range r[MAX_RANGES];
} flight; /* an interactive instruction between its start and its join */

typedef struct {
    int op;                 /* SEQ_OP_LOOP, _IF, _ELSE; SEQ_OP_END for the program itself */
    uint64_t instr, breaks; /* the opening instruction; the last breakz, chained by target */
    uint64_t open;          /* handles started here and not yet joined */
} block;

typedef struct {
    seq_loader *l;
    uint64_t at;         /* file offset of the instruction being checked */
    uint64_t index;      /* its number */
    const seq_instr *in; /* the instruction */
    block blocks[PROGRAM_MAX_DEPTH + 1];
    unsigned depth;
    unsigned *started_in; /* by handle: 1 + depth of the block it was started in, 0: idle */
    flight *flights;      /* of the open handles, by handle */
    uint32_t *open;       /* open handles */
    uint64_t open_count;
} checker;

static seq_status refuse(const checker *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static seq_status refuse(const checker *c, const char *fmt, ...) {
    char reason[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    return loader_refuse(c->l, c->at, "instruction %llu, %s: %s", (unsigned long long)c->index,
                         c->in->op->name, reason);
}

void program_walk(const seq_program *p, const seq_instr *in, unsigned shape, unsigned dstr,
                  unsigned sstr, ring_walk *walk) {
    const int64_t *n = p->words + in->arg[shape], *d = p->words + in->arg[dstr];
    const int64_t *s = p->words + in->arg[sstr];
    walk->rank = (size_t)n[0];
    for (size_t i = 0; i < walk->rank; i++) {
        walk->shape[i] = (size_t)n[1 + i];
        walk->dstr[i] = (ptrdiff_t)d[1 + i];
        walk->sstr[i] = (ptrdiff_t)s[1 + i];
    }
}

/* ---- operands ---- */

static seq_status check_value(const checker *c, unsigned i, int64_t v) {
    const isa_operand *o = &c->in->op->operands[i];
    const seq_program *p = c->l->p;
    uint64_t limit;
    switch (o->kind) {
    case ISA_COUNT:
        limit = PROGRAM_MAX_ELEMENTS;
        break;
    case ISA_FLAG:
        limit = 2;
        break;
    case ISA_HANDLE:
        limit = p->handles;
        break;
    case ISA_PARTY:
        limit = 10;
        break;
    case ISA_STR:
        limit = p->strings;
        break;
    case ISA_IN:
        limit = p->inputs;
        break;
    case ISA_OUT:
        limit = p->outputs;
        break;
    default: /* registers and pool: with their extents; immediates: any; dims: when read */
        return SEQ_OK;
    }
    if ((uint64_t)v >= limit) {
        return refuse(c, "%s is %lld, not below %llu", o->name, (long long)v,
                      (unsigned long long)limit);
    }
    return SEQ_OK;
}

/* Lowest and highest offset that walking shape with strides touches; 0 if the space is empty. */
static int walk_bounds(const int64_t *shape, const int64_t *strides, i128 *low, i128 *high) {
    *low = *high = 0;
    for (int64_t i = 1; i <= shape[0]; i++) {
        if (shape[i] == 0) {
            *low = *high = 0;
            return 0;
        }
        i128 reach = (i128)(shape[i] - 1) * strides[i];
        *(reach < 0 ? low : high) += reach;
    }
    return 1;
}

/* dims operands: rank at most 6, sizes in range, strides below 2^40. */
static seq_status check_dims(const checker *c) {
    const isa_op *op = c->in->op;
    const int64_t *words = c->l->p->words, *shape = NULL;
    for (unsigned i = 0; i < op->operand_count; i++) {
        if (op->operands[i].kind != ISA_DIMS) {
            continue;
        }
        const int64_t *d = words + c->in->arg[i];
        if (shape != NULL && d[0] != shape[0]) {
            return refuse(c, "%s has %lld entries for a shape of rank %lld", op->operands[i].name,
                          (long long)d[0], (long long)shape[0]);
        }
        u128 elements = 1;
        for (int64_t j = 1; j <= d[0]; j++) {
            int64_t most = (int64_t)PROGRAM_MAX_ELEMENTS;
            if (d[j] >= most || d[j] < (shape == NULL ? 0 : 1 - most)) {
                return refuse(c, "%s[%lld] is %lld", op->operands[i].name, (long long)(j - 1),
                              (long long)d[j]);
            }
            elements *= (u128)(shape == NULL ? d[j] : 1);
            if (elements >= PROGRAM_MAX_ELEMENTS) {
                return refuse(c, "%s has 2^40 elements or more", op->operands[i].name);
            }
        }
        shape = shape == NULL ? d : shape;
    }
    return SEQ_OK;
}

/* ranges operands: triples inside of their files, ascending, disjoint, not empty. */
static seq_status check_ranges(const checker *c) {
    const isa_op *op = c->in->op;
    for (unsigned i = 0; i < op->operand_count; i++) {
        if (op->operands[i].kind != ISA_RANGES) {
            continue;
        }
        const int64_t *r = c->l->p->words + c->in->arg[i];
        int64_t file = 0, end = 0;
        if (r[0] % 3 != 0) {
            return refuse(c, "%s has %lld numbers: no triples", op->operands[i].name,
                          (long long)r[0]);
        }
        for (int64_t j = 1; j < r[0]; j += 3) {
            if (r[j] < file || r[j] >= FILE_COUNT) {
                return refuse(c, "%s has register file %lld", op->operands[i].name,
                              (long long)r[j]);
            }
            end = r[j] == file ? end : 0;
            file = r[j];
            int64_t size = (int64_t)c->l->p->size[file];
            if (r[j + 1] < end || r[j + 1] > size || r[j + 2] < 1 || r[j + 2] > size - r[j + 1]) {
                return refuse(c, "%s has a range of %lld at %lld of register file %c (%lld)",
                              op->operands[i].name, (long long)r[j + 2], (long long)r[j + 1],
                              "sbc"[file], (long long)size);
            }
            end = r[j + 1] + r[j + 2];
        }
    }
    return SEQ_OK;
}

/* A write by a stride of 0 touches an element several times: for accumulation only. */
static seq_status check_write_strides(const checker *c, unsigned i) {
    const isa_operand *o = &c->in->op->operands[i];
    const int64_t *shape = c->l->p->words + c->in->arg[o->by[0]];
    const int64_t *strides = c->l->p->words + c->in->arg[o->by[1]];
    for (int64_t j = 1; j <= shape[0]; j++) {
        if (strides[j] == 0 && shape[j] > 1 && o->writes && !o->reads) {
            return refuse(c, "%s is written several times (stride 0)", o->name);
        }
    }
    return SEQ_OK;
}

/* Elements (words in file b) that register operand i covers, from *low to *high relative to it. */
static seq_status extent(const checker *c, unsigned i, i128 *low, i128 *high) {
    const isa_operand *o = &c->in->op->operands[i];
    const int64_t *words = c->l->p->words, *arg = c->in->arg;
    if (o->extent == ISA_EXTENT_STRIDED) {
        int some = walk_bounds(words + arg[o->by[0]], words + arg[o->by[1]], low, high);
        *high += some;
        return check_write_strides(c, i);
    }
    u128 n = 1;
    for (unsigned j = 0; j < o->count; j++) {
        n *= (u128)arg[o->by[j]];
        if (n > PROGRAM_MAX_ELEMENTS) {
            return refuse(c, "%s has more than 2^40 elements", o->name);
        }
    }
    if (o->kind == ISA_B) {
        n = (n + 511) / 512 * 8 * (u128)(o->planes < 0 ? 1 : arg[(unsigned)o->planes]);
    }
    *low = 0;
    *high = (i128)n;
    return SEQ_OK;
}

static int same_extent(const isa_operand *a, const isa_operand *b) {
    return a->extent == b->extent && a->count == b->count && a->planes == b->planes &&
           memcmp(a->by, b->by, a->count) == 0;
}

static int overlap(const range *a, const range *b) {
    int some = a->begin < a->end && b->begin < b->end;
    return some && a->file == b->file && a->begin < b->end && b->begin < a->end;
}

/* A destination is disjoint from every other operand, or, in local element-wise instructions, is
 * the very same range. */
static seq_status check_overlap(const checker *c, const range *r, unsigned count) {
    const isa_op *op = c->in->op;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < count; j++) {
            if (i == j || !r[i].writes || !overlap(&r[i], &r[j])) {
                continue;
            }
            const isa_operand *a = &op->operands[r[i].operand], *b = &op->operands[r[j].operand];
            int same = r[i].begin == r[j].begin && same_extent(a, b) &&
                       a->extent == ISA_EXTENT_PRODUCT && !r[j].writes;
            if (op->interactive || !same) {
                return refuse(c, "%s overlaps %s", a->name, b->name);
            }
        }
    }
    return SEQ_OK;
}

/* Nothing touches the destination of a machine in flight, nothing writes its sources. */
static seq_status check_flights(const checker *c, const range *r, unsigned count) {
    for (uint64_t k = 0; k < c->open_count; k++) {
        const flight *f = &c->flights[c->open[k]];
        for (unsigned i = 0; i < count; i++) {
            for (unsigned j = 0; j < f->count; j++) {
                if ((r[i].writes || f->r[j].writes) && overlap(&r[i], &f->r[j])) {
                    return refuse(c, "%s touches what instruction %llu works on until its join",
                                  c->in->op->operands[r[i].operand].name,
                                  (unsigned long long)f->instr);
                }
            }
        }
    }
    return SEQ_OK;
}

/* What register operand i of c->in touches. */
static seq_status touched(const checker *c, unsigned i, range *r) {
    const isa_operand *o = &c->in->op->operands[i];
    int64_t address = c->in->arg[i];
    i128 low, high;
    seq_status status = extent(c, i, &low, &high);
    if (status != SEQ_OK) {
        return status;
    }
    uint64_t size = c->l->p->size[o->kind];
    if (address < 0 || (uint64_t)address > size || address + low < 0 ||
        address + high > (i128)size) {
        return refuse(c, "%s reaches beyond register file %c (%llu)", o->name, "sbc"[o->kind],
                      (unsigned long long)size);
    }
    *r = (range){o->kind, o->writes, (uint8_t)i, (int64_t)(address + low),
                 (int64_t)(address + high)};
    return SEQ_OK;
}

static seq_status check_registers(checker *c, flight *f) {
    const isa_op *op = c->in->op;
    f->instr = c->index;
    f->count = 0;
    for (unsigned i = 0; i < op->operand_count; i++) {
        const isa_operand *o = &op->operands[i];
        int64_t address = c->in->arg[i];
        if (o->kind == ISA_POOL) {
            uint64_t n = (uint64_t)c->in->arg[SEQ_ARG_CSET_n];
            if ((uint64_t)address > c->l->p->pool_words ||
                n > c->l->p->pool_words - (uint64_t)address) {
                return refuse(c, "%s reaches beyond POOL", o->name);
            }
        }
        if (o->kind > ISA_C) {
            continue;
        }
        seq_status status = touched(c, i, &f->r[f->count++]);
        if (status != SEQ_OK) {
            return status;
        }
    }
    seq_status status = check_overlap(c, f->r, f->count);
    return status != SEQ_OK ? status : check_flights(c, f->r, f->count);
}

/* ---- what the table does not say ---- */

static seq_status between(const checker *c, unsigned i, int64_t least, int64_t most) {
    int64_t v = c->in->arg[i];
    if (v < least || v > most) {
        return refuse(c, "%s is %lld, not in %lld..%lld", c->in->op->operands[i].name, (long long)v,
                      (long long)least, (long long)most);
    }
    return SEQ_OK;
}

/* All convolutions have B .. m at the same positions. */
static seq_status check_conv(const checker *c) {
    const int64_t *a = c->in->arg;
    for (unsigned i = SEQ_ARG_CONV2D_B; i <= SEQ_ARG_CONV2D_SW; i++) {
        seq_status status = between(c, i, 1, (int64_t)PROGRAM_MAX_ELEMENTS - 1);
        if (status != SEQ_OK) {
            return status;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        int64_t room =
            a[SEQ_ARG_CONV2D_H + i] + 2 * a[SEQ_ARG_CONV2D_PH + i] - a[SEQ_ARG_CONV2D_KH + i];
        if (room < 0 || a[SEQ_ARG_CONV2D_OH + i] != room / a[SEQ_ARG_CONV2D_SH + i] + 1) {
            return refuse(c, "%s does not follow from size, kernel, stride and padding",
                          i == 0 ? "OH" : "OW");
        }
    }
    return between(c, SEQ_ARG_CONV2D_m, 0, (int64_t)c->l->p->ring_bits - 2);
}

/* A sum of no products would be a result without anything that proves it. */
static seq_status check_matmul(const checker *c) {
    seq_status status = between(c, SEQ_ARG_MATMUL_K, 1, (int64_t)PROGRAM_MAX_ELEMENTS - 1);
    return status != SEQ_OK ? status
                            : between(c, SEQ_ARG_MATMUL_m, 0, (int64_t)c->l->p->ring_bits - 2);
}

static seq_status check_bcopy(const checker *c) {
    const int64_t *words = c->l->p->words, *a = c->in->arg;
    const int64_t *shape = words + a[SEQ_ARG_BCOPY_shape];
    for (unsigned i = 0; i < 2; i++) {
        const int64_t *strides = words + a[i == 0 ? SEQ_ARG_BCOPY_dstr : SEQ_ARG_BCOPY_sstr];
        int64_t off = a[i == 0 ? SEQ_ARG_BCOPY_doff : SEQ_ARG_BCOPY_aoff];
        int64_t n = a[i == 0 ? SEQ_ARG_BCOPY_dn : SEQ_ARG_BCOPY_an];
        i128 low, high;
        if (walk_bounds(shape, strides, &low, &high) && (off + low < 0 || off + high >= n)) {
            return refuse(c, "the walk leaves the %lld bits of %s", (long long)n,
                          i == 0 ? "d" : "a");
        }
    }
    return SEQ_OK;
}

static seq_status check_output(const checker *c, int64_t out, int64_t n, int64_t planes) {
    const seq_program_output *o = &c->l->p->output[out];
    if ((uint64_t)n != o->elements) {
        return refuse(c, "%lld elements for output '%.60s', which has %llu", (long long)n, o->name,
                      (unsigned long long)o->elements);
    }
    if ((uint64_t)planes != o->planes) {
        return refuse(c, "%lld planes for output '%.60s', which has %u", (long long)planes, o->name,
                      o->planes);
    }
    return SEQ_OK;
}

static seq_status check_io(const checker *c) {
    const int64_t *a = c->in->arg;
    const seq_program *p = c->l->p;
    switch (c->in->op->code) {
    case SEQ_OP_INPUT:
        if ((uint64_t)a[SEQ_ARG_INPUT_n] != p->input[a[SEQ_ARG_INPUT_in]].elements) {
            return refuse(c, "%lld elements for input '%.60s', which has %llu",
                          (long long)a[SEQ_ARG_INPUT_n], p->input[a[SEQ_ARG_INPUT_in]].name,
                          (unsigned long long)p->input[a[SEQ_ARG_INPUT_in]].elements);
        }
        return SEQ_OK;
    case SEQ_OP_OUTPUT:
        return check_output(c, a[SEQ_ARG_OUTPUT_out], a[SEQ_ARG_OUTPUT_n], 0);
    case SEQ_OP_OUTPUTB:
        return check_output(c, a[SEQ_ARG_OUTPUTB_out], a[SEQ_ARG_OUTPUTB_n], a[SEQ_ARG_OUTPUTB_p]);
    case SEQ_OP_COUTPUT:
        return check_output(c, a[SEQ_ARG_COUTPUT_out], a[SEQ_ARG_COUTPUT_n], 0);
    default: /* pval */
        if (!format_valid(p->string[a[SEQ_ARG_PVAL_fmt]])) {
            return refuse(c, "'%.30s' is not one conversion such as %%.4f or %%d",
                          p->string[a[SEQ_ARG_PVAL_fmt]]);
        }
        return between(c, SEQ_ARG_PVAL_f, 0, (int64_t)p->ring_bits - 1);
    }
}

static seq_status check_meaning(const checker *c) {
    const int64_t bits = (int64_t)c->l->p->ring_bits;
    switch (c->in->op->code) {
    case SEQ_OP_CSHR:
        return between(c, SEQ_ARG_CSHR_m, 1, bits - 1);
    case SEQ_OP_CPERM:
        return between(c, SEQ_ARG_CPERM_n, 0, UINT32_MAX);
    case SEQ_OP_CUNIFORM:
        if (c->in->arg[SEQ_ARG_CUNIFORM_lo] >= c->in->arg[SEQ_ARG_CUNIFORM_hi]) {
            return refuse(c, "the range [lo, hi) is empty");
        }
        return SEQ_OK;
    case SEQ_OP_BSET:
        return between(c, SEQ_ARG_BSET_p, 0, bits);
    case SEQ_OP_BANDC:
        return between(c, SEQ_ARG_BANDC_p, 0, bits);
    case SEQ_OP_BCOPY:
        return check_bcopy(c);
    case SEQ_OP_MUL:
    case SEQ_OP_MUL_ADD:
        return between(c, SEQ_ARG_MUL_m, 0, bits - 2);
    case SEQ_OP_MATMUL:
    case SEQ_OP_MATMUL_ADD:
        return check_matmul(c);
    case SEQ_OP_CONV2D:
    case SEQ_OP_CONV2D_ADD:
    case SEQ_OP_CONV2D_DX:
    case SEQ_OP_CONV2D_DX_ADD:
    case SEQ_OP_CONV2D_DW:
    case SEQ_OP_CONV2D_DW_ADD:
        return check_conv(c);
    case SEQ_OP_TRUNC:
        return between(c, SEQ_ARG_TRUNC_m, 1, bits - 2);
    case SEQ_OP_LTZ:
    case SEQ_OP_EQZ:
    case SEQ_OP_A2B:
        return between(c, SEQ_ARG_LTZ_bits, 1, bits);
    case SEQ_OP_OPENB:
        return between(c, SEQ_ARG_OPENB_p, 0, bits);
    case SEQ_OP_INPUT:
    case SEQ_OP_OUTPUT:
    case SEQ_OP_OUTPUTB:
    case SEQ_OP_COUTPUT:
    case SEQ_OP_PVAL:
        return check_io(c);
    default:
        return SEQ_OK;
    }
}

_Static_assert(SEQ_ARG_LTZ_bits == (int)SEQ_ARG_EQZ_bits &&
                   SEQ_ARG_LTZ_bits == (int)SEQ_ARG_A2B_bits,
               "checked as one");
_Static_assert(SEQ_ARG_CONV2D_B == (int)SEQ_ARG_CONV2D_DX_B &&
                   SEQ_ARG_CONV2D_B == (int)SEQ_ARG_CONV2D_DW_B &&
                   SEQ_ARG_CONV2D_m == (int)SEQ_ARG_CONV2D_DX_m &&
                   SEQ_ARG_CONV2D_m == (int)SEQ_ARG_CONV2D_DW_m &&
                   SEQ_ARG_CONV2D_m == (int)SEQ_ARG_CONV2D_ADD_m &&
                   SEQ_ARG_CONV2D_m == (int)SEQ_ARG_CONV2D_DX_ADD_m &&
                   SEQ_ARG_CONV2D_m == (int)SEQ_ARG_CONV2D_DW_ADD_m &&
                   SEQ_ARG_MATMUL_m == (int)SEQ_ARG_MATMUL_ADD_m &&
                   SEQ_ARG_MATMUL_K == (int)SEQ_ARG_MATMUL_ADD_K &&
                   SEQ_ARG_MUL_m == (int)SEQ_ARG_MUL_ADD_m,
               "operands at the same positions");

/* ---- control flow and handles ---- */

static seq_status push(checker *c, int op) {
    if (c->depth == PROGRAM_MAX_DEPTH) {
        return refuse(c, "loops and ifs nest deeper than %u", PROGRAM_MAX_DEPTH);
    }
    c->blocks[++c->depth] = (block){.op = op, .instr = c->index, .breaks = NO_BREAK};
    return SEQ_OK;
}

static seq_status all_joined(const checker *c, unsigned from) {
    for (unsigned d = from; d <= c->depth; d++) {
        if (c->blocks[d].open != 0) {
            return refuse(c, "a machine started in this block is not joined yet");
        }
    }
    return SEQ_OK;
}

/* Close the innermost block, which must be one of the two kinds. */
static seq_status pop(checker *c, int op, int other) {
    const block *b = &c->blocks[c->depth];
    if (b->op != op && b->op != other) {
        return refuse(c, "does not match what is open");
    }
    seq_status status = all_joined(c, c->depth);
    c->depth -= status == SEQ_OK;
    return status;
}

static seq_status check_break(checker *c, seq_instr *in) {
    unsigned d = c->depth;
    while (d > 0 && c->blocks[d].op != SEQ_OP_LOOP) {
        d--;
    }
    if (d == 0) {
        return refuse(c, "outside of any loop");
    }
    in->target = c->blocks[d].breaks;
    c->blocks[d].breaks = c->index;
    return all_joined(c, d);
}

static seq_status check_endloop(checker *c, seq_instr *in) {
    seq_instr *code = c->l->p->instr;
    seq_status status = pop(c, SEQ_OP_LOOP, SEQ_OP_LOOP);
    if (status != SEQ_OK) {
        return status;
    }
    const block *b = &c->blocks[c->depth + 1];
    in->target = b->instr;
    code[b->instr].target = c->index;
    for (uint64_t i = b->breaks, next; i != NO_BREAK; i = next) {
        next = code[i].target;
        code[i].target = c->index;
    }
    return SEQ_OK;
}

static seq_status check_join(checker *c) {
    uint32_t h = (uint32_t)c->in->arg[SEQ_ARG_JOIN_h];
    if (c->started_in[h] != c->depth + 1) {
        return refuse(c, "handle %u %s", h,
                      c->started_in[h] == 0 ? "is not started" : "was started in another block");
    }
    c->started_in[h] = 0;
    c->blocks[c->depth].open--;
    uint64_t i = 0;
    while (c->open[i] != h) {
        i++;
    }
    c->open[i] = c->open[--c->open_count];
    return SEQ_OK;
}

static seq_status check_start(checker *c, const flight *f) {
    uint32_t h = (uint32_t)c->in->arg[0];
    if (c->started_in[h] != 0) {
        return refuse(c, "handle %u is started again before it is joined", h);
    }
    c->started_in[h] = c->depth + 1;
    c->blocks[c->depth].open++;
    c->flights[h] = *f;
    c->open[c->open_count++] = h;
    return SEQ_OK;
}

static seq_status check_control(checker *c, seq_instr *in) {
    seq_instr *code = c->l->p->instr;
    seq_status status;
    switch (in->op->code) {
    case SEQ_OP_END:
        if (c->index + 1 != c->l->p->instrs || c->depth != 0) {
            return refuse(c, "not the last instruction, or inside of a block");
        }
        return all_joined(c, 0);
    case SEQ_OP_LOOP:
        return push(c, SEQ_OP_LOOP);
    case SEQ_OP_ENDLOOP:
        return check_endloop(c, in);
    case SEQ_OP_BREAKZ:
        return check_break(c, in);
    case SEQ_OP_IF:
        return push(c, SEQ_OP_IF);
    case SEQ_OP_ELSE:
        if ((status = pop(c, SEQ_OP_IF, SEQ_OP_IF)) != SEQ_OK) {
            return status;
        }
        code[c->blocks[c->depth + 1].instr].target = c->index;
        return push(c, SEQ_OP_ELSE);
    case SEQ_OP_ENDIF:
        if ((status = pop(c, SEQ_OP_IF, SEQ_OP_ELSE)) != SEQ_OK) {
            return status;
        }
        code[c->blocks[c->depth + 1].instr].target = c->index;
        return SEQ_OK;
    case SEQ_OP_JOIN:
        return check_join(c);
    case SEQ_OP_CHECKPOINT:
        return all_joined(c, 0);
    default:
        return SEQ_OK;
    }
}

/* ---- decoding ---- */

static seq_status count_instructions(const seq_loader *l, uint64_t *instrs, uint64_t *args) {
    uint64_t at = 0;
    *instrs = *args = 0;
    while (at < l->code_words) {
        uint64_t word = (uint64_t)l->p->words[at], length = word >> 32;
        const isa_op *op = isa_find(word & 0xFFFFFFFF);
        if (op == NULL) {
            return loader_refuse(l, l->code_offset + 8 * at, "there is no instruction 0x%llX",
                                 (unsigned long long)(word & 0xFFFFFFFF));
        }
        if (length == 0 || length > l->code_words - at) {
            return loader_refuse(l, l->code_offset + 8 * at, "%s of %llu words, with %llu left",
                                 op->name, (unsigned long long)length,
                                 (unsigned long long)(l->code_words - at));
        }
        *args += op->operand_count;
        *instrs += 1;
        at += length;
    }
    return SEQ_OK;
}

static seq_status decode(checker *c, uint64_t at, uint64_t length, int64_t *arg) {
    const int64_t *words = c->l->p->words;
    const isa_op *op = c->in->op;
    uint64_t next = at + 1, end = at + length;
    for (unsigned i = 0; i < op->operand_count; i++) {
        if (next >= end) {
            return refuse(c, "its length of %llu words is too short", (unsigned long long)length);
        }
        arg[i] = words[next];
        if (op->operands[i].kind >= ISA_DIMS) {
            int64_t most = op->operands[i].kind == ISA_DIMS ? PROGRAM_MAX_RANK : INT64_MAX;
            arg[i] = (int64_t)next;
            if (words[next] < 0 || words[next] > most || (uint64_t)words[next] > end - next - 1) {
                return refuse(c, "%s has %lld numbers", op->operands[i].name,
                              (long long)words[next]);
            }
            next += (uint64_t)words[next];
        }
        next++;
    }
    if (next != end) {
        return refuse(c, "its length of %llu words is too long", (unsigned long long)length);
    }
    for (unsigned i = 0; i < op->operand_count; i++) {
        seq_status status = check_value(c, i, arg[i]);
        if (status != SEQ_OK) {
            return status;
        }
    }
    seq_status status = check_dims(c);
    return status != SEQ_OK ? status : check_ranges(c);
}

static seq_status check_instruction(checker *c, seq_instr *in, uint64_t at, uint64_t length,
                                    int64_t *arg) {
    flight f;
    seq_status status;
    if ((status = decode(c, at, length, arg)) != SEQ_OK ||
        (status = check_registers(c, &f)) != SEQ_OK || (status = check_meaning(c)) != SEQ_OK ||
        (status = check_control(c, in)) != SEQ_OK) {
        return status;
    }
    return in->op->interactive ? check_start(c, &f) : SEQ_OK;
}

static seq_status check_all(checker *c) {
    seq_program *p = c->l->p;
    int64_t *arg = p->args;
    uint64_t at = 0;
    for (c->index = 0; c->index < p->instrs; c->index++) {
        uint64_t word = (uint64_t)p->words[at];
        seq_instr *in = &p->instr[c->index];
        *in = (seq_instr){.op = isa_find(word & 0xFFFFFFFF), .arg = arg};
        c->in = in;
        c->at = c->l->code_offset + 8 * at;
        seq_status status = check_instruction(c, in, at, word >> 32, arg);
        if (status != SEQ_OK) {
            return status;
        }
        arg += in->op->operand_count;
        at += word >> 32;
    }
    if (p->instrs == 0 || p->instr[p->instrs - 1].op->code != SEQ_OP_END) {
        return loader_refuse(c->l, c->l->code_offset + 8 * at, "CODE does not end with `end`");
    }
    return SEQ_OK;
}

/* Whether an instruction leaves the destination of an input alone, or gathers rows within it. */
static int leaves_rows(const range *d, const seq_instr *in, const range *r) {
    int gathers = in->op->code == SEQ_OP_SGATHER && r->operand == SEQ_ARG_SGATHER_a &&
                  r->begin >= d->begin && r->end <= d->end;
    return gathers || !overlap(d, r);
}

/* Find the inputs whose elements are only read by gathers. All instructions are checked. */
static void mark_rows_only(checker *c) {
    seq_program *p = c->l->p;
    unsigned inputs = 0;
    for (uint64_t i = 0; i < p->instrs && inputs < PROGRAM_MAX_TABLES; i++) {
        range d, r;
        c->in = &p->instr[i];
        inputs += c->in->op->code == SEQ_OP_INPUT;
        if (c->in->op->code != SEQ_OP_INPUT || touched(c, SEQ_ARG_INPUT_d, &d) != SEQ_OK) {
            continue;
        }
        int only = 1;
        for (uint64_t j = 0; j < p->instrs && only; j++) {
            c->in = &p->instr[j];
            for (unsigned o = 0; o < c->in->op->operand_count && j != i && only; o++) {
                only = c->in->op->operands[o].kind != ISA_S ||
                       (touched(c, o, &r) == SEQ_OK && leaves_rows(&d, c->in, &r));
            }
        }
        p->instr[i].rows_only = only;
    }
}

seq_status loader_code(seq_loader *l, uint64_t rows) {
    seq_program *p = l->p;
    uint64_t args;
    seq_status status = count_instructions(l, &p->instrs, &args);
    if (status != SEQ_OK) {
        return status;
    }
    if (rows != p->instrs) {
        return loader_refuse(l, l->code_offset, "%llu instructions, but %llu rows in LINES",
                             (unsigned long long)p->instrs, (unsigned long long)rows);
    }
    checker *c = calloc(1, sizeof *c);
    p->instr = calloc(p->instrs + 1, sizeof *p->instr);
    p->args = calloc(args + 1, sizeof *p->args);
    if (c != NULL) {
        c->l = l;
        c->blocks[0] = (block){.op = SEQ_OP_END};
        c->started_in = calloc(p->handles + 1, sizeof *c->started_in);
        c->flights = calloc(p->handles + 1, sizeof *c->flights);
        c->open = calloc(p->handles + 1, sizeof *c->open);
    }
    if (c == NULL || p->instr == NULL || p->args == NULL || c->started_in == NULL ||
        c->flights == NULL || c->open == NULL) {
        status = seq_fail(l->err, SEQ_ERR_MEMORY, -1, "no memory to load a program");
    } else {
        status = check_all(c);
    }
    if (status == SEQ_OK) {
        mark_rows_only(c);
    }
    if (c != NULL) {
        free(c->started_in);
        free(c->flights);
        free(c->open);
        free(c);
    }
    return status;
}
