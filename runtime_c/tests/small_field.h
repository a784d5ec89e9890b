#ifndef SEQ_FIELD_H
#define SEQ_FIELD_H
/* The field of 7 elements in place of that of 2^127 - 1 (ring/field.h), for tests over all
 * randomness: compiled into everything with -include. 7 is the smallest number of the same form,
 * 2^b - 1, which leaves three parties points of their own. It
 * includes nothing, since it comes before what sources define for their headers. */

typedef unsigned __int128 field;

#define FIELD_INLINE static inline __attribute__((always_inline))
#define FIELD_P ((field)7)

FIELD_INLINE field field_reduce(field s) {
    return s % FIELD_P;
}
FIELD_INLINE field field_from_word(field w) {
    return w % FIELD_P;
}
FIELD_INLINE field field_add(field a, field b) {
    return (a + b) % FIELD_P;
}
FIELD_INLINE field field_sub(field a, field b) {
    return (a + (FIELD_P - b)) % FIELD_P;
}
FIELD_INLINE field field_mul(field a, field b) {
    return a * b % FIELD_P;
}
FIELD_INLINE field field_shift(field a, unsigned m) {
    return (a << m % 3) % FIELD_P;
}
FIELD_INLINE field field_from_signed(__int128 x) {
    return (field)((x % (__int128)FIELD_P + (__int128)FIELD_P) % (__int128)FIELD_P);
}
FIELD_INLINE __int128 field_to_signed(field a) {
    return a > FIELD_P / 2 ? (__int128)a - (__int128)FIELD_P : (__int128)a;
}

typedef struct {
    field sum;
} field_sum;

FIELD_INLINE void field_sum_add(field_sum *s, field a, field b) {
    s->sum += a * b;
}
FIELD_INLINE field field_sum_value(const field_sum *s) {
    return s->sum % FIELD_P;
}

#endif
