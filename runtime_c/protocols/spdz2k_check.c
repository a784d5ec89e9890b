/* spdz2k: what waits to be checked, and the check [Cramer2018, section 3]. See spdz2k.h. */

#include "spdz2k.h"

#include "dzk_gf.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* Bytes of a commitment, of what it hides and of what hides it. */
enum { HASH = 32, SECRET = 24, SALT = 16, OPENING = SECRET + SALT };

typedef struct {
    dealer_deal x;
    prg_key own;
    uint8_t commitment[MASKED_PARTIES][HASH];
    uint8_t secret[SECRET], salt[SALT]; /* mine: the seed, then sigma */
    uint64_t bits, bit_mac, bit_sigma;  /* Y, MACs and sigma of bits */
    prg_key weights;
    spdz2k_word all, values, mac; /* Y, and of it what was opened; of my shares of MACs */
    uint64_t high;                /* of what my shares have above 64 bits; then p */
    spdz2k_shares r;
    spdz2k_word r_value, r_mac, sigma;
} check_state;

/* ---- the log ---- */

spdz2k_record *spdz2k_record_new(seq_task *t, size_t n, int opened) {
    spdz2k_record *r = calloc(1, sizeof *r);
    if (r && opened)
        r->mac = malloc(n * sizeof *r->mac);
    if (r)
        r->value = malloc(2 * n * sizeof *r->value);
    if (!r || !r->value || (opened && !r->mac)) {
        if (r) {
            free(r->mac);
            free(r->value);
        }
        free(r);
        (void)task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for %zu values that are to be checked",
                        n);
        return NULL;
    }
    r->n = n;
    r->high = r->value + n;
    r->order[0] = t->call.instance;
    r->order[1] = (uint64_t)t->call.sub << 48 | (uint64_t)t->chunk << 16 | t->step_no;
    return r;
}

spdz2k_record *spdz2k_record_bits(seq_task *t, size_t words) {
    spdz2k_record *r = spdz2k_record_new(t, words, 0);
    uint64_t *bits = r ? malloc(words * SPDZ2K_DEGREE * sizeof *bits) : NULL;
    if (r && !bits) {
        spdz2k_clear(&r);
        (void)task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for bits that are to be checked");
    } else if (r) {
        r->bits = bits;
    }
    return r;
}

void spdz2k_record_add(spdz2k_record **log, spdz2k_record *r) {
    r->next = *log;
    *log = r;
}

void spdz2k_clear(spdz2k_record **log) {
    for (spdz2k_record *r = *log, *next; r; r = next) {
        next = r->next;
        if (r->mac)
            prg_wipe(r->mac, r->n * sizeof *r->mac);
        if (r->bits)
            prg_wipe(r->bits, r->n * SPDZ2K_DEGREE * sizeof *r->bits);
        free(r->bits);
        prg_wipe(r->value, 2 * r->n * sizeof *r->value);
        free(r->mac);
        free(r->value);
        free(r);
    }
    *log = NULL;
}

void spdz2k_account(seq_vm *vm, const seq_call *call, size_t values) {
    if (!call->parent)
        ((spdz2k_state *)vm_env(vm)->protocol)->due += values;
}

static int compare_records(const void *a, const void *b) {
    const spdz2k_record *const *x = a, *const *y = b;
    for (unsigned i = 0; i < 2; i++)
        if ((*x)->order[i] != (*y)->order[i])
            return (*x)->order[i] < (*y)->order[i] ? -1 : 1;
    return 0;
}

/* ---- commitments ---- */

/* What party `from` sends first of secret and salt, in this step. */
static int commit(const seq_task *t, unsigned from, uint32_t step, const uint8_t *opening,
                  uint8_t out[HASH]) {
    uint8_t text[64] = "sequester spdz2k check";
    memcpy(text + 24, &t->call.instance, 8);
    memcpy(text + 32, &t->call.sub, 2);
    memcpy(text + 36, &from, 4);
    memcpy(text + 40, &step, 4);
    uint8_t all[64 + OPENING];
    memcpy(all, text, 64);
    memcpy(all + 64, opening, OPENING);
    const int ok = EVP_Digest(all, sizeof all, out, NULL, EVP_sha256(), NULL) == 1;
    prg_wipe(all, sizeof all);
    return ok ? 0 : -1;
}

/* The same bytes to all that compute, and as many from them. */
static int tell(seq_task *t, const void *message, size_t bytes) {
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
        if (j == t->env->me)
            continue;
        uint8_t *out = task_send(t, j, bytes);
        if (!out)
            return TASK_ERROR;
        memcpy(out, message, bytes);
        task_expect(t, j, bytes);
    }
    return TASK_WAIT;
}

static int tell_commitment(seq_task *t, check_state *s) {
    uint8_t mine[OPENING], hash[HASH];
    memcpy(mine, s->secret, SECRET);
    memcpy(mine + SECRET, s->salt, SALT);
    const int failed = commit(t, t->env->me, t->step_no, mine, hash);
    prg_wipe(mine, sizeof mine);
    if (failed)
        return task_fail(t, SEQ_ERR_OURS, -1, "a hash failed");
    return tell(t, hash, HASH);
}

