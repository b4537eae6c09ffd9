/*
 * The guest's address space as a data structure: which pages are mapped and how, and how
 * braid's C code reads and writes them.  mmap.c makes the system calls on top of it.
 *
 * Guest address a lives at host address a + guest_base.  guest_base is 0 unless the program's
 * fixed addresses are taken on this host.  Guest addresses lie below task_size; what
 * braid itself maps lies above it, or is entered as VMA_HOST when it happens to lie below, so
 * that no guest mapping can land on it.
 */
#ifndef LINUX_USER_USER_MEM_H
#define LINUX_USER_USER_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec/exec.h"
#include "util/lock.h"
#include "util/seqlock.h"

#define USER_PAGE_BITS 12
#define USER_PAGE_SIZE (1ull << USER_PAGE_BITS)
#define USER_PAGE_MASK (~(USER_PAGE_SIZE - 1))

/* Beside PageFlags (exec/exec.h): not the guest's at all. */
#define VMA_HOST 0x10000u
/* Was executable, and a change of the mapping is under way (mmap.c). */
#define VMA_RETIRED 0x20000u

/* Pages [start, end) that have the same flags. */
typedef struct Vma {
    uint64_t start, end;
    uint64_t flags;     /* PageFlags, or VMA_HOST */
} Vma;

typedef struct UserMem {
    /* constant after user_mem_init() */
    uint64_t guest_base;
    uint64_t task_size;     /* guest addresses are below */
    uint64_t min_addr;      /* and not below this one, unless the host allows it */
    uint64_t mmap_top;      /* the allocator works downwards from here */
    uint64_t low_top;       /* and from here for code files, see user_mem_find_free_locked() */
    bool reserved;          /* guest_base != 0: what is unmapped stays PROT_NONE */

    Mutex lock;             /* rank MMAP */
    /* guarded by lock; also read under seq without it (atomic) */
    SeqLock seq;
    Vma *vma;               /* ascending, disjoint, neighbours differ or do not touch */
    uint32_t nvma;
    /* guarded by lock */
    uint64_t search_from;   /* no gap above here is larger than largest_above */
    uint64_t largest_above;
    uint64_t brk_start, brk;
    uint64_t exec_start, exec_end;  /* of the main program, for /proc/self/stat and core dumps */
    uint64_t data_start, data_end;
    uint64_t stack_start, stack_end;
    /* The strings of argv, and behind them those of envp; what the stack begins with lies below. */
    uint64_t arg_start, arg_end, env_end;
} UserMem;
extern UserMem user_mem;

/*
 * Find out what the host has mapped, and reserve `size` bytes for the guest if `base` is not
 * 0 (size is then task_size).  Before any other thread exists.
 */
void user_mem_init(uint64_t base, uint64_t size);
/*
 * Could the guest's [start, end) be mapped at these very host addresses?
 */
bool user_mem_host_free(uint64_t start, uint64_t end);
/* A host address where `size` bytes could be reserved, or 0. */
uint64_t user_mem_pick_base(uint64_t size);

void mmap_lock(void);
void mmap_unlock(void);
bool mmap_trylock(void);

/* PageFlags of the page at addr, 0 if it is not mapped.  Any thread, takes no lock. */
unsigned user_page_flags(vaddr addr);

/* ---- with the lock held ---- */
/* [start, end) now has these flags; 0: is not mapped. False if the table is full. */
bool vma_set_locked(uint64_t start, uint64_t end, uint64_t flags);
/* Index of the first entry that ends above addr (nvma if none). */
uint32_t vma_find_locked(uint64_t addr);
/* Change flags of what is mapped in the range to (flags & and_mask) | or_mask. */
bool vma_change_locked(uint64_t start, uint64_t end, uint64_t and_mask, uint64_t or_mask);
/* Some page of the range has one of the flags. */
bool vma_any_locked(uint64_t start, uint64_t end, uint64_t flags);
/* Every page is mapped, and none is the host's. */
bool vma_all_mapped_locked(uint64_t start, uint64_t end);
/*
 * Free guest addresses for `size` bytes, 0 if there are none.  low: prefer addresses below
 * 2 GiB, which make shorter host code.
 */
uint64_t user_mem_find_free_locked(uint64_t size, uint64_t align, bool low);
/* The highest free block of `size` bytes in [lo, hi). */
uint64_t vma_find_gap_locked(uint64_t size, uint64_t align, uint64_t lo, uint64_t hi);

/* ---- addresses ---- */
static inline void *g2h(vaddr addr)
{
    return (void *)(uintptr_t)(addr + user_mem.guest_base);
}
static inline vaddr h2g(const void *p)
{
    return (vaddr)(uintptr_t)p - user_mem.guest_base;
}
/* [addr, addr + len) is inside the guest's part of the address space (mapped or not). */
static inline bool user_range_ok(vaddr addr, uint64_t len)
{
    return addr <= user_mem.task_size && len <= user_mem.task_size - addr;
}

/* ---- copies; false (or -EFAULT) if a byte is not accessible ---- */
bool user_read(void *to, vaddr from, size_t n);
bool user_write(vaddr to, const void *from, size_t n);
/* As many bytes as can be read. */
size_t user_read_partial(void *to, vaddr from, size_t n);
/* Length without the NUL, -EFAULT, or -ENAMETOOLONG if it does not fit in size. */
long user_read_string(char *to, vaddr from, size_t size);
/* Atomic compare and exchange; *seen is the old value.  False on a fault. */
bool user_cmpxchg32(vaddr addr, uint32_t old, uint32_t val, uint32_t *seen);

static inline bool user_read_u32(vaddr a, uint32_t *v) { return user_read(v, a, 4); }
static inline bool user_read_u64(vaddr a, uint64_t *v) { return user_read(v, a, 8); }
static inline bool user_write_u32(vaddr a, uint32_t v) { return user_write(a, &v, 4); }
static inline bool user_write_u64(vaddr a, uint64_t v) { return user_write(a, &v, 8); }

#endif
