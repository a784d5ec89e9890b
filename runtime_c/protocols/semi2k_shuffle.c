/* semi2k: shuffles. See semi2k.h.
 *
 * Each party in turn puts the rows into an order of its own. Its order is one layer of a block, or
 * three of many. For each layer the others, who hold parts of the mask, send the sums of trees that
 * it chose from by oblivious transfer, and what they hold less what the trees give; what the trees
 * give in the new order they hold then. So it gets the mask in its order less the new parts. All
 * that depends on masks alone. Then, party after party, each tells all the masked rows in its
 * order.
 *
 * Unit u of the machine is layer u % layers of the hop u / layers. In step k unit k - 1 is sent,
 * and unit k - 2, which came, is taken. */

#include "semi2k.h"

typedef struct {
    semi2k_network net;
    size_t n, len;
    masked_keys keys;
    semi2k_transfer transfer[MASKED_PARTIES]; /* with each other party */
    uint8_t *choices[MASKED_PARTIES];         /* its, of all layers, level after level */
    uint64_t *pads[MASKED_PARTIES];           /* that I chose */
    prg_key tree[MASKED_PARTIES];             /* public: the permutation of its and my trees */
    uint32_t *all, *order[3];                 /* mine, and by layer */
    uint64_t *rows, *other;                   /* my part of the mask that is shuffled in this hop */
    uint64_t *change;                         /* of masked rows in my order */
    uint64_t *both, *roots;
} shuffle_state;

/* A layer, for the tasks of its blocks. */
typedef struct {
    seq_task *t;
    unsigned layer, peer;
    uint64_t *sums, *message;
} layer_work;

static size_t sums_words(const shuffle_state *s, unsigned layer) {
    return 4 * s->net.layer[layer].depth * s->net.rows;
}

static size_t layer_bytes(const shuffle_state *s, unsigned layer) {
    return 8 * (sums_words(s, layer) + s->net.rows * s->len);
}

static size_t levels_before(const shuffle_state *s, unsigned layer) {
    size_t levels = 0;
    for (unsigned l = 0; l < layer; l++)
        levels += s->net.layer[l].depth;
    return levels;
}

static unsigned units(const seq_task *t, const shuffle_state *s) {
    return t->env->parties * s->net.layers;
}

/* Bytes of unit u from one party to another. */
static size_t unit_bytes(const seq_task *t, const shuffle_state *s, unsigned u, unsigned from,
                         unsigned to) {
    if (u >= units(t, s) || to != u / s->net.layers || from == to)
        return 0;
    return layer_bytes(s, u % s->net.layers);
}

static uint64_t *result(const seq_task *t, unsigned component) {
    return t->call.reg[SEQ_ARG_SHUFFLE_d].c[component];
}

/* ---- my order, and my choices ---- */

static int own_order(seq_task *t, shuffle_state *s) {
    s->all = task_scratch(t, s->net.rows * sizeof *s->all);
    if (!s->all)
        return -1;
    prg_key key;
    uint64_t name;
    memcpy(&name, t->call.reg[SEQ_ARG_SHUFFLE_order].c[0], sizeof name);
    prg_derive(&key, &masked_of(t)->program[t->env->me], name, REP3_ORDERS);
    rep3_draw_order(&key, s->all, s->n);
    prg_wipe(&key, sizeof key);
    return 0;
}

static int own_layers(seq_task *t, shuffle_state *s) {
    uint32_t *scratch = task_scratch(t, 5 * s->net.rows * sizeof *scratch);
    for (unsigned l = 0; l < s->net.layers; l++)
        if (!(s->order[l] = task_scratch(t, s->net.rows * sizeof *s->all)))
            return -1;
    if (!scratch)
        return -1;
    semi2k_route(&s->net, s->all, s->n, scratch, s->order);
    return 0;
}

