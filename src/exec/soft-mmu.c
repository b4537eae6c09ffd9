/*
 * The slow side of guest memory in system mode: fills of the TLB, devices, accesses across pages, stores
 * to pages that have translations, and instruction fetch.
 *
 * Everything runs on the vCPU's thread, most of it called by generated code in the middle of a
 * unit, without locks.
 *
 * Stores to code.  A page with translations has PageDesc.used set and TLB_CODE in the store tags of all TLBs that
 * map it, so that stores to it come here, and invalidate what they overlap after they were made.
 * To find those TLBs a page remembers in `store_mapped` which vCPUs have a fast line for
 * it.  [TLB-CODE] The vCPU that fills sets its bit, enters the line, and then looks at `used`; the translator sets
 * `used`, then takes the bits and marks the lines of those vCPUs; with a full fence between the two
 * steps on both sides one of them sees the other.
 *
 * A vCPU may have compared the tag already when the flag is set, and store after the bytes were read.  Its store is
 * not lost: a page whose lines were marked in another vCPU's TLB is unsettled (exec/settle.c) until that
 * vCPU has been seen outside generated code, and blocks made meanwhile are compared with memory
 * at the next fence.i.
 */
#include "exec/soft-mmu.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exec/debug.h"
#include "exec/icount.h"
#include "exec/interp-run.h"
#include "mem/memory.h"
#include "util/error.h"
#include "util/log.h"
#include "util/stats.h"

static inline uint64_t cpu_bit(const CPUState *cpu)
{
    return 1ull << (cpu->cpu_index & 63);
}

/* ---- filling ---- */

