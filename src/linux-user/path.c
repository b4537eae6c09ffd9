/*
 * The sysroot of -L: absolute paths of the guest are looked for below it first, with symbolic
 * links resolved as if it were the root.  Any thread; constant data only.
 *
 * The search goes from a descriptor, its result is a path for this process.  After chroot() or
 * pivot_root() that path may lead elsewhere or nowhere; then the sysroot counts no more.
 */
#include "linux-user/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/process.h"
#include "linux-user/procfs.h"
#include "linux-user/user-mem.h"

/* Does the path lead to the file of *st? */
static bool leads_to(const char *path, bool follow, const struct stat *st)
{
    struct stat there;
    return !(follow ? stat(path, &there) : lstat(path, &there)) && there.st_dev == st->st_dev &&
           there.st_ino == st->st_ino;
}

/* Where the path leads below the sysroot, as a host path; false if nowhere. */
static bool find_below(const char *path, bool follow, char out[PATH_MAX], struct stat *st)
{
    struct open_how how = {
        .flags = (uint64_t)(O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)),
        .resolve = RESOLVE_IN_ROOT,
    };
    int root, fd;
    do {
        root = __atomic_load_n(&user_process.sysroot_fd, __ATOMIC_RELAXED);
        fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
        /* Once more if the guest has just taken this number for itself. */
    } while (fd < 0 && root != __atomic_load_n(&user_process.sysroot_fd, __ATOMIC_RELAXED));
    if (fd < 0) {
        if (errno != ENOSYS) {
            return false;
        }
        int n = snprintf(out, PATH_MAX, "%s%s", user_process.sysroot, path);
        return n < PATH_MAX && !(follow ? stat(out, st) : lstat(out, st));
    }
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    bool ok = n > 0 && !fstat(fd, st);
    close(fd);
    if (ok) {
        out[n] = 0;
        return leads_to(out, follow, st);
    }
    n = snprintf(out, PATH_MAX, "%s%s", user_process.sysroot, path);
    return n < PATH_MAX && !(follow ? stat(out, st) : lstat(out, st));
}

void path_resolve(UserPath *p, bool follow)
{
    struct stat st;
    p->host = p->guest;
    if (!user_process.sysroot || p->guest[0] != '/' || !strncmp(p->guest, "/proc/", 6) ||
        !strncmp(p->guest, "/dev/", 5)) {
        return;
    }
    if (!find_below(p->guest, follow, p->below, &st)) {
        return;
    }
    if (S_ISDIR(st.st_mode) && access(p->guest, F_OK) == 0) {
        return;
    }
    p->host = p->below;
}

int path_read(UserPath *p, uint64_t addr, bool follow)
{
    long n = user_read_string(p->guest, addr, sizeof(p->guest));
    if (n < 0) {
        return (int)n;
    }
    if (unlikely(procfs_hides(p->guest))) {
        return -ENOENT;
    }
    path_resolve(p, follow);
    return 0;
}

const char *path_sysroot(void)
{
    struct stat st;
    int fd = __atomic_load_n(&user_process.sysroot_fd, __ATOMIC_RELAXED);
    return user_process.sysroot && !fstat(fd, &st) && leads_to(user_process.sysroot, true, &st)
               ? user_process.sysroot : NULL;
}
