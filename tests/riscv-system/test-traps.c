/* CSRs, exceptions, interrupts, returns. */
#include "fixture.h"

#include "guest/riscv/csr.h"

#define BIT(n) (UINT64_C(1) << (n))
enum { SSTATUS = 0x100, SIE = 0x104, STVEC = 0x105, SCOUNTEREN = 0x106, SENVCFG = 0x10a, SEPC = 0x141,
       SCAUSE = 0x142, STVAL = 0x143, SIP = 0x144, STIMECMP = 0x14d, SATP = 0x180, MSTATUS = 0x300,
       MISA = 0x301, MEDELEG = 0x302, MIDELEG = 0x303, MIE = 0x304, MTVEC = 0x305,
       MCOUNTEREN = 0x306, MENVCFG = 0x30a, MCOUNTINHIBIT = 0x320, MEPC = 0x341, MCAUSE = 0x342,
       MTVAL = 0x343, MIP = 0x344, MCYCLE = 0xb00, MINSTRET = 0xb02, CYCLE = 0xc00, TIME = 0xc01,
       INSTRET = 0xc02, MHARTID = 0xf14 };

/* ---- CSRs ---- */

static void test_mstatus(void **state)
{
    uint64_t xl = BIT(33) | BIT(35);    /* UXL = SXL = 2 */
    assert_int_equal(csr_read(MSTATUS), xl);
    assert_true(csr_write(MSTATUS, ~UINT64_C(0)));
    /* SIE MIE SPIE MPIE SPP MPP FS MPRV SUM MXR TVM TW TSR, and SD for FS = dirty */
    assert_int_equal(csr_read(MSTATUS), UINT64_C(0x8000000000000000) | xl | 0x7e79aa);
    assert_int_equal(csr_read(SSTATUS), UINT64_C(0x8000000000000000) | BIT(33) | 0xc6122);
    assert_true(csr_write(MSTATUS, UINT64_C(1) << 11));
    assert_true(csr_write(MSTATUS, UINT64_C(2) << 11));     /* no such mode: stays */
    assert_int_equal(csr_read(MSTATUS) & MSTATUS_MPP, UINT64_C(1) << 11);
    assert_true(csr_write(MSTATUS, 0));
    assert_true(csr_write(SSTATUS, ~UINT64_C(0)));          /* touches its own bits alone */
    assert_int_equal(csr_read(MSTATUS), UINT64_C(0x8000000000000000) | xl | 0xc6122);
}

static void test_privilege(void **state)
{
    set_mode(RISCV_PRIV_S);
    assert_false(csr_is_legal(MSTATUS));
    assert_true(csr_is_legal(SSTATUS));
    set_mode(RISCV_PRIV_U);
    assert_false(csr_is_legal(SSTATUS));
    assert_false(csr_is_legal(SATP));
    set_mode(RISCV_PRIV_M);
    assert_int_equal(csr_read(MHARTID), 3);
    assert_false(csr_write(MHARTID, 0));
    assert_false(csr_is_legal(0x747));      /* mseccfg: not there */
    assert_false(csr_is_legal(0x200));      /* hypervisor */
    assert_int_equal(csr_read(0x7a0), 0);   /* tselect */
    /* I M A F D C S U, MXL = 2 */
    assert_int_equal(csr_read(MISA), BIT(63) | BIT(8) | BIT(12) | BIT(0) | BIT(5) | BIT(3) |
                                         BIT(2) | BIT(18) | BIT(20));
}

static void test_floating_point_off(void **state)
{
    assert_false(csr_is_legal(1));
    assert_true(csr_write(MSTATUS, BIT(13)));   /* initial */
    assert_int_equal(csr_read(2), 0);
    assert_true(csr_write(3, 0xff));
    assert_int_equal(csr_read(1), 31);
    assert_int_equal(csr_read(2), 7);
    assert_int_equal(csr_read(MSTATUS) & MSTATUS_FS, MSTATUS_FS);
    assert_true(csr_write(3, 0));
}

