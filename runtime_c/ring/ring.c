#include "ring.h"

#include "../cpu.h"
#include "tables.h"

static const ring_ops *table(unsigned bits, cpu_level level) {
    static const ring_ops *const tables[2][CPU_LEVELS] = {
#ifdef __x86_64__
        {&ring64_portable, &ring64_avx2, &ring64_avx512},
        {&ring128_portable, &ring128_avx2, &ring128_avx512},
#else
        {&ring64_portable},
        {&ring128_portable},
#endif
    };
    if ((bits != 64 && bits != 128) || level == CPU_NONE)
        return NULL;
    return tables[bits == 128][level];
}

const ring_ops *ring_select(unsigned bits) {
    return table(bits, cpu_chosen());
}

const ring_ops *ring_by_name(unsigned bits, const char *name) {
    return table(bits, cpu_named(name));
}
