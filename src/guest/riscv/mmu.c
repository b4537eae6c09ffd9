/* SPDX-License-Identifier: MIT
 *
 * Address translation: bare, Sv39, Sv48, Sv57, with Svnapot, Svpbmt and Svadu (Privileged ISA, "Supervisor-
 * Level ISA": "Virtual Address Translation Process", whose steps the comments number).
 *
 * The hart's own thread.  Page tables are guest memory that other harts read and write at the same
 * time: an entry is read by one 8-byte load, and its accessed and dirty bits are set by a
 * compare-and-swap of the entry as it was read and checked; if another hart changed it, the walk
 * begins again.  So no store to a page table is ever undone, and no entry that was
 * taken away is marked.
 *
 * An entry that is marked here lies in a page that may also hold code; nobody executes the
 * entries themselves, so translations made of the page stay.
 *
 * What a translation means depends on privilege, SUM, MXR and, through MPRV, MPP: each combination
 * that matters is an MMU mode of its own, so that a change of them flushes nothing.
 */
#include <inttypes.h>

#include "guest/riscv/hart.h"
#include "mem/memory.h"
#include "util/log.h"

#define PTE_V UINT64_C(1)
#define PTE_R UINT64_C(2)
#define PTE_W UINT64_C(4)
#define PTE_X UINT64_C(8)
#define PTE_U UINT64_C(16)
#define PTE_G UINT64_C(32)
#define PTE_A UINT64_C(64)
#define PTE_D UINT64_C(128)
#define PTE_PPN_SHIFT 10
#define PTE_RESERVED (UINT64_C(0x7f) << 54)
#define PTE_PBMT (UINT64_C(3) << 61)
#define PTE_N (UINT64_C(1) << 63)

#define PAGE_BITS 12
#define VPN_BITS 9
#define NAPOT_BITS 4    /* the one size there is: 64 KiB */

/* One walk. */
typedef struct Walk {
    RISCVHart *h;
    vaddr va;
    MMUAccess access;
    unsigned mode;      /* RISCV_MMU_... without MXR */
    bool mxr;
    bool probe;         /* permissions do not matter, no bit is set */
    bool global;
    /* the leaf */
    uint64_t pte;
    unsigned level;
} Walk;

typedef enum WalkResult { WALK_OK, WALK_PAGE_FAULT, WALK_ACCESS_FAULT, WALK_AGAIN } WalkResult;

uint64_t riscv_space_of_asid(const RISCVHart *h, uint64_t asid)
{
    uint64_t mode = h->satp >> 60;
    return mode == SATP_BARE ? 0 : mode << SATP_ASID_BITS | asid;
}

unsigned riscv_spaces_of_asid(uint64_t asid, uint64_t spaces[RISCV_MAX_SPACES])
{
    unsigned modes = __atomic_load_n(&riscv_system.satp_modes, __ATOMIC_RELAXED), n = 0;
    for (uint64_t mode = SATP_SV39; mode <= SATP_SV57; mode++) {
        if (modes >> mode & 1) {
            spaces[n++] = mode << SATP_ASID_BITS | (asid & ((1u << SATP_ASID_BITS) - 1));
        }
    }
    return n;
}

uint64_t riscv_space(const RISCVHart *h)
{
    return riscv_space_of_asid(h, h->satp >> SATP_ASID_SHIFT & ((1u << SATP_ASID_BITS) - 1));
}

