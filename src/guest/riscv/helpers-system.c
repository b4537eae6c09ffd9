/* SPDX-License-Identifier: MIT
 *
 * What translations of system mode call.  Each runs on the hart's own thread, called from generated code
 * or the interpreter.  None waits, none takes a lock of exec/ that ranks before PAGE.
 */
#include "guest/riscv/helpers-system.h"

#include "exec/exec.h"
#include "exec/tlb.h"
#include "guest/riscv/hart.h"

const IRHelper riscv_system_helpers[RISCV_SYSTEM_NHELPERS] = {
#define HELPER(id, ret, n, flags) RISCV_HELPER_ROW(RISCV_HELPER_##id, id, ret, n, flags)
#include "guest/riscv/helpers.def"
#undef HELPER
#define HELPER(id, ret, n, flags) \
    RISCV_HELPER_ROW(RISCV_SYSTEM_HELPER_##id, id, ret, n, flags)
#include "guest/riscv/helpers-system.def"
#undef HELPER
};

/* What a CSR instruction does.  funct3: 1 write, 2 set, 3 clear; 4 more with an immediate. */
typedef struct CSRChange {
    bool writes;
    uint64_t mask, value;
} CSRChange;

static CSRChange csr_change(uint64_t insn, uint64_t operand)
{
    unsigned op = insn >> 12 & 3, rs1 = insn >> 15 & 31;
    return op == 1 ? (CSRChange){ true, ~UINT64_C(0), operand }
                   : (CSRChange){ rs1 != 0, operand, op == 2 ? ~UINT64_C(0) : 0 };
}

uint64_t helper_csr(void *opaque, uint64_t insn, uint64_t operand)
{
    RISCVHart *h = riscv_hart(opaque);
    CSRChange c = csr_change(insn, operand);
    uint64_t old;
    if (riscv_csr_access(h, insn >> 20 & 0xfff, c.writes, c.mask, c.value, &old) != CSR_OK) {
        h->insn = insn;
        cpu_leave_from_helper(opaque, EXIT_REASON_ILLEGAL);
    }
    return old;
}

/*
 * A kernel's pages are global, a program's are its own.  Where that is not so, the jump cache has no line for the
 * pc, and the run loop finds the right one.
 */
static void select_jump_cache(RISCVHart *h, uint64_t cflags)
{
    tlb_select_flags(hart_cpu(h), h->tb_flags, (uint32_t)cflags, h->priv != RISCV_PRIV_U);
}

static uint64_t change_mode(RISCVHart *h, uint64_t pc, uint64_t cflags)
{
    select_jump_cache(h, cflags);
    return pc;
}

uint64_t helper_sstatus(void *opaque, uint64_t insn, uint64_t operand, uint64_t cflags)
{
    RISCVHart *h = riscv_hart(opaque);
    CSRChange c = csr_change(insn, operand);
    uint32_t flags = h->tb_flags;
    uint64_t old = riscv_change_sstatus(h, c.mask, c.value);
    if (h->tb_flags != flags) {
        select_jump_cache(h, cflags);
    }
    return old;
}

uint64_t helper_ecall(void *opaque, uint64_t pc, uint64_t cflags)
{
    RISCVHart *h = riscv_hart(opaque);
    hart_cpu(h)->env.pc = pc;
    riscv_take_exception(h, CAUSE_ECALL_U + h->priv, 0);
    return change_mode(h, hart_cpu(h)->env.pc, cflags);
}

uint64_t helper_mret(void *opaque, uint64_t pc, uint64_t cflags)
{
    RISCVHart *h = riscv_hart(opaque);
    return change_mode(h, riscv_mret(h), cflags);
}

uint64_t helper_sret(void *opaque, uint64_t pc, uint64_t cflags)
{
    RISCVHart *h = riscv_hart(opaque);
    return change_mode(h, riscv_sret(h), cflags);
}

uint64_t helper_sfence_vma(void *opaque, uint64_t flags, uint64_t va, uint64_t asid)
{
    RISCVHart *h = riscv_hart(opaque);
    uint64_t space = TLB_ALL_SPACES;
    if (flags & 2) {
        space = riscv_space_of_asid(h, asid & ((1u << SATP_ASID_BITS) - 1));
    }
    if (flags & 1) {
        tlb_flush_page(opaque, va, space);
    } else if (flags & 2) {
        tlb_flush_space(opaque, space);
    } else {
        tlb_flush(opaque);
    }
    return 0;
}

uint64_t helper_fp_dirty(void *opaque)
{
    RISCVHart *h = riscv_hart(opaque);
    h->mstatus |= MSTATUS_FS;
    riscv_hart_changed(h);
    return 0;
}

uint64_t helper_fp_check(void *opaque, uint64_t insn, uint64_t writes)
{
    RISCVHart *h = riscv_hart(opaque);
    if (!(h->mstatus & MSTATUS_FS)) {
        h->insn = insn;
        cpu_leave_from_helper(opaque, EXIT_REASON_ILLEGAL);
    }
    h->mstatus |= writes ? MSTATUS_FS : 0;
    return 0;
}

/*
 * Caches are coherent, only the access is checked: it needs one of the permissions to load and to
 * store, and its faults are those of a store (Unprivileged ISA, "Cache Management Operations").
 */
uint64_t helper_cbo(void *opaque, uint64_t addr)
{
    RISCVHart *h = riscv_hart(opaque);
    uint64_t byte;
    if (!cpu_load(opaque, addr, 1, &byte)) {
        bool page = h->exception_cause == CAUSE_LOAD_PAGE;
        h->exception_cause = page ? CAUSE_STORE_PAGE : CAUSE_STORE_ACCESS;
        cpu_leave_from_helper(opaque, EXIT_REASON_EXCEPTION);
    }
    return 0;
}
