/* SPDX-License-Identifier: MIT
 *
 * Software floating point, once for all formats.
 *
 * A number is unpacked to sign, exponent and a 64-bit significand whose top bit is one:
 * value = sig * 2^(exp - 63).  An operation computes its exact result, or the exact
 * result with everything below bit 0 or-ed into bit 0 ("jammed"), and fpu_round_pack()
 * does the one rounding.  Jamming is sound because the widest format keeps 53 of the 64
 * bits: bit 0 lies below the rounding bit always, so only "zero or not" matters of it.
 *
 * No state, no locks: every function is pure.
 */
#include "guest/riscv/fpu-soft.h"

#include <stddef.h>

typedef unsigned __int128 Wide;

typedef enum Kind { ZERO, NUMBER, INFINITE, QUIET_NAN, SIGNALLING_NAN } Kind;

typedef struct Unpacked {
    Kind kind;
    bool sign;
    int exp;
    uint64_t sig;
} Unpacked;

/* Widths of exponent and fraction. */
static const struct {
    int exp_bits, frac_bits;
} formats[] = {
    [FP_16] = {5, 10},
    [FP_32] = {8, 23},
    [FP_64] = {11, 52},
};

static inline int frac_bits(FPFormat f) { return formats[f].frac_bits; }
static inline int exp_mask(FPFormat f) { return (1 << formats[f].exp_bits) - 1; }
static inline int bias(FPFormat f) { return exp_mask(f) >> 1; }
static inline int sign_bit(FPFormat f) { return formats[f].exp_bits + frac_bits(f); }
static inline uint64_t frac_mask(FPFormat f) { return (UINT64_C(1) << frac_bits(f)) - 1; }

static inline uint64_t pack_zero(FPFormat f, bool sign)
{
    return (uint64_t)sign << sign_bit(f);
}

static inline uint64_t pack_inf(FPFormat f, bool sign)
{
    return pack_zero(f, sign) | (uint64_t)exp_mask(f) << frac_bits(f);
}

uint64_t fpu_default_nan(FPFormat f)
{
    return pack_inf(f, false) | UINT64_C(1) << (frac_bits(f) - 1);
}

static inline bool is_nan(Unpacked u) { return u.kind >= QUIET_NAN; }

static Unpacked unpack(FPFormat f, uint64_t a)
{
    uint64_t frac = a & frac_mask(f);
    int field = (int)(a >> frac_bits(f)) & exp_mask(f);
    Unpacked u = {ZERO, a >> sign_bit(f) & 1, 0, 0};
    if (field == exp_mask(f)) {
        bool quiet = frac >> (frac_bits(f) - 1);
        u.kind = !frac ? INFINITE : quiet ? QUIET_NAN : SIGNALLING_NAN;
    } else if (field) {
        u.kind = NUMBER;
        u.exp = field - bias(f);
        u.sig = (frac | (frac_mask(f) + 1)) << (63 - frac_bits(f));
    } else if (frac) {
        int shift = __builtin_clzll(frac);
        u.kind = NUMBER;
        u.exp = 1 - bias(f) + (63 - frac_bits(f)) - shift;
        u.sig = frac << shift;
    }
    return u;
}

static inline uint64_t shift_right_jam(uint64_t x, unsigned n)
{
    if (n == 0) {
        return x;
    }
    return n < 64 ? x >> n | (x << (64 - n) != 0) : x != 0;
}

static inline Wide shift_right_jam_wide(Wide x, unsigned n)
{
    if (n == 0) {
        return x;
    }
    return n < 128 ? x >> n | (x << (128 - n) != 0) : x != 0;
}

/* Whether a magnitude with this last kept bit and these lost bits (rest, of which half
 * is the top bit) goes up. */
static bool rounds_up(FPRound rm, bool sign, bool odd, uint64_t rest, uint64_t half)
{
    switch (rm) {
    case FP_RNE: return rest > half || (rest == half && odd);
    case FP_RMM: return rest >= half;
    case FP_RDN: return sign && rest;
    case FP_RUP: return !sign && rest;
    default: return false;
    }
}

