/*
 * Where braid's own descriptors are.
 *
 * Best is a number that the guest cannot name: at its soft limit or above, where open(), dup2() and
 * fcntl() refuse to go.  So the limit is raised for the moment in which the copy is made; what has
 * been opened stays open.  Where the hard limit is in the way, or the soft one is so high that the
 * kernel's table would grow large, it is a high number below the limit, and linux-user
 * hides it.
 *
 * Changed by start-up, by the log under its lock, and by a guest's dup2(); read by any thread without
 * a lock, each entry by itself.
 */
#include "util/own-fd.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#define LARGEST_START 65536
#define USUAL_START 960

OwnFds own_fds = {
    .fd = { -1, -1, -1, -1, -1, -1, -1, -1 },
    .lowest = INT_MAX,
};
_Static_assert(OWN_FD_MAX == 8, "the entries above");

static struct {
    /* used by start-up only */
    bool active;
    struct rlimit limit;    /* as it was and will be */
} startup;

void own_fd_startup_begin(void)
{
    startup.active = !getrlimit(RLIMIT_NOFILE, &startup.limit);
    if (startup.active) {
        struct rlimit raised = startup.limit;
        raised.rlim_cur = raised.rlim_max;
        setrlimit(RLIMIT_NOFILE, &raised);
    }
}

void own_fd_startup_end(void)
{
    if (startup.active) {
        setrlimit(RLIMIT_NOFILE, &startup.limit);
        startup.active = false;
    }
}

static int copy_high(int fd)
{
    struct rlimit now, rl, raised;
    if (getrlimit(RLIMIT_NOFILE, &now)) {
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    }
    rl = startup.active ? startup.limit : now;
    raised = rl;
    raised.rlim_cur = rl.rlim_max;
    int high = -1;
    if (rl.rlim_cur >= 64 && rl.rlim_cur <= LARGEST_START && rl.rlim_cur < rl.rlim_max &&
        !setrlimit(RLIMIT_NOFILE, &raised)) {
        high = fcntl(fd, F_DUPFD_CLOEXEC, (int)rl.rlim_cur);
        setrlimit(RLIMIT_NOFILE, &now);
    }
    if (high < 0) {
        int start = rl.rlim_cur > USUAL_START + OWN_FD_MAX ? USUAL_START
                    : rl.rlim_cur > 64                     ? (int)rl.rlim_cur - 24 : 3;
        high = fcntl(fd, F_DUPFD_CLOEXEC, start);
    }
    return high < 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : high;
}

static void find_lowest(void)
{
    int lowest = INT_MAX;
    for (int i = 0; i < OWN_FD_MAX; i++) {
        int fd = __atomic_load_n(&own_fds.fd[i], __ATOMIC_RELAXED);
        if (fd >= 0 && fd < lowest) {
            lowest = fd;
        }
    }
    __atomic_store_n(&own_fds.lowest, lowest, __ATOMIC_RELAXED);
}

static void replace(int old, int now)
{
    for (int i = 0; i < OWN_FD_MAX; i++) {
        if (own_fds.fd[i] == old) {
            __atomic_store_n(&own_fds.fd[i], now, __ATOMIC_RELAXED);
            break;
        }
    }
    find_lowest();
}

int own_fd_add(int fd)
{
    int high = copy_high(fd);
    if (high >= 0) {
        close(fd);
        fd = high;
    }
    replace(-1, fd);
    return fd;
}

void own_fd_remove(int fd)
{
    if (fd >= 0) {
        replace(fd, -1);
    }
}

bool own_fd_vacate(int *where)
{
    int old = *where, fd = copy_high(old);
    if (fd < 0) {
        return false;
    }
    __atomic_store_n(where, fd, __ATOMIC_RELAXED);
    replace(old, fd);
    close(old);
    return true;
}

unsigned own_fd_next(unsigned from)
{
    unsigned next = UINT_MAX;
    for (int i = 0; i < OWN_FD_MAX; i++) {
        int fd = __atomic_load_n(&own_fds.fd[i], __ATOMIC_RELAXED);
        if (fd >= 0 && (unsigned)fd >= from && (unsigned)fd < next) {
            next = (unsigned)fd;
        }
    }
    return next;
}
