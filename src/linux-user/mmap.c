/*
 * mmap and its relatives.  Every change to the guest's mappings is made here, under mmap_lock.
 *
 * Order of a change that takes executable pages away or replaces them:
 *   1. the table says "not executable": from now on no translator accepts the pages;
 *   2. tb_invalidate_range(): waits for translators that hold the page locks, drops what exists;
 *   3. the host's mapping changes;
 *   4. the table says what is there now.
 * A thread that fetches between 1 and 4 gets a fault from exec/; cpu_loop() asks again under
 * mmap_lock before it believes it, so the window is not visible to the guest.
 *
 * The host never maps guest pages executable: PROT_EXEC becomes PROT_READ, and whether a page may
 * be executed is decided by the table.
 */
#include "linux-user/io-uring.h"
#include "linux-user/mmap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>

#include "linux-user/limits.h"
#include "linux-user/process.h"
#include "linux-user/syscall.h"
#include "util/bitops.h"
#include "util/log.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
/* Flags that asm-generic has and the guest may pass on; the host's extra ones are dropped. */
#define MAP_PASSED (MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE | \
                    MAP_NONBLOCK | MAP_LOCKED | MAP_HUGETLB | MAP_SYNC | (63u << 26))
#define MAP_KIND 0xf    /* MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE */

typedef struct ShmSegment {
    uint64_t addr, size;
} ShmSegment;

static struct {
    /* guarded by mmap_lock */
    ShmSegment *segment;
    unsigned n, cap;
} shm;

static int host_prot(int prot)
{
    return (prot & (PROT_READ | PROT_WRITE)) | (prot & PROT_EXEC ? PROT_READ : 0);
}

static uint64_t vma_flags(int prot, uint64_t kind)
{
    return (prot & PROT_READ ? PAGE_READ : 0) | (prot & PROT_WRITE ? PAGE_WRITE : 0) |
           (prot & PROT_EXEC ? PAGE_EXEC : 0) | PAGE_VALID | kind;
}

static void log_change(const char *what, uint64_t start, uint64_t len, int64_t result)
{
    log_item(LOG_PAGE, "%s %016llx-%016llx: %lld\n", what, (unsigned long long)start,
             (unsigned long long)(start + len), (long long)result);
}

/* Pages that have `flag` get `instead`. */
static void replace_flag_locked(uint64_t start, uint64_t end, uint64_t flag, uint64_t instead)
{
    for (uint64_t at = start; at < end;) {
        uint32_t i = vma_find_locked(at);
        if (i == user_mem.nvma || user_mem.vma[i].start >= end) {
            break;
        }
        Vma v = user_mem.vma[i];
        uint64_t s = v.start > start ? v.start : start, e = v.end < end ? v.end : end;
        if (v.flags & flag) {
            vma_set_locked(s, e, (v.flags & ~flag) | instead);
        }
        at = e;
    }
}

/*
 * Steps 1 and 2 of the order above.  The pages that were executable keep VMA_RETIRED until the table says what is there
 * now.
 */
static void retire_code_locked(uint64_t start, uint64_t end)
{
    if (vma_any_locked(start, end, PAGE_EXEC)) {
        replace_flag_locked(start, end, PAGE_EXEC, VMA_RETIRED);
        tb_invalidate_range(start, end);
    }
}

/* The host has refused: what was executable still is. */
static void restore_code_locked(uint64_t start, uint64_t end)
{
    replace_flag_locked(start, end, VMA_RETIRED, PAGE_EXEC);
}

/*
 * Some code in the range cannot be written to so far: blocks made of it have no copy of their
 * bytes for fence.i to compare.
 */
static bool has_constant_code_locked(uint64_t start, uint64_t end)
{
    for (uint32_t i = vma_find_locked(start); i < user_mem.nvma && user_mem.vma[i].start < end; i++) {
        if ((user_mem.vma[i].flags & (PAGE_EXEC | PAGE_WRITE)) == PAGE_EXEC) {
            return true;
        }
    }
    return false;
}

