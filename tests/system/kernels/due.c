/*
 * Harts asleep until something that is due long from now: mtimecmp, stimecmp, the real-time clock through the PLIC.
 * Each says when it is awake.  Hart 0 says "asleep", and at the end who has woken; it does not sleep itself.
 *
 * A test saves this machine and puts its clock forward in the file, past all deadlines (tests/system/savevm.py).
 */
#include "kernel.h"

#define PLIC ((volatile uint32_t *)0xc000000)
#define ENABLE(ctx) (0x2000 / 4 + 0x80 / 4 * (ctx))
#define RTC ((volatile uint32_t *)0x101000)
enum { RTC_TIME_LOW = 0, RTC_TIME_HIGH = 1, RTC_ALARM_LOW = 2, RTC_ALARM_HIGH = 3, RTC_IRQ_ENABLED = 4 };
enum { RTC_IRQ = 11, STIE = 1 << 5, MTIE = 1 << 7, MEIE = 1 << 11 };

#define FAR (1000 * TICKS)      /* savevm.py knows it */

static uint32_t ready, woken;   /* a bit for each hart */

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(!"a trap");
    return 0;
}

static void arm_rtc(uint64_t hart)
{
    uint64_t now = RTC[RTC_TIME_LOW];
    now |= (uint64_t)RTC[RTC_TIME_HIGH] << 32;
    now += 2000000000;          /* it is of the host's day, which no saved state holds: two seconds */
    PLIC[RTC_IRQ] = 1;
    PLIC[ENABLE(2 * hart)] = 1u << RTC_IRQ;
    RTC[RTC_IRQ_ENABLED] = 1;
    RTC[RTC_ALARM_HIGH] = (uint32_t)(now >> 32);
    RTC[RTC_ALARM_LOW] = (uint32_t)now;
    csr_write(mie, MEIE);
}

static void arm(uint64_t hart)
{
    switch (hart) {
    case 1:
        csr_set(0x30a, 1ull << 63);             /* menvcfg.STCE */
        csr_write(0x14d, csr_read(time) + FAR); /* stimecmp */
        csr_write(mie, STIE);
        break;
    case 2:
        arm_rtc(hart);
        break;
    default:
        MTIMECMP[hart] = MTIME + FAR;
        csr_write(mie, MTIE);
    }
}

static void report(void)
{
    char text[HARTS + 2];
    uint64_t end = csr_read(time) + FAR + 60 * TICKS;
    uint32_t all = (1u << HARTS) - 1;
    while (load(&ready) != all) {
        pause();
    }
    put("asleep\n");
    while (load(&woken) != all && csr_read(time) < end) {
        pause();
    }
    for (int i = 0; i < HARTS; i++) {
        text[i] = load(&woken) >> i & 1 ? (char)('0' + i) : '-';
    }
    text[HARTS] = '\n';
    text[HARTS + 1] = 0;
    put(text);
    finish(0);
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart) {
        arm(hart);
    }
    __atomic_fetch_or(&ready, 1u << hart, __ATOMIC_RELEASE);
    while (hart && !(csr_read(mip) & csr_read(mie))) {
        wfi();
    }
    __atomic_fetch_or(&woken, 1u << hart, __ATOMIC_RELEASE);
    if (hart == 0) {
        report();
    }
}
