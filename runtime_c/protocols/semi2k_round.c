/* semi2k: from summands to results, rounded by m bits. See semi2k.h.
 *
 * With two parties x = v_0 + v_1. In each half of a task the sender knows c = v + s + 2^(W-2) and
 * the receiver r = s - v, s a public coin: names as in docs/protocols/semi2k.md. Their top bits are
 * told under masks, whose products were made before. To nearest v is D + M_s and M_r: summands that
 * depend on more than masks are first opened masked. */

#include "semi2k.h"

enum { MASKING, WIDE, SHOWING, ADDING }; /* what is waited for, after preparation */

typedef struct {
    masked_keys keys;
    semi2k_transfer transfer;
    semi2k_adder adder;
    semi2k_result result;
    masked_part part;
    semi2k_halves half;
    unsigned m, nearest, residue, phase;
    size_t sends, takes;      /* elements of the halves */
    const uint64_t *given[2]; /* what is rounded: a register, or (given[1] NULL) my summands */
    uint64_t *wide;           /* then, to nearest: my mask of it */
    uint64_t *v;              /* summands; then c and r, and in the end the result's */
    uint64_t *top,
        *bit; /* my parts of a product of top bits, and of the carry's mask as a number */
    uint64_t *mask, *shown;     /* planes: of my top bits' masks, and the bits under them */
    uint64_t *t1, *t2, *pad[2]; /* pad: of my choices, by purpose */
    uint64_t *sent[2];          /* both pads of what I send */
    masked_opening opening;
} round_state;

static size_t bytes_of(const seq_task *t, const round_state *s) {
    return s->part.count * t->env->ring->word;
}

static uint64_t *sender(const round_state *s, uint64_t *words) {
    return words + 64 * s->half.send_at;
}

static uint64_t *receiver(const round_state *s, uint64_t *words) {
    return words + 64 * s->half.take_at;
}

/* A public coin, uniform in [0, 2^m). */
static void public_coin(const seq_task *t, const round_state *s, void *out) {
    prg_key key;
    prg_derive(&key, &masked_of(t)->common, t->call.instance, t->call.sub);
    prg_words(&key, MASKED_COIN, s->part.first, out, s->part.count);
    prg_wipe(&key, sizeof key);
    t->env->ring->shr(out, out, t->env->ring_bits - s->m, s->part.count);
}

/* v = my summands. Where a register is rounded, the sender has what is public. */
static void load(seq_task *t, const round_state *s) {
    const uint64_t *public = s->given[0], *mask = s->given[1];
    if (!mask) {
        memcpy(s->v, public, bytes_of(t, s));
        return;
    }
    memcpy(s->v, mask, bytes_of(t, s));
    t->env->ring->add(sender(s, s->v), sender(s, s->v), public + 64 * s->half.send_at, s->sends);
}

/* v becomes c where I send, r where I receive; their top bits under masks. */
static void split(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const unsigned last = t->env->ring_bits - 1;
    uint64_t *c = sender(s, s->v), *r = receiver(s, s->v);
    memset(s->t1, 0, bytes_of(t, s));
    if (!s->nearest)
        public_coin(t, s, s->t1);
    ring->add(c, c, sender(s, s->t1), s->sends);
    masked_add_power(t->env, c, last - 1, s->sends);
    ring->sub(r, receiver(s, s->t1), r, s->takes);
    t->env->bits->slice(s->shown, s->part.words, s->v, 64, s->part.count, last, 1);
    t->env->bits->xor_(s->shown, s->shown, s->mask, s->part.words);
}

/* Nearest: the carry of r mod 2^m, r = -M, and the complement of c + 2^(m-1) mod 2^m. */
static void load_receiver(seq_task *t, round_state *s) {
    uint64_t *r = receiver(s, s->t1);
    t->env->ring->muli(r, s->given[1] + 64 * s->half.take_at, -1, s->takes);
    t->env->bits->slice(s->adder.in + s->half.take_at, s->part.words, r, 64, s->takes, 0, s->m);
}

static void load_sender(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    uint64_t *a = sender(s, s->t1);
    memcpy(a, sender(s, s->v), s->sends * ring->word);
    masked_add_power(t->env, a, s->m - 1, s->sends);
    ring->muli(a, a, -1, s->sends);
    ring->addi(a, a, -1, s->sends);
    t->env->bits->slice(s->adder.in + s->half.send_at, s->part.words, a, 64, s->sends, 0, s->m);
}

