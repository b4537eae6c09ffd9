/*
 * The writing side of the hash table; qht.h states the guarantees and holds the look-up.
 *
 * A writer locks the first bucket of its chain and then checks that the map is still the
 * current one: a resize holds every bucket lock of the old map from before the copy until
 * after the publication, so whoever gets a lock of an old map afterwards sees the new map
 * and starts again. Slots are filled in two stores, hash then entry; the entry makes it
 * valid.
 *
 * Lock order: resize_lock (QHT_RESIZE), then buckets (QHT_BUCKET). An operation that
 * takes all buckets does so from the first to the last, under resize_lock; the debug
 * checks see only the first, for there may be millions.
 */
#include "util/qht.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/bitops.h"
#include "util/error.h"

/* Entries per first bucket that qht_init() and growth aim at, and the share of overflow
 * buckets (1/n) at which a table grows. */
#define AIM_PER_BUCKET 2
#define GROW_AT 8
/* A larger table than this many bytes is not brought into memory as a whole. */
#define PREPARE_MAX (256u << 10)

static size_t buckets_for(size_t n_expected)
{
    size_t n = (n_expected + AIM_PER_BUCKET - 1) / AIM_PER_BUCKET;
    return (size_t)pow2_ceil(n < 1 ? 1 : n > UINT32_MAX ? UINT32_MAX : n);
}

static QhtBucket *alloc_bucket(void)
{
    QhtBucket *b = aligned_alloc(CACHE_LINE, sizeof(*b));
    if (b) {
        memset(b, 0, sizeof(*b));
        spin_init(&b->lock, LOCK_RANK_QHT_BUCKET);
    }
    return b;
}

static size_t map_bytes(size_t n_buckets)
{
    return align_up(n_buckets * sizeof(QhtBucket), 4096);
}

