/*
 * TranslationBlock and what hangs on it; the context of exec/.  Private to exec/ and debug/.
 *
 * A block's life: built under the locks of its pages -> published in the QHT -> linked to and
 * from others -> invalidated -> perhaps dormant and revived -> its memory reused at a flush, when
 * no vCPU runs.
 */
#ifndef BRAID_TB_H
#define BRAID_TB_H

#include <inttypes.h>

#include "exec/exec.h"
#include "ir/interp.h"
#include "util/arena.h"
#include "util/compiler.h"
#include "util/lock.h"
#include "util/qht.h"
#include "util/radix.h"

#define GUEST_PAGE_BITS 12
#define GUEST_PAGE_SIZE (1ull << GUEST_PAGE_BITS)
#define GUEST_PAGE_MASK (~(GUEST_PAGE_SIZE - 1))
#define NO_PAGE (~0ull)

typedef struct TranslationBlock TranslationBlock;
typedef struct CodeRegion CodeRegion;

/* A way out of a block that can be chained. */
typedef struct TBExit {
    /* constant after publication */
    TranslationBlock *tb;       /* whose exit it is */
    vaddr pc;                   /* where it leads */
    uint8_t *field;             /* the jump's target field */
    const uint8_t *stub;        /* its target while unlinked */
    /*
     * atomic: the block the exit is linked to, or 0; EXIT_DYING is set when the exit's own
     * block is being invalidated, after which no link can form.
     */
    uintptr_t dest;
    /* guarded by dest's jmp_lock */
    struct TBExit *next_incoming;
} TBExit;
#define EXIT_DYING ((uintptr_t)1)

/* A run of guest bytes that the block was made from. */
typedef struct TBSegment {
    vaddr pc;
    uint32_t len;
} TBSegment;
#define TB_MAX_SEGMENTS 16

struct TranslationBlock {
    /* constant after publication */
    vaddr pc;
    hwaddr phys_pc;             /* user mode: pc */
    uint64_t second_page;       /* system mode: physical number of the page behind pc's, if the
                                   block depends on it; else NO_PAGE */
    uint32_t flags, cflags;
    uint32_t hash;
    uint32_t code_size;
    const uint8_t *code;
    const uint8_t *recovery;
    uint32_t recovery_size;
    uint16_t ninsns, nexits;
    uint8_t nsegments;
    bool has_loop;              /* may run for ever without leaving */
    uint64_t page[2];           /* page numbers (physical ones), distinct; [1] may be NO_PAGE */
    TBExit *exits;
    TBSegment *segments;
    const uint8_t *guest_bytes; /* copy of all segments; NULL if the pages cannot change unseen
                                   and have shown no sign of being invalidated now and then */
    struct IRFunc *ir;          /* -accel interp and lockstep: what to interpret; owned */

    /* page_next[i] guarded by the lock of page[i] */
    uintptr_t page_next[2];     /* TranslationBlock | index of its link for that page */
    /* guarded by the lock of page[0] */
    struct TranslationBlock *next_dormant;

    /* atomic; CF_COUNT only, see hot.c */
    int32_t countdown;          /* also subtracted from by generated code */
    uint32_t hot;               /* the countdown has run out once */
    uint64_t counted;           /* by countdowns that ran out */

    SpinLock jmp_lock;          /* rank JMP; never two at once */
    /* guarded by jmp_lock; also read without it (atomic) after a jump cache fill [JC-FILL] */
    uint32_t invalid;
    /* guarded by jmp_lock */
    TBExit *incoming;
};

/* One guest page that has, or had, translations. */
typedef struct PageDesc {
    Mutex lock;                 /* rank PAGE, key: page number */
    /* guarded by lock */
    uintptr_t first_tb;         /* TranslationBlock | index, like page_next */
    TranslationBlock *dormant;  /* blocks whose first page this is; one for a key at most */
    bool in_volatile_list;
    bool keep_bytes;            /* its blocks were invalidated before: new ones keep their bytes */
    bool unsettled;             /* system mode: in the list of exec/settle.c */
    uint32_t used;              /* atomic: 1 once a translation wanted the lock [PAGE-USED];
                                   system mode: written under lock, 0 again without blocks */
    uint64_t store_mapped;      /* atomic: vCPUs (index mod 64) with a fast line for stores [TLB-CODE] */
    uint64_t number;            /* constant */
    struct PageDesc *next_volatile; /* constant once in the list */
} PageDesc;