static int round_alloc(seq_task *t, round_state *s) {
    const size_t bytes = s->part.words * 64 * t->env->ring->word + 64;
    s->half = semi2k_halves_of(t, s->part.words);
    s->sends = semi2k_elements(s->part.count, s->half.send_at, s->half.send);
    s->takes = semi2k_elements(s->part.count, s->half.take_at, s->half.take);
    s->top = task_scratch(t, bytes);
    s->bit = task_scratch(t, bytes);
    s->t1 = task_scratch(t, bytes);
    s->t2 = task_scratch(t, bytes);
    s->mask = task_scratch(t, s->part.words * 8 + 64);
    s->shown = task_scratch(t, s->part.words * 8 + 64);
    for (unsigned i = 0; i < 2; i++) {
        s->pad[i] = task_scratch(t, 2 * bytes);
        s->sent[i] = task_scratch(t, 2 * bytes);
    }
    if (!s->top || !s->bit || !s->t1 || !s->t2 || !s->mask || !s->shown || !s->pad[0] ||
        !s->pad[1] || !s->sent[0] || !s->sent[1])
        return -1;
    s->transfer.peer = 1 - t->env->me;
    s->residue = (s->m + 7) / 8;
    masked_mask(&s->keys, MASKED_BITS, SEMI2K_TOP, t->begin, s->mask, s->part.words);
    if (!s->nearest)
        return 0;
    rep3_plan_make(&s->adder.plan, REP3_CARRY, s->m);
    s->adder.first = t->begin;
    s->adder.words = s->part.words;
    s->adder.keys = &s->keys;
    s->adder.transfer = &s->transfer;
    if (semi2k_adder_begin(t, &s->adder))
        return -1;
    load_receiver(t, s);
    return 0;
}

/* Bytes of my first message, or of the other party's. */
static size_t choice_bytes(const round_state *s, int mine) {
    const size_t takes = mine ? s->half.take : s->half.send;
    const size_t bytes = ot_choice_bytes(s->transfer.send.seeds, takes);
    return s->nearest ? 2 * bytes + semi2k_adder_choice_bytes(&s->adder, mine) : bytes;
}

static size_t answer_bytes(const round_state *s, int mine) {
    const size_t sends = mine ? s->sends : s->takes;
    const size_t bytes = s->nearest ? semi2k_adder_answer_bytes(&s->adder) : 0;
    return bytes + sends * (s->residue + (s->nearest ? 8 : 0));
}

/* With the tables of an addition go the shown bits. */
static size_t shown_bytes(const round_state *s, int mine) {
    return 8 * s->part.words + (s->nearest ? semi2k_adder_table_bytes(&s->adder, mine) : 0);
}

/* Of the carry's mask, my part in the half that I receive. */
static const uint64_t *carry_mask(const round_state *s, size_t at) {
    return semi2k_adder_mask(&s->adder, 0) + at;
}

static int choose(seq_task *t, round_state *s) {
    const ot_stream *receive = &s->transfer.receive;
    const size_t first = t->begin + s->half.take_at, take = s->half.take;
    uint8_t *out;
    task_prepares(t);
    if (semi2k_transfer_begin(&s->transfer, t, s->transfer.peer) ||
        semi2k_swap(t, s->transfer.peer, choice_bytes(s, 1), choice_bytes(s, 0), &out))
        return TASK_ERROR;
    if (s->nearest) {
        semi2k_adder_choose(t, &s->adder, out);
        out += semi2k_adder_choice_bytes(&s->adder, 1);
        ot_receive_pads(receive, SEMI2K_BIT, first, carry_mask(s, s->half.take_at), take, out,
                        s->pad[1]);
        out += ot_choice_bytes(receive->seeds, take);
    }
    ot_receive_pads(receive, SEMI2K_WRAP, first, s->mask + s->half.take_at, take, out, s->pad[0]);
    return TASK_WAIT;
}

