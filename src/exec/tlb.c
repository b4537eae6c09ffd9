/*
 * Flushing TLBs, and the jump caches that depend on what addresses mean.
 *
 * In system mode a vCPU has several jump caches, one for each combination of address space, flags and cflags
 * that was in use lately; a change of mode or process only changes which one counts
 * (HostEnv.jump_lines).  The owner alone gives them their meaning and fills lines; any thread may
 * clear lines of a block that it invalidates, in all of them [JC-FILL].
 *
 * A kernel's code lies in global pages: it has jump caches for all address spaces together (TLB_ALL_SPACES), which hold
 * no pc of another page, so that a new process does not begin with an empty one.
 *
 * Lines are keyed by virtual pc and so depend on translations: a flush of pages clears the lines of these pages,
 * in all caches.  `used` tells which lines there may be, so that flushes of data pages, most of all, cost little, and
 * a cache that gets another meaning is emptied without a look at all of it.
 *
 * A flush of all blocks drops the caches of vCPUs that do not run.  Such a vCPU's thread may be dropping some itself, for
 * a flush of its TLB: so `valid` and `used` are atomic.  Both only take away; only a vCPU that runs adds.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "exec/soft-mmu.h"
#include "util/error.h"
#include "util/futex.h"
#include "util/log.h"
#include "util/stats.h"

/* ---- jump caches ---- */

#define JUMP_LINES_SIZE (JUMP_CACHES * SYSTEM_JUMP_CACHE_SIZE * sizeof(JumpCacheEntry))

static JumpCacheEntry *cache_lines(CPUState *cpu, unsigned i)
{
    return cpu->jumps->lines + i * SYSTEM_JUMP_CACHE_SIZE;
}

void soft_mmu_create(CPUState *cpu)
{
    cpu->soft_tlb = aligned_alloc(64, (sizeof(SoftTLB) + 63) & ~(size_t)63);
    cpu->jumps = xcalloc(1, sizeof(*cpu->jumps));
    JumpCacheEntry *lines = mmap(NULL, JUMP_LINES_SIZE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!cpu->soft_tlb || lines == MAP_FAILED) {
        fatal("out of memory for a TLB");
    }
    soft_tlb_init(cpu->soft_tlb, &cpu->env, cpu->guest->kernel_mmu_modes);
    cpu->jumps->lines = lines;
    cpu->env.jump_lines = lines;
    for (unsigned i = 0; i < JUMP_CACHES; i++) {
        cache_lines(cpu, i)->pc = JUMP_CACHE_NONE;  /* 0 in any other line is nobody's, but this is the line for pc 0 */
    }
}

void soft_mmu_destroy(CPUState *cpu)
{
    soft_tlb_destroy(cpu->soft_tlb);
    free(cpu->soft_tlb);
    munmap(cpu->jumps->lines, JUMP_LINES_SIZE);
    free(cpu->jumps);
}

static inline bool is_valid(const JumpCache *c) { return __atomic_load_n(&c->valid, __ATOMIC_RELAXED); }
static inline void drop_cache(JumpCache *c) { __atomic_store_n(&c->valid, false, __ATOMIC_RELAXED); }

/* Clear lines for pcs in [start, last], as far as nwords words of `used` tell of them. */
static void drop_lines(CPUState *cpu, unsigned i, unsigned word, unsigned nwords, vaddr start, vaddr last)
{
    for (unsigned w = word; w < word + nwords; w++) {
        uint64_t *p = &cpu->jumps->cache[i].used[w], used = __atomic_load_n(p, __ATOMIC_RELAXED), left = used;
        for (uint64_t bits = used; bits; bits &= bits - 1) {
            unsigned group = w * 64 + (unsigned)__builtin_ctzll(bits);
            JumpCacheEntry *e = cache_lines(cpu, i) + group * JUMP_GROUP_LINES;
            bool empty = true;
            for (unsigned k = 0; k < JUMP_GROUP_LINES; k++) {
                vaddr pc = __atomic_load_n(&e[k].pc, __ATOMIC_RELAXED);
                if (pc - start <= last - start) {
                    __atomic_store_n(&e[k].pc, JUMP_CACHE_NONE, __ATOMIC_RELAXED);
                } else {
                    empty &= pc <= JUMP_CACHE_NONE;
                }
            }
            left &= empty ? ~(bits & -bits) : ~UINT64_C(0);
        }
        if (left != used) {
            __atomic_store_n(p, left, __ATOMIC_RELAXED);
        }
    }
}

