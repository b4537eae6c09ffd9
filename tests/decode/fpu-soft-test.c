/* SPDX-License-Identifier: MIT
 *
 * fpu-soft against the host.  For single and double precision the reference is the SSE
 * unit with MXCSR set to each rounding mode: results bit for bit, flags too.  NaNs are
 * canonicalised first, and inf * 0 + qNaN, where x86 differs, is expected by rule.
 *
 * Half precision: the exact result, or the exact result rounded to odd, is made in
 * double and single precision by the host and narrowed once by F16C (rounding to odd in
 * a format with two more bits makes double rounding harmless).
 *
 * Ties-away: equals round-to-nearest-even unless the exact result, computed in binary128
 * where it is exact, lies half way; then it is the neighbour away from zero.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <cpuid.h>
#include <fenv.h>
#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/riscv/fpu-soft.h"

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1d;
}

/* BRAID_TEST_FACTOR=20 for a thorough run. */
static int rounds(int n)
{
    const char *factor = getenv("BRAID_TEST_FACTOR");
    return factor ? n * atoi(factor) : n;
}

static bool has_f16c(void) /* clang 14's __builtin_cpu_supports() has no name for it */
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}

static const int exp_bits[] = {5, 8, 11}, frac_bits[] = {10, 23, 52};

/* A number of the format: specials, sparse fractions, exponents near `near`. */
static uint64_t rnd_fp(FPFormat f, int near)
{
    int fb = frac_bits[f], emax = (1 << exp_bits[f]) - 1;
    uint64_t fmask = (UINT64_C(1) << fb) - 1, r = rnd(), frac = rnd() & fmask;
    uint64_t sign = (r & 1) << (fb + exp_bits[f]);
    int e = (r >> 1) % (emax + 1);
    switch (r >> 16 & 7) {
    case 0: frac = 0; break;
    case 1: frac = fmask; break;
    case 2: frac = UINT64_C(1) << (rnd() % fb); break;
    case 3: frac &= fmask << (rnd() % fb); break;
    case 4: frac |= fmask >> (rnd() % fb); break;
    default: break;
    }
    switch (r >> 24 & 15) {
    case 0: e = 0; break;
    case 1: e = emax; break;
    case 2: e = emax - 1; break;
    case 3: e = 1; break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        e = near + (int)(r >> 32 & 7) - 4;
        e = e < 0 ? 0 : e > emax ? emax : e;
        break;
    default: break;
    }
    return sign | (uint64_t)e << fb | frac;
}

static int exp_of(FPFormat f, uint64_t a)
{
    return (a >> frac_bits[f]) & ((1 << exp_bits[f]) - 1);
}

static int exp_mid(FPFormat f) { return (1 << exp_bits[f]) / 2; }

static bool is_nan(FPFormat f, uint64_t a)
{
    uint64_t fmask = (UINT64_C(1) << frac_bits[f]) - 1;
    return exp_of(f, a) == (1 << exp_bits[f]) - 1 && (a & fmask);
}

static bool is_snan(FPFormat f, uint64_t a)
{
    return is_nan(f, a) && !(a >> (frac_bits[f] - 1) & 1);
}

static uint64_t canon(FPFormat f, uint64_t a)
{
    static const uint64_t nan[] = {0x7e00, 0x7fc00000, 0x7ff8000000000000};
    return is_nan(f, a) ? nan[f] : a;
}

/* ---- the host ---- */

static const unsigned mxcsr_round[] = {0, 3, 1, 2}; /* RNE RTZ RDN RUP */

static unsigned host_flags(unsigned mxcsr)
{
    return (mxcsr & 1 ? FP_NV : 0) | (mxcsr & 4 ? FP_DZ : 0) | (mxcsr & 8 ? FP_OF : 0) |
           (mxcsr & 16 ? FP_UF : 0) | (mxcsr & 32 ? FP_NX : 0);
}

static float as_f32(uint64_t a)
{
    uint32_t u = a;
    float x;
    memcpy(&x, &u, 4);
    return x;
}

static double as_f64(uint64_t a)
{
    double x;
    memcpy(&x, &a, 8);
    return x;
}

