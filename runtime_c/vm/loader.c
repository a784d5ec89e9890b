/* Reads a bytecode file (docs/bytecode.md): header, section table, and every section but CODE. */
#include "program.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read in place");

enum { META = 1, POOL, STRINGS, MEMORY, INPUTS, OUTPUTS, CODE, LINES, SECTIONS = 8 };
enum { HEADER = 64, TABLE_ROW = 24, META_WORDS = 12, VERSION = 1 };
#define MAX_LENGTH ((uint64_t)1 << 30)
#define MAX_HANDLES 65536

static const char magic[8] = {'S', 'Q', 'T', 'R', 'B', 'C', '\r', '\n'};
static const char *const section_name[SECTIONS + 1] = {
    "", "META", "POOL", "STRINGS", "MEMORY", "INPUTS", "OUTPUTS", "CODE", "LINES"};

typedef struct {
    uint64_t offset, length;
} section;

seq_status loader_refuse(const seq_loader *l, uint64_t offset, const char *fmt, ...) {
    char reason[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    return seq_fail(l->err, SEQ_ERR_PROGRAM, -1, "bytecode refused at offset %llu: %s",
                    (unsigned long long)offset, reason);
}

static seq_status no_memory(const seq_loader *l) {
    return seq_fail(l->err, SEQ_ERR_MEMORY, -1, "no memory to load a program of %llu bytes",
                    (unsigned long long)l->length);
}

static uint32_t get32(const seq_loader *l, uint64_t offset) {
    uint32_t v;
    memcpy(&v, l->bytes + offset, 4);
    return v;
}

static uint64_t get64(const seq_loader *l, uint64_t offset) {
    uint64_t v;
    memcpy(&v, l->bytes + offset, 8);
    return v;
}

static seq_status check_zero(const seq_loader *l, uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; i++) {
        if (l->bytes[i] != 0) {
            return loader_refuse(l, i, "padding is 0x%02X, not zero", l->bytes[i]);
        }
    }
    return SEQ_OK;
}

static seq_status check_hash(const seq_loader *l) {
    static const uint8_t zero[32];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
             EVP_DigestUpdate(ctx, l->bytes, 32) && EVP_DigestUpdate(ctx, zero, 32) &&
             EVP_DigestUpdate(ctx, l->bytes + HEADER, l->length - HEADER) &&
             EVP_DigestFinal_ex(ctx, l->p->hash, NULL);
    EVP_MD_CTX_free(ctx);
    if (!ok) {
        return seq_fail(l->err, SEQ_ERR_OURS, -1, "SHA-256 is not available");
    }
    if (memcmp(l->p->hash, l->bytes + 32, 32) != 0) {
        return loader_refuse(l, 32, "the program's hash does not fit its content: corrupted");
    }
    return SEQ_OK;
}

static seq_status read_header(const seq_loader *l) {
    if (l->length > MAX_LENGTH) {
        return loader_refuse(l, MAX_LENGTH, "longer than 1 GiB");
    }
    if (l->length < 8 || memcmp(l->bytes, magic, 8) != 0) {
        return loader_refuse(l, 0, "not a bytecode file (the magic number is missing)");
    }
    if (l->length < HEADER + TABLE_ROW * SECTIONS) {
        return loader_refuse(l, l->length, "truncated: the section table is missing");
    }
    if (get32(l, 8) != VERSION) {
        return loader_refuse(l, 8, "format version %u; this runtime reads %u", get32(l, 8),
                             VERSION);
    }
    if (get32(l, 12) != SECTIONS) {
        return loader_refuse(l, 12, "%u sections instead of %u", get32(l, 12), SECTIONS);
    }
    if (memcmp(l->bytes + 16, seq_isa_hash, 16) != 0) {
        return loader_refuse(l, 16, "compiled for another instruction table: compile it again");
    }
    return SEQ_OK;
}

