/*
 * SECCOMP_RET_USER_NOTIF: another process decides about a system call, through a descriptor.
 *
 * The guest's filters run in braid; what the descriptor does, queueing, polling, the death of
 * either side, is left to the host's kernel.  A filter with a listener installs one in the host,
 * too, which notifies of call numbers from BASE on, which nobody uses otherwise, and allows all
 * others.  When the guest's filter says USER_NOTIF, braid makes call BASE + nr with the guest's
 * arguments, and the result is what the listener answers.  In the listener's process, also run by
 * braid, SECCOMP_IOCTL_NOTIF_RECV shows the guest's number and architecture.  "Continue" cannot
 * be told from a refusal by the one who asked, so it is sent as an error number that nobody uses.
 *
 * Filters of the host stay over execve(), as the guest's do.  The instruction pointer of a
 * notification is 0.  No state, no locks.
 */
#include "linux-user/seccomp-notify.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "linux-user/process.h"
#include "linux-user/syscall.h"
#include "util/bitops.h"

#define BASE 0x10000u
#define CONTINUE 4000       /* below MAX_ERRNO, and no error number */

int64_t seccomp_notify_listen(uint64_t flags)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, BASE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = { array_size(f), f };
    return host_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &prog);
}

bool seccomp_notify(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t *ret)
{
    if (nr >= SYSCALL_MAX) {
        return true;    /* there is no such call: ENOSYS, whoever is asked */
    }
    *ret = safe_syscall6(t, BASE + (long)nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    return *ret == -CONTINUE;
}

int64_t seccomp_notify_sizes(uint64_t addr)
{
    struct seccomp_notif_sizes sizes;
    int64_t ret = host_syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
    return ret ? ret : user_write(addr, &sizes, sizeof(sizes)) ? 0 : -EFAULT;
}

static int64_t receive(GuestThread *t, int fd, uint64_t arg)
{
    struct seccomp_notif n;
    static const struct seccomp_notif zeros;
    if (!user_read(&n, arg, sizeof(n)) || !user_write(arg, &n, sizeof(n))) {
        return -EFAULT;
    }
    if (memcmp(&n, &zeros, sizeof(n))) {
        return -EINVAL;
    }
    int64_t ret = safe_syscall6(t, SYS_ioctl, (uint64_t)fd, SECCOMP_IOCTL_NOTIF_RECV, (uintptr_t)&n, 0, 0, 0);
    if (ret) {
        return ret;
    }
    n.data.nr -= (int)BASE;
    n.data.arch = user_process.abi->audit_arch;
    n.data.instruction_pointer = 0;
    return user_write(arg, &n, sizeof(n)) ? 0 : -EFAULT;
}

static int64_t answer(int fd, uint64_t arg)
{
    struct seccomp_notif_resp r;
    if (!user_read(&r, arg, sizeof(r))) {
        return -EFAULT;
    }
    if (r.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE) {
        if (r.error || r.val || r.flags & ~SECCOMP_USER_NOTIF_FLAG_CONTINUE) {
            return -EINVAL;
        }
        r.flags = 0;
        r.error = -CONTINUE;
    }
    return host_syscall(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

bool seccomp_notify_ioctl(GuestThread *t, int fd, unsigned request, uint64_t arg, int64_t *ret)
{
    if (request == (unsigned)SECCOMP_IOCTL_NOTIF_RECV) {
        *ret = receive(t, fd, arg);
    } else if (request == (unsigned)SECCOMP_IOCTL_NOTIF_SEND) {
        *ret = answer(fd, arg);
    } else {
        return false;
    }
    return true;
}
