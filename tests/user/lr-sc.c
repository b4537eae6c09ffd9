/*
 * Load-reserved and store-conditional: the pair succeeds when nothing happens; sc
 * without lr fails; sc to another address fails, and takes the reservation with it; a
 * second sc fails; a changed value fails; the failing sc writes nothing, and its result
 * is not zero.  Whether a value that was changed and changed back is noticed (it must be
 * on real hardware) is printed, and required when LLSC_STRICT is set.
 *
 * test-native: no
 */
#include "rv-code.h"

static _Alignas(64) int64_t far_apart[2][512];

static int64_t lr_d(int64_t *at)
{
    int64_t value;

    __asm__ volatile("lr.d.aq %0, (%1)" : "=r"(value) : "r"(at) : "memory");
    return value;
}

static long sc_d(int64_t *at, int64_t value)
{
    long failed;

    __asm__ volatile("sc.d.rl %0, %2, (%1)"
                     : "=r"(failed)
                     : "r"(at), "r"(value)
                     : "memory");
    return failed;
}

static int32_t lr_w(int32_t *at)
{
    int64_t value;

    __asm__ volatile("lr.w %0, (%1)" : "=r"(value) : "r"(at) : "memory");
    CHECK(value == (int32_t)value, "lr.w does not extend the sign: %#lx", (long)value);
    return (int32_t)value;
}

static long sc_w(int32_t *at, int32_t value)
{
    long failed;

    __asm__ volatile("sc.w %0, %2, (%1)" : "=r"(failed) : "r"(at), "r"(value) : "memory");
    return failed;
}

/* In one piece, so that nothing comes between: the constrained form succeeds at last. */
static void check_success(int64_t *x)
{
    int tries = 0;
    long failed;

    do {
        int64_t old;

        __asm__ volatile("lr.d %0, (%3)\n addi %0, %0, 1\n sc.d %1, %0, (%3)"
                         : "=&r"(old), "=&r"(failed), "+m"(*x) : "r"(x) : "memory");
    } while (failed && ++tries < 1000000);
    CHECK(!failed, "a constrained loop never succeeded");
}

static _Atomic int phase;

static void *change_and_restore(void *arg)
{
    int64_t *x = arg;

    for (;;) {
        int now;

        while ((now = atomic_load(&phase)) == 0) {
            sched_yield();
        }
        if (now == 3) {
            return NULL;
        }
        __atomic_store_n(x, 2, __ATOMIC_SEQ_CST);
        __atomic_store_n(x, 1, __ATOMIC_SEQ_CST);
        atomic_store(&phase, 0);
    }
}

static void check_aba(int64_t *x)
{
    pthread_t id = start_thread(change_and_restore, x);
    int noticed = 0, rounds = 200;

    for (int i = 0; i < rounds; i++) {
        *x = 1;
        CHECK(lr_d(x) == 1, "lr");
        atomic_store(&phase, 1);
        while (atomic_load(&phase)) {
            sched_yield();
        }
        noticed += sc_d(x, 9) != 0;
    }
    atomic_store(&phase, 3);
    join_thread(id);
    printf("changed and changed back: %d of %d noticed\n", noticed, rounds);
    CHECK(noticed == rounds || !getenv("LLSC_STRICT"), "%d went unnoticed",
          rounds - noticed);
}

int main(void)
{
    int64_t *x = &far_apart[0][0], *y = &far_apart[1][8];
    int32_t *w = (int32_t *)&far_apart[0][16];

    for (int i = 0; i < 1000; i++) {
        check_success(x);
    }
    CHECK(*x == 1000, "count %ld", (long)*x);
    for (int i = 0; i < 100; i++) {
        *x = 1;
        *y = 1;
        CHECK(lr_d(x) == 1, "lr");
        CHECK(sc_d(y, 5) != 0 && *y == 1, "sc to another address");
        CHECK(sc_d(x, 6) != 0 && *x == 1, "a failed sc leaves no reservation");
        CHECK(sc_d(x, 7) != 0 && *x == 1, "sc without lr");
        CHECK(lr_d(x) == 1, "lr");
        sc_d(x, 8);
        *x = 1;
        CHECK(sc_d(x, 9) != 0 && *x == 1, "a second sc");
        CHECK(lr_d(x) == 1, "lr");
        lr_d(y);
        CHECK(sc_d(x, 9) != 0 && *x == 1, "a second lr elsewhere drops the first");
        *w = -5;
        CHECK(lr_w(w) == -5, "lr.w");
        if (sc_w(w, INT32_MIN) == 0) {
            CHECK(*w == INT32_MIN && w[1] == 0, "sc.w wrote beside");
        }
    }
    /* A value changed by another thread in between. */
    *x = 1;
    lr_d(x);
    {
        pthread_t id;

        atomic_store(&phase, 1);
        id = start_thread(change_and_restore, y);
        while (atomic_load(&phase)) {
            sched_yield();
        }
        __atomic_store_n(x, 33, __ATOMIC_SEQ_CST);
        atomic_store(&phase, 3);
        join_thread(id);
    }
    CHECK(sc_d(x, 44) != 0 && *x == 33, "sc after the value changed");
    atomic_store(&phase, 0);
    check_aba(x);
    return 0;
}
