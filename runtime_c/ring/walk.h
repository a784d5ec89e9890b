#ifndef SEQ_RING_WALK_H
#define SEQ_RING_WALK_H
/* Walks in the order that suits the caches: what ring_impl.h's copy and acc have in common for all
 * widths and instruction sets. */
#include <string.h>

#include "ring.h"

/* Estimated cost of an element when dimension i is the innermost one, in sixteenths of a step. */
static inline size_t walk_cost(const ring_walk *w, size_t i) {
    size_t d = (size_t)(w->dstr[i] < 0 ? -w->dstr[i] : w->dstr[i]);
    size_t s = (size_t)(w->sstr[i] < 0 ? -w->sstr[i] : w->sstr[i]);
    return 256 / w->shape[i] + 16 * ((d < 8 ? d : 8) + (s < 8 ? s : 8));
}

static inline void walk_move(ring_walk *to, size_t k, const ring_walk *from, size_t i) {
    to->shape[k] = from->shape[i];
    to->dstr[k] = from->dstr[i];
    to->sstr[k] = from->sstr[i];
}

/* Drop dimensions of size 1, merge neighbours that are walked as one, and put the cheapest
 * dimension innermost. On output rank >= 1; returns 0 if the walk is empty. */
static inline int walk_plan(ring_walk *out, const ring_walk *in) {
    size_t r = 0;
    for (size_t i = 0; i < in->rank; i++) {
        ptrdiff_t size = (ptrdiff_t)in->shape[i];
        if (size == 0)
            return 0;
        if (size == 1)
            continue;
        if (r && out->dstr[r - 1] == in->dstr[i] * size && out->sstr[r - 1] == in->sstr[i] * size) {
            size_t merged = out->shape[r - 1] * in->shape[i];
            walk_move(out, r - 1, in, i);
            out->shape[r - 1] = merged;
        } else {
            walk_move(out, r++, in, i);
        }
    }
    if (r == 0) {
        out->shape[0] = 1;
        out->dstr[0] = out->sstr[0] = 1;
        r = 1;
    }
    out->rank = r;
    size_t best = 0;
    for (size_t i = 1; i < r; i++)
        if (walk_cost(out, i) <= walk_cost(out, best))
            best = i;
    ring_walk chosen;
    walk_move(&chosen, 0, out, best);
    for (size_t i = best; i + 1 < r; i++)
        walk_move(out, i, out, i + 1);
    walk_move(out, r - 1, &chosen, 0);
    return 1;
}

/* Step all dimensions but the innermost; 0 when the walk is over. */
static inline int walk_next(const ring_walk *w, size_t index[], ptrdiff_t *d, ptrdiff_t *s) {
    for (size_t i = w->rank - 1; i-- > 0;) {
        *d += w->dstr[i];
        *s += w->sstr[i];
        if (++index[i] < w->shape[i])
            return 1;
        *d -= (ptrdiff_t)w->shape[i] * w->dstr[i];
        *s -= (ptrdiff_t)w->shape[i] * w->sstr[i];
        index[i] = 0;
    }
    return 0;
}

#endif