/* The carry's mask as a number: m_s + m_r (1 - 2 m_s). */
static void answer_bit(seq_task *t, round_state *s, const uint8_t *in, uint8_t *out) {
    const ring_ops *ring = t->env->ring;
    uint64_t *x = sender(s, s->t1), *part = sender(s, s->bit), *m = sender(s, s->top);
    ot_send_pads(&s->transfer.send, SEMI2K_BIT, t->begin + s->half.send_at, in, s->half.send,
                 s->sent[0], s->sent[1]);
    t->env->bits->unslice(m, 64, carry_mask(s, s->half.send_at), s->half.send, s->sends, 0, 1);
    ring->muli(x, m, -2, s->sends);
    ring->addi(x, x, 1, s->sends);
    semi2k_send_lane(s->sent[0], s->sent[1], 0, x, x, part, s->sends);
    memcpy(out, x, s->sends * 8);
    ring->add(part, part, m, s->sends);
}

static int answer(seq_task *t, round_state *s) {
    const uint8_t *in = task_received(t, s->transfer.peer);
    uint64_t *x = sender(s, s->t1);
    uint8_t *out;
    task_prepares(t);
    if (semi2k_swap(t, s->transfer.peer, answer_bytes(s, 1), answer_bytes(s, 0), &out))
        return TASK_ERROR;
    if (s->nearest) {
        semi2k_adder_answer(t, &s->adder, in, out);
        in += semi2k_adder_choice_bytes(&s->adder, 0);
        out += semi2k_adder_answer_bytes(&s->adder);
        answer_bit(t, s, in, out);
        in += ot_choice_bytes(s->transfer.send.seeds, s->half.send);
        out += s->sends * 8;
    }
    ot_send_pads(&s->transfer.send, SEMI2K_WRAP, t->begin + s->half.send_at, in, s->half.send,
                 s->sent[0], s->sent[1]);
    t->env->bits->unslice(x, 64, s->mask + s->half.send_at, s->half.send, s->sends, 0, 1);
    semi2k_send_lane(s->sent[0], s->sent[1], 0, x, x, sender(s, s->top), s->sends);
    masked_to_wire(t->env, MASKED_RESIDUE, s->residue, out, x, s->sends);
    return TASK_WAIT;
}

/* My parts of products, in the half that I receive, from the answers. */
static void take_answers(seq_task *t, round_state *s, const uint8_t *in) {
    uint64_t *y = receiver(s, s->t1), *choice = s->sent[0];
    const bits_ops *bits = t->env->bits;
    if (s->nearest) {
        in += semi2k_adder_answer_bytes(&s->adder);
        memcpy(y, in, s->takes * 8);
        bits->unslice(choice, 64, carry_mask(s, s->half.take_at), s->half.take, s->takes, 0, 1);
        semi2k_take_lane(s->pad[1], 0, choice, y, receiver(s, s->bit), s->takes);
        in += s->takes * 8;
    }
    masked_from_wire(t->env, MASKED_RESIDUE, s->residue, y, in, s->takes);
    bits->unslice(choice, 64, s->mask + s->half.take_at, s->half.take, s->takes, 0, 1);
    semi2k_take_lane(s->pad[0], 0, choice, y, receiver(s, s->top), s->takes);
}

/* The end of preparation. Of the parts of products the low m bits matter. */
static void prepared(seq_task *t, round_state *s) {
    const uint8_t *in = task_received(t, s->transfer.peer);
    const size_t bytes = s->part.count * s->residue;
    if (!task_prepared(t))
        take_answers(t, s, in);
    uint8_t *low = (uint8_t *)s->t1;
    masked_to_wire(t->env, MASKED_RESIDUE, s->residue, low, s->top, s->part.count);
    task_keep(t, low, bytes);
    masked_from_wire(t->env, MASKED_RESIDUE, s->residue, s->top, low, s->part.count);
    if (!s->nearest)
        return;
    task_keep(t, s->bit, bytes_of(t, s));
    semi2k_adder_prepared(t, &s->adder, in);
}

/* ---- what depends on values ---- */

/* Top bits under masks, and tables. */
static int show(seq_task *t, round_state *s) {
    uint8_t *out;
    s->phase = SHOWING;
    load(t, s);
    split(t, s);
    if (semi2k_swap(t, s->transfer.peer, shown_bytes(s, 1), shown_bytes(s, 0), &out))
        return TASK_ERROR;
    memcpy(out, s->shown, 8 * s->part.words);
    if (s->nearest) {
        load_sender(t, s);
        semi2k_adder_tables(t, &s->adder, out + 8 * s->part.words);
    }
    return TASK_WAIT;
}

