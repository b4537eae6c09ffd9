/* VIRTIO 9P transport (VIRTIO 1.2 names only its id, 9; the layout is Linux's virtio_9p.h): a host folder. */
#ifndef BRAID_BOARD_DEV_VIRTIO_9P_H
#define BRAID_BOARD_DEV_VIRTIO_9P_H

#include "board/p9/p9.h"
#include "board/virtio/virtio.h"

#define VIRTIO_9P_TAG_MAX 255u

/* `tag`: the name by which the guest mounts it.  The server becomes the device's. */
VirtIODevice *virtio_9p_create(P9Server *server, const char *tag);

#endif
