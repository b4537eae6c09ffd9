/*
 * Guest signals.
 *
 * The host's kernel does the queueing, blocking and routing: what the guest blocks is blocked
 * in the host, what it ignores is ignored, and what it leaves to the default action is left to
 * the host's default action, but for the signals that dump core, for which braid has a message.
 * Where the guest has a handler the host has ours, which notes the signal in
 * the thread's one slot, blocks everything further, asks the CPU to leave
 * generated code, and turns a system call that is about to sleep back (safe-syscall.S).  The
 * run loop then builds the guest's frame and gives the host the guest's new mask, upon which the
 * kernel delivers the next one, if any, in its own order.
 *
 * SIGSEGV and SIGBUS are never blocked in the host: generated code and guarded copies need
 * them.  Sent ones that the guest blocks wait in `held`.
 *
 * Host handlers run with everything but those two blocked, on the thread's alternate stack, and touch
 * only the thread's own record.
 */
#include "linux-user/user-signal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "linux-user/core-dump.h"
#include "linux-user/process-control.h"
#include "linux-user/process.h"
#include "linux-user/ptrace.h"
#include "linux-user/rseq.h"
#include "linux-user/syscall.h"
#include "linux-user/x86_64/host-context.h"
#include "util/error.h"
#include "util/log.h"

#define SIG_DFL_GUEST 0
#define SIG_IGN_GUEST 1
#define HOST_SA_RESTORER 0x04000000
#ifndef SS_AUTODISARM
#define SS_AUTODISARM INT32_MIN     /* bit 31 */
#endif

#define NEVER_BLOCKED (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))
/* Needed by braid itself, whatever the guest blocks. */
#define HOST_OPEN (SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS))
/* The host does not keep these for a thread that cannot take them now. */
#define CANNOT_WAIT (HOST_OPEN | SIG_BIT(SIGSTOP))
#define CORE_SIGNALS                                                                     \
    (SIG_BIT(SIGQUIT) | SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) | SIG_BIT(SIGABRT) |          \
     SIG_BIT(SIGFPE) | SIG_BIT(SIGSYS) | SIG_BIT(SIGXCPU) | SIG_BIT(SIGXFSZ) | HOST_OPEN)
#define IGNORED_SIGNALS                                                                  \
    (SIG_BIT(SIGCHLD) | SIG_BIT(SIGURG) | SIG_BIT(SIGWINCH) | SIG_BIT(SIGCONT))
#define STOP_SIGNALS (SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU) | SIG_BIT(SIGSTOP))

/* The host kernel's struct sigaction. */
typedef struct HostSigaction {
    void (*handler)(int, siginfo_t *, void *);
    uint64_t flags;
    void (*restorer)(void);
    SigSet mask;
} HostSigaction;

void host_sigreturn_asm(void);

static int host_sigaction(int sig, const HostSigaction *act, HostSigaction *old)
{
    return (int)host_syscall(SYS_rt_sigaction, sig, act, old, sizeof(SigSet));
}

/* ---- the host's handler ---- */

static void die_of_own_fault(int sig, const siginfo_t *si, const ucontext_t *uc)
{
    char buf[160];
    int n = snprintf(buf, sizeof(buf), "braid: internal error: signal %d at %p, address %p\n",
                     sig, (void *)host_context_pc(uc), si->si_addr);
    if (write(STDERR_FILENO, buf, (size_t)n) < 0) {
        /* nothing more can be said */
    }
    HostSigaction dfl = { .handler = NULL };
    host_sigaction(sig, &dfl, NULL);
    /* Returning runs into the same fault again, now with the default action. */
}

/* Put a signal back into the kernel's queue of this thread; it must be blocked there. */
static void requeue_sigsafe(GuestThread *t, int sig, const siginfo_t *info)
{
    int err = errno;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), sig, info);
    errno = err;
}

static siginfo_t *held_info(GuestThread *t, int sig)
{
    return &t->held_info[sig == SIGBUS ? 1 : sig == SIGSTOP ? 2 : 0];
}

