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
#include "ir-gen.h"
#include "ir/interp.h"
#include "opt/opt.h"
#include "test-guest.h"

#define MEM_SIZE 1024
#define DENORMAL_FLAG 2u /* MXCSR: tells nothing the guest can see */

typedef struct State {
    HostEnv env;
    HostExit exit;
    uint8_t mem[MEM_SIZE] __attribute__((aligned(64)));
} State;

static uint8_t memory[MEM_SIZE] __attribute__((aligned(64)));
static State first_state, reference, result;
static Arena arena;
static IRInterp interp;
static unsigned too_complex, compiled;
static const char *stage;

static void random_state(uint64_t seed, State *s)
{
    uint64_t rng = seed ^ 0x5555;
    memset(s, 0, sizeof *s);
    s->env = *env;
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        s->env.reg[i] = ir_random_value(&rng, test_guest.regs[i].type);
        if (test_guest.regs[i].type == IR_F64 && (rng & 1)) {
            s->env.reg[i] = UINT64_C(0xffffffff00000000) | ir_random_value(&rng, IR_F32);
        }
    }
    s->env.reg[TEST_GUEST_INTS - 1] = 1 + seed % 3;
    s->env.fp_state = 0x1f80 | (uint32_t)(seed & 3) << 13;
    s->env.exit_request = seed % 5 == 0;
    s->env.insns_left = seed % 11 == 0 ? 3 : 100000;
    for (unsigned i = 0; i < MEM_SIZE; i += 8) {
        uint64_t v = ir_random_value(&rng, IR_I64);
        memcpy(s->mem + i, &v, 8);
    }
}

static void run_reference(const IRFunc *f, State *s)
{
    static const IRInterpHooks hooks = { .fault_reason = 90,
                                         .misaligned_reason = MISALIGNED_REASON,
                                         .exclusive_reason = 92 };
    *s = first_state;
    memcpy(memory, s->mem, MEM_SIZE);
    s->exit = ir_interp_run(&interp, f, &s->env, &hooks);
    memcpy(s->mem, memory, MEM_SIZE);
}

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
    memcpy(memory, first_state.mem, MEM_SIZE);
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
    if (memcmp(memory, reference.mem, MEM_SIZE)) {
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

static IRRandomOptions random_options(uint64_t seed)
{
    uint64_t bits = seed * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    return (IRRandomOptions){
        .nins = 4 + (unsigned)(bits % 120),
        .small_ints = bits >> 8 & 1,
        .fp = bits >> 9 & 1,
        .blocks = (bits >> 10 & 7) == 0,
        .calls = bits >> 12 & 1,
        .exits = bits >> 13 & 1,
        .loop = bits >> 14 & 1,
        .mem_base = (uintptr_t)memory,
        .mem_size = bits >> 15 & 1 ? MEM_SIZE : 0,
        .atomics = bits >> 16 & 1,
        .misaligned = bits >> 17 & 1,
        .env_offset = offsetof(HostEnv, stats),
        .env_count = bits >> 18 & 1 ? 4 : 0,
        .no_fold = bits >> 19 & 1,
    };
}

static void check_seed(uint64_t seed, const Variant *v)
{
    IRFunc f;
    IRRandomOptions o = random_options(seed);
    HostConfig config = v->config;
    config.guest = &test_guest;
    harness_host_init(config);
    arena_reset(&arena);
    random_state(seed, &first_state);
    ir_random_func(&f, &test_guest, &arena, seed, &o);
    run_reference(&f, &reference);
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