/* [TLB-CODE] The line may be used for fast stores; is the page free of translations? */
static void line_check_code(CPUState *cpu, HostTLBEntry *e, PageDesc *pd)
{
    /* [TLB-CODE] pairs with the fence in soft_mmu_protect_code(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pd->used, __ATOMIC_RELAXED)) {
        __atomic_fetch_or(&e->store, TLB_CODE, __ATOMIC_RELAXED);
    }
}

static void make_line(TLBLine *line, vaddr va, const MMUResult *r, const MemoryPlace *place)
{
    vaddr page = va & TLB_PAGE_MASK;
    uint64_t flags = place->host && place->whole_page ? 0 : TLB_IO;
    flags |= debug_page_is_watched(page) ? TLB_WATCH : 0;
    *line = (TLBLine){
        .e = {
            .load = r->prot & MMU_PROT_READ ? page | flags : TLB_NO_TAG,
            .store = r->prot & MMU_PROT_WRITE ? page | flags | (place->readonly ? TLB_IO : 0) : TLB_NO_TAG,
            .fetch = r->prot & MMU_PROT_EXEC ? page | flags : TLB_NO_TAG,
            .addend = (uintptr_t)place->host - va,
        },
        .full = {
            .pa = r->pa & TLB_PAGE_MASK,
            .page_bits = r->page_bits,
            .global = r->global,
        },
    };
}

/* The line for an access; *full beside it.  NULL: an exception is recorded. */
static HostTLBEntry *fill_line(CPUState *cpu, vaddr va, MMUAccess access, unsigned idx, TLBFull *full)
{
    SoftTLB *t = cpu->soft_tlb;
    MMUResult r = { 0 };
    TLBLine line;
    if (!cpu->guest->mmu_translate(cpu, va, access, idx, &r)) {
        return NULL;
    }
    MemoryPlace place = memory_find(r.pa);
    if (!place.region || (access == MMU_FETCH && !place.host)) {
        log_item(LOG_GUEST_ERRORS, "%s at 0x%" PRIx64 ", where nothing is\n",
                 access == MMU_LOAD ? "load" : access == MMU_STORE ? "store" : "fetch", r.pa);
        cpu->guest->raise_access_fault(cpu, va, access);
        return NULL;
    }
    make_line(&line, va, &r, &place);
    *full = line.full;
    if (r.page_bits < HOST_PAGE_BITS) {     /* good for this access only */
        cpu->scratch_line = line.e;
        if (place.host && !(line.e.store & TLB_INVALID)) {
            cpu->scratch_line.store |= TLB_CODE;
        }
        return &cpu->scratch_line;
    }
    if (line.e.store & (TLB_INVALID | TLB_IO)) {
        return soft_tlb_fill(t, idx, va, &line);
    }
    PageDesc *pd = page_get_alloc(r.pa >> GUEST_PAGE_BITS);
    __atomic_fetch_or(&pd->store_mapped, cpu_bit(cpu), __ATOMIC_RELAXED);
    HostTLBEntry *e = soft_tlb_fill(t, idx, va, &line);
    line_check_code(cpu, e, pd);
    return e;
}

static HostTLBEntry *find_line(CPUState *cpu, vaddr va, MMUAccess access, unsigned idx, TLBFull *full)
{
    TLBFull *known;
    HostTLBEntry *e = soft_tlb_find(cpu->soft_tlb, idx, va, access, &known);
    if (likely(e)) {
        *full = *known;
        return e;
    }
    return fill_line(cpu, va, access, idx, full);
}

bool soft_mmu_fetch(CPUState *cpu, vaddr pc, hwaddr *pa, bool *global)
{
    TLBFull full;
    unsigned idx = cpu->guest->mmu_index(cpu, MMU_FETCH);
    const HostTLBEntry *e = find_line(cpu, pc, MMU_FETCH, idx, &full);
    if (!e) {
        return false;
    }
    *pa = full.pa | (pc & (TLB_PAGE_SIZE - 1));
    *global = full.global;
    if (unlikely(e->fetch & TLB_IO) && !memory_ram_host(full.pa, TLB_PAGE_SIZE)) {
        cpu->guest->raise_access_fault(cpu, pc, MMU_FETCH);
        return false;
    }
    return true;
}

/* ---- pages with translations ---- */

bool soft_mmu_protect_code(CPUState *cpu, PageDesc *pd)
{
    lock_assert_held(&pd->lock);
    /* [PAGE-USED] and [TLB-CODE]: the fence pairs with those of invalidate_walk() and line_check_code(). */
    page_mark_used(pd);
    uint64_t mapped = __atomic_exchange_n(&pd->store_mapped, 0, __ATOMIC_RELAXED);
    if (likely(!mapped)) {
        return false;
    }
    unsigned others = 0;
    uintptr_t host = (uintptr_t)memory_ram_host(pd->number << GUEST_PAGE_BITS, GUEST_PAGE_SIZE);
    mutex_lock(&exec_ctx.cpu_list_lock);
    for (CPUState *c = exec_ctx.cpus; c; c = c->next_cpu) {
        if (mapped & cpu_bit(c)) {
            unsigned n = soft_tlb_mark_code(c->soft_tlb, host);
            others += c == cpu ? 0 : n;
        }
    }
    mutex_unlock(&exec_ctx.cpu_list_lock);
    return others != 0;
}

/*
 * A store to [pa, pa + size) of a page with translations has been made.  When none is left there, the
 * page's stores are fast again.
 */
static void code_written(CPUState *cpu, hwaddr pa, unsigned size, HostTLBEntry *e)
{
    PageDesc *pd = page_get_alloc(pa >> GUEST_PAGE_BITS);
    stat_inc(STAT_CODE_STORES);
    if (!tb_invalidate_written(pa, size)) {
        return;
    }
    __atomic_fetch_or(&pd->store_mapped, cpu_bit(cpu), __ATOMIC_RELAXED);
    __atomic_fetch_and(&e->store, ~(uint64_t)TLB_CODE, __ATOMIC_RELAXED);
    line_check_code(cpu, e, pd);
}

/* ---- accesses within a page ---- */

/* The orders are those that the IR promises of AMO and CAS: the guest's own. */
#define ATOMIC_SIZED(T)                                                                         \
    static uint64_t atomic_##T(T *p, const HostAccess *a)                                       \
    {                                                                                           \
        T old = (T)a->val;                                                                      \
        if (a->op == IR_CAS) {                                                                  \
            __atomic_compare_exchange_n(p, &old, (T)a->val2, false, __ATOMIC_SEQ_CST,           \
                                        __ATOMIC_SEQ_CST);                                      \
            return old;                                                                         \
        }                                                                                       \
        old = __atomic_load_n(p, __ATOMIC_RELAXED);                                             \
        while (!__atomic_compare_exchange_n(p, &old, (T)amo_value(a, old, sizeof(T)), false,    \
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {              \
        }                                                                                       \
        return old;                                                                             \
    }

static uint64_t amo_value(const HostAccess *a, uint64_t old, unsigned size)
{
    unsigned up = 64 - 8 * size;
    uint64_t uo = old << up, ux = a->val << up;
    int64_t so = (int64_t)uo, sx = (int64_t)ux;
    switch ((IRAmo)a->amo) {
    case IR_AMO_SWAP: return a->val;
    case IR_AMO_ADD: return old + a->val;
    case IR_AMO_AND: return old & a->val;
    case IR_AMO_OR: return old | a->val;
    case IR_AMO_XOR: return old ^ a->val;
    case IR_AMO_MIN: return so < sx ? old : a->val;
    case IR_AMO_MAX: return so > sx ? old : a->val;
    case IR_AMO_MINU: return uo < ux ? old : a->val;
    default: return uo > ux ? old : a->val;
    }
}

ATOMIC_SIZED(uint8_t)
ATOMIC_SIZED(uint16_t)
ATOMIC_SIZED(uint32_t)
ATOMIC_SIZED(uint64_t)

/* Plain accesses that are aligned must be one access of the host. */
#define SIZED(p, size, what)                             \
    switch (size) {                                      \
    case 1: { typedef uint8_t T; what; } break;          \
    case 2: { typedef uint16_t T; what; } break;         \
    case 4: { typedef uint32_t T; what; } break;         \
    default: { typedef uint64_t T; what; } break;        \
    }

__attribute__((no_sanitize("alignment")))
static uint64_t ram_access(void *p, unsigned size, const HostAccess *a)
{
    uint64_t v = 0;
    switch (a->op) {
    case IR_LD:
        SIZED(p, size, v = __atomic_load_n((T *)p, __ATOMIC_RELAXED))
        return v;
    case IR_ST:
        SIZED(p, size, __atomic_store_n((T *)p, (T)a->val, __ATOMIC_RELAXED))
        return 0;
    default:
        switch (size) {
        case 1: return atomic_uint8_t(p, a);
        case 2: return atomic_uint16_t(p, a);
        case 4: return atomic_uint32_t(p, a);
        default: return atomic_uint64_t(p, a);
        }
    }
}

static bool io_access(CPUState *cpu, hwaddr pa, unsigned size, const HostAccess *a, uint64_t *result)
{
    if (exec_ctx.config.icount) {
        icount_allow_io(cpu);
    }
    bool ok = a->op == IR_LD   ? memory_io_read(pa, size, result)
              : a->op == IR_ST ? memory_io_write(pa, size, a->val)
                               : false;     /* devices know no atomic accesses */
    stat_inc(STAT_IO_ACCESSES);
    if (!ok) {
        log_item(LOG_GUEST_ERRORS, "%s of %u bytes at 0x%" PRIx64 ", which the device does not know, pc 0x%" PRIx64 "\n",
                 a->op == IR_LD ? "read" : "write", size, pa, cpu->env.pc);
        cpu->guest->raise_access_fault(cpu, a->addr, a->op == IR_LD ? MMU_LOAD : MMU_STORE);
    }
    return ok;
}

/*
 * The permissions that were found hold for an aligned piece around the address which is smaller than the access.  One that
 * is aligned fails: what begins inside it must match it wholly (riscv: "Physical Memory Protection").
 * Others are made of their bytes, each of which must be allowed.
 */
static bool check_pieces(CPUState *cpu, const HostAccess *a, unsigned size, MMUAccess kind)
{
    TLBFull full;
    if (!(a->addr & (size - 1))) {
        cpu->guest->raise_access_fault(cpu, a->addr, kind);
        return false;
    }
    for (unsigned i = 1; i < size; i++) {
        if (!find_line(cpu, a->addr + i, kind, a->mmu_idx, &full)) {
            return false;
        }
    }
    return find_line(cpu, a->addr, kind, a->mmu_idx, &full);
}

static bool page_access(CPUState *cpu, const HostAccess *a, unsigned size, uint64_t *result)
{
    TLBFull full;
    MMUAccess kind = a->op == IR_LD ? MMU_LOAD : MMU_STORE;
    HostTLBEntry *e = find_line(cpu, a->addr, kind, a->mmu_idx, &full);
    if (!e) {
        return false;
    }
    if (unlikely(full.page_bits < HOST_PAGE_BITS) && (a->addr ^ (a->addr + size - 1)) >> full.page_bits &&
        !check_pieces(cpu, a, size, kind)) {
        return false;
    }
    uint64_t tag = soft_tlb_tag(e, kind);
    hwaddr pa = full.pa | (a->addr & (TLB_PAGE_SIZE - 1));
    if (tag & TLB_IO) {
        return io_access(cpu, pa, size, a, result);
    }
    *result = ram_access((void *)(uintptr_t)(a->addr + e->addend), size, a);
    if (kind == MMU_STORE && tag & TLB_CODE) {
        code_written(cpu, pa, size, e);
    }
    return true;
}

/* ---- accesses across two pages ---- */

typedef struct Piece {
    vaddr va;
    unsigned size;
    bool io;
    uint8_t *host;
    hwaddr pa;
} Piece;

static bool piece_find(CPUState *cpu, Piece *p, MMUAccess kind, unsigned idx)
{
    TLBFull full;
    const HostTLBEntry *e = find_line(cpu, p->va, kind, idx, &full);
    if (!e) {
        return false;
    }
    p->pa = full.pa | (p->va & (TLB_PAGE_SIZE - 1));
    p->io = soft_tlb_tag(e, kind) & TLB_IO;
    p->host = (uint8_t *)(uintptr_t)(p->va + e->addend);
    if (p->io) {                /* misaligned, which devices do not know */
        cpu->guest->raise_access_fault(cpu, p->va, kind);
    }
    return !p->io;
}

/* A plain access; both pages are seen to be there before a byte is written. */
static bool cross_access(CPUState *cpu, const HostAccess *a, unsigned size, uint64_t *result)
{
    MMUAccess kind = a->op == IR_LD ? MMU_LOAD : MMU_STORE;
    vaddr second = (a->addr & TLB_PAGE_MASK) + TLB_PAGE_SIZE;
    unsigned n = (unsigned)(second - a->addr);
    Piece p[2] = { { .va = a->addr, .size = n }, { .va = second, .size = size - n } };
    uint8_t bytes[8];
    if (!piece_find(cpu, &p[0], kind, a->mmu_idx) || !piece_find(cpu, &p[1], kind, a->mmu_idx)) {
        return false;
    }
    memcpy(bytes, &a->val, 8);
    for (unsigned k = 0; k < 2; k++) {
        uint8_t *part = bytes + (k ? n : 0);
        for (unsigned i = 0; i < p[k].size; i++) {
            if (kind == MMU_LOAD) {
                part[i] = __atomic_load_n(p[k].host + i, __ATOMIC_RELAXED);
            } else {
                __atomic_store_n(p[k].host + i, part[i], __ATOMIC_RELAXED);
            }
        }
        if (kind == MMU_STORE) {
            tb_invalidate_written(p[k].pa, p[k].size);
        }
    }
    *result = 0;
    memcpy(result, bytes, size);
    return true;
}

/* ---- entry points ---- */

static bool access_any(CPUState *cpu, const HostAccess *a, uint64_t *result)
{
    unsigned size = 1u << (a->memop & MO_SIZE);
    bool crosses = (a->addr & (TLB_PAGE_SIZE - 1)) + size > TLB_PAGE_SIZE;
    *result = 0;
    return crosses ? cross_access(cpu, a, size, result) : page_access(cpu, a, size, result);
}

uint64_t soft_mmu_access(HostEnv *env, const HostAccess *a)
{
    CPUState *cpu = (CPUState *)env;
    uint64_t result, size = 1ull << (a->memop & MO_SIZE);
    bool atomic = a->op == IR_AMO || a->op == IR_CAS;
    stat_inc(STAT_SLOW_ACCESSES);
    if ((a->memop & MO_ALIGN || atomic) && a->addr & (size - 1)) {
        env->exit_addr = cpu->fault_addr = a->addr;
        cpu->fault_is_store = a->op != IR_LD;
        cpu_leave_from_helper(cpu, EXIT_REASON_MISALIGNED);
    }
    if (debug_access_stops(cpu, a->addr, (unsigned)size, a->op != IR_LD)) {
        cpu_leave_from_helper(cpu, EXIT_REASON_DEBUG);
    }
    if (!access_any(cpu, a, &result)) {
        cpu_leave_from_helper(cpu, EXIT_REASON_EXCEPTION);
    }
    return result;
}

static bool cpu_access(CPUState *cpu, IROp op, vaddr va, unsigned size, uint64_t val, uint64_t *result)
{
    HostAccess a = {
        .addr = va,
        .val = val,
        .op = op,
        .memop = (uint8_t)__builtin_ctz(size),
        .mmu_idx = (uint8_t)cpu->guest->mmu_index(cpu, op == IR_LD ? MMU_LOAD : MMU_STORE),
    };
    return access_any(cpu, &a, result);
}

bool cpu_load(CPUState *cpu, vaddr va, unsigned size, uint64_t *value)
{
    return cpu_access(cpu, IR_LD, va, size, 0, value);
}

bool cpu_memory_debug(CPUState *cpu, vaddr va, void *buf, size_t n, bool write)
{
    uint8_t *p = buf;
    while (n) {
        MMUResult r;
        size_t part = TLB_PAGE_SIZE - (va & (TLB_PAGE_SIZE - 1));
        part = part < n ? part : n;
        if (!cpu->guest->mmu_probe(cpu, va, &r) ||
            !(write ? memory_write(r.pa, p, part) : memory_read(r.pa, p, part))) {
            return false;
        }
        va += part;
        p += part;
        n -= part;
    }
    return true;
}
