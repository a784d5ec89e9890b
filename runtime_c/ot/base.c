#include "base.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>

/* What both sides have: the curve, a scalar's source, room for numbers. */
typedef struct {
    EC_GROUP *group;
    BN_CTX *ctx;
    prg_key key;
    uint32_t purpose, who[2];
    uint64_t next; /* word of the stream */
} side;

struct base_sender {
    side side;
    BIGNUM *a[OT_BITS];
    uint8_t point[OT_BITS][BASE_POINT]; /* A_i */
};

struct base_receiver {
    side side;
};

static int side_begin(side *s, const prg_key *key, uint32_t purpose, const uint32_t who[2]) {
    s->group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    s->ctx = BN_CTX_secure_new();
    s->key = *key;
    s->purpose = purpose;
    memcpy(s->who, who, sizeof s->who);
    return s->group && s->ctx ? 0 : -1;
}

static void side_end(side *s) {
    EC_GROUP_free(s->group);
    BN_CTX_free(s->ctx);
    prg_wipe(s, sizeof *s);
}

/* A uniform number below the group's order: the first of the stream that is (all but one in 2^32).
 */
static int scalar(side *s, BIGNUM *out) {
    uint64_t words[4];
    int ok;
    do {
        prg_words(&s->key, s->purpose, s->next, words, 4);
        s->next += 4;
        ok = BN_bin2bn((const uint8_t *)words, sizeof words, out) != NULL;
    } while (ok && BN_cmp(out, EC_GROUP_get0_order(s->group)) >= 0);
    prg_wipe(words, sizeof words);
    BN_set_flags(out, BN_FLG_CONSTTIME);
    return ok ? 0 : -1;
}

static int encode(const side *s, const EC_POINT *p, uint8_t out[BASE_POINT]) {
    return EC_POINT_point2oct(s->group, p, POINT_CONVERSION_COMPRESSED, out, BASE_POINT, s->ctx) ==
                   BASE_POINT
               ? 0
               : -1;
}

/* A hash of what is known of transfer i, by its name: both parties, the number, and bytes. */
static int hash(const side *s, const char *name, size_t i, const uint8_t *bytes, size_t n,
                uint8_t out[32]) {
    uint8_t text[32] = "sequester base ";
    const uint32_t number[3] = {s->who[0], s->who[1], (uint32_t)i};
    memcpy(text + 15, name, strlen(name));
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    const int ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
                   EVP_DigestUpdate(md, text, sizeof text) &&
                   EVP_DigestUpdate(md, number, sizeof number) && EVP_DigestUpdate(md, bytes, n) &&
                   EVP_DigestFinal_ex(md, out, NULL);
    EVP_MD_CTX_free(md);
    return ok ? 0 : -1;
}

/* H_c(r), a uniform point of which nobody knows the logarithm: the first of the hashes that is an x
 * on the curve. */
static __attribute__((noinline)) int hash_point(const side *s, size_t i, uint8_t c,
                                                const uint8_t r[BASE_POINT], EC_POINT *out) {
    uint8_t in[BASE_POINT + 2], x[1 + 32], sign[32];
    memcpy(in, r, BASE_POINT);
    in[BASE_POINT] = c;
    int ok = 1, found = 0;
    ERR_set_mark(); /* that there is no such point is no error */
    for (unsigned tries = 0; ok && !found && tries < 256; tries++) {
        in[BASE_POINT + 1] = (uint8_t)tries;
        ok = hash(s, "point", i, in, sizeof in, x + 1) == 0 &&
             hash(s, "sign", i, in, sizeof in, sign) == 0;
        x[0] = (uint8_t)(2 | (sign[0] & 1));
        found = ok && EC_POINT_oct2point(s->group, out, x, sizeof x, s->ctx);
    }
    ERR_pop_to_mark();
    prg_wipe(in, sizeof in);
    return found ? 0 : -1;
}

/* The pad of transfer i: all of the transcript and the shared point. */
static int pad_of(const side *s, size_t i, const uint8_t a[BASE_POINT],
                  const uint8_t answer[BASE_ANSWER], const EC_POINT *shared, uint8_t pad[16]) {
    uint8_t in[2 * BASE_POINT + BASE_ANSWER], out[32];
    memcpy(in, a, BASE_POINT);
    memcpy(in + BASE_POINT, answer, BASE_ANSWER);
    const int ok = encode(s, shared, in + BASE_POINT + BASE_ANSWER) == 0 &&
                   hash(s, "pad", i, in, sizeof in, out) == 0;
    if (ok)
        memcpy(pad, out, 16);
    prg_wipe(in, sizeof in);
    prg_wipe(out, sizeof out);
    return ok ? 0 : -1;
}

static seq_status broken(seq_error *err) {
    return seq_fail(err, SEQ_ERR_OURS, -1, "OpenSSL failed in a base oblivious transfer");
}

static seq_status decode(const side *s, const uint8_t in[BASE_POINT], EC_POINT *out,
                         seq_error *err) {
    return EC_POINT_oct2point(s->group, out, in, BASE_POINT, s->ctx)
               ? SEQ_OK
               : seq_fail(err, SEQ_ERR_PEER, -1,
                          "what came in a base oblivious transfer is no point of the curve");
}

base_sender *base_sender_new(const prg_key *key, uint32_t purpose, const uint32_t who[2]) {
    base_sender *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    int ok = side_begin(&s->side, key, purpose, who) == 0;
    EC_POINT *p = ok ? EC_POINT_new(s->side.group) : NULL;
    for (size_t i = 0; p && ok && i < OT_BITS; i++)
        ok = (s->a[i] = BN_secure_new()) != NULL && scalar(&s->side, s->a[i]) == 0 &&
             EC_POINT_mul(s->side.group, p, s->a[i], NULL, NULL, s->side.ctx) &&
             encode(&s->side, p, s->point[i]) == 0;
    if (!p || !ok) {
        base_sender_free(s);
        s = NULL;
    }
    EC_POINT_free(p);
    return s;
}

