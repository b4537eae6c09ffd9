/*
 * Counters for --stats, declared once in stats.def. Each thread counts in a block of its
 * own with plain adds; a reader sums over all blocks. A block outlives its thread and
 * goes, with its values, to the next new thread, so that sums never fall and memory is
 * bounded by the highest number of threads that lived at once.
 *
 * Any thread may count, also from a host signal handler; threads that take signals while
 * they start should call stats_thread_init() first, which makes every later stat_add()
 * lock-free. Sums are exact for threads that have synchronised with the reader, a little
 * old for others.
 */
#ifndef UTIL_STATS_H
#define UTIL_STATS_H

#include <stdint.h>
#include <stdio.h>

#include "util/compiler.h"

typedef enum StatId {
#define STAT(id, name, help) STAT_##id,
#include "util/stats.def"
#undef STAT
    N_STATS
} StatId;

typedef struct StatBlock {
    /* atomic: stored by the owning thread, loaded by all. Generated code may add to
     * these. */
    uint64_t value[N_STATS];
    struct StatBlock *next_all; /* guarded by the STATS lock; constant once in the list */
    struct StatBlock *next_free; /* guarded by the STATS lock */
} attr_cache_aligned StatBlock;

extern _Thread_local StatBlock *stat_block;

StatBlock *stats_thread_init(void);

/* This thread's block, valid until the thread ends. */
static inline StatBlock *stats_thread_block(void)
{
    StatBlock *b = stat_block;
    return likely(b) ? b : stats_thread_init();
}

static inline void stat_add(StatId id, uint64_t n)
{
    uint64_t *v = &stats_thread_block()->value[id];
    __atomic_store_n(v, __atomic_load_n(v, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void stat_inc(StatId id)
{
    stat_add(id, 1);
}

/* The sum over all threads, dead ones included. Takes the STATS lock. */
uint64_t stat_read(StatId id);
/* One line per counter: name, value, help. Ratios are left to the reader. */
void stats_print(FILE *out);
/* All counters to zero; adds that run at the same time may survive or be lost. */
void stats_reset(void);

/* Around fork(), called by util/fork.h. The child starts from zero with one block in use.
 * */
void stats_fork_prepare(void);
void stats_fork_parent(void);
void stats_fork_child(void);

#endif
