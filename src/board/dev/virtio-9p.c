/*
 * virtio-9p: one queue of messages, answered in order on the device's worker thread, under its lock.
 *
 * A message is copied before it is looked at, so that the guest cannot change it meanwhile.
 */
#include "board/dev/virtio-9p.h"

#include <string.h>

#include "util/error.h"

enum { F_MOUNT_TAG = 1 };

typedef struct VirtIO9P {
    VirtIODevice d;
    P9Server *server;           /* guarded by the device's lock, as all that follows */
    struct {
        uint16_t length;
        char tag[VIRTIO_9P_TAG_MAX];
    } config;                   /* constant */
    VirtRequest request;
    uint8_t message[P9_MAX_SIZE], answer[P9_MAX_SIZE];
} VirtIO9P;

static void handle_queue(VirtIODevice *d, unsigned queue)
{
    VirtIO9P *p = (VirtIO9P *)d;
    VirtQueue *q = &d->queue[0];
    do {
        while (virtq_pop(q, &p->request)) {
            uint64_t room = p->request.in_size < P9_MAX_SIZE ? p->request.in_size : P9_MAX_SIZE;
            size_t n = virt_request_read(&p->request, 0, p->message, sizeof(p->message));
            n = p9_answer(p->server, p->message, n, p->answer, room);
            virt_request_write(&p->request, 0, p->answer, n);
            virtq_push(q, &p->request, (uint32_t)n);
            virtio_interrupt_locked(d, q);
        }
    } while (virtq_ask_notification(q, true));
}

static void reset(VirtIODevice *d)
{
    VirtIO9P *p = (VirtIO9P *)d;
    if (p->server) {
        p9_reset(p->server);
    }
}

/* What the guest has open is a host's descriptor: a state goes only with the very same ones. */
static uint64_t get_open_files(const void *opaque)
{
    return p9_stamp(((const VirtIO9P *)opaque)->server);
}

static const StateField fields[] = { STATE_CALL("open files", get_open_files, NULL), STATE_END };

VirtIODevice *virtio_9p_create(P9Server *server, const char *tag)
{
    static const VirtIOOps ops = { .fields = fields, .device_id = 9, .nqueues = 1, .handle_queue = handle_queue,
                                   .reset = reset };
    VirtIO9P *p = xcalloc(1, sizeof(*p));
    size_t n = strlen(tag);
    braid_assert(n <= VIRTIO_9P_TAG_MAX);
    p->config.length = (uint16_t)n;
    memcpy(p->config.tag, tag, n);
    p->server = server;
    virtio_init(&p->d, &ops, F_MOUNT_TAG, &p->config, (unsigned)(sizeof(p->config.length) + n));
    return &p->d;
}
