/*
 * -icount as the run loop and the slow side of memory see it; see icount.c.
 */
#ifndef BRAID_EXEC_ICOUNT_H
#define BRAID_EXEC_ICOUNT_H

#include "exec/tb.h"

/* No unit has more instructions. */
#define ICOUNT_LONGEST_UNIT 512

/* Options of the next block.  False: no instruction is left. */
bool icount_before_block(CPUState *cpu, uint32_t *cflags);
void icount_after_block(CPUState *cpu, HostExit how);
/* In a slow access, before a device is asked: may leave, to come back with this instruction alone. */
void icount_allow_io(CPUState *cpu);

/* Executed by all vCPUs, which stand still. */
uint64_t icount_sum(void);

#endif
