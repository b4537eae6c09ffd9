/*
 * For the gdb tests: threads that call hot(), a signal handler, and, with an argument, a crash.
 * `spin` as the argument: the threads call hot() for ever.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

volatile int shared;
volatile double scale = 1.5;
volatile int go, spin;

static int add(int a, int b)
{
    return a + b;
}

static void handler(int sig)
{
    shared = shared + 1000;
}

__attribute__((noinline)) void hot(int i)
{
    shared = add(shared, i);
}

__attribute__((noinline)) void never(void)
{
    puts("never");
}

static void *worker(void *p)
{
    while (!go) {
        usleep(1000);
    }
    for (int i = 0; i < 5 || spin; i++) {
        hot(0);
    }
    return p;
}

int main(int argc, char **argv)
{
    pthread_t t[3];
    signal(SIGUSR1, handler);
    for (int i = 0; i < 3; i++) {
        pthread_create(&t[i], NULL, worker, NULL);
    }
    for (int i = 0; i < 10; i++) {
        hot(i);
    }
    raise(SIGUSR1);
    spin = argc > 1 && !strcmp(argv[1], "spin");
    go = 1;
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
    }
    scale = scale * 2;
    printf("shared %d scale %g\n", shared, scale);
    fflush(stdout);
    if (argc > 1) {
        *(volatile int *)16 = 1;
    }
    return 7;
}
