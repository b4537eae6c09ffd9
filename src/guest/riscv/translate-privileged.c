/* SPDX-License-Identifier: MIT
 *
 * What only system mode has: CSRs in general, returns from traps, WFI, fences of address
 * translation, and what mstatus.FS says of floating point.
 *
 * Whatever is known from the unit's flags (mode, TVM, TW, TSR, FS, envcfg) is decided here;
 * the rest by helpers, which raise the exception themselves.
 *
 * After an instruction that may let an interrupt through stands a POLL: its helper has kicked the
 * hart if one is due, so it is taken before the next instruction, and if none is, the unit just
 * goes on.  After one that may change the flags, the unit ends: chained to the next
 * if the flags are what they were, else by a look-up: in the jump cache, if the helper has selected the right one.
 */
#include "guest/riscv/csr-info.h"
#include "guest/riscv/csr.h"
#include "guest/riscv/hart.h"
#include "guest/riscv/helpers-system.h"
#include "guest/riscv/translate.h"

void gen_note_insn(DisasContext *ctx, unsigned bytes)
{
    uint64_t bits = bytes == 2 ? ctx->insn & 0xffff : ctx->insn;
    ir_gen_stenv(ctx->b, offsetof(RISCVHart, insn), const64(ctx, bits));
}

/* ---- floating point ---- */

typedef enum FPUse { FP_NONE, FP_READS, FP_WRITES } FPUse;

/* Whether an instruction is one of F, D, Zfh, and may change registers or flags. */
static FPUse fp_use(uint32_t insn, unsigned bytes)
{
    if (bytes == 2) {
        switch ((insn & 3) << 3 | insn >> 13) {
        case 001: /* C.FLD */
        case 021: /* C.FLDSP */ return FP_WRITES;
        case 005: /* C.FSD */
        case 025: /* C.FSDSP */ return FP_READS;
        default: return FP_NONE;
        }
    }
    unsigned width = insn >> 12 & 7;
    switch (insn & 0x7f) {
    case 0x07: /* LOAD-FP */ return width >= 1 && width <= 3 ? FP_WRITES : FP_NONE;
    case 0x27: /* STORE-FP */ return width >= 1 && width <= 3 ? FP_READS : FP_NONE;
    case 0x43: /* FMADD ... FNMADD */
    case 0x47:
    case 0x4b:
    case 0x4f:
    case 0x53: /* OP-FP */ return FP_WRITES;
    default: return FP_NONE;
    }
}

/* Above U-mode the flags say nothing of FS: the first instruction of a unit that reads, and the first that
 * writes, look. */
static void gen_fp_ask(DisasContext *ctx, FPUse use, unsigned bytes)
{
    if (ctx->fp_checked < use) {
        uint64_t bits = bytes == 2 ? ctx->insn & 0xffff : ctx->insn;
        IRRef args[] = {const64(ctx, bits), const64(ctx, use == FP_WRITES)};
        ir_call(ctx->b, RISCV_SYSTEM_HELPER_fp_check, snap_here(ctx), 2, args);
        ctx->fp_checked = use;
    }
}

bool gen_fp_check(DisasContext *ctx, unsigned bytes, bool *legal)
{
    FPUse use = fp_use(ctx->insn, bytes);
    if (use == FP_NONE) {
        return true;
    }
    if (ctx_privilege(ctx) > RISCV_PRIV_U) {
        gen_fp_ask(ctx, use, bytes);
        return true;
    }
    if (!(ctx->tc->flags & RISCV_TB_FP_ON)) {
        *legal = false;
        return false;
    }
    if (use == FP_READS || (ctx->tc->flags & RISCV_TB_FP_DIRTY)) {
        return true;
    }
    /* The first write since the state was clean: seldom, so the rest of the unit is another one. */
    if (ctx->tc->ninsns == 0) {
        ir_uncount_insn(ctx->b);
        ir_call(ctx->b, RISCV_SYSTEM_HELPER_fp_dirty, 0, 0, NULL);
        gen_exit_lookup(ctx, ctx->pc);
    } else {
        gen_end_before(ctx);
    }
    return false;
}

