/* The public interface: see sequester.h. */
#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define MIN_FRAME ((uint64_t)1 << 20)
#define MIN_MAILBOX ((uint64_t)1 << 28)

struct seq_run {
    seq_vm vm;
    seq_options options; /* strings copied */
    char channel[64];
    uint64_t wire_sent[VM_PARTIES];
};

static int report(const seq_error *error, seq_error_info *err) {
    if (err != NULL) {
        err->status = (int)error->status;
        err->party = error->party;
        err->instr = error->instr;
        memcpy(err->message, error->message, sizeof err->message);
    }
    return (int)error->status;
}

static void set_phase(seq_vm *vm, int phase) {
    (void)pthread_mutex_lock(&vm->lock);
    vm->progress.phase = phase;
    (void)pthread_mutex_unlock(&vm->lock);
}

/* ---- making a run ---- */

int seq_protocol_at(size_t i, seq_protocol_info *info) {
    const seq_protocol *p = protocol_at(i);
    if (p == NULL) {
        return 0;
    }
    *info = (seq_protocol_info){
        .name = p->name,
        .title = p->title,
        .adversary = p->adversary,
        .corrupt = p->corrupt,
        .parties_min = p->parties_min,
        .parties_max = p->parties_max,
        .threshold_num = p->threshold_num,
        .threshold_den = p->threshold_den,
        .ring64 = p->ring64 != 0 || p->wide,
        .ring128 = p->ring128 != 0,
        .field = p->field != 0,
        .insecure = p->insecure,
        .deals = p->deals,
        .prepares = p->prepares,
    };
    return 1;
}

void *seq_hub_create(unsigned parties) {
    return net_hub_create(parties);
}

void seq_hub_free(void *hub) {
    net_hub_destroy(hub);
}

/* What the program needs against what the protocol can do. */
static seq_status check_protocol(seq_vm *vm, const seq_options *o) {
    const seq_program *p = vm->program;
    const seq_protocol *protocol = vm->protocol;
    const unsigned all = vm->env.parties, absent = vm->env.ahead;
    if (all < protocol->parties_min || all > protocol->parties_max || o->me >= o->parties ||
        all > VM_PARTIES) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        "%s runs between %u to %u parties; this is party %u of %u", protocol->name,
                        protocol->parties_min - absent, protocol->parties_max - absent, o->me,
                        all - absent);
    }
    const int prepares = protocol->deals || protocol->prepares;
    if (o->material_folder != NULL && (!prepares || o->checkpoint_folder != NULL)) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        prepares ? "a run from material made before cannot be saved"
                                 : "%s has nothing to be made before a run",
                        protocol->name);
    }
    if (o->material_folder != NULL && ahead_check(p, &vm->error) != SEQ_OK) {
        return vm->error.status;
    }
    if (p->field && !protocol->field) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        "%s works in rings, and the program is compiled for the field 2^127 - 1: "
                        "compile with --protocol %s",
                        protocol->name, protocol->name);
    }
    if (p->wide && !protocol->wide) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        "%s needs no words that are wider than numbers: compile with --protocol %s",
                        protocol->name, protocol->name);
    }
    if (!p->field && !p->wide && !(p->ring_bits == 64 ? protocol->ring64 : protocol->ring128)) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        "%s does not work in the ring 2^%u: compile with --protocol %s",
                        protocol->name, p->ring_bits, protocol->name);
    }
    for (uint64_t i = 0; i < p->instrs; i++) {
        const isa_op *op = p->instr[i].op;
        if (op->interactive && protocol->start[op->code - SEQ_OP_FIRST_INTERACTIVE] == NULL) {
            return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1, "%s:%u: %s has no instruction %s",
                            p->line[i].file, p->line[i].line, protocol->name, op->name);
        }
    }
    for (uint64_t i = 0; o->parties > 1 && i < p->inputs + p->outputs; i++) {
        int is_input = i < p->inputs;
        uint64_t party = is_input ? p->input[i].party : p->output[i - p->inputs].party;
        if (party >= all - absent && party != PROGRAM_ALL_PARTIES) {
            return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                            "%s '%.60s' belongs to party %llu, and there are %u parties",
                            is_input ? "input" : "output",
                            is_input ? p->input[i].name : p->output[i - p->inputs].name,
                            (unsigned long long)party, all - absent);
        }
    }
    return protocol->check(p->ring_bits, p->k, p->f, p->stat, &vm->error);
}