static seq_status read_table(const seq_loader *l, section sections[SECTIONS + 1]) {
    uint64_t end = HEADER + TABLE_ROW * SECTIONS;
    for (unsigned id = META; id <= SECTIONS; id++) {
        uint64_t row = HEADER + TABLE_ROW * (uint64_t)(id - 1);
        section *s = &sections[id];
        s->offset = get64(l, row + 8);
        s->length = get64(l, row + 16);
        if (get32(l, row) != id) {
            return loader_refuse(l, row, "section id %u where %u (%s) belongs", get32(l, row), id,
                                 section_name[id]);
        }
        if (get32(l, row + 4) != 0) {
            return loader_refuse(l, row + 4, "a reserved field is not zero");
        }
        uint64_t begin = (end + 7) / 8 * 8;
        if (s->offset != begin) {
            return loader_refuse(l, row + 8, "%s begins at %llu, expected %llu", section_name[id],
                                 (unsigned long long)s->offset, (unsigned long long)begin);
        }
        if (s->offset > l->length || s->length > l->length - s->offset) {
            return loader_refuse(l, row + 16, "truncated: %s reaches beyond the end of the file",
                                 section_name[id]);
        }
        seq_status status = check_zero(l, end, begin);
        if (status != SEQ_OK) {
            return status;
        }
        end = s->offset + s->length;
    }
    if (end != l->length) {
        return loader_refuse(l, end, "%llu bytes follow the last section",
                             (unsigned long long)(l->length - end));
    }
    return SEQ_OK;
}

static seq_status read_meta(const seq_loader *l, const section *s) {
    static const struct {
        const char *name;
        uint64_t least, most;
    } field[META_WORDS] = {
        {"domain", 0, 2},
        {"ring bits", 1, 128},
        {"k", 1, 127},
        {"f", 0, 126},
        {"statistical parameter", 0, 128},
        {"rounding", 0, 1},
        {"elements in file s", 0, PROGRAM_MAX_ELEMENTS},
        {"words in file b", 0, PROGRAM_MAX_ELEMENTS},
        {"elements in file c", 0, PROGRAM_MAX_ELEMENTS},
        {"number of handles", 0, MAX_HANDLES},
        {"checked emulation", 0, 1},
        {"reserved field", 0, 0},
    };
    uint64_t v[META_WORDS];
    if (s->length != 8 * META_WORDS) {
        return loader_refuse(l, s->offset, "META has %llu bytes instead of %u",
                             (unsigned long long)s->length, 8 * META_WORDS);
    }
    for (unsigned i = 0; i < META_WORDS; i++) {
        v[i] = get64(l, s->offset + 8 * i);
        if (v[i] < field[i].least || v[i] > field[i].most) {
            return loader_refuse(l, s->offset + 8 * i, "%s is %llu", field[i].name,
                                 (unsigned long long)v[i]);
        }
    }
    if (v[0] == 0 && v[1] != 64 && v[1] != 128) {
        return loader_refuse(l, s->offset + 8, "a ring of %llu bits; there are 64 and 128",
                             (unsigned long long)v[1]);
    }
    if (v[0] == 2 && v[1] != 64) {
        return loader_refuse(l, s->offset + 8, "numbers of %llu bits in wide words; there are 64",
                             (unsigned long long)v[1]);
    }
    if (v[0] == 1 && v[1] > PROGRAM_FIELD_BITS) {
        return loader_refuse(l, s->offset + 8, "products of %llu bits; the field has room for %u",
                             (unsigned long long)v[1], PROGRAM_FIELD_BITS);
    }
    if (v[2] >= v[1] || v[3] >= v[2]) {
        return loader_refuse(l, s->offset + 16, "f = %llu < k = %llu < %llu bits does not hold",
                             (unsigned long long)v[3], (unsigned long long)v[2],
                             (unsigned long long)v[1]);
    }
    seq_program *p = l->p;
    p->ring_bits = (unsigned)v[1];
    p->field = v[0] == 1;
    p->wide = v[0] == 2;
    p->word = p->field || p->wide ? 16 : p->ring_bits / 8;
    p->k = (unsigned)v[2];
    p->f = (unsigned)v[3];
    p->stat = (unsigned)v[4];
    p->nearest = (int)v[5];
    p->size[FILE_S] = v[6];
    p->size[FILE_B] = v[7];
    p->size[FILE_C] = v[8];
    p->handles = v[9];
    p->checked = (int)v[10];
    return SEQ_OK;
}

