/* VIRTIO devices as PCI functions (VIRTIO 1.2, section 4.1). */
#ifndef BRAID_BOARD_VIRTIO_PCI_H
#define BRAID_BOARD_VIRTIO_PCI_H

#include "board/pci/pci.h"
#include "board/virtio/virtio.h"

/* Put a new device into a free slot of the bus.  Before the machine runs. */
PCIDevice *virtio_pci_attach(PCIBus *bus, unsigned slot, VirtIODevice *d);

#endif
