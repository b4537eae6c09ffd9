/*
 * Integer ops.  Values narrower than 32 bits live in registers with anything above their
 * width: ops whose result depends on those bits extend their operands first.
 *
 * The shape of a two-operand instruction: operands, then the result's register (maybe
 * that of an operand that ends here), then `mov dst, x; op dst, y` with the cases where
 * dst is y's register taken care of.
 */
#include "host/x86_64/compile.h"

static int64_t sext_imm(int64_t imm, IRType t)
{
    return sext64((uint64_t)imm, type_bits(t));
}

/* True if ref is a constant that an instruction can carry. */
static bool imm_fits(Ctx *c, IRRef ref, int32_t *imm)
{
    if (!ctx_is_const(c, ref)) {
        return false;
    }
    int64_t v = sext_imm(ctx_imm(c, ref), ctx_type(c, ref));
    *imm = (int32_t)v;
    return fits_signed(v, 32);
}

/* dst = src, nothing if it is there already. */
static void emit_to(Ctx *c, uint32_t w, unsigned dst, Rm src)
{
    if (!rm_is_reg(src, dst)) {
        emit_op(&c->e, OP_MOV | w, dst, src, 0);
    }
}

static unsigned dying_reg(Ctx *c, IRRef ref, Rm rm)
{
    return rm.mode == RM_REG && ra_dies(c, ref) ? rm.base : NO_REG;
}

static void note_flags(Ctx *c, IRRef i, uint8_t *start)
{
    if (type_bits(ctx_type(c, i)) >= 32) {
        c->flags_val = i;
        c->flags_p = c->e.p;
        c->flags_start = start;
    }
}

static void emit_extend(Ctx *c, unsigned dst, Rm src, IRType from, uint32_t w, bool sign)
{
    switch (from) {
    case IR_I8: emit_op(&c->e, sign ? OP_MOVSX8 | w : OP_MOVZX8, dst, src, 0); break;
    case IR_I16: emit_op(&c->e, sign ? OP_MOVSX16 | w : OP_MOVZX16, dst, src, 0); break;
    case IR_I32:
        emit_op(&c->e, sign && w ? (uint32_t)OP_MOVSXD : (uint32_t)OP_MOV, dst, src, 0);
        break;
    default: emit_to(c, OPW, dst, src);
    }
}

unsigned use_extended(Ctx *c, IRRef ref, bool sign)
{
    unsigned r = ra_use(c, ref);
    IRType t = ctx_type(c, ref);
    if (type_bits(t) >= 32) {
        return r;
    }
    unsigned tmp = ra_temp(c, false);
    emit_extend(c, tmp, rm_reg(r), t, 0, sign);
    return tmp;
}

/* ---- add sub and or xor mul ---- */

/* dst = imm - dst or x - dst, without another register. */
static void emit_reverse_sub(Ctx *c, uint32_t w, unsigned dst, bool x_const, int64_t imm,
                             Rm x)
{
    ins_group3(&c->e, G3_NEG, w, rm_reg(dst));
    if (x_const) {
        if (fits_signed(imm, 32)) {
            ins_alu_imm(&c->e, ALU_ADD, w, rm_reg(dst), (int32_t)imm);
            return;
        }
        ins_mov_imm(&c->e, RAX, imm);
        x = rm_reg(RAX);
    }
    ins_alu(&c->e, ALU_ADD, w, dst, x);
}

/* x op imm where one cheaper instruction does it. */
static bool lower_special_imm(Ctx *c, IRRef i, IROp op, IRRef x, int64_t imm)
{
    IRType t = ctx_type(c, i);
    if (op == IR_AND &&
        (imm == 0xff || imm == 0xffff || (t == IR_I64 && imm == 0xffffffff))) {
        Rm rx = ra_use_rm(c, x);
        unsigned dst = ra_def(c, i, dying_reg(c, x, rx));
        emit_extend(c, dst, rx,
                    imm == 0xff     ? IR_I8
                    : imm == 0xffff ? IR_I16
                                    : IR_I32,
                    0, false);
        return true;
    }
    if (op == IR_XOR && imm == -1) {
        Rm rx = ra_use_rm(c, x);
        unsigned dst = ra_def(c, i, dying_reg(c, x, rx));
        emit_to(c, type_w(t), dst, rx);
        ins_group3(&c->e, G3_NOT, type_w(t), rm_reg(dst));
        return true;
    }
    return false;
}

static void lower_add_lea(Ctx *c, uint32_t w, unsigned dst, Rm x, bool y_imm, int32_t imm,
                          Rm y)
{
    ins_lea(&c->e, w, dst, y_imm ? rm_mem(x.base, imm) : rm_index(x.base, y.base, 0, 0));
}

