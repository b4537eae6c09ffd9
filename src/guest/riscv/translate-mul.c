/* SPDX-License-Identifier: MIT
 *
 * M: multiplication and division.  The IR's division has RISC-V's results for zero and
 * overflow.
 */
#include "guest/riscv/translate.h"

#define TRANS_M(name, op)                                                                \
    bool trans_##name(DisasContext *ctx, arg_r *a)                                       \
    {                                                                                    \
        IRRef x = get_x(ctx, a->rs1), y = get_x(ctx, a->rs2);                            \
        put_x(ctx, a->rd, ir_gen_##op(ctx->b, x, y));                                    \
        return true;                                                                     \
    }
#define TRANS_MW(name, op)                                                               \
    bool trans_##name(DisasContext *ctx, arg_r *a)                                       \
    {                                                                                    \
        IRRef x = get_x32(ctx, a->rs1), y = get_x32(ctx, a->rs2);                        \
        put_x_sext(ctx, a->rd, ir_gen_##op(ctx->b, x, y));                               \
        return true;                                                                     \
    }

TRANS_M(mul, mul)
TRANS_M(mulh, mulhs)
TRANS_M(mulhsu, mulhsu)
TRANS_M(mulhu, mulhu)
TRANS_M(div, divs)
TRANS_M(divu, divu)
TRANS_M(rem, rems)
TRANS_M(remu, remu)
TRANS_MW(mulw, mul)
TRANS_MW(divw, divs)
TRANS_MW(divuw, divu)
TRANS_MW(remw, rems)
TRANS_MW(remuw, remu)