static void clear_cache(CPUState *cpu, unsigned i)
{
    drop_lines(cpu, i, 0, array_size(cpu->jumps->cache[i].used), 0, ~UINT64_C(0));
}

void jump_caches_select(CPUState *cpu, uint32_t flags, uint32_t cflags, bool global)
{
    JumpCaches *j = cpu->jumps;
    uint64_t space = global ? TLB_ALL_SPACES : cpu->soft_tlb->current->id;
    JumpCache *best = &j->cache[j->current];
    if (likely(is_valid(best) && best->space == space && best->flags == flags && best->cflags == cflags)) {
        return;
    }
    best = &j->cache[0];
    for (JumpCache *c = j->cache; c < j->cache + JUMP_CACHES; c++) {
        if (is_valid(c) && c->space == space && c->flags == flags && c->cflags == cflags) {
            best = c;
            break;
        }
        if ((is_valid(c) ? c->last_used : 0) < (is_valid(best) ? best->last_used : 0)) {
            best = c;
        }
    }
    unsigned i = (unsigned)(best - j->cache);
    if (!is_valid(best) || best->space != space || best->flags != flags || best->cflags != cflags) {
        clear_cache(cpu, i);
        best->space = space;
        best->flags = flags;
        best->cflags = cflags;
        __atomic_store_n(&best->valid, true, __ATOMIC_RELAXED);
        stat_inc(STAT_JUMP_CACHES_CLEARED);
    }
    best->last_used = ++j->clock;
    j->current = i;
    cpu->env.jump_lines = cache_lines(cpu, i);
}

void tlb_select_flags(CPUState *cpu, uint32_t flags, uint32_t cflags, bool global)
{
    jump_caches_select(cpu, flags, cflags, global);
}

/* The present one is cleared at once: generated code may go on without another look-up. */
static void forget_cache(CPUState *cpu, unsigned i)
{
    if (i == cpu->jumps->current) {
        clear_cache(cpu, i);
    } else {
        drop_cache(&cpu->jumps->cache[i]);  /* cleared when it is used again */
    }
}

void jump_caches_clear(CPUState *cpu)
{
    for (unsigned i = 0; i < JUMP_CACHES; i++) {
        forget_cache(cpu, i);
    }
}

