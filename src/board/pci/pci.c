/*
 * The root bus: configuration space and what follows from it.
 *
 * One lock of rank BUS covers the configuration space of all devices; devices are told of changes under it, and
 * may take their own locks.  Registers behind BARs do not come here.
 *
 * A bit of configuration space is constant, or the guest's (`writable`, `config`) and then 0 after a reset; what the
 * guest's bits mean is looked up afresh after each write (apply_locked()).
 *
 * INTx: each device has an atomic word; the level of one of the four lines is whether any device of the line
 * asserts.  Whoever changes a word then sets the line, and again if it should be otherwise by then [PCI-INTX].
 */
#include "board/pci/pci.h"

#include <string.h>

#include "util/error.h"

enum {
    REG_VENDOR = 0x00, REG_DEVICE = 0x02, REG_COMMAND = 0x04, REG_STATUS = 0x06, REG_REVISION = 0x08, REG_CLASS = 0x09,
    REG_BAR = 0x10, REG_SUBSYSTEM_VENDOR = 0x2c, REG_SUBSYSTEM = 0x2e, REG_CAPABILITIES = 0x34,
    REG_INTERRUPT_LINE = 0x3c, REG_INTERRUPT_PIN = 0x3d, FIRST_CAPABILITY = 0x40,
};
enum { COMMAND_MEMORY = 2, COMMAND_MASTER = 4, COMMAND_INTX_OFF = 0x400, COMMAND_WRITABLE = 0x546 };
enum { STATUS_INTERRUPT = 8, STATUS_CAPABILITIES = 16 };
enum { BAR_64 = 4, BAR_PREFETCH = 8 };
enum { INTX_ASSERTED = 1, INTX_OFF = 2 };
enum { VENDOR_BRIDGE = 0x1b36, DEVICE_BRIDGE = 0x0008, CLASS_HOST_BRIDGE = 0x060000 };

struct PCIBus {
    /* constant before the machine runs */
    PCIBusConfig config;
    PCIDevice *devices[PCI_SLOTS];
    Mutex lock;                 /* rank BUS: the configuration space of all devices */
};

/* ---- INTx ---- */

/* Slot s, INTA: line s mod 4. */
static bool line_wanted(const PCIBus *bus, unsigned line)
{
    for (unsigned s = line; s < PCI_SLOTS; s += 4) {
        const PCIDevice *d = bus->devices[s];
        if (d && __atomic_load_n(&d->intx, __ATOMIC_RELAXED) == INTX_ASSERTED) {
            return true;
        }
    }
    return false;
}

static void intx_change(PCIDevice *d, uint32_t bit, bool set)
{
    const IRQLine *irq = &d->bus->config.irq[d->slot % 4];
    uint32_t old = set ? __atomic_fetch_or(&d->intx, bit, __ATOMIC_RELAXED)
                       : __atomic_fetch_and(&d->intx, ~bit, __ATOMIC_RELAXED);
    if (!(old & bit) == !set) {
        return;
    }
    bool level;
    do {
        level = line_wanted(d->bus, d->slot % 4);
        irq_set(irq, level);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);    /* [PCI-INTX] the line before the second look */
    } while (level != line_wanted(d->bus, d->slot % 4));
}

static void set_intx(void *opaque, unsigned n, bool level)
{
    intx_change(opaque, INTX_ASSERTED, level);
}

IRQLine pci_intx(PCIDevice *d)
{
    return (IRQLine){ set_intx, d, 0 };
}

/* ---- What configuration means ---- */

static hwaddr bar_address(const PCIDevice *d, unsigned n)
{
    const uint8_t *p = d->config + REG_BAR + 4 * n;
    uint64_t a = pci_get32(p) & ~15u;
    return d->bar[n].is_64 ? a | (uint64_t)pci_get32(p + 4) << 32 : a;
}

/* A BAR is seen only inside of the bridge's windows: it must never cover RAM or another device of the board. */
static bool in_window(const PCIBus *bus, hwaddr a, uint64_t size)
{
    for (unsigned i = 0; i < 2; i++) {
        hwaddr base = bus->config.window[i].base;
        uint64_t room = bus->config.window[i].size;
        if (a >= base && a - base < room && size <= room - (a - base)) {
            return true;
        }
    }
    return false;
}

