/*
 * Kicks, exclusive sections, work for vCPUs, fork.
 *
 * A vCPU is "running" from cpu_exec_start() to cpu_exec_end(): it may be in generated code
 * or hold locks of exec/.  An exclusive section first announces itself, then waits until no
 * other vCPU is running; a vCPU first says that it runs, then looks for announcements.  Each side has a full fence
 * between its store and its load (a Dekker pattern), so they cannot miss each
 * other. [EXCL]  What the vCPU pays is this one fence each time it enters cpu_exec(), nothing
 * in generated code.
 */
#include <stdlib.h>
#include <string.h>

#include "exec/soft-mmu.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/futex.h"
#include "util/stats.h"

/* How much work waits for a vCPU that sleeps before it is woken to do it. */
enum { MAX_LAZY_WORK = 64 };

struct WorkItem {
    CPUWorkFunc *fn;
    void *data;
    bool exclusive;
    struct WorkItem *next;
};

/* True: the vCPU is in cpu_wait(), and may sleep on. */
static bool request_exit(CPUState *cpu)
{
    /* [KICK] pairs with the exchange in cpu_answer_kick(): what was done before the kick is seen. */
    __atomic_store_n(&cpu->env.exit_request, 1, __ATOMIC_RELEASE);
    /* [KICK-WAKE] pairs with the fence in cpu_wait(), [ASLEEP] with the one in cpu_exec_start(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return unlikely(__atomic_load_n(&cpu->waiting, __ATOMIC_RELAXED));
}

void cpu_kick(CPUState *cpu)
{
    if (request_exit(cpu)) {
        futex_wake_all(&cpu->env.exit_request);
    }
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
            uint64_t now = host_ns();
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

void cpu_foreach_locked(void (*fn)(CPUState *cpu, void *opaque), void *opaque)
{
    lock_assert_held(&exec_ctx.cpu_list_lock);
    for (CPUState *c = exec_ctx.cpus; c; c = c->next_cpu) {
        fn(c, opaque);
    }
}

void cpu_foreach(void (*fn)(CPUState *cpu, void *opaque), void *opaque)
{
    mutex_lock(&exec_ctx.cpu_list_lock);
    cpu_foreach_locked(fn, opaque);
    mutex_unlock(&exec_ctx.cpu_list_lock);
}

/* ---- exclusive sections ---- */

/* Until the process ends. */
static void sleep_for_ever(CPUState *cpu)
{
    cpu_exec_end(cpu);
    for (;;) {
        futex_wait(&cpu->parked, 1, NULL);
    }
}

void cpu_exec_start(CPUState *cpu)
{
    for (;;) {
        /* A peek first: who is seen running is kicked, and a kick costs a turn of cpu_exec(). */
        while (unlikely(__atomic_load_n(&exec_ctx.exclusive_pending, __ATOMIC_RELAXED))) {
            __atomic_store_n(&cpu->held_back, 1, __ATOMIC_RELAXED);
            futex_wait(&exec_ctx.exclusive_pending, 1, NULL);
        }
        __atomic_store_n(&cpu->running, 1, __ATOMIC_RELAXED);
        /* [EXCL] pairs with the fence in start_exclusive(), [ASLEEP] with the one in request_exit(). */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        /* [EXCL-END] pairs with the release in end_exclusive(). */
        if (likely(!__atomic_load_n(&exec_ctx.exclusive_pending, __ATOMIC_ACQUIRE))) {
            break;
        }
        cpu_exec_end(cpu);
    }
    /* Set in a section, so it is seen by whoever comes after the section. */
    if (unlikely(__atomic_load_n(&cpu->parked, __ATOMIC_RELAXED))) {
        sleep_for_ever(cpu);
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

void cpu_abandon(CPUState *cpu)
{
    cpu->copy_active = false;
    if (__atomic_exchange_n(&cpu->running, 0, __ATOMIC_RELEASE /* [EXCL-STOP] */)) {
        futex_wake_all(&cpu->running);
    }
    if (__atomic_exchange_n(&cpu->held_back, 0, __ATOMIC_RELAXED)) {
        futex_wake_all(&cpu->held_back);
    }
    if (mutex_is_abandoned(&exec_ctx.exclusive_lock)) {
        /* It was stopping the others, or had stopped them. */
        cpu->in_exclusive = false;
        /* [EXCL-END] pairs with the fence in cpu_exec_start(). */
        __atomic_store_n(&exec_ctx.exclusive_pending, 0, __ATOMIC_RELEASE);
        futex_wake_all(&exec_ctx.exclusive_pending);
    }
    if (lock_release_abandoned()) {
        tb_flush(NULL);     /* tables and lists of blocks may be half changed */
    }
}

void cpu_park(CPUState *cpu)
{
    __atomic_store_n(&cpu->parked, 1, __ATOMIC_RELAXED);
}

/* Whoever is parked may be dead, with any state of its other words.  Changes only in a section. */
static bool is_parked(const CPUState *cpu)
{
    return __atomic_load_n(&cpu->parked, __ATOMIC_RELAXED);
}

/* Whom the last section held back runs before the next one, however quickly that follows. */
static void admit_held_back_locked(void)
{
    for (CPUState *c = exec_ctx.cpus; c; c = c->next_cpu) {
        while (__atomic_load_n(&c->held_back, __ATOMIC_RELAXED) && !is_parked(c)) {
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
        if (c == cpu || is_parked(c)) {
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

/* Returns how many there are then. */
static unsigned work_queue(CPUState *cpu, CPUWorkFunc *fn, void *data, bool exclusive)
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
    unsigned n = ++cpu->work_count;
    spin_unlock(&cpu->work_lock);
    return n;
}

void async_run_on_cpu(CPUState *cpu, CPUWorkFunc *fn, void *data)
{
    work_queue(cpu, fn, data, false);
    cpu_kick(cpu);
}

bool async_run_on_cpu_lazily(CPUState *cpu, CPUWorkFunc *fn, void *data)
{
    if (work_queue(cpu, fn, data, false) <= MAX_LAZY_WORK && request_exit(cpu)) {
        return true;
    }
    cpu_kick(cpu);
    return false;
}

void async_safe_run_on_cpu(CPUState *cpu, CPUWorkFunc *fn, void *data)
{
    work_queue(cpu, fn, data, true);
    cpu_kick(cpu);
}

static WorkItem *work_take(CPUState *cpu)
{
    spin_lock(&cpu->work_lock);
    WorkItem *w = cpu->work_first;
    if (w) {
        __atomic_store_n(&cpu->work_first, w->next, __ATOMIC_RELAXED);
        cpu->work_count--;
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

void cpu_answer_kick(CPUState *cpu)
{
    /* [KICK] pairs with the store in request_exit(). */
    __atomic_exchange_n(&cpu->env.exit_request, 0, __ATOMIC_ACQUIRE);
    cpu_process_work(cpu);
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
    if (cpu->tx) {
        cpu->tx->after_fork = true;
    }
    code_regions_fork_done_locked();
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
