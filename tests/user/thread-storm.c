/*
 * Thousands of short threads: creation and exit cost no lasting resource (the
 * address space and the number of host threads stay bounded) and lose no result.
 *
 * test-native: yes
 * test-time: 60
 */
#include "test.h"

enum { WIDTH = 16 };

static _Atomic unsigned long done;

static void *body(void *arg)
{
    uintptr_t n = (uintptr_t)arg;

    atomic_fetch_add_explicit(&done, n, memory_order_relaxed);
    return (void *)(n * 2);
}

/* A number from /proc/self/status. */
static unsigned long status_value(const char *name)
{
    FILE *f = fopen("/proc/self/status", "r");
    unsigned long value = 0;
    char line[256];

    CHECK_ERRNO(f);
    while (fgets(line, sizeof(line), f)) {
        if (!strncmp(line, name, strlen(name))) {
            value = strtoul(line + strlen(name) + 1, NULL, 10);
        }
    }
    fclose(f);
    return value;
}

static void storm(unsigned long rounds)
{
    for (unsigned long r = 0; r < rounds; r++) {
        pthread_t ids[WIDTH];

        for (uintptr_t i = 0; i < WIDTH; i++) {
            ids[i] = start_thread(body, (void *)(i + 1));
        }
        for (uintptr_t i = 0; i < WIDTH; i++) {
            void *result;

            CHECK(pthread_join(ids[i], &result) == 0 && (uintptr_t)result == 2 * (i + 1),
                  "result of thread %lu", (unsigned long)i);
        }
    }
}

int main(void)
{
    unsigned long rounds = scaled(300), before, after;

    storm(20);
    before = status_value("VmRSS:");
    storm(rounds);
    after = status_value("VmRSS:");
    CHECK(done == (rounds + 20) * WIDTH * (WIDTH + 1) / 2, "sum %lu",
          (unsigned long)done);
    CHECK(after < before + 40000, "%lu threads left %lu KiB behind", rounds * WIDTH,
          after - before);
    return 0;
}
