/* What gemm_impl.h packs with, in plain C. */

#ifndef ADD
#define ADD(a, b) ((a) + (b))
#endif

static TARGET void transpose(WORD *d, size_t ldd, const WORD *s, size_t lds, size_t rows,
                             size_t cols) {
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < rows; r++)
            d[c * ldd + r] = s[r * lds + c];
}

INLINE void copy_words(WORD *d, const WORD *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = s[i];
}

INLINE void add_words(WORD *d, const WORD *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        d[i] = ADD(d[i], s[i]);
}
