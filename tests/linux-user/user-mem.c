/*
 * The table of guest mappings against a plain array of pages, the search for free addresses,
 * readers without a lock against a writer, and the guarded copies.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "linux-user/limits.h"
#include "linux-user/mmap.h"
#include "linux-user/user-mem.h"

#define BASE 0x100000000ull
#define PAGES 512u
#define PAGE_ADDR(i) (BASE + (uint64_t)(i) * USER_PAGE_SIZE)

static uint64_t seed = 7;

static unsigned rnd(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((seed >> 33) % n);
}

/* Sorted, disjoint, and no two neighbours that could be one. */
static void check_shape(void)
{
    for (uint32_t i = 0; i < user_mem.nvma; i++) {
        const Vma *v = &user_mem.vma[i];
        assert_true(v->start < v->end && v->flags);
        if (i) {
            assert_true(v[-1].end <= v->start);
            assert_false(v[-1].end == v->start && v[-1].flags == v->flags);
        }
    }
}

static void test_against_pages(void **state)
{
    static uint8_t model[PAGES];
    for (int round = 0; round < 20000; round++) {
        unsigned i = rnd(PAGES), n = 1 + rnd(rnd(8) ? 8 : PAGES - i);
        n = n > PAGES - i ? PAGES - i : n;
        uint64_t flags = rnd(3) ? PAGE_VALID | rnd(8) : 0;
        bool change = !rnd(4);
        mmap_lock();
        if (change) {
            assert_true(vma_change_locked(PAGE_ADDR(i), PAGE_ADDR(i + n), ~(uint64_t)PAGE_EXEC, 0));
        } else {
            assert_true(vma_set_locked(PAGE_ADDR(i), PAGE_ADDR(i + n), flags));
        }
        for (unsigned k = i; k < i + n; k++) {
            model[k] = change ? model[k] & (uint8_t)~PAGE_EXEC : (uint8_t)flags;
        }
        if (round % 16 == 0) {
            check_shape();
        }
        unsigned q = rnd(PAGES), m = 1 + rnd(PAGES - q);
        bool all = true, any = false;
        for (unsigned k = q; k < q + m; k++) {
            all &= model[k] != 0;
            any |= (model[k] & PAGE_EXEC) != 0;
        }
        assert_int_equal(vma_all_mapped_locked(PAGE_ADDR(q), PAGE_ADDR(q + m)), all);
        assert_int_equal(vma_any_locked(PAGE_ADDR(q), PAGE_ADDR(q + m), PAGE_EXEC), any);
        mmap_unlock();
        for (int k = 0; k < 8; k++) {
            unsigned p = rnd(PAGES);
            assert_int_equal(user_page_flags(PAGE_ADDR(p) + rnd(4096)), model[p]);
        }
    }
    mmap_lock();
    vma_set_locked(BASE, PAGE_ADDR(PAGES), 0);
    mmap_unlock();
}

/* The highest gap that is large enough, as an exhaustive search finds it. */
static void test_gaps(void **state)
{
    static bool used[PAGES];
    for (int round = 0; round < 2000; round++) {
        unsigned i = rnd(PAGES), n = 1 + rnd(6);
        n = n > PAGES - i ? PAGES - i : n;
        bool set = rnd(2);
        mmap_lock();
        vma_set_locked(PAGE_ADDR(i), PAGE_ADDR(i + n), set ? PAGE_VALID : 0);
        memset(used + i, set, n);
        unsigned want = 1 + rnd(24);
        uint64_t expect = 0;
        for (unsigned at = PAGES - want + 1; at-- > 0 && !expect;) {
            unsigned k = 0;
            while (k < want && !used[at + k]) {
                k++;
            }
            expect = k == want ? PAGE_ADDR(at) : 0;
        }
        assert_int_equal(vma_find_gap_locked(want * USER_PAGE_SIZE, USER_PAGE_SIZE, BASE,
                                             PAGE_ADDR(PAGES)), expect);
        mmap_unlock();
    }
    mmap_lock();
    vma_set_locked(BASE, PAGE_ADDR(PAGES), 0);
    mmap_unlock();
}

