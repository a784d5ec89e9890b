/* spdz2k: openings of bits, random bits, AND. See spdz2k.h. */

#include "spdz2k.h"

enum { ROWS = 1 + SPDZ2K_DEGREE }; /* of shares and MACs, on which all that is linear acts alike */

static uint64_t *row(spdz2k_planes x, unsigned k, size_t words) {
    return k == 0 ? x.value : x.mac + (k - 1) * words;
}

static uint64_t *register_row(const seq_reg *r, unsigned k, size_t at) {
    return (uint64_t *)seq_component(r, 1 + k) + at;
}

void spdz2k_load(const seq_reg *r, size_t at, spdz2k_planes d, size_t words) {
    for (unsigned k = 0; k < ROWS; k++)
        memcpy(row(d, k, words), register_row(r, k, at), words * 8);
}

void spdz2k_store(const seq_reg *r, size_t at, spdz2k_planes x, size_t words) {
    for (unsigned k = 0; k < ROWS; k++)
        memcpy(register_row(r, k, at), row(x, k, words), words * 8);
}

void spdz2k_xor(const seq_task *t, spdz2k_planes d, spdz2k_planes x, size_t words) {
    for (unsigned k = 0; k < ROWS; k++)
        t->env->bits->xor_(row(d, k, words), row(d, k, words), row(x, k, words), words);
}

void spdz2k_xorand(const seq_task *t, spdz2k_planes d, const uint64_t *known, spdz2k_planes x,
                   size_t words) {
    for (unsigned k = 0; k < ROWS; k++)
        t->env->bits->xorand(row(d, k, words), known, row(x, k, words), words);
}

void spdz2k_xor_known(const seq_task *t, spdz2k_planes d, const uint64_t *known, size_t words) {
    const uint64_t delta = spdz2k_of(t)->delta;
    if (t->env->me == 0)
        t->env->bits->xor_(d.value, d.value, known, words);
    for (unsigned k = 0; k < SPDZ2K_DEGREE; k++)
        for (size_t i = 0; i < words; i++)
            d.mac[k * words + i] ^= known[i] & (0 - (delta >> k & 1));
}

/* ---- openings ---- */

static int open_end(seq_task *t, spdz2k_bit_opening *o) {
    spdz2k_state *s = spdz2k_of(t);
    if (masked_dealer(t))
        return TASK_DONE;
    spdz2k_record *r = spdz2k_record_bits(t, o->planes * o->words);
    if (!r)
        return TASK_ERROR;
    memcpy(r->value, o->z.value, o->planes * o->words * 8);
    for (size_t i = 0; i < o->planes; i++) {
        const size_t at = i * SPDZ2K_DEGREE * o->words;
        t->env->bits->unslice(r->bits + at, 64, o->z.mac + at, o->words, 64 * o->words, 0,
                              SPDZ2K_DEGREE);
    }
    spdz2k_record_add(o->last ? &s->checked : &s->log, r);
    return TASK_DONE;
}

int spdz2k_open_bits(seq_task *t, spdz2k_bit_opening *o) {
    const size_t n = o->planes * o->words;
    if (!o->begun) {
        o->begun = 1;
        vm_cheat(t->env, "planes", o->z.value, n * 8);
        vm_cheat(t->env, "planemac", o->z.mac, n * 8 * SPDZ2K_DEGREE);
        o->opening =
            (masked_opening){.kind = MASKED_BITS, .to = o->to, .n = n, .value = o->z.value};
    }
    const int status = masked_open(t, &o->opening);
    return status == TASK_DONE ? open_end(t, o) : status;
}

/* ---- openb and outputb ---- */

typedef struct {
    dealer_deal x;
    masked_part part;
    size_t plane, blocks;
    seq_reg a;
    spdz2k_planes mask; /* that the only receiver knows; the dealer: its value */
    spdz2k_bit_opening o;
} reveal_state;

