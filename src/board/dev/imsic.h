/*
 * IMSIC: the harts' interrupt files for messages (RISC-V AIA 1.0, chapter "Incoming MSI Controller"), those of
 * all harts at one privilege level.  Identities 1 to IMSIC_IDS; no guest files.
 */
#ifndef BRAID_BOARD_DEV_IMSIC_H
#define BRAID_BOARD_DEV_IMSIC_H

#include "board/device.h"
#include "board/irq.h"
#include "mem/memory.h"

#define IMSIC_IDS 255u
#define IMSIC_PAGE 0x1000u      /* of each hart, for messages */

typedef struct IMSIC IMSIC;

extern const MMIOOps imsic_ops; /* opaque: the IMSIC; a page for each hart */
extern const DeviceClass imsic_class;

/* lines[i]: the external interrupt of hart i at this level; copied. */
IMSIC *imsic_create(const IRQLine *lines, unsigned nharts);
/* A message: identity `id` of a hart becomes pending.  No such: nothing.  Any thread, no lock of rank IRQ or later. */
void imsic_message(IMSIC *s, unsigned hart, uint32_t id);

/* ---- the hart's CSRs ---- */
/* Register `reg` of those that *iselect names: *old, then the bits in mask become value's.  False: no such register. */
bool imsic_access(IMSIC *s, unsigned hart, unsigned reg, uint64_t mask, uint64_t value, uint64_t *old);
/* *topei: the most urgent identity, twice; 0: none.  `claim`: it is pending no more. */
uint32_t imsic_top(IMSIC *s, unsigned hart, bool claim);

#endif
