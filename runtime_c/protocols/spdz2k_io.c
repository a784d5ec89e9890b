/* spdz2k: openings, inputs and outputs. See spdz2k.h. */

#include "spdz2k.h"

/* ---- openings ---- */

static int open_begin(seq_task *t, spdz2k_opening *o) {
    const unsigned shift = SPDZ2K_BITS - o->bits;
    o->high = task_scratch(t, o->n * sizeof *o->high + 64);
    if (!o->high)
        return TASK_ERROR;
    vm_cheat(t->env, "opening", o->z.value, o->n * sizeof *o->z.value);
    vm_cheat(t->env, "mac", o->z.mac, o->n * sizeof *o->z.mac);
    for (size_t i = 0; i < o->n; i++) {
        o->high[i] = (uint64_t)(o->z.value[i] >> SPDZ2K_BITS);
        o->z.value[i] = (uint64_t)o->z.value[i] >> shift;
    }
    o->opening = (masked_opening){.kind = MASKED_RESIDUE,
                                  .residue = (o->bits + 7) / 8,
                                  .to = o->to,
                                  .n = o->n,
                                  .value = o->z.value};
    return masked_open(t, &o->opening);
}

/* The value, and all that its check takes. */
static int open_end(seq_task *t, spdz2k_opening *o) {
    const unsigned shift = SPDZ2K_BITS - o->bits;
    spdz2k_state *s = spdz2k_of(t);
    spdz2k_record *r = masked_dealer(t) ? NULL : spdz2k_record_new(t, o->n, 1);
    size_t begin, end;
    if (!r && !masked_dealer(t))
        return TASK_ERROR;
    masked_counts(t, &o->opening, &begin, &end);
    for (size_t i = 0; r && i < o->n; i++) {
        const uint64_t carry = (uint64_t)(o->z.value[i] >> o->bits);
        r->high[i] = o->high[i] + (i >= begin && i < end ? carry : 0);
        r->value[i] = (uint64_t)o->z.value[i] << shift;
        r->mac[i] = o->z.mac[i];
    }
    for (size_t i = 0; i < o->n; i++)
        o->z.value[i] = (uint64_t)o->z.value[i] << shift;
    if (r)
        spdz2k_record_add(o->last ? &s->checked : &s->log, r);
    return TASK_DONE;
}

int spdz2k_open(seq_task *t, spdz2k_opening *o) {
    if (!o->high)
        return open_begin(t, o);
    const int status = masked_open(t, &o->opening);
    return status == TASK_DONE ? open_end(t, o) : status;
}

/* ---- input: its owner knows the mask and tells the others the masked value ---- */

typedef struct {
    dealer_deal x;
    masked_part part;
    spdz2k_shares mask;
} input_state;

/* The owner's masked value, 8 bytes an element. */
static int input_tell(seq_task *t, input_state *s) {
    const int64_t in = t->call.arg[SEQ_ARG_INPUT_in];
    const masked_part part = s->part;
    const void *words = vm_input_words(t->vm, in);
    spdz2k_word *value = task_scratch(t, part.count * sizeof *value + 64);
    if (!words)
        return task_fail(t, SEQ_ERR_CONFIG, -1, "input %lld was not given", (long long)in);
    if (!value)
        return TASK_ERROR;
    for (size_t i = 0; i < part.count; i++)
        value[i] = (uint64_t)(((const spdz2k_word *)words)[part.first + i] - s->mask.value[i]);
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
        uint8_t *frame = j == t->env->me ? NULL : task_send(t, j, part.count * 8);
        if (j != t->env->me && !frame)
            return TASK_ERROR;
        if (frame)
            masked_to_wire(t->env, MASKED_RESIDUE, 8, frame, value, part.count);
    }
    vm_input_read(t->vm, in, part.first, part.first + part.count);
    memcpy(masked_at(t->env, t->call.reg[SEQ_ARG_INPUT_d].c[0], part.first), value,
           part.count * sizeof *value);
    return TASK_WAIT;
}

/* All have the masked value: it is compared at the next check. */
static int input_end(seq_task *t, const input_state *s, unsigned owner) {
    const seq_reg *d = &t->call.reg[SEQ_ARG_INPUT_d];
    const masked_part part = s->part;
    spdz2k_word *value = masked_at(t->env, d->c[0], part.first);
    spdz2k_record *r = spdz2k_record_new(t, part.count, 0);
    if (!r)
        return TASK_ERROR;
    if (owner != t->env->me)
        masked_from_wire(t->env, MASKED_RESIDUE, 8, value, task_received(t, owner), part.count);
    for (size_t i = 0; i < part.count; i++)
        r->value[i] = (uint64_t)value[i];
    spdz2k_record_add(&spdz2k_of(t)->log, r);
    return TASK_DONE;
}

