/*
 * Processes that share memory without being threads (clone with CLONE_VM alone), and what
 * else clone() and clone3() can be asked for: shared or separate descriptors, directories and
 * handlers, the ids that are written and cleared (also when the child is killed or
 * executes a program), pidfds, set_tid, a cgroup that is none; a parent that ends while its child lives on.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include "test.h"

#define STACK (256 * 1024)
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ull
#endif

static _Atomic int shared, child_tid, parent_tid;

static pid_t start_child(int (*fn)(void *), int flags)
{
    char *stack = map_pages(STACK / PAGE, PROT_READ | PROT_WRITE);
    pid_t pid = clone(fn, stack + STACK, flags | SIGCHLD, NULL, &parent_tid, NULL, &child_tid);

    CHECK_ERRNO(pid > 0);
    return pid;
}

static int status_of(pid_t pid)
{
    int status;

    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    return status;
}

static void wait_for(_Atomic int *word, int value)
{
    for (int i = 0; *word != value; i++) {
        CHECK(i < 10000, "the word is %d, not %d", *word, value);
        sleep_ms(1);
    }
}

static int say_seven(void *arg)
{
    shared = 7;
    return 9;
}

/* Takes turns with the parent. */
static int take_turns(void *arg)
{
    for (int i = 0; i < 200; i += 2) {
        while (shared != i + 1) {
            sched_yield();
        }
        shared = i + 2;
    }
    return 0;
}

static int spin(void *arg)
{
    shared = 1;
    while (shared) {
        shared |= 2;
    }
    return 0;
}

static int execute(void *arg)
{
    execl("/proc/self/exe", "exe", "slow", (char *)NULL);
    return 100;
}

static void check_basics(void)
{
    shared = child_tid = parent_tid = 0;
    pid_t pid = start_child(say_seven, CLONE_VM | CLONE_PARENT_SETTID);
    int status = status_of(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9, "status %#x", status);
    CHECK(shared == 7 && parent_tid == pid && child_tid == 0, "%d, tid %d, %d", shared, parent_tid,
          child_tid);
    shared = 0;
    pid = start_child(take_turns, CLONE_VM | CLONE_FS | CLONE_FILES);
    for (int i = 0; i < 200; i += 2) {
        while (shared != i) {
            sched_yield();
        }
        shared = i + 1;
    }
    status = status_of(pid);
    CHECK(status == 0 && shared == 200, "status %#x, %d", status, shared);
}

/* The id is cleared, and whoever waits for that is woken, however the child goes. */
static void check_cleared(int (*fn)(void *), int sig, int expected)
{
    shared = 0;
    child_tid = -1;
    pid_t pid = start_child(fn, CLONE_VM | CLONE_CHILD_CLEARTID);
    if (sig) {
        wait_for(&shared, 3);
        CHECK_ERRNO(kill(pid, sig) == 0);
    }
    while (child_tid == -1) {
        struct timespec limit = { 10, 0 };
        long r = syscall(SYS_futex, &child_tid, FUTEX_WAIT, -1, &limit, NULL, 0);
        CHECK(r == 0 || errno != ETIMEDOUT, "nobody cleared the id");
    }
    CHECK(child_tid == 0, "the id is %d", child_tid);
    int status = status_of(pid);
    CHECK(status == expected, "status %#x", status);
}

static int open_three(void *arg)
{
    shared = open("/dev/null", O_RDONLY);
    return chdir("/proc");
}

static void check_files(void)
{
    char dir[64];
    CHECK_ERRNO(chdir("/") == 0);
    status_of(start_child(open_three, CLONE_VM));
    CHECK(fcntl(shared, F_GETFD) == -1 && errno == EBADF, "descriptors are not shared");
    CHECK(getcwd(dir, sizeof(dir)) && !strcmp(dir, "/"), "directories are not shared: %s", dir);
    status_of(start_child(open_three, CLONE_VM | CLONE_FILES | CLONE_FS));
    CHECK(fcntl(shared, F_GETFD) == 0, "descriptors are shared");
    CHECK(getcwd(dir, sizeof(dir)) && !strcmp(dir, "/proc"), "directories are shared: %s", dir);
    close(shared);
    CHECK_ERRNO(chdir("/") == 0);
    /* Without the memory. */
    int fd = dup(0);
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, NULL, 0, NULL);
    if (pid == 0) {
        _exit(close(fd));
    }
    status_of(pid);
    CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF, "CLONE_FILES of a fork");
}

static void count(int sig)
{
    shared += 10;
}

