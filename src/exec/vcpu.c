/*
 * The birth and death of vCPUs, and the list of them.
 *
 * The list changes only under both the exclusive lock and the list lock; so either is enough
 * to walk it.
 *
 * What a dead vCPU leaves (its state, whose jump cache is most of it, its return stack, its translation
 * context) is kept for the next one: mappings that come and go cost every processor that
 * runs this program an interruption.  The pool is an array of atomic slots, so it needs no lock and
 * fork() nothing special: who exchanges a slot with NULL owns what was there. [VCPU-POOL]
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "exec/soft-mmu.h"
#include "util/error.h"
#include "util/stats.h"

static _Thread_local CPUState *current_cpu;

CPUState *cpu_current(void)
{
    return current_cpu;
}

#define RAS_GUARD 4096u
#define RAS_SIZE (64u << 10)    /* 4096 nested calls */
#define RAS_END 4096u           /* words that no return matches */
#define BELOW_CPU (RAS_GUARD + RAS_SIZE + RAS_END)

static size_t cpu_mapping_size(const Guest *guest)
{
    return (guest->cpu_size + 4095) & ~(size_t)4095;
}

void cpu_prepare_memory(CPUState *cpu)
{
#ifdef MADV_POPULATE_WRITE
    madvise(cpu, cpu_mapping_size(cpu->guest), MADV_POPULATE_WRITE);
#endif
}

/*
 * A vCPU's memory, all zeros, with its return stack below it, and a guard page below that.  One mapping for all, since
 * the number of mappings of a process limits that of its threads.  NULL: there is no room.
 */
static CPUState *cpu_alloc(const Guest *guest)
{
    size_t total = BELOW_CPU + cpu_mapping_size(guest);
    uint8_t *p = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(p, RAS_GUARD, PROT_NONE)) {
        munmap(p, total);
        return NULL;
    }
    CPUState *cpu = (CPUState *)(p + BELOW_CPU);
    cpu->guest = guest;
    /* Nearly all of it is the jump cache, which the first lookups would fault in piecemeal. */
    cpu_prepare_memory(cpu);
    uint64_t *top = (uint64_t *)(p + RAS_GUARD + RAS_SIZE);
    for (unsigned i = 0; i < 8; i++) {
        top[i] = JUMP_CACHE_NONE;
    }
    cpu->env.ras_top = top;
    return cpu;
}

static void cpu_drop_soft_mmu(CPUState *cpu)
{
    if (cpu->soft_tlb) {
        soft_mmu_destroy(cpu);
        cpu->soft_tlb = NULL;
    }
}

void cpu_free(CPUState *cpu)
{
    cpu_drop_soft_mmu(cpu);
    if (cpu->tx) {
        arena_destroy(&cpu->tx->arena);
        ir_interp_destroy(&cpu->tx->interp);
        free(cpu->tx);
    }
    munmap((uint8_t *)cpu - BELOW_CPU, BELOW_CPU + cpu_mapping_size(cpu->guest));
}

/* ---- the pool ---- */

/* One of this guest that is no longer needed, as cpu_alloc() gives it but for the jump cache; or NULL. */
static CPUState *pool_take(const Guest *guest)
{
    for (unsigned i = 0; i < VCPU_POOL; i++) {
        /* [VCPU-POOL] pairs with the release in pool_put(). */
        CPUState *cpu = __atomic_load_n(&exec_ctx.cpu_pool[i], __ATOMIC_RELAXED)
                            ? __atomic_exchange_n(&exec_ctx.cpu_pool[i], NULL, __ATOMIC_ACQUIRE) : NULL;
        if (!cpu) {
            continue;
        }
        if (cpu->guest != guest) {
            cpu_free(cpu);
            continue;
        }
        void *ras_top = cpu->env.ras_top;
        TranslateThread *tx = cpu->tx;
        size_t end = offsetof(HostEnv, jump_cache) + sizeof(cpu->env.jump_cache);
        memset((void *)cpu, 0, offsetof(HostEnv, jump_cache));
        memset((uint8_t *)cpu + end, 0, guest->cpu_size - end);
        cpu->env.ras_top = ras_top;
        cpu->tx = tx;
        cpu->guest = guest;
        return cpu;
    }
    return NULL;
}

