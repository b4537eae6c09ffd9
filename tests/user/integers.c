/*
 * Integer arithmetic as C sees it: every width, wrap-around, division, shifts,
 * 128-bit products, bit counts, printed and compared with the native run; once with
 * the base instructions and once with those of Zba, Zbb and Zbs.
 *
 * test-march: rv64gc rv64gc_zba_zbb_zbs
 * test-native: yes
 * test-output: native
 */
#include <inttypes.h>
#include "test.h"

static const uint64_t values[] = {
    0, 1, 2, 3, 7, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x12345678, 0x7fffffff,
    0x80000000, 0xffffffff, 0x100000000, 0x123456789abcdef0, 0x7fffffffffffffff,
    0x8000000000000000, 0xfffffffffffffffe, 0xffffffffffffffff,
};

static uint64_t sum;

static __attribute__((noinline)) void show(const char *what, uint64_t x)
{
    sum = (sum ^ x) * 0x100000001b3u;
    printf("%s %016" PRIx64 "\n", what, x);
}

static __attribute__((noinline)) void pair(uint64_t a, uint64_t b)
{
    int64_t sa = (int64_t)a, sb = (int64_t)b;
    int32_t wa = (int32_t)a, wb = (int32_t)b;

    show("add", a + b);
    show("sub", a - b);
    show("mul", a * b);
    show("mulhu", (uint64_t)((unsigned __int128)a * b >> 64));
    show("mulh", (uint64_t)((__int128)sa * sb >> 64));
    show("mulhsu", (uint64_t)(((__int128)sa * (__int128)(unsigned __int128)b) >> 64));
    show("addw", (uint64_t)(int64_t)(int32_t)((uint32_t)wa + (uint32_t)wb));
    show("mulw", (uint64_t)(int64_t)(int32_t)((uint32_t)wa * (uint32_t)wb));
    if (b) {
        show("divu", a / b);
        show("remu", a % b);
        if (sa != INT64_MIN || sb != -1) {
            show("div", (uint64_t)(sa / sb));
            show("rem", (uint64_t)(sa % sb));
        }
    }
    if (wb && (wa != INT32_MIN || wb != -1)) {
        show("divw", (uint64_t)(int64_t)(wa / wb));
        show("remw", (uint64_t)(int64_t)(wa % wb));
        show("divuw", (uint32_t)wa / (uint32_t)wb);
    }
    show("sll", a << (b & 63));
    show("srl", a >> (b & 63));
    show("sra", (uint64_t)(sa >> (b & 63)));
    show("sraw", (uint64_t)(int64_t)(wa >> (b & 31)));
    /* Shapes that compilers turn into sh?add, andn, orn, xnor, rotations, bit ops. */
    show("sh3add", (a << 3) + b);
    show("sh1add.uw", ((uint64_t)(uint32_t)a << 1) + b);
    show("slli.uw", (uint64_t)(uint32_t)a << 7);
    show("andn", a & ~b);
    show("orn", a | ~b);
    show("xnor", ~(a ^ b));
    show("rol", a << (b & 63) | a >> (-b & 63));
    show("rorw", (uint64_t)(int64_t)(int32_t)((uint32_t)a >> (b & 31) |
                                              (uint32_t)a << (-b & 31)));
    show("max", (uint64_t)(sa > sb ? sa : sb));
    show("minu", a < b ? a : b);
    show("bset", a | 1ull << (b & 63));
    show("bclr", a & ~(1ull << (b & 63)));
    show("binv", a ^ 1ull << (b & 63));
    show("bext", a >> (b & 63) & 1);
    show("slt", (uint64_t)(sa < sb) | (uint64_t)(a < b) << 1);
}

int main(void)
{
    size_t n = sizeof(values) / sizeof(*values);

    for (size_t i = 0; i < n; i++) {
        uint64_t x = values[i];

        show("byte", (uint64_t)(int64_t)(int8_t)x);
        show("half", (uint64_t)(int64_t)(int16_t)x);
        show("unsigned half", (uint16_t)x);
        show("orc", (x & 0xff) ? 0xff : 0);
        show("swap", __builtin_bswap64(x));
        show("popcount", (uint64_t)__builtin_popcountll(x));
        if (x) {
            show("clz", (uint64_t)__builtin_clzll(x));
            show("ctz", (uint64_t)__builtin_ctzll(x));
        }
        for (size_t j = 0; j < n; j++) {
            pair(x, values[j]);
        }
    }
    show("sum", sum);
    return 0;
}
