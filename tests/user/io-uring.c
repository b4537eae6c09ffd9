/*
 * io_uring: the three mappings of the rings, reads and writes with data checked, a
 * linked pair, errors of single entries, a time limit, a wait that a signal ends, under
 * the mask of the call; the ring used through copies of its descriptor, by a child, and
 * registered; many rings.  Where the kernel offers no io_uring the test says so and shows nothing.
 *
 * test-native: yes
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include "test.h"

#define ENTRIES 16

typedef struct Ring {
    int fd;
    unsigned how;           /* flags of each io_uring_enter(): what fd is */
    struct io_uring_params p;
    char *sq, *cq;
    size_t sq_size, cq_size;
    struct io_uring_sqe *sqe;
} Ring;

static bool ring_open(Ring *r)
{
    memset(r, 0, sizeof(*r));
    r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r->p);
    if (r->fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        printf("no io_uring here\n");
        return false;
    }
    CHECK_ERRNO(r->fd >= 0);
    CHECK(r->p.sq_entries == ENTRIES && r->p.cq_entries >= ENTRIES, "entries");
    r->sq_size = r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t);
    r->cq_size = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
    r->sq = mmap(NULL, r->sq_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
                 IORING_OFF_SQ_RING);
    r->cq = mmap(NULL, r->cq_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
                 IORING_OFF_CQ_RING);
    r->sqe = mmap(NULL, ENTRIES * sizeof(*r->sqe), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
    CHECK_ERRNO(r->sq != MAP_FAILED && r->cq != MAP_FAILED && r->sqe != MAP_FAILED);
    return true;
}

static void ring_close(Ring *r)
{
    CHECK_ERRNO(munmap(r->sqe, ENTRIES * sizeof(*r->sqe)) == 0);
    CHECK_ERRNO(munmap(r->sq, r->sq_size) == 0 && munmap(r->cq, r->cq_size) == 0);
    CHECK_ERRNO(close(r->fd) == 0);
}

static struct io_uring_sqe *next_entry(Ring *r, int opcode, int fd, void *addr, unsigned len,
                                       uint64_t id)
{
    uint32_t *tail = (uint32_t *)(r->sq + r->p.sq_off.tail);
    uint32_t mask = *(uint32_t *)(r->sq + r->p.sq_off.ring_mask);
    uint32_t *array = (uint32_t *)(r->sq + r->p.sq_off.array), i = *tail & mask;
    struct io_uring_sqe *e = &r->sqe[i];

    memset(e, 0, sizeof(*e));
    e->opcode = (uint8_t)opcode;
    e->fd = fd;
    e->addr = (uintptr_t)addr;
    e->len = len;
    e->user_data = id;
    array[i] = i;
    /* [RING] pairs with the kernel's acquire */
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    return e;
}

static int enter(Ring *r, unsigned submit, unsigned wait)
{
    return (int)syscall(SYS_io_uring_enter, r->fd, submit, wait,
                        r->how | (wait ? IORING_ENTER_GETEVENTS : 0), NULL, 0);
}

static int result_of(Ring *r, uint64_t id)
{
    uint32_t *head = (uint32_t *)(r->cq + r->p.cq_off.head);
    uint32_t *tail = (uint32_t *)(r->cq + r->p.cq_off.tail);
    uint32_t mask = *(uint32_t *)(r->cq + r->p.cq_off.ring_mask);
    struct io_uring_cqe *cqes = (void *)(r->cq + r->p.cq_off.cqes), c;

    CHECK(*head != __atomic_load_n(tail, __ATOMIC_ACQUIRE /* [RING] */), "nothing completed");
    c = cqes[*head & mask];
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);    /* [RING] */
    CHECK(c.user_data == id, "completed %lu, expected %lu", (unsigned long)c.user_data,
          (unsigned long)id);
    return c.res;
}

static void check_data(Ring *r)
{
    char out[3000], in[3000];
    int fd = open("io-uring-file", O_RDWR | O_CREAT | O_TRUNC, 0600);

    CHECK_ERRNO(fd >= 0);
    unlink("io-uring-file");
    for (unsigned long round = 0; round < scaled(200); round++) {
        for (size_t i = 0; i < sizeof(out); i++) {
            out[i] = (char)(i * 7 + round);
        }
        memset(in, 0, sizeof(in));
        next_entry(r, IORING_OP_WRITE, fd, out, sizeof(out), 1)->flags = IOSQE_IO_LINK;
        next_entry(r, IORING_OP_READ, fd, in, sizeof(in), 2);
        CHECK_ERRNO(enter(r, 2, 2) == 2);
        CHECK(result_of(r, 1) == sizeof(out) && result_of(r, 2) == sizeof(in), "sizes");
        CHECK(!memcmp(in, out, sizeof(in)), "data of round %lu", round);
    }
    next_entry(r, IORING_OP_READ, fd, NULL, 100, 3);
    next_entry(r, IORING_OP_READ, 12345, in, 100, 4);
    CHECK_ERRNO(enter(r, 2, 2) >= 1);
    CHECK(result_of(r, 3) == -EFAULT, "read to NULL");
    enter(r, 1, 1);
    CHECK(result_of(r, 4) == -EBADF, "read from nowhere");
    close(fd);
}

