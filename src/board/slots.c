/*
 * From options to VIRTIO devices.  Everything happens on the first thread, before the machine runs.
 *
 * "virtio-X-device" goes into the next virtio-mmio slot, "virtio-X-pci" (or just "virtio-X") into the slot of the PCI
 * bus that addr= names, or the lowest free one: first the -devices in the order of the command line, then the
 * folders of -virtfs and the drives with if=virtio, which are PCI functions, in theirs.
 */
#include "board/slots.h"

#include <stdlib.h>
#include <string.h>

#include "board/block.h"
#include "board/dev/virtio-9p.h"
#include "board/dev/virtio-blk.h"
#include "board/dev/virtio-console.h"
#include "board/dev/virtio-net.h"
#include "board/dev/virtio-rng.h"
#include "board/virt.h"
#include "board/virtio/virtio-pci.h"
#include "util/error.h"
#include "util/option.h"
#include "util/strutil.h"

typedef struct Drive {
    char *id, *file, *format, *cache, *aio, *discard, *media;
    int interface;              /* index in "none|virtio" */
    bool readonly, snapshot;
    bool used;
} Drive;

typedef struct NamedChardev {
    char *id;
    Chardev *chardev;
} NamedChardev;

typedef struct DeviceOptions {
    char *id, *drive, *netdev, *mac, *chardev, *serial, *bus, *rng, *name, *addr, *fsdev, *tag, *ignored;
    bool ignored_flag;
    bool pci;                   /* else virtio-mmio */
} DeviceOptions;

typedef struct FsDev {
    char *id, *path, *model, *tag;
    bool readonly;
} FsDev;

/* A virtio-serial device that waits for its virtconsole. */
typedef struct SerialBus {
    DeviceOptions options;
    bool used;
} SerialBus;

static struct SlotContext {
    Drive drives[BOARD_MAX_ITEMS];
    unsigned ndrives;
    UserNet *nets[BOARD_MAX_ITEMS];
    unsigned nnets;
    NamedChardev chardevs[BOARD_MAX_ITEMS];
    unsigned nchardevs;
    FsDev fsdevs[BOARD_MAX_ITEMS];
    unsigned nfsdevs;
    SerialBus serials[BOARD_MAX_ITEMS];
    unsigned nserials;
    const IRQLine *irqs;
    unsigned nslots;            /* of virtio-mmio, given out */
    PCIBus *pci;
    VirtIODevice *blocks[2 * BOARD_MAX_ITEMS];
    unsigned nblocks, ncards;
} slots;

/* ---- -drive ---- */

static const SubOptionDef drive_defs[] = {
    { "file", SUBOPTION_STRING, offsetof(Drive, file), 0, 0, NULL, "the image" },
    { "id", SUBOPTION_STRING, offsetof(Drive, id), 0, 0, NULL, "name for -device ...,drive=" },
    { "if", SUBOPTION_ENUM, offsetof(Drive, interface), 0, 0, "none|virtio", "what it is connected to" },
    { "format", SUBOPTION_STRING, offsetof(Drive, format), 0, 0, NULL, "raw" },
    { "readonly", SUBOPTION_BOOL, offsetof(Drive, readonly), 0, 0, NULL, "never written" },
    { "read-only", SUBOPTION_BOOL, offsetof(Drive, readonly), 0, 0, NULL, "never written" },
    { "snapshot", SUBOPTION_BOOL, offsetof(Drive, snapshot), 0, 0, NULL, "writes are thrown away at the end" },
    { "discard", SUBOPTION_STRING, offsetof(Drive, discard), 0, 0, NULL, "unmap or ignore" },
    { "media", SUBOPTION_STRING, offsetof(Drive, media), 0, 0, NULL, "disk" },
    { "cache", SUBOPTION_STRING, offsetof(Drive, cache), 0, 0, NULL, "no effect: flushes are always honoured" },
    { "aio", SUBOPTION_STRING, offsetof(Drive, aio), 0, 0, NULL, "no effect" },
};

/*
 * The list behind an option, by its table, into *config.  What stands before the first comma, freed by the caller,
 * or NULL if that is KEY=VALUE like the others.
 */
