/* rep4: addition of A, known to roles 0 and 1, and B, known to roles 2 and 3, on bits: rep3's plan
 * of blocks and tree. Both sides share the monomials of a block's bits; what the block generates
 * and propagates is bilinear in them ("forms"), so that four cross terms make it a replicated
 * sharing; a tree of AND gates combines the blocks. */

#include "rep4.h"

static unsigned block_size(const rep3_plan *plan, unsigned j) {
    const unsigned rest = plan->added - j * REP3_BLOCK;
    return rest < REP3_BLOCK ? rest : REP3_BLOCK;
}

/* Monomial of a non-empty subset of a block's bits. */
static unsigned monomial_of(unsigned block, unsigned subset) {
    return block * ((1u << REP3_BLOCK) - 1) + subset - 1;
}

int rep4_adder_alloc(seq_task *t, rep4_adder *ad) {
    const rep3_plan *plan = &ad->plan;
    ad->dealt = plan->monomials - plan->top + (plan->kind == REP3_SIGN);
    for (unsigned q = 0; q < 4; q++) {
        const size_t words = ad->part.blocks[q];
        if (!(ad->in[q] = task_scratch(t, (words * plan->bits + 1) * 8)))
            return -1;
        for (unsigned c = 0; c < 3; c++)
            if (!(ad->mine[q][c] = task_scratch(t, (words * ad->dealt + 1) * 8)))
                return -1;
    }
    for (unsigned c = 0; c < 3; c++)
        if (!(ad->form[c] = task_scratch(t, (ad->part.words * plan->forms + 1) * 8)))
            return -1;
    return 0;
}

REP4_KERNEL static void and_words(uint64_t *restrict d, const uint64_t *restrict a,
                                  const uint64_t *restrict b, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = a[i] & b[i];
}

REP4_KERNEL static void xor_and(uint64_t *restrict d, const uint64_t *restrict a,
                                const uint64_t *restrict b, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] ^= a[i] & b[i];
}

REP4_KERNEL static void xor_words(uint64_t *restrict d, const uint64_t *restrict a, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] ^= a[i];
}

/* ---- dealing ---- */

unsigned rep4_adder_messages(const rep4_adder *ad, rep4_messages *x) {
    const unsigned first = rep4_message(x, 0, 1, 3, 0, ad->dealt);
    (void)rep4_message(x, 2, 3, 0, 0, ad->dealt);
    return first;
}

typedef struct {
    const rep4_adder *ad;
    const seq_env *env;
    unsigned first;
    const rep4_messages *x;
} deal_job;

/* Plane i of A or B, with the mask of its own side's key; planes are made in this order. */
static void deal_plane(const deal_job *job, unsigned q, unsigned i, const uint64_t *value) {
    const rep4_adder *ad = job->ad;
    const unsigned role = rep4_role(job->env->me, q), b = role / 2;
    const unsigned masked = b ? 0 : 3, rest = b ? 1 : 2;
    const size_t n = ad->part.blocks[q];
    uint64_t *mask = ad->mine[q][rep4_at(role, masked)] + i * n;
    uint64_t *share = ad->mine[q][rep4_at(role, rest)] + i * n;
    prg_words(&ad->keys->without[rep4_at(role, masked)], (b ? REP4_PLANE_B : REP4_PLANE_A) + i,
              ad->part.first[q], mask, n);
    memcpy(share, value, n * 8);
    xor_words(share, mask, n);
    vm_cheat(job->env, "carries", share, n * 8);
    memcpy(job->x->out[q][job->first + b] + i * n * 8, share, n * 8);
}

/* The masks of the other side's planes, which role 1 and role 2 hold. */
static void other_masks(const deal_job *job, unsigned q) {
    const rep4_adder *ad = job->ad;
    const unsigned role = rep4_role(job->env->me, q), share = role == 1 ? 0 : 3;
    const size_t n = ad->part.blocks[q];
    if (role != 1 && role != 2)
        return;
    const unsigned c = rep4_at(role, share);
    for (unsigned i = 0; i < ad->dealt; i++)
        prg_words(&ad->keys->without[c], (role == 1 ? REP4_PLANE_B : REP4_PLANE_A) + i,
                  ad->part.first[q], ad->mine[q][c] + i * n, n);
}

/* All products of non-empty subsets of a block's bits. */
static void deal_block(const deal_job *job, unsigned q, unsigned j, uint64_t *products) {
    const rep4_adder *ad = job->ad;
    const unsigned size = block_size(&ad->plan, j);
    const size_t n = ad->part.blocks[q];
    for (unsigned s = 1; s < 1u << size; s++) {
        const unsigned bit = j * REP3_BLOCK + (unsigned)__builtin_ctz(s), rest = s & (s - 1);
        const uint64_t *a = ad->in[q] + bit * n;
        if (rest)
            and_words(products + s * n, products + rest * n, a, n);
        else
            memcpy(products + s * n, a, n * 8);
        deal_plane(job, q, monomial_of(j, s), products + s * n);
    }
}

