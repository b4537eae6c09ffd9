/*
 * All harts on one thread, in turn: -accel tcg,thread=single, and -icount.
 */
#ifndef BRAID_BOARD_ROUND_ROBIN_H
#define BRAID_BOARD_ROUND_ROBIN_H

#include "guest/riscv/system.h"

/* -icount */
typedef struct CountOptions {
    bool on;
    unsigned shift;         /* an instruction takes 2^shift ns */
    bool sleep;             /* when no hart has anything to do, wait really rather than let time pass at once */
} CountOptions;

/* Before hart_create_all(): what clock_ns() shows is counted by the harts' thread. */
void round_robin_count(const CountOptions *options);
/* Whose turn it is becomes part of the machine's saved state. */
void round_robin_init(void);
/* A count of the harts' counters is 2^this ns: of instructions with -icount, else they count ns. */
unsigned round_robin_shift(void);
/* Counted time: what the hart has asked of the board is to be done before it, or another, executes more.  For the
   harts' thread; does nothing on others. */
void round_robin_hold(void);
/* The harts' thread; `arg` is ignored.  Never returns. */
void *round_robin_main(void *arg);
/* RISCVSystemConfig.wake, and whatever else the thread shall look at while it sleeps.  Any thread. */
void round_robin_wake(CPUState *cpu);

#endif