/* What is handed out is free, and what is given back is found again. */
static void test_allocator(void **state)
{
    enum { N = 400 };
    static struct { uint64_t addr, size; } block[N];
    uint64_t lowest = user_mem.mmap_top;
    for (int round = 0; round < 40 * N; round++) {
        unsigned i = rnd(N);
        mmap_lock();
        if (block[i].addr) {
            vma_set_locked(block[i].addr, block[i].addr + block[i].size, 0);
            block[i].addr = 0;
        } else {
            uint64_t size = (1 + rnd(64)) * USER_PAGE_SIZE;
            uint64_t at = user_mem_find_free_locked(size, USER_PAGE_SIZE, false);
            assert_true(at && !(at & ~USER_PAGE_MASK));
            assert_false(vma_any_locked(at, at + size, ~0ull));
            assert_true(at + size <= user_mem.mmap_top);
            vma_set_locked(at, at + size, PAGE_VALID | rnd(8));
            block[i].addr = at;
            block[i].size = size;
            lowest = at < lowest ? at : lowest;
        }
        mmap_unlock();
    }
    /* At most 400 blocks of at most 64 pages live at once: holes must have been reused. */
    assert_true(user_mem.mmap_top - lowest < 4ull * N * 64 * USER_PAGE_SIZE);
    mmap_lock();
    for (unsigned i = 0; i < N; i++) {
        if (block[i].addr) {
            vma_set_locked(block[i].addr, block[i].addr + block[i].size, 0);
        }
    }
    mmap_unlock();
}

static int stop;

static void *reader(void *arg)
{
    uint64_t wrong = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        /* Page 0 is always executable, page 1 never mapped, the rest comes and goes. */
        wrong += user_page_flags(PAGE_ADDR(0)) != (PAGE_VALID | PAGE_EXEC);
        wrong += user_page_flags(PAGE_ADDR(1)) != 0;
        unsigned f = user_page_flags(PAGE_ADDR(40));
        wrong += f && f != (PAGE_VALID | PAGE_READ);
    }
    return (void *)(uintptr_t)wrong;
}

static void test_readers(void **state)
{
    pthread_t thread[3];
    mmap_lock();
    vma_set_locked(PAGE_ADDR(0), PAGE_ADDR(1), PAGE_VALID | PAGE_EXEC);
    mmap_unlock();
    for (int i = 0; i < 3; i++) {
        pthread_create(&thread[i], NULL, reader, NULL);
    }
    for (int round = 0; round < 100000; round++) {
        unsigned i = 2 + rnd(PAGES - 3);
        uint64_t below = BASE - USER_PAGE_SIZE * (2 + rnd(100));
        mmap_lock();
        vma_set_locked(PAGE_ADDR(i), PAGE_ADDR(i + 1), rnd(2) ? PAGE_VALID | PAGE_READ : 0);
        vma_set_locked(below, below + USER_PAGE_SIZE, rnd(2) ? PAGE_VALID | PAGE_WRITE : 0);
        mmap_unlock();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    mmap_lock();
    vma_set_locked(BASE - 200 * USER_PAGE_SIZE, PAGE_ADDR(PAGES), 0);
    mmap_unlock();
}

/* braid's own mappings are no place for the guest. */
static void test_host_memory(void **state)
{
    static char own[8192];
    uint64_t page = h2g(own) & USER_PAGE_MASK;
    assert_true(user_mmap(page, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) < 0);
    assert_true(user_munmap(page, 4096) < 0);
    assert_true(user_mprotect(page, 4096, PROT_NONE) < 0);
    own[0] = 1;
    /* 4 TiB that nobody touches. */
    int64_t at = user_mmap(0, 1ull << 42, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(at > 0);
    assert_int_equal(user_munmap((uint64_t)at, 1ull << 42), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_pages), cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_allocator),     cmocka_unit_test(test_readers),
        cmocka_unit_test(test_host_memory),
    };
    user_mem_init(0, 0);
    limits_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