static seq_status find_protocol(seq_vm *vm, const char *name) {
    vm->protocol = protocol_find(name);
    if (vm->protocol != NULL) {
        return SEQ_OK;
    }
    return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1, "there is no protocol '%.40s'", name);
}

/* In a loop an instruction counts twice. */
static void count_reads(seq_vm *vm) {
    const seq_program *p = vm->program;
    unsigned depth = 0;
    for (uint64_t i = 0; i < p->instrs; i++) {
        const seq_instr *in = &p->instr[i];
        depth += in->op->code == SEQ_OP_LOOP;
        depth -= in->op->code == SEQ_OP_ENDLOOP;
        if (in->op->code == SEQ_OP_INPUT) {
            uint8_t *reads = &vm->reads[in->arg[SEQ_ARG_INPUT_in]];
            *reads = *reads > 0 || depth > 0 ? 2 : 1;
        }
    }
}

static seq_status prepare(seq_vm *vm, const seq_options *o) {
    const seq_program *p = vm->program;
    seq_status status = find_protocol(vm, o->protocol);
    vm->checkpoint.folder = o->checkpoint_folder;
    const int material = status == SEQ_OK && o->material_folder != NULL;
    vm->env.ahead = material && vm->protocol->deals;
    vm->env.phase = !material || vm->env.ahead ? SEQ_ALL
                    : o->material_make         ? SEQ_PREPARE
                                               : SEQ_ONLINE;
    vm->env.parties = o->parties + (vm->env.ahead && !o->material_make);
    if (status != SEQ_OK || (status = check_protocol(vm, o)) != SEQ_OK) {
        return status;
    }
    vm->env = (seq_env){.me = o->me,
                        .parties = vm->env.parties,
                        .ahead = vm->env.ahead,
                        .phase = vm->env.phase,
                        .ring_bits = p->ring_bits,
                        .k = p->k,
                        .f = p->f,
                        .stat = p->stat,
                        .checked = o->checked < 0 ? p->checked : o->checked};
    vm->env.ring = ring_select(p->field ? RING_FIELD : p->wide ? 128 : p->ring_bits);
    vm->env.bits = bits_select();
    if (vm->env.ring == NULL || vm->env.bits == NULL) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        "SEQUESTER_KERNELS names kernels that this processor does not have");
    }
    prg_init(&vm->public_key, o->public_seed);
    vm->later_at = &vm->later;
    vm->counter = calloc(p->instrs, sizeof *vm->counter);
    vm->handle = calloc(p->handles + 1, sizeof *vm->handle);
    vm->input = calloc(p->inputs + 1, sizeof *vm->input);
    vm->given = calloc(p->inputs + 1, sizeof *vm->given);
    vm->output = calloc(p->outputs + 1, sizeof *vm->output);
    vm->reads = calloc(p->inputs + 1, 1);
    if (!vm->counter || !vm->handle || !vm->input || !vm->given || !vm->output || !vm->reads) {
        return seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "no memory to prepare a run");
    }
    count_reads(vm);
    return memory_create(vm);
}

static const char *keep(seq_vm *vm, const char *text) {
    char *copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && copy == NULL) {
        (void)seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "no memory to prepare a run");
    }
    return copy;
}

