#ifndef SEQ_TAMPER_H
#define SEQ_TAMPER_H
/* What a cheating party does to the messages it sends: rules for the runner's --tamper. Only in
 * test builds, on top of net_set_tamper.
 *
 *     FROM:TO:FRAME:ACTION[:NUMBER[:NUMBER]]
 *
 * FRAME counts the data frames from FROM to TO, those of the handshake first, from 0. Actions:
 *     flip:BIT        one bit (mod the frame's length)
 *     add:WORD:VALUE  to a 64-bit word (mod the frame's words; a shorter frame: to its first byte)
 *     fill:VALUE      every byte
 *     noise:SEED      every byte, at random
 *     drop            the frame is never sent
 *     twice           the frame is sent two times
 *     delay:COUNT     the frame is sent behind the next COUNT frames, or never if there are fewer
 *     replay:COUNT    the frame has the bytes of the one before it by COUNT, as far as both have
 *     swap:OTHER      the frame has what its sender had for party OTHER last, alike */

#include "../net/net.h"

typedef struct tamper tamper;

tamper *tamper_new(void); /* NULL if memory ran out */
void tamper_free(tamper *t);
int tamper_rule(tamper *t, const char *text); /* 0, or -1 if it is none */
/* The hook, for all parties alike; arg: a tamper. */
int tamper_frame(void *arg, net *n, unsigned from, unsigned to, net_tag tag, uint8_t *payload,
                 size_t bytes);
/* Frames from one party to another so far. */
unsigned tamper_count(const tamper *t, unsigned from, unsigned to);

#endif
