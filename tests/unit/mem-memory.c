/*
 * The physical memory map: who answers at an address, sizes, overlaps, moves, copies across regions, and
 * look-ups while another thread moves a region.
 */
#include <pthread.h>

#include "mem/memory.h"
#include "unit.h"

typedef struct Device {
    uint8_t id;
    hwaddr offset;
    unsigned size, calls;
    uint64_t value;
} Device;

static uint64_t dev_read(void *opaque, hwaddr offset, unsigned size)
{
    Device *d = opaque;
    d->offset = offset;
    d->size = size;
    d->calls++;
    return 0xf0f0f0f000000000ull | (uint64_t)d->id << 8 | offset;
}

static void dev_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    Device *d = opaque;
    d->offset = offset;
    d->size = size;
    d->value = d->value << 32 | value;
    d->calls++;
}

static const MMIOOps word_ops = { dev_read, dev_write, 4, 4 };
static const MMIOOps any_ops = { dev_read, dev_write, 0, 0 };
static const MMIOOps byte_ops = { dev_read, dev_write, 1, 1 };
static Device a = { .id = 1 }, b = { .id = 2 }, c = { .id = 3 };
static MemoryRegion *moving;
static hwaddr written_at;
static uint64_t written_n;
static unsigned changes;

static void on_written(hwaddr pa, uint64_t n)
{
    written_at = pa;
    written_n = n;
}

static void on_changed(void) { changes++; }

static int make_map(void **state)
{
    memory_set_hooks(&(MemoryHooks){ on_written, on_changed });
    memory_add_ram("ram0", 0x80000000, 0x4000, false);
    memory_add_ram("ram1", 0x80004000, 0x4000, false);
    memory_add_ram("rom", 0x1000, 0x1000, true);
    memory_add_mmio("words", 0x10000000, 0x100, &word_ops, &a);
    memory_add_mmio("any", 0x10000100, 0x100, &any_ops, &b);
    memory_add_mmio("bytes", 0x10000200, 0x8, &byte_ops, &c);
    moving = memory_new_mmio("bar", 0x1000, &any_ops, &c);
    return 0;
}

static void test_ram(void **state)
{
    uint64_t v = 0x1122334455667788, got = 0;
    assert_true(memory_write(0x80000008, &v, 8));
    assert_int_equal(written_at, 0x80000008);
    assert_int_equal(written_n, 8);
    assert_true(memory_io_read(0x80000008, 4, &got));
    assert_int_equal(got, 0x55667788);
    assert_memory_equal(memory_ram_host(0x80000008, 8), &v, 8);
    assert_null(memory_ram_host(0x80003ffc, 8));        /* two regions */
    assert_null(memory_ram_host(0x10000000, 4));
    assert_null(memory_ram_host(0x80000000, ~0ull));
    MemoryPlace p = memory_find(0x80003fff);
    assert_ptr_equal(p.host, memory_ram_host(0x80003fff, 1));
    assert_true(p.whole_page);
    assert_null(memory_find(0x80008000).region);
    assert_null(memory_find(0).region);
    assert_null(memory_find(~0ull).region);
}

static void test_copies(void **state)
{
    uint8_t out[0x100], in[0x100];
    for (unsigned i = 0; i < sizeof(out); i++) {
        out[i] = (uint8_t)(i * 7 + 1);
    }
    assert_true(memory_write(0x80003f80, out, sizeof(out)));    /* across two regions */
    assert_true(memory_read(0x80003f80, in, sizeof(in)));
    assert_memory_equal(in, out, sizeof(out));
    assert_false(memory_read(0x80007f80, in, sizeof(in)));      /* beyond the end */
    assert_memory_equal(in, out, sizeof(out));
    assert_false(memory_write(0x80007f80, out, sizeof(out)));
    assert_true(memory_read(0x80007f80, in, 0x80));
    assert_int_equal(in[0], 0);                                 /* nothing was written */
    assert_false(memory_read(0x10000000, in, 4));               /* a device is none */
    assert_false(memory_read(~0ull, in, 2));
    assert_true(memory_read(0, in, 0));
}

static void test_rom(void **state)
{
    uint32_t v = 0x12345678;
    uint64_t got;
    assert_true(memory_write(0x1000, &v, 4));
    assert_false(memory_io_write(0x1000, 4, 0));
    assert_true(memory_io_read(0x1000, 4, &got));
    assert_int_equal(got, v);
    assert_true(memory_find(0x1000).readonly);
}

