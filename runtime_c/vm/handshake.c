/* What parties do before any input: say what they are about to run and compare, then agree on keys.
 *
 * Three exchanges: greetings (terms, and commitments to key contributions), the hash of all
 * greetings as each saw them, and the opened contributions. Contributions of a pair go to that pair
 * only, those for a key that one party must not know to all others, those for the common key to
 * all. Commitments make every party's contribution independent of the others'; those for keys of
 * more than two parties are compared with the greetings, so that all who know such a key computed
 * it from the same contributions. */
#include "vm.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIRE_VERSION 4

enum { HASH = 32, NONCE = 32 };

typedef struct { /* what must be equal, in the order in which differences are reported */
    char version[16];
    uint8_t program[32];
    char protocol[16];
    uint32_t parties, ring_bits, k, f, stat, resumed;
    uint64_t every; /* checkpoints */
    uint8_t run_id[16], public_seed[16], options[32];
} terms;

typedef struct {
    terms terms;
    uint32_t me, zero;
    uint8_t pair_commit[HASH], common_commit[HASH];
    uint8_t group_commit[SEQ_GROUPS][HASH]; /* of my groups; as many as there are are sent */
} greeting;

typedef struct {
    uint8_t value[HASH], nonce[NONCE];
} contribution;

typedef struct {
    contribution pair, common;
    contribution group[SEQ_GROUPS]; /* zeros but for groups of both; sent as the commitments are */
} opening;

typedef struct {
    seq_vm *vm;
    unsigned groups; /* sets of parties with a key of their own */
    greeting mine[VM_PARTIES], theirs[VM_PARTIES];
    opening own; /* what I contribute to keys of more than two parties */
    opening open_mine[VM_PARTIES], open_theirs[VM_PARTIES];
    uint8_t seen[VM_PARTIES][HASH]; /* the hash of all greetings, by who computed it */
    double timeout_s;
} shake;

typedef struct {
    const void *data;
    size_t bytes;
} piece;

/* SHA-256 of a label and pieces, each preceded by its length. */
static seq_status digest(shake *s, const char *label, const piece *pieces, size_t count,
                         uint8_t out[HASH]) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
             EVP_DigestUpdate(ctx, label, strlen(label) + 1);
    for (size_t i = 0; ok && i < count; i++) {
        uint64_t bytes = pieces[i].bytes;
        ok = EVP_DigestUpdate(ctx, &bytes, 8) && EVP_DigestUpdate(ctx, pieces[i].data, bytes);
    }
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL);
    EVP_MD_CTX_free(ctx);
    return ok ? SEQ_OK : seq_fail(&s->vm->error, SEQ_ERR_OURS, -1, "SHA-256 is not available");
}

/* Look once for what is missing; the number of parties that are still to come, or -1 on an error.
 */
static int collect(seq_vm *vm, net_tag tag, uint8_t *theirs, size_t stride, size_t bytes,
                   int *have) {
    int missing = 0;
    for (unsigned p = 0; p < vm->env.parties; p++) {
        uint8_t *in = NULL;
        if (p == vm->env.me || have[p]) {
            continue;
        }
        int got = net_take(vm->net, p, tag, bytes, &in, &vm->error);
        if (got < 0) {
            return -1;
        }
        if (got > 0) {
            memcpy(theirs + p * stride, in, bytes);
            net_free(in);
        }
        have[p] = got;
        missing += !got;
    }
    return missing;
}

/* Each party's message is the first `bytes` of its `stride` ones. */
static seq_status send_each(seq_vm *vm, uint32_t step, const void *mine, size_t stride,
                            size_t bytes) {
    net_tag tag = {.instance = 0, .step = step};
    for (unsigned p = 0; p < vm->env.parties; p++) {
        if (p == vm->env.me) {
            continue;
        }
        uint8_t *out = net_alloc(vm->net, bytes);
        if (out == NULL) {
            return seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "no memory to greet the parties");
        }
        memcpy(out, (const uint8_t *)mine + p * stride, bytes);
        net_send(vm->net, p, tag, out, bytes);
    }
    return SEQ_OK;
}

