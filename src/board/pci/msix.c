/*
 * MSI-X (PCI Local Bus 3.0, section 6.8.2): a table of messages and an array of pending bits in a BAR.
 *
 * A message is a write of four bytes to the guest's memory.  It goes to RAM or to the interrupt controller, never to
 * other registers: devices would call each other under their locks.
 *
 * Table and pending bits are under a spinlock of rank IRQ, since devices send under their own locks.  What is to be sent
 * is decided under it and sent after it; so a message may still arrive just after its vector was masked, as on a
 * real bus.
 */
#include "board/pci/pci.h"

#include <string.h>

#include "util/error.h"
#include "util/log.h"

enum { CAP_MSIX = 0x11, CAP_SIZE = 12, CONTROL_MASKED = 1 << 14, CONTROL_ON = 1 << 15 };
enum { ENTRY_MASKED = 1, PBA_OFFSET = 0x800 };
_Static_assert(PCI_MSIX_MAX * sizeof(MSIXEntry) <= PBA_OFFSET, "the table lies in front of the pending bits");

static void deliver(const PCIDevice *d, const MSIXEntry *e)
{
    const PCIBusConfig *c = pci_bus_config(d->bus);
    hwaddr address = e->address_low | (hwaddr)e->address_high << 32;
    if (!(c->message && c->message(c->opaque, address, e->data)) && !memory_write(address, &e->data, sizeof(e->data))) {
        log_item(LOG_GUEST_ERRORS, "pci: a message to 0x%llx, where nobody takes it\n", (unsigned long long)address);
    }
}

static bool can_send_locked(const MSIX *x, unsigned n)
{
    return x->on && x->master && !x->masked && !(x->table[n].control & ENTRY_MASKED);
}

/* Send what is pending and may go. */
static void send_pending(PCIDevice *d)
{
    MSIX *x = &d->msix;
    MSIXEntry out[PCI_MSIX_MAX];
    unsigned nout = 0;
    spin_lock(&x->lock);
    for (unsigned n = 0; n < x->nvectors; n++) {
        if ((x->pending >> n & 1) && can_send_locked(x, n)) {
            x->pending &= ~(1u << n);
            out[nout++] = x->table[n];
        }
    }
    spin_unlock(&x->lock);
    for (unsigned i = 0; i < nout; i++) {
        deliver(d, &out[i]);
    }
}

bool pci_msix_send(PCIDevice *d, unsigned n)
{
    MSIX *x = &d->msix;
    if (!__atomic_load_n(&x->on, __ATOMIC_RELAXED)) {
        return false;
    }
    if (n >= x->nvectors) {
        return true;
    }
    spin_lock(&x->lock);
    bool now = can_send_locked(x, n);
    MSIXEntry e = x->table[n];
    x->pending |= now ? 0 : 1u << n;
    spin_unlock(&x->lock);
    if (now) {
        deliver(d, &e);
    }
    return true;
}

void pci_msix_update(PCIDevice *d, uint16_t control, bool master)
{
    MSIX *x = &d->msix;
    spin_lock(&x->lock);
    __atomic_store_n(&x->on, control & CONTROL_ON, __ATOMIC_RELAXED);
    x->masked = control & CONTROL_MASKED;
    x->master = master;
    spin_unlock(&x->lock);
    send_pending(d);
}

void pci_msix_reset(PCIDevice *d)
{
    MSIX *x = &d->msix;
    spin_lock(&x->lock);
    x->pending = 0;
    memset(x->table, 0, sizeof(x->table));
    for (unsigned n = 0; n < x->nvectors; n++) {
        x->table[n].control = ENTRY_MASKED;
    }
    spin_unlock(&x->lock);
}

static const StateField entry_fields[] = {
    STATE(MSIXEntry, address_low), STATE(MSIXEntry, address_high), STATE(MSIXEntry, data), STATE(MSIXEntry, control),
    STATE_END
};

const StateField pci_msix_fields[] = { STATE(MSIX, pending), STATE_OBJECTS(MSIX, table, entry_fields), STATE_END };

/* The word of the table at an offset; NULL: there is none. */
static uint32_t *table_word_locked(MSIX *x, hwaddr offset)
{
    return offset < x->nvectors * sizeof(MSIXEntry) ? (uint32_t *)x->table + offset / 4 : NULL;
}

static uint64_t table_read(void *opaque, hwaddr offset, unsigned size)
{
    MSIX *x = &((PCIDevice *)opaque)->msix;
    spin_lock(&x->lock);
    const uint32_t *word = table_word_locked(x, offset);
    uint32_t value = word ? *word : offset == PBA_OFFSET ? x->pending : 0;
    spin_unlock(&x->lock);
    return value;
}

static void table_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    PCIDevice *d = opaque;
    MSIX *x = &d->msix;
    spin_lock(&x->lock);
    uint32_t *word = table_word_locked(x, offset);
    if (word) {
        *word = (uint32_t)value & (offset % 16 == 12 ? ENTRY_MASKED : offset % 16 == 0 ? ~3u : ~0u);
    }
    spin_unlock(&x->lock);
    send_pending(d);
}

static const MMIOOps table_ops = { table_read, table_write, 4, 4 };

void pci_add_msix(PCIDevice *d, unsigned bar, unsigned nvectors)
{
    braid_assert(nvectors && nvectors <= PCI_MSIX_MAX);
    unsigned at = pci_add_capability(d, CAP_MSIX, CAP_SIZE);
    pci_put16(d->constant + at + 2, (uint16_t)(nvectors - 1));
    pci_put16(d->writable + at + 2, CONTROL_ON | CONTROL_MASKED);
    pci_put32(d->constant + at + 4, bar);
    pci_put32(d->constant + at + 8, PBA_OFFSET | bar);
    d->msix.nvectors = nvectors;
    d->msix.cap = at;
    spin_init(&d->msix.lock, LOCK_RANK_IRQ);
    pci_msix_reset(d);
    pci_add_bar(d, bar, PCI_MSIX_BAR_SIZE, false, "msix", &table_ops, d);
}
