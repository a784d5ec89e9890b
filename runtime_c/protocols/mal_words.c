/* rep3-mal: what its operations are made of: ranges, products and dealt words, each with the
 * statements that it leaves in the log. */

#include "mal.h"

#include <stdlib.h>

/* ---- ranges ---- */

static size_t third_end(size_t blocks, unsigned r) {
    return blocks * (r + 1) / 3;
}

void mal_partition(mal_part *part, const seq_task *t) {
    const size_t n = t->end, blocks = (n + 63) / 64;
    unsigned r = 0;
    while (third_end(blocks, r) <= t->begin)
        r++;
    const size_t end = third_end(blocks, r);
    const size_t hi = end - t->begin < MAL_CHUNK ? end : t->begin + MAL_CHUNK;
    rep3_derive(&part->keys, t);
    part->role = rep3_role(t->env->me, r);
    part->n = n;
    part->first = 64 * t->begin;
    part->count = (64 * hi < n ? 64 * hi : n) - part->first;
    part->words = hi - t->begin;
}

void mal_start(seq_vm *vm, const seq_call *call, size_t n, unsigned rounds, task_step step,
               size_t state_bytes) {
    if (n > REP3_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "rep3-mal works on at most %zu elements in one instruction, not %zu",
                      REP3_MAX_ELEMENTS, n);
        return;
    }
    if (!call->parent) {
        call_rounds(vm, call, n ? rounds : 0);
        mal_account(vm, call);
    }
    const size_t blocks = (n + 63) / 64;
    uint32_t chunk = 0;
    for (size_t c = 0; 3 * c < blocks + 3 * MAL_CHUNK; c += MAL_CHUNK)
        for (unsigned r = 0; r < 3; r++) {
            const size_t begin = blocks * r / 3 + c;
            if (begin < third_end(blocks, r))
                task_create(vm, call, chunk, begin, n, step, state_bytes);
            chunk++;
        }
}

uint64_t *mal_words(seq_task *t, size_t n) {
    uint64_t *x = task_scratch(t, n * 8 + 64);
    if (x)
        memset(x, 0, n * 8);
    return x;
}

void mal_components(const mal_part *part, uint64_t *const dealt[2], uint64_t *zero,
                    const uint64_t *c[2]) {
    c[0] = part->role == REP3_P1 ? dealt[0] : part->role == REP3_P2 ? dealt[1] : zero;
    c[1] = part->role == REP3_P1 ? dealt[1] : part->role == REP3_P2 ? zero : dealt[0];
}

/* ---- products ---- */

REP3_KERNEL static void product_part(uint64_t *restrict z, const uint64_t *restrict next,
                                     const uint64_t *restrict prev, const uint64_t *x0,
                                     const uint64_t *x1, const uint64_t *y0, const uint64_t *y1,
                                     size_t n) {
    for (size_t i = 0; i < n; i++)
        z[i] = x0[i] * (y0[i] + y1[i]) + x1[i] * y0[i] + next[i] - prev[i];
}

REP3_KERNEL static void add_to(uint64_t *restrict d, const uint64_t *restrict a, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] += a[i];
}

REP3_KERNEL static void take_from(uint64_t *restrict d, const uint64_t *restrict a, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] -= a[i];
}

REP3_KERNEL static void subtract_product(uint64_t *restrict d, const uint64_t *a, const uint64_t *b,
                                         size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] -= a[i] * b[i];
}

int mal_product_send(seq_task *t, const mal_part *part, mal_product *p, uint8_t *send) {
    dzk_log *log = &mal_of(t)->log;
    dzk_segment *as_p = dzk_add(t, log, DZK_WORDS, DZK_P, p->number, p->n);
    dzk_segment *as_v = dzk_add(t, log, DZK_WORDS, DZK_V, p->number, p->n);
    dzk_segment *as_w = dzk_add(t, log, DZK_WORDS, DZK_W, p->number, p->n);
    if (!as_p || !as_v || !as_w)
        return TASK_ERROR;
    const size_t bytes = p->n * 8;
    uint64_t *next = as_v->x[2], *prev = as_w->x[2], *z = (uint64_t *)send;
    prg_words(&part->keys.next, MAL_ZERO + p->number, p->address, next, p->n);
    prg_words(&part->keys.prev, MAL_ZERO + p->number, p->address, prev, p->n);
    product_part(z, next, prev, p->x[0], p->x[1], p->y[0], p->y[1], p->n);
    memcpy(as_p->x[0], p->x[0], bytes);
    memcpy(as_p->x[1], p->y[0], bytes);
    memcpy(as_p->x[2], p->x[1], bytes);
    memcpy(as_p->x[3], p->y[1], bytes);
    memcpy(as_v->x[0], p->x[1], bytes);
    memcpy(as_v->x[1], p->y[1], bytes);
    memcpy(as_w->x[0], p->x[0], bytes);
    memcpy(as_w->x[1], p->y[0], bytes);
    subtract_product(next, p->x[1], p->y[1], p->n);
    for (size_t i = 0; i < p->n; i++)
        prev[i] = 0 - prev[i];
    if (p->e[0]) {
        add_to(z, p->e[0], p->n);
        take_from(next, p->e[1], p->n);
    }
    p->pending = next;
    vm_cheat(t->env, "product", z, bytes);
    memcpy(p->z[0], z, bytes);
    return 0;
}

