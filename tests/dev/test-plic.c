/* The PLIC against its specification (RISC-V PLIC 1.0.0): priorities, thresholds, claim and completion, gateways. */
#include "device.h"

#include "board/dev/plic.h"

enum { PRIORITY = 0, PENDING = 0x1000, ENABLE = 0x2000, THRESHOLD = 0x200000, CLAIM = 0x200004 };
#define CTX_ENABLE(c) (ENABLE + 0x80 * (c))
#define CTX_THRESHOLD(c) (THRESHOLD + 0x1000 * (c))
#define CTX_CLAIM(c) (CLAIM + 0x1000 * (c))

static TestLine out[4];
static PLIC *dev;
static const MMIOOps *ops = &plic_ops;

static int setup(void **state)
{
    IRQLine lines[4];
    for (unsigned i = 0; i < 4; i++) {
        out[i] = (TestLine){ 0 };
        lines[i] = test_line(out, i);
    }
    dev = plic_create(lines, 4);
    plic_reset(dev);
    return 0;
}

static void raise_source(unsigned n, bool level)
{
    IRQLine l = plic_input(dev, n);
    irq_set(&l, level);
}

static void enable(unsigned context, unsigned n)
{
    hwaddr word = CTX_ENABLE(context) + n / 32 * 4;
    WR(4, word, RD(4, word) | 1u << n % 32);
}

static void test_delivery(void **state)
{
    WR(4, PRIORITY + 4 * 10, 1);
    raise_source(10, true);
    assert_int_equal(RD(4, PENDING), 1u << 10);
    assert_false(line_level(&out[1]));          /* nobody has enabled it */
    enable(1, 10);
    assert_true(line_level(&out[1]));
    assert_false(line_level(&out[0]));
    assert_int_equal(RD(4, CTX_CLAIM(1)), 10);
    assert_false(line_level(&out[1]));
    assert_int_equal(RD(4, PENDING), 0);
    assert_int_equal(RD(4, CTX_CLAIM(1)), 0);   /* nothing more */
}

static void test_gateway(void **state)
{
    WR(4, PRIORITY + 4 * 3, 1);
    enable(0, 3);
    raise_source(3, true);
    assert_int_equal(RD(4, CTX_CLAIM(0)), 3);
    raise_source(3, true);                      /* the gateway is shut until completion */
    assert_false(line_level(&out[0]));
    WR(4, CTX_CLAIM(0), 3);
    assert_true(line_level(&out[0]));           /* the level still is high */
    assert_int_equal(RD(4, CTX_CLAIM(0)), 3);
    raise_source(3, false);
    WR(4, CTX_CLAIM(0), 3);
    assert_false(line_level(&out[0]));
    raise_source(3, true);                      /* a request stays when the level falls */
    raise_source(3, false);
    assert_true(line_level(&out[0]));
    assert_int_equal(RD(4, CTX_CLAIM(0)), 3);
    WR(4, CTX_CLAIM(0), 3);
    assert_false(line_level(&out[0]));
}

static void test_order(void **state)
{
    static const unsigned sources[] = { 1, 5, 31, 32, 64, 96 };
    for (unsigned i = 0; i < 6; i++) {
        WR(4, PRIORITY + 4 * sources[i], sources[i] == 64 ? 7 : 2);
        enable(2, sources[i]);
        raise_source(sources[i], true);
    }
    /* The highest priority first, then the lowest number. */
    static const unsigned expected[] = { 64, 1, 5, 31, 32, 96, 0 };
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(RD(4, CTX_CLAIM(2)), expected[i]);
    }
}

static void test_threshold(void **state)
{
    WR(4, PRIORITY + 4 * 7, 3);
    enable(3, 7);
    WR(4, CTX_THRESHOLD(3), 3);
    raise_source(7, true);
    assert_false(line_level(&out[3]));          /* only above the threshold */
    WR(4, CTX_THRESHOLD(3), 2);
    assert_true(line_level(&out[3]));
    WR(4, CTX_THRESHOLD(3), 7);
    assert_int_equal(RD(4, CTX_THRESHOLD(3)), 7);
    assert_int_equal(RD(4, CTX_CLAIM(3)), 7);   /* a claim is not affected by it */
    WR(4, PRIORITY + 4 * 7, 0);
    WR(4, CTX_CLAIM(3), 7);
    WR(4, CTX_THRESHOLD(3), 0);
    assert_false(line_level(&out[3]));          /* priority 0 never interrupts */
}

static void test_two_contexts(void **state)
{
    WR(4, PRIORITY + 4 * 8, 1);
    enable(0, 8);
    enable(1, 8);
    raise_source(8, true);
    assert_true(line_level(&out[0]) && line_level(&out[1]));
    assert_int_equal(RD(4, CTX_CLAIM(0)), 8);
    assert_false(line_level(&out[1]));          /* the other one comes too late */
    assert_int_equal(RD(4, CTX_CLAIM(1)), 0);
    WR(4, CTX_CLAIM(2), 8);                     /* a context that has not enabled it cannot complete it */
    assert_false(line_level(&out[0]));
    WR(4, CTX_CLAIM(0), 8);
    assert_true(line_level(&out[0]));
}

static void test_bounds(void **state)
{
    WR(4, PRIORITY, 7);
    assert_int_equal(RD(4, PRIORITY), 0);       /* source 0 does not exist */
    WR(4, CTX_ENABLE(0), ~0u);
    assert_int_equal(RD(4, CTX_ENABLE(0)), ~1u);
    WR(4, CTX_ENABLE(0) + 12, ~0u);
    assert_int_equal(RD(4, CTX_ENABLE(0) + 12), 1);     /* 96 is the last */
    WR(4, CTX_ENABLE(4), ~0u);
    assert_int_equal(RD(4, CTX_ENABLE(4)), 0);  /* no such context */
    WR(4, PRIORITY + 4 * 2, 0xff);
    assert_int_equal(RD(4, PRIORITY + 4 * 2), 7);
    WR(4, CTX_CLAIM(0), 0xffffffff);
    WR(4, CTX_CLAIM(9), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_delivery, setup),     cmocka_unit_test_setup(test_gateway, setup),
        cmocka_unit_test_setup(test_order, setup),        cmocka_unit_test_setup(test_threshold, setup),
        cmocka_unit_test_setup(test_two_contexts, setup), cmocka_unit_test_setup(test_bounds, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
