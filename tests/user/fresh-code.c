/*
 * 64 threads are released by a barrier into a code page that nobody has run yet, and
 * all get the right result, round after round; then with a different function for each
 * thread.
 *
 * However many arrive at once, each function is translated once: of 100 rounds' 64 versions
 * and 100 rounds' single ones, blocks can begin at the entry, the head of the loop and behind it,
 * which makes 19500; 1500 are enough for the C library.  tests/cli counts exactly.
 *
 * test-native: no
 * test-stats: translations <= 21000, insert_races = 0
 * test-time: 60
 */
#include "rv-code.h"

enum { THREADS = 64 };

static Meeting start = { .threads = THREADS + 1 }, finish = { .threads = THREADS + 1 };
static char *pages;
static unsigned long rounds;

/* A small loop, so that several blocks are translated: a0 = 10 * add. */
static void put_function(char *at, int add)
{
    rv_put(at, rv_addi(T0, ZERO, 10));
    rv_put(at + 4, rv_addi(A0, ZERO, 0));
    rv_put(at + 8, rv_addi(A0, A0, add));
    rv_put(at + 12, rv_addi(T0, T0, -1));
    rv_put(at + 16, rv_bne(T0, ZERO, -8));
    rv_put(at + 20, RV_RET);
}

static void *body(void *arg)
{
    unsigned long me = (unsigned long)arg;

    for (unsigned long round = 0; round < rounds; round++) {
        long r, expected;

        meet(&start);
        fence_i();
        if (round % 2) {
            r = call_code(pages);
            expected = 10 * (long)(round % 1000);
        } else {
            r = call_code(pages + me * 64);
            expected = 10 * (long)((round + me) % 1000);
        }
        CHECK(r == expected, "thread %lu, round %lu: %ld, not %ld", me, round, r,
              expected);
        meet(&finish);
    }
    return NULL;
}

int main(void)
{
    pthread_t ids[THREADS];

    rounds = scaled(200);
    pages = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (unsigned long i = 0; i < THREADS; i++) {
        ids[i] = start_thread(body, (void *)i);
    }
    for (unsigned long round = 0; round < rounds; round++) {
        for (unsigned long i = 0; i < THREADS; i++) {
            put_function(pages + i * 64, (int)((round + i) % 1000));
        }
        if (round % 2) {
            put_function(pages, (int)(round % 1000));
        }
        meet(&start);
        meet(&finish);
    }
    for (int i = 0; i < THREADS; i++) {
        join_thread(ids[i]);
    }
    return 0;
}
