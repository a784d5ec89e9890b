#include "ring.h"

#include "../cpu.h"
#include "tables.h"

static const ring_ops *table(unsigned bits, cpu_level level) {
    static const ring_ops *const tables[3][CPU_LEVELS] = {
#ifdef __x86_64__
        {&ring64_portable, &ring64_avx2, &ring64_avx512},
        {&ring128_portable, &ring128_portable, &ring128_avx512},
        {&field_portable, &field_avx2, &field_avx2},
#else
        {&ring64_portable},
        {&ring128_portable},
        {&field_portable},
#endif
    };
    const int row = bits == 64 ? 0 : bits == 128 ? 1 : bits == RING_FIELD ? 2 : -1;
    return row < 0 || level == CPU_NONE ? NULL : tables[row][level];
}

const ring_ops *ring_select(unsigned bits) {
    return table(bits, cpu_chosen());
}

const ring_ops *ring_by_name(unsigned bits, const char *name) {
    return table(bits, cpu_named(name));
}