void mal_product_take(mal_product *p, const uint8_t *received) {
    memcpy(p->z[1], received, p->n * 8);
    add_to(p->pending, p->z[1], p->n);
}

/* ---- dealt words ---- */

void mal_expand(uint64_t *d, const uint64_t *plane, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = plane[i / 64] >> i % 64 & 1;
}

/* d (+)= factor * bit. */
REP3_KERNEL static void scaled(uint64_t *restrict d, const uint64_t *restrict bit, uint64_t factor,
                               size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] += factor * bit[i];
}

REP3_KERNEL static void xor_scaled(uint64_t *restrict d, const uint64_t *restrict a,
                                   const uint64_t *restrict b, uint64_t factor, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] += factor * (a[i] ^ b[i]);
}

/* V's a and b: minus twice the scaled bits; W's b' and a': the bits. */
static void deal_left(const mal_deal *d, uint64_t *a, uint64_t *b) {
    memset(a, 0, d->n * 8);
    memset(b, 0, d->n * 8);
    scaled(a, d->bit_v[0], 0 - 2 * d->scale[0], d->n);
    if (d->terms > 1)
        scaled(b, d->bit_v[1], 0 - 2 * d->scale[1], d->n);
}

static void deal_right(const mal_deal *d, uint64_t *a2, uint64_t *b2) {
    memcpy(b2, d->bit_w[0], d->n * 8);
    if (d->terms > 1)
        memcpy(a2, d->bit_w[1], d->n * 8);
    else
        memset(a2, 0, d->n * 8);
}

static void deal_claim(const mal_deal *d, uint64_t *c, const uint64_t *part,
                       const uint64_t *const bit[2]) {
    memcpy(c, part, d->n * 8);
    for (unsigned k = 0; k < d->terms; k++)
        scaled(c, bit[k], 0 - d->scale[k], d->n);
}

int mal_deal_words(seq_task *t, const mal_part *part, const mal_deal *d, uint8_t *message) {
    static const unsigned as[3] = {[REP3_P1] = DZK_P, [REP3_P2] = DZK_W, [REP3_P3] = DZK_V};
    const unsigned role = part->role;
    dzk_segment *s = dzk_add(t, &mal_of(t)->log, DZK_WORDS, as[role], 16 + d->number, d->n);
    if (!s)
        return TASK_ERROR;
    if (role != REP3_P2)
        prg_words(role == REP3_P1 ? &part->keys.prev : &part->keys.next, MAL_DEAL + d->number,
                  d->address, d->dealt[0], d->n);
    if (role == REP3_P1) {
        uint64_t *w = d->dealt[1];
        memset(w, 0, d->n * 8);
        for (unsigned k = 0; k < d->terms; k++)
            xor_scaled(w, d->bit_v[k], d->bit_w[k], d->scale[k], d->n);
        take_from(w, d->dealt[0], d->n);
        vm_cheat(t->env, "dealt", w, d->n * 8);
        memcpy(message, w, d->n * 8);
        deal_left(d, s->x[0], s->x[1]);
        deal_right(d, s->x[2], s->x[3]);
    } else if (role == REP3_P2) {
        memcpy(d->dealt[1], message, d->n * 8);
        deal_right(d, s->x[0], s->x[1]);
        deal_claim(d, s->x[2], d->dealt[1], d->bit_w);
    } else {
        deal_left(d, s->x[0], s->x[1]);
        deal_claim(d, s->x[2], d->dealt[0], d->bit_v);
    }
    return 0;
}
