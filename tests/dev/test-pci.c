/*
 * The PCI bus: configuration space, BARs, INTx and MSI-X as PCI 3.0 has them, and the PCI transport of VIRTIO 1.2
 * (section 4.1), found by its capabilities as a driver finds it.
 */
#include "driver.h"

#include "board/dev/virtio-rng.h"
#include "board/virtio/virtio-pci.h"

#define ECAM 0x30000000ull
#define WINDOW 0x40000000ull
#define HIGH_WINDOW 0x400000000ull
#define BAR1 (WINDOW + 0x5000)
#define MESSAGE (DATA_AT + 0x4000)

enum { MASTER = 4, MEMORY = 2, INTX_DISABLE = 0x400 };
enum { C_DEVICE_SEL = 0, C_DEVICE = 4, C_DRIVER_SEL = 8, C_DRIVER = 12, C_CONFIG_VECTOR = 16, C_QUEUES = 18, C_STATUS = 20,
       C_QUEUE_SEL = 22, C_QUEUE_SIZE = 24, C_QUEUE_VECTOR = 26, C_ENABLE = 28, C_NOTIFY_OFF = 30, C_DESC = 32,
       C_DRIVER_RING = 40, C_DEVICE_RING = 48 };

static TestLine lines[4];
static PCIBus *bus;
static PCIDevice *pci[2];
static VirtIODevice *virtio[2];

/* ---- A CPU's accesses ---- */

static uint32_t load(hwaddr pa, unsigned size)
{
    uint64_t v = 0xdead;
    assert_true(memory_io_read(pa, size, &v));
    return (uint32_t)v;
}

static void store(hwaddr pa, unsigned size, uint64_t v)
{
    assert_true(memory_io_write(pa, size, v));
}

static hwaddr config_at(unsigned slot, unsigned reg) { return ECAM + (slot << 15) + reg; }
static uint32_t config(unsigned slot, unsigned reg, unsigned size) { return load(config_at(slot, reg), size); }
static void set_config(unsigned slot, unsigned reg, unsigned size, uint32_t v) { store(config_at(slot, reg), size, v); }

static bool is_there(hwaddr pa)
{
    uint64_t v;
    return memory_io_read(pa, 4, &v);
}

/* The capability with this id and, for VIRTIO's, this type. */
static unsigned find_cap(unsigned slot, unsigned id, unsigned type)
{
    unsigned at = config(slot, 0x34, 1);
    for (unsigned steps = 0; at && steps < 48; steps++, at = config(slot, at + 1, 1)) {
        if (config(slot, at, 1) == id && (!type || config(slot, at + 3, 1) == type)) {
            return at;
        }
    }
    fail_msg("no capability %u of type %u", id, type);
    return 0;
}

static hwaddr high_bar(unsigned slot) { return HIGH_WINDOW + slot * 0x10000; }

/* Where VIRTIO's structure of this type is, once BAR 4 is placed. */
static hwaddr structure(unsigned slot, unsigned type)
{
    unsigned cap = find_cap(slot, 9, type);
    assert_int_equal(config(slot, cap + 4, 1), 4);
    return high_bar(slot) + config(slot, cap + 8, 4);
}

static void place(unsigned slot)
{
    set_config(slot, 0x14, 4, BAR1 + slot * 0x1000);
    set_config(slot, 0x20, 4, (uint32_t)high_bar(slot));
    set_config(slot, 0x24, 4, high_bar(slot) >> 32);
    set_config(slot, 4, 2, MEMORY | MASTER);
}

