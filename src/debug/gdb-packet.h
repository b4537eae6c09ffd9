/*
 * The framing of gdb's remote protocol (gdb manual, "Overview" of the remote serial protocol):
 * $data#checksum, acknowledgements, escapes, and the lone byte that interrupts.
 *
 * Owned by one thread, except that gdb_packet_send() may be called by any: a lock keeps packets whole.
 */
#ifndef BRAID_DEBUG_GDB_PACKET_H
#define BRAID_DEBUG_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"
#include "util/lock.h"

#define GDB_PACKET_SIZE 0x4000  /* bytes of data in a packet at most */

typedef struct GdbLink {
    int fd;
    bool no_ack;                /* atomic: QStartNoAckMode */
    Mutex send_lock;            /* rank LEAF */
    /* owned by the receiving thread */
    uint8_t in[GDB_PACKET_SIZE + 8];    /* bytes received and not yet used */
    size_t n_in;
} GdbLink;

/* A reply that grows.  Owned by one thread. */
typedef struct GdbReply {
    size_t n;
    char text[GDB_PACKET_SIZE + 1];
} GdbReply;

/* What does not fit is cut off. */
void gdb_reply_add(GdbReply *r, const char *fmt, ...) attr_printf(2, 3);
void gdb_reply_add_hex(GdbReply *r, const void *data, size_t n);
/* As many bytes as there are pairs of digits, at most max. */
size_t gdb_parse_hex(const char *s, uint8_t *out, size_t max);
/* ADDR,LEN in hexadecimal digits; *args goes on behind it. */
bool gdb_parse_range(char **args, uint64_t *addr, uint64_t *len);

typedef enum GdbInput {
    GDB_INPUT_NONE,             /* nothing complete so far */
    GDB_INPUT_PACKET,
    GDB_INPUT_INTERRUPT,        /* Ctrl-C */
} GdbInput;

/*
 * Listen at a TCP port of the loopback interface (1234), or of another one (tcp:HOST:PORT, HOST being numbers; none: loopback), or at
 * the path of a Unix socket (unix:PATH or PATH; %d in it: process id).  Options behind a comma are those of a
 * chardev's socket, and without effect.  The descriptor, or -1 with errno.
 */
int gdb_link_listen(const char *where);
/* Wait for a connection.  The descriptor, or -1 with errno. */
int gdb_link_accept(int listener);
void gdb_link_init(GdbLink *l, int fd);
/* What comes next of what has been received; data is unescaped and ends with a 0 that does not count. */
GdbInput gdb_link_next(GdbLink *l, char *data, size_t *n);
/* Reads once, without waiting for more than is there.  False: the other side is gone. */
bool gdb_link_receive(GdbLink *l);
/* Any thread. */
void gdb_packet_send(GdbLink *l, const void *data, size_t n);

#endif
