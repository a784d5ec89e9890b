#ifndef SEQ_OT_BASE_H
#define SEQ_OT_BASE_H
/* OT_BITS random transfers of 16 bytes by [ChouOrlandi2015] over P-256: the sender publishes A =
 * aG, the receiver R_i = x_i G + c_i A; pads are hashes of a R_i and a (R_i - A), of which x_i A is
 * one. Every hash takes in the number, A and R_i, so that pads of a batch are unrelated. Against
 * parties that follow the protocol this is as hard as computational Diffie-Hellman in the random
 * oracle model; what it lacks against others (extraction of choices, uniform pads) is not used.
 *
 * P-256 and not ristretto255, because OpenSSL is linked already and libsodium would be one more
 * package that every user has to have. Its order is prime: any point on the curve will do. Products
 * with secrets take constant time in OpenSSL. */

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../prg/prg.h"

enum { BASE_POINT = 33 }; /* bytes of a compressed point */

typedef struct base_sender base_sender;
typedef struct base_receiver base_receiver;

/* Secrets come from stream `purpose` of key. who: of both parties in this direction, hashed. NULL:
 * memory, or OpenSSL. */
base_sender *base_sender_new(const prg_key *key, uint32_t purpose, const uint32_t who[2]);
base_receiver *base_receiver_new(const prg_key *key, uint32_t purpose, const uint32_t who[2]);
void base_sender_point(const base_sender *s, uint8_t point[BASE_POINT]); /* A */
void base_sender_free(base_sender *s);
void base_receiver_free(base_receiver *r);

/* choice[i]: 0 or 1. Writes n points and the pads. SEQ_ERR_PEER: not a point of the curve. */
seq_status base_receive(base_receiver *r, const uint8_t *choice, size_t n,
                        const uint8_t point[BASE_POINT], uint8_t *points, uint8_t (*pad)[16],
                        seq_error *err);
seq_status base_send(base_sender *s, size_t n, const uint8_t *points, uint8_t (*pad)[2][16],
                     seq_error *err);

#endif
