/* ACLINT (SiFive CLINT), goldfish RTC, sifive_test, and the timers under them. */
#include "device.h"

#include "board/dev/aclint.h"
#include "board/dev/goldfish-rtc.h"
#include "board/dev/sifive-test.h"
#include "board/timer.h"

enum { MSIP = 0, MTIMECMP = 0x4000, MTIME = 0xbff8 };

static TestLine lines[8];       /* 0-3 software, 4-7 timer */

static ACLINT *make_aclint(void)
{
    IRQLine software[4], timer[4];
    for (unsigned i = 0; i < 4; i++) {
        lines[i] = lines[4 + i] = (TestLine){ 0 };
        software[i] = test_line(lines, i);
        timer[i] = test_line(lines, 4 + i);
    }
    ACLINT *a = aclint_create(software, timer, 4);
    aclint_reset(a);
    return a;
}

static void test_msip(void **state)
{
    const MMIOOps *ops = &aclint_ops;
    ACLINT *dev = make_aclint();
    WR(4, MSIP + 8, 1);
    assert_true(line_level(&lines[2]));
    assert_false(line_level(&lines[1]));
    assert_int_equal(RD(4, MSIP + 8), 1);
    WR(4, MSIP + 8, 0xfffffffe);        /* only bit 0 exists */
    assert_false(line_level(&lines[2]));
    assert_int_equal(RD(4, MSIP + 8), 0);
    WR(4, MSIP + 16, 1);                /* no such hart */
    assert_int_equal(RD(4, MSIP + 16), 0);
}

static void test_mtimecmp(void **state)
{
    const MMIOOps *ops = &aclint_ops;
    ACLINT *dev = make_aclint();
    assert_int_equal(RD(8, MTIMECMP), UINT64_MAX);
    uint64_t now = RD(8, MTIME);
    WR(8, MTIMECMP + 8, now + 200000);  /* 20 ms */
    assert_false(line_level(&lines[5]));
    assert_true(wait_level(&lines[5], true));
    assert_true(RD(8, MTIME) >= now + 200000);
    WR(8, MTIMECMP + 8, UINT64_MAX);    /* never, and the line falls */
    assert_false(line_level(&lines[5]));
    WR(8, MTIMECMP + 8, 0);             /* in the past: at once */
    assert_true(line_level(&lines[5]));
    /* In halves, the way RV32 does it: no interrupt in between. */
    unsigned before = lines[4].changes;
    WR(4, MTIMECMP + 0, 0xffffffff);
    WR(4, MTIMECMP + 4, (now >> 32) + 1);
    WR(4, MTIMECMP + 0, 0);
    assert_int_equal(RD(8, MTIMECMP), ((now >> 32) + 1) << 32);
    assert_int_equal(RD(4, MTIMECMP + 4), (uint32_t)(now >> 32) + 1);
    assert_int_equal(lines[4].changes, before);
    nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
    assert_int_equal(lines[6].changes + lines[7].changes, 0);   /* all ones never fire */
}

static void test_mtime(void **state)
{
    const MMIOOps *ops = &aclint_ops;
    ACLINT *dev = make_aclint();
    uint64_t a = RD(8, MTIME), b = RD(8, MTIME);
    assert_true(b >= a);
    WR(8, MTIMECMP, 1ull << 40);
    assert_false(line_level(&lines[4]));
    WR(8, MTIME, 1ull << 41);           /* setting the time makes the comparison true */
    assert_true(line_level(&lines[4]));
    assert_true(RD(8, MTIME) >= 1ull << 41);
    assert_int_equal(RD(4, MTIME + 4), 1u << 9);
    WR(8, MTIME, 0);                    /* and back */
    assert_false(line_level(&lines[4]));
    /* 10 MHz: 50 ms are 500000 ticks at least. */
    nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    assert_in_range(RD(8, MTIME), 500000, 50000000);
}

