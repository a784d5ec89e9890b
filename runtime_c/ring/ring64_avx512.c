#ifdef __x86_64__
#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#define WORD uint64_t
#define SWORD int64_t
#define BITS 64
#define TARGET __attribute__((target("avx2,bmi2")))
#define TABLE ring64_avx512
#define NAME "avx512"
#define MR 6
#define NR 24
#define KC 128
#define MC 252
#define PARTIAL 32768
#define PR 3
#define PC 4
#include "plain_impl.h"

#include "gemm_impl.h"

#include "ring_impl.h"
#else
typedef int ring64_avx512_unused; /* ISO C wants a declaration in every file */
#endif
