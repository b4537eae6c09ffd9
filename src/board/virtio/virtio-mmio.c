/*
 * The MMIO transport and the worker thread of a VIRTIO device.
 *
 * What a driver touches all the time takes no lock: QueueNotify sets a bit and wakes the worker
 * [VIRTIO-NOTIFY]; InterruptStatus and InterruptACK are an atomic word [VIRTIO-ISR], whose line is raised or
 * lowered after each change, again if the word has changed meanwhile.  Everything else, setting
 * up, reset, configuration, is under the device's lock, which the worker holds while it serves requests: a
 * reset therefore waits for those that are under way, and afterwards none touches guest memory.
 */
#include <pthread.h>
#include <string.h>

#include "board/virtio/virtio.h"
#include "util/error.h"
#include "util/futex.h"
#include "util/log.h"

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
enum { STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8, STATUS_NEEDS_RESET = 64 };
enum { ISR_USED = 1, ISR_CONFIG = 2 };

/* ---- Interrupts ---- */

static void update_line(VirtIODevice *d)
{
    uint32_t isr;
    do {
        isr = __atomic_load_n(&d->isr, __ATOMIC_RELAXED);
        irq_set(&d->irq, isr != 0);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);    /* [VIRTIO-ISR] the line before the second look */
    } while (!isr != !__atomic_load_n(&d->isr, __ATOMIC_RELAXED));
}

static void raise_isr(VirtIODevice *d, uint32_t bits)
{
    /* [VIRTIO-ISR] what the interrupt is about is seen by who reads the status. */
    __atomic_fetch_or(&d->isr, bits, __ATOMIC_RELEASE);
    update_line(d);
}

bool virtio_is_live_locked(const VirtIODevice *d)
{
    return (d->status & STATUS_DRIVER_OK) && !(d->status & STATUS_NEEDS_RESET);
}

static void needs_reset_locked(VirtIODevice *d)
{
    if (!(d->status & STATUS_NEEDS_RESET)) {
        d->status |= STATUS_NEEDS_RESET;
        if (d->status & STATUS_DRIVER_OK) {
            raise_isr(d, ISR_CONFIG);
        }
    }
}

void virtio_interrupt_locked(VirtIODevice *d, VirtQueue *q)
{
    if (q->broken) {
        needs_reset_locked(d);
    } else if (virtq_wants_interrupt(q)) {
        raise_isr(d, ISR_USED);
    }
}

void virtio_config_changed_locked(VirtIODevice *d)
{
    d->config_generation++;
    if (d->status & STATUS_DRIVER_OK) {
        raise_isr(d, ISR_CONFIG);
    }
}

/* ---- The worker ---- */

void virtio_wake(VirtIODevice *d, unsigned queue)
{
    /* [VIRTIO-NOTIFY] pairs with the exchange in worker_main(). */
    __atomic_fetch_or(&d->notified, 1u << queue, __ATOMIC_RELEASE);
    futex_wake(&d->notified, 1);
}

static void *worker_main(void *arg)
{
    VirtIODevice *d = arg;
    char name[16];
    snprintf(name, sizeof(name), "virtio %u", d->ops->device_id);
    pthread_setname_np(pthread_self(), name);
    for (;;) {
        /* [VIRTIO-NOTIFY] pairs with virtio_wake(). */
        uint32_t bits = __atomic_exchange_n(&d->notified, 0, __ATOMIC_ACQUIRE);
        if (!bits) {
            futex_wait(&d->notified, 0, NULL);
            continue;
        }
        mutex_lock(&d->lock);
        for (unsigned i = 0; i < d->ops->nqueues; i++) {
            if ((bits >> i & 1) && virtio_is_live_locked(d)) {
                d->ops->handle_queue(d, i);
                if (d->queue[i].broken) {
                    needs_reset_locked(d);
                }
            }
        }
        mutex_unlock(&d->lock);
    }
    return NULL;
}

