/* semi2k: setup of oblivious transfer with all other parties, and tasks of two parties. See
 * semi2k.h. */

#include "semi2k.h"

size_t semi2k_meeting(const seq_env *env, unsigned exchange) {
    (void)env;
    return exchange < OT_EXCHANGES ? ot_pair_bytes(exchange) : 0;
}

seq_status semi2k_meet(const seq_env *env, unsigned exchange, const uint8_t *theirs, uint8_t *mine,
                       seq_error *err) {
    semi2k_state *s = env->protocol;
    const size_t bytes = semi2k_meeting(env, exchange);
    const size_t before = exchange ? semi2k_meeting(env, exchange - 1) : 0;
    seq_status status = SEQ_OK;
    if (theirs && exchange < OT_EXCHANGES) /* points, to be checked */
        task_known(theirs, env->parties * before);
    for (unsigned p = 0; status == SEQ_OK && p < env->parties; p++)
        if (p != env->me)
            status = ot_pair_meet(s->ot[p], exchange, theirs ? theirs + p * before : NULL,
                                  mine ? mine + p * bytes : NULL, err);
    return status;
}

int semi2k_transfer_begin(semi2k_transfer *x, seq_task *t, unsigned peer) {
    x->peer = peer;
    const ot_pair *pair = semi2k_of(t)->ot[x->peer];
    const ot_seeds *sends = ot_pair_sends(pair), *receives = ot_pair_receives(pair);
    void *first = task_scratch(t, ot_stream_bytes(sends));
    void *second = task_scratch(t, ot_stream_bytes(receives));
    if (!first || !second)
        return -1;
    const prg_key *shared = &masked_of(t)->pair[x->peer];
    const uint64_t instance = t->call.instance;
    ot_stream_make(&x->send, sends, first, shared, instance, t->call.sub, t->env->bits);
    ot_stream_make(&x->receive, receives, second, shared, instance, t->call.sub, t->env->bits);
    return 0;
}

int semi2k_swap(seq_task *t, unsigned peer, size_t bytes, size_t expected, uint8_t **out) {
    *out = bytes ? task_send(t, peer, bytes) : NULL;
    task_expect(t, peer, expected);
    return bytes && !*out ? -1 : 0;
}

semi2k_halves semi2k_halves_of(const seq_task *t, size_t words) {
    const size_t half = (words + 1) / 2, rest = words - half;
    if (t->env->me == 0)
        return (semi2k_halves){0, half, half, rest};
    return (semi2k_halves){half, rest, 0, half};
}

size_t semi2k_elements(size_t count, size_t at, size_t blocks) {
    const size_t begin = 64 * at < count ? 64 * at : count;
    const size_t end = 64 * (at + blocks) < count ? 64 * (at + blocks) : count;
    return end - begin;
}

void semi2k_send_lane(const uint64_t *pad0, const uint64_t *pad1, unsigned lane, const uint64_t *x,
                      uint64_t *y, uint64_t *part, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint64_t p = pad0[2 * i + lane];
        y[i] = x[i] + p - pad1[2 * i + lane];
        part[i] = 0 - p;
    }
}

void semi2k_take_lane(const uint64_t *pad, unsigned lane, const uint64_t *choice, const uint64_t *y,
                      uint64_t *part, size_t n) {
    for (size_t i = 0; i < n; i++)
        part[i] = pad[2 * i + lane] + choice[i] * y[i];
}
