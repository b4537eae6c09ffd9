/* SPDX-License-Identifier: MIT
 *
 * The first argument of helper_fp_f() and helper_fp_x(): which operation, on which
 * formats, rounded how.  Operands and results are whole registers: FP ones NaN-boxed,
 * which the helper checks and makes.  Built by the translator, taken apart by helpers.c.
 */
#ifndef BRAID_GUEST_RISCV_FP_HELPER_H
#define BRAID_GUEST_RISCV_FP_HELPER_H

#include <stdint.h>

#include "guest/riscv/fpu-soft.h"

/* clang-format off */
typedef enum FPHelperOp {
    /* fp_f: two and three operands */
    FPH_ADD, FPH_SUB, FPH_MUL, FPH_DIV, FPH_SQRT, FPH_FMA,
    FPH_MIN, FPH_MAX, FPH_MINM, FPH_MAXM,
    FPH_SGNJ, FPH_SGNJN, FPH_SGNJX,
    /* fp_f: one operand */
    FPH_ROUND, FPH_ROUNDNX,
    FPH_FROM_FP,    /* from another format: other = FPFormat */
    FPH_FROM_INT,   /* other = FPInt, the operand is an integer register */
    /* fp_x */
    FPH_TO_INT,     /* other = FPInt */
    FPH_COMPARE,    /* other = FPCompare */
    FPH_TO_I32_MODULO,
} FPHelperOp;
/* clang-format on */

enum { FPH_RM_DYN = 7 }; /* in place of an FPRound: what frm says */

static inline uint64_t fph_code(FPHelperOp op, FPFormat f, unsigned rm, unsigned other)
{
    return op | (unsigned)f << 8 | rm << 12 | other << 16;
}

static inline FPHelperOp fph_op(uint64_t code) { return (FPHelperOp)(code & 0xff); }
static inline FPFormat fph_format(uint64_t code) { return (FPFormat)(code >> 8 & 15); }
static inline unsigned fph_rm(uint64_t code) { return code >> 12 & 15; }
static inline unsigned fph_other(uint64_t code) { return code >> 16 & 15; }

/* NaN boxing (Unprivileged ISA, "NaN Boxing of Narrower Values"). */
static inline uint64_t fp_box(FPFormat f, uint64_t a)
{
    return f == FP_64   ? a
           : f == FP_32 ? a | UINT64_C(0xffffffff) << 32
                        : a | UINT64_C(0xffffffffffff) << 16;
}

static inline uint64_t fp_unbox(FPFormat f, uint64_t reg)
{
    if (f == FP_32) {
        return reg >> 32 == 0xffffffff ? reg & 0xffffffff : fpu_default_nan(f);
    }
    if (f == FP_16) {
        return reg >> 16 == UINT64_C(0xffffffffffff) ? reg & 0xffff : fpu_default_nan(f);
    }
    return reg;
}

#endif
