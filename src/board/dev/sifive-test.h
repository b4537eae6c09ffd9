/* The "finisher": power off, reset, or end with an exit code, by one store. */
#ifndef BRAID_BOARD_DEV_SIFIVE_TEST_H
#define BRAID_BOARD_DEV_SIFIVE_TEST_H

#include "board/device.h"
#include "mem/memory.h"

typedef struct SiFiveTest {
    /* Any thread, no locks held. */
    void (*power_off)(void *opaque, int exit_code);
    void (*reset)(void *opaque);
    void *opaque;
} SiFiveTest;

extern const DeviceClass sifive_test_class;
extern const MMIOOps sifive_test_ops;   /* opaque: a SiFiveTest, which stays the caller's */

#endif
