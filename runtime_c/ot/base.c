#include "base.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
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
    BIGNUM *a;
    EC_POINT *minus; /* -aA */
    uint8_t point[BASE_POINT];
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

/* The pad of transfer i: all of the transcript and the shared point. */
static int hash(const side *s, size_t i, const uint8_t a[BASE_POINT], const uint8_t r[BASE_POINT],
                const EC_POINT *shared, uint8_t pad[16]) {
    static const char label[] = "sequester base transfer";
    const uint32_t number[3] = {s->who[0], s->who[1], (uint32_t)i};
    uint8_t point[BASE_POINT], out[32];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = md && encode(s, shared, point) == 0 && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
             EVP_DigestUpdate(md, label, sizeof label) &&
             EVP_DigestUpdate(md, number, sizeof number) && EVP_DigestUpdate(md, a, BASE_POINT) &&
             EVP_DigestUpdate(md, r, BASE_POINT) && EVP_DigestUpdate(md, point, BASE_POINT) &&
             EVP_DigestFinal_ex(md, out, NULL);
    if (ok)
        memcpy(pad, out, 16);
    EVP_MD_CTX_free(md);
    prg_wipe(point, sizeof point);
    prg_wipe(out, sizeof out);
    return ok ? 0 : -1;
}

static seq_status broken(seq_error *err) {
    return seq_fail(err, SEQ_ERR_OURS, -1, "OpenSSL failed in a base oblivious transfer");
}

/* NULL with an error: no point, or none of the curve. */
static EC_POINT *decode(const side *s, const uint8_t in[BASE_POINT], seq_error *err) {
    EC_POINT *p = EC_POINT_new(s->group);
    if (p == NULL) {
        (void)broken(err);
    } else if (!EC_POINT_oct2point(s->group, p, in, BASE_POINT, s->ctx)) {
        (void)seq_fail(err, SEQ_ERR_PEER, -1,
                       "what came in a base oblivious transfer is no point of the curve");
        EC_POINT_free(p);
        p = NULL;
    }
    return p;
}

base_sender *base_sender_new(const prg_key *key, uint32_t purpose, const uint32_t who[2]) {
    base_sender *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    EC_POINT *p = NULL;
    int ok = side_begin(&s->side, key, purpose, who) == 0 && (s->a = BN_secure_new()) != NULL &&
             scalar(&s->side, s->a) == 0 && (p = EC_POINT_new(s->side.group)) != NULL &&
             (s->minus = EC_POINT_new(s->side.group)) != NULL &&
             EC_POINT_mul(s->side.group, p, s->a, NULL, NULL, s->side.ctx) &&
             encode(&s->side, p, s->point) == 0 &&
             EC_POINT_mul(s->side.group, s->minus, NULL, p, s->a, s->side.ctx) &&
             EC_POINT_invert(s->side.group, s->minus, s->side.ctx);
    EC_POINT_free(p);
    if (!ok) {
        base_sender_free(s);
        return NULL;
    }
    return s;
}

void base_sender_point(const base_sender *s, uint8_t point[BASE_POINT]) {
    memcpy(point, s->point, BASE_POINT);
}

void base_sender_free(base_sender *s) {
    if (s == NULL)
        return;
    BN_clear_free(s->a);
    EC_POINT_clear_free(s->minus);
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

/* Transfer i: both candidates are made, and one is taken by a mask. */
static int receive_one(side *s, size_t i, uint8_t choice, const EC_POINT *a,
                       const uint8_t sent[BASE_POINT], BIGNUM *x, EC_POINT *p, uint8_t *point,
                       uint8_t pad[16]) {
    uint8_t with[BASE_POINT];
    const uint8_t mask = (uint8_t)-choice;
    int ok = scalar(s, x) == 0 && EC_POINT_mul(s->group, p, x, NULL, NULL, s->ctx) &&
             encode(s, p, point) == 0 && EC_POINT_add(s->group, p, p, a, s->ctx) &&
             encode(s, p, with) == 0;
    for (unsigned b = 0; ok && b < BASE_POINT; b++)
        point[b] ^= (uint8_t)(mask & (point[b] ^ with[b]));
    ok =
        ok && EC_POINT_mul(s->group, p, NULL, a, x, s->ctx) && hash(s, i, sent, point, p, pad) == 0;
    prg_wipe(with, sizeof with);
    return ok ? 0 : -1;
}

seq_status base_receive(base_receiver *r, const uint8_t *choice, size_t n,
                        const uint8_t point[BASE_POINT], uint8_t *points, uint8_t (*pad)[16],
                        seq_error *err) {
    EC_POINT *a = decode(&r->side, point, err);
    if (a == NULL)
        return err->status;
    BIGNUM *x = BN_secure_new();
    EC_POINT *p = EC_POINT_new(r->side.group);
    int ok = x != NULL && p != NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = receive_one(&r->side, i, choice[i], a, point, x, p, points + i * BASE_POINT, pad[i]) ==
             0;
    EC_POINT_free(a);
    EC_POINT_clear_free(p);
    BN_clear_free(x);
    return ok ? SEQ_OK : broken(err);
}

/* The point A itself, which no honest receiver sends, would make the second sum infinite. */
static seq_status send_one(const base_sender *s, size_t i, const uint8_t *sent, EC_POINT *p,
                           uint8_t pad[2][16], seq_error *err) {
    const side *e = &s->side;
    if (memcmp(sent, s->point, BASE_POINT) == 0)
        return seq_fail(err, SEQ_ERR_PEER, -1,
                        "a base oblivious transfer was answered with its own point");
    return EC_POINT_mul(e->group, p, NULL, p, s->a, e->ctx) &&
                   hash(e, i, s->point, sent, p, pad[0]) == 0 &&
                   EC_POINT_add(e->group, p, p, s->minus, e->ctx) &&
                   hash(e, i, s->point, sent, p, pad[1]) == 0
               ? SEQ_OK
               : broken(err);
}

seq_status base_send(base_sender *s, size_t n, const uint8_t *points, uint8_t (*pad)[2][16],
                     seq_error *err) {
    for (size_t i = 0; i < n; i++) {
        EC_POINT *p = decode(&s->side, points + i * BASE_POINT, err);
        if (p == NULL)
            return err->status;
        const seq_status status = send_one(s, i, points + i * BASE_POINT, p, pad[i], err);
        EC_POINT_clear_free(p);
        if (status != SEQ_OK)
            return status;
    }
    return SEQ_OK;
}