static void apply_locked(PCIDevice *d)
{
    uint16_t command = pci_get16(d->config + REG_COMMAND);
    bool master = command & COMMAND_MASTER;
    for (unsigned n = 0; n < PCI_BARS; n++) {
        const PCIBar *b = &d->bar[n];
        if (b->size && (command & COMMAND_MEMORY) && in_window(d->bus, bar_address(d, n), b->size)) {
            memory_place(b->region, bar_address(d, n));
        } else if (b->size) {
            memory_unplace(b->region);
        }
    }
    if (d->msix.nvectors) {
        pci_msix_update(d, pci_get16(d->config + d->msix.cap + 2), master);
    }
    intx_change(d, INTX_OFF, (command & COMMAND_INTX_OFF) || __atomic_load_n(&d->msix.on, __ATOMIC_RELAXED));
    if (master != d->master) {
        d->master = master;
        if (d->ops && d->ops->set_master) {
            d->ops->set_master(d->opaque, master);
        }
    }
}

/* ---- Reset, and saved states ---- */

static void reset(void *opaque)
{
    PCIDevice *d = opaque;
    mutex_lock(&d->bus->lock);
    memset(d->config, 0, sizeof(d->config));
    if (d->msix.nvectors) {
        pci_msix_reset(d);
    }
    apply_locked(d);
    mutex_unlock(&d->bus->lock);
}

static const StateField fields[] = {
    STATE(PCIDevice, config), STATE(PCIDevice, master), STATE(PCIDevice, intx),
    STATE_OBJECT(PCIDevice, msix, pci_msix_fields), STATE_END
};

/* The device behind the function knows for itself whether it is a bus master. */
static bool loaded(void *opaque)
{
    PCIDevice *d = opaque;
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        d->config[i] &= d->writable[i];
    }
    bool good = d->master == !!(pci_get16(d->config + REG_COMMAND) & COMMAND_MASTER);
    if (good) {
        apply_locked(d);
    }
    return good;
}

const DeviceClass pci_device_class = {
    .name = "pci", .reset = reset, .state = &(const StateTable){ fields, loaded },
};

/* ---- Accesses to configuration space ---- */

/* NULL: nobody is there. */
static PCIDevice *find_device(const PCIBus *bus, hwaddr offset)
{
    bool first = !(offset >> 20) && !(offset >> 12 & 7);    /* bus 0, function 0 */
    return first ? bus->devices[offset >> 15 & 31] : NULL;
}

static uint64_t ecam_read(void *opaque, hwaddr offset, unsigned size)
{
    PCIBus *bus = opaque;
    PCIDevice *d = find_device(bus, offset);
    unsigned reg = offset & 0xfff;
    uint32_t value = 0;
    if (!d) {
        return ~0ull;
    }
    if (reg >= PCI_CONFIG_SIZE) {
        return 0;               /* no extended capabilities */
    }
    mutex_lock(&bus->lock);
    if (d->ops && d->ops->config_read) {
        d->ops->config_read(d->opaque, reg, size);
    }
    for (unsigned i = 0; i < size; i++) {
        value |= (uint32_t)(d->constant[reg + i] | d->config[reg + i]) << 8 * i;
    }
    mutex_unlock(&bus->lock);
    if (reg <= REG_STATUS && reg + size > REG_STATUS &&
        (__atomic_load_n(&d->intx, __ATOMIC_RELAXED) & INTX_ASSERTED)) {
        value |= STATUS_INTERRUPT << 8 * (REG_STATUS - reg);
    }
    return value;
}

