/*
 * The machine is reset, and at last switched off, while harts flush each other's TLBs and one of them
 * stops all the time: nobody waits for a hart that will not answer.
 */
#include "kernel.h"

#define STOPPED 1
#define RESETS 20
#define ROUNDS 300
#define STOPPING_HART 3

#define MARK (*(volatile uint64_t *)0x80600000)     /* of no loaded file: stays over a reset */

extern char _start[];
static volatile uint32_t up;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(0);
    return 0;
}

/* REMOTE_SFENCE_VMA of a page, or of everything, on all harts */
static void fence_all(unsigned round)
{
    uint64_t size = round % 4 ? 4096 : ~0ull;
    check(sbi(SBI_RFENCE, SBI_SFENCE_VMA, 0, ~0ull, 0x80000000, size, 0).error == 0);
}

static void other_hart(uint64_t hart)
{
    __atomic_fetch_add(&up, 1, __ATOMIC_RELAXED);
    for (unsigned round = 0; hart != STOPPING_HART || round < 3; round++) {
        fence_all(round);
    }
    sbi(SBI_HSM, SBI_HSM_STOP, 0, 0, 0, 0, 0);
    check(0);
}

void main(uint64_t hart, uint64_t first)
{
    if (first == 0xcafe) {
        other_hart(hart);
    }
    for (unsigned i = 0; i < 4; i++) {
        check(i == hart || sbi(SBI_HSM, SBI_HSM_START, i, (uint64_t)_start, 0xcafe, 0, 0).error == 0);
    }
    while (up < 3) {
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        fence_all(round);
        if (sbi(SBI_HSM, SBI_HSM_STATUS, STOPPING_HART, 0, 0, 0, 0).value == STOPPED) {
            check(sbi(SBI_HSM, SBI_HSM_START, STOPPING_HART, (uint64_t)_start, 0xcafe, 0, 0).error == 0);
        }
    }
    if (MARK < RESETS) {
        MARK += 1;
        sbi(SBI_SRST, 0, 1, 0, 0, 0, 0);
    }
    put("fences\n");
    sbi(SBI_SRST, 0, 0, 0, 0, 0, 0);
    check(0);
}