static uint64_t bits32(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

static uint64_t bits64(double x)
{
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}

/* Run one SSE instruction under a rounding mode, collecting its flags. */
#define SSE(text, out, ...)                                                              \
    do {                                                                                 \
        unsigned saved = _mm_getcsr(), set = 0x1f80 | mxcsr_round[rm] << 13, raised;        \
        __asm__ volatile("ldmxcsr %[set]\n\t" text "\n\tstmxcsr %[got]"                  \
                         : [r] "+x"(out), [got] "=m"(raised)                                \
                         : [set] "m"(set), __VA_ARGS__);                                 \
        _mm_setcsr(saved);                                                               \
        *flags |= host_flags(raised);                                                    \
    } while (0)

typedef enum Op { ADD, SUB, MUL, DIV, SQRT, FMA } Op;

static uint64_t host_op(FPFormat f, Op op, uint64_t a, uint64_t b, uint64_t c,
                        unsigned negate, int rm, unsigned *flags)
{
    if (f == FP_32) {
        float x = as_f32(a), y = as_f32(b), z = as_f32(c);
        switch (op) {
        case ADD: SSE("addss %[y], %[r]", x, [y] "x"(y)); break;
        case SUB: SSE("subss %[y], %[r]", x, [y] "x"(y)); break;
        case MUL: SSE("mulss %[y], %[r]", x, [y] "x"(y)); break;
        case DIV: SSE("divss %[y], %[r]", x, [y] "x"(y)); break;
        case SQRT: SSE("sqrtss %[r], %[r]", x, [y] "x"(y)); break;
        case FMA:
            switch (negate) {
            case 0: SSE("vfmadd213ss %[z], %[y], %[r]", x, [y] "x"(y), [z] "x"(z)); break;
            case 2: SSE("vfmsub213ss %[z], %[y], %[r]", x, [y] "x"(y), [z] "x"(z)); break;
            case 1:
                SSE("vfnmadd213ss %[z], %[y], %[r]", x, [y] "x"(y), [z] "x"(z));
                break;
            case 3:
                SSE("vfnmsub213ss %[z], %[y], %[r]", x, [y] "x"(y), [z] "x"(z));
                break;
            }
        }
        return canon(f, bits32(x));
    }
    double x = as_f64(a), y = as_f64(b), z = as_f64(c);
    switch (op) {
    case ADD: SSE("addsd %[y], %[r]", x, [y] "x"(y)); break;
    case SUB: SSE("subsd %[y], %[r]", x, [y] "x"(y)); break;
    case MUL: SSE("mulsd %[y], %[r]", x, [y] "x"(y)); break;
    case DIV: SSE("divsd %[y], %[r]", x, [y] "x"(y)); break;
    case SQRT: SSE("sqrtsd %[r], %[r]", x, [y] "x"(y)); break;
    case FMA:
        switch (negate) {
        case 0: SSE("vfmadd213sd %[z], %[y], %[r]", x, [y] "x"(y), [z] "x"(z)); break;
        case 2: SSE("vfmsub213sd %[z], %[y], %[r]", x, [y] "x"(y), [z] "x"(z)); break;
        case 1: SSE("vfnmadd213sd %[z], %[y], %[r]", x, [y] "x"(y), [z] "x"(z)); break;
        case 3: SSE("vfnmsub213sd %[z], %[y], %[r]", x, [y] "x"(y), [z] "x"(z)); break;
        }
    }
    return canon(f, bits64(x));
}

static uint64_t soft_op(FPFormat f, Op op, uint64_t a, uint64_t b, uint64_t c,
                        unsigned negate, FPRound rm, unsigned *flags)
{
    switch (op) {
    case ADD: return fpu_add(f, a, b, rm, flags);
    case SUB: return fpu_sub(f, a, b, rm, flags);
    case MUL: return fpu_mul(f, a, b, rm, flags);
    case DIV: return fpu_div(f, a, b, rm, flags);
    case SQRT: return fpu_sqrt(f, a, rm, flags);
    default: return fpu_fma(f, a, b, c, negate, rm, flags);
    }
}

static void expect(const char *what, FPFormat f, int op, int rm, const uint64_t *in,
                   uint64_t want, unsigned want_flags, uint64_t got,
                   const unsigned *flags)
{
    unsigned got_flags = *flags; /* by pointer: `got` may be the call that sets them */
    if (want == got && want_flags == got_flags) {
        return;
    }
    fail_msg("%s: format %d op %d rm %d: %llx %llx %llx -> %llx flags %02x, "
             "expected %llx flags %02x",
             what, f, op, rm, (long long)in[0], (long long)in[1], (long long)in[2],
             (long long)got, got_flags, (long long)want, want_flags);
}

/* Operands for op: exponents chosen so that sums cancel and products meet addends. */
static void rnd_operands(FPFormat f, Op op, uint64_t in[3])
{
    in[0] = rnd_fp(f, exp_mid(f));
    switch (op) {
    case MUL: /* results around the subnormal range half of the time */
        in[1] = rnd_fp(f, rnd() & 1 ? exp_mid(f) - exp_of(f, in[0]) : exp_mid(f));
        break;
    case DIV:
        in[1] = rnd_fp(f, rnd() & 1 ? exp_of(f, in[0]) + exp_mid(f) : exp_of(f, in[0]));
        break;
    case FMA:
        in[1] = rnd_fp(f, rnd() & 3 ? exp_mid(f) : exp_mid(f) - exp_of(f, in[0]));
        break;
    default: in[1] = rnd_fp(f, exp_of(f, in[0]));
    }
    in[2] = rnd_fp(f, exp_of(f, in[0]) + exp_of(f, in[1]) - exp_mid(f));
    if (op == FMA && !(rnd() & 3)) { /* close to what cancels the product */
        unsigned ignored = 0;
        in[2] = fpu_mul(f, in[0], in[1], rnd() & 3, &ignored) ^ (rnd() & 3);
    }
}

static bool inf_times_zero(FPFormat f, const uint64_t in[3])
{
    uint64_t mag = (UINT64_C(1) << (frac_bits[f] + exp_bits[f])) - 1;
    uint64_t inf = mag >> frac_bits[f] << frac_bits[f];
    uint64_t a = in[0] & mag, b = in[1] & mag;
    return (a == inf && b == 0) || (a == 0 && b == inf);
}

static void test_against_sse(void **state)
{
    for (FPFormat f = FP_32; f <= FP_64; f++) {
        for (Op op = ADD; op <= FMA; op++) {
            for (int i = 0; i < rounds(60000); i++) {
                uint64_t in[3];
                rnd_operands(f, op, in);
                unsigned negate = rnd() & 3;
                int rm = i & 3;
                unsigned hf = 0, sf = 0;
                uint64_t want = host_op(f, op, in[0], in[1], in[2], negate, rm, &hf);
                if (op == FMA && inf_times_zero(f, in)) {
                    hf |= FP_NV;
                }
                uint64_t got = soft_op(f, op, in[0], in[1], in[2], negate, rm, &sf);
                expect("sse", f, op, rm, in, want, hf, got, &sf);
            }
        }
    }
}

/* ---- half precision ---- */

static double half_to_f64(uint64_t a) { return (double)_cvtsh_ss((unsigned short)a); }

/* Exact in double, or rounded to odd, of an operation on halves. */
static double odd_op(Op op, double a, double b, double c)
{
    unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80 | 3 << 13); /* toward zero */
    double r;
    __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c));
    switch (op) {
    case ADD: r = a + b; break;
    case SUB: r = a - b; break;
    case MUL: r = a * b; break;
    case DIV: r = a / b; break;
    case SQRT: __asm__("sqrtsd %1, %0" : "=x"(r) : "x"(a)); break;
    default: __asm__ volatile("vfmadd213sd %2, %1, %0" : "+x"(a) : "x"(b), "x"(c)); r = a;
    }
    __asm__ volatile("" : "+x"(r));
    bool inexact = _mm_getcsr() & 32;
    _mm_setcsr(saved);
    return inexact ? as_f64(bits64(r) | 1) : r;
}

