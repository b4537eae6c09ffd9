/*
 * log.h: items, filters, files, sections and fork. The log is one per process, so that
 * tests which change where it goes run in children.
 */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "util/fork.h"
#include "util/log.h"

static void test_items(void **state)
{
    char *err = NULL;
    assert_false(log_enabled(LOG_ALL));
    assert_true(log_set_items("in_asm,op_opt,", &err));
    assert_int_equal(log_get_mask(), LOG_IN_ASM | LOG_OP_OPT);
    assert_true(log_enabled(LOG_IN_ASM) && log_enabled(LOG_OP | LOG_OP_OPT));
    assert_false(log_enabled(LOG_OP));
    assert_false(log_set_items("in_asm,guest_error", &err));
    assert_string_equal(err,
                        "unknown log item 'guest_error'; did you mean 'guest_errors'?");
    free(err);
    assert_int_equal(log_get_mask(), LOG_IN_ASM | LOG_OP_OPT);
    assert_false(log_set_items("zzzzzzzzz", &err));
    assert_contains(err, "'-d help' lists them");
    free(err);
    assert_true(log_set_items("all", &err));
    assert_true(log_enabled(LOG_STRACE));
    assert_false(log_enabled(LOG_NOCHAIN));
    assert_true(log_set_items("", &err));
    assert_false(log_enabled(LOG_ALL));
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    log_print_items(f);
    fclose(f);
    assert_contains(text, "guest_errors");
    assert_contains(text, "in_asm");
    free(text);
}

static void test_filter(void **state)
{
    char *err = NULL;
    assert_true(log_filter_match(0) && log_filter_match(UINT64_MAX));
    assert_true(log_set_filter(
        "0x1000+0x10,0x3000-16,5..7,0xffffffffffffffff..0xffffffffffffffff", &err));
    const struct { uint64_t addr; bool in; } cases[] = {
        { 0xfff, false }, { 0x1000, true }, { 0x100f, true }, { 0x1010, false },
        { 0x2ff0, false }, { 0x2ff1, true }, { 0x3000, true }, { 0x3001, false },
        { 4, false }, { 5, true }, { 7, true }, { 8, false },
        { UINT64_MAX, true }, { UINT64_MAX - 1, false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(log_filter_match(cases[i].addr), cases[i].in);
    }
    const char *bad[] = {"1",   "1..",   "..2",  "7..5", "1+0",   "1-0",
                         "x+1", "1+2,",  ",1+2", "1.2",  "1+2+3", "0xffffffffffffffff+2",
                         "1-3", "1 + 2", "-1+2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err = NULL;
        assert_false(log_set_filter(bad[i], &err));
        assert_contains(err, "is no address range");
        free(err);
    }
    assert_true(log_filter_match(5)); /* a bad list changes nothing */
    assert_false(log_filter_match(8));
    assert_true(log_set_filter("0xffffffffffffffff+1", &err));
    assert_true(log_filter_match(UINT64_MAX) && !log_filter_match(0));
    assert_true(log_set_filter(NULL, &err));
    assert_true(log_filter_match(8));
}

static char dir[] = "/tmp/braid-log-XXXXXX";

static char *read_file(const char *name, char *buf, size_t size)
{
    FILE *f = fopen(name, "r");
    if (!f) {
        fail_msg("%s is missing", name);
    }
    buf[fread(buf, 1, size - 1, f)] = '\0';
    fclose(f);
    return buf;
}

static void write_stderr(void *arg)
{
    log_printf("one %d\n", 1);
    FILE *f = log_lock();
    fprintf(f, "two ");
    log_printf("three ");
    fprintf(log_lock(), "four\n");
    log_unlock();
    log_unlock();
    log_item(LOG_UNIMP, "not shown\n");
    log_set_mask(LOG_UNIMP);
    log_item(LOG_UNIMP, "shown\n");
    /* A guest that replaces descriptor 2 does not take the log along. */
    close(STDERR_FILENO);
    log_printf("five\n");
    if (log_get_fd() < 3 || !(fcntl(log_get_fd(), F_GETFD) & FD_CLOEXEC)) {
        _exit(3);
    }
}

static void test_stderr(void **state)
{
    ChildResult r = run_child(write_stderr, NULL);
    assert_exit(r, 0);
    assert_string_equal(r.text, "one 1\ntwo three four\nshown\nfive\n");
}

static void write_files(void *arg)
{
    char *err = NULL;
    char name[100];
    if (log_set_file("/nonexistent/dir/log", false, &err) || !err) {
        _exit(3);
    }
    log_printf("%s\n",
               strstr(err, "cannot write the log file '/nonexistent/dir/log': No such")
                   ? "good"
                   : err);
    snprintf(name, sizeof(name), "%s/a", dir);
    if (!log_set_file(name, false, &err)) {
        _exit(4);
    }
    log_printf("first\n");
    if (!log_set_file(name, true, &err)) {
        _exit(5);
    }
    log_printf("second\n");
    if (!log_set_file(NULL, false, &err)) {
        _exit(6);
    }
    log_printf("stderr again\n");
}

static void test_files(void **state)
{
    char name[100], buf[200];
    snprintf(name, sizeof(name), "%s/a", dir);
    ChildResult r = run_child(write_files, NULL);
    assert_string_equal(r.text, "good\nstderr again\n");
    assert_exit(r, 0);
    assert_string_equal(read_file(name, buf, sizeof(buf)), "first\nsecond\n");
    unlink(name);
}

static void fork_and_log(const char *pattern)
{
    char *err = NULL;
    char name[100];
    snprintf(name, sizeof(name), "%s/%s", dir, pattern);
    if (!log_set_file(name, false, &err)) {
        _exit(3);
    }
    log_printf("before\n");
    util_fork_prepare();
    pid_t pid = fork();
    if (pid == 0) {
        util_fork_child();
        log_printf("child\n");
        _exit(0);
    }
    util_fork_parent();
    int status;
    waitpid(pid, &status, 0);
    log_printf("parent\n");
    fprintf(stderr, "%d %d", (int)getpid(), (int)pid);
    _exit(status);
}

static void fork_same(void *arg)
{
    fork_and_log("same");
}

static void fork_own(void *arg)
{
    fork_and_log("own.%d.log");
}

static void test_fork(void **state)
{
    char name[100], buf[200];
    ChildResult r = run_child(fork_same, NULL);
    assert_exit(r, 0);
    snprintf(name, sizeof(name), "%s/same", dir);
    assert_string_equal(read_file(name, buf, sizeof(buf)), "before\nchild\nparent\n");
    unlink(name);

    r = run_child(fork_own, NULL);
    assert_exit(r, 0);
    int parent, child;
    assert_int_equal(sscanf(r.text, "%d %d", &parent, &child), 2);
    snprintf(name, sizeof(name), "%s/own.%d.log", dir, parent);
    assert_string_equal(read_file(name, buf, sizeof(buf)), "before\nparent\n");
    unlink(name);
    snprintf(name, sizeof(name), "%s/own.%d.log", dir, child);
    assert_string_equal(read_file(name, buf, sizeof(buf)), "child\n");
    unlink(name);
}

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),  cmocka_unit_test(test_filter),
        cmocka_unit_test(test_stderr), cmocka_unit_test(test_files),
        cmocka_unit_test(test_fork),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
