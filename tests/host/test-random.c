/*
 * Random units as compiled code and in the interpreter, from the same state: how they
 * leave, pc, registers, memory, CPU fields and FP state must agree.  Each seed runs under
 * one set of host features and options, in turn, as built and optimised.
 *
 *   test-random [FIRST-SEED [COUNT [VARIANT]]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "opt/opt.h"
#include "random-unit.h"
#include "test-guest.h"

#define DENORMAL_FLAG 2u /* MXCSR: tells nothing the guest can see */

static RandomUnitState first_state, reference, result;
static Arena arena;
static IRInterp interp;
static unsigned too_complex, compiled;
static const char *stage;
_Static_assert((int)RANDOM_UNIT_MISALIGNED == (int)MISALIGNED_REASON, "both leave for the same reason");

static void fail(uint64_t seed, const Variant *v, const char *what, const IRFunc *f,
                 const HostCode *code)
{
    printf("seed %" PRIu64 ", %s, %s: %s\n", seed, stage, v->name, what);
    ir_print(stdout, f);
    if (code) {
        host_disas(stdout, code->code, code->size);
    }
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        printf("%-4s %016" PRIx64 "  expected %016" PRIx64 "  got %016" PRIx64 "%s\n",
               test_guest.regs[i].name, first_state.env.reg[i], reference.env.reg[i],
               result.env.reg[i],
               reference.env.reg[i] != result.env.reg[i] ? " <--" : "");
    }
    printf("fp state %x, expected %x, got %x; pc %" PRIx64 ", %" PRIx64
           "; exit %u.%u, %u.%u\n",
           first_state.env.fp_state, reference.env.fp_state, result.env.fp_state,
           reference.env.pc, result.env.pc, reference.exit.kind, reference.exit.exit,
           result.exit.kind, result.exit.exit);
    exit(1);
}

static void run_compiled(uint64_t seed, const Variant *v, const IRFunc *f)
{
    HostCode code;
    HostResult r = harness_try_compile(f, seed % 64 * 16, &code);
    if (r == HOST_TOO_COMPLEX) {
        too_complex++;
        return;
    }
    if (r != HOST_OK) {
        fail(seed, v, "not compiled", f, NULL);
    }
    compiled++;
    *env = first_state.env;
    memcpy(random_unit_memory, first_state.mem, RANDOM_UNIT_MEMORY);
    result.exit = host_enter(env, code.code);
    result.env = *env;
    if (result.exit.kind == HOST_EXIT_LINK) {
        if (result.exit.unit != UNIT_ID || result.exit.exit >= code.nexits ||
            code.exits[result.exit.exit].pc != env->pc) {
            fail(seed, v, "wrong exit number", f, &code);
        }
        result.exit = (HostExit){ .kind = HOST_EXIT_LOOKUP };
    }
    if (result.exit.kind != reference.exit.kind ||
        result.exit.exit != reference.exit.exit || result.env.pc != reference.env.pc) {
        fail(seed, v, "left another way", f, &code);
    }
    if (memcmp(result.env.reg, reference.env.reg, test_guest.nregs * 8)) {
        fail(seed, v, "registers", f, &code);
    }
    if (memcmp(random_unit_memory, reference.mem, RANDOM_UNIT_MEMORY)) {
        fail(seed, v, "memory", f, &code);
    }
    if (result.env.insns_left != reference.env.insns_left) {
        fail(seed, v, "instructions left", f, &code);
    }
    if ((result.env.fp_state ^ reference.env.fp_state) & ~DENORMAL_FLAG) {
        fail(seed, v, "floating-point state", f, &code);
    }
    if (memcmp(result.env.stats, reference.env.stats, sizeof result.env.stats)) {
        fail(seed, v, "fields", f, &code);
    }
}

static void check_seed(uint64_t seed, const Variant *v)
{
    IRFunc f;
    IRRandomOptions o = random_unit_options(seed, 8);
    HostConfig config = v->config;
    config.guest = &test_guest;
    harness_host_init(config);
    arena_reset(&arena);
    memset(&first_state, 0, sizeof first_state);
    first_state.env = *env;
    random_unit_fill_state(seed, &first_state);
    ir_random_func(&f, &test_guest, &arena, seed, &o);
    random_unit_interpret(&interp, &f, &first_state, &reference);
    stage = "as built";
    run_compiled(seed, v, &f);
    opt_run(&f, 1);
    stage = "optimised";
    run_compiled(seed, v, &f);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 7000;
    arena_init(&arena, 0);
    harness_init();
    for (uint64_t seed = first; seed < first + count; seed++) {
        check_seed(seed,
                   &variants[argc > 3 ? (unsigned)atoi(argv[3]) : seed % n_variants]);
    }
    printf("%u compiled, %u too complex\n", compiled, too_complex);
    ir_interp_destroy(&interp);
    arena_destroy(&arena);
    return compiled == 0;
}
