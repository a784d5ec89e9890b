/* semi2k: addition on bits of A, known to the sender of a half, and B, known to its receiver, by
 * the plan of rep3_plan.c: what depends on a block of both is got by one transfer out of 2^4, and
 * gates on masked bits by transfers that multiply masks. See semi2k.h. */

#include "semi2k.h"

enum { GATES = 1024, BLOCK_FORMS = 2 * REP3_BLOCK, WORDS = REP3_FORM_WORDS };

/* Gates with an operand in common, whose mask is the choice. */
struct semi2k_group {
    uint16_t form, gate, count;
};

/* The forms of block j that depend on B too, in the order in which the plan emits them, and one
 * that does not (or -1). */
typedef struct {
    uint16_t form[BLOCK_FORMS];
    unsigned count;
    int free;
} block_forms;

static block_forms forms_of(const rep3_plan *plan, unsigned j) {
    const int sum = plan->kind == REP3_SUM;
    block_forms f = {.count = 0, .free = -1};
    if (!plan->blocks) {
        f.free = plan->g[0];
        return f;
    }
    for (unsigned i = 0; sum && i < rep3_block_size(plan, j); i++) {
        const unsigned bit = j * REP3_BLOCK + i;
        if (i && j)
            f.form[f.count++] = plan->pp[bit];
        if (i)
            f.form[f.count++] = plan->s[bit];
        else
            f.free = plan->s[bit];
    }
    if (sum && j + 1 == plan->blocks)
        return f;
    if (plan->kind != REP3_ZERO_TEST)
        f.form[f.count++] = plan->g[j];
    if (j || plan->kind == REP3_ZERO_TEST)
        f.form[f.count++] = plan->p[j];
    return f;
}

static unsigned blocks_of(const rep3_plan *plan) {
    return plan->blocks ? plan->blocks : 1;
}

static unsigned size_of(const rep3_plan *plan, unsigned j) {
    return plan->blocks ? rep3_block_size(plan, j) : 0;
}

/* Planes of the sender's message for the blocks below j, and of the receiver's pads. */
static size_t planes_before(const rep3_plan *plan, unsigned j) {
    size_t planes = 0;
    for (unsigned i = 0; i < j; i++) {
        const block_forms f = forms_of(plan, i);
        planes += ((size_t)f.count << size_of(plan, i)) + (f.free >= 0);
    }
    return planes;
}

static size_t pads_before(const rep3_plan *plan, unsigned j) {
    size_t planes = 0;
    for (unsigned i = 0; i < j; i++)
        planes += forms_of(plan, i).count;
    return planes;
}

static size_t gates_of(const rep3_plan *plan) {
    rep3_gate gates[REP3_MAX_GATES];
    size_t count = 0;
    for (unsigned level = 0; level < plan->levels; level++)
        count += rep3_plan_gates(plan, level, gates);
    return count;
}

unsigned semi2k_adder_levels(unsigned kind, unsigned bits) {
    rep3_plan plan;
    rep3_plan_make(&plan, kind, bits);
    return plan.levels;
}

static uint64_t *plane_of(const semi2k_adder *a, uint64_t *planes, size_t i) {
    return planes + i * a->words;
}

/* A run of gates with the same x, or else with the same y. */
static void group_gates(semi2k_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    a->groups = a->gates = 0;
    for (unsigned level = 0; level < a->plan.levels; level++) {
        const unsigned count = rep3_plan_gates(&a->plan, level, gates);
        for (unsigned g = 0, n; g < count; g += n) {
            unsigned x = 1, y = 1;
            while (g + x < count && x < BLOCK_FORMS && gates[g + x].x == gates[g].x)
                x++;
            while (g + y < count && y < BLOCK_FORMS && gates[g + y].y == gates[g].y)
                y++;
            n = x >= y ? x : y;
            a->group[a->groups++] = (semi2k_group){x >= y ? gates[g].x : gates[g].y,
                                                   (uint16_t)(a->gates + g), (uint16_t)n};
        }
        a->gates += count;
    }
}

/* ---- sizes of messages ---- */

