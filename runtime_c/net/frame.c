#include "frame.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

void frame_encode(uint8_t out[FRAME_HEADER], const frame_header *header) {
    uint64_t instance = htole64(header->tag.instance), bytes = htole64(header->bytes);
    uint32_t step = htole32(header->tag.step), kind = htole32(header->kind);
    memcpy(out, &instance, 8);
    memcpy(out + 8, &step, 4);
    memcpy(out + 12, &kind, 4);
    memcpy(out + 16, &bytes, 8);
}

const char *frame_decode(const uint8_t in[FRAME_HEADER], uint64_t max_frame, frame_header *header,
                         char *why, size_t size) {
    uint64_t instance, bytes;
    uint32_t step, kind;
    memcpy(&instance, in, 8);
    memcpy(&step, in + 8, 4);
    memcpy(&kind, in + 12, 4);
    memcpy(&bytes, in + 16, 8);
    header->tag = (net_tag){.instance = le64toh(instance), .step = le32toh(step)};
    header->kind = le32toh(kind);
    header->bytes = le64toh(bytes);

    static const char *const names[] = {"data", "heartbeat", "goodbye", "abort"};
    if (header->kind > FRAME_ABORT) {
        (void)snprintf(why, size, "unknown kind %u of frame", header->kind);
        return why;
    }
    uint64_t limit[] = {max_frame, 0, 0, FRAME_REASON};
    if (header->bytes > limit[header->kind]) {
        (void)snprintf(why, size, "%s frame of %llu bytes where at most %llu are allowed",
                       names[header->kind], (unsigned long long)header->bytes,
                       (unsigned long long)limit[header->kind]);
        return why;
    }
    uint32_t most = header->kind == FRAME_HEARTBEAT; /* 1: the sender itself waits */
    if (header->kind != FRAME_DATA && (header->tag.instance != 0 || header->tag.step > most)) {
        (void)snprintf(why, size, "%s frame with a tag", names[header->kind]);
        return why;
    }
    return NULL;
}

void frame_printable(char *out, size_t size, const uint8_t *text, size_t n) {
    size_t length = n < size - 1 ? n : size - 1;
    for (size_t i = 0; i < length; i++) {
        out[i] = text[i] >= 0x20 && text[i] < 0x7f ? (char)text[i] : '?';
    }
    out[length] = '\0';
}
