/* Checkpoints: what is in their files, when they are written, and how parties agree on one. */
#include "vm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sealed.h"

enum { PATH = 4096, OFFERS = 4, STEP_OFFER = 3, STEP_LOADED = 4, STEP_SAVED = 16 };
#define WORDS_AT_ONCE ((size_t)1 << 15)

/* In front of every file; all of it must be what this run expects. */
typedef struct {
    char kind[8]; /* "state" or "still" */
    uint8_t program[32];
    char protocol[16];
    uint32_t me, parties;
    uint8_t run_id[16], public_seed[16], start[CHECKPOINT_START];
    uint64_t number; /* of the checkpoint; still: pc of the instruction */
    checkpoint_still still;
} heading;

/* The fixed part of the state. */
typedef struct {
    uint64_t pc, depth, instance, clock, streams, seeds, printed, line, instructions;
    uint64_t peak, run_ns, setup_ns, awaited_ns;
    uint64_t sent[VM_PARTIES], received[VM_PARTIES], wire[VM_PARTIES];
    vm_keys keys; /* second halves */
} fixed;

/* What a party can go on from. */
typedef struct {
    uint64_t number;
    uint8_t start[CHECKPOINT_START];
} offer;

/* One walk over what a file holds, writing it or reading it. */
typedef struct {
    seq_vm *vm;
    sealed *file;
    int reading;
    uint8_t *scratch; /* components x WORDS_AT_ONCE words */
} pass;

/* ---- names and headings ---- */

static void state_path(const seq_vm *vm, uint64_t number, char out[PATH]) {
    (void)snprintf(out, PATH, "%s/state-%llu", vm->checkpoint.folder, (unsigned long long)number);
}

/* Marks beside the files, that these are not to be resumed from. */
static void cheating_path(const seq_vm *vm, char out[PATH]) {
    (void)snprintf(out, PATH, "%s/cheating", vm->checkpoint.folder);
}

static void checking_path(const seq_vm *vm, char out[PATH]) {
    (void)snprintf(out, PATH, "%s/checking", vm->checkpoint.folder);
}

static void still_path(const seq_vm *vm, const checkpoint_still *s, char out[PATH]) {
    char start[17];
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(start + 2 * i, 3, "%02x", s->start[i]);
    }
    (void)snprintf(out, PATH, "%s/still-%llu-%s", vm->checkpoint.folder, (unsigned long long)s->pc,
                   start);
}

static heading heading_of(const seq_vm *vm, const char *kind, uint64_t number) {
    const vm_checkpoint *k = &vm->checkpoint;
    heading h;
    memset(&h, 0, sizeof h);
    (void)snprintf(h.kind, sizeof h.kind, "%s", kind);
    (void)snprintf(h.protocol, sizeof h.protocol, "%s", vm->protocol->name);
    memcpy(h.program, vm->program->hash, sizeof h.program);
    memcpy(h.run_id, k->run_id, sizeof h.run_id);
    memcpy(h.public_seed, k->public_seed, sizeof h.public_seed);
    memcpy(h.start, k->start, sizeof h.start);
    h.me = vm->env.me;
    h.parties = vm->env.parties;
    h.number = number;
    h.still = k->still;
    return h;
}

static seq_status foreign(seq_vm *vm, const char *path, const char *what) {
    return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1, "%.300s: belongs to another %s", path, what);
}

/* Open a file and compare its heading; NULL with the error set. */
static sealed *open_file(seq_vm *vm, const char *path, const char *kind, uint64_t number,
                         heading *h) {
    heading want = heading_of(vm, kind, number);
    sealed *file = sealed_open(path, "a checkpoint", vm->checkpoint.key, h, sizeof *h, &vm->error);
    if (file == NULL) {
        return NULL;
    }
    const char *what = memcmp(h->program, want.program, sizeof want.program) != 0      ? "program"
                       : memcmp(h->protocol, want.protocol, sizeof want.protocol) != 0 ? "protocol"
                       : h->parties != want.parties ? "number of parties"
                       : h->me != want.me           ? "party"
                       : memcmp(h->run_id, want.run_id, sizeof want.run_id) != 0 ? "run"
                       : memcmp(h->public_seed, want.public_seed, sizeof want.public_seed) != 0
                           ? "public seed"
                       : memcmp(h->kind, want.kind, sizeof want.kind) != 0 ? "kind of file"
                       : h->number != number ? "checkpoint than its name says"
                                             : NULL;
    if (what != NULL) {
        (void)foreign(vm, path, what);
        (void)sealed_close(file, 1, NULL);
        return NULL;
    }
    return file;
}

