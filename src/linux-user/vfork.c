/*
 * Processes that share all memory with their parent, braid's included.
 *
 * vfork (CLONE_VM with CLONE_VFORK): the child borrows the record, the CPU and the thread-local
 * storage of its parent, whose host thread sleeps in the kernel until the child executes a program
 * or ends.  It runs a loop of its own on a stack of its own; what it changes in the record is put
 * back when the parent wakes.
 *
 * CLONE_VM alone: the child has a record and a CPU of its own, and as thread-local storage that of a host
 * thread of its parent, made for it, which calls vfork() in this sense and clears up when the child is gone.
 *
 * A process that ends takes its threads out of the world wherever they are, and in a shared memory the locks
 * they hold stay behind.  So such processes catch the signals that would end them, and end between two
 * guest instructions; exit_group() stops the other threads first (process_leave_memory()).  SIGKILL cannot be
 * caught: then the sleeping thread, whose storage the child used, finds there which locks it held
 * (cpu_abandon()).  What is left to luck is a child killed in the middle of the C library's
 * malloc(), of a change to the map of guest memory, or a parent killed while its child lives on.
 */
#include "linux-user/clone.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "linux-user/process.h"
#include "linux-user/ptrace.h"
#include "linux-user/seccomp.h"
#include "linux-user/syscall.h"
#include "linux-user/user-signal.h"
#include "util/error.h"
#include "util/futex.h"
#include "util/vec.h"

#define HELPER_STACK (64u << 10)
/* What braid sees to itself. */
#define OWN_FLAGS                                                                        \
    (CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID |    \
     CLONE_PIDFD | CLONE_DETACHED | CLONE_CLEAR_SIGHAND)

int64_t clone3_asm(const CloneArgs *args, size_t size, int (*fn)(void *), void *arg);

uint64_t clone_host_flags(const CloneArgs *c)
{
    return c->flags & ~(uint64_t)OWN_FLAGS;
}

pid_t clone_host_process(const CloneArgs *c, void *stack, int (*fn)(void *), void *arg, pid_t *pid)
{
    uint64_t flags = clone_host_flags(c) | (pid ? CLONE_PARENT_SETTID : 0);
    if (c->set_tid_size || flags & (CLONE_INTO_CGROUP | CLONE_NEWTIME)) {
        CloneArgs h = {
            .flags = flags,
            .parent_tid = (uintptr_t)pid,
            .exit_signal = c->exit_signal,
            .stack = (uintptr_t)stack,
            .stack_size = stack ? STACK_OF_CHILD : 0,
            .set_tid = c->set_tid,
            .set_tid_size = c->set_tid_size,
            .cgroup = c->cgroup,
        };
        int64_t ret = stack ? clone3_asm(&h, sizeof(h), fn, arg)
                            : host_syscall(SYS_clone3, &h, sizeof(h));
        errno = ret < 0 ? (int)-ret : 0;
        return ret < 0 ? -1 : (pid_t)ret;
    }
    flags |= c->exit_signal;
    return stack ? clone(fn, (uint8_t *)stack + STACK_OF_CHILD, (int)flags, arg, pid)
                 : (pid_t)syscall(SYS_clone, flags, 0, pid, NULL, 0);
}

