/* Setup of a pair: base transfers, and from them trees of seeds of which one side lacks one leaf:
 * the small-field vectors of [Roy2022], section 3.1, from punctured trees. */

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "ot.h"

enum { LEAVES = 1 << OT_MAX_DEPTH };
enum { DELTA, ROOTS, SENDER, RECEIVER }; /* purposes of my key */
#define SETUP 0xFFFF000000000000u        /* + peer: the instance that the key is derived for */

typedef uint64_t seed[2];

/* What goes out in the last exchange: for every base transfer the sums of left and of right nodes,
 * under its pads. */
typedef uint64_t sums[OT_BITS][2][2];

/* And what shows that trees are well-formed: of every tree the sum of its leaves' digests, and one
 * digest of all leaves' digests. Who lacks a leaf gets its digest from the sum. Trees are so the
 * same whichever leaf is lacking, or the check fails for some of them: a maker of others learns a
 * guess of Delta right, or ends the run. [BoyleCouteau2019]. */
enum { DIGEST = 32 };
typedef struct {
    sums sum;
    uint8_t tree[OT_BITS][DIGEST], all[DIGEST];
} publication;

struct ot_pair {
    ot_seeds send, receive;
    prg_key key;
    unsigned peer;
    base_sender *base_sender;     /* of my receiving direction */
    base_receiver *base_receiver; /* of my sending direction */
    uint8_t pad[OT_BITS][16];     /* that the base receiver got */
};

static int seeds_new(ot_seeds *s, unsigned depth, int sends) {
    s->trees = (OT_BITS + depth - 1) / depth;
    s->sends = sends;
    for (unsigned t = 0; t < s->trees; t++) {
        s->depth[t] = OT_BITS / s->trees + (t < OT_BITS % s->trees);
        s->leaves += 1u << s->depth[t];
    }
    return posix_memalign((void **)&s->leaf, 64, s->leaves * sizeof *s->leaf) ? -1 : 0;
}

static void seeds_free(ot_seeds *s) {
    if (s->leaf)
        prg_wipe(s->leaf, s->leaves * sizeof *s->leaf);
    free(s->leaf);
}

ot_pair *ot_pair_new(unsigned depth, const prg_key *own, const uint64_t delta[2], unsigned me,
                     unsigned peer) {
    ot_pair *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    const uint32_t out[2] = {me, peer}, in[2] = {peer, me}; /* who extends as the sender, to whom */
    p->peer = peer;
    prg_derive(&p->key, own, SETUP | peer, 0);
    if (delta)
        memcpy(p->send.delta, delta, sizeof p->send.delta);
    else
        prg_words(&p->key, DELTA, 0, p->send.delta, 2);
    p->base_receiver = base_receiver_new(&p->key, RECEIVER, out);
    p->base_sender = base_sender_new(&p->key, SENDER, in);
    if (seeds_new(&p->send, depth, 1) || seeds_new(&p->receive, depth, 0) || !p->base_receiver ||
        !p->base_sender) {
        ot_pair_free(p);
        return NULL;
    }
    return p;
}

static void base_free(ot_pair *p) {
    base_sender_free(p->base_sender);
    base_receiver_free(p->base_receiver);
    p->base_sender = NULL;
    p->base_receiver = NULL;
}

void ot_pair_free(ot_pair *p) {
    if (p == NULL)
        return;
    base_free(p);
    seeds_free(&p->send);
    seeds_free(&p->receive);
    prg_wipe(p, sizeof *p);
    free(p);
}

size_t ot_pair_bytes(unsigned exchange) {
    return exchange == 0   ? OT_BITS * BASE_POINT
           : exchange == 1 ? OT_BITS * BASE_ANSWER
                           : sizeof(publication);
}

static void children(const seed parent, uint64_t out[4]) {
    prg_key key;
    prg_init(&key, (const uint8_t *)parent);
    prg_words(&key, 0, 0, out, 4);
    prg_wipe(&key, sizeof key);
}

/* The next level of a tree, in place. */
static void grow(seed *node, unsigned count) {
    uint64_t out[4];
    for (unsigned j = count; j-- > 0;) {
        children(node[j], out);
        memcpy(node[2 * j], out, sizeof out);
    }
    prg_wipe(out, sizeof out);
}

/* All ones if a == b; both below 2^32. */
static uint64_t same(unsigned a, unsigned b) {
    return (uint64_t)((int64_t)((uint64_t)(a ^ b) - 1) >> 63);
}

static unsigned bit_of(const uint64_t delta[2], unsigned i) {
    return (unsigned)(delta[i / 64] >> i % 64 & 1);
}

/* Digests of the leaves of one tree after the other. */
typedef struct {
    EVP_MD_CTX *all;
    int failed;
} digests;