/* Copy the options' strings, so that the caller's may go. */
static seq_status keep_strings(seq_vm *vm, seq_options *o) {
    o->protocol = keep(vm, o->protocol);
    o->ca_file = keep(vm, o->ca_file);
    o->cert_file = keep(vm, o->cert_file);
    o->key_file = keep(vm, o->key_file);
    o->options = keep(vm, o->options);
    o->checkpoint_folder = keep(vm, o->checkpoint_folder);
    o->material_folder = keep(vm, o->material_folder);
    vm->material.folder = o->material_folder;
    for (unsigned i = 0; i < VM_PARTIES; i++) {
        o->hosts[i] = keep(vm, o->hosts[i]);
    }
    return vm->error.status;
}

seq_run *seq_run_new(const seq_program *program, const seq_options *options, seq_error_info *err) {
    seq_error none = {.party = -1, .instr = -1};
    seq_run *run = calloc(1, sizeof *run);
    if (run == NULL || options->protocol == NULL) {
        (void)seq_fail(&none, run == NULL ? SEQ_ERR_MEMORY : SEQ_ERR_CONFIG, -1,
                       run == NULL ? "no memory to prepare a run" : "no protocol is named");
        (void)report(&none, err);
        free(run);
        return NULL;
    }
    run->options = *options;
    run->vm.error = none;
    run->vm.program = program;
    run->vm.checkpoint.every = options->checkpoint_every;
    memcpy(run->vm.checkpoint.key, options->checkpoint_key, CHECKPOINT_KEY);
    run->vm.material.make = options->material_folder != NULL && options->material_make;
    memcpy(run->vm.material.id, options->material_id, sizeof options->material_id);
    memcpy(run->vm.material.key, options->material_key, sizeof options->material_key);
    memcpy(run->vm.checkpoint.run_id, options->run_id, sizeof options->run_id);
    memcpy(run->vm.checkpoint.public_seed, options->public_seed, sizeof options->public_seed);
    (void)pthread_mutex_init(&run->vm.lock, NULL);
    if (keep_strings(&run->vm, &run->options) != SEQ_OK ||
        prepare(&run->vm, &run->options) != SEQ_OK) {
        (void)report(&run->vm.error, err);
        seq_run_free(run);
        return NULL;
    }
    return run;
}

int seq_run_input(seq_run *run, size_t input, size_t first, const void *words, size_t elements,
                  seq_error_info *err) {
    seq_vm *vm = &run->vm;
    const seq_program *p = vm->program;
    seq_error error = {.party = -1, .instr = -1};
    if (input >= p->inputs || !memory_is_mine(vm, p->input[input].party)) {
        (void)seq_fail(&error, SEQ_ERR_CONFIG, -1, "input %zu is not one of party %u", input,
                       vm->env.me);
        return report(&error, err);
    }
    uint64_t all = p->input[input].elements;
    if (first != vm->given[input] || elements > all - first) {
        (void)seq_fail(&error, SEQ_ERR_CONFIG, -1,
                       "input '%.60s' has %llu elements, %zu are given from element %zu on, after "
                       "%llu",
                       p->input[input].name, (unsigned long long)all, elements, first,
                       (unsigned long long)vm->given[input]);
        return report(&error, err);
    }
    if (vm->input[input] == NULL) {
        vm->input[input] = memory_take(vm, all * p->word);
    }
    if (vm->input[input] == NULL) {
        return report(&vm->error, err);
    }
    uint8_t *to = (uint8_t *)vm->input[input] + first * p->word;
    vm->env.ring->from_signed(to, words, elements);
    VM_SECRET(to, elements * p->word);
    vm->given[input] += elements;
    return 0;
}

/* ---- running ---- */

static seq_status check_inputs(seq_vm *vm) {
    const seq_program *p = vm->program;
    for (uint64_t i = 0; i < p->inputs; i++) {
        if (memory_is_mine(vm, p->input[i].party) &&
            (vm->input[i] == NULL || vm->given[i] < p->input[i].elements)) {
            return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                            "input '%.60s' of party %llu is missing", p->input[i].name,
                            (unsigned long long)p->input[i].party);
        }
    }
    return SEQ_OK;
}

