/* The task engine: starts machines, carries their frames, serves whichever task is ready. */
#include "vm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 256
#define MAX_CHUNKS ((uint32_t)1 << 24)

/* Bytes of scratch that begun machines may hold before further chunks begin later (docs/vm.md). */
#ifndef MACHINE_SCRATCH
#define MACHINE_SCRATCH ((uint64_t)64 << 20)
#endif

typedef struct scratch {
    struct scratch *next;
    uint8_t pad[64 - sizeof(struct scratch *)];
} scratch;
_Static_assert(sizeof(scratch) == 64, "scratch stays aligned");

struct vm_task {
    seq_task pub; /* first: protocols hold a pointer to it */
    vm_call *owner;
    vm_task *next; /* in the list of waiting tasks */
    task_step step;
    size_t state_bytes;
    scratch *memory;
    uint64_t held;     /* bytes of memory, while they count in vm->scratch */
    unsigned children; /* calls made and not yet done */
    int calls;         /* whether it has made any */
    int prepares;      /* the step that runs, or was the last to */
    uint32_t kept;     /* calls of task_keep */
    int ordered;       /* all parties begin it at the same place in the order of such tasks */
    uint8_t *out[VM_PARTIES], *in[VM_PARTIES];
    size_t out_bytes[VM_PARTIES], in_bytes[VM_PARTIES]; /* in_bytes: expected */
    uint8_t sends[VM_PARTIES];
};

static vm_task *inner(const seq_task *t) {
    return (vm_task *)(uintptr_t)t;
}

const seq_env *vm_env(const seq_vm *vm) {
    return &vm->env;
}

void vm_slice(const seq_env *env, uint64_t *planes, size_t stride, const void *x, size_t n,
              unsigned lo, unsigned p) {
    enum { PIECE = 512 };
    _Alignas(64) __int128 number[PIECE];
    const unsigned width = 8 * (unsigned)env->ring->word;
    if (env->ring->bits != RING_FIELD) {
        env->bits->slice(planes, stride, x, width, n, lo, p);
        return;
    }
    for (size_t at = 0; at < n; at += PIECE) {
        const size_t count = n - at < PIECE ? n - at : PIECE;
        env->ring->to_signed(number, (const __int128 *)x + at, count);
        env->bits->slice(planes + at / 64, stride, number, width, count, lo, p);
    }
    prg_wipe(number, sizeof number);
}

void call_rounds(seq_vm *vm, const seq_call *call, unsigned rounds) {
    (void)vm;
    call->own->rounds = rounds;
}

unsigned vm_rounds(const seq_vm *vm, unsigned preparing, unsigned online) {
    return (vm->env.phase == SEQ_ONLINE ? 0 : preparing) +
           (vm->env.phase == SEQ_PREPARE ? 0 : online);
}

static net_tag frame_tag(const seq_task *t) {
    return (net_tag){.instance = t->call.instance << 16 | t->call.sub,
                     .step = t->chunk << 8 | t->step_no};
}

/* ---- what a step may do ---- */

/* A task that makes calls no longer counts: what a whole product holds is as long as its vectors
 * are, and no reason to put off its children. (Chunks of semi2k that call in a later step keep
 * their pads uncounted.) */
static void hold(vm_task *t, size_t bytes) {
    if (!t->calls) {
        t->held += bytes;
        t->pub.vm->scratch += bytes;
    }
}

static void release(vm_task *t) {
    t->pub.vm->scratch -= t->held;
    t->held = 0;
}

static void *task_memory(vm_task *t, size_t bytes) {
    scratch *s = bytes > SIZE_MAX / 2 ? NULL : memory_take(t->pub.vm, sizeof *s + bytes);
    if (s == NULL) {
        (void)task_fail(&t->pub, SEQ_ERR_MEMORY, -1, "no memory for a machine's %zu bytes", bytes);
        return NULL;
    }
    s->next = t->memory;
    t->memory = s;
    hold(t, bytes);
    return s + 1;
}

void *task_scratch(seq_task *t, size_t bytes) {
    return task_memory(inner(t), bytes);
}

