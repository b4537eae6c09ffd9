/*
 * VIRTIO devices (VIRTIO 1.2).
 *
 * A device provides VirtIOOps; the core (virtio.c) owns status, queues and the device's lock, and runs a
 * worker thread that calls handle_queue() under it.  A transport shows it to the driver: virtio-mmio.c or
 * virtio-pci.c, chosen after the device was made and before the machine runs.
 */
#ifndef BRAID_BOARD_VIRTIO_H
#define BRAID_BOARD_VIRTIO_H

#include "board/device.h"
#include "board/irq.h"
#include "board/timer.h"
#include "board/virtio/virtqueue.h"
#include "mem/memory.h"
#include "util/lock.h"

#define VIRTIO_MAX_QUEUES 8u
#define VIRTIO_NO_VECTOR 0xffffu
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_VERSION_1 (1ull << 32)

typedef struct VirtIODevice VirtIODevice;

typedef struct VirtIOOps {
    uint32_t device_id;
    unsigned nqueues;
    /* Requests may have come.  The worker thread, under the device's lock. */
    void (*handle_queue)(VirtIODevice *d, unsigned queue);
    /* NULL: the worker thread; else a thread of the device's own does the work: wake it.  Any thread, no lock. */
    void (*notify)(VirtIODevice *d, unsigned queue);
    /* The driver has reset the device.  Under the lock; may be NULL. */
    void (*reset)(VirtIODevice *d);
    /* The driver has written the device's configuration; may be NULL.  Under the lock. */
    void (*config_written)(VirtIODevice *d, hwaddr offset, unsigned size);
    /* The device's own part of a saved state, beside what all VIRTIO devices have; offsets are those of the
       struct that begins with the VirtIODevice. */
    const StateField *fields;
} VirtIOOps;

struct VirtIODevice {
    /* constant after virtio_init() */
    const VirtIOOps *ops;
    uint64_t features;          /* offered */
    uint8_t *config;            /* the device-specific configuration, guarded by lock */
    unsigned config_size;
    /* constant before the machine runs: the transport's */
    IRQLine irq;
    void *transport;            /* what send_message() is about */
    /* Interrupt by message.  False: messages are off, use the line.  NULL: there are none.  Under the lock. */
    bool (*send_message)(void *transport, uint16_t vector);

    Mutex lock;                 /* rank DEVICE */
    /* guarded by lock */
    uint32_t status, device_features_sel, driver_features_sel, queue_sel, config_generation;
    uint64_t driver_features;
    VirtQueue queue[VIRTIO_MAX_QUEUES];
    uint16_t config_vector, queue_vector[VIRTIO_MAX_QUEUES];    /* of messages */
    bool dma_off;               /* guest memory is out of reach */

    uint32_t isr;               /* atomic [VIRTIO-ISR]: bit 0 used buffer, bit 1 configuration */
    uint32_t notified;          /* atomic, futex [VIRTIO-NOTIFY]: one bit per queue */
    Timer soon;                 /* counted time: in place of the worker */
};

extern const MMIOOps virtio_mmio_ops;       /* opaque: the VirtIODevice */
extern const MMIOOps virtio_mmio_empty_ops; /* a slot without a device */

/* Fills the core's part of a zeroed device and starts its worker.  `features` beside those of the queue
   layer, which are added.  `config` stays the caller's. */
void virtio_init(VirtIODevice *d, const VirtIOOps *ops, uint64_t features, void *config, unsigned config_size);
/* What the board is told of a device: reset and state. */
extern const DeviceClass virtio_class;
/* As a machine's reset does; no hart runs. */
void virtio_reset(VirtIODevice *d);

/* ---- for devices, under the lock ---- */
static inline bool virtio_has(const VirtIODevice *d, uint64_t feature) { return d->driver_features & feature; }
/* The driver is up and the device is not broken. */
bool virtio_is_live_locked(const VirtIODevice *d);
/* Requests of the queue were pushed: interrupt the driver if it wants that.  Notices broken queues too. */
void virtio_interrupt_locked(VirtIODevice *d, VirtQueue *q);
/* Notify the device's own worker, as if the driver had. */
void virtio_wake(VirtIODevice *d, unsigned queue);

#endif