static uint64_t overflow(FPFormat f, bool sign, FPRound rm, unsigned *flags)
{
    *flags |= FP_OF | FP_NX;
    bool to_inf =
        rm == FP_RNE || rm == FP_RMM || (rm == FP_RDN && sign) || (rm == FP_RUP && !sign);
    return pack_inf(f, sign) - !to_inf; /* the largest finite number comes just before */
}

/*
 * Round sig * 2^(exp - 63), sig's top bit set and bit 0 jammed, to the format.
 *
 * Tininess after rounding: the result is tiny if it would lie below the least normal
 * number when rounded to full precision with an unbounded exponent.
 */
static uint64_t round_pack(FPFormat f, bool sign, int exp, uint64_t sig, FPRound rm,
                           unsigned *flags)
{
    int drop = 63 - frac_bits(f), least = 1 - bias(f);
    uint64_t half = UINT64_C(1) << (drop - 1), mask = (half << 1) - 1;
    bool tiny = false;
    if (exp < least) {
        uint64_t top = sig >> drop;
        tiny = exp < least - 1 || top != (frac_mask(f) << 1 | 1) ||
               !rounds_up(rm, sign, top & 1, sig & mask, half);
        sig = shift_right_jam(sig, least - exp);
        exp = least - 1;
    } else if (exp > bias(f)) {
        return overflow(f, sign, rm, flags);
    } else {
        exp--; /* the leading one of sig adds it back */
    }
    uint64_t rest = sig & mask;
    sig >>= drop;
    sig += rounds_up(rm, sign, sig & 1, rest, half);
    uint64_t magnitude = ((uint64_t)(exp + bias(f)) << frac_bits(f)) + sig;
    if (magnitude >= pack_inf(f, false)) {
        return overflow(f, sign, rm, flags);
    }
    if (rest) {
        *flags |= tiny ? FP_NX | FP_UF : FP_NX;
    }
    return pack_zero(f, sign) | magnitude;
}

/* The same for a nonzero sig * 2^(exp - 127) that need not be normalised. */
static uint64_t round_pack_wide(FPFormat f, bool sign, int exp, Wide sig, FPRound rm,
                                unsigned *flags)
{
    uint64_t high = (uint64_t)(sig >> 64);
    int shift = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)sig);
    sig <<= shift;
    uint64_t jammed = (uint64_t)(sig >> 64) | ((uint64_t)sig != 0);
    return round_pack(f, sign, exp - shift, jammed, rm, flags);
}

static uint64_t invalid(FPFormat f, unsigned *flags)
{
    *flags |= FP_NV;
    return fpu_default_nan(f);
}

/* The result of an operation one of whose operands is a NaN. */
static uint64_t nan_result(FPFormat f, Unpacked a, Unpacked b, unsigned *flags)
{
    if (a.kind == SIGNALLING_NAN || b.kind == SIGNALLING_NAN) {
        *flags |= FP_NV;
    }
    return fpu_default_nan(f);
}

/*
 * x + y for two nonzero finite numbers given as sig * 2^(exp - 127), top bit of each sig
 * within the two highest.  Exact but for jamming.  Jamming cannot spoil a cancellation:
 * that needs exponents at most two apart, and at least 20 low bits of either sig are
 * zero.
 */
static uint64_t add_wide(FPFormat f, bool xs, int xe, Wide x, bool ys, int ye, Wide y,
                         FPRound rm, unsigned *flags)
{
    x >>= 1; /* room for the carry */
    y >>= 1;
    int exp = xe > ye ? xe : ye;
    x = shift_right_jam_wide(x, exp - xe);
    y = shift_right_jam_wide(y, exp - ye);
    if (xs == ys) {
        x += y;
    } else if (x == y) {
        return pack_zero(f, rm == FP_RDN);
    } else if (x > y) {
        x -= y;
    } else {
        x = y - x;
        xs = ys;
    }
    return round_pack_wide(f, xs, exp + 1, x, rm, flags);
}

