/* rep4: inputs, checks, openings and outputs. */

#include "rep4.h"

#define FLAT_CHUNK ((size_t)4 * 64 * REP4_CHUNK) /* elements in a task of an input or opening */

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- input: share o of the owner o is zero, shares o+1 and o+2 are masks that it knows; it sends
 * share o+3 to the two others that hold it, who compare ---- */

typedef struct {
    rep4_keys keys;
} input_state;

/* Both who get the share add its hash under their common key: o+1 as who verifies, o+2 as receiver.
 */
static void input_compare(const seq_task *t, const rep4_keys *keys, unsigned owner,
                          const uint8_t *words, size_t bytes) {
    rep4_state *s = t->env->protocol;
    const unsigned me = t->env->me, first = (owner + 1) % 4, second = (owner + 2) % 4;
    const unsigned peer = me == first ? second : first;
    const rep4_digest sum = rep4_hash(&keys->pair[(peer + 3 - me) % 4], REP4_HASH,
                                      (uint64_t)t->chunk << 32, words, bytes);
    if (me == first)
        s->verified[second][owner] += sum;
    else
        s->received[first][owner] += sum;
}

/* The masks of elements [begin, end), or seeds in their place; the owner sends x minus these. */
static int input_shares(seq_task *t, const rep4_keys *keys, unsigned owner, const void *x,
                        uint8_t *send) {
    const rep4_word *w = rep4_words(t->env);
    const ring_ops *ring = t->env->ring;
    const size_t n = t->end - t->begin, at = t->begin * w->word;
    const seq_reg d = t->call.reg[SEQ_ARG_INPUT_d];
    if (send)
        memcpy(send, (const uint8_t *)x + at, n * w->word);
    for (unsigned k = 0; k < 3; k++) {
        const unsigned distance = (t->env->me + 1 + k + 4 - owner) % 4; /* of share and owner */
        uint8_t *share = (uint8_t *)d.c[k] + at;
        if (distance == 3)
            continue;
        const prg_key *key = distance ? &keys->without[k] : NULL;
        const int kept = vm_keep_seed(t->vm, &t->call, k, key, REP4_INPUT);
        if (!kept && !distance)
            vm_zero(share, n * w->word);
        uint8_t *mask = share;
        if (kept && send && !(mask = task_scratch(t, n * w->word)))
            return -1;
        if (distance && (!kept || send))
            w->mask(key, REP4_INPUT, t->begin, mask, n);
        if (distance && send)
            ring->sub(send, send, mask, n);
    }
    if (send) {
        vm_cheat(t->env, "input", send, n * w->word);
        memcpy((uint8_t *)d.c[rep4_at(t->env->me, (owner + 3) % 4)] + at, send, n * w->word);
    }
    return 0;
}

static int input_step(seq_task *t) {
    input_state *s = t->state;
    const int64_t in = t->call.arg[SEQ_ARG_INPUT_in];
    const unsigned me = t->env->me, owner = vm_input_party(t->vm, in), last = (owner + 3) % 4;
    const size_t bytes = (t->end - t->begin) * t->env->ring->word;
    if (t->step_no) {
        const uint8_t *words = task_received(t, owner);
        memcpy((uint8_t *)t->call.reg[SEQ_ARG_INPUT_d].c[rep4_at(me, last)] +
                   t->begin * t->env->ring->word,
               words, bytes);
        input_compare(t, &s->keys, owner, words, bytes);
        return TASK_DONE;
    }
    rep4_derive(&s->keys, t);
    if (me != owner) {
        if (input_shares(t, &s->keys, owner, NULL, NULL) < 0)
            return TASK_ERROR;
        if (me == last)
            return TASK_DONE;
        task_expect(t, owner, bytes);
        return TASK_WAIT;
    }
    const void *x = vm_input_words(t->vm, in);
    uint8_t *first = task_send(t, (owner + 1) % 4, bytes);
    uint8_t *second = task_send(t, (owner + 2) % 4, bytes);
    if (!x)
        return task_fail(t, SEQ_ERR_CONFIG, -1, "input %lld was not given", (long long)in);
    if (!first || !second || input_shares(t, &s->keys, owner, x, first) < 0)
        return TASK_ERROR;
    memcpy(second, first, bytes);
    vm_input_read(t->vm, in, t->begin, t->end);
    return TASK_DONE;
}

static void start_flat(seq_vm *vm, const seq_call *call, size_t n, task_step step,
                       size_t state_bytes) {
    for (size_t c = 0; c * FLAT_CHUNK < n; c++)
        task_create(vm, call, (uint32_t)c, c * FLAT_CHUNK, min_size((c + 1) * FLAT_CHUNK, n), step,
                    state_bytes);
}