static int choose_with(seq_task *t, shuffle_state *s, unsigned peer) {
    const size_t words = s->net.words, levels = levels_before(s, s->net.layers);
    semi2k_transfer *x = &s->transfer[peer];
    prg_key shared;
    uint8_t *out;
    prg_derive(&shared, &masked_of(t)->pair[peer], t->call.instance, t->call.sub);
    prg_derive(&s->tree[peer], &shared, 0, 1); /* apart from the transfers' */
    prg_wipe(&shared, sizeof shared);
    if (semi2k_transfer_begin(x, t, peer))
        return -1;
    const size_t each = ot_choice_bytes(x->receive.seeds, words);
    s->pads[peer] = task_scratch(t, levels * words * 1024);
    s->choices[peer] = task_scratch(t, levels * each);
    if (!s->pads[peer] || !s->choices[peer] ||
        semi2k_swap(t, peer, levels * each, levels * each, &out))
        return -1;
    for (unsigned l = 0; l < s->net.layers; l++)
        for (unsigned v = 0; v < s->net.layer[l].depth; v++) {
            const size_t at = levels_before(s, l) + v;
            semi2k_order_choices(&s->net, l, s->order[l], v, s->roots);
            ot_receive_pads(&x->receive, SEMI2K_SEED + 32 * l + v, 0, s->roots, words,
                            out + at * each, s->pads[peer] + at * words * 128);
        }
    return 0;
}

static int shuffle_begin(seq_task *t, shuffle_state *s) {
    const seq_reg *a = &t->call.reg[SEQ_ARG_SHUFFLE_a];
    s->n = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_n];
    s->len = (size_t)t->call.arg[SEQ_ARG_SHUFFLE_len];
    semi2k_network_of(&s->net, s->n);
    masked_keys_of(&s->keys, t);
    s->rows = task_scratch(t, s->net.rows * s->len * 8);
    s->other = task_scratch(t, s->net.rows * s->len * 8);
    s->both = task_scratch(t, s->net.words * 2048);
    s->roots = task_scratch(t, s->net.words * 1024);
    s->change = task_scratch(t, s->n * s->len * 8);
    if (!s->rows || !s->other || !s->both || !s->roots || !s->change || own_order(t, s))
        return -1;
    for (unsigned k = 0; k < 2; k++)
        memcpy(result(t, k), a->c[k], s->n * s->len * 8);
    return 0;
}

static int shuffle_choose(seq_task *t, shuffle_state *s) {
    task_prepares(t);
    if (own_layers(t, s))
        return TASK_ERROR;
    for (unsigned j = 0; j < t->env->parties; j++)
        if (j != t->env->me && choose_with(t, s, j))
            return TASK_ERROR;
    return TASK_WAIT;
}

/* ---- layers ---- */

/* `rows` at the beginning of a hop: my part of the mask. */
static void hop_begin(const seq_task *t, shuffle_state *s) {
    const size_t size = s->n * s->len;
    memcpy(s->rows, result(t, 1), size * 8);
    memset(s->rows + size, 0, (s->net.rows * s->len - size) * 8);
}

static void hold_blocks(void *arg, size_t begin, size_t end) {
    const layer_work *w = arg;
    shuffle_state *s = w->t->state;
    for (size_t b = begin; b < end; b++)
        semi2k_hold_block(&s->net.layer[w->layer], b, &s->tree[w->peer], s->roots, s->net.rows,
                          w->sums, s->len, s->rows, w->message);
}

