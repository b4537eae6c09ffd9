/*
 * The registers as gdb numbers them; see Guest.gdb_target_xml.
 */
#ifndef BRAID_GUEST_RISCV_GDB_H
#define BRAID_GUEST_RISCV_GDB_H

#include "exec/cpu.h"

extern const char riscv_gdb_target_xml[];
/* While the vCPU does not run. */
unsigned riscv_gdb_read_reg(CPUState *cpu, unsigned n, uint8_t *buf);
unsigned riscv_gdb_write_reg(CPUState *cpu, unsigned n, const uint8_t *buf);

#endif
