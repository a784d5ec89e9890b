/* spdz2k: shuffles. Values and their MACs are masked; each party in turn puts both into its order
 * and masks them anew; after each of these stages values have to fit MACs. See spdz2k.h. */

#include "spdz2k.h"

typedef struct {
    dealer_deal x;
    dealer_columns part;
    size_t n; /* elements here */
    uint32_t *order;
    /* Matrices of masked values, then of masked MACs: of this stage; for work; what my hop adds. */
    spdz2k_word *both, *other, *dealt;
    spdz2k_word *macs; /* by stage: my share of MACs' masks, less that of masks' MACs */
    uint8_t *frame[MASKED_PARTIES];
    masked_opening opening;
} shuffle_state;

static uint32_t stage_purpose(unsigned stage, unsigned mac) {
    return SPDZ2K_STAGE + 2 * stage + mac;
}

/* Masks of values (mac: of MACs): my part; the dealer: all. */
static void stage_mask(const shuffle_state *s, unsigned stage, unsigned mac, spdz2k_word *out) {
    masked_mask(&s->x.keys, MASKED_WORD, stage_purpose(stage, mac), s->part.at, out, s->n);
}

/* Party j gets masks before its hop, in its order, less those after it. */
static int shuffle_deal(seq_task *t, shuffle_state *s) {
    const size_t bytes = s->n * sizeof(spdz2k_word);
    const unsigned n = masked_of(t)->n;
    for (unsigned k = 0; k <= n; k++)
        spdz2k_mask(&s->x, -1, stage_purpose(k, 0), s->part.at, (spdz2k_shares){s->other, NULL},
                    s->n);
    dealer_put_rows(t, &s->part, 1, s->other);
    for (unsigned j = 0; j < n; j++) {
        uint8_t *frame = j == dealer_last(t) ? s->x.at : task_send(t, j, 2 * bytes);
        if (!frame)
            return TASK_ERROR;
        dealer_draw_order(t, &masked_of(t)->program[j], s->order, s->part.rows);
        for (unsigned mac = 0; mac < 2; mac++) {
            stage_mask(s, j, mac, s->both);
            dealer_take_rows(t, &s->part, s->other, s->both, s->part.width, s->order);
            stage_mask(s, j + 1, mac, s->both);
            t->env->ring->sub(frame + mac * bytes, s->other, s->both, s->n);
        }
    }
    return TASK_DONE;
}

/* My shares of values and MACs. */
static void take_shares(const seq_task *t, shuffle_state *s) {
    const seq_reg *a = &t->call.reg[SEQ_ARG_SHUFFLE_a];
    spdz2k_word *known = s->other, *mac = s->both + s->n;
    const spdz2k_word alpha = spdz2k_of(t)->alpha;
    spdz2k_word *to[3] = {known, s->both, mac};
    for (unsigned k = 0; k < 3; k++)
        dealer_take_rows(t, &s->part, to[k], masked_at(t->env, a->c[k], t->begin), s->part.row,
                         NULL);
    for (size_t i = 0; i < s->n; i++) {
        const uint64_t x = (uint64_t)known[i];
        s->both[i] += t->env->me == 0 ? x : 0;
        mac[i] += alpha * x;
    }
}

/* All masks; what is masked by the first ones goes to party 0. */
static int shuffle_begin(seq_task *t, shuffle_state *s) {
    const unsigned n = masked_of(t)->n;
    const spdz2k_shares mask = {s->other, s->other + s->n};
    const ring_ops *ring = t->env->ring;
    if (dealer_take(&s->x))
        return TASK_ERROR;
    take_shares(t, s);
    for (unsigned k = 0; k <= n; k++) {
        spdz2k_word *macs = s->macs + k * s->n;
        stage_mask(s, k, 1, macs);
        if (k == 0)
            ring->sub(s->both + s->n, s->both + s->n, macs, s->n);
        spdz2k_mask(&s->x, -1, stage_purpose(k, 0), s->part.at, mask, s->n);
        ring->sub(macs, macs, mask.mac, s->n);
        if (k == 0)
            ring->sub(s->both, s->both, mask.value, s->n);
    }
    dealer_put_rows(t, &s->part, 1, mask.value);
    dealer_put_rows(t, &s->part, 2, mask.mac);
    memcpy(s->dealt, t->env->me == dealer_last(t) ? s->x.at : task_received(t, n),
           2 * s->n * sizeof *s->dealt);
    vm_cheat(t->env, "hop", s->both, 2 * s->n * sizeof *s->both);
    s->opening = (masked_opening){.kind = MASKED_WORD, .to = 0, .n = 2 * s->n, .value = s->both};
    return masked_open(t, &s->opening);
}

/* Who puts the masked MACs of a stage into the log, and what its masked values have above 64 bits:
 * who hops next, so that an honest party's order is put on nothing that it has not had checked. Of
 * the last stage it is who hopped last. */
static unsigned keeper(const seq_task *t, unsigned stage) {
    const unsigned n = masked_of(t)->n;
    return stage < n ? stage : n - 1;
}

/* That the values of a stage fit their masks and MACs is for the next check to find. */
static int record_stage(seq_task *t, const shuffle_state *s, unsigned stage,
                        const spdz2k_word *value) {
    spdz2k_record *r = spdz2k_record_new(t, s->n, 1);
    const unsigned keeps = t->env->me == keeper(t, stage);
    if (!r)
        return -1;
    r->order[1] ^= t->step_no ^ stage; /* parties get it in different steps */
    memcpy(r->mac, s->macs + stage * s->n, s->n * sizeof *r->mac);
    if (keeps)
        t->env->ring->add(r->mac, r->mac, s->both + s->n, s->n);
    vm_cheat(t->env, "stage", r->mac, s->n * sizeof *r->mac);
    for (size_t i = 0; i < s->n; i++) {
        r->value[i] = (uint64_t)value[i];
        r->high[i] = keeps ? (uint64_t)(value[i] >> SPDZ2K_BITS) : 0;
    }
    spdz2k_record_add(&spdz2k_of(t)->log, r);
    return 0;
}

