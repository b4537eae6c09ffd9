/*
 * The code buffer and its regions.
 *
 * One buffer is reserved at start; its pages cost nothing until written.  The first bytes hold the back
 * end's thunks, the rest is cut into regions.  A translation context takes a region (the only
 * step that locks) and fills it alone.  What has been translated goes only all together, at a
 * flush, when no vCPU runs.
 *
 * Regions are small, for each thread that ever translates holds one.  With more threads than
 * regions they are scarce: then a context gives its region back after each translation,
 * partly filled, and the next one goes on there.  So a flush comes when the buffer is full, and
 * not when there are many threads.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "exec/soft-mmu.h"
#include "util/bitops.h"
#include "util/error.h"
#include "util/stats.h"

#define DEFAULT_TB_SIZE (512ull << 20)
#define MIN_REGION_SIZE (32u << 10)
#define MAX_REGION_SIZE (128u << 10)
#define THUNKS_CAPACITY (24u << 10)
/* Smallest footprint of a block in code and data together that the index is made for. */
#define MIN_BLOCK_FOOTPRINT 192
/* A region with less room than this is not worth giving back. */
#define MIN_ROOM 2048
/* Memory is asked for in such steps, when less than LOW_WATER is at hand. */
#define POPULATE_CODE (32u << 10)
#define POPULATE_DATA (16u << 10)
#define LOW_WATER 1024

/* The interpreter's copies, of blocks valid and invalid. */
static void region_free_ir(CodeRegion *r)
{
    for (uint32_t i = 0; i < r->nblocks; i++) {
        free(r->index[i]->ir);
    }
}

static void region_reset(CodeRegion *r)
{
    r->code_ptr = r->start;
    r->data_ptr = (uint8_t *)r->index;
    __atomic_store_n(&r->nblocks, 0, __ATOMIC_RELAXED);
}

