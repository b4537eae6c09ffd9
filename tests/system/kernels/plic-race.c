/*
 * All harts take the serial port's interrupt: a claim gives it to one, and to nobody else until that one has completed
 * it.  The handler lets the line fall and rise again, so that it pends again before, during and after the
 * completion; harts mask it by priority, threshold and enable bits meanwhile.
 */
#include "kernel.h"

#define CLAIMS (3000ull * SCALE)
#define PLIC ((volatile uint32_t *)0xc000000)
#define PENDING (0x1000 / 4)
#define ENABLE(ctx) (0x2000 / 4 + 0x80 / 4 * (ctx))
#define THRESHOLD(ctx) (0x200000 / 4 + 0x1000 / 4 * (ctx))
#define CLAIM(ctx) (THRESHOLD(ctx) + 1)
#define UART_IRQ 10

static uint32_t owner, finished;
static uint64_t claims, empty, random_of[HARTS];

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    uint64_t hart = csr_read(mhartid), ctx = 2 * hart;
    check(cause == (INTERRUPT | 11));
    uint32_t n = PLIC[CLAIM(ctx)];
    if (!n) {
        __atomic_fetch_add(&empty, 1, __ATOMIC_RELAXED);
        return 0;
    }
    check(n == UART_IRQ);
    check(__atomic_exchange_n(&owner, hart + 1, __ATOMIC_ACQ_REL) == 0);
    uint64_t r = next_random(&random_of[hart]);
    uint64_t done = __atomic_add_fetch(&claims, 1, __ATOMIC_RELAXED) >= CLAIMS;
    UART[1] = 0;                        /* the line falls */
    if (r & 1) {
        UART[1] = done ? 0 : 2;         /* and rises before the completion */
    }
    check(PLIC[CLAIM(ctx)] == 0);
    __atomic_store_n(&owner, 0, __ATOMIC_RELEASE);
    asm volatile("fence iorw, iorw" ::: "memory");
    PLIC[CLAIM(ctx)] = n;
    if (!(r & 1)) {
        UART[1] = done ? 0 : 2;
    }
    return 0;
}

static void disturb(uint64_t hart, uint64_t r)
{
    uint64_t ctx = 2 * hart;
    switch (r % 4) {
    case 0:
        PLIC[THRESHOLD(ctx)] = 7;
        PLIC[THRESHOLD(ctx)] = 0;
        break;
    case 1:
        PLIC[ENABLE(ctx)] = 0;
        PLIC[ENABLE(ctx)] = 1u << UART_IRQ;
        break;
    case 2:
        PLIC[UART_IRQ] = 0;
        PLIC[UART_IRQ] = 1 + (r >> 8) % 7;
        break;
    default:
        (void)PLIC[PENDING];
    }
}

void main(uint64_t hart, uint64_t arg)
{
    uint64_t ctx = 2 * hart, start = MTIME, seen = 0, since = start;
    random_of[hart] = 0x9e3779b97f4a7c15ull * (hart + 1);
    if (hart == 0) {
        PLIC[UART_IRQ] = 1;
        UART[1] = 2;
    }
    PLIC[ENABLE(ctx)] = 1u << UART_IRQ;
    PLIC[THRESHOLD(ctx)] = 0;
    csr_set(mie, 1 << 11);
    csr_set(mstatus, 8);
    while (load(&claims) < CLAIMS && MTIME - start < STORM_TICKS) {
        disturb(hart, next_random(&random_of[hart]));
        if (load(&claims) != seen) {
            seen = load(&claims);
            since = MTIME;
        }
        check(MTIME - since < 30 * TICKS);  /* an interrupt was lost */
    }
    csr_clear(mstatus, 8);
    __atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
    while (hart == 0 && load(&finished) < HARTS) {
        pause();
    }
    if (hart == 0) {
        check(owner == 0 && claims > 100);
        put("plic-race\n");
        finish(0);
    }
}
