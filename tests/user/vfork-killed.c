/*
 * Children of vfork() are killed wherever they are, most of them while fresh code of theirs is being
 * translated; the parent and its other threads go on.  By SIGKILL, which nobody can prepare for, and by
 * SIGTERM.  Not interpreted: then blocks are kept with malloc(), whose lock nobody can give back.
 *
 * test-native: no
 * test-skip: interp
 * test-time: 120
 */
#include <sys/wait.h>
#include "rv-code.h"

enum { FUNCTIONS = 512, STEP = 2 * 64 };

static char *code;
static _Atomic int victim;      /* pid of the child, 0: none */
static _Atomic unsigned version;
static _Atomic bool done;
static int signals[] = { SIGKILL, SIGTERM };

/* Each call is translated anew. */
static long run_fresh(void)
{
    unsigned v = version++;
    long sum = 0;

    for (int i = 0; i < FUNCTIONS; i++) {
        char *at = code + i * STEP;
        for (int k = 0; k < 10; k++) {
            rv_put(at + 4 * k, rv_addi(A0, k ? A0 : ZERO, (int)((v + (unsigned)i) % 100)));
        }
        rv_put(at + 40, RV_RET);
    }
    flush_icache_all(code, code + FUNCTIONS * STEP);
    for (int i = 0; i < FUNCTIONS; i++) {
        long r = call_code(code + i * STEP);
        CHECK(r == 10 * (long)((v + (unsigned)i) % 100), "function %d: %ld", i, r);
        sum += r;
    }
    return sum;
}

static void *killer(void *arg)
{
    unsigned round = 0;

    while (!done) {
        int pid = victim;
        if (pid) {
            /* Some at once, others after a while. */
            for (volatile unsigned i = 0; i < (round * 7919) % 60000; i++) {
            }
            kill(pid, signals[round % 2]);
            while (victim == pid && !done) {
                sched_yield();
            }
            round++;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

int main(void)
{
    code = map_pages(FUNCTIONS * STEP / PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    pthread_t id = start_thread(killer, NULL);
    for (unsigned long round = 0; round < scaled(300); round++) {
        pid_t pid = vfork();
        if (pid == 0) {
            victim = getpid();
            for (;;) {
                run_fresh();
            }
        }
        int status;
        CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
        victim = 0;
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[round % 2], "round %lu: %#x", round,
              status);
        run_fresh();
        if (round % 16 == 0) {
            CHECK_ERRNO(mprotect(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
        }
    }
    done = true;
    join_thread(id);
    return 0;
}
