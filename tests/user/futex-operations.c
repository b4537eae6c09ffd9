/*
 * The futex operations beyond wait and wake: WAKE_OP, CMP_REQUEUE, priority inheritance, bit sets with an
 * absolute time, waitv; private and shared words; robust mutexes whose owner ends, as a thread and
 * as a process that is killed.
 *
 * test-native: yes
 */
#include <linux/futex.h>
#include <sys/wait.h>
#include "test.h"

static _Atomic uint32_t a, b, woken;

static long futex(void *word, int op, uint32_t val, const void *timeout, void *second, uint32_t val3)
{
    long r = syscall(SYS_futex, word, op, val, timeout, second, val3);
    return r == -1 ? -errno : r;
}

static void *wait_on(void *word)
{
    struct timespec limit = { 30, 0 };
    long r = futex(word, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0);
    CHECK(r == 0 || (r == -EAGAIN && *(_Atomic uint32_t *)word), "wait: %ld", r);  /* too late, perhaps */
    woken++;
    return NULL;
}

static void check_two_words(void)
{
    pthread_t ids[6];

    a = b = woken = 0;
    ids[0] = start_thread(wait_on, &a);
    ids[1] = start_thread(wait_on, &b);
    /* b += 5 and, as it was 0, wake there too. */
    long r = 0;
    uint32_t op = FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0);
    while ((r = futex(&a, FUTEX_WAKE_PRIVATE, 0, NULL, NULL, 0)) < 0) {
    }
    sleep_ms(50);
    r = futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b, op);
    CHECK(r >= 0 && b == 5, "WAKE_OP: %ld, b is %u", r, b);
    while (woken < 2) {     /* whoever was not asleep yet */
        futex(&a, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0);
        futex(&b, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0);
        sched_yield();
    }
    join_thread(ids[0]);
    join_thread(ids[1]);
    a = b = woken = 0;
    for (int i = 0; i < 6; i++) {
        ids[i] = start_thread(wait_on, &a);
    }
    CHECK(futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)9, &b, 1) == -EAGAIN, "CMP_REQUEUE");
    for (long moved = 0; moved < 6;) {
        r = futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)9, &b, 0);
        CHECK(r >= 0, "CMP_REQUEUE: %ld", r);
        moved += r;
    }
    CHECK(woken == 0 && futex(&a, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 0, "nobody is left there");
    CHECK(futex(&b, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 6, "all are here");
    for (int i = 0; i < 6; i++) {
        join_thread(ids[i]);
    }
}

static void *wait_for_bit(void *bits)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 30;
    long r = futex(&a, FUTEX_WAIT_BITSET_PRIVATE, 0, &until, NULL, (uint32_t)(uintptr_t)bits);
    CHECK(r == 0, "wait for a bit: %ld", r);
    woken += (uint32_t)(uintptr_t)bits;
    return NULL;
}

static void check_bits(void)
{
    struct timespec past = { 1, 0 };

    a = woken = 0;
    CHECK(futex(&a, FUTEX_WAIT_BITSET_PRIVATE, 0, &past, NULL, 1) == -ETIMEDOUT, "a time that is past");
    CHECK(futex(&a, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0) == -EINVAL, "no bits");
    pthread_t one = start_thread(wait_for_bit, (void *)1), two = start_thread(wait_for_bit, (void *)2);
    while (futex(&a, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 2) != 1) {
        sched_yield();
    }
    join_thread(two);
    CHECK(woken == 2, "woken %u", woken);
    while (futex(&a, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 1) != 1) {
        sched_yield();
    }
    join_thread(one);
}

static unsigned long under_mutex;

static void *add(void *mutex)
{
    for (unsigned long i = 0; i < scaled(2000); i++) {
        CHECK(pthread_mutex_lock(mutex) == 0, "lock");
        under_mutex++;
        pthread_mutex_unlock(mutex);
    }
    return NULL;
}

static void check_inheritance(void)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t mutex;
    pthread_t ids[4];

    pthread_mutexattr_init(&attr);
    CHECK(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0, "protocol");
    CHECK(pthread_mutex_init(&mutex, &attr) == 0, "mutex");
    for (int i = 0; i < 4; i++) {
        ids[i] = start_thread(add, &mutex);
    }
    for (int i = 0; i < 4; i++) {
        join_thread(ids[i]);
    }
    CHECK(under_mutex == 4 * scaled(2000), "%lu", under_mutex);
}

static void *die_with(void *mutex)
{
    CHECK(pthread_mutex_lock(mutex) == 0, "lock");
    return NULL;
}

static void check_robust(bool inherit)
{
    pthread_mutexattr_t attr;
    struct { pthread_mutex_t mutex; _Atomic int held; } *s =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK_ERRNO(s != MAP_FAILED);
    pthread_mutexattr_init(&attr);
    CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0 &&
          pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0, "attributes");
    if (inherit) {
        CHECK(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0, "protocol");
    }
    CHECK(pthread_mutex_init(&s->mutex, &attr) == 0, "mutex");
    join_thread(start_thread(die_with, &s->mutex));
    int r = pthread_mutex_lock(&s->mutex);
    CHECK(r == EOWNERDEAD && pthread_mutex_consistent(&s->mutex) == 0, "a thread died: %d", r);
    pthread_mutex_unlock(&s->mutex);
    for (int killed = 0; killed < 2; killed++) {
        s->held = 0;
        pid_t pid = fork();
        if (pid == 0) {
            pthread_mutex_lock(&s->mutex);
            s->held = 1;
            while (killed) {
                sleep_ms(10);
            }
            _exit(0);
        }
        while (!s->held) {
            sched_yield();
        }
        if (killed) {
            CHECK_ERRNO(kill(pid, SIGKILL) == 0);
        }
        r = pthread_mutex_lock(&s->mutex);      /* waits for the end, perhaps */
        CHECK(r == EOWNERDEAD, "a process died (%d): %d", killed, r);
        CHECK(pthread_mutex_consistent(&s->mutex) == 0 && pthread_mutex_unlock(&s->mutex) == 0, "repair");
        CHECK_ERRNO(waitpid(pid, NULL, 0) == pid);
    }
    CHECK(pthread_mutex_lock(&s->mutex) == 0, "whole again");
    munmap(s, PAGE);
}

/* A word in memory that is shared is one, at whatever address; a private one is not seen by others. */
static void check_shared(void)
{
    int fd = (int)syscall(SYS_memfd_create, "words", 0);
    CHECK_ERRNO(fd >= 0 && ftruncate(fd, PAGE) == 0);
    uint32_t *one = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint32_t *two = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK_ERRNO(one != MAP_FAILED && two != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec limit = { 30, 0 };
        _exit(futex(one, FUTEX_WAIT, 0, &limit, NULL, 0) != 0);
    }
    long r;
    while ((r = futex(two, FUTEX_WAKE, 1, NULL, NULL, 0)) == 0) {
        CHECK(futex(one, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0, "a private wake-up reached another process");
        sched_yield();
    }
    int status;
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    CHECK(r == 1 && status == 0, "%ld, status %#x", r, status);
}

int main(void)
{
    check_two_words();
    check_bits();
    check_inheritance();
    check_robust(false);
    check_robust(true);
    check_shared();
    return 0;
}
