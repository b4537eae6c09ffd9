/*
 * 16 threads that keep producing code, far more than a small buffer holds, with
 * instructions over page ends, so that buffers fill up in the middle of
 * translating; meanwhile two more threads run misaligned and page-crossing atomics,
 * which may need to run alone. Meant for the option set with a tiny buffer, right under
 * any.
 *
 * test-native: no
 * test-time: 90
 */
#include <setjmp.h>
#include "rv-code.h"

enum { THREADS = 16, PAGES = 8, STEPS = 40 };

static _Atomic int stop;
static __thread sigjmp_buf back;
static _Atomic unsigned long functions;
static char *shared;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    siglongjmp(back, 1);
}

/* Straight additions with jumps in between; the sum of all immediates is returned. */
static long emit(char *at, uint64_t *random)
{
    long sum = 0;

    rv_put(at, rv_addi(A0, ZERO, 0));
    at += 4;
    for (int i = 0; i < STEPS; i++) {
        int value;

        *random = *random * 6364136223846793005u + 1442695040888963407u;
        value = (int)(*random >> 40) % 1000;
        rv_put(at, rv_addi(A0, A0, value));
        sum += value;
        at += 4;
        if (i % 5 == 4) {
            /* Over two bytes: what follows is aligned to two only. */
            rv_put(at, rv_jal(ZERO, 6));
            at += 6;
        }
    }
    rv_put(at, RV_RET);
    return sum;
}

static void *producer(void *arg)
{
    char *arena = map_pages(PAGES, PROT_READ | PROT_WRITE | PROT_EXEC);
    uint64_t random = (uint64_t)(uintptr_t)arg * 77 + 1;

    for (unsigned long round = 0; round < scaled(30); round++) {
        long sums[PAGES * PAGE / 256];
        int count = 0;

        for (unsigned long at = round % 97 * 2; at + 256 <= PAGES * PAGE; at += 256) {
            sums[count++] = emit(arena + at, &random);
        }
        fence_i();
        for (int pass = 0; pass < 3; pass++) {
            for (int i = 0; i < count; i++) {
                long r = call_code(arena + round % 97 * 2 + (unsigned long)i * 256);

                CHECK(r == sums[i], "function %d, round %lu: %ld, not %ld", i, round, r,
                      sums[i]);
            }
        }
        atomic_fetch_add_explicit(&functions, (unsigned long)count, memory_order_relaxed);
    }
    munmap(arena, PAGES * PAGE);
    return NULL;
}

static void *atomics(void *arg)
{
    char *at = arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        if (sigsetjmp(back, 1) == 0) {
            __asm__ volatile("amoadd.d zero, %0, (%1)" : : "r"(1L), "r"(at) : "memory");
            __asm__ volatile("amoadd.w zero, %0, (%1)"
                             :
                             : "r"(1), "r"(at + 128)
                             : "memory");
        }
        sched_yield();
    }
    return NULL;
}

int main(void)
{
    pthread_t ids[THREADS], others[2];

    shared = map_pages(2, PROT_READ | PROT_WRITE);
    set_handler(SIGBUS, on_bus, 0);
    others[0] = start_thread(atomics, shared + PAGE - 4);
    others[1] = start_thread(atomics, shared + 62);
    for (uintptr_t i = 0; i < THREADS; i++) {
        ids[i] = start_thread(producer, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        join_thread(ids[i]);
    }
    stop = 1;
    join_thread(others[0]);
    join_thread(others[1]);
    CHECK(functions > 0, "nothing was produced");
    return 0;
}
