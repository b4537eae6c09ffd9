/* The serial port interrupts through the PLIC: to M-mode of hart 1, by a claim, completed, again. */
#include "kernel.h"

#define PLIC ((volatile uint32_t *)0xc000000)
#define ENABLE(ctx) (0x2000 / 4 + 0x80 / 4 * (ctx))
#define THRESHOLD(ctx) (0x200000 / 4 + 0x1000 / 4 * (ctx))
#define CLAIM(ctx) (THRESHOLD(ctx) + 1)
#define UART_IRQ 10
#define CONTEXT 2               /* hart 1, M */

static volatile unsigned claims;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(cause == (INTERRUPT | 11));
    check(csr_read(mhartid) == 1);
    uint32_t n = PLIC[CLAIM(CONTEXT)];
    check(n == UART_IRQ);
    check(PLIC[CLAIM(CONTEXT)] == 0);
    check((UART[2] & 15) == 2);                 /* transmitter empty; reading clears it */
    if (++claims < 5) {
        UART[0] = '.';
    } else {
        UART[1] = 0;
    }
    PLIC[CLAIM(CONTEXT)] = n;
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart != 1) {
        return;
    }
    PLIC[UART_IRQ] = 1;
    PLIC[ENABLE(CONTEXT)] = 1u << UART_IRQ;
    PLIC[THRESHOLD(CONTEXT)] = 0;
    csr_set(mie, 1 << 11);
    UART[1] = 2;
    while (claims < 5) {
        wait_for_interrupt();
    }
    put("plic\n");
    finish(0);
}
