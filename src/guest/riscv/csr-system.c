/* SPDX-License-Identifier: MIT
 *
 * CSRs of a whole machine: what reading and writing them does.  The rows are in csrs.def; fields that
 * hold only legal values (WARL) are made legal here, so the state never holds others.
 *
 * The hart's own thread, in a helper or outside generated code.  mip and stimecmp are atomic,
 * because other threads change or look at them; a CSR instruction that sets or clears bits of mip
 * touches only those, so an interrupt that comes meanwhile is not lost.
 */
#include <inttypes.h>

#include "exec/tlb.h"
#include "guest/riscv/csr-info.h"
#include "guest/riscv/csr.h"
#include "guest/riscv/hart.h"

/* ---- floating point: fcsr is kept where user mode has it ---- */

static uint64_t read_fcsr(RISCVHart *h) { return riscv_get_fcsr(hart_cpu(h)); }
static uint64_t read_fflags(RISCVHart *h) { return read_fcsr(h) & 31; }
static uint64_t read_frm(RISCVHart *h) { return h->rv.frm; }

static void write_fcsr(RISCVHart *h, uint64_t v)
{
    riscv_set_fcsr(hart_cpu(h), (uint32_t)v & 0xff);
    h->mstatus |= MSTATUS_FS;
    riscv_hart_changed(h);
}
static void write_fflags(RISCVHart *h, uint64_t v)
{
    write_fcsr(h, (read_fcsr(h) & ~UINT64_C(31)) | (v & 31));
}
static void write_frm(RISCVHart *h, uint64_t v)
{
    write_fcsr(h, (read_fcsr(h) & 31) | (v & 7) << 5);
}

/* ---- status ---- */

static uint64_t read_mstatus(RISCVHart *h)
{
    uint64_t s = h->mstatus | MSTATUS_UXL_64 | MSTATUS_SXL_64;
    return (s & MSTATUS_FS) == MSTATUS_FS ? s | MSTATUS_SD : s;
}

