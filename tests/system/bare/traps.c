/* Exceptions: cause, epc, tval, the mode they are taken from and to. */
#include "bare.h"

void (*hart_main)(u64);

#define MSTATUS_MPP(s) ((s) >> 11 & 3)
#define FS_OFF(s) csr_clear(mstatus, 3 << 13)

CODE(illegal32, "nop\n1: .4byte 0xffffffff");
CODE(illegal16, "nop\n1: .2byte 0");
CODE(do_ecall, "nop\n1: ecall");
CODE(do_ebreak, "1: .option push\n.option norvc\nebreak\n.option pop");
CODE(do_c_ebreak, "1: c.ebreak");
CODE(do_mret, "1: mret");
CODE(do_sret, "1: sret");
CODE(do_wfi, "1: wfi\necall");
CODE(do_sfence, "1: sfence.vma\necall");
CODE(do_fence_i, "1: fence.i\necall");
CODE(read_satp, "1: csrr a0, satp\necall");
CODE(read_mstatus, "1: csrr a0, mstatus\necall");
CODE(read_time, "1: csrr a0, time\necall");
CODE(write_cycle, "1: csrw cycle, a0\necall");
CODE(read_none, "1: csrr a0, 0x5c0\necall");
CODE(set_sstatus, "1: csrs sstatus, a0\necall");
CODE(load_a0, "1: ld a0, 0(a0)\necall");
CODE(store_a0, "1: sd a1, 0(a0)\necall");
CODE(jump_a0, "1: jr a0");
CODE(amo_a0, "1: amoadd.d a1, a1, (a0)\necall");
CODE(lr_a0, "1: lr.d a1, (a0)\necall");
CODE(sc_a0, "1: sc.d a1, a1, (a0)\necall");
CODE(fp_move, "1: fmv.d.x fa0, a0\necall");
CODE(fp_store, "1: fsd fa0, 0(a0)\necall");
CODE(fp_compressed, "1: c.fld fa0, 0(a0)\necall");
CODE(fp_flags, "1: csrr a0, fflags\necall");
/* three instructions before, two that must not happen behind */
CODE(fault_in_middle, "addi a1, a1, 1\naddi a1, a1, 1\nmv t1, a0\n1: ld t1, 0(t1)\naddi a1, a1, 64\necall");
CODE(lr_trap, "lr.d t0, (a0)\n1: ecall");
CODE(sc_after, "1: sc.d a0, a1, (a0)\necall");

static u64 cell[4] __attribute__((aligned(64)));

static const Area *expect(int line, u64 mode, const void *fn, const void *at, u64 a0, u64 cause)
{
    const Area *r = run_in(mode, fn, a0, 0x1234);
    if (r->cause != cause) {
        check_failed(line, "mcause", r->cause, cause);
    }
    if (r->epc != (u64)at) {
        check_failed(line, "mepc", r->epc, (u64)at);
    }
    if (MSTATUS_MPP(r->status) != mode) {
        check_failed(line, "MPP", MSTATUS_MPP(r->status), mode);
    }
    return r;
}
#define EXPECT(mode, fn, a0, cause) expect(__LINE__, mode, fn, fn##_at, (u64)(a0), cause)
/* Runs to its ECALL. */
#define EXPECT_OK(mode, fn, a0) CHECK(run_in(mode, fn, (u64)(a0), 0)->cause, 8 + (mode))

static void test_illegal(void)
{
    for (u64 mode = MODE_U; mode <= MODE_M; mode += mode + 1) {
        CHECK(EXPECT(mode, illegal32, 0, 2)->tval, 0xffffffff);
        CHECK(EXPECT(mode, illegal16, 0, 2)->tval, 0);
        CHECK(EXPECT(mode, do_ecall, 0, 8 + mode)->tval, 0);
        EXPECT(mode, do_ebreak, 0, 3);
        EXPECT(mode, do_c_ebreak, 0, 3);
        CHECK(EXPECT(mode, read_none, 0, 2)->tval, 0x5c002573);
        EXPECT(mode, write_cycle, 0, 2);
        EXPECT_OK(mode, do_fence_i, 0);
    }
}

static void test_privileged(void)
{
    EXPECT(MODE_U, do_mret, 0, 2);
    EXPECT(MODE_S, do_mret, 0, 2);
    CHECK(EXPECT(MODE_U, do_sret, 0, 2)->tval, 0x10200073);
    EXPECT(MODE_U, do_sfence, 0, 2);
    EXPECT(MODE_U, read_satp, 0, 2);
    EXPECT(MODE_U, read_mstatus, 0, 2);
    EXPECT(MODE_S, read_mstatus, 0, 2);
    EXPECT_OK(MODE_S, do_sfence, 0);
    EXPECT_OK(MODE_S, read_satp, 0);
    csr_set(mstatus, 1 << 20); /* TVM */
    CHECK(EXPECT(MODE_S, do_sfence, 0, 2)->tval, 0x12000073);
    EXPECT(MODE_S, read_satp, 0, 2);
    EXPECT_OK(MODE_M, read_satp, 0);
    csr_clear(mstatus, 1 << 20);
    csr_set(mstatus, 1 << 22); /* TSR */
    EXPECT(MODE_S, do_sret, 0, 2);
    csr_clear(mstatus, 1 << 22);
    csr_set(mstatus, 1 << 21); /* TW */
    EXPECT(MODE_S, do_wfi, 0, 2);
    csr_clear(mstatus, 1 << 21);
    csr_write(mcounteren, 0);
    EXPECT(MODE_S, read_time, 0, 2);
    csr_write(mcounteren, 2);
    csr_write(scounteren, 0);
    EXPECT_OK(MODE_S, read_time, 0);
    EXPECT(MODE_U, read_time, 0, 2);
    csr_write(scounteren, 2);
    EXPECT_OK(MODE_U, read_time, 0);
}

