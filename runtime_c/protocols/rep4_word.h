/* Word-wise work of rep4, included once for each ring with
 *   WORD, BITS  an unsigned type for the elements of Z_{2^BITS}, and its width,
 *   FN(name)    the name of a function for this ring,
 *   MASKS(key, purpose, first, out, n): out[i] = mask first + i of a stream, for i < n.
 * Defines `static const rep4_word FN(table)`. */

#define SHL(x, s) ((WORD)((WORD)(x) << (s)))
#define ONE ((WORD)1)

typedef WORD FN(wire) __attribute__((aligned(8), may_alias)); /* words in a frame */
typedef struct {
    WORD w[REP4_PIECE];
} __attribute__((aligned(64))) FN(piece);

static size_t FN(piece_size)(size_t begin, size_t end) {
    return end - begin < REP4_PIECE ? end - begin : REP4_PIECE;
}

/* The stream that all but role j know, for a role that is not j. */
static const prg_key *FN(without)(const rep4_keys *keys, unsigned role, unsigned j) {
    return &keys->without[rep4_at(role, j)];
}

/* ---- elementwise loops ---- */

REP4_KERNEL static void FN(sum)(WORD *restrict d, const WORD *x, const WORD *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(x[i] + y[i]);
}

REP4_KERNEL static void FN(plus)(WORD *restrict d, const WORD *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] + x[i]);
}

REP4_KERNEL static void FN(minus)(WORD *restrict d, const WORD *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] - x[i]);
}

REP4_KERNEL static void FN(times)(WORD *restrict d, const WORD *x, const WORD *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(x[i] * y[i]);
}

REP4_KERNEL static void FN(scale)(WORD *restrict d, const WORD *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] * x[i]);
}

/* d = x v + y u */
REP4_KERNEL static void FN(crossed)(WORD *restrict d, const WORD *x, const WORD *v, const WORD *y,
                                    const WORD *u, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(x[i] * v[i] + y[i] * u[i]);
}

/* d += x 2^s */
REP4_KERNEL static void FN(plus_shifted)(WORD *restrict d, const WORD *restrict x, unsigned s,
                                         size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] + SHL(x[i], s));
}

REP4_KERNEL static void FN(plus_wire)(WORD *restrict d, const uint8_t *restrict in, size_t n) {
    const FN(wire) *x = (const FN(wire) *)in;
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] + x[i]);
}

REP4_KERNEL static void FN(minus_shifted)(WORD *restrict d, const WORD *restrict x, unsigned s,
                                          size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] - SHL(x[i], s));
}

REP4_KERNEL static void FN(minus_wire)(WORD *restrict d, const uint8_t *restrict in, size_t n) {
    const FN(wire) *x = (const FN(wire) *)in;
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] - x[i]);
}

static void FN(store)(uint8_t *out, const WORD *x, size_t n) {
    memcpy(out, x, n * sizeof(WORD));
}

/* ---- residues mod 2^m as ceil(m/8) bytes each ---- */