static seq_status take_each(seq_vm *vm, uint32_t step, void *theirs, size_t stride, size_t bytes,
                            double timeout_s) {
    net_tag tag = {.instance = 0, .step = step};
    uint64_t deadline = vm_nanoseconds() + (uint64_t)(timeout_s * 1e9);
    int have[VM_PARTIES] = {0};
    while (collect(vm, tag, theirs, stride, bytes, have) > 0) {
        if (timeout_s > 0 && vm_nanoseconds() > deadline) {
            unsigned late = 0;
            while (late == vm->env.me || have[late]) {
                late++;
            }
            return seq_fail(&vm->error, SEQ_ERR_PEER, (int)late,
                            "party %u did not finish the handshake in time", late);
        }
        if (net_wait(vm->net, 0.5, &vm->error) != SEQ_OK) {
            return vm->error.status;
        }
    }
    return vm->error.status;
}

seq_status exchange_send(seq_vm *vm, uint32_t step, const void *mine, size_t bytes) {
    return send_each(vm, step, mine, bytes, bytes);
}

seq_status exchange_take(seq_vm *vm, uint32_t step, void *theirs, size_t bytes, double timeout_s) {
    return take_each(vm, step, theirs, bytes, bytes, timeout_s);
}

/* Send the beginning of mine[p] to every p and take as many bytes from each into theirs[p]. */
static seq_status exchange(shake *s, uint32_t step, const void *mine, void *theirs, size_t stride,
                           size_t bytes) {
    seq_status status = send_each(s->vm, step, mine, stride, bytes);
    return status != SEQ_OK ? status : take_each(s->vm, step, theirs, stride, bytes, s->timeout_s);
}

/* ---- comparing terms ---- */

