/*
 * The list of vCPUs, work for them, and exclusive sections.
 *
 * A vCPU is "running" from cpu_exec_start() to cpu_exec_end(): it may be in generated code
 * or hold locks of exec/.  An exclusive section first announces itself, then waits until no
 * other vCPU is running; a vCPU first says that it runs, then looks for announcements.  Each side has a full fence
 * between its store and its load (a Dekker pattern), so they cannot miss each
 * other. [EXCL]  What the vCPU pays is this one fence each time it enters cpu_exec(), nothing
 * in generated code.
 *
 * The list of vCPUs changes only under both the exclusive lock and the list lock; so either
 * is enough to walk it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "exec/soft-mmu.h"
#include "util/error.h"
#include "util/futex.h"
#include "util/stats.h"

struct WorkItem {
    CPUWorkFunc *fn;
    void *data;
    bool exclusive;
    struct WorkItem *next;
};

static _Thread_local CPUState *current_cpu;

CPUState *cpu_current(void)
{
    return current_cpu;
}

#define RAS_SIZE (64u << 10)    /* 4096 nested calls */
#define RAS_GUARD 4096u

/* The return stack: a guard page below, and above ras_top two words that no return matches. */
static void *ras_create(void)
{
    size_t total = RAS_GUARD + RAS_SIZE + 4096;
    uint8_t *p = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                      -1, 0);
    if (p == MAP_FAILED || mprotect(p, RAS_GUARD, PROT_NONE)) {
        fatal("out of memory for a return stack");
    }
    uint8_t *top = p + RAS_GUARD + RAS_SIZE;
    uint64_t sentinel[8];
    for (unsigned i = 0; i < 8; i++) {
        sentinel[i] = JUMP_CACHE_NONE;
    }
    memcpy(top, sentinel, sizeof(sentinel));
    return top;
}

static void ras_destroy(void *top)
{
    munmap((uint8_t *)top - RAS_SIZE - RAS_GUARD, RAS_GUARD + RAS_SIZE + 4096);
}

CPUState *cpu_create(const Guest *guest)
{
    size_t size = (guest->cpu_size + 4095) & ~(size_t)4095;
    /* Nearly all of it is the jump cache, which the first lookups would fault in piecemeal. */
    CPUState *cpu = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (cpu == MAP_FAILED) {
        fatal("out of memory for a CPU");
    }
    cpu->guest = guest;
    cpu->llsc_addr = ~0ull;
    cpu->env.ras_top = ras_create();
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

static void cpu_free(CPUState *cpu)
{
    if (cpu->soft_tlb) {
        soft_mmu_destroy(cpu);
    }
    if (cpu->tx) {
        arena_destroy(&cpu->tx->arena);
        ir_interp_destroy(&cpu->tx->interp);
        free(cpu->tx);
    }
    ras_destroy(cpu->env.ras_top);
    munmap(cpu, (cpu->guest->cpu_size + 4095) & ~(size_t)4095);
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
    }
    code_region_give_back(cpu->tx);
    cpu_free(cpu);
}

void cpu_thread_init(CPUState *cpu)
{
    stats_thread_init();
    TranslateThread *tx = xcalloc(1, sizeof(*tx));
    arena_init(&tx->arena, 0);
    /* Under the lock for fork() by another thread: its child frees what it finds here. */
    mutex_lock(&exec_ctx.cpu_list_lock);
    cpu->tx = tx;
    mutex_unlock(&exec_ctx.cpu_list_lock);
    host_thread_init(&cpu->env);
    current_cpu = cpu;
}

