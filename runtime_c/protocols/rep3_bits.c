/* rep3: operations whose results are bits. Sources and rounds are in docs/protocols/rep3.md. */

#include "rep3.h"

/* ---- ltz, eqz, a2b: additions of x1 + x2, which P1 knows, and x3, which P2 and P3 know ---- */

typedef struct {
    rep3_keys keys;
    rep3_adder ad;
    seq_reg a, d; /* operand; result */
    size_t plane; /* words in a plane of the result */
} adder_state;

/* Items: parts of roles. A = x1 + x2 and B = x3, or B = x3 - 1 where all propagates mean zero. */
enum { SLICE_PARTS = 8 };
static void slice_roles(void *arg, size_t begin, size_t end) {
    const seq_task *t = arg;
    const adder_state *s = t->state;
    const rep3_word *words = rep3_words(t->env);
    const unsigned bits = s->ad.plan.bits;
    for (size_t item = begin; item < end; item++) {
        const size_t role = item / SLICE_PARTS, i = item % SLICE_PARTS;
        const unsigned r = rep3_third(t->env->me, (unsigned)role);
        const size_t all = s->ad.part.blocks[r], from = all * i / SLICE_PARTS;
        const size_t to = all * (i + 1) / SLICE_PARTS, left = s->ad.part.count[r] - 64 * from;
        const size_t at = 64 * (s->ad.part.first[r] + from) * words->word;
        const uint8_t *x0 = (const uint8_t *)s->a.c[0] + at, *x1 = (const uint8_t *)s->a.c[1] + at;
        const int minus_one = role != REP3_P1 && s->ad.plan.kind == REP3_ZERO_TEST;
        if (from < to)
            words->slice(t->env->bits, s->ad.in[role] + from, all, bits, role == REP3_P2 ? x1 : x0,
                         role == REP3_P1 ? x1 : NULL, minus_one,
                         left < 64 * (to - from) ? left : 64 * (to - from));
    }
}

static int adder_begin(seq_task *t) {
    adder_state *s = t->state;
    const unsigned me = t->env->me;
    if (rep3_adder_alloc(t, &s->ad) < 0)
        return TASK_ERROR;
    par_for(t->env->pool, 3 * (size_t)SLICE_PARTS, 1, slice_roles, t);
    const size_t bytes = rep3_adder_deal_bytes(&s->ad, rep3_third(me, REP3_P1));
    uint8_t *message = rep3_send(t, rep3_next(me), bytes);
    if (bytes && !message)
        return TASK_ERROR;
    rep3_adder_deal(t, &s->ad, message);
    task_expect(t, rep3_prev(me), rep3_adder_deal_bytes(&s->ad, rep3_third(me, REP3_P2)));
    return TASK_WAIT;
}

/* Result planes to the destination; x3's bits are added by P2 and P3, who hold the third component.
 */
static void adder_store(const seq_task *t) {
    const adder_state *s = t->state;
    const rep3_plan *plan = &s->ad.plan;
    const unsigned planes = plan->kind == REP3_SUM ? plan->bits : 1;
    for (unsigned i = 0; i < planes; i++)
        for (unsigned r = 0; r < 3; r++) {
            const size_t words = s->ad.part.blocks[r], at = i * s->plane + s->ad.part.first[r];
            const unsigned role = rep3_role(t->env->me, r);
            for (unsigned c = 0; c < 2; c++) {
                uint64_t *d = (uint64_t *)s->d.c[c] + at;
                const uint64_t *z = rep3_adder_result(&s->ad, i, c, r);
                const unsigned third_component = role == REP3_P2 ? 1 : 0;
                memcpy(d, z, words * 8);
                if (role == REP3_P1 || plan->kind == REP3_ZERO_TEST || c != third_component)
                    continue;
                const unsigned bit = plan->kind == REP3_SUM ? i : plan->added;
                t->env->bits->xor_(d, d, s->ad.in[role] + bit * words, words);
            }
        }
}

