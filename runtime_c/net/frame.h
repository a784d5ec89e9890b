#ifndef SEQ_FRAME_H
#define SEQ_FRAME_H
/* The header of a frame, and text that came from a peer. */

#include "net.h"

#define FRAME_HEADER 24
#define FRAME_REASON 256 /* most bytes of an abort's reason */

enum { FRAME_DATA = 0, FRAME_HEARTBEAT = 1, FRAME_GOODBYE = 2, FRAME_ABORT = 3 };

typedef struct {
    net_tag tag;
    uint32_t kind;
    uint64_t bytes;
} frame_header;

void frame_encode(uint8_t out[FRAME_HEADER], const frame_header *header);
/* NULL if the header is valid, else what is wrong with it (text written to why). */
const char *frame_decode(const uint8_t in[FRAME_HEADER], uint64_t max_frame, frame_header *header,
                         char *why, size_t size);
/* out = text with everything but printable ASCII replaced by '?', cut to size - 1, terminated. */
void frame_printable(char *out, size_t size, const uint8_t *text, size_t n);

#endif
