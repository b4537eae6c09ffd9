/*
 * ptrace: what a tracer's braid and a tracee's say to each other.  docs/ptrace.md has the whole picture.
 *
 * The host's ptrace carries the relation and the waiting.  A tracee stops for its tracer by sending itself
 * SIGBUS, which the host never blocks, with PTRACE_MARK_STOP and the address of its record; the tracer's
 * braid reads and writes the record there.
 */
#ifndef LINUX_USER_PTRACE_H
#define LINUX_USER_PTRACE_H

#include <sys/ptrace.h>
#include <sys/resource.h>

#include "linux-user/thread.h"

/* si_code of signals, most of them SIGBUS, between two braids. */
enum {
    PTRACE_MARK_STOP = -0x42520001,     /* from the tracee to itself: si_value is its record */
    PTRACE_MARK_CALL = -0x42520002,     /* from the tracer: si_value is a PTRACE_CALL_... word */
    PTRACE_MARK_SIGNAL = -0x42520003,   /* from the tracer, for another signal: ptrace_pack() */
    PTRACE_MARK_SIGNAL_SEIZED = -0x42520004,    /* the same, and the tracer has seized the thread */
    PTRACE_MARK_PASS = -0x42520005,     /* from the tracee: it is to act in the host */
};

/* The word of a MARK_CALL; the options that the tracer has set begin at bit 8. */
#define PTRACE_CALL_SEIZED 1u       /* by PTRACE_SEIZE */
#define PTRACE_CALL_SYSCALL 2u      /* stop at system calls */
#define PTRACE_CALL_STOP 4u         /* by PTRACE_INTERRUPT */
#define PTRACE_CALL_SIGSTOP 8u      /* SIGSTOP has come, too */
/* A group stop by SIGSTOP ... SIGTTOU is to be reported. */
#define PTRACE_CALL_GROUP_STOP(sig) (((unsigned)(sig) - SIGSTOP + 1) << 4)
#define PTRACE_CALL_GROUP_STOP_MASK 0x70u

typedef enum PtraceState {
    PTRACE_STATE_RUNNING,
    PTRACE_STATE_STOPPED,       /* the record is valid, the tracee waits */
    PTRACE_STATE_PREPARED,      /* it is for the host's next vfork event */
    PTRACE_STATE_RESUMED,       /* the tracer has answered */
    PTRACE_STATE_ORPHANED,      /* there is no tracer any more */
} PtraceState;

typedef enum PtraceResume {
    PTRACE_RESUME_CONT,
    PTRACE_RESUME_SYSCALL,
    PTRACE_RESUME_DETACH,
} PtraceResume;

#define PTRACE_REGS_MAX 512

/* Written by the tracee before it stops, by the tracer while it is stopped. */
typedef struct PtraceRecord {
    uint32_t state;             /* atomic: PtraceState */
    uint32_t code;              /* the wait status >> 8; 0: a stop that the guest does not see */
    uint32_t syscall_op;        /* PTRACE_SYSCALL_INFO_... */
    uint32_t seccomp_data;
    uint32_t seized;
    uint64_t guest_base, task_size;
    uint64_t auxv, exe_path;    /* the host's addresses */
    siginfo_t info;
    uint64_t message;
    uint64_t sigmask;
    uint64_t nr, args[6];       /* at a system call's entry */
    uint64_t pc, sp;
    int64_t rval;
    uint8_t gregs[PTRACE_REGS_MAX], fpregs[PTRACE_REGS_MAX];
    /* the tracer's answer */
    uint32_t resume;            /* PtraceResume */
    uint32_t signal;            /* to be delivered; 0: none */
    uint32_t options;
    bool regs_changed, fpregs_changed, info_changed, sigmask_changed, memory_changed;
} PtraceRecord;

/* A signal's number and si_code in si_errno of a MARK_SIGNAL; the rest of siginfo is as it was. */
static inline int ptrace_pack(const siginfo_t *info)
{
    return (int)((uint32_t)info->si_code << 8 | (uint32_t)info->si_signo);
}
static inline void ptrace_unpack(siginfo_t *info)
{
    info->si_signo = info->si_errno & 0xff;
    info->si_code = info->si_errno >> 8;
    info->si_errno = 0;
}

/* ---- tracee.c, on the tracee's own thread ---- */

typedef struct Tracee Tracee;

/* PTRACE_TRACEME */
int64_t tracee_traceme(GuestThread *t);
/*
 * In the host's handler.  True: the signal had one of the marks; then *deliver says whether info is now one that
 * the run loop shall have (si_signo 0: only ptrace_call).
 */
bool tracee_handle_mark_sigsafe(GuestThread *t, int sig, siginfo_t *info, bool *deliver);
/* A thread without a record got the signal: it was meant for the process, which gets it again. */
void tracee_return_signal_sigsafe(int sig, siginfo_t *info);
/* Something was asked of the thread by a MARK_CALL. */
static inline bool tracee_is_called(const GuestThread *t)
{
    return __atomic_load_n(&t->ptrace_call, __ATOMIC_RELAXED);
}
void tracee_answer_call(GuestThread *t);
/* The guest is about to get the signal.  False: it shall not; *sig and *info may be changed.
   forced: even if it is blocked. */