/* ---- the walk ---- */

static void move(pass *x, void *p, size_t n) {
    if (n == 0) {
        return;
    }
    if (x->reading) {
        sealed_read(x->file, p, n);
    } else {
        sealed_write(x->file, p, n);
    }
}

static int all_zero(const uint8_t *p, size_t n) {
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* A component of zeros takes no room in the file and no memory when it is read back: halves of
 * shared inputs are so by their protocol, which everybody knows; whole pieces of random shares are
 * not, so the branch tells nothing. */
static void move_piece(pass *x, uint8_t *words, size_t bytes) {
    uint64_t filled = x->reading ? 0 : !all_zero(words, bytes);
    move(x, &filled, sizeof filled);
    if (filled) {
        move(x, words, bytes);
    }
}

static int is_seeded(const seq_vm *vm, unsigned file, int64_t from, int64_t to) {
    for (size_t i = 0; file == FILE_S && i < vm->seeds; i++) {
        if (vm->seed[i].begin < to && from < vm->seed[i].end) {
            return 1;
        }
    }
    return 0;
}

/* Write n registers from `address` on with a fresh sharing of zero added. */
static void write_rerandomised(pass *x, unsigned file, int64_t address, size_t n, uint32_t range,
                               uint64_t first) {
    seq_vm *vm = x->vm;
    size_t bytes = n * (file == FILE_B ? 8 : vm->program->word);
    seq_reg copy = {.apart = WORDS_AT_ONCE * vm->program->word};
    for (unsigned c = 0; c < vm_components(vm, file); c++) {
        if (c < SEQ_NEAR_COMPONENTS) {
            copy.c[c] = x->scratch + c * copy.apart;
        }
        memcpy(seq_component(&copy, c), vm_register(vm, file, c, address), bytes);
    }
    vm->protocol->rerandomise(&vm->env, file == FILE_B, &copy, vm->instance, range, first, n);
    for (unsigned c = 0; c < vm_components(vm, file); c++) {
        move_piece(x, seq_component(&copy, c), bytes);
    }
}

/* Registers of the ranges listed in the operand `list`. The run goes on with the shares it has:
 * only what is written is re-randomised. */
static void move_ranges(pass *x, const int64_t *list, int rerandomised) {
    seq_vm *vm = x->vm;
    for (int64_t j = 1; j < list[0]; j += 3) {
        unsigned file = (unsigned)list[j];
        unsigned components = vm_components(vm, file);
        int fresh = rerandomised && !x->reading && file != FILE_C &&
                    vm->protocol->rerandomise != NULL &&
                    !is_seeded(vm, file, list[j + 1], list[j + 1] + list[j + 2]);
        for (uint64_t at = 0; at < (uint64_t)list[j + 2]; at += WORDS_AT_ONCE) {
            uint64_t left = (uint64_t)list[j + 2] - at;
            size_t n = left < WORDS_AT_ONCE ? (size_t)left : WORDS_AT_ONCE;
            int64_t address = list[j + 1] + (int64_t)at;
            if (fresh) {
                write_rerandomised(x, file, address, n, (uint32_t)j, at);
                continue;
            }
            for (unsigned c = 0; c < components; c++) {
                move_piece(x, vm_register(vm, file, c, address),
                           n * (file == FILE_B ? 8 : vm->program->word));
            }
        }
    }
}

static const int64_t *list_of(const seq_vm *vm, uint64_t pc, unsigned operand) {
    return vm->program->words + vm->program->instr[pc].arg[operand];
}

static uint64_t outermost(const seq_vm *vm) {
    return vm->depth > 0 ? vm->loop[0].pc : vm->pc;
}

static fixed collect(const seq_vm *vm) {
    fixed f;
    memset(&f, 0, sizeof f);
    f.pc = vm->pc;
    f.depth = vm->depth;
    f.instance = vm->instance;
    f.clock = vm->clock;
    f.streams = vm->stream_count;
    f.seeds = vm->seeds;
    f.printed = vm->checkpoint.printed.length;
    f.line = vm->line.length;
    f.instructions = vm->progress.instructions;
    f.peak = vm->peak;
    f.run_ns = vm_nanoseconds() - vm->began;
    f.setup_ns = vm->setup_ns;
    f.awaited_ns = vm->awaited_ns;
    for (unsigned p = 0; p < vm->env.parties; p++) {
        uint64_t sent, received, wire = 0;
        if (p != vm->env.me && vm->net != NULL) {
            net_counts(vm->net, p, &sent, &received, &wire);
        }
        f.sent[p] = vm->sent[p];
        f.received[p] = vm->received[p];
        f.wire[p] = vm->checkpoint.wire[p] + wire;
    }
    f.keys = vm->checkpoint.keys;
    return f;
}

/* For n bytes to be read into; 0, or -1 if memory ran out. */
static int make_room(vm_text *text, size_t n) {
    text->at = realloc(text->at, n + 1);
    text->length = text->at == NULL ? 0 : n;
    text->capacity = text->at == NULL ? 0 : n + 1;
    return text->at == NULL ? -1 : 0;
}

/* Take up what a file says; its numbers are checked, though only this party can have written them.
 */
static seq_status distribute(seq_vm *vm, const fixed *f) {
    const seq_program *p = vm->program;
    if (f->pc >= p->instrs || p->instr[f->pc].op->code != SEQ_OP_CHECKPOINT ||
        f->depth > PROGRAM_MAX_DEPTH || f->streams > p->instrs || f->seeds > VM_SEEDS ||
        f->line > ((uint64_t)1 << 20)) {
        return seq_fail(&vm->error, SEQ_ERR_OURS, -1, "a checkpoint that no run can have written");
    }
    vm->pc = f->pc;
    vm->depth = (unsigned)f->depth;
    vm->instance = f->instance;
    vm->clock = f->clock;
    vm->seeds = f->seeds;
    vm->progress.instructions = f->instructions;
    vm->peak = f->peak > vm->peak ? f->peak : vm->peak;
    vm->resumed_ns = f->run_ns;
    vm->setup_ns = f->setup_ns;
    vm->awaited_ns = f->awaited_ns;
    memcpy(vm->sent, f->sent, sizeof vm->sent);
    memcpy(vm->received, f->received, sizeof vm->received);
    memcpy(vm->checkpoint.wire, f->wire, sizeof vm->checkpoint.wire);
    vm->checkpoint.keys = f->keys;
    free(vm->streams);
    vm->streams = calloc(f->streams + 1, sizeof *vm->streams);
    if (vm->streams == NULL || make_room(&vm->line, f->line) != 0 ||
        make_room(&vm->checkpoint.printed, f->printed) != 0) {
        return seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "no memory to resume");
    }
    vm->stream_count = f->streams;
    return SEQ_OK;
}

