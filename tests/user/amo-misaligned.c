/*
 * Misaligned atomics, within a cache line, across one, and across pages: they may give
 * SIGBUS with BUS_ADRALN, as Linux on hardware without them does, or SIGSEGV-free
 * results that are exactly atomic against other threads; nothing in between.
 *
 * test-native: no
 */
#include <setjmp.h>
#include <ucontext.h>
#include "rv-code.h"

enum { THREADS = 4 };

static __thread sigjmp_buf back;
static char *memory;
static unsigned long rounds;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    CHECK(info->si_code == BUS_ADRALN, "si_code %d", info->si_code);
    siglongjmp(back, 1);
}

static bool add_d(char *at, long value)
{
    if (sigsetjmp(back, 1)) {
        return false;
    }
    __asm__ volatile("amoadd.d zero, %0, (%1)" : : "r"(value), "r"(at) : "memory");
    return true;
}

static bool reserve_d(char *at)
{
    if (sigsetjmp(back, 1)) {
        return false;
    }
    __asm__ volatile("1: lr.d t0, (%0)\n addi t0, t0, 1\n sc.d t1, t0, (%0)\n bnez t1, 1b"
                     : : "r"(at) : "t0", "t1", "memory");
    return true;
}

static void *adder(void *arg)
{
    for (unsigned long i = 0; i < rounds; i++) {
        add_d(arg, 0x100000001);
    }
    return NULL;
}

static void check_at(long offset)
{
    char *at = memory + offset;
    pthread_t ids[THREADS];
    uint64_t value = 0;

    memset(at - 8, 0x77, 24);
    memcpy(at, &value, 8);
    if (add_d(at, 5)) {
        memcpy(&value, at, 8);
        CHECK(value == 5 && at[-1] == 0x77 && at[8] == 0x77, "at %ld: %#lx", offset,
              value);
        value = 0;
        memcpy(at, &value, 8);
        for (int i = 0; i < THREADS; i++) {
            ids[i] = start_thread(adder, at);
        }
        for (int i = 0; i < THREADS; i++) {
            join_thread(ids[i]);
        }
        memcpy(&value, at, 8);
        CHECK(value == THREADS * rounds * 0x100000001, "at %ld: %#lx after %lu additions",
              offset, value, THREADS * rounds);
    } else {
        memcpy(&value, at, 8);
        CHECK(value == 0, "SIGBUS, but the word changed to %#lx", value);
    }
    value = 41;
    memcpy(at, &value, 8);
    if (reserve_d(at)) {
        memcpy(&value, at, 8);
        CHECK(value == 42, "misaligned lr/sc at %ld: %lu", offset, value);
    }
}

int main(void)
{
    static const long offsets[] = {8, 68, 60, 61, 63, 57, (long)PAGE - 4, (long)PAGE - 1};

    rounds = scaled(2000);
    memory = map_pages(2, PROT_READ | PROT_WRITE);
    set_handler(SIGBUS, on_bus, 0);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
        check_at(offsets[i]);
    }
    return 0;
}
