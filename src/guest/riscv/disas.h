/* SPDX-License-Identifier: MIT
 *
 * The RISC-V disassembler: raw instructions (no aliases), ABI register names, operands
 * as objdump writes them.  Rows and their lookup are generated from the decode specs,
 * so what disassembles is what decodes.  Pure functions, any thread.
 */
#ifndef BRAID_GUEST_RISCV_DISAS_H
#define BRAID_GUEST_RISCV_DISAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One pattern of a spec.  text holds {kN}: operand letter and index into values. */
typedef struct DisasRow {
    const char *name;
    const char *text;
    void (*values)(int32_t *v, uint32_t insn);
    uint32_t mask, bits;
} DisasRow;

enum { DISAS_MAX_VALUES = 8 };

extern const DisasRow riscv_disas_rows[];
extern const unsigned riscv_disas_row_count;

/* The row that decodes insn under the extension bitmap ext, NULL: illegal. */
const DisasRow *riscv_find16(uint32_t insn, uint64_t ext);
const DisasRow *riscv_find32(uint32_t insn, uint64_t ext);

/* Bytes of the instruction that starts with these 16 bits: 2 or 4; longer encodings
 * (Unprivileged ISA 1.5) are not used by any extension here and count as 4. */
static inline int riscv_insn_bytes(uint32_t insn) { return (insn & 3) == 3 ? 4 : 2; }

/* Write the assembly text of insn at address pc into buf (always terminated).
 * Returns the instruction's length in bytes; an illegal one becomes .2byte/.4byte. */
int riscv_disas(uint32_t insn, uint64_t pc, uint64_t ext, char *buf, size_t size);

/*
 * The memory operand of insn: rs1 + disp.  False if it is illegal or has none (prefetches
 * count as having one).
 */
typedef struct RiscvAccess {
    unsigned rs1;
    int32_t disp;
    unsigned size; /* bytes */
    bool is_store; /* AMOs, SC and CBO.ZERO, too */
    bool is_block; /* the cache block that rs1 points into */
} RiscvAccess;
bool riscv_find_access(uint32_t insn, uint64_t ext, RiscvAccess *access);

const char *riscv_xreg_name(unsigned reg);
const char *riscv_freg_name(unsigned reg);
/* Name of CSR number csr, or NULL. buf, of at least 20 bytes, may hold the name. */
const char *riscv_csr_name(unsigned csr, char *buf);

#endif
