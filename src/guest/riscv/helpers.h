/* SPDX-License-Identifier: MIT
 *
 * Numbers and prototypes of the RISC-V guest's run-time helpers, from helpers.def.
 */
#ifndef BRAID_GUEST_RISCV_HELPERS_H
#define BRAID_GUEST_RISCV_HELPERS_H

#include "guest/riscv/cpu.h"

enum {
#define HELPER(name, ret, nargs, flags) RISCV_HELPER_##name,
#include "guest/riscv/helpers.def"
#undef HELPER
    RISCV_NHELPERS
};

/* A row of a helper table, from a row of a .def file. */
#define RISCV_HELPER_ROW(index, id, ret_type, n, fl)                                     \
    [index] = {.name = #id, .fn = (void *)helper_##id, .ret = ret_type, .nargs = n, .flags = fl},

extern const IRHelper riscv_helpers[RISCV_NHELPERS];

uint64_t helper_fp_f(void *cpu, uint64_t code, uint64_t a_reg, uint64_t b_reg,
                     uint64_t c_reg);
uint64_t helper_fp_x(void *cpu, uint64_t code, uint64_t a_reg, uint64_t b_reg);
uint64_t helper_fclass(void *cpu, uint64_t format, uint64_t a);
uint64_t helper_set_frm(void *cpu, uint64_t frm);
uint64_t helper_check_aligned(void *opaque, uint64_t addr, uint64_t size);
uint64_t helper_check_jump(void *opaque, uint64_t target);
uint64_t helper_vdso_call(void *cpu, uint64_t nr, uint64_t a0, uint64_t a1);
uint64_t helper_csr_read(void *cpu, uint64_t number);
uint64_t helper_csr_write(void *cpu, uint64_t number, uint64_t value);

#endif
