/*
 * A just-in-time compiler's arena: 128 KiB that goes from writable to executable and
 * back by mprotect for every function emitted, while functions emitted earlier stay
 * in use; writing while it is executable faults.
 *
 * test-native: no
 * test-time: 60
 */
#include <setjmp.h>
#include "rv-code.h"

enum { ARENA = 128 * 1024, SLOT = 64, COUNT = ARENA / SLOT };

static sigjmp_buf back;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    siglongjmp(back, info->si_code == SEGV_ACCERR ? 1 : 2);
}

int main(void)
{
    char *arena = map_pages(ARENA / PAGE, PROT_READ | PROT_WRITE);
    int values[COUNT];
    uint64_t random = 3;

    set_handler(SIGSEGV, on_fault, 0);
    for (int i = 0; i < COUNT; i++) {
        rv_put_return(arena + i * SLOT, values[i] = i % 2000);
    }
    for (unsigned long round = 0; round < scaled(5000); round++) {
        int slot;

        random = random * 6364136223846793005u + 1442695040888963407u;
        slot = (int)(random >> 33) % COUNT;
        CHECK_ERRNO(mprotect(arena, ARENA, PROT_READ | PROT_WRITE) == 0);
        values[slot] = (int)(round % 2000);
        rv_put_return(arena + slot * SLOT, values[slot]);
        CHECK_ERRNO(mprotect(arena, ARENA, PROT_READ | PROT_EXEC) == 0);
        flush_icache_all(arena + slot * SLOT, arena + slot * SLOT + 8);
        for (int i = 0; i < 20; i++) {
            int other = i ? (slot + i * 37) % COUNT : slot;
            long r = call_code(arena + other * SLOT);

            CHECK(r == values[other], "slot %d: %ld, not %d, round %lu", other, r,
                  values[other], round);
        }
        if (round % 64 == 0) {
            int why = sigsetjmp(back, 1);

            if (why == 0) {
                __atomic_store_n(arena + slot * SLOT, 0, __ATOMIC_RELAXED);
                CHECK(0, "wrote into an executable page");
            }
            CHECK(why == 1, "si_code");
        }
    }
    return 0;
}
