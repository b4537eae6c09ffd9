/*
 * RISC-V registers for gdb: the features org.gnu.gdb.riscv.cpu (0-31 and pc) and
 * org.gnu.gdb.riscv.fpu (f0-f31 and the parts of fcsr).
 */
#include "guest/riscv/gdb.h"

#include <string.h>

#include "guest/riscv/cpu.h"

enum { GDB_PC = 32, GDB_F = 33, GDB_FFLAGS = 65, GDB_FRM = 66, GDB_FCSR = 67 };

#define X(name, type) "<reg name=\"" name "\" bitsize=\"64\" type=\"" type "\"/>"
#define F(name) "<reg name=\"" name "\" bitsize=\"64\" type=\"fp\"/>"
#define CSR(name) "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"

const char riscv_gdb_target_xml[] =
    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">"
    "<architecture>riscv:rv64</architecture>"
    "<feature name=\"org.gnu.gdb.riscv.cpu\">"
    X("zero", "int") X("ra", "code_ptr") X("sp", "data_ptr") X("gp", "data_ptr") X("tp", "data_ptr")
    X("t0", "int") X("t1", "int") X("t2", "int") X("fp", "data_ptr") X("s1", "int") X("a0", "int")
    X("a1", "int") X("a2", "int") X("a3", "int") X("a4", "int") X("a5", "int") X("a6", "int")
    X("a7", "int") X("s2", "int") X("s3", "int") X("s4", "int") X("s5", "int") X("s6", "int")
    X("s7", "int") X("s8", "int") X("s9", "int") X("s10", "int") X("s11", "int") X("t3", "int")
    X("t4", "int") X("t5", "int") X("t6", "int") X("pc", "code_ptr")
    "</feature><feature name=\"org.gnu.gdb.riscv.fpu\">"
    "<union id=\"fp\"><field name=\"float\" type=\"ieee_single\"/>"
    "<field name=\"double\" type=\"ieee_double\"/></union>"
    F("ft0") F("ft1") F("ft2") F("ft3") F("ft4") F("ft5") F("ft6") F("ft7") F("fs0") F("fs1")
    F("fa0") F("fa1") F("fa2") F("fa3") F("fa4") F("fa5") F("fa6") F("fa7") F("fs2") F("fs3")
    F("fs4") F("fs5") F("fs6") F("fs7") F("fs8") F("fs9") F("fs10") F("fs11") F("ft8") F("ft9")
    F("ft10") F("ft11") CSR("fflags") CSR("frm") CSR("fcsr")
    "</feature></target>";
#undef X
#undef F
#undef CSR

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
