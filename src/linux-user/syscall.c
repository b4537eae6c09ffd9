/*
 * The system call table, and the one place through which all calls of all guest threads
 * pass.  Constant data; no locks.
 */
#include "linux-user/syscall.h"

#include "linux-user/process.h"
#include "linux-user/seccomp.h"
#include "util/log.h"
#include "util/own-fd.h"
#include "util/stats.h"

static int64_t sys_fails(GuestThread *t, const uint64_t a[6]);

const SyscallInfo syscall_table[SYSCALL_MAX] = {
#define SYSCALL(nr, nm, sg) [nr] = { #nm, sg, sys_##nm, -1 },
#define HOSTCALL(nr, nm, sg) [nr] = { #nm, sg, NULL, SYS_##nm },
#define NOCALL(nr, nm, err, sg) [nr] = { #nm, sg, sys_fails, err },
#include "linux-user/syscall-table.def"
#undef SYSCALL
#undef HOSTCALL
#undef NOCALL
};

/* Never called: marks NOCALL rows, whose host_nr is the error. */
static int64_t sys_fails(GuestThread *t, const uint64_t a[6])
{
    return -ENOSYS;
}

/*
 * What the host gets for a pointer outside the guest's memory: the kernel may not look at it at all, and
 * finds it bad if it does.
 */
#define NOWHERE 0xffff800000000000ull

static int64_t call_host(GuestThread *t, const SyscallInfo *info, const uint64_t a[6])
{
    uint64_t h[6];
    const char *sig = info->sig;
    for (int i = 0; i < 6; i++) {
        h[i] = a[i];
        char c = *sig ? *sig++ : 0;
        if (syscall_arg_is_pointer(c) && !host_pointer(&h[i])) {
            h[i] = NOWHERE;
        }
    }
    return safe_syscall6(t, info->host_nr, h[0], h[1], h[2], h[3], h[4], h[5]);
}

/* Does an argument name one of braid's own descriptors?  (dup3 replaces what its second one names.) */
static bool names_own_fd(const SyscallInfo *info, const uint64_t a[6])
{
    const char *sig = info->sig;
    for (int i = 0; i < 6 && sig[i]; i++) {
        if ((sig[i] == 'f' || sig[i] == 'D') && unlikely(own_fd_is((int)a[i])) &&
            !(i == 1 && info->handler == sys_dup3)) {
            return true;
        }
    }
    return false;
}

int64_t syscall_dispatch(GuestThread *t, uint64_t nr, const uint64_t a[6])
{
    if (likely(nr < SYSCALL_MAX && syscall_table[nr].name)) {
        const SyscallInfo *info = &syscall_table[nr];
        if (unlikely(names_own_fd(info, a))) {
            return -EBADF;
        }
        if (!info->handler) {
            return call_host(t, info, a);
        }
        if (info->handler == sys_fails) {
            log_item(LOG_UNIMP, "unsupported system call %s\n", info->name);
            return -info->host_nr;
        }
        return info->handler(t, a);
    }
    int64_t ret = user_process.abi->arch_syscall(t, nr, a);
    if (ret == -ENOSYS) {
        log_item(LOG_UNIMP, "unknown system call %llu\n", (unsigned long long)nr);
    }
    return ret;
}

static int64_t syscall_filtered(GuestThread *t, uint64_t nr, const uint64_t a[6])
{
    int64_t ret;
    return seccomp_allows(t, nr, a, &ret) ? syscall_dispatch(t, nr, a) : ret;
}

int64_t syscall_run(GuestThread *t, uint64_t nr, const uint64_t a[6])
{
    stat_inc(STAT_SYSCALLS);
    if (likely(!log_enabled(LOG_STRACE))) {
        return syscall_filtered(t, nr, a);
    }
    strace_enter(t, nr, a);
    int64_t ret = syscall_filtered(t, nr, a);
    strace_result(t, nr, a, ret);
    return ret;
}
