/*
 * The descriptors that braid needs for itself, in a process whose other descriptors are the
 * guest's.
 */
#ifndef UTIL_OWN_FD_H
#define UTIL_OWN_FD_H

#include <limits.h>
#include <stdbool.h>

#include "util/compiler.h"

#define OWN_FD_MAX 8

typedef struct OwnFds {
    int fd[OWN_FD_MAX];     /* atomic; -1: no entry */
    int lowest;             /* atomic: no entry is lower */
} OwnFds;
extern OwnFds own_fds;

/*
 * Around start-up, in which braid opens more files than the guest may have left room for: the limit
 * is raised meanwhile.
 */
void own_fd_startup_begin(void);
void own_fd_startup_end(void);
/*
 * Move the descriptor out of the guest's way: a close-on-exec copy takes its place, and the old one
 * is closed.  Returns its new number, or the old one if there is no other.  Start-up, or under a
 * lock of the caller's.
 */
int own_fd_add(int fd);
/* It is about to be closed. */
void own_fd_remove(int fd);
/*
 * The guest wants this very number for a descriptor of its own: braid's goes elsewhere.  *fd is where
 * the owner keeps it (atomic).  False if there is no room.
 */
bool own_fd_vacate(int *fd);
/* The lowest of them from `from` on, UINT_MAX if there is none. */
unsigned own_fd_next(unsigned from);

/* Async-signal-safe, as cheap as a comparison for the numbers that guests have. */
static inline bool own_fd_is(int fd)
{
    if (likely(fd < __atomic_load_n(&own_fds.lowest, __ATOMIC_RELAXED))) {
        return false;
    }
    for (int i = 0; i < OWN_FD_MAX; i++) {
        if (fd >= 0 && __atomic_load_n(&own_fds.fd[i], __ATOMIC_RELAXED) == fd) {
            return true;
        }
    }
    return false;
}

#endif