static void test_rtc(void **state)
{
    enum { LOW = 0, HIGH = 4, ALARM_LOW = 8, ALARM_HIGH = 12, ENABLE = 16, CLEAR_ALARM = 20, STATUS = 24,
           CLEAR_IRQ = 28 };
    const MMIOOps *ops = &goldfish_rtc_ops;
    TestLine line = { 0 };
    GoldfishRTC *dev = goldfish_rtc_create(test_line(&line, 0));
    uint64_t t = RD(4, LOW);
    t |= RD(4, HIGH) << 32;
    assert_in_range(t / NS_PER_S, (uint64_t)time(NULL) - 2, (uint64_t)time(NULL) + 2);

    uint64_t alarm = t + 30000000;
    WR(4, ENABLE, 1);
    WR(4, ALARM_HIGH, alarm >> 32);
    WR(4, ALARM_LOW, (uint32_t)alarm);
    assert_int_equal(RD(4, STATUS), 1);
    assert_true(wait_level(&line, true));
    assert_int_equal(RD(4, STATUS), 0);
    WR(4, CLEAR_IRQ, 1);
    assert_false(line_level(&line));

    WR(4, HIGH, 1);                     /* the guest sets its clock to 2^32 ns */
    WR(4, LOW, 0);
    t = RD(4, LOW);
    t |= RD(4, HIGH) << 32;
    assert_in_range(t, 1ull << 32, (1ull << 32) + NS_PER_S);
    WR(4, ALARM_HIGH, 0);
    WR(4, ALARM_LOW, 5);                /* in the past */
    assert_true(line_level(&line));
}

/* An alarm that comes while the machine is stopped is there as soon as it goes on. */
static void test_rtc_stopped(void **state)
{
    enum { LOW = 0, HIGH = 4, ALARM_LOW = 8, ALARM_HIGH = 12, ENABLE = 16 };
    const MMIOOps *ops = &goldfish_rtc_ops;
    TestLine line = { 0 };
    GoldfishRTC *dev = goldfish_rtc_create(test_line(&line, 0));
    uint64_t alarm = RD(4, LOW);
    alarm |= RD(4, HIGH) << 32;
    alarm += 3600ull * NS_PER_S;
    WR(4, ENABLE, 1);
    WR(4, ALARM_HIGH, alarm >> 32);
    WR(4, ALARM_LOW, (uint32_t)alarm);
    goldfish_rtc_class.continued(dev);      /* not yet */
    assert_false(line_level(&line));
    clock_stop();
    alarm -= 3600ull * NS_PER_S - 20000000;
    WR(4, ALARM_HIGH, alarm >> 32);
    WR(4, ALARM_LOW, (uint32_t)alarm);
    nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
    clock_continue();
    goldfish_rtc_class.continued(dev);
    assert_true(line_level(&line));
}

static int off_code, resets;
static void on_off(void *opaque, int code) { off_code = code; }
static void on_reset(void *opaque) { resets++; }

static void test_finisher(void **state)
{
    const MMIOOps *ops = &sifive_test_ops;
    SiFiveTest t = { on_off, on_reset, NULL }, *dev = &t;
    off_code = -1;
    WR(4, 4, 0x5555);
    WR(4, 0, 0x1234);
    assert_int_equal(off_code, -1);
    WR(4, 0, 0x5555);
    assert_int_equal(off_code, 0);
    WR(4, 0, 42 << 16 | 0x3333);
    assert_int_equal(off_code, 42);
    WR(2, 0, 0x7777);
    assert_int_equal(resets, 1);
}

static uint64_t fired_at[3];
static unsigned fired;
static void on_fire(void *opaque)
{
    fired_at[__atomic_fetch_add(&fired, 1, __ATOMIC_SEQ_CST)] = (uintptr_t)opaque;
}

static void test_timer_order(void **state)
{
    Timer t[3];
    uint64_t now = clock_ns();
    for (unsigned i = 0; i < 3; i++) {
        timer_init(&t[i], on_fire, (void *)(uintptr_t)i);
    }
    timer_set(&t[0], now + 60000000);
    timer_set(&t[1], now + 20000000);
    timer_set(&t[2], now + 40000000);
    timer_set(&t[2], TIMER_NEVER);
    nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
    assert_int_equal(__atomic_load_n(&fired, __ATOMIC_SEQ_CST), 2);
    assert_int_equal(fired_at[0], 1);
    assert_int_equal(fired_at[1], 0);

    clock_stop();                       /* time stands still, and so do timers */
    uint64_t stopped = clock_ns();
    timer_set(&t[2], stopped + 1000000);
    nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
    assert_int_equal(clock_ns(), stopped);
    assert_int_equal(__atomic_load_n(&fired, __ATOMIC_SEQ_CST), 2);
    clock_continue();
    for (int i = 0; i < 1000 && __atomic_load_n(&fired, __ATOMIC_SEQ_CST) < 3; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    assert_int_equal(fired_at[2], 2);
    for (unsigned i = 0; i < 3; i++) {
        timer_remove(&t[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_msip),     cmocka_unit_test(test_mtimecmp), cmocka_unit_test(test_mtime),
        cmocka_unit_test(test_rtc), cmocka_unit_test(test_rtc_stopped), cmocka_unit_test(test_finisher), cmocka_unit_test(test_timer_order),
    };
    timers_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
