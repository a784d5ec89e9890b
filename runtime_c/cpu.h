#ifndef SEQ_CPU_H
#define SEQ_CPU_H
/* Which kernels run: three levels, the same for ring, bits and prg. */

typedef enum {
    CPU_PORTABLE = 0, /* plain C */
    CPU_AVX2 = 1,     /* AVX2, BMI2, AES-NI */
    CPU_AVX512 = 2,   /* AVX-512 F, DQ, BW, VL, VBMI, IFMA, GFNI, VAES, VPCLMULQDQ (Ice Lake, Zen 4
                        and newer) */
    CPU_LEVELS = 3,
    CPU_NONE = -1
} cpu_level;

/* The level of that name ("portable", "avx2", "avx512"), or CPU_NONE if the name is unknown or this
 * CPU lacks it. */
cpu_level cpu_named(const char *name);
/* The level that SEQUESTER_KERNELS names (CPU_NONE as above), or the best one if it is unset or
 * empty. Decided once per process; thread-safe. */
cpu_level cpu_chosen(void);

#endif
