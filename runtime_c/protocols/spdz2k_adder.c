/* spdz2k: addition of A, known to the dealer, and public B on bits, by rep3's plan; comparisons.
 * See spdz2k.h. */

#include "spdz2k.h"

enum { GATES = 1024, ROWS = 1 + SPDZ2K_DEGREE }; /* purposes for a level; shares and MACs */

size_t spdz2k_adder_bytes(const spdz2k_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    size_t bytes =
        a->plan.monomials * SPDZ2K_BITS_BYTES + a->plan.forms * (size_t)SPDZ2K_BIT_MASK_BYTES;
    for (unsigned level = 0; level < a->plan.levels; level++)
        bytes += rep3_plan_gates(&a->plan, level, gates) *
                 (size_t)(SPDZ2K_BITS_BYTES + SPDZ2K_BIT_MASK_BYTES);
    return bytes * a->words;
}

size_t spdz2k_adder_values(unsigned kind, unsigned bits) {
    rep3_gate gates[REP3_MAX_GATES];
    rep3_plan plan;
    rep3_plan_make(&plan, kind, bits);
    size_t planes = plan.forms;
    for (unsigned level = 0; level < plan.levels; level++)
        planes += rep3_plan_gates(&plan, level, gates);
    return planes * SPDZ2K_WORD_VALUES;
}

int spdz2k_adder_alloc(seq_task *t, spdz2k_adder *a) {
    const size_t most = rep3_plan_widest(&a->plan) * a->words, forms = a->plan.forms * a->words;
    a->in = task_scratch(t, a->plan.bits * a->words * 8 + 64);
    a->value = task_scratch(t, forms * 8 + 64);
    a->known = task_scratch(t, most * 8 + 64);
    if (!a->in || !a->value || !a->known || spdz2k_alloc_bits(t, &a->mask, forms) ||
        spdz2k_alloc_bits(t, &a->o.z, most))
        return -1;
    return masked_dealer(t) ? 0 : spdz2k_alloc_bits(t, &a->monomials, a->plan.monomials * a->words);
}

static uint64_t *plane_of(const spdz2k_adder *a, uint64_t *planes, size_t i) {
    return planes + i * a->words;
}

static spdz2k_planes shared(const spdz2k_adder *a, spdz2k_planes x, size_t i) {
    return spdz2k_plane(x, i, a->words);
}

/* ---- the dealer ---- */

static void deal_monomials(dealer_deal *x, const spdz2k_adder *a, uint64_t *product) {
    const bits_ops *bits = x->keys.t->env->bits;
    for (unsigned j = 0; j < a->plan.blocks; j++)
        for (unsigned s = 1; s < 1u << rep3_block_size(&a->plan, j); s++) {
            const unsigned low = s & -s, bit = j * REP3_BLOCK + (unsigned)__builtin_ctz(s);
            uint64_t *d = plane_of(a, product, s);
            memcpy(d, plane_of(a, a->in, bit), a->words * 8);
            if (s != low)
                bits->and_(d, d, plane_of(a, product, s ^ low), a->words);
            spdz2k_give_bits(x, SPDZ2K_MONOMIAL + rep3_monomial(j, s), a->first, d, a->words);
        }
    if (a->plan.top)
        spdz2k_give_bits(x, SPDZ2K_MONOMIAL + a->plan.monomials - 1, a->first,
                         plane_of(a, a->in, a->plan.added), a->words);
}

/* The results' masks of a level's gates; the last gate of a sign takes in A's top bit. */
static void deal_level(dealer_deal *x, const spdz2k_adder *a, unsigned level,
                       const rep3_gate *gates, unsigned count) {
    const bits_ops *bits = x->keys.t->env->bits;
    uint64_t *part = a->value;
    for (unsigned g = 0; g < count; g++) {
        const uint32_t purpose = GATES * level + g;
        const spdz2k_planes mask = shared(a, a->o.z, g);
        spdz2k_mask_bits(x, -1, SPDZ2K_GATE_MASK + purpose, a->first, mask, a->words);
        memcpy(part, mask.value, a->words * 8);
        bits->xorand(part, plane_of(a, a->mask.value, gates[g].x),
                     plane_of(a, a->mask.value, gates[g].y), a->words);
        if (a->plan.kind == REP3_SIGN && level + 1 == a->plan.levels)
            bits->xor_(part, part, plane_of(a, a->in, a->plan.added), a->words);
        spdz2k_give_bits(x, SPDZ2K_GATE + purpose, a->first, part, a->words);
    }
}

