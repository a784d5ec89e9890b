#include "bits.h"

#include <string.h>

#include "../cpu.h"
#include "kernels.h"

static const bits_ops *table(cpu_level level) {
    static const bits_ops *const tables[CPU_LEVELS] = {
        &bits_portable,
#ifdef __x86_64__
        &bits_avx2,
        &bits_avx512,
#endif
    };
    return level == CPU_NONE ? NULL : tables[level];
}

const bits_ops *bits_select(void) {
    return table(cpu_chosen());
}

const bits_ops *bits_by_name(const char *name) {
    return table(cpu_named(name));
}

/* Bits a[at], a[at + step], ...: count of them, 1 <= count <= 64, from bit 0 on; the bits above are
 * unspecified. */
static uint64_t fetch(const uint64_t *a, size_t at, ptrdiff_t step, size_t count) {
    uint64_t w = 0;
    if (step == 1) {
        unsigned shift = at % 64;
        w = a[at / 64] >> shift;
        if (shift + count > 64)
            w |= a[at / 64 + 1] << (64 - shift);
        return w;
    }
    if (step == 0)
        return -(a[at / 64] >> (at % 64) & 1);
    for (size_t i = 0; i < count; i++, at += (size_t)step)
        w |= (a[at / 64] >> (at % 64) & 1) << i;
    return w;
}

static void put(uint64_t *d, size_t at, uint64_t w, size_t count) {
    uint64_t mask = (count == 64 ? 0 : (uint64_t)1 << count) - 1;
    d[at / 64] = (d[at / 64] & ~(mask << at % 64)) | (w & mask) << at % 64;
}

static void copy_run(uint64_t *d, size_t dat, ptrdiff_t dstep, const uint64_t *a, size_t aat,
                     ptrdiff_t astep, size_t n) {
    while (n) {
        size_t count = dstep == 1 ? 64 - dat % 64 : 1;
        if (count > n)
            count = n;
        put(d, dat, fetch(a, aat, astep, count), count);
        dat += count * (size_t)dstep;
        aat += count * (size_t)astep;
        n -= count;
    }
}

#define MAX_RANK 8

typedef struct {
    size_t rank, shape[MAX_RANK];
    ptrdiff_t dstr[MAX_RANK], astr[MAX_RANK];
} walk;

/* Drop dimensions of size 1 and merge those that are walked as one. */
static void simplify(walk *w, size_t rank, const size_t *shape, const ptrdiff_t *dstr,
                     const ptrdiff_t *astr) {
    w->rank = 0;
    for (size_t i = 0; i < rank; i++) {
        size_t r = w->rank;
        if (shape[i] == 1)
            continue;
        ptrdiff_t size = (ptrdiff_t)shape[i];
        if (r && w->dstr[r - 1] == dstr[i] * size && w->astr[r - 1] == astr[i] * size) {
            w->shape[r - 1] *= shape[i];
            w->dstr[r - 1] = dstr[i];
            w->astr[r - 1] = astr[i];
            continue;
        }
        w->shape[r] = shape[i];
        w->dstr[r] = dstr[i];
        w->astr[r] = astr[i];
        w->rank++;
    }
}

void bits_copy(uint64_t *d, size_t dn, size_t doff, const uint64_t *a, size_t an, size_t aoff,
               size_t rank, const size_t *shape, const ptrdiff_t *dstr, const ptrdiff_t *sstr) {
    (void)an;
    memset(d, 0, (dn + 63) / 64 * sizeof *d);
    for (size_t i = 0; i < rank; i++)
        if (shape[i] == 0)
            return;
    walk w;
    simplify(&w, rank, shape, dstr, sstr);
    if (w.rank == 0) {
        copy_run(d, doff, 1, a, aoff, 1, 1);
        return;
    }
    size_t index[MAX_RANK] = {0}, inner = w.rank - 1;
    for (;;) {
        copy_run(d, doff, w.dstr[inner], a, aoff, w.astr[inner], w.shape[inner]);
        size_t i = inner;
        for (;; i--) {
            if (i == 0)
                return;
            doff += (size_t)w.dstr[i - 1];
            aoff += (size_t)w.astr[i - 1];
            if (++index[i - 1] < w.shape[i - 1])
                break;
            doff -= w.shape[i - 1] * (size_t)w.dstr[i - 1];
            aoff -= w.shape[i - 1] * (size_t)w.astr[i - 1];
            index[i - 1] = 0;
        }
    }
}
