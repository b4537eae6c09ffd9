/*
 * Work that a saved and loaded machine goes on with: each hart computes a checksum over memory of its own, in
 * integers and floating point, timers tick, harts send each other interrupts.  The sums are right only if no step is
 * lost or done twice.  Hart 0 prints a dot for each of PARTS parts, and the sums at the end.
 */
#include "kernel.h"

#define WORDS 65536
#define STEPS 60000

enum { MSIE = 8, MTIE = 128, MIE = 8, FS_DIRTY = 0x6000 };

static uint64_t words[HARTS][WORDS];
static volatile uint64_t sums[HARTS], parts[HARTS], ticks[HARTS], messages[HARTS];
static uint64_t floats[HARTS];

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    uint64_t hart = csr_read(mhartid);
    if (cause == (1ull << 63 | 7)) {
        ticks[hart]++;
        MTIMECMP[hart] = MTIME + 10000;     /* a millisecond */
        MSIP[(hart + 1) % HARTS] = 1;
        return 0;
    }
    if (cause == (1ull << 63 | 3)) {
        MSIP[hart] = 0;
        messages[hart]++;
        return 0;
    }
    put("trap\n");
    finish(1);
    return 0;
}

static uint64_t step(uint64_t hart, uint64_t x)
{
    uint64_t i = x % WORDS, next = x * 6364136223846793005ull + 1442695040888963407ull;
    words[hart][i] += next >> 7;
    words[hart][(i * 7 + 1) % WORDS] ^= words[hart][i];
    return next ^ words[hart][i] >> 3;
}

/* FP registers that live across the whole run, without an FPU in the ABI. */
static void float_step(void)
{
    asm volatile(".option push\n.option arch, +d\n"
                 "fmadd.d fs0, fs0, fs1, fs2\n"
                 ".option pop" ::: "memory");
}

static void float_start(uint64_t hart)
{
    csr_set(mstatus, FS_DIRTY);
    uint64_t a = 0x3ff0000000000000 + (hart << 40), b = 0x3fefffff00000000, c = 0x3f50000000000000;
    asm volatile(".option push\n.option arch, +d\n"
                 "fmv.d.x fs0, %0\nfmv.d.x fs1, %1\nfmv.d.x fs2, %2\n"
                 ".option pop" :: "r"(a), "r"(b), "r"(c) : "memory");
}

static uint64_t float_bits(void)
{
    uint64_t v;
    asm volatile(".option push\n.option arch, +d\nfmv.x.d %0, fs0\n.option pop" : "=r"(v));
    return v;
}

static void put_hex(uint64_t n)
{
    char buf[18];
    for (int i = 15; i >= 0; i--, n >>= 4) {
        buf[i] = "0123456789abcdef"[n & 15];
    }
    buf[16] = '\n';
    buf[17] = 0;
    put(buf);
}

void main(uint64_t hart, uint64_t arg)
{
    uint64_t x = hart * 12345 + 1;
    float_start(hart);
    MTIMECMP[hart] = MTIME + 10000;
    csr_write(mie, MSIE | MTIE);
    csr_set(mstatus, MIE);
    for (uint64_t part = 0; part < PARTS; part++) {
        for (uint64_t i = 0; i < STEPS; i++) {
            x = step(hart, x);
            float_step();
        }
        sums[hart] = sums[hart] * 31 + x;
        parts[hart] = part + 1;
        if (hart == 0) {
            put(".");
        }
    }
    floats[hart] = float_bits();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    parts[hart] = ~0ull;
    for (;;) {
        if (hart) {
            wfi();
            continue;
        }
        uint64_t ready = 1;
        for (int h = 0; h < HARTS; h++) {
            ready &= parts[h] == ~0ull && ticks[h] && messages[h];
        }
        if (ready) {
            break;
        }
        wfi();
    }
    put("\n");
    for (int h = 0; h < HARTS; h++) {
        put_hex(sums[h]);
        put_hex(floats[h]);
    }
    finish(0);
}
