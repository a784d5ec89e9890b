#ifndef SEQUESTER_H
#define SEQUESTER_H
/* The runtime's public interface: what Python (cffi, API mode; runtime_c/bindings.py reads this
 * file) and the C runner use. Everything hangs off the objects; there is no global mutable state.
 *
 * Order of use: load -> new -> input* -> execute (blocks; own thread) -> outputs, counters -> free.
 * progress, prints and stop may be called from another thread while execute runs. */

#include <stddef.h>
#include <stdint.h>

typedef struct seq_program seq_program;
typedef struct seq_run seq_run;

typedef struct {
    int status; /* seq_status of error.h */
    int party;
    int64_t instr;
    char message[512];
} seq_error_info;

/* ---- programs ---- */
/* Validate bytecode entirely and keep a copy; NULL and *err (with the offset and the reason) if
 * refused. */
seq_program *seq_program_load(const uint8_t *bytes, size_t length, seq_error_info *err);
void seq_program_free(seq_program *program);
void seq_program_hash(const seq_program *program, uint8_t out[32]);

/* ---- protocols ---- */
typedef struct {
    const char *name, *title, *adversary;
    const char *corrupt; /* who may be, where the threshold does not say it; or NULL */
    unsigned parties_min, parties_max, threshold_num, threshold_den;
    int ring64, ring128, field, insecure;
    int deals, prepares; /* material can be made before a run, by a dealer or by the parties */
} seq_protocol_info;
/* 1 and *info, or 0 past the last one. */
int seq_protocol_at(size_t i, seq_protocol_info *info);

/* ---- runs ---- */
typedef struct {
    const char *protocol;
    unsigned me, parties, threads;
    int channel; /* 0 memory, 1 TCP, 2 TLS */
    const char *hosts[10];
    uint16_t ports[10];
    int listen_fd; /* inherited listening socket or -1 */
    void *hub;     /* memory channel: from seq_hub_create */
    const char *ca_file, *cert_file, *key_file;
    double timeout_s, connect_timeout_s;
    uint8_t run_id[16];      /* agreed beforehand; compared in the handshake */
    uint8_t public_seed[16]; /* the program's public randomness; compared in the handshake */
    int checked;             /* emulate: check ranges (-1: as the bytecode says) */
    const char *options;     /* text of whatever else must agree among parties; compared by hash */
    const char *checkpoint_folder; /* exists; NULL: nothing is saved */
    uint64_t checkpoint_every;     /* save at every so manieth checkpoint passed; 0: never */
    uint8_t checkpoint_key[32];    /* encrypts what is saved; mine alone */
    const char *material_folder;   /* of material made before the run; NULL: none */
    int material_make;             /* it is made: by me, the dealer, or by all parties; else it is
                                    * used: then `parties` are those that compute */
    uint8_t material_id[16];       /* names it; the same at all parties (who name it themselves
                                    * when they make it together) */
    uint8_t material_key[10][32];  /* encrypts each party's part; to use it: mine alone */
    int resume;                    /* go on from what the folder holds; inputs are in it */
} seq_options;

void *seq_hub_create(unsigned parties);
void seq_hub_free(void *hub);

seq_run *seq_run_new(const seq_program *program, const seq_options *options, seq_error_info *err);
/* Words (8 or 16 bytes each) of one of my inputs, copied: elements [first, first + elements), in
 * order and each once; an empty input is given as well. 0 or a status with *err. */
int seq_run_input(seq_run *run, size_t input, size_t first, const void *words, size_t elements,
                  seq_error_info *err);
/* Connect, agree, run, check, disconnect. 0 or a status with *err. */
int seq_run_execute(seq_run *run, seq_error_info *err);
void seq_run_stop(seq_run *run); /* thread-safe and signal-safe */
void seq_run_free(seq_run *run); /* wipes all secrets */

/* ---- while running ---- */
#define SEQ_PROGRESS_DEPTH 8
typedef struct {
    int phase;                   /* 0 new, 1 connecting, 2 running, 3 finished, 4 failed */
    uint64_t instructions;       /* executed so far */
    uint64_t rounds, bytes_sent; /* so far */
    double seconds;              /* since the start of phase 2 */
    unsigned depth;              /* loops we are in, outermost first */
    uint64_t iteration[SEQ_PROGRESS_DEPTH], trips[SEQ_PROGRESS_DEPTH];
    uint32_t line[SEQ_PROGRESS_DEPTH];
    uint64_t checkpoint;    /* the last one on disk; 0: none */
    uint64_t resumed_from;  /* the one this start began with; 0: from the beginning */
    uint64_t resumed_lines; /* printed before that one */
} seq_progress;
void seq_run_progress(const seq_run *run, seq_progress *out);
/* Next finished printed line, without newline, into buf (cut at capacity); 1, or 0 if there is
 * none. */
int seq_run_print(seq_run *run, char *buf, size_t capacity);

/* ---- results ---- */
/* Output `output`, if I am a receiver and it was written: pointer to its words (owned by the run)
 * and their number; 1, else 0. */
int seq_run_output(const seq_run *run, size_t output, const void **words, size_t *elements);

typedef struct {
    uint64_t executed;   /* times started */
    uint64_t compute_ns; /* in handlers and task steps */
    uint64_t wait_ns;    /* blocked in its join */
    uint64_t rounds;     /* growth of the round clock at its joins */
    uint64_t sent[10];   /* payload bytes to each peer */
} seq_counter;
/* Counters of instruction i (its position in CODE, counted in instructions); 1, or 0 past the end.
 */
int seq_run_counter(const seq_run *run, size_t i, seq_counter *out);

typedef struct {
    uint64_t rounds, peak_bytes, predicted_peak_bytes;
    uint64_t sent[10], received[10], wire_sent[10]; /* payload, payload, payload + framing */
    uint64_t setup_ns, run_ns, awaited_ns; /* awaited: while at least one message was awaited */
    uint64_t saving_ns, saved_bytes;       /* checkpoints, of this start */
    char kernels[32], prg[32], tls[64];
} seq_totals;
void seq_run_totals(const seq_run *run, seq_totals *out);
/* The name of the material that was made or used. */
void seq_run_material(const seq_run *run, uint8_t id[16]);

#endif
