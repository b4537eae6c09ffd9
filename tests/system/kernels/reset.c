/* A reset begins anew: memory that belongs to no loaded file stays, the program's own is as in its file. */
#include "kernel.h"

#define MARK (*(volatile uint64_t *)0x80600000)

static volatile uint64_t in_file = 0x1234;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart) {
        return;
    }
    check(in_file == 0x1234);
    in_file = 0;
    check(!(UART[1] & 15));
    UART[1] = 1;
    if (MARK < 3) {
        MARK += 1;
        put("again\n");
        *TEST = 0x7777;
        for (;;) {
        }
    }
    put("reset\n");
    finish(0);
}
