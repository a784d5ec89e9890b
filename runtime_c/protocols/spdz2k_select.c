/* spdz2k: bits as numbers, selections. See spdz2k.h. */

#include "spdz2k.h"

/* (d + (1 - 2d) mu)(D + M) for a bit d ^ mu, under a fresh mask. */
typedef struct {
    dealer_deal x;
    masked_part part;
    size_t planes, n;                 /* b2a; elements of the whole vector */
    seq_reg b, a, d, k;               /* a.c[0] NULL: no select; k.c[0] NULL: nothing is kept */
    int kept;                         /* k is read */
    spdz2k_shares bit, product, mask; /* of a plane */
    spdz2k_word *bits, *known;        /* a plane as words; what is added to what was opened */
    spdz2k_opening o;
} bit_state;

static void as_words(const seq_task *t, const bit_state *s, unsigned component, size_t plane) {
    const uint64_t *b =
        (const uint64_t *)s->b.c[component] + plane * bits_plane_words(s->n) + s->part.first / 64;
    t->env->bits->unslice(s->bits, 128, b, s->part.words, s->part.count, 0, 1);
}

static spdz2k_word *at(const seq_task *t, const seq_reg *r, unsigned k, size_t first) {
    return masked_at(t->env, r->c[k], first);
}

/* What select_keep keeps: the mask of the bit, as a number. */
static void keep(const seq_task *t, const bit_state *s) {
    const size_t bytes = s->part.count * sizeof(spdz2k_word), first = s->part.first;
    memset(at(t, &s->k, 0, first), 0, bytes);
    memcpy(at(t, &s->k, 1, first), s->bit.value, bytes);
    if (!masked_dealer(t))
        memcpy(at(t, &s->k, 2, first), s->bit.mac, bytes);
}

