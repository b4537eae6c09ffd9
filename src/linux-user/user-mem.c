/*
 * The table of guest mappings, and copies to and from guest memory.
 *
 * The table is one sorted array of disjoint ranges in a piece of reserved memory that never
 * moves.  Writers hold mmap_lock and bump a seqlock; user_page_flags(), which translators
 * call under page locks, reads it without any lock: a binary search over words that may change
 * under it, repeated if they did.  Neighbours with equal flags are one entry, so that a
 * program has a few hundred at most, and a thousand threads have two thousand.
 *
 * Addresses are chosen here, never by the host's kernel: top down from mmap_top, first fit,
 * with a memory of how far down nothing large is left.
 */
#include "linux-user/user-mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/bitops.h"
#include "util/error.h"

#define VMA_MAX (1u << 18)
/* With guest_base 0: well below where any x86-64 kernel puts a process's own mappings. */
#define USER_TASK_SIZE (1ull << 46)
#define USER_LOW_TOP 0x60000000ull
#define USER_LOW_BOTTOM 0x20000000ull

UserMem user_mem = { .lock = MUTEX_INIT(MMAP) };

size_t user_copy_asm(void *to, const void *from, size_t n);
unsigned user_cmpxchg32_asm(void *p, uint32_t old, uint32_t val, uint32_t *seen);

void mmap_lock(void)
{
    mutex_lock(&user_mem.lock);
}

void mmap_unlock(void)
{
    mutex_unlock(&user_mem.lock);
}

bool mmap_trylock(void)
{
    return mutex_trylock(&user_mem.lock);
}

/* ---- the table ---- */

static void vma_store(uint32_t i, Vma v)
{
    seqlock_store(&user_mem.vma[i].start, v.start);
    seqlock_store(&user_mem.vma[i].end, v.end);
    seqlock_store(&user_mem.vma[i].flags, v.flags);
}

/* Move entries [from, nvma) so that they begin at index `to`. */
static void vma_shift(uint32_t from, uint32_t to)
{
    uint32_t n = user_mem.nvma - from;
    if (to < from) {
        for (uint32_t k = 0; k < n; k++) {
            vma_store(to + k, user_mem.vma[from + k]);
        }
    } else if (to > from) {
        for (uint32_t k = n; k-- > 0;) {
            vma_store(to + k, user_mem.vma[from + k]);
        }
    }
    seqlock_store(&user_mem.nvma, to + n);
}

uint32_t vma_find_locked(uint64_t addr)
{
    uint32_t lo = 0, hi = user_mem.nvma;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (user_mem.vma[mid].end > addr) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

unsigned user_page_flags(vaddr addr)
{
    uint32_t seq;
    uint64_t flags;
    do {
        seq = seqlock_read_begin(&user_mem.seq);
        uint32_t lo = 0, n = seqlock_load(&user_mem.nvma), hi = n;
        flags = 0;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (seqlock_load(&user_mem.vma[mid].end) > addr) {
                hi = mid;
            } else {
                lo = mid + 1;
            }
        }
        if (lo < n && seqlock_load(&user_mem.vma[lo].start) <= addr) {
            flags = seqlock_load(&user_mem.vma[lo].flags);
        }
    } while (seqlock_read_retry(&user_mem.seq, seq));
    return flags & VMA_HOST ? 0 : (unsigned)flags;
}

/* Append to a list that is about to replace entries, merging with the last one. */
static void list_add(Vma *list, uint32_t *n, Vma v)
{
    if (v.start >= v.end || !v.flags) {
        return;
    }
    if (*n && list[*n - 1].end == v.start && list[*n - 1].flags == v.flags) {
        list[*n - 1].end = v.end;
    } else {
        list[(*n)++] = v;
    }
}

/* Remember that there is a hole at start now. */
static void note_hole(uint64_t start)
{
    uint32_t i = vma_find_locked(start);
    uint64_t lo = i ? user_mem.vma[i - 1].end : 0;
    uint64_t hi = i < user_mem.nvma ? user_mem.vma[i].start : user_mem.task_size;
    if (hi > user_mem.mmap_top) {
        hi = user_mem.mmap_top;
    }
    if (hi <= user_mem.search_from) {
        return;
    }
    if (lo < user_mem.search_from) {
        user_mem.search_from = hi;
    } else if (hi - lo > user_mem.largest_above) {
        user_mem.largest_above = hi - lo;
    }
}

