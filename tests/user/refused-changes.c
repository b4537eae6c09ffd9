/*
 * Changes of mappings that the kernel refuses leave code executable: mprotect() of a shared mapping of
 * a file opened for reading, and everything that a sealed mapping (mseal, Linux 6.10) does not allow.
 *
 * test-native: no
 */
#include <fcntl.h>
#include "rv-code.h"

static void check_runs(char *code, int value, const char *after)
{
    long r = call_code(code);

    CHECK(r == value, "after %s: %ld", after, r);
}

static void check_read_only_file(void)
{
    char name[] = "/tmp/braid-test-XXXXXX", page[PAGE] = { 0 };
    int fd = mkstemp(name);

    CHECK_ERRNO(fd >= 0);
    rv_put_return(page, 5);
    CHECK_ERRNO(write(fd, page, PAGE) == PAGE);
    close(fd);
    CHECK_ERRNO((fd = open(name, O_RDONLY)) >= 0);
    char *code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK_ERRNO(code != MAP_FAILED);
    check_runs(code, 5, "mmap");
    CHECK(mprotect(code, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES, "mprotect: %d", errno);
    check_runs(code, 5, "a refused mprotect");
    close(fd);
    unlink(name);
}

static void check_sealed(void)
{
    char *code = map_pages(4, PROT_READ | PROT_WRITE);

    rv_put_return(code + PAGE, 6);
    CHECK_ERRNO(mprotect(code + PAGE, PAGE, PROT_READ | PROT_EXEC) == 0);
    check_runs(code + PAGE, 6, "mprotect");
    if (syscall(462, code + PAGE, PAGE, 0) == -1) {
        CHECK(errno == ENOSYS, "mseal: %d", errno);
        return;
    }
    CHECK(mprotect(code, 4 * PAGE, PROT_READ) == -1 && errno == EPERM, "mprotect: %d", errno);
    check_runs(code + PAGE, 6, "mprotect of a sealed mapping");
    CHECK(munmap(code + PAGE, PAGE) == -1 && errno == EPERM, "munmap: %d", errno);
    check_runs(code + PAGE, 6, "munmap of a sealed mapping");
    CHECK(mmap(code + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED &&
          errno == EPERM, "mmap: %d", errno);
    check_runs(code + PAGE, 6, "mmap over a sealed mapping");
    CHECK(mremap(code + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, code + 2 * PAGE) == MAP_FAILED &&
          errno == EPERM, "mremap: %d", errno);
    check_runs(code + PAGE, 6, "mremap of a sealed mapping");
}

int main(void)
{
    check_read_only_file();
    check_sealed();
    return 0;
}