static void hold_sigsafe(GuestThread *t, int sig, const siginfo_t *info)
{
    if (!(t->held & SIG_BIT(sig))) {
        *held_info(t, sig) = *info;
        t->held |= SIG_BIT(sig);
    }
}

void signal_note_call(GuestThread *t)
{
    /* SIGSTOP may have come already: then the call is seen before it. */
    if (!__atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED)) {
        t->pending_sig = 0;
        __atomic_signal_fence(__ATOMIC_RELEASE);
        __atomic_store_n(&t->signal_pending, 1, __ATOMIC_RELAXED);
    }
}

void signal_hold(GuestThread *t, const siginfo_t *info)
{
    hold_sigsafe(t, info->si_signo, info);
}

static void note_signal_sigsafe(GuestThread *t, int sig, const siginfo_t *si, ucontext_t *uc)
{
    SigSet all = ~HOST_OPEN;
    memcpy(&uc->uc_sigmask, &all, sizeof(all));
    if (__atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED)) {
        if (sig && SIG_BIT(sig) & CANNOT_WAIT) {
            hold_sigsafe(t, sig, si);
        } else if (sig) {
            requeue_sigsafe(t, sig, si);
        }
        return;
    }
    t->pending_sig = sig;
    t->pending_info = *si;
    /* Read by this same thread once the handler is done: order of the compiler is enough. */
    __atomic_signal_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&t->signal_pending, 1, __ATOMIC_RELAXED);
    host_context_rewind_syscall(uc);
    cpu_kick(t->cpu);
}

static void host_signal_handler(int sig, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;
    CPUState *cpu = cpu_current();
    if ((SIG_BIT(sig) & HOST_OPEN) && si->si_code > 0) {
        if (!host_context_fix_copy(uc) && !exec_handle_fault_sigsafe(cpu, sig, si, uc)) {
            die_of_own_fault(sig, si, uc);
        }
        return;
    }
    GuestThread *t = cpu ? thread_of(cpu) : NULL;
    bool deliver = true;
    if (!t) {
        tracee_return_signal_sigsafe(sig, si);
    } else if (!tracee_handle_mark_sigsafe(t, sig, si, &deliver) || deliver) {
        note_signal_sigsafe(t, si->si_signo, si, uc);
    }
}

/* Make the host's disposition follow the guest's. */
static void install_locked(const SigHand *sh, int sig)
{
    const GuestSigaction *act = &sh->action[sig - 1];
    HostSigaction h = {
        .flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | HOST_SA_RESTORER |
                 (act->flags & (SA_NOCLDSTOP | SA_NOCLDWAIT)),
        .restorer = host_sigreturn_asm,
        .mask = ~HOST_OPEN,
    };
    SigSet ours_by_default = sh->catch_deadly ? ~(IGNORED_SIGNALS | STOP_SIGNALS) : CORE_SIGNALS;
    bool ours = act->handler > SIG_IGN_GUEST || (SIG_BIT(sig) & HOST_OPEN) ||
                (act->handler == SIG_DFL_GUEST && (SIG_BIT(sig) & ours_by_default));
    if (ours) {
        h.handler = host_signal_handler;
    } else if (act->handler == SIG_IGN_GUEST) {
        h.handler = (void (*)(int, siginfo_t *, void *))(uintptr_t)SIG_IGN_GUEST;
    } else {
        h.handler = NULL;
    }
    host_sigaction(sig, &h, NULL);
}

/* ---- start-up ---- */

void signal_reinstall(GuestThread *t, int sig)
{
    mutex_lock(&t->sighand->lock);
    install_locked(t->sighand, sig);
    mutex_unlock(&t->sighand->lock);
}