static void lower_binary(Ctx *c, IRRef i, enum HostAlu alu)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    bool comm = ins->op != IR_SUB;
    IRRef x = ins->arg[0], y = ins->arg[1];
    uint32_t w = type_w(t);
    int32_t imm = 0;
    if (comm && (ctx_is_const(c, x) ||
                 (!ctx_is_const(c, y) && ra_dies(c, y) && !ra_dies(c, x)))) {
        x = ins->arg[1];
        y = ins->arg[0];
    }
    bool y_imm = imm_fits(c, y, &imm);
    if (ins->op == IR_SUB && y_imm && imm != INT32_MIN) {
        alu = ALU_ADD;
        imm = -imm;
    } else if (ins->op == IR_AND && ctx_is_const(c, y) &&
               fits_unsigned((uint64_t)ctx_imm(c, y), 32)) {
        y_imm = true;
        imm = (int32_t)ctx_imm(c, y);
        w = 0; /* clears the upper half, as the mask does */
    }
    if (ctx_is_const(c, y) && !ctx_is_const(c, x) &&
        lower_special_imm(c, i, (IROp)ins->op, x, sext_imm(ctx_imm(c, y), t))) {
        return;
    }
    bool x_const = ctx_is_const(c, x);
    Rm ry = y_imm ? rm_reg(NO_REG) : ra_use_rm(c, y);
    Rm rx = x_const ? rm_reg(NO_REG) : ra_use_rm(c, x);
    unsigned dst = ra_def(c, i, x_const ? NO_REG : dying_reg(c, x, rx));
    if (!y_imm && rm_is_reg(ry, dst) && !rm_is_reg(rx, dst)) {
        if (!comm || x_const) {
            if (ins->op == IR_SUB) {
                emit_reverse_sub(c, w, dst, x_const,
                                 x_const ? sext_imm(ctx_imm(c, x), t) : 0, rx);
                return;
            }
            emit_load_const(c, RAX, ctx_imm(c, x), false);
            rx = rm_reg(RAX);
            x_const = false;
        }
        Rm swap = rx;
        rx = ry;
        ry = swap;
    }
    if (x_const) {
        emit_load_const(c, dst, ctx_imm(c, x), false);
    } else if (alu == ALU_ADD && rx.mode == RM_REG && rx.base != dst &&
               (y_imm || ry.mode == RM_REG)) {
        lower_add_lea(c, w, dst, rx, y_imm, imm, ry);
        return;
    } else {
        emit_to(c, type_w(t), dst, rx);
    }
    uint8_t *start = c->e.p;
    if (y_imm) {
        ins_alu_imm(&c->e, alu, w, rm_reg(dst), imm);
    } else {
        ins_alu(&c->e, alu, w, dst, ry);
    }
    if (w == type_w(t) ||
        imm >= 0) { /* a short mask says as much of the whole register */
        note_flags(c, i, start);
    }
}

static void lower_mul(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    uint32_t w = type_w((IRType)ins->type);
    IRRef x = ins->arg[0], y = ins->arg[1];
    int32_t imm;
    if (ctx_is_const(c, x)) {
        x = ins->arg[1];
        y = ins->arg[0];
    }
    if (imm_fits(c, y, &imm) && !ctx_is_const(c, x)) {
        Rm rx = ra_use_rm(c, x);
        unsigned dst = ra_def(c, i, dying_reg(c, x, rx));
        bool small = fits_signed(imm, 8);
        emit_op(&c->e, (small ? OP_IMUL_IMM8 : OP_IMUL_IMM32) | w, dst, rx,
                small ? 1 : 4);
        if (small) {
            emit_u8(&c->e, (uint8_t)imm);
        } else {
            emit_u32(&c->e, (uint32_t)imm);
        }
        return;
    }
    Rm rx = rm_reg(ra_use(c, x)), ry = ra_use_rm(c, y);
    unsigned dst = ra_def(c, i, dying_reg(c, x, rx));
    if (rm_is_reg(ry, dst)) {
        Rm swap = rx;
        rx = ry;
        ry = swap;
    }
    emit_to(c, w, dst, rx);
    emit_op(&c->e, OP_IMUL | w, dst, ry, 0);
}

/* ---- high products, division: rdx:rax ---- */

/* The result is in `from`; hand it over.  rdx, if taken, may become its register. */
static void define_from(Ctx *c, IRRef i, unsigned from)
{
    c->lock_temps &= ~(1u << RDX);
    c->lock_ops |= 1u << RDX; /* nothing may be moved there on the way */
    unsigned dst = ra_def(c, i, from == RDX ? RDX : NO_REG);
    if (dst != from) {
        ins_mov_rr(&c->e, OPW, dst, from);
    }
}

