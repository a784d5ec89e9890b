#ifndef SEQ_PROGRAM_H
#define SEQ_PROGRAM_H
/* A validated program: what the loader makes of a bytecode file. Constant once loaded; any number
 * of runs may share it. All register operands, section indices, strides and control flow of a
 * loaded program are inside their bounds: the interpreter checks only what depends on run-time
 * values. */

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../include/sequester.h"
#include "../ring/ring.h"
#include "isa.h"

#define PROGRAM_MAX_RANK 6
#define PROGRAM_MAX_DEPTH 64
#define PROGRAM_FIELD_BITS 124 /* the most "ring bits" in the field */
#define PROGRAM_MAX_ELEMENTS ((uint64_t)1 << 40)
#define PROGRAM_ALL_PARTIES UINT64_MAX
#define PROGRAM_MAX_TABLES 64 /* inputs of which only rows are read; further ones are not found */

enum { FILE_S, FILE_B, FILE_C, FILE_COUNT };

typedef struct {
    const isa_op *op;
    const int64_t *arg; /* operands; a list is the index of its count in program->words */
    uint64_t target;    /* loop, breakz: endloop; endloop: loop; if: else or endif; else: endif */
    int rows_only;      /* input: no other instruction but gathers, as their source, touches d */
} seq_instr;

typedef struct {
    uint64_t party, elements;
    unsigned f;
    const char *name;
} seq_program_input;

typedef struct {
    uint64_t party, elements;
    unsigned f, planes;
    const char *name;
} seq_program_output;

typedef struct {
    const char *file, *scope;
    uint32_t line;
} seq_line;

struct seq_program {
    uint8_t hash[32];
    unsigned ring_bits, k, f, stat;
    int wide;  /* numbers mod 2^64 in words of 128 bits */
    int field; /* not a ring: p = 2^127 - 1; products have ring_bits - 1 bits */
    int nearest, checked;
    size_t word;               /* bytes in a word of files s and c */
    uint64_t size[FILE_COUNT]; /* elements of s, words of b, elements of c */
    uint64_t handles;
    void *pool; /* 64-byte aligned */
    uint64_t pool_words;
    char *text; /* all strings, each with its NUL */
    char **string;
    uint64_t strings;
    seq_program_input *input;
    uint64_t inputs;
    seq_program_output *output;
    uint64_t outputs;
    int64_t *words; /* CODE */
    int64_t *args;
    seq_instr *instr;
    seq_line *line; /* one an instruction */
    uint64_t instrs;
};

/* The index space of a dims operand `shape` and one or two operands with its strides. */
void program_walk(const seq_program *p, const seq_instr *in, unsigned shape, unsigned dstr,
                  unsigned sstr, ring_walk *walk);
/* Whether fmt is one conversion %[flags][width][.precision]{d,u,f,g} and nothing else. */
int format_valid(const char *fmt);

/* ---- between the two halves of the loader ---- */
typedef struct {
    const uint8_t *bytes;
    uint64_t length;
    uint64_t code_offset, code_words; /* of CODE in the file */
    seq_program *p;
    seq_error *err;
} seq_loader;

/* "bytecode refused at offset N: reason". Returns SEQ_ERR_PROGRAM. */
seq_status loader_refuse(const seq_loader *l, uint64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Decode and check CODE; needs every other section but LINES, and *rows, the rows of LINES. */
seq_status loader_code(seq_loader *l, uint64_t rows);

#endif