REP4_KERNEL static void FN(pack)(uint8_t *restrict out, const WORD *restrict x, size_t n,
                                 unsigned m) {
    const WORD mask = (WORD)((ONE << (m - 1)) | ((ONE << (m - 1)) - 1));
    const unsigned bytes = (m + 7) / 8;
    if (bytes == 2) {
        for (size_t i = 0; i < n; i++) {
            uint16_t v = (uint16_t)(x[i] & mask);
            memcpy(out + 2 * i, &v, 2);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const WORD v = (WORD)(x[i] & mask);
        for (unsigned k = 0; k < bytes; k++)
            out[bytes * i + k] = (uint8_t)(v >> 8 * k);
    }
}

REP4_KERNEL static void FN(unpack)(WORD *restrict x, const uint8_t *restrict in, size_t n,
                                   unsigned m) {
    const unsigned bytes = (m + 7) / 8;
    if (bytes == 2) {
        for (size_t i = 0; i < n; i++) {
            uint16_t v;
            memcpy(&v, in + 2 * i, 2);
            x[i] = (WORD)v;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = 0;
        for (unsigned k = 0; k < bytes; k++)
            x[i] |= SHL(in[bytes * i + k], 8 * k);
    }
}

/* ---- what is truncated ---- */

static const WORD *FN(words)(const seq_reg *r, unsigned k, size_t e) {
    return (const WORD *)r->c[k] + e;
}

/* The product of share j with itself; of a sum, plus what is added. */
static void FN(square)(WORD *d, const rep4_source *s, unsigned role, unsigned j, size_t e,
                       size_t n) {
    const unsigned k = rep4_at(role, j);
    if (s->kind == REP4_PRODUCT)
        FN(times)(d, FN(words)(&s->a, k, e), FN(words)(&s->b, k, e), n);
    else
        memcpy(d, FN(words)(&s->a, k, e), n * sizeof(WORD));
    if (s->e.c[0])
        FN(plus)(d, FN(words)(&s->e, k, e), n);
}

/* The products of share x with share y, both ways. */
static void FN(term)(WORD *d, const rep4_source *s, unsigned role, unsigned x, unsigned y, size_t e,
                     size_t n) {
    const unsigned k = rep4_at(role, x), l = rep4_at(role, y);
    if (s->kind == REP4_PRODUCT) {
        FN(crossed)(d, FN(words)(&s->a, k, e), FN(words)(&s->b, l, e), FN(words)(&s->a, l, e),
                    FN(words)(&s->b, k, e), n);
        return;
    }
    memcpy(d, FN(words)(&s->b, k + l - 1, e), n * sizeof(WORD));
    FN(minus)(d, FN(words)(&s->a, k, e), n);
    FN(minus)(d, FN(words)(&s->a, l, e), n);
}

/* All that the role knows of z: the products of its own shares. */
static void FN(known)(WORD *d, const rep4_source *s, size_t e, size_t n) {
    FN(piece) y;
    memcpy(d, FN(words)(&s->a, 0, e), n * sizeof(WORD));
    if (s->kind == REP4_BILINEAR) {
        memset(d, 0, n * sizeof(WORD));
        for (unsigned k = 0; k < 3; k++) {
            FN(plus)(d, FN(words)(&s->b, k, e), n);
            FN(minus)(d, FN(words)(&s->a, k, e), n);
        }
    } else {
        for (unsigned k = 1; k < 3; k++)
            FN(plus)(d, FN(words)(&s->a, k, e), n);
    }
    if (s->kind == REP4_PRODUCT) {
        FN(sum)(y.w, FN(words)(&s->b, 0, e), FN(words)(&s->b, 1, e), n);
        FN(plus)(y.w, FN(words)(&s->b, 2, e), n);
        FN(scale)(d, y.w, n);
        prg_wipe(&y, sizeof y);
    }
    for (unsigned k = 0; k < 3 && s->e.c[0]; k++)
        FN(plus)(d, FN(words)(&s->e, k, e), n);
}

/* ---- cross terms: share y gets a mask of K_y, share x the rest ---- */

/* The term of shares x and y in v, if the role knows it: the message, and parts into dx and dy. */
static void FN(give)(const seq_env *env, const rep4_keys *keys, unsigned role, unsigned x,
                     unsigned y, uint32_t purpose, size_t e, WORD *v, WORD *dx, WORD *dy,
                     uint8_t *out, size_t n) {
    FN(piece) mask;
    if (role == y)
        return;
    MASKS(FN(without)(keys, role, y), purpose + 4 * x + y, e, mask.w, n);
    FN(plus)(dy, mask.w, n);
    if (role != x) {
        FN(minus)(v, mask.w, n);
        vm_cheat(env, "product", v, n * sizeof(WORD));
        FN(plus)(dx, v, n);
        FN(store)(out, v, n);
    }
    prg_wipe(&mask, sizeof mask);
}

static WORD *FN(share)(const seq_reg *d, unsigned role, unsigned j, size_t e) {
    const unsigned k = rep4_at(role, j);
    return k < 3 ? (WORD *)d->c[k] + e : NULL;
}

/* Products without truncation: all shares but for what comes. */
static void FN(cross)(void *arg, size_t begin, size_t end) {
    const rep4_word_job *j = arg;
    FN(piece) v;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i;
        for (unsigned s = 0; s < 4; s++)
            if (s != j->role)
                FN(square)(FN(share)(&j->d, j->role, s, e), &j->source, j->role, s, e, n);
        for (unsigned t = 0; t < 6; t++) {
            const unsigned x = rep4_terms[t].x, y = rep4_terms[t].y;
            if (j->role != x && j->role != y)
                FN(term)(v.w, &j->source, j->role, x, y, e, n);
            FN(give)(j->env, j->keys, j->role, x, y, REP4_CROSS, e, v.w,
                     FN(share)(&j->d, j->role, x, e), FN(share)(&j->d, j->role, y, e),
                     j->out[t] ? j->out[t] + i * sizeof(WORD) : NULL, n);
        }
    }
    prg_wipe(&v, sizeof v);
}

static void FN(cross_finish)(void *arg, size_t begin, size_t end) {
    const rep4_word_job *j = arg;
    for (unsigned t = 0; t < 6; t++)
        if (rep4_terms[t].y == j->role)
            FN(plus_wire)(FN(share)(&j->d, j->role, rep4_terms[t].x, j->first + begin),
                          j->in[t] + begin * sizeof(WORD), end - begin);
}

/* ---- truncation: roles 0 and 1 learn c = z + 2^(BITS-2) + r, roles 2 and 3 know r ---- */

typedef struct {
    FN(piece) r, v, mask, rho[2], u, y[4];
} FN(trunc_pieces);

static size_t FN(residue)(const rep4_word_job *j) {
    return (j->m + 7) / 8;
}

/* A cross term, masked by a stream of K_to: message `number`, if it is the role's to know. */
static void FN(send_term)(const rep4_word_job *j, FN(trunc_pieces) * w, unsigned number, unsigned x,
                          unsigned to, uint32_t purpose, size_t i, size_t n) {
    if (j->role == x || j->role == to)
        return;
    FN(term)(w->v.w, &j->source, j->role, x, to, j->first + i, n);
    MASKS(FN(without)(j->keys, j->role, to), purpose, j->first + i, w->mask.w, n);
    FN(plus)(w->v.w, w->mask.w, n);
    FN(store)(j->out[number] + i * sizeof(WORD), w->v.w, n);
}

/* Roles 2 and 3: what role `to` lacks of z beyond the cross terms above, hidden by r. */
static void FN(send_rest)(const rep4_word_job *j, FN(trunc_pieces) * w, unsigned to, size_t i,
                          size_t n) {
    const size_t e = j->first + i;
    FN(square)(w->u.w, &j->source, j->role, to, e, n);
    FN(plus)(w->u.w, w->r.w, n);
    if (j->source.kind != REP4_REPLICATED) {
        FN(term)(w->v.w, &j->source, j->role, 0, 1, e, n);
        FN(plus)(w->u.w, w->v.w, n);
        MASKS(FN(without)(j->keys, j->role, to), REP4_M2, e, w->mask.w, n);
        FN(minus)(w->u.w, w->mask.w, n);
        MASKS(FN(without)(j->keys, j->role, to), REP4_M3, e, w->mask.w, n);
        FN(minus)(w->u.w, w->mask.w, n);
    }
    FN(store)(j->out[to ? REP4_Z1 : REP4_Z0] + i * sizeof(WORD), w->u.w, n);
}

/* Shares of rho_side alpha_other (side 0, 1; other 2, 3), times 2^(BITS-m): share `side` a mask of
 * K_side, share `other` the rest, which goes to role `side`. Into the pieces y of the shares that
 * the role holds; out: the message, or NULL. */
static void FN(alpha_product)(const rep4_word_job *j, FN(trunc_pieces) * w, unsigned side,
                              unsigned other, uint8_t *const *out, size_t i, size_t n) {
    const size_t e = j->first + i;
    const unsigned shift = BITS - j->m;
    if (j->role == side)
        return;
    MASKS(FN(without)(j->keys, j->role, side), other == 2 ? REP4_U2 : REP4_U3, e, w->mask.w, n);
    FN(plus_shifted)(w->y[side].w, w->mask.w, shift, n);
    if (j->role == other)
        return;
    MASKS(FN(without)(j->keys, j->role, other), REP4_ALPHA, e, w->u.w, n);
    FN(scale)(w->u.w, w->rho[side].w, n);
    FN(minus)(w->u.w, w->mask.w, n);
    vm_cheat(j->env, "wrap", w->u.w, n * sizeof(WORD));
    FN(plus_shifted)(w->y[other].w, w->u.w, shift, n);
    const unsigned number = (other == 2 ? REP4_P20 : REP4_P30) + side;
    if (out)
        FN(pack)(out[number] + i * FN(residue)(j), w->u.w, n, j->m);
}

REP4_KERNEL static void FN(split_top)(WORD *restrict rho0, const WORD *restrict rho1,
                                      const WORD *restrict r, size_t n) {
    for (size_t l = 0; l < n; l++)
        rho0[l] = (WORD)((WORD)(r[l] >> (BITS - 1)) - rho1[l]);
}

/* y0 = -(r >> m) - y1 - 2^(BITS-2-m) */
REP4_KERNEL static void FN(minus_quotient)(WORD *restrict y0, const WORD *restrict y1,
                                           const WORD *restrict r, size_t n, unsigned m) {
    const WORD offset = SHL(1, BITS - 2 - m);
    for (size_t l = 0; l < n; l++)
        y0[l] = (WORD)(0 - (WORD)(r[l] >> m) - y1[l] - offset);
}

/* The pieces of shares that the role holds go to the result. */
static void FN(keep_shares)(const rep4_word_job *j, const FN(trunc_pieces) * w, size_t i,
                            size_t n) {
    for (unsigned s = 0; s < 4; s++)
        if (s != j->role)
            memcpy(FN(share)(&j->d, j->role, s, j->first + i), w->y[s].w, n * sizeof(WORD));
}

/* Roles 2 and 3 in the first step. */
static void FN(deal_masked)(const rep4_word_job *j, FN(trunc_pieces) * w, size_t i, size_t n) {
    const size_t e = j->first + i, residue = FN(residue)(j);
    const unsigned role = j->role, shift = BITS - j->m;
    MASKS(&j->keys->pair[role == 2 ? 0 : 2], REP4_R, e, w->r.w, n);
    FN(send_rest)(j, w, 0, i, n);
    FN(send_rest)(j, w, 1, i, n);
    MASKS(FN(without)(j->keys, role, 1), REP4_RHO, e, w->rho[1].w, n);
    FN(split_top)(w->rho[0].w, w->rho[1].w, w->r.w, n);
    MASKS(FN(without)(j->keys, role, 1), REP4_T, e, w->y[1].w, n);
    FN(minus_quotient)(w->y[0].w, w->y[1].w, w->r.w, n, j->m);
    vm_cheat(j->env, "quotient", w->y[0].w, n * sizeof(WORD));
    vm_cheat(j->env, "wrap", w->rho[0].w, n * sizeof(WORD));
    FN(store)(j->out[REP4_Q] + i * sizeof(WORD), w->y[0].w, n);
    FN(pack)(j->out[REP4_RHO0] + i * residue, w->rho[0].w, n, j->m);
    FN(pack)(j->rho + i * residue, w->rho[0].w, n, j->m);
    FN(pack)(j->rho + (j->count + i) * residue, w->rho[1].w, n, j->m);
    FN(plus_shifted)(w->y[0].w, w->rho[0].w, shift, n);
    FN(plus_shifted)(w->y[1].w, w->rho[1].w, shift, n);
    memset(w->y[3].w, 0, n * sizeof(WORD));
    if (role == 3)
        MASKS(FN(without)(j->keys, role, 2), REP4_T, e, w->y[2].w, n);
    for (unsigned side = 0; side < 2; side++)
        for (unsigned other = 2; other < 4; other++)
            FN(alpha_product)(j, w, side, other, j->out, i, n);
    FN(keep_shares)(j, w, i, n);
    if (j->nearest)
        j->env->bits->slice(j->low + i / 64, j->stride, w->r.w, BITS, n, 0, j->m);
}

static void FN(trunc_deal)(void *arg, size_t begin, size_t end) {
    const rep4_word_job *j = arg;
    FN(trunc_pieces) w;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        if (j->source.kind != REP4_REPLICATED) {
            FN(send_term)(j, &w, REP4_Z03, 3, 0, REP4_M2, i, n);
            FN(send_term)(j, &w, REP4_Z02, 2, 0, REP4_M3, i, n);
            FN(send_term)(j, &w, REP4_Z12, 2, 1, REP4_M2, i, n);
            FN(send_term)(j, &w, REP4_Z13, 3, 1, REP4_M3, i, n);
        }
        if (j->role >= 2) {
            FN(deal_masked)(j, &w, i, n);
        } else if (j->role == 0) { /* it verifies what it can: rho_1 is its own to know */
            MASKS(FN(without)(j->keys, 0, 1), REP4_RHO, j->first + i, w.rho[1].w, n);
            FN(alpha_product)(j, &w, 1, 2, j->out, i, n);
            FN(alpha_product)(j, &w, 1, 3, j->out, i, n);
        }
    }
    prg_wipe(&w, sizeof w);
}