/* ---- hops ---- */

/* All that a hop ends with goes to who hops next. All parties know masked values mod 2^64, those of
 * the first stage too. */
static size_t hop_bytes(const shuffle_state *s, unsigned j, unsigned hop) {
    return s->n * ((j == hop + 1 ? 32u : 8u) + (hop == 0 ? 8u : 0u));
}

static int shuffle_hop(seq_task *t, shuffle_state *s) {
    const unsigned me = t->env->me, n = masked_of(t)->n;
    const size_t before = me == 0 ? s->n * 8 : 0;
    for (unsigned j = 0; j < n; j++) {
        uint8_t *frame = j == me ? NULL : task_send(t, j, hop_bytes(s, j, me));
        if (j != me && !frame)
            return TASK_ERROR;
        s->frame[j] = frame;
        if (frame && before)
            masked_to_wire(t->env, MASKED_RESIDUE, 8, frame, s->both, s->n);
    }
    dealer_draw_order(t, &masked_of(t)->program[me], s->order, s->part.rows);
    for (unsigned mac = 0; mac < 2; mac++)
        dealer_take_rows(t, &s->part, s->other + mac * s->n, s->both + mac * s->n, s->part.width,
                         s->order);
    t->env->ring->add(s->both, s->other, s->dealt, 2 * s->n);
    vm_cheat(t->env, "hop", s->both, 2 * s->n * sizeof *s->both);
    for (unsigned j = 0; j < n; j++) {
        if (j == me + 1)
            memcpy(s->frame[j] + before, s->both, 2 * s->n * sizeof *s->both);
        else if (j != me)
            masked_to_wire(t->env, MASKED_RESIDUE, 8, s->frame[j] + before, s->both, s->n);
    }
    return TASK_WAIT;
}

/* What a hop of another party ended with. */
static int take_hop(seq_task *t, shuffle_state *s, unsigned hop) {
    const uint8_t *in = task_received(t, hop);
    if (hop == 0) {
        masked_from_wire(t->env, MASKED_RESIDUE, 8, s->other, in, s->n);
        if (record_stage(t, s, 0, s->other))
            return -1;
        in += s->n * 8;
    }
    if (t->env->me == hop + 1)
        memcpy(s->both, in, 2 * s->n * sizeof *s->both);
    else
        masked_from_wire(t->env, MASKED_RESIDUE, 8, s->both, in, s->n);
    return 0;
}

static int shuffle_end(seq_task *t, shuffle_state *s) {
    for (size_t i = 0; i < s->n; i++)
        s->both[i] = (uint64_t)s->both[i];
    dealer_put_rows(t, &s->part, 0, s->both);
    return TASK_DONE;
}

/* Stage `stage` was reached; its hop is next. */
static int shuffle_next(seq_task *t, shuffle_state *s, unsigned stage) {
    const unsigned me = t->env->me;
    if (stage == 0 && masked_open(t, &s->opening) != TASK_DONE)
        return TASK_ERROR;
    if (stage > 0 && stage - 1 != me && take_hop(t, s, stage - 1))
        return TASK_ERROR;
    if ((stage > 0 || me == 0) && record_stage(t, s, stage, s->both))
        return TASK_ERROR;
    if (stage == masked_of(t)->n)
        return shuffle_end(t, s);
    if (stage == me)
        return shuffle_hop(t, s);
    task_expect(t, stage, hop_bytes(s, me, stage));
    return TASK_WAIT;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    if (t->step_no > 1)
        return shuffle_next(t, s, t->step_no - 2);
    if (t->step_no == 1)
        return shuffle_begin(t, s);
    s->part = dealer_columns_of(t);
    s->n = s->part.rows * s->part.width;
    const size_t bytes = 2 * s->n * sizeof *s->both, stages = masked_of(t)->n + 1;
    s->order = task_scratch(t, s->part.rows * sizeof *s->order);
    s->both = task_scratch(t, bytes + 64);
    s->other = task_scratch(t, bytes + 64);
    s->dealt = task_scratch(t, bytes + 64);
    s->macs = task_scratch(t, stages * s->n * sizeof *s->macs + 64);
    if (!s->order || !s->both || !s->other || !s->dealt || !s->macs ||
        dealer_begin(&s->x, t, stages * s->n * SPDZ2K_MASK_BYTES + bytes))
        return TASK_ERROR;
    if (masked_dealer(t))
        return shuffle_deal(t, s);
    if (t->env->me != dealer_last(t)) /* whose message is longer: dealer_begin */
        task_expect(t, masked_of(t)->n, bytes);
    return TASK_WAIT;
}

void spdz2k_start_shuffle(seq_vm *vm, const seq_call *call) {
    const size_t rows = (size_t)call->arg[SEQ_ARG_SHUFFLE_n];
    const unsigned parties = vm_env(vm)->parties; /* as many as stages */
    spdz2k_account(vm, call, parties * rows * (size_t)call->arg[SEQ_ARG_SHUFFLE_len]);
    dealer_start_columns(vm, call, parties, shuffle_step, sizeof(shuffle_state));
}
