#ifndef SEQ_ERROR_H
#define SEQ_ERROR_H
/* Status codes and error messages. Every function that can fail returns a seq_status and fills the
 * seq_error it was given; nothing exits, aborts or jumps. */

#include <stddef.h>
#include <stdint.h>

typedef enum {
    SEQ_OK = 0,
    SEQ_ERR_PROGRAM = 1, /* bytecode refused: corrupted, hostile, or not runnable here */
    SEQ_ERR_AUTHOR = 2,  /* the program's mistake at run time: range, index, division by zero */
    SEQ_ERR_PEER = 3,    /* a peer or the network: closed, silent, babbling, disagreeing */
    SEQ_ERR_CONFIG = 4,  /* configuration, certificates, inputs */
    SEQ_ERR_STOPPED = 5, /* the stop flag was set */
    SEQ_ERR_MEMORY = 6,  /* an allocation failed */
    SEQ_ERR_CHEAT = 7,   /* a check of a malicious protocol failed */
    SEQ_ERR_OURS = 8     /* a broken invariant: our bug */
} seq_status;

typedef struct {
    seq_status status;
    int party;         /* the peer concerned, or -1 */
    int64_t instr;     /* index of the instruction concerned, or -1 */
    char message[512]; /* one line, UTF-8, no trailing newline */
} seq_error;

/* Fill *err (which may be NULL) and return status. printf-like. Keeps an error that is set already.
 */
seq_status seq_fail(seq_error *err, seq_status status, int party, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
