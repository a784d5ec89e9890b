/* Word-wise work of rep3, included once for each ring with
 *   WORD      an unsigned type that holds an element,
 *   BITS      the ring is Z_{2^BITS}; unused upper bits of a WORD carry nothing,
 *   FN(name)  the name of a function for this ring,
 *   MASKS(key, purpose, first, out, n): out[i] = mask first + i of a stream, for i < n.
 * Defines `static const rep3_word FN(table)`. */

#define REDUCE(x) ((WORD)((x) & (WORD)((WORD) ~(WORD)0 >> (8 * sizeof(WORD) - BITS))))
#define SHL(x, s) ((WORD)((WORD)(x) << (s)))
#define ONE ((WORD)1)

/* Words in a frame: only 8-byte aligned. */
typedef WORD FN(wire) __attribute__((aligned(sizeof(WORD) < 8 ? sizeof(WORD) : 8), may_alias));
typedef struct {
    WORD w[REP3_PIECE];
} __attribute__((aligned(64))) FN(piece);

static size_t FN(piece_size)(size_t begin, size_t end) {
    return end - begin < REP3_PIECE ? end - begin : REP3_PIECE;
}

/* ---- residues mod 2^m as ceil(m/8) bytes each ---- */

REP3_KERNEL static void FN(pack)(uint8_t *restrict out, const WORD *restrict x, size_t n,
                                 unsigned m) {
    const WORD mask = (WORD)((ONE << (m - 1)) | ((ONE << (m - 1)) - 1));
    const unsigned bytes = (m + 7) / 8;
    if (bytes == 1) {
        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)(x[i] & mask);
    } else if (bytes == 2) {
        for (size_t i = 0; i < n; i++) {
            uint16_t v = (uint16_t)(x[i] & mask);
            memcpy(out + 2 * i, &v, 2);
        }
    } else if (bytes == 4) {
        for (size_t i = 0; i < n; i++) {
            uint32_t v = (uint32_t)(x[i] & mask);
            memcpy(out + 4 * i, &v, 4);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            const WORD v = (WORD)(x[i] & mask);
            for (unsigned k = 0; k < bytes; k++)
                out[bytes * i + k] = (uint8_t)(v >> 8 * k);
        }
    }
}

REP3_KERNEL static void FN(unpack)(WORD *restrict x, const uint8_t *restrict in, size_t n,
                                   unsigned m) {
    const unsigned bytes = (m + 7) / 8;
    if (bytes == 1) {
        for (size_t i = 0; i < n; i++)
            x[i] = in[i];
    } else if (bytes == 2) {
        for (size_t i = 0; i < n; i++) {
            uint16_t v;
            memcpy(&v, in + 2 * i, 2);
            x[i] = (WORD)v;
        }
    } else if (bytes == 4) {
        for (size_t i = 0; i < n; i++) {
            uint32_t v;
            memcpy(&v, in + 4 * i, 4);
            x[i] = (WORD)v;
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            x[i] = 0;
            for (unsigned k = 0; k < bytes; k++)
                x[i] |= SHL(in[bytes * i + k], 8 * k);
        }
    }
}

/* ---- what is truncated ---- */

REP3_KERNEL static void FN(product)(WORD *restrict v, const WORD *x0, const WORD *x1,
                                    const WORD *y0, const WORD *y1, size_t n) {
    for (size_t i = 0; i < n; i++)
        v[i] = (WORD)(x0[i] * (WORD)(y0[i] + y1[i]) + x1[i] * y0[i]);
}

REP3_KERNEL static void FN(sum)(WORD *restrict v, const WORD *x, const WORD *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        v[i] = (WORD)(x[i] + y[i]);
}

REP3_KERNEL static void FN(accumulate)(WORD *restrict v, const WORD *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        v[i] = (WORD)(v[i] + x[i]);
}

