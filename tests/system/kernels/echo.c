/* Sends back what comes in on the serial line, one letter further, while the other harts go round in a loop. */
#include "kernel.h"

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart) {
        for (;;) {
        }
    }
    put("ready\n");
    for (;;) {
        while (!(UART[5] & 1)) {
        }
        char s[2] = { (char)(UART[0] + 1), 0 };
        put(s);
    }
}
