#ifndef SEQ_FIELD_H
#define SEQ_FIELD_H
/* The field of p = 2^127 - 1 elements, one at a time. An element is a word of 16 bytes, always the
 * least representative, 0 <= x < p. As a signed number it is x, or x - p if that is nearer to zero.
 * Nothing here branches on elements. */

#include <stdint.h>

typedef unsigned __int128 field;

#define FIELD_INLINE static inline __attribute__((always_inline))
#define FIELD_P ((((field)1) << 127) - 1)

/* s mod p for s <= 2 p - 1. */
FIELD_INLINE field field_reduce(field s) {
    return (s + ((s + 1) >> 127)) & FIELD_P;
}

/* Any word mod p. */
FIELD_INLINE field field_from_word(field w) {
    return field_reduce((w & FIELD_P) + (w >> 127));
}

FIELD_INLINE field field_add(field a, field b) {
    return field_reduce(a + b);
}

FIELD_INLINE field field_sub(field a, field b) {
    return field_reduce(a + (FIELD_P - b));
}

FIELD_INLINE field field_mul(field a, field b) {
    const uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64);
    const uint64_t b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    const field low = (field)a0 * b0, high = (field)a1 * b1;
    const field middle = (field)a0 * b1 + (field)a1 * b0 + (low >> 64);
    const field bottom = (middle << 64) | (uint64_t)low;
    return field_reduce((bottom & FIELD_P) + (((high + (middle >> 64)) << 1) | (bottom >> 127)));
}

/* a * 2^m for m < 127. */
FIELD_INLINE field field_shift(field a, unsigned m) {
    return field_reduce(((a << m) & FIELD_P) + (a >> (127 - m)));
}

/* Two's complement of 128 bits to an element and back. */
FIELD_INLINE field field_from_signed(__int128 x) {
    const field word = (field)x, negative = word >> 127;
    return field_sub(field_from_word(word), negative << 1);
}

FIELD_INLINE __int128 field_to_signed(field a) {
    return (__int128)(a - (FIELD_P & -(a >> 126)));
}

/* A sum of products, unreduced: columns of 2^0, 2^64 and 2^128, of 192 bits each. */
typedef struct {
    field low, middle, high;
    uint64_t low_carry, middle_carry, high_carry;
} field_sum;

FIELD_INLINE void field_sum_add(field_sum *s, field a, field b) {
    const uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64);
    const uint64_t b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    const field low = (field)a0 * b0, high = (field)a1 * b1;
    const field middle = (field)a0 * b1 + (field)a1 * b0; /* a1, b1 < 2^63 */
    s->low += low;
    s->low_carry += s->low < low;
    s->middle += middle;
    s->middle_carry += s->middle < middle;
    s->high += high;
    s->high_carry += s->high < high;
}

/* The sum's value; 2^128 = 2 in the field. Up to 2^62 products. */
FIELD_INLINE field field_sum_value(const field_sum *s) {
    const field low = field_add(field_from_word(s->low), (field)s->low_carry << 1);
    const field middle = field_add(field_from_word(s->middle), (field)s->middle_carry << 1);
    const field high = field_add(field_from_word(s->high), (field)s->high_carry << 1);
    return field_add(field_add(low, field_shift(middle, 64)), field_shift(high, 1));
}

#endif
