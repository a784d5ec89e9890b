/* rep3-mal: operations whose results are bits. */

#include "mal.h"

/* ---- sums of two words that one party knows ---- */

int mal_sum_alloc(seq_task *t, const mal_part *part, mal_sum *s) {
    const size_t n = part->words;
    for (unsigned side = 0; side < 2; side++) {
        if (!mal_knows(part, side))
            continue;
        s->bit[side] = task_scratch(t, s->bits * n * 8 + 64);
        s->carry[side] = task_scratch(t, (s->carries + 1) * n * 8 + 64);
        if (!s->bit[side] || !s->carry[side])
            return -1;
        memset(s->carry[side], 0, n * 8);
    }
    return 0;
}

size_t mal_sum_bytes(const mal_part *part, const mal_sum *s) {
    return 8 * s->carries * part->words;
}

/* c' = the carry that x, y and c make. */
REP3_KERNEL static void next_carry(uint64_t *restrict d, const uint64_t *restrict x,
                                   const uint64_t *restrict y, const uint64_t *restrict c,
                                   size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = ((x[i] ^ c[i]) & (y[i] ^ c[i])) ^ c[i];
}

REP3_KERNEL static void xor_to(uint64_t *restrict d, const uint64_t *restrict a, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] ^= a[i];
}

/* One side of a carry's statement: alpha = x ^ carry and the carry; out ^ carry ^ (alpha carry).
 */
REP3_KERNEL static void carry_side(uint64_t *restrict alpha, uint64_t *restrict gamma,
                                   uint64_t *restrict claim, const uint64_t *restrict x,
                                   const uint64_t *restrict carry, const uint64_t *restrict out,
                                   size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint64_t a = x[i] ^ carry[i];
        alpha[i] = a;
        gamma[i] = carry[i];
        claim[i] = out[i] ^ carry[i] ^ (a & carry[i]);
    }
}

/* Statements of the carries into bits 1 .. carries, on the sides that I know. x: planes. */
static int sum_statements(seq_task *t, const mal_part *part, const mal_sum *s,
                          uint64_t *const x[2]) {
    static const unsigned as[3] = {[REP3_P1] = DZK_P, [REP3_P2] = DZK_W, [REP3_P3] = DZK_V};
    const size_t n = part->words, all = s->carries * n;
    const unsigned arrays = DZK_FIRST | DZK_SECOND | DZK_CLAIM | DZK_LAST; /* P: both pairs */
    dzk_segment *seg = dzk_add(t, &mal_of(t)->log, DZK_BITS, as[part->role], 0, all,
                               part->role == REP3_P1 ? arrays : arrays & ~(unsigned)DZK_LAST);
    uint64_t *spare = mal_words(t, n);
    if (!seg || !spare)
        return TASK_ERROR;
    for (unsigned j = 0; j < s->carries; j++)
        for (unsigned side = 0; side < 2; side++) {
            if (!mal_knows(part, side))
                continue;
            /* V: a = alpha, b = gamma; W: a' = gamma, b' = alpha */
            uint64_t *const *d = seg->x + (part->role == REP3_P1 && side ? 2 : 0);
            uint64_t *claim = part->role == REP3_P1 ? spare : seg->x[2] + j * n;
            carry_side(d[side] + j * n, d[!side] + j * n, claim, x[side] + j * n,
                       s->carry[side] + j * n, s->carry[side] + (j + 1) * n, n);
        }
    return 0;
}

int mal_sum_deal(seq_task *t, const mal_part *part, mal_sum *s, uint64_t *const x[2],
                 uint64_t *message) {
    const size_t n = part->words;
    const unsigned role = part->role;
    uint64_t *plane[2] = {NULL, NULL}, *c = mal_words(t, 2 * n);
    if (!c)
        return TASK_ERROR;
    for (unsigned side = 0; side < 2; side++) {
        if (!mal_knows(part, side))
            continue;
        const unsigned bits = s->bits;
        if (!(plane[side] = mal_words(t, bits * n)))
            return TASK_ERROR;
        t->env->bits->slice(plane[side], n, x[side], 64, part->count, 0, bits);
    }
    for (unsigned j = 1; j <= s->carries; j++) {
        uint64_t *v = s->carry[0] + j * n, *w = s->carry[1] + j * n;
        if (role != REP3_P2)
            prg_words(role == REP3_P1 ? &part->keys.prev : &part->keys.next, MAL_CARRY + j,
                      part->first / 64, v, n);
        if (role == REP3_P1) {
            next_carry(w, plane[0] + (j - 1) * n, plane[1] + (j - 1) * n, c + (j - 1) % 2 * n, n);
            memcpy(c + j % 2 * n, w, n * 8);
            xor_to(w, v, n);
            vm_cheat(t->env, "carries", w, n * 8);
            memcpy(message + (j - 1) * n, w, n * 8);
        } else if (role == REP3_P2) {
            memcpy(w, message + (j - 1) * n, n * 8);
        }
    }
    for (unsigned side = 0; side < 2; side++)
        for (unsigned j = 0; plane[side] && j < s->bits; j++) {
            memcpy(s->bit[side] + j * n, plane[side] + j * n, n * 8);
            xor_to(s->bit[side] + j * n, s->carry[side] + j * n, n);
        }
    return s->carries ? sum_statements(t, part, s, plane) : 0;
}

