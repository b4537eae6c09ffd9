/*
 * vCPUs under torture: work for them, exclusive sections, their birth and death, fork.
 */
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/tb.h"
#include "torture.h"
#include "util/fork.h"
#include "util/stats.h"

#define MAX_THREADS 64

static Executor executors[MAX_THREADS];

static unsigned threads_or(unsigned n)
{
    return opt.threads ? opt.threads < MAX_THREADS ? opt.threads : MAX_THREADS : n;
}

static void start_all(unsigned n, const Executor *like)
{
    for (unsigned i = 0; i < n; i++) {
        executors[i] = *like;
        executors[i].index = i;
        executor_start(&executors[i]);
    }
}

/* Who names vCPUs of others stops first. */
static bool producers_stop;     /* atomic */

static bool producing(void)
{
    return !__atomic_load_n(&producers_stop, __ATOMIC_RELAXED);
}

/* ---- work: in order, complete, on the right thread; safe work alone ---- */

enum { N_PRODUCERS = 4 };

typedef struct Item {
    unsigned producer, target;
    uint64_t seq;
    bool safe;
} Item;

static struct {
    uint64_t done[N_PRODUCERS][MAX_THREADS];    /* written by the target's thread */
    uint64_t queued[N_PRODUCERS][MAX_THREADS];  /* owned by the producer */
    uint32_t alone;     /* atomic */
    uint64_t open;      /* atomic: items queued and not done */
} work;

static void do_item(CPUState *cpu, void *data)
{
    Item *it = data;
    check(cpu == cpu_current() && cpu == &executors[it->target].cpu->parent,
          "work on the wrong thread");
    check(work.done[it->producer][it->target]++ == it->seq, "work out of order");
    if (it->safe) {
        check(__atomic_exchange_n(&work.alone, 1, __ATOMIC_ACQUIRE) == 0,
              "two pieces of safe work at once");
        for (unsigned i = 0; i < 50; i++) {
            check(__atomic_load_n(&world.inside, __ATOMIC_RELAXED) == 0,
                  "safe work beside running code");
            chaos();
        }
        world.counter++;
        if (any(8) == 0) {
            tb_flush(cpu);
        }
        __atomic_store_n(&work.alone, 0, __ATOMIC_RELEASE);
    } else {
        check(__atomic_load_n(&work.alone, __ATOMIC_RELAXED) == 0,
              "work beside safe work");
    }
    __atomic_fetch_sub(&work.open, 1, __ATOMIC_RELEASE);
    free(it);
}

static unsigned n_targets;

static void *producer_main(void *opaque)
{
    unsigned self = (uintptr_t)opaque;
    while (producing()) {
        unsigned target = any(n_targets);
        if (__atomic_load_n(&work.open, __ATOMIC_RELAXED) > 500) {
            sched_yield();
            continue;
        }
        Item *it = malloc(sizeof(*it));
        *it = (Item){ self, target, work.queued[self][target]++, any(10) == 0 };
        __atomic_fetch_add(&work.open, 1, __ATOMIC_RELAXED);
        (it->safe ? async_safe_run_on_cpu
                  : async_run_on_cpu)(&executors[target].cpu->parent, do_item, it);
    }
    return NULL;
}

void test_work(void)
{
    pthread_t producer[N_PRODUCERS];
    n_targets = threads_or(12);
    torture_init(256 << 10);
    program_graph(0, 20, false);
    start_all(n_targets, &(Executor){ .check_model = true });
    for (unsigned i = 0; i < N_PRODUCERS; i++) {
        producer[i] = thread_start(producer_main, (void *)(uintptr_t)i);
    }
    torture_wait(executors, n_targets);
    __atomic_store_n(&producers_stop, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < N_PRODUCERS; i++) {
        thread_join(producer[i]);
    }
    executors_stop(executors, n_targets);
    /* The last of it was done when its vCPU was destroyed. */
    check(__atomic_load_n(&work.open, __ATOMIC_ACQUIRE) == 0, "work was lost");
    uint64_t sum = 0;
    for (unsigned p = 0; p < N_PRODUCERS; p++) {
        for (unsigned t = 0; t < n_targets; t++) {
            check(work.done[p][t] == work.queued[p][t], "work was lost");
            sum += work.done[p][t];
        }
    }
    fprintf(stderr, "%llu pieces of work, %llu of them safe\n", (unsigned long long)sum,
            (unsigned long long)world.counter);
    check(world.counter > 20, "hardly any work was done");
}

/* ---- exclusive: a plain counter that everybody adds to ---- */