/* My part of z for n elements from e on: parts of P1, P2, P3 add up to z. */
static void FN(load)(WORD *v, const rep3_source *s, unsigned role, size_t e, size_t n) {
    const WORD *x0 = (const WORD *)s->a.c[0] + e;
    if (s->kind == REP3_ADDITIVE) {
        memcpy(v, x0, n * sizeof(WORD));
        return;
    }
    const WORD *x1 = (const WORD *)s->a.c[1] + e;
    if (s->kind == REP3_PRODUCT) {
        FN(product)(v, x0, x1, (const WORD *)s->b.c[0] + e, (const WORD *)s->b.c[1] + e, n);
        if (s->e.c[0])
            FN(accumulate)(v, (const WORD *)s->e.c[0] + e, n);
    } else if (role == REP3_P1)
        FN(sum)(v, x0, x1, n);
    else if (role == REP3_P2)
        memcpy(v, x1, n * sizeof(WORD));
    else
        memset(v, 0, n * sizeof(WORD));
}

/* ---- truncation ---- */

REP3_KERNEL static void FN(upper_half)(WORD *restrict d, const WORD *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(x[i] >> (BITS / 2));
}

/* u1 and u2: halves of one word of a stream where they fit. */
static void FN(u_masks)(const prg_key *key, size_t e, WORD *u1, WORD *u2, size_t n, unsigned m) {
    MASKS(key, REP3_U1, e, u1, n);
    if (m > BITS / 2)
        MASKS(key, REP3_U2, e, u2, n);
    else
        FN(upper_half)(u2, u1, n);
}

typedef struct {
    FN(piece) v, s2, s3, u1, u2, c, t, r;
} FN(deal_pieces);

/* On input: v, the masks, c (P2: b, P3: a), t (P2: zeros). On output: v += own mask (the message),
 * r, c = rho c - own u (the residue to send), y3 and y (the parts of the result known so far). */
REP3_KERNEL static void FN(deal_words)(FN(deal_pieces) *restrict w, WORD *restrict y3,
                                       WORD *restrict y, uint8_t *restrict rho, unsigned role,
                                       size_t n, unsigned m) {
    const WORD *own_s = role == REP3_P2 ? w->s2.w : w->s3.w;
    const WORD *own_u = role == REP3_P2 ? w->u2.w : w->u1.w;
    const WORD offset = SHL(1, BITS - 2 - m);
    for (size_t i = 0; i < n; i++) {
        WORD r = REDUCE(w->s2.w[i] + w->s3.w[i]);
        WORD top = (WORD)(r >> (BITS - 1));
        WORD res = (WORD)(((WORD)-top & w->c.w[i]) - own_u[i]);
        w->v.w[i] = (WORD)(w->v.w[i] + own_s[i]);
        w->r.w[i] = r;
        w->c.w[i] = res;
        rho[i] = (uint8_t)top;
        y[i] = (WORD)(w->t.w[i] + SHL(res, BITS - m));
        y3[i] = (WORD)(SHL(top + w->u1.w[i] + w->u2.w[i], BITS - m) - (WORD)(r >> m) - offset);
    }
}

REP3_KERNEL static void FN(store_words)(uint8_t *restrict out, const WORD *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((FN(wire) *)out)[i] = REDUCE(x[i]);
}

static void FN(trunc_deal)(void *arg, size_t begin, size_t end) {
    const rep3_trunc_job *j = arg;
    const int p2 = j->role == REP3_P2;
    const prg_key *f23 = p2 ? &j->keys->next : &j->keys->prev;
    const prg_key *f1 = p2 ? &j->keys->prev : &j->keys->next;
    FN(deal_pieces) w;
    memset(w.s3.w, 0, sizeof w.s3.w);
    memset(w.t.w, 0, sizeof w.t.w);
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i;
        FN(load)(w.v.w, &j->source, j->role, e, n);
        MASKS(f23, REP3_S2, e, w.s2.w, n);
        if (j->source.kind != REP3_REPLICATED) /* else only P2 has a part to hide: r = s2 */
            MASKS(f23, REP3_S3, e, w.s3.w, n);
        FN(u_masks)(f23, e, w.u1.w, w.u2.w, n, j->m);
        MASKS(f1, p2 ? REP3_B : REP3_A, e, w.c.w, n);
        if (!p2)
            MASKS(f1, REP3_T, e, w.t.w, n);
        FN(deal_words)(&w, (WORD *)j->d.c[p2 ? 1 : 0] + e, (WORD *)j->d.c[p2 ? 0 : 1] + e,
                       j->rho + i, j->role, n, j->m);
        if (j->send_word)
            FN(store_words)(j->send_word + i * sizeof(WORD), w.v.w, n);
        FN(pack)(j->send_residue + i * ((j->m + 7) / 8), w.c.w, n, j->m);
        if (j->nearest)
            j->env->bits->slice(j->low + i / 64, j->stride, w.r.w, 8 * sizeof(WORD), n, 0, j->m);
    }
    prg_wipe(&w, sizeof w);
}

