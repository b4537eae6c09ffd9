/*
 * The registers as gdb numbers them; see Guest.gdb_target_xml.
 */
#ifndef BRAID_GUEST_RISCV_GDB_H
#define BRAID_GUEST_RISCV_GDB_H

#include "exec/cpu.h"

/* The description of what a hart has in user mode, without the end: the first RISCV_GDB_NREGS registers. */
#define RISCV_GDB_X(name, type) "<reg name=\"" name "\" bitsize=\"64\" type=\"" type "\"/>"
#define RISCV_GDB_F(name) "<reg name=\"" name "\" bitsize=\"64\" type=\"fp\"/>"
#define RISCV_GDB_FCSR(name) "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
#define RISCV_GDB_XML                                                                    \
    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">" \
    "<architecture>riscv:rv64</architecture>"                                            \
    "<feature name=\"org.gnu.gdb.riscv.cpu\">" RISCV_GDB_X("zero", "int")                \
    RISCV_GDB_X("ra", "code_ptr") RISCV_GDB_X("sp", "data_ptr")                          \
    RISCV_GDB_X("gp", "data_ptr") RISCV_GDB_X("tp", "data_ptr")                          \
    RISCV_GDB_X("t0", "int") RISCV_GDB_X("t1", "int") RISCV_GDB_X("t2", "int")           \
    RISCV_GDB_X("fp", "data_ptr") RISCV_GDB_X("s1", "int") RISCV_GDB_X("a0", "int")      \
    RISCV_GDB_X("a1", "int") RISCV_GDB_X("a2", "int") RISCV_GDB_X("a3", "int")           \
    RISCV_GDB_X("a4", "int") RISCV_GDB_X("a5", "int") RISCV_GDB_X("a6", "int")           \
    RISCV_GDB_X("a7", "int") RISCV_GDB_X("s2", "int") RISCV_GDB_X("s3", "int")           \
    RISCV_GDB_X("s4", "int") RISCV_GDB_X("s5", "int") RISCV_GDB_X("s6", "int")           \
    RISCV_GDB_X("s7", "int") RISCV_GDB_X("s8", "int") RISCV_GDB_X("s9", "int")           \
    RISCV_GDB_X("s10", "int") RISCV_GDB_X("s11", "int") RISCV_GDB_X("t3", "int")         \
    RISCV_GDB_X("t4", "int") RISCV_GDB_X("t5", "int") RISCV_GDB_X("t6", "int")           \
    RISCV_GDB_X("pc", "code_ptr") "</feature><feature name=\"org.gnu.gdb.riscv.fpu\">"   \
    "<union id=\"fp\"><field name=\"float\" type=\"ieee_single\"/>"                      \
    "<field name=\"double\" type=\"ieee_double\"/></union>" RISCV_GDB_F("ft0")           \
    RISCV_GDB_F("ft1") RISCV_GDB_F("ft2") RISCV_GDB_F("ft3") RISCV_GDB_F("ft4")          \
    RISCV_GDB_F("ft5") RISCV_GDB_F("ft6") RISCV_GDB_F("ft7") RISCV_GDB_F("fs0")          \
    RISCV_GDB_F("fs1") RISCV_GDB_F("fa0") RISCV_GDB_F("fa1") RISCV_GDB_F("fa2")          \
    RISCV_GDB_F("fa3") RISCV_GDB_F("fa4") RISCV_GDB_F("fa5") RISCV_GDB_F("fa6")          \
    RISCV_GDB_F("fa7") RISCV_GDB_F("fs2") RISCV_GDB_F("fs3") RISCV_GDB_F("fs4")          \
    RISCV_GDB_F("fs5") RISCV_GDB_F("fs6") RISCV_GDB_F("fs7") RISCV_GDB_F("fs8")          \
    RISCV_GDB_F("fs9") RISCV_GDB_F("fs10") RISCV_GDB_F("fs11") RISCV_GDB_F("ft8")        \
    RISCV_GDB_F("ft9") RISCV_GDB_F("ft10") RISCV_GDB_F("ft11")                           \
    RISCV_GDB_FCSR("fflags") RISCV_GDB_FCSR("frm") RISCV_GDB_FCSR("fcsr")                \
    "</feature>"                                                                        
enum { RISCV_GDB_NREGS = 68 };

extern const char riscv_gdb_target_xml[];
/* ... and of what a machine's hart has. */
extern const char riscv_gdb_system_xml[];
/* While the vCPU does not run. */
unsigned riscv_gdb_read_reg(CPUState *cpu, unsigned n, uint8_t *buf);
unsigned riscv_gdb_write_reg(CPUState *cpu, unsigned n, const uint8_t *buf);
unsigned riscv_gdb_read_system_reg(CPUState *cpu, unsigned n, uint8_t *buf);
unsigned riscv_gdb_write_system_reg(CPUState *cpu, unsigned n, const uint8_t *buf);

#endif
