/*
 * The board's physical memory map; see memory.h.
 *
 * Regions are kept in the order in which they were placed.  From them the flat map is made: sorted ranges
 * that do not overlap, each a piece of one region.  Writers (map_lock) rebuild the whole of it inside a
 * seqlock; readers search it and try again if a writer came between, so a look-up that loads pieces of
 * two maps is never believed.
 *
 * An access to a device runs without any lock of this file: the device may be moved meanwhile,
 * by itself even (a BAR behind which its own BARs are programmed).
 */
#include "mem/memory.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "util/error.h"
#include "util/lock.h"
#include "util/seqlock.h"

#define PAGE_SIZE 4096ull
#define MAX_REGIONS 256
#define MAX_RANGES (2 * MAX_REGIONS)    /* each region adds two boundaries at most */

struct MemoryRegion {
    /* constant */
    const char *name;
    uint64_t size;
    uint8_t *host;              /* RAM and ROM, else NULL */
    bool readonly;
    const MMIOOps *ops;
    void *opaque;
    /* guarded by map_lock */
    hwaddr base;
    bool placed;
};

/* Addresses [start, last] belong to region, whose byte at start is number `offset`.  All atomic [SEQLOCK-DATA]. */
typedef struct FlatRange {
    hwaddr start, last;
    uint64_t offset;
    const MemoryRegion *region;
} FlatRange;

typedef struct MemoryContext {
    MemoryHooks hooks;          /* constant before the first vCPU runs */
    Mutex map_lock;             /* rank LEAF */
    /* guarded by map_lock */
    MemoryRegion *order[MAX_REGIONS];   /* later ones hide earlier ones */
    unsigned nregions;
    /* written under map_lock and inside `seq`, read inside `seq` */
    SeqLock seq;
    unsigned nranges;
    FlatRange ranges[MAX_RANGES];
} MemoryContext;
static MemoryContext mem_ctx = { .map_lock = MUTEX_INIT(LEAF) };

void memory_set_hooks(const MemoryHooks *hooks)
{
    mem_ctx.hooks = *hooks;
}

/* ---- changing the map ---- */

/* Cut [start, last] out of what is in the ranges so far. */
static unsigned flat_cut(FlatRange *r, unsigned n, hwaddr start, hwaddr last)
{
    FlatRange out[MAX_RANGES];
    unsigned m = 0;
    for (unsigned i = 0; i < n; i++) {
        if (r[i].last < start || r[i].start > last) {
            out[m++] = r[i];
            continue;
        }
        if (r[i].start < start) {
            out[m] = r[i];
            out[m++].last = start - 1;
        }
        if (r[i].last > last) {
            out[m] = r[i];
            out[m].offset += last + 1 - r[i].start;
            out[m++].start = last + 1;
        }
    }
    memcpy(r, out, m * sizeof(*r));
    return m;
}

static unsigned flat_insert(FlatRange *r, unsigned n, const MemoryRegion *region)
{
    FlatRange x = { region->base, region->base + (region->size - 1), 0, region };
    n = flat_cut(r, n, x.start, x.last);
    unsigned i = n;
    for (; i > 0 && r[i - 1].start > x.start; i--) {
        r[i] = r[i - 1];
    }
    r[i] = x;
    return n + 1;
}

static void map_rebuild_locked(void)
{
    MemoryContext *m = &mem_ctx;
    lock_assert_held(&m->map_lock);
    FlatRange flat[MAX_RANGES];
    unsigned n = 0;
    for (unsigned i = 0; i < m->nregions; i++) {
        if (m->order[i]->placed) {
            n = flat_insert(flat, n, m->order[i]);
        }
    }
    seqlock_write_begin(&m->seq);
    seqlock_store(&m->nranges, n);
    for (unsigned i = 0; i < n; i++) {
        seqlock_store(&m->ranges[i].start, flat[i].start);
        seqlock_store(&m->ranges[i].last, flat[i].last);
        seqlock_store(&m->ranges[i].offset, flat[i].offset);
        seqlock_store(&m->ranges[i].region, flat[i].region);
    }
    seqlock_write_end(&m->seq);
}

static MemoryRegion *region_new(const char *name, uint64_t size)
{
    MemoryContext *m = &mem_ctx;
    braid_assert_msg(size, "memory region '%s' is empty", name);
    MemoryRegion *r = xcalloc(1, sizeof(*r));
    r->name = name;
    r->size = size;
    mutex_lock(&m->map_lock);
    braid_assert_msg(m->nregions < MAX_REGIONS, "more than %d memory regions", MAX_REGIONS);
    m->order[m->nregions++] = r;
    mutex_unlock(&m->map_lock);
    return r;
}

