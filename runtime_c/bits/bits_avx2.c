#ifdef __x86_64__
#include "kernels.h"
#include "transpose.h"

#define TARGET __attribute__((target("avx2,bmi2")))
#define TABLE bits_avx2
#define NAME "avx2"
#define transpose transpose64
#include "bits_impl.h"

#else
typedef int bits_avx2_unused; /* ISO C wants a declaration in every file */
#endif
