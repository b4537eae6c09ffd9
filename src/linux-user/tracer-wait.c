/*
 * wait4() and waitid(), which see a tracer's tracees.
 *
 * The host reports each stop of a tracee, of which most are between the two braids.  classify() lets the
 * tracee go on from those, and notes the others as the guest shall see them.  On the tracer's own thread.
 */
#include "linux-user/ptrace.h"

#include <linux/ptrace.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "linux-user/process.h"
#include "linux-user/syscall.h"

#define NAP_MIN_NS 100000
#define NAP_MAX_NS 2000000
#define SETTLE_MIN_NS 10000
#define SETTLE_LONG_NS 1000000
#define SETTLE_MAX_NS 50000000

static int64_t host_ptrace(long request, pid_t tid, void *data)
{
    return host_syscall(SYS_ptrace, request, tid, 0, data);
}

static void host_cont(pid_t tid, int sig)
{
    host_syscall(SYS_ptrace, PTRACE_CONT, tid, 0, sig);
}

static int64_t host_waitid(int type, pid_t id, siginfo_t *si, int options)
{
    memset(si, 0, sizeof(*si));
    return host_syscall(SYS_waitid, type, id, si, options, NULL);
}

/* ---- one stop ---- */

static void report(Traced *d, uint32_t code, bool host_stop)
{
    d->stopped = true;
    d->reported = false;
    d->host_stop = host_stop;
    d->code = code;
    if (!host_stop) {
        d->want_stop = false;   /* any stop will do */
    }
}

/* The record at d->record says what the stop is. */
static void stop_with_record(GuestThread *t, Traced *d, PtraceState expected)
{
    if (!tracer_copy(d, false, d->record, &d->rec, sizeof(d->rec)) || d->rec.state != expected) {
        host_cont(d->tid, 0);
        return;
    }
    if (!d->known && !d->named) {
        d->seized = d->rec.seized;
        d->options = d->rec.options;
    }
    if (!d->known) {
        d->known = true;
        d->hidden = false;
        host_syscall(SYS_ptrace, PTRACE_SETOPTIONS, d->tid, 0, tracer_host_options(d->options));
    }
    if (d->rec.code) {
        report(d, d->rec.code, false);
    } else {
        tracer_answer(t, d, d->want_syscall ? PTRACE_RESUME_SYSCALL : PTRACE_RESUME_CONT, 0);
    }
}

/* Wait until the new tracee is in the stop that it begins with, and let it go. */
static void adopt(GuestThread *t, const Traced *parent, pid_t tid)
{
    siginfo_t si;
    Traced *d = tracer_find(t, tid);
    if (!d) {
        d = tracer_add(t, tid);
        d->hidden = tracer_find_tgid(tid) != tid;
        while (host_waitid(P_PID, tid, &si, WSTOPPED | WEXITED | WNOWAIT | __WALL) == -EINTR) {
        }
        if (si.si_code == CLD_TRAPPED) {
            host_waitid(P_PID, tid, &si, WSTOPPED | WNOHANG | __WALL);
            host_cont(tid, 0);
        }
    }
    if (!d->known) {
        d->seized = parent->seized;
        d->options = parent->options;
    }
}

static void host_event(GuestThread *t, Traced *d, unsigned event, int sig)
{
    unsigned long message = 0;
    host_ptrace(PTRACE_GETEVENTMSG, d->tid, &message);
    switch (event) {
    case PTRACE_EVENT_STOP:
        report(d, (uint32_t)sig | PTRACE_EVENT_STOP << 8, true);
        return;
    case PTRACE_EVENT_EXEC:
        if ((pid_t)message != d->tid) {
            tracer_remove(t, (pid_t)message);
        }
        d->record = 0;
        d->known = false;
        break;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_CLONE:
        adopt(t, d, (pid_t)message);
        break;
    case PTRACE_EVENT_VFORK:
        adopt(t, d, (pid_t)message);
        if (d->record) {
            stop_with_record(t, d, PTRACE_STATE_PREPARED);
            d->rec.message = message;
            return;
        }
        break;
    default:
        break;
    }
    host_cont(d->tid, 0);
}

