/*
 * Character devices: what stands behind a serial port, a console, the monitor.
 *
 * A Chardev connects a host file (terminal, file, socket, nothing) with up to two frontends: the
 * device, and the monitor if the two share the terminal.  Ctrl-A is then the way to speak to
 * braid itself: Ctrl-A x ends it, Ctrl-A c changes between device and monitor, Ctrl-A h helps.
 *
 * A reader thread waits for input and hands it on; a writer thread empties a buffer, so that no
 * hart waits for a slow terminal.
 */
#ifndef BRAID_BOARD_CHARDEV_H
#define BRAID_BOARD_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Chardev Chardev;

typedef struct CharFrontend {
    /* Input; returns how many of the bytes were taken.  If not all: chardev_accept_input() when there is
       room.  The reader's thread, no locks held. */
    size_t (*receive)(void *opaque, const uint8_t *bytes, size_t n);
    /* There is room for output again.  The writer's thread, no locks held.  May be NULL. */
    void (*writable)(void *opaque);
    /* A connection came (true) or went; from the reader's thread, may be NULL. */
    void (*connected)(void *opaque, bool open);
} CharFrontend;

/*
 * "stdio", "mon:stdio", "null", "none", "file:PATH", "unix:PATH[,server=on][,wait=off]",
 * "tcp:HOST:PORT[,server=on][,wait=off]" ("telnet:" no).  NULL, with a sentence in *err for the caller to free,
 * if that is no chardev or cannot be opened.  "stdio" twice gives the same one.
 */
Chardev *chardev_open(const char *spec, char **err);
/* Ctrl-A is an escape from now on (mon:stdio). */
bool chardev_is_mux(const Chardev *c);

/* Before chardev_start().  At most two; the first one has the input until Ctrl-A c. */
void chardev_attach(Chardev *c, const CharFrontend *f, void *opaque);
/* Begin to read. */
void chardev_start_all(void);

/*
 * Queue output.  Returns how much there was room for; `writable` is called when there is room
 * after less than n.  Any thread; under locks of ranks before CHARDEV.
 */
size_t chardev_write(Chardev *c, const void *bytes, size_t n);
/* All of it, or (false) nothing, if there is no room. */
bool chardev_write_whole(Chardev *c, const void *bytes, size_t n);
/* The same, but waits for room.  Not on the writer's thread, no locks held. */
void chardev_print(Chardev *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void chardev_accept_input(Chardev *c);

/* chardev_write() waits for room, so that how fast the host reads has no effect.  Before threads start. */
void chardev_let_output_wait(void);

/* What Ctrl-A x asks for. */
void chardev_set_quit(void (*quit)(void));
/* Write out all that is queued, for at most two seconds; and give the terminal back. */
void chardev_finish_all(void);

#endif