static uint64_t add_unpacked(FPFormat f, uint64_t a_bits, Unpacked a, uint64_t b_bits,
                             Unpacked b, FPRound rm, unsigned *flags)
{
    if (is_nan(a) || is_nan(b)) {
        return nan_result(f, a, b, flags);
    }
    if (a.kind == INFINITE) {
        return b.kind == INFINITE && a.sign != b.sign ? invalid(f, flags)
                                                      : pack_inf(f, a.sign);
    }
    if (b.kind == INFINITE) {
        return pack_inf(f, b.sign);
    }
    if (a.kind == ZERO && b.kind == ZERO) {
        return pack_zero(f, a.sign == b.sign ? a.sign : rm == FP_RDN);
    }
    if (a.kind == ZERO || b.kind == ZERO) {
        return a.kind == ZERO ? b_bits : a_bits;
    }
    return add_wide(f, a.sign, a.exp, (Wide)a.sig << 64, b.sign, b.exp, (Wide)b.sig << 64,
                    rm, flags);
}

/* The bits of a that belong to the format. */
static inline uint64_t value_bits(FPFormat f, uint64_t a)
{
    return a & (pack_zero(f, true) | (pack_zero(f, true) - 1));
}

uint64_t fpu_add(FPFormat f, uint64_t a, uint64_t b, FPRound rm, unsigned *flags)
{
    a = value_bits(f, a);
    b = value_bits(f, b);
    return add_unpacked(f, a, unpack(f, a), b, unpack(f, b), rm, flags);
}

uint64_t fpu_sub(FPFormat f, uint64_t a, uint64_t b, FPRound rm, unsigned *flags)
{
    return fpu_add(f, a, b ^ pack_zero(f, true), rm, flags);
}

uint64_t fpu_mul(FPFormat f, uint64_t a_bits, uint64_t b_bits, FPRound rm,
                 unsigned *flags)
{
    Unpacked a = unpack(f, a_bits), b = unpack(f, b_bits);
    bool sign = a.sign ^ b.sign;
    if (is_nan(a) || is_nan(b)) {
        return nan_result(f, a, b, flags);
    }
    if (a.kind == INFINITE || b.kind == INFINITE) {
        return a.kind == ZERO || b.kind == ZERO ? invalid(f, flags) : pack_inf(f, sign);
    }
    if (a.kind == ZERO || b.kind == ZERO) {
        return pack_zero(f, sign);
    }
    return round_pack_wide(f, sign, a.exp + b.exp + 1, (Wide)a.sig * b.sig, rm, flags);
}

uint64_t fpu_div(FPFormat f, uint64_t a_bits, uint64_t b_bits, FPRound rm,
                 unsigned *flags)
{
    Unpacked a = unpack(f, a_bits), b = unpack(f, b_bits);
    bool sign = a.sign ^ b.sign;
    if (is_nan(a) || is_nan(b)) {
        return nan_result(f, a, b, flags);
    }
    if (a.kind == b.kind && a.kind != NUMBER) {
        return invalid(f, flags); /* 0 / 0, inf / inf */
    }
    if (a.kind == INFINITE) {
        return pack_inf(f, sign);
    }
    if (a.kind == ZERO || b.kind == INFINITE) {
        return pack_zero(f, sign);
    }
    if (b.kind == ZERO) {
        *flags |= FP_DZ;
        return pack_inf(f, sign);
    }
    bool less = a.sig < b.sig;
    Wide dividend = (Wide)a.sig << (63 + less);
    uint64_t quotient = (uint64_t)(dividend / b.sig);
    quotient |= dividend % b.sig != 0;
    return round_pack(f, sign, a.exp - b.exp - less, quotient, rm, flags);
}

