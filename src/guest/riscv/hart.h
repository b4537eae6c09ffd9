/* SPDX-License-Identifier: MIT
 *
 * The privileged part of a RISC-V hart: its state, the bits of its CSRs, and what the files
 * that make up system mode share.  Private to guest/riscv/.
 *
 * All but mip, mie, stimecmp, timer_due, menvcfg and counters_due is touched by the hart's own thread alone (others while
 * it does not run).
 *
 *   csr-system.c   reads and writes of CSRs
 *   counters.c     the counters
 *   trap.c         exceptions, interrupts, returns from them
 *   mmu.c, pmp.c   address translation and physical memory protection
 *   system.c       the Guest descriptor, reset, the run loop
 *   helpers-system.c  what translations call
 */
#ifndef BRAID_GUEST_RISCV_HART_H
#define BRAID_GUEST_RISCV_HART_H

#include "guest/riscv/extensions.h"
#include "guest/riscv/system.h"

/* ---- mstatus and sstatus (Privileged ISA, "Machine Status Registers") ---- */
#define MSTATUS_SIE (UINT64_C(1) << 1)
#define MSTATUS_MIE (UINT64_C(1) << 3)
#define MSTATUS_SPIE (UINT64_C(1) << 5)
#define MSTATUS_MPIE (UINT64_C(1) << 7)
#define MSTATUS_SPP (UINT64_C(1) << 8)
#define MSTATUS_MPP (UINT64_C(3) << 11)
#define MSTATUS_MPP_SHIFT 11
#define MSTATUS_FS (UINT64_C(3) << 13)
#define MSTATUS_MPRV (UINT64_C(1) << 17)
#define MSTATUS_SUM (UINT64_C(1) << 18)
#define MSTATUS_MXR (UINT64_C(1) << 19)
#define MSTATUS_TVM (UINT64_C(1) << 20)
#define MSTATUS_TW (UINT64_C(1) << 21)
#define MSTATUS_TSR (UINT64_C(1) << 22)
#define MSTATUS_UXL_64 (UINT64_C(2) << 32)
#define MSTATUS_SXL_64 (UINT64_C(2) << 34)
#define MSTATUS_SD (UINT64_C(1) << 63)
#define SSTATUS_WRITABLE                                                                 \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)
#define SSTATUS_READABLE (SSTATUS_WRITABLE | MSTATUS_UXL_64 | MSTATUS_SD)
#define MSTATUS_WRITABLE                                                                 \
    (SSTATUS_WRITABLE | MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV |        \
     MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR)

/* ---- mip and mie ---- */
#define MIP_BIT(irq) (UINT64_C(1) << (irq))
#define MIP_SUPERVISOR                                                                   \
    (MIP_BIT(RISCV_IRQ_SSI) | MIP_BIT(RISCV_IRQ_STI) | MIP_BIT(RISCV_IRQ_SEI) | MIP_BIT(RISCV_IRQ_LCOFI))
#define MIP_MACHINE                                                                      \
    (MIP_BIT(RISCV_IRQ_MSI) | MIP_BIT(RISCV_IRQ_MTI) | MIP_BIT(RISCV_IRQ_MEI))

/* ---- exceptions: codes in mcause (table "Machine cause register values after trap") ---- */
enum {
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8, /* 9 from S, 11 from M */
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
};
#define CAUSE_INTERRUPT (UINT64_C(1) << 63)
/* All but ECALL from M-mode and reserved ones. */
#define MEDELEG_MASK UINT64_C(0xb3ff)

/* ---- menvcfg and senvcfg ---- */
#define ENVCFG_FIOM UINT64_C(1)
#define ENVCFG_CBIE (UINT64_C(3) << 4)
#define ENVCFG_CBCFE (UINT64_C(1) << 6)
#define ENVCFG_CBZE (UINT64_C(1) << 7)
#define MENVCFG_ADUE (UINT64_C(1) << 61)
#define MENVCFG_PBMTE (UINT64_C(1) << 62)
#define MENVCFG_STCE (UINT64_C(1) << 63)

/* ---- counteren ---- */
enum { COUNTER_CYCLE = 1, COUNTER_TIME = 2, COUNTER_INSTRET = 4 };

/* ---- satp ---- */
enum { SATP_BARE = 0, SATP_SV39 = 8, SATP_SV48 = 9, SATP_SV57 = 10 };
#define SATP_PPN ((UINT64_C(1) << 44) - 1)
#define SATP_ASID_SHIFT 44
#define SATP_ASID_BITS 16

