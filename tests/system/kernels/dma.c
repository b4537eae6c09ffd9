/*
 * A disk reads code over code.  Sector n of the image returns n when it is called; hart 0 reads one sector after
 * the other into the page that the others execute from.  After its own FENCE.I each hart that knows of a read executes
 * what was read.  Rings and code share a page, too.
 */
#include "kernel.h"

#define ROUNDS (300ull * SCALE)
#define SECTORS 64

#define VIRTIO(slot) ((volatile uint32_t *)(0x10001000ull + 0x1000 * (slot)))
enum { VERSION = 1, DEVICE = 2, DRIVER_FEATURES = 8, DRIVER_SEL = 9, QUEUE_NUM = 14, QUEUE_READY = 17, NOTIFY = 20,
       STATUS = 28, DESC = 32, AVAIL = 36, USED = 40 };

struct Desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
enum { NEXT = 1, WRITE = 2 };

/* Two pages; the code page has the used ring as well. */
static struct Rings {
    struct Desc desc[8];
    uint16_t avail[16] __attribute__((aligned(16)));
    struct { uint32_t type, reserved; uint64_t sector; } header;
    uint8_t status;
    uint8_t code[512] __attribute__((aligned(4096)));
    uint16_t used[64] __attribute__((aligned(16)));
    uint32_t behind[4];         /* code, too */
} rings __attribute__((aligned(4096)));

static volatile uint32_t *dev;
static uint64_t seq, value;
static uint32_t done, finished;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(0);
    return 0;
}

static void set_address(unsigned reg, const void *p)
{
    dev[reg] = (uint32_t)(uint64_t)p;
    dev[reg + 1] = (uint64_t)p >> 32;
}

static void find_disk(void)
{
    for (unsigned i = 0; i < 8 && !dev; i++) {
        dev = VIRTIO(i)[DEVICE] == 2 ? VIRTIO(i) : 0;
    }
    check(dev && dev[VERSION] == 2);
    dev[STATUS] = 0;
    dev[STATUS] = 3;
    dev[DRIVER_SEL] = 1;
    dev[DRIVER_FEATURES] = 1;       /* VERSION_1 */
    dev[DRIVER_SEL] = 0;
    dev[DRIVER_FEATURES] = 0;
    dev[STATUS] = 11;
    check(dev[STATUS] & 8);
    dev[QUEUE_NUM] = 8;
    set_address(DESC, rings.desc);
    set_address(AVAIL, rings.avail);
    set_address(USED, rings.used);
    dev[QUEUE_READY] = 1;
    dev[STATUS] = 15;
}

static void read_sector(uint64_t n)
{
    static uint16_t index;
    rings.header.type = 0;
    rings.header.sector = n;
    rings.desc[0] = (struct Desc){ (uint64_t)&rings.header, 16, NEXT, 1 };
    rings.desc[1] = (struct Desc){ (uint64_t)rings.code, 512, NEXT | WRITE, 2 };
    rings.desc[2] = (struct Desc){ (uint64_t)&rings.status, 1, WRITE, 0 };
    rings.status = 77;
    rings.avail[2 + index % 8] = 0;
    store(&rings.avail[1], ++index);
    asm volatile("fence iorw, iorw" ::: "memory");
    dev[NOTIFY] = 0;
    while (load(&rings.used[1]) != index) {
        pause();
    }
    check(load(&rings.status) == 0);
}

static uint64_t call(void *p)
{
    return ((uint64_t (*)(void))p)();
}

static void execute(uint64_t hart)
{
    while (!load(&done)) {
        uint64_t s = load(&seq), want = load(&value);
        if (!s || s & 1) {
            continue;
        }
        fence_i();
        uint64_t got = call(rings.code);
        check(call(rings.behind) == 7);
        if (load(&seq) == s) {
            check(got == want);
        }
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart) {
        execute(hart);
        return;
    }
    uint64_t random = 88172645463325252ull, start = csr_read(time);
    rings.behind[0] = 0x00700513;       /* li a0, 7 */
    rings.behind[1] = 0x00008067;
    find_disk();
    for (uint64_t i = 0; i < ROUNDS && (i < 20 || csr_read(time) - start < STORM_TICKS); i++) {
        uint64_t n = next_random(&random) % SECTORS;
        store(&seq, 2 * i + 1);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        read_sector(n);
        store(&value, n);
        store(&seq, 2 * i + 2);
        fence_i();
        check(call(rings.code) == n);
        for (int k = 0; k < 2000; k++) {
            asm volatile("");
        }
    }
    store(&done, 1);
    while (load(&finished) < HARTS - 1) {
        pause();
    }
    put("dma\n");
    finish(0);
}
