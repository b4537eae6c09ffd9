/*
 * Locks. Two kinds, four bytes each in release builds, both free of malloc and both fit
 * for a zeroed piece of memory:
 *
 *   Mutex     futex-based, for sections that may take a while or call the kernel
 *   SpinLock  test and test-and-set, for a few dozen instructions; it yields the
 *             processor after a short spin, so that more threads than processors get on
 *
 * and Cond, a condition variable for Mutex. None of them is fair.
 *
 * With BRAID_DEBUG_LOCKS each lock knows its rank (lock-ranks.def), its owner and its
 * key, and each thread what it holds; taking a lock against the order, twice, or giving
 * back a lock that is not one's own is a bug that is reported by error_bug(). A trylock
 * is exempt from the order, for it cannot wait. In release builds the checks vanish.
 *
 * Ordering: [LOCK] a lock's release pairs with the next acquisition of the same lock.
 *
 * A process that shares its memory with another one (vfork) may be killed while it holds locks. A
 * lock's word therefore names the thread that holds it, and each thread keeps a list of those it holds or
 * is about to take, so that whoever has its thread-local storage afterwards can give them back:
 * lock_release_abandoned().
 *
 * fork(): either take the lock before and release it on both sides (the owner is the
 * thread, and the forking thread is the one that lives on), or call
 * mutex_reinit()/spin_reinit() in the child for a lock whose data cannot be caught
 * half-changed.
 */
#ifndef UTIL_LOCK_H
#define UTIL_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "util/compiler.h"

typedef enum LockRank {
#define LOCK_RANK(id, what) LOCK_RANK_##id,
#include "util/lock-ranks.def"
#undef LOCK_RANK
    LOCK_N_RANKS
} LockRank;

#ifdef BRAID_DEBUG_LOCKS
typedef struct LockDebug {
    const void *owner; /* atomic: the holder's thread token, NULL when free */
    /* constant after init */
    uint32_t rank;
    /* owned by the holder */
    uint64_t key;      /* of lock_acquire_ordered() */
    uint64_t prev_key; /* the highest key of this rank that the holder had before */
} LockDebug;
#define LOCK_DEBUG_FIELD LockDebug debug;
#define LOCK_DEBUG_INIT(r) .debug = { .rank = LOCK_RANK_##r },
void lock_debug_check(LockDebug *d, bool ordered, uint64_t key);
void lock_debug_acquired(LockDebug *d, bool ordered, uint64_t key);
void lock_debug_released(LockDebug *d);
void lock_debug_forget(LockDebug *d);
void lock_debug_assert_held(const LockDebug *d, bool held, const char *file, int line);
#define lock_debug_before(l, ordered, key) lock_debug_check(&(l)->debug, ordered, key)
#define lock_debug_after(l, ordered, key) lock_debug_acquired(&(l)->debug, ordered, key)
#define lock_debug_release(l) lock_debug_released(&(l)->debug)
#else
#define LOCK_DEBUG_FIELD
#define LOCK_DEBUG_INIT(r)
#define lock_debug_before(l, ordered, key) ((void)(key))
#define lock_debug_after(l, ordered, key) ((void)(key))
#define lock_debug_release(l) ((void)0)
#endif

typedef struct Mutex {
    uint32_t state; /* atomic: 0 free, else lock_token() of the holder; bit 0: somebody may sleep */
    LOCK_DEBUG_FIELD
} Mutex;

typedef struct SpinLock {
    uint32_t state; /* atomic: 0 free, else lock_token() of the holder */
    LOCK_DEBUG_FIELD
} SpinLock;

typedef struct Cond {
    uint32_t seq;     /* atomic: changed by every wake-up */
    uint32_t waiters; /* atomic: threads that sleep or are about to */
} Cond;

#ifndef BRAID_DEBUG_LOCKS
_Static_assert(sizeof(Mutex) == 4 && sizeof(SpinLock) == 4, "locks are embedded by many");
#endif

/* static Mutex m = MUTEX_INIT(REGION); */
#define MUTEX_INIT(rank_id) { LOCK_DEBUG_INIT(rank_id) .state = 0 }
#define SPIN_LOCK_INIT(rank_id) { LOCK_DEBUG_INIT(rank_id) .state = 0 }
#define COND_INIT { 0, 0 }

