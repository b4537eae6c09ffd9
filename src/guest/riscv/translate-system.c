/* SPDX-License-Identifier: MIT
 *
 * System calls, CSRs of user mode, cache and hint instructions, may-be operations.
 */
#include "guest/riscv/csr.h"
#include "guest/riscv/translate.h"

/*
 * The run loop leaves at the instruction itself: a system call that is to be restarted is
 * simply executed again.  A trap ends a reservation (Unprivileged ISA, "LR/SC").
 */
bool trans_ecall(DisasContext *ctx, arg_empty *a)
{
    if (ctx->tc->system_mode && gen_system_ecall(ctx)) {
        return true;
    }
    ir_gen_stenv(ctx->b, offsetof(CPUState, llsc_addr), const64(ctx, UINT64_MAX));
    gen_exit_reason(ctx, ctx->pc, EXIT_REASON_SYSCALL);
    return true;
}

bool trans_ebreak(DisasContext *ctx, arg_empty *a)
{
    gen_exit_reason(ctx, ctx->pc, EXIT_REASON_BREAKPOINT);
    return true;
}

/*
 * The vDSO asks user mode for the time with an instruction of its own (custom-0, rd = t0), which is
 * illegal everywhere else: t0 = 0 if the call that a7, a0 and a1 describe is done.
 */
bool gen_vdso_call(DisasContext *ctx, uint32_t insn)
{
    if (insn != RISCV_VDSO_INSN || ctx->pc < ctx->tc->vdso_start ||
        ctx->pc >= ctx->tc->vdso_end) {
        return false;
    }
    IRRef args[] = {get_x(ctx, RISCV_A7), get_x(ctx, RISCV_A0), get_x(ctx, RISCV_A0 + 1)};
    put_x(ctx, RISCV_T0, ir_call(ctx->b, RISCV_HELPER_vdso_call, 0, 3, args));
    return true;
}

/* ---- CSRs ---- */

typedef enum CSROp { CSR_OP_WRITE, CSR_OP_SET, CSR_OP_CLEAR } CSROp;

static IRRef gen_csr_read(DisasContext *ctx, const RISCVCSR *csr)
{
    IRBuilder *b = ctx->b;
    switch (csr->number) {
    case CSR_FFLAGS: return ir_emit(b, IR_FPGET, IR_I64, 0, 0, 0, 0, 0);
    case CSR_FRM:
        return ir_gen_zext(b, IR_I64, ir_gen_ldenv(b, IR_I32, offsetof(RISCVCPU, frm)));
    default: {
        IRRef number = const64(ctx, csr->number);
        return ir_call(b, RISCV_HELPER_csr_read, 0, 1, &number);
    }
    }
}

static void gen_csr_write(DisasContext *ctx, const RISCVCSR *csr, IRRef val)
{
    IRBuilder *b = ctx->b;
    if (csr->number == CSR_FFLAGS) {
        val = ir_gen_and(b, val, const64(ctx, 31));
        ir_emit(b, IR_FPSET, IR_VOID, 0, val, 0, 0, 0);
    } else if (csr->number == CSR_FRM) {
        ir_call(b, RISCV_HELPER_set_frm, 0, 1, &val);
    } else {
        IRRef args[] = {const64(ctx, csr->number), val};
        ir_call(b, RISCV_HELPER_csr_write, 0, 2, args);
    }
}

/* Whether code after this write is translated under the same flags as before. */
static bool keeps_state(DisasContext *ctx, const RISCVCSR *csr, IRRef val)
{
    if (!csr->changes_state) {
        return true;
    }
    if (!ir_is_const(ctx->b->f, val)) {
        return false;
    }
    uint64_t v = (uint64_t)ir_ins(ctx->b->f, val)->imm;
    uint32_t frm = (csr->number == CSR_FRM ? v : v >> 5) & 7;
    return riscv_frm_tb_flags(frm) == (ctx->tc->flags & RISCV_TB_FRM);
}

static bool gen_csr(DisasContext *ctx, unsigned rd, unsigned number, CSROp op,
                    IRRef operand, bool writes, bool reads)
{
    if (ctx->tc->system_mode) {
        bool is_small = ir_is_const(ctx->b->f, operand) && ctx->insn >> 14 & 1;
        return gen_system_csr(ctx, rd, number, operand, writes, is_small);
    }
    const RISCVCSR *csr = riscv_csr_find(number);
    if (!csr || !(csr->ext & ctx->ext) || riscv_csr_privilege(number) > 0 ||
        (writes && riscv_csr_is_read_only(number))) {
        return false;
    }
    IRBuilder *b = ctx->b;
    IRRef old = reads ? gen_csr_read(ctx, csr) : IR_NONE;
    if (writes) {
        IRRef val = op == CSR_OP_WRITE ? operand
                    : op == CSR_OP_SET ? ir_gen_or(b, old, operand)
                                       : ir_gen_andn(b, old, operand);
        gen_csr_write(ctx, csr, val);
        if (reads) {
            put_x(ctx, rd, old);
        }
        if (!keeps_state(ctx, csr, val)) {
            gen_exit_lookup(ctx, ctx->next_pc);
        }
    } else {
        put_x(ctx, rd, old);
    }
    return true;
}