static void pool_put(CPUState *cpu)
{
    for (unsigned i = 0; i < VCPU_POOL; i++) {
        CPUState *none = NULL;
        /* [VCPU-POOL] pairs with the exchange in pool_take(). */
        if (__atomic_compare_exchange_n(&exec_ctx.cpu_pool[i], &none, cpu, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
            return;
        }
    }
    cpu_free(cpu);
}

/* ---- birth and death ---- */

CPUState *cpu_create(const Guest *guest)
{
    CPUState *cpu = pool_take(guest);
    if (!cpu) {
        cpu = cpu_alloc(guest);
        if (!cpu) {
            return NULL;
        }
    }
    cpu->llsc_addr = ~0ull;
    cpu->env.fp_state = host_fp_init();
    spin_init(&cpu->work_lock, LOCK_RANK_WORK_QUEUE);
    cpu->jump_cache_cflags = ~0u;   /* fits no block: the first look-up empties the jump cache */
    if (exec_ctx.config.system_mode) {
        soft_mmu_create(cpu);
    }
    if (guest->cpu_reset) {
        guest->cpu_reset(cpu);
    }
    mutex_lock(&exec_ctx.exclusive_lock);
    mutex_lock(&exec_ctx.cpu_list_lock);
    cpu->cpu_index = exec_ctx.next_cpu_index++;
    cpu->next_cpu = exec_ctx.cpus;
    exec_ctx.cpus = cpu;
    __atomic_fetch_add(&exec_ctx.ncpus, 1, __ATOMIC_RELAXED);
    mutex_unlock(&exec_ctx.cpu_list_lock);
    mutex_unlock(&exec_ctx.exclusive_lock);
    return cpu;
}

/* The vCPU counts on meanwhile, so what was added before is remembered. */
static void cpu_collect_stats_locked(CPUState *cpu)
{
    static const StatId ids[N_HOST_STATS] = {
        [HOST_STAT_JUMP_CACHE_HITS] = STAT_JUMP_CACHE_HITS,
        [HOST_STAT_JUMP_CACHE_MISSES] = STAT_JUMP_CACHE_MISSES,
        [HOST_STAT_RETURN_HITS] = STAT_RETURN_HITS,
        [HOST_STAT_RETURN_MISSES] = STAT_RETURN_MISSES,
    };
    for (unsigned i = 0; i < N_HOST_STATS; i++) {
        uint64_t now = __atomic_load_n(&cpu->env.stats[i], __ATOMIC_RELAXED);
        stat_add(ids[i], now - cpu->stats_collected[i]);
        cpu->stats_collected[i] = now;
    }
}

void cpus_collect_stats(void)
{
    mutex_lock(&exec_ctx.cpu_list_lock);
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        cpu_collect_stats_locked(cpu);
    }
    mutex_unlock(&exec_ctx.cpu_list_lock);
}

void cpu_destroy(CPUState *cpu)
{
    mutex_lock(&exec_ctx.exclusive_lock);
    mutex_lock(&exec_ctx.cpu_list_lock);
    CPUState **link = &exec_ctx.cpus;
    while (*link != cpu) {
        link = &(*link)->next_cpu;
    }
    *link = cpu->next_cpu;
    cpu_collect_stats_locked(cpu);
    __atomic_fetch_sub(&exec_ctx.ncpus, 1, __ATOMIC_RELAXED);
    mutex_unlock(&exec_ctx.cpu_list_lock);
    mutex_unlock(&exec_ctx.exclusive_lock);
    /* Out of the list: nobody finds it to queue more. */
    cpu_process_work(cpu);
    if (current_cpu == cpu) {
        current_cpu = NULL;
        if (cpu->soft_tlb) {
            system_faults_thread_end(cpu);
        }
    }
    code_region_give_back(cpu->tx);
    cpu_drop_soft_mmu(cpu);
    pool_put(cpu);
}

void cpu_thread_switch(CPUState *cpu)
{
    current_cpu = cpu;
}

void cpu_thread_init(CPUState *cpu)
{
    stats_thread_init();
    if (!cpu->tx) {
        TranslateThread *tx = xcalloc(1, sizeof(*tx));
        arena_init(&tx->arena, 0);
        /* Under the lock for fork() by another thread: its child frees what it finds here. */
        mutex_lock(&exec_ctx.cpu_list_lock);
        cpu->tx = tx;
        mutex_unlock(&exec_ctx.cpu_list_lock);
    }
    host_thread_init(&cpu->env);
    if (cpu->soft_tlb) {
        system_faults_thread_init(cpu);
    }
    current_cpu = cpu;
}
