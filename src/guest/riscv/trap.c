/* SPDX-License-Identifier: MIT
 *
 * Exceptions, interrupts, and the way back from them (Privileged ISA, "Machine-Mode Privileged
 * Software Interface": traps; "Supervisor-Level ISA").
 *
 * All on the hart's own thread, but riscv_get_mip() and riscv_find_interrupt(), which others may use as a hint.
 * An interrupt is looked for when the hart was kicked, and when the hart itself has done
 * something that might make one deliverable: a write to a CSR that says so, a return
 * from a trap.  Then the hart kicks itself, and a POLL or the run loop follows, so that it is
 * taken before the next instruction.
 *
 * The supervisor timer of Sstc is no bit: whoever looks compares stimecmp with the time.  Whether an interrupt is to be
 * taken is asked much more often than the timer fires, and reading the clock costs more than the rest: that
 * asks only if `timer_due` says that it may have fired.
 */
#include <inttypes.h>

#include "exec/exec.h"
#include "guest/riscv/hart.h"
#include "util/log.h"

/* Descending priority. */
static const uint8_t priority[] = {RISCV_IRQ_MEI, RISCV_IRQ_MSI, RISCV_IRQ_MTI,
                                   RISCV_IRQ_SEI, RISCV_IRQ_SSI, RISCV_IRQ_STI,
                                   RISCV_IRQ_LCOFI};

static uint64_t get_mip(RISCVHart *h, bool may_be_due)
{
    /* [MIP] pairs with riscv_set_irq(): what the interrupt tells of is seen by its handler. */
    uint64_t mip = __atomic_load_n(&h->mip, __ATOMIC_ACQUIRE);
    mip |= __atomic_load_n(&h->seip_soft, __ATOMIC_RELAXED);
    if (__atomic_load_n(&h->menvcfg, __ATOMIC_RELAXED) & MENVCFG_STCE) {
        uint64_t when = __atomic_load_n(&h->stimecmp, __ATOMIC_RELAXED);
        mip &= ~MIP_BIT(RISCV_IRQ_STI);
        if (may_be_due && when != UINT64_MAX && riscv_system.config.time() >= when) {
            mip |= MIP_BIT(RISCV_IRQ_STI);
            /* Who has seen it is interrupted as soon as that is enabled. */
            __atomic_store_n(&h->timer_due, true, __ATOMIC_RELAXED);
        }
    }
    return mip;
}

uint64_t riscv_get_mip(RISCVHart *h) { return get_mip(h, true); }

static int most_urgent(uint64_t due)
{
    for (size_t i = 0; due && i < sizeof(priority); i++) {
        if (due & MIP_BIT(priority[i])) {
            return priority[i];
        }
    }
    return -1;
}

/* All priorities of the AIA are the default ones, so the number that is shown is 1 ("Machine-level CSRs"). */
uint64_t riscv_top_interrupt(RISCVHart *h, bool machine)
{
    uint64_t pending = riscv_get_mip(h) & __atomic_load_n(&h->mie, __ATOMIC_RELAXED);
    int irq = most_urgent(pending & (machine ? ~h->mideleg : h->mideleg));
    return irq < 0 ? 0 : (uint64_t)irq << 16 | 1;
}

int riscv_find_interrupt(RISCVHart *h)
{
    uint64_t mie = __atomic_load_n(&h->mie, __ATOMIC_RELAXED);
    /* Under icount the time is not a thread's to watch. */
    bool may_be_due = __atomic_load_n(&h->timer_due, __ATOMIC_RELAXED) || riscv_system.config.icount;
    uint64_t pending = mie ? get_mip(h, may_be_due) & mie : 0;
    if (!pending) {
        return -1;
    }
    bool m_enabled = h->priv < RISCV_PRIV_M || (h->mstatus & MSTATUS_MIE);
    bool s_enabled = h->priv < RISCV_PRIV_S ||
                     (h->priv == RISCV_PRIV_S && (h->mstatus & MSTATUS_SIE));
    uint64_t machine = m_enabled ? pending & ~h->mideleg : 0;
    /* An interrupt for M-mode comes before all that are delegated. */
    uint64_t due = machine ? machine : s_enabled ? pending & h->mideleg : 0;
    return most_urgent(due);
}

