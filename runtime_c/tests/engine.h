#ifndef SEQ_ENGINE_H
#define SEQ_ENGINE_H
/* A small task engine for tests of protocols: all parties in one thread, messages in memory. It
 * implements what vm/machine.h declares for protocols, in lockstep and without a VM, so that the
 * real step functions run under scripted randomness; it records every message and the causal depth
 * of each. */

#include "../protocols/protocol.h"

enum { ENGINE_PARTIES = 5, ENGINE_GROUPS = 10 };
/* Second byte of a seed; the first has a bit for each party that knows it, and program says that it
 * is the half for what the program draws. */
enum { ENGINE_PAIR, ENGINE_GROUP, ENGINE_COMMON, ENGINE_PROGRAM = 8 };

typedef struct message {
    struct message *next;
    unsigned from, to, depth; /* depth: messages in the longest chain that ends with this one */
    uint64_t instance;
    uint16_t sub;
    uint32_t chunk, step;
    int taken;
    size_t bytes;
    uint8_t *data;
} message;

typedef struct {
    const seq_protocol *protocol;
    unsigned parties, running; /* running: the party that is set up */
    seq_vm *vm[ENGINE_PARTIES];
    message *first, *last; /* of the last call, in the order sent */
    uint64_t instance;
    const void *input; /* the words of input 0, which belongs to input_party */
    unsigned input_party;
    int output_party; /* -1: all */
    void *output[ENGINE_PARTIES];
    unsigned rounds, depth; /* declared, and measured: the longest chain */
    uint64_t sent[ENGINE_PARTIES][ENGINE_PARTIES];
    int fill; /* what frames and scratch memory hold at first */
    /* Pair i: parties i and i + 1; the keys before derivation, and those of the program's own. */
    prg_key pair[ENGINE_PARTIES], program[ENGINE_PARTIES];
} engine;

/* bits: ring and bit kernels; 0, or -1 without memory. */
int engine_init(engine *e, const seq_protocol *protocol, unsigned parties, unsigned ring_bits,
                const ring_ops *ring, const bits_ops *bits);
void engine_free(engine *e);
/* Handlers spread their loops over the pool from now on; at first, and for NULL, they do not. */
void engine_threads(engine *e, seq_pool *pool);
/* Run one interactive instruction at all parties: arg alike, reg[party] the registers. The index of
 * the arguments is that of the instruction. 0, or -1 if a party failed or they wait for ever. */
int engine_call(engine *e, uint16_t op, const int64_t *arg, seq_reg reg[][SEQ_MAX_OPERANDS]);

#endif
