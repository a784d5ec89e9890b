#ifndef SEQ_MATERIAL_H
#define SEQ_MATERIAL_H
/* What is made before a run and kept in sealed files, one for each party that computes:
 * FOLDER/party-I/material. A part of vm.h, which includes it.
 *
 * A protocol that deals (`deals` of seq_protocol) has a last party that sends and needs nothing of
 * the others but openings to it. Making material is a run of that party alone: what it sends goes
 * to files, in front of them the keys that a handshake would have given both sides; openings reveal
 * nothing to it, and no program is accepted whose dealing depends on one. Using it is a run without
 * that party: its messages are read from the file.
 *
 * A protocol that prepares (`prepares`) makes material in a run of all its parties, of the steps
 * that prepare alone (task_prepares, machine.h): each writes its own file, with its keys of that
 * run in front, and what its tasks keep. Using it is a run under these keys without those steps. */

#include "../error.h"
#include "../net/net.h"
#include "sealed.h"

#define MATERIAL_ID 16

/* A record read before it was asked for. */
typedef struct material_record material_record;

typedef struct {
    const char *folder;                       /* NULL: none */
    int make;                                 /* or use */
    uint8_t key[NET_MAX_PARTIES][SEALED_KEY]; /* by party; to use: mine only */
    uint8_t id[MATERIAL_ID];                  /* names what was made; the same at all parties */
    sealed *file[NET_MAX_PARTIES];            /* by receiver; to use: mine only */
    uint64_t bytes;                           /* to use: of my file */
    material_record *early; /* records are used in about the order in which they were made */
} vm_material;

struct seq_vm;

/* Before a run, once the parties agree: open or begin the files. `keys` (of vm_keys): to make
 * material, a dealer's are drawn, other parties' are kept; to use it they become what the dealer
 * shares, pairs with it and the common key, or those that were kept.
 *
 * To use it, two exchanges. A party verifies its whole file, which no mark says was used, and tells
 * the others; when all did, it leaves its mark on the disk, removes the file's name and the wiped
 * key beside it, and tells the others; when all did, it goes on, with the file it has open. So
 * nothing that depends on material is sent while a mark is missing, and one party's mark keeps all
 * from using it again. A party that says anything else, or nothing within timeout_s and what its
 * file may take to read, is named in the error. */
seq_status material_begin(struct seq_vm *vm, double timeout_s, void *keys);
/* The dealer's message to a party, or what I keep. Errors are kept in vm->error. */
void material_put(struct seq_vm *vm, unsigned party, net_tag tag, const uint8_t *payload,
                  size_t bytes);
/* What was put with this tag, as net_take gives it: 1, or -1 with the error in vm->error. */
int material_take(struct seq_vm *vm, net_tag tag, size_t bytes, uint8_t **payload);
/* The end of the run: close the files; what was made gets its name if the run went well. */
void material_end(struct seq_vm *vm);

#endif
