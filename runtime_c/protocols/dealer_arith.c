/* dealer: products, roundings, selections, bits as numbers. See dealer.h. */

#include "dealer.h"

#include "bilinear.h"

/* ---- rounding, of a masked value or of summands that are masked first ---- */

enum { MASKING, ADDING, LAST }; /* what is waited for */

typedef struct {
    dealer_deal x;
    masked_part part;
    masked_rounding r;
    unsigned phase;
    void *c; /* the masked value; first my summand of it */
    void *top, *high, *t1, *t2;
    masked_opening opening;
    dealer_adder adder;
} round_state;

static unsigned residue_bytes(unsigned m) {
    return (m + 7) / 8;
}

/* Bytes of the dealer's message. */
static size_t round_bytes(const seq_task *t, const round_state *s) {
    const size_t word = t->env->ring->word;
    size_t bytes = s->r.source == MASKED_REGISTER ? 0 : s->part.count * word;
    if (s->r.m)
        bytes += s->part.count * (word + s->x.residue);
    if (s->r.nearest)
        bytes += s->part.count * word + dealer_adder_bytes(&s->adder);
    return bytes;
}

static int round_alloc(seq_task *t, round_state *s) {
    const size_t bytes = s->part.count * t->env->ring->word + 64;
    s->c = task_scratch(t, bytes);
    s->t1 = task_scratch(t, bytes);
    s->t2 = task_scratch(t, bytes);
    if (!s->c || !s->t1 || !s->t2)
        return -1;
    if (s->r.m && (!(s->top = task_scratch(t, bytes)) || !(s->high = task_scratch(t, bytes))))
        return -1;
    return s->r.nearest ? dealer_adder_alloc(t, &s->adder) : 0;
}

/* Elements of a component of a register. */
static void *at(const seq_task *t, const round_state *s, const seq_reg *r, unsigned component) {
    return masked_at(t->env, r->c[component], s->part.first);
}

/* A public coin, uniform in [0, 2^m). */
static void public_coin(const seq_task *t, const round_state *s, void *out) {
    const size_t halves = t->env->ring->word / 8;
    prg_key key;
    prg_derive(&key, &masked_of(t)->common, t->call.instance, t->call.sub);
    prg_words(&key, MASKED_COIN, s->part.first * halves, out, s->part.count * halves);
    prg_wipe(&key, sizeof key);
    t->env->ring->shr(out, out, t->env->ring_bits - s->r.m, s->part.count);
}

/* The dealer's part of the carry that rounding to nearest takes away. */
static void deal_carry(round_state *s, const seq_env *env, const void *r) {
    const unsigned width = 8 * (unsigned)env->ring->word;
    env->bits->slice(s->adder.in, s->part.words, r, width, s->part.count, 0, s->r.m);
    dealer_adder_deal(&s->x, &s->adder);
    env->bits->unslice(s->t1, width, dealer_adder_mask(&s->adder, 0), s->part.words, s->part.count,
                       0, 1);
    dealer_give(&s->x, MASKED_WORD, DEALER_BIT, s->part.first, s->t1, s->part.count);
}

/* r = coin - mask: its top bit, and what it has above its low m bits. */
static void deal_rounding(seq_task *t, round_state *s, const void *mask) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count, first = s->part.first;
    const unsigned bits = t->env->ring_bits;
    void *result = at(t, s, &s->r.d, 1), *r = s->t2;
    if (s->r.nearest)
        memset(r, 0, n * ring->word);
    else
        public_coin(t, s, r);
    ring->sub(r, r, mask, n);
    ring->shr(s->top, r, bits - 1, n);
    dealer_give(&s->x, MASKED_RESIDUE, DEALER_TOP, first, s->top, n);
    ring->shr(s->high, r, s->r.m, n);
    ring->muli(s->high, s->high, -1, n);
    masked_mask(&s->x.keys, MASKED_WORD, DEALER_WRAP, first, s->t1, n);
    if (s->r.nearest) {
        memcpy(result, s->t1, n * ring->word);
        ring->sub(s->high, s->high, s->t1, n);
    } else {
        masked_shl(t->env, s->t1, s->t1, bits - s->r.m, n);
        ring->add(result, s->high, s->t1, n);
    }
    dealer_give(&s->x, MASKED_WORD, DEALER_HIGH, first, s->high, n);
    if (s->r.nearest)
        deal_carry(s, t->env, r);
}