/* ---- gates ---- */

REP3_KERNEL static void gate_part(uint64_t *restrict z, const uint64_t *restrict next,
                                  const uint64_t *restrict prev, const uint64_t *x0,
                                  const uint64_t *x1, const uint64_t *y0, const uint64_t *y1,
                                  size_t n) {
    for (size_t i = 0; i < n; i++)
        z[i] = next[i] ^ prev[i] ^ (x0[i] & (y0[i] ^ y1[i])) ^ (x1[i] & y0[i]);
}

REP3_KERNEL static void xor_and(uint64_t *restrict d, const uint64_t *a, const uint64_t *b,
                                size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] ^= a[i] & b[i];
}

int mal_gates_send(seq_task *t, const mal_part *part, mal_gates *g, const rep3_gate *gates,
                   unsigned count, unsigned level) {
    const size_t n = g->words, all = count * n;
    uint64_t *send = (uint64_t *)rep3_send(t, rep3_prev(t->env->me), all * 8);
    dzk_segment *s[3];
    if ((all && !send) || dzk_add_product(t, &mal_of(t)->log, DZK_BITS, 1 + level, all, s) < 0)
        return TASK_ERROR;
    for (unsigned i = 0; i < count; i++) {
        const size_t x = gates[i].x * n, y = gates[i].y * n, at = i * n;
        const uint64_t *x0 = g->form[0] + x, *x1 = g->form[1] + x;
        const uint64_t *y0 = g->form[0] + y, *y1 = g->form[1] + y;
        uint64_t *next = s[DZK_V]->x[2] + at, *prev = s[DZK_W]->x[2] + at;
        const uint32_t purpose = MAL_GATE + 1024 * level + i;
        prg_words(&part->keys.next, purpose, part->first / 64, next, n);
        prg_words(&part->keys.prev, purpose, part->first / 64, prev, n);
        gate_part(send + at, next, prev, x0, x1, y0, y1, n);
        xor_and(next, x1, y1, n);
        const uint64_t *const p[4] = {x0, y0, x1, y1};
        for (unsigned k = 0; k < 4; k++)
            memcpy(s[DZK_P]->x[k] + at, p[k], n * 8);
    }
    vm_cheat(t->env, "gates", send, all * 8);
    g->pending = s[DZK_V]->x[2];
    for (unsigned i = 0; i < count; i++) {
        uint64_t *d = g->form[0] + gates[i].dst * n;
        if (gates[i].add)
            xor_to(d, send + i * n, n);
        else
            memcpy(d, send + i * n, n * 8);
    }
    task_expect(t, rep3_next(t->env->me), all * 8);
    return TASK_WAIT;
}

void mal_gates_take(seq_task *t, mal_gates *g, const rep3_gate *gates, unsigned count) {
    const uint64_t *received = (const uint64_t *)task_received(t, rep3_next(t->env->me));
    const size_t n = g->words;
    for (unsigned i = 0; i < count; i++) {
        uint64_t *d = g->form[1] + gates[i].dst * n;
        xor_to(g->pending + i * n, received + i * n, n);
        if (gates[i].add)
            xor_to(d, received + i * n, n);
        else
            memcpy(d, received + i * n, n * 8);
    }
}

unsigned mal_adder_levels(unsigned nodes) {
    unsigned levels = 0;
    while (1u << levels < nodes)
        levels++;
    return levels;
}

