/*
 * The race between reading guest code for translation and protecting it: thread A
 * patches one immediate without pause and publishes the last value written; B makes
 * its own code translated afresh again and again (by filling pages with new code) and
 * calls A's function: after B has seen a value and done fence.i, it never runs an older
 * one.
 *
 * test-native: no
 * test-time: 60
 */
#include "rv-code.h"

enum { FILLERS = 64, MAX_LEAD = 0x20000 };

static char *target, *fill;
static _Atomic long published, taken;
static _Atomic int stop;

/* Value v is encoded as lui a0, v; never so far ahead of the reader that it comes round. */
static void *patcher(void *arg)
{
    for (long v = 1; !atomic_load_explicit(&stop, memory_order_relaxed); v++) {
        rv_patch((uint32_t *)target, rv_lui(A0, (uint32_t)(v & 0x7ffff)));
        atomic_store_explicit(&published, v, memory_order_release);
        while (v - atomic_load_explicit(&taken, memory_order_relaxed) >= MAX_LEAD &&
               !atomic_load_explicit(&stop, memory_order_relaxed)) {
            sched_yield();
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t id;

    target = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    fill = map_pages(FILLERS, PROT_READ | PROT_WRITE | PROT_EXEC);
    rv_put(target, rv_lui(A0, 0));
    rv_put(target + 4, RV_RET);
    id = start_thread(patcher, NULL);
    for (unsigned long i = 0; i < scaled(20000); i++) {
        char *other = fill + i % FILLERS * PAGE;
        long seen, ran, lead;

        rv_put_return(other, (int)(i % 2000));
        seen = atomic_load_explicit(&published, memory_order_acquire);
        fence_i();
        ran = call_code(target) >> 12 & 0x7ffff;
        /* Modulo 2^19: how far the code that ran is ahead of what was published. */
        lead = (ran - seen) & 0x7ffff;
        atomic_store_explicit(&taken, seen, memory_order_relaxed);
        CHECK(lead < 0x40000, "ran %ld although %ld was published", ran, seen & 0x7ffff);
        CHECK(call_code(other) == (long)(i % 2000), "own code");
    }
    stop = 1;
    join_thread(id);
    return 0;
}
