/*
 * Replacement of published blocks under torture: all the time, by whoever finds one hot or
 * feels like it, while others run them, link to them, and look them up.
 */
#include <stdio.h>
#include <unistd.h>

#include "exec/tb.h"
#include "torture.h"
#include "util/stats.h"

enum { MAX_THREADS = 64, MAX_KEYS = 4096, PAGES = 20 };

static Executor executors[MAX_THREADS];
static bool only_replaced;      /* nothing is invalidated, so a key that was there stays */
static uint64_t given_up;       /* atomic: replacements of blocks that were gone */

static void replace(CPUState *cpu, TranslationBlock *old)
{
    TranslationBlock *tb = tb_retranslate(cpu, old);
    if (!tb) {
        __atomic_fetch_add(&given_up, 1, __ATOMIC_RELAXED);
        return;
    }
    check(tb != old && tb->pc == old->pc && tb->flags == old->flags && tb->cflags == old->cflags,
          "not a replacement");
}

static void replace_hot(CPUState *cpu, TranslationBlock *tb)
{
    replace(cpu, tb);
}

/* On a vCPU that runs: any block that there is. */
static void replace_any(CPUState *cpu, void *data)
{
    FakeCPU *c = (FakeCPU *)cpu;
    for (unsigned tries = 200; tries; tries--) {
        TBKey key = tb_key_user(word_pc(any(PAGES * PAGE_WORDS)), c->flags, CF_PARALLEL | CF_COUNT);
        TranslationBlock *tb = tb_find_qht(&key);
        if (tb) {
            chaos();
            replace(cpu, tb);
            return;
        }
    }
}

static void on_syscall(Executor *e)
{
    CPUState *cpu = &e->cpu->parent;
    uint32_t w = any(PAGES * PAGE_WORDS);
    if (any(4) == 0) {
        async_run_on_cpu(cpu, replace_any, NULL);
    }
    if (only_replaced) {
        return;
    }
    switch (any(64)) {
    case 0: case 1: case 2: tb_invalidate_range(word_pc(w), word_pc(w + any(300))); break;
    case 3: tb_flush_icache(cpu, 0, 0); break;
    case 4: e->cpu->flags = any(2); break;
    case 5: tb_quiesce(cpu); break;
    default: break;
    }
}

/* ---- who looks a key up that was there finds it, and one ---- */

static void *watcher_main(void *opaque)
{
    static TBKey key[MAX_KEYS];
    unsigned n = 0;
    uint32_t flush_count = 0;
    uint64_t *found = opaque;
    while (!stopping()) {
        mutex_lock(&exec_ctx.invalidate_lock);      /* against a flush */
        if (flush_count != exec_ctx.flush_count) {
            flush_count = exec_ctx.flush_count;
            n = 0;
        }
        for (unsigned i = 0; i < 100; i++) {
            TBKey k = tb_key_user(word_pc(any(PAGES * PAGE_WORDS)), 0, CF_PARALLEL | CF_COUNT);
            if (n < MAX_KEYS && tb_find_qht(&k)) {
                key[n++] = k;
            }
            if (n) {
                check(tb_find_qht(&key[any(n)]), "a look-up found neither the old block nor the new one");
                ++*found;
            }
        }
        mutex_unlock(&exec_ctx.invalidate_lock);
    }
    return NULL;
}

/* ---- when all has stopped ---- */

static void check_valid(const TranslationBlock *tb)
{
    TBKey key = tb_key_user(tb->pc, tb->flags, tb->cflags);
    check(tb_find_qht(&key) == tb, "two blocks have the same key");
    for (const TBExit *e = tb->incoming; e; e = e->next_incoming) {
        check(e->dest == (uintptr_t)tb, "a jump is in the list of a block that it does not lead to");
    }
}

static void check_exits(const TranslationBlock *tb)
{
    for (unsigned i = 0; i < tb->nexits; i++) {
        uintptr_t dest = tb->exits[i].dest;
        const uint8_t *field = tb->exits[i].field, *target = field + *(const int32_t *)field;
        const uint8_t *linked = dest && !tb->invalid ? ((const TranslationBlock *)dest)->code : NULL;
        check(target == (!linked ? tb->exits[i].stub : linked),
              "a jump does not lead to where its exit is linked to");
        if (tb->invalid) {
            check(dest & EXIT_DYING, "an invalid block's exit can be linked");
        } else if (dest) {
            const TranslationBlock *to = (const TranslationBlock *)dest;
            check(!to->invalid && to->pc == tb->exits[i].pc, "a jump leads to an invalid block");
        }
    }
}

static void check_everything(void)
{
    unsigned in_pages = 0, n_valid = 0;
    for (uint32_t i = 0; i < exec_ctx.next_region; i++) {
        for (uint32_t k = 0; k < exec_ctx.regions[i].nblocks; k++) {
            const TranslationBlock *tb = exec_ctx.regions[i].index[k];
            check_exits(tb);
            if (!tb->invalid) {
                check_valid(tb);
                n_valid++;
            }
        }
    }
    for (unsigned p = 0; p < ARENA_PAGES; p++) {
        const PageDesc *pd = page_get_alloc(word_pc(p * PAGE_WORDS) >> GUEST_PAGE_BITS);
        for (uintptr_t link = pd->first_tb; link; link = PAGE_TB(link)->page_next[PAGE_TB_INDEX(link)]) {
            check(!PAGE_TB(link)->invalid, "an invalid block is in a page's list");
            in_pages += PAGE_TB_INDEX(link) == 0;
        }
    }
    check(in_pages == n_valid && qht_count(&exec_ctx.blocks) == n_valid,
          "%u valid blocks, %zu in the table, %u in the pages", n_valid, qht_count(&exec_ctx.blocks),
          in_pages);
}

void test_replace(void)
{
    unsigned n = opt.threads && opt.threads < MAX_THREADS ? opt.threads : 12;
    uint64_t found = 0;
    pthread_t watcher = 0;
    opt.on_hot = replace_hot;
    only_replaced = opt.seed % 2;
    /* In a small buffer the block to be replaced is often gone before there is room. */
    torture_init(only_replaced || opt.seed % 4 == 0 ? 8 << 20 : 256 << 10);
    program_graph(0, PAGES, false);
    for (unsigned p = 1; p < PAGES; p += 3) {
        world.page_flags[p] |= PAGE_WRITE;
    }
    for (unsigned i = 0; i < n; i++) {
        executors[i] = (Executor){ .index = i, .on_syscall = on_syscall, .check_model = true };
        executor_start(&executors[i]);
    }
    if (only_replaced) {
        watcher = thread_start(watcher_main, &found);
    }
    torture_wait(executors, n);
    TORTURE_WAIT_UNTIL(stat_read(STAT_REPLACEMENTS) > 100, "hardly any replacements");
    TORTURE_WAIT_UNTIL(stat_read(STAT_HOT_BLOCKS) > 0, "no block became hot");
    executors_stop(executors, n);
    if (only_replaced) {
        thread_join(watcher);
        check(found, "nothing was looked up");
    }
    check_everything();
    fprintf(stderr, "%llu replacements, %llu too late, %llu look-ups, %llu invalidations\n",
            (unsigned long long)stat_read(STAT_REPLACEMENTS), (unsigned long long)given_up,
            (unsigned long long)found, (unsigned long long)stat_read(STAT_INVALIDATIONS));
}
