/*
 * The address that is cleared when a thread ends: what prctl(PR_GET_TID_ADDRESS) says of it is
 * what set_tid_address() set, so that a thread that takes it away and puts it back can
 * be joined; and one set to a word of our own is cleared and woken.
 *
 * test-native: yes
 */
#include <linux/futex.h>
#include <sys/prctl.h>
#include "test.h"

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

static void *get_address(void)
{
    void *address = (void *)1;

    if (prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0)) {
        CHECK_ERRNO(errno == EINVAL);   /* a kernel without checkpoint/restore */
        return NULL;
    }
    return address;
}

static void *put_back(void *arg)
{
    pid_t tid = (pid_t)syscall(SYS_gettid);
    int word;
    void *address = get_address();

    if (!address) {
        return NULL;
    }
    CHECK(*(int *)address == tid, "%d at the address, thread %d", *(int *)address, tid);
    CHECK(syscall(SYS_set_tid_address, NULL) == tid && !get_address(), "not taken away");
    CHECK(syscall(SYS_set_tid_address, &word) == tid && get_address() == &word, "not set");
    CHECK(syscall(SYS_set_tid_address, address) == tid && get_address() == address,
          "not put back");
    return NULL;
}

static int cleared = 1;

static void *own_word(void *arg)
{
    syscall(SYS_set_tid_address, &cleared);
    return NULL;
}

int main(void)
{
    struct timespec limit = { 20, 0 };
    pthread_attr_t attr;
    pthread_t thread;

    for (unsigned long i = 0; i < scaled(100); i++) {
        join_thread(start_thread(put_back, NULL));
    }
    CHECK(pthread_attr_init(&attr) == 0, "attributes");
    CHECK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0, "detached");
    CHECK(pthread_create(&thread, &attr, own_word, NULL) == 0, "pthread_create");
    while (__atomic_load_n(&cleared, __ATOMIC_ACQUIRE /* [CLEARED] pairs with the kernel */)) {
        CHECK(syscall(SYS_futex, &cleared, FUTEX_WAIT, 1, &limit, NULL, 0) == 0 ||
                  errno == EAGAIN || errno == EINTR, "not woken (errno %d)", errno);
    }
    return 0;
}
