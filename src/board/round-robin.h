/*
 * All harts on one thread, in turn: -accel tcg,thread=single, and -icount.
 */
#ifndef BRAID_BOARD_ROUND_ROBIN_H
#define BRAID_BOARD_ROUND_ROBIN_H

#include "guest/riscv/system.h"

/* The harts' thread; `arg` is ignored.  Never returns. */
void *round_robin_main(void *arg);
/* RISCVSystemConfig.wake, and whatever else the thread shall look at while it sleeps.  Any thread. */
void round_robin_wake(CPUState *cpu);

#endif
