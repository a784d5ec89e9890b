/* shamir: linear combinations, dealings, exchanges and multiplications. See shamir.h. */

#include "shamir.h"

#include <stdlib.h>

size_t shamir_size(unsigned type) {
    return type == SHAMIR_NUMBER ? sizeof(field)
           : type == SHAMIR_BITS ? sizeof(shamir_block)
                                 : sizeof(uint64_t);
}

/* ---- linear combinations with public coefficients ---- */

typedef field loose __attribute__((aligned(8)));

SHAMIR_KERNEL static void combine_numbers(field *d, const field *coefficient, const void *const *in,
                                          unsigned m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        field_sum sum = {0};
        for (unsigned j = 0; j < m; j++)
            field_sum_add(&sum, ((const loose *)in[j])[i] & FIELD_P, coefficient[j]);
        d[i] = field_sum_value(&sum);
    }
}

/* sum ^= c a, c of four bits. */
static inline void block_add(shamir_block *sum, shamir_block a, unsigned c) {
    for (; c; c >>= 1) {
        for (unsigned k = 0; k < 4; k++)
            sum->w[k] ^= a.w[k] & -(uint64_t)(c & 1);
        a = (shamir_block){{a.w[3], a.w[0] ^ a.w[3], a.w[1], a.w[2]}};
    }
}

SHAMIR_KERNEL static void combine_blocks(shamir_block *d, const field *coefficient,
                                         const void *const *in, unsigned m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        shamir_block sum = {{0}};
        for (unsigned j = 0; j < m; j++)
            block_add(&sum, ((const shamir_block *)in[j])[i], (unsigned)coefficient[j]);
        d[i] = sum;
    }
}

static void combine_ext(uint64_t *d, const field *coefficient, const void *const *in, unsigned m,
                        size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        for (unsigned j = 0; j < m; j++) {
            uint64_t a;
            memcpy(&a, (const uint8_t *)in[j] + 8 * i, 8);
            sum ^= gf_mul(64, a, (uint64_t)coefficient[j]);
        }
        d[i] = sum;
    }
}

void shamir_combine(unsigned type, void *d, const field *coefficient, const void *const *in,
                    unsigned m, size_t n) {
    if (type == SHAMIR_NUMBER)
        combine_numbers(d, coefficient, in, m, n);
    else if (type == SHAMIR_BITS)
        combine_blocks(d, coefficient, in, m, n);
    else
        combine_ext(d, coefficient, in, m, n);
}

/* Polynomials of degree 6 in x, reduced by x^4 = x + 1. */
SHAMIR_KERNEL void shamir_block_mul(shamir_block *d, const shamir_block *a, const shamir_block *b,
                                    size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t c[7] = {0};
        for (unsigned j = 0; j < 4; j++)
            for (unsigned k = 0; k < 4; k++)
                c[j + k] ^= a[i].w[j] & b[i].w[k];
        d[i] = (shamir_block){{c[0] ^ c[4], c[1] ^ c[4] ^ c[5], c[2] ^ c[5] ^ c[6], c[3] ^ c[6]}};
    }
}

/* ---- exchanges ---- */

void shamir_keys(shamir_exchange *x, seq_task *t) {
    const shamir_state *s = shamir_of(t);
    const uint32_t sub = t->call.sub | t->chunk << 16;
    x->t = t;
    for (unsigned q = 0; q < s->n; q++)
        if (q != t->env->me)
            prg_derive(&x->pair[q], &s->pair[q], t->call.instance, sub);
    prg_derive(&x->own, &s->own, t->call.instance, sub);
}

void shamir_add(shamir_exchange *x, shamir_item item) {
    x->item[x->items++] = item;
}

/* Bytes that `from` sends `to` for an item. */
static size_t item_bytes(const shamir_state *s, const shamir_item *i, unsigned from, unsigned to) {
    const size_t bytes = to < s->core ? i->count * shamir_size(i->type) : 0;
    switch (i->kind) {
    case SHAMIR_DEAL:
        return i->who == from && shamir_ahead(s, from, to) > s->t ? bytes : 0;
    case SHAMIR_RANDOM:
        return i->who == from && shamir_ahead(s, from, to) > s->t + 1 ? bytes : 0;
    case SHAMIR_KING:
        return i->who == to && from < s->core ? bytes : 0;
    case SHAMIR_OPEN:
        return from < s->core ? bytes : 0;
    default:
        return 0;
    }
}

