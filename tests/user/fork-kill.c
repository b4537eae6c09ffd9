/*
 * Signals that meet a process at its birth: sent the moment fork() or posix_spawn() has returned its number, by
 * a parent with a timer of its own. The child dies of them, or its handler runs, whatever it is doing then: not yet
 * back from fork(), taking down the parent's handlers, becoming another program. What is blocked waits
 * through execve().
 *
 * test-native: yes
 * test-time:   120
 */
#include <spawn.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "test.h"

extern char **environ;

static char *const sleeper[] = { "fork-kill", "sleeper", NULL };
static char *const opener[] = { "fork-kill", "opener", NULL };
static sigset_t only[NSIG];

static void on_alarm(int sig, siginfo_t *info, void *context) { }
static void on_signal(int sig, siginfo_t *info, void *context) { _exit(100 + sig); }

static void wait_for_ever(void)
{
    for (;;) {
        pause();
    }
}

static void become(char *const argv[])
{
    execv("/proc/self/exe", argv);
    _exit(99);
}

/* What a shell's child does: the parent's handlers down, then the mask open, then another program. */
static void shell_child(int sig)
{
    signal(sig, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &only[sig], NULL);
    become(sleeper);
}

static void default_child(int sig)
{
    signal(sig, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &only[sig], NULL);
    wait_for_ever();
}

static void handler_child(int sig)
{
    sigprocmask(SIG_UNBLOCK, &only[sig], NULL);
    wait_for_ever();
}

static void blocking_child(int sig)
{
    signal(sig, SIG_DFL);
    become(opener);
}

static int status_of(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) != pid) {
        CHECK_ERRNO(errno == EINTR);
    }
    return status;
}

static int kill_newborn(void (*child)(int), int sig)
{
    pid_t pid;

    sigprocmask(SIG_BLOCK, &only[sig], NULL);
    pid = fork();
    CHECK_ERRNO(pid >= 0);
    if (pid == 0) {
        child(sig);
    }
    CHECK_ERRNO(kill(pid, sig) == 0);
    sigprocmask(SIG_UNBLOCK, &only[sig], NULL);
    return status_of(pid);
}

/* posix_spawn() returns when the child has become the program, which begins with default actions. */
static int kill_spawned(int sig)
{
    posix_spawnattr_t attr;
    pid_t pid;

    CHECK(posix_spawnattr_init(&attr) == 0 && posix_spawnattr_setsigdefault(&attr, &only[sig]) == 0 &&
          posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF) == 0, "attributes");
    CHECK(posix_spawn(&pid, "/proc/self/exe", NULL, &attr, sleeper, environ) == 0, "posix_spawn");
    CHECK_ERRNO(kill(pid, sig) == 0);
    posix_spawnattr_destroy(&attr);
    return status_of(pid);
}

static void check_died(const char *how, int sig, int status)
{
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == sig, "%s: signal %d gave %04x", how, sig, status);
}

int main(int argc, char **argv)
{
    /* One whose default action is the kernel's alone, one that braid handles for its core file, a real-time one. */
    int signals[] = { SIGTERM, SIGQUIT, SIGRTMIN + 3 };
    struct itimerval timer = { { 0, 700 }, { 0, 700 } };

    if (argc > 1) {
        if (!strcmp(argv[1], "opener")) {
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, NULL);
        }
        wait_for_ever();
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    set_handler(SIGALRM, on_alarm, SA_RESTART);
    for (unsigned i = 0; i < 3; i++) {
        sigemptyset(&only[signals[i]]);
        sigaddset(&only[signals[i]], signals[i]);
        set_handler(signals[i], on_signal, 0);
    }
    CHECK_ERRNO(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    for (unsigned long round = 0; round < scaled(100); round++) {
        int sig = signals[round % 3], status;
        check_died("fork", sig, kill_newborn(default_child, sig));
        check_died("fork, exec", sig, kill_newborn(shell_child, sig));
        check_died("fork, exec, blocked", sig, kill_newborn(blocking_child, sig));
        check_died("spawn", sig, kill_spawned(sig));
        status = kill_newborn(handler_child, sig);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 100 + sig, "handler: signal %d gave %04x", sig, status);
    }
    return 0;
}
