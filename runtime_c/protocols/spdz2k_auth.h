#ifndef SEQ_SPDZ2K_AUTH_H
#define SEQ_SPDZ2K_AUTH_H
/* Authenticated bits of n parties without a dealer, from transfers (docs/protocols/spdz2k.md,
 * "Preprocessing"): party i has bits mu_i of its own and nu_i in GF(2^64), of which the sum over
 * all parties is Delta mu, mu the sum of the mu_i and Delta that of Delta_i, which party i alone
 * knows.
 *
 * Party i is the receiver of transfers from every other party j, with the choices mu_i, all under
 * the Delta of 128 bits that j has for all: V = Q + mu_i Delta. Delta_j is its low word; nu_i is
 * Delta_i mu_i, and the low words of all V as receiver and of all Q as sender.
 *
 * Two checks, both over bits of which 64 serve as a mask and for nothing else: each sender's that
 * choices are the same in all trees (ot.h: ot_check), and all parties' together, below, that they
 * are the same for all senders: a combination of all bits by weights that nobody knew before is
 * opened, and has to fit its MAC. Bits that differ pass with 2^-64, or where Delta_j is guessed.
 * Nothing here branches on or addresses by secrets; no messages. */

#include "../bits/bits.h"
#include "../prg/prg.h"

#include <stddef.h>
#include <stdint.h>

#define SPDZ2K_AUTH_DEGREE 64

/* Planes of MACs, `words` apart, of `words` words of bits: = delta bits; += rows of transfers (two
 * words each, of which the low ones count). scratch: 64 planes. */
void spdz2k_auth_own(uint64_t *mac, uint64_t delta, const uint64_t *mine, size_t words);
void spdz2k_auth_add(const bits_ops *ops, uint64_t *mac, const uint64_t *row, size_t words,
                     uint64_t *scratch);

/* My part of the combination, and of its MAC. */
typedef struct {
    uint64_t value, mac;
} spdz2k_auth_sum;

/* Add `words` words of bits; the weight of bit j is word first + j of stream 0 of `weights`, to
 * which all parties contributed after their messages had left. scratch: 64 `words` words. */
void spdz2k_auth_weigh(const bits_ops *ops, spdz2k_auth_sum *x, const prg_key *weights,
                       uint64_t first, const uint64_t *mine, const uint64_t *mac, size_t words,
                       uint64_t *scratch);
/* Once: one word of random bits, which hides my others; weights 1, x, ..., x^63. */
void spdz2k_auth_mask(const bits_ops *ops, spdz2k_auth_sum *x, const uint64_t *mine,
                      const uint64_t *mac);
/* When the values of all are there, `opened` their sum: what I commit to and open. It is right if
 * these add up to zero. */
uint64_t spdz2k_auth_sigma(const spdz2k_auth_sum *x, uint64_t delta, uint64_t opened);

#endif
