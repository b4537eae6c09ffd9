/*
 * Mapping memory: mmap with and without hints, MAP_FIXED and MAP_FIXED_NOREPLACE,
 * munmap of a middle, mremap that grows, moves and keeps contents, mprotect over
 * several mappings, files private and shared, brk, a terabyte of MAP_NORESERVE, and
 * the errors for arguments that make no sense.
 *
 * test-native: yes
 */
#include <fcntl.h>
#include <sys/resource.h>
#include "test.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static char *anonymous(void *hint, size_t length, int prot, int flags)
{
    return mmap(hint, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void check_fixed(void)
{
    char *p = map_pages(8, PROT_READ | PROT_WRITE), *q;

    memset(p, 1, 8 * PAGE);
    q = anonymous(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED);
    CHECK(q == p + 2 * PAGE && q[0] == 0 && p[PAGE] == 1 && p[4 * PAGE] == 1,
          "MAP_FIXED");
    q = anonymous(p, PAGE, PROT_READ, MAP_FIXED_NOREPLACE);
    CHECK(q == MAP_FAILED && errno == EEXIST, "MAP_FIXED_NOREPLACE over a mapping");
    CHECK_ERRNO(munmap(p + 3 * PAGE, PAGE) == 0);
    q = anonymous(p + 3 * PAGE, PAGE, PROT_READ, MAP_FIXED_NOREPLACE);
    CHECK(q == p + 3 * PAGE, "MAP_FIXED_NOREPLACE into a hole");
    CHECK_ERRNO(mprotect(p, 8 * PAGE, PROT_READ | PROT_WRITE) == 0);
    p[3 * PAGE] = 9;
    CHECK_ERRNO(munmap(p + PAGE, PAGE) == 0);
    CHECK(mprotect(p, 8 * PAGE, PROT_READ) == -1 && errno == ENOMEM,
          "mprotect over a hole");
    CHECK(msync(p, 8 * PAGE, MS_ASYNC) == -1 && errno == ENOMEM, "msync over a hole");
    CHECK(anonymous(p + 1, PAGE, PROT_READ, MAP_FIXED) == MAP_FAILED && errno == EINVAL,
          "misaligned MAP_FIXED");
    CHECK(anonymous(NULL, 0, PROT_READ, 0) == MAP_FAILED && errno == EINVAL, "length 0");
    CHECK(munmap(p + 1, PAGE) == -1 && errno == EINVAL, "misaligned munmap");
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0) == MAP_FAILED &&
              errno == EBADF,
          "bad descriptor");
    CHECK_ERRNO(munmap(p, 8 * PAGE) == 0);
}

static void check_remap(void)
{
    char *p = map_pages(4, PROT_READ | PROT_WRITE), *target, *q;

    for (int i = 0; i < 4; i++) {
        p[(unsigned long)i * PAGE] = (char)(i + 1);
    }
    q = mremap(p, 4 * PAGE, 2 * PAGE, 0);
    CHECK(q == p && q[PAGE] == 2, "shrink");
    q = mremap(p, 2 * PAGE, 300 * PAGE, MREMAP_MAYMOVE);
    CHECK_ERRNO(q != MAP_FAILED);
    CHECK(q[0] == 1 && q[PAGE] == 2 && q[299 * PAGE] == 0, "grow");
    target = map_pages(2, PROT_READ);
    p = mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    CHECK(p == target && p[0] == 1 && p[PAGE] == 2, "move to a fixed place");
    p[0] = 5;
    CHECK(mremap(q, PAGE, PAGE * 2, 0) == MAP_FAILED && errno == EFAULT,
          "nothing left there");
    CHECK_ERRNO(munmap(p, 2 * PAGE) == 0 && munmap(q + 2 * PAGE, 298 * PAGE) == 0);
}

static void check_files(void)
{
    char name[] = "/tmp/braid-map-XXXXXX", *shared, *private, c;
    int fd = mkstemp(name);

    CHECK_ERRNO(fd >= 0 && unlink(name) == 0 && ftruncate(fd, 3 * PAGE) == 0);
    shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 2 * PAGE);
    CHECK_ERRNO(shared != MAP_FAILED && private != MAP_FAILED);
    shared[2 * PAGE] = 's';
    CHECK(private[0] == 's', "an untouched private page shows the file");
    private[0] = 'p';
    CHECK_ERRNO(pread(fd, &c, 1, 2 * PAGE) == 1);
    CHECK(c == 's' && shared[2 * PAGE] == 's', "private write reached the file");
    CHECK_ERRNO(pwrite(fd, "w", 1, 5) == 1);
    CHECK(shared[5] == 'w', "write to the file is not visible in the mapping");
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100) == MAP_FAILED &&
              errno == EINVAL,
          "misaligned offset");
    CHECK_ERRNO(munmap(shared, 3 * PAGE) == 0 && munmap(private, PAGE) == 0 &&
                close(fd) == 0);
}

static void check_large(void)
{
    size_t length = (size_t)1 << 38;
    char *p = anonymous(NULL, length, PROT_READ | PROT_WRITE, MAP_NORESERVE), *brk_before;
    struct rusage usage;

    CHECK_ERRNO(p != MAP_FAILED);
    for (size_t at = 0; at < length; at += length / 64) {
        p[at] = 1;
    }
    CHECK_ERRNO(getrusage(RUSAGE_SELF, &usage) == 0);
    CHECK(usage.ru_maxrss < 400 * 1024, "%ld KiB for an empty mapping", usage.ru_maxrss);
    CHECK_ERRNO(madvise(p, length, MADV_DONTNEED) == 0);
    CHECK(p[length / 64] == 0, "MADV_DONTNEED kept the contents");
    CHECK_ERRNO(munmap(p, length) == 0);
    CHECK(anonymous(NULL, (size_t)1 << 62, PROT_READ, MAP_NORESERVE) == MAP_FAILED &&
          errno == ENOMEM, "2^62 bytes");
    brk_before = sbrk(0);
    CHECK_ERRNO(sbrk(1 << 20) == brk_before);
    memset(brk_before, 7, 1 << 20);
    CHECK_ERRNO(sbrk(-(1 << 20)) == brk_before + (1 << 20));
    CHECK_ERRNO(sbrk(1 << 20) == brk_before);
    CHECK(brk_before[PAGE] == 0, "brk memory is not zero after shrinking and growing");
}

static void check_incore(void)
{
    char *p = map_pages(4, PROT_READ | PROT_WRITE);
    unsigned char resident[4];

    p[PAGE] = 1;
    CHECK_ERRNO(mincore(p, 4 * PAGE, resident) == 0);
    CHECK(!(resident[0] & 1) && (resident[1] & 1), "mincore");
    CHECK_ERRNO(munmap(p, 4 * PAGE) == 0);
    CHECK(mincore(p, PAGE, resident) == -1 && errno == ENOMEM, "mincore of nothing");
}

int main(void)
{
    check_fixed();
    check_remap();
    check_files();
    check_large();
    check_incore();
    return 0;
}
