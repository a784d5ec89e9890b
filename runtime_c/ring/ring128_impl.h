/* Sizes for 2^128, for the ring128_*.c that use plain C. */

#define WORD unsigned __int128
#define SWORD __int128
#define BITS 128
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
