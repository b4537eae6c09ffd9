/*
 * What a host back end offers: it turns a verified IRFunc into machine code, patches jumps,
 * and says what the guest's state is where generated code was interrupted.
 *
 * It knows no guest (only IRGuest's tables), no thread and no TranslationBlock. Generated code sees
 * one structure, HostEnv, which heads every CPU's state; the layout below is the contract
 * between generated code and the C around it.
 *
 * Guest registers across units: the hottest integer and FP guest registers (by
 * IRGuestReg.priority) have a fixed host register each, their home, for as long as generated
 * code runs; the home of all others is HostEnv.reg[].  At every unit entry and exit each
 * guest register is in its home.  host_enter() loads the homes and leaving stores them.
 */
#ifndef BRAID_HOST_H
#define BRAID_HOST_H

#include <string.h>

#include "ir/ir.h"

#define JUMP_CACHE_BITS 12
#define JUMP_CACHE_SIZE (1u << JUMP_CACHE_BITS)
#define SYSTEM_JUMP_CACHE_BITS 14
#define SYSTEM_JUMP_CACHE_SIZE (1u << SYSTEM_JUMP_CACHE_BITS)
#define HOST_SPILLS 64

/*
 * One line of the jump cache.  Filled by the owner vCPU only; any thread may clear `pc` (to JUMP_CACHE_NONE).
 * Generated code compares pc, then jumps to code.  The owner writes code before
 * pc; code that was valid once stays mapped until the owner passes a quiescent point.
 */
typedef struct JumpCacheEntry {
    uint64_t pc;        /* atomic */
    const void *code;   /* atomic */
} JumpCacheEntry;
#define JUMP_CACHE_NONE 1ull    /* no instruction starts at an odd address */
static inline unsigned jump_cache_index(uint64_t pc)
{
    return (unsigned)(pc >> 1) & (JUMP_CACHE_SIZE - 1);
}
/*
 * The same in system mode, where each jump to another page goes by the jump cache, most of them to
 * the aligned heads of functions: the page's number takes part, or two functions at equal offsets in a kernel
 * would take each other's line.  The lines of one page are still neighbours, JUMP_CACHE_PAGE_LINES of them.
 */
#define JUMP_CACHE_PAGE_LINES 2048
static inline unsigned jump_cache_system_index(uint64_t pc)
{
    return (unsigned)(pc >> 1 ^ pc >> 12) & (SYSTEM_JUMP_CACHE_SIZE - 1);
}

/* What generated code counts of indirect jumps. */
typedef enum HostStat {
    HOST_STAT_JUMP_CACHE_HITS,
    HOST_STAT_JUMP_CACHE_MISSES,    /* mispredicted returns probe the jump cache, too */
    HOST_STAT_RETURN_HITS,          /* returns that the return stack predicted */
    HOST_STAT_RETURN_MISSES,
    N_HOST_STATS
} HostStat;

/*
 * Soft TLB (system mode): what generated code probes.  A tag is the page's guest address, with bits
 * among HOST_TLB_FLAGS set if the access must go the slow way; the address compared has none of
 * them, so one compare sees a miss, a crossing, a misaligned atomic and a flag alike.  Line
 * (va >> 12) mod n: `mask` is n - 1 times the size of a line.  The owner fills lines; other threads
 * may set flags in a line's store tag.
 */
#define HOST_PAGE_BITS 12
#define HOST_TLB_FLAGS 0xff0u   /* below are the alignment bits of accesses */
#define HOST_TLB_MODES 8
#define HOST_PAGE_SLOTS 16
typedef struct HostTLBEntry {
    uint64_t load, store;       /* tags; store: atomic */
    uint64_t fetch;             /* for C alone */
    uintptr_t addend;           /* host address - guest address */
} HostTLBEntry;
_Static_assert(sizeof(HostTLBEntry) == 32, "probes shift by the difference to HOST_PAGE_BITS");
typedef struct HostTLB {
    uint64_t mask;              /* below 2^25 */
    HostTLBEntry *table;
} HostTLB;

