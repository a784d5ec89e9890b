#ifndef SEQ_BILINEAR_H
#define SEQ_BILINEAR_H
/* The bilinear maps among the instructions: matmul, conv2d, conv2d_dx, conv2d_dw, and their sums.
 * Protocols apply them to components of shares. */

#include "protocol.h"

/* Slices [first, first + count) of d (+)= f(a, b) for the map of the task's call; a, b and d are
 * whole vectors. */
typedef void (*bilinear_map)(const seq_task *t, size_t first, size_t count, void *d, const void *a,
                             const void *b, int accumulate);

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

#endif
