/* The plan of an addition on bits of A, known to one side, and B, known to the other: which
 * products of A's bits are dealt, which sums of these ("forms") B selects, and how gates combine
 * them (Sklansky's prefix tree; only the nodes below the last carry when no other is needed). */

#include "rep3.h"

void rep3_plan_make(rep3_plan *plan, unsigned kind, unsigned bits) {
    const int sum = kind == REP3_SUM;
    plan->kind = kind;
    plan->bits = bits;
    plan->added = kind == REP3_SIGN ? bits - 1 : bits;
    plan->blocks = (plan->added + REP3_BLOCK - 1) / REP3_BLOCK;
    plan->top = kind == REP3_SIGN && plan->blocks <= 1;
    plan->monomials = plan->forms = 0;
    for (unsigned j = 0; j < plan->blocks; j++) {
        const unsigned size = rep3_block_size(plan, j);
        plan->monomials += (1u << size) - 1;
        for (unsigned i = 0; sum && i < size; i++) {
            plan->s[j * REP3_BLOCK + i] = (uint16_t)plan->forms++;
            if (i && j)
                plan->pp[j * REP3_BLOCK + i] = (uint16_t)plan->forms++;
        }
        if (sum && j + 1 == plan->blocks)
            break;
        if (kind != REP3_ZERO_TEST)
            plan->g[j] = (uint16_t)plan->forms++;
        if (j || kind == REP3_ZERO_TEST)
            plan->p[j] = (uint16_t)plan->forms++;
    }
    if (plan->top)
        plan->monomials++;
    if (!plan->forms)
        plan->g[0] = (uint16_t)plan->forms++; /* the sign of one bit: the top monomial alone */
    const unsigned nodes = sum ? plan->blocks - 1 : plan->blocks;
    plan->tree = 0;
    while (1u << plan->tree < nodes)
        plan->tree++;
    plan->levels = plan->tree + (sum && REP3_BLOCK > 1 && bits > REP3_BLOCK + 1);
}

/* The last layer of a sum: every bit but the first of its block takes in the carry into the block.
 */
static unsigned sum_gates(const rep3_plan *plan, rep3_gate *gates) {
    unsigned count = 0;
    for (unsigned j = 1; j < plan->blocks; j++)
        for (unsigned i = 1; i < rep3_block_size(plan, j); i++) {
            const unsigned bit = j * REP3_BLOCK + i;
            gates[count++] = (rep3_gate){plan->s[bit], plan->pp[bit], plan->g[j - 1], 1};
        }
    return count;
}

unsigned rep3_plan_gates(const rep3_plan *plan, unsigned level, rep3_gate *gates) {
    const int sum = plan->kind == REP3_SUM, zero = plan->kind == REP3_ZERO_TEST;
    if (level == plan->tree)
        return sum_gates(plan, gates);
    const unsigned nodes = sum ? plan->blocks - 1 : plan->blocks;
    unsigned count = 0;
    for (unsigned j = 0; j < nodes; j++) {
        if (!(j >> level & 1) || (!sum && (j + 1) % (2u << level) && j + 1 != nodes))
            continue;
        const unsigned k = (j >> level << level) - 1;
        if (!zero)
            gates[count++] = (rep3_gate){plan->g[j], plan->p[j], plan->g[k], 1};
        if (zero || j >= 2u << level)
            gates[count++] = (rep3_gate){plan->p[j], plan->p[j], plan->p[k], 0};
    }
    return count;
}

size_t rep3_plan_widest(const rep3_plan *plan) {
    rep3_gate gates[REP3_MAX_GATES];
    size_t most = plan->forms > 1u << REP3_BLOCK ? plan->forms : 1u << REP3_BLOCK;
    for (unsigned level = 0; level < plan->levels; level++) {
        const unsigned count = rep3_plan_gates(plan, level, gates);
        most = count > most ? count : most;
    }
    return most;
}

unsigned rep3_plan_result(const rep3_plan *plan, unsigned i) {
    if (plan->kind == REP3_SUM)
        return plan->s[i];
    const unsigned last = plan->blocks ? plan->blocks - 1 : 0;
    return plan->kind == REP3_ZERO_TEST ? plan->p[last] : plan->g[last];
}

/* ---- forms ---- */

enum { WORDS = REP3_FORM_WORDS };
typedef struct {
    uint64_t m[1 << REP3_BLOCK][WORDS];
} subset_words;

/* One more bit (number i of the block) into the generate c and propagate p of the bits below it,
 * for every product of them with a monomial of the bits above: c' = b (a + c) + a c, p' = p (a +
 * b). */
REP3_KERNEL static void extend(subset_words *c, subset_words *p, const subset_words *m,
                               const uint64_t *b, unsigned i, unsigned size, size_t n) {
    for (unsigned s = 0; s < 1u << size; s += 2u << i) {
        const unsigned a = s | 1u << i;
        uint64_t *restrict cs = c->m[s], *restrict ps = p->m[s];
        const uint64_t *restrict ca = c->m[a], *restrict pa = p->m[a], *restrict ma = m->m[a];
        for (size_t k = 0; k < n; k++) {
            cs[k] = (b[k] & (ma[k] ^ cs[k])) ^ ca[k];
            ps[k] = pa[k] ^ (b[k] & ps[k]);
        }
    }
}

void rep3_plan_forms(const rep3_plan *plan, unsigned j, const rep3_forms *x, size_t i, size_t n) {
    const unsigned size = rep3_block_size(plan, j), sum = plan->kind == REP3_SUM;
    subset_words m, c, p;
    memset(m.m[0], x->one ? 0xFF : 0, n * 8); /* the empty product */
    for (unsigned s = 1; s < 1u << size; s++)
        x->load(x, rep3_monomial(j, s), m.m[s], i, n);
    memset(&c, 0, sizeof c);
    memcpy(&p, &m, sizeof m);
    for (unsigned k = 0; k < size; k++) {
        const unsigned bit = j * REP3_BLOCK + k;
        if (sum) {
            if (k && j)
                x->emit(x, plan->pp[bit], p.m[0], i, n);
            uint64_t s[WORDS];
            for (size_t w = 0; w < n; w++)
                s[w] = m.m[1u << k][w] ^ c.m[0][w];
            x->emit(x, plan->s[bit], s, i, n);
            prg_wipe(s, sizeof s);
        }
        extend(&c, &p, &m, x->b + bit * x->stride + i, k, size, n);
    }
    if (plan->top) {
        x->load(x, plan->monomials - 1, m.m[0], i, n);
        for (size_t w = 0; w < n; w++)
            c.m[0][w] ^= m.m[0][w];
    }
    if (!(sum && j + 1 == plan->blocks)) {
        if (plan->kind != REP3_ZERO_TEST)
            x->emit(x, plan->g[j], c.m[0], i, n);
        if (j || plan->kind == REP3_ZERO_TEST)
            x->emit(x, plan->p[j], p.m[0], i, n);
    }
    prg_wipe(&m, sizeof m);
    prg_wipe(&c, sizeof c);
    prg_wipe(&p, sizeof p);
}
