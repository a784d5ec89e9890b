/* Transfers from trees of seeds: [Roy2022], sections 3 and 4, semi-honest. With r_x what leaf x
 * gives for 64 transfers, the receiver has u = sum of all r_x and, for each bit b of a tree, v_b =
 * sum of the r_x with bit b of x set; the sender, whose leaves are numbered from its Delta on, gets
 * by the same sum v_b + Delta_b u without the one it lacks. The receiver tells u + c for each tree.
 */

#include <string.h>

#include "ot.h"

enum { PIECE = OT_PIECE };

typedef uint64_t plane[PIECE] __attribute__((aligned(64)));

void ot_stream_make(ot_stream *s, const ot_seeds *seeds, void *room, const prg_key *shared,
                    uint64_t instance, uint32_t sub, const bits_ops *bits) {
    prg_key key;
    s->seeds = seeds;
    s->leaf = room;
    s->bits = bits;
    for (unsigned i = 0; i < seeds->leaves; i++)
        prg_derive(&s->leaf[i], &seeds->leaf[i], instance, sub);
    prg_derive(&key, shared, instance, sub);
    prg_derive(&s->hash, &key, 0, 0); /* public: apart from the pair's streams */
    prg_wipe(&key, sizeof key);
}

/* The leaves of a tree as the digits of a counter: `node[l]` holds the last two sums of 2^l leaves.
 * On output v[b] for each bit b, and u, without the first leaf where that lacks. */
static void sum_tree(const ot_stream *s, const prg_key *leaf, unsigned depth, int lacks,
                     uint32_t purpose, size_t first, size_t n, plane *v, uint64_t *u) {
    plane node[OT_MAX_DEPTH + 1][2];
    memset(v, 0, depth * sizeof *v);
    memset(node[0], 0, sizeof node[0]);
    for (unsigned x = lacks ? 1 : 0; x < 1u << depth; x++) {
        prg_words(&leaf[x], purpose, first, node[0][x & 1], n);
        for (unsigned l = 0; l < depth && (x >> l & 1); l++) {
            s->bits->xor_(v[l], v[l], node[l][1], n);
            s->bits->xor_(node[l + 1][x >> (l + 1) & 1], node[l][0], node[l][1], n);
        }
    }
    memcpy(u, node[depth][0], n * 8);
    prg_wipe(node, sizeof node);
}

/* One piece of rows: planes of all trees, transposed. What trees of the receiver give beside them
 * becomes its message; of the sender's, the message is added where Delta has a bit. */
static void piece_rows(const ot_stream *s, uint32_t purpose, size_t first, size_t n,
                       const uint64_t *choice, uint8_t *message, size_t stride, uint64_t *row) {
    const ot_seeds *seeds = s->seeds;
    const prg_key *leaf = s->leaf;
    plane v[OT_BITS], u, in;
    for (unsigned t = 0, at = 0; t < seeds->trees; at += seeds->depth[t], t++) {
        sum_tree(s, leaf, seeds->depth[t], choice == NULL, purpose, first, n, v + at, u);
        leaf += (size_t)1 << seeds->depth[t];
        if (choice) {
            s->bits->xor_(u, u, choice, n);
            memcpy(message + t * stride * 8, u, n * 8);
            continue;
        }
        memcpy(in, message + t * stride * 8, n * 8);
        for (unsigned b = at; b < at + seeds->depth[t]; b++) {
            const uint64_t mask = (uint64_t)0 - (seeds->delta[b / 64] >> b % 64 & 1);
            for (size_t i = 0; i < n; i++)
                v[b][i] ^= in[i] & mask;
        }
    }
    s->bits->unslice(row, 128, v[0], PIECE, 64 * n, 0, OT_BITS);
    prg_wipe(v, sizeof v);
    prg_wipe(u, sizeof u);
}

void ot_receive_rows(const ot_stream *s, uint32_t purpose, size_t first, const uint64_t *choice,
                     size_t words, uint8_t *message, uint64_t *row) {
    for (size_t i = 0; i < words; i += PIECE)
        piece_rows(s, purpose, first + i, words - i < PIECE ? words - i : PIECE, choice + i,
                   message + i * 8, words, row + i * 128);
}

void ot_send_rows(const ot_stream *s, uint32_t purpose, size_t first, const uint8_t *message,
                  size_t words, uint64_t *row) {
    for (size_t i = 0; i < words; i += PIECE)
        piece_rows(s, purpose, first + i, words - i < PIECE ? words - i : PIECE, NULL,
                   (uint8_t *)message + i * 8, words, row + i * 128);
}

/* ---- the hash ---- */

/* In place, of `n` rows from transfer `first` on: P(P(x) + i) + P(x), i the transfer's number and
 * purpose; what is added to x before, if anything, is delta. */
static void hash_rows(const ot_stream *s, uint32_t purpose, size_t first, uint64_t *x, size_t n,
                      const uint64_t *delta) {
    enum { BATCH = 256 };
    uint64_t y[2 * BATCH] __attribute__((aligned(64)));
    for (size_t at = 0; at < n; at += BATCH) {
        const size_t count = n - at < BATCH ? n - at : BATCH;
        uint64_t *in = x + 2 * at;
        for (size_t i = 0; delta && i < count; i++) {
            in[2 * i] ^= delta[0];
            in[2 * i + 1] ^= delta[1];
        }
        prg_permute(&s->hash, in, count);
        for (size_t i = 0; i < count; i++) {
            y[2 * i] = in[2 * i] ^ (first + at + i);
            y[2 * i + 1] = in[2 * i + 1] ^ purpose;
        }
        prg_permute(&s->hash, y, count);
        for (size_t i = 0; i < 2 * count; i++)
            in[i] ^= y[i];
    }
    prg_wipe(y, sizeof y);
}