static int raise_one(void *arg)
{
    signal(SIGUSR2, count);
    raise(SIGUSR1);
    return 0;
}

static void check_handlers(void)
{
    shared = 0;
    signal(SIGUSR1, count);
    signal(SIGUSR2, SIG_IGN);
    status_of(start_child(raise_one, CLONE_VM));
    raise(SIGUSR2);
    CHECK(shared == 10, "handlers are copied: %d", shared);
    status_of(start_child(raise_one, CLONE_VM | CLONE_SIGHAND));
    raise(SIGUSR2);
    CHECK(shared == 30, "handlers are shared: %d", shared);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

static void check_clone3(void)
{
    struct clone_args c = { .exit_signal = SIGCHLD };
    pid_t wanted = 31999, tids[40] = { wanted };
    int fd = -1;

    c.flags = CLONE_PIDFD;
    c.pidfd = (uintptr_t)&fd;
    pid_t pid = (pid_t)syscall(SYS_clone3, &c, sizeof(c));
    if (pid == 0) {
        _exit(3);
    }
    CHECK_ERRNO(pid > 0 && fd >= 0);
    struct pollfd p = { fd, POLLIN, 0 };
    CHECK_ERRNO(poll(&p, 1, 10000) == 1);
    close(fd);
    status_of(pid);
    c = (struct clone_args){ .exit_signal = SIGCHLD, .set_tid = (uintptr_t)tids, .set_tid_size = 1 };
    pid = (pid_t)syscall(SYS_clone3, &c, sizeof(c));
    if (pid == 0) {
        _exit(getpid() != wanted);
    }
    if (pid > 0) {
        int status = status_of(pid);
        CHECK(pid == wanted && status == 0, "set_tid: %d, status %#x", pid, status);
    } else {
        CHECK(errno == EPERM || errno == EEXIST, "set_tid: errno %d", errno);
    }
    c.set_tid_size = 40;
    CHECK(syscall(SYS_clone3, &c, sizeof(c)) == -1 && errno == EINVAL, "set_tid is too long");
    c.set_tid = 0;
    c.set_tid_size = 1;
    CHECK(syscall(SYS_clone3, &c, sizeof(c)) == -1 && errno == EINVAL, "set_tid is not there");
    c = (struct clone_args){ .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = 999 };
    CHECK(syscall(SYS_clone3, &c, 88) == -1 && errno == EBADF, "not a cgroup: %d", errno);
    c = (struct clone_args){ .flags = 1ull << 40, .exit_signal = SIGCHLD };
    CHECK(syscall(SYS_clone3, &c, sizeof(c)) == -1 && errno == EINVAL, "an unknown flag");
    c = (struct clone_args){ .flags = CLONE_VM | CLONE_VFORK, .exit_signal = 65 };
    CHECK(syscall(SYS_clone3, &c, sizeof(c)) == -1 && errno == EINVAL, "not a signal");
}

static int outlive(void *arg)
{
    wait_for(&shared, 1);
    for (int i = 0; i < 100; i++) {
        free(malloc(100000));
        sleep_ms(1);
    }
    return write(*(int *)arg, "ok", 2) == 2 ? 0 : 1;
}

static void *busy(void *arg)
{
    static volatile int own;

    for (;;) {
        own++;
    }
    return NULL;
}

/* A parent with running threads ends; its child goes on in the memory that was theirs. */
static void check_survivor(void)
{
    int fds[2];
    char text[4];

    CHECK_ERRNO(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *stack = map_pages(STACK / PAGE, PROT_READ | PROT_WRITE);
        start_thread(busy, NULL);
        start_thread(busy, NULL);
        pid_t child = clone(outlive, stack + STACK, CLONE_VM | SIGCHLD, &fds[1]);
        CHECK_ERRNO(child > 0);
        sleep_ms(20);
        shared = 1;
        _exit(5);
    }
    close(fds[1]);
    int status = status_of(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5, "status %#x", status);
    CHECK(read(fds[0], text, sizeof(text)) == 2, "the child did not live on");
    close(fds[0]);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        sleep_ms(20);
        return 6;
    }
    check_basics();
    check_cleared(say_seven, 0, 9 << 8);
    check_cleared(spin, SIGKILL, SIGKILL);
    check_cleared(spin, SIGTERM, SIGTERM);
    check_cleared(execute, 0, 6 << 8);
    check_files();
    check_handlers();
    check_clone3();
    for (unsigned long i = 0; i < scaled(5); i++) {
        check_survivor();
    }
    /* The first ones again: nothing of the dead is in the way. */
    check_basics();
    return 0;
}
