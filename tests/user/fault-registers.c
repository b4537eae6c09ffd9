/*
 * A load that faults as the k-th instruction of straight code, k = 1 … 60: the
 * handler finds the exact pc and every register as the instructions before the
 * load left them, changes a register, steps over the load, and the instructions
 * after it go on from there.
 *
 * test-native: no
 */
#include <ucontext.h>
#include "rv-code.h"

enum { LONGEST = 60, SKIPPED = 28 };

static char *code, *fault_pc, *bad_address;
static int before;
static _Atomic int faults;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    unsigned long *regs = uc->uc_mcontext.__gregs; /* [0] is the pc, then x1 … x31 */

    faults++;
    CHECK((char *)regs[0] == fault_pc, "pc %#lx, not %p (k = %d)", regs[0],
          (void *)fault_pc, before + 1);
    CHECK(info->si_addr == bad_address, "si_addr %p", info->si_addr);
    CHECK(regs[T0] == (unsigned long)before, "t0 %lu after %d additions", regs[T0],
          before);
    CHECK(regs[T1] == (unsigned long)(100 + before * (before + 1) / 2), "t1 %lu, k = %d",
          regs[T1], before + 1);
    CHECK((char *)regs[A0] == bad_address, "a0 %#lx", regs[A0]);
    CHECK(regs[SKIPPED] == 0x7f, "t3 %#lx: the faulting load's target changed",
          regs[SKIPPED]);
    regs[SKIPPED] = 1000;
    regs[0] += 4;
}

/*
 * a0 = address to load from.  t0 counts, t1 sums up the counter: two instructions a
 * step, the load after `steps` steps; then some more steps; result t1 + t3.
 */
static void emit(int steps_before, int steps_after)
{
    char *at = code;
    int left = steps_before;

#define PUT(insn) do { rv_put(at, insn); at += 4; } while (0)
    PUT(rv_addi(T0, ZERO, 0));
    PUT(rv_addi(T1, ZERO, 100));
    PUT(rv_addi(SKIPPED, ZERO, 0x7f));
    for (; left; left--) {
        PUT(rv_addi(T0, T0, 1));
        PUT(rv_add(T1, T1, T0));
    }
    fault_pc = at;
    PUT(rv_load(3, SKIPPED, A0, 0));
    for (; left < steps_after; left++) {
        PUT(rv_addi(T0, T0, 1));
        PUT(rv_add(T1, T1, T0));
    }
    PUT(rv_add(A0, T1, SKIPPED));
    PUT(RV_RET);
#undef PUT
    fence_i();
}

int main(void)
{
    code = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    bad_address = (char *)map_pages(1, PROT_NONE) + 40;
    set_handler(SIGSEGV, on_fault, 0);
    for (int round = 0; round < 3; round++) {
        for (before = 0; before <= LONGEST; before++) {
            int after = (LONGEST - before) / 3, all = before + after;
            int expected_faults = faults + 5;

            emit(before, after);
            for (int i = 0; i < 5; i++) {
                long r = call_code1(code, (long)bad_address);

                CHECK(r == 100 + all * (all + 1) / 2 + 1000, "result %ld, k = %d", r,
                      before + 1);
            }
            CHECK(faults == expected_faults, "%d faults", (int)faults);
        }
    }
    return 0;
}
