/*
 * The soft TLB between vCPUs: flushes of every kind, lines that are filled at the same time, pages that get and lose
 * translations, stores by lines that others mark, stores through a second mapping.
 *
 * Code.  Each executor patches its own slot, publishes the version, and executes others' slots: no older version than it
 * has read.  Who patches slots of odd numbers has a fence.i made by all before the version is published; who executes
 * others makes one itself.  Slots share pages.
 *
 * Data.  A data page shows some page of the arena, which holds its own number.  Its owner, one of the executors, changes
 * that and has the flush done by all; a sequence number is odd meanwhile.  A load within an even period must
 * find the page of that period.
 *
 * Flushes happen outside cpu_exec() and, in handle_exit(), inside; two that flush each other must both get on.
 */
#include <sched.h>
#include <stdlib.h>

#include "exec/tb.h"
#include "exec/tlb.h"
#include "torture.h"

enum { SLOT_PAGE = 4, SLOT_PAGES = 3, FIRST_NUMBERED = 16, NUMBERED = 40, MAX_EXECUTORS = MAX_SLOTS };

static struct TLBTest {
    Executor e[MAX_EXECUTORS];
    CPUState *cpus[MAX_EXECUTORS];
    unsigned n;
    uint32_t quiet;                 /* atomic: executors that ask nothing of others any more */
    uint64_t seq[DATA_PAGES];       /* atomic, written by the owner */
    uint64_t loads, changes;        /* atomic: what was checked, what was changed */
} test;

static uint64_t load_seq(unsigned page)
{
    return __atomic_load_n(&test.seq[page], __ATOMIC_ACQUIRE);
}

static TLBFlush any_flush(unsigned data_page)
{
    TLBFlush f = { .space = TLB_ALL_SPACES, .start = DATA_VA + data_page * 4096, .size = 4096 };
    switch (any(4)) {
    case 0:
        f.all = true;
        break;
    case 1:
        f.start -= any(3) * 4096;
        f.size = 4096 * 8;
        break;
    case 2:
        f.size = ~0ull;
        break;
    }
    return f;
}

/* The owner maps another page; when the call is over nobody uses the old one. */
static void change_mapping(CPUState *cpu, unsigned index)
{
    unsigned page = (index + any(DATA_PAGES) * test.n) % DATA_PAGES;
    if (page % test.n != index) {
        return;
    }
    uint64_t seq = load_seq(page);
    __atomic_store_n(&test.seq[page], seq + 1, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&world.mapped[page], FIRST_NUMBERED + any(NUMBERED), __ATOMIC_RELEASE);
    tlb_flush_synced(cpu, test.cpus, test.n, any_flush(page));
    __atomic_store_n(&test.seq[page], seq + 2, __ATOMIC_RELEASE);
    __atomic_fetch_add(&test.changes, 1, __ATOMIC_RELAXED);
}

static void look_at_data(CPUState *cpu)
{
    unsigned page = any(DATA_PAGES);
    uint64_t seq = load_seq(page), got = 0;
    uint32_t want = __atomic_load_n(&world.mapped[page], __ATOMIC_RELAXED);
    check(cpu_load(cpu, DATA_VA + page * 4096 + 8 * any(512), 4, &got), "a load faulted");
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!(seq & 1) && load_seq(page) == seq) {
        check(got == want, "data page %u shows page %u after it was to show %u", page, (unsigned)got, want);
        __atomic_fetch_add(&test.loads, 1, __ATOMIC_RELAXED);
    }
}

static void flush_something(CPUState *cpu, unsigned index)
{
    CPUState *targets[MAX_EXECUTORS];
    unsigned n = 0;
    switch (any(12)) {
    case 0:
        tlb_flush(cpu);
        break;
    case 1:
        tlb_flush_page(cpu, word_pc(world.slot_word[any(test.n)]), TLB_ALL_SPACES);
        break;
    case 2:
        tlb_flush_space(cpu, any(3));
        break;
    case 3:
        tlb_set_space(cpu, any(3));
        break;
    case 4:
        tlb_flush_async(test.cpus[any(test.n)], any_flush(any(DATA_PAGES)));
        break;
    case 5:
        for (unsigned i = 0; i < test.n; i++) {
            if (any(2)) {
                targets[n++] = test.cpus[i];
            }
        }
        tlb_flush_synced(cpu, targets, n, any_flush(any(DATA_PAGES)));
        break;
    default:
        change_mapping(cpu, index);
    }
}

