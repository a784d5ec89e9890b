/* Z_2^128 in plain C; AVX2 has nothing that is faster (docs/kernels.md). */
#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#define WORD unsigned __int128
#define SWORD __int128
#define BITS 128
#define TARGET
#define TABLE ring128_portable
#define NAME "portable"
#define MR 4
#define NR 12
#define KC 128
#define MC 124
#define PARTIAL 16384
#define PR 2
#define PC 2
#include "plain_impl.h"

#include "gemm_impl.h"

#include "ring_impl.h"
