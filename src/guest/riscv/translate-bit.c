/* SPDX-License-Identifier: MIT
 *
 * Bit manipulation (Zba, Zbb, Zbs, Zbc, Zbkb) and Zicond.
 */
#include "guest/riscv/translate.h"

/* x, y: the two operands in 64 bits; b: the builder. */
#define TRANS_R(name, expr)                                                              \
    bool trans_##name(DisasContext *ctx, arg_r *a)                                       \
    {                                                                                    \
        IRBuilder *b = ctx->b;                                                           \
        IRRef x = get_x(ctx, a->rs1), y = get_x(ctx, a->rs2);                            \
        put_x(ctx, a->rd, expr);                                                         \
        return true;                                                                     \
    }
/* x: the operand; k: a constant operand. */
#define TRANS_R2(name, expr)                                                             \
    bool trans_##name(DisasContext *ctx, arg_r2 *a)                                      \
    {                                                                                    \
        IRBuilder *b = ctx->b;                                                           \
        IRRef x = get_x(ctx, a->rs1);                                                    \
        put_x(ctx, a->rd, expr);                                                         \
        return true;                                                                     \
    }
#define TRANS_SHIFT(name, expr)                                                          \
    bool trans_##name(DisasContext *ctx, arg_shift *a)                                   \
    {                                                                                    \
        IRBuilder *b = ctx->b;                                                           \
        IRRef x = get_x(ctx, a->rs1), k = const64(ctx, (uint64_t)a->shamt);              \
        put_x(ctx, a->rd, expr);                                                         \
        return true;                                                                     \
    }

static IRRef shift_left(IRBuilder *b, IRRef x, unsigned n)
{
    return ir_gen_shl(b, x, ir_const(b, IR_I64, n));
}

static IRRef low(IRBuilder *b, IRType type, IRRef x) { return ir_gen_trunc(b, type, x); }

/* The low bits of x as an unsigned number. */
static IRRef zext_low(IRBuilder *b, IRType type, IRRef x)
{
    return ir_gen_zext(b, IR_I64, low(b, type, x));
}

static IRRef sext_low(IRBuilder *b, IRType type, IRRef x)
{
    return ir_gen_sext(b, IR_I64, low(b, type, x));
}

/* ---- Zba ---- */

TRANS_R(add_uw, ir_gen_add(b, zext_low(b, IR_I32, x), y))
TRANS_R(sh1add, ir_gen_add(b, shift_left(b, x, 1), y))
TRANS_R(sh2add, ir_gen_add(b, shift_left(b, x, 2), y))
TRANS_R(sh3add, ir_gen_add(b, shift_left(b, x, 3), y))
TRANS_R(sh1add_uw, ir_gen_add(b, shift_left(b, zext_low(b, IR_I32, x), 1), y))
TRANS_R(sh2add_uw, ir_gen_add(b, shift_left(b, zext_low(b, IR_I32, x), 2), y))
TRANS_R(sh3add_uw, ir_gen_add(b, shift_left(b, zext_low(b, IR_I32, x), 3), y))
TRANS_SHIFT(slli_uw, ir_gen_shl(b, zext_low(b, IR_I32, x), k))

/* ---- Zbb ---- */

static IRRef gen_min(IRBuilder *b, IRCond less, IRRef x, IRRef y)
{
    return ir_gen_select(b, ir_gen_setcc(b, IR_I64, less, x, y), x, y);
}

static IRRef gen_max(IRBuilder *b, IRCond less, IRRef x, IRRef y)
{
    return ir_gen_select(b, ir_gen_setcc(b, IR_I64, less, x, y), y, x);
}

