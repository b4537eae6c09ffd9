/* SPDX-License-Identifier: MIT
 *
 * The RISC-V CPU: what a vCPU holds beyond the generic CPUState, and what other layers
 * (linux-user/riscv/, main/) may ask of this guest.
 *
 * Integer registers are HostEnv.reg[RISCV_X + n] (x0's slot is always 0), FP registers
 * HostEnv.reg[RISCV_F + n], NaN-boxed.  Accrued exceptions and the rounding mode in force
 * live in HostEnv.fp_state in the host's format; frm itself is kept here, because RMM and
 * the reserved values have no host counterpart.
 */
#ifndef BRAID_GUEST_RISCV_CPU_H
#define BRAID_GUEST_RISCV_CPU_H

#include "exec/cpu.h"

enum { RISCV_X = 0, RISCV_F = 32, RISCV_NREGS = 64 };

/* Registers with a part in the calling convention, as numbers in HostEnv.reg. */
enum {
    RISCV_RA = 1,
    RISCV_SP = 2,
    RISCV_TP = 4,
    RISCV_T0 = 5,
    RISCV_A0 = 10,
    RISCV_A7 = 17
};

/* .insn custom-0, rd = t0: legal in the vDSO only, see translate-system.c. */
#define RISCV_VDSO_INSN 0x0000028bu

typedef struct RISCVCPU {
    CPUState cs;
    /* owned by the vCPU thread */
    uint32_t frm; /* the CSR: 0-7 */
} RISCVCPU;

static inline RISCVCPU *riscv_cpu(CPUState *cpu) { return (RISCVCPU *)cpu; }

/*
 * The flags of a translation.
 *
 * FRM: how `rm` = dynamic rounds.  All modes that the host has are one class, for which code reads no
 * frm; only changes between classes change the code.
 *
 * The others are those of system mode, 0 in user mode: what mode the hart is in, how its loads and stores
 * are translated, and which instructions trap.
 */
typedef enum RISCVTBFlags {
    RISCV_TB_FRM = 7,         /* mask of: */
    RISCV_TB_FRM_HOST = 0,    /* frm is RNE, RTZ, RDN or RUP: as in HostEnv.fp_state */
    RISCV_TB_FRM_RMM = 4,     /* ties away: through helpers */
    RISCV_TB_FRM_INVALID = 5, /* reserved: dynamic rounding is an illegal instruction */
    RISCV_TB_PRIV_SHIFT = 3,  /* two bits: RISCV_PRIV_... */
    RISCV_TB_FP_ON = 1 << 5,  /* U-mode: mstatus.FS is not Off */
    RISCV_TB_FP_DIRTY = 1 << 6, /* ... and Dirty */
    RISCV_TB_MMU_SHIFT = 7,   /* three bits: MMU mode of loads and stores */
    RISCV_TB_TVM = 1 << 10,   /* mstatus.TVM, TW, TSR, in S-mode */
    RISCV_TB_TW = 1 << 11,
    RISCV_TB_TSR = 1 << 12,
    RISCV_TB_CBZE = 1 << 13,  /* what envcfg allows in this mode: CBO.ZERO, */
    RISCV_TB_CBCFE = 1 << 14, /* CBO.CLEAN and CBO.FLUSH, */
    RISCV_TB_CBIE = 1 << 15,  /* CBO.INVAL */
} RISCVTBFlags;

static inline uint32_t riscv_frm_tb_flags(uint32_t frm)
{
    return frm < 4    ? RISCV_TB_FRM_HOST
           : frm == 4 ? RISCV_TB_FRM_RMM
                      : RISCV_TB_FRM_INVALID;
}

extern const Guest riscv64_guest;

/* ---- fcsr (Unprivileged ISA, "Floating-Point Control and Status Register") ---- */
/* Owner thread, outside generated code or in a helper. */
uint32_t riscv_get_fcsr(const CPUState *cpu);
void riscv_set_fcsr(CPUState *cpu, uint32_t fcsr);
void riscv_set_frm(CPUState *cpu, uint32_t frm);

/* ---- features; constant after riscv64_guest.configure() ---- */
uint64_t riscv_extensions(void); /* bitmap of RISCV_EXT_... */
uint64_t riscv_hwcap(void);      /* AT_HWCAP: one bit per letter */
/*
 * Value of a riscv_hwprobe() key.  False: Linux's answer for an unknown key is due (key
 * -1, value 0).
 */
bool riscv_hwprobe(int64_t key, uint64_t *value);
/* "rv64imafdc_zicbom_...", as /proc/cpuinfo shows it. */
void riscv_isa_string(char *buf, size_t size);
/* The harts have Smaia and Ssaia.  Of a machine, after riscv_configure_system(), before there are harts. */
void riscv_add_aia(void);

enum {
    RISCV_CBO_BLOCK_SIZE = 64,      /* bytes, of CBO.ZERO and the cache operations */
    RISCV_TIME_FREQUENCY = 10000000 /* Hz, of the time CSR */
};

#endif
