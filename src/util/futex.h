/*
 * The futex system call as two functions: the bottom of every wait in braid. Words are
 * private to the process; none of them is shared with the guest.
 */
#ifndef UTIL_FUTEX_H
#define UTIL_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Sleeps while *word is @expected. @timeout is relative, NULL waits for ever. Returns 0
 * when woken, or -EAGAIN (the word differs), -EINTR, -ETIMEDOUT. Always re-check the
 * condition.
 */
static inline int futex_wait(const uint32_t *word, uint32_t expected,
                             const struct timespec *timeout)
{
    int saved = errno;
    long r = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0);
    int ret = r < 0 ? -errno : 0;
    errno = saved;
    return ret;
}

/* Wakes up to @n sleepers on the word. */
static inline void futex_wake(const uint32_t *word, int n)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
    errno = saved;
}

static inline void futex_wake_all(const uint32_t *word)
{
    futex_wake(word, INT_MAX);
}

#endif