typedef struct {
    FN(piece) v, e3, res1, res2, t, a, b;
} FN(open_pieces);

/* On input: v, e3 (what P3 sent), residues, masks, and e2 (what P2 sent). On output: y1, y2, and in
 * v the word for P2, in a the residue delta, in e3 (nearest) the complement of d. */
REP3_KERNEL static void FN(open_words)(FN(open_pieces) *restrict w, WORD *restrict y1,
                                       WORD *restrict y2, const FN(wire) *restrict e2, size_t n,
                                       unsigned m, unsigned nearest) {
    const WORD offset = SHL(1, BITS - 2), half = SHL(nearest, m - 1), one = (WORD)nearest;
    for (size_t i = 0; i < n; i++) {
        WORD d = REDUCE(w->v.w[i] + offset + e2[i] + w->e3.w[i]);
        WORD q = (WORD)((WORD)(d >> m) + ((WORD)(d >> (m - 1)) & one));
        WORD out = (WORD)(q - w->t.w[i]);
        w->v.w[i] = out;
        w->a.w[i] = (WORD)((WORD)(d >> (BITS - 1)) + w->a.w[i] + w->b.w[i]);
        w->e3.w[i] = (WORD) ~(WORD)(d + half);
        y1[i] = (WORD)(w->t.w[i] + SHL(w->res1.w[i], BITS - m));
        y2[i] = (WORD)(out + SHL(w->res2.w[i], BITS - m));
    }
}

static void FN(trunc_open)(void *arg, size_t begin, size_t end) {
    const rep3_trunc_job *j = arg;
    const size_t bytes = (j->m + 7) / 8;
    FN(open_pieces) w;
    memset(w.e3.w, 0, sizeof w.e3.w);
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i;
        FN(load)(w.v.w, &j->source, REP3_P1, e, n);
        if (j->word3)
            memcpy(w.e3.w, j->word3 + i * sizeof(WORD), n * sizeof(WORD));
        else
            memset(w.e3.w, 0, n * sizeof(WORD));
        FN(unpack)(w.res1.w, j->residue3 + i * bytes, n, j->m);
        FN(unpack)(w.res2.w, j->residue2 + i * bytes, n, j->m);
        MASKS(&j->keys->prev, REP3_T, e, w.t.w, n);
        MASKS(&j->keys->prev, REP3_A, e, w.a.w, n);
        MASKS(&j->keys->next, REP3_B, e, w.b.w, n);
        FN(open_words)(&w, (WORD *)j->d.c[0] + e, (WORD *)j->d.c[1] + e,
                       (const FN(wire) *)(j->word2 + i * sizeof(WORD)), n, j->m, j->nearest);
        FN(store_words)(j->send_word + i * sizeof(WORD), w.v.w, n);
        FN(pack)(j->send_residue + i * bytes, w.a.w, n, j->m);
        memcpy(j->send_residue3 + i * bytes, j->send_residue + i * bytes, n * bytes);
        if (j->nearest)
            j->env->bits->slice(j->low + i / 64, j->stride, w.e3.w, 8 * sizeof(WORD), n, 0, j->m);
    }
    prg_wipe(&w, sizeof w);
}

REP3_KERNEL static void FN(finish_words)(WORD *restrict y3, const uint8_t *restrict rho,
                                         const WORD *restrict delta, size_t n, unsigned m) {
    for (size_t i = 0; i < n; i++)
        y3[i] = (WORD)(y3[i] - SHL((WORD) - (WORD)rho[i] & delta[i], BITS - m));
}

REP3_KERNEL static void FN(add_wire)(WORD *restrict d, const FN(wire) *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(d[i] + x[i]);
}

