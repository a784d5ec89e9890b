/* Material for a run, made before it. See material.h. */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PATH 4400
enum { VERSION = 2, STEP_VERIFIED = 5, STEP_MARKED = 6 };

/* In front of a file: read by its owner, and by nobody changed. */
typedef struct {
    char kind[16], protocol[16];
    uint32_t version, parties, party, unused;
    uint8_t program[32], public_seed[16], id[MATERIAL_ID];
} material_header;

typedef struct {
    uint64_t instance, bytes;
    uint32_t step, unused;
} message_header;

/* What parties tell each other before they use material. */
typedef struct {
    char said[16];
    uint8_t id[MATERIAL_ID];
} saying;

struct material_record {
    material_record *next;
    message_header header;
    uint8_t *payload; /* of net_alloc */
};

static unsigned online(const seq_vm *vm) {
    return vm->env.parties - (unsigned)vm->env.ahead;
}

static material_header header_of(const seq_vm *vm, unsigned party) {
    material_header h;
    memset(&h, 0, sizeof h);
    (void)snprintf(h.kind, sizeof h.kind, "material");
    (void)snprintf(h.protocol, sizeof h.protocol, "%s", vm->protocol->name);
    h.version = VERSION;
    h.parties = online(vm);
    h.party = party;
    memcpy(h.program, vm->program->hash, sizeof h.program);
    memcpy(h.public_seed, vm->checkpoint.public_seed, sizeof h.public_seed);
    memcpy(h.id, vm->material.id, sizeof h.id);
    return h;
}

static void path_of(const seq_vm *vm, unsigned party, const char *suffix, char path[MAX_PATH]) {
    (void)snprintf(path, MAX_PATH, "%.4000s/party-%u/material%s", vm->material.folder, party,
                   suffix);
}

/* Behind all messages. */
static const message_header END = {.instance = UINT64_MAX};

static seq_status make_file(seq_vm *vm, unsigned party, vm_keys *keys) {
    char path[MAX_PATH];
    path_of(vm, party, "", path);
    const material_header h = header_of(vm, party);
    sealed *f = sealed_create(path, vm->material.key[party], &h, sizeof h, &vm->error);
    if (f == NULL) {
        return vm->error.status;
    }
    vm->material.file[party] = f;
    if (!vm->env.ahead) {
        sealed_write(f, keys, sizeof *keys);
        return SEQ_OK;
    }
    sealed_write(f, keys->pair[party], sizeof keys->pair[party]);
    sealed_write(f, keys->common, sizeof keys->common);
    return SEQ_OK;
}

/* The same name at all parties, and another one each time. */
static void name(seq_vm *vm, const vm_keys *keys) {
    prg_key common, apart;
    uint64_t id[2];
    prg_init(&common, keys->common);
    prg_derive(&apart, &common, UINT64_MAX, 0);
    prg_words(&apart, 0, 0, id, 2);
    memcpy(vm->material.id, id, sizeof id);
    prg_wipe(&common, sizeof common);
    prg_wipe(&apart, sizeof apart);
}

static seq_status make(seq_vm *vm, vm_keys *keys) {
    if (!vm->env.ahead) {
        name(vm, keys);
        return make_file(vm, vm->env.me, keys);
    }
    int ok = prg_system(keys->common, sizeof keys->common) == 0;
    for (unsigned i = 0; ok && i < online(vm); i++) {
        ok = prg_system(keys->pair[i], sizeof keys->pair[i]) == 0;
    }
    if (!ok) {
        return seq_fail(&vm->error, SEQ_ERR_OURS, -1, "the system gives no random bytes");
    }
    seq_status status = SEQ_OK;
    for (unsigned i = 0; status == SEQ_OK && i < online(vm); i++) {
        status = make_file(vm, i, keys);
    }
    return status;
}

static seq_status used_before(seq_vm *vm, const char *mark) {
    return seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                    "%.300s is there: this material was used by a run before, and serves no "
                    "second one",
                    mark);
}

/* What happened in the party's folder outlives the machine. */
static int sync_folder(const seq_vm *vm) {
    char path[MAX_PATH];
    (void)snprintf(path, sizeof path, "%.4000s/party-%u", vm->material.folder, vm->env.me);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ok = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0) {
        (void)close(folder);
    }
    return ok;
}

static seq_status mark(seq_vm *vm) {
    char path[MAX_PATH];
    path_of(vm, vm->env.me, ".used", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return used_before(vm, path);
    }
    int ok = fd >= 0 && fsync(fd) == 0;
    ok &= fd >= 0 && close(fd) == 0;
    return ok && sync_folder(vm)
               ? SEQ_OK
               : seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                          "%.300s: material cannot be marked as used: %s", path, strerror(errno));
}

