/*
 * What the address map and fork tell io_uring.
 */
#ifndef BRAID_LINUX_USER_IO_URING_H
#define BRAID_LINUX_USER_IO_URING_H

#include <stdint.h>

/* The guest has mapped a file at `offset`, at guest address `addr`. Any thread, no locks needed. */
void io_uring_note_mapping(int fd, uint64_t offset, uint64_t addr);
/* Around fork(): the table of rings is whole in the child.  The forking thread; rank LEAF. */
void io_uring_fork_prepare(void);
void io_uring_fork_done(void);

#endif
