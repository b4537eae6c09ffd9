/*
 * Core files of the guest.
 */
#ifndef LINUX_USER_CORE_DUMP_H
#define LINUX_USER_CORE_DUMP_H

#include "linux-user/thread.h"

/*
 * Write a core file for a process that dies of *info in thread t, if limits and the system's core_pattern
 * want one.  True if there is one now, *name is what it is called (static storage).  The other
 * threads have been stopped and cannot go on: the caller ends the process.
 */
bool core_dump(GuestThread *t, const siginfo_t *info, const char **name);

/* core(5)'s pattern as a file name for this process and signal.  False if it is none, but a program. */
bool core_name(char *out, size_t size, int sig, uint64_t limit);

#endif
