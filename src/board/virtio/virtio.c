/*
 * The core of a VIRTIO device: status, features, queues, interrupts and the worker thread, whatever the transport.
 *
 * What a driver touches all the time takes no lock: a notification sets a bit and wakes the worker
 * [VIRTIO-NOTIFY]; the interrupt status is an atomic word [VIRTIO-ISR], whose line is raised or
 * lowered after each change, again if the word has changed meanwhile.  Everything else, setting
 * up, reset, configuration, is under the device's lock, which the worker holds while it serves requests: a
 * reset therefore waits for those that are under way, and afterwards none touches guest memory.
 *
 * In counted time (-icount) there is no worker: a timer that is due at once lets the harts' thread do its work behind
 * the instruction that notified, always at the same point of time.
 */
#include "board/virtio/virtio.h"

#include <pthread.h>
#include <string.h>

#include "board/virtio/transport.h"
#include "util/error.h"
#include "util/futex.h"
#include "util/log.h"

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

/* As a message if the transport sends messages now, else by the line. */
static void interrupt_locked(VirtIODevice *d, uint16_t vector, uint32_t bits)
{
    if (d->send_message && d->send_message(d->transport, vector)) {
        return;
    }
    /* [VIRTIO-ISR] what the interrupt is about is seen by who reads the status. */
    __atomic_fetch_or(&d->isr, bits, __ATOMIC_RELEASE);
    update_line(d);
}

uint32_t virtio_isr(VirtIODevice *d)
{
    /* [VIRTIO-ISR] pairs with interrupt_locked(). */
    return __atomic_load_n(&d->isr, __ATOMIC_ACQUIRE);
}

uint32_t virtio_isr_clear(VirtIODevice *d, uint32_t bits)
{
    /* [VIRTIO-ISR] pairs with interrupt_locked(). */
    uint32_t old = __atomic_fetch_and(&d->isr, ~bits, __ATOMIC_ACQUIRE);
    update_line(d);
    return old;
}

bool virtio_is_live_locked(const VirtIODevice *d)
{
    return (d->status & STATUS_DRIVER_OK) && !(d->status & STATUS_NEEDS_RESET) && !d->dma_off;
}

static void needs_reset_locked(VirtIODevice *d)
{
    if (!(d->status & STATUS_NEEDS_RESET)) {
        d->status |= STATUS_NEEDS_RESET;
        if (d->status & STATUS_DRIVER_OK) {
            interrupt_locked(d, d->config_vector, ISR_CONFIG);
        }
    }
}

void virtio_interrupt_locked(VirtIODevice *d, VirtQueue *q)
{
    if (q->broken) {
        needs_reset_locked(d);
    } else if (virtq_wants_interrupt(q)) {
        interrupt_locked(d, d->queue_vector[q - d->queue], ISR_USED);
    }
}

/* ---- The worker ---- */

void virtio_wake(VirtIODevice *d, unsigned queue)
{
    /* [VIRTIO-NOTIFY] pairs with the exchange in serve(). */
    __atomic_fetch_or(&d->notified, 1u << queue, __ATOMIC_RELEASE);
    if (clock_is_counted()) {
        timer_set(&d->soon, 0);
    } else {
        futex_wake(&d->notified, 1);
    }
}

/* Serve the queues that were notified.  False: none was. */
static bool serve(VirtIODevice *d)
{
    /* [VIRTIO-NOTIFY] pairs with virtio_wake(). */
    uint32_t bits = __atomic_exchange_n(&d->notified, 0, __ATOMIC_ACQUIRE);
    if (!bits) {
        return false;
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
    return true;
}

static void serve_soon(void *opaque)
{
    serve(opaque);
}

static void *worker_main(void *arg)
{
    VirtIODevice *d = arg;
    char name[16];
    snprintf(name, sizeof(name), "virtio %u", d->ops->device_id);
    pthread_setname_np(pthread_self(), name);
    for (;;) {
        if (!serve(d)) {
            futex_wait(&d->notified, 0, NULL);
        }
    }
    return NULL;
}

void virtio_notify(VirtIODevice *d, uint32_t queue)
{
    if (queue >= d->ops->nqueues) {
        log_item(LOG_GUEST_ERRORS, "virtio: notification of queue %u\n", queue);
    } else if (d->ops->notify) {
        d->ops->notify(d, queue);
    } else {
        virtio_wake(d, queue);
    }
}

/* Buffers may wait since before the device came alive. */
static void notify_all_locked(VirtIODevice *d)
{
    for (unsigned i = 0; i < d->ops->nqueues; i++) {
        virtio_notify(d, i);
    }
}

/* ---- For transports ---- */

static void reset_locked(VirtIODevice *d)
{
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        virtq_reset(&d->queue[i]);
        d->queue_vector[i] = VIRTIO_NO_VECTOR;
    }
    d->config_vector = VIRTIO_NO_VECTOR;
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

VirtQueue *virtio_selected_locked(VirtIODevice *d)
{
    return d->queue_sel < d->ops->nqueues ? &d->queue[d->queue_sel] : NULL;
}

uint32_t virtio_offered_locked(const VirtIODevice *d)
{
    return d->device_features_sel < 2 ? (uint32_t)(d->features >> d->device_features_sel * 32) : 0;
}

uint32_t virtio_accepted_locked(const VirtIODevice *d)
{
    return d->driver_features_sel < 2 ? (uint32_t)(d->driver_features >> d->driver_features_sel * 32) : 0;
}

void virtio_accept_locked(VirtIODevice *d, uint32_t value)
{
    if (d->driver_features_sel < 2 && !(d->status & STATUS_FEATURES_OK)) {
        unsigned shift = d->driver_features_sel * 32;
        d->driver_features = (d->driver_features & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
    }
}

void virtio_write_status_locked(VirtIODevice *d, uint32_t value)
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
        notify_all_locked(d);
    }
}

