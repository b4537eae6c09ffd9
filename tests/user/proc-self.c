/*
 * /proc/self as the guest must see it: exe is the guest program, cmdline its
 * arguments, maps contains its code, its stack and what it maps, with the right
 * permissions, status its signals and its seccomp filters.
 *
 * test-native: yes
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include "test.h"

/* Permissions of the mapping that contains `address`, or "none". */
static const char *permissions(const void *address, char out[5])
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1000];

    CHECK_ERRNO(maps);
    strcpy(out, "none");
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char perm[5];

        CHECK(sscanf(line, "%lx-%lx %4s", &from, &to, perm) == 3, "maps line: %s", line);
        if ((unsigned long)address >= from && (unsigned long)address < to) {
            memcpy(out, perm, 5);
        }
    }
    fclose(maps);
    return out;
}

/* A number of /proc/thread-self/status. */
static unsigned long status(const char *name, int base)
{
    FILE *f = fopen("/proc/thread-self/status", "r");
    char line[1000];
    size_t len = strlen(name);

    CHECK_ERRNO(f);
    while (fgets(line, sizeof(line), f)) {
        if (!strncmp(line, name, len) && line[len] == ':') {
            fclose(f);
            return strtoul(line + len + 1, NULL, base);
        }
    }
    CHECK(0, "no %s in status", name);
}

static void on_signal(int sig, siginfo_t *info, void *context) { }

static void check_status(void)
{
    struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
    struct sock_fprog program = { 1, allow };
    unsigned long caught = status("SigCgt", 16), ignored = status("SigIgn", 16);
    unsigned long fatal = 1UL << (SIGSEGV - 1) | 1UL << (SIGILL - 1) | 1UL << (SIGQUIT - 1);
    sigset_t set;

    CHECK(!(caught & fatal), "caught from the start: %lx", caught);
    set_handler(SIGSEGV, on_signal, 0);
    set_handler(SIGUSR2, on_signal, 0);
    signal(SIGQUIT, SIG_IGN);
    caught |= 1UL << (SIGSEGV - 1) | 1UL << (SIGUSR2 - 1);
    ignored |= 1UL << (SIGQUIT - 1);
    CHECK(status("SigCgt", 16) == caught && status("SigIgn", 16) == ignored, "caught %lx, not %lx; ignored %lx, not %lx",
          status("SigCgt", 16), caught, status("SigIgn", 16), ignored);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK(status("SigBlk", 16) == 1UL << (SIGTERM - 1), "blocked %lx", status("SigBlk", 16));
    if (status("Seccomp", 10)) {
        return;     /* this is a sandbox already */
    }
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    for (unsigned long n = 1; n < 3; n++) {
        CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
        CHECK(status("Seccomp", 10) == 2 && status("Seccomp_filters", 10) == n, "mode %lu, %lu filters, not %lu",
              status("Seccomp", 10), status("Seccomp_filters", 10), n);
    }
}

int main(int argc, char **argv)
{
    char exe[PATH_MAX] = { 0 }, line[PATH_MAX] = { 0 }, p[5];
    char *mapped = map_pages(3, PROT_READ | PROT_WRITE);
    void *code;
    int (*fn)(int, char **) = main;
    int fd;

    CHECK_ERRNO(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    CHECK(strstr(exe, "proc-self"), "exe is %s", exe);
    fd = open("/proc/self/cmdline", O_RDONLY);
    CHECK_ERRNO(fd >= 0 && read(fd, line, sizeof(line) - 1) > 0);
    CHECK(!strcmp(line, argv[0]), "cmdline %s, argv[0] %s", line, argv[0]);
    memcpy(&code, &fn, sizeof(code));
    CHECK(!strcmp(permissions(code, p), "r-xp"), "code is %s", p);
    CHECK(!strncmp(permissions(&argc, p), "rw", 2), "stack is %s", p);
    CHECK_ERRNO(mprotect(mapped + PAGE, PAGE, PROT_READ) == 0);
    CHECK_ERRNO(munmap(mapped + 2 * PAGE, PAGE) == 0);
    CHECK(!strcmp(permissions(mapped, p), "rw-p"), "first page is %s", p);
    CHECK(!strcmp(permissions(mapped + PAGE, p), "r--p"), "second page is %s", p);
    check_status();
    return 0;
}