/* Outputs of gates go where they belong. */
static void store_masks(const seq_task *t, const spdz2k_adder *a, const rep3_gate *gates,
                        unsigned count, spdz2k_planes z) {
    const size_t words = a->words;
    for (unsigned g = 0; g < count; g++) {
        const spdz2k_planes d = shared(a, a->mask, gates[g].dst), from = shared(a, z, g);
        if (gates[g].add && masked_dealer(t))
            t->env->bits->xor_(d.value, d.value, from.value, words);
        else if (gates[g].add)
            spdz2k_xor(t, d, from, words);
        else
            memcpy(d.value, from.value, words * 8);
        if (!gates[g].add && !masked_dealer(t))
            memcpy(d.mac, from.mac, words * 8 * SPDZ2K_DEGREE);
    }
}

/* The first bit of a block is its part in the block plus the carry into the block. */
static void finish_masks(const seq_task *t, const spdz2k_adder *a) {
    for (unsigned j = 1; a->plan.kind == REP3_SUM && j < a->plan.blocks; j++) {
        const spdz2k_planes d = shared(a, a->mask, a->plan.s[j * REP3_BLOCK]);
        const spdz2k_planes carry = shared(a, a->mask, a->plan.g[j - 1]);
        if (masked_dealer(t))
            t->env->bits->xor_(d.value, d.value, carry.value, a->words);
        else
            spdz2k_xor(t, d, carry, a->words);
    }
}

void spdz2k_adder_deal(dealer_deal *x, spdz2k_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    deal_monomials(x, a, a->o.z.value);
    for (unsigned f = 0; f < a->plan.forms; f++)
        spdz2k_mask_bits(x, -1, SPDZ2K_FORM + f, a->first, shared(a, a->mask, f), a->words);
    for (unsigned level = 0; level < a->plan.levels; level++) {
        const unsigned count = rep3_plan_gates(&a->plan, level, gates);
        deal_level(x, a, level, gates, count);
        store_masks(x->keys.t, a, gates, count, a->o.z);
    }
    finish_masks(x->keys.t, a);
}

/* ---- those who compute ---- */

/* One row of the forms: of shares or of a plane of MACs; NULL: what is public of them. */
typedef struct {
    rep3_forms io; /* first: the plan hands out a pointer to it */
    const spdz2k_adder *a;
    const uint64_t *monomials;
    uint64_t *form;
    size_t apart; /* planes from one to the next, of both */
} form_job;

static void load_monomial(const rep3_forms *io, unsigned monomial, uint64_t *out, size_t i,
                          size_t n) {
    const form_job *job = (const form_job *)io;
    if (job->monomials)
        memcpy(out, job->monomials + monomial * job->apart * job->a->words + i, n * 8);
    else
        memset(out, 0, n * 8);
}

static void emit(const rep3_forms *io, unsigned form, const uint64_t *part, size_t i, size_t n) {
    const form_job *job = (const form_job *)io;
    memcpy(job->form + form * job->apart * job->a->words + i, part, n * 8);
}

static void make_row(void *arg, size_t begin, size_t end) {
    const spdz2k_adder *a = arg;
    for (size_t k = begin; k < end; k++) {
        form_job job = {{load_monomial, emit, a->in, a->words, k == ROWS},
                        a,
                        k == ROWS ? NULL : a->monomials.value,
                        k == ROWS ? a->known : a->o.z.value,
                        1};
        if (k > 0 && k < ROWS) {
            job.monomials = a->monomials.mac + (k - 1) * a->words;
            job.form = a->o.z.mac + (k - 1) * a->words;
            job.apart = SPDZ2K_DEGREE;
        }
        for (unsigned j = 0; j < (a->plan.blocks ? a->plan.blocks : 1); j++)
            for (size_t i = 0; i < a->words; i += REP3_FORM_WORDS)
                rep3_plan_forms(&a->plan, j, &job.io, i,
                                a->words - i < REP3_FORM_WORDS ? a->words - i : REP3_FORM_WORDS);
    }
}