void virtio_set_dma(VirtIODevice *d, bool allowed)
{
    mutex_lock(&d->lock);
    bool was_live = virtio_is_live_locked(d);
    d->dma_off = !allowed;
    if (!was_live && virtio_is_live_locked(d)) {
        notify_all_locked(d);
    }
    mutex_unlock(&d->lock);
}

void virtio_queue_enable_locked(VirtIODevice *d, VirtQueue *q)
{
    if (!q->ready && !q->broken) {
        q->event_idx = virtio_has(d, VIRTIO_F_EVENT_IDX);
        if (!virtq_start(q)) {
            needs_reset_locked(d);
        }
    }
}

static bool is_configurable(const VirtQueue *q)
{
    if (q->ready) {
        log_item(LOG_GUEST_ERRORS, "virtio: a queue in use is configured\n");
    }
    return !q->ready;
}

void virtio_queue_set_size_locked(VirtQueue *q, uint32_t size)
{
    if (is_configurable(q)) {
        q->size = size;
    }
}

void virtio_queue_set_address_locked(VirtQueue *q, VirtQueuePart part, bool high, uint32_t value)
{
    hwaddr *address = part == VIRTQ_DESC ? &q->desc : part == VIRTQ_DRIVER ? &q->avail : &q->used;
    if (!is_configurable(q)) {
        return;
    }
    if (high) {
        *address = (uint32_t)*address | (uint64_t)value << 32;
    } else {
        *address = (*address & ~0xffffffffull) | value;
    }
}

uint64_t virtio_config_read_locked(VirtIODevice *d, hwaddr offset, unsigned size)
{
    uint64_t value = 0;
    if (offset < d->config_size && size <= d->config_size - offset) {
        memcpy(&value, d->config + offset, size);
    }
    return value;
}

void virtio_config_write_locked(VirtIODevice *d, hwaddr offset, uint64_t value, unsigned size)
{
    if (d->ops->config_written && offset < d->config_size && size <= d->config_size - offset) {
        memcpy(d->config + offset, &value, size);
        d->ops->config_written(d, offset, size);
    }
}

/* ---- Saved states ---- */

static const StateField *fields_of_kind(const void *opaque)
{
    return ((const VirtIODevice *)opaque)->ops->fields;
}

static const StateField virtio_fields[] = {
    STATE(VirtIODevice, status), STATE(VirtIODevice, device_features_sel), STATE(VirtIODevice, driver_features_sel),
    STATE(VirtIODevice, queue_sel), STATE(VirtIODevice, config_generation), STATE(VirtIODevice, driver_features),
    STATE(VirtIODevice, config_vector), STATE(VirtIODevice, queue_vector), STATE(VirtIODevice, dma_off),
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
    if (good) {
        update_line(d);
    }
    if (good && virtio_is_live_locked(d)) {
        notify_all_locked(d);
    }
    return good;
}

static void reset(void *opaque) { virtio_reset(opaque); }
static Mutex *lock(void *opaque) { return &((VirtIODevice *)opaque)->lock; }

const DeviceClass virtio_class = {
    .name = "virtio", .reset = reset, .lock = lock, .state = &(const StateTable){ virtio_fields, loaded_locked },
};

void virtio_init(VirtIODevice *d, const VirtIOOps *ops, uint64_t features, void *config, unsigned config_size)
{
    pthread_t thread;
    braid_assert_msg(ops->fields, "a VIRTIO device does not say what its state is");
    d->ops = ops;
    d->features = features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC;
    d->config = config;
    d->config_size = config_size;
    mutex_init(&d->lock, LOCK_RANK_DEVICE);
    virtio_reset(d);
    if (ops->notify) {
        return;
    }
    if (clock_is_counted()) {
        timer_init(&d->soon, serve_soon, d);
        return;
    }
    if (pthread_create(&thread, NULL, worker_main, d)) {
        fatal("cannot create the thread of a device");
    }
    pthread_detach(thread);
}
