#ifdef __x86_64__
#define TARGET __attribute__((target("avx2,bmi2")))
#define TABLE field_avx2
#define NAME "avx2"
#include "field_impl.h"

#else
typedef int field_avx2_unused; /* ISO C wants a declaration in every file */
#endif
