/* SPDX-License-Identifier: MIT
 *
 * System mode of the RISC-V guest: the Guest descriptor, reset, and what happens when
 * generated code comes back.  All on the hart's own thread.
 */
#include "guest/riscv/gdb.h"
#include "guest/riscv/system.h"

#include <string.h>

#include "exec/debug.h"
#include "exec/exec.h"
#include "exec/tlb.h"
#include "guest/riscv/cpu-features.h"
#include "guest/riscv/csr-info.h"
#include "guest/riscv/disas.h"
#include "guest/riscv/hart.h"
#include "guest/riscv/helpers-system.h"
#include "mem/memory.h"

RISCVSystem riscv_system;

void riscv_system_init(const RISCVSystemConfig *config) { riscv_system.config = *config; }

/* ---- state that translations depend on ---- */

/* What envcfg lets this mode do: the same bits in each register, all of which must allow it. */
static uint32_t cache_block_flags(const RISCVHart *h)
{
    uint64_t env = ~UINT64_C(0);
    if (h->priv < RISCV_PRIV_M) {
        env &= __atomic_load_n(&h->menvcfg, __ATOMIC_RELAXED);
    }
    if (h->priv < RISCV_PRIV_S) {
        env &= h->senvcfg;
    }
    return (env & ENVCFG_CBZE ? RISCV_TB_CBZE : 0) | (env & ENVCFG_CBCFE ? RISCV_TB_CBCFE : 0) |
           (env & ENVCFG_CBIE ? RISCV_TB_CBIE : 0);
}

void riscv_hart_changed(RISCVHart *h)
{
    uint64_t s = h->mstatus, fs = s & MSTATUS_FS;
    uint32_t flags = riscv_frm_tb_flags(h->rv.frm) | (uint32_t)h->priv << RISCV_TB_PRIV_SHIFT |
                     riscv_mmu_index(hart_cpu(h), MMU_LOAD) << RISCV_TB_MMU_SHIFT |
                     cache_block_flags(h);
    /* A kernel switches FS off and on with each system call, and hardly uses it: it asks. */
    if (h->priv == RISCV_PRIV_U) {
        flags |= fs ? RISCV_TB_FP_ON : 0;
        flags |= fs == MSTATUS_FS ? RISCV_TB_FP_DIRTY : 0;
    }
    if (h->priv == RISCV_PRIV_S) {
        flags |= s & MSTATUS_TVM ? RISCV_TB_TVM : 0;
        flags |= s & MSTATUS_TW ? RISCV_TB_TW : 0;
        flags |= s & MSTATUS_TSR ? RISCV_TB_TSR : 0;
    }
    h->tb_flags = flags;
    if (unlikely(h->counters_filtered) && h->counters_mode != h->priv) {
        riscv_counters_update(h);
    }
}

void riscv_space_changed(RISCVHart *h)
{
    unsigned mode = 1u << (h->satp >> 60);
    if (!(__atomic_load_n(&riscv_system.satp_modes, __ATOMIC_RELAXED) & mode)) {
        __atomic_fetch_or(&riscv_system.satp_modes, mode, __ATOMIC_RELAXED);
    }
    tlb_set_space(hart_cpu(h), riscv_space(h));
}

static void get_tb_state(const CPUState *cpu, vaddr *pc, uint32_t *flags)
{
    *pc = cpu->env.pc;
    *flags = riscv_hart_const(cpu)->tb_flags;
}

/* ---- reset ---- */

static void reset_machine(RISCVHart *h)
{
    uint64_t ext = riscv_extensions();
    riscv64_guest.cpu_reset(hart_cpu(h));
    h->priv = RISCV_PRIV_M;
    h->exception_pending = false;
    h->mstatus = 0;
    /* The other bits are lines of devices, which may have changed before this hart came to its reset. */
    __atomic_fetch_and(&h->mip, MIP_MACHINE | MIP_BIT(RISCV_IRQ_SEI), __ATOMIC_RELAXED);
    __atomic_store_n(&h->mie, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&h->seip_soft, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&h->stimecmp, UINT64_MAX, __ATOMIC_RELAXED);
    /* A device tree that names Svadu alone means that it is on from the start. */
    __atomic_store_n(&h->menvcfg,
                     (ext & RISCV_EXT_SVADU ? MENVCFG_ADUE : 0) |
                         (ext & RISCV_EXT_SVPBMT ? MENVCFG_PBMTE : 0),
                     __ATOMIC_RELAXED);
    h->medeleg = h->mideleg = h->mtvec = h->mepc = h->mcause = h->mtval = h->mscratch = 0;
    h->stvec = h->sepc = h->scause = h->stval = h->sscratch = h->senvcfg = h->satp = 0;
    h->miselect = h->siselect = 0;
    h->mcounteren = h->scounteren = 0;
    memset(h->pmpcfg, 0, sizeof(h->pmpcfg));
    memset(h->pmpaddr, 0, sizeof(h->pmpaddr));
}

