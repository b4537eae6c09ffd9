/*
 * lock.h without many threads (tests/stress has those): states, condition variables,
 * fork, and in the debug variant each violation that the checks promise to find.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "util/lock.h"
#include "util/stats.h"

static void test_states(void **state)
{
    Mutex m;
    mutex_init(&m, LOCK_RANK_REGION);
    assert_true(mutex_trylock(&m));
    assert_false(mutex_trylock(&m));
    lock_assert_held(&m);
    mutex_unlock(&m);
    lock_assert_none_held();
    mutex_lock(&m);
    mutex_unlock(&m);

    SpinLock s = SPIN_LOCK_INIT(JMP);
    assert_false(spin_is_locked(&s));
    spin_lock(&s);
    assert_true(spin_is_locked(&s));
    assert_false(spin_trylock(&s));
    spin_unlock(&s);
    assert_true(spin_trylock(&s));
    spin_unlock(&s);
    lock_assert_not_held(&s);
}

static void test_order_allowed(void **state)
{
    SpinLock pages[200];
    Mutex mmap_lock = MUTEX_INIT(MMAP);
    SpinLock jmp = SPIN_LOCK_INIT(JMP);
    Mutex region = MUTEX_INIT(REGION);
    mutex_lock(&mmap_lock);
    for (unsigned i = 0; i < 200; i++) {
        spin_init(&pages[i], LOCK_RANK_PAGE);
        lock_acquire_ordered(&pages[i], i * 10);
    }
    spin_lock(&jmp);
    mutex_lock(&region);
    /* An unlock in any order, and the same rank again afterwards. */
    spin_unlock(&jmp);
    mutex_unlock(&region);
    spin_unlock(&pages[199]);
    lock_acquire_ordered(&pages[199], 1985);
    for (unsigned i = 0; i < 200; i++) {
        spin_unlock(&pages[i]);
    }
    lock_acquire_ordered(&pages[3], 30);
    spin_unlock(&pages[3]);
    /* A trylock against the order is allowed. */
    spin_lock(&jmp);
    assert_true(spin_trylock_ordered(&pages[5], 50));
    spin_unlock(&pages[5]);
    spin_unlock(&jmp);
    mutex_unlock(&mmap_lock);
    lock_assert_none_held();
}

/* What a process leaves that dies with locks, in storage that becomes another's. */
static void test_abandoned(void **state)
{
    Mutex m = MUTEX_INIT(REGION), others = MUTEX_INIT(LEAF);
    SpinLock pages[3 * LOCK_HELD_MAX], row[8];
    mutex_lock(&m);
    for (unsigned i = 0; i < 3; i++) {
        spin_init(&pages[i], LOCK_RANK_CPU_LIST);
        lock_acquire_ordered(&pages[i], i);
    }
    spin_unlock(&pages[0]);
    assert_false(mutex_trylock(&m));
    others.state = lock_token() + 4;            /* another thread's */
    assert_false(mutex_trylock(&others));
    assert_true(mutex_is_abandoned(&m));
    assert_false(mutex_is_abandoned(&others));
    for (unsigned i = 0; i < 8; i++) {
        row[i] = (SpinLock){ .state = i && i < 5 ? lock_token() : lock_token() + 4 };
    }
    lock_list_row(row, sizeof(*row), 6);        /* two of which are not taken yet */
    assert_int_equal(lock_release_abandoned(), 3 + 4);
    assert_true(mutex_trylock(&m));
    mutex_unlock(&m);
    assert_false(spin_is_locked(&pages[1]) || spin_is_locked(&pages[2]));
    assert_true(spin_is_locked(&row[0]) && spin_is_locked(&row[5]));
    assert_false(spin_is_locked(&row[1]) || spin_is_locked(&row[4]));
    assert_true(others.state != 0);
    assert_int_equal(lock_release_abandoned(), 0);
    /* Far more than are listed, given back in the wrong order. */
    for (unsigned i = 0; i < 3 * LOCK_HELD_MAX; i++) {
        spin_init(&pages[i], LOCK_RANK_PAGE);
        lock_acquire_ordered(&pages[i], i);
    }
    for (unsigned i = 0; i < 3 * LOCK_HELD_MAX; i++) {
        spin_unlock(&pages[i]);
    }
    assert_int_equal(lock_held.n, 0);
    assert_int_equal(lock_release_abandoned(), 0);
}

typedef struct Signal {
    Mutex lock;
    Cond cond;
    int stage;
} Signal;

static void *answer(void *arg)
{
    Signal *s = arg;
    mutex_lock(&s->lock);
    for (int want = 1; want < 2000; want += 2) {
        while (s->stage != want) {
            cond_wait(&s->cond, &s->lock);
        }
        s->stage++;
        cond_signal(&s->cond);
    }
    mutex_unlock(&s->lock);
    return NULL;
}

