/*
 * Breakpoints, watchpoints and steps, as the run loop and the translator see them.
 *
 * A breakpoint is made of translations: the block at its pc consists of EXIT_REASON_DEBUG alone,
 * and no other block reaches across it, so code runs at full speed up to it.  When the set of
 * breakpoints changes all translations are dropped: a debugger's stops are rare.
 *
 * A step is a block of one instruction that comes back.  A watchpoint is reported behind the instruction, as
 * gdb expects.  In user mode all instructions go through the run loop one at a time while there are
 * watchpoints, and each is asked what it is about to access.  In system mode pages with watchpoints have TLB_WATCH in
 * their lines, which is set where lines are filled (TLBs are emptied when the set of watchpoints changes,
 * while no vCPU runs); the slow path finds the access, leaves before it is made, and the instruction is
 * executed again in a block of its own.
 */
#include "exec/debug.h"

#include <stdlib.h>
#include <string.h>

#include "exec/tb.h"
#include "exec/tlb.h"
#include "util/error.h"
#include "util/futex.h"

typedef struct Watchpoint {
    vaddr start;
    uint64_t len;
    WatchKind kind;
} Watchpoint;

DebugContext debug_ctx;

/* ---- the sets; in an exclusive section ---- */

/* Index of the first breakpoint at or above pc. */
static unsigned breakpoint_index(vaddr pc)
{
    unsigned low = 0, high = debug_ctx.nbreakpoints;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (debug_ctx.breakpoints[mid] < pc) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

bool debug_has_breakpoint(vaddr start, vaddr end)
{
    unsigned i = breakpoint_index(start);
    return i < debug_ctx.nbreakpoints && debug_ctx.breakpoints[i] < end;
}

bool debug_breakpoint_at(vaddr pc)
{
    return debug_has_breakpoint(pc, pc + 1);
}

void debug_insert_breakpoint(vaddr pc)
{
    DebugContext *d = &debug_ctx;
    unsigned i = breakpoint_index(pc);
    if (i < d->nbreakpoints && d->breakpoints[i] == pc) {
        return;
    }
    d->breakpoints = xrealloc(d->breakpoints, (d->nbreakpoints + 1) * sizeof(*d->breakpoints));
    memmove(&d->breakpoints[i + 1], &d->breakpoints[i],
            (d->nbreakpoints++ - i) * sizeof(*d->breakpoints));
    d->breakpoints[i] = pc;
    d->changed = true;
}

bool debug_remove_breakpoint(vaddr pc)
{
    DebugContext *d = &debug_ctx;
    unsigned i = breakpoint_index(pc);
    if (i == d->nbreakpoints || d->breakpoints[i] != pc) {
        return false;
    }
    memmove(&d->breakpoints[i], &d->breakpoints[i + 1],
            (--d->nbreakpoints - i) * sizeof(*d->breakpoints));
    d->changed = true;
    return true;
}

void debug_insert_watchpoint(vaddr start, uint64_t len, WatchKind kind)
{
    DebugContext *d = &debug_ctx;
    d->watchpoints = xrealloc(d->watchpoints, (d->nwatchpoints + 1) * sizeof(*d->watchpoints));
    d->watchpoints[d->nwatchpoints++] = (Watchpoint){ start, len, kind };
    d->watch_changed = true;
}

bool debug_remove_watchpoint(vaddr start, uint64_t len, WatchKind kind)
{
    DebugContext *d = &debug_ctx;
    for (unsigned i = 0; i < d->nwatchpoints; i++) {
        const Watchpoint *w = &d->watchpoints[i];
        if (w->start == start && w->len == len && w->kind == kind) {
            d->watchpoints[i] = d->watchpoints[--d->nwatchpoints];
            d->watch_changed = true;
            return true;
        }
    }
    return false;
}

bool debug_watchpoint_is_set(vaddr start, unsigned kind)
{
    for (unsigned i = 0; i < debug_ctx.nwatchpoints; i++) {
        if (debug_ctx.watchpoints[i].start == start && debug_ctx.watchpoints[i].kind == kind) {
            return true;
        }
    }
    return false;
}

void debug_clear(void)
{
    debug_ctx.changed |= debug_ctx.nbreakpoints > 0;
    debug_ctx.watch_changed |= debug_ctx.nwatchpoints > 0;
    debug_ctx.nbreakpoints = debug_ctx.nwatchpoints = 0;
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        debug_set_resume(cpu, DEBUG_RUN);
    }
}

void debug_set_resume(CPUState *cpu, DebugResume how)
{
    CPUDebug *d = &cpu->debug;
    d->step = how == DEBUG_STEP ? DEBUG_STEP_WANTED : DEBUG_STEP_NONE;
    if (how != DEBUG_HOLD) {
        d->watch_hit = d->watch_again = false;
    }
    /* Its sleeper looks at nothing else, and finds the rest when it enters cpu_exec_start(). */
    __atomic_store_n(&d->held, how == DEBUG_HOLD, __ATOMIC_RELAXED);
    if (how != DEBUG_HOLD) {
        futex_wake_all(&d->held);
    }
}

