/*
 * From a guest pc to a published TranslationBlock:
 *
 *   lock pages, fetch -> guest->translate() -> opt_run() -> host_compile() -> publish
 *
 * Any number of threads do this at once, each with its own context, arena and code region.
 * The locks of the block's pages are held from reading their bytes until the block is
 * published or dropped, so that nothing that changes the bytes and then invalidates the range can slip in between.
 * Pages are locked in ascending order; a superblock that wants to go on in a lower page tries
 * that lock and simply ends where it is if somebody has it.
 *
 * Two threads after the same block: the second waits for the page lock and then finds the
 * first one's; should both get as far as the table, the insertion decides.
 */
#include <stdlib.h>
#include <string.h>

#include "exec/debug.h"
#include "exec/interp-run.h"
#include "exec/soft-mmu.h"
#include "ir/gen.h"
#include "mem/memory.h"
#include "opt/opt.h"
#include "util/bitops.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/log.h"
#include "util/stats.h"

#define DEFAULT_MAX_INSNS 64
#define TB_MAX_BYTES 1024
#define READ_AHEAD 64
#define CODE_ALIGN 16

/* One translation under way. */
typedef struct TBBuild {
    TranslateContext tc;        /* first: fetch() gets here from it */
    TBKey key;
    bool needs_second;          /* system mode: the first instruction goes on in the next page */
    TranslationBlock *replaces; /* the block whose place the new one takes; NULL: there is none */
    PageDesc *pages[2];         /* locked; in order of use */
    unsigned npages;
    bool keep_bytes;            /* bytes may change unseen, or the block may be revived */
    bool fault;                 /* the byte at fault_addr cannot be executed */
    vaddr fault_addr;
    TBSegment segments[TB_MAX_SEGMENTS];
    uint32_t seg_offset[TB_MAX_SEGMENTS];   /* in bytes[] */
    unsigned nsegments;
    uint32_t nread;             /* bytes of the last segment that are in bytes[], some of them ahead */
    uint8_t bytes[TB_MAX_BYTES];
} TBBuild;

/* Bytes of all segments together. */
static uint32_t build_nbytes(const TBBuild *bld)
{
    unsigned n = bld->nsegments;
    return n ? bld->seg_offset[n - 1] + bld->segments[n - 1].len : 0;
}

/* ---- fetching guest code ---- */

/*
 * System mode: a unit has the page of its pc; only its first instruction may go on in the
 * next one, which is known and locked before, or asked for.
 */
static bool build_enter_page_system(TBBuild *bld, uint64_t number)
{
    uint64_t first = bld->key.pc >> GUEST_PAGE_BITS;
    if (number == first) {
        return true;
    }
    /* At the top of the address space the next page is page 0. */
    bool next = number == ((first + 1) & (NO_PAGE >> GUEST_PAGE_BITS)) && bld->tc.ninsns == 0;
    bld->needs_second = next && bld->key.second_page == NO_PAGE;
    return next && !bld->needs_second;
}

static void build_lock_page(TBBuild *bld, uint64_t number)
{
    PageDesc *pd = page_get_alloc(number);
    mutex_lock_ordered(&pd->lock, number);
    bld->pages[bld->npages++] = pd;
    if (soft_mmu_protect_code(bld->tc.cpu, pd)) {
        page_unsettle_locked(pd);
    }
    bld->keep_bytes |= pd->keep_bytes || pd->unsettled;
}

/* System mode: lock all pages of the unit, and see that stores to them will be noticed. */
static void build_lock_pages(TBBuild *bld)
{
    uint64_t first = bld->key.phys_pc >> GUEST_PAGE_BITS, second = bld->key.second_page;
    if (second < first) {
        build_lock_page(bld, second);
    }
    build_lock_page(bld, first);
    if (second != NO_PAGE && second > first) {
        build_lock_page(bld, second);
    }
}

