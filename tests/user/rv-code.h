/*
 * Emitting RISC-V code into memory: a handful of encoders (the unprivileged
 * manual's chapter "RV32/64G instruction set listings"), and the two ways a
 * program makes written code visible.
 */
#ifndef RV_CODE_H
#define RV_CODE_H

#ifndef __riscv
#error "this test contains RISC-V code: test-native must be no"
#endif

#include "test.h"

enum { ZERO = 0, RA = 1, SP = 2, T0 = 5, T1 = 6, T2 = 7, A0 = 10, A1 = 11, A2 = 12 };

typedef long CodeFn(void);
typedef long CodeFn1(long);

static inline uint32_t rv_addi(int rd, int rs1, int imm)
{
    return (uint32_t)(imm & 0xfff) << 20 | (uint32_t)rs1 << 15 | (uint32_t)rd << 7 | 0x13;
}

static inline uint32_t rv_add(int rd, int rs1, int rs2)
{
    return (uint32_t)rs2 << 20 | (uint32_t)rs1 << 15 | (uint32_t)rd << 7 | 0x33;
}

static inline uint32_t rv_lui(int rd, uint32_t imm20)
{
    return imm20 << 12 | (uint32_t)rd << 7 | 0x37;
}

/* width: 0 byte, 1 half, 2 word, 3 double; signed */
static inline uint32_t rv_load(int width, int rd, int rs1, int imm)
{
    return (uint32_t)(imm & 0xfff) << 20 | (uint32_t)rs1 << 15 | (uint32_t)width << 12 |
           (uint32_t)rd << 7 | 0x03;
}

static inline uint32_t rv_store(int width, int rs2, int rs1, int imm)
{
    return (uint32_t)(imm >> 5 & 0x7f) << 25 | (uint32_t)rs2 << 20 | (uint32_t)rs1 << 15 |
           (uint32_t)width << 12 | (uint32_t)(imm & 31) << 7 | 0x23;
}

static inline uint32_t rv_jal(int rd, int32_t offset)
{
    uint32_t o = (uint32_t)offset;

    return (o >> 20 & 1) << 31 | (o >> 1 & 0x3ff) << 21 | (o >> 11 & 1) << 20 |
           (o >> 12 & 0xff) << 12 | (uint32_t)rd << 7 | 0x6f;
}

static inline uint32_t rv_jalr(int rd, int rs1, int imm)
{
    return (uint32_t)(imm & 0xfff) << 20 | (uint32_t)rs1 << 15 | (uint32_t)rd << 7 | 0x67;
}

/* bne rs1, rs2, offset */
static inline uint32_t rv_bne(int rs1, int rs2, int32_t offset)
{
    uint32_t o = (uint32_t)offset;

    return (o >> 12 & 1) << 31 | (o >> 5 & 0x3f) << 25 | (uint32_t)rs2 << 20 |
           (uint32_t)rs1 << 15 | 1u << 12 | (o >> 1 & 0xf) << 8 | (o >> 11 & 1) << 7 |
           0x63;
}

#define RV_NOP 0x00000013u
#define RV_RET 0x00008067u
#define RV_FENCE_I 0x0000100fu
#define RV_EBREAK 0x00100073u

/* Instructions are written as two halves: they need only 2-byte alignment. */
static inline void rv_put(void *at, uint32_t insn)
{
    uint16_t halves[2] = { (uint16_t)insn, (uint16_t)(insn >> 16) };

    memcpy(at, halves, 4);
}

/* One aligned store, for code that others may be executing. */
static inline void rv_patch(uint32_t *at, uint32_t insn)
{
    __atomic_store_n(at, insn, __ATOMIC_RELAXED);
}

/* Function at `code`: return `value` (-2048 … 2047). */
static inline void rv_put_return(void *code, int value)
{
    rv_put(code, rv_addi(A0, ZERO, value));
    rv_put((char *)code + 4, RV_RET);
}

/* This hart only. */
static inline void fence_i(void)
{
    __asm__ volatile("fence.i" ::: "memory");
}

/* All threads of the process: the system call riscv_flush_icache. */
static inline void flush_icache_all(void *from, void *to)
{
    CHECK_ERRNO(syscall(259, from, to, 0) == 0);
}

static inline long call_code(void *code)
{
    CodeFn *fn;

    memcpy(&fn, &code, sizeof(fn));
    return fn();
}

static inline long call_code1(void *code, long arg)
{
    CodeFn1 *fn;

    memcpy(&fn, &code, sizeof(fn));
    return fn(arg);
}

#endif
