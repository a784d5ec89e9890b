#define _GNU_SOURCE
#include "buffer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define POOL_SMALLEST ((size_t)64 << 10) /* smaller buffers go back to malloc */
#define POOL_ENTRIES 64
#define POOL_BYTES ((size_t)128 << 20) /* most bytes kept idle */

struct net_pool {
    pthread_mutex_t lock;
    net_buffer *idle;
    size_t idle_count, idle_bytes;
    size_t in_use;
    size_t bytes, peak; /* of all buffers, idle or in use */
    int closed;
};

net_pool *pool_create(void) {
    net_pool *pool = calloc(1, sizeof *pool);
    if (pool != NULL) {
        pthread_mutex_init(&pool->lock, NULL);
    }
    return pool;
}

/* Its payload, and what the buffer held before it was last reused, is wiped. */
static void discard(net_buffer *buffer) {
    explicit_bzero(buffer->data, buffer->capacity);
    free(buffer);
}

static void destroy(net_pool *pool) {
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void pool_close(net_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->closed = 1;
    while (pool->idle != NULL) {
        net_buffer *buffer = pool->idle;
        pool->idle = buffer->next;
        discard(buffer);
    }
    int last = pool->in_use == 0;
    pthread_mutex_unlock(&pool->lock);
    if (last) {
        destroy(pool);
    }
}

/* The idle buffer used last, so still in a cache, that is large enough but not wastefully large;
 * lock held. */
static net_buffer *reuse(net_pool *pool, size_t bytes) {
    net_buffer **at = &pool->idle;
    while (*at != NULL && ((*at)->capacity < bytes || (*at)->capacity / 2 > bytes)) {
        at = &(*at)->next;
    }
    net_buffer *buffer = *at;
    if (buffer != NULL) {
        *at = buffer->next;
        pool->idle_count--;
        pool->idle_bytes -= buffer->capacity;
    }
    return buffer;
}

net_buffer *pool_take(net_pool *pool, size_t bytes) {
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    size_t capacity = (bytes + 63) / 64 * 64;
    pthread_mutex_lock(&pool->lock);
    net_buffer *buffer = bytes >= POOL_SMALLEST ? reuse(pool, bytes) : NULL;
    pool->in_use++;
    pthread_mutex_unlock(&pool->lock);
    if (buffer == NULL) {
        buffer = aligned_alloc(64, sizeof *buffer + capacity);
        if (buffer == NULL) {
            pthread_mutex_lock(&pool->lock);
            pool->in_use--; /* the net that asks keeps the pool open: it cannot be the last */
            pthread_mutex_unlock(&pool->lock);
            return NULL;
        }
        buffer->pool = pool;
        buffer->capacity = capacity;
        pthread_mutex_lock(&pool->lock);
        pool->bytes += sizeof *buffer + capacity;
        pool->peak = pool->bytes > pool->peak ? pool->bytes : pool->peak;
        pthread_mutex_unlock(&pool->lock);
    }
    buffer->next = NULL;
    buffer->bytes = bytes;
    buffer->tag = (net_tag){0};
    buffer->kind = 0;
    return buffer;
}

void pool_give(net_buffer *buffer) {
    if (buffer == NULL) {
        return;
    }
    net_pool *pool = buffer->pool;
    pthread_mutex_lock(&pool->lock);
    pool->in_use--;
    int keep = !pool->closed && buffer->capacity >= POOL_SMALLEST &&
               pool->idle_count < POOL_ENTRIES && pool->idle_bytes + buffer->capacity <= POOL_BYTES;
    if (keep) {
        buffer->next = pool->idle;
        pool->idle = buffer;
        pool->idle_count++;
        pool->idle_bytes += buffer->capacity;
    } else {
        pool->bytes -= sizeof *buffer + buffer->capacity;
    }
    int last = pool->closed && pool->in_use == 0;
    pthread_mutex_unlock(&pool->lock);
    if (!keep) {
        discard(buffer);
    }
    if (last) {
        destroy(pool);
    }
}

size_t pool_peak(net_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    size_t peak = pool->peak;
    pthread_mutex_unlock(&pool->lock);
    return peak;
}

net_buffer *buffer_of(uint8_t *payload) {
    return (net_buffer *)(void *)(payload - offsetof(net_buffer, data));
}