static void send_layer(seq_task *t, shuffle_state *s, unsigned hop, unsigned layer,
                       uint8_t *frame) {
    const semi2k_layer *l = &s->net.layer[layer];
    const ot_stream *send = &s->transfer[hop].send;
    const size_t words = s->net.words, each = ot_choice_bytes(send->seeds, words);
    uint64_t *sums = (uint64_t *)frame, *one = s->both + words * 128;
    layer_work w = {t, layer, hop, sums, sums + sums_words(s, layer)};
    if (layer == 0)
        hop_begin(t, s);
    prg_words(&s->keys.part[t->env->me], SEMI2K_ROOT + 4 * hop + layer, 0, s->roots,
              2 * s->net.rows);
    par_for(t->env->pool, l->blocks, 1, hold_blocks, &w);
    for (unsigned v = 0; v < l->depth; v++) {
        ot_send_pads(send, SEMI2K_SEED + 32 * layer + v, 0,
                     s->choices[hop] + (levels_before(s, layer) + v) * each, words, s->both, one);
        for (size_t i = 0; i < 2 * s->net.rows; i++) {
            uint64_t *sum = sums + 4 * (v * s->net.rows + i / 2) + i % 2;
            sum[0] ^= s->both[i];
            sum[2] ^= one[i];
        }
    }
    if (layer + 1 == s->net.layers)
        memcpy(result(t, 1), s->rows, s->n * s->len * 8);
}

static void take_blocks(void *arg, size_t begin, size_t end) {
    const layer_work *w = arg;
    shuffle_state *s = w->t->state;
    const semi2k_layer *l = &s->net.layer[w->layer];
    const uint32_t *order = s->order[w->layer];
    const size_t pads_at = levels_before(s, w->layer) * s->net.words * 128;
    for (size_t b = begin; b < end; b++) {
        for (unsigned j = 0; j < w->t->env->parties; j++)
            if (j != w->t->env->me)
                semi2k_take_block(l, b, &s->tree[j], order, s->net.rows,
                                  (const uint64_t *)task_received(w->t, j), s->pads[j] + pads_at,
                                  s->net.words * 128, s->len, s->rows, s->other);
        for (size_t i = 0; i < l->size; i++) {
            const size_t from = b * l->apart + order[b * l->size + i] * l->step;
            uint64_t *out = s->other + (b * l->apart + i * l->step) * s->len;
            w->t->env->ring->add(out, out, s->rows + from * s->len, s->len);
        }
    }
}

/* My hop: all other parties' messages of a layer are there. */
static void take_layer(seq_task *t, shuffle_state *s, unsigned layer) {
    const size_t size = s->net.rows * s->len;
    layer_work w = {.t = t, .layer = layer};
    if (layer == 0)
        hop_begin(t, s);
    for (unsigned j = 0; j < t->env->parties; j++)
        if (j != t->env->me)
            t->env->ring->add(s->rows, s->rows,
                              (const uint64_t *)task_received(t, j) + sums_words(s, layer), size);
    memset(s->other, 0, size * 8);
    par_for(t->env->pool, s->net.layer[layer].blocks, 1, take_blocks, &w);
    uint64_t *swap = s->rows;
    s->rows = s->other;
    s->other = swap;
    if (layer + 1 < s->net.layers)
        return;
    masked_mask(&s->keys, MASKED_WORD, SEMI2K_MASK, 0, result(t, 1), s->n * s->len);
    t->env->ring->sub(s->change, s->rows, result(t, 1), s->n * s->len);
}

/* ---- the machine ---- */

static int exchange(seq_task *t, shuffle_state *s, unsigned unit) {
    const unsigned me = t->env->me;
    task_prepares(t);
    for (unsigned j = 0; j < t->env->parties; j++) {
        if (j == me)
            continue;
        const size_t bytes = unit_bytes(t, s, unit, me, j);
        uint8_t *frame;
        if (semi2k_swap(t, j, bytes, unit_bytes(t, s, unit, j, me), &frame))
            return TASK_ERROR;
        if (bytes)
            send_layer(t, s, j, unit % s->net.layers, frame);
    }
    return TASK_WAIT;
}

/* What came in the step after unit `unit` was sent. */
static void take(seq_task *t, shuffle_state *s, unsigned unit) {
    if (unit / s->net.layers == t->env->me)
        take_layer(t, s, unit % s->net.layers);
}

static int prepare(seq_task *t, shuffle_state *s) {
    if (t->step_no == 0)
        return shuffle_choose(t, s);
    for (unsigned j = 0; t->step_no == 1 && j < t->env->parties; j++)
        if (j != t->env->me)
            memcpy(s->choices[j], task_received(t, j),
                   levels_before(s, s->net.layers) *
                       ot_choice_bytes(s->transfer[j].send.seeds, s->net.words));
    if (t->step_no > 1)
        take(t, s, t->step_no - 2);
    return exchange(t, s, t->step_no - 1);
}