static int bad_peer(seq_task *t, unsigned peer, const char *what) {
    if (peer < t->env->parties && peer != t->env->me) {
        return 0;
    }
    (void)task_fail(t, SEQ_ERR_OURS, -1, "a machine %s party %u", what, peer);
    return 1;
}

uint8_t *task_send(seq_task *t, unsigned peer, size_t bytes) {
    vm_task *task = inner(t);
    if (bad_peer(t, peer, "sends to")) {
        return NULL;
    }
    if (task->sends[peer]) {
        (void)task_fail(t, SEQ_ERR_OURS, -1, "a machine sends twice in step %u", t->step_no);
        return NULL;
    }
    task->out[peer] = net_alloc(t->vm->net, bytes);
    if (task->out[peer] == NULL) {
        (void)task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for a message of %zu bytes", bytes);
        return NULL;
    }
    task->out_bytes[peer] = bytes;
    task->sends[peer] = 1;
    return task->out[peer];
}

void task_expect(seq_task *t, unsigned peer, size_t bytes) {
    if (!bad_peer(t, peer, "waits for")) {
        inner(t)->in_bytes[peer] = bytes;
    }
}

void task_alone(seq_task *t, unsigned rounds) {
    vm_call *c = inner(t)->owner;
    t->vm->clock += rounds;
    t->vm->counter[c->instr].rounds += rounds;
    c->clock += rounds;
}

const uint8_t *task_received(const seq_task *t, unsigned peer) {
    return inner(t)->in[peer];
}

void task_prepares(seq_task *t) {
    inner(t)->prepares = 1;
}

int task_prepared(const seq_task *t) {
    return t->env->phase == SEQ_ONLINE;
}

void task_keep(seq_task *t, void *p, size_t bytes) {
    const net_tag tag = {.instance = frame_tag(t).instance,
                         .step = t->chunk << 8 | inner(t)->kept++};
    uint8_t *payload = NULL;
    if (bytes == 0) {
        return;
    }
    if (t->env->phase == SEQ_PREPARE) {
        material_put(t->vm, t->env->me, tag, p, bytes);
    } else if (t->env->phase == SEQ_ONLINE) {
        memset(p, 0, bytes);
        if (material_take(t->vm, tag, bytes, &payload) == 1) {
            memcpy(p, payload, bytes);
            net_free(payload);
        }
    }
}

void task_known(const void *p, size_t bytes) {
    VM_PUBLIC(p, bytes);
}

int task_fail(seq_task *t, seq_status status, int party, const char *fmt, ...) {
    char text[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)vm_error(t->vm, inner(t)->owner->instr, status, party, "%s", text);
    return TASK_ERROR;
}

