/*
 * vFile: open, pread, close, readlink, fstat, setfs, for reading only.
 *
 * A file that gdb has open is a path here: it is opened for each request anew, while the guest stands still, so
 * that no descriptor of the stub's is among the guest's.  Owned by the stub's thread.
 *
 * gdb's manual, "Host I/O Packets" and "File-I/O Remote Protocol Extension".
 */
#include "debug/gdb-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"

#define MAX_FILES 64

static char *files[MAX_FILES];  /* NULL: free */

static size_t say(char *reply, size_t max, int64_t result)
{
    int n = result >= 0 ? snprintf(reply, max, "F%" PRIx64, (uint64_t)result)
                        : snprintf(reply, max, "F-1,%x", (unsigned)-result);
    return (size_t)n;
}

/* A path in hexadecimal, to its end or a comma; what follows it, or NULL if it is none. */
static const char *parse_path(const char *s, char *out, size_t size)
{
    size_t n = 0;
    unsigned byte;
    while (*s && *s != ',') {
        if (n + 1 >= size || sscanf(s, "%2x", &byte) != 1 || !s[1] || !byte) {
            return NULL;
        }
        out[n++] = (char)byte;
        s += 2;
    }
    out[n] = 0;
    return s;
}

static int64_t open_path(const char *args, GdbFindFile *find)
{
    char path[PATH_MAX], host[PATH_MAX];
    unsigned flags, mode;
    const char *rest = parse_path(args, path, sizeof(path));
    if (!rest || sscanf(rest, ",%x,%x", &flags, &mode) != 2) {
        return -EINVAL;
    }
    if (flags) {
        return -EACCES;     /* not for writing */
    }
    if (!find(path, true, host, sizeof(host))) {
        return -ENAMETOOLONG;
    }
    int fd = open(host, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    close(fd);
    for (int i = 0; i < MAX_FILES; i++) {
        if (!files[i]) {
            files[i] = xstrdup(host);
            return i;
        }
    }
    return -EMFILE;
}

/* The host's descriptor for gdb's, or -errno. */
static int reopen(unsigned n)
{
    int fd = n < MAX_FILES && files[n] ? open(files[n], O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    return fd >= 0 ? fd : n < MAX_FILES && files[n] ? -errno : -EBADF;
}

static size_t read_at(const char *args, char *reply, size_t max)
{
    uint64_t count, offset;
    unsigned n;
    if (sscanf(args, "%x,%" SCNx64 ",%" SCNx64, &n, &count, &offset) != 3) {
        return say(reply, max, -EINVAL);
    }
    int fd = reopen(n);
    if (fd < 0) {
        return say(reply, max, fd);
    }
    size_t most = max / 2 - 64;
    char *data = xmalloc(most);
    ssize_t got = pread(fd, data, count < most ? count : most, (off_t)offset);
    size_t len = say(reply, max, got < 0 ? -errno : got);
    close(fd);
    if (got >= 0) {
        reply[len++] = ';';
        memcpy(reply + len, data, (size_t)got);
        len += (size_t)got;
    }
    free(data);
    return len;
}

static size_t read_link(const char *args, char *reply, size_t max, GdbFindFile *find)
{
    char path[PATH_MAX], host[PATH_MAX], target[PATH_MAX];
    if (!parse_path(args, path, sizeof(path)) || !find(path, false, host, sizeof(host))) {
        return say(reply, max, -EINVAL);
    }
    ssize_t n = readlink(host, target, sizeof(target));
    size_t len = say(reply, max, n < 0 ? -errno : n);
    if (n >= 0) {
        reply[len++] = ';';
        memcpy(reply + len, target, (size_t)n);
        len += (size_t)n;
    }
    return len;
}

static char *put_big_endian(char *p, unsigned bytes, uint64_t v)
{
    for (unsigned i = bytes; i-- > 0;) {
        *p++ = (char)(v >> (8 * i));
    }
    return p;
}

static size_t stat_file(const char *args, char *reply, size_t max)
{
    struct stat st;
    unsigned n;
    int fd = sscanf(args, "%x", &n) == 1 ? reopen(n) : -EINVAL;
    if (fd < 0) {
        return say(reply, max, fd);
    }
    int err = fstat(fd, &st) ? errno : 0;
    close(fd);
    if (err) {
        return say(reply, max, -err);
    }
    size_t len = say(reply, max, 64);
    reply[len++] = ';';
    char *p = reply + len;
    const uint64_t words[] = { st.st_dev, st.st_ino, st.st_mode, st.st_nlink, st.st_uid, st.st_gid, st.st_rdev };
    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
        p = put_big_endian(p, 4, words[i]);
    }
    p = put_big_endian(p, 8, (uint64_t)st.st_size);
    p = put_big_endian(p, 8, (uint64_t)st.st_blksize);
    p = put_big_endian(p, 8, (uint64_t)st.st_blocks);
    p = put_big_endian(p, 4, (uint64_t)st.st_atime);
    p = put_big_endian(p, 4, (uint64_t)st.st_mtime);
    p = put_big_endian(p, 4, (uint64_t)st.st_ctime);
    return (size_t)(p - reply);
}

static int64_t close_file(const char *args)
{
    unsigned n;
    if (sscanf(args, "%x", &n) != 1 || n >= MAX_FILES || !files[n]) {
        return -EBADF;
    }
    free(files[n]);
    files[n] = NULL;
    return 0;
}

void gdb_file_close_all(void)
{
    for (int i = 0; i < MAX_FILES; i++) {
        free(files[i]);
        files[i] = NULL;
    }
}

/* What follows "NAME:", or NULL. */
static const char *arguments(const char *p, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(p, name, n) && p[n] == ':' ? p + n + 1 : NULL;
}

size_t gdb_file_command(const char *p, char *reply, size_t max, GdbFindFile *find)
{
    const char *args;
    if ((args = arguments(p, "open"))) {
        return say(reply, max, open_path(args, find));
    }
    if ((args = arguments(p, "pread"))) {
        return read_at(args, reply, max);
    }
    if ((args = arguments(p, "fstat"))) {
        return stat_file(args, reply, max);
    }
    if ((args = arguments(p, "readlink"))) {
        return read_link(args, reply, max, find);
    }
    if ((args = arguments(p, "close"))) {
        return say(reply, max, close_file(args));
    }
    if ((args = arguments(p, "setfs"))) {
        return say(reply, max, 0);      /* there is one file system, the guest's */
    }
    return 0;
}
