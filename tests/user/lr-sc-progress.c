/*
 * Constrained lr/sc loops make progress: 64 threads add to one word, in all of the
 * shapes that compilers emit (add, compare and swap, byte within a word); the total is
 * exact and no thread starves for long.
 *
 * test-native: no
 * test-time: 60
 */
#include "rv-code.h"

enum { THREADS = 64 };

static _Alignas(64) uint64_t total;
static _Alignas(64) uint32_t cas_total;
static _Alignas(64) uint8_t byte_totals[4];
static _Atomic uint64_t longest;
static Meeting all = { .threads = THREADS };

static void add_one(void)
{
    uint64_t old, failed;

    __asm__ volatile("1: lr.d.aqrl %0, (%2)\n addi %0, %0, 1\n sc.d.rl %1, %0, (%2)\n"
                     "   bnez %1, 1b"
                     : "=&r"(old), "=&r"(failed) : "r"(&total) : "memory");
}

static void cas_one(void)
{
    uint32_t seen = __atomic_load_n(&cas_total, __ATOMIC_RELAXED);

    while (!__atomic_compare_exchange_n(&cas_total, &seen, seen + 1, true,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    }
}

static void *body(void *arg)
{
    unsigned long me = (unsigned long)arg;

    meet(&all);
    for (unsigned long i = 0; i < scaled(2000); i++) {
        uint64_t start = i % 16 ? 0 : now_ns(), taken, before;

        add_one();
        cas_one();
        __atomic_fetch_add(&byte_totals[me % 4], 1, __ATOMIC_RELAXED);
        if (start) {
            taken = now_ns() - start;
            before = atomic_load(&longest);
            while (taken > before &&
                   !atomic_compare_exchange_weak(&longest, &before, taken)) {
            }
        }
    }
    return NULL;
}

int main(void)
{
    uint64_t expected = scaled(2000) * THREADS;
    pthread_t ids[THREADS];

    for (unsigned long i = 0; i < THREADS; i++) {
        ids[i] = start_thread(body, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        join_thread(ids[i]);
    }
    CHECK(total == expected, "lr/sc total %lu, not %lu", total, expected);
    CHECK(cas_total == (uint32_t)expected, "cas total %u", cas_total);
    for (int i = 0; i < 4; i++) {
        CHECK(byte_totals[i] == (uint8_t)(expected / 4), "byte %d is %u", i,
              byte_totals[i]);
    }
    CHECK(longest < 10000000000u, "one step took %lu ms",
          (unsigned long)longest / 1000000);
    printf("longest step %lu us\n", (unsigned long)longest / 1000);
    return 0;
}
