/*
 * Locks, condition variables and the sequence lock with more threads than processors.
 * What they guard are plain variables, so that ThreadSanitizer sees a lock that does not
 * exclude; the sums show it without. Progress: every thread gets through in every round.
 */
#include "stress.h"

#include "util/lock.h"
#include "util/seqlock.h"
#include "util/stats.h"

enum { N_PAGES = 24, QUEUE = 4, TRANSFERS = 500 };

typedef struct Shared {
    Mutex mutex;
    uint64_t under_mutex[2];
    SpinLock spin;
    uint64_t under_spin[2];
    struct {
        SpinLock lock;
        int64_t balance;
    } pages[N_PAGES]; /* money moves between them and none is lost */
    Mutex queue_lock;
    Cond not_full, not_empty;
    uint64_t queue[QUEUE], head, tail; /* guarded by queue_lock */
    uint64_t put_sum, got_sum;         /* guarded by queue_lock */
    Mutex writers;
    SeqLock seq;
    uint64_t pair[2]; /* through seqlock_load/store: pair[1] == ~pair[0] */
} Shared;

static void count_step(Shared *s, uint64_t r)
{
    if (r % 3 || !mutex_trylock(&s->mutex)) {
        mutex_lock(&s->mutex);
    }
    check(s->under_mutex[0] == s->under_mutex[1], "a mutex let two in");
    s->under_mutex[0]++;
    spin_lock(&s->spin);
    check(s->under_spin[0] == s->under_spin[1], "a spin lock let two in");
    s->under_spin[0]++;
    s->under_spin[1]++;
    spin_unlock(&s->spin);
    s->under_mutex[1]++;
    mutex_unlock(&s->mutex);
}

/* Two to five pages at once, in ascending order. */
static void transfer_step(Shared *s, uint64_t r)
{
    unsigned first = (unsigned)(r % (N_PAGES - 4)), n = 2 + (unsigned)(r >> 8) % 4;
    for (unsigned i = first; i < first + n; i++) {
        lock_acquire_ordered(&s->pages[i].lock, i);
    }
    int64_t amount = (int64_t)(r >> 16) % 100;
    s->pages[first].balance -= amount;
    s->pages[first + n - 1].balance += amount;
    for (unsigned i = first; i < first + n; i++) {
        lock_assert_held(&s->pages[i].lock);
        spin_unlock(&s->pages[i].lock);
    }
    lock_assert_none_held();
}

static void put(Shared *s, uint64_t v)
{
    mutex_lock(&s->queue_lock);
    while (s->head - s->tail == QUEUE) {
        cond_wait(&s->not_full, &s->queue_lock);
    }
    s->queue[s->head++ % QUEUE] = v;
    s->put_sum += v;
    mutex_unlock(&s->queue_lock);
    cond_signal(&s->not_empty); /* after the unlock: must not be lost either */
}

static void get(Shared *s)
{
    mutex_lock(&s->queue_lock);
    while (s->head == s->tail) {
        cond_wait(&s->not_empty, &s->queue_lock);
    }
    s->got_sum += s->queue[s->tail++ % QUEUE];
    cond_signal(&s->not_full);
    mutex_unlock(&s->queue_lock);
}

static void seqlock_step(Shared *s, uint64_t r)
{
    if (r % 16 == 0) {
        mutex_lock(&s->writers);
        seqlock_write_begin(&s->seq);
        seqlock_store(&s->pair[0], r);
        seqlock_store(&s->pair[1], ~r);
        seqlock_write_end(&s->seq);
        mutex_unlock(&s->writers);
        return;
    }
    uint64_t a, b;
    uint32_t begun;
    do {
        begun = seqlock_read_begin(&s->seq);
        a = seqlock_load(&s->pair[0]);
        b = seqlock_load(&s->pair[1]);
    } while (seqlock_read_retry(&s->seq, begun));
    check(a == ~b, "a torn pair was read");
}

static void worker(StressWorker *w)
{
    Shared *s = w->shared;
    /* Half of the threads put, half get, each the same number of times per round, so that
     * nobody is left waiting at the end. */
    for (int i = 0; i < TRANSFERS; i++) {
        uint64_t r = stress_random(&w->seed);
        if (w->index & 1) {
            put(s, r >> 20);
        } else {
            get(s);
        }
    }
    while (!stress_stopped(w)) {
        uint64_t r = stress_random(&w->seed);
        count_step(s, r);
        transfer_step(s, r);
        seqlock_step(s, r >> 4);
        w->operations++;
    }
}

int main(int argc, char **argv)
{
    static Shared s;
    static StressRound round;
    double end = stress_now() + stress_seconds(argc, argv);
    int n = stress_threads() & ~1;
    mutex_init(&s.mutex, LOCK_RANK_MMAP);
    spin_init(&s.spin, LOCK_RANK_JMP);
    mutex_init(&s.queue_lock, LOCK_RANK_REGION);
    mutex_init(&s.writers, LOCK_RANK_LEAF);
    for (int i = 0; i < N_PAGES; i++) {
        spin_init(&s.pages[i].lock, LOCK_RANK_PAGE);
    }
    s.pair[1] = ~UINT64_C(0);
    stress_start(&round, n, (void (*[])(StressWorker *)){ worker }, 1, &s);
    uint64_t rounds = 0;
    do {
        stress_run(&round, 50);
        rounds++;
        int64_t sum = 0;
        for (int i = 0; i < N_PAGES; i++) {
            sum += s.pages[i].balance;
            check(!spin_is_locked(&s.pages[i].lock), "page %d is locked at rest", i);
        }
        check(sum == 0, "balances add up to %lld", (long long)sum);
        check(s.head == rounds * TRANSFERS / 2 * (uint64_t)n && s.head == s.tail,
              "the queue is off");
        check(s.put_sum == s.got_sum, "the queue changed what it carries");
        check(s.not_empty.waiters == 0 && s.not_full.waiters == 0,
              "somebody still waits");
    } while (stress_now() < end);
    uint64_t ops = stress_finish(&round);
    check(s.under_mutex[0] == ops && s.under_mutex[1] == ops && s.under_spin[1] == ops,
          "%llu and %llu instead of %llu", (unsigned long long)s.under_mutex[1],
          (unsigned long long)s.under_spin[1], (unsigned long long)ops);
    check(ops > 1000, "only %llu operations", (unsigned long long)ops);
    printf("%d threads, %llu operations, %llu contentions\n", n, (unsigned long long)ops,
           (unsigned long long)stat_read(STAT_LOCK_CONTENTIONS));
    return 0;
}
