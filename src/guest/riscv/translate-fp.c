/* SPDX-License-Identifier: MIT
 *
 * F, D, Zfh, Zfa.
 *
 * Single and double precision are IR operations.  What no host instruction does goes
 * through helpers on software floating point: half precision, ties-away rounding, the odd
 * operations of Zfa.  An FP register is an f64 whose bits may be a NaN-boxed narrower
 * value.
 *
 * Rounding: a dynamic mode is the one the CPU is in, IR_RM_DYN, unless the unit's flags
 * say that frm has no host counterpart (cpu.h).  Exact operations never name a mode, so
 * that none is switched to in vain.
 */
#include "guest/riscv/fp-helper.h"
#include "guest/riscv/translate.h"

/* ---- registers ---- */

static IRRef get_f64(DisasContext *ctx, unsigned reg)
{
    return ir_get_reg(ctx->b, RISCV_F + reg);
}

static IRRef get_f32(DisasContext *ctx, unsigned reg)
{
    return ir_gen_unbox32(ctx->b, get_f64(ctx, reg));
}

/* For arithmetic and compares, which do not tell one quiet NaN from another. */
static IRRef get_f_raw(DisasContext *ctx, FPFormat f, unsigned reg)
{
    IRRef raw = ir_get_reg_raw(ctx->b, RISCV_F + reg);
    if (f == FP_64) {
        return raw; /* a boxed single is a quiet NaN, whatever it holds */
    }
    if (ctx->b->canon[RISCV_F + reg] != IR_CANON_BOXED_F32) {
        raw = get_f64(ctx, reg);
    }
    return ir_gen_unbox32(ctx->b, raw);
}

static IRRef get_f_bits(DisasContext *ctx, unsigned reg)
{
    return ir_gen_bitcast(ctx->b, IR_I64, get_f64(ctx, reg));
}

static void put_f64(DisasContext *ctx, unsigned reg, IRRef val)
{
    ir_put_reg(ctx->b, RISCV_F + reg, val);
}

static void put_f32(DisasContext *ctx, unsigned reg, IRRef val)
{
    put_f64(ctx, reg, ir_gen_box32(ctx->b, val));
}

static IRRef get_f(DisasContext *ctx, FPFormat f, unsigned reg)
{
    return f == FP_32 ? get_f32(ctx, reg) : get_f64(ctx, reg);
}

static void put_f(DisasContext *ctx, FPFormat f, unsigned reg, IRRef val)
{
    if (f == FP_32) {
        put_f32(ctx, reg, val);
    } else {
        put_f64(ctx, reg, val);
    }
}

/* The result of an arithmetic operation: NaNs become canonical once somebody looks. */
static bool put_f_canon(DisasContext *ctx, FPFormat f, unsigned reg, IRRef val)
{
    if (f == FP_32) {
        ir_put_reg_raw(ctx->b, RISCV_F + reg, ir_gen_box32(ctx->b, val),
                       IR_CANON_BOXED_F32);
    } else {
        ir_put_reg_raw(ctx->b, RISCV_F + reg, val, IR_CANON_F64);
    }
    return true;
}

/* ---- rounding modes ---- */

typedef enum Rounding { ROUND_HOST, ROUND_SOFT, ROUND_ILLEGAL } Rounding;

/* How the mode `rm` of an instruction is done; *host is the IR's name of it. */
static Rounding get_rounding(DisasContext *ctx, unsigned rm, IRRound *host)
{
    static const IRRound names[4] = {IR_RM_RNE, IR_RM_RTZ, IR_RM_RDN, IR_RM_RUP};
    *host = IR_RM_DYN;
    if (rm < 4) {
        *host = names[rm];
        return ROUND_HOST;
    }
    if (rm == FP_RMM) {
        return ROUND_SOFT;
    }
    switch (ctx->tc->flags & RISCV_TB_FRM) {
    case RISCV_TB_FRM_HOST: return ROUND_HOST;
    case RISCV_TB_FRM_RMM: return ROUND_SOFT;
    default: return ROUND_ILLEGAL;
    }
}

static bool is_rounding_legal(DisasContext *ctx, unsigned rm)
{
    IRRound host;
    return get_rounding(ctx, rm, &host) != ROUND_ILLEGAL;
}

/* ---- helper calls ---- */

static IRRef call_fp_f(DisasContext *ctx, uint64_t code, IRRef x, IRRef y, IRRef z)
{
    IRRef args[] = {const64(ctx, code), x, y, z};
    return ir_call(ctx->b, RISCV_HELPER_fp_f, 0, 4, args);
}

