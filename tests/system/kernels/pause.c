/* Hart 0 sleeps for two seconds; all others wait for it with PAUSE, as in Linux's stop_machine(). */
#include "kernel.h"

static uint32_t ready, done;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    __atomic_fetch_add(&ready, 1, __ATOMIC_ACQ_REL);
    if (hart) {
        while (!load(&done)) {
            pause();
        }
        __atomic_fetch_sub(&ready, 1, __ATOMIC_ACQ_REL);
        for (;;) {
            wfi();
        }
    }
    while (load(&ready) < HARTS) {
        pause();
    }
    MTIMECMP[0] = MTIME + 2 * TICKS;
    csr_write(mie, 128);
    while (!(csr_read(mip) & 128)) {
        wfi();
    }
    store(&done, 1);
    while (load(&ready) > 1) {
        pause();
    }
    put("pause\n");
    finish(0);
}
