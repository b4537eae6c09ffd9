/*
 * What clone.c and vfork.c share: the parsed call, and the host's part of making a process.
 */
#ifndef LINUX_USER_CLONE_H
#define LINUX_USER_CLONE_H

#include <sched.h>

#include "linux-user/process-control.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ull
#endif

/* The kernel's struct clone_args; addresses are the guest's, but set_tid is the host's. */
typedef struct CloneArgs {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size, cgroup;
} CloneArgs;

/* The flags that are left to the host's kernel; braid sees to the others itself. */
uint64_t clone_host_flags(const CloneArgs *c);
/*
 * Make a process.  With `stack`, the lower end of STACK_OF_CHILD bytes, it runs fn(arg) there and ends with its
 * result; without one it returns 0, as fork() does.  -1 and errno in the parent if there is none.  *pid (or
 * NULL) is the child's id in the parent's namespace before the child runs.
 */
#define STACK_OF_CHILD (1u << 20)
pid_t clone_host_process(const CloneArgs *c, void *stack, int (*fn)(void *), void *arg, pid_t *pid);

/* A detached host thread of braid's; 0 or an error number.  The caller's signals are blocked, and so are its. */
int host_thread_start(void *(*fn)(void *), void *arg, size_t stack_size);

/* What the parent owes to the caller of clone() once the child exists. */
void clone_parent_results(const CloneArgs *c, pid_t pid);

/* All locks of braid that a fork may not tear apart, with all other vCPUs stopped. */
void fork_prepare(GuestThread *t);
void fork_done(GuestThread *t, bool child);

void thread_release_robust_list(GuestThread *t);
void thread_clear_child_tid(GuestThread *t);

/* ---- vfork.c ---- */
/* CLONE_VM with CLONE_VFORK, and without; neither with CLONE_THREAD.  The call's result. */
int64_t clone_vfork(GuestThread *t, const CloneArgs *c);
int64_t clone_sharing(GuestThread *t, const CloneArgs *c);
/*
 * The process of the calling thread is about to end: if others share its memory its threads stop first, where
 * they hold no lock.
 */
void process_leave_memory(GuestThread *t);

#endif
