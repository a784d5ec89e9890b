/* Body of every field_*.c, p = 2^127 - 1. Before including it, define TARGET, TABLE and NAME as for
 * ring_impl.h. Products are summed unreduced over a block's inner length. */

#include <stddef.h>
#include <stdint.h>

#include "field.h"
#include "tables.h"

#define WORD field
#define SWORD __int128
#define BITS RING_FIELD
#define MR 4
#define NR 12
#define KC 128
#define MC 124
#define PARTIAL 16384

#define ADD(a, b) field_add(a, b)
#define SUB(a, b) field_sub(a, b)
#define MUL(a, b) field_mul(a, b)
#define IMM(imm) field_from_signed(imm)
#define SHR_NEAREST(a, m) field_from_signed((field_to_signed(a) + ((SWORD)1 << ((m) - 1))) >> (m))
#define SAR(a, m) field_from_signed(field_to_signed(a) >> (m))
#define TO_SIGNED(a) (WORD) field_to_signed(a)
#define FROM_SIGNED(a) field_from_signed((SWORD)(a))

#define INLINE static inline __attribute__((always_inline)) TARGET

static TARGET void kernel(size_t kc, const WORD *a, const WORD *b, WORD *c, size_t ldc, size_t mr,
                          size_t nr, int add) {
    for (size_t r = 0; r < mr; r++)
        for (size_t j = 0; j < nr; j++) {
            field_sum sum = {0};
            for (size_t k = 0; k < kc; k++)
                field_sum_add(&sum, a[k * MR + r], b[k * NR + j]);
            WORD *d = &c[r * ldc + j];
            *d = add ? ADD(*d, field_sum_value(&sum)) : field_sum_value(&sum);
        }
}

#include "plain_pack.h"

#include "gemm_impl.h"

#include "ring_impl.h"
