/*
 * POSIX threads: 64 created and joined, thread-local variables, mutex, condition
 * variable, barrier, read-write lock, once, keys with destructors, detached
 * threads, cancellation, and sums kept with atomic operations of every width.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <sched.h>
#include <semaphore.h>
#include "test.h"

enum { THREADS = 64 };

static __thread int local = 5;
static __thread char local_block[300];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_key_t key;
static unsigned long plain_sum, once_calls, rw_value;
static int next_in_line;
static _Atomic uint8_t sum8;
static _Atomic uint16_t sum16;
static _Atomic uint32_t sum32, or32, destroyed, detached_done;
static _Atomic uint64_t sum64, max64;
static sem_t semaphore;

static void count_once(void)
{
    once_calls++;
}

static void destroy(void *value)
{
    CHECK(value == (void *)pthread_self(), "the key holds another thread's value");
    atomic_fetch_add(&destroyed, 1);
}

static void update_atomics(unsigned index)
{
    uint64_t seen = atomic_load(&max64);

    atomic_fetch_add(&sum8, (uint8_t)index);
    atomic_fetch_add(&sum16, (uint16_t)(index * 257));
    atomic_fetch_sub(&sum32, index);
    atomic_fetch_or(&or32, 1u << index % 32);
    atomic_fetch_add(&sum64, (uint64_t)index << 32);
    while (seen < index && !atomic_compare_exchange_weak(&max64, &seen, index)) {
    }
}

static void *body(void *arg)
{
    unsigned index = (unsigned)(uintptr_t)arg;

    CHECK(local == 5 && local_block[299] == 0, "thread-local variables not initialised");
    local = (int)index;
    memset(local_block, (int)index, sizeof(local_block));
    pthread_once(&once, count_once);
    pthread_setspecific(key, (void *)pthread_self());
    pthread_barrier_wait(&barrier);
    for (unsigned long i = 0; i < scaled(200); i++) {
        update_atomics(index);
        pthread_mutex_lock(&mutex);
        plain_sum += index;
        pthread_mutex_unlock(&mutex);
        if (i % 16 == 0) {
            pthread_rwlock_wrlock(&rwlock);
            rw_value += 2;
            pthread_rwlock_unlock(&rwlock);
        } else {
            pthread_rwlock_rdlock(&rwlock);
            CHECK(rw_value % 2 == 0, "a reader saw a writer at work");
            pthread_rwlock_unlock(&rwlock);
        }
    }
    /* Leave in order of index, by condition variable. */
    pthread_mutex_lock(&mutex);
    while (next_in_line != (int)index) {
        pthread_cond_wait(&cond, &mutex);
    }
    next_in_line++;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    CHECK(local == (int)index && local_block[150] == (char)index, "thread-local changed");
    return (void *)(uintptr_t)(index * 3);
}

static void *detached_body(void *arg)
{
    atomic_fetch_add(&detached_done, 1);
    sem_post(&semaphore);
    return NULL;
}

static void *cancelled_body(void *arg)
{
    for (;;) {
        pause();
    }
    return arg;
}

static void check_detached(void)
{
    pthread_attr_t attr;

    CHECK(sem_init(&semaphore, 0, 0) == 0, "sem_init");
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 65536);
    for (int i = 0; i < THREADS; i++) {
        pthread_t id;

        CHECK(pthread_create(&id, &attr, detached_body, NULL) == 0, "detached thread %d",
              i);
    }
    for (int i = 0; i < THREADS; i++) {
        while (sem_wait(&semaphore) && errno == EINTR) {
        }
    }
    CHECK(detached_done == THREADS, "%u detached threads ran", (unsigned)detached_done);
}

int main(void)
{
    unsigned long rounds = scaled(200), expected = rounds * THREADS * (THREADS - 1) / 2;
    pthread_t ids[THREADS];
    void *result;

    pthread_barrier_init(&barrier, NULL, THREADS);
    CHECK(pthread_key_create(&key, destroy) == 0, "key");
    for (uintptr_t i = 0; i < THREADS; i++) {
        ids[i] = start_thread(body, (void *)i);
    }
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(ids[i], &result) == 0 && (uintptr_t)result == 3 * i, "result");
    }
    CHECK(local == 5, "the first thread's variable changed to %d", local);
    CHECK(plain_sum == expected, "under the mutex %lu, not %lu", plain_sum, expected);
    CHECK(once_calls == 1 && destroyed == THREADS, "once %lu, destroyed %u", once_calls,
          (unsigned)destroyed);
    CHECK(sum8 == (uint8_t)expected && sum16 == (uint16_t)(expected * 257) &&
          sum32 == (uint32_t)-expected && or32 == UINT32_MAX && sum64 == expected << 32 &&
          max64 == THREADS - 1, "atomic sums");
    check_detached();
    ids[0] = start_thread(cancelled_body, NULL);
    CHECK(pthread_cancel(ids[0]) == 0 && pthread_join(ids[0], &result) == 0 &&
          result == PTHREAD_CANCELED, "cancel");
    return 0;
}
