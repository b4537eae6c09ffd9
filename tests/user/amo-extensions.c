/*
 * Atomics of the extensions Zabha and Zacas: byte and half-word operations leave their
 * neighbours alone and extend the sign of their result; compare and swap of every size
 * up to 128 bits is atomic against other threads and never torn.  Needs an emulator that
 * has both (SIGILL elsewhere).
 *
 * test-native: no
 */
#include "rv-code.h"

enum { THREADS = 4, B = 0, H = 1 };

/*
 * An AMO by its numbers: rd = old value.  funct7 is funct5 << 2 | aq << 1 | rl; the
 * assembler need not know the extensions.
 */
#define AMO(funct3, funct5, at, value)                                                   \
    ({                                                                                   \
        long old_;                                                                       \
        __asm__ volatile(".insn r 0x2f, %3, %4, %0, %1, %2"                              \
                         : "=&r"(old_)                                                   \
                         : "r"(at), "r"((long)(value)), "i"(funct3),                     \
                           "i"((funct5) << 2 | 3)                                        \
                         : "memory");                                                    \
        old_;                                                                            \
    })

#define CAS(funct3, at, expected, value)                                                 \
    ({                                                                                   \
        long old_ = (expected);                                                          \
        __asm__ volatile(".insn r 0x2f, %3, 0x17, %0, %1, %2"                            \
                         : "+&r"(old_)                                                   \
                         : "r"(at), "r"((long)(value)), "i"(funct3)                      \
                         : "memory");                                                    \
        old_;                                                                            \
    })

enum {
    ADD = 0,
    SWAP = 1,
    XOR = 4,
    OR = 8,
    AND = 12,
    MIN = 16,
    MAX = 20,
    MINU = 24,
    MAXU = 28
};

typedef struct {
    _Alignas(16) uint64_t low;
    uint64_t high;
} Pair;

static Pair pair;
static _Alignas(64) uint64_t words[4];
static _Alignas(64) uint8_t bytes[64];
static unsigned long rounds;

/* Compare and swap of 128 bits; *expected becomes what was there. */
static bool cas_pair(Pair *at, Pair *expected, Pair value)
{
    register uint64_t a0 __asm__("a0") = expected->low;
    register uint64_t a1 __asm__("a1") = expected->high;
    register uint64_t a2 __asm__("a2") = value.low;
    register uint64_t a3 __asm__("a3") = value.high;
    bool same;

    __asm__ volatile(".insn r 0x2f, 4, 0x17, a0, %4, a2"
                     : "+r"(a0), "+r"(a1)
                     : "r"(a2), "r"(a3), "r"(at)
                     : "memory");
    same = a0 == expected->low && a1 == expected->high;
    expected->low = a0;
    expected->high = a1;
    return same;
}

static void check_results(void)
{
    static const struct {
        int op;
        uint8_t before, value, after;
    } cases[] = {
        {ADD, 0xff, 1, 0x00},     {SWAP, 0x80, 0x7f, 0x7f}, {XOR, 0xa5, 0xff, 0x5a},
        {OR, 0x81, 0x18, 0x99},   {AND, 0xf0, 0x3c, 0x30},  {MIN, 0x80, 0x7f, 0x80},
        {MAX, 0x80, 0x7f, 0x7f},  {MINU, 0x80, 0x7f, 0x7f}, {MAXU, 0x80, 0x7f, 0x80},
    };

    for (int lane = 0; lane < 8; lane++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
            long old = 0;

            memset(bytes, 0x5c, sizeof(bytes));
            bytes[lane] = cases[i].before;
            switch (cases[i].op) {
#define CASE(op) case op: old = AMO(B, op, &bytes[lane], cases[i].value | 0x700); break;
            CASE(ADD) CASE(SWAP) CASE(XOR) CASE(OR) CASE(AND)
            CASE(MIN) CASE(MAX) CASE(MINU) CASE(MAXU)
#undef CASE
            }
            CHECK(old == (int8_t)cases[i].before, "operation %d, lane %d: old %#lx",
                  cases[i].op, lane, old);
            CHECK(bytes[lane] == cases[i].after, "operation %d, lane %d: %#x, not %#x",
                  cases[i].op, lane, bytes[lane], cases[i].after);
            CHECK(bytes[lane + 1] == 0x5c && (lane == 0 || bytes[lane - 1] == 0x5c),
                  "a neighbour of lane %d changed", lane);
        }
    }
    memset(bytes, 0x5c, sizeof(bytes));
    CHECK(AMO(H, ADD, bytes + 2, 0x4000) == 0x5c5c, "amoadd.h");
    CHECK(AMO(H, SWAP, bytes + 2, 0) == (int16_t)0x9c5c, "amoadd.h result, sign");
    CHECK(bytes[1] == 0x5c && bytes[4] == 0x5c, "neighbours of a half-word");
}

