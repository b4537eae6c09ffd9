/*
 * Threads and fork.
 *
 * A guest thread is a detached host thread.  It ends by returning from its first function, for a
 * statically linked pthread_exit() cannot unwind; the first thread of a process ends by the bare
 * system call, as a thread group's leader may.
 *
 * fork() goes through the host C library's fork(), which makes malloc usable in the child, between
 * exec_fork_prepare() and its counterparts.  Locks that rank after the exclusive section are then
 * tried, not waited for: their holders are outside cpu_exec() and will give them back, and if
 * one is busy everything is released and begun anew.
 *
 * Processes that share memory with their parent are vfork.c's.
 */
#include "linux-user/clone.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "linux-user/io-uring.h"
#include "linux-user/limits.h"
#include "linux-user/process.h"
#include "linux-user/ptrace.h"
#include "linux-user/seccomp.h"
#include "linux-user/user-signal.h"
#include "linux-user/syscall.h"
#include "util/error.h"
#include "util/fork.h"
#include "util/futex.h"
#include "util/log.h"
#include "util/own-fd.h"

#define THREAD_STACK ((1u << 20) + HOST_ALTSTACK_SIZE)
#define HOST_SIGSETXID 33
#define THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_ARGS_SIZE_VER0 64
#define MAX_SET_TID 32              /* depth of pid namespaces */

/* ---- records ---- */

GuestThread *thread_new(CPUState *cpu)
{
    GuestThread *t = xcalloc(1, sizeof(*t));
    t->cpu = cpu;
    cpu->user_data = t;
    return t;
}

void thread_free(GuestThread *t)
{
    tracee_free(t);
    tracer_free(t);
    free(t);
}

/* ---- the end of a thread ---- */

