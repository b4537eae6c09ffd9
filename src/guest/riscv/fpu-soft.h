/* SPDX-License-Identifier: MIT
 *
 * Binary floating point in software, with RISC-V's choices where IEEE 754 leaves one:
 * tininess is detected after rounding, every NaN result is the canonical quiet NaN,
 * inf * 0 + qNaN is invalid, conversions to integer saturate (Unprivileged ISA, chapters
 * "F", "D", "Zfh", "Zfa").
 *
 * For what host instructions cannot do: rounding to nearest with ties away (RMM), half
 * precision arithmetic, the modulo conversion; and the reference that generated FP code
 * is tested against.
 *
 * Pure functions, any thread: the rounding mode comes in, exception flags are or-ed into
 * *flags.  Values travel as their bits in the low part of a uint64_t; bits above the
 * format's width are ignored in arguments and zero in results.
 */
#ifndef BRAID_GUEST_RISCV_FPU_SOFT_H
#define BRAID_GUEST_RISCV_FPU_SOFT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum FPFormat { FP_16, FP_32, FP_64 } FPFormat;

/* Encoded as in the rm field and frm. */
typedef enum FPRound { FP_RNE, FP_RTZ, FP_RDN, FP_RUP, FP_RMM } FPRound;

/* Encoded as in fflags. */
enum FPFlags { FP_NX = 1, FP_UF = 2, FP_OF = 4, FP_DZ = 8, FP_NV = 16 };

/* The integer types that FP values convert to and from. */
typedef enum FPInt { FP_I32, FP_U32, FP_I64, FP_U64 } FPInt;

typedef enum FPCompare {
    FP_EQ, /* invalid on signalling NaNs only */
    FP_LT, /* invalid on any NaN */
    FP_LE,
    FP_LTQ, /* as FP_LT, FP_LE, but invalid on signalling NaNs only */
    FP_LEQ,
} FPCompare;

/* What fpu_fma() negates. */
enum FPNegate { FP_NEG_PRODUCT = 1, FP_NEG_ADDEND = 2 };

uint64_t fpu_add(FPFormat f, uint64_t a, uint64_t b, FPRound rm, unsigned *flags);
uint64_t fpu_sub(FPFormat f, uint64_t a, uint64_t b, FPRound rm, unsigned *flags);
uint64_t fpu_mul(FPFormat f, uint64_t a, uint64_t b, FPRound rm, unsigned *flags);
uint64_t fpu_div(FPFormat f, uint64_t a, uint64_t b, FPRound rm, unsigned *flags);
uint64_t fpu_sqrt(FPFormat f, uint64_t a, FPRound rm, unsigned *flags);
/* (+-)(a * b) (+-) c, rounded once; negate is a set of FPNegate. */
uint64_t fpu_fma(FPFormat f, uint64_t a, uint64_t b, uint64_t c, unsigned negate,
                 FPRound rm, unsigned *flags);

/* minimumNumber and maximumNumber of IEEE 754-2019: a lone NaN loses. */
uint64_t fpu_min(FPFormat f, uint64_t a, uint64_t b, unsigned *flags);
uint64_t fpu_max(FPFormat f, uint64_t a, uint64_t b, unsigned *flags);
/* minimum and maximum (fminm, fmaxm): a NaN wins. */
uint64_t fpu_minm(FPFormat f, uint64_t a, uint64_t b, unsigned *flags);
uint64_t fpu_maxm(FPFormat f, uint64_t a, uint64_t b, unsigned *flags);

bool fpu_compare(FPFormat f, FPCompare cmp, uint64_t a, uint64_t b, unsigned *flags);
/* The ten-bit mask of FCLASS. */
unsigned fpu_class(FPFormat f, uint64_t a);

uint64_t fpu_convert(FPFormat to, FPFormat from, uint64_t a, FPRound rm, unsigned *flags);
/* Saturating; 32-bit results, unsigned ones too, are sign-extended as FCVT.W[U] does. */
uint64_t fpu_to_int(FPFormat f, FPInt to, uint64_t a, FPRound rm, unsigned *flags);
uint64_t fpu_from_int(FPFormat f, FPInt from, uint64_t a, FPRound rm, unsigned *flags);
/* FCVTMOD.W.D: truncates, result modulo 2^32, sign-extended. */
uint64_t fpu_to_i32_modulo(uint64_t a, unsigned *flags);
/* To an integral value of the same format; NX is raised if `exact` (froundnx). */
uint64_t fpu_round_to_int(FPFormat f, uint64_t a, FPRound rm, bool exact,
                          unsigned *flags);

/* Constant number `index` (0-31) of FLI. */
uint64_t fpu_constant(FPFormat f, unsigned index);
uint64_t fpu_default_nan(FPFormat f);

#endif
