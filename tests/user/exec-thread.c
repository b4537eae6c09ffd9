/*
 * A thread that is not the first one executes a program: the process keeps its number, all other threads are
 * gone, and who waited for them is the parent.  vfork's child writes to its parent's memory, and the parent
 * sleeps until it has executed; many threads live at once, with stacks and thread-local storage of their own;
 * maps stay consistent while eight threads map.
 *
 * test-native: yes
 * test-time: 60
 */
#include <fcntl.h>
#include <sys/wait.h>
#include "test.h"

static __thread uint64_t own[64];
static pthread_barrier_t meeting;
static _Atomic bool stop;

static void *busy(void *arg)
{
    for (;;) {
        own[1]++;
    }
    return NULL;
}

static void *execute(void *arg)
{
    char pid[20];

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    execl("/proc/self/exe", "exe", pid, (char *)NULL);
    _exit(99);
}

static void check_exec_in_thread(void)
{
    for (unsigned long i = 0; i < scaled(5); i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            for (int k = 0; k < 4; k++) {
                start_thread(busy, NULL);
            }
            start_thread(execute, NULL);
            busy(NULL);
        }
        CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %#x", status);
    }
}

static void check_vfork(void)
{
    volatile int error = 0, steps = 0;

    for (unsigned long i = 0; i < scaled(50); i++) {
        steps = 0;
        error = 0;
        pid_t pid = vfork();
        if (pid == 0) {
            steps = 1;
            sleep_ms(2);
            steps = 2;
            execl("/nonexistent/program", "x", (char *)NULL);
            error = errno;
            _exit(0);
        }
        CHECK(steps == 2 && error == ENOENT, "%d steps, errno %d", steps, error);
        CHECK_ERRNO(waitpid(pid, NULL, 0) == pid);
    }
}

static void *live(void *arg)
{
    uint64_t me = (uintptr_t)arg;
    char stack[2000];

    memset(stack, (int)me, sizeof(stack));
    for (int i = 0; i < 64; i++) {
        CHECK(own[i] == 0, "storage of thread %lu is not fresh", (long)me);
        own[i] = me;
    }
    pthread_barrier_wait(&meeting);
    for (int i = 0; i < 64; i++) {
        CHECK(own[i] == me && stack[i * 31] == (char)me, "thread %lu lost something", (long)me);
    }
    return NULL;
}

static void check_many_threads(void)
{
    unsigned n = (unsigned)scaled(1000);
    pthread_t *ids = calloc(n, sizeof(*ids));
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 << 10);
    pthread_barrier_init(&meeting, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        CHECK(pthread_create(&ids[i], &attr, live, (void *)(uintptr_t)(i + 1)) == 0, "thread %u", i);
    }
    for (unsigned i = 0; i < n; i++) {
        join_thread(ids[i]);
    }
    free(ids);
}

static void *map_and_unmap(void *arg)
{
    while (!stop) {
        char *p = map_pages(4, PROT_READ | PROT_WRITE);
        p[0] = 1;
        CHECK_ERRNO(mprotect(p + PAGE, PAGE, PROT_READ) == 0 && munmap(p, 4 * PAGE) == 0);
    }
    return NULL;
}

/* What one read() of the list returns is of one moment: ascending and disjoint.  Linux kept that as long as it held
   mmap_lock meanwhile; since 6.17 it does not. */
#ifdef __riscv
#define OF_ONE_MOMENT true
#else
#define OF_ONE_MOMENT false
#endif

static bool check_part(const char *text, const char *kept)
{
    unsigned long last = 0;
    bool found = false;

    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        char *rest;
        unsigned long start = strtoul(line, &rest, 16), end = strtoul(rest + 1, NULL, 16);
        CHECK(start < end && (start >= last || !OF_ONE_MOMENT), "%lx-%lx after %lx", start, end, last);
        last = end;
        found |= start <= (uintptr_t)kept && end >= (uintptr_t)kept + 3 * PAGE;
    }
    return found;
}

/* What is there all the time is always listed. */
static void check_maps(void)
{
    static char text[1 << 20];
    char *kept = map_pages(3, PROT_READ);
    pthread_t ids[8];

    for (int i = 0; i < 8; i++) {
        ids[i] = start_thread(map_and_unmap, NULL);
    }
    for (unsigned long round = 0; round < scaled(50); round++) {
        int fd = open("/proc/self/maps", O_RDONLY);
        bool found = false;
        ssize_t n;
        while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
            text[n] = 0;
            found |= check_part(text, kept);
        }
        close(fd);
        CHECK(found, "%p is not listed", kept);
    }
    stop = true;
    for (int i = 0; i < 8; i++) {
        join_thread(ids[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return getpid() == atoi(argv[1]) && syscall(SYS_gettid) == getpid() && own[1] == 0 ? 3 : 4;
    }
    check_exec_in_thread();
    check_vfork();
    check_many_threads();
    check_maps();
    return 0;
}
