/*
 * ACLINT: mtime counts the machine's clock in ticks of 100 ns plus an offset, which a guest that writes
 * mtime changes; each hart has an mtimecmp and an msip.
 *
 * msip is the hart's own bit: no lock.  An mtimecmp, the timer behind it and the level of MTIP
 * change together under the hart's lock (rank DEVICE), so that a timer that fires late cannot
 * raise what a new comparison value has just lowered.  The offset is atomic: time is read by every hart
 * all the time.
 */
#include "board/dev/aclint.h"

#include "board/timer.h"
#include "util/error.h"
#include "util/lock.h"

enum {
    REG_MSIP = 0,
    REG_MTIMECMP = 0x4000,
    REG_MTIME = 0xbff8,
};

#define NS_PER_TICK (NS_PER_S / ACLINT_TIME_FREQUENCY)

typedef struct ACLINTHart {
    ACLINT *aclint;             /* constant */
    IRQLine software, mtip;     /* constant */
    uint32_t msip;              /* atomic */
    Mutex lock;                 /* rank DEVICE */
    /* guarded by lock */
    uint64_t mtimecmp;
    Timer timer;
} ACLINTHart;

struct ACLINT {
    unsigned nharts;            /* constant */
    void (*time_set)(void);     /* constant; may be NULL */
    uint64_t offset;            /* atomic: mtime - ticks of the clock */
    ACLINTHart *harts;
};

uint64_t aclint_time(const ACLINT *a)
{
    return clock_ns() / NS_PER_TICK + __atomic_load_n(&a->offset, __ATOMIC_RELAXED);
}

uint64_t aclint_time_to_ns(const ACLINT *a, uint64_t ticks)
{
    uint64_t t = ticks - __atomic_load_n(&a->offset, __ATOMIC_RELAXED);
    if (ticks == UINT64_MAX || t > (UINT64_MAX - 1) / NS_PER_TICK) {
        /* The offset makes the clock's ticks wrap only if a guest has set time back. */
        return ticks <= aclint_time(a) ? 0 : TIMER_NEVER;
    }
    return t * NS_PER_TICK;
}

static void update_hart_locked(ACLINTHart *h)
{
    bool due = aclint_time(h->aclint) >= h->mtimecmp;
    irq_set(&h->mtip, due);
    timer_set(&h->timer, due ? TIMER_NEVER : aclint_time_to_ns(h->aclint, h->mtimecmp));
}

static void timer_fired(void *opaque)
{
    ACLINTHart *h = opaque;
    mutex_lock(&h->lock);
    update_hart_locked(h);
    mutex_unlock(&h->lock);
}

/* The 4 or 8 bytes at an offset of a 64-bit register. */
static uint64_t get_part(uint64_t reg, hwaddr offset, unsigned size)
{
    return size == 8 ? reg : (uint32_t)(reg >> (offset & 4) * 8);
}

static uint64_t set_part(uint64_t reg, hwaddr offset, uint64_t value, unsigned size)
{
    if (size == 8) {
        return value;
    }
    unsigned shift = (offset & 4) * 8;
    return (reg & ~(0xffffffffull << shift)) | (value & 0xffffffff) << shift;
}

static uint64_t aclint_read(void *opaque, hwaddr offset, unsigned size)
{
    ACLINT *a = opaque;
    if (offset >= REG_MTIME) {
        return offset < REG_MTIME + 8 ? get_part(aclint_time(a), offset, size) : 0;
    }
    if (offset >= REG_MTIMECMP) {
        hwaddr i = (offset - REG_MTIMECMP) / 8;
        if (i >= a->nharts) {
            return 0;
        }
        ACLINTHart *h = &a->harts[i];
        mutex_lock(&h->lock);
        uint64_t value = h->mtimecmp;
        mutex_unlock(&h->lock);
        return get_part(value, offset, size);
    }
    hwaddr i = offset / 4;
    return i < a->nharts ? __atomic_load_n(&a->harts[i].msip, __ATOMIC_RELAXED) : 0;
}

static void write_time(ACLINT *a, hwaddr offset, uint64_t value, unsigned size)
{
    uint64_t now = aclint_time(a), wanted = set_part(now, offset, value, size);
    __atomic_fetch_add(&a->offset, wanted - now, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < a->nharts; i++) {
        timer_fired(&a->harts[i]);
    }
    if (a->time_set) {
        a->time_set();
    }
}

static void aclint_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    ACLINT *a = opaque;
    if (offset >= REG_MTIME) {
        if (offset < REG_MTIME + 8) {
            write_time(a, offset, value, size);
        }
        return;
    }
    if (offset >= REG_MTIMECMP) {
        hwaddr i = (offset - REG_MTIMECMP) / 8;
        if (i < a->nharts) {
            ACLINTHart *h = &a->harts[i];
            mutex_lock(&h->lock);
            h->mtimecmp = set_part(h->mtimecmp, offset, value, size);
            update_hart_locked(h);
            mutex_unlock(&h->lock);
        }
        return;
    }
    for (unsigned k = 0; k < size / 4; k++) {
        hwaddr i = offset / 4 + k;
        if (i < a->nharts) {
            __atomic_store_n(&a->harts[i].msip, value >> k * 32 & 1, __ATOMIC_RELAXED);
            irq_set(&a->harts[i].software, value >> k * 32 & 1);
        }
    }
}

const MMIOOps aclint_ops = { aclint_read, aclint_write, 4, 8 };

void aclint_reset(ACLINT *a)
{
    __atomic_store_n(&a->offset, -(clock_ns() / NS_PER_TICK), __ATOMIC_RELAXED);
    for (unsigned i = 0; i < a->nharts; i++) {
        ACLINTHart *h = &a->harts[i];
        __atomic_store_n(&h->msip, 0, __ATOMIC_RELAXED);
        irq_set(&h->software, false);
        mutex_lock(&h->lock);
        h->mtimecmp = UINT64_MAX;
        update_hart_locked(h);
        mutex_unlock(&h->lock);
    }
}

static const StateField hart_fields[] = {
    STATE_BELOW(ACLINTHart, msip, 2), STATE(ACLINTHart, mtimecmp), STATE_END
};

static const StateField aclint_fields[] = {
    STATE(ACLINT, offset), STATE_POINTED(ACLINT, harts, nharts, hart_fields), STATE_END
};

static bool loaded(void *opaque)
{
    ACLINT *a = opaque;
    for (unsigned i = 0; i < a->nharts; i++) {
        irq_set(&a->harts[i].software, a->harts[i].msip);
        update_hart_locked(&a->harts[i]);   /* nobody else is there */
    }
    return true;
}

static void reset(void *opaque) { aclint_reset(opaque); }

const DeviceClass aclint_class = {
    .name = "clint", .reset = reset, .state = &(const StateTable){ aclint_fields, loaded },
};

void aclint_on_time_set(ACLINT *a, void (*fn)(void))
{
    a->time_set = fn;
}

ACLINT *aclint_create(const IRQLine *software, const IRQLine *timer, unsigned nharts)
{
    braid_assert(nharts <= ACLINT_MAX_HARTS);
    ACLINT *a = xcalloc(1, sizeof(*a));
    a->nharts = nharts;
    a->harts = xcalloc(nharts, sizeof(*a->harts));
    for (unsigned i = 0; i < nharts; i++) {
        ACLINTHart *h = &a->harts[i];
        h->aclint = a;
        h->software = software[i];
        h->mtip = timer[i];
        h->mtimecmp = UINT64_MAX;
        mutex_init(&h->lock, LOCK_RANK_DEVICE);
        timer_init(&h->timer, timer_fired, h);
    }
    return a;
}