void signal_catch_deadly(GuestThread *t)
{
    SigHand *sh = t->sighand;
    mutex_lock(&sh->lock);
    if (!sh->catch_deadly) {
        sh->catch_deadly = true;
        for (int sig = 1; sig <= GUEST_NSIG; sig++) {
            if (!(SIG_BIT(sig) & NEVER_BLOCKED) && sh->action[sig - 1].handler == SIG_DFL_GUEST) {
                install_locked(sh, sig);
            }
        }
    }
    mutex_unlock(&sh->lock);
}

SigHand *sighand_copy(SigHand *from)
{
    SigHand *own = xcalloc(1, sizeof(*own));
    mutex_init(&own->lock, LOCK_RANK_SIGNAL_TABLE);
    own->users = 1;
    mutex_lock(&from->lock);
    own->catch_deadly = from->catch_deadly;
    memcpy(own->action, from->action, sizeof(own->action));
    mutex_unlock(&from->lock);
    return own;
}

SigHand *sighand_share(SigHand *sh)
{
    __atomic_add_fetch(&sh->users, 1, __ATOMIC_RELAXED);
    return sh;
}

void sighand_drop(SigHand *sh)
{
    /* [SIGHAND-USERS] pairs with itself: the last one sees what the others did. */
    if (__atomic_sub_fetch(&sh->users, 1, __ATOMIC_ACQ_REL) == 0) {
        free(sh);
    }
}

void signal_init(GuestThread *t)
{
    t->sighand = xcalloc(1, sizeof(*t->sighand));
    mutex_init(&t->sighand->lock, LOCK_RANK_SIGNAL_TABLE);
    t->sighand->users = 1;
    host_syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &t->sigmask, sizeof(SigSet));
    for (int sig = 1; sig <= GUEST_NSIG; sig++) {
        HostSigaction old;
        if (host_sigaction(sig, NULL, &old) == 0 && (uintptr_t)old.handler == SIG_IGN_GUEST) {
            t->sighand->action[sig - 1].handler = SIG_IGN_GUEST;
        }
        /* The others are as execve() left them: default or ignored, for the host as for the guest. */
        if (SIG_BIT(sig) & (HOST_OPEN | CORE_SIGNALS) & ~NEVER_BLOCKED) {
            install_locked(t->sighand, sig);
        }
    }
}

void signal_thread_end(GuestThread *t)
{
    stack_t off = { .ss_flags = SS_DISABLE };
    sigaltstack(&off, NULL);
    signal_thread_gone(t);
}

void signal_thread_gone(GuestThread *t)
{
    if (t->host_altstack) {
        munmap(t->host_altstack, HOST_ALTSTACK_GUARD + HOST_ALTSTACK_SIZE);
        t->host_altstack = NULL;
    }
}

void signal_thread_init(GuestThread *t, void *altstack)
{
    if (!altstack) {
        uint8_t *p = mmap(NULL, HOST_ALTSTACK_GUARD + HOST_ALTSTACK_SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED || mprotect(p, HOST_ALTSTACK_GUARD, PROT_NONE)) {
            fatal("out of memory for a signal stack");
        }
        t->host_altstack = p;
        altstack = p + HOST_ALTSTACK_GUARD;
    }
    stack_t ss = { .ss_sp = altstack, .ss_size = HOST_ALTSTACK_SIZE };
    sigaltstack(&ss, NULL);
    t->altstack.flags = SS_DISABLE;
}

/* ---- masks ---- */

SigSet signal_host_mask(SigSet set)
{
    return set & ~HOST_OPEN;
}

/* If a signal is pending the mask stays closed; signal_deliver_pending() opens it. */
static void set_host_mask(GuestThread *t, SigSet set)
{
    SigSet host = signal_host_mask(set);
    safe_syscall6(t, SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&host, 0, sizeof(host), 0, 0);
}

void signal_set_mask(GuestThread *t, SigSet mask)
{
    t->sigmask = mask & ~NEVER_BLOCKED;
    set_host_mask(t, t->sigmask);
}