/*
 * Where a load that stands alone, or an access that leads a group, went last: mostly to the same page again and again.
 * Only for MMU index HOST_PROGRAM_MMU, programs: a kernel's code is too large for it, and changes address spaces.
 * Generated code compares `page`, the guest address of a page that loads (or stores) may touch without further ado, and
 * fills the line from the TLB itself.  So whatever takes lines of that index from the current table, or changes the table
 * for another, must call host_forget_pages(), and who flags store tags, host_forget_stores().
 */
#define HOST_PROGRAM_MMU 0
#define HOST_LAST_PAGES 256
#define HOST_NO_PAGE (~0ull)
#define HOST_PAGE_MARKS 256
typedef struct HostLastPage {
    uint64_t page;      /* HOST_NO_PAGE: none.  Atomic in lines of stores */
    uintptr_t addend;   /* likewise */
} HostLastPage;

/* The part of a CPU that generated code reads and writes. Owned by the vCPU thread except where stated. */
typedef struct HostEnv {
    uint64_t reg[IR_MAX_REGS];  /* guest registers by number, valid while outside generated code */
    uint64_t pc;                /* guest pc, likewise */
    uint32_t exit_request;      /* atomic, any thread sets it: leave at the next POLL */
    uint32_t fp_state;          /* guest's rounding mode and sticky flags in the host's own format (x86: MXCSR) */
    uint32_t fp_state_host;     /* the C code's, while generated code runs */
    uint32_t pad0;
    void *host_sp;              /* the C stack, while generated code runs on the return stack */
    void *ras_top;              /* where the return stack starts (grows down), constant; empty = sp here.
                                   Two words at ras_top are readable: a pc no return matches */
    int64_t insns_left;         /* what COUNT subtracts from: instructions that may be executed */
    uint64_t exit_addr;         /* guest address of the access, when left for the misaligned reason */
    uintptr_t helper_return;    /* in a helper: where it was called from, for host_recover() */
    uint64_t scratch[4];        /* for the back end's own thunks */
    uint64_t spill[HOST_SPILLS];
    uint64_t stats[N_HOST_STATS]; /* atomic, stored by the owner; only with HostConfig.count_jumps */
    JumpCacheEntry jump_cache[JUMP_CACHE_SIZE] __attribute__((aligned(64)));
    /* system mode */
    HostTLB tlb[HOST_TLB_MODES];    /* by MMU index */
    JumpCacheEntry *jump_lines;     /* the jump cache that counts now, SYSTEM_JUMP_CACHE_SIZE lines */
    uint64_t access_reg[32];        /* all host registers, during a slow access */
    uint32_t access_active;
    uint64_t page_addend[HOST_PAGE_SLOTS];  /* for the back end's own use within a unit */
    HostLastPage last_page[2][HOST_LAST_PAGES]; /* of loads; of stores */
    uint8_t last_page_misses[2][HOST_LAST_PAGES];   /* modulo 256; for the back end's own use */
    uint8_t last_page_mark[HOST_PAGE_MARKS];    /* by page number modulo their number: 0 if no line has such a page */
    bool last_page_used;                        /* there may be lines */
} HostEnv;

/* Why generated code came back. */
typedef enum HostExitKind {
    HOST_EXIT_LINK,     /* a direct exit that has no successor yet: exit number `exit` of unit `unit` */
    HOST_EXIT_LOOKUP,   /* pc in env->pc, nothing to link (indirect jump missed, or EXIT_LOOKUP) */
    HOST_EXIT_REASON,   /* the guest wants the run loop: `exit` is the reason */
    HOST_EXIT_POLL,     /* exit_request was seen */
    HOST_EXIT_HOT,      /* the countdown of unit `unit` has run out; it has not begun to run, or to run again */
} HostExitKind;

/* How generated code returns (rax, rdx on x86-64).  env->pc and all guest registers are in HostEnv. */
typedef struct HostExit {
    uintptr_t unit;     /* LINK, HOT: the HostCode.unit the code was compiled with; else 0 */
    uint32_t kind;      /* HostExitKind */
    uint32_t exit;      /* LINK: index in HostCode.exits; REASON: the reason */
} HostExit;

