/* Resets of the machine by a hart that goes on, while the others spin, sleep, use devices and make code. */
#include "kernel.h"

#define RESETS (15u * SCALE)
#define MARK ((volatile uint64_t *)0x80600000)      /* of no file: a reset leaves it */
#define MAGIC 0x1badb002cafeull

static uint32_t ready;
static uint64_t word;
static uint32_t code[1024] __attribute__((aligned(4096)));

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(0);
    return 0;
}

static void spin(void)
{
    for (;;) {
        uint64_t t, fail;
        asm volatile("lr.d %0, (%2)\naddi %0, %0, 1\nsc.d %1, %0, (%2)" : "=&r"(t), "=&r"(fail) : "r"(&word) : "memory");
    }
}

static void use_devices(void)
{
    for (uint32_t i = 0;; i++) {
        UART[7] = (uint8_t)i;
        (void)MTIME;
        MTIMECMP[csr_read(mhartid)] = MTIME + 100;
    }
}

static void make_code(void)
{
    for (uint32_t i = 0;; i = (i + 1) % 1000) {
        code[i] = 0x00000513u | i << 20;
        code[i + 1] = 0x00008067;
        fence_i();
        check(((uint64_t (*)(void))&code[i])() == i);
    }
}

void main(uint64_t hart, uint64_t arg)
{
    check(csr_read(mie) == 0 && csr_read(satp) == 0 && !(csr_read(mstatus) & 0xa));
    __atomic_fetch_add(&ready, 1, __ATOMIC_ACQ_REL);
    switch (hart) {
    case 0:
        break;
    case 1:
        spin();
        break;
    case 2:
        use_devices();
        break;
    case 3:
        make_code();
        break;
    default:
        return;             /* WFI */
    }
    if (MARK[0] != MAGIC) {
        MARK[0] = MAGIC;
        MARK[1] = 0;
    }
    while (load(&ready) < HARTS) {
        pause();
    }
    for (uint64_t end = MTIME + MARK[1] % 7 * 5000; MTIME < end;) {
    }
    if (MARK[1]++ < RESETS) {
        *TEST = 0x7777;
        spin();
    }
    put("reset-busy\n");
    finish(0);
}