static unsigned data_mode(const RISCVHart *h)
{
    unsigned priv = h->priv;
    if (h->mstatus & MSTATUS_MPRV) {
        priv = (unsigned)((h->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT);
    }
    unsigned mxr = h->mstatus & MSTATUS_MXR ? RISCV_MMU_MXR : 0;
    switch (priv) {
    case RISCV_PRIV_U: return RISCV_MMU_U + mxr;
    case RISCV_PRIV_S: return (h->mstatus & MSTATUS_SUM ? RISCV_MMU_S_SUM : RISCV_MMU_S) + mxr;
    default: return RISCV_MMU_M;
    }
}

unsigned riscv_mmu_index(const CPUState *cpu, MMUAccess access)
{
    const RISCVHart *h = riscv_hart_const(cpu);
    if (access != MMU_FETCH) {
        return data_mode(h);
    }
    return h->priv == RISCV_PRIV_U   ? RISCV_MMU_U
           : h->priv == RISCV_PRIV_S ? RISCV_MMU_S
                                     : RISCV_MMU_M;
}

static unsigned mode_priv(unsigned mode)
{
    return mode == RISCV_MMU_U ? RISCV_PRIV_U : mode == RISCV_MMU_M ? RISCV_PRIV_M : RISCV_PRIV_S;
}

/* The entry at pa, if PMP lets S-mode do `prot` there and it is memory. */
static uint64_t *find_pte(const Walk *w, hwaddr pa, unsigned prot)
{
    uint8_t bits = 3;
    if (!w->probe &&
        ((riscv_pmp_check(w->h, pa, RISCV_PRIV_S, &bits) & prot) != prot || bits < 3)) {
        return NULL;
    }
    MemoryPlace place = memory_find(pa);
    return place.readonly && (prot & MMU_PROT_WRITE) ? NULL : place.host;
}

/* An entry that is valid but uses bits that it may not (steps 3 and 4). */
static bool is_malformed(const Walk *w, uint64_t pte)
{
    bool leaf = pte & (PTE_R | PTE_X);
    uint64_t menvcfg = __atomic_load_n(&w->h->menvcfg, __ATOMIC_RELAXED);
    if ((pte & (PTE_R | PTE_W)) == PTE_W || (pte & PTE_RESERVED)) {
        return true;
    }
    if (!leaf) {
        return pte & (PTE_N | PTE_PBMT | PTE_U | PTE_A | PTE_D);
    }
    uint64_t pbmt = pte & PTE_PBMT;
    return (pbmt && !(menvcfg & MENVCFG_PBMTE)) || pbmt == PTE_PBMT;
}

/* What this mode may do with the page, as far as R, W, X, U, SUM and MXR say (step 5). */
static unsigned leaf_prot(const Walk *w, uint64_t pte)
{
    bool user = pte & PTE_U;
    unsigned prot = (pte & PTE_R ? MMU_PROT_READ : 0) | (pte & PTE_W ? MMU_PROT_WRITE : 0) |
                    (pte & PTE_X ? MMU_PROT_EXEC : 0);
    if (w->mxr && (pte & PTE_X)) {
        prot |= MMU_PROT_READ;
    }
    if (w->mode == RISCV_MMU_U) {
        return user ? prot : 0;
    }
    if (!user) {
        return prot;
    }
    return w->mode == RISCV_MMU_S_SUM ? prot & ~(unsigned)MMU_PROT_EXEC : 0;
}

static unsigned access_prot(MMUAccess access)
{
    return access == MMU_LOAD    ? MMU_PROT_READ
           : access == MMU_STORE ? MMU_PROT_WRITE
                                 : MMU_PROT_EXEC;
}

/* Steps 5 to 7, for the leaf `*entry` at pte_addr. */
static WalkResult check_leaf(Walk *w, uint64_t *entry, hwaddr pte_addr)
{
    uint64_t pte = w->pte, ppn = (pte & ~(PTE_N | PTE_PBMT)) >> PTE_PPN_SHIFT;
    if (ppn & ((UINT64_C(1) << VPN_BITS * w->level) - 1)) {
        return WALK_PAGE_FAULT;
    }
    if ((pte & PTE_N) && (w->level || (ppn & 15) != 8)) {
        return WALK_PAGE_FAULT;
    }
    if (w->probe) {
        return WALK_OK;
    }
    if (!(leaf_prot(w, pte) & access_prot(w->access))) {
        return WALK_PAGE_FAULT;
    }
    uint64_t marked = pte | PTE_A | (w->access == MMU_STORE ? PTE_D : 0);
    if (marked == pte) {
        return WALK_OK;
    }
    if (!(__atomic_load_n(&w->h->menvcfg, __ATOMIC_RELAXED) & MENVCFG_ADUE)) {
        return WALK_PAGE_FAULT;
    }
    if (!find_pte(w, pte_addr, MMU_PROT_READ | MMU_PROT_WRITE)) {
        return WALK_ACCESS_FAULT;
    }
    w->pte = marked;
    /* [PTE] pairs with any access of the guest's to the entry: hardware's own store, in order. */
    return __atomic_compare_exchange_n(entry, &pte, marked, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED)
               ? WALK_OK
               : WALK_AGAIN;
}

/* Steps 1 to 4: from the root to a leaf. */
static WalkResult walk_once(Walk *w)
{
    uint64_t satp = w->h->satp;
    unsigned levels = (unsigned)(satp >> 60) - SATP_SV39 + 3;
    unsigned va_bits = PAGE_BITS + VPN_BITS * levels;
    uint64_t upper = (uint64_t)((int64_t)w->va >> (va_bits - 1));
    if (upper != 0 && upper != ~UINT64_C(0)) {
        return WALK_PAGE_FAULT;
    }
    hwaddr table = (satp & SATP_PPN) << PAGE_BITS;
    w->global = false;
    for (unsigned level = levels; level-- > 0;) {
        uint64_t vpn = w->va >> (PAGE_BITS + VPN_BITS * level) & ((1u << VPN_BITS) - 1);
        hwaddr at = table + vpn * sizeof(uint64_t);
        uint64_t *entry = find_pte(w, at, MMU_PROT_READ);
        if (!entry) {
            return WALK_ACCESS_FAULT;
        }
        /* [PTE]: what the table below holds is read after the entry that leads there. */
        uint64_t pte = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
        if (!(pte & PTE_V) || is_malformed(w, pte)) {
            return WALK_PAGE_FAULT;
        }
        w->global |= (pte & PTE_G) != 0;
        if (pte & (PTE_R | PTE_X)) {
            w->pte = pte;
            w->level = level;
            return check_leaf(w, entry, at);
        }
        table = (pte >> PTE_PPN_SHIFT & SATP_PPN) << PAGE_BITS;
    }
    return WALK_PAGE_FAULT;
}

/* Step 8: the leaf's answer. */
static void make_result(const Walk *w, MMUResult *out)
{
    uint64_t ppn = w->pte >> PTE_PPN_SHIFT & SATP_PPN;
    unsigned bits = PAGE_BITS + VPN_BITS * w->level;
    if (w->pte & PTE_N) {
        bits += NAPOT_BITS;
    }
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    unsigned prot = leaf_prot(w, w->pte);
    out->pa = ((ppn << PAGE_BITS) & ~mask) | (w->va & mask);
    out->prot = (uint8_t)(w->pte & PTE_D ? prot : prot & ~(unsigned)MMU_PROT_WRITE);
    out->page_bits = (uint8_t)bits;
    out->global = w->global;
    out->asid = (uint32_t)riscv_space(w->h);
}

static bool is_bare(const RISCVHart *h, unsigned mode)
{
    return mode == RISCV_MMU_M || h->satp >> 60 == SATP_BARE;
}

static WalkResult translate(Walk *w, MMUResult *out)
{
    if (is_bare(w->h, w->mode)) {
        *out = (MMUResult){
            .pa = w->va,
            .prot = MMU_PROT_READ | MMU_PROT_WRITE | MMU_PROT_EXEC,
            .page_bits = PAGE_BITS,
            .global = w->mode == RISCV_MMU_M,
            .asid = (uint32_t)riscv_space(w->h),
        };
        return WALK_OK;
    }
    WalkResult r;
    do {
        r = walk_once(w);
    } while (r == WALK_AGAIN);
    if (r == WALK_OK) {
        make_result(w, out);
    }
    return r;
}

static void record(RISCVHart *h, vaddr va, MMUAccess access, bool page_fault)
{
    static const uint8_t page_causes[] = {CAUSE_LOAD_PAGE, CAUSE_STORE_PAGE, CAUSE_FETCH_PAGE};
    static const uint8_t access_causes[] = {CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS,
                                            CAUSE_FETCH_ACCESS};
    riscv_record_exception(h, page_fault ? page_causes[access] : access_causes[access], va);
}

static void log_translation(const Walk *w, WalkResult r, const MMUResult *out)
{
    static const char *const kinds[] = {"load", "store", "fetch"};
    static const char *const modes[] = {"U", "S", "S+SUM", "M"};
    FILE *f = log_lock();
    fprintf(f, "mmu: hart %" PRIu64 " %s %s 0x%016" PRIx64, w->h->mhartid, modes[w->mode],
            kinds[w->access], w->va);
    if (r == WALK_OK) {
        fprintf(f, " -> 0x%" PRIx64 " prot %c%c%c bits %u%s\n", out->pa,
                out->prot & MMU_PROT_READ ? 'r' : '-', out->prot & MMU_PROT_WRITE ? 'w' : '-',
                out->prot & MMU_PROT_EXEC ? 'x' : '-', out->page_bits,
                out->global ? " global" : "");
    } else {
        fprintf(f, ": %s fault\n", r == WALK_PAGE_FAULT ? "page" : "access");
    }
    log_unlock();
}

bool riscv_mmu_translate(CPUState *cpu, vaddr va, MMUAccess access, unsigned mmu_idx,
                         MMUResult *out)
{
    RISCVHart *h = riscv_hart(cpu);
    Walk w = {
        .h = h,
        .va = va,
        .access = access,
        .mode = mmu_idx & 3,
        .mxr = mmu_idx & RISCV_MMU_MXR,
    };
    WalkResult r = translate(&w, out);
    if (r == WALK_OK) {
        /* The TLB has lines of 4 KiB.  A larger page stays one, whatever PMP says elsewhere in it: an SFENCE.VMA of
           any address in it must find all its lines. */
        uint8_t alike = PAGE_BITS;
        unsigned allowed = riscv_pmp_check(h, out->pa, mode_priv(w.mode), &alike);
        out->page_bits = alike < PAGE_BITS ? alike : out->page_bits;
        out->prot &= (uint8_t)allowed;
        r = out->prot & access_prot(access) ? WALK_OK : WALK_ACCESS_FAULT;
    }
    if (log_enabled(LOG_MMU)) {
        log_translation(&w, r, out);
    }
    if (r != WALK_OK) {
        record(h, va, access, r == WALK_PAGE_FAULT);
    }
    return r == WALK_OK;
}

bool riscv_mmu_probe(CPUState *cpu, vaddr va, MMUResult *out)
{
    Walk w = {
        .h = riscv_hart(cpu),
        .va = va,
        .access = MMU_LOAD,
        .mode = riscv_mmu_index(cpu, MMU_FETCH),
        .probe = true,
    };
    return translate(&w, out) == WALK_OK;
}

void riscv_raise_access_fault(CPUState *cpu, vaddr va, MMUAccess access)
{
    record(riscv_hart(cpu), va, access, false);
}
