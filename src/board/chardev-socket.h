/* Sockets behind character devices: one connection at a time. */
#ifndef BRAID_BOARD_CHARDEV_SOCKET_H
#define BRAID_BOARD_CHARDEV_SOCKET_H

typedef struct CharSocket CharSocket;

/* "unix:PATH" or "tcp:HOST:PORT", then ,server[=on] ,wait=off|nowait.  A server listens when this returns
   and, unless wait is off, has its first connection.  NULL and *err (to be freed) on failure. */
CharSocket *char_socket_open(const char *spec, char **err);
/* The next connection's descriptor; waits for it.  -1: there will be no more. */
int char_socket_connect(CharSocket *s);

#endif
