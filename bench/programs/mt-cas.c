/*
 * Two threads push and pop on a lock-free stack of indices by compare and swap
 * on a word that holds an index and a version.
 *
 * bench-class: threads
 * bench-args: 2000000 2
 * bench-quick: 200000 2
 */
#include <stdatomic.h>
#include "mt.h"

enum { SLOTS = 64 };

static _Alignas(64) _Atomic uint64_t head; /* version << 32 | index + 1 */
static _Alignas(64) _Atomic uint32_t next[SLOTS];
static uint64_t uses[SLOTS];

static uint32_t pop(void)
{
    uint64_t old = atomic_load_explicit(&head, memory_order_acquire), new;

    do {
        uint32_t index = (uint32_t)old;

        if (!index) {
            return 0;
        }
        new = ((old >> 32) + 1) << 32 |
              atomic_load_explicit(&next[index - 1], memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(
        &head, &old, new, memory_order_acq_rel, memory_order_acquire));
    return (uint32_t)old;
}

static void push(uint32_t index)
{
    uint64_t old = atomic_load_explicit(&head, memory_order_relaxed), new;

    do {
        atomic_store_explicit(&next[index - 1], (uint32_t)old, memory_order_relaxed);
        new = ((old >> 32) + 1) << 32 | index;
    } while (!atomic_compare_exchange_weak_explicit(
        &head, &old, new, memory_order_release, memory_order_relaxed));
}

static void *body(void *arg)
{
    MtWork *work = arg;

    for (uint64_t i = 0; i < work->iterations; i++) {
        uint32_t index = pop();

        if (index) {
            uses[index - 1]++; /* owned by whoever popped it */
            work->result++;
            push(index);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned threads = (unsigned)bench_arg(argc, argv, 2, 2);
    MtWork work[MT_MAX_THREADS];
    uint64_t taken = 0, used = 0;

    for (uint32_t i = 1; i <= SLOTS; i++) {
        push(i);
    }
    mt_run(work, threads, bench_arg(argc, argv, 1, 500000), body);
    for (unsigned i = 0; i < threads; i++) {
        taken += work[i].result;
    }
    for (int i = 0; i < SLOTS; i++) {
        used += uses[i];
    }
    if (taken != used) {
        printf("mt-cas: lost updates: %" PRIu64 " of %" PRIu64 "\n", taken - used, taken);
        return 1;
    }
    return bench_report("mt-cas", taken);
}