static int input_step(seq_task *t) {
    input_state *s = t->state;
    const unsigned owner = vm_input_party(t->vm, t->call.arg[SEQ_ARG_INPUT_in]);
    const seq_reg *d = &t->call.reg[SEQ_ARG_INPUT_d];
    const masked_part part = masked_elements(t, (size_t)t->call.arg[SEQ_ARG_INPUT_n]);
    s->part = part;
    s->mask = (spdz2k_shares){masked_at(t->env, d->c[1], part.first),
                              masked_at(t->env, d->c[2], part.first)};
    if (t->step_no == 0) {
        if (dealer_begin(&s->x, t, part.count * SPDZ2K_MASK_BYTES))
            return TASK_ERROR;
        if (!masked_dealer(t))
            return TASK_WAIT;
        spdz2k_mask(&s->x, (int)owner, SPDZ2K_KNOWN, part.first, s->mask, part.count);
        return owner == t->env->me ? TASK_WAIT : TASK_DONE;
    }
    if (masked_dealer(t))
        return input_tell(t, s) == TASK_ERROR ? TASK_ERROR : TASK_DONE;
    if (t->step_no == 2)
        return input_end(t, s, owner);
    if (dealer_take(&s->x))
        return TASK_ERROR;
    spdz2k_mask(&s->x, (int)owner, SPDZ2K_KNOWN, part.first, s->mask, part.count);
    if (owner == t->env->me)
        return input_tell(t, s);
    task_expect(t, owner, part.count * 8);
    return TASK_WAIT;
}

void spdz2k_start_input(seq_vm *vm, const seq_call *call) {
    const size_t n = (size_t)call->arg[SEQ_ARG_INPUT_n];
    spdz2k_account(vm, call, n);
    masked_start(vm, call, n, 1, input_step, sizeof(input_state));
}

/* ---- open and output ---- */

typedef struct {
    dealer_deal x;
    masked_part part;
    spdz2k_shares mask; /* that the only receiver knows; the dealer: its value */
    spdz2k_opening o;
} reveal_state;

int spdz2k_receiver(const seq_task *t) {
    return t->call.op == SEQ_OP_OPEN || t->call.op == SEQ_OP_OPENB
               ? -1
               : vm_output_party(t->vm, t->call.arg[SEQ_ARG_OUTPUT_out]);
}

static const seq_reg *revealed(const seq_task *t) {
    return &t->call.reg[t->call.op == SEQ_OP_OPEN ? (int)SEQ_ARG_OPEN_a : (int)SEQ_ARG_OUTPUT_a];
}

static size_t revealed_size(const seq_call *c) {
    switch (c->op) {
    case SEQ_OP_OPENB:
        return c->arg[SEQ_ARG_OPENB_p] ? (size_t)c->arg[SEQ_ARG_OPENB_n] : 0;
    case SEQ_OP_OUTPUTB:
        return c->arg[SEQ_ARG_OUTPUTB_p] ? (size_t)c->arg[SEQ_ARG_OUTPUTB_n] : 0;
    default:
        return (size_t)c->arg[c->op == SEQ_OP_OPEN ? (int)SEQ_ARG_OPEN_n : (int)SEQ_ARG_OUTPUT_n];
    }
}

/* Shares of the value, less the mask: party 0 adds what is public. A share of a mask that protects
 * something else must not be seen, so that the shares are masked by a sharing of zero. */
static void reveal_shares(seq_task *t, reveal_state *s) {
    const seq_reg *a = revealed(t);
    const size_t first = s->part.first;
    const spdz2k_word *value = masked_at(t->env, a->c[0], first);
    const spdz2k_word *share = masked_at(t->env, a->c[1], first);
    const spdz2k_word *mac = masked_at(t->env, a->c[2], first), alpha = spdz2k_of(t)->alpha;
    masked_zero(t, MASKED_WORD, first, s->o.z.value, s->o.n);
    for (size_t i = 0; i < s->o.n; i++) {
        const uint64_t known = (uint64_t)value[i];
        s->o.z.value[i] += share[i] + (t->env->me == 0 ? known : 0);
        s->o.z.mac[i] = mac[i] + alpha * known;
    }
    for (size_t i = 0; s->mask.value && i < s->o.n; i++) {
        s->o.z.value[i] -= s->mask.value[i];
        s->o.z.mac[i] -= s->mask.mac[i];
    }
}

/* A number mod 2^64, as a signed one, where this party gets it. */
static void reveal_store(seq_task *t, const reveal_state *s) {
    const unsigned place =
        t->call.op == SEQ_OP_OPEN ? (unsigned)SEQ_ARG_OPEN_d : (unsigned)SEQ_ARG_OUTPUT_h;
    const int to = spdz2k_receiver(t);
    if (to >= 0 && to != (int)t->env->me)
        return;
    __int128 *out = masked_at(t->env, t->call.reg[place].c[0], s->part.first);
    for (size_t i = 0; i < s->o.n; i++) {
        const spdz2k_word y = s->o.z.value[i] + (s->mask.value ? s->mask.value[i] : 0);
        out[i] = (int64_t)(uint64_t)y;
    }
}