/* As start_driver(), through the common configuration; one queue with this MSI-X vector. */
static void start(unsigned slot, unsigned vector)
{
    hwaddr c = structure(slot, 1);
    store(c + C_STATUS, 1, 0);
    store(c + C_STATUS, 1, 3);
    for (unsigned i = 0; i < 2; i++) {
        store(c + C_DEVICE_SEL, 4, i);
        store(c + C_DRIVER_SEL, 4, i);
        store(c + C_DRIVER, 4, load(c + C_DEVICE, 4) & ~(i ? 0 : (uint32_t)VIRTIO_F_EVENT_IDX));
    }
    store(c + C_STATUS, 1, 11);
    assert_int_equal(load(c + C_STATUS, 1), 11);
    memset(guest(QUEUE_AT(0)), 0, 0x4000);
    store(c + C_QUEUE_SEL, 2, 0);
    store(c + C_QUEUE_SIZE, 2, QSIZE);
    store(c + C_QUEUE_VECTOR, 2, vector);
    store(c + C_DESC, 8, QUEUE_AT(0));
    store(c + C_DRIVER_RING, 8, QUEUE_AT(0) + 0x1000);
    store(c + C_DEVICE_RING, 8, QUEUE_AT(0) + 0x2000);
    store(c + C_ENABLE, 2, 1);
    assert_int_equal(load(c + C_ENABLE, 2), 1);
    store(c + C_STATUS, 1, 15);
}

/* Ask the entropy device for 32 bytes. */
static void ask(unsigned slot)
{
    uint16_t *a = avail(0), i = a[1];
    *desc(0, 0) = (Desc){ DATA_AT, 32, D_WRITE, 0 };
    a[2 + i % QSIZE] = 0;
    __atomic_store_n(a + 1, (uint16_t)(i + 1), __ATOMIC_RELEASE);
    store(structure(slot, 2) + load(structure(slot, 1) + C_NOTIFY_OFF, 2) *
          config(slot, find_cap(slot, 9, 2) + 16, 4), 2, 0);
}

