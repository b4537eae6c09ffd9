/*
 * Qht: a resizable concurrent hash table of pointers with wait-free look-ups.
 *
 * The caller supplies 32-bit hashes and owns the entries. An entry is equal to another if
 * their hashes are and qht->equal() says so; the table never holds two equal entries.
 *
 * Operations
 *   look-up           any thread, at any time, also in a host signal handler
 *   insert, remove,
 *   replace           any thread; takes the lock of one bucket (rank QHT_BUCKET), an
 *                     insert that makes the table grow also QHT_RESIZE; may call malloc
 *   iterate, reset,
 *   resize            any thread; QHT_RESIZE and all buckets: only writers wait
 *   reclaim, destroy  only at a quiescent point: no other operation is under way
 *
 * Guarantees. "Before" is happens-before; on the hosts that we know, also order in real
 * time.
 *   (A) What an inserting thread wrote to an entry before qht_insert() is seen by every
 *       look-up that returns the entry. [QHT-PUBLISH]
 *   (B) A look-up that starts after an insert returned, and ends before the entry's
 *       remove starts, finds the entry, also while the table is resized.
 *   (C) A look-up that starts after qht_remove() returned does not find the entry.
 *   (D) Of any number of concurrent inserts of equal entries, one returns true; the
 *       others return false and give out the winner, or an entry that was there before.
 *   (E) A look-up of a key whose entry is being replaced finds the old entry or the new one;
 *       one that starts after qht_replace() returned finds the new one.
 *   (F) Iteration sees each entry that was in the table when it had all the locks once.
 *
 * Progress: look-ups are wait-free (a walk of one chain, no retry); everything else
 * blocks.
 *
 * Why there is no sequence counter: an entry stays in its slot until it is removed or the
 * whole table is copied, and copies go to a new map while the old one is left as it was.
 * So a reader can only meet a slot whose hash and pointer belong to different entries,
 * and then either the hash differs or the key comparison fails; it can't overlook a
 * resident entry. Nothing has to be validated, and a writer that dies in fork() leaves no
 * odd counter.
 *
 * Reclamation: an entry that was removed may still be under a reader's comparison, so its
 * memory must not be reused before a quiescent point; the same holds for the map that a
 * resize replaced, which is kept on a list until qht_reclaim(). Retired maps are at most
 * as large as the current one together, unless the table is resized by hand.
 *
 * The shape, cache-line buckets with a chain and a map copied under all bucket locks, is
 * that of David, Guerraoui and Trigonakis, "Asynchronized concurrency" (ASPLOS 2015), and
 * of Cota et al., "Cross-ISA machine emulation for multicores" (CGO 2017), who add a
 * sequence lock because their entries move.
 */
#ifndef UTIL_QHT_H
#define UTIL_QHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"
#include "util/lock.h"

#define QHT_BUCKET_ENTRIES 4

typedef struct QhtBucket {
    SpinLock lock; /* of the first bucket of a chain: guards writes to the whole chain */
    /* atomic: */
    uint32_t hashes[QHT_BUCKET_ENTRIES];
    void *entries[QHT_BUCKET_ENTRIES]; /* NULL: free */
    struct QhtBucket *next;
} attr_cache_aligned QhtBucket;

#ifndef BRAID_DEBUG_LOCKS
_Static_assert(sizeof(QhtBucket) == CACHE_LINE, "a bucket is one cache line");
#endif

typedef struct QhtMap {
    QhtBucket *buckets; /* constant */
    size_t mask;        /* constant: number of buckets - 1, a power of two less one */
    struct QhtMap *retired_next; /* guarded by resize_lock */
    /* On a line of its own, for every look-up reads the ones above. */
    attr_cache_aligned size_t n_overflow; /* atomic: buckets behind the first ones */
} QhtMap;

/* True if the two entries stand for the same key. Must be pure. */
typedef bool QhtEqual(const void *a, const void *b);
/* True if the entry has the key that is looked for. Must be pure; may see entries that
 * are being removed. */
typedef bool QhtMatch(const void *entry, const void *key);

typedef struct Qht {
    QhtMap *map;       /* atomic [QHT-MAP] */
    QhtEqual *equal;   /* constant after init */
    bool auto_resize;  /* constant after init */
    Mutex resize_lock; /* held by whoever replaces or walks the map */
    QhtMap *retired;   /* guarded by resize_lock */
} Qht;

