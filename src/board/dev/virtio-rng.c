/* virtio-rng: fills what buffers come, on the device's worker thread, under its lock. */
#include "board/dev/virtio-rng.h"

#include "board/random.h"
#include "util/error.h"

#define MAX_BYTES 4096u         /* of one request; the driver asks again */

typedef struct VirtIORng {
    VirtIODevice d;
    VirtRequest request;        /* guarded by the device's lock */
} VirtIORng;

static void handle_queue(VirtIODevice *d, unsigned queue)
{
    VirtIORng *g = (VirtIORng *)d;
    VirtQueue *q = &d->queue[0];
    do {
        while (virtq_pop(q, &g->request)) {
            uint8_t buf[MAX_BYTES];
            size_t n = g->request.in_size < MAX_BYTES ? g->request.in_size : MAX_BYTES;
            size_t written = virt_request_write(&g->request, 0, buf, board_random(buf, n) ? n : 0);
            virtq_push(q, &g->request, (uint32_t)written);
            virtio_interrupt_locked(d, q);
        }
    } while (virtq_ask_notification(q, true));
}

static const StateField fields[] = { STATE_END };

VirtIODevice *virtio_rng_create(void)
{
    static const VirtIOOps ops = { .fields = fields, .device_id = 4, .nqueues = 1, .handle_queue = handle_queue };
    VirtIORng *g = xcalloc(1, sizeof(*g));
    virtio_init(&g->d, &ops, 0, NULL, 0);
    return &g->d;
}
