/*
 * Randomness for the guest.
 */
#ifndef BRAID_BOARD_RANDOM_H
#define BRAID_BOARD_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* Where the sequence of -icount is becomes part of the machine's saved state. */
void board_random_init(void);
/* Any thread, under any lock.  False: the host has none. */
bool board_random(void *buf, size_t n);

#endif
