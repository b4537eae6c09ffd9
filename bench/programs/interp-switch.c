/*
 * A byte code interpreter with one switch: every instruction of the program
 * goes through the same indirect jump.
 *
 * bench-class: integer
 * bench-args: 18000
 * bench-quick: 1800
 */
#include "bench.h"
#include "bytecode.h"

static __attribute__((noinline)) uint64_t run(const Insn *program, uint64_t limit)
{
    uint64_t r[8] = { 0 }, memory[256] = { 0 };
    const Insn *pc = program;

    r[7] = limit;
    for (;;) {
        const Insn *insn = pc++;

        switch (insn->op) {
        case OP_LOADI:
            r[insn->a] = (uint64_t)(int64_t)insn->imm;
            break;
        case OP_MOVE:
            r[insn->a] = r[insn->b];
            break;
        case OP_ADD:
            r[insn->a] = r[insn->b] + r[insn->c];
            break;
        case OP_SUB:
            r[insn->a] = r[insn->b] - r[insn->c];
            break;
        case OP_MUL:
            r[insn->a] = r[insn->b] * r[insn->c];
            break;
        case OP_AND:
            r[insn->a] = r[insn->b] & r[insn->c];
            break;
        case OP_XOR:
            r[insn->a] = r[insn->b] ^ r[insn->c];
            break;
        case OP_SHR:
            r[insn->a] = r[insn->b] >> (r[insn->c] & 63);
            break;
        case OP_ADDI:
            r[insn->a] = r[insn->b] + (uint64_t)(int64_t)insn->imm;
            break;
        case OP_LOAD:
            r[insn->a] = memory[r[insn->b] & 255];
            break;
        case OP_STORE:
            memory[r[insn->b] & 255] = r[insn->a];
            break;
        case OP_JLT:
            if (r[insn->a] < r[insn->b]) {
                pc = program + insn->imm;
            }
            break;
        case OP_JEQ:
            if (r[insn->a] == r[insn->b]) {
                pc = program + insn->imm;
            }
            break;
        case OP_JMP:
            pc = program + insn->imm;
            break;
        default:
            return r[0];
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 1200), sum = 0;

    for (uint64_t i = 0; i < iterations; i++) {
        sum = bench_mix(sum, run(bytecode_program, 200 + i % 50));
    }
    return bench_report("interp", sum);
}