unsigned mal_adder_gates(unsigned nodes, int every_carry, unsigned level, rep3_gate *gates) {
    unsigned count = 0;
    for (unsigned j = 0; j < nodes; j++) {
        const uint16_t g = (uint16_t)j, p = (uint16_t)(nodes + j);
        if (level == 0) {
            gates[count++] =
                (rep3_gate){g, (uint16_t)(2 * nodes + j), (uint16_t)(3 * nodes + j), 0};
            continue;
        }
        const unsigned l = level - 1;
        if (!(j >> l & 1) || (!every_carry && (j + 1) % (2u << l) && j + 1 != nodes))
            continue;
        const unsigned k = (j >> l << l) - 1;
        gates[count++] = (rep3_gate){g, p, (uint16_t)k, 1};
        if (j >= 2u << l)
            gates[count++] = (rep3_gate){p, p, (uint16_t)(nodes + k), 0};
    }
    return count;
}

/* Products of all nodes: plane 0 in the end. */
static unsigned product_gates(unsigned nodes, unsigned level, rep3_gate *gates) {
    unsigned count = 0;
    for (unsigned j = 0; j + (1u << level) < nodes; j += 2u << level)
        gates[count++] = (rep3_gate){(uint16_t)j, (uint16_t)j, (uint16_t)(j + (1u << level)), 0};
    return count;
}

/* ---- ltz, eqz, a2b ---- */

typedef struct {
    mal_part part;
    mal_sum sum;
    mal_gates gates;
    uint64_t *third; /* P2, P3: planes of x3 (eqz: of -x3) */
    unsigned nodes, bits, levels;
} adder_state;

/* Components of `planes` planes of dealt bits, with P2's and P3's `third` in component 3. */
static void put_planes(const adder_state *s, size_t plane, uint64_t *const dealt[2],
                       const uint64_t *third, unsigned planes) {
    const size_t n = s->part.words, bytes = planes * n * 8;
    const uint64_t *c[2];
    mal_components(&s->part, dealt, NULL, c);
    for (unsigned k = 0; k < 2; k++) {
        uint64_t *d = s->gates.form[k] + plane * n;
        const uint64_t *from = c[k] ? c[k] : third;
        if (from)
            memcpy(d, from, bytes);
        else
            memset(d, 0, bytes);
    }
}

static void put_third(const adder_state *s, size_t plane, const uint64_t *third, unsigned planes) {
    const size_t n = s->part.words;
    for (unsigned k = 0; k < 2; k++)
        memset(s->gates.form[k] + plane * n, 0, planes * n * 8);
    if (s->part.role != REP3_P1)
        memcpy(s->gates.form[s->part.role == REP3_P2 ? 1 : 0] + plane * n, third, planes * n * 8);
}

/* Dealing: my words of the operand; P1's message to P2. */
static int adder_deal(seq_task *t, const seq_reg *a, int minus) {
    adder_state *s = t->state;
    const mal_part *part = &s->part;
    const unsigned role = part->role;
    uint64_t *c[2] = {(uint64_t *)a->c[0] + part->first, (uint64_t *)a->c[1] + part->first};
    if (mal_sum_alloc(t, part, &s->sum) < 0 || !(s->third = mal_words(t, s->bits * part->words)))
        return TASK_ERROR;
    if (role != REP3_P1) {
        const uint64_t *x3 = c[role == REP3_P2 ? 1 : 0];
        uint64_t *negative = minus ? mal_words(t, part->count) : NULL;
        if (minus && !negative)
            return TASK_ERROR;
        for (size_t i = 0; minus && i < part->count; i++)
            negative[i] = 0 - x3[i];
        t->env->bits->slice(s->third, part->words, minus ? negative : x3, 64, part->count, 0,
                            s->bits);
    }
    const size_t bytes = mal_sum_bytes(part, &s->sum);
    if (role == REP3_P1) {
        uint64_t *send = (uint64_t *)rep3_send(t, rep3_next(t->env->me), bytes);
        if ((bytes && !send) || mal_sum_deal(t, part, &s->sum, c, send) < 0)
            return TASK_ERROR;
    } else if (role == REP3_P3) {
        uint64_t *x[2] = {c[1], NULL};
        if (mal_sum_deal(t, part, &s->sum, x, NULL) < 0)
            return TASK_ERROR;
    } else {
        task_expect(t, rep3_prev(t->env->me), bytes);
    }
    return TASK_WAIT;
}

/* P2's part of the dealing; then the forms that the gates work on. */
static int adder_forms(seq_task *t, const seq_reg *a, unsigned planes) {
    adder_state *s = t->state;
    const size_t n = s->part.words;
    if (s->part.role == REP3_P2) {
        uint64_t *x[2] = {NULL, (uint64_t *)a->c[0] + s->part.first};
        uint64_t *message = (uint64_t *)(uintptr_t)task_received(t, rep3_prev(t->env->me));
        if (mal_sum_deal(t, &s->part, &s->sum, x, message) < 0)
            return TASK_ERROR;
    }
    s->gates.words = n;
    for (unsigned k = 0; k < 2; k++)
        if (!(s->gates.form[k] = mal_words(t, planes * n + 1)))
            return TASK_ERROR;
    return 0;
}