/* Items: quarters. */
static void deal_quarters(void *arg, size_t begin, size_t end) {
    const deal_job *job = arg;
    const rep4_adder *ad = job->ad;
    uint64_t products[REP4_CHUNK << REP3_BLOCK];
    for (unsigned q = (unsigned)begin; q < end; q++) {
        if (!ad->part.blocks[q])
            continue;
        for (unsigned j = 0; j < ad->plan.blocks; j++)
            deal_block(job, q, j, products);
        if (ad->plan.kind == REP3_SIGN)
            deal_plane(job, q, ad->dealt - 1, ad->in[q] + (ad->plan.bits - 1) * ad->part.blocks[q]);
        other_masks(job, q);
    }
    prg_wipe(products, sizeof products);
}

void rep4_adder_fill(seq_task *t, rep4_adder *ad, const rep4_messages *x, unsigned first) {
    deal_job job = {ad, t->env, first, x};
    par_for(t->env->pool, 4, 1, deal_quarters, &job);
}

void rep4_adder_take(const seq_task *t, rep4_adder *ad, const rep4_messages *x, unsigned first) {
    for (unsigned q = 0; q < 4; q++) {
        const unsigned role = rep4_role(t->env->me, q);
        const size_t bytes = ad->part.blocks[q] * ad->dealt * 8;
        if (bytes && role == 3)
            memcpy(ad->mine[q][rep4_at(3, 2)], x->in[q][first], bytes);
        if (bytes && role == 0)
            memcpy(ad->mine[q][rep4_at(0, 1)], x->in[q][first + 1], bytes);
    }
}

const uint64_t *rep4_adder_top(const rep4_adder *ad, unsigned component, unsigned q) {
    return ad->mine[q][component] + (ad->dealt - 1) * ad->part.blocks[q];
}

/* ---- forms ---- */

enum { GENERATE, PROPAGATE, SUM_BIT };

typedef struct {
    const rep4_adder *ad;
    const seq_env *env;
    const rep4_messages *x;
} form_job;

/* One form: of the lowest i bits of block j. */
typedef struct {
    unsigned number, what, j, i;
} form;

static const uint64_t *monomial(const rep4_adder *ad, unsigned q, unsigned role, unsigned share,
                                unsigned j, unsigned subset) {
    return ad->mine[q][rep4_at(role, share)] + monomial_of(j, subset) * ad->part.blocks[q];
}

/* The products of A's monomials in share x with B's in share y. */
static void form_term(const rep4_adder *ad, unsigned q, unsigned role, const form *f, unsigned x,
                      unsigned y, uint64_t *d) {
    const size_t n = ad->part.blocks[q];
    const unsigned all = (1u << f->i) - 1;
    memset(d, 0, n * 8);
    if (f->what == PROPAGATE) { /* the product of a + b over all bits */
        for (unsigned u = 1; u < all; u++)
            xor_and(d, monomial(ad, q, role, x, f->j, u), monomial(ad, q, role, y, f->j, all ^ u),
                    n);
        return;
    }
    for (unsigned k = 0; k < f->i; k++) { /* bit k generates, all above propagate */
        const unsigned above = all & ~((2u << k) - 1), bit = 1u << k;
        for (unsigned u = above;; u = (u - 1) & above) {
            xor_and(d, monomial(ad, q, role, x, f->j, u | bit),
                    monomial(ad, q, role, y, f->j, (above ^ u) | bit), n);
            if (!u)
                break;
        }
    }
}

/* What is linear in the shares of A (2, 3) and of B (0, 1). */
static void form_linear(const rep4_adder *ad, unsigned q, unsigned role, const form *f,
                        unsigned share, uint64_t *d) {
    const size_t n = ad->part.blocks[q];
    if (f->what == GENERATE)
        memset(d, 0, n * 8);
    else
        memcpy(d,
               monomial(ad, q, role, share, f->j,
                        f->what == PROPAGATE ? (1u << f->i) - 1 : 1u << f->i),
               n * 8);
}

static uint64_t *form_at(const rep4_adder *ad, unsigned number, unsigned c, unsigned q) {
    return ad->form[c] + number * ad->part.words + ad->part.off[q];
}

