/*
 * System calls of Linux 6.5 to 6.12, by number: fchmodat2, cachestat, futex_wake, futex_wait,
 * futex_requeue, statmount, listmount.  A kernel that does not have one says ENOSYS.
 *
 * test-native: yes
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "test.h"

enum { CACHESTAT = 451, FCHMODAT2, FUTEX2_WAKE = 454, FUTEX2_WAIT, FUTEX2_REQUEUE, STATMOUNT, LISTMOUNT };
#define FUTEX2_U32 2
#define FUTEX2_PRIVATE_FLAG 128

typedef struct { uint64_t val, uaddr; uint32_t flags, reserved; } Waiter;

static _Atomic uint32_t word, other;

/* The call's result, -errno for errors. */
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
    long r = syscall(nr, a, b, c, d, e, f);
    return r == -1 ? -errno : r;
}

static void *waiter(void *arg)
{
    struct timespec limit;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += 20;
    long r = call(FUTEX2_WAIT, (long)&word, 0, ~0u, FUTEX2_U32 | FUTEX2_PRIVATE_FLAG, (long)&limit,
                  CLOCK_MONOTONIC);
    CHECK(r == 0, "futex_wait: %ld", r);
    return NULL;
}

static void check_futexes(void)
{
    long flags = FUTEX2_U32 | FUTEX2_PRIVATE_FLAG;
    long r = call(FUTEX2_WAKE, (long)&word, ~0u, 1, flags, 0, 0);

    if (r == -ENOSYS) {
        return;
    }
    CHECK(r == 0, "nobody waits: %ld", r);
    r = call(FUTEX2_WAIT, (long)&word, 7, ~0u, flags, 0, CLOCK_MONOTONIC);
    CHECK(r == -EAGAIN, "not the value: %ld", r);
    r = call(FUTEX2_WAKE, 8, ~0u, 1, FUTEX2_U32, 0, 0);
    CHECK(r == -EFAULT, "no memory: %ld", r);
    pthread_t id = start_thread(waiter, NULL);
    Waiter w[2] = { { 0, (uintptr_t)&word, (uint32_t)flags, 0 }, { 0, (uintptr_t)&other, (uint32_t)flags, 0 } };
    do {
        r = call(FUTEX2_REQUEUE, (long)w, 0, 0, 1, 0, 0);
        CHECK(r >= 0, "requeue: %ld", r);
        sched_yield();
    } while (r == 0);
    while ((r = call(FUTEX2_WAKE, (long)&other, ~0u, 1, flags, 0, 0)) == 0) {
    }
    CHECK(r == 1, "wake after requeue: %ld", r);
    join_thread(id);
    r = call(FUTEX2_REQUEUE, 8, 0, 0, 1, 0, 0);
    CHECK(r == -EFAULT, "requeue without memory: %ld", r);
}

static void check_files(void)
{
    char name[] = "/tmp/braid-test-XXXXXX", link[64];
    int fd = mkstemp(name);
    struct stat st;

    CHECK_ERRNO(fd >= 0 && write(fd, name, sizeof(name)) > 0);
    snprintf(link, sizeof(link), "%s.link", name);
    CHECK_ERRNO(symlink(name, link) == 0);
    long r = call(FCHMODAT2, AT_FDCWD, (long)name, 0640, 0, 0, 0);
    CHECK(r == -ENOSYS || (r == 0 && stat(name, &st) == 0 && (st.st_mode & 07777) == 0640), "%ld", r);
    r = call(FCHMODAT2, fd, (long)"", 0600, AT_EMPTY_PATH, 0, 0);
    CHECK(r == -ENOSYS || (r == 0 && stat(name, &st) == 0 && (st.st_mode & 07777) == 0600), "%ld", r);
    r = call(FCHMODAT2, AT_FDCWD, (long)link, 0600, AT_SYMLINK_NOFOLLOW, 0, 0);
    CHECK(r == -ENOSYS || r == -EOPNOTSUPP, "mode of a link: %ld", r);
    uint64_t range[2] = { 0, 0 }, stats[5] = { ~0ull, ~0ull, ~0ull, ~0ull, ~0ull };
    r = call(CACHESTAT, fd, (long)range, (long)stats, 0, 0, 0);
    CHECK(r == -ENOSYS || r == -EOPNOTSUPP || (r == 0 && stats[0] <= 1), "cachestat: %ld, %ld", r, (long)stats[0]);
    unlink(link);
    unlink(name);
}

static void check_mounts(void)
{
    struct { uint32_t size, spare; uint64_t mnt_id, param; } req = { 24, 0, ~0ull /* LSMT_ROOT */, 0 };
    uint64_t ids[64], buffer[64];
    long r = call(LISTMOUNT, (long)&req, (long)ids, 64, 0, 0, 0);

    if (r == -ENOSYS || r == -EPERM) {
        return;
    }
    CHECK(r > 0, "listmount: %ld", r);
    req.mnt_id = ids[0];
    req.param = 1;      /* STATMOUNT_SB_BASIC */
    r = call(STATMOUNT, (long)&req, (long)buffer, sizeof(buffer), 0, 0, 0);
    CHECK(r == 0 || r == -EPERM, "statmount: %ld", r);
    r = call(STATMOUNT, (long)&req, 8, sizeof(buffer), 0, 0, 0);
    CHECK(r == -EFAULT || r == -EPERM, "statmount without memory: %ld", r);
}

int main(void)
{
    check_futexes();
    check_files();
    check_mounts();
    return 0;
}
