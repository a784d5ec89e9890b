#define _GNU_SOURCE
#include "par.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define STACK_BYTES ((size_t)4 << 20) /* kernels keep their packed blocks on the stack */
#define AWAKE_NS 500000               /* how long a thread that waits gives way before it sleeps */

struct seq_pool {
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    pthread_t *workers;
    unsigned count; /* workers, the calling thread not included */
    unsigned loops; /* so far */
    int cpu;        /* of the thread that asks for them */
    unsigned busy;  /* workers inside the loop; it ends when there are none */
    int stop;
    par_fn fn;
    void *arg;
    size_t n, step, next; /* the loop: pieces of step elements, from next on not yet claimed */
};

/* Give way to other threads while *word is `value`, for a while. To wake a thread that sleeps takes
 * as long as many a loop does, and on a virtual machine longer. A worker that shares the caller's
 * CPU sleeps all the same: waking it is when the kernel finds it another. */
static void stay_awake(const unsigned *word, unsigned value) {
    struct timespec start, now;
    long passed = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (passed < AWAKE_NS && __atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
        passed = (now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec;
    }
}

/* A counter that stay_awake looks at changes; lock held. */
static void change(unsigned *word, unsigned value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Claim and run pieces until none is left. */
static void work(seq_pool *p) {
    for (;;) {
        size_t begin = __atomic_fetch_add(&p->next, p->step, __ATOMIC_RELAXED);
        if (begin >= p->n)
            return;
        p->fn(p->arg, begin, p->n - begin > p->step ? begin + p->step : p->n);
    }
}

/* Whether pieces are left to claim. */
static int open_loop(const seq_pool *p) {
    return __atomic_load_n(&p->next, __ATOMIC_RELAXED) < p->n;
}

static void *worker(void *arg) {
    seq_pool *p = arg;
    unsigned seen = 0;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (open_loop(p)) {
            change(&p->busy, p->busy + 1);
            pthread_mutex_unlock(&p->lock);
            work(p);
            pthread_mutex_lock(&p->lock);
            change(&p->busy, p->busy - 1);
            if (p->busy == 0)
                pthread_cond_signal(&p->done);
        } else if (seen != p->loops && sched_getcpu() != p->cpu) {
            seen = p->loops; /* it is over: often the next follows at once */
            pthread_mutex_unlock(&p->lock);
            stay_awake(&p->loops, seen);
            pthread_mutex_lock(&p->lock);
        } else {
            pthread_cond_wait(&p->start, &p->lock);
        }
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
    p->cpu = sched_getcpu();
    change(&p->loops, p->loops + 1);
    pthread_mutex_unlock(&p->lock);
    pthread_cond_broadcast(&p->start);
    work(p);
    pthread_mutex_lock(&p->lock);
    for (unsigned busy = p->busy; busy; busy = p->busy < busy ? p->busy : 0) {
        pthread_mutex_unlock(&p->lock);
        stay_awake(&p->busy, busy);
        pthread_mutex_lock(&p->lock);
    }
    while (p->busy)
        pthread_cond_wait(&p->done, &p->lock);
    p->n = p->next = 0;
    pthread_mutex_unlock(&p->lock);
}