/*
 * A piece of the code buffer that one translation context fills.  Code grows up from `start`,
 * what describes it (blocks, exits, recovery tables) down from `end`; the index of blocks, ascending by code address,
 * lets a host pc be found.
 */
struct CodeRegion {
    /* constant once the region was taken; all 0 before */
    uint8_t *start, *end;
    TranslationBlock **index;   /* at the very end of the region */
    uint32_t index_capacity;
    /* owned by the translation context that took it */
    uint8_t *code_ptr;          /* next free byte */
    uint8_t *data_ptr;          /* lowest byte in use at the top */
    uint8_t *code_ready;        /* memory from start to here, and from data_ready to end, */
    uint8_t *data_ready;        /* has been asked for; see code_region_prepare() */
    /* atomic: stored by the owner after index[n] [REGION-INDEX], read by tb_find_by_host_pc() */
    uint32_t nblocks;
    /* guarded by the region lock */
    struct CodeRegion *next_free;
};

/* A thread's translation context. */
struct TranslateThread {
    CodeRegion *region;         /* or NULL; invalid after a flush, see flush_count */
    uint32_t region_flush_count;
    bool after_fork;            /* the pages that translation writes are shared with another process */
    Arena arena;
    IRFunc func;
    IRBuilder builder;
    /* -accel interp; read by the signal handler on this thread */
    IRInterp interp;
    bool interp_active;
    HostExit interp_exit;
    sigjmp_buf interp_leave;
};

/* ---- section.c ---- */
/* Where the critical section ends that begins at `start`; 0: none does.  No lock. */
vaddr exec_section_end(vaddr start);
/* A new one.  False if it is known, or there is no room. */
bool exec_add_section(vaddr start, vaddr end);
/* TranslateContext's note_store. */
void section_note_store(vaddr value, vaddr next_pc);

#define VCPU_POOL 16

typedef struct ExecContext {
    /* constant after exec_init() */
    ExecConfig config;
    uint8_t *buffer;
    size_t buffer_size;
    size_t thunks_size;
    /* constant after exec_set_vdso() */
    vaddr vdso_start, vdso_end;
    VdsoCall *vdso_call;

    uint64_t *llsc_tags;        /* llsc=strict: LLSC_TAGS tags and a counter; atomic, by generated code */
    CodeRegion *regions;
    uint32_t nregions;
    size_t region_size;
    RadixTree pages;            /* PageDesc by page number */
    Qht blocks;                 /* TranslationBlock by (pc, flags, cflags) */

    Mutex region_lock;          /* rank REGION */
    /* guarded by region_lock */
    uint32_t next_region;       /* regions from here on were never taken */
    CodeRegion *free_regions;   /* given back, partly filled */
    uint32_t flush_count;       /* atomic; written in exclusive sections */
    uint32_t parallel;          /* atomic; written before the second thread starts or memory is shared */
    PageDesc *volatile_pages;   /* atomic: push-only list of pages whose content may change
                                   without an invalidation [VOLATILE-LIST] */
    Mutex serial_lock;          /* rank TRANSLATE: translate=serial only */
    Mutex invalidate_lock;      /* rank INVALIDATE: against a flush, for threads that are not running */
    uint64_t invalidations;     /* atomic: blocks invalidated so far [QUIESCE] */
    uint64_t quiesced;          /* atomic, written under exclusive_lock: those of them that no vCPU
                                   can be inside of [QUIESCE] */

    Mutex exclusive_lock;       /* rank EXCLUSIVE: the right to stop all */
    uint32_t exclusive_pending; /* atomic, futex: 1 while a section is under way [EXCL] */
    Mutex cpu_list_lock;        /* rank CPU_LIST */
    bool fork_began_exclusive;  /* guarded by exclusive_lock */
    CPUState *cpus;             /* changed under exclusive_lock and cpu_list_lock, read under either */
    int next_cpu_index;         /* guarded by cpu_list_lock */
    CPUState *cpu_pool[VCPU_POOL]; /* atomic; free ones, see vcpu.c [VCPU-POOL] */
    uint32_t ncpus;             /* atomic; written under cpu_list_lock */
} ExecContext;
extern ExecContext exec_ctx;

