#include "par.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define STACK_BYTES ((size_t)4 << 20) /* kernels keep their packed blocks on the stack */

struct seq_pool {
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    pthread_t *workers;
    unsigned count; /* workers, the calling thread not included */
    unsigned busy;  /* threads inside fn */
    int stop;
    par_fn fn;
    void *arg;
    size_t n, step, next; /* the loop: pieces of step elements, from next on not yet claimed */
};

/* Claim and run pieces until none is left. Called and returns with the lock held. */
static void work(seq_pool *p) {
    while (p->next < p->n) {
        size_t begin = p->next;
        size_t end = p->n - begin > p->step ? begin + p->step : p->n;
        p->next = end;
        p->busy++;
        pthread_mutex_unlock(&p->lock);
        p->fn(p->arg, begin, end);
        pthread_mutex_lock(&p->lock);
        p->busy--;
    }
}

static void *worker(void *arg) {
    seq_pool *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (p->next >= p->n) {
            pthread_cond_wait(&p->start, &p->lock);
            continue;
        }
        work(p);
        if (p->busy == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Signals go to the threads that the application made, never to workers. */
static int start_worker(seq_pool *p, pthread_t *thread) {
    pthread_attr_t attr;
    sigset_t all, old;
    if (pthread_attr_init(&attr))
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (rc == 0)
        rc = pthread_create(thread, &attr, worker, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

seq_pool *par_create(unsigned threads) {
    seq_pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->start, NULL);
    pthread_cond_init(&p->done, NULL);
    unsigned want = threads > 1 ? threads - 1 : 0;
    p->workers = want ? calloc(want, sizeof *p->workers) : NULL;
    while (p->workers && p->count < want && start_worker(p, &p->workers[p->count]) == 0)
        p->count++;
    if (p->count < want) {
        par_destroy(p);
        return NULL;
    }
    return p;
}

void par_destroy(seq_pool *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = 1;
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->count; i++)
        pthread_join(p->workers[i], NULL);
    pthread_cond_destroy(&p->start);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}

unsigned par_threads(const seq_pool *p) {
    return p ? p->count + 1 : 1;
}

void par_for(seq_pool *p, size_t n, size_t grain, par_fn fn, void *arg) {
    if (n == 0)
        return;
    if (grain == 0)
        grain = 1;
    size_t units = (n - 1) / grain + 1;
    if (!p || p->count == 0 || units == 1) {
        fn(arg, 0, n);
        return;
    }
    /* About four pieces a thread even out what other work on the machine takes from one of them. */
    size_t each = units / (4 * (size_t)par_threads(p));
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->arg = arg;
    p->n = n;
    p->step = (each ? each : 1) * grain;
    p->next = 0;
    pthread_cond_broadcast(&p->start);
    work(p);
    while (p->busy)
        pthread_cond_wait(&p->done, &p->lock);
    p->n = p->next = 0;
    pthread_mutex_unlock(&p->lock);
}