static size_t sent(const semi2k_adder *a, int mine) {
    return mine ? a->half.send : a->half.take;
}

static size_t leaf_bytes(const semi2k_adder *a, size_t words) {
    return a->plan.added * ot_choice_bytes(a->transfer->send.seeds, words);
}

size_t semi2k_adder_choice_bytes(const semi2k_adder *a, int mine) {
    return leaf_bytes(a, sent(a, !mine)) +
           a->groups * ot_choice_bytes(a->transfer->send.seeds, a->words);
}

size_t semi2k_adder_answer_bytes(const semi2k_adder *a) {
    return 8 * a->gates * a->words;
}

size_t semi2k_adder_table_bytes(const semi2k_adder *a, int mine) {
    return 8 * planes_before(&a->plan, blocks_of(&a->plan)) * sent(a, mine);
}

size_t semi2k_adder_form_bytes(const semi2k_adder *a, int mine) {
    return 8 * a->plan.forms * sent(a, !mine);
}

static int adder_alloc(seq_task *t, semi2k_adder *a) {
    const size_t plane = a->words * 8, gates = gates_of(&a->plan);
    a->half = semi2k_halves_of(t, a->words);
    a->group = task_scratch(t, (gates + 1) * sizeof *a->group);
    a->in = task_scratch(t, a->plan.bits * plane + 8);
    a->value = task_scratch(t, a->plan.forms * plane + 8);
    a->mask = task_scratch(t, a->plan.forms * plane + 8);
    a->choice = task_scratch(t, gates * plane + 8);
    a->other = task_scratch(t, gates * plane + 8);
    a->product = task_scratch(t, gates * plane + 8);
    a->pad = task_scratch(t, (a->plan.forms + gates) * plane + 8);
    a->sent = task_scratch(t, 2 * gates * plane + 8);
    a->table = task_scratch(t, semi2k_adder_table_bytes(a, 1) + 8);
    a->opening.value = task_scratch(t, gates * plane + 8);
    if (!a->group || !a->in || !a->value || !a->mask || !a->choice || !a->other || !a->product ||
        !a->pad || !a->sent || !a->table || !a->opening.value)
        return -1;
    group_gates(a);
    return 0;
}

/* ---- masks ---- */

static void finish_sum(const seq_env *env, const semi2k_adder *a, uint64_t *forms) {
    for (unsigned j = 1; a->plan.kind == REP3_SUM && j < a->plan.blocks; j++) {
        uint64_t *d = plane_of(a, forms, a->plan.s[j * REP3_BLOCK]);
        env->bits->xor_(d, d, plane_of(a, forms, a->plan.g[j - 1]), a->words);
    }
}

/* Outputs of gates go where they belong. */
static void store_gates(const seq_env *env, const semi2k_adder *a, uint64_t *forms,
                        const rep3_gate *gates, unsigned count, uint64_t *z) {
    for (unsigned g = 0; g < count; g++) {
        uint64_t *d = plane_of(a, forms, gates[g].dst);
        if (gates[g].add)
            env->bits->xor_(d, d, plane_of(a, z, g), a->words);
        else
            memcpy(d, plane_of(a, z, g), a->words * 8);
    }
}

/* One level: operands' masks as they are then, and what I know of their product, with the result's
 * mask in it. */
static void mask_level(seq_task *t, semi2k_adder *a, unsigned level, unsigned first,
                       const rep3_gate *gates, unsigned count, unsigned *group) {
    const bits_ops *bits = t->env->bits;
    uint64_t *z = a->opening.value;
    for (unsigned g = 0; g < count; g++) {
        while (first + g >= (unsigned)(a->group[*group].gate + a->group[*group].count))
            ++*group;
        const uint16_t form = a->group[*group].form;
        const uint16_t other = gates[g].x == form ? gates[g].y : gates[g].x;
        uint64_t *c = plane_of(a, a->choice, first + g), *o = plane_of(a, a->other, first + g);
        memcpy(c, plane_of(a, a->mask, form), a->words * 8);
        memcpy(o, plane_of(a, a->mask, other), a->words * 8);
        uint64_t *product = plane_of(a, a->product, first + g);
        masked_mask(a->keys, MASKED_BITS, SEMI2K_GATE + GATES * level + g, a->first,
                    plane_of(a, z, g), a->words);
        memcpy(product, plane_of(a, z, g), a->words * 8);
        bits->xorand(product, c, o, a->words);
    }
    store_gates(t->env, a, a->mask, gates, count, z);
}

