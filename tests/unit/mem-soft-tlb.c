/*
 * The soft TLB's tables against a plain model: what was filled and not flushed since may be found,
 * what was flushed is never found, whatever the sizes of pages, spaces and tables.
 */
#include "mem/soft-tlb.h"
#include "unit.h"

static SoftTLB tlb;
static HostEnv *env;
enum { COMMON = 2 };    /* the MMU mode whose global pages are all spaces' */

static int setup(void **state)
{
    env = aligned_alloc(64, (sizeof(*env) + 63) & ~(size_t)63);
    memset(env, 0, sizeof(*env));
    soft_tlb_init(&tlb, env, 1u << COMMON);
    return 0;
}

static int teardown(void **state)
{
    soft_tlb_destroy(&tlb);
    free(env);
    return 0;
}

static void fill(unsigned idx, vaddr va, hwaddr pa, unsigned bits, bool global)
{
    vaddr page = va & TLB_PAGE_MASK;
    TLBLine l = { { page, page, TLB_NO_TAG, pa - page }, { pa, (uint8_t)bits, global } };
    soft_tlb_fill(&tlb, idx, va, &l);
}

static bool find(unsigned idx, vaddr va, hwaddr *pa)
{
    TLBFull *full;
    if (!soft_tlb_find(&tlb, idx, va, MMU_LOAD, &full)) {
        return false;
    }
    *pa = full->pa;
    return true;
}

static bool knows(unsigned idx, vaddr va)
{
    hwaddr pa;
    return find(idx, va, &pa);
}

/* What generated code does. */
static bool probe_hits(unsigned idx, vaddr va)
{
    const HostTLB *t = &env->tlb[idx];
    const HostTLBEntry *e =
        (const HostTLBEntry *)((const char *)t->table + (va >> (HOST_PAGE_BITS - 5) & t->mask));
    return e->load == (va & TLB_PAGE_MASK);
}

static void flush(vaddr start, uint64_t size, uint64_t space)
{
    vaddr last = start + size - 1;
    soft_tlb_flush_range(&tlb, &start, &last, space);
}

/* As generated code does it. */
static void keep_page(unsigned kind, unsigned n, vaddr page)
{
    env->last_page[kind][n] = (HostLastPage){ page, 0 };
    env->last_page_mark[page / TLB_PAGE_SIZE % HOST_PAGE_MARKS] = 1;
    env->last_page_used = true;
}

static void test_fill_and_find(void **state)
{
    hwaddr pa;
    assert_false(probe_hits(1, 0x1000));
    assert_false(knows(1, 0x1000));
    fill(1, 0x1234, 0x80005000, 12, false);
    assert_true(find(1, 0x1ff8, &pa));
    assert_int_equal(pa, 0x80005000);
    assert_true(probe_hits(1, 0x1ff8));
    assert_false(knows(0, 0x1000));
    assert_false(knows(1, 0x2000));
    TLBFull *full;
    assert_null(soft_tlb_find(&tlb, 1, 0x1000, MMU_FETCH, &full));
}

static void test_addresses_at_the_top(void **state)
{
    fill(0, ~0xfffull, 0x80000000, 12, false);
    assert_true(knows(0, ~0ull));
    assert_true(probe_hits(0, ~0ull));
    assert_false(probe_hits(0, 0));
    flush(~0xfffull, 0x1000, SOFT_TLB_ALL_SPACES);
    assert_false(knows(0, ~0ull));
    assert_false(probe_hits(0, ~0ull));
}

static void test_victims(void **state)
{
    /* The same slot in a table of any size. */
    for (unsigned i = 0; i < TLB_VICTIMS + 1; i++) {
        fill(0, (vaddr)i << 40, (hwaddr)i << 12, 12, false);
    }
    for (unsigned i = 0; i < TLB_VICTIMS + 1; i++) {
        hwaddr pa;
        assert_true(find(0, (vaddr)i << 40, &pa));
        assert_int_equal(pa, (hwaddr)i << 12);
        assert_true(probe_hits(0, (vaddr)i << 40));
    }
    flush(3ull << 40, 0x1000, SOFT_TLB_ALL_SPACES);
    for (unsigned i = 0; i < TLB_VICTIMS + 1; i++) {
        assert_int_equal(knows(0, (vaddr)i << 40), i != 3);
    }
}