static int reveal_begin(seq_task *t, reveal_state *s) {
    const int to = spdz2k_receiver(t), all = t->call.op == SEQ_OP_OPENB;
    const size_t n = (size_t)t->call.arg[all ? (int)SEQ_ARG_OPENB_n : (int)SEQ_ARG_OUTPUTB_n];
    spdz2k_bit_opening *o = &s->o;
    s->part = masked_elements(t, n);
    s->plane = bits_plane_words(n);
    s->blocks = (n + 63) / 64;
    s->a = t->call.reg[all ? (int)SEQ_ARG_OPENB_a : (int)SEQ_ARG_OUTPUTB_a];
    o->planes = (size_t)t->call.arg[all ? (int)SEQ_ARG_OPENB_p : (int)SEQ_ARG_OUTPUTB_p];
    o->words = s->part.words;
    o->last = 1;
    o->to = to == (int)masked_of(t)->n || to < 0 ? MASKED_ALL : MASKED_ONLINE;
    const size_t words = o->planes * o->words;
    if (o->planes > SPDZ2K_BITS)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "spdz2k opens numbers of 64 bits, not of %zu",
                         o->planes);
    if (spdz2k_alloc_bits(t, &o->z, words) || (to >= 0 && spdz2k_alloc_bits(t, &s->mask, words)) ||
        dealer_begin(&s->x, t, to >= 0 ? words * SPDZ2K_BIT_MASK_BYTES : 0))
        return TASK_ERROR;
    if (!masked_dealer(t))
        return TASK_WAIT;
    for (size_t p = 0; to >= 0 && p < o->planes; p++)
        spdz2k_mask_bits(&s->x, to, SPDZ2K_KNOWN, p * s->blocks + t->begin,
                         spdz2k_plane(s->mask, p, o->words), o->words);
    return o->to == MASKED_ONLINE ? TASK_DONE : TASK_WAIT;
}

/* Bits past the last element, where registers hold anything, stay here. */
static void cut(const reveal_state *s, spdz2k_planes x) {
    const size_t words = s->o.words, rest = s->part.count % 64;
    for (unsigned k = 0; rest && k < ROWS; k++)
        row(x, k, words)[words - 1] &= ((uint64_t)1 << rest) - 1;
}

static int reveal_shares(seq_task *t, reveal_state *s) {
    const size_t words = s->o.words;
    uint64_t *zero = task_scratch(t, words * 8 + 64);
    if (!zero)
        return -1;
    for (size_t p = 0; p < s->o.planes; p++) {
        const size_t at = p * s->plane + t->begin, address = p * s->blocks + t->begin;
        const spdz2k_planes z = spdz2k_plane(s->o.z, p, words);
        spdz2k_load(&s->a, at, z, words);
        spdz2k_xor_known(t, z, (const uint64_t *)s->a.c[0] + at, words);
        if (s->mask.value) {
            const spdz2k_planes mask = spdz2k_plane(s->mask, p, words);
            spdz2k_mask_bits(&s->x, spdz2k_receiver(t), SPDZ2K_KNOWN, address, mask, words);
            spdz2k_xor(t, z, mask, words);
        }
        masked_zero(t, MASKED_BITS, address, zero, words);
        t->env->bits->xor_(z.value, z.value, zero, words);
        cut(s, z);
    }
    return 0;
}

static void reveal_store(seq_task *t, const reveal_state *s) {
    const int to = spdz2k_receiver(t), all = t->call.op == SEQ_OP_OPENB;
    const size_t words = s->o.words;
    if (to >= 0 && to != (int)t->env->me)
        return;
    for (size_t p = 0; s->mask.value && p < s->o.planes; p++)
        t->env->bits->xor_(s->o.z.value + p * words, s->o.z.value + p * words,
                           s->mask.value + p * words, words);
    void *reg = t->call.reg[all ? (int)SEQ_ARG_OPENB_d : (int)SEQ_ARG_OUTPUTB_h].c[0];
    __int128 *out = masked_at(t->env, reg, s->part.first);
    t->env->bits->unslice(out, 128, s->o.z.value, words, s->part.count, 0, (unsigned)s->o.planes);
    for (size_t i = 0; s->o.planes == SPDZ2K_BITS && i < s->part.count; i++)
        out[i] = (int64_t)(uint64_t)out[i]; /* all bits of a number: with its sign */
}