seq_status vm_fail(seq_vm *vm, const seq_call *call, seq_status status, int party, const char *fmt,
                   ...) {
    char text[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return vm_error(vm, call->own->instr, status, party, "%s", text);
}

/* ---- the life of calls and tasks ---- */

static void call_done(vm_call *c) {
    if (c->call.parent !=
        NULL) { /* a sub-machine: its parent is served when it is next looked at */
        inner(c->call.parent)->children--;
        free(c);
    }
}

static void call_start(seq_vm *vm, vm_call *c) {
    c->starting = 1;
    c->call.own = c;
    vm->protocol->start[c->call.op - SEQ_OP_FIRST_INTERACTIVE](vm, &c->call);
    c->starting = 0;
    if (c->tasks == 0) {
        call_done(c);
    }
}

static void drop_frames(uint8_t **frames, size_t *bytes) {
    for (unsigned p = 0; p < VM_PARTIES; p++) {
        if (frames[p] != NULL) {
            net_free(frames[p]);
            frames[p] = NULL;
        }
        bytes[p] = 0;
    }
}

static void task_free(vm_task *t) {
    drop_frames(t->out, t->out_bytes);
    drop_frames(t->in, t->in_bytes);
    while (t->memory != NULL) {
        scratch *s = t->memory;
        t->memory = s->next;
        memory_give(t->pub.vm, s);
    }
    release(t);
    free(t);
}

static void task_end(vm_task *t) {
    vm_call *c = t->owner;
    task_free(t);
    if (--c->tasks == 0 && !c->starting) {
        call_done(c);
    }
}

#ifdef SEQ_TEST
_Thread_local const seq_task *machine_task;

static uint64_t frame_hash(net_tag tag, unsigned peer, const uint8_t *payload, size_t bytes) {
    uint64_t h = 0xCBF29CE484222325, head[] = {tag.instance, tag.step, peer, bytes};
    for (size_t i = 0; i < sizeof head + bytes; i++) {
        uint8_t byte = i < sizeof head ? ((const uint8_t *)head)[i] : payload[i - sizeof head];
        h = (h ^ byte) * 0x100000001B3;
    }
    return h;
}
#endif

/* Whether messages of the last step are for the run that is being prepared. */
static int not_now(const vm_task *t) {
    return t->pub.env->phase == SEQ_PREPARE && !t->prepares;
}

static void flush(vm_task *t) {
    seq_vm *vm = t->pub.vm;
    seq_counter *counter = &vm->counter[t->owner->instr];
    if (not_now(t)) {
        drop_frames(t->out, t->out_bytes);
        memset(t->sends, 0, sizeof t->sends);
        return;
    }
    for (unsigned p = 0; p < vm->env.parties; p++) {
        if (t->sends[p]) {
            VM_PUBLIC(t->out[p], t->out_bytes[p]);
#ifdef SEQ_TEST
            vm->trace += frame_hash(frame_tag(&t->pub), p, t->out[p], t->out_bytes[p]);
#endif
            if (vm->env.ahead && vm->material.make) {
                material_put(vm, p, frame_tag(&t->pub), t->out[p], t->out_bytes[p]);
                net_free(t->out[p]);
            } else {
                net_send(vm->net, p, frame_tag(&t->pub), t->out[p], t->out_bytes[p]);
            }
            counter->sent[p] += t->out_bytes[p];
            vm->sent[p] += t->out_bytes[p];
            t->out[p] = NULL;
            t->out_bytes[p] = 0;
            t->sends[p] = 0;
        }
    }
}

/* A frame of zeros: 1, or -1 on an error. */
static int take_nothing(vm_task *t, unsigned p) {
    t->in[p] = net_alloc(t->pub.vm->net, t->in_bytes[p]);
    if (t->in[p] == NULL) {
        (void)task_fail(&t->pub, SEQ_ERR_MEMORY, -1, "no memory for a message of %zu bytes",
                        t->in_bytes[p]);
        return -1;
    }
    memset(t->in[p], 0, t->in_bytes[p]);
    return 1;
}

/* The frame that the next step needs from party p: 1 if it is there, 0 if not, -1 on an error. */
static int take(vm_task *t, unsigned p) {
    seq_vm *vm = t->pub.vm;
    seq_error err = {.party = -1, .instr = -1};
    if (not_now(t)) {
        return take_nothing(t, p);
    }
    if (vm->env.ahead && p + 1 == vm->env.parties) {
        return material_take(vm, frame_tag(&t->pub), t->in_bytes[p], &t->in[p]);
    }
    int got = net_take(vm->net, p, frame_tag(&t->pub), t->in_bytes[p], &t->in[p], &err);
    if (got < 0) {
        (void)vm_error(vm, t->owner->instr, err.status, err.party, "%s", err.message);
    }
    return got;
}

/* Take what has arrived; 1 if the task can run its next step, 0 if not, -1 on an error. */
static int task_ready(vm_task *t) {
    seq_vm *vm = t->pub.vm;
    int missing = t->children > 0;
    for (unsigned p = 0; p < vm->env.parties; p++) {
        if (t->in_bytes[p] == 0 || t->in[p] != NULL) {
            continue;
        }
        int got = take(t, p);
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            missing = 1;
            continue;
        }
        VM_SECRET(t->in[p], t->in_bytes[p]);
        vm->received[p] += not_now(t) ? 0 : t->in_bytes[p];
    }
    return !missing;
}

static void task_wait(vm_task *t) {
    seq_vm *vm = t->pub.vm;
    t->next = NULL;
    if (vm->waiting == NULL) {
        vm->waiting = t;
        vm->awaiting = vm_nanoseconds();
    } else {
        vm->waiting_last->next = t;
    }
    vm->waiting_last = t;
}

