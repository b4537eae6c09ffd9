/*
 * Threads shoot real-time and ordinary signals at each other as fast as they can
 * while all of them compute: no real-time signal is lost, no computation changes.
 *
 * test-native: yes
 * test-time: 60
 */
#include "test.h"

enum { THREADS = 8 };

static _Atomic pid_t tids[THREADS];
static _Atomic unsigned long sent, received, wrong;
static Meeting all = { .threads = THREADS };

static void on_realtime(int sig, siginfo_t *info, void *context)
{
    atomic_fetch_add_explicit(&received, 1, memory_order_relaxed);
}

static void on_urgent(int sig, siginfo_t *info, void *context)
{
}

static uint64_t compute(uint64_t seed)
{
    double d = 1;

    for (int i = 0; i < 300; i++) {
        seed = (seed ^ seed >> 29) * 0xbf58476d1ce4e5b9u + (uint64_t)i;
        d = d * 1.0001 + (double)(seed & 3);
    }
    return seed ^ (uint64_t)d;
}

static void *body(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t expected;

    tids[me] = (pid_t)syscall(SYS_gettid);
    expected = compute(me);
    meet(&all);
    for (unsigned long i = 0; i < scaled(3000); i++) {
        unsigned target = (unsigned)((me + i) % THREADS);

        /* The queue is bounded: EAGAIN means not sent. */
        if (syscall(SYS_tgkill, getpid(), tids[target], SIGRTMIN + 1) == 0) {
            atomic_fetch_add_explicit(&sent, 1, memory_order_relaxed);
        } else {
            CHECK(errno == EAGAIN, "tgkill: %d", errno);
        }
        syscall(SYS_tgkill, getpid(), tids[target], SIGURG);
        if (compute(me) != expected) {
            atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
        }
    }
    meet(&all);
    return NULL;
}

int main(void)
{
    pthread_t ids[THREADS];

    set_handler(SIGRTMIN + 1, on_realtime, SA_RESTART);
    set_handler(SIGURG, on_urgent, SA_RESTART);
    for (uintptr_t i = 0; i < THREADS; i++) {
        ids[i] = start_thread(body, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        join_thread(ids[i]);
    }
    CHECK(wrong == 0, "%lu computations were disturbed", (unsigned long)wrong);
    CHECK(sent == received, "%lu sent, %lu received", (unsigned long)sent,
          (unsigned long)received);
    return 0;
}