static void digests_begin(digests *d) {
    d->all = EVP_MD_CTX_new();
    d->failed = !d->all || !EVP_DigestInit_ex(d->all, EVP_sha256(), NULL);
}

static int digests_end(digests *d, uint8_t out[DIGEST]) {
    d->failed = d->failed || !EVP_DigestFinal_ex(d->all, out, NULL);
    EVP_MD_CTX_free(d->all);
    return d->failed ? -1 : 0;
}

/* Tree t's. lacks: the leaf whose digest is what `sum` lacks, `sum` that of all; NULL: sum is made.
 */
static void digest_tree(digests *d, unsigned t, seed *node, unsigned count, const unsigned *lacks,
                        uint64_t sum[4]) {
    struct {
        char name[24];
        uint32_t tree, leaf;
        uint64_t seed[2];
    } text = {.name = "sequester leaf", .tree = t};
    uint64_t own[LEAVES][4];
    for (unsigned x = 0; x < count; x++) {
        text.leaf = x;
        memcpy(text.seed, node[x], sizeof text.seed);
        d->failed = d->failed ||
                    !EVP_Digest(&text, sizeof text, (uint8_t *)own[x], NULL, EVP_sha256(), NULL);
        for (unsigned h = 0; h < 4; h++)
            sum[h] ^= own[x][h];
    }
    for (unsigned x = 0; lacks && x < count; x++)
        for (unsigned h = 0; h < 4; h++)
            own[x][h] ^= sum[h] & same(x, *lacks);
    d->failed = d->failed || !EVP_DigestUpdate(d->all, own, count * sizeof *own);
    prg_wipe(&text, sizeof text);
    prg_wipe(own, sizeof own);
}

static void keys_of(prg_key *leaf, seed *node, unsigned count) {
    for (unsigned j = 0; j < count; j++)
        prg_init(&leaf[j], (const uint8_t *)node[j]);
}

/* The receiver's trees, and what it publishes of them: sums of each level, and digests. */
static int make_trees(ot_pair *p, publication *out) {
    ot_seeds *s = &p->receive;
    seed node[LEAVES];
    prg_key *leaf = s->leaf;
    digests d;
    memset(out, 0, sizeof *out);
    digests_begin(&d);
    for (unsigned t = 0, first = 0; t < s->trees; first += s->depth[t], t++) {
        uint64_t digest[4] = {0};
        prg_words(&p->key, ROOTS, 2 * (uint64_t)t, node[0], 2);
        for (unsigned level = 1; level <= s->depth[t]; level++) {
            uint64_t (*sum)[2] = out->sum[first + s->depth[t] - level];
            grow(node, 1u << (level - 1));
            for (unsigned j = 0; j < 1u << level; j++)
                for (unsigned h = 0; h < 2; h++)
                    sum[j & 1][h] ^= node[j][h];
        }
        digest_tree(&d, t, node, 1u << s->depth[t], NULL, digest);
        memcpy(out->tree[t], digest, DIGEST);
        keys_of(leaf, node, 1u << s->depth[t]);
        leaf += (size_t)1 << s->depth[t];
    }
    prg_wipe(node, sizeof node);
    return digests_end(&d, out->all);
}

/* One level of a punctured tree: the node beside the path is what the sum of its side lacks. `path`
 * is secret. */
static void mend(seed *node, unsigned count, unsigned path, const seed sum) {
    const unsigned beside = path ^ 1;
    seed lacks = {sum[0], sum[1]};
    for (unsigned j = 0; j < count; j++)
        for (unsigned h = 0; h < 2; h++)
            lacks[h] ^= node[j][h] & same(j & 1, beside & 1) & ~same(j, beside);
    for (unsigned j = 0; j < count; j++)
        for (unsigned h = 0; h < 2; h++)
            node[j][h] ^= (node[j][h] ^ lacks[h]) & same(j, beside);
    prg_wipe(lacks, sizeof lacks);
}

/* Leaf x goes to x ^ delta: the one that lacks is the first. */
static void turn(seed *node, unsigned depth, unsigned delta) {
    for (unsigned b = 0; b < depth; b++) {
        const uint64_t swap = (uint64_t)0 - (delta >> b & 1);
        for (unsigned j = 0; j < 1u << depth; j++)
            for (unsigned h = 0; h < 2 && !(j >> b & 1); h++) {
                const uint64_t x = (node[j][h] ^ node[j | 1u << b][h]) & swap;
                node[j][h] ^= x;
                node[j | 1u << b][h] ^= x;
            }
    }
    memset(node[0], 0, sizeof node[0]);
}

static unsigned delta_of(const ot_seeds *s, unsigned first, unsigned depth) {
    unsigned delta = 0;
    for (unsigned b = 0; b < depth; b++)
        delta |= bit_of(s->delta, first + b) << b;
    return delta;
}