typedef struct {
    FN(piece) c, q, delta, v;
    FN(trunc_pieces) w;
} FN(open_pieces);

/* On input c = z + r, delta = alpha_2 + alpha_3. On output q = (c + 2^(BITS-2)) >> m, delta += top
 * bit, c: the complement of what is compared (nearest). */
REP4_KERNEL static void FN(open_words)(FN(open_pieces) *restrict o, size_t n, unsigned m,
                                       unsigned nearest) {
    const WORD half = nearest ? SHL(1, m - 1) : 0, one = (WORD)nearest;
    for (size_t l = 0; l < n; l++) {
        const WORD c = (WORD)(o->c.w[l] + SHL(1, BITS - 2));
        o->q.w[l] = (WORD)((WORD)(c >> m) + ((WORD)(c >> (m - 1)) & one));
        o->delta.w[l] = (WORD)(o->delta.w[l] + (WORD)(c >> (BITS - 1)));
        o->c.w[l] = (WORD) ~(WORD)(c + half);
    }
}

/* d += rho (1 - delta) 2^s */
REP4_KERNEL static void FN(plus_wrap)(WORD *restrict d, const WORD *restrict rho,
                                      const WORD *restrict delta, unsigned s, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] + SHL(rho[i] * (WORD)(1 - delta[i]), s));
}

