/*
 * The system calls about signals, but for sigaction (signal.c).  Each concerns the calling
 * thread only.
 */
#include <string.h>

#include "linux-user/process.h"
#include "linux-user/user-signal.h"
#include "linux-user/syscall.h"

int64_t sys_rt_sigprocmask(GuestThread *t, const uint64_t a[6])
{
    if (a[3] != sizeof(SigSet)) {
        return -EINVAL;
    }
    SigSet set, old = t->sigmask, mask = old;
    if (a[1]) {
        if (!user_read(&set, a[1], sizeof(set))) {
            return -EFAULT;
        }
        switch ((int)a[0]) {
        case SIG_BLOCK: mask |= set; break;
        case SIG_UNBLOCK: mask &= ~set; break;
        case SIG_SETMASK: mask = set; break;
        default: return -EINVAL;
        }
        mask &= ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
        /* Not begun when a signal is pending: it was sent before the mask changed. */
        SigSet host = signal_host_mask(mask);
        int64_t ret = safe_syscall6(t, SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&host, 0,
                                    sizeof(host), 0, 0);
        if (ret < 0) {
            return ret;
        }
        t->sigmask = mask;
    }
    return !a[2] || user_write(a[2], &old, sizeof(old)) ? 0 : -EFAULT;
}

int64_t sys_rt_sigpending(GuestThread *t, const uint64_t a[6])
{
    SigSet set;
    if (a[1] > sizeof(SigSet)) {
        return -EINVAL;
    }
    int64_t ret = host_syscall(SYS_rt_sigpending, &set, sizeof(set));
    if (ret) {
        return ret;
    }
    set = (set & t->sigmask) | t->held;
    return user_write(a[0], &set, a[1]) ? 0 : -EFAULT;
}

int64_t sys_rt_sigsuspend(GuestThread *t, const uint64_t a[6])
{
    SigSet set;
    if (a[1] != sizeof(SigSet)) {
        return -EINVAL;
    }
    if (!user_read(&set, a[0], sizeof(set))) {
        return -EFAULT;
    }
    signal_mask_begin(t, set);
    int64_t ret = -EINTR;
    if (!(t->held & ~t->sigmask)) {
        SigSet host = signal_host_mask(t->sigmask);
        ret = safe_syscall6(t, SYS_rt_sigsuspend, (uintptr_t)&host, sizeof(host), 0, 0, 0, 0);
    }
    signal_mask_end(t, ret);
    return ret;
}

int64_t sys_rt_sigtimedwait(GuestThread *t, const uint64_t a[6])
{
    SigSet set;
    siginfo_t info;
    uint64_t timeout = a[2];
    if (a[3] != sizeof(SigSet)) {
        return -EINVAL;
    }
    if (!user_read(&set, a[0], sizeof(set)) || !host_pointer(&timeout)) {
        return -EFAULT;
    }
    int64_t ret;
    SigSet held = t->held & set;
    if (held) {
        ret = held & SIG_BIT(SIGBUS) ? SIGBUS : SIGSEGV;
        info = t->held_info[ret == SIGBUS];
        t->held &= ~SIG_BIT(ret);
    } else {
        ret = safe_syscall6(t, SYS_rt_sigtimedwait, (uintptr_t)&set, (uintptr_t)&info, timeout,
                            sizeof(set), 0, 0);
    }
    if (ret > 0 && a[1] && !user_write(a[1], &info, sizeof(info))) {
        return -EFAULT;
    }
    return ret;
}

int64_t sys_sigaltstack(GuestThread *t, const uint64_t a[6])
{
    uint64_t sp = t->cpu->env.reg[user_process.abi->sp_reg];
    GuestStack old = signal_get_altstack(t, sp), ss;
    if (a[0]) {
        if (!user_read(&ss, a[0], sizeof(ss))) {
            return -EFAULT;
        }
        int64_t ret = signal_set_altstack(t, &ss, sp);
        if (ret) {
            return ret;
        }
    }
    return !a[1] || user_write(a[1], &old, sizeof(old)) ? 0 : -EFAULT;
}

int64_t sys_rt_sigreturn(GuestThread *t, const uint64_t a[6])
{
    SigSet mask;
    if (!user_process.abi->sigreturn(t, &mask)) {
        signal_deliver_fault(t, SIGSEGV, SI_KERNEL, 0);
    } else {
        signal_set_mask(t, mask);
    }
    return -BRAID_NO_RESULT;
}

int64_t sys_signalfd4(GuestThread *t, const uint64_t a[6])
{
    SigSet set;
    if (a[2] != sizeof(SigSet)) {
        return -EINVAL;
    }
    if (!user_read(&set, a[1], sizeof(set))) {
        return -EFAULT;
    }
    return host_syscall(SYS_signalfd4, (int)a[0], &set, sizeof(set), (int)a[3]);
}