static int round_deal(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count, first = s->part.first;
    const void *mask = at(t, s, &s->r.a, s->r.source == MASKED_SUMMANDS ? 0 : 1);
    if (s->r.source == MASKED_PRODUCT)
        ring->mul(s->c, mask, at(t, s, &s->r.b, 1), n);
    else
        memcpy(s->c, mask, n * ring->word);
    if (s->r.source != MASKED_REGISTER) {
        masked_mask(&s->x.keys, MASKED_WORD, DEALER_MASK, first, s->t1, n);
        ring->sub(s->c, s->c, s->t1, n);
        dealer_give(&s->x, MASKED_WORD, DEALER_PRODUCT, first, s->c, n);
        memcpy(s->c, s->t1, n * ring->word);
    }
    if (s->r.m)
        deal_rounding(t, s, s->c);
    else
        memcpy(at(t, s, &s->r.d, 1), s->c, n * ring->word);
    return TASK_DONE;
}

static int round_begin(seq_task *t, round_state *s) {
    s->r = masked_rounding_of(&t->call);
    s->part = masked_elements(t, s->r.n);
    s->x.residue = residue_bytes(s->r.m);
    if (s->r.m > t->env->ring_bits - 2)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "dealer truncates by 1 to %u bits, not %u",
                         t->env->ring_bits - 2, s->r.m);
    if (s->r.nearest) {
        rep3_plan_make(&s->adder.plan, REP3_CARRY, s->r.m);
        s->adder.first = t->begin;
        s->adder.words = s->part.words;
    }
    if (round_alloc(t, s) || dealer_begin(&s->x, t, round_bytes(t, s)))
        return TASK_ERROR;
    return masked_dealer(t) ? round_deal(t, s) : TASK_WAIT;
}

static int open_words(seq_task *t, round_state *s, unsigned phase, unsigned kind, void *value) {
    s->phase = phase;
    s->opening = (masked_opening){.kind = kind,
                                  .residue = s->x.residue,
                                  .to = MASKED_ONLINE,
                                  .n = s->part.count,
                                  .value = value};
    return masked_open(t, &s->opening);
}

/* t1 = 1 - the top bit of c; top *= that. */
static void keep_top(const seq_task *t, const round_state *s) {
    const ring_ops *ring = t->env->ring;
    ring->shr(s->t1, s->c, t->env->ring_bits - 1, s->part.count);
    ring->muli(s->t1, s->t1, -1, s->part.count);
    ring->addi(s->t1, s->t1, 1, s->part.count);
    ring->mul(s->top, s->top, s->t1, s->part.count);
}

/* c = z + 2^(W-2) + r: what wraps is opened mod 2^m, masked. */
static int open_wrap(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    public_coin(t, s, s->t1);
    ring->add(s->c, s->c, s->t1, n);
    masked_add_power(t->env, s->c, t->env->ring_bits - 2, n);
    keep_top(t, s);
    masked_mask(&s->x.keys, MASKED_WORD, DEALER_WRAP, s->part.first, s->t1, n);
    ring->sub(s->top, s->top, s->t1, n);
    masked_shl(t->env, s->t1, s->t1, t->env->ring_bits - s->r.m, n);
    ring->add(at(t, s, &s->r.d, 1), s->high, s->t1, n);
    return open_words(t, s, LAST, MASKED_RESIDUE, s->top);
}

static int finish_wrap(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const unsigned bits = t->env->ring_bits;
    void *d = at(t, s, &s->r.d, 0);
    masked_shl(t->env, s->top, s->top, bits - s->r.m, s->part.count);
    ring->shr(d, s->c, s->r.m, s->part.count);
    ring->add(d, d, s->top, s->part.count);
    masked_sub_power(t->env, d, bits - 2 - s->r.m, s->part.count);
    return TASK_DONE;
}

