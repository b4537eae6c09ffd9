/*
 * Random units are the same program however they are treated: built with and without
 * folding, optimised, printed and read again.  The interpreter runs each from the same
 * state; how they leave, pc, registers, memory, CPU fields and FP flags must agree.
 *
 *   test-equal [FIRST-SEED [COUNT]]
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir-gen.h"
#include "ir-rebuild.h"
#include "ir/interp.h"
#include "opt/opt.h"
#include "test-guest.h"
#include "util/arena.h"

#define MEM_SIZE 1024

typedef struct State {
    HostEnv env;
    HostExit exit;
    uint8_t mem[MEM_SIZE] __attribute__((aligned(64)));
} State;

static uint8_t memory[MEM_SIZE] __attribute__((aligned(64)));
static State first_state, reference, result;
static Arena arena;
static IRInterp interp;

static void random_state(uint64_t seed, State *s)
{
    uint64_t rng = seed ^ 0x5555;
    memset(s, 0, sizeof *s);
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

static void run(const IRFunc *f, State *s)
{
    static const IRInterpHooks hooks = { .fault_reason = 90, .misaligned_reason = 91,
                                         .exclusive_reason = 92 };
    *s = first_state;
    memcpy(memory, s->mem, MEM_SIZE);
    s->exit = ir_interp_run(&interp, f, &s->env, &hooks);
    memcpy(s->mem, memory, MEM_SIZE);
}

static void fail(uint64_t seed, const char *how, const char *what, const IRFunc *f)
{
    printf("seed %" PRIu64 ", %s: %s\n", seed, how, what);
    ir_print(stdout, f);
    puts("0 passed, 1 failed");
    exit(1);
}

static void compare(uint64_t seed, const char *how, const IRFunc *f)
{
    const char *wrong = ir_verify(f);
    if (wrong) {
        fail(seed, how, wrong, f);
    }
    run(f, &result);
    if (memcmp(&reference.exit, &result.exit, sizeof result.exit) ||
        reference.env.pc != result.env.pc) {
        fail(seed, how, "left another way", f);
    }
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        if (reference.env.reg[i] != result.env.reg[i]) {
            fail(seed, how, test_guest.regs[i].name, f);
        }
    }
    if (memcmp(reference.mem, result.mem, MEM_SIZE)) {
        fail(seed, how, "memory", f);
    }
    if (reference.env.fp_state != result.env.fp_state) {
        fail(seed, how, "floating-point state", f);
    }
    if (reference.env.insns_left != result.env.insns_left) {
        fail(seed, how, "instructions left", f);
    }
    if (memcmp(reference.env.stats, result.env.stats, sizeof result.env.stats)) {
        fail(seed, how, "fields", f);
    }
}

static char *print_to_text(const IRFunc *f)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ir_print(out, f);
    fclose(out);
    return text;
}

/* Reading what was printed gives the same program, and the same text. */
static void check_round_trip(uint64_t seed, const char *how, const IRFunc *f)
{
    char err[200];
    IRFunc copy;
    char *text = print_to_text(f);
    if (!ir_parse(&copy, &test_guest, &arena, text, err, sizeof err)) {
        fail(seed, how, err, f);
    }
    char *again = print_to_text(&copy);
    if (strcmp(text, again) != 0) {
        puts(again);
        fail(seed, how, "reads as another text", f);
    }
    compare(seed, how, &copy);
    free(text);
    free(again);
}

static IRRandomOptions random_options(uint64_t seed)
{
    uint64_t bits = seed * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    return (IRRandomOptions){
        .nins = 4 + (unsigned)(bits % 120),
        .small_ints = bits >> 8 & 1,
        .fp = bits >> 9 & 1,
        .blocks = (bits >> 10 & 3) == 0,
        .calls = bits >> 12 & 1,
        .exits = bits >> 13 & 1,
        .loop = bits >> 14 & 1,
        .mem_base = (uintptr_t)memory,
        .mem_size = bits >> 15 & 1 ? MEM_SIZE : 0,
        .atomics = bits >> 16 & 1,
        .misaligned = bits >> 17 & 1,
        .env_offset = offsetof(HostEnv, stats),
        .env_count = bits >> 18 & 1 ? 4 : 0,
    };
}

static void check_seed(uint64_t seed)
{
    IRFunc f;
    IRRandomOptions o = random_options(seed);
    arena_reset(&arena);
    random_state(seed, &first_state);
    o.no_fold = true;
    ir_random_func(&f, &test_guest, &arena, seed, &o);
    const char *wrong = ir_verify(&f);
    if (wrong) {
        fail(seed, "as made", wrong, &f);
    }
    run(&f, &reference);
    check_round_trip(seed, "as made, read again", &f);
    opt_forward(&f);
    compare(seed, "not folded, forward", &f);
    opt_run(&f, 1);
    compare(seed, "not folded, optimised", &f);
    check_round_trip(seed, "optimised, read again", &f);
    o.no_fold = false;
    ir_random_func(&f, &test_guest, &arena, seed, &o);
    compare(seed, "folded", &f);
    ir_rebuild(&f);
    compare(seed, "folded twice", &f);
    opt_run(&f, 1);
    compare(seed, "folded, optimised", &f);
    ir_rebuild(&f);
    opt_run(&f, 1);
    compare(seed, "folded, optimised, folded, optimised", &f);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 4000;
    arena_init(&arena, 0);
    for (uint64_t seed = first; seed < first + count; seed++) {
        check_seed(seed);
    }
    printf("%" PRIu64 " passed, 0 failed\n", count);
    ir_interp_destroy(&interp);
    arena_destroy(&arena);
    return 0;
}
