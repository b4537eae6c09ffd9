/*
 * What the transports, MMIO and PCI, share: the driver's side of the core of a VIRTIO device.  `_locked`: under the
 * device's lock.
 */
#ifndef BRAID_BOARD_VIRTIO_TRANSPORT_H
#define BRAID_BOARD_VIRTIO_TRANSPORT_H

#include "board/virtio/virtio.h"

/* Notification of a queue, in range or not.  Any thread. */
void virtio_notify(VirtIODevice *d, uint32_t queue);
/* The interrupt status; and clear bits of it, which gives what it was.  No lock. */
uint32_t virtio_isr(VirtIODevice *d);
uint32_t virtio_isr_clear(VirtIODevice *d, uint32_t bits);
/* May the device reach the guest's memory (a PCI function: bus master)?  At first it may.  Takes the lock. */
void virtio_set_dma(VirtIODevice *d, bool allowed);

/* The words of features that are selected: offered, and accepted by the driver. */
uint32_t virtio_offered_locked(const VirtIODevice *d);
uint32_t virtio_accepted_locked(const VirtIODevice *d);
void virtio_accept_locked(VirtIODevice *d, uint32_t value);
void virtio_write_status_locked(VirtIODevice *d, uint32_t value);

/* The selected queue; NULL: there is none of this number. */
VirtQueue *virtio_selected_locked(VirtIODevice *d);
typedef enum VirtQueuePart { VIRTQ_DESC, VIRTQ_DRIVER, VIRTQ_DEVICE } VirtQueuePart;
/* Of a queue that is not in use; else nothing happens. */
void virtio_queue_set_size_locked(VirtQueue *q, uint32_t size);
/* One half of the address of a part. */
void virtio_queue_set_address_locked(VirtQueue *q, VirtQueuePart part, bool high, uint32_t value);
void virtio_queue_enable_locked(VirtIODevice *d, VirtQueue *q);

/* The device's own configuration; outside of it 0, and no effect. */
uint64_t virtio_config_read_locked(VirtIODevice *d, hwaddr offset, unsigned size);
void virtio_config_write_locked(VirtIODevice *d, hwaddr offset, uint64_t value, unsigned size);

#endif