void signal_mask_begin(GuestThread *t, SigSet set)
{
    t->saved_sigmask = t->sigmask;
    t->sigmask = set & ~NEVER_BLOCKED;
    t->restore_sigmask = true;
}

void signal_mask_end(GuestThread *t, int64_t result)
{
    /* Interrupted: the handler runs under the temporary mask, its frame holds the old one. */
    bool pending = __atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED) || t->held;
    if (result != -EINTR || !pending) {
        t->sigmask = t->saved_sigmask;
        t->restore_sigmask = false;
    }
}

void signal_block_all(SigSet *old)
{
    SigSet all = ~HOST_OPEN;
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, old, sizeof(all));
}

void signal_restore_host(SigSet old)
{
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof(old));
}

/* ---- delivery ---- */

void signal_die(GuestThread *t, int sig, const siginfo_t *info)
{
    if (info) {
        const char *core = "";
        bool dumped = core_dump(t, info, &core);
        fflush(NULL);
        dprintf(STDERR_FILENO, "braid: uncaught target signal %d (%s)%s%s\n", sig,
                strsignal(sig), dumped ? ", core dumped to " : "", core);
    }
    tracee_exit_event(t, sig);
    process_announce_end(t, 0, sig);
    /* The host's core file would be braid's, not the guest's. */
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    HostSigaction dfl = { .handler = NULL };
    host_sigaction(sig, &dfl, NULL);
    SigSet mask = ~SIG_BIT(sig);
    host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
    siginfo_t mark = tracee_pass_mark(sig);
    syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), sig, &mark);
    _exit(128 + sig);
}

static void default_action(GuestThread *t, int sig, const siginfo_t *info)
{
    if (SIG_BIT(sig) & IGNORED_SIGNALS) {
        return;
    }
    if (SIG_BIT(sig) & STOP_SIGNALS) {
        siginfo_t mark = tracee_pass_mark(sig);
        syscall(SYS_rt_sigqueueinfo, getpid(), sig, &mark);
        return;
    }
    signal_die(t, sig, SIG_BIT(sig) & CORE_SIGNALS ? info : NULL);
}

/* Read the action that is to run; a one-shot handler is taken down. */
static GuestSigaction take_action(GuestThread *t, int sig)
{
    mutex_lock(&t->sighand->lock);
    GuestSigaction *slot = &t->sighand->action[sig - 1], act = *slot;
    if (act.handler > SIG_IGN_GUEST && (act.flags & SA_RESETHAND)) {
        slot->handler = SIG_DFL_GUEST;
        install_locked(t->sighand, sig);
    }
    mutex_unlock(&t->sighand->lock);
    return act;
}

/* Ask the debugger, be it the tracer or gdb.  False: the guest shall not get the signal; or *sig becomes another. */
static bool debugger_lets_pass(GuestThread *t, int *sig, siginfo_t *info, bool forced)
{
    const UserDebugger *debugger = user_process.opt->debugger;
    if (t->trace && !tracee_signal_stop(t, sig, info, forced)) {
        return false;
    }
    int wanted = debugger ? debugger->signal(t->cpu, *sig) : *sig;
    if (wanted && wanted != *sig) {
        *sig = wanted;
        *info = (siginfo_t){ .si_signo = wanted, .si_code = SI_USER };
    }
    return wanted;
}

static void deliver(GuestThread *t, int sig, const siginfo_t *info)
{
    GuestSigaction act = take_action(t, sig);
    if (log_enabled(LOG_STRACE)) {
        strace_signal(t, sig, info);
    }
    log_item(LOG_INT, "signal %d code %d at pc %016llx\n", sig, info->si_code,
             (unsigned long long)t->cpu->env.pc);
    if (act.handler == SIG_IGN_GUEST) {
        return;
    }
    if (act.handler == SIG_DFL_GUEST) {
        default_action(t, sig, info);
        return;
    }
    if (t->trace) {
        tracee_finish_interrupted(t, &act);
    }
    rseq_update(t);
    SigSet saved = t->restore_sigmask ? t->saved_sigmask : t->sigmask;
    if (!user_process.abi->setup_frame(t, sig, info, &act, saved,
                                       user_process.sigreturn_addr)) {
        /* No room for the frame: a fault of its own, unless that is what it was. */
        if (sig == SIGSEGV) {
            signal_die(t, SIGSEGV, info);
        }
        signal_deliver_fault(t, SIGSEGV, SI_KERNEL, 0);
        return;
    }
    t->restore_sigmask = false;
    SigSet blocked = act.mask | (act.flags & SA_NODEFER ? 0 : SIG_BIT(sig));
    t->sigmask = (t->sigmask | blocked) & ~NEVER_BLOCKED;
}

