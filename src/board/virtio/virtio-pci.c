/*
 * The PCI transport, not transitional: BAR 1 has the MSI-X table, BAR 4 all that the vendor's capabilities name,
 * a page for each.
 *
 * Notifications and the interrupt status take no lock, all else the device's.  The capability for access through
 * configuration space makes the same accesses under the bus's lock, which comes before the device's.
 * A device whose function is no bus master does not look at its queues.
 */
#include "board/virtio/virtio-pci.h"

#include "board/virtio/transport.h"
#include "util/error.h"

enum { VENDOR_VIRTIO = 0x1af4, DEVICE_BASE = 0x1040, SUBSYSTEM = 0x1100 };
enum { MSIX_BAR = 1, REGISTER_BAR = 4 };
enum { COMMON_PAGE = 0, ISR_PAGE, DEVICE_PAGE, NOTIFY_PAGE, NPAGES };
#define PAGE 0x1000u
#define NOTIFY_MULTIPLIER 4u

/* struct virtio_pci_common_cfg (4.1.4.3) */
enum {
    DEVICE_FEATURE_SELECT = 0, DEVICE_FEATURE = 4, DRIVER_FEATURE_SELECT = 8, DRIVER_FEATURE = 12, CONFIG_VECTOR = 16,
    NUM_QUEUES = 18, DEVICE_STATUS = 20, CONFIG_GENERATION = 21, QUEUE_SELECT = 22, QUEUE_SIZE = 24, QUEUE_VECTOR = 26,
    QUEUE_ENABLE = 28, QUEUE_NOTIFY_OFF = 30, QUEUE_DESC = 32, QUEUE_DRIVER = 40, QUEUE_DEVICE = 48, COMMON_SIZE = 64,
};

/* Capabilities: struct virtio_pci_cap (4.1.4). */
enum { CAP_VENDOR = 9, CAP_SIZE = 16, CAP_EXTRA = 4 };
enum { CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_DATA = 16 };
enum { TYPE_COMMON = 1, TYPE_NOTIFY, TYPE_ISR, TYPE_DEVICE, TYPE_PCI_CFG };

typedef struct VirtIOPCI {
    /* constant */
    VirtIODevice *device;
    PCIDevice *pci;
    unsigned window;            /* the capability for access through configuration space */
} VirtIOPCI;

/* ---- The common configuration ---- */

static uint32_t queue_read_locked(const VirtIODevice *d, const VirtQueue *q, hwaddr offset)
{
    hwaddr part = offset < QUEUE_DRIVER ? q->desc : offset < QUEUE_DEVICE ? q->avail : q->used;
    switch (offset) {
    case QUEUE_SIZE:
        return q->size ? q->size : VIRTQ_MAX_SIZE;
    case QUEUE_VECTOR:
        return d->queue_vector[q - d->queue];
    case QUEUE_ENABLE:
        return q->ready;
    case QUEUE_NOTIFY_OFF:
        return (uint32_t)(q - d->queue);
    case QUEUE_DESC: case QUEUE_DRIVER: case QUEUE_DEVICE:
        return (uint32_t)part;
    case QUEUE_DESC + 4: case QUEUE_DRIVER + 4: case QUEUE_DEVICE + 4:
        return (uint32_t)(part >> 32);
    }
    return 0;
}

static uint32_t common_read_locked(VirtIODevice *d, hwaddr offset)
{
    const VirtQueue *q = virtio_selected_locked(d);
    switch (offset) {
    case DEVICE_FEATURE_SELECT:
        return d->device_features_sel;
    case DEVICE_FEATURE:
        return virtio_offered_locked(d);
    case DRIVER_FEATURE_SELECT:
        return d->driver_features_sel;
    case DRIVER_FEATURE:
        return virtio_accepted_locked(d);
    case CONFIG_VECTOR:
        return d->config_vector;
    case NUM_QUEUES:
        return d->ops->nqueues;
    case DEVICE_STATUS:
        return d->status;
    case CONFIG_GENERATION:
        return d->config_generation;
    case QUEUE_SELECT:
        return d->queue_sel;
    }
    return q ? queue_read_locked(d, q, offset) : 0;
}