/*
 * The end of a call that may have taken code away: when it returns to the guest, no other thread is
 * still inside a block made from it.
 */
static void mmap_unlock_quiesce(void)
{
    mmap_unlock();
    tb_quiesce(cpu_current());
}

/* Give the range back to the host, or keep it reserved. */
static int64_t host_unmap(uint64_t start, uint64_t len)
{
    if (!user_mem.reserved) {
        return munmap(g2h(start), len) ? -errno : 0;
    }
    void *p = mmap(g2h(start), len, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return p == MAP_FAILED ? -errno : 0;
}

static bool range_valid(uint64_t addr, uint64_t len)
{
    return is_aligned(addr, USER_PAGE_SIZE) && user_range_ok(addr, len);
}

/* RLIMIT_DATA counts what is private, writable and not a file's alone. */
static bool counts_as_data(uint64_t flags)
{
    return (flags & PAGE_WRITE) && !(flags & PAGE_SHARED);
}

/* May [start, start + len), which replaces what is there, be mapped with these flags? */
static bool limits_allow_locked(uint64_t start, uint64_t len, uint64_t flags)
{
    uint64_t most = limits_soft(RLIMIT_AS), most_data = limits_soft(RLIMIT_DATA);
    if (likely(most == RLIM_INFINITY && most_data == RLIM_INFINITY)) {
        return true;
    }
    uint64_t all = len, data = counts_as_data(flags) ? len : 0, end = start + len;
    for (uint32_t i = 0; i < user_mem.nvma; i++) {
        const Vma *v = &user_mem.vma[i];
        /* Linux counts of the stack what has been used, which is little. */
        if (v->flags & VMA_HOST || v->start == user_mem.stack_start) {
            continue;
        }
        uint64_t s = v->start > start ? v->start : start, e = v->end < end ? v->end : end;
        uint64_t size = v->end - v->start - (s < e ? e - s : 0);
        all += size;
        data += counts_as_data(v->flags) ? size : 0;
    }
    return all <= most && (!counts_as_data(flags) || data <= most_data);
}

/* What of the range would count as data if it became writable, and does not now. */
static uint64_t new_data_locked(uint64_t start, uint64_t end)
{
    uint64_t size = 0;
    for (uint32_t i = vma_find_locked(start); i < user_mem.nvma && user_mem.vma[i].start < end; i++) {
        const Vma *v = &user_mem.vma[i];
        if (!(v->flags & (PAGE_WRITE | PAGE_SHARED))) {
            size += (v->end < end ? v->end : end) - (v->start > start ? v->start : start);
        }
    }
    return size;
}

/* May so much more be writable? */
static bool data_allowed_locked(uint64_t size)
{
    uint64_t data = size;
    for (uint32_t i = 0; size && i < user_mem.nvma; i++) {
        const Vma *v = &user_mem.vma[i];
        if (!(v->flags & VMA_HOST) && v->start != user_mem.stack_start && counts_as_data(v->flags)) {
            data += v->end - v->start;
        }
    }
    return !size || data <= limits_soft(RLIMIT_DATA);
}

/* The address for a new mapping: the hint if it is free, else chosen. 0: there is none. */
static uint64_t place_locked(uint64_t hint, uint64_t len, int flags, bool code)
{
    uint64_t align = USER_PAGE_SIZE;
    if (flags & MAP_HUGETLB) {
        unsigned shift = ((unsigned)flags >> 26) & 63;
        align = 1ull << (shift ? shift : 21);
    }
    hint = align_down(hint, align);
    if (hint >= user_mem.min_addr && user_range_ok(hint, len) &&
        !vma_any_locked(hint, hint + len, ~0ull)) {
        return hint;
    }
    return user_mem_find_free_locked(len, align, code);
}

/*
 * The host's part of a new mapping.  Where code is replaced, the new mapping is first made elsewhere,
 * so that nothing has been lost if the host refuses.
 */
static int64_t host_map(uint64_t addr, uint64_t len, int prot, int flags, int fd,
                        uint64_t offset)
{
    bool replaces_code = vma_any_locked(addr, addr + len, PAGE_EXEC);
    flags &= (int)MAP_PASSED;
    void *p = mmap(replaces_code ? NULL : g2h(addr), len, host_prot(prot),
                   flags | (replaces_code ? 0 : MAP_FIXED), fd, (off_t)offset);
    if (p != MAP_FAILED && replaces_code) {
        retire_code_locked(addr, addr + len);
        void *elsewhere = p;
        p = mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, g2h(addr));
        if (p == MAP_FAILED) {
            int err = errno;
            munmap(elsewhere, len);
            restore_code_locked(addr, addr + len);
            return -err;
        }
    }
    return p == MAP_FAILED ? -errno : 0;
}

