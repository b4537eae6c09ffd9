/* SPDX-License-Identifier: MIT
 *
 * The extension bitmap: RISCV_EXT_<NAME> is one bit of a uint64_t for each row of
 * extensions.def.  Everything that asks "has this CPU Zba?" asks this bitmap; the
 * decoder takes it as an argument, so two CPUs of one machine may differ.
 */
#ifndef BRAID_GUEST_RISCV_EXTENSIONS_H
#define BRAID_GUEST_RISCV_EXTENSIONS_H

#include <stdint.h>

enum {
#define EXT(name, NAME, needs, hwprobe) RISCV_EXT_NUM_##NAME,
#include "guest/riscv/extensions.def"
#undef EXT
    RISCV_EXT_COUNT
};

_Static_assert(RISCV_EXT_COUNT <= 64, "the extension bitmap is a uint64_t");

/* __extension__: enumeration constants wider than int are a GNU C feature. */
__extension__ enum {
#define EXT(name, NAME, needs, hwprobe)                                                  \
    RISCV_EXT_##NAME = UINT64_C(1) << RISCV_EXT_NUM_##NAME,
#include "guest/riscv/extensions.def"
#undef EXT
};

#endif
