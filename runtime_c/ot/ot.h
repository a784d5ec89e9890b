#ifndef SEQ_OT_H
#define SEQ_OT_H
/* Oblivious transfer of two parties: base transfers over a curve (base.c), trees of seeds made from
 * them once (seeds.c), both against parties that deviate too, and from the trees as many transfers
 * as wanted (extend.c): SoftSpoken [Roy2022], whose vectors over small fields GF(2^k) cost 128 / k
 * bits a transfer and 2^k / k blocks of AES for 128 / 128 of one; the hash is [Guo2020]'s for
 * tweaks, a fixed permutation under a key that is another for every task.
 *
 * For transfer j with choice bit c_j the sender has a row Q_j of 128 bits and the receiver
 * V_j = Q_j + c_j Delta, Delta the sender's alone. So of the pads H(j, Q_j) and H(j, Q_j + Delta)
 * the receiver knows the one that it chose, and nothing of the other.
 *
 * Nothing is consumed in order: the receiver's message for a transfer is a function of the trees
 * and of the transfer's address (instance, sub-machine, purpose, number). An address serves once:
 * the same with two choices reveals their difference. No branch and no address depends on a secret;
 * what lies on the stack is wiped. */

#include <stddef.h>
#include <stdint.h>

#include "../bits/bits.h"
#include "../error.h"
#include "../prg/prg.h"

#define OT_BITS 128 /* of rows: base transfers of a direction */
#define OT_MAX_DEPTH 8
#define OT_PIECE 64    /* words of a plane that are worked on at a time */
#define OT_MESSAGES 16 /* of one transfer, at most */

/* One direction of a pair: 128 bits of a row, cut into trees. */
typedef struct {
    unsigned trees, leaves; /* of all trees */
    unsigned depth[OT_BITS];
    int sends;         /* knows Delta, and of every tree all leaves but the first */
    uint64_t delta[2]; /* the sender's */
    prg_key *leaf;     /* trees one after another; the sender's numbered from its Delta on */
} ot_seeds;

/* ---- setup (seeds.c): three messages in both directions, the same for both parties ---- */

/* Parties me and peer; what I send and what I receive. */
typedef struct ot_pair ot_pair;
enum { OT_EXCHANGES = 3 };

/* depth: 1 .. OT_MAX_DEPTH, of the trees (the last may be lower). own: a key of mine alone. delta:
 * mine, the same for all peers; NULL: one for this pair, from own. NULL if memory ran out. */
ot_pair *ot_pair_new(unsigned depth, const prg_key *own, const uint64_t delta[2], unsigned me,
                     unsigned peer);
void ot_pair_free(ot_pair *pair); /* wiped; NULL is nothing */
size_t ot_pair_bytes(unsigned exchange);
/* Take what came in the exchange before this (NULL at first), and write what goes out in it (at the
 * end, exchange OT_EXCHANGES, NULL). What no honest peer sends is SEQ_ERR_PEER, or
 * SEQ_ERR_CHEAT: then who sent it has learned at most a guess about Delta. */
seq_status ot_pair_meet(ot_pair *pair, unsigned exchange, const uint8_t *theirs, uint8_t *mine,
                        seq_error *err);
/* After the last exchange. */
const ot_seeds *ot_pair_sends(const ot_pair *pair);
const ot_seeds *ot_pair_receives(const ot_pair *pair);

/* ---- transfers (extend.c) ---- */

/* One direction for one task, or several of one (instance, sub). */
typedef struct {
    const ot_seeds *seeds;
    prg_key *leaf, hash;
    const bits_ops *bits;
} ot_stream;

static inline size_t ot_stream_bytes(const ot_seeds *seeds) {
    return seeds->leaves * sizeof(prg_key);
}
/* room: ot_stream_bytes, 64-byte aligned, as long as the stream is used; the caller wipes it.
 * shared: known to both parties. */
void ot_stream_make(ot_stream *s, const ot_seeds *seeds, void *room, const prg_key *shared,
                    uint64_t instance, uint32_t sub, const bits_ops *bits);

/* Bytes of the receiver's message for a plane of 64 * words transfers. */
static inline size_t ot_choice_bytes(const ot_seeds *seeds, size_t words) {
    return seeds->trees * words * 8;
}

/* Below: `words` words of a plane of transfers, from word `first` of stream `purpose`. Planes in
 * arrays are `words` apart unless a stride is given. Each 64 transfers are a word of choices. */

/* Correlated transfers as such, `row` 16 bytes each. The receiver writes its message; the sender
 * takes it: Q_j, or V_j = Q_j + c_j Delta. */
void ot_receive_rows(const ot_stream *s, uint32_t purpose, size_t first, const uint64_t *choice,
                     size_t words, uint8_t *message, uint64_t *row);
void ot_send_rows(const ot_stream *s, uint32_t purpose, size_t first, const uint8_t *message,
                  size_t words, uint64_t *row);

/* ---- that choices are the same in all trees (check.c), for receivers that may cheat ---- */

/* Weighted sums of what a side has of some transfers: of the choices (the receiver), of each bit of
 * the rows. What the receiver has it tells. */
typedef struct {
    uint64_t choice, column[OT_BITS];
} ot_check;

/* Add `words` words of transfers; transfer j's weight is word first + j of stream 0 of `weights`, a
 * key that the sender draws when it has the receiver's messages of all of them. choice: NULL at the
 * sender. */
void ot_check_add(ot_check *x, const prg_key *weights, uint64_t first, const uint64_t *choice,
                  const uint64_t *row, size_t words);
/* Once, one word of transfers with random choices, used for nothing else: they hide the others, and
 * the sums then tell the sender nothing. Their weights are fixed. */
void ot_check_mask(ot_check *x, const uint64_t *choice, const uint64_t *row);
/* The sender: whether what the receiver told fits. If not, it cheated; if so, it chose alike in all
 * trees but those of which it has guessed all bits of Delta, with an error of at most 2^-64 for
 * each pair of trees. Constant time but for the result. */
int ot_check_fits(const ot_check *mine, const ot_seeds *seeds, const ot_check *theirs);

/* Pads of 16 bytes: pad[2j], pad[2j + 1] of the choice c_j; of both. */
void ot_receive_pads(const ot_stream *s, uint32_t purpose, size_t first, const uint64_t *choice,
                     size_t words, uint8_t *message, uint64_t *pad);
void ot_send_pads(const ot_stream *s, uint32_t purpose, size_t first, const uint8_t *message,
                  size_t words, uint64_t *pad0, uint64_t *pad1);

/* 1 of 2^choices messages of `count` bits, 2^choices * count <= 128, choices <= 4: choice planes
 * `stride` apart, bit 0 first, from streams purpose, purpose + 1, ...; `choices` messages one after
 * another. The receiver's pads: `count` planes. The sender's: plane i * count + c is bit c of
 * message i. */
void ot_receive_block(const ot_stream *s, unsigned choices, unsigned count, uint32_t purpose,
                      size_t first, const uint64_t *choice, size_t stride, size_t words,
                      uint8_t *message, uint64_t *pad);
void ot_send_block(const ot_stream *s, unsigned choices, unsigned count, uint32_t purpose,
                   size_t first, const uint8_t *message, size_t words, uint64_t *pad);
/* Plane c of d, `d_apart` apart, ^= plane i * count + c of `all`, `apart` apart, where i is what
 * the choice planes say. */
void ot_pick(const bits_ops *bits, unsigned choices, unsigned count, const uint64_t *all,
             size_t apart, const uint64_t *choice, size_t stride, size_t words, uint64_t *d,
             size_t d_apart);

#endif
