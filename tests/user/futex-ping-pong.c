/*
 * The futex system call directly: two threads pass a turn, waits time out at the
 * right moment, a changed value returns EAGAIN, wake-ups are counted, and a word
 * in shared memory works across fork.
 *
 * test-native: yes
 */
#include <linux/futex.h>
#include <sys/wait.h>
#include "test.h"

static _Atomic uint32_t turn;
static unsigned long handovers;

static long futex(_Atomic uint32_t *word, int op, uint32_t value,
                  const struct timespec *t)
{
    return syscall(SYS_futex, word, op, value, t, NULL, 0);
}

static void play(uint32_t me, unsigned long rounds, int private)
{
    for (unsigned long i = 0; i < rounds; i++) {
        while (atomic_load_explicit(&turn, memory_order_acquire) != me) {
            long r = futex(&turn, FUTEX_WAIT | private, !me, NULL);

            CHECK(r == 0 || errno == EAGAIN || errno == EINTR, "futex wait: %d", errno);
        }
        handovers++;
        atomic_store_explicit(&turn, !me, memory_order_release);
        CHECK_ERRNO(futex(&turn, FUTEX_WAKE | private, 1, NULL) >= 0);
    }
}

static void *second_player(void *arg)
{
    play(1, *(unsigned long *)arg, FUTEX_PRIVATE_FLAG);
    return NULL;
}

static void *sleeper(void *arg)
{
    _Atomic uint32_t *word = arg;

    while (atomic_load(word) == 0) {
        futex(word, FUTEX_WAIT_PRIVATE, 0, NULL);
    }
    return NULL;
}

static void check_shared(void)
{
    _Atomic uint32_t *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    pid_t pid;

    CHECK_ERRNO(word != MAP_FAILED);
    pid = fork();
    if (pid == 0) {
        while (atomic_load(word) == 0) {
            futex(word, FUTEX_WAIT, 0, NULL);
        }
        _exit(6);
    }
    sleep_ms(20);
    atomic_store(word, 1);
    futex(word, FUTEX_WAKE, 10, NULL);
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 6, "child %#x", status);
}

int main(void)
{
    struct timespec short_time = { 0, 50000000 };
    unsigned long rounds = scaled(10000);
    _Atomic uint32_t word = 0;
    pthread_t id, sleepers[8];
    uint64_t start;

    id = start_thread(second_player, &rounds);
    play(0, rounds, FUTEX_PRIVATE_FLAG);
    join_thread(id);
    CHECK(handovers == 2 * rounds, "%lu handovers", handovers);

    CHECK(futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL) == -1 && errno == EAGAIN, "EAGAIN");
    start = now_ns();
    CHECK(futex(&word, FUTEX_WAIT_PRIVATE, 0, &short_time) == -1 && errno == ETIMEDOUT,
          "time-out");
    CHECK(now_ns() - start >= 50000000, "woke up too early");
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL) == 0, "nobody to wake");
    CHECK(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT_PRIVATE, 0, NULL) == -1 &&
          errno == EINVAL, "misaligned futex");
    CHECK(syscall(SYS_futex, (void *)64, FUTEX_WAIT_PRIVATE, 0, NULL) == -1 &&
          errno == EFAULT, "futex nowhere");
    for (int i = 0; i < 8; i++) {
        sleepers[i] = start_thread(sleeper, &word);
    }
    sleep_ms(50);
    atomic_store(&word, 1);
    futex(&word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL);
    for (int i = 0; i < 8; i++) {
        join_thread(sleepers[i]);
    }
    check_shared();
    return 0;
}
