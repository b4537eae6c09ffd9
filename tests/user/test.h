/*
 * What the guest test programs share.
 *
 * A test exits with 0 when everything it shows is true, with 1 and one line that
 * says what was wrong otherwise.  CHECK may be used from any thread: it ends the
 * process.  Nothing here allocates behind the test's back.
 *
 * The first comment of a test says what it shows.  These lines in it are read by
 * tools/run-user-tests.py:
 *   test-native: yes      the source is portable and is run natively as well
 *                no       it emits or contains RISC-V code
 *   test-link:   static (default) | dynamic | static dynamic
 *   test-march:  A B …    the guest's extensions: one program for each
 *   test-output: native   standard output must equal that of the native run
 *   test-time:   seconds allowed (default 30)
 *   test-alone:  yes      it needs the processors for itself to show anything
 *   test-plugins: N       N small shared objects are built next to the program
 *   test-stats:  A <= N, B >= N, C = N
 *                         what --stats must say, in option sets that change nothing of it
 *   test-skip:   A,B      option sets that make no sense for it, with the reason
 *                         in the comment
 *
 * TEST_SCALE in the environment (percent) makes slow option sets do less of the
 * same: loops that only repeat take their count from scaled().
 */
#ifndef TEST_H
#define TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

#define CHECK(condition, ...)                                               \
    do {                                                                    \
        if (!(condition)) {                                                 \
            test_fail(__FILE__, __LINE__, #condition, __VA_ARGS__);         \
        }                                                                   \
    } while (0)

#define CHECK_ERRNO(condition) \
    CHECK(condition, "errno %d (%s)", errno, strerror(errno))

__attribute__((noreturn, format(printf, 4, 5)))
static inline void test_fail(const char *file, int line, const char *what,
                             const char *format, ...)
{
    char text[600];
    int n = snprintf(text, 300, "%s:%d: %s: ", file, line, what);
    __builtin_va_list args;

    __builtin_va_start(args, format);
    n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, format, args);
    __builtin_va_end(args);
    n = n < (int)sizeof(text) - 1 ? n : (int)sizeof(text) - 2;
    text[n++] = '\n';
    if (write(2, text, (size_t)n) != n) {
        _exit(3);
    }
    _exit(1);
}

/* `count`, reduced for slow option sets, at least 1. */
static inline unsigned long scaled(unsigned long count)
{
    const char *percent = getenv("TEST_SCALE");
    unsigned long n = percent ? count * strtoul(percent, NULL, 10) / 100 : count;

    return n ? n : 1;
}

static inline uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void sleep_ms(unsigned ms)
{
    struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

    while (nanosleep(&t, &t) && errno == EINTR) {
    }
}

static inline void set_handler(int sig, void (*handler)(int, siginfo_t *, void *),
                               int flags)
{
    struct sigaction sa = { 0 };

    sa.sa_sigaction = handler;
    sa.sa_flags = SA_SIGINFO | flags;
    sigemptyset(&sa.sa_mask);
    CHECK_ERRNO(sigaction(sig, &sa, NULL) == 0);
}

static inline pthread_t start_thread(void *(*body)(void *), void *arg)
{
    pthread_t id;
    int error = pthread_create(&id, NULL, body, arg);

    CHECK(error == 0, "pthread_create: %s", strerror(error));
    return id;
}

static inline void join_thread(pthread_t id)
{
    int error = pthread_join(id, NULL);

    CHECK(error == 0, "pthread_join: %s", strerror(error));
}

static inline void *map_pages(size_t pages, int prot)
{
    void *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK_ERRNO(p != MAP_FAILED);
    return p;
}

/*
 * A reusable spinning rendezvous for a fixed number of threads.  It yields after a
 * while, so that it also works with more threads than processors.
 */
typedef struct {
    unsigned threads;
    _Atomic unsigned arrived;
    _Atomic unsigned round;
} Meeting;

static inline void meet(Meeting *meeting)
{
    unsigned round = atomic_load_explicit(&meeting->round, memory_order_relaxed);

    if (atomic_fetch_add_explicit(&meeting->arrived, 1, memory_order_acq_rel) + 1
        == meeting->threads) {
        atomic_store_explicit(&meeting->arrived, 0, memory_order_relaxed);
        /* [MEET] pairs with the acquire load below */
        atomic_store_explicit(&meeting->round, round + 1, memory_order_release);
        return;
    }
    for (unsigned spins = 0;
         atomic_load_explicit(&meeting->round, memory_order_acquire) == round; spins++) {
        if (spins % 64 == 63) {
            sched_yield();
        }
    }
}

#endif
