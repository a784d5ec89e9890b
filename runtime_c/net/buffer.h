#ifndef SEQ_BUFFER_H
#define SEQ_BUFFER_H
/* Payload buffers: a hidden header in front of the bytes, so that a buffer is its own queue and
 * mailbox entry; a small list of large free ones, because fresh pages cost more than the copy into
 * them. */

#include "net.h"

typedef struct net_pool net_pool;

typedef struct net_buffer {
    net_pool *pool;
    struct net_buffer *next; /* in a queue, a mailbox or the free list */
    size_t capacity, bytes;
    net_tag tag;
    uint32_t kind; /* FRAME_... */
    uint8_t data[] __attribute__((aligned(64)));
} net_buffer;

net_pool *pool_create(void);
/* The pool goes once its last buffer has been freed. */
void pool_close(net_pool *pool);
/* A buffer of at least `bytes`, not zeroed, bytes set; NULL if memory ran out. */
net_buffer *pool_take(net_pool *pool, size_t bytes);
/* Wipe and give back; NULL is ignored. */
void pool_give(net_buffer *buffer);
/* The most bytes that buffers have taken together, the free ones included. */
size_t pool_peak(net_pool *pool);
net_buffer *buffer_of(uint8_t *payload);

#endif
