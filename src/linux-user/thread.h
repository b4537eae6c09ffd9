/*
 * GuestThread: what linux-user knows of one guest thread, beside its CPUState.  A guest
 * thread is a host thread with the same tid; braid's process is the guest's process.
 */
#ifndef LINUX_USER_THREAD_H
#define LINUX_USER_THREAD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "exec/exec.h"
#include "linux-user/abi.h"
#include "linux-user/structs.h"
#include "util/lock.h"

#define GUEST_NSIG 64
/* The host's alternate signal stack of each thread, and the guard page of one with a mapping of its own. */
#define HOST_ALTSTACK_GUARD 4096u
#define HOST_ALTSTACK_SIZE (64u << 10)

/* A set of signals as the kernel has it: bit n-1 is signal n. */
typedef uint64_t SigSet;
#define SIG_BIT(sig) (1ull << ((sig) - 1))

/* The dispositions of a process; processes made with CLONE_SIGHAND share them. */
typedef struct SigHand {
    Mutex lock;             /* rank SIGNAL_TABLE */
    uint32_t users;         /* atomic: processes */
    /* guarded by lock */
    bool catch_deadly;      /* the host shall not end the process by itself, for it shares its memory */
    GuestSigaction action[GUEST_NSIG];
} SigHand;

/* The guest threads of one process.  There are several in one memory after vfork() and the like. */
typedef struct ThreadGroup {
    /* atomic */
    uint32_t nthreads;      /* alive */
    uint32_t leader_left;   /* the first one has called exit() before the others */
} ThreadGroup;

typedef struct GuestThread {
    /* constant after creation */
    CPUState *cpu;
    void *host_altstack;    /* its mapping; NULL: it is part of the thread's stack */
    bool is_main;           /* runs on the host's first thread */

    /* atomic: written by the thread, and by others under seccomp.c's lock */
    const struct SeccompFilter *seccomp;

    /* owned by the thread */
    bool seccomp_strict;    /* mode 1 */
    pid_t tid;
    ThreadGroup *group;     /* read by others in exclusive sections and when the process is dead */
    SigHand *sighand;
    SigSet sigmask;         /* what the guest blocks */
    SigSet saved_sigmask;   /* of sigsuspend() and friends, valid if restore_sigmask */
    bool restore_sigmask;
    bool in_vfork_child;    /* the record, the CPU and the thread-local storage are the parent's */
    bool exiting;           /* has called exit(): the run loop ends */
    GuestStack altstack;
    uint64_t clear_child_tid;
    uint64_t robust_list, robust_list_len;
    uint64_t rseq;          /* address of the guest's struct rseq; 0: not registered */
    uint32_t rseq_len, rseq_sig, rseq_cpu;  /* rseq_cpu: what it says now */
    uint64_t rings[16];     /* what its registered io_uring rings are, see io-uring.c */
    void *exec_request;     /* execve()'s memory, see execve_abandon() */
    SigSet held;            /* SIGSEGV and SIGBUS sent while the guest blocks them; SIGSTOP for a tracer */
    siginfo_t held_info[3];
    struct Tracee *trace;   /* NULL: the thread is not traced, as far as it knows */
    struct Tracee *trace_memory;    /* what that points at, kept for the next time */
    struct Traced *traced;  /* the threads that it traces itself */

    /*
     * One signal that the host delivered, for the run loop.  Written by the host's handler on
     * this very thread while signal_pending is 0; the handler then blocks all signals until
     * the run loop has dealt with it, so there is never a second one.  pending_sig 0: only ptrace_call.
     */
    uint32_t signal_pending;    /* atomic, read by safe_syscall_asm() */
    int pending_sig;
    siginfo_t pending_info;
    uint32_t ptrace_call;       /* atomic, by the handler as well: what the tracer wants (ptrace.h) */
} GuestThread;

/* The thread that calls. */
static inline GuestThread *thread_of(CPUState *cpu)
{
    return cpu->user_data;
}

/* Make a record for the CPU, with the host's alternate stack; freed by thread_free(). */
GuestThread *thread_new(CPUState *cpu);
void thread_free(GuestThread *t);

#endif
