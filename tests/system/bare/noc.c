/* Without compressed instructions: where jumps may lead, and what is an instruction.  Built and run with c=off. */
#include "bare.h"

void (*hart_main)(u64);

CODE(jump_a0, "1: jr a0");
CODE(call_a0, "1: jalr ra, 0(a0)");
CODE(jal_6, "1: .4byte 0x0060006f\necall\necall");
CODE(taken_6, "1: .4byte 0x00000363\necall\necall");      /* beq zero, zero, +6 */
CODE(not_taken_6, "1: .4byte 0x00001363\necall\necall");  /* bne zero, zero, +6 */
CODE(halves, "1: .4byte 0x00010001\necall");              /* two c.nop */
CODE(do_mret_to_2, "la t0, 1f\naddi t0, t0, 2\ncsrw mepc, t0\nli t0, 0x1800\ncsrs mstatus, t0\nmret\n1: addi a0, a0, 1\necall");

static void expect_misaligned(int line, u64 mode, const void *fn, const void *at, u64 a0, u64 target)
{
    const Area *r = run_in(mode, fn, a0, 5);
    if (r->cause != 0) {
        check_failed(line, "mcause", r->cause, 0);
    }
    if (r->epc != (u64)at) {
        check_failed(line, "mepc", r->epc, (u64)at);
    }
#ifndef QEMU_7_2    /* says where it jumps from */
    if (r->tval != target) {
        check_failed(line, "mtval", r->tval, target);
    }
#endif
}
#define MISALIGNED(fn, a0, target)                                                       \
    for (u64 mode = MODE_U; mode <= MODE_M; mode += mode + 1) {                           \
        expect_misaligned(__LINE__, mode, fn, fn##_at, (u64)(a0), (u64)(target));         \
    }

int main(void)
{
    open_memory();
    CHECK(csr_read(misa) >> 2 & 1, 0);
    for (int i = 0; i < 20; i++) {      /* also when it is chained */
        MISALIGNED(jump_a0, (u64)not_taken_6 + 2, (u64)not_taken_6 + 2);
        MISALIGNED(jump_a0, (u64)not_taken_6 + 3, (u64)not_taken_6 + 2);
        MISALIGNED(call_a0, (u64)not_taken_6 + 6, (u64)not_taken_6 + 6);
        MISALIGNED(jal_6, 0, (u64)jal_6 + 6);
        MISALIGNED(taken_6, 0, (u64)taken_6 + 6);
        CHECK(run_in(MODE_S, not_taken_6, 0, 0)->cause, 9);
        CHECK(run_in(MODE_S, jump_a0, (u64)not_taken_6 + 4, 0)->cause, 9);
        const Area *r = run_in(MODE_U, halves, 0, 0);
        CHECK(r->cause, 2);
        CHECK(r->epc, (u64)halves);
    }
#ifndef QEMU_7_2    /* bit 1 can be set */
    csr_write(mepc, 0x80000006);
    CHECK(csr_read(mepc), 0x80000004);
    csr_write(sepc, 0x80000007);
    CHECK(csr_read(sepc), 0x80000004);
    const Area *r = run_in(MODE_M, do_mret_to_2, 4, 0);
    CHECK(r->cause, 11);
    CHECK(r->a0, 5);
#endif
    print("ok\n");
    return 0;
}
