/* -drive, -device, -netdev, -chardev, -fsdev, -virtfs: what goes into the virtio-mmio slots and onto the PCI bus. */
#ifndef BRAID_BOARD_SLOTS_H
#define BRAID_BOARD_SLOTS_H

#include "board/board.h"
#include "board/irq.h"
#include "board/pci/pci.h"

/* -chardev; first, since others name them. */
void slots_parse_chardevs(const BoardOptions *o);
/*
 * Makes the devices that the options name; `irqs` are the lines of the VIRT_VIRTIO_SLOTS virtio-mmio slots.  fatal_usage() on nonsense.  Before chardev_start_all().
 */
void slots_create(const BoardOptions *o, const IRQLine *irqs, PCIBus *pci);
/* A chardev of -chardev by its id, or a new one by what -serial takes ("mon:stdio"). */
Chardev *slots_find_chardev(const char *option, const char *text);
/* `info network`. */
void slots_print_network(FILE *out);
/* At the end: images are flushed. */
void slots_finish(void);

#endif
