#ifndef SEQ_BITS_KERNELS_H
#define SEQ_BITS_KERNELS_H
/* The tables that bits.c chooses from, one file each. */
#include "bits.h"

extern const bits_ops bits_portable;
#ifdef __x86_64__
extern const bits_ops bits_avx2;
extern const bits_ops bits_avx512;
#endif

#endif