static void cpu_reset(CPUState *cpu)
{
    RISCVHart *h = riscv_hart(cpu);
    reset_machine(h);
    riscv_reset_counters(cpu);
    riscv_pmp_changed(h);
    riscv_hart_changed(h);
}

/* As OpenSBI leaves a hart to the kernel. */
static void hand_over(RISCVHart *h)
{
    h->medeleg = MEDELEG_MASK & ~(UINT64_C(1) << (CAUSE_ECALL_U + RISCV_PRIV_S));
    h->mideleg = riscv_supervisor_irqs();
    h->mcounteren = 0xffffffff;
    h->scounteren = COUNTER_CYCLE | COUNTER_TIME | COUNTER_INSTRET;
    h->pmpcfg[0] = PMP_R | PMP_W | PMP_X | PMP_A_NAPOT << PMP_A_SHIFT;
    h->pmpaddr[0] = (UINT64_C(1) << 54) - 1;
    riscv_csr_write_debug(hart_cpu(h), 0x30a, ~UINT64_C(0) & ~(UINT64_C(2) << 4));
    h->priv = RISCV_PRIV_S;
}

void riscv_reset_hart(CPUState *cpu, vaddr pc, uint64_t a0, uint64_t a1, unsigned priv)
{
    RISCVHart *h = riscv_hart(cpu);
    reset_machine(h);
    if (priv != RISCV_PRIV_M) {
        hand_over(h);
        h->priv = (uint8_t)priv;
    }
    riscv_pmp_changed(h);
    riscv_hart_changed(h);
    tlb_flush(cpu);
    riscv_space_changed(h);
    cpu->env.pc = pc;
    cpu->env.reg[RISCV_A0] = a0;
    cpu->env.reg[RISCV_A0 + 1] = a1;
}

void riscv_set_hartid(CPUState *cpu, uint64_t hartid) { riscv_hart(cpu)->mhartid = hartid; }
uint64_t riscv_hartid(const CPUState *cpu) { return riscv_hart_const(cpu)->mhartid; }
unsigned riscv_privilege(const CPUState *cpu) { return riscv_hart_const(cpu)->priv; }

/* ---- what ended generated code ---- */

/* Is the atomic access at pc, which is misaligned, more than a load? */
static bool is_store_at_pc(CPUState *cpu)
{
    uint64_t low, high = 0;
    MMUResult page;
    vaddr addr;
    unsigned size;
    bool is_store = true;
    if (!riscv_mmu_probe(cpu, cpu->env.pc, &page)) {
        return true;
    }
    uint8_t bytes[4] = {0};
    if (!cpu_memory_debug(cpu, cpu->env.pc, bytes, 4, false)) {
        return true;
    }
    low = bytes[0] | (uint64_t)bytes[1] << 8;
    high = bytes[2] | (uint64_t)bytes[3] << 8;
    riscv64_guest.access_address(cpu, (uint32_t)(low | high << 16), &addr, &size, &is_store);
    return is_store;
}

/* ECALL: to the board if it is the firmware.  Those of U-mode hardly come here: gen_system_ecall(). */
static bool take_ecall(RISCVHart *h)
{
    if (riscv_system.config.sbi && h->priv == RISCV_PRIV_S) {
        return false;
    }
    riscv_take_exception(h, CAUSE_ECALL_U + h->priv, 0);
    return true;
}

static void take_recorded(RISCVHart *h)
{
    CPUState *cpu = hart_cpu(h);
    if (h->exception_pending) {
        riscv_take_exception(h, h->exception_cause, h->exception_tval);
    } else {
        /* Code that was there when the TLB said so, and is no longer memory. */
        riscv_take_exception(h, CAUSE_FETCH_ACCESS, cpu->fault_addr);
    }
}