/* What an opening has revealed. */
static void declassify(const seq_vm *vm, const vm_call *c) {
    const seq_call *call = &c->call;
    size_t word = vm->program->word;
    if (call->op == SEQ_OP_OPEN) {
        VM_PUBLIC(call->reg[SEQ_ARG_OPEN_d].c[0], (size_t)call->arg[SEQ_ARG_OPEN_n] * word);
    } else if (call->op == SEQ_OP_OPENB) {
        VM_PUBLIC(call->reg[SEQ_ARG_OPENB_d].c[0], (size_t)call->arg[SEQ_ARG_OPENB_n] * word);
    } else if (call->op == SEQ_OP_OUTPUT || call->op == SEQ_OP_OUTPUTB) {
        int64_t out = call->arg[SEQ_ARG_OUTPUT_out];
        if (vm->output[out] != NULL) {
            VM_PUBLIC(vm->output[out], vm->program->output[out].elements * word);
        }
    }
}

/* Run steps until the task waits or ends. Its frames for the next step are there. After an error it
 * is kept with the waiting ones, parents and children alike, until the VM is destroyed. */
static void task_run(vm_task *t) {
    seq_vm *vm = t->pub.vm;
    for (;;) {
        if (t->pub.step_no == MAX_STEPS) {
            (void)task_fail(&t->pub, SEQ_ERR_OURS, -1, "a machine takes over %u steps", MAX_STEPS);
            task_wait(t);
            return;
        }
        size_t arrived[VM_PARTIES];
        uint8_t *in[VM_PARTIES];
        memcpy(arrived, t->in_bytes, sizeof arrived);
        memcpy(in, t->in, sizeof in);
        memset(t->in_bytes, 0, sizeof t->in_bytes);
        t->prepares = 0;
#ifdef SEQ_TEST
        const seq_task *outer = machine_task;
        machine_task = &t->pub;
#endif
        int result = t->step(&t->pub);
#ifdef SEQ_TEST
        machine_task = outer;
#endif
        drop_frames(in, arrived);
        memset(t->in, 0, sizeof t->in);
        if (result == TASK_ERROR) {
            (void)vm_error(vm, t->owner->instr, SEQ_ERR_OURS, -1, "a machine failed in silence");
        }
        if (vm->error.status != SEQ_OK) {
            task_wait(t);
            return;
        }
        flush(t);
        if (result == TASK_DONE) {
            task_end(t);
            return;
        }
        int ready = task_ready(t);
        if (ready < 1) {
            task_wait(t);
            return;
        }
        t->pub.step_no++;
    }
}

static void task_begin(vm_task *t) {
    t->pub.state = task_memory(t, t->state_bytes);
    if (t->pub.state == NULL) {
        task_wait(t);
        return;
    }
    memset(t->pub.state, 0, t->state_bytes);
    task_run(t);
}

/* Whether a begun task waits for nothing but messages. */
static int any_leaf(const seq_vm *vm) {
    const vm_task *t = vm->waiting;
    while (t != NULL && t->children > 0) {
        t = t->next;
    }
    return t != NULL;
}

/* Whether the channels lag behind, or begun machines hold much scratch: chunks of long vectors then
 * begin later, so that what is computed and not yet sent stays bounded, and so does their scratch.
 *
 * None waits for ever. Ordered tasks, which are those of the program's calls and of the calls that
 * their first steps make, begin at all parties in one order (a task before its children, these
 * before what follows it), since first steps make the same calls everywhere; other tasks begin at
 * once, with the step that makes them. Take the first ordered task that some party has not begun.
 * All before it were begun everywhere: those without children need only each other and end; then
 * that party is left with tasks that wait for children which come at this place or later, and
 * scratch no longer holds it back. */
static int crowded(const seq_vm *vm) {
    return (vm->net != NULL && net_queued(vm->net) > NET_QUEUE_FEW) ||
           (vm->scratch > MACHINE_SCRATCH && any_leaf(vm));
}

/* Put t off, behind what is put off already: before what follows its parent, if that begins now. */
static void put_off(seq_vm *vm, vm_task *t) {
    t->next = *vm->later_at;
    *vm->later_at = t;
    vm->later_at = &t->next;
}