/* A call for the tracee passes: say what is wanted of it now. */
static void pass_call(Traced *d, siginfo_t *si)
{
    uint32_t word = d->options << 8 | (d->seized ? PTRACE_CALL_SEIZED : 0) |
                    (d->want_syscall ? PTRACE_CALL_SYSCALL : 0) |
                    (d->want_stop ? PTRACE_CALL_STOP : 0) |
                    (d->want_sigstop ? PTRACE_CALL_SIGSTOP : 0) |
                    (d->want_group_stop ? PTRACE_CALL_GROUP_STOP(d->want_group_stop) : 0);
    d->want_stop = d->called = false;
    d->want_group_stop = 0;
    d->want_sigstop = false;
    si->si_value.sival_ptr = NULL;
    si->si_value.sival_int = (int)word;
    host_ptrace(PTRACE_SETSIGINFO, d->tid, si);
    host_cont(d->tid, tracer_is_braid(d->tid) ? SIGBUS : 0);    /* it may have executed another program */
}

/* A signal for the tracee, which shall meet its guest and not the host's action. */
static void pass_signal(Traced *d, siginfo_t *si)
{
    int sig = si->si_signo;
    if (sig == SIGSTOP && d->called) {
        /* Where SIGBUS is blocked the call is pending, and the kernel would drop another. */
        d->want_sigstop = true;
        host_cont(d->tid, 0);
        return;
    }
    bool fault = (sig == SIGSEGV || sig == SIGBUS) && si->si_code > 0;
    if (!fault && tracer_is_braid(d->tid)) {
        si->si_errno = ptrace_pack(si);
        si->si_code = d->seized ? PTRACE_MARK_SIGNAL_SEIZED : PTRACE_MARK_SIGNAL;
        sig = si->si_signo = SIGBUS;
        host_ptrace(PTRACE_SETSIGINFO, d->tid, si);
    }
    host_cont(d->tid, sig);
}

/*
 * The process stops, and this thread, which was attached and not seized, is in the host's stop.  It is let go
 * as far as where its registers are known; from there its tracer may have it go on alone, as from this one.
 */
static void group_stop(Traced *d, int sig)
{
    if (d->seized || !tracer_is_braid(d->tid)) {
        report(d, (uint32_t)sig, true);
        return;
    }
    d->want_group_stop = sig;
    tracer_call(d);
    host_cont(d->tid, 0);
}

static void host_signal(GuestThread *t, Traced *d, int sig)
{
    siginfo_t si;
    if (host_ptrace(PTRACE_GETSIGINFO, d->tid, &si) == -EINVAL) {
        group_stop(d, sig);
        return;
    }
    switch (si.si_code) {
    case PTRACE_MARK_STOP:
        d->record = (uintptr_t)si.si_ptr;
        stop_with_record(t, d, PTRACE_STATE_STOPPED);
        break;
    case PTRACE_MARK_CALL:
        pass_call(d, &si);
        break;
    case PTRACE_MARK_SIGNAL:
    case PTRACE_MARK_SIGNAL_SEIZED:
    case PTRACE_MARK_PASS:
        host_cont(d->tid, sig);
        break;
    default:
        pass_signal(d, &si);
    }
}

/* What a thread that the host has attached of itself begins with. */
static bool is_first_stop(pid_t tid, unsigned event, int sig)
{
    siginfo_t si;
    return event == PTRACE_EVENT_STOP ||
           (sig == SIGSTOP && !host_ptrace(PTRACE_GETSIGINFO, tid, &si) && si.si_code == SI_USER &&
            !si.si_pid);
}

