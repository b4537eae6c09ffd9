/*
 * Hardware performance counters: mhpmevent, mcountinhibit, who may read them (mcounteren, scounteren), and the
 * interrupts of Sscofpmf.
 *
 * Events 1 and 2 are cycles and instructions, as with QEMU (of which 7.2 hangs here); how fast they come is nobody's
 * business.
 */
#include "bare.h"

void (*hart_main)(u64);

enum { LCOFI = 13 };
#define BIT(n) (UINT64_C(1) << (n))
#define OF BIT(63)
#define MINH BIT(62)
#define SINH BIT(61)
#define UINH BIT(60)
#define NONE (~UINT64_C(0))

CODE(read_counter, "1: csrr a0, hpmcounter3\necall");
CODE(read_overflows, "1: csrr a0, scountovf\necall");
CODE(write_overflows, "1: csrw scountovf, a0\necall");
CODE(spin, "1: j 1b");
CODE(loop, "1: addi a0, a0, -1\nbnez a0, 1b\necall");
/* Sleeps until something is pending, with interrupts of M-mode on. */
CODE(sleep, "csrsi mstatus, 8\n1: wfi\nj 1b");

static void quiet(void)
{
    csr_write(mie, 0);
    csr_write(mideleg, 0);
    csr_clear(mstatus, BIT(1) | BIT(3) | BIT(5) | BIT(7) | BIT(8));
    csr_write(mcountinhibit, 0);
    csr_write(mhpmevent3, 0);
    csr_write(mhpmevent4, 0);
    csr_clear(mip, BIT(LCOFI));
    csr_write(mcounteren, NONE);
    csr_write(scounteren, NONE);
}

static void test_registers(void)
{
    quiet();
    csr_write(mhpmcounter3, 0x123456789abcdef0);
    CHECK(csr_read(mhpmcounter3), 0x123456789abcdef0);     /* nothing counts */
    CHECK(csr_read(hpmcounter3), 0x123456789abcdef0);
    csr_write(mhpmevent3, 1 | OF | MINH | UINH);
    CHECK(csr_read(mhpmevent3), 1 | OF | MINH | UINH);
    csr_write(mhpmevent3, 0);
    CHECK(csr_read(mhpmevent3), 0);
    csr_write(mcountinhibit, NONE);
    CHECK(csr_read(mcountinhibit) & 15, 13);                /* time has no such bit */
    csr_write(mcountinhibit, 0);
    CHECK(csr_read(mcountinhibit), 0);
    CHECK(csr_read(mhpmcounter31), 0);
}

/* Whether what `event` counts goes on while M-mode looks. */
static bool counts(u64 event)
{
    csr_write(mhpmcounter3, 5);
    csr_write(mhpmevent3, event);
    u64 before = csr_read(mhpmcounter3);
    for (volatile int i = 0; i < 1000; i++) {
    }
    u64 after = csr_read(mhpmcounter3);
    csr_write(mhpmevent3, 0);
    CHECK(before >= 5 && after >= before, 1);
    return after > before;
}

static void test_counting(void)
{
    quiet();
    CHECK(counts(1), 1);
    CHECK(counts(2), 1);
    CHECK(counts(0), 0);
    csr_write(mcountinhibit, BIT(3));
    CHECK(counts(1), 0);
    csr_write(mcountinhibit, BIT(4));
    CHECK(counts(1), 1);
    csr_write(mcountinhibit, BIT(0) | BIT(2));
    CHECK(counts(1), 1);
    u64 cycles = csr_read(mcycle), instructions = csr_read(minstret);
    CHECK(csr_read(mcycle), cycles);
    CHECK(csr_read(minstret), instructions);
}

/* How much counter 3 counts while `mode` does something. */
static u64 counted_in(u64 mode, u64 event)
{
    csr_write(mhpmcounter3, 0);
    csr_write(mhpmevent3, event);
    CHECK(run_in(mode, loop, 1000, 0)->a0, 0);
    csr_write(mcountinhibit, BIT(3));
    u64 n = csr_read(mhpmcounter3);
    csr_write(mhpmevent3, 0);
    csr_write(mcountinhibit, 0);
    return n;
}

