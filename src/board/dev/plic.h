/* The platform-level interrupt controller (RISC-V PLIC specification 1.0.0). */
#ifndef BRAID_BOARD_DEV_PLIC_H
#define BRAID_BOARD_DEV_PLIC_H

#include "board/device.h"
#include "board/irq.h"
#include "mem/memory.h"

#define PLIC_SOURCES 96         /* 1 ... 96; 0 does not exist */

typedef struct PLIC PLIC;

extern const MMIOOps plic_ops;  /* opaque: the PLIC */

/* `contexts` output lines (line i belongs to context i), copied.  Lives for ever. */
PLIC *plic_create(const IRQLine *contexts, unsigned ncontexts);
extern const DeviceClass plic_class;
void plic_reset(PLIC *p);
/* The line of source n. */
IRQLine plic_input(PLIC *p, unsigned n);

#endif
