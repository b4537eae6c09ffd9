/* Address translation and physical memory protection. */
#include "fixture.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
#define ROOT (RAM_BASE + 0x1000)
#define L2 (RAM_BASE + 0x2000)
#define L1 (RAM_BASE + 0x3000)
#define L0 (RAM_BASE + 0x4000)
#define PAGE UINT64_C(0x80042000)
#define GIGA UINT64_C(0x40000000)

enum { LOAD_ACCESS = 5, STORE_ACCESS = 7, FETCH_ACCESS = 1, FETCH_PAGE = 12, LOAD_PAGE = 13, STORE_PAGE = 15 };

static uint64_t pte(hwaddr pa, uint64_t bits) { return pa >> 12 << 10 | bits; }

static void set_pte(hwaddr table, unsigned index, uint64_t v) { ram_at(table)[index] = v; }

static void set_satp(unsigned mode, unsigned asid)
{
    unsigned priv = fx.h->priv;
    set_mode(RISCV_PRIV_M);
    assert_true(csr_write(0x180, (uint64_t)mode << 60 | (uint64_t)asid << 44 | ROOT >> 12));
    set_mode(priv);
}

/* Sv39: ROOT -> L1 -> L0; the page at va 0x1_4020_3000: indices 5, 1, 3. */
#define VA UINT64_C(0x140203000)
static void map39(uint64_t leaf)
{
    set_pte(ROOT, 5, pte(L1, V));
    set_pte(L1, 1, pte(L0, V));
    set_pte(L0, 3, leaf);
    set_satp(8, 7);
    set_mode(RISCV_PRIV_S);
}

static MMUResult result;

static bool translate(vaddr va, MMUAccess access, unsigned mode)
{
    fx.h->exception_pending = false;
    bool ok = riscv_mmu_translate(fx.cpu, va, access, mode, &result);
    assert_int_equal(fx.h->exception_pending, !ok);
    return ok;
}

#define assert_fault(va, access, mode, cause)                                            \
    do {                                                                                 \
        assert_false(translate(va, access, mode));                                       \
        assert_int_equal(fx.h->exception_cause, cause);                                  \
        assert_int_equal(fx.h->exception_tval, va);                                      \
    } while (0)

static void test_bare(void **state)
{
    assert_true(translate(0x80001234, MMU_LOAD, RISCV_MMU_M));
    assert_int_equal(result.pa, 0x80001234);
    assert_int_equal(result.prot, 7);
    set_satp(8, 0);     /* does not concern M-mode */
    assert_true(translate(0x80001234, MMU_STORE, RISCV_MMU_M));
    assert_true(csr_write(0x180, 0));
    assert_true(translate(0x80001234, MMU_FETCH, RISCV_MMU_U));
    assert_int_equal(result.pa, 0x80001234);
}