/* ---- PMP ---- */
#define PMP_ENTRIES 16
enum { PMP_R = 1, PMP_W = 2, PMP_X = 4, PMP_A_SHIFT = 3, PMP_LOCK = 0x80 };
enum { PMP_A_OFF, PMP_A_TOR, PMP_A_NA4, PMP_A_NAPOT };

/* An entry that matches something: bytes [start, last]. */
typedef struct PMPRange {
    hwaddr start, last;
    uint8_t cfg;
} PMPRange;

/* MMU modes: what an access's address means depends on these. */
enum {
    RISCV_MMU_U = HOST_PROGRAM_MMU,
    RISCV_MMU_S = 1,        /* SUM = 0 */
    RISCV_MMU_S_SUM = 2,
    RISCV_MMU_M = 3,
    RISCV_MMU_MXR = 4,      /* added to the first three */
};

typedef struct RISCVHart {
    RISCVCPU rv;

    /* atomic: any thread raises and lowers interrupts, riscv_has_work() looks */
    uint64_t mip;           /* but for SEIP of software, and STIP while Sstc makes it */
    uint64_t mie;           /* written by the hart */
    uint64_t stimecmp;      /* written by the hart */
    bool timer_due;         /* stimecmp may have passed; set by any thread, cleared by the hart with a new stimecmp */
    uint64_t menvcfg;       /* written by the hart */
    uint64_t seip_soft;     /* MIP bit SEI, written by software; written by the hart */
    bool counters_due;      /* a counter may have overflowed; cleared by the hart */

    /* owned by the vCPU thread */
    uint8_t priv;           /* RISCV_PRIV_... */
    bool exception_pending; /* for EXIT_REASON_EXCEPTION: recorded, not yet taken */
    uint32_t tb_flags;      /* RISCVTBFlags of the state below; see riscv_hart_changed() */
    uint64_t exception_cause, exception_tval;
    uint64_t insn;          /* EXIT_REASON_ILLEGAL: the instruction's bits, for tval */
    uint64_t mstatus;       /* without SD, UXL, SXL */
    uint64_t medeleg, mideleg, mtvec, mepc, mcause, mtval, mscratch;
    uint64_t stvec, sepc, scause, stval, sscratch, senvcfg, satp;
    uint64_t mcounteren, scounteren, mcountinhibit;
    uint64_t miselect, siselect;
    /* counters.c: cycle, (time), instret, and from 3 on those with an mhpmevent */
    uint64_t counter_event[RISCV_COUNTERS];     /* mhpmevent */
    uint64_t counter_offset[RISCV_COUNTERS];    /* what is added to the source; of one that does not run: the value */
    uint64_t counter_wrap[RISCV_COUNTERS];      /* while it runs: the source's value when it wraps */
    uint64_t counter_alarm;     /* what `cycles` will say when riscv_counters_due() is called; UINT64_MAX: it is not */
    uint32_t counters_running;  /* a bit for each */
    uint8_t counters_mode;      /* h->priv when they were started */
    bool counters_filtered;     /* some count only in some modes */
    uint64_t exceptions[16];    /* how many of each cause were taken */
    uint64_t insns_before;      /* icount: executed before a saved state was loaded, less those of this process then */
    uint64_t untired;       /* icount: instructions executed that did not retire, for they trapped */
    bool in_csr_insn;       /* icount: the one under way has been counted, but has not retired */
    uint64_t mhartid;
    uint8_t pmpcfg[PMP_ENTRIES];
    uint64_t pmpaddr[PMP_ENTRIES];
    PMPRange pmp[PMP_ENTRIES];  /* made of them: the entries that are not off, in order */
    unsigned npmp;
} RISCVHart;

static inline RISCVHart *riscv_hart(CPUState *cpu) { return (RISCVHart *)cpu; }
static inline const RISCVHart *riscv_hart_const(const CPUState *cpu)
{
    return (const RISCVHart *)cpu;
}
static inline CPUState *hart_cpu(RISCVHart *h) { return &h->rv.cs; }

typedef struct RISCVSystem {
    RISCVSystemConfig config;   /* constant after riscv_system_init() */
    unsigned satp_modes;        /* atomic: a bit for each that any hart's satp has had */
} RISCVSystem;
extern RISCVSystem riscv_system;

/* MIP_SUPERVISOR as far as the extensions are there. */
static inline uint64_t riscv_supervisor_irqs(void)
{
    return riscv_extensions() & RISCV_EXT_SSCOFPMF ? MIP_SUPERVISOR : MIP_SUPERVISOR & ~MIP_BIT(RISCV_IRQ_LCOFI);
}