static void test_io_sizes(void **state)
{
    uint64_t v;
    a.calls = 0;
    assert_true(memory_io_read(0x10000010, 4, &v));
    assert_int_equal(v, 0x110);
    assert_int_equal(a.size, 4);
    assert_true(memory_io_read(0x10000010, 8, &v));     /* two accesses, low half first */
    assert_int_equal(v, 0x0000011400000110);
    assert_int_equal(a.calls, 3);
    a.value = 0;
    assert_true(memory_io_write(0x10000020, 8, 0xaaaaaaaabbbbbbbb));
    assert_int_equal(a.value, 0xbbbbbbbbaaaaaaaa);
    assert_int_equal(a.offset, 0x24);
    assert_false(memory_io_read(0x10000010, 2, &v));    /* too narrow */
    assert_false(memory_io_read(0x10000012, 4, &v));    /* not aligned */
    assert_false(memory_io_write(0x10000013, 1, 0));
    assert_true(memory_io_read(0x10000108, 8, &v));
    assert_int_equal(v, 0xf0f0f0f000000208);
    assert_true(memory_io_read(0x10000204, 4, &v));     /* four bytes */
    assert_int_equal(v, 0x07060504);
    assert_false(memory_io_read(0x10000208, 1, &v));    /* nothing there */
    assert_false(memory_io_write(0x10000208, 1, 0));
    assert_false(memory_io_read(0x20000000, 4, &v));
}

static void test_moves(void **state)
{
    uint64_t v;
    unsigned before = changes;
    assert_false(memory_io_read(0x40000000, 1, &v));
    memory_place(moving, 0x40000000);
    assert_true(memory_io_read(0x40000ff0, 1, &v));
    memory_place(moving, 0x50000000);
    assert_false(memory_io_read(0x40000ff0, 1, &v));
    assert_true(memory_io_read(0x50000ff0, 1, &v));
    memory_place(moving, 0x50000000);
    assert_int_equal(changes, before + 2);
    /* Over the end of RAM and the start of nothing: the RAM comes back when it is gone. */
    memory_place(moving, 0x80007800);
    assert_null(memory_ram_host(0x80007800, 1));
    assert_false(memory_find(0x80007000).whole_page);
    assert_true(memory_io_read(0x80007804, 1, &v));
    assert_int_equal(v, 4);
    assert_true(memory_io_read(0x800087ff, 1, &v));
    memory_unplace(moving);
    assert_non_null(memory_ram_host(0x80007800, 1));
    assert_true(memory_find(0x80007000).whole_page);
    /* Inside another device, whose offsets go on behind it. */
    memory_place(moving, 0x0ffff080);
    assert_true(memory_io_read(0x10000080, 4, &v));
    assert_int_equal(v, 0x180);
    memory_unplace(moving);
    /* Around the end of the address space: nowhere. */
    memory_place(moving, ~0ull - 0x7ff);
    assert_false(memory_io_read(~0ull - 0x7f7, 1, &v));
    memory_place(moving, ~0ull - 0xfff);
    assert_true(memory_io_read(~0ull, 1, &v));
    memory_unplace(moving);
}

static uint32_t stop;

static void *mover(void *opaque)
{
    for (unsigned i = 0; i < 3000; i++) {
        memory_place(moving, 0x0f000000 + (i & 1) * 0x02000000);
        if (i % 16 == 0) {
            memory_unplace(moving);
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Whatever moves, what stays is found, and what is found is whole. */
static void test_look_ups_while_moving(void **state)
{
    pthread_t t;
    const uint8_t *host = memory_ram_host(0x80000000, 1);
    assert_int_equal(pthread_create(&t, NULL, mover, NULL), 0);
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        for (unsigned k = 0; k < 0x4000; k += 0x3ff) {
            assert_ptr_equal(memory_ram_host(0x80000000 + k, 1), host + k);
            assert_null(memory_find(0x70000000 + k).region);
        }
        uint64_t v;
        assert_true(memory_io_read(0x10000104, 4, &v));
        assert_int_equal(v, 0x204);
    }
    pthread_join(t, NULL);
    memory_unplace(moving);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ram),         cmocka_unit_test(test_copies),
        cmocka_unit_test(test_rom),         cmocka_unit_test(test_io_sizes),
        cmocka_unit_test(test_moves),       cmocka_unit_test(test_look_ups_while_moving),
    };
    return cmocka_run_group_tests(tests, make_map, NULL);
}
