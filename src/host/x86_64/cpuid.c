/*
 * What this machine has beyond the baseline, x86-64-v2 (SSE4.2, POPCNT: all machines
 * since about 2009).  AVX counts only if the operating system saves its registers.
 */
#include <cpuid.h>

#include "host/x86_64/compile.h"

static bool os_saves_ymm(void)
{
    uint32_t lo, hi;
    __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (lo & 6) == 6;
}

uint32_t host_cpu_features(uint32_t disabled)
{
    uint32_t a, b, c, d, features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) {
        return 0;
    }
    bool avx = (c & bit_OSXSAVE) && (c & bit_AVX) && os_saves_ymm();
    features |= avx ? FEAT_AVX : 0;
    features |= avx && (c & bit_FMA) ? FEAT_FMA : 0;
    features |= c & bit_PCLMUL ? FEAT_CLMUL : 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        features |= b & bit_BMI ? FEAT_BMI : 0;
        features |= b & bit_BMI2 ? FEAT_BMI2 : 0;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
        features |= c & bit_LZCNT ? FEAT_LZCNT : 0;
    }
    if (disabled & HOST_NO_BMI2) {
        features &= ~(uint32_t)(FEAT_BMI2 | FEAT_BMI);
    }
    if (disabled & HOST_NO_LZCNT) {
        features &= ~(uint32_t)FEAT_LZCNT;
    }
    if (disabled & HOST_NO_AVX) {
        features &= ~(uint32_t)(FEAT_AVX | FEAT_FMA);
    }
    if (disabled & HOST_NO_FMA) {
        features &= ~(uint32_t)FEAT_FMA;
    }
    return features;
}
