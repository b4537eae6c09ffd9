/* A small VIRTIO driver for tests: the guest's half, in RAM of its own, through the MMIO registers. */
#ifndef BRAID_TESTS_DRIVER_H
#define BRAID_TESTS_DRIVER_H

#include "device.h"

#include <string.h>

#include "board/virtio/virtio.h"

#define RAM 0x80000000ull
#define RAM_SIZE (1ull << 20)
#define QUEUE_AT(q) (RAM + 0x4000 * (q))    /* descriptors, +0x1000 available, +0x2000 used */
#define DATA_AT (RAM + 0x20000)
#define QSIZE 16u

enum { R_MAGIC = 0, R_VERSION = 4, R_ID = 8, R_FEATURES = 0x10, R_FEATURES_SEL = 0x14, R_DRIVER = 0x20,
       R_DRIVER_SEL = 0x24, R_QSEL = 0x30, R_QMAX = 0x34, R_QNUM = 0x38, R_QREADY = 0x44, R_NOTIFY = 0x50,
       R_ISR = 0x60, R_ACK = 0x64, R_STATUS = 0x70, R_QDESC = 0x80, R_QAVAIL = 0x90, R_QUSED = 0xa0, R_CONFIG = 0x100 };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };
enum { S_NEEDS_RESET = 64 };

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
} Desc;

static inline uint32_t reg(VirtIODevice *d, hwaddr r) { return (uint32_t)virtio_mmio_ops.read(d, r, 4); }
static inline void set_reg(VirtIODevice *d, hwaddr r, uint64_t v) { virtio_mmio_ops.write(d, r, v, 4); }

static inline uint8_t *guest(hwaddr a) { return memory_ram_host(a, 1); }
static inline Desc *desc(unsigned q, unsigned i) { return (Desc *)guest(QUEUE_AT(q)) + i; }
static inline uint16_t *avail(unsigned q) { return (uint16_t *)guest(QUEUE_AT(q) + 0x1000); }
static inline uint16_t *used(unsigned q) { return (uint16_t *)guest(QUEUE_AT(q) + 0x2000); }
static inline uint16_t used_index(unsigned q) { return __atomic_load_n(used(q) + 1, __ATOMIC_ACQUIRE); }
/* The length that the device gave back with the element at an index. */
static inline uint32_t used_length(unsigned q, unsigned i)
{
    uint32_t n;
    memcpy(&n, (uint8_t *)used(q) + 4 + 8 * (i % QSIZE) + 4, 4);
    return n;
}

static inline void setup_queue(VirtIODevice *d, unsigned q)
{
    memset(guest(QUEUE_AT(q)), 0, 0x4000);
    set_reg(d, R_QSEL, q);
    set_reg(d, R_QNUM, QSIZE);
    set_reg(d, R_QDESC, (uint32_t)QUEUE_AT(q));
    set_reg(d, R_QDESC + 4, QUEUE_AT(q) >> 32);
    set_reg(d, R_QAVAIL, (uint32_t)(QUEUE_AT(q) + 0x1000));
    set_reg(d, R_QAVAIL + 4, 0);
    set_reg(d, R_QUSED, (uint32_t)(QUEUE_AT(q) + 0x2000));
    set_reg(d, R_QUSED + 4, 0);
    set_reg(d, R_QREADY, 1);
}

/* Reset, negotiate what is offered but for EVENT_IDX, set up the queues, DRIVER_OK. */
static inline void start_driver(VirtIODevice *d, unsigned nqueues)
{
    set_reg(d, R_STATUS, 0);
    set_reg(d, R_STATUS, 3);
    for (unsigned i = 0; i < 2; i++) {
        set_reg(d, R_FEATURES_SEL, i);
        set_reg(d, R_DRIVER_SEL, i);
        set_reg(d, R_DRIVER, reg(d, R_FEATURES) & ~(i ? 0 : (uint32_t)VIRTIO_F_EVENT_IDX));
    }
    set_reg(d, R_STATUS, 11);
    assert_int_equal(reg(d, R_STATUS) & 8, 8);
    for (unsigned q = 0; q < nqueues; q++) {
        setup_queue(d, q);
    }
    set_reg(d, R_STATUS, 15);
}

/* Offer the chain at `head` and tell the device. */
static inline void offer(VirtIODevice *d, unsigned q, uint16_t head)
{
    uint16_t *a = avail(q), i = a[1];
    a[2 + i % QSIZE] = head;
    __atomic_store_n(a + 1, (uint16_t)(i + 1), __ATOMIC_RELEASE);
    set_reg(d, R_NOTIFY, q);
}

/* Wait until the device has used `n` requests or given up. */
static inline bool wait_used(VirtIODevice *d, unsigned q, uint16_t n)
{
    for (int i = 0; i < 5000; i++) {
        if (used_index(q) == n) {
            return true;
        }
        if (reg(d, R_STATUS) & S_NEEDS_RESET) {
            return false;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return false;
}

static inline bool wait_broken(VirtIODevice *d)
{
    for (int i = 0; i < 5000; i++) {
        if (reg(d, R_STATUS) & S_NEEDS_RESET) {
            return true;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return false;
}

#endif