/* Tree t, bits first .. of Delta, from the sums that my pads open. */
static void mend_tree(const ot_pair *p, const publication *in, unsigned first, unsigned depth,
                      unsigned delta, seed *node) {
    memset(node[0], 0, sizeof node[0]);
    for (unsigned level = 1; level <= depth; level++) {
        const unsigned i = first + depth - level;
        const uint64_t right =
            (uint64_t)bit_of(p->send.delta, i) - 1; /* the side beside the path */
        uint64_t pad[2];
        memcpy(pad, p->pad[i], sizeof pad);
        for (unsigned h = 0; h < 2; h++)
            pad[h] ^= (in->sum[i][0][h] & ~right) | (in->sum[i][1][h] & right);
        grow(node, 1u << (level - 1));
        mend(node, 1u << level, delta >> (depth - level), pad);
        prg_wipe(pad, sizeof pad);
    }
}

/* Whether the digests are those that were sent: known to both from then on. (By itself, for
 * tests/vm/openssl.supp.) */
static __attribute__((noinline)) seq_status verdict(const uint8_t mine[DIGEST],
                                                    const uint8_t theirs[DIGEST], seq_error *err) {
    return memcmp(mine, theirs, DIGEST) == 0
               ? SEQ_OK
               : seq_fail(err, SEQ_ERR_CHEAT, -1,
                          "cheating detected: trees of oblivious transfer are not well-formed");
}

/* The sender's trees, which have to be those of the digests. */
static seq_status mend_trees(ot_pair *p, const uint8_t *theirs, seq_error *err) {
    ot_seeds *s = &p->send;
    seed node[LEAVES];
    prg_key *leaf = s->leaf;
    publication in;
    uint8_t all[DIGEST];
    digests d;
    memcpy(&in, theirs, sizeof in);
    digests_begin(&d);
    for (unsigned t = 0, first = 0; t < s->trees; first += s->depth[t], t++) {
        const unsigned depth = s->depth[t], delta = delta_of(s, first, depth);
        uint64_t digest[4];
        mend_tree(p, &in, first, depth, delta, node);
        memcpy(digest, in.tree[t], DIGEST);
        digest_tree(&d, t, node, 1u << depth, &delta, digest);
        turn(node, depth, delta);
        keys_of(leaf, node, 1u << depth);
        leaf += (size_t)1 << depth;
    }
    prg_wipe(node, sizeof node);
    if (digests_end(&d, all))
        return seq_fail(err, SEQ_ERR_OURS, -1, "OpenSSL failed in a setup of transfers");
    return verdict(all, in.all, err);
}

/* As base receiver: the choice is the side beside the path. */
static seq_status choose(ot_pair *p, const uint8_t *theirs, uint8_t *mine, seq_error *err) {
    uint8_t choice[OT_BITS];
    for (unsigned i = 0; i < OT_BITS; i++)
        choice[i] = (uint8_t)(1 - bit_of(p->send.delta, i));
    const seq_status status = base_receive(p->base_receiver, choice, theirs, mine, p->pad, err);
    prg_wipe(choice, sizeof choice);
    return status;
}

static seq_status publish(ot_pair *p, const uint8_t *theirs, uint8_t *mine, seq_error *err) {
    uint8_t pad[OT_BITS][2][16];
    publication out;
    seq_status status = base_send(p->base_sender, theirs, pad, err);
    if (status == SEQ_OK && make_trees(p, &out))
        status = seq_fail(err, SEQ_ERR_OURS, -1, "OpenSSL failed in a setup of transfers");
    if (status == SEQ_OK) {
        memcpy(mine, &out, sizeof out);
        for (size_t i = 0; i < sizeof pad; i++)
            mine[i] ^= ((const uint8_t *)pad)[i];
    }
    prg_wipe(pad, sizeof pad);
    prg_wipe(&out, sizeof out);
    return status;
}

seq_status ot_pair_meet(ot_pair *p, unsigned exchange, const uint8_t *theirs, uint8_t *mine,
                        seq_error *err) {
    seq_status status = SEQ_OK;
    switch (exchange) {
    case 0:
        base_sender_points(p->base_sender, mine);
        break;
    case 1:
        status = choose(p, theirs, mine, err);
        break;
    case 2:
        status = publish(p, theirs, mine, err);
        break;
    default:
        status = mend_trees(p, theirs, err);
        base_free(p);
        prg_wipe(p->pad, sizeof p->pad);
    }
    if ((status == SEQ_ERR_PEER || status == SEQ_ERR_CHEAT) && err)
        err->party = (int)p->peer;
    return status;
}

const ot_seeds *ot_pair_sends(const ot_pair *pair) {
    return &pair->send;
}

const ot_seeds *ot_pair_receives(const ot_pair *pair) {
    return &pair->receive;
}