/* Masked rows in the order of party `hop`, from it to all. Takes addresses from my order. */
static int tell(seq_task *t, shuffle_state *s, unsigned hop) {
    const unsigned parties = t->env->parties, me = t->env->me;
    const size_t row = s->len * 8, bytes = s->n * row;
    if (hop && hop - 1 != me)
        memcpy(result(t, 0), task_received(t, hop - 1), bytes);
    if (hop == parties)
        return TASK_DONE;
    if (hop != me) {
        task_expect(t, hop, bytes);
        return TASK_WAIT;
    }
    for (size_t p = 0; p < s->n; p++)
        memcpy(s->rows + p * s->len, result(t, 0) + s->all[p] * s->len, row);
    t->env->ring->add(result(t, 0), s->rows, s->change, s->n * s->len);
    for (unsigned j = 0; j < parties; j++) {
        uint8_t *frame = j == me ? NULL : task_send(t, j, bytes);
        if (j != me && !frame)
            return TASK_ERROR;
        if (frame)
            memcpy(frame, result(t, 0), bytes);
    }
    return hop == parties - 1 ? TASK_DONE : TASK_WAIT;
}

static int shuffle_step(seq_task *t) {
    shuffle_state *s = t->state;
    if (t->step_no == 0) {
        if (shuffle_begin(t, s))
            return TASK_ERROR;
        t->step_no = task_prepared(t) ? units(t, s) + 1 : 0;
    }
    const unsigned told = units(t, s) + 1;
    if (t->step_no < told)
        return prepare(t, s);
    if (t->step_no == told) {
        if (!task_prepared(t))
            take(t, s, told - 2);
        task_keep(t, s->change, s->n * s->len * 8);
        task_keep(t, result(t, 1), s->n * s->len * 8);
    }
    return tell(t, s, t->step_no - told);
}

uint64_t semi2k_shuffle_scratch(const seq_env *env, const seq_call *call) {
    shuffle_state s = {.len = (size_t)call->arg[SEQ_ARG_SHUFFLE_len]};
    semi2k_network_of(&s.net, (size_t)call->arg[SEQ_ARG_SHUFFLE_n]);
    const double rows = (double)s.net.rows, others = env->parties - 1;
    const double levels = (double)levels_before(&s, s.net.layers);
    return (uint64_t)(rows * (80 + 22 * levels * others) +
                      (2 + others) * (double)layer_bytes(&s, 0));
}

void semi2k_start_shuffle(seq_vm *vm, const seq_call *call) {
    shuffle_state s = {.n = (size_t)call->arg[SEQ_ARG_SHUFFLE_n],
                       .len = (size_t)call->arg[SEQ_ARG_SHUFFLE_len]};
    if (!s.n || !s.len) {
        call_rounds(vm, call, 0);
        return;
    }
    if (s.n <= SEMI2K_ROWS)
        semi2k_network_of(&s.net, s.n);
    if (s.n > SEMI2K_ROWS || s.len > SEMI2K_FRAME / (16 * s.net.rows) ||
        layer_bytes(&s, 0) > SEMI2K_FRAME) {
        (void)vm_fail(vm, call, SEQ_ERR_PROGRAM, -1,
                      "semi2k shuffles at most %d rows, by messages of at most %llu bytes; this "
                      "matrix has %zu rows of %zu elements",
                      SEMI2K_ROWS, (unsigned long long)SEMI2K_FRAME, s.n, s.len);
        return;
    }
    const unsigned parties = vm_env(vm)->parties;
    call_rounds(vm, call, vm_rounds(vm, 1 + parties * s.net.layers, parties));
    task_create(vm, call, 0, 0, s.n, shuffle_step, sizeof(shuffle_state));
}