/* Planes: generates, propagates, A's bits, B's bits, for each node. */
static void adder_planes(adder_state *s) {
    const unsigned nodes = s->nodes;
    const size_t n = s->part.words;
    put_planes(s, 2 * nodes, s->sum.bit, NULL, nodes);
    put_third(s, 3 * nodes, s->third, nodes);
    for (unsigned k = 0; k < 2; k++) {
        uint64_t *p = s->gates.form[k] + nodes * n;
        memcpy(p, s->gates.form[k] + 2 * nodes * n, nodes * n * 8);
        xor_to(p, s->gates.form[k] + 3 * nodes * n, nodes * n);
    }
}

/* Component c of bit i of A + B without its carry. */
static void half_sum(const adder_state *s, unsigned i, unsigned c, uint64_t *d) {
    const size_t n = s->part.words;
    const uint64_t *part[2];
    mal_components(&s->part, s->sum.bit, NULL, part);
    memcpy(d, part[c] ? part[c] + i * n : s->third + i * n, n * 8);
}

static int sum_finish(seq_task *t, const seq_reg *d, int all) {
    adder_state *s = t->state;
    const size_t n = s->part.words, plane = bits_plane_words(t->end), at = s->part.first / 64;
    for (unsigned i = all ? 0 : s->bits - 1; i < s->bits; i++)
        for (unsigned c = 0; c < 2; c++) {
            uint64_t *out = (uint64_t *)d->c[c] + (all ? i : 0) * plane + at;
            half_sum(s, i, c, out);
            if (i)
                xor_to(out, s->gates.form[c] + (i - 1) * n, n);
        }
    return TASK_DONE;
}

/* ltz and a2b. */
static int sum_step(seq_task *t, const seq_reg *a, const seq_reg *d, unsigned bits, int all) {
    adder_state *s = t->state;
    if (t->step_no == 0) {
        mal_partition(&s->part, t);
        s->bits = s->sum.bits = bits;
        s->sum.carries = s->nodes = bits - 1;
        return adder_deal(t, a, 0);
    }
    rep3_gate gates[4 * REP3_MAX_BITS];
    const unsigned level = t->step_no - 1;
    if (level == 0) {
        if (adder_forms(t, a, 4 * s->nodes) < 0)
            return TASK_ERROR;
        adder_planes(s);
    } else if (s->nodes) {
        mal_gates_take(t, &s->gates, gates, mal_adder_gates(s->nodes, all, level - 1, gates));
    }
    if (s->nodes == 0 || level > mal_adder_levels(s->nodes))
        return sum_finish(t, d, all);
    const unsigned count = mal_adder_gates(s->nodes, all, level, gates);
    return mal_gates_send(t, &s->part, &s->gates, gates, count, level);
}

static unsigned sum_rounds(unsigned bits) {
    return bits > 1 ? 2 + mal_adder_levels(bits - 1) : 0;
}

static int ltz_step(seq_task *t) {
    return sum_step(t, &t->call.reg[SEQ_ARG_LTZ_a], &t->call.reg[SEQ_ARG_LTZ_d],
                    (unsigned)t->call.arg[SEQ_ARG_LTZ_bits], 0);
}

void mal_start_ltz(seq_vm *vm, const seq_call *call) {
    mal_start(vm, call, (size_t)call->arg[SEQ_ARG_LTZ_n],
              sum_rounds((unsigned)call->arg[SEQ_ARG_LTZ_bits]), ltz_step, sizeof(adder_state));
}

static int a2b_step(seq_task *t) {
    return sum_step(t, &t->call.reg[SEQ_ARG_A2B_a], &t->call.reg[SEQ_ARG_A2B_d],
                    (unsigned)t->call.arg[SEQ_ARG_A2B_bits], 1);
}

void mal_start_a2b(seq_vm *vm, const seq_call *call) {
    mal_start(vm, call, (size_t)call->arg[SEQ_ARG_A2B_n],
              sum_rounds((unsigned)call->arg[SEQ_ARG_A2B_bits]), a2b_step, sizeof(adder_state));
}

