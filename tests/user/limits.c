/*
 * RLIMIT_AS and RLIMIT_DATA hold for mmap, mremap and brk, and after exec; what is replaced or given
 * back does not count; RLIMIT_STACK gives an executed program the stack it says; limits
 * that make no sense are refused.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include "test.h"

#define MIB (1ul << 20)

static void set_soft(int resource, rlim_t soft)
{
    struct rlimit rl;

    CHECK_ERRNO(getrlimit(resource, &rl) == 0);
    rl.rlim_cur = soft;
    CHECK_ERRNO(setrlimit(resource, &rl) == 0);
    rl.rlim_cur = 0;
    CHECK(getrlimit(resource, &rl) == 0 && rl.rlim_cur == soft, "limit %d", resource);
}

static void *try_map(void *at, size_t size, int prot, int flags)
{
    return mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static bool refused(void *p)
{
    return p == MAP_FAILED && errno == ENOMEM;
}

static void check_space(void)
{
    char *p, *q, *before = sbrk(0);

    CHECK(refused(try_map(NULL, 1024 * MIB, PROT_NONE, MAP_NORESERVE)), "1 GiB of 400 MiB");
    p = try_map(NULL, 250 * MIB, PROT_NONE, MAP_NORESERVE);
    CHECK_ERRNO(p != MAP_FAILED);
    CHECK(refused(try_map(NULL, 250 * MIB, PROT_NONE, MAP_NORESERVE)), "500 MiB of 400 MiB");
    CHECK(try_map(p, 250 * MIB, PROT_NONE, MAP_NORESERVE | MAP_FIXED) == p, "replaced: %s",
          strerror(errno));
    CHECK(refused(mremap(p, 250 * MIB, 500 * MIB, MREMAP_MAYMOVE)), "grown to 500 MiB");
    CHECK(sbrk(250 * MIB) == (void *)-1 && errno == ENOMEM && sbrk(0) == before, "brk");
    CHECK_ERRNO(munmap(p, 200 * MIB) == 0);
    q = try_map(NULL, 200 * MIB, PROT_NONE, MAP_NORESERVE);
    CHECK_ERRNO(q != MAP_FAILED);
    CHECK_ERRNO(munmap(p + 200 * MIB, 50 * MIB) == 0 && munmap(q, 200 * MIB) == 0);
}

static void check_data(void)
{
    void *p;

    set_soft(RLIMIT_DATA, 64 * MIB);
    CHECK(refused(try_map(NULL, 100 * MIB, PROT_READ | PROT_WRITE, 0)), "100 MiB of 64");
    p = try_map(NULL, 100 * MIB, PROT_READ, 0);
    CHECK_ERRNO(p != MAP_FAILED);
    CHECK(mprotect(p, 100 * MIB, PROT_READ | PROT_WRITE) == -1 && errno == ENOMEM, "mprotect");
    CHECK_ERRNO(mprotect(p, 16 * MIB, PROT_READ | PROT_WRITE) == 0);
    CHECK_ERRNO(munmap(p, 100 * MIB) == 0);
    p = mmap(NULL, 100 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK_ERRNO(p != MAP_FAILED && munmap(p, 100 * MIB) == 0);
    CHECK(sbrk(100 * MIB) == (void *)-1 && errno == ENOMEM, "brk");
    CHECK_ERRNO(sbrk(8 * MIB) != (void *)-1);
}

static int run_self(const char *what, int resource, rlim_t soft)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        set_soft(resource, soft);
        execl("/proc/self/exe", "limits", what, (char *)NULL);
        _exit(99);
    }
    CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

__attribute__((noinline)) static unsigned use_stack(unsigned depth)
{
    char volatile_block[65536];

    memset(volatile_block, (int)depth, sizeof(volatile_block));
    __asm__ volatile("" : : "r"(volatile_block) : "memory");
    return depth ? use_stack(depth - 1) + (unsigned char)volatile_block[depth] : 0;
}

int main(int argc, char **argv)
{
    struct rlimit bad = { 2, 1 };
    int status;

    if (argc > 1 && !strcmp(argv[1], "space")) {
        check_space();
        return 7;
    }
    if (argc > 1) {
        use_stack(40 * MIB / 65536);
        return 7;
    }
    CHECK(setrlimit(RLIMIT_AS, &bad) == -1 && errno == EINVAL, "soft above hard");
    CHECK(setrlimit(12345, &bad) == -1 && errno == EINVAL, "no such limit");
    status = run_self("space", RLIMIT_AS, 400 * MIB);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "after exec: %#x", status);
    status = run_self("stack", RLIMIT_STACK, 64 * MIB);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "40 of 64 MiB of stack: %#x", status);
    set_soft(RLIMIT_AS, 400 * MIB);
    check_space();
    check_data();
    return 0;
}
