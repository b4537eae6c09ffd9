/*
 * The SBI's counters ("Performance Monitoring Unit Extension" of the SBI specification 2.0), from S-mode: the hart's
 * own, with interrupts, and the firmware's.  Runs over braid's SBI and over OpenSBI.
 */
#include "kernel.h"

#define PMU 0x504d55
enum { NUM_COUNTERS, GET_INFO, CONFIGURE, START, STOP, FIRMWARE_READ, FIRMWARE_READ_HIGH };
enum { CLEAR_VALUE = 2, AUTO_START = 4, SET_UINH = 1 << 5, SET_SINH = 1 << 6, SET_VALUE = 1, RESET = 1 };
#define CYCLES 1
#define INSTRUCTIONS 2
#define FIRMWARE(event) (15u << 16 | (event))
enum { EVENT_SET_TIMER = 5, EVENT_IPI_SENT = 6, EVENT_IPI_RECEIVED = 7, EVENT_FENCE_I_SENT = 8,
       EVENT_SFENCE_VMA_SENT = 10, EVENT_SFENCE_VMA_ASID_SENT = 12 };
enum { ERR_NOT_SUPPORTED = -2, ERR_INVALID_PARAM = -3, ERR_ALREADY_STARTED = -7, ERR_ALREADY_STOPPED = -8 };
#define LCOFI 13
#define ALL_ONES (~0ull)

static uint64_t mask;               /* all logical counters that there are */
static volatile unsigned overflows;
static unsigned sampled;            /* the counter that overflows */

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(cause == (INTERRUPT | LCOFI));
    /* As the specification of Sscofpmf wants it: stop, look, clear, set anew. */
    check(sbi(PMU, STOP, 0, 1ull << sampled, 0, 0, 0).error == 0);
    check(csr_read(0xda0) >> sampled & 1);
    csr_clear(sip, 1ull << LCOFI);
    if (++overflows < 10) {
        check(sbi(PMU, START, 0, 1ull << sampled, SET_VALUE, -100000ull, 0).error == 0);
    }
    return 0;
}

static int64_t configure(uint64_t flags, uint64_t event)
{
    SBIResult r = sbi(PMU, CONFIGURE, 0, mask, flags, event, 0);
    return r.error ? r.error : r.value;
}

/* Bits of counter_get_info()'s value: the CSR's number, its width less 1, and the top bit for a firmware's counter. */
static uint64_t read_counter(unsigned n)
{
    uint64_t info = (uint64_t)sbi(PMU, GET_INFO, n, 0, 0, 0, 0).value;
    if (info >> 63) {
        SBIResult r = sbi(PMU, FIRMWARE_READ, n, 0, 0, 0, 0);
        check(r.error == 0);
        return (uint64_t)r.value;
    }
    check((info >> 12 & 63) == 63);
    switch (info & 31) {
#define COUNTER(n) case n: return csr_read(0xc00 + n)
    COUNTER(0); COUNTER(2); COUNTER(3); COUNTER(4); COUNTER(5); COUNTER(6); COUNTER(7); COUNTER(8); COUNTER(9);
    COUNTER(10); COUNTER(11); COUNTER(12); COUNTER(13); COUNTER(14); COUNTER(15); COUNTER(16); COUNTER(17); COUNTER(18);
    }
    check(0);
    return 0;
}

static void spin(void)
{
    for (volatile int i = 0; i < 10000; i++) {
    }
}

static void check_hardware(uint64_t event)
{
    int64_t n = configure(CLEAR_VALUE, event);
    check(n >= 0);
    uint64_t a = read_counter((unsigned)n);
    spin();
    check(read_counter((unsigned)n) == a);          /* not started */
    check(sbi(PMU, STOP, 0, 1ull << n, 0, 0, 0).error == ERR_ALREADY_STOPPED);
    check(sbi(PMU, START, 0, 1ull << n, SET_VALUE, 1000, 0).error == 0);
    check(sbi(PMU, START, 0, 1ull << n, 0, 0, 0).error == ERR_ALREADY_STARTED);
    spin();
    a = read_counter((unsigned)n);
    check(a > 1000);
    check(sbi(PMU, STOP, 0, 1ull << n, 0, 0, 0).error == 0);
    a = read_counter((unsigned)n);
    spin();
    check(read_counter((unsigned)n) == a);
    /* Another event takes another counter, until this one is given back. */
    int64_t other = configure(0, event);
    check(other >= 0 && other != n);
    check(sbi(PMU, STOP, 0, 1ull << other | 1ull << n, RESET, 0, 0).error == ERR_ALREADY_STOPPED);
    check(configure(0, event) == n);
    sbi(PMU, STOP, 0, 1ull << n, RESET, 0, 0);
}

static void check_filter(void)
{
    int64_t n = configure(CLEAR_VALUE | AUTO_START | SET_SINH, CYCLES);
    check(n >= 3);
    spin();
    check(read_counter((unsigned)n) == 0);          /* all is S-mode */
    sbi(PMU, STOP, 0, 1ull << n, RESET, 0, 0);
    n = configure(CLEAR_VALUE | AUTO_START | SET_UINH, CYCLES);
    spin();
    check(read_counter((unsigned)n) > 0);
    sbi(PMU, STOP, 0, 1ull << n, RESET, 0, 0);
}

