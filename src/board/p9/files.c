/*
 * Files of the shared folder; files.h says what keeps a guest inside.
 *
 * What a descriptor with O_PATH cannot do is done through /proc/self/fd, which leads to the very file that the
 * descriptor is, not to its name.
 */
#include "board/p9/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_DEPTH 4096

static void self_path(char path[32], int file)
{
    snprintf(path, 32, "/proc/self/fd/%d", file);
}

bool file_name_is_good(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is the folder the shared one, or somewhere in it? */
static bool is_inside(int root, int folder)
{
    struct stat top, here, above;
    int fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    bool inside = false;
    if (fd < 0 || fstat(root, &top) || fstat(fd, &here)) {
        close(fd);
        return false;
    }
    for (int depth = 0; depth < MAX_DEPTH; depth++) {
        inside = is_same(&here, &top);
        int up = inside ? -1 : openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (up < 0 || fstat(up, &above) || is_same(&above, &here)) {
            close(up);
            break;
        }
        close(fd);
        fd = up;
        here = above;
    }
    close(fd);
    return inside;
}

static int walk_up(int root, int folder, int *out)
{
    struct stat top, here;
    if (fstat(root, &top) || fstat(folder, &here)) {
        return errno;
    }
    if (is_same(&top, &here)) {
        *out = fcntl(folder, F_DUPFD_CLOEXEC, 0);       /* the shared folder is its own parent */
        return *out < 0 ? errno : 0;
    }
    *out = openat(folder, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*out < 0) {
        return errno;
    }
    if (!is_inside(root, *out)) {
        close(*out);            /* somebody has moved the folder away */
        return ENOENT;
    }
    return 0;
}

int file_walk(int root, int folder, const char *name, int *out)
{
    struct stat st;
    if (fstat(folder, &st)) {
        return errno;
    }
    if (!S_ISDIR(st.st_mode)) {
        return ENOTDIR;
    }
    if (!strcmp(name, "..")) {
        return walk_up(root, folder, out);
    }
    if (strcmp(name, ".") && !file_name_is_good(name)) {
        return ENOENT;
    }
    *out = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return *out < 0 ? errno : 0;
}

int file_stat(int file, struct stat *st)
{
    return fstat(file, st) ? errno : 0;
}

static bool is_link(int file)
{
    struct stat st;
    return fstat(file, &st) || S_ISLNK(st.st_mode);
}

int file_open(int file, int flags, int *out)
{
    char path[32];
    struct stat st;
    if (fstat(file, &st)) {
        return errno;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        return S_ISLNK(st.st_mode) ? ELOOP : ENXIO;
    }
    self_path(path, file);
    *out = open(path, flags | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return *out < 0 ? errno : 0;
}

int file_create(int folder, const char *name, int flags, mode_t mode, bool exclusive, int *out, int *file)
{
    char path[32];
    int r = 0;
    *out = openat(folder, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, mode & 07777);
    if (*out >= 0) {
        self_path(path, *out);
        *file = open(path, O_PATH | O_CLOEXEC);
        r = *file < 0 || fchmod(*out, mode & 07777) ? errno : 0;
    } else if (errno != EEXIST || exclusive) {
        return errno;
    } else {
        *file = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        r = *file < 0 ? errno : file_open(*file, flags, out);
    }
    if (r) {
        close(*out);
        close(*file);
    }
    return r;
}

int file_fix_mode(int folder, const char *name, mode_t mode, struct stat *st)
{
    int file = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int r = file < 0 ? errno : file_stat(file, st);
    if (!r && !S_ISLNK(st->st_mode) && (st->st_mode & 07777) != (mode & 07777)) {
        r = file_chmod(file, mode);
    }
    close(file);
    return r;
}

int file_chmod(int file, mode_t mode)
{
    char path[32];
    self_path(path, file);
    return is_link(file) ? EOPNOTSUPP : chmod(path, mode & 07777) ? errno : 0;
}

int file_truncate(int file, uint64_t size)
{
    char path[32];
    struct stat st;
    if (fstat(file, &st)) {
        return errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    }
    self_path(path, file);
    return truncate(path, (off_t)size) ? errno : 0;
}

int file_set_times(int file, const struct timespec times[2])
{
    char path[32];
    self_path(path, file);
    return utimensat(AT_FDCWD, path, times, 0) ? errno : 0;
}

int file_link(int file, int folder, const char *name)
{
    char path[32];
    self_path(path, file);
    return linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW) ? errno : 0;
}

/* ---- Extended attributes ---- */

static bool is_user_name(const char *name)
{
    return !strncmp(name, "user.", 5);
}

int file_get_xattr(int file, const char *name, void *value, size_t *n)
{
    char path[32];
    self_path(path, file);
    if (is_link(file) || !is_user_name(name)) {
        return EOPNOTSUPP;
    }
    ssize_t got = getxattr(path, name, value, *n);
    *n = got < 0 ? 0 : (size_t)got;
    return got < 0 ? errno : 0;
}

int file_list_xattr(int file, char *names, size_t *n)
{
    char path[32];
    self_path(path, file);
    ssize_t got = is_link(file) ? 0 : listxattr(path, names, *n);
    *n = 0;
    if (got < 0) {
        return errno;
    }
    for (char *from = names, *end = names + got; from < end;) {
        size_t length = strlen(from) + 1;
        if (is_user_name(from)) {
            memmove(names + *n, from, length);
            *n += length;
        }
        from += length;
    }
    return 0;
}

int file_set_xattr(int file, const char *name, const void *value, size_t n, int flags)
{
    char path[32];
    self_path(path, file);
    if (is_link(file) || !is_user_name(name)) {
        return EOPNOTSUPP;
    }
    return (n ? setxattr(path, name, value, n, flags) : removexattr(path, name)) ? errno : 0;
}