/* rd = op(rs1, rs2, rs3) on whole registers; one that does not count may be any. */
static bool gen_soft(DisasContext *ctx, uint64_t code, unsigned rd, unsigned rs1,
                     unsigned rs2, unsigned rs3)
{
    put_f64(
        ctx, rd,
        call_fp_f(ctx, code, get_f64(ctx, rs1), get_f64(ctx, rs2), get_f64(ctx, rs3)));
    return true;
}

static bool gen_soft_x(DisasContext *ctx, uint64_t code, unsigned rd, unsigned rs1,
                       unsigned rs2)
{
    IRRef args[] = {const64(ctx, code), get_f64(ctx, rs1), get_f64(ctx, rs2)};
    put_x(ctx, rd, ir_call(ctx->b, RISCV_HELPER_fp_x, 0, 3, args));
    return true;
}

/* ---- loads, stores, moves ---- */

static bool gen_fload(DisasContext *ctx, arg_i *a, IRType type, unsigned memop)
{
    IRRef addr = get_x(ctx, a->rs1);
    IRRef val = ir_gen_ld(ctx->b, snap_here(ctx), type, memop, addr, a->imm);
    if (type == IR_F32) {
        put_f32(ctx, a->rd, val);
    } else if (type == IR_F64) {
        put_f64(ctx, a->rd, val);
    } else {
        IRRef ones = const64(ctx, fp_box(FP_16, 0));
        val = ir_gen_or(ctx->b, val, ones);
        put_f64(ctx, a->rd, ir_gen_bitcast(ctx->b, IR_F64, val));
    }
    return true;
}

bool trans_flh(DisasContext *ctx, arg_i *a) { return gen_fload(ctx, a, IR_I64, MO_16); }
bool trans_flw(DisasContext *ctx, arg_i *a) { return gen_fload(ctx, a, IR_F32, MO_32); }
bool trans_fld(DisasContext *ctx, arg_i *a) { return gen_fload(ctx, a, IR_F64, MO_64); }

bool trans_fsh(DisasContext *ctx, arg_s *a)
{
    IRRef addr = get_x(ctx, a->rs1), val = get_f_bits(ctx, a->rs2);
    gen_guest_store(ctx, MO_16, addr, a->imm, val);
    return true;
}

/* The low half is stored whatever the boxing; a boxed single needs no move. */
bool trans_fsw(DisasContext *ctx, arg_s *a)
{
    IRRef addr = get_x(ctx, a->rs1), val = get_f64(ctx, a->rs2);
    const IRIns *def = ir_ins(ctx->b->f, val);
    val = def->op == IR_BOX32 ? def->arg[0] : get_f_bits(ctx, a->rs2);
    gen_guest_store(ctx, MO_32, addr, a->imm, val);
    return true;
}

bool trans_fsd(DisasContext *ctx, arg_s *a)
{
    IRRef addr = get_x(ctx, a->rs1), val = get_f64(ctx, a->rs2);
    gen_guest_store(ctx, MO_64, addr, a->imm, val);
    return true;
}

bool trans_fmv_x_h(DisasContext *ctx, arg_r2 *a)
{
    put_x_sext(ctx, a->rd, ir_gen_trunc(ctx->b, IR_I16, get_f_bits(ctx, a->rs1)));
    return true;
}

bool trans_fmv_x_w(DisasContext *ctx, arg_r2 *a)
{
    put_x_sext(ctx, a->rd, ir_gen_trunc(ctx->b, IR_I32, get_f_bits(ctx, a->rs1)));
    return true;
}

bool trans_fmv_x_d(DisasContext *ctx, arg_r2 *a)
{
    put_x(ctx, a->rd, get_f_bits(ctx, a->rs1));
    return true;
}

bool trans_fmv_h_x(DisasContext *ctx, arg_r2 *a)
{
    IRRef val = ir_gen_or(ctx->b, get_x(ctx, a->rs1), const64(ctx, fp_box(FP_16, 0)));
    put_f64(ctx, a->rd, ir_gen_bitcast(ctx->b, IR_F64, val));
    return true;
}

bool trans_fmv_w_x(DisasContext *ctx, arg_r2 *a)
{
    put_f32(ctx, a->rd, ir_gen_bitcast(ctx->b, IR_F32, get_x32(ctx, a->rs1)));
    return true;
}

