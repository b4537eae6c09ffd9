/* SPDX-License-Identifier: MIT
 *
 * Numbers and prototypes of the helpers of system mode, from helpers-system.def.
 */
#ifndef BRAID_GUEST_RISCV_HELPERS_SYSTEM_H
#define BRAID_GUEST_RISCV_HELPERS_SYSTEM_H

#include "guest/riscv/helpers.h"

enum {
    RISCV_SYSTEM_HELPER_BASE = RISCV_NHELPERS - 1,
#define HELPER(name, ret, nargs, flags) RISCV_SYSTEM_HELPER_##name,
#include "guest/riscv/helpers-system.def"
#undef HELPER
    RISCV_SYSTEM_NHELPERS
};

extern const IRHelper riscv_system_helpers[RISCV_SYSTEM_NHELPERS];

uint64_t helper_csr(void *opaque, uint64_t insn, uint64_t operand);
uint64_t helper_sstatus(void *opaque, uint64_t insn, uint64_t operand, uint64_t cflags);
uint64_t helper_ecall(void *opaque, uint64_t pc, uint64_t cflags);
uint64_t helper_mret(void *opaque, uint64_t pc, uint64_t cflags);
uint64_t helper_sret(void *opaque, uint64_t pc, uint64_t cflags);
uint64_t helper_sfence_vma(void *opaque, uint64_t flags, uint64_t va, uint64_t asid);
uint64_t helper_fp_dirty(void *opaque);
uint64_t helper_fp_check(void *opaque, uint64_t insn, uint64_t writes);
uint64_t helper_cbo(void *opaque, uint64_t addr);

#endif
