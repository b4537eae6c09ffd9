/*
 * Goldfish RTC, as Android's "Goldfish virtual hardware" guide describes it: the host's time of
 * day, which a guest may set (an offset; the host's clock stays as it is).
 *
 * Reading TIME_LOW latches the high half for TIME_HIGH.  One lock, rank DEVICE.
 */
#include "board/dev/goldfish-rtc.h"

#include <time.h>

#include "board/timer.h"
#include "util/error.h"
#include "util/lock.h"

enum {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
};

struct GoldfishRTC {
    IRQLine irq;                /* constant */
    Mutex lock;                 /* rank DEVICE */
    /* guarded by lock */
    Timer timer;
    uint64_t offset;            /* guest's time - host's, ns */
    uint32_t latched_high;      /* of TIME_LOW's last reading */
    uint32_t time_high;         /* written, for the next write of TIME_LOW */
    uint32_t alarm_high;
    uint64_t alarm;
    bool alarm_running, irq_enabled, pending;
};

/* With -icount the day on which every machine is switched on: 2026-01-01, midnight UTC. */
#define COUNTED_EPOCH_S 1767225600ull

static uint64_t now_locked(const GoldfishRTC *r)
{
    struct timespec ts;
    if (clock_is_counted()) {
        return COUNTED_EPOCH_S * NS_PER_S + clock_ns() + r->offset;
    }
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec + r->offset;
}

static void update_irq_locked(GoldfishRTC *r)
{
    irq_set(&r->irq, r->pending && r->irq_enabled);
}

static void update_alarm_locked(GoldfishRTC *r)
{
    if (!r->alarm_running) {
        timer_set(&r->timer, TIMER_NEVER);
        return;
    }
    uint64_t now = now_locked(r);
    if (r->alarm <= now) {
        r->alarm_running = false;
        r->pending = true;
        timer_set(&r->timer, TIMER_NEVER);
        update_irq_locked(r);
    } else {
        uint64_t at = clock_ns() + (r->alarm - now);
        timer_set(&r->timer, at < r->alarm - now ? TIMER_NEVER : at);
    }
}

static void alarm_fired(void *opaque)
{
    GoldfishRTC *r = opaque;
    mutex_lock(&r->lock);
    update_alarm_locked(r);
    mutex_unlock(&r->lock);
}

static uint64_t read_locked(GoldfishRTC *r, hwaddr offset)
{
    switch (offset) {
    case TIME_LOW: {
        uint64_t now = now_locked(r);
        r->latched_high = (uint32_t)(now >> 32);
        return (uint32_t)now;
    }
    case TIME_HIGH:
        return r->latched_high;
    case ALARM_LOW:
        return (uint32_t)r->alarm;
    case ALARM_HIGH:
        return r->alarm >> 32;
    case IRQ_ENABLED:
        return r->irq_enabled;
    case ALARM_STATUS:
        return r->alarm_running;
    }
    return 0;
}

static void write_locked(GoldfishRTC *r, hwaddr offset, uint32_t value)
{
    switch (offset) {
    case TIME_LOW:
        r->offset += ((uint64_t)r->time_high << 32 | value) - now_locked(r);
        update_alarm_locked(r);
        break;
    case TIME_HIGH:
        r->time_high = value;
        break;
    case ALARM_LOW:
        r->alarm = (uint64_t)r->alarm_high << 32 | value;
        r->alarm_running = true;
        update_alarm_locked(r);
        break;
    case ALARM_HIGH:
        r->alarm_high = value;
        break;
    case IRQ_ENABLED:
        r->irq_enabled = value & 1;
        update_irq_locked(r);
        break;
    case CLEAR_ALARM:
        r->alarm_running = false;
        update_alarm_locked(r);
        break;
    case CLEAR_INTERRUPT:
        r->pending = false;
        update_irq_locked(r);
        break;
    }
}

static uint64_t rtc_read(void *opaque, hwaddr offset, unsigned size)
{
    GoldfishRTC *r = opaque;
    mutex_lock(&r->lock);
    uint64_t value = read_locked(r, offset);
    mutex_unlock(&r->lock);
    return value;
}

static void rtc_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    GoldfishRTC *r = opaque;
    mutex_lock(&r->lock);
    write_locked(r, offset, (uint32_t)value);
    mutex_unlock(&r->lock);
}

const MMIOOps goldfish_rtc_ops = { rtc_read, rtc_write, 4, 4 };

/* The time stays as the guest set it: a real clock runs on through a reset. */
void goldfish_rtc_reset(GoldfishRTC *r)
{
    mutex_lock(&r->lock);
    r->alarm_running = r->irq_enabled = r->pending = false;
    r->alarm = r->alarm_high = r->time_high = 0;
    update_alarm_locked(r);
    update_irq_locked(r);
    mutex_unlock(&r->lock);
}

static const StateField rtc_fields[] = {
    STATE(GoldfishRTC, offset), STATE(GoldfishRTC, latched_high), STATE(GoldfishRTC, time_high),
    STATE(GoldfishRTC, alarm_high), STATE(GoldfishRTC, alarm), STATE(GoldfishRTC, alarm_running),
    STATE(GoldfishRTC, irq_enabled), STATE(GoldfishRTC, pending), STATE_END
};

/* The time of day is today's. */
static bool loaded(void *opaque)
{
    update_alarm_locked(opaque);
    update_irq_locked(opaque);
    return true;
}

static void reset(void *opaque) { goldfish_rtc_reset(opaque); }

/* The day has gone on while the machine's clock, which the timer follows, stood still. */
const DeviceClass goldfish_rtc_class = {
    .name = "goldfish-rtc", .reset = reset, .continued = alarm_fired, .state = &(const StateTable){ rtc_fields, loaded },
};

GoldfishRTC *goldfish_rtc_create(IRQLine irq)
{
    GoldfishRTC *r = xcalloc(1, sizeof(*r));
    r->irq = irq;
    mutex_init(&r->lock, LOCK_RANK_DEVICE);
    timer_init(&r->timer, alarm_fired, r);
    return r;
}
