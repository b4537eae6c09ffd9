/*
 * How long the middle of a translation takes: building IR for a superblock of guest
 * instructions in the mix of compiled integer code, then optimising it.
 *
 *   bench-build [ROUNDS]      prints nanoseconds for each guest instruction
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ir/gen.h"
#include "opt/opt.h"
#include "test-guest.h"
#include "util/arena.h"

#define GROUPS 12   /* of 8 guest instructions */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ld, addi, add, addw, sd, slli, andi, bne */
static void group(IRBuilder *b, unsigned g)
{
    uint64_t pc = 0x1000 + 32 * g;
    unsigned d = g % 8, s = (g + 3) % 8;
    IRRef v = ir_gen_ld(b, ir_snapshot(b, pc), IR_I64, MO_64, ir_get_reg(b, s), 16);
    ir_put_reg(b, d, v);
    ir_put_reg(b, s, ir_gen_add(b, ir_get_reg(b, s), ir_const(b, IR_I64, 8)));
    ir_put_reg(b, 9, ir_gen_add(b, ir_get_reg(b, d), ir_get_reg(b, 9)));
    IRRef w = ir_gen_add(b, ir_gen_trunc(b, IR_I32, ir_get_reg(b, d)),
                         ir_gen_trunc(b, IR_I32, ir_get_reg(b, 10)));
    ir_put_reg(b, 10, ir_gen_sext(b, IR_I64, w));
    ir_gen_st(b, ir_snapshot(b, pc + 16), MO_64, ir_get_reg(b, 11), 8 * (int64_t)g,
              ir_get_reg(b, 10));
    ir_put_reg(b, 12, ir_gen_shl(b, ir_get_reg(b, 9), ir_const(b, IR_I64, 3)));
    ir_put_reg(b, 13, ir_gen_and(b, ir_get_reg(b, 12), ir_const(b, IR_I64, 0xff)));
    ir_gen_exitif(b, ir_snapshot(b, pc + 0x1000), IR_NE, ir_get_reg(b, 13),
                  ir_get_reg(b, d));
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 20000;
    double build = 0, opt = 0;
    Arena arena;
    arena_init(&arena, 256 << 10);
    for (unsigned i = 0; i < rounds; i++) {
        IRFunc f;
        IRBuilder b;
        arena_reset(&arena);
        double t0 = now();
        ir_func_init(&f, &test_guest, &arena, 0x1000);
        ir_builder_init(&b, &f);
        for (unsigned g = 0; g < GROUPS; g++) {
            group(&b, g);
        }
        ir_gen_exit(&b, ir_snapshot(&b, 0x9000), IR_EXIT_JUMP, 0);
        ir_func_finish(&b);
        double t1 = now();
        opt_run(&f, 1);
        build += t1 - t0;
        opt += now() - t1;
    }
    double n = 8.0 * GROUPS * rounds;
    printf("build %.1f ns, optimise %.1f ns for each guest instruction\n", build / n,
           opt / n);
    arena_destroy(&arena);
    return 0;
}
