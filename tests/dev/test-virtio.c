/* VIRTIO 1.2 over MMIO: initialisation, the block and entropy devices, and drivers that make no sense. */
#include "driver.h"

#include <stdlib.h>
#include <unistd.h>

#include "board/dev/virtio-blk.h"
#include "board/dev/virtio-rng.h"

#define DISK_SIZE (256 * 1024)
#define HEADER DATA_AT
#define STATUS (DATA_AT + 0x100)
#define BUFFER (DATA_AT + 0x1000)

static TestLine line;
static char path[] = "/tmp/braid-test-disk-XXXXXX";
static int disk_fd;
static VirtIODevice *blk, *ro, *snap, *rng;

static uint8_t pattern(unsigned i) { return (uint8_t)(i * 7 + i / 512); }

static int setup_all(void **state)
{
    uint8_t sector[512];
    memory_add_ram("ram", RAM, RAM_SIZE, false);
    disk_fd = mkstemp(path);
    for (unsigned i = 0; i < DISK_SIZE / 512; i++) {
        for (unsigned k = 0; k < 512; k++) {
            sector[k] = pattern(i * 512 + k);
        }
        assert_int_equal(write(disk_fd, sector, 512), 512);
    }
    /* Read-only users share an image; a writer has one for itself. */
    snap = virtio_blk_create(block_open(&(BlockOptions){ path, false, true, false }), NULL);
    ro = virtio_blk_create(block_open(&(BlockOptions){ path, true, false, false }), NULL);
    char copy[] = "/tmp/braid-test-disk-XXXXXX";
    int fd = mkstemp(copy);
    assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
    blk = virtio_blk_create(block_open(&(BlockOptions){ copy, false, false, true }), "serial-1");
    unlink(copy);
    rng = virtio_rng_create();
    snap->irq = ro->irq = blk->irq = rng->irq = test_line(&line, 0);
    return 0;
}

static int remove_all(void **state)
{
    unlink(path);
    return 0;
}

/* One request: type, sector, n bytes at BUFFER, read by the device or written.  Returns the status byte. */
static uint8_t request(VirtIODevice *d, uint32_t type, uint64_t sector, uint32_t n, bool in)
{
    uint32_t header[4] = { type, 0, (uint32_t)sector, (uint32_t)(sector >> 32) };
    uint16_t before = used_index(0);
    memcpy(guest(HEADER), header, sizeof(header));
    *guest(STATUS) = 0xee;
    *desc(0, 0) = (Desc){ HEADER, 16, D_NEXT, n ? 1 : 2 };
    *desc(0, 1) = (Desc){ BUFFER, n, D_NEXT | (in ? D_WRITE : 0), 2 };
    *desc(0, 2) = (Desc){ STATUS, 1, D_WRITE, 0 };
    offer(d, 0, 0);
    assert_true(wait_used(d, 0, (uint16_t)(before + 1)));
    return *guest(STATUS);
}

static void test_negotiation(void **state)
{
    set_reg(blk, R_STATUS, 0);
    assert_int_equal(reg(blk, R_MAGIC), 0x74726976);
    assert_int_equal(reg(blk, R_VERSION), 2);
    assert_int_equal(reg(blk, R_ID), 2);
    assert_int_equal(reg(rng, R_ID), 4);
    set_reg(blk, R_FEATURES_SEL, 1);
    assert_int_equal(reg(blk, R_FEATURES) & 1, 1);          /* VERSION_1 */
    set_reg(blk, R_STATUS, 3);
    set_reg(blk, R_DRIVER_SEL, 1);
    set_reg(blk, R_DRIVER, 0);
    set_reg(blk, R_STATUS, 11);
    assert_int_equal(reg(blk, R_STATUS), 3);                /* no VERSION_1: FEATURES_OK is refused */
    set_reg(blk, R_DRIVER, 0xffffffff);
    set_reg(blk, R_STATUS, 11);
    assert_int_equal(reg(blk, R_STATUS), 3);                /* what was not offered */
    set_reg(blk, R_QSEL, 1);
    assert_int_equal(reg(blk, R_QMAX), 0);                  /* one queue */
    uint64_t capacity = virtio_mmio_ops.read(blk, R_CONFIG, 4);
    assert_int_equal(capacity, DISK_SIZE / 512);
}

static void test_read_write(void **state)
{
    start_driver(blk, 1);
    for (unsigned i = 0; i < 4096; i++) {
        guest(BUFFER)[i] = pattern(i + 5);
    }
    assert_int_equal(request(blk, 1, 100, 4096, false), 0);
    assert_int_equal(used_length(0, 0), 1);
    assert_int_equal(request(blk, 4, 0, 0, false), 0);      /* flush */
    memset(guest(BUFFER), 0, 4096);
    assert_int_equal(request(blk, 0, 102, 3072, true), 0);
    assert_int_equal(used_length(0, 2), 3073);
    for (unsigned i = 0; i < 3072; i++) {
        assert_int_equal(guest(BUFFER)[i], pattern(i + 1024 + 5));
    }
    assert_int_equal(guest(BUFFER)[3072], 0);
    assert_int_equal(request(blk, 8, 0, 20, true), 0);      /* id */
    assert_string_equal((char *)guest(BUFFER), "serial-1");
    assert_true(line_level(&line));
    set_reg(blk, R_ACK, reg(blk, R_ISR));
    assert_false(line_level(&line));
}

