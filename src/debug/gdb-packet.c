/*
 * Packets of gdb's remote protocol over a stream socket.
 */
#include "debug/gdb-packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/strutil.h"

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
