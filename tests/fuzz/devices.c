/*
 * A guest that does what it likes with the board's devices: accesses of any size at any offset, rings with loops,
 * indirect tables, addresses outside of RAM, lengths and indices without sense.  An input is a list of such steps.
 *
 * RAM has inaccessible pages around it where the host's address space was free, so that a byte outside is seen.
 */
#include "input.h"
#include "../dev/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board/dev/aclint.h"
#include "board/dev/goldfish-rtc.h"
#include "board/dev/plic.h"
#include "board/dev/uart.h"
#include "board/dev/virtio-9p.h"
#include "board/dev/virtio-blk.h"
#include "board/dev/virtio-console.h"
#include "board/dev/virtio-net.h"
#include "board/dev/virtio-rng.h"
#include "board/timer.h"
#include "board/virtio/virtio-pci.h"

#define ECAM 0x30000000ull
#define WINDOW 0x40000000ull
#define HIGH_WINDOW 0x400000000ull
#define MMIO(i) (0x10001000ull + 0x1000 * (i))
#define NVIRTIO 5u
#define MAX_STEPS 300

/* What an access may go to. */
static const struct { hwaddr base; uint64_t size; } places[] = {
    { 0xc000000, 0x600000 }, { 0x2000000, 0x10000 }, { 0x101000, 0x1000 }, { 0x10000000, 0x100 },
    { MMIO(0), 0x200 }, { MMIO(1), 0x200 }, { MMIO(2), 0x200 }, { MMIO(3), 0x200 }, { MMIO(4), 0x200 }, { MMIO(5), 0x200 },
    { ECAM, 0x20000 }, { WINDOW, 0x10000 }, { HIGH_WINDOW, 0x10000 }, { ECAM + 0x8000, 0x100 }, { RAM - 16, 32 },
};
#define NPLACES (sizeof(places) / sizeof(places[0]))

static struct FuzzContext {
    TestLine lines[64];
    PLIC *plic;
    ACLINT *aclint;
    GoldfishRTC *rtc;
    UART *uart;
    PCIBus *bus;
    VirtIODevice *virtio[NVIRTIO + 1];  /* the last one is on the PCI bus */
    const NetCard *card;
    void *card_opaque;
} fuzz;

/* ---- instead of libslirp ---- */
struct UserNet { char unused; };

void __wrap_usernet_attach(UserNet *n, const NetCard *card, void *opaque);
void __wrap_usernet_wake(UserNet *n);

void __wrap_usernet_attach(UserNet *n, const NetCard *card, void *opaque)
{
    fuzz.card = card;
    fuzz.card_opaque = opaque;
}

void __wrap_usernet_wake(UserNet *n)
{
}

/* ---- the machine ---- */

static Chardev *null_chardev(void)
{
    char *err;
    return chardev_open("null", &err);
}

static BlockImage *make_disk(void)
{
    char name[64];
    int fd = memfd_create("disk", 0);
    if (fd < 0 || ftruncate(fd, 256 << 10)) {
        abort();
    }
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return block_open(&(BlockOptions){ name, false, false, true });
}

