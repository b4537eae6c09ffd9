/*
 * The descriptors of a process are those that it opened: nothing else is in
 * /proc/self/fd, answers to fcntl or read, can be closed or duplicated, and every
 * number below the limit can be taken.  After all this, and after closing everything,
 * the program can still fork, open files and execute itself.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "test.h"

#define MOST 4096

static int limit;

/* Which descriptors a directory of /proc lists, but for the one that lists them. */
static int list(const char *path, bool seen[MOST])
{
    DIR *dir = opendir(path);
    struct dirent *e;
    int n = 0;

    CHECK(dir, "%s: %s", path, strerror(errno));
    memset(seen, 0, MOST * sizeof(*seen));
    while ((e = readdir(dir))) {
        int fd = atoi(e->d_name);

        if (e->d_name[0] != '.' && fd != dirfd(dir)) {
            CHECK(fd < MOST, "descriptor %d", fd);
            seen[fd] = true;
            n++;
        }
    }
    closedir(dir);
    return n;
}

static void check_listed(bool open_ones[MOST])
{
    char own[64], task[64];
    const char *const paths[] = {
        "/proc/self/fd", "/proc/self/fdinfo/", "/proc/thread-self/fd", "/dev/fd/", own, task
    };

    snprintf(own, sizeof(own), "/proc/%d/fd", getpid());
    snprintf(task, sizeof(task), "/proc/self/task/%d/fd", getpid());
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        bool seen[MOST];

        list(paths[i], seen);
        for (int fd = 0; fd < MOST; fd++) {
            CHECK(seen[fd] == open_ones[fd], "%s %s descriptor %d", paths[i],
                  seen[fd] ? "lists" : "does not list", fd);
        }
    }
}

/* What is not open answers so everywhere. */
static void check_closed(bool open_ones[MOST])
{
    for (int fd = 0; fd < MOST; fd++) {
        char name[64], to[256], c;

        if (open_ones[fd]) {
            continue;
        }
        CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF, "fcntl(%d)", fd);
        CHECK(read(fd, &c, 1) == -1 && errno == EBADF, "read(%d)", fd);
        CHECK(close(fd) == -1 && errno == EBADF, "close(%d)", fd);
        CHECK(dup(fd) == -1 && errno == EBADF, "dup(%d)", fd);
        CHECK(openat(fd, "file", O_RDONLY) == -1 && errno == EBADF, "openat(%d)", fd);
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        CHECK(readlink(name, to, sizeof(to)) == -1 && errno == ENOENT, "readlink %s", name);
        CHECK(access(name, F_OK) == -1 && errno == ENOENT, "access %s", name);
    }
}

static void spawn_self(const char *why)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execl("/proc/self/exe", "descriptors", "again", (char *)NULL);
        _exit(99);
    }
    CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "%s: status %#x", why, status);
}

/* All numbers below the limit can be had, and used. */
static void take_all(bool open_ones[MOST])
{
    int null = open("/dev/null", O_WRONLY);

    CHECK_ERRNO(null >= 0);
    for (int fd = 3; fd < limit; fd++) {
        CHECK(fd == null || dup2(null, fd) == fd, "dup2 to %d: %s", fd, strerror(errno));
        CHECK(write(fd, "x", 1) == 1, "write to %d: %s", fd, strerror(errno));
    }
    CHECK(dup2(null, limit) == -1 && errno == EBADF, "dup2 above the limit");
    CHECK(open("/dev/null", O_RDONLY) == -1 && errno == EMFILE, "open at the limit");
    close(limit - 1);
    for (int fd = 0; fd < limit - 1; fd++) {
        open_ones[fd] = true;
    }
    check_listed(open_ones);
}

int main(int argc, char **argv)
{
    struct rlimit rl;
    bool open_ones[MOST] = { [0] = true, [1] = true, [2] = true };

    if (argc > 1) {
        return open("/dev/null", O_RDONLY) >= 0 ? 7 : 8;
    }
    CHECK_ERRNO(getrlimit(RLIMIT_NOFILE, &rl) == 0);
    rl.rlim_cur = rl.rlim_max - 16 < 1024 ? rl.rlim_max - 16 : 1024;
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &rl) == 0);
    limit = (int)rl.rlim_cur;
    CHECK_ERRNO(syscall(SYS_close_range, 3, ~0u, 0) == 0);
    check_listed(open_ones);
    check_closed(open_ones);
    spawn_self("with three descriptors");
    take_all(open_ones);
    spawn_self("with all descriptors but one");
    CHECK_ERRNO(syscall(SYS_close_range, 3, ~0u, 0) == 0);
    spawn_self("after close_range");
    for (int fd = 3; fd < MOST; fd++) {
        close(fd);
    }
    spawn_self("after closing one by one");
    return 0;
}