/* My shares of one form in one quarter, but for what comes. */
static void make_form(const form_job *job, unsigned q, const form *f) {
    const rep4_adder *ad = job->ad;
    const unsigned role = rep4_role(job->env->me, q);
    const size_t n = ad->part.blocks[q], at = f->number * n * 8;
    uint64_t value[REP4_CHUNK], mask[REP4_CHUNK];
    for (unsigned c = 0; c < 3; c++)
        form_linear(ad, q, role, f, (role + 1 + c) % 4, form_at(ad, f->number, c, q));
    for (unsigned t = 0; t < 4; t++) {
        const unsigned x = rep4_terms[t].x, y = rep4_terms[t].y;
        if (role == y)
            continue;
        prg_words(&ad->keys->without[rep4_at(role, y)], REP4_FORM + 16 * f->number + 4 * x + y,
                  ad->part.first[q], mask, n);
        xor_words(form_at(ad, f->number, rep4_at(role, y), q), mask, n);
        if (role == x)
            continue;
        form_term(ad, q, role, f, x, y, value);
        xor_words(value, mask, n);
        vm_cheat(job->env, "forms", value, n * 8);
        xor_words(form_at(ad, f->number, rep4_at(role, x), q), value, n);
        memcpy(job->x->out[q][t] + at, value, n * 8);
    }
    prg_wipe(value, sizeof value);
    prg_wipe(mask, sizeof mask);
}

static void block_forms(const form_job *job, unsigned q, unsigned j) {
    const rep3_plan *plan = &job->ad->plan;
    const unsigned size = block_size(plan, j), sum = plan->kind == REP3_SUM;
    for (unsigned i = 0; sum && i < size; i++) {
        const unsigned bit = j * REP3_BLOCK + i;
        make_form(job, q, &(form){plan->s[bit], SUM_BIT, j, i});
        if (i && j)
            make_form(job, q, &(form){plan->pp[bit], PROPAGATE, j, i});
    }
    if (sum && j + 1 == plan->blocks)
        return;
    if (plan->kind != REP3_ZERO_TEST)
        make_form(job, q, &(form){plan->g[j], GENERATE, j, size});
    if (j || plan->kind == REP3_ZERO_TEST)
        make_form(job, q, &(form){plan->p[j], PROPAGATE, j, size});
}

/* Items: blocks and quarters. The sign of one bit has no block and one form, which is zero. */
static void make_forms(void *arg, size_t begin, size_t end) {
    const form_job *job = arg;
    for (size_t item = begin; item < end; item++) {
        const unsigned q = (unsigned)(item % 4), j = (unsigned)(item / 4);
        if (!job->ad->part.blocks[q])
            continue;
        if (job->ad->plan.blocks)
            block_forms(job, q, j);
        else
            make_form(job, q, &(form){job->ad->plan.g[0], GENERATE, 0, 0});
    }
}

int rep4_adder_forms(seq_task *t, rep4_adder *ad, rep4_messages *x) {
    x->count = 0;
    rep4_term_messages(x, 4, 0, ad->plan.forms);
    if (rep4_post(t, &ad->part, x) < 0)
        return TASK_ERROR;
    form_job job = {ad, t->env, x};
    par_for(t->env->pool, 4 * (size_t)(ad->plan.blocks ? ad->plan.blocks : 1), 1, make_forms, &job);
    rep4_vouch(t, &ad->part, ad->keys, x, REP4_ALL);
    return TASK_WAIT;
}

/* ---- gates ---- */

void rep4_and_words(const rep4_and_job *job) {
    const size_t n = job->words;
    uint64_t mask[REP4_PIECE], value[REP4_PIECE];
    for (unsigned c = 0; c < 3; c++)
        and_words(job->d[c], job->x[c], job->y[c], n);
    for (unsigned t = 0; t < 6; t++) {
        const unsigned x = rep4_terms[t].x, y = rep4_terms[t].y;
        const unsigned k = rep4_at(job->role, x), l = rep4_at(job->role, y);
        for (size_t i = 0, m; job->role != y && i < n; i += m) {
            m = n - i < REP4_PIECE ? n - i : REP4_PIECE;
            prg_words(&job->keys->without[l], job->purpose + 4 * x + y, job->address + i, mask, m);
            xor_words(job->d[l] + i, mask, m);
            if (job->role == x)
                continue;
            and_words(value, job->x[k] + i, job->y[l] + i, m);
            xor_and(value, job->x[l] + i, job->y[k] + i, m);
            xor_words(value, mask, m);
            vm_cheat(job->env, "gates", value, m * 8);
            xor_words(job->d[k] + i, value, m);
            memcpy(job->out[t] + job->at + i * 8, value, m * 8);
        }
    }
    prg_wipe(mask, sizeof mask);
    prg_wipe(value, sizeof value);
}

void rep4_add_terms(uint64_t *const d[3], unsigned role, const uint8_t *const *in, unsigned terms,
                    size_t at, size_t words) {
    for (unsigned t = 0; t < terms; t++)
        if (rep4_terms[t].y == role)
            xor_words(d[rep4_at(role, rep4_terms[t].x)], (const uint64_t *)(in[t] + at), words);
}

