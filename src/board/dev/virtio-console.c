/*
 * virtio-console: queue 0 brings input to the guest, queue 1 output to the chardev.
 *
 * Input comes on the chardev's reader thread, which takes the device's lock; without a buffer of the guest's it
 * is refused until the driver provides one.  Output is on the worker; a chardev without room makes the
 * request wait (it is un-popped) until `writable`.
 */
#include "board/dev/virtio-console.h"

#include "util/error.h"

enum { QUEUE_RX, QUEUE_TX };
#define PIECE 4096u

typedef struct VirtIOConsole {
    VirtIODevice d;
    Chardev *chardev;           /* constant */
    /* guarded by the device's lock */
    VirtRequest request;
    uint64_t sent;              /* bytes of the request at the head of TX that are out already */
} VirtIOConsole;

/* True: the whole request is out. */
static bool send(VirtIOConsole *c)
{
    uint8_t buf[PIECE];
    size_t n;
    while ((n = virt_request_read(&c->request, c->sent, buf, sizeof(buf)))) {
        size_t done = chardev_write(c->chardev, buf, n);
        c->sent += done;
        if (done < n) {
            return false;
        }
    }
    return true;
}

static void handle_queue(VirtIODevice *d, unsigned queue)
{
    VirtIOConsole *c = (VirtIOConsole *)d;
    VirtQueue *q = &d->queue[QUEUE_TX];
    if (queue == QUEUE_RX) {
        chardev_accept_input(c->chardev);
        return;
    }
    do {
        while (virtq_pop(q, &c->request)) {
            if (!send(c)) {
                virtq_unpop(q);
                return;
            }
            c->sent = 0;
            virtq_push(q, &c->request, 0);
            virtio_interrupt_locked(d, q);
        }
    } while (virtq_ask_notification(q, true));
}

static void reset(VirtIODevice *d)
{
    ((VirtIOConsole *)d)->sent = 0;
}

static size_t receive(void *opaque, const uint8_t *bytes, size_t n)
{
    VirtIOConsole *c = opaque;
    VirtQueue *q = &c->d.queue[QUEUE_RX];
    size_t done = 0;
    mutex_lock(&c->d.lock);
    do {
        while (done < n && virtio_is_live_locked(&c->d) && virtq_pop(q, &c->request)) {
            size_t k = virt_request_write(&c->request, 0, bytes + done, n - done);
            done += k;
            virtq_push(q, &c->request, (uint32_t)k);
        }
    } while (done < n && virtio_is_live_locked(&c->d) && virtq_ask_notification(q, true));
    if (done || q->broken) {
        virtio_interrupt_locked(&c->d, q);
    }
    mutex_unlock(&c->d.lock);
    return done;
}

static void writable(void *opaque)
{
    VirtIOConsole *c = opaque;
    virtio_wake(&c->d, QUEUE_TX);
}

static const StateField fields[] = { STATE(VirtIOConsole, sent), STATE_END };

VirtIODevice *virtio_console_create(Chardev *chardev)
{
    static const VirtIOOps ops = { .fields = fields, .device_id = 3, .nqueues = 2, .handle_queue = handle_queue, .reset = reset };
    static const CharFrontend frontend = { receive, writable, NULL };
    VirtIOConsole *c = xcalloc(1, sizeof(*c));
    c->chardev = chardev;
    virtio_init(&c->d, &ops, 0, NULL, 0);
    chardev_attach(chardev, &frontend, c);
    return &c->d;
}
