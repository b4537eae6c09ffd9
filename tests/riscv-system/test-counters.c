/*
 * The hart's counters, by a clock that moves when the test says so: values, filters, and when the board is asked for
 * an alarm.
 */
#include "fixture.h"

enum {
    MCOUNTINHIBIT = 0x320, MHPMEVENT3 = 0x323, MHPMEVENT4 = 0x324, MHPMEVENT31 = 0x33f, MIP = 0x344, MIE = 0x304,
    MCYCLE = 0xb00, MINSTRET = 0xb02, MHPMCOUNTER3 = 0xb03, MHPMCOUNTER4 = 0xb04, MHPMCOUNTER31 = 0xb1f,
    HPMCOUNTER3 = 0xc03, SCOUNTOVF = 0xda0,
};
#define BIT(n) (UINT64_C(1) << (n))
#define LCOFI BIT(13)
#define OF BIT(63)
#define MINH BIT(62)
#define SINH BIT(61)
#define UINH BIT(60)
#define NEVER UINT64_MAX

static void change_mode(unsigned priv)
{
    set_mode(priv);
    riscv_hart_changed(fx.h);
}

/* The alarm rings, and the hart looks. */
static void ring(void)
{
    riscv_counters_due(fx.cpu);
    assert_true(riscv_has_work(fx.cpu));
    riscv_system_run(fx.cpu);
}

static void test_values(void **state)
{
    uint64_t cycle = csr_read(MCYCLE);
    fx.ns += 1000;
    assert_int_equal(csr_read(MCYCLE), cycle + 1000);
    assert_true(csr_write(MHPMCOUNTER3, 7));
    fx.ns += 10;
    assert_int_equal(csr_read(MHPMCOUNTER3), 7);        /* no event */
    assert_true(csr_write(MHPMEVENT3, 1));
    fx.ns += 10;
    assert_int_equal(csr_read(MHPMCOUNTER3), 17);
    assert_true(csr_write(MCOUNTINHIBIT, BIT(3) | BIT(1)));
    assert_int_equal(csr_read(MCOUNTINHIBIT), BIT(3));
    fx.ns += 10;
    assert_int_equal(csr_read(MHPMCOUNTER3), 17);
    assert_int_equal(csr_read(HPMCOUNTER3), 17);
    assert_int_equal(csr_read(MCYCLE), cycle + 1030);
    assert_true(csr_write(MHPMCOUNTER3, 100));
    assert_true(csr_write(MCOUNTINHIBIT, 0));
    fx.ns += 1;
    assert_int_equal(csr_read(MHPMCOUNTER3), 101);
    assert_true(csr_write(MHPMEVENT3, 77));             /* nothing counts that */
    assert_int_equal(csr_read(MHPMEVENT3), 0);
    fx.ns += 1;
    assert_int_equal(csr_read(MHPMCOUNTER3), 101);
    assert_true(csr_write(MHPMCOUNTER31, 5) && csr_write(MHPMEVENT31, 1));
    assert_int_equal(csr_read(MHPMCOUNTER31), 0);
    assert_int_equal(csr_read(MHPMEVENT31), 0);
    assert_int_equal(fx.alarms, 0);
}

static void test_filters(void **state)
{
    assert_true(csr_write(MHPMCOUNTER3, 0));
    assert_true(csr_write(MHPMEVENT3, 1 | MINH));
    assert_true(csr_write(MHPMCOUNTER4, 0));
    assert_true(csr_write(MHPMEVENT4, 2 | MINH | SINH));
    fx.ns += 1;                 /* in M */
    change_mode(RISCV_PRIV_S);
    fx.ns += 10;
    change_mode(RISCV_PRIV_U);
    fx.ns += 100;
    change_mode(RISCV_PRIV_S);
    fx.ns += 1000;
    change_mode(RISCV_PRIV_M);
    fx.ns += 10000;
    assert_int_equal(csr_read(MHPMCOUNTER3), 1110);
    assert_int_equal(csr_read(MHPMCOUNTER4), 100);
    /* A filter that changes while the counter counts. */
    assert_true(csr_write(MHPMEVENT3, 1 | SINH));
    fx.ns += 5;
    assert_int_equal(csr_read(MHPMCOUNTER3), 1115);
}

