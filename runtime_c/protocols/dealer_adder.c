/* dealer: addition of A, known to the dealer, and B, known to the computing parties, on bits:
 * rep3's plan, of which the dealer deals the monomials; and AND gates. See dealer.h. */

#include "dealer.h"

enum { GATES = 1024 }; /* purposes for a level */

size_t dealer_adder_bytes(const dealer_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    size_t planes = a->plan.monomials;
    for (unsigned level = 0; level < a->plan.levels; level++)
        planes += rep3_plan_gates(&a->plan, level, gates);
    return planes * a->words * 8;
}

unsigned dealer_adder_openings(unsigned kind, unsigned bits) {
    rep3_plan plan;
    rep3_plan_make(&plan, kind, bits);
    return 1 + plan.levels;
}

int dealer_adder_alloc(seq_task *t, dealer_adder *a) {
    const size_t plane = a->words * 8;
    a->in = task_scratch(t, a->plan.bits * plane + 8);
    a->mask = task_scratch(t, a->plan.forms * plane + 8);
    const size_t most = rep3_plan_widest(&a->plan);
    a->value = task_scratch(t, a->plan.forms * plane + 8);
    a->opening.value = task_scratch(t, most * plane + 8);
    return a->in && a->mask && a->value && a->opening.value ? 0 : -1;
}

static uint64_t *plane_of(const dealer_adder *a, uint64_t *planes, unsigned i) {
    return planes + i * a->words;
}

/* ---- the dealer ---- */

static void deal_monomials(dealer_deal *x, const dealer_adder *a, uint64_t *product) {
    const bits_ops *bits = x->keys.t->env->bits;
    for (unsigned j = 0; j < a->plan.blocks; j++)
        for (unsigned s = 1; s < 1u << rep3_block_size(&a->plan, j); s++) {
            const unsigned low = s & -s, bit = j * REP3_BLOCK + (unsigned)__builtin_ctz(s);
            uint64_t *d = plane_of(a, product, s);
            memcpy(d, plane_of(a, a->in, bit), a->words * 8);
            if (s != low)
                bits->and_(d, d, plane_of(a, product, s ^ low), a->words);
            dealer_give(x, MASKED_BITS, DEALER_MONOMIAL + rep3_monomial(j, s), a->first, d,
                        a->words);
        }
    if (a->plan.top)
        dealer_give(x, MASKED_BITS, DEALER_MONOMIAL + a->plan.monomials - 1, a->first,
                    plane_of(a, a->in, a->plan.added), a->words);
}

/* The results' masks of a level's gates, into `next`; the last gate of a sign takes in A's top bit.
 */
static void deal_level(dealer_deal *x, const dealer_adder *a, unsigned level,
                       const rep3_gate *gates, unsigned count, uint64_t *next, uint64_t *part) {
    const bits_ops *bits = x->keys.t->env->bits;
    for (unsigned g = 0; g < count; g++) {
        const uint32_t purpose = GATES * level + g;
        uint64_t *mask = plane_of(a, next, g);
        masked_mask(&x->keys, MASKED_BITS, DEALER_GATE_MASK + purpose, a->first, mask, a->words);
        memcpy(part, mask, a->words * 8);
        bits->xorand(part, plane_of(a, a->mask, gates[g].x), plane_of(a, a->mask, gates[g].y),
                     a->words);
        if (a->plan.kind == REP3_SIGN && level + 1 == a->plan.levels)
            bits->xor_(part, part, plane_of(a, a->in, a->plan.added), a->words);
        dealer_give(x, MASKED_BITS, DEALER_GATE + purpose, a->first, part, a->words);
    }
}

/* Outputs of gates go where they belong. */
static void store_gates(const seq_env *env, const dealer_adder *a, uint64_t *forms,
                        const rep3_gate *gates, unsigned count, const uint64_t *z) {
    for (unsigned g = 0; g < count; g++) {
        uint64_t *d = plane_of(a, forms, gates[g].dst);
        if (gates[g].add)
            env->bits->xor_(d, d, z + g * a->words, a->words);
        else
            memcpy(d, z + g * a->words, a->words * 8);
    }
}

/* The first bit of a block is its part in the block plus the carry into the block. */
static void finish_sum(const seq_env *env, const dealer_adder *a, uint64_t *forms) {
    for (unsigned j = 1; a->plan.kind == REP3_SUM && j < a->plan.blocks; j++) {
        uint64_t *d = plane_of(a, forms, a->plan.s[j * REP3_BLOCK]);
        env->bits->xor_(d, d, plane_of(a, forms, a->plan.g[j - 1]), a->words);
    }
}

void dealer_adder_deal(dealer_deal *x, dealer_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    uint64_t *scratch = a->opening.value; /* the dealer opens nothing */
    deal_monomials(x, a, scratch);
    for (unsigned f = 0; f < a->plan.forms; f++)
        masked_mask(&x->keys, MASKED_BITS, DEALER_FORM + f, a->first, plane_of(a, a->mask, f),
                    a->words);
    for (unsigned level = 0; level < a->plan.levels; level++) {
        const unsigned count = rep3_plan_gates(&a->plan, level, gates);
        deal_level(x, a, level, gates, count, scratch, a->value);
        store_gates(x->keys.t->env, a, a->mask, gates, count, scratch);
    }
    finish_sum(x->keys.t->env, a, a->mask);
}