static uint64_t mapping_flags(int prot, int flags)
{
    return vma_flags(prot, ((flags & MAP_KIND) != MAP_PRIVATE ? PAGE_SHARED : 0) |
                               (flags & MAP_ANONYMOUS ? PAGE_ANON : 0));
}

static int64_t note_mapping_locked(uint64_t addr, uint64_t len, int prot, int flags)
{
    if (!vma_set_locked(addr, addr + len, mapping_flags(prot, flags))) {
        host_unmap(addr, len);
        return -ENOMEM;
    }
    return (int64_t)addr;
}

static int64_t mmap_at_locked(uint64_t addr, uint64_t len, int prot, int flags, int fd,
                              uint64_t offset)
{
    if (!limits_allow_locked(addr, len, mapping_flags(prot, flags))) {
        return -ENOMEM;
    }
    int64_t ret = host_map(addr, len, prot, flags, fd, offset);
    return ret ? ret : note_mapping_locked(addr, len, prot, flags);
}

/*
 * For files that insist on choosing their addresses themselves, as io_uring's do.  MAP_32BIT keeps the
 * choice within the guest's space; what is free for the host is free for the guest.
 */
static int64_t mmap_anywhere_locked(uint64_t len, int prot, int flags, int fd, uint64_t offset)
{
    if (user_mem.guest_base) {
        return -EINVAL;
    }
    void *p = mmap(NULL, len, host_prot(prot), (flags & (int)MAP_PASSED) | MAP_32BIT, fd,
                   (off_t)offset);
    return p == MAP_FAILED ? -errno : note_mapping_locked(h2g(p), len, prot, flags);
}

int64_t user_mmap(uint64_t addr, uint64_t len, int prot, int flags, int fd, uint64_t offset)
{
    if (!len || (offset & ~USER_PAGE_MASK)) {
        return -EINVAL;
    }
    len = align_up(len, USER_PAGE_SIZE);
    if (!len || len > user_mem.task_size) {
        return -ENOMEM;
    }
    bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    if (fixed && !is_aligned(addr, USER_PAGE_SIZE)) {
        return -EINVAL;
    }
    if (fixed && !user_range_ok(addr, len)) {
        return -ENOMEM;
    }
    int64_t ret;
    mmap_lock();
    if (!fixed) {
        bool code = (prot & PROT_EXEC) && !(flags & MAP_ANONYMOUS);
        addr = place_locked(addr, len, flags, code);
        ret = addr ? 0 : -ENOMEM;
    } else if (addr < user_mem.min_addr) {
        ret = -EPERM;
    } else if (vma_any_locked(addr, addr + len, VMA_HOST)) {
        ret = -ENOMEM;
    } else {
        bool keep = (flags & MAP_FIXED_NOREPLACE) && vma_any_locked(addr, addr + len, ~0ull);
        ret = keep ? -EEXIST : 0;
    }
    if (!ret) {
        ret = mmap_at_locked(addr, len, prot, flags, fd, offset);
    }
    if (ret == -EINVAL && !fixed && !(flags & MAP_ANONYMOUS)) {
        ret = mmap_anywhere_locked(len, prot, flags, fd, offset);
    }
    mmap_unlock_quiesce();
    if (ret >= 0 && !(flags & MAP_ANONYMOUS)) {
        io_uring_note_mapping(fd, offset, (uint64_t)ret);
    }
    log_change("mmap", addr, len, ret);
    return ret;
}

