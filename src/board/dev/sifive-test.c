/*
 * sifive_test: one register.  The low half of what is written says what to do, the high half is the exit
 * code of a failure.  It has no state, so it needs no lock.
 */
#include "board/dev/sifive-test.h"

enum {
    FINISHER_FAIL = 0x3333,
    FINISHER_PASS = 0x5555,
    FINISHER_RESET = 0x7777,
};

static uint64_t test_read(void *opaque, hwaddr offset, unsigned size)
{
    return 0;
}

static void test_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    SiFiveTest *t = opaque;
    if (offset != 0) {
        return;
    }
    switch (value & 0xffff) {
    case FINISHER_FAIL:
        t->power_off(t->opaque, (int)(value >> 16 & 0xffff));
        break;
    case FINISHER_PASS:
        t->power_off(t->opaque, 0);
        break;
    case FINISHER_RESET:
        t->reset(t->opaque);
        break;
    }
}

const MMIOOps sifive_test_ops = { test_read, test_write, 2, 4 };

const DeviceClass sifive_test_class = { .name = "sifive-test", .state = &state_nothing };
