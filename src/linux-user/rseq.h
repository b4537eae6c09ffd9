/*
 * Restartable sequences of the guest, rseq(2).
 */
#ifndef LINUX_USER_RSEQ_H
#define LINUX_USER_RSEQ_H

#include "linux-user/thread.h"

/* Bytes of struct rseq that mean something (AT_RSEQ_FEATURE_SIZE), and its alignment. */
#define RSEQ_FEATURE_SIZE 28
#define RSEQ_ALIGN 32

void rseq_update_slow(GuestThread *t);
/*
 * What the kernel does on the way back to a thread, and before a signal frame is built: the CPU's
 * number is stored, and a critical section that was interrupted starts over.  Outside cpu_exec().
 */
static inline void rseq_update(GuestThread *t)
{
    if (t->rseq) {
        rseq_update_slow(t);
    }
}

/* exec.h's section_at. */
bool rseq_section_at(vaddr descriptor, vaddr pc, vaddr *end);

#endif
