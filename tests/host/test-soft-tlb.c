/*
 * Accesses through the soft TLB: random units whose pages are in the TLB or not, flagged, or
 * must not be touched at all.  Compiled code probes and calls a slow access that fills the
 * line now and then; the interpreter asks hooks.  Both must be left with the same registers, pc
 * and memory, and what was in the TLB must not have been asked for slowly.
 *
 *   test-soft-tlb [FIRST-SEED [COUNT [VARIANT]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bad-page.h"

enum { OTHER_MMU = 5, LINES = 8 };
#define GUEST_BASE UINT64_C(0xffffffe012344000)

static unsigned slow, wrongly_slow, mmu_idx;
static HostTLBEntry lines[LINES] __attribute__((aligned(64)));
static uint64_t rng_slow;

static void leave(uint32_t reason)
{
    bool ok = host_recover(env, bp.code.code, bp.code.recovery, bp.code.recovery_size, env->helper_return, NULL);
    if (!ok) {
        puts("no recovery entry for a slow access");
        exit(1);
    }
    bp.faults++;
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
    uint64_t first = page - bp.base;
    e->load = e->store = page;
    e->addend = (uintptr_t)bp.memory + first - page;
    if (first == PAGE) {
        e->store |= 0x800;
        e->load |= bp.prot == PROT_NONE ? 0x800 : 0;
    }
    if (may_flag && next_random() % 3 == 0) {
        e->load |= 0x10u << next_random() % 8;
    }
    if (may_flag && next_random() % 3 == 0) {
        e->store |= 0x10u << next_random() % 8;
    }
}

/* Accesses find pages that their own last one, or that of any other, may have left. */
static void fill_last_pages(void)
{
    host_init_pages(env);
    for (unsigned n = 0; n < 2 * HOST_LAST_PAGES; n++) {
        unsigned store = n & 1;
        uint64_t page = bp.base + next_random() % (MEM_SIZE / PAGE) * PAGE;
        bool allowed = page != bp.base + PAGE || (!store && bp.prot != PROT_NONE);
        if (next_random() & 1 && allowed) {
            env->last_page[store][n / 2] = (HostLastPage){ page, (uintptr_t)bp.memory - bp.base };
        }
        env->last_page_misses[store][n / 2] = (uint8_t)next_random();
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
    if (a->mmu_idx != mmu_idx) {
        puts("wrong MMU index");
        exit(1);
    }
    if ((a->memop & MO_ALIGN) && (a->addr & (size - 1))) {
        leave(MISALIGNED_REASON);
    }
    wrongly_slow += must_hit(a, size);
    if (a->op != IR_ST && !bad_page_load(NULL, a->addr, size, &old)) {
        leave(FAULT_REASON);
    }
    uint64_t val = a->op == IR_AMO ? amo_result(a, old, size) : a->op == IR_CAS ? a->val2 : a->val;
    bool store = a->op != IR_LD && (a->op != IR_CAS || old << up == a->val << up);
    if (store && !bad_page_store(NULL, a->addr, size, val)) {
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

static void check_seed(uint64_t seed, const Variant *v)
{
    IRFunc f;
    HostConfig config = v->config;
    config.access = slow_access;
    bp.crossings = 0;
    bad_page_make_unit(&f, seed, config);
    unsigned crossings = bp.crossings;  /* the interpreter's; compiled code must make as many slowly */
    mmu_idx = seed & 1 ? OTHER_MMU : HOST_PROGRAM_MMU;
    f.soft_mmu = (uint8_t)(1 + mmu_idx);
    if (harness_try_compile(&f, 0, &bp.code) == HOST_TOO_COMPLEX) {
        return;
    }
    bp.runs++;
    memcpy(bp.memory, bp.before, MEM_SIZE);
    *env = bp.first;
    env->jump_lines = env->jump_cache;
    env->tlb[mmu_idx] = (HostTLB){ .mask = (LINES - 1) * sizeof(lines[0]), .table = lines };
    memset(lines, 0xff, sizeof lines);
    rng_slow = seed;
    for (unsigned k = 0; k < MEM_SIZE / PAGE; k++) {
        if (next_random() & 1) {
            fill_line(bp.base + k * PAGE, true);
        }
    }
    fill_last_pages();
    bad_page_compare(seed, v, &f, host_enter(env, bp.code.code));
    if (bp.crossings != 2 * crossings) {
        printf("seed %llu: %u accesses to two pages, %u of them slow\n", (unsigned long long)seed, crossings,
               bp.crossings - crossings);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    bad_page_init(GUEST_BASE);
    bad_page_run_seeds(argc, argv, check_seed);
    printf("%u runs, %u slow accesses, %u faults\n", bp.runs, slow, bp.faults);
    if (wrongly_slow) {
        printf("%u accesses missed a line that serves\n", wrongly_slow);
        return 1;
    }
    return bp.faults < bp.runs / 10 || slow < bp.runs;
}
