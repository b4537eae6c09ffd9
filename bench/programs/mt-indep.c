/*
 * Threads that share nothing: each hashes numbers, sorts a private array and
 * calls through a function pointer.  Run with one and with two threads, each
 * thread doing the same work, it shows whether translated code of two threads
 * runs without any dependency.
 *
 * bench-class: threads
 * bench-args: 2000 2
 * bench-quick: 200 2
 * bench-scaling: yes
 */
#include "mt.h"

enum { COUNT = 4096 };

static __attribute__((noinline)) uint64_t step_a(uint64_t x)
{
    return (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
}

static __attribute__((noinline)) uint64_t step_b(uint64_t x)
{
    return (x ^ x >> 27) * 0x94d049bb133111ebu;
}

static void sift(uint64_t *heap, size_t at, size_t n)
{
    for (;;) {
        size_t child = 2 * at + 1;
        uint64_t swap;

        if (child >= n) {
            return;
        }
        if (child + 1 < n && heap[child + 1] > heap[child]) {
            child++;
        }
        if (heap[at] >= heap[child]) {
            return;
        }
        swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

static void heap_sort(uint64_t *items, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) {
        sift(items, i, n);
    }
    for (size_t end = n - 1; end > 0; end--) {
        uint64_t top = items[0];

        items[0] = items[end];
        items[end] = top;
        sift(items, 0, end);
    }
}

static void *body(void *arg)
{
    static uint64_t (*const steps[])(uint64_t) = { step_a, step_b };
    MtWork *work = arg;
    uint64_t *items = malloc(sizeof(*items) * COUNT), sum = 1;

    for (uint64_t round = 0; round < work->iterations; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            items[i] = sum = steps[sum >> 7 & 1](sum + i);
        }
        heap_sort(items, COUNT);
        sum = bench_mix(sum, items[round % COUNT]);
    }
    free(items);
    work->result = sum;
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned threads = (unsigned)bench_arg(argc, argv, 2, 2);
    MtWork work[MT_MAX_THREADS];
    uint64_t sum = 0;

    mt_run(work, threads, bench_arg(argc, argv, 1, 150), body);
    for (unsigned i = 0; i < threads; i++) {
        sum = bench_mix(sum, work[i].result);
    }
    return bench_report("mt-indep", sum);
}