void cpu_kick(CPUState *cpu)
{
    /* [KICK] pairs with the exchange in cpu_exec(): what was done before the kick is seen. */
    __atomic_store_n(&cpu->env.exit_request, 1, __ATOMIC_RELEASE);
    /* [KICK-WAKE] pairs with the fence in cpu_wait(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&cpu->waiting, __ATOMIC_RELAXED))) {
        futex_wake_all(&cpu->env.exit_request);
    }
}

static uint64_t monotonic_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

bool cpu_wait(CPUState *cpu, uint64_t deadline_ns)
{
    bool kicked;
    __atomic_store_n(&cpu->waiting, 1, __ATOMIC_RELAXED);
    /* [KICK-WAKE] Dekker: we see the request, or the one who kicks sees that we wait. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    while (!(kicked = __atomic_load_n(&cpu->env.exit_request, __ATOMIC_RELAXED))) {
        struct timespec ts, *timeout = NULL;
        if (deadline_ns != ~0ull) {
            uint64_t now = monotonic_ns();
            if (now >= deadline_ns) {
                break;
            }
            ts.tv_sec = (deadline_ns - now) / 1000000000;
            ts.tv_nsec = (deadline_ns - now) % 1000000000;
            timeout = &ts;
        }
        futex_wait(&cpu->env.exit_request, 0, timeout);
    }
    __atomic_store_n(&cpu->waiting, 0, __ATOMIC_RELAXED);
    return kicked;
}

void exec_kick_all(void)
{
    mutex_lock(&exec_ctx.cpu_list_lock);
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        cpu_kick(cpu);
    }
    mutex_unlock(&exec_ctx.cpu_list_lock);
}

/* ---- exclusive sections ---- */

void cpu_exec_start(CPUState *cpu)
{
    for (;;) {
        /* A peek first: who is seen running is kicked, and a kick costs a turn of cpu_exec(). */
        while (unlikely(__atomic_load_n(&exec_ctx.exclusive_pending, __ATOMIC_RELAXED))) {
            __atomic_store_n(&cpu->held_back, 1, __ATOMIC_RELAXED);
            futex_wait(&exec_ctx.exclusive_pending, 1, NULL);
        }
        __atomic_store_n(&cpu->running, 1, __ATOMIC_RELAXED);
        /* [EXCL] pairs with the fence in start_exclusive(). */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        /* [EXCL-END] pairs with the release in end_exclusive(). */
        if (likely(!__atomic_load_n(&exec_ctx.exclusive_pending, __ATOMIC_ACQUIRE))) {
            break;
        }
        cpu_exec_end(cpu);
    }
    if (unlikely(cpu->held_back)) {
        __atomic_store_n(&cpu->held_back, 0, __ATOMIC_RELAXED);
        futex_wake_all(&cpu->held_back);
    }
}

void cpu_exec_end(CPUState *cpu)
{
    /* [EXCL-STOP] pairs with the acquire load in start_exclusive(). */
    __atomic_store_n(&cpu->running, 0, __ATOMIC_RELEASE);
    /* [EXCL] again: either we see the announcement and wake, or the waiter sees our 0. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&exec_ctx.exclusive_pending, __ATOMIC_RELAXED))) {
        futex_wake_all(&cpu->running);
    }
}

/* Whom the last section held back runs before the next one, however quickly that follows. */
static void admit_held_back_locked(void)
{
    for (CPUState *c = exec_ctx.cpus; c; c = c->next_cpu) {
        while (__atomic_load_n(&c->held_back, __ATOMIC_RELAXED)) {
            futex_wait(&c->held_back, 1, NULL);
        }
    }
}

void start_exclusive(CPUState *cpu)
{
    bool was_running = cpu && cpu->running;
    if (was_running) {
        cpu_exec_end(cpu);
    }
    mutex_lock(&exec_ctx.exclusive_lock);
    admit_held_back_locked();
    __atomic_store_n(&exec_ctx.exclusive_pending, 1, __ATOMIC_RELAXED);
    /* [EXCL] pairs with the fences in cpu_exec_start() and cpu_exec_end(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* Kick all before waiting for one: with more vCPUs than processors, those not yet asked
       would use up their time slices meanwhile. */
    for (CPUState *c = exec_ctx.cpus; c; c = c->next_cpu) {
        if (c != cpu && __atomic_load_n(&c->running, __ATOMIC_RELAXED)) {
            cpu_kick(c);
        }
    }
    for (CPUState *c = exec_ctx.cpus; c; c = c->next_cpu) {
        if (c == cpu) {
            continue;
        }
        while (__atomic_load_n(&c->running, __ATOMIC_ACQUIRE /* [EXCL-STOP] */)) {
            cpu_kick(c);
            futex_wait(&c->running, 1, NULL);
        }
    }
    /* [QUIESCE] what was invalid when all had stopped, no vCPU is inside of.  Pairs with the
       count in tb_invalidate_locked() and with tb_quiesce(). */
    uint64_t invalidations = __atomic_load_n(&exec_ctx.invalidations, __ATOMIC_ACQUIRE);
    __atomic_store_n(&exec_ctx.quiesced, invalidations, __ATOMIC_RELEASE);
    if (cpu) {
        cpu->in_exclusive = true;
        cpu->resume_running = was_running;
    }
    stat_inc(STAT_EXCLUSIVE_SECTIONS);
}

void end_exclusive(CPUState *cpu)
{
    if (cpu) {
        cpu->in_exclusive = false;
    }
    /* [EXCL-END] pairs with the fence in cpu_exec_start(). */
    __atomic_store_n(&exec_ctx.exclusive_pending, 0, __ATOMIC_RELEASE);
    futex_wake_all(&exec_ctx.exclusive_pending);
    mutex_unlock(&exec_ctx.exclusive_lock);
    if (cpu && cpu->resume_running) {
        cpu_exec_start(cpu);
    }
}

/* ---- work ---- */

static void work_queue(CPUState *cpu, CPUWorkFunc *fn, void *data, bool exclusive)
{
    WorkItem *w = xmalloc(sizeof(*w));
    *w = (WorkItem){ .fn = fn, .data = data, .exclusive = exclusive };
    spin_lock(&cpu->work_lock);
    if (cpu->work_last) {
        cpu->work_last->next = w;
    } else {
        __atomic_store_n(&cpu->work_first, w, __ATOMIC_RELAXED);
    }
    cpu->work_last = w;
    spin_unlock(&cpu->work_lock);
    cpu_kick(cpu);
}

void async_run_on_cpu(CPUState *cpu, CPUWorkFunc *fn, void *data)
{
    work_queue(cpu, fn, data, false);
}

void async_safe_run_on_cpu(CPUState *cpu, CPUWorkFunc *fn, void *data)
{
    work_queue(cpu, fn, data, true);
}

static WorkItem *work_take(CPUState *cpu)
{
    spin_lock(&cpu->work_lock);
    WorkItem *w = cpu->work_first;
    if (w) {
        __atomic_store_n(&cpu->work_first, w->next, __ATOMIC_RELAXED);
        if (!w->next) {
            cpu->work_last = NULL;
        }
    }
    spin_unlock(&cpu->work_lock);
    return w;
}

void cpu_process_work(CPUState *cpu)
{
    while (__atomic_load_n(&cpu->work_first, __ATOMIC_RELAXED)) {
        WorkItem *w = work_take(cpu);
        if (!w) {
            break;
        }
        if (w->exclusive) {
            start_exclusive(cpu);
            w->fn(cpu, w->data);
            end_exclusive(cpu);
        } else {
            w->fn(cpu, w->data);
        }
        free(w);
    }
}

/* ---- fork ---- */

/*
 * With all other vCPUs stopped nobody holds a page, jmp or QHT lock inside cpu_exec(); and
 * invalidate_lock keeps out those that take them without running.  In rank order.
 */
void exec_fork_prepare(CPUState *cpu)
{
    ExecContext *x = &exec_ctx;
    bool begins = !cpu->in_exclusive;
    if (begins) {
        start_exclusive(cpu);
    }
    x->fork_began_exclusive = begins;
    mutex_lock(&x->invalidate_lock);
    mutex_lock(&x->region_lock);
    mutex_lock(&x->cpu_list_lock);
    spin_lock(&cpu->work_lock);
}

void exec_fork_parent(CPUState *cpu)
{
    ExecContext *x = &exec_ctx;
    spin_unlock(&cpu->work_lock);
    mutex_unlock(&x->cpu_list_lock);
    mutex_unlock(&x->region_lock);
    mutex_unlock(&x->invalidate_lock);
    if (x->fork_began_exclusive) {
        end_exclusive(cpu);
    }
}

void exec_fork_child(CPUState *cpu)
{
    ExecContext *x = &exec_ctx;
    CPUState *next;
    for (CPUState *c = x->cpus; c; c = next) {
        next = c->next_cpu;
        if (c != cpu) {
            code_region_give_back_locked(c->tx);
            cpu_free(c);
        }
    }
    x->cpus = cpu;
    cpu->next_cpu = NULL;
    memset(cpu->env.stats, 0, sizeof(cpu->env.stats));  /* as statistics do in a child */
    memset(cpu->stats_collected, 0, sizeof(cpu->stats_collected));
    __atomic_store_n(&x->ncpus, 1, __ATOMIC_RELAXED);
    qht_fork_child(&x->blocks);
    exec_fork_parent(cpu);
}