static void lower_mulh_narrow(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    unsigned x = ra_use(c, ins->arg[0]), y = ra_use(c, ins->arg[1]),
             tmp = ra_temp(c, false);
    emit_extend(c, RAX, rm_reg(x), t, OPW, ins->op != IR_MULHU);
    emit_extend(c, tmp, rm_reg(y), t, OPW, ins->op == IR_MULHS);
    emit_op(&c->e, OP_IMUL | OPW, RAX, rm_reg(tmp), 0);
    ins_shift_imm(&c->e, SH_SHR, OPW, RAX, type_bits(t));
    unsigned dst = ra_def(c, i, NO_REG);
    ins_mov_rr(&c->e, 0, dst, RAX);
}

static void lower_mulh(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    if (ins->type != IR_I64) {
        lower_mulh_narrow(c, i);
        return;
    }
    ra_take(c, RDX);
    bool mixed = ins->op == IR_MULHSU;
    unsigned x = ra_use(c, ins->arg[0]);
    Rm y = ra_use_rm(c, ins->arg[1]);
    ins_mov_rr(&c->e, OPW, RAX, x);
    ins_group3(&c->e, ins->op == IR_MULHS ? G3_IMUL : G3_MUL, OPW, y);
    if (mixed) { /* unsigned product, less b if a is negative */
        ins_mov_rr(&c->e, OPW, RAX, x);
        ins_shift_imm(&c->e, SH_SAR, OPW, RAX, 63);
        ins_alu(&c->e, ALU_AND, OPW, RAX, y);
        ins_alu(&c->e, ALU_SUB, OPW, RDX, rm_reg(RAX));
    }
    define_from(c, i, RDX);
}

/* Divisor (r[0]) is 0 or, signed, -1; dividend in rax; result where the division leaves
 * it. */
static void emit_cold_div(Ctx *c, Cold *cold)
{
    uint32_t w = cold->imm ? OPW : 0;
    bool rem = cold->op == IR_REMS || cold->op == IR_REMU;
    uint8_t *not_zero = NULL;
    if (cold->op == IR_DIVS || cold->op == IR_REMS) {
        ins_test(&c->e, w, cold->r[0], cold->r[0]);
        not_zero = ins_jcc_short(&c->e, CC_NE);
    }
    if (rem) {
        ins_mov_rr(&c->e, w, RDX, RAX);
    } else {
        ins_mov_imm(&c->e, RAX, w ? -1 : (int64_t)UINT32_MAX);
    }
    ins_jmp(&c->e, cold->resume);
    if (not_zero) {
        bind_rel8(not_zero, c->e.p);
        if (rem) {
            ins_xor_zero(&c->e, RDX);
        } else {
            ins_group3(&c->e, G3_NEG, w, rm_reg(RAX));
        }
        ins_jmp(&c->e, cold->resume);
    }
}

static void lower_div(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    uint32_t w = type_w(t);
    bool sign = ins->op == IR_DIVS || ins->op == IR_REMS;
    bool rem = ins->op == IR_REMS || ins->op == IR_REMU;
    ra_take(c, RDX);
    unsigned y = use_extended(c, ins->arg[1], sign), x = ra_use(c, ins->arg[0]);
    emit_extend(c, RAX, rm_reg(x), type_bits(t) < 32 ? t : IR_I64, w, sign);
    int64_t k = ctx_is_const(c, ins->arg[1]) ? sext_imm(ctx_imm(c, ins->arg[1]), t) : 0;
    Cold *cold = NULL;
    if (k == 0 || (sign && k == -1)) {
        cold = cold_new(c, emit_cold_div);
        cold->r[0] = (uint8_t)y;
        cold->op = ins->op;
        cold->imm = w != 0;
        if (sign) {
            ins_lea(&c->e, w, RDX, rm_mem(y, 1));
            ins_alu_imm(&c->e, ALU_CMP, w, rm_reg(RDX), 1);
            emit_jcc_cold(c, CC_BE, cold);
        } else {
            ins_test(&c->e, w, y, y);
            emit_jcc_cold(c, CC_E, cold);
        }
    }
    if (sign) {
        if (w) {
            emit_u8(&c->e, 0x48);
        }
        emit_u8(&c->e, 0x99); /* cdq, cqo */
    } else {
        ins_xor_zero(&c->e, RDX);
    }
    ins_group3(&c->e, sign ? G3_IDIV : G3_DIV, w, rm_reg(y));
    if (cold) {
        cold->resume = c->e.p;
    }
    define_from(c, i, rem ? RDX : RAX);
}

/* ---- shifts and rotates ---- */

