/*
 * error.h: exit codes, one-line messages, dump hooks, and death by SIGABRT whatever
 * handler is installed.
 */
#include "unit.h"

#include <signal.h>

#include "util/error.h"

static void say_usage(void *arg)
{
    error_set_program_name("/usr/bin/braid-test");
    fatal_usage("unknown option '%s'", (char *)arg);
}

static void say_fatal(void *arg)
{
    error_set_program_name("prog");
    fatal("no memory");
}

static void say_warning(void *arg)
{
    error_set_program_name("dir/prog");
    warn("take care: %d", 7);
}

static void test_messages(void **state)
{
    ChildResult r = run_child(say_usage, "-x");
    assert_exit(r, 2);
    assert_string_equal(r.text, "braid-test: unknown option '-x'\n");
    r = run_child(say_fatal, NULL);
    assert_exit(r, 1);
    assert_string_equal(r.text, "prog: no memory\n");
    r = run_child(say_warning, NULL);
    assert_exit(r, 0);
    assert_string_equal(r.text, "prog: warning: take care: 7\n");
}

static void long_message(void *arg)
{
    warn("%s", (char *)arg);
}

static void test_long_message(void **state)
{
    char text[3001];
    memset(text, 'x', 3000);
    text[3000] = '\0';
    ChildResult r = run_child(long_message, text);
    assert_exit(r, 0);
    size_t n = strlen(r.text);
    assert_in_range(n, 1000, 2048);
    assert_int_equal(r.text[n - 1], '\n');
}

static void hook(FILE *out, void *opaque)
{
    fprintf(out, "dump of %s\n", (char *)opaque);
}

static void failing_hook(FILE *out, void *opaque)
{
    fprintf(out, "hook fails\n");
    braid_assert(!"in the hook");
}

static void swallow(int sig)
{
}

static void fail_with_hooks(void *arg)
{
    signal(SIGABRT, swallow);
    error_add_dump_hook(hook, "first");
    error_add_dump_hook(hook, "removed");
    error_add_dump_hook(hook, "third");
    error_remove_dump_hook(hook, "removed");
    braid_assert(1 + 1 == 3);
}

static void test_assert(void **state)
{
    ChildResult r = run_child(fail_with_hooks, NULL);
    assert_killed(r, SIGABRT);
    assert_contains(r.text, "bug in braid");
    assert_contains(r.text, "1 + 1 == 3");
    assert_contains(r.text, "util-error.c");
    assert_contains(r.text, "dump of first\ndump of third\n");
    assert_null(strstr(r.text, "removed"));
}

static void fail_in_hook(void *arg)
{
    error_add_dump_hook(failing_hook, NULL);
    error_add_dump_hook(hook, "never");
    unreachable();
}

static void test_failing_hook(void **state)
{
    ChildResult r = run_child(fail_in_hook, NULL);
    assert_killed(r, SIGABRT);
    assert_contains(r.text, "unreachable");
    assert_contains(r.text, "hook fails");
    assert_contains(r.text, "in the hook");
    assert_null(strstr(r.text, "never"));
}

static void pass(void *arg)
{
    int evaluated = 0;
    braid_assert(++evaluated == 1);
    braid_assert_msg(evaluated == 1, "evaluated %d times", evaluated);
}

static void test_no_failure(void **state)
{
    ChildResult r = run_child(pass, NULL);
    assert_exit(r, 0);
    assert_string_equal(r.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_assert),   cmocka_unit_test(test_failing_hook),
        cmocka_unit_test(test_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
