/*
 * virtio-net: queue 0 takes frames to the guest, queue 1 from it.  The network's thread does all the work:
 * a notification wakes it, and it takes the device's lock for one frame at a time.
 *
 * No offloads: frames are whole, the header in front of them is zero.
 */
#include "board/dev/virtio-net.h"

#include <string.h>

#include "util/error.h"

enum { QUEUE_RX, QUEUE_TX };
enum { F_MAC = 1 << 5, F_STATUS = 1 << 16 };
enum { HEADER_SIZE = 12, HEADER_NUM_BUFFERS = 10, LINK_UP = 1 };

typedef struct NetConfig {
    uint8_t mac[6];
    uint16_t status;
} NetConfig;

typedef struct VirtIONet {
    VirtIODevice d;
    UserNet *net;               /* constant */
    NetConfig config;
    VirtRequest request;        /* guarded by the device's lock */
} VirtIONet;

static bool receive_locked(VirtIONet *c, const void *frame, size_t n)
{
    VirtQueue *q = &c->d.queue[QUEUE_RX];
    uint8_t header[HEADER_SIZE] = { [HEADER_NUM_BUFFERS] = 1 };
    if (!virtio_is_live_locked(&c->d)) {
        return true;            /* nobody listens: dropped */
    }
    while (!virtq_pop(q, &c->request)) {
        if (q->broken) {
            virtio_interrupt_locked(&c->d, q);
            return true;
        }
        if (!virtq_ask_notification(q, true)) {
            return false;
        }
    }
    size_t done = virt_request_write(&c->request, 0, header, sizeof(header));
    done += virt_request_write(&c->request, sizeof(header), frame, n);
    virtq_push(q, &c->request, (uint32_t)done);
    virtio_interrupt_locked(&c->d, q);
    return true;
}

static bool receive(void *opaque, const void *frame, size_t n)
{
    VirtIONet *c = opaque;
    mutex_lock(&c->d.lock);
    bool taken = receive_locked(c, frame, n);
    mutex_unlock(&c->d.lock);
    return taken;
}

static size_t next_frame_locked(VirtIONet *c, void *frame, size_t room)
{
    VirtQueue *q = &c->d.queue[QUEUE_TX];
    size_t n = 0;
    if (!virtio_is_live_locked(&c->d)) {
        return 0;
    }
    do {
        while (n == 0 && virtq_pop(q, &c->request)) {
            n = virt_request_read(&c->request, HEADER_SIZE, frame, room);
            virtq_push(q, &c->request, 0);
            virtio_interrupt_locked(&c->d, q);
        }
    } while (n == 0 && virtq_ask_notification(q, true));
    if (q->broken) {
        virtio_interrupt_locked(&c->d, q);
    }
    return n;
}

static size_t next_frame(void *opaque, void *frame, size_t room)
{
    VirtIONet *c = opaque;
    mutex_lock(&c->d.lock);
    size_t n = next_frame_locked(c, frame, room);
    mutex_unlock(&c->d.lock);
    return n;
}

static void notify(VirtIODevice *d, unsigned queue)
{
    usernet_wake(((VirtIONet *)d)->net);
}

/* What is in libslirp (connections, leases) is not the machine's. */
static const StateField fields[] = { STATE_END };

VirtIODevice *virtio_net_create(UserNet *net, const uint8_t mac[6])
{
    static const VirtIOOps ops = { .fields = fields, .device_id = 1, .nqueues = 2, .notify = notify };
    static const NetCard card = { receive, next_frame };
    VirtIONet *c = xcalloc(1, sizeof(*c));
    c->net = net;
    memcpy(c->config.mac, mac, 6);
    c->config.status = LINK_UP;
    virtio_init(&c->d, &ops, F_MAC | F_STATUS, &c->config, sizeof(c->config));
    usernet_attach(net, &card, c);
    return &c->d;
}