static float odd_narrow(double a)
{
    unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80 | 3 << 13);
    float r = 0;
    __asm__ volatile("cvtsd2ss %1, %0" : "+x"(r) : "x"(a));
    bool inexact = _mm_getcsr() & 32;
    _mm_setcsr(saved);
    return inexact ? as_f32(bits32(r) | 1) : r;
}

static uint64_t f16c_narrow(float x, int rm, unsigned *flags)
{
    unsigned saved = _mm_getcsr(), got;
    __m128 v = _mm_set_ss(x);
    __m128i h;
    _mm_setcsr(0x1f80 | mxcsr_round[rm] << 13);
    __asm__ volatile("vcvtps2ph $4, %1, %0" : "=x"(h) : "x"(v));
    got = _mm_getcsr();
    _mm_setcsr(saved);
    *flags |= host_flags(got);
    return _mm_cvtsi128_si32(h) & 0xffff;
}

static void test_half(void **state)
{
    if (!has_f16c()) {
        skip();
    }
    for (Op op = ADD; op <= FMA; op++) {
        for (int i = 0; i < rounds(60000); i++) {
            uint64_t in[3];
            int rm = i & 3;
            rnd_operands(FP_16, op, in);
            bool nan = false;
            int operands = op == SQRT ? 1 : op == FMA ? 3 : 2;
            for (int k = 0; k < operands; k++) {
                nan |= is_nan(FP_16, in[k]);
            }
            double r =
                odd_op(op, half_to_f64(in[0]), half_to_f64(in[1]), half_to_f64(in[2]));
            unsigned want_flags = 0, sf = 0;
            uint64_t want;
            if (nan || isnan(r)) {
                want = 0x7e00;
                for (int k = 0; k < operands; k++) {
                    want_flags |= is_snan(FP_16, in[k]) ? FP_NV : 0;
                }
                if (!nan || (op == FMA && inf_times_zero(FP_16, in))) {
                    want_flags = FP_NV;
                }
            } else {
                want = f16c_narrow(odd_narrow(r), rm, &want_flags);
                if (op == DIV && !(in[1] & 0x7fff) && (in[0] & 0x7fff) < 0x7c00) {
                    want_flags |= FP_DZ;
                }
                if (r == 0 && op != MUL && op != DIV && op != SQRT) {
                    /* the sign of an exact zero sum depends on the rounding mode */
                    double p = op == FMA ? half_to_f64(in[0]) * half_to_f64(in[1])
                                         : half_to_f64(in[0]);
                    double q = half_to_f64(op == FMA ? in[2] : in[1]);
                    q = op == SUB ? -q : q;
                    want = signbit(p) && signbit(q)   ? 0x8000
                           : signbit(p) || signbit(q) ? (rm == FP_RDN ? 0x8000 : 0)
                                                      : 0;
                }
            }
            uint64_t got = soft_op(FP_16, op, in[0], in[1], in[2], 0, rm, &sf);
            expect("half", FP_16, op, rm, in, want, want_flags, got, &sf);
        }
    }
}

