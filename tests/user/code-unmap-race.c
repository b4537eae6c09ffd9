/*
 * Code that other threads execute is mapped over, replaced by other contents at the
 * same address, and made inaccessible: runners get either a version that was there or
 * a SIGSEGV at the code's address, never anything else.
 *
 * test-native: no
 * test-time: 60
 */
#include <setjmp.h>
#include <ucontext.h>
#include "rv-code.h"

enum { RUNNERS = 4, MUTATORS = 2, SLOTS = 4 };

static char *slots;
static __thread sigjmp_buf back;
static _Atomic int stop;
static _Atomic unsigned long calls, faults;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    char *pc = (char *)((ucontext_t *)context)->uc_mcontext.__gregs[0];

    CHECK(pc >= slots && pc < slots + SLOTS * PAGE, "fault at pc %p", (void *)pc);
    CHECK(info->si_addr == pc, "si_addr %p, pc %p", info->si_addr, (void *)pc);
    siglongjmp(back, 1);
}

static void *runner(void *arg)
{
    unsigned long n = (unsigned long)arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        unsigned slot = (unsigned)(n++ % SLOTS);

        if (sigsetjmp(back, 1) == 0) {
            long r = call_code(slots + slot * PAGE + 128);

            CHECK(r >= 0 && r % SLOTS == slot, "slot %u returned %ld", slot, r);
            atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
        } else {
            atomic_fetch_add_explicit(&faults, 1, memory_order_relaxed);
        }
    }
    return NULL;
}

/* Replace a page in one step, so that no half-written code is ever visible. */
static void replace(unsigned slot, int version)
{
    char *fresh = map_pages(1, PROT_READ | PROT_WRITE);

    rv_put_return(fresh + 128, (version * SLOTS + (int)slot) % 2000);
    CHECK_ERRNO(mprotect(fresh, PAGE, PROT_READ | PROT_EXEC) == 0);
    CHECK(mremap(fresh, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, slots + slot * PAGE) ==
          slots + slot * PAGE, "mremap");
}

static void *mutator(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;

    for (unsigned long i = 0; i < scaled(2000); i++) {
        /* Each mutator owns every second slot. */
        unsigned slot = (unsigned)(i * MUTATORS + me) % SLOTS;

        switch (i % 3) {
        case 0:
            /*
             * A true hole could be taken by another thread's mmap(NULL), which mremap
             * would then destroy; a mapping without rights is as good as none here.
             */
            CHECK_ERRNO(mmap(slots + slot * PAGE, PAGE, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                             0) != MAP_FAILED);
            break;
        case 1:
            CHECK_ERRNO(mprotect(slots + slot * PAGE, PAGE, PROT_NONE) == 0);
            break;
        default:
            break;
        }
        replace(slot, (int)i % 400);
        /* What this thread just mapped is what it runs. */
        if (i % 4 == 0) {
            long r;

            flush_icache_all(slots, slots + SLOTS * PAGE);
            r = call_code(slots + slot * PAGE + 128);
            CHECK(r == ((int)i % 400 * SLOTS + (int)slot) % 2000, "own code: %ld", r);
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t runners[RUNNERS], mutators[MUTATORS];

    slots = map_pages(SLOTS, PROT_NONE);
    for (unsigned i = 0; i < SLOTS; i++) {
        replace(i, 0);
    }
    set_handler(SIGSEGV, on_fault, 0);
    for (uintptr_t i = 0; i < RUNNERS; i++) {
        runners[i] = start_thread(runner, (void *)i);
    }
    for (uintptr_t i = 0; i < MUTATORS; i++) {
        mutators[i] = start_thread(mutator, (void *)i);
    }
    for (int i = 0; i < MUTATORS; i++) {
        join_thread(mutators[i]);
    }
    stop = 1;
    for (int i = 0; i < RUNNERS; i++) {
        join_thread(runners[i]);
    }
    CHECK(calls > 0, "no call succeeded, %lu faults", (unsigned long)faults);
    return 0;
}
