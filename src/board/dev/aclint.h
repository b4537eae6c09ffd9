/*
 * Timer and software interrupts of the harts: a SiFive CLINT, which is what an ACLINT's MTIMER and
 * MSWI devices look like side by side.
 */
#ifndef BRAID_BOARD_DEV_ACLINT_H
#define BRAID_BOARD_DEV_ACLINT_H

#include "board/device.h"
#include "board/irq.h"
#include "mem/memory.h"

#define ACLINT_MAX_HARTS 4095u
#define ACLINT_TIME_FREQUENCY 10000000u     /* ticks of mtime a second */

typedef struct ACLINT ACLINT;

extern const MMIOOps aclint_ops;    /* opaque: the ACLINT */

/* software[i] and timer[i]: MSIP and MTIP of hart i; copied. */
ACLINT *aclint_create(const IRQLine *software, const IRQLine *timer, unsigned nharts);
/* Whom to tell that mtime was set, or may have been: on a hart's thread, without locks.  Before harts run. */
void aclint_on_time_set(ACLINT *a, void (*fn)(void));
extern const DeviceClass aclint_class;
void aclint_reset(ACLINT *a);
/* mtime, which is also the harts' time CSR.  Any thread, no locks. */
uint64_t aclint_time(const ACLINT *a);
/* When mtime reaches `ticks`, as a time of clock_ns(); TIMER_NEVER if that is too far away. */
uint64_t aclint_time_to_ns(const ACLINT *a, uint64_t ticks);

#endif