uint64_t fpu_sqrt(FPFormat f, uint64_t a_bits, FPRound rm, unsigned *flags)
{
    Unpacked a = unpack(f, a_bits);
    if (is_nan(a)) {
        return nan_result(f, a, a, flags);
    }
    if (a.kind == ZERO) {
        return pack_zero(f, a.sign);
    }
    if (a.sign) {
        return invalid(f, flags);
    }
    if (a.kind == INFINITE) {
        return pack_inf(f, false);
    }
    /* value = n * 2^(2k - 126), n in [2^126, 2^128); the root has 64 bits. */
    Wide n = (Wide)a.sig << (63 + (a.exp & 1));
    int k = (a.exp - (a.exp & 1)) / 2;
    uint64_t root = 0;
    for (int bit = 63; bit >= 0; bit--) {
        uint64_t t = root | UINT64_C(1) << bit;
        if ((Wide)t * t <= n) {
            root = t;
        }
    }
    root |= (Wide)root * root != n;
    return round_pack(f, false, k, root, rm, flags);
}

uint64_t fpu_fma(FPFormat f, uint64_t a_bits, uint64_t b_bits, uint64_t c_bits,
                 unsigned negate, FPRound rm, unsigned *flags)
{
    c_bits = value_bits(f, c_bits) ^ pack_zero(f, negate & FP_NEG_ADDEND);
    Unpacked a = unpack(f, a_bits), b = unpack(f, b_bits), c = unpack(f, c_bits);
    bool sign = a.sign ^ b.sign ^ ((negate & FP_NEG_PRODUCT) != 0);
    if ((a.kind == INFINITE && b.kind == ZERO) ||
        (a.kind == ZERO && b.kind == INFINITE)) {
        return invalid(f, flags); /* even if c is a quiet NaN */
    }
    if (is_nan(a) || is_nan(b) || is_nan(c)) {
        nan_result(f, a, b, flags);
        return nan_result(f, c, c, flags);
    }
    if (a.kind == INFINITE || b.kind == INFINITE) {
        return c.kind == INFINITE && c.sign != sign ? invalid(f, flags)
                                                    : pack_inf(f, sign);
    }
    if (a.kind == ZERO || b.kind == ZERO) {
        Unpacked zero = {ZERO, sign, 0, 0};
        return add_unpacked(f, pack_zero(f, sign), zero, c_bits, c, rm, flags);
    }
    Wide product = (Wide)a.sig * b.sig;
    int exp = a.exp + b.exp + 1;
    if (c.kind == INFINITE) {
        return c_bits;
    }
    if (c.kind == ZERO) {
        return round_pack_wide(f, sign, exp, product, rm, flags);
    }
    return add_wide(f, sign, exp, product, c.sign, c.exp, (Wide)c.sig << 64, rm, flags);
}

/* ---- comparisons ------------------------------------------------------------------ */

/* Neither is a NaN; -0 < +0.  The key orders like the value. */
static int64_t order_key(FPFormat f, uint64_t a)
{
    uint64_t magnitude = a & (pack_zero(f, true) - 1);
    return a >> sign_bit(f) & 1 ? ~(int64_t)magnitude : (int64_t)magnitude;
}

static uint64_t min_max(FPFormat f, uint64_t a, uint64_t b, bool max, bool nan_wins,
                        unsigned *flags)
{
    a = value_bits(f, a);
    b = value_bits(f, b);
    Unpacked ua = unpack(f, a), ub = unpack(f, b);
    if (is_nan(ua) || is_nan(ub)) {
        uint64_t nan = nan_result(f, ua, ub, flags);
        if (nan_wins || (is_nan(ua) && is_nan(ub))) {
            return nan;
        }
        return is_nan(ua) ? b : a;
    }
    return (order_key(f, a) < order_key(f, b)) != max ? a : b;
}

uint64_t fpu_min(FPFormat f, uint64_t a, uint64_t b, unsigned *flags)
{
    return min_max(f, a, b, false, false, flags);
}

