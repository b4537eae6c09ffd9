/*
 * ptrace() of a child that asked for it: memory, registers, breakpoints in code that has run, system call
 * stops with changed numbers, arguments and results, what PTRACE_GET_SYSCALL_INFO says, signals that are
 * dropped, changed or replaced, interrupted calls, seccomp's events, and wait4() and waitid() with their options.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include "tracing.h"

static struct {
    int pipe[2];
    _Atomic int got[4];
    int value;
    long results[8];
    char text[16];
} *shared;

static volatile long target = 0x1122334455667788;

/* ---- memory and registers ---- */

__attribute__((noinline)) static long twice(long n)
{
    __asm__ volatile("" : "+r"(n));
    return 2 * n;
}

static void body_calls(void)
{
    for (int i = 0; i < 1000; i++) {
        shared->results[0] += twice(1);
    }
    raise(SIGSTOP);
    shared->results[1] = twice(21);
    shared->results[2] = target;
    shared->results[3] = twice(4);
}

static void check_memory(void)
{
    pid_t pid = start_traced(body_calls, 0);
    unsigned long regs[NREGS], word, old;
    struct iovec here = { &word, sizeof(word) }, there = { (void *)&target, sizeof(word) };
    char *code = (char *)twice;

    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, STOP_STATUS(SIGSTOP));
    CHECK(shared->results[0] == 2000, "%ld", shared->results[0]);
    CHECK(peek(pid, (void *)&target) == 0x1122334455667788, "%lx", peek(pid, (void *)&target));
    CHECK_ERRNO(process_vm_readv(pid, &here, 1, &there, 1, 0) == 8);
    CHECK(word == 0x1122334455667788, "%lx", word);
    PT(PTRACE_POKEDATA, pid, &target, 77);
    CHECK(target == 0x1122334455667788, "%lx", target);
    CHECK(pt(PTRACE_PEEKDATA, pid, 0, (unsigned long)&word) == -1 && errno == EIO, "%d", errno);

    /* A breakpoint in code that has been executed before. */
    old = peek(pid, code);
    PT(PTRACE_POKETEXT, pid, code, (old & ~BREAK_MASK) | BREAK_INSN);
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, STOP_STATUS(SIGTRAP));
    get_regs(pid, regs);
    CHECK(regs[REG_PC_] == (unsigned long)code + BREAK_LEN, "%lx", regs[REG_PC_]);
    /* Take it away and go on there. */
    PT(PTRACE_POKETEXT, pid, code, old);
    regs[REG_PC_] = (unsigned long)code;
    set_regs(pid, regs);
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, 0);
    CHECK(shared->results[1] == 42 && shared->results[2] == 77 && shared->results[3] == 8,
          "%ld %ld %ld", shared->results[1], shared->results[2], shared->results[3]);
}

static void check_errors(void)
{
    pid_t pid = start_traced(body_calls, 0);
    unsigned long word;

    CHECK(pt(PTRACE_CONT, getpid(), 0, 0) == -1 && errno == ESRCH, "%d", errno);
    CHECK(pt(PTRACE_CONT, pid, 0, 65) == -1 && errno == EIO, "%d", errno);
    CHECK(pt(PTRACE_SETOPTIONS, pid, 0, 1 << 30) == -1 && errno == EINVAL, "%d", errno);
    CHECK(pt(PTRACE_LISTEN, pid, 0, 0) == -1 && errno == EIO, "%d", errno);
    CHECK(pt(PTRACE_INTERRUPT, pid, 0, 0) == -1 && errno == EIO, "%d", errno);
    CHECK(pt(PTRACE_ATTACH, pid, 0, 0) == -1 && errno == EPERM, "%d", errno);
    CHECK(pt(PTRACE_ATTACH, getpid(), 0, 0) == -1 && errno == EPERM, "%d", errno);
    CHECK(pt(PTRACE_PEEKDATA, 1 << 30, 0, (unsigned long)&word) == -1 && errno == ESRCH, "%d", errno);
    kill(pid, SIGKILL);
    WAIT(pid, SIGKILL);
}

/* ---- system calls ---- */

static void body_syscalls(void)
{
    shared->results[0] = syscall(SYS_getppid);
    shared->results[1] = syscall(SYS_getppid);
    shared->results[2] = syscall(SYS_write, shared->pipe[1], "hidden", 6);
    shared->results[3] = syscall(SYS_close, -1);
    _exit(9);
}

static struct ptrace_syscall_info syscall_info(pid_t pid)
{
    struct ptrace_syscall_info info;
    unsigned long regs[NREGS];