void task_create(seq_vm *vm, const seq_call *call, uint32_t chunk, size_t begin, size_t end,
                 task_step step, size_t state_bytes) {
    vm_task *t = vm->error.status == SEQ_OK ? calloc(1, sizeof *t) : NULL;
    if (t == NULL || chunk >= MAX_CHUNKS) {
        (void)vm_fail(vm, call, t == NULL ? SEQ_ERR_MEMORY : SEQ_ERR_OURS, -1,
                      "a machine's chunk %u cannot be made", chunk);
        free(t);
        return;
    }
    t->pub = (seq_task){
        .vm = vm, .env = &vm->env, .call = *call, .chunk = chunk, .begin = begin, .end = end};
    t->owner = call->own;
    t->step = step;
    t->state_bytes = state_bytes;
    t->owner->tasks++;
    const vm_task *parent = call->parent == NULL ? NULL : inner(call->parent);
    t->ordered = parent == NULL || (parent->ordered && parent->pub.step_no == 0);
    if (t->ordered && (vm->later_at != &vm->later || crowded(vm))) {
        put_off(vm, t);
    } else {
        task_begin(t);
    }
}

int task_resumable(seq_task *t, int yes) {
    return checkpoint_resumable(t->vm, yes) == SEQ_OK ? 0 : -1;
}

void task_call(seq_task *t, seq_call *call, uint16_t sub) {
    seq_vm *vm = t->vm;
    vm_call *c = calloc(1, sizeof *c);
    if (c == NULL) {
        (void)task_fail(t, SEQ_ERR_MEMORY, -1, "no memory for a sub-machine");
        return;
    }
    call->instance = t->call.instance;
    call->sub = sub;
    call->parent = t;
    c->call = *call;
    c->instr = inner(t)->owner->instr;
    inner(t)->children++;
    inner(t)->calls = 1;
    release(inner(t));
    call_start(vm, c);
}

/* ---- what the interpreter calls ---- */

/* Begin tasks that were put off; the children that they make come before the others. */
static int begin_later(seq_vm *vm) {
    int progress = 0;
    while (vm->later != NULL && vm->error.status == SEQ_OK && !crowded(vm)) {
        vm_task *t = vm->later, **end = vm->later_at;
        vm->later = t->next;
        vm->later_at = &vm->later;
        seq_counter *counter = &vm->counter[t->owner->instr];
        uint64_t began = vm_nanoseconds();
        task_begin(t);
        counter->compute_ns += vm_nanoseconds() - began;
        if (*vm->later_at != NULL) {
            vm->later_at = end;
        }
        progress = 1;
    }
    return progress;
}

/* One pass over the waiting tasks; whether any of them could run. */
static int serve(seq_vm *vm) {
    int progress = begin_later(vm);
    vm_task **link = &vm->waiting, *before = NULL;
    while (*link != NULL && vm->error.status == SEQ_OK) {
        vm_task *t = *link;
        if (task_ready(t) < 1) {
            before = t;
            link = &t->next;
            continue;
        }
        *link = t->next;
        if (vm->waiting_last == t) {
            vm->waiting_last = before;
        }
        progress = 1;
        uint64_t began = vm_nanoseconds();
        if (vm->waiting == NULL) {
            vm->awaited_ns += began - vm->awaiting;
        }
        seq_counter *counter = &vm->counter[t->owner->instr];
        t->pub.step_no++;
        task_run(t);
        counter->compute_ns += vm_nanoseconds() - began;
    }
    return progress;
}

static void resolve(const seq_vm *vm, const seq_instr *in, seq_call *call) {
    for (unsigned i = 0; i < in->op->operand_count; i++) {
        unsigned file = in->op->operands[i].kind;
        call->arg[i] = in->arg[i];
        call->reg[i].apart = file <= FILE_C ? vm->file_bytes[file] : 0;
        for (unsigned c = 0; file <= FILE_C && c < SEQ_NEAR_COMPONENTS; c++) {
            if (vm->file[file][c] != NULL) {
                call->reg[i].c[c] = vm_register(vm, file, c, in->arg[i]);
            }
        }
    }
}

