/*
 * stats.h: sums over threads that live and that ended, reuse of blocks, fork, signal
 * handlers.
 */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "util/fork.h"
#include "util/stats.h"

static void *count_some(void *arg)
{
    stat_add(STAT_LINKS, (uintptr_t)arg);
    stat_inc(STAT_UNLINKS);
    return stats_thread_block();
}

static void test_sums(void **state)
{
    stats_reset();
    stat_add(STAT_LINKS, 1000);
    assert_true(stat_read(STAT_LINKS) == 1000);
    void *first_block = NULL;
    for (uintptr_t i = 1; i <= 100; i++) {
        pthread_t t;
        void *block;
        assert_int_equal(pthread_create(&t, NULL, count_some, (void *)i), 0);
        pthread_join(t, &block);
        assert_true(block != stats_thread_block());
        if (!first_block) {
            first_block = block;
        }
        assert_ptr_equal(block, first_block); /* one after the other need one block */
    }
    assert_true(stat_read(STAT_LINKS) == 1000 + 5050);
    assert_true(stat_read(STAT_UNLINKS) == 100);
    assert_true(stat_read(STAT_FLUSHES) == 0);
}

static void test_live_threads(void **state)
{
    stats_reset();
    pthread_t t[50];
    for (uintptr_t i = 0; i < 50; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, count_some, (void *)1), 0);
    }
    for (int i = 0; i < 50; i++) {
        pthread_join(t[i], NULL);
    }
    assert_true(stat_read(STAT_LINKS) == 50);
}

static void test_print(void **state)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    stats_reset();
    stat_add(STAT_TRANSLATIONS, 12345);
    stats_print(f);
    fclose(f);
    assert_contains(text, "translations ");
    assert_contains(text, "12345  blocks translated\n");
#define STAT(id, name, ...) assert_contains(text, name);
#include "util/stats.def"
#undef STAT
    free(text);
}

static void count_in_child(void *arg)
{
    stat_add(STAT_EXITS, 5);
    assert_true(stat_read(STAT_EXITS) == 5);
}

static void fork_child(void *arg)
{
    util_fork_child();
    count_in_child(NULL);
    pthread_t t;
    void *block;
    /* The block of the parent's other threads is free for use here. */
    if (pthread_create(&t, NULL, count_some, (void *)2) || pthread_join(t, &block) ||
        stat_read(STAT_LINKS) != 2) {
        _exit(3);
    }
}

static void test_fork(void **state)
{
    stats_reset();
    stat_add(STAT_EXITS, 7);
    util_fork_prepare();
    ChildResult r = run_child(fork_child, NULL);
    util_fork_parent();
    assert_string_equal(r.text, "");
    assert_exit(r, 0);
    assert_true(stat_read(STAT_EXITS) == 7);
}

static void handler(int sig)
{
    stat_inc(STAT_SYSCALLS);
}

static void *raise_first(void *arg)
{
    raise(SIGUSR1); /* the thread's first count is in a handler */
    stat_inc(STAT_SYSCALLS);
    return NULL;
}

static void test_signal(void **state)
{
    stats_reset();
    signal(SIGUSR1, handler);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, raise_first, NULL), 0);
    pthread_join(t, NULL);
    assert_true(stat_read(STAT_SYSCALLS) == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),  cmocka_unit_test(test_live_threads),
        cmocka_unit_test(test_print), cmocka_unit_test(test_fork),
        cmocka_unit_test(test_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
