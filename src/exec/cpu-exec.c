/*
 * The run loop of a vCPU: find the block for the pc, make it if need be, link the exit that
 * led here, enter generated code, deal with the way it came back.
 *
 * Everything here is on the vCPU's own thread.  No lock is held while guest code runs.
 */
#include <sys/mman.h>

#include "exec/debug.h"
#include "exec/icount.h"
#include "exec/interp-run.h"
#include "exec/lockstep.h"
#include "exec/soft-mmu.h"
#include "mem/memory.h"
#include "util/error.h"
#include "util/log.h"
#include "util/stats.h"

#define DEFAULT_HOT_THRESHOLD 8192

ExecContext exec_ctx;

static void flush_work(CPUState *cpu, void *data)
{
    tlb_flush(cpu);
}

/* Addresses mean something else: before any vCPU enters generated code again it forgets what it knew. */
static void on_map_changed(void)
{
    mutex_lock(&exec_ctx.cpu_list_lock);
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        async_run_on_cpu(cpu, flush_work, NULL);
    }
    mutex_unlock(&exec_ctx.cpu_list_lock);
}

static void on_ram_written(hwaddr pa, uint64_t n)
{
    tb_invalidate_range(pa, pa + n);
}

/* What a failed assertion says of the guest. */
static void dump_vcpu(FILE *out, void *opaque)
{
    const CPUState *cpu = cpu_current();
    if (!cpu) {
        fputs("no vCPU on this thread\n", out);
        return;
    }
    fprintf(out, "vCPU %d, without what the host's registers had of it:\n", cpu->cpu_index);
    cpu->guest->dump_state(cpu, out);
}

