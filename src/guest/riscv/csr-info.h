/* SPDX-License-Identifier: MIT
 *
 * The rows of csrs.def, as the translator, the debugger and csr-system.c look them up.
 */
#ifndef BRAID_GUEST_RISCV_CSR_INFO_H
#define BRAID_GUEST_RISCV_CSR_INFO_H

#include <stdint.h>

enum { FX_FLAGS = 1, FX_IRQ = 2, FX_MAP = 4 };
typedef enum CSRKind { CSR_KIND_PLAIN, CSR_KIND_FUNC, CSR_KIND_READ, CSR_KIND_ZERO, CSR_KIND_RUN } CSRKind;

typedef struct CSRInfo {
    uint16_t number, count;     /* registers number ... number + count - 1 */
    uint8_t kind, effects;
    const char *name;
    uint64_t ext;
    /* plain ones: where in RISCVHart; and which bits there are, see riscv_csr_mask() */
    uint32_t offset;
    uint64_t mask;
} CSRInfo;

extern const CSRInfo riscv_csr_infos[];
extern const unsigned riscv_csr_info_count;

/* The bits of a plain one that can be written. */
uint64_t riscv_csr_mask(const CSRInfo *c);
/* The row of a CSR, NULL if no machine has it. */
const CSRInfo *riscv_csr_info(unsigned number);

#endif