void rep4_start_input(seq_vm *vm, const seq_call *call) {
    const size_t n = (size_t)call->arg[SEQ_ARG_INPUT_n];
    if (n > REP4_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep4 takes at most %zu elements at once",
                      REP4_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, n ? 1 : 0);
    start_flat(vm, call, n, input_step, sizeof(input_state));
}

/* ---- the check, one round before anything is opened: what verifiers saw and what receivers got
 * must agree. Party p gets from each other one a word in which that party's views are keyed tags,
 * added up with opposite signs by the two who should have the same view, and hidden by a sharing of
 * zero among the three senders. So p learns whether all views agree and nothing of which do: that
 * two honest ones agree may depend on an earlier error times a secret ---- */

/* Of a sum, what is compared: all; with a lowered statistical parameter s, in test builds, so many
 * bits that an error of 2^63 passes with probability 2^-s. */
static rep4_digest compared(const seq_task *t, rep4_digest sum) {
#ifdef SEQ_TEST
    if (t->env->stat < 40)
        sum &= ((rep4_digest)1 << (63 + t->env->stat)) - 1;
#endif
    (void)t;
    return sum;
}

/* What my view of what party f sent to me or q adds to the word for party `to`. */
static rep4_digest view(const seq_task *t, const rep4_keys *keys, unsigned to, unsigned q,
                        unsigned f) {
    const rep4_state *s = t->env->protocol;
    const unsigned me = t->env->me;
    rep4_digest sums[2] = {compared(t, s->verified[q][f]), compared(t, s->received[q][f])}, tag;
    uint64_t words[4];
    if (me > q) { /* the lower party's view comes first */
        const rep4_digest verified = sums[0];
        sums[0] = sums[1];
        sums[1] = verified;
    }
    memcpy(words, sums, sizeof words);
    prg_key key = keys->pair[(q + 3 - me) % 4];
    for (unsigned i = 0; i < 4; i++) {
        const prg_key parent = key;
        prg_derive(&key, &parent, words[i], 4 * i + f);
    }
    prg_words(&key, to, 0, (uint64_t *)&tag, 2);
    prg_wipe(&key, sizeof key);
    return me < q ? tag : -tag;
}

static rep4_digest views(const seq_task *t, const rep4_keys *keys, unsigned to) {
    rep4_digest sum = 0;
    for (unsigned q = 0; q < 4; q++)
        for (unsigned f = 0; f < 4; f++)
            if (q != t->env->me && f != t->env->me && f != q)
                sum += view(t, keys, to, q, f);
    return sum;
}

/* My part of a sharing of zero among all but party `to`. */
static rep4_digest zero_for(const seq_task *t, const rep4_keys *keys, unsigned to) {
    const unsigned rank = (t->env->me + 3 - to) % 4;
    rep4_digest words[3];
    prg_words(&keys->without[(to + 3 - t->env->me) % 4], REP4_CHECK, 0, (uint64_t *)words, 6);
    return words[rank] - words[(rank + 1) % 3];
}

/* own: my views as they are now. What starts while the check is under way belongs to the next. */
static int check_send(seq_task *t, rep4_digest *own) {
    rep4_keys keys;
    rep4_derive(&keys, t);
    *own = views(t, &keys, t->env->me);
    for (unsigned to = 0; to < 4; to++) {
        if (to == t->env->me)
            continue;
        uint8_t *out = task_send(t, to, sizeof(rep4_digest));
        if (!out)
            return TASK_ERROR;
        const rep4_digest sum = views(t, &keys, to) + zero_for(t, &keys, to);
        memcpy(out, &sum, sizeof sum);
        task_expect(t, to, sizeof sum);
    }
    prg_wipe(&keys, sizeof keys);
    return TASK_WAIT;
}

static int check_compare(seq_task *t, rep4_digest sum) {
    rep4_digest part;
    for (unsigned p = 0; p < 4; p++)
        if (p != t->env->me) {
            memcpy(&part, task_received(t, p), sizeof part);
            sum += part;
        }
    int differ = sum != 0;
    task_known(&differ, sizeof differ);
    if (differ) /* whose view differs is not known, and would tell too much */
        return task_fail(t, SEQ_ERR_CHEAT, -1,
                         "cheating detected: what was sent is not what should have been; one of "
                         "the four parties cheats");
    return TASK_DONE;
}

static int check_step(seq_task *t) {
    rep4_digest *own = t->state;
    return t->step_no == 0 ? check_send(t, own) : check_compare(t, *own);
}

void rep4_start_verify(seq_vm *vm, const seq_call *call) {
    call_rounds(vm, call, 1);
    task_create(vm, call, 0, 0, 0, check_step, sizeof(rep4_digest));
}

