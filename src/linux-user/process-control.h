/*
 * Birth and death of guest threads and processes (clone.c), and what replaces them (execve.c).
 */
#ifndef LINUX_USER_PROCESS_CONTROL_H
#define LINUX_USER_PROCESS_CONTROL_H

#include "linux-user/thread.h"

/* What the last thread's end, or exit_group, does. */
/* The process is about to end with this status, or by this signal: whoever wants to know is told. */
void process_announce_end(GuestThread *t, int status, int sig);
_Noreturn void process_exit(GuestThread *t, int status);
/* The thread leaves: robust mutexes, clear_child_tid, CPU. If it was the last, the process ends.
   Returns for the host thread to end. */
void thread_end(GuestThread *t);

/* Free what an execve() in a vfork child left behind in the memory it shared with its parent. */
void execve_abandon(void *request);

#endif
