/* AES-128 bit-sliced over 64 blocks: plane s[i][b] holds bit b of byte i of every block, so that
 * ShiftRows is a renaming and nothing depends on data but logic operations. */

#include <string.h>

#include "../bits/transpose.h"
#include "aes.h"
#include "prg.h"

#define LANES 64

typedef uint64_t plane;

/* The S-box as a circuit of 115 gates [BoyarPeralta2010]; x[0] is the least significant bit. */
static void sub_byte(plane x[8]) {
    plane u0 = x[7], u1 = x[6], u2 = x[5], u3 = x[4], u4 = x[3], u5 = x[2], u6 = x[1], u7 = x[0];

    plane y14 = u3 ^ u5, y13 = u0 ^ u6, y9 = u0 ^ u3, y8 = u0 ^ u5, t0 = u1 ^ u2, y1 = t0 ^ u7;
    plane y4 = y1 ^ u3, y12 = y13 ^ y14, y2 = y1 ^ u0, y5 = y1 ^ u6, y3 = y5 ^ y8, t1 = u4 ^ y12;
    plane y15 = t1 ^ u5, y20 = t1 ^ u1, y6 = y15 ^ u7, y10 = y15 ^ t0, y11 = y20 ^ y9;
    plane y7 = u7 ^ y11, y17 = y10 ^ y11, y19 = y10 ^ y8, y16 = t0 ^ y11, y21 = y13 ^ y16;
    plane y18 = u0 ^ y16;

    plane t2 = y12 & y15, t4 = (y3 & y6) ^ t2, t6 = (y4 & u7) ^ t2, t7 = y13 & y16;
    plane t9 = (y5 & y1) ^ t7, t11 = (y2 & y7) ^ t7, t12 = y9 & y11, t14 = (y14 & y17) ^ t12;
    plane t16 = (y8 & y10) ^ t12, t21 = t4 ^ t14 ^ y20, t22 = t6 ^ t16 ^ y19;
    plane t23 = t9 ^ t14 ^ y21, t24 = t11 ^ t16 ^ y18;

    plane t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26, t29 = (t25 & t27) ^ t22;
    plane t33 = ((t22 ^ t26) & (t23 ^ t24)) ^ t24, t36 = t24 & (t27 ^ t33);
    plane t37 = t36 ^ t23 ^ t33, t40 = t25 ^ (t29 & (t27 ^ t36)), t41 = t40 ^ t37;
    plane t42 = t29 ^ t33, t43 = t29 ^ t40, t44 = t33 ^ t37, t45 = t42 ^ t41;

    plane z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & u7, z3 = t43 & y16, z4 = t40 & y1;
    plane z5 = t29 & y7, z6 = t42 & y11, z7 = t45 & y17, z8 = t41 & y10, z9 = t44 & y12;
    plane z10 = t37 & y3, z11 = t33 & y4, z12 = t43 & y13, z13 = t40 & y5, z14 = t29 & y2;
    plane z15 = t42 & y9, z16 = t45 & y14, z17 = t41 & y8;

    plane t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10, t50 = z2 ^ z12;
    plane t51 = z2 ^ z5, t52 = z7 ^ z8, t53 = z0 ^ z3, t54 = z6 ^ z7, t55 = z16 ^ z17;
    plane t56 = z12 ^ t48, t57 = t50 ^ t53, t58 = z4 ^ t46, t59 = z3 ^ t54, t60 = t46 ^ t57;
    plane t61 = z14 ^ t57, t62 = t52 ^ t58, t63 = t49 ^ t58, t64 = z4 ^ t59, t65 = t61 ^ t62;
    plane t66 = z1 ^ t63, t67 = t64 ^ t65, s3 = t53 ^ t66;

    x[7] = t59 ^ t63;
    x[1] = ~(t56 ^ t62);
    x[0] = ~(t48 ^ t60);
    x[4] = s3;
    x[3] = t51 ^ t66;
    x[2] = t47 ^ t65;
    x[6] = ~(t64 ^ s3);
    x[5] = ~(t55 ^ t67);
}

static void add_round_key(plane s[16][8], const uint8_t key[16]) {
    for (int i = 0; i < 16; i++)
        for (int b = 0; b < 8; b++)
            s[i][b] ^= -(plane)((key[i] >> b) & 1);
}

static void shift_rows(plane s[16][8]) {
    plane t[16][8];
    memcpy(t, s, sizeof t);
    for (int column = 0; column < 4; column++)
        for (int row = 0; row < 4; row++)
            memcpy(s[4 * column + row], t[4 * ((column + row) % 4) + row], sizeof s[0]);
}