    memset(&info, 0x55, sizeof(info));
    PT(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
    get_regs(pid, regs);
    CHECK(info.instruction_pointer == regs[REG_PC_] && info.stack_pointer == regs[REG_SP_], "%llx %llx",
          (unsigned long long)info.instruction_pointer, (unsigned long long)info.stack_pointer);
    return info;
}

/* Go on to the next entry to, or exit from, a system call. */
static struct ptrace_syscall_info next_syscall(pid_t pid, int op)
{
    siginfo_t si;

    PT(PTRACE_SYSCALL, pid, 0, 0);
    WAIT(pid, STOP_STATUS(SIGTRAP | 0x80));
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    CHECK(si.si_signo == SIGTRAP && si.si_code == (SIGTRAP | 0x80), "%d %d", si.si_signo, si.si_code);
    struct ptrace_syscall_info info = syscall_info(pid);
    CHECK(info.op == op, "%d", info.op);
    return info;
}

static struct ptrace_syscall_info enter(pid_t pid, long nr)
{
    struct ptrace_syscall_info info = next_syscall(pid, PTRACE_SYSCALL_INFO_ENTRY);

    CHECK((long)info.entry.nr == nr, "%lld", (long long)info.entry.nr);
    return info;
}

static void check_syscalls(void)
{
    pid_t pid = start_traced(body_syscalls, PTRACE_O_TRACESYSGOOD);
    unsigned long regs[NREGS];
    struct ptrace_syscall_info info;
    char buf[16] = "";

    CHECK(syscall_info(pid).op == PTRACE_SYSCALL_INFO_NONE, "op");
    do {
        info = next_syscall(pid, PTRACE_SYSCALL_INFO_ENTRY);
        if (info.entry.nr != SYS_getppid) {
            next_syscall(pid, PTRACE_SYSCALL_INFO_EXIT);
        }
    } while (info.entry.nr != SYS_getppid);
    info = next_syscall(pid, PTRACE_SYSCALL_INFO_EXIT);
    CHECK(info.exit.rval == getpid() && !info.exit.is_error, "%lld", (long long)info.exit.rval);
    get_regs(pid, regs);
    CHECK(regs[REG_RESULT] == (unsigned long)getpid(), "%lx", regs[REG_RESULT]);
    regs[REG_RESULT] = 4711;
    set_regs(pid, regs);

    /* Not made at all. */
    enter(pid, SYS_getppid);
    get_regs(pid, regs);
    regs[REG_NR] = (unsigned long)-1;
    regs[REG_RESULT] = 4712;
    set_regs(pid, regs);
    info = next_syscall(pid, PTRACE_SYSCALL_INFO_EXIT);
    CHECK(info.exit.rval == 4712, "%lld", (long long)info.exit.rval);

    /* Another argument. */
    strcpy(shared->text, "shown.");
    info = enter(pid, SYS_write);
    CHECK(info.entry.args[0] == (unsigned long)shared->pipe[1] && info.entry.args[2] == 6, "%llx %llx",
          (unsigned long long)info.entry.args[0], (unsigned long long)info.entry.args[2]);
    get_regs(pid, regs);
    CHECK(regs[REG_ARG1] == info.entry.args[1], "%lx", regs[REG_ARG1]);
    regs[REG_ARG1] = (unsigned long)shared->text;
    set_regs(pid, regs);
    info = next_syscall(pid, PTRACE_SYSCALL_INFO_EXIT);
    CHECK(info.exit.rval == 6, "%lld", (long long)info.exit.rval);
    CHECK_ERRNO(read(shared->pipe[0], buf, sizeof(buf)) == 6);
    CHECK(!strcmp(buf, "shown."), "%s", buf);

    enter(pid, SYS_close);
    info = next_syscall(pid, PTRACE_SYSCALL_INFO_EXIT);
    CHECK(info.exit.rval == -EBADF && info.exit.is_error == 1, "%lld", (long long)info.exit.rval);
    info = enter(pid, SYS_exit_group);
    CHECK(info.entry.args[0] == 9, "%llx", (unsigned long long)info.entry.args[0]);
    PT(PTRACE_SYSCALL, pid, 0, 0);
    WAIT(pid, 9 << 8);
    CHECK(shared->results[0] == 4711 && shared->results[1] == 4712 && shared->results[2] == 6 &&
          shared->results[3] == -1, "%ld %ld %ld %ld", shared->results[0], shared->results[1],
          shared->results[2], shared->results[3]);
}

/* ---- signals ---- */

static void on_signal(int sig, siginfo_t *info, void *context)
{
    shared->got[sig == SIGUSR1 ? 0 : sig == SIGUSR2 ? 1 : 2]++;
    shared->value = info->si_value.sival_int;
}

static void body_signals(void)
{
    set_handler(SIGUSR1, on_signal, 0);
    set_handler(SIGUSR2, on_signal, 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 5 });
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    raise(SIGUSR1);
    *(volatile int *)shared->results[0] = 1;
}

