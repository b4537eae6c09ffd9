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

#include "ir-rebuild.h"
#include "opt/opt.h"
#include "random-unit.h"
#include "test-guest.h"
#include "util/arena.h"

static RandomUnitState first_state, reference, result;
static Arena arena;
static IRInterp interp;

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
    random_unit_interpret(&interp, f, &first_state, &result);
    if (memcmp(&reference.exit, &result.exit, sizeof result.exit) ||
        reference.env.pc != result.env.pc) {
        fail(seed, how, "left another way", f);
    }
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        if (reference.env.reg[i] != result.env.reg[i]) {
            fail(seed, how, test_guest.regs[i].name, f);
        }
    }
    if (memcmp(reference.mem, result.mem, RANDOM_UNIT_MEMORY)) {
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

static void check_seed(uint64_t seed)
{
    IRFunc f;
    IRRandomOptions o = random_unit_options(seed, 4);
    arena_reset(&arena);
    memset(&first_state, 0, sizeof first_state);
    random_unit_fill_state(seed, &first_state);
    o.no_fold = true;
    ir_random_func(&f, &test_guest, &arena, seed, &o);
    const char *wrong = ir_verify(&f);
    if (wrong) {
        fail(seed, "as made", wrong, &f);
    }
    random_unit_interpret(&interp, &f, &first_state, &reference);
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