static seq_status connect_parties(seq_run *run) {
    seq_vm *vm = &run->vm;
    const seq_options *o = &run->options;
    uint64_t registers = 4 * vm->file_total;
    registers = registers > vm->protocol->frame ? registers : vm->protocol->frame;
    if (o->parties == 1) {
        (void)snprintf(run->channel, sizeof run->channel, "none");
        return SEQ_OK;
    }
    const int alone = vm->env.ahead && o->material_make;
    net_options n = {.kind = (net_kind)o->channel,
                     .me = alone ? 0 : o->me,
                     .parties = alone ? 1 : o->parties,
                     .listen_fd = o->listen_fd,
                     .hub = o->hub,
                     .ca_file = o->ca_file,
                     .cert_file = o->cert_file,
                     .key_file = o->key_file,
                     .timeout_s = o->timeout_s,
                     .connect_timeout_s = o->connect_timeout_s,
                     .stop = &vm->stop};
    n.max_frame = registers > MIN_FRAME ? registers : MIN_FRAME;
    n.max_mailbox = registers > MIN_MAILBOX ? registers : MIN_MAILBOX;
    for (unsigned p = 0; p < o->parties; p++) {
        if (o->hosts[p] != NULL) {
            (void)snprintf(n.address[p].host, sizeof n.address[p].host, "%s", o->hosts[p]);
        }
        n.address[p].port = o->ports[p];
    }
    vm->patience = o->timeout_s + 2; /* heartbeats come every second */
    vm->net = net_open(&n, &vm->error);
    if (vm->net == NULL) {
        return vm->error.status;
    }
#ifdef SEQ_TEST
    net_set_tamper(vm->net, vm->tamper, vm->tamper_arg);
#endif
    (void)snprintf(run->channel, sizeof run->channel, "%s", net_channel(vm->net));
    return SEQ_OK;
}

static seq_status agree_and_set_up(seq_run *run) {
    seq_vm *vm = &run->vm;
    vm_keys keys;
    memset(&keys, 0, sizeof keys);
    handshake_terms terms = {.options = run->options.options,
                             .run_id = run->options.run_id,
                             .public_seed = run->options.public_seed,
                             .every = run->options.checkpoint_every,
                             .resume = run->options.resume,
                             .timeout_s = run->options.connect_timeout_s};
    const unsigned parties = vm->env.parties;
    vm->env.parties -= vm->env.ahead; /* who is here */
    const int alone = vm->env.ahead && vm->material.make;
    seq_status status = alone ? SEQ_OK : handshake(vm, &terms, &keys);
    vm->env.parties = parties;
    if (status == SEQ_OK && vm->material.folder != NULL) {
        status = material_begin(vm, run->options.connect_timeout_s, &keys);
    }
    if (status == SEQ_OK) {
        VM_SECRET(&keys, sizeof keys);
        status = checkpoint_begin(vm, run->options.resume, run->options.connect_timeout_s, &keys);
    }
    if (status == SEQ_OK) {
        const seq_keys shown = {(const uint8_t (*)[32])keys.pair, (const uint8_t (*)[32])keys.group,
                                keys.common};
        status = vm->protocol->setup(&vm->env, &shown, &vm->env.protocol, &vm->error);
    }
    if (status == SEQ_OK && vm->env.phase != SEQ_ONLINE) {
        status = handshake_meet(vm, run->options.connect_timeout_s);
    }
    prg_wipe(&keys, sizeof keys);
    return status;
}