static char *parse_list(const char *option, const char *text, const SubOptionDef *defs, size_t n_defs, void *config)
{
    char *name = NULL, *err = NULL;
    if (!suboption_parse(option, text, defs, n_defs, config, &name, &err)) {
        fatal_usage("%s", err);
    }
    return name;
}

static void check_unique(const char *option, const char *id, const char *other)
{
    if (id && other && !strcmp(id, other)) {
        fatal_usage("two %ss have the id '%s'", option, id);
    }
}

static void check_choice(const char *option, const char *key, const char *value, const char *a, const char *b)
{
    if (value && strcmp(value, a) && strcmp(value, b)) {
        fatal_usage("%s: %s=%s is neither %s nor %s", option, key, value, a, b);
    }
}

static void parse_drive(const char *text)
{
    Drive *d = &slots.drives[slots.ndrives];
    *d = (Drive){ .interface = 1 };
    const char *name = parse_list("-drive", text, drive_defs, array_size(drive_defs), d);
    if (name) {
        fatal_usage("-drive: '%s' should be file=%s", name, name);
    }
    if (!d->file) {
        fatal_usage("-drive '%s' names no file=", text);
    }
    if (d->format && strcmp(d->format, "raw")) {
        fatal_usage("-drive: format=%s is not known, only raw", d->format);
    }
    check_choice("-drive", "discard", d->discard, "unmap", "ignore");
    for (unsigned i = 0; i < slots.ndrives; i++) {
        check_unique("-drive", d->id, slots.drives[i].id);
    }
    slots.ndrives++;
}

static Drive *find_drive(const char *id)
{
    for (unsigned i = 0; i < slots.ndrives; i++) {
        if (slots.drives[i].id && !strcmp(slots.drives[i].id, id)) {
            return &slots.drives[i];
        }
    }
    fatal_usage("-device: there is no -drive with id=%s", id);
}

/* ---- Slots ---- */

static void fill_mmio_slot(VirtIODevice *d)
{
    static const char *const names[VIRT_VIRTIO_SLOTS] = {
        "virtio-mmio.0", "virtio-mmio.1", "virtio-mmio.2", "virtio-mmio.3",
        "virtio-mmio.4", "virtio-mmio.5", "virtio-mmio.6", "virtio-mmio.7",
    };
    if (slots.nslots == VIRT_VIRTIO_SLOTS) {
        fatal_usage("-device: no virtio-mmio slot is left, there are %d; virtio-...-pci has more room",
                    VIRT_VIRTIO_SLOTS);
    }
    if (d) {
        d->irq = slots.irqs[slots.nslots];
    }
    memory_add_mmio(names[slots.nslots], VIRT_VIRTIO + slots.nslots * VIRT_VIRTIO_SIZE, VIRT_VIRTIO_SIZE,
                    d ? &virtio_mmio_ops : &virtio_mmio_empty_ops, d);
    if (d) {
        device_add(names[slots.nslots], &virtio_class, d);
    }
    slots.nslots++;
}

/* "3", "0x1f", "3.0": hexadecimal as in QEMU.  NULL: any. */
static unsigned pci_slot(const char *addr)
{
    unsigned slot = pci_free_slot(slots.pci), function = 0;
    int end = 0;
    if (!addr) {
        if (slot == PCI_SLOTS) {
            fatal_usage("-device: no slot is left on the PCI bus, there are %u", PCI_SLOTS);
        }
        return slot;
    }
    bool good = sscanf(addr, "%x%n.%x%n", &slot, &end, &function, &end) >= 1 && !addr[end];
    if (!good || slot >= PCI_SLOTS || function) {
        fatal_usage("-device: addr=%s is not a slot of the PCI bus (1 to 1f, function 0)", addr);
    }
    if (!pci_slot_is_free(slots.pci, slot)) {
        fatal_usage("-device: addr=%s is taken", addr);
    }
    return slot;
}

