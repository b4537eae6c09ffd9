/*
 * The slow paths of locks, condition variables, and the rank checks of debug builds.
 *
 * Mutex follows Drepper, "Futexes are tricky", mutex 2: a thread that could not take the
 * lock at once marks it for as long as it sleeps, so that the fast path of an
 * unlock need not call the kernel; who gets it after sleeping keeps the mark, for there may be others. SpinLock waits by reading (the line stays shared),
 * with a pause that grows, and then gives its processor away: with more threads than
 * processors the holder is likely not running.
 *
 * The debug checks keep, per thread, a bit mask of the ranks held, a count per rank, and
 * the highest key per rank. What is needed to go back sits in the lock itself, so the
 * number of locks held is not limited.
 */
#include "util/lock.h"

#include <sched.h>
#include <string.h>

#include "util/error.h"
#include "util/futex.h"
#include "util/stats.h"

#define MUTEX_SPINS 40
#define SPIN_ROUNDS 8 /* pauses double each round: 1, 2, … 128, then sched_yield() */

const char *lock_rank_name(LockRank rank)
{
    static const char *const names[] = {
#define LOCK_RANK(id, what) #id,
#include "util/lock-ranks.def"
#undef LOCK_RANK
    };
    return rank < LOCK_N_RANKS ? names[rank] : "?";
}

void mutex_init(Mutex *m, LockRank rank)
{
    *m = (Mutex){ .state = 0 };
#ifdef BRAID_DEBUG_LOCKS
    m->debug.rank = rank;
#endif
}

void spin_init(SpinLock *l, LockRank rank)
{
    *l = (SpinLock){ .state = 0 };
#ifdef BRAID_DEBUG_LOCKS
    l->debug.rank = rank;
#endif
}

_Thread_local HeldLocks lock_held;

/* Not the last one that was taken: close the gap. One that is not listed leaves only the count. */
void lock_unlist_slow(uintptr_t lock)
{
    unsigned listed = lock_held.n < LOCK_HELD_MAX ? lock_held.n : LOCK_HELD_MAX;
    for (unsigned i = listed; i-- > 0;) {
        if (lock_held.lock[i] == lock) {
            for (; i + 1 < listed; i++) {
                lock_held.lock[i] = lock_held.lock[i + 1];
            }
            if (lock_held.n > LOCK_HELD_MAX) {
                lock_held.lock[LOCK_HELD_MAX - 1] = 0;  /* it is among those not listed */
            }
            break;
        }
    }
    if (lock_held.n) {
        lock_held.n--;
    }
}

bool mutex_is_abandoned(const Mutex *m)
{
    return (__atomic_load_n(&m->state, __ATOMIC_RELAXED) & ~1u) == lock_token();
}

unsigned lock_release_abandoned(void)
{
    unsigned n = 0;
    for (size_t i = lock_held.row_n; i > 0; i--) {
        SpinLock *l = (SpinLock *)(lock_held.row + i * lock_held.row_stride);
        if (__atomic_load_n(&l->state, __ATOMIC_RELAXED) == lock_token()) {
            __atomic_store_n(&l->state, 0, __ATOMIC_RELEASE /* [LOCK] */);
            n++;
        }
    }
    lock_held.row_n = 0;
    while (lock_held.n) {
        unsigned last = lock_held.n - 1;
        uintptr_t lock = last < LOCK_HELD_MAX ? lock_held.lock[last] : 0;
        Mutex *m = (Mutex *)lock;
        SpinLock *l = (SpinLock *)(lock - 1);
        if (lock & 1 && __atomic_load_n(&l->state, __ATOMIC_RELAXED) == lock_token()) {
            spin_unlock(l);
            n++;
        } else if (lock && !(lock & 1) && mutex_is_abandoned(m)) {
            mutex_unlock(m);
            n++;
        } else {
            lock_held.n = last;     /* never taken, or given back already */
        }
    }
    return n;
}

void mutex_reinit(Mutex *m)
{
#ifdef BRAID_DEBUG_LOCKS
    lock_debug_forget(&m->debug);
#endif
    __atomic_store_n(&m->state, 0, __ATOMIC_RELAXED);
}

