#include "prg.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "../cpu.h"
#include "aes.h"

#define DERIVE 0xFFFFFFFF00000000u /* bytes 12-15 of the counters of derived keys */

typedef struct {
    const char *name;
    aes_blocks blocks;
    aes_permute permute;
    aes_expand expand;
} implementation;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static implementation chosen;

static void choose(void) {
    static const implementation table[CPU_LEVELS] = {
        {"portable", aes_blocks_portable, aes_permute_portable, aes_expand_portable},
#ifdef __x86_64__
        {"aesni", aes_blocks_aesni, aes_permute_aesni, aes_expand_aesni},
        {"vaes", aes_blocks_vaes, aes_permute_vaes, aes_expand_aesni},
#endif
    };
    cpu_level level = cpu_chosen();
    /* A level that this CPU lacks is refused by ring_select and bits_select. */
    chosen = table[level == CPU_NONE ? CPU_PORTABLE : level];
}

static const implementation *aes(void) {
    pthread_once(&once, choose);
    return &chosen;
}

#ifdef SEQ_TEST
static prg_script script;
static void *script_arg;

void prg_set_script(prg_script fn, void *arg) {
    script = fn;
    script_arg = arg;
}
#endif

void prg_init(prg_key *key, const uint8_t seed[16]) {
    aes()->expand(key->round_keys, seed);
}

void prg_derive(prg_key *child, const prg_key *parent, uint64_t instance, uint32_t sub) {
    uint64_t seed[2];
    aes()->blocks(parent->round_keys, instance, sub | DERIVE, seed, 1);
    prg_init(child, (const uint8_t *)seed);
    prg_wipe(seed, sizeof seed);
}

void prg_words(const prg_key *key, uint32_t purpose, uint64_t first, uint64_t *out, size_t n) {
#ifdef SEQ_TEST
    if (script) {
        for (size_t i = 0; i < n; i++)
            out[i] = script(script_arg, key, purpose, first + i);
        return;
    }
#endif
    aes_blocks blocks = aes()->blocks;
    uint64_t edge[2];
    if (n && (first & 1)) {
        blocks(key->round_keys, first >> 1, purpose, edge, 1);
        *out++ = edge[1];
        first++;
        n--;
    }
    blocks(key->round_keys, first >> 1, purpose, out, n / 2);
    if (n & 1) {
        blocks(key->round_keys, (first >> 1) + n / 2, purpose, edge, 1);
        out[n - 1] = edge[0];
    }
    prg_wipe(edge, sizeof edge);
}

void prg_permute(const prg_key *key, uint64_t *blocks, size_t n) {
    aes()->permute(key->round_keys, blocks, n);
}

int prg_system(void *out, size_t n) {
    uint8_t *p = out;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

void prg_wipe(void *p, size_t n) {
    memset(p, 0, n);
    __asm__ volatile("" : : "r"(p) : "memory");
}

const char *prg_name(void) {
    return aes()->name;
}
