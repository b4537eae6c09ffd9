/*
 * Translation, links and invalidation under torture.
 */
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "exec/tb.h"
#include "torture.h"
#include "util/stats.h"

#define MAX_THREADS 128
#define VERSION_LIMIT 0x3fff0u
#define DATA_WORD ((ARENA_PAGES - 1) * PAGE_WORDS)

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

/* ---- graph: a fixed program, everything else thrown away all the time ---- */

static void disturb(Executor *e)
{
    CPUState *cpu = &e->cpu->parent;
    uint32_t w = any(40 * PAGE_WORDS);
    switch (any(512)) {
    case 0: tb_flush(cpu); break;
    case 1: tb_flush_icache(cpu, 0, 0); break;
    case 2: tb_flush_icache(cpu, word_pc(w), word_pc(w + any(3000))); break;
    case 3: tb_quiesce(cpu); break;
    case 4: case 5: tb_invalidate_range(word_pc(w), word_pc(w + any(6000))); break;
    case 6: case 7: e->cpu->flags = any(3); break;
    case 8: exec_kick_all(); break;
    case 9: start_exclusive(cpu); tb_flush(cpu); end_exclusive(cpu); break;
    default: break;
    }
    if (any(16) == 0) {
        tb_invalidate_range(word_pc(w), word_pc(w + 4));
    }
}

static void run_graph(unsigned n, size_t tb_size, void (*on_syscall)(Executor *e))
{
    torture_init(tb_size);
    program_graph(0, 40, true);
    for (unsigned p = 0; p < 40; p += 3) {
        world.page_flags[p] |= PAGE_WRITE;
    }
    Executor like = { .on_syscall = on_syscall, .check_model = true };
    start_all(n, &like);
    torture_wait(executors, n);
    executors_stop(executors, n);
}

void test_graph(void)
{
    opt.any_mode = true;
    run_graph(threads_or(16), 256 << 10, disturb);
}

/* Far more threads than regions: a flush must mean that the buffer is full. */
void test_crowd(void)
{
    run_graph(threads_or(64), 128 << 10, NULL);
    check(stat_read(STAT_FLUSHES) * 16 < stat_read(STAT_TRANSLATIONS),
          "more flushes than a full buffer explains");
}

/* Units that no region can hold, in the smallest buffer. */
void test_large(void)
{
    unsigned n = threads_or(8);
    opt.max_insns = 250;
    torture_init(64 << 10);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t w = i * 250;
        arena_store(w, WORD(G_SYSCALL, 0));
        /* Two host instructions and an exit for each word. */
        for (uint32_t k = 1; k < 249; k++) {
            arena_store(w + k, WORD(G_BRANCH, any(8) ? w + k + 1 : any(20) * 250));
        }
        arena_store(w + 249, WORD(G_JUMP, any(20) * 250));
    }
    start_all(n, &(Executor){ .check_model = true });
    torture_wait(executors, n);
    executors_stop(executors, n);
}

/* ---- mutate: code that is rewritten under its callers ---- */

enum { SLOT_PAGE = 8, N_PAIRS = 12, N_SLOTS = N_PAIRS * 3 };

typedef struct Slot {
    uint32_t entry;
    uint32_t word[2];       /* where its VERs stand */
    bool writable;          /* its pages are: fence.i finds out */
    bool inlined; /* units of callers go on into it: old ones must be left, not only
                     unlinked */
    uint32_t version;       /* owned by its mutator */
} Slot;
static Slot slots[N_SLOTS];
static pthread_mutex_t pair_lock[N_PAIRS];  /* what the mmap lock is elsewhere */
static unsigned n_mutators, flips_in_100;

static void slot_write(unsigned s, uint32_t version)
{
    for (unsigned i = 0; i < 2; i++) {
        arena_store(slots[s].word[i], WORD(G_VER, VER_ARG(s, version)));
        chaos();
    }
}

