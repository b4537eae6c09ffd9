/*
 * A process that a signal ends is seen by its parent as ended by that signal: sent
 * ones, faults, a fault whose signal is blocked or ignored, abort; SIGKILL of
 * a process with many threads; exit_group with busy threads; SIGSTOP and SIGCONT.
 *
 * test-native: yes
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include "test.h"

static void *spin(void *arg)
{
    for (;;) {
        __asm__ volatile("");
    }
    return arg;
}

static void fault(void)
{
    volatile char *nowhere = (volatile char *)16;

    __asm__ volatile("" : "+r"(nowhere));
    *nowhere = 1;
}

static void blocked_fault(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    fault();
}

static void ignored_fault(void)
{
    signal(SIGSEGV, SIG_IGN);
    fault();
}

static void kill_from_thread(void)
{
    for (int i = 0; i < 10; i++) {
        start_thread(spin, NULL);
    }
    sleep_ms(10);
    kill(getpid(), SIGKILL);
    pause();
}

static void exit_with_threads(void)
{
    for (int i = 0; i < (int)scaled(40); i++) {
        start_thread(spin, NULL);
    }
    exit(77);
}

static void terminate(void) { raise(SIGTERM); }
static void user_signal(void) { kill(getpid(), SIGUSR2); }
static void realtime(void) { raise(64); }
#ifdef __riscv
static void illegal(void) { __asm__ volatile(".2byte 0"); }
static void breakpoint(void) { __asm__ volatile("ebreak"); }
#else
static void illegal(void) { __asm__ volatile("ud2"); }
static void breakpoint(void) { __asm__ volatile("int3"); }
#endif

static int status_of(void (*body)(void))
{
    int status;
    pid_t pid = fork();

    CHECK_ERRNO(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = { 0, 0 };

        setrlimit(RLIMIT_CORE, &no_core);
        alarm(60);
        body();
        _exit(99);
    }
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    return status;
}

static void check_stop(void)
{
    int status;

    signal(SIGINT, SIG_DFL);        /* a shell's background job ignores it; the child may be stopped at once */
    pid_t pid = fork();
    if (pid == 0) {
        spin(NULL);
    }
    CHECK_ERRNO(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "stopped: %#x", status);
    CHECK_ERRNO(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, WCONTINUED) == pid);
    CHECK(WIFCONTINUED(status), "continued: %#x", status);
    CHECK_ERRNO(kill(pid, SIGINT) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "ended: %#x", status);
}

int main(void)
{
    static const struct {
        const char *what;
        void (*body)(void);
        int sig;
    } cases[] = {
        {"SIGTERM", terminate, SIGTERM},
        {"SIGUSR2", user_signal, SIGUSR2},
        {"abort", abort, SIGABRT},
        {"fault", fault, SIGSEGV},
        {"blocked fault", blocked_fault, SIGSEGV},
        {"ignored fault", ignored_fault, SIGSEGV},
        {"illegal instruction", illegal, SIGILL},
        {"breakpoint", breakpoint, SIGTRAP},
        {"SIGRTMAX", realtime, 64},
        {"SIGKILL", kill_from_thread, SIGKILL},
    };
    int status;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        status = status_of(cases[i].body);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == cases[i].sig, "%s: status %#x",
              cases[i].what, status);
    }
    status = status_of(exit_with_threads);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 77, "exit_group: %#x", status);
    check_stop();
    return 0;
}
