/* SPDX-License-Identifier: MIT
 *
 * RV32I and RV64I: arithmetic, branches, loads and stores, fences.
 */
#include "guest/riscv/translate.h"

/* ---- constants and register-register arithmetic ---- */

bool trans_lui(DisasContext *ctx, arg_u *a)
{
    put_x(ctx, a->rd, const64(ctx, (int64_t)a->imm));
    return true;
}

bool trans_auipc(DisasContext *ctx, arg_u *a)
{
    put_x(ctx, a->rd, const64(ctx, ctx->pc + (int64_t)a->imm));
    return true;
}

/* rd = op(rs1, rs2) in 64 bits, and in the low 32 with the result sign-extended. */
#define TRANS_R(name, op)                                                                \
    bool trans_##name(DisasContext *ctx, arg_r *a)                                       \
    {                                                                                    \
        IRRef x = get_x(ctx, a->rs1), y = get_x(ctx, a->rs2);                            \
        put_x(ctx, a->rd, ir_gen_##op(ctx->b, x, y));                                    \
        return true;                                                                     \
    }
#define TRANS_RW(name, op)                                                               \
    bool trans_##name(DisasContext *ctx, arg_r *a)                                       \
    {                                                                                    \
        IRRef x = get_x32(ctx, a->rs1), y = get_x32(ctx, a->rs2);                        \
        put_x_sext(ctx, a->rd, ir_gen_##op(ctx->b, x, y));                               \
        return true;                                                                     \
    }
#define TRANS_I(name, op)                                                                \
    bool trans_##name(DisasContext *ctx, arg_i *a)                                       \
    {                                                                                    \
        IRRef x = get_x(ctx, a->rs1), y = const64(ctx, (int64_t)a->imm);                 \
        put_x(ctx, a->rd, ir_gen_##op(ctx->b, x, y));                                    \
        return true;                                                                     \
    }
/* Shift counts have their instruction's width, as the IR's. */
#define TRANS_SHIFT(name, op)                                                            \
    bool trans_##name(DisasContext *ctx, arg_shift *a)                                   \
    {                                                                                    \
        IRRef x = get_x(ctx, a->rs1), y = const64(ctx, a->shamt);                        \
        put_x(ctx, a->rd, ir_gen_##op(ctx->b, x, y));                                    \
        return true;                                                                     \
    }
#define TRANS_SHIFTW(name, op)                                                           \
    bool trans_##name(DisasContext *ctx, arg_shift *a)                                   \
    {                                                                                    \
        IRRef x = get_x32(ctx, a->rs1), y = ir_const(ctx->b, IR_I32, a->shamt);          \
        put_x_sext(ctx, a->rd, ir_gen_##op(ctx->b, x, y));                               \
        return true;                                                                     \
    }

TRANS_R(add, add)
TRANS_R(sub, sub)
TRANS_R(sll, shl)
TRANS_R(srl, shr)
TRANS_R(sra, sar)
TRANS_R(xor, xor)
TRANS_R(or, or)
TRANS_R(and, and)
TRANS_RW(addw, add)
TRANS_RW(subw, sub)
TRANS_RW(sllw, shl)
TRANS_RW(srlw, shr)
TRANS_RW(sraw, sar)
TRANS_I(xori, xor)
TRANS_I(ori, or)
TRANS_I(andi, and)
TRANS_SHIFT(slli, shl)
TRANS_SHIFT(srli, shr)
TRANS_SHIFT(srai, sar)
TRANS_SHIFTW(slliw, shl)
TRANS_SHIFTW(srliw, shr)
TRANS_SHIFTW(sraiw, sar)

bool trans_addi(DisasContext *ctx, arg_i *a)
{
    IRRef x = get_x(ctx, a->rs1);
    put_x(ctx, a->rd, a->imm ? ir_gen_add(ctx->b, x, const64(ctx, (int64_t)a->imm)) : x);
    return true;
}

bool trans_addiw(DisasContext *ctx, arg_i *a)
{
    IRRef x = get_x32(ctx, a->rs1);
    if (a->imm) {
        x = ir_gen_add(ctx->b, x, ir_const(ctx->b, IR_I32, (uint32_t)a->imm));
    }
    put_x_sext(ctx, a->rd, x);
    return true;
}

static bool gen_set(DisasContext *ctx, unsigned rd, IRCond cond, IRRef x, IRRef y)
{
    put_x(ctx, rd, ir_gen_setcc(ctx->b, IR_I64, cond, x, y));
    return true;
}

bool trans_slt(DisasContext *ctx, arg_r *a)
{
    return gen_set(ctx, a->rd, IR_LT, get_x(ctx, a->rs1), get_x(ctx, a->rs2));
}

bool trans_sltu(DisasContext *ctx, arg_r *a)
{
    return gen_set(ctx, a->rd, IR_LTU, get_x(ctx, a->rs1), get_x(ctx, a->rs2));
}

bool trans_slti(DisasContext *ctx, arg_i *a)
{
    return gen_set(ctx, a->rd, IR_LT, get_x(ctx, a->rs1), const64(ctx, (int64_t)a->imm));
}

bool trans_sltiu(DisasContext *ctx, arg_i *a)
{
    return gen_set(ctx, a->rd, IR_LTU, get_x(ctx, a->rs1), const64(ctx, (int64_t)a->imm));
}

/* ---- jumps and branches ---- */

/* x1 and x5 hold return addresses (Unprivileged ISA, table "Return-address stack
 * prediction hints"). */
static bool is_link(unsigned reg) { return reg == RISCV_RA || reg == RISCV_T0; }

/*
 * Without C, instructions are 4-byte aligned.  The exception is that of the jump, before
 * any effect of it, and of a branch only if it is taken.
 */
static bool is_misaligned(const DisasContext *ctx, vaddr target)
{
    return (target & 2) && !(ctx->ext & RISCV_EXT_C);
}

/* A jump to a known target that is misaligned. */
static bool gen_misaligned_jump(DisasContext *ctx, vaddr target)
{
    IRRef arg = const64(ctx, target);
    ir_call(ctx->b, RISCV_HELPER_check_jump, snap_here(ctx), 1, &arg);
    gen_exit_lookup(ctx, ctx->pc); /* not reached */
    return true;
}

/* A jump that does not link to a known target. */
static void gen_jump(DisasContext *ctx, vaddr target)
{
    if (can_loop_to(ctx, target)) {
        ir_settle(ctx->b);
        gen_poll(ctx);
        ir_gen_loop(ctx->b, snap_end(ctx, target));
        ctx->ended = true;
    } else if (target > ctx->pc && !ctx->tc->exists(ctx->tc, target)) {
        ctx->next_pc = target;
    } else {
        if (target <= ctx->pc) {
            gen_poll(ctx);
        }
        gen_goto(ctx, target);
    }
}

bool trans_jal(DisasContext *ctx, arg_j *a)
{
    vaddr target = ctx->pc + (int64_t)a->imm, link = ctx->next_pc;
    if (is_misaligned(ctx, target)) {
        return gen_misaligned_jump(ctx, target);
    }
    if (a->rd == 0) {
        gen_jump(ctx, target);
        return true;
    }
    if (target <= ctx->pc) {
        gen_poll(ctx);
    }
    put_x(ctx, a->rd, const64(ctx, link));
    if (is_link(a->rd)) {
        gen_call(ctx, target, link);
    } else {
        gen_goto(ctx, target);
    }
    return true;
}

/* JALR whose target is known: LUI or AUIPC went before. */
static void gen_jalr_known(DisasContext *ctx, unsigned rd, vaddr target, vaddr link)
{
    gen_poll(ctx);
    put_x(ctx, rd, const64(ctx, link));
    if (is_link(rd)) {
        gen_call(ctx, target, link);
    } else {
        gen_goto(ctx, target);
    }
}

bool trans_jalr(DisasContext *ctx, arg_i *a)
{
    vaddr link = ctx->next_pc;
    IRRef target = get_x(ctx, a->rs1);
    if (a->imm) {
        target = ir_gen_add(ctx->b, target, const64(ctx, (int64_t)a->imm));
    }
    if (ir_is_const(ctx->b->f, target)) {
        vaddr known = (uint64_t)ir_ins(ctx->b->f, target)->imm & ~UINT64_C(1);
        if (is_misaligned(ctx, known)) {
            return gen_misaligned_jump(ctx, known);
        }
        gen_jalr_known(ctx, a->rd, known, link);
        return true;
    }
    ir_settle(ctx->b);
    gen_poll(ctx);
    target = ir_gen_and(ctx->b, target, const64(ctx, ~UINT64_C(1)));
    if (!(ctx->ext & RISCV_EXT_C)) {
        ir_call(ctx->b, RISCV_HELPER_check_jump, snap_here(ctx), 1, &target);
    }
    IRExit kind = IR_EXIT_JUMP;
    if (is_link(a->rd)) {
        kind = IR_EXIT_CALL;
    } else if (is_link(a->rs1) && a->rd == 0) {
        kind = IR_EXIT_RET;
    }
    if (ctx->tc->cflags & CF_LOOKUP_EXITS) {
        kind = IR_EXIT_JUMP;
    }
    put_x(ctx, a->rd, const64(ctx, link));
    ir_gen_exitind(ctx->b, snap_end(ctx, ctx->pc), kind, target,
                   kind == IR_EXIT_CALL ? (int64_t)link : 0);
    ctx->ended = true;
    return true;
}

/*
 * Behind this many side exits a unit ends: what follows is likely the tail of other units as
 * well, and chaining costs only a jump.  A quarter less is translated than without the limit.
 */
#define MAX_SIDE_EXITS 3

static bool gen_branch(DisasContext *ctx, arg_b *a, IRCond cond)
{
    vaddr target = ctx->pc + (int64_t)a->imm;
    IRRef x = get_x(ctx, a->rs1), y = get_x(ctx, a->rs2);
    if (is_misaligned(ctx, target)) {
        ir_gen_exitif(ctx->b, ir_snapshot(ctx->b, ctx->next_pc), (IRCond)(cond ^ 1), x,
                      y);
        return gen_misaligned_jump(ctx, target);
    }
    if (gen_skip(ctx, target, cond, x, y)) {
        return true;
    }
    bool loops = can_loop_to(ctx, target);
    if (loops) {
        ir_settle(ctx->b); /* nothing may come between the exit and LOOP */
    }
    if (target <= ctx->pc) {
        gen_poll(ctx);
    }
    if (loops) {
        ir_gen_exitif(ctx->b, ir_snapshot(ctx->b, ctx->next_pc), (IRCond)(cond ^ 1), x,
                      y);
        ir_gen_loop(ctx->b, snap_end(ctx, target));
        ctx->ended = true;
    } else {
        ir_gen_exitif(ctx->b, ir_snapshot(ctx->b, target), cond, x, y);
        if (++ctx->side_exits == MAX_SIDE_EXITS || ctx->tc->exists(ctx->tc, ctx->next_pc)) {
            gen_goto(ctx, ctx->next_pc);
        }
    }
    return true;
}

#define TRANS_BRANCH(name, cond)                                                         \
    bool trans_##name(DisasContext *ctx, arg_b *a) { return gen_branch(ctx, a, cond); }
TRANS_BRANCH(beq, IR_EQ)
TRANS_BRANCH(bne, IR_NE)
TRANS_BRANCH(blt, IR_LT)
TRANS_BRANCH(bge, IR_GE)
TRANS_BRANCH(bltu, IR_LTU)
TRANS_BRANCH(bgeu, IR_GEU)

/* ---- loads and stores ---- */

static bool gen_load(DisasContext *ctx, arg_i *a, unsigned memop)
{
    IRRef addr = get_x(ctx, a->rs1);
    put_x(ctx, a->rd, ir_gen_ld(ctx->b, snap_here(ctx), IR_I64, memop, addr, a->imm));
    return true;
}

static bool gen_store(DisasContext *ctx, arg_s *a, unsigned memop)
{
    IRRef addr = get_x(ctx, a->rs1), val = get_x(ctx, a->rs2);
    gen_guest_store(ctx, memop, addr, a->imm, val);
    if (memop == MO_64 && a->rs2 && ctx->tc->note_store && ir_is_const(ctx->b->f, val)) {
        ctx->tc->note_store((vaddr)ir_ins(ctx->b->f, val)->imm, ctx->next_pc);
    }
    return true;
}

#define TRANS_LOAD(name, memop)                                                          \
    bool trans_##name(DisasContext *ctx, arg_i *a) { return gen_load(ctx, a, memop); }
TRANS_LOAD(lb, MO_8 | MO_SIGN)
TRANS_LOAD(lh, MO_16 | MO_SIGN)
TRANS_LOAD(lw, MO_32 | MO_SIGN)
TRANS_LOAD(ld, MO_64)
TRANS_LOAD(lbu, MO_8)
TRANS_LOAD(lhu, MO_16)
TRANS_LOAD(lwu, MO_32)

#define TRANS_STORE(name, memop)                                                         \
    bool trans_##name(DisasContext *ctx, arg_s *a) { return gen_store(ctx, a, memop); }
TRANS_STORE(sb, MO_8)
TRANS_STORE(sh, MO_16)
TRANS_STORE(sw, MO_32)
TRANS_STORE(sd, MO_64)

/* ---- fences ---- */

/* Device accesses are ordered like memory's: I counts as R, O as W. */
static unsigned fence_order(unsigned pred, unsigned succ)
{
    pred |= pred >> 2;
    succ |= succ >> 2;
    bool pr = pred & 2, pw = pred & 1, sr = succ & 2, sw = succ & 1;
    return (pr && sr ? IR_ORD_RR : 0) | (pr && sw ? IR_ORD_RW : 0) |
           (pw && sr ? IR_ORD_WR : 0) | (pw && sw ? IR_ORD_WW : 0);
}

bool trans_fence(DisasContext *ctx, arg_fence *a)
{
    unsigned order = fence_order((unsigned)a->pred, (unsigned)a->succ);
    if (a->fm == 8 && a->pred == 3 && a->succ == 3) {
        order &= ~(unsigned)IR_ORD_WR; /* FENCE.TSO */
    }
    if (order && ctx_parallel(ctx)) {
        ir_gen_fence(ctx->b, order);
    }
    return true;
}

bool trans_fence_i(DisasContext *ctx, arg_empty *a)
{
    gen_exit_reason(ctx, ctx->next_pc, EXIT_REASON_FENCE_I);
    return true;
}