/* The host has reported a ptrace stop with this code, and forgotten it. */
static void classify(GuestThread *t, pid_t tid, int code)
{
    unsigned event = (unsigned)code >> 8;
    int sig = code & 0x7f;
    Traced *d = tracer_find(t, tid);
    if (!d) {
        d = tracer_add(t, tid);
        host_syscall(SYS_ptrace, PTRACE_SETOPTIONS, tid, 0, tracer_host_options(0));
        if (is_first_stop(tid, event, sig)) {
            d->hidden = tracer_find_tgid(tid) != tid;
            host_cont(tid, 0);
            return;
        }
    }
    if (event) {
        host_event(t, d, event, sig);
    } else {
        host_signal(t, d, sig);
    }
}

void tracer_settle(GuestThread *t, pid_t tid)
{
    siginfo_t si;
    struct timespec ts = { 0, SETTLE_MIN_NS };
    while (ts.tv_nsec < SETTLE_MAX_NS) {
        const Traced *d = tracer_find(t, tid);
        if (!d || !d->called || d->stopped) {
            return;
        }
        if (!host_waitid(P_PID, tid, &si, WSTOPPED | WNOHANG | __WALL) && si.si_pid) {
            classify(t, tid, si.si_status);
            continue;
        }
        nanosleep(&ts, NULL);
        /* Not for ever: it may sleep where no signal wakes it.  Then it is let go by the next wait. */
        if (ts.tv_nsec < SETTLE_LONG_NS || !tracer_is_runnable(tid)) {
            ts.tv_nsec *= 2;
        }
    }
}

void tracer_pump(GuestThread *t)
{
    /* classify() may add to the list, at its head, and remove others than its tracee. */
    for (bool again = true; again;) {
        again = false;
        for (Traced *d = t->traced; d && !again; d = d->next) {
            siginfo_t si;
            if (!d->stopped && !host_waitid(P_PID, d->tid, &si, WSTOPPED | WNOHANG | __WALL) &&
                si.si_pid) {
                classify(t, d->tid, si.si_status);
                again = true;
            }
        }
    }
}

/* ---- the calls ---- */

static bool matches(const Traced *d, int type, pid_t id)
{
    switch (type) {
    case P_PID: return d->tid == id;
    case P_PGID: return getpgid(d->tid) == (id ? id : getpgrp());
    default: return type == P_ALL;
    }
}

static bool take_report(GuestThread *t, int type, pid_t id, int options, siginfo_t *si)
{
    for (Traced *d = t->traced; d; d = d->next) {
        if (d->stopped && !d->reported && matches(d, type, id)) {
            d->reported = !(options & WNOWAIT);
            memset(si, 0, sizeof(*si));
            si->si_signo = SIGCHLD;
            si->si_code = CLD_TRAPPED;
            si->si_pid = d->tid;
            si->si_uid = getuid();
            si->si_status = (int)d->code;
            return true;
        }
    }
    return false;
}

/* The host would not wake for the other tracees, whose stops cannot wait. */
static bool must_poll(const GuestThread *t, int type, pid_t id)
{
    for (const Traced *d = t->traced; d; d = d->next) {
        if (!d->stopped && !matches(d, type, id)) {
            return true;
        }
    }
    return false;
}

/* 0, or what a wait ends with when a signal comes. */
static int64_t nap(GuestThread *t, long *ns)
{
    struct timespec ts = { 0, *ns };
    *ns = *ns * 2 < NAP_MAX_NS ? *ns * 2 : NAP_MAX_NS;
    int64_t ret = safe_syscall6(t, SYS_nanosleep, (uintptr_t)&ts, 0, 0, 0, 0, 0);
    return ret == -EINTR ? -BRAID_ERESTARTSYS : ret;
}

/* The tracee is gone.  True: it was a thread of braid's own, which the guest has never seen. */
static bool forget(GuestThread *t, pid_t tid)
{
    const Traced *d = tracer_find(t, tid);
    bool unseen = d && d->hidden;
    tracer_remove(t, tid);
    return unseen;
}