static void FN(trunc_finish)(void *arg, size_t begin, size_t end) {
    const rep3_trunc_job *j = arg;
    const int p2 = j->role == REP3_P2;
    FN(piece) delta;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i;
        FN(unpack)(delta.w, j->residue2 + i * ((j->m + 7) / 8), n, j->m);
        FN(finish_words)((WORD *)j->d.c[p2 ? 1 : 0] + e, j->rho + i, delta.w, n, j->m);
        if (p2)
            FN(add_wire)((WORD *)j->d.c[0] + e, (const FN(wire) *)(j->word2 + i * sizeof(WORD)), n);
    }
    prg_wipe(&delta, sizeof delta);
}

/* ---- words from bits ---- */

REP3_KERNEL static void FN(expand)(WORD *restrict d, const uint64_t *restrict bits, size_t n) {
    for (size_t i = 0; i < n; i += 64) {
        const uint64_t w = bits[i / 64];
        const size_t k = n - i < 64 ? n - i : 64;
        for (size_t l = 0; l < k; l++)
            d[i + l] = (WORD)(w >> l & 1);
    }
}

/* d = x or, if subtract, d -= x. */
REP3_KERNEL static void FN(put)(WORD *restrict d, const WORD *restrict x, size_t n, int subtract) {
    if (!subtract)
        memcpy(d, x, n * sizeof(WORD));
    else
        for (size_t i = 0; i < n; i++)
            d[i] = (WORD)(d[i] - x[i]);
}

/* P1: u = b0 ^ b1; out = u - mask (b2a), and h = u (x0 + x1), out = h - mask. */
REP3_KERNEL static void FN(deal_bit)(FN(wire) *restrict out, const WORD *restrict u,
                                     const WORD *restrict mask, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = REDUCE(u[i] - mask[i]);
}

REP3_KERNEL static void FN(gate)(WORD *restrict h, const WORD *restrict u, const WORD *x0,
                                 const WORD *x1, size_t n) {
    for (size_t i = 0; i < n; i++)
        h[i] = (WORD)((WORD)-u[i] & (WORD)(x0[i] + x1[i]));
}

static void FN(bit_deal)(void *arg, size_t begin, size_t end) {
    const rep3_bit_job *j = arg;
    FN(piece) u, h, mask;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        uint64_t bits[REP3_PIECE / 64];
        for (size_t l = 0; l < (n + 63) / 64; l++)
            bits[l] = j->b0[i / 64 + l] ^ j->b1[i / 64 + l];
        FN(expand)(u.w, bits, n);
        if (j->keep != REP3_KEPT) {
            MASKS(&j->keys->prev, REP3_DEALT_BIT, j->first + i, mask.w, n);
            FN(deal_bit)((FN(wire) *)(j->send_bit + i * sizeof(WORD)), u.w, mask.w, n);
        }
        if (j->x0) {
            FN(gate)(h.w, u.w, (const WORD *)j->x0 + i, (const WORD *)j->x1 + i, n);
            MASKS(&j->keys->prev, REP3_DEALT_WORD, j->first + i, mask.w, n);
            FN(deal_bit)((FN(wire) *)(j->send_word + i * sizeof(WORD)), h.w, mask.w, n);
        }
        prg_wipe(bits, sizeof bits);
    }
    prg_wipe(&u, sizeof u);
    prg_wipe(&h, sizeof h);
    prg_wipe(&mask, sizeof mask);
}

/* Part of b = u + v - 2uv: u is my part of u; one: 1 for P2, who adds v. */
REP3_KERNEL static void FN(part_bit)(WORD *restrict u, const WORD *restrict v, size_t n, WORD one) {
    for (size_t i = 0; i < n; i++)
        u[i] = (WORD)((v[i] & one) + u[i] - 2 * (WORD)((WORD)-v[i] & u[i]));
}

/* Part of b x, given my part b of the bit's: h + v (x12 - 2h) + x3 b, with parts h and x12. */
REP3_KERNEL static void FN(part_word)(WORD *restrict b, const WORD *restrict h,
                                      const WORD *restrict v, const WORD *x12, const WORD *x3,
                                      size_t n) {
    for (size_t i = 0; i < n; i++)
        b[i] = (WORD)(h[i] + ((WORD)-v[i] & (WORD)(x12[i] - 2 * h[i])) + x3[i] * b[i]);
}