void jump_caches_drop_line(CPUState *cpu, vaddr pc)
{
    for (unsigned i = 0; i < JUMP_CACHES; i++) {
        uint64_t *line = &cache_lines(cpu, i)[jump_cache_system_index(pc)].pc, expected = pc;
        if (__atomic_load_n(line, __ATOMIC_RELAXED) == pc) {
            __atomic_compare_exchange_n(line, &expected, JUMP_CACHE_NONE, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        }
    }
}

JumpCacheEntry *jump_caches_line(CPUState *cpu, vaddr pc)
{
    unsigned i = jump_cache_system_index(pc), group = i / JUMP_GROUP_LINES;
    uint64_t *word = &cpu->jumps->cache[cpu->jumps->current].used[group / 64];
    __atomic_store_n(word, *word | 1ull << (group & 63), __ATOMIC_RELAXED);
    return &cpu->env.jump_lines[i];
}

enum { WORDS_PER_PAGE = JUMP_CACHE_PAGE_LINES / JUMP_GROUP_LINES / 64 };
_Static_assert(JUMP_CACHE_PAGE_LINES <= SYSTEM_JUMP_CACHE_SIZE, "a page's lines do not wrap around");

/* A block whose pc lies outside may end within: it is one instruction across the end of a page, whose lines are
   elsewhere. */
static void drop_page(CPUState *cpu, unsigned i, vaddr page)
{
    unsigned first = jump_cache_system_index(page) & ~(JUMP_CACHE_PAGE_LINES - 1);
    drop_lines(cpu, i, first / JUMP_GROUP_LINES / 64, WORDS_PER_PAGE, page, page + (GUEST_PAGE_SIZE - 1));
    uint64_t *across = &cache_lines(cpu, i)[jump_cache_system_index(page - 2)].pc;
    if (__atomic_load_n(across, __ATOMIC_RELAXED) == page - 2) {
        __atomic_store_n(across, JUMP_CACHE_NONE, __ATOMIC_RELAXED);
    }
}

static void jump_caches_drop_range(CPUState *cpu, vaddr start, vaddr last, uint64_t space)
{
    unsigned nwords = array_size(cpu->jumps->cache[0].used);
    start &= GUEST_PAGE_MASK;
    uint64_t pages = (last - start) >> GUEST_PAGE_BITS;
    for (unsigned i = 0; i < JUMP_CACHES; i++) {
        const JumpCache *c = &cpu->jumps->cache[i];
        if (!is_valid(c) || (space != TLB_ALL_SPACES && c->space != space)) {
            continue;
        }
        if (pages >= nwords / WORDS_PER_PAGE) {
            drop_lines(cpu, i, 0, nwords, start ? start - 2 : 0, last | (GUEST_PAGE_SIZE - 1));
            continue;
        }
        for (uint64_t k = 0; k <= pages; k++) {
            drop_page(cpu, i, start + (k << GUEST_PAGE_BITS));
        }
    }
}

/* ---- the owner's flushes ---- */

void tlb_set_space(CPUState *cpu, uint64_t space)
{
    soft_tlb_set_space(cpu->soft_tlb, space);
}

static void log_flush(CPUState *cpu, vaddr start, uint64_t size, uint64_t space)
{
    FILE *out = log_lock();
    fprintf(out, "mmu: flush of ");
    if (size == ~0ull) {
        fprintf(out, "all pages");
    } else {
        fprintf(out, "0x%" PRIx64 "+0x%" PRIx64, start, size);
    }
    if (space == TLB_ALL_SPACES) {
        fprintf(out, " in all spaces by CPU %d\n", cpu->cpu_index);
    } else {
        fprintf(out, " in space 0x%" PRIx64 " by CPU %d\n", space, cpu->cpu_index);
    }
    log_unlock();
}

void tlb_flush(CPUState *cpu)
{
    if (log_enabled(LOG_MMU)) {
        log_flush(cpu, 0, ~0ull, TLB_ALL_SPACES);
    }
    stat_inc(STAT_TLB_FLUSHES);
    soft_tlb_flush_all(cpu->soft_tlb);
    jump_caches_clear(cpu);
}

void tlb_flush_space(CPUState *cpu, uint64_t space)
{
    if (log_enabled(LOG_MMU)) {
        log_flush(cpu, 0, ~0ull, space);
    }
    stat_inc(STAT_TLB_FLUSHES);
    soft_tlb_flush_space(cpu->soft_tlb, space);
    for (unsigned i = 0; i < JUMP_CACHES; i++) {
        JumpCache *c = &cpu->jumps->cache[i];
        if (space == TLB_ALL_SPACES || c->space == space) {
            forget_cache(cpu, i);
        }
    }
}

void tlb_flush_range(CPUState *cpu, vaddr start, uint64_t size, uint64_t space)
{
    if (!size) {
        return;
    }
    if (log_enabled(LOG_MMU)) {
        log_flush(cpu, start, size, space);
    }
    vaddr last = start + (size - 1);
    if (last < start) {
        last = ~0ull;
    }
    stat_inc(STAT_TLB_PAGE_FLUSHES);
    soft_tlb_flush_range(cpu->soft_tlb, &start, &last, space);
    jump_caches_drop_range(cpu, start, last, space);
}

void tlb_print(FILE *out, CPUState *cpu)
{
    soft_tlb_print(out, cpu->soft_tlb);
}

/* ---- flushes of other vCPUs ---- */

/* The vCPU has been outside generated code since so many blocks were invalid. */
static void note_left(CPUState *cpu, uint64_t invalidations)
{
    uint64_t old = __atomic_load_n(&cpu->left, __ATOMIC_RELAXED);
    /* [QUIESCE] pairs with the load in flush_target(). */
    while (old < invalidations && !__atomic_compare_exchange_n(&cpu->left, &old, invalidations, true, __ATOMIC_RELEASE,
                                                               __ATOMIC_RELAXED)) {
    }
}

static void flush_now(CPUState *cpu, const TLBFlush *what)
{
    if (what->leave) {
        note_left(cpu, what->leave);
    } else if (what->all) {
        tlb_flush(cpu);
    } else if (what->size == ~0ull) {
        tlb_flush_space(cpu, what->space);
    } else {
        tlb_flush_range(cpu, what->start, what->size, what->space);
    }
}

static void flush_work(CPUState *cpu, void *data)
{
    flush_now(cpu, data);
    free(data);
}

void tlb_flush_async(CPUState *target, TLBFlush what)
{
    TLBFlush *copy = xmalloc(sizeof(*copy));
    *copy = what;
    async_run_on_cpu(target, flush_work, copy);
}

/*
 * A flush that its source waits for, in as many parts as there are targets. A target that sleeps is
 * left alone: it does its part before it runs guest code again.
 */
typedef struct FlushPart {
    struct SyncedFlush *flush;
    uint32_t state;     /* atomic [TLB-SYNC] */
} FlushPart;
enum { PART_QUEUED, PART_ALONE, PART_DONE };

typedef struct SyncedFlush {
    TLBFlush what;
    CPUState *src;
    uint32_t pending;   /* atomic [TLB-SYNC]: parts that the source waits for, and one while it counts them */
    uint32_t refs;      /* atomic [TLB-REFS]: the source's, and one for each part */
    FlushPart parts[];
} SyncedFlush;

static void flush_unref(SyncedFlush *f)
{
    /* [TLB-REFS] pairs with itself: the last one sees that the others are through. */
    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(f);
    }
}