enum { STREAM_T, STREAM_2T };

/* Elements [first, first + n) of what the item's dealer and `peer` draw together. */
static void draw(const shamir_exchange *x, const shamir_item *i, unsigned peer, unsigned which,
                 size_t first, size_t n, void *out) {
    const size_t words = shamir_size(i->type) / 8;
    const uint32_t purpose = x->t->step_no << 16 | (uint32_t)(i - x->item) << 4 | which;
    prg_words(&x->pair[peer], purpose, first * words, out, n * words);
    if (i->type == SHAMIR_NUMBER)
        for (size_t k = 0; k < n; k++)
            ((field *)out)[k] = field_from_word(((field *)out)[k] & FIELD_P);
}

typedef struct {
    _Alignas(64) uint8_t known[SHAMIR_CORE][SHAMIR_PIECE * sizeof(shamir_block)];
    _Alignas(64) uint8_t secret[SHAMIR_PIECE * sizeof(shamir_block)];
    const void *in[SHAMIR_CORE];
} dealing;

/* My share of degree 2 t as a dealer of `secret`. */
static void deal_mask(const shamir_exchange *x, const shamir_item *i, dealing *d,
                      const void *secret, size_t first, size_t n) {
    const shamir_state *s = shamir_of(x->t);
    const unsigned me = i->who;
    unsigned terms = 1;
    d->in[0] = secret;
    for (unsigned q = 0; q < s->core; q++)
        if (q != me) {
            draw(x, i, q, STREAM_2T, first, n, d->known[terms]);
            d->in[terms] = d->known[terms];
            terms++;
        }
    shamir_combine(i->type, (uint8_t *)i->out2 + first * shamir_size(i->type),
                   s->table[i->type].deal2[me], d->in, terms, n);
}

/* As the dealer: shares for me and for those who draw none, at to[]. */
static void deal_piece(const shamir_exchange *x, const shamir_item *i, dealing *d, uint8_t **to,
                       size_t first, size_t n) {
    const shamir_state *s = shamir_of(x->t);
    const shamir_table *table = &s->table[i->type];
    const unsigned me = i->who, random = i->kind == SHAMIR_RANDOM;
    const size_t at = first * shamir_size(i->type);
    if (i->kind == SHAMIR_MASK) {
        deal_mask(x, i, d, (const uint8_t *)i->value + at, first, n);
        return;
    }
    if (!random)
        d->in[0] = (const uint8_t *)i->value + at;
    for (unsigned j = random ? 0 : 1; j <= s->t; j++) {
        draw(x, i, shamir_after(s, me, j + random), STREAM_T, first, n, d->known[j]);
        d->in[j] = d->known[j];
    }
    for (unsigned q = 0; q < s->core; q++) {
        const field *c = random ? table->random[me][q] : table->deal[me][q];
        if (q == me)
            shamir_combine(i->type, (uint8_t *)i->out + at, c, d->in, s->t + 1, n);
        else if (shamir_ahead(s, me, q) > s->t + random)
            shamir_combine(i->type, to[q] + at, c, d->in, s->t + 1, n);
    }
    if (random) {
        shamir_combine(i->type, d->secret, table->random[me][s->core], d->in, s->t + 1, n);
        deal_mask(x, i, d, d->secret, first, n);
    }
}

/* What I draw of another's dealing. */
static void draw_shares(const shamir_exchange *x, const shamir_item *i) {
    const shamir_state *s = shamir_of(x->t);
    const unsigned me = x->t->env->me;
    if (i->kind >= SHAMIR_KING || me >= s->core)
        return;
    if (i->kind != SHAMIR_MASK && shamir_ahead(s, i->who, me) <= s->t + (i->kind == SHAMIR_RANDOM))
        draw(x, i, i->who, STREAM_T, 0, i->count, i->out);
    if (i->kind != SHAMIR_DEAL)
        draw(x, i, i->who, STREAM_2T, 0, i->count, i->out2);
}