/* @n_expected: number of entries that should fit without growth. @auto_resize: grow when
 * chains get long. Memory comes from malloc; fatal() if there is none. */
void qht_init(Qht *ht, QhtEqual *equal, size_t n_expected, bool auto_resize);
/* Frees the table but not the entries. */
void qht_destroy(Qht *ht);

/*
 * The entry that @match accepts among those with this hash, or NULL. Call it with a
 * @match that is a static inline function, and the compiler inlines the comparison.
 */
static attr_always_inline void *qht_lookup_inline(const Qht *ht, uint32_t hash,
                                                  QhtMatch *match, const void *key)
{
    /* [QHT-MAP] pairs with the release store in qht_replace_map_locked(). */
    const QhtMap *map = __atomic_load_n(&ht->map, __ATOMIC_ACQUIRE);
    const QhtBucket *b = &map->buckets[hash & map->mask];
    do {
#pragma GCC unroll 4
        for (int i = 0; i < QHT_BUCKET_ENTRIES; i++) {
            if (__atomic_load_n(&b->hashes[i], __ATOMIC_RELAXED) != hash) {
                continue;
            }
            /* [QHT-PUBLISH] pairs with the release store in qht_fill_slot_locked(). */
            void *entry = __atomic_load_n(&b->entries[i], __ATOMIC_ACQUIRE);
            if (likely(entry != NULL) && likely(match(entry, key))) {
                return entry;
            }
        }
        /* [QHT-CHAIN] pairs with the release store in qht_add_bucket_locked(). */
        b = __atomic_load_n(&b->next, __ATOMIC_ACQUIRE);
    } while (unlikely(b != NULL));
    return NULL;
}

void *qht_lookup(const Qht *ht, uint32_t hash, QhtMatch *match, const void *key);

/*
 * Adds the entry unless an equal one is there. Returns true if it was added; otherwise
 * false, with the resident entry in *existing (which may be NULL if not wanted).
 */
bool qht_insert(Qht *ht, void *entry, uint32_t hash, void **existing);

/* Takes out this very pointer. False if it is not in the table under this hash. */
bool qht_remove(Qht *ht, const void *entry, uint32_t hash);

/*
 * Puts @entry, which is equal to @old, in its place.  False if @old is not in the table under
 * this hash; then nothing has changed.
 */
bool qht_replace(Qht *ht, const void *old, void *entry, uint32_t hash);

/* Entries at this moment, exact when no writer is active. Walks the table: a shared
 * counter would be what all writers wait for. */
size_t qht_count(const Qht *ht);

/* Calls @fn for each entry, all writers locked out. @fn must not use the table. */
typedef void QhtVisit(void *entry, uint32_t hash, void *opaque);
void qht_foreach(Qht *ht, QhtVisit *fn, void *opaque);

/* The same; entries for which @fn returns true are removed. Returns how many were. */
typedef bool QhtSelect(void *entry, uint32_t hash, void *opaque);
size_t qht_remove_if(Qht *ht, QhtSelect *fn, void *opaque);

/* Removes all entries; the size stays. */
void qht_reset(Qht *ht);
/* Removes all entries and gives the table a new size. */
void qht_reset_size(Qht *ht, size_t n_expected);
/* Gives the table a new size; false if it has that size already or memory is short. */
bool qht_resize(Qht *ht, size_t n_expected);

/* Frees the maps that earlier resizes replaced. Only at a quiescent point: no look-up,
 * insert or other operation on this table under way in any thread. */
void qht_reclaim(Qht *ht);

/*
 * In the child after fork(), before any other use: frees the locks that threads of the
 * parent held. No preparation is needed in the parent: every intermediate state of every
 * operation is a valid table (an insert, remove or resize by another thread happened or
 * did not).
 */
void qht_fork_child(Qht *ht);

/*
 * The memory of a table that is not large is asked for at once, rather than page by page as insertions fault it in:
 * after a fork nearly each of them would. Any thread that may look up.
 */
void qht_prepare(Qht *ht);

typedef struct QhtStatistics {
    size_t n_buckets;      /* first buckets of chains */
    size_t n_overflow;     /* chained behind them */
    size_t n_entries;
    size_t longest_chain;  /* buckets, 1 = no overflow */
    size_t empty_buckets;  /* chains without an entry */
    size_t n_retired;      /* maps that wait for qht_reclaim() */
} QhtStatistics;
void qht_get_statistics(Qht *ht, QhtStatistics *out);

#endif
