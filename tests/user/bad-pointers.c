/*
 * Pointers of system calls that lead nowhere, to memory without access, to read-only memory that would be
 * written, and over the end of what is accessible: the results are printed, and equal the native run's.
 * Never a signal.
 *
 * test-native: yes
 * test-output: native
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/times.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "test.h"

static char *good, *read_only, *none;
static int file, pipe_ends[2], pair[2], epoll, timer;

/* What is tried in place of the pointer; `size` bytes would be accessed there. */
enum { NOWHERE, NO_ACCESS, READ_ONLY, STRADDLES, HIGH, KINDS };

static uint64_t bad(int kind, unsigned size)
{
    switch (kind) {
    case NOWHERE: return 8;
    case NO_ACCESS: return (uintptr_t)none;
    case READ_ONLY: return (uintptr_t)read_only;
    case STRADDLES: return (uintptr_t)none - (size / 2 ? size / 2 : 1);
    default: return 0xffffffffffff0000;
    }
}

typedef struct {
    const char *name;
    long nr;
    int pointer;        /* which argument */
    unsigned size;
    uint64_t a[6];
} Call;

#define ANY 0

static void try_all(const Call *c)
{
    for (int kind = 0; kind < KINDS; kind++) {
        uint64_t a[6];
        memcpy(a, c->a, sizeof(a));
        a[c->pointer] = bad(kind, c->size);
        long r = syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (c->nr == SYS_clone3 && r == 0) {
            _exit(0);       /* zeros are a fork that tells nobody of its end */
        }
        printf("%s argument %d kind %d: %s %d\n", c->name, c->pointer, kind, r == -1 ? "errno" : "ok",
               r == -1 ? errno : 0);
        /* What a success has left behind. */
        (void)!read(pipe_ends[0], good, 4000);
        if (r >= 0 && (c->nr == SYS_openat || c->nr == SYS_pipe2 || c->nr == SYS_timerfd_create)) {
            close((int)r);
        }
    }
}

