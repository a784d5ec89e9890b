/* Register tile in plain C, for gemm_impl.h: PR x PC accumulators at a time. */

#define INLINE static inline __attribute__((always_inline)) TARGET

INLINE void plain_tile(size_t kc, const WORD *a, const WORD *b, WORD acc[PR][PC]) {
    for (size_t r = 0; r < PR; r++)
        for (size_t j = 0; j < PC; j++)
            acc[r][j] = 0;
    for (size_t k = 0; k < kc; k++)
        for (size_t r = 0; r < PR; r++)
            for (size_t j = 0; j < PC; j++)
                acc[r][j] += a[k * MR + r] * b[k * NR + j];
}

static TARGET void kernel(size_t kc, const WORD *a, const WORD *b, WORD *c, size_t ldc, size_t mr,
                          size_t nr, int add) {
    for (size_t r0 = 0; r0 < mr; r0 += PR)
        for (size_t j0 = 0; j0 < nr; j0 += PC) {
            WORD acc[PR][PC];
            size_t rows = mr - r0 < PR ? mr - r0 : PR, cols = nr - j0 < PC ? nr - j0 : PC;
            plain_tile(kc, a + r0, b + j0, acc);
            for (size_t r = 0; r < rows; r++)
                for (size_t j = 0; j < cols; j++) {
                    WORD *d = &c[(r0 + r) * ldc + j0 + j];
                    *d = add ? *d + acc[r][j] : acc[r][j];
                }
        }
}

#include "plain_pack.h"