/* ---- ties away from zero ---- */

static __float128 exact_op(FPFormat f, Op op, const uint64_t in[3], bool *exact)
{
    __float128 v[3];
    for (int k = 0; k < 3; k++) {
        v[k] = f == FP_16   ? (__float128)half_to_f64(in[k])
               : f == FP_32 ? (__float128)as_f32(in[k])
                            : (__float128)as_f64(in[k]);
    }
    __float128 p = op == MUL || op == FMA ? v[0] * v[1] : v[0];
    if (op == MUL) {
        *exact = true; /* binary128 has more than twice the bits of binary64 */
        return p;
    }
    __float128 q = op == FMA ? v[2] : op == SUB ? -v[1] : v[1];
    __float128 s = p + q;
    *exact = s - p == q && s - q == p;
    return s;
}

static __float128 fp_value(FPFormat f, uint64_t a)
{
    return f == FP_16   ? (__float128)half_to_f64(a)
           : f == FP_32 ? (__float128)as_f32(a)
                        : (__float128)as_f64(a);
}

static void test_ties_away(void **state)
{
    static const Op ops[] = {ADD, SUB, MUL, FMA};
    long ties = 0, tried = 0;
    for (FPFormat f = FP_16; f <= FP_64; f++) {
        for (int i = 0; i < rounds(240000); i++) {
            uint64_t in[3];
            Op op = ops[i & 3];
            rnd_operands(f, op, in);
            unsigned ne_flags = 0, away_flags = 0, zero_flags = 0, got_flags = 0;
            uint64_t nearest = soft_op(f, op, in[0], in[1], in[2], 0, FP_RNE, &ne_flags);
            uint64_t got = soft_op(f, op, in[0], in[1], in[2], 0, FP_RMM, &got_flags);
            uint64_t want = nearest;
            bool exact = false;
            __float128 e = 0;
            if (ne_flags & FP_NX) {
                e = exact_op(f, op, in, &exact);
                if (!exact) {
                    continue;
                }
                FPRound away = e < 0 ? FP_RDN : FP_RUP;
                uint64_t out = soft_op(f, op, in[0], in[1], in[2], 0, away, &away_flags);
                uint64_t low =
                    soft_op(f, op, in[0], in[1], in[2], 0, FP_RTZ, &zero_flags);
                if (!(away_flags & FP_OF) &&
                    fp_value(f, out) - e == e - fp_value(f, low)) {
                    want = out;
                    ties++;
                    /* underflow at the least normal number depends on the mode */
                    ne_flags = got_flags & FP_UF ? ne_flags | FP_UF
                               : (out & ((UINT64_C(1) << frac_bits[f]) - 1)) == 0
                                   ? ne_flags & ~FP_UF
                                   : ne_flags;
                }
            }
            tried++;
            expect("ties away", f, op, FP_RMM, in, want, ne_flags, got, &got_flags);
        }
    }
    assert_true(tried > 250000);
    assert_true(ties > 2000);
}