static void make_ram(void)
{
    memory_add_ram("ram", RAM, RAM_SIZE, false);
    uint8_t *host = memory_ram_host(RAM, RAM_SIZE);
    for (int side = -1; side <= 1; side += 2) {
        mmap(side < 0 ? host - 65536 : host + RAM_SIZE, 65536, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    }
}

static void make_virtio(const IRQLine *lines)
{
    static const uint8_t mac[6] = { 2 };
    static UserNet net;
    fuzz.virtio[0] = virtio_blk_create(make_disk(), "fuzz");
    fuzz.virtio[1] = virtio_rng_create();
    fuzz.virtio[2] = virtio_console_create(null_chardev());
    fuzz.virtio[3] = virtio_net_create(&net, mac);
    fuzz.virtio[4] = virtio_blk_create(make_disk(), NULL);
    fuzz.virtio[5] = virtio_rng_create();
    for (unsigned i = 0; i < NVIRTIO; i++) {
        fuzz.virtio[i]->irq = lines[30 + i];
        memory_add_mmio("virtio", MMIO(i), 0x1000, &virtio_mmio_ops, fuzz.virtio[i]);
    }
    memory_add_mmio("virtio", MMIO(NVIRTIO), 0x1000, &virtio_mmio_empty_ops, NULL);
    virtio_pci_attach(fuzz.bus, 1, fuzz.virtio[5]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    IRQLine l[64];
    for (unsigned i = 0; i < 64; i++) {
        l[i] = test_line(fuzz.lines, i);
    }
    timers_start();
    make_ram();
    fuzz.plic = plic_create(l, 8);
    fuzz.aclint = aclint_create(l + 8, l + 12, 4);
    fuzz.rtc = goldfish_rtc_create(l[20]);
    fuzz.uart = uart_create(l[21], null_chardev());
    PCIBusConfig config = { .window = { { WINDOW, 0x40000000 }, { HIGH_WINDOW, 0x400000000 } },
                            .irq = { l[22], l[23], l[24], l[25] } };
    fuzz.bus = pci_bus_create(&config);
    memory_add_mmio("plic", 0xc000000, 0x600000, &plic_ops, fuzz.plic);
    memory_add_mmio("clint", 0x2000000, 0x10000, &aclint_ops, fuzz.aclint);
    memory_add_mmio("rtc", 0x101000, 0x1000, &goldfish_rtc_ops, fuzz.rtc);
    memory_add_mmio("uart", 0x10000000, 0x100, &uart_ops, fuzz.uart);
    memory_add_mmio("ecam", ECAM, 0x100000, &pci_ecam_ops, fuzz.bus);
    make_virtio(l);
    return 0;
}

/* ---- steps ---- */

/* An address: mostly in RAM. */
static uint64_t take_address(FuzzInput *in)
{
    uint64_t how = fuzz_take(in, 1);
    switch (how & 7) {
    case 0:
        return fuzz_take(in, 8);
    case 1:
        return RAM + RAM_SIZE - (fuzz_take(in, 1) & 31);
    case 2:
        return RAM + fuzz_take(in, 2);
    default:
        return DATA_AT + fuzz_take(in, 2);
    }
}

static uint32_t take_length(FuzzInput *in)
{
    uint64_t how = fuzz_take(in, 1);
    return (uint32_t)(how < 8 ? fuzz_take(in, 4) : how < 64 ? fuzz_take(in, 2) : how & 63);
}

static void access_device(FuzzInput *in, bool write)
{
    unsigned i = (unsigned)fuzz_take(in, 1), size = 1u << (fuzz_take(in, 1) & 3);
    hwaddr base = places[i % NPLACES].base, offset = fuzz_take(in, i & 0x80 ? 3 : 1) % places[i % NPLACES].size;
    offset &= ~(hwaddr)(i & 0x40 ? 0 : size - 1);
    if (((base + offset) & 4095) + size > 4096) {
        return;                 /* a CPU would make two of it */
    }
    uint64_t v = write ? i & 0x20 ? take_address(in) : fuzz_take(in, size) : 0;
    if (write) {
        memory_io_write(base + offset, size, v);
    } else {
        memory_io_read(base + offset, size, &v);
    }
}

static void start(VirtIODevice *d)
{
    set_reg(d, R_STATUS, 0);
    set_reg(d, R_STATUS, 3);
    for (unsigned i = 0; i < 2; i++) {
        set_reg(d, R_FEATURES_SEL, i);
        set_reg(d, R_DRIVER_SEL, i);
        set_reg(d, R_DRIVER, reg(d, R_FEATURES));
    }
    set_reg(d, R_STATUS, 11);
    for (unsigned q = 0; q < d->ops->nqueues; q++) {
        setup_queue(d, q);
    }
    set_reg(d, R_STATUS, 15);
}

static void step(FuzzInput *in)
{
    static uint8_t frame[70000];
    unsigned op = (unsigned)fuzz_take(in, 1), q = op >> 4 & 1;
    VirtIODevice *d = fuzz.virtio[(op >> 5) % NVIRTIO];
    switch (op & 15) {
    case 0: case 1: case 2:
        access_device(in, true);
        break;
    case 3:
        access_device(in, false);
        break;
    case 4:
        start(d);
        break;
    case 5: case 6: case 7: {
        Desc t = { .flags = (uint16_t)fuzz_take(in, 1) & (op & 8 ? 0xff : 7) };
        unsigned i = (unsigned)fuzz_take(in, 1) % QSIZE;
        t.next = (uint16_t)fuzz_take(in, 1);
        t.addr = take_address(in);
        t.len = take_length(in);
        *desc(q, i) = t;
        break;
    }
    case 8: case 9:
        offer(d, q, (uint16_t)fuzz_take(in, 1));
        break;
    case 10:            /* the header of a request, an entry of an indirect table */
        for (unsigned i = 0, at = (unsigned)fuzz_take(in, 2); i < 16; i++) {
            *guest(DATA_AT + at + i) = (uint8_t)fuzz_take(in, 1);
        }
        break;
    case 11:
        *guest(QUEUE_AT(q) + fuzz_take(in, 2) % 0x3000) = (uint8_t)fuzz_take(in, 1);
        break;
    case 12:
        fuzz.card->receive(fuzz.card_opaque, frame, fuzz_take(in, 2));
        break;
    case 13:
        fuzz.card->next_frame(fuzz.card_opaque, frame, sizeof(frame));
        break;
    case 14:
        set_reg(d, R_NOTIFY, fuzz_take(in, 1));
        break;
    case 15:
        virtio_reset(d);
        break;
    }
}

/* All that was asked for is done, or will not be. */
static void settle(void)
{
    for (unsigned i = 0; i <= NVIRTIO; i++) {
        VirtIODevice *d = fuzz.virtio[i];
        for (int k = 0; k < 1000 && __atomic_load_n(&d->notified, __ATOMIC_RELAXED) && !d->ops->notify; k++) {
            usleep(10);
        }
        virtio_reset(d);
    }
    plic_reset(fuzz.plic);
    aclint_reset(fuzz.aclint);
    uart_reset(fuzz.uart);
    goldfish_rtc_reset(fuzz.rtc);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    FuzzInput in = { bytes, bytes + size };
    for (int i = 0; i < MAX_STEPS && in.at < in.end; i++) {
        step(&in);
    }
    settle();
    return 0;
}