/* Nearest: whether c + 2^(m-1) mod 2^m is less than r mod 2^m, the carry of r and its complement.
 */
static int add_carry(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    masked_add_power(t->env, s->c, t->env->ring_bits - 2, n);
    memcpy(s->t1, s->c, n * ring->word);
    masked_add_power(t->env, s->t1, s->r.m - 1, n);
    ring->muli(s->t1, s->t1, -1, n);
    ring->addi(s->t1, s->t1, -1, n);
    t->env->bits->slice(s->adder.in, s->part.words, s->t1, 8 * (unsigned)ring->word, n, 0, s->r.m);
    s->phase = ADDING;
    return dealer_adder_step(&s->x, &s->adder);
}

/* high, my part of the result, less the carry, and masked already; party 0 adds what is public. */
static int open_nearest(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const unsigned bits = t->env->ring_bits;
    const size_t n = s->part.count;
    keep_top(t, s);
    masked_shl(t->env, s->top, s->top, bits - s->r.m, n);
    ring->add(s->high, s->high, s->top, n);
    t->env->bits->unslice(s->t1, 8 * (unsigned)ring->word, dealer_adder_value(&s->adder, 0),
                          s->part.words, n, 0, 1);
    if (t->env->me == 0) {
        ring->sub(s->high, s->high, s->t1, n);
        ring->shr(s->t2, s->c, s->r.m, n);
        ring->add(s->high, s->high, s->t2, n);
        masked_shl(t->env, s->t2, s->c, bits - s->r.m, n);
        ring->shr(s->t2, s->t2, bits - 1, n);
        ring->add(s->high, s->high, s->t2, n);
        masked_sub_power(t->env, s->high, bits - 2 - s->r.m, n);
    }
    ring->muli(s->t1, s->t1, 2, n);
    ring->addi(s->t1, s->t1, -1, n);
    dealer_get(&s->x, MASKED_WORD, DEALER_BIT, s->part.first, s->t2, n);
    ring->muladd(s->high, s->t1, s->t2, n);
    return open_words(t, s, LAST, MASKED_WORD, s->high);
}

static int finish_nearest(seq_task *t, round_state *s) {
    memcpy(at(t, s, &s->r.d, 0), s->high, s->part.count * t->env->ring->word);
    masked_mask(&s->x.keys, MASKED_WORD, DEALER_WRAP, s->part.first, at(t, s, &s->r.d, 1),
                s->part.count);
    return TASK_DONE;
}

/* c is the masked value. */
static int round_masked(seq_task *t, round_state *s) {
    const size_t n = s->part.count, first = s->part.first;
    if (!s->r.m) {
        memcpy(at(t, s, &s->r.d, 0), s->c, n * t->env->ring->word);
        masked_mask(&s->x.keys, MASKED_WORD, DEALER_MASK, first, at(t, s, &s->r.d, 1), n);
        return TASK_DONE;
    }
    dealer_get(&s->x, MASKED_RESIDUE, DEALER_TOP, first, s->top, n);
    dealer_get(&s->x, MASKED_WORD, DEALER_HIGH, first, s->high, n);
    return s->r.nearest ? add_carry(t, s) : open_wrap(t, s);
}

/* My summand: of a product D_a M_b + M_a D_b, and D_a D_b at party 0, with what the dealer dealt.
 */
static int open_summands(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    dealer_get(&s->x, MASKED_WORD, DEALER_PRODUCT, s->part.first, s->c, n);
    if (s->r.source == MASKED_SUMMANDS) {
        ring->add(s->c, s->c, at(t, s, &s->r.a, 0), n);
        return open_words(t, s, MASKING, MASKED_WORD, s->c);
    }
    const void *value = at(t, s, &s->r.a, 0), *other = at(t, s, &s->r.b, 0);
    ring->muladd(s->c, value, at(t, s, &s->r.b, 1), n);
    ring->muladd(s->c, at(t, s, &s->r.a, 1), other, n);
    if (t->env->me == 0)
        ring->muladd(s->c, value, other, n);
    for (unsigned k = t->env->me == 0 ? 0 : 1; s->r.e.c[0] && k < 2; k++)
        ring->add(s->c, s->c, at(t, s, &s->r.e, k), n);
    return open_words(t, s, MASKING, MASKED_WORD, s->c);
}

