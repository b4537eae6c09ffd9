/*
 * System calls about descriptors: duplicating and closing them (no call of the guest gets to see
 * braid's own: syscall.c), listing them, vectors of buffers, epoll, waiting for many.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "linux-user/iovec.h"
#include "linux-user/process.h"
#include "linux-user/procfs.h"
#include "linux-user/structs.h"
#include "linux-user/user-signal.h"
#include "linux-user/syscall.h"
#include "util/error.h"
#include "util/log.h"
#include "util/own-fd.h"

/*
 * The guest may put a descriptor where braid has one: that one moves.  A number above the limit is
 * refused anyway.
 */
static bool vacate(int fd)
{
    struct rlimit rl;
    if (__atomic_load_n(&user_process.sharers, __ATOMIC_RELAXED)) {
        return false;       /* processes with other descriptors read the same variables */
    }
    if (getrlimit(RLIMIT_NOFILE, &rl) || (rlim_t)fd >= rl.rlim_cur) {
        return false;
    }
    if (fd == user_process.self_fd) {
        return own_fd_vacate(&user_process.self_fd);
    }
    if (fd == user_process.sysroot_fd) {
        return own_fd_vacate(&user_process.sysroot_fd);
    }
    return log_move_fd(fd);
}

int64_t sys_dup3(GuestThread *t, const uint64_t a[6])
{
    int from = (int)a[0], to = (int)a[1];
    if (own_fd_is(from) || (own_fd_is(to) && (fcntl(from, F_GETFD) < 0 || !vacate(to)))) {
        return -EBADF;
    }
    return host_syscall(SYS_dup3, from, to, (int)a[2]);
}

int64_t sys_getdents64(GuestThread *t, const uint64_t a[6])
{
    uint64_t buf = a[1];
    int64_t ret;
    if (!host_pointer(&buf)) {
        return -EFAULT;
    }
    do {
        ret = safe_syscall6(t, SYS_getdents64, (uint64_t)(int)a[0], buf, a[2], 0, 0, 0);
        if (ret <= 0) {
            return ret;
        }
        ret = procfs_filter_entries((int)a[0], a[1], ret);
    } while (!ret);     /* nothing but what is hidden */
    return ret;
}

/* The gaps between braid's own descriptors, one call each. */
int64_t sys_close_range(GuestThread *t, const uint64_t a[6])
{
    unsigned first = (unsigned)a[0], last = (unsigned)a[1], flags = (unsigned)a[2];
    if (first > last) {
        return -EINVAL;
    }
    if (flags & CLOSE_RANGE_UNSHARE) {
        int64_t ret = host_syscall(SYS_unshare, 0x400 /* CLONE_FILES */);
        if (ret) {
            return ret;
        }
        flags &= ~(unsigned)CLOSE_RANGE_UNSHARE;
    }
    while (first <= last) {
        unsigned next = own_fd_next(first);
        unsigned end = next > last ? last : next - 1;
        if (next != first) {
            int64_t ret = host_syscall(SYS_close_range, first, end, flags);
            if (ret) {
                return ret;
            }
        }
        if (next >= last) {
            break;
        }
        first = next + 1;
    }
    return 0;
}

static bool fcntl_takes_pointer(int cmd)
{
    switch (cmd) {
    case F_GETLK: case F_SETLK: case F_SETLKW:
    case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW:
    case F_GETOWN_EX: case F_SETOWN_EX: case 17 /* F_GETOWNER_UIDS */:
    case F_GET_RW_HINT: case F_SET_RW_HINT: case F_GET_FILE_RW_HINT: case F_SET_FILE_RW_HINT:
        return true;
    default:
        return false;
    }
}

int64_t sys_fcntl(GuestThread *t, const uint64_t a[6])
{
    uint64_t arg = a[2];
    if (fcntl_takes_pointer((int)a[1]) && !host_pointer(&arg)) {
        return -EFAULT;
    }
    return safe_syscall6(t, SYS_fcntl, (uint64_t)(int)a[0], (uint64_t)(int)a[1], arg, 0, 0, 0);
}

/* ---- vectors ---- */

int64_t iovec_read(struct iovec *out, uint64_t addr, uint64_t n)
{
    if (n > IOV_MAX) {
        return -EINVAL;
    }
    if (!user_read(out, addr, n * sizeof(*out))) {
        return -EFAULT;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t base = (uintptr_t)out[i].iov_base;
        if (out[i].iov_len && !user_range_ok(base, out[i].iov_len)) {
            return (int64_t)out[i].iov_len < 0 ? -EINVAL : -EFAULT;
        }
        out[i].iov_base = base ? g2h(base) : NULL;
    }
    return 0;
}

static int64_t vector_call(GuestThread *t, long nr, const uint64_t a[6])
{
    struct iovec iov[IOV_MAX];
    int64_t ret = iovec_read(iov, a[1], a[2]);
    return ret ? ret : safe_syscall6(t, nr, (uint64_t)(int)a[0], (uintptr_t)iov, a[2], a[3], a[4],
                                     a[5]);
}

int64_t sys_readv(GuestThread *t, const uint64_t a[6])
{
    return vector_call(t, SYS_readv, a);
}

int64_t sys_writev(GuestThread *t, const uint64_t a[6])
{
    return vector_call(t, SYS_writev, a);
}

int64_t sys_preadv(GuestThread *t, const uint64_t a[6])
{
    return vector_call(t, SYS_preadv, a);
}

