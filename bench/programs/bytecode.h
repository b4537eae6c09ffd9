/*
 * The byte code that both interpreter benchmarks run: a register machine of
 * eight registers and a memory of 256 words, and one program for it: a sieve,
 * then a Collatz walk over the numbers found, then a checksum loop.
 */
#ifndef BENCH_BYTECODE_H
#define BENCH_BYTECODE_H

#include <stdint.h>

typedef enum {
    OP_LOADI, OP_MOVE, OP_ADD, OP_SUB, OP_MUL, OP_AND, OP_XOR, OP_SHR,
    OP_ADDI, OP_LOAD, OP_STORE, OP_JLT, OP_JEQ, OP_JMP, OP_HALT,
} Opcode;

/* a is the destination, or the first operand of a jump; imm is also the target. */
typedef struct {
    uint8_t op, a, b, c;
    int32_t imm;
} Insn;

#define R(op, a, b, c) { OP_##op, a, b, c, 0 }
#define I(op, a, b, imm) { OP_##op, a, b, 0, imm }

/* r0 = result, r7 = limit (set by the caller) */
static const Insn bytecode_program[] = {
    /*  0 */ I(LOADI, 0, 0, 0),
    /*  1 */ I(LOADI, 1, 0, 2),
    /* sieve: mark multiples of r1 */
    /*  2 */ R(ADD, 2, 1, 1),
    /*  3 */ I(JLT, 2, 7, 5),
    /*  4 */ I(JMP, 0, 0, 9),
    /*  5 */ I(LOADI, 3, 0, 1),
    /*  6 */ R(STORE, 3, 2, 0),
    /*  7 */ R(ADD, 2, 2, 1),
    /*  8 */ I(JLT, 2, 7, 6),
    /*  9 */ I(ADDI, 1, 1, 1),
    /* 10 */ I(JLT, 1, 7, 2),
    /* walk: for each unmarked n, count the Collatz steps down to 1 */
    /* 11 */ I(LOADI, 1, 0, 2),
    /* 12 */ R(LOAD, 3, 1, 0),
    /* 13 */ I(LOADI, 4, 0, 0),
    /* 14 */ I(JLT, 4, 3, 27),
    /* 15 */ R(MOVE, 5, 1, 0),
    /* 16 */ I(LOADI, 6, 0, 1),
    /* 17 */ I(JEQ, 5, 6, 27),
    /* 18 */ R(AND, 3, 5, 6),
    /* 19 */ I(JEQ, 3, 6, 22),
    /* 20 */ R(SHR, 5, 5, 6),
    /* 21 */ I(JMP, 0, 0, 25),
    /* 22 */ R(ADD, 3, 5, 5),
    /* 23 */ R(ADD, 5, 3, 5),
    /* 24 */ I(ADDI, 5, 5, 1),
    /* 25 */ I(ADDI, 0, 0, 1),
    /* 26 */ I(JMP, 0, 0, 17),
    /* 27 */ I(ADDI, 1, 1, 1),
    /* 28 */ I(JLT, 1, 7, 12),
    /* checksum */
    /* 29 */ I(LOADI, 1, 0, 2),
    /* 30 */ I(LOADI, 4, 0, 31),
    /* 31 */ R(LOAD, 3, 1, 0),
    /* 32 */ R(MUL, 0, 0, 4),
    /* 33 */ R(XOR, 0, 0, 3),
    /* 34 */ R(SUB, 0, 0, 1),
    /* 35 */ I(ADDI, 1, 1, 1),
    /* 36 */ I(JLT, 1, 7, 31),
    /* 37 */ I(HALT, 0, 0, 0),
};

#undef R
#undef I

#endif
