/* SPDX-License-Identifier: MIT
 *
 * The riscv64 Guest descriptor: register table, reset, clone, state dump, disassembly.
 * Everything here is constant or touches one CPU on behalf of its owner.
 */
#include "guest/riscv/cpu.h"

#include <string.h>

#include "guest/riscv/cpu-features.h"
#include "guest/riscv/disas.h"
#include "guest/riscv/gdb.h"
#include "guest/riscv/extensions.h"
#include "guest/riscv/helpers.h"

/*
 * Priorities: how often compilers use a register, as the order in which they hand them
 * out has it.  gp and tp change once per thread and are read now and then.
 */
#define X(n, nm, prio) [RISCV_X + n] = {.name = nm, .type = IR_I64, .priority = prio}
#define F(n, nm, prio) [RISCV_F + n] = {.name = nm, .type = IR_F64, .priority = prio}
const IRGuestReg riscv_regs[RISCV_NREGS] = {
    X(0, "zero", 0),  X(1, "ra", 89),   X(2, "sp", 98),    X(3, "gp", 2),
    X(4, "tp", 5),    X(5, "t0", 40),   X(6, "t1", 60),    X(7, "t2", 38),
    X(8, "s0", 92),   X(9, "s1", 88),   X(10, "a0", 96),   X(11, "a1", 94),
    X(12, "a2", 93),  X(13, "a3", 95),  X(14, "a4", 97),   X(15, "a5", 99),
    X(16, "a6", 70),  X(17, "a7", 65),  X(18, "s2", 75),   X(19, "s3", 68),
    X(20, "s4", 55),  X(21, "s5", 45),  X(22, "s6", 35),   X(23, "s7", 30),
    X(24, "s8", 25),  X(25, "s9", 20),  X(26, "s10", 15),  X(27, "s11", 12),
    X(28, "t3", 58),  X(29, "t4", 50),  X(30, "t5", 42),   X(31, "t6", 36),
    F(0, "ft0", 82),  F(1, "ft1", 78),  F(2, "ft2", 74),   F(3, "ft3", 70),
    F(4, "ft4", 66),  F(5, "ft5", 62),  F(6, "ft6", 58),   F(7, "ft7", 54),
    F(8, "fs0", 80),  F(9, "fs1", 76),  F(10, "fa0", 97),  F(11, "fa1", 94),
    F(12, "fa2", 93), F(13, "fa3", 95), F(14, "fa4", 98),  F(15, "fa5", 99),
    F(16, "fa6", 68), F(17, "fa7", 64), F(18, "fs2", 60),  F(19, "fs3", 56),
    F(20, "fs4", 52), F(21, "fs5", 48), F(22, "fs6", 44),  F(23, "fs7", 40),
    F(24, "fs8", 36), F(25, "fs9", 32), F(26, "fs10", 28), F(27, "fs11", 24),
    F(28, "ft8", 50), F(29, "ft9", 46), F(30, "ft10", 42), F(31, "ft11", 38),
};
#undef X
#undef F

static void cpu_reset(CPUState *cpu)
{
    memset(cpu->env.reg, 0, sizeof(cpu->env.reg));
    cpu->env.pc = 0;
    cpu->env.fp_state = host_fp_init();
    cpu->llsc_addr = UINT64_MAX;
    cpu->llsc_val = 0;
    riscv_cpu(cpu)->frm = 0;
}

static void get_tb_state(const CPUState *cpu, vaddr *pc, uint32_t *flags)
{
    *pc = cpu->env.pc;
    *flags = riscv_frm_tb_flags(((const RISCVCPU *)cpu)->frm);
}

/* A new thread has no reservation: that of its parent is not its own. */
static void cpu_clone(CPUState *to, const CPUState *from)
{
    memcpy(to->env.reg, from->env.reg, sizeof(to->env.reg));
    to->env.pc = from->env.pc;
    to->env.fp_state = from->env.fp_state;
    to->llsc_addr = UINT64_MAX;
    riscv_cpu(to)->frm = ((const RISCVCPU *)from)->frm;
}

static unsigned disas(vaddr pc, const uint8_t *bytes, size_t avail, char *buf,
                      size_t size)
{
    uint32_t insn = 0;
    memcpy(&insn, bytes, avail < 4 ? avail : 4);
    unsigned n = (unsigned)riscv_insn_bytes(insn);
    if (avail < n) {
        snprintf(buf, size, "(cut off)");
        return (unsigned)avail;
    }
    return (unsigned)riscv_disas(insn, pc, riscv_extensions(), buf, size);
}

static bool access_address(const CPUState *cpu, uint32_t insn, vaddr *addr, unsigned *size,
                           bool *is_store)
{
    RiscvAccess a;
    if (!riscv_find_access(insn, riscv_extensions(), &a)) {
        return false;
    }
    *addr = cpu->env.reg[RISCV_X + a.rs1] + (vaddr)(int64_t)a.disp;
    if (a.is_block) {
        *addr &= -(vaddr)RISCV_CBO_BLOCK_SIZE;
    }
    *size = a.size;
    *is_store = a.is_store;
    return true;
}

static void dump_state(const CPUState *cpu, FILE *out)
{
    fprintf(out, " pc       %016llx\n", (unsigned long long)cpu->env.pc);
    for (unsigned i = 0; i < 32; i++) {
        fprintf(out, " x%u/%-*s %016llx%s", i, i < 10 ? 5 : 4, riscv_regs[RISCV_X + i].name,
                (unsigned long long)cpu->env.reg[RISCV_X + i], i % 4 == 3 ? "\n" : "");
    }
    for (unsigned i = 0; i < 32; i++) {
        fprintf(out, " f%u/%-*s %016llx%s", i, i < 10 ? 5 : 4, riscv_regs[RISCV_F + i].name,
                (unsigned long long)cpu->env.reg[RISCV_F + i], i % 4 == 3 ? "\n" : "");
    }
    fprintf(out, " fcsr     %02x\n", riscv_get_fcsr(cpu));
}

const Guest riscv64_guest = {
    .name = "riscv64",
    .elf_machine = RISCV_ELF_MACHINE,
    .ir = {
        .regs = riscv_regs,
        .nregs = RISCV_NREGS,
        .helpers = riscv_helpers,
        .nhelpers = RISCV_NHELPERS,
    },
    .cpu_size = sizeof(RISCVCPU),
    .min_insn_size = 2,
    .configure = riscv_configure,
    .cpu_reset = cpu_reset,
    .get_tb_state = get_tb_state,
    .translate = riscv_translate,
    .disas = disas,
    .dump_state = dump_state,
    .cpu_clone = cpu_clone,
    .access_address = access_address,
    .gdb_target_xml = riscv_gdb_target_xml,
    .gdb_nregs = 33,
    .gdb_read_reg = riscv_gdb_read_reg,
    .gdb_write_reg = riscv_gdb_write_reg,
};
