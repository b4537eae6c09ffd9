/*
 * Character devices: buffers and threads between frontends and host files.
 *
 * Each Chardev has a lock (rank CHARDEV) for its output ring and for which frontend has the input.
 * Frontends are called without it.  The reader keeps what a frontend did not take and waits for
 * chardev_accept_input(); the writer writes without the lock, from a part of the ring that
 * nobody else touches.
 *
 * Sockets are opened by chardev-socket.c; here they are a descriptor that may be -1 for a while.
 */
#include "board/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board/chardev-socket.h"
#include "board/terminal.h"
#include "util/error.h"
#include "util/lock.h"
#include "util/strutil.h"

#define RING_SIZE 65536u
#define MAX_FRONTENDS 2
#define CTRL_A 1

struct Chardev {
    Chardev *next;              /* constant after chardev_open() */
    bool is_stdio, mux, discard;
    CharSocket *socket;         /* NULL: a plain file */
    pthread_t reader, writer;
    struct { const CharFrontend *ops; void *opaque; } front[MAX_FRONTENDS];
    unsigned nfronts;

    int in_fd;                  /* owned by the reader */
    bool escape;                /* the last byte was Ctrl-A */

    Mutex lock;                 /* rank CHARDEV */
    Cond output;                /* the ring is no longer empty, or no longer full, or empty at last */
    Cond input;                 /* chardev_accept_input() */
    /* guarded by lock */
    int out_fd;                 /* -1: nobody is there, output is dropped */
    unsigned focus;             /* which frontend has the input */
    unsigned head, count;       /* of the ring */
    unsigned accepted;          /* calls of chardev_accept_input() */
    bool want_writable;
    bool started;
    uint8_t ring[RING_SIZE];
};

static struct CharContext {
    Chardev *first;             /* changed by the first thread, before other threads start */
    void (*quit)(void);
    bool output_waits;          /* constant after chardev_let_output_wait() */
} chardevs;

void chardev_set_quit(void (*quit)(void))
{
    chardevs.quit = quit;
}

void chardev_let_output_wait(void)
{
    chardevs.output_waits = true;
}

bool chardev_is_mux(const Chardev *c)
{
    return c->mux;
}

void chardev_attach(Chardev *c, const CharFrontend *f, void *opaque)
{
    if (c->nfronts == MAX_FRONTENDS) {
        fatal_usage("a character device has more than %d users", MAX_FRONTENDS);
    }
    c->front[c->nfronts].ops = f;
    c->front[c->nfronts++].opaque = opaque;
}

/* ---- Output ---- */

static size_t queue_locked(Chardev *c, const uint8_t *bytes, size_t n)
{
    size_t room = RING_SIZE - c->count, k = n < room ? n : room;
    unsigned tail = (c->head + c->count) % RING_SIZE;
    size_t first = k < RING_SIZE - tail ? k : RING_SIZE - tail;
    memcpy(c->ring + tail, bytes, first);
    memcpy(c->ring, bytes + first, k - first);
    c->count += (unsigned)k;
    return k;
}

size_t chardev_write(Chardev *c, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    if (c->discard) {
        return n;
    }
    mutex_lock(&c->lock);
    bool was_empty = c->count == 0;
    size_t k = queue_locked(c, p, n);
    while (chardevs.output_waits && k < n) {
        cond_broadcast(&c->output);
        cond_wait(&c->output, &c->lock);
        k += queue_locked(c, p + k, n - k);
    }
    if (k < n) {
        c->want_writable = true;
    }
    mutex_unlock(&c->lock);
    if (was_empty && k) {
        cond_broadcast(&c->output);
    }
    return k;
}

bool chardev_write_whole(Chardev *c, const void *bytes, size_t n)
{
    mutex_lock(&c->lock);
    bool fits = c->discard || n <= RING_SIZE - c->count;
    if (fits && !c->discard) {
        queue_locked(c, bytes, n);
    }
    mutex_unlock(&c->lock);
    cond_broadcast(&c->output);
    return fits;
}

void chardev_print(Chardev *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = str_vformat(fmt, ap);
    va_end(ap);
    size_t n = strlen(text), done = 0;
    mutex_lock(&c->lock);
    while (!c->discard && done < n) {
        done += queue_locked(c, (uint8_t *)text + done, n - done);
        cond_broadcast(&c->output);
        if (done < n) {
            cond_wait(&c->output, &c->lock);
        }
    }
    mutex_unlock(&c->lock);
    free(text);
}