/* One entry of a robust list: if this thread holds the mutex, its owner is dead. */
static void robust_release(GuestThread *t, uint64_t futex, bool pi)
{
    uint32_t val, seen;
    if (!user_read_u32(futex, &val)) {
        return;
    }
    while ((val & FUTEX_TID_MASK) == (uint32_t)t->tid) {
        uint32_t dead = (val & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (!user_cmpxchg32(futex, val, dead, &seen)) {
            return;
        }
        if (seen == val) {
            if (!pi && (val & FUTEX_WAITERS)) {
                syscall(SYS_futex, g2h(futex), FUTEX_WAKE, 1, NULL, NULL, 0);
            }
            return;
        }
        val = seen;
    }
}

/* The list that set_robust_list(2) announced: get_robust_list(2) has the layout. */
void thread_release_robust_list(GuestThread *t)
{
    uint64_t head = t->robust_list, entry, offset, pending;
    if (!head || !user_read_u64(head, &entry) || !user_read_u64(head + 8, &offset) ||
        !user_read_u64(head + 16, &pending)) {
        return;
    }
    for (unsigned limit = 2048; limit && (entry & ~1ull) != head; limit--) {
        uint64_t next;
        bool ok = user_read_u64(entry & ~1ull, &next);
        if ((entry & ~1ull) != (pending & ~1ull)) {
            robust_release(t, (entry & ~1ull) + offset, entry & 1);
        }
        if (!ok) {
            return;
        }
        entry = next;
    }
    if (pending & ~1ull) {
        robust_release(t, (pending & ~1ull) + offset, pending & 1);
    }
}

void thread_clear_child_tid(GuestThread *t)
{
    uint64_t addr = t->clear_child_tid;
    t->clear_child_tid = 0;
    if (addr && user_write_u32(addr, 0)) {
        syscall(SYS_futex, g2h(addr), FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

void process_announce_end(GuestThread *t, int status, int sig)
{
    const LinuxUserOptions *opt = user_process.opt;
    if (t->in_vfork_child) {
        return;
    }
    if (opt->at_exit) {
        opt->at_exit();
    }
    if (opt->debugger) {
        opt->debugger->exit(status, sig);
    }
}

_Noreturn void process_exit(GuestThread *t, int status)
{
    process_announce_end(t, status, 0);
    process_leave_memory(t);
    for (;;) {
        syscall(SYS_exit_group, status);
    }
}

void thread_end(GuestThread *t)
{
    SigSet old;
    signal_block_all(&old);
    thread_release_robust_list(t);
    /* The kernel must not look at the list again: its memory may soon be somebody else's. */
    syscall(SYS_set_robust_list, NULL, 24);
    CPUState *cpu = t->cpu;
    bool is_main = t->is_main;
    uint64_t ctid = t->clear_child_tid;
    signal_thread_end(t);
    cpu->user_data = NULL;
    cpu_destroy(cpu);
    /* From here on the guest may think the thread gone. */
    t->clear_child_tid = ctid;
    thread_clear_child_tid(t);
    thread_free(t);
    if (is_main) {
        for (;;) {
            syscall(SYS_exit, 0);
        }
    }
}

int64_t sys_exit(GuestThread *t, const uint64_t a[6])
{
    tracee_exit_event(t, (int)(a[0] & 0xff) << 8);
    /* [NTHREADS] the last to leave sees everybody else's decrement. */
    if (__atomic_sub_fetch(&t->group->nthreads, 1, __ATOMIC_ACQ_REL) == 0) {
        thread_release_robust_list(t);
        thread_clear_child_tid(t);
        process_exit(t, (int)a[0]);
    }
    if (t->is_main || t->in_vfork_child) {
        __atomic_store_n(&t->group->leader_left, 1, __ATOMIC_RELAXED);
    }
    if (t->in_vfork_child) {
        /* Its record stays, for the parent to take back. */
        thread_release_robust_list(t);
        thread_clear_child_tid(t);
        for (;;) {
            syscall(SYS_exit, (int)a[0]);
        }
    }
    t->exiting = true;
    return -BRAID_NO_RESULT;
}

int64_t sys_exit_group(GuestThread *t, const uint64_t a[6])
{
    tracee_exit_event(t, (int)(a[0] & 0xff) << 8);
    process_exit(t, (int)a[0]);
}

/* ---- threads ---- */

typedef struct ThreadStart {
    GuestThread *t;
    const CloneArgs *args;
    uint32_t ready;         /* atomic: 1 once tid is valid and the ids are written */
    pid_t tid;
} ThreadStart;

/*
 * The thread's signal stack: the low end of its stack.  Who runs over either end of it meets the guard page of both, and a
 * thread has one mapping and one guard page fewer, of which a process can have only so many.
 */
static void *low_end_of_stack(void)
{
    pthread_attr_t attr;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attr)) {
        return NULL;
    }
    pthread_attr_getstack(&attr, &low, &size);
    pthread_attr_destroy(&attr);
    return low;
}

static void *thread_main(void *opaque)
{
    ThreadStart *s = opaque;
    GuestThread *t = s->t;
    const CloneArgs *c = s->args;
    cpu_thread_init(t->cpu);
    signal_thread_init(t, low_end_of_stack());
    t->tid = (pid_t)syscall(SYS_gettid);
    /* The first pthread_create() takes this signal for the host C library. */
    signal_reinstall(t, HOST_SIGSETXID);
    if (!(c->flags & CLONE_FILES)) {
        unshare(CLONE_FILES);
    }
    if (!(c->flags & CLONE_FS)) {
        unshare(CLONE_FS);
    }
    if (c->flags & CLONE_CHILD_SETTID) {
        user_write_u32(c->child_tid, (uint32_t)t->tid);
    }
    if (c->flags & CLONE_PARENT_SETTID) {
        user_write_u32(c->parent_tid, (uint32_t)t->tid);
    }
    s->tid = t->tid;
    /* [THREAD-READY] pairs with clone_thread(); `s` and `c` are gone after it. */
    __atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
    futex_wake_all(&s->ready);
    tracee_child_begins(t);
    signal_set_mask(t, t->sigmask);
    cpu_loop(t->cpu);
    return NULL;
}

int host_thread_start(void *(*fn)(void *), void *arg, size_t stack_size)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, stack_size);
    int err = pthread_create(&thread, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return err;
}

static int64_t clone_thread(GuestThread *t, const CloneArgs *c)
{
    CPUState *cpu = t->cpu;
    SigSet old;
    exec_set_parallel(cpu);
    signal_block_all(&old);
    CPUState *child = cpu_create(cpu->guest);
    if (!child) {
        signal_restore_host(old);
        return -EAGAIN;
    }
    cpu->guest->cpu_clone(child, cpu);
    user_process.abi->init_child(child, c->stack ? c->stack + c->stack_size : 0,
                                 c->flags & CLONE_SETTLS, c->tls);
    GuestThread *ct = thread_new(child);
    ct->sighand = t->sighand;
    ct->group = t->group;
    ct->sigmask = t->sigmask;
    seccomp_inherit(ct, t);
    ct->trace = ct->trace_memory = tracee_for_child(t, c->flags, (int)c->exit_signal);
    ct->clear_child_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
    ThreadStart s = { .t = ct, .args = c };
    __atomic_add_fetch(&t->group->nthreads, 1, __ATOMIC_RELAXED);
    int err = host_thread_start(thread_main, &s, THREAD_STACK);
    if (err) {
        __atomic_sub_fetch(&t->group->nthreads, 1, __ATOMIC_RELAXED);
        child->user_data = NULL;
        cpu_destroy(child);
        thread_free(ct);
        signal_restore_host(old);
        return -err;
    }
    /* [THREAD-READY] */
    while (!__atomic_load_n(&s.ready, __ATOMIC_ACQUIRE)) {
        futex_wait(&s.ready, 0, NULL);
    }
    signal_restore_host(old);
    tracee_clone_event(t, c->flags, (int)c->exit_signal, s.tid);
    return s.tid;
}

/* ---- fork ---- */

void fork_prepare(GuestThread *t)
{
    for (;;) {
        exec_fork_prepare(t->cpu);
        if (mmap_trylock()) {
            if (mutex_trylock(&t->sighand->lock)) {
                break;
            }
            mmap_unlock();
        }
        exec_fork_parent(t->cpu);
        mmap_lock();
        mmap_unlock();
        sched_yield();
    }
    util_fork_prepare();
    io_uring_fork_prepare();
}

void fork_done(GuestThread *t, bool child)
{
    io_uring_fork_done();
    if (child) {
        util_fork_child();
    } else {
        util_fork_parent();
    }
    mutex_unlock(&t->sighand->lock);
    mmap_unlock();
    if (child) {
        exec_fork_child(t->cpu);
    } else {
        exec_fork_parent(t->cpu);
    }
}

static void become_child(GuestThread *t, const CloneArgs *c)
{
    t->tid = (pid_t)syscall(SYS_gettid);
    t->is_main = true;
    t->held = 0;
    tracer_free(t);
    struct Tracee *trace = tracee_for_child(t, c->flags, (int)c->exit_signal);
    tracee_free(t);
    t->trace = t->trace_memory = trace;
    t->robust_list = 0;
    memset(t->rings, 0, sizeof(t->rings));
    t->clear_child_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
    t->in_vfork_child = false;
    t->group = &user_process.group;
    t->group->nthreads = 1;
    user_process.sharers = 0;
    limits_fork_child();
    seccomp_fork_child();
    if (c->flags & CLONE_CLEAR_SIGHAND) {
        signal_reset_for_clear_sighand(t);
    }
    user_process.abi->init_child(t->cpu, c->stack ? c->stack + c->stack_size : 0,
                                 c->flags & CLONE_SETTLS, c->tls);
    if (c->flags & CLONE_CHILD_SETTID) {
        user_write_u32(c->child_tid, (uint32_t)t->tid);
    }
}

/* What the parent owes to the caller of clone() once the child exists. */
void clone_parent_results(const CloneArgs *c, pid_t pid)
{
    if (c->flags & CLONE_PARENT_SETTID) {
        user_write_u32(c->parent_tid, (uint32_t)pid);
    }
    if (c->flags & CLONE_PIDFD) {
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        user_write_u32(c->pidfd, (uint32_t)fd);
    }
}

static int64_t clone_fork(GuestThread *t, const CloneArgs *c)
{
    SigSet old;
    signal_block_all(&old);
    if (__atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED)) {
        return -BRAID_NOT_STARTED;  /* both would have it; delivery opens the mask again */
    }
    uint64_t flags = clone_host_flags(c);
    const UserDebugger *debugger = user_process.opt->debugger;
    bool told = debugger && !(flags & CLONE_NEWPID) && debugger->fork_begin();
    fork_prepare(t);
    /* Plain forks through the C library, which has locks of its own to see to. */
    pid_t pid = !flags && c->exit_signal == SIGCHLD && !c->set_tid_size
                    ? fork() : clone_host_process(c, NULL, NULL, NULL, NULL);
    int err = errno;
    fork_done(t, pid == 0);
    if (pid == 0) {
        become_child(t, c);
        if (debugger) {
            debugger->fork_child(t->cpu, told);
        }
        tracee_child_begins(t);
        signal_set_mask(t, t->sigmask);
        return -BRAID_NO_RESULT;
    }
    if (pid > 0) {
        clone_parent_results(c, pid);
    }
    if (told) {
        debugger->fork_parent(t->cpu, pid);
    }
    signal_restore_host(old);
    tracee_clone_event(t, c->flags, (int)c->exit_signal, pid);
    return pid < 0 ? -err : pid;
}

