/*
 * A signal that arrives just before a system call blocks is not lost: a timer of
 * a few microseconds against pause, read, nanosleep, futex and ppoll, thousands of
 * times.  With pselect-like calls, the signal can only arrive inside the call.
 *
 * test-native: yes
 * test-time: 60
 */
#include <linux/futex.h>
#include <poll.h>
#include <sys/time.h>
#include "test.h"

static _Atomic int arrived;
static int fds[2];

static void on_alarm(int sig, siginfo_t *info, void *context)
{
    arrived++;
}

/*
 * The timer repeats, so that a signal before the call only costs another period.
 * What a lost wake-up would show as is a hang.
 */
static void block_in(int which)
{
    struct pollfd p = { fds[0], POLLIN, 0 };
    struct timespec long_time = { 20, 0 };
    _Atomic uint32_t word = 0;
    char c;
    int r = -1;

    switch (which) {
    case 0:
        r = pause();
        break;
    case 1:
        r = (int)read(fds[0], &c, 1);
        break;
    case 2:
        r = nanosleep(&long_time, &long_time);
        CHECK(long_time.tv_sec <= 20, "remaining time %ld",
              (long)long_time.tv_sec);
        break;
    case 3:
        r = (int)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
        break;
    default:
        r = ppoll(&p, 1, NULL, NULL);
    }
    CHECK(r == -1 && errno == EINTR, "call %d returned %d, errno %d", which, r, errno);
}

static void masked_wait(void)
{
    struct itimerval once = { { 0, 0 }, { 0, 1 } };
    struct pollfd p = { fds[0], POLLIN, 0 };
    struct timespec limit = { 10, 0 };
    sigset_t block, open_mask;

    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    CHECK_ERRNO(sigprocmask(SIG_BLOCK, &block, &open_mask) == 0);
    arrived = 0;
    setitimer(ITIMER_REAL, &once, NULL);
    CHECK(ppoll(&p, 1, &limit, &open_mask) == -1 && errno == EINTR,
          "signal lost in ppoll");
    CHECK(arrived == 1, "%d signals", (int)arrived);
    CHECK_ERRNO(sigprocmask(SIG_SETMASK, &open_mask, NULL) == 0);
}

int main(void)
{
    struct itimerval every = { { 0, 60 }, { 0, 60 } }, never = { { 0, 0 }, { 0, 0 } };
    unsigned long rounds = scaled(2000);

    CHECK_ERRNO(pipe(fds) == 0);
    set_handler(SIGALRM, on_alarm, 0);
    for (int which = 0; which < 5; which++) {
        setitimer(ITIMER_REAL, &every, NULL);
        for (unsigned long i = 0; i < rounds; i++) {
            block_in(which);
        }
        setitimer(ITIMER_REAL, &never, NULL);
    }
    for (unsigned long i = 0; i < rounds; i++) {
        masked_wait();
    }
    return 0;
}
