#ifndef SEQ_MASKS_H
#define SEQ_MASKS_H
/* Counts what is drawn from streams, in place of AES: every word of every stream, by whom and for
 * which task. A word that hides two values would be drawn for two tasks, or twice in one step.
 *
 * Where there are too many words, they are dealt into `parts` by a hash, and those of one part are
 * counted: all runs from part 0 to parts - 1 together count every word. */

void masks_begin(unsigned part, unsigned parts);
/* Prints `masks N`, and of words that were drawn more than once by a party, by purpose:
 *     tasks P N   for two tasks       steps P N   again in a later step of the same task
 *     twice P N   again in the step           setup P N   twice, before any task */
void masks_end(void);

#endif
