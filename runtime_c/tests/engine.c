#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct memory {
    struct memory *next;
    size_t pad[7];
} memory;

typedef struct task {
    seq_task pub;
    task_step step;
    struct task *next;
    struct task *parent;
    memory *scratch;
    size_t expect[ENGINE_PARTIES];
    message *in[ENGINE_PARTIES];
    uint8_t *out[ENGINE_PARTIES];
    size_t out_bytes[ENGINE_PARTIES];
    unsigned depth, children;
    int done;
} task;

struct seq_vm {
    seq_env env;
    engine *e;
    task *tasks;
    int failed;
};

static task *inner(const seq_task *t) {
    return (task *)(uintptr_t)t;
}

const seq_env *vm_env(const seq_vm *vm) {
    return &vm->env;
}

void vm_slice(const seq_env *env, uint64_t *planes, size_t stride, const void *x, size_t n,
              unsigned lo, unsigned p) {
    env->bits->slice(planes, stride, x, 8 * (unsigned)env->ring->word, n, lo, p);
}

void task_alone(seq_task *t, unsigned rounds) {
    (void)t, (void)rounds;
}

void call_rounds(seq_vm *vm, const seq_call *call, unsigned rounds) {
    if (!call->parent && vm->env.me == 0)
        vm->e->rounds = rounds;
}

void *task_scratch(seq_task *t, size_t bytes) {
    memory *m = aligned_alloc(64, sizeof *m + (bytes + 63) / 64 * 64);
    if (!m)
        return NULL;
    memset(m + 1, t->vm->e->fill, bytes);
    m->next = inner(t)->scratch;
    inner(t)->scratch = m;
    return m + 1;
}

uint8_t *task_send(seq_task *t, unsigned peer, size_t bytes) {
    task *own = inner(t);
    if (own->out[peer] || !bytes || peer == t->env->me) {
        t->vm->failed = 1;
        fprintf(stderr, "party %u: bad frame of %zu bytes to %u\n", t->env->me, bytes, peer);
        return NULL;
    }
    own->out_bytes[peer] = bytes;
    own->out[peer] = aligned_alloc(64, (bytes + 63) / 64 * 64);
    return memset(own->out[peer], t->vm->e->fill, bytes);
}

void task_expect(seq_task *t, unsigned peer, size_t bytes) {
    inner(t)->expect[peer] = bytes;
}

const uint8_t *task_received(const seq_task *t, unsigned peer) {
    const message *m = inner(t)->in[peer];
    return m ? m->data : NULL;
}

void task_known(const void *p, size_t bytes) {
    (void)p, (void)bytes;
}

int task_fail(seq_task *t, seq_status status, int party, const char *fmt, ...) {
    va_list args;
    (void)status, (void)party;
    t->vm->failed = 1;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return TASK_ERROR;
}

seq_status vm_fail(seq_vm *vm, const seq_call *call, seq_status status, int party, const char *fmt,
                   ...) {
    (void)call, (void)party, (void)fmt;
    vm->failed = 1;
    return status;
}

static void flush(task *t) {
    engine *e = t->pub.vm->e;
    for (unsigned peer = 0; peer < e->parties; peer++) {
        if (!t->out[peer])
            continue;
        message *m = calloc(1, sizeof *m);
        *m = (message){.from = t->pub.env->me,
                       .to = peer,
                       .depth = t->depth + 1,
                       .instance = t->pub.call.instance,
                       .sub = t->pub.call.sub,
                       .chunk = t->pub.chunk,
                       .step = t->pub.step_no,
                       .bytes = t->out_bytes[peer],
                       .data = t->out[peer]};
        *(e->last ? &e->last->next : &e->first) = m;
        e->last = m;
        e->sent[m->from][peer] += m->bytes;
        e->depth = m->depth > e->depth ? m->depth : e->depth;
        t->out[peer] = NULL;
    }
}

static void end(task *t) {
    t->done = 1;
    if (t->parent) {
        t->parent->children--;
        if (t->depth > t->parent->depth)
            t->parent->depth = t->depth;
    }
    while (t->scratch) {
        memory *m = t->scratch;
        t->scratch = m->next;
        free(m);
    }
    free(t->pub.state);
}