int64_t sys_pwritev(GuestThread *t, const uint64_t a[6])
{
    return vector_call(t, SYS_pwritev, a);
}

int64_t sys_preadv2(GuestThread *t, const uint64_t a[6])
{
    return vector_call(t, SYS_preadv2, a);
}

int64_t sys_pwritev2(GuestThread *t, const uint64_t a[6])
{
    return vector_call(t, SYS_pwritev2, a);
}

int64_t sys_vmsplice(GuestThread *t, const uint64_t a[6])
{
    return vector_call(t, SYS_vmsplice, a);
}

/* ---- epoll: the host packs its events ---- */

#define EPOLL_MAX_EVENTS ((int)(INT_MAX / sizeof(GuestEpollEvent)))
/* More than this are not fetched at once. */
#define EPOLL_BATCH 1024

int64_t sys_epoll_ctl(GuestThread *t, const uint64_t a[6])
{
    struct epoll_event ev = { 0 };
    if ((int)a[1] != EPOLL_CTL_DEL) {
        GuestEpollEvent g;
        if (!user_read(&g, a[3], sizeof(g))) {
            return -EFAULT;
        }
        ev.events = g.events;
        ev.data.u64 = g.data;
    }
    return host_syscall(SYS_epoll_ctl, (int)a[0], (int)a[1], (int)a[2], &ev);
}

/* timeout: milliseconds, or a pointer to a struct timespec of the host's (epoll_pwait2). */
static int64_t epoll_common(GuestThread *t, long nr, const uint64_t a[6], uint64_t timeout)
{
    struct epoll_event ev[EPOLL_BATCH];
    int max = (int)a[2];
    SigSet set, host = 0;
    if (max <= 0 || max > EPOLL_MAX_EVENTS) {
        return -EINVAL;
    }
    if (a[4]) {
        if (a[5] != sizeof(SigSet)) {
            return -EINVAL;
        }
        if (!user_read(&set, a[4], sizeof(set))) {
            return -EFAULT;
        }
        signal_mask_begin(t, set);
        host = signal_host_mask(t->sigmask);
    }
    int64_t ret = safe_syscall6(t, nr, (uint64_t)(int)a[0], (uintptr_t)ev,
                                (uint64_t)(max < EPOLL_BATCH ? max : EPOLL_BATCH), timeout,
                                a[4] ? (uintptr_t)&host : 0, sizeof(SigSet));
    if (a[4]) {
        signal_mask_end(t, ret);
    }
    for (int64_t i = 0; i < ret; i++) {
        GuestEpollEvent g = { .events = ev[i].events, .data = ev[i].data.u64 };
        if (!user_write(a[1] + (uint64_t)i * sizeof(g), &g, sizeof(g))) {
            return -EFAULT;
        }
    }
    return ret;
}

int64_t sys_epoll_pwait(GuestThread *t, const uint64_t a[6])
{
    return epoll_common(t, SYS_epoll_pwait, a, (uint64_t)(int)a[3]);
}

int64_t sys_epoll_pwait2(GuestThread *t, const uint64_t a[6])
{
    uint64_t timeout = a[3];
    return host_pointer(&timeout) ? epoll_common(t, SYS_epoll_pwait2, a, timeout) : -EFAULT;
}

/* ---- poll and select ---- */

int64_t sys_ppoll(GuestThread *t, const uint64_t a[6])
{
    uint64_t fds = a[0], ts = a[2];
    SigSet set, host = 0;
    if (!host_pointer(&fds) || !host_pointer(&ts)) {
        return -EFAULT;
    }
    if (a[3]) {
        if (a[4] != sizeof(SigSet)) {
            return -EINVAL;
        }
        if (!user_read(&set, a[3], sizeof(set))) {
            return -EFAULT;
        }
        signal_mask_begin(t, set);
        host = signal_host_mask(t->sigmask);
    }
    int64_t ret = safe_syscall6(t, SYS_ppoll, fds, a[1], ts, a[3] ? (uintptr_t)&host : 0,
                                sizeof(SigSet), 0);
    if (a[3]) {
        signal_mask_end(t, ret);
    }
    return ret;
}

int64_t sys_pselect6(GuestThread *t, const uint64_t a[6])
{
    uint64_t p[4] = { a[1], a[2], a[3], a[4] };
    uint64_t sig[2] = { 0, 0 };     /* address and size of the mask */
    SigSet set, host = 0;
    for (int i = 0; i < 4; i++) {
        if (!host_pointer(&p[i])) {
            return -EFAULT;
        }
    }
    if (a[5] && !user_read(sig, a[5], sizeof(sig))) {
        return -EFAULT;
    }
    if (sig[0]) {
        if (sig[1] != sizeof(SigSet)) {
            return -EINVAL;
        }
        if (!user_read(&set, sig[0], sizeof(set))) {
            return -EFAULT;
        }
        signal_mask_begin(t, set);
        host = signal_host_mask(t->sigmask);
    }
    uint64_t host_sig[2] = { sig[0] ? (uintptr_t)&host : 0, sizeof(SigSet) };
    int64_t ret = safe_syscall6(t, SYS_pselect6, (uint64_t)(int)a[0], p[0], p[1], p[2], p[3],
                                (uintptr_t)host_sig);
    if (sig[0]) {
        signal_mask_end(t, ret);
    }
    return ret;
}
