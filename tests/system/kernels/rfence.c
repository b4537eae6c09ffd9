/*
 * Remote fences: hart 0 changes mappings and has the SBI fence the others, who load, store and execute there all
 * the time.  When the call has returned, nobody may use what was mapped before.
 *
 * A place has two pieces of memory, one of which is mapped, or none.  A change lies between two steps of its
 * sequence number, odd meanwhile: an access that lies within an even period must find the mapping of that period.
 * Stores that come too late are found in the memory that is no longer mapped.
 */
#include "kernel.h"

#define ROUNDS (200ull * SCALE)

enum { V = 1, R = 2, W = 4, X = 8, G = 32, A = 64, D = 128 };
#define LEAF (V | R | W | X | A | D)
#define NAPOT (1ull << 63)
#define ABSENT 2
#define FAULT (~0ull)
#define NPLACES 6

typedef uint64_t Table[512] __attribute__((aligned(4096)));
static Table root, middle, last;

/* Data at offset 0, stores of hart h at 128 + 8h, a function at 64 that returns which memory it is in. */
static struct Place {
    uint64_t va, pa[2], size, bits;
    uint64_t *entry;
    unsigned nentries;
    unsigned shift;             /* address to entry: of the page size */
    /* changed by hart 0 */
    uint64_t seq, state, tag, fence;
} places[NPLACES] = {
    { 0x40000000, { 0x81800000, 0x81801000 }, 4096, LEAF, &last[0], 1 },
    { 0x40003000, { 0x81802000, 0x81807000 }, 4096, LEAF | G, &last[3], 1 },
    { 0x40010000, { 0x81810000, 0x81820000 }, 65536, LEAF, &last[16], 16 },
    { 0x40200000, { 0x81000000, 0x81200000 }, 1 << 21, LEAF, &middle[1], 1 },
    { 0x40600000, { 0x81400000, 0x81600000 }, 1 << 21, LEAF | G, &middle[3], 1 },
    { 0x100000000, { 0x80000000, 0x80000000 }, 1 << 30, LEAF, &root[4], 1 },
};
/* The last one is the memory with this program: it comes and goes, and is looked at here. */
#define GIGA_OFFSET 0x1880000

static uint64_t resume[HARTS], faults[HARTS], accesses[HARTS];
static uint32_t done, finished;

static uint64_t offset(const struct Place *p) { return p == &places[NPLACES - 1] ? GIGA_OFFSET : 0; }

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    uint64_t hart = csr_read(sscratch);
    check(cause == 12 || cause == 13 || cause == 15);
    check(tval >= 0x40000000 && (tval < 0x80000000 || tval >= 0x100000000));
    faults[hart]++;
    if (cause == 12) {
        check(epc == tval);
        return resume[hart] - epc;
    }
    return 4;
}

/* FAULT if it faulted. */
static uint64_t try_load(uint64_t va)
{
    uint64_t v = FAULT;
    asm volatile(".option push\n.option norvc\nld %0, 0(%1)\n.option pop" : "+r"(v) : "r"(va) : "memory");
    return v;
}

static void try_store(uint64_t va, uint64_t v)
{
    asm volatile(".option push\n.option norvc\nsd %0, 0(%1)\n.option pop" :: "r"(v), "r"(va) : "memory");
}

static uint64_t try_call(uint64_t va, uint64_t hart)
{
    register uint64_t a0 asm("a0") = FAULT;
    asm volatile("lla t0, 1f\nsd t0, 0(%1)\njalr ra, 0(%2)\n1:" : "+r"(a0) : "r"(&resume[hart]), "r"(va)
                 : "ra", "t0", "memory");
    return a0;
}

static void use_tables(uint64_t hart)
{
    csr_write(sscratch, hart);
    csr_write(satp, 8ull << 60 | (1 + hart % 2) << 44 | (uint64_t)root >> 12);
    asm volatile("sfence.vma" ::: "memory");
}

static void access_all(uint64_t hart)
{
    uint64_t random = 0x9e3779b97f4a7c15ull * (hart + 1), n = 0;
    while (!load(&done)) {
        uint64_t r = next_random(&random);
        struct Place *p = &places[r % NPLACES];
        uint64_t seq = load(&p->seq), state = load(&p->state), tag = load(&p->tag), got, want;
        uint64_t va = p->va + offset(p);
        switch (r >> 32 & 3) {
        case 0:
        case 1:
            got = try_load(va + (r >> 40 & 1 || offset(p) ? 0 : p->size - 4096));
            want = tag;
            break;
        case 2:
            try_store(va + 128 + 8 * hart, n++);
            continue;
        default:
            got = try_call(va + 64, hart);
            want = 100 + (p->pa[0] == p->pa[1] ? 0 : state);
        }
        if (load(&p->seq) != seq || seq & 1) {
            continue;
        }
        store(&accesses[hart], accesses[hart] + 1);
        if (got != (state == ABSENT ? FAULT : want)) {
            put("place ");
            put_number(p - places);
            put(" way ");
            put_number(r >> 32 & 3);
            put(" state ");
            put_number(state);
            put(" last fence ");
            put_number(p->fence);
            put(" got ");
            put_number(got);
            put(" want ");
            put_number(want);
            put("\n");
            check(0);
        }
    }
}

