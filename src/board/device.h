/*
 * What the board knows of each device beside its registers: how it is reset, and its state.
 *
 * A device is added once, by whoever puts it on the board; what is added is reset with the machine and is
 * part of its saved state (board/savevm.h).  A device cannot be added without a state table: one that has
 * nothing to save says so with state_nothing.
 */
#ifndef BRAID_BOARD_DEVICE_H
#define BRAID_BOARD_DEVICE_H

#include "util/lock.h"
#include "util/state.h"

typedef struct DeviceClass {
    const char *name;
    /* As the machine's reset does, and at power-on.  No hart runs.  May be NULL. */
    void (*reset)(void *device);
    /* The machine's clock goes on after a stop: for those who follow the host's time of day.  Without locks.  May be
       NULL. */
    void (*continued)(void *device);
    /*
     * The fields are read, written, and loaded() is called under `lock`, with all harts parked, the clock
     * stopped and no timer firing.
     */
    const StateTable *state;
    /* The lock (rank DEVICE) under which threads other than harts and timers change the device; NULL: there
       are none. */
    Mutex *(*lock)(void *device);
} DeviceClass;

extern const StateTable state_nothing;

/*
 * `id` is the device's name in a saved state, unique, "virtio-mmio.0"; it stays the caller's.  Before the
 * machine runs, on the first thread.
 */
void device_add(const char *id, const DeviceClass *c, void *device);

/* ---- for the board; its own thread ---- */
typedef struct Device {
    const char *id;
    const DeviceClass *c;
    void *device;
} Device;
/* The n-th, in the order in which they were added; NULL: there are no more. */
const Device *device_get(unsigned n);
void devices_reset(void);
void devices_continued(void);   /* any thread */
/* All their locks. */
void devices_lock(void);
void devices_unlock(void);

#endif