/* Outputs so far: a flag each, and the words. */
static void move_outputs(pass *x) {
    seq_vm *vm = x->vm;
    for (uint64_t i = 0; i < vm->program->outputs; i++) {
        uint64_t written = vm->output[i] != NULL;
        move(x, &written, sizeof written);
        if (written) {
            void *words = vm_output_buffer(vm, (int64_t)i, vm->program->output[i].elements);
            if (words == NULL) {
                return;
            }
            move(x, words, vm->program->output[i].elements * vm->program->word);
        }
    }
}

static void move_state(pass *x) {
    seq_vm *vm = x->vm;
    fixed f = collect(vm);
    move(x, &f, sizeof f);
    if (!x->reading || distribute(vm, &f) == SEQ_OK) {
        move(x, vm->loop, vm->depth * sizeof *vm->loop);
        move(x, vm->streams, vm->stream_count * sizeof *vm->streams);
        move(x, vm->seed, vm->seeds * sizeof *vm->seed);
        move(x, vm->line.at, vm->line.length);
        move(x, vm->checkpoint.printed.at, vm->checkpoint.printed.length);
        move(x, vm->counter, vm->program->instrs * sizeof *vm->counter);
        move_outputs(x);
        move_ranges(x, list_of(vm, vm->pc, SEQ_ARG_CHECKPOINT_moving), 1);
    }
    prg_wipe(&f, sizeof f);
}