/* top = my part of w (1 - msb(c)), of bits o ^ k that are w and 1 - msb(c): with o and p what I
 * showed and the other one did, (1 - 2 o)(1 - 2 p) times my part of the masks' product, p (1 - 2 o)
 * k, and at one of us o p. The sender's bit is the complement of c's. */
static void multiply_tops(seq_task *t, round_state *s, const uint8_t *shown) {
    const bits_ops *bits = t->env->bits;
    const size_t n = s->part.count, words = s->part.words;
    uint64_t *o = s->t1, *p = s->t2, *k = s->sent[0], *theirs = s->sent[1];
    memcpy(theirs, shown, 8 * words);
    for (size_t w = 0; w < s->half.send; w++)
        s->shown[s->half.send_at + w] = ~s->shown[s->half.send_at + w];
    for (size_t w = 0; w < s->half.take; w++)
        theirs[s->half.take_at + w] = ~theirs[s->half.take_at + w];
    bits->unslice(o, 64, s->shown, words, n, 0, 1);
    bits->unslice(p, 64, theirs, words, n, 0, 1);
    bits->unslice(k, 64, s->mask, words, n, 0, 1);
    for (size_t i = 0; i < n; i++)
        s->top[i] = (1 - 2 * o[i]) * ((1 - 2 * p[i]) * s->top[i] + p[i] * k[i]);
    const size_t at = 64 * s->half.send_at;
    for (size_t i = at; i < at + s->sends; i++)
        s->top[i] += o[i] * p[i];
}

/* v = floor(c / 2^m), to nearest one up by bit m - 1, or -floor(r / 2^m); and what wraps. */
static void shift(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    const unsigned bits = t->env->ring_bits;
    uint64_t *c = sender(s, s->v), *r = receiver(s, s->v), *x = sender(s, s->t1);
    if (s->nearest) {
        masked_shl(t->env, x, c, bits - s->m, s->sends);
        ring->shr(x, x, bits - 1, s->sends);
    }
    ring->shr(c, c, s->m, s->sends);
    if (s->nearest)
        ring->add(c, c, x, s->sends);
    masked_sub_power(t->env, c, bits - 2 - s->m, s->sends);
    ring->shr(r, r, s->m, s->takes);
    ring->muli(r, r, -1, s->takes);
    masked_shl(t->env, s->top, s->top, bits - s->m, s->part.count);
    ring->add(s->v, s->v, s->top, s->part.count);
}

static int mask_result(seq_task *t, round_state *s) {
    s->phase = MASKING;
    return semi2k_result_begin(&s->result, t, &t->call.reg[SEQ_ARG_TRUNC_d], s->part.first, s->v,
                               s->part.count);
}

static int take(seq_task *t, round_state *s) {
    const uint8_t *in = task_received(t, s->transfer.peer);
    uint8_t *out;
    multiply_tops(t, s, in);
    shift(t, s);
    if (!s->nearest)
        return mask_result(t, s);
    s->phase = ADDING;
    if (semi2k_swap(t, s->transfer.peer, semi2k_adder_form_bytes(&s->adder, 1),
                    semi2k_adder_form_bytes(&s->adder, 0), &out))
        return TASK_ERROR;
    semi2k_adder_forms(t, &s->adder, in + 8 * s->part.words, out);
    return TASK_WAIT;
}

/* v -= the carry d ^ m: d + (1 - 2d) m. */
static void take_carry(seq_task *t, round_state *s) {
    const ring_ops *ring = t->env->ring;
    uint64_t *d = s->t1;
    t->env->bits->unslice(d, 64, semi2k_adder_value(&s->adder, 0), s->part.words, s->part.count, 0,
                          1);
    if (t->env->me == 0)
        ring->sub(s->v, s->v, d, s->part.count);
    ring->muli(d, d, 2, s->part.count);
    ring->addi(d, d, -1, s->part.count);
    ring->muladd(s->v, d, s->bit, s->part.count);
}

/* Summands, to nearest: they are opened under a mask, and that is rounded. */
static int open_wide(seq_task *t, round_state *s) {
    uint64_t *value = task_scratch(t, bytes_of(t, s) + 64);
    if (!value)
        return TASK_ERROR;
    s->phase = WIDE;
    t->env->ring->sub(value, s->given[0], s->wide, s->part.count);
    s->given[0] = value;
    s->opening = (masked_opening){
        .kind = MASKED_WORD, .to = MASKED_ONLINE, .n = s->part.count, .value = value};
    return masked_open(t, &s->opening);
}

