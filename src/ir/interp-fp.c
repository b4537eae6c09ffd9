/*
 * Floating point for the interpreter.
 *
 * Add, subtract, multiply, divide, square root and the conversions between formats are
 * the host's own, run under the guest's rounding mode; so are the flags that they raise.
 * Everything else (minimum, comparison, conversion to integers) works on bits and raises
 * its flags explicitly, so that it does not depend on how a compiler spells a comparison,
 * and so that it is independent of what a back end emits.
 *
 * The compiler must neither fold an operation nor move it across a change of the FP
 * state. Operands and results pass through OPAQUE(), an empty asm statement: volatile
 * ones are kept in order with the accesses to MXCSR, and data dependences keep the
 * operation between.
 *
 * Pure but for *fp_state; any thread.  This file is the part of ir/ that knows the host:
 * the format of HostEnv.fp_state.
 */
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/interp-fp.h"

#if defined(__x86_64__)
enum {
    INVALID = 0x01, DIVZERO = 0x04, OVERFLOW = 0x08, UNDERFLOW = 0x10, INEXACT = 0x20,
    ALL_FLAGS = 0x3f, MASK_ALL = 0x1f80, ROUND_SHIFT = 13,
};

/* Not the intrinsics: gcc moves those across volatile asm. */
static inline uint32_t state_read(void)
{
    uint32_t s;
    __asm__ volatile("stmxcsr %0" : "=m"(s) : : "memory");
    return s;
}

static inline void state_write(uint32_t s)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(s) : "memory");
}

#define OPAQUE(x) __asm__ volatile("" : "+x"(x))

static uint32_t state_with_rounding(uint32_t s, IRRound rm)
{
    /* IRRound counts RNE RTZ RDN RUP; MXCSR counts nearest, down, up, to zero. */
    static const uint8_t code[] = { [IR_RM_RNE] = 0, [IR_RM_RTZ] = 3, [IR_RM_RDN] = 1,
                                    [IR_RM_RUP] = 2 };
    return (s & ~(UINT32_C(3) << ROUND_SHIFT)) | (uint32_t)code[rm] << ROUND_SHIFT;
}

/* The square root instruction itself; sqrt() would set errno. */
static inline float sqrt_f32(float a)
{
    float r;
    __asm__("sqrtss %1, %0" : "=x"(r) : "x"(a));
    return r;
}

static inline double sqrt_f64(double a)
{
    double r;
    __asm__("sqrtsd %1, %0" : "=x"(r) : "x"(a));
    return r;
}

#else
#error "the interpreter needs access to this host's floating-point state"
#endif

static inline void raise_flags(unsigned flags)
{
    state_write(state_read() | flags);
}

