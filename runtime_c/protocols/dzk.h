#ifndef SEQ_DZK_H
#define SEQ_DZK_H
/* Distributed zero-knowledge proofs, in three-party replicated sharing, that messages were computed
 * as they should: docs/protocols/rep3-mal.md has the equations, their source and proofs.
 *
 * Everything that is proven is a set of statements a b' + a' b = c + c' over Z_2^64 or over bits.
 * The prover P_i knows a, b, a', b'; V = P_{i-1} knows a, b, c; W = P_{i+1} knows a', b', c'. A
 * protocol adds segments of statements to a log as it goes; dzk_step proves all of them at once, in
 * three proofs side by side, one for each party as the prover. */

#include "rep3.h"

enum { DZK_WORDS, DZK_BITS, DZK_RINGS }; /* the ring of a segment */
enum { DZK_P, DZK_V, DZK_W };            /* what I am for its prover */
#define DZK_MAX_KAPPA 6                  /* variables bound in the first round */
#define DZK_MAX_POINTS 729               /* 3^DZK_MAX_KAPPA */
#define DZK_MAX_DEGREE 48                /* of the extension of Z_2^64 */
#define DZK_MAX_LENGTH 26                /* log2 of the elements of the vectors: see the error */
#define DZK_MAX_ROUNDS 64

/* Statements of one prover that one step of a task adds: n words (of 64 statements each in the
 * ring of bits). P: x = {a, b, a', b'}; V: {a, b, c}; W: {a', b', c'}; NULL: zeros. */
typedef struct dzk_segment {
    struct dzk_segment *next;
    uint64_t order[2]; /* (instance, sub), (chunk, number within the task) */
    size_t n;
    uint64_t *x[4];
} dzk_segment;

/* The statement Z = X Y (a matrix product or convolution) of all three provers at once: copies of
 * both components of X and Y, and V's and W's parts of what X_i Y_i + X_i Y_{i+1} + X_{i+1} Y_i has
 * to be. */
typedef struct dzk_matrix {
    struct dzk_matrix *next;
    uint64_t order[2];
    uint16_t op; /* SEQ_OP_MATMUL, ..._CONV2D, ..._DX, ..._DW */
    int64_t arg[SEQ_MAX_OPERANDS];
    size_t nx, ny, nz;
    uint64_t *x[2], *y[2], *c[2]; /* c[0]: as V, c[1]: as W */
    /* SEQ_OP_SHUFFLE, see mal_shuffle.c: orders of the hops that I am P1 and P2 of. Then x:
     * what I prove to have moved in them; y: what V and W know of it where I am P3; c: right sides
     * of the first statement, then of the second one. */
    uint32_t *moved[2];
} dzk_matrix;

/* Memory for the log that is taken piece by piece, given back all at once and kept: fresh pages
 * would cost more than what is written to them. */
typedef struct dzk_block {
    struct dzk_block *next;
    size_t words, used;
    uint64_t *data;
} dzk_block;

typedef struct {
    dzk_block *blocks;
    dzk_segment *segments[DZK_RINGS][3];
    size_t words[DZK_RINGS][3];
    dzk_matrix *matrices;
    uint64_t checks; /* begun in this run */
    unsigned degree[DZK_RINGS];
} dzk_log;

/* stat: 40; 4 or 8 for tests that want cheaters to succeed now and then. */
void dzk_log_init(dzk_log *log, unsigned stat);
void dzk_log_free(dzk_log *log);  /* wipes it */
void dzk_log_clear(dzk_log *log); /* everything is gone; memory is kept */
/* A segment of n words; number: unique among those that this task adds for this ring and role.
 * arrays: a bit for each one that gets memory, not set; others are zeros, or what the caller puts
 * there: arrays of other segments that are the same. NULL if memory ran out (an error is set). */
enum { DZK_FIRST = 1, DZK_SECOND = 2, DZK_CLAIM = 4, DZK_LAST = 8 };
dzk_segment *dzk_add(seq_task *t, dzk_log *log, unsigned ring, unsigned role, unsigned number,
                     size_t n, unsigned arrays);
/* The segments of a product, of which everybody proves n words: what V and W know but c and c' is
 * what I prove my own statements of. 0, or -1 if memory ran out (an error is set). */
int dzk_add_product(seq_task *t, dzk_log *log, unsigned ring, unsigned number, size_t n,
                    dzk_segment *s[3]);
dzk_matrix *dzk_add_matrix(seq_task *t, dzk_log *log, size_t nx, size_t ny, size_t nz);
int dzk_empty(const dzk_log *log);
/* n words, 64-byte aligned, not set, that live until the log is empty; NULL if memory ran out. */
void *dzk_log_words(dzk_log *log, size_t n);

/* A check of everything in the log, which it empties; nothing may be added meanwhile. Steps from
 * t->step_no == 0 on;
 * TASK_DONE when all three proofs are accepted by everybody, an error (cheating detected) when one
 * is not. run: zeroed. next, prev: the pairs' keys of the whole run. */
typedef struct dzk_run dzk_run;
int dzk_step(seq_task *t, dzk_run *run, dzk_log *log, const prg_key *next, const prg_key *prev);

/* ---- the extension rings (dzk_ring.c): an element is `degree` words, or one word of bits ---- */

