/*
 * Signals that are sent: handlers with siginfo, masks during handlers, SA_NODEFER,
 * SA_RESETHAND, pending signals, sigsuspend, sigwaitinfo, queued values in order,
 * kill and tgkill between threads, EINTR and SA_RESTART of a blocking read.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <sys/time.h>
#include "test.h"

static _Atomic int depth, deepest, count;
static _Atomic int values[64];
static _Atomic pid_t handled_by;
static int pipe_fds[2];

static void nested(int sig, siginfo_t *info, void *context)
{
    int now = ++depth;

    if (now > deepest) {
        deepest = now;
    }
    if (++count < 3) {
        raise(sig);
    }
    depth--;
}

static void queued(int sig, siginfo_t *info, void *context)
{
    CHECK(info->si_code == SI_QUEUE && info->si_pid == getpid(), "si_code %d",
          info->si_code);
    values[count++ % 64] = info->si_value.sival_int;
}

static void note_thread(int sig, siginfo_t *info, void *context)
{
    handled_by = (pid_t)syscall(SYS_gettid);
    CHECK(info->si_signo == sig && info->si_code == SI_TKILL, "si_code %d",
          info->si_code);
}

static void write_pipe(int sig, siginfo_t *info, void *context)
{
    count++;
    CHECK(write(pipe_fds[1], "s", 1) == 1, "write in a handler");
}

static void just_count(int sig, siginfo_t *info, void *context)
{
    count++;
}

static void check_nesting(void)
{
    struct sigaction old;

    set_handler(SIGUSR1, nested, 0);
    count = deepest = 0;
    raise(SIGUSR1);
    CHECK(count == 3 && deepest == 1, "blocked in its own handler: %d deep",
          (int)deepest);
    set_handler(SIGUSR1, nested, SA_NODEFER);
    count = deepest = 0;
    raise(SIGUSR1);
    CHECK(count == 3 && deepest == 3, "SA_NODEFER: %d deep", (int)deepest);
    set_handler(SIGUSR1, just_count, SA_RESETHAND);
    raise(SIGUSR1);
    CHECK_ERRNO(sigaction(SIGUSR1, NULL, &old) == 0);
    CHECK(old.sa_handler == SIG_DFL, "SA_RESETHAND");
}

static void check_queue(void)
{
    sigset_t set, pending;
    int rt = SIGRTMIN + 3;

    sigemptyset(&set);
    sigaddset(&set, rt);
    sigaddset(&set, SIGUSR2);
    set_handler(rt, queued, 0);
    set_handler(SIGUSR2, just_count, 0);
    CHECK_ERRNO(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    count = 0;
    for (int i = 0; i < 20; i++) {
        CHECK_ERRNO(sigqueue(getpid(), rt, (union sigval){ .sival_int = 100 + i }) == 0);
    }
    CHECK_ERRNO(sigpending(&pending) == 0);
    CHECK(count == 0 && sigismember(&pending, rt) == 1, "pending");
    CHECK_ERRNO(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(count == 20, "%d of 20 queued signals arrived", (int)count);
    for (int i = 0; i < 20; i++) {
        CHECK(values[i] == 100 + i, "value %d arrived as number %d", (int)values[i], i);
    }
    CHECK_ERRNO(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    count = 0;
    for (int i = 0; i < 5; i++) {
        kill(getpid(), SIGUSR2);
    }
    CHECK_ERRNO(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(count == 1, "five ordinary signals were delivered %d times", (int)count);
}

static void check_waiting(void)
{
    struct timespec timeout = { 5, 0 };
    sigset_t block, empty;
    siginfo_t info;

    sigemptyset(&empty);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    set_handler(SIGUSR1, just_count, 0);
    CHECK_ERRNO(sigprocmask(SIG_BLOCK, &block, NULL) == 0);
    kill(getpid(), SIGUSR1);
    count = 0;
    CHECK(sigsuspend(&empty) == -1 && errno == EINTR && count == 1, "sigsuspend");
    kill(getpid(), SIGUSR1);
    CHECK(sigtimedwait(&block, &info, &timeout) == SIGUSR1 && info.si_pid == getpid() &&
          count == 1, "sigtimedwait");
    CHECK_ERRNO(sigprocmask(SIG_UNBLOCK, &block, NULL) == 0);
}

static void check_restart(void)
{
    /* Again and again: on a busy machine the first may come before the read. */
    const struct itimerval often = { { 0, 30000 }, { 0, 30000 } }, never = { { 0, 0 }, { 0, 0 } };
    char c = 0;

    CHECK_ERRNO(pipe(pipe_fds) == 0);
    set_handler(SIGALRM, just_count, 0);
    setitimer(ITIMER_REAL, &often, NULL);
    CHECK(read(pipe_fds[0], &c, 1) == -1 && errno == EINTR, "read was not interrupted");
    set_handler(SIGALRM, write_pipe, SA_RESTART);
    CHECK(read(pipe_fds[0], &c, 1) == 1 && c == 's', "read was not restarted");
    setitimer(ITIMER_REAL, &never, NULL);
}

static void *wait_for_signal(void *arg)
{
    _Atomic pid_t *tid = arg;

    *tid = (pid_t)syscall(SYS_gettid);
    while (handled_by == 0) {
        sched_yield();
    }
    return NULL;
}

static void check_threads(void)
{
    for (int i = 0; i < 20; i++) {
        _Atomic pid_t tid = 0;
        pthread_t id;

        handled_by = 0;
        set_handler(SIGUSR1, note_thread, 0);
        id = start_thread(wait_for_signal, &tid);
        while (tid == 0) {
            sched_yield();
        }
        CHECK_ERRNO(syscall(SYS_tgkill, getpid(), tid, SIGUSR1) == 0);
        join_thread(id);
        CHECK(handled_by == tid, "thread %d handled the signal of %d", (int)handled_by,
              (int)tid);
    }
    CHECK(syscall(SYS_tgkill, getpid(), 1 << 21, SIGUSR1) == -1 && errno == ESRCH,
          "tgkill");
}

int main(void)
{
    struct sigaction sa = { 0 };

    sa.sa_handler = SIG_IGN;
    CHECK(sigaction(SIGKILL, &sa, NULL) == -1 && errno == EINVAL,
          "SIGKILL cannot be ignored");
    CHECK(sigaction(SIGSTOP, &sa, NULL) == -1 && errno == EINVAL,
          "SIGSTOP cannot be ignored");
    check_nesting();
    check_queue();
    check_waiting();
    check_restart();
    check_threads();
    return 0;
}
