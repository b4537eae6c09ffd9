/* The guest of the IR tests.  Constant data; helpers touch the CPU they are given only.
 */
#include "test-guest.h"

#include "host/host.h"

static uint64_t helper_sum(void *cpu, uint64_t a, uint64_t b)
{
    return a + b;
}

static uint64_t helper_mix(void *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    return (a ^ b >> 7) * 31 + c;
}

static uint64_t helper_touch(void *cpu, uint64_t a)
{
    HostEnv *env = cpu;
    env->reg[0] = a + env->reg[1];
    return env->reg[2];
}

static uint64_t helper_count(void *cpu)
{
    ((HostEnv *)cpu)->stats[0]++;
    return 0;
}

static uint64_t helper_fault(void *cpu, uint64_t a)
{
    return ~a;
}

#define INT(n, p) { #n, IR_I64, p }
#define FLOAT(n, p) { #n, IR_F64, p }
static const IRGuestReg regs[TEST_GUEST_INTS + TEST_GUEST_FLOATS] = {
    INT(r0, 90),   INT(r1, 80),   INT(r2, 70),   INT(r3, 60),   INT(r4, 50),
    INT(r5, 40),   INT(r6, 30),   INT(r7, 20),   INT(r8, 10),   INT(r9, 9),
    INT(r10, 8),   INT(r11, 7),   INT(r12, 6),   INT(r13, 0),   INT(r14, 0),
    INT(r15, 0),   FLOAT(f0, 90), FLOAT(f1, 80), FLOAT(f2, 70), FLOAT(f3, 60),
    FLOAT(f4, 50), FLOAT(f5, 40), FLOAT(f6, 0),  FLOAT(f7, 0),
};

static const IRHelper helpers[] = {
    { "sum", (void *)helper_sum, IR_I64, 2, IRH_PURE },
    { "mix", (void *)helper_mix, IR_I32, 3, IRH_NOFAULT },
    { "touch", (void *)helper_touch, IR_I64, 1, IRH_NOFAULT | IRH_REGS },
    { "count", (void *)helper_count, IR_VOID, 0, IRH_NOFAULT },
    { "fault", (void *)helper_fault, IR_I64, 1, 0 },
};

const IRGuest test_guest = {
    .regs = regs, .nregs = sizeof regs / sizeof regs[0],
    .helpers = helpers, .nhelpers = sizeof helpers / sizeof helpers[0],
};
