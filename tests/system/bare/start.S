/*
 * Start of a bare-metal test, the way down to a lower mode and back.
 *
 * mscratch holds the hart's Area (bare.h) whenever run_in() may be trapped out of.
 */
#define AREA_SIZE 512
#define A0 128
#define CAUSE 136
#define EPC 144
#define TVAL 152
#define STATUS 160
#define A1 168

    .section .text.start
    .globl _start
_start:
    csrr t0, mhartid
    li t1, AREA_SIZE
    mul t1, t0, t1
    la t2, areas
    add t2, t2, t1
    csrw mscratch, t2
    la t1, m_trap
    csrw mtvec, t1
    addi t1, t0, 1
    slli t1, t1, 14             /* 16 KiB of stack each */
    la sp, stacks
    add sp, sp, t1
    bnez t0, secondary
    call main
    j finish

/* Others: wait for a software interrupt, then call what start_hart() left. */
secondary:
    li t1, 8
    csrw mie, t1
1:  wfi
    csrr t1, mip
    andi t1, t1, 8
    beqz t1, 1b
    csrr t0, mhartid
    slli t1, t0, 2
    li t2, 0x2000000
    add t1, t1, t2
    sw zero, 0(t1)
    csrw mie, zero
    fence
    csrr a0, mhartid
    la t1, hart_main
    ld t1, 0(t1)
    jalr t1
2:  wfi
    j 2b

/* finish(code): 0 passes */
    .globl finish
finish:
    li t0, 0x100000
    li t1, 0x5555
    beqz a0, 1f
    slli a0, a0, 16
    li t1, 0x3333
    or t1, t1, a0
1:  sw t1, 0(t0)
    j 1b

/* const Area *run_in(mode, fn, a0, a1): call fn(a0, a1) in that mode until it traps to M-mode */
    .globl run_in
run_in:
    csrr t0, mscratch
    sd ra, 0(t0)
    sd sp, 8(t0)
    sd gp, 16(t0)
    sd tp, 24(t0)
    sd s0, 32(t0)
    sd s1, 40(t0)
    sd s2, 48(t0)
    sd s3, 56(t0)
    sd s4, 64(t0)
    sd s5, 72(t0)
    sd s6, 80(t0)
    sd s7, 88(t0)
    sd s8, 96(t0)
    sd s9, 104(t0)
    sd s10, 112(t0)
    sd s11, 120(t0)
    li t1, 3 << 11
    csrc mstatus, t1
    slli a0, a0, 11
    csrs mstatus, a0
    csrw mepc, a1
    mv a0, a2
    mv a1, a3
    la ra, returned
    mret

/* fn() came back: as if it had called the system with its result. */
returned:
    ecall

    .balign 4
    .globl m_trap
m_trap:
    csrrw t0, mscratch, t0
    sd a0, A0(t0)
    sd a1, A1(t0)
    csrr a0, mcause
    sd a0, CAUSE(t0)
    csrr a0, mepc
    sd a0, EPC(t0)
    csrr a0, mtval
    sd a0, TVAL(t0)
    csrr a0, mstatus
    sd a0, STATUS(t0)
    csrw mscratch, t0
    ld ra, 0(t0)
    ld sp, 8(t0)
    ld gp, 16(t0)
    ld tp, 24(t0)
    ld s0, 32(t0)
    ld s1, 40(t0)
    ld s2, 48(t0)
    ld s3, 56(t0)
    ld s4, 64(t0)
    ld s5, 72(t0)
    ld s6, 80(t0)
    ld s7, 88(t0)
    ld s8, 96(t0)
    ld s9, 104(t0)
    ld s10, 112(t0)
    ld s11, 120(t0)
    mv a0, t0
    ret

/* A vector for S-mode that hands everything on to M-mode. */
    .balign 256
    .globl s_vector
s_vector:
    .rept 16
    j s_trap                    /* its number is in s_entry */
    .balign 4
    .endr
s_trap:
    ecall

/* The same, with the number of the entry in a1. */
    .balign 256
    .globl s_vector_numbered
s_vector_numbered:
    .option push
    .option norvc
    .set n, 0
    .rept 16
    j s_number + 8 * n
    .set n, n + 1
    .endr
s_number:
    .set n, 0
    .rept 16
    li a1, n
    ecall
    .set n, n + 1
    .endr
    .option pop

    .bss
    .balign 4096
    .globl areas
areas:
    .space AREA_SIZE * 16
    .balign 16
stacks:
    .space 16384 * 17