/* ---- openings: of the share that a receiver p lacks, party p+1 sends the words and p+2 a hash
 * ---- */

typedef struct {
    rep4_digest views; /* first: the check's */
    rep4_keys keys;
    int to; /* -1: all */
    size_t planes, n;
    const seq_reg *a;
    void *d;
} open_state;

static int receives(const open_state *s, unsigned party) {
    return s->to < 0 || (unsigned)s->to == party;
}

static size_t open_bytes(const seq_task *t) {
    const open_state *s = t->state;
    const size_t n = t->end - t->begin;
    return s->planes ? s->planes * ((n + 63) / 64) * 8 : n * t->env->ring->word;
}

/* The task's part of a component; of bits, those past the last element are zero. */
static void open_copy(const seq_task *t, unsigned component, uint8_t *out) {
    const open_state *s = t->state;
    const size_t n = t->end - t->begin, words = (n + 63) / 64;
    if (!s->planes) {
        memcpy(out, (const uint8_t *)s->a->c[component] + t->begin * t->env->ring->word,
               n * t->env->ring->word);
        return;
    }
    for (size_t p = 0; p < s->planes; p++) {
        const uint64_t *plane = (const uint64_t *)s->a->c[component] + p * bits_plane_words(s->n);
        uint8_t *to = out + p * words * 8;
        memcpy(to, plane + t->begin / 64, words * 8);
        if (n % 64) {
            uint64_t last;
            memcpy(&last, to + (words - 1) * 8, 8);
            last &= ((uint64_t)1 << n % 64) - 1;
            memcpy(to + (words - 1) * 8, &last, 8);
        }
    }
}

static rep4_digest open_hash(const seq_task *t, unsigned peer, const uint8_t *words) {
    const open_state *s = t->state;
    return compared(t, rep4_hash(&s->keys.pair[(peer + 3 - t->env->me) % 4], REP4_HASH, 0, words,
                                 open_bytes(t)));
}

static int open_send(seq_task *t) {
    const open_state *s = t->state;
    const unsigned me = t->env->me, p = (me + 3) % 4, q = (me + 2) % 4;
    if (receives(s, p)) {
        uint8_t *out = task_send(t, p, open_bytes(t));
        if (!out)
            return TASK_ERROR;
        open_copy(t, rep4_at(me, p), out);
    }
    if (receives(s, q)) {
        uint8_t *words = task_scratch(t, open_bytes(t) + 1);
        uint8_t *out = task_send(t, q, sizeof(rep4_digest));
        if (!words || !out)
            return TASK_ERROR;
        open_copy(t, rep4_at(me, q), words);
        const rep4_digest sum = open_hash(t, q, words);
        memcpy(out, &sum, sizeof sum);
    }
    if (!receives(s, me))
        return TASK_DONE;
    task_expect(t, (me + 1) % 4, open_bytes(t));
    task_expect(t, (me + 2) % 4, sizeof(rep4_digest));
    return TASK_WAIT;
}

/* The sum of all four shares, words or bits. */
static int open_add(seq_task *t, const uint8_t *words) {
    const open_state *s = t->state;
    const ring_ops *ring = t->env->ring;
    const size_t n = t->end - t->begin, planes = (n + 63) / 64;
    uint8_t *d = (uint8_t *)s->d + t->begin * ring->word;
    if (!s->planes) {
        memcpy(d, words, n * ring->word);
        for (unsigned c = 0; c < 3; c++)
            ring->add(d, d, (const uint8_t *)s->a->c[c] + t->begin * ring->word, n);
        return TASK_DONE;
    }
    uint64_t *sum = task_scratch(t, open_bytes(t)), *part = task_scratch(t, open_bytes(t));
    if (!sum || !part)
        return TASK_ERROR;
    memcpy(sum, words, open_bytes(t));
    for (unsigned c = 0; c < 3; c++) {
        open_copy(t, c, (uint8_t *)part);
        t->env->bits->xor_(sum, sum, part, s->planes * planes);
    }
    t->env->bits->unslice(d, 8 * (unsigned)ring->word, sum, planes, n, 0, (unsigned)s->planes);
    return TASK_DONE;
}

static int open_receive(seq_task *t) {
    const unsigned from = (t->env->me + 1) % 4, verifier = (t->env->me + 2) % 4;
    const uint8_t *words = task_received(t, from);
    rep4_digest told;
    memcpy(&told, task_received(t, verifier), sizeof told);
    int differ = open_hash(t, verifier, words) != told;
    task_known(&differ, sizeof differ);
    if (differ)
        return task_fail(t, SEQ_ERR_CHEAT, (int)from,
                         "cheating detected: party %u opened another share than party %u vouches "
                         "for; one of them cheats",
                         from, verifier);
    return open_add(t, words);
}

