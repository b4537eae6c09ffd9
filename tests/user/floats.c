/*
 * Floating point as C sees it, printed and compared with the native run: all
 * rounding modes, exception flags of each operation, subnormals, fused
 * multiply-add, conversions and the math library's results for exact cases.
 * NaNs are printed without sign or payload, where the two machines differ.
 *
 * test-native: yes
 * test-output: native
 */
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include "test.h"

/* clang-format off */
static const double doubles[] = {
    0.0, -0.0, 1.0, -1.0, 1.0 / 3, 0.1, 1e300, -1e300, 1e-300, 5e-324,
    2.2250738585072014e-308, 1.7976931348623157e308, 4503599627370497.5, 123456789.125,
    -2.5, INFINITY, -INFINITY, NAN,
};
/* clang-format on */
static const int modes[] = { FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD };

static void show(const char *what, double x)
{
    int flags = fetestexcept(FE_ALL_EXCEPT);
    uint64_t bits;

    memcpy(&bits, &x, 8);
    printf("%s ", what);
    if (x != x) {
        printf("nan");
    } else {
        printf("%016" PRIx64, bits);
    }
    printf(" %s%s%s%s%s\n", flags & FE_INEXACT ? "x" : "",
           flags & FE_UNDERFLOW ? "u" : "", flags & FE_OVERFLOW ? "o" : "",
           flags & FE_DIVBYZERO ? "z" : "", flags & FE_INVALID ? "i" : "");
    feclearexcept(FE_ALL_EXCEPT);
}

/* The barrier keeps an operation between feclearexcept() and fetestexcept(). */
#define OP(what, expression)              \
    do {                                  \
        double r_ = (expression);         \
        __asm__ volatile("" : "+m"(r_));  \
        show(what, r_);                   \
    } while (0)

static __attribute__((noinline)) void pair(const double *pa, const double *pb)
{
    double a = *pa, b = *pb;
    float fa, fb;

    __asm__ volatile("" : "+m"(a), "+m"(b));
    OP("add", a + b);
    OP("sub", a - b);
    OP("mul", a * b);
    OP("div", a / b);
    fa = (float)a;
    __asm__ volatile("" : "+m"(fa));
    show("narrow", fa);
    fb = (float)b;
    __asm__ volatile("" : "+m"(fb));
    feclearexcept(FE_ALL_EXCEPT);
    OP("fadd", fa + fb);
    OP("fmul", fa * fb);
    OP("fdiv", fa / fb);
    OP("less", (a < b) | (a == b) << 1);
}

static void singles(const double *pa)
{
    double a = *pa;

    __asm__ volatile("" : "+m"(a));
    if (a >= 0 || a != a) {
        OP("sqrt", sqrt(a));
        OP("fsqrt", sqrtf((float)a));
    }
    if (fabs(a) < 1e9) {
        OP("to-int", (double)(int64_t)a);
        OP("rint", rint(a));
    }
    OP("class", fpclassify(a) * 2 + !!(signbit(a) && a == a));
}

int main(void)
{
    size_t n = sizeof(doubles) / sizeof(*doubles);

    for (int m = 0; m < 4; m++) {
        CHECK(fesetround(modes[m]) == 0, "fesetround");
        feclearexcept(FE_ALL_EXCEPT);
        printf("mode %d\n", m);
        for (size_t i = 0; i < n; i++) {
            singles(&doubles[i]);
            for (size_t j = 0; j < n; j++) {
                pair(&doubles[i], &doubles[j]);
            }
        }
    }
    fesetround(FE_TONEAREST);
    printf("%.17g %a %g\n", 0.1, 1.0 / 3, 1e-310);
    printf("%d\n", (int)fma(0x1p27 + 1, 0x1p27 - 1, -0x1p54));
    return 0;
}
