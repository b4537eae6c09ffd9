/*
 * Seccomp filters that ask another process: what the listener sees of a call, its value, its error, its
 * permission to go on, a descriptor it puts in; a second listener is refused; a call that a signal
 * interrupts is asked about again; over fork and exec; nobody left to ask is ENOSYS.
 *
 * test-native: yes
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "test.h"

#if defined(__riscv)
#define ARCH AUDIT_ARCH_RISCV64
#else
#define ARCH AUDIT_ARCH_X86_64
#endif

static int listen_to_getpriority(void)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = { 4, f };

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static long ask(long a, long b)
{
    long r = syscall(SYS_getpriority, a, b, 3, 4, 5, 6);
    return r == -1 ? -errno : r;
}

static void send_fd(int socket, int fd)
{
    char c = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec iov = { &c, 1 };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
    struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
    CHECK_ERRNO(sendmsg(socket, &m, 0) == 1);
}

static int receive_fd(int socket)
{
    char c, control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = { &c, 1 };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
    int fd;

    CHECK_ERRNO(recvmsg(socket, &m, 0) == 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    return fd;
}

static void nothing(int sig, siginfo_t *info, void *context)
{
}

static void ask_questions(int socket)
{
    char name[20];

    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    int fd = listen_to_getpriority();
    CHECK_ERRNO(fd >= 0);
    send_fd(socket, fd);
    close(fd);
    CHECK(listen_to_getpriority() == -1 && errno == EBUSY, "a second listener: %d", errno);
    long r = ask(11, 22);
    CHECK(r == 1234, "a value: %ld", r);
    r = ask(12, 0);
    CHECK(r == -EXDEV, "an error: %ld", r);
    r = ask(999, 0);
    CHECK(r == -EINVAL, "the kernel's own answer: %ld", r);
    r = ask(14, 0);
    CHECK(r >= 0 && write((int)r, "x", 1) == 1, "a descriptor: %ld", r);
    set_handler(SIGALRM, nothing, 0);
    r = ask(15, 0);
    CHECK(r == -EINTR, "interrupted: %ld", r);
    set_handler(SIGALRM, nothing, SA_RESTART);
    r = ask(16, 0);
    CHECK(r == 77, "asked again: %ld", r);
    snprintf(name, sizeof(name), "%d", socket);
    execl("/proc/self/exe", "exe", name, (char *)NULL);
    _exit(9);
}

static struct seccomp_notif next_question(int fd, int expected)
{
    struct seccomp_notif n = { 0 };
    struct pollfd p = { fd, POLLIN, 0 };

    CHECK_ERRNO(poll(&p, 1, 60000) == 1 && (p.revents & POLLIN));
    CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0);
    CHECK(n.data.nr == SYS_getpriority && n.data.arch == ARCH, "call %d of %#x", n.data.nr, n.data.arch);
    CHECK((int)n.data.args[0] == expected && n.data.args[2] == 3 && n.data.args[5] == 6, "argument %d, not %d",
          (int)n.data.args[0], expected);
    return n;
}

static int answer(int fd, uint64_t id, long value, int error, unsigned flags)
{
    struct seccomp_notif_resp r = { .id = id, .val = value, .error = error, .flags = flags };
    return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static void listener(int socket, pid_t pid)
{
    struct seccomp_notif_sizes sizes;
    int fd = receive_fd(socket), status, fds[2];

    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0);
    CHECK(sizes.seccomp_notif == sizeof(struct seccomp_notif), "size %d", sizes.seccomp_notif);
    struct seccomp_notif n = { .id = 1 };
    CHECK(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n) == -1 && errno == EINVAL, "not empty");
    n = next_question(fd, 11);
    CHECK((pid_t)n.pid == pid && n.data.args[1] == 22, "from %d", (int)n.pid);
    CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0);
    CHECK_ERRNO(answer(fd, n.id, 1234, 0, 0) == 0);
    CHECK(answer(fd, n.id, 1, 0, 0) == -1, "answered twice");
    CHECK_ERRNO(answer(fd, next_question(fd, 12).id, 0, -EXDEV, 0) == 0);
    n = next_question(fd, 999);
    CHECK(answer(fd, n.id, 5, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) == -1 && errno == EINVAL, "both");
    CHECK_ERRNO(answer(fd, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) == 0);
    n = next_question(fd, 14);
    CHECK_ERRNO(pipe(fds) == 0);
    struct seccomp_notif_addfd add = { .id = n.id, .srcfd = (unsigned)fds[1] };
    int theirs = ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    CHECK_ERRNO(theirs >= 0);
    CHECK_ERRNO(answer(fd, n.id, theirs, 0, 0) == 0);
    char c;
    CHECK_ERRNO(read(fds[0], &c, 1) == 1);
    n = next_question(fd, 15);
    CHECK_ERRNO(kill(pid, SIGALRM) == 0);
    for (int i = 0; ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0; i++) {
        CHECK(i < 10000, "not interrupted");
        sleep_ms(1);
    }
    n = next_question(fd, 16);
    CHECK_ERRNO(kill(pid, SIGALRM) == 0);
    for (int i = 0; ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0; i++) {
        CHECK(i < 10000, "not asked again");
        sleep_ms(1);
    }
    CHECK_ERRNO(answer(fd, next_question(fd, 16).id, 77, 0, 0) == 0);
    CHECK_ERRNO(answer(fd, next_question(fd, 21).id, 88, 0, 0) == 0);
    /* It asks once more, and nobody is there. */
    close(fd);
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %#x", status);
}

int main(int argc, char **argv)
{
    int pair[2];

    if (argc > 1) {
        long r = ask(21, 0);
        CHECK(r == 88, "after exec: %ld", r);
        while ((r = ask(22, 0)) != -ENOSYS) {
            CHECK(false, "nobody is asked: %ld", r);
        }
        return 3;
    }
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        ask_questions(pair[1]);
    }
    close(pair[1]);
    listener(pair[0], pid);
    return 0;
}