/* Write one piece of the ring, without the lock; a descriptor that fails drops it. */
static void write_piece_locked(Chardev *c)
{
    unsigned head = c->head;
    unsigned n = c->count < RING_SIZE - head ? c->count : RING_SIZE - head;
    int fd = c->out_fd;
    mutex_unlock(&c->lock);
    ssize_t done = fd < 0 ? (ssize_t)n : write(fd, c->ring + head, n);
    if (done < 0) {
        if (errno == EAGAIN) {
            struct pollfd p = { .fd = fd, .events = POLLOUT };
            poll(&p, 1, 1000);
            done = 0;
        } else {
            done = errno == EINTR ? 0 : (ssize_t)n;
        }
    }
    mutex_lock(&c->lock);
    c->head = (c->head + (unsigned)done) % RING_SIZE;
    c->count -= (unsigned)done;
    cond_broadcast(&c->output);
}

static void *writer_main(void *arg)
{
    Chardev *c = arg;
    pthread_setname_np(pthread_self(), "char-out");
    mutex_lock(&c->lock);
    for (;;) {
        while (c->count == 0) {
            cond_wait(&c->output, &c->lock);
        }
        write_piece_locked(c);
        if (c->want_writable && c->count < RING_SIZE / 2) {
            c->want_writable = false;
            mutex_unlock(&c->lock);
            for (unsigned i = 0; i < c->nfronts; i++) {
                if (c->front[i].ops->writable) {
                    c->front[i].ops->writable(c->front[i].opaque);
                }
            }
            mutex_lock(&c->lock);
        }
    }
    return NULL;
}

/* ---- Input ---- */

void chardev_accept_input(Chardev *c)
{
    mutex_lock(&c->lock);
    c->accepted++;
    mutex_unlock(&c->lock);
    cond_signal(&c->input);
}

/* Give bytes to the frontend that has the input; waits until all are taken. */
static void deliver(Chardev *c, const uint8_t *bytes, size_t n)
{
    while (n > 0 && c->nfronts > 0) {
        mutex_lock(&c->lock);
        unsigned seen = c->accepted, focus = c->focus;
        mutex_unlock(&c->lock);
        size_t k = c->front[focus].ops->receive(c->front[focus].opaque, bytes, n);
        bytes += k;
        n -= k;
        mutex_lock(&c->lock);
        /* A time limit: keys that nobody reads must not keep Ctrl-A x from being seen. */
        struct timespec limit = { .tv_sec = 1 };
        bool waited = true;
        while (n > 0 && k == 0 && c->accepted == seen && waited) {
            waited = cond_timedwait(&c->input, &c->lock, &limit);
        }
        mutex_unlock(&c->lock);
        if (!waited && c->mux) {
            return;
        }
    }
}

static void show_help(Chardev *c)
{
    chardev_print(c, "\r\nCtrl-A h    this help\r\nCtrl-A x    end braid\r\n"
                  "Ctrl-A c    change between console and monitor\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n");
}

static void change_focus(Chardev *c)
{
    if (c->nfronts < 2) {
        return;
    }
    mutex_lock(&c->lock);
    c->focus ^= 1;
    unsigned focus = c->focus;
    mutex_unlock(&c->lock);
    for (unsigned i = 0; i < 2; i++) {
        if (c->front[i].ops->connected) {
            c->front[i].ops->connected(c->front[i].opaque, i == focus);
        }
    }
}

/* The byte after Ctrl-A.  True: it is for the frontend. */
static bool escaped(Chardev *c, uint8_t byte)
{
    switch (byte) {
    case 'x':
        if (chardevs.quit) {
            chardevs.quit();
        }
        return false;
    case 'c':
        change_focus(c);
        return false;
    case 'h':
    case '?':
        show_help(c);
        return false;
    }
    return byte == CTRL_A;
}

