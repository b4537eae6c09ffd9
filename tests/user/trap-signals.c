/*
 * Instructions that trap, and one that does not: illegal instructions of 16 and 32
 * bits give SIGILL and ebreak gives SIGTRAP, both with si_addr and pc at the
 * instruction; division by zero gives the manual's values and no SIGFPE; jumps to
 * odd halves work, as the C extension is there.
 *
 * test-native: no
 */
#include <ucontext.h>
#include "rv-code.h"

static siginfo_t seen;
static unsigned long seen_pc;
static int step;

static void on_trap(int sig, siginfo_t *info, void *context)
{
    unsigned long *regs = ((ucontext_t *)context)->uc_mcontext.__gregs;

    seen = *info;
    seen_pc = regs[0];
    regs[0] += (unsigned long)step;
}

static void expect_trap(uint32_t insn, int size, int sig, int code)
{
    char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC), *at = page + 8;

    rv_put(page, rv_addi(A0, A0, 1));
    rv_put(page + 4, RV_NOP);
    rv_put(at, insn);
    rv_put(at + size, rv_addi(A0, A0, 2));
    rv_put(at + size + 4, RV_RET);
    fence_i();
    step = size;
    for (int i = 0; i < 3; i++) {
        long r;

        memset(&seen, 0, sizeof(seen));
        r = call_code1(page, 10);
        CHECK(seen.si_signo == sig, "%08x gave signal %d", insn, seen.si_signo);
        CHECK(seen.si_code == code, "%08x: si_code %d", insn, seen.si_code);
        CHECK(seen.si_addr == at && (char *)seen_pc == at,
              "%08x: si_addr %p pc %#lx, not %p", insn, seen.si_addr, seen_pc,
              (void *)at);
        CHECK(r == 13, "%08x: result %ld", insn, r);
    }
    munmap(page, PAGE);
}

static void check_division(void)
{
    uint64_t zero = 0, x = 12345, min = 1ull << 63, minus_one = ~0ull, r;

#define DIVIDE(op, a, b, want)                                              \
    __asm__ volatile(op " %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));          \
    CHECK(r == (uint64_t)(want), op " gave %#lx", (unsigned long)r)
    DIVIDE("div", x, zero, -1);
    DIVIDE("divu", x, zero, -1);
    DIVIDE("rem", x, zero, 12345);
    DIVIDE("remu", x, zero, 12345);
    DIVIDE("divw", x, zero, -1);
    DIVIDE("divuw", x, zero, -1);
    DIVIDE("remw", x, zero, 12345);
    DIVIDE("remuw", min | 7, zero, 7);
    DIVIDE("div", min, minus_one, min);
    DIVIDE("rem", min, minus_one, 0);
    DIVIDE("divw", 0xffffffff80000000, minus_one, 0xffffffff80000000);
    DIVIDE("remw", 0xffffffff80000000, minus_one, 0);
#undef DIVIDE
}

int main(void)
{
    static const int signals[] = { SIGILL, SIGTRAP, SIGSEGV, SIGFPE };

    for (int i = 0; i < 4; i++) {
        set_handler(signals[i], on_trap, 0);
    }
    expect_trap(0x00000000, 2, SIGILL, ILL_ILLOPC);      /* defined illegal, 16 bits */
    expect_trap(0xffffffff, 4, SIGILL, ILL_ILLOPC);      /* 32-bit view of all ones */
    expect_trap(0x0000207f, 4, SIGILL, ILL_ILLOPC);      /* reserved long format */
    expect_trap(0x10200073, 4, SIGILL, ILL_ILLOPC);      /* sret in user mode */
    expect_trap(0x30002573, 4, SIGILL, ILL_ILLOPC);      /* csrr a0, mstatus */
    expect_trap(RV_EBREAK, 4, SIGTRAP, TRAP_BRKPT);
    expect_trap(0x9002, 2, SIGTRAP, TRAP_BRKPT);         /* c.ebreak */
    check_division();
    return 0;
}
