/*
 * radix.h in one thread: every split of key bits into levels, sparse keys, ranges, and
 * that a small use costs little memory.
 */
#include "unit.h"

#include <sys/mman.h>

#include "util/bitops.h"
#include "util/radix.h"

typedef struct Elem {
    uint64_t key_plus_one;
    uint64_t pad[4];
} Elem;

static const uint64_t sparse[] = { 0, 1, 2, 511, 512, 513, 4095, 4096, 0xffff, 0x10000,
                                   UINT64_C(0x7fffffff), UINT64_C(0x3ffffffff),
                                   UINT64_C(0x7ffffffff), UINT64_C(0x8000000000000),
                                   UINT64_C(0xfffffffffffff) };
#define N_SPARSE (sizeof(sparse) / sizeof(sparse[0]))

static void test_all_shapes(void **state)
{
    for (unsigned bits = 1; bits <= 52; bits++) {
        for (unsigned levels = 1; levels <= RADIX_MAX_LEVELS; levels++) {
            if (levels > bits || bits / levels > 13) {
                continue;
            }
            RadixTree t;
            radix_init(&t, bits, levels, sizeof(Elem), NULL);
            unsigned sum = 0;
            for (unsigned l = 0; l < levels; l++) {
                sum += t.bits[l];
                assert_true(t.bits[l] >= 1);
            }
            assert_int_equal(sum, bits);
            for (unsigned i = 0; i < N_SPARSE; i++) {
                uint64_t key = sparse[i];
                assert_null(radix_get(&t, key) &&
                                    ((Elem *)radix_get(&t, key))->key_plus_one
                                ? ""
                                : NULL);
                Elem *e = radix_get_alloc(&t, key);
                if (key > mask64(bits)) {
                    assert_null(e);
                    continue;
                }
                assert_non_null(e);
                assert_true(e->key_plus_one == 0);
                e->key_plus_one = key + 1;
            }
            for (unsigned i = 0; i < N_SPARSE; i++) {
                Elem *e = radix_get(&t, sparse[i]);
                if (sparse[i] > mask64(bits)) {
                    assert_null(e);
                } else {
                    assert_true(e->key_plus_one == sparse[i] + 1);
                    assert_ptr_equal(radix_get_alloc(&t, sparse[i]), e);
                }
            }
            radix_destroy(&t);
        }
    }
}

typedef struct Walk {
    uint64_t previous;
    uint64_t count, written, stop_after;
    bool started;
} Walk;

static bool step(uint64_t key, void *elem, void *opaque)
{
    Walk *w = opaque;
    Elem *e = elem;
    assert_true(!w->started || key > w->previous);
    assert_true(e->key_plus_one == 0 || e->key_plus_one == key + 1);
    w->written += e->key_plus_one != 0;
    w->started = true;
    w->previous = key;
    return ++w->count != w->stop_after;
}

/* The number of written keys within [first, last]. */
static uint64_t expected(uint64_t first, uint64_t last)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < N_SPARSE; i++) {
        n += sparse[i] >= first && sparse[i] <= last;
    }
    return n;
}

static void test_ranges(void **state)
{
    RadixTree t;
    radix_init(&t, 52, 6, sizeof(Elem), NULL);
    Walk none = { 0 };
    assert_true(radix_foreach_range(&t, 0, UINT64_MAX, step, &none));
    assert_int_equal(none.count, 0);
    for (unsigned i = 0; i < N_SPARSE; i++) {
        ((Elem *)radix_get_alloc(&t, sparse[i]))->key_plus_one = sparse[i] + 1;
    }
    for (unsigned i = 0; i < N_SPARSE; i++) {
        for (unsigned j = 0; j < N_SPARSE; j++) {
            for (int d = -1; d <= 1; d++) {
                uint64_t first = sparse[i] + (uint64_t)(i ? d : 0), last = sparse[j];
                Walk w = { 0 };
                assert_true(radix_foreach_range(&t, first, last, step, &w));
                assert_int_equal(w.written, expected(first, last));
                assert_true(!w.started || w.previous <= last);
            }
        }
    }
    Walk all = { 0 };
    assert_true(radix_foreach_range(&t, 0, UINT64_MAX, step, &all));
    assert_int_equal(all.written, N_SPARSE);
    Walk some = { .stop_after = 5 };
    assert_false(radix_foreach_range(&t, 0, UINT64_MAX, step, &some));
    assert_int_equal(some.count, 5);
    radix_destroy(&t);
}

static void init_elem(void *elem, uint64_t key)
{
    ((Elem *)elem)->key_plus_one = key + 1;
}

static void test_elem_init(void **state)
{
    RadixTree t;
    radix_init(&t, 36, 4, sizeof(Elem), init_elem);
    for (uint64_t k = 0; k < 100000; k += 77) {
        uint64_t key = k * 640 % (UINT64_C(1) << 36);
        assert_true(((Elem *)radix_get_alloc(&t, key))->key_plus_one == key + 1);
    }
    for (uint64_t k = 0; k < 600; k++) {
        Elem *e = radix_get(&t, k);
        assert_true(!e || e->key_plus_one == k + 1);
    }
    radix_destroy(&t);
}

/* Resident pages of this process. */
static long resident(void)
{
    long size, rss;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &size, &rss), 2);
    fclose(f);
    return rss;
}

/* Five clusters such as a program has: text, heap, libraries, stack, vdso. */
static void test_small_footprint(void **state)
{
    static const uint64_t bases[] = { 0x10, 0x200, 0x3ff7fd0, 0x3ffff80, 0x4000000 };
    RadixTree t;
    radix_init(&t, 36, 4, 64, NULL);
    long before = resident();
    for (unsigned b = 0; b < 5; b++) {
        for (uint64_t k = 0; k < 20; k++) {
            *(char *)radix_get_alloc(&t, bases[b] + k) = 1;
        }
    }
    assert_in_range(resident() - before, 1, 64); /* pages: a quarter of a MiB */
    radix_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_shapes), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_elem_init),  cmocka_unit_test(test_small_footprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
