/* spdz2k: bits as numbers, selections. See spdz2k.h. */

#include "spdz2k.h"

/* (d + (1 - 2d) mu)(D + M) for a bit d ^ mu, under a fresh mask. */
typedef struct {
    dealer_deal x;
    masked_part part;
    masked_choice c;
    spdz2k_shares bit, product, mask; /* of a plane */
    spdz2k_word *bits, *known;        /* a plane as words; what is added to what was opened */
    spdz2k_opening o;
} bit_state;

static void as_words(const seq_task *t, const bit_state *s, unsigned component, size_t plane) {
    const uint64_t *b = masked_choice_plane(&s->c, component, plane, s->part.first / 64);
    t->env->bits->unslice(s->bits, 128, b, s->part.words, s->part.count, 0, 1);
}

static spdz2k_word *at(const seq_task *t, const seq_reg *r, unsigned k, size_t first) {
    return masked_at(t->env, r->c[k], first);
}

/* What select_keep keeps: the mask of the bit, as a number. */
static void keep(const seq_task *t, const bit_state *s) {
    masked_choice_keep(t->env, &s->c, s->part, s->bit.value);
    if (!masked_dealer(t))
        memcpy(at(t, &s->c.k, 2, s->part.first), s->bit.mac, s->part.count * sizeof(spdz2k_word));
}

static int bit_deal(seq_task *t, bit_state *s) {
    const size_t n = s->part.count, bytes = n * sizeof(spdz2k_word);
    for (size_t p = 0; p < s->c.planes; p++) {
        const size_t first = p * s->c.n + s->part.first;
        if (s->c.kept) {
            memcpy(s->bit.value, at(t, &s->c.k, 1, first), bytes);
        } else {
            as_words(t, s, 1, p);
            memcpy(s->bit.value, s->bits, bytes);
            spdz2k_give(&s->x, SPDZ2K_BIT, first, s->bit.value, n);
            if (s->c.k.c[0])
                keep(t, s);
        }
        if (s->c.a.c[0]) {
            t->env->ring->mul(s->product.value, s->bit.value, at(t, &s->c.a, 1, first), n);
            spdz2k_give(&s->x, SPDZ2K_CHOSEN, first, s->product.value, n);
        }
        spdz2k_mask(&s->x, -1, SPDZ2K_MASK, first, s->mask, n);
        memcpy(at(t, &s->c.d, 1, first), s->mask.value, bytes);
    }
    return TASK_DONE;
}

/* Shares, or MACs, of what is opened of element i: row is 1 or 2. */
static void add_selected(const bit_state *s, const spdz2k_word *value, const spdz2k_word *share,
                         const spdz2k_word *bit, const spdz2k_word *product,
                         const spdz2k_word *mask, spdz2k_word *z) {
    for (size_t i = 0; i < s->part.count; i++) {
        const spdz2k_word d = s->bits[i], sign = 1 - 2 * d;
        const spdz2k_word chosen =
            value ? d * share[i] + sign * (bit[i] * value[i] + product[i]) : sign * bit[i];
        z[i] = chosen - mask[i];
    }
}

/* Plane p: what is opened, and the mask of the result. */
static void bit_shares(seq_task *t, bit_state *s, size_t p) {
    const size_t n = s->part.count, first = p * s->c.n + s->part.first;
    const size_t bytes = n * sizeof(spdz2k_word);
    const int select = s->c.a.c[0] != NULL;
    if (s->c.kept) {
        memcpy(s->bit.value, at(t, &s->c.k, 1, first), bytes);
        memcpy(s->bit.mac, at(t, &s->c.k, 2, first), bytes);
    } else {
        spdz2k_get(&s->x, SPDZ2K_BIT, first, s->bit, n);
        if (s->c.k.c[0])
            keep(t, s);
    }
    if (select)
        spdz2k_get(&s->x, SPDZ2K_CHOSEN, first, s->product, n);
    spdz2k_mask(&s->x, -1, SPDZ2K_MASK, first, s->mask, n);
    memcpy(at(t, &s->c.d, 1, first), s->mask.value, bytes);
    memcpy(at(t, &s->c.d, 2, first), s->mask.mac, bytes);
    as_words(t, s, 0, p);
    const spdz2k_word *value = select ? at(t, &s->c.a, 0, first) : NULL;
    add_selected(s, value, select ? at(t, &s->c.a, 1, first) : NULL, s->bit.value, s->product.value,
                 s->mask.value, s->o.z.value + p * n);
    add_selected(s, value, select ? at(t, &s->c.a, 2, first) : NULL, s->bit.mac, s->product.mac,
                 s->mask.mac, s->o.z.mac + p * n);
    for (size_t i = 0; i < n; i++)
        s->known[p * n + i] = select ? s->bits[i] * value[i] : s->bits[i];
}

static int bit_begin(seq_task *t, bit_state *s) {
    const size_t n = s->part.count, all = s->c.planes * n;
    const size_t numbers = (size_t)!s->c.kept + (s->c.a.c[0] != NULL);
    s->bits = task_scratch(t, n * sizeof *s->bits + 64);
    s->known = task_scratch(t, all * sizeof *s->known + 64);
    s->o = (spdz2k_opening){.bits = SPDZ2K_BITS, .to = MASKED_ONLINE, .n = all};
    if (!s->bits || !s->known || spdz2k_alloc(t, &s->bit, n) || spdz2k_alloc(t, &s->product, n) ||
        spdz2k_alloc(t, &s->mask, n) || spdz2k_alloc(t, &s->o.z, all) ||
        dealer_begin(&s->x, t, all * (SPDZ2K_MASK_BYTES + numbers * SPDZ2K_NUMBER_BYTES)))
        return TASK_ERROR;
    return masked_dealer(t) ? bit_deal(t, s) : TASK_WAIT;
}

static int bit_step(seq_task *t) {
    bit_state *s = t->state;
    if (t->step_no == 0) {
        masked_choice_of(&t->call, &s->c);
        s->part = masked_elements(t, s->c.n);
        return bit_begin(t, s);
    }
    if (t->step_no == 1) {
        if (dealer_take(&s->x))
            return TASK_ERROR;
        for (size_t p = 0; p < s->c.planes; p++)
            bit_shares(t, s, p);
    }
    const int status = spdz2k_open(t, &s->o);
    if (status != TASK_DONE)
        return status;
    t->env->ring->add(s->known, s->known, s->o.z.value, s->o.n);
    masked_choice_store(t->env, &s->c, s->part, s->known);
    return TASK_DONE;
}

void spdz2k_start_choice(seq_vm *vm, const seq_call *call) {
    masked_choice c;
    masked_choice_of(call, &c);
    spdz2k_account(vm, call, c.n * c.planes);
    masked_start_choice(vm, call, masked_rounds(vm), bit_step, sizeof(bit_state));
}
