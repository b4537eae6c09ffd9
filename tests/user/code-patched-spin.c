/*
 * A thread that spins in a one-instruction loop, or in two blocks that jump to each
 * other, leaves it when another thread patches it and flushes the instruction caches
 * of all threads; also with 16 threads chained into the same block.
 *
 * test-native: no
 * test-time: 60
 */
#include "rv-code.h"

enum { SPINNERS = 16 };

static char *page;
static _Atomic int inside;

static void *spinner(void *arg)
{
    atomic_fetch_add(&inside, 1);
    return (void *)call_code(arg);
}

static void wait_inside(int n)
{
    while (atomic_load(&inside) < n) {
        sched_yield();
    }
    sleep_ms(2);
}

static void check_simple(void)
{
    for (unsigned long i = 0; i < scaled(100); i++) {
        uint32_t *at = (uint32_t *)(page + i % 8 * 256);
        pthread_t id;
        void *r;

        rv_put(at, rv_jal(ZERO, 0));
        rv_put_return(at + 1, (int)i);
        flush_icache_all(page, page + PAGE);
        inside = 0;
        id = start_thread(spinner, at);
        wait_inside(1);
        rv_patch(at, RV_NOP);
        flush_icache_all(page, page + PAGE);
        CHECK(pthread_join(id, &r) == 0 && (long)r == (long)i, "result %ld", (long)r);
    }
}

/* Each spinner has an entry of its own and jumps to a common block and back. */
static void check_chained(void)
{
    for (unsigned long i = 0; i < scaled(20); i++) {
        char *common = page + PAGE + 1024;
        pthread_t ids[SPINNERS];

        rv_put(common, rv_jalr(ZERO, A1, 0));
        for (int s = 0; s < SPINNERS; s++) {
            char *entry = page + s * 64;

            /* auipc a1, 0; j common; with a1 = entry, common jumps back. */
            rv_put(entry, 0x00000597);
            rv_put(entry + 4, rv_jal(ZERO, (int32_t)(common - (entry + 4))));
        }
        flush_icache_all(page, page + 2 * PAGE);
        inside = 0;
        for (int s = 0; s < SPINNERS; s++) {
            ids[s] = start_thread(spinner, page + s * 64);
        }
        wait_inside(SPINNERS);
        rv_put_return(common + 4, 77);
        rv_patch((uint32_t *)common, RV_NOP);
        flush_icache_all(page, page + 2 * PAGE);
        for (int s = 0; s < SPINNERS; s++) {
            void *r;

            CHECK(pthread_join(ids[s], &r) == 0 && (long)r == 77, "spinner %d: %ld", s,
                  (long)r);
        }
    }
}

int main(void)
{
    page = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    check_simple();
    check_chained();
    return 0;
}
