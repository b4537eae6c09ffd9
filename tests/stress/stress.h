/*
 * What torture tests share: how long to run (first argument or BRAID_STRESS_SECONDS,
 * default 2), more threads than processors, a random generator per thread, and rounds:
 * all workers run until the round's time is over and then meet, so that the main thread
 * can look at a structure at rest.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STRESS_MAX_THREADS 64

/* Unlike assert() it is there in every build; a failing test stops at once. */
#define check(cond, ...)                                                                 \
    do {                                                                                 \
        if (!(cond)) {                                                                   \
            fprintf(stderr, "%s:%d: check failed: %s: ", __FILE__, __LINE__, #cond);     \
            fprintf(stderr, __VA_ARGS__);                                                \
            fputc('\n', stderr);                                                         \
            abort();                                                                     \
        }                                                                                \
    } while (0)

static inline double stress_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double stress_seconds(int argc, char **argv)
{
    const char *s = argc > 1 ? argv[1] : getenv("BRAID_STRESS_SECONDS");
    double v = s ? atof(s) : 2;
    return v > 0 ? v : 2;
}

/* Four threads per processor, 8 to 32. */
static inline int stress_threads(void)
{
    long n = 4 * sysconf(_SC_NPROCESSORS_ONLN);
    return n < 8 ? 8 : n > 32 ? 32 : (int)n;
}

static inline uint64_t stress_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x * UINT64_C(0x2545f4914f6cdd1d) >> 8;
}

typedef struct StressRound StressRound;

typedef struct StressWorker {
    StressRound *round;
    int index;
    uint64_t seed;
    uint64_t operations; /* owned by the worker; read at rest */
    void (*fn)(struct StressWorker *w);
    void *shared;
} StressWorker;

struct StressRound {
    pthread_barrier_t start, end;
    int stop; /* atomic: the round is over */
    int quit; /* atomic: no more rounds */
    int n;
    pthread_t threads[STRESS_MAX_THREADS];
    StressWorker workers[STRESS_MAX_THREADS];
};

static inline bool stress_stopped(const StressWorker *w)
{
    return __atomic_load_n(&w->round->stop, __ATOMIC_RELAXED);
}

static inline void *stress_worker_main(void *arg)
{
    StressWorker *w = arg;
    for (;;) {
        pthread_barrier_wait(&w->round->start);
        if (__atomic_load_n(&w->round->quit, __ATOMIC_RELAXED)) {
            return NULL;
        }
        w->fn(w);
        pthread_barrier_wait(&w->round->end);
    }
}

/* Worker i runs fns[i % n_fns]. */
static inline void stress_start(StressRound *r, int n, void (*const *fns)(StressWorker *),
                                int n_fns, void *shared)
{
    memset(r, 0, sizeof(*r));
    r->n = n;
    pthread_barrier_init(&r->start, NULL, (unsigned)n + 1);
    pthread_barrier_init(&r->end, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++) {
        r->workers[i] = (StressWorker){
            r,     i, UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(i + 1), 0, fns[i % n_fns],
            shared};
        check(pthread_create(&r->threads[i], NULL, stress_worker_main, &r->workers[i]) ==
                  0,
              "no thread %d", i);
    }
}

/* One round of @ms milliseconds; everybody is at rest afterwards. */
static inline void stress_run(StressRound *r, int ms)
{
    __atomic_store_n(&r->stop, 0, __ATOMIC_RELAXED);
    pthread_barrier_wait(&r->start);
    usleep((useconds_t)ms * 1000);
    __atomic_store_n(&r->stop, 1, __ATOMIC_RELAXED);
    pthread_barrier_wait(&r->end);
}

static inline uint64_t stress_finish(StressRound *r)
{
    uint64_t sum = 0;
    __atomic_store_n(&r->quit, 1, __ATOMIC_RELAXED);
    pthread_barrier_wait(&r->start);
    for (int i = 0; i < r->n; i++) {
        pthread_join(r->threads[i], NULL);
        sum += r->workers[i].operations;
    }
    return sum;
}

#endif
