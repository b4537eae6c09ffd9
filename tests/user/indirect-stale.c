/*
 * Indirect jumps and returns after their target changed: every thread keeps a warm
 * jump cache for a target; the target is rewritten and all instruction caches are
 * flushed; the next indirect jump of every thread reaches the new code.
 *
 * test-native: no
 * test-time: 60
 */
#include "rv-code.h"

enum { THREADS = 8, TARGETS = 16 };

static char *page;
static _Atomic long generation;
static _Atomic int stop;
static _Atomic unsigned long checked;

/* Jumps to the address in a1 through a table of its own, and returns through t0. */
static long call_indirect(char *target)
{
    register long a0 __asm__("a0") = 0;

    __asm__ volatile("jalr t0, 0(%1)" : "+r"(a0) : "r"(target) : "t0", "t1", "memory");
    return a0;
}

static void put_target(unsigned i, int value)
{
    /* addi a0, zero, value; jr t0 */
    rv_patch((uint32_t *)(page + i * 128), rv_addi(A0, ZERO, value));
    rv_patch((uint32_t *)(page + i * 128 + 4), rv_jalr(ZERO, T0, 0));
}

static void *runner(void *arg)
{
    unsigned n = (unsigned)(uintptr_t)arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        unsigned target = n++ % TARGETS;
        long before = atomic_load_explicit(&generation, memory_order_acquire), r, after;

        r = call_indirect(page + target * 128);
        after = atomic_load_explicit(&generation, memory_order_acquire);
        /* The writer is at most one generation ahead of what it has published. */
        CHECK(r >= before && r <= after + 1, "ran generation %ld between %ld and %ld", r,
              before, after);
        atomic_fetch_add_explicit(&checked, 1, memory_order_relaxed);
    }
    return NULL;
}

int main(void)
{
    pthread_t ids[THREADS];

    page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (unsigned i = 0; i < TARGETS; i++) {
        put_target(i, 0);
    }
    fence_i();
    for (uintptr_t i = 0; i < THREADS; i++) {
        ids[i] = start_thread(runner, (void *)i);
    }
    for (long g = 1; g <= (long)scaled(1000); g++) {
        for (unsigned i = 0; i < TARGETS; i++) {
            put_target(i, (int)g);
        }
        flush_icache_all(page, page + PAGE);
        /* [GENERATION] pairs with the loads in runner() */
        atomic_store_explicit(&generation, g, memory_order_release);
        if (g % 8 == 0) {
            sched_yield();
        }
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        join_thread(ids[i]);
    }
    CHECK(checked > 0, "the runners never ran");
    return 0;
}
