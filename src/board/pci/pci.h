/*
 * A PCI Express root bus with single-function devices behind an ECAM host bridge (PCI Express Base Specification,
 * section 7.2.2; PCI Local Bus 3.0 for configuration space, BARs, INTx and MSI-X).
 *
 * A device is made before the machine runs and shown to the guest as type 0 configuration space.  What the guest
 * writes there takes effect at once: BARs appear and move in the memory map, bus mastering and interrupts go on
 * and off.
 */
#ifndef BRAID_BOARD_PCI_H
#define BRAID_BOARD_PCI_H

#include "board/device.h"
#include "board/irq.h"
#include "mem/memory.h"
#include "util/lock.h"

#define PCI_SLOTS 32u
#define PCI_BARS 6u
#define PCI_CONFIG_SIZE 256u
#define PCI_MSIX_MAX 32u
#define PCI_MSIX_BAR_SIZE 0x1000u

typedef struct PCIBus PCIBus;
typedef struct PCIDevice PCIDevice;

typedef struct PCIOps {
    /* Bus mastering was switched.  Under the bus's lock; may be NULL. */
    void (*set_master)(void *opaque, bool on);
    /* These bytes of configuration space are about to be read, or were written.  Under the bus's lock; may be NULL. */
    void (*config_read)(void *opaque, unsigned offset, unsigned size);
    void (*config_written)(void *opaque, unsigned offset, unsigned size);
} PCIOps;

typedef struct PCIBar {
    /* constant */
    uint64_t size;              /* a power of two; 0: none (or the upper half of the one before) */
    bool is_64;
    MemoryRegion *region;
} PCIBar;

typedef struct MSIXEntry {
    uint32_t address_low, address_high, data, control;
} MSIXEntry;

typedef struct MSIX {
    /* constant */
    unsigned nvectors;          /* 0: there is no MSI-X */
    unsigned cap;               /* where the capability is */
    bool on;                    /* atomic, written under lock: the function uses MSI-X, not INTx */
    SpinLock lock;              /* rank IRQ */
    /* guarded by lock */
    bool masked, master;        /* the function's mask; may it write to memory? */
    uint32_t pending;           /* the pending bit array */
    MSIXEntry table[PCI_MSIX_MAX];
} MSIX;

struct PCIDevice {
    /* constant before the machine runs */
    PCIBus *bus;
    unsigned slot;
    const PCIOps *ops;
    void *opaque;
    PCIBar bar[PCI_BARS];
    uint8_t constant[PCI_CONFIG_SIZE];      /* configuration space: the bits that never change */
    uint8_t writable[PCI_CONFIG_SIZE];      /* those that a guest can change; all are 0 after a reset */
    unsigned next_cap;                      /* free room */

    uint8_t config[PCI_CONFIG_SIZE];        /* guarded by the bus's lock: what the guest has set */
    bool master;                            /* guarded by the bus's lock: what the device was told */
    uint32_t intx;                          /* atomic [PCI-INTX]: bit 0 asserted, bit 1 switched off */
    MSIX msix;
};

typedef struct PCIBusConfig {
    /* Where BARs can be seen; a BAR elsewhere is nowhere. */
    struct { hwaddr base; uint64_t size; } window[2];
    IRQLine irq[4];             /* INTA of slot 0, of slot 1, ... (the usual swizzle) */
    /* Takes MSI-X messages that do not go to RAM; false: nobody is there.  NULL: nobody ever.  Under locks of devices. */
    bool (*message)(void *opaque, hwaddr address, uint32_t data);
    void *opaque;
} PCIBusConfig;

/* A bus with nothing but the host bridge in slot 0.  The first thread. */
PCIBus *pci_bus_create(const PCIBusConfig *config);
/* Configuration space; `opaque` is the bus.  Offsets are bus << 20 | slot << 15 | function << 12 | register. */
extern const MMIOOps pci_ecam_ops;
/* What the board is told of a PCIDevice: reset and state.  The host bridge has neither. */
extern const DeviceClass pci_device_class;
/* The lowest free slot; PCI_SLOTS: none. */
unsigned pci_free_slot(const PCIBus *bus);
bool pci_slot_is_free(const PCIBus *bus, unsigned slot);

/* ---- for devices: while they are made, on the first thread ---- */
typedef struct PCIIdentity {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code;        /* 24 bits */
    uint8_t revision;
    bool has_intx;              /* uses INTA */
} PCIIdentity;
PCIDevice *pci_device_create(PCIBus *bus, unsigned slot, const PCIIdentity *id, const PCIOps *ops, void *opaque);
/* A memory BAR; size a power of two of at least 4096.  A 64-bit one takes n and n + 1, and is prefetchable. */
void pci_add_bar(PCIDevice *d, unsigned n, uint64_t size, bool is_64, const char *name, const MMIOOps *ops,
                 void *opaque);
/* Room for a capability of n bytes in all, with its id and link set; returns its offset. */
unsigned pci_add_capability(PCIDevice *d, uint8_t id, unsigned n);
/* MSI-X with table and pending bits in BAR `bar`, which must still be free. */
void pci_add_msix(PCIDevice *d, unsigned bar, unsigned nvectors);

/* ---- for devices: while the machine runs ---- */
/* The device's INTx as a line.  Any thread, no lock of rank IRQ or later. */
IRQLine pci_intx(PCIDevice *d);
/* Send MSI-X vector n (a number out of range: nothing).  False: MSI-X is off.  As pci_intx(). */
bool pci_msix_send(PCIDevice *d, unsigned n);

/* ---- between pci.c and msix.c ---- */
extern const StateField pci_msix_fields[];
const PCIBusConfig *pci_bus_config(const PCIBus *bus);
/* The function's control register or bus mastering has changed.  Under the bus's lock. */
void pci_msix_update(PCIDevice *d, uint16_t control, bool master);
void pci_msix_reset(PCIDevice *d);

static inline void pci_put16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); }
static inline void pci_put32(uint8_t *p, uint32_t v) { pci_put16(p, (uint16_t)v); pci_put16(p + 2, (uint16_t)(v >> 16)); }
static inline uint16_t pci_get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t pci_get32(const uint8_t *p) { return pci_get16(p) | (uint32_t)pci_get16(p + 2) << 16; }

#endif