static void set_status(RISCVHart *h, uint64_t v, uint64_t mask)
{
    uint64_t s = (h->mstatus & ~mask) | (v & mask);
    if (((s & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT) == 2) {
        s = (s & ~MSTATUS_MPP) | (h->mstatus & MSTATUS_MPP);
    }
    if (!(riscv_extensions() & RISCV_EXT_F)) {
        s &= ~MSTATUS_FS;
    }
    uint64_t changed = h->mstatus ^ s;
    h->mstatus = s;
    if (changed & ~(MSTATUS_SIE | MSTATUS_MIE | MSTATUS_SPIE | MSTATUS_MPIE | MSTATUS_SPP)) {
        riscv_hart_changed(h);
    }
}

static void write_mstatus(RISCVHart *h, uint64_t v) { set_status(h, v, MSTATUS_WRITABLE); }
static uint64_t read_sstatus(RISCVHart *h) { return read_mstatus(h) & SSTATUS_READABLE; }
static void write_sstatus(RISCVHart *h, uint64_t v) { set_status(h, v, SSTATUS_WRITABLE); }

uint64_t riscv_change_sstatus(RISCVHart *h, uint64_t mask, uint64_t value)
{
    uint64_t old = read_sstatus(h);
    write_sstatus(h, (old & ~mask) | (value & mask));
    if (h->mstatus & MSTATUS_SIE) {
        riscv_check_interrupts(h);
    }
    return old;
}

static uint64_t read_misa(RISCVHart *h)
{
    return UINT64_C(2) << 62 | riscv_hwcap() | UINT64_C(1) << ('s' - 'a') |
           UINT64_C(1) << ('u' - 'a');
}
static void write_misa(RISCVHart *h, uint64_t v) {}

static uint64_t read_mhartid(RISCVHart *h) { return h->mhartid; }

/* ---- interrupts ---- */

static uint64_t read_mie(RISCVHart *h) { return __atomic_load_n(&h->mie, __ATOMIC_RELAXED); }
static void write_mie(RISCVHart *h, uint64_t v)
{
    __atomic_store_n(&h->mie, v & (riscv_supervisor_irqs() | MIP_MACHINE), __ATOMIC_RELAXED);
}
static uint64_t read_mideleg(RISCVHart *h) { return h->mideleg; }
static void write_mideleg(RISCVHart *h, uint64_t v) { h->mideleg = v & riscv_supervisor_irqs(); }
static uint64_t read_sie(RISCVHart *h) { return read_mie(h) & h->mideleg; }
static void write_sie(RISCVHart *h, uint64_t v)
{
    write_mie(h, (read_mie(h) & ~h->mideleg) | (v & h->mideleg));
}

static uint64_t read_mip(RISCVHart *h) { return riscv_get_mip(h); }
static uint64_t read_sip(RISCVHart *h) { return riscv_get_mip(h) & h->mideleg; }

/* What S-mode may write of the bits that are delegated to it: "Supervisor Interrupt Registers", "Sscofpmf". */
#define SIP_WRITABLE (MIP_BIT(RISCV_IRQ_SSI) | MIP_BIT(RISCV_IRQ_LCOFI))

/* Bits of mip that software wrote: those in mask become v's. */
static void change_mip(RISCVHart *h, uint64_t v, uint64_t mask)
{
    uint64_t sei = MIP_BIT(RISCV_IRQ_SEI);
    if (mask & sei) {
        __atomic_store_n(&h->seip_soft, v & sei, __ATOMIC_RELAXED);
        mask &= ~sei;
    }
    /* STIP is read-only under Sstc; what is written shows when that is switched off. */
    __atomic_fetch_or(&h->mip, v & mask, __ATOMIC_RELAXED);
    __atomic_fetch_and(&h->mip, v | ~mask, __ATOMIC_RELAXED);
}
static void write_mip(RISCVHart *h, uint64_t v) { change_mip(h, v, riscv_supervisor_irqs()); }
static void write_sip(RISCVHart *h, uint64_t v) { change_mip(h, v, SIP_WRITABLE & h->mideleg); }

/* ---- advanced interrupt architecture (AIA 1.0); no interrupt is filtered or virtual: mvien is zero ---- */

/*
 * Register number *iselect: *old, then the bits in mask become value's.  Priorities are all the default ones, which
 * reads as 0.  False: no such register.
 */
static bool indirect_access(RISCVHart *h, bool machine, uint64_t mask, uint64_t value, uint64_t *old)
{
    unsigned reg = (unsigned)(machine ? h->miselect : h->siselect);
    *old = 0;
    if (reg >= 0x30 && reg < 0x40) {
        return !(reg & 1);
    }
    return reg >= 0x70 && reg < 0x100 && riscv_system.config.files &&
           riscv_system.config.files->access(hart_cpu(h), machine, reg, mask, value, old);
}

static uint64_t read_indirect(RISCVHart *h, bool machine)
{
    uint64_t v;
    return indirect_access(h, machine, 0, 0, &v) ? v : 0;
}
static void write_indirect(RISCVHart *h, bool machine, uint64_t v)
{
    uint64_t old;
    indirect_access(h, machine, ~UINT64_C(0), v, &old);
}
static uint64_t read_sireg(RISCVHart *h) { return read_indirect(h, false); }
static void write_sireg(RISCVHart *h, uint64_t v) { write_indirect(h, false, v); }
static uint64_t read_mireg(RISCVHart *h) { return read_indirect(h, true); }
static void write_mireg(RISCVHart *h, uint64_t v) { write_indirect(h, true, v); }

/* A write claims what the same instruction has read, whatever is written. */
static uint64_t top_external(RISCVHart *h, bool machine, bool claim)
{
    const RISCVInterruptFiles *files = riscv_system.config.files;
    return files ? files->top(hart_cpu(h), machine, claim) : 0;
}
static uint64_t read_stopei(RISCVHart *h) { return top_external(h, false, false); }
static void write_stopei(RISCVHart *h, uint64_t v) { top_external(h, false, true); }
static uint64_t read_mtopei(RISCVHart *h) { return top_external(h, true, false); }
static void write_mtopei(RISCVHart *h, uint64_t v) { top_external(h, true, true); }

static uint64_t read_stopi(RISCVHart *h) { return riscv_top_interrupt(h, false); }
static uint64_t read_mtopi(RISCVHart *h) { return riscv_top_interrupt(h, true); }

/* mvip: what software can write of SSIP and SEIP, "Virtual interrupts for supervisor level". */
#define MVIP_BITS (MIP_BIT(RISCV_IRQ_SSI) | MIP_BIT(RISCV_IRQ_SEI))
static uint64_t read_mvip(RISCVHart *h)
{
    return (__atomic_load_n(&h->mip, __ATOMIC_RELAXED) & MIP_BIT(RISCV_IRQ_SSI)) |
           __atomic_load_n(&h->seip_soft, __ATOMIC_RELAXED);
}
static void write_mvip(RISCVHart *h, uint64_t v) { change_mip(h, v, MVIP_BITS); }

static void timer_changed(RISCVHart *h)
{
    if (riscv_system.config.timer_changed) {
        riscv_system.config.timer_changed(hart_cpu(h));
    }
}

static uint64_t read_stimecmp(RISCVHart *h)
{
    return __atomic_load_n(&h->stimecmp, __ATOMIC_RELAXED);
}
static void write_stimecmp(RISCVHart *h, uint64_t v)
{
    /* A timer that fires from now on sets it again; one that has just fired for the old value does no harm. */
    __atomic_store_n(&h->timer_due, false, __ATOMIC_RELAXED);
    __atomic_store_n(&h->stimecmp, v, __ATOMIC_RELAXED);
    timer_changed(h);
    if (v != UINT64_MAX && riscv_system.config.time() >= v) {
        __atomic_store_n(&h->timer_due, true, __ATOMIC_RELAXED);
    }
}

void riscv_set_timer(CPUState *cpu, uint64_t when)
{
    write_stimecmp(riscv_hart(cpu), when);
    riscv_check_interrupts(riscv_hart(cpu));
}

/* ---- trap vectors: direct and vectored mode; others leave the register as it is ---- */

static uint64_t read_stvec(RISCVHart *h) { return h->stvec; }
static void write_stvec(RISCVHart *h, uint64_t v) { h->stvec = v & 2 ? h->stvec : v; }
static uint64_t read_mtvec(RISCVHart *h) { return h->mtvec; }
static void write_mtvec(RISCVHart *h, uint64_t v) { h->mtvec = v & 2 ? h->mtvec : v; }

/* ---- environment configuration ---- */

static uint64_t legal_envcfg(uint64_t v, uint64_t mask)
{
    v &= mask;
    return (v & ENVCFG_CBIE) == UINT64_C(2) << 4 ? v & ~ENVCFG_CBIE : v;
}

static uint64_t envcfg_mask(void)
{
    uint64_t ext = riscv_extensions();
    return ENVCFG_FIOM | (ext & RISCV_EXT_ZICBOM ? ENVCFG_CBIE | ENVCFG_CBCFE : 0) |
           (ext & RISCV_EXT_ZICBOZ ? ENVCFG_CBZE : 0);
}

static uint64_t read_senvcfg(RISCVHart *h) { return h->senvcfg; }
static void write_senvcfg(RISCVHart *h, uint64_t v)
{
    h->senvcfg = legal_envcfg(v, envcfg_mask());
    riscv_hart_changed(h);
}

static uint64_t read_menvcfg(RISCVHart *h)
{
    return __atomic_load_n(&h->menvcfg, __ATOMIC_RELAXED);
}
static void write_menvcfg(RISCVHart *h, uint64_t v)
{
    uint64_t ext = riscv_extensions(), old = read_menvcfg(h);
    v = legal_envcfg(v, envcfg_mask() | (ext & RISCV_EXT_SVADU ? MENVCFG_ADUE : 0) |
                            (ext & RISCV_EXT_SVPBMT ? MENVCFG_PBMTE : 0) |
                            (ext & RISCV_EXT_SSTC ? MENVCFG_STCE : 0));
    __atomic_store_n(&h->menvcfg, v, __ATOMIC_RELAXED);
    if ((v ^ old) & MENVCFG_PBMTE) {
        tlb_flush(hart_cpu(h));
    }
    if ((v ^ old) & MENVCFG_STCE) {
        __atomic_store_n(&h->timer_due, true, __ATOMIC_RELAXED);
        timer_changed(h);
    }
    riscv_hart_changed(h);
}

/* ---- address translation ---- */

static uint64_t read_satp(RISCVHart *h) { return h->satp; }
static void write_satp(RISCVHart *h, uint64_t v)
{
    switch (v >> 60) {
    case SATP_BARE: h->satp = 0; break;
    case SATP_SV39:
    case SATP_SV48:
    case SATP_SV57: h->satp = v; break;
    default: return; /* section "satp": no effect at all */
    }
    riscv_space_changed(h);
}

/* ---- PMP ---- */

static uint64_t read_pmpcfg(RISCVHart *h, unsigned number)
{
    unsigned first = (number - 0x3a0) * 4;
    uint64_t v = 0;
    for (unsigned i = 0; i < 8 && first + i < PMP_ENTRIES; i++) {
        v |= (uint64_t)h->pmpcfg[first + i] << 8 * i;
    }
    return v;
}

static void write_pmpcfg(RISCVHart *h, unsigned number, uint64_t v)
{
    unsigned first = (number - 0x3a0) * 4;
    for (unsigned i = 0; i < 8 && first + i < PMP_ENTRIES; i++) {
        uint8_t c = (uint8_t)(v >> 8 * i) & 0x9f;
        if (!(h->pmpcfg[first + i] & PMP_LOCK)) {
            /* W without R is reserved. */
            h->pmpcfg[first + i] = c & PMP_R ? c : c & (uint8_t)~PMP_W;
        }
    }
    riscv_pmp_changed(h);
    tlb_flush(hart_cpu(h));
}

static uint64_t read_pmpaddr(RISCVHart *h, unsigned number)
{
    unsigned i = number - 0x3b0;
    return i < PMP_ENTRIES ? h->pmpaddr[i] : 0;
}

static void write_pmpaddr(RISCVHart *h, unsigned number, uint64_t v)
{
    unsigned i = number - 0x3b0;
    if (i >= PMP_ENTRIES || (h->pmpcfg[i] & PMP_LOCK)) {
        return;
    }
    uint8_t next = i + 1 < PMP_ENTRIES ? h->pmpcfg[i + 1] : 0;
    if ((next & PMP_LOCK) && (next >> PMP_A_SHIFT & 3) == PMP_A_TOR) {
        return;
    }
    h->pmpaddr[i] = v & ((UINT64_C(1) << 54) - 1);
    riscv_pmp_changed(h);
    tlb_flush(hart_cpu(h));
}

/* ---- counters ---- */

static uint64_t read_mcycle(RISCVHart *h) { return riscv_counter_read(h, 0); }
static void write_mcycle(RISCVHart *h, uint64_t v) { riscv_counter_write(h, 0, v); }
static uint64_t read_minstret(RISCVHart *h) { return riscv_counter_read(h, 2); }
static void write_minstret(RISCVHart *h, uint64_t v) { riscv_counter_write(h, 2, v); }
static uint64_t read_cycle(RISCVHart *h) { return riscv_counter_read(h, 0); }
static uint64_t read_instret(RISCVHart *h) { return riscv_counter_read(h, 2); }
static uint64_t read_time(RISCVHart *h) { return riscv_system.config.time(); }
/* hpmcounter3 and mhpmcounter3 are the first of their runs, in each of which the low five bits are the counter's number. */
static uint64_t read_hpmcounter(RISCVHart *h, unsigned number) { return riscv_counter_read(h, number & 31); }
static void write_hpmcounter(RISCVHart *h, unsigned number, uint64_t v) {}
static uint64_t read_mhpmcounter(RISCVHart *h, unsigned number) { return riscv_counter_read(h, number & 31); }
static void write_mhpmcounter(RISCVHart *h, unsigned number, uint64_t v) { riscv_counter_write(h, number & 31, v); }
static uint64_t read_mhpmevent(RISCVHart *h, unsigned number) { return riscv_counter_read_event(h, number & 31); }
static void write_mhpmevent(RISCVHart *h, unsigned number, uint64_t v) { riscv_counter_write_event(h, number & 31, v); }
static uint64_t read_mcountinhibit(RISCVHart *h) { return h->mcountinhibit; }
static void write_mcountinhibit(RISCVHart *h, uint64_t v) { riscv_counters_inhibit(h, v); }

/* What S-mode sees of the overflow bits ("Sscofpmf"). */
static uint64_t read_scountovf(RISCVHart *h)
{
    return riscv_counters_overflowed(h) & (h->priv == RISCV_PRIV_M ? ~UINT64_C(0) : h->mcounteren);
}

/* ---- the table ---- */

typedef struct CSRFunctions {
    uint64_t (*read)(RISCVHart *h);
    void (*write)(RISCVHart *h, uint64_t v);
    uint64_t (*read_run)(RISCVHart *h, unsigned number);
    void (*write_run)(RISCVHart *h, unsigned number, uint64_t v);
} CSRFunctions;

/* Same rows, same order as riscv_csr_infos[]. */
static const CSRFunctions functions[] = {
#define CSR_PLAIN(num, id, extension, fx, bits) {0},
#define CSR_FUNC(num, id, extension, fx) {.read = read_##id, .write = write_##id},
#define CSR_READ(num, id, extension) {.read = read_##id},
#define CSR_ZERO(num, id, extension, n) {0},
#define CSR_RUN(num, id, extension, fx, n) {.read_run = read_##id, .write_run = write_##id},
#include "guest/riscv/csrs.def"
};

static uint64_t csr_read(RISCVHart *h, const CSRInfo *c, unsigned number)
{
    const CSRFunctions *f = &functions[c - riscv_csr_infos];
    switch (c->kind) {
    case CSR_KIND_PLAIN: return *(const uint64_t *)((const char *)h + c->offset);
    case CSR_KIND_ZERO: return 0;
    case CSR_KIND_RUN: return f->read_run(h, number);
    default: return f->read(h);
    }
}

static void csr_write(RISCVHart *h, const CSRInfo *c, unsigned number, uint64_t v)
{
    const CSRFunctions *f = &functions[c - riscv_csr_infos];
    switch (c->kind) {
    case CSR_KIND_PLAIN: *(uint64_t *)((char *)h + c->offset) = v & riscv_csr_mask(c); break;
    case CSR_KIND_RUN: f->write_run(h, number, v); break;
    case CSR_KIND_FUNC: f->write(h, v); break;
    default: break;
    }
}

/* Counters below M-mode (sections "mcounteren" and "scounteren"). */
static bool counter_enabled(const RISCVHart *h, unsigned n)
{
    uint64_t bit = UINT64_C(1) << n;
    return h->priv == RISCV_PRIV_M ||
           ((h->mcounteren & bit) && (h->priv == RISCV_PRIV_S || (h->scounteren & bit)));
}

/* What depends on more than the number and the extension. */
static bool is_allowed(const RISCVHart *h, unsigned number)
{
    if (number <= CSR_FCSR) {
        return h->mstatus & MSTATUS_FS;
    }
    if (number >= 0xc00 && number < 0xc20) {
        return counter_enabled(h, number - 0xc00);
    }
    if (number >= 0x3a0 && number < 0x3b0) {
        return !(number & 1);
    }
    if (number == 0x180) {
        return h->priv == RISCV_PRIV_M || !(h->mstatus & MSTATUS_TVM);
    }
    if (number == 0x14d) {
        return h->priv == RISCV_PRIV_M ||
               ((__atomic_load_n(&h->menvcfg, __ATOMIC_RELAXED) & MENVCFG_STCE) &&
                counter_enabled(h, 1));
    }
    return true;
}

static const CSRInfo *find(unsigned number)
{
    const CSRInfo *c = riscv_csr_info(number);
    return c && (c->ext & riscv_extensions()) ? c : NULL;
}

static void csr_write_bits(RISCVHart *h, const CSRInfo *c, unsigned number, uint64_t old, uint64_t mask,
                           uint64_t value)
{
    if (number == 0x344) {
        change_mip(h, value, mask & riscv_supervisor_irqs());
    } else if (number == 0x144) {
        change_mip(h, value, mask & SIP_WRITABLE & h->mideleg);
    } else {
        csr_write(h, c, number, (old & ~mask) | (value & mask));
    }
}

CSRResult riscv_csr_access(RISCVHart *h, unsigned number, bool writes, uint64_t mask,
                           uint64_t value, uint64_t *old)
{
    const CSRInfo *c = find(number);
    if (!c || riscv_csr_privilege(number) > h->priv ||
        (writes && riscv_csr_is_read_only(number)) || !is_allowed(h, number)) {
        return CSR_ILLEGAL;
    }
    if (number == 0x151 || number == 0x351) {
        /* Messages set bits meanwhile: only those in mask are touched. */
        if (!indirect_access(h, number == 0x351, writes ? mask : 0, value, old)) {
            return CSR_ILLEGAL;
        }
        writes = false;
    } else if (number == 0x15c || number == 0x35c) {
        *old = top_external(h, number == 0x35c, writes);
        writes = false;
    } else {
        h->in_csr_insn = riscv_system.config.icount;
        *old = csr_read(h, c, number);
        if (writes) {
            csr_write_bits(h, c, number, *old, mask, value);
        }
    }
    h->in_csr_insn = false;
    if (writes && c->effects & FX_IRQ) {
        riscv_check_interrupts(h);
    }
    return CSR_OK;
}

/* ---- debuggers ---- */

bool riscv_csr_read_debug(CPUState *cpu, unsigned number, uint64_t *value)
{
    const CSRInfo *c = find(number);
    if (c) {
        *value = csr_read(riscv_hart(cpu), c, number);
    }
    return c;
}

bool riscv_csr_write_debug(CPUState *cpu, unsigned number, uint64_t value)
{
    const CSRInfo *c = find(number);
    if (!c || riscv_csr_is_read_only(number)) {
        return false;
    }
    csr_write(riscv_hart(cpu), c, number, value);
    riscv_check_interrupts(riscv_hart(cpu));
    return true;
}

void riscv_print_csrs(RISCVHart *h, FILE *out)
{
    unsigned column = 0;
    for (unsigned i = 0; i < riscv_csr_info_count; i++) {
        const CSRInfo *c = &riscv_csr_infos[i];
        if (c->count > 1 || c->kind == CSR_KIND_ZERO || !find(c->number)) {
            continue;
        }
        fprintf(out, " %-10s %016" PRIx64 "%s", c->name, csr_read(h, c, c->number),
                ++column % 4 == 0 ? "\n" : "");
    }
    fputs(column % 4 ? "\n" : "", out);
    for (unsigned i = 0; i < h->npmp; i++) {
        const PMPRange *r = &h->pmp[i];
        fprintf(out, " pmp %016" PRIx64 "-%016" PRIx64 " %c%c%c%s\n", r->start, r->last,
                r->cfg & PMP_R ? 'r' : '-', r->cfg & PMP_W ? 'w' : '-',
                r->cfg & PMP_X ? 'x' : '-', r->cfg & PMP_LOCK ? " locked" : "");
    }
}