/* Zeros over a file that may not be there, on the disk. */
static int overwrite(const char *path) {
    const uint8_t zeros[64] = {0};
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT;
    }
    off_t left = lseek(fd, 0, SEEK_END);
    int ok = left >= 0 && lseek(fd, 0, SEEK_SET) == 0;
    while (ok && left > 0) {
        ssize_t n = write(fd, zeros, left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros);
        ok = n > 0;
        left -= n;
    }
    ok = ok && fsync(fd) == 0;
    return close(fd) == 0 && ok;
}

/* Nobody opens the file again: it is open, and goes when that is closed. */
static seq_status discard(seq_vm *vm) {
    char path[MAX_PATH];
    path_of(vm, vm->env.me, ".key", path); /* beside it, unless it is kept elsewhere */
    int ok = overwrite(path) && (unlink(path) == 0 || errno == ENOENT);
    path_of(vm, vm->env.me, "", path);
    ok = ok && unlink(path) == 0 && sync_folder(vm);
    return ok ? SEQ_OK
              : seq_fail(&vm->error, SEQ_ERR_CONFIG, -1,
                         "%.300s: material or its key cannot be removed: %s", path,
                         strerror(errno));
}

/* Whether a file is for this run. */
static seq_status fits(seq_vm *vm, const char *path, const material_header *h) {
    const material_header own = header_of(vm, vm->env.me);
    const char *what = NULL;
    if (strncmp(h->kind, own.kind, sizeof h->kind) != 0 || h->version != VERSION) {
        what = "is no material, or of another version";
    } else if (memcmp(h->program, own.program, sizeof h->program) != 0) {
        what = "was made for another program";
    } else if (memcmp(h->protocol, own.protocol, sizeof h->protocol) != 0 ||
               h->parties != own.parties) {
        what = "was made for another protocol or number of parties";
    } else if (h->party != own.party) {
        what = "was made for another party";
    } else if (memcmp(h->public_seed, own.public_seed, sizeof h->public_seed) != 0) {
        what = "was made for other public randomness (--seed)";
    } else if (memcmp(h->id, own.id, sizeof h->id) != 0) {
        what = "is not the one that the other parties have";
    }
    return what == NULL ? SEQ_OK
                        : seq_fail(&vm->error, SEQ_ERR_CONFIG, -1, "%.300s: %s", path, what);
}

static void take_keys(const seq_vm *vm, sealed *f, vm_keys *keys) {
    if (!vm->env.ahead) {
        sealed_read(f, keys, sizeof *keys);
        return;
    }
    /* What the parties agreed on by themselves is what the dealer does not know. */
    memcpy(keys->group[0], keys->common, sizeof keys->common);
    sealed_read(f, keys->pair[online(vm)], sizeof keys->pair[0]);
    sealed_read(f, keys->common, sizeof keys->common);
}

/* An error of the file, if it has one, is the run's. */
static seq_status kept(seq_vm *vm, seq_status status, const sealed *f) {
    return status == SEQ_OK ? SEQ_OK
                            : seq_fail(&vm->error, status, -1, "%s", sealed_error(f)->message);
}

/* Open the file and read all of it, which ends as it was written or not at all; then begin anew. */
static seq_status verify(seq_vm *vm) {
    char path[MAX_PATH];
    material_header h;
    message_header m = {0};
    vm_keys skipped = {0};
    enum { PIECE = 1 << 16 };
    path_of(vm, vm->env.me, ".used", path);
    if (access(path, F_OK) == 0) {
        return used_before(vm, path);
    }
    path_of(vm, vm->env.me, "", path);
    sealed *f =
        sealed_open(path, "material", vm->material.key[vm->env.me], &h, sizeof h, &vm->error);
    vm->material.file[vm->env.me] = f;
    if (f == NULL || fits(vm, path, &h) != SEQ_OK) {
        return vm->error.status;
    }
    uint8_t *piece = malloc(PIECE);
    if (piece == NULL) {
        return seq_fail(&vm->error, SEQ_ERR_MEMORY, -1, "no memory for material");
    }
    take_keys(vm, f, &skipped);
    while (m.instance != END.instance && sealed_error(f)->status == SEQ_OK) {
        sealed_read(f, &m, sizeof m);
        for (uint64_t left = m.bytes; left > 0 && sealed_error(f)->status == SEQ_OK;) {
            const size_t n = left < PIECE ? (size_t)left : PIECE;
            sealed_read(f, piece, n);
            left -= n;
        }
    }
    vm->material.bytes = sealed_size(f);
    prg_wipe(&skipped, sizeof skipped);
    prg_wipe(piece, PIECE);
    free(piece);
    return kept(vm, sealed_rewind(f), f);
}

