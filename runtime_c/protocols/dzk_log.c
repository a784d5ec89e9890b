/* Distributed proofs: the log of statements. */

#include "dzk.h"

#include <stdlib.h>

void dzk_log_init(dzk_log *log, unsigned stat) {
    memset(log, 0, sizeof *log);
    const int lowered = stat == 4 || stat == 8;
    log->degree[DZK_WORDS] = lowered ? stat : 48;
    log->degree[DZK_BITS] = lowered ? stat : 64;
}

enum { BLOCK_WORDS = 1 << 20 };

void *dzk_log_words(dzk_log *log, size_t n) {
    n = (n + 7) / 8 * 8;
    dzk_block **link = &log->blocks;
    while (*link && (*link)->words - (*link)->used < n)
        link = &(*link)->next;
    if (!*link) {
        dzk_block *b = calloc(1, sizeof *b);
        const size_t words = n > BLOCK_WORDS ? n : BLOCK_WORDS;
        if (!b || !(b->data = aligned_alloc(64, words * 8))) {
            free(b);
            return NULL;
        }
        b->words = words;
        *link = b;
    }
    dzk_block *b = *link;
    b->used += n;
    return b->data + b->used - n;
}

/* All segments are gone. */
void dzk_log_clear(dzk_log *log) {
    for (dzk_block *b = log->blocks; b; b = b->next)
        b->used = 0;
    memset(log->segments, 0, sizeof log->segments);
    memset(log->words, 0, sizeof log->words);
    log->matrices = NULL;
}

void dzk_log_free(dzk_log *log) {
    for (dzk_block *b = log->blocks, *next; b; b = next) {
        next = b->next;
        prg_wipe(b->data, b->words * 8);
        free(b->data);
        free(b);
    }
    memset(log, 0, sizeof *log);
}

static void order_of(uint64_t order[2], const seq_task *t, unsigned number) {
    order[0] = t->call.instance << 16 | t->call.sub;
    order[1] = (uint64_t)t->chunk << 32 | number;
}

dzk_segment *dzk_add(seq_task *t, dzk_log *log, unsigned ring, unsigned role, unsigned number,
                     size_t n, unsigned arrays) {
    dzk_segment *s = dzk_log_words(log, (sizeof *s + 7) / 8);
    int failed = !s;
    if (s)
        memset(s, 0, sizeof *s);
    for (unsigned k = 0; s && k < 4; k++)
        if (arrays >> k & 1)
            failed |= !(s->x[k] = dzk_log_words(log, n));
    if (failed) {
        (void)task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for what is to be verified");
        return NULL;
    }
    order_of(s->order, t, number);
    s->n = n;
    s->next = log->segments[ring][role];
    log->segments[ring][role] = s;
    log->words[ring][role] += n;
    return s;
}

int dzk_add_product(seq_task *t, dzk_log *log, unsigned ring, unsigned number, size_t n,
                    dzk_segment *s[3]) {
    const unsigned all = DZK_FIRST | DZK_SECOND | DZK_CLAIM | DZK_LAST;
    for (unsigned role = 0; role < 3; role++)
        if (!(s[role] = dzk_add(t, log, ring, role, number, n, role == DZK_P ? all : DZK_CLAIM)))
            return TASK_ERROR;
    for (unsigned k = 0; k < 2; k++) {
        s[DZK_V]->x[k] = s[DZK_P]->x[2 + k];
        s[DZK_W]->x[k] = s[DZK_P]->x[k];
    }
    return 0;
}

dzk_matrix *dzk_add_matrix(seq_task *t, dzk_log *log, size_t nx, size_t ny, size_t nz) {
    dzk_matrix *m = dzk_log_words(log, (sizeof *m + 7) / 8);
    int failed = !m;
    if (m)
        memset(m, 0, sizeof *m);
    for (unsigned c = 0; m && c < 2; c++) {
        failed |= !(m->x[c] = dzk_log_words(log, nx));
        failed |= !(m->y[c] = dzk_log_words(log, ny));
        failed |= !(m->c[c] = dzk_log_words(log, nz));
    }
    if (failed) {
        (void)task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for what is to be verified");
        return NULL;
    }
    order_of(m->order, t, 0);
    m->op = t->call.op;
    memcpy(m->arg, t->call.arg, sizeof m->arg);
    m->nx = nx;
    m->ny = ny;
    m->nz = nz;
    m->next = log->matrices;
    log->matrices = m;
    return m;
}

int dzk_empty(const dzk_log *log) {
    size_t n = 0;
    for (unsigned ring = 0; ring < DZK_RINGS; ring++)
        for (unsigned role = 0; role < 3; role++)
            n += log->words[ring][role];
    return n == 0 && log->matrices == NULL;
}
