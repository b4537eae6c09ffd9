/* Interrupts: when they are taken, where they lead, what WFI makes of them; timers. */
#include "bare.h"

void (*hart_main)(u64);

enum { SSI = 1, MSI = 3, STI = 5, MTI = 7, SEI = 9, MEI = 11 };
#define BIT(n) (UINT64_C(1) << (n))
#define SIE BIT(1)
#define SPIE BIT(5)
#define SPP BIT(8)
#define MIE BIT(3)

/* Each is interrupted exactly at label 1. */
CODE(enable_imm, "csrsi sstatus, 2\n1: addi a0, a0, 1\necall");
CODE(enable_reg, "li t0, 2\ncsrs sstatus, t0\n1: addi a0, a0, 1\necall");
CODE(enable_write, "csrr t0, sstatus\nori t0, t0, 2\ncsrw sstatus, t0\n1: addi a0, a0, 1\necall");
CODE(enable_sie, "csrsi sstatus, 2\nli t0, 2\ncsrs sie, t0\n1: addi a0, a0, 1\necall");
CODE(raise_own, "csrsi sstatus, 2\ncsrsi sip, 2\n1: addi a0, a0, 1\necall");
CODE(enable_sret, "la t0, 1f\ncsrw sepc, t0\nli t0, 0x120\ncsrs sstatus, t0\nsret\naddi a0, a0, 64\n"
                  "1: addi a0, a0, 1\necall");
/* It comes while interrupts are off, and the hart has seen that. */
CODE(enable_seen, "2: csrr t0, sip\nandi t0, t0, 32\nbeqz t0, 2b\ncsrsi sstatus, 2\n1: addi a0, a0, 1\necall");
CODE(clear_first, "csrci sip, 2\ncsrsi sstatus, 2\n1: addi a0, a0, 1\necall");
/* Where an interrupt comes in an endless loop nobody knows. */
CODE(spin, "1: j 1b");
CODE(spin_blocks, "1: addi a0, a0, 1\nbeqz zero, 2f\nnop\n2: andi t0, a0, 1\nbeqz t0, 1b\nj 1b");
CODE(spin_indirect, "la t0, 1f\n1: addi a0, a0, 1\njr t0");
CODE(do_wfi, "wfi\n1: addi a0, a0, 1\necall");
CODE(m_enable, "csrsi mstatus, 8\n1: addi a0, a0, 1\necall");
CODE(m_enable_mret, "la t0, 1f\ncsrw mepc, t0\nli t0, 0x1880\ncsrs mstatus, t0\nmret\n1: addi a0, a0, 1\necall");

static void quiet(void)
{
    csr_write(mie, 0);
    csr_write(mideleg, 0);
    csr_write(mip, 0);
    csr_clear(mstatus, SIE | MIE | SPIE | SPP | BIT(7));
    *msip(0) = 0;
    *mtimecmp(0) = ~UINT64_C(0);
}

/* Into S-mode with a delegated SSI pending; it must be taken at fn's label 1. */
static void expect_ssi(int line, const void *fn, const void *at)
{
    quiet();
    csr_write(mideleg, BIT(SSI));
    csr_write(mie, BIT(SSI));
    csr_write(stvec, (u64)s_vector_numbered + 1);
    if (fn != raise_own) {
        csr_set(mip, BIT(SSI));
    }
    if (fn == enable_sie) {
        csr_write(mie, 0);
    }
    const Area *r = run_in(MODE_S, fn, 5, 99);
    if (r->cause != 9 || r->a0 != 5) {
        check_failed(line, "mcause", r->cause, 9);
    }
    if (r->a1 != SSI) {
        check_failed(line, "vector entry", r->a1, SSI);
    }
    if (csr_read(sepc) != (u64)at) {
        check_failed(line, "sepc", csr_read(sepc), (u64)at);
    }
    if (csr_read(scause) != (INTERRUPT | SSI)) {
        check_failed(line, "scause", csr_read(scause), INTERRUPT | SSI);
    }
}
#define EXPECT_SSI(fn) expect_ssi(__LINE__, fn, fn##_at)

