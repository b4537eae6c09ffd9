/*
 * What the tests of devices share: lines that remember their level, and accesses to registers as a CPU
 * makes them.
 */
#ifndef BRAID_TESTS_DEVICE_H
#define BRAID_TESTS_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "board/irq.h"
#include "mem/memory.h"

typedef struct TestLine {
    bool level;                 /* atomic */
    unsigned changes;           /* atomic: calls that changed it */
} TestLine;

static inline void test_line_set(void *opaque, unsigned n, bool level)
{
    TestLine *l = (TestLine *)opaque + n;
    if (__atomic_exchange_n(&l->level, level, __ATOMIC_SEQ_CST) != level) {
        __atomic_fetch_add(&l->changes, 1, __ATOMIC_SEQ_CST);
    }
}

static inline IRQLine test_line(TestLine *lines, unsigned n)
{
    return (IRQLine){ test_line_set, lines, n };
}

static inline bool line_level(const TestLine *l)
{
    return __atomic_load_n(&l->level, __ATOMIC_SEQ_CST);
}

/* Wait until the line has this level, at most five seconds. */
static inline bool wait_level(const TestLine *l, bool level)
{
    for (int i = 0; i < 5000; i++) {
        if (line_level(l) == level) {
            return true;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return false;
}

#define RD(size, offset) (ops->read(dev, (offset), (size)))
#define WR(size, offset, value) (ops->write(dev, (offset), (value), (size)))

#endif
