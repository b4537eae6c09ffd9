/*
 * What the torture tests of exec/ share: how a test fails, threads that run guest code,
 * and the parameters of a run.
 */
#ifndef TESTS_EXEC_TORTURE_H
#define TESTS_EXEC_TORTURE_H

#include <pthread.h>
#include <stdint.h>

#include "fake-guest.h"

#if defined(__SANITIZE_THREAD__)
#define TORTURE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TORTURE_TSAN 1
#endif
#endif
#ifndef TORTURE_TSAN
#define TORTURE_TSAN 0
#endif

_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define check(cond, ...) ((cond) ? (void)0 : fail(__VA_ARGS__))

/* Now and then, give the processor away or sleep a little. */
void chaos(void);
/* A number in [0, n) from this thread's generator, which is not the guest's. */
uint32_t any(uint32_t n);

/* The seed also decides on translate=serial, and with any_mode on -one-insn-per-tb and nochain. */
typedef struct TortureOptions {
    unsigned seconds, threads, max_insns;
    uint64_t seed;
    bool any_mode;
    void (*on_hot)(CPUState *cpu, struct TranslationBlock *tb); /* blocks count, and this is told */
} TortureOptions;
extern TortureOptions opt;

/* exec_init() and exec_set_parallel() with this buffer size. */
void torture_init(size_t tb_size);
/* The same for the guest with an MMU. */
void torture_init_system(size_t tb_size);

/* A thread that runs guest code from word `start` until world.stop. */
typedef struct Executor {
    /* filled in by the test */
    uint32_t start;
    /* A system call: the pc is behind it.  May change the state. */
    void (*on_syscall)(struct Executor *e);
    /* Nothing may be executed at fault_addr; NULL: that is a failure. */
    void (*on_fault)(struct Executor *e);
    void *opaque;
    bool check_model; /* compare with model_run() from one system call to the next */
    uint32_t limit;   /* atomic: return after that many system calls; 0: at world.stop */
    unsigned index;
    /* of the thread */
    FakeCPU *cpu;
    pthread_t thread;
    uint64_t syscalls;      /* atomic */
} Executor;

/* Its CPU; then its thread (and its CPU, if it has none yet). */
void executor_create(Executor *e);
void executor_start(Executor *e);
/* The loop of an executor in the calling thread, whose CPU is e->cpu. */
void executor_run(Executor *e);
/* world.stop, then wait for all; fails if one does not come to an end. */
void executors_stop(Executor *e, unsigned n);
/* pthread_create() and pthread_join() that fail the test. */
pthread_t thread_start(void *(*fn)(void *), void *arg);
void thread_join(pthread_t t);
/* Sleep until opt.seconds have passed, watching that each executor goes on. */
void torture_wait(Executor *e, unsigned n);

/* On a busy machine the time may not be enough to mean anything: wait longer until `enough` holds. */
#define TORTURE_WAIT_UNTIL(enough, what)                                                  \
    for (time_t end_ = time(NULL) + 60; !(enough); usleep(1000)) {                       \
        check(time(NULL) < end_, what);                                                  \
    }
static inline bool stopping(void)
{
    return __atomic_load_n(&world.stop, __ATOMIC_RELAXED);
}

/* A random program without slots in pages [first, first + n); data for its jumps in the
 * last page. */
void program_graph(uint32_t first_page, uint32_t n_pages, bool exclusive_ops);

/* ---- the tests ---- */
void test_graph(void);
void test_mutate(void);
void test_revive(void);
void test_replace(void);
void test_links(void);
void test_own_code(void);
void test_spin(void);
void test_work(void);
void test_exclusive(void);
void test_churn(void);
void test_fork(void);
void test_crowd(void);
void test_large(void);
void test_tlb(void);

#endif