static void slot_init(unsigned s)
{
    Slot *sl = &slots[s];
    uint32_t lo = (SLOT_PAGE + 2 * (s / 3)) * PAGE_WORDS, hi = lo + PAGE_WORDS;
    switch (s % 3) {
    case 0:     /* in one page */
        *sl = (Slot){ .entry = lo + 16, .word = { lo + 16, lo + 17 } };
        arena_store(lo + 18, WORD(G_RET, 0));
        break;
    case 1:     /* on into the next page */
        *sl = (Slot){ .entry = hi - 1, .word = { hi - 1, hi } };
        arena_store(hi + 1, WORD(G_RET, 0));
        break;
    default:    /* on into the page before */
        *sl = (Slot){ .entry = hi + 64, .word = { hi + 64, lo + 128 } };
        arena_store(hi + 65, WORD(G_GOTO, lo + 128));
        arena_store(lo + 129, WORD(G_RET, 0));
        break;
    }
    sl->writable = (s / 3) % 2;
    sl->inlined = s % 2;
    if (sl->writable) {
        world.page_flags[lo / PAGE_WORDS] |= PAGE_WRITE;
        world.page_flags[hi / PAGE_WORDS] |= PAGE_WRITE;
    }
    slot_write(s, 0);
}

static void slot_invalidate(unsigned s)
{
    for (unsigned i = 0; i < 2; i++) {
        tb_invalidate_range(word_pc(slots[s].word[i]), word_pc(slots[s].word[i] + 1));
    }
}