static int reveal_step(seq_task *t) {
    reveal_state *s = t->state;
    if (t->step_no == 0)
        return reveal_begin(t, s);
    if (t->step_no == 1 && !masked_dealer(t) && (dealer_take(&s->x) || reveal_shares(t, s)))
        return TASK_ERROR;
    const int status = spdz2k_open_bits(t, &s->o);
    if (status == TASK_DONE && !(masked_dealer(t) && t->env->ahead))
        reveal_store(t, s);
    return status;
}

void spdz2k_start_reveal_bits(seq_vm *vm, const seq_call *call) {
    const int all = call->op == SEQ_OP_OPENB;
    masked_start(vm, call, (size_t)call->arg[all ? (int)SEQ_ARG_OPENB_n : (int)SEQ_ARG_OUTPUTB_n],
                 0, reveal_step, sizeof(reveal_state));
}

/* ---- random bits: masks by themselves, which n - 1 parties do not know; the same after a resume
 * ---- */

static int randbit_step(seq_task *t) {
    dealer_deal *x = t->state;
    const seq_reg *d = &t->call.reg[SEQ_ARG_RANDBIT_d];
    const size_t n = (size_t)t->call.arg[SEQ_ARG_RANDBIT_n], words = t->end - t->begin;
    const size_t planes = (size_t)t->call.arg[SEQ_ARG_RANDBIT_p];
    spdz2k_planes mask;
    if (t->step_no == 0 && dealer_begin(x, t, planes * words * SPDZ2K_BIT_MASK_BYTES))
        return TASK_ERROR;
    if (t->step_no == 0 && !masked_dealer(t))
        return TASK_WAIT;
    if ((t->step_no && dealer_take(x)) || spdz2k_alloc_bits(t, &mask, words))
        return TASK_ERROR;
    for (unsigned j = 0; j < masked_of(t)->n; j++)
        if (masked_dealer(t) || j == t->env->me)
            prg_derive(&x->keys.part[j], &masked_of(t)->program[j], t->call.instance, t->call.sub);
    for (size_t p = 0; p < planes; p++) {
        const size_t at = p * bits_plane_words(n) + t->begin;
        spdz2k_mask_bits(x, -1, SPDZ2K_MASK, p * ((n + 63) / 64) + t->begin, mask, words);
        memset((uint64_t *)d->c[0] + at, 0, words * 8);
        spdz2k_store(d, at, mask, words);
    }
    return TASK_DONE;
}

void spdz2k_start_randbit(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_RANDBIT_p] ? (size_t)call->arg[SEQ_ARG_RANDBIT_n] : 0;
    masked_start(vm, call, n, 0, randbit_step, sizeof(dealer_deal));
}

/* ---- and ---- */

typedef struct {
    dealer_deal x;
    size_t planes, plane, words, blocks; /* blocks: of the whole vector, for addressing */
    spdz2k_planes a, b;                  /* one plane */
    uint64_t *known;
    spdz2k_bit_opening o;
} and_state;

static int and_deal(seq_task *t, and_state *s) {
    const seq_reg *reg = t->call.reg;
    for (size_t p = 0; p < s->planes; p++) {
        const size_t address = p * s->blocks + t->begin, at = p * s->plane + t->begin;
        uint64_t *d = register_row(&reg[SEQ_ARG_AND_d], 0, at), *part = s->b.value;
        spdz2k_mask_bits(&s->x, -1, SPDZ2K_MASK, address, s->a, s->words);
        memcpy(part, s->a.value, s->words * 8);
        t->env->bits->xorand(part, register_row(&reg[SEQ_ARG_AND_a], 0, at),
                             register_row(&reg[SEQ_ARG_AND_b], 0, at), s->words);
        spdz2k_give_bits(&s->x, SPDZ2K_AND, address, part, s->words);
        memcpy(d, s->a.value, s->words * 8);
    }
    return TASK_DONE;
}