/* Whether input i is read in the loop that the run is in, or later. */
static int still_read(const seq_vm *vm, uint64_t i) {
    const seq_program *p = vm->program;
    int mine = vm->env.parties == 1 || p->input[i].party == vm->env.me, found = 0;
    for (uint64_t pc = outermost(vm); mine && pc < p->instrs; pc++) {
        const seq_instr *in = &p->instr[pc];
        found |= in->op->code == SEQ_OP_INPUT && (uint64_t)in->arg[SEQ_ARG_INPUT_in] == i;
    }
    return found;
}

/* What the loop that the run is in leaves alone: registers, and inputs that are yet to be read. */
static void move_still(pass *x, uint64_t pc) {
    seq_vm *vm = x->vm;
    for (uint64_t i = 0; i < vm->program->inputs; i++) {
        size_t bytes = vm->program->input[i].elements * vm->program->word;
        if (!still_read(vm, i)) {
            continue;
        }
        if (x->reading) {
            vm->input[i] = memory_take(vm, bytes);
        }
        if (vm->input[i] == NULL) {
            return;
        }
        move(x, vm->input[i], bytes);
    }
    move_ranges(x, list_of(vm, pc, SEQ_ARG_CHECKPOINT_still), 0);
}

/* ---- writing ---- */

static seq_status write_file(seq_vm *vm, const char *path, const heading *h, int still) {
    pass x = {.vm = vm};
    const unsigned words = vm->protocol->components, bits = vm->protocol->bit_components;
    x.scratch = memory_take(vm, (words > bits ? words : bits) * WORDS_AT_ONCE * vm->program->word);
    if (x.scratch != NULL) {
        x.file = sealed_create(path, vm->checkpoint.key, h, sizeof *h, &vm->error);
    }
    if (x.file != NULL) {
        if (still) {
            move_still(&x, vm->pc);
        } else {
            move_state(&x);
        }
        vm->checkpoint.saved_bytes += sealed_size(x.file);
        (void)sealed_close(x.file, 0, &vm->error);
    }
    memory_give(vm, x.scratch);
    return vm->error.status;
}

/* Whether the file of what stays the same, written last, serves here too. */
static int still_serves(const seq_vm *vm) {
    const checkpoint_still *s = &vm->checkpoint.still;
    if (s->pc == 0 || s->loop != outermost(vm)) {
        return 0;
    }
    const int64_t *a = list_of(vm, s->pc, SEQ_ARG_CHECKPOINT_still);
    const int64_t *b = list_of(vm, vm->pc, SEQ_ARG_CHECKPOINT_still);
    return a[0] == b[0] && memcmp(a, b, (size_t)(a[0] + 1) * sizeof *a) == 0;
}

static seq_status write_still(seq_vm *vm) {
    vm_checkpoint *k = &vm->checkpoint;
    char path[PATH];
    if (still_serves(vm)) {
        return SEQ_OK;
    }
    k->still = (checkpoint_still){.pc = vm->pc, .loop = outermost(vm)};
    memcpy(k->still.start, k->start, CHECKPOINT_START);
    still_path(vm, &k->still, path);
    heading h = heading_of(vm, "still", vm->pc);
    return write_file(vm, path, &h, 1);
}