/* The result's part for P1 goes out masked; y3 is minus the sum of both masks. */
REP3_KERNEL static void FN(return_words)(WORD *restrict part, WORD *restrict own,
                                         const WORD *restrict other, FN(wire) *restrict out,
                                         size_t n) {
    for (size_t i = 0; i < n; i++) {
        WORD w = REDUCE(part[i] + own[i]);
        part[i] = out[i] = w;
        own[i] = (WORD) - (WORD)(own[i] + other[i]);
    }
}

typedef struct {
    FN(piece) u, v, h, s2, s3;
} FN(return_pieces);

/* P2 and P3: my part of b, or of b x, into w->u. */
static void FN(bit_part)(const rep3_bit_job *j, FN(return_pieces) * w, size_t i, size_t n) {
    const int p2 = j->role == REP3_P2;
    const prg_key *f13 = &j->keys->next; /* P3's */
    FN(expand)(w->v.w, (p2 ? j->b1 : j->b0) + i / 64, n);
    if (j->keep == REP3_KEPT)
        memcpy(w->u.w, (const WORD *)j->kept + i, n * sizeof(WORD));
    else if (p2)
        memcpy(w->u.w, j->recv_bit + i * sizeof(WORD), n * sizeof(WORD));
    else
        MASKS(f13, REP3_DEALT_BIT, j->first + i, w->u.w, n);
    if (j->keep == REP3_KEEP)
        memcpy((WORD *)j->kept + i, w->u.w, n * sizeof(WORD));
    FN(part_bit)(w->u.w, w->v.w, n, (WORD)p2);
    if (!j->x0)
        return;
    if (p2)
        memcpy(w->h.w, j->recv_word + i * sizeof(WORD), n * sizeof(WORD));
    else
        MASKS(f13, REP3_DEALT_WORD, j->first + i, w->h.w, n);
    const WORD *x0 = (const WORD *)j->x0 + i, *x1 = (const WORD *)j->x1 + i;
    FN(part_word)(w->u.w, w->h.w, w->v.w, p2 ? x0 : x1, p2 ? x1 : x0, n);
}

static void FN(bit_return)(void *arg, size_t begin, size_t end) {
    const rep3_bit_job *j = arg;
    const int p2 = j->role == REP3_P2;
    const prg_key *f23 = p2 ? &j->keys->next : &j->keys->prev;
    FN(return_pieces) w;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        FN(bit_part)(j, &w, i, n);
        MASKS(f23, REP3_BACK2, j->first + i, w.s2.w, n);
        MASKS(f23, REP3_BACK3, j->first + i, w.s3.w, n);
        WORD *own = p2 ? w.s2.w : w.s3.w, *other = p2 ? w.s3.w : w.s2.w;
        FN(return_words)(w.u.w, own, other, (FN(wire) *)(j->send_word + i * sizeof(WORD)), n);
        FN(put)((WORD *)j->d0 + i, p2 ? w.u.w : own, n, j->subtract);
        FN(put)((WORD *)j->d1 + i, p2 ? own : w.u.w, n, j->subtract);
    }
    prg_wipe(&w, sizeof w);
}

static void FN(bit_finish)(void *arg, size_t begin, size_t end) {
    const rep3_bit_job *j = arg;
    FN(piece) x;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        memcpy(x.w, j->recv_word + i * sizeof(WORD), n * sizeof(WORD)); /* y1 from P3 */
        FN(put)((WORD *)j->d0 + i, x.w, n, j->subtract);
        memcpy(x.w, j->recv_bit + i * sizeof(WORD), n * sizeof(WORD)); /* y2 from P2 */
        FN(put)((WORD *)j->d1 + i, x.w, n, j->subtract);
    }
    prg_wipe(&x, sizeof x);
}

/* ---- where all parties do the same ---- */