static int tell_opening(seq_task *t, check_state *s) {
    uint8_t mine[OPENING];
    for (unsigned j = 0; j < masked_of(t)->n; j++)
        if (j != t->env->me)
            memcpy(s->commitment[j], task_received(t, j), HASH);
    memcpy(mine, s->secret, SECRET);
    memcpy(mine + SECRET, s->salt, SALT);
    return tell(t, mine, sizeof mine);
}

/* What party j has opened, if it is what it committed to two steps ago. */
static const uint8_t *opened(seq_task *t, const check_state *s, unsigned j) {
    uint8_t hash[HASH];
    const uint8_t *in = task_received(t, j);
    if (commit(t, j, t->step_no - 2, in, hash) == 0 && memcmp(hash, s->commitment[j], HASH) == 0)
        return in;
    (void)task_fail(t, SEQ_ERR_CHEAT, (int)j,
                    "cheating detected: party %u opened something else than it committed to", j);
    return NULL;
}

/* ---- the steps ---- */

static spdz2k_word low_bits(const spdz2k_state *s, spdz2k_word x) {
    const unsigned bits = SPDZ2K_BITS + s->bits;
    return bits < 128 ? x & (((spdz2k_word)1 << bits) - 1) : x;
}

static int begin(seq_task *t, check_state *s) {
    const spdz2k_state *state = spdz2k_of(t);
    if (!t->call.parent)
        task_alone(t, SPDZ2K_CHECK_ROUNDS);
    s->r = (spdz2k_shares){&s->r_value, &s->r_mac};
    if (dealer_begin(&s->x, t, SPDZ2K_MASK_BYTES))
        return TASK_ERROR;
    if (masked_dealer(t)) {
        spdz2k_mask(&s->x, -1, SPDZ2K_CHECK, 0, s->r, 1);
        return TASK_DONE;
    }
    prg_derive(&s->own, &state->own, t->call.instance, t->call.sub);
    prg_words(&s->own, SPDZ2K_SEED, 0, (uint64_t *)s->secret, SECRET / 8);
    prg_words(&s->own, SPDZ2K_SALT, 0, (uint64_t *)s->salt, SALT / 8);
    return tell_commitment(t, s);
}

/* The weights are the sum of all seeds. */
static int take_seeds(seq_task *t, check_state *s) {
    uint8_t seed[SECRET]; /* of which a key takes 16 */
    memcpy(seed, s->secret, SECRET);
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
        const uint8_t *in = j == t->env->me ? NULL : opened(t, s, j);
        if (j != t->env->me && !in)
            return -1;
        for (unsigned i = 0; in && i < SECRET; i++)
            seed[i] ^= in[i];
    }
    prg_init(&s->weights, seed);
    return 0;
}

static void weigh_bits(check_state *s, const spdz2k_record *r, uint64_t first) {
    uint64_t weight[MASKED_PIECE];
    enum { WORDS = MASKED_PIECE / SPDZ2K_DEGREE };
    for (size_t at = 0; at < r->n; at += WORDS) {
        const size_t words = r->n - at < WORDS ? r->n - at : WORDS, n = words * SPDZ2K_DEGREE;
        prg_words(&s->weights, 0, first + at * SPDZ2K_DEGREE, weight, n);
        s->bit_mac ^= gf_inner(64, weight, r->bits + at * SPDZ2K_DEGREE, n);
        for (size_t i = 0; i < n; i++)
            s->bits ^= weight[i] & (0 - (r->value[at + i / 64] >> i % 64 & 1));
    }
}

static void weigh(const spdz2k_state *state, check_state *s, const spdz2k_record *r,
                  uint64_t first) {
    uint64_t weight[MASKED_PIECE];
    const uint64_t mask = state->bits < 64 ? ((uint64_t)1 << state->bits) - 1 : UINT64_MAX;
    for (size_t at = 0; at < r->n; at += MASKED_PIECE) {
        const size_t n = r->n - at < MASKED_PIECE ? r->n - at : MASKED_PIECE;
        prg_words(&s->weights, 0, first + at, weight, n);
        for (size_t i = 0; i < n; i++) {
            weight[i] &= mask;
            s->all += (spdz2k_word)weight[i] * r->value[at + i];
        }
        for (size_t i = 0; r->mac && i < n; i++) {
            s->values += (spdz2k_word)weight[i] * r->value[at + i];
            s->high += weight[i] * r->high[at + i];
            s->mac += weight[i] * r->mac[at + i];
        }
    }
}