static int open_planes(seq_task *t, spdz2k_adder *a, unsigned planes) {
    const spdz2k_planes z = a->o.z;
    a->o = (spdz2k_bit_opening){.to = MASKED_ONLINE, .planes = planes, .words = a->words, .z = z};
    return spdz2k_open_bits(t, &a->o);
}

static int open_forms(dealer_deal *x, spdz2k_adder *a) {
    for (unsigned i = 0; i < a->plan.monomials; i++)
        spdz2k_get_bits(x, SPDZ2K_MONOMIAL + i, a->first, shared(a, a->monomials, i), a->words);
    par_for(x->keys.t->env->pool, ROWS + 1, 8, make_row, a);
    for (unsigned f = 0; f < a->plan.forms; f++) {
        spdz2k_mask_bits(x, -1, SPDZ2K_FORM + f, a->first, shared(a, a->mask, f), a->words);
        spdz2k_xor(x->keys.t, shared(a, a->o.z, f), shared(a, a->mask, f), a->words);
    }
    return open_planes(x->keys.t, a, a->plan.forms);
}

static int open_level(dealer_deal *x, spdz2k_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    const unsigned count = rep3_plan_gates(&a->plan, a->level, gates);
    const seq_task *t = x->keys.t;
    for (unsigned g = 0; g < count; g++) {
        const uint32_t purpose = GATES * a->level + g;
        const uint64_t *left = plane_of(a, a->value, gates[g].x);
        const uint64_t *right = plane_of(a, a->value, gates[g].y);
        /* The masks of the last step's monomials have had their time. */
        spdz2k_mask_bits(x, -1, SPDZ2K_GATE_MASK + purpose, a->first, shared(a, a->monomials, g),
                         a->words);
        const spdz2k_planes z = shared(a, a->o.z, g);
        spdz2k_get_bits(x, SPDZ2K_GATE + purpose, a->first, z, a->words);
        spdz2k_xorand(t, z, left, shared(a, a->mask, gates[g].y), a->words);
        spdz2k_xorand(t, z, right, shared(a, a->mask, gates[g].x), a->words);
        t->env->bits->and_(plane_of(a, a->known, g), left, right, a->words);
    }
    return open_planes(x->keys.t, a, count);
}

/* What was opened, and what is public of it. */
static const uint64_t *opened(const seq_task *t, const spdz2k_adder *a) {
    t->env->bits->xor_(a->o.z.value, a->o.z.value, a->known, a->o.planes * a->words);
    return a->o.z.value;
}

static void take_level(const seq_task *t, spdz2k_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    const unsigned count = rep3_plan_gates(&a->plan, a->level, gates);
    const uint64_t *z = opened(t, a);
    store_masks(t, a, gates, count, a->monomials);
    for (unsigned g = 0; g < count; g++) {
        uint64_t *d = plane_of(a, a->value, gates[g].dst);
        if (gates[g].add)
            t->env->bits->xor_(d, d, z + g * a->words, a->words);
        else
            memcpy(d, z + g * a->words, a->words * 8);
    }
}

/* The sign of a sum, and its bits, have B's bits in them. */
static int finish(const seq_task *t, spdz2k_adder *a) {
    const unsigned sum = a->plan.kind == REP3_SUM;
    const bits_ops *bits = t->env->bits;
    finish_masks(t, a);
    for (unsigned j = 1; sum && j < a->plan.blocks; j++) {
        uint64_t *d = plane_of(a, a->value, a->plan.s[j * REP3_BLOCK]);
        bits->xor_(d, d, plane_of(a, a->value, a->plan.g[j - 1]), a->words);
    }
    for (unsigned i = 0; i < (sum ? a->plan.bits : a->plan.kind == REP3_SIGN); i++) {
        uint64_t *d = plane_of(a, a->value, rep3_plan_result(&a->plan, i));
        bits->xor_(d, d, plane_of(a, a->in, sum ? i : a->plan.added), a->words);
    }
    return TASK_DONE;
}

