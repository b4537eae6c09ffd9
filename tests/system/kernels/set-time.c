/* mtime is set forward and back while harts sleep until a time, by mtimecmp (hart 2) and stimecmp (hart 1). */
#include "kernel.h"

enum { STIE = 1 << 5, MTIE = 1 << 7 };

static uint32_t ready, woken;   /* a bit for each hart */

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(!"a trap");
    return 0;
}

static void sleep_until(uint64_t hart, uint64_t when)
{
    if (hart == 1) {
        csr_write(0x14d, when);         /* stimecmp */
    } else {
        MTIMECMP[hart] = when;
    }
    __atomic_fetch_or(&ready, 1u << hart, __ATOMIC_RELEASE);
    while (!(csr_read(mip) & csr_read(mie))) {
        wfi();
    }
    check(csr_read(time) >= when);
    __atomic_fetch_or(&woken, 1u << hart, __ATOMIC_RELEASE);
}

static void set_time_when_they_sleep(int64_t ticks)
{
    while (load(&ready) != 6) {
        pause();
    }
    for (uint64_t end = MTIME + TICKS / 50; MTIME < end;) {
        pause();
    }
    MTIME += (uint64_t)ticks;
    while (load(&woken) != 6) {
        pause();
    }
    store(&ready, 0);
    store(&woken, 0);
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart == 0) {
        set_time_when_they_sleep(1001 * TICKS);
        set_time_when_they_sleep(-(int64_t)TICKS);
        put("set-time\n");
        finish(0);
    } else if (hart <= 2) {
        csr_set(0x30a, 1ull << 63);     /* menvcfg.STCE */
        csr_write(mie, hart == 1 ? STIE : MTIE);
        sleep_until(hart, csr_read(time) + 1000 * TICKS);
        while (load(&woken)) {
            pause();
        }
        sleep_until(hart, csr_read(time) + TICKS / 2);
    }
}