/* The one structure that x86-64 packs and others do not. */
static void check_epoll(Ring *r)
{
    int ep = epoll_create1(0), fd = eventfd(1, 0);
    struct epoll_event ev[2] = { { EPOLLIN, { .u64 = 0x1122334455667788 } },
                                 { EPOLLIN, { .u64 = 0x99aabbccddeeff00 } } }, got[2];

    CHECK_ERRNO(ep >= 0 && fd >= 0);
    struct io_uring_sqe *e = next_entry(r, IORING_OP_EPOLL_CTL, ep, &ev[0], EPOLL_CTL_ADD, 6);
    e->off = (uint64_t)fd;
    next_entry(r, IORING_OP_EPOLL_CTL, ep, &ev[1], EPOLL_CTL_MOD, 7)->off = (uint64_t)fd;
    CHECK_ERRNO(enter(r, 1, 1) == 1);
    CHECK(result_of(r, 6) == 0 && e->addr == (uintptr_t)&ev[0], "EPOLL_CTL_ADD");
    CHECK_ERRNO(epoll_wait(ep, got, 2, 0) == 1);
    CHECK(got[0].events == EPOLLIN && got[0].data.u64 == 0x1122334455667788, "data of the first");
    CHECK_ERRNO(enter(r, 1, 1) == 1);
    CHECK(result_of(r, 7) == 0, "EPOLL_CTL_MOD");
    CHECK_ERRNO(epoll_wait(ep, got, 2, 0) == 1);
    CHECK(got[0].events == EPOLLIN && got[0].data.u64 == 0x99aabbccddeeff00, "data of the second");
    close(fd);
    close(ep);
}

/* The same ring through other descriptors, in a child, and through none. */
static void check_other_names(Ring *r)
{
    struct io_uring_rsrc_update update = { .offset = -1u };
    Ring other = *r;
    int status;
    pid_t pid;

    other.fd = dup(r->fd);
    CHECK_ERRNO(other.fd >= 0);
    check_epoll(&other);
    CHECK_ERRNO(dup3(other.fd, 700, O_CLOEXEC) == 700 && close(other.fd) == 0);
    other.fd = 700;
    check_epoll(&other);
    if ((pid = fork()) == 0) {
        check_epoll(&other);
        _exit(0);
    }
    CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(status == 0, "in the child: %#x", status);
    update.data = 700;
    if (syscall(SYS_io_uring_register, r->fd, 20 /* IORING_REGISTER_RING_FDS */, &update, 1) == 1) {
        other.fd = (int)update.offset;
        other.how = 1u << 4 /* IORING_ENTER_REGISTERED_RING */;
        check_epoll(&other);
    }
    CHECK_ERRNO(close(700) == 0);
}

/* More rings than anybody keeps in mind after they are closed, between those of one that stays. */
static void check_many(Ring *r)
{
    Ring one;

    for (unsigned i = 0; i < 100; i++) {
        CHECK(ring_open(&one), "one more");
        if (i % 10 == 0) {
            check_epoll(&one);
        }
        ring_close(&one);
    }
    check_epoll(r);
}

static volatile sig_atomic_t handled;

static void handler(int sig, siginfo_t *info, void *context)
{
    handled = sig;
}

static void check_waits(Ring *r)
{
    struct __kernel_timespec limit = { 0, 20000000 };
    struct { uint64_t sigmask; uint32_t size, pad; uint64_t ts; } arg = { 0, 8, 0, 0 };
    unsigned flags = IORING_ENTER_GETEVENTS | (1u << 3) /* IORING_ENTER_EXT_ARG */;
    uint64_t start = now_ns(), empty = 0;
    sigset_t block, old;

    next_entry(r, IORING_OP_TIMEOUT, -1, &limit, 1, 5);
    CHECK_ERRNO(enter(r, 1, 1) == 1);
    CHECK(result_of(r, 5) == -ETIME && now_ns() - start >= 20000000, "timeout");

    arg.ts = (uintptr_t)&limit;
    CHECK(syscall(SYS_io_uring_enter, r->fd, 0, 1, flags, &arg, sizeof(arg)) == -1 &&
          errno == ETIME, "a wait with a limit: errno %d", errno);

    /* Blocked and pending, let in by the mask of the call. */
    set_handler(SIGUSR1, handler, 0);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    CHECK_ERRNO(sigprocmask(SIG_BLOCK, &block, &old) == 0 && raise(SIGUSR1) == 0);
    CHECK(!handled, "not blocked");
    CHECK(syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, &empty, 8) == -1 &&
          errno == EINTR && handled == SIGUSR1, "under an empty mask: errno %d", errno);
    handled = 0;
    CHECK_ERRNO(raise(SIGUSR1) == 0);
    arg.sigmask = (uintptr_t)&empty;
    arg.ts = 0;
    CHECK(syscall(SYS_io_uring_enter, r->fd, 0, 1, flags, &arg, sizeof(arg)) == -1 &&
          errno == EINTR && handled == SIGUSR1, "the same, extended: errno %d", errno);
    CHECK_ERRNO(sigprocmask(SIG_SETMASK, NULL, &block) == 0);
    CHECK(sigismember(&block, SIGUSR1), "the mask is not what it was");
    CHECK_ERRNO(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    CHECK(syscall(SYS_io_uring_enter, r->fd, 0, 1, flags, &arg, 3) == -1 && errno == EINVAL,
          "size of the argument");
}

int main(void)
{
    Ring r;

    CHECK(syscall(SYS_io_uring_setup, ENTRIES, NULL) == -1, "no parameters");
    if (!ring_open(&r)) {
        return 0;
    }
    check_data(&r);
    check_epoll(&r);
    check_other_names(&r);
    check_many(&r);
    check_waits(&r);
    ring_close(&r);
    return 0;
}
