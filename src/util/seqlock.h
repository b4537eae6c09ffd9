/*
 * SeqLock: readers of a small group of words that change rarely; they take no lock and
 * try again if a writer came between. Writers are serialised by a lock of the caller's.
 *
 *   do {
 *       s = seqlock_read_begin(&sl);
 *       a = seqlock_load(&x->a); b = seqlock_load(&x->b);
 *   } while (seqlock_read_retry(&sl, s));
 *
 * Ordering: there are no stand-alone fences; the order lies in the accesses to the data,
 * which must go through seqlock_load() (acquire) and seqlock_store() (release):
 * [SEQLOCK-DATA] a reader that loads what a writer stored also sees the odd count stored
 * before it, and retries. [SEQLOCK-SEQ] a reader that begins with a count sees all data
 * stored before that count.
 *
 * Progress: readers are lock-free only while no writer is inside; a writer never waits
 * for readers. A writer that is stopped inside stops the readers: no calls that block,
 * no fork().
 */
#ifndef UTIL_SEQLOCK_H
#define UTIL_SEQLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/compiler.h"

typedef struct SeqLock {
    uint32_t count; /* atomic: odd while a writer is inside */
} SeqLock;

#define seqlock_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE) /* [SEQLOCK-DATA] */
#define seqlock_store(p, v)                                                              \
    __atomic_store_n((p), (v), __ATOMIC_RELEASE) /* [SEQLOCK-DATA] */

/* Even, or odd while a writer is inside; an odd one always leads to a retry. */
static inline uint32_t seqlock_read_begin(const SeqLock *sl)
{
    /* [SEQLOCK-SEQ] pairs with seqlock_write_end(). */
    return __atomic_load_n(&sl->count, __ATOMIC_ACQUIRE);
}

static inline bool seqlock_read_retry(const SeqLock *sl, uint32_t begun)
{
    if (likely(!(begun & 1) && __atomic_load_n(&sl->count, __ATOMIC_RELAXED) == begun)) {
        return false;
    }
    cpu_pause();
    return true;
}

/* The writers' lock is held from before begin until after end. */
static inline void seqlock_write_begin(SeqLock *sl)
{
    uint32_t c = __atomic_load_n(&sl->count, __ATOMIC_RELAXED);
    __atomic_store_n(&sl->count, c + 1, __ATOMIC_RELAXED);
}

static inline void seqlock_write_end(SeqLock *sl)
{
    uint32_t c = __atomic_load_n(&sl->count, __ATOMIC_RELAXED);
    __atomic_store_n(&sl->count, c + 1, __ATOMIC_RELEASE); /* [SEQLOCK-SEQ] */
}

#endif