static int ready(task *t) {
    if (t->children)
        return 0;
    for (unsigned p = 0; p < t->pub.env->parties; p++) {
        t->in[p] = NULL;
        for (message *m = t->pub.vm->e->first; t->expect[p] && m && !t->in[p]; m = m->next)
            if (!m->taken && m->from == p && m->to == t->pub.env->me &&
                m->instance == t->pub.call.instance && m->sub == t->pub.call.sub &&
                m->chunk == t->pub.chunk && m->step == t->pub.step_no) {
                if (m->bytes != t->expect[p]) {
                    fprintf(stderr, "party %u: %zu bytes from %u, expected %zu\n", m->to, m->bytes,
                            p, t->expect[p]);
                    t->pub.vm->failed = 1;
                }
                t->in[p] = m;
            }
        if (t->expect[p] && !t->in[p])
            return 0;
    }
    return 1;
}

static void run(task *t) {
    for (;;) {
        for (unsigned p = 0; p < t->pub.env->parties; p++) {
            t->expect[p] = 0;
            if (t->in[p]) {
                t->in[p]->taken = 1;
                t->depth = t->in[p]->depth > t->depth ? t->in[p]->depth : t->depth;
            }
        }
        const int status = t->step(&t->pub);
        if (status == TASK_ERROR)
            t->pub.vm->failed = 1;
        flush(t);
        if (status != TASK_WAIT || t->pub.vm->failed) {
            end(t);
            return;
        }
        if (!ready(t))
            return;
        t->pub.step_no++;
    }
}

void task_create(seq_vm *vm, const seq_call *call, uint32_t chunk, size_t begin, size_t end,
                 task_step step, size_t state_bytes) {
    task *t = calloc(1, sizeof *t), **at = &vm->tasks;
    t->pub = (seq_task){
        .vm = vm, .env = &vm->env, .call = *call, .chunk = chunk, .begin = begin, .end = end};
    t->pub.state = calloc(1, state_bytes + 1);
    t->step = step;
    t->parent = call->parent ? inner(call->parent) : NULL;
    if (t->parent) {
        t->parent->children++;
        t->depth = t->parent->depth;
    }
    while (*at)
        at = &(*at)->next;
    *at = t;
    run(t);
}

static void start(seq_vm *vm, const seq_call *call) {
    vm->e->protocol->start[call->op - SEQ_OP_FIRST_INTERACTIVE](vm, call);
}

void task_call(seq_task *t, seq_call *call, uint16_t sub) {
    call->instance = t->call.instance;
    call->sub = sub;
    call->parent = t;
    start(t->vm, call);
}

void *vm_output_buffer(seq_vm *vm, int64_t out, size_t elements) {
    (void)out, (void)elements;
    return vm->e->output[vm->env.me];
}

const void *vm_input_words(seq_vm *vm, int64_t in) {
    (void)in;
    return vm->env.me == vm->e->input_party ? vm->e->input : NULL;
}

void vm_input_read(seq_vm *vm, int64_t in, size_t begin, size_t end) {
    (void)vm, (void)in, (void)begin, (void)end; /* tests look at inputs again */
}

int vm_keep_seed(seq_vm *vm, const seq_call *call, unsigned component, const prg_key *key,
                 uint32_t purpose) {
    (void)vm, (void)call, (void)component, (void)key, (void)purpose;
    return 0; /* tests look at every component */
}

#ifdef SEQ_TEST
void vm_cheat(const seq_env *env, const char *kind, void *words, size_t bytes) {
    (void)env, (void)kind, (void)words, (void)bytes; /* all are honest here */
}
#endif

void vm_zero(void *p, size_t bytes) {
    memset(p, 0, bytes);
}

unsigned vm_input_party(seq_vm *vm, int64_t in) {
    (void)in;
    return vm->e->input_party;
}

int vm_output_party(seq_vm *vm, int64_t out) {
    (void)out;
    return vm->e->output_party;
}

/* Of the parties in `members`, which the first byte names; the second half is for what the program
 * draws. */
static void make_seed(uint8_t seed[32], unsigned members, uint8_t kind, uint8_t number) {
    memset(seed, 0, 32);
    seed[0] = seed[16] = (uint8_t)members;
    seed[1] = kind;
    seed[17] = (uint8_t)(kind + ENGINE_PROGRAM);
    seed[2] = seed[18] = number;
}

