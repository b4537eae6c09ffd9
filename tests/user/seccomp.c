/*
 * seccomp: filters decide by number, architecture, pc and arguments; errno, trap with
 * all of siginfo, kill of a process and of one thread; the strictest of several
 * wins; threads, forked children and executed programs inherit; TSYNC reaches other
 * threads; bad programs are refused; strict mode.
 *
 * test-native: yes
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "test.h"

#if defined(__riscv)
#define ARCH AUDIT_ARCH_RISCV64
#else
#define ARCH AUDIT_ARCH_X86_64
#endif

#define ABS(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(v) BPF_STMT(BPF_RET | BPF_K, v)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int install_program(struct sock_filter *f, unsigned n, unsigned flags)
{
    struct sock_fprog prog = { (unsigned short)n, f };

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* `action` for one call, everything else is allowed. */
static int install(int nr, uint32_t action, unsigned flags)
{
    struct sock_filter f[] = {
        ABS(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
        RET(SECCOMP_RET_KILL_PROCESS), ABS(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1), RET(action),
        RET(SECCOMP_RET_ALLOW),
    };

    return install_program(f, COUNT(f), flags);
}

/* The status of a child that runs body(). */
static int child(void (*body)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        body();
        _exit(42);
    }
    CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void expect_success(void (*body)(void), const char *what)
{
    int status = child(body);

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "%s: status %#x", what, status);
}

static void expect_signal(void (*body)(void), int sig, const char *what)
{
    int status = child(body);

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == sig, "%s: status %#x", what, status);
}

static void errors(void)
{
    struct sock_filter by_argument[] = {
        ABS(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_umask, 0, 5),
        ABS(args[0]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4), BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), RET(SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_IMM, 3), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
        RET(SECCOMP_RET_ERRNO | 33), RET(SECCOMP_RET_ALLOW),
    };

    CHECK(prctl(PR_GET_SECCOMP) == 0, "a mode at the start");
    CHECK_ERRNO(install(SYS_getppid, SECCOMP_RET_ERRNO | 77, 0) == 0);
    CHECK(prctl(PR_GET_SECCOMP) == 2, "mode");
    CHECK(syscall(SYS_getppid) == -1 && errno == 77, "errno %d", errno);
    CHECK(syscall(SYS_getpid) == getpid(), "another call");
    CHECK_ERRNO(install(SYS_getppid, SECCOMP_RET_ERRNO | 78, 0) == 0);
    CHECK(syscall(SYS_getppid) == -1 && errno == 78, "the newest of equals: errno %d", errno);
    CHECK_ERRNO(install(SYS_getppid, SECCOMP_RET_LOG, 0) == 0);
    CHECK(syscall(SYS_getppid) == -1 && errno == 78, "the strictest: errno %d", errno);
    CHECK_ERRNO(install_program(by_argument, COUNT(by_argument), 0) == 0);
    CHECK(syscall(SYS_umask, 0x1234) == -1 && errno == 33, "argument 0x1234");
    CHECK_ERRNO(syscall(SYS_umask, 0x44) >= 0);
    CHECK(install(SYS_getsid, SECCOMP_RET_ERRNO | 0, 0) == 0 && syscall(SYS_getsid, 0) == 0,
          "errno 0 is success");
    CHECK(install(SYS_getpgid, SECCOMP_RET_TRACE, 0) == 0 && syscall(SYS_getpgid, 0) == -1 &&
              errno == ENOSYS, "no tracer: errno %d", errno);
}

static volatile sig_atomic_t traps;
static siginfo_t trap_info;

static void on_trap(int sig, siginfo_t *info, void *context)
{
    traps++;
    trap_info = *info;
}

static void trap(void)
{
    uintptr_t near = (uintptr_t)syscall;

    set_handler(SIGSYS, on_trap, 0);
    CHECK_ERRNO(install(SYS_getpgid, SECCOMP_RET_TRAP | 0x123, 0) == 0);
    syscall(SYS_getpgid, 12345);
    CHECK(traps == 1, "%d traps", (int)traps);
    CHECK(trap_info.si_code == 1 && trap_info.si_errno == 0x123 &&
              trap_info.si_syscall == SYS_getpgid && trap_info.si_arch == ARCH,
          "code %d errno %d call %d arch %#x", trap_info.si_code, trap_info.si_errno,
          trap_info.si_syscall, trap_info.si_arch);
    CHECK((uintptr_t)trap_info.si_call_addr - near < 200, "address %p, syscall() at %#lx",
          trap_info.si_call_addr, (unsigned long)near);
}

static void trap_blocked(void)
{
    sigset_t set;

    set_handler(SIGSYS, on_trap, 0);
    sigfillset(&set);
    CHECK_ERRNO(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK_ERRNO(install(SYS_getpgid, SECCOMP_RET_TRAP, 0) == 0);
    syscall(SYS_getpgid, 0);
}

static void kill_process(void)
{
    CHECK_ERRNO(install(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0) == 0);
    syscall(SYS_getppid);
}

static void unknown_action(void)
{
    CHECK_ERRNO(install(SYS_getppid, 0x12340000, 0) == 0);
    syscall(SYS_getppid);
}

static void *call_getppid(void *arg)
{
    syscall(SYS_getppid);
    *(int *)arg = 1;
    return NULL;
}

static void kill_thread(void)
{
    int survived = 0;

    CHECK_ERRNO(install(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0) == 0);
    join_thread(start_thread(call_getppid, &survived));
    CHECK(!survived, "the thread went on");
}

static void *expect_errno(void *arg)
{
    CHECK(syscall(SYS_getppid) == -1 && errno == 77, "in a thread: errno %d", errno);
    return NULL;
}

static void inherit(void)
{
    pid_t pid;
    int status;

    CHECK_ERRNO(install(SYS_getppid, SECCOMP_RET_ERRNO | 77, 0) == 0);
    CHECK_ERRNO(install(SYS_getpgid, SECCOMP_RET_ERRNO | 78, 0) == 0);
    join_thread(start_thread(expect_errno, NULL));
    pid = fork();
    if (pid == 0) {
        expect_errno(NULL);
        execl("/proc/self/exe", "seccomp", "executed", (char *)NULL);
        _exit(1);
    }
    CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "executed: %#x", status);
}