static enum HostShift shift_kind(IROp op)
{
    switch (op) {
    case IR_SHL: return SH_SHL;
    case IR_SHR: return SH_SHR;
    case IR_SAR: return SH_SAR;
    case IR_ROTL: return SH_ROL;
    default: return SH_ROR;
    }
}

static bool is_rotate(IROp op) { return op == IR_ROTL || op == IR_ROTR; }

/* The opcode of a shift by immediate (or by cl: + 0x12) of a type's own width. */
static uint32_t shift_opcode(IROp op, IRType t, bool by_cl)
{
    uint32_t base = is_rotate(op) && t == IR_I8    ? 0xc0 | OPB
                    : is_rotate(op) && t == IR_I16 ? 0xc1 | P66
                                                   : 0xc1 | type_w(t);
    return by_cl ? base + 0x12 : base;
}

static void emit_shift_source(Ctx *c, IRRef i, unsigned dst, Rm x)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    if (type_bits(t) < 32 && (ins->op == IR_SHR || ins->op == IR_SAR)) {
        emit_extend(c, dst, x, t, 0, ins->op == IR_SAR);
    } else {
        emit_to(c, type_w(t), dst, x);
    }
}

static void lower_shift_imm(Ctx *c, IRRef i, unsigned n)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    uint32_t w = type_w(t);
    Rm x = ra_use_rm(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying_reg(c, ins->arg[0], x));
    bool same = rm_is_reg(x, dst);
    if (ins->op == IR_SHL && n >= 1 && n <= 3 && x.mode == RM_REG && !same) {
        ins_lea(&c->e, w, dst,
                n == 1 ? rm_index(x.base, x.base, 0, 0) : rm_index(NO_REG, x.base, n, 0));
        return;
    }
    if (is_rotate((IROp)ins->op) && type_bits(t) >= 32 && !same && host_has(FEAT_BMI2)) {
        emit_vex(&c->e, OP_RORX | w, dst, 0, x, 1);
        emit_u8(&c->e, ins->op == IR_ROTR ? n : (type_bits(t) - n) & (type_bits(t) - 1));
        return;
    }
    if (n == 0) {
        emit_op(&c->e, OP_MOV | w, dst, x,
                0); /* even to itself: i32 clears the upper half */
    } else {
        emit_shift_source(c, i, dst, x);
        uint8_t *start = c->e.p;
        emit_op(&c->e, shift_opcode((IROp)ins->op, t, false), shift_kind((IROp)ins->op),
                rm_reg(dst), 1);
        emit_u8(&c->e, n);
        if (!is_rotate((IROp)ins->op)) {
            note_flags(c, i, start);
        }
    }
}

static void lower_shift_bmi2(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    uint32_t op = (ins->op == IR_SHL   ? OP_SHLX
                   : ins->op == IR_SHR ? OP_SHRX
                                       : OP_SARX) |
                  type_w(t);
    unsigned n = ra_use(c, ins->arg[1]);
    Rm x = ra_use_rm(c, ins->arg[0]);
    if (type_bits(t) < 32) {
        ins_mov_rr(&c->e, 0, RAX, n);
        ins_alu_imm(&c->e, ALU_AND, 0, rm_reg(RAX), (int32_t)type_bits(t) - 1);
        unsigned dst = ra_def(c, i, NO_REG);
        emit_shift_source(c, i, dst, x);
        emit_vex(&c->e, op, dst, RAX, rm_reg(dst), 0);
        return;
    }
    unsigned dst = ra_def(c, i, dying_reg(c, ins->arg[0], x));
    emit_vex(&c->e, op, dst, n, x, 0);
}

static void lower_shift(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    if (ctx_is_const(c, ins->arg[1])) {
        lower_shift_imm(c, i, (unsigned)ctx_imm(c, ins->arg[1]) & (type_bits(t) - 1));
        return;
    }
    if (host_has(FEAT_BMI2) && !is_rotate((IROp)ins->op)) {
        lower_shift_bmi2(c, i);
        return;
    }
    ra_take(c, RCX);
    unsigned n = ra_use(c, ins->arg[1]);
    Rm x = ra_use_rm(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying_reg(c, ins->arg[0], x));
    ins_mov_rr(&c->e, 0, RCX, n);
    if (type_bits(t) < 32) {
        ins_alu_imm(&c->e, ALU_AND, 0, rm_reg(RCX), (int32_t)type_bits(t) - 1);
    }
    emit_shift_source(c, i, dst, x);
    emit_op(&c->e, shift_opcode((IROp)ins->op, t, true), shift_kind((IROp)ins->op),
            rm_reg(dst), 0);
}

/* ---- one operand ---- */

