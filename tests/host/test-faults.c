/*
 * Precise state at faults: random units whose accesses meet a page that is not there or
 * must not be written.  Compiled code takes the signal, recovers and leaves; the
 * interpreter asks before each access.  Both must be left with the same registers, pc and
 * memory.
 *
 *   test-faults [FIRST-SEED [COUNT [VARIANT]]]
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "harness.h"
#include "ir-gen.h"
#include "ir/interp.h"
#include "opt/opt.h"
#include "test-guest.h"

#define PAGE 4096u
#define MEM_SIZE (4 * PAGE) /* random units use the first half and a little more */
#define DENORMAL_FLAG 2u
enum { FAULT_REASON = 90 };

static uint8_t *memory; /* page 1 is the bad one */
static uint8_t before[MEM_SIZE], expected[MEM_SIZE];
static int bad_page_prot;
static HostEnv first_env, expected_env;
static HostExit expected_exit;
static Arena arena;
static IRInterp interp;
static HostCode code;
static unsigned faults, runs;

/* ---- the interpreter's side ---- */

static bool is_bad(uint64_t addr, unsigned size, bool store)
{
    uint64_t first = addr - (uintptr_t)memory, last = first + size - 1;
    bool touches = last >= PAGE && first < 2 * PAGE;
    return touches && (store || bad_page_prot == PROT_NONE);
}

static bool hook_load(void *opaque, uint64_t addr, unsigned size, uint64_t *val)
{
    if (is_bad(addr, size, false)) {
        return false;
    }
    *val = 0;
    memcpy(val, (const void *)(uintptr_t)addr, size);
    return true;
}

static bool hook_store(void *opaque, uint64_t addr, unsigned size, uint64_t val)
{
    if (is_bad(addr, size, true)) {
        return false;
    }
    memcpy((void *)(uintptr_t)addr, &val, size);
    return true;
}

static void set_memory(void)
{
    mprotect(memory, MEM_SIZE, PROT_READ | PROT_WRITE);
    memcpy(memory, before, MEM_SIZE);
}

static void run_reference(const IRFunc *f)
{
    static const IRInterpHooks hooks = {
        .load = hook_load,
        .store = hook_store,
        .fault_reason = FAULT_REASON,
        .misaligned_reason = MISALIGNED_REASON,
        .exclusive_reason = 0,
    };
    set_memory();
    expected_env = first_env;
    expected_exit = ir_interp_run(&interp, f, &expected_env, &hooks);
    memcpy(expected, memory, MEM_SIZE);
}

/* ---- the compiled side ---- */

static void on_segv(int sig, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    uintptr_t at = (uintptr_t)si->si_addr - (uintptr_t)memory;
    if (at >= MEM_SIZE ||
        !host_recover(env, code.code, code.recovery, code.recovery_size, pc, context)) {
        signal(SIGSEGV, SIG_DFL); /* a fault of our own: let it kill us */
        return;
    }
    faults++;
    HostExit left = { .kind = HOST_EXIT_REASON, .exit = FAULT_REASON };
    host_leave_sigsafe(env, context, left);
}

static void install_handler(void)
{
    static uint8_t stack[65536];
    stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction sa = { .sa_sigaction = on_segv,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaltstack(&alt, NULL);
    sigaction(SIGSEGV, &sa, NULL);
}

static void fail(uint64_t seed, const Variant *v, const char *what, const IRFunc *f,
                 HostExit got)
{
    printf("seed %" PRIu64 ", %s: %s\n", seed, v->name, what);
    ir_print(stdout, f);
    host_disas(stdout, code.code, code.size);
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        printf("%-4s %016" PRIx64 "  expected %016" PRIx64 "  got %016" PRIx64 "%s\n",
               test_guest.regs[i].name, first_env.reg[i], expected_env.reg[i],
               env->reg[i], expected_env.reg[i] != env->reg[i] ? " <--" : "");
    }
    printf("fp state %x, %x; pc %" PRIx64 ", %" PRIx64 "; exit %u.%u, %u.%u\n",
           expected_env.fp_state, env->fp_state, expected_env.pc, env->pc,
           expected_exit.kind, expected_exit.exit, got.kind, got.exit);
    exit(1);
}

static void run_compiled(uint64_t seed, const Variant *v, const IRFunc *f)
{
    HostResult r = harness_try_compile(f, 0, &code);
    if (r == HOST_TOO_COMPLEX) {
        return;
    }
    runs++;
    set_memory();
    mprotect(memory + PAGE, PAGE, bad_page_prot);
    *env = first_env;
    HostExit got = host_enter(env, code.code);
    mprotect(memory, MEM_SIZE, PROT_READ | PROT_WRITE);
    if (got.kind == HOST_EXIT_LINK) {
        got = (HostExit){ .kind = HOST_EXIT_LOOKUP };
    }
    if (got.kind != expected_exit.kind || got.exit != expected_exit.exit ||
        env->pc != expected_env.pc) {
        fail(seed, v, "left another way", f, got);
    }
    if (memcmp(env->reg, expected_env.reg, test_guest.nregs * 8)) {
        fail(seed, v, "registers", f, got);
    }
    if (memcmp(memory, expected, MEM_SIZE)) {
        fail(seed, v, "memory", f, got);
    }
    if ((env->fp_state ^ expected_env.fp_state) & ~DENORMAL_FLAG) {
        fail(seed, v, "floating-point state", f, got);
    }
}

static void check_seed(uint64_t seed, const Variant *v)
{
    uint64_t rng = seed ^ 0x3333, bits = seed * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    HostConfig config = v->config;
    config.guest = &test_guest;
    harness_host_init(config);
    arena_reset(&arena);
    first_env = *env;
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        first_env.reg[i] = ir_random_value(&rng, test_guest.regs[i].type);
    }
    first_env.reg[TEST_GUEST_INTS - 1] = 1 + seed % 3;
    first_env.fp_state = host_fp_init();
    first_env.exit_request = 0;
    for (unsigned i = 0; i < MEM_SIZE; i += 8) {
        uint64_t x = ir_random_value(&rng, IR_I64);
        memcpy(before + i, &x, 8);
    }
    IRRandomOptions o = {
        .nins = 10 + (unsigned)(bits % 100),
        .fp = bits >> 9 & 1,
        .calls = bits >> 12 & 1,
        .exits = bits >> 13 & 1,
        .loop = bits >> 14 & 1,
        .mem_base = (uintptr_t)memory,
        .mem_size = MEM_SIZE,
        .atomics = bits >> 16 & 1,
        .misaligned = bits >> 17 & 1,
    };
    /* A compare-and-swap that fails writes on the host, not in the interpreter. */
    bad_page_prot = o.atomics || (bits >> 18 & 1) ? PROT_NONE : PROT_READ;
    IRFunc f;
    ir_random_func(&f, &test_guest, &arena, seed, &o);
    opt_run(&f, 1);
    run_reference(&f);
    run_compiled(seed, v, &f);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 5000;
    arena_init(&arena, 0);
    harness_init();
    memory =
        mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    install_handler();
    for (uint64_t seed = first; seed < first + count; seed++) {
        check_seed(seed,
                   &variants[argc > 3 ? (unsigned)atoi(argv[3]) : seed % n_variants]);
    }
    printf("%u runs, %u faults\n", runs, faults);
    ir_interp_destroy(&interp);
    arena_destroy(&arena);
    return faults < runs / 10;
}