static void next_signal(pid_t pid, int deliver, int sig)
{
    PT(PTRACE_CONT, pid, 0, deliver);
    WAIT(pid, STOP_STATUS(sig));
}

static void check_signals(void)
{
    shared->results[0] = 16;
    pid_t pid = start_traced(body_signals, 0);
    siginfo_t si;

    next_signal(pid, 0, SIGUSR1);
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    CHECK(si.si_signo == SIGUSR1 && si.si_code == SI_TKILL && si.si_pid == pid, "%d %d %d", si.si_signo,
          si.si_code, si.si_pid);
    next_signal(pid, 0, SIGUSR1);               /* the first one is dropped */
    CHECK(shared->got[0] == 0, "%d", shared->got[0]);
    next_signal(pid, SIGUSR1, SIGUSR1);         /* the second one delivered */
    CHECK(shared->got[0] == 1, "%d", shared->got[0]);
    next_signal(pid, SIGUSR2, SIGUSR1);         /* the third one another */
    CHECK(shared->got[0] == 1 && shared->got[1] == 1, "%d %d", shared->got[0], shared->got[1]);
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    CHECK(si.si_code == SI_QUEUE && si.si_value.sival_int == 5, "%d %d", si.si_code, si.si_value.sival_int);
    si.si_value.sival_int = 6;
    PT(PTRACE_SETSIGINFO, pid, 0, &si);
    next_signal(pid, SIGUSR1, SIGUSR1);         /* ignored, and reported all the same */
    CHECK(shared->got[0] == 2 && shared->value == 6, "%d %d", shared->got[0], shared->value);
    next_signal(pid, SIGUSR1, SIGUSR1);         /* deadly */
    next_signal(pid, 0, SIGSEGV);
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    CHECK(si.si_code == SEGV_MAPERR && si.si_addr == (void *)16, "%d %p", si.si_code, si.si_addr);
    PT(PTRACE_CONT, pid, 0, SIGKILL);
    WAIT(pid, SIGKILL);
}

static void body_dies(void)
{
    raise(SIGUSR1);
}

static void body_faults_blocked(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    *(volatile int *)shared->results[0] = 1;
}

/* The end has the status of the signal that was let through, be it another than the one reported. */
static void check_deaths(void)
{
    const int signals[] = { SIGUSR1, SIGTERM, SIGSEGV, SIGRTMIN + 1, SIGKILL };

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        pid_t pid = start_traced(body_dies, 0);
        int status;

        next_signal(pid, 0, SIGUSR1);
        PT(PTRACE_CONT, pid, 0, signals[i]);
        status = wait_for(pid);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i], "%x, not %d", status, signals[i]);
    }
    shared->results[0] = 16;
    pid_t pid = start_traced(body_faults_blocked, 0);
    next_signal(pid, 0, SIGSEGV);
    PT(PTRACE_CONT, pid, 0, SIGSEGV);
    int status = wait_for(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "%x", status);
}

static void body_blocked(void)
{
    char c;

    set_handler(SIGUSR1, on_signal, 0);
    set_handler(SIGUSR2, on_signal, SA_RESTART);
    for (int i = 0; i < 3; i++) {
        shared->got[3] = i + 1;
        shared->results[i] = read(shared->pipe[0], &c, 1) == 1 ? c : -errno;
    }
}

/* Until it sleeps in its n-th read. */
static void await_read(pid_t pid, int n)
{
    while (shared->got[3] != n) {
        sleep_ms(1);
    }
    await_sleep(pid);
}

static void check_interrupted(void)
{
    pid_t pid = start_traced(body_blocked, 0);

    PT(PTRACE_CONT, pid, 0, 0);
    await_read(pid, 1);
    kill(pid, SIGUSR1);
    WAIT(pid, STOP_STATUS(SIGUSR1));
    PT(PTRACE_CONT, pid, 0, 0);                 /* dropped: the call goes on */
    await_sleep(pid);
    CHECK_ERRNO(write(shared->pipe[1], "a", 1) == 1);
    await_read(pid, 2);
    CHECK(shared->results[0] == 'a', "%ld", shared->results[0]);
    kill(pid, SIGUSR1);
    WAIT(pid, STOP_STATUS(SIGUSR1));
    PT(PTRACE_CONT, pid, 0, SIGUSR1);           /* its handler ends the call */
    await_read(pid, 3);
    CHECK(shared->results[1] == -EINTR, "%ld", shared->results[1]);
    kill(pid, SIGUSR1);
    WAIT(pid, STOP_STATUS(SIGUSR1));
    PT(PTRACE_CONT, pid, 0, SIGUSR2);           /* this one's has it restarted */
    await_sleep(pid);
    CHECK_ERRNO(write(shared->pipe[1], "b", 1) == 1);
    WAIT(pid, 0);
    CHECK(shared->results[2] == 'b', "%ld", shared->results[2]);
    CHECK(shared->got[0] == 1 && shared->got[1] == 1, "%d %d", shared->got[0], shared->got[1]);
}

