/*
 * Files and directories: open, read, write, pread, vectors, seek, truncate, stat,
 * links, rename, getdents, pipes, dup, fcntl, getcwd, uname; and pointers that
 * lead nowhere give EFAULT, never a signal.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include "test.h"

static void check_data(void)
{
    struct iovec out[2] = { { "hello ", 6 }, { "world", 5 } }, in[2];
    char a[4], b[16] = { 0 };
    struct stat st;
    int fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0640);

    CHECK_ERRNO(fd >= 0);
    CHECK_ERRNO(writev(fd, out, 2) == 11);
    CHECK_ERRNO(lseek(fd, 0, SEEK_SET) == 0);
    in[0] = (struct iovec){ a, 4 };
    in[1] = (struct iovec){ b, 16 };
    CHECK_ERRNO(readv(fd, in, 2) == 11);
    CHECK(!memcmp(a, "hell", 4) && !strcmp(b, "o world"), "readv: %s", b);
    CHECK_ERRNO(pwrite(fd, "XY", 2, 100000) == 2);
    CHECK_ERRNO(pread(fd, b, 4, 99998) == 4);
    CHECK(!memcmp(b, "\0\0XY", 4), "hole");
    CHECK_ERRNO(fstat(fd, &st) == 0);
    CHECK(st.st_size == 100002 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
          st.st_uid == geteuid() && st.st_blksize > 0, "size %ld", (long)st.st_size);
    CHECK_ERRNO(ftruncate(fd, 5) == 0 && lseek(fd, 0, SEEK_END) == 5);
    CHECK(open("file", O_RDWR | O_CREAT | O_EXCL, 0640) == -1 && errno == EEXIST,
          "O_EXCL");
    CHECK(lseek(fd, -1, SEEK_SET) == -1 && errno == EINVAL, "lseek");
    CHECK_ERRNO(close(fd) == 0);
    CHECK(close(fd) == -1 && errno == EBADF, "close twice");
}

static void check_names(void)
{
    char target[PATH_MAX] = { 0 }, cwd[PATH_MAX];
    struct stat st, linked;
    struct statfs fs;
    int seen = 0, dir_fd;
    struct dirent *entry;
    DIR *dir;

    CHECK_ERRNO(symlink("file", "symlink") == 0 && link("file", "hard") == 0);
    CHECK_ERRNO(readlink("symlink", target, sizeof(target) - 1) == 4);
    CHECK(!strcmp(target, "file"), "%s", target);
    CHECK_ERRNO(stat("symlink", &st) == 0 && stat("hard", &linked) == 0);
    CHECK(st.st_ino == linked.st_ino && st.st_nlink == 2, "hard link");
    CHECK_ERRNO(lstat("symlink", &st) == 0);
    CHECK(S_ISLNK(st.st_mode), "lstat");
    CHECK_ERRNO(mkdir("dir", 0700) == 0 && rename("hard", "dir/moved") == 0);
    dir_fd = open("dir", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO(dir_fd >= 0 && fstatat(dir_fd, "moved", &st, 0) == 0);
    CHECK_ERRNO(unlinkat(dir_fd, "moved", 0) == 0 && close(dir_fd) == 0);
    for (int i = 0; i < 500; i++) {
        char name[64];
        int fd;

        snprintf(name, sizeof(name), "dir/an-entry-with-a-name-%d", i);
        fd = open(name, O_WRONLY | O_CREAT, 0600);
        CHECK_ERRNO(fd >= 0);
        close(fd);
    }
    dir = opendir("dir");
    CHECK_ERRNO(dir);
    while ((entry = readdir(dir))) {
        int number;

        if (sscanf(entry->d_name, "an-entry-with-a-name-%d", &number) == 1) {
            char name[300];

            seen += number + 1;
            CHECK(entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN, "d_type");
            snprintf(name, sizeof(name), "dir/%s", entry->d_name);
            CHECK_ERRNO(unlink(name) == 0);
        }
    }
    closedir(dir);
    CHECK(seen == 500 * 501 / 2, "getdents returned a wrong set: %d", seen);
    CHECK_ERRNO(chdir("dir") == 0 && getcwd(cwd, sizeof(cwd)));
    CHECK(strlen(cwd) > 4 && !strcmp(cwd + strlen(cwd) - 4, "/dir"), "%s", cwd);
    CHECK_ERRNO(chdir("..") == 0 && rmdir("dir") == 0);
    CHECK_ERRNO(statfs(".", &fs) == 0);
    CHECK(fs.f_bsize > 0, "statfs");
    CHECK(stat("nowhere", &st) == -1 && errno == ENOENT, "stat of nothing");
}

static void check_pipes(void)
{
    static char big[200000];
    int fds[2], waiting = 0, copy;
    struct pollfd poll_in;
    char c;

    CHECK_ERRNO(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    CHECK(read(fds[0], &c, 1) == -1 && errno == EAGAIN, "empty pipe");
    CHECK(fcntl(fds[0], F_GETFD) == FD_CLOEXEC, "F_GETFD");
    CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK, "F_GETFL");
    CHECK(write(fds[1], big, sizeof(big)) == 65536, "a pipe holds 64 KiB");
    CHECK_ERRNO(ioctl(fds[0], FIONREAD, &waiting) == 0);
    CHECK(waiting == 65536, "FIONREAD %d", waiting);
    poll_in = (struct pollfd){ fds[0], POLLIN, 0 };
    CHECK(poll(&poll_in, 1, 1000) == 1 && poll_in.revents == POLLIN, "poll");
    copy = fcntl(fds[0], F_DUPFD, 100);
    CHECK_ERRNO(copy >= 100 && dup2(copy, 200) == 200 && close(copy) == 0);
    CHECK(read(200, big, sizeof(big)) == 65536, "read of a copy");
    CHECK_ERRNO(close(fds[1]) == 0);
    CHECK(read(200, &c, 1) == 0, "end of file");
    close(fds[0]);
    close(200);
}

static void check_bad_pointers(void)
{
    /* The second page cannot be accessed: the kernel must notice in the middle. */
    char *pages = map_pages(2, PROT_READ | PROT_WRITE);
    const char *constant = map_pages(1, PROT_READ);
    char *edge = pages + PAGE - 4;
    int fds[2], fd = open("file", O_RDONLY);

    CHECK_ERRNO(mprotect(pages + PAGE, PAGE, PROT_NONE) == 0 && pipe(fds) == 0);
    CHECK(write(fds[1], (void *)16, 8) == -1 && errno == EFAULT, "write from nowhere");
    CHECK(open((char *)8, O_RDONLY) == -1 && errno == EFAULT, "open of a bad name");
    memset(edge, 'n', 4);
    CHECK(open(edge, O_RDONLY) == -1 && errno == EFAULT, "unterminated name at the edge");
    CHECK(fstat(fd, (struct stat *)edge) == -1 && errno == EFAULT, "fstat over the edge");
    CHECK(read(fd, (void *)constant, 4) == -1 && errno == EFAULT,
          "read into a read-only page");
    CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, constant) == -1 && errno == EFAULT,
          "clock_gettime into a read-only page");
    CHECK(syscall(SYS_uname, edge) == -1 && errno == EFAULT, "uname over the edge");
    CHECK(syscall(SYS_pipe2, edge + 2, 0) == -1 && errno == EFAULT,
          "pipe2 over the edge");
    CHECK(syscall(1000000) == -1 && errno == ENOSYS, "unknown system call");
    close(fd);
}

int main(void)
{
    char directory[] = "/tmp/braid-files-XXXXXX";
    struct utsname names;

    CHECK_ERRNO(mkdtemp(directory) && chdir(directory) == 0);
    umask(022);
    check_data();
    check_names();
    check_pipes();
    check_bad_pointers();
    CHECK_ERRNO(unlink("file") == 0 && unlink("symlink") == 0 && rmdir(directory) == 0);
    CHECK_ERRNO(uname(&names) == 0);
#ifdef __riscv
    CHECK(!strcmp(names.machine, "riscv64"), "machine %s", names.machine);
#endif
    CHECK(!strcmp(names.sysname, "Linux"), "%s", names.sysname);
    return 0;
}