/* All steps but the first are those of computing parties. */
static int round_step(seq_task *t) {
    round_state *s = t->state;
    if (t->step_no == 0)
        return round_begin(t, s);
    if (t->step_no == 1) {
        if (dealer_take(&s->x))
            return TASK_ERROR;
        if (s->r.source != MASKED_REGISTER)
            return open_summands(t, s);
        memcpy(s->c, at(t, s, &s->r.a, 0), s->part.count * t->env->ring->word);
        return round_masked(t, s);
    }
    const int status =
        s->phase == ADDING ? dealer_adder_step(&s->x, &s->adder) : masked_open(t, &s->opening);
    if (status != TASK_DONE)
        return status;
    if (s->phase == LAST)
        return s->r.nearest ? finish_nearest(t, s) : finish_wrap(t, s);
    return s->phase == MASKING ? round_masked(t, s) : open_nearest(t, s);
}

static unsigned round_rounds(const seq_vm *vm, int64_t m, int64_t nearest, int summands) {
    unsigned openings = summands ? 1 : 0;
    if (m)
        openings += 1;
    if (m && nearest)
        openings += dealer_adder_openings(REP3_CARRY,
                                          (unsigned)(m < REP3_MAX_BITS ? m : REP3_MAX_BITS - 1));
    return openings * masked_rounds(vm);
}

void dealer_start_round(seq_vm *vm, const seq_call *call) {
    const masked_rounding r = masked_rounding_of(call);
    masked_start(vm, call, r.n, round_rounds(vm, r.m, r.nearest, r.source != MASKED_REGISTER),
                 round_step, sizeof(round_state));
}

/* ---- matmul and convolutions: a local product, then its rounding as a sub-machine ---- */

/* The dealer: the product of the masks. The others: their summand of the product. */
static int bilinear_step(seq_task *t) {
    if (t->step_no)
        return TASK_DONE;
    bilinear b;
    bilinear_of(&t->call, &b);
    const seq_reg *x = &t->call.reg[b.x], *y = &t->call.reg[b.y];
    const ring_ops *ring = t->env->ring;
    uint8_t *z = task_scratch(t, b.size * ring->word + 64);
    void *sum = t->env->me == 0 ? task_scratch(t, bilinear_sum_size(&b) * ring->word + 64) : z;
    if (!z || !sum)
        return TASK_ERROR;
    ring_term terms[BILINEAR_TERMS] = {{x->c[1], y->c[masked_dealer(t)]}, {x->c[0], y->c[1]}};
    if (t->env->me == 0)
        bilinear_share_terms(t, &b, sum, terms);
    b.f(t, 0, b.slices, z, terms, masked_dealer(t) ? 1 : BILINEAR_TERMS);
    const int sums = t->call.op >= SEQ_OP_MUL_ADD && !masked_dealer(t);
    for (unsigned k = t->env->me == 0 ? 0 : 1; sums && k < 2; k++)
        ring->add(z, z, t->call.reg[b.mode + 1].c[k], b.size);
    seq_call sub = masked_trunc_of(&t->call, b.mode, b.size, z, &t->call.reg[b.d]);
    task_call(t, &sub, 1);
    return TASK_WAIT;
}

void dealer_start_bilinear(seq_vm *vm, const seq_call *call) {
    bilinear b;
    bilinear_of(call, &b);
    call_rounds(vm, call,
                b.size ? round_rounds(vm, call->arg[b.mode - 1], call->arg[b.mode], 1) : 0);
    if (b.size)
        task_create(vm, call, 0, 0, b.size, bilinear_step, 0);
}

/* ---- select and b2a ---- */

