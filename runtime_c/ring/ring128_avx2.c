#ifdef __x86_64__
#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#define TARGET __attribute__((target("avx2,bmi2")))
#define TABLE ring128_avx2
#define NAME "avx2"
#include "ring128_impl.h"

#else
typedef int ring128_avx2_unused; /* ISO C wants a declaration in every file */
#endif
