/*
 * Messages: structures that hold addresses.  Everything else about sockets has the same shape
 * on both sides and goes straight to the host.
 */
#include <limits.h>
#include <sys/socket.h>
#include <time.h>

#include "linux-user/iovec.h"
#include "linux-user/syscall.h"

/* The kernel's struct msghdr; addresses are the guest's. */
typedef struct GuestMsghdr {
    uint64_t name;
    uint32_t namelen, pad0;
    uint64_t iov, iovlen, control, controllen;
    uint32_t flags, pad1;
} GuestMsghdr;
_Static_assert(sizeof(GuestMsghdr) == sizeof(struct msghdr), "the same on all 64-bit Linux");

typedef struct GuestMmsghdr {
    GuestMsghdr hdr;
    uint32_t len, pad;
} GuestMmsghdr;

static int64_t msghdr_convert(struct msghdr *h, struct iovec iov[IOV_MAX], const GuestMsghdr *g)
{
    uint64_t name = g->name, control = g->control;
    if (g->iovlen > IOV_MAX) {
        return -EMSGSIZE;
    }
    int64_t ret = iovec_read(iov, g->iov, g->iovlen);
    if (ret) {
        return ret;
    }
    if (!host_pointer(&name) || !host_pointer(&control)) {
        return -EFAULT;
    }
    *h = (struct msghdr){
        .msg_name = (void *)(uintptr_t)name,
        .msg_namelen = g->namelen,
        .msg_iov = iov,
        .msg_iovlen = g->iovlen,
        .msg_control = (void *)(uintptr_t)control,
        .msg_controllen = g->controllen,
        .msg_flags = (int)g->flags,
    };
    return 0;
}

static int64_t send_one(GuestThread *t, int fd, uint64_t addr, uint64_t flags)
{
    GuestMsghdr g;
    struct msghdr h;
    struct iovec iov[IOV_MAX];
    if (!user_read(&g, addr, sizeof(g))) {
        return -EFAULT;
    }
    int64_t ret = msghdr_convert(&h, iov, &g);
    return ret ? ret : safe_syscall6(t, SYS_sendmsg, (uint64_t)fd, (uintptr_t)&h, flags, 0, 0, 0);
}

static int64_t recv_one(GuestThread *t, int fd, uint64_t addr, uint64_t flags)
{
    GuestMsghdr g;
    struct msghdr h;
    struct iovec iov[IOV_MAX];
    if (!user_read(&g, addr, sizeof(g))) {
        return -EFAULT;
    }
    int64_t ret = msghdr_convert(&h, iov, &g);
    if (!ret) {
        ret = safe_syscall6(t, SYS_recvmsg, (uint64_t)fd, (uintptr_t)&h, flags, 0, 0, 0);
    }
    if (ret >= 0) {
        g.namelen = h.msg_namelen;
        g.controllen = h.msg_controllen;
        g.flags = (uint32_t)h.msg_flags;
        if (!user_write(addr, &g, sizeof(g))) {
            return -EFAULT;
        }
    }
    return ret;
}

int64_t sys_sendmsg(GuestThread *t, const uint64_t a[6])
{
    return send_one(t, (int)a[0], a[1], a[2]);
}

int64_t sys_recvmsg(GuestThread *t, const uint64_t a[6])
{
    return recv_one(t, (int)a[0], a[1], a[2]);
}

/* One message after the other; an error counts only if it is the first. */
int64_t sys_sendmmsg(GuestThread *t, const uint64_t a[6])
{
    uint64_t n = a[2] > IOV_MAX ? IOV_MAX : a[2], i;
    int64_t ret = 0;
    for (i = 0; i < n; i++) {
        uint64_t addr = a[1] + i * sizeof(GuestMmsghdr);
        ret = send_one(t, (int)a[0], addr, a[3]);
        if (ret >= 0 && !user_write_u32(addr + offsetof(GuestMmsghdr, len), (uint32_t)ret)) {
            ret = -EFAULT;
        }
        if (ret < 0) {
            break;
        }
    }
    return i ? (int64_t)i : ret;
}

int64_t sys_recvmmsg(GuestThread *t, const uint64_t a[6])
{
    uint64_t n = a[2] > IOV_MAX ? IOV_MAX : a[2], i, flags = a[3];
    struct timespec limit, now;
    int64_t ret = 0;
    if (a[4]) {
        if (!user_read(&limit, a[4], sizeof(limit))) {
            return -EFAULT;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        limit.tv_sec += now.tv_sec;
        limit.tv_nsec += now.tv_nsec;
    }
    for (i = 0; i < n; i++) {
        uint64_t addr = a[1] + i * sizeof(GuestMmsghdr);
        ret = recv_one(t, (int)a[0], addr, flags & ~(uint64_t)MSG_WAITFORONE);
        if (ret >= 0 && !user_write_u32(addr + offsetof(GuestMmsghdr, len), (uint32_t)ret)) {
            ret = -EFAULT;
        }
        if (ret < 0) {
            break;
        }
        if (flags & MSG_WAITFORONE) {
            flags |= MSG_DONTWAIT;
        }
        /* As in Linux, the time is looked at only between messages. */
        if (a[4]) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            if (now.tv_sec + now.tv_nsec / 1e9 >= limit.tv_sec + limit.tv_nsec / 1e9) {
                i++;
                break;
            }
        }
    }
    return i ? (int64_t)i : ret;
}