/* Division and square root have ties only where the result is subnormal (never for a
 * root), so elsewhere ties-away equals ties-even. */
static void test_ties_away_div(void **state)
{
    for (FPFormat f = FP_16; f <= FP_64; f++) {
        for (int i = 0; i < rounds(50000); i++) {
            uint64_t in[3];
            Op op = i & 1 ? DIV : SQRT;
            rnd_operands(f, op, in);
            unsigned nf = 0, gf = 0;
            uint64_t want = soft_op(f, op, in[0], in[1], 0, 0, FP_RNE, &nf);
            uint64_t got = soft_op(f, op, in[0], in[1], 0, 0, FP_RMM, &gf);
            if (exp_of(f, want) > 1) {
                expect("ties away", f, op, FP_RMM, in, want, nf, got, &gf);
            }
        }
    }
    unsigned fl = 0; /* 3 * 2^-149 / 2 is half way between 1 and 2 units: away, 2 */
    assert_int_equal(fpu_div(FP_32, 3, 0x40000000, FP_RMM, &fl), 2);
    assert_int_equal(fpu_div(FP_32, 1, 0x40000000, FP_RMM, &fl), 1);
    assert_int_equal(fpu_div(FP_32, 1, 0x40000000, FP_RNE, &fl), 0);
    assert_int_equal(fl, FP_UF | FP_NX);
}

/* ---- conversions ---- */

static void test_narrow(void **state)
{
    for (int i = 0; i < rounds(120000); i++) {
        int rm = i & 3;
        uint64_t in[3] = {0}, want, got;
        unsigned hf = 0, sf = 0;
        unsigned *flags = &hf;
        in[0] = rnd_fp(FP_64, 1023 + (rnd() & 1 ? -126 : 127));
        float x = 0;
        double y = as_f64(in[0]);
        SSE("cvtsd2ss %[y], %[r]", x, [y] "x"(y));
        want = canon(FP_32, bits32(x));
        got = fpu_convert(FP_32, FP_64, in[0], rm, &sf);
        expect("d to s", FP_32, 0, rm, in, want, hf, got, &sf);

        hf = sf = 0;
        in[0] = rnd_fp(FP_32, rnd() & 1 ? 127 - 14 : 127 + 15);
        x = as_f32(in[0]);
        SSE("cvtss2sd %[x], %[r]", y, [x] "x"(x));
        want = canon(FP_64, bits64(y));
        got = fpu_convert(FP_64, FP_32, in[0], rm, &sf);
        expect("s to d", FP_64, 0, rm, in, want, hf, got, &sf);

        if (!has_f16c()) {
            continue;
        }
        hf = sf = 0;
        want = canon(FP_16, f16c_narrow(x, rm, &hf));
        got = fpu_convert(FP_16, FP_32, in[0], rm, &sf);
        expect("s to h", FP_16, 0, rm, in, want, hf, got, &sf);

        hf = sf = 0;
        in[0] = rnd_fp(FP_64, rnd() & 1 ? 1023 - 14 : 1023 + 15);
        if (!is_nan(FP_64, in[0])) {
            want = f16c_narrow(odd_narrow(as_f64(in[0])), rm, &hf);
            got = fpu_convert(FP_16, FP_64, in[0], rm, &sf);
            expect("d to h", FP_16, 0, rm, in, want, hf, got, &sf);
        }
    }
    for (uint64_t a = 0; a < 65536; a++) { /* every half */
        unsigned fl = 0;
        uint64_t in[3] = {a};
        uint64_t d = fpu_convert(FP_64, FP_16, a, FP_RNE, &fl);
        expect("h to d", FP_64, 0, 0, in, canon(FP_64, bits64(half_to_f64(a))),
               is_snan(FP_16, a) ? FP_NV : 0, d, &fl);
        fl = 0;
        uint64_t back = fpu_convert(FP_16, FP_64, d, FP_RNE, &fl);
        expect("h to d to h", FP_16, 0, 0, in, canon(FP_16, a), 0, back, &fl);
    }
}