static seq_status read_pool(const seq_loader *l, const section *s) {
    if (s->length % l->p->word != 0) {
        return loader_refuse(l, s->offset, "POOL is not a whole number of ring words");
    }
    l->p->pool_words = s->length / l->p->word;
    l->p->pool = aligned_alloc(64, (s->length + 127) / 64 * 64);
    if (l->p->pool == NULL) {
        return no_memory(l);
    }
    memcpy(l->p->pool, l->bytes + s->offset, s->length);
    if (l->p->field) {
        ring_by_name(RING_FIELD, "portable")->from_signed(l->p->pool, l->p->pool, l->p->pool_words);
    }
    return SEQ_OK;
}

/* Offset of the first byte that is not UTF-8 without NUL, or n. */
static uint64_t utf8_error(const uint8_t *s, uint64_t n) {
    uint64_t i = 0;
    while (i < n) {
        uint32_t c = s[i];
        unsigned more = c < 0x80   ? 0
                        : c < 0xC2 ? 9
                        : c < 0xE0 ? 1
                        : c < 0xF0 ? 2
                        : c < 0xF5 ? 3
                                   : 9;
        if (c == 0 || more == 9 || n - i <= more) {
            return i;
        }
        c = more == 0 ? c : c & (0x3Fu >> more);
        for (unsigned j = 1; j <= more; j++) {
            if ((s[i + j] & 0xC0) != 0x80) {
                return i;
            }
            c = c << 6 | (s[i + j] & 0x3F);
        }
        int overlong = (more == 2 && c < 0x800) || (more == 3 && c < 0x10000);
        if (overlong || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
            return i;
        }
        i += more + 1;
    }
    return n;
}

static seq_status read_strings(const seq_loader *l, const section *s) {
    seq_program *p = l->p;
    uint64_t at = s->offset, end = s->offset + s->length;
    if (s->length < 8 || s->length % 8 != 0) {
        return loader_refuse(l, at, "STRINGS has %llu bytes, no positive multiple of 8",
                             (unsigned long long)s->length);
    }
    p->strings = get32(l, at);
    at += 4;
    if (p->strings > s->length / 4) {
        return loader_refuse(l, s->offset, "%llu strings do not fit into STRINGS",
                             (unsigned long long)p->strings);
    }
    p->string = calloc(p->strings + 1, sizeof *p->string);
    p->text = malloc(s->length + p->strings);
    if (p->string == NULL || p->text == NULL) {
        return no_memory(l);
    }
    char *out = p->text;
    for (uint64_t i = 0; i < p->strings; i++) {
        uint64_t n = end - at < 4 ? UINT64_MAX : get32(l, at);
        if (n > end - at - 4) {
            return loader_refuse(l, at, "string %llu reaches beyond STRINGS",
                                 (unsigned long long)i);
        }
        at += 4;
        uint64_t bad = utf8_error(l->bytes + at, n);
        if (bad != n) {
            return loader_refuse(l, at + bad, "string %llu is not UTF-8 text",
                                 (unsigned long long)i);
        }
        p->string[i] = out;
        memcpy(out, l->bytes + at, n);
        out[n] = 0;
        out += n + 1;
        at += n;
    }
    if (end - at >= 8) {
        return loader_refuse(l, at, "%llu bytes after the last string",
                             (unsigned long long)(end - at));
    }
    return check_zero(l, at, end);
}

/* The number of rows of a section `u64 count; rows of `words` u64`. */
static seq_status read_count(const seq_loader *l, const section *s, const char *name,
                             unsigned words, uint64_t *count) {
    if (s->length < 8) {
        return loader_refuse(l, s->offset, "%s has no count", name);
    }
    *count = get64(l, s->offset);
    if (*count > s->length / 8 || s->length != 8 + *count * words * 8) {
        return loader_refuse(l, s->offset, "%s has %llu bytes, which is not %llu rows", name,
                             (unsigned long long)s->length, (unsigned long long)*count);
    }
    return SEQ_OK;
}

static seq_status read_string(const seq_loader *l, uint64_t offset, const char **out) {
    uint64_t i = get64(l, offset);
    if (i >= l->p->strings) {
        return loader_refuse(l, offset, "string %llu of %llu", (unsigned long long)i,
                             (unsigned long long)l->p->strings);
    }
    *out = l->p->string[i];
    return SEQ_OK;
}

