/* Resets of the machine by a hart that goes on, while the others spin, sleep, use devices and make code. */
#include "busy.h"

#define RESETS (15u * SCALE)
#define MARK ((volatile uint64_t *)0x80600000)      /* of no file: a reset leaves it */
#define MAGIC 0x1badb002cafeull

static uint32_t ready;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(0);
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    check(csr_read(mie) == 0 && csr_read(satp) == 0 && !(csr_read(mstatus) & 0xa));
    __atomic_fetch_add(&ready, 1, __ATOMIC_ACQ_REL);
    if (hart) {
        be_busy(hart);
        return;
    }
    if (MARK[0] != MAGIC) {
        MARK[0] = MAGIC;
        MARK[1] = 0;
    }
    while (load(&ready) < HARTS) {
        pause();
    }
    for (uint64_t end = MTIME + MARK[1] % 7 * 500; MTIME < end;) {
    }
    if (MARK[1]++ < RESETS) {
        *TEST = 0x7777;
        spin();
    }
    put("reset-busy\n");
    finish(0);
}