static int bit_deal(seq_task *t, bit_state *s) {
    const size_t n = s->part.count, bytes = n * sizeof(spdz2k_word);
    for (size_t p = 0; p < s->planes; p++) {
        const size_t first = p * s->n + s->part.first;
        if (s->kept) {
            memcpy(s->bit.value, at(t, &s->k, 1, first), bytes);
        } else {
            as_words(t, s, 1, p);
            memcpy(s->bit.value, s->bits, bytes);
            spdz2k_give(&s->x, SPDZ2K_BIT, first, s->bit.value, n);
            if (s->k.c[0])
                keep(t, s);
        }
        if (s->a.c[0]) {
            t->env->ring->mul(s->product.value, s->bit.value, at(t, &s->a, 1, first), n);
            spdz2k_give(&s->x, SPDZ2K_CHOSEN, first, s->product.value, n);
        }
        spdz2k_mask(&s->x, -1, SPDZ2K_MASK, first, s->mask, n);
        memcpy(at(t, &s->d, 1, first), s->mask.value, bytes);
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
    const size_t n = s->part.count, first = p * s->n + s->part.first;
    const size_t bytes = n * sizeof(spdz2k_word);
    const int select = s->a.c[0] != NULL;
    if (s->kept) {
        memcpy(s->bit.value, at(t, &s->k, 1, first), bytes);
        memcpy(s->bit.mac, at(t, &s->k, 2, first), bytes);
    } else {
        spdz2k_get(&s->x, SPDZ2K_BIT, first, s->bit, n);
        if (s->k.c[0])
            keep(t, s);
    }
    if (select)
        spdz2k_get(&s->x, SPDZ2K_CHOSEN, first, s->product, n);
    spdz2k_mask(&s->x, -1, SPDZ2K_MASK, first, s->mask, n);
    memcpy(at(t, &s->d, 1, first), s->mask.value, bytes);
    memcpy(at(t, &s->d, 2, first), s->mask.mac, bytes);
    as_words(t, s, 0, p);
    const spdz2k_word *value = select ? at(t, &s->a, 0, first) : NULL;
    add_selected(s, value, select ? at(t, &s->a, 1, first) : NULL, s->bit.value, s->product.value,
                 s->mask.value, s->o.z.value + p * n);
    add_selected(s, value, select ? at(t, &s->a, 2, first) : NULL, s->bit.mac, s->product.mac,
                 s->mask.mac, s->o.z.mac + p * n);
    for (size_t i = 0; i < n; i++)
        s->known[p * n + i] = select ? s->bits[i] * value[i] : s->bits[i];
}

static int bit_begin(seq_task *t, bit_state *s) {
    const size_t n = s->part.count, all = s->planes * n;
    const size_t numbers = (size_t)!s->kept + (s->a.c[0] != NULL);
    s->bits = task_scratch(t, n * sizeof *s->bits + 64);
    s->known = task_scratch(t, all * sizeof *s->known + 64);
    s->o = (spdz2k_opening){.bits = SPDZ2K_BITS, .to = MASKED_ONLINE, .n = all};
    if (!s->bits || !s->known || spdz2k_alloc(t, &s->bit, n) || spdz2k_alloc(t, &s->product, n) ||
        spdz2k_alloc(t, &s->mask, n) || spdz2k_alloc(t, &s->o.z, all) ||
        dealer_begin(&s->x, t, all * (SPDZ2K_MASK_BYTES + numbers * SPDZ2K_NUMBER_BYTES)))
        return TASK_ERROR;
    return masked_dealer(t) ? bit_deal(t, s) : TASK_WAIT;
}

/* The operands are set when step 0 begins. */
static int bit_step(seq_task *t, size_t n, size_t planes) {
    bit_state *s = t->state;
    if (t->step_no == 0) {
        s->n = n;
        s->planes = planes;
        s->part = masked_elements(t, n);
        return bit_begin(t, s);
    }
    if (t->step_no == 1) {
        if (dealer_take(&s->x))
            return TASK_ERROR;
        for (size_t p = 0; p < s->planes; p++)
            bit_shares(t, s, p);
    }
    const int status = spdz2k_open(t, &s->o);
    const size_t count = s->part.count;
    for (size_t p = 0; status == TASK_DONE && p < s->planes; p++)
        t->env->ring->add(at(t, &s->d, 0, p * n + s->part.first), s->o.z.value + p * count,
                          s->known + p * count, count);
    return status;
}

static int select_step(seq_task *t) {
    bit_state *s = t->state;
    const seq_reg *reg = t->call.reg;
    if (t->call.op == SEQ_OP_SELECT) {
        s->b = reg[SEQ_ARG_SELECT_b];
        s->a = reg[SEQ_ARG_SELECT_a];
        s->d = reg[SEQ_ARG_SELECT_d];
        return bit_step(t, (size_t)t->call.arg[SEQ_ARG_SELECT_n], 1);
    }
    s->b = reg[SEQ_ARG_SELECT_KEPT_b];
    s->a = reg[SEQ_ARG_SELECT_KEPT_a];
    s->d = reg[SEQ_ARG_SELECT_KEPT_d];
    s->k = reg[SEQ_ARG_SELECT_KEPT_k];
    s->kept = t->call.op == SEQ_OP_SELECT_KEPT;
    return bit_step(t, (size_t)t->call.arg[SEQ_ARG_SELECT_KEPT_n], 1);
}

void spdz2k_start_select(seq_vm *vm, const seq_call *call) {
    const unsigned place = call->op == SEQ_OP_SELECT ? SEQ_ARG_SELECT_n : SEQ_ARG_SELECT_KEPT_n;
    const size_t n = (size_t)call->arg[place];
    spdz2k_account(vm, call, n);
    masked_start(vm, call, n, masked_rounds(vm), select_step, sizeof(bit_state));
}

static int b2a_step(seq_task *t) {
    bit_state *s = t->state;
    s->b = t->call.reg[SEQ_ARG_B2A_a];
    s->d = t->call.reg[SEQ_ARG_B2A_d];
    return bit_step(t, (size_t)t->call.arg[SEQ_ARG_B2A_n], (size_t)t->call.arg[SEQ_ARG_B2A_p]);
}

void spdz2k_start_b2a(seq_vm *vm, const seq_call *call) {
    const size_t p = (size_t)call->arg[SEQ_ARG_B2A_p];
    const size_t n = p ? (size_t)call->arg[SEQ_ARG_B2A_n] : 0;
    if (p && n > MASKED_MAX_ELEMENTS / p) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "spdz2k converts at most %zu bits at once",
                      MASKED_MAX_ELEMENTS);
        return;
    }
    spdz2k_account(vm, call, n * p);
    masked_start(vm, call, n, masked_rounds(vm), b2a_step, sizeof(bit_state));
}
