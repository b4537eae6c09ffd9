/*
 * Threads start and end while others flush instruction caches, write code and map and
 * unmap: each short thread runs code that was written for it alone.
 *
 * test-native: no
 * test-time: 90
 */
#include "rv-code.h"

enum { WIDTH = 8 };

static _Atomic int stop;

static void *flusher(void *arg)
{
    char *code = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);

    for (int i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        char *other = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);

        rv_put_return(code, i % 2000);
        rv_put_return(other, i % 1000);
        flush_icache_all(code, code + PAGE);
        CHECK(call_code(code) == i % 2000 && call_code(other) == i % 1000,
              "flusher's own code");
        CHECK_ERRNO(munmap(other, PAGE) == 0);
    }
    return NULL;
}

static void *short_thread(void *arg)
{
    return (void *)call_code(arg);
}

int main(void)
{
    char *code = map_pages(WIDTH, PROT_READ | PROT_WRITE | PROT_EXEC);
    pthread_t flushers[2];

    flushers[0] = start_thread(flusher, NULL);
    flushers[1] = start_thread(flusher, NULL);
    for (unsigned long round = 0; round < scaled(400); round++) {
        pthread_t ids[WIDTH];

        for (unsigned i = 0; i < WIDTH; i++) {
            rv_put_return(code + i * PAGE, (int)((round + i) % 2000));
            fence_i();
            ids[i] = start_thread(short_thread, code + i * PAGE);
        }
        for (unsigned i = 0; i < WIDTH; i++) {
            void *r;

            CHECK(pthread_join(ids[i], &r) == 0 && (long)r == (long)((round + i) % 2000),
                  "thread %u of round %lu returned %ld", i, round, (long)r);
        }
    }
    stop = 1;
    join_thread(flushers[0]);
    join_thread(flushers[1]);
    return 0;
}
