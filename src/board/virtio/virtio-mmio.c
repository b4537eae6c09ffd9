/*
 * The MMIO transport (VIRTIO 1.2, section 4.2, version 2): registers in front of the core.  QueueNotify and
 * the interrupt status take no lock, all else the device's.
 */
#include "board/virtio/transport.h"

enum {
    MAGIC = 0x00, VERSION = 0x04, DEVICE_ID = 0x08, VENDOR_ID = 0x0c,
    DEVICE_FEATURES = 0x10, DEVICE_FEATURES_SEL = 0x14, DRIVER_FEATURES = 0x20, DRIVER_FEATURES_SEL = 0x24,
    QUEUE_SEL = 0x30, QUEUE_NUM_MAX = 0x34, QUEUE_NUM = 0x38, QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50,
    INTERRUPT_STATUS = 0x60, INTERRUPT_ACK = 0x64, STATUS = 0x70,
    QUEUE_DESC_LOW = 0x80, QUEUE_DESC_HIGH = 0x84, QUEUE_DRIVER_LOW = 0x90, QUEUE_DRIVER_HIGH = 0x94,
    QUEUE_DEVICE_LOW = 0xa0, QUEUE_DEVICE_HIGH = 0xa4, SHM_LEN_LOW = 0xb0, SHM_BASE_HIGH = 0xbc,
    CONFIG_GENERATION = 0xfc, CONFIG = 0x100,
};
enum { VIRTIO_MAGIC = 0x74726976, VIRTIO_VENDOR = 0x44495242 };     /* "virt", "BRID" */

static uint32_t read_locked(VirtIODevice *d, hwaddr offset)
{
    const VirtQueue *q = virtio_selected_locked(d);
    switch (offset) {
    case MAGIC:
        return VIRTIO_MAGIC;
    case VERSION:
        return 2;
    case DEVICE_ID:
        return d->ops->device_id;
    case VENDOR_ID:
        return VIRTIO_VENDOR;
    case DEVICE_FEATURES:
        return virtio_offered_locked(d);
    case QUEUE_NUM_MAX:
        return q ? VIRTQ_MAX_SIZE : 0;
    case QUEUE_READY:
        return q && q->ready;
    case STATUS:
        return d->status;
    case CONFIG_GENERATION:
        return d->config_generation;
    }
    /* Shared memory regions: there are none, which their length of -1 says. */
    return offset >= SHM_LEN_LOW && offset <= SHM_BASE_HIGH ? ~0u : 0;
}

static uint64_t mmio_read(void *opaque, hwaddr offset, unsigned size)
{
    VirtIODevice *d = opaque;
    if (offset == INTERRUPT_STATUS) {
        return virtio_isr(d);
    }
    if (offset < CONFIG && size != 4) {
        return 0;
    }
    mutex_lock(&d->lock);
    uint64_t value = offset >= CONFIG ? virtio_config_read_locked(d, offset - CONFIG, size) : read_locked(d, offset);
    mutex_unlock(&d->lock);
    return value;
}

static void write_queue_locked(VirtIODevice *d, VirtQueue *q, hwaddr offset, uint32_t value)
{
    if (offset == QUEUE_NUM) {
        virtio_queue_set_size_locked(q, value);
    } else if (offset != QUEUE_READY) {
        virtio_queue_set_address_locked(q, (offset - QUEUE_DESC_LOW) / 16, offset & 4, value);
    } else if (value & 1) {
        virtio_queue_enable_locked(d, q);
    } else {
        q->ready = false;
    }
}

static void write_locked(VirtIODevice *d, hwaddr offset, uint32_t value)
{
    switch (offset) {
    case DEVICE_FEATURES_SEL:
        d->device_features_sel = value;
        break;
    case DRIVER_FEATURES:
        virtio_accept_locked(d, value);
        break;
    case DRIVER_FEATURES_SEL:
        d->driver_features_sel = value;
        break;
    case QUEUE_SEL:
        d->queue_sel = value;
        break;
    case STATUS:
        virtio_write_status_locked(d, value);
        break;
    case QUEUE_NUM: case QUEUE_READY:
    case QUEUE_DESC_LOW: case QUEUE_DESC_HIGH:
    case QUEUE_DRIVER_LOW: case QUEUE_DRIVER_HIGH:
    case QUEUE_DEVICE_LOW: case QUEUE_DEVICE_HIGH:
        if (virtio_selected_locked(d)) {
            write_queue_locked(d, virtio_selected_locked(d), offset, value);
        }
        break;
    }
}

static void mmio_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    VirtIODevice *d = opaque;
    if (offset < CONFIG && size != 4) {
        return;
    }
    switch (offset) {
    case QUEUE_NOTIFY:
        virtio_notify(d, (uint32_t)value);
        return;
    case INTERRUPT_ACK:
        virtio_isr_clear(d, (uint32_t)value);
        return;
    }
    mutex_lock(&d->lock);
    if (offset < CONFIG) {
        write_locked(d, offset, (uint32_t)value);
    } else {
        virtio_config_write_locked(d, offset - CONFIG, value, size);
    }
    mutex_unlock(&d->lock);
}

const MMIOOps virtio_mmio_ops = { mmio_read, mmio_write, 1, 8 };

/* An empty slot says so by device id 0 (4.2.2.2). */
static uint64_t empty_read(void *opaque, hwaddr offset, unsigned size)
{
    return offset == MAGIC ? VIRTIO_MAGIC : offset == VERSION ? 2 : 0;
}

static void empty_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
}

const MMIOOps virtio_mmio_empty_ops = { empty_read, empty_write, 1, 8 };