static void test_overflow(void **state)
{
    assert_true(csr_write(MHPMCOUNTER3, -UINT64_C(1000)));
    assert_int_equal(fx.alarms, 0);
    assert_true(csr_write(MHPMEVENT3, 1));
    assert_int_equal(fx.alarm, 1000);
    fx.ns += 999;
    assert_int_equal(csr_read(SCOUNTOVF), 0);
    fx.ns += 1;
    assert_int_equal(csr_read(SCOUNTOVF), BIT(3));
    assert_int_equal(csr_read(MHPMEVENT3), 1 | OF);
    assert_int_equal(csr_read(MHPMCOUNTER3), 0);
    assert_int_equal(csr_read(MIP), LCOFI);
    assert_true(csr_clear(MIP, LCOFI));
    assert_int_equal(csr_read(MIP), 0);
    /* With OF set nothing is told. */
    fx.alarm = 0;
    assert_true(csr_write(MHPMCOUNTER3, -UINT64_C(10)));
    assert_int_equal(fx.alarm, 0);
    fx.ns += 20;
    assert_int_equal(csr_read(MHPMCOUNTER3), 10);
    assert_int_equal(csr_read(MIP), 0);
    /* A value that has been written is no overflow, however small it is beside the last one. */
    assert_true(csr_write(MHPMEVENT3, 1));
    assert_true(csr_write(MHPMCOUNTER3, NEVER));
    assert_true(csr_write(MHPMCOUNTER3, 0));
    fx.ns += 1000000;
    assert_int_equal(csr_read(SCOUNTOVF), 0);
}

static void test_alarms(void **state)
{
    assert_true(csr_write(MHPMEVENT3, 1));
    assert_true(csr_write(MHPMCOUNTER3, -UINT64_C(1000)));
    assert_int_equal(fx.alarm, 1000);
    assert_true(csr_write(MHPMEVENT4, 1));
    assert_true(csr_write(MHPMCOUNTER4, -UINT64_C(5000)));
    assert_int_equal(fx.alarms, 1);         /* later than the one that is asked for */
    fx.ns += 1000;
    ring();
    assert_int_equal(csr_read(MIP), LCOFI);
    assert_int_equal(csr_read(SCOUNTOVF), BIT(3));
    assert_int_equal(fx.alarms, 2);
    assert_int_equal(fx.alarm, 4000);
    /* Stopped for a while: the alarm is too early, and is asked for again. */
    assert_true(csr_write(MCOUNTINHIBIT, BIT(4)));
    fx.ns += 1500;
    assert_true(csr_write(MCOUNTINHIBIT, 0));
    assert_int_equal(fx.alarms, 2);
    fx.ns += 2500;
    ring();
    assert_int_equal(csr_read(SCOUNTOVF), BIT(3));
    assert_int_equal(fx.alarm, 1500);
    fx.ns += 1500;
    ring();
    assert_int_equal(csr_read(SCOUNTOVF), BIT(3) | BIT(4));
    assert_int_equal(fx.alarms, 3);
    /* One that rings for nothing: no work is left behind. */
    assert_true(csr_clear(MIP, LCOFI));
    ring();
    assert_false(riscv_has_work(fx.cpu));
}

static void test_interrupt(void **state)
{
    assert_true(csr_write(MIE, LCOFI));
    assert_true(csr_write(MHPMEVENT3, 1 | MINH | SINH));
    assert_true(csr_write(MHPMCOUNTER3, -UINT64_C(100)));
    assert_int_equal(fx.alarms, 0);
    change_mode(RISCV_PRIV_U);
    assert_int_equal(fx.alarm, 100);
    fx.ns += 100;
    ring();
    assert_int_equal(fx.h->priv, RISCV_PRIV_M);
    assert_int_equal(fx.h->mcause, BIT(63) | 13);
}

static void test_reset(void **state)
{
    assert_true(csr_write(MHPMEVENT3, 1));
    assert_true(csr_write(MHPMCOUNTER3, -UINT64_C(100)));
    riscv_reset_hart(fx.cpu, 0, 0, 0, RISCV_PRIV_M);    /* counters are another matter */
    fx.ns += 50;
    assert_int_equal(csr_read(MHPMCOUNTER3), -UINT64_C(50));
    riscv_reset_counters(fx.cpu);
    fx.ns += 500;
    assert_int_equal(csr_read(MHPMCOUNTER3), 0);
    assert_int_equal(csr_read(MCYCLE), 500);
    assert_int_equal(csr_read(MINSTRET), 500);
    assert_int_equal(csr_read(SCOUNTOVF), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup_hart, teardown_hart),
        cmocka_unit_test_setup_teardown(test_filters, setup_hart, teardown_hart),
        cmocka_unit_test_setup_teardown(test_overflow, setup_hart, teardown_hart),
        cmocka_unit_test_setup_teardown(test_alarms, setup_hart, teardown_hart),
        cmocka_unit_test_setup_teardown(test_interrupt, setup_hart, teardown_hart),
        cmocka_unit_test_setup_teardown(test_reset, setup_hart, teardown_hart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