static void on_syscall(Executor *e)
{
    FakeCPU *c = e->cpu;
    if (c->own_slot & 1) {
        tlb_fence_i_synced(&c->parent, test.cpus, test.n);
    }
    __atomic_store_n(&world.completed[c->own_slot], c->own_stored, __ATOMIC_RELEASE);
    for (unsigned i = any(4); i; i--) {
        look_at_data(&c->parent);
    }
    if (any(4) == 0) {
        flush_something(&c->parent, e->index);
    }
}

/* Inside cpu_exec(). */
static bool on_inner_exit(CPUState *cpu, int reason)
{
    check(reason == EXIT_REASON_SYSCALL, "reason %d", reason);
    look_at_data(cpu);
    if (any(6) == 0) {
        flush_something(cpu, ((FakeCPU *)cpu)->own_slot);
    }
    return false;
}

static void *tlb_main(void *opaque)
{
    Executor *e = opaque;
    CPUState *cpu = &e->cpu->parent;
    cpu_thread_init(cpu);
    executor_run(e);
    /* Others may still wait for this one. */
    __atomic_fetch_add(&test.quiet, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&test.quiet, __ATOMIC_ACQUIRE) < test.n) {
        __atomic_exchange_n(&cpu->env.exit_request, 0, __ATOMIC_ACQUIRE);
        cpu_process_work(cpu);
        sched_yield();
    }
    cpu_destroy(cpu);
    return NULL;
}

static uint32_t slot_start(unsigned i) { return (SLOT_PAGE + i % SLOT_PAGES) * PAGE_WORDS + 30 + i / SLOT_PAGES * 3; }

static void write_program(unsigned i)
{
    uint32_t start = i * 16, w = start, slot = slot_start(i);
    if (i & 1) {
        arena_store(slot++, WORD(G_GEN, i));    /* the fence comes between this one and the next, perhaps */
    }
    world.slot_word[i] = slot;
    arena_store(slot, WORD(G_VER, VER_ARG(i, 0)));
    arena_store(slot + 1, WORD(G_RET, 0));
    arena_store(w++, WORD(G_PATCH, 0));
    arena_store(w++, WORD(G_SYSCALL, 0));
    for (unsigned k = 1; k <= 3; k++) {
        unsigned other = (i + k * 5) % test.n;
        arena_store(w++, WORD(G_GEN, other));
        if (!(other & 1)) {
            arena_store(w++, WORD(G_FENCEI, 0));
        }
        arena_store(w++, WORD(G_CALL, slot_start(other)));
    }
    arena_store(w++, WORD(G_JUMP, start));
}

void test_tlb(void)
{
    test.n = opt.threads && opt.threads < MAX_EXECUTORS ? opt.threads : 12;
    torture_init_system(256 << 10);
    world.on_exit = on_inner_exit;
    for (uint32_t p = FIRST_NUMBERED; p < FIRST_NUMBERED + NUMBERED; p++) {
        for (unsigned i = 0; i < PAGE_WORDS; i++) {
            arena_store(p * PAGE_WORDS + i, p);
        }
    }
    for (unsigned i = 0; i < DATA_PAGES; i++) {
        world.mapped[i] = FIRST_NUMBERED + i;
    }
    for (unsigned i = 0; i < test.n; i++) {
        write_program(i);
        test.e[i] = (Executor){ .index = i, .start = i * 16, .on_syscall = on_syscall };
        executor_create(&test.e[i]);
        test.cpus[i] = &test.e[i].cpu->parent;
    }
    for (unsigned i = 0; i < test.n; i++) {
        test.e[i].thread = thread_start(tlb_main, &test.e[i]);
    }
    torture_wait(test.e, test.n);
    executors_stop(test.e, test.n);
    check(test.loads && test.changes, "nothing was checked");
}
