/*
 * The `virt` machine: which device is where.  Addresses and interrupt numbers are those of QEMU's machine of
 * this name, so that kernels, firmware and device trees made for it work.
 */
#ifndef BRAID_BOARD_VIRT_H
#define BRAID_BOARD_VIRT_H

#include "board/board.h"

enum {
    VIRT_BOOT_ROM = 0x1000,
    VIRT_BOOT_ROM_SIZE = 0xf000,
    VIRT_TEST = 0x100000,
    VIRT_TEST_SIZE = 0x1000,
    VIRT_RTC = 0x101000,
    VIRT_RTC_SIZE = 0x1000,
    VIRT_CLINT = 0x2000000,
    VIRT_CLINT_SIZE = 0x10000,
    VIRT_PCI_IO = 0x3000000,
    VIRT_PCI_IO_SIZE = 0x10000,
    VIRT_PLIC = 0xc000000,
    VIRT_PLIC_SIZE = 0x600000,
    /* aia=aplic-imsic, in place of the PLIC */
    VIRT_APLIC_M = 0xc000000,
    VIRT_APLIC_S = 0xd000000,
    VIRT_IMSIC_M = 0x24000000,
    VIRT_IMSIC_S = 0x28000000,
    VIRT_UART = 0x10000000,
    VIRT_UART_SIZE = 0x100,
    VIRT_VIRTIO = 0x10001000,
    VIRT_VIRTIO_SIZE = 0x1000,
    VIRT_PCI_ECAM = 0x30000000,
    VIRT_PCI_ECAM_SIZE = 0x10000000,
    VIRT_PCI_MMIO = 0x40000000,
    VIRT_PCI_MMIO_SIZE = 0x40000000,
};
#define VIRT_DRAM 0x80000000ull
#define VIRT_PCI_HIGH_SIZE (16ull << 30)
/* The PCI window for 64-bit addresses is the first multiple of its size behind RAM. */
static inline uint64_t virt_pci_high(uint64_t ram_size)
{
    return (VIRT_DRAM + ram_size + VIRT_PCI_HIGH_SIZE - 1) & ~(VIRT_PCI_HIGH_SIZE - 1);
}

enum {
    VIRT_IRQ_VIRTIO = 1,        /* the first of VIRT_VIRTIO_SLOTS */
    VIRT_IRQ_UART = 10,
    VIRT_IRQ_RTC = 11,
    VIRT_IRQ_PCI = 32,          /* INTA of slot 0, and three more */
};
#define VIRT_VIRTIO_SLOTS 8

void virt_create(const BoardOptions *o);
/* At the end, harts being parked: what was written is on its way to disk. */
void virt_finish(void);

/* fdt.c: the device tree, from malloc; *size its bytes.  initrd_size 0: none. */
typedef struct FdtParameters {
    unsigned nharts;
    bool aia;                   /* APLIC and IMSIC in place of the PLIC */
    bool firmware;              /* M-mode is the guest's: it shall find what is there for M-mode */
    uint64_t ram_size;
    const char *bootargs;       /* NULL: none */
    uint64_t initrd_start, initrd_size;
} FdtParameters;
void *fdt_make(const FdtParameters *p, size_t *size);
/* Puts bootargs and the initrd into a tree of the user's own (from malloc, may move); fatal_usage() if it is none. */
void *fdt_amend(void *tree, size_t file_size, const char *file, const FdtParameters *p, size_t *size);

#endif