static void test_delegation_registers(void **state)
{
    assert_true(csr_write(MEDELEG, ~UINT64_C(0)));
    assert_int_equal(csr_read(MEDELEG) & BIT(11), 0);   /* ECALL from M cannot be */
    assert_true(csr_write(MIDELEG, ~UINT64_C(0)));
    assert_int_equal(csr_read(MIDELEG), BIT(1) | BIT(5) | BIT(9) | BIT(13));
    assert_true(csr_write(MIE, ~UINT64_C(0)));
    assert_int_equal(csr_read(MIE), 0x2aaa);
    assert_int_equal(csr_read(SIE), 0x2222);
    assert_true(csr_write(MIDELEG, BIT(1)));
    assert_int_equal(csr_read(SIE), BIT(1));
    assert_true(csr_write(SIE, 0));                     /* what is not delegated stays */
    assert_int_equal(csr_read(MIE), 0x2aaa & ~BIT(1));
}

static void test_mip(void **state)
{
    assert_true(csr_write(MIP, ~UINT64_C(0)));
    assert_int_equal(csr_read(MIP), 0x2222);
    assert_true(csr_write(MIP, 0));
    riscv_set_irq(fx.cpu, RISCV_IRQ_MTI, true);
    assert_int_equal(csr_read(MIP), BIT(7));
    assert_true(csr_write(MIP, 0));
    assert_int_equal(csr_read(MIP), BIT(7));            /* the timer's own */
    /* SEIP: what software wrote, or the controller's line. */
    assert_true(csr_set(MIP, BIT(9)));
    riscv_set_irq(fx.cpu, RISCV_IRQ_SEI, true);
    assert_true(csr_clear(MIP, BIT(9)));
    assert_int_equal(csr_read(MIP), BIT(7) | BIT(9));
    riscv_set_irq(fx.cpu, RISCV_IRQ_SEI, false);
    assert_int_equal(csr_read(MIP), BIT(7));
    /* Setting another bit does not make software's SEIP of the line. */
    riscv_set_irq(fx.cpu, RISCV_IRQ_SEI, true);
    assert_true(csr_set(MIP, BIT(1)));
    riscv_set_irq(fx.cpu, RISCV_IRQ_SEI, false);
    assert_int_equal(csr_read(MIP), BIT(7) | BIT(1));
    /* sip: SSIP and LCOFIP alone are writable, and only if delegated. */
    assert_true(csr_write(SIP, 0));
    assert_int_equal(csr_read(MIP) & BIT(1), BIT(1));
    assert_true(csr_write(MIDELEG, 0x222));
    assert_int_equal(csr_read(SIP), BIT(1));
    assert_true(csr_write(SIP, 0x220));
    assert_int_equal(csr_read(SIP), 0);
}

static void test_vectors_and_addresses(void **state)
{
    assert_true(csr_write(MTVEC, 0x1001));
    assert_true(csr_write(MTVEC, 0x2002));      /* reserved mode */
    assert_int_equal(csr_read(MTVEC), 0x1001);
    assert_true(csr_write(MEPC, 0x1003));
    assert_int_equal(csr_read(MEPC), 0x1002);
}

static void test_satp(void **state)
{
    uint64_t v = UINT64_C(8) << 60 | UINT64_C(0xffff) << 44 | 0x123;
    assert_true(csr_write(SATP, v));
    assert_int_equal(csr_read(SATP), v);
    assert_true(csr_write(SATP, UINT64_C(11) << 60));   /* no such mode: no effect */
    assert_int_equal(csr_read(SATP), v);
    set_mode(RISCV_PRIV_S);
    assert_true(csr_is_legal(SATP));
    fx.h->mstatus |= MSTATUS_TVM;
    assert_false(csr_is_legal(SATP));
    set_mode(RISCV_PRIV_M);
    assert_true(csr_is_legal(SATP));
}

static void test_counters(void **state)
{
    fx.time = 12345;
    assert_int_equal(csr_read(TIME), 12345);
    set_mode(RISCV_PRIV_S);
    assert_false(csr_is_legal(TIME));
    fx.h->mcounteren = 2;
    assert_true(csr_is_legal(TIME));
    assert_false(csr_is_legal(CYCLE));
    set_mode(RISCV_PRIV_U);
    assert_false(csr_is_legal(TIME));
    fx.h->scounteren = 7;
    assert_true(csr_is_legal(TIME));
    assert_false(csr_is_legal(INSTRET));
    set_mode(RISCV_PRIV_M);
    assert_true(csr_write(MCOUNTINHIBIT, ~UINT64_C(0)));
    assert_int_equal(csr_read(MCOUNTINHIBIT) & 7, 5);
    assert_true(csr_write(MCYCLE, 1000));
    assert_int_equal(csr_read(MCYCLE), 1000);
    assert_int_equal(csr_read(CYCLE), 1000);
    assert_true(csr_write(MCOUNTINHIBIT, 0));
    uint64_t a = csr_read(MCYCLE), b = csr_read(MCYCLE);
    assert_true(a >= 1000 && b >= a && b < UINT64_C(100000000000));
}

