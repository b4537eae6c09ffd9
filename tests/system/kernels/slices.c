/* A hart that is interrupted all the time, and never waits, does not keep the other one from running. */
#include "kernel.h"

enum { MIE = 8, MTIE = 128 };

static uint64_t progress;
static volatile uint64_t interrupts;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(cause == (INTERRUPT | 7));
    interrupts++;
    MTIMECMP[0] = MTIME + TICKS / 50000;
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart) {
        for (;;) {
            __atomic_fetch_add(&progress, 1, __ATOMIC_RELAXED);
        }
    }
    MTIMECMP[0] = MTIME + TICKS / 50000;
    csr_write(mie, MTIE);
    csr_set(mstatus, MIE);
    while (interrupts < 20) {
    }
    uint64_t before = load(&progress), end = csr_read(time) + 20 * TICKS;
    while (load(&progress) < before + 1000 && csr_read(time) < end) {
    }
    csr_clear(mstatus, MIE);
    check(load(&progress) >= before + 1000);
#ifdef ONE_THREAD
    check(interrupts < 1000);   /* a slice is a millisecond: fifty */
#endif
    put("slices\n");
    finish(0);
}