static long double round_ld(long double x, int rm)
{
    static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    if (rm == FP_RMM) {
        return roundl(x);
    }
    fesetround(modes[rm]);
    __asm__ volatile("frndint" : "+t"(x)); /* not rintl, which the compiler may move */
    fesetround(FE_TONEAREST);
    return x;
}

static void test_to_int(void **state)
{
    static const long double low[] = {-0x1p31L, 0, -0x1p63L, 0};
    static const long double high[] = {0x1p31L, 0x1p32L, 0x1p63L, 0x1p64L};
    static const uint64_t least[] = {0xffffffff80000000, 0, 0x8000000000000000, 0};
    static const uint64_t most[] = {0x7fffffff, UINT64_MAX, INT64_MAX, UINT64_MAX};
    for (int i = 0; i < rounds(250000); i++) {
        FPFormat f = i % 3;
        int rm = rnd() % 5;
        FPInt to = rnd() & 3;
        int near = exp_mid(f) - 1 + (int[]){0, 31, 32, 63, 64, 20, 10, -1}[rnd() & 7];
        uint64_t in[3] = {rnd_fp(f, near)}, want;
        unsigned wf = 0, sf = 0;
        if (is_nan(f, in[0])) {
            want = most[to];
            wf = FP_NV;
        } else {
            long double x = (long double)fp_value(f, in[0]), r = round_ld(x, rm);
            if (r < low[to] || r >= high[to]) {
                want = r < 0 ? least[to] : most[to];
                wf = FP_NV;
            } else {
                want = r < 0 ? (uint64_t)(int64_t)r : (uint64_t)r;
                want = to <= FP_U32 ? (uint64_t)(int32_t)want : want;
                wf = r != x ? FP_NX : 0;
            }
        }
        uint64_t got = fpu_to_int(f, to, in[0], rm, &sf);
        expect("to int", f, to, rm, in, want, wf, got, &sf);
    }
}

static void test_modulo(void **state)
{
    for (int i = 0; i < rounds(60000); i++) {
        uint64_t in[3] = {rnd_fp(FP_64, 1023 + (int)(rnd() % 90))}, want = 0;
        unsigned wf = 0, sf = 0;
        double x = as_f64(in[0]);
        if (isfinite(x)) {
            long double t = fmodl(truncl(x), 0x1p32L); /* exact */
            want = (uint64_t)(int32_t)(int64_t)t;
        }
        fpu_to_int(FP_64, FP_I32, in[0], FP_RTZ,
                   &wf); /* the flags are those of fcvt.w.d */
        uint64_t got = fpu_to_i32_modulo(in[0], &sf);
        expect("modulo", FP_64, 0, 1, in, want, wf, got, &sf);
    }
}

