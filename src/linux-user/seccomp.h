/*
 * The guest's seccomp filters.
 */
#ifndef LINUX_USER_SECCOMP_H
#define LINUX_USER_SECCOMP_H

#include "linux-user/thread.h"

/* One filter and those installed before it; immutable, never freed. */
typedef struct SeccompFilter SeccompFilter;

/*
 * What the thread's filters say of call `nr`, which it is about to make.  True: it is made.  False: it is
 * not; *ret is its result, or -BRAID_NO_RESULT if the thread's state says what is next.
 */
bool seccomp_allows_slow(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t *ret);

static inline bool seccomp_allows(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t *ret)
{
    if (likely(!__atomic_load_n(&t->seccomp, __ATOMIC_RELAXED) && !t->seccomp_strict)) {
        return true;
    }
    return seccomp_allows_slow(t, nr, a, ret);
}

/* How many filters the thread has. */
unsigned seccomp_count(const GuestThread *t);
/* prctl()'s PR_GET_SECCOMP and PR_SET_SECCOMP. */
int64_t seccomp_get_mode(const GuestThread *t);
int64_t seccomp_set_mode(GuestThread *t, uint64_t mode, uint64_t filter);

/* A new thread of this process filters as its parent does.  It is in the list of CPUs already. */
void seccomp_inherit(GuestThread *child, const GuestThread *parent);
/* In the child after fork(). */
void seccomp_fork_child(void);
/*
 * Across execve(): a descriptor, not close-on-exec, from which the next program's braid can have the
 * filters; -1 if there are none, or -errno.
 */
int seccomp_save(const GuestThread *t);
#define SECCOMP_FD_VARIABLE "BRAID_SECCOMP_FD"   /* of the environment, says which */
/* The other end: takes the descriptor over. */
void seccomp_load(GuestThread *t, int fd);

#endif
