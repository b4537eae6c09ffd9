/* SPDX-License-Identifier: MIT
 *
 * Private to the riscv guest: what the Guest descriptor takes from other files.
 */
#ifndef BRAID_GUEST_RISCV_CPU_FEATURES_H
#define BRAID_GUEST_RISCV_CPU_FEATURES_H

#include "guest/guest.h"

/* -cpu TEXT; see cpu-features.c. */
bool riscv_configure(const char *cpu_option, char *err, size_t err_size);

/* translate.c */
void riscv_translate(TranslateContext *tc);

#endif