static int setup(engine *e, unsigned me) {
    uint8_t pair[ENGINE_PARTIES][32] = {{0}}, group[ENGINE_GROUPS][32] = {{0}}, common[32];
    seq_vm *vm = e->vm[me];
    for (unsigned p = 0; p < e->parties; p++)
        if (p != me)
            make_seed(pair[p], 1u << me | 1u << p, ENGINE_PAIR, 0);
    for (unsigned i = 0, members = 1; e->protocol->group && members && i < ENGINE_GROUPS; i++) {
        members = e->protocol->group(e->parties, i);
        if (members >> me & 1)
            make_seed(group[i], members, ENGINE_GROUP, (uint8_t)i);
    }
    make_seed(common, (1u << e->parties) - 1, ENGINE_COMMON, 0);
    prg_init(&e->pair[me], pair[(me + 1) % e->parties]);
    prg_init(&e->program[me], pair[(me + 1) % e->parties] + 16);
    const seq_keys keys = {(const uint8_t (*)[32])pair, (const uint8_t (*)[32])group, common};
    e->running = me;
    return e->protocol->setup(&vm->env, &keys, &vm->env.protocol, NULL) == SEQ_OK ? 0 : -1;
}

int engine_init(engine *e, const seq_protocol *protocol, unsigned parties, unsigned ring_bits,
                const ring_ops *ring, const bits_ops *bits) {
    memset(e, 0, sizeof *e);
    e->protocol = protocol;
    e->parties = parties;
    for (unsigned p = 0; p < parties; p++) {
        seq_vm *vm = e->vm[p] = calloc(1, sizeof *vm);
        if (!vm)
            return -1;
        *vm = (seq_vm){.env = {.me = p,
                               .parties = parties,
                               .ring_bits = ring_bits,
                               .k = 31,
                               .f = 16,
                               .stat = 40,
                               .ring = ring,
                               .bits = bits},
                       .e = e};
        if (setup(e, p) < 0)
            return -1;
    }
    return 0;
}

void engine_threads(engine *e, seq_pool *pool) {
    for (unsigned p = 0; p < e->parties; p++)
        e->vm[p]->env.pool = pool;
}

static void drop_messages(engine *e) {
    while (e->first) {
        message *m = e->first;
        e->first = m->next;
        free(m->data);
        free(m);
    }
    e->last = NULL;
}

void engine_free(engine *e) {
    drop_messages(e);
    for (unsigned p = 0; p < e->parties; p++) {
        e->protocol->teardown(e->vm[p]->env.protocol);
        free(e->vm[p]);
    }
}

/* Serve what can run until nothing can: whether all tasks are done. */
static int serve(engine *e) {
    for (int progress = 1; progress;) {
        progress = 0;
        for (unsigned p = 0; p < e->parties; p++)
            for (task *t = e->vm[p]->tasks; t; t = t->next)
                if (!t->done && ready(t)) {
                    t->pub.step_no++;
                    run(t);
                    progress = 1;
                }
    }
    int finished = 1;
    for (unsigned p = 0; p < e->parties; p++) {
        for (task *t = e->vm[p]->tasks, *next; t; t = next) {
            next = t->next;
            finished &= t->done;
            if (!t->done)
                end(t);
            free(t);
        }
        e->vm[p]->tasks = NULL;
        finished &= !e->vm[p]->failed;
    }
    return finished;
}

int engine_call(engine *e, uint16_t op, const int64_t *arg, seq_reg reg[][SEQ_MAX_OPERANDS]) {
    drop_messages(e);
    e->depth = e->rounds = 0;
    e->instance++;
    memset(e->sent, 0, sizeof e->sent);
    for (unsigned p = 0; p < e->parties; p++) {
        seq_call call;
        memset(&call, 0, sizeof call);
        call.op = op;
        call.instance = e->instance;
        memcpy(call.arg, arg, sizeof call.arg);
        memcpy(call.reg, reg[p], sizeof call.reg);
        start(e->vm[p], &call);
    }
    const int finished = serve(e);
    for (const message *m = e->first; m; m = m->next)
        if (!m->taken) {
            fprintf(stderr, "a message from %u to %u was never taken\n", m->from, m->to);
            return -1;
        }
    return finished ? 0 : -1;
}
