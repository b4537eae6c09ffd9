/*
 * arena.h: pieces are aligned, disjoint and keep their contents; chunks are kept by a
 * reset.
 */
#include "unit.h"

#include "util/arena.h"

#define N 2000

/* Fills @n pieces of many sizes, each with its own byte, and then checks them all. */
static void fill_and_check(Arena *a, unsigned n, size_t largest)
{
    static unsigned char *p[N];
    static size_t size[N];
    for (unsigned i = 0; i < n; i++) {
        size[i] = (i * 7919u) % largest;
        p[i] = arena_alloc(a, size[i]);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % ARENA_ALIGN, 0);
        memset(p[i], (int)(i & 255), size[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        for (size_t k = 0; k < size[i]; k++) {
            assert_int_equal(p[i][k], i & 255);
        }
    }
}

static void test_alloc(void **state)
{
    Arena a;
    arena_init(&a, 0);
    assert_int_equal(arena_used(&a), 0);
    fill_and_check(&a, N, 300);
    arena_destroy(&a);
    arena_init(&a, 64);
    fill_and_check(&a, 500, 1000);
    arena_destroy(&a);
}

static void test_reset_keeps_chunks(void **state)
{
    Arena a;
    arena_init(&a, 4096);
    fill_and_check(&a, 500, 10000);
    size_t capacity = arena_capacity(&a);
    assert_true(arena_used(&a) <= capacity);
    for (int round = 0; round < 50; round++) {
        arena_reset(&a);
        assert_int_equal(arena_used(&a), 0);
        fill_and_check(&a, 500, 10000);
        assert_int_equal(arena_capacity(&a), capacity);
    }
    arena_destroy(&a);
    assert_int_equal(arena_capacity(&a), 0);
}

static void test_mark(void **state)
{
    Arena a;
    arena_init(&a, 256);
    ArenaMark start = arena_mark(&a);
    char *keep = arena_alloc(&a, 21);
    strcpy(keep, "kept over the rewind");
    ArenaMark m = arena_mark(&a);
    size_t used = arena_used(&a);
    void *first = arena_alloc(&a, 40);
    fill_and_check(&a, 100, 500);
    arena_rewind(&a, m);
    assert_int_equal(arena_used(&a), used);
    assert_ptr_equal(arena_alloc(&a, 40), first);
    fill_and_check(&a, 100, 500);
    assert_string_equal(keep, "kept over the rewind");
    arena_rewind(&a, start);
    assert_int_equal(arena_used(&a), 0);
    arena_destroy(&a);
}

static void test_grow(void **state)
{
    Arena a;
    arena_init(&a, 1024);
    uint32_t *v = NULL;
    for (uint32_t n = 1; n <= 3000; n++) {
        v = arena_grow(&a, v, (n - 1) * sizeof(*v), n * sizeof(*v));
        v[n - 1] = n;
        if (n % 700 == 0) {
            memset(arena_alloc(&a, 33), 0xff, 33); /* it is no longer the last piece */
        }
    }
    for (uint32_t n = 1; n <= 3000; n++) {
        assert_int_equal(v[n - 1], n);
    }
    /* Growth by one within the chunk moves only when something came behind it. */
    assert_true(arena_used(&a) < 10 * 3000 * sizeof(*v));
    arena_destroy(&a);
}

static void test_zeroes(void **state)
{
    Arena a;
    arena_init(&a, 128);
    int *zeroes = arena_array(&a, int, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(zeroes[i], 0);
        zeroes[i] = -1;
    }
    arena_reset(&a);
    struct { long a, b; } *o = arena_zalloc(&a, sizeof(*o));
    assert_true(o->a == 0 && o->b == 0);
    arena_destroy(&a);
}

static void overflow(void *unused)
{
    static Arena a; /* static: the leak checker runs at exit */
    arena_init(&a, 0);
    arena_calloc(&a, SIZE_MAX / 2, 4);
}

static void too_large(void *unused)
{
    static Arena a;
    arena_init(&a, 0);
    arena_alloc(&a, SIZE_MAX - 3);
}

static void test_overflow(void **state)
{
    ChildResult r = run_child(overflow, NULL);
    assert_exit(r, 1);
    assert_contains(r.text, "out of memory");
    r = run_child(too_large, NULL);
    assert_exit(r, 1);
}

#ifdef ARENA_ASAN
static void overrun(void *unused)
{
    Arena a;
    arena_init(&a, 0);
    volatile char *p = arena_alloc(&a, 10);
    arena_alloc(&a, 10);
    p[16] = 1;
}

static void use_after_reset(void *unused)
{
    Arena a;
    arena_init(&a, 0);
    volatile char *p = arena_alloc(&a, 10);
    arena_reset(&a);
    p[0] = 1;
}

/* The sanitizer knows what has been handed out. */
static void test_poison(void **state)
{
    ChildResult r = run_child(overrun, NULL);
    assert_contains(r.text, "use-after-poison");
    r = run_child(use_after_reset, NULL);
    assert_contains(r.text, "use-after-poison");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),   cmocka_unit_test(test_reset_keeps_chunks),
        cmocka_unit_test(test_mark),    cmocka_unit_test(test_grow),
        cmocka_unit_test(test_zeroes), cmocka_unit_test(test_overflow),
#ifdef ARENA_ASAN
        cmocka_unit_test(test_poison),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
