/*
 * System calls about files by name, and about what a file is.  Paths go through path.c (-L)
 * and procfs.c.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "linux-user/path.h"
#include "linux-user/process.h"
#include "linux-user/procfs.h"
#include "linux-user/structs.h"
#include "linux-user/syscall.h"

static int64_t write_stat(uint64_t addr, const struct stat *st)
{
    GuestStat g = {
        .dev = st->st_dev, .ino = st->st_ino, .mode = st->st_mode,
        .nlink = (uint32_t)st->st_nlink, .uid = st->st_uid, .gid = st->st_gid,
        .rdev = st->st_rdev, .size = st->st_size, .blksize = (int32_t)st->st_blksize,
        .blocks = st->st_blocks,
        .atime = st->st_atim.tv_sec, .atime_nsec = (uint64_t)st->st_atim.tv_nsec,
        .mtime = st->st_mtim.tv_sec, .mtime_nsec = (uint64_t)st->st_mtim.tv_nsec,
        .ctime = st->st_ctim.tv_sec, .ctime_nsec = (uint64_t)st->st_ctim.tv_nsec,
    };
    return user_write(addr, &g, sizeof(g)) ? 0 : -EFAULT;
}

int64_t sys_openat(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    int flags = (int)a[2];
    int64_t ret = path_read(&p, a[1], !(flags & O_NOFOLLOW));
    if (ret) {
        return ret;
    }
    if (!strncmp(p.guest, "/proc/", 6)) {
        ret = procfs_open(p.guest, flags);
        if (ret != -ENOSYS) {
            return ret;
        }
    }
    return safe_syscall6(t, SYS_openat, (uint64_t)(int)a[0], (uintptr_t)p.host, a[2], a[3], 0, 0);
}

int64_t sys_openat2(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    struct open_how how = { 0 };
    if (a[3] < sizeof(how)) {
        return -EINVAL;
    }
    uint64_t how_addr = a[2];
    if (!user_read(&how, a[2], sizeof(how)) || !host_pointer(&how_addr)) {
        return -EFAULT;
    }
    int64_t ret = path_read(&p, a[1], !(how.flags & O_NOFOLLOW));
    if (ret) {
        return ret;
    }
    if (!how.resolve && !strncmp(p.guest, "/proc/", 6)) {
        ret = procfs_open(p.guest, (int)how.flags);
        if (ret != -ENOSYS) {
            return ret;
        }
    }
    const char *path = how.resolve ? p.guest : p.host;
    return safe_syscall6(t, SYS_openat2, (uint64_t)(int)a[0], (uintptr_t)path, how_addr, a[3], 0,
                         0);
}

/* fstatat(2)'s link-following flag for path_read(). */
static bool follows(uint64_t flags)
{
    return !(flags & AT_SYMLINK_NOFOLLOW);
}

int64_t sys_newfstatat(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    struct stat st;
    int64_t ret = path_read(&p, a[1], follows(a[3]));
    if (ret) {
        return ret;
    }
    char *exe = follows(a[3]) ? procfs_read_exe(p.guest) : NULL;
    ret = host_syscall(SYS_newfstatat, (int)a[0], exe ? exe : p.host, &st, (int)a[3]);
    free(exe);
    return ret ? ret : write_stat(a[2], &st);
}

int64_t sys_fstat(GuestThread *t, const uint64_t a[6])
{
    struct stat st;
    int64_t ret = host_syscall(SYS_fstat, (int)a[0], &st);
    return ret ? ret : write_stat(a[1], &st);
}

int64_t sys_statx(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    uint64_t buf = a[4];
    int64_t ret = path_read(&p, a[1], follows(a[2]));
    if (ret) {
        return ret;
    }
    if (!host_pointer(&buf)) {
        return -EFAULT;
    }
    char *exe = follows(a[2]) ? procfs_read_exe(p.guest) : NULL;
    ret = host_syscall(SYS_statx, (int)a[0], exe ? exe : p.host, (int)a[2], (unsigned)a[3], buf);
    free(exe);
    return ret;
}

int64_t sys_statfs(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    uint64_t buf = a[1];
    int64_t ret = path_read(&p, a[0], true);
    if (ret) {
        return ret;
    }
    return host_pointer(&buf) ? host_syscall(SYS_statfs, p.host, buf) : -EFAULT;
}

int64_t sys_faccessat(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    int64_t ret = path_read(&p, a[1], true);
    return ret ? ret : host_syscall(SYS_faccessat, (int)a[0], p.host, (int)a[2]);
}

int64_t sys_faccessat2(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    int64_t ret = path_read(&p, a[1], follows(a[3]));
    return ret ? ret : host_syscall(SYS_faccessat2, (int)a[0], p.host, (int)a[2], (int)a[3]);
}

int64_t sys_chdir(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    int64_t ret = path_read(&p, a[0], true);
    return ret ? ret : host_syscall(SYS_chdir, p.host);
}

int64_t sys_readlinkat(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    uint64_t buf = a[2];
    int64_t ret = path_read(&p, a[1], false);
    if (ret) {
        return ret;
    }
    char *exe = procfs_read_exe(p.guest);
    if (exe) {
        size_t n = strlen(exe) < a[3] ? strlen(exe) : a[3];
        ret = (int)a[3] <= 0                ? -EINVAL
              : !user_write(a[2], exe, n) ? -EFAULT : (int64_t)n;
        free(exe);
        return ret;
    }
    return host_pointer(&buf) ? host_syscall(SYS_readlinkat, (int)a[0], p.host, buf, (int)a[3])
                              : -EFAULT;
}