int shamir_deal(shamir_exchange *x) {
    const shamir_state *s = shamir_of(x->t);
    const unsigned me = x->t->env->me;
    uint8_t *at[SHAMIR_PARTIES] = {0};
    dealing d;
    for (unsigned q = 0; q < s->n; q++) {
        size_t out = 0, in = 0;
        x->frame[q] = NULL;
        for (unsigned i = 0; q != me && i < x->items; i++) {
            out += item_bytes(s, &x->item[i], me, q);
            in += item_bytes(s, &x->item[i], q, me);
        }
        if (in)
            task_expect(x->t, q, in);
        if (out && !(x->frame[q] = at[q] = task_send(x->t, q, out)))
            return -1;
    }
    for (unsigned i = 0; i < x->items; i++) {
        const shamir_item *item = &x->item[i];
        if (item->kind < SHAMIR_KING && item->who == me)
            for (size_t first = 0; first < item->count; first += SHAMIR_PIECE) {
                const size_t left = item->count - first;
                deal_piece(x, item, &d, at, first, left < SHAMIR_PIECE ? left : SHAMIR_PIECE);
            }
        else
            draw_shares(x, item);
        for (unsigned q = 0; q < s->n; q++)
            if (at[q])
                at[q] += item_bytes(s, item, me, q);
    }
    prg_wipe(&d, sizeof d);
    return 0;
}

void shamir_send(shamir_exchange *x) {
    const shamir_state *s = shamir_of(x->t);
    const unsigned me = x->t->env->me;
    for (unsigned i = 0; i < x->items; i++) {
        const shamir_item *item = &x->item[i];
        for (unsigned q = 0; q < s->n; q++) {
            const size_t bytes = q == me ? 0 : item_bytes(s, item, me, q);
            if (bytes && item->kind >= SHAMIR_KING)
                memcpy(x->frame[q], item->value, bytes);
            if (bytes)
                x->frame[q] += bytes;
        }
    }
}

static void copy_shares(const shamir_item *i, const uint8_t *from, size_t bytes) {
    memcpy(i->out, from, bytes);
    if (i->type == SHAMIR_NUMBER)
        for (size_t k = 0; k < i->count; k++)
            ((field *)i->out)[k] = field_from_word(((field *)i->out)[k]);
}

int shamir_open(seq_task *t, unsigned type, void *out, const void *const *in, size_t count) {
    const shamir_state *s = shamir_of(t);
    const shamir_table *table = &s->table[type];
    const size_t size = shamir_size(type), words = size / 8;
    uint64_t rest[SHAMIR_PIECE * sizeof(shamir_block) / 8], differ = 0;
    for (size_t first = 0; first < count; first += SHAMIR_PIECE) {
        const size_t left = count - first, n = left < SHAMIR_PIECE ? left : SHAMIR_PIECE;
        const void *at[SHAMIR_T + 2];
        for (unsigned q = 0; q <= s->t; q++)
            at[q] = (const uint8_t *)in[q] + first * size;
        for (unsigned i = 0; i < s->t; i++) {
            at[s->t + 1] = (const uint8_t *)in[s->t + 1 + i] + first * size;
            shamir_combine(type, rest, table->check[i], at, s->t + 2, n);
            for (size_t k = 0; k < n * words; k++)
                differ |= rest[k];
        }
        shamir_combine(type, (uint8_t *)out + first * size, table->first, at, s->t + 1, n);
    }
    task_known(&differ, sizeof differ);
    task_known(out, count * size);
    return !differ ? 0
                   : task_fail(t, SEQ_ERR_CHEAT, -1,
                               "cheating detected: shares of an opened value do not fit together");
}

