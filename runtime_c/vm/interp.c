/* The interpreter: control flow, dispatch, progress, public randomness' bookkeeping, errors. */
#include "vm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(ISA_S == (int)FILE_S && ISA_B == (int)FILE_B && ISA_C == (int)FILE_C,
               "one numbering");
_Static_assert(SEQ_ISA_MAX_OPERANDS <= SEQ_MAX_OPERANDS, "calls carry every operand");
_Static_assert(PROGRAM_MAX_RANK <= RING_MAX_RANK, "walks fit");

uint64_t vm_nanoseconds(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

seq_status vm_error(seq_vm *vm, uint64_t instr, seq_status status, int party, const char *fmt,
                    ...) {
    if (vm->error.status != SEQ_OK) {
        return vm->error.status;
    }
    const seq_program *p = vm->program;
    const seq_line *line = &p->line[instr];
    char text[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (status == SEQ_ERR_AUTHOR) {
        (void)seq_fail(&vm->error, status, party, "%.100s:%u: %s", line->file, line->line, text);
    } else {
        (void)seq_fail(&vm->error, status, party, "%s [in %s, %.60s:%u]", text,
                       p->instr[instr].op->name, line->file, line->line);
    }
    vm->error.instr = (int64_t)instr;
    return status;
}

static int clear_is_zero(const seq_vm *vm, int64_t address) {
    return local_word(vm, vm_register(vm, FILE_C, 0, address), 0) == 0;
}

/* ---- progress ---- */

static void publish(seq_vm *vm) {
    const seq_program *p = vm->program;
    uint64_t sent = 0;
    for (unsigned i = 0; i < vm->env.parties; i++) {
        sent += vm->sent[i];
    }
    (void)pthread_mutex_lock(&vm->lock);
    seq_progress *g = &vm->progress;
    g->instructions++;
    g->rounds = vm->clock;
    g->bytes_sent = sent;
    g->depth = vm->depth < SEQ_PROGRESS_DEPTH ? vm->depth : SEQ_PROGRESS_DEPTH;
    for (unsigned i = 0; i < g->depth; i++) {
        g->iteration[i] = vm->loop[i].iteration;
        g->trips[i] = vm->loop[i].trips;
        g->line[i] = p->line[vm->loop[i].pc].line;
    }
    (void)pthread_mutex_unlock(&vm->lock);
}

/* ---- control flow ---- */

static uint64_t enter_loop(seq_vm *vm, const seq_instr *in) {
    uint64_t trips = (uint64_t)in->arg[SEQ_ARG_LOOP_trips];
    if (trips == 0) {
        return in->target + 1;
    }
    local_set_word(vm, vm_register(vm, FILE_C, 0, in->arg[SEQ_ARG_LOOP_c]), 0, 0);
    vm->loop[vm->depth++] = (vm_loop){.pc = vm->pc, .trips = trips};
    return vm->pc + 1;
}

static uint64_t next_iteration(seq_vm *vm, const seq_instr *in) {
    vm_loop *l = &vm->loop[vm->depth - 1];
    if (++l->iteration == l->trips) {
        vm->depth--;
        return vm->pc + 1;
    }
    const seq_instr *loop = &vm->program->instr[in->target];
    void *counter = vm_register(vm, FILE_C, 0, loop->arg[SEQ_ARG_LOOP_c]);
    local_set_word(vm, counter, 0, (__int128)l->iteration);
    return in->target + 1;
}

/* Control flow and joins: the next pc. */
static uint64_t control(seq_vm *vm, const seq_instr *in) {
    switch (in->op->code) {
    case SEQ_OP_LOOP:
        return enter_loop(vm, in);
    case SEQ_OP_ENDLOOP:
        return next_iteration(vm, in);
    case SEQ_OP_BREAKZ:
        if (!clear_is_zero(vm, in->arg[SEQ_ARG_BREAKZ_c])) {
            return vm->pc + 1;
        }
        vm->depth--;
        return in->target + 1;
    case SEQ_OP_IF:
        return clear_is_zero(vm, in->arg[SEQ_ARG_IF_c]) ? in->target + 1 : vm->pc + 1;
    case SEQ_OP_ELSE:
        return in->target + 1;
    case SEQ_OP_JOIN:
        machine_join(vm, (uint64_t)in->arg[SEQ_ARG_JOIN_h]);
        return vm->pc + 1;
    case SEQ_OP_CHECKPOINT:
        checkpoint_pass(vm);
        return vm->pc + 1;
    default: /* endif */
        return vm->pc + 1;
    }
}

/* SEQUESTER_DEBUG=5: every instruction, after it was carried out. */
static void trace(const seq_vm *vm, const seq_instr *in, uint64_t began) {
    const seq_line *line = &vm->program->line[vm->pc];
    (void)fprintf(stderr, "party %u: %6llu %-10s %s:%u %s  %.3f ms, clock %llu\n", vm->env.me,
                  (unsigned long long)vm->pc, in->op->name, line->file, line->line, line->scope,
                  (double)(vm_nanoseconds() - began) * 1e-6, (unsigned long long)vm->clock);
}

static void run_local(seq_vm *vm, const seq_instr *in) {
    uint64_t began = vm_nanoseconds();
    vm_local handler = local_handler(in->op->code);
    seq_status status =
        handler == NULL ? vm_error(vm, vm->pc, SEQ_ERR_OURS, -1, "no handler for this instruction")
                        : handler(vm, in);
    if (status != SEQ_OK) {
        (void)vm_error(vm, vm->pc, status, -1, "failed");
    }
    vm->counter[vm->pc].compute_ns += vm_nanoseconds() - began;
}

seq_status interp_run(seq_vm *vm) {
    const seq_program *p = vm->program;
    const char *level = getenv("SEQUESTER_DEBUG");
    int debug = level != NULL && atoi(level) >= 5;
    uint64_t next, began = 0;
    for (; p->instr[vm->pc].op->code != SEQ_OP_END; vm->pc = next) {
        const seq_instr *in = &p->instr[vm->pc];
        if (__atomic_load_n(&vm->stop, __ATOMIC_RELAXED)) {
            return seq_fail(&vm->error, SEQ_ERR_STOPPED, -1, "stopped");
        }
        began = debug ? vm_nanoseconds() : 0;
        vm->counter[vm->pc].executed++;
        next = vm->pc + 1;
        if (in->op->code <= SEQ_OP_CHECKPOINT) {
            next = control(vm, in);
        } else if (in->op->interactive) {
            machine_start(vm, in);
        } else {
            run_local(vm, in);
        }
        if (vm->error.status != SEQ_OK) {
            return vm->error.status;
        }
        if (debug) {
            trace(vm, in, began);
        }
        publish(vm);
    }
    vm->counter[vm->pc].executed++;
    print_end(vm);
    return vm->error.status;
}
