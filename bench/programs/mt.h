/*
 * Start some threads on the same function and wait for them.  They begin together:
 * otherwise, in a short run, the first is done before the second is there, and what
 * was to be measured, the two of them meeting, never happens.
 */
#ifndef BENCH_MT_H
#define BENCH_MT_H

#include <pthread.h>
#include "bench.h"

enum { MT_MAX_THREADS = 64 };

typedef struct {
    unsigned index;        /* 0 … threads - 1 */
    unsigned threads;
    uint64_t iterations;   /* of each thread */
    uint64_t result;
    void *(*body)(void *);
    pthread_barrier_t *together;
} MtWork;

static inline void *mt_begin(void *arg)
{
    MtWork *work = arg;

    pthread_barrier_wait(work->together);
    return work->body(work);
}

static inline void mt_run(MtWork *work, unsigned threads, uint64_t iterations,
                          void *(*body)(void *))
{
    pthread_t ids[MT_MAX_THREADS];
    pthread_barrier_t together;

    if (threads < 1 || threads > MT_MAX_THREADS) {
        fprintf(stderr, "the number of threads goes from 1 to %d\n", MT_MAX_THREADS);
        exit(2);
    }
    pthread_barrier_init(&together, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        work[i] = (MtWork){ i, threads, iterations, 0, body, &together };
        if (pthread_create(&ids[i], NULL, mt_begin, &work[i])) {
            fprintf(stderr, "cannot create a thread\n");
            exit(1);
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
    }
}

#endif