static int adder_step(seq_task *t) {
    adder_state *s = t->state;
    if (t->step_no == 0)
        return adder_begin(t);
    if (t->step_no == 1)
        return rep3_adder_forms(t, &s->ad, task_received(t, rep3_prev(t->env->me)));
    const int status = rep3_adder_level(t, &s->ad, t->step_no - 2);
    if (status == TASK_DONE)
        adder_store(t);
    return status;
}

static int start_adder(seq_task *t, unsigned kind, size_t bits, unsigned a, unsigned d) {
    adder_state *s = t->state;
    rep3_derive(&s->keys, t);
    rep3_plan_make(&s->ad.plan, kind, (unsigned)bits);
    rep3_partition(&s->ad.part, t);
    s->ad.keys = &s->keys;
    s->a = t->call.reg[a];
    s->d = t->call.reg[d];
    s->plane = bits_plane_words(t->end);
    return adder_step(t);
}

static unsigned adder_rounds(unsigned kind, int64_t bits) {
    rep3_plan plan;
    rep3_plan_make(&plan, kind, (unsigned)bits);
    return 2 + plan.levels;
}

static int ltz_step(seq_task *t) {
    if (t->step_no)
        return adder_step(t);
    return start_adder(t, REP3_SIGN, (size_t)t->call.arg[SEQ_ARG_LTZ_bits], SEQ_ARG_LTZ_a,
                       SEQ_ARG_LTZ_d);
}

void rep3_start_ltz(seq_vm *vm, const seq_call *call) {
    rep3_start_thirds(vm, call, (size_t)call->arg[SEQ_ARG_LTZ_n],
                      adder_rounds(REP3_SIGN, call->arg[SEQ_ARG_LTZ_bits]), ltz_step,
                      sizeof(adder_state));
}

static int eqz_step(seq_task *t) {
    if (t->step_no)
        return adder_step(t);
    return start_adder(t, REP3_ZERO_TEST, (size_t)t->call.arg[SEQ_ARG_EQZ_bits], SEQ_ARG_EQZ_a,
                       SEQ_ARG_EQZ_d);
}

void rep3_start_eqz(seq_vm *vm, const seq_call *call) {
    rep3_start_thirds(vm, call, (size_t)call->arg[SEQ_ARG_EQZ_n],
                      adder_rounds(REP3_ZERO_TEST, call->arg[SEQ_ARG_EQZ_bits]), eqz_step,
                      sizeof(adder_state));
}

static int a2b_step(seq_task *t) {
    if (t->step_no)
        return adder_step(t);
    return start_adder(t, REP3_SUM, (size_t)t->call.arg[SEQ_ARG_A2B_bits], SEQ_ARG_A2B_a,
                       SEQ_ARG_A2B_d);
}

void rep3_start_a2b(seq_vm *vm, const seq_call *call) {
    rep3_start_thirds(vm, call, (size_t)call->arg[SEQ_ARG_A2B_n],
                      adder_rounds(REP3_SUM, call->arg[SEQ_ARG_A2B_bits]), a2b_step,
                      sizeof(adder_state));
}

/* ---- and ---- */

typedef struct {
    rep3_keys keys;
    seq_reg a, b, d;                     /* at the task's first block */
    size_t planes, plane, words, blocks; /* blocks: of the whole vector, for addressing */
    uint64_t *message;
} and_state;

REP3_KERNEL static void and_words(uint64_t *restrict z, const uint64_t *restrict mask,
                                  const uint64_t *x0, const uint64_t *x1, const uint64_t *y0,
                                  const uint64_t *y1, size_t n) {
    for (size_t i = 0; i < n; i++)
        z[i] ^= mask[i] ^ (x0[i] & (y0[i] ^ y1[i])) ^ (x1[i] & y0[i]);
}