static void hexadecimal(char out[20], const uint8_t *bytes) {
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

static seq_status differ(shake *s, unsigned p, const char *what, const char *theirs,
                         const char *mine) {
    return seq_fail(&s->vm->error, SEQ_ERR_PEER, (int)p,
                    "party %u runs with another %s: %.40s there, %.40s here", p, what, theirs,
                    mine);
}

static seq_status compare_bytes(shake *s, unsigned p, const char *what, const uint8_t *theirs,
                                const uint8_t *mine, size_t n) {
    char a[20], b[20];
    if (memcmp(theirs, mine, n) == 0) {
        return SEQ_OK;
    }
    hexadecimal(a, theirs);
    hexadecimal(b, mine);
    return differ(s, p, what, a, b);
}

static seq_status compare_text(shake *s, unsigned p, const char *what, const char theirs[16],
                               const char mine[16]) {
    char shown[17] = {0};
    if (memcmp(theirs, mine, 16) == 0) {
        return SEQ_OK;
    }
    for (unsigned i = 0; i < 16 && theirs[i] != 0; i++) { /* a peer's bytes: printable ones only */
        shown[i] = theirs[i] > ' ' && theirs[i] < 127 ? theirs[i] : '?';
    }
    return differ(s, p, what, shown, mine);
}

static seq_status compare_number(shake *s, unsigned p, const char *what, uint32_t theirs,
                                 uint32_t mine) {
    char a[16], b[16];
    if (theirs == mine) {
        return SEQ_OK;
    }
    (void)snprintf(a, sizeof a, "%u", theirs);
    (void)snprintf(b, sizeof b, "%u", mine);
    return differ(s, p, what, a, b);
}

static seq_status compare(shake *s, unsigned p) {
    const terms *a = &s->theirs[p].terms, *b = &s->mine[p].terms;
    seq_status status;
    if ((status = compare_text(s, p, "version", a->version, b->version)) != SEQ_OK ||
        (status = compare_bytes(s, p, "program (hash)", a->program, b->program, 32)) != SEQ_OK ||
        (status = compare_text(s, p, "protocol", a->protocol, b->protocol)) != SEQ_OK ||
        (status = compare_number(s, p, "number of parties", a->parties, b->parties)) != SEQ_OK ||
        (status = compare_number(s, p, "ring (bits)", a->ring_bits, b->ring_bits)) != SEQ_OK ||
        (status = compare_number(s, p, "k", a->k, b->k)) != SEQ_OK ||
        (status = compare_number(s, p, "f", a->f, b->f)) != SEQ_OK ||
        (status = compare_number(s, p, "statistical parameter", a->stat, b->stat)) != SEQ_OK ||
        (status = compare_number(s, p, "start (1: resumed, 0: from the beginning)", a->resumed,
                                 b->resumed)) != SEQ_OK ||
        (status = compare_number(s, p, "--checkpoint-every", (uint32_t)a->every,
                                 (uint32_t)b->every)) != SEQ_OK ||
        (status = compare_bytes(s, p, "public seed", a->public_seed, b->public_seed, 16)) !=
            SEQ_OK ||
        (status = compare_bytes(s, p, "run id", a->run_id, b->run_id, 16)) != SEQ_OK ||
        (status = compare_bytes(s, p, "release or set of options", a->options, b->options, 32)) !=
            SEQ_OK) {
        return status;
    }
    return compare_number(s, p, "index than it should have", s->theirs[p].me, p);
}

/* ---- the three exchanges ---- */

static seq_status commit(shake *s, const char *label, unsigned from, unsigned to,
                         const contribution *c, uint8_t out[HASH]) {
    uint32_t who[2] = {from, to};
    piece pieces[] = {{who, sizeof who}, {c->value, HASH}, {c->nonce, NONCE}};
    return digest(s, label, pieces, 3, out);
}

static seq_status commit_pair(shake *s, unsigned from, unsigned to, const opening *o,
                              uint8_t out[HASH]) {
    return commit(s, "sequester pair commitment", from, to, &o->pair, out);
}

static seq_status commit_common(shake *s, unsigned from, const opening *o, uint8_t out[HASH]) {
    return commit(s, "sequester common commitment", from, UINT32_MAX, &o->common, out);
}

/* The members of a group, as bits. */
static unsigned members(const shake *s, unsigned group) {
    return s->vm->protocol->group(s->vm->env.parties, group);
}

static int member(const shake *s, unsigned group, unsigned party) {
    return (int)(members(s, group) >> party & 1);
}

static unsigned count_groups(const shake *s) {
    unsigned count = 0;
    while (s->vm->protocol->group != NULL && count < SEQ_GROUPS && members(s, count) != 0) {
        count++;
    }
    return count;
}

/* My commitments to contributions for the keys of my groups. */
static seq_status commit_groups(shake *s, uint8_t out[SEQ_GROUPS][HASH]) {
    const unsigned me = s->vm->env.me;
    seq_status status = SEQ_OK;
    for (unsigned g = 0; status == SEQ_OK && g < s->groups; g++) {
        if (member(s, g, me)) {
            status = commit(s, "sequester group commitment", me, g, &s->own.group[g], out[g]);
        }
    }
    return status;
}

static seq_status random_bytes(shake *s, void *out, size_t n) {
    if (prg_system(out, n) != 0) {
        return seq_fail(&s->vm->error, SEQ_ERR_OURS, -1, "the system gives no random bytes");
    }
#ifdef SEQ_TEST
    if (s->vm->fixed) { /* the same keys in every run, to compare what is sent */
        memset(out, (int)s->vm->env.me + 1, n);
        memcpy(out, s->vm->fixed_seed, n < 16 ? n : 16);
    }
#endif
    return SEQ_OK;
}

static seq_status prepare(shake *s, const handshake_terms *given) {
    const seq_program *p = s->vm->program;
    const seq_env *env = &s->vm->env;
    terms t = {.parties = env->parties,
               .ring_bits = p->ring_bits,
               .k = p->k,
               .f = p->f,
               .stat = p->stat,
               .resumed = given->resume != 0,
               .every = given->every};
    (void)snprintf(t.version, sizeof t.version, "wire %u", WIRE_VERSION);
    (void)snprintf(t.protocol, sizeof t.protocol, "%s", s->vm->protocol->name);
    memcpy(t.program, p->hash, 32);
    memcpy(t.run_id, given->run_id, 16);
    memcpy(t.public_seed, given->public_seed, 16);
    piece options = {given->options, given->options == NULL ? 0 : strlen(given->options)};
    seq_status status = digest(s, "sequester options", &options, 1, t.options);
    for (unsigned g = 0; status == SEQ_OK && g < s->groups; g++) {
        if (member(s, g, env->me)) {
            status = random_bytes(s, &s->own.group[g], sizeof s->own.group[g]);
        }
    }
    if (status == SEQ_OK) {
        status = random_bytes(s, &s->own.common, sizeof s->own.common);
    }
    for (unsigned q = 0; status == SEQ_OK && q < env->parties; q++) {
        opening *o = &s->open_mine[q];
        *o = s->own;
        for (unsigned g = 0; g < s->groups; g++) {
            if (!member(s, g, q)) { /* q must not know that key */
                memset(&o->group[g], 0, sizeof o->group[g]);
            }
        }
        if ((status = random_bytes(s, &o->pair, sizeof o->pair)) != SEQ_OK) {
            break;
        }
        s->mine[q] = (greeting){.terms = t, .me = env->me};
        status = commit_pair(s, env->me, q, o, s->mine[q].pair_commit);
        if (status == SEQ_OK) {
            status = commit_common(s, env->me, o, s->mine[q].common_commit);
        }
        if (status == SEQ_OK) {
            status = commit_groups(s, s->mine[q].group_commit);
        }
    }
    return status;
}

/* The hash of what all parties said to all: terms and commitments, in the parties' order. */
static seq_status hash_greetings(shake *s, uint8_t out[HASH]) {
    piece pieces[3 * VM_PARTIES];
    size_t count = 0;
    for (unsigned p = 0; p < s->vm->env.parties; p++) {
        const greeting *g = p == s->vm->env.me ? &s->mine[p] : &s->theirs[p];
        pieces[count++] = (piece){&g->terms, sizeof g->terms};
        pieces[count++] = (piece){g->common_commit, HASH};
        pieces[count++] = (piece){g->group_commit, s->groups * sizeof *g->group_commit};
    }
    return digest(s, "sequester greetings", pieces, count, out);
}

static seq_status agree(shake *s) {
    const seq_env *env = &s->vm->env;
    uint8_t mine[HASH], sent[VM_PARTIES][HASH];
    seq_status status = exchange(s, 0, s->mine, s->theirs, sizeof(greeting),
                                 offsetof(greeting, group_commit) + s->groups * HASH);
    for (unsigned p = 0; status == SEQ_OK && p < env->parties; p++) {
        status = p == env->me ? SEQ_OK : compare(s, p);
    }
    if (status != SEQ_OK || (status = hash_greetings(s, mine)) != SEQ_OK) {
        return status;
    }
    for (unsigned p = 0; p < env->parties; p++) {
        memcpy(sent[p], mine, HASH);
    }
    status = exchange(s, 1, sent, s->seen, HASH, HASH);
    for (unsigned p = 0; status == SEQ_OK && p < env->parties; p++) {
        if (p != env->me && memcmp(s->seen[p], mine, HASH) != 0) {
            return seq_fail(&s->vm->error, SEQ_ERR_PEER, (int)p,
                            "party %u was told other things by the parties than this one", p);
        }
    }
    return status;
}

/* Whether party p opened what it committed to: SEQ_OK with *same. */
static seq_status check_opening(shake *s, unsigned p, int *same) {
    const unsigned me = s->vm->env.me;
    const opening *o = &s->open_theirs[p];
    const greeting *g = &s->theirs[p];
    uint8_t hash[HASH];
    seq_status status = commit_pair(s, p, me, o, hash);
    *same = memcmp(hash, g->pair_commit, HASH) == 0;
    if (status == SEQ_OK) {
        status = commit_common(s, p, o, hash);
        *same &= memcmp(hash, g->common_commit, HASH) == 0;
    }
    for (unsigned i = 0; status == SEQ_OK && i < s->groups; i++) {
        if (member(s, i, me) && member(s, i, p)) {
            status = commit(s, "sequester group commitment", p, i, &o->group[i], hash);
            *same &= memcmp(hash, g->group_commit[i], HASH) == 0;
        }
    }
    return status;
}

static seq_status check_openings(shake *s) {
    const seq_env *env = &s->vm->env;
    seq_status status = exchange(s, 2, s->open_mine, s->open_theirs, sizeof(opening),
                                 offsetof(opening, group) + s->groups * sizeof(contribution));
    for (unsigned p = 0; status == SEQ_OK && p < env->parties; p++) {
        int same = 1;
        if (p != env->me) {
            status = check_opening(s, p, &same);
        }
        if (status == SEQ_OK && !same) {
            return seq_fail(&s->vm->error, SEQ_ERR_PEER, (int)p,
                            "party %u opened another key contribution than it committed to", p);
        }
    }
    return status;
}

/* The key of parties whose contributions are `parts`. */
static seq_status derive_pair(shake *s, unsigned p, const uint8_t run_id[16], uint8_t out[32]) {
    const unsigned me = s->vm->env.me;
    uint8_t exported[32];
    unsigned low = p < me ? p : me, high = p < me ? me : p;
    uint32_t who[2] = {low, high};
    const contribution *mine = &s->open_mine[p].pair, *theirs = &s->open_theirs[p].pair;
    const contribution *a = low == me ? mine : theirs, *b = low == me ? theirs : mine;
    net_exporter(s->vm->net, p, exported);
    piece pieces[] = {
        {run_id, 16}, {who, sizeof who}, {a->value, HASH}, {b->value, HASH}, {exported, 32}};
    seq_status status = digest(s, "sequester pair seed", pieces, 5, out);
    prg_wipe(exported, sizeof exported);
    return status;
}

/* Of all parties, or of a group: nobody's TLS exporter is known to all of them, so the hash of the
 * greetings ties such a key to this start. group: or SEQ_GROUPS. */
static seq_status derive_group(shake *s, unsigned group, const uint8_t run_id[16],
                               uint8_t out[32]) {
    const seq_env *env = &s->vm->env;
    const int all = group == SEQ_GROUPS;
    uint32_t who = group;
    piece pieces[VM_PARTIES + 3] = {{run_id, 16}, {&who, all ? 0 : sizeof who}};
    uint8_t greetings[HASH];
    seq_status status = hash_greetings(s, greetings);
    pieces[2] = (piece){greetings, HASH};
    size_t count = 3;
    for (unsigned p = 0; p < env->parties; p++) {
        const opening *o = p == env->me ? &s->own : &s->open_theirs[p];
        if (all || member(s, group, p)) {
            pieces[count++] = (piece){all ? o->common.value : o->group[group].value, HASH};
        }
    }
    return status == SEQ_OK ? digest(s, all ? "sequester common seed" : "sequester group seed",
                                     pieces, count, out)
                            : status;
}

static seq_status derive(shake *s, const uint8_t run_id[16], vm_keys *keys) {
    const seq_env *env = &s->vm->env;
    seq_status status = derive_group(s, SEQ_GROUPS, run_id, keys->common);
    for (unsigned p = 0; status == SEQ_OK && p < env->parties; p++) {
        if (p != env->me) {
            status = derive_pair(s, p, run_id, keys->pair[p]);
        } else {
            status = random_bytes(s, keys->pair[p], sizeof keys->pair[p]);
        }
    }
    for (unsigned g = 0; status == SEQ_OK && g < s->groups; g++) {
        if (member(s, g, env->me)) {
            status = derive_group(s, g, run_id, keys->group[g]);
        }
    }
    return status;
}

seq_status handshake(seq_vm *vm, const handshake_terms *given, vm_keys *keys) {
    shake *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "no memory to greet the parties");
    }
    s->vm = vm;
    s->groups = count_groups(s);
    s->timeout_s = given->timeout_s;
    seq_status status = prepare(s, given);
    if (status == SEQ_OK && vm->env.parties > 1) {
        if ((status = agree(s)) == SEQ_OK) {
            status = check_openings(s);
        }
    }
    if (status == SEQ_OK) {
        status = derive(s, given->run_id, keys);
    }
    prg_wipe(s, sizeof *s);
    free(s);
    return status;
}

