/*
 * Start one or two threads on the same function and wait for them.
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
} MtWork;

static inline void mt_run(MtWork *work, unsigned threads, uint64_t iterations,
                          void *(*body)(void *))
{
    pthread_t ids[MT_MAX_THREADS];

    if (threads < 1 || threads > MT_MAX_THREADS) {
        fprintf(stderr, "the number of threads goes from 1 to %d\n", MT_MAX_THREADS);
        exit(2);
    }
    for (unsigned i = 0; i < threads; i++) {
        work[i] = (MtWork){ i, threads, iterations, 0 };
        if (pthread_create(&ids[i], NULL, body, &work[i])) {
            fprintf(stderr, "cannot create a thread\n");
            exit(1);
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
    }
}

#endif