static int and_open(seq_task *t, and_state *s) {
    const seq_reg *reg = t->call.reg;
    for (size_t p = 0; p < s->planes; p++) {
        const size_t address = p * s->blocks + t->begin, at = p * s->plane + t->begin;
        const uint64_t *a = (const uint64_t *)reg[SEQ_ARG_AND_a].c[0] + at;
        const uint64_t *b = (const uint64_t *)reg[SEQ_ARG_AND_b].c[0] + at;
        const spdz2k_planes z = spdz2k_plane(s->o.z, p, s->words);
        spdz2k_load(&reg[SEQ_ARG_AND_a], at, s->a, s->words);
        spdz2k_load(&reg[SEQ_ARG_AND_b], at, s->b, s->words);
        t->env->bits->and_(s->known + p * s->words, a, b, s->words);
        /* The dealer gives masks first. */
        spdz2k_planes mask = z;
        spdz2k_mask_bits(&s->x, -1, SPDZ2K_MASK, address, mask, s->words);
        spdz2k_store(&reg[SEQ_ARG_AND_d], at, mask, s->words);
        spdz2k_get_bits(&s->x, SPDZ2K_AND, address, z, s->words);
        spdz2k_xorand(t, z, a, s->b, s->words);
        spdz2k_xorand(t, z, b, s->a, s->words);
    }
    return spdz2k_open_bits(t, &s->o);
}

static int and_begin(seq_task *t, and_state *s) {
    const size_t n = (size_t)t->call.arg[SEQ_ARG_AND_n];
    s->planes = (size_t)t->call.arg[SEQ_ARG_AND_p];
    s->plane = bits_plane_words(n);
    s->words = t->end - t->begin;
    s->blocks = (n + 63) / 64;
    s->o = (spdz2k_bit_opening){.to = MASKED_ONLINE, .planes = s->planes, .words = s->words};
    s->known = task_scratch(t, s->planes * s->words * 8 + 64);
    if (!s->known || spdz2k_alloc_bits(t, &s->o.z, s->planes * s->words) ||
        spdz2k_alloc_bits(t, &s->a, s->words) || spdz2k_alloc_bits(t, &s->b, s->words) ||
        dealer_begin(&s->x, t, s->planes * s->words * (SPDZ2K_BITS_BYTES + SPDZ2K_BIT_MASK_BYTES)))
        return TASK_ERROR;
    return masked_dealer(t) ? and_deal(t, s) : TASK_WAIT;
}

static int and_step(seq_task *t) {
    and_state *s = t->state;
    if (t->step_no == 0)
        return and_begin(t, s);
    if (t->step_no == 1)
        return dealer_take(&s->x) ? TASK_ERROR : and_open(t, s);
    const int status = spdz2k_open_bits(t, &s->o);
    for (size_t p = 0; status == TASK_DONE && p < s->planes; p++)
        t->env->bits->xor_((uint64_t *)t->call.reg[SEQ_ARG_AND_d].c[0] + p * s->plane + t->begin,
                           s->o.z.value + p * s->words, s->known + p * s->words, s->words);
    return status;
}

void spdz2k_start_and(seq_vm *vm, const seq_call *call) {
    const size_t planes = (size_t)call->arg[SEQ_ARG_AND_p];
    const size_t n = planes ? (size_t)call->arg[SEQ_ARG_AND_n] : 0;
    spdz2k_account(vm, call, SPDZ2K_WORD_VALUES * planes * ((n + 63) / 64));
    masked_start(vm, call, n, masked_rounds(vm), and_step, sizeof(and_state));
}
