/* SPDX-License-Identifier: MIT
 *
 * Control and status registers.  One row of the table in csr.c for each that exists; the
 * translator asks it what an access may do, helpers carry the access out.
 */
#ifndef BRAID_GUEST_RISCV_CSR_H
#define BRAID_GUEST_RISCV_CSR_H

#include "guest/riscv/cpu.h"

enum {
    CSR_FFLAGS = 1,
    CSR_FRM = 2,
    CSR_FCSR = 3,
    CSR_TIME = 0xc01
};

typedef struct RISCVCSR {
    uint16_t number;
    /* A write may change get_tb_state(): what follows must be looked up afresh. */
    bool changes_state;
    uint64_t ext; /* extensions that provide it: any of them */
    uint64_t (*read)(CPUState *cpu);
    void (*write)(CPUState *cpu, uint64_t value); /* NULL: read-only */
} RISCVCSR;

/* NULL: there is no such register. */
const RISCVCSR *riscv_csr_find(unsigned number);

/* Lowest privilege mode that may access it (0 user, 1 supervisor, 3 machine), and whether
 * writes are illegal: both coded in the number (Privileged ISA, "CSR Address Mapping").
 */
static inline unsigned riscv_csr_privilege(unsigned number) { return number >> 8 & 3; }
static inline bool riscv_csr_is_read_only(unsigned number) { return number >> 10 == 3; }

#endif
