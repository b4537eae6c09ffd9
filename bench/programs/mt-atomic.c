/*
 * Two threads add to the same counter with an atomic add; every eighth step
 * takes the old value into account, so that the result is used.
 *
 * bench-class: threads
 * bench-args: 30000000 2
 * bench-quick: 3000000 2
 */
#include <stdatomic.h>
#include "mt.h"

static _Alignas(64) _Atomic uint64_t counter;

static void *body(void *arg)
{
    MtWork *work = arg;
    uint64_t seen = 0;

    for (uint64_t i = 0; i < work->iterations; i++) {
        uint64_t old = atomic_fetch_add_explicit(&counter, 3, memory_order_relaxed);

        if (i % 8 == 0) {
            seen |= old % 3;
        }
    }
    work->result = seen;
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned threads = (unsigned)bench_arg(argc, argv, 2, 2);
    MtWork work[MT_MAX_THREADS];

    mt_run(work, threads, bench_arg(argc, argv, 1, 2000000), body);
    for (unsigned i = 0; i < threads; i++) {
        if (work[i].result) {
            printf("mt-atomic: an addition was torn\n");
            return 1;
        }
    }
    return bench_report("mt-atomic", atomic_load(&counter));
}
