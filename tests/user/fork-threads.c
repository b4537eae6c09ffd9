/*
 * fork while other threads run, allocate and map memory: the child, which has one
 * thread, can allocate, start a thread, run code it has not run before, and exit;
 * nothing hangs.
 *
 * test-native: yes
 * test-time: 60
 */
#include <math.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "test.h"

enum { BUSY = 4 };

static _Atomic int stop;
static int file;

static void use_file(void)
{
    char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);

    CHECK_ERRNO(p != MAP_FAILED && p[1] == 0 && munmap(p, PAGE) == 0);
}

static void *busy(void *arg)
{
    uintptr_t seed = (uintptr_t)arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        char *block = malloc(100 + seed % 5000),
             *pages = map_pages(2, PROT_READ | PROT_WRITE);

        CHECK(block, "malloc");
        block[seed % 100] = 1;
        pages[PAGE] = 1;
        CHECK_ERRNO(mprotect(pages, PAGE, PROT_READ) == 0 &&
                    munmap(pages, 2 * PAGE) == 0);
        free(block);
        use_file();
        seed = seed * 6364136223846793005u + 1;
    }
    return NULL;
}

static void *in_child(void *arg)
{
    *(double *)arg = sin(*(double *)arg) + cos(*(double *)arg);
    return NULL;
}

static void child(int n)
{
    double x = n;
    char *block = malloc(10000);
    pthread_t id;

    CHECK(block, "malloc in the child");
    use_file();
    memset(block, n, 10000);
    id = start_thread(in_child, &x);
    join_thread(id);
    _exit(fabs(x) < 2 && block[9999] == (char)n ? n % 100 : 101);
}

int main(void)
{
    pthread_t ids[BUSY];

    file = memfd_create("file", 0);
    CHECK_ERRNO(file >= 0 && ftruncate(file, PAGE) == 0);
    for (uintptr_t i = 0; i < BUSY; i++) {
        ids[i] = start_thread(busy, (void *)(i + 1));
    }
    for (int i = 0; i < (int)scaled(200); i++) {
        int status;
        pid_t pid = fork();

        CHECK_ERRNO(pid >= 0);
        if (pid == 0) {
            alarm(20);
            child(i);
        }
        CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i % 100, "child %d: %#x", i,
              status);
    }
    stop = 1;
    for (int i = 0; i < BUSY; i++) {
        join_thread(ids[i]);
    }
    return 0;
}