/* ---- CSRs ---- */

/* sstatus and mstatus have no more than interrupt enables in their low five bits. */
static unsigned csr_effects(const CSRInfo *csr, bool small_operand, bool sets_all)
{
    bool is_status = csr->number == 0x100 || csr->number == 0x300;
    return is_status && small_operand && !sets_all ? FX_IRQ : csr->effects;
}

/* To the next instruction by way of the jump cache. */
static void gen_exit_probe(DisasContext *ctx)
{
    ir_gen_exitind(ctx->b, snap_end(ctx, ctx->pc), IR_EXIT_LOOKUP, const64(ctx, ctx->next_pc), 0);
    ctx->ended = true;
}

/* The flags may have changed.  If not, on to the next instruction. */
static void gen_after_flags(DisasContext *ctx)
{
    IRBuilder *b = ctx->b;
    if (!(ctx->tc->cflags & CF_LOOKUP_EXITS)) {
        IRRef now = ir_gen_ldenv(b, IR_I32, offsetof(RISCVHart, tb_flags));
        ir_gen_exitif(b, ir_snapshot(b, ctx->next_pc), IR_EQ, now, ir_const(b, IR_I32, ctx->tc->flags));
    }
}

static void gen_after_write(DisasContext *ctx, unsigned effects)
{
    IRBuilder *b = ctx->b;
    if (effects & FX_IRQ) {
        ir_gen_poll(b, ir_snapshot(b, ctx->next_pc));
    }
    if (effects & FX_MAP) {
        gen_exit_lookup(ctx, ctx->next_pc);
    } else if (effects & FX_FLAGS) {
        gen_after_flags(ctx);
        gen_exit_lookup(ctx, ctx->next_pc);
    }
}

/* A register without any effect, open to this mode: no call. */
static void gen_plain_csr(DisasContext *ctx, const CSRInfo *csr, unsigned rd, IRRef operand,
                          bool writes)
{
    IRBuilder *b = ctx->b;
    IRRef old = ir_gen_ldenv(b, IR_I64, csr->offset);
    if (writes) {
        unsigned op = ctx->insn >> 12 & 3;
        IRRef val = op == 1   ? operand
                    : op == 2 ? ir_gen_or(b, old, operand)
                              : ir_gen_andn(b, old, operand);
        uint64_t mask = riscv_csr_mask(csr);
        if (mask != ~UINT64_C(0)) {
            val = ir_gen_and(b, val, const64(ctx, mask));
        }
        ir_gen_stenv(b, csr->offset, val);
    }
    put_x(ctx, rd, old);
}

/* An instruction that writes sstatus, the most frequent of all. */
static void gen_sstatus(DisasContext *ctx, unsigned rd, IRRef operand, unsigned effects)
{
    IRBuilder *b = ctx->b;
    IRRef args[] = {const64(ctx, ctx->insn), operand, const64(ctx, ctx->tc->cflags)};
    put_x(ctx, rd, ir_call(b, RISCV_SYSTEM_HELPER_sstatus, 0, 3, args));
    ctx->fp_checked = FP_NONE;
    ir_gen_poll(b, ir_snapshot(b, ctx->next_pc));
    if (effects & FX_FLAGS) {
        gen_after_flags(ctx);
        gen_exit_probe(ctx);
    }
}

bool gen_system_csr(DisasContext *ctx, unsigned rd, unsigned number, IRRef operand, bool writes,
                    bool small_operand)
{
    const CSRInfo *csr = riscv_csr_info(number);
    if (!csr || !(csr->ext & ctx->ext) || riscv_csr_privilege(number) > ctx_privilege(ctx) ||
        (writes && riscv_csr_is_read_only(number))) {
        return false;
    }
    if (csr->kind == CSR_KIND_PLAIN && !csr->effects) {
        gen_plain_csr(ctx, csr, rd, operand, writes);
        return true;
    }
    if (ctx->tc->cflags & CF_ICOUNT) {
        /* Alone in its unit: while it is executed, all that was charged for has been. */
        if (ctx->tc->ninsns) {
            gen_end_before(ctx);
            return true;
        }
        ctx->stop = true;
    }
    bool sets_all = (ctx->insn >> 12 & 3) == 1;
    unsigned effects = writes ? csr_effects(csr, small_operand, sets_all) : 0;
    if (writes && number == 0x100) {
        gen_sstatus(ctx, rd, operand, effects);
        return true;
    }
    IRRef args[] = {const64(ctx, ctx->insn), operand};
    IRRef old = ir_call(ctx->b, RISCV_SYSTEM_HELPER_csr, snap_here(ctx), 2, args);
    put_x(ctx, rd, old);
    ctx->fp_checked = FP_NONE;
    gen_after_write(ctx, effects);
    return true;
}

