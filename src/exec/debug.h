/*
 * What a debugger asks of vCPUs: breakpoints, watchpoints, single steps, and some vCPUs held
 * while others run.
 *
 * All of it is changed only by the owner of an exclusive section (a debugger's own thread takes
 * one with start_exclusive(NULL) for as long as the machine shall stand still), so a vCPU that runs
 * reads it without locks.  cpu_exec() returns EXIT_REASON_DEBUG; CPUState.debug says why.
 */
#ifndef BRAID_EXEC_DEBUG_H
#define BRAID_EXEC_DEBUG_H

#include "exec/exec.h"

typedef enum WatchKind { WATCH_WRITE = 1, WATCH_READ = 2, WATCH_ACCESS = 3 } WatchKind;

/* Inside an exclusive section.  A breakpoint set twice is one; false: there is none to remove. */
void debug_insert_breakpoint(vaddr pc);
bool debug_remove_breakpoint(vaddr pc);
void debug_insert_watchpoint(vaddr start, uint64_t len, WatchKind kind);
bool debug_remove_watchpoint(vaddr start, uint64_t len, WatchKind kind);
/* All of them, and all vCPUs run on; debug_commit() follows. */
void debug_clear(void);

/* What the vCPU shall do once the section has ended. */
typedef enum DebugResume { DEBUG_HOLD, DEBUG_RUN, DEBUG_STEP } DebugResume;
void debug_set_resume(CPUState *cpu, DebugResume how);
/* After changes and before end_exclusive(): translations agree with the breakpoints again. */
void debug_commit(void);

/* True if the breakpoint that made this vCPU stop is still there. */
bool debug_breakpoint_at(vaddr pc);
/* The same for the watchpoint. */
bool debug_watchpoint_is_set(vaddr start, unsigned kind);

/* ---- for exec/ itself ---- */

/* Is there anything that the run loop has to do before it enters a block? */
static inline bool debug_is_active(void);
/* By a vCPU that runs, about to execute the instruction at pc.  False: cpu_exec() shall return
   EXIT_REASON_DEBUG.  Adds to *cflags.  May sleep (user mode), not running, while the vCPU is held; then
   *again is set, and the state may have been changed. */
bool debug_before_block(CPUState *cpu, vaddr pc, uint32_t *cflags, bool *again);
/* Behind it. */
void debug_after_block(CPUState *cpu, HostExit how);
/* cpu_exec() got EXIT_REASON_DEBUG out of a block.  True: go on at env.pc. */
bool debug_go_on(CPUState *cpu);
/* System mode.  Some watchpoint has bytes in the page at `page`: accesses to it go the slow way, ... */
bool debug_page_is_watched(vaddr page);
/* ... where this asks before each access.  True: leave for EXIT_REASON_DEBUG, without having made it. */
static inline bool debug_access_stops(CPUState *cpu, vaddr addr, unsigned size, bool is_store);
bool debug_access_stops_slow(CPUState *cpu, vaddr addr, unsigned size, bool is_store);
/* System mode: the vCPU shall execute nothing; cpu_exec() is not called meanwhile. */
static inline bool debug_is_held(const CPUState *cpu);
/* Interrupts wait: the vCPU is to execute just the instruction at env.pc, or none; or to report what one did. */
static inline bool debug_defers_interrupts(const CPUState *cpu);
/* Some breakpoint lies in [start, end). */
bool debug_has_breakpoint(vaddr start, vaddr end);

typedef struct DebugContext {
    /* changed in exclusive sections, constant while a vCPU runs */
    vaddr *breakpoints;         /* sorted */
    unsigned nbreakpoints;
    struct Watchpoint *watchpoints;
    unsigned nwatchpoints;
    bool changed;               /* translations do not agree with breakpoints[] yet */
    bool watch_changed;         /* TLBs do not agree with watchpoints[] yet */
    bool active;                /* there are watchpoints, or a vCPU steps or is held */
} DebugContext;
extern DebugContext debug_ctx;

static inline bool debug_is_active(void)
{
    return debug_ctx.active;
}

static inline bool debug_access_stops(CPUState *cpu, vaddr addr, unsigned size, bool is_store)
{
    return unlikely(debug_ctx.nwatchpoints) && debug_access_stops_slow(cpu, addr, size, is_store);
}

static inline bool debug_is_held(const CPUState *cpu)
{
    return unlikely(debug_is_active()) && __atomic_load_n(&cpu->debug.held, __ATOMIC_RELAXED);
}

static inline bool debug_defers_interrupts(const CPUState *cpu)
{
    return unlikely(debug_is_active()) && (cpu->debug.step != DEBUG_STEP_NONE || cpu->debug.watch_hit);
}

#endif