static int reveal_begin(seq_task *t, reveal_state *s) {
    const int to = spdz2k_receiver(t);
    s->part = masked_elements(t, revealed_size(&t->call));
    s->o.n = s->part.count;
    s->o.bits = SPDZ2K_BITS;
    s->o.last = 1;
    s->o.to = to == (int)masked_of(t)->n || to < 0 ? MASKED_ALL : MASKED_ONLINE;
    if (spdz2k_alloc(t, &s->o.z, s->o.n) || (to >= 0 && spdz2k_alloc(t, &s->mask, s->o.n)) ||
        dealer_begin(&s->x, t, to >= 0 ? s->o.n * SPDZ2K_MASK_BYTES : 0))
        return TASK_ERROR;
    if (masked_dealer(t) && to >= 0)
        spdz2k_mask(&s->x, to, SPDZ2K_KNOWN, s->part.first, s->mask, s->o.n);
    return masked_dealer(t) && s->o.to == MASKED_ONLINE ? TASK_DONE : TASK_WAIT;
}

static int reveal_step(seq_task *t) {
    reveal_state *s = t->state;
    if (t->step_no == 0)
        return reveal_begin(t, s);
    if (t->step_no == 1 && !masked_dealer(t)) {
        if (dealer_take(&s->x))
            return TASK_ERROR;
        if (s->mask.value)
            spdz2k_mask(&s->x, spdz2k_receiver(t), SPDZ2K_KNOWN, s->part.first, s->mask, s->o.n);
        reveal_shares(t, s);
    }
    const int status = spdz2k_open(t, &s->o);
    if (status == TASK_DONE && !(masked_dealer(t) && t->env->ahead))
        reveal_store(t, s);
    return status;
}

/* Sub-machines of an opening. */
enum { REVEAL = 1, CHECK_THIS, CHECK_BEFORE };

/* What is revealed comes after a check of all before it, also to one: it knows its mask, and would
 * see what its own error made of another's secret. Then it is checked itself. begin: something
 * waits. */
static int open_step(seq_task *t) {
    unsigned *next = t->state;
    seq_call sub = t->call;
    if (t->step_no == 0) {
        *next = t->begin ? CHECK_BEFORE : REVEAL;
        if (t->begin)
            task_alone(t, SPDZ2K_CHECK_ROUNDS);
    }
    if (*next == 0)
        return TASK_DONE;
    task_call(t, &sub, (uint16_t)*next);
    *next = *next == CHECK_BEFORE ? REVEAL : *next == REVEAL ? CHECK_THIS : 0;
    return TASK_WAIT;
}

void spdz2k_start_open(seq_vm *vm, const seq_call *call) {
    spdz2k_state *s = vm_env(vm)->protocol;
    const size_t n = revealed_size(call);
    const size_t elements =
        (size_t)
            call->arg[call->op == SEQ_OP_OUTPUTB ? (int)SEQ_ARG_OUTPUTB_n : (int)SEQ_ARG_OUTPUT_n];
    seq_call own = *call;
    const int bits = call->op == SEQ_OP_OPENB || call->op == SEQ_OP_OUTPUTB;
    if (call->parent && call->sub == REVEAL && bits) {
        spdz2k_start_reveal_bits(vm, call);
        return;
    }
    if (call->parent && call->sub == REVEAL) {
        masked_start(vm, call, n, 0, reveal_step, sizeof(reveal_state));
        return;
    }
    if (call->parent) {
        spdz2k_start_check(vm, call);
        return;
    }
    int to = -1;
    if (call->op == SEQ_OP_OUTPUT || call->op == SEQ_OP_OUTPUTB) {
        to = vm_output_party(vm, call->arg[SEQ_ARG_OUTPUT_out]);
        if (to < 0 || to == (int)vm_env(vm)->me)
            own.reg[SEQ_ARG_OUTPUT_h].c[0] =
                vm_output_buffer(vm, call->arg[SEQ_ARG_OUTPUT_out], elements);
    }
    const int all = to < 0 || to == (int)s->masked.n;
    const unsigned rounds =
        masked_opening_rounds(vm_env(vm), all ? MASKED_ALL : MASKED_ONLINE) + SPDZ2K_CHECK_ROUNDS;
    call_rounds(vm, call, n ? rounds : 0);
    if (n)
        task_create(vm, &own, 0, (size_t)spdz2k_take_log(s), 0, open_step, sizeof(unsigned));
}
