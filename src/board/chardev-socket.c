/*
 * Sockets of character devices.  Opened by the first thread, then owned by the device's
 * reader thread; no locks.
 */
#include "board/chardev-socket.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/error.h"
#include "util/option.h"
#include "util/strutil.h"

struct CharSocket {
    bool server;
    int fd;             /* listening socket; a client's connection */
    int first;          /* a server's first connection, -1: there is none yet */
};

typedef struct SocketOptions {
    bool server, wait, nowait, delay;
} SocketOptions;

static const SubOptionDef socket_defs[] = {
    { "server", SUBOPTION_BOOL, offsetof(SocketOptions, server), 0, 0, NULL, "listen" },
    { "wait", SUBOPTION_BOOL, offsetof(SocketOptions, wait), 0, 0, NULL, "wait for a connection first" },
    { "nowait", SUBOPTION_BOOL, offsetof(SocketOptions, nowait), 0, 0, NULL, "the same as wait=off" },
    { "nodelay", SUBOPTION_BOOL, offsetof(SocketOptions, delay), 0, 0, NULL, "no effect" },
};

static int open_unix(const char *path, bool server)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(a.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    struct stat st;
    if (server && !lstat(path, &st) && S_ISSOCK(st.st_mode)) {
        unlink(path);           /* of an earlier run; what else is there stays */
    }
    if (server ? bind(fd, (void *)&a, sizeof(a)) || listen(fd, 1) : connect(fd, (void *)&a, sizeof(a))) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_tcp(const char *address, bool server)
{
    const char *colon = strrchr(address, ':');
    char host[256] = "";
    if (!colon || (size_t)(colon - address) >= sizeof(host)) {
        errno = EINVAL;
        return -1;
    }
    memcpy(host, address, (size_t)(colon - address));
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = server ? AI_PASSIVE : 0 }, *list;
    if (getaddrinfo(*host ? host : NULL, colon + 1, &hints, &list)) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = -1, one = 1;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0) {
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (server ? bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 1)
                   : connect(fd, a->ai_addr, a->ai_addrlen)) {
            int saved = errno;
            close(fd);
            errno = saved;
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

CharSocket *char_socket_open(const char *spec, char **err)
{
    SocketOptions o = { .wait = true };
    char *name = NULL;
    if (!suboption_parse("socket", spec, socket_defs, array_size(socket_defs), &o, &name, err)) {
        return NULL;
    }
    bool is_unix = name && !strncmp(name, "unix:", 5);
    int fd = !name ? -1 : is_unix ? open_unix(name + 5, o.server) : open_tcp(name + 4, o.server);
    if (fd < 0) {
        *err = str_format("cannot %s '%s': %s", o.server ? "listen at" : "connect to", name ? name : spec,
                          strerror(errno));
        free(name);
        return NULL;
    }
    CharSocket *s = xcalloc(1, sizeof(*s));
    *s = (CharSocket){ .server = o.server, .fd = fd, .first = -1 };
    if (o.server && o.wait && !o.nowait) {
        fprintf(stderr, "%s: waiting for a connection at %s\n", error_program_name(), name);
        s->first = accept(fd, NULL, NULL);
    }
    free(name);
    return s;
}

int char_socket_connect(CharSocket *s)
{
    int fd;
    if (s->server) {
        fd = s->first;
        s->first = -1;
        while (fd < 0) {
            fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd < 0 && errno != EINTR && errno != ECONNABORTED) {
                return -1;
            }
        }
        return fd;
    }
    fd = s->fd;
    s->fd = -1;
    return fd;
}