/* Lock the page if need be, and see that it may be executed. */
static bool build_enter_page(TBBuild *bld, uint64_t number)
{
    if (bld->tc.system_mode) {
        return build_enter_page_system(bld, number);
    }
    for (unsigned i = 0; i < bld->npages; i++) {
        if (bld->pages[i]->number == number) {
            return true;
        }
    }
    if (bld->npages == 2) {
        return false;
    }
    PageDesc *pd = page_get_alloc(number);
    page_mark_used(pd);
    if (bld->npages == 0 || number > bld->pages[0]->number) {
        mutex_lock_ordered(&pd->lock, number);
    } else if (!mutex_trylock_ordered(&pd->lock, number)) {
        return false;
    }
    unsigned flags = exec_ctx.config.page_flags(number << GUEST_PAGE_BITS);
    if (!(flags & PAGE_EXEC)) {
        mutex_unlock(&pd->lock);
        bld->fault = true;
        bld->fault_addr = number << GUEST_PAGE_BITS;
        return false;
    }
    bld->pages[bld->npages++] = pd;
    /* Memory without a file behind it that holds code is a run-time compiler's. */
    bld->keep_bytes |= pd->keep_bytes || (flags & PAGE_ANON);
    if (flags & (PAGE_WRITE | PAGE_SHARED)) {
        bld->keep_bytes = true;
        page_mark_volatile_locked(pd);
    }
    return true;
}

static void build_leave_pages(TBBuild *bld)
{
    while (bld->npages) {
        mutex_unlock(&bld->pages[--bld->npages]->lock);
    }
}

