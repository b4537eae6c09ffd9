/*
 * Two threads share a small table under one mutex; a little work of their own
 * between two critical sections.
 *
 * bench-class: threads
 * bench-args: 7000000 2
 * bench-quick: 700000 2
 */
#include "mt.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t table[16];

static void *body(void *arg)
{
    MtWork *work = arg;
    uint64_t rng = 17 + work->index;

    for (uint64_t i = 0; i < work->iterations; i++) {
        uint64_t r = bench_random(&rng);

        for (int j = 0; j < 4; j++) {
            r = bench_random(&rng) ^ r;
        }
        pthread_mutex_lock(&lock);
        table[r & 15] += r >> 32;
        table[(r >> 4) & 15]++;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned threads = (unsigned)bench_arg(argc, argv, 2, 2);
    MtWork work[MT_MAX_THREADS];
    uint64_t sum = 0;

    mt_run(work, threads, bench_arg(argc, argv, 1, 500000), body);
    for (int i = 0; i < 16; i++) {
        sum = bench_mix(sum, table[i]);
    }
    return bench_report("mt-mutex", sum);
}