/* A line with fewer rights than the page has now must not come back from a victim. */
static void test_upgrade(void **state)
{
    TLBFull *full;
    TLBLine l = { { 0x1000, TLB_NO_TAG, TLB_NO_TAG, 0 }, { 0x5000, 12, false } };
    soft_tlb_fill(&tlb, 0, 0x1000, &l);
    fill(0, 0x1000 + (1ull << 40), 0x6000, 12, false);  /* 0x1000 becomes a victim */
    fill(0, 0x1000, 0x7000, 12, false);
    fill(0, 0x1000 + (2ull << 40), 0x8000, 12, false);
    HostTLBEntry *e = soft_tlb_find(&tlb, 0, 0x1000, MMU_STORE, &full);
    assert_non_null(e);
    assert_int_equal(full->pa, 0x7000);
    e = soft_tlb_find(&tlb, 0, 0x1000, MMU_LOAD, &full);
    assert_int_equal(full->pa, 0x7000);
}

/* What an access may take for granted is forgotten with the lines that it comes from. */
static void check_last_pages(unsigned kind)
{
    for (unsigned n = 0; n < HOST_LAST_PAGES; n++) {
        assert_int_equal(env->last_page[kind][n].page, HOST_NO_PAGE);
    }
    fill(0, 0x40200000, 0x80200000, 21, false);
    keep_page(kind, 0, 0x5000);
    keep_page(kind, 1, 0x6000);
    keep_page(kind, 2, 0x40234000);
    keep_page(kind, HOST_LAST_PAGES - 1, 0x6000);
    flush(0x7000, 0x1000, SOFT_TLB_ALL_SPACES);
    flush(0x6fff + HOST_PAGE_MARKS * TLB_PAGE_SIZE, 1, SOFT_TLB_ALL_SPACES);    /* its mark is that of 0x6000 */
    assert_int_equal(env->last_page[kind][1].page, 0x6000);
    flush(0x6fff, 1, SOFT_TLB_ALL_SPACES);
    assert_int_equal(env->last_page[kind][0].page, 0x5000);
    assert_int_equal(env->last_page[kind][1].page, HOST_NO_PAGE);
    assert_int_equal(env->last_page[kind][HOST_LAST_PAGES - 1].page, HOST_NO_PAGE);
    /* A flush within a large page takes all of it. */
    flush(0x403ff000, 0x1000, SOFT_TLB_ALL_SPACES);
    assert_int_equal(env->last_page[kind][2].page, HOST_NO_PAGE);
    assert_int_equal(env->last_page[kind][0].page, 0x5000);
    soft_tlb_set_space(&tlb, 7);
    assert_int_equal(env->last_page[kind][0].page, HOST_NO_PAGE);
    keep_page(kind, 5, 0x8000);
    soft_tlb_flush_all(&tlb);
    assert_int_equal(env->last_page[kind][5].page, HOST_NO_PAGE);
    keep_page(kind, 5, 0);
    flush(0, 0x4000, 7);
    assert_int_equal(env->last_page[kind][5].page, HOST_NO_PAGE);
}

static void test_last_pages(void **state)
{
    check_last_pages(0);
    soft_tlb_set_space(&tlb, 0);
    check_last_pages(1);
}

static void test_growth(void **state)
{
    for (unsigned round = 0; round < 4; round++) {
        for (vaddr p = 0; p < 4096; p++) {
            fill(2, p << 12, p << 12, 12, false);
        }
    }
    unsigned known = 0;
    for (vaddr p = 0; p < 4096; p++) {
        known += probe_hits(2, p << 12);
    }
    assert_int_equal(known, 4096);      /* the table has become large enough for all */
    soft_tlb_flush_all(&tlb);
    for (vaddr p = 0; p < 4096; p++) {
        assert_false(knows(2, p << 12));
    }
}

static void test_large_pages(void **state)
{
    fill(0, 0x40201000, 0x80201000, 21, false);     /* 2 MiB at 0x40200000 */
    fill(0, 0x403ff000, 0x803ff000, 21, false);
    fill(0, 0x40400000, 0x80400000, 12, false);
    flush(0x40300000, 0x1000, SOFT_TLB_ALL_SPACES); /* another page of the large one */
    assert_false(knows(0, 0x40201000));
    assert_false(knows(0, 0x403ff000));
    assert_true(knows(0, 0x40400000));
}

static void test_many_large_pages(void **state)
{
    for (unsigned i = 0; i < 64; i++) {
        fill(0, (vaddr)i << 30, (hwaddr)i << 30, 21, false);
        fill(0, 0xffffffd800000000 + ((vaddr)i << 21), (hwaddr)i << 21, 21, false);
    }
    fill(0, 0x7777777000, 0x1000, 12, false);
    for (unsigned i = 0; i < 64; i++) {
        flush(((vaddr)i << 30) + 0x100000, 0x1000, SOFT_TLB_ALL_SPACES);
        assert_false(knows(0, (vaddr)i << 30));
    }
    flush(0xffffffd800000000 + 0x3000, 0x1000, SOFT_TLB_ALL_SPACES);
    assert_false(knows(0, 0xffffffd800000000));
    assert_true(knows(0, 0x7777777000));
}

