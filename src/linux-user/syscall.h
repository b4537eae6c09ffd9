/*
 * System calls: the table, how handlers look, and how they call the host.
 *
 * A handler runs on the guest thread, outside cpu_exec(), holds no lock on entry and exit, and
 * returns what the kernel would leave in the result register: a value or -errno.
 */
#ifndef LINUX_USER_SYSCALL_H
#define LINUX_USER_SYSCALL_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "linux-user/host-calls.h"
#include "linux-user/thread.h"
#include "linux-user/user-mem.h"

/*
 * Results beside -errno, known to safe-syscall.S.  Both lead back to the same instruction:
 * ERESTARTSYS unless a handler without SA_RESTART runs (then -EINTR), NOT_STARTED always.
 */
#define BRAID_ERESTARTSYS 512
#define BRAID_NOT_STARTED 1024
/* The registers are as they shall be: sigreturn, execve's like. */
#define BRAID_NO_RESULT 1025

typedef int64_t SyscallHandler(GuestThread *t, const uint64_t a[6]);

typedef struct SyscallInfo {
    const char *name;
    /*
     * One letter per argument, for strace and for calls that go straight to the host; see
     * strace.c for the letters.
     */
    const char *sig;
    SyscallHandler *handler;    /* NULL: the host's call of the same name, pointers moved by guest_base */
    int host_nr;
} SyscallInfo;

#define SYSCALL_MAX 512
extern const SyscallInfo syscall_table[SYSCALL_MAX];

/* Carry out system call `nr`; logs it under -strace. */
int64_t syscall_run(GuestThread *t, uint64_t nr, const uint64_t a[6]);
/* The same without the log and without asking seccomp's filters. */
int64_t syscall_dispatch(GuestThread *t, uint64_t nr, const uint64_t a[6]);

/* Is this letter of a signature a pointer? */
static inline bool syscall_arg_is_pointer(char c)
{
    return c == 's' || c == 'b' || c == 'B' || c == 'p' || c == 't' || c == 'z';
}

/* The host's call with -errno for errors, uninterruptible by guest signals unless it returns EINTR itself. */
static inline int64_t host_ret(long r)
{
    return r == -1 ? -errno : r;
}
#define host_syscall(...) host_ret(syscall(__VA_ARGS__))

int64_t safe_syscall_asm(const uint32_t *pending, long nr, uint64_t a0, uint64_t a1,
                         uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);

/* The host's call for what may sleep: ends early with one of the results above when a signal
   for the guest arrives. */
static inline int64_t safe_syscall6(GuestThread *t, long nr, uint64_t a0, uint64_t a1,
                                    uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    return safe_syscall_asm(&t->signal_pending, nr, a0, a1, a2, a3, a4, a5);
}

/* Pointer argument for the host: NULL stays NULL. False if it is not in the guest's space. */
static inline bool host_pointer(uint64_t *a)
{
    if (*a) {
        if (*a >= user_mem.task_size) {
            return false;
        }
        *a += user_mem.guest_base;
    }
    return true;
}

#define SYSCALL(nr, name, sig) SyscallHandler sys_##name;
#define HOSTCALL(nr, name, sig)
#define NOCALL(nr, name, err, sig)
#include "linux-user/syscall-table.def"
#undef SYSCALL
#undef HOSTCALL
#undef NOCALL

/* ---- strace.c ---- */
void strace_enter(GuestThread *t, uint64_t nr, const uint64_t a[6]);
void strace_result(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t ret);
void strace_signal(GuestThread *t, int sig, const siginfo_t *info);

#endif