/* ---- region.c ---- */
void code_regions_init(void);
/* Take a fresh region for this thread.  False: all are taken, a flush is due. */
bool code_region_take(TranslateThread *tx);
/* What is left of its region goes to the next that asks. */
void code_region_give_back(TranslateThread *tx);
void code_region_give_back_locked(TranslateThread *tx);
/* There are not enough for each thread to keep one. */
bool code_regions_scarce(void);
bool code_region_is_empty(const CodeRegion *r);
void code_regions_reset_exclusive(void);
void *code_region_alloc_data(CodeRegion *r, size_t size);
/* Have memory for the next block or so at hand, rather than fault page by page. */
void code_region_prepare(CodeRegion *r);
/* Have the pages of the CPU's state, which is mostly jump cache, at hand for writing. */
void cpu_prepare_memory(CPUState *cpu);
/* After fork(), in parent and child: no page of any region is at hand for writing. Locked. */
void code_regions_fork_done_locked(void);
/* The block whose code contains host_pc.  Async-signal-safe. */
TranslationBlock *tb_find_by_host_pc(uintptr_t host_pc);

/* ---- page.c ---- */
void page_table_init(void);
PageDesc *page_get_alloc(uint64_t number);
void page_add_tb_locked(PageDesc *pd, TranslationBlock *tb, unsigned n);
void page_remove_tb_locked(PageDesc *pd, TranslationBlock *tb);
/* Before the lock is taken for a translation: from here on invalidations look at the page. */
void page_mark_used(PageDesc *pd);
void page_mark_volatile_locked(PageDesc *pd);
#define PAGE_TB(link) ((TranslationBlock *)((link) & ~(uintptr_t)1))
#define PAGE_TB_INDEX(link) ((unsigned)((link) & 1))

/* ---- find.c ---- */
/* What a block is looked up by. */
typedef struct TBKey {
    vaddr pc;
    hwaddr phys_pc;         /* user mode: pc */
    uint64_t second_page;   /* as in the block; user mode: NO_PAGE */
    uint32_t flags, cflags;
} TBKey;
static inline TBKey tb_key_user(vaddr pc, uint32_t flags, uint32_t cflags)
{
    return (TBKey){ pc, pc, NO_PAGE, flags, cflags };
}
static inline bool tb_has_key(const TranslationBlock *tb, const TBKey *k)
{
    return tb->pc == k->pc && tb->flags == k->flags && tb->cflags == k->cflags &&
           tb->phys_pc == k->phys_pc && tb->second_page == k->second_page;
}
uint32_t tb_hash(const TBKey *key);
bool tb_equal(const void *a, const void *b);
/*
 * Completes the key by the physical address in system mode; makes the jump cache fit flags and cflags, and asks the
 * QHT.  NULL if there is no block.  *fault: nothing can be fetched from pc (system mode: the exception is recorded).
 */
TranslationBlock *tb_find(CPUState *cpu, TBKey *key, bool *fault);
TranslationBlock *tb_find_qht(const TBKey *key);
void jump_cache_fill(CPUState *cpu, TranslationBlock *tb);
void jump_cache_clear(CPUState *cpu);

/* ---- tlb.c: the jump caches of system mode ---- */
/* Let generated code use the one for these and the current address space. */
/* `global`: the next block's pc means the same in all address spaces. */
void jump_caches_select(CPUState *cpu, uint32_t flags, uint32_t cflags, bool global);
/* All are to be forgotten: the owner, or anybody while the vCPU is stopped. */
void jump_caches_clear(CPUState *cpu);
/* Any thread. */
void jump_caches_drop_line(CPUState *cpu, vaddr pc);
/* The line for pc in the present one, about to be filled. */
JumpCacheEntry *jump_caches_line(CPUState *cpu, vaddr pc);

/* ---- translate.c ---- */
/*
 * The block for a key, made if need be; NULL if its pc cannot be executed (cpu->fault_addr; system
 * mode: the exception is recorded).  May wait
 * for an exclusive section and may flush: what the caller knew of other blocks is good only if
 * flush_count is as before.
 */
