/* What -d is to show: a trap, a flush, an access to nothing, a call of the SBI that there is none of. */
#include "kernel.h"

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(cause == 5 || cause == 7);
    check(tval == 0x8000000);
    return 4;
}

void main(uint64_t hart, uint64_t arg)
{
    asm volatile(".option push\n.option norvc\nlw t0, 0(%0)\nsw t0, 0(%0)\n.option pop" :: "r"(0x8000000) : "t0", "memory");
    asm volatile("sfence.vma %0, zero" :: "r"(0x12345000) : "memory");
    asm volatile("sfence.vma" ::: "memory");
    check(sbi(0x0badc0de, 3, 0, 0, 0, 0, 0).error == -2);
    finish(0);
}