/* ---- the system calls ---- */

static int64_t clone_common(GuestThread *t, const CloneArgs *c)
{
    uint64_t f = c->flags;
    if ((f & CLONE_THREAD && !(f & CLONE_SIGHAND)) || (f & CLONE_SIGHAND && !(f & CLONE_VM)) ||
        (f & CLONE_FS && f & (CLONE_NEWNS | CLONE_NEWUSER))) {
        return -EINVAL;
    }
    if ((f & THREAD_FLAGS) == THREAD_FLAGS) {
        if (c->set_tid_size || f & (CLONE_INTO_CGROUP | CLONE_PIDFD)) {
            log_item(LOG_UNIMP, "clone: set_tid, cgroup and pidfd of a thread\n");
            return -EINVAL;
        }
        return clone_thread(t, c);
    }
    if (!(f & CLONE_VM)) {
        return clone_fork(t, c);
    }
    if (f & CLONE_VFORK) {
        return clone_vfork(t, c);
    }
    return clone_sharing(t, c);
}

int64_t sys_clone(GuestThread *t, const uint64_t a[6])
{
    CloneArgs c = {
        .flags = (uint32_t)a[0] & ~(uint32_t)CSIGNAL,
        .exit_signal = a[0] & CSIGNAL,
        .stack = a[1],
        .parent_tid = a[2],
        .pidfd = a[2],
        .tls = a[3],
        .child_tid = a[4],
    };
    if (c.flags & CLONE_PIDFD && c.flags & CLONE_PARENT_SETTID) {
        return -EINVAL;
    }
    return clone_common(t, &c);
}

