/*
 * FP conversions, boxing, and the accrued exceptions.
 *
 * Conversions to integer: the host's instruction gives 0x80... and raises invalid where
 * the guest wants saturation and invalid, so the common path only looks for that value.
 * For unsigned results the range is compared first, since a conversion that fails must
 * not raise inexact.
 */
#include "host/x86_64/lower-fp.h"

static uint32_t sized_op(uint32_t op, IRType t) { return t == IR_F64 ? op ^ OP_F64 : op; }
static unsigned dying(Ctx *c, IRRef ref, unsigned r)
{
    return ra_dies(c, ref) ? r : NO_REG;
}

void emit_raise_invalid(Ctx *c)
{
    emit_sse(c, OP_CVTTS2SI ^ OP_F64, RAX, 0, RM_CONST(f64_nan));
}

static void emit_raise_inexact(Ctx *c)
{
    emit_sse(c, OP_CVTTS2SI ^ OP_F64, RAX, 0, RM_CONST(f64_half));
}

/* ---- float to float, integer to float ---- */

static void lower_fcvt(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    unsigned a = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    if (ins->type == ctx_type(c, ins->arg[0])) {
        emit_move_reg(c, dst, a);
    } else if (ins->type == IR_F64) {
        emit_fp3(c, OP_CVTSS2SD, dst, a, rm_reg(a));
    } else {
        rounding_begin(c, (IRRound)ins->aux);
        emit_fp3(c, OP_CVTSD2SS, dst, a, rm_reg(a));
        rounding_end(c, (IRRound)ins->aux);
    }
}

static void emit_int_to_fp(Ctx *c, IRType t, uint32_t w, unsigned dst, unsigned src)
{
    emit_fp3(c, OP_XORPS, dst, dst, rm_reg(dst)); /* no dependency on the old value */
    emit_fp3(c, sized_op(OP_CVTSI2S, t) | w, dst, dst, rm_reg(src));
}

/* An unsigned i64 (r[1]) with its top bit set: half of it, the lost bit kept sticky,
 * twice. */
static void emit_cold_itof(Ctx *c, Cold *cold)
{
    unsigned dst = cold->r[0];
    IRType t = (IRType)cold->op;
    ins_mov_rr(&c->e, OPW, RAX, cold->r[1]);
    ins_shift_imm(&c->e, SH_SHR, OPW, RAX, 1);
    uint8_t *even = ins_jcc_short(&c->e, CC_AE);
    ins_alu_imm(&c->e, ALU_OR, OPW, rm_reg(RAX), 1);
    bind_rel8(even, c->e.p);
    emit_int_to_fp(c, t, OPW, dst, RAX);
    emit_fp3(c, sized_op(OP_ADDS, t), dst, dst, rm_reg(dst));
    ins_jmp(&c->e, cold->resume);
}

static void lower_itof(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type, from = ctx_type(c, ins->arg[0]);
    IRRound rm =
        t == IR_F64 && from == IR_I32 ? IR_RM_DYN : (IRRound)ins->aux; /* exact */
    unsigned src = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, NO_REG);
    rounding_begin(c, rm);
    if (!(ins->imm & 1)) {
        emit_int_to_fp(c, t, type_w(from), dst, src);
    } else if (from == IR_I32) {
        ins_mov_rr(&c->e, 0, RAX, src);
        emit_int_to_fp(c, t, OPW, dst, RAX);
    } else {
        Cold *cold = cold_new(c, emit_cold_itof);
        cold->r[0] = (uint8_t)dst;
        cold->r[1] = (uint8_t)src;
        cold->op = t;
        ins_test(&c->e, OPW, src, src);
        emit_jcc_cold(c, CC_S, cold);
        emit_int_to_fp(c, t, OPW, dst, src);
        cold->resume = c->e.p;
    }
    rounding_end(c, rm);
}

/* ---- float to integer ---- */

/* r[0] holds the host's answer for "does not fit", r[1] the float: the largest if that is
   positive or a NaN. */
static void emit_cold_saturate(Ctx *c, Cold *cold)
{
    emit_fp3(c, OP_XORPS, XMM0, XMM0, rm_reg(XMM0));
    emit_ucomis(c, (IRType)cold->op, XMM0, rm_reg(cold->r[1]), false);
    uint8_t *negative = ins_jcc_short(&c->e, CC_AE);
    ins_mov_imm(&c->e, cold->r[0], cold->imm);
    bind_rel8(negative, c->e.p);
    ins_jmp(&c->e, cold->resume);
}

