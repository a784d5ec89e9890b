#include "error.h"

#include <stdarg.h>
#include <stdio.h>

seq_status seq_fail(seq_error *err, seq_status status, int party, const char *fmt, ...) {
    if (err == NULL || err->status != SEQ_OK) {
        return status;
    }
    err->status = status;
    err->party = party;
    err->instr = -1;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    return status;
}