void base_sender_points(const base_sender *s, uint8_t *points) {
    memcpy(points, s->point, sizeof s->point);
}

void base_sender_free(base_sender *s) {
    if (s == NULL)
        return;
    for (unsigned i = 0; i < OT_BITS; i++)
        BN_clear_free(s->a[i]);
    side_end(&s->side);
    free(s);
}

base_receiver *base_receiver_new(const prg_key *key, uint32_t purpose, const uint32_t who[2]) {
    base_receiver *r = calloc(1, sizeof *r);
    if (r && side_begin(&r->side, key, purpose, who)) {
        base_receiver_free(r);
        return NULL;
    }
    return r;
}

void base_receiver_free(base_receiver *r) {
    if (r == NULL)
        return;
    side_end(&r->side);
    free(r);
}

/* Points and a number that are worked with. */
typedef struct {
    BIGNUM *x;
    EC_POINT *a, *p, *h;
} room;

static int room_new(const side *s, room *r) {
    *r = (room){BN_secure_new(), EC_POINT_new(s->group), EC_POINT_new(s->group),
                EC_POINT_new(s->group)};
    return r->x && r->a && r->p && r->h ? 0 : -1;
}

static void room_free(room *r) {
    BN_clear_free(r->x);
    EC_POINT_clear_free(r->a);
    EC_POINT_clear_free(r->p);
    EC_POINT_clear_free(r->h);
}

/* Transfer i, whose A is in r->a: r_c = xG - H_c(r_(1-c)), the other one random; they change places
 * by a mask. H_(1-c)(r_c) is made for the time that it takes, which so does not tell c. */
static int receive_one(side *s, size_t i, uint8_t c, const uint8_t *sent, room *r,
                       uint8_t answer[BASE_ANSWER], uint8_t pad[16]) {
    uint8_t *own = answer, *other = answer + BASE_POINT;
    const uint8_t mask = (uint8_t)-c;
    int ok = scalar(s, r->x) == 0 && EC_POINT_mul(s->group, r->p, r->x, NULL, NULL, s->ctx) &&
             encode(s, r->p, other) == 0 && hash_point(s, i, c, other, r->h) == 0 &&
             EC_POINT_invert(s->group, r->h, s->ctx) && scalar(s, r->x) == 0 &&
             EC_POINT_mul(s->group, r->p, r->x, NULL, NULL, s->ctx) &&
             EC_POINT_add(s->group, r->p, r->p, r->h, s->ctx) && encode(s, r->p, own) == 0 &&
             hash_point(s, i, 1 ^ c, own, r->h) == 0;
    for (unsigned b = 0; ok && b < BASE_POINT; b++) {
        const uint8_t swap = (uint8_t)(mask & (own[b] ^ other[b]));
        own[b] ^= swap;
        other[b] ^= swap;
    }
    ok = ok && EC_POINT_mul(s->group, r->p, NULL, r->a, r->x, s->ctx) &&
         pad_of(s, i, sent, answer, r->p, pad) == 0;
    return ok ? 0 : -1;
}

seq_status base_receive(base_receiver *b, const uint8_t *choice, const uint8_t *points,
                        uint8_t *answers, uint8_t (*pad)[16], seq_error *err) {
    room r;
    seq_status status = room_new(&b->side, &r) ? broken(err) : SEQ_OK;
    for (size_t i = 0; status == SEQ_OK && i < OT_BITS; i++) {
        const uint8_t *sent = points + i * BASE_POINT;
        status = decode(&b->side, sent, r.a, err);
        if (status == SEQ_OK &&
            receive_one(&b->side, i, choice[i], sent, &r, answers + i * BASE_ANSWER, pad[i]))
            status = broken(err);
    }
    room_free(&r);
    return status;
}

/* The pad of choice c: a (r_c + H_c(r_(1-c))). */
static seq_status send_one(const base_sender *b, size_t i, uint8_t c, const uint8_t *answer,
                           room *r, uint8_t pad[16], seq_error *err) {
    const side *s = &b->side;
    const seq_status status = decode(s, answer + c * BASE_POINT, r->p, err);
    if (status != SEQ_OK)
        return status;
    if (hash_point(s, i, c, answer + (1 ^ c) * BASE_POINT, r->h) ||
        !EC_POINT_add(s->group, r->p, r->p, r->h, s->ctx))
        return broken(err);
    if (EC_POINT_is_at_infinity(s->group, r->p))
        return seq_fail(err, SEQ_ERR_PEER, -1,
                        "a base oblivious transfer was answered with points that cancel");
    return EC_POINT_mul(s->group, r->p, NULL, r->p, b->a[i], s->ctx) &&
                   pad_of(s, i, b->point[i], answer, r->p, pad) == 0
               ? SEQ_OK
               : broken(err);
}

seq_status base_send(base_sender *b, const uint8_t *answers, uint8_t (*pad)[2][16],
                     seq_error *err) {
    room r;
    seq_status status = room_new(&b->side, &r) ? broken(err) : SEQ_OK;
    for (size_t i = 0; status == SEQ_OK && i < OT_BITS; i++)
        for (uint8_t c = 0; status == SEQ_OK && c < 2; c++)
            status = send_one(b, i, c, answers + i * BASE_ANSWER, &r, pad[i][c], err);
    room_free(&r);
    return status;
}