bool trans_fmv_d_x(DisasContext *ctx, arg_r2 *a)
{
    put_f64(ctx, a->rd, ir_gen_bitcast(ctx->b, IR_F64, get_x(ctx, a->rs1)));
    return true;
}

static bool gen_fli(DisasContext *ctx, arg_r2 *a, FPFormat f)
{
    uint64_t bits = fp_box(f, fpu_constant(f, (unsigned)a->rs1));
    put_f64(ctx, a->rd, ir_const(ctx->b, IR_F64, bits));
    return true;
}

bool trans_fli_h(DisasContext *ctx, arg_r2 *a) { return gen_fli(ctx, a, FP_16); }
bool trans_fli_s(DisasContext *ctx, arg_r2 *a) { return gen_fli(ctx, a, FP_32); }
bool trans_fli_d(DisasContext *ctx, arg_r2 *a) { return gen_fli(ctx, a, FP_64); }

/* ---- arithmetic ---- */

typedef IRRef Binary(IRBuilder *b, IRRound rm, IRRef x, IRRef y);

static bool gen_arith(DisasContext *ctx, arg_r_rm *a, FPFormat f, Binary *gen,
                      FPHelperOp op)
{
    IRRound rm;
    Rounding how = get_rounding(ctx, (unsigned)a->rm, &rm);
    if (how == ROUND_ILLEGAL) {
        return false;
    }
    if (how == ROUND_SOFT || f == FP_16) {
        return gen_soft(ctx, fph_code(op, f, (unsigned)a->rm, 0), a->rd, a->rs1, a->rs2,
                        a->rs2);
    }
    return put_f_canon(ctx, f, a->rd,
                       gen(ctx->b, rm, get_f_raw(ctx, f, a->rs1),
                           get_f_raw(ctx, f, a->rs2)));
}