uint64_t fpu_max(FPFormat f, uint64_t a, uint64_t b, unsigned *flags)
{
    return min_max(f, a, b, true, false, flags);
}

uint64_t fpu_minm(FPFormat f, uint64_t a, uint64_t b, unsigned *flags)
{
    return min_max(f, a, b, false, true, flags);
}

uint64_t fpu_maxm(FPFormat f, uint64_t a, uint64_t b, unsigned *flags)
{
    return min_max(f, a, b, true, true, flags);
}

bool fpu_compare(FPFormat f, FPCompare cmp, uint64_t a, uint64_t b, unsigned *flags)
{
    Unpacked ua = unpack(f, a), ub = unpack(f, b);
    if (is_nan(ua) || is_nan(ub)) {
        nan_result(f, ua, ub, flags);
        if (cmp == FP_LT || cmp == FP_LE) {
            *flags |= FP_NV;
        }
        return false;
    }
    if (ua.kind == ZERO && ub.kind == ZERO) {
        return cmp != FP_LT && cmp != FP_LTQ;
    }
    int64_t ka = order_key(f, a), kb = order_key(f, b);
    switch (cmp) {
    case FP_EQ: return ka == kb;
    case FP_LT:
    case FP_LTQ: return ka < kb;
    default: return ka <= kb;
    }
}

unsigned fpu_class(FPFormat f, uint64_t a)
{
    Unpacked u = unpack(f, a);
    bool subnormal = u.kind == NUMBER && u.exp < 1 - bias(f);
    switch (u.kind) {
    case INFINITE: return u.sign ? 1 << 0 : 1 << 7;
    case NUMBER: return u.sign ? 1 << (1 + subnormal) : 1 << (6 - subnormal);
    case ZERO: return u.sign ? 1 << 3 : 1 << 4;
    case SIGNALLING_NAN: return 1 << 8;
    default: return 1 << 9;
    }
}

/* ---- conversions ------------------------------------------------------------------ */

uint64_t fpu_convert(FPFormat to, FPFormat from, uint64_t a, FPRound rm, unsigned *flags)
{
    Unpacked u = unpack(from, a);
    switch (u.kind) {
    case ZERO: return pack_zero(to, u.sign);
    case INFINITE: return pack_inf(to, u.sign);
    case NUMBER: return round_pack(to, u.sign, u.exp, u.sig, rm, flags);
    default: return nan_result(to, u, u, flags);
    }
}

/*
 * The integral part of |u| rounded, modulo 2^64; *inexact tells if something was lost.
 * *too_big: it is 2^64 or more.
 */
static uint64_t integral(Unpacked u, FPRound rm, bool *inexact, bool *too_big)
{
    *too_big = u.exp > 63;
    *inexact = false;
    if (u.exp >= 63) {
        return u.exp - 63 < 64 ? u.sig << (u.exp - 63) : 0;
    }
    unsigned shift = 63 - u.exp;
    uint64_t whole = shift < 64 ? u.sig >> shift : 0;
    uint64_t rest = shift <= 64 ? u.sig << (64 - shift) % 64 : 1;
    *inexact = rest != 0;
    return whole + rounds_up(rm, u.sign, whole & 1, rest, UINT64_C(1) << 63);
}

uint64_t fpu_to_int(FPFormat f, FPInt to, uint64_t a, FPRound rm, unsigned *flags)
{
    bool is_signed = to == FP_I32 || to == FP_I64, narrow = to == FP_I32 || to == FP_U32;
    uint64_t all = narrow ? UINT32_MAX : UINT64_MAX;
    uint64_t most = is_signed ? all >> 1 : all; /* the largest result */
    uint64_t least = is_signed ? most + 1 : 0;  /* magnitude of the smallest */
    Unpacked u = unpack(f, a);
    bool inexact = false, too_big = false, negative = u.sign && !is_nan(u);
    uint64_t whole = 0;
    if (u.kind == NUMBER) {
        whole = integral(u, rm, &inexact, &too_big);
    } else if (u.kind != ZERO) {
        too_big = true;
    }
    if (too_big || whole > (negative ? least : most)) {
        *flags |= FP_NV;
        whole = negative ? least : most;
    } else if (inexact) {
        *flags |= FP_NX;
    }
    uint64_t result = negative ? -whole : whole;
    return narrow ? (uint64_t)(int32_t)result : result;
}

