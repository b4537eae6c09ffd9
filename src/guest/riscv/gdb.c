/*
 * RISC-V registers for gdb: the features org.gnu.gdb.riscv.cpu (0-31 and pc) and
 * org.gnu.gdb.riscv.fpu (f0-f31 and the parts of fcsr).
 */
#include "guest/riscv/gdb.h"

#include <string.h>

#include "guest/riscv/cpu.h"

enum { GDB_PC = 32, GDB_F = 33, GDB_FFLAGS = 65, GDB_FRM = 66, GDB_FCSR = 67 };
_Static_assert(GDB_FCSR + 1 == RISCV_GDB_NREGS, "the last one");

const char riscv_gdb_target_xml[] = RISCV_GDB_XML "</target>";

/* The 64-bit register number n of gdb's, or NULL. */
static uint64_t *find_reg(CPUState *cpu, unsigned n)
{
    if (n < GDB_PC) {
        return &cpu->env.reg[RISCV_X + n];
    }
    if (n == GDB_PC) {
        return &cpu->env.pc;
    }
    return n < GDB_FFLAGS ? &cpu->env.reg[RISCV_F + n - GDB_F] : NULL;
}

/* Where a part of fcsr lies in it (Unprivileged ISA, "Floating-Point Control and Status Register"). */
static unsigned fcsr_part(unsigned n, uint32_t *mask)
{
    *mask = n == GDB_FFLAGS ? 0x1f : n == GDB_FRM ? 7 : 0xff;
    return n == GDB_FRM ? 5 : 0;
}

unsigned riscv_gdb_read_reg(CPUState *cpu, unsigned n, uint8_t *buf)
{
    const uint64_t *reg = find_reg(cpu, n);
    if (reg) {
        memcpy(buf, reg, 8);
        return 8;
    }
    if (n > GDB_FCSR) {
        return 0;
    }
    uint32_t mask, shift = fcsr_part(n, &mask), value = riscv_get_fcsr(cpu) >> shift & mask;
    memcpy(buf, &value, 4);
    return 4;
}

unsigned riscv_gdb_write_reg(CPUState *cpu, unsigned n, const uint8_t *buf)
{
    uint64_t *reg = find_reg(cpu, n);
    if (reg) {
        if (n) {        /* x0 stays 0 */
            memcpy(reg, buf, 8);
        }
        return 8;
    }
    if (n > GDB_FCSR) {
        return 0;
    }
    uint32_t mask, shift = fcsr_part(n, &mask), value;
    memcpy(&value, buf, 4);
    riscv_set_fcsr(cpu, (riscv_get_fcsr(cpu) & ~(mask << shift)) | (value & mask) << shift);
    return 4;
}