static void test_spaces(void **state)
{
    soft_tlb_set_space(&tlb, 7);
    fill(0, 0x1000, 0xa000, 12, false);
    fill(0, 0x2000, 0xb000, 12, true);
    assert_true(soft_tlb_set_space(&tlb, 8));
    assert_false(probe_hits(0, 0x1000));
    assert_false(knows(0, 0x1000));
    fill(0, 0x1000, 0xc000, 12, false);
    assert_true(soft_tlb_set_space(&tlb, 7));
    assert_false(soft_tlb_set_space(&tlb, 7));
    hwaddr pa;
    assert_true(find(0, 0x1000, &pa));
    assert_int_equal(pa, 0xa000);
    soft_tlb_flush_space(&tlb, 8);
    assert_true(knows(0, 0x1000));
    soft_tlb_flush_space(&tlb, 7);
    assert_false(knows(0, 0x1000));
    assert_true(knows(0, 0x2000));              /* global */
    flush(0x2000, 0x1000, 7);
    assert_true(knows(0, 0x2000));
    flush(0x2000, 0x1000, SOFT_TLB_ALL_SPACES);
    assert_false(knows(0, 0x2000));
    soft_tlb_set_space(&tlb, 8);
    assert_false(knows(0, 0x1000));
}

/* More spaces than there is room for: a space that comes back has lost what it knew, not got another's. */
static void test_spaces_run_out(void **state)
{
    for (uint64_t s = 100; s < 100 + 3 * TLB_SPACES; s++) {
        soft_tlb_set_space(&tlb, s);
        assert_false(knows(0, 0x1000));
        fill(0, 0x1000, s << 12, 12, false);
    }
    for (uint64_t s = 100; s < 100 + 3 * TLB_SPACES; s++) {
        hwaddr pa;
        soft_tlb_set_space(&tlb, s);
        if (find(0, 0x1000, &pa)) {
            assert_int_equal(pa, s << 12);
        }
    }
    /* A flush of everything reaches those that are not current. */
    soft_tlb_set_space(&tlb, 100);
    fill(0, 0x1000, 0x64000, 12, false);
    soft_tlb_set_space(&tlb, 101);
    soft_tlb_flush_all(&tlb);
    soft_tlb_set_space(&tlb, 100);
    assert_false(knows(0, 0x1000));
}

static void test_common_mode(void **state)
{
    soft_tlb_set_space(&tlb, 7);
    fill(COMMON, 0x1000, 0x80001000, 12, true);
    fill(COMMON, 0x2000, 0x80002000, 12, false);
    flush(0, ~0ull, 8);
    assert_true(probe_hits(COMMON, 0x2000));
    soft_tlb_set_space(&tlb, 8);
    assert_true(probe_hits(COMMON, 0x1000));
    assert_false(knows(COMMON, 0x2000));
    soft_tlb_set_space(&tlb, 7);
    assert_false(knows(COMMON, 0x2000));
    fill(COMMON, 0x2000, 0x80002000, 12, false);
    flush(0, ~0ull, 7);
    assert_false(knows(COMMON, 0x2000));
    assert_true(knows(COMMON, 0x1000));
    assert_int_equal(soft_tlb_mark_code(&tlb, 0x80001000), 1);
    flush(0x1000, 0x1000, SOFT_TLB_ALL_SPACES);
    assert_false(knows(COMMON, 0x1000));
    fill(COMMON, 0x1000, 0x80001000, 12, true);
    soft_tlb_flush_all(&tlb);
    assert_false(knows(COMMON, 0x1000));
}

