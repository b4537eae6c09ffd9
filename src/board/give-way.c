/*
 * PAUSE and WRS: harts that wait for other harts, and leave them the processors.
 *
 * What a hart waits for another one has to do, which needs a processor of the host.  As long as no more harts are awake
 * than there are processors, a wait only lets other threads run.  Else it sleeps, always for a bounded time, since
 * nobody sees the store that ends it:
 *
 * PAUSE.  Who goes on pausing sleeps as long as he has waited already, so that a wait lasts twice as long as it must
 * at the worst, but not so long that few of the pausing harts look at a time.
 *
 * WRS names a word, by the reservation, and mostly the word is a lock that is handed over in the order in which harts
 * came.  Were all of them to look now and then, a lock with a hundred waiters would get to the next one after a hundred
 * such looks.  So of those who wait for one word, only the one that has waited longest, its head, looks often.  When the
 * word changes the head goes to take the lock, and wakes the next one in order to look on from there.  The
 * others sleep, and look themselves after a time, in case the order was another one.
 *
 * "Goes on": the hart's thread has used hardly any processor time since its last pause.  Real time would not do, for the
 * thread may have had no processor.
 */
#include "board/give-way.h"

#include <sched.h>

#include "exec/exec.h"
#include "util/clock.h"
#include "util/compiler.h"
#include "util/lock.h"
#include "util/stats.h"

enum { PAUSES_AWAKE = 32, LOOKS = 100 };
#define AWAKE_NS 50000      /* so long a hart pauses awake */
#define GAP_NS 8000         /* more processor time than this between two pauses: they do not belong together */
#define SHARE_NS 250000     /* a sleep is no longer than this, times harts awake for each processor */
#define LOOK_NS 20000       /* between two looks of a head, at first */
#define HEAD_NS 500000      /* so long it looks before the guest does */

static struct GiveWay {
    unsigned nprocessors;   /* constant: of the host, for this process */
    uint32_t nawake;        /* atomic: harts that are not asleep; a hint */
    Mutex lock;             /* rank LEAF */
    Hart *first;            /* guarded by lock: harts that wait for a word, those that wait longest first */
} ways = { .lock = MUTEX_INIT(LEAF) };

void give_way_init(unsigned nharts)
{
    cpu_set_t set;
    ways.nprocessors = sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
    ways.nawake = nharts;
}

void give_way_asleep(void) { __atomic_fetch_sub(&ways.nawake, 1, __ATOMIC_RELAXED); }
void give_way_awake(void) { __atomic_fetch_add(&ways.nawake, 1, __ATOMIC_RELAXED); }

/* ---- WRS ---- */

static uint32_t look(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }

static Hart *find_waiter_locked(const uint32_t *word, bool head)
{
    Hart *h = ways.first;
    while (h && (h->awaited.word != word || (head && !h->awaited.head))) {
        h = h->awaited.next;
    }
    return h;
}

static void enlist(Hart *h, const uint32_t *word, uint32_t seen)
{
    mutex_lock(&ways.lock);
    bool head = !find_waiter_locked(word, true);
    Hart **p = &ways.first;
    while (*p && (*p)->pausing_ns <= h->pausing_ns) {
        p = &(*p)->awaited.next;
    }
    h->awaited = (HartAwaited){ .word = word, .seen = seen, .head = head, .next = *p };
    *p = h;
    mutex_unlock(&ways.lock);
}

/* Returns whom the hart has made head in its place, or NULL. */
static Hart *resign(Hart *h)
{
    mutex_lock(&ways.lock);
    Hart **p = &ways.first, *next = NULL;
    while (*p != h) {
        p = &(*p)->awaited.next;
    }
    *p = h->awaited.next;
    if (h->awaited.head && (next = find_waiter_locked(h->awaited.word, false))) {
        next->awaited.head = true;
        next->awaited.seen = look(h->awaited.word);
    }
    mutex_unlock(&ways.lock);
    return next;
}

/* Is the hart head, and of which value of the word is it to see the end? */
static bool is_head(Hart *h, uint32_t *seen)
{
    mutex_lock(&ways.lock);
    bool head = h->awaited.head;
    *seen = h->awaited.seen;
    mutex_unlock(&ways.lock);
    return head;
}

/* Returns when the word has changed, the hart is kicked, or the time is over. */
static void watch(Hart *h, const uint32_t *word, uint32_t seen)
{
    for (unsigned i = 0; i < LOOKS && look(word) == seen; i++) {
        cpu_pause();
    }
    uint64_t now = host_ns(), end = now + HEAD_NS, step = LOOK_NS;
    for (; look(word) == seen && now < end && !cpu_wait(h->cpu, now + step); now = host_ns()) {
        step *= 2;
        stat_inc(STAT_PAUSE_SLEEPS);
    }
}

static void wait_for_word(Hart *h, const uint32_t *word, uint32_t seen, uint64_t limit)
{
    bool kicked = false;
    if (look(word) != seen) {
        return;
    }
    enlist(h, word, seen);
    if (!is_head(h, &seen)) {
        stat_inc(STAT_PAUSE_SLEEPS);
        kicked = cpu_wait(h->cpu, host_ns() + limit);
        if (kicked) {
            cpu_answer_kick(h->cpu);    /* who made this hart head, perhaps */
        }
    }
    if (is_head(h, &seen)) {
        watch(h, word, seen);
    }
    Hart *next = resign(h);
    if (next) {
        cpu_kick(next->cpu);
    }
    if (kicked) {
        cpu_kick(h->cpu);               /* what else was meant is for cpu_exec() to see */
    }
}

/* ---- Both ---- */

void give_way(Hart *h, bool reserved)
{
    unsigned awake = __atomic_load_n(&ways.nawake, __ATOMIC_RELAXED);
    if (awake <= ways.nprocessors) {
        h->pauses = 0;
        sched_yield();
        return;
    }
    uint64_t now = host_ns();
    if (!h->pauses || thread_ns() - h->paused_thread_ns > GAP_NS) {
        h->pauses = 0;
        h->pausing_ns = now;
    }
    h->pauses++;
    uint64_t waited = now - h->pausing_ns, limit = (uint64_t)SHARE_NS * awake / ways.nprocessors;
    uint32_t seen;
    const uint32_t *word = reserved ? riscv_reserved_word(h->cpu, &seen) : NULL;
    if (word) {
        wait_for_word(h, word, seen, limit);
    } else if (h->pauses <= PAUSES_AWAKE && waited < AWAKE_NS) {
        sched_yield();
    } else {
        cpu_wait(h->cpu, now + (waited < limit ? waited : limit));
        stat_inc(STAT_PAUSE_SLEEPS);
    }
    h->paused_thread_ns = thread_ns();
}