/* One signal from the slot or from `held`, if the guest lets it through. */
static bool deliver_one(GuestThread *t)
{
    siginfo_t info;
    int sig;
    if (__atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED)) {
        __atomic_signal_fence(__ATOMIC_ACQUIRE);
        sig = t->pending_sig;
        info = t->pending_info;
        __atomic_store_n(&t->signal_pending, 0, __ATOMIC_RELAXED);
        if (!sig) {
            return true;        /* there is only a call of the tracer's */
        }
        if (t->sigmask & SIG_BIT(sig)) {
            /* Blocked since it was noted.  Everything is blocked in the host now. */
            if (SIG_BIT(sig) & HOST_OPEN) {
                hold_sigsafe(t, sig, &info);
            } else {
                requeue_sigsafe(t, sig, &info);
            }
            return true;
        }
    } else {
        SigSet ready = t->held & ~t->sigmask;
        if (!ready) {
            return false;
        }
        sig = ready & SIG_BIT(SIGBUS) ? SIGBUS : ready & SIG_BIT(SIGSEGV) ? SIGSEGV : SIGSTOP;
        info = *held_info(t, sig);
        t->held &= ~SIG_BIT(sig);
    }
    if (debugger_lets_pass(t, &sig, &info, false)) {
        deliver(t, sig, &info);
    }
    return true;
}

void signal_deliver_pending(GuestThread *t)
{
    if (!__atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED) && !(t->held & ~t->sigmask)) {
        return;
    }
    do {
        do {
            tracee_answer_call(t);
        } while (deliver_one(t));
        if (t->trace) {
            tracee_forget_interrupted(t);
        }
        if (t->restore_sigmask) {
            t->sigmask = t->saved_sigmask;
            t->restore_sigmask = false;
        }
        set_host_mask(t, t->sigmask);
    } while (__atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED));
}

void signal_deliver_fault(GuestThread *t, int sig, int code, uint64_t addr)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = sig;
    info.si_code = code;
    info.si_addr = (void *)(uintptr_t)addr;
    log_item(LOG_INT, "fault: signal %d code %d address %016llx at pc %016llx\n", sig, code,
             (unsigned long long)addr, (unsigned long long)t->cpu->env.pc);
    signal_deliver_forced(t, &info);
}

void signal_deliver_forced(GuestThread *t, const siginfo_t *forced)
{
    siginfo_t changed = *forced, *info = &changed;
    int sig = info->si_signo;
    if (!debugger_lets_pass(t, &sig, info, true)) {
        return;
    }
    mutex_lock(&t->sighand->lock);
    uint64_t handler = t->sighand->action[sig - 1].handler;
    mutex_unlock(&t->sighand->lock);
    bool same = sig == forced->si_signo;        /* another one, of a debugger's, is like any other */
    if (same && (handler <= SIG_IGN_GUEST || (t->sigmask & SIG_BIT(sig)))) {
        if (log_enabled(LOG_STRACE)) {
            strace_signal(t, sig, info);
        }
        signal_die(t, sig, info);
    }
    deliver(t, sig, info);
    set_host_mask(t, t->sigmask);
}