static void test_sv39_sizes(void **state)
{
    map39(pte(PAGE, V | R | W | A | D));
    assert_true(translate(VA + 0x123, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.pa, PAGE + 0x123);
    assert_int_equal(result.page_bits, 12);
    assert_int_equal(result.prot, MMU_PROT_READ | MMU_PROT_WRITE);
    assert_false(result.global);
    /* 2 MiB */
    set_pte(L1, 1, pte(0x80000000, V | R | X | A));
    assert_true(translate(VA + 0x123, MMU_FETCH, RISCV_MMU_S));
    assert_int_equal(result.pa, 0x80003123);
    assert_int_equal(result.page_bits, 21);
    assert_int_equal(result.prot, MMU_PROT_READ | MMU_PROT_EXEC);
    /* 1 GiB, global */
    set_pte(ROOT, 5, pte(2 * GIGA, V | R | A | G));
    assert_true(translate(VA + 0x123, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.pa, 2 * GIGA + 0x203123);
    assert_int_equal(result.page_bits, 30);
    assert_true(result.global);
}

static void test_misaligned_superpage(void **state)
{
    map39(0);
    set_pte(L1, 1, pte(0x80001000, V | R | A));
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
    set_pte(ROOT, 5, pte(0x80200000, V | R | A));
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
}

static void test_global_subtree(void **state)
{
    map39(pte(PAGE, V | R | A));
    set_pte(L1, 1, pte(L0, V | G));
    assert_true(translate(VA, MMU_LOAD, RISCV_MMU_S));
    assert_true(result.global);
}

static void test_canonical(void **state)
{
    map39(0);
    set_pte(ROOT, 511, pte(2 * GIGA, V | R | A));
    assert_true(translate(UINT64_C(0xffffffffc0000010), MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.pa, 2 * GIGA + 0x10);
    assert_fault(UINT64_C(0x7fc0000010), MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
    assert_fault(UINT64_C(0x8000000000000000), MMU_STORE, RISCV_MMU_S, STORE_PAGE);
    /* bit 38 of 0x40_0000_0000 is set, bit 39 is not */
    assert_fault(UINT64_C(0x4000000000), MMU_FETCH, RISCV_MMU_S, FETCH_PAGE);
}

/* va 0x8080_8080_3000 >> ...: with 4 levels indices 1, 2, 4, 3; with 5 levels 9 in front. */
static void test_sv48_sv57(void **state)
{
    vaddr va = UINT64_C(1) << 39 | UINT64_C(2) << 30 | UINT64_C(4) << 21 | 3 << 12 | 0x55;
    set_pte(ROOT, 1, pte(L2, V));
    set_pte(L2, 2, pte(L1, V));
    set_pte(L1, 4, pte(L0, V));
    set_pte(L0, 3, pte(PAGE, V | R | A));
    set_satp(9, 1);
    set_mode(RISCV_PRIV_S);
    assert_true(translate(va, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.pa, PAGE + 0x55);
    assert_fault(va | UINT64_C(1) << 47, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
    /* 512 GiB page: the manual's "terapage" of Sv48 */
    set_pte(ROOT, 1, pte(0, V | R | A));
    assert_true(translate(va, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.page_bits, 39);
    assert_int_equal(result.pa, va & ((UINT64_C(1) << 39) - 1));
    /* Sv57: one more table in front */
    hwaddr l3 = RAM_BASE + 0x5000;
    set_pte(ROOT, 9, pte(l3, V));
    set_pte(l3, 1, pte(L2, V));
    set_satp(10, 1);
    va |= UINT64_C(9) << 48;
    assert_true(translate(va, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.pa, PAGE + 0x55);
    assert_fault(va | UINT64_C(1) << 56, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
}

/* Step 3 to 4 of the walk. */
static void test_malformed_entries(void **state)
{
    static const uint64_t bad_leaves[] = {
        0, R | W | X | A | D, V | W | A | D, V | W | X | A | D, V,
        UINT64_C(1) << 54 | V | R | A, UINT64_C(1) << 60 | V | R | A,
    };
    for (size_t i = 0; i < sizeof(bad_leaves) / sizeof(bad_leaves[0]); i++) {
        map39(pte(PAGE, bad_leaves[i]));
        assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
        assert_fault(VA, MMU_STORE, RISCV_MMU_S, STORE_PAGE);
        assert_fault(VA, MMU_FETCH, RISCV_MMU_S, FETCH_PAGE);
    }
    static const uint64_t bad_tables[] = {A, D, U, UINT64_C(1) << 61, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof(bad_tables) / sizeof(bad_tables[0]); i++) {
        map39(pte(PAGE, V | R | A));
        set_pte(L1, 1, pte(L0, V | bad_tables[i]));
        assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
    }
}

static void test_permissions(void **state)
{
    static const struct {
        uint64_t bits;
        unsigned mode, prot;
    } rows[] = {
        {R, RISCV_MMU_S, 1},         {R | W, RISCV_MMU_S, 3},   {X, RISCV_MMU_S, 4},
        {R | W | X, RISCV_MMU_S, 7}, {R | W | X, RISCV_MMU_U, 0}, {X, RISCV_MMU_S + RISCV_MMU_MXR, 5},
        {R | W | X | U, RISCV_MMU_U, 7}, {R | W | X | U, RISCV_MMU_S, 0},
        {R | W | X | U, RISCV_MMU_S_SUM, 3}, {R | W | X, RISCV_MMU_S_SUM, 7},
        {X | U, RISCV_MMU_U, 4},     {X | U, RISCV_MMU_U + RISCV_MMU_MXR, 5},
        {X | U, RISCV_MMU_S_SUM, 0}, {X | U, RISCV_MMU_S_SUM + RISCV_MMU_MXR, 1},
    };
    static const unsigned causes[3] = {LOAD_PAGE, STORE_PAGE, FETCH_PAGE};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        map39(pte(PAGE, V | A | D | rows[i].bits));
        for (MMUAccess access = MMU_LOAD; access <= MMU_FETCH; access++) {
            if (rows[i].prot >> access & 1) {
                assert_true(translate(VA, access, rows[i].mode));
                assert_int_equal(result.prot, rows[i].prot);
            } else {
                assert_fault(VA, access, rows[i].mode, causes[access]);
            }
        }
    }
}

static void test_modes(void **state)
{
    set_mode(RISCV_PRIV_S);
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_LOAD), RISCV_MMU_S);
    assert_true(csr_set(0x100, MSTATUS_SUM));
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_LOAD), RISCV_MMU_S_SUM);
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_FETCH), RISCV_MMU_S);
    assert_true(csr_set(0x100, MSTATUS_MXR));
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_STORE), RISCV_MMU_S_SUM + RISCV_MMU_MXR);
    set_mode(RISCV_PRIV_M);
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_LOAD), RISCV_MMU_M);
    assert_true(csr_write(0x300, MSTATUS_MPRV));    /* MPP = U */
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_LOAD), RISCV_MMU_U);
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_FETCH), RISCV_MMU_M);
    assert_true(csr_write(0x300, MSTATUS_MPRV | UINT64_C(1) << 11));
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_LOAD), RISCV_MMU_S);
    assert_true(csr_write(0x300, MSTATUS_MPRV | MSTATUS_MPP));
    assert_int_equal(riscv_mmu_index(fx.cpu, MMU_LOAD), RISCV_MMU_M);
}