static int64_t munmap_locked(uint64_t addr, uint64_t len)
{
    if (vma_any_locked(addr, addr + len, VMA_HOST)) {
        return -EINVAL;
    }
    retire_code_locked(addr, addr + len);
    /* Out of the table last: the addresses must not be handed out before the host is done. */
    int64_t ret = host_unmap(addr, len);
    if (ret) {
        restore_code_locked(addr, addr + len);
    } else if (!vma_set_locked(addr, addr + len, 0)) {
        ret = -ENOMEM;
    }
    return ret;
}

int64_t user_munmap(uint64_t addr, uint64_t len)
{
    len = align_up(len, USER_PAGE_SIZE);
    if (!len || !range_valid(addr, len)) {
        return -EINVAL;
    }
    mmap_lock();
    int64_t ret = munmap_locked(addr, len);
    mmap_unlock_quiesce();
    log_change("munmap", addr, len, ret);
    return ret;
}

int64_t user_mprotect(uint64_t addr, uint64_t len, int prot)
{
    /* PROT_GROWSDOWN and PROT_GROWSUP apply to mappings that we do not have. */
    if (!is_aligned(addr, USER_PAGE_SIZE) || prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) {
        return -EINVAL;
    }
    len = align_up(len, USER_PAGE_SIZE);
    if (!len) {
        return 0;
    }
    if (!range_valid(addr, len)) {
        return -ENOMEM;
    }
    uint64_t end = addr + len;
    int64_t ret = 0;
    mmap_lock();
    if (!vma_all_mapped_locked(addr, end)) {
        ret = -ENOMEM;
    } else if ((prot & PROT_WRITE) && limits_soft(RLIMIT_DATA) != RLIM_INFINITY &&
               !data_allowed_locked(new_data_locked(addr, end))) {
        ret = -ENOMEM;
    } else {
        bool constant = (prot & PROT_WRITE) && has_constant_code_locked(addr, end);
        if (!(prot & PROT_EXEC)) {
            retire_code_locked(addr, end);
        }
        if (mprotect(g2h(addr), len, host_prot(prot))) {
            ret = -errno;
            restore_code_locked(addr, end);
        } else if (!vma_change_locked(addr, end, PAGE_SHARED | PAGE_ANON,
                                      vma_flags(prot, 0))) {
            ret = -ENOMEM;
        } else if (constant && (prot & PROT_EXEC)) {
            tb_invalidate_range(addr, end);
        }
    }
    mmap_unlock_quiesce();
    log_change("mprotect", addr, len, ret);
    return ret;
}

/* ---- brk ---- */

void user_brk_init(uint64_t start)
{
    mmap_lock();
    user_mem.brk_start = user_mem.brk = start;
    mmap_unlock();
}

