/* semi2k: bits as numbers, and selection. See semi2k.h.
 *
 * For a bit d ^ m and x = D + M the parties make parts of m and of m M as words by transfers, and
 * open (d + (1 - 2d) m) x masked. Two parties make them at once; more take turns. */

#include "semi2k.h"

typedef struct {
    masked_keys keys;
    semi2k_transfer transfer;
    masked_part part;
    semi2k_halves half;
    masked_choice c;
    size_t blocks;       /* of the whole vector */
    size_t sends, takes; /* elements of the halves */
    uint64_t *sum, *bit; /* by plane: of the masks' product, then what is opened; my part of m */
    uint64_t *pad;       /* that I chose, by plane */
    uint64_t *sent[2], *t1, *t2;
    masked_opening opening;
    semi2k_transfer *others; /* more than two parties: with each, of all planes together, */
    uint64_t *pads[MASKED_PARTIES];
    uint8_t *choices[MASKED_PARTIES]; /* what it chose */
    uint64_t *mask;                   /* my choices */
} bit_state;

static const uint64_t *plane_at(const bit_state *s, unsigned component, size_t plane, size_t at) {
    return masked_choice_plane(&s->c, component, plane, s->part.first / 64 + at);
}

/* Blocks of a plane that I choose for: with a selection all, for bits alone the half. */
static size_t chosen_at(const bit_state *s) {
    return s->c.a.c[0] ? 0 : s->half.take_at;
}

static size_t chosen(const bit_state *s, int mine) {
    return s->c.a.c[0] ? s->part.words : mine ? s->half.take : s->half.send;
}

static size_t answer_bytes(const bit_state *s, int mine) {
    const size_t bits = s->c.kept ? 0 : mine ? s->sends : s->takes;
    return 8 * s->c.planes * (bits + (s->c.a.c[0] ? s->part.count : 0));
}

static size_t address(const seq_task *t, const bit_state *s, size_t p, size_t at) {
    return p * s->blocks + t->begin + at;
}

/* sent: planes that are sent at once. */
static int bit_alloc(seq_task *t, bit_state *s, size_t sent) {
    const size_t plane = s->part.words * 512 + 64;
    s->half = semi2k_halves_of(t, s->part.words);
    s->sends = semi2k_elements(s->part.count, s->half.send_at, s->half.send);
    s->takes = semi2k_elements(s->part.count, s->half.take_at, s->half.take);
    s->sum = task_scratch(t, s->c.planes * plane);
    s->bit = task_scratch(t, s->c.planes * plane);
    s->pad = task_scratch(t, 2 * s->c.planes * plane);
    s->sent[0] = task_scratch(t, 2 * sent * plane);
    s->sent[1] = task_scratch(t, 2 * sent * plane);
    s->t1 = task_scratch(t, plane);
    s->t2 = task_scratch(t, plane);
    return s->sum && s->bit && s->pad && s->sent[0] && s->sent[1] && s->t1 && s->t2 ? 0 : -1;
}

static int choose(seq_task *t, bit_state *s) {
    task_prepares(t);
    if (bit_alloc(t, s, 1) || semi2k_transfer_begin(&s->transfer, t, 1 - t->env->me))
        return TASK_ERROR;
    const ot_stream *stream = &s->transfer.receive;
    const size_t words = chosen(s, 1), at = chosen_at(s);
    const size_t each = ot_choice_bytes(stream->seeds, words);
    const size_t theirs = ot_choice_bytes(stream->seeds, chosen(s, 0));
    uint8_t *out;
    if (semi2k_swap(t, s->transfer.peer, s->c.planes * each, s->c.planes * theirs, &out))
        return TASK_ERROR;
    for (size_t p = 0; p < s->c.planes; p++)
        ot_receive_pads(stream, SEMI2K_BIT, address(t, s, p, at), plane_at(s, 1, p, at), words,
                        out + p * each, s->pad + p * words * 128);
    return TASK_WAIT;
}

