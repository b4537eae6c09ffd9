/*
 * Torture of exec/: run as `exec-torture NAME [seconds] [threads] [seed]`.
 *
 * exec/ and util/ are the real ones, compiled with chaos.h; the back end and the guest
 * are fakes, so that every race between generated code, translation, linking,
 * invalidation and flushes is one between lines of C, which ThreadSanitizer can judge.
 */
#include "torture.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exec/tb.h"

TortureOptions opt;

void fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "FAILED: ");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    fflush(stderr);
    if (getenv("TORTURE_ABORT")) {
        abort();
    }
    _exit(1);
}

/* ---- chance ---- */

static _Thread_local uint64_t thread_rng;
static uint64_t thread_seed;    /* atomic */

uint32_t any(uint32_t n)
{
    if (!thread_rng) {
        thread_rng = (opt.seed + __atomic_add_fetch(&thread_seed, 1, __ATOMIC_RELAXED)) *
                     0x9e3779b97f4a7c15ull | 1;
    }
    return fake_random(&thread_rng) % n;
}

void chaos(void)
{
    uint32_t r = any(1 << 16);
    if (r < 64) {
        sched_yield();
    } else if (r == 64) {
        usleep(50);
    }
}

/* ---- threads ---- */

pthread_t thread_start(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 << 10);
    int err = pthread_create(&t, &attr, fn, arg);
    check(!err, "pthread_create: %s", strerror(err));
    pthread_attr_destroy(&attr);
    return t;
}

#define PATIENCE 60 /* seconds after which a thread counts as stuck */

static struct timespec seconds_from_now(unsigned s)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_sec += s;
    return ts;
}

void thread_join(pthread_t t)
{
    struct timespec ts = seconds_from_now(PATIENCE);
    check(!pthread_timedjoin_np(t, NULL, &ts), "a thread does not come to an end");
}

void torture_init(size_t tb_size)
{
    ExecConfig config = {
        .guest = &fake_guest,
        .tb_size = tb_size,
        .page_flags = world_page_flags,
        .max_insns = opt.max_insns,
        .translate_serial = opt.seed % 5 == 0,
        .one_insn_per_tb = opt.any_mode && opt.seed % 7 == 0,
        .count = opt.on_hot,
        .hot_threshold = 30,
        .on_hot = opt.on_hot,
        .nochain = opt.any_mode && opt.seed % 3 == 0,
    };
    world_init();
    exec_init(&config);
    exec_set_parallel(NULL);
}

void torture_init_system(size_t tb_size)
{
    fake_system_guest.kernel_mmu_modes = opt.seed % 2;
    ExecConfig config = {
        .guest = &fake_system_guest,
        .system_mode = true,
        .tb_size = tb_size,
        .max_insns = opt.max_insns,
        .one_insn_per_tb = opt.seed % 7 == 0,
        .nochain = opt.seed % 3 == 0,
    };
    world_init_system();
    exec_init(&config);
}

static void compare_with_model(Executor *e, FakeState *from, vaddr from_pc)
{
    FakeCPU *c = e->cpu;
    vaddr pc = model_run(from, from_pc);
    check(pc == c->parent.env.pc && !memcmp(from, &c->s, sizeof(*from)),
          "executor %u: pc word %lld instead of %lld, acc %s", e->index,
          (long long)(c->parent.env.pc - word_pc(0)) / 4,
          (long long)(pc - word_pc(0)) / 4, from->acc == c->s.acc ? "right" : "wrong");
}

void executor_run(Executor *e)
{
    FakeCPU *c = e->cpu;
    CPUState *cpu = &c->parent;
    cpu->env.pc = word_pc(e->start);
    FakeState before = c->s;
    vaddr before_pc = cpu->env.pc;
    while (!stopping()) {
        int reason = cpu_exec(cpu);
        if (reason == 0) {
            continue;
        }
        if (reason == EXIT_REASON_FETCH_FAULT && e->on_fault) {
            e->on_fault(e);
            continue;
        }
        check(reason == EXIT_REASON_SYSCALL, "executor %u: reason %d at word %lld",
              e->index, reason, (long long)(cpu->env.pc - word_pc(0)) / 4);
        if (e->check_model) {
            compare_with_model(e, &before, before_pc);
        }
        __atomic_store_n(&e->syscalls, e->syscalls + 1, __ATOMIC_RELEASE);
        if (e->on_syscall) {
            e->on_syscall(e);
        }
        uint32_t limit = __atomic_load_n(&e->limit, __ATOMIC_RELAXED);
        if (limit && e->syscalls >= limit) {
            return;
        }
        before = c->s;
        before_pc = cpu->env.pc;
    }
}

static void *executor_main(void *opaque)
{
    Executor *e = opaque;
    cpu_thread_init(&e->cpu->parent);
    executor_run(e);
    cpu_destroy(&e->cpu->parent);
    return NULL;
}

void executor_create(Executor *e)
{
    e->cpu = (FakeCPU *)cpu_create(world.system ? &fake_system_guest : &fake_guest);
    e->cpu->own_slot = e->index % MAX_SLOTS;
    e->cpu->s.rng = opt.seed * 2654435761u + e->index + 1;
}

void executor_start(Executor *e)
{
    if (!e->cpu) {
        executor_create(e);
    }
    e->thread = thread_start(executor_main, e);
}

