/*
 * exec/: the life of TranslationBlocks and of the vCPUs that run them.  This is what the
 * layers above (linux-user/, board/, debug/, main/) use of it.
 *
 * A vCPU thread calls cpu_exec() in a loop and deals with what comes back.  Around
 * cpu_exec() it is "not running": it holds no translation, and exclusive sections do not
 * wait for it.  Lock order and the contract between threads: docs/concurrency.md.
 */
#ifndef BRAID_EXEC_H
#define BRAID_EXEC_H

#include <signal.h>
#include <stdio.h>

#include "exec/cpu.h"

/* What the owner of the address space says of a guest page (user mode). */
enum PageFlags {
    PAGE_READ = 1,
    PAGE_WRITE = 2,
    PAGE_EXEC = 4,
    PAGE_SHARED = 8,    /* other mappings of the same memory may exist and be written */
    PAGE_ANON = 16,     /* not backed by a file */
    PAGE_VALID = 32,    /* mapped at all */
};

struct TranslationBlock;

typedef struct ExecConfig {
    const Guest *guest;
    uint64_t guest_base;
    size_t tb_size;             /* bytes of code buffer; 0 = default */
    bool system_mode;           /* guest addresses go through the guest's MMU and mem/memory.h */
    bool interp;                /* -accel interp */
    bool one_insn_per_tb;
    bool nochain;
    bool translate_serial;      /* -accel tcg,translate=serial */
    bool strict_llsc;           /* -accel tcg,llsc=strict */
    bool lockstep;
    bool one_thread;            /* system mode: one thread runs all vCPUs in turn */
    bool icount;                /* with one_thread: see cpu_grant_insns() */
    bool verify_ir;             /* run the verifier on each unit, before and after the passes */
    bool count_jumps;           /* count hits and misses of indirect jumps, for --stats */
    bool count;                 /* -accel tcg,count=on: blocks count how often they are run */
    int32_t hot_threshold;      /* with count: on_hot() after so many times; 0 = default */
    bool no_ras, no_inline_jump_cache, no_pinning;
    unsigned opt_level;         /* 0 or 1 */
    unsigned max_insns;         /* guest instructions in a unit; 0 = default */
    uint32_t host_disabled_features;
    /*
     * PageFlags of the page at addr, 0 if none.  Called without locks or under page locks, so it takes
     * none that ranks before them; a change of flags is followed by tb_invalidate_range().
     */
    unsigned (*page_flags)(vaddr addr);
    /*
     * Does `descriptor` describe a critical section that begins at pc?  *end is its end.  As page_flags();
     * NULL: there are none.
     */
    bool (*section_at)(vaddr descriptor, vaddr pc, vaddr *end);
    /* Called for each block that was published (perf map); may be NULL.  Page locks are held. */
    void (*on_publish)(const struct TranslationBlock *tb);
    /* With count: called once for each block that has become hot, on a vCPU's thread that
       runs and holds no lock.  The block may be invalid by then.  May be NULL. */
    void (*on_hot)(CPUState *cpu, struct TranslationBlock *tb);
} ExecConfig;

/* Once, before the first cpu_create(). */
void exec_init(const ExecConfig *config);

/*
 * A call of the vDSO, made from generated code without leaving it.  Returns 0 if it is done; otherwise
 * the guest makes the system call.  May access guest memory in ways that survive a fault only.
 */
typedef uint64_t VdsoCall(CPUState *cpu, uint64_t nr, uint64_t a0, uint64_t a1);
/* Code in [start, end) may make such calls.  Before the first guest instruction. */
void exec_set_vdso(vaddr start, vaddr end, VdsoCall *call);
/* For the guest's helper. */
uint64_t exec_vdso_call(CPUState *cpu, uint64_t nr, uint64_t a0, uint64_t a1);

/* ---- vCPUs ---- */
/* A zeroed CPU of guest->cpu_size, with its return stack, in the list of vCPUs; NULL: no memory.  Without
   locks; waits for exclusive sections. */
CPUState *cpu_create(const Guest *guest);
/* By its own thread, outside cpu_exec(), as the last use, without locks.  Work that is still queued is
   done first; nobody may queue more who is not sure that the vCPU exists. */
void cpu_destroy(CPUState *cpu);
/* By the thread that will run it, before cpu_exec(). */
void cpu_thread_init(CPUState *cpu);
/* One thread for several vCPUs, each of which it gave to cpu_thread_init(): it goes on as this one. */
void cpu_thread_switch(CPUState *cpu);
/* The vCPU that this thread runs, or NULL.  Async-signal-safe. */
CPUState *cpu_current(void);
/*
 * Run guest code until something happens that is not exec's business: returns an ExitReason,
 * or 0 when somebody asked for attention with cpu_kick().  env.reg and env.pc are true then.
 */
int cpu_exec(CPUState *cpu);
/* In system mode Guest.handle_exit() and handle_interrupt() say when it returns; or stop_request. */
/*
 * From a helper that generated code or the interpreter called: recover the guest's state at the call and
 * leave for `reason`.
 */
_Noreturn void cpu_leave_from_helper(CPUState *cpu, int reason);
/*
 * For processes that share memory.  The process that ran the vCPU is dead, wherever it was: the vCPU does not run,
 * and the locks that the calling thread's list names (whose storage that process used) are free again.
 * By a thread without locks.
 */
void cpu_abandon(CPUState *cpu);
/* In an exclusive section: the vCPU, whose process is about to end, never runs again. */
void cpu_park(CPUState *cpu);
/*
 * With ExecConfig.icount: the vCPU may execute n instructions more, whatever it was granted before; then cpu_exec()
 * returns 0.  The vCPU's thread, outside generated code or in a helper of an instruction whose time matters.
 */