/* All parties wait for each other, for longer than the network may be silent: say for what. */
static void stalled(seq_vm *vm) {
    for (vm_task *t = vm->waiting; t != NULL; t = t->next) {
        for (unsigned p = 0; p < vm->env.parties; p++) {
            if (t->in_bytes[p] > 0 && t->in[p] == NULL) {
                (void)vm_error(vm, t->owner->instr, SEQ_ERR_PEER, (int)p,
                               "party %u never sent what this instruction awaits (machine %u, "
                               "chunk %u, step %u), and waits itself",
                               p, t->pub.call.sub, t->pub.chunk, t->pub.step_no);
                return;
            }
        }
    }
}

/* Whether tasks are left: of call c, or of any (c == NULL). */
static int pending(const seq_vm *vm, const vm_call *c) {
    int any = c != NULL ? c->tasks > 0 : vm->waiting != NULL || vm->later != NULL;
    return any && vm->error.status == SEQ_OK;
}

/* Serve tasks until none is left of call c, or of any; instr: who waits. */
static void serve_all(seq_vm *vm, const vm_call *c, uint64_t instr) {
    seq_counter *counter = &vm->counter[instr];
    uint64_t since = 0; /* since when everybody waits */
    while (pending(vm, c)) {
        if (serve(vm) || !pending(vm, c)) {
            since = 0;
            continue;
        }
        seq_error err = {.party = -1, .instr = -1};
        uint64_t began = vm_nanoseconds();
        if (net_wait(vm->net, 1.0, &err) != SEQ_OK) {
            (void)vm_error(vm, instr, err.status, err.party, "%s", err.message);
        }
        counter->wait_ns += vm_nanoseconds() - began;
        since = since == 0 || !net_stalled(vm->net) ? began : since;
        if ((double)(vm_nanoseconds() - since) * 1e-9 > vm->patience) {
            stalled(vm);
        }
    }
}

/* The clock shows at least when call c finished. */
static void advance(seq_vm *vm, const vm_call *c) {
    uint64_t finish = c->clock + c->rounds;
    if (finish > vm->clock) {
        vm->counter[c->instr].rounds += finish - vm->clock;
        vm->clock = finish;
    }
}

/* Wait for every call that was started. */
static void drain(seq_vm *vm) {
    serve_all(vm, NULL, vm->pc);
    for (uint64_t h = 0; vm->error.status == SEQ_OK && h < vm->program->handles; h++) {
        if (vm->handle[h] != NULL) {
            advance(vm, vm->handle[h]);
        }
    }
}

/* A call without a parent; NULL with the error set. */
static vm_call *new_call(seq_vm *vm, unsigned op, uint64_t instance) {
    vm_call *c = calloc(1, sizeof *c);
    if (c == NULL) {
        (void)vm_error(vm, vm->pc, SEQ_ERR_MEMORY, -1, "no memory for a machine");
        return NULL;
    }
    c->instr = vm->pc;
    c->clock = vm->clock;
    c->call.op = (uint16_t)op;
    c->call.instance = instance;
    return c;
}

static int reveals(unsigned op) {
    return op == SEQ_OP_OPEN || op == SEQ_OP_OPENB || op == SEQ_OP_OUTPUT || op == SEQ_OP_OUTPUTB;
}

void machine_verify(seq_vm *vm) {
    if (vm->protocol->verify == NULL) {
        return;
    }
    drain(vm);
    vm_call *c = vm->error.status == SEQ_OK ? new_call(vm, SEQ_OP_CHECKPOINT, vm->instance) : NULL;
    if (c == NULL) {
        return;
    }
    vm->handle[vm->program->handles] = c; /* the one place that is no handle of the program */
    c->call.own = c;
    c->starting = 1;
    vm->protocol->verify(vm, &c->call);
    c->starting = 0;
    serve_all(vm, c, c->instr);
    if (vm->error.status == SEQ_OK) {
        advance(vm, c);
        vm->handle[vm->program->handles] = NULL;
        free(c);
    }
}

