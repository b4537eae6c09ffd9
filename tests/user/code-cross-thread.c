/*
 * Cross-modifying code: thread A writes a function and then a flag; thread B reads
 * the flag, does fence.i and calls it: "read new, ran old" never happens, whether A
 * writes through the address that B executes or through an alias of it.
 *
 * test-native: no
 * test-time: 60
 */
#include "rv-code.h"

static char *write_at, *run_at;
static _Atomic unsigned long ready, taken;
static unsigned long rounds;

static int value_of(unsigned long round)
{
    return (int)(round * 7 % 2000);
}

static void spin_until(_Atomic unsigned long *word, unsigned long value)
{
    for (unsigned n = 0; atomic_load_explicit(word, memory_order_acquire) < value; n++) {
        if (n % 256 == 255) {
            sched_yield();
        }
    }
}

static void *writer(void *arg)
{
    for (unsigned long i = 1; i <= rounds; i++) {
        rv_patch((uint32_t *)write_at, rv_addi(A0, ZERO, value_of(i)));
        /* [CODE-READY] pairs with spin_until() in reader() */
        atomic_store_explicit(&ready, i, memory_order_release);
        spin_until(&taken, i);
    }
    return NULL;
}

static void *reader(void *arg)
{
    for (unsigned long i = 1; i <= rounds; i++) {
        long r;

        spin_until(&ready, i);
        fence_i();
        r = call_code(run_at);
        CHECK(r == value_of(i), "round %lu: %ld, not %d", i, r, value_of(i));
        atomic_store_explicit(&taken, i, memory_order_release);
    }
    return NULL;
}

/* The reader runs all the time, with fence.i, and may only see values go forward. */
static void *free_writer(void *arg)
{
    for (int i = 1; i < 2000; i++) {
        rv_patch((uint32_t *)write_at, rv_addi(A0, ZERO, i));
        atomic_store_explicit(&ready, (unsigned long)i, memory_order_release);
        for (int n = 0; n < 200; n++) {
            __asm__ volatile("");
        }
    }
    return NULL;
}

static void *free_reader(void *arg)
{
    long last = 0;

    while (last < 1999) {
        long flag = (long)atomic_load_explicit(&ready, memory_order_acquire), r;

        fence_i();
        r = call_code(run_at);
        CHECK(r >= flag, "read flag %ld, ran code %ld", flag, r);
        CHECK(r >= last, "code went back from %ld to %ld", last, r);
        last = r;
    }
    return NULL;
}

static void run_pair(void *(*a)(void *), void *(*b)(void *))
{
    pthread_t first, second;

    ready = taken = 0;
    rv_put_return(write_at, 0);
    flush_icache_all(run_at, run_at + 8);
    first = start_thread(a, NULL);
    second = start_thread(b, NULL);
    join_thread(first);
    join_thread(second);
}

int main(void)
{
    int fd = memfd_create("code", 0);

    rounds = scaled(20000);
    write_at = run_at = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    run_pair(writer, reader);
    run_pair(free_writer, free_reader);
    CHECK_ERRNO(fd >= 0 && ftruncate(fd, PAGE) == 0);
    write_at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    run_at = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK_ERRNO(write_at != MAP_FAILED && run_at != MAP_FAILED);
    run_pair(writer, reader);
    run_pair(free_writer, free_reader);
    return 0;
}