int64_t sys_brk(GuestThread *t, const uint64_t a[6])
{
    uint64_t want = a[0];
    mmap_lock();
    uint64_t old_end = align_up(user_mem.brk, USER_PAGE_SIZE);
    if (want >= user_mem.brk_start && want < user_mem.task_size) {
        uint64_t end = align_up(want, USER_PAGE_SIZE);
        bool ok = true;
        if (end < old_end) {
            ok = munmap_locked(end, old_end - end) == 0;
        } else if (end > old_end) {
            ok = !vma_any_locked(old_end, end, ~0ull) &&
                 mmap_at_locked(old_end, end - old_end, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == (int64_t)old_end;
        }
        if (ok) {
            user_mem.brk = want;
        }
    }
    int64_t ret = (int64_t)user_mem.brk;
    mmap_unlock_quiesce();
    return ret;
}

/* ---- mremap ---- */

static int64_t mremap_move_locked(uint64_t old, uint64_t old_len, uint64_t len, uint64_t to,
                                  int flags)
{
    uint64_t kind = user_mem.vma[vma_find_locked(old)].flags;
    uint64_t gone = flags & MREMAP_DONTUNMAP ? 0 : old_len;
    if (len > gone && !limits_allow_locked(to, len - gone, kind)) {
        return -ENOMEM;
    }
    retire_code_locked(old, old + (old_len ? old_len : len));
    retire_code_locked(to, to + len);
    void *p = mremap(g2h(old), old_len, len,
                     (flags & MREMAP_DONTUNMAP) | MREMAP_MAYMOVE | MREMAP_FIXED, g2h(to));
    if (p == MAP_FAILED) {
        int err = errno;
        restore_code_locked(old, old + (old_len ? old_len : len));
        restore_code_locked(to, to + len);
        return -err;
    }
    if (old_len && !(flags & MREMAP_DONTUNMAP)) {
        if (user_mem.reserved) {
            host_unmap(old, old_len);
        }
        vma_set_locked(old, old + old_len, 0);
    } else {
        vma_set_locked(old, old + old_len, kind);
    }
    vma_set_locked(to, to + len, kind);
    return (int64_t)to;
}

static int64_t mremap_resize_locked(uint64_t old, uint64_t old_len, uint64_t len)
{
    if (len <= old_len) {
        return len == old_len ? (int64_t)old
                              : (munmap_locked(old + len, old_len - len), (int64_t)old);
    }
    uint64_t kind = user_mem.vma[vma_find_locked(old)].flags;
    if (!limits_allow_locked(old + old_len, len - old_len, kind)) {
        return -ENOMEM;
    }
    if (user_mem.reserved) {
        /* Only memory that is really unmapped can be grown into. */
        munmap(g2h(old + old_len), len - old_len);
    }
    void *p = mremap(g2h(old), old_len, len, 0);
    if (p == MAP_FAILED) {
        int err = errno;
        if (user_mem.reserved) {
            host_unmap(old + old_len, len - old_len);
        }
        return -err;
    }
    vma_set_locked(old, old + len, kind);
    return (int64_t)old;
}

static int64_t mremap_locked(uint64_t old, uint64_t old_len, uint64_t len, int flags,
                             uint64_t to)
{
    uint64_t span = old_len ? old_len : USER_PAGE_SIZE;
    if (!vma_all_mapped_locked(old, old + span)) {
        return -EFAULT;
    }
    uint32_t i = vma_find_locked(old);
    if (flags & MREMAP_FIXED) {
        if (!range_valid(to, len) || to < user_mem.min_addr ||
            (to < old + old_len && old < to + len)) {
            return -EINVAL;
        }
        if (vma_any_locked(to, to + len, VMA_HOST)) {
            return -ENOMEM;
        }
        return mremap_move_locked(old, old_len, len, to, flags);
    }
    bool one = user_mem.vma[i].end >= old + span;
    if (len > old_len && !one) {
        return -EFAULT;
    }
    if (old_len && !(flags & MREMAP_DONTUNMAP) &&
        (len <= old_len || (user_range_ok(old, len) &&
                            !vma_any_locked(old + old_len, old + len, ~0ull)))) {
        int64_t ret = mremap_resize_locked(old, old_len, len);
        if (ret >= 0 || !(flags & MREMAP_MAYMOVE)) {
            return ret;
        }
    }
    if (!(flags & MREMAP_MAYMOVE)) {
        return -ENOMEM;
    }
    to = user_mem_find_free_locked(len, USER_PAGE_SIZE, false);
    return to ? mremap_move_locked(old, old_len, len, to, flags) : -ENOMEM;
}

int64_t sys_mremap(GuestThread *t, const uint64_t a[6])
{
    uint64_t old = a[0];
    uint64_t old_len = align_up(a[1], USER_PAGE_SIZE);
    uint64_t len = align_up(a[2], USER_PAGE_SIZE);
    int flags = (int)a[3];
    if (!len || !is_aligned(old, USER_PAGE_SIZE) ||
        flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
        (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE))) {
        return -EINVAL;
    }
    if (!range_valid(old, old_len)) {
        return -EFAULT;
    }
    if (len > user_mem.task_size) {
        return -ENOMEM;
    }
    mmap_lock();
    int64_t ret = mremap_locked(old, old_len, len, flags, a[4]);
    mmap_unlock_quiesce();
    log_change("mremap", old, old_len, ret);
    return ret;
}