static const char *exception_name(uint64_t cause)
{
    static const char *const exceptions[16] = {
        "misaligned fetch",   "fetch access fault", "illegal instruction",
        "breakpoint",         "misaligned load",    "load access fault",
        "misaligned store",   "store access fault", "ecall from U",
        "ecall from S",       "exception 10",       "ecall from M",
        "fetch page fault",   "load page fault",    "exception 14",
        "store page fault"};
    static const char *const interrupts[16] = {
        [RISCV_IRQ_SSI] = "supervisor software", [RISCV_IRQ_MSI] = "machine software",
        [RISCV_IRQ_STI] = "supervisor timer",    [RISCV_IRQ_MTI] = "machine timer",
        [RISCV_IRQ_SEI] = "supervisor external", [RISCV_IRQ_MEI] = "machine external",
        [RISCV_IRQ_LCOFI] = "counter overflow"};
    const char *name = cause & CAUSE_INTERRUPT ? interrupts[cause & 15] : exceptions[cause & 15];
    return name ? name : "unknown";
}

static void log_trap(RISCVHart *h, uint64_t cause, uint64_t tval, unsigned to)
{
    FILE *out = log_lock();
    fprintf(out,
            "Trap: hart %" PRIu64 " %c->%c %s %" PRIu64 " (%s) epc 0x%" PRIx64 " tval 0x%" PRIx64 "\n",
            h->mhartid, "US?M"[h->priv], "US?M"[to],
            cause & CAUSE_INTERRUPT ? "interrupt" : "exception", cause & ~CAUSE_INTERRUPT,
            exception_name(cause), hart_cpu(h)->env.pc, tval);
    log_unlock();
}

/* Where a trap vector sends this cause. */
static vaddr vector(uint64_t tvec, uint64_t cause)
{
    vaddr base = tvec & ~UINT64_C(3);
    bool vectored = (tvec & 3) == 1 && (cause & CAUSE_INTERRUPT);
    return vectored ? base + 4 * (cause & ~CAUSE_INTERRUPT) : base;
}

/* Write `priv`'s trap registers and go there. */
static void enter_trap(RISCVHart *h, uint64_t cause, uint64_t tval, unsigned to)
{
    CPUState *cpu = hart_cpu(h);
    if (log_enabled(LOG_INT)) {
        log_trap(h, cause, tval, to);
    }
    uint64_t s = h->mstatus;
    if (to == RISCV_PRIV_S) {
        h->sepc = cpu->env.pc;
        h->scause = cause;
        h->stval = tval;
        s &= ~(MSTATUS_SPIE | MSTATUS_SPP);
        s |= s & MSTATUS_SIE ? MSTATUS_SPIE : 0;
        s |= h->priv == RISCV_PRIV_S ? MSTATUS_SPP : 0;
        s &= ~MSTATUS_SIE;
        cpu->env.pc = vector(h->stvec, cause);
    } else {
        h->mepc = cpu->env.pc;
        h->mcause = cause;
        h->mtval = tval;
        s &= ~(MSTATUS_MPIE | MSTATUS_MPP);
        s |= s & MSTATUS_MIE ? MSTATUS_MPIE : 0;
        s |= (uint64_t)h->priv << MSTATUS_MPP_SHIFT;
        s &= ~MSTATUS_MIE;
        cpu->env.pc = vector(h->mtvec, cause);
    }
    h->mstatus = s;
    h->priv = (uint8_t)to;
    cpu->llsc_addr = UINT64_MAX;
    riscv_hart_changed(h);
}

void riscv_count_trapped(RISCVHart *h)
{
    if (riscv_system.config.icount) {
        hart_cpu(h)->env.insns_left--;
        h->untired++;
    }
}

void riscv_take_exception(RISCVHart *h, uint64_t cause, uint64_t tval)
{
    riscv_count_trapped(h);
    bool delegated = h->priv < RISCV_PRIV_M && (h->medeleg >> cause & 1);
    h->exception_pending = false;
    h->exceptions[cause & 15]++;
    enter_trap(h, cause, tval, delegated ? RISCV_PRIV_S : RISCV_PRIV_M);
}