void ot_receive_pads(const ot_stream *s, uint32_t purpose, size_t first, const uint64_t *choice,
                     size_t words, uint8_t *message, uint64_t *pad) {
    ot_receive_rows(s, purpose, first, choice, words, message, pad);
    hash_rows(s, purpose, 64 * first, pad, 64 * words, NULL);
}

void ot_send_pads(const ot_stream *s, uint32_t purpose, size_t first, const uint8_t *message,
                  size_t words, uint64_t *pad0, uint64_t *pad1) {
    ot_send_rows(s, purpose, first, message, words, pad0);
    memcpy(pad1, pad0, words * 1024);
    hash_rows(s, purpose, 64 * first, pad0, 64 * words, NULL);
    hash_rows(s, purpose, 64 * first, pad1, 64 * words, s->seeds->delta);
}

/* ---- 1 of 2^choices: bit i * count + c of the sum of the pads of all choices is message i's ----
 */

static void xor_words(uint64_t *d, const uint64_t *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] ^= a[i];
}

void ot_pick(const bits_ops *bits, unsigned choices, unsigned count, const uint64_t *all,
             size_t apart, const uint64_t *choice, size_t stride, size_t words, uint64_t *d,
             size_t d_apart) {
    plane is;
    for (size_t at = 0; at < words; at += PIECE) {
        const size_t n = words - at < PIECE ? words - at : PIECE;
        for (unsigned i = 0; i < 1u << choices; i++) {
            memset(is, 0xFF, sizeof is);
            for (unsigned b = 0; b < choices; b++) {
                const uint64_t flip = (uint64_t)(i >> b & 1) - 1;
                for (size_t w = 0; w < n; w++)
                    is[w] &= choice[b * stride + at + w] ^ flip;
            }
            for (unsigned c = 0; c < count; c++)
                bits->xorand(d + c * d_apart + at, is, all + (i * count + c) * apart + at, n);
        }
    }
    prg_wipe(is, sizeof is);
}

void ot_receive_block(const ot_stream *s, unsigned choices, unsigned count, uint32_t purpose,
                      size_t first, const uint64_t *choice, size_t stride, size_t words,
                      uint8_t *message, uint64_t *pad) {
    uint64_t row[PIECE * 128] __attribute__((aligned(64))), sum[PIECE * 128];
    plane all[OT_BITS];
    for (size_t i = 0; i < words; i += PIECE) {
        const size_t n = words - i < PIECE ? words - i : PIECE;
        memset(sum, 0, sizeof sum);
        for (unsigned b = 0; b < choices; b++) {
            piece_rows(s, purpose + b, first + i, n, choice + b * stride + i,
                       message + b * ot_choice_bytes(s->seeds, words) + i * 8, words, row);
            hash_rows(s, purpose + b, 64 * (first + i), row, 64 * n, NULL);
            xor_words(sum, row, n * 128);
        }
        s->bits->slice(all[0], PIECE, sum, 128, 64 * n, 0, count << choices);
        for (unsigned c = 0; c < count; c++)
            memset(pad + c * words + i, 0, n * 8);
        ot_pick(s->bits, choices, count, all[0], PIECE, choice + i, stride, n, pad + i, words);
    }
    prg_wipe(row, sizeof row);
    prg_wipe(sum, sizeof sum);
    prg_wipe(all, sizeof all);
}

/* sum ^= for each bit that one of two pads' which belongs to the bit's message. */
static void add_chosen(uint64_t *sum, const uint64_t *pad0, const uint64_t *pad1,
                       const uint64_t mask[2], size_t n) {
    for (size_t j = 0; j < n; j++)
        for (unsigned h = 0; h < 2; h++)
            sum[2 * j + h] ^= pad0[2 * j + h] ^ ((pad0[2 * j + h] ^ pad1[2 * j + h]) & mask[h]);
}

void ot_send_block(const ot_stream *s, unsigned choices, unsigned count, uint32_t purpose,
                   size_t first, const uint8_t *message, size_t words, uint64_t *pad) {
    uint64_t row0[PIECE * 128] __attribute__((aligned(64))), row1[PIECE * 128], sum[PIECE * 128];
    for (size_t i = 0; i < words; i += PIECE) {
        const size_t n = words - i < PIECE ? words - i : PIECE;
        memset(sum, 0, sizeof sum);
        for (unsigned b = 0; b < choices; b++) {
            uint64_t mask[2] = {0, 0};
            for (unsigned bit = 0; bit < count << choices; bit++)
                mask[bit / 64] |= (uint64_t)(bit / count >> b & 1) << bit % 64;
            piece_rows(s, purpose + b, first + i, n, NULL,
                       (uint8_t *)message + b * ot_choice_bytes(s->seeds, words) + i * 8, words,
                       row0);
            memcpy(row1, row0, n * 1024);
            hash_rows(s, purpose + b, 64 * (first + i), row0, 64 * n, NULL);
            hash_rows(s, purpose + b, 64 * (first + i), row1, 64 * n, s->seeds->delta);
            add_chosen(sum, row0, row1, mask, 64 * n);
        }
        s->bits->slice(pad + i, words, sum, 128, 64 * n, 0, count << choices);
    }
    prg_wipe(row0, sizeof row0);
    prg_wipe(row1, sizeof row1);
    prg_wipe(sum, sizeof sum);
}
