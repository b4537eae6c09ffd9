/*
 * One memory, two addresses, as runtimes with separate writable and executable
 * mappings use it: written at A, run at B after fence.i or the flush system call of
 * B's range; also for a shared file, for two executable aliases (auipc differs), and
 * when another process writes.
 *
 * test-native: no
 * test-time: 60
 */
#include <sys/wait.h>
#include "rv-code.h"

static char *map_fd(int fd, int prot)
{
    char *p = mmap(NULL, PAGE, prot, MAP_SHARED, fd, 0);

    CHECK_ERRNO(p != MAP_FAILED);
    return p;
}

static void check_pair(int fd, bool by_syscall)
{
    char *w = map_fd(fd, PROT_READ | PROT_WRITE), *x = map_fd(fd, PROT_READ | PROT_EXEC);

    for (unsigned long i = 0; i < scaled(20000); i++) {
        int value = (int)(i * 13 % 2048);
        long r;

        rv_put_return(w + i % 4 * 128, value);
        if (by_syscall) {
            flush_icache_all(x, x + PAGE);
        } else {
            fence_i();
        }
        r = call_code(x + i % 4 * 128);
        CHECK(r == value, "round %lu: %ld, not %d", i, r, value);
    }
    munmap(w, PAGE);
    munmap(x, PAGE);
}

static void check_aliases(int fd)
{
    char *w = map_fd(fd, PROT_READ | PROT_WRITE);
    char *x = map_fd(fd, PROT_READ | PROT_EXEC), *y = map_fd(fd, PROT_READ | PROT_EXEC);

    rv_put(w, 0x00000517); /* auipc a0, 0 */
    rv_put(w + 4, RV_RET);
    fence_i();
    CHECK(call_code(x) == (long)x && call_code(y) == (long)y,
          "auipc under two addresses");
    for (int i = 0; i < 500; i++) {
        rv_put(w, rv_addi(A0, ZERO, i));
        fence_i();
        CHECK(call_code(x) == i && call_code(y) == i, "one of two aliases is stale");
    }
    munmap(w, PAGE);
    munmap(x, PAGE);
    munmap(y, PAGE);
}

static void check_other_process(int fd)
{
    _Atomic int *step =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int rounds = (int)scaled(300), status;
    pid_t pid;

    CHECK_ERRNO((void *)step != MAP_FAILED);
    pid = fork();
    if (pid == 0) {
        char *w = map_fd(fd, PROT_READ | PROT_WRITE);

        for (int i = 1; i <= rounds; i++) {
            while (atomic_load(step) != 2 * i - 1) {
                sched_yield();
            }
            rv_put_return(w, i);
            atomic_store(step, 2 * i);
        }
        _exit(0);
    } else {
        char *x = map_fd(fd, PROT_READ | PROT_EXEC);

        for (int i = 1; i <= rounds; i++) {
            atomic_store(step, 2 * i - 1);
            while (atomic_load(step) != 2 * i) {
                sched_yield();
            }
            fence_i();
            CHECK(call_code(x) == i, "code written by another process, round %d", i);
        }
    }
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    CHECK(status == 0, "writer: %#x", status);
}

int main(void)
{
    char name[] = "/tmp/braid-code-XXXXXX";
    int memfd = memfd_create("code", 0), file = mkstemp(name);

    CHECK_ERRNO(memfd >= 0 && ftruncate(memfd, PAGE) == 0);
    CHECK_ERRNO(file >= 0 && unlink(name) == 0 && ftruncate(file, PAGE) == 0);
    check_pair(memfd, false);
    check_pair(memfd, true);
    check_pair(file, false);
    check_aliases(memfd);
    check_other_process(memfd);
    return 0;
}