static void test_limits(void **state)
{
    start_driver(blk, 1);
    assert_int_equal(request(blk, 0, DISK_SIZE / 512, 512, true), 1);
    assert_int_equal(request(blk, 0, DISK_SIZE / 512 - 1, 1024, true), 1);
    assert_int_equal(request(blk, 0, DISK_SIZE / 512 - 1, 512, true), 0);
    assert_int_equal(request(blk, 1, ~0ull, 512, false), 1);
    assert_int_equal(request(blk, 1, ~0ull / 512, 512, false), 1);
    assert_int_equal(request(blk, 0, 0, 100, true), 1);     /* no whole sectors */
    assert_int_equal(request(blk, 77, 0, 512, true), 2);    /* unknown */
}

static void test_discard_zeroes(void **state)
{
    typedef struct { uint64_t sector; uint32_t n, flags; } Range;
    start_driver(blk, 1);
    memset(guest(BUFFER), 0x55, 4096);
    assert_int_equal(request(blk, 1, 8, 4096, false), 0);
    *(Range *)guest(BUFFER) = (Range){ 9, 2, 0 };
    assert_int_equal(request(blk, 13, 0, 16, false), 0);    /* write zeroes */
    assert_int_equal(request(blk, 0, 8, 2048, true), 0);
    assert_int_equal(guest(BUFFER)[511], 0x55);
    assert_int_equal(guest(BUFFER)[512], 0);
    assert_int_equal(guest(BUFFER)[1535], 0);
    assert_int_equal(guest(BUFFER)[1536], 0x55);
    *(Range *)guest(BUFFER) = (Range){ DISK_SIZE / 512 - 1, 2, 0 };
    assert_int_equal(request(blk, 13, 0, 16, false), 1);
    *(Range *)guest(BUFFER) = (Range){ 0, 1, 0 };
    assert_int_equal(request(blk, 11, 0, 16, false), 0);    /* discard */
}

static void test_readonly(void **state)
{
    start_driver(ro, 1);
    set_reg(ro, R_FEATURES_SEL, 0);
    assert_int_equal(reg(ro, R_FEATURES) >> 5 & 1, 1);
    assert_int_equal(request(ro, 0, 3, 512, true), 0);
    assert_int_equal(guest(BUFFER)[5], pattern(3 * 512 + 5));
    assert_int_equal(request(ro, 1, 3, 512, false), 1);
}

static void test_snapshot(void **state)
{
    uint8_t byte = 0;
    start_driver(snap, 1);
    memset(guest(BUFFER), 0xaa, 2048);
    assert_int_equal(request(snap, 1, 127, 1024, false), 0);    /* across two pieces of 64 KiB */
    assert_int_equal(request(snap, 0, 126, 2048, true), 0);
    assert_int_equal(guest(BUFFER)[0], pattern(126 * 512));
    assert_int_equal(guest(BUFFER)[512], 0xaa);
    assert_int_equal(guest(BUFFER)[1535], 0xaa);
    assert_int_equal(guest(BUFFER)[1536], pattern(129 * 512));
    assert_int_equal(pread(disk_fd, &byte, 1, 127 * 512), 1);
    assert_int_equal(byte, pattern(127 * 512));                 /* the image is as it was */
}

static void test_rng(void **state)
{
    start_driver(rng, 1);
    memset(guest(BUFFER), 0, 64);
    *desc(0, 3) = (Desc){ BUFFER, 64, D_WRITE, 0 };
    offer(rng, 0, 3);
    assert_true(wait_used(rng, 0, 1));
    assert_int_equal(used_length(0, 0), 64);
    unsigned zero = 0;
    for (unsigned i = 0; i < 64; i++) {
        zero += guest(BUFFER)[i] == 0;
    }
    assert_true(zero < 16);
}

static void test_indirect(void **state)
{
    Desc *table = (Desc *)guest(DATA_AT + 0x8000);
    uint32_t header[4] = { 0, 0, 0, 0 };
    start_driver(ro, 1);
    memcpy(guest(HEADER), header, sizeof(header));
    table[0] = (Desc){ HEADER, 16, D_NEXT, 2 };
    table[2] = (Desc){ BUFFER, 512, D_NEXT | D_WRITE, 1 };
    table[1] = (Desc){ STATUS, 1, D_WRITE, 0 };
    *desc(0, 5) = (Desc){ DATA_AT + 0x8000, 48, D_INDIRECT, 0 };
    offer(ro, 0, 5);
    assert_true(wait_used(ro, 0, 1));
    assert_int_equal(*guest(STATUS), 0);
    assert_int_equal(guest(BUFFER)[9], pattern(9));
}