/* A chainable exit of a compiled unit. */
typedef struct HostCodeExit {
    uint64_t pc;            /* guest pc it leads to */
    uint32_t patch_offset;  /* of the 4-byte aligned rel32 field, from the start of code */
    uint32_t stub_offset;   /* where the field points while unlinked */
    uint8_t kind;           /* IRExit: JUMP or CALL; the landing pad of a call is an exit of kind JUMP of its own */
} HostCodeExit;

/*
 * A compiled unit.  The caller owns all buffers; host_compile() fills them.
 * `recovery` is an opaque, compact table: host offset of each instruction that may fault or call
 * -> guest pc and where each register is.
 */
typedef struct HostCode {
    uint8_t *code;          /* in: where to write; executable as it stands, already at its final address */
    size_t capacity;        /* in */
    uintptr_t unit;         /* in: what HostExit.unit shall be */
    int32_t *countdown;     /* in: less by 1 with each entry and each time round, by plain subtraction
                               (threads that run the unit at once lose some); while it is not positive
                               the unit leaves with HOT instead.  Within 2 GiB of code; NULL: none */
    size_t size;            /* out: bytes of code */
    HostCodeExit *exits;    /* out: in the arena of the IRFunc */
    uint32_t nexits;        /* out */
    uint8_t *recovery;      /* out: in the arena of the IRFunc; the caller copies it next to the unit */
    size_t recovery_size;   /* out */
} HostCode;

typedef enum HostResult { HOST_OK, HOST_NO_SPACE, HOST_TOO_COMPLEX } HostResult;

/* An access to guest memory that generated code, or the interpreter, does not make itself. */
typedef struct HostAccess {
    uint64_t addr;          /* guest address */
    uint64_t val, val2;     /* ST: value; AMO: operand; CAS: expected, desired; low bytes count */
    uint8_t op;             /* IR_LD IR_ST IR_AMO IR_CAS */
    uint8_t memop;          /* MemOp */
    uint8_t amo;            /* IRAmo */
    uint8_t mmu_idx;
} HostAccess;
/*
 * Makes the access; the bytes loaded (AMO, CAS: before), zero-extended.  May leave generated code
 * through host_recover() with helper_return, as a helper does, instead of returning.
 */
typedef uint64_t HostAccessFunc(HostEnv *env, const HostAccess *access);

/* Process-wide: what the machine has, thunks shared by all units, homes of the guest's registers. */
typedef struct HostConfig {
    const IRGuest *guest;
    uint64_t guest_base;    /* host address of guest address 0; the back end uses a segment base if not 0 */
    uint32_t misaligned_reason; /* HOST_EXIT_REASON's number for MO_ALIGN accesses that are not aligned */
    bool count_jumps;       /* count HostStats; code is the same without */
    bool no_ras, no_inline_jump_cache, no_pinning; /* for measurement (-accel tcg,...) */
    HostAccessFunc *access;     /* system mode: NULL if all units access memory directly */
    uint32_t disabled_features; /* host features to do without, for tests: HOST_NO_... */
} HostConfig;
enum { HOST_NO_BMI2 = 1, HOST_NO_FMA = 2, HOST_NO_AVX = 4, HOST_NO_LZCNT = 8 };

/*
 * Generate entry and exit code and the call thunks into `code` (at most `capacity` bytes) and
 * fix the homes.  Once, before any host_compile().  Returns the bytes used, 0 on lack of space.
 */
size_t host_init(const HostConfig *config, uint8_t *code, size_t capacity);
/* The first miss of an empty line fills it. */
static inline void host_forget_line(HostEnv *env, unsigned store, unsigned n)
{
    __atomic_store_n(&env->last_page[store][n].page, HOST_NO_PAGE, __ATOMIC_RELAXED);
    env->last_page_misses[store][n] = 0xff;
}