static seq_status run_all(seq_run *run) {
    seq_vm *vm = &run->vm;
    uint64_t began = vm_nanoseconds();
    const int given = !run->options.resume && vm->env.phase != SEQ_PREPARE;
    seq_status status = given ? check_inputs(vm) : SEQ_OK;
    if (status != SEQ_OK) {
        return status;
    }
    vm->env.pool = par_create(run->options.threads == 0 ? 1 : run->options.threads);
    if (vm->env.pool == NULL) {
        return seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "threads could not be started");
    }
    if ((status = connect_parties(run)) != SEQ_OK || (status = agree_and_set_up(run)) != SEQ_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&vm->lock);
    vm->setup_ns += vm_nanoseconds() - began;
    vm->began = vm_nanoseconds() - vm->resumed_ns;
    vm->progress.phase = 2;
    vm->progress.checkpoint = vm->progress.resumed_from = vm->checkpoint.resumed_from;
    vm->progress.resumed_lines = vm->checkpoint.resumed_lines;
    (void)pthread_mutex_unlock(&vm->lock);
    return interp_run(vm);
}

/* Outputs leave as signed numbers. */
static void convert_outputs(seq_vm *vm) {
    for (uint64_t i = 0; vm->error.status == SEQ_OK && i < vm->program->outputs; i++) {
        if (vm->output[i] != NULL) {
            vm->env.ring->to_signed(vm->output[i], vm->output[i], vm->program->output[i].elements);
        }
    }
}

/* Disconnect; wipe and free what the run held, but for outputs. */
static void finish(seq_run *run) {
    seq_vm *vm = &run->vm;
    (void)pthread_mutex_lock(&vm->lock);
    vm->ended = vm_nanoseconds();
    (void)pthread_mutex_unlock(&vm->lock);
    machine_destroy(vm);
    material_end(vm);
    convert_outputs(vm);
    if (vm->net != NULL) {
        uint64_t sent, received;
        for (unsigned p = 0; p < vm->env.parties; p++) {
            if (p != vm->env.me) {
                net_counts(vm->net, p, &sent, &received, &run->wire_sent[p]);
                run->wire_sent[p] += vm->checkpoint.wire[p];
            }
        }
        vm->frames = net_memory(vm->net);
        if (vm->error.status == SEQ_ERR_CHEAT) {
            checkpoint_spoil(vm);
        }
        if (vm->error.status == SEQ_OK) {
            net_close(vm->net);
        } else {
            net_abort(vm->net, vm->error.message);
        }
        vm->net = NULL;
    }
    if (vm->env.protocol != NULL) {
        vm->protocol->teardown(vm->env.protocol);
        vm->env.protocol = NULL;
    }
    memory_wipe_registers(vm);
    par_destroy(vm->env.pool);
    vm->env.pool = NULL;
    set_phase(vm, vm->error.status == SEQ_OK ? 3 : 4);
}

int seq_run_execute(seq_run *run, seq_error_info *err) {
    seq_vm *vm = &run->vm;
    if (vm->progress.phase != 0) {
        seq_error again = {.party = -1, .instr = -1};
        (void)seq_fail(&again, SEQ_ERR_OURS, -1, "a run is executed twice");
        return report(&again, err);
    }
    set_phase(vm, 1);
#ifndef SEQ_TEST /* sanitizers look into the process */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    (void)run_all(run);
    finish(run);
    return report(&vm->error, err);
}

void seq_run_stop(seq_run *run) {
    __atomic_store_n(&run->vm.stop, 1, __ATOMIC_RELAXED);
}