uint64_t fpu_to_i32_modulo(uint64_t a, unsigned *flags)
{
    Unpacked u = unpack(FP_64, a);
    bool inexact, too_big;
    if (u.kind == ZERO) {
        return 0;
    }
    if (u.kind != NUMBER) {
        *flags |= FP_NV;
        return 0;
    }
    uint64_t whole = integral(u, FP_RTZ, &inexact, &too_big);
    if (too_big || whole > (uint64_t)INT32_MAX + u.sign) {
        *flags |= FP_NV;
    } else if (inexact) {
        *flags |= FP_NX;
    }
    return (uint64_t)(int32_t)(u.sign ? -whole : whole);
}

uint64_t fpu_from_int(FPFormat f, FPInt from, uint64_t a, FPRound rm, unsigned *flags)
{
    bool sign = false;
    if (from == FP_I32 || from == FP_I64) {
        int64_t v = from == FP_I32 ? (int32_t)a : (int64_t)a;
        sign = v < 0;
        a = sign ? -(uint64_t)v : (uint64_t)v;
    } else if (from == FP_U32) {
        a = (uint32_t)a;
    }
    if (!a) {
        return 0;
    }
    int shift = __builtin_clzll(a);
    return round_pack(f, sign, 63 - shift, a << shift, rm, flags);
}

uint64_t fpu_round_to_int(FPFormat f, uint64_t a, FPRound rm, bool exact, unsigned *flags)
{
    Unpacked u = unpack(f, a);
    if (is_nan(u)) {
        return nan_result(f, u, u, flags);
    }
    if (u.kind != NUMBER || u.exp >= frac_bits(f)) {
        return value_bits(f, a);
    }
    bool inexact, too_big;
    uint64_t whole = integral(u, rm, &inexact, &too_big);
    if (inexact && exact) {
        *flags |= FP_NX;
    }
    if (!whole) {
        return pack_zero(f, u.sign);
    }
    int shift = __builtin_clzll(whole);
    return round_pack(f, u.sign, 63 - shift, whole << shift, FP_RTZ, flags);
}

uint64_t fpu_constant(FPFormat f, unsigned index)
{
    /* Zfa chapter, the table of FLI, as FP_64.  Entry 1 depends on the format. */
    static const uint64_t table[32] = {
        0xbff0000000000000, 0,
        0x3ef0000000000000, 0x3f00000000000000,
        0x3f70000000000000, 0x3f80000000000000,
        0x3fb0000000000000, 0x3fc0000000000000,
        0x3fd0000000000000, 0x3fd4000000000000,
        0x3fd8000000000000, 0x3fdc000000000000,
        0x3fe0000000000000, 0x3fe4000000000000,
        0x3fe8000000000000, 0x3fec000000000000,
        0x3ff0000000000000, 0x3ff4000000000000,
        0x3ff8000000000000, 0x3ffc000000000000,
        0x4000000000000000, 0x4004000000000000,
        0x4008000000000000, 0x4010000000000000,
        0x4020000000000000, 0x4030000000000000,
        0x4060000000000000, 0x4070000000000000,
        0x40e0000000000000, 0x40f0000000000000,
        0x7ff0000000000000, 0x7ff8000000000000,
    };
    unsigned ignored = 0;
    if (index == 1) {
        return frac_mask(f) + 1; /* the least normal number */
    }
    return fpu_convert(f, FP_64, table[index & 31], FP_RNE, &ignored);
}