static bool handle_exit(CPUState *cpu, int reason)
{
    RISCVHart *h = riscv_hart(cpu);
    switch (reason) {
    case EXIT_REASON_SYSCALL: return take_ecall(h);
    case EXIT_REASON_BREAKPOINT:
        riscv_take_exception(h, CAUSE_BREAKPOINT, cpu->env.pc);
        return true;
    case EXIT_REASON_ILLEGAL: riscv_take_exception(h, CAUSE_ILLEGAL, h->insn); return true;
    case EXIT_REASON_MISALIGNED:
        riscv_take_exception(
            h, is_store_at_pc(cpu) ? CAUSE_STORE_MISALIGNED : CAUSE_LOAD_MISALIGNED,
            cpu->fault_addr);
        return true;
    case EXIT_REASON_MISALIGNED_JUMP:
        riscv_take_exception(h, CAUSE_FETCH_MISALIGNED, cpu->fault_addr);
        return true;
    case EXIT_REASON_EXCEPTION:
    case EXIT_REASON_FETCH_FAULT:
    case EXIT_REASON_MEMORY_FAULT: take_recorded(h); return true;
    case EXIT_REASON_RISCV_WFI: return riscv_has_work(cpu);
    default: return false;
    }
}

/* The board wants to look after each kick, too: see riscv_system_run(). */
static bool handle_interrupt(CPUState *cpu)
{
    RISCVHart *h = riscv_hart(cpu);
    if (unlikely(__atomic_load_n(&h->counters_due, __ATOMIC_RELAXED))) {
        riscv_counters_answer_alarm(h);
    }
    if (!debug_defers_interrupts(cpu)) {
        riscv_take_interrupt(h);
    }
    return false;
}

int riscv_system_run(CPUState *cpu)
{
    handle_interrupt(cpu);
    switch (cpu_exec(cpu)) {
    case EXIT_REASON_SYSCALL:
        riscv_count_trapped(riscv_hart(cpu));
        cpu->env.pc += 4;
        return RISCV_RUN_SBI;
    case EXIT_REASON_RISCV_WFI: return RISCV_RUN_WFI;
    case EXIT_REASON_DEBUG: return RISCV_RUN_DEBUG;
    case EXIT_REASON_YIELD: return RISCV_RUN_PAUSE;
    case EXIT_REASON_WAIT: return RISCV_RUN_WRS;
    default: return RISCV_RUN_KICKED;
    }
}

const uint32_t *riscv_reserved_word(CPUState *cpu, uint32_t *seen)
{
    MMUResult page;
    *seen = (uint32_t)cpu->llsc_val;
    if (cpu->llsc_addr == UINT64_MAX || !riscv_mmu_probe(cpu, cpu->llsc_addr & ~UINT64_C(3), &page)) {
        return NULL;
    }
    return memory_find(page.pa).host;
}

/* ---- the descriptor ---- */

static unsigned tb_disas(vaddr pc, const uint8_t *bytes, size_t avail, char *buf, size_t size)
{
    return riscv64_guest.disas(pc, bytes, avail, buf, size);
}

static bool access_address(const CPUState *cpu, uint32_t insn, vaddr *addr, unsigned *size,
                           bool *is_store)
{
    return riscv64_guest.access_address(cpu, insn, addr, size, is_store);
}

static void dump_state(const CPUState *cpu, FILE *out)
{
    fprintf(out, " hart %llu, mode %c\n", (unsigned long long)riscv_hartid(cpu),
            "US?M"[riscv_privilege(cpu)]);
    riscv64_guest.dump_state(cpu, out);
    riscv_print_csrs(riscv_hart((CPUState *)(uintptr_t)cpu), out);
}

const Guest riscv64_system_guest = {
    .name = "riscv64",
    .elf_machine = RISCV_ELF_MACHINE,
    .ir = {
        .regs = riscv_regs,
        .nregs = RISCV_NREGS,
        .helpers = riscv_system_helpers,
        .nhelpers = RISCV_SYSTEM_NHELPERS,
    },
    .cpu_size = sizeof(RISCVHart),
    .min_insn_size = 2,
    .configure = riscv_configure_system,
    .cpu_reset = cpu_reset,
    .get_tb_state = get_tb_state,
    .translate = riscv_translate,
    .disas = tb_disas,
    .dump_state = dump_state,
    .access_address = access_address,
    .gdb_target_xml = riscv_gdb_system_xml,
    .gdb_nregs = 33,
    .gdb_read_reg = riscv_gdb_read_system_reg,
    .gdb_write_reg = riscv_gdb_write_system_reg,
    .kernel_mmu_modes = 1u << RISCV_MMU_S | 1u << (RISCV_MMU_S + RISCV_MMU_MXR) | 1u << RISCV_MMU_M,
    .mmu_index = riscv_mmu_index,
    .mmu_translate = riscv_mmu_translate,
    .mmu_probe = riscv_mmu_probe,
    .raise_access_fault = riscv_raise_access_fault,
    .handle_exit = handle_exit,
    .handle_interrupt = handle_interrupt,
};
