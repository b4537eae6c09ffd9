/*
 * Random accesses to the registers of every device, random rings under the VIRTIO devices, from two threads at once.
 * Nothing is expected of the answers; the process lives (the build may have sanitizers), RAM's surroundings are
 * whole, and afterwards each device works again after a reset.  SEED in the environment repeats a run.
 */
#include "driver.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "board/dev/aclint.h"
#include "board/dev/aplic.h"
#include "board/dev/goldfish-rtc.h"
#include "board/dev/imsic.h"
#include "board/dev/plic.h"
#include "board/dev/uart.h"
#include "board/dev/virtio-blk.h"
#include "board/dev/virtio-console.h"
#include "board/dev/virtio-rng.h"
#include "board/timer.h"

#define ROUNDS 60000
#define NDEVICES 11

static TestLine lines[64];
static struct { const MMIOOps *ops; void *dev; hwaddr size; } devices[NDEVICES];
static VirtIODevice *virtio[3];
static uint64_t seed;

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Numbers near the edges more often than others. */
static uint64_t value(uint64_t *s)
{
    uint64_t r = next(s);
    switch (r >> 60) {
    case 0: return 0;
    case 1: return ~0ull;
    case 2: return 1ull << (r & 63);
    case 3: return RAM + (r & (2 * RAM_SIZE - 1));
    case 4: return r & 0xff;
    case 5: return r & 0xffff;
    default: return next(s);
    }
}

static void access_random(uint64_t *s)
{
    uint64_t r = next(s);
    unsigned i = (unsigned)(r % NDEVICES);
    const MMIOOps *ops = devices[i].ops;
    unsigned min = ops->min_size ? ops->min_size : 1, max = ops->max_size ? ops->max_size : 8;
    unsigned size = min;
    while (size < max && (r >> 20 & 1)) {
        size *= 2;
        r >>= 1;
    }
    hwaddr span = next(s) % 4 ? 0x200 : devices[i].size;
    hwaddr offset = next(s) % (span < devices[i].size ? span : devices[i].size) & ~(hwaddr)(size - 1);
    if (r >> 40 & 1) {
        ops->read(devices[i].dev, offset, size);
    } else {
        ops->write(devices[i].dev, offset, value(s), size);
    }
}

/* A queue that is set up well and then filled with rubbish. */
static void rubbish_ring(uint64_t *s)
{
    VirtIODevice *d = virtio[next(s) % 3];
    unsigned q = (unsigned)(next(s) % d->ops->nqueues);
    if (next(s) % 4 == 0) {
        set_reg(d, R_STATUS, 0);
        set_reg(d, R_DRIVER_SEL, 1);
        set_reg(d, R_DRIVER, 1);
        set_reg(d, R_STATUS, 11);
        setup_queue(d, q);
        set_reg(d, R_STATUS, 15);
    }
    for (unsigned i = 0; i < QSIZE; i++) {
        uint64_t r = next(s);
        *desc(q, i) = (Desc){ r % 8 ? DATA_AT + (r >> 8) % 0x8000 : value(s), r % 16 ? (uint32_t)(r >> 32) % 4096
                              : (uint32_t)value(s), (uint16_t)(r >> 12 & (r % 5 ? 3 : 7)), (uint16_t)(r >> 24) %
                              (r % 64 ? QSIZE : 65536) };
    }
    for (unsigned i = 0; i < 4; i++) {
        offer(d, q, (uint16_t)(next(s) % (QSIZE + (next(s) % 32 == 0))));
    }
}

static void *fuzz(void *arg)
{
    uint64_t s = seed ^ (uintptr_t)arg * 0x9e3779b97f4a7c15ull;
    for (unsigned i = 0; i < ROUNDS; i++) {
        access_random(&s);
        if (i % 16 == 0) {
            rubbish_ring(&s);
        }
    }
    return NULL;
}

static void add(unsigned i, const MMIOOps *ops, void *dev, hwaddr size)
{
    devices[i].ops = ops;
    devices[i].dev = dev;
    devices[i].size = size;
}

static Chardev *null_chardev(void)
{
    char *err;
    return chardev_open("null", &err);
}

static IMSIC *files;
static bool take_message(void *opaque, hwaddr address, uint32_t data)
{
    imsic_message(files, (unsigned)(address / IMSIC_PAGE), data);
    return true;
}

static void create_devices(void)
{
    IRQLine l[64];
    char disk[] = "/tmp/braid-test-fuzz-XXXXXX";
    int fd = mkstemp(disk);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    for (unsigned i = 0; i < 64; i++) {
        l[i] = test_line(lines, i);
    }
    add(0, &plic_ops, plic_create(l, 8), 0x600000);
    add(1, &aclint_ops, aclint_create(l + 8, l + 12, 4), 0x10000);
    add(2, &goldfish_rtc_ops, goldfish_rtc_create(l[20]), 0x1000);
    add(3, &uart_ops, uart_create(l[21], null_chardev()), 0x100);
    virtio[0] = virtio_blk_create(block_open(&(BlockOptions){ disk, false, false, true }), "fuzz");
    virtio[1] = virtio_rng_create();
    virtio[2] = virtio_console_create(null_chardev());
    for (unsigned i = 0; i < 3; i++) {
        virtio[i]->irq = l[22 + i];
        add(4 + i, &virtio_mmio_ops, virtio[i], 0x1000);
    }
    add(7, &virtio_mmio_empty_ops, NULL, 0x1000);
    files = imsic_create(l + 30, 4);
    APLIC *aplic = aplic_create(&(APLICConfig){ .message = take_message });
    add(8, &imsic_ops, files, 4 * IMSIC_PAGE);
    add(9, &aplic_ops, aplic_domain(aplic, false), APLIC_SIZE);
    add(10, &aplic_ops, aplic_domain(aplic, true), APLIC_SIZE);
    unlink(disk);
}

static void test_fuzz(void **state)
{
    pthread_t threads[2];
    memory_add_ram("ram", RAM, RAM_SIZE, false);
    create_devices();
    printf("SEED=%llu\n", (unsigned long long)seed);
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fuzz, (void *)(i + 1)), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    start_driver(virtio[1], 1);
    *desc(0, 0) = (Desc){ DATA_AT, 32, D_WRITE, 0 };
    offer(virtio[1], 0, 0);
    assert_true(wait_used(virtio[1], 0, 1));
    plic_reset(devices[0].dev);
    const MMIOOps *ops = &plic_ops;
    void *dev = devices[0].dev;
    IRQLine source = plic_input(dev, 5);
    WR(4, 4 * 5, 1);
    WR(4, 0x2000, 1 << 5);
    irq_set(&source, true);
    assert_int_equal(RD(4, 0x200004), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_fuzz) };
    const char *given = getenv("SEED");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();
    timers_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
