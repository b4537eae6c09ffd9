/*
 * Timers: a list of them, and one thread that sleeps until the earliest deadline.
 *
 * There are two or three timers to a hart, so the list is walked rather than sorted: a walk over
 * the 300 timers of a machine with 128 harts costs less than the system call that follows.
 *
 * The thread sleeps on a condition variable under timers.lock.  timer_set() wakes it only if
 * the new deadline comes before the one it sleeps for; a timer that was put off just lets
 * the thread look in vain.  fire() runs without the lock, so devices may set timers from it
 * and may call timer_set() under locks that fire() takes.
 *
 * Counted time (-icount): the clock shows what the harts' thread has counted, and there is no thread here: that one
 * asks for the earliest deadline, executes no more instructions than that, and fires what is due.
 */
#include "board/timer.h"

#include <pthread.h>
#include <sys/prctl.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/lock.h"

static struct TimerContext {
    Mutex lock;
    Cond changed;
    /* guarded by lock */
    Timer *first;
    uint64_t sleeps_until;      /* 0: the thread is awake and looks at all timers */
    bool firing;
    /* constant after timers_start...(): of counted time, else NULL */
    uint64_t (*counted)(void);
    void (*earlier)(void);
    uint64_t warp;              /* atomic: what is added to counted() */
    /* atomic: clock_ns() is CLOCK_MONOTONIC less `offset`, or `stopped_at` less one unless that is 0 */
    uint64_t offset, stopped_at;
} timers = { .lock = MUTEX_INIT(TIMER), .changed = COND_INIT };

uint64_t clock_ns(void)
{
    if (timers.counted) {
        return timers.counted() + __atomic_load_n(&timers.warp, __ATOMIC_RELAXED);
    }
    uint64_t stopped = __atomic_load_n(&timers.stopped_at, __ATOMIC_RELAXED);
    if (stopped) {
        return stopped - 1;
    }
    return host_ns() - __atomic_load_n(&timers.offset, __ATOMIC_RELAXED);
}

void clock_stop(void)
{
    mutex_lock(&timers.lock);
    if (!timers.stopped_at) {
        __atomic_store_n(&timers.stopped_at, clock_ns() + 1, __ATOMIC_RELAXED);
    }
    mutex_unlock(&timers.lock);
}

/*
 * A thread that reads the clock just now may see the old offset: time seems to have jumped by the
 * length of the stop.  No hart runs at this point; the timers' thread would fire early, and looks
 * under the lock.
 */
void clock_continue(void)
{
    mutex_lock(&timers.lock);
    if (timers.stopped_at) {
        __atomic_store_n(&timers.offset, host_ns() - (timers.stopped_at - 1), __ATOMIC_RELAXED);
        __atomic_store_n(&timers.stopped_at, 0, __ATOMIC_RELAXED);
    }
    mutex_unlock(&timers.lock);
    cond_broadcast(&timers.changed);
}

void clock_set(uint64_t ns)
{
    mutex_lock(&timers.lock);
    braid_assert(timers.stopped_at);
    if (timers.counted) {
        __atomic_store_n(&timers.warp, ns - timers.counted(), __ATOMIC_RELAXED);
    }
    __atomic_store_n(&timers.stopped_at, ns + 1, __ATOMIC_RELAXED);
    mutex_unlock(&timers.lock);
}

void timers_drain(void)
{
    mutex_lock(&timers.lock);
    while (timers.firing) {
        cond_wait(&timers.changed, &timers.lock);
    }
    mutex_unlock(&timers.lock);
}

void timer_init(Timer *t, void (*fire)(void *opaque), void *opaque)
{
    *t = (Timer){ .fire = fire, .opaque = opaque, .deadline = TIMER_NEVER };
    mutex_lock(&timers.lock);
    t->next = timers.first;
    timers.first = t;
    mutex_unlock(&timers.lock);
}

void timer_set(Timer *t, uint64_t deadline)
{
    mutex_lock(&timers.lock);
    t->deadline = deadline;
    bool earlier = deadline < timers.sleeps_until;
    if (earlier) {
        timers.sleeps_until = deadline;     /* so that the next one need not wake it again */
    }
    mutex_unlock(&timers.lock);
    if (earlier && timers.counted) {
        timers.earlier();
    } else if (earlier) {
        cond_broadcast(&timers.changed);
    }
}

void timer_remove(Timer *t)
{
    mutex_lock(&timers.lock);
    for (Timer **p = &timers.first; *p; p = &(*p)->next) {
        if (*p == t) {
            *p = t->next;
            break;
        }
    }
    mutex_unlock(&timers.lock);
}

static Timer *find_earliest_locked(void)
{
    Timer *best = NULL;
    for (Timer *t = timers.first; t; t = t->next) {
        if (t->deadline != TIMER_NEVER && (!best || t->deadline < best->deadline)) {
            best = t;
        }
    }
    return best;
}

bool clock_is_counted(void)
{
    return timers.counted != NULL;
}

void clock_warp(uint64_t ns)
{
    __atomic_fetch_add(&timers.warp, ns, __ATOMIC_RELAXED);
}

uint64_t timers_next(void)
{
    mutex_lock(&timers.lock);
    const Timer *t = find_earliest_locked();
    uint64_t deadline = timers.sleeps_until = t ? t->deadline : TIMER_NEVER;
    mutex_unlock(&timers.lock);
    return deadline;
}

/* Call it, without the lock meanwhile. */
static void fire_locked(Timer *t)
{
    t->deadline = TIMER_NEVER;
    void (*fire)(void *) = t->fire;
    void *opaque = t->opaque;
    timers.firing = true;
    mutex_unlock(&timers.lock);
    fire(opaque);
    mutex_lock(&timers.lock);
    timers.firing = false;
    cond_broadcast(&timers.changed);
}

void timers_run(void)
{
    mutex_lock(&timers.lock);
    for (Timer *t; (t = find_earliest_locked()) && t->deadline <= clock_ns();) {
        fire_locked(t);
    }
    mutex_unlock(&timers.lock);
}

static void sleep_locked(const Timer *t, uint64_t now)
{
    if (!t || timers.stopped_at) {
        timers.sleeps_until = timers.stopped_at ? 0 : TIMER_NEVER;
        cond_wait(&timers.changed, &timers.lock);
        return;
    }
    uint64_t ns = t->deadline - now;
    struct timespec ts = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };
    if (ts.tv_sec > 3600) {
        ts.tv_sec = 3600;
    }
    timers.sleeps_until = t->deadline;
    cond_timedwait(&timers.changed, &timers.lock, &ts);
}

static void *timers_main(void *arg)
{
    prctl(PR_SET_TIMERSLACK, 1ul);
    pthread_setname_np(pthread_self(), "timers");
    mutex_lock(&timers.lock);
    for (;;) {
        Timer *t = find_earliest_locked();
        uint64_t now = clock_ns();
        if (t && t->deadline <= now && !timers.stopped_at) {
            fire_locked(t);
            continue;
        }
        sleep_locked(t, now);
        timers.sleeps_until = 0;
    }
    return NULL;
}

void timers_start(void)
{
    pthread_t thread;
    __atomic_store_n(&timers.offset, host_ns(), __ATOMIC_RELAXED);
    if (pthread_create(&thread, NULL, timers_main, NULL)) {
        fatal("cannot create a thread for timers");
    }
    pthread_detach(thread);
}

void timers_start_counted(uint64_t (*counted)(void), void (*earlier)(void))
{
    timers.counted = counted;
    timers.earlier = earlier;
}