/* A free lock of this rank. */
void mutex_init(Mutex *m, LockRank rank);
void spin_init(SpinLock *l, LockRank rank);
/* In the child after fork(), or when every other user is known to be gone: free again,
 * whoever held it. The rank stays. */
void mutex_reinit(Mutex *m);
void spin_reinit(SpinLock *l);

/* ---- what the thread holds ---- */

#define LOCK_HELD_MAX 16

/* Owned by the thread: locks that it holds, is about to take, or has just given back. */
typedef struct HeldLocks {
    unsigned n;                     /* those beyond LOCK_HELD_MAX are counted but not listed */
    uintptr_t lock[LOCK_HELD_MAX];  /* bit 0: a SpinLock */
    /* Of a row of SpinLocks, row_stride bytes apart, those with the indices 1 … row_n. */
    char *row;
    size_t row_stride, row_n;
} HeldLocks;
extern _Thread_local HeldLocks lock_held;

/* Not 0, bit 0 clear; two threads of a process have different ones. */
static inline uint32_t lock_token(void)
{
    return ((uint32_t)((uintptr_t)&lock_held >> 3) & ~1u) | 2;
}

void lock_unlist_slow(uintptr_t lock);

/* Before the lock is taken. The thread may be killed at any instruction: the fences keep the order. */
static inline void lock_list(uintptr_t lock)
{
    unsigned n = lock_held.n;
    if (likely(n < LOCK_HELD_MAX)) {
        lock_held.lock[n] = lock;
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    lock_held.n = n + 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* After it was given back. */
static inline void lock_unlist(uintptr_t lock)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    unsigned n = lock_held.n - 1;
    if (likely(n < LOCK_HELD_MAX && lock_held.lock[n] == lock)) {
        lock_held.n = n;
    } else {
        lock_unlist_slow(lock);
    }
}

/* Locks 1 … n of the row are held, or about to be. */
static inline void lock_list_row(SpinLock *row, size_t stride, size_t n)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    lock_held.row = (char *)row;
    lock_held.row_stride = stride;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    lock_held.row_n = n;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * Give back whatever is held in the calling thread's name, by somebody who used this thread's storage
 * and is dead. Returns how many locks that were. What they guard may be half changed.
 */
unsigned lock_release_abandoned(void);
/* Is this one of them? */
bool mutex_is_abandoned(const Mutex *m);

/* The slow paths; they count a contention. */
void mutex_lock_slow(Mutex *m);
void mutex_wake(Mutex *m);
void spin_lock_slow(SpinLock *l);

static inline bool mutex_acquire(Mutex *m)
{
    uint32_t free_state = 0;
    return __atomic_compare_exchange_n(&m->state, &free_state, lock_token(), false,
                                       __ATOMIC_ACQUIRE /* [LOCK] */, __ATOMIC_RELAXED);
}

static inline void mutex_lock(Mutex *m)
{
    lock_debug_before(m, false, 0);
    lock_list((uintptr_t)m);
    if (unlikely(!mutex_acquire(m))) {
        mutex_lock_slow(m);
    }
    lock_debug_after(m, false, 0);
}

static inline void mutex_lock_ordered(Mutex *m, uint64_t key)
{
    lock_debug_before(m, true, key);
    lock_list((uintptr_t)m);
    if (unlikely(!mutex_acquire(m))) {
        mutex_lock_slow(m);
    }
    lock_debug_after(m, true, key);
}

/* True if the lock is now held by the caller. */
static inline bool mutex_trylock(Mutex *m)
{
    lock_list((uintptr_t)m);
    if (!mutex_acquire(m)) {
        lock_unlist((uintptr_t)m);
        return false;
    }
    lock_debug_after(m, false, 0);
    return true;
}

static inline bool mutex_trylock_ordered(Mutex *m, uint64_t key)
{
    lock_list((uintptr_t)m);
    if (!mutex_acquire(m)) {
        lock_unlist((uintptr_t)m);
        return false;
    }
    lock_debug_after(m, true, key);
    return true;
}

static inline void mutex_unlock(Mutex *m)
{
    lock_debug_release(m);
    if (unlikely(__atomic_exchange_n(&m->state, 0, __ATOMIC_RELEASE /* [LOCK] */) & 1)) {
        mutex_wake(m);
    }
    lock_unlist((uintptr_t)m);
}

static inline bool spin_acquire(SpinLock *l)
{
    uint32_t free_state = 0;
    return __atomic_compare_exchange_n(&l->state, &free_state, lock_token(), false,
                                       __ATOMIC_ACQUIRE /* [LOCK] */, __ATOMIC_RELAXED);
}

static inline void spin_lock(SpinLock *l)
{
    lock_debug_before(l, false, 0);
    lock_list((uintptr_t)l | 1);
    if (unlikely(!spin_acquire(l))) {
        spin_lock_slow(l);
    }
    lock_debug_after(l, false, 0);
}

static inline void spin_lock_ordered(SpinLock *l, uint64_t key)
{
    lock_debug_before(l, true, key);
    lock_list((uintptr_t)l | 1);
    if (unlikely(!spin_acquire(l))) {
        spin_lock_slow(l);
    }
    lock_debug_after(l, true, key);
}

static inline bool spin_trylock_ordered(SpinLock *l, uint64_t key)
{
    if (__atomic_load_n(&l->state, __ATOMIC_RELAXED)) {
        return false;
    }
    lock_list((uintptr_t)l | 1);
    if (!spin_acquire(l)) {
        lock_unlist((uintptr_t)l | 1);
        return false;
    }
    lock_debug_after(l, true, key);
    return true;
}

/* True if the lock is now held by the caller. */
static inline bool spin_trylock(SpinLock *l)
{
    return spin_trylock_ordered(l, 0);
}

static inline void spin_unlock(SpinLock *l)
{
    lock_debug_release(l);
    __atomic_store_n(&l->state, 0, __ATOMIC_RELEASE /* [LOCK] */);
    lock_unlist((uintptr_t)l | 1);
}

/* True if anybody holds the lock at this moment; a hint in release builds. */
static inline bool spin_is_locked(const SpinLock *l)
{
    return __atomic_load_n(&l->state, __ATOMIC_RELAXED) != 0;
}

/*
 * For several locks of one rank (page locks): ascending keys. Either kind of lock.
 * Releases may come in any order; after one that is not the reverse of the acquisitions,
 * the debug build may take the released key for the limit until all of the rank are
 * released.
 */
#define lock_acquire_ordered(lock, key)                                                  \
    _Generic((lock), Mutex *: mutex_lock_ordered,                                        \
             SpinLock *: spin_lock_ordered)(lock, key)

/*
 * cond_wait() releases the mutex, sleeps, and takes it again; it may return without
 * cause, so it stands in a loop. cond_timedwait() waits at most @timeout (relative) and
 * returns false if that has passed. A wake-up sent while the mutex is held, or after the
 * condition was changed under it, is never lost.
 */
void cond_wait(Cond *c, Mutex *m);
bool cond_timedwait(Cond *c, Mutex *m, const struct timespec *timeout);
void cond_signal(Cond *c);
void cond_broadcast(Cond *c);

/* Checks of debug builds. lock_assert_held(&pd->lock), either kind of lock. */
#ifdef BRAID_DEBUG_LOCKS
#define lock_assert_held(l) lock_debug_assert_held(&(l)->debug, true, __FILE__, __LINE__)
#define lock_assert_not_held(l)                                                          \
    lock_debug_assert_held(&(l)->debug, false, __FILE__, __LINE__)
/* Before guest code runs, and before a host signal is waited for. */
#define lock_assert_none_held() lock_debug_assert_none(__FILE__, __LINE__)
void lock_debug_assert_none(const char *file, int line);
#else
#define lock_assert_held(l) ((void)(l))
#define lock_assert_not_held(l) ((void)(l))
#define lock_assert_none_held() ((void)0)
#endif

/* "PAGE" for LOCK_RANK_PAGE. */
const char *lock_rank_name(LockRank rank);

#endif
