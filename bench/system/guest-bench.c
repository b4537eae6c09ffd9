/*
 * Runs inside the guest: measures one thing by the guest's own clock and prints a line
 *
 *   =bench= NAME VALUE UNIT [OUTPUT]
 *
 * for tools/bench-system.py, which starts it from the initramfs's init.  Static, one process unless the
 * measurement needs two.  Whatever fails ends it with a line on standard error and status 1; then there is no
 * =bench= line, which the driver reports.
 *
 * usage: guest-bench syscall|switch|fault|exec N
 *                    pipe MIB
 *                    read|write FILE MIB
 *                    send|receive PORT MIB
 *                    run NAME COMMAND...
 *                    tree DIRECTORY
 *                    nothing
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1ul << 20)
#define CHUNK 65536
#define GATEWAY "10.0.2.2"      /* the host, as user networking shows it */

static char chunk[CHUNK];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void report(const char *name, double value, const char *unit)
{
    printf("=bench= %s %.6g %s\n", name, value, unit);
}

static void report_each(const char *name, double since, unsigned long n)
{
    report(name, (now() - since) * 1e9 / (double)n, "ns");
}

static void report_rate(const char *name, double since, unsigned long mib)
{
    report(name, (double)mib / (now() - since), "MiB/s");
}

static void must(int ok, const char *what)
{
    if (!ok) {
        err(1, "%s", what);
    }
}

static void read_all(int fd, size_t n)
{
    while (n) {
        ssize_t got = read(fd, chunk, n < CHUNK ? n : CHUNK);
        must(got > 0, "read");
        n -= (size_t)got;
    }
}

static void write_all(int fd, size_t n)
{
    while (n) {
        ssize_t put = write(fd, chunk, n < CHUNK ? n : CHUNK);
        must(put > 0, "write");
        n -= (size_t)put;
    }
}

static void wait_for(pid_t pid)
{
    int status;
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    if (status) {
        errx(1, "a child ended with status %#x", (unsigned)status);
    }
}

/* ---- the kernel ---- */

static void bench_syscall(unsigned long n)
{
    double start = now();
    for (unsigned long i = 0; i < n; i++) {
        syscall(SYS_getppid);
    }
    report_each("syscall", start, n);
}