static void test_modes(void)
{
    quiet();
    CHECK(counts(1 | SINH | UINH), 1);
    CHECK(counted_in(MODE_S, 1 | SINH | UINH) > 0, 1);      /* on the way there and back */
    for (u64 event = 1; event <= 2; event++) {
        CHECK(counts(event | MINH), 0);
        CHECK(counted_in(MODE_M, event | MINH), 0);
        CHECK(counted_in(MODE_S, event | MINH) > 0, 1);
        CHECK(counted_in(MODE_U, event | MINH) > 0, 1);
        CHECK(counted_in(MODE_S, event | MINH | SINH), 0);
        CHECK(counted_in(MODE_U, event | MINH | SINH) > 0, 1);
        CHECK(counted_in(MODE_U, event | MINH | UINH), 0);
        CHECK(counted_in(MODE_S, event | MINH | UINH) > 0, 1);
        CHECK(counted_in(MODE_U, event | MINH | SINH | UINH), 0);
    }
}

static void test_access(void)
{
    quiet();
    csr_write(mhpmcounter3, 77);
    CHECK(run_in(MODE_S, read_counter, 0, 0)->a0, 77);
    CHECK(run_in(MODE_U, read_counter, 0, 0)->a0, 77);
    csr_write(scounteren, ~BIT(3));
    CHECK(run_in(MODE_S, read_counter, 0, 0)->cause, 9);
    CHECK(run_in(MODE_U, read_counter, 0, 0)->cause, 2);
    csr_write(mcounteren, ~BIT(3));
    CHECK(run_in(MODE_S, read_counter, 0, 0)->cause, 2);
    csr_write(scounteren, NONE);
    CHECK(run_in(MODE_S, read_counter, 0, 0)->cause, 2);
    CHECK(run_in(MODE_U, read_counter, 0, 0)->cause, 2);
    CHECK(csr_read(mhpmcounter3), 77);
}

/* Counter 3 wraps soon; false: it has not within a second. */
static bool wait_for_overflow(void)
{
    u64 until = mtime() + 10000000;
    while (mtime() < until) {
        if (csr_read(mip) & BIT(LCOFI)) {
            return true;
        }
    }
    return false;
}

static void test_overflow(void)
{
    quiet();
    csr_write(mhpmcounter3, -UINT64_C(20000));
    csr_write(mhpmevent3, 1);
    CHECK(wait_for_overflow(), 1);
    CHECK(csr_read(mhpmevent3), 1 | OF);
    CHECK(csr_read(scountovf), BIT(3));
    CHECK(csr_read(mhpmcounter3) < BIT(40), 1);             /* goes on behind 0 */
    CHECK(run_in(MODE_S, read_overflows, 0, 0)->a0, BIT(3));
    csr_write(mcounteren, ~BIT(3));
    CHECK(run_in(MODE_S, read_overflows, 5, 0)->a0, 0);
    CHECK(run_in(MODE_U, read_overflows, 0, 0)->cause, 2);
    CHECK(run_in(MODE_S, write_overflows, 0, 0)->cause, 2);
    csr_clear(mip, BIT(LCOFI));
    CHECK(csr_read(mip) & BIT(LCOFI), 0);
    /* Nothing more is told while the bit is set. */
    csr_write(mhpmcounter3, -UINT64_C(20000));
    for (u64 until = mtime() + 100000; mtime() < until;) {
    }
    CHECK(csr_read(mhpmcounter3) < BIT(40), 1);
    CHECK(csr_read(mip) & BIT(LCOFI), 0);
    /* One that stands still does not overflow, one that was put far back not soon. */
    quiet();
    csr_write(mhpmcounter3, -UINT64_C(20000));
    csr_write(mcountinhibit, BIT(3));
    csr_write(mhpmevent3, 1);
    csr_write(mhpmcounter4, -UINT64_C(20000000));
    csr_write(mhpmevent4, 1);
    csr_write(mhpmcounter4, 0);
    for (u64 until = mtime() + 100000; mtime() < until;) {
    }
    CHECK(csr_read(mip) & BIT(LCOFI), 0);
    CHECK(csr_read(scountovf), 0);
    csr_write(mcountinhibit, 0);
    CHECK(wait_for_overflow(), 1);
    CHECK(csr_read(scountovf), BIT(3));
}