#ifdef SEQ_TEST
void vm_cheat(const seq_env *env, const char *kind, void *words, size_t bytes) {
    const seq_vm *vm = (const seq_vm *)((const char *)env - offsetof(seq_vm, env));
    if (vm->cheat != NULL) {
        vm->cheat(vm->tamper_arg, env->me, kind, words, bytes);
    }
}

static void cheat_registers(seq_vm *vm) {
    static const char *const kind[] = {[FILE_S] = "share", [FILE_B] = "bits"};
    for (unsigned file = FILE_S; file <= FILE_B; file++) {
        for (unsigned c = 0; c < vm_components(vm, file); c++) {
            vm_cheat(&vm->env, kind[file], vm->file[file][c], vm->file_bytes[file]);
        }
    }
}
#endif

void machine_start(seq_vm *vm, const seq_instr *in) {
#ifdef SEQ_TEST
    cheat_registers(vm);
#endif
    (void)serve(vm);
    if (vm->protocol->verified && reveals(in->op->code)) {
        drain(vm);
    } else if (vm->protocol->overdue != NULL && vm->protocol->overdue(&vm->env)) {
        machine_verify(vm);
    }
    vm_call *c = vm->error.status == SEQ_OK ? new_call(vm, in->op->code, vm->instance + 1) : NULL;
    if (c == NULL) {
        return;
    }
    vm->instance++;
    resolve(vm, in, &c->call);
    vm->handle[in->arg[0]] = c;
    uint64_t began = vm_nanoseconds();
    call_start(vm, c);
    vm->counter[vm->pc].compute_ns += vm_nanoseconds() - began;
}

void machine_join(seq_vm *vm, uint64_t h) {
    vm_call *c = vm->handle[h];
    serve_all(vm, c, c->instr);
    if (vm->error.status != SEQ_OK) {
        return;
    }
    advance(vm, c);
    declassify(vm, c);
    if (c->call.op == SEQ_OP_INPUT && vm->counter[c->instr].executed == 1) {
        memory_filled(vm, &vm->program->instr[c->instr]);
    }
    vm->handle[h] = NULL;
    free(c);
}

void machine_destroy(seq_vm *vm) {
    vm_task *t = vm->waiting;
    if (t == NULL) {
        t = vm->later;
    } else {
        vm->waiting_last->next = vm->later;
    }
    vm->waiting = vm->waiting_last = vm->later = NULL;
    vm->later_at = &vm->later;
    while (t != NULL) { /* after an error or a stop; parents and children in any order */
        vm_task *next = t->next;
        vm_call *c = t->owner;
        task_free(t);
        if (--c->tasks == 0 && c->call.parent != NULL) {
            free(c);
        }
        t = next;
    }
    for (uint64_t h = 0; vm->handle != NULL && h <= vm->program->handles; h++) {
        free(vm->handle[h]);
    }
    free(vm->handle);
    vm->handle = NULL;
}

/* ---- inputs and outputs, as protocols see them ---- */

static int all_mine(const seq_vm *vm) {
    return vm->env.parties == 1; /* one process stands for every party */
}

const void *vm_input_words(seq_vm *vm, int64_t in) {
    return vm->input[in];
}

void vm_input_read(seq_vm *vm, int64_t in, size_t begin, size_t end) {
    size_t word = vm->program->word;
    if (vm->reads[in] == 1) {
        memory_drop(vm, (uint8_t *)vm->input[in] + begin * word, (end - begin) * word);
    }
}

unsigned vm_input_party(seq_vm *vm, int64_t in) {
    return all_mine(vm) ? 0 : (unsigned)vm->program->input[in].party;
}

int vm_output_party(seq_vm *vm, int64_t out) {
    uint64_t party = vm->program->output[out].party;
    return party == PROGRAM_ALL_PARTIES ? -1 : all_mine(vm) ? 0 : (int)party;
}

void *vm_output_buffer(seq_vm *vm, int64_t out, size_t elements) {
    if (elements != vm->program->output[out].elements) {
        (void)vm_error(vm, vm->pc, SEQ_ERR_OURS, -1, "an output of %zu elements", elements);
        return NULL;
    }
    if (vm->output[out] == NULL) {
        vm->output[out] = memory_take(vm, elements * vm->program->word);
    }
    return vm->output[out];
}