/* Of plane p: m_i as words at t1, 1 - 2 m_i at t2. */
static void own_bits(const seq_task *t, const bit_state *s, size_t p) {
    const ring_ops *ring = t->env->ring;
    t->env->bits->unslice(s->t1, 64, plane_at(s, 1, p, 0), s->part.words, s->part.count, 0, 1);
    ring->muli(s->t2, s->t1, -2, s->part.count);
    ring->addi(s->t2, s->t2, 1, s->part.count);
}

/* m = m_s + m_r (1 - 2 m_s): my part where I send, and what I send. */
static uint8_t *answer_bit(const seq_task *t, bit_state *s, size_t p, uint8_t *out) {
    const size_t at = 64 * s->half.send_at, lane = s->c.a.c[0] ? 2 * at : 0;
    uint64_t *part = s->bit + p * s->part.count + at;
    semi2k_send_lane(s->sent[0] + lane, s->sent[1] + lane, 1, s->t2 + at, (uint64_t *)out, part,
                     s->sends);
    t->env->ring->add(part, part, s->t1 + at, s->sends);
    return out + s->sends * 8;
}

/* m_i M_i + m_j (1 - 2 m_i) M_i: of both parties' masks. */
static uint8_t *answer_chosen(const seq_task *t, bit_state *s, uint8_t *out) {
    const ring_ops *ring = t->env->ring;
    const void *mask = masked_at(t->env, s->c.a.c[1], s->part.first);
    ring->mul(s->t2, s->t2, mask, s->part.count);
    semi2k_send_lane(s->sent[0], s->sent[1], 0, s->t2, (uint64_t *)out, s->sum, s->part.count);
    ring->muladd(s->sum, s->t1, mask, s->part.count);
    return out + s->part.count * 8;
}

static int answer(seq_task *t, bit_state *s) {
    const uint8_t *in = task_received(t, s->transfer.peer);
    const size_t words = chosen(s, 0), at = s->c.a.c[0] ? 0 : s->half.send_at;
    const size_t each = ot_choice_bytes(s->transfer.send.seeds, words);
    uint8_t *out;
    task_prepares(t);
    if (semi2k_swap(t, s->transfer.peer, answer_bytes(s, 1), answer_bytes(s, 0), &out))
        return TASK_ERROR;
    for (size_t p = 0; p < s->c.planes; p++) {
        ot_send_pads(&s->transfer.send, SEMI2K_BIT, address(t, s, p, at), in + p * each, words,
                     s->sent[0], s->sent[1]);
        own_bits(t, s, p);
        if (!s->c.kept)
            out = answer_bit(t, s, p, out);
        if (s->c.a.c[0])
            out = answer_chosen(t, s, out);
    }
    return TASK_WAIT;
}

/* My parts where I chose, of plane p. */
static const uint8_t *take(const seq_task *t, bit_state *s, size_t p, const uint8_t *in) {
    const size_t at = 64 * s->half.take_at;
    const uint64_t *pad = s->pad + p * chosen(s, 1) * 128;
    own_bits(t, s, p);
    if (!s->c.kept) {
        semi2k_take_lane(pad + 128 * (s->half.take_at - chosen_at(s)), 1, s->t1 + at,
                         (const uint64_t *)in, s->bit + p * s->part.count + at, s->takes);
        in += s->takes * 8;
    }
    if (s->c.a.c[0]) {
        semi2k_take_lane(pad, 0, s->t1, (const uint64_t *)in, s->t2, s->part.count);
        t->env->ring->add(s->sum, s->sum, s->t2, s->part.count);
        in += s->part.count * 8;
    }
    return in;
}

/* ---- more parties: with v = (m_0 ^ ... ^ m_(k-1)) X in summands, party k's turn makes it
 * v + m_k (X - 2v); X is M (lane 0) and one (lane 1) ---- */

static int many_choose_with(seq_task *t, bit_state *s, unsigned peer) {
    semi2k_transfer *x = &s->others[peer];
    const size_t words = s->c.planes * s->part.words;
    uint8_t *out;
    if (semi2k_transfer_begin(x, t, peer))
        return -1;
    const size_t bytes = ot_choice_bytes(x->receive.seeds, words);
    s->pads[peer] = task_scratch(t, words * 1024);
    s->choices[peer] = task_scratch(t, bytes);
    if (!s->pads[peer] || !s->choices[peer] || semi2k_swap(t, peer, bytes, bytes, &out))
        return -1;
    ot_receive_pads(&x->receive, SEMI2K_BIT, t->begin * s->c.planes, s->mask, words, out,
                    s->pads[peer]);
    return 0;
}