/* For the owner, outside of units: accesses to pages with bytes in [start, last] probe the TLB again. */
static inline void host_forget_pages(HostEnv *env, uint64_t start, uint64_t last)
{
    uint64_t first_page = start >> HOST_PAGE_BITS, last_page = last >> HOST_PAGE_BITS;
    if (!env->last_page_used ||
        (first_page == last_page && !env->last_page_mark[first_page % HOST_PAGE_MARKS])) {
        return;
    }
    for (unsigned n = 0; n < 2 * HOST_LAST_PAGES; n++) {
        unsigned store = n / HOST_LAST_PAGES, line = n % HOST_LAST_PAGES;
        uint64_t page = __atomic_load_n(&env->last_page[store][line].page, __ATOMIC_RELAXED) >> HOST_PAGE_BITS;
        if (page >= first_page && page <= last_page) {
            host_forget_line(env, store, line);
        }
    }
    if (start == 0 && last == UINT64_MAX) {
        memset(env->last_page_mark, 0, sizeof(env->last_page_mark));
        env->last_page_used = false;
    }
}

/* Any `env` of system mode, before it is run. */
static inline void host_init_pages(HostEnv *env)
{
    memset(env->last_page, 0, sizeof(env->last_page));
    env->last_page_used = true;
    host_forget_pages(env, 0, UINT64_MAX);
}

/*
 * Any thread: no store goes to the page of host memory at `host` without a probe of the TLB, whose lines for it have been
 * flagged.  The number of lines that were taken away.
 */
static inline unsigned host_forget_stores(HostEnv *env, uintptr_t host)
{
    unsigned taken = 0;
    /* [STORE-PAGE] pairs with the locked instruction of the thunk that fills a line: it sees the flag, or we its line. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned n = 0; n < HOST_LAST_PAGES; n++) {
        HostLastPage *p = &env->last_page[1][n];
        uint64_t page = __atomic_load_n(&p->page, __ATOMIC_RELAXED);
        taken += page != HOST_NO_PAGE && page + __atomic_load_n(&p->addend, __ATOMIC_RELAXED) == host &&
                 __atomic_compare_exchange_n(&p->page, &page, HOST_NO_PAGE, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
    return taken;
}

/* Per thread, before it first enters generated code (segment base). */
void host_thread_init(HostEnv *env);

/* Compile `f`. HOST_NO_SPACE: nothing useful was written, try again in a fresh region;
   HOST_TOO_COMPLEX: out of spill slots or the like, make a shorter unit. Thread-safe: any number at once. */
HostResult host_compile(const IRFunc *f, HostCode *out);

/* Run from `code` until generated code leaves. */
HostExit host_enter(HostEnv *env, const void *code);

/* Retarget a patchable jump: one aligned atomic 4-byte store.  Guarded by the destination's jmp_lock. */
void host_patch_jump(uint8_t *field, const void *target);

/*
 * Recover the guest's state.  host_pc lies in the unit at `code`: at an instruction that faulted
 * (ucontext != NULL: the signal's ucontext_t holds the registers), or behind a call to a
 * helper or a slow access (ucontext == NULL: the thunk stored the registers to env).  Writes env->reg[], env->pc and
 * fp_state.  Returns false when the table has no entry there: a fault of our own.
 * Async-signal-safe.
 */
bool host_recover(HostEnv *env, const uint8_t *code, const uint8_t *recovery, size_t recovery_size,
                  uintptr_t host_pc, void *ucontext);
/* Make the interrupted thread leave generated code, as if host_enter() had returned `result`
   (state must have been recovered). For signal handlers. */
void host_leave_sigsafe(HostEnv *env, void *ucontext, HostExit result);
/* True if the fault in ucontext is the return stack's guard page: it has been reset, just return. */
bool host_fix_ras_overflow_sigsafe(HostEnv *env, void *ucontext, uintptr_t fault_addr);
/* From inside a helper called by generated code at return address `ret` (recover first):
   leave generated code with `result`. */
_Noreturn void host_leave_from_helper(HostEnv *env, HostExit result);

/* FP state in host format. */
uint32_t host_fp_init(void);                            /* nearest-even, no flags, all masked */
unsigned host_fp_get_flags(const HostEnv *env);         /* bits as IR FPGET */
void host_fp_set_flags(HostEnv *env, unsigned flags);
void host_fp_set_rounding(HostEnv *env, IRRound rm);    /* RNE..RUP */

/* One line of text a caller may print for -d out_asm; needs Capstone at build time. */
void host_disas(FILE *out, const uint8_t *code, size_t size);

#endif