/* CSRRW x0 does not read; CSRRS and CSRRC of x0 or 0 do not write. */
#define TRANS_CSR(name, op)                                                              \
    bool trans_##name(DisasContext *ctx, arg_csr *a)                                     \
    {                                                                                    \
        return gen_csr(ctx, a->rd, (unsigned)a->csr, op, get_x(ctx, a->rs1),             \
                       op == CSR_OP_WRITE || a->rs1, op != CSR_OP_WRITE || a->rd);       \
    }                                                                                    \
    bool trans_##name##i(DisasContext *ctx, arg_csri *a)                                 \
    {                                                                                    \
        return gen_csr(ctx, a->rd, (unsigned)a->csr, op,                                 \
                       const64(ctx, (uint64_t)a->uimm), op == CSR_OP_WRITE || a->uimm,   \
                       op != CSR_OP_WRITE || a->rd);                                     \
    }
TRANS_CSR(csrrw, CSR_OP_WRITE)
TRANS_CSR(csrrs, CSR_OP_SET)
TRANS_CSR(csrrc, CSR_OP_CLEAR)

/* ---- caches ---- */

/* In system mode the flags say what envcfg allows; Linux lets user mode do all but CBO.INVAL. */
static bool is_cbo_legal(const DisasContext *ctx, RISCVTBFlags allowed)
{
    return ctx->tc->system_mode ? (ctx->tc->flags & allowed) != 0 : allowed != RISCV_TB_CBIE;
}

bool trans_cbo_zero(DisasContext *ctx, arg_cbo *a)
{
    if (!is_cbo_legal(ctx, RISCV_TB_CBZE)) {
        return false;
    }
    IRBuilder *b = ctx->b;
    IRRef zero = const64(ctx, 0);
    IRRef mask = const64(ctx, -(uint64_t)RISCV_CBO_BLOCK_SIZE);
    IRRef addr = ir_gen_and(b, get_x(ctx, a->rs1), mask);
    for (unsigned i = 0; i < RISCV_CBO_BLOCK_SIZE; i += 8) {
        gen_guest_store(ctx, MO_64, addr, i, zero);
    }
    return true;
}

/* Caches are coherent; only the access is checked. */
static bool gen_cbo(DisasContext *ctx, arg_cbo *a, RISCVTBFlags allowed)
{
    if (!is_cbo_legal(ctx, allowed)) {
        return false;
    }
    IRRef addr = get_x(ctx, a->rs1);
    if (ctx->tc->system_mode) {
        gen_cbo_check(ctx, addr);
    } else {
        ir_gen_ld(ctx->b, snap_here(ctx), IR_I64, MO_8, addr, 0);
    }
    return true;
}

bool trans_cbo_clean(DisasContext *ctx, arg_cbo *a) { return gen_cbo(ctx, a, RISCV_TB_CBCFE); }
bool trans_cbo_flush(DisasContext *ctx, arg_cbo *a) { return gen_cbo(ctx, a, RISCV_TB_CBCFE); }
bool trans_cbo_inval(DisasContext *ctx, arg_cbo *a) { return gen_cbo(ctx, a, RISCV_TB_CBIE); }

bool trans_prefetch_i(DisasContext *ctx, arg_pf *a) { return true; }
bool trans_prefetch_r(DisasContext *ctx, arg_pf *a) { return true; }
bool trans_prefetch_w(DisasContext *ctx, arg_pf *a) { return true; }

/* ---- hints and may-be operations ---- */

bool trans_ntl_p1(DisasContext *ctx, arg_empty *a) { return true; }
bool trans_ntl_pall(DisasContext *ctx, arg_empty *a) { return true; }
bool trans_ntl_s1(DisasContext *ctx, arg_empty *a) { return true; }
bool trans_ntl_all(DisasContext *ctx, arg_empty *a) { return true; }

bool trans_mop_r(DisasContext *ctx, arg_mop_r *a)
{
    put_x(ctx, a->rd, const64(ctx, 0));
    return true;
}

bool trans_mop_rr(DisasContext *ctx, arg_mop_rr *a)
{
    put_x(ctx, a->rd, const64(ctx, 0));
    return true;
}

bool trans_c_mop(DisasContext *ctx, arg_c_mop *a) { return true; }
