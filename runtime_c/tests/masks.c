/* How often words of streams are drawn. See masks.h. */
#include "masks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../prg/prg.h"
#include "../vm/vm.h"

#define HOLDERS 10
#define PLACES ((size_t)1 << 21)
#define NOBODY 0xFF

enum { TASKS, STEPS, TWICE, SETUP, WAYS };
static const char *const way_name[WAYS] = {"tasks", "steps", "twice", "setup"};

typedef struct {
    uint64_t key[2], index, task;
    uint32_t purpose;
    uint8_t used, step[HOLDERS], again[WAYS]; /* step: the last one, by party */
} word;

static word *table; /* a hash table */
static size_t count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned holders, part, parts;
static _Thread_local unsigned holder; /* from 1 */

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static word *find(const uint64_t key[2], uint32_t purpose, uint64_t index, uint64_t value) {
    size_t at = value % PLACES;
    while (table[at].used && (memcmp(table[at].key, key, 16) != 0 || table[at].index != index ||
                              table[at].purpose != purpose)) {
        at = (at + 1) % PLACES;
    }
    return &table[at];
}

static void note(word *w, uint64_t task, unsigned me, uint8_t step) {
    if (w->task != task) {
        w->again[TASKS] = 1;
    } else if (w->step[me] == step) {
        w->again[task == 0 ? SETUP : TWICE] = 1;
    } else if (w->step[me] != NOBODY) {
        w->again[STEPS] = 1;
    }
    w->step[me] = step;
}

static uint64_t draw(void *arg, const prg_key *key, uint32_t purpose, uint64_t index) {
    uint64_t k[2];
    const seq_task *t = machine_task;
    (void)arg;
    memcpy(k, key->round_keys, 16);
    const uint64_t value = mix(mix(mix(k[0]) ^ k[1]) ^ mix(index) ^ (uint64_t)purpose << 32);
    const uint64_t task =
        t == NULL ? 0 : mix(t->call.instance << 16 | t->call.sub) ^ mix(t->chunk + 1);
    if (mix(value) % parts != part) {
        return value;
    }
    (void)pthread_mutex_lock(&lock);
    holder = holder == 0 ? ++holders : holder;
    word *w = find(k, purpose, index, value);
    if (!w->used) {
        if (++count > PLACES * 3 / 4 || holder > HOLDERS) {
            (void)fprintf(stderr, "masks: too many words or threads\n");
            exit(2);
        }
        *w = (word){
            .key = {k[0], k[1]}, .index = index, .task = task, .purpose = purpose, .used = 1};
        memset(w->step, NOBODY, sizeof w->step);
    }
    note(w, task, holder - 1, t == NULL ? 0 : (uint8_t)t->step_no);
    (void)pthread_mutex_unlock(&lock);
    return value;
}

void masks_begin(unsigned counted, unsigned of) {
    part = counted;
    parts = of;
    table = calloc(PLACES, sizeof *table);
    if (table == NULL) {
        (void)fprintf(stderr, "masks: no memory\n");
        exit(2);
    }
    prg_set_script(draw, NULL);
}

/* All words of a purpose; they are not counted again. */
static void print_purpose(uint32_t purpose) {
    size_t found[WAYS] = {0};
    for (size_t i = 0; i < PLACES; i++) {
        for (unsigned way = 0; table[i].purpose == purpose && way < WAYS; way++) {
            found[way] += table[i].again[way];
            table[i].again[way] = 0;
        }
    }
    for (unsigned way = 0; way < WAYS; way++) {
        if (found[way] > 0) {
            (void)printf("%s %u %zu\n", way_name[way], purpose, found[way]);
        }
    }
}

void masks_end(void) {
    prg_set_script(NULL, NULL);
    (void)printf("masks %zu\n", count);
    for (size_t i = 0; i < PLACES; i++) {
        const uint8_t *again = table[i].again;
        if (again[TASKS] || again[STEPS] || again[TWICE] || again[SETUP]) {
            print_purpose(table[i].purpose);
        }
    }
    free(table);
}