static void lower_unary(Ctx *c, IRRef i, enum HostGroup3 g)
{
    const IRIns *ins = ctx_ins(c, i);
    uint32_t w = type_w((IRType)ins->type);
    Rm x = ra_use_rm(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying_reg(c, ins->arg[0], x));
    emit_to(c, w, dst, x);
    uint8_t *start = c->e.p;
    ins_group3(&c->e, g, w, rm_reg(dst));
    if (g == G3_NEG) {
        note_flags(c, i, start);
    }
}

static void lower_extend(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    Rm x = ra_use_rm(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying_reg(c, ins->arg[0], x));
    emit_extend(c, dst, x, ctx_type(c, ins->arg[0]), type_w((IRType)ins->type),
                ins->op == IR_SEXT);
}

/* Leading or trailing zeros, without lzcnt/tzcnt: the scan leaves Z set for a zero. */
static void lower_count_zeros(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    uint32_t w = type_w(t);
    unsigned bits = type_bits(t), width = bits < 32 ? 32 : bits;
    bool lead = ins->op == IR_CLZ;
    unsigned x = use_extended(c, ins->arg[0], false);
    if (!lead && bits < 32) {
        ins_alu_imm(&c->e, ALU_OR, 0, rm_reg(x), 1 << bits); /* x is a temporary then */
    }
    unsigned dst = ra_def(c, i, NO_REG);
    if (host_has(lead ? FEAT_LZCNT : FEAT_BMI)) {
        emit_op(&c->e, (lead ? OP_LZCNT : OP_TZCNT) | w, dst, rm_reg(x), 0);
    } else {
        ins_mov_imm(&c->e, RAX, lead ? 2 * width - 1 : width);
        emit_op(&c->e, (lead ? OP_BSR : OP_BSF) | w, dst, rm_reg(x), 0);
        ins_cmov(&c->e, CC_E, w, dst, rm_reg(RAX));
        if (lead) {
            ins_alu_imm(&c->e, ALU_XOR, 0, rm_reg(dst), (int32_t)width - 1);
        }
    }
    if (lead && bits < 32) {
        ins_alu_imm(&c->e, ALU_SUB, 0, rm_reg(dst), (int32_t)(32 - bits));
    }
}

static void lower_popcnt(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    unsigned x = use_extended(c, ins->arg[0], false);
    unsigned dst = ra_def(c, i, NO_REG);
    emit_op(&c->e, OP_POPCNT | type_w((IRType)ins->type), dst, rm_reg(x), 0);
}

static void lower_bswap(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    unsigned x = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, ra_dies(c, ins->arg[0]) ? x : NO_REG);
    emit_to(c, OPW, dst, rm_reg(x));
    if (t == IR_I16) {
        emit_op(&c->e, 0xc1 | P66, SH_ROL, rm_reg(dst), 1);
        emit_u8(&c->e, 8);
    } else if (t != IR_I8) {
        emit_u8(&c->e, 0x40 | (t == IR_I64 ? 8 : 0) | (dst >> 3 & 1));
        emit_u8(&c->e, 0x0f);
        emit_u8(&c->e, 0xc8 | (dst & 7));
    }
}

static void emit_sse3(Ctx *c, uint32_t op, unsigned dst, Rm src)
{
    emit_sse(c, op, dst, dst, src);
}

static void lower_orcb(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    uint32_t w = type_w((IRType)ins->type);
    unsigned x = ra_use(c, ins->arg[0]);
    emit_sse(c, OP_MOVD_TO_XMM | w, XMM0, 0, rm_reg(x));
    emit_sse3(c, OP_PCMPEQB, XMM0, RM_CONST(zero));
    emit_sse3(c, OP_PXOR, XMM0, RM_CONST(ones));
    unsigned dst = ra_def(c, i, NO_REG);
    emit_sse(c, OP_MOVD_FROM_XMM | w, XMM0, 0, rm_reg(dst));
}

static void lower_brev8(Ctx *c, IRRef i)
{
    static const struct {
        uint8_t shift;
        uint64_t mask;
    } step[3] = {
        { 1, UINT64_C(0x5555555555555555) },
        { 2, UINT64_C(0x3333333333333333) },
        { 4, UINT64_C(0x0f0f0f0f0f0f0f0f) },
    };
    const IRIns *ins = ctx_ins(c, i);
    uint32_t w = type_w((IRType)ins->type);
    unsigned x = ra_use(c, ins->arg[0]), t = ra_temp(c, false);
    unsigned dst = ra_def(c, i, ra_dies(c, ins->arg[0]) ? x : NO_REG);
    emit_op(&c->e, OP_MOV | w, dst, rm_reg(x), 0);
    for (unsigned k = 0; k < 3; k++) {
        ins_mov_imm(&c->e, RAX, (int64_t)(w ? step[k].mask : step[k].mask & UINT32_MAX));
        ins_mov_rr(&c->e, w, t, dst);
        ins_shift_imm(&c->e, SH_SHR, w, t, step[k].shift);
        ins_alu(&c->e, ALU_AND, w, t, rm_reg(RAX));
        ins_alu(&c->e, ALU_AND, w, dst, rm_reg(RAX));
        ins_shift_imm(&c->e, SH_SHL, w, dst, step[k].shift);
        ins_alu(&c->e, ALU_OR, w, dst, rm_reg(t));
    }
}