/* Tell all parties that compute how far I am with my material, and hear the same of them. */
static seq_status agree(seq_vm *vm, uint32_t step, double timeout_s) {
    saying mine = {.said = "verified"}, theirs[VM_PARTIES] = {0};
    if (step == STEP_MARKED) {
        (void)snprintf(mine.said, sizeof mine.said, "marked as used");
    }
    memcpy(mine.id, vm->material.id, sizeof mine.id);
    saying all[VM_PARTIES];
    const unsigned parties = vm->env.parties;
    for (unsigned p = 0; p < parties; p++) {
        all[p] = mine;
    }
    vm->env.parties = online(vm);
    seq_status status = exchange_send(vm, step, all, sizeof mine);
    if (status == SEQ_OK) {
        status = exchange_take(vm, step, theirs, sizeof mine, timeout_s);
    }
    vm->env.parties = parties;
    for (unsigned p = 0; status == SEQ_OK && p < online(vm); p++) {
        if (p != vm->env.me && memcmp(&theirs[p], &mine, sizeof mine) != 0) {
            return seq_fail(&vm->error, SEQ_ERR_PEER, (int)p,
                            "party %u does not say that its material, the same as here, is %s", p,
                            mine.said);
        }
    }
    return status;
}

static seq_status use(seq_vm *vm, double timeout_s, vm_keys *keys) {
    if (verify(vm) != SEQ_OK) {
        return vm->error.status;
    }
    /* A peer's file may take longer to read than mine. */
    const double patience = timeout_s + (double)vm->material.bytes / (1 << 24);
    if (agree(vm, STEP_VERIFIED, patience) != SEQ_OK || mark(vm) != SEQ_OK ||
        discard(vm) != SEQ_OK || agree(vm, STEP_MARKED, timeout_s) != SEQ_OK) {
        return vm->error.status;
    }
    sealed *f = vm->material.file[vm->env.me];
    take_keys(vm, f, keys);
    return kept(vm, sealed_error(f)->status, f);
}

seq_status material_begin(seq_vm *vm, double timeout_s, void *keys) {
    return vm->material.make ? make(vm, keys) : use(vm, timeout_s, keys);
}

void material_put(seq_vm *vm, unsigned party, net_tag tag, const uint8_t *payload, size_t bytes) {
    const message_header h = {.instance = tag.instance, .bytes = bytes, .step = tag.step};
    sealed *f = vm->material.file[party];
    sealed_write(f, &h, sizeof h);
    sealed_write(f, payload, bytes);
    const seq_error *e = sealed_error(f);
    if (e->status != SEQ_OK && vm->error.status == SEQ_OK) {
        (void)vm_error(vm, vm->pc, e->status, -1, "%s", e->message);
    }
}

static void free_record(material_record *r) {
    if (r != NULL) {
        net_free(r->payload);
    }
    free(r);
}

/* The next record of the file; NULL at the end, or with the error in vm->error. */
static material_record *next_record(seq_vm *vm) {
    sealed *f = vm->material.file[vm->env.me];
    material_record *r = calloc(1, sizeof *r);
    if (r != NULL) {
        sealed_read(f, &r->header, sizeof r->header);
    }
    const seq_error *e = sealed_error(f);
    if (r != NULL && e->status == SEQ_OK && r->header.instance == END.instance) {
        free(r);
        return NULL;
    }
    if (r != NULL && e->status == SEQ_OK) {
        r->payload = net_alloc(vm->net, r->header.bytes);
    }
    if (r != NULL && r->payload != NULL) {
        sealed_read(f, r->payload, r->header.bytes);
    }
    if (r != NULL && r->payload != NULL && e->status == SEQ_OK) {
        return r;
    }
    const int memory = e->status == SEQ_OK;
    (void)vm_error(vm, vm->pc, memory ? SEQ_ERR_MEMORY : e->status, -1, "%s",
                   memory ? "no memory for material" : e->message);
    free_record(r);
    return NULL;
}

int material_take(seq_vm *vm, net_tag tag, size_t bytes, uint8_t **payload) {
    material_record **at = &vm->material.early;
    while (vm->error.status == SEQ_OK) {
        if (*at == NULL && (*at = next_record(vm)) == NULL) {
            break;
        }
        material_record *r = *at;
        if (r->header.instance == tag.instance && r->header.step == tag.step &&
            r->header.bytes == bytes) {
            *at = r->next;
            *payload = r->payload;
            free(r);
            return 1;
        }
        at = &r->next;
    }
    if (vm->error.status == SEQ_OK) {
        (void)vm_error(vm, vm->pc, SEQ_ERR_OURS, -1,
                       "the material has nothing more that fits the %zu bytes that instruction "
                       "%llu awaits",
                       bytes, (unsigned long long)(tag.instance >> 16));
    }
    return -1;
}

void material_end(seq_vm *vm) {
    for (unsigned i = 0; i < NET_MAX_PARTIES; i++) {
        sealed *f = vm->material.file[i];
        vm->material.file[i] = NULL;
        if (f != NULL && (vm->error.status != SEQ_OK || !vm->material.make)) {
            sealed_abandon(f);
        } else if (f != NULL) {
            sealed_write(f, &END, sizeof END);
            (void)sealed_close(f, 0, &vm->error);
        }
    }
    while (vm->material.early != NULL) {
        material_record *r = vm->material.early;
        vm->material.early = r->next;
        free_record(r);
    }
    prg_wipe(vm->material.key, sizeof vm->material.key);
}