/* Role 0 or 1: the result's shares, once q and delta are known. */
static void FN(open_shares)(const rep4_word_job *j, FN(open_pieces) * o, size_t i, size_t n) {
    const size_t e = j->first + i, at = i * FN(residue)(j);
    const unsigned role = j->role, side = 1 - role, shift = BITS - j->m;
    FN(trunc_pieces) *w = &o->w;
    if (role == 0) {
        MASKS(FN(without)(j->keys, 0, 1), REP4_RHO, e, w->rho[1].w, n);
        MASKS(FN(without)(j->keys, 0, 1), REP4_T, e, w->y[1].w, n);
    } else {
        FN(unpack)(w->rho[0].w, j->in[REP4_RHO0] + at, n, j->m);
        memset(w->y[0].w, 0, n * sizeof(WORD));
        FN(plus_wire)(w->y[0].w, j->in[REP4_Q] + i * sizeof(WORD), n);
    }
    FN(plus_wrap)(w->y[side].w, w->rho[side].w, o->delta.w, shift, n);
    memcpy(w->y[3].w, o->q.w, n * sizeof(WORD));
    for (unsigned other = 2; other < 4; other++) {
        FN(alpha_product)(j, w, side, other, role == 1 ? j->late : NULL, i, n);
        FN(unpack)(w->u.w, j->in[(other == 2 ? REP4_P20 : REP4_P30) + role] + at, n, j->m);
        FN(plus_shifted)(w->y[other].w, w->u.w, shift, n);
    }
    FN(keep_shares)(j, w, i, n);
}