static void test_mark_code(void **state)
{
    fill(0, 0x1000, 0x80001000, 12, false);
    fill(1, 0x5000, 0x80001000, 12, false);
    fill(1, 0x6000, 0x80002000, 12, false);
    soft_tlb_set_space(&tlb, 3);
    fill(1, 0x9000, 0x80001000, 12, false);
    assert_int_equal(soft_tlb_mark_code(&tlb, 0x80001000), 3);
    assert_int_equal(soft_tlb_mark_code(&tlb, 0x80001000), 0);
    TLBFull *full;
    HostTLBEntry *e = soft_tlb_find(&tlb, 1, 0x9000, MMU_STORE, &full);
    assert_int_equal(e->store, 0x9000 | TLB_CODE);
    assert_int_equal(e->load, 0x9000);
    soft_tlb_set_space(&tlb, 0);
    e = soft_tlb_find(&tlb, 1, 0x6000, MMU_STORE, &full);
    assert_int_equal(e->store, 0x6000);
    /* Also where stores went last, whatever the TLB has forgotten; loads stay. */
    for (unsigned kind = 0; kind < 2; kind++) {
        keep_page(kind, 7, 0xa000);
        env->last_page[kind][7].addend = 0x80001000 - 0xa000;
        keep_page(kind, 8, 0xa000);
    }
    assert_int_equal(soft_tlb_mark_code(&tlb, 0x80001000), 1);
    assert_int_equal(env->last_page[0][7].page, 0xa000);
    assert_int_equal(env->last_page[1][7].page, HOST_NO_PAGE);
    assert_int_equal(env->last_page[1][8].page, 0xa000);
}

/* ---- against a model ---- */

enum { PAGES = 512, SPACES = 12, MODES = 4 };
static struct { hwaddr pa; uint8_t bits; bool valid, global; } model[SPACES][MODES][PAGES];
static uint64_t rng = 1;

static unsigned next_random(unsigned n)
{
    rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(rng >> 33) % n;
}

static vaddr page_va(unsigned p)
{
    /* half of them low, half at the top; neighbours differ in a slot, others collide */
    return (p & 1 ? 0xffffffc000000000 : 0x10000000) + ((vaddr)(p / 2 % 64) << 12) +
           ((vaddr)(p / 128) << 32);
}

/* Only what must be gone goes: more may have. */
static void model_flush(vaddr start, vaddr last, int space)
{
    for (int s = 0; s < SPACES; s++) {
        for (unsigned m = 0; m < MODES && (space < 0 || s == space); m++) {
            for (unsigned p = 0; p < PAGES; p++) {
                uint64_t in_page = (1ull << model[s][m][p].bits) - 1;
                vaddr first = page_va(p) & ~in_page;
                if (first <= last && (first | in_page) >= start &&
                    !(space >= 0 && model[s][m][p].global)) {
                    model[s][m][p].valid = false;
                }
            }
        }
    }
}

static void step(int *space)
{
    unsigned p = next_random(PAGES), m = next_random(MODES), what = next_random(100);
    if (what < 60) {
        unsigned bits = next_random(8) ? 12 : next_random(2) ? 16 : 21;
        hwaddr pa = (hwaddr)next_random(1 << 20) << 12;
        bool global = !next_random(4);
        fill(m, page_va(p), pa, bits, global);
        for (int s = 0; s < SPACES; s++) {
            if (s == *space || (m == COMMON && global)) {
                model[s][m][p].pa = pa;
                model[s][m][p].bits = (uint8_t)bits;
                model[s][m][p].global = global;
                model[s][m][p].valid = true;
            }
        }
    } else if (what < 80) {
        hwaddr pa;
        if (find(m, page_va(p), &pa)) {
            assert_true(model[*space][m][p].valid);
            assert_int_equal(pa, model[*space][m][p].pa);
            assert_true(probe_hits(m, page_va(p)));
        }
    } else if (what < 90) {
        *space = (int)next_random(SPACES);
        soft_tlb_set_space(&tlb, (uint64_t)*space);
    } else if (what < 98) {
        uint64_t size = next_random(4) ? 0x1000 : 0x1000ull << next_random(20);
        vaddr last = page_va(p) + size - 1 < page_va(p) ? ~0ull : page_va(p) + size - 1;
        int s = next_random(2) ? -1 : (int)next_random(SPACES);
        vaddr start = page_va(p), end = last;
        soft_tlb_flush_range(&tlb, &start, &end, s < 0 ? SOFT_TLB_ALL_SPACES : (uint64_t)s);
        assert_true(start <= page_va(p) && end >= last);
        model_flush(page_va(p), last, s);
    } else if (what < 99) {
        int s = (int)next_random(SPACES);
        soft_tlb_flush_space(&tlb, (uint64_t)s);
        model_flush(0, ~0ull, s);
    } else if (!next_random(10)) {
        soft_tlb_flush_all(&tlb);
        memset(model, 0, sizeof(model));
    }
}

static void test_model(void **state)
{
    int space = 0;
    memset(model, 0, sizeof(model));
    for (unsigned i = 0; i < 200000; i++) {
        step(&space);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fill_and_find, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses_at_the_top, setup, teardown),
        cmocka_unit_test_setup_teardown(test_victims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upgrade, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_large_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spaces_run_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_common_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mark_code, setup, teardown),
        cmocka_unit_test_setup_teardown(test_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