static void lower_ftoi_signed(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType from = ctx_type(c, ins->arg[0]);
    uint32_t w = type_w((IRType)ins->type);
    bool rtz = ins->aux == IR_RM_RTZ;
    IRRound rm = rtz ? IR_RM_DYN : (IRRound)ins->aux;
    unsigned x = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, NO_REG);
    rounding_begin(c, rm);
    emit_sse(c, sized_op(rtz ? OP_CVTTS2SI : OP_CVTS2SI, from) | w, dst, 0, rm_reg(x));
    rounding_end(c, rm);
    Cold *cold = cold_new(c, emit_cold_saturate);
    cold->r[0] = (uint8_t)dst;
    cold->r[1] = (uint8_t)x;
    cold->op = from;
    cold->imm = w ? INT64_MAX : INT32_MAX;
    ins_alu_imm(&c->e, ALU_CMP, w, rm_reg(dst), 1);
    emit_jcc_cold(c, CC_O, cold); /* only MIN - 1 overflows */
    cold->resume = c->e.p;
}

/* An unsigned result out of range: 0 below, the largest above and for NaN; invalid. */
static void emit_cold_unsigned(Ctx *c, Cold *cold)
{
    IRType t = (IRType)cold->op;
    unsigned dst = cold->r[0], y = cold->r[1];
    Emit *e = &c->e;
    if (cold->r[2]) { /* the upper half of u64 is in range */
        emit_ucomis(c, t, y, t == IR_F64 ? RM_CONST(f64_two64) : RM_CONST(f32_two64),
                    false);
        uint8_t *above = ins_jcc_forward(e, CC_AE);
        emit_ucomis(c, t, y, t == IR_F64 ? RM_CONST(f64_two63) : RM_CONST(f32_two63),
                    false);
        uint8_t *below = ins_jcc_forward(e, CC_B); /* or unordered */
        emit_fp3(c, sized_op(OP_SUBS, t), XMM0, y,
                 t == IR_F64 ? RM_CONST(f64_two63) : RM_CONST(f32_two63));
        emit_sse(c, sized_op(OP_CVTTS2SI, t) | OPW, dst, 0, rm_reg(XMM0));
        emit_op(e, OP_BT_IMM | OPW, 7, rm_reg(dst), 1); /* btc */
        emit_u8(e, 63);
        ins_jmp(e, cold->resume);
        bind_rel32(above, e->p);
        bind_rel32(below, e->p);
    }
    ins_mov_imm(e, dst, cold->imm);
    emit_ucomis(c, t, y, t == IR_F64 ? RM_CONST(f64_minus1) : RM_CONST(f32_minus1),
                false);
    uint8_t *nan = ins_jcc_short(e, CC_P);
    uint8_t *large = ins_jcc_short(e, CC_A);
    ins_xor_zero(e, dst);
    bind_rel8(nan, e->p);
    bind_rel8(large, e->p);
    emit_raise_invalid(c);
    ins_jmp(e, cold->resume);
}

static void emit_cold_inexact(Ctx *c, Cold *cold)
{
    emit_raise_inexact(c);
    ins_jmp(&c->e, cold->resume);
}

static void emit_round(Ctx *c, IRType t, IRRound rm, unsigned src)
{
    static const uint8_t mode[] = {
        [IR_RM_DYN] = 4, [IR_RM_RNE] = 0, [IR_RM_RDN] = 1,
        [IR_RM_RUP] = 2, [IR_RM_RTZ] = 3,
    };
    emit_sse(c, t == IR_F64 ? OP_ROUNDSD : OP_ROUNDSS, XMM0, src, rm_reg(src));
    emit_u8(&c->e, mode[rm] | 8); /* 8: raise no inexact */
}

static void lower_ftoi_unsigned(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType from = ctx_type(c, ins->arg[0]);
    bool f64 = from == IR_F64, wide = ins->type == IR_I64, rtz = ins->aux == IR_RM_RTZ;
    unsigned x = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, NO_REG), y = x;
    if (!rtz) {
        emit_round(c, from, (IRRound)ins->aux, x);
        y = XMM0;
    }
    Cold *cold = cold_new(c, emit_cold_unsigned);
    cold->r[0] = (uint8_t)dst;
    cold->r[1] = (uint8_t)y;
    cold->r[2] = wide;
    cold->op = from;
    cold->imm = wide ? -1 : (int64_t)UINT32_MAX;
    emit_ucomis(c, from, y,
                wide ? (f64 ? RM_CONST(f64_two63) : RM_CONST(f32_two63))
                     : (f64 ? RM_CONST(f64_two32) : RM_CONST(f32_two32)),
                false);
    emit_jcc_cold(c, CC_AE, cold);
    emit_ucomis(c, from, y, f64 ? RM_CONST(f64_minus1) : RM_CONST(f32_minus1), false);
    emit_jcc_cold(c, CC_BE, cold); /* or unordered */
    emit_sse(c, sized_op(OP_CVTTS2SI, from) | OPW, dst, 0, rm_reg(y));
    if (!rtz) {
        Cold *inexact = cold_new(c, emit_cold_inexact);
        emit_ucomis(c, from, x, rm_reg(y), false);
        emit_jcc_cold(c, CC_NE, inexact);
        inexact->resume = c->e.p;
    }
    cold->resume = c->e.p;
}

