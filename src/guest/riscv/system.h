/* SPDX-License-Identifier: MIT
 *
 * The RISC-V hart of a whole machine, as the board and the firmware see it: running it,
 * raising interrupts, timers, reset.
 *
 * A hart's thread calls riscv_system_run() in a loop:
 *
 *     for (;;) {
 *         switch (riscv_system_run(cpu)) {
 *         case RISCV_RUN_KICKED: look at what others asked for (stop, reset, ...); break;
 *         case RISCV_RUN_WFI:    sleep until riscv_has_work(cpu), riscv_next_timer(cpu) or
 *                                a wish of others; break;
 *         case RISCV_RUN_SBI:    a0-a7 are a call's arguments, put the answer in a0 and a1; break;
 *         case RISCV_RUN_DEBUG:  a breakpoint of the debugger; break;
 *         case RISCV_RUN_PAUSE:
 *         case RISCV_RUN_WRS:    let others run; break;
 *         }
 *     }
 *
 * Sleeping without losing a wake-up: the board's wake() is called after the interrupt is
 * pending (mip is written with release order); the sleeper looks at riscv_has_work() after it
 * has made itself known as asleep, under whatever lock or futex wake() uses.
 *
 * The supervisor timer (Sstc) is not a bit that anybody sets: it is pending while time >=
 * stimecmp, which the hart evaluates itself whenever it was kicked.  So a timer thread need
 * only call riscv_timer_expired() at (or after) riscv_next_timer(), and a comparison
 * value that changes meanwhile does no harm.
 */
#ifndef BRAID_GUEST_RISCV_SYSTEM_H
#define BRAID_GUEST_RISCV_SYSTEM_H

#include "guest/riscv/cpu.h"
#include "util/state.h"

extern const Guest riscv64_system_guest;

/* Privilege modes, as the manual numbers them. */
enum { RISCV_PRIV_U = 0, RISCV_PRIV_S = 1, RISCV_PRIV_M = 3 };

/* Interrupts: bit numbers in mip (Privileged ISA, "Machine Interrupt Registers"). */
enum {
    RISCV_IRQ_SSI = 1,
    RISCV_IRQ_MSI = 3,
    RISCV_IRQ_STI = 5,
    RISCV_IRQ_MTI = 7,
    RISCV_IRQ_SEI = 9,
    RISCV_IRQ_MEI = 11,
    RISCV_IRQ_LCOFI = 13,       /* a counter has overflowed: Sscofpmf */
};

/*
 * The harts' interrupt files (AIA 1.0, chapter "Incoming MSI Controller"), which are the board's: what the CSRs
 * *ireg and *topei reach.  The hart's thread, or while it does not run.
 */
typedef struct RISCVInterruptFiles {
    /* Register `reg` (0x70 to 0xff): *old, then the bits in mask become value's.  False: no such register. */
    bool (*access)(CPUState *cpu, bool machine, unsigned reg, uint64_t mask, uint64_t value, uint64_t *old);
    /* The most urgent identity, as *topei has it; `claim`: it is pending no more. */
    uint32_t (*top)(CPUState *cpu, bool machine, bool claim);
} RISCVInterruptFiles;

/* What the board gives to all its harts; constant after riscv_system_init(). */
typedef struct RISCVSystemConfig {
    /* The time CSR: ticks of RISCV_TIME_FREQUENCY.  Any thread. */
    uint64_t (*time)(void);
    /* An interrupt has become pending: if the hart sleeps after RISCV_RUN_WFI, it shall look again.  Any
       thread, called after cpu_kick(); may be NULL. */
    void (*wake)(CPUState *cpu);
    /* riscv_next_timer() has changed.  The hart's thread, no locks held, running; may be NULL. */
    void (*timer_changed)(CPUState *cpu);
    /* There is no firmware: ECALL from S-mode comes back as RISCV_RUN_SBI. */
    bool sbi;
    /* NULL: there is no AIA; else riscv_add_aia() was called. */
    const RISCVInterruptFiles *files;
    /* The counters count instructions (ExecConfig.icount), else nanoseconds, which clock_ns() tells. */
    bool icount;
    uint64_t (*clock_ns)(void);
    /* Call riscv_counters_due() when so much more has been counted, or later; UINT64_MAX: never.  Forgets what was
       asked for before.  The hart's thread, or while it does not run; no locks held. */
    void (*set_alarm)(CPUState *cpu, uint64_t counts);
} RISCVSystemConfig;

