/*
 * Vectors of guest buffers, turned into the host's.
 */
#ifndef LINUX_USER_IOVEC_H
#define LINUX_USER_IOVEC_H

#include <stdint.h>
#include <sys/uio.h>

/* n entries at `addr` with host addresses; out has room for IOV_MAX.  0 or -errno. */
int64_t iovec_read(struct iovec *out, uint64_t addr, uint64_t n);

#endif