static void test_hardware_marks(void **state)
{
    map39(pte(PAGE, V | R | W | X));
    assert_true(translate(VA, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(ram_at(L0)[3], pte(PAGE, V | R | W | X | A));
    assert_int_equal(result.prot, MMU_PROT_READ | MMU_PROT_EXEC);   /* a store must come by again */
    assert_true(translate(VA, MMU_STORE, RISCV_MMU_S));
    assert_int_equal(ram_at(L0)[3], pte(PAGE, V | R | W | X | A | D));
    assert_int_equal(result.prot, 7);
    /* No mark for what is not allowed. */
    set_pte(L0, 3, pte(PAGE, V | R));
    assert_fault(VA, MMU_STORE, RISCV_MMU_S, STORE_PAGE);
    assert_int_equal(ram_at(L0)[3], pte(PAGE, V | R));
}

static void test_software_marks(void **state)
{
    assert_true(csr_clear(0x30a, MENVCFG_ADUE));
    map39(pte(PAGE, V | R | W | X));
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
    map39(pte(PAGE, V | R | W | X | A));
    assert_true(translate(VA, MMU_FETCH, RISCV_MMU_S));
    assert_fault(VA, MMU_STORE, RISCV_MMU_S, STORE_PAGE);
    assert_int_equal(ram_at(L0)[3], pte(PAGE, V | R | W | X | A));
}

/* Another hart changes the entry between this one's look and its mark. */
static void test_mark_races(void **state)
{
    map39(pte(PAGE, V | R | W));
    fx.race_at = L0 + 3 * 8;
    fx.race_countdown = 2;      /* the second time: before the mark */
    fx.race_value = 0;
    assert_fault(VA, MMU_STORE, RISCV_MMU_S, STORE_PAGE);
    assert_int_equal(ram_at(L0)[3], 0);
    map39(pte(PAGE, V | R | W));
    fx.race_countdown = 2;
    fx.race_value = pte(PAGE + 0x1000, V | R | W | A);
    assert_true(translate(VA, MMU_STORE, RISCV_MMU_S));
    assert_int_equal(result.pa, PAGE + 0x1000);
    assert_int_equal(ram_at(L0)[3], pte(PAGE + 0x1000, V | R | W | A | D));
}

static void test_napot(void **state)
{
    uint64_t n = UINT64_C(1) << 63;
    map39(pte(0x80048000, V | R | A) | n);
    assert_true(translate(VA + 0x10, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.page_bits, 16);
    assert_int_equal(result.pa, 0x80043010);    /* page 3 of the 16 at 0x80040000 */
    map39(pte(0x80044000, V | R | A) | n);      /* another size: reserved */
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
    map39(0);
    set_pte(L1, 1, pte(0x80008000, V | R | A) | n);
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
}

static void test_pbmt(void **state)
{
    for (uint64_t type = 1; type <= 3; type++) {
        map39(pte(PAGE, V | R | A) | type << 61);
        if (type == 3) {
            assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
        } else {
            assert_true(translate(VA, MMU_LOAD, RISCV_MMU_S));
            assert_int_equal(result.pa, PAGE);
        }
    }
    set_mode(RISCV_PRIV_M);
    assert_true(csr_clear(0x30a, MENVCFG_PBMTE));
    map39(pte(PAGE, V | R | A) | UINT64_C(1) << 61);
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_PAGE);
}

/* Tables where there is no memory, or none to write to: access faults of the original access. */
static void test_table_access_faults(void **state)
{
    map39(pte(PAGE, V | R | W));
    set_pte(ROOT, 5, pte(0x1000, V));
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_ACCESS);
    assert_fault(VA, MMU_STORE, RISCV_MMU_S, STORE_ACCESS);
    assert_fault(VA, MMU_FETCH, RISCV_MMU_S, FETCH_ACCESS);
    map39(pte(PAGE, V | R | W));
    fx.readonly_from = L0;
    assert_fault(VA, MMU_STORE, RISCV_MMU_S, STORE_ACCESS);
    map39(pte(PAGE, V | R | W | A | D));
    assert_true(translate(VA, MMU_STORE, RISCV_MMU_S));
}

static void test_spaces(void **state)
{
    map39(pte(PAGE, V | R | A));
    uint64_t a = fx.space;
    set_satp(8, 8);
    uint64_t b = fx.space;
    set_satp(9, 7);
    uint64_t c = fx.space;
    set_mode(RISCV_PRIV_M);
    assert_true(csr_write(0x180, 0));
    assert_true(a != b && a != c && b != c && fx.space != a && fx.space != b && fx.space != c);
}

/* ---- PMP ---- */

static void set_pmp(unsigned i, uint64_t addr, unsigned cfg)
{
    uint64_t shift = 8 * (i % 8);
    assert_true(csr_write(0x3b0 + i, addr));
    assert_true(csr_clear(0x3a0 + i / 8 * 2, UINT64_C(0xff) << shift));
    assert_true(csr_set(0x3a0 + i / 8 * 2, (uint64_t)cfg << shift));
}

enum { OFF = 0, TOR = 8, NA4 = 16, NAPOT = 24, LOCK = 128, PR = 1, PW = 2, PX = 4 };

static unsigned pmp(hwaddr pa, unsigned priv)
{
    uint8_t bits = 12;
    return riscv_pmp_check(fx.h, pa, priv, &bits);
}

static unsigned pmp_bits(hwaddr pa, unsigned priv)
{
    uint8_t bits = 12;
    riscv_pmp_check(fx.h, pa, priv, &bits);
    return bits;
}

static void test_pmp_modes(void **state)
{
    set_pmp(0, 0, OFF);
    assert_int_equal(pmp(0x1000, RISCV_PRIV_S), 0);     /* none matches */
    assert_int_equal(pmp(0x1000, RISCV_PRIV_M), 7);
    set_pmp(0, 0x1000 >> 2, TOR | PR);                  /* from 0 */
    assert_int_equal(pmp(0, RISCV_PRIV_S), PR);
    assert_int_equal(pmp(0xfff, RISCV_PRIV_U), PR);
    assert_int_equal(pmp(0x1000, RISCV_PRIV_S), 0);
    set_pmp(1, 0x3000 >> 2, TOR | PR | PW);
    assert_int_equal(pmp(0x1000, RISCV_PRIV_S), PR | PW);
    assert_int_equal(pmp(0x2fff, RISCV_PRIV_S), PR | PW);
    assert_int_equal(pmp(0x3000, RISCV_PRIV_S), 0);
    set_pmp(2, 0x3004 >> 2, NA4 | PX);
    assert_int_equal(pmp(0x3003, RISCV_PRIV_S), 0);
    assert_int_equal(pmp(0x3004, RISCV_PRIV_S), PX);
    assert_int_equal(pmp(0x3007, RISCV_PRIV_S), PX);
    assert_int_equal(pmp(0x3008, RISCV_PRIV_S), 0);
    /* The manual's table: yyyy...y011 is a 32-byte range. */
    set_pmp(3, 0x8000 >> 2 | 3, NAPOT | PR | PX);
    assert_int_equal(pmp(0x7fff, RISCV_PRIV_S), 0);
    assert_int_equal(pmp(0x8000, RISCV_PRIV_S), PR | PX);
    assert_int_equal(pmp(0x801f, RISCV_PRIV_S), PR | PX);
    assert_int_equal(pmp(0x8020, RISCV_PRIV_S), 0);
    /* A TOR range that is empty matches nothing. */
    set_pmp(5, 0x4000 >> 2, TOR | PR);
    set_pmp(4, 0x5000 >> 2, OFF);
    assert_int_equal(pmp(0x4000, RISCV_PRIV_S), 0);
}

static void test_pmp_priority(void **state)
{
    set_pmp(0, 0x80000000 >> 2 | 0x1ff, NAPOT | PR);    /* a page */
    set_pmp(1, ~UINT64_C(0), NAPOT | PR | PW | PX);
    assert_int_equal(pmp(0x80000800, RISCV_PRIV_S), PR);
    assert_int_equal(pmp(0x80001000, RISCV_PRIV_S), 7);
    assert_int_equal(pmp(0x80000800, RISCV_PRIV_M), 7); /* not locked */
}

static void test_pmp_pieces(void **state)
{
    set_pmp(0, 0x80000010 >> 2, NA4 | PR);
    set_pmp(1, ~UINT64_C(0), NAPOT | PR | PW | PX);
    assert_int_equal(pmp_bits(0x80000010, RISCV_PRIV_S), 2);
    assert_int_equal(pmp_bits(0x80000014, RISCV_PRIV_S), 2);
    assert_int_equal(pmp_bits(0x80000018, RISCV_PRIV_S), 3);
    assert_int_equal(pmp_bits(0x80000800, RISCV_PRIV_S), 11);
    assert_int_equal(pmp_bits(0x80001000, RISCV_PRIV_S), 12);
}

static void test_pmp_lock(void **state)
{
    set_pmp(2, 0x80000000 >> 2 | 0x1ff, NAPOT | PR | LOCK);
    set_pmp(0, 0, OFF);
    assert_int_equal(pmp(0x80000000, RISCV_PRIV_M), PR);
    assert_true(csr_write(0x3b2, 0));
    assert_int_equal(csr_read(0x3b2), 0x80000000 >> 2 | 0x1ff);
    assert_true(csr_write(0x3a0, 0));
    assert_int_equal(csr_read(0x3a0), (uint64_t)(NAPOT | PR | LOCK) << 16);
    /* A locked TOR entry locks the address below it. */
    set_pmp(8, 0x1000, OFF);
    set_pmp(9, 0x2000, TOR | LOCK);
    assert_true(csr_write(0x3b8, 0));
    assert_int_equal(csr_read(0x3b8), 0x1000);
    assert_int_equal(pmp(0x4000, RISCV_PRIV_M), 0);
    assert_int_equal(pmp(0x3fff, RISCV_PRIV_M), 7);
}

static void test_pmp_registers(void **state)
{
    unsigned before = fx.flushes;
    set_pmp(0, 0, OFF);
    assert_true(fx.flushes > before);
    assert_false(csr_is_legal(0x3a1));
    assert_true(csr_is_legal(0x3a2));
    assert_true(csr_write(0x3bf, ~UINT64_C(0)));
    assert_int_equal(csr_read(0x3bf), (UINT64_C(1) << 54) - 1);
    assert_true(csr_write(0x3ef, ~UINT64_C(0)));    /* entry 63: not there */
    assert_int_equal(csr_read(0x3ef), 0);
    assert_true(csr_write(0x3a0, 0x62));            /* W without R, and bits that are 0 */
    assert_int_equal(csr_read(0x3a0), 0);
    set_mode(RISCV_PRIV_S);
    assert_false(csr_is_legal(0x3a0));
}

static void test_pmp_in_translation(void **state)
{
    set_pmp(0, L0 >> 2 | 0x1ff, NAPOT | PR);        /* the last table: read-only */
    set_pmp(1, PAGE >> 2 | 0x1ff, NAPOT | PR);
    set_pmp(2, ~UINT64_C(0), NAPOT | PR | PW | PX);
    map39(pte(PAGE, V | R | W | A | D));
    assert_true(translate(VA, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.prot, MMU_PROT_READ);
    assert_fault(VA, MMU_STORE, RISCV_MMU_S, STORE_ACCESS);
    map39(pte(PAGE, V | R | W));                    /* the mark itself is a write */
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_ACCESS);
    set_mode(RISCV_PRIV_M);
    set_pmp(0, L0 >> 2 | 0x1ff, NAPOT | PX);
    set_mode(RISCV_PRIV_S);
    assert_fault(VA, MMU_LOAD, RISCV_MMU_S, LOAD_ACCESS);
}

/* PMP cuts a large page into pieces, but a fence of any address still means all of it. */
static void test_pmp_in_large_page(void **state)
{
    set_pmp(0, 0x80005000 >> 2 | 0x1ff, NAPOT | PR);
    set_pmp(1, ~UINT64_C(0), NAPOT | PR | PW | PX);
    map39(pte(PAGE, V | R | W | A | D));
    set_pte(L1, 1, pte(0x80000000, V | R | W | A | D));
    assert_true(translate(VA + 0x123, MMU_STORE, RISCV_MMU_S));
    assert_int_equal(result.page_bits, 21);
    assert_true(translate((VA & ~UINT64_C(0x1fffff)) + 0x5000, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.page_bits, 21);
    assert_int_equal(result.prot, MMU_PROT_READ);
    set_mode(RISCV_PRIV_M);
    set_pmp(0, 0x80005010 >> 2, NA4 | PR);
    set_mode(RISCV_PRIV_S);
    assert_true(translate((VA & ~UINT64_C(0x1fffff)) + 0x5010, MMU_LOAD, RISCV_MMU_S));
    assert_int_equal(result.page_bits, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_hart, teardown_hart)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_bare), T(test_sv39_sizes), T(test_misaligned_superpage), T(test_global_subtree),
        T(test_canonical), T(test_sv48_sv57), T(test_malformed_entries), T(test_permissions),
        T(test_modes), T(test_hardware_marks), T(test_software_marks), T(test_mark_races),
        T(test_napot), T(test_pbmt), T(test_table_access_faults), T(test_spaces),
        T(test_pmp_modes), T(test_pmp_priority), T(test_pmp_pieces), T(test_pmp_lock),
        T(test_pmp_registers), T(test_pmp_in_translation), T(test_pmp_in_large_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
