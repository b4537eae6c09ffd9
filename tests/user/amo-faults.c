/*
 * Atomics where they may not write: on a read-only page every AMO and sc gives SIGSEGV
 * with SEGV_ACCERR at its address, on an unmapped one SEGV_MAPERR; memory keeps its
 * value, the result register keeps its value; lr of a read-only page is fine.
 *
 * test-native: no
 */
#include <ucontext.h>
#include "rv-code.h"

static siginfo_t seen;
static int faults;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    seen = *info;
    faults++;
    ((ucontext_t *)context)->uc_mcontext.__gregs[0] += 4;
}

#define AMO(insn)                                                                        \
    do {                                                                                 \
        long result_ = 1234;                                                             \
        int before_ = faults;                                                            \
        __asm__ volatile(".option push\n .option norvc\n" insn " %0, %1, (%2)\n"         \
                         ".option pop" : "+&r"(result_) : "r"(-1L), "r"(at) : "memory"); \
        CHECK(faults == before_ + 1, insn " did not fault");                             \
        CHECK(seen.si_code == code && seen.si_addr == at, insn ": code %d at %p",        \
              seen.si_code, seen.si_addr);                                               \
        CHECK(result_ == 1234, insn " changed its result register to %ld", result_);     \
    } while (0)

static void check_all(void *at, int code)
{
    AMO("amoswap.w");
    AMO("amoadd.w");
    AMO("amoxor.w.aq");
    AMO("amoand.w.rl");
    AMO("amoor.w.aqrl");
    AMO("amomin.w");
    AMO("amomaxu.w");
    AMO("amoswap.d");
    AMO("amoadd.d");
    AMO("amoxor.d");
    AMO("amoand.d");
    AMO("amoor.d.aqrl");
    AMO("amominu.d");
    AMO("amomax.d");
}

int main(void)
{
    char *page = map_pages(2, PROT_READ | PROT_WRITE);
    long value, failed;
    int before;

    memset(page, 0x3c, PAGE);
    CHECK_ERRNO(mprotect(page, PAGE, PROT_READ) == 0 && munmap(page + PAGE, PAGE) == 0);
    set_handler(SIGSEGV, on_fault, 0);
    for (int i = 0; i < 20; i++) {
        check_all(page + 64, SEGV_ACCERR);
        check_all(page + PAGE + 64, SEGV_MAPERR);
    }
    before = faults;
    __asm__ volatile("lr.d %0, (%1)" : "=r"(value) : "r"(page + 8) : "memory");
    CHECK(faults == before && value == 0x3c3c3c3c3c3c3c3c, "lr of a read-only page");
    __asm__ volatile("lr.d %0, (%2)\n sc.d %1, %0, (%2)"
                     : "=&r"(value), "=&r"(failed) : "r"(page + 8) : "memory");
    CHECK(faults == before + 1 && seen.si_addr == page + 8 && seen.si_code == SEGV_ACCERR,
          "sc to a read-only page: %d faults", faults - before);
    for (unsigned long i = 0; i < PAGE; i++) {
        CHECK(page[i] == 0x3c, "byte %lu changed", i);
    }
    return 0;
}
