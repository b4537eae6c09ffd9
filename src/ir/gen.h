/*
 * Emitters for front ends: ir_gen_<op>(builder, arguments), typed by their arguments.
 */
#ifndef BRAID_IR_GEN_H
#define BRAID_IR_GEN_H

#include "ir/ir.h"

#define IR_GEN_BINARY(name, OP)                                                    \
    static inline IRRef ir_gen_##name(IRBuilder *b, IRRef x, IRRef y)              \
    {                                                                              \
        return ir_emit(b, IR_##OP, ir_ref_type(b->f, x), 0, x, y, 0, 0);           \
    }
#define IR_GEN_UNARY(name, OP)                                                     \
    static inline IRRef ir_gen_##name(IRBuilder *b, IRRef x)                       \
    {                                                                              \
        return ir_emit(b, IR_##OP, ir_ref_type(b->f, x), 0, x, 0, 0, 0);           \
    }
#define IR_GEN_CONVERT(name, OP)                                                   \
    static inline IRRef ir_gen_##name(IRBuilder *b, IRType to, IRRef x)            \
    {                                                                              \
        return ir_emit(b, IR_##OP, to, 0, x, 0, 0, 0);                             \
    }
#define IR_GEN_FP2(name, OP)                                                       \
    static inline IRRef ir_gen_##name(IRBuilder *b, IRRound rm, IRRef x, IRRef y)  \
    {                                                                              \
        return ir_emit(b, IR_##OP, ir_ref_type(b->f, x), rm, x, y, 0, 0);          \
    }

IR_GEN_BINARY(add, ADD)
IR_GEN_BINARY(sub, SUB)
IR_GEN_BINARY(mul, MUL)
IR_GEN_BINARY(mulhs, MULHS)
IR_GEN_BINARY(mulhu, MULHU)
IR_GEN_BINARY(mulhsu, MULHSU)
IR_GEN_BINARY(divs, DIVS)
IR_GEN_BINARY(divu, DIVU)
IR_GEN_BINARY(rems, REMS)
IR_GEN_BINARY(remu, REMU)
IR_GEN_UNARY(neg, NEG)
IR_GEN_BINARY(and, AND)
IR_GEN_BINARY(or, OR)
IR_GEN_BINARY(xor, XOR)
IR_GEN_UNARY(not, NOT)
IR_GEN_BINARY(andn, ANDN)
IR_GEN_BINARY(shl, SHL)
IR_GEN_BINARY(shr, SHR)
IR_GEN_BINARY(sar, SAR)
IR_GEN_BINARY(rotl, ROTL)
IR_GEN_BINARY(rotr, ROTR)
IR_GEN_UNARY(clz, CLZ)
IR_GEN_UNARY(ctz, CTZ)
IR_GEN_UNARY(popcnt, POPCNT)
IR_GEN_UNARY(bswap, BSWAP)
IR_GEN_UNARY(orcb, ORCB)
IR_GEN_UNARY(brev8, BREV8)
IR_GEN_BINARY(clmul, CLMUL)
IR_GEN_BINARY(clmulh, CLMULH)
IR_GEN_CONVERT(trunc, TRUNC)
IR_GEN_CONVERT(sext, SEXT)
IR_GEN_CONVERT(zext, ZEXT)
IR_GEN_CONVERT(bitcast, BITCAST)
IR_GEN_FP2(fadd, FADD)
IR_GEN_FP2(fsub, FSUB)
IR_GEN_FP2(fmul, FMUL)
IR_GEN_FP2(fdiv, FDIV)
IR_GEN_BINARY(fmin, FMIN)
IR_GEN_BINARY(fmax, FMAX)
IR_GEN_BINARY(fsgnj, FSGNJ)
IR_GEN_BINARY(fsgnjn, FSGNJN)
IR_GEN_BINARY(fsgnjx, FSGNJX)
IR_GEN_UNARY(canon, CANON)
IR_GEN_UNARY(fneg, FNEG)
IR_GEN_UNARY(fabs, FABS)

#undef IR_GEN_BINARY
#undef IR_GEN_UNARY
#undef IR_GEN_CONVERT
#undef IR_GEN_FP2

static inline IRRef ir_gen_fsqrt(IRBuilder *b, IRRound rm, IRRef x)
{
    return ir_emit(b, IR_FSQRT, ir_ref_type(b->f, x), rm, x, 0, 0, 0);
}

static inline IRRef ir_gen_fma(IRBuilder *b, IRRound rm, IRRef x, IRRef y, IRRef z,
                               bool neg_product, bool neg_addend)
{
    return ir_emit(b, IR_FMA, ir_ref_type(b->f, x), rm, x, y, z,
                   neg_product | neg_addend << 1);
}

static inline IRRef ir_gen_fcmp(IRBuilder *b, IRFCmp cmp, IRRef x, IRRef y)
{
    return ir_emit(b, IR_FCMP, IR_I64, cmp, x, y, 0, 0);
}

static inline IRRef ir_gen_fcvt(IRBuilder *b, IRType to, IRRound rm, IRRef x)
{
    return ir_emit(b, IR_FCVT, to, rm, x, 0, 0, 0);
}

static inline IRRef ir_gen_ftoi(IRBuilder *b, IRType to, IRRound rm, IRRef x,
                                bool is_unsigned)
{
    return ir_emit(b, IR_FTOI, to, rm, x, 0, 0, is_unsigned);
}

static inline IRRef ir_gen_itof(IRBuilder *b, IRType to, IRRound rm, IRRef x,
                                bool is_unsigned)
{
    return ir_emit(b, IR_ITOF, to, rm, x, 0, 0, is_unsigned);
}

static inline IRRef ir_gen_box32(IRBuilder *b, IRRef x)
{
    return ir_emit(b, IR_BOX32, IR_F64, 0, x, 0, 0, 0);
}

static inline IRRef ir_gen_unbox32(IRBuilder *b, IRRef x)
{
    return ir_emit(b, IR_UNBOX32, IR_F32, 0, x, 0, 0, 0);
}

static inline IRRef ir_gen_setcc(IRBuilder *b, IRType to, IRCond c, IRRef x, IRRef y)
{
    return ir_emit(b, IR_SETCC, to, c, x, y, 0, 0);
}

static inline IRRef ir_gen_select(IRBuilder *b, IRRef cond, IRRef x, IRRef y)
{
    return ir_emit(b, IR_SELECT, ir_ref_type(b->f, x), 0, cond, x, y, 0);
}

static inline IRRef ir_gen_ldenv(IRBuilder *b, IRType type, size_t offset)
{
    return ir_emit(b, IR_LDENV, type, 0, 0, 0, 0, (int64_t)offset);
}

static inline void ir_gen_stenv(IRBuilder *b, size_t offset, IRRef x)
{
    ir_emit(b, IR_STENV, IR_VOID, 0, x, 0, 0, (int64_t)offset);
}

static inline IRRef ir_gen_ld(IRBuilder *b, uint32_t snap, IRType type, unsigned memop,
                              IRRef addr, int64_t disp)
{
    return ir_emit_snap(b, snap, IR_LD, type, memop, addr, 0, 0, disp);
}

static inline void ir_gen_st(IRBuilder *b, uint32_t snap, unsigned memop, IRRef addr,
                             int64_t disp, IRRef val)
{
    ir_emit_snap(b, snap, IR_ST, IR_VOID, memop, addr, val, 0, disp);
}

static inline IRRef ir_gen_amo(IRBuilder *b, uint32_t snap, IRType type, unsigned memop,
                               IRAmo amo, IRRef addr, IRRef val)
{
    return ir_emit_snap(b, snap, IR_AMO, type, memop, addr, val, 0, amo);
}

static inline IRRef ir_gen_cas(IRBuilder *b, uint32_t snap, IRType type, unsigned memop,
                               IRRef addr, IRRef expected, IRRef desired)
{
    return ir_emit_snap(b, snap, IR_CAS, type, memop, addr, expected, desired, 0);
}

static inline void ir_gen_fence(IRBuilder *b, unsigned order)
{
    ir_emit(b, IR_FENCE, IR_VOID, order, 0, 0, 0, 0);
}

static inline void ir_gen_poll(IRBuilder *b, uint32_t snap)
{
    ir_emit_snap(b, snap, IR_POLL, IR_VOID, 0, 0, 0, 0, 0);
}

static inline void ir_gen_exitif(IRBuilder *b, uint32_t snap, IRCond c, IRRef x, IRRef y)
{
    ir_emit_snap(b, snap, IR_EXITIF, IR_VOID, c, x, y, 0, 0);
}

static inline void ir_gen_exit(IRBuilder *b, uint32_t snap, IRExit kind, int64_t imm)
{
    ir_emit_snap(b, snap, IR_EXIT, IR_VOID, kind, 0, 0, 0, imm);
}

static inline void ir_gen_exitind(IRBuilder *b, uint32_t snap, IRExit kind, IRRef pc,
                                  int64_t ret_pc)
{
    ir_emit_snap(b, snap, IR_EXITIND, IR_VOID, kind, pc, 0, 0, ret_pc);
}

static inline void ir_gen_loop(IRBuilder *b, uint32_t snap)
{
    ir_emit_snap(b, snap, IR_LOOP, IR_VOID, 0, 0, 0, 0, 0);
}

#endif
