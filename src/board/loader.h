/*
 * Kernels, firmware and what goes with them: from files into guest memory, again at each
 * reset.  Runs on the first thread; all errors are the user's and end in one sentence.
 */
#ifndef BRAID_BOARD_LOADER_H
#define BRAID_BOARD_LOADER_H

#include "board/device.h"
#include "guest/guest.h"

typedef struct LoadedImage {
    hwaddr start, end;      /* memory it wants for itself */
    hwaddr entry;
} LoadedImage;

/* Where images may lie. */
void loader_init(hwaddr ram_base, uint64_t ram_size);
/* An ELF file at its own addresses, or a Linux Image, gzip'ed or not, or in an EFI zboot file, at
   `base` (2 MiB aligned). */
LoadedImage loader_load_kernel(const char *file, hwaddr base);
/* An ELF file, or anything else as it is at `base`. */
LoadedImage loader_load_firmware(const char *file, hwaddr base);
/* Read a file whole; *size > 0.  From malloc. */
void *loader_read_file(const char *file, const char *what, size_t *size);
/* Put these bytes (from malloc, taken over) there at each reset.  `what` for messages, if it is not in RAM. */
void loader_add(hwaddr at, void *bytes, size_t size, const char *what);
/* The same for ROM: no check against RAM. */
void loader_add_rom(hwaddr at, void *bytes, size_t size);
/* Writes everything at each reset. */
extern const DeviceClass loader_class;

#endif
