/*
 * System V semaphores, whose control structure the host lays out in its own way; asynchronous
 * I/O.  Shared memory is in mmap.c.
 */
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "linux-user/structs.h"
#include "linux-user/syscall.h"

#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY 20
#endif

/* x86-64's. */
typedef struct HostSemid {
    uint8_t perm[48];
    int64_t otime;
    uint64_t unused1;
    int64_t ctime;
    uint64_t unused2, nsems, unused3, unused4;
} HostSemid;
_Static_assert(sizeof(struct ipc_perm) == 48 && sizeof(struct semid_ds) == sizeof(HostSemid),
               "layout of the host");

static int64_t semctl_stat(const uint64_t a[6])
{
    HostSemid h;
    int64_t ret = host_syscall(SYS_semctl, (int)a[0], (int)a[1], (int)a[2], &h);
    if (ret < 0) {
        return ret;
    }
    GuestSemid g = { .otime = h.otime, .ctime = h.ctime, .nsems = h.nsems };
    memcpy(g.perm, h.perm, sizeof(g.perm));
    return user_write(a[3], &g, sizeof(g)) ? ret : -EFAULT;
}

int64_t sys_semctl(GuestThread *t, const uint64_t a[6])
{
    uint64_t arg = a[3];
    switch ((int)a[2]) {
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        return semctl_stat(a);
    case IPC_SET: {
        GuestSemid g;
        HostSemid h = { .otime = 0 };
        if (!user_read(&g, a[3], sizeof(g))) {
            return -EFAULT;
        }
        memcpy(h.perm, g.perm, sizeof(h.perm));
        return host_syscall(SYS_semctl, (int)a[0], (int)a[1], (int)a[2], &h);
    }
    case GETALL:
    case SETALL:
    case IPC_INFO:
    case SEM_INFO:
        if (!host_pointer(&arg)) {
            return -EFAULT;
        }
        break;
    default:
        break;
    }
    return host_syscall(SYS_semctl, (int)a[0], (int)a[1], (int)a[2], arg);
}

int64_t sys_io_submit(GuestThread *t, const uint64_t a[6])
{
    /* The blocks hold addresses, which the kernel keeps: nothing we could translate back. */
    if (user_mem.guest_base) {
        return -ENOSYS;
    }
    return user_range_ok(a[2], 8) ? host_syscall(SYS_io_submit, a[0], a[1], g2h(a[2])) : -EFAULT;
}
