/*
 * Runs a command a number of times and reports what it cost.
 *
 *   measure COUNT TIMEOUT OUTPUT COMMAND [ARGUMENT…]
 *
 * The command's standard output goes to the file OUTPUT (of the last run).  One
 * line on our own standard output: seconds of wall clock, user and system time
 * per run, peak resident memory in KiB (the largest of all runs) and the exit
 * status (128 + signal number when a signal ended it).  It stops at the first run that
 * fails; a run that takes longer than TIMEOUT seconds is killed.
 *
 * This is a program of its own, rather than a few lines of Python, because the
 * kernel counts the peak memory of a process from before its execve() too: a
 * child forked from a Python interpreter never shows less than Python's size.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    double wall, user, sys;
    long peak_kib;
    int status;
} Cost;

static pid_t child;

/* async-signal-safe: the child leads a process group of its own. */
static void on_alarm(int signal_number)
{
    (void)signal_number;
    kill(-child, SIGKILL);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_child(const char *output, char **command)
{
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    if (fd < 0 || dup2(fd, 1) < 0) {
        perror(output);
        _exit(126);
    }
    close(fd);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

static Cost run_once(unsigned timeout, const char *output, char **command)
{
    struct rusage usage;
    double start = now();
    Cost cost;
    int status;

    child = fork();
    if (child < 0) {
        perror("measure: fork");
        exit(1);
    }
    if (child == 0) {
        setpgid(0, 0);
        run_child(output, command);
    }
    setpgid(child, child); /* whoever comes first; the loser's error is harmless */
    alarm(timeout);
    while (wait4(child, &status, 0, &usage) < 0) {
        if (errno != EINTR) {
            perror("measure: wait4");
            exit(1);
        }
    }
    alarm(0);
    cost.wall = now() - start;
    cost.user = seconds(usage.ru_utime);
    cost.sys = seconds(usage.ru_stime);
    cost.peak_kib = usage.ru_maxrss;
    cost.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return cost;
}

int main(int argc, char **argv)
{
    Cost sum = { 0 };
    int count, done = 0;

    if (argc < 5 || (count = atoi(argv[1])) < 1) {
        fprintf(stderr, "usage: measure COUNT TIMEOUT OUTPUT COMMAND [ARGUMENT...]\n");
        return 2;
    }
    signal(SIGALRM, on_alarm);
    while (done < count && sum.status == 0) {
        Cost cost = run_once((unsigned)atoi(argv[2]), argv[3], argv + 4);

        sum.wall += cost.wall;
        sum.user += cost.user;
        sum.sys += cost.sys;
        sum.peak_kib = cost.peak_kib > sum.peak_kib ? cost.peak_kib : sum.peak_kib;
        sum.status = cost.status;
        done++;
    }
    printf("%.6f %.6f %.6f %ld %d\n", sum.wall / done, sum.user / done, sum.sys / done,
           sum.peak_kib, sum.status);
    return 0;
}
