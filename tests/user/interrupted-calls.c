/*
 * What becomes of a call that a signal interrupts: time that is left, absolute times, calls that are
 * restarted and calls that never are, SIGSTOP and SIGCONT without anybody noticing, masks that hold
 * only inside a call.
 *
 * test-native: yes
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "test.h"

static _Atomic int count;

static void note(int sig, siginfo_t *info, void *context)
{
    count++;
}

/* And again and again: on a busy machine the first one may come before the call that it shall interrupt.  0: no more. */
static void alarm_in_ms(unsigned ms)
{
    struct itimerval soon = { { 0, ms * 1000 }, { 0, ms * 1000 } };
    CHECK_ERRNO(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static long ms_since(uint64_t start)
{
    return (long)((now_ns() - start) / 1000000);
}

static void check_sleeps(int flags)
{
    struct timespec long_time = { 20, 0 }, left = { 99, 9 }, until;     /* time enough for a busy machine */

    set_handler(SIGALRM, note, flags);
    alarm_in_ms(50);
    CHECK(nanosleep(&long_time, &left) == -1 && errno == EINTR, "nanosleep is not restarted");
    CHECK(left.tv_sec < 20 && (left.tv_sec || left.tv_nsec), "%ld.%09ld s are left", (long)left.tv_sec, left.tv_nsec);
    CHECK_ERRNO(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += 20;
    left.tv_sec = 99;
    alarm_in_ms(50);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, &left) == EINTR && left.tv_sec == 99,
          "an absolute time leaves nothing");
}

/* Never restarted, whatever SA_RESTART says: signal(7). */
static void check_never_restarted(void)
{
    struct epoll_event ev;
    struct timeval limit = { 5, 0 };
    struct timespec five = { 5, 0 };
    struct { long type; char text[8]; } msg;
    sigset_t set;
    int epoll = epoll_create1(0), queue = msgget(IPC_PRIVATE, 0600), pair[2];
    char c;

    set_handler(SIGALRM, note, SA_RESTART);
    alarm_in_ms(20);
    CHECK(poll(NULL, 0, 5000) == -1 && errno == EINTR, "poll");
    alarm_in_ms(20);
    CHECK(select(0, NULL, NULL, NULL, &limit) == -1 && errno == EINTR, "select");
    alarm_in_ms(20);
    CHECK(epoll_wait(epoll, &ev, 1, 5000) == -1 && errno == EINTR, "epoll_wait");
    alarm_in_ms(20);
    CHECK(pause() == -1 && errno == EINTR, "pause");
    alarm_in_ms(20);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(sigtimedwait(&set, NULL, &five) == -1 && errno == EINTR, "sigtimedwait");
    if (queue >= 0) {
        alarm_in_ms(20);
        CHECK(msgrcv(queue, &msg, 8, 0, 0) == -1 && errno == EINTR, "msgrcv");
        msgctl(queue, IPC_RMID, NULL);
    }
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK_ERRNO(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
    alarm_in_ms(20);
    CHECK(recv(pair[0], &c, 1, 0) == -1 && errno == EINTR, "recv with a time limit");
    close(epoll);
    close(pair[0]);
    close(pair[1]);
}

static void *answer_later(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    do {
        sleep_ms(100);
    } while (!count);
    CHECK_ERRNO(write(*(int *)arg, "x", 1) == 1);
    return NULL;
}

static void check_restarted(void)
{
    int pair[2], status;
    char c;

    set_handler(SIGALRM, note, SA_RESTART);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    count = 0;
    pthread_t id = start_thread(answer_later, &pair[1]);
    alarm_in_ms(30);
    CHECK(recv(pair[0], &c, 1, 0) == 1 && c == 'x' && count, "recv: %d signals", count);
    join_thread(id);
    pid_t pid = fork();
    if (pid == 0) {
        sleep_ms(100);
        _exit(4);
    }
    alarm_in_ms(30);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4, "waitpid");
    alarm_in_ms(0);
    close(pair[0]);
    close(pair[1]);
}

/* A child that sleeps is stopped and goes on.  False: it was too late for that. */
static bool stop_sleeper(long ms)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
        uint64_t start = now_ns();
        if (nanosleep(&t, NULL)) {
            _exit(10);
        }
        _exit(ms_since(start) < ms - 10);
    }
    sleep_ms(50);
    CHECK_ERRNO(kill(pid, SIGSTOP) == 0);
    CHECK_ERRNO(waitpid(pid, &status, WUNTRACED) == pid);
    bool stopped = WIFSTOPPED(status);
    if (stopped) {
        CHECK_ERRNO(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, 0) == pid);
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", status);
    return stopped;
}

/* A stop and a continuation are no interruption. */
static void check_stopped(void)
{
    for (long ms = 300; !stop_sleeper(ms); ms *= 2) {
    }
}

/* Blocked outside, open inside: delivered in the call, exactly once, and blocked again behind it. */
static void check_masks(void)
{
    struct timespec five = { 5, 0 };
    sigset_t block, empty, now;

    sigemptyset(&empty);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    CHECK_ERRNO(sigprocmask(SIG_BLOCK, &block, NULL) == 0);
    for (unsigned long i = 0; i < scaled(200); i++) {
        count = 0;
        kill(getpid(), SIGALRM);
        CHECK(count == 0, "a blocked signal");
        if (i % 2) {
            CHECK(pselect(0, NULL, NULL, NULL, &five, &empty) == -1 && errno == EINTR, "pselect");
        } else {
            CHECK(ppoll(NULL, 0, &five, &empty) == -1 && errno == EINTR, "ppoll");
        }
        CHECK(count == 1, "%d signals", count);
        CHECK_ERRNO(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
        CHECK(sigismember(&now, SIGALRM), "the mask after the call");
    }
    CHECK_ERRNO(sigprocmask(SIG_UNBLOCK, &block, NULL) == 0);
}

int main(void)
{
    check_sleeps(0);
    check_sleeps(SA_RESTART);
    check_never_restarted();
    check_restarted();
    check_stopped();
    check_masks();
    return 0;
}
