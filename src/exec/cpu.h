/*
 * CPUState: one guest CPU (system mode) or guest thread (user mode), run by one host thread.
 *
 * A guest's own CPU struct begins with a CPUState, which begins with the HostEnv that generated code
 * sees; the three have the same address.
 */
#ifndef BRAID_CPU_H
#define BRAID_CPU_H

#include <pthread.h>
#include <setjmp.h>

#include "guest/guest.h"
#include "host/host.h"
#include "util/lock.h"

typedef struct TranslateThread TranslateThread;
typedef struct WorkItem WorkItem;
struct SoftTLB;

/*
 * System mode: jump caches, each for one combination of what a block depends on beside its pc.  See exec/tlb.c.
 */
#define JUMP_CACHES 16
#define JUMP_GROUP_LINES 4      /* what lies in one cache line of the host */
typedef struct JumpCache {
    bool valid;                 /* atomic; else its lines may hold anything */
    uint32_t flags, cflags;
    uint64_t space;             /* as in tlb_set_space() */
    uint64_t last_used;
    uint64_t used[SYSTEM_JUMP_CACHE_SIZE / JUMP_GROUP_LINES / 64];  /* atomic: a bit for each group that may not be empty */
} JumpCache;
typedef struct JumpCaches {
    JumpCacheEntry *lines;      /* SYSTEM_JUMP_CACHE_SIZE of each; `pc` as in HostEnv.jump_cache, or 0: never used */
    /* owned by the vCPU thread; what is atomic is dropped by a flush of all blocks, too */
    JumpCache cache[JUMP_CACHES];
    unsigned current;
    uint64_t clock;
} JumpCaches;

typedef enum DebugEvent { DEBUG_EVENT_BREAKPOINT, DEBUG_EVENT_STEP, DEBUG_EVENT_WATCH } DebugEvent;
typedef enum DebugStep { DEBUG_STEP_NONE, DEBUG_STEP_WANTED, DEBUG_STEP_DONE } DebugStep;

/* A vCPU under a debugger; see exec/debug.h. */
typedef struct CPUDebug {
    /* owned by the vCPU thread while it runs, by the owner of an exclusive section otherwise */
    DebugStep step;
    DebugEvent event;           /* why cpu_exec() returned EXIT_REASON_DEBUG */
    bool watch_hit;             /* the instruction under way does what is watched for: */
    bool watch_again;           /* ... and is executed again, with nothing else in its block (system mode) */
    uint8_t watch_kind;         /* WatchKind */
    vaddr watch_addr;           /* start of the watchpoint */
    uint32_t held;              /* atomic, written by that owner; a futex */
} CPUDebug;

struct CPUState {
    HostEnv env;

    /* constant after cpu_create() */
    const Guest *guest;
    int cpu_index;
    TranslateThread *tx;        /* this thread's translation context */
    void *user_data;            /* linux-user: its thread record; board: its hart */

    struct SoftTLB *soft_tlb;   /* system mode */
    JumpCaches *jumps;          /* system mode */

    /* owned by the vCPU thread */
    void *fault_stack;          /* system mode: for the handler of SIGSEGV */
    HostTLBEntry scratch_line;  /* a translation that is good for one access */
    uint32_t jump_cache_flags, jump_cache_cflags; /* what the jump cache is good for */
    vaddr fault_addr;           /* of the last EXIT_REASON with an address */
    bool fault_is_store;
    bool fault_addr_unknown;    /* MEMORY_FAULT, until exec_find_fault_addr(): the host named none */
    int fault_signal;           /* user mode, MEMORY_FAULT: the host's SIGSEGV or SIGBUS ... */
    int fault_signal_code;      /* ... and its si_code */
    bool in_exclusive;          /* inside start_exclusive() */
    bool resume_running;        /* end_exclusive() shall make it running again */
    uint64_t llsc_addr, llsc_val; /* reservation: address (all ones: none) and value loaded */
    uint64_t llsc_tag[2];       /* llsc=strict: the tags that the reservation rests on */
    uint64_t insns_granted;     /* -icount, see icount.c: executed ones and those left */
    bool insns_one_by_one;      /* fewer are left than the next unit has */
    bool io_allowed;            /* the next unit, or the present one, is one instruction */
    uint32_t llsc_failures;     /* llsc=strict: how often in a row tags were found lost */
    CPUDebug debug;
    /* read by the signal handler on this thread */
    bool copy_active;           /* exec_copy_from_guest() is under way: a fault goes to copy_fault */
    sigjmp_buf copy_fault;

    /* atomic: written by the owner, read by start_exclusive(); futexes */
    uint32_t running;           /* in cpu_exec(), may be in generated code */
    uint32_t held_back;         /* waits in cpu_exec_start() for the end of a section */
    uint32_t parked;            /* set by cpu_park(): never runs again */
    uint32_t stop_request;      /* any thread: cpu_exec() shall return 0 (then kick it) */
    uint64_t left;              /* any thread: of the blocks invalidated so far it is inside none of the first so many */
    uint64_t turns;             /* system mode: how often it left generated code [SETTLE] */
    uint32_t waiting;           /* in cpu_wait(): a kick must wake it [KICK-WAKE] */

    SpinLock work_lock;         /* rank WORK_QUEUE */
    /* guarded by work_lock; work_first is also peeked at (atomic) by the owner */
    WorkItem *work_first, *work_last;
    unsigned work_count;

    /* guarded by cpu_list_lock */
    uint64_t stats_collected[N_HOST_STATS]; /* of env.stats: already in the statistics */

    /* changed under the exclusive and the cpu list lock, read under either */
    struct CPUState *next_cpu;
};

#endif