/* Remove all files but those of the last two checkpoints. */
static void prune(const seq_vm *vm) {
    const vm_checkpoint *k = &vm->checkpoint;
    char keep[4][PATH], path[PATH];
    state_path(vm, k->saved, keep[0]);
    state_path(vm, k->kept, keep[1]);
    still_path(vm, &k->still, keep[2]);
    still_path(vm, &k->kept_still, keep[3]);
    DIR *folder = opendir(k->folder);
    for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        int ours = strncmp(e->d_name, "state-", 6) == 0 || strncmp(e->d_name, "still-", 6) == 0;
        for (unsigned i = 0; ours && i < 4; i++) {
            ours = strcmp(e->d_name, strrchr(keep[i], '/') + 1) != 0;
        }
        int length = snprintf(path, sizeof path, "%s/%s", k->folder, e->d_name);
        if (ours && length < PATH) {
            (void)unlink(path);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

/* All parties have what I wrote last: from then on one checkpoint before it may go. */
static seq_status confirm(seq_vm *vm) {
    uint64_t theirs[VM_PARTIES];
    uint32_t step = STEP_SAVED + (uint32_t)vm->checkpoint.unconfirmed;
    if (vm->env.parties == 1 || vm->checkpoint.unconfirmed == 0) {
        return SEQ_OK;
    }
    return exchange_take(vm, step, theirs, sizeof *theirs, 0);
}

static seq_status save(seq_vm *vm) {
    vm_checkpoint *k = &vm->checkpoint;
    checkpoint_still before = k->still;
    char path[PATH];
    machine_verify(vm);
    if (vm->error.status != SEQ_OK || confirm(vm) != SEQ_OK || write_still(vm) != SEQ_OK) {
        return vm->error.status;
    }
    state_path(vm, k->passed, path);
    heading h = heading_of(vm, "state", k->passed);
    if (write_file(vm, path, &h, 0) != SEQ_OK) {
        return vm->error.status;
    }
    k->kept = k->saved;
    k->kept_still = before;
    k->saved = k->unconfirmed = k->passed;
    prune(vm);
    if (vm->env.parties > 1) {
        uint64_t mine[VM_PARTIES] = {0};
        return exchange_send(vm, STEP_SAVED + (uint32_t)k->passed, mine, sizeof *mine);
    }
    return SEQ_OK;
}

void checkpoint_pass(seq_vm *vm) {
    vm_checkpoint *k = &vm->checkpoint;
    uint64_t began = vm_nanoseconds();
    vm->instance++; /* whether due or not: what follows has the same numbers in every run */
    k->passed++;
    if (k->folder == NULL || k->every == 0 || k->passed % k->every != 0) {
        return;
    }
    seq_status status = save(vm);
    if (status == SEQ_OK) {
        (void)pthread_mutex_lock(&vm->lock);
        vm->progress.checkpoint = k->saved;
        (void)pthread_mutex_unlock(&vm->lock);
    }
    k->saving_ns += vm_nanoseconds() - began;
    vm->counter[vm->pc].compute_ns += vm_nanoseconds() - began;
}

/* ---- resuming ---- */

/* The checkpoints in my folder that can be opened, greatest first; at most OFFERS. */
static seq_status list_offers(seq_vm *vm, offer out[OFFERS]) {
    char path[PATH];
    DIR *folder = opendir(vm->checkpoint.folder);
    memset(out, 0, OFFERS * sizeof *out);
    for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        char *end = NULL;
        uint64_t number =
            strncmp(e->d_name, "state-", 6) == 0 ? strtoull(e->d_name + 6, &end, 10) : 0;
        if (number == 0 || *end != 0 || number <= out[OFFERS - 1].number) {
            continue;
        }
        unsigned i = OFFERS - 1;
        for (; i > 0 && out[i - 1].number < number; i--) {
            out[i] = out[i - 1];
        }
        out[i].number = number;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    for (unsigned i = 0; i < OFFERS && out[i].number != 0; i++) {
        heading h;
        state_path(vm, out[i].number, path);
        sealed *file = open_file(vm, path, "state", out[i].number, &h);
        if (file == NULL) {
            return vm->error.status;
        }
        memcpy(out[i].start, h.start, sizeof h.start);
        (void)sealed_close(file, 1, NULL);
    }
    return SEQ_OK;
}

static int offers_has(const offer *list, const offer *one) {
    for (unsigned i = 0; i < OFFERS; i++) {
        if (list[i].number == one->number &&
            memcmp(list[i].start, one->start, sizeof one->start) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The greatest checkpoint that all parties have, of the same start. */
static seq_status agree(seq_vm *vm, double timeout_s, uint64_t *number) {
    offer mine[VM_PARTIES][OFFERS], theirs[VM_PARTIES][OFFERS];
    if (list_offers(vm, mine[0]) != SEQ_OK) {
        return vm->error.status;
    }
    for (unsigned p = 1; p < VM_PARTIES; p++) {
        memcpy(mine[p], mine[0], sizeof mine[0]);
    }
    if (vm->env.parties > 1 &&
        (exchange_send(vm, STEP_OFFER, mine, sizeof mine[0]) != SEQ_OK ||
         exchange_take(vm, STEP_OFFER, theirs, sizeof mine[0], timeout_s) != SEQ_OK)) {
        return vm->error.status;
    }
    for (unsigned i = 0; i < OFFERS && mine[0][i].number != 0; i++) {
        int all = 1;
        for (unsigned p = 0; p < vm->env.parties; p++) {
            all &= p == vm->env.me || offers_has(theirs[p], &mine[0][i]);
        }
        if (all) {
            *number = mine[0][i].number;
            return SEQ_OK;
        }
    }
    unsigned lacks = vm->env.me;
    for (unsigned p = 0; p < vm->env.parties; p++) {
        lacks = p != vm->env.me && theirs[p][0].number == 0 ? p : lacks;
    }
    if (mine[0][0].number == 0 || lacks != vm->env.me) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        "party %u has no checkpoint of this run: it was interrupted before its "
                        "first one, so start it anew",
                        mine[0][0].number == 0 ? vm->env.me : lacks);
    }
    return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                    "there is no checkpoint that all parties have (here the last is %llu): files "
                    "of one of them are missing or old",
                    (unsigned long long)mine[0][0].number);
}

static seq_status read_file(seq_vm *vm, const char *path, const char *kind, uint64_t number,
                            heading *h) {
    pass x = {.vm = vm, .reading = 1};
    x.file = open_file(vm, path, kind, number, h);
    if (x.file == NULL) {
        return vm->error.status;
    }
    if (strcmp(kind, "still") == 0) {
        move_still(&x, number);
    } else {
        move_state(&x);
    }
    (void)sealed_close(x.file, vm->error.status != SEQ_OK, &vm->error);
    return vm->error.status;
}

static seq_status load(seq_vm *vm, uint64_t number) {
    vm_checkpoint *k = &vm->checkpoint;
    char path[PATH];
    heading h, same;
    state_path(vm, number, path);
    if (read_file(vm, path, "state", number, &h) != SEQ_OK) {
        return vm->error.status;
    }
    k->passed = k->saved = k->resumed_from = number;
    k->still = h.still;
    if (h.still.pc >= vm->program->instrs ||
        vm->program->instr[h.still.pc].op->code != SEQ_OP_CHECKPOINT) {
        return seq_fail(&vm->error, SEQ_ERR_OURS, -1, "a checkpoint that no run can have written");
    }
    still_path(vm, &h.still, path);
    if (read_file(vm, path, "still", h.still.pc, &same) != SEQ_OK) {
        return vm->error.status;
    }
    if (memcmp(same.start, h.still.start, sizeof same.start) != 0) {
        return foreign(vm, path, "start of this run");
    }
    vm->pc++;
    return SEQ_OK;
}

/* The same at all parties, different at every start. */
static seq_status name_start(seq_vm *vm, const uint8_t common[32]) {
    static const char label[] = "sequester start";
    uint8_t text[sizeof label + 32], out[32];
    memcpy(text, label, sizeof label);
    memcpy(text + sizeof label, common, 32);
    int ok = EVP_Digest(text, sizeof text, out, NULL, EVP_sha256(), NULL);
    memcpy(vm->checkpoint.start, out, CHECKPOINT_START);
    prg_wipe(text, sizeof text);
    return ok ? SEQ_OK : seq_fail(&vm->error, SEQ_ERR_OURS, -1, "SHA-256 is not available");
}

/* Nobody goes on before all could load. */
static seq_status all_loaded(seq_vm *vm, double timeout_s, uint64_t number) {
    uint64_t mine[VM_PARTIES], theirs[VM_PARTIES];
    for (unsigned p = 0; p < VM_PARTIES; p++) {
        mine[p] = number;
    }
    if (vm->env.parties == 1) {
        return SEQ_OK;
    }
    if (exchange_send(vm, STEP_LOADED, mine, sizeof *mine) != SEQ_OK ||
        exchange_take(vm, STEP_LOADED, theirs, sizeof *theirs, timeout_s) != SEQ_OK) {
        return vm->error.status;
    }
    for (unsigned p = 0; p < vm->env.parties; p++) {
        if (p != vm->env.me && theirs[p] != number) {
            return seq_fail(&vm->error, SEQ_ERR_PEER, (int)p,
                            "party %u resumes from another checkpoint: %llu there, %llu here", p,
                            (unsigned long long)theirs[p], (unsigned long long)number);
        }
    }
    return SEQ_OK;
}

static void copy_second_halves(vm_keys *to, const vm_keys *from) {
    for (unsigned p = 0; p < VM_PARTIES; p++) {
        memcpy(to->pair[p] + 16, from->pair[p] + 16, 16);
    }
    for (unsigned g = 0; g < SEQ_GROUPS; g++) {
        memcpy(to->group[g] + 16, from->group[g] + 16, 16);
    }
    memcpy(to->common + 16, from->common + 16, 16);
}

void checkpoint_spoil(const seq_vm *vm) {
    char path[PATH];
    if (vm->checkpoint.folder == NULL) {
        return;
    }
    cheating_path(vm, path);
    FILE *f = fopen(path, "w");
    if (f != NULL) {
        (void)fprintf(f, "%s\n", vm->error.message);
        (void)fclose(f);
    }
}

seq_status checkpoint_resumable(seq_vm *vm, int yes) {
    char path[PATH];
    if (vm->checkpoint.folder == NULL) {
        return SEQ_OK;
    }
    checking_path(vm, path);
    if (yes && unlink(path) == 0) {
        return SEQ_OK;
    }
    int fd = yes ? -1 : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1, "%.300s: cannot be %s: %s", path,
                        yes ? "removed" : "made", strerror(errno));
    }
    (void)close(fd);
    return SEQ_OK;
}

