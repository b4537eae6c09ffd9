/*
 * CPUState: one guest CPU (system mode) or guest thread (user mode), run by one host thread.
 *
 * A guest's own CPU struct begins with a CPUState, which begins with the HostEnv that generated code
 * sees; the three have the same address.
 */
#ifndef BRAID_CPU_H
#define BRAID_CPU_H

#include <pthread.h>
#include <setjmp.h>

#include "guest/guest.h"
#include "host/host.h"

typedef struct TranslateThread TranslateThread;
typedef struct WorkItem WorkItem;

struct CPUState {
    HostEnv env;

    /* constant after cpu_create() */
    const Guest *guest;
    int cpu_index;
    TranslateThread *tx;        /* this thread's translation context */
    void *user_data;            /* linux-user: its thread record; board: its hart */

    /* owned by the vCPU thread */
    uint32_t cflags;            /* TBCflags of what it runs now */
    vaddr fault_addr;           /* of the last EXIT_REASON with an address */
    bool fault_is_store;
    int fault_signal_code;      /* user mode: si_code of the host fault, 0 if none */
    int fault_signal;           /* user mode: SIGSEGV or SIGBUS */
    bool in_exclusive;          /* inside start_exclusive() */
    uint64_t llsc_addr, llsc_val; /* reservation: address (all ones: none) and value loaded */

    /* atomic: written by the owner, read by start_exclusive() */
    uint32_t running;           /* in cpu_exec(), may be in generated code */
    /* atomic: written by exclusive work under the cpu list lock */
    uint32_t has_waiter;

    /* guarded by work_lock (rank: work) */
    WorkItem *work_first, *work_last;
    uint32_t work_lock;

    /* guarded by the cpu list lock */
    struct CPUState *next_cpu;
};

#endif