static bool wait_index(uint16_t n)
{
    for (int i = 0; i < 5000 && used_index(0) != n; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return used_index(0) == n;
}

static bool wait_word(hwaddr at, uint32_t v)
{
    for (int i = 0; i < 5000 && *(uint32_t *)guest(at) != v; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return *(uint32_t *)guest(at) == v;
}

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

/* ---- Tests ---- */

static int setup(void **state)
{
    PCIBusConfig c = { .window = { { WINDOW, 1 << 20 }, { HIGH_WINDOW, 1 << 24 } } };
    for (unsigned i = 0; i < 4; i++) {
        c.irq[i] = test_line(lines, i);
    }
    memory_add_ram("ram", RAM, RAM_SIZE, false);
    bus = pci_bus_create(&c);
    memory_add_mmio("ecam", ECAM, 256 << 20, &pci_ecam_ops, bus);
    assert_int_equal(pci_free_slot(bus), 1);
    virtio[0] = virtio_rng_create();
    virtio[1] = virtio_rng_create();
    pci[0] = virtio_pci_attach(bus, 1, virtio[0]);
    pci[1] = virtio_pci_attach(bus, 5, virtio[1]);
    assert_int_equal(pci_free_slot(bus), 2);
    return 0;
}

static void reset_all(void)
{
    for (unsigned i = 0; i < 2; i++) {
        pci_device_class.reset(pci[i]);
        virtio_class.reset(virtio[i]);
    }
}

static int reset(void **state)
{
    reset_all();
    return 0;
}

static void test_config(void **state)
{
    assert_int_equal(config(0, 8, 4) >> 8, 0x060000);
    assert_int_equal(config(1, 0, 4), 0x10441af4);
    assert_int_equal(config(1, 8, 1), 1);               /* revision, at least 1 */
    assert_int_equal(config(1, 0x2e, 2), 0x1100);       /* at least 0x40 */
    assert_int_equal(config(1, 0x0e, 1), 0);            /* one function, type 0 */
    assert_int_equal(config(1, 0x3d, 1), 1);            /* INTA */
    assert_int_equal(config(1, 6, 2) & 0x10, 0x10);
    assert_int_equal(config(1, 0x100, 4), 0);
    assert_int_equal(config(2, 0, 4), 0xffffffff);      /* nobody */
    assert_int_equal(load(config_at(1, 0) + (1 << 12), 4), 0xffffffff);
    assert_int_equal(load(config_at(1, 0) + (1 << 20), 4), 0xffffffff);
    set_config(1, 0, 4, 0x12345678);                    /* constant */
    set_config(2, 0, 4, 0x12345678);
    assert_int_equal(config(1, 0, 4), 0x10441af4);
    set_config(1, 0x3c, 1, 77);
    assert_int_equal(config(1, 0x3c, 4), 0x014d);
    set_config(1, 4, 4, 0xffffffff);
    assert_int_equal(config(1, 4, 2) & (MEMORY | MASTER | INTX_DISABLE), MEMORY | MASTER | INTX_DISABLE);
    reset_all();
    assert_int_equal(config(1, 4, 2), 0);
    assert_int_equal(config(1, 0x3c, 1), 0);
}

static void test_bars(void **state)
{
    static const uint32_t sizes[6] = { 0, 0xfffff000, 0, 0, 0xffffc00c, 0xffffffff };
    for (unsigned n = 0; n < 6; n++) {
        set_config(1, 0x10 + 4 * n, 4, 0xffffffff);
        assert_int_equal(config(1, 0x10 + 4 * n, 4), sizes[n]);
    }
    assert_int_equal(config(1, 0x30, 4), 0);            /* no ROM */
    set_config(1, 4, 2, MEMORY);
    assert_false(is_there(WINDOW));
    set_config(1, 0x14, 4, WINDOW);
    assert_true(is_there(WINDOW));
    assert_false(is_there(WINDOW + 0x1000));
    set_config(1, 0x14, 4, WINDOW + 0x3000);
    assert_true(is_there(WINDOW + 0x3000));
    assert_false(is_there(WINDOW));
    set_config(1, 4, 2, 0);
    assert_false(is_there(WINDOW + 0x3000));
    set_config(1, 4, 2, MEMORY);
    assert_true(is_there(WINDOW + 0x3000));
    /* Over RAM, over the configuration space, at the end of the window, nowhere: not seen, and nothing else hidden. */
    *guest(RAM) = 0x5a;
    static const uint32_t elsewhere[] = { RAM, ECAM, WINDOW + (1 << 20), WINDOW - 0x1000, 0xfffff000, 0 };
    for (unsigned i = 0; i < 6; i++) {
        set_config(1, 0x14, 4, elsewhere[i]);
        assert_int_equal(config(1, 0x14, 4), elsewhere[i]);
        assert_false(is_there(WINDOW + 0x3000));
        assert_int_equal(load(RAM, 1), 0x5a);
    }
    set_config(1, 0x20, 4, HIGH_WINDOW & 0xffffffff);
    set_config(1, 0x24, 4, HIGH_WINDOW >> 32);
    assert_true(is_there(HIGH_WINDOW + 0x3ffc));
    assert_false(is_there(HIGH_WINDOW + 0x4000));
}

static void test_intx(void **state)
{
    place(1);
    start(1, 0xffff);
    ask(1);
    assert_true(wait_level(&lines[1], true));           /* slot 1, INTA */
    assert_int_equal(config(1, 6, 2) & 8, 8);
    assert_int_equal(used_length(0, 0), 32);
    set_config(1, 4, 2, MEMORY | MASTER | INTX_DISABLE);
    assert_false(line_level(&lines[1]));
    assert_int_equal(config(1, 6, 2) & 8, 8);           /* the status does not look at the switch */
    set_config(1, 4, 2, MEMORY | MASTER);
    assert_true(line_level(&lines[1]));
    /* Slot 5 shares the line. */
    place(5);
    start(5, 0xffff);
    ask(5);
    assert_true(wait_index(1));
    for (int i = 0; i < 5000 && !(config(5, 6, 2) & 8); i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    assert_int_equal(load(structure(1, 3), 1), 1);      /* reading the ISR clears it */
    assert_true(line_level(&lines[1]));
    assert_int_equal(load(structure(5, 3), 1), 1);
    assert_false(line_level(&lines[1]));
    assert_int_equal(load(structure(5, 3), 1), 0);
    assert_false(line_level(&lines[0]) || line_level(&lines[2]) || line_level(&lines[3]));
}

static void test_transport(void **state)
{
    place(1);
    hwaddr c = structure(1, 1);
    store(c + C_STATUS, 1, 0);
    assert_int_equal(load(c + C_QUEUES, 2), 1);
    store(c + C_QUEUE_SEL, 2, 0);
    assert_int_equal(load(c + C_QUEUE_SIZE, 2), 256);
    assert_int_equal(load(c + C_QUEUE_VECTOR, 2), 0xffff);
    assert_int_equal(load(c + C_CONFIG_VECTOR, 2), 0xffff);
    store(c + C_CONFIG_VECTOR, 2, 1);
    assert_int_equal(load(c + C_CONFIG_VECTOR, 2), 1);
    store(c + C_CONFIG_VECTOR, 2, 2);                   /* there are two, 0 and 1 */
    assert_int_equal(load(c + C_CONFIG_VECTOR, 2), 0xffff);
    store(c + C_QUEUE_SEL, 2, 1);
    assert_int_equal(load(c + C_QUEUE_SIZE, 2), 0);     /* there is no such queue */
    store(c + C_QUEUE_SEL, 2, 0);
    store(c + C_DESC, 8, 0x123456789abcd0ull);
    assert_int_equal(load(c + C_DESC, 4), 0x789abcd0);
    assert_int_equal(load(c + C_DESC + 4, 4), 0x123456);
    store(c + C_STATUS, 1, 3);
    store(c + C_DRIVER_SEL, 4, 1);
    store(c + C_DRIVER, 4, 0);
    store(c + C_STATUS, 1, 11);
    assert_int_equal(load(c + C_STATUS, 1), 3);         /* no VERSION_1 */
    /* The same register through configuration space. */
    unsigned cap = find_cap(1, 9, 5);
    set_config(1, cap + 4, 1, 4);
    set_config(1, cap + 8, 4, config(1, find_cap(1, 9, 1) + 8, 4) + C_STATUS);
    set_config(1, cap + 12, 4, 1);
    assert_int_equal(config(1, cap + 16, 4), 3);
    set_config(1, cap + 16, 4, 0);
    assert_int_equal(load(c + C_STATUS, 1), 0);
    set_config(1, cap + 8, 4, 0xfffffffc);              /* nonsense does nothing */
    set_config(1, cap + 12, 4, 4);
    config(1, cap + 16, 4);
    set_config(1, cap + 16, 4, 1);
    set_config(1, cap + 12, 4, 3);
    set_config(1, cap + 16, 4, 1);
}

static void test_bus_master(void **state)
{
    place(1);
    set_config(1, 4, 2, MEMORY);
    start(1, 0xffff);
    ask(1);
    pause_a_moment();
    assert_int_equal(used_index(0), 0);                 /* guest memory is out of reach */
    set_config(1, 4, 2, MEMORY | MASTER);
    assert_true(wait_index(1));
}

static void set_entry(hwaddr table, unsigned n, hwaddr address, uint32_t data, uint32_t control)
{
    store(table + 16 * n, 8, address);
    store(table + 16 * n + 8, 4, data);
    store(table + 16 * n + 12, 4, control);
}

static void test_msix(void **state)
{
    place(1);
    unsigned cap = find_cap(1, 0x11, 0);
    assert_int_equal(config(1, cap + 2, 2), 1);         /* two vectors */
    assert_int_equal(config(1, cap + 4, 4) & 7, 1);
    hwaddr table = BAR1 + 0x1000 + (config(1, cap + 4, 4) & ~7u), pba = BAR1 + 0x1000 + (config(1, cap + 8, 4) & ~7u);
    assert_int_equal(load(table + 12, 4), 1);           /* masked after a reset */
    start(1, 1);
    set_entry(table, 0, MESSAGE, 0x1111, 0);
    set_entry(table, 1, MESSAGE + 4, 0x2222, 0);
    assert_int_equal(load(table + 24, 4), 0x2222);
    memset(guest(MESSAGE), 0, 16);
    set_config(1, cap + 2, 2, 0x8000);
    ask(1);
    assert_true(wait_word(MESSAGE + 4, 0x2222));
    assert_int_equal(*(uint32_t *)guest(MESSAGE), 0);
    assert_false(line_level(&lines[1]));                /* no INTx beside it */
    /* Masked: pending until it is not. */
    store(table + 28, 4, 1);
    memset(guest(MESSAGE), 0, 16);
    ask(1);
    assert_true(wait_index(2));
    for (int i = 0; i < 5000 && load(pba, 4) != 2; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    assert_int_equal(load(pba, 4), 2);
    assert_int_equal(*(uint32_t *)guest(MESSAGE + 4), 0);
    set_config(1, cap + 2, 2, 0xc000);                  /* the whole function as well */
    store(table + 28, 4, 0);
    assert_int_equal(load(pba, 4), 2);
    set_config(1, cap + 2, 2, 0x8000);
    assert_int_equal(load(pba, 4), 0);
    assert_int_equal(*(uint32_t *)guest(MESSAGE + 4), 0x2222);
    /* A message to where no RAM is goes nowhere: not to registers either. */
    set_entry(table, 1, ECAM + (1 << 15) + 0x3c, 0x77, 0);
    ask(1);
    assert_true(wait_index(3));
    pause_a_moment();
    assert_int_equal(config(1, 0x3c, 1), 0);
    /* Switched off: INTx again. */
    set_config(1, cap + 2, 2, 0);
    ask(1);
    assert_true(wait_level(&lines[1], true));
    assert_int_equal(load(structure(1, 3), 1), 1);
}

/* Saved, reset, loaded: a driver goes on as if nothing had been. */
static void test_state(void **state)
{
    StateBuffer p = { 0 }, v = { 0 };
    place(1);
    unsigned cap = find_cap(1, 0x11, 0);
    hwaddr table = BAR1 + 0x1000;
    start(1, 0);
    set_entry(table, 0, MESSAGE, 0x4711, 1);
    set_config(1, cap + 2, 2, 0x8000);
    memset(guest(MESSAGE), 0, 16);
    ask(1);
    assert_true(wait_index(1));
    for (int i = 0; i < 5000 && load(table + 0x800, 4) != 1; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    state_save(pci_device_class.state, pci[0], &p);
    mutex_lock(&virtio[0]->lock);
    state_save(virtio_class.state, virtio[0], &v);
    mutex_unlock(&virtio[0]->lock);
    reset_all();
    assert_false(is_there(table));
    assert_true(state_load(pci_device_class.state, pci[0], &p));
    mutex_lock(&virtio[0]->lock);
    assert_true(state_load(virtio_class.state, virtio[0], &v));
    mutex_unlock(&virtio[0]->lock);
    assert_int_equal(load(table + 0x800, 4), 1);
    store(table + 12, 4, 0);                            /* what was pending comes now */
    assert_int_equal(*(uint32_t *)guest(MESSAGE), 0x4711);
    *(uint32_t *)guest(MESSAGE) = 0;
    ask(1);
    assert_true(wait_word(MESSAGE, 0x4711));
    assert_int_equal(used_index(0), 2);
    /* A file that has other bits than a guest can set, or contradicts itself. */
    state_buffer_free(&p);
    state_save(pci_device_class.state, pci[0], &p);
    p.data[0] ^= 0xff;
    assert_true(state_load(pci_device_class.state, pci[0], &p));
    assert_int_equal(config(1, 0, 4), 0x10441af4);
    p.at = 0;
    p.data[4] ^= MASTER;
    assert_false(state_load(pci_device_class.state, pci[0], &p));
    state_buffer_free(&p);
    state_buffer_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_config, reset), cmocka_unit_test_setup(test_bars, reset),
        cmocka_unit_test_setup(test_intx, reset), cmocka_unit_test_setup(test_transport, reset),
        cmocka_unit_test_setup(test_bus_master, reset), cmocka_unit_test_setup(test_msix, reset),
        cmocka_unit_test_setup(test_state, reset),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