typedef struct {
    dealer_deal x;
    masked_part part;
    masked_choice c;
    void *sum, *bit, *t1, *t2; /* the opening's value; my part of m; scratch */
    masked_opening opening;
} bit_state;

static int bit_deal(seq_task *t, bit_state *s) {
    const seq_env *env = t->env;
    const masked_choice *c = &s->c;
    const size_t n = s->part.count;
    for (size_t p = 0; p < c->planes; p++) {
        const size_t first = p * c->n + s->part.first;
        if (c->kept) {
            memcpy(s->bit, masked_at(env, c->k.c[1], first), n * env->ring->word);
        } else {
            env->bits->unslice(s->bit, 8 * (unsigned)env->ring->word,
                               masked_choice_plane(c, 1, p, t->begin), s->part.words, n, 0, 1);
            dealer_give(&s->x, MASKED_WORD, DEALER_BIT, first, s->bit, n);
            if (c->k.c[0])
                masked_choice_keep(env, c, s->part, s->bit);
        }
        if (c->a.c[0]) {
            env->ring->mul(s->t1, s->bit, masked_at(env, c->a.c[1], first), n);
            dealer_give(&s->x, MASKED_WORD, DEALER_CHOSEN, first, s->t1, n);
        }
        masked_mask(&s->x.keys, MASKED_WORD, DEALER_MASK, first, masked_at(env, c->d.c[1], first),
                    n);
    }
    return TASK_DONE;
}

/* My summand of plane p, and my part of the result's mask. */
static void bit_summand(seq_task *t, bit_state *s, size_t p) {
    const seq_env *env = t->env;
    const masked_choice *c = &s->c;
    const size_t n = s->part.count, first = p * c->n + s->part.first;
    void *sum = masked_at(env, s->sum, p * n);
    if (c->kept)
        memcpy(s->bit, masked_at(env, c->k.c[1], first), n * env->ring->word);
    else
        dealer_get(&s->x, MASKED_WORD, DEALER_BIT, first, s->bit, n);
    if (c->k.c[0] && !c->kept)
        masked_choice_keep(env, c, s->part, s->bit);
    if (c->a.c[0])
        dealer_get(&s->x, MASKED_WORD, DEALER_CHOSEN, first, sum, n);
    masked_choice_summand(&s->x.keys, c, s->part, p, s->bit, sum, s->t1, s->t2);
}

static int bit_begin(seq_task *t, bit_state *s) {
    const size_t word = t->env->ring->word;
    masked_choice_of(&t->call, &s->c);
    s->c.mask = DEALER_MASK;
    s->part = masked_elements(t, s->c.n);
    const size_t all = s->c.planes * s->part.count, one = s->part.count * word + 64;
    s->sum = task_scratch(t, all * word + 64);
    s->bit = task_scratch(t, one);
    s->t1 = task_scratch(t, one);
    s->t2 = task_scratch(t, one);
    if (!s->sum || !s->bit || !s->t1 || !s->t2 ||
        dealer_begin(&s->x, t, all * word * (!s->c.kept + (s->c.a.c[0] != NULL))))
        return TASK_ERROR;
    return masked_dealer(t) ? bit_deal(t, s) : TASK_WAIT;
}

static int bit_step(seq_task *t) {
    bit_state *s = t->state;
    if (t->step_no == 0)
        return bit_begin(t, s);
    if (t->step_no == 1) {
        if (dealer_take(&s->x))
            return TASK_ERROR;
        for (size_t p = 0; p < s->c.planes; p++)
            bit_summand(t, s, p);
        s->opening = (masked_opening){.kind = MASKED_WORD,
                                      .to = MASKED_ONLINE,
                                      .n = s->c.planes * s->part.count,
                                      .value = s->sum};
    }
    const int status = masked_open(t, &s->opening);
    if (status == TASK_DONE)
        masked_choice_store(t->env, &s->c, s->part, s->sum);
    return status;
}

void dealer_start_choice(seq_vm *vm, const seq_call *call) {
    masked_start_choice(vm, call, masked_rounds(vm), bit_step, sizeof(bit_state));
}
