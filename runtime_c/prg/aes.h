#ifndef SEQ_AES_H
#define SEQ_AES_H
/* AES-128 [FIPS197] for prg.c alone: key expansion, blocks in counter mode, and given blocks.
 * Constant-time: no tables, no branches on data. */

#include <stddef.h>
#include <stdint.h>

/* On output 11 round keys of 16 bytes in standard order. */
typedef void (*aes_expand)(uint8_t round_keys[176], const uint8_t key[16]);
void aes_expand_portable(uint8_t round_keys[176], const uint8_t key[16]);

/* out[2i], out[2i+1] = AES(key, block of the little-endian words counter + i and high), for i < n.
 */
typedef void (*aes_blocks)(const uint8_t round_keys[176], uint64_t counter, uint64_t high,
                           uint64_t *out, size_t n);
void aes_blocks_portable(const uint8_t round_keys[176], uint64_t counter, uint64_t high,
                         uint64_t *out, size_t n);
/* blocks[i] = AES(key, blocks[i]) for n blocks of 16 bytes. */
typedef void (*aes_permute)(const uint8_t round_keys[176], uint64_t *blocks, size_t n);
void aes_permute_portable(const uint8_t round_keys[176], uint64_t *blocks, size_t n);
#ifdef __x86_64__
void aes_expand_aesni(uint8_t round_keys[176], const uint8_t key[16]);
void aes_permute_aesni(const uint8_t round_keys[176], uint64_t *blocks, size_t n);
void aes_permute_vaes(const uint8_t round_keys[176], uint64_t *blocks, size_t n);
void aes_blocks_aesni(const uint8_t round_keys[176], uint64_t counter, uint64_t high, uint64_t *out,
                      size_t n);
void aes_blocks_vaes(const uint8_t round_keys[176], uint64_t counter, uint64_t high, uint64_t *out,
                     size_t n);
#endif

#endif