/* ---- bits ---- */

static void lower_bitcast(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    unsigned a = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, NO_REG);
    if (ir_type_size(t) == 8 || REG_IS_XMM(dst) == REG_IS_XMM(a)) {
        emit_move_reg(c, dst, a);
    } else if (REG_IS_XMM(dst)) {
        emit_sse(c, OP_MOVD_TO_XMM, dst, 0, rm_reg(a));
    } else {
        emit_sse(c, OP_MOVD_FROM_XMM, a, 0, rm_reg(dst));
    }
}

static void lower_box(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    unsigned a = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    emit_fp3(c, OP_ORPS, dst, a, RM_CONST(box));
}

static void emit_cold_unboxed(Ctx *c, Cold *cold)
{
    emit_default_nan(c, IR_F32, cold->r[0]);
    ins_jmp(&c->e, cold->resume);
}

static void lower_unbox(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    unsigned a = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    emit_move_reg(c, dst, a);
    Cold *cold = cold_new(c, emit_cold_unboxed);
    cold->r[0] = (uint8_t)dst;
    emit_sse(c, OP_PTEST, dst, 0,
             RM_CONST(box)); /* carry: all bits of the mask are set */
    emit_jcc_cold(c, CC_AE, cold);
    cold->resume = c->e.p;
}

/* ---- accrued exceptions ---- */

static void lower_fpget(Ctx *c, IRRef i)
{
    unsigned t = ra_temp(c, false);
    emit_op(&c->e, OP_MXCSR, 3, RM_ENV(scratch), 0);
    emit_op(&c->e, OP_MOV, RAX, RM_ENV(scratch), 0);
    ins_alu_imm(&c->e, ALU_AND, 0, rm_reg(RAX), 0x3f);
    ins_lea(&c->e, OPW, t, RM_CONST(flags_to_ir));
    unsigned dst = ra_def(c, i, NO_REG);
    emit_op(&c->e, OP_MOVZX8, dst, rm_index(t, RAX, 0, 0), 0);
}

static void lower_fpset(Ctx *c, IRRef i)
{
    unsigned a = ra_use(c, ctx_ins(c, i)->arg[0]), t = ra_temp(c, false);
    ins_mov_rr(&c->e, 0, RAX, a);
    ins_alu_imm(&c->e, ALU_AND, 0, rm_reg(RAX), 31);
    ins_lea(&c->e, OPW, t, RM_CONST(flags_from_ir));
    emit_op(&c->e, OP_MOV, t, rm_index(t, RAX, 2, 0), 0);
    emit_op(&c->e, OP_MXCSR, 3, RM_ENV(scratch), 0);
    emit_op(&c->e, OP_MOV, RAX, RM_ENV(scratch), 0);
    ins_alu_imm(&c->e, ALU_AND, 0, rm_reg(RAX), ~0x3f);
    ins_alu(&c->e, ALU_OR, 0, RAX, rm_reg(t));
    emit_op(&c->e, OP_MOV_STORE, RAX, RM_ENV(scratch), 0);
    emit_op(&c->e, OP_MXCSR, 2, RM_ENV(scratch), 0);
}

void lower_fp_convert(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    switch ((IROp)ins->op) {
    case IR_FCVT: lower_fcvt(c, i); break;
    case IR_ITOF: lower_itof(c, i); break;
    case IR_FTOI:
        if (ins->imm & 1) {
            lower_ftoi_unsigned(c, i);
        } else {
            lower_ftoi_signed(c, i);
        }
        break;
    case IR_BITCAST: lower_bitcast(c, i); break;
    case IR_BOX32: lower_box(c, i); break;
    case IR_UNBOX32: lower_unbox(c, i); break;
    case IR_FPGET: lower_fpget(c, i); break;
    case IR_FPSET: lower_fpset(c, i); break;
    default: assert(!"fp conversion"); break;
    }
}