/* Move the region to the end of the order, where it hides the others. */
static void region_to_front_locked(MemoryRegion *r)
{
    MemoryContext *m = &mem_ctx;
    unsigned i = 0;
    while (m->order[i] != r) {
        i++;
    }
    memmove(&m->order[i], &m->order[i + 1], (m->nregions - 1 - i) * sizeof(m->order[0]));
    m->order[m->nregions - 1] = r;
}

static void region_set_place(MemoryRegion *r, bool placed, hwaddr base)
{
    MemoryContext *m = &mem_ctx;
    /* What would wrap around at the end of the address space is nowhere. */
    placed = placed && base + (r->size - 1) >= base;
    mutex_lock(&m->map_lock);
    bool changed = placed != r->placed || (placed && base != r->base);
    if (changed) {
        r->placed = placed;
        r->base = base;
        region_to_front_locked(r);
        map_rebuild_locked();
    }
    mutex_unlock(&m->map_lock);
    if (changed && m->hooks.map_changed) {
        m->hooks.map_changed();
    }
}

void memory_place(MemoryRegion *r, hwaddr base)
{
    region_set_place(r, true, base);
}

void memory_unplace(MemoryRegion *r)
{
    region_set_place(r, false, 0);
}

MemoryRegion *memory_add_ram(const char *name, hwaddr base, uint64_t size, bool readonly)
{
    braid_assert_msg(!((base | size) & (PAGE_SIZE - 1)), "RAM '%s' is not made of pages", name);
    void *host = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host == MAP_FAILED) {
        fatal("cannot reserve %" PRIu64 " MiB for the guest's memory", size >> 20);
    }
    madvise(host, size, MADV_HUGEPAGE);     /* a wish: without it guests are only slower */
    MemoryRegion *r = region_new(name, size);
    r->host = host;
    r->readonly = readonly;
    memory_place(r, base);
    return r;
}

MemoryRegion *memory_new_mmio(const char *name, uint64_t size, const MMIOOps *ops, void *opaque)
{
    MemoryRegion *r = region_new(name, size);
    r->ops = ops;
    r->opaque = opaque;
    return r;
}

MemoryRegion *memory_add_mmio(const char *name, hwaddr base, uint64_t size, const MMIOOps *ops,
                              void *opaque)
{
    MemoryRegion *r = memory_new_mmio(name, size, ops, opaque);
    memory_place(r, base);
    return r;
}

/* ---- looking up ---- */

