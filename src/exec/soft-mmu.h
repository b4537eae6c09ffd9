/*
 * Guest memory in system mode: what of exec/soft-mmu.c the rest of exec/ uses.  For others: exec/tlb.h.
 */
#ifndef BRAID_SOFT_MMU_H
#define BRAID_SOFT_MMU_H

#include "exec/tb.h"
#include "exec/tlb.h"
#include "mem/soft-tlb.h"

/* All accesses that generated code and the interpreter do not make themselves.  Leaves on exceptions. */
uint64_t soft_mmu_access(HostEnv *env, const HostAccess *access);

/*
 * Where the instruction at pc is fetched from, as a physical address, and the host's address of that byte.  False: an
 * exception is recorded.  Without page locks.
 */
bool soft_mmu_fetch(CPUState *cpu, vaddr pc, hwaddr *pa, bool *global);

/*
 * Under the page's lock, before its bytes are read for a translation: from now on stores to the page
 * come to soft_mmu_access(), which invalidates.  True: another vCPU may still be in the middle of a fast
 * store, see tb_page_unsettled().
 */
bool soft_mmu_protect_code(CPUState *cpu, PageDesc *pd);

/* CPUState.soft_tlb of a new vCPU; and away with it. */
void soft_mmu_create(CPUState *cpu);
void soft_mmu_destroy(CPUState *cpu);

#endif
