#ifndef SEQ_OT_BASE_H
#define SEQ_OT_BASE_H
/* OT_BITS random transfers of 16 bytes by [MasnyRindal2019], endemic oblivious transfer over P-256:
 * the sender publishes A_i = a_i G, the receiver r_0 and r_1, of which one is random and the other,
 * r_c, x_i G - H_c(r_(1-c)), with H a hash to points. Pads are hashes of a_i (r_b + H_b(r_(1-b))),
 * of which the receiver can make the one that is x_i A_i. The hash that a receiver asks for last
 * tells its choice to a simulator; a party that deviates can choose its own pads and nothing else,
 * if the computational Diffie-Hellman problem is hard, in the random oracle model. Every hash takes
 * in both parties, the transfer's number and (of pads) all that was sent, so that those of a batch
 * are unrelated, as [McQuoidRosulekRoy2021] asks; no number serves two of them.
 *
 * P-256 and not ristretto255, because OpenSSL is linked already and libsodium would be one more
 * package that every user has to have. Its order is prime: any point on the curve will do. Products
 * with secrets take constant time in OpenSSL. */

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../prg/prg.h"
#include "ot.h"

enum { BASE_POINT = 33, BASE_ANSWER = 2 * BASE_POINT }; /* bytes of a compressed point, of two */

typedef struct base_sender base_sender;
typedef struct base_receiver base_receiver;

/* Secrets come from stream `purpose` of key. who: of both parties in this direction, hashed. NULL:
 * memory, or OpenSSL. */
base_sender *base_sender_new(const prg_key *key, uint32_t purpose, const uint32_t who[2]);
base_receiver *base_receiver_new(const prg_key *key, uint32_t purpose, const uint32_t who[2]);
void base_sender_points(const base_sender *s, uint8_t *points); /* all A_i */
void base_sender_free(base_sender *s);
void base_receiver_free(base_receiver *r);

/* choice[i]: 0 or 1. Writes the answers and the pads. SEQ_ERR_PEER: not a point of the curve. */
seq_status base_receive(base_receiver *r, const uint8_t *choice, const uint8_t *points,
                        uint8_t *answers, uint8_t (*pad)[16], seq_error *err);
seq_status base_send(base_sender *s, const uint8_t *answers, uint8_t (*pad)[2][16], seq_error *err);

#endif