bool tracee_signal_stop(GuestThread *t, int *sig, siginfo_t *info, bool forced);
/* To be sent where the host's default action is wanted, be there a tracer or not. */
siginfo_t tracee_pass_mark(int sig);

/* Around a system call: nr and a may be changed. False: it shall not be made, and the result register is
   as it shall be. */
bool tracee_syscall_enter(GuestThread *t, uint64_t *nr, uint64_t a[6]);
/* It ended with this (syscall.h): the registers are as they shall be then. */
void tracee_syscall_exit(GuestThread *t, int64_t ret);
/* A handler is about to be entered: the call that its signal interrupted fails, unless it is restarted. */
void tracee_finish_interrupted(GuestThread *t, const GuestSigaction *act);
void tracee_forget_interrupted(GuestThread *t);
/*
 * SECCOMP_RET_TRACE, with its value.  False: there is nobody to ask.  nr and a may be changed; *skip: the call
 * shall not be made, and the result register is as it shall be.
 */
bool tracee_seccomp_stop(GuestThread *t, uint32_t data, uint64_t *nr, uint64_t a[6], bool *skip);

/* clone() with these flags and this exit signal makes a tracee of the child, too; its record, or NULL. */
Tracee *tracee_for_child(GuestThread *t, uint64_t flags, int exit_signal);
/* In the child, on its own thread, with all signals blocked in the host. */
void tracee_child_begins(GuestThread *t);
/* In the parent, when the child lives. */
void tracee_clone_event(GuestThread *t, uint64_t flags, int exit_signal, pid_t child);
/* Around a vfork(): the event is reported while the parent sleeps. */
void tracee_prepare_vfork(GuestThread *t, uint64_t flags);
void tracee_end_vfork(GuestThread *t, uint64_t flags, pid_t child);
/* The thread, or its process, is about to end with this wait status. */
void tracee_exit_event(GuestThread *t, int status);
/* "NAME=value" for the next program's braid, NULL if nobody traces; to be freed by the caller. */
char *tracee_save(GuestThread *t);
#define TRACEE_VARIABLE "BRAID_TRACEE"
/* There: before the mask is set, and before the first instruction. */
void tracee_load(GuestThread *t, const char *text);
void tracee_exec_stop(GuestThread *t);
void tracee_free(GuestThread *t);

/* ---- tracer.c, on the tracer's own thread ---- */

typedef struct Traced Traced;

/* The thread's own tracees are no more: in a child, and at its end. */
void tracer_free(GuestThread *t);
/* Somebody has written to another process's memory. */
void tracer_note_write(GuestThread *t);
/* A file of /proc/PID of a tracee, as procfs_open() wants it: the contents, to be freed; NULL: no such. */
void *tracer_read_proc(GuestThread *t, pid_t pid, const char *name, size_t *len);

/* ---- for tracer.c and tracer-wait.c ---- */

struct Traced {
    Traced *next;
    pid_t tid;
    bool seized;
    bool known;             /* has made a stop of its own: `record` is valid */
    bool named;             /* by the guest itself, in ATTACH or SEIZE */
    bool hidden;            /* a thread of braid's own, as far as is known */
    bool stopped;           /* as the guest sees it */
    bool host_stop;         /* ... in a stop of the host's, for which there is no record */
    bool reported;
    bool memory_changed;
    bool called;            /* a MARK_CALL is on its way */
    int want_group_stop;    /* its signal, or 0: to be reported with registers */
    bool want_sigstop;
    bool want_stop;         /* by PTRACE_INTERRUPT */
    uint32_t want_syscall;  /* how it shall go on */
    uint32_t options;
    uint32_t code;
    uint64_t record;        /* its address there */
    PtraceRecord rec;
};

Traced *tracer_find(GuestThread *t, pid_t tid);
Traced *tracer_add(GuestThread *t, pid_t tid);
void tracer_remove(GuestThread *t, pid_t tid);
/* The options for the host. */
uint64_t tracer_host_options(uint32_t options);
/* Is the process run by this very braid? */
bool tracer_is_braid(pid_t tid);
pid_t tracer_find_tgid(pid_t tid);
/* It runs, or would if the host had a processor for it. */
bool tracer_is_runnable(pid_t tid);
bool tracer_copy(const Traced *d, bool write, uint64_t remote, void *local, size_t n);
/* Ask the tracee to look at what the tracer wants; that is filled in when the signal passes. */
int64_t tracer_call(Traced *d);
/* Let it run on from a stop with a record. */
int64_t tracer_answer(GuestThread *t, Traced *d, PtraceResume how, uint32_t sig);
/* The tracee has been called: see that it runs on, as it would if it had not. */
void tracer_settle(GuestThread *t, pid_t tid);
/* Take what stops the host has, of all tracees. */
void tracer_pump(GuestThread *t);

#endif
