/*
 * Saved states of devices.  For each: random accesses to one, its state loaded into another of the same kind, then
 * the same random accesses to both, which must give the same answers and leave the same lines: so a field
 * that the guest can tell and that is missing in the table is found.
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "board/dev/aclint.h"
#include "board/dev/goldfish-rtc.h"
#include "board/dev/plic.h"
#include "board/dev/uart.h"
#include "board/dev/virtio-console.h"
#include "board/dev/virtio-rng.h"
#include "board/timer.h"

#define ROUNDS 40
#define ACCESSES 3000
#define NLINES 16

static TestLine lines[2][NLINES];
static uint64_t seed;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

typedef struct Kind {
    const char *name;
    const MMIOOps *ops;
    const DeviceClass *class;
    hwaddr span;                /* of most accesses */
    hwaddr bases[5];            /* where there are registers */
    void *(*create)(unsigned which);
    bool (*avoid)(hwaddr offset, bool write, uint64_t *value);
    bool inputs;                /* lines into it change, too */
} Kind;

static IRQLine out(unsigned which, unsigned n) { return test_line(lines[which], n); }

static Chardev *null_chardev(void)
{
    char *err;
    return chardev_open("null", &err);
}

static void *make_plic(unsigned which)
{
    IRQLine l[4] = { out(which, 0), out(which, 1), out(which, 2), out(which, 3) };
    return plic_create(l, 4);
}
static void *make_aclint(unsigned which)
{
    IRQLine s[2] = { out(which, 4), out(which, 5) }, t[2] = { out(which, 6), out(which, 7) };
    return aclint_create(s, t, 2);
}
static void *make_rtc(unsigned which) { return goldfish_rtc_create(out(which, 8)); }
static void *make_uart(unsigned which) { return uart_create(out(which, 9), null_chardev()); }
static void *with_line(VirtIODevice *d, IRQLine line)
{
    d->irq = line;
    return d;
}
static void *make_rng(unsigned which) { return with_line(virtio_rng_create(), out(which, 10)); }
static void *make_console(unsigned which)
{
    return with_line(virtio_console_create(null_chardev()), out(which, 11));
}

/* The time of day goes on between two readings, and its high half is latched from it. */
static bool skip_time(hwaddr offset, bool write, uint64_t *value) { return offset < 8; }
/* No driver that is up: its worker would be under way. */
static bool skip_live(hwaddr offset, bool write, uint64_t *value)
{
    *value &= offset == R_STATUS && write ? ~4ull : ~0ull;
    return offset == R_NOTIFY;
}

static const Kind kinds[] = {
    { "plic", &plic_ops, &plic_class, 0x20, { 0, 0x1000, 0x2000, 0x2080, 0x201000 }, make_plic, NULL, true },
    { "clint", &aclint_ops, &aclint_class, 0x10, { 0, 0x4000, 0x4000, 0xbff8, 0x4008 }, make_aclint, NULL, false },
    { "rtc", &goldfish_rtc_ops, &goldfish_rtc_class, 0x20, { 0 }, make_rtc, skip_time, false },
    { "uart", &uart_ops, &uart_class, 8, { 0 }, make_uart, NULL, false },
    { "rng", &virtio_mmio_ops, &virtio_class, 0xb0, { 0, 0x30, 0x70, 0x20, 0x44 }, make_rng, skip_live, false },
    { "console", &virtio_mmio_ops, &virtio_class, 0xb0, { 0, 0x30, 0x70, 0x20, 0x44 }, make_console, skip_live, false },
};