static bool build_copy(TBBuild *bld, uint8_t *to, vaddr at, size_t n)
{
    const TBKey *k = &bld->key;
    if (!bld->tc.system_mode) {
        return exec_copy_from_guest(bld->tc.cpu, to, at, n);
    }
    bool first = (at ^ k->pc) >> GUEST_PAGE_BITS == 0;
    hwaddr page = first ? k->phys_pc & GUEST_PAGE_MASK : k->second_page << GUEST_PAGE_BITS;
    const uint8_t *from = memory_ram_host(page | (at & (GUEST_PAGE_SIZE - 1)), n);
    for (size_t i = 0; from && i < n; i++) {    /* other vCPUs may store there */
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
    return from != NULL;
}

/*
 * A block for this key that was invalidated and agrees with memory after all: use it again.  The page
 * of pc is locked and executable.  NULL if there is none.
 */
static TranslationBlock *build_revive(TBBuild *bld)
{
    const TranslateContext *tc = &bld->tc;
    TranslationBlock *tb = page_take_dormant_locked(bld->pages[0], &bld->key);
    bool all_locked = tc->system_mode;
    if (!tb || (!all_locked && tb->page[1] != NO_PAGE && !build_enter_page(bld, tb->page[1]))) {
        return NULL;
    }
    if (tb_bytes_unchanged(tc->cpu, tb)) {
        tb_revive_locked(tb, bld->pages);
        return tb;
    }
    if (!all_locked && bld->npages == 2) {  /* the new block may go elsewhere */
        mutex_unlock(&bld->pages[--bld->npages]->lock);
    }
    return NULL;
}

/*
 * Have the bytes of the open segment up to `end` in bytes[], and some more of the same page
 * while at it: READ_AHEAD at a time.
 */
static bool build_read(TBBuild *bld, const TBSegment *s, vaddr end)
{
    uint32_t offset = bld->seg_offset[bld->nsegments - 1];
    while (s->pc + bld->nread < end) {
        vaddr at = s->pc + bld->nread;
        if (!build_enter_page(bld, at >> GUEST_PAGE_BITS)) {
            if (bld->fault && bld->fault_addr < at) {
                bld->fault_addr = at;
            }
            return false;
        }
        uint64_t n = (at | (GUEST_PAGE_SIZE - 1)) + 1 - at;
        n = n < READ_AHEAD ? n : READ_AHEAD;
        if (offset + bld->nread + n > TB_MAX_BYTES) {
            return false;
        }
        if (!build_copy(bld, bld->bytes + offset + bld->nread, at, n)) {
            bld->fault = true;
            bld->fault_addr = at;
            return false;
        }
        bld->nread += n;
    }
    return true;
}

static uint32_t read_insn(const uint8_t *p, unsigned size)
{
    uint16_t half;
    uint32_t word = 0;
    if (size == 2) {
        memcpy(&half, p, 2);
        return half;
    }
    memcpy(&word, p, 4);
    return word;
}

/* Open a segment at pc if it does not go on in the last one, and have its bytes. */
static attr_noinline TBSegment *build_fetch_slow(TBBuild *bld, vaddr pc, unsigned size)
{
    TBSegment *s = bld->nsegments ? &bld->segments[bld->nsegments - 1] : NULL;
    if (!s || pc < s->pc || pc > s->pc + s->len) {
        if (bld->nsegments == TB_MAX_SEGMENTS) {
            return NULL;
        }
        bld->seg_offset[bld->nsegments] = build_nbytes(bld);
        bld->nread = 0;
        s = &bld->segments[bld->nsegments++];
        *s = (TBSegment){ .pc = pc };
    }
    return build_read(bld, s, pc + size) ? s : NULL;
}

static bool build_fetch(TranslateContext *tc, vaddr pc, unsigned size, uint32_t *insn, bool *fault)
{
    TBBuild *bld = container_of(tc, TBBuild, tc);
    TBSegment *s = bld->nsegments ? &bld->segments[bld->nsegments - 1] : NULL;
    bld->fault = false;         /* of an earlier fetch, which the front end did without */
    if (!s || pc - s->pc > s->len || pc - s->pc + size > bld->nread) {
        s = build_fetch_slow(bld, pc, size);
        if (!s) {
            *fault = bld->fault;
            return false;
        }
    }
    uint32_t at = (uint32_t)(pc - s->pc);
    if (s->len < at + size) {
        s->len = at + size;
    }
    *insn = read_insn(bld->bytes + bld->seg_offset[bld->nsegments - 1] + at, size);
    return true;
}

static bool build_exists(TranslateContext *tc, vaddr pc)
{
    TBKey key = tb_key_user(pc, tc->flags, tc->cflags);
    if (tc->system_mode) {
        const TBBuild *bld = container_of(tc, TBBuild, tc);
        if ((pc ^ bld->key.pc) >> GUEST_PAGE_BITS) {
            return false;       /* not to be followed anyway */
        }
        key.phys_pc = bld->key.phys_pc + (pc - bld->key.pc);
    }
    return tb_find_qht(&key) != NULL;
}

/* ---- logging ---- */

static void log_guest_code(const TBBuild *bld)
{
    FILE *out = log_lock();
    fprintf(out, "----------------\nIN: 0x%016" PRIx64 "\n", bld->tc.pc_first);
    for (unsigned i = 0; i < bld->nsegments; i++) {
        const TBSegment *s = &bld->segments[i];
        for (uint32_t at = 0; at < s->len;) {
            char text[128];
            const uint8_t *p = bld->bytes + bld->seg_offset[i] + at;
            unsigned len = bld->tc.cpu->guest->disas(s->pc + at, p, s->len - at, text, sizeof(text));
            uint32_t raw = 0;
            memcpy(&raw, p, len < 4 ? len : 4);
            fprintf(out, "0x%016" PRIx64 ":  %0*x%*s%s\n", s->pc + at, (int)(2 * len), raw,
                    (int)(12 - 2 * len), "", text);
            at += len ? len : s->len;
        }
    }
    fputc('\n', out);
    log_unlock();
}

static void log_ir(const IRFunc *f, const char *title)
{
    FILE *out = log_lock();
    fprintf(out, "%s:\n", title);
    ir_print(out, f);
    fputc('\n', out);
    log_unlock();
}

static void log_host_code(const uint8_t *code, size_t size)
{
    FILE *out = log_lock();
    fprintf(out, "OUT: [size=%zu]\n", size);
    host_disas(out, code, size);
    fputc('\n', out);
    log_unlock();
}

/* ---- publishing ---- */

/* Where a region's pointers were before a block, to hand its space back. */
typedef struct RegionMark {
    uint8_t *code_ptr, *data_ptr;
} RegionMark;

static void *copy_array(CodeRegion *r, const void *from, size_t size)
{
    void *to = code_region_alloc_data(r, size);
    if (to && size) {       /* nothing may come from a null pointer */
        memcpy(to, from, size);
    }
    return to;
}

/* Fill in what a block keeps beside its code.  False: the region is full. */
static bool tb_fill(TranslationBlock *tb, CodeRegion *r, const TBBuild *bld, const HostCode *hc)
{
    tb->exits = code_region_alloc_data(r, hc->nexits * sizeof(TBExit));
    tb->segments = copy_array(r, bld->segments, bld->nsegments * sizeof(TBSegment));
    tb->recovery = copy_array(r, hc->recovery, hc->recovery_size);
    if (bld->keep_bytes) {
        tb->guest_bytes = copy_array(r, bld->bytes, build_nbytes(bld));
    }
    if (!tb->exits || !tb->segments || !tb->recovery || (bld->keep_bytes && !tb->guest_bytes)) {
        return false;
    }
    tb->nsegments = bld->nsegments;
    tb->recovery_size = hc->recovery_size;
    tb->nexits = hc->nexits;
    for (uint32_t i = 0; i < hc->nexits; i++) {
        const HostCodeExit *x = &hc->exits[i];
        tb->exits[i] = (TBExit){
            .tb = tb,
            .pc = x->pc,
            .field = hc->code + x->patch_offset,
            .stub = hc->code + x->stub_offset,
        };
    }
    return true;
}

/* Make the block visible to all threads; returns it, or the one that was there first. */
static TranslationBlock *tb_publish(TranslationBlock *tb, CodeRegion *r, TBBuild *bld, RegionMark mark)
{
    /* [REGION-INDEX] pairs with the load in tb_find_by_host_pc(). */
    r->index[r->nblocks] = tb;
    __atomic_store_n(&r->nblocks, r->nblocks + 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < bld->npages; i++) {
        page_add_tb_locked(bld->pages[i], tb, i);
    }
    void *winner;
    if (bld->replaces) {
        tb_replace_locked(bld->replaces, tb);
    } else if (!qht_insert(&exec_ctx.blocks, tb, tb->hash, &winner)) {
        for (unsigned i = 0; i < bld->npages; i++) {
            page_remove_tb_locked(bld->pages[i], tb);
        }
        __atomic_store_n(&r->nblocks, r->nblocks - 1, __ATOMIC_RELAXED);
        free(tb->ir);
        r->code_ptr = mark.code_ptr;
        r->data_ptr = mark.data_ptr;
        stat_inc(STAT_INSERT_RACES);
        return winner;
    }
    if (exec_ctx.config.on_publish) {
        exec_ctx.config.on_publish(tb);
    }
    return tb;
}

/* ---- one attempt ---- */

typedef struct TBRequest {
    TBKey key;
    TranslationBlock *replaces;
    uint32_t flush_count;       /* when that was known to be there */
} TBRequest;

typedef enum BuildResult {
    BUILD_OK, BUILD_FAULT, BUILD_NO_SPACE, BUILD_TOO_COMPLEX,
    BUILD_GONE,             /* what was to be replaced */
    BUILD_NEEDS_SECOND,     /* system mode: the key needs a second page */
} BuildResult;

/* A unit that begins at a breakpoint does nothing but say so. */
static void build_breakpoint(TranslateContext *tc)
{
    ir_gen_exit(tc->b, ir_snapshot(tc->b, tc->pc_first), IR_EXIT_REASON, EXIT_REASON_DEBUG);
    ir_func_finish(tc->b);
    tc->ninsns = 1;
}

/* Others end before one. */
static bool build_covers_breakpoint(const TBBuild *bld)
{
    for (unsigned i = 0; i < bld->nsegments; i++) {
        const TBSegment *s = &bld->segments[i];
        if (debug_has_breakpoint(s->pc, s->pc + s->len)) {
            return true;
        }
    }
    return false;
}

static void build_ir(TBBuild *bld, TranslateThread *tx)
{
    IRFunc *f = &tx->func;
    TranslateContext *tc = &bld->tc;
    arena_reset(&tx->arena);
    ir_func_init(f, &exec_ctx.config.guest->ir, &tx->arena, tc->pc_first);
    if (tc->system_mode) {
        f->soft_mmu = (uint8_t)(1 + tc->cpu->guest->mmu_index(tc->cpu, MMU_LOAD));
    }
    ir_builder_init(&tx->builder, f);
    if (!(tc->cflags & CF_NO_BREAKPOINT) && debug_breakpoint_at(tc->pc_first)) {
        build_breakpoint(tc);
    } else {
        tc->cpu->guest->translate(tc);
    }
}

/* -accel tcg,verify=on: our own bugs, found where they are made. */
static void check_ir(const IRFunc *f, const char *when)
{
    if (likely(!exec_ctx.config.verify_ir)) {
        return;
    }
    const char *wrong = ir_verify(f);
    if (wrong) {
        ir_print(stderr, f);
        fatal("bad IR %s: %s", when, wrong);
    }
}

static bool ir_has_loop(const IRFunc *f)
{
    if (f->nblocks > 1) {
        return true;
    }
    return f->ins[f->blocks[0].end - 1].op == IR_LOOP;
}

/* Compile into the context's region and fill a TranslationBlock; nothing is visible yet. */
static BuildResult build_code(TBBuild *bld, TranslateThread *tx, TranslationBlock **out)
{
    CodeRegion *r = tx->region;
    uint8_t *code = (uint8_t *)align_up((uintptr_t)r->code_ptr, CODE_ALIGN);
    TranslationBlock *tb = r->nblocks < r->index_capacity
                               ? code_region_alloc_data(r, sizeof(TranslationBlock)) : NULL;
    if (!tb || code >= r->data_ptr) {
        return BUILD_NO_SPACE;
    }
    *tb = (TranslationBlock){
        .pc = bld->key.pc,
        .phys_pc = bld->key.phys_pc,
        .second_page = bld->key.second_page,
        .flags = bld->key.flags,
        .cflags = bld->key.cflags,
        .hash = tb_hash(&bld->key),
        .code = code,
        .ninsns = bld->tc.ninsns,
        .has_loop = ir_has_loop(&tx->func),
        .page = { bld->pages[0]->number, bld->npages > 1 ? bld->pages[1]->number : NO_PAGE },
    };
    spin_init(&tb->jmp_lock, LOCK_RANK_JMP);
    HostCode hc = { .code = code, .capacity = r->data_ptr - code, .unit = (uintptr_t)tb };
    if (bld->tc.cflags & CF_COUNT) {
        tb->countdown = exec_ctx.config.hot_threshold;
        hc.countdown = &tb->countdown;
    }
    if (exec_ctx.config.interp || exec_ctx.config.lockstep) {
        tb->ir = ir_func_copy(&tx->func);
    }
    HostResult res = exec_ctx.config.interp ? HOST_OK : host_compile(&tx->func, &hc);
    /* Before tb_fill(): what goes to the top of the region must not run into this code. */
    r->code_ptr = code + (hc.size ? hc.size : 1);
    if (res != HOST_OK || !tb_fill(tb, r, bld, &hc)) {
        free(tb->ir);
        return res == HOST_TOO_COMPLEX ? BUILD_TOO_COMPLEX : BUILD_NO_SPACE;
    }
    tb->code_size = hc.size;
    if (log_enabled(LOG_OUT_ASM) && log_filter_match(tb->pc)) {
        log_host_code(code, hc.size);
    }
    stat_add(STAT_CODE_BYTES, hc.size);
    *out = tb;
    return BUILD_OK;
}

static BuildResult build_locked(TBBuild *bld, TranslateThread *tx, TranslationBlock **out)
{
    TranslateContext *tc = &bld->tc;
    if (tc->system_mode) {
        build_lock_pages(bld);
    } else if (!build_enter_page(bld, tc->pc_first >> GUEST_PAGE_BITS)) {
        bld->fault_addr = tc->pc_first;
        return BUILD_FAULT;
    }
    *out = tb_find_qht(&bld->key);
    if (bld->replaces) {
        /* The new block's pages shall be among those of the old one. */
        uint64_t second = tc->system_mode ? NO_PAGE : bld->replaces->page[1];
        if (*out != bld->replaces || (second != NO_PAGE && !build_enter_page(bld, second))) {
            return BUILD_GONE;
        }
    } else if (*out) {
        return BUILD_OK;    /* another thread was faster */
    } else if ((*out = build_revive(bld))) {
        return BUILD_OK;
    }
    RegionMark mark = { tx->region->code_ptr, tx->region->data_ptr };
    build_ir(bld, tx);
    if (tc->ninsns == 0 && bld->needs_second) {
        return BUILD_NEEDS_SECOND;
    }
    if (tc->ninsns > 1 && build_covers_breakpoint(bld)) {
        return BUILD_TOO_COMPLEX;
    }
    if (bld->fault && tc->ninsns == 0) {
        return BUILD_FAULT;
    }
    bool logged = log_filter_match(tc->pc_first);
    if (log_enabled(LOG_IN_ASM) && logged) {
        log_guest_code(bld);
    }
    check_ir(&tx->func, "from the front end");
    if (log_enabled(LOG_OP) && logged) {
        log_ir(&tx->func, "OP");
    }
    opt_run(&tx->func, exec_ctx.config.opt_level);
    check_ir(&tx->func, "from the optimiser");
    if (log_enabled(LOG_OP_OPT) && logged) {
        log_ir(&tx->func, "OP after optimization");
    }
    BuildResult res = build_code(bld, tx, out);
    if (res != BUILD_OK) {
        tx->region->code_ptr = mark.code_ptr;
        tx->region->data_ptr = mark.data_ptr;
        return res;
    }
    stat_inc(STAT_TRANSLATIONS);
    stat_add(STAT_GUEST_INSNS, tc->ninsns);
    *out = tb_publish(*out, tx->region, bld, mark);
    return BUILD_OK;
}

static BuildResult build_once(CPUState *cpu, const TBRequest *rq, unsigned max_insns,
                              TranslationBlock **out)
{
    TranslateThread *tx = cpu->tx;
    TBBuild bld;
    memset(&bld, 0, offsetof(TBBuild, segments));
    bld.nsegments = 0;
    bld.nread = 0;
    bld.key = rq->key;
    bld.replaces = rq->replaces;
    bld.tc = (TranslateContext){
        .b = &tx->builder,
        .cpu = cpu,
        .pc_first = rq->key.pc,
        .flags = rq->key.flags,
        .cflags = rq->key.cflags,
        .system_mode = cpu->soft_tlb != NULL,
        .max_insns = max_insns,
        .llsc_tags = (uintptr_t)exec_ctx.llsc_tags - exec_ctx.config.guest_base,
        .section_end = rq->key.cflags & CF_ALONE ? NULL : exec_section_end,
        .note_store = exec_ctx.config.section_at ? section_note_store : NULL,
        .vdso_start = exec_ctx.vdso_start,
        .vdso_end = exec_ctx.vdso_end,
        .fetch = build_fetch,
        .exists = build_exists,
    };
    if (unlikely(tx->after_fork)) {
        tx->after_fork = false;
        qht_prepare(&exec_ctx.blocks);
        cpu_prepare_memory(cpu);
    }
    code_region_prepare(tx->region);
    BuildResult res = build_locked(&bld, tx, out);
    build_leave_pages(&bld);
    if (res == BUILD_FAULT) {
        cpu->fault_addr = bld.fault_addr;
        cpu->fault_is_store = false;
    }
    return res;
}

/* Find room: a fresh region, or a flush by whoever comes first. */
static void make_room(CPUState *cpu)
{
    if (code_region_take(cpu->tx)) {
        return;
    }
    bool nested = cpu->in_exclusive;
    if (!nested) {
        start_exclusive(cpu);
    }
    /* Others may have flushed, or given regions back, before all had stopped. */
    if (!code_region_take(cpu->tx)) {
        tb_flush_exclusive();
        bool taken = code_region_take(cpu->tx);
        braid_assert(taken);
    }
    if (!nested) {
        end_exclusive(cpu);
    }
}

/* The unit's first instruction goes on in the next page: which one is that now? */
static bool find_second_page(CPUState *cpu, TBKey *key)
{
    hwaddr pa;
    bool global;
    if (!soft_mmu_fetch(cpu, (key->pc | (GUEST_PAGE_SIZE - 1)) + 1, &pa, &global)) {
        return false;
    }
    key->second_page = pa >> GUEST_PAGE_BITS;
    return true;
}

/* NULL: nothing can be fetched, or what was to be replaced is gone. */
static TranslationBlock *translate(CPUState *cpu, TBRequest rq)
{
    ExecContext *x = &exec_ctx;
    TranslateThread *tx = cpu->tx;
    unsigned max_insns = x->config.max_insns ? x->config.max_insns : DEFAULT_MAX_INSNS;
    TranslationBlock *tb = NULL;
    if (rq.key.cflags & CF_SINGLE_INSN) {
        max_insns = 1;
    }
    for (;;) {
        uint32_t flush_count = __atomic_load_n(&x->flush_count, __ATOMIC_RELAXED);
        if (rq.replaces && flush_count != rq.flush_count) {
            return NULL;
        }
        if (!tx->region || tx->region_flush_count != flush_count) {
            tx->region = NULL;
            make_room(cpu);
            continue;
        }
        if (x->config.translate_serial) {
            mutex_lock(&x->serial_lock);
        }
        BuildResult res = build_once(cpu, &rq, max_insns, &tb);
        if (x->config.translate_serial) {
            mutex_unlock(&x->serial_lock);
        }
        if (res == BUILD_OK) {
            return tb;
        }
        if (res == BUILD_NEEDS_SECOND && !rq.replaces && find_second_page(cpu, &rq.key)) {
            continue;
        }
        if (res == BUILD_FAULT || res == BUILD_GONE || res == BUILD_NEEDS_SECOND) {
            return NULL;
        }
        /* What a whole region cannot hold is too much for any other one as well. */
        if (res == BUILD_TOO_COMPLEX || code_region_is_empty(tx->region)) {
            braid_assert_msg(max_insns > 1, "no code for the instruction at 0x%" PRIx64,
                             rq.key.pc);
            max_insns /= 2;
        } else {
            tx->region = NULL;
        }
    }
}

static TranslationBlock *translate_timed(CPUState *cpu, TBRequest rq)
{
    uint64_t start = host_ns();
    TranslationBlock *tb = translate(cpu, rq);
    if (code_regions_scarce()) {
        code_region_give_back(cpu->tx);
    }
    stat_add(STAT_TRANSLATE_NS, host_ns() - start);
    return tb;
}

TranslationBlock *tb_translate(CPUState *cpu, const TBKey *key)
{
    return translate_timed(cpu, (TBRequest){ .key = *key });
}

TranslationBlock *tb_retranslate(CPUState *cpu, TranslationBlock *old)
{
    TBRequest rq = {
        .key = { old->pc, old->phys_pc, old->second_page, old->flags, old->cflags },
        .replaces = old,
        .flush_count = __atomic_load_n(&exec_ctx.flush_count, __ATOMIC_RELAXED),
    };
    return translate_timed(cpu, rq);
}