static void attach(const DeviceOptions *o, VirtIODevice *d)
{
    if (o->pci) {
        unsigned slot = pci_slot(o->addr);
        device_add(str_format("pci.%u", slot), &pci_device_class, virtio_pci_attach(slots.pci, slot, d));
        device_add(str_format("virtio-pci.%u", slot), &virtio_class, d);
    } else if (o->addr) {
        fatal_usage("-device: addr= is for devices on the PCI bus (virtio-...-pci)");
    } else {
        fill_mmio_slot(d);
    }
}

static void add_block(const DeviceOptions *o, Drive *d)
{
    if (d->used) {
        fatal_usage("-device: drive '%s' is used twice (a -drive for -device has if=none)", d->id);
    }
    d->used = true;
    BlockOptions b = { .file = d->file, .readonly = d->readonly, .snapshot = d->snapshot,
                       .discard = d->discard && !strcmp(d->discard, "unmap") };
    VirtIODevice *v = virtio_blk_create(block_open(&b), o->serial);
    slots.blocks[slots.nblocks++] = v;
    attach(o, v);
}

/* ---- -chardev ---- */

typedef struct ChardevOptions {
    char *id, *path, *host, *port;
    bool mux, server, wait;
} ChardevOptions;

static const SubOptionDef chardev_defs[] = {
    { "id", SUBOPTION_STRING, offsetof(ChardevOptions, id), 0, 0, NULL, "its name" },
    { "path", SUBOPTION_STRING, offsetof(ChardevOptions, path), 0, 0, NULL, "of a file or socket" },
    { "host", SUBOPTION_STRING, offsetof(ChardevOptions, host), 0, 0, NULL, "of a socket" },
    { "port", SUBOPTION_STRING, offsetof(ChardevOptions, port), 0, 0, NULL, "of a socket" },
    { "mux", SUBOPTION_BOOL, offsetof(ChardevOptions, mux), 0, 0, NULL, "shared with the monitor (stdio)" },
    { "server", SUBOPTION_BOOL, offsetof(ChardevOptions, server), 0, 0, NULL, "listen" },
    { "wait", SUBOPTION_BOOL, offsetof(ChardevOptions, wait), 0, 0, NULL, "for a connection first" },
};

static char *chardev_spec(const char *kind, const ChardevOptions *o, const char *text)
{
    const char *server = o->server ? ",server=on" : "", *wait = o->server && !o->wait ? ",wait=off" : "";
    if (!strcmp(kind, "stdio")) {
        return xstrdup(o->mux ? "mon:stdio" : "stdio");
    }
    if (!strcmp(kind, "null")) {
        return xstrdup("null");
    }
    if (!strcmp(kind, "file") && o->path) {
        return str_format("file:%s", o->path);
    }
    if (!strcmp(kind, "socket") && o->path) {
        return str_format("unix:%s%s%s", o->path, server, wait);
    }
    if (!strcmp(kind, "socket") && o->port) {
        return str_format("tcp:%s:%s%s%s", o->host ? o->host : "", o->port, server, wait);
    }
    fatal_usage("-chardev '%s': known are stdio, null, file,path= and socket,path= or socket,host=,port=", text);
}

static void parse_chardev(const char *text)
{
    ChardevOptions o = { .wait = true };
    char *err = NULL, *kind = parse_list("-chardev", text, chardev_defs, array_size(chardev_defs), &o);
    if (!kind || !o.id) {
        fatal_usage("-chardev '%s' should be KIND,id=NAME,...", text);
    }
    for (unsigned i = 0; i < slots.nchardevs; i++) {
        check_unique("-chardev", o.id, slots.chardevs[i].id);
    }
    char *spec = chardev_spec(kind, &o, text);
    Chardev *c = chardev_open(spec, &err);
    if (!c) {
        fatal_usage("-chardev: %s", err);
    }
    slots.chardevs[slots.nchardevs++] = (NamedChardev){ o.id, c };
    free(spec);
    free(kind);
}