static int many_choose(seq_task *t, bit_state *s) {
    const size_t plane = s->part.words * 8, bytes = s->c.planes * plane;
    s->others = task_scratch(t, t->env->parties * sizeof *s->others);
    s->mask = task_scratch(t, bytes);
    if (!s->others || !s->mask || bit_alloc(t, s, s->c.planes))
        return TASK_ERROR;
    for (size_t p = 0; p < s->c.planes; p++)
        memcpy(s->mask + p * s->part.words, plane_at(s, 1, p, 0), plane);
    memset(s->sum, 0, 64 * bytes);
    memset(s->bit, 0, 64 * bytes);
    for (unsigned j = 0; j < t->env->parties; j++)
        if (j != t->env->me && many_choose_with(t, s, j))
            return TASK_ERROR;
    return TASK_WAIT;
}

/* t2 = my summand of X - 2v. */
static void many_factor(const seq_task *t, const bit_state *s, unsigned lane, const uint64_t *v) {
    const ring_ops *ring = t->env->ring;
    ring->muli(s->t2, v, -2, s->part.count);
    if (lane == 0)
        ring->add(s->t2, s->t2, masked_at(t->env, s->c.a.c[1], s->part.first), s->part.count);
    else if (t->env->me == 0)
        ring->addi(s->t2, s->t2, 1, s->part.count);
}

static size_t many_bytes(const bit_state *s) {
    return 8 * s->c.planes * s->part.count * ((s->c.a.c[0] != NULL) + !s->c.kept);
}

static uint64_t *many_lane(const bit_state *s, unsigned lane, size_t p) {
    return (lane ? s->bit : s->sum) + p * s->part.count;
}

static int many_lane_used(const bit_state *s, unsigned lane) {
    return lane ? !s->c.kept : s->c.a.c[0] != NULL;
}

/* Another party's turn: my summands of its product. */
static int many_answer(seq_task *t, bit_state *s, unsigned peer) {
    const ot_stream *send = &s->others[peer].send;
    const size_t words = s->part.words, n = s->part.count;
    uint8_t *out = task_send(t, peer, many_bytes(s));
    if (!out)
        return -1;
    ot_send_pads(send, SEMI2K_BIT, t->begin * s->c.planes, s->choices[peer], s->c.planes * words,
                 s->sent[0], s->sent[1]);
    for (size_t p = 0; p < s->c.planes; p++) {
        const size_t at = p * words * 128;
        for (unsigned lane = 0; lane < 2; lane++) {
            if (!many_lane_used(s, lane))
                continue;
            uint64_t *v = many_lane(s, lane, p);
            many_factor(t, s, lane, v);
            semi2k_send_lane(s->sent[0] + at, s->sent[1] + at, lane, s->t2, (uint64_t *)out, s->t1,
                             n);
            t->env->ring->add(v, v, s->t1, n);
            out += n * 8;
        }
    }
    return 0;
}

/* My turn: I have all answers. */
static void many_take(seq_task *t, bit_state *s) {
    const ring_ops *ring = t->env->ring;
    const size_t n = s->part.count;
    size_t at = 0;
    for (size_t p = 0; p < s->c.planes; p++)
        for (unsigned lane = 0; lane < 2; lane++) {
            if (!many_lane_used(s, lane))
                continue;
            uint64_t *v = many_lane(s, lane, p);
            many_factor(t, s, lane, v);
            t->env->bits->unslice(s->t1, 64, plane_at(s, 1, p, 0), s->part.words, n, 0, 1);
            ring->muladd(v, s->t1, s->t2, n);
            for (unsigned j = 0; j < t->env->parties; j++) {
                if (j == t->env->me)
                    continue;
                const uint64_t *in = (const uint64_t *)(task_received(t, j) + at);
                semi2k_take_lane(s->pads[j] + p * s->part.words * 128, lane, s->t1, in, s->t2, n);
                ring->add(v, v, s->t2, n);
            }
            at += n * 8;
        }
}

