/*
 * The same byte code as interp-switch.c with computed goto: an indirect jump of
 * its own at the end of every operation.
 *
 * bench-class: integer
 * bench-args: 24000
 * bench-quick: 2400
 */
#include "bench.h"
#include "bytecode.h"

#define NEXT() do { insn = pc++; goto *labels[insn->op]; } while (0)

static __attribute__((noinline)) uint64_t run(const Insn *program, uint64_t limit)
{
    static const void *const labels[] = {
        [OP_LOADI] = &&loadi, [OP_MOVE] = &&move, [OP_ADD] = &&add, [OP_SUB] = &&sub,
        [OP_MUL] = &&mul, [OP_AND] = &&and, [OP_XOR] = &&xor, [OP_SHR] = &&shr,
        [OP_ADDI] = &&addi, [OP_LOAD] = &&load, [OP_STORE] = &&store, [OP_JLT] = &&jlt,
        [OP_JEQ] = &&jeq, [OP_JMP] = &&jmp, [OP_HALT] = &&halt,
    };
    uint64_t r[8] = { 0 }, memory[256] = { 0 };
    const Insn *pc = program, *insn;

    r[7] = limit;
    NEXT();
loadi:
    r[insn->a] = (uint64_t)(int64_t)insn->imm;
    NEXT();
move:
    r[insn->a] = r[insn->b];
    NEXT();
add:
    r[insn->a] = r[insn->b] + r[insn->c];
    NEXT();
sub:
    r[insn->a] = r[insn->b] - r[insn->c];
    NEXT();
mul:
    r[insn->a] = r[insn->b] * r[insn->c];
    NEXT();
and:
    r[insn->a] = r[insn->b] & r[insn->c];
    NEXT();
xor:
    r[insn->a] = r[insn->b] ^ r[insn->c];
    NEXT();
shr:
    r[insn->a] = r[insn->b] >> (r[insn->c] & 63);
    NEXT();
addi:
    r[insn->a] = r[insn->b] + (uint64_t)(int64_t)insn->imm;
    NEXT();
load:
    r[insn->a] = memory[r[insn->b] & 255];
    NEXT();
store:
    memory[r[insn->b] & 255] = r[insn->a];
    NEXT();
jlt:
    if (r[insn->a] < r[insn->b]) {
        pc = program + insn->imm;
    }
    NEXT();
jeq:
    if (r[insn->a] == r[insn->b]) {
        pc = program + insn->imm;
    }
    NEXT();
jmp:
    pc = program + insn->imm;
    NEXT();
halt:
    return r[0];
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 1200), sum = 0;

    for (uint64_t i = 0; i < iterations; i++) {
        sum = bench_mix(sum, run(bytecode_program, 200 + i % 50));
    }
    return bench_report("interp", sum);
}