void cpu_grant_insns(CPUState *cpu, int64_t n);
/* How many it has executed since it was created; in such a helper with the instruction under way. */
static inline uint64_t cpu_insns_executed(const CPUState *cpu)
{
    return cpu->insns_granted - (uint64_t)cpu->env.insns_left;
}
/* fn for each vCPU, under the list's lock (rank CPU_LIST): none begins or ends meanwhile. */
void cpu_foreach(void (*fn)(CPUState *cpu, void *opaque), void *opaque);
/* The same between exec_fork_prepare() and its counterpart, which hold that lock. */
void cpu_foreach_locked(void (*fn)(CPUState *cpu, void *opaque), void *opaque);
/* Ask the vCPU to come back from cpu_exec() or cpu_wait().  Any thread; async-signal-safe. */
void cpu_kick(CPUState *cpu);
/*
 * Sleep until a kick that cpu_exec() has not answered yet, or until the host's CLOCK_MONOTONIC reaches
 * deadline_ns (~0ull: no limit).  The vCPU's thread, outside cpu_exec(), without locks.  True: kicked; the kick
 * stays for cpu_exec() to answer, which does the queued work.
 */
bool cpu_wait(CPUState *cpu, uint64_t deadline_ns);
/* Answer a kick: do the queued work.  The vCPU's thread, without locks; cpu_exec() does it by itself. */
void cpu_answer_kick(CPUState *cpu);

/* ---- Work for other vCPUs ---- */
typedef void CPUWorkFunc(CPUState *cpu, void *data);
/* Do what is queued for this vCPU.  Its thread, outside cpu_exec(), without locks. */
void cpu_process_work(CPUState *cpu);
/* fn runs on cpu's thread at its next exit from generated code. */
void async_run_on_cpu(CPUState *cpu, CPUWorkFunc *fn, void *data);
/* The same, and no other vCPU runs meanwhile. */
void async_safe_run_on_cpu(CPUState *cpu, CPUWorkFunc *fn, void *data);
/*
 * Stop all other vCPUs outside generated code until end_exclusive().  Called by a vCPU thread
 * (or with NULL by another) that holds no lock.  Not recursive.  Not from a helper: the vCPU counts
 * as stopped while it waits, and a flush may take the code that the helper returns to.
 */
void start_exclusive(CPUState *cpu);
void end_exclusive(CPUState *cpu);

/* ---- Translations ---- */
/*
 * The bytes in [start, end) have changed or are no longer executable (page_flags() says so already); in
 * system mode physical addresses, and it is memory_write() that calls this:
 * drop what was made of them.  No vCPU enters it from now on; one that is inside may finish,
 * see tb_quiesce().  What has the same bytes when it is asked for again may come back as it was: who
 * changes anything else that translations were made from must use tb_flush().  Under locks up to rank
 * TRANSLATE, but not inside a section that page_flags() waits for.
 */
void tb_invalidate_range(vaddr start, vaddr end);
/*
 * The instruction stream of all vCPUs is to agree with memory in [start, end); 0, 0 means everywhere.
 * On return no vCPU runs code made from bytes that have changed.  Not under any lock.
 */
void tb_flush_icache(CPUState *cpu, vaddr start, vaddr end);
/*
 * Wait until no vCPU is inside a block that was invalidated before the call: after it nobody
 * executes what tb_invalidate_range() dropped.  Costs two loads when there is nothing to wait for.
 * Not under any lock, not from a helper.
 */
void tb_quiesce(CPUState *cpu);
/* Drop all translations.  Not under any lock; also from safe work and inside an exclusive section. */
void tb_flush(CPUState *cpu);
/* Before the second guest thread starts, or another process can share memory: from now on atomics and barriers
   are real. */
void exec_set_parallel(CPUState *cpu);

/* Guest code in [start, end) is a critical section: from now on it runs with all other vCPUs stopped. As
   tb_flush(), on the vCPU's own thread. */
void exec_learn_section(CPUState *cpu, vaddr start, vaddr end);

/* ---- fork ---- */
/*
 * Stop all other vCPUs and take what locks of exec/ a thread that is not running could hold; then
 * fork(); then one of the others.  A caller with locks of ranks between EXCLUSIVE and INVALIDATE
 * (MMAP, ...) begins the exclusive section itself, takes those, then calls this; it ends the
 * section itself too.  util_fork_prepare() comes last, its counterparts first.
 */
void exec_fork_prepare(CPUState *cpu);
void exec_fork_parent(CPUState *cpu);
/* In the child `cpu` is the only vCPU; the others are freed. */
void exec_fork_child(CPUState *cpu);

/* ---- Host signals ---- */
/*
 * First thing in a handler for SIGSEGV and SIGBUS.  True: it was exec's business, return from
 * the handler; cpu_exec() will return EXIT_REASON_MEMORY_FAULT if it was the guest's access.
 */
bool exec_handle_fault_sigsafe(CPUState *cpu, int sig, siginfo_t *si, void *ucontext);
/* True if host_pc is in generated code or the thunks around it. */
bool exec_is_generated_code(uintptr_t host_pc);
/*
 * Copy n bytes from guest memory, which may vanish at any moment.  False if it did.
 */
bool exec_copy_from_guest(CPUState *cpu, void *to, vaddr from, size_t n);

/* For --stats: the tables' state beside the counters. */
void exec_print_stats(FILE *out);

#endif
