/*
 * fork, wait, exec of the program itself, vfork, posix_spawn (also of a program
 * that does not exist), environment and descriptors across exec, orphans' exit
 * codes, and a fork in a fork.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include "test.h"

static int wait_status(pid_t pid)
{
    int status;

    CHECK_ERRNO(pid > 0);
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    return status;
}

static void check_fork(void)
{
    int *shared =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int private = 1, status;
    pid_t pid;

    CHECK_ERRNO(shared != MAP_FAILED);
    pid = fork();
    if (pid == 0) {
        pid_t inner = fork();

        if (inner == 0) {
            private = 5;
            *shared += 10;
            _exit(7);
        }
        status = wait_status(inner);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "grandchild %#x", status);
        private++;
        *shared += private;
        _exit(42);
    }
    status = wait_status(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "child %#x", status);
    CHECK(private == 1 && *shared == 12, "private %d shared %d", private, *shared);
    CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD, "no more children");
}

static void check_exec(void)
{
    int kept = open("/dev/null", O_RDONLY),
        gone = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char kept_text[16], gone_text[16];
    int status;
    pid_t pid;

    snprintf(kept_text, sizeof(kept_text), "%d", kept);
    snprintf(gone_text, sizeof(gone_text), "%d", gone);
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "other name", "exec", kept_text, gone_text, (char *)NULL);
        _exit(100);
    }
    status = wait_status(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "after exec: %#x", status);
    pid = vfork();
    if (pid == 0) {
        execl("/nonexistent", "x", (char *)NULL);
        _exit(errno == ENOENT ? 9 : 8);
    }
    status = wait_status(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9, "vfork: %#x", status);
    close(kept);
    close(gone);
}

static void check_spawn(void)
{
    char *args[] = { "spawned", "exec-empty", NULL }, *none[] = { NULL };
    int error, status;
    pid_t pid;

    error = posix_spawn(&pid, "/nonexistent/program", NULL, NULL, args, none);
    CHECK(error == ENOENT, "spawn of nothing returned %d", error);
    error = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, none);
    CHECK(error == 0, "spawn: %s", strerror(error));
    status = wait_status(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4, "spawned: %#x", status);
}

int main(int argc, char **argv)
{
    if (argc == 4) {
        CHECK(!strcmp(argv[0], "other name"), "argv[0] %s", argv[0]);
        CHECK(fcntl(atoi(argv[2]), F_GETFD) == 0, "a descriptor was lost in exec");
        CHECK(fcntl(atoi(argv[3]), F_GETFD) == -1 && errno == EBADF, "close-on-exec");
        return 3;
    }
    if (argc == 2) {
        return getenv("HOME") ? 5 : 4;
    }
    check_fork();
    check_exec();
    check_spawn();
    for (unsigned long i = 0; i < scaled(50); i++) {
        pid_t pid = fork();

        if (pid == 0) {
            _exit((int)i);
        }
        CHECK(WEXITSTATUS(wait_status(pid)) == (int)i, "fork loop");
    }
    return 0;
}