static void test_envcfg(void **state)
{
    assert_true(csr_write(MENVCFG, ~UINT64_C(0)));
    assert_int_equal(csr_read(MENVCFG), UINT64_C(7) << 61 | 0xf1);
    assert_true(csr_write(SENVCFG, 0xa0));      /* CBIE = 2 is reserved */
    assert_int_equal(csr_read(SENVCFG), 0x80);
    set_mode(RISCV_PRIV_U);
    assert_true(fx.h->tb_flags & RISCV_TB_CBZE);
    assert_false(fx.h->tb_flags & RISCV_TB_CBCFE);
    set_mode(RISCV_PRIV_S);
    assert_true(fx.h->tb_flags & RISCV_TB_CBCFE);
    assert_true(fx.h->tb_flags & RISCV_TB_CBIE);
}

static void test_supervisor_timer(void **state)
{
    assert_true(csr_write(MCOUNTEREN, 7));
    set_mode(RISCV_PRIV_S);
    assert_false(csr_is_legal(STIMECMP));
    set_mode(RISCV_PRIV_M);
    assert_true(csr_set(MIP, BIT(5)));          /* writable while there is no Sstc */
    assert_int_equal(csr_read(MIP), BIT(5));
    assert_true(csr_write(MIP, 0));
    assert_true(csr_set(MENVCFG, BIT(63)));
    set_mode(RISCV_PRIV_S);
    fx.time = 100;
    unsigned before = fx.timer_changes;
    assert_true(csr_write(STIMECMP, 200));
    assert_int_equal(fx.timer_changes, before + 1);
    assert_int_equal(riscv_next_timer(fx.cpu), 200);
    set_mode(RISCV_PRIV_M);
    assert_int_equal(csr_read(MIP), 0);
    fx.time = 200;
    assert_int_equal(csr_read(MIP), BIT(5));
    assert_true(csr_write(MIP, 0));
    assert_int_equal(csr_read(MIP), BIT(5));
    assert_true(csr_write(STIMECMP, 201));
    assert_int_equal(csr_read(MIP), 0);
    fx.time = UINT64_MAX - 1;
    assert_true(csr_write(STIMECMP, UINT64_MAX));
    assert_int_equal(csr_read(MIP), 0);
}

/* ---- exceptions ---- */

static void test_exception_to_machine(void **state)
{
    fx.cpu->env.pc = 0x4000;
    fx.cpu->llsc_addr = 0x80;
    assert_true(csr_write(MTVEC, 0x2001));      /* vectored: not for exceptions */
    assert_true(csr_write(MSTATUS, BIT(3)));    /* MIE */
    set_mode(RISCV_PRIV_U);
    riscv_take_exception(fx.h, 13, 0xdead);
    assert_int_equal(fx.h->priv, RISCV_PRIV_M);
    assert_int_equal(fx.cpu->env.pc, 0x2000);
    assert_int_equal(csr_read(MEPC), 0x4000);
    assert_int_equal(csr_read(MCAUSE), 13);
    assert_int_equal(csr_read(MTVAL), 0xdead);
    assert_int_equal(fx.h->mstatus, BIT(7));    /* MPIE = 1, MIE = 0, MPP = U */
    assert_int_equal(fx.cpu->llsc_addr, UINT64_MAX);
    assert_int_equal(riscv_mret(fx.h), 0x4000);
    assert_int_equal(fx.h->priv, RISCV_PRIV_U);
    assert_int_equal(fx.h->mstatus, BIT(7) | BIT(3));
}