/* The same random things to n devices. */
static void drive(const Kind *k, void *const *dev, unsigned n)
{
    unsigned min = k->ops->min_size, max = k->ops->max_size;
    for (unsigned i = 0; i < ACCESSES; i++) {
        uint64_t r = next(), value = next() >> next() % 64;
        unsigned size = max > 4 || min < 4 ? min : 4;
        if (k->ops == &virtio_mmio_ops) {
            size = 4;
        }
        hwaddr offset = (k->bases[r % 5] + (r >> 8) % k->span) & ~(hwaddr)(size - 1);
        bool write = r >> 40 & 1;
        if (k->inputs && (r >> 41) % 8 == 0) {
            for (unsigned d = 0; d < n; d++) {
                IRQLine l = plic_input(dev[d], 1 + value % 40);
                irq_set(&l, write);
            }
        } else if (!k->avoid || !k->avoid(offset, write, &value)) {
            uint64_t first = 0;
            for (unsigned d = 0; d < n; d++) {
                if (write) {
                    k->ops->write(dev[d], offset, size < 8 ? value & ((1ull << 8 * size) - 1) : value, size);
                } else if (d == 0) {
                    first = k->ops->read(dev[d], offset, size);
                } else if (k->ops->read(dev[d], offset, size) != first) {
                    fail_msg("%s: register 0x%llx differs after a load", k->name, (unsigned long long)offset);
                }
            }
        }
        for (unsigned j = 0; n > 1 && j < NLINES; j++) {
            if (line_level(&lines[0][j]) != line_level(&lines[1][j])) {
                fail_msg("%s: line %u differs after access %u to 0x%llx", k->name, j, i, (unsigned long long)offset);
            }
        }
    }
}

static void copy_state(const Kind *k, void *from, void *to)
{
    StateBuffer b = { 0 };
    state_save(k->class->state, from, &b);
    assert_int_equal(state_layout(k->class->state, from), state_layout(k->class->state, to));
    assert_true(state_load(k->class->state, to, &b));
    state_buffer_free(&b);
    /* A machine's lines are part of the state of what they lead to. */
    for (unsigned j = 0; j < NLINES; j++) {
        __atomic_store_n(&lines[1][j].level, line_level(&lines[0][j]), __ATOMIC_SEQ_CST);
    }
}

static void test_kinds(void **state)
{
    printf("SEED=%llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const Kind *k = &kinds[i];
        void *dev[2] = { k->create(0), k->create(1) };
        for (unsigned round = 0; round < ROUNDS; round++) {
            drive(k, dev, 1);
            copy_state(k, dev[0], dev[1]);
            drive(k, dev, 2);
        }
    }
}

/* A driver goes on with another device where it was with the first. */
static void test_rings(void **state)
{
    VirtIODevice *a = with_line(virtio_rng_create(), out(0, 12)), *b = with_line(virtio_rng_create(), out(1, 12));
    StateBuffer s = { 0 };
    start_driver(a, 1);
    for (uint16_t i = 0; i < 3; i++) {
        *desc(0, 0) = (Desc){ DATA_AT, 32, D_WRITE, 0 };
        offer(a, 0, 0);
        assert_true(wait_used(a, 0, (uint16_t)(i + 1)));
    }
    mutex_lock(&a->lock);
    state_save(virtio_class.state, a, &s);
    mutex_unlock(&a->lock);
    mutex_lock(&b->lock);
    assert_true(state_load(virtio_class.state, b, &s));
    mutex_unlock(&b->lock);
    assert_int_equal(reg(b, R_STATUS), 15);
    offer(b, 0, 0);
    assert_true(wait_used(b, 0, 4));
    assert_int_equal(used_length(0, 3), 32);

    /* Rings that are not in this machine's RAM are refused. */
    mutex_lock(&a->lock);
    a->queue[0].desc = RAM + RAM_SIZE - 16;
    state_buffer_free(&s);
    state_save(virtio_class.state, a, &s);
    mutex_unlock(&a->lock);
    mutex_lock(&b->lock);
    assert_false(state_load(virtio_class.state, b, &s));
    mutex_unlock(&b->lock);
    state_buffer_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_kinds), cmocka_unit_test(test_rings) };
    const char *given = getenv("SEED");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();
    timers_start();
    clock_stop();
    memory_add_ram("ram", RAM, RAM_SIZE, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