int spdz2k_adder_step(dealer_deal *x, spdz2k_adder *a) {
    const seq_task *t = x->keys.t;
    if (!a->waiting) {
        a->waiting = 1;
        return open_forms(x, a);
    }
    const int status = spdz2k_open_bits(x->keys.t, &a->o);
    if (status != TASK_DONE)
        return status;
    if (a->waiting == 1) {
        a->waiting = 2;
        memcpy(a->value, opened(t, a), a->plan.forms * a->words * 8);
    } else {
        take_level(t, a);
        a->level++;
    }
    return a->level == a->plan.levels ? finish(t, a) : open_level(x, a);
}

/* ---- ltz, eqz, a2b: the sum of the mask and the masked value, on bits ---- */

typedef struct {
    dealer_deal x;
    spdz2k_adder adder;
    size_t plane; /* words in a plane of the result */
} compare_state;

static int compare_store(const seq_task *t, const compare_state *s) {
    const spdz2k_adder *a = &s->adder;
    const unsigned planes = a->plan.kind == REP3_SUM ? a->plan.bits : 1;
    const seq_reg *d = &t->call.reg[SEQ_ARG_LTZ_d];
    for (unsigned i = 0; i < planes; i++) {
        const size_t at = i * s->plane + t->begin, bytes = a->words * 8;
        const unsigned result = spdz2k_adder_result(a, i);
        const spdz2k_planes mask = shared(a, a->mask, result);
        if (masked_dealer(t)) {
            memcpy((uint64_t *)d->c[1] + at, mask.value, bytes);
        } else {
            memcpy((uint64_t *)d->c[0] + at, plane_of(a, a->value, result), bytes);
            spdz2k_store(d, at, mask, a->words);
        }
    }
    return TASK_DONE;
}

/* A is the mask, B the masked value. */
static int compare_begin(seq_task *t, compare_state *s) {
    const unsigned bits = (unsigned)t->call.arg[SEQ_ARG_LTZ_bits];
    if (bits > SPDZ2K_BITS)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "spdz2k compares numbers of 64 bits, not of %u",
                         bits);
    rep3_plan_make(&s->adder.plan, masked_addition(t->call.op), bits);
    s->adder.first = t->begin;
    s->adder.words = t->end - t->begin;
    s->plane = bits_plane_words((size_t)t->call.arg[SEQ_ARG_LTZ_n]);
    if (spdz2k_adder_alloc(t, &s->adder) || masked_addend(t, s->adder.in, s->adder.words, bits) ||
        dealer_begin(&s->x, t, spdz2k_adder_bytes(&s->adder)))
        return TASK_ERROR;
    if (!masked_dealer(t))
        return TASK_WAIT;
    spdz2k_adder_deal(&s->x, &s->adder);
    return compare_store(t, s);
}

static int compare_step(seq_task *t) {
    compare_state *s = t->state;
    if (t->step_no == 0)
        return compare_begin(t, s);
    if (t->step_no == 1 && dealer_take(&s->x))
        return TASK_ERROR;
    const int status = spdz2k_adder_step(&s->x, &s->adder);
    return status == TASK_DONE ? compare_store(t, s) : status;
}

void spdz2k_start_compare(seq_vm *vm, const seq_call *call) {
    const size_t n = (size_t)call->arg[SEQ_ARG_LTZ_n];
    const unsigned bits = (unsigned)call->arg[SEQ_ARG_LTZ_bits], kind = masked_addition(call->op);
    const unsigned openings = dealer_adder_openings(kind, bits);
    spdz2k_account(vm, call, (n + 63) / 64 * spdz2k_adder_values(kind, bits));
    masked_start(vm, call, n, openings * masked_rounds(vm), compare_step, sizeof(compare_state));
}
