#ifndef SEQ_SYNC_H
#define SEQ_SYNC_H
/* Monotonic time, condition variables that use it, and the stop flag. */

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>

static inline double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

/* Sleep until signalled or until `deadline` on now_s()'s clock; 0 if the deadline passed. */
static inline int cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, double deadline) {
    struct timespec t = {.tv_sec = (time_t)deadline,
                         .tv_nsec = (long)((deadline - (double)(time_t)deadline) * 1e9)};
    return pthread_cond_timedwait(cond, lock, &t) != ETIMEDOUT;
}

/* A stop flag may be set by another thread or a signal handler at any time; NULL: there is none. */
static inline int stop_raised(const volatile int *stop) {
    return stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED) != 0;
}

#endif