bool signal_pending_wants_eintr(GuestThread *t)
{
    if (!__atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED)) {
        return false;
    }
    __atomic_signal_fence(__ATOMIC_ACQUIRE);
    if (!t->pending_sig) {
        return false;
    }
    mutex_lock(&t->sighand->lock);
    GuestSigaction act = t->sighand->action[t->pending_sig - 1];
    mutex_unlock(&t->sighand->lock);
    return act.handler > SIG_IGN_GUEST && !(act.flags & SA_RESTART);
}

/* ---- alternate stack ---- */

bool signal_on_altstack(const GuestThread *t, uint64_t sp)
{
    const GuestStack *ss = &t->altstack;
    return !(ss->flags & SS_AUTODISARM) && !(ss->flags & SS_DISABLE) && sp > ss->sp &&
           sp - ss->sp <= ss->size;
}

uint64_t signal_frame_address(GuestThread *t, const GuestSigaction *act, uint64_t sp,
                              uint64_t size)
{
    bool on = signal_on_altstack(t, sp);
    if (on && !signal_on_altstack(t, sp - size)) {
        return 0;       /* overflow of the alternate stack */
    }
    if ((act->flags & SA_ONSTACK) && !on && !(t->altstack.flags & SS_DISABLE)) {
        sp = t->altstack.sp + t->altstack.size;
    }
    return (sp - size) & ~15ull;
}

GuestStack signal_get_altstack(GuestThread *t, uint64_t sp)
{
    GuestStack ss = t->altstack;
    if (signal_on_altstack(t, sp)) {
        ss.flags |= SS_ONSTACK;
    }
    return ss;
}

void signal_autodisarm(GuestThread *t)
{
    if (t->altstack.flags & SS_AUTODISARM) {
        t->altstack = (GuestStack){ .flags = SS_DISABLE };
    }
}

int64_t signal_set_altstack(GuestThread *t, const GuestStack *ss, uint64_t sp)
{
    int mode = ss->flags & ~SS_AUTODISARM;
    if (signal_on_altstack(t, sp)) {
        return -EPERM;
    }
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0) {
        return -EINVAL;
    }
    if (mode == SS_DISABLE) {
        t->altstack = (GuestStack){ .flags = ss->flags };
        return 0;
    }
    if (ss->size < user_process.abi->minsigstksz) {
        return -ENOMEM;
    }
    t->altstack = (GuestStack){ .sp = ss->sp, .size = ss->size,
                                .flags = ss->flags & SS_AUTODISARM };
    return 0;
}

/* ---- dispositions ---- */

void signal_reset_for_clear_sighand(GuestThread *t)
{
    mutex_lock(&t->sighand->lock);
    for (int sig = 1; sig <= GUEST_NSIG; sig++) {
        GuestSigaction *act = &t->sighand->action[sig - 1];
        if (act->handler > SIG_IGN_GUEST) {
            *act = (GuestSigaction){ 0 };
            install_locked(t->sighand, sig);
        }
    }
    mutex_unlock(&t->sighand->lock);
}

int64_t sys_rt_sigaction(GuestThread *t, const uint64_t a[6])
{
    int sig = (int)a[0];
    GuestSigaction new_act = { 0 };
    if (a[3] != sizeof(SigSet) || sig < 1 || sig > GUEST_NSIG) {
        return -EINVAL;
    }
    if (a[1]) {
        if (SIG_BIT(sig) & NEVER_BLOCKED) {
            return -EINVAL;
        }
        if (!user_read(&new_act, a[1], sizeof(new_act))) {
            return -EFAULT;
        }
        new_act.mask &= ~NEVER_BLOCKED;
    }
    mutex_lock(&t->sighand->lock);
    GuestSigaction old = t->sighand->action[sig - 1];
    if (a[1]) {
        t->sighand->action[sig - 1] = new_act;
        install_locked(t->sighand, sig);
    }
    mutex_unlock(&t->sighand->lock);
    return !a[2] || user_write(a[2], &old, sizeof(old)) ? 0 : -EFAULT;
}