TRANS_R(andn, ir_gen_andn(b, x, y))
TRANS_R(orn, ir_gen_or(b, x, ir_gen_not(b, y)))
TRANS_R(xnor, ir_gen_not(b, ir_gen_xor(b, x, y)))
TRANS_R(min, gen_min(b, IR_LT, x, y))
TRANS_R(minu, gen_min(b, IR_LTU, x, y))
TRANS_R(max, gen_max(b, IR_LT, x, y))
TRANS_R(maxu, gen_max(b, IR_LTU, x, y))
TRANS_R(rol, ir_gen_rotl(b, x, y))
TRANS_R(ror, ir_gen_rotr(b, x, y))
TRANS_SHIFT(rori, ir_gen_rotr(b, x, k))
TRANS_R2(clz, ir_gen_clz(b, x))
TRANS_R2(ctz, ir_gen_ctz(b, x))
TRANS_R2(cpop, ir_gen_popcnt(b, x))
TRANS_R2(clzw, ir_gen_zext(b, IR_I64, ir_gen_clz(b, low(b, IR_I32, x))))
TRANS_R2(ctzw, ir_gen_zext(b, IR_I64, ir_gen_ctz(b, low(b, IR_I32, x))))
TRANS_R2(cpopw, ir_gen_zext(b, IR_I64, ir_gen_popcnt(b, low(b, IR_I32, x))))
TRANS_R2(sext_b, sext_low(b, IR_I8, x))
TRANS_R2(sext_h, sext_low(b, IR_I16, x))
TRANS_R2(zext_h, zext_low(b, IR_I16, x))
TRANS_R2(orc_b, ir_gen_orcb(b, x))
TRANS_R2(rev8, ir_gen_bswap(b, x))

bool trans_rolw(DisasContext *ctx, arg_r *a)
{
    put_x_sext(ctx, a->rd,
               ir_gen_rotl(ctx->b, get_x32(ctx, a->rs1), get_x32(ctx, a->rs2)));
    return true;
}

bool trans_rorw(DisasContext *ctx, arg_r *a)
{
    put_x_sext(ctx, a->rd,
               ir_gen_rotr(ctx->b, get_x32(ctx, a->rs1), get_x32(ctx, a->rs2)));
    return true;
}

bool trans_roriw(DisasContext *ctx, arg_shift *a)
{
    IRRef count = ir_const(ctx->b, IR_I32, (uint64_t)a->shamt);
    put_x_sext(ctx, a->rd, ir_gen_rotr(ctx->b, get_x32(ctx, a->rs1), count));
    return true;
}

/* ---- Zbkb ---- */

TRANS_R2(brev8, ir_gen_brev8(b, x))
TRANS_R(pack, ir_gen_or(b, zext_low(b, IR_I32, x), shift_left(b, y, 32)))
TRANS_R(packh,
        ir_gen_or(b, zext_low(b, IR_I8, x), shift_left(b, zext_low(b, IR_I8, y), 8)))
TRANS_R(packw,
        sext_low(b, IR_I32, ir_gen_or(b, zext_low(b, IR_I16, x), shift_left(b, y, 16))))

/* ---- Zbs ---- */

#define BIT(n) ir_gen_shl(b, ir_const(b, IR_I64, 1), n)
TRANS_R(bset, ir_gen_or(b, x, BIT(y)))
TRANS_R(bclr, ir_gen_andn(b, x, BIT(y)))
TRANS_R(binv, ir_gen_xor(b, x, BIT(y)))
TRANS_R(bext, ir_gen_and(b, ir_gen_shr(b, x, y), ir_const(b, IR_I64, 1)))
TRANS_SHIFT(bseti, ir_gen_or(b, x, BIT(k)))
TRANS_SHIFT(bclri, ir_gen_andn(b, x, BIT(k)))
TRANS_SHIFT(binvi, ir_gen_xor(b, x, BIT(k)))
TRANS_SHIFT(bexti, ir_gen_and(b, ir_gen_shr(b, x, k), ir_const(b, IR_I64, 1)))

/* ---- Zbc ---- */

static IRRef gen_clmulr(IRBuilder *b, IRRef x, IRRef y)
{
    /* bits 126-63 of the product */
    IRRef high = shift_left(b, ir_gen_clmulh(b, x, y), 1);
    return ir_gen_or(b, high,
                     ir_gen_shr(b, ir_gen_clmul(b, x, y), ir_const(b, IR_I64, 63)));
}

TRANS_R(clmul, ir_gen_clmul(b, x, y))
TRANS_R(clmulh, ir_gen_clmulh(b, x, y))
TRANS_R(clmulr, gen_clmulr(b, x, y))

/* ---- Zicond ---- */

TRANS_R(czero_eqz, ir_gen_select(b, y, x, ir_const(b, IR_I64, 0)))
TRANS_R(czero_nez, ir_gen_select(b, y, ir_const(b, IR_I64, 0), x))