void executors_stop(Executor *e, unsigned n)
{
    __atomic_store_n(&world.stop, 1, __ATOMIC_RELAXED);
    time_t end = time(NULL) + PATIENCE;
    for (unsigned i = 0; i < n; i++) {
        struct timespec now = { 0 };
        do {
            check(time(NULL) < end, "executor %u does not come to an end", i);
            exec_kick_all();
            clock_gettime(CLOCK_REALTIME, &now);
            now.tv_nsec += 20000000;
            if (now.tv_nsec >= 1000000000) {
                now.tv_nsec -= 1000000000;
                now.tv_sec++;
            }
        } while (pthread_timedjoin_np(e[i].thread, NULL, &now) == ETIMEDOUT);
    }
}

void torture_wait(Executor *e, unsigned n)
{
    usleep(opt.seconds * 1000000);
    for (unsigned i = 0; i < n; i++) {
        uint64_t steps = __atomic_load_n(&e[i].cpu->steps, __ATOMIC_RELAXED);
        time_t end = time(NULL) + PATIENCE;
        while (__atomic_load_n(&e[i].cpu->steps, __ATOMIC_RELAXED) == steps) {
            check(time(NULL) < end, "executor %u makes no progress", i);
            usleep(1000);
        }
    }
}

/* ---- programs ---- */

#define DATA_PAGE (ARENA_PAGES - 1)

/*
 * Blocks of up to 11 words.  Jumps that are not a matter of chance lead forward, the last
 * block and the first one make a system call: so no path goes round for ever without one.
 * The first goes on to one of 64 others, so that no program is a small circle.
 */
enum { PITCH = 11 };

typedef struct Graph {
    uint32_t first, n;      /* word of the first block; number of blocks */
    uint32_t data;          /* next free word of the data page */
} Graph;

static uint32_t block_any(const Graph *g)
{
    return g->first + any(g->n) * PITCH;
}

static uint32_t block_after(const Graph *g, uint32_t i)
{
    return g->first + (i + 1 + any(g->n - i - 1)) * PITCH;
}

static void block_write(Graph *g, uint32_t i, bool exclusive_ops)
{
    uint32_t start = g->first + i * PITCH, w = start;
    if (i == 0 || i == g->n - 1) {
        arena_store(w, WORD(G_SYSCALL, 0));
        arena_store(w + 1, WORD(G_INDIRECT64, DATA_PAGE * PAGE_WORDS));
        return;
    }
    for (uint32_t k = any(5); k; k--) {
        arena_store(w++, WORD(G_WORK, any(1 << 20)));
    }
    if (any(3) == 0) {
        arena_store(w++, WORD(G_BRANCH, block_any(g)));
    }
    switch (any(12)) {
    case 0: case 1: arena_store(w++, WORD(G_GOTO, block_after(g, i))); break;
    case 2: case 3: arena_store(w++, WORD(G_CALL, block_after(g, i))); break;
    case 4: case 5: arena_store(w++, WORD(G_RET, 0)); break;
    case 6:
        if (g->data + 4 <= ARENA_WORDS) {
            for (unsigned k = 0; k < 4; k++) {
                arena_store(g->data + k, block_any(g));
            }
            arena_store(w++, WORD(any(2) ? G_INDIRECT : G_CALL_INDIRECT, g->data));
            g->data += 4;
        }
        break;
    case 7: arena_store(w++, WORD(G_LOOP, start)); break;
    case 8: arena_store(w++, WORD(G_FENCEI, 0)); break;
    case 9: arena_store(w++, WORD(exclusive_ops ? G_EXCLUSIVE : G_WORK, 0)); break;
    default: arena_store(w++, WORD(G_SYSCALL, 0)); break;
    }
    arena_store(w, WORD(G_JUMP, block_after(g, i)));
}

void program_graph(uint32_t first_page, uint32_t n_pages, bool exclusive_ops)
{
    Graph g = {
        .first = first_page * PAGE_WORDS,
        .n = n_pages * PAGE_WORDS / PITCH,
        .data = DATA_PAGE * PAGE_WORDS + 64,
    };
    for (uint32_t i = 0; i < 64; i++) {
        arena_store(DATA_PAGE * PAGE_WORDS + i, block_any(&g));
    }
    for (uint32_t i = 0; i < g.n; i++) {
        block_write(&g, i, exclusive_ops);
    }
}

/* ---- main ---- */

static const struct {
    const char *name;
    void (*fn)(void);
} tests[] = {
    { "graph", test_graph }, { "mutate", test_mutate }, { "links", test_links },
    { "revive", test_revive }, { "replace", test_replace },
    { "own-code", test_own_code }, { "spin", test_spin }, { "work", test_work },
    { "exclusive", test_exclusive }, { "churn", test_churn }, { "fork", test_fork },
    { "crowd", test_crowd }, { "large", test_large },
    { "tlb", test_tlb },
};

int main(int argc, char **argv)
{
    opt.seconds = argc > 2 ? atoi(argv[2]) : 2;
    opt.threads = argc > 3 ? atoi(argv[3]) : 0;
    opt.seed = argc > 4 ? strtoull(argv[4], NULL, 0)
                        : (uint64_t)time(NULL) * 1000 + getpid() % 1000;
    fprintf(stderr, "seed %llu\n", (unsigned long long)opt.seed);
    for (size_t i = 0; i < array_size(tests); i++) {
        if (argc > 1 && !strcmp(argv[1], tests[i].name)) {
            tests[i].fn();
            exec_print_stats(stderr);
            return 0;
        }
    }
    fprintf(stderr, "usage: exec-torture NAME [seconds] [threads] [seed]\n");
    return 2;
}
