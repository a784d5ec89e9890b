/* Lines that a program prints: formatted here, kept until Python takes them. */
#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LIMIT ((size_t)1 << 20) /* longer lines are cut */
#define FIELD 512                    /* one formatted value at most */

struct vm_line {
    vm_line *next;
    char text[];
};

typedef struct {
    char flags[8];
    unsigned width, precision;
    int has_precision;
    char conversion; /* d u f g */
} format;

/* At most two digits. */
static unsigned number(const char **s) {
    unsigned value = 0;
    for (unsigned n = 0; n < 2 && **s >= '0' && **s <= '9'; (*s)++, n++) {
        value = value * 10 + (unsigned)(**s - '0');
    }
    return value;
}

static int format_parse(const char *s, format *f) {
    unsigned n = 0;
    memset(f, 0, sizeof *f);
    if (*s++ != '%') {
        return 0;
    }
    while (*s != 0 && strchr("-+ 0#", *s) != NULL) {
        if (n == 5) {
            return 0;
        }
        f->flags[n++] = *s++;
    }
    f->width = number(&s);
    if (*s == '.') {
        s++;
        f->has_precision = 1;
        f->precision = number(&s);
    }
    f->conversion = *s;
    return *s != 0 && strchr("dufg", *s) != NULL && s[1] == 0;
}

int format_valid(const char *fmt) {
    format f;
    return format_parse(fmt, &f);
}

static seq_status append(seq_vm *vm, vm_text *text, const char *more, size_t n) {
    if (text->length + n > text->capacity) {
        size_t capacity = 2 * (text->length + n);
        char *at = realloc(text->at, capacity);
        if (at == NULL) {
            return vm_error(vm, vm->pc, SEQ_ERR_MEMORY, -1, "no memory to print");
        }
        text->at = at;
        text->capacity = capacity;
    }
    memcpy(text->at + text->length, more, n);
    text->length += n;
    return SEQ_OK;
}

/* To the line that is being printed. */
static seq_status append_line(seq_vm *vm, const char *text, size_t n) {
    size_t room = LINE_LIMIT - 1 - vm->line.length;
    n = n < room ? n : room;
    return n == 0 ? SEQ_OK : append(vm, &vm->line, text, n);
}

/* A line for Python to take. */
static seq_status enqueue(seq_vm *vm, const char *text, size_t n) {
    vm_line *l = malloc(sizeof *l + n + 1);
    if (l == NULL) {
        return vm_error(vm, vm->pc, SEQ_ERR_MEMORY, -1, "no memory to print");
    }
    l->next = NULL;
    memcpy(l->text, n == 0 ? "" : text, n);
    l->text[n] = 0;
    (void)pthread_mutex_lock(&vm->lock);
    if (vm->lines == NULL) {
        vm->lines = l;
    } else {
        vm->lines_last->next = l;
    }
    vm->lines_last = l;
    (void)pthread_mutex_unlock(&vm->lock);
    return SEQ_OK;
}

static seq_status finish_line(seq_vm *vm) {
    vm_text *line = &vm->line;
    seq_status status = enqueue(vm, line->at, line->length);
    if (status == SEQ_OK && vm->checkpoint.folder != NULL &&
        (status = append(vm, line, "\n", 1)) == SEQ_OK) {
        status = append(vm, &vm->checkpoint.printed, line->at, line->length);
    }
    line->length = 0;
    return status;
}

seq_status print_again(seq_vm *vm) {
    const vm_text *all = &vm->checkpoint.printed;
    seq_status status = SEQ_OK;
    for (size_t at = 0; status == SEQ_OK && at < all->length;) {
        const char *end = memchr(all->at + at, '\n', all->length - at);
        size_t n = end == NULL ? all->length - at : (size_t)(end - all->at) - at;
        status = enqueue(vm, all->at + at, n);
        vm->checkpoint.resumed_lines++;
        at += n + 1;
    }
    return status;
}

seq_status print_text(seq_vm *vm, const char *text) {
    seq_status status = SEQ_OK;
    while (status == SEQ_OK && *text != 0) {
        size_t n = strcspn(text, "\n");
        status = append_line(vm, text, n);
        text += n;
        if (status == SEQ_OK && *text == '\n') {
            status = finish_line(vm);
            text++;
        }
    }
    return status;
}

