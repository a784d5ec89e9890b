#ifndef SEQ_PRG_H
#define SEQ_PRG_H
/* Pseudo-random words from AES-128 in counter mode, *addressed* by (purpose, index): nothing is
 * consumed in order, so threads, chunks and CPU paths change no value.
 *
 * Word w of stream `purpose` under key k is half (w & 1) of the AES block with the little-endian
 * counter: bytes 0-7 = w >> 1, bytes 8-11 = purpose, bytes 12-15 = 0. Derived keys use counters
 * whose bytes 12-15 are 0xFFFFFFFF and so never coincide with a stream's.
 * One key serves at most 2^32 blocks in all; keys are derived for each instruction instance. */

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t round_keys[176]; /* 11 x 16 bytes, standard order */
} prg_key;

/* On input 16 secret bytes; on output the expanded key. */
void prg_init(prg_key *key, const uint8_t seed[16]);
/* child = the key AES_parent(instance (8 bytes) | sub (4 bytes) | 0xFFFFFFFF). */
void prg_derive(prg_key *child, const prg_key *parent, uint64_t instance, uint32_t sub);
/* out[i] = word first + i of stream `purpose`, for i < n. */
void prg_words(const prg_key *key, uint32_t purpose, uint64_t first, uint64_t *out, size_t n);
/* blocks 2i, 2i + 1 = AES(key, that block) for i < n: a fixed permutation, for hashing
 * (ot/ot.h). Keys of streams serve for nothing else. */
void prg_permute(const prg_key *key, uint64_t *blocks, size_t n);
/* n bytes from the operating system; 0 on success. */
int prg_system(void *out, size_t n);
/* Overwrite with zeros in a way the compiler may not remove. */
void prg_wipe(void *p, size_t n);
/* Name of the implementation in use: "vaes", "aesni" or "portable" (a constant-time, table-free
 * AES); SEQUESTER_KERNELS=portable|avx2|avx512 picks portable|aesni|vaes. */
const char *prg_name(void);

#ifdef SEQ_TEST
/* Test builds: while a script is set, prg_words asks it instead of AES, so that protocols can be
 * checked over all randomness. `key` identifies the stream's owners. */
typedef uint64_t (*prg_script)(void *arg, const prg_key *key, uint32_t purpose, uint64_t word);
void prg_set_script(prg_script script, void *arg);
#endif

#endif