static void notify(VirtIODevice *d, uint32_t queue)
{
    if (queue >= d->ops->nqueues) {
        log_item(LOG_GUEST_ERRORS, "virtio: notification of queue %u\n", queue);
    } else if (d->ops->notify) {
        d->ops->notify(d, queue);
    } else {
        virtio_wake(d, queue);
    }
}

/* ---- Registers ---- */

static void reset_locked(VirtIODevice *d)
{
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        virtq_reset(&d->queue[i]);
    }
    d->status = d->device_features_sel = d->driver_features_sel = d->queue_sel = 0;
    d->driver_features = 0;
    __atomic_store_n(&d->isr, 0, __ATOMIC_RELAXED);
    update_line(d);
    if (d->ops->reset) {
        d->ops->reset(d);
    }
}

void virtio_reset(VirtIODevice *d)
{
    mutex_lock(&d->lock);
    reset_locked(d);
    mutex_unlock(&d->lock);
}

static VirtQueue *selected_locked(VirtIODevice *d)
{
    return d->queue_sel < d->ops->nqueues ? &d->queue[d->queue_sel] : NULL;
}

static uint64_t read_config_locked(VirtIODevice *d, hwaddr offset, unsigned size)
{
    uint64_t value = 0;
    if (offset < d->config_size && size <= d->config_size - offset) {
        memcpy(&value, d->config + offset, size);
    }
    return value;
}

static uint32_t read_locked(VirtIODevice *d, hwaddr offset)
{
    const VirtQueue *q = selected_locked(d);
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
        return d->device_features_sel < 2 ? (uint32_t)(d->features >> d->device_features_sel * 32) : 0;
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
        /* [VIRTIO-ISR] pairs with raise_isr(). */
        return __atomic_load_n(&d->isr, __ATOMIC_ACQUIRE);
    }
    if (offset < CONFIG && size != 4) {
        return 0;
    }
    mutex_lock(&d->lock);
    uint64_t value = offset >= CONFIG ? read_config_locked(d, offset - CONFIG, size) : read_locked(d, offset);
    mutex_unlock(&d->lock);
    return value;
}

static void write_status_locked(VirtIODevice *d, uint32_t value)
{
    if (value == 0) {
        reset_locked(d);
        return;
    }
    /* FEATURES_OK stays clear if the driver wants what was not offered, or no VERSION_1 (3.1.1). */
    if ((value & STATUS_FEATURES_OK) &&
        ((d->driver_features & ~d->features) || !(d->driver_features & VIRTIO_F_VERSION_1))) {
        value &= ~(uint32_t)STATUS_FEATURES_OK;
    }
    bool was_live = virtio_is_live_locked(d);
    d->status = (value & 0xff) | (d->status & STATUS_NEEDS_RESET);
    if (!was_live && virtio_is_live_locked(d)) {
        for (unsigned i = 0; i < d->ops->nqueues; i++) {
            notify(d, i);       /* buffers may wait since before DRIVER_OK */
        }
    }
}

static void write_queue_locked(VirtIODevice *d, VirtQueue *q, hwaddr offset, uint32_t value)
{
    hwaddr *address = offset < QUEUE_DRIVER_LOW ? &q->desc : offset < QUEUE_DEVICE_LOW ? &q->avail : &q->used;
    if (offset == QUEUE_READY) {
        if (value & 1 && !q->ready && !q->broken) {
            q->event_idx = virtio_has(d, VIRTIO_F_EVENT_IDX);
            if (!virtq_start(q)) {
                needs_reset_locked(d);
            }
        } else if (!(value & 1)) {
            q->ready = false;
        }
    } else if (q->ready) {
        log_item(LOG_GUEST_ERRORS, "virtio: a queue in use is configured\n");
    } else if (offset == QUEUE_NUM) {
        q->size = value;
    } else if (offset & 4) {
        *address = (uint32_t)*address | (uint64_t)value << 32;
    } else {
        *address = (*address & ~0xffffffffull) | value;
    }
}

