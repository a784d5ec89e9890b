/* Sampling and encoding. See cipher.h. */
#include "cipher.h"

#include <string.h>

void lattice_write(lattice_writer *w, lattice_wide x) {
    w->held |= (x & (((lattice_wide)1 << w->width) - 1)) << w->bits;
    w->bits += w->width;
    for (; w->bits >= 32; w->bits -= 32, w->held >>= 32, w->at += 4) {
        const uint32_t low = (uint32_t)w->held;
        memcpy(w->at, &low, 4);
    }
}

void lattice_write_end(lattice_writer *w) {
    for (unsigned i = 0; i < w->bits; i += 8, w->held >>= 8)
        *w->at++ = (uint8_t)w->held;
    w->bits = 0;
}

lattice_wide lattice_read(lattice_reader *r) {
    while (r->bits < r->width) {
        const size_t left = (size_t)(r->end - r->at), n = left < 4 ? left : 4;
        uint32_t next = 0;
        memcpy(&next, r->at, n);
        r->held |= (lattice_wide)next << r->bits;
        r->bits += 32;
        r->at += n;
    }
    const lattice_wide x = r->held & (((lattice_wide)1 << r->width) - 1);
    r->held >>= r->width;
    r->bits -= r->width;
    return x;
}

/* Two words are a number x below 2^128; floor(x p / 2^128) is uniform but for 2^-78. */
void lattice_uniform(uint64_t *out, const lattice_prime *m, const prg_key *key, uint32_t purpose,
                     uint64_t block, uint64_t *words) {
    prg_words(key, purpose, 2 * LATTICE_N * block, words, (size_t)2 * LATTICE_N);
    for (size_t i = 0; i < LATTICE_N; i++) {
        const lattice_wide low = (lattice_wide)words[2 * i] * m->p;
        out[i] = (uint64_t)(((lattice_wide)words[2 * i + 1] * m->p + (low >> 64)) >> 64);
    }
}

void lattice_ternary(int64_t *out, const prg_key *key, uint32_t purpose, uint64_t block) {
    prg_words(key, purpose, LATTICE_N * block, (uint64_t *)out, LATTICE_N);
    for (size_t i = 0; i < LATTICE_N; i++)
        out[i] = (int64_t)((lattice_wide)(uint64_t)out[i] * 3 >> 64) - 1;
}

/* Ones among the low bits; tables would be addressed by secrets. */
static uint64_t ones(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return x * 0x0101010101010101u >> 56;
}

void lattice_binomial(int64_t *out, const prg_key *key, uint32_t purpose, uint64_t block) {
    const uint64_t half = ((uint64_t)1 << 21) - 1;
    prg_words(key, purpose, LATTICE_N * block, (uint64_t *)out, LATTICE_N);
    for (size_t i = 0; i < LATTICE_N; i++) {
        const uint64_t x = (uint64_t)out[i];
        out[i] = (int64_t)(ones(x & half) - ones(x >> 21 & half));
    }
}

uint64_t lattice_q_low(void) {
    const lattice_prime *m = lattice_primes();
    uint64_t q = 1;
    for (unsigned k = 0; k < LATTICE_PRIMES; k++)
        q *= m[k].p;
    return q;
}

/* c / q = sum of (c punctured mod p) / p mod 1, where x / p = (x 2^128 + x share) / 2^178. */
lattice_wide lattice_fraction(lattice_poly c, size_t i, const lattice_prime *m) {
    lattice_wide sum = 0;
    for (unsigned k = 0; k < LATTICE_PRIMES; k++, m++) {
        const uint64_t x = lattice_times(c[k][i], m->punctured, m->punctured_over, m->p);
        sum += ((lattice_wide)x << 78) + ((lattice_wide)x * m->share[1] << 14) +
               ((lattice_wide)x * m->share[0] >> 50);
    }
    return sum;
}
