/*
 * Taking blocks out of circulation.
 *
 * One block is invalidated under the locks of all its pages, which makes it happen once
 * (until it is revived, see dormant.c).  A vCPU that runs the block may finish it; its memory stays as it is until the next flush,
 * which runs with all vCPUs stopped and starts over with an empty buffer.
 *
 * A thread that is not running (a system call that unmaps code) is not stopped by an exclusive
 * section, and must not see the memory of blocks reused under its hands either: it holds
 * invalidate_lock while it walks, and so does a flush.
 *
 * Whoever must know that all vCPUs have left what is invalid compares two numbers: blocks
 * invalidated so far, and those of them that a moment with all vCPUs stopped has followed. [QUIESCE]
 *
 * fence.i is where the guest asks for coherence with stores to code (the architecture
 * promises nothing earlier).  Blocks of volatile pages carry a copy of the bytes they were
 * made from; what still agrees with memory stays.
 */
#include "exec/tb.h"
#include "mem/memory.h"
#include "util/error.h"
#include "util/stats.h"

static void jump_caches_drop(const TranslationBlock *tb)
{
    unsigned i = jump_cache_index(tb->pc);
    mutex_lock(&exec_ctx.cpu_list_lock);
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        if (cpu->jumps) {
            jump_caches_drop_line(cpu, tb->pc);
            continue;
        }
        uint64_t pc = tb->pc;
        __atomic_compare_exchange_n(&cpu->env.jump_cache[i].pc, &pc, JUMP_CACHE_NONE, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
    mutex_unlock(&exec_ctx.cpu_list_lock);
}

static void tb_mark_invalid(TranslationBlock *tb)
{
    spin_lock(&tb->jmp_lock);
    braid_assert(!tb->invalid);
    __atomic_store_n(&tb->invalid, 1, __ATOMIC_RELAXED);
    spin_unlock(&tb->jmp_lock);
}

/* A block that look-ups no longer find goes out of its pages, all jump caches, and jumps nowhere. */
static void tb_detach_locked(TranslationBlock *tb)
{
    for (unsigned n = 0; n < 2 && tb->page[n] != NO_PAGE; n++) {
        page_remove_tb_locked(page_get_alloc(tb->page[n]), tb);
    }
    /* [JC-FILL] pairs with the fence in jump_cache_fill(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    jump_caches_drop(tb);
    tb_unlink_outgoing(tb);
}

/* The last step: nothing leads to the block any more. */
static void tb_count_invalid(const TranslationBlock *tb)
{
    if (tb->has_loop) {
        exec_kick_all();
    }
    /* [QUIESCE] pairs with the load in start_exclusive(). */
    __atomic_fetch_add(&exec_ctx.invalidations, 1, __ATOMIC_RELEASE);
}

void tb_invalidate_locked(TranslationBlock *tb)
{
    tb_mark_invalid(tb);
    bool found = qht_remove(&exec_ctx.blocks, tb, tb->hash);
    braid_assert(found);
    tb_detach_locked(tb);
    tb_unlink_incoming(tb);
    tb_count_invalid(tb);
    stat_inc(STAT_INVALIDATIONS);
}

/*
 * The table changes first, in one step, so that no look-up is without a block.  Jumps into the old
 * one and jump cache lines are good until they are moved: its bytes have not changed.  A vCPU inside
 * may stay there, as in a block that was invalidated, and is kicked out of a loop.
 */
void tb_replace_locked(TranslationBlock *old, TranslationBlock *tb)
{
    bool found = qht_replace(&exec_ctx.blocks, old, tb, old->hash);
    braid_assert(found && tb->hash == old->hash);
    tb_mark_invalid(old);
    tb_detach_locked(old);
    tb_move_incoming(old, tb);
    tb_count_invalid(old);
    stat_inc(STAT_REPLACEMENTS);
}

/* Physical address of a byte of the block's code. */
static hwaddr tb_phys(const TranslationBlock *tb, vaddr pc)
{
    if ((pc ^ tb->pc) >> GUEST_PAGE_BITS == 0) {
        return tb->phys_pc + (pc - tb->pc);
    }
    return tb->second_page << GUEST_PAGE_BITS | (pc & (GUEST_PAGE_SIZE - 1));
}

const uint8_t *tb_host_byte(const TranslationBlock *tb, vaddr pc)
{
    return memory_ram_host(tb_phys(tb, pc), 1);
}

/* System mode: the same with physical addresses, page by page. */
static bool tb_overlaps_phys(const TranslationBlock *tb, hwaddr start, hwaddr end)
{
    for (unsigned i = 0; i < tb->nsegments; i++) {
        vaddr pc = tb->segments[i].pc, last = pc + tb->segments[i].len;
        while (pc < last) {
            vaddr stop = (pc | (GUEST_PAGE_SIZE - 1)) + 1;
            stop = stop - pc < last - pc ? stop : last;
            hwaddr pa = tb_phys(tb, pc);
            if (pa < end && start < pa + (stop - pc)) {
                return true;
            }
            pc = stop;
        }
    }
    return false;
}

/* Does the block have bytes in [start, end)? */
static bool tb_overlaps(const TranslationBlock *tb, vaddr start, vaddr end)
{
    if (exec_ctx.config.system_mode) {
        return tb_overlaps_phys(tb, start, end);
    }
    for (unsigned i = 0; i < tb->nsegments; i++) {
        const TBSegment *s = &tb->segments[i];
        if (s->pc < end && start < s->pc + s->len) {
            return true;
        }
    }
    return false;
}

typedef struct InvalidateWalk {
    CPUState *cpu;
    vaddr start, end;
    bool verify;        /* only blocks whose bytes have changed */
} InvalidateWalk;

/* One block that the walk is for, under the locks of its pages. */
static void walk_invalidate_locked(const InvalidateWalk *w, TranslationBlock *tb)
{
    tb_invalidate_locked(tb);
    /* The bytes of a range may be as they were when they are executed next; what a walk that
       compares has found is known not to be. */
    if (tb->guest_bytes && !w->verify) {
        tb_lay_dormant_locked(tb);
    }
}

/*
 * Invalidate the matching blocks of one page.  A block may also hang in a neighbour page with
 * a lower number; then both locks are needed, in order: collect the partner page first.
 */
static void page_invalidate(PageDesc *pd, InvalidateWalk *w)
{
    /* [PAGE-USED] The list may be empty only because a translation is still under way: then
       its lock is waited for. */
    if (!__atomic_load_n(&pd->used, __ATOMIC_RELAXED)) {
        return;
    }
restart:
    mutex_lock_ordered(&pd->lock, pd->number);
    for (uintptr_t link = pd->first_tb, next; link; link = next) {
        TranslationBlock *tb = PAGE_TB(link);
        unsigned n = PAGE_TB_INDEX(link);
        next = tb->page_next[n];
        if (!tb_overlaps(tb, w->start, w->end) ||
            (w->verify && (!tb->guest_bytes || tb_bytes_unchanged(w->cpu, tb)))) {
            continue;
        }
        pd->keep_bytes = true;
        PageDesc *other = tb->page[1] == NO_PAGE ? NULL : page_get_alloc(tb->page[!n]);
        if (!other) {
            walk_invalidate_locked(w, tb);
        } else if (other->number > pd->number) {
            mutex_lock_ordered(&other->lock, other->number);
            walk_invalidate_locked(w, tb);
            mutex_unlock(&other->lock);
        } else {
            mutex_unlock(&pd->lock);
            mutex_lock_ordered(&other->lock, other->number);
            mutex_lock_ordered(&pd->lock, pd->number);
            /* While no lock was held another thread may have done it; the block's memory is
               still there, for there was no flush: this thread runs or has the invalidate_lock. */
            if (!tb->invalid) {
                walk_invalidate_locked(w, tb);
            }
            mutex_unlock(&pd->lock);
            mutex_unlock(&other->lock);
            goto restart;
        }
    }
    mutex_unlock(&pd->lock);
}

bool tb_invalidate_written(hwaddr pa, unsigned size)
{
    InvalidateWalk w = { .start = pa, .end = pa + size };
    /* [PAGE-USED] pairs with the fence in page_mark_used(): the store comes before. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    PageDesc *pd = page_get_alloc(pa >> GUEST_PAGE_BITS);
    if (!__atomic_load_n(&pd->used, __ATOMIC_RELAXED)) {
        return true;
    }
    page_invalidate(pd, &w);
    mutex_lock_ordered(&pd->lock, pd->number);
    bool empty = !pd->first_tb;
    if (empty) {
        __atomic_store_n(&pd->used, 0, __ATOMIC_RELAXED);
    }
    mutex_unlock(&pd->lock);
    return empty;
}

void page_verify(CPUState *cpu, PageDesc *pd)
{
    InvalidateWalk w = { .cpu = cpu, .end = ~0ull, .verify = true };
    page_invalidate(pd, &w);
}

static bool page_invalidate_visit(uint64_t key, void *elem, void *opaque)
{
    page_invalidate(elem, opaque);
    return true;
}

static void invalidate_walk(InvalidateWalk *w)
{
    /* [PAGE-USED] pairs with the fence in page_mark_used(): the caller's changes come before. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    radix_foreach_range(&exec_ctx.pages, w->start >> GUEST_PAGE_BITS, (w->end - 1) >> GUEST_PAGE_BITS,
                        page_invalidate_visit, w);
}

void tb_invalidate_range(vaddr start, vaddr end)
{
    if (start >= end) {
        return;
    }
    InvalidateWalk w = { .start = start, .end = end };
    mutex_lock(&exec_ctx.invalidate_lock);
    invalidate_walk(&w);
    mutex_unlock(&exec_ctx.invalidate_lock);
}

void tb_verify_volatile(CPUState *cpu)
{
    InvalidateWalk w = { .cpu = cpu, .end = ~0ull, .verify = true };
    /* [PAGE-USED] as in invalidate_walk(); pairs with page_mark_volatile_locked() too. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* [VOLATILE-LIST] pairs with the push in page_mark_volatile_locked(). */
    PageDesc *pd = __atomic_load_n(&exec_ctx.volatile_pages, __ATOMIC_ACQUIRE);
    for (; pd; pd = pd->next_volatile) {
        page_invalidate(pd, &w);
    }
}

void tb_flush_icache(CPUState *cpu, vaddr start, vaddr end)
{
    mutex_lock(&exec_ctx.invalidate_lock);
    if (start < end) {
        InvalidateWalk w = { .cpu = cpu, .start = start, .end = end, .verify = true };
        invalidate_walk(&w);
    } else {
        tb_verify_volatile(cpu);
    }
    mutex_unlock(&exec_ctx.invalidate_lock);
    tb_quiesce(cpu);
}

void tb_quiesce(CPUState *cpu)
{
    ExecContext *x = &exec_ctx;
    if (!__atomic_load_n(&x->parallel, __ATOMIC_RELAXED) || (cpu && cpu->in_exclusive)) {
        return;
    }
    /* The blocks may have been invalidated by another thread, before this one looked; so it is
       not enough to wait when we found any ourselves. */
    uint64_t invalidations = __atomic_load_n(&x->invalidations, __ATOMIC_RELAXED);
    /* [QUIESCE] pairs with the store in start_exclusive(). */
    if (__atomic_load_n(&x->quiesced, __ATOMIC_ACQUIRE) < invalidations) {
        start_exclusive(cpu);
        end_exclusive(cpu);
    }
}

static bool page_forget_blocks(uint64_t key, void *elem, void *opaque)
{
    PageDesc *pd = elem;
    if (pd->first_tb || pd->dormant) {  /* write only what needs it: a child of fork() shares the rest */
        pd->first_tb = 0;
        pd->dormant = NULL;
    }
    return true;
}

/* All other vCPUs are stopped and hold no lock of exec/; invalidate_lock keeps out the rest. */
void tb_flush_exclusive(void)
{
    ExecContext *x = &exec_ctx;
    mutex_lock(&x->invalidate_lock);
    qht_reset(&x->blocks);
    qht_reclaim(&x->blocks);
    radix_foreach_range(&x->pages, 0, (1ull << (64 - GUEST_PAGE_BITS)) - 1, page_forget_blocks, NULL);
    for (CPUState *cpu = x->cpus; cpu; cpu = cpu->next_cpu) {
        jump_cache_clear(cpu);
    }
    code_regions_reset_exclusive();
    mutex_unlock(&x->invalidate_lock);
    stat_inc(STAT_FLUSHES);
}

void tb_flush(CPUState *cpu)
{
    if (cpu && cpu->in_exclusive) {
        tb_flush_exclusive();
        return;
    }
    start_exclusive(cpu);
    tb_flush_exclusive();
    end_exclusive(cpu);
}

void exec_set_parallel(CPUState *cpu)
{
    if (__atomic_load_n(&exec_ctx.parallel, __ATOMIC_RELAXED)) {
        return;
    }
    tb_flush(cpu);
    __atomic_store_n(&exec_ctx.parallel, 1, __ATOMIC_RELAXED);
}
