/*
 * The soft TLB as guests, boards and the monitor use it: system mode only.
 *
 * Each vCPU remembers translations of its own, by MMU index and address space.  All functions
 * with a `cpu` and no target are for that vCPU's thread (outside generated code, in a helper, or in
 * handle_exit()); after a change of what code addresses mean the unit must end (exit LOOKUP).
 * Flushes of other vCPUs are work for them.
 */
#ifndef BRAID_EXEC_TLB_H
#define BRAID_EXEC_TLB_H

#include "exec/exec.h"

/*
 * The address space that counts from now on: any number that names one (riscv: mode and ASID
 * of satp).  Forgets nothing: when the guest comes back to a space it finds its translations,
 * unless too many others were used meanwhile.
 */
void tlb_set_space(CPUState *cpu, uint64_t space);
#define TLB_ALL_SPACES (~0ull)

/*
 * In a helper behind which the unit leaves by EXITIND LOOKUP: translations depend on `flags` from now on.  The
 * next pc is looked up in the jump cache for these, and for global pages or the current space's own.
 * cflags: the unit's.
 */
void tlb_select_flags(CPUState *cpu, uint32_t flags, uint32_t cflags, bool global);

/* Forget everything, in all spaces. */
void tlb_flush(CPUState *cpu);
/* Forget a space but for its global pages; TLB_ALL_SPACES: these too. */
void tlb_flush_space(CPUState *cpu, uint64_t space);
/*
 * Forget the pages (large ones as a whole) with bytes in [start, start + size), in one space
 * (global pages stay) or TLB_ALL_SPACES.
 */
void tlb_flush_range(CPUState *cpu, vaddr start, uint64_t size, uint64_t space);
static inline void tlb_flush_page(CPUState *cpu, vaddr va, uint64_t space)
{
    tlb_flush_range(cpu, va & ~0xfffull, 4096, space);
}

/* For another vCPU; any thread. */
typedef struct TLBFlush {
    bool all;           /* everything, else as tlb_flush_range(); size ~0ull: the whole space */
    vaddr start;
    uint64_t size;
    uint64_t space;
    uint64_t leave;     /* unless 0: nothing of all this, but be inside none of the first so many invalidated blocks */
} TLBFlush;
/* As work: done before `target` next enters generated code. */
void tlb_flush_async(CPUState *target, TLBFlush what);
/*
 * All `targets` (n; src itself may be among them), and on return all have done it, but for those that sleep in cpu_wait(),
 * which do it before they run guest code again.  Called by the
 * vCPU thread of src outside cpu_exec() and without locks, or in handle_exit(); does work that comes in for src
 * meanwhile, so that two that flush each other get on.
 */
void tlb_flush_synced(CPUState *src, CPUState *const *targets, unsigned n, TLBFlush what);
/*
 * FENCE.I on all `targets`, in system mode: on return none of them runs code made from bytes that had changed before the
 * call.  Waits as tlb_flush_synced(), for these alone and only if blocks were invalidated; the others run on.
 */
void tlb_fence_i_synced(CPUState *src, CPUState *const *targets, unsigned n);

/*
 * The guest's view of memory for C code on the vCPU's thread (helpers, handle_exit()): with the CPU's MMU index
 * for loads.  False: the exception is recorded.
 */
bool cpu_load(CPUState *cpu, vaddr va, unsigned size, uint64_t *value);
/* For debuggers (mmu_probe()): no exceptions, no dirty bits, RAM only; any thread while the vCPU is stopped. */
bool cpu_memory_debug(CPUState *cpu, vaddr va, void *buf, size_t n, bool write);

/* `info tlb`. */
void tlb_print(FILE *out, CPUState *cpu);

#endif