static void count_down(SyncedFlush *f, FlushPart *p, uint32_t state)
{
    /* [TLB-SYNC] the first of the two, source and target, decides; pairs with tlb_flush_synced(). */
    if (__atomic_exchange_n(&p->state, state, __ATOMIC_ACQ_REL) == PART_QUEUED &&
        __atomic_sub_fetch(&f->pending, 1, __ATOMIC_RELEASE) == 0) {
        cpu_kick(f->src);
    }
}

static void synced_flush_work(CPUState *cpu, void *data)
{
    FlushPart *p = data;
    SyncedFlush *f = p->flush;
    flush_now(cpu, &f->what);
    count_down(f, p, PART_DONE);
    flush_unref(f);
}

static void flush_target(SyncedFlush *f, FlushPart *p, CPUState *target)
{
    uint64_t leave = f->what.leave;
    /* [QUIESCE] pairs with the store in note_left(). */
    if (leave && __atomic_load_n(&target->left, __ATOMIC_ACQUIRE) >= leave) {
        return;
    }
    p->flush = f;
    __atomic_fetch_add(&f->pending, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
    if (async_run_on_cpu_lazily(target, synced_flush_work, p)) {
        note_left(target, leave);
        count_down(f, p, PART_ALONE);
    }
}

void tlb_flush_synced(CPUState *src, CPUState *const *targets, unsigned n, TLBFlush what)
{
    SyncedFlush *f = xcalloc(1, sizeof(*f) + n * sizeof(f->parts[0]));
    *f = (SyncedFlush){ .what = what, .src = src, .pending = 1, .refs = 1 };
    bool was_running = src->running;
    for (unsigned i = 0; i < n; i++) {
        if (targets[i] == src || exec_ctx.config.one_thread) {
            flush_now(targets[i], &what);   /* nobody else runs that one meanwhile */
        } else {
            flush_target(f, &f->parts[i], targets[i]);
        }
    }
    __atomic_fetch_sub(&f->pending, 1, __ATOMIC_RELAXED);
    if (was_running) {
        cpu_exec_end(src);
    }
    bool kicked = false;
    /* [TLB-SYNC] pairs with the count in count_down(): the flushes are complete. */
    while (__atomic_load_n(&f->pending, __ATOMIC_ACQUIRE)) {
        kicked |= cpu_wait(src, ~0ull);
        cpu_answer_kick(src);
    }
    flush_unref(f);
    if (was_running) {
        cpu_exec_start(src);
    }
    if (kicked) {
        cpu_kick(src);      /* what else was meant is for cpu_exec() to see */
    }
}

void tlb_fence_i_synced(CPUState *src, CPUState *const *targets, unsigned n)
{
    cpu_exec_start(src);
    settle_verify(src);
    cpu_exec_end(src);
    /* [QUIESCE] pairs with the count in tb_invalidate_locked(). */
    uint64_t invalidations = __atomic_load_n(&exec_ctx.invalidations, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&exec_ctx.quiesced, __ATOMIC_ACQUIRE /* [QUIESCE] */) < invalidations) {
        tlb_flush_synced(src, targets, n, (TLBFlush){ .leave = invalidations });
    }
}
