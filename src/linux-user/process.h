/*
 * What belongs to the guest process as a whole: options, names, limits.  Filled while the
 * program is loaded, constant afterwards except where stated.
 */
#ifndef LINUX_USER_PROCESS_H
#define LINUX_USER_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "linux-user/abi.h"
#include "linux-user/linux-user.h"
#include "linux-user/thread.h"

typedef struct UserProcess {
    const LinuxUserOptions *opt;
    const LinuxAbi *abi;
    const char *sysroot;        /* absolute path without a slash at the end, or NULL */
    int sysroot_fd;             /* O_PATH; own_fd_vacate() may change it (atomic); -1: none */
    int self_fd;                /* braid itself, O_PATH; atomic as the one above */
    char *exe_path;             /* the guest program, absolute: /proc/self/exe */
    char **argv;                /* the guest's, for /proc/self/cmdline */
    int argc;
    uint64_t auxv[64];          /* /proc/self/auxv */
    unsigned auxv_len;          /* in words */
    uint64_t vdso_addr;
    uint64_t sigreturn_addr;    /* of the trampoline */

    ThreadGroup group;          /* of the process that started the program, and of children of fork() */
    uint32_t writes_memory; /* atomic: a file /proc/.../mem has been opened for writing */
    uint32_t sharers;           /* atomic: other processes that have been made to share this memory and live */
} UserProcess;
extern UserProcess user_process;

/* Has the calling thread this capability (CAP_...) in effect? */
bool process_has_capability(unsigned cap);

#endif