static uint64_t soft_clmul(HostEnv *env, uint64_t a, uint64_t b, uint64_t high)
{
    uint64_t lo = 0, hi = 0;
    (void)env;
    for (unsigned k = 0; k < 64; k++) {
        uint64_t m = -(b >> k & 1);
        lo ^= a << k & m;
        hi ^= (k ? a >> (64 - k) : 0) & m;
    }
    return high ? hi : lo;
}

static uint64_t soft_clmul_low(HostEnv *env, uint64_t a, uint64_t b)
{
    return soft_clmul(env, a, b, 0);
}
static uint64_t soft_clmul_high(HostEnv *env, uint64_t a, uint64_t b)
{
    return soft_clmul(env, a, b, 1);
}

static void lower_clmul(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    bool high = ins->op == IR_CLMULH;
    if (!host_has(FEAT_CLMUL)) {
        emit_pure_call(c, host_ctx.call_pure,
                       (const void *)(uintptr_t)(high ? soft_clmul_high : soft_clmul_low),
                       ins->arg, 2, i);
        return;
    }
    unsigned x = ra_use(c, ins->arg[0]), y = ra_use(c, ins->arg[1]), t = ra_temp(c, true);
    emit_sse(c, OP_MOVD_TO_XMM | OPW, XMM0, 0, rm_reg(x));
    emit_sse(c, OP_MOVD_TO_XMM | OPW, t, 0, rm_reg(y));
    emit_sse3(c, OP_PCLMUL, XMM0, rm_reg(t));
    emit_u8(&c->e, 0);
    unsigned dst = ra_def(c, i, NO_REG);
    if (high) {
        emit_sse(c, 0x16 | P66 | M3A | OPW, XMM0, 0, rm_reg(dst)); /* pextrq */
        emit_u8(&c->e, 1);
    } else {
        emit_sse(c, OP_MOVD_FROM_XMM | OPW, XMM0, 0, rm_reg(dst));
    }
}

static void lower_andn(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    uint32_t w = type_w((IRType)ins->type);
    unsigned x = ra_use(c, ins->arg[0]), y = ra_use(c, ins->arg[1]);
    if (host_has(FEAT_BMI)) {
        unsigned dst = ra_def(c, i, ra_dies(c, ins->arg[0]) ? x : NO_REG);
        emit_vex(&c->e, OP_ANDN | w, dst, y, rm_reg(x), 0);
        return;
    }
    ins_mov_rr(&c->e, w, RAX, y);
    ins_group3(&c->e, G3_NOT, w, rm_reg(RAX));
    unsigned dst = ra_def(c, i, ra_dies(c, ins->arg[0]) ? x : NO_REG);
    emit_to(c, w, dst, rm_reg(x));
    ins_alu(&c->e, ALU_AND, w, dst, rm_reg(RAX));
}

/* ---- compares ---- */

/* A compare whose operands are in place: reading them and setting the flags are two
 * steps. */
typedef struct Compare {
    enum HostCC cc;
    IRType type;
    Rm x;
    bool imm_form;
    int32_t imm;
    unsigned y;
} Compare;

static const uint8_t cond_cc[IR_NCONDS] = {
    [IR_EQ] = CC_E,   [IR_NE] = CC_NE, [IR_LT] = CC_L, [IR_GE] = CC_GE,  [IR_LTU] = CC_B,
    [IR_GEU] = CC_AE, [IR_LE] = CC_LE, [IR_GT] = CC_G, [IR_LEU] = CC_BE, [IR_GTU] = CC_A,
};

static Compare compare_prepare(Ctx *c, IRCond cond, IRRef x, IRRef y)
{
    static const uint8_t swapped[IR_NCONDS] = {
        [IR_EQ] = IR_EQ,   [IR_NE] = IR_NE,   [IR_LT] = IR_GT, [IR_GE] = IR_LE,
        [IR_LTU] = IR_GTU, [IR_GEU] = IR_LEU, [IR_LE] = IR_GE, [IR_GT] = IR_LT,
        [IR_LEU] = IR_GEU, [IR_GTU] = IR_LTU,
    };
    Compare k = { .type = ctx_type(c, x) };
    if (ctx_is_const(c, x)) {
        IRRef swap = x;
        x = y;
        y = swap;
        cond = (IRCond)swapped[cond];
    }
    k.cc = (enum HostCC)cond_cc[cond];
    k.imm_form = imm_fits(c, y, &k.imm);
    if (!k.imm_form) {
        k.y = ra_use(c, y);
    }
    k.x = ra_use_rm(c, x);
    return k;
}