/* ---- the computing parties ---- */

typedef struct {
    rep3_forms io; /* first: the plan hands out a pointer to it */
    const dealer_deal *x;
    const dealer_adder *a;
} form_job;

static void load_monomial(const rep3_forms *io, unsigned monomial, uint64_t *out, size_t i,
                          size_t n) {
    const form_job *job = (const form_job *)io;
    const dealer_adder *a = job->a;
    const unsigned me = job->x->keys.t->env->me;
    if (me == dealer_last(job->x->keys.t))
        memcpy(out, a->monomials + (monomial * a->words + i) * 8, n * 8);
    else
        prg_words(&job->x->keys.part[me], DEALER_MONOMIAL + monomial, a->first + i, out, n);
}

static void emit(const rep3_forms *io, unsigned form, const uint64_t *part, size_t i, size_t n) {
    const form_job *job = (const form_job *)io;
    const dealer_adder *a = job->a;
    uint64_t *mask = plane_of(a, a->mask, form) + i;
    masked_mask(&job->x->keys, MASKED_BITS, DEALER_FORM + form, a->first + i, mask, n);
    job->x->keys.t->env->bits->xor_(plane_of(a, a->opening.value, form) + i, part, mask, n);
}

static void form_blocks(void *arg, size_t begin, size_t end) {
    const form_job *job = arg;
    const size_t words = job->a->words;
    for (size_t j = begin; j < end; j++)
        for (size_t i = 0; i < words; i += REP3_FORM_WORDS)
            rep3_plan_forms(&job->a->plan, (unsigned)j, &job->io, i,
                            words - i < REP3_FORM_WORDS ? words - i : REP3_FORM_WORDS);
}

static int open_planes(seq_task *t, dealer_adder *a, unsigned planes) {
    a->opening.kind = MASKED_BITS;
    a->opening.to = MASKED_ONLINE;
    a->opening.n = planes * a->words;
    a->opening.stage = 0;
    return masked_open(t, &a->opening);
}

static int open_forms(dealer_deal *x, dealer_adder *a) {
    const int one = x->keys.t->env->me == 0;
    const form_job job = {{load_monomial, emit, a->in, a->words, one}, x, a};
    a->monomials = x->at;
    if (x->keys.t->env->me == dealer_last(x->keys.t))
        x->at += a->plan.monomials * a->words * 8;
    par_for(x->keys.t->env->pool, a->plan.blocks ? a->plan.blocks : 1, 1, form_blocks,
            (void *)&job);
    return open_planes(x->keys.t, a, a->plan.forms);
}

static int open_level(dealer_deal *x, dealer_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    const unsigned count = rep3_plan_gates(&a->plan, a->level, gates);
    for (unsigned g = 0; g < count; g++) {
        uint64_t *d = plane_of(a, a->opening.value, g);
        dealer_get(x, MASKED_BITS, DEALER_GATE + GATES * a->level + g, a->first, d, a->words);
        masked_gate(x->keys.t, d, plane_of(a, a->value, gates[g].x),
                    plane_of(a, a->mask, gates[g].x), plane_of(a, a->value, gates[g].y),
                    plane_of(a, a->mask, gates[g].y), a->words);
    }
    return open_planes(x->keys.t, a, count);
}

static void take_level(dealer_deal *x, dealer_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    const unsigned count = rep3_plan_gates(&a->plan, a->level, gates);
    uint64_t *z = a->opening.value;
    store_gates(x->keys.t->env, a, a->value, gates, count, z);
    for (unsigned g = 0; g < count; g++)
        masked_mask(&x->keys, MASKED_BITS, DEALER_GATE_MASK + GATES * a->level + g, a->first,
                    plane_of(a, z, g), a->words);
    store_gates(x->keys.t->env, a, a->mask, gates, count, z);
}

/* The sign of a sum, and its bits, have B's bits in them. */
static int finish(const seq_env *env, dealer_adder *a) {
    const unsigned sum = a->plan.kind == REP3_SUM;
    finish_sum(env, a, a->value);
    finish_sum(env, a, a->mask);
    for (unsigned i = 0; i < (sum ? a->plan.bits : a->plan.kind == REP3_SIGN); i++) {
        uint64_t *d = plane_of(a, a->value, rep3_plan_result(&a->plan, i));
        env->bits->xor_(d, d, plane_of(a, a->in, sum ? i : a->plan.added), a->words);
    }
    return TASK_DONE;
}

int dealer_adder_step(dealer_deal *x, dealer_adder *a) {
    if (!a->waiting) {
        a->waiting = 1;
        return open_forms(x, a);
    }
    const int status = masked_open(x->keys.t, &a->opening);
    if (status != TASK_DONE)
        return status;
    if (a->waiting == 1) {
        a->waiting = 2;
        memcpy(a->value, a->opening.value, a->plan.forms * a->words * 8);
    } else {
        take_level(x, a);
        a->level++;
    }
    return a->level == a->plan.levels ? finish(x->keys.t->env, a) : open_level(x, a);
}

const uint64_t *dealer_adder_value(const dealer_adder *a, unsigned i) {
    return plane_of(a, a->value, rep3_plan_result(&a->plan, i));
}

const uint64_t *dealer_adder_mask(const dealer_adder *a, unsigned i) {
    return plane_of(a, a->mask, rep3_plan_result(&a->plan, i));
}
