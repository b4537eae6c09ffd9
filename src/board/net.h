/*
 * User networking: a network of its own behind the guest's card, made by libslirp.  10.0.2.2 is the host,
 * 10.0.2.3 a name server, the guest gets 10.0.2.15 by DHCP.
 */
#ifndef BRAID_BOARD_NET_H
#define BRAID_BOARD_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct UserNet UserNet;

/* The guest's end.  Both on the network's thread, no locks held. */
typedef struct NetCard {
    /* A frame for the guest.  False: no room; it is kept and offered again after usernet_wake(). */
    bool (*receive)(void *opaque, const void *frame, size_t n);
    /* The next frame of the guest's, at most `room` bytes; 0: none. */
    size_t (*next_frame)(void *opaque, void *frame, size_t room);
} NetCard;

/* @options: what follows -netdev user, without the name ("id=n0,hostfwd=tcp::2222-:22"); fatal_usage() if it
   is wrong. */
UserNet *usernet_create(const char *options);
const char *usernet_id(const UserNet *n);
void usernet_print(const UserNet *n, FILE *out);
/* Starts the thread; once. */
void usernet_attach(UserNet *n, const NetCard *card, void *opaque);
/* next_frame() has one, or receive() has room again.  Any thread, any lock. */
void usernet_wake(UserNet *n);

#endif