static void test_from_int(void **state)
{
    for (int i = 0; i < rounds(120000); i++) {
        int rm = i & 3;
        uint64_t in[3] = {rnd() >> (rnd() & 63)};
        unsigned hf = 0, sf = 0;
        unsigned *flags = &hf;
        in[0] = rnd() & 1 ? -in[0] : in[0];
        if (rnd() & 1) {
            in[0] &= ~UINT64_C(0) << (rnd() & 63);
        }
        double y = 0;
        SSE("cvtsi2sdq %[x], %[r]", y, [x] "r"(in[0]));
        expect("l to d", FP_64, 0, rm, in, bits64(y), hf,
               fpu_from_int(FP_64, FP_I64, in[0], rm, &sf), &sf);
        float x = 0;
        hf = sf = 0;
        SSE("cvtsi2ssq %[x], %[r]", x, [x] "r"(in[0]));
        expect("l to s", FP_32, 0, rm, in, bits32(x), hf,
               fpu_from_int(FP_32, FP_I64, in[0], rm, &sf), &sf);
        hf = sf = 0;
        SSE("cvtsi2ssl %[x], %[r]", x, [x] "r"((uint32_t)in[0]));
        expect("w to s", FP_32, 0, rm, in, bits32(x), hf,
               fpu_from_int(FP_32, FP_I32, in[0], rm, &sf), &sf);
        hf = sf = 0;
        SSE("cvtsi2ssq %[x], %[r]", x, [x] "r"((uint64_t)(uint32_t)in[0]));
        expect("wu to s", FP_32, 0, rm, in, bits32(x), hf,
               fpu_from_int(FP_32, FP_U32, in[0], rm, &sf), &sf);
        /* unsigned 64 bits: halved with a sticky bit, converted, doubled */
        hf = sf = 0;
        uint64_t u = in[0] >> 63 ? in[0] >> 1 | (in[0] & 1) : in[0];
        SSE("cvtsi2sdq %[x], %[r]", y, [x] "r"(u));
        y = in[0] >> 63 ? y * 2 : y;
        expect("lu to d", FP_64, 0, rm, in, bits64(y), hf,
               fpu_from_int(FP_64, FP_U64, in[0], rm, &sf), &sf);
        /* to half: by way of a double or float rounded to odd */
        hf = sf = 0;
        int64_t s = in[0];
        long double exact = s;
        double d = (double)exact;
        if (d != exact) {
            d = as_f64((bits64(d) - (fabsl(d) > fabsl(exact))) | 1);
        }
        uint64_t want = f16c_narrow(odd_narrow(d), rm, &hf);
        expect("l to h", FP_16, 0, rm, in, want, hf,
               fpu_from_int(FP_16, FP_I64, in[0], rm, &sf), &sf);
    }
    unsigned fl = 0; /* ties away: 2^24 + 1 */
    assert_int_equal(fpu_from_int(FP_32, FP_I64, 0x1000001, FP_RMM, &fl), 0x4b800001);
    assert_int_equal(fpu_from_int(FP_32, FP_I64, 0x1000001, FP_RNE, &fl), 0x4b800000);
}

static void test_round_to_int(void **state)
{
    for (int i = 0; i < rounds(120000); i++) {
        FPFormat f = i % 3;
        int rm = rnd() % 5;
        bool exact = rnd() & 1;
        uint64_t in[3] = {rnd_fp(f, exp_mid(f) - 1 + (int)(rnd() % frac_bits[f]))};
        unsigned wf = 0, sf = 0, ignored = 0;
        uint64_t want = canon(f, in[0]);
        if (is_nan(f, in[0])) {
            wf = is_snan(f, in[0]) ? FP_NV : 0;
        } else if (exp_of(f, in[0]) < (1 << exp_bits[f]) - 1) {
            long double x = (long double)fp_value(f, in[0]), r = round_ld(x, rm);
            want = f == FP_64   ? bits64((double)r)
                   : f == FP_32 ? bits32((float)r)
                                : f16c_narrow((float)r, 0, &ignored);
            wf = exact && r != x ? FP_NX : 0;
        }
        uint64_t got = fpu_round_to_int(f, in[0], rm, exact, &sf);
        expect("round", f, exact, rm, in, want, wf, got, &sf);
    }
}

/* ---- comparisons, minima, classes ---- */

