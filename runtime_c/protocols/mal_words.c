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

void mal_components(const mal_part *part, uint64_t *const dealt[2], const uint64_t *third,
                    const uint64_t *c[2]) {
    c[0] = part->role == REP3_P1 ? dealt[0] : part->role == REP3_P2 ? dealt[1] : third;
    c[1] = part->role == REP3_P1 ? dealt[1] : part->role == REP3_P2 ? third : dealt[0];
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
    dzk_segment *s[3];
    if (dzk_add_product(t, &mal_of(t)->log, DZK_WORDS, p->number, p->n, s) < 0)
        return TASK_ERROR;
    const size_t bytes = p->n * 8;
    uint64_t *next = s[DZK_V]->x[2], *prev = s[DZK_W]->x[2], *z = (uint64_t *)send;
    prg_words(&part->keys.next, MAL_ZERO + p->number, p->address, next, p->n);
    prg_words(&part->keys.prev, MAL_ZERO + p->number, p->address, prev, p->n);
    product_part(z, next, prev, p->x[0], p->x[1], p->y[0], p->y[1], p->n);
    for (unsigned k = 0; k < 2; k++) {
        memcpy(s[DZK_P]->x[2 * k], p->x[k], bytes);
        memcpy(s[DZK_P]->x[2 * k + 1], p->y[k], bytes);
    }
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

/* ---- products of dealt words and words that P2 and P3 know ---- */

/* z = u t - s. */
REP3_KERNEL static void masked_product(uint64_t *restrict z, const uint64_t *restrict u,
                                       const uint64_t *restrict t, const uint64_t *restrict s,
                                       size_t n) {
    for (size_t i = 0; i < n; i++)
        z[i] = u[i] * t[i] - s[i];
}

/* P2: w t - s2 to P1; P3: v t - s3; component 3 is s2 + s3. Statements, V's part before W's: P2: w
 * t = z2 + s2; P3: t v = s3 + z1. */
static int third_part(seq_task *t, const mal_part *part, mal_third *p) {
    dzk_log *log = &mal_of(t)->log;
    const int p2 = part->role == REP3_P2;
    const unsigned number = 32 + p->number, peer = (p2 ? rep3_prev : rep3_next)(t->env->me);
    const prg_key *key = p2 ? &part->keys.next : &part->keys.prev;
    const size_t bytes = p->n * 8;
    dzk_segment *own = dzk_add(t, log, DZK_WORDS, DZK_P, number, p->n, DZK_FIRST | DZK_LAST);
    dzk_segment *other = dzk_add(t, log, DZK_WORDS, p2 ? DZK_V : DZK_W, number, p->n, DZK_CLAIM);
    uint64_t *send = (uint64_t *)task_send(t, peer, bytes);
    uint64_t *z = p->z[p2 ? 0 : 1], *third = p->z[p2 ? 1 : 0], *mask = mal_words(t, p->n);
    if (!own || !other || !send || !mask)
        return TASK_ERROR;
    memcpy(own->x[p2 ? 0 : 3], p->dealt[p2 ? 1 : 0], bytes);
    memcpy(own->x[p2 ? 3 : 0], p->third, bytes);
    other->x[p2 ? 0 : 1] = own->x[p2 ? 3 : 0];
    prg_words(key, MAL_THIRD + p->number, p->address, p2 ? mask : other->x[2], p->n);
    prg_words(key, MAL_THIRD + 2 + p->number, p->address, p2 ? other->x[2] : mask, p->n);
    masked_product(send, p->dealt[p2 ? 1 : 0], p->third, mask, p->n);
    vm_cheat(t->env, "product", send, bytes);
    memcpy(z, send, bytes);
    memcpy(third, mask, bytes);
    add_to(third, other->x[2], p->n);
    return TASK_WAIT;
}

int mal_third_send(seq_task *t, const mal_part *part, mal_third *p) {
    dzk_log *log = &mal_of(t)->log;
    const size_t bytes = p->n * 8;
    for (unsigned k = 0; k < 2; k++)
        if (!(p->z[k] = mal_words(t, p->n)))
            return TASK_ERROR;
    if (part->role != REP3_P1)
        return third_part(t, part, p);
    const unsigned number = 32 + p->number;
    p->v = dzk_add(t, log, DZK_WORDS, DZK_V, number, p->n, DZK_FIRST | DZK_CLAIM);
    p->w = dzk_add(t, log, DZK_WORDS, DZK_W, number, p->n, DZK_SECOND | DZK_CLAIM);
    if (!p->v || !p->w)
        return TASK_ERROR;
    memcpy(p->v->x[0], p->dealt[1], bytes);
    memcpy(p->w->x[1], p->dealt[0], bytes);
    task_expect(t, rep3_next(t->env->me), bytes);
    task_expect(t, rep3_prev(t->env->me), bytes);
    return TASK_WAIT;
}

void mal_third_take(seq_task *t, const mal_part *part, mal_third *p) {
    if (part->role != REP3_P1)
        return;
    memcpy(p->z[0], task_received(t, rep3_prev(t->env->me)), p->n * 8);
    memcpy(p->z[1], task_received(t, rep3_next(t->env->me)), p->n * 8);
    memcpy(p->w->x[2], p->z[0], p->n * 8);
    memcpy(p->v->x[2], p->z[1], p->n * 8);
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

/* V's a and b: minus twice the scaled bits; W's b' and a': the bits. A second term's are NULL if
 * there is one term. */
static void deal_left(const mal_deal *d, uint64_t *const side[2]) {
    for (unsigned k = 0; k < d->terms; k++) {
        memset(side[k], 0, d->n * 8);
        scaled(side[k], d->bit_v[k], 0 - 2 * d->scale[k], d->n);
    }
}

static void deal_right(const mal_deal *d, uint64_t *const side[2]) {
    for (unsigned k = 0; k < d->terms; k++)
        memcpy(side[1 - k], d->bit_w[k], d->n * 8);
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
    const unsigned two = d->terms > 1 ? DZK_FIRST | DZK_SECOND : 0;
    const unsigned arrays[3] = {[REP3_P1] =
                                    DZK_FIRST | DZK_LAST | (two ? DZK_SECOND | DZK_CLAIM : 0),
                                [REP3_P2] = DZK_SECOND | DZK_CLAIM | two,
                                [REP3_P3] = DZK_FIRST | DZK_CLAIM | two};
    dzk_segment *s =
        dzk_add(t, &mal_of(t)->log, DZK_WORDS, as[role], 16 + d->number, d->n, arrays[role]);
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
        deal_left(d, s->x);
        deal_right(d, s->x + 2);
    } else if (role == REP3_P2) {
        memcpy(d->dealt[1], message, d->n * 8);
        deal_right(d, s->x);
        deal_claim(d, s->x[2], d->dealt[1], d->bit_w);
    } else {
        deal_left(d, s->x);
        deal_claim(d, s->x[2], d->dealt[0], d->bit_v);
    }
    return 0;
}