static void draw_masks(seq_task *t, semi2k_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    for (unsigned f = 0; f < a->plan.forms; f++)
        masked_mask(a->keys, MASKED_BITS, SEMI2K_FORM + f, a->first, plane_of(a, a->mask, f),
                    a->words);
    for (unsigned level = 0, first = 0, group = 0; level < a->plan.levels; level++) {
        const unsigned count = rep3_plan_gates(&a->plan, level, gates);
        mask_level(t, a, level, first, gates, count, &group);
        first += count;
    }
    finish_sum(t->env, a, a->mask);
}

int semi2k_adder_begin(seq_task *t, semi2k_adder *a) {
    if (adder_alloc(t, a))
        return -1;
    draw_masks(t, a);
    return 0;
}

/* ---- work on blocks, then on groups ---- */

typedef struct {
    const seq_env *env;
    semi2k_adder *a;
    const uint8_t *in;
    uint8_t *out;
} job;

static void run(seq_task *t, semi2k_adder *a, size_t items, const uint8_t *in, uint8_t *out,
                par_fn f) {
    job x = {t->env, a, in, out};
    par_for(t->env->pool, items, 1, f, &x);
}

static size_t all_items(const semi2k_adder *a) {
    return blocks_of(&a->plan) + a->groups;
}

/* In a message of choices: those of item, of what party sends `words` blocks to. */
static size_t choice_at(const semi2k_adder *a, size_t item, size_t words) {
    const unsigned blocks = blocks_of(&a->plan);
    const ot_seeds *seeds = a->transfer->send.seeds;
    if (item < blocks)
        return item * REP3_BLOCK * ot_choice_bytes(seeds, words);
    return leaf_bytes(a, words) + (item - blocks) * ot_choice_bytes(seeds, a->words);
}

static uint64_t *gate_pads(const semi2k_adder *a, const semi2k_group *group) {
    return plane_of(a, a->pad, a->plan.forms + group->gate);
}

static void choose_items(void *arg, size_t begin, size_t end) {
    const job *x = arg;
    const semi2k_adder *a = x->a;
    const unsigned blocks = blocks_of(&a->plan);
    for (size_t item = begin; item < end; item++) {
        const ot_stream *s = &a->transfer->receive;
        uint8_t *out = x->out + choice_at(a, item, a->half.take);
        if (item >= blocks) {
            const semi2k_group *group = &a->group[item - blocks];
            ot_receive_block(s, 1, group->count, SEMI2K_GROUP + (uint32_t)(item - blocks), a->first,
                             plane_of(a, a->choice, group->gate), a->words, a->words, out,
                             gate_pads(a, group));
            continue;
        }
        const unsigned j = (unsigned)item;
        ot_receive_block(s, size_of(&a->plan, j), forms_of(&a->plan, j).count,
                         SEMI2K_LEAF + REP3_BLOCK * j, a->first + a->half.take_at,
                         plane_of(a, a->in, REP3_BLOCK * j) + a->half.take_at, a->words,
                         a->half.take, out, a->pad + pads_before(&a->plan, j) * a->half.take);
    }
}

void semi2k_adder_choose(seq_task *t, semi2k_adder *a, uint8_t *out) {
    run(t, a, all_items(a), NULL, out, choose_items);
}

/* ---- answers: the pads of all that will be sent, and transfers for gates ---- */

static void answer_block(const job *x, unsigned j) {
    const semi2k_adder *a = x->a;
    const size_t send = a->half.send;
    ot_send_block(&a->transfer->send, size_of(&a->plan, j), forms_of(&a->plan, j).count,
                  SEMI2K_LEAF + REP3_BLOCK * j, a->first + a->half.send_at,
                  x->in + choice_at(a, j, send), send,
                  a->table + planes_before(&a->plan, j) * send);
}