static void compare_emit(Ctx *c, const Compare *k)
{
    Emit *e = &c->e;
    uint32_t size = k->type == IR_I16 ? (uint32_t)P66 : type_w(k->type);
    bool byte = k->type == IR_I8;
    if (!k->imm_form) {
        emit_op(e, byte ? 0x38 | OPB : 0x39 | size, k->y, k->x, 0);
    } else if (k->imm == 0 && k->x.mode == RM_REG) {
        emit_op(e, byte ? (uint32_t)OP_TEST8 : OP_TEST | size, k->x.base, k->x, 0);
    } else if (byte) {
        emit_op(e, OP_GROUP1B_IMM8, ALU_CMP, k->x, 1);
        emit_u8(e, (uint8_t)k->imm);
    } else if (k->type == IR_I16 && !fits_signed(k->imm, 8)) {
        emit_op(e, OP_GROUP1_IMM32 | P66, ALU_CMP, k->x, 2);
        emit_u8(e, (uint8_t)k->imm);
        emit_u8(e, (uint8_t)(k->imm >> 8));
    } else {
        ins_alu_imm(e, ALU_CMP, size, k->x, k->imm);
    }
}

static void lower_setcc(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    Compare k = compare_prepare(c, (IRCond)ins->aux, ins->arg[0], ins->arg[1]);
    if (k.cc == CC_L && k.imm_form && k.imm == 0 && type_bits(k.type) >= 32) {
        /* the sign bit */
        uint32_t w = type_w(k.type);
        unsigned dst = ra_def(c, i, NO_REG);
        emit_to(c, w, dst, k.x);
        ins_shift_imm(&c->e, SH_SHR, w, dst, type_bits(k.type) - 1);
        return;
    }
    unsigned dst = ra_def(c, i, NO_REG);
    bool clobbers = rm_is_reg(k.x, dst) || (!k.imm_form && k.y == dst);
    if (!clobbers) {
        ins_xor_zero(&c->e, dst);
        compare_emit(c, &k);
        ins_setcc(&c->e, k.cc, dst);
    } else {
        compare_emit(c, &k);
        ins_setcc(&c->e, k.cc, RAX);
        emit_op(&c->e, OP_MOVZX8, dst, rm_reg(RAX), 0);
    }
}

static void lower_select_fp(Ctx *c, IRRef i, const Compare *k)
{
    const IRIns *ins = ctx_ins(c, i);
    unsigned x = ra_use(c, ins->arg[1]), y = ra_use(c, ins->arg[2]);
    unsigned dst = ra_def(c, i, ra_dies(c, ins->arg[2]) ? y : NO_REG);
    compare_emit(c, k);
    enum HostCC skip = (enum HostCC)(k->cc ^ 1);
    unsigned other = x;
    if (dst == x && x != y) {
        other = y;
        skip = k->cc;
    } else {
        emit_move_reg(c, dst, y);
    }
    uint8_t *over = ins_jcc_short(&c->e, skip);
    emit_move_reg(c, dst, other);
    bind_rel8(over, c->e.p);
}

static void lower_select(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i), *cond = ctx_ins(c, ins->arg[0]);
    Compare k;
    if (ctx_val(c, ins->arg[0])->flags & V_FUSED) {
        k = compare_prepare(c, (IRCond)cond->aux, cond->arg[0], cond->arg[1]);
    } else {
        unsigned r = ra_use(c, ins->arg[0]);
        k = (Compare){ .cc = CC_NE,
                       .type = ctx_type(c, ins->arg[0]),
                       .x = rm_reg(r),
                       .imm_form = true };
    }
    if (ir_type_is_float((IRType)ins->type)) {
        lower_select_fp(c, i, &k);
        return;
    }
    uint32_t w = type_w((IRType)ins->type);
    bool y_const = ctx_is_const(c, ins->arg[2]);
    Rm x = ra_use_rm(c, ins->arg[1]);
    Rm y = y_const ? rm_reg(NO_REG) : ra_use_rm(c, ins->arg[2]);
    unsigned dst = ra_def(c, i, y_const ? NO_REG : dying_reg(c, ins->arg[2], y));
    compare_emit(c, &k);
    if (rm_is_reg(x, dst)) {
        if (y_const) {
            ins_mov_imm(&c->e, RAX, ctx_imm(c, ins->arg[2]));
            y = rm_reg(RAX);
        }
        ins_cmov(&c->e, (enum HostCC)(k.cc ^ 1), w, dst, y);
        return;
    }
    if (y_const) {
        ins_mov_imm(&c->e, dst, ctx_imm(c, ins->arg[2]));
    } else {
        emit_to(c, OPW, dst, y);
    }
    ins_cmov(&c->e, k.cc, w, dst, x);
}