static int round_begin(seq_task *t, round_state *s) {
    const seq_reg *a = &t->call.reg[SEQ_ARG_TRUNC_a];
    s->m = (unsigned)t->call.arg[SEQ_ARG_TRUNC_m];
    s->nearest = s->m && t->call.arg[SEQ_ARG_TRUNC_mode];
    s->part = masked_elements(t, (size_t)t->call.arg[SEQ_ARG_TRUNC_n]);
    if (s->m > t->env->ring_bits - 2)
        return task_fail(t, SEQ_ERR_PROGRAM, -1, "semi2k truncates by 1 to %u bits, not %u",
                         t->env->ring_bits - 2, s->m);
    for (unsigned k = 0; k < 2; k++)
        s->given[k] = a->c[k] ? masked_at(t->env, a->c[k], s->part.first) : NULL;
    s->v = task_scratch(t, bytes_of(t, s) + 64);
    if (!s->v)
        return TASK_ERROR;
    masked_keys_of(&s->keys, t);
    if (s->nearest && !s->given[1]) {
        s->wide = task_scratch(t, bytes_of(t, s) + 64);
        if (!s->wide)
            return TASK_ERROR;
        masked_mask(&s->keys, MASKED_WORD, SEMI2K_WIDE, s->part.first, s->wide, s->part.count);
        s->given[1] = s->wide;
    }
    return s->m ? round_alloc(t, s) : 0;
}

/* Summands only masked, m = 0. */
static int mask_summands(seq_task *t, round_state *s) {
    memcpy(s->v, s->given[0], bytes_of(t, s));
    return mask_result(t, s);
}

/* Steps before and at the end of preparation. */
static int prepare(seq_task *t, round_state *s) {
    if (t->step_no == 0)
        return choose(t, s);
    if (t->step_no == 1)
        return answer(t, s);
    prepared(t, s);
    return s->wide ? open_wide(t, s) : show(t, s);
}

static int trunc_step(seq_task *t) {
    round_state *s = t->state;
    if (t->step_no == 0) {
        if (round_begin(t, s))
            return TASK_ERROR;
        t->step_no = s->m && task_prepared(t) ? 2 : 0;
        if (!s->m)
            return mask_summands(t, s);
    }
    if (s->m && t->step_no < 3)
        return prepare(t, s);
    int status;
    switch (s->phase) {
    case WIDE:
        status = masked_open(t, &s->opening);
        return status == TASK_DONE ? show(t, s) : status;
    case SHOWING:
        return take(t, s);
    case ADDING:
        status = semi2k_adder_step(t, &s->adder, task_received(t, s->transfer.peer));
        if (status != TASK_DONE)
            return status;
        take_carry(t, s);
        return mask_result(t, s);
    default:
        return semi2k_result_step(&s->result, t);
    }
}

unsigned semi2k_round_rounds(const seq_vm *vm, int64_t m, int64_t nearest, int summands) {
    const unsigned opening = masked_rounds(vm);
    const unsigned bits = (unsigned)(m < REP3_MAX_BITS ? m : REP3_MAX_BITS - 1);
    if (!m)
        return opening;
    if (vm_env(vm)->parties > 2)
        return (summands ? opening : 0) + semi2k_many_rounds(vm);
    if (!nearest)
        return vm_rounds(vm, 2, 1) + opening;
    return vm_rounds(vm, 2, 2) +
           (semi2k_adder_levels(REP3_CARRY, bits) + 1 + (summands ? 1 : 0)) * opening;
}

void semi2k_start_trunc(seq_vm *vm, const seq_call *call) {
    const int64_t *arg = call->arg;
    const int many = arg[SEQ_ARG_TRUNC_m] && vm_env(vm)->parties > 2;
    masked_start(vm, call, (size_t)arg[SEQ_ARG_TRUNC_n],
                 semi2k_round_rounds(vm, arg[SEQ_ARG_TRUNC_m], arg[SEQ_ARG_TRUNC_mode], 0),
                 many ? semi2k_many_round : trunc_step,
                 many ? semi2k_many_state() : sizeof(round_state));
}