TranslationBlock *tb_translate(CPUState *cpu, const TBKey *key);
/*
 * Translate the key of a valid block once more and put the result in its place.  The new block; NULL
 * if `old` is no longer valid, or something it needs is not to be had at once.  By a vCPU that runs,
 * without locks.  May flush like tb_translate(), and then returns NULL.
 */
TranslationBlock *tb_retranslate(CPUState *cpu, TranslationBlock *old);

/* ---- hot.c ---- */
/* After HOST_EXIT_HOT of this block. */
void tb_hot(CPUState *cpu, TranslationBlock *tb);
void tb_print_hottest(FILE *out);

/* ---- link.c ---- */
void tb_link_exit(TBExit *e, TranslationBlock *dest);
void tb_unlink_outgoing(TranslationBlock *tb);
void tb_unlink_incoming(TranslationBlock *tb);
/* The jumps into `from`, which is invalid, lead to `to` from now on, or to their stubs. */
void tb_move_incoming(TranslationBlock *from, TranslationBlock *to);

/* ---- dormant.c ---- */
/* Does the block, which has guest_bytes, agree with memory?  On a vCPU's thread. */
bool tb_bytes_unchanged(CPUState *cpu, const TranslationBlock *tb);
/* Keep an invalid block that has guest_bytes; under the locks of all its pages. */
void tb_lay_dormant_locked(TranslationBlock *tb);
/* The dormant block for this key, no longer in the list; or NULL.  `pd` is the page of pc. */
TranslationBlock *page_take_dormant_locked(PageDesc *pd, const TBKey *key);
/* Make a block that was taken valid again; under the locks of all its pages, which are `pages`. */
void tb_revive_locked(TranslationBlock *tb, PageDesc *const pages[2]);

/* ---- invalidate.c ---- */
/* Under the locks of all the block's pages. */
void tb_invalidate_locked(TranslationBlock *tb);
/*
 * Put `tb`, complete but not published, in the place of `old`, a valid block with the same key.  Under
 * the locks of all pages of both.  Each look-up finds one of the two, and `tb` from the return on.
 */
void tb_replace_locked(TranslationBlock *old, TranslationBlock *tb);
/*
 * System mode: this vCPU, which runs, has stored to [pa, pa + size) within a page; drop the blocks
 * there.  True: none is left in the page, and the next translation will protect it afresh.
 */
bool tb_invalidate_written(hwaddr pa, unsigned size);
/* Drop the page's blocks that no longer agree with memory. */
void page_verify(CPUState *cpu, PageDesc *pd);
/* The host's address of a byte of a system mode block's code. */
const uint8_t *tb_host_byte(const TranslationBlock *tb, vaddr pc);

/* ---- settle.c ---- */
/* Under the page's lock: other vCPUs may be in the middle of stores to it that nobody will hear of. */
void page_unsettle_locked(PageDesc *pd);
/* fence.i in system mode. */
void settle_verify(CPUState *cpu);
/* fence.i: invalidate the blocks of volatile pages that no longer agree with memory.  The caller
   runs, or holds invalidate_lock. */
void tb_verify_volatile(CPUState *cpu);
void tb_flush_exclusive(void);

/* ---- host-fault.c ---- */
/* After a MEMORY_FAULT, outside generated code: see to it that fault_addr and its like are true.
   False: the instruction at pc is to be run again. */
bool exec_find_fault_addr(CPUState *cpu);
/* System mode, where nobody else handles SIGSEGV: once; by each vCPU's thread, before and after. */
void system_faults_init(void);
void system_faults_thread_init(CPUState *cpu);
void system_faults_thread_end(CPUState *cpu);

/* ---- work.c ---- */
void cpu_exec_start(CPUState *cpu);
void cpu_exec_end(CPUState *cpu);
/*
 * As async_run_on_cpu(), but a vCPU in cpu_wait() may sleep on; true: that is so. It will have done the work
 * before it enters generated code again, so there is nothing to wait for. [ASLEEP]
 */
bool async_run_on_cpu_lazily(CPUState *cpu, CPUWorkFunc *fn, void *data);
void exec_kick_all(void);

/* ---- vcpu.c ---- */
/* Give its memory back to the host.  It is in no list. */
void cpu_free(CPUState *cpu);
/* Add what generated code has counted to the statistics. */
void cpus_collect_stats(void);

#endif
