/* mtime, mtimecmp, WFI; all ones never fire; time goes on and never back, on two harts. */
#include "kernel.h"

static volatile uint64_t fired_at;
static volatile unsigned fired;
static uint64_t latest;
static uint32_t done;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(cause == (INTERRUPT | 7));
    fired_at = MTIME;
    fired++;
    MTIMECMP[0] = ~0ull;
    return 0;
}

/* Each value that any hart has seen is a lower bound for all later ones. */
static void check_monotonic(void)
{
    for (int i = 0; i < 20000; i++) {
        uint64_t before = __atomic_load_n(&latest, __ATOMIC_ACQUIRE), now = csr_read(time);
        check(now >= before);
        while (before < now && !__atomic_compare_exchange_n(&latest, &before, now, 0, __ATOMIC_RELEASE,
                                                            __ATOMIC_RELAXED)) {
        }
    }
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart == 1) {
        check_monotonic();
        __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    }
    if (hart) {
        return;
    }
    check_monotonic();
    MTIMECMP[0] = ~0ull;
    csr_set(mie, 1 << 7);
    for (int i = 0; i < 20; i++) {
        uint64_t wanted = MTIME + 10000;        /* 1 ms */
        fired = 0;
        MTIMECMP[0] = wanted;
        while (!fired) {
            wait_for_interrupt();
        }
        check(fired_at >= wanted);
    }
    /* In the past: at once. */
    fired = 0;
    csr_set(mstatus, 8);
    MTIMECMP[0] = MTIME - 1;
    for (int i = 0; i < 1000000 && !fired; i++) {
    }
    check(fired == 1);
    /* A deadline that is put off does not fire. */
    csr_clear(mstatus, 8);
    fired = 0;
    MTIMECMP[0] = MTIME + 20000;
    MTIMECMP[0] = ~0ull;
    csr_set(mstatus, 8);
    for (uint64_t end = MTIME + 50000; MTIME < end;) {
    }
    check(fired == 0);
    check(!(csr_read(mip) & 1 << 7));
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
    }
    put("timer\n");
    finish(0);
}