static void *stack_new(void)
{
    void *p = mmap(NULL, STACK_OF_CHILD, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void count_sharer(int change)
{
    __atomic_add_fetch(&user_process.sharers, (uint32_t)change, __ATOMIC_RELAXED);
}

/* ---- the end of such a process ---- */

typedef struct GroupWalk {
    ThreadGroup *group;
    Vec(CPUState *) cpus;
} GroupWalk;

static void collect(CPUState *cpu, void *opaque)
{
    GroupWalk *w = opaque;
    GuestThread *t = thread_of(cpu);
    if (t && t->group == w->group) {
        vec_push(&w->cpus, cpu);
    }
}

static void park(CPUState *cpu, void *opaque)
{
    GuestThread *t = thread_of(cpu);
    if (t && t->group == opaque) {
        cpu_park(cpu);
    }
}

void process_leave_memory(GuestThread *t)
{
    if (!__atomic_load_n(&user_process.sharers, __ATOMIC_RELAXED) ||
        __atomic_load_n(&t->group->nthreads, __ATOMIC_RELAXED) <= 1) {
        return;
    }
    fork_prepare(t);
    cpu_foreach_locked(park, t->group);
    fork_done(t, false);
}

/*
 * The process is dead, or has executed another program: what its threads did not clear up.  On the host thread whose
 * storage its first thread used.
 */
static void group_bury(ThreadGroup *group)
{
    GroupWalk w = { .group = group };
    cpu_foreach(collect, &w);
    for (size_t i = 0; i < w.cpus.len; i++) {
        cpu_abandon(w.cpus.data[i]);
    }
    for (size_t i = 0; i < w.cpus.len; i++) {
        CPUState *cpu = w.cpus.data[i];
        GuestThread *t = thread_of(cpu);
        if (t->in_vfork_child) {
            continue;
        }
        thread_clear_child_tid(t);
        if (t->exec_request) {
            execve_abandon(t->exec_request);
        }
        signal_thread_gone(t);
        cpu->user_data = NULL;
        cpu_destroy(cpu);
        thread_free(t);
    }
    vec_free(&w.cpus);
}

/* The first thread may have left before the others. */
static void wait_for_group(const ThreadGroup *group, pid_t pid)
{
    if (!__atomic_load_n(&group->leader_left, __ATOMIC_RELAXED)) {
        return;     /* it has ended or executed a program, and with it all of them */
    }
    struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
    if (p.fd < 0) {
        return;
    }
    while (poll(&p, 1, -1) < 0 && errno == EINTR) {
    }
    close(p.fd);
}

/* ---- vfork ---- */

typedef struct VforkStart {
    GuestThread *t;
    const CloneArgs *args;
    SigHand *sighand;       /* the child's; not made by the child, which may be killed inside malloc() */
    ThreadGroup group;
} VforkStart;

static SigHand *sighand_for_child(const GuestThread *t, const CloneArgs *c)
{
    return c->flags & CLONE_SIGHAND ? sighand_share(t->sighand) : sighand_copy(t->sighand);
}

/* What both kinds of children begin with, in the child. */
static void begin_process(GuestThread *t, const CloneArgs *c)
{
    t->tid = (pid_t)syscall(SYS_gettid);
    if (c->flags & CLONE_CLEAR_SIGHAND) {
        signal_reset_for_clear_sighand(t);
    }
    signal_catch_deadly(t);
    if (c->flags & CLONE_CHILD_SETTID) {
        user_write_u32(c->child_tid, (uint32_t)t->tid);
    }
}

static int vfork_main(void *opaque)
{
    VforkStart *s = opaque;
    GuestThread *t = s->t;
    const CloneArgs *c = s->args;
    SigSet parents;
    signal_block_all(&parents);     /* but not those that braid needs */
    t->sighand = s->sighand;
    t->trace = t->trace_memory = tracee_for_child(t, c->flags, (int)c->exit_signal);
    t->traced = NULL;
    t->group = &s->group;
    t->in_vfork_child = true;
    t->rseq = 0;
    t->held = 0;
    t->robust_list = 0;
    t->clear_child_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
    user_process.abi->init_child(t->cpu, c->stack ? c->stack + c->stack_size : 0,
                                 c->flags & CLONE_SETTLS, c->tls);
    begin_process(t, c);
    tracee_child_begins(t);
    signal_set_mask(t, t->sigmask);
    cpu_loop(t->cpu);
    _exit(0);
}

/* Whatever became of the child: the record and the CPU are the parent's again. */
static void take_back(GuestThread *t, const GuestThread *saved)
{
    if (t->exec_request) {
        execve_abandon(t->exec_request);
    }
    if (t->trace_memory != saved->trace_memory) {
        tracee_free(t);
    }
    if (t->traced != saved->traced) {
        tracer_free(t);
    }
    *t = *saved;
    cpu_abandon(t->cpu);
}

int64_t clone_vfork(GuestThread *t, const CloneArgs *c)
{
    CPUState *cpu = t->cpu, *regs = xcalloc(1, cpu->guest->cpu_size);
    SigSet old;
    void *stack = stack_new();
    if (!stack) {
        free(regs);
        return -ENOMEM;
    }
    tracee_prepare_vfork(t, c->flags);
    signal_block_all(&old);
    int64_t ret = -BRAID_NOT_STARTED;
    if (!__atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED)) {
        VforkStart s = { t, c, sighand_for_child(t, c), { .nthreads = 1, .leader_left = 0 } };
        GuestThread saved = *t;
        cpu->guest->cpu_clone(regs, cpu);
        uint64_t pc = cpu->env.pc;
        /* What a tracer sends meanwhile must not be written into the record before it is the parent's. */
        SigSet all = ~(SigSet)0;
        host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
        count_sharer(1);
        pid_t pid = clone_host_process(c, stack, vfork_main, &s, NULL);
        ret = pid < 0 ? -errno : pid;
        if (pid > 0) {
            wait_for_group(&s.group, pid);
            take_back(t, &saved);
            signal_block_all(NULL);
            group_bury(&s.group);
            cpu->guest->cpu_clone(cpu, regs);
            cpu->env.pc = pc;
            clone_parent_results(c, pid);
        }
        sighand_drop(s.sighand);
        count_sharer(-1);
        signal_restore_host(old);
    }
    tracee_end_vfork(t, c->flags, (pid_t)ret);
    munmap(stack, STACK_OF_CHILD);
    free(regs);
    return ret;
}

/* ---- CLONE_VM alone ---- */

/* On the caller's stack; nobody looks at it after `ready`. */
typedef struct SharingStart {
    GuestThread *t;
    const CloneArgs *args;
    uint32_t ready;         /* atomic: 1 once pid is valid and the ids are written */
    pid_t pid;              /* or -errno */
} SharingStart;

/* On the helper's stack. */
typedef struct SharingChild {
    SharingStart *start;
    ThreadGroup group;
    pid_t pid;
} SharingChild;

static void sharing_ready(SharingStart *s)
{
    /* [SHARING-READY] pairs with clone_sharing(). */
    __atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
    futex_wake_all(&s->ready);
}

static int sharing_main(void *opaque)
{
    SharingChild *child = opaque;
    GuestThread *t = child->start->t;
    cpu_thread_init(t->cpu);
    signal_thread_init(t, NULL);
    begin_process(t, child->start->args);
    child->start->pid = child->pid;
    sharing_ready(child->start);
    tracee_child_begins(t);
    signal_set_mask(t, t->sigmask);
    cpu_loop(t->cpu);
    _exit(0);
}

static void *sharing_helper(void *opaque)
{
    SharingStart *s = opaque;
    SharingChild child = { .start = s, .group.nthreads = 1 };
    SigHand *sighand = s->t->sighand;
    CloneArgs c = *s->args;
    void *stack = stack_new();
    c.flags |= CLONE_VFORK;
    s->t->group = &child.group;
    pid_t pid = stack ? clone_host_process(&c, stack, sharing_main, &child, &child.pid) : -1;
    if (pid < 0) {
        s->pid = stack ? -errno : -ENOMEM;
        sharing_ready(s);
    } else {
        wait_for_group(&child.group, pid);
        group_bury(&child.group);
        sighand_drop(sighand);
    }
    if (stack) {
        munmap(stack, STACK_OF_CHILD);
    }
    count_sharer(-1);
    return NULL;
}

/* NULL: no memory. */
static GuestThread *make_child_record(GuestThread *t, const CloneArgs *c)
{
    CPUState *child = cpu_create(t->cpu->guest);
    if (!child) {
        return NULL;
    }
    t->cpu->guest->cpu_clone(child, t->cpu);
    user_process.abi->init_child(child, c->stack ? c->stack + c->stack_size : 0,
                                 c->flags & CLONE_SETTLS, c->tls);
    GuestThread *ct = thread_new(child);
    ct->is_main = true;
    ct->group = t->group;
    ct->sighand = sighand_for_child(t, c);
    ct->sigmask = t->sigmask;
    seccomp_inherit(ct, t);
    /* The host makes it by a vfork. */
    ct->trace = ct->trace_memory = tracee_for_child(t, c->flags | CLONE_VFORK, SIGCHLD);
    ct->clear_child_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
    return ct;
}

int64_t clone_sharing(GuestThread *t, const CloneArgs *c)
{
    SigSet old;
    exec_set_parallel(t->cpu);
    signal_block_all(&old);
    /* This process must not die with locks either, while the child lives. */
    signal_catch_deadly(t);
    GuestThread *ct = make_child_record(t, c);
    if (!ct) {
        signal_restore_host(old);
        return -ENOMEM;
    }
    SharingStart s = { .t = ct, .args = c };
    count_sharer(1);
    int err = host_thread_start(sharing_helper, &s, HELPER_STACK);
    if (err) {
        count_sharer(-1);
        s.pid = -err;
    } else {
        /* [SHARING-READY] */
        while (!__atomic_load_n(&s.ready, __ATOMIC_ACQUIRE)) {
            futex_wait(&s.ready, 0, NULL);
        }
    }
    if (s.pid < 0) {
        ct->cpu->user_data = NULL;
        cpu_destroy(ct->cpu);
        sighand_drop(ct->sighand);
        thread_free(ct);
    } else {
        clone_parent_results(c, s.pid);
    }
    signal_restore_host(old);
    tracee_clone_event(t, c->flags, (int)c->exit_signal, s.pid);
    return s.pid;
}