static void check_cas(void)
{
    Pair expected = {1, 2};
    long old;

    words[0] = 0xffffffff80000001;
    old = CAS(2, words, (int32_t)0x80000001, 5);
    CHECK(old == (int32_t)0x80000001 && words[0] == 0xffffffff00000005, "amocas.w %#lx",
          old);
    old = CAS(2, words, 6, 7);
    CHECK(old == 5 && words[0] == 0xffffffff00000005, "amocas.w that fails: %#lx", old);
    old = CAS(3, words, (long)0xffffffff00000005, -1);
    CHECK(words[0] == UINT64_MAX && old == (long)0xffffffff00000005, "amocas.d");
    old = CAS(B, (uint8_t *)words + 3, 0xff, 0x12);
    CHECK(old == -1 && words[0] == 0xffffffff12ffffff, "amocas.b %#lx", old);
    old = CAS(H, (uint8_t *)words + 6, 0xffff, 0x3456);
    CHECK(old == -1 && words[0] == 0x3456ffff12ffffff, "amocas.h %#lx", old);
    pair = (Pair){1, 3};
    CHECK(!cas_pair(&pair, &expected, (Pair){8, 9}) && expected.high == 3 &&
              pair.low == 1,
          "amocas.q that fails");
    CHECK(cas_pair(&pair, &expected, (Pair){8, 9}) && pair.low == 8 && pair.high == 9,
          "amocas.q");
}

static void *body(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;

    for (unsigned long i = 0; i < rounds; i++) {
        Pair seen = {0, 0};
        long expected = (long)words[1], old;

        AMO(B, ADD, &bytes[me], 1);
        AMO(B, ADD, &bytes[7], 1);
        AMO(H, ADD, &bytes[8], 1);
        while ((old = CAS(3, &words[1], expected, expected + 1)) != expected) {
            expected = old;
        }
        for (;;) {
            CHECK(seen.high == seen.low * 3, "torn: %lu %lu", seen.low, seen.high);
            if (cas_pair(&pair, &seen, (Pair){seen.low + 1, seen.high + 3})) {
                break;
            }
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t ids[THREADS];
    uint16_t half;

    check_results();
    check_cas();
    rounds = scaled(20000);
    pair = (Pair){0, 0};
    memset(words, 0, sizeof(words));
    memset(bytes, 0, sizeof(bytes));
    for (uintptr_t i = 0; i < THREADS; i++) {
        ids[i] = start_thread(body, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        join_thread(ids[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(bytes[i] == (uint8_t)rounds, "byte %d: %u", i, bytes[i]);
    }
    memcpy(&half, bytes + 8, 2);
    CHECK(bytes[7] == (uint8_t)(rounds * THREADS), "shared byte %u", bytes[7]);
    CHECK(half == (uint16_t)(rounds * THREADS), "shared half-word %u", half);
    CHECK(words[1] == rounds * THREADS, "amocas.d total %lu", words[1]);
    CHECK(pair.low == rounds * THREADS && pair.high == 3 * pair.low, "pair %lu %lu",
          pair.low, pair.high);
    return 0;
}