/* ---- system calls and returns from traps ---- */

/* The helper changes the mode and says where to go on. */
static bool gen_change_mode(DisasContext *ctx, unsigned helper)
{
    IRBuilder *b = ctx->b;
    IRRef args[] = {const64(ctx, ctx->pc), const64(ctx, ctx->tc->cflags)};
    IRRef pc = ir_call(b, helper, 0, 2, args);
    ir_gen_exitind(b, snap_end(ctx, ctx->pc), IR_EXIT_LOOKUP, pc, 0);
    ctx->ended = true;
    return true;
}

bool gen_system_ecall(DisasContext *ctx)
{
    /* Counted or looked at one by one, it is the run loop's. */
    bool plain = ctx_privilege(ctx) == RISCV_PRIV_U && !(ctx->tc->cflags & (CF_LOOKUP_EXITS | CF_ICOUNT));
    return plain && gen_change_mode(ctx, RISCV_SYSTEM_HELPER_ecall);
}

bool trans_sret(DisasContext *ctx, arg_empty *a)
{
    return ctx_privilege(ctx) >= RISCV_PRIV_S && !(ctx->tc->flags & RISCV_TB_TSR) &&
           gen_change_mode(ctx, RISCV_SYSTEM_HELPER_sret);
}

bool trans_mret(DisasContext *ctx, arg_empty *a)
{
    return ctx_privilege(ctx) == RISCV_PRIV_M &&
           gen_change_mode(ctx, RISCV_SYSTEM_HELPER_mret);
}

/* ---- waiting ---- */

bool trans_wfi(DisasContext *ctx, arg_empty *a)
{
    if (ctx_privilege(ctx) < RISCV_PRIV_S || (ctx->tc->flags & RISCV_TB_TW)) {
        return false;
    }
    gen_exit_reason(ctx, ctx->next_pc, EXIT_REASON_RISCV_WFI);
    return true;
}

/* ---- address translation ---- */

/* In S-mode, and with TVM = 0 or in M-mode. */
static bool may_fence(const DisasContext *ctx)
{
    return ctx_privilege(ctx) >= RISCV_PRIV_S && !(ctx->tc->flags & RISCV_TB_TVM);
}

/* This page, too, may be another now. */
bool trans_sfence_vma(DisasContext *ctx, arg_vma *a)
{
    if (!may_fence(ctx)) {
        return false;
    }
    uint64_t given = (a->rs1 ? 1 : 0) | (a->rs2 ? 2 : 0);
    IRRef args[] = {const64(ctx, given), get_x(ctx, a->rs1), get_x(ctx, a->rs2)};
    ir_call(ctx->b, RISCV_SYSTEM_HELPER_sfence_vma, 0, 3, args);
    gen_exit_probe(ctx);
    return true;
}

bool trans_sinval_vma(DisasContext *ctx, arg_vma *a) { return trans_sfence_vma(ctx, a); }

/* SINVAL.VMA does all there is to do, at once. */
bool trans_sfence_w_inval(DisasContext *ctx, arg_empty *a)
{
    return ctx_privilege(ctx) >= RISCV_PRIV_S;
}
bool trans_sfence_inval_ir(DisasContext *ctx, arg_empty *a)
{
    return ctx_privilege(ctx) >= RISCV_PRIV_S;
}

void gen_cbo_check(DisasContext *ctx, IRRef addr)
{
    ir_call(ctx->b, RISCV_SYSTEM_HELPER_cbo, snap_here(ctx), 1, &addr);
}