Chardev *slots_find_chardev(const char *option, const char *text)
{
    char *err = NULL;
    const char *id = strncmp(text, "chardev:", 8) ? NULL : text + 8;
    for (unsigned i = 0; id && i < slots.nchardevs; i++) {
        if (!strcmp(slots.chardevs[i].id, id)) {
            return slots.chardevs[i].chardev;
        }
    }
    if (id) {
        fatal_usage("%s: there is no -chardev with id=%s", option, id);
    }
    Chardev *c = chardev_open(text, &err);
    if (!c) {
        fatal_usage("%s: %s", option, err);
    }
    return c;
}

/* ---- -fsdev, -virtfs ---- */

static const SubOptionDef fsdev_defs[] = {
    { "id", SUBOPTION_STRING, offsetof(FsDev, id), 0, 0, NULL, "its name" },
    { "path", SUBOPTION_STRING, offsetof(FsDev, path), 0, 0, NULL, "of the folder" },
    { "mount_tag", SUBOPTION_STRING, offsetof(FsDev, tag), 0, 0, NULL, "name by which the guest mounts it (-virtfs)" },
    { "security_model", SUBOPTION_STRING, offsetof(FsDev, model), 0, 0, NULL, "none or passthrough" },
    { "readonly", SUBOPTION_BOOL, offsetof(FsDev, readonly), 0, 0, NULL, "the guest changes nothing" },
};

static FsDev parse_fsdev(const char *option, const char *text)
{
    FsDev f = { 0 };
    char *kind = parse_list(option, text, fsdev_defs, array_size(fsdev_defs), &f);
    if (!kind || strcmp(kind, "local") || !f.path) {
        fatal_usage("%s '%s' should be local,path=FOLDER,...", option, text);
    }
    check_choice(option, "security_model", f.model, "none", "passthrough");
    free(kind);
    return f;
}

static void add_fsdev(const char *text)
{
    FsDev f = parse_fsdev("-fsdev", text);
    if (!f.id || f.tag) {
        fatal_usage("-fsdev '%s' should have an id=, and its -device the mount_tag=", text);
    }
    for (unsigned i = 0; i < slots.nfsdevs; i++) {
        check_unique("-fsdev", f.id, slots.fsdevs[i].id);
    }
    slots.fsdevs[slots.nfsdevs++] = f;
}

static void share_folder(const DeviceOptions *o, const FsDev *f, const char *tag)
{
    char *err = NULL;
    P9Options options = { f->path, f->readonly, f->model && !strcmp(f->model, "passthrough") };
    if (!*tag || strlen(tag) > VIRTIO_9P_TAG_MAX) {
        fatal_usage("mount_tag= is a name of 1 to %u bytes", VIRTIO_9P_TAG_MAX);
    }
    P9Server *s = p9_create(&options, &err);
    if (!s) {
        fatal_usage("%s", err);
    }
    attach(o, virtio_9p_create(s, tag));
}

static void add_virtfs(const char *text)
{
    FsDev f = parse_fsdev("-virtfs", text);
    if (!f.tag) {
        fatal_usage("-virtfs '%s' names no mount_tag=", text);
    }
    share_folder(&(DeviceOptions){ .pci = true }, &f, f.tag);
}

/* ---- -device ---- */

