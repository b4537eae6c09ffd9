/*
 * -icount: what minstret, mcycle and time say, and where a timer's interrupt comes, to the instruction.
 *
 * Counted by hand, from "Zicntr" and "Hardware Performance Monitor": a counter that an instruction reads does not count
 * that instruction yet; one that it writes does not count it either; what traps does not retire.
 */
#include "bare.h"

#ifndef SHIFT
#define SHIFT 0         /* of -icount */
#endif

void (*hart_main)(u64);

/* a0 = how many instructions retire from one CSRR to the next, this one and those between them */
#define COUNTED(name, between)                                                              \
    CODE(name, "1: csrr t0, minstret\n" between "\ncsrr a0, minstret\nsub a0, a0, t0\necall")
COUNTED(count_none, "");
COUNTED(count_three, "nop\nc.nop\nnop");
COUNTED(count_loop, "li t1, 10\n2: addi t1, t1, -1\nbnez t1, 2b");           /* 1 + 2 * 10 */
COUNTED(count_side_exit, "li t1, 1\nbnez t1, 2f\nnop\nnop\n2: nop");         /* 3 */
COUNTED(count_skip_taken, "li t1, 1\nbnez t1, 2f\nli t2, 1\n2: nop");        /* 3 */
COUNTED(count_skip_not, "li t1, 0\nbnez t1, 2f\nli t2, 1\n2: nop");          /* 4 */
COUNTED(count_call, "mv t2, ra\njal ra, 2f\nj 3f\n2: ret\n3: mv ra, t2");    /* 5 */
COUNTED(count_store, "addi sp, sp, -16\nsd t1, 0(sp)\nld t1, 0(sp)\naddi sp, sp, 16");
COUNTED(count_mmio, "li t1, 0x2000000\nlw t2, 0(t1)\nnop");                  /* 3 */
COUNTED(count_lrsc, "la t1, word\n2: lr.d t2, (t1)\nsc.d t2, t2, (t1)\nbnez t2, 2b");  /* 2 + 3 */
COUNTED(count_csr, "csrr t1, mscratch\ncsrw mscratch, t1\ncsrr t1, mstatus\ncsrw mstatus, t1");
COUNTED(count_fence, "fence\nfence.i\nnop");
/* Traps go to 2:, which goes on behind the instruction. */
#define TRAPPED(name, insn)                                                                 \
    COUNTED(name, "la t1, 2f\ncsrrw t2, mtvec, t1\n.option push\n.option norvc\n" insn      \
            "\n.option pop\n.balign 4\n2: csrw mtvec, t2")
TRAPPED(trap_ecall, "ecall");
TRAPPED(trap_ebreak, "ebreak");
TRAPPED(trap_illegal, ".4byte 0xffffffff");
TRAPPED(trap_load, "ld t1, 0(zero)");
TRAPPED(trap_csr, "csrr t1, 0x5c0");
TRAPPED(trap_fetch, "jr zero");       /* JR itself retires */

CODE(write_read, "1: csrw minstret, a0\ncsrr a0, minstret\necall");
CODE(write_nop_read, "1: csrw minstret, a0\nnop\ncsrr a0, minstret\necall");
/* Inhibited behind the first CSRRS, which counts; free again behind CSRRC, which does not. */
CODE(inhibit, "1: li t1, 4\ncsrr t0, minstret\ncsrs mcountinhibit, t1\nnop\nnop\ncsrc mcountinhibit, t1\n"
              "csrr a0, minstret\nsub a0, a0, t0\necall");
CODE(cycles, "1: csrr t0, mcycle\nnop\nnop\ncsrr a0, mcycle\nsub a0, a0, t0\necall");

/*
 * mtimecmp = mtime + a0 ticks, then a sled of NOPs; the interrupt's mepc says after how many it came.  The store is an
 * instruction, so is the CSRSI that lets it through.
 */
CODE(timer_sled, "1: li t0, 0x200bff8\nli t1, 0x2004000\nli t2, 0x80\ncsrw mie, t2\nld t3, 0(t0)\nadd t3, t3, a0\n"
                 ".option push\n.option norvc\nsd t3, 0(t1)\ncsrsi mstatus, 8\n"
                 ".globl sled\nsled: .rept 20000\nnop\n.endr\n.option pop\necall");
extern const char sled[];

u64 word;

#define RUN(fn, arg) (run_in(MODE_M, fn, arg, 0)->a0)

static void test_counts(void)
{
    CHECK(RUN(count_none, 0), 1);
    CHECK(RUN(count_three, 0), 4);
    CHECK(RUN(count_loop, 0), 22);
    CHECK(RUN(count_side_exit, 0), 4);
    CHECK(RUN(count_skip_taken, 0), 4);
    CHECK(RUN(count_skip_not, 0), 5);
    CHECK(RUN(count_call, 0), 6);
    CHECK(RUN(count_store, 0), 5);
    CHECK(RUN(count_mmio, 0), 4);
    CHECK(RUN(count_lrsc, 0), 6);
    CHECK(RUN(count_csr, 0), 5);
    CHECK(RUN(count_fence, 0), 4);
    /* LA is two instructions, CSRRW, CSRW: 4, and 1. */
#ifndef QEMU_7_2    /* counts what traps, and the instruction that writes a counter */
    CHECK(RUN(trap_ecall, 0), 5);
    CHECK(RUN(trap_ebreak, 0), 5);
    CHECK(RUN(trap_illegal, 0), 5);
    CHECK(RUN(trap_load, 0), 5);
    CHECK(RUN(trap_csr, 0), 5);
    CHECK(RUN(trap_fetch, 0), 6);
    CHECK(RUN(write_read, 1000), 1000);
    CHECK(RUN(write_nop_read, 1000), 1001);
    CHECK(RUN(inhibit, 0), 2);
#endif
    CHECK(RUN(cycles, 0), 3);
}

/* Where the sled is left for a comparison value `ticks` ahead, as the number of NOPs executed. */
static u64 sled_length(u64 ticks)
{
    *mtimecmp(0) = ~UINT64_C(0);
    const Area *a = run_in(MODE_M, timer_sled, ticks, 0);
    CHECK(a->cause, INTERRUPT | 7);
    csr_write(mie, 0);
    *mtimecmp(0) = ~UINT64_C(0);
    return (a->epc - (u64)sled) / 4;
}

/* One tick is 100 ns, which is 100 >> SHIFT instructions: as many more come before the interrupt. */
static void test_timer(void)
{
    u64 insns_per_16_ticks = 1600 >> SHIFT, first = sled_length(16);
    for (u64 n = 2; n < 8; n++) {
        u64 more = sled_length(16 * n) - first, want = (n - 1) * insns_per_16_ticks;
        /* mtime was read somewhere within its tick. */
        u64 slack = 100 >> SHIFT;
        CHECK(more + slack >= want && more <= want + slack, 1);
    }
}

int main(void)
{
    test_counts();
    test_timer();
    print("ok\n");
    return 0;
}
