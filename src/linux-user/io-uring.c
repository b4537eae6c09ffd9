/*
 * io_uring, and the one call of the older asynchronous I/O that takes a signal mask.
 *
 * The rings are memory that the guest and the host's kernel share without braid: entries have the
 * same layout on all machines, and with a guest base of 0 the addresses in them are the host's.  With
 * another base there is no io_uring.  What remains to be done is the signal mask of io_uring_enter()
 * and a wait that no signal may slip past.
 *
 * Any guest thread, without locks.
 */
#include <linux/io_uring.h>

#include "linux-user/syscall.h"
#include "linux-user/user-signal.h"

#ifndef IORING_ENTER_EXT_ARG
#define IORING_ENTER_EXT_ARG 8
#endif

/* struct io_uring_getevents_arg. */
typedef struct GeteventsArg {
    uint64_t sigmask;
    uint32_t sigmask_size, min_wait_usec;
    uint64_t ts;
} GeteventsArg;

int64_t sys_io_uring_setup(GuestThread *t, const uint64_t a[6])
{
    if (user_mem.guest_base) {
        return -ENOSYS;
    }
    return user_range_ok(a[1], sizeof(struct io_uring_params))
               ? host_syscall(SYS_io_uring_setup, (unsigned)a[0], g2h(a[1])) : -EFAULT;
}

/* The guest's mask at `addr` is in force until signal_mask_end(); 0 or -errno. */
static int64_t begin_mask(GuestThread *t, uint64_t addr, uint64_t size, SigSet *host)
{
    SigSet set;
    if (size != sizeof(set)) {
        return -EINVAL;
    }
    if (!user_read(&set, addr, sizeof(set))) {
        return -EFAULT;
    }
    signal_mask_begin(t, set);
    *host = signal_host_mask(t->sigmask);
    return 0;
}

int64_t sys_io_uring_enter(GuestThread *t, const uint64_t a[6])
{
    GeteventsArg arg;
    SigSet host;
    uint64_t pointer = a[4], size = a[5], mask = a[4];
    bool extended = (unsigned)a[3] & IORING_ENTER_EXT_ARG;
    if (user_mem.guest_base) {
        return -ENOSYS;
    }
    if (extended) {
        /* A kernel that knows more than this would say so in IORING_FEAT_ bits. */
        if (size != sizeof(arg)) {
            return -EINVAL;
        }
        if (!user_read(&arg, a[4], sizeof(arg)) || !host_pointer(&arg.ts)) {
            return -EFAULT;
        }
        mask = arg.sigmask;
        pointer = (uintptr_t)&arg;
    }
    if (mask) {
        int64_t ret = begin_mask(t, mask, extended ? arg.sigmask_size : size, &host);
        if (ret) {
            return ret;
        }
        arg.sigmask = (uintptr_t)&host;
        pointer = extended ? pointer : (uintptr_t)&host;
    }
    int64_t ret = safe_syscall6(t, SYS_io_uring_enter, (uint64_t)(int)a[0], a[1], a[2], a[3],
                                pointer, size);
    if (mask) {
        signal_mask_end(t, ret);
    }
    return ret;
}

int64_t sys_io_pgetevents(GuestThread *t, const uint64_t a[6])
{
    uint64_t events = a[3], timeout = a[4], sig[2] = { 0, 0 };  /* address and size of the mask */
    SigSet host;
    if (!host_pointer(&events) || !host_pointer(&timeout) ||
        (a[5] && !user_read(sig, a[5], sizeof(sig)))) {
        return -EFAULT;
    }
    if (sig[0]) {
        int64_t ret = begin_mask(t, sig[0], sig[1], &host);
        if (ret) {
            return ret;
        }
    }
    uint64_t host_sig[2] = { sig[0] ? (uintptr_t)&host : 0, sizeof(host) };
    int64_t ret = safe_syscall6(t, SYS_io_pgetevents, a[0], a[1], a[2], events, timeout,
                                (uintptr_t)host_sig);
    if (sig[0]) {
        signal_mask_end(t, ret);
    }
    return ret;
}