static int weigh_all(seq_task *t, check_state *s) {
    spdz2k_state *state = spdz2k_of(t);
    size_t count = 0;
    uint64_t first = 0;
    for (const spdz2k_record *r = state->checked; r; r = r->next)
        count++;
    const spdz2k_record **sorted = task_scratch(t, count * sizeof(void *) + 64);
    if (!sorted)
        return -1;
    count = 0;
    for (const spdz2k_record *r = state->checked; r; r = r->next)
        sorted[count++] = r;
    qsort(sorted, count, sizeof *sorted, compare_records);
    for (size_t i = 0; i < count; i++) {
        if (sorted[i]->bits)
            weigh_bits(s, sorted[i], first);
        else
            weigh(state, s, sorted[i], first);
        first += sorted[i]->n * (sorted[i]->bits ? SPDZ2K_DEGREE : 1);
    }
    spdz2k_clear(&state->checked);
    return 0;
}

/* Y and p. */
typedef struct {
    uint64_t all[2], bits, high;
} sums;

static int tell_sums(seq_task *t, check_state *s) {
    sums mine;
    if (take_seeds(t, s) || weigh_all(t, s))
        return TASK_ERROR;
    vm_cheat(t->env, "check", &s->mac, sizeof s->mac);
    s->high += (uint64_t)s->r_value;
    memcpy(mine.all, &s->all, sizeof mine.all);
    mine.bits = s->bits;
    mine.high = s->high;
    return tell(t, &mine, sizeof mine);
}

static int tell_sigma(seq_task *t, check_state *s) {
    const spdz2k_state *state = spdz2k_of(t);
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
        sums theirs;
        if (j == t->env->me)
            continue;
        memcpy(&theirs, task_received(t, j), sizeof theirs);
        if (memcmp(theirs.all, &s->all, sizeof theirs.all) != 0 || theirs.bits != s->bits)
            return task_fail(t, SEQ_ERR_CHEAT, -1,
                             "cheating detected: party %u was told other values than party %u",
                             t->env->me, j);
        s->high += theirs.high;
    }
    s->sigma = s->mac + (s->r_mac << SPDZ2K_BITS) -
               state->alpha * (s->values + ((spdz2k_word)s->high << SPDZ2K_BITS));
    spdz2k_word zero; /* of all sigmas only the sum is known then */
    masked_zero(t, MASKED_WORD, 0, &zero, 1);
    s->sigma = low_bits(state, s->sigma + zero);
    masked_zero(t, MASKED_BITS, 2, &s->bit_sigma, 1);
    s->bit_sigma ^= s->bit_mac ^ gf_mul(64, state->delta, s->bits);
    memcpy(s->secret, &s->sigma, sizeof s->sigma);
    memcpy(s->secret + sizeof s->sigma, &s->bit_sigma, sizeof s->bit_sigma);
    prg_words(&s->own, SPDZ2K_SALT, SALT / 8, (uint64_t *)s->salt, SALT / 8);
    return tell_commitment(t, s);
}

static int conclude(seq_task *t, check_state *s) {
    spdz2k_word sum = s->sigma;
    uint64_t bit_sum = s->bit_sigma;
    for (unsigned j = 0; j < masked_of(t)->n; j++) {
        spdz2k_word theirs;
        uint64_t bits;
        const uint8_t *in = j == t->env->me ? NULL : opened(t, s, j);
        if (j != t->env->me && !in)
            return TASK_ERROR;
        if (in) {
            memcpy(&theirs, in, sizeof theirs);
            memcpy(&bits, in + sizeof theirs, sizeof bits);
            sum += theirs;
            bit_sum ^= bits;
        }
    }
    prg_wipe(s, sizeof *s);
    if (low_bits(spdz2k_of(t), sum) != 0 || bit_sum != 0)
        return task_fail(t, SEQ_ERR_CHEAT, -1,
                         "cheating detected: a value that was opened does not fit its MAC");
    return task_resumable(t, 1) ? TASK_ERROR : TASK_DONE;
}

static int check_step(seq_task *t) {
    check_state *s = t->state;
    switch (t->step_no) {
    case 0:
        return begin(t, s);
    case 1:
        if (dealer_take(&s->x))
            return TASK_ERROR;
        spdz2k_mask(&s->x, -1, SPDZ2K_CHECK, 0, s->r, 1);
        return tell_opening(t, s);
    case 2:
        return tell_sums(t, s);
    case 3:
        return tell_sigma(t, s);
    case 4: /* a cheater's error and the sum of all sigmas tell it alpha, also if it goes away */
        return task_resumable(t, 0) ? TASK_ERROR : tell_opening(t, s);
    default:
        return conclude(t, s);
    }
}

void spdz2k_start_check(seq_vm *vm, const seq_call *call) {
    task_create(vm, call, 0, 0, 0, check_step, sizeof(check_state));
}

int spdz2k_take_log(spdz2k_state *s) {
    const int waits = s->due > 0 || s->log;
    s->checked = s->log;
    s->log = NULL;
    s->due = 0;
    return waits;
}

void spdz2k_start_verify(seq_vm *vm, const seq_call *call) {
    if (!spdz2k_take_log(vm_env(vm)->protocol))
        return;
    seq_call own = *call;
    own.sub = SPDZ2K_ALONE;
    spdz2k_start_check(vm, &own);
}
