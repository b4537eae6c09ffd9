/*
 * The list of devices: filled on the first thread before the machine runs, constant afterwards.
 */
#include "board/device.h"

#include <string.h>

#include "util/error.h"

static struct DeviceContext {
    Device *list;
    unsigned n;
} devices;

static const StateField no_fields[] = { STATE_END };
const StateTable state_nothing = { .fields = no_fields };

void device_add(const char *id, const DeviceClass *c, void *device)
{
    braid_assert_msg(c->state, "device '%s' does not say what its state is", id);
    for (unsigned i = 0; i < devices.n; i++) {
        braid_assert_msg(strcmp(devices.list[i].id, id), "two devices are called '%s'", id);
    }
    devices.list = xrealloc(devices.list, (devices.n + 1) * sizeof(*devices.list));
    devices.list[devices.n++] = (Device){ id, c, device };
}

const Device *device_get(unsigned n)
{
    return n < devices.n ? &devices.list[n] : NULL;
}

void devices_reset(void)
{
    for (const Device *d = devices.list; d < devices.list + devices.n; d++) {
        if (d->c->reset) {
            d->c->reset(d->device);
        }
    }
}

void devices_continued(void)
{
    for (const Device *d = devices.list; d < devices.list + devices.n; d++) {
        if (d->c->continued) {
            d->c->continued(d->device);
        }
    }
}

void devices_lock(void)
{
    for (unsigned i = 0; i < devices.n; i++) {
        const Device *d = &devices.list[i];
        if (d->c->lock) {
            lock_acquire_ordered(d->c->lock(d->device), i);
        }
    }
}

void devices_unlock(void)
{
    for (unsigned i = devices.n; i-- > 0;) {
        const Device *d = &devices.list[i];
        if (d->c->lock) {
            mutex_unlock(d->c->lock(d->device));
        }
    }
}