static bool clone3_args_ok(const CloneArgs *c)
{
    const uint64_t known = 0xffffffffull | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;
    uint64_t f = c->flags;
    return !(f & ~known) && !(f & (CLONE_DETACHED | (CSIGNAL & ~(uint64_t)CLONE_NEWTIME))) &&
           !(f & CLONE_SIGHAND && f & CLONE_CLEAR_SIGHAND) &&
           !(f & (CLONE_THREAD | CLONE_PARENT) && c->exit_signal) &&
           c->exit_signal <= GUEST_NSIG && !c->stack == !c->stack_size &&
           c->set_tid_size <= MAX_SET_TID && !c->set_tid == !c->set_tid_size &&
           !(f & CLONE_INTO_CGROUP && c->cgroup > INT_MAX);
}

int64_t sys_clone3(GuestThread *t, const uint64_t a[6])
{
    CloneArgs c = { 0 };
    uint8_t rest;
    if (a[1] < CLONE_ARGS_SIZE_VER0) {
        return -EINVAL;
    }
    if (a[1] > USER_PAGE_SIZE) {
        return -E2BIG;
    }
    if (!user_read(&c, a[0], a[1] < sizeof(c) ? a[1] : sizeof(c))) {
        return -EFAULT;
    }
    for (uint64_t i = sizeof(c); i < a[1]; i++) {
        if (!user_read(&rest, a[0] + i, 1)) {
            return -EFAULT;
        }
        if (rest) {
            return -E2BIG;
        }
    }
    if (!clone3_args_ok(&c)) {
        return -EINVAL;
    }
    if (c.flags & CLONE_INTO_CGROUP && own_fd_is((int)c.cgroup)) {
        return -EBADF;
    }
    pid_t tids[MAX_SET_TID];
    if (!user_read(tids, c.set_tid, c.set_tid_size * sizeof(*tids))) {
        return -EFAULT;
    }
    c.set_tid = c.set_tid_size ? (uintptr_t)tids : 0;
    return clone_common(t, &c);
}

int64_t sys_set_tid_address(GuestThread *t, const uint64_t a[6])
{
    t->clear_child_tid = a[0];
    return t->tid;
}

int64_t sys_set_robust_list(GuestThread *t, const uint64_t a[6])
{
    if (a[1] != 24) {
        return -EINVAL;
    }
    t->robust_list = a[0];
    t->robust_list_len = a[1];
    /* Should the process be killed, the kernel walks the list itself, if it can read it. */
    return user_mem.guest_base ? 0 : host_syscall(SYS_set_robust_list, g2h(a[0]), a[1]);
}

int64_t sys_get_robust_list(GuestThread *t, const uint64_t a[6])
{
    uint64_t head = t->robust_list, len = 24;
    if (a[0] && (pid_t)a[0] != t->tid) {
        if (user_mem.guest_base) {
            return -EPERM;
        }
        int64_t ret = host_syscall(SYS_get_robust_list, (int)a[0], &head, &len);
        if (ret) {
            return ret;
        }
    }
    return user_write_u64(a[1], head) && user_write_u64(a[2], len) ? 0 : -EFAULT;
}
