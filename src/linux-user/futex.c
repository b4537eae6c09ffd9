/*
 * Futexes and clocks.  Guest memory is host memory, so the host's futexes are the guest's; only the
 * addresses move by guest_base.
 */
#include <linux/futex.h>
#include <sys/time.h>
#include <time.h>

#include "linux-user/syscall.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* Does the fourth argument point to a timeout?  (Otherwise it is a number.) */
static bool futex_has_timeout(int cmd)
{
    return cmd == FUTEX_WAIT || cmd == FUTEX_LOCK_PI || cmd == FUTEX_WAIT_BITSET ||
           cmd == FUTEX_WAIT_REQUEUE_PI || cmd == FUTEX_LOCK_PI2;
}

static bool futex_has_second_word(int cmd)
{
    return cmd == FUTEX_REQUEUE || cmd == FUTEX_CMP_REQUEUE || cmd == FUTEX_WAKE_OP ||
           cmd == FUTEX_WAIT_REQUEUE_PI || cmd == FUTEX_CMP_REQUEUE_PI;
}

int64_t sys_futex(GuestThread *t, const uint64_t a[6])
{
    uint64_t word = a[0], timeout = a[3], second = a[4];
    int cmd = (int)a[1] & FUTEX_CMD_MASK;
    if (!host_pointer(&word) || (futex_has_timeout(cmd) && !host_pointer(&timeout)) ||
        (futex_has_second_word(cmd) && !host_pointer(&second))) {
        return -EFAULT;
    }
    return safe_syscall6(t, SYS_futex, word, a[1], a[2], timeout, second, a[5]);
}

typedef struct FutexWaiter {
    uint64_t val, uaddr;
    uint32_t flags, reserved;
} FutexWaiter;

int64_t sys_futex_waitv(GuestThread *t, const uint64_t a[6])
{
    FutexWaiter w[128];
    uint64_t timeout = a[3];
    if (!a[1] || a[1] > 128) {
        return -EINVAL;
    }
    if (!user_read(w, a[0], a[1] * sizeof(w[0])) || !host_pointer(&timeout)) {
        return -EFAULT;
    }
    for (uint64_t i = 0; i < a[1]; i++) {
        if (!host_pointer(&w[i].uaddr)) {
            return -EFAULT;
        }
    }
    return safe_syscall6(t, SYS_futex_waitv, (uintptr_t)w, a[1], a[2], timeout, a[4], 0);
}

int64_t sys_futex_requeue(GuestThread *t, const uint64_t a[6])
{
    FutexWaiter w[2];
    if (!user_read(w, a[0], sizeof(w)) || !host_pointer(&w[0].uaddr) || !host_pointer(&w[1].uaddr)) {
        return -EFAULT;
    }
    return host_syscall(SYS_futex_requeue, w, (unsigned)a[1], (int)a[2], (int)a[3]);
}

/* Through the host's vDSO: a guest that asks for the time often would enter the kernel each time. */
int64_t sys_clock_gettime(GuestThread *t, const uint64_t a[6])
{
    struct timespec ts;
    if (clock_gettime((clockid_t)(int)a[0], &ts)) {
        return -errno;
    }
    return user_write(a[1], &ts, sizeof(ts)) ? 0 : -EFAULT;
}

int64_t sys_gettimeofday(GuestThread *t, const uint64_t a[6])
{
    struct timeval tv;
    struct { int west, dst; } tz = { 0, 0 };
    if (a[0]) {
        if (gettimeofday(&tv, NULL)) {
            return -errno;
        }
        if (!user_write(a[0], &tv, sizeof(tv))) {
            return -EFAULT;
        }
    }
    return !a[1] || user_write(a[1], &tz, sizeof(tz)) ? 0 : -EFAULT;
}
