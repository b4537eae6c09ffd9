/*
 * Something to debug: hart 0 counts in hot() and stores in several ways, the other one counts too.  Ends when
 * `stop_now` is set from outside.
 */
#include "kernel.h"

volatile uint64_t watched, beside, stop_now, other_count;
volatile uint8_t straddled[8192] __attribute__((aligned(4096)));

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    return 0;
}

__attribute__((noinline)) void hot(uint64_t i)
{
    beside = i;
    asm volatile("" ::: "memory");
}

__attribute__((noinline)) void store_ways(uint64_t i)
{
    if (i % 16 == 5) {
        watched = i;
    }
    if (i % 16 == 7) {
        /* Across the end of a page: bytes 4092 to 4099. */
        asm volatile("sd %0, 0(%1)" :: "r"(i), "r"(straddled + 4092) : "memory");
    }
    if (i % 16 == 9) {
        UART[7] = (uint8_t)i;   /* the scratch register */
    }
    if (i % 16 == 11) {
        asm volatile("amoadd.d zero, %0, (%1)" :: "r"(i), "r"(&watched) : "memory");
    }
}

__attribute__((noinline)) void count(void)
{
    other_count++;
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart) {
        while (!stop_now) {
            count();
        }
        for (;;) {
            wfi();
        }
    }
    csr_write(mscratch, 0x1234567890abcdef);
    for (uint64_t i = 0; !stop_now; i++) {
        hot(i);
        store_ways(i);
    }
    put("debugged\n");
    finish(0);
}
