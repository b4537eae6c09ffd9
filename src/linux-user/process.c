/*
 * System calls about the process: names, prctl, other processes' memory.
 */
#include <limits.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

#include "linux-user/iovec.h"
#include "linux-user/process.h"
#include "linux-user/ptrace.h"
#include "linux-user/seccomp.h"
#include "linux-user/syscall.h"
#include "util/log.h"

#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

int64_t sys_uname(GuestThread *t, const uint64_t a[6])
{
    struct utsname u;
    if (uname(&u)) {
        return -errno;
    }
    memset(u.machine, 0, sizeof(u.machine));
    strncpy(u.machine, user_process.abi->machine, sizeof(u.machine) - 1);
    if (user_process.opt->uname_release) {
        memset(u.release, 0, sizeof(u.release));
        strncpy(u.release, user_process.opt->uname_release, sizeof(u.release) - 1);
    }
    return user_write(a[0], &u, sizeof(u)) ? 0 : -EFAULT;
}

bool process_has_capability(unsigned cap)
{
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2] = { { 0 } };
    return !syscall(SYS_capget, &head, data) &&
           (data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap));
}

/* ---- prctl ---- */

static int64_t prctl_pointer(const uint64_t a[6], uint64_t second)
{
    return host_pointer(&second) ? host_syscall(SYS_prctl, (int)a[0], second, a[2], a[3], a[4])
                                 : -EFAULT;
}

int64_t sys_prctl(GuestThread *t, const uint64_t a[6])
{
    switch ((int)a[0]) {
    case PR_GET_PDEATHSIG:
    case PR_SET_NAME:
    case PR_GET_NAME:
    case PR_GET_CHILD_SUBREAPER:
        return prctl_pointer(a, a[1]);
    case PR_GET_TID_ADDRESS:
        return user_write_u64(a[1], t->clear_child_tid) ? 0 : -EFAULT;
    case PR_SET_PDEATHSIG:
    case PR_GET_DUMPABLE: case PR_SET_DUMPABLE:
    case PR_GET_KEEPCAPS: case PR_SET_KEEPCAPS:
    case PR_GET_TIMING: case PR_SET_TIMING:
    case PR_GET_SECUREBITS: case PR_SET_SECUREBITS:
    case PR_CAPBSET_READ: case PR_CAPBSET_DROP:
    case PR_GET_TIMERSLACK: case PR_SET_TIMERSLACK:
    case PR_MCE_KILL: case PR_MCE_KILL_GET:
    case PR_SET_CHILD_SUBREAPER:
    case PR_GET_NO_NEW_PRIVS: case PR_SET_NO_NEW_PRIVS:
    case PR_GET_THP_DISABLE: case PR_SET_THP_DISABLE:
    case PR_SET_PTRACER:
    case PR_CAP_AMBIENT:
    case PR_GET_IO_FLUSHER: case PR_SET_IO_FLUSHER:
        return host_syscall(SYS_prctl, (int)a[0], a[1], a[2], a[3], a[4]);
    case PR_GET_SECCOMP:
        return seccomp_get_mode(t);
    case PR_SET_SECCOMP:
        return seccomp_set_mode(t, a[1], a[2]);
    case PR_SET_VMA: {
        uint64_t addr = a[2], name = a[4];
        return host_pointer(&addr) && host_pointer(&name)
                   ? host_syscall(SYS_prctl, PR_SET_VMA, a[1], addr, a[3], name) : -EFAULT;
    }
    case PR_GET_AUXV: {
        uint64_t size = user_process.auxv_len * 8, n = a[2] < size ? a[2] : size;
        return user_write(a[1], user_process.auxv, n) ? (int64_t)size : -EFAULT;
    }
    default:
        log_item(LOG_UNIMP, "unsupported prctl %d\n", (int)a[0]);
        return -EINVAL;
    }
}

/* ---- memory barriers and other processes' memory ---- */

int64_t sys_membarrier(GuestThread *t, const uint64_t a[6])
{
    int cmd = (int)a[0];
    if (cmd == MEMBARRIER_CMD_QUERY) {
        return host_syscall(SYS_membarrier, cmd, 0, 0);
    }
    if (cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) {
        /* Sections run in exclusive sections: after one, those begun before are over. */
        start_exclusive(t->cpu);
        end_exclusive(t->cpu);
    }
    int64_t ret = host_syscall(SYS_membarrier, cmd, (unsigned)a[1], (int)a[2]);
    if (!ret && cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) {
        tb_flush_icache(t->cpu, 0, 0);
    }
    return ret;
}

/* The other process's addresses are its own; under braid they are as far from the host's as ours. */
static int64_t vm_call(long nr, const uint64_t a[6])
{
    struct iovec local[IOV_MAX], remote[IOV_MAX];
    int64_t ret = iovec_read(local, a[1], a[2]);
    if (!ret) {
        ret = iovec_read(remote, a[3], a[4]);
    }
    return ret ? ret : host_syscall(nr, (pid_t)a[0], local, a[2], remote, a[4], a[5]);
}

int64_t sys_process_vm_readv(GuestThread *t, const uint64_t a[6])
{
    return vm_call(SYS_process_vm_readv, a);
}

int64_t sys_process_vm_writev(GuestThread *t, const uint64_t a[6])
{
    tracer_note_write(t);
    return vm_call(SYS_process_vm_writev, a);
}