void code_regions_init(void)
{
    ExecContext *x = &exec_ctx;
    x->buffer_size = align_up(x->config.tb_size ? x->config.tb_size : DEFAULT_TB_SIZE, 4096);
    x->buffer = mmap(NULL, x->buffer_size + THUNKS_CAPACITY, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (x->buffer == MAP_FAILED) {
        fatal("cannot reserve %zu MiB for translated code", x->buffer_size >> 20);
    }
    HostConfig hc = {
        .guest = &x->config.guest->ir,
        .guest_base = x->config.guest_base,
        .misaligned_reason = EXIT_REASON_MISALIGNED,
        .access = x->config.system_mode ? soft_mmu_access : NULL,
        .count_jumps = x->config.count_jumps,
        .no_ras = x->config.no_ras,
        .no_inline_jump_cache = x->config.no_inline_jump_cache,
        .no_pinning = x->config.no_pinning,
        .disabled_features = x->config.host_disabled_features,
    };
    x->thunks_size = host_init(&hc, x->buffer, THUNKS_CAPACITY);
    braid_assert(x->thunks_size);

    uint64_t size = align_down(x->buffer_size / 32, 4096);
    size = size < MIN_REGION_SIZE ? MIN_REGION_SIZE : size > MAX_REGION_SIZE ? MAX_REGION_SIZE : size;
    x->region_size = size;
    x->nregions = x->buffer_size / size;
    x->regions = xcalloc(x->nregions, sizeof(CodeRegion));
    mutex_init(&x->region_lock, LOCK_RANK_REGION);
}

/* Regions come into being one by one: there are thousands, and few are needed. */
static CodeRegion *region_create(uint32_t i)
{
    ExecContext *x = &exec_ctx;
    CodeRegion *r = &x->regions[i];
    if (!r->start) {
        r->start = x->buffer + THUNKS_CAPACITY + i * x->region_size;
        r->end = r->start + x->region_size;
        r->index_capacity = x->region_size / MIN_BLOCK_FOOTPRINT;
        r->index = (TranslationBlock **)r->end - r->index_capacity;
        r->code_ready = r->start;
        r->data_ready = r->end;
        region_reset(r);
    }
    return r;
}

bool code_region_take(TranslateThread *tx)
{
    ExecContext *x = &exec_ctx;
    mutex_lock(&x->region_lock);
    CodeRegion *r = x->free_regions;
    if (r) {
        x->free_regions = r->next_free;
    } else if (x->next_region < x->nregions) {
        r = region_create(x->next_region++);
    }
    tx->region = r;
    tx->region_flush_count = __atomic_load_n(&x->flush_count, __ATOMIC_RELAXED);
    mutex_unlock(&x->region_lock);
    if (r) {
        stat_inc(STAT_REGION_ALLOCS);
    }
    return r != NULL;
}

void code_region_give_back_locked(TranslateThread *tx)
{
    ExecContext *x = &exec_ctx;
    lock_assert_held(&x->region_lock);
    CodeRegion *r = tx ? tx->region : NULL;
    if (r && tx->region_flush_count == __atomic_load_n(&x->flush_count, __ATOMIC_RELAXED) &&
        r->data_ptr - r->code_ptr >= MIN_ROOM) {
        r->next_free = x->free_regions;
        x->free_regions = r;
    }
    if (tx) {
        tx->region = NULL;
    }
}

void code_region_give_back(TranslateThread *tx)
{
    mutex_lock(&exec_ctx.region_lock);
    code_region_give_back_locked(tx);
    mutex_unlock(&exec_ctx.region_lock);
}

bool code_regions_scarce(void)
{
    const ExecContext *x = &exec_ctx;
    return __atomic_load_n(&x->ncpus, __ATOMIC_RELAXED) > x->nregions / 2;
}

bool code_region_is_empty(const CodeRegion *r)
{
    return r->code_ptr == r->start && r->data_ptr == (const uint8_t *)r->index;
}

/* Everybody is stopped; contexts notice by flush_count that their region is gone. */
void code_regions_reset_exclusive(void)
{
    ExecContext *x = &exec_ctx;
    mutex_lock(&x->region_lock);
    for (uint32_t i = 0; i < x->next_region; i++) {
        if (x->config.interp || x->config.lockstep) {
            region_free_ir(&x->regions[i]);
        }
        region_reset(&x->regions[i]);
    }
    x->next_region = 0;
    x->free_regions = NULL;
    __atomic_fetch_add(&x->flush_count, 1, __ATOMIC_RELAXED);
    mutex_unlock(&x->region_lock);
}

/*
 * A page fault costs a good part of what the translation of a block costs, and much more
 * than that in a virtual machine; a system call that brings some pages costs no more than
 * one fault.  Where the kernel does not know how (before 5.14), pages come one by one.
 */
static void populate(uint8_t *from, uint8_t *to)
{
#ifdef MADV_POPULATE_WRITE
    madvise(from, (size_t)(to - from), MADV_POPULATE_WRITE);
#endif
}

void code_region_prepare(CodeRegion *r)
{
    if (r->code_ptr + LOW_WATER > r->code_ready && r->code_ready < r->data_ready) {
        uint8_t *to = r->code_ready + POPULATE_CODE;
        to = to < r->data_ready ? to : r->data_ready;
        populate(r->code_ready, to);
        r->code_ready = to;
    }
    if (r->data_ptr - LOW_WATER < r->data_ready && r->code_ready < r->data_ready) {
        uint8_t *from = r->data_ready - POPULATE_DATA;
        from = from > r->code_ready ? from : r->code_ready;
        populate(from, r->data_ready);
        r->data_ready = from;
    }
}

void code_regions_fork_done_locked(void)
{
    ExecContext *x = &exec_ctx;
    lock_assert_held(&x->region_lock);
    for (uint32_t i = 0; i < x->next_region; i++) {
        CodeRegion *r = &x->regions[i];
        uint8_t *code = (uint8_t *)align_up((uintptr_t)r->code_ptr, 4096);
        uint8_t *data = (uint8_t *)align_down((uintptr_t)r->data_ptr, 4096);
        r->code_ready = code < r->code_ready ? code : r->code_ready;
        r->data_ready = data > r->data_ready ? data : r->data_ready;
    }
}

/* Bytes at the top of the region, 16-byte aligned; NULL when it meets the code. */
void *code_region_alloc_data(CodeRegion *r, size_t size)
{
    size = align_up(size, 16);
    uint8_t *p = (uint8_t *)align_down((uintptr_t)r->data_ptr, 16);
    if (size > (size_t)(p - r->code_ptr)) {
        return NULL;
    }
    r->data_ptr = p - size;
    return r->data_ptr;
}

TranslationBlock *tb_find_by_host_pc(uintptr_t host_pc)
{
    const ExecContext *x = &exec_ctx;
    uintptr_t first = (uintptr_t)x->buffer + THUNKS_CAPACITY;
    if (!x->regions || host_pc < first || host_pc >= first + x->nregions * x->region_size) {
        return NULL;
    }
    const CodeRegion *r = &x->regions[(host_pc - first) / x->region_size];
    /* [REGION-INDEX] pairs with the release store in tb_publish(). */
    uint32_t lo = 0, hi = __atomic_load_n(&r->nblocks, __ATOMIC_ACQUIRE);
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((uintptr_t)r->index[mid]->code <= host_pc) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (!lo) {
        return NULL;
    }
    TranslationBlock *tb = r->index[lo - 1];
    return host_pc < (uintptr_t)tb->code + tb->code_size ? tb : NULL;
}

bool exec_is_generated_code(uintptr_t host_pc)
{
    const ExecContext *x = &exec_ctx;
    return x->buffer && host_pc >= (uintptr_t)x->buffer &&
           host_pc < (uintptr_t)x->buffer + x->buffer_size + THUNKS_CAPACITY;
}
