/*
 * What the integer ops compute: one definition for constant folding and for the
 * interpreter. Arguments: only the low bits of the type count.  Results are
 * zero-extended.  Pure; with a constant op the switch folds away.
 */
#ifndef BRAID_IR_EVAL_H
#define BRAID_IR_EVAL_H

#include "ir/ir.h"

#define IR_F32_NAN UINT32_C(0x7fc00000)
#define IR_F64_NAN UINT64_C(0x7ff8000000000000)

static inline unsigned ir_type_bits(IRType t) { return 8 * ir_type_size(t); }

static inline uint64_t ir_type_mask(IRType t)
{
    return ir_type_size(t) >= 8 ? UINT64_MAX : (UINT64_C(1) << ir_type_bits(t)) - 1;
}

static inline int64_t ir_sext_from(IRType t, uint64_t v)
{
    unsigned up = 64 - ir_type_bits(t);
    return (int64_t)(v << up) >> up;
}

static inline uint64_t ir_eval_clmul(uint64_t a, uint64_t b, bool high)
{
    uint64_t lo = 0, hi = 0;
    for (unsigned i = 0; i < 64; i++) {
        if (b >> i & 1) {
            lo ^= a << i;
            hi ^= i ? a >> (64 - i) : 0;
        }
    }
    return high ? hi : lo;
}

static inline uint64_t ir_eval_div(IROp op, IRType t, uint64_t a, uint64_t b)
{
    int64_t sa = ir_sext_from(t, a), sb = ir_sext_from(t, b);
    uint64_t ua = a & ir_type_mask(t), ub = b & ir_type_mask(t);
    switch (op) {
    case IR_DIVS: return sb == 0 ? UINT64_MAX : sb == -1 ? -ua : (uint64_t)(sa / sb);
    case IR_REMS: return sb == 0 ? ua : sb == -1 ? 0 : (uint64_t)(sa % sb);
    case IR_DIVU: return ub == 0 ? UINT64_MAX : ua / ub;
    default: return ub == 0 ? ua : ua % ub;
    }
}

static inline uint64_t ir_eval_mul_high(IROp op, IRType t, uint64_t a, uint64_t b)
{
    unsigned bits = ir_type_bits(t);
    uint64_t ua = a & ir_type_mask(t), ub = b & ir_type_mask(t);
    __int128 sa = ir_sext_from(t, a), sb = ir_sext_from(t, b);
    unsigned __int128 p = op == IR_MULHS   ? (unsigned __int128)(sa * sb)
                          : op == IR_MULHU ? (unsigned __int128)ua * ub
                                           : (unsigned __int128)(sa * (__int128)ub);
    return (uint64_t)(p >> bits);
}

static inline uint64_t ir_eval_shift(IROp op, IRType t, uint64_t a, uint64_t b)
{
    unsigned bits = ir_type_bits(t), n = (unsigned)b & (bits - 1), m = -n & (bits - 1);
    uint64_t ua = a & ir_type_mask(t);
    switch (op) {
    case IR_SHL: return ua << n;
    case IR_SHR: return ua >> n;
    case IR_SAR: return (uint64_t)(ir_sext_from(t, a) >> n);
    case IR_ROTL: return ua << n | ua >> m;
    default: return ua >> n | ua << m;
    }
}

/* Ops with two arguments of the result's type. */
static inline uint64_t ir_eval_binary(IROp op, IRType t, uint64_t a, uint64_t b)
{
    uint64_t r;
    switch (op) {
    case IR_ADD: r = a + b; break;
    case IR_SUB: r = a - b; break;
    case IR_MUL: r = a * b; break;
    case IR_MULHS:
    case IR_MULHU:
    case IR_MULHSU: r = ir_eval_mul_high(op, t, a, b); break;
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU: r = ir_eval_div(op, t, a, b); break;
    case IR_AND: r = a & b; break;
    case IR_OR: r = a | b; break;
    case IR_XOR: r = a ^ b; break;
    case IR_ANDN: r = a & ~b; break;
    case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROTL: case IR_ROTR:
        r = ir_eval_shift(op, t, a, b);
        break;
    case IR_CLMUL: r = ir_eval_clmul(a, b, false); break;
    case IR_CLMULH: r = ir_eval_clmul(a, b, true); break;
    default: __builtin_unreachable();
    }
    return r & ir_type_mask(t);
}

static inline uint64_t ir_eval_orcb(uint64_t v)
{
    v |= v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f);
    v |= v >> 2 & UINT64_C(0x0303030303030303);
    v |= v >> 1;
    return (v & UINT64_C(0x0101010101010101)) * 0xff;
}

static inline uint64_t ir_eval_brev8(uint64_t v)
{
    v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
    return (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555))
                                                         << 1;
}

/* Ops with one argument of the result's type. */
static inline uint64_t ir_eval_unary(IROp op, IRType t, uint64_t a)
{
    unsigned bits = ir_type_bits(t);
    uint64_t ua = a & ir_type_mask(t), r;
    switch (op) {
    case IR_NEG: r = -a; break;
    case IR_NOT: r = ~a; break;
    case IR_CLZ: r = ua ? (unsigned)__builtin_clzll(ua) - (64 - bits) : bits; break;
    case IR_CTZ: r = ua ? (unsigned)__builtin_ctzll(ua) : bits; break;
    case IR_POPCNT: r = (unsigned)__builtin_popcountll(ua); break;
    case IR_BSWAP: r = __builtin_bswap64(a) >> (64 - bits); break;
    case IR_ORCB: r = ir_eval_orcb(ua); break;
    case IR_BREV8: r = ir_eval_brev8(ua); break;
    default: __builtin_unreachable();
    }
    return r & ir_type_mask(t);
}

/* CANON and the sign ops; of a f32 the low half counts. */
static inline uint64_t ir_eval_float_bits(IROp op, IRType t, uint64_t a, uint64_t b)
{
    uint64_t sign = t == IR_F32 ? UINT64_C(1) << 31 : UINT64_C(1) << 63;
    uint64_t inf = t == IR_F32 ? UINT64_C(0xff) << 23 : UINT64_C(0x7ff) << 52;
    a &= ir_type_mask(t);
    switch (op) {
    case IR_CANON:
        return (a & ~sign) <= inf ? a : t == IR_F32 ? IR_F32_NAN : IR_F64_NAN;
    case IR_FNEG: return a ^ sign;
    case IR_FABS: return a & ~sign;
    case IR_FSGNJ: return (a & ~sign) | (b & sign);
    case IR_FSGNJN: return (a & ~sign) | (~b & sign);
    case IR_FSGNJX: return a ^ (b & sign);
    default: __builtin_unreachable();
    }
}

static inline uint64_t ir_eval_box32(uint64_t a)
{
    return UINT64_C(0xffffffff00000000) | (uint32_t)a;
}

static inline uint64_t ir_eval_unbox32(uint64_t a)
{
    return a >> 32 == UINT32_MAX ? (uint32_t)a : IR_F32_NAN;
}

#endif
