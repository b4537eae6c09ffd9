/*
 * An interrupt line from a device to whatever takes it: an interrupt controller's input, a
 * hart's pin, a test.
 *
 * The taker's function may be called by any thread, under the device's lock; it takes at most
 * locks of rank IRQ and later.  Setting a level that the line has already costs little.
 */
#ifndef BRAID_BOARD_IRQ_H
#define BRAID_BOARD_IRQ_H

#include <stdbool.h>

typedef struct IRQLine {
    void (*set)(void *opaque, unsigned n, bool level);
    void *opaque;
    unsigned n;
} IRQLine;

/* A line that leads nowhere (set is NULL) is allowed. */
static inline void irq_set(const IRQLine *line, bool level)
{
    if (line->set) {
        line->set(line->opaque, line->n, level);
    }
}

#endif