static void test_exact(void)
{
    for (int i = 0; i < 50; i++) {      /* also when it is translated and chained */
        EXPECT_SSI(enable_imm);
        EXPECT_SSI(enable_reg);
        EXPECT_SSI(enable_write);
        EXPECT_SSI(enable_sie);
        EXPECT_SSI(raise_own);
        EXPECT_SSI(enable_sret);
    }
    CHECK(csr_read(sstatus) & SPP, SPP);
    quiet();
    csr_write(mideleg, BIT(SSI));
    csr_write(mie, BIT(SSI));
    csr_set(mip, BIT(SSI));
    const Area *r = run_in(MODE_S, clear_first, 5, 0);
    CHECK(r->cause, 9);
    CHECK(r->a0, 6);                    /* cleared in time */
    csr_set(mip, BIT(SSI));
    csr_write(stvec, (u64)s_vector);    /* below S-mode it is always enabled */
    r = run_in(MODE_U, spin, 0, 0);
    CHECK(r->cause, 9);
    CHECK(csr_read(sepc), (u64)spin);
    CHECK(csr_read(scause), INTERRUPT | SSI);
}

static void test_machine_exact(void)
{
    quiet();
    csr_write(mie, BIT(SSI));
    csr_set(mip, BIT(SSI));
    const Area *r = run_in(MODE_M, m_enable, 5, 0);
    CHECK(r->cause, INTERRUPT | SSI);
    CHECK(r->epc, (u64)m_enable_at);
    CHECK(r->a0, 5);
    csr_clear(mstatus, MIE | BIT(7));
    r = run_in(MODE_M, m_enable_mret, 5, 0);
    CHECK(r->cause, INTERRUPT | SSI);
    CHECK(r->epc, (u64)m_enable_mret_at);
    quiet();
}

static void test_priority(void)
{
#ifdef QEMU_7_2
    return;     /* it takes the lowest number first */
#endif
    static const int order[] = {MSI, MTI, SEI, SSI, STI};
    quiet();
    csr_write(mie, 0xaaa);
    csr_write(mip, BIT(SEI) | BIT(SSI) | BIT(STI));
    *msip(0) = 1;
    *mtimecmp(0) = 0;
    while ((csr_read(mip) & (BIT(MSI) | BIT(MTI))) != (BIT(MSI) | BIT(MTI))) {
    }
    for (int i = 0; i < 5; i++) {
        const Area *r = run_in(MODE_U, spin, 0, 0);
        CHECK(r->cause, INTERRUPT | (u64)order[i]);
        CHECK(r->epc, (u64)spin);
        CHECK(r->status >> 11 & 3, MODE_U);
        csr_clear(mie, BIT(order[i]));
    }
    quiet();
}

static void test_timer(void)
{
    static const char *const loops[] = {spin, spin_blocks, spin_indirect};
    static const char *const ends[] = {spin_at, spin_blocks_at, spin_indirect_at};
    quiet();
    for (int i = 0; i < 30; i++) {
        u64 before = mtime();
        csr_write(mie, BIT(MTI));
        *mtimecmp(0) = before + 2000;
        const Area *r = run_in(MODE_S, loops[i % 3], 0, 0);
        CHECK(r->cause, INTERRUPT | MTI);
        CHECK(r->epc >= (u64)loops[i % 3] && r->epc < (u64)ends[i % 3] + 20, 1);
        CHECK(mtime() >= before + 2000, 1);
        *mtimecmp(0) = ~UINT64_C(0);    /* never */
        CHECK(csr_read(mip) & BIT(MTI), 0);
    }
    quiet();
}

CODE(count_two, ".option push\n.option norvc\n1: addi a0, a0, 1\naddi a1, a1, 1\nj 1b\n.option pop");

/* In a loop that never leaves generated code: epc and registers are of one moment, and it is not late. */
static void test_exact_in_loop(void)
{
    u64 soonest = ~UINT64_C(0);
    quiet();
    csr_write(mie, BIT(MTI));
    for (int i = 0; i < 40; i++) {
        u64 when = mtime() + 3000 + 77 * (u64)i;
        *mtimecmp(0) = when;
        const Area *r = run_in(MODE_U, count_two, 0, 0);
        u64 late = mtime() - when;
        soonest = late < soonest ? late : soonest;
        CHECK(r->cause, INTERRUPT | MTI);
        CHECK(r->epc >= (u64)count_two && r->epc <= (u64)count_two + 8, 1);
        CHECK(r->a0 - r->a1, r->epc == (u64)count_two + 4);
    }
    CHECK(soonest < 100000, 1);         /* 10 ms */
    quiet();
}