/* An empty map, or NULL. All its pages at once: entries are soon all over them. */
static QhtMap *map_create(size_t n_buckets)
{
    QhtMap *map = aligned_alloc(CACHE_LINE, sizeof(*map));
    if (!map) {
        return NULL;
    }
    *map = (QhtMap){ .mask = n_buckets - 1 };
    map->buckets = mmap(NULL, map_bytes(n_buckets), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (map->buckets == MAP_FAILED) {
        free(map);
        return NULL;
    }
#ifdef BRAID_DEBUG_LOCKS
    for (size_t i = 0; i < n_buckets; i++) {
        spin_init(&map->buckets[i].lock, LOCK_RANK_QHT_BUCKET);
    }
#endif
    return map;
}

static void map_destroy(QhtMap *map)
{
    if (__atomic_load_n(&map->n_overflow, __ATOMIC_RELAXED)) {
        for (size_t i = 0; i <= map->mask; i++) {
            for (QhtBucket *b = map->buckets[i].next, *next; b; b = next) {
                next = b->next;
                free(b);
            }
        }
    }
    munmap(map->buckets, map_bytes(map->mask + 1));
    free(map);
}

void qht_init(Qht *ht, QhtEqual *equal, size_t n_expected, bool auto_resize)
{
    *ht = (Qht){ .equal = equal, .auto_resize = auto_resize };
    mutex_init(&ht->resize_lock, LOCK_RANK_QHT_RESIZE);
    ht->map = map_create(buckets_for(n_expected));
    if (!ht->map) {
        fatal("out of memory: a table for %zu entries", n_expected);
    }
}

void qht_destroy(Qht *ht)
{
    qht_reclaim(ht);
    map_destroy(ht->map);
    ht->map = NULL;
}

void *qht_lookup(const Qht *ht, uint32_t hash, QhtMatch *match, const void *key)
{
    return qht_lookup_inline(ht, hash, match, key);
}

/* Locks the chain of this hash in the current map. */
static QhtBucket *lock_chain(Qht *ht, uint32_t hash, QhtMap **map_out)
{
    for (;;) {
        /* [QHT-MAP] pairs with the release store in qht_replace_map_locked(). */
        QhtMap *map = __atomic_load_n(&ht->map, __ATOMIC_ACQUIRE);
        QhtBucket *b = &map->buckets[hash & map->mask];
        spin_lock(&b->lock);
        /* The replacement happened under this lock, so that a relaxed load sees it. */
        if (likely(__atomic_load_n(&ht->map, __ATOMIC_RELAXED) == map)) {
            *map_out = map;
            return b;
        }
        spin_unlock(&b->lock);
    }
}

/* [QHT-PUBLISH] pairs with qht_lookup_inline(). */
static void qht_fill_slot_locked(QhtBucket *b, int i, void *entry, uint32_t hash)
{
    __atomic_store_n(&b->hashes[i], hash, __ATOMIC_RELAXED);
    __atomic_store_n(&b->entries[i], entry, __ATOMIC_RELEASE);
}

/* A new bucket with one entry at the end of the chain. */
static void qht_add_bucket_locked(QhtMap *map, QhtBucket *last, void *entry,
                                  uint32_t hash)
{
    QhtBucket *b = alloc_bucket();
    if (!b) {
        fatal("out of memory: a hash table is full");
    }
    qht_fill_slot_locked(b, 0, entry, hash);
    /* [QHT-CHAIN] pairs with qht_lookup_inline(). */
    __atomic_store_n(&last->next, b, __ATOMIC_RELEASE);
    __atomic_fetch_add(&map->n_overflow, 1, __ATOMIC_RELAXED);
}

/* A walk over the slots of a chain whose lock is held: plain loads would do, but for the
 * readers' sake everything is atomic. */
static void *slot_entry(const QhtBucket *b, int i)
{
    return __atomic_load_n(&b->entries[i], __ATOMIC_RELAXED);
}

static uint32_t slot_hash(const QhtBucket *b, int i)
{
    return __atomic_load_n(&b->hashes[i], __ATOMIC_RELAXED);
}

static QhtBucket *next_bucket(const QhtBucket *b)
{
    return __atomic_load_n(&b->next, __ATOMIC_RELAXED);
}

/*
 * Returns the equal entry that is there, or NULL after adding this one; *lengthened tells
 * whether the chain got longer. @equal may be NULL if there is none for sure.
 */
static void *chain_insert_locked(QhtMap *map, QhtBucket *head, QhtEqual *equal,
                                 void *entry, uint32_t hash, bool *lengthened)
{
    QhtBucket *free_bucket = NULL, *last = NULL;
    int free_slot = 0;
    for (QhtBucket *b = head; b; b = next_bucket(b)) {
        for (int i = 0; i < QHT_BUCKET_ENTRIES; i++) {
            void *e = slot_entry(b, i);
            if (!e) {
                if (!free_bucket) {
                    free_bucket = b;
                    free_slot = i;
                }
            } else if (equal && slot_hash(b, i) == hash &&
                       (e == entry || equal(e, entry))) {
                return e;
            }
        }
        last = b;
    }
    *lengthened = !free_bucket;
    if (free_bucket) {
        qht_fill_slot_locked(free_bucket, free_slot, entry, hash);
    } else {
        qht_add_bucket_locked(map, last, entry, hash);
    }
    return NULL;
}

static void grow_if_crowded(Qht *ht, const QhtMap *crowded);

bool qht_insert(Qht *ht, void *entry, uint32_t hash, void **existing)
{
    braid_debug_assert(entry != NULL);
    QhtMap *map;
    bool lengthened = false;
    QhtBucket *head = lock_chain(ht, hash, &map);
    void *found = chain_insert_locked(map, head, ht->equal, entry, hash, &lengthened);
    spin_unlock(&head->lock);
    if (existing) {
        *existing = found;
    }
    if (unlikely(lengthened && ht->auto_resize)) {
        grow_if_crowded(ht, map);
    }
    return !found;
}

/* The slot of this very pointer in a chain whose lock is held, or NULL. */
static void **find_slot_locked(QhtBucket *head, const void *entry, uint32_t hash)
{
    for (QhtBucket *b = head; b; b = next_bucket(b)) {
        for (int i = 0; i < QHT_BUCKET_ENTRIES; i++) {
            if (slot_entry(b, i) == entry && slot_hash(b, i) == hash) {
                return &b->entries[i];
            }
        }
    }
    return NULL;
}

bool qht_remove(Qht *ht, const void *entry, uint32_t hash)
{
    QhtMap *map;
    QhtBucket *head = lock_chain(ht, hash, &map);
    void **slot = find_slot_locked(head, entry, hash);
    if (slot) {
        __atomic_store_n(slot, NULL, __ATOMIC_RELAXED);
    }
    spin_unlock(&head->lock);
    return slot != NULL;
}

bool qht_replace(Qht *ht, const void *old, void *entry, uint32_t hash)
{
    QhtMap *map;
    QhtBucket *head = lock_chain(ht, hash, &map);
    void **slot = find_slot_locked(head, old, hash);
    if (slot) {
        /* [QHT-PUBLISH] pairs with qht_lookup_inline(). */
        __atomic_store_n(slot, entry, __ATOMIC_RELEASE);
    }
    spin_unlock(&head->lock);
    return slot != NULL;
}

/* Without locks: a bucket that a writer has just added must be seen initialised. */
static size_t map_count(const QhtMap *map)
{
    size_t count = 0;
    for (size_t n = 0; n <= map->mask; n++) {
        const QhtBucket *b = &map->buckets[n];
        while (b) {
            for (int i = 0; i < QHT_BUCKET_ENTRIES; i++) {
                count += slot_entry(b, i) != NULL;
            }
            /* [QHT-CHAIN] pairs with the release store in qht_add_bucket_locked(). */
            b = __atomic_load_n(&b->next, __ATOMIC_ACQUIRE);
        }
    }
    return count;
}

size_t qht_count(const Qht *ht)
{
    /* [QHT-MAP] pairs with the release store in qht_replace_map_locked(). */
    return map_count(__atomic_load_n(&ht->map, __ATOMIC_ACQUIRE));
}

/* All bucket locks of the current map, resize_lock held. The first one carries the rank.
 * */
static QhtMap *lock_all_locked(Qht *ht)
{
    lock_assert_held(&ht->resize_lock);
    QhtMap *map = __atomic_load_n(&ht->map, __ATOMIC_RELAXED);
    spin_lock(&map->buckets[0].lock);
    for (size_t i = 1; i <= map->mask; i++) {
        lock_list_row(&map->buckets[0].lock, sizeof(*map->buckets), i);
        if (unlikely(!spin_acquire(&map->buckets[i].lock))) {
            spin_lock_slow(&map->buckets[i].lock);
        }
    }
    return map;
}

static void unlock_all_locked(QhtMap *map)
{
    for (size_t i = map->mask; i > 0; i--) {
        __atomic_store_n(&map->buckets[i].lock.state, 0, __ATOMIC_RELEASE /* [LOCK] */);
        lock_list_row(&map->buckets[0].lock, sizeof(*map->buckets), i - 1);
    }
    spin_unlock(&map->buckets[0].lock);
}

/* Entries for which @fn returns true leave the table. Returns how many did. */
static size_t map_select_locked(QhtMap *map, QhtSelect *fn, void *opaque)
{
    size_t removed = 0;
    for (size_t n = 0; n <= map->mask; n++) {
        for (QhtBucket *b = &map->buckets[n]; b; b = next_bucket(b)) {
            for (int i = 0; i < QHT_BUCKET_ENTRIES; i++) {
                void *e = slot_entry(b, i);
                if (e && fn(e, slot_hash(b, i), opaque)) {
                    __atomic_store_n(&b->entries[i], NULL, __ATOMIC_RELAXED);
                    removed++;
                }
            }
        }
    }
    return removed;
}

size_t qht_remove_if(Qht *ht, QhtSelect *fn, void *opaque)
{
    mutex_lock(&ht->resize_lock);
    QhtMap *map = lock_all_locked(ht);
    size_t removed = map_select_locked(map, fn, opaque);
    unlock_all_locked(map);
    mutex_unlock(&ht->resize_lock);
    return removed;
}

typedef struct VisitCall {
    QhtVisit *fn;
    void *opaque;
} VisitCall;

static bool visit_and_keep(void *entry, uint32_t hash, void *opaque)
{
    VisitCall *call = opaque;
    call->fn(entry, hash, call->opaque);
    return false;
}

void qht_foreach(Qht *ht, QhtVisit *fn, void *opaque)
{
    VisitCall call = { fn, opaque };
    qht_remove_if(ht, visit_and_keep, &call);
}

static bool select_any(void *entry, uint32_t hash, void *opaque)
{
    return true;
}

void qht_reset(Qht *ht)
{
    qht_remove_if(ht, select_any, NULL);
}

static bool copy_entry(void *entry, uint32_t hash, void *opaque)
{
    QhtMap *to = opaque;
    bool lengthened;
    chain_insert_locked(to, &to->buckets[hash & to->mask], NULL, entry, hash,
                        &lengthened);
    return false;
}

/*
 * Puts a new map in the place of the current one, with the entries of the old one if
 * @copy. Under resize_lock. The old map stays as it is, for the readers that are in it.
 */
static bool qht_replace_map_locked(Qht *ht, size_t n_buckets, bool copy)
{
    QhtMap *fresh = map_create(n_buckets);
    if (!fresh) {
        return false;
    }
    QhtMap *old = lock_all_locked(ht);
    if (copy) {
        map_select_locked(old, copy_entry, fresh);
    }
    old->retired_next = ht->retired;
    ht->retired = old;
    /* [QHT-MAP] pairs with qht_lookup_inline() and lock_chain(). */
    __atomic_store_n(&ht->map, fresh, __ATOMIC_RELEASE);
    unlock_all_locked(old);
    return true;
}

bool qht_resize(Qht *ht, size_t n_expected)
{
    size_t n = buckets_for(n_expected);
    mutex_lock(&ht->resize_lock);
    const QhtMap *map = __atomic_load_n(&ht->map, __ATOMIC_RELAXED);
    bool done = map->mask + 1 != n && qht_replace_map_locked(ht, n, true);
    mutex_unlock(&ht->resize_lock);
    return done;
}

void qht_reset_size(Qht *ht, size_t n_expected)
{
    size_t n = buckets_for(n_expected);
    mutex_lock(&ht->resize_lock);
    const QhtMap *map = __atomic_load_n(&ht->map, __ATOMIC_RELAXED);
    bool replaced = map->mask + 1 != n && qht_replace_map_locked(ht, n, false);
    mutex_unlock(&ht->resize_lock);
    if (!replaced) {
        qht_reset(ht);
    }
}

/*
 * Twice as many buckets if many chains have grown, unless another thread is at it or has
 * done it. A table whose chains are long because hashes are all alike is left alone:
 * growth would cost memory and not shorten a chain. @crowded may be retired by now, but
 * not freed.
 */
static void grow_if_crowded(Qht *ht, const QhtMap *crowded)
{
    size_t n = crowded->mask + 1;
    if (__atomic_load_n(&crowded->n_overflow, __ATOMIC_RELAXED) <= n / GROW_AT ||
        n > UINT32_MAX || !mutex_trylock(&ht->resize_lock)) {
        return;
    }
    if (__atomic_load_n(&ht->map, __ATOMIC_RELAXED) == crowded &&
        map_count(crowded) > n / 2) {
        qht_replace_map_locked(ht, n * 2, true);
    }
    mutex_unlock(&ht->resize_lock);
}

void qht_reclaim(Qht *ht)
{
    mutex_lock(&ht->resize_lock);
    QhtMap *map = ht->retired;
    ht->retired = NULL;
    mutex_unlock(&ht->resize_lock);
    for (QhtMap *next; map; map = next) {
        next = map->retired_next;
        map_destroy(map);
    }
}

void qht_prepare(Qht *ht)
{
#ifdef MADV_POPULATE_WRITE
    /* [QHT-MAP] pairs with the release store in qht_replace_map_locked(). */
    QhtMap *map = __atomic_load_n(&ht->map, __ATOMIC_ACQUIRE);
    size_t size = map_bytes(map->mask + 1);
    if (size <= PREPARE_MAX) {
        madvise(map->buckets, size, MADV_POPULATE_WRITE);
    }
#endif
}

void qht_fork_child(Qht *ht)
{
    mutex_reinit(&ht->resize_lock);
    QhtMap *map = __atomic_load_n(&ht->map, __ATOMIC_RELAXED);
    for (size_t i = 0; i <= map->mask; i++) {
        /* Write only what needs it: each write copies a page that the parent shares. */
        if (spin_is_locked(&map->buckets[i].lock)) {
            spin_reinit(&map->buckets[i].lock);
        }
    }
}

void qht_get_statistics(Qht *ht, QhtStatistics *out)
{
    *out = (QhtStatistics){ 0 };
    mutex_lock(&ht->resize_lock);
    QhtMap *map = lock_all_locked(ht);
    out->n_buckets = map->mask + 1;
    out->n_overflow = __atomic_load_n(&map->n_overflow, __ATOMIC_RELAXED);
    out->n_entries = qht_count(ht);
    for (size_t n = 0; n <= map->mask; n++) {
        size_t length = 0, entries = 0;
        for (QhtBucket *b = &map->buckets[n]; b; b = next_bucket(b)) {
            length++;
            for (int i = 0; i < QHT_BUCKET_ENTRIES; i++) {
                entries += slot_entry(b, i) != NULL;
            }
        }
        out->empty_buckets += entries == 0;
        out->longest_chain = length > out->longest_chain ? length : out->longest_chain;
    }
    for (QhtMap *m = ht->retired; m; m = m->retired_next) {
        out->n_retired++;
    }
    unlock_all_locked(map);
    mutex_unlock(&ht->resize_lock);
}