static void FN(trunc_open)(void *arg, size_t begin, size_t end) {
    const rep4_word_job *j = arg;
    const unsigned role = j->role, m = j->m;
    const size_t residue = FN(residue)(j);
    FN(open_pieces) o;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i, at = i * sizeof(WORD);
        FN(known)(o.c.w, &j->source, e, n);
        FN(plus_wire)(o.c.w, j->in[role ? REP4_Z1 : REP4_Z0] + at, n);
        if (j->source.kind != REP4_REPLICATED) {
            FN(plus_wire)(o.c.w, j->in[role ? REP4_Z12 : REP4_Z02] + at, n);
            FN(plus_wire)(o.c.w, j->in[role ? REP4_Z13 : REP4_Z03] + at, n);
        }
        MASKS(FN(without)(j->keys, role, 2), REP4_ALPHA, e, o.delta.w, n);
        MASKS(FN(without)(j->keys, role, 3), REP4_ALPHA, e, o.v.w, n);
        FN(plus)(o.delta.w, o.v.w, n);
        FN(open_words)(&o, n, m, j->nearest);
        MASKS(FN(without)(j->keys, role, 2), REP4_T, e, o.w.y[2].w, n);
        FN(minus)(o.q.w, o.w.y[2].w, n);
        vm_cheat(j->env, "quotient", o.q.w, n * sizeof(WORD));
        vm_cheat(j->env, "wrap", o.delta.w, n * sizeof(WORD));
        FN(store)(j->out[REP4_C] + at, o.q.w, n);
        FN(pack)(j->out[REP4_DELTA2] + i * residue, o.delta.w, n, m);
        memcpy(j->out[REP4_DELTA3] + i * residue, j->out[REP4_DELTA2] + i * residue, n * residue);
        if (j->nearest)
            j->env->bits->slice(j->low + i / 64, j->stride, o.c.w, BITS, n, 0, m);
        FN(open_shares)(j, &o, i, n);
    }
    prg_wipe(&o, sizeof o);
}