/* Marks of a start before this one: removed, or (a resume) an error. */
static seq_status heed_marks(seq_vm *vm, int resume) {
    char cheating[PATH], checking[PATH];
    cheating_path(vm, cheating);
    checking_path(vm, checking);
    if (!resume && vm->checkpoint.folder != NULL) {
        (void)unlink(cheating);
        (void)unlink(checking);
    }
    if (resume && access(cheating, F_OK) == 0) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        "this run ended because cheating was detected, and is not resumed: every "
                        "start is another try for who cheats. Start it anew, or accept that and "
                        "remove %s",
                        cheating);
    }
    if (resume && access(checking, F_OK) == 0) {
        return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                        "this run ended within a check, and is not resumed: a party that made it "
                        "end there can know the key of the MACs, which stays the same. Start it "
                        "anew, or trust all parties and remove %s",
                        checking);
    }
    return SEQ_OK;
}

seq_status checkpoint_begin(seq_vm *vm, int resume, double timeout_s, vm_keys *keys) {
    vm_checkpoint *k = &vm->checkpoint;
    uint64_t number = 0;
    if (name_start(vm, keys->common) != SEQ_OK || heed_marks(vm, resume) != SEQ_OK) {
        return vm->error.status;
    }
    if (!resume) {
        copy_second_halves(&k->keys, keys);
        return SEQ_OK;
    }
    if (agree(vm, timeout_s, &number) != SEQ_OK || load(vm, number) != SEQ_OK) {
        return vm->error.status;
    }
    copy_second_halves(keys, &k->keys);
    seq_status status = all_loaded(vm, timeout_s, number);
    return status != SEQ_OK ? status : print_again(vm);
}