/* ---- exits on a condition ---- */

static void lower_exitif_fcmp(Ctx *c, IRRef i, IRRef cmp, bool sense)
{
    bool parity;
    enum HostCC cc = emit_fcmp(c, cmp, &parity);
    Value *v = ctx_val(c, cmp);
    v->flags |= V_CONST;
    v->imm = sense;
    if (!parity) {
        emit_side_exit(c, i, sense ? cc : (enum HostCC)(cc ^ 1), NULL);
    } else if (sense) { /* equal and not unordered */
        uint8_t *over = ins_jcc_short(&c->e, CC_P);
        emit_side_exit(c, i, CC_E, NULL);
        bind_rel8(over, c->e.p);
    } else {
        emit_side_exit(c, i, CC_NE, NULL);
        emit_side_exit(c, i, CC_P, NULL);
    }
}

void lower_exitif(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i), *cond = ctx_ins(c, ins->arg[0]);
    Value *v = ctx_val(c, ins->arg[0]);
    if (v->flags & V_FUSED) {
        /* Its value is known in the exit and behind it: nobody computes it. */
        bool sense = ins->aux == IR_NE;
        if (cond->op == IR_FCMP) {
            lower_exitif_fcmp(c, i, ins->arg[0], sense);
        } else {
            Compare k = compare_prepare(c, (IRCond)cond->aux, cond->arg[0], cond->arg[1]);
            uint8_t *start = c->e.p;
            compare_emit(c, &k);
            v->flags |= V_CONST;
            v->imm = sense;
            emit_side_exit(c, i, sense ? k.cc : (enum HostCC)(k.cc ^ 1), start);
        }
        v->imm = !sense;
        v->flags &= (uint8_t)~V_FUSED;
        return;
    }
    bool zero = ctx_is_const(c, ins->arg[1]) && ctx_imm(c, ins->arg[1]) == 0;
    if (zero && c->flags_val == ctx_id(c, ins->arg[0]) && c->flags_p == c->e.p &&
        c->flags_val) {
        enum HostCC cc = (enum HostCC)cond_cc[ins->aux];
        bool same_width = ctx_type(c, ins->arg[0]) == ctx_type(c, c->flags_val);
        cc = cc == CC_L ? CC_S : cc == CC_GE ? CC_NS : cc;
        if (same_width && (cc == CC_E || cc == CC_NE || cc == CC_S || cc == CC_NS)) {
            emit_side_exit(c, i, cc, c->flags_start);
            return;
        }
    }
    Compare k = compare_prepare(c, (IRCond)ins->aux, ins->arg[0], ins->arg[1]);
    uint8_t *start = c->e.p;
    compare_emit(c, &k);
    emit_side_exit(c, i, k.cc, start);
}

void lower_int(Ctx *c, IRRef i)
{
    switch ((IROp)ctx_ins(c, i)->op) {
    case IR_ADD: lower_binary(c, i, ALU_ADD); break;
    case IR_SUB: lower_binary(c, i, ALU_SUB); break;
    case IR_AND: lower_binary(c, i, ALU_AND); break;
    case IR_OR: lower_binary(c, i, ALU_OR); break;
    case IR_XOR: lower_binary(c, i, ALU_XOR); break;
    case IR_MUL: lower_mul(c, i); break;
    case IR_MULHS:
    case IR_MULHU:
    case IR_MULHSU: lower_mulh(c, i); break;
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU: lower_div(c, i); break;
    case IR_NEG: lower_unary(c, i, G3_NEG); break;
    case IR_NOT: lower_unary(c, i, G3_NOT); break;
    case IR_ANDN: lower_andn(c, i); break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROTL:
    case IR_ROTR: lower_shift(c, i); break;
    case IR_CLZ:
    case IR_CTZ: lower_count_zeros(c, i); break;
    case IR_POPCNT: lower_popcnt(c, i); break;
    case IR_BSWAP: lower_bswap(c, i); break;
    case IR_ORCB: lower_orcb(c, i); break;
    case IR_BREV8: lower_brev8(c, i); break;
    case IR_CLMUL:
    case IR_CLMULH: lower_clmul(c, i); break;
    case IR_SEXT:
    case IR_ZEXT: lower_extend(c, i); break;
    case IR_SETCC: lower_setcc(c, i); break;
    case IR_SELECT: lower_select(c, i); break;
    default: assert(!"integer op"); break;
    }
}