/* ---- the rest ---- */

/*
 * Memory that other processes may have, too, and that can be written here: before it can be, atomics and barriers
 * become real, even if this process has one thread only.
 */
static void share_writable(GuestThread *t, uint64_t prot)
{
    if (prot & PROT_WRITE) {
        exec_set_parallel(t->cpu);
    }
}

int64_t sys_mmap(GuestThread *t, const uint64_t a[6])
{
    if ((a[3] & MAP_KIND) != MAP_PRIVATE) {
        share_writable(t, a[2]);
    }
    return user_mmap(a[0], a[1], (int)a[2] & 7, (int)a[3], (int)a[4], a[5]);
}

int64_t sys_munmap(GuestThread *t, const uint64_t a[6])
{
    return user_munmap(a[0], a[1]);
}

int64_t sys_mprotect(GuestThread *t, const uint64_t a[6])
{
    if (a[2] & PROT_WRITE) {
        mmap_lock();
        bool shared = vma_any_locked(a[0], a[0] + a[1], PAGE_SHARED);
        mmap_unlock();
        if (shared) {
            share_writable(t, a[2]);
        }
    }
    return user_mprotect(a[0], a[1], (int)a[2]);
}

/* Calls that take a range of mapped memory and leave mappings and bytes alone. */
static int64_t range_call(long nr, uint64_t addr, uint64_t len, uint64_t c)
{
    if (!user_range_ok(addr, len)) {
        return -ENOMEM;
    }
    int64_t ret = host_syscall(nr, g2h(addr), len, c);
    if (!ret && user_mem.reserved) {
        /* What is unmapped for the guest is not for the host. */
        mmap_lock();
        if (!vma_all_mapped_locked(addr & USER_PAGE_MASK, align_up(addr + len, USER_PAGE_SIZE))) {
            ret = -ENOMEM;
        }
        mmap_unlock_quiesce();
    }
    return ret;
}

int64_t sys_msync(GuestThread *t, const uint64_t a[6])
{
    return range_call(SYS_msync, a[0], a[1], (uint64_t)(int)a[2]);
}

int64_t sys_mlock(GuestThread *t, const uint64_t a[6])
{
    return range_call(SYS_mlock, a[0], a[1], 0);
}

int64_t sys_munlock(GuestThread *t, const uint64_t a[6])
{
    return range_call(SYS_munlock, a[0], a[1], 0);
}

int64_t sys_mlock2(GuestThread *t, const uint64_t a[6])
{
    return range_call(SYS_mlock2, a[0], a[1], (uint64_t)(unsigned)a[2]);
}

int64_t sys_mseal(GuestThread *t, const uint64_t a[6])
{
    return range_call(SYS_mseal, a[0], a[1], a[2]);
}

int64_t sys_mincore(GuestThread *t, const uint64_t a[6])
{
    uint64_t vec = a[2];
    return host_pointer(&vec) ? range_call(SYS_mincore, a[0], a[1], vec) : -EFAULT;
}