static void test_exception_to_supervisor(void **state)
{
    assert_true(csr_write(MEDELEG, BIT(8) | BIT(13)));
    assert_true(csr_write(STVEC, 0x3000));
    assert_true(csr_write(MSTATUS, BIT(1) | BIT(5)));
    fx.cpu->env.pc = 0x5002;
    set_mode(RISCV_PRIV_U);
    riscv_take_exception(fx.h, 8, 0);
    assert_int_equal(fx.h->priv, RISCV_PRIV_S);
    assert_int_equal(fx.cpu->env.pc, 0x3000);
    assert_int_equal(csr_read(SEPC), 0x5002);
    assert_int_equal(csr_read(SCAUSE), 8);
    assert_int_equal(csr_read(STVAL), 0);
    assert_int_equal(fx.h->mstatus, BIT(5));    /* SPIE = 1, SIE = 0, SPP = U */
    riscv_take_exception(fx.h, 13, 0x77);       /* from S itself: SPP = S, SPIE = 0 */
    assert_int_equal(fx.h->mstatus, BIT(8));
    assert_int_equal(riscv_sret(fx.h), 0x3000);
    assert_int_equal(fx.h->priv, RISCV_PRIV_S);
    assert_int_equal(fx.h->mstatus, BIT(5));    /* SIE = 0, SPIE = 1, SPP = U */
    set_mode(RISCV_PRIV_M);                     /* M's own are never delegated */
    riscv_take_exception(fx.h, 13, 0);
    assert_int_equal(fx.h->priv, RISCV_PRIV_M);
    assert_int_equal((fx.h->mstatus & MSTATUS_MPP) >> 11, 3);
}

static void test_mprv_after_returns(void **state)
{
    assert_true(csr_write(MSTATUS, MSTATUS_MPRV | MSTATUS_MPP));
    riscv_mret(fx.h);
    assert_true(fx.h->mstatus & MSTATUS_MPRV);
    assert_int_equal(fx.h->priv, RISCV_PRIV_M);
    riscv_mret(fx.h);                           /* MPP is U by now */
    assert_false(fx.h->mstatus & MSTATUS_MPRV);
    assert_int_equal(fx.h->priv, RISCV_PRIV_U);
}

/* ---- interrupts ---- */

static void raise_all(void)
{
    static const unsigned irqs[] = {1, 3, 5, 7, 9, 11};
    for (size_t i = 0; i < 6; i++) {
        riscv_set_irq(fx.cpu, irqs[i], true);
    }
    assert_true(csr_write(MIE, 0xaaa));
}

static void test_interrupt_priority(void **state)
{
    static const int order[] = {11, 3, 7, 9, 1, 5};     /* MEI MSI MTI SEI SSI STI */
    raise_all();
    assert_int_equal(riscv_find_interrupt(fx.h), -1);   /* MIE = 0 in M-mode */
    assert_true(csr_set(MSTATUS, BIT(3)));
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(riscv_find_interrupt(fx.h), order[i]);
        riscv_set_irq(fx.cpu, (unsigned)order[i], false);
    }
    assert_int_equal(riscv_find_interrupt(fx.h), -1);
}

static void test_interrupt_modes(void **state)
{
    raise_all();
    assert_true(csr_write(MIDELEG, 0x222));
    assert_true(csr_write(MIE, 0x222));
    assert_true(csr_write(MSTATUS, BIT(3) | BIT(1)));
    assert_int_equal(riscv_find_interrupt(fx.h), -1);   /* delegated ones are masked in M */
    set_mode(RISCV_PRIV_S);
    assert_int_equal(riscv_find_interrupt(fx.h), 9);
    fx.h->mstatus &= ~BIT(1);
    assert_int_equal(riscv_find_interrupt(fx.h), -1);   /* SIE = 0 in S */
    set_mode(RISCV_PRIV_U);
    assert_int_equal(riscv_find_interrupt(fx.h), 9);    /* always enabled below */
    fx.h->mstatus &= ~BIT(3);
    __atomic_store_n(&fx.h->mie, 0xaaa, __ATOMIC_RELAXED);
    assert_int_equal(riscv_find_interrupt(fx.h), 11);   /* M's come first */
}

