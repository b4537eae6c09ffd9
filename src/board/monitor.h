/* The monitor: commands to braid itself, for people (Ctrl-A c) and for programs (QMP). */
#ifndef BRAID_BOARD_MONITOR_H
#define BRAID_BOARD_MONITOR_H

#include "board/chardev.h"

/* `shared`: the chardev is a console's too, and the monitor speaks only when it has the input. */
void monitor_create(Chardev *c, bool shared);
/* The QEMU Machine Protocol: JSON, one object to a line. */
void monitor_create_qmp(Chardev *c);

#endif