/* ---- seccomp ---- */

static void body_filtered(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 7),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    for (int i = 0; i < 4; i++) {
        shared->results[i] = syscall(SYS_getppid);
        shared->value = errno;
    }
}

static void change_call(pid_t pid, long nr, long result)
{
    unsigned long regs[NREGS];

    get_regs(pid, regs);
    regs[REG_NR] = (unsigned long)nr;
    regs[REG_RESULT] = (unsigned long)result;
    set_regs(pid, regs);
}

static void check_seccomp(void)
{
    pid_t pid = start_traced(body_filtered, PTRACE_O_TRACESECCOMP);
    struct ptrace_syscall_info info;

    for (int i = 0; i < 4; i++) {
        PT(PTRACE_CONT, pid, 0, 0);
        WAIT(pid, EVENT_STATUS(PTRACE_EVENT_SECCOMP, SIGTRAP));
        CHECK(event_message(pid) == 7, "%lx", event_message(pid));
        info = syscall_info(pid);
        CHECK(info.op == PTRACE_SYSCALL_INFO_SECCOMP && info.seccomp.nr == SYS_getppid &&
              info.seccomp.ret_data == 7, "%d %lld %d", info.op, (long long)info.seccomp.nr, info.seccomp.ret_data);
        if (i == 1) {
            change_call(pid, -1, 4713);
        } else if (i == 2) {
            change_call(pid, SYS_getpid, 0);
        } else if (i == 3) {
            PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
            change_call(pid, -1, -ENOSYS);
        }
    }
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, 0);
    CHECK(shared->results[0] == getpid() && shared->results[1] == 4713 && shared->results[2] == pid &&
          shared->results[3] == -1 && shared->value == ENOSYS, "%ld %ld %ld %ld", shared->results[0],
          shared->results[1], shared->results[2], shared->results[3]);
    pid = start_traced(body_filtered, 0);
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, 0);
    CHECK(shared->results[0] == -1 && shared->value == ENOSYS, "%ld", shared->results[0]);
}

/* ---- waiting ---- */

static void body_pause(void)
{
    raise(SIGUSR1);
    _exit(4);
}

static void check_waiting(void)
{
    pid_t pid = start_traced(body_pause, 0), other = start_traced(body_pause, 0);
    siginfo_t si;
    int status = -1;

    CHECK_ERRNO(waitpid(pid, &status, WNOHANG | __WALL) == 0);
    PT(PTRACE_CONT, pid, 0, 0);
    PT(PTRACE_CONT, other, 0, 0);
    for (int i = 0; i < 2; i++) {
        memset(&si, 0, sizeof(si));
        CHECK_ERRNO(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT | __WALL) == 0);
        CHECK(si.si_signo == SIGCHLD && si.si_pid == pid && si.si_code == CLD_TRAPPED && si.si_status == SIGUSR1,
              "%d %d %d %d", si.si_signo, si.si_pid, si.si_code, si.si_status);
    }
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);       /* a tracee's stop needs no WUNTRACED */
    CHECK(status == STOP_STATUS(SIGUSR1), "%x", status);
    CHECK_ERRNO(waitpid(pid, &status, WNOHANG) == 0);
    CHECK_ERRNO(waitpid(-1, &status, __WALL) == other);
    CHECK(status == STOP_STATUS(SIGUSR1), "%x", status);
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, 4 << 8);
    PT(PTRACE_DETACH, other, 0, 0);
    WAIT(other, 4 << 8);
    CHECK(waitpid(-1, &status, __WALL) == -1 && errno == ECHILD, "%d", errno);
}

int main(void)
{
    static void (*const checks[])(void) = {
        check_memory, check_errors, check_syscalls, check_signals, check_deaths, check_interrupted, check_seccomp,
        check_waiting,
    };

    shared = share(sizeof(*shared));
    CHECK_ERRNO(pipe(shared->pipe) == 0);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        memset((void *)shared->got, 0, sizeof(shared->got));
        memset(shared->results, 0, sizeof(shared->results));
        checks[i]();
    }
    return 0;
}