/* What is sent for gates is my mask of the other operand, under both pads. */
static void answer_group(const job *x, unsigned g) {
    const semi2k_adder *a = x->a;
    const semi2k_group *group = &a->group[g];
    uint64_t *out = plane_of(a, (uint64_t *)x->out, group->gate);
    const bits_ops *bits = x->env->bits;
    const uint8_t *in = x->in + choice_at(a, blocks_of(&a->plan) + g, a->half.send);
    const size_t n = group->count * a->words;
    uint64_t *pads = plane_of(a, a->sent, 2 * (size_t)group->gate);
    uint64_t *product = plane_of(a, a->product, group->gate);
    ot_send_block(&a->transfer->send, 1, group->count, SEMI2K_GROUP + g, a->first, in, a->words,
                  pads);
    bits->xor_(product, product, pads, n);
    bits->xor_(out, pads, pads + n, n);
    bits->xor_(out, out, plane_of(a, a->other, group->gate), n);
}

static void answer_items(void *arg, size_t begin, size_t end) {
    const job *x = arg;
    const unsigned blocks = blocks_of(&x->a->plan);
    for (size_t item = begin; item < end; item++) {
        if (item < blocks)
            answer_block(x, (unsigned)item);
        else
            answer_group(x, (unsigned)item - blocks);
    }
}

void semi2k_adder_answer(seq_task *t, semi2k_adder *a, const uint8_t *in, uint8_t *out) {
    run(t, a, all_items(a), in, out, answer_items);
}

/* The other party's answers. */
static void take_gates(seq_task *t, semi2k_adder *a, const uint8_t *in) {
    const bits_ops *bits = t->env->bits;
    for (unsigned g = 0; g < a->groups; g++) {
        const semi2k_group *group = &a->group[g];
        uint64_t *product = plane_of(a, a->product, group->gate);
        const size_t n = group->count * a->words;
        bits->xor_(product, product, gate_pads(a, group), n);
        bits->xorand(product, plane_of(a, a->choice, group->gate),
                     (const uint64_t *)in + group->gate * a->words, n);
    }
}

void semi2k_adder_prepared(seq_task *t, semi2k_adder *a, const uint8_t *in) {
    const rep3_plan *plan = &a->plan;
    if (!task_prepared(t))
        take_gates(t, a, in);
    task_keep(t, a->product, a->gates * a->words * 8);
    task_keep(t, a->pad, pads_before(plan, blocks_of(plan)) * a->half.take * 8);
    task_keep(t, a->table, semi2k_adder_table_bytes(a, 1));
}

/* ---- the sender's tables ---- */

/* The message for one value `b` of a block of B: each form of A and that, under my mask of it,
 * added to the pad of the value. */
typedef struct {
    const semi2k_adder *a;
    const uint64_t *mask; /* my masks of the forms, WORDS apart */
    const uint64_t *top;  /* A's top bit, where the sign takes it in; or NULL */
    uint64_t *message;    /* planes half.send apart */
    unsigned next;
} answer;

static void emit(answer *y, const uint64_t *form, const uint64_t *more, size_t n) {
    uint64_t *d = y->message + y->next * y->a->half.send;
    const uint64_t *mask = y->mask + y->next * WORDS;
    for (size_t w = 0; w < n; w++)
        d[w] ^= form[w] ^ mask[w];
    for (size_t w = 0; more && w < n; w++)
        d[w] ^= more[w];
    y->next++;
}