/* The range that holds pa; false if there is none. */
static bool flat_find(hwaddr pa, FlatRange *out)
{
    const MemoryContext *m = &mem_ctx;
    uint32_t seq;
    bool found;
    do {
        seq = seqlock_read_begin(&m->seq);
        unsigned lo = 0, hi = seqlock_load(&m->nranges);
        hi = hi < MAX_RANGES ? hi : MAX_RANGES;
        while (lo < hi) {       /* the first range that ends at or behind pa */
            unsigned mid = lo + (hi - lo) / 2;
            if (seqlock_load(&m->ranges[mid].last) < pa) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        found = lo < MAX_RANGES && lo < seqlock_load(&m->nranges);
        if (found) {
            const FlatRange *r = &m->ranges[lo];
            *out = (FlatRange){ seqlock_load(&r->start), seqlock_load(&r->last),
                                seqlock_load(&r->offset), seqlock_load(&r->region) };
            found = out->start <= pa;
        }
    } while (seqlock_read_retry(&m->seq, seq));
    return found;
}

MemoryPlace memory_find(hwaddr pa)
{
    FlatRange f;
    MemoryPlace place = { 0 };
    if (flat_find(pa, &f)) {
        place.region = f.region;
        place.readonly = f.region->readonly;
        if (f.region->host) {
            place.host = f.region->host + f.offset + (pa - f.start);
            place.whole_page = f.start <= (pa & ~(PAGE_SIZE - 1)) && f.last >= (pa | (PAGE_SIZE - 1));
        }
    }
    return place;
}

void *memory_ram_host(hwaddr pa, uint64_t n)
{
    FlatRange f;
    if (!flat_find(pa, &f) || !f.region->host || (n && n - 1 > f.last - pa)) {
        return NULL;
    }
    return f.region->host + f.offset + (pa - f.start);
}

void memory_ram_written(hwaddr pa, uint64_t n)
{
    if (n && mem_ctx.hooks.ram_written) {
        mem_ctx.hooks.ram_written(pa, n);
    }
}

/* Call copy() for the pieces of [pa, pa + n); false if some of it is no RAM. */
static bool ram_walk(hwaddr pa, uint8_t *buf, size_t n, void (*copy)(uint8_t *host, uint8_t *buf, size_t n))
{
    while (n) {
        FlatRange f;
        if (!flat_find(pa, &f) || !f.region->host) {
            return false;
        }
        uint64_t room = f.last - pa;
        size_t part = room < n - 1 ? (size_t)room + 1 : n;
        if (copy) {
            copy(f.region->host + f.offset + (pa - f.start), buf, part);
            buf += part;
        }
        pa += part;
        n -= part;
        if (n && !pa) {
            return false;       /* the end of the address space */
        }
    }
    return true;
}

static void copy_out(uint8_t *host, uint8_t *buf, size_t n)
{
    memcpy(buf, host, n);
}

static void copy_in(uint8_t *host, uint8_t *buf, size_t n)
{
    memcpy(host, buf, n);
}

bool memory_read(hwaddr pa, void *buf, size_t n)
{
    return ram_walk(pa, NULL, n, NULL) && ram_walk(pa, buf, n, copy_out);
}

bool memory_write(hwaddr pa, const void *buf, size_t n)
{
    if (!ram_walk(pa, NULL, n, NULL) || !ram_walk(pa, (uint8_t *)buf, n, copy_in)) {
        return false;
    }
    memory_ram_written(pa, n);
    return true;
}

bool memory_foreach_ram(MemoryVisitor *fn, void *opaque)
{
    const MemoryContext *m = &mem_ctx;
    bool good = true;
    for (unsigned i = 0; good && i < m->nregions; i++) {
        const MemoryRegion *r = m->order[i];
        good = !r->host || fn(r->name, r->host, r->size, opaque);
    }
    return good;
}

/* ---- a CPU's accesses ---- */

/* Find a device's register; *width is the size of each access that the device sees. */
static const MemoryRegion *io_find(hwaddr pa, unsigned size, hwaddr *offset, unsigned *width)
{
    FlatRange f;
    if (!flat_find(pa, &f) || !f.region->ops || (pa & (size - 1)) || f.last - pa < size - 1) {
        return NULL;
    }
    const MMIOOps *ops = f.region->ops;
    unsigned min = ops->min_size ? ops->min_size : 1, max = ops->max_size ? ops->max_size : 8;
    if (size < min) {
        return NULL;
    }
    *offset = f.offset + (pa - f.start);
    *width = size < max ? size : max;
    return f.region;
}

static uint64_t low_bytes(uint64_t v, unsigned size)
{
    return size == 8 ? v : v & ((1ull << 8 * size) - 1);
}

bool memory_io_read(hwaddr pa, unsigned size, uint64_t *value)
{
    hwaddr offset;
    unsigned width;
    const uint8_t *host = memory_ram_host(pa, size);
    *value = 0;
    if (host) {
        memcpy(value, host, size);
        return true;
    }
    const MemoryRegion *r = io_find(pa, size, &offset, &width);
    if (!r) {
        return false;
    }
    for (unsigned at = 0; at < size; at += width) {
        *value |= low_bytes(r->ops->read(r->opaque, offset + at, width), width) << 8 * at;
    }
    return true;
}

bool memory_io_write(hwaddr pa, unsigned size, uint64_t value)
{
    hwaddr offset;
    unsigned width;
    MemoryPlace place = memory_find(pa);
    if (place.host) {
        return !place.readonly && memory_write(pa, &value, size);
    }
    const MemoryRegion *r = io_find(pa, size, &offset, &width);
    if (!r) {
        return false;
    }
    for (unsigned at = 0; at < size; at += width) {
        r->ops->write(r->opaque, offset + at, low_bytes(value >> 8 * at, width), width);
    }
    return true;
}

void memory_print(FILE *out)
{
    MemoryContext *m = &mem_ctx;
    mutex_lock(&m->map_lock);
    for (unsigned i = 0; i < m->nranges; i++) {
        const FlatRange *f = &m->ranges[i];
        fprintf(out, "%016" PRIx64 "-%016" PRIx64 " (%s): %s", f->start, f->last,
                !f->region->host ? "i/o" : f->region->readonly ? "rom" : "ram", f->region->name);
        if (f->offset) {
            fprintf(out, " + 0x%" PRIx64, f->offset);
        }
        fputc('\n', out);
    }
    mutex_unlock(&m->map_lock);
}