REP3_KERNEL static void FN(zero_mask)(WORD *restrict v, const WORD *restrict next,
                                      const WORD *restrict prev, size_t n) {
    for (size_t i = 0; i < n; i++)
        v[i] = REDUCE(v[i] + next[i] - prev[i]);
}

static void FN(reshare)(void *arg, size_t begin, size_t end) {
    const rep3_flat_job *j = arg;
    FN(piece) next, prev;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i;
        WORD *v = (WORD *)j->d.c[0] + e;
        FN(load)(v, &j->source, REP3_P1, e, n);
        MASKS(&j->keys->next, REP3_ZERO, e, next.w, n);
        MASKS(&j->keys->prev, REP3_ZERO, e, prev.w, n);
        FN(zero_mask)(v, next.w, prev.w, n);
        vm_cheat(j->env, "product", v, n * sizeof(WORD));
        FN(store_words)(j->send + i * sizeof(WORD), v, n);
    }
    prg_wipe(&next, sizeof next);
    prg_wipe(&prev, sizeof prev);
}

static void FN(open)(void *arg, size_t begin, size_t end) {
    const rep3_flat_job *j = arg;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i;
        WORD *d = (WORD *)j->d.c[0] + e;
        FN(sum)(d, (const WORD *)j->source.a.c[0] + e, (const WORD *)j->source.a.c[1] + e, n);
        FN(add_wire)(d, (const FN(wire) *)(j->recv + i * sizeof(WORD)), n);
        for (size_t l = 0; l < n && BITS < 8 * sizeof(WORD); l++)
            d[l] = REDUCE(d[l]);
    }
}

static void FN(input_owner)(void *arg, size_t begin, size_t end) {
    const rep3_flat_job *j = arg;
    FN(piece) w;
    for (size_t i = begin, n; i < end; i += n) {
        n = FN(piece_size)(i, end);
        const size_t e = j->first + i;
        WORD *mask = j->d.c[0] ? (WORD *)j->d.c[0] + e : w.w;
        MASKS(&j->keys->prev, REP3_INPUT, e, mask, n);
        FN(wire) *out = (FN(wire) *)(j->send + i * sizeof(WORD));
        FN(deal_bit)(out, (const WORD *)j->source.a.c[0] + e, mask, n);
        vm_cheat(j->env, "input", out, n * sizeof(WORD));
        memcpy((WORD *)j->d.c[1] + e, out, n * sizeof(WORD));
    }
    prg_wipe(&w, sizeof w);
}

static void FN(input_previous)(void *arg, size_t begin, size_t end) {
    const rep3_flat_job *j = arg;
    const size_t e = j->first + begin;
    MASKS(&j->keys->next, REP3_INPUT, e, (WORD *)j->d.c[1] + e, end - begin);
}

/* ---- words to bits ---- */

REP3_KERNEL static void FN(minus_one)(WORD *restrict d, const WORD *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = (WORD)(x[i] - ONE);
}

static void FN(slice)(const bits_ops *bits, uint64_t *planes, size_t stride, unsigned p,
                      const void *x, const void *y, int minus_one, size_t count) {
    FN(piece) w;
    for (size_t i = 0, n; i < count; i += n) {
        n = FN(piece_size)(i, count);
        const WORD *words = (const WORD *)x + i;
        if (y || minus_one) {
            if (y)
                FN(sum)(w.w, words, (const WORD *)y + i, n);
            else
                FN(minus_one)(w.w, words, n);
            words = w.w;
        }
        bits->slice(planes + i / 64, stride, words, 8 * sizeof(WORD), n, 0, p);
    }
    prg_wipe(&w, sizeof w);
}

static const rep3_word FN(table) = {
    .word = sizeof(WORD),
    .bits = BITS,
    .trunc_deal = FN(trunc_deal),
    .trunc_open = FN(trunc_open),
    .trunc_finish = FN(trunc_finish),
    .bit_deal = FN(bit_deal),
    .bit_return = FN(bit_return),
    .bit_finish = FN(bit_finish),
    .reshare = FN(reshare),
    .open = FN(open),
    .input_owner = FN(input_owner),
    .input_previous = FN(input_previous),
    .slice = FN(slice),
};

#undef REDUCE
#undef SHL
#undef ONE
