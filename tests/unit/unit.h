/*
 * What unit tests share: cmocka's headers in the order that it wants, and running a piece
 * of code in a child process whose exit status and stderr are then looked at.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct ChildResult {
    int status;      /* of waitpid() */
    char text[4096]; /* what it wrote to stderr */
} ChildResult;

/* Runs fn(arg) in a child; a return of fn is exit status 0. */
static inline ChildResult run_child(void (*fn)(void *), void *arg)
{
    ChildResult r = { 0 };
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        alarm(20);
        fn(arg);
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    ssize_t n;
    while ((n = read(fds[0], r.text + len, sizeof(r.text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(fds[0]);
    assert_int_equal(waitpid(pid, &r.status, 0), pid);
    return r;
}

static inline void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("'%s' is not in '%s'", part, text);
    }
}

#define assert_exit(r, code)                                                             \
    do {                                                                                 \
        assert_true(WIFEXITED((r).status));                                              \
        assert_int_equal(WEXITSTATUS((r).status), (code));                               \
    } while (0)
#define assert_killed(r, sig)                                                            \
    do {                                                                                 \
        assert_true(WIFSIGNALED((r).status));                                            \
        assert_int_equal(WTERMSIG((r).status), (sig));                                   \
    } while (0)

#endif
