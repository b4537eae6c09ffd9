/*
 * A server of 9P2000.L (the protocol of Linux's v9fs) for one folder of the host.
 *
 * It answers one message after the other and knows no thread, no lock and no transport: the caller has a lock.
 * What the guest sends may be anything; it gets an error then, and never reaches a file outside of the
 * folder (files.h says how).
 */
#ifndef BRAID_BOARD_P9_H
#define BRAID_BOARD_P9_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest message, and the shortest limit that a client may set. */
#define P9_MAX_SIZE (512u << 10)
#define P9_MIN_SIZE 4096u

typedef struct P9Server P9Server;

typedef struct P9Options {
    const char *path;           /* the folder */
    bool readonly;
    bool strict_owner;          /* a chown() that fails is an error for the guest (passthrough), else it is not (none) */
} P9Options;

/* NULL, with a sentence in *err for the caller to free: no such folder. */
P9Server *p9_create(const P9Options *o, char **err);
/*
 * Answer a message of n bytes (at most P9_MAX_SIZE).  The answer goes to `out`, at most `room` bytes (at most
 * P9_MAX_SIZE); returns its length, 0 if there is no room for any.
 */
size_t p9_answer(P9Server *s, const uint8_t *message, size_t n, uint8_t *out, size_t room);
/* As a new server: all files are closed. */
void p9_reset(P9Server *s);
/* 0: the guest has no file open and no folder mounted.  Else a number that changes with each change of that. */
uint64_t p9_stamp(const P9Server *s);

#endif
