/*
 * Threads that make threads, each of which forks: while 64 (scale 1600: a thousand) leaves of the tree come and
 * go, children allocate, load a library, fork again or execute a program, and every one is waited for.
 *
 * test-native: yes
 * test-link: dynamic
 * test-time: 120
 */
#include <dlfcn.h>
#include <sys/wait.h>
#include "test.h"

static _Atomic unsigned leaves;

static void in_child(unsigned n)
{
    char *block = malloc(1000 + n * 100), *argv[] = { "leaf", NULL };

    alarm(100);
    CHECK(block, "malloc in the child");
    memset(block, (int)n, 1000);
    switch (n % 4) {
    case 0:
        execv("/proc/self/exe", argv);
        CHECK(false, "exec: errno %d", errno);
        break;
    case 1: {
        void *lib = dlopen("libresolv.so.2", RTLD_NOW);
        CHECK(lib && dlsym(lib, "__res_init"), "dlopen: %s", dlerror());
        break;
    }
    case 2: {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            _exit(block[999] == (char)n ? 41 : 1);
        }
        CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 41, "grandchild: %#x", status);
        break;
    }
    }
    free(block);
    _exit(42);
}

static void fork_once(unsigned n)
{
    int status;
    pid_t pid = fork();

    CHECK_ERRNO(pid >= 0);
    if (pid == 0) {
        in_child(n);
    }
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "child of %u: %#x", n, status);
}

/* `arg`: the number of the node, whose children have twice that number and one more. */
static void *node(void *arg)
{
    uintptr_t n = (uintptr_t)arg;

    if (n >= scaled(64)) {
        leaves++;
        fork_once((unsigned)n);
    } else {
        pthread_t a = start_thread(node, (void *)(2 * n)), b = start_thread(node, (void *)(2 * n + 1));
        fork_once((unsigned)n);
        join_thread(a);
        join_thread(b);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (!strcmp(argv[0], "leaf")) {
        return 42;
    }
    node((void *)1);
    CHECK(leaves >= scaled(64) && leaves <= 2 * scaled(64), "%u leaves", leaves);
    return 0;
}