void exec_init(const ExecConfig *config)
{
    ExecContext *x = &exec_ctx;
    x->config = *config;
    if (!x->config.hot_threshold) {
        x->config.hot_threshold = DEFAULT_HOT_THRESHOLD;
    }
    error_add_dump_hook(dump_vcpu, NULL);
    page_table_init();
    qht_init(&x->blocks, tb_equal, 1024, true);
    mutex_init(&x->exclusive_lock, LOCK_RANK_EXCLUSIVE);
    mutex_init(&x->cpu_list_lock, LOCK_RANK_CPU_LIST);
    mutex_init(&x->serial_lock, LOCK_RANK_TRANSLATE);
    mutex_init(&x->invalidate_lock, LOCK_RANK_INVALIDATE);
    code_regions_init();
    if (config->system_mode) {
        system_faults_init();
        x->parallel = 1;    /* a machine of one hart shares its memory with devices */
        memory_set_hooks(&(MemoryHooks){ .ram_written = on_ram_written, .map_changed = on_map_changed });
    }
    if (config->strict_llsc) {
        x->llsc_tags = mmap(NULL, (LLSC_TAGS + 1) * sizeof(*x->llsc_tags), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (x->llsc_tags == MAP_FAILED) {
            fatal("out of memory for llsc=strict");
        }
    }
}

void exec_set_vdso(vaddr start, vaddr end, VdsoCall *call)
{
    exec_ctx.vdso_start = start;
    exec_ctx.vdso_end = end;
    exec_ctx.vdso_call = call;
}

uint64_t exec_vdso_call(CPUState *cpu, uint64_t nr, uint64_t a0, uint64_t a1)
{
    return exec_ctx.vdso_call(cpu, nr, a0, a1);
}

/* Options of translations made now. */
static uint32_t current_cflags(void)
{
    const ExecConfig *c = &exec_ctx.config;
    uint32_t parallel = CF_PARALLEL | (c->strict_llsc ? CF_STRICT_LLSC : 0);
    return (__atomic_load_n(&exec_ctx.parallel, __ATOMIC_RELAXED) ? parallel : 0) |
           (c->one_insn_per_tb ? CF_SINGLE_INSN : 0) | (c->nochain ? CF_NO_CHAIN : 0) |
           (c->icount ? CF_ICOUNT : 0) |
           (c->count && !c->interp && !c->lockstep ? CF_COUNT : 0) | (c->lockstep ? CF_LOOKUP_EXITS : 0);
}

static void log_exec(CPUState *cpu, const TranslationBlock *tb)
{
    if (!log_filter_match(tb->pc)) {
        return;
    }
    FILE *out = log_lock();
    if (log_enabled(LOG_EXEC)) {
        fprintf(out, "Trace %d: %p [0x%016" PRIx64 "/%08x/%08x]\n", cpu->cpu_index, (void *)tb->code,
                tb->pc, tb->flags, tb->cflags);
    }
    if (log_enabled(LOG_CPU)) {
        cpu->guest->dump_state(cpu, out);
    }
    log_unlock();
}

static HostExit run_block(CPUState *cpu, TranslationBlock *tb)
{
    if (log_enabled(LOG_EXEC | LOG_CPU)) {
        log_exec(cpu, tb);
    }
    if (!cpu->in_exclusive) {       /* whose owner holds that one lock */
        lock_assert_none_held();
    }
    if (exec_ctx.config.interp) {
        return interp_enter(cpu, tb);
    }
    if (exec_ctx.config.lockstep) {
        return lockstep_enter(cpu, tb);
    }
    HostExit how = host_enter(&cpu->env, tb->code);
    if (how.kind == HOST_EXIT_REASON && how.exit == EXIT_REASON_MISALIGNED) {
        cpu->fault_addr = cpu->env.exit_addr;
    }
    return how;
}

/* The exit that generated code left by, if it may be chained. */
static TBExit *linkable_exit(HostExit how)
{
    if (how.kind != HOST_EXIT_LINK) {
        return NULL;
    }
    TranslationBlock *tb = (TranslationBlock *)how.unit;
    return tb->cflags & (CF_NO_CHAIN | CF_LOOKUP_EXITS) ? NULL : &tb->exits[how.exit];
}

/* Run the instruction at pc, for the owner of an exclusive section. */
static int exec_insn_alone(CPUState *cpu)
{
    uint32_t cflags = (current_cflags() | CF_SINGLE_INSN | CF_LOOKUP_EXITS | CF_NO_CHAIN | CF_ALONE) &
                      ~(CF_PARALLEL | CF_COUNT);
    vaddr pc;
    uint32_t flags;
    cpu->guest->get_tb_state(cpu, &pc, &flags);
    TBKey key = tb_key_user(pc, flags, cflags);
    bool global;
    if (cpu->soft_tlb && !soft_mmu_fetch(cpu, pc, &key.phys_pc, &global)) {
        return EXIT_REASON_EXCEPTION;
    }
    TranslationBlock *tb = tb_find_qht(&key);
    if (!tb) {
        tb = tb_translate(cpu, &key);
    }
    if (!tb) {
        return cpu->soft_tlb ? EXIT_REASON_EXCEPTION : EXIT_REASON_FETCH_FAULT;
    }
    /* The jump cache is for other cflags, so this must be no indirect jump, or find it empty;
       direct exits look up. */
    HostExit how = run_block(cpu, tb);
    return how.kind == HOST_EXIT_REASON ? (int)how.exit : 0;
}

/* How often llsc=strict may take a reservation in a row before it goes on alone, and how far
   then: enough for the way back to LR and for a constrained loop. */
enum { LLSC_MAX_FAILURES = 16, LLSC_ALONE_INSNS = 64 };

/*
 * Run the instruction at pc with everybody else stopped, with plain accesses instead of
 * atomic ones.
 *
 * Tags of llsc=strict are shared by many addresses, so a thread that stores in a loop could
 * take another's reservation of something else for ever.  Who has failed too often runs
 * from one SC to the next without leaving the section: that one cannot fail.
 */
static int exec_exclusive_insn(CPUState *cpu)
{
    start_exclusive(cpu);
    int reason = exec_insn_alone(cpu);
    if (cpu->llsc_failures >= LLSC_MAX_FAILURES) {
        jump_cache_clear(cpu);  /* indirect jumps do probe it */
        for (int n = 0; n < LLSC_ALONE_INSNS && reason == 0 && cpu->llsc_failures; n++) {
            reason = exec_insn_alone(cpu);
        }
        cpu->llsc_failures = 0;
    }
    end_exclusive(cpu);
    return reason;
}

void exec_learn_section(CPUState *cpu, vaddr start, vaddr end)
{
    if (exec_add_section(start, end)) {
        /* What was translated before does not stop there. */
        tb_flush(cpu);
    }
}

/* More than any section that hopes to be left alone by the kernel. */
enum { SECTION_MAX_INSNS = 4096 };

/* Run the critical section that begins at pc alone.  One without an end goes back to the caller of
   cpu_exec(), still inside, as if it had been interrupted. */
static int exec_section(CPUState *cpu)
{
    vaddr start = cpu->env.pc, size = exec_section_end(start) - start;
    int reason = 0, n = 0;
    start_exclusive(cpu);
    jump_cache_clear(cpu);      /* indirect jumps do probe it */
    do {
        reason = exec_insn_alone(cpu);
    } while (!reason && cpu->env.pc - start < size && ++n < SECTION_MAX_INSNS);
    end_exclusive(cpu);
    return n == SECTION_MAX_INSNS ? EXIT_REASON_YIELD : reason;
}

/* What the run loop itself does about a reason; the rest goes to the caller of cpu_exec(). */
static bool handle_reason(CPUState *cpu, int *reason)
{
    if (*reason == EXIT_REASON_EXCLUSIVE) {
        *reason = exec_exclusive_insn(cpu);
    } else if (*reason == EXIT_REASON_SECTION) {
        *reason = exec_section(cpu);
    }
    if (*reason == EXIT_REASON_DEBUG) {
        return debug_go_on(cpu);
    }
    if (*reason == EXIT_REASON_IO) {
        return true;
    }
    if (cpu->soft_tlb && *reason != 0 && *reason != EXIT_REASON_FENCE_I) {
        return cpu->guest->handle_exit(cpu, *reason);
    }
    switch (*reason) {
    case 0:
        return true;
    case EXIT_REASON_FENCE_I:
        if (cpu->soft_tlb) {
            settle_verify(cpu);
            return true;
        }
        tb_verify_volatile(cpu);
        return true;
    case EXIT_REASON_MEMORY_FAULT:
        return !exec_find_fault_addr(cpu);
    default:
        return false;
    }
}

static TranslationBlock *find_or_translate(CPUState *cpu, vaddr pc, uint32_t flags, uint32_t cflags)
{
    TBKey key = tb_key_user(pc, flags, cflags);
    bool fault;
    TranslationBlock *tb = tb_find(cpu, &key, &fault);
    return tb || fault ? tb : tb_translate(cpu, &key);
}

/* After a kick was answered: may generated code be entered again? */
static bool may_go_on(CPUState *cpu)
{
    if (!cpu->soft_tlb) {
        return false;       /* user mode: what it was about is the caller's business */
    }
    /* A stop that comes after this load comes with another kick. */
    return !__atomic_load_n(&cpu->stop_request, __ATOMIC_RELAXED) && cpu->guest->handle_interrupt(cpu);
}

/* A link leads to a block that depends on nothing but the page that the exit's own block is in. */
static bool may_link(const CPUState *cpu, const TBExit *e, const TranslationBlock *dest)
{
    if ((dest->cflags ^ e->tb->cflags) & CF_SINGLE_INSN) {
        return false;           /* the next time it need not be one instruction */
    }
    return !cpu->soft_tlb || (dest->second_page == NO_PAGE && (dest->phys_pc ^ e->tb->phys_pc) >> GUEST_PAGE_BITS == 0 &&
                              (dest->pc ^ e->tb->pc) >> GUEST_PAGE_BITS == 0);
}

/* After generated code was left; false: the loop ends with *reason, which is 0 otherwise. */
static bool finish_run(CPUState *cpu, HostExit how, uint32_t cflags, int *reason)
{
    stat_inc(STAT_EXITS);
    if (cpu->soft_tlb) {
        /* [SETTLE] pairs with the load in settle.c: the stores of generated code come before. */
        __atomic_store_n(&cpu->turns, cpu->turns + 1, __ATOMIC_RELEASE);
    }
    if (unlikely(debug_is_active())) {
        debug_after_block(cpu, how);
    }
    if (cflags & CF_ICOUNT) {
        icount_after_block(cpu, how);
    }
    if (how.kind == HOST_EXIT_LOOKUP) {
        stat_inc(STAT_LOOKUP_EXITS);
    } else if (how.kind == HOST_EXIT_HOT) {
        tb_hot(cpu, (TranslationBlock *)how.unit);
    } else if (how.kind == HOST_EXIT_REASON) {
        *reason = (int)how.exit;
        if (!handle_reason(cpu, reason)) {
            return false;
        }
        *reason = 0;
    }
    return true;
}

int cpu_exec(CPUState *cpu)
{
    int reason = 0;
    TBExit *last = NULL;
    bool missed = false;        /* generated code looked in the jump cache, in vain */
    cpu_exec_start(cpu);
    for (;;) {
        if (unlikely(__atomic_load_n(&cpu->env.exit_request, __ATOMIC_RELAXED))) {
            cpu_answer_kick(cpu);
            last = NULL;
            if (!may_go_on(cpu)) {
                break;
            }
        }
        vaddr pc;
        uint32_t flags;
        cpu->guest->get_tb_state(cpu, &pc, &flags);
        uint32_t cflags = current_cflags();
        if (cflags & CF_ICOUNT && !icount_before_block(cpu, &cflags)) {
            break;
        }
        if (unlikely(debug_is_active())) {
            bool again;
            if (!debug_before_block(cpu, pc, &cflags, &again)) {
                reason = EXIT_REASON_DEBUG;
                break;
            }
            if (again) {
                last = NULL;
                continue;
            }
        }
        uint32_t flush_count = __atomic_load_n(&exec_ctx.flush_count, __ATOMIC_RELAXED);
        TranslationBlock *tb = find_or_translate(cpu, pc, flags, cflags);
        if (!tb) {
            reason = cpu->soft_tlb ? EXIT_REASON_EXCEPTION : EXIT_REASON_FETCH_FAULT;
            last = NULL;
            if (handle_reason(cpu, &reason)) {
                reason = 0;
                continue;
            }
            break;
        }
        /* A flush while this thread waited took the block that `last` belongs to. */
        if (last && flush_count == __atomic_load_n(&exec_ctx.flush_count, __ATOMIC_RELAXED)) {
            if (may_link(cpu, last, tb)) {
                tb_link_exit(last, tb);
            }
        }
        /* Other exits are linked, and need not dirty a page of the cache. */
        if (missed && !(tb->cflags & (CF_NO_CHAIN | CF_LOOKUP_EXITS))) {
            jump_cache_fill(cpu, tb);
        }
        HostExit how = run_block(cpu, tb);
        last = linkable_exit(how);
        missed = how.kind == HOST_EXIT_LOOKUP;
        if (!finish_run(cpu, how, cflags, &reason)) {
            break;
        }
    }
    cpu_exec_end(cpu);
    return reason;
}

void cpu_leave_from_helper(CPUState *cpu, int reason)
{
    HostExit how = { .kind = HOST_EXIT_REASON, .exit = reason };
    if (interp_is_active(cpu)) {
        interp_leave_sigsafe(cpu, how);
    }
    uintptr_t ret = cpu->env.helper_return;
    TranslationBlock *tb = tb_find_by_host_pc(ret);
    bool ok = tb && host_recover(&cpu->env, tb->code, tb->recovery, tb->recovery_size, ret, NULL);
    braid_assert(ok);
    host_leave_from_helper(&cpu->env, how);
}

void exec_print_stats(FILE *out)
{
    QhtStatistics q;
    qht_get_statistics(&exec_ctx.blocks, &q);
    cpus_collect_stats();
    stats_print(out);
    fprintf(out, "%-24s %12zu  blocks in the table now\n", "qht_entries", q.n_entries);
    fprintf(out, "%-24s %12zu  buckets of the table (%zu chained)\n", "qht_buckets", q.n_buckets,
            q.n_overflow);
    if (exec_ctx.config.icount) {
        fprintf(out, "%-24s %12" PRIu64 "  guest instructions executed\n", "insns_executed", icount_sum());
    }
    if (exec_ctx.config.count) {
        tb_print_hottest(out);
    }
}