static uint64_t sections;   /* under exclusive sections */
static uint64_t counted;    /* atomic */

static void count_exclusive(CPUState *cpu)
{
    start_exclusive(cpu);
    check(__atomic_load_n(&world.inside, __ATOMIC_RELAXED) == 0,
          "an exclusive section beside running code");
    uint64_t n = world.counter;
    chaos();
    world.counter = n + 1;
    sections++;
    end_exclusive(cpu);
}

static void exclusive_syscall(Executor *e)
{
    if (any(20) == 0) {
        count_exclusive(&e->cpu->parent);
    }
    /* The CPU is gone when the thread has ended: hand over what was counted so far. */
    __atomic_fetch_add(&counted, e->cpu->counted, __ATOMIC_RELAXED);
    e->cpu->counted = 0;
}

static void *outsider_main(void *opaque)
{
    while (!stopping()) {
        count_exclusive(NULL);
        usleep(any(500));
    }
    return NULL;
}

void test_exclusive(void)
{
    unsigned n = threads_or(16);
    pthread_t outsider[2];
    torture_init(128 << 10);
    program_graph(0, 20, true);
    start_all(n, &(Executor){ .on_syscall = exclusive_syscall, .check_model = true });
    outsider[0] = thread_start(outsider_main, NULL);
    outsider[1] = thread_start(outsider_main, NULL);
    torture_wait(executors, n);
    /* Stop each at a system call, so that all counts are handed over. */
    for (unsigned i = 0; i < n; i++) {
        __atomic_store_n(&executors[i].limit, 1, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < n; i++) {
        thread_join(executors[i].thread);
    }
    __atomic_store_n(&world.stop, 1, __ATOMIC_RELAXED);
    thread_join(outsider[0]);
    thread_join(outsider[1]);
    fprintf(stderr, "%llu counted by instructions, %llu by sections\n",
            (unsigned long long)counted, (unsigned long long)sections);
    check(world.counter == counted + sections, "%llu in the counter, %llu were added",
          (unsigned long long)world.counter, (unsigned long long)(counted + sections));
    check(counted > 20 && sections > 20, "hardly any exclusive sections");
}

/* ---- churn: vCPUs that come and go while translations are flushed ---- */

static void count_work(CPUState *cpu, void *data)
{
    ++*(uint32_t *)data;
}

/* The last thing that happens to the vCPU: nobody runs it after this. */
static void work_at_the_end(Executor *e)
{
    if (e->syscalls == e->limit) {
        async_run_on_cpu(&e->cpu->parent, count_work, e->opaque);
        async_safe_run_on_cpu(&e->cpu->parent, count_work, e->opaque);
    }
}

static uint64_t born;   /* atomic */
static bool paused;     /* atomic */

static void *mother_main(void *opaque)
{
    while (!stopping()) {
        if (__atomic_load_n(&paused, __ATOMIC_ACQUIRE)) {
            return NULL;
        }
        uint32_t done = 0;
        Executor e = { .limit = 1 + any(40), .check_model = true, .start = any(100) * 11,
                       .on_syscall = work_at_the_end, .opaque = &done };
        executor_create(&e);
        async_run_on_cpu(&e.cpu->parent, count_work, &done);
        async_safe_run_on_cpu(&e.cpu->parent, count_work, &done);
        executor_start(&e);
        __atomic_add_fetch(&born, 1, __ATOMIC_RELAXED);
        thread_join(e.thread);
        check(done == 4,
              "work for a vCPU before its first run or after its last was lost");
    }
    return NULL;
}

static void *flusher_main(void *opaque)
{
    while (!__atomic_load_n(&paused, __ATOMIC_ACQUIRE)) {
        tb_flush(NULL);
        usleep(any(4000));
    }
    return NULL;
}

/* For some time, and until enough were born to mean something. */
static void churn_for(unsigned ms)
{
    uint64_t before = born;
    pthread_t mother[8], flusher;
    __atomic_store_n(&paused, false, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 8; i++) {
        mother[i] = thread_start(mother_main, NULL);
    }
    flusher = thread_start(flusher_main, NULL);
    usleep(ms * 1000);
    TORTURE_WAIT_UNTIL(__atomic_load_n(&born, __ATOMIC_RELAXED) > before + 100,
                       "hardly any threads were born");
    __atomic_store_n(&paused, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 8; i++) {
        thread_join(mother[i]);
    }
    thread_join(flusher);
    tb_flush(NULL);
}

static unsigned count_mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned n = 0;
    for (int c; (c = getc(f)) != EOF;) {
        n += c == '\n';
    }
    fclose(f);
    return n;
}