void spin_reinit(SpinLock *l)
{
#ifdef BRAID_DEBUG_LOCKS
    lock_debug_forget(&l->debug);
#endif
    __atomic_store_n(&l->state, 0, __ATOMIC_RELAXED);
}

void mutex_lock_slow(Mutex *m)
{
    stat_inc(STAT_LOCK_CONTENTIONS);
    for (int i = 0; i < MUTEX_SPINS; i++) {
        if (__atomic_load_n(&m->state, __ATOMIC_RELAXED) == 0 && mutex_acquire(m)) {
            return;
        }
        cpu_pause();
    }
    uint32_t seen = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    for (;;) {
        uint32_t marked = (seen ? seen : lock_token()) | 1;
        if (seen != marked &&
            !__atomic_compare_exchange_n(&m->state, &seen, marked, false,
                                         __ATOMIC_ACQUIRE /* [LOCK] */, __ATOMIC_RELAXED)) {
            continue;
        }
        if (!seen) {
            return;
        }
        futex_wait(&m->state, marked, NULL);
        seen = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    }
}

void mutex_wake(Mutex *m)
{
    futex_wake(&m->state, 1);
}

void spin_lock_slow(SpinLock *l)
{
    stat_inc(STAT_LOCK_CONTENTIONS);
    unsigned round = 0;
    for (;;) {
        if (__atomic_load_n(&l->state, __ATOMIC_RELAXED) == 0 && spin_acquire(l)) {
            return;
        }
        if (round < SPIN_ROUNDS) {
            for (unsigned i = 0; i < 1u << round; i++) {
                cpu_pause();
            }
            round++;
        } else {
            sched_yield();
        }
    }
}

/*
 * The count is read while the mutex is held, so a wake-up that follows a change of the
 * condition under the mutex comes after, changes the word, and futex_wait() does not
 * sleep. The number of waiters is raised under the mutex too: whoever changes the
 * condition later sees it. [LOCK]
 */
bool cond_timedwait(Cond *c, Mutex *m, const struct timespec *timeout)
{
    uint32_t seq = __atomic_load_n(&c->seq, __ATOMIC_RELAXED);
    __atomic_fetch_add(&c->waiters, 1, __ATOMIC_RELAXED);
    mutex_unlock(m);
    int r = futex_wait(&c->seq, seq, timeout);
    mutex_lock(m);
    __atomic_fetch_sub(&c->waiters, 1, __ATOMIC_RELAXED);
    return r != -ETIMEDOUT;
}

void cond_wait(Cond *c, Mutex *m)
{
    cond_timedwait(c, m, NULL);
}

void cond_signal(Cond *c)
{
    if (__atomic_load_n(&c->waiters, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&c->seq, 1, __ATOMIC_RELAXED);
        futex_wake(&c->seq, 1);
    }
}

void cond_broadcast(Cond *c)
{
    if (__atomic_load_n(&c->waiters, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&c->seq, 1, __ATOMIC_RELAXED);
        futex_wake_all(&c->seq);
    }
}

#ifdef BRAID_DEBUG_LOCKS

_Static_assert(LOCK_N_RANKS <= 64, "ranks are bits of a mask");

typedef struct ThreadLocks {
    uint64_t held_ranks; /* ranks with count > 0 */
    uint32_t count[LOCK_N_RANKS];
    uint64_t last_key[LOCK_N_RANKS];
    bool has_key[LOCK_N_RANKS];
} ThreadLocks;

/* Its address is the owner token; it survives fork() in the forking thread. */
static _Thread_local ThreadLocks thread_locks;

/* "MMAP, PAGE x3", for messages. */
static const char *describe_held(char *buf, size_t size)
{
    size_t len = 0;
    buf[0] = '\0';
    for (unsigned r = 0; r < LOCK_N_RANKS; r++) {
        if (thread_locks.count[r] && len < size) {
            int n = snprintf(buf + len, size - len, "%s%s x%u", len ? ", " : "",
                             lock_rank_name(r), thread_locks.count[r]);
            len += n > 0 ? (size_t)n : 0;
        }
    }
    return len ? buf : "none";
}

