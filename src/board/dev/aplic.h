/*
 * APLIC: wired interrupts become messages (RISC-V AIA 1.0, chapter "Advanced Platform-Level Interrupt
 * Controller", MSI delivery mode only).  Two domains: machine level, the root, and its child, supervisor level.
 */
#ifndef BRAID_BOARD_DEV_APLIC_H
#define BRAID_BOARD_DEV_APLIC_H

#include "board/device.h"
#include "board/irq.h"
#include "mem/memory.h"

#define APLIC_SOURCES 96u
#define APLIC_SIZE 0x8000u

typedef struct APLIC APLIC;
typedef struct APLICDomain APLICDomain;

typedef struct APLICConfig {
    /* Sends a message: 4 bytes to a physical address; false: nobody takes it.  Any thread, under locks of devices. */
    bool (*message)(void *opaque, hwaddr address, uint32_t data);
    void *opaque;
    /* Without firmware: after a reset all sources are delegated, and messages go to these addresses, a page for each hart. */
    bool handed_over;
    hwaddr machine_files, supervisor_files;
} APLICConfig;

extern const MMIOOps aplic_ops; /* opaque: an APLICDomain */
extern const DeviceClass aplic_class;   /* of the APLIC */

APLIC *aplic_create(const APLICConfig *config);
APLICDomain *aplic_domain(APLIC *a, bool machine);
/* The line of source n. */
IRQLine aplic_input(APLIC *a, unsigned n);

#endif
