/*
 * Blocks on two pages that jump to each other directly: after mprotect(PROT_NONE) of
 * the second page the jump faults there, and after it is mapped again with other code,
 * the other code runs; with one thread, and with others running the chain meanwhile.
 *
 * test-native: no
 */
#include <ucontext.h>
#include "rv-code.h"

static char *pages, *second;
static _Atomic unsigned long faults;
static _Atomic int stop, threaded;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    unsigned long *regs = ((ucontext_t *)context)->uc_mcontext.__gregs;

    char *pc = (char *)regs[0];

    /* With several threads the page may go while one is between its two instructions. */
    CHECK((pc == second || (threaded && pc == second + 4)) && info->si_addr == pc,
          "pc %#lx si_addr %p", regs[0], info->si_addr);
    CHECK(info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR, "code %d",
          info->si_code);
    faults++;
    /* Return from the chain with a recognisable value. */
    regs[A0] = 5555;
    regs[0] = regs[RA];
}

static void put_chain(int value)
{
    rv_put(pages, rv_addi(A0, ZERO, 1));
    rv_put(pages + 4, rv_jal(ZERO, (int32_t)PAGE - 4));
    rv_put(second, rv_addi(A0, A0, value));
    rv_put(second + 4, RV_RET);
    fence_i();
}

static void check_alone(void)
{
    for (int i = 0; i < 200; i++) {
        unsigned long before = faults;
        long r;

        put_chain(i);
        for (int j = 0; j < 3; j++) {
            CHECK(call_code(pages) == 1 + i, "chained");
        }
        CHECK_ERRNO(mprotect(second, PAGE, i % 2 ? PROT_NONE : PROT_READ | PROT_WRITE) ==
                    0);
        r = call_code(pages);
        CHECK(r == 5555 && faults == before + 1, "no fault in round %d: %ld", i, r);
        CHECK_ERRNO(munmap(second, PAGE) == 0);
        r = call_code(pages);
        CHECK(r == 5555 && faults == before + 2, "no fault after munmap: %ld", r);
        CHECK(mmap(second, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == second, "mmap");
        rv_put(second, rv_addi(A0, A0, 1000 + i));
        rv_put(second + 4, RV_RET);
        fence_i();
        r = call_code(pages);
        CHECK(r == 1001 + i, "new code: %ld, not %d", r, 1001 + i);
    }
}

static void *runner(void *arg)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        long r = call_code(pages);

        CHECK(r == 8 || r == 5555, "result %ld", r);
    }
    return NULL;
}

static void check_threads(void)
{
    pthread_t ids[4];
    unsigned long before;

    threaded = 1;
    put_chain(7);
    for (int i = 0; i < 4; i++) {
        ids[i] = start_thread(runner, NULL);
    }
    for (unsigned long i = 0; i < scaled(1000); i++) {
        CHECK_ERRNO(mprotect(second, PAGE, PROT_NONE) == 0);
        before = faults;
        /* This thread's own call after mprotect returned must fault. */
        CHECK(call_code(pages) == 5555 && faults > before, "no fault");
        CHECK_ERRNO(mprotect(second, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
        CHECK(call_code(pages) == 8, "code lost");
    }
    stop = 1;
    for (int i = 0; i < 4; i++) {
        join_thread(ids[i]);
    }
}

int main(void)
{
    pages = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    second = pages + PAGE;
    set_handler(SIGSEGV, on_fault, 0);
    check_alone();
    check_threads();
    return 0;
}