typedef struct {
    const rep4_adder *ad;
    const rep3_gate *gates;
    const seq_env *env;
    unsigned level;
    const rep4_messages *x;
    uint64_t *z[3]; /* results: count local planes */
} gate_job;

/* Items: gates and quarters. */
static void run_gates(void *arg, size_t begin, size_t end) {
    const gate_job *job = arg;
    const rep4_adder *ad = job->ad;
    for (size_t item = begin; item < end; item++) {
        const unsigned g = (unsigned)(item / 4), q = (unsigned)(item % 4);
        const size_t n = ad->part.blocks[q];
        rep4_and_job and = {.env = job->env,
                            .role = rep4_role(job->env->me, q),
                            .keys = ad->keys,
                            .purpose = REP4_TREE + (job->level << 17) + 16 * g,
                            .address = ad->part.first[q],
                            .words = n,
                            .out = job->x->out[q],
                            .at = g * n * 8};
        for (unsigned c = 0; c < 3; c++) {
            and.x[c] = form_at(ad, job->gates[g].x, c, q);
            and.y[c] = form_at(ad, job->gates[g].y, c, q);
            and.d[c] = job->z[c] + g * ad->part.words + ad->part.off[q];
        }
        if (n)
            rep4_and_words(&and);
    }
}

/* What came for the gates of a level, or for the forms, is added to the forms it belongs to. */
static void take_terms(const seq_task *t, rep4_adder *ad, const rep4_messages *x, unsigned terms,
                       const rep3_gate *gates, unsigned count) {
    for (unsigned q = 0; q < 4; q++)
        for (unsigned g = 0; g < count && ad->part.blocks[q]; g++) {
            const unsigned number = gates ? gates[g].dst : g;
            uint64_t *const d[3] = {form_at(ad, number, 0, q), form_at(ad, number, 1, q),
                                    form_at(ad, number, 2, q)};
            rep4_add_terms(d, rep4_role(t->env->me, q), x->in[q], terms, g * ad->part.blocks[q] * 8,
                           ad->part.blocks[q]);
        }
}

/* The first bit of a block is its part in the block plus the carry into the block. */
static void finish_sum(const rep4_adder *ad) {
    const size_t words = ad->part.words;
    for (unsigned j = 1; j < ad->plan.blocks; j++)
        for (unsigned c = 0; c < 3; c++)
            xor_words(ad->form[c] + ad->plan.s[j * REP3_BLOCK] * words,
                      ad->form[c] + ad->plan.g[j - 1] * words, words);
}

int rep4_adder_level(seq_task *t, rep4_adder *ad, rep4_messages *x, unsigned level) {
    rep3_gate gates[REP3_MAX_GATES];
    const size_t words = ad->part.words;
    rep4_collect(t, &ad->part, ad->keys, x);
    if (level == 0)
        take_terms(t, ad, x, 4, NULL, ad->plan.forms);
    else
        take_terms(t, ad, x, 6, gates, rep3_plan_gates(&ad->plan, level - 1, gates));
    if (level == ad->plan.levels) {
        if (ad->plan.kind == REP3_SUM)
            finish_sum(ad);
        return TASK_DONE;
    }
    gate_job job = {.ad = ad, .gates = gates, .env = t->env, .level = level, .x = x};
    const unsigned count = rep3_plan_gates(&ad->plan, level, gates);
    for (unsigned c = 0; c < 3; c++)
        if (!(job.z[c] = task_scratch(t, (count * words + 1) * 8)))
            return TASK_ERROR;
    x->count = 0;
    rep4_term_messages(x, 6, 0, count);
    if (rep4_post(t, &ad->part, x) < 0)
        return TASK_ERROR;
    par_for(t->env->pool, 4 * (size_t)count, 1, run_gates, &job);
    for (unsigned g = 0; g < count; g++)
        for (unsigned c = 0; c < 3; c++) {
            uint64_t *d = ad->form[c] + gates[g].dst * words;
            if (gates[g].add)
                xor_words(d, job.z[c] + g * words, words);
            else
                memcpy(d, job.z[c] + g * words, words * 8);
        }
    rep4_vouch(t, &ad->part, ad->keys, x, REP4_ALL);
    return TASK_WAIT;
}

uint64_t *rep4_adder_result(const rep4_adder *ad, unsigned i, unsigned component,
                            unsigned quarter) {
    const rep3_plan *plan = &ad->plan;
    unsigned number = plan->g[plan->blocks ? plan->blocks - 1 : 0];
    if (plan->kind == REP3_SUM)
        number = plan->s[i];
    else if (plan->kind == REP3_ZERO_TEST)
        number = plan->p[plan->blocks - 1];
    return form_at(ad, number, component, quarter);
}