static Meeting meeting = { .threads = 5 };

static void *wait_for_sync(void *arg)
{
    CHECK(syscall(SYS_getppid) > 0, "before");
    meet(&meeting);
    meet(&meeting);
    return expect_errno(NULL);
}

static void sync_threads(void)
{
    pthread_t t[4];

    CHECK_ERRNO(install(SYS_getsid, SECCOMP_RET_ERRNO | 1, 0) == 0);
    for (int i = 0; i < 4; i++) {
        t[i] = start_thread(wait_for_sync, NULL);
    }
    meet(&meeting);
    CHECK_ERRNO(install(SYS_getppid, SECCOMP_RET_ERRNO | 77, SECCOMP_FILTER_FLAG_TSYNC) == 0);
    meet(&meeting);
    for (int i = 0; i < 4; i++) {
        join_thread(t[i]);
    }
}

static pid_t diverged;

static void *diverge(void *arg)
{
    diverged = (pid_t)syscall(SYS_gettid);
    CHECK_ERRNO(install(SYS_getsid, SECCOMP_RET_ERRNO | 1, 0) == 0);
    meet(arg);
    meet(arg);
    return NULL;
}

static void sync_refused(void)
{
    Meeting two = { .threads = 2 };
    pthread_t t = start_thread(diverge, &two);
    int ret;

    meet(&two);
    ret = install(SYS_getppid, SECCOMP_RET_ERRNO | 77, SECCOMP_FILTER_FLAG_TSYNC);
    CHECK(ret == diverged, "%d, the other thread is %d", ret, diverged);
    CHECK(syscall(SYS_getppid) > 0, "installed all the same");
    meet(&two);
    join_thread(t);
}

static void refused(void)
{
    static const struct sock_filter bad[][2] = {
        { ABS(nr), ABS(nr) },                                               /* no end */
        { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET(0) },                 /* too far */
        { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RET(0) },                  /* misaligned */
        { BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RET(0) },                  /* a byte */
        { BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RET(0) },
        { BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), RET(0) },
        { BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), RET(0) },                    /* behind the end */
        { BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0), RET(0) },           /* back */
        { BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RET(0) },
        { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(0) },
        { BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RET(0) },
        { BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RET(0) },                 /* not for seccomp */
        { BPF_STMT(BPF_ST, 16), RET(0) },
        { BPF_STMT(0xffff, 0), RET(0) },
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK(install_program((struct sock_filter *)bad[i], 2, 0) == -1 && errno == EINVAL,
              "bad program %zu: errno %d", i, errno);
    }
    CHECK(install_program((struct sock_filter *)bad[0], 0, 0) == -1 && errno == EINVAL, "empty");
    CHECK(install_program(NULL, 2, 0) == -1 && errno == EINVAL, "no program");
    CHECK(install_program((void *)8, 2, 0) == -1 && errno == EFAULT, "a program nowhere");
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == -1 && errno == EFAULT,
          "no sock_fprog");
    CHECK(syscall(SYS_seccomp, 99, 0, NULL) == -1 && errno == EINVAL, "operation 99");
    CHECK(install(SYS_getppid, SECCOMP_RET_ERRNO, 0x8000) == -1 && errno == EINVAL, "flags");
    uint32_t action = SECCOMP_RET_TRAP;
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
    action = 0x12340000;
    CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == -1 &&
              errno == EOPNOTSUPP, "an action that is none");
}

static void strict(void)
{
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    CHECK(write(-1, "", 0) == -1, "write");
    syscall(SYS_exit, 42);
}

static void strict_killed(void)
{
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    syscall(SYS_getpid);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        CHECK(prctl(PR_GET_SECCOMP) == 2, "the filters were lost in exec");
        CHECK(syscall(SYS_getppid) == -1 && errno == 77, "after exec: errno %d", errno);
        CHECK(syscall(SYS_getpgid, 0) == -1 && errno == 78, "after exec: errno %d", errno);
        extern char **environ;
        for (char **e = environ; *e; e++) {
            CHECK(!strstr(*e, "SECCOMP"), "an environment of its own: %s", *e);
        }
        return 42;
    }
    expect_success(errors, "errors");
    expect_success(trap, "trap");
    expect_signal(trap_blocked, SIGSYS, "trap while blocked");
    expect_signal(kill_process, SIGSYS, "kill");
    expect_signal(unknown_action, SIGSYS, "unknown action");
    expect_success(kill_thread, "kill of a thread");
    expect_success(inherit, "inheritance");
    expect_success(sync_threads, "TSYNC");
    expect_success(sync_refused, "TSYNC refused");
    expect_success(refused, "bad programs");
    expect_success(strict, "strict mode");
    expect_signal(strict_killed, SIGKILL, "strict mode");
    return 0;
}