static void test_compare(void **state)
{
    for (int i = 0; i < rounds(120000); i++) {
        FPFormat f = i % 3;
        uint64_t in[3] = {rnd_fp(f, exp_mid(f))};
        in[1] = rnd() % 8 ? rnd_fp(f, exp_of(f, in[0])) : in[0] ^ (rnd() & 1);
        if (!(rnd() & 63)) {
            in[0] = (rnd() & 1) << (frac_bits[f] + exp_bits[f]);
            in[1] = (rnd() & 1) << (frac_bits[f] + exp_bits[f]);
        }
        double a = (double)fp_value(f, in[0]), b = (double)fp_value(f, in[1]);
        bool nan = is_nan(f, in[0]) || is_nan(f, in[1]);
        unsigned snan = is_snan(f, in[0]) || is_snan(f, in[1]) ? FP_NV : 0;
        unsigned loud = nan ? FP_NV : 0, fl = 0;
#define CHECK(cmp, c_op, flag)                                                           \
    fl = 0;                                                                              \
    expect(#cmp, f, cmp, 0, in, !nan && a c_op b, flag,                                  \
           fpu_compare(f, cmp, in[0], in[1], &fl), &fl)
        CHECK(FP_EQ, ==, snan);
        CHECK(FP_LT, <, loud);
        CHECK(FP_LE, <=, loud);
        CHECK(FP_LTQ, <, snan);
        CHECK(FP_LEQ, <=, snan);
#undef CHECK
        bool a_less = a < b || (a == b && signbit(a));
        uint64_t nanv = canon(f, is_nan(f, in[0]) ? in[0] : in[1]);
        bool both = is_nan(f, in[0]) && is_nan(f, in[1]);
        uint64_t lone = is_nan(f, in[0]) ? in[1] : in[0];
        uint64_t min = nan ? (both ? nanv : lone) : a_less ? in[0] : in[1];
        uint64_t max = nan ? (both ? nanv : lone) : a_less ? in[1] : in[0];
        if (!nan && a == b && signbit(a) == signbit(b)) {
            min = max = in[0];
        }
        fl = 0;
        expect("min", f, 0, 0, in, min, snan, fpu_min(f, in[0], in[1], &fl), &fl);
        fl = 0;
        expect("max", f, 0, 0, in, max, snan, fpu_max(f, in[0], in[1], &fl), &fl);
        fl = 0;
        expect("minm", f, 0, 0, in, nan ? nanv : min, snan,
               fpu_minm(f, in[0], in[1], &fl), &fl);
        fl = 0;
        expect("maxm", f, 0, 0, in, nan ? nanv : max, snan,
               fpu_maxm(f, in[0], in[1], &fl), &fl);
    }
}

static void test_class(void **state)
{
    /* Table of FCLASS, by bit: -inf, -normal, -subnormal, -0, +0, ..., sNaN, qNaN. */
    static const uint64_t values[3][10] = {
        {0xfc00, 0xbc00, 0x8001, 0x8000, 0, 0x03ff, 0x0400, 0x7c00, 0x7d00, 0x7e00},
        {0xff800000, 0x80800000, 0x807fffff, 0x80000000, 0, 1, 0x3f800000, 0x7f800000,
         0x7fa00000, 0xffc00001},
        {0xfff0000000000000, 0xffefffffffffffff, 0x800fffffffffffff, 0x8000000000000000,
         0, 1, 0x0010000000000000, 0x7ff0000000000000, 0xfff0000000000001,
         0x7ff8000000000000},
    };
    for (FPFormat f = FP_16; f <= FP_64; f++) {
        for (int k = 0; k < 10; k++) {
            assert_int_equal(fpu_class(f, values[f][k]), 1 << k);
        }
    }
}

static void test_constants(void **state)
{
    static const double table[32] = {
        -1,   0,      0x1p-16, 0x1p-15, 0x1p-8, 0x1p-7, 0.0625,   0.125,
        0.25, 0.3125, 0.375,   0.4375,  0.5,    0.625,  0.75,     0.875,
        1,    1.25,   1.5,     1.75,    2,      2.5,    3,        4,
        8,    16,     128,     256,     0x1p15, 0x1p16, INFINITY, NAN,
    };
    for (int k = 0; k < 32; k++) {
        double d = k == 1 ? 0x1p-1022 : table[k];
        float s = k == 1 ? 0x1p-126f : (float)table[k];
        assert_int_equal(fpu_constant(FP_64, k), canon(FP_64, bits64(d)));
        assert_int_equal(fpu_constant(FP_32, k), canon(FP_32, bits32(s)));
        if (k != 1 && k < 29) {
            assert_true(half_to_f64(fpu_constant(FP_16, k)) == table[k]);
        }
    }
    assert_int_equal(fpu_constant(FP_16, 1), 0x0400);
    assert_int_equal(fpu_constant(FP_16, 29), 0x7c00);
    assert_int_equal(fpu_constant(FP_16, 31), 0x7e00);
}

int main(void)
{
    if (!__builtin_cpu_supports("fma")) {
        return 77; /* the reference needs it */
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_sse),  cmocka_unit_test(test_half),
        cmocka_unit_test(test_ties_away),    cmocka_unit_test(test_ties_away_div),
        cmocka_unit_test(test_narrow),       cmocka_unit_test(test_to_int),
        cmocka_unit_test(test_modulo),       cmocka_unit_test(test_from_int),
        cmocka_unit_test(test_round_to_int), cmocka_unit_test(test_compare),
        cmocka_unit_test(test_class),        cmocka_unit_test(test_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