int shamir_take(shamir_exchange *x) {
    const shamir_state *s = shamir_of(x->t);
    const unsigned me = x->t->env->me;
    int bad = 0;
    const uint8_t *at[SHAMIR_PARTIES] = {0};
    for (unsigned q = 0; q < s->n; q++)
        if (q != me)
            at[q] = task_received(x->t, q);
    for (unsigned i = 0; i < x->items; i++) {
        const shamir_item *item = &x->item[i];
        const void *in[SHAMIR_CORE];
        for (unsigned q = 0; q < s->core; q++)
            in[q] = q == me ? item->value : at[q];
        if (item->kind == SHAMIR_KING && item->who == me)
            shamir_combine(item->type, item->out, s->table[item->type].king, in, s->core,
                           item->count);
        if (item->kind == SHAMIR_OPEN && me < s->core)
            bad |= shamir_open(x->t, item->type, item->out, in, item->count);
        for (unsigned q = 0; q < s->n; q++) {
            const size_t bytes = q == me ? 0 : item_bytes(s, item, q, me);
            if (bytes && item->kind < SHAMIR_KING)
                copy_shares(item, at[q], bytes);
            if (bytes)
                at[q] += bytes;
        }
    }
    x->items = 0;
    return bad;
}

/* ---- multiplications ---- */

/* Element i is king q's for first(q) <= i < first(q + 1). The kings' i-th elements are a group: its
 * masks are t random numbers, expanded so that any t of them are independent. */
static size_t first_of(const shamir_state *s, const shamir_product *p, unsigned king) {
    return p->n * king / s->core;
}

static size_t groups(const shamir_state *s, size_t n) {
    return (n + s->core - 1) / s->core;
}

/* Dealings of each party: t + 1 of the core's 2 t + 1 are extracted at a time. */
static size_t dealings(const shamir_state *s, size_t n) {
    return (s->t * groups(s, n) + s->t) / (s->t + 1);
}

int shamir_product_alloc(seq_task *t, shamir_product *p, unsigned type, size_t n) {
    const shamir_state *s = shamir_of(t);
    const size_t size = shamir_size(type), each = dealings(s, n) * size;
    p->type = type;
    p->dealt = task_scratch(t, s->core * each + 64);
    p->dealt2 = task_scratch(t, s->core * each + 64);
    p->mask = task_scratch(t, (s->t + 1) * each + 64);
    p->opened = task_scratch(t, groups(s, n) * size + 64);
    return p->dealt && p->dealt2 && p->mask && p->opened ? 0 : -1;
}

/* From the core's dealings, t + 1 random numbers each that nobody knows [DamgardNielsen2007]. */
static void extract(const shamir_state *s, shamir_product *p, const uint8_t *dealt) {
    const size_t count = dealings(s, p->n), size = shamir_size(p->type);
    const void *in[SHAMIR_CORE];
    field coefficient[SHAMIR_CORE];
    for (unsigned d = 0; d < s->core; d++)
        in[d] = dealt + d * count * size;
    for (unsigned u = 0; u <= s->t; u++) {
        for (unsigned d = 0; d < s->core; d++)
            coefficient[d] = s->table[p->type].power[d][u];
        shamir_combine(p->type, p->mask + u * count * size, coefficient, in, s->core, count);
    }
}

/* z += the masks, or z -= them. */
static void add_masks(const shamir_state *s, shamir_product *p, int subtract) {
    const size_t size = shamir_size(p->type), group = groups(s, p->n);
    for (unsigned q = 0; q < s->core; q++) {
        const size_t first = first_of(s, p, q), n = first_of(s, p, q + 1) - first;
        const void *in[SHAMIR_T + 1] = {p->z + first * size};
        field coefficient[SHAMIR_T + 1] = {1};
        for (unsigned k = 0; k < s->t; k++) {
            const field power = s->table[p->type].power[q][k];
            in[k + 1] = p->mask + k * group * size;
            coefficient[k + 1] = subtract && p->type == SHAMIR_NUMBER ? field_sub(0, power) : power;
        }
        shamir_combine(p->type, p->z + first * size, coefficient, in, s->t + 1, n);
    }
}

