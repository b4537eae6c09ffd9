/*
 * System calls in a loop: getppid (nothing to convert), write and read through
 * a pipe (a buffer each), fstat (a structure to convert) and clock_gettime
 * (the vDSO, where there is one).
 *
 * bench-class: integer
 * bench-args: 160000
 * bench-quick: 16000
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 38000), sum = 0;
    struct timespec before = { 0, 0 }, now;
    long parent = syscall(SYS_getppid);
    int fds[2];

    if (pipe(fds)) {
        perror("pipe");
        return 1;
    }
    for (uint64_t i = 0; i < iterations; i++) {
        uint64_t data[8], back[8];
        struct stat st;

        for (int j = 0; j < 8; j++) {
            data[j] = i * 8 + (uint64_t)j;
        }
        if (syscall(SYS_getppid) != parent) {
            printf("syscalls: the parent changed\n");
            return 1;
        }
        if (write(fds[1], data, sizeof(data)) != sizeof(data) ||
            read(fds[0], back, sizeof(back)) != sizeof(back)) {
            perror("syscalls: pipe");
            return 1;
        }
        sum = bench_mix(sum, back[i % 8]);
        if (fstat(fds[0], &st) || !S_ISFIFO(st.st_mode)) {
            printf("syscalls: fstat of a pipe\n");
            return 1;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec < before.tv_sec ||
            (now.tv_sec == before.tv_sec && now.tv_nsec < before.tv_nsec)) {
            printf("syscalls: the clock went backwards\n");
            return 1;
        }
        before = now;
    }
    return bench_report("syscalls", sum);
}