void print_end(seq_vm *vm) {
    if (vm->line.length > 0) {
        (void)finish_line(vm);
    }
}

/* Decimal digits of v with a sign, for the integers that printf does not know. */
static void decimal(char out[48], unsigned __int128 v, const char *sign) {
    char reversed[48];
    size_t n = 0;
    do {
        reversed[n++] = (char)('0' + (unsigned)(v % 10));
        v /= 10;
    } while (v != 0);
    size_t at = (size_t)snprintf(out, 8, "%s", sign);
    while (n > 0) {
        out[at++] = reversed[--n];
    }
    out[at] = 0;
}

static const char *sign_of(const format *f, int negative) {
    return negative ? "-" : strchr(f->flags, '+') ? "+" : strchr(f->flags, ' ') ? " " : "";
}

/* v / 2^f by the format; integers are rounded towards zero. */
static int format_value(char out[FIELD], const format *f, __int128 v, size_t word, unsigned frac) {
    char spec[40], text[48];
    int width = (int)f->width;
    if (f->conversion == 'f' || f->conversion == 'g') {
        long double scale = 1;
        for (unsigned i = 0; i < frac; i++) {
            scale *= 2;
        }
        (void)snprintf(spec, sizeof spec, "%%%s*.*L%c", f->flags, f->conversion);
        return snprintf(out, FIELD, spec, width, f->has_precision ? (int)f->precision : 6,
                        (long double)v / scale);
    }
    int negative = v < 0 && f->conversion == 'd';
    unsigned __int128 magnitude = negative ? -(unsigned __int128)v : (unsigned __int128)v;
    if (f->conversion == 'u' && word == 8) {
        magnitude = (uint64_t)v;
    }
    decimal(text, magnitude >> frac, sign_of(f, negative && magnitude >> frac != 0));
    int left = strchr(f->flags, '-') != NULL;
    if (!left && strchr(f->flags, '0') != NULL && strlen(text) < f->width) {
        int sign = (int)strspn(text, "+- "); /* zeros go between sign and digits */
        int zeros = width - (int)strlen(text);
        return snprintf(out, FIELD, "%.*s%0*d%s", sign, text, zeros, 0, text + sign);
    }
    return snprintf(out, FIELD, left ? "%-*s" : "%*s", width, text);
}

seq_status print_values(seq_vm *vm, const void *words, size_t n, unsigned f, const char *fmt) {
    format spec;
    char field[FIELD];
    if (!format_parse(fmt, &spec)) {
        return vm_error(vm, vm->pc, SEQ_ERR_OURS, -1, "a format that the loader let through");
    }
    seq_status status = n == 1 ? SEQ_OK : append_line(vm, "[", 1);
    for (size_t i = 0; i < n && status == SEQ_OK && vm->line.length + 1 < LINE_LIMIT; i++) {
        int length = format_value(field, &spec, local_word(vm, words, i), vm->program->word, f);
        status = i == 0 ? SEQ_OK : append_line(vm, " ", 1);
        if (status == SEQ_OK) {
            status = append_line(vm, field, (size_t)length < FIELD ? (size_t)length : FIELD - 1);
        }
    }
    return n == 1 || status != SEQ_OK ? status : append_line(vm, "]", 1);
}

int print_take(seq_vm *vm, char *buf, size_t capacity) {
    (void)pthread_mutex_lock(&vm->lock);
    vm_line *l = vm->lines;
    if (l != NULL) {
        vm->lines = l->next;
    }
    (void)pthread_mutex_unlock(&vm->lock);
    if (l == NULL) {
        return 0;
    }
    (void)snprintf(buf, capacity, "%s", l->text);
    free(l);
    return 1;
}

void print_destroy(seq_vm *vm) {
    while (vm->lines != NULL) {
        vm_line *l = vm->lines;
        vm->lines = l->next;
        free(l);
    }
    free(vm->line.at);
    free(vm->checkpoint.printed.at);
}