#define TRANS_ARITH(name, op)                                                            \
    bool trans_##name##_h(DisasContext *ctx, arg_r_rm *a)                                \
    {                                                                                    \
        return gen_arith(ctx, a, FP_16, ir_gen_##name, op);                              \
    }                                                                                    \
    bool trans_##name##_s(DisasContext *ctx, arg_r_rm *a)                                \
    {                                                                                    \
        return gen_arith(ctx, a, FP_32, ir_gen_##name, op);                              \
    }                                                                                    \
    bool trans_##name##_d(DisasContext *ctx, arg_r_rm *a)                                \
    {                                                                                    \
        return gen_arith(ctx, a, FP_64, ir_gen_##name, op);                              \
    }
TRANS_ARITH(fadd, FPH_ADD)
TRANS_ARITH(fsub, FPH_SUB)
TRANS_ARITH(fmul, FPH_MUL)
TRANS_ARITH(fdiv, FPH_DIV)

static bool gen_sqrt(DisasContext *ctx, arg_r2_rm *a, FPFormat f)
{
    IRRound rm;
    Rounding how = get_rounding(ctx, (unsigned)a->rm, &rm);
    if (how == ROUND_ILLEGAL) {
        return false;
    }
    if (how == ROUND_SOFT || f == FP_16) {
        return gen_soft(ctx, fph_code(FPH_SQRT, f, (unsigned)a->rm, 0), a->rd, a->rs1,
                        a->rs1, a->rs1);
    }
    IRRef x = get_f_raw(ctx, f, a->rs1);
    return put_f_canon(ctx, f, a->rd, ir_gen_fsqrt(ctx->b, rm, x));
}

bool trans_fsqrt_h(DisasContext *ctx, arg_r2_rm *a) { return gen_sqrt(ctx, a, FP_16); }
bool trans_fsqrt_s(DisasContext *ctx, arg_r2_rm *a) { return gen_sqrt(ctx, a, FP_32); }
bool trans_fsqrt_d(DisasContext *ctx, arg_r2_rm *a) { return gen_sqrt(ctx, a, FP_64); }

/* negate: a set of FPNegate, which is also the IR's. */
static bool gen_fused(DisasContext *ctx, arg_r4_rm *a, FPFormat f, unsigned negate)
{
    IRRound rm;
    Rounding how = get_rounding(ctx, (unsigned)a->rm, &rm);
    if (how == ROUND_ILLEGAL) {
        return false;
    }
    if (how == ROUND_SOFT || f == FP_16) {
        return gen_soft(ctx, fph_code(FPH_FMA, f, (unsigned)a->rm, negate), a->rd, a->rs1,
                        a->rs2, a->rs3);
    }
    IRRef val = ir_gen_fma(ctx->b, rm, get_f_raw(ctx, f, a->rs1),
                           get_f_raw(ctx, f, a->rs2), get_f_raw(ctx, f, a->rs3),
                           negate & FP_NEG_PRODUCT, (negate & FP_NEG_ADDEND) != 0);
    return put_f_canon(ctx, f, a->rd, val);
}

#define TRANS_FUSED(name, negate)                                                        \
    bool trans_##name##_h(DisasContext *ctx, arg_r4_rm *a)                               \
    {                                                                                    \
        return gen_fused(ctx, a, FP_16, negate);                                         \
    }                                                                                    \
    bool trans_##name##_s(DisasContext *ctx, arg_r4_rm *a)                               \
    {                                                                                    \
        return gen_fused(ctx, a, FP_32, negate);                                         \
    }                                                                                    \
    bool trans_##name##_d(DisasContext *ctx, arg_r4_rm *a)                               \
    {                                                                                    \
        return gen_fused(ctx, a, FP_64, negate);                                         \
    }
TRANS_FUSED(fmadd, 0)
TRANS_FUSED(fmsub, FP_NEG_ADDEND)
TRANS_FUSED(fnmsub, FP_NEG_PRODUCT)
TRANS_FUSED(fnmadd, FP_NEG_PRODUCT | FP_NEG_ADDEND)

/* ---- signs, minima, comparisons ---- */

typedef IRRef Plain(IRBuilder *b, IRRef x, IRRef y);

static bool gen_plain(DisasContext *ctx, arg_r *a, FPFormat f, Plain *gen, FPHelperOp op)
{
    if (f == FP_16) {
        return gen_soft(ctx, fph_code(op, f, 0, 0), a->rd, a->rs1, a->rs2, a->rs2);
    }
    put_f(ctx, f, a->rd, gen(ctx->b, get_f(ctx, f, a->rs1), get_f(ctx, f, a->rs2)));
    return true;
}

static bool gen_minmax(DisasContext *ctx, arg_r *a, FPFormat f, Plain *gen, FPHelperOp op)
{
    if (f == FP_16) {
        return gen_soft(ctx, fph_code(op, f, 0, 0), a->rd, a->rs1, a->rs2, a->rs2);
    }
    put_f(ctx, f, a->rd,
          gen(ctx->b, get_f_raw(ctx, f, a->rs1), get_f_raw(ctx, f, a->rs2)));
    return true;
}

/* FMV.D, and FMV.S of a single: what is not canonical yet need not be for that. */
static bool gen_copy(DisasContext *ctx, arg_r *a, FPFormat f)
{
    IRCanon kind = (IRCanon)ctx->b->canon[RISCV_F + a->rs1];
    bool whole = f == FP_64 ? kind != IR_CANON_NONE
                            : f == FP_32 && kind == IR_CANON_BOXED_F32;
    if (a->rs1 != a->rs2 || !whole) {
        return false;
    }
    ir_put_reg_raw(ctx->b, RISCV_F + (unsigned)a->rd,
                   ir_get_reg_raw(ctx->b, RISCV_F + (unsigned)a->rs1), kind);
    return true;
}

static bool gen_sgnj(DisasContext *ctx, arg_r *a, FPFormat f, Plain *gen, FPHelperOp op)
{
    return gen_copy(ctx, a, f) || gen_plain(ctx, a, f, gen, op);
}

#define TRANS_PLAIN(how, name, op)                                                       \
    bool trans_##name##_h(DisasContext *ctx, arg_r *a)                                   \
    {                                                                                    \
        return how(ctx, a, FP_16, ir_gen_##name, op);                                    \
    }                                                                                    \
    bool trans_##name##_s(DisasContext *ctx, arg_r *a)                                   \
    {                                                                                    \
        return how(ctx, a, FP_32, ir_gen_##name, op);                                    \
    }                                                                                    \
    bool trans_##name##_d(DisasContext *ctx, arg_r *a)                                   \
    {                                                                                    \
        return how(ctx, a, FP_64, ir_gen_##name, op);                                    \
    }
TRANS_PLAIN(gen_sgnj, fsgnj, FPH_SGNJ)
TRANS_PLAIN(gen_plain, fsgnjn, FPH_SGNJN)
TRANS_PLAIN(gen_plain, fsgnjx, FPH_SGNJX)
TRANS_PLAIN(gen_minmax, fmin, FPH_MIN)
TRANS_PLAIN(gen_minmax, fmax, FPH_MAX)

#define TRANS_MINMAXM(name, f, op)                                                       \
    bool trans_##name(DisasContext *ctx, arg_r *a)                                       \
    {                                                                                    \
        return gen_soft(ctx, fph_code(op, f, 0, 0), a->rd, a->rs1, a->rs2, a->rs2);      \
    }
TRANS_MINMAXM(fminm_h, FP_16, FPH_MINM)
TRANS_MINMAXM(fminm_s, FP_32, FPH_MINM)
TRANS_MINMAXM(fminm_d, FP_64, FPH_MINM)
TRANS_MINMAXM(fmaxm_h, FP_16, FPH_MAXM)
TRANS_MINMAXM(fmaxm_s, FP_32, FPH_MAXM)
TRANS_MINMAXM(fmaxm_d, FP_64, FPH_MAXM)

static bool gen_compare(DisasContext *ctx, arg_r *a, FPFormat f, FPCompare cmp)
{
    static const IRFCmp names[] = {[FP_EQ] = IR_FEQ, [FP_LT] = IR_FLT, [FP_LE] = IR_FLE};
    if (f == FP_16 || cmp == FP_LTQ || cmp == FP_LEQ) {
        return gen_soft_x(ctx, fph_code(FPH_COMPARE, f, 0, cmp), a->rd, a->rs1, a->rs2);
    }
    put_x(ctx, a->rd,
          ir_gen_fcmp(ctx->b, names[cmp], get_f_raw(ctx, f, a->rs1),
                      get_f_raw(ctx, f, a->rs2)));
    return true;
}

#define TRANS_COMPARE(name, cmp)                                                         \
    bool trans_##name##_h(DisasContext *ctx, arg_r *a)                                   \
    {                                                                                    \
        return gen_compare(ctx, a, FP_16, cmp);                                          \
    }                                                                                    \
    bool trans_##name##_s(DisasContext *ctx, arg_r *a)                                   \
    {                                                                                    \
        return gen_compare(ctx, a, FP_32, cmp);                                          \
    }                                                                                    \
    bool trans_##name##_d(DisasContext *ctx, arg_r *a)                                   \
    {                                                                                    \
        return gen_compare(ctx, a, FP_64, cmp);                                          \
    }
TRANS_COMPARE(feq, FP_EQ)
TRANS_COMPARE(flt, FP_LT)
TRANS_COMPARE(fle, FP_LE)
TRANS_COMPARE(fltq, FP_LTQ)
TRANS_COMPARE(fleq, FP_LEQ)

static bool gen_class(DisasContext *ctx, arg_r2 *a, FPFormat f)
{
    IRRef args[] = {const64(ctx, f), get_f64(ctx, a->rs1)};
    put_x(ctx, a->rd, ir_call(ctx->b, RISCV_HELPER_fclass, 0, 2, args));
    return true;
}

bool trans_fclass_h(DisasContext *ctx, arg_r2 *a) { return gen_class(ctx, a, FP_16); }
bool trans_fclass_s(DisasContext *ctx, arg_r2 *a) { return gen_class(ctx, a, FP_32); }
bool trans_fclass_d(DisasContext *ctx, arg_r2 *a) { return gen_class(ctx, a, FP_64); }

/* ---- conversions ---- */

static bool is_unsigned(FPInt i) { return i == FP_U32 || i == FP_U64; }
static IRType int_type(FPInt i) { return i <= FP_U32 ? IR_I32 : IR_I64; }

static bool gen_to_int(DisasContext *ctx, arg_r2_rm *a, FPFormat f, FPInt to)
{
    IRRound rm;
    Rounding how = get_rounding(ctx, (unsigned)a->rm, &rm);
    if (how == ROUND_ILLEGAL) {
        return false;
    }
    if (how == ROUND_SOFT || f == FP_16) {
        return gen_soft_x(ctx, fph_code(FPH_TO_INT, f, (unsigned)a->rm, to), a->rd,
                          a->rs1, a->rs1);
    }
    IRRef val =
        ir_gen_ftoi(ctx->b, int_type(to), rm, get_f_raw(ctx, f, a->rs1), is_unsigned(to));
    if (int_type(to) == IR_I32) {
        put_x_sext(ctx, a->rd, val);
    } else {
        put_x(ctx, a->rd, val);
    }
    return true;
}

static bool gen_from_int(DisasContext *ctx, arg_r2_rm *a, FPFormat f, FPInt from)
{
    IRRound rm;
    Rounding how = get_rounding(ctx, (unsigned)a->rm, &rm);
    if (how == ROUND_ILLEGAL) {
        return false;
    }
    if (f == FP_64 && int_type(from) == IR_I32) {
        rm = IR_RM_DYN; /* exact */
    } else if (how == ROUND_SOFT || f == FP_16) {
        IRRef x = get_x(ctx, a->rs1);
        put_f64(
            ctx, a->rd,
            call_fp_f(ctx, fph_code(FPH_FROM_INT, f, (unsigned)a->rm, from), x, x, x));
        return true;
    }
    IRRef x = int_type(from) == IR_I32 ? get_x32(ctx, a->rs1) : get_x(ctx, a->rs1);
    IRType type = f == FP_32 ? IR_F32 : IR_F64;
    put_f(ctx, f, a->rd, ir_gen_itof(ctx->b, type, rm, x, is_unsigned(from)));
    return true;
}

#define TRANS_INT(f, format, i, type)                                                    \
    bool trans_fcvt_##i##_##f(DisasContext *ctx, arg_r2_rm *a)                           \
    {                                                                                    \
        return gen_to_int(ctx, a, format, type);                                         \
    }                                                                                    \
    bool trans_fcvt_##f##_##i(DisasContext *ctx, arg_r2_rm *a)                           \
    {                                                                                    \
        return gen_from_int(ctx, a, format, type);                                       \
    }
#define TRANS_INTS(f, format)                                                            \
    TRANS_INT(f, format, w, FP_I32)                                                      \
    TRANS_INT(f, format, wu, FP_U32)                                                     \
    TRANS_INT(f, format, l, FP_I64)                                                      \
    TRANS_INT(f, format, lu, FP_U64)
TRANS_INTS(h, FP_16)
TRANS_INTS(s, FP_32)
TRANS_INTS(d, FP_64)

bool trans_fcvt_s_d(DisasContext *ctx, arg_r2_rm *a)
{
    IRRound rm;
    Rounding how = get_rounding(ctx, (unsigned)a->rm, &rm);
    if (how == ROUND_ILLEGAL) {
        return false;
    }
    if (how == ROUND_SOFT) {
        return gen_soft(ctx, fph_code(FPH_FROM_FP, FP_32, (unsigned)a->rm, FP_64), a->rd,
                        a->rs1, a->rs1, a->rs1);
    }
    return put_f_canon(ctx, FP_32, a->rd,
                       ir_gen_fcvt(ctx->b, IR_F32, rm, get_f_raw(ctx, FP_64, a->rs1)));
}

bool trans_fcvt_d_s(DisasContext *ctx, arg_r2_rm *a)
{
    if (!is_rounding_legal(ctx, (unsigned)a->rm)) {
        return false;
    }
    IRRef x = get_f_raw(ctx, FP_32, a->rs1);
    return put_f_canon(ctx, FP_64, a->rd, ir_gen_fcvt(ctx->b, IR_F64, IR_RM_DYN, x));
}

/* One operand, through the helper. */
#define TRANS_SOFT(name, op, f, other)                                                   \
    bool trans_##name(DisasContext *ctx, arg_r2_rm *a)                                   \
    {                                                                                    \
        return is_rounding_legal(ctx, (unsigned)a->rm) &&                                \
               gen_soft(ctx, fph_code(op, f, (unsigned)a->rm, other), a->rd, a->rs1,     \
                        a->rs1, a->rs1);                                                 \
    }
TRANS_SOFT(fcvt_s_h, FPH_FROM_FP, FP_32, FP_16)
TRANS_SOFT(fcvt_h_s, FPH_FROM_FP, FP_16, FP_32)
TRANS_SOFT(fcvt_d_h, FPH_FROM_FP, FP_64, FP_16)
TRANS_SOFT(fcvt_h_d, FPH_FROM_FP, FP_16, FP_64)
TRANS_SOFT(fround_h, FPH_ROUND, FP_16, 0)
TRANS_SOFT(fround_s, FPH_ROUND, FP_32, 0)
TRANS_SOFT(fround_d, FPH_ROUND, FP_64, 0)
TRANS_SOFT(froundnx_h, FPH_ROUNDNX, FP_16, 0)
TRANS_SOFT(froundnx_s, FPH_ROUNDNX, FP_32, 0)
TRANS_SOFT(froundnx_d, FPH_ROUNDNX, FP_64, 0)

bool trans_fcvtmod_w_d(DisasContext *ctx, arg_r2 *a)
{
    return gen_soft_x(ctx, fph_code(FPH_TO_I32_MODULO, FP_64, FP_RTZ, 0), a->rd, a->rs1,
                      a->rs1);
}