/* c and p: the carry and the propagate of the bits so far; bits of A are `words` apart. */
static void answer_value(answer *y, unsigned j, unsigned b, const uint64_t *in, size_t n) {
    const rep3_plan *plan = &y->a->plan;
    const unsigned size = size_of(plan, j), sum = plan->kind == REP3_SUM;
    uint64_t c[WORDS], p[WORDS];
    memset(c, 0, sizeof c);
    memset(p, 0xFF, sizeof p);
    y->next = 0;
    for (unsigned k = 0; k < size; k++) {
        const uint64_t *bit = in + k * y->a->words;
        if (sum && k && j)
            emit(y, p, NULL, n);
        if (sum && k)
            emit(y, c, bit, n);
        for (size_t w = 0; b >> k & 1 && w < n; w++) {
            c[w] |= bit[w];
            p[w] &= ~bit[w];
        }
        for (size_t w = 0; !(b >> k & 1) && w < n; w++) {
            c[w] &= bit[w];
            p[w] &= bit[w];
        }
    }
    const int carries = !(sum && j + 1 == plan->blocks);
    if (carries && plan->kind != REP3_ZERO_TEST)
        emit(y, c, y->top, n);
    if (carries && (j || plan->kind == REP3_ZERO_TEST))
        emit(y, p, NULL, n);
    prg_wipe(c, sizeof c);
    prg_wipe(p, sizeof p);
}

/* The bit of A that the block's last form takes in. */
static const uint64_t *top_of(const semi2k_adder *a, unsigned j) {
    const int last = a->plan.kind == REP3_SIGN && j + 1 == blocks_of(&a->plan);
    return last ? plane_of(a, a->in, a->plan.added) + a->half.send_at : NULL;
}

static void table_of(const job *x, unsigned j) {
    const semi2k_adder *a = x->a;
    const block_forms forms = forms_of(&a->plan, j);
    const unsigned size = size_of(&a->plan, j);
    const size_t send = a->half.send, first = a->first + a->half.send_at;
    const size_t at = planes_before(&a->plan, j) * send;
    uint64_t *out = (uint64_t *)x->out + at;
    uint64_t *bare = out + ((size_t)forms.count << size) * send;
    const uint64_t *in = plane_of(a, a->in, REP3_BLOCK * j) + a->half.send_at, *top = top_of(a, j);
    uint64_t mask[BLOCK_FORMS][WORDS];
    memcpy(out, a->table + at, ((size_t)forms.count << size) * send * 8);
    for (size_t i = 0; i < send; i += WORDS) {
        const size_t n = send - i < WORDS ? send - i : WORDS;
        for (unsigned f = 0; f < forms.count; f++)
            masked_mask(a->keys, MASKED_BITS, SEMI2K_FORM + forms.form[f], first + i, mask[f], n);
        for (unsigned b = 0; forms.count && b < 1u << size; b++) {
            answer y = {a, mask[0], top ? top + i : NULL, out + b * forms.count * send + i, 0};
            answer_value(&y, j, b, in + i, n);
        }
        if (forms.free >= 0) {
            masked_mask(a->keys, MASKED_BITS, SEMI2K_FORM + (uint32_t)forms.free, first + i,
                        bare + i, n);
            x->env->bits->xor_(bare + i, bare + i, (size ? in : top) + i, n);
        }
    }
    prg_wipe(mask, sizeof mask);
}

static void table_items(void *arg, size_t begin, size_t end) {
    for (size_t item = begin; item < end; item++)
        table_of(arg, (unsigned)item);
}

void semi2k_adder_tables(seq_task *t, semi2k_adder *a, uint8_t *out) {
    if (a->half.send)
        run(t, a, blocks_of(&a->plan), NULL, out, table_items);
}

/* ---- the receiver's forms ---- */

/* B's own bit that a form takes in, or NULL. */
static const uint64_t *own_bit(const semi2k_adder *a, unsigned j, unsigned form) {
    const rep3_plan *plan = &a->plan;
    const unsigned last = plan->blocks ? plan->blocks - 1 : 0;
    if (plan->kind == REP3_SIGN && form == plan->g[last])
        return plane_of(a, a->in, plan->added) + a->half.take_at;
    for (unsigned i = 0; plan->kind == REP3_SUM && i < rep3_block_size(plan, j); i++)
        if (form == plan->s[j * REP3_BLOCK + i])
            return plane_of(a, a->in, j * REP3_BLOCK + i) + a->half.take_at;
    return NULL;
}