bool vma_set_locked(uint64_t start, uint64_t end, uint64_t flags)
{
    lock_assert_held(&user_mem.lock);
    if (user_mem.nvma + 3 > VMA_MAX) {
        return false;
    }
    uint32_t i = vma_find_locked(start), j = i;
    while (j < user_mem.nvma && user_mem.vma[j].start < end) {
        j++;
    }
    Vma list[5], left = { 0 }, right = { 0 };
    uint32_t n = 0;
    if (i < j) {
        left = user_mem.vma[i];
        left.end = left.end < start ? left.end : start;
        right = user_mem.vma[j - 1];
        right.start = right.start > end ? right.start : end;
    }
    if (i) {
        list_add(list, &n, user_mem.vma[--i]);
    }
    list_add(list, &n, left);
    list_add(list, &n, (Vma){ start, end, flags });
    list_add(list, &n, right);
    if (j < user_mem.nvma) {
        list_add(list, &n, user_mem.vma[j++]);
    }
    seqlock_write_begin(&user_mem.seq);
    vma_shift(j, i + n);
    for (uint32_t k = 0; k < n; k++) {
        vma_store(i + k, list[k]);
    }
    seqlock_write_end(&user_mem.seq);
    if (!flags) {
        note_hole(start);
    }
    return true;
}

bool vma_change_locked(uint64_t start, uint64_t end, uint64_t and_mask, uint64_t or_mask)
{
    while (start < end) {
        uint32_t i = vma_find_locked(start);
        if (i == user_mem.nvma || user_mem.vma[i].start >= end) {
            break;
        }
        Vma v = user_mem.vma[i];
        uint64_t s = v.start > start ? v.start : start;
        uint64_t e = v.end < end ? v.end : end;
        if (!vma_set_locked(s, e, (v.flags & and_mask) | or_mask)) {
            return false;
        }
        start = e;
    }
    return true;
}

bool vma_any_locked(uint64_t start, uint64_t end, uint64_t flags)
{
    for (uint32_t i = vma_find_locked(start);
         i < user_mem.nvma && user_mem.vma[i].start < end; i++) {
        if (user_mem.vma[i].flags & flags) {
            return true;
        }
    }
    return false;
}

bool vma_all_mapped_locked(uint64_t start, uint64_t end)
{
    for (uint32_t i = vma_find_locked(start); start < end; i++) {
        if (i == user_mem.nvma || user_mem.vma[i].start > start ||
            user_mem.vma[i].flags & VMA_HOST) {
            return false;
        }
        start = user_mem.vma[i].end;
    }
    return true;
}

/* ---- choosing addresses ---- */

/* The highest gap for `size` bytes in [lo, hi); *largest is raised to the largest gap passed over. */
static uint64_t find_gap(uint64_t size, uint64_t align, uint64_t lo, uint64_t hi,
                         uint64_t *largest)
{
    uint32_t i = vma_find_locked(hi - 1);
    if (i < user_mem.nvma && user_mem.vma[i].start < hi) {
        hi = user_mem.vma[i].start;
    }
    for (;;) {
        uint64_t floor = i ? user_mem.vma[i - 1].end : 0;
        if (floor < lo) {
            floor = lo;
        }
        if (hi > floor) {
            uint64_t at = hi - floor >= size ? align_down(hi - size, align) : 0;
            if (at >= floor && at) {
                return at;
            }
            if (hi - floor > *largest) {
                *largest = hi - floor;
            }
        }
        if (!i || floor == lo) {
            return 0;
        }
        hi = user_mem.vma[--i].start;
        if (hi <= lo) {
            return 0;
        }
    }
}

uint64_t vma_find_gap_locked(uint64_t size, uint64_t align, uint64_t lo, uint64_t hi)
{
    uint64_t largest = 0;
    return find_gap(size, align, lo, hi, &largest);
}

uint64_t user_mem_find_free_locked(uint64_t size, uint64_t align, bool low)
{
    lock_assert_held(&user_mem.lock);
    uint64_t unused = 0, at;
    if (low && user_mem.low_top) {
        at = find_gap(size, align, USER_LOW_BOTTOM, user_mem.low_top, &unused);
        if (at) {
            return at;
        }
    }
    /* With the guard of its stack a program cannot run into the next mapping by a page. */
    uint64_t bottom = user_mem.brk + (64 << 20) > user_mem.min_addr
                          ? user_mem.brk + (64 << 20) : user_mem.min_addr;
    if (size + align <= user_mem.largest_above || user_mem.search_from <= bottom) {
        user_mem.search_from = user_mem.mmap_top;
        user_mem.largest_above = 0;
    }
    at = find_gap(size, align, bottom, user_mem.search_from, &user_mem.largest_above);
    if (at) {
        user_mem.search_from = at;
        return at;
    }
    /* Nothing where we usually look: anywhere at all. */
    return find_gap(size, align, user_mem.min_addr, user_mem.mmap_top, &unused);
}

/* ---- start-up ---- */

static uint64_t host_min_addr(void)
{
    uint64_t min = 65536;
    FILE *f = fopen("/proc/sys/vm/mmap_min_addr", "re");
    if (f) {
        unsigned long long v;
        if (fscanf(f, "%llu", &v) == 1) {
            min = v;
        }
        fclose(f);
    }
    return align_up(min ? min : USER_PAGE_SIZE, USER_PAGE_SIZE);
}

