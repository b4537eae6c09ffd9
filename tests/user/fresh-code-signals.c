/*
 * Signals that arrive while code is being translated: a fast timer over threads that run nothing but fresh code,
 * with a handler that runs fresh code of its own; meanwhile another thread forks, and the children run
 * fresh code too.  And membarrier(SYNC_CORE) in place of fence.i: who has seen the flag runs the new code.
 *
 * test-native: no
 * test-time: 60
 */
#include <linux/membarrier.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "rv-code.h"

enum { THREADS = 3, FUNCTIONS = 64 };

static _Atomic unsigned handled;
static _Atomic bool stop;
static __thread char *own;      /* FUNCTIONS of 64 bytes for the thread, and one for its handler */

static void put_sum(char *at, int n, int value)
{
    rv_put(at, rv_addi(A0, ZERO, 0));
    for (int i = 0; i < n; i++) {
        rv_put(at + 4 + 4 * i, rv_addi(A0, A0, value));
    }
    rv_put(at + 4 + 4 * n, RV_RET);
}

static void run_fresh(char *code, int functions, unsigned round)
{
    int value = (int)(round % 150);

    for (int i = 0; i < functions; i++) {
        put_sum(code + 64 * i, 10, value + i % 3);
    }
    fence_i();
    for (int i = 0; i < functions; i++) {
        long r = call_code(code + 64 * i);
        CHECK(r == 10 * (value + i % 3), "function %d of round %u: %ld", i, round, r);
    }
}

static void on_timer(int sig, siginfo_t *info, void *context)
{
    if (own) {
        run_fresh(own + PAGE, 2, handled++);
    }
}

static void *body(void *arg)
{
    own = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (unsigned round = 0; !stop; round++) {
        run_fresh(own, FUNCTIONS, round);
    }
    return NULL;
}

static void check_signals(void)
{
    struct itimerval fast = { { 0, 500 }, { 0, 500 } }, off = { 0 };
    pthread_t ids[THREADS];

    set_handler(SIGALRM, on_timer, SA_RESTART);
    for (int i = 0; i < THREADS; i++) {
        ids[i] = start_thread(body, NULL);
    }
    setitimer(ITIMER_REAL, &fast, NULL);
    for (unsigned long i = 0; i < scaled(30); i++) {
        pid_t pid = fork();
        int status;
        if (pid == 0) {
            setitimer(ITIMER_REAL, &fast, NULL);
            own = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
            run_fresh(own, FUNCTIONS, (unsigned)i);
            _exit(7);
        }
        CHECK_ERRNO(pid > 0);
        while (waitpid(pid, &status, 0) != pid) {
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "child: %#x", status);
    }
    setitimer(ITIMER_REAL, &off, NULL);
    stop = true;
    for (int i = 0; i < THREADS; i++) {
        join_thread(ids[i]);
    }
    CHECK(handled > 0, "no signal came");
}

static char *shared_code;
static _Atomic int announced;

static void *reader(void *arg)
{
    for (int last = 0; last < 1000;) {
        int seen = announced;
        /* No fence.i: the writer's membarrier stands for it. */
        long r = call_code(shared_code);
        CHECK(r >= seen, "version %d was announced, version %ld ran", seen, r);
        last = seen;
        if (seen == last) {
            sched_yield();
        }
    }
    return NULL;
}

static void check_membarrier(void)
{
    shared_code = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    rv_put_return(shared_code, 0);
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) != 0) {
        return;
    }
    pthread_t ids[2] = { start_thread(reader, NULL), start_thread(reader, NULL) };
    for (int version = 1; version <= 1000; version++) {
        rv_patch((uint32_t *)shared_code, rv_addi(A0, ZERO, version));
        CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0);
        announced = version;
    }
    join_thread(ids[0]);
    join_thread(ids[1]);
}

int main(void)
{
    check_signals();
    check_membarrier();
    return 0;
}
