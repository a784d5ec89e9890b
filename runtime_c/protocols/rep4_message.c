/* rep4: messages that two parties know and one verifies. See rep4.h. */

#include "rep4.h"

const rep4_term rep4_terms[6] = {
    {2, 0, 1, 3}, {2, 1, 3, 0}, {3, 0, 2, 1}, {3, 1, 0, 2}, {0, 1, 2, 3}, {2, 3, 0, 1},
};

void rep4_term_messages(rep4_messages *m, unsigned terms, size_t each, size_t planes) {
    for (unsigned i = 0; i < terms; i++)
        rep4_message(m, rep4_terms[i].sender, rep4_terms[i].verifier, rep4_terms[i].y, each,
                     planes);
}

unsigned rep4_message(rep4_messages *x, unsigned sender, unsigned verifier, unsigned receiver,
                      size_t each, size_t planes) {
    const unsigned i = x->count++;
    x->message[i].sender = (uint8_t)sender;
    x->message[i].verifier = (uint8_t)verifier;
    x->message[i].receiver = (uint8_t)receiver;
    x->message[i].each = each;
    x->message[i].planes = planes;
    return i;
}

/* Whole 64-bit words: elements are padded. */
static size_t message_bytes(const rep4_part *part, const rep4_messages *x, unsigned q, unsigned i) {
    return (x->message[i].each * part->count[q] + 7) / 8 * 8 +
           x->message[i].planes * part->blocks[q] * 8;
}

/* Frames between two parties hold their messages by quarter and number. */
int rep4_post(seq_task *t, const rep4_part *part, rep4_messages *x) {
    const unsigned me = t->env->me;
    size_t send[4] = {0}, expect[4] = {0};
    uint8_t *frame[4] = {0};
    x->step = t->step_no;
    for (unsigned q = 0; q < 4; q++)
        for (unsigned i = 0; i < x->count; i++) {
            const size_t bytes = message_bytes(part, x, q, i);
            const unsigned from = rep4_party(x->message[i].sender, q);
            const unsigned to = rep4_party(x->message[i].receiver, q);
            if (from == me)
                send[to] += bytes;
            if (to == me)
                expect[from] += bytes;
        }
    for (unsigned p = 0; p < 4; p++) {
        if (send[p] && !(frame[p] = task_send(t, p, send[p])))
            return -1;
        if (expect[p])
            task_expect(t, p, expect[p]);
    }
    for (unsigned q = 0; q < 4; q++)
        for (unsigned i = 0; i < x->count; i++) {
            const size_t bytes = message_bytes(part, x, q, i);
            const unsigned to = rep4_party(x->message[i].receiver, q);
            x->out[q][i] = NULL;
            if (rep4_party(x->message[i].sender, q) == me) {
                x->out[q][i] = frame[to];
                frame[to] += bytes;
            } else if (rep4_party(x->message[i].verifier, q) == me && bytes) {
                if (!(x->out[q][i] = task_scratch(t, bytes)))
                    return -1;
            }
            if (x->out[q][i] && bytes) /* padding */
                memset(x->out[q][i] + bytes - 8, 0, 8);
        }
    return 0;
}

rep4_digest rep4_hash(const prg_key *key, uint32_t purpose, uint64_t first, const uint8_t *message,
                      size_t bytes) {
    enum { PIECE = 256 };
    uint64_t keys[2 * PIECE];
    rep4_digest sum = 0;
    for (size_t i = 0, n; i < bytes / 8; i += n) {
        n = bytes / 8 - i < PIECE ? bytes / 8 - i : PIECE;
        prg_words(key, purpose, 2 * (first + i), keys, 2 * n);
        for (size_t k = 0; k < n; k++) {
            uint64_t w;
            memcpy(&w, message + 8 * (i + k), 8);
            sum += (rep4_digest)w * keys[2 * k] + ((rep4_digest)(w * keys[2 * k + 1]) << 64);
        }
    }
    prg_wipe(keys, sizeof keys);
    return sum;
}

typedef struct {
    const seq_task *t;
    const rep4_part *part;
    const rep4_keys *keys;
    const rep4_messages *x;
    int received; /* hash what came, not what I verify */
    uint32_t which;
    rep4_digest sum[4 * REP4_MAX_MESSAGES];
} hash_job;

/* Item: quarter and message. */
static void hash_messages(void *arg, size_t begin, size_t end) {
    hash_job *job = arg;
    const unsigned me = job->t->env->me;
    for (size_t item = begin; item < end; item++) {
        const unsigned q = (unsigned)(item % 4), i = (unsigned)(item / 4);
        const unsigned verifier = rep4_party(job->x->message[i].verifier, q);
        const unsigned receiver = rep4_party(job->x->message[i].receiver, q);
        const uint8_t *message = job->received ? job->x->in[q][i] : job->x->out[q][i];
        const unsigned peer = job->received ? verifier : receiver;
        job->sum[item] = 0;
        if ((job->received ? receiver : verifier) != me || !(job->which >> i & 1))
            continue;
        const uint64_t first = ((uint64_t)job->t->chunk * 4 + q) << 32;
        job->sum[item] =
            rep4_hash(&job->keys->pair[(peer + 3 - me) % 4], REP4_HASH + 64 * job->x->step + i,
                      first, message, message_bytes(job->part, job->x, q, i));
    }
}

static void add_hashes(hash_job *job) {
    rep4_state *s = job->t->env->protocol;
    const unsigned me = job->t->env->me, count = job->x->count;
    par_for(job->t->env->pool, 4 * (size_t)count, 4, hash_messages, job);
    for (unsigned q = 0; q < 4; q++)
        for (unsigned i = 0; i < count; i++) {
            const unsigned from = rep4_party(job->x->message[i].sender, q);
            const unsigned verifier = rep4_party(job->x->message[i].verifier, q);
            const unsigned to = rep4_party(job->x->message[i].receiver, q);
            if (job->received && to == me)
                s->received[verifier][from] += job->sum[4 * i + q];
            else if (!job->received && verifier == me)
                s->verified[to][from] += job->sum[4 * i + q];
        }
}

void rep4_vouch(seq_task *t, const rep4_part *part, const rep4_keys *keys, const rep4_messages *x,
                uint32_t which) {
    hash_job job = {.t = t, .part = part, .keys = keys, .x = x, .which = which};
    add_hashes(&job);
}

void rep4_collect(seq_task *t, const rep4_part *part, const rep4_keys *keys, rep4_messages *x) {
    const uint8_t *frame[4];
    for (unsigned p = 0; p < 4; p++)
        frame[p] = p == t->env->me ? NULL : task_received(t, p);
    for (unsigned q = 0; q < 4; q++)
        for (unsigned i = 0; i < x->count; i++) {
            const unsigned from = rep4_party(x->message[i].sender, q);
            x->in[q][i] = NULL;
            if (rep4_party(x->message[i].receiver, q) != t->env->me)
                continue;
            x->in[q][i] = frame[from];
            const size_t bytes = message_bytes(part, x, q, i);
            if (bytes)
                frame[from] += bytes;
        }
    hash_job job = {.t = t, .part = part, .keys = keys, .x = x, .received = 1, .which = REP4_ALL};
    add_hashes(&job);
}