static void ecam_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    PCIBus *bus = opaque;
    PCIDevice *d = find_device(bus, offset);
    unsigned reg = offset & 0xfff;
    if (!d || reg >= PCI_CONFIG_SIZE) {
        return;
    }
    mutex_lock(&bus->lock);
    for (unsigned i = 0; i < size; i++) {
        d->config[reg + i] = value >> 8 * i & d->writable[reg + i];
    }
    apply_locked(d);
    if (d->ops && d->ops->config_written) {
        d->ops->config_written(d->opaque, reg, size);
    }
    mutex_unlock(&bus->lock);
}

const MMIOOps pci_ecam_ops = { ecam_read, ecam_write, 1, 4 };

/* ---- Making devices ---- */

bool pci_slot_is_free(const PCIBus *bus, unsigned slot)
{
    return slot < PCI_SLOTS && !bus->devices[slot];
}

unsigned pci_free_slot(const PCIBus *bus)
{
    unsigned s = 0;
    while (s < PCI_SLOTS && bus->devices[s]) {
        s++;
    }
    return s;
}

PCIDevice *pci_device_create(PCIBus *bus, unsigned slot, const PCIIdentity *id, const PCIOps *ops, void *opaque)
{
    braid_assert(pci_slot_is_free(bus, slot));
    PCIDevice *d = xcalloc(1, sizeof(*d));
    d->bus = bus;
    d->slot = slot;
    d->ops = ops;
    d->opaque = opaque;
    d->next_cap = FIRST_CAPABILITY;
    pci_put16(d->constant + REG_VENDOR, id->vendor);
    pci_put16(d->constant + REG_DEVICE, id->device);
    d->constant[REG_REVISION] = id->revision;
    pci_put16(d->constant + REG_CLASS, (uint16_t)id->class_code);
    d->constant[REG_CLASS + 2] = (uint8_t)(id->class_code >> 16);
    pci_put16(d->constant + REG_SUBSYSTEM_VENDOR, id->subsystem_vendor);
    pci_put16(d->constant + REG_SUBSYSTEM, id->subsystem);
    d->constant[REG_INTERRUPT_PIN] = id->has_intx;
    pci_put16(d->writable + REG_COMMAND, COMMAND_WRITABLE);
    d->writable[REG_INTERRUPT_LINE] = 0xff;
    bus->devices[slot] = d;
    return d;
}

void pci_add_bar(PCIDevice *d, unsigned n, uint64_t size, bool is_64, const char *name, const MMIOOps *ops,
                 void *opaque)
{
    braid_assert(size >= 4096 && !(size & (size - 1)) && n + is_64 < PCI_BARS && !d->bar[n].size);
    d->bar[n] = (PCIBar){ size, is_64, memory_new_mmio(name, size, ops, opaque) };
    uint64_t mask = ~(size - 1);
    uint8_t *at = d->writable + REG_BAR + 4 * n;
    pci_put32(at, (uint32_t)mask);
    if (is_64) {
        pci_put32(at + 4, (uint32_t)(mask >> 32));
        pci_put32(d->constant + REG_BAR + 4 * n, BAR_64 | BAR_PREFETCH);
    }
}

unsigned pci_add_capability(PCIDevice *d, uint8_t id, unsigned n)
{
    unsigned at = d->next_cap;
    braid_assert(at + n <= PCI_CONFIG_SIZE);
    d->next_cap = (at + n + 3) & ~3u;
    d->constant[at] = id;
    d->constant[at + 1] = d->constant[REG_CAPABILITIES];    /* the new one comes first */
    d->constant[REG_CAPABILITIES] = (uint8_t)at;
    d->constant[REG_STATUS] |= STATUS_CAPABILITIES;
    return at;
}

const PCIBusConfig *pci_bus_config(const PCIBus *bus)
{
    return &bus->config;
}

PCIBus *pci_bus_create(const PCIBusConfig *config)
{
    static const PCIIdentity bridge = { VENDOR_BRIDGE, DEVICE_BRIDGE, 0x1af4, 0x1100, CLASS_HOST_BRIDGE, 0, false };
    PCIBus *bus = xcalloc(1, sizeof(*bus));
    bus->config = *config;
    mutex_init(&bus->lock, LOCK_RANK_BUS);
    pci_device_create(bus, 0, &bridge, NULL, NULL);
    return bus;
}
