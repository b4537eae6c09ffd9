/*
 * fork, wait, exec of the program itself, vfork, posix_spawn (also of a program
 * that does not exist), names of processes, environment and descriptors across exec, orphans' exit
 * codes, and a fork in a fork.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
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

/* The process's name is that of the file that was executed, be it a script or a link. */
static void check_names(void)
{
    char self[200], dir[] = "/tmp/names-XXXXXX", script[sizeof(dir) + 40];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    CHECK_ERRNO(n > 0 && mkdtemp(dir));
    self[n] = 0;
    snprintf(script, sizeof(script), "%s/a-script-with-a-long-name", dir);
    for (int k = 0; k < 2; k++) {
        pid_t pid;
        int status;

        if (k == 0) {
            int fd = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

            CHECK_ERRNO(fd >= 0 && dprintf(fd, "#!%s name\n", self) > 0 && close(fd) == 0);
        }
        pid = fork();
        if (pid == 0) {
            if (k == 0) {
                execl(script, "x", (char *)NULL);
            } else {
                execl("/proc/self/exe", "x", "name", "exe", (char *)NULL);
            }
            _exit(100);
        }
        status = wait_status(pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 6, "name %d: %#x", k, status);
    }
    unlink(script);
    rmdir(dir);
}

static int check_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char comm[17] = "", file[17] = "";
    int fd = open("/proc/self/comm", O_RDONLY);

    CHECK_ERRNO(prctl(PR_GET_NAME, comm) == 0 && fd >= 0 && read(fd, file, 16) > 0);
    file[strcspn(file, "\n")] = 0;
    CHECK(!strncmp(comm, slash ? slash + 1 : path, 15), "PR_GET_NAME: %s, executed as %s", comm, path);
    CHECK(!strcmp(comm, file), "comm: %s, PR_GET_NAME: %s", file, comm);
    return 6;
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
    if (argc == 3) {
        return check_name(argv[2]);
    }
    if (argc == 2) {
        return getenv("HOME") ? 5 : 4;
    }
    check_fork();
    check_exec();
    check_spawn();
    check_names();
    for (unsigned long i = 0; i < scaled(50); i++) {
        pid_t pid = fork();

        if (pid == 0) {
            _exit((int)i);
        }
        CHECK(WEXITSTATUS(wait_status(pid)) == (int)i, "fork loop");
    }
    return 0;
}