static uint16_t usable_vector(const VirtIOPCI *v, uint32_t vector)
{
    return vector < v->pci->msix.nvectors ? (uint16_t)vector : VIRTIO_NO_VECTOR;
}

static void queue_write_locked(VirtIOPCI *v, VirtQueue *q, hwaddr offset, uint32_t value)
{
    VirtIODevice *d = v->device;
    switch (offset) {
    case QUEUE_SIZE:
        virtio_queue_set_size_locked(q, value);
        break;
    case QUEUE_VECTOR:
        d->queue_vector[q - d->queue] = usable_vector(v, value);
        break;
    case QUEUE_ENABLE:
        if (value == 1) {
            q->size = q->size ? q->size : VIRTQ_MAX_SIZE;
            virtio_queue_enable_locked(d, q);
        }
        break;
    case QUEUE_DESC: case QUEUE_DESC + 4:
    case QUEUE_DRIVER: case QUEUE_DRIVER + 4:
    case QUEUE_DEVICE: case QUEUE_DEVICE + 4:
        virtio_queue_set_address_locked(q, (offset - QUEUE_DESC) / 8, offset & 4, value);
        break;
    }
}

static void common_write_locked(VirtIOPCI *v, hwaddr offset, uint32_t value)
{
    VirtIODevice *d = v->device;
    switch (offset) {
    case DEVICE_FEATURE_SELECT:
        d->device_features_sel = value;
        break;
    case DRIVER_FEATURE_SELECT:
        d->driver_features_sel = value;
        break;
    case DRIVER_FEATURE:
        virtio_accept_locked(d, value);
        break;
    case CONFIG_VECTOR:
        d->config_vector = usable_vector(v, value);
        break;
    case DEVICE_STATUS:
        virtio_write_status_locked(d, value & 0xff);
        break;
    case QUEUE_SELECT:
        d->queue_sel = value & 0xffff;
        break;
    default:
        if (virtio_selected_locked(d)) {
            queue_write_locked(v, virtio_selected_locked(d), offset, value);
        }
    }
}

/* ---- BAR 4 ---- */

static uint64_t register_read(void *opaque, hwaddr offset, unsigned size)
{
    VirtIOPCI *v = opaque;
    VirtIODevice *d = v->device;
    hwaddr page = offset / PAGE, at = offset % PAGE;
    uint64_t value = 0;
    if (page == ISR_PAGE) {
        return at == 0 ? virtio_isr_clear(d, ~0u) : 0;
    }
    mutex_lock(&d->lock);
    if (page == COMMON_PAGE) {
        value = common_read_locked(d, at);
    } else if (page == DEVICE_PAGE) {
        value = virtio_config_read_locked(d, at, size);
    }
    mutex_unlock(&d->lock);
    return value;
}

static void register_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    VirtIOPCI *v = opaque;
    VirtIODevice *d = v->device;
    hwaddr page = offset / PAGE, at = offset % PAGE;
    if (page == NOTIFY_PAGE) {
        virtio_notify(d, (uint32_t)(at / NOTIFY_MULTIPLIER));
        return;
    }
    mutex_lock(&d->lock);
    if (page == COMMON_PAGE) {
        common_write_locked(v, at, (uint32_t)value);
    } else if (page == DEVICE_PAGE) {
        virtio_config_write_locked(d, at, value, size);
    }
    mutex_unlock(&d->lock);
}

static const MMIOOps register_ops = { register_read, register_write, 1, 4 };

/* ---- The function ---- */

static bool send_message(void *transport, uint16_t vector)
{
    return pci_msix_send(((VirtIOPCI *)transport)->pci, vector);
}

static void set_master(void *opaque, bool on)
{
    virtio_set_dma(((VirtIOPCI *)opaque)->device, on);
}

