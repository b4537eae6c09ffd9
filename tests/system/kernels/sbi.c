/* The SBI's answers, as the SBI specification wants them; runs over braid's own and over OpenSBI. */
#include "kernel.h"

#define BASE 0x10
#define TIME 0x54494d45
#define IPI 0x735049
#define RFENCE 0x52464e43
#define HSM 0x48534d
#define SRST 0x53525354
#define ERR_NOT_SUPPORTED (-2)
#define ERR_INVALID_PARAM (-3)
#define ERR_ALREADY_AVAILABLE (-6)

static volatile uint32_t second_up, second_ipi, timer_fired;
static uint64_t boot_hart;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    if (cause == (INTERRUPT | 1)) {
        csr_clear(sip, 2);
        second_ipi = 1;
    } else if (cause == (INTERRUPT | 5)) {
        timer_fired = 1;
        sbi(TIME, 0, ~0ull, 0, 0, 0, 0);
    } else {
        check(0);
    }
    return 0;
}

static void second_hart(uint64_t arg)
{
    check(arg == 0xcafe || over_opensbi());
    csr_set(sie, 2);
    second_up = 1;
    while (!second_ipi) {
        wait_for_interrupt();
    }
    sbi(HSM, 1, 0, 0, 0, 0, 0);
    check(0);
}

static void check_base(void)
{
    SBIResult r = sbi(BASE, 0, 0, 0, 0, 0, 0);
    check(r.error == 0 && r.value >> 24 >= 1);
    static const uint64_t there[] = { BASE, TIME, IPI, RFENCE, HSM, SRST };
    for (unsigned i = 0; i < 6; i++) {
        r = sbi(BASE, 3, there[i], 0, 0, 0, 0);
        check(r.error == 0 && r.value != 0);
    }
    r = sbi(BASE, 3, 0x0badf00d, 0, 0, 0, 0);
    check(r.error == 0 && r.value == 0);
    check(sbi(0x0badf00d, 0, 0, 0, 0, 0, 0).error == ERR_NOT_SUPPORTED);
    check(sbi(BASE, 99, 0, 0, 0, 0, 0).error == ERR_NOT_SUPPORTED);
    check(sbi(BASE, 4, 0, 0, 0, 0, 0).error == 0);
}

static void check_harts(uint64_t other)
{
    extern char _start[];
    check(sbi(HSM, 2, boot_hart, 0, 0, 0, 0).value == 0);
    check(sbi(HSM, 2, other, 0, 0, 0, 0).value == 1);
    check(sbi(HSM, 2, 77, 0, 0, 0, 0).error == ERR_INVALID_PARAM);
    check(sbi(HSM, 0, 77, (uint64_t)_start, 0, 0, 0).error == ERR_INVALID_PARAM);
    check(sbi(HSM, 0, boot_hart, (uint64_t)_start, 0, 0, 0).error == ERR_ALREADY_AVAILABLE);
    for (int round = 0; round < 20; round++) {
        second_up = second_ipi = 0;
        check(sbi(HSM, 0, other, (uint64_t)_start, 0xcafe, 0, 0).error == 0);
        while (!second_up) {
        }
        check(sbi(HSM, 2, other, 0, 0, 0, 0).value == 0);
        check(sbi(RFENCE, 1, 1ull << other, 0, 0, 0, 0).error == 0);
        check(sbi(RFENCE, 2, 3, 0, 0x1000, 0x2000, 5).error == 0);
        check(sbi(RFENCE, 0, 0, ~0ull, 0, 0, 0).error == 0);
        /* The legacy calls 4 to 7 take the mask's address, or 0 for all. */
        uint64_t mask = 1ull << other;
        check(sbi(5, 0, (uint64_t)&mask, 0, 0, 0, 0).error == 0);
        check(sbi(6, 0, 0, 0, 0, 0, 0).error == 0);
        check(sbi(6, 0, (uint64_t)&mask, 0x1000, 0x2000, 0, 0).error == 0);
        check(sbi(7, 0, (uint64_t)&mask, 0x1000, 0x2000, 5, 0).error == 0);
        if (round % 2) {
            check(sbi(4, 0, (uint64_t)&mask, 0, 0, 0, 0).error == 0);
        } else {
            check(sbi(IPI, 0, mask, 0, 0, 0, 0).error == 0);
        }
        while (sbi(HSM, 2, other, 0, 0, 0, 0).value != 1) {
        }
    }
}

void main(uint64_t hart, uint64_t arg)
{
    if (!comes_first()) {
        second_hart(arg);
    }
    boot_hart = hart;
    check(*(uint32_t *)arg == 0xedfe0dd0);
    check_base();
    check_harts(!hart);
    csr_set(sie, 1 << 5);
    uint64_t wanted = csr_read(time) + 20000;
    sbi(TIME, 0, wanted, 0, 0, 0, 0);
    while (!timer_fired) {
        wait_for_interrupt();
    }
    check(csr_read(time) >= wanted);
    put("sbi\n");
    sbi(SRST, 0, 0, 0, 0, 0, 0);
    check(0);
}