static seq_status read_memory(const seq_loader *l, const section *s) {
    enum { ROW = 8 };
    uint64_t count = 0;
    seq_status status = read_count(l, s, "MEMORY", ROW, &count);
    for (uint64_t i = 0; status == SEQ_OK && i < count; i++) {
        uint64_t at = s->offset + 8 + i * ROW * 8, v[ROW];
        const char *unused;
        for (unsigned j = 0; j < ROW; j++) {
            v[j] = get64(l, at + 8 * j);
        }
        if ((status = read_string(l, at, &unused)) != SEQ_OK ||
            (status = read_string(l, at + 48, &unused)) != SEQ_OK) {
            return status;
        }
        if (v[1] >= FILE_COUNT) {
            return loader_refuse(l, at + 8, "there is no register file %llu",
                                 (unsigned long long)v[1]);
        }
        uint64_t size = l->p->size[v[1]], planes = v[4];
        if (planes < 1 || planes > (v[1] == FILE_B ? l->p->ring_bits : 1)) {
            return loader_refuse(l, at + 32, "%llu planes", (unsigned long long)planes);
        }
        uint64_t each = v[1] == FILE_B ? (v[3] + 511) / 512 * 8 : v[3];
        if (v[2] > size || v[3] >= PROGRAM_MAX_ELEMENTS ||
            (unsigned __int128)each * planes > size - v[2]) {
            return loader_refuse(l, at + 16, "memory reaches beyond its register file");
        }
        if (v[5] >= l->p->ring_bits || v[7] > UINT32_MAX) {
            return loader_refuse(l, at + 40, "f or line is out of range");
        }
    }
    return status;
}

/* Rank and six dimensions at `at`; *elements is their product. */
static seq_status read_shape(const seq_loader *l, uint64_t at, uint64_t *elements) {
    uint64_t rank = get64(l, at);
    if (rank > PROGRAM_MAX_RANK) {
        return loader_refuse(l, at, "rank %llu is above %u", (unsigned long long)rank,
                             PROGRAM_MAX_RANK);
    }
    unsigned __int128 product = 1;
    for (unsigned i = 0; i < PROGRAM_MAX_RANK; i++) {
        uint64_t d = get64(l, at + 8 + 8 * i);
        if (d >= PROGRAM_MAX_ELEMENTS || (i >= rank && d != 1)) {
            return loader_refuse(l, at + 8 + 8 * i, "dimension %u is %llu", i,
                                 (unsigned long long)d);
        }
        product *= d;
        if (product >= PROGRAM_MAX_ELEMENTS) {
            return loader_refuse(l, at + 8, "2^40 elements or more");
        }
    }
    *elements = (uint64_t)product;
    return SEQ_OK;
}

static seq_status read_inputs(const seq_loader *l, const section *s) {
    enum { ROW = 10 };
    seq_program *p = l->p;
    uint64_t count = 0;
    seq_status status = read_count(l, s, "INPUTS", ROW, &count);
    if (status != SEQ_OK) {
        return status;
    }
    p->input = calloc(count + 1, sizeof *p->input);
    if (p->input == NULL) {
        return no_memory(l);
    }
    p->inputs = count;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = s->offset + 8 + i * ROW * 8;
        seq_program_input *in = &p->input[i];
        in->party = get64(l, at);
        in->f = (unsigned)get64(l, at + 16);
        if (in->party >= 10) {
            return loader_refuse(l, at, "party %llu", (unsigned long long)in->party);
        }
        if (get64(l, at + 16) >= p->ring_bits) {
            return loader_refuse(l, at + 16, "f is out of range");
        }
        if ((status = read_string(l, at + 8, &in->name)) != SEQ_OK ||
            (status = read_shape(l, at + 24, &in->elements)) != SEQ_OK) {
            return status;
        }
    }
    return SEQ_OK;
}