/* Steps 0 .. parties + 1. TASK_DONE when parts of m and of m M are there. */
static int many_turns(seq_task *t, bit_state *s) {
    const unsigned parties = t->env->parties, me = t->env->me, step = t->step_no;
    if (step == 0) {
        task_prepares(t);
        return many_choose(t, s);
    }
    for (unsigned j = 0; step == 1 && j < parties; j++)
        if (j != me)
            memcpy(s->choices[j], task_received(t, j),
                   ot_choice_bytes(s->others[j].send.seeds, s->c.planes * s->part.words));
    if (step == me + 2)
        many_take(t, s);
    if (step > parties)
        return TASK_DONE;
    task_prepares(t);
    if (step - 1 != me)
        return many_answer(t, s, step - 1) ? TASK_ERROR : TASK_WAIT;
    for (unsigned j = 0; j < parties; j++)
        if (j != me)
            task_expect(t, j, many_bytes(s));
    return TASK_WAIT;
}

/* select_keep leaves my part of m, as a number; select_kept finds it. */
static const void *part_of_bit(const seq_task *t, bit_state *s, size_t p) {
    const uint64_t *part = s->bit + p * s->part.count;
    if (s->c.kept)
        return masked_at(t->env, s->c.k.c[1], s->part.first);
    if (s->c.k.c[0])
        masked_choice_keep(t->env, &s->c, s->part, part);
    return part;
}

/* Parts of m and of m M, as far as they are asked for, are there. */
static int open_summands(seq_task *t, bit_state *s) {
    const size_t bytes = s->c.planes * s->part.count * t->env->ring->word;
    if (s->c.a.c[0])
        task_keep(t, s->sum, bytes);
    if (!s->c.kept)
        task_keep(t, s->bit, bytes);
    for (size_t p = 0; p < s->c.planes; p++)
        masked_choice_summand(&s->keys, &s->c, s->part, p, part_of_bit(t, s, p),
                              s->sum + p * s->part.count, s->t1, s->t2);
    s->opening = (masked_opening){.kind = MASKED_WORD,
                                  .to = MASKED_ONLINE,
                                  .n = s->c.planes * s->part.count,
                                  .value = s->sum};
    return masked_open(t, &s->opening);
}

/* Two parties: TASK_DONE when parts of m and of m M are there. */
static int transfers(seq_task *t, bit_state *s) {
    if (t->step_no == 0)
        return choose(t, s);
    if (t->step_no == 1)
        return answer(t, s);
    const uint8_t *in = task_received(t, s->transfer.peer);
    for (size_t p = 0; p < s->c.planes; p++)
        in = take(t, s, p, in);
    return TASK_DONE;
}

static int bit_step(seq_task *t) {
    bit_state *s = t->state;
    if (t->step_no == 0) {
        masked_choice_of(&t->call, &s->c);
        s->c.mask = SEMI2K_MASK;
        s->part = masked_elements(t, s->c.n);
        s->blocks = (s->c.n + 63) / 64;
        masked_keys_of(&s->keys, t);
    }
    if (!s->opening.value) {
        if (task_prepared(t))
            return bit_alloc(t, s, 0) ? TASK_ERROR : open_summands(t, s);
        const int status = t->env->parties > 2 ? many_turns(t, s) : transfers(t, s);
        return status == TASK_DONE ? open_summands(t, s) : status;
    }
    const int status = masked_open(t, &s->opening);
    if (status == TASK_DONE)
        masked_choice_store(t->env, &s->c, s->part, s->sum);
    return status;
}

unsigned semi2k_bit_rounds(const seq_vm *vm) {
    const unsigned parties = vm_env(vm)->parties;
    return vm_rounds(vm, parties > 2 ? 1 + parties : 2, 0) + masked_rounds(vm);
}

void semi2k_start_choice(seq_vm *vm, const seq_call *call) {
    masked_start_choice(vm, call, semi2k_bit_rounds(vm), bit_step, sizeof(bit_state));
}