void debug_commit(void)
{
    DebugContext *d = &debug_ctx;
    d->active = d->nwatchpoints > 0;
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        d->active |= cpu->debug.step != DEBUG_STEP_NONE || cpu->debug.held;
        if (d->watch_changed && cpu->soft_tlb) {
            tlb_flush(cpu);     /* it does not run */
        }
    }
    d->watch_changed = false;
    if (d->changed) {
        d->changed = false;
        tb_flush_exclusive();
    }
}

/* ---- by vCPUs that run ---- */

static bool note_access(CPUState *cpu, vaddr addr, unsigned size, bool is_store)
{
    for (unsigned i = 0; i < debug_ctx.nwatchpoints; i++) {
        const Watchpoint *w = &debug_ctx.watchpoints[i];
        if (addr < w->start + w->len && w->start < addr + size &&
            w->kind & (is_store ? WATCH_WRITE : WATCH_READ)) {
            cpu->debug.watch_hit = true;
            cpu->debug.watch_addr = w->start;
            cpu->debug.watch_kind = w->kind;
            return true;
        }
    }
    return false;
}

static void note_watched_access(CPUState *cpu, vaddr pc)
{
    uint32_t insn = 0;
    vaddr addr;
    unsigned size;
    bool is_store;
    /* The instruction may be the last two bytes of what is mapped. */
    if (!exec_copy_from_guest(cpu, &insn, pc, 2)) {
        return;
    }
    exec_copy_from_guest(cpu, (uint8_t *)&insn + 2, pc + 2, 2);
    if (cpu->guest->access_address(cpu, insn, &addr, &size, &is_store)) {
        note_access(cpu, addr, size, is_store);
    }
}

bool debug_page_is_watched(vaddr page)
{
    for (unsigned i = 0; i < debug_ctx.nwatchpoints; i++) {
        const Watchpoint *w = &debug_ctx.watchpoints[i];
        if (page <= w->start + w->len - 1 && w->start <= (page | ~GUEST_PAGE_MASK)) {
            return true;
        }
    }
    return false;
}

bool debug_access_stops_slow(CPUState *cpu, vaddr addr, unsigned size, bool is_store)
{
    if (cpu->debug.watch_again || !note_access(cpu, addr, size, is_store)) {
        return false;
    }
    cpu->debug.watch_again = true;
    return true;
}

bool debug_go_on(CPUState *cpu)
{
    cpu->debug.event = DEBUG_EVENT_BREAKPOINT;
    return cpu->debug.watch_again;
}

bool debug_before_block(CPUState *cpu, vaddr pc, uint32_t *cflags, bool *again)
{
    CPUDebug *d = &cpu->debug;
    *again = __atomic_load_n(&d->held, __ATOMIC_RELAXED);
    if (*again) {
        cpu_exec_end(cpu);
        while (__atomic_load_n(&d->held, __ATOMIC_RELAXED)) {
            futex_wait(&d->held, 1, NULL);
        }
        cpu_exec_start(cpu);
        return true;
    }
    if (d->watch_hit && !d->watch_again) {
        d->event = DEBUG_EVENT_WATCH;
        d->watch_hit = false;
        return false;
    }
    if (d->step == DEBUG_STEP_DONE) {
        d->event = DEBUG_EVENT_STEP;
        d->step = DEBUG_STEP_NONE;
        return false;
    }
    bool by_insn = debug_ctx.nwatchpoints && !cpu->soft_tlb;
    if (d->step == DEBUG_STEP_WANTED || d->watch_again || by_insn) {
        *cflags |= CF_SINGLE_INSN | CF_NO_CHAIN | CF_LOOKUP_EXITS;
    }
    if (d->step == DEBUG_STEP_WANTED || d->watch_again) {
        *cflags |= CF_NO_BREAKPOINT;
    }
    if (by_insn) {
        note_watched_access(cpu, pc);
    }
    return true;
}

void debug_after_block(CPUState *cpu, HostExit how)
{
    CPUDebug *d = &cpu->debug;
    bool executed = how.kind != HOST_EXIT_POLL &&
                    !(how.kind == HOST_EXIT_REASON &&
                      (how.exit == EXIT_REASON_DEBUG || how.exit == EXIT_REASON_IO));
    bool left_before_access = how.kind == HOST_EXIT_REASON && how.exit == EXIT_REASON_DEBUG && d->watch_hit;
    bool faulted = how.kind == HOST_EXIT_REASON &&
                   (how.exit == EXIT_REASON_MEMORY_FAULT || how.exit == EXIT_REASON_EXCEPTION ||
                    how.exit == EXIT_REASON_MISALIGNED);
    /* Alone it is executed only now. */
    bool alone = how.kind == HOST_EXIT_REASON && how.exit == EXIT_REASON_EXCLUSIVE && d->watch_again;
    if (left_before_access || alone) {
        return;
    }
    d->watch_again = d->watch_again && how.kind == HOST_EXIT_POLL;
    if ((!executed && !d->watch_again) || faulted) {
        d->watch_hit = false;
    }
    if (executed && d->step == DEBUG_STEP_WANTED) {
        d->step = DEBUG_STEP_DONE;
    }
}
