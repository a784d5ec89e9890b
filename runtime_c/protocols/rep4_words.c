/* rep4's word-wise work for both rings. */

#include "rep4.h"

#define WORD uint64_t
#define BITS 64
#define FN(name) w64_##name
#define MASKS(key, purpose, first, out, n) prg_words(key, purpose, first, out, n)
#include "rep4_word.h"
#undef WORD
#undef BITS
#undef FN
#undef MASKS

#define WORD unsigned __int128
#define BITS 128
#define FN(name) w128_##name
#define MASKS(key, purpose, first, out, n)                                                         \
    prg_words(key, purpose, 2 * (uint64_t)(first), (uint64_t *)(out), 2 * (n))
#include "rep4_word.h"

const rep4_word *rep4_words(const seq_env *env) {
    return env->ring_bits == 64 ? &w64_table : &w128_table;
}
