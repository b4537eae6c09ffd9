/*
 * A just-in-time compiler's arena again: 128 KiB that goes from executable to writable
 * and back for each function it changes, while three threads call functions of all of it and wait
 * when it is not executable.  Every function returns what was last written, and what
 * did not change is not translated again: 2048 + 400 functions make at most twice as many blocks,
 * and 3000 are enough for the C library.  Some functions lie across two pages.
 *
 * The calls after each round alone would be 120000 translations.
 *
 * test-native: no
 * test-time: 60
 * test-stats: translations <= 7900, insert_races = 0, revivals >= 10000
 */
#include <setjmp.h>
#include <ucontext.h>
#include "rv-code.h"

enum { ARENA = 128 * 1024, SLOT = 64, COUNT = ARENA / SLOT, RUNNERS = 3, ROUNDS = 400,
       CALLS = 300 };

static char *arena;
static __thread sigjmp_buf back;
static _Atomic int stop;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    char *pc = (char *)((ucontext_t *)context)->uc_mcontext.__gregs[0];

    CHECK(pc >= arena && pc < arena + ARENA, "fault at pc %p", (void *)pc);
    CHECK(info->si_addr == pc && info->si_code == SEGV_ACCERR, "si_addr %p, pc %p, code %d",
          info->si_addr, (void *)pc, info->si_code);
    siglongjmp(back, 1);
}

/* The last function of a page ends in the next page. */
static char *slot_code(int slot)
{
    bool crosses = slot % 64 == 63 && slot != COUNT - 1;

    return arena + slot * SLOT + (crosses ? SLOT - 4 : 8);
}

/* Says whose it is, and which version. */
static int slot_value(int slot, unsigned long version)
{
    return slot % 64 * 32 + (int)(version % 32);
}

static void *runner(void *arg)
{
    unsigned long n = (unsigned long)arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        int slot = (int)(n++ * 7919 % COUNT);

        if (sigsetjmp(back, 1) == 0) {
            long r = call_code(slot_code(slot));

            CHECK(r / 32 == slot % 64, "slot %d returned %ld", slot, r);
        } else {
            sched_yield();
        }
    }
    return NULL;
}

int main(void)
{
    static unsigned long version[COUNT];
    pthread_t ids[RUNNERS];
    uint64_t random = 17;

    set_handler(SIGSEGV, on_fault, 0);
    arena = map_pages(ARENA / PAGE, PROT_READ | PROT_WRITE);
    for (int i = 0; i < COUNT; i++) {
        rv_put_return(slot_code(i), slot_value(i, 0));
    }
    CHECK_ERRNO(mprotect(arena, ARENA, PROT_READ | PROT_EXEC) == 0);
    for (unsigned long i = 0; i < RUNNERS; i++) {
        ids[i] = start_thread(runner, (void *)(i * 1000));
    }
    /* Not scaled: the number of translations is part of the test. */
    for (unsigned long round = 0; round < ROUNDS; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int slot = (int)(random >> 33) % COUNT;
        unsigned long old = version[slot]++;

        CHECK_ERRNO(mprotect(arena, ARENA, PROT_READ | PROT_WRITE) == 0);
        rv_put_return(slot_code(slot), slot_value(slot, old + 1));
        CHECK_ERRNO(mprotect(arena, ARENA, PROT_READ | PROT_EXEC) == 0);
        flush_icache_all(slot_code(slot), slot_code(slot) + 8);
        for (int i = 0; i < CALLS; i++) {
            int other = (slot + i * 37) % COUNT;
            long r = call_code(slot_code(other));

            CHECK(r == slot_value(other, version[other]), "slot %d: %ld, not %d, round %lu",
                  other, r, slot_value(other, version[other]), round);
        }
    }
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
    for (int i = 0; i < RUNNERS; i++) {
        join_thread(ids[i]);
    }
    return 0;
}
