/* A guest made up for tests: registers r0..r15 (i64) and f0..f7 (f64), a few helpers. */
#ifndef BRAID_TESTS_TEST_GUEST_H
#define BRAID_TESTS_TEST_GUEST_H

#include "ir/ir.h"

enum { TEST_GUEST_INTS = 16, TEST_GUEST_FLOATS = 8 };

/*
 * Helpers: sum(a, b) pure; mix(a, b, c) never faults; touch(a) writes r0 and reads r1, so
 * it has IRH_REGS; count() returns nothing; fault(a) may fault (it does not).
 */
extern const IRGuest test_guest;

#endif