static seq_status read_outputs(const seq_loader *l, const section *s) {
    enum { ROW = 11 };
    seq_program *p = l->p;
    uint64_t count = 0;
    seq_status status = read_count(l, s, "OUTPUTS", ROW, &count);
    if (status != SEQ_OK) {
        return status;
    }
    p->output = calloc(count + 1, sizeof *p->output);
    if (p->output == NULL) {
        return no_memory(l);
    }
    p->outputs = count;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = s->offset + 8 + i * ROW * 8;
        seq_program_output *out = &p->output[i];
        out->party = get64(l, at + 8);
        out->f = (unsigned)get64(l, at + 16);
        out->planes = (unsigned)get64(l, at + 24);
        if (out->party >= 10 && out->party != PROGRAM_ALL_PARTIES) {
            return loader_refuse(l, at + 8, "party %llu", (unsigned long long)out->party);
        }
        if (get64(l, at + 16) >= p->ring_bits || get64(l, at + 24) > p->ring_bits) {
            return loader_refuse(l, at + 16, "f or planes is out of range");
        }
        if ((status = read_string(l, at, &out->name)) != SEQ_OK ||
            (status = read_shape(l, at + 32, &out->elements)) != SEQ_OK) {
            return status;
        }
    }
    return SEQ_OK;
}

static seq_status read_lines(const seq_loader *l, const section *s) {
    seq_program *p = l->p;
    p->line = calloc(p->instrs, sizeof *p->line);
    if (p->line == NULL) {
        return no_memory(l);
    }
    for (uint64_t i = 0; i < p->instrs; i++) {
        uint64_t at = s->offset + 16 * i;
        uint32_t file = get32(l, at), scope = get32(l, at + 8);
        if (file >= p->strings || scope >= p->strings) {
            return loader_refuse(l, at, "string %u of %llu", file >= p->strings ? file : scope,
                                 (unsigned long long)p->strings);
        }
        if (get32(l, at + 12) != 0) {
            return loader_refuse(l, at + 12, "a reserved field is not zero");
        }
        p->line[i] = (seq_line){p->string[file], p->string[scope], get32(l, at + 4)};
    }
    return SEQ_OK;
}

static seq_status read_code(seq_loader *l, const section *code, const section *lines) {
    if (code->length % 8 != 0) {
        return loader_refuse(l, code->offset, "CODE is not a whole number of 64-bit words");
    }
    if (lines->length % 16 != 0) {
        return loader_refuse(l, lines->offset, "LINES is not a whole number of rows");
    }
    l->code_offset = code->offset;
    l->code_words = code->length / 8;
    l->p->words = malloc(code->length + 8);
    if (l->p->words == NULL) {
        return no_memory(l);
    }
    memcpy(l->p->words, l->bytes + code->offset, code->length);
    return loader_code(l, lines->length / 16);
}

static seq_status read_sections(seq_loader *l) {
    section s[SECTIONS + 1];
    seq_status status;
    if ((status = read_header(l)) != SEQ_OK || (status = read_table(l, s)) != SEQ_OK ||
        (status = check_hash(l)) != SEQ_OK || (status = read_meta(l, &s[META])) != SEQ_OK ||
        (status = read_pool(l, &s[POOL])) != SEQ_OK ||
        (status = read_strings(l, &s[STRINGS])) != SEQ_OK ||
        (status = read_memory(l, &s[MEMORY])) != SEQ_OK ||
        (status = read_inputs(l, &s[INPUTS])) != SEQ_OK ||
        (status = read_outputs(l, &s[OUTPUTS])) != SEQ_OK ||
        (status = read_code(l, &s[CODE], &s[LINES])) != SEQ_OK) {
        return status;
    }
    return read_lines(l, &s[LINES]);
}

seq_program *seq_program_load(const uint8_t *bytes, size_t length, seq_error_info *err) {
    seq_error error = {.party = -1, .instr = -1};
    seq_loader l = {.bytes = bytes, .length = length, .err = &error};
    l.p = calloc(1, sizeof *l.p);
    seq_status status = l.p == NULL ? no_memory(&l) : read_sections(&l);
    if (status == SEQ_OK) {
        return l.p;
    }
    seq_program_free(l.p);
    if (err != NULL) {
        err->status = (int)error.status;
        err->party = error.party;
        err->instr = error.instr;
        memcpy(err->message, error.message, sizeof err->message);
    }
    return NULL;
}

void seq_program_free(seq_program *p) {
    if (p == NULL) {
        return;
    }
    free(p->pool);
    free(p->text);
    free(p->string);
    free(p->input);
    free(p->output);
    free(p->words);
    free(p->args);
    free(p->instr);
    free(p->line);
    free(p);
}

void seq_program_hash(const seq_program *program, uint8_t out[32]) {
    memcpy(out, program->hash, 32);
}
