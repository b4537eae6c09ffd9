/*
 * Two harts wake each other out of WFI by msip: a lost wake-up hangs the test.  Half of the time the
 * interrupt is taken, else WFI just ends and msip is cleared before the next look.
 */
#include "kernel.h"

#define ROUNDS (20000u * SCALE)

static uint32_t ball;       /* whose turn it is: even: hart 0 */
static uint32_t traps;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(cause == (INTERRUPT | 3));
    MSIP[csr_read(mhartid)] = 0;
    __atomic_fetch_add(&traps, 1, __ATOMIC_RELAXED);
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart > 1) {
        return;
    }
    csr_set(mie, 8);
    for (uint32_t i = (uint32_t)hart; i < ROUNDS; i += 2) {
        while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != i) {
            if (i & 2) {
                wait_for_interrupt();
            } else {
                wfi();
                MSIP[hart] = 0;
            }
        }
        __atomic_store_n(&ball, i + 1, __ATOMIC_RELEASE);
        MSIP[!hart] = 1;
    }
    if (hart == 0) {
        while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != ROUNDS) {
        }
        put(traps ? "ipi\n" : "no trap came\n");
        finish(0);
    }
}
