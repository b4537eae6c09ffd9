/* SPDX-License-Identifier: MIT
 *
 * Private to the riscv guest: what the Guest descriptor takes from other files.
 */
#ifndef BRAID_GUEST_RISCV_CPU_FEATURES_H
#define BRAID_GUEST_RISCV_CPU_FEATURES_H

#include "guest/guest.h"

/* -cpu TEXT; see cpu-features.c. */
bool riscv_configure(const char *cpu_option, char *err, size_t err_size);
/* The same for a whole machine: with the privileged extensions. */
bool riscv_configure_system(const char *cpu_option, char *err, size_t err_size);

/* cpu.c: the register table */
extern const IRGuestReg riscv_regs[];
enum { RISCV_ELF_MACHINE = 243 }; /* psABI, "File Header" */

/* translate.c */
void riscv_translate(TranslateContext *tc);

#endif