static void send_products(shamir_exchange *x, shamir_product *p) {
    const shamir_state *s = shamir_of(x->t);
    const size_t size = shamir_size(p->type), count = dealings(s, p->n);
    for (unsigned d = 0; d < s->core; d++)
        shamir_add(x, (shamir_item){.kind = SHAMIR_RANDOM,
                                    .type = p->type,
                                    .who = d,
                                    .count = count,
                                    .out = p->dealt + d * count * size,
                                    .out2 = p->dealt2 + d * count * size});
    for (unsigned q = 0; q < s->core; q++)
        shamir_add(x, (shamir_item){.kind = SHAMIR_KING,
                                    .type = p->type,
                                    .who = q,
                                    .count = first_of(s, p, q + 1) - first_of(s, p, q),
                                    .value = p->z + first_of(s, p, q) * size,
                                    .out = p->opened});
}

int shamir_multiply_all(shamir_exchange *x, shamir_product *p, unsigned count) {
    const shamir_state *s = shamir_of(x->t);
    for (unsigned i = 0; i < count; i++)
        send_products(x, &p[i]);
    if (shamir_deal(x))
        return -1;
    for (unsigned i = 0; i < count && x->t->env->me < s->core; i++) {
        extract(s, &p[i], p[i].dealt2);
        add_masks(s, &p[i], 0);
    }
    shamir_send(x);
    return 0;
}

static void return_products(shamir_exchange *x, shamir_product *p) {
    const shamir_state *s = shamir_of(x->t);
    const size_t size = shamir_size(p->type);
    const unsigned me = x->t->env->me;
    extract(s, p, p->dealt);
    if (me < s->core && first_of(s, p, me + 1) > first_of(s, p, me))
        vm_cheat(x->t->env, p->type == SHAMIR_NUMBER ? "product" : "gates", p->opened,
                 (first_of(s, p, me + 1) - first_of(s, p, me)) * size);
    for (unsigned q = 0; q < s->core; q++)
        shamir_add(x, (shamir_item){.kind = SHAMIR_DEAL,
                                    .type = p->type,
                                    .who = q,
                                    .count = first_of(s, p, q + 1) - first_of(s, p, q),
                                    .value = p->opened,
                                    .out = p->z + first_of(s, p, q) * size});
}

int shamir_return_all(shamir_exchange *x, shamir_product *p, unsigned count) {
    if (shamir_take(x))
        return -1;
    for (unsigned i = 0; i < count; i++)
        return_products(x, &p[i]);
    return shamir_deal(x);
}

void shamir_finish_all(shamir_exchange *x, shamir_product *p, unsigned count) {
    (void)shamir_take(x);
    for (unsigned i = 0; i < count; i++) {
        const size_t size = shamir_size(p[i].type);
        add_masks(shamir_of(x->t), &p[i], 1);
        for (shamir_record *r = p[i].pending; r; r = r->pending)
            memcpy(r->z, p[i].z + r->at * size, r->n * size);
        p[i].pending = NULL;
    }
}

/* ---- the log ---- */

shamir_record *shamir_record_new(seq_task *t, unsigned type, size_t nx, size_t ny, size_t n) {
    const size_t size = shamir_size(type), bytes = (nx + ny + n) * size;
    shamir_log *log = shamir_of(t)->log;
    shamir_record *r = calloc(1, sizeof *r);
    uint8_t *data = r ? malloc(bytes + 64) : NULL;
    if (!data) {
        free(r);
        (void)task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for what is to be verified");
        return NULL;
    }
    *r = (shamir_record){
        .next = log->records,
        .order = {t->call.instance << 16 | t->call.sub, (uint64_t)t->chunk << 32 | t->step_no},
        .type = type,
        .nx = nx,
        .ny = ny,
        .n = n,
        .x = data,
        .y = data + nx * size,
        .z = data + (nx + ny) * size};
    log->records = r;
    return r;
}

int shamir_remember(seq_task *t, shamir_product *p, size_t at, const void *x, const void *y,
                    size_t n) {
    const shamir_state *s = shamir_of(t);
    const size_t size = shamir_size(p->type);
    if (!s->log)
        return 0;
    s->log->length[p->type] += n;
    if (t->env->me >= s->core)
        return 0;
    shamir_record *r = shamir_record_new(t, p->type, n, n, n);
    if (!r)
        return -1;
    r->order[2] = r->at = at;
    memcpy(r->x, x, n * size);
    memcpy(r->y, y, n * size);
    r->pending = p->pending;
    p->pending = r;
    return 0;
}