static void test_interrupt_vectored(void **state)
{
    assert_true(csr_write(MIDELEG, 0x222));
    assert_true(csr_write(MIE, 0xaaa));
    assert_true(csr_write(STVEC, 0x3001));
    assert_true(csr_write(MTVEC, 0x4001));
    fx.cpu->env.pc = 0x6000;
    set_mode(RISCV_PRIV_U);
    riscv_set_irq(fx.cpu, 5, true);
    assert_true(riscv_take_interrupt(fx.h));
    assert_int_equal(fx.cpu->env.pc, 0x3000 + 4 * 5);
    assert_int_equal(csr_read(SCAUSE), BIT(63) | 5);
    assert_int_equal(csr_read(SEPC), 0x6000);
    assert_false(riscv_take_interrupt(fx.h));           /* SIE = 0 now */
    riscv_set_irq(fx.cpu, 7, true);
    assert_true(riscv_take_interrupt(fx.h));
    assert_int_equal(fx.cpu->env.pc, 0x4000 + 4 * 7);
    assert_int_equal(csr_read(MCAUSE), BIT(63) | 7);
    assert_int_equal((fx.h->mstatus & MSTATUS_MPP) >> 11, 1);
}

/* Whatever makes an interrupt deliverable kicks the hart. */
static void test_kicks(void **state)
{
    unsigned n = fx.kicks;
    riscv_set_irq(fx.cpu, 7, true);
    assert_int_equal(fx.kicks, n + 1);
    assert_int_equal(fx.wakes, 1);
    riscv_set_irq(fx.cpu, 7, true);                     /* no edge */
    assert_int_equal(fx.wakes, 1);
    n = fx.kicks;
    assert_false(riscv_has_work(fx.cpu));
    assert_true(csr_write(MIE, BIT(7)));
    assert_true(riscv_has_work(fx.cpu));                /* whatever MIE says */
    assert_int_equal(fx.kicks, n);
    assert_true(csr_set(MSTATUS, BIT(3)));
    assert_int_equal(fx.kicks, n + 1);
    assert_true(csr_write(MSTATUS, BIT(7)));            /* MPIE; MPP = U */
    n = fx.kicks;
    riscv_mret(fx.h);
    assert_int_equal(fx.kicks, n + 1);
}

static void test_hand_over(void **state)
{
    riscv_reset_hart(fx.cpu, 0x80200000, 3, 0x88000000, RISCV_PRIV_S);
    assert_int_equal(fx.h->priv, RISCV_PRIV_S);
    assert_int_equal(fx.cpu->env.pc, 0x80200000);
    assert_int_equal(fx.cpu->env.reg[10], 3);
    assert_int_equal(fx.cpu->env.reg[11], 0x88000000);
    assert_int_equal(csr_read(SATP), 0);
    assert_int_equal(csr_read(SIE), 0);
    assert_true(csr_write(SIE, ~UINT64_C(0)));
    assert_int_equal(csr_read(SIE), 0x2222);
    assert_true(csr_is_legal(TIME));
    assert_true(csr_write(STIMECMP, 5));
    set_mode(RISCV_PRIV_U);
    assert_true(csr_is_legal(TIME));    /* the kernel's vDSO counts on it */
    set_mode(RISCV_PRIV_S);
    MMUResult r;
    assert_true(riscv_mmu_translate(fx.cpu, 0x80200000, MMU_STORE, RISCV_MMU_S, &r));
    /* A device's line is no part of the hart. */
    riscv_set_irq(fx.cpu, 3, true);
    riscv_set_irq(fx.cpu, 9, true);
    riscv_set_irq(fx.cpu, 1, true);
    riscv_reset_hart(fx.cpu, 0, 0, 0, RISCV_PRIV_M);
    assert_int_equal(csr_read(MIP), BIT(3) | BIT(9));
    riscv_reset_hart(fx.cpu, 0, 0, 0, RISCV_PRIV_S);
    /* ECALL stays with the firmware. */
    riscv_take_exception(fx.h, 9, 0);
    assert_int_equal(fx.h->priv, RISCV_PRIV_M);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_hart, teardown_hart)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_mstatus), T(test_privilege), T(test_floating_point_off),
        T(test_delegation_registers), T(test_mip), T(test_vectors_and_addresses), T(test_satp),
        T(test_counters), T(test_envcfg), T(test_supervisor_timer),
        T(test_exception_to_machine), T(test_exception_to_supervisor),
        T(test_mprv_after_returns), T(test_interrupt_priority), T(test_interrupt_modes),
        T(test_interrupt_vectored), T(test_kicks), T(test_hand_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
