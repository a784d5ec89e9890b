/* For kernels.py: the machine's peak, in registers only. */
#ifdef __x86_64__
#include <immintrin.h>
#include <stdint.h>

/* rounds x 24 vectors of multiply-adds modulo 2^64 with vpmullq; the sum keeps the compiler honest.
 */
__attribute__((target("avx512f,avx512dq"))) uint64_t peak_avx512(uint64_t rounds) {
    __m512i acc[24], a = _mm512_set1_epi64(3), b = _mm512_set1_epi64(5);
#pragma GCC unroll 24
    for (int i = 0; i < 24; i++)
        acc[i] = _mm512_set1_epi64(i);
    for (uint64_t r = 0; r < rounds; r++) {
        __asm__ volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 24
        for (int i = 0; i < 24; i++) {
            __m512i product;
            __asm__ volatile("vpmullq %1, %2, %0" : "=v"(product) : "v"(a), "v"(b));
            acc[i] = _mm512_add_epi64(acc[i], product);
        }
    }
#pragma GCC unroll 24
    for (int i = 1; i < 24; i++)
        acc[0] = _mm512_add_epi64(acc[0], acc[i]);
    return (uint64_t)_mm512_reduce_add_epi64(acc[0]);
}
#endif
