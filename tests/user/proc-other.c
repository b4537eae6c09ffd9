/*
 * What other processes see of one in /proc: its arguments, also when it changes them, its environment, name, program
 * and addresses; and nothing once it is a zombie.
 *
 * test-native: yes
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "test.h"

static pid_t child;

static const char *path_of(const char *name)
{
    static char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, name);
    return path;
}

static size_t contents(const char *name, char *buf, size_t size)
{
    int fd = open(path_of(name), O_RDONLY);

    CHECK(fd >= 0, "%s: %s", name, strerror(errno));
    ssize_t n = read(fd, buf, size - 1);
    CHECK_ERRNO(n >= 0);
    close(fd);
    buf[n] = 0;
    return (size_t)n;
}

static void check_contents(const char *name, const void *expected, size_t n)
{
    char buf[4096];
    size_t got = contents(name, buf, sizeof(buf));

    CHECK(got == n && !memcmp(buf, expected, n), "%s: %zu of %zu bytes, '%s'", name, got, n, buf);
}

static void check_exe(const char *self)
{
    char link[4096] = "", own[4096] = "", buf[64] = "", magic[64] = "";
    struct stat a, b;
    int fd = open(self, O_RDONLY);

    CHECK_ERRNO(fd >= 0 && read(fd, magic, sizeof(magic)) == sizeof(magic));
    close(fd);
    CHECK_ERRNO(readlink(path_of("exe"), link, sizeof(link) - 1) > 0);
    CHECK_ERRNO(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
    CHECK(!strcmp(link, own), "%s, not %s", link, own);
    CHECK_ERRNO(!stat(path_of("exe"), &a) && !stat(self, &b));
    CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev, "another file");
    fd = open(path_of("exe"), O_RDONLY);
    CHECK_ERRNO(fd >= 0 && read(fd, buf, sizeof(buf)) == sizeof(buf));
    close(fd);
    CHECK(!memcmp(buf, magic, sizeof(buf)), "other bytes");
}

/* Word `type` of the auxiliary vector. */
static unsigned long word_of(const char *auxv, size_t n, unsigned long type)
{
    for (size_t i = 0; i + 16 <= n; i += 16) {
        unsigned long word[2];

        memcpy(word, auxv + i, sizeof(word));
        if (word[0] == type) {
            return word[1];
        }
    }
    return 0;
}

/* The same program lies at the same addresses, unless it is loaded anywhere: its size then. */
static void check_auxv(void)
{
    char own[4096], buf[4096];
    int fd = open("/proc/self/auxv", O_RDONLY);
    ssize_t n = read(fd, own, sizeof(own));

    CHECK_ERRNO(n > 0);
    close(fd);
    size_t k = contents("auxv", buf, sizeof(buf));
    enum { PHNUM = 5, PAGESZ = 6, HWCAP = 16 };
    CHECK(word_of(buf, k, PHNUM) == word_of(own, (size_t)n, PHNUM), "AT_PHNUM");
    CHECK(word_of(buf, k, PAGESZ) == PAGE, "AT_PAGESZ");
    CHECK(word_of(buf, k, HWCAP) == word_of(own, (size_t)n, HWCAP), "AT_HWCAP");
}

int main(int argc, char **argv)
{
    static const char before[] = "another name\0one\0two words", after[] = "another name\0ONE\0two words";
    static char *const args[] = { "another name", "one", "two words", NULL }, *const env[] = { "A=b", "CD=", NULL };
    int in[2], out[2], status;
    char c;

    if (argc == 3) {
        CHECK_ERRNO(write(1, "", 1) == 1 && read(0, &c, 1) == 1);
        memcpy(argv[1], "ONE", 3);
        CHECK_ERRNO(write(1, "", 1) == 1 && read(0, &c, 1) == 0);
        return 0;
    }
    CHECK_ERRNO(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
    child = fork();
    CHECK_ERRNO(child >= 0);
    if (!child) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execve(argv[0], args, env);
        _exit(99);
    }
    close(out[1]);
    CHECK_ERRNO(read(out[0], &c, 1) == 1);
    check_contents("cmdline", before, sizeof(before));
    check_contents("environ", "A=b\0CD=", sizeof("A=b\0CD="));
    char name[64];
    snprintf(name, sizeof(name), "%.15s\n", strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0]);
    check_contents("comm", name, strlen(name));
    check_exe(argv[0]);
    check_auxv();
    CHECK_ERRNO(write(in[1], "", 1) == 1 && read(out[0], &c, 1) == 1);
    check_contents("cmdline", after, sizeof(after));
    snprintf(name, sizeof(name), "task/%d/cmdline", (int)child);
    check_contents(name, after, sizeof(after));
    close(in[1]);
    siginfo_t info;
    CHECK_ERRNO(!waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
    check_contents("cmdline", "", 0);
    CHECK(readlink(path_of("exe"), name, sizeof(name)) == -1 && errno == ENOENT, "%s", strerror(errno));
    CHECK_ERRNO(waitpid(child, &status, 0) == child);
    CHECK(status == 0, "%x", status);
    return 0;
}