bool riscv_take_interrupt(RISCVHart *h)
{
    int irq = riscv_find_interrupt(h);
    if (irq < 0) {
        return false;
    }
    bool delegated = h->mideleg >> irq & 1;
    enter_trap(h, CAUSE_INTERRUPT | (unsigned)irq, 0, delegated ? RISCV_PRIV_S : RISCV_PRIV_M);
    return true;
}

uint64_t riscv_exceptions(const CPUState *cpu, unsigned cause) { return riscv_hart_const(cpu)->exceptions[cause]; }

void riscv_record_exception(RISCVHart *h, uint64_t cause, uint64_t tval)
{
    h->exception_pending = true;
    h->exception_cause = cause;
    h->exception_tval = tval;
}

void riscv_check_interrupts(RISCVHart *h)
{
    if (riscv_find_interrupt(h) >= 0) {
        cpu_kick(hart_cpu(h));
    }
}

/* Both returns: to mode `to`, whose interrupts are enabled again as they were. */
static void leave_trap(RISCVHart *h, uint64_t status, unsigned to)
{
    /* MPRV is M-mode's (section "Memory Privilege in mstatus Register"). */
    h->mstatus = to == RISCV_PRIV_M ? status : status & ~MSTATUS_MPRV;
    h->priv = (uint8_t)to;
    hart_cpu(h)->llsc_addr = UINT64_MAX;
    riscv_hart_changed(h);
    riscv_check_interrupts(h);
}

uint64_t riscv_mret(RISCVHart *h)
{
    uint64_t s = h->mstatus;
    unsigned to = (unsigned)((s & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT);
    s &= ~(MSTATUS_MIE | MSTATUS_MPP);
    s |= s & MSTATUS_MPIE ? MSTATUS_MIE : 0;
    leave_trap(h, s | MSTATUS_MPIE, to);
    return h->mepc;
}

uint64_t riscv_sret(RISCVHart *h)
{
    uint64_t s = h->mstatus;
    unsigned to = s & MSTATUS_SPP ? RISCV_PRIV_S : RISCV_PRIV_U;
    s &= ~(MSTATUS_SIE | MSTATUS_SPP);
    s |= s & MSTATUS_SPIE ? MSTATUS_SIE : 0;
    leave_trap(h, s | MSTATUS_SPIE, to);
    return h->sepc;
}

/* ---- interrupt lines; any thread ---- */

void riscv_set_irq(CPUState *cpu, unsigned irq, bool level)
{
    RISCVHart *h = riscv_hart(cpu);
    uint64_t bit = MIP_BIT(irq);
    if (!level) {
        __atomic_fetch_and(&h->mip, ~bit, __ATOMIC_RELAXED);
        return;
    }
    /* [MIP] pairs with riscv_get_mip(). */
    uint64_t before = __atomic_fetch_or(&h->mip, bit, __ATOMIC_RELEASE);
    if (!(before & bit)) {
        cpu_kick(cpu);
        if (riscv_system.config.wake) {
            riscv_system.config.wake(cpu);
        }
    }
}

bool riscv_has_work(CPUState *cpu)
{
    RISCVHart *h = riscv_hart(cpu);
    return (riscv_get_mip(h) & __atomic_load_n(&h->mie, __ATOMIC_RELAXED)) != 0 ||
           __atomic_load_n(&h->counters_due, __ATOMIC_RELAXED);
}

uint64_t riscv_next_timer(const CPUState *cpu)
{
    const RISCVHart *h = riscv_hart_const(cpu);
    bool on = __atomic_load_n(&h->menvcfg, __ATOMIC_RELAXED) & MENVCFG_STCE;
    return on ? __atomic_load_n(&h->stimecmp, __ATOMIC_RELAXED) : UINT64_MAX;
}

void riscv_timer_expired(CPUState *cpu)
{
    /* The hart looks once it is kicked, and sees it then. */
    __atomic_store_n(&riscv_hart(cpu)->timer_due, true, __ATOMIC_RELAXED);
    cpu_kick(cpu);
    if (riscv_system.config.wake) {
        riscv_system.config.wake(cpu);
    }
}
