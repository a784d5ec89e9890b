#ifndef SEQ_LATTICE_H
#define SEQ_LATTICE_H
/* Products of secret words of two parties by lattice encryption: one party encrypts its operand
 * under its own key, the other multiplies by its operand, hides the result and returns it.
 *
 * Ring-LWE [LyubashevskyPeikertRegev2010] over Z_q[X]/(X^N + 1), N = 8192, q a product of four
 * primes of 50 bits, ternary secrets, centred binomial noise; plaintexts mod 2^64 in the high bits;
 * coefficients hold elements of tensors, as in Cheetah [HuangLuHongDing2022, section 3], so that
 * products of polynomials are products of matrices and convolutions and nothing is rotated. What is
 * returned is made a fresh encryption by one of zero, flooded with noise, and of all its
 * coefficients only those asked for travel, at the bits that rounding needs.
 * docs/protocols/semi2k.md has the parameters, bounds and reasons.
 *
 * A product is the correlation d[p, q, y, x] = sum of image[p, r, y sy + i, x sx + j] *
 * kernel[q, r, i, j] over r, i, j mod 2^64; a product of matrices is one of images of one pixel.
 *
 * No function branches on or addresses by secrets; the peer's bytes are checked. Scratch that held
 * secrets is wiped. Functions return 0, -1 if memory ran out, or -2 if the peer's bytes are no
 * ciphertext. Results do not depend on threads or kernels. */

#include "../par.h"
#include "../prg/prg.h"

enum { LATTICE_N = 8192, LATTICE_PRIMES = 4 };

typedef struct {
    size_t p, q, r;        /* images, kernels, channels */
    size_t h, w, kh, kw;   /* rows and columns of an image, with its padding, and of a kernel */
    size_t oh, ow, sy, sx; /* of an output; steps */
} lattice_shape;

/* How many of each share a polynomial, which operand is encrypted, and the bytes that follow. */
typedef struct {
    size_t p, q, r;
    int image;             /* the image is encrypted, or else the kernel */
    size_t ciphertexts;    /* encryptions in a request, that of zero among them */
    size_t request, reply; /* bytes */
} lattice_plan;

/* Where an operand's elements lie, by (p or q, r, row, column): element base + sum of stride times
 * index, for rows and columns y = pad + dilation * index, index < size; zeros elsewhere. */
typedef struct {
    ptrdiff_t base, outer, channel, row, column;
    ptrdiff_t pad[2];
    size_t dilation[2], size[2];
} lattice_view;

/* Both operands and the result; d's elements lie at the sum of strides times (p, q, y, x). */
typedef struct {
    lattice_shape shape;
    lattice_view image, kernel;
    size_t stride[4];
    lattice_plan plan;
} lattice_product;

/* The plan of fewest bytes; ties go to the first found. All sizes are at least 1. 0 if the shape
 * does not fit: h * w > LATTICE_N, or more than LATTICE_TERMS polynomials in a sum. */
enum { LATTICE_TERMS = 4096 };
int lattice_make_plan(const lattice_shape *shape, lattice_plan *plan);

/* A party's secret key. */
typedef struct {
    uint64_t s[LATTICE_PRIMES][LATTICE_N]; /* transformed */
} lattice_key;

/* seed: secret; purpose is a stream of it that is used for nothing else. */
void lattice_make_key(lattice_key *key, const prg_key *seed, uint32_t purpose);

/* Encrypt an operand of my own, and zero: plan.request bytes to `out`, 8-byte aligned. `shared`
 * gives the public halves (the receivers know it), `own` the noise; stream `purpose` of both must
 * serve this request only. */
int lattice_request(const lattice_product *x, const lattice_key *key, const prg_key *shared,
                    const prg_key *own, uint32_t purpose, const uint64_t *operand, uint8_t *out,
                    seq_pool *pool);
/* Multiply a request by my operand (the one that was not encrypted) into plan.reply bytes, and take
 * the random words that hide the product away from d: what lattice_finish adds at the other party
 * and this make d's sum the product. Streams purpose .. purpose + 3 of `own` must serve this reply
 * only; shared and request_purpose are the request's. */
int lattice_reply(const lattice_product *x, const uint8_t *request, const prg_key *shared,
                  uint32_t request_purpose, const prg_key *own, uint32_t purpose,
                  const uint64_t *operand, uint64_t *d, uint8_t *out, seq_pool *pool);
/* Add what a reply decrypts to, to d. */
int lattice_finish(const lattice_product *x, const lattice_key *key, const uint8_t *reply,
                   uint64_t *d, seq_pool *pool);

#ifdef SEQ_TEST
/* Test builds: while a key is set, replies to its requests note the largest noise of a coefficient
 * before it is flooded, in units of q / 2^128; one thread. */
extern const lattice_key *lattice_spy;
extern double lattice_noise;
#endif

#endif