/* Roles 2 and 3: delta takes its part, and role 2 gets share 3. */
static void FN(trunc_finish)(void *arg, size_t begin, size_t end) {
    const rep4_word_job *j = arg;
    const size_t residue = FN(residue)(j);
    FN(piece) delta, rho;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i;
        FN(unpack)(delta.w, j->in[j->role == 2 ? REP4_DELTA2 : REP4_DELTA3] + i * residue, n, j->m);
        for (unsigned side = 0; side < 2; side++) {
            FN(unpack)(rho.w, j->rho + (side * j->count + i) * residue, n, j->m);
            FN(scale)(rho.w, delta.w, n);
            FN(minus_shifted)(FN(share)(&j->d, j->role, side, e), rho.w, BITS - j->m, n);
        }
        if (j->role == 2)
            FN(plus_wire)(FN(share)(&j->d, 2, 3, e), j->in[REP4_C] + i * sizeof(WORD), n);
    }
    prg_wipe(&delta, sizeof delta);
    prg_wipe(&rho, sizeof rho);
}

/* ---- words from bits ---- */

REP4_KERNEL static void FN(expand)(WORD *restrict d, const uint64_t *restrict x,
                                   const uint64_t *restrict y, size_t n) {
    for (size_t i = 0; i < n; i += 64) {
        const uint64_t w = x[i / 64] ^ y[i / 64];
        const size_t k = n - i < 64 ? n - i : 64;
        for (size_t l = 0; l < k; l++)
            d[i + l] = (WORD)(w >> l & 1);
    }
}

REP4_KERNEL static void FN(gate)(WORD *restrict h, const WORD *restrict u, const WORD *x0,
                                 const WORD *x1, size_t n) {
    for (size_t i = 0; i < n; i++)
        h[i] = (WORD)((WORD)-u[i] & (WORD)(x0[i] + x1[i]));
}