static void test_supervisor_timer(void)
{
    quiet();
    csr_write(mcounteren, 7);
    csr_set(0x30a, BIT(63));
    csr_write(mideleg, BIT(STI));
    csr_write(mie, BIT(STI));
    csr_write(stvec, (u64)s_vector);
    for (int i = 0; i < 30; i++) {
        u64 when = csr_read(time) + 2000;
        csr_write(0x14d, when);
        u64 early = csr_read(mip);
        if (csr_read(time) < when) {
            CHECK(early & BIT(STI), 0);
        }
        const Area *r = run_in(MODE_U, spin_blocks, 0, 0);
        CHECK(r->cause, 9);
        CHECK(csr_read(scause), INTERRUPT | STI);
        CHECK(csr_read(time) >= when, 1);
        CHECK(csr_read(mip) & BIT(STI), BIT(STI));
        csr_write(0x14d, ~UINT64_C(0));
        CHECK(csr_read(mip) & BIT(STI), 0);
    }
    for (int i = 0; i < 60; i++) {
        csr_write(0x14d, csr_read(time) + (i % 3 ? 500 : 0));
        const Area *r = run_in(MODE_S, enable_seen, 5, 0);
        CHECK(r->cause, 9);
        CHECK(r->a0, 5);
        CHECK(csr_read(sepc), (u64)enable_seen_at);
        CHECK(csr_read(scause), INTERRUPT | STI);
        csr_write(0x14d, ~UINT64_C(0));
    }
    csr_write(0x14d, 0);                /* in the past */
    CHECK(csr_read(mip) & BIT(STI), BIT(STI));
    csr_write(0x14d, ~UINT64_C(0));
    csr_clear(0x30a, BIT(63));
    quiet();
}

/* WFI ends for an enabled interrupt even if interrupts are off, and at once if it is pending. */
static void test_wfi(void)
{
    quiet();
    csr_write(mie, BIT(MTI));
    for (int i = 0; i < 20; i++) {
        u64 when = mtime() + (i % 4 ? 5000 : 0);
        *mtimecmp(0) = when;
        asm volatile("wfi");
        while (!(csr_read(mip) & BIT(MTI))) {       /* it may end for nothing */
            asm volatile("wfi");
        }
        CHECK(mtime() >= when, 1);
    }
    *mtimecmp(0) = ~UINT64_C(0);
    /* From S-mode, interrupts to M-mode are on: taken behind the WFI. */
    *mtimecmp(0) = mtime() + 5000;
    const Area *r = run_in(MODE_S, do_wfi, 5, 0);
    CHECK(r->cause, INTERRUPT | MTI);
    CHECK(r->epc == (u64)do_wfi_at || r->epc == (u64)do_wfi, 1);
    quiet();
    csr_write(mideleg, BIT(SSI));
    csr_write(mie, BIT(SSI));
    csr_set(mip, BIT(SSI));
    r = run_in(MODE_S, do_wfi, 5, 0);               /* SIE = 0 */
    CHECK(r->cause, 9);
    CHECK(r->a0, 6);
    quiet();
}

static void test_counters(void)
{
    u64 a = csr_read(time), b = csr_read(time);
    CHECK(b >= a, 1);
    CHECK(mtime() - b < 10000000, 1);
    csr_set(0x320, 5);
    csr_write(mcycle, 100);
    csr_write(minstret, 200);
    CHECK(csr_read(mcycle), 100);
    CHECK(csr_read(minstret), 200);
    csr_clear(0x320, 5);
    a = csr_read(mcycle);
    b = csr_read(mcycle);
    CHECK(a >= 100 && b >= a, 1);
}

int main(void)
{
    open_memory();
    test_exact();
    test_machine_exact();
    test_priority();
    test_timer();
    test_exact_in_loop();
    test_supervisor_timer();
    test_wfi();
    test_counters();
    print("ok\n");
    return 0;
}