static void and_planes(void *arg, size_t begin, size_t end) {
    const seq_task *t = arg;
    const and_state *s = t->state;
    uint64_t mask[3 * REP3_CHUNK];
    for (size_t p = begin; p < end; p++) {
        const size_t at = p * s->plane, address = p * s->blocks + t->begin;
        uint64_t *z = (uint64_t *)s->d.c[0] + at;
        prg_words(&s->keys.next, REP3_ZERO, address, z, s->words);
        prg_words(&s->keys.prev, REP3_ZERO, address, mask, s->words);
        and_words(z, mask, (const uint64_t *)s->a.c[0] + at, (const uint64_t *)s->a.c[1] + at,
                  (const uint64_t *)s->b.c[0] + at, (const uint64_t *)s->b.c[1] + at, s->words);
        vm_cheat(t->env, "gates", z, s->words * 8);
        memcpy(s->message + p * s->words, z, s->words * 8);
    }
    prg_wipe(mask, sizeof mask);
}

static seq_reg reg_at_word(seq_reg r, size_t word) {
    for (unsigned c = 0; c < 2; c++)
        r.c[c] = (uint64_t *)r.c[c] + word;
    return r;
}

static int and_step(seq_task *t) {
    and_state *s = t->state;
    const size_t n = (size_t)t->call.arg[SEQ_ARG_AND_n];
    const unsigned next = rep3_next(t->env->me);
    if (t->step_no == 0) {
        rep3_derive(&s->keys, t);
        s->a = reg_at_word(t->call.reg[SEQ_ARG_AND_a], t->begin);
        s->b = reg_at_word(t->call.reg[SEQ_ARG_AND_b], t->begin);
        s->d = reg_at_word(t->call.reg[SEQ_ARG_AND_d], t->begin);
        s->planes = (size_t)t->call.arg[SEQ_ARG_AND_p];
        s->plane = bits_plane_words(n);
        s->words = t->end - t->begin;
        s->blocks = (n + 63) / 64;
        const size_t bytes = s->planes * s->words * 8;
        s->message = (uint64_t *)task_send(t, rep3_prev(t->env->me), bytes);
        if (!s->message)
            return TASK_ERROR;
        par_for(t->env->pool, s->planes, 1, and_planes, t);
        task_expect(t, next, bytes);
        return TASK_WAIT;
    }
    const uint64_t *z = (const uint64_t *)task_received(t, next);
    for (size_t p = 0; p < s->planes; p++)
        memcpy((uint64_t *)s->d.c[1] + p * s->plane, z + p * s->words, s->words * 8);
    return TASK_DONE;
}

void rep3_start_and(seq_vm *vm, const seq_call *call) {
    const size_t n = call->arg[SEQ_ARG_AND_p] ? (size_t)call->arg[SEQ_ARG_AND_n] : 0;
    rep3_start_flat(vm, call, n, 1, and_step, sizeof(and_state));
}

/* ---- random bits: the components are masks that their two holders share ---- */

static int randbit_step(seq_task *t) {
    rep3_keys *keys = t->state;
    const size_t n = (size_t)t->call.arg[SEQ_ARG_RANDBIT_n];
    const size_t blocks = (n + 63) / 64, plane = bits_plane_words(n), words = t->end - t->begin;
    const seq_reg d = reg_at_word(t->call.reg[SEQ_ARG_RANDBIT_d], t->begin);
    rep3_derive_program(keys, t);
    for (size_t p = 0; p < (size_t)t->call.arg[SEQ_ARG_RANDBIT_p]; p++) {
        const size_t address = p * blocks + t->begin;
        prg_words(&keys->prev, REP3_RANDOM, address, (uint64_t *)d.c[0] + p * plane, words);
        prg_words(&keys->next, REP3_RANDOM, address, (uint64_t *)d.c[1] + p * plane, words);
    }
    return TASK_DONE;
}

void rep3_start_randbit(seq_vm *vm, const seq_call *call) {
    rep3_start_flat(vm, call, (size_t)call->arg[SEQ_ARG_RANDBIT_n], 0, randbit_step,
                    sizeof(rep3_keys));
}