void test_churn(void)
{
    torture_init(128 << 10);
    program_graph(0, 20, false);
    churn_for(opt.seconds * 500);
    size_t heap = mallinfo2().uordblks;
    unsigned maps = count_mappings();
    uint64_t before = born;
    churn_for(opt.seconds * 500);
    check(exec_ctx.ncpus == 0 && !exec_ctx.cpus, "vCPUs are left over");
    size_t heap_after = mallinfo2().uordblks;
    unsigned maps_after = count_mappings();
    fprintf(stderr, "%llu threads; heap %zu then %zu, mappings %u then %u\n",
            (unsigned long long)born, heap, heap_after, maps, maps_after);
    if (!TORTURE_TSAN) {
        /* A thread's context alone is larger than 64 bytes, its CPU two mappings. */
        check(heap_after < heap + 64 * (born - before), "the heap grew");
        check(maps_after < maps + (born - before) / 4 + 20, "mappings were left behind");
    }
}

/* ---- fork: children that go on while the parent's other threads run ---- */

static void do_nothing(CPUState *cpu, void *data)
{
}

static void *invalidator_main(void *opaque)
{
    CPUState *cpu = cpu_create(&fake_guest);
    cpu_thread_init(cpu);
    while (producing()) {
        uint32_t w = any(20 * PAGE_WORDS);
        if (any(4)) {
            tb_invalidate_range(word_pc(w), word_pc(w + any(3000)));
        } else {
            tb_flush_icache(cpu, word_pc(w), word_pc(w + 1000));
        }
        unsigned target = any(n_targets);
        async_run_on_cpu(&executors[target].cpu->parent, do_nothing, NULL);
        sched_yield();
    }
    cpu_destroy(cpu);
    return NULL;
}

static _Noreturn void child_main(Executor *e)
{
    CPUState *cpu = &e->cpu->parent;
    alarm(50);
    check(exec_ctx.ncpus == 1 && exec_ctx.cpus == cpu, "the child has other vCPUs");
    e->limit = e->syscalls + 30;
    executor_run(e);
    tb_flush_icache(cpu, 0, 0);
    tb_invalidate_range(word_pc(0), word_pc(ARENA_WORDS));
    e->limit += 30;
    executor_run(e);
    tb_flush(cpu);
    async_run_on_cpu(cpu, do_nothing, NULL);
    e->limit += 30;
    executor_run(e);
    if (!TORTURE_TSAN) {
        Executor other = { .limit = 30, .check_model = true };
        executor_start(&other);
        e->limit += 30;
        executor_run(e);
        thread_join(other.thread);
    }
    _exit(0);
}

void test_fork(void)
{
    pthread_t invalidator[2];
    n_targets = threads_or(6);
    torture_init(256 << 10);
    program_graph(0, 20, false);
    Executor self = { .check_model = true, .index = MAX_THREADS };
    self.cpu = (FakeCPU *)cpu_create(&fake_guest);
    cpu_thread_init(&self.cpu->parent);
    start_all(n_targets, &(Executor){ .check_model = true });
    for (unsigned i = 0; i < 2; i++) {
        invalidator[i] = thread_start(invalidator_main, NULL);
    }
    time_t end = time(NULL) + opt.seconds;
    unsigned children = 0;
    for (; children < 3 || time(NULL) < end; children++) {
        CPUState *cpu = &self.cpu->parent;
        self.limit = self.syscalls + 1 + any(10);   /* 0 is no limit */
        executor_run(&self);
        bool outer = any(2);
        if (outer) {
            start_exclusive(cpu);
        }
        exec_fork_prepare(cpu);
        util_fork_prepare();
        pid_t pid = fork();
        check(pid >= 0, "fork");
        if (pid == 0) {
            util_fork_child();
            exec_fork_child(cpu);
        } else {
            util_fork_parent();
            exec_fork_parent(cpu);
        }
        if (outer) {
            end_exclusive(cpu);
        }
        if (pid == 0) {
            child_main(&self);
        }
        int status;
        check(waitpid(pid, &status, 0) == pid && status == 0,
              "a child ended with status %#x", status);
    }
    __atomic_store_n(&producers_stop, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 2; i++) {
        thread_join(invalidator[i]);
    }
    executors_stop(executors, n_targets);
    cpu_destroy(&self.cpu->parent);
    fprintf(stderr, "%u children\n", children);
}
