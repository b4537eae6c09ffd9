/* SPDX-License-Identifier: MIT
 *
 * Into a fragment and back.  Offsets from M are those of Context in harness.c.
 * A fragment is entered with x31 = M; its prologue moves that to the base register it uses and loads
 * x30 and x31.  Its epilogue stores these two and comes to `common` with x31 = M.
 * The harness is compiled without FP code, so no FP register needs saving.
 */
    .option norelax
    .text
    .globl _start
_start:
    ld      a0, 0(sp)
    addi    a1, sp, 8
    andi    sp, sp, -16
    tail    harness_main

    /* void enter(unsigned long m (a0), unsigned long entry (a1)) */
    .globl enter
enter:
    addi    sp, sp, -128
    sd      ra, 0(sp)
    sd      gp, 8(sp)
    sd      tp, 16(sp)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    sd      s\n, 24 + 8 * \n(sp)
    .endr
    mv      x31, a0
    mv      x30, a1
    sd      sp, -1528(x31)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld     f\n, -1792 + 8 * \n(x31)
    .endr
    ld      x1, -1536(x31)
    fscsr   x1
    .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    ld      x\n, -2048 + 8 * \n(x31)
    .endr
    jr      x30

    .globl common
common:
    .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    sd      x\n, -2048 + 8 * \n(x31)
    .endr
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd     f\n, -1792 + 8 * \n(x31)
    .endr
    frcsr   x1
    sd      x1, -1536(x31)
    fscsr   x0
    ld      sp, -1528(x31)
    ld      ra, 0(sp)
    ld      gp, 8(sp)
    ld      tp, 16(sp)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    ld      s\n, 24 + 8 * \n(sp)
    .endr
    addi    sp, sp, 128
    ret

    /* long start_idle_thread(void *stack_top (a0)): a second thread that only waits, so that the
       emulator translates atomics and fences for real.  Returns what clone() does. */
    .globl start_idle_thread
start_idle_thread:
    mv      a1, a0
    li      a0, 0x50f00     /* CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM */
    li      a2, 0
    li      a3, 0
    li      a4, 0
    li      a7, 220
    ecall
    bnez    a0, 2f
1:  li      a0, 0           /* ppoll(NULL, 0, NULL, NULL) */
    li      a1, 0
    li      a2, 0
    li      a3, 0
    li      a4, 0
    li      a7, 73
    ecall
    j       1b
2:  ret
