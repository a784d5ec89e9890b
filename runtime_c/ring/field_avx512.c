#ifdef __x86_64__
#define TARGET __attribute__((target("avx2,bmi2")))
#define TABLE field_avx512
#define NAME "avx512"
#include "field_impl.h"

#else
typedef int field_avx512_unused; /* ISO C wants a declaration in every file */
#endif
