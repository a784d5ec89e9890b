#include "cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[CPU_LEVELS] = {"portable", "avx2", "avx512"};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static cpu_level chosen;

static int has(cpu_level level) {
#ifdef __x86_64__
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
               __builtin_cpu_supports("aes");
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                 __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512ifma") &&
                 __builtin_cpu_supports("gfni") && __builtin_cpu_supports("vaes") &&
                 __builtin_cpu_supports("vpclmulqdq");
    return level == CPU_PORTABLE || (level == CPU_AVX2 && avx2) ||
           (level == CPU_AVX512 && avx2 && avx512);
#else
    return level == CPU_PORTABLE;
#endif
}

cpu_level cpu_named(const char *name) {
    for (int i = 0; i < CPU_LEVELS; i++)
        if (strcmp(name, names[i]) == 0)
            return has((cpu_level)i) ? (cpu_level)i : CPU_NONE;
    return CPU_NONE;
}

static void choose(void) {
    const char *forced = getenv("SEQUESTER_KERNELS");
    if (forced && *forced) {
        chosen = cpu_named(forced);
        return;
    }
    chosen = has(CPU_AVX512) ? CPU_AVX512 : has(CPU_AVX2) ? CPU_AVX2 : CPU_PORTABLE;
}

cpu_level cpu_chosen(void) {
    pthread_once(&once, choose);
    return chosen;
}
