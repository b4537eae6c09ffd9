/*
 * For the gdb tests: two forks, of which each child and the parent call a function of their own.  With a path as
 * its argument: first a thread executes what does not exist, then that path.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

volatile int value = 5;

__attribute__((noinline)) void in_child(int n)
{
    value = value + n;
}

__attribute__((noinline)) void in_parent(int n)
{
    value = value * n;
}

static void *execute(void *path)
{
    char *none[] = { "none", NULL }, *next[] = { "next", NULL };

    execv("/nowhere/at/all", none);
    execv(path, next);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        pthread_t id;
        pthread_create(&id, NULL, execute, argv[1]);
        pthread_join(id, NULL);
        return 9;
    }
    for (int i = 0; i < 2; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            in_child(10 + i);
            _exit(value);
        }
        in_parent(2);
        waitpid(pid, &status, 0);
        printf("child %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        fflush(stdout);
    }
    printf("parent %d\n", value);
    return 3;
}