static int open_part_step(seq_task *t) {
    open_state *s = t->state;
    if (t->step_no)
        return open_receive(t);
    *s = *(const open_state *)t->call.parent->state;
    rep4_derive(&s->keys, t);
    return open_send(t);
}

/* The sub-machines of an opening: one each for what a task holds. */
static void open_parts(seq_task *t) {
    const open_state *s = t->state;
    for (size_t c = 0; c * FLAT_CHUNK < s->n; c++) {
        seq_call part = t->call;
        part.arg[SEQ_ARG_OPEN_n] = (int64_t)c;
        task_call(t, &part, (uint16_t)(1 + c));
    }
}

static int open_begin(seq_task *t, open_state state) {
    open_state *s = t->state;
    if (t->step_no == 0) {
        *s = state;
        return check_step(t);
    }
    if (t->step_no > 1)
        return TASK_DONE;
    if (check_step(t) == TASK_ERROR)
        return TASK_ERROR;
    open_parts(t);
    return TASK_WAIT;
}

static int open_step(seq_task *t) {
    const seq_call *c = &t->call;
    open_state s = {.to = -1};
    switch (c->op) {
    case SEQ_OP_OPEN:
        s.n = (size_t)c->arg[SEQ_ARG_OPEN_n];
        s.a = &c->reg[SEQ_ARG_OPEN_a];
        s.d = c->reg[SEQ_ARG_OPEN_d].c[0];
        break;
    case SEQ_OP_OPENB:
        s.n = (size_t)c->arg[SEQ_ARG_OPENB_n];
        s.planes = (size_t)c->arg[SEQ_ARG_OPENB_p];
        s.a = &c->reg[SEQ_ARG_OPENB_a];
        s.d = c->reg[SEQ_ARG_OPENB_d].c[0];
        break;
    case SEQ_OP_OUTPUT:
        s.n = (size_t)c->arg[SEQ_ARG_OUTPUT_n];
        s.a = &c->reg[SEQ_ARG_OUTPUT_a];
        s.to = vm_output_party(t->vm, c->arg[SEQ_ARG_OUTPUT_out]);
        s.d = c->reg[0].c[0];
        break;
    default:
        s.n = (size_t)c->arg[SEQ_ARG_OUTPUTB_n];
        s.planes = (size_t)c->arg[SEQ_ARG_OUTPUTB_p];
        s.a = &c->reg[SEQ_ARG_OUTPUTB_a];
        s.to = vm_output_party(t->vm, c->arg[SEQ_ARG_OUTPUTB_out]);
        s.d = c->reg[0].c[0];
    }
    return open_begin(t, s);
}

static size_t opened(const seq_call *c) {
    switch (c->op) {
    case SEQ_OP_OPEN:
        return (size_t)c->arg[SEQ_ARG_OPEN_n];
    case SEQ_OP_OPENB:
        return c->arg[SEQ_ARG_OPENB_p] ? (size_t)c->arg[SEQ_ARG_OPENB_n] : 0;
    case SEQ_OP_OUTPUT:
        return (size_t)c->arg[SEQ_ARG_OUTPUT_n];
    default:
        return c->arg[SEQ_ARG_OUTPUTB_p] ? (size_t)c->arg[SEQ_ARG_OUTPUTB_n] : 0;
    }
}

void rep4_start_open(seq_vm *vm, const seq_call *call) {
    if (call->parent) { /* a part, by its number */
        const open_state *s = call->parent->state;
        const size_t c = (size_t)call->arg[SEQ_ARG_OPEN_n];
        task_create(vm, call, 0, c * FLAT_CHUNK, min_size((c + 1) * FLAT_CHUNK, s->n),
                    open_part_step, sizeof(open_state));
        return;
    }
    const size_t n = opened(call);
    seq_call own = *call;
    if (call->op == SEQ_OP_OUTPUT || call->op == SEQ_OP_OUTPUTB) {
        const int64_t out = call->arg[SEQ_ARG_OUTPUT_out];
        const int to = vm_output_party(vm, out);
        if (to < 0 || (unsigned)to == vm_env(vm)->me)
            own.reg[0].c[0] = vm_output_buffer(
                vm, out,
                (size_t)call->arg[call->op == SEQ_OP_OUTPUT ? (int)SEQ_ARG_OUTPUT_n
                                                            : (int)SEQ_ARG_OUTPUTB_n]);
    }
    if (n > REP4_MAX_ELEMENTS) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1, "rep4 opens at most %zu elements at once",
                      REP4_MAX_ELEMENTS);
        return;
    }
    call_rounds(vm, call, n ? 2 : 0);
    if (n)
        task_create(vm, &own, 0, 0, n, open_step, sizeof(open_state));
}