typedef bool HostMapVisit(uint64_t start, uint64_t end, void *opaque);

/* The host's mappings, ascending.  Stops when visit() says false. */
static void host_maps_foreach(HostMapVisit *visit, void *opaque)
{
    FILE *f = fopen("/proc/self/maps", "re");
    if (!f) {
        return;
    }
    char line[512];
    unsigned long long start, end;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%llx-%llx", &start, &end) == 2 && !visit(start, end, opaque)) {
            break;
        }
    }
    fclose(f);
}

static bool note_host_map(uint64_t start, uint64_t end, void *opaque)
{
    if (start < user_mem.task_size) {
        vma_set_locked(start, end < user_mem.task_size ? end : user_mem.task_size, VMA_HOST);
    }
    return true;
}

typedef struct HostRange {
    uint64_t start, end;    /* asked about */
    uint64_t size, base;    /* looked for, found */
    uint64_t prev;
    bool overlap;
} HostRange;

static bool check_overlap(uint64_t start, uint64_t end, void *opaque)
{
    HostRange *r = opaque;
    r->overlap |= start < r->end && r->start < end;
    return !r->overlap;
}

bool user_mem_host_free(uint64_t start, uint64_t end)
{
    HostRange r = { .start = start, .end = end };
    host_maps_foreach(check_overlap, &r);
    return !r.overlap && start >= host_min_addr() && end <= USER_TASK_SIZE;
}

static bool check_gap(uint64_t start, uint64_t end, void *opaque)
{
    HostRange *r = opaque;
    uint64_t base = align_up(r->prev, 1ull << 32);
    if (start > base && start - base >= r->size) {
        r->base = base;
        return false;
    }
    if (end > r->prev) {
        r->prev = end;
    }
    return true;
}

uint64_t user_mem_pick_base(uint64_t size)
{
    HostRange r = { .size = size, .prev = 1ull << 32 };
    host_maps_foreach(check_gap, &r);
    return r.base;
}

void user_mem_init(uint64_t base, uint64_t size)
{
    if (sysconf(_SC_PAGESIZE) != (long)USER_PAGE_SIZE) {
        fatal("the host's page size is not %llu", USER_PAGE_SIZE);
    }
    void *table = mmap(NULL, VMA_MAX * sizeof(Vma), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED) {
        fatal("cannot reserve memory for the guest's address map: %s", strerror(errno));
    }
    user_mem.vma = table;
    user_mem.guest_base = base;
    user_mem.task_size = base ? size : USER_TASK_SIZE;
    user_mem.min_addr = base ? USER_PAGE_SIZE : host_min_addr();
    user_mem.low_top = user_mem.task_size > 2 * USER_LOW_TOP ? USER_LOW_TOP : 0;
    user_mem.mmap_top = user_mem.search_from = user_mem.task_size - (1ull << 24);
    if (!base) {
        mmap_lock();
        host_maps_foreach(note_host_map, NULL);
        mmap_unlock();
        return;
    }
    user_mem.reserved = true;
    void *p = mmap((void *)(uintptr_t)base, size, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != (void *)(uintptr_t)base) {
        fatal("cannot reserve %llu MiB at 0x%llx for the guest",
              (unsigned long long)size >> 20, (unsigned long long)base);
    }
}

/* ---- copies ---- */

bool user_read(void *to, vaddr from, size_t n)
{
    return user_range_ok(from, n) && !user_copy_asm(to, g2h(from), n);
}

size_t user_read_partial(void *to, vaddr from, size_t n)
{
    if (from >= user_mem.task_size) {
        return 0;
    }
    if (n > user_mem.task_size - from) {
        n = user_mem.task_size - from;
    }
    return n - user_copy_asm(to, g2h(from), n);
}

bool user_write(vaddr to, const void *from, size_t n)
{
    return user_range_ok(to, n) && !user_copy_asm(g2h(to), from, n);
}

long user_read_string(char *to, vaddr from, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t n = USER_PAGE_SIZE - ((from + done) & ~USER_PAGE_MASK);
        if (n > size - done) {
            n = size - done;
        }
        size_t got = user_read_partial(to + done, from + done, n);
        char *nul = memchr(to + done, 0, got);
        if (nul) {
            return nul - to;
        }
        if (got < n) {
            return -EFAULT;
        }
        done += n;
    }
    return -ENAMETOOLONG;
}

bool user_cmpxchg32(vaddr addr, uint32_t old, uint32_t val, uint32_t *seen)
{
    return user_range_ok(addr, 4) && !user_cmpxchg32_asm(g2h(addr), old, val, seen);
}