/* What harts have stored in the memory that has gone. */
static uint64_t stored_sum(uint64_t pa)
{
    uint64_t sum = 0;
    for (unsigned h = 0; h < HARTS; h++) {
        sum += load((uint64_t *)(pa + 128 + 8 * h)) * (h + 1);
    }
    return sum;
}

static void set_entries(struct Place *p, uint64_t state)
{
    uint64_t entry = state == ABSENT ? 0 : p->pa[state] >> 12 << 10 | p->bits;
    if (p->nentries == 16 && entry) {
        entry |= NAPOT | 1ull << 13;
    }
    for (unsigned i = 0; i < p->nentries; i++) {
        store(&p->entry[i], entry);
    }
}

static void fence_others(struct Place *p, uint64_t r)
{
    uint64_t others = (1ull << HARTS) - 1, start = p->va, size = p->size;
    unsigned which = r % 5;
    store(&p->fence, which);
    if (which == 0) {
        check(sbi(SBI_RFENCE, SBI_SFENCE_VMA, 0, ~0ull, 0, 0, 0).error == 0);
    } else if (which == 1) {
        check(sbi(SBI_RFENCE, SBI_SFENCE_VMA, others, 0, 0, ~0ull, 0).error == 0);
    } else if (which == 2 || p->bits & G) {
        check(sbi(SBI_RFENCE, SBI_SFENCE_VMA, others, 0, start, size, 0).error == 0);
    } else if (which == 3) {    /* one page inside tells of all of it */
        start += size > 65536 ? size - 4096 : 0;
        check(sbi(SBI_RFENCE, SBI_SFENCE_VMA, others, 0, start, size > 65536 ? 4096 : size, 0).error == 0);
    } else {
        check(sbi(SBI_RFENCE, SBI_SFENCE_VMA_ASID, others & 0x5555, 0, start, size, 1).error == 0);
        check(sbi(SBI_RFENCE, SBI_SFENCE_VMA_ASID, others & 0xaaaa, 0, start, size, 2).error == 0);
    }
    asm volatile("sfence.vma" ::: "memory");
}

/* Not 100 pauses: on a busy host each may give the processor away. One is for harts that share a thread. */
static void wait_for_late_stores(void)
{
    uint64_t end = csr_read(time) + TICKS / 50000;
    pause();
    while (csr_read(time) < end) {
    }
}

static void change(struct Place *p, uint64_t r, uint64_t round)
{
    uint64_t old = p->state, state = r >> 16 & 3, tag = round + 1000;
    bool giga = p == &places[NPLACES - 1];
    state = state == 3 ? !old : state;
    store(&p->seq, p->seq + 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (state != ABSENT) {
        for (uint64_t at = 0; at < p->size; at += p->size - 4096 ? p->size - 4096 : p->size) {
            store((uint64_t *)(p->pa[state] + (giga ? GIGA_OFFSET : at)), tag);
            if (giga) {
                break;
            }
        }
    }
    set_entries(p, state);
    fence_others(p, r);
    store(&p->state, state);
    store(&p->tag, tag);
    store(&p->seq, p->seq + 1);
    if (old != ABSENT && (state == ABSENT || p->pa[state] != p->pa[old])) {
        uint64_t sum = stored_sum(p->pa[old] + offset(p));
        wait_for_late_stores();
        check(stored_sum(p->pa[old] + offset(p)) == sum);
    }
}

static void set_up(void)
{
    static const uint32_t codes[2] = { 0x06400513 /* li a0, 100 */, 0x06500513 /* li a0, 101 */ };
    root[0] = V | R | W | A | D | G;            /* devices */
    root[1] = (uint64_t)middle >> 12 << 10 | V;
    root[2] = 0x80000000ull >> 12 << 10 | LEAF | G;
    middle[0] = (uint64_t)last >> 12 << 10 | V;
    for (unsigned i = 0; i < NPLACES; i++) {
        struct Place *p = &places[i];
        for (unsigned k = 0; k < 2; k++) {
            uint32_t *code = (uint32_t *)(p->pa[k] + offset(p) + 64);
            code[0] = codes[i == NPLACES - 1 ? 0 : k];
            code[1] = 0x00008067;               /* ret */
        }
        p->state = ABSENT;
    }
    fence_i();
}

void main(uint64_t hart, uint64_t arg)
{
    if (!comes_first()) {
        fence_i();
        use_tables(hart);
        access_all(hart);
        __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
        return;
    }
    uint64_t random = 88172645463325252ull;
    set_up();
    use_tables(hart);
    start_others(hart, 1);
    for (uint64_t i = 0; i < HARTS; i++) {      /* on a busy host they may come late */
        while (i != hart && !load(&accesses[i])) {
            pause();
        }
    }
    uint64_t start = csr_read(time);
    for (uint64_t i = 0; i < ROUNDS && (i < 20 || csr_read(time) - start < STORM_TICKS); i++) {
        uint64_t r = next_random(&random);
        change(&places[(r >> 8) % NPLACES], r, i);
    }
    store(&done, 1);
    while (load(&finished) < HARTS - 1) {
        pause();
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < HARTS; i++) {
        sum += accesses[i];
    }
    check(sum);
    put("rfence\n");
    sbi(SBI_SRST, 0, 0, 0, 0, 0, 0);
}