/* A word v known to roles {0, 1} (or {2, 3}): its share 3 (0) is a mask of that key, the other the
 * rest, which goes to role 3 (0). v is only needed where it is known. */
static void FN(deal)(const rep4_bit_job *j, unsigned masked, uint32_t purpose, size_t i, WORD *v,
                     uint8_t *const d[3], uint8_t *out, size_t n) {
    const unsigned rest = masked ? 2 : 1;
    FN(piece) mask;
    if (j->role == masked)
        return; /* it gets the rest, and lacks the mask */
    MASKS(FN(without)(j->keys, j->role, masked), purpose, j->address + i, mask.w, n);
    memcpy((WORD *)d[rep4_at(j->role, masked)] + i, mask.w, n * sizeof(WORD));
    if (j->role != rest) {
        FN(minus)(v, mask.w, n);
        vm_cheat(j->env, "dealt", v, n * sizeof(WORD));
        memcpy((WORD *)d[rep4_at(j->role, rest)] + i, v, n * sizeof(WORD));
        FN(store)(out, v, n);
    }
    prg_wipe(&mask, sizeof mask);
}

static uint8_t *FN(at)(uint8_t *message, size_t i) {
    return message ? message + i * sizeof(WORD) : NULL;
}

/* Messages of the deal: u and v, unless they are kept, then h_A and h_B. */
static void FN(bit_deal)(void *arg, size_t begin, size_t end) {
    const rep4_bit_job *j = arg;
    const unsigned words = j->fresh ? 2 : 0;
    FN(piece) u, h;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        for (unsigned b = 0; b < 2; b++) { /* of roles 0 and 1, of roles 2 and 3 */
            const unsigned masked = b ? 0 : 3, p = b ? 0 : 2;
            const int know = j->role / 2 == b;
            if (know) {
                const unsigned k = rep4_at(j->role, p), l = rep4_at(j->role, p + 1);
                FN(expand)(u.w, j->bit[k] + i / 64, j->bit[l] + i / 64, n);
                if (j->x[0])
                    FN(gate)(h.w, u.w, (const WORD *)j->x[k] + i, (const WORD *)j->x[l] + i, n);
            }
            if (j->fresh)
                FN(deal)(j, masked, REP4_DEAL, i, u.w, j->kept, FN(at)(j->out[b], i), n);
            if (j->x[0])
                FN(deal)(j, masked, REP4_DEAL_X, i, h.w, j->h, FN(at)(j->out[words + b], i), n);
        }
    }
    prg_wipe(&u, sizeof u);
    prg_wipe(&h, sizeof h);
}

/* What came of the deal. */
static void FN(take_dealt)(const rep4_bit_job *j, size_t i, size_t n) {
    const unsigned words = j->fresh ? 2 : 0;
    if (j->role == 1 || j->role == 2)
        return;
    const unsigned b = j->role == 3 ? 0 : 1, rest = b ? 1 : 2, k = rep4_at(j->role, rest);
    if (j->fresh)
        memcpy((WORD *)j->kept[k] + i, j->in[b] + i * sizeof(WORD), n * sizeof(WORD));
    if (j->x[0])
        memcpy((WORD *)j->h[k] + i, j->in[words + b] + i * sizeof(WORD), n * sizeof(WORD));
}

/* d = x - 2 y, or -2 y without x */
REP4_KERNEL static void FN(minus_twice)(WORD *restrict d, const WORD *x, const WORD *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)((x ? x[i] : 0) - 2 * y[i]);
}

REP4_KERNEL static void FN(times_minus_two)(WORD *restrict d, const WORD *x, const WORD *y,
                                            size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(0 - 2 * x[i] * y[i]);
}

/* The term of shares s (2, 3) and t (0, 1): -2 u_s v_t, or u_s (x_t - 2 h_t) + v_t (x_s - 2 h_s).
 */