static const SubOptionDef device_defs[] = {
    { "id", SUBOPTION_STRING, offsetof(DeviceOptions, id), 0, 0, NULL, "its name" },
    { "drive", SUBOPTION_STRING, offsetof(DeviceOptions, drive), 0, 0, NULL, "id of a -drive with if=none" },
    { "netdev", SUBOPTION_STRING, offsetof(DeviceOptions, netdev), 0, 0, NULL, "id of a -netdev" },
    { "mac", SUBOPTION_STRING, offsetof(DeviceOptions, mac), 0, 0, NULL, "the card's address" },
    { "chardev", SUBOPTION_STRING, offsetof(DeviceOptions, chardev), 0, 0, NULL, "id of a -chardev" },
    { "serial", SUBOPTION_STRING, offsetof(DeviceOptions, serial), 0, 0, NULL, "serial number of a disk" },
    { "addr", SUBOPTION_STRING, offsetof(DeviceOptions, addr), 0, 0, NULL, "slot of the PCI bus, hexadecimal" },
    { "bus", SUBOPTION_STRING, offsetof(DeviceOptions, bus), 0, 0, NULL, "of a virtconsole: ID.0 of a virtio-serial" },
    { "romfile", SUBOPTION_STRING, offsetof(DeviceOptions, ignored), 0, 0, NULL, "no effect: there are no ROMs" },
    { "bootindex", SUBOPTION_STRING, offsetof(DeviceOptions, ignored), 0, 0, NULL, "no effect" },
    { "disable-legacy", SUBOPTION_STRING, offsetof(DeviceOptions, ignored), 0, 0, NULL, "no effect: it is" },
    { "disable-modern", SUBOPTION_BOOL, offsetof(DeviceOptions, ignored_flag), 0, 0, NULL, "off" },
    { "fsdev", SUBOPTION_STRING, offsetof(DeviceOptions, fsdev), 0, 0, NULL, "id of a -fsdev" },
    { "mount_tag", SUBOPTION_STRING, offsetof(DeviceOptions, tag), 0, 0, NULL, "name by which the guest mounts it" },
    { "rng", SUBOPTION_STRING, offsetof(DeviceOptions, rng), 0, 0, NULL, "no effect: the host's" },
    { "name", SUBOPTION_STRING, offsetof(DeviceOptions, name), 0, 0, NULL, "no effect" },
};

static void need(const char *device, const char *key, const char *value)
{
    if (!value) {
        fatal_usage("-device %s needs %s=", device, key);
    }
}

static void make_block(const DeviceOptions *o)
{
    need("virtio-blk", "drive", o->drive);
    add_block(o, find_drive(o->drive));
}

static void make_net(const DeviceOptions *o)
{
    uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, (uint8_t)(0x56 + slots.ncards) };
    char end;
    need("virtio-net", "netdev", o->netdev);
    if (o->mac && sscanf(o->mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%c", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
                         &mac[5], &end) != 6) {
        fatal_usage("-device virtio-net: mac=%s is not six bytes like 52:54:00:12:34:56", o->mac);
    }
    for (unsigned i = 0; i < slots.nnets; i++) {
        if (!strcmp(usernet_id(slots.nets[i]), o->netdev)) {
            slots.ncards++;
            attach(o, virtio_net_create(slots.nets[i], mac));
            return;
        }
    }
    fatal_usage("-device virtio-net: there is no -netdev with id=%s", o->netdev);
}

static void make_rng(const DeviceOptions *o)
{
    attach(o, virtio_rng_create());
}

static void make_9p(const DeviceOptions *o)
{
    need("virtio-9p", "fsdev", o->fsdev);
    need("virtio-9p", "mount_tag", o->tag);
    for (unsigned i = 0; i < slots.nfsdevs; i++) {
        if (!strcmp(slots.fsdevs[i].id, o->fsdev)) {
            share_folder(o, &slots.fsdevs[i], o->tag);
            return;
        }
    }
    fatal_usage("-device virtio-9p: there is no -fsdev with id=%s", o->fsdev);
}

/* The device comes with its virtconsole: one that has no port would do nothing. */
static void make_serial(const DeviceOptions *o)
{
    slots.serials[slots.nserials++].options = *o;
}

/* The virtio-serial that bus= names, else the first without a console; NULL: none is left. */
static SerialBus *find_serial(const char *bus)
{
    for (unsigned i = 0; i < slots.nserials; i++) {
        SerialBus *b = &slots.serials[i];
        size_t n = b->options.id ? strlen(b->options.id) : 0;
        if (bus ? n && !strncmp(bus, b->options.id, n) && !strcmp(bus + n, ".0") : !b->used) {
            if (b->used) {
                fatal_usage("-device virtconsole: bus=%s has a console already, and there is room for one", bus);
            }
            return b;
        }
    }
    if (bus) {
        fatal_usage("-device virtconsole: there is no -device virtio-serial with an id= for bus=%s", bus);
    }
    return NULL;
}

static void make_console(const DeviceOptions *o)
{
    need("virtconsole", "chardev", o->chardev);
    SerialBus *b = find_serial(o->bus);
    char *name = str_format("chardev:%s", o->chardev);
    attach(b ? &b->options : o, virtio_console_create(slots_find_chardev("-device virtconsole", name)));
    free(name);
    if (b) {
        b->used = true;
    }
}