void seq_run_free(seq_run *run) {
    if (run == NULL) {
        return;
    }
    seq_vm *vm = &run->vm;
    seq_options *o = &run->options;
    machine_destroy(vm);
    memory_wipe_registers(vm);
    for (uint64_t i = 0; vm->input != NULL && i < vm->program->inputs; i++) {
        memory_give(vm, vm->input[i]);
    }
    for (uint64_t i = 0; vm->output != NULL && i < vm->program->outputs; i++) {
        memory_give(vm, vm->output[i]);
    }
    memory_destroy(vm);
    print_destroy(vm);
    (void)pthread_mutex_destroy(&vm->lock);
    free(vm->input);
    free(vm->given);
    free(vm->reads);
    free(vm->output);
    free(vm->counter);
    free(vm->streams);
    for (unsigned i = 0; i < VM_PARTIES; i++) {
        free((char *)(uintptr_t)o->hosts[i]);
    }
    const char *text[] = {o->protocol, o->ca_file,           o->cert_file,      o->key_file,
                          o->options,  o->checkpoint_folder, o->material_folder};
    for (unsigned i = 0; i < sizeof text / sizeof text[0]; i++) {
        free((char *)(uintptr_t)text[i]);
    }
    prg_wipe(run, sizeof *run);
    free(run);
}

/* ---- while running, and results ---- */

void seq_run_progress(const seq_run *run, seq_progress *out) {
    seq_vm *vm = &((seq_run *)(uintptr_t)run)->vm;
    (void)pthread_mutex_lock(&vm->lock);
    *out = vm->progress;
    uint64_t now = vm->ended != 0 ? vm->ended : vm_nanoseconds();
    out->seconds = vm->began == 0 ? 0 : (double)(now - vm->began) * 1e-9;
    (void)pthread_mutex_unlock(&vm->lock);
}

int seq_run_print(seq_run *run, char *buf, size_t capacity) {
    return print_take(&run->vm, buf, capacity);
}

int seq_run_output(const seq_run *run, size_t output, const void **words, size_t *elements) {
    const seq_vm *vm = &run->vm;
    if (output >= vm->program->outputs || vm->output[output] == NULL ||
        vm->error.status != SEQ_OK) {
        return 0;
    }
    *words = vm->output[output];
    *elements = vm->program->output[output].elements;
    return 1;
}

int seq_run_counter(const seq_run *run, size_t i, seq_counter *out) {
    if (i >= run->vm.program->instrs) {
        return 0;
    }
    *out = run->vm.counter[i];
    return 1;
}

void seq_run_totals(const seq_run *run, seq_totals *out) {
    const seq_vm *vm = &run->vm;
    *out = (seq_totals){.rounds = vm->clock,
                        .peak_bytes = vm->peak + vm->frames,
                        .predicted_peak_bytes = memory_foreseen(vm),
                        .setup_ns = vm->setup_ns,
                        .run_ns = vm->began == 0 ? 0 : vm->ended - vm->began,
                        .awaited_ns = vm->awaited_ns,
                        .saving_ns = vm->checkpoint.saving_ns,
                        .saved_bytes = vm->checkpoint.saved_bytes};
    memcpy(out->sent, vm->sent, sizeof out->sent);
    memcpy(out->received, vm->received, sizeof out->received);
    memcpy(out->wire_sent, run->wire_sent, sizeof out->wire_sent);
    (void)snprintf(out->kernels, sizeof out->kernels, "%s", vm->env.ring->name);
    (void)snprintf(out->prg, sizeof out->prg, "%s", prg_name());
    (void)snprintf(out->tls, sizeof out->tls, "%s", run->channel);
}

#ifdef SEQ_TEST
void seq_run_fix(seq_run *run, const uint8_t *seed) {
    run->vm.fixed = seed != NULL;
    if (seed != NULL) {
        memcpy(run->vm.fixed_seed, seed, sizeof run->vm.fixed_seed);
    }
}

void seq_run_tamper(seq_run *run, net_tamper fn, vm_cheating cheat, void *arg) {
    run->vm.tamper = fn;
    run->vm.cheat = cheat;
    run->vm.tamper_arg = arg;
}

uint64_t seq_run_trace(const seq_run *run) {
    return run->vm.trace;
}
#endif

void seq_run_material(const seq_run *run, uint8_t id[16]) {
    memcpy(id, run->vm.material.id, MATERIAL_ID);
}