/* mip's bit can be written; the interrupt comes after all others. */
static void test_interrupt(void)
{
    quiet();
    csr_write(mie, BIT(LCOFI) | BIT(1));
    CHECK(csr_read(mie), BIT(LCOFI) | BIT(1));
    csr_set(mip, BIT(LCOFI) | BIT(1));
    CHECK(run_in(MODE_U, spin, 0, 0)->cause, INTERRUPT | 1);
    csr_clear(mip, BIT(1));
    CHECK(run_in(MODE_U, spin, 0, 0)->cause, INTERRUPT | LCOFI);
    csr_clear(mip, BIT(LCOFI));
    for (int i = 0; i < 20; i++) {
        csr_write(mhpmcounter3, -UINT64_C(50000) - 777 * (u64)i);
        csr_write(mhpmevent3, 1);
        CHECK(run_in(i % 2 ? MODE_S : MODE_U, spin, 0, 0)->cause, INTERRUPT | LCOFI);
        CHECK(csr_read(scountovf), BIT(3));
        csr_write(mhpmevent3, 0);
        csr_clear(mip, BIT(LCOFI));
    }
    /* S-mode's own, which it clears itself. */
    csr_write(mideleg, BIT(LCOFI));
    CHECK(csr_read(mideleg), BIT(LCOFI));
    csr_write(stvec, (u64)s_vector);
    csr_write(mhpmcounter3, -UINT64_C(50000));
    csr_write(mhpmevent3, 1);
    CHECK(run_in(MODE_U, spin, 0, 0)->cause, 9);
    CHECK(csr_read(scause), INTERRUPT | LCOFI);
    csr_write(mhpmevent3, 0);
    CHECK(csr_read(sip), BIT(LCOFI));
    csr_clear(sip, BIT(LCOFI));
    CHECK(csr_read(sip), 0);
    csr_write(mideleg, 0);
    csr_set(mip, BIT(LCOFI));
    CHECK(csr_read(sip), 0);
    csr_clear(sip, BIT(LCOFI));
    CHECK(csr_read(mip) & BIT(LCOFI), BIT(LCOFI));
}

#ifndef ICOUNT
/* Cycles pass while the hart sleeps, so the interrupt wakes it. */
static void test_sleep(void)
{
    for (int i = 0; i < 10; i++) {
        quiet();
        csr_write(mie, BIT(LCOFI));
        csr_write(mhpmcounter3, -UINT64_C(2000000));
        csr_write(mhpmevent3, 1);
        CHECK(run_in(MODE_M, sleep, 0, 0)->cause, INTERRUPT | LCOFI);
    }
}
#endif

/* Only the filtered mode's cycles bring the overflow about. */
static void test_filtered_overflow(void)
{
    quiet();
    csr_write(mhpmcounter3, -UINT64_C(100000));
    csr_write(mhpmevent3, 1 | MINH | SINH);
    for (u64 until = mtime() + 20000; mtime() < until;) {
    }
    CHECK(csr_read(mip) & BIT(LCOFI), 0);
    csr_write(mie, BIT(LCOFI));
    CHECK(run_in(MODE_U, spin, 0, 0)->cause, INTERRUPT | LCOFI);
    CHECK(csr_read(mhpmevent3), 1 | MINH | SINH | OF);
}

int main(void)
{
    open_memory();
    test_registers();
    test_counting();
    test_modes();
    test_access();
    test_overflow();
    test_interrupt();
#ifndef ICOUNT
    test_sleep();
#endif
    test_filtered_overflow();
    quiet();
    print("ok\n");
    return 0;
}