static const struct DeviceKind {
    const char *name;
    void (*make)(const DeviceOptions *o);
    bool has_bus;               /* the name says to which bus it goes */
} kinds[] = {
    { "virtio-blk", make_block, true },
    { "virtio-net", make_net, true },
    { "virtio-rng", make_rng, true },
    { "virtio-9p", make_9p, true },
    { "virtio-serial", make_serial, true },
    { "virtconsole", make_console, false },
};
static const struct KindSuffix {
    const char *text;
    bool pci;
} suffixes[] = { { "-device", false }, { "-pci", true }, { "", true }, { "-pci-non-transitional", true } };

static const char *kind_name(const void *ctx, size_t i)
{
    return kinds[i].name;
}

/* "virtio-blk-pci" and the like; false: no such device. */
static bool make_device(const char *kind, DeviceOptions *o)
{
    for (unsigned i = 0; i < array_size(kinds); i++) {
        size_t n = strlen(kinds[i].name);
        for (unsigned k = 0; !strncmp(kind, kinds[i].name, n) && k < array_size(suffixes); k++) {
            bool plain = !*suffixes[k].text;
            if (!strcmp(kind + n, suffixes[k].text) && (kinds[i].has_bus || plain)) {
                o->pci = kinds[i].has_bus && suffixes[k].pci;
                kinds[i].make(o);
                return true;
            }
        }
    }
    return false;
}

static void parse_device(const char *text)
{
    DeviceOptions o = { 0 };
    char *kind = parse_list("-device", text, device_defs, array_size(device_defs), &o);
    if (!kind || !make_device(kind, &o)) {
        const char *near = kind ? str_nearest(kind, strlen(kind), kind_name, NULL, array_size(kinds)) : NULL;
        fatal_usage("-device: no device is called '%s'%s%s%s", kind ? kind : text, near ? "; did you mean '" : "",
                    near ? near : "", near ? "'?" : "");
    }
    free(kind);
}

void slots_create(const BoardOptions *o, const IRQLine *irqs, PCIBus *pci)
{
    slots.irqs = irqs;
    slots.pci = pci;
    for (unsigned i = 0; i < o->ndrives; i++) {
        parse_drive(o->drives[i]);
    }
    for (unsigned i = 0; i < o->nnetdevs; i++) {
        UserNet *u = usernet_create(o->netdevs[i]);
        for (unsigned k = 0; k < slots.nnets; k++) {
            check_unique("-netdev", usernet_id(u), usernet_id(slots.nets[k]));
        }
        slots.nets[slots.nnets++] = u;
    }
    for (unsigned i = 0; i < o->nfsdevs; i++) {
        add_fsdev(o->fsdevs[i]);
    }
    for (unsigned i = 0; i < o->ndevices; i++) {
        parse_device(o->devices[i]);
    }
    for (unsigned i = 0; i < o->nvirtfs; i++) {
        add_virtfs(o->virtfs[i]);
    }
    for (unsigned i = 0; i < slots.ndrives; i++) {
        if (slots.drives[i].interface == 1) {
            add_block(&(DeviceOptions){ .pci = true }, &slots.drives[i]);
        }
    }
    for (unsigned i = 0; i < slots.ndrives; i++) {
        if (!slots.drives[i].used) {
            warn("-drive %s has if=none, and no -device uses it", slots.drives[i].file);
        }
    }
    while (slots.nslots < VIRT_VIRTIO_SLOTS) {
        fill_mmio_slot(NULL);
    }
}

void slots_parse_chardevs(const BoardOptions *o)
{
    for (unsigned i = 0; i < o->nchardevs; i++) {
        parse_chardev(o->chardevs[i]);
    }
}

void slots_print_network(FILE *out)
{
    for (unsigned i = 0; i < slots.nnets; i++) {
        usernet_print(slots.nets[i], out);
    }
}

void slots_finish(void)
{
    for (unsigned i = 0; i < slots.nblocks; i++) {
        virtio_blk_finish(slots.blocks[i]);
    }
}