typedef struct {
    unsigned ring, degree;
    size_t words;         /* in an element */
    const ring_ops *base; /* Z_2^64 */
    seq_pool *pool;
} dzk_field;

void dzk_field_init(dzk_field *f, const seq_env *env, unsigned ring, unsigned degree);
void dzk_set(const dzk_field *f, uint64_t *d, uint64_t word); /* from the base ring */
/* The element of the exceptional set that a random word names. */
void dzk_point(const dzk_field *f, uint64_t *d, uint64_t random);
void dzk_accumulate(const dzk_field *f, uint64_t *d, const uint64_t *a);
void dzk_subtract(const dzk_field *f, uint64_t *d, const uint64_t *a); /* d -= a */
/* d = a b; d may be a or b. */
void dzk_mul(const dzk_field *f, uint64_t *d, const uint64_t *a, const uint64_t *b);
/* d = sum of p[m] q[m]. */
void dzk_inner(const dzk_field *f, uint64_t *d, const uint64_t *p, const uint64_t *q, size_t n);
/* The round polynomial of vectors of 2 half elements: g[0] = sum of p[m] q[m] over m < half, g[1] =
 * sum of (p[half + m] - p[m]) (q[half + m] - q[m]). */
void dzk_halves(const dzk_field *f, uint64_t *g, const uint64_t *p, const uint64_t *q, size_t half);
/* p[m] += r (p[half + m] - p[m]) for m < half, r a point. */
void dzk_bind(const dzk_field *f, uint64_t *p, size_t half, const uint64_t *r);

/* Base elements as `rows` rows of `words` words, a multiple of DZK_LANES, come in tiles of
 * DZK_LANES columns: x[l][m] is word l DZK_LANES + m % DZK_LANES of tile m / DZK_LANES, so that
 * what is worked on together is together, wherever the tiles are. d[m] = sum over l of lambda[l]
 * x[l][m]; elements in a row: words, or 64 words for bits. */
#define DZK_LANES 8
typedef const uint64_t *const *dzk_tiles;
extern const uint64_t
    dzk_zeros[DZK_LANES << DZK_MAX_KAPPA]; /* a tile, known without a look at it */
void dzk_compress(const dzk_field *f, uint64_t *d, dzk_tiles x, size_t rows, size_t words,
                  const uint64_t *lambda);
/* Words: p[m] *= the point named by weight[m]. Bits are weighed in groups of `degree`, the bit i of
 * a group by its point times x^i (dzk_gf.h), here and below: n is a multiple of 64. */
void dzk_weigh(const dzk_field *f, uint64_t *p, const uint64_t *weight, size_t n);
/* g[x] += sum over m of weight[m] (a b' + a' b)[x][m] for the 3^kappa points x of {0, 1,
 * inf}^kappa, where arrays have 2^kappa rows. 0, or -1 if memory ran out. */
int dzk_evaluate(const dzk_field *f, uint64_t *g, const dzk_tiles x[4], unsigned kappa,
                 size_t words, const uint64_t *weight);
/* g[l] = sum over m of weight[m] c[l][m]. */
void dzk_weighted_rows(const dzk_field *f, uint64_t *g, dzk_tiles c, size_t rows, size_t words,
                       const uint64_t *weight);
/* From values on {0, 1, inf}^kappa to coefficients. */
void dzk_coefficients(const dzk_field *f, uint64_t *g, unsigned kappa);
/* The tensor of pairs (1, u_j) (base 2) or triples (1, u_j, v_j) over j < kappa: d[e]. */
void dzk_tensor(const dzk_field *f, uint64_t *d, unsigned kappa, unsigned base,
                const uint64_t *parts);

/* One ring's three proofs. */
typedef struct {
    dzk_field f;
    unsigned kappa;
    size_t rows, row;     /* row: base words in a row, the last ones may be padding */
    size_t count;         /* extension elements of a row, without padding */
    size_t length;        /* of the vectors; 0: nothing to prove */
    size_t left;          /* now */
    unsigned log2;        /* of the length, rounded up: so many times it is halved */
    dzk_tiles x[3][4];    /* by role: base arrays as in a segment */
    uint64_t *weight;     /* `weights` words */
    size_t weights;       /* one for each element of a row; of bits: for `degree` */
    uint64_t *tau;        /* kappa elements */
    uint64_t *vector[4];  /* P's p and q, V's p, W's q */
    uint64_t *claim[2];   /* V's and W's shares of the claims; one element each */
    uint64_t *message[2]; /* the prover's round: V's share (as V), W's share (as W) */
    uint64_t *seal;       /* as V: the opened vector element and the last claim's share */
} dzk_proof;

struct dzk_run {
    dzk_proof ring[DZK_RINGS];
    dzk_matrix *matrices;
    dzk_log *log;
    prg_key next, prev, coin;
    unsigned rounds, kappa, log2;                                  /* rounds of proofs: 2 + log2 */
    size_t drawn;                                                  /* challenge words used up */
    uint64_t mine[DZK_MAX_ROUNDS * 2], theirs[DZK_MAX_ROUNDS * 2]; /* as P; of the next party */
    size_t known; /* challenges in mine and theirs */
};

#endif