/* d ^= 2 * a in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
static void xor_doubled(plane d[8], const plane a[8]) {
    for (int b = 1; b < 8; b++)
        d[b] ^= a[b - 1];
    d[0] ^= a[7];
    d[1] ^= a[7];
    d[3] ^= a[7];
    d[4] ^= a[7];
}

static void mix_columns(plane s[16][8]) {
    for (int column = 0; column < 4; column++) {
        plane in[4][8], pair[8];
        memcpy(in, s[4 * column], sizeof in);
        for (int row = 0; row < 4; row++) {
            const plane *a = in[row], *b = in[(row + 1) % 4];
            plane *d = s[4 * column + row];
            for (int i = 0; i < 8; i++) {
                pair[i] = a[i] ^ b[i];
                d[i] = b[i] ^ in[(row + 2) % 4][i] ^ in[(row + 3) % 4][i];
            }
            xor_doubled(d, pair);
        }
    }
}

void aes_expand_portable(uint8_t rk[176], const uint8_t key[16]) {
    uint8_t rcon = 1;
    memcpy(rk, key, 16);
    for (int at = 16; at < 176; at += 16) {
        plane x[8] = {0};
        for (int lane = 0; lane < 4; lane++) /* the last word, rotated by a byte */
            for (int b = 0; b < 8; b++)
                x[b] |= (plane)((rk[at - 4 + (lane + 1) % 4] >> b) & 1) << lane;
        sub_byte(x);
        for (int lane = 0; lane < 4; lane++) {
            unsigned byte = 0;
            for (int b = 0; b < 8; b++)
                byte |= (unsigned)((x[b] >> lane) & 1) << b;
            rk[at + lane] = (uint8_t)(rk[at - 16 + lane] ^ byte ^ (lane == 0 ? rcon : 0));
        }
        for (int i = 4; i < 16; i++)
            rk[at + i] = rk[at + i - 16] ^ rk[at + i - 4];
        prg_wipe(x, sizeof x);
        rcon = (uint8_t)(rcon << 1 ^ (rcon >> 7) * 0x1B);
    }
}

static void encrypt(plane s[16][8], const uint8_t rk[176]) {
    add_round_key(s, rk);
    for (int round = 1; round <= 10; round++) {
        for (int i = 0; i < 16; i++)
            sub_byte(s[i]);
        shift_rows(s);
        if (round < 10)
            mix_columns(s);
        add_round_key(s, rk + 16 * round);
    }
}

/* 64 blocks, in place: their low and their high words. */
static void encrypt_lanes(const uint8_t rk[176], uint64_t words[2][LANES]) {
    union {
        plane s[16][8];
        uint64_t half[2][LANES]; /* bit planes of the low and the high words: bytes 0-7 and 8-15 */
    } u;
    memcpy(u.half, words, sizeof u);
    transpose64(u.half[0]);
    transpose64(u.half[1]);
    encrypt(u.s, rk);
    transpose64(u.half[0]);
    transpose64(u.half[1]);
    memcpy(words, u.half, sizeof u);
    prg_wipe(&u, sizeof u);
}

void aes_blocks_portable(const uint8_t rk[176], uint64_t counter, uint64_t high, uint64_t *out,
                         size_t n) {
    uint64_t words[2][LANES];
    for (size_t done = 0; done < n; done += LANES) {
        for (unsigned i = 0; i < LANES; i++) {
            words[0][i] = counter + done + i;
            words[1][i] = high;
        }
        encrypt_lanes(rk, words);
        for (size_t i = 0; i < LANES && done + i < n; i++) {
            out[2 * (done + i)] = words[0][i];
            out[2 * (done + i) + 1] = words[1][i];
        }
    }
    prg_wipe(words, sizeof words);
}

void aes_permute_portable(const uint8_t rk[176], uint64_t *blocks, size_t n) {
    uint64_t words[2][LANES];
    memset(words, 0, sizeof words);
    for (size_t done = 0; done < n; done += LANES) {
        const size_t count = n - done < LANES ? n - done : LANES;
        uint64_t *block = blocks + 2 * done;
        for (size_t i = 0; i < count; i++) {
            words[0][i] = block[2 * i];
            words[1][i] = block[2 * i + 1];
        }
        encrypt_lanes(rk, words);
        for (size_t i = 0; i < count; i++) {
            block[2 * i] = words[0][i];
            block[2 * i + 1] = words[1][i];
        }
    }
    prg_wipe(words, sizeof words);
}
