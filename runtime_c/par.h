#ifndef SEQ_PAR_H
#define SEQ_PAR_H
/* A pool of worker threads for data-parallel loops. */
#include <stddef.h>

typedef struct seq_pool seq_pool;
typedef void (*par_fn)(void *arg, size_t begin, size_t end);

/* threads >= 1 counts the calling thread; NULL if threads could not be started. */
seq_pool *par_create(unsigned threads);
void par_destroy(seq_pool *pool);
unsigned par_threads(const seq_pool *pool); /* 1 for NULL */
/* Call fn on disjoint ranges that cover [0, n), each a multiple of grain long (the last excepted);
 * returns when all are done. pool may be NULL. Not reentrant: fn must not call par_for. For half a
 * millisecond after a call workers stay awake, giving way to whoever can run; then they sleep. */
void par_for(seq_pool *pool, size_t n, size_t grain, par_fn fn, void *arg);

#endif