static void write_features_locked(VirtIODevice *d, uint32_t value)
{
    if (d->driver_features_sel < 2 && !(d->status & STATUS_FEATURES_OK)) {
        unsigned shift = d->driver_features_sel * 32;
        d->driver_features = (d->driver_features & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
    }
}

static void write_locked(VirtIODevice *d, hwaddr offset, uint32_t value)
{
    switch (offset) {
    case DEVICE_FEATURES_SEL:
        d->device_features_sel = value;
        break;
    case DRIVER_FEATURES:
        write_features_locked(d, value);
        break;
    case DRIVER_FEATURES_SEL:
        d->driver_features_sel = value;
        break;
    case QUEUE_SEL:
        d->queue_sel = value;
        break;
    case STATUS:
        write_status_locked(d, value);
        break;
    case QUEUE_NUM: case QUEUE_READY:
    case QUEUE_DESC_LOW: case QUEUE_DESC_HIGH:
    case QUEUE_DRIVER_LOW: case QUEUE_DRIVER_HIGH:
    case QUEUE_DEVICE_LOW: case QUEUE_DEVICE_HIGH:
        if (selected_locked(d)) {
            write_queue_locked(d, selected_locked(d), offset, value);
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
        notify(d, (uint32_t)value);
        return;
    case INTERRUPT_ACK:
        __atomic_fetch_and(&d->isr, ~(uint32_t)value, __ATOMIC_RELAXED);
        update_line(d);
        return;
    }
    mutex_lock(&d->lock);
    if (offset < CONFIG) {
        write_locked(d, offset, (uint32_t)value);
    } else if (d->ops->config_written && offset - CONFIG < d->config_size &&
               size <= d->config_size - (offset - CONFIG)) {
        memcpy(d->config + (offset - CONFIG), &value, size);
        d->ops->config_written(d, offset - CONFIG, size);
    }
    mutex_unlock(&d->lock);
}

/* ---- Saved states ---- */

static const StateField *fields_of_kind(const void *opaque)
{
    return ((const VirtIODevice *)opaque)->ops->fields;
}

static const StateField virtio_fields[] = {
    STATE(VirtIODevice, status), STATE(VirtIODevice, device_features_sel), STATE(VirtIODevice, driver_features_sel),
    STATE(VirtIODevice, queue_sel), STATE(VirtIODevice, config_generation), STATE(VirtIODevice, driver_features),
    STATE(VirtIODevice, isr), STATE_OBJECTS(VirtIODevice, queue, virtq_fields), STATE_MORE(fields_of_kind), STATE_END
};

/* Notifications that were on their way are sent again, to all queues. */
static bool loaded_locked(void *opaque)
{
    VirtIODevice *d = opaque;
    bool good = !(d->status & STATUS_FEATURES_OK) || !(d->driver_features & ~d->features);
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        good = good && virtq_restore(&d->queue[i]);
    }
    for (unsigned i = 0; good && virtio_is_live_locked(d) && i < d->ops->nqueues; i++) {
        notify(d, i);
    }
    return good;
}

static void reset(void *opaque) { virtio_reset(opaque); }
static Mutex *lock(void *opaque) { return &((VirtIODevice *)opaque)->lock; }

const DeviceClass virtio_class = {
    .name = "virtio", .reset = reset, .lock = lock, .state = &(const StateTable){ virtio_fields, loaded_locked },
};

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

void virtio_init(VirtIODevice *d, const VirtIOOps *ops, IRQLine irq, uint64_t features, void *config,
                 unsigned config_size)
{
    pthread_t thread;
    braid_assert_msg(ops->fields, "a VIRTIO device does not say what its state is");
    d->ops = ops;
    d->irq = irq;
    d->features = features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC;
    d->config = config;
    d->config_size = config_size;
    mutex_init(&d->lock, LOCK_RANK_DEVICE);
    if (ops->notify) {
        return;
    }
    if (pthread_create(&thread, NULL, worker_main, d)) {
        fatal("cannot create the thread of a device");
    }
    pthread_detach(thread);
}