/* ---- the protocol's exchanges ---- */

enum { STEP_MEET = 8, MOST_MEETINGS = 8 };

seq_status handshake_meet(seq_vm *vm, double timeout_s) {
    const seq_protocol *p = vm->protocol;
    const size_t parties = vm->env.parties;
    uint8_t *mine = NULL, *theirs = NULL;
    size_t bytes = p->meeting == NULL ? 0 : p->meeting(&vm->env, 0);
    seq_status status = SEQ_OK;
    for (unsigned i = 0; status == SEQ_OK && bytes > 0 && i < MOST_MEETINGS; i++) {
        mine = calloc(parties, bytes);
        if (mine == NULL) {
            status = seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "no memory to meet the parties");
            break;
        }
        status = p->meet(&vm->env, i, theirs, mine, &vm->error);
        free(theirs);
        theirs = calloc(parties, bytes);
        if (status == SEQ_OK && theirs == NULL) {
            status = seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "no memory to meet the parties");
        }
        if (status == SEQ_OK) {
            status = exchange_send(vm, STEP_MEET + i, mine, bytes);
        }
        if (status == SEQ_OK) {
            status = exchange_take(vm, STEP_MEET + i, theirs, bytes, timeout_s);
        }
        free(mine);
        mine = NULL;
        bytes = p->meeting(&vm->env, i + 1);
        if (status == SEQ_OK && bytes == 0) {
            status = p->meet(&vm->env, i + 1, theirs, NULL, &vm->error);
        }
    }
    free(theirs);
    return status;
}