static void FN(bit_term)(const rep4_bit_job *j, unsigned s, unsigned t, size_t i, WORD *d,
                         size_t n) {
    const unsigned k = rep4_at(j->role, s), l = rep4_at(j->role, t);
    const WORD *u = (const WORD *)j->kept[k] + i, *v = (const WORD *)j->kept[l] + i;
    FN(piece) a, b;
    if (!j->x[0]) {
        FN(times_minus_two)(d, u, v, n);
        return;
    }
    FN(minus_twice)(a.w, (const WORD *)j->x[l] + i, (const WORD *)j->h[l] + i, n);
    FN(minus_twice)(b.w, (const WORD *)j->x[k] + i, (const WORD *)j->h[k] + i, n);
    FN(crossed)(d, u, a.w, v, b.w, n);
    prg_wipe(&a, sizeof a);
    prg_wipe(&b, sizeof b);
}

/* Shares of the result, but for what comes: the linear part and the four terms. */
static void FN(bit_cross)(void *arg, size_t begin, size_t end) {
    const rep4_bit_job *j = arg;
    FN(piece) v, y[4];
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        FN(take_dealt)(j, i, n);
        for (unsigned k = 0; k < 3; k++)
            memcpy(y[(j->role + 1 + k) % 4].w, (const WORD *)(j->x[0] ? j->h[k] : j->kept[k]) + i,
                   n * sizeof(WORD));
        for (unsigned t = 0; t < 4; t++) {
            const unsigned s = rep4_terms[t].x, o = rep4_terms[t].y;
            if (j->role != s && j->role != o)
                FN(bit_term)(j, s, o, i, v.w, n);
            FN(give)(j->env, j->keys, j->role, s, o, REP4_CROSS, j->address + i, v.w, y[s].w,
                     y[o].w, FN(at)(j->out[t], i), n);
        }
        for (unsigned k = 0; k < 3; k++) {
            const WORD *part = y[(j->role + 1 + k) % 4].w;
            if (j->subtract)
                FN(minus)((WORD *)j->d[k] + i, part, n);
            else
                memcpy((WORD *)j->d[k] + i, part, n * sizeof(WORD));
        }
    }
    prg_wipe(&v, sizeof v);
    prg_wipe(y, sizeof y);
}

static void FN(bit_finish)(void *arg, size_t begin, size_t end) {
    const rep4_bit_job *j = arg;
    for (unsigned t = 0; t < 4; t++) {
        if (rep4_terms[t].y != j->role)
            continue;
        WORD *d = (WORD *)j->d[rep4_at(j->role, rep4_terms[t].x)] + begin;
        const uint8_t *in = j->in[t] + begin * sizeof(WORD);
        if (j->subtract)
            FN(minus_wire)(d, in, end - begin);
        else
            FN(plus_wire)(d, in, end - begin);
    }
}

/* ---- words to bits ---- */

REP4_KERNEL static void FN(add_one)(WORD *restrict d, size_t n, WORD one) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] + one);
}

static void FN(slice)(const bits_ops *bits, uint64_t *planes, size_t stride, unsigned p,
                      const void *x, const void *y, int minus_one, size_t count) {
    FN(piece) w;
    for (size_t i = 0, n; i < count; i += n) {
        n = FN(piece_size)(i, count);
        FN(sum)(w.w, (const WORD *)x + i, (const WORD *)y + i, n);
        if (minus_one)
            FN(add_one)(w.w, n, (WORD) ~(WORD)0);
        bits->slice(planes + i / 64, stride, w.w, BITS, n, 0, p);
    }
    prg_wipe(&w, sizeof w);
}

static void FN(mask)(const prg_key *key, uint32_t purpose, uint64_t first, void *out, size_t n) {
    MASKS(key, purpose, first, (WORD *)out, n);
}

static const rep4_word FN(table) = {
    .word = sizeof(WORD),
    .trunc_deal = FN(trunc_deal),
    .trunc_open = FN(trunc_open),
    .trunc_finish = FN(trunc_finish),
    .cross = FN(cross),
    .cross_finish = FN(cross_finish),
    .bit_deal = FN(bit_deal),
    .bit_cross = FN(bit_cross),
    .bit_finish = FN(bit_finish),
    .slice = FN(slice),
    .mask = FN(mask),
};

#undef SHL
#undef ONE
