/*
 * Two threads hand a token back and forth through a mutex and two condition
 * variables, that is, through futex waits and wake-ups in the kernel.
 *
 * bench-class: threads
 * bench-args: 35000 2
 * bench-quick: 3500 2
 */
#include "mt.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed[2] = {PTHREAD_COND_INITIALIZER,
                                         PTHREAD_COND_INITIALIZER};
static unsigned turn;
static uint64_t token = 1;

static void *body(void *arg)
{
    MtWork *work = arg;
    unsigned me = work->index;

    pthread_mutex_lock(&lock);
    for (uint64_t i = 0; i < work->iterations; i++) {
        while (turn != me) {
            pthread_cond_wait(&turn_changed[me], &lock);
        }
        token = bench_mix(token, me + i);
        turn = !me;
        pthread_cond_signal(&turn_changed[!me]);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(int argc, char **argv)
{
    MtWork work[MT_MAX_THREADS];

    if (bench_arg(argc, argv, 2, 2) != 2) {
        fprintf(stderr, "mt-pingpong: needs two threads\n");
        return 2;
    }
    mt_run(work, 2, bench_arg(argc, argv, 1, 6000), body);
    return bench_report("mt-pingpong", token);
}