static void test_cond(void **state)
{
    Signal s = { MUTEX_INIT(LEAF), COND_INIT, 0 };
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, answer, &s), 0);
    mutex_lock(&s.lock);
    while (s.stage < 2000) {
        s.stage++;
        cond_broadcast(&s.cond);
        while (s.stage & 1) {
            cond_wait(&s.cond, &s.lock);
        }
    }
    mutex_unlock(&s.lock);
    pthread_join(t, NULL);
    assert_int_equal(s.stage, 2000);

    struct timespec short_time = { 0, 20 * 1000 * 1000 }, t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    mutex_lock(&s.lock);
    bool woken;
    do { /* a signal may end the sleep early */
        woken = cond_timedwait(&s.cond, &s.lock, &short_time);
    } while (woken);
    lock_assert_held(&s.lock);
    mutex_unlock(&s.lock);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    assert_true((t1.tv_sec - t0.tv_sec) * 1000000000L + t1.tv_nsec - t0.tv_nsec >=
                20000000L);
}

typedef struct Contend {
    Mutex m;
    SpinLock s;
    uint32_t ready; /* atomic */
} Contend;

static void *take_both(void *arg)
{
    Contend *c = arg;
    __atomic_store_n(&c->ready, 1, __ATOMIC_RELEASE);
    mutex_lock(&c->m);
    spin_lock(&c->s);
    spin_unlock(&c->s);
    mutex_unlock(&c->m);
    return NULL;
}

static void test_contention_counted(void **state)
{
    Contend c = { MUTEX_INIT(MMAP), SPIN_LOCK_INIT(JMP), 0 };
    uint64_t before = stat_read(STAT_LOCK_CONTENTIONS);
    pthread_t t;
    mutex_lock(&c.m);
    spin_lock(&c.s);
    assert_int_equal(pthread_create(&t, NULL, take_both, &c), 0);
    while (!__atomic_load_n(&c.ready, __ATOMIC_ACQUIRE) ||
           !(__atomic_load_n(&c.m.state, __ATOMIC_RELAXED) & 1)) {
        usleep(100); /* until it sleeps on the futex */
    }
    mutex_unlock(&c.m);
    while (stat_read(STAT_LOCK_CONTENTIONS) - before < 2) {
        usleep(100); /* until it spins */
    }
    spin_unlock(&c.s);
    pthread_join(t, NULL);
    assert_int_equal(stat_read(STAT_LOCK_CONTENTIONS) - before, 2);
}

static void *hold_until_ready(void *arg)
{
    Contend *c = arg;
    mutex_lock(&c->m);
    spin_lock(&c->s);
    __atomic_store_n(&c->ready, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&c->ready, __ATOMIC_ACQUIRE) == 1) {
        usleep(100);
    }
    spin_unlock(&c->s);
    mutex_unlock(&c->m);
    return NULL;
}

static void reinit_and_use(void *arg)
{
    Contend *c = arg;
    mutex_reinit(&c->m);
    spin_reinit(&c->s);
    mutex_lock(&c->m);
    spin_lock(&c->s);
    lock_assert_held(&c->s);
    spin_unlock(&c->s);
    mutex_unlock(&c->m);
    lock_assert_none_held();
}

/* The child inherits locks that a thread of the parent holds. */
static void test_reinit_after_fork(void **state)
{
    Contend c = { MUTEX_INIT(MMAP), SPIN_LOCK_INIT(JMP), 0 };
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, hold_until_ready, &c), 0);
    while (!__atomic_load_n(&c.ready, __ATOMIC_ACQUIRE)) {
        usleep(100);
    }
    ChildResult r = run_child(reinit_and_use, &c);
    __atomic_store_n(&c.ready, 2, __ATOMIC_RELEASE);
    pthread_join(t, NULL);
    assert_string_equal(r.text, "");
    assert_exit(r, 0);
}

static void release_and_take(void *arg)
{
    Contend *c = arg;
    lock_assert_held(&c->m);
    spin_unlock(&c->s);
    mutex_unlock(&c->m);
    lock_assert_none_held();
    mutex_lock(&c->m);
    mutex_unlock(&c->m);
}

/* Locks taken before the fork are released on both sides. */
static void test_held_over_fork(void **state)
{
    Contend c = { MUTEX_INIT(MMAP), SPIN_LOCK_INIT(JMP), 0 };
    mutex_lock(&c.m);
    spin_lock(&c.s);
    ChildResult r = run_child(release_and_take, &c);
    release_and_take(&c);
    assert_string_equal(r.text, "");
    assert_exit(r, 0);
}