static hwaddr written[4096];
static unsigned nwritten;
static void remember_written(hwaddr pa, uint64_t n)
{
    for (; n; pa++, n--) {
        unsigned i = __atomic_fetch_add(&nwritten, 1, __ATOMIC_SEQ_CST);
        written[i % 4096] = pa;
    }
}

static bool was_written(hwaddr pa)
{
    for (unsigned i = 0; i < nwritten && i < 4096; i++) {
        if (written[i] == pa) {
            return true;
        }
    }
    return false;
}

/* Whoever keeps translations of guest memory hears of each byte that a device writes, in buffers and in rings. */
static void test_written(void **state)
{
    hwaddr ring = QUEUE_AT(0) + 0x2000;
    memory_set_hooks(&(MemoryHooks){ .ram_written = remember_written });
    start_driver(ro, 1);
    nwritten = 0;
    memset(guest(ring), 0x33, 4 + 8 * QSIZE);
    memset(used(0), 0, 4);
    assert_int_equal(request(ro, 0, 3, 512, true), 0);
    set_reg(ro, R_STATUS, 0);                   /* the worker is done */
    memory_set_hooks(&(MemoryHooks){ 0 });
    for (unsigned i = 0; i < 512; i++) {
        assert_true(was_written(BUFFER + i));
    }
    assert_true(was_written(STATUS));
    for (unsigned i = 0; i < 12; i++) {         /* flags, index, the first element */
        assert_true(was_written(ring + i));
    }
    assert_false(was_written(ring + 12) || was_written(BUFFER + 512) || was_written(HEADER));
}

/* Each makes the device ask for a reset, and after the reset it works again. */
static void test_nonsense(void **state)
{
    for (unsigned kind = 0; kind < 12; kind++) {
        start_driver(ro, 1);
        uint16_t head = 0;
        *desc(0, 0) = (Desc){ HEADER, 16, D_NEXT, 1 };
        *desc(0, 1) = (Desc){ BUFFER, 512, D_NEXT | D_WRITE, 2 };
        *desc(0, 2) = (Desc){ STATUS, 1, D_WRITE, 0 };
        switch (kind) {
        case 0: desc(0, 1)->next = 0; desc(0, 0)->flags |= D_WRITE; break;      /* a loop */
        case 1: desc(0, 0)->next = 0; break;                                    /* a loop of one */
        case 2: head = QSIZE; break;
        case 3: desc(0, 1)->next = 0xffff; break;
        case 4: desc(0, 1)->addr = 0x1000; break;                               /* outside of RAM */
        case 5: desc(0, 1)->addr = ~0ull - 100; break;
        case 6: desc(0, 1)->len = 0xffffffff; break;
        case 7: desc(0, 1)->addr = RAM + RAM_SIZE - 1; break;                   /* across the end */
        case 8: *desc(0, 0) = (Desc){ DATA_AT, 17, D_INDIRECT, 0 }; break;      /* no whole table */
        case 9: *desc(0, 0) = (Desc){ DATA_AT, 0, D_INDIRECT, 0 }; break;
        case 10:                                                                /* indirect in indirect */
            *(Desc *)guest(DATA_AT + 0x8000) = (Desc){ DATA_AT + 0x8000, 16, D_INDIRECT, 0 };
            *desc(0, 0) = (Desc){ DATA_AT + 0x8000, 16, D_INDIRECT, 0 };
            break;
        case 11: *desc(0, 0) = (Desc){ STATUS, 1, D_WRITE, 0 }; break;          /* no header */
        }
        offer(ro, 0, head);
        assert_true(wait_broken(ro));
        assert_int_equal(reg(ro, R_ISR) & 2, 2);
    }
    start_driver(ro, 1);
    avail(0)[1] = 5000;                         /* more requests than the ring holds */
    set_reg(ro, R_NOTIFY, 0);
    assert_true(wait_broken(ro));
    set_reg(ro, R_STATUS, 0);
    set_reg(ro, R_QSEL, 0);
    set_reg(ro, R_QNUM, QSIZE);
    set_reg(ro, R_QDESC, 0x1000);               /* rings where there is no RAM */
    set_reg(ro, R_QREADY, 1);
    assert_int_equal(reg(ro, R_QREADY), 0);
    start_driver(ro, 1);
    assert_int_equal(request(ro, 0, 3, 512, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_negotiation), cmocka_unit_test(test_read_write), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_discard_zeroes), cmocka_unit_test(test_readonly), cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_rng), cmocka_unit_test(test_indirect), cmocka_unit_test(test_written), cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, setup_all, remove_all);
}
