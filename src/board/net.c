/*
 * libslirp on a thread of its own.
 *
 * libslirp knows no threads, so all its functions are called on this one thread, which sleeps in poll() on
 * slirp's sockets and an eventfd.  Frames for the guest that find no room wait in a queue; when that is full
 * they are dropped, as on a wire.  Nothing here is shared with other threads but the eventfd.
 */
#include "board/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/option.h"
#include "util/log.h"
#include "util/strutil.h"

#define MAX_FORWARDS 64u
#define MAX_QUEUED 1024u
#define MAX_FRAME 65550u

typedef struct NetTimer {
    struct NetTimer *next;
    SlirpTimerCb fire;
    void *opaque;
    int64_t at_ms;              /* -1: not set */
} NetTimer;

typedef struct Frame {
    struct Frame *next;
    size_t size;
    uint8_t bytes[];
} Frame;

struct UserNet {
    /* constant after usernet_attach() */
    char *id;
    char *forwards[MAX_FORWARDS];
    unsigned nforwards;
    bool restricted;
    char *hostname;
    const NetCard *card;
    void *opaque;
    int wake_fd;
    /* owned by the thread */
    Slirp *slirp;
    NetTimer *timers;
    Frame *first, **last;
    unsigned nqueued;
    struct pollfd *fds;
    unsigned nfds, room;
};

/* ---- What libslirp asks for ---- */

static int64_t now_ns(void *opaque)
{
    return (int64_t)host_ns();
}

static ssize_t send_packet(const void *bytes, size_t n, void *opaque)
{
    UserNet *u = opaque;
    if (!u->first && u->card->receive(u->opaque, bytes, n)) {
        return (ssize_t)n;
    }
    if (u->nqueued < MAX_QUEUED) {
        Frame *f = xmalloc(sizeof(*f) + n);
        f->next = NULL;
        f->size = n;
        memcpy(f->bytes, bytes, n);
        *u->last = f;
        u->last = &f->next;
        u->nqueued++;
    }
    return (ssize_t)n;
}

static void guest_error(const char *msg, void *opaque)
{
    log_item(LOG_GUEST_ERRORS, "network: %s\n", msg);
}

static void *timer_new(SlirpTimerCb fire, void *timer_opaque, void *opaque)
{
    UserNet *u = opaque;
    NetTimer *t = xmalloc(sizeof(*t));
    *t = (NetTimer){ u->timers, fire, timer_opaque, -1 };
    u->timers = t;
    return t;
}

static void timer_free(void *timer, void *opaque)
{
    UserNet *u = opaque;
    for (NetTimer **p = &u->timers; *p; p = &(*p)->next) {
        if (*p == timer) {
            *p = (*p)->next;
            free(timer);
            return;
        }
    }
}

static void timer_mod(void *timer, int64_t at_ms, void *opaque)
{
    ((NetTimer *)timer)->at_ms = at_ms;
}

static void ignore_fd(int fd, void *opaque)
{
}

static void notify(void *opaque)
{
    usernet_wake(opaque);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = now_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = ignore_fd,
    .unregister_poll_fd = ignore_fd,
    .notify = notify,
};

/* ---- The thread ---- */

void usernet_wake(UserNet *u)
{
    uint64_t one = 1;
    (void)!write(u->wake_fd, &one, sizeof(one));
}

