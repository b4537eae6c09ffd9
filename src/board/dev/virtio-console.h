/* VIRTIO console (VIRTIO 1.2, section 5.3) with one port. */
#ifndef BRAID_BOARD_DEV_VIRTIO_CONSOLE_H
#define BRAID_BOARD_DEV_VIRTIO_CONSOLE_H

#include "board/chardev.h"
#include "board/virtio/virtio.h"

/* Attaches itself to the chardev. */
VirtIODevice *virtio_console_create(Chardev *chardev);

#endif