/* 0, with si_pid == 0 if there is nothing to report, or an error. */
static int64_t wait_for(GuestThread *t, int type, pid_t id, int options, siginfo_t *si,
                        struct rusage *ru)
{
    for (long ns = NAP_MIN_NS;;) {
        if (take_report(t, type, id, options, si)) {
            return 0;
        }
        bool poll = must_poll(t, type, id);
        if (poll) {
            tracer_pump(t);
            if (take_report(t, type, id, options, si)) {
                return 0;
            }
            poll = !(options & WNOHANG);
        }
        memset(si, 0, sizeof(*si));
        unsigned host_options = (unsigned)options | (poll ? WNOHANG : 0);
        int64_t ret = safe_syscall6(t, SYS_waitid, (uint64_t)type, (uint64_t)(int64_t)id,
                                    (uintptr_t)si, host_options, (uintptr_t)ru, 0);
        if (ret < 0) {
            return ret;
        }
        if (!si->si_pid) {
            ret = poll ? nap(t, &ns) : 0;
            if (!poll || ret) {
                return ret;
            }
        } else if (si->si_code == CLD_TRAPPED) {
            siginfo_t taken = *si;
            if (options & WNOWAIT) {
                host_waitid(P_PID, si->si_pid, &taken, WSTOPPED | WNOHANG | __WALL);
            }
            if (taken.si_pid) {
                classify(t, taken.si_pid, taken.si_status);
            }
        } else if (options & WNOWAIT || si->si_code == CLD_STOPPED ||
                   si->si_code == CLD_CONTINUED || !forget(t, si->si_pid)) {
            return 0;
        }
    }
}

static int64_t write_siginfo(uint64_t addr, const siginfo_t *si, int64_t ret)
{
    /* Up to si_status, of this call as of the kernel's. */
    return !addr || user_write(addr, si, 28) ? ret : -EFAULT;
}

int64_t sys_waitid(GuestThread *t, const uint64_t a[6])
{
    siginfo_t si;
    struct rusage ru;
    memset(&ru, 0, sizeof(ru));
    int64_t ret = wait_for(t, (int)a[0], (pid_t)a[1], (int)a[3], &si, &ru);
    if (ret <= -BRAID_ERESTARTSYS) {
        return ret;
    }
    if (!ret && si.si_pid && a[4] && !user_write(a[4], &ru, sizeof(ru))) {
        return -EFAULT;
    }
    return write_siginfo(a[2], &si, ret);
}

/* The status of wait4(), from what waitid() says. */
static uint32_t wait_status(const siginfo_t *si)
{
    uint32_t status = (uint32_t)si->si_status;
    switch (si->si_code) {
    case CLD_EXITED: return (status & 0xff) << 8;
    case CLD_KILLED: return status;
    case CLD_DUMPED: return status | 0x80;
    case CLD_CONTINUED: return 0xffff;
    default: return status << 8 | 0x7f;
    }
}

int64_t sys_wait4(GuestThread *t, const uint64_t a[6])
{
    siginfo_t si;
    struct rusage ru;
    pid_t pid = (pid_t)a[0];
    int options = (int)a[2];
    if (options & ~(int)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) {
        return -EINVAL;
    }
    if (pid == INT_MIN) {
        return -ESRCH;
    }
    memset(&ru, 0, sizeof(ru));
    int type = pid > 0 ? P_PID : pid == -1 ? P_ALL : P_PGID;
    pid_t id = pid < -1 ? -pid : pid > 0 ? pid : 0;
    int64_t ret = wait_for(t, type, id, options | WEXITED, &si, &ru);
    if (ret || !si.si_pid) {
        return ret;
    }
    if ((a[1] && !user_write_u32(a[1], wait_status(&si))) ||
        (a[3] && !user_write(a[3], &ru, sizeof(ru)))) {
        return -EFAULT;
    }
    return si.si_pid;
}
