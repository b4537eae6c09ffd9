/*
 * Changes to the guest's address space, for the loader, execve and the system calls.
 */
#ifndef LINUX_USER_MMAP_H
#define LINUX_USER_MMAP_H

#include <stdint.h>
#include <stdio.h>

/*
 * mmap(2) with the guest's addresses and protection.  Returns the guest address or -errno.
 * Takes mmap_lock.  Addresses are chosen from braid's own allocator when `addr` is 0 or taken.
 */
int64_t user_mmap(uint64_t addr, uint64_t len, int prot, int flags, int fd, uint64_t offset);
int64_t user_munmap(uint64_t addr, uint64_t len);
int64_t user_mprotect(uint64_t addr, uint64_t len, int prot);
/* The program break starts here. */
void user_brk_init(uint64_t start);

#endif