static void check_overflow(void)
{
    int64_t n = configure(0, CYCLES);
    check(n >= 3);
    sampled = (unsigned)n;
    csr_set(sie, 1ull << LCOFI);
    csr_set(sstatus, 2);
    check(sbi(PMU, START, 0, 1ull << n, SET_VALUE, -100000ull, 0).error == 0);
    while (overflows < 10) {
    }
    csr_clear(sstatus, 2);
    check(overflows == 10);
    sbi(PMU, STOP, 0, 1ull << n, RESET, 0, 0);
}

/* How often the firmware has counted `event` while it was asked to do `times` of it. */
static void check_firmware(uint64_t event, unsigned times, void (*doing)(void))
{
    int64_t n = configure(CLEAR_VALUE | AUTO_START, FIRMWARE(event));
    check(n >= 3);
    check(read_counter((unsigned)n) == 0);
    for (unsigned i = 0; i < times; i++) {
        doing();
    }
    check(read_counter((unsigned)n) == times);
    check(sbi(PMU, FIRMWARE_READ_HIGH, (uint64_t)n, 0, 0, 0, 0).value == 0);
    check(sbi(PMU, STOP, 0, 1ull << n, 0, 0, 0).error == 0);
    doing();
    check(read_counter((unsigned)n) == times);
    check(sbi(PMU, START, 0, 1ull << n, SET_VALUE, 40, 0).error == 0);
    doing();
    check(read_counter((unsigned)n) == 41);
    sbi(PMU, STOP, 0, 1ull << n, RESET, 0, 0);
}

static uint64_t self;
static void set_timer(void) { sbi(SBI_TIME, 0, ALL_ONES, 0, 0, 0, 0); }
static void send_ipi(void)
{
    sbi(SBI_IPI, 0, 1, self, 0, 0, 0);
    while (!(csr_read(sip) & 2)) {
    }
    csr_clear(sip, 2);
}
static void fence_i_self(void) { sbi(SBI_RFENCE, SBI_FENCE_I, 1, self, 0, 0, 0); }
static void sfence_self(void) { sbi(SBI_RFENCE, SBI_SFENCE_VMA, 1, self, 0, 0x1000, 0); }
static void sfence_asid_self(void) { sbi(SBI_RFENCE, SBI_SFENCE_VMA_ASID, 1, self, 0, 0x1000, 1); }

static void check_nonsense(uint64_t count)
{
    check(sbi(PMU, GET_INFO, count, 0, 0, 0, 0).error == ERR_INVALID_PARAM);
    check(sbi(PMU, GET_INFO, 1, 0, 0, 0, 0).error == ERR_INVALID_PARAM);    /* time is no counter */
    check(sbi(PMU, FIRMWARE_READ, 0, 0, 0, 0, 0).error == ERR_INVALID_PARAM);
    check(sbi(PMU, FIRMWARE_READ, count, 0, 0, 0, 0).error == ERR_INVALID_PARAM);
    check(sbi(PMU, CONFIGURE, count, 1, 0, CYCLES, 0).error == ERR_INVALID_PARAM);
    check(sbi(PMU, START, count, 1, 0, 0, 0).error == ERR_INVALID_PARAM);
    check(sbi(PMU, STOP, count, 1, 0, 0, 0).error == ERR_INVALID_PARAM);
    check(sbi(PMU, CONFIGURE, 0, mask, 0, 0x7fff, 0).error == ERR_NOT_SUPPORTED);
    check(sbi(PMU, CONFIGURE, 0, mask, 0, 0xc0000 | CYCLES, 0).error == ERR_NOT_SUPPORTED);
    check(sbi(PMU, 99, 0, 0, 0, 0, 0).error == ERR_NOT_SUPPORTED);
}

void main(uint64_t hart, uint64_t arg)
{
    self = hart;
    csr_write(scounteren, ALL_ONES);
    check(sbi(SBI_BASE, 3, PMU, 0, 0, 0, 0).value == 1);
    uint64_t count = (uint64_t)sbi(PMU, NUM_COUNTERS, 0, 0, 0, 0, 0).value, firmware = 0;
    for (uint64_t i = 0; i < count; i++) {
        SBIResult r = sbi(PMU, GET_INFO, i, 0, 0, 0, 0);
        mask |= r.error ? 0 : 1ull << i;
        firmware += !r.error && r.value < 0;
        /* Counters of the hart come first, and are the CSRs from cycle on. */
        check(r.error || r.value < 0 || (!firmware && (r.value & 0xfff) == 0xc00 + (int64_t)i));
    }
    check((mask & 7) == 5 && firmware > 0);
    sbi(PMU, STOP, 0, mask, RESET, 0, 0);
    check_hardware(CYCLES);
    check_hardware(INSTRUCTIONS);
    check_filter();
    check_overflow();
    check_firmware(EVENT_SET_TIMER, 5, set_timer);
    check_firmware(EVENT_IPI_SENT, 7, send_ipi);
    check_firmware(EVENT_IPI_RECEIVED, 3, send_ipi);
    check_firmware(EVENT_FENCE_I_SENT, 2, fence_i_self);
    check_firmware(EVENT_SFENCE_VMA_SENT, 4, sfence_self);
    check_firmware(EVENT_SFENCE_VMA_ASID_SENT, 6, sfence_asid_self);
    check_nonsense(count);
    put("pmu\n");
    finish(0);
}
