/*
 * Accesses through the soft TLB: random units whose pages are in the TLB or not, flagged, or
 * must not be touched at all.  Compiled code probes and calls a slow access that fills the
 * line now and then; the interpreter asks hooks.  Both must be left with the same registers, pc
 * and memory, and what was in the TLB must not have been asked for slowly.
 *
 *   test-soft-tlb [FIRST-SEED [COUNT [VARIANT]]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"
#include "ir-gen.h"
#include "ir/interp.h"
#include "opt/opt.h"
#include "test-guest.h"

#define PAGE 4096u
#define MEM_SIZE (4 * PAGE) /* random units use the first half and a little more */
#define DENORMAL_FLAG 2u
enum { FAULT_REASON = 90, MMU_IDX = 5, LINES = 8 };
#define GUEST_BASE UINT64_C(0xffffffe012344000) /* guest address of memory[0] */

static uint8_t *memory; /* page 1 is the bad one */
static uint8_t before[MEM_SIZE], expected[MEM_SIZE];
static int bad_page_prot;
static HostEnv first_env, expected_env;
static HostExit expected_exit;
static Arena arena;
static IRInterp interp;
static HostCode code;
static unsigned faults, runs, slow, wrongly_slow;
static HostTLBEntry lines[LINES] __attribute__((aligned(64)));
static uint64_t rng_slow;

/* ---- the interpreter's side ---- */

static bool is_bad(uint64_t addr, unsigned size, bool store)
{
    uint64_t first = addr - GUEST_BASE, last = first + size - 1;
    bool touches = last >= PAGE && first < 2 * PAGE;
    return touches && (store || bad_page_prot == PROT_NONE);
}

static bool hook_load(void *opaque, uint64_t addr, unsigned size, uint64_t *val)
{
    if (is_bad(addr, size, false)) {
        return false;
    }
    *val = 0;
    memcpy(val, memory + (addr - GUEST_BASE), size);
    return true;
}

static bool hook_store(void *opaque, uint64_t addr, unsigned size, uint64_t val)
{
    if (is_bad(addr, size, true)) {
        return false;
    }
    memcpy(memory + (addr - GUEST_BASE), &val, size);
    return true;
}

static void set_memory(void)
{
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

static void leave(uint32_t reason)
{
    bool ok = host_recover(env, code.code, code.recovery, code.recovery_size, env->helper_return, NULL);
    if (!ok) {
        puts("no recovery entry for a slow access");
        exit(1);
    }
    faults++;
    host_leave_from_helper(env, (HostExit){ .kind = HOST_EXIT_REASON, .exit = reason });
}

static uint64_t next_random(void)
{
    rng_slow = rng_slow * UINT64_C(6364136223846793005) + 1;
    return rng_slow >> 33;
}

/* A line for a page: usable, or flagged in one or both tags. */
static void fill_line(uint64_t page, bool may_flag)
{
    HostTLBEntry *e = &lines[(page >> 12) % LINES];
    uint64_t first = page - GUEST_BASE;
    e->load = e->store = page;
    e->addend = (uintptr_t)memory + first - page;
    if (first == PAGE) {
        e->store |= 0x800;
        e->load |= bad_page_prot == PROT_NONE ? 0x800 : 0;
    }
    if (may_flag && next_random() % 3 == 0) {
        e->load |= 0x10u << next_random() % 8;
    }
    if (may_flag && next_random() % 3 == 0) {
        e->store |= 0x10u << next_random() % 8;
    }
}

/* Would the probe have to hit? */
static bool must_hit(const HostAccess *a, unsigned size)
{
    const HostTLBEntry *e = &lines[(a->addr >> 12) % LINES];
    uint64_t tag = a->op == IR_LD ? e->load : e->store;
    return a->addr >> 12 == (a->addr + size - 1) >> 12 && tag == (a->addr & -(uint64_t)PAGE);
}

static uint64_t amo_result(const HostAccess *a, uint64_t old, unsigned size)
{
    unsigned up = 64 - 8 * size;
    int64_t so = (int64_t)(old << up), sx = (int64_t)(a->val << up);
    switch (a->amo) {
    case IR_AMO_SWAP: return a->val;
    case IR_AMO_ADD: return old + a->val;
    case IR_AMO_AND: return old & a->val;
    case IR_AMO_OR: return old | a->val;
    case IR_AMO_XOR: return old ^ a->val;
    case IR_AMO_MIN: return so < sx ? old : a->val;
    case IR_AMO_MAX: return so > sx ? old : a->val;
    case IR_AMO_MINU: return (uint64_t)so < (uint64_t)sx ? old : a->val;
    default: return (uint64_t)so > (uint64_t)sx ? old : a->val;
    }
}

static uint64_t slow_access(HostEnv *e, const HostAccess *a)
{
    unsigned size = 1u << (a->memop & MO_SIZE);
    uint64_t old = 0, up = 64 - 8 * size;
    slow++;
    if (a->mmu_idx != MMU_IDX) {
        puts("wrong MMU index");
        exit(1);
    }
    if ((a->memop & MO_ALIGN) && (a->addr & (size - 1))) {
        leave(MISALIGNED_REASON);
    }
    wrongly_slow += must_hit(a, size);
    if (a->op != IR_ST && !hook_load(NULL, a->addr, size, &old)) {
        leave(FAULT_REASON);
    }
    uint64_t val = a->op == IR_AMO ? amo_result(a, old, size) : a->op == IR_CAS ? a->val2 : a->val;
    bool store = a->op != IR_LD && (a->op != IR_CAS || old << up == a->val << up);
    if (store && !hook_store(NULL, a->addr, size, val)) {
        leave(FAULT_REASON);
    }
    if (next_random() & 1) {
        fill_line(a->addr & -(uint64_t)PAGE, false);
    }
    /* The C code may change any register that the ABI lets it. */
    __asm__ volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; xor %%esi, %%esi; xor %%edi, %%edi;"
                     "xor %%r8d, %%r8d; xor %%r9d, %%r9d; xor %%r10d, %%r10d; xor %%r11d, %%r11d;"
                     "pxor %%xmm0, %%xmm0; pxor %%xmm3, %%xmm3; pxor %%xmm7, %%xmm7;"
                     "pxor %%xmm8, %%xmm8; pxor %%xmm12, %%xmm12; pxor %%xmm15, %%xmm15" ::
                         : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm3", "xmm7",
                           "xmm8", "xmm12", "xmm15", "cc");
    return old;
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
    *env = first_env;
    env->jump_lines = env->jump_cache;
    env->tlb[MMU_IDX] = (HostTLB){ .mask = (LINES - 1) * sizeof(lines[0]), .table = lines };
    memset(lines, 0xff, sizeof lines);
    rng_slow = seed;
    for (unsigned k = 0; k < MEM_SIZE / PAGE; k++) {
        if (next_random() & 1) {
            fill_line(GUEST_BASE + k * PAGE, true);
        }
    }
    HostExit got = host_enter(env, code.code);
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
    config.access = slow_access;
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
        .mem_base = GUEST_BASE,
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
    f.soft_mmu = 1 + MMU_IDX;
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
    for (uint64_t seed = first; seed < first + count; seed++) {
        check_seed(seed,
                   &variants[argc > 3 ? (unsigned)atoi(argv[3]) : seed % n_variants]);
    }
    printf("%u runs, %u slow accesses, %u faults\n", runs, slow, faults);
    if (wrongly_slow) {
        printf("%u accesses missed a line that serves\n", wrongly_slow);
        return 1;
    }
    ir_interp_destroy(&interp);
    arena_destroy(&arena);
    return faults < runs / 10 || slow < runs;
}
