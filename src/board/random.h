/*
 * Randomness for the guest.
 */
#ifndef BRAID_BOARD_RANDOM_H
#define BRAID_BOARD_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* Any thread, under any lock.  False: the host has none. */
bool board_random(void *buf, size_t n);

#endif