static int add_poll(int fd, int events, void *opaque)
{
    UserNet *u = opaque;
    if (u->nfds == u->room) {
        u->room = u->room ? 2 * u->room : 16;
        u->fds = xrealloc(u->fds, u->room * sizeof(*u->fds));
    }
    short want = (events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
                 (events & SLIRP_POLL_PRI ? POLLPRI : 0);
    u->fds[u->nfds] = (struct pollfd){ .fd = fd, .events = want };
    return (int)u->nfds++;
}

static int get_revents(int i, void *opaque)
{
    UserNet *u = opaque;
    short got = u->fds[i].revents;
    return (got & POLLIN ? SLIRP_POLL_IN : 0) | (got & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (got & POLLPRI ? SLIRP_POLL_PRI : 0) | (got & POLLERR ? SLIRP_POLL_ERR : 0) |
           (got & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void deliver_queued(UserNet *u)
{
    while (u->first && u->card->receive(u->opaque, u->first->bytes, u->first->size)) {
        Frame *f = u->first;
        u->first = f->next;
        if (!u->first) {
            u->last = &u->first;
        }
        u->nqueued--;
        free(f);
    }
}

/* Fires what is due; returns how many ms the poll may last. */
static uint32_t run_timers(UserNet *u, uint32_t limit)
{
    int64_t now = now_ns(NULL) / 1000000;
    for (NetTimer *t = u->timers; t; t = t->next) {
        if (t->at_ms >= 0 && t->at_ms <= now) {
            t->at_ms = -1;
            t->fire(t->opaque);
        }
        if (t->at_ms >= 0 && t->at_ms - now < limit) {
            limit = (uint32_t)(t->at_ms - now);
        }
    }
    return limit;
}

static void *net_main(void *arg)
{
    static _Thread_local uint8_t frame[MAX_FRAME];
    UserNet *u = arg;
    pthread_setname_np(pthread_self(), "slirp");
    for (;;) {
        size_t n;
        deliver_queued(u);
        while ((n = u->card->next_frame(u->opaque, frame, sizeof(frame)))) {
            slirp_input(u->slirp, frame, (int)n);
        }
        uint32_t timeout = run_timers(u, 60000);
        u->nfds = 0;
        add_poll(u->wake_fd, SLIRP_POLL_IN, u);
        slirp_pollfds_fill(u->slirp, &timeout, add_poll, u);
        int r = poll(u->fds, u->nfds, (int)timeout);
        if (r > 0 && u->fds[0].revents) {
            uint64_t count;
            (void)!read(u->wake_fd, &count, sizeof(count));
        }
        slirp_pollfds_poll(u->slirp, r < 0, get_revents, u);
    }
    return NULL;
}

/* ---- Setting up ---- */

static bool parse_address(const char *s, size_t n, struct in_addr *out)
{
    char text[64];
    if (n == 0) {
        return true;        /* the caller's default */
    }
    if (n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s, n);
    text[n] = 0;
    return inet_pton(AF_INET, text, out) == 1;
}

static bool parse_port(const char *s, size_t n, int *port)
{
    uint64_t v;
    bool good = str_parse_u64(s, n, &v) && v < 65536;
    *port = good ? (int)v : 0;
    return good;
}

/* "tcp:HOSTADDR:PORT-GUESTADDR:PORT" */
static void add_forward(UserNet *u, const char *text)
{
    struct in_addr host = { 0 }, guest;
    int host_port, guest_port;
    inet_pton(AF_INET, "10.0.2.15", &guest);
    bool udp = !strncmp(text, "udp:", 4);
    const char *s = udp || !strncmp(text, "tcp:", 4) ? text + 4 : *text == ':' ? text + 1 : NULL;
    const char *colon = s ? strchr(s, ':') : NULL, *dash = colon ? strchr(colon, '-') : NULL;
    const char *colon2 = dash ? strchr(dash, ':') : NULL;
    if (!colon2 || !parse_address(s, (size_t)(colon - s), &host) ||
        !parse_port(colon + 1, (size_t)(dash - colon - 1), &host_port) ||
        !parse_address(dash + 1, (size_t)(colon2 - dash - 1), &guest) ||
        !parse_port(colon2 + 1, strlen(colon2 + 1), &guest_port)) {
        fatal_usage("-netdev: hostfwd=%s is not tcp|udp:[HOST]:PORT-[GUEST]:PORT", text);
    }
    if (slirp_add_hostfwd(u->slirp, udp, host, host_port, guest, guest_port)) {
        fatal_usage("-netdev: hostfwd=%s: cannot listen there: %s", text, strerror(errno));
    }
}

static bool set_option(void *opaque, const char *key, const char *value, char **err)
{
    UserNet *u = opaque;
    if (!value) {
        value = "on";
    }
    if (!strcmp(key, "id")) {
        u->id = xstrdup(value);
    } else if (!strcmp(key, "hostname")) {
        u->hostname = xstrdup(value);
    } else if (!strcmp(key, "restrict")) {
        if (!str_parse_bool(value, strlen(value), &u->restricted)) {
            *err = str_format("-netdev: restrict=%s is neither on nor off", value);
            return false;
        }
    } else if (!strcmp(key, "hostfwd") && u->nforwards < MAX_FORWARDS) {
        u->forwards[u->nforwards++] = xstrdup(value);
    } else {
        *err = str_format("-netdev user: unknown option '%s' (id, hostfwd, hostname, restrict)", key);
        return false;
    }
    return true;
}

UserNet *usernet_create(const char *options)
{
    UserNet *u = xcalloc(1, sizeof(*u));
    char *name = NULL, *err = NULL;
    u->last = &u->first;
    if (!suboption_foreach(options, &name, set_option, u, &err)) {
        fatal_usage("%s", err);
    }
    if (!name || strcmp(name, "user")) {
        fatal_usage("-netdev %s: only 'user' networks are known", name ? name : options);
    }
    free(name);
    if (!u->id) {
        fatal_usage("-netdev user needs id=NAME");
    }
    SlirpConfig c = { .version = 1, .in_enabled = true, .in6_enabled = true, .vprefix_len = 64,
                      .restricted = u->restricted, .vhostname = u->hostname };
    inet_pton(AF_INET, "10.0.2.0", &c.vnetwork);
    inet_pton(AF_INET, "255.255.255.0", &c.vnetmask);
    inet_pton(AF_INET, "10.0.2.2", &c.vhost);
    inet_pton(AF_INET, "10.0.2.15", &c.vdhcp_start);
    inet_pton(AF_INET, "10.0.2.3", &c.vnameserver);
    inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &c.vhost6);
    inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    u->slirp = slirp_new(&c, &callbacks, u);
    if (u->wake_fd < 0 || !u->slirp) {
        fatal("cannot set up user networking");
    }
    for (unsigned i = 0; i < u->nforwards; i++) {
        add_forward(u, u->forwards[i]);
    }
    return u;
}

const char *usernet_id(const UserNet *u)
{
    return u->id;
}

void usernet_print(const UserNet *u, FILE *out)
{
    fprintf(out, "%s: user%s%s%s%s\n", u->id, u->card ? "" : ", without a card", u->restricted ? ", restrict" : "",
            u->hostname ? ", hostname " : "", u->hostname ? u->hostname : "");
    for (unsigned i = 0; i < u->nforwards; i++) {
        fprintf(out, "  hostfwd %s\n", u->forwards[i]);
    }
}

void usernet_attach(UserNet *u, const NetCard *card, void *opaque)
{
    pthread_t thread;
    if (u->card) {
        fatal_usage("netdev '%s' is used by two cards", u->id);
    }
    u->card = card;
    u->opaque = opaque;
    if (pthread_create(&thread, NULL, net_main, u)) {
        fatal("cannot create the network's thread");
    }
    pthread_detach(thread);
}
