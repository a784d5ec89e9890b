#ifndef SEQ_LATTICE_CIPHER_H
#define SEQ_LATTICE_CIPHER_H
/* Inside of the lattice room: sampling, encoding, and numbers of fixed widths in messages. */

#include "ntt.h"

/* A polynomial mod q. */
typedef uint64_t (*lattice_poly)[LATTICE_N];

/* Bits of a residue, and of the two parts of what is returned: the polynomial that the key
 * multiplies, and coefficients. */
enum { LATTICE_RESIDUE_BITS = 50, LATTICE_SLOPE_BITS = 74, LATTICE_VALUE_BITS = 68 };
enum {
    LATTICE_POLY_BYTES = LATTICE_N * LATTICE_RESIDUE_BITS / 8, /* mod one prime */
    LATTICE_FRESH_BYTES = LATTICE_POLY_BYTES * LATTICE_PRIMES,
    LATTICE_SLOPE_BYTES = LATTICE_N * LATTICE_SLOPE_BITS / 8
};

/* The low `width` bits of numbers, one behind another, little endian. */
typedef struct {
    uint8_t *at;
    lattice_wide held;
    unsigned bits, width;
} lattice_writer;

void lattice_write(lattice_writer *w, lattice_wide x);
void lattice_write_end(lattice_writer *w);

typedef struct {
    const uint8_t *at, *end;
    lattice_wide held;
    unsigned bits, width;
} lattice_reader;

lattice_wide lattice_read(lattice_reader *r);

/* N uniform residues: words from number 2 N block of the stream; `words` is scratch of 2 N. */
void lattice_uniform(uint64_t *out, const lattice_prime *m, const prg_key *key, uint32_t purpose,
                     uint64_t block, uint64_t *words);
/* N small signed numbers, from N words: -1, 0, 1 alike; centred binomial of 21 pairs of bits, of
 * variance 10.5. */
void lattice_ternary(int64_t *out, const prg_key *key, uint32_t purpose, uint64_t block);
void lattice_binomial(int64_t *out, const prg_key *key, uint32_t purpose, uint64_t block);

/* A signed number mod p. */
static inline uint64_t lattice_signed(int64_t x, const lattice_prime *m) {
    const uint64_t r = lattice_residue((uint64_t)x, m), negative = (uint64_t)(x >> 63);
    const uint64_t less = r - (m->wide[0] & negative);
    return less + (m->p & (0 - (less >> 63)));
}
/* The whole number next to q x / 2^64, mod p; q_low is q mod 2^64. */
static inline uint64_t lattice_encode(uint64_t x, uint64_t q_low, const lattice_prime *m) {
    const uint64_t half = (uint64_t)1 << 63, rest = q_low * x + half;
    const uint64_t r = lattice_residue(half, m) + m->p - lattice_residue(rest, m);
    return lattice_times(r, m->wide[2], m->wide_over[2], m->p);
}
uint64_t lattice_q_low(void);
/* 2^128 c / q of a coefficient, given mod each prime: 16 units of it too small at most. */
lattice_wide lattice_fraction(lattice_poly c, size_t i, const lattice_prime *m);

#endif
