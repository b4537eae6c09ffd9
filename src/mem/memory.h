/*
 * The board's physical memory map: which addresses are RAM, which belong to a device.
 *
 * Look-ups take no lock: the map is a sorted array of ranges under a seqlock, which changes rarely (at start, and
 * when a guest moves a PCI BAR); regions themselves, once made, stay.
 *
 * Regions may be placed and taken away at any time by any thread; TLBs that know the old place are
 * told through MemoryHooks.map_changed.  RAM is host memory: it costs nothing until it is
 * touched.
 */
#ifndef BRAID_MEMORY_H
#define BRAID_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "guest/guest.h"

/*
 * A device's registers.  `offset` counts from the region's base; `size` is 1, 2, 4 or 8 and within
 * [min_size, max_size], 0 standing for 1 and 8.  A CPU's access that is wider than max_size is cut into
 * accesses of max_size in ascending order; one that is narrower than min_size, or not aligned to its
 * size, is an access fault.  Values are little endian.  Called without locks of mem/ and exec/, by any
 * thread, several at once: the device locks itself.
 */
typedef struct MMIOOps {
    uint64_t (*read)(void *opaque, hwaddr offset, unsigned size);
    void (*write)(void *opaque, hwaddr offset, uint64_t value, unsigned size);
    unsigned min_size, max_size;
} MMIOOps;

typedef struct MemoryRegion MemoryRegion;

/* What the layers above want to know; set before the first vCPU runs, constant from then on. */
typedef struct MemoryHooks {
    /* The bytes of RAM at [pa, pa + n) were written by memory_write(). */
    void (*ram_written)(hwaddr pa, uint64_t n);
    /* Addresses mean something else now: no TLB may keep them.  Without locks of mem/. */
    void (*map_changed)(void);
} MemoryHooks;
void memory_set_hooks(const MemoryHooks *hooks);

/*
 * RAM or ROM (`readonly`: a CPU's store is an access fault, memory_write() works).  base and size are multiples of
 * 4096.  fatal() if the host has no room.  Regions must not overlap those that are enabled.
 */
MemoryRegion *memory_add_ram(const char *name, hwaddr base, uint64_t size, bool readonly);
/* A device; enabled at once.  base and size need no alignment to pages.  `name`, `ops` stay the caller's. */
MemoryRegion *memory_add_mmio(const char *name, hwaddr base, uint64_t size, const MMIOOps *ops,
                              void *opaque);
/* The same, but not yet anywhere: memory_place() says where (a PCI BAR). */
MemoryRegion *memory_new_mmio(const char *name, uint64_t size, const MMIOOps *ops, void *opaque);
/*
 * Put a device's region at `base`, or nowhere.  Where enabled regions overlap, the one placed last is
 * seen.  An access that is under way at the old place may still reach the device.
 */
void memory_place(MemoryRegion *r, hwaddr base);
void memory_unplace(MemoryRegion *r);

/*
 * Host address of guest RAM at [pa, pa + n), NULL if that is not all in one region of RAM (or
 * ROM).  It never moves.  A device that writes there calls memory_ram_written() afterwards.
 */
void *memory_ram_host(hwaddr pa, uint64_t n);
/* Translations made of these bytes go. */
void memory_ram_written(hwaddr pa, uint64_t n);

/*
 * DMA, loaders and debuggers: RAM and ROM only, across regions that adjoin.  False if any byte
 * is none; then nothing was copied.
 */
bool memory_read(hwaddr pa, void *buf, size_t n);
bool memory_write(hwaddr pa, const void *buf, size_t n);

/* Each region of RAM and ROM. */
typedef bool MemoryVisitor(const char *name, uint8_t *host, uint64_t size, void *opaque);
/* False as soon as fn says so.  Before or after regions are added, not meanwhile. */
bool memory_foreach_ram(MemoryVisitor *fn, void *opaque);

/* ---- for the soft TLB and the CPUs' slow paths ---- */
/* What is at pa. */
typedef struct MemoryPlace {
    const MemoryRegion *region;     /* NULL: nothing */
    void *host;                     /* RAM and ROM: the byte at pa */
    bool readonly;
    /* All of the 4096-byte page around pa is this one region of RAM or ROM. */
    bool whole_page;
} MemoryPlace;
MemoryPlace memory_find(hwaddr pa);
/*
 * A CPU's access to what need not be RAM, size 1, 2, 4 or 8, within one page.  False: an access fault (nothing
 * there, a size the device does not know, a store to ROM).
 */
bool memory_io_read(hwaddr pa, unsigned size, uint64_t *value);
bool memory_io_write(hwaddr pa, unsigned size, uint64_t value);

/* `info mtree`. */
void memory_print(FILE *out);

#endif