/* x = 0 iff every bit of x1 + x2 is that of -x3. */
static void equal_bits(adder_state *s) {
    const size_t all = s->bits * s->part.words;
    put_planes(s, 0, s->sum.bit, s->third, s->bits);
    if (s->part.role != REP3_P1) {
        uint64_t *d = s->gates.form[s->part.role == REP3_P2 ? 1 : 0];
        for (size_t i = 0; i < all; i++)
            d[i] = ~d[i];
    }
}

static int eqz_step(seq_task *t) {
    adder_state *s = t->state;
    const seq_reg *a = &t->call.reg[SEQ_ARG_EQZ_a], *d = &t->call.reg[SEQ_ARG_EQZ_d];
    if (t->step_no == 0) {
        mal_partition(&s->part, t);
        s->bits = s->sum.bits = (unsigned)t->call.arg[SEQ_ARG_EQZ_bits];
        s->sum.carries = s->bits - 1;
        return adder_deal(t, a, 1);
    }
    rep3_gate gates[REP3_MAX_BITS];
    const unsigned level = t->step_no - 1;
    if (level == 0) {
        if (adder_forms(t, a, s->bits) < 0)
            return TASK_ERROR;
        equal_bits(s);
    } else {
        mal_gates_take(t, &s->gates, gates, product_gates(s->bits, level - 1, gates));
    }
    if (level < mal_adder_levels(s->bits))
        return mal_gates_send(t, &s->part, &s->gates, gates, product_gates(s->bits, level, gates),
                              level);
    for (unsigned c = 0; c < 2; c++)
        memcpy((uint64_t *)d->c[c] + s->part.first / 64, s->gates.form[c], s->part.words * 8);
    return TASK_DONE;
}

void mal_start_eqz(seq_vm *vm, const seq_call *call) {
    const unsigned bits = (unsigned)call->arg[SEQ_ARG_EQZ_bits];
    mal_start(vm, call, (size_t)call->arg[SEQ_ARG_EQZ_n], bits > 1 ? 1 + mal_adder_levels(bits) : 0,
              eqz_step, sizeof(adder_state));
}

/* ---- and ---- */

typedef struct {
    mal_part part;
    mal_gates gates;
} and_state;

/* Bits past the last element are what the register held before, and not the same everywhere. */
static void copy_plane(const mal_part *part, uint64_t *d, const uint64_t *plane) {
    memcpy(d, plane + part->first / 64, part->words * 8);
    if (part->count % 64)
        d[part->words - 1] &= ((uint64_t)1 << part->count % 64) - 1;
}

static int and_step(seq_task *t) {
    and_state *s = t->state;
    const unsigned p = (unsigned)t->call.arg[SEQ_ARG_AND_p];
    const size_t plane = bits_plane_words(t->end);
    const unsigned operands[2] = {SEQ_ARG_AND_a, SEQ_ARG_AND_b};
    if (t->step_no == 0) {
        mal_partition(&s->part, t);
        s->gates.words = s->part.words;
        for (unsigned c = 0; c < 2; c++) {
            if (!(s->gates.form[c] = mal_words(t, 2 * p * s->part.words)))
                return TASK_ERROR;
            for (unsigned k = 0; k < 2; k++)
                for (unsigned i = 0; i < p; i++)
                    copy_plane(&s->part, s->gates.form[c] + (k * p + i) * s->part.words,
                               (const uint64_t *)t->call.reg[operands[k]].c[c] + i * plane);
        }
    }
    rep3_gate *gates = task_scratch(t, (p + 1) * sizeof *gates);
    if (!gates)
        return TASK_ERROR;
    for (unsigned i = 0; i < p; i++)
        gates[i] = (rep3_gate){(uint16_t)i, (uint16_t)i, (uint16_t)(p + i), 0};
    if (t->step_no == 0)
        return mal_gates_send(t, &s->part, &s->gates, gates, p, 0);
    mal_gates_take(t, &s->gates, gates, p);
    for (unsigned c = 0; c < 2; c++)
        for (unsigned i = 0; i < p; i++)
            memcpy((uint64_t *)t->call.reg[SEQ_ARG_AND_d].c[c] + i * plane + s->part.first / 64,
                   s->gates.form[c] + i * s->part.words, s->part.words * 8);
    return TASK_DONE;
}

void mal_start_and(seq_vm *vm, const seq_call *call) {
    const size_t p = (size_t)call->arg[SEQ_ARG_AND_p];
    if (p > 0x7FFF)
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep3-mal takes at most %d planes", 0x7FFF);
    else
        mal_start(vm, call, p ? (size_t)call->arg[SEQ_ARG_AND_n] : 0, 1, and_step,
                  sizeof(and_state));
}
