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
 *     swap:OTHER      the frame has what its sender had for party OTHER last, alike
 *
 * A cheater that goes on with what it sent is made by
 *
 *     PARTY:KIND:NUMBER:WORD:VALUE
 *
 * VALUE is added to a 64-bit word (mod their number) of the NUMBERth time, from 0, that the party
 * makes words of this kind (vm/machine.h: vm_cheat), in what it sends and in its own share alike.
 * Kinds are those of the calls in protocols/, and `share` and `bits`: a component of all registers,
 * where each interactive instruction counts once for each component, before it starts. */

#include "../net/net.h"

typedef struct tamper tamper;

tamper *tamper_new(void); /* NULL if memory ran out */
void tamper_free(tamper *t);
/* --tamper, --cheat or --view, and what follows it; 0, or -1 if it is no rule. */
int tamper_option(tamper *t, const char *option, const char *text);
/* The hook, for all parties alike; arg: a tamper. */
int tamper_frame(void *arg, net *n, unsigned from, unsigned to, net_tag tag, uint8_t *payload,
                 size_t bytes);
/* Frames from one party to another so far. */
unsigned tamper_count(const tamper *t, unsigned from, unsigned to);
void tamper_words(void *arg, unsigned me, const char *kind, void *words, size_t bytes);
/* The i-th kind of words that a party has made, and how often; NULL: there are no more. */
const char *tamper_made(const tamper *t, unsigned party, unsigned i, unsigned *count);

#endif