/* Once, before the first hart runs. */
void riscv_system_init(const RISCVSystemConfig *config);

/* Reasons for leaving generated code that only this guest has. */
enum { EXIT_REASON_RISCV_WFI = EXIT_REASON_GUEST };

/* Why riscv_system_run() came back.  Registers and pc are true then. */
enum {
    RISCV_RUN_KICKED = 0,
    RISCV_RUN_WFI,      /* pc is behind the WFI; calling again goes on from there */
    RISCV_RUN_SBI,      /* pc is behind the ECALL */
    RISCV_RUN_DEBUG,    /* pc is at the breakpoint */
    RISCV_RUN_PAUSE,    /* a hint that others should run */
    RISCV_RUN_WRS,      /* the same, until the word that is reserved has changed, or for a while */
};
/* Run the hart, delivering its traps.  Its own thread, no locks held. */
int riscv_system_run(CPUState *cpu);

/* After RISCV_RUN_WRS: the word in RAM that is reserved and what the hart saw there; or NULL.  The hart's thread. */
const uint32_t *riscv_reserved_word(CPUState *cpu, uint32_t *seen);

/*
 * Set the hart as after reset, to run at pc in the mode `priv` with a0 and a1.  In S-mode: as a firmware
 * hands it over (exceptions and interrupts delegated, counters and Sstc enabled, all of
 * memory open); satp and sstatus zero.  Interrupt lines of devices stay as they are.  The hart's thread, or while it does not run; the TLB is flushed.
 */
void riscv_reset_hart(CPUState *cpu, vaddr pc, uint64_t a0, uint64_t a1, unsigned priv);
/* The counters as after reset, which riscv_reset_hart() leaves as they are.  The hart's thread, or while it does not run. */
void riscv_reset_counters(CPUState *cpu);
/* mhartid; before the hart runs. */
void riscv_set_hartid(CPUState *cpu, uint64_t hartid);
uint64_t riscv_hartid(const CPUState *cpu);

/* An interrupt line changes: mip's bit, one of RISCV_IRQ_....  Any thread. */
void riscv_set_irq(CPUState *cpu, unsigned irq, bool level);
/* A locally enabled interrupt is pending, whatever mstatus and delegation say, or a counter may have overflowed: WFI
   ends.  Any thread. */
bool riscv_has_work(CPUState *cpu);

/* When the supervisor's timer (stimecmp) is due, in ticks; UINT64_MAX: never, or it already was due
   when last looked at.  Any thread. */
uint64_t riscv_next_timer(const CPUState *cpu);
/* SBI set_timer: write stimecmp.  The hart's thread. */
void riscv_set_timer(CPUState *cpu, uint64_t when);
/* The time that riscv_next_timer() told has come.  Any thread. */
void riscv_timer_expired(CPUState *cpu);

/* cycle, time, instret, and hpmcounter3 on; the others read as 0. */
#define RISCV_COUNTERS 11
/* What RISCVSystemConfig.set_alarm asked for.  Any thread. */
void riscv_counters_due(CPUState *cpu);
/* How many exceptions of a cause (below 16) the hart has taken.  The hart's thread. */
uint64_t riscv_exceptions(const CPUState *cpu, unsigned cause);

/* A hart's state; objects are its CPUState.  While it does not run. */
extern const StateTable riscv_hart_state;

/* The numbers that name the address spaces of an ASID to the TLB, one for each translation mode that any hart has used
   so far.  Any thread. */
#define RISCV_MAX_SPACES 3
unsigned riscv_spaces_of_asid(uint64_t asid, uint64_t spaces[RISCV_MAX_SPACES]);

/* ---- for the monitor, the debugger and -d ---- */
unsigned riscv_privilege(const CPUState *cpu);
/*
 * Read or write a CSR by number as M-mode would, whatever mode the hart is in.  False: there
 * is none, or it is read-only.  The hart's thread, or while it does not run.
 */
bool riscv_csr_read_debug(CPUState *cpu, unsigned number, uint64_t *value);
bool riscv_csr_write_debug(CPUState *cpu, unsigned number, uint64_t value);

#endif
