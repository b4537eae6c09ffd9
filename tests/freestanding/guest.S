/* SPDX-License-Identifier: MIT
 *
 * The assembler half of guest.h: the start of the program, an idle thread, and macros that a harness
 * enters its tests with.  The harness is compiled without FP code, so that no FP register of
 * its own needs saving.
 */
    .option norelax
    .text
    .globl _start
_start:
    ld      a0, 0(sp)
    addi    a1, sp, 8
    andi    sp, sp, -16
    tail    harness_main

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

    /* What the C caller wants back, onto its stack; sp itself is the user's to keep. */
    .macro  push_callee_saved
    addi    sp, sp, -128
    sd      ra, 0(sp)
    sd      gp, 8(sp)
    sd      tp, 16(sp)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    sd      s\n, 24 + 8 * \n(sp)
    .endr
    .endm

    .macro  pop_callee_saved
    ld      ra, 0(sp)
    ld      gp, 8(sp)
    ld      tp, 16(sp)
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11
    ld      s\n, 24 + 8 * \n(sp)
    .endr
    addi    sp, sp, 128
    .endm

    /* f0 to f31, fcsr and x1 to x29, each from its offset to x31. */
    .macro  load_state x, f, fcsr
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld     f\n, \f + 8 * \n(x31)
    .endr
    ld      x1, \fcsr(x31)
    fscsr   x1
    .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    ld      x\n, \x + 8 * \n(x31)
    .endr
    .endm

    /* x1 to x28, f0 to f31 and fcsr; leaves fcsr 0 and changes x1. */
    .macro  store_state x, f, fcsr
    .irp    n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28
    sd      x\n, \x + 8 * \n(x31)
    .endr
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd     f\n, \f + 8 * \n(x31)
    .endr
    frcsr   x1
    sd      x1, \fcsr(x31)
    fscsr   x0
    .endm
