#ifndef SEQ_RING_TABLES_H
#define SEQ_RING_TABLES_H
/* The tables that ring.c chooses from, one file each. A level whose instructions gain nothing uses
 * the table of the one below. */
#include "ring.h"

extern const ring_ops ring64_portable, ring128_portable, field_portable;
#ifdef __x86_64__
extern const ring_ops ring64_avx2, ring64_avx512, ring128_avx512, field_avx2;
#endif

#endif