static void prepare(void)
{
    good = map_pages(6, PROT_READ | PROT_WRITE);
    read_only = good + 2 * PAGE;
    none = good + 4 * PAGE;
    CHECK_ERRNO(mprotect(read_only, 2 * PAGE, PROT_READ) == 0);
    CHECK_ERRNO(mprotect(none, 2 * PAGE, PROT_NONE) == 0);
    file = (int)syscall(SYS_memfd_create, "file", 0);
    CHECK_ERRNO(file >= 0 && ftruncate(file, 10000) == 0);
    CHECK_ERRNO(pipe2(pipe_ends, O_NONBLOCK) == 0);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
    CHECK_ERRNO((epoll = epoll_create1(0)) >= 0 && (timer = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
    strcpy(good, "/nonexistent/file");
}

int main(void)
{
    prepare();
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint64_t g = (uintptr_t)good, f = (uint64_t)file, cwd = (uint64_t)AT_FDCWD;
    struct iovec iov = { good, 100 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    uint64_t v = (uintptr_t)&iov, m = (uintptr_t)&msg;
    const Call calls[] = {
        { "read", SYS_read, 1, 64, { f, 0, 64 } },
        { "pread64", SYS_pread64, 1, 64, { f, 0, 64, 100 } },
        { "write", SYS_write, 1, 64, { (uint64_t)pipe_ends[1], 0, 64 } },
        { "readv", SYS_readv, 1, 16, { f, 0, 1 } },
        { "writev", SYS_writev, 1, 16, { f, 0, 1 } },
        { "openat", SYS_openat, 1, 8, { cwd, 0, O_RDONLY } },
        { "fstat", SYS_fstat, 1, sizeof(struct stat), { f } },
        { "newfstatat path", SYS_newfstatat, 1, 8, { cwd, 0, g, 0 } },
        { "statx", SYS_statx, 4, 256, { f, (uintptr_t)"", AT_EMPTY_PATH, 0x7ff, 0 } },
        { "fstatfs", SYS_fstatfs, 1, sizeof(struct statfs), { f } },
        { "getcwd", SYS_getcwd, 0, 200, { 0, 200 } },
        { "readlinkat path", SYS_readlinkat, 1, 8, { cwd, 0, g, 100 } },
        { "readlinkat", SYS_readlinkat, 2, 4, { cwd, (uintptr_t)"/proc/self/cwd", 0, 100 } },
        { "uname", SYS_uname, 0, sizeof(struct utsname), { 0 } },
        { "times", SYS_times, 0, sizeof(struct tms), { 0 } },
        { "getrusage", SYS_getrusage, 1, sizeof(struct rusage), { 0 } },
        { "prlimit new", SYS_prlimit64, 2, 16, { 0, RLIMIT_CORE, 0, 0 } },
        { "prlimit old", SYS_prlimit64, 3, 16, { 0, RLIMIT_STACK, 0, 0 } },
        { "clock_gettime", SYS_clock_gettime, 1, 16, { CLOCK_MONOTONIC, 0 } },
        { "clock_getres", SYS_clock_getres, 1, 16, { CLOCK_MONOTONIC, 0 } },
        { "nanosleep", SYS_nanosleep, 0, 16, { 0, 0 } },
        { "gettimeofday", SYS_gettimeofday, 0, 16, { 0, 0 } },
        { "getitimer", SYS_getitimer, 1, 32, { 0, 0 } },
        { "setitimer", SYS_setitimer, 1, 32, { 1, 0, 0 } },
        { "rt_sigaction new", SYS_rt_sigaction, 1, 24, { SIGUSR1, 0, 0, 8 } },
        { "rt_sigaction old", SYS_rt_sigaction, 2, 24, { SIGUSR1, 0, 0, 8 } },
        { "rt_sigprocmask new", SYS_rt_sigprocmask, 1, 8, { SIG_BLOCK, 0, 0, 8 } },
        { "rt_sigprocmask old", SYS_rt_sigprocmask, 2, 8, { SIG_BLOCK, 0, 0, 8 } },
        { "rt_sigpending", SYS_rt_sigpending, 0, 8, { 0, 8 } },
        { "rt_sigtimedwait", SYS_rt_sigtimedwait, 0, 8, { 0, 0, g + PAGE, 8 } },
        { "sigaltstack old", SYS_sigaltstack, 1, 24, { 0, 0 } },
        { "futex", SYS_futex, 0, 4, { 0, 1, 1 } },
        { "set_robust_list and get", SYS_get_robust_list, 1, 8, { 0, 0, g } },
        { "pipe2", SYS_pipe2, 0, 8, { 0, 0 } },
        { "getrandom", SYS_getrandom, 0, 64, { 0, 64, 0 } },
        { "getgroups", SYS_getgroups, 1, 4, { 0, 0 } },
        { "getresuid", SYS_getresuid, 1, 4, { g, 0, g } },
        { "getcpu", SYS_getcpu, 0, 4, { 0, 0 } },
        { "sysinfo", SYS_sysinfo, 0, 64, { 0 } },
        { "sched_getaffinity", SYS_sched_getaffinity, 2, 8, { 0, 128, 0 } },
        { "sched_getparam", SYS_sched_getparam, 1, 4, { 0, 0 } },
        { "wait4", SYS_wait4, 1, 4, { (uint64_t)-1, 0, WNOHANG } },
        { "ppoll", SYS_ppoll, 0, 8, { 0, 1, g + PAGE, 0, 8 } },
        { "ppoll mask", SYS_ppoll, 3, 8, { g, 0, g + PAGE, 0, 8 } },
        { "pselect6", SYS_pselect6, 1, 8, { 10, 0, 0, 0, g + PAGE, 0 } },
        { "pselect6 mask", SYS_pselect6, 5, 16, { 0, 0, 0, 0, g + PAGE, 0 } },
        { "epoll_ctl", SYS_epoll_ctl, 3, 12, { (uint64_t)epoll, EPOLL_CTL_ADD, (uint64_t)pair[0], 0 } },
        { "epoll_pwait mask", SYS_epoll_pwait, 4, 8, { (uint64_t)epoll, g, 1, 0, 0, 8 } },
        { "timerfd_settime", SYS_timerfd_settime, 2, 32, { (uint64_t)timer, 0, 0, 0 } },
        { "timerfd_gettime", SYS_timerfd_gettime, 1, 32, { (uint64_t)timer, 0 } },
        { "bind", SYS_bind, 1, 16, { (uint64_t)pair[0], 0, 16 } },
        { "getsockname", SYS_getsockname, 1, 2, { (uint64_t)pair[0], 0, g + PAGE } },
        { "getsockopt", SYS_getsockopt, 3, 4, { (uint64_t)pair[0], SOL_SOCKET, SO_TYPE, 0, g } },
        { "setsockopt", SYS_setsockopt, 3, 4, { (uint64_t)pair[0], SOL_SOCKET, SO_SNDBUF, 0, 4 } },
        { "sendto", SYS_sendto, 1, 64, { (uint64_t)pair[0], 0, 64, MSG_DONTWAIT } },
        { "sendmsg", SYS_sendmsg, 1, sizeof(struct msghdr), { (uint64_t)pair[0], 0, MSG_DONTWAIT } },
        { "process_vm_readv", SYS_process_vm_readv, 1, 16, { (uint64_t)getpid(), 0, 1, v, 1, 0 } },
        { "mincore", SYS_mincore, 2, 1, { g, PAGE, 0 } },
        { "execve", SYS_execve, 0, 8, { 0, 0, 0 } },
        { "clone3", SYS_clone3, 0, 64, { 0, 64 } },
        { "prctl name", SYS_prctl, 1, 8, { 16, 0 } },
        { "memfd_create", SYS_memfd_create, 0, 4, { 0, 0 } },
        { "getxattr", SYS_getxattr, 1, 8, { (uintptr_t)"/proc/self/exe", 0, g, 10 } },
        { "utimensat", SYS_utimensat, 2, 32, { f, 0, 0, 0 } },
        { "sendmmsg", SYS_sendmmsg, 1, 64, { (uint64_t)pair[0], 0, 1, MSG_DONTWAIT } },
        { "recvmmsg", SYS_recvmmsg, 1, 64, { (uint64_t)pair[1], 0, 1, MSG_DONTWAIT, 0 } },
    };
    (void)m;
    for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        try_all(&calls[i]);
    }
    return 0;
}