int64_t sys_madvise(GuestThread *t, const uint64_t a[6])
{
    uint64_t addr = a[0], len = align_up(a[1], USER_PAGE_SIZE);
    int advice = (int)a[2];
    if (!is_aligned(addr, USER_PAGE_SIZE) || (a[1] && !len)) {
        return -EINVAL;
    }
    if (!user_range_ok(addr, len)) {
        return -ENOMEM;
    }
    if (!len) {
        return 0;
    }
    bool drops = advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE ||
                 advice == 24 /* MADV_DONTNEED_LOCKED */;
    mmap_lock();
    int64_t ret = 0;
    if (!vma_all_mapped_locked(addr, addr + len) && user_mem.reserved) {
        ret = -ENOMEM;
    }
    if (!ret) {
        ret = host_syscall(SYS_madvise, g2h(addr), len, advice);
    }
    if (drops && vma_any_locked(addr, addr + len, PAGE_EXEC)) {
        /* The bytes have changed; what was translated in between is caught as well. */
        tb_invalidate_range(addr, addr + len);
    }
    mmap_unlock_quiesce();
    return ret;
}

/* ---- System V shared memory ---- */

static void shm_note_locked(uint64_t addr, uint64_t size)
{
    if (shm.n == shm.cap) {
        unsigned cap = shm.cap ? shm.cap * 2 : 16;
        ShmSegment *p = realloc(shm.segment, cap * sizeof(*p));
        if (!p) {
            return;
        }
        shm.segment = p;
        shm.cap = cap;
    }
    shm.segment[shm.n++] = (ShmSegment){ addr, size };
}

static int64_t shmat_locked(int id, uint64_t addr, uint64_t size, int flags)
{
    if (!addr) {
        addr = user_mem_find_free_locked(size, USER_PAGE_SIZE, false);
        if (!addr) {
            return -ENOMEM;
        }
    } else if (vma_any_locked(addr, addr + size, flags & SHM_REMAP ? VMA_HOST : ~0ull)) {
        return -EINVAL;
    }
    retire_code_locked(addr, addr + size);
    void *p = shmat(id, g2h(addr), (flags & ~SHM_EXEC) | SHM_REMAP);
    if (p == (void *)-1) {
        int err = errno;
        host_unmap(addr, size);
        vma_set_locked(addr, addr + size, 0);
        return -err;
    }
    int prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
               (flags & SHM_EXEC ? PROT_EXEC : 0);
    vma_set_locked(addr, addr + size, vma_flags(prot, PAGE_SHARED));
    shm_note_locked(addr, size);
    return (int64_t)addr;
}

int64_t sys_shmat(GuestThread *t, const uint64_t a[6])
{
    struct shmid_ds ds;
    if (shmctl((int)a[0], IPC_STAT, &ds)) {
        return -errno;
    }
    uint64_t size = align_up(ds.shm_segsz, USER_PAGE_SIZE);
    uint64_t addr = a[1];
    if (addr & ~USER_PAGE_MASK) {
        if (!((int)a[2] & SHM_RND)) {
            return -EINVAL;
        }
        addr &= USER_PAGE_MASK;
    }
    if (!user_range_ok(addr, size) || (addr && addr < user_mem.min_addr)) {
        return -EINVAL;
    }
    share_writable(t, (int)a[2] & SHM_RDONLY ? PROT_READ : PROT_WRITE);
    mmap_lock();
    int64_t ret = shmat_locked((int)a[0], addr, size, (int)a[2]);
    mmap_unlock_quiesce();
    return ret;
}

int64_t sys_shmdt(GuestThread *t, const uint64_t a[6])
{
    int64_t ret = -EINVAL;
    mmap_lock();
    for (unsigned i = 0; i < shm.n; i++) {
        if (shm.segment[i].addr != a[0]) {
            continue;
        }
        uint64_t size = shm.segment[i].size;
        retire_code_locked(a[0], a[0] + size);
        ret = shmdt(g2h(a[0])) ? -errno : 0;
        if (ret) {
            restore_code_locked(a[0], a[0] + size);
        } else {
            if (user_mem.reserved) {
                host_unmap(a[0], size);
            }
            vma_set_locked(a[0], a[0] + size, 0);
            shm.segment[i] = shm.segment[--shm.n];
        }
        break;
    }
    mmap_unlock_quiesce();
    return ret;
}