/* Two processes on one hart hand a byte to each other: n switches. */
static void bench_switch(unsigned long n)
{
    int there[2], back[2];
    char byte = 0;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    must(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
    must(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        for (unsigned long i = 0; i < n / 2; i++) {
            must(read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1, "pipe");
        }
        _exit(0);
    }
    double start = now();
    for (unsigned long i = 0; i < n / 2; i++) {
        must(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "pipe");
    }
    report_each("switch", start, n);
    wait_for(pid);
}

static void bench_fault(unsigned long pages)
{
    enum { AT_ONCE = 1024 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    double start = now();
    for (unsigned long done = 0; done < pages; done += AT_ONCE) {
        char *p = mmap(NULL, AT_ONCE * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(p != MAP_FAILED, "mmap");
        must(madvise(p, AT_ONCE * page, MADV_NOHUGEPAGE) == 0, "madvise");
        for (size_t i = 0; i < AT_ONCE; i++) {
            p[i * page] = 1;
        }
        munmap(p, AT_ONCE * page);
    }
    report_each("fault", start, pages);
}

static void bench_exec(unsigned long n)
{
    double start = now();
    for (unsigned long i = 0; i < n; i++) {
        pid_t pid = fork();
        must(pid >= 0, "fork");
        if (pid == 0) {
            execl("/proc/self/exe", "guest-bench", "nothing", (char *)NULL);
            err(1, "exec");
        }
        wait_for(pid);
    }
    report_each("exec", start, n);
}

static void bench_pipe(unsigned long mib)
{
    int fd[2];
    must(pipe(fd) == 0, "pipe");
    double start = now();
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        write_all(fd[1], mib * MIB);
        _exit(0);
    }
    read_all(fd[0], mib * MIB);
    report_rate("pipe", start, mib);
    wait_for(pid);
}

/* ---- devices ---- */

static void bench_read(const char *file, unsigned long mib)
{
    int fd = open(file, O_RDONLY);
    must(fd >= 0, file);
    double start = now();
    read_all(fd, mib * MIB);
    report_rate("read", start, mib);
}

static void bench_write(const char *file, unsigned long mib)
{
    int fd = open(file, O_WRONLY);
    must(fd >= 0, file);
    memset(chunk, 0x5a, sizeof(chunk));
    double start = now();
    write_all(fd, mib * MIB);
    must(fsync(fd) == 0, "fsync");
    report_rate("write", start, mib);
}

/* The driver's server: 's' and bytes until the end of the stream, answered by one byte; or 'r' and a
   number, answered by so many MiB. */
static int call_host(const char *port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
    inet_pton(AF_INET, GATEWAY, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
    return fd;
}

static void bench_send(const char *port, unsigned long mib)
{
    int fd = call_host(port);
    must(write(fd, "s", 1) == 1, "write");
    double start = now();
    write_all(fd, mib * MIB);
    shutdown(fd, SHUT_WR);
    read_all(fd, 1);
    report_rate("send", start, mib);
}

static void bench_receive(const char *port, unsigned long mib)
{
    char request[32];
    int fd = call_host(port);
    double start = now();
    must(write(fd, request, (size_t)sprintf(request, "r%lu\n", mib)) > 0, "write");
    read_all(fd, mib * MIB);
    report_rate("receive", start, mib);
}

/* ---- programs ---- */

/* A command's time, and the last line that it printed. */
static void bench_run(const char *name, char **command)
{
    int fd[2];
    char out[256] = "";
    must(pipe(fd) == 0, "pipe");
    double start = now();
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        dup2(fd[1], 1);
        close(fd[0]);
        close(fd[1]);
        execvp(command[0], command);
        err(1, "%s", command[0]);
    }
    close(fd[1]);
    FILE *f = fdopen(fd[0], "r");
    must(f != NULL, "fdopen");
    while (fgets(out, sizeof(out), f)) {
    }
    wait_for(pid);
    out[strcspn(out, "\n")] = 0;
    printf("=bench= %s %.6g s %s\n", name, now() - start, out);
}

/* Something for tar and find to do: 20 directories of 40 files. */
static void make_tree(const char *top)
{
    char path[512];
    mkdir(top, 0755);
    for (int d = 0; d < 20; d++) {
        sprintf(path, "%.400s/directory-%d", top, d);
        must(mkdir(path, 0755) == 0, path);
        for (int i = 0; i < 40; i++) {
            sprintf(path, "%.400s/directory-%d/file-%d", top, d, i);
            int fd = open(path, O_CREAT | O_WRONLY, 0644);
            must(fd >= 0, path);
            write_all(fd, (size_t)(100 + i * 300));
            close(fd);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(unsigned long n);
    } plain[] = { { "syscall", bench_syscall }, { "switch", bench_switch }, { "fault", bench_fault },
                  { "exec", bench_exec }, { "pipe", bench_pipe } };
    static const struct {
        const char *name;
        void (*fn)(const char *where, unsigned long n);
    } elsewhere[] = { { "read", bench_read }, { "write", bench_write }, { "send", bench_send },
                      { "receive", bench_receive } };
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "nothing") == 0) {
        return 0;
    }
    if (strcmp(what, "run") == 0 && argc > 3) {
        bench_run(argv[2], argv + 3);
        return 0;
    }
    if (strcmp(what, "tree") == 0 && argc == 3) {
        make_tree(argv[2]);
        return 0;
    }
    for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (strcmp(what, plain[i].name) == 0 && argc == 3) {
            plain[i].fn(strtoul(argv[2], NULL, 0));
            return 0;
        }
    }
    for (unsigned i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        if (strcmp(what, elsewhere[i].name) == 0 && argc == 4) {
            elsewhere[i].fn(argv[2], strtoul(argv[3], NULL, 0));
            return 0;
        }
    }
    errx(2, "no such measurement: %s", what);
}