static void test_access_faults(void)
{
    u64 nowhere = 0x1000000000;
    CHECK(EXPECT(MODE_S, load_a0, nowhere, 5)->tval, nowhere);
    CHECK(EXPECT(MODE_S, store_a0, nowhere, 7)->tval, nowhere);
#ifndef QEMU_7_2    /* says 5 */
    CHECK(EXPECT(MODE_M, amo_a0, nowhere, 7)->tval, nowhere);
#endif
    CHECK(EXPECT(MODE_M, lr_a0, nowhere, 5)->tval, nowhere);
    const Area *r = run_in(MODE_S, jump_a0, nowhere, 0);
    CHECK(r->cause, 1);
    CHECK(r->epc, nowhere);
    CHECK(r->tval, nowhere);
    r = EXPECT(MODE_U, fault_in_middle, nowhere, 5);
    CHECK(r->a1, 0x1236);
    CHECK(r->a0, nowhere);
}

static void test_misaligned_atomics(void)
{
    u64 at = (u64)cell + 4;
#ifndef QEMU_7_2    /* says 4 */
    CHECK(EXPECT(MODE_S, amo_a0, at, 6)->tval, at);
    CHECK(EXPECT(MODE_S, sc_a0, at, 6)->tval, at);
#endif
    CHECK(EXPECT(MODE_S, lr_a0, at, 4)->tval, at);
}

static void test_floating_point(void)
{
    csr_clear(mstatus, 3 << 13);
    for (u64 mode = MODE_U; mode <= MODE_M; mode += mode + 1) {
        CHECK(EXPECT(mode, fp_move, 0, 2)->tval, 0xf2050553);
        EXPECT(mode, fp_store, cell, 2);
        CHECK(EXPECT(mode, fp_compressed, cell, 2)->tval, 0x2108);
        EXPECT(mode, fp_flags, cell, 2);
    }
    csr_set(mstatus, 1 << 13); /* Initial */
    EXPECT_OK(MODE_U, fp_store, cell);
    CHECK(csr_read(mstatus) >> 13 & 3, 1);
    EXPECT_OK(MODE_U, fp_move, 77);
    CHECK(csr_read(mstatus) >> 13 & 3, 3);
    CHECK(csr_read(mstatus) >> 63, 1);
    EXPECT_OK(MODE_U, fp_store, cell);
    CHECK(cell[0], 77);
    csr_clear(mstatus, 3 << 13);
    csr_set(mstatus, 2 << 13); /* Clean */
    EXPECT_OK(MODE_S, fp_flags, 0);
    CHECK(csr_read(mstatus) >> 63, 0);
    EXPECT_OK(MODE_S, fp_compressed, cell);
    CHECK(csr_read(mstatus) >> 13 & 3, 3);
    csr_clear(mstatus, 3 << 13);
}

/* An exception that is delegated ends in S-mode, whose vector calls M-mode. */
static void test_delegation(void)
{
    csr_write(medeleg, 1 << 8 | 1 << 2 | 1 << 5);
    csr_write(stvec, s_vector);
    const Area *r = run_in(MODE_U, do_ecall, 0, 0);
    CHECK(r->cause, 9);
    CHECK(csr_read(scause), 8);
    CHECK(csr_read(sepc), (u64)do_ecall_at);
    CHECK(csr_read(stval), 0);
    CHECK(r->status >> 8 & 1, 0);
    r = run_in(MODE_U, illegal32, 0, 0);
    CHECK(csr_read(scause), 2);
    CHECK(csr_read(stval), 0xffffffff);
    csr_set(mstatus, 2); /* SIE */
    r = run_in(MODE_S, load_a0, 0x1000000000, 0);
    CHECK(r->cause, 9);
    CHECK(csr_read(scause), 5);
    CHECK(csr_read(stval), 0x1000000000);
    CHECK(r->status >> 8 & 1, 1);   /* SPP */
    CHECK(r->status >> 5 & 1, 1);   /* SPIE */
    CHECK(r->status >> 1 & 1, 0);   /* SIE */
    csr_clear(mstatus, 2);
    EXPECT(MODE_M, load_a0, 0x1000000000, 5);   /* not from M-mode */
    EXPECT(MODE_U, do_ebreak, 0, 3);            /* not delegated */
    csr_write(medeleg, 0);
}

/* A trap and a return take the reservation. */
static void test_reservation(void)
{
    cell[0] = 5;
    EXPECT_OK(MODE_S, lr_trap, cell);
    const Area *r = run_in(MODE_S, sc_after, (u64)cell, 6);
    CHECK(r->a0, 1);
    CHECK(cell[0], 5);
}

static void test_sstatus(void)
{
    csr_clear(mstatus, 0x7e79aa);
    EXPECT_OK(MODE_S, set_sstatus, ~UINT64_C(0));
    CHECK(csr_read(mstatus) & 0x5e19aa & ~(3 << 11) & ~(1 << 7), 0xc0122);
#ifndef QEMU_7_2    /* keeps UXL = 3, which is reserved, although a WARL field holds only legal values */
    CHECK(csr_read(sstatus) >> 32 & 3, 2);
#endif
    csr_clear(sstatus, ~UINT64_C(0));
}

int main(void)
{
    open_memory();
    test_illegal();
    test_privileged();
    test_access_faults();
    test_misaligned_atomics();
    test_floating_point();
    test_delegation();
    test_reservation();
    test_sstatus();
    print("ok\n");
    return 0;
}