/* Add my mask and bit to a form that has the sender's mask: masked for both. */
static void take_form(const job *x, unsigned j, unsigned form, const uint64_t *sent) {
    const semi2k_adder *a = x->a;
    const size_t take = a->half.take;
    uint64_t *value = plane_of(a, a->value, form) + a->half.take_at;
    const uint64_t *own = own_bit(a, j, form);
    masked_mask(a->keys, MASKED_BITS, SEMI2K_FORM + form, a->first + a->half.take_at, value, take);
    x->env->bits->xor_(value, value, sent, take);
    if (own)
        x->env->bits->xor_(value, value, own, take);
    memcpy((uint64_t *)x->out + form * take, value, take * 8);
}

static void form_items(void *arg, size_t begin, size_t end) {
    const job *x = arg;
    const semi2k_adder *a = x->a;
    const size_t take = a->half.take;
    for (size_t item = begin; item < end; item++) {
        const unsigned j = (unsigned)item, size = size_of(&a->plan, j);
        const block_forms forms = forms_of(&a->plan, j);
        const uint64_t *in = (const uint64_t *)x->in + planes_before(&a->plan, j) * take;
        uint64_t *pad = a->pad + pads_before(&a->plan, j) * take;
        if (forms.count)
            ot_pick(x->env->bits, size, forms.count, in, take,
                    plane_of(a, a->in, REP3_BLOCK * j) + a->half.take_at, a->words, take, pad,
                    take);
        for (unsigned f = 0; f < forms.count; f++)
            take_form(x, j, forms.form[f], pad + f * take);
        if (forms.free >= 0)
            take_form(x, j, (unsigned)forms.free, in + ((size_t)forms.count << size) * take);
    }
}

void semi2k_adder_forms(seq_task *t, semi2k_adder *a, const uint8_t *in, uint8_t *out) {
    if (a->half.take)
        run(t, a, blocks_of(&a->plan), in, out, form_items);
}

/* ---- openings ---- */

static int open_level(seq_task *t, semi2k_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    const unsigned count = rep3_plan_gates(&a->plan, a->level, gates);
    unsigned group = 0;
    for (unsigned g = 0; g < count; g++) {
        const unsigned gate = a->done + g;
        while (gate >= (unsigned)(a->group[group].gate + a->group[group].count))
            group++;
        const uint16_t form = a->group[group].form;
        const uint16_t other = gates[g].x == form ? gates[g].y : gates[g].x;
        uint64_t *d = plane_of(a, a->opening.value, g);
        memcpy(d, plane_of(a, a->product, gate), a->words * 8);
        masked_gate(t, d, plane_of(a, a->value, form), plane_of(a, a->choice, gate),
                    plane_of(a, a->value, other), plane_of(a, a->other, gate), a->words);
    }
    a->opening.kind = MASKED_BITS;
    a->opening.to = MASKED_ONLINE;
    a->opening.n = count * a->words;
    a->opening.stage = 0;
    return masked_open(t, &a->opening);
}

static void take_level(seq_task *t, semi2k_adder *a) {
    rep3_gate gates[REP3_MAX_GATES];
    const unsigned count = rep3_plan_gates(&a->plan, a->level, gates);
    store_gates(t->env, a, a->value, gates, count, a->opening.value);
    a->done += count;
    a->level++;
}

int semi2k_adder_step(seq_task *t, semi2k_adder *a, const uint8_t *in) {
    if (!a->started) {
        const size_t send = a->half.send;
        a->started = 1;
        for (unsigned f = 0; f < a->plan.forms && send; f++)
            memcpy(plane_of(a, a->value, f) + a->half.send_at, in + f * send * 8, send * 8);
    } else {
        const int status = masked_open(t, &a->opening);
        if (status != TASK_DONE)
            return status;
        take_level(t, a);
    }
    if (a->level < a->plan.levels)
        return open_level(t, a);
    finish_sum(t->env, a, a->value);
    return TASK_DONE;
}

const uint64_t *semi2k_adder_value(const semi2k_adder *a, unsigned i) {
    return plane_of(a, a->value, rep3_plan_result(&a->plan, i));
}

const uint64_t *semi2k_adder_mask(const semi2k_adder *a, unsigned i) {
    return plane_of(a, a->mask, rep3_plan_result(&a->plan, i));
}
