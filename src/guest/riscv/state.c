/* SPDX-License-Identifier: MIT
 *
 * What a hart of a whole machine is: the table of its saved state.
 *
 * Not in it: translations and TLBs, which are dropped.  The reservation is: with -icount a machine that was
 * saved between LR and SC executes as many instructions as one that was not.
 */
#include "exec/exec.h"
#include "exec/tlb.h"
#include "guest/riscv/hart.h"
#include "util/state.h"

static uint64_t get_fcsr(const void *hart) { return riscv_get_fcsr(hart); }
static void set_fcsr(void *hart, uint64_t value) { riscv_set_fcsr(hart, (uint32_t)value & 0xff); }

/* The counters' offsets are to this; that of time is to the machine's clock, which is saved, too. */
static uint64_t get_insns(const void *hart)
{
    return ((const RISCVHart *)hart)->insns_before + cpu_insns_executed(hart);
}
static void set_insns(void *hart, uint64_t value) { ((RISCVHart *)hart)->insns_before = value - cpu_insns_executed(hart); }

static const StateField hart_fields[] = {
    STATE(RISCVHart, rv.cs.env.reg), STATE(RISCVHart, rv.cs.env.pc), STATE_CALL("fcsr", get_fcsr, set_fcsr),
    STATE_BELOW(RISCVHart, priv, 4), STATE(RISCVHart, mhartid), STATE(RISCVHart, satp),
    STATE(RISCVHart, mip), STATE(RISCVHart, mie), STATE(RISCVHart, seip_soft), STATE(RISCVHart, stimecmp),
    STATE(RISCVHart, mstatus), STATE(RISCVHart, medeleg), STATE(RISCVHart, mideleg), STATE(RISCVHart, menvcfg),
    STATE(RISCVHart, mtvec), STATE(RISCVHart, mepc), STATE(RISCVHart, mcause), STATE(RISCVHart, mtval),
    STATE(RISCVHart, mscratch), STATE(RISCVHart, stvec), STATE(RISCVHart, sepc), STATE(RISCVHart, scause),
    STATE(RISCVHart, stval), STATE(RISCVHart, sscratch), STATE(RISCVHart, senvcfg),
    STATE(RISCVHart, mcounteren), STATE(RISCVHart, scounteren), STATE(RISCVHart, mcountinhibit),
    STATE(RISCVHart, miselect), STATE(RISCVHart, siselect),
    STATE(RISCVHart, rv.cs.llsc_addr), STATE(RISCVHart, rv.cs.llsc_val),
    STATE(RISCVHart, counter_event), STATE(RISCVHart, counter_offset), STATE(RISCVHart, counter_wrap),
    STATE_BELOW(RISCVHart, counters_running, 1u << RISCV_COUNTERS), STATE(RISCVHart, exceptions),
    STATE_CALL("insns", get_insns, set_insns), STATE(RISCVHart, untired),
    STATE(RISCVHart, pmpcfg), STATE(RISCVHart, pmpaddr), STATE_END
};

/* The hart's thread does not run. */
static bool loaded(void *hart)
{
    RISCVHart *h = hart;
    CPUState *cpu = hart;
    unsigned mode = (unsigned)(h->satp >> 60);
    if (h->priv == 2 || (cpu->env.pc & 1) || (mode != SATP_BARE && (mode < SATP_SV39 || mode > SATP_SV57))) {
        return false;
    }
    h->mstatus &= MSTATUS_WRITABLE;
    cpu->env.reg[RISCV_X] = 0;
    h->exception_pending = false;
    h->timer_due = true;
    riscv_counters_loaded(h);
    riscv_pmp_changed(h);
    riscv_hart_changed(h);
    tlb_flush(cpu);
    riscv_space_changed(h);
    return true;
}

const StateTable riscv_hart_state = { hart_fields, loaded };
