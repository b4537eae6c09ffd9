/*
 * The soft TLB of one vCPU: what its generated code probes, and what is known beside.
 *
 * A TLB holds a few address spaces (riscv: ASIDs), each with a table per MMU index.  HostEnv.tlb[]
 * points at the tables of the space that counts; to change it is to change these pointers.
 *
 *   table: n lines (direct mapped, n grows with use) + a few victims + where large pages are
 *
 * In some MMU modes (a kernel's) nearly all pages are global: these have one table for all spaces, so that a new
 * process does not begin without the kernel's lines.  Pages that are not global may be there, too: they are the
 * current space's, and go when that changes.
 *
 * Who does what: the owner (the vCPU's thread) alone fills, flushes and changes tables; it
 * takes `lock` for it.  Other threads take `lock` to set TLB_CODE in lines, and touch nothing
 * else.  Generated code takes no lock: it reads one line's tag, then its addend, on the owner's
 * thread; a flag that is set between lets one more access through, which the code that sets it must
 * reckon with (exec/soft-mmu.c, [TLB-CODE]).
 */
#ifndef BRAID_SOFT_TLB_H
#define BRAID_SOFT_TLB_H

#include "guest/guest.h"
#include "host/host.h"
#include "util/lock.h"

#define TLB_PAGE_SIZE (1ull << HOST_PAGE_BITS)
#define TLB_PAGE_MASK (~(TLB_PAGE_SIZE - 1))

/* Flags in tags, among HOST_TLB_FLAGS: the access goes the slow way. */
enum TLBFlags {
    TLB_WATCH = 0x100,      /* a watchpoint in the page */
    TLB_CODE = 0x200,       /* store tags: translations were made of the page */
    TLB_IO = 0x400,         /* a device, ROM (store tags), or not wholly RAM */
    TLB_INVALID = 0x800,    /* no such access is allowed, as far as is known */
};
#define TLB_NO_TAG (~0ull)

/* What is known of a line beside what generated code needs. */
typedef struct TLBFull {
    hwaddr pa;              /* of the page's first byte */
    uint8_t page_bits;      /* of the guest's mapping */
    bool global;
} TLBFull;

typedef struct TLBLine {
    HostTLBEntry e;
    TLBFull full;
} TLBLine;

#define TLB_SPACES 8
#define TLB_VICTIMS 8
#define TLB_LARGE_RANGES 8

/* Part of the address space in which there are lines of large pages. */
typedef struct TLBLargeRange {
    vaddr start, last;
} TLBLargeRange;

typedef struct TLBTable {
    HostTLBEntry *line;     /* NULL: never used */
    TLBFull *full;
    uint32_t n;
    uint32_t evictions;     /* since the table last grew or was emptied */
    uint32_t fills;         /* since it was emptied */
    uint32_t nlarge;
    uint32_t next_victim;
    TLBLargeRange large[TLB_LARGE_RANGES];
    TLBLine victim[TLB_VICTIMS];
} TLBTable;

typedef struct TLBSpace {
    uint64_t id;
    bool valid;             /* it stands for `id`; else its tables may hold anything */
    uint64_t last_used;
    TLBTable table[HOST_TLB_MODES];
} TLBSpace;

typedef struct SoftTLB {
    SpinLock lock;          /* rank TLB */
    unsigned common_modes;  /* constant: a bit for each MMU mode whose tables are those of `common` */
    /* changed by the owner under lock */
    TLBSpace space[TLB_SPACES + 1];
    TLBSpace *current;
    TLBSpace *common;       /* constant: the last one */
    bool common_mixed;      /* it may have pages that are not global */
    /* owned by the vCPU thread */
    HostEnv *env;
    uint64_t clock;         /* of TLBSpace.last_used */
    uint64_t nfills, nvictim_hits, ngrown, nspaces_lost;    /* `info tlb` */
} SoftTLB;

/* common_modes: a bit for each MMU mode in which pages are global as a rule. */
void soft_tlb_init(SoftTLB *t, HostEnv *env, unsigned common_modes);
void soft_tlb_destroy(SoftTLB *t);

static inline uint64_t soft_tlb_tag(const HostTLBEntry *e, MMUAccess access)
{
    return access == MMU_LOAD ? e->load
           : access == MMU_STORE ? __atomic_load_n(&e->store, __ATOMIC_RELAXED) : e->fetch;
}

/*
 * The line for an access, from the table or a victim; NULL: not known.  It stays where it is until the
 * owner's next call.
 */
HostTLBEntry *soft_tlb_find(SoftTLB *t, unsigned idx, vaddr va, MMUAccess access, TLBFull **full);
/* Enter a line for the page of va in the current space; its tags are complete. */
HostTLBEntry *soft_tlb_fill(SoftTLB *t, unsigned idx, vaddr va, const TLBLine *line);

/* ---- the owner's flushes ---- */
/* True if the current space was another one. */
bool soft_tlb_set_space(SoftTLB *t, uint64_t id);
void soft_tlb_flush_all(SoftTLB *t);
#define SOFT_TLB_ALL_SPACES (~0ull)
/* Forget a space but for its global pages. */
void soft_tlb_flush_space(SoftTLB *t, uint64_t id);
/*
 * Forget the pages with bytes in [*start, *last]; in one space (not the global ones) or in all.  The range
 * becomes what was really forgotten: large pages go as a whole.
 */
void soft_tlb_flush_range(SoftTLB *t, vaddr *start, vaddr *last, uint64_t id);

/* Any thread: stores to the page of host memory at `host` go the slow way.  The number of lines that did not. */
unsigned soft_tlb_mark_code(SoftTLB *t, uintptr_t host);

void soft_tlb_print(FILE *out, SoftTLB *t);

#endif
