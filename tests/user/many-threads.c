/*
 * Hundreds of threads that live at the same time: each has storage of its own, is woken, answers, and is
 * gone; afterwards all of it works once more.  With an argument: so many, with what they cost.
 *
 * test-native: yes
 * test-time: 120
 */
#include <sys/resource.h>
#include "test.h"

static _Thread_local uint64_t own[4];
static _Atomic unsigned long ready, right;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool awake;

static void *body(void *arg)
{
    uint64_t id = (uintptr_t)arg;

    for (int i = 0; i < 4; i++) {
        own[i] = id * 4 + (uint64_t)i;
    }
    ready++;
    CHECK(pthread_mutex_lock(&lock) == 0, "lock");
    while (!awake) {
        CHECK(pthread_cond_wait(&wake, &lock) == 0, "wait");
    }
    CHECK(pthread_mutex_unlock(&lock) == 0, "unlock");
    for (int i = 0; i < 4; i++) {
        CHECK(own[i] == id * 4 + (uint64_t)i, "storage of thread %lu", (unsigned long)id);
    }
    right++;
    return arg;
}

/* n threads at once. */
static void crowd(unsigned long n)
{
    pthread_t *ids = malloc(n * sizeof(*ids));
    pthread_attr_t attr;

    CHECK(ids && pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 64 << 10) == 0, "attributes");
    ready = right = 0;
    awake = false;
    for (uintptr_t i = 0; i < n; i++) {
        int err = pthread_create(&ids[i], &attr, body, (void *)i);
        CHECK(err == 0, "thread %lu: %s", (unsigned long)i, strerror(err));
    }
    while (ready < n) {
        sleep_ms(1);
    }
    CHECK(pthread_mutex_lock(&lock) == 0, "lock");
    awake = true;
    CHECK(pthread_cond_broadcast(&wake) == 0 && pthread_mutex_unlock(&lock) == 0, "wake");
    for (uintptr_t i = 0; i < n; i++) {
        void *result;
        CHECK(pthread_join(ids[i], &result) == 0 && (uintptr_t)result == i, "thread %lu", (unsigned long)i);
    }
    CHECK(right == n, "%lu of %lu", (unsigned long)right, n);
    free(ids);
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : scaled(500);
    struct rusage ru;
    uint64_t start = now_ns();

    crowd(n);
    if (argc > 1) {
        getrusage(RUSAGE_SELF, &ru);
        printf("%lu threads: %.3f s, user %ld.%03ld s, system %ld.%03ld s, %ld KiB\n", n, (double)(now_ns() - start) / 1e9,
               (long)ru.ru_utime.tv_sec, (long)ru.ru_utime.tv_usec / 1000, (long)ru.ru_stime.tv_sec,
               (long)ru.ru_stime.tv_usec / 1000, ru.ru_maxrss);
    }
    crowd(n);
    return 0;
}