static void take_input(Chardev *c, const uint8_t *bytes, size_t n)
{
    if (!c->mux) {
        deliver(c, bytes, n);
        return;
    }
    size_t start = 0;
    for (size_t i = 0; i < n; i++) {
        if (c->escape) {
            c->escape = false;
            start = i + !escaped(c, bytes[i]);
        } else if (bytes[i] == CTRL_A) {
            c->escape = true;
            deliver(c, bytes + start, i - start);
            start = i + 1;
        }
    }
    if (start < n) {
        deliver(c, bytes + start, n - start);
    }
}

static void set_connected(Chardev *c, int fd)
{
    mutex_lock(&c->lock);
    c->out_fd = fd;
    mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->nfronts; i++) {
        if (c->front[i].ops->connected) {
            c->front[i].ops->connected(c->front[i].opaque, fd >= 0);
        }
    }
}

/* Read until the end of the file. */
static void read_all(Chardev *c)
{
    uint8_t buf[1024];
    for (;;) {
        ssize_t n = read(c->in_fd, buf, sizeof(buf));
        if (n > 0) {
            take_input(c, buf, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd p = { .fd = c->in_fd, .events = POLLIN };
            poll(&p, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            return;
        }
    }
}

static void *reader_main(void *arg)
{
    Chardev *c = arg;
    pthread_setname_np(pthread_self(), "char-in");
    if (!c->socket) {
        read_all(c);
        return NULL;
    }
    while ((c->in_fd = char_socket_connect(c->socket)) >= 0) {
        set_connected(c, c->in_fd);
        read_all(c);
        set_connected(c, -1);
        close(c->in_fd);
    }
    return NULL;
}

/* ---- Opening and closing ---- */

static Chardev *new_chardev(int in_fd, int out_fd)
{
    Chardev *c = xcalloc(1, sizeof(*c));
    mutex_init(&c->lock, LOCK_RANK_CHARDEV);
    c->in_fd = in_fd;
    c->out_fd = out_fd;
    c->next = chardevs.first;
    chardevs.first = c;
    return c;
}

static Chardev *open_stdio(bool mux)
{
    for (Chardev *c = chardevs.first; c; c = c->next) {
        if (c->is_stdio) {
            c->mux |= mux;
            return c;
        }
    }
    Chardev *c = new_chardev(STDIN_FILENO, STDOUT_FILENO);
    c->is_stdio = true;
    c->mux = mux;
    return c;
}

Chardev *chardev_open(const char *spec, char **err)
{
    if (!strcmp(spec, "stdio") || !strcmp(spec, "mon:stdio")) {
        return open_stdio(spec[0] == 'm');
    }
    if (!strcmp(spec, "null") || !strcmp(spec, "none")) {
        Chardev *c = new_chardev(-1, -1);
        c->discard = true;
        return c;
    }
    if (!strncmp(spec, "file:", 5)) {
        int fd = open(spec + 5, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0) {
            *err = str_format("cannot write '%s': %s", spec + 5, strerror(errno));
            return NULL;
        }
        return new_chardev(-1, fd);
    }
    if (!strncmp(spec, "unix:", 5) || !strncmp(spec, "tcp:", 4)) {
        CharSocket *s = char_socket_open(spec, err);
        Chardev *c = s ? new_chardev(-1, -1) : NULL;
        if (c) {
            c->socket = s;
        }
        return c;
    }
    *err = str_format("'%s' is none of stdio, mon:stdio, null, none, file:PATH, unix:PATH, tcp:HOST:PORT", spec);
    return NULL;
}

void chardev_start_all(void)
{
    for (Chardev *c = chardevs.first; c; c = c->next) {
        if (c->discard || c->started) {
            continue;
        }
        c->started = true;
        if (c->is_stdio) {
            terminal_set_raw();
        }
        bool reads = c->in_fd >= 0 || c->socket;
        if (pthread_create(&c->writer, NULL, writer_main, c) ||
            (reads && pthread_create(&c->reader, NULL, reader_main, c))) {
            fatal("cannot create the threads of a character device");
        }
    }
}

void chardev_finish_all(void)
{
    for (Chardev *c = chardevs.first; c; c = c->next) {
        struct timespec limit = { .tv_sec = 2 };
        mutex_lock(&c->lock);
        bool in_time = true;
        while (c->started && c->count > 0 && in_time) {
            in_time = cond_timedwait(&c->output, &c->lock, &limit);
        }
        mutex_unlock(&c->lock);
    }
    terminal_restore_sigsafe();
}
