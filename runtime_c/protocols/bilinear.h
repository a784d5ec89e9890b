#ifndef SEQ_BILINEAR_H
#define SEQ_BILINEAR_H
/* The bilinear maps among the instructions: matmul, conv2d, conv2d_dx, conv2d_dw, and their sums.
 * Protocols apply them to components of shares. */

#include "protocol.h"

#define BILINEAR_TERMS 2

/* Slices [first, first + count) of d = the sum of f(a, b) over up to BILINEAR_TERMS terms, for the
 * map of the task's call; a, b and d are whole vectors. */
typedef void (*bilinear_map)(const seq_task *t, size_t first, size_t count, void *d,
                             const ring_term *terms, size_t terms_count);

/* What an instruction asks for. Operands by their index among the arguments: factors, result, and
 * rounding mode (m is the one before; of a sum, what is added is the one behind). Sizes in
 * elements, and into how many equal parts, one after another, the map can cut its result. */
typedef struct {
    bilinear_map f;
    unsigned x, y, d, mode;
    size_t x_size, y_size, size, slices;
} bilinear;

/* Whether an instruction is one of these. */
int bilinear_is(unsigned op);
void bilinear_of(const seq_call *call, bilinear *b);

/* d = a + b, on all threads; d overlaps neither. */
void bilinear_add(const seq_task *t, void *d, const void *a, const void *b, size_t n);

/* x_0 y_0 + x_0 y_1 + x_1 y_0, for the components of the call's factors, as two terms: those of the
 * smaller factor are added up in sum, of bilinear_sum_size elements. */
size_t bilinear_sum_size(const bilinear *b);
void bilinear_share_terms(const seq_task *t, const bilinear *b, void *sum,
                          ring_term terms[BILINEAR_TERMS]);

#endif
