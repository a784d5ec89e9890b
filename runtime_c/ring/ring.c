#include "ring.h"

#include "../cpu.h"
#include "../prg/prg.h"
#include "tables.h"

static const ring_ops *table(unsigned bits, cpu_level level) {
    static const ring_ops *const tables[3][CPU_LEVELS] = {
#ifdef __x86_64__
        {&ring64_portable, &ring64_avx2, &ring64_avx512},
        {&ring128_portable, &ring128_avx2, &ring128_avx512},
        {&field_portable, &field_avx2, &field_avx512},
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

void ring_slice(const ring_ops *ring, const bits_ops *bits, uint64_t *planes, size_t stride,
                const void *x, size_t n, unsigned lo, unsigned p) {
    enum { PIECE = 512 };
    _Alignas(64) __int128 number[PIECE];
    const unsigned width = 8 * (unsigned)ring->word;
    if (ring->bits != RING_FIELD) {
        bits->slice(planes, stride, x, width, n, lo, p);
        return;
    }
    for (size_t at = 0; at < n; at += PIECE) {
        const size_t count = n - at < PIECE ? n - at : PIECE;
        ring->to_signed(number, (const __int128 *)x + at, count);
        bits->slice(planes + at / 64, stride, number, width, count, lo, p);
    }
    prg_wipe(number, sizeof number);
}