/* What mprotect() does: not executable, drop, change, executable. */
static void slot_remap(unsigned s, uint32_t version)
{
    uint32_t page = SLOT_PAGE + 2 * (s / 3);
    pthread_mutex_lock(&pair_lock[s / 3]);
    for (unsigned i = 0; i < 2; i++) {
        __atomic_fetch_and(&world.page_flags[page + i], (uint8_t)~PAGE_EXEC,
                           __ATOMIC_RELAXED);
    }
    tb_invalidate_range(word_pc(page * PAGE_WORDS), word_pc((page + 2) * PAGE_WORDS));
    if (any(3) == 0) {
        /* Nobody may execute this, nor make anything of it. */
        slot_write(s, 0);
    }
    slot_write(s, version);
    for (unsigned i = 0; i < 2; i++) {
        __atomic_fetch_or(&world.page_flags[page + i], PAGE_EXEC, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&pair_lock[s / 3]);
}

static void slot_change(CPUState *cpu, unsigned s)
{
    Slot *sl = &slots[s];
    uint32_t v = ++sl->version;
    uint32_t how = any(sl->writable ? 4 : 2);
    if (how == 0) {
        slot_remap(s, v);
    } else {
        slot_write(s, v);
        if (how == 1) {
            slot_invalidate(s);
        } else if (how == 2) {
            tb_flush_icache(cpu, 0, 0);
        } else {
            /* Without gaps: from the lowest of its bytes to the highest. */
            uint32_t a = sl->word[0], b = sl->word[1];
            tb_flush_icache(cpu, word_pc(a < b ? a : b), word_pc((a > b ? a : b) + 1));
        }
    }
    if (how < 2 && sl->inlined) {
        tb_quiesce(cpu);
    }
    __atomic_store_n(&world.completed[s], v, __ATOMIC_RELEASE);
}

/* The protection comes and goes, the content stays. */
static void slot_flip(unsigned s)
{
    uint32_t w = slots[s].word[any(2)];
    if (any(3)) {
        slot_remap(s, slots[s].version);
    } else {
        tb_invalidate_range(word_pc(w), word_pc(w + any(4)));
    }
}

static void *mutator_main(void *opaque)
{
    unsigned self = (uintptr_t)opaque;
    CPUState *cpu = cpu_create(&fake_guest);
    cpu_thread_init(cpu);
    while (!stopping()) {
        unsigned s = any(N_SLOTS);
        if (s % n_mutators == self && slots[s].version < VERSION_LIMIT) {
            if (any(100) < flips_in_100) {
                slot_flip(s);
            } else {
                slot_change(cpu, s);
            }
        }
    }
    cpu_destroy(cpu);
    return NULL;
}

static void *spoiler_main(void *opaque)
{
    FILE *null = fopen("/dev/null", "w");
    while (!stopping()) {
        switch (any(4)) {
        case 0:
            if (!flips_in_100 || any(10) == 0) {
                tb_flush(NULL);
            }
            break;
        case 1: tb_invalidate_range(word_pc(0), word_pc(ARENA_WORDS)); break;
        case 2: exec_print_stats(null); break;
        default: start_exclusive(NULL); end_exclusive(NULL); break;
        }
        usleep(500 + any(5000));
    }
    fclose(null);
    return NULL;
}

/* Three callers for each slot, by a direct call, an indirect one, and inlined. */
static void write_callers(void)
{
    uint32_t w = 8, data = DATA_WORD + 64, caller[64 + 3 * N_SLOTS], n = 0;
    for (unsigned s = 0; s < N_SLOTS; s++) {
        slot_init(s);
        caller[n++] = w;
        arena_store(w++, WORD(G_GEN, s));
        arena_store(w++, WORD(G_CALL, slots[s].entry));
        arena_store(w, WORD(any(2) ? G_JUMP : G_BRANCH, any(2) ? w + 1 : 0));
        w++;
        arena_store(w++, WORD(any(2) ? G_SYSCALL : G_WORK, 0));
        arena_store(w++, WORD(G_JUMP, 0));
        for (unsigned i = 0; i < 4; i++) {
            arena_store(data + i, slots[s].entry);
        }
        caller[n++] = w;
        arena_store(w++, WORD(G_GEN, s));
        arena_store(w++, WORD(G_CALL_INDIRECT, data));
        arena_store(w++, WORD(any(2) ? G_FENCEI : G_WORK, 0));
        arena_store(w++, WORD(G_JUMP, 0));
        data += 4;
        if (slots[s].inlined) {
            caller[n++] = w;
            arena_store(w, WORD(G_PUSH, w + 3));
            arena_store(w + 1, WORD(G_GEN, s));
            arena_store(w + 2, WORD(G_GOTO, slots[s].entry));
            arena_store(w + 3, WORD(G_JUMP, caller[any(n)]));
            w += 4;
        }
    }
    check(w < SLOT_PAGE * PAGE_WORDS, "too many callers");
    arena_store(0, WORD(G_INDIRECT64, DATA_WORD));
    for (unsigned i = 0; i < 64; i++) {
        arena_store(DATA_WORD + i, caller[any(n)]);
    }
}

/* Its page was not executable at that moment: go elsewhere. */
static void start_over(Executor *e)
{
    e->cpu->s.depth = 0;
    e->cpu->parent.env.pc = word_pc(0);
}

static uint32_t total_versions(unsigned n)
{
    uint32_t sum = 0;
    for (unsigned s = 0; s < n; s++) {
        sum += __atomic_load_n(&world.completed[s], __ATOMIC_RELAXED);
    }
    return sum;
}

static void run_mutators(void)
{
    unsigned n = threads_or(12);
    pthread_t mutator[4], spoiler;
    /* 1 MiB: each thread keeps a region. */
    torture_init(!flips_in_100 ? 1 << 20 : opt.seed % 2 ? 4 << 20 : 256 << 10);
    write_callers();
    for (unsigned i = 0; i < N_PAIRS; i++) {
        pthread_mutex_init(&pair_lock[i], NULL);
    }
    Executor like = { .on_fault = start_over };
    start_all(n, &like);
    n_mutators = 4;
    for (unsigned i = 0; i < n_mutators; i++) {
        mutator[i] = thread_start(mutator_main, (void *)(uintptr_t)i);
    }
    spoiler = thread_start(spoiler_main, NULL);
    torture_wait(executors, n);
    TORTURE_WAIT_UNTIL(total_versions(N_SLOTS) > 100 &&
                           (!flips_in_100 || stat_read(STAT_REVIVALS) > 100),
                       "hardly anything was changed");
    executors_stop(executors, n);
    for (unsigned i = 0; i < n_mutators; i++) {
        thread_join(mutator[i]);
    }
    thread_join(spoiler);
    fprintf(stderr, "%u versions\n", total_versions(N_SLOTS));
}

void test_mutate(void)
{
    run_mutators();
}

/* ---- revive: most of what is invalidated comes back as it was ---- */

/* Everything has stopped: a page's dormant blocks are invalid, and nothing else has their key. */
static unsigned check_dormant(void)
{
    unsigned n = 0;
    for (unsigned p = 0; p < ARENA_PAGES; p++) {
        PageDesc *pd = page_get_alloc(word_pc(p * PAGE_WORDS) >> GUEST_PAGE_BITS);
        for (TranslationBlock *tb = pd->dormant; tb; tb = tb->next_dormant) {
            check(tb->invalid && tb->page[0] == pd->number && !tb->incoming,
                  "a dormant block is in use");
            TBKey key = tb_key_user(tb->pc, tb->flags, tb->cflags);
            check(!tb_find_qht(&key),
                  "a dormant block's key has a valid one too");
            for (TranslationBlock *o = tb->next_dormant; o; o = o->next_dormant) {
                check(!tb_equal(tb, o), "two dormant blocks for a key");
            }
            n++;
        }
    }
    return n;
}

void test_revive(void)
{
    flips_in_100 = 90;
    run_mutators();
    uint64_t revivals = stat_read(STAT_REVIVALS), translations = stat_read(STAT_TRANSLATIONS);
    fprintf(stderr, "%llu revivals, %llu translations, %u dormant\n",
            (unsigned long long)revivals, (unsigned long long)translations, check_dormant());
}

/* ---- links: many chainers, two blocks that come and go, one behind the other ---- */

enum { N_CHAINERS = 96, LINK_PAGE = 8 };
static const uint32_t link_word[2] = { LINK_PAGE * PAGE_WORDS,
                                       (LINK_PAGE + 1) * PAGE_WORDS };

static void *link_mutator_main(void *opaque)
{
    unsigned s = (uintptr_t)opaque;
    for (uint32_t v = 1; !stopping() && v < VERSION_LIMIT; v++) {
        arena_store(link_word[s], WORD(G_VER, VER_ARG(s, v)));
        tb_invalidate_range(word_pc(link_word[s]), word_pc(link_word[s] + 1));
        __atomic_store_n(&world.completed[s], v, __ATOMIC_RELEASE);
        for (uint32_t i = any(20); i; i--) {
            sched_yield();
        }
    }
    return NULL;
}

static void *chainer_mutator_main(void *opaque)
{
    while (!stopping()) {
        uint32_t w = 1 + any(N_CHAINERS) * 6;
        tb_invalidate_range(word_pc(w), word_pc(w + any(30)));
        for (uint32_t i = any(5); i; i--) {
            sched_yield();
        }
    }
    return NULL;
}

void test_links(void)
{
    unsigned n = threads_or(16);
    pthread_t mutator[3];
    torture_init(1 << 20);
    arena_store(0, WORD(G_JUMP, 1));
    for (unsigned i = 0; i < N_CHAINERS; i++) {
        uint32_t w = 1 + i * 6;
        arena_store(w, WORD(G_GEN, 0));
        arena_store(w + 1, WORD(G_GEN, 1));
        arena_store(w + 2, WORD(G_CALL, link_word[0]));
        arena_store(w + 3, WORD(G_BRANCH, 1 + any(N_CHAINERS) * 6));
        arena_store(w + 4, WORD(G_JUMP, 1 + any(N_CHAINERS) * 6));
    }
    arena_store(link_word[0], WORD(G_VER, VER_ARG(0, 0)));
    arena_store(link_word[0] + 1, WORD(G_JUMP, link_word[1]));
    arena_store(link_word[1], WORD(G_VER, VER_ARG(1, 0)));
    arena_store(link_word[1] + 1, WORD(G_RET, 0));
    start_all(n, &(Executor){ .start = 0 });
    mutator[0] = thread_start(link_mutator_main, (void *)0);
    mutator[1] = thread_start(link_mutator_main, (void *)1);
    mutator[2] = thread_start(chainer_mutator_main, NULL);
    torture_wait(executors, n);
    TORTURE_WAIT_UNTIL(total_versions(2) > 100 && stat_read(STAT_UNLINKS) > 100,
                       "hardly anything was unlinked");
    executors_stop(executors, n);
    for (unsigned i = 0; i < 3; i++) {
        thread_join(mutator[i]);
    }
    fprintf(stderr, "%u versions, %llu links, %llu unlinks\n", total_versions(2),
            (unsigned long long)stat_read(STAT_LINKS),
            (unsigned long long)stat_read(STAT_UNLINKS));
}

/* ---- own-code: each thread rewrites its own code, in pages that it shares with the
 * others ---- */

void test_own_code(void)
{
    unsigned n = threads_or(16);
    n = n < MAX_SLOTS ? n : MAX_SLOTS;
    torture_init(256 << 10);
    for (unsigned p = SLOT_PAGE; p < SLOT_PAGE + 2; p++) {
        world.page_flags[p] |= PAGE_WRITE;
    }
    for (unsigned i = 0; i < n; i++) {
        uint32_t w = i * 16,
                 slot = SLOT_PAGE * PAGE_WORDS + 30 + (i % 2) * PAGE_WORDS + i * 3;
        world.slot_word[i] = slot;
        arena_store(slot, WORD(G_VER, VER_ARG(i, 0)));
        arena_store(slot + 1, WORD(G_RET, 0));
        arena_store(w, WORD(G_PATCH, 0));
        arena_store(w + 1, WORD(G_FENCEI, 0));
        arena_store(w + 2, WORD(G_PATCHED, 0));
        arena_store(w + 3, WORD(G_CALL, slot));
        arena_store(w + 4, WORD(G_LOOP, w));
        arena_store(w + 5, WORD(G_SYSCALL, 0));
        arena_store(w + 6, WORD(G_JUMP, w));
    }
    for (unsigned i = 0; i < n; i++) {
        executors[i] = (Executor){ .index = i, .start = i * 16 };
        executor_start(&executors[i]);
    }
    torture_wait(executors, n);
    executors_stop(executors, n);
}

/* ---- spin: a jump to itself that another thread patches ---- */

void test_spin(void)
{
    unsigned n = threads_or(16);
    uint32_t w = SLOT_PAGE * PAGE_WORDS;
    torture_init(256 << 10);
    world.page_flags[SLOT_PAGE] |= PAGE_WRITE;
    arena_store(0, WORD(G_JUMP, w));
    arena_store(w, WORD(G_SPIN, 0));
    arena_store(w + 1, WORD(G_JUMP, 0));
    start_all(n, &(Executor){ .start = 0 });
    CPUState *cpu = cpu_create(&fake_guest);
    cpu_thread_init(cpu);
    time_t end = time(NULL) + opt.seconds;
    unsigned rounds = 0;
    /* At least so many that they mean something, on a busy machine too. */
    for (; rounds < 6 || time(NULL) < end; rounds++) {
        uint64_t before[MAX_THREADS];
        usleep(any(3000));
        for (unsigned i = 0; i < n; i++) {
            before[i] = __atomic_load_n(&executors[i].syscalls, __ATOMIC_RELAXED);
        }
        arena_store(w, WORD(G_SYSCALL, 0));
        if (rounds & 1) {
            tb_flush_icache(cpu, word_pc(w), word_pc(w + 1));
        } else {
            tb_invalidate_range(word_pc(w), word_pc(w + 1));
        }
        time_t patience = time(NULL) + 60;
        for (unsigned i = 0; i < n; i++) {
            while (__atomic_load_n(&executors[i].syscalls, __ATOMIC_RELAXED) ==
                   before[i]) {
                check(time(NULL) < patience,
                      "executor %u still spins in code that was patched", i);
                usleep(100);
            }
        }
        arena_store(w, WORD(G_SPIN, 0));
        tb_invalidate_range(word_pc(w), word_pc(w + 1));
    }
    cpu_destroy(cpu);
    executors_stop(executors, n);
    fprintf(stderr, "%u rounds\n", rounds);
}