/* The access that the capability describes; false: it describes none. */
static bool find_window(const VirtIOPCI *v, unsigned offset, hwaddr *at, unsigned *size)
{
    const uint8_t *cap = v->pci->config + v->window;
    *at = pci_get32(cap + CAP_OFFSET);
    *size = pci_get32(cap + CAP_LENGTH);
    return offset == v->window + CAP_DATA && cap[CAP_BAR] == REGISTER_BAR &&
           (*size == 1 || *size == 2 || *size == 4) && *at % *size == 0 && *at < NPAGES * PAGE;
}

static void window_read(void *opaque, unsigned offset, unsigned size)
{
    VirtIOPCI *v = opaque;
    hwaddr at;
    unsigned n;
    if (find_window(v, offset, &at, &n)) {
        pci_put32(v->pci->config + offset, (uint32_t)register_read(v, at, n));
    }
}

static void window_written(void *opaque, unsigned offset, unsigned size)
{
    VirtIOPCI *v = opaque;
    hwaddr at;
    unsigned n;
    if (find_window(v, offset, &at, &n)) {
        uint32_t value = pci_get32(v->pci->config + offset);
        register_write(v, at, n == 4 ? value : value & ((1u << 8 * n) - 1), n);
    }
}

static unsigned add_capability(PCIDevice *p, uint8_t type, unsigned page, unsigned length, bool extra)
{
    unsigned size = CAP_SIZE + (extra ? CAP_EXTRA : 0), at = pci_add_capability(p, CAP_VENDOR, size);
    p->constant[at + 2] = (uint8_t)size;
    p->constant[at + CAP_TYPE] = type;
    p->constant[at + CAP_BAR] = length ? REGISTER_BAR : 0;
    pci_put32(p->constant + at + CAP_OFFSET, page * PAGE);
    pci_put32(p->constant + at + CAP_LENGTH, length);
    return at;
}

static void add_window(VirtIOPCI *v)
{
    v->window = add_capability(v->pci, TYPE_PCI_CFG, 0, 0, true);
    uint8_t *writable = v->pci->writable + v->window;
    writable[CAP_BAR] = 0xff;
    pci_put32(writable + CAP_OFFSET, ~0u);
    pci_put32(writable + CAP_LENGTH, ~0u);
    pci_put32(writable + CAP_DATA, ~0u);
}

static uint32_t class_of(uint32_t device_id)
{
    switch (device_id) {
    case 1:
        return 0x020000;        /* Ethernet */
    case 2:
        return 0x010000;        /* mass storage */
    case 3:
        return 0x078000;        /* communication, other */
    case 9:
        return 0x000200;        /* what QEMU's machine shows for a host folder */
    }
    return 0x00ff00;
}

PCIDevice *virtio_pci_attach(PCIBus *bus, unsigned slot, VirtIODevice *d)
{
    static const PCIOps ops = { set_master, window_read, window_written };
    uint32_t id = d->ops->device_id;
    VirtIOPCI *v = xcalloc(1, sizeof(*v));
    PCIIdentity identity = { VENDOR_VIRTIO, (uint16_t)(DEVICE_BASE + id), VENDOR_VIRTIO, SUBSYSTEM, class_of(id), 1, true };
    v->device = d;
    PCIDevice *p = v->pci = pci_device_create(bus, slot, &identity, &ops, v);
    pci_add_bar(p, REGISTER_BAR, NPAGES * PAGE, true, "virtio-pci", &register_ops, v);
    unsigned notify = add_capability(p, TYPE_NOTIFY, NOTIFY_PAGE, PAGE, true);
    pci_put32(p->constant + notify + CAP_DATA, NOTIFY_MULTIPLIER);
    add_capability(p, TYPE_DEVICE, DEVICE_PAGE, PAGE, false);
    add_capability(p, TYPE_ISR, ISR_PAGE, PAGE, false);
    add_capability(p, TYPE_COMMON, COMMON_PAGE, PAGE, false);
    add_window(v);
    pci_add_msix(p, MSIX_BAR, d->ops->nqueues + 1);
    d->irq = pci_intx(p);
    d->transport = v;
    d->send_message = send_message;
    virtio_set_dma(d, false);
    return p;
}
