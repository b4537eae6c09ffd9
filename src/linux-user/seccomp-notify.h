/*
 * Seccomp filters that ask another process.
 */
#ifndef LINUX_USER_SECCOMP_NOTIFY_H
#define LINUX_USER_SECCOMP_NOTIFY_H

#include "linux-user/thread.h"

/* Install the host's side of a filter with a listener: its descriptor, or -errno.  flags: of seccomp(2). */
int64_t seccomp_notify_listen(uint64_t flags);
/* Ask the listener about a call of this thread.  True: it shall be made; else *ret is its result. */
bool seccomp_notify(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t *ret);
/* SECCOMP_GET_NOTIF_SIZES. */
int64_t seccomp_notify_sizes(uint64_t addr);
/* An ioctl() of a listener whose structures are not the same for the guest.  False: it is none. */
bool seccomp_notify_ioctl(GuestThread *t, int fd, unsigned request, uint64_t arg, int64_t *ret);

#endif
