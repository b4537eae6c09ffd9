/*
 * Packets of gdb's remote protocol over a stream socket.
 */
#include "debug/gdb-packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/strutil.h"

static int listen_unix(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const char *pid = strstr(path, "%d");
    int n = pid ? snprintf(a.sun_path, sizeof(a.sun_path), "%.*s%d%s", (int)(pid - path), path,
                           (int)getpid(), pid + 2)
                : snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (n >= (int)sizeof(a.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;
    if (!lstat(a.sun_path, &st) && S_ISSOCK(st.st_mode)) {
        unlink(a.sun_path);     /* of an earlier run; what else is there stays */
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1)) {
        return -1;
    }
    return fd;
}

/* An empty host is the loopback interface: who can reach the port owns the guest. */
static int listen_tcp(const char *host, const char *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    uint64_t number;
    int one = 1;
    if (!str_parse_u64(port, strlen(port), &number) || number > 65535 ||
        (*host && strcmp(host, "localhost") && inet_pton(AF_INET, host, &a.sin_addr) != 1)) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    a.sin_port = htons((uint16_t)number);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1)) {
        return -1;
    }
    return fd;
}

int gdb_link_listen(const char *where)
{
    char text[256], *colon;
    uint64_t port;
    if (!*where) {
        errno = EINVAL;
        return -1;
    }
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(where, ","), where);
    if (str_parse_u64(text, strlen(text), &port) && port <= 65535) {
        return listen_tcp("", text);
    }
    if (strncmp(text, "tcp:", 4)) {
        return listen_unix(strncmp(text, "unix:", 5) ? text : text + 5);
    }
    colon = strrchr(text + 4, ':');
    if (!colon) {
        return listen_tcp("", text + 4);
    }
    *colon = '\0';
    return listen_tcp(text + 4, colon + 1);
}

int gdb_link_accept(int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));    /* fails on a Unix socket */
    }
    return fd;
}

void gdb_link_init(GdbLink *l, int fd)
{
    memset(l, 0, sizeof(*l));
    l->fd = fd;
    mutex_init(&l->send_lock, LOCK_RANK_LEAF);
}

/* A peer that is gone is noticed by the next receive. */
static void send_all(GdbLink *l, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t k = send(l->fd, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno != EINTR) {
            return;
        }
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
}

static void acknowledge(GdbLink *l, bool good)
{
    if (!__atomic_load_n(&l->no_ack, __ATOMIC_RELAXED)) {
        mutex_lock(&l->send_lock);
        send_all(l, (const uint8_t *)(good ? "+" : "-"), 1);
        mutex_unlock(&l->send_lock);
    }
}

bool gdb_link_receive(GdbLink *l)
{
    if (l->n_in == sizeof(l->in)) {
        return false;           /* no packet is that long */
    }
    ssize_t k;
    do {
        k = recv(l->fd, l->in + l->n_in, sizeof(l->in) - l->n_in, 0);
    } while (k < 0 && errno == EINTR);
    l->n_in += k > 0 ? (size_t)k : 0;
    return k > 0;
}

static void drop_input(GdbLink *l, size_t n)
{
    l->n_in -= n;
    memmove(l->in, l->in + n, l->n_in);
}

/* Take the packet at the head: `$` ... `#` and two digits at `end`. */
static bool take_packet(GdbLink *l, size_t end, char *data, size_t *n)
{
    uint8_t sum = 0;
    size_t len = 0;
    for (size_t i = 1; i < end; i++) {
        uint8_t c = l->in[i];
        sum += c;
        if (c == '}' && i + 1 < end) {
            sum += l->in[++i];
            c = l->in[i] ^ 0x20;
        }
        data[len++] = (char)c;
    }
    data[len] = 0;
    *n = len;
    bool good = str_hex_digit(l->in[end + 1]) == sum >> 4 && str_hex_digit(l->in[end + 2]) == (sum & 15);
    drop_input(l, end + 3);
    acknowledge(l, good);
    return good;
}

GdbInput gdb_link_next(GdbLink *l, char *data, size_t *n)
{
    while (l->n_in) {
        if (l->in[0] == 3) {
            drop_input(l, 1);
            return GDB_INPUT_INTERRUPT;
        }
        if (l->in[0] != '$') {
            drop_input(l, 1);   /* an acknowledgement, or noise */
            continue;
        }
        const uint8_t *hash = memchr(l->in, '#', l->n_in);
        size_t end = hash ? (size_t)(hash - l->in) : 0;
        if (!hash || end + 3 > l->n_in) {
            break;
        }
        if (take_packet(l, end, data, n)) {
            return GDB_INPUT_PACKET;
        }
    }
    return GDB_INPUT_NONE;
}

void gdb_packet_send(GdbLink *l, const void *data, size_t n)
{
    uint8_t out[2 * GDB_PACKET_SIZE + 8], sum = 0;
    size_t len = 0;
    const uint8_t *p = data;
    out[len++] = '$';
    for (size_t i = 0; i < n && len < sizeof(out) - 6; i++) {
        uint8_t c = p[i];
        if (c == '#' || c == '$' || c == '}' || c == '*') {
            sum += '}';
            out[len++] = '}';
            c ^= 0x20;
        }
        sum += c;
        out[len++] = c;
    }
    static const char digits[] = "0123456789abcdef";
    out[len++] = '#';
    out[len++] = (uint8_t)digits[sum >> 4];
    out[len++] = (uint8_t)digits[sum & 15];
    mutex_lock(&l->send_lock);
    send_all(l, out, len);
    mutex_unlock(&l->send_lock);
}

/* ---- replies ---- */

void gdb_reply_add(GdbReply *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int k = vsnprintf(r->text + r->n, sizeof(r->text) - r->n, fmt, ap);
    va_end(ap);
    r->n += k > 0 ? (size_t)k : 0;
    r->n = r->n < GDB_PACKET_SIZE ? r->n : GDB_PACKET_SIZE;
}

void gdb_reply_add_hex(GdbReply *r, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) {
        gdb_reply_add(r, "%02x", p[i]);
    }
}

size_t gdb_parse_hex(const char *s, uint8_t *out, size_t max)
{
    size_t n = 0;
    for (; n < max && str_hex_digit((uint8_t)s[0]) >= 0 && str_hex_digit((uint8_t)s[1]) >= 0; s += 2) {
        out[n++] = (uint8_t)(str_hex_digit((uint8_t)s[0]) << 4 | str_hex_digit((uint8_t)s[1]));
    }
    return n;
}

bool gdb_parse_range(char **args, uint64_t *addr, uint64_t *len)
{
    *addr = strtoull(*args, args, 16);
    if (**args != ',') {
        return false;
    }
    *len = strtoull(*args + 1, args, 16);
    return true;
}