void lock_debug_check(LockDebug *d, bool ordered, uint64_t key)
{
    ThreadLocks *t = &thread_locks;
    char buf[512];
    uint32_t r = d->rank;
    braid_assert_msg(r < LOCK_N_RANKS, "lock %p was never initialised (rank %u)",
                     (void *)d, r);
    braid_assert_msg(__atomic_load_n(&d->owner, __ATOMIC_RELAXED) != t,
                     "lock %p of rank %s is already held by this thread", (void *)d,
                     lock_rank_name(r));
    if (r == LOCK_RANK_NONE) {
        return;
    }
    braid_assert_msg(!((t->held_ranks >> r) >> 1),
                     "lock order: %s is taken while holding %s", lock_rank_name(r),
                     describe_held(buf, sizeof(buf)));
    if (t->count[r]) {
        braid_assert_msg(ordered && t->has_key[r],
                         "lock order: a second lock of rank %s is taken without keys",
                         lock_rank_name(r));
        braid_assert_msg(key > t->last_key[r],
                         "lock order: %s with key %#llx is taken while holding key %#llx",
                         lock_rank_name(r), (unsigned long long)key,
                         (unsigned long long)t->last_key[r]);
    }
}

void lock_debug_acquired(LockDebug *d, bool ordered, uint64_t key)
{
    ThreadLocks *t = &thread_locks;
    uint32_t r = d->rank;
    __atomic_store_n(&d->owner, (const void *)t, __ATOMIC_RELAXED);
    d->key = key;
    d->prev_key = t->last_key[r];
    /* A trylock may come out of order; the limit stays at the highest key. */
    if (!t->count[r] || key > t->last_key[r]) {
        t->last_key[r] = key;
    }
    t->has_key[r] = t->count[r] ? t->has_key[r] && ordered : ordered;
    t->count[r]++;
    if (r != LOCK_RANK_NONE) {
        t->held_ranks |= UINT64_C(1) << r;
    }
}

static void untrack(LockDebug *d)
{
    ThreadLocks *t = &thread_locks;
    uint32_t r = d->rank;
    braid_assert(t->count[r] > 0);
    if (--t->count[r] == 0) {
        t->held_ranks &= ~(UINT64_C(1) << r);
    } else if (t->last_key[r] == d->key) {
        t->last_key[r] = d->prev_key;
    }
    __atomic_store_n(&d->owner, NULL, __ATOMIC_RELAXED);
}

void lock_debug_released(LockDebug *d)
{
    const void *owner = __atomic_load_n(&d->owner, __ATOMIC_RELAXED);
    braid_assert_msg(owner == &thread_locks,
                     "lock %p of rank %s is released by a thread that %s", (void *)d,
                     lock_rank_name(d->rank),
                     owner ? "is not its holder" : "does not hold it: nobody does");
    untrack(d);
}

void lock_debug_forget(LockDebug *d)
{
    if (__atomic_load_n(&d->owner, __ATOMIC_RELAXED) == &thread_locks) {
        untrack(d);
    }
    __atomic_store_n(&d->owner, NULL, __ATOMIC_RELAXED);
}

void lock_debug_assert_held(const LockDebug *d, bool held, const char *file, int line)
{
    bool is_held = __atomic_load_n(&d->owner, __ATOMIC_RELAXED) == &thread_locks;
    if (is_held != held) {
        error_bug(file, line, "lock_assert", "lock of rank %s is %sheld by this thread",
                  lock_rank_name(d->rank), held ? "not " : "");
    }
}

void lock_debug_assert_none(const char *file, int line)
{
    char buf[512];
    if (thread_locks.held_ranks || thread_locks.count[LOCK_RANK_NONE]) {
        error_bug(file, line, "lock_assert", "locks are held where none may be: %s",
                  describe_held(buf, sizeof(buf)));
    }
}

#endif
