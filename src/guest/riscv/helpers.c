/* SPDX-License-Identifier: MIT
 *
 * Run-time helpers of the RISC-V guest: the rare things that translations call.
 *
 * Each runs on the vCPU's own thread, called from generated code or the interpreter, and
 * touches only that vCPU.  None takes a lock; check_aligned()
 * and check_jump() alone may leave by an exception.
 */
#include "guest/riscv/helpers.h"

#include "exec/exec.h"
#include "guest/riscv/csr.h"
#include "guest/riscv/fp-helper.h"

const IRHelper riscv_helpers[RISCV_NHELPERS] = {
#define HELPER(id, ret, n, flags) RISCV_HELPER_ROW(RISCV_HELPER_##id, id, ret, n, flags)
#include "guest/riscv/helpers.def"
#undef HELPER
};

static void accrue(CPUState *cpu, unsigned flags)
{
    if (flags) {
        host_fp_set_flags(&cpu->env, host_fp_get_flags(&cpu->env) | flags);
    }
}

static FPRound rounding(CPUState *cpu, uint64_t code)
{
    unsigned rm = fph_rm(code);
    return (FPRound)(rm == FPH_RM_DYN ? riscv_cpu(cpu)->frm : rm);
}

static uint64_t sign_inject(FPHelperOp op, uint64_t a, uint64_t b, uint64_t sign)
{
    uint64_t s = op == FPH_SGNJ ? b : op == FPH_SGNJN ? ~b : a ^ b;
    return (a & ~sign) | (s & sign);
}

static uint64_t min_max(FPHelperOp op, FPFormat f, uint64_t a, uint64_t b,
                        unsigned *flags)
{
    switch (op) {
    case FPH_MIN: return fpu_min(f, a, b, flags);
    case FPH_MAX: return fpu_max(f, a, b, flags);
    case FPH_MINM: return fpu_minm(f, a, b, flags);
    default: return fpu_maxm(f, a, b, flags);
    }
}

uint64_t helper_fp_f(void *cpu, uint64_t code, uint64_t a_reg, uint64_t b_reg,
                     uint64_t c_reg)
{
    FPFormat f = fph_format(code);
    FPHelperOp op = fph_op(code);
    FPRound rm = rounding(cpu, code);
    unsigned other = fph_other(code), flags = 0;
    uint64_t a = fp_unbox(f, a_reg), b = fp_unbox(f, b_reg), c = fp_unbox(f, c_reg), r;
    switch (op) {
    case FPH_ADD: r = fpu_add(f, a, b, rm, &flags); break;
    case FPH_SUB: r = fpu_sub(f, a, b, rm, &flags); break;
    case FPH_MUL: r = fpu_mul(f, a, b, rm, &flags); break;
    case FPH_DIV: r = fpu_div(f, a, b, rm, &flags); break;
    case FPH_SQRT: r = fpu_sqrt(f, a, rm, &flags); break;
    case FPH_FMA: r = fpu_fma(f, a, b, c, other, rm, &flags); break;
    case FPH_SGNJ:
    case FPH_SGNJN:
    case FPH_SGNJX:
        r = sign_inject(op, a, b,
                        UINT64_C(1) << (f == FP_16   ? 15
                                        : f == FP_32 ? 31
                                                     : 63));
        break;
    case FPH_ROUND: r = fpu_round_to_int(f, a, rm, false, &flags); break;
    case FPH_ROUNDNX: r = fpu_round_to_int(f, a, rm, true, &flags); break;
    case FPH_FROM_FP:
        r = fpu_convert(f, (FPFormat)other, fp_unbox((FPFormat)other, a_reg), rm, &flags);
        break;
    case FPH_FROM_INT: r = fpu_from_int(f, (FPInt)other, a_reg, rm, &flags); break;
    default: r = min_max(op, f, a, b, &flags); break;
    }
    accrue(cpu, flags);
    return fp_box(f, r);
}

uint64_t helper_fp_x(void *cpu, uint64_t code, uint64_t a_reg, uint64_t b_reg)
{
    FPFormat f = fph_format(code);
    unsigned other = fph_other(code), flags = 0;
    uint64_t a = fp_unbox(f, a_reg), r;
    switch (fph_op(code)) {
    case FPH_TO_INT:
        r = fpu_to_int(f, (FPInt)other, a, rounding(cpu, code), &flags);
        break;
    case FPH_COMPARE:
        r = fpu_compare(f, (FPCompare)other, a, fp_unbox(f, b_reg), &flags);
        break;
    default: r = fpu_to_i32_modulo(a, &flags); break;
    }
    accrue(cpu, flags);
    return r;
}

uint64_t helper_fclass(void *cpu, uint64_t format, uint64_t a)
{
    return fpu_class((FPFormat)format, fp_unbox((FPFormat)format, a));
}

uint64_t helper_set_frm(void *cpu, uint64_t frm)
{
    riscv_set_frm(cpu, frm & 7);
    return 0;
}

uint64_t helper_check_aligned(void *opaque, uint64_t addr, uint64_t size)
{
    CPUState *cpu = opaque;
    if (addr & (size - 1)) {
        cpu->fault_addr = cpu->env.exit_addr = addr;
        cpu->fault_is_store = true;
        cpu_leave_from_helper(cpu, EXIT_REASON_MISALIGNED);
    }
    return 0;
}

uint64_t helper_check_jump(void *opaque, uint64_t target)
{
    CPUState *cpu = opaque;
    if (target & 2) {
        cpu->fault_addr = target;
        cpu_leave_from_helper(cpu, EXIT_REASON_MISALIGNED_JUMP);
    }
    return 0;
}

uint64_t helper_vdso_call(void *cpu, uint64_t nr, uint64_t a0, uint64_t a1)
{
    return exec_vdso_call(cpu, nr, a0, a1);
}

uint64_t helper_csr_read(void *cpu, uint64_t number)
{
    return riscv_csr_find((unsigned)number)->read(cpu);
}

uint64_t helper_csr_write(void *cpu, uint64_t number, uint64_t value)
{
    riscv_csr_find((unsigned)number)->write(cpu, value);
    return 0;
}
