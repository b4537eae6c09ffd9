/*
 * Paths as the guest says them, and as the host shall open them.
 */
#ifndef LINUX_USER_PATH_H
#define LINUX_USER_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A path read from guest memory.  `host` is what to give to the host's kernel: the guest's own string, or
 * one below the sysroot.
 */
typedef struct UserPath {
    const char *host;
    char guest[PATH_MAX];
    char below[PATH_MAX];
} UserPath;

/*
 * Read the path at `addr` and look below -L for it: files that exist there are taken from there,
 * directories only if the host has none of that name.  follow: the last component may be a link.
 * 0 or -errno.
 */
int path_read(UserPath *p, uint64_t addr, bool follow);
/* The same for a path that is known. */
void path_resolve(UserPath *p, bool follow);

/* The sysroot's absolute path; NULL if there is none, or chroot() has put it out of reach. */
const char *path_sysroot(void);

#endif