static void test_rank_names(void **state)
{
    assert_string_equal(lock_rank_name(LOCK_RANK_PAGE), "PAGE");
    assert_string_equal(lock_rank_name(LOCK_RANK_LEAF), "LEAF");
    assert_true(LOCK_RANK_MMAP < LOCK_RANK_PAGE && LOCK_RANK_PAGE < LOCK_RANK_JMP &&
                LOCK_RANK_JMP < LOCK_RANK_QHT_BUCKET &&
                LOCK_RANK_QHT_BUCKET < LOCK_RANK_REGION);
}

#ifdef BRAID_DEBUG_LOCKS

static void break_order(void *arg)
{
    Mutex outer = MUTEX_INIT(MMAP);
    SpinLock inner = SPIN_LOCK_INIT(JMP);
    spin_lock(&inner);
    mutex_lock(&outer);
}

static void same_rank_without_key(void *arg)
{
    SpinLock a = SPIN_LOCK_INIT(JMP), b = SPIN_LOCK_INIT(JMP);
    spin_lock(&a);
    spin_lock(&b);
}

static void descending_keys(void *arg)
{
    SpinLock a = SPIN_LOCK_INIT(PAGE), b = SPIN_LOCK_INIT(PAGE);
    lock_acquire_ordered(&a, 7);
    lock_acquire_ordered(&b, 6);
}

static void equal_keys(void *arg)
{
    SpinLock a = SPIN_LOCK_INIT(PAGE), b = SPIN_LOCK_INIT(PAGE);
    lock_acquire_ordered(&a, 7);
    lock_acquire_ordered(&b, 7);
}

static void take_twice(void *arg)
{
    Mutex m = MUTEX_INIT(MMAP);
    mutex_lock(&m);
    mutex_lock(&m);
}

static void release_free(void *arg)
{
    SpinLock s = SPIN_LOCK_INIT(JMP);
    spin_unlock(&s);
}

static void release_foreign(void *arg)
{
    Contend *c = arg;
    spin_unlock(&c->s);
}

static void hold_into_guest(void *arg)
{
    Mutex m = MUTEX_INIT(REGION);
    mutex_lock(&m);
    lock_assert_none_held();
}

static void hold_unranked_into_guest(void *arg)
{
    Mutex m = { 0 };
    mutex_lock(&m);
    lock_assert_none_held();
}

static void assert_free_lock_held(void *arg)
{
    Mutex m = MUTEX_INIT(REGION);
    lock_assert_held(&m);
}

static void trylock_then_break(void *arg)
{
    SpinLock page = SPIN_LOCK_INIT(PAGE), jmp = SPIN_LOCK_INIT(JMP);
    Mutex outer = MUTEX_INIT(MMAP);
    spin_lock(&jmp);
    spin_trylock_ordered(&page, 1);
    spin_unlock(&page);
    mutex_lock(&outer);
}

static void test_violations(void **state)
{
    static const struct {
        void (*fn)(void *);
        const char *message;
    } cases[] = {
        { break_order, "lock order: MMAP is taken while holding JMP" },
        { same_rank_without_key, "a second lock of rank JMP is taken without keys" },
        { descending_keys, "PAGE with key 0x6 is taken while holding key 0x7" },
        { equal_keys, "PAGE with key 0x7 is taken while holding key 0x7" },
        { take_twice, "already held" },
        { release_free, "nobody does" },
        { hold_into_guest, "locks are held where none may be: REGION" },
        { hold_unranked_into_guest, "locks are held where none may be: NONE" },
        { assert_free_lock_held, "not held" },
        { trylock_then_break, "MMAP is taken while holding JMP" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ChildResult r = run_child(cases[i].fn, NULL);
        assert_contains(r.text, cases[i].message);
        assert_killed(r, SIGABRT);
    }
    Contend c = { MUTEX_INIT(MMAP), SPIN_LOCK_INIT(JMP), 0 };
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, hold_until_ready, &c), 0);
    while (!__atomic_load_n(&c.ready, __ATOMIC_ACQUIRE)) {
        usleep(100);
    }
    ChildResult r = run_child(release_foreign, &c);
    __atomic_store_n(&c.ready, 2, __ATOMIC_RELEASE);
    pthread_join(t, NULL);
    assert_contains(r.text, "is not its holder");
    assert_killed(r, SIGABRT);
}

#else

static void test_violations(void **state)
{
    assert_int_equal(sizeof(Mutex), 4);
    assert_int_equal(sizeof(SpinLock), 4);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_order_allowed),
        cmocka_unit_test(test_abandoned),
        cmocka_unit_test(test_cond),
        cmocka_unit_test(test_contention_counted),
        cmocka_unit_test(test_reinit_after_fork),
        cmocka_unit_test(test_held_over_fork),
        cmocka_unit_test(test_rank_names),
        cmocka_unit_test(test_violations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
