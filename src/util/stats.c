/*
 * The counter blocks of threads. A block is made when a thread counts for the first time,
 * stays in the list of all blocks for ever, and goes to the free list, values and all,
 * when its thread ends; the next new thread goes on counting in it.
 *
 * The lock is not a Mutex because a contended Mutex counts, and counting may need the
 * lock. Signals are blocked while it is held, so that a handler that counts for the first
 * time cannot wait for the thread that it interrupted.
 *
 * A block comes from mmap: malloc may be what the thread was interrupted in.
 */
#include "util/stats.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "util/error.h"
#include "util/lock.h"

typedef struct StatContext {
    SpinLock lock;
    /* guarded by lock */
    StatBlock *all;
    StatBlock *free;
    StatBlock *page_next, *page_end; /* rest of the page that blocks are cut from */
    sigset_t fork_mask;              /* of the thread between prepare and parent/child */
    pthread_once_t once;
    pthread_key_t key; /* constant after once */
} StatContext;

static StatContext ctx = {
    .lock = SPIN_LOCK_INIT(STATS),
    .once = PTHREAD_ONCE_INIT,
};
_Thread_local StatBlock *stat_block;

static const char *const stat_names[] = {
#define STAT(id, name, help) name,
#include "util/stats.def"
#undef STAT
};

static const char *const stat_helps[] = {
#define STAT(id, name, help) help,
#include "util/stats.def"
#undef STAT
};

/* Without the count of contentions, see above. */
static void stats_lock(sigset_t *mask)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, mask);
    while (!spin_trylock(&ctx.lock)) {
        sched_yield();
    }
}

static void stats_unlock(const sigset_t *mask)
{
    spin_unlock(&ctx.lock);
    pthread_sigmask(SIG_SETMASK, mask, NULL);
}

static void thread_ends(void *block)
{
    sigset_t mask;
    StatBlock *b = block;
    stats_lock(&mask);
    stat_block = NULL;
    b->next_free = ctx.free;
    ctx.free = b;
    stats_unlock(&mask);
}

static void make_key(void)
{
    if (pthread_key_create(&ctx.key, thread_ends) != 0) {
        fatal("out of thread-specific keys");
    }
}

static StatBlock *new_block_locked(void)
{
    const size_t size = 16 * 1024;
    if (ctx.page_next == ctx.page_end) {
        void *p =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            fatal("out of memory: %zu bytes", size);
        }
        ctx.page_next = p;
        ctx.page_end = ctx.page_next + size / sizeof(StatBlock);
    }
    StatBlock *b = ctx.page_next++;
    b->next_all = ctx.all;
    ctx.all = b;
    return b;
}

StatBlock *stats_thread_init(void)
{
    sigset_t mask;
    pthread_once(&ctx.once, make_key);
    stats_lock(&mask);
    if (!stat_block) {
        StatBlock *b = ctx.free;
        if (b) {
            ctx.free = b->next_free;
        } else {
            b = new_block_locked();
        }
        stat_block = b;
        pthread_setspecific(ctx.key, b);
    }
    stats_unlock(&mask);
    return stat_block;
}

uint64_t stat_read(StatId id)
{
    sigset_t mask;
    uint64_t sum = 0;
    stats_lock(&mask);
    for (const StatBlock *b = ctx.all; b; b = b->next_all) {
        sum += __atomic_load_n(&b->value[id], __ATOMIC_RELAXED);
    }
    stats_unlock(&mask);
    return sum;
}

void stats_print(FILE *out)
{
    for (unsigned i = 0; i < N_STATS; i++) {
        fprintf(out, "%-24s %14llu  %s\n", stat_names[i],
                (unsigned long long)stat_read(i), stat_helps[i]);
    }
}

static void zero_all_locked(void)
{
    for (StatBlock *b = ctx.all; b; b = b->next_all) {
        for (unsigned i = 0; i < N_STATS; i++) {
            __atomic_store_n(&b->value[i], 0, __ATOMIC_RELAXED);
        }
    }
}

void stats_reset(void)
{
    sigset_t mask;
    stats_lock(&mask);
    zero_all_locked();
    stats_unlock(&mask);
}

void stats_fork_prepare(void)
{
    sigset_t mask;
    stats_lock(&mask);
    ctx.fork_mask = mask;
}

void stats_fork_parent(void)
{
    sigset_t mask = ctx.fork_mask;
    stats_unlock(&mask);
}

void stats_fork_child(void)
{
    zero_all_locked();
    ctx.free = NULL;
    for (StatBlock *b = ctx.all; b; b = b->next_all) {
        if (b != stat_block) {
            b->next_free = ctx.free;
            ctx.free = b;
        }
    }
    stats_fork_parent();
}
