/*
 * Resource limits that mean the guest's memory, not braid's.
 */
#ifndef LINUX_USER_LIMITS_H
#define LINUX_USER_LIMITS_H

#include <stdint.h>

#define LIMITS_VARIABLE "BRAID_LIMITS"  /* of the environment: what execve() hands on */

/* What the process was started with.  Before the program is loaded. */
void limits_init(void);
/* The soft limit of RLIMIT_AS, RLIMIT_DATA or RLIMIT_STACK; RLIM_INFINITY is all ones.  Any thread, no lock. */
uint64_t limits_soft(int resource);
/* "NAME=value" for the next program's braid, to be freed by the caller. */
char *limits_save(void);
/* A program of the host is about to take over: the host's limits become the guest's, or again what they
   were. */
void limits_to_host(void);
void limits_from_host(void);
/* In the child after fork(). */
void limits_fork_child(void);

#endif