static inline float f32_of(uint64_t bits)
{
    uint32_t u = (uint32_t)bits;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline double f64_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static inline uint64_t bits_of_f32(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline uint64_t bits_of_f64(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

/* ---- facts about bits ---- */

static inline uint64_t sign_bit(IRType t)
{
    return t == IR_F32 ? UINT64_C(1) << 31 : UINT64_C(1) << 63;
}
static inline uint64_t inf_bits(IRType t)
{
    return t == IR_F32 ? UINT64_C(0xff) << 23 : UINT64_C(0x7ff) << 52;
}
static inline uint64_t quiet_bit(IRType t)
{
    return t == IR_F32 ? UINT64_C(1) << 22 : UINT64_C(1) << 51;
}
static inline uint64_t magnitude(IRType t, uint64_t a) { return a & (sign_bit(t) - 1); }
static inline bool is_nan(IRType t, uint64_t a) { return magnitude(t, a) > inf_bits(t); }
static inline bool is_snan(IRType t, uint64_t a)
{
    return is_nan(t, a) && !(a & quiet_bit(t));
}
static inline bool is_inf(IRType t, uint64_t a) { return magnitude(t, a) == inf_bits(t); }
static inline bool is_zero(IRType t, uint64_t a) { return magnitude(t, a) == 0; }

/* Numbers as integers in the same order, -0 just below +0. */
static inline int64_t order_key(IRType t, uint64_t a)
{
    int64_t m = (int64_t)magnitude(t, a);
    return a & sign_bit(t) ? ~m : m;
}

/* ---- arithmetic by the host ---- */

#define ARITHMETIC(T, name, to_t, to_bits, sqrt_fn, fma_fn)                              \
    static uint64_t name(IROp op, uint64_t abits, uint64_t bbits, uint64_t cbits)        \
    {                                                                                    \
        T a = to_t(abits), b = to_t(bbits), c = to_t(cbits), r;                          \
        OPAQUE(a);                                                                       \
        OPAQUE(b);                                                                       \
        OPAQUE(c);                                                                       \
        switch (op) {                                                                    \
        case IR_FADD: r = a + b; break;                                                  \
        case IR_FSUB: r = a - b; break;                                                  \
        case IR_FMUL: r = a * b; break;                                                  \
        case IR_FDIV: r = a / b; break;                                                  \
        case IR_FSQRT: r = sqrt_fn(a); break;                                            \
        default: r = fma_fn(a, b, c); break;                                             \
        }                                                                                \
        OPAQUE(r);                                                                       \
        return to_bits(r);                                                               \
    }

ARITHMETIC(float, arithmetic_f32, f32_of, bits_of_f32, sqrt_f32, fmaf)
ARITHMETIC(double, arithmetic_f64, f64_of, bits_of_f64, sqrt_f64, fma)

static uint64_t arithmetic(IROp op, IRType t, uint64_t a, uint64_t b, uint64_t c)
{
    return t == IR_F32 ? arithmetic_f32(op, a, b, c) : arithmetic_f64(op, a, b, c);
}

static uint64_t fused(const IRIns *ins, IRType t, uint64_t a, uint64_t b, uint64_t c)
{
    a ^= ins->imm & 1 ? sign_bit(t) : 0;
    c ^= ins->imm & 2 ? sign_bit(t) : 0;
    if (is_nan(t, c) &&
        ((is_inf(t, a) && is_zero(t, b)) || (is_zero(t, a) && is_inf(t, b)))) {
        raise_flags(INVALID);   /* hosts differ here, the guest's answer is yes */
        return t == IR_F32 ? IR_F32_NAN : IR_F64_NAN;
    }
    return arithmetic(IR_FMA, t, a, b, c);
}

static uint64_t convert_format(IRType to, uint64_t a)
{
    if (to == IR_F32) {
        double d = f64_of(a);
        OPAQUE(d);
        float r = (float)d;
        OPAQUE(r);
        return bits_of_f32(r);
    }
    float f = f32_of(a);
    OPAQUE(f);
    double r = f;
    OPAQUE(r);
    return bits_of_f64(r);
}

/* ---- comparisons ---- */

static uint64_t min_max(IROp op, IRType t, uint64_t a, uint64_t b)
{
    if (is_snan(t, a) || is_snan(t, b)) {
        raise_flags(INVALID);
    }
    if (is_nan(t, a)) {
        return is_nan(t, b) ? (t == IR_F32 ? IR_F32_NAN : IR_F64_NAN) : b;
    }
    if (is_nan(t, b)) {
        return a;
    }
    bool less = order_key(t, a) < order_key(t, b);
    return less == (op == IR_FMIN) ? a : b;
}

static uint64_t compare(IRFCmp cmp, IRType t, uint64_t a, uint64_t b)
{
    if (is_nan(t, a) || is_nan(t, b)) {
        if (cmp != IR_FEQ || is_snan(t, a) || is_snan(t, b)) {
            raise_flags(INVALID);
        }
        return 0;
    }
    if (is_zero(t, a) && is_zero(t, b)) {
        return cmp != IR_FLT;
    }
    int64_t ka = order_key(t, a), kb = order_key(t, b);
    return cmp == IR_FEQ ? ka == kb : cmp == IR_FLT ? ka < kb : ka <= kb;
}

/* ---- integers ---- */

/*
 * Round the magnitude m * 2^exp (m < 2^53) to an integer below 2^64; *exact says whether
 * anything was lost.  UINT64_MAX with *big set if it is 2^64 or more.
 */
static uint64_t round_magnitude(uint64_t m, int exp, bool negative, uint32_t state,
                                bool *exact, bool *big)
{
    *exact = true;
    *big = false;
    if (exp >= 0) {
        *big = m != 0 && exp > __builtin_clzll(m);
        return *big ? UINT64_MAX : m << exp;
    }
    unsigned n = -exp > 63 ? 63 : (unsigned)-exp;
    uint64_t whole = m >> n, rest = m & ((UINT64_C(1) << n) - 1),
             half = UINT64_C(1) << (n - 1);
    *exact = rest == 0;
    switch (state >> ROUND_SHIFT & 3) {
    case 0: return whole + (rest > half || (rest == half && (whole & 1)));
    case 1: return whole + (negative && rest);
    case 2: return whole + (!negative && rest);
    default: return whole;
    }
}

static uint64_t to_integer(IRType to, bool is_unsigned, IRType from, uint64_t a)
{
    unsigned frac = from == IR_F32 ? 23 : 52, bits = ir_type_bits(to);
    int bias = from == IR_F32 ? 127 : 1023;
    bool negative = (a & sign_bit(from)) != 0, exact, big;
    uint64_t max = is_unsigned ? ir_type_mask(to) : ir_type_mask(to) >> 1;
    uint64_t limit = !negative ? max : is_unsigned ? 0 : UINT64_C(1) << (bits - 1);
    if (is_nan(from, a)) {
        raise_flags(INVALID);
        return max;
    }
    uint64_t m = magnitude(from, a);
    int exp = (int)(m >> frac);
    m &= (UINT64_C(1) << frac) - 1;
    if (exp) {
        m |= UINT64_C(1) << frac;
    } else {
        exp = 1;
    }
    uint64_t r =
        round_magnitude(m, exp - bias - (int)frac, negative, state_read(), &exact, &big);
    if (big || r > limit) {
        raise_flags(INVALID);
        return negative ? (is_unsigned ? 0 : limit) : max;
    }
    if (!exact) {
        raise_flags(INEXACT);
    }
    return (negative ? -r : r) & ir_type_mask(to);
}

/* An unsigned integer with its top bit set is halved first; the bit that falls out sticks
 * to the lowest one, so that the one rounding sees it, and doubling is exact. */
static uint64_t from_integer(IRType to, bool is_unsigned, IRType from, uint64_t a)
{
    int64_t v = is_unsigned ? (int64_t)(a & ir_type_mask(from)) : ir_sext_from(from, a);
    bool halve = is_unsigned && v < 0;
    if (halve) {
        v = (int64_t)((uint64_t)v >> 1 | (v & 1));
    }
    __asm__ volatile("" : "+r"(v));
    if (to == IR_F32) {
        float f = (float)v;
        OPAQUE(f);
        return bits_of_f32(halve ? f + f : f);
    }
    double d = (double)v;
    OPAQUE(d);
    return bits_of_f64(halve ? d + d : d);
}

static uint64_t compute(const IRIns *ins, IRType from, uint64_t a, uint64_t b, uint64_t c)
{
    IRType t = (IRType)ins->type;
    switch (ins->op) {
    case IR_FMA: return fused(ins, t, a, b, c);
    case IR_FMIN: case IR_FMAX: return min_max((IROp)ins->op, t, a, b);
    case IR_FCMP: return compare((IRFCmp)ins->aux, from, a, b);
    case IR_FCVT: return t == from ? a : convert_format(t, a);
    case IR_FTOI: return to_integer(t, ins->imm & 1, from, a);
    case IR_ITOF: return from_integer(t, ins->imm & 1, from, a);
    default: return arithmetic((IROp)ins->op, t, a, b, c);
    }
}

/* FCMP's aux is no rounding mode; FMIN and FMAX have none. */
static IRRound rounding_of(const IRIns *ins)
{
    return ins->op == IR_FCMP || ins->op == IR_FMIN || ins->op == IR_FMAX
               ? IR_RM_DYN
               : (IRRound)ins->aux;
}

__attribute__((noinline))
uint64_t ir_interp_fp(uint32_t *fp_state, const IRIns *ins, IRType arg_type, uint64_t a,
                      uint64_t b, uint64_t c)
{
    uint32_t host = state_read(), guest = *fp_state | MASK_ALL;
    IRRound rm = rounding_of(ins);
    state_write(rm == IR_RM_DYN ? guest : state_with_rounding(guest, rm));
    uint64_t r = compute(ins, arg_type, a, b, c);
    *fp_state = guest | (state_read() & ALL_FLAGS);
    state_write(host);
    return r;
}

static const struct { uint8_t host, ir; } flag_map[] = {
    { INEXACT, 1 }, { UNDERFLOW, 2 }, { OVERFLOW, 4 }, { DIVZERO, 8 }, { INVALID, 16 },
};

unsigned ir_interp_fp_flags(uint32_t fp_state)
{
    unsigned flags = 0;
    for (unsigned i = 0; i < sizeof flag_map / sizeof flag_map[0]; i++) {
        flags |= fp_state & flag_map[i].host ? flag_map[i].ir : 0;
    }
    return flags;
}

void ir_interp_fp_set_flags(uint32_t *fp_state, unsigned flags)
{
    *fp_state &= ~(uint32_t)ALL_FLAGS;
    for (unsigned i = 0; i < sizeof flag_map / sizeof flag_map[0]; i++) {
        *fp_state |= flags & flag_map[i].ir ? flag_map[i].host : 0u;
    }
}