/* ---- system.c ---- */
/* Privilege, mstatus, frm or envcfg changed: bring tb_flags up to date. */
void riscv_hart_changed(RISCVHart *h);
/* satp changed: tell the TLB. */
void riscv_space_changed(RISCVHart *h);

/* ---- trap.c ---- */
/* mip as software sees it. */
uint64_t riscv_get_mip(RISCVHart *h);
/* The bit of mip that should be taken now, -1 if none. */
int riscv_find_interrupt(RISCVHart *h);
/* mtopi, stopi: the most urgent interrupt that is pending and enabled for this level; 0: none. */
uint64_t riscv_top_interrupt(RISCVHart *h, bool machine);
/* Take the interrupt that is due, if any. */
bool riscv_take_interrupt(RISCVHart *h);
/* icount: the instruction at env.pc trapped; it took time, but does not retire. */
void riscv_count_trapped(RISCVHart *h);
/* Take an exception at env.pc. */
void riscv_take_exception(RISCVHart *h, uint64_t cause, uint64_t tval);
/* Record an exception for EXIT_REASON_EXCEPTION. */
void riscv_record_exception(RISCVHart *h, uint64_t cause, uint64_t tval);
/* After what may have made an interrupt deliverable: see to it that it is taken before the next
   instruction (a POLL must follow). */
void riscv_check_interrupts(RISCVHart *h);
/* MRET, SRET: return the pc. */
uint64_t riscv_mret(RISCVHart *h);
uint64_t riscv_sret(RISCVHart *h);

/* ---- csr-system.c ---- */
typedef enum CSRResult { CSR_OK, CSR_ILLEGAL } CSRResult;
/*
 * One CSR instruction by the hart in its present mode: *old is the value before; bits of `mask` are replaced by
 * those of value, if `writes`.
 */
CSRResult riscv_csr_access(RISCVHart *h, unsigned number, bool writes, uint64_t mask,
                           uint64_t value, uint64_t *old);
/* The same for sstatus, which a kernel changes all the time, in S-mode or above. */
uint64_t riscv_change_sstatus(RISCVHart *h, uint64_t mask, uint64_t value);
void riscv_print_csrs(RISCVHart *h, FILE *out);

/* ---- counters.c; n is a counter's number, of which only those below RISCV_COUNTERS are more than 0 ---- */
uint64_t riscv_counter_read(RISCVHart *h, unsigned n);
void riscv_counter_write(RISCVHart *h, unsigned n, uint64_t v);
uint64_t riscv_counter_read_event(RISCVHart *h, unsigned n);
void riscv_counter_write_event(RISCVHart *h, unsigned n, uint64_t v);
/* mcountinhibit = v. */
void riscv_counters_inhibit(RISCVHart *h, uint64_t v);
/* A bit for each counter whose mhpmevent.OF is set. */
uint64_t riscv_counters_overflowed(RISCVHart *h);
/* What they depend on has changed: the mode, if counters_filtered. */
void riscv_counters_update(RISCVHart *h);
/* counters_due is set. */
void riscv_counters_answer_alarm(RISCVHart *h);
/* The fields of a saved state were loaded: make them legal, and ask for an alarm. */
void riscv_counters_loaded(RISCVHart *h);

/* ---- mmu.c ---- */
unsigned riscv_mmu_index(const CPUState *cpu, MMUAccess access);
bool riscv_mmu_translate(CPUState *cpu, vaddr va, MMUAccess access, unsigned mmu_idx,
                         MMUResult *out);
bool riscv_mmu_probe(CPUState *cpu, vaddr va, MMUResult *out);
void riscv_raise_access_fault(CPUState *cpu, vaddr va, MMUAccess access);
/* The number that names the address space of satp to the TLB. */
uint64_t riscv_space(const RISCVHart *h);
/* ... and that a given ASID would have. */
uint64_t riscv_space_of_asid(const RISCVHart *h, uint64_t asid);

/* ---- pmp.c ---- */
/* pmpcfg or pmpaddr changed: make h->pmp. */
void riscv_pmp_changed(RISCVHart *h);
/*
 * What an access from mode `priv` may do at pa: MMU_PROT_...  *page_bits is lowered until the naturally aligned
 * piece of that size around pa has the same answer throughout.
 */
unsigned riscv_pmp_check(const RISCVHart *h, hwaddr pa, unsigned priv, uint8_t *page_bits);

#endif
