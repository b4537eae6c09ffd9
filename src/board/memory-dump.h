/* The monitor's `x` and `xp`. */
#ifndef BRAID_BOARD_MEMORY_DUMP_H
#define BRAID_BOARD_MEMORY_DUMP_H

#include <stdio.h>

#include "exec/cpu.h"

/* `text`: "[/FMT] ADDR", FMT as in gdb.  As `cpu` sees memory, or physical (NULL).  The vCPU does not run. */
void memory_dump(const char *text, CPUState *cpu, FILE *out);

#endif
