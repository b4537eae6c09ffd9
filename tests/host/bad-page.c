/* SPDX-License-Identifier: MIT
 *
 * bad-page.h's part: makes a unit, runs the reference, compares.
 */
#include "bad-page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ir/interp.h"
#include "opt/opt.h"
#include "test-guest.h"

#define DENORMAL_FLAG 2u

BadPage bp;
static Arena arena;
static IRInterp interp;

void bad_page_init(uint64_t base)
{
    arena_init(&arena, 0);
    harness_init();
    bp.memory =
        mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bp.memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    bp.base = base ? base : (uintptr_t)bp.memory;
}

static bool forbids(uint64_t addr, unsigned size, bool store)
{
    uint64_t first = addr - bp.base, last = first + size - 1;
    bool touches = last >= PAGE && first < 2 * PAGE;
    return touches && (store || bp.prot == PROT_NONE);
}

bool bad_page_load(void *opaque, uint64_t addr, unsigned size, uint64_t *val)
{
    bp.crossings += (addr ^ (addr + size - 1)) / PAGE != 0;
    if (forbids(addr, size, false)) {
        return false;
    }
    *val = 0;
    memcpy(val, bp.memory + (addr - bp.base), size);
    return true;
}

bool bad_page_store(void *opaque, uint64_t addr, unsigned size, uint64_t val)
{
    bp.crossings += (addr ^ (addr + size - 1)) / PAGE != 0;
    if (forbids(addr, size, true)) {
        return false;
    }
    memcpy(bp.memory + (addr - bp.base), &val, size);
    return true;
}

static void run_reference(const IRFunc *f)
{
    static const IRInterpHooks hooks = {
        .load = bad_page_load,
        .store = bad_page_store,
        .fault_reason = FAULT_REASON,
        .misaligned_reason = MISALIGNED_REASON,
        .exclusive_reason = 0,
    };
    memcpy(bp.memory, bp.before, MEM_SIZE);
    bp.expected = bp.first;
    bp.expected_exit = ir_interp_run(&interp, f, &bp.expected, &hooks);
    memcpy(bp.expected_memory, bp.memory, MEM_SIZE);
}

void bad_page_make_unit(IRFunc *f, uint64_t seed, HostConfig config)
{
    uint64_t rng = seed ^ 0x3333, bits = seed * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    config.guest = &test_guest;
    harness_host_init(config);
    arena_reset(&arena);
    bp.first = *env;
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        bp.first.reg[i] = ir_random_value(&rng, test_guest.regs[i].type);
    }
    bp.first.reg[TEST_GUEST_INTS - 1] = 1 + seed % 3;
    bp.first.fp_state = host_fp_init();
    bp.first.exit_request = 0;
    bp.first.insns_left = 100000;
    for (unsigned i = 0; i < MEM_SIZE; i += 8) {
        uint64_t x = ir_random_value(&rng, IR_I64);
        memcpy(bp.before + i, &x, 8);
    }
    IRRandomOptions o = {
        .nins = 10 + (unsigned)(bits % 100),
        .fp = bits >> 9 & 1,
        .calls = bits >> 12 & 1,
        .exits = bits >> 13 & 1,
        .loop = bits >> 14 & 1,
        .mem_base = bp.base,
        .mem_size = MEM_SIZE,
        .atomics = bits >> 16 & 1,
        .misaligned = bits >> 17 & 1,
    };
    /* A compare-and-swap that fails writes on the host, not in the interpreter. */
    bp.prot = o.atomics || (bits >> 18 & 1) ? PROT_NONE : PROT_READ;
    ir_random_func(f, &test_guest, &arena, seed, &o);
    opt_run(f, 1);
    run_reference(f);
}

static void fail(uint64_t seed, const Variant *v, const char *what, const IRFunc *f,
                 HostExit got)
{
    printf("seed %" PRIu64 ", %s: %s\n", seed, v->name, what);
    ir_print(stdout, f);
    host_disas(stdout, bp.code.code, bp.code.size);
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        printf("%-4s %016" PRIx64 "  expected %016" PRIx64 "  got %016" PRIx64 "%s\n",
               test_guest.regs[i].name, bp.first.reg[i], bp.expected.reg[i],
               env->reg[i], bp.expected.reg[i] != env->reg[i] ? " <--" : "");
    }
    printf("fp state %x, %x; pc %" PRIx64 ", %" PRIx64 "; exit %u.%u, %u.%u\n",
           bp.expected.fp_state, env->fp_state, bp.expected.pc, env->pc,
           bp.expected_exit.kind, bp.expected_exit.exit, got.kind, got.exit);
    exit(1);
}

void bad_page_compare(uint64_t seed, const Variant *v, const IRFunc *f, HostExit got)
{
    if (got.kind == HOST_EXIT_LINK) {
        got = (HostExit){ .kind = HOST_EXIT_LOOKUP };
    }
    if (got.kind != bp.expected_exit.kind || got.exit != bp.expected_exit.exit ||
        env->pc != bp.expected.pc) {
        fail(seed, v, "left another way", f, got);
    }
    if (memcmp(env->reg, bp.expected.reg, test_guest.nregs * 8)) {
        fail(seed, v, "registers", f, got);
    }
    if (env->insns_left != bp.expected.insns_left) {
        fail(seed, v, "instructions left", f, got);
    }
    if (memcmp(bp.memory, bp.expected_memory, MEM_SIZE)) {
        fail(seed, v, "memory", f, got);
    }
    if ((env->fp_state ^ bp.expected.fp_state) & ~DENORMAL_FLAG) {
        fail(seed, v, "floating-point state", f, got);
    }
}

void bad_page_run_seeds(int argc, char **argv, void (*check)(uint64_t seed, const Variant *v))
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 5000;
    for (uint64_t seed = first; seed < first + count; seed++) {
        check(seed, &variants[argc > 3 ? (unsigned)atoi(argv[3]) : seed % n_variants]);
    }
    ir_interp_destroy(&interp);
    arena_destroy(&arena);
}
